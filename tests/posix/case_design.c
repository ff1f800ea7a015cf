/* What the mount refuses by design: hard links, devices, FIFOs, sockets. EPERM, nothing is left.
 * There is no other side to compare with, so these say what is right. */
#include "px.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#define MUST(expr, code)                                                        \
	do {                                                                    \
		errno = 0;                                                      \
		long value_ = (long)(expr);                                     \
		int error_ = errno;                                             \
		px_result(t, #expr, value_);                                    \
		errno = error_;                                                 \
		px_need(t, value_ == -1 && error_ == (code), "must be " #code); \
	} while (0)

static void nothing_left(struct px *t, int expected)
{
	px_need(t, px_list(t, ".") == expected, "nothing may be left behind");
}

static void hard_link(struct px *t)
{
	struct stat st = { 0 };

	px_file(t, "f", "text");
	MUST(link("f", "g"), EPERM);
	px_need(t, !stat("f", &st) && st.st_nlink == 1, "one link");
	nothing_left(t, 1);
}

static void hard_link_kinds(struct px *t)
{
	px_dir(t, "d");
	px_file(t, "d/f", "text");
	px_link(t, "d/f", "l");
	MUST(link("d", "e"), EPERM);
	MUST(linkat(AT_FDCWD, "l", AT_FDCWD, "m", 0), EPERM);
	MUST(linkat(AT_FDCWD, "l", AT_FDCWD, "m", AT_SYMLINK_FOLLOW), EPERM);
	MUST(link("d/f", "f"), EPERM);
	nothing_left(t, 2);
}

static void hard_link_errors(struct px *t)
{
	px_file(t, "f", "text");
	px_file(t, "g", "text");
	/* the kernel looks before it asks */
	MUST(link("f", "g"), EEXIST);
	MUST(link("none", "h"), ENOENT);
	MUST(link("f", "none/h"), ENOENT);
	nothing_left(t, 2);
}

static void fifo(struct px *t)
{
	MUST(mkfifo("p", 0644), EPERM);
	MUST(mknod("p", S_IFIFO | 0600, 0), EPERM);
	nothing_left(t, 0);
}

static void devices(struct px *t)
{
	MUST(mknod("c", S_IFCHR | 0600, makedev(1, 3)), EPERM);
	MUST(mknod("b", S_IFBLK | 0600, makedev(7, 0)), EPERM);
	nothing_left(t, 0);
}

static void sockets(struct px *t)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "s" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	px_need(t, fd >= 0, "socket");
	MUST(mknod("s", S_IFSOCK | 0600, 0), EPERM);
	MUST(bind(fd, (const struct sockaddr *)&a, sizeof(a)), EPERM);
	nothing_left(t, 0);
}

static void whiteout(struct px *t)
{
	px_file(t, "f", "text");
	MUST(renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_WHITEOUT), EINVAL);
	nothing_left(t, 1);
}

/* mknod of a regular file is only another create */
static void regular_node(struct px *t)
{
	struct stat st = { 0 };

	px_need(t, !mknod("f", S_IFREG | 0640, 0) && !stat("f", &st), "mknod");
	px_need(t, S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0640 && !st.st_size,
		"plain file");
	MUST(mknod("f", S_IFREG | 0640, 0), EEXIST);
	nothing_left(t, 1);
}

#define ROW(name, fn)                                   \
	{                                               \
		"design " name, fn, PX_FUSE, NULL, NULL \
	}

const struct px_case case_design[] = {
	ROW("hard link EPERM", hard_link),
	ROW("hard link of every kind EPERM", hard_link_kinds),
	ROW("hard link EEXIST and ENOENT", hard_link_errors),
	ROW("FIFO EPERM", fifo),
	{ "design devices EPERM", devices, PX_FUSE | PX_ROOT, NULL, NULL },
	ROW("sockets EPERM", sockets),
	{ "design RENAME_WHITEOUT EINVAL", whiteout, PX_FUSE | PX_ROOT, NULL, NULL },
	ROW("mknod of a regular file", regular_node),
	PX_END,
};
