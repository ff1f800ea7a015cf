/* symlink(2), readlink(2). */
#include "px.h"

static void read_back(struct px *t)
{
	static const char *const targets[] = {
		"x", "/", "/nonexistent/path", "../..", "a b\nc", "\xff\xfe", ".", "self//slashes/",
	};
	char name[8], buf[64];

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		long n;

		snprintf(name, sizeof(name), "l%zu", i);
		TRY(symlink(targets[i], name));
		n = TRY(readlink(name, buf, sizeof(buf)));
		px_bytes(t, "target", buf, n > 0 ? (size_t)n : 0);
		px_stat(t, name);
	}
}

static void long_targets(struct px *t)
{
	/* ext4 keeps 59 bytes in the inode, more in a block: both sides of that edge, and the end */
	static const size_t lens[] = { 59, 60, 61, 255, 256, 1000, 4094, 4095, 4096, 5000 };
	char target[5001], buf[5001], name[16];

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		long n;

		memset(target, 'a' + (int)i, lens[i]);
		target[lens[i]] = 0;
		snprintf(name, sizeof(name), "l%zu", lens[i]);
		TRY(symlink(target, name));
		n = TRY(readlink(name, buf, sizeof(buf)));
		px_bytes(t, "target", buf, n > 0 ? (size_t)n : 0);
	}
}

static void short_buffer(struct px *t)
{
	char buf[8] = "........";

	px_link(t, "0123456789", "l");
	TRY(readlink("l", buf, 4));
	px_bytes(t, "buf", buf, 8);
	TRY(readlink("l", buf, 0));
	TRY(readlink("l", buf, 1));
}

static void not_a_link(struct px *t)
{
	char buf[8];
	int fd;

	px_file(t, "f", "text");
	px_dir(t, "d");
	px_link(t, "d", "ld");
	TRY(readlink("f", buf, 8));
	TRY(readlink("d", buf, 8));
	TRY(readlink("none", buf, 8));
	TRY(readlink("f/x", buf, 8));
	TRY(readlink("ld/", buf, 8));
	TRY(readlink("ld", buf, 8));
	fd = FD(open("ld", O_PATH | O_NOFOLLOW));
	TRY(readlinkat(fd, "", buf, 8));
	px_fstat(t, fd);
}

static void exists(struct px *t)
{
	px_file(t, "f", "text");
	px_dir(t, "d");
	px_link(t, "none", "dang");
	TRY(symlink("x", "f"));
	TRY(symlink("x", "d"));
	TRY(symlink("x", "dang"));
	TRY(symlink("x", "d/l"));
	TRY(symlink("x", "none/l"));
	TRY(symlink("x", "f/l"));
}

static void followed(struct px *t)
{
	struct stat st;

	px_dir(t, "d");
	px_file(t, "d/f", "text");
	px_link(t, "d", "l");
	px_link(t, "l/f", "lf");
	px_text(t, "lf");
	TRY(stat("l/../d/f", &st));
	TRY(lstat("l/f", &st));
	TRY(mkdir("l/sub", 0755));
	TRY(chdir("l"));
	px_text(t, "f");
	FD(open("../l/new", O_CREAT | O_RDWR, 0644));
}

static void create_through(struct px *t)
{
	px_dir(t, "d");
	px_link(t, "d/made", "l");
	FD(open("l", O_CREAT | O_EXCL | O_RDWR, 0644));
	FD(open("l", O_CREAT | O_RDWR, 0640));
	px_link(t, "none/made", "m");
	FD(open("m", O_CREAT | O_RDWR, 0640));
	TRY(mkdir("m", 0755));
}

static void absolute(struct px *t)
{
	char cwd[4096], path[4200];

	px_file(t, "f", "text");
	px_need(t, getcwd(cwd, sizeof(cwd)) != NULL, "getcwd");
	snprintf(path, sizeof(path), "%s/f", cwd);
	px_link(t, path, "l");
	px_text(t, "l");
	/* the path differs between the two sides, so it must not be left for the comparison */
	TRY(unlink("l"));
}

static void retarget(struct px *t)
{
	px_file(t, "a", "first");
	px_file(t, "b", "second");
	px_link(t, "a", "l");
	px_text(t, "l");
	px_link(t, "b", "l.new");
	TRY(rename("l.new", "l"));
	/* a cached target would still lead to the first */
	px_text(t, "l");
	TRY(unlink("l"));
	TRY(symlink("a", "l"));
	px_text(t, "l");
}

static void owner(struct px *t)
{
	char buf[8];

	px_dir_of(t, "d", U1, 01777);
	px_be(t, U2);
	TRY(symlink("secret", "d/l"));
	px_stat(t, "d/l");
	px_be(t, U1);
	TRY(readlink("d/l", buf, 8));
	px_be(t, 0);
	TRY(chmod("d", 0700));
	px_be(t, U2);
	TRY(readlink("d/l", buf, 8));
	TRY(unlink("d/l"));
}

static void mode_of_link(struct px *t)
{
	umask(077);
	px_link(t, "x", "l");
	px_stat(t, "l");
	px_file(t, "x", "text");
	TRY(fchmodat(AT_FDCWD, "l", 0600, 0));
	px_stat(t, "l");
}

const struct px_case case_link[] = {
	PX_RUN("symlink targets come back", read_back),
	PX_RUN("symlink long targets", long_targets),
	PX_RUN("readlink short buffer", short_buffer),
	PX_RUN("readlink of what is no link", not_a_link),
	PX_RUN("symlink onto what exists", exists),
	PX_RUN("symlink is followed", followed),
	PX_RUN("symlink create through", create_through),
	PX_RUN("symlink absolute", absolute),
	PX_RUN("symlink retarget", retarget),
	PX_AS("symlink owner and rights", owner),
	PX_RUN("symlink mode", mode_of_link),
	PX_END,
};
