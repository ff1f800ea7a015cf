/* Permission bits: who may open a file, and what a directory's bits allow. */
#include "px.h"

#include <dirent.h>

struct row {
	mode_t mode;
	uid_t uid;
	gid_t gid, extra;
};

/* The file is U1:U1; the row says who comes. The class is chosen first: an owner without a bit does
 * not get it from the group's or the others' bits. */
static void file_matrix(struct px *t)
{
	const struct row *r = t->arg;

	px_file_of(t, "f", U1, r->mode);
	px_be_group(t, r->uid, r->gid, r->extra);
	FD(open("f", O_RDONLY));
	FD(open("f", O_WRONLY));
	FD(open("f", O_RDWR));
	FD(open("f", O_RDONLY | O_TRUNC));
	FD(open("f", O_CREAT | O_RDONLY, 0666));
	FD(open("f", O_PATH));
	TRY(truncate("f", 5));
	TRY(access("f", R_OK));
	TRY(faccessat(AT_FDCWD, "f", R_OK | W_OK, AT_EACCESS));
	TRY(faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS));
}

static void dir_matrix(struct px *t)
{
	const struct row *r = t->arg;
	struct stat st;
	DIR *d;

	px_dir_of(t, "d", U1, 0755);
	px_file_of(t, "d/f", U1, 0666);
	px_file_of(t, "d/g", U1, 0666);
	px_dir_of(t, "d/e", U1, 0777);
	px_file_of(t, "d/e/deep", U1, 0666);
	px_need(t, !chmod("d", r->mode), "chmod");
	px_be_group(t, r->uid, r->gid, r->extra);
	d = opendir("d");
	px_note(t, "opendir %s", d ? "ok" : strerrorname_np(errno));
	TRY(stat("d/f", &st));
	TRY(stat("d/none", &st));
	TRY(stat("d/e/deep", &st));
	FD(open("d/f", O_RDWR));
	FD(open("d/n", O_CREAT | O_RDWR, 0644));
	TRY(mkdir("d/m", 0755));
	TRY(symlink("x", "d/l"));
	TRY(rename("d/g", "d/h"));
	TRY(unlink("d/f"));
	TRY(unlink("d/none"));
	TRY(rmdir("d/e"));
	TRY(chdir("d"));
}

#define WHO(kind, fn, mode, who, uid, gid, extra)                          \
	{                                                                  \
		"perm " kind " " #mode " " who, fn, PX_ROOT,               \
			&(const struct row){ mode, uid, gid, extra }, NULL \
	}
/* clang-format off */
#define EVERYONE(kind, fn, mode) \
	WHO(kind, fn, mode, "owner", U1, U1, 0), \
	WHO(kind, fn, mode, "group", U2, U1, 0), \
	WHO(kind, fn, mode, "supplementary group", U2, U2, U1), \
	WHO(kind, fn, mode, "other", U2, U2, 0), \
	WHO(kind, fn, mode, "root", 0, 0, 0)
/* clang-format on */

static void new_file_in_new_dir(struct px *t)
{
	px_dir_of(t, "home", U2, 0700);
	px_be(t, U2);
	TRY(mkdir("home/a", 0700));
	FD(open("home/a/f", O_CREAT | O_RDWR, 0600));
	TRY(rename("home/a", "home/b"));
	px_be(t, U1);
	FD(open("home/b/f", O_RDONLY));
	TRY(unlink("home/b/f"));
	px_be(t, U2);
	TRY(unlink("home/b/f"));
	TRY(rmdir("home/b"));
}

static void revoked_while_open(struct px *t)
{
	int fd;

	px_file_of(t, "f", U1, 0666);
	px_be(t, U2);
	fd = FD(open("f", O_RDWR));
	px_be(t, 0);
	TRY(chmod("f", 0));
	px_be(t, U2);
	/* rights are checked at open and never again */
	PUT(fd, "abc");
	px_at(t, fd, 0, 20);
	TRY(ftruncate(fd, 4));
	FD(open("f", O_RDONLY));
}

static void granted_later(struct px *t)
{
	px_file_of(t, "f", U1, 0600);
	px_be(t, U2);
	FD(open("f", O_RDONLY));
	px_be(t, U1);
	TRY(chmod("f", 0644));
	px_be(t, U2);
	/* an answer about rights must not be remembered */
	FD(open("f", O_RDONLY));
	px_be(t, U1);
	TRY(chmod("f", 0600));
	px_be(t, U2);
	FD(open("f", O_RDONLY));
}

static void search_taken_away(struct px *t)
{
	struct stat st;

	px_dir_of(t, "d", U1, 0755);
	px_file_of(t, "d/f", U2, 0644);
	px_be(t, U2);
	TRY(stat("d/f", &st));
	px_be(t, U1);
	TRY(chmod("d", 0700));
	px_be(t, U2);
	TRY(stat("d/f", &st));
	FD(open("d/f", O_RDONLY));
	TRY(stat("d/none", &st));
}

static void stranger_everything(struct px *t)
{
	const struct timespec ts[2] = { { 1, 0 }, { 1, 0 } };

	px_dir_of(t, "d", U1, 0755);
	px_file_of(t, "d/f", U1, 0644);
	px_be(t, U2);
	FD(open("d/n", O_CREAT | O_RDWR, 0644));
	FD(open("d/f", O_CREAT | O_RDONLY, 0644));
	TRY(mkdir("d/m", 0755));
	TRY(unlink("d/f"));
	TRY(rename("d/f", "d/g"));
	TRY(symlink("x", "d/l"));
	TRY(chmod("d/f", 0666));
	TRY(chmod("d", 0777));
	TRY(chown("d/f", U2, U2));
	TRY(truncate("d/f", 0));
	TRY(utimensat(AT_FDCWD, "d/f", ts, 0));
	TRY(utimensat(AT_FDCWD, "d/f", NULL, 0));
	px_text(t, "d/f");
}

const struct px_case case_perm[] = {
	EVERYONE("file", file_matrix, 0),
	EVERYONE("file", file_matrix, 0400),
	EVERYONE("file", file_matrix, 0200),
	EVERYONE("file", file_matrix, 0640),
	EVERYONE("file", file_matrix, 0060),
	EVERYONE("file", file_matrix, 0006),
	EVERYONE("file", file_matrix, 0755),
	EVERYONE("directory", dir_matrix, 0),
	EVERYONE("directory", dir_matrix, 0700),
	EVERYONE("directory", dir_matrix, 0500),
	EVERYONE("directory", dir_matrix, 0300),
	EVERYONE("directory", dir_matrix, 0100),
	EVERYONE("directory", dir_matrix, 0070),
	EVERYONE("directory", dir_matrix, 0007),
	PX_AS("perm private home", new_file_in_new_dir),
	PX_AS("perm taken away while open", revoked_while_open),
	PX_AS("perm granted and taken back", granted_later),
	PX_AS("perm search taken away after lookup", search_taken_away),
	PX_AS("perm a stranger may do nothing", stranger_everything),
	PX_END,
};
