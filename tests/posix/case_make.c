/* mkdir, rmdir, unlink, and files and directories that are gone but open. */
#include "px.h"

#include <dirent.h>
#include <sys/syscall.h>

static void mkdir_exists(struct px *t)
{
	px_file(t, "f", "text");
	px_dir(t, "d");
	px_link(t, "none", "dang");
	px_link(t, "d", "l");
	TRY(mkdir("f", 0755));
	TRY(mkdir("d", 0755));
	TRY(mkdir("dang", 0755));
	TRY(mkdir("l", 0755));
	TRY(mkdir("none/x", 0755));
}

static void mkdir_modes(struct px *t)
{
	umask(0);
	TRY(mkdir("a", 0777));
	TRY(mkdir("b", 01777));
	TRY(mkdir("c", 02755));
	TRY(mkdir("d", 04700));
	TRY(mkdir("e", 07777));
	TRY(mkdir("f", 0));
	umask(077);
	TRY(mkdir("g", 0777));
	TRY(mkdir("h", 01777));
}

static void mkdir_owner(struct px *t)
{
	px_dir_of(t, "d", 0, 0777);
	px_be(t, U1);
	TRY(mkdir("d/one", 0755));
	TRY(mkdir("d/one/two", 0700));
	px_be_group(t, U2, U1, 0);
	TRY(mkdir("d/three", 0755));
}

static void rmdir_kinds(struct px *t)
{
	px_dir(t, "d");
	px_dir(t, "full");
	px_file(t, "full/f", "text");
	px_dir(t, "nest");
	px_dir(t, "nest/in");
	px_link(t, "d", "l");
	px_link(t, "none", "dang");
	TRY(rmdir("none"));
	TRY(rmdir("full"));
	TRY(rmdir("full/f"));
	TRY(rmdir("nest"));
	TRY(rmdir("l"));
	TRY(rmdir("l/"));
	TRY(rmdir("dang"));
	TRY(rmdir("d"));
	TRY(rmdir("d"));
	TRY(unlink("full/f"));
	TRY(rmdir("full"));
}

static void unlink_kinds(struct px *t)
{
	px_file(t, "f", "text");
	px_dir(t, "d");
	px_link(t, "f", "l");
	px_link(t, "none", "dang");
	px_link(t, "d", "ld");
	TRY(unlink("none"));
	TRY(unlink("d"));
	TRY(unlink("ld/"));
	TRY(unlink("l"));
	TRY(unlink("dang"));
	TRY(unlink("ld"));
	px_text(t, "f");
	TRY(unlink("f"));
	TRY(unlink("f"));
}

static void unlinkat_flags(struct px *t)
{
	px_file(t, "f", "text");
	px_dir(t, "d");
	TRY(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
	TRY(unlinkat(AT_FDCWD, "d", 0));
	TRY(unlinkat(AT_FDCWD, "d", 0x10000));
	TRY(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
	TRY(remove("f"));
}

static void unlinked_io(struct px *t)
{
	int fd, again;

	px_file(t, "f", "0123456789");
	fd = FD(open("f", O_RDWR));
	TRY(unlink("f"));
	px_fstat(t, fd);
	px_at(t, fd, 0, 20);
	TRY(pwrite(fd, "abc", 3, 10));
	px_at(t, fd, 0, 20);
	TRY(ftruncate(fd, 5));
	px_at(t, fd, 0, 20);
	TRY(fchmod(fd, 0600));
	TRY(fchown(fd, (uid_t)-1, (gid_t)-1));
	TRY(fsync(fd));
	px_fstat(t, fd);
	/* a second file of the same name is a different file */
	again = FD(open("f", O_CREAT | O_EXCL | O_RDWR, 0644));
	PUT(again, "second");
	px_at(t, fd, 0, 20);
	px_text(t, "f");
}

static void unlinked_reopen(struct px *t)
{
	char path[64];
	int fd;

	px_file(t, "f", "0123456789");
	fd = FD(open("f", O_RDONLY));
	TRY(unlink("f"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FD(open("f", O_RDONLY));
	/* through the magic link the inode itself is opened, no name is looked up */
	fd = FD(open(path, O_RDWR));
	PUT(fd, "abc");
	px_at(t, fd, 0, 20);
}

static void unlinked_two_descriptors(struct px *t)
{
	int a, b;

	px_file(t, "f", "0123456789");
	a = FD(open("f", O_RDWR));
	b = FD(open("f", O_RDONLY));
	TRY(unlink("f"));
	PUT(a, "abc");
	TRY(close(a));
	px_at(t, b, 0, 20);
	px_fstat(t, b);
}

static void unlinked_times(struct px *t)
{
	const struct timespec ts[2] = { { 5, 6 }, { 7, 8 } };
	struct stat st = { 0 };
	int fd;

	px_file(t, "f", "text");
	fd = FD(open("f", O_RDWR));
	TRY(unlink("f"));
	TRY(futimens(fd, ts));
	TRY(fstat(fd, &st));
	px_note(t, "mtime %ld.%ld", (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void removed_cwd(struct px *t)
{
	struct stat st;
	char buf[4096];

	px_dir(t, "d");
	TRY(chdir("d"));
	TRY(rmdir("../d"));
	TRY(getcwd(buf, sizeof(buf)) ? 0 : -1);
	TRY(stat(".", &st));
	FD(open("n", O_CREAT | O_RDWR, 0644));
	TRY(mkdir("n", 0755));
	TRY(symlink("x", "n"));
	TRY(rename("../x", "n"));
	TRY(rmdir("."));
	TRY(chdir(".."));
}

/* Names are counted, the error is not compared: a dead directory may end either way. */
static void removed_open_dir(struct px *t)
{
	int n = 0, fd;
	DIR *d;

	px_dir(t, "d");
	d = opendir("d");
	fd = dirfd(d);
	TRY(rmdir("d"));
	px_fstat(t, fd);
	while (readdir(d))
		n++;
	px_note(t, "real names %d", n > 2 ? n - 2 : 0);
	FD(openat(fd, "n", O_CREAT | O_RDWR, 0644));
	TRY(mkdirat(fd, "n", 0755));
	closedir(d);
}

static void make_again(struct px *t)
{
	int bad = 0;

	for (int i = 0; i < 50; i++) {
		bad += mkdir("x", 0755) != 0;
		bad += rmdir("x") != 0;
		bad += close(open("x", O_CREAT | O_EXCL | O_WRONLY, 0644)) != 0;
		bad += unlink("x") != 0;
		bad += symlink("to", "x") != 0;
		bad += unlink("x") != 0;
	}
	px_note(t, "bad %d", bad);
	px_list(t, ".");
}

/* A name that was looked up and not there must be found as soon as it is made. */
static void negative_then_made(struct px *t)
{
	struct stat st;

	TRY(stat("x", &st));
	TRY(stat("x", &st));
	px_file(t, "x", "here");
	TRY(stat("x", &st));
	TRY(unlink("x"));
	TRY(stat("x", &st));
	TRY(mkdir("x", 0755));
	px_stat(t, "x");
}

static void inode_numbers(struct px *t)
{
	struct stat a, b, c;
	int fd;

	px_file(t, "f", "text");
	px_file(t, "g", "text");
	fd = FD(open("f", O_RDONLY));
	TRY(stat("f", &a));
	TRY(fstat(fd, &b));
	TRY(stat("g", &c));
	px_note(t, "same %d other %d", a.st_ino == b.st_ino, a.st_ino != c.st_ino);
	TRY(rename("f", "h"));
	TRY(stat("h", &b));
	px_note(t, "kept by rename %d device %d", a.st_ino == b.st_ino, a.st_dev == b.st_dev);
	TRY(close(fd));
	FD(open("h", O_WRONLY | O_TRUNC));
	TRY(stat("h", &b));
	px_note(t, "kept by truncation %d", a.st_ino == b.st_ino);
}

const struct px_case case_make[] = {
	PX_RUN("mkdir on what exists", mkdir_exists),
	PX_RUN("mkdir modes and umask", mkdir_modes),
	PX_AS("mkdir belongs to its creator", mkdir_owner),
	PX_RUN("rmdir kinds", rmdir_kinds),
	PX_RUN("unlink kinds", unlink_kinds),
	PX_RUN("unlinkat flags", unlinkat_flags),
	PX_RUN("unlink open file: I/O goes on", unlinked_io),
	PX_RUN("unlink open file: open again through /proc", unlinked_reopen),
	PX_RUN("unlink open file: two descriptors", unlinked_two_descriptors),
	PX_RUN("unlink open file: futimens", unlinked_times),
	PX_RUN("rmdir current directory", removed_cwd),
	PX_RUN("rmdir open directory", removed_open_dir),
	PX_RUN("make and remove one name fifty times", make_again),
	PX_RUN("make after a failed lookup", negative_then_made),
	PX_RUN("make inode numbers", inode_numbers),
	PX_END,
};
