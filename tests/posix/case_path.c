/* Names: long ones, odd bytes, dots, slashes, chains of links. */
#include "px.h"

/* a NUL-terminated name of n times c; static because one case needs one or two at a time */
static const char *name_of(size_t n, char c)
{
	static char buf[4][5000];
	static int turn;
	char *p = buf[turn++ & 3];

	memset(p, c, n);
	p[n] = 0;
	return p;
}

static void long_name(struct px *t)
{
	const char *a = name_of(255, 'a'), *b = name_of(255, 'b'), *d = name_of(255, 'd');

	FD(open(a, O_CREAT | O_EXCL | O_RDWR, 0644));
	TRY(mkdir(d, 0755));
	TRY(rename(a, b));
	px_stat(t, b);
	TRY(symlink(b, name_of(255, 'l')));
	TRY(unlink(b));
}

static void too_long_name(struct px *t)
{
	const char *x = name_of(256, 'x');
	struct stat st;

	px_file(t, "f", "text");
	FD(open(x, O_RDONLY));
	FD(open(x, O_CREAT | O_RDWR, 0644));
	TRY(mkdir(x, 0755));
	TRY(rmdir(x));
	TRY(unlink(x));
	TRY(rename("f", x));
	TRY(rename(x, "f"));
	TRY(symlink("f", x));
	TRY(lstat(x, &st));
	TRY(truncate(x, 0));
	TRY(chmod(x, 0600));
	TRY(access(x, F_OK));
}

/* longer than any file system's limit: the kernel may answer before the file system is asked */
static void far_too_long_name(struct px *t)
{
	FD(open(name_of(1025, 'x'), O_CREAT | O_RDWR, 0644));
	FD(open(name_of(4090, 'x'), O_RDONLY));
	TRY(mkdir(name_of(2000, 'x'), 0755));
}

static void long_path(struct px *t)
{
	char path[4200] = "";

	px_file(t, "f", "text");
	px_file(t, "ff", "text");
	for (int i = 0; i < 2047; i++)
		strcat(path, "./");
	strcat(path, "f");
	px_note(t, "length %zu", strlen(path));
	TRY(access(path, F_OK));
	/* one byte more does not fit PATH_MAX with its NUL */
	strcat(path, "f");
	TRY(access(path, F_OK));
	FD(open(path, O_CREAT | O_RDWR, 0644));
	TRY(mkdir(path, 0755));
}

static void deep(struct px *t)
{
	int bad = 0, fd;

	for (int i = 0; i < 60; i++)
		bad += mkdir("n", 0755) || chdir("n");
	px_note(t, "bad %d", bad);
	fd = FD(open("bottom", O_CREAT | O_RDWR, 0644));
	PUT(fd, "deep");
	for (int i = 0; i < 60; i++)
		bad += chdir("..");
	px_note(t, "bad %d", bad);
	px_stat(t, "n/n/n/n/n/n/n/n/n/n/n");
}

static void chain(struct px *t, int links)
{
	char a[16], b[16];

	px_file(t, "0", "end of the chain");
	for (int i = 1; i <= links; i++) {
		snprintf(a, sizeof(a), "%d", i - 1);
		snprintf(b, sizeof(b), "%d", i);
		px_link(t, a, b);
	}
	snprintf(b, sizeof(b), "%d", links);
	FD(open(b, O_RDONLY));
	FD(open(b, O_CREAT | O_RDWR, 0644));
	TRY(truncate(b, 3));
	px_stat(t, "0");
}

static void chain_40(struct px *t)
{
	chain(t, 40);
}

static void chain_41(struct px *t)
{
	chain(t, 41);
}

/* Every byte but NUL and the slash is a legal part of a name; each row is one odd name. */
static void odd_name(struct px *t)
{
	const char *name = t->arg;
	char other[300];
	int fd;

	snprintf(other, sizeof(other), "%s+", name);
	fd = FD(open(name, O_CREAT | O_EXCL | O_RDWR, 0644));
	PUT(fd, "odd");
	TRY(close(fd));
	px_list(t, ".");
	px_text(t, name);
	TRY(chmod(name, 0600));
	TRY(rename(name, other));
	TRY(access(name, F_OK));
	TRY(symlink(other, name));
	px_text(t, name);
	TRY(unlink(name));
	TRY(mkdir(name, 0755));
	px_list(t, ".");
	TRY(rmdir(name));
	TRY(rename(other, name));
}

static void all_bytes(struct px *t)
{
	char name[3] = "a";
	int bad = 0;

	for (int c = 1; c < 256; c++) {
		name[1] = (char)c;
		if (c != '/')
			bad += close(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644));
	}
	px_note(t, "bad %d, names %d", bad, px_list(t, "."));
}

static void case_matters(struct px *t)
{
	px_file(t, "Name", "upper");
	px_file(t, "name", "lower");
	px_text(t, "Name");
	px_text(t, "NAME");
	/* one letter, two spellings in Unicode: two names */
	px_file(t, "\xc3\xa9", "composed");
	px_file(t, "e\xcc\x81", "decomposed");
	px_note(t, "names %d", px_list(t, "."));
}

static void dots_make(struct px *t)
{
	px_dir(t, "d");
	TRY(mkdir(".", 0755));
	TRY(mkdir("..", 0755));
	TRY(mkdir("d/.", 0755));
	TRY(mkdir("d/..", 0755));
	TRY(mkdir("n/.", 0755));
	TRY(symlink("f", "."));
	TRY(symlink("f", "d/.."));
	FD(open("d/..", O_CREAT | O_RDWR, 0644));
	FD(open("d/../via", O_CREAT | O_RDWR, 0644));
	FD(open("d/./in", O_CREAT | O_RDWR, 0644));
}

static void dots_remove(struct px *t)
{
	px_dir(t, "d");
	px_dir(t, "d/e");
	TRY(rmdir("."));
	TRY(rmdir(".."));
	TRY(rmdir("d/e/."));
	TRY(rmdir("d/e/.."));
	TRY(unlink("."));
	TRY(unlink("d/.."));
	TRY(unlink("d/."));
}

static void dots_rename(struct px *t)
{
	px_dir(t, "d");
	px_dir(t, "e");
	TRY(rename(".", "x"));
	TRY(rename("..", "x"));
	TRY(rename("d/.", "x"));
	TRY(rename("d/..", "x"));
	TRY(rename("d", "."));
	TRY(rename("d", "e/.."));
	TRY(rename("d", "e/."));
}

static void dots_lookup(struct px *t)
{
	struct stat here, up, st;

	px_dir(t, "d");
	TRY(stat(".", &here));
	TRY(stat("d/..", &st));
	px_note(t, "d/.. is . : %d", here.st_ino == st.st_ino && here.st_dev == st.st_dev);
	TRY(stat("..", &up));
	TRY(stat("d/../..", &st));
	px_note(t, "d/../.. is .. : %d", up.st_ino == st.st_ino);
	TRY(stat("d/.", &up));
	TRY(stat("d", &st));
	px_note(t, "d/. is d : %d", up.st_ino == st.st_ino);
	TRY(stat("none/..", &st));
}

static void slashes(struct px *t)
{
	struct stat st;

	px_dir(t, "d");
	px_file(t, "d/f", "text");
	TRY(stat("d//f", &st));
	TRY(stat(".//d///f", &st));
	TRY(stat("d/f/", &st));
	TRY(lstat("d/", &st));
	TRY(unlink("d/f/"));
	TRY(rename("d/f/", "d/g"));
	TRY(rename("d/f", "d/g/"));
	TRY(mkdir("m/", 0755));
	TRY(mkdir("m//", 0755));
	TRY(rmdir("m/"));
	TRY(rename("d/", "e/"));
	TRY(symlink("x", "l/"));
	TRY(truncate("e/f/", 0));
}

static void through_file(struct px *t)
{
	struct stat st;

	px_file(t, "f", "text");
	px_link(t, "f", "l");
	TRY(stat("f/x", &st));
	TRY(stat("l/x", &st));
	TRY(stat("f/..", &st));
	TRY(stat("f/.", &st));
	TRY(mkdir("f/x", 0755));
	TRY(unlink("f/x"));
	TRY(rmdir("f/x"));
	TRY(rename("f/x", "y"));
	TRY(rename("f", "l/y"));
	TRY(symlink("f", "f/x"));
	TRY(chdir("f"));
}

static void empty_names(struct px *t)
{
	struct stat st;
	char buf[8];

	px_file(t, "f", "text");
	TRY(stat("", &st));
	TRY(mkdir("", 0755));
	TRY(rmdir(""));
	TRY(unlink(""));
	TRY(rename("", "x"));
	TRY(rename("f", ""));
	TRY(symlink("", "x"));
	TRY(symlink("f", ""));
	TRY(readlink("", buf, 8));
	TRY(truncate("", 0));
	TRY(chmod("", 0));
	TRY(access("", F_OK));
}

#define ODD(what, bytes)                                         \
	{                                                        \
		"path odd name: " what, odd_name, 0, bytes, NULL \
	}

const struct px_case case_path[] = {
	PX_RUN("path name of 255 bytes", long_name),
	PX_RUN("path name of 256 bytes ENAMETOOLONG", too_long_name),
	PX_RUN("path name of 1025 bytes and more", far_too_long_name),
	PX_RUN("path of 4095 and 4096 bytes", long_path),
	PX_RUN("path sixty directories deep", deep),
	PX_RUN("path chain of 40 links", chain_40),
	PX_RUN("path chain of 41 links ELOOP", chain_41),
	ODD("newline", "two\nlines"),
	ODD("leading dash", "-rf"),
	ODD("UTF-8", "\xe6\x97\xa5\xe6\x9c\xac\xf0\x9f\x8c\x8d"),
	ODD("invalid UTF-8", "\xff\xfe\x80"),
	ODD("space and tab", " \t "),
	ODD("backslash", "a\\b"),
	ODD("quotes and star", "'\"*?$`"),
	ODD("control bytes", "\x01\x1b[31m\x7f"),
	ODD("three dots", "..."),
	ODD("hidden", ".hidden"),
	ODD("trailing dot", "name."),
	ODD("tilde", "name~"),
	ODD("colon and percent", "C:%2F"),
	PX_RUN("path every byte", all_bytes),
	PX_RUN("path upper, lower, composed, decomposed", case_matters),
	PX_RUN("path dots: mkdir, symlink, open", dots_make),
	PX_RUN("path dots: rmdir, unlink", dots_remove),
	PX_RUN("path dots: rename", dots_rename),
	PX_RUN("path dots: lookup", dots_lookup),
	PX_RUN("path slashes", slashes),
	PX_RUN("path through a file ENOTDIR", through_file),
	PX_RUN("path empty ENOENT", empty_names),
	PX_END,
};
