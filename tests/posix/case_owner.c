/* chown(2) and its kin: who may give what to whom. */
#include "px.h"

#define NO_UID ((uid_t)-1)
#define NO_GID ((gid_t)-1)

static void by_root(struct px *t)
{
	px_file(t, "f", "text");
	px_dir(t, "d");
	TRY(chown("f", U1, U2));
	px_stat(t, "f");
	TRY(chown("f", NO_UID, U1));
	px_stat(t, "f");
	TRY(chown("f", U2, NO_GID));
	px_stat(t, "f");
	TRY(chown("f", NO_UID, NO_GID));
	TRY(chown("d", U2, U1));
	px_stat(t, "d");
	TRY(chown("f", 0, 0));
	TRY(chown("d", 12345678, 87654321));
}

static void by_root_clears(struct px *t)
{
	px_file_of(t, "x", U1, 06755);
	px_file_of(t, "noexec", U1, 06644);
	px_file_of(t, "same", U1, 06755);
	px_file_of(t, "none", U1, 06755);
	TRY(chown("x", U2, U2));
	TRY(chown("noexec", U2, U2));
	TRY(chown("same", U1, U1));
	TRY(chown("none", NO_UID, NO_GID));
}

static void by_owner(struct px *t)
{
	px_file_of(t, "f", U2, 06755);
	px_be_group(t, U2, U2, U1);
	TRY(chown("f", U1, NO_GID));
	TRY(chown("f", U2, NO_GID));
	px_stat(t, "f");
	TRY(chown("f", NO_UID, U1));
	px_stat(t, "f");
	TRY(chown("f", NO_UID, 12345));
	TRY(chown("f", U2, U2));
	TRY(chown("f", U1, U2));
	px_stat(t, "f");
}

static void group_not_mine(struct px *t)
{
	px_file_of(t, "f", U2, 0755);
	px_be(t, U2);
	TRY(chown("f", NO_UID, U1));
	TRY(chown("f", NO_UID, 0));
	TRY(chown("f", NO_UID, U2));
}

static void group_change_clears(struct px *t)
{
	px_file_of(t, "f", U2, 06755);
	px_file_of(t, "g", U2, 02644);
	px_dir_of(t, "d", U2, 02755);
	px_be_group(t, U2, U2, U1);
	TRY(chown("f", NO_UID, U1));
	px_stat(t, "f");
	TRY(chown("g", NO_UID, U1));
	px_stat(t, "g");
	TRY(chown("d", NO_UID, U1));
	px_stat(t, "d");
}

static void nothing_by_owner(struct px *t)
{
	px_file_of(t, "f", U2, 06755);
	px_be(t, U2);
	TRY(chown("f", NO_UID, NO_GID));
	px_stat(t, "f");
}

static void by_stranger(struct px *t)
{
	int fd;

	px_file_of(t, "f", U1, 0666);
	px_be(t, U2);
	TRY(chown("f", U2, U2));
	TRY(chown("f", NO_UID, U2));
	TRY(chown("f", U1, U1));
	TRY(chown("f", NO_UID, NO_GID));
	fd = FD(open("f", O_RDWR));
	TRY(fchown(fd, U2, NO_GID));
}

static void links(struct px *t)
{
	px_file(t, "f", "text");
	px_link(t, "f", "l");
	px_link(t, "none", "dang");
	TRY(lchown("l", U1, U1));
	px_stat(t, "l");
	px_stat(t, "f");
	TRY(chown("l", U2, U2));
	px_stat(t, "l");
	px_stat(t, "f");
	TRY(chown("dang", U1, U1));
	TRY(lchown("dang", U1, U2));
	TRY(fchownat(AT_FDCWD, "l", 0, 0, AT_SYMLINK_NOFOLLOW));
	px_stat(t, "l");
}

static void links_by_owner(struct px *t)
{
	px_dir_of(t, "d", U2, 0755);
	px_be_group(t, U2, U2, U1);
	TRY(symlink("x", "d/l"));
	px_stat(t, "d/l");
	TRY(lchown("d/l", NO_UID, U1));
	TRY(lchown("d/l", U1, NO_GID));
	px_stat(t, "d/l");
	px_be(t, U1);
	TRY(lchown("d/l", NO_UID, U1));
}

static void descriptors(struct px *t)
{
	int fd, path;

	px_file(t, "f", "text");
	fd = FD(open("f", O_RDONLY));
	path = FD(open("f", O_PATH));
	TRY(fchown(fd, U1, U2));
	px_stat(t, "f");
	TRY(fchown(path, U1, U1));
	TRY(fchownat(fd, "", U2, U2, AT_EMPTY_PATH));
	px_fstat(t, fd);
	TRY(fchown(999, U1, U1));
}

static void errors(struct px *t)
{
	px_file(t, "f", "text");
	px_link(t, "loop", "loop");
	TRY(chown("none", U1, U1));
	TRY(chown("f/x", U1, U1));
	TRY(chown("loop", U1, U1));
	TRY(fchownat(AT_FDCWD, "f", U1, U1, 0x8000));
	TRY(chown("", U1, U1));
}

static void new_owner_rights(struct px *t)
{
	px_file_of(t, "f", U1, 0600);
	px_be(t, U2);
	FD(open("f", O_RDWR));
	px_be(t, 0);
	TRY(chown("f", U2, U2));
	px_be(t, U2);
	FD(open("f", O_RDWR));
	TRY(chmod("f", 0400));
	px_be(t, U1);
	FD(open("f", O_RDONLY));
	TRY(chmod("f", 0666));
}

static void while_open(struct px *t)
{
	int fd;

	px_file_of(t, "f", U1, 0600);
	px_be(t, U1);
	fd = FD(open("f", O_RDWR));
	px_be(t, 0);
	TRY(chown("f", U2, U2));
	px_be(t, U1);
	PUT(fd, "mine no more");
	TRY(fchmod(fd, 0666));
	px_fstat(t, fd);
}

const struct px_case case_owner[] = {
	PX_AS("chown by root, -1 keeps", by_root),
	PX_AS("chown by root clears set-id bits", by_root_clears),
	PX_AS("chown by owner", by_owner),
	PX_AS("chown to a group of others", group_not_mine),
	PX_AS("chown of the group clears set-id bits", group_change_clears),
	PX_AS("chown of nothing by owner", nothing_by_owner),
	PX_AS("chown by stranger EPERM", by_stranger),
	PX_AS("chown and lchown of links", links),
	PX_AS("chown of one's own link", links_by_owner),
	PX_AS("chown by descriptor", descriptors),
	PX_AS("chown errors", errors),
	PX_AS("chown moves the rights", new_owner_rights),
	PX_AS("chown while open", while_open),
	PX_END,
};
