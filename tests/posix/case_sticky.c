/* Sticky directories and setgid directories. */
#include "px.h"

/* who may remove: the file's owner, the directory's owner, root, and nobody else */
struct row {
	uid_t dir, file, who;
};

static void matrix(struct px *t)
{
	const struct row *r = t->arg;

	px_dir_of(t, "d", r->dir, 01777);
	px_file_of(t, "d/u", r->file, 0666);
	px_file_of(t, "d/r", r->file, 0666);
	px_file_of(t, "d/x", r->file, 0666);
	px_dir_of(t, "d/e", r->file, 0777);
	px_dir_of(t, "out", r->who, 0777);
	px_file_of(t, "d/over", r->file, 0666);
	px_be(t, r->who);
	px_need(t, close(open("d/mine", O_CREAT | O_WRONLY, 0644)) == 0, "d/mine");
	TRY(unlink("d/u"));
	TRY(rename("d/r", "d/r2"));
	TRY(rename("d/x", "out/x"));
	TRY(rmdir("d/e"));
	TRY(rename("d/mine", "d/over"));
	TRY(renameat2(AT_FDCWD, "d/mine", AT_FDCWD, "d/over", RENAME_EXCHANGE));
	TRY(unlink("d/mine"));
}

#define ROW(what, dir, file, who)                                                            \
	{                                                                                    \
		"sticky " what, matrix, PX_ROOT, &(const struct row){ dir, file, who }, NULL \
	}

static void into_sticky(struct px *t)
{
	px_dir_of(t, "d", 0, 01777);
	px_dir_of(t, "home", U2, 0755);
	px_file_of(t, "home/f", U2, 0644);
	px_file_of(t, "d/g", U1, 0666);
	px_be(t, U2);
	TRY(rename("home/f", "d/f"));
	TRY(rename("d/f", "d/g"));
	TRY(rename("d/f", "home/f"));
}

static void write_in_sticky(struct px *t)
{
	int fd;

	px_dir_of(t, "d", 0, 01777);
	px_file_of(t, "d/f", U1, 0666);
	px_be(t, U2);
	/* content is not protected by the bit; O_CREAT in world-writable ones may be, by sysctl */
	fd = FD(open("d/f", O_RDWR));
	PUT(fd, "abc");
	TRY(truncate("d/f", 2));
}

static void set_by_owner(struct px *t)
{
	px_dir_of(t, "d", U2, 0755);
	px_file_of(t, "f", U2, 0644);
	px_be(t, U2);
	TRY(chmod("d", 01777));
	TRY(chmod("f", 01644));
	px_be(t, U1);
	TRY(chmod("d", 0777));
	TRY(unlink("d"));
}

static void setgid_inherits(struct px *t)
{
	px_dir_of(t, "d", U1, 02777);
	px_be(t, U2);
	FD(open("d/f", O_CREAT | O_RDWR, 0664));
	TRY(mkdir("d/e", 0755));
	TRY(symlink("f", "d/l"));
	px_stat(t, "d/l");
	FD(open("d/e/f", O_CREAT | O_RDWR, 0644));
	TRY(mkdir("d/e/e", 0700));
}

static void setgid_inherits_root(struct px *t)
{
	px_dir_of(t, "d", U1, 02755);
	FD(open("d/f", O_CREAT | O_RDWR, 0644));
	TRY(mkdir("d/e", 0755));
	TRY(symlink("f", "d/l"));
	px_stat(t, "d/l");
	FD(open("d/e/f", O_CREAT | O_RDWR, 0644));
}

static void setgid_member(struct px *t)
{
	px_dir_of(t, "d", U1, 02777);
	umask(0);
	/* an executable setgid file of a group one is not in would be a gift of that group */
	px_be(t, U2);
	FD(open("d/stranger", O_CREAT | O_RDWR, 02775));
	FD(open("d/stranger-noexec", O_CREAT | O_RDWR, 02664));
	px_be_group(t, U2, U2, U1);
	FD(open("d/member", O_CREAT | O_RDWR, 02775));
	px_be(t, 0);
	FD(open("d/root", O_CREAT | O_RDWR, 02775));
}

static void setgid_plain_parent(struct px *t)
{
	px_dir_of(t, "d", U1, 0777);
	umask(0);
	px_be(t, U2);
	FD(open("d/f", O_CREAT | O_RDWR, 06775));
	TRY(mkdir("d/e", 02775));
}

static void setgid_moved(struct px *t)
{
	px_dir_of(t, "d", U1, 02777);
	px_dir_of(t, "home", U2, 0777);
	px_file_of(t, "home/f", U2, 0644);
	px_dir_of(t, "home/e", U2, 0755);
	px_be(t, U2);
	TRY(rename("home/f", "d/f"));
	TRY(rename("home/e", "d/e"));
	FD(open("d/e/plain", O_CREAT | O_RDWR, 0644));
}

static void setgid_and_sticky(struct px *t)
{
	px_dir_of(t, "d", U1, 03777);
	px_be(t, U2);
	TRY(mkdir("d/e", 0777));
	FD(open("d/f", O_CREAT | O_RDWR, 0666));
	px_be_group(t, U2 - 100, U1, 0);
	TRY(unlink("d/f"));
	TRY(rmdir("d/e"));
}

static void setgid_chmod_dir(struct px *t)
{
	px_dir_of(t, "d", U2, 0755);
	px_dir_of(t, "foreign", U2, 0755);
	px_need(t, !chown("foreign", U2, U1), "chown");
	px_be(t, U2);
	TRY(chmod("d", 02755));
	TRY(chmod("foreign", 02755));
	px_stat(t, "foreign");
}

const struct px_case case_sticky[] = {
	ROW("owner of the file", 0, U2, U2),
	ROW("owner of the directory", U2, U1, U2),
	ROW("stranger, directory of root", 0, U1, U2),
	ROW("stranger, one owner of both", U1, U1, U2),
	ROW("file of root", U1, 0, U2),
	ROW("root", U1, U2, 0),
	PX_AS("sticky moving in and out", into_sticky),
	PX_AS("sticky does not protect content", write_in_sticky),
	PX_AS("sticky set by owner", set_by_owner),
	PX_AS("setgid directory: group is inherited", setgid_inherits),
	PX_AS("setgid directory: root creates", setgid_inherits_root),
	PX_AS("setgid directory: setgid files", setgid_member),
	PX_AS("setgid plain parent keeps suid and sgid", setgid_plain_parent),
	PX_AS("setgid directory: moved files keep their group", setgid_moved),
	PX_AS("setgid and sticky together", setgid_and_sticky),
	PX_AS("setgid directory: chmod by owner", setgid_chmod_dir),
	PX_END,
};
