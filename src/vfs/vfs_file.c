/* vfs_file.c - files under prompts/ beside the FUSE thread: prompts by name, and the images they name */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/auto.h"
#include "base/fdio.h"

#include "base/banned.h"

static int open_name(const struct vfs *v, const char *path, const char *suffix)
{
	struct open_how how = { .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	AUTO_BUF struct buf b = BUF_INIT(64u << 10);
	struct stat st;
	int fd;

	if (buf_adds(&b, path) < 0 || buf_adds(&b, suffix) < 0)
		return -ENOENT;
	fd = (int)syscall(SYS_openat2, v->o.prompts_fd, buf_str(&b), &how, sizeof(how));
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	(void)close(fd); /* read only */
	return -ENOENT;
}

/* runs beside the FUSE thread: only the backing directory is touched, not the table of nodes */
int vfs_file_read(void *vfs, const struct broker_name *name, struct buf *out)
{
	const struct vfs *v = vfs;
	AUTO_FD int fd = -1;

	if (name->root[0])
		return -ENOENT;
	fd = open_name(v, name->path, name->suffix);
	/* a.txt became a.md, which is the same request under another suffix */
	for (const char *const *s = v->o.suffixes; fd < 0 && *s; s++)
		fd = open_name(v, name->path, *s);
	return fd < 0 ? -ENOENT : fdio_read_all(fd, out);
}

int vfs_file_sha(void *vfs, const struct broker_name *name, struct key *out)
{
	const struct vfs *v = vfs;
	AUTO_BUF struct buf b = BUF_INIT((size_t)v->o.max_request_bytes);
	int r = vfs_file_read(vfs, name, &b);

	return r < 0 ? r : key_of(buf_str(&b), b.len, out);
}

/* Links are followed as long as they stay below: an image may well be one. O_NONBLOCK, or a FIFO in the
 * state directory would hold the thread. */
int vfs_file_open(void *vfs, const char *root, const char *path)
{
	const struct vfs *v = vfs;
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd = -1;

	if (root[0])
		return -ENOENT;
	for (int tries = 0; tries < 100; tries++) { /* a rename beside it disturbs a path with .. */
		fd = (int)syscall(SYS_openat2, v->o.prompts_fd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd < 0 ? -errno : fd;
}
