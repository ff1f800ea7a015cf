/* rename(2), renameat2(2): every kind onto every kind, and what an open file sees of it. */
#include "px.h"

struct row {
	const char *from, *to;
	unsigned flags;
};

static void scene(struct px *t)
{
	px_file(t, "f", "from file");
	px_dir(t, "d");
	px_dir(t, "full");
	px_file(t, "full/in", "inside from");
	px_link(t, "f", "l");
	px_file(t, "tf", "to file");
	px_dir(t, "td");
	px_dir(t, "tfull");
	px_file(t, "tfull/in", "inside to");
	px_link(t, "tf", "tl");
}

static void matrix(struct px *t)
{
	const struct row *r = t->arg;

	scene(t);
	TRY(renameat2(AT_FDCWD, r->from, AT_FDCWD, r->to, r->flags));
	px_stat(t, r->from);
	px_stat(t, r->to);
}

/* clang-format off */
#define ROW(from, to, fl) \
	{ "rename/" from " to " to " " #fl, matrix, 0, &(const struct row){ from, to, fl }, NULL }
#define FLAGS(from, to) \
	ROW(from, to, 0), ROW(from, to, RENAME_NOREPLACE), ROW(from, to, RENAME_EXCHANGE)
#define TARGETS(from) \
	FLAGS(from, "new"), FLAGS(from, "tf"), FLAGS(from, "td"), FLAGS(from, "tfull"), \
	FLAGS(from, "tl")
/* clang-format on */

static void same_name(struct px *t)
{
	scene(t);
	TRY(rename("f", "f"));
	TRY(rename("full", "full"));
	TRY(rename("none", "none"));
	TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "f", RENAME_NOREPLACE));
	TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "f", RENAME_EXCHANGE));
}

static void into_itself(struct px *t)
{
	px_dir(t, "d");
	px_dir(t, "d/e");
	px_dir(t, "d/e/g");
	TRY(rename("d", "d/x"));
	TRY(rename("d", "d/e"));
	TRY(rename("d", "d/e/g/x"));
	TRY(rename("d/e", "d"));
	TRY(rename("d/e/g", "d"));
	TRY(renameat2(AT_FDCWD, "d", AT_FDCWD, "d/e", RENAME_EXCHANGE));
	TRY(renameat2(AT_FDCWD, "d/e/g", AT_FDCWD, "d", RENAME_EXCHANGE));
}

static void bad_flags(struct px *t)
{
	scene(t);
	TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "tf", RENAME_NOREPLACE | RENAME_EXCHANGE));
	TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "tf", 0x80));
	TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "tf", RENAME_WHITEOUT | RENAME_EXCHANGE));
}

static void missing_parent(struct px *t)
{
	scene(t);
	TRY(rename("none/x", "new"));
	TRY(rename("f", "none/x"));
	TRY(rename("f", "tf/x"));
	TRY(rename("f/x", "new"));
	TRY(rename("f", "td/none/x"));
}

static void between_directories(struct px *t)
{
	struct stat st = { 0 };
	ino_t up;

	scene(t);
	TRY(rename("f", "td/f2"));
	TRY(rename("full", "td/full2"));
	px_text(t, "td/full2/in");
	TRY(stat("td", &st));
	up = st.st_ino;
	/* the moved directory's parent must be the new one */
	TRY(stat("td/full2/..", &st));
	px_note(t, "dot-dot moved %d", st.st_ino == up);
	TRY(rename("td/f2", "f"));
	TRY(rename("td/full2/in", "in"));
	TRY(rmdir("td/full2"));
}

static void exchange_between(struct px *t)
{
	scene(t);
	TRY(renameat2(AT_FDCWD, "f", AT_FDCWD, "tfull/in", RENAME_EXCHANGE));
	px_text(t, "f");
	px_text(t, "tfull/in");
	TRY(renameat2(AT_FDCWD, "full", AT_FDCWD, "tfull/in", RENAME_EXCHANGE));
	px_text(t, "tfull/in/in");
}

static void open_source(struct px *t)
{
	int fd;

	scene(t);
	fd = FD(open("f", O_RDWR));
	TRY(rename("f", "td/moved"));
	PUT(fd, "FROM");
	px_text(t, "td/moved");
	TRY(ftruncate(fd, 6));
	px_stat(t, "td/moved");
	px_fstat(t, fd);
}

static void open_target(struct px *t)
{
	int fd;

	scene(t);
	fd = FD(open("tf", O_RDWR));
	TRY(rename("f", "tf"));
	px_at(t, fd, 0, 40);
	px_fstat(t, fd);
	PUT(fd, "lost");
	px_text(t, "tf");
}

/* How editors save: a temporary name, then over the old one; a reader keeps the old content. */
static void save_by_rename(struct px *t)
{
	int reader, fd;

	px_file(t, "doc", "old text");
	reader = FD(open("doc", O_RDONLY));
	for (int i = 0; i < 3; i++) {
		fd = FD(open("doc.tmp", O_CREAT | O_EXCL | O_WRONLY, 0600));
		PUT(fd, "new text");
		TRY(fsync(fd));
		TRY(fchmod(fd, 0644));
		TRY(close(fd));
		TRY(rename("doc.tmp", "doc"));
		px_stat(t, "doc");
	}
	px_at(t, reader, 0, 20);
	px_text(t, "doc");
}

static void backup_by_rename(struct px *t)
{
	int fd;

	px_file(t, "doc", "old text");
	TRY(rename("doc", "doc~"));
	fd = FD(open("doc", O_CREAT | O_EXCL | O_WRONLY, 0644));
	PUT(fd, "new");
	px_text(t, "doc~");
	TRY(unlink("doc~"));
	px_text(t, "doc");
}

static void current_directory(struct px *t)
{
	char buf[4096] = "";

	px_dir(t, "d");
	px_dir(t, "e");
	TRY(chdir("d"));
	TRY(rename("../d", "../e/moved"));
	TRY(getcwd(buf, sizeof(buf)) ? 0 : -1);
	px_note(t, "cwd ends with e/moved: %d",
		strlen(buf) > 7 && !strcmp(buf + strlen(buf) - 7, "e/moved"));
	FD(open("here", O_CREAT | O_RDWR, 0644));
	px_stat(t, "../../e/moved/here");
}

static void open_directory(struct px *t)
{
	int fd;

	scene(t);
	fd = FD(open("full", O_RDONLY | O_DIRECTORY));
	TRY(rename("full", "td/full"));
	FD(openat(fd, "in", O_RDONLY));
	FD(openat(fd, "more", O_CREAT | O_RDWR, 0644));
	px_list(t, "td/full");
}

static void over_link(struct px *t)
{
	scene(t);
	/* the link is replaced, not what it points to; a link to a directory is no directory */
	px_link(t, "td", "tdl");
	TRY(rename("f", "tl"));
	px_text(t, "tf");
	TRY(rename("d", "tdl"));
	TRY(rename("l", "tdl"));
	TRY(rename("full/in", "tdl"));
}

static void chain_of_renames(struct px *t)
{
	char a[16], b[16];
	int bad = 0;

	px_file(t, "n0", "travelled");
	for (int i = 0; i < 100; i++) {
		snprintf(a, sizeof(a), "n%d", i);
		snprintf(b, sizeof(b), "n%d", i + 1);
		bad += rename(a, b) != 0;
	}
	px_note(t, "bad %d", bad);
	px_text(t, "n100");
	px_note(t, "names %d", px_list(t, "."));
}

static void keeps_attributes(struct px *t)
{
	px_file_of(t, "f", U1, 04711);
	px_dir_of(t, "d", U2, 03770);
	TRY(rename("f", "g"));
	TRY(rename("d", "e"));
	TRY(rename("g", "e/g"));
}

static void parent_rights(struct px *t)
{
	px_dir_of(t, "mine", U2, 0755);
	px_dir_of(t, "theirs", U1, 0755);
	px_file_of(t, "mine/f", U2, 0644);
	px_file_of(t, "theirs/g", U2, 0644);
	px_be(t, U2);
	TRY(rename("mine/f", "theirs/f"));
	TRY(rename("theirs/g", "mine/g"));
	TRY(rename("theirs/g", "theirs/h"));
	TRY(renameat2(AT_FDCWD, "mine/f", AT_FDCWD, "theirs/g", RENAME_EXCHANGE));
	TRY(rename("mine/f", "mine/f2"));
	TRY(rename("mine/none", "theirs/none"));
}

/* A directory that moves to a new parent is itself changed (its ..), so it must be writable. */
static void directory_rights(struct px *t)
{
	px_dir_of(t, "a", U2, 0755);
	px_dir_of(t, "b", U2, 0755);
	px_dir_of(t, "a/locked", U1, 0755);
	px_dir_of(t, "a/ro", U2, 0555);
	px_be(t, U2);
	TRY(rename("a/locked", "b/locked"));
	TRY(rename("a/ro", "b/ro"));
	TRY(rename("a/locked", "a/locked2"));
	TRY(rename("a/ro", "a/ro2"));
}

static void search_rights(struct px *t)
{
	px_dir_of(t, "a", U2, 0600);
	px_dir_of(t, "b", U2, 0300);
	px_file_of(t, "a/f", U2, 0644);
	px_file_of(t, "b/f", U2, 0644);
	px_be(t, U2);
	TRY(rename("a/f", "b/g"));
	TRY(rename("b/f", "a/g"));
	TRY(rename("b/f", "b/g"));
}

static void others_file(struct px *t)
{
	/* without the sticky bit the directory alone decides, even for files one cannot read */
	px_dir_of(t, "d", U2, 0755);
	px_file_of(t, "d/f", U1, 0600);
	px_file_of(t, "d/g", 0, 0);
	px_be(t, U2);
	TRY(rename("d/f", "d/x"));
	TRY(rename("d/x", "d/g"));
}

const struct px_case case_rename[] = {
	TARGETS("f"),
	TARGETS("d"),
	TARGETS("full"),
	TARGETS("l"),
	TARGETS("none"),
	PX_RUN("rename onto itself", same_name),
	PX_RUN("rename into its own subdirectory", into_itself),
	PX_RUN("rename bad flags", bad_flags),
	PX_RUN("rename without parent", missing_parent),
	PX_RUN("rename between directories", between_directories),
	PX_RUN("rename exchange between directories", exchange_between),
	PX_RUN("rename of an open file", open_source),
	PX_RUN("rename over an open file", open_target),
	PX_RUN("rename saves a document", save_by_rename),
	PX_RUN("rename makes a backup", backup_by_rename),
	PX_RUN("rename of the current directory", current_directory),
	PX_RUN("rename of an open directory", open_directory),
	PX_RUN("rename over symbolic links", over_link),
	PX_RUN("rename a hundred times", chain_of_renames),
	PX_AS("rename keeps owner and mode", keeps_attributes),
	PX_AS("rename needs both parents", parent_rights),
	PX_AS("rename of a directory needs write on it", directory_rights),
	PX_AS("rename needs search on both parents", search_rights),
	PX_AS("rename of another's file", others_file),
	PX_END,
};
