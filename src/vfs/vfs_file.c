/* vfs_file.c - files under prompts/ beside the FUSE thread: prompts by name, and the images they name */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/auto.h"
#include "base/fdio.h"

#include "base/banned.h"

/* a descriptor of the prompts/ of a root, which is closed with put_top; -ENOENT */
static int get_top(const struct vfs *v, const char *root)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	char path[PROMPTS_SPACE_MAX + sizeof("/prompts")];
	int fd;

	if (!root[0])
		return v->o.prompts_fd;
	if (v->o.namespaces_fd < 0 || !prompts_name_space(root))
		return -ENOENT;
	(void)snprintf(path, sizeof(path), "%s/prompts", root); /* cannot be too long */
	fd = (int)syscall(SYS_openat2, v->o.namespaces_fd, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

static void put_top(const struct vfs *v, int fd)
{
	if (fd != v->o.prompts_fd && fd >= 0)
		(void)close(fd); /* O_PATH */
}

static int open_name(int top, const char *path, const char *suffix)
{
	struct open_how how = { .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	AUTO_BUF struct buf b = BUF_INIT(64u << 10);
	struct stat st;
	int fd;

	if (buf_adds(&b, path) < 0 || buf_adds(&b, suffix) < 0)
		return -ENOENT;
	fd = (int)syscall(SYS_openat2, top, buf_str(&b), &how, sizeof(how));
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
	int top = get_top(v, name->root);

	if (top < 0)
		return -ENOENT;
	fd = open_name(top, name->path, name->suffix);
	/* a.txt became a.md, which is the same request under another suffix */
	for (const char *const *s = v->o.suffixes; fd < 0 && *s; s++)
		fd = open_name(top, name->path, *s);
	put_top(v, top);
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
	int fd = -1, top = get_top(v, root), r;

	if (top < 0)
		return top;
	for (int tries = 0; tries < 100; tries++) { /* a rename beside it disturbs a path with .. */
		fd = (int)syscall(SYS_openat2, top, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	r = fd < 0 ? -errno : fd;
	put_top(v, top);
	return r;
}

int vfs_file_make_ns(void *vfs, const char *ns)
{
	const struct vfs *v = vfs;
	char path[PROMPTS_SPACE_MAX + sizeof("/prompts")];

	if (!prompts_name_space(ns))
		return -EINVAL;
	(void)snprintf(path, sizeof(path), "%s/prompts", ns); /* cannot be too long */
	/* two may name it at once; the tree finds it by looking */
	if ((mkdirat(v->o.namespaces_fd, ns, 0755) < 0 && errno != EEXIST) ||
	    (mkdirat(v->o.namespaces_fd, path, 0755) < 0 && errno != EEXIST))
		return -errno;
	return 0;
}
