/* vfs_file.c - files under prompts/ beside the FUSE thread: prompts by name, and the images they name */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/auto.h"
#include "base/fdio.h"

#include "base/banned.h"

#define PIECE (16u << 10)

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

/* Runs beside the FUSE thread: only the backing directory is touched, not the table of nodes. a.txt may have
 * become a.md, which is the same request under another suffix. */
static int open_prompt(const struct vfs *v, const struct broker_name *name)
{
	int top = get_top(v, name->root), fd;

	if (top < 0)
		return -ENOENT;
	fd = open_name(top, name->path, name->suffix);
	for (const char *const *s = v->o.suffixes; fd < 0 && *s; s++)
		fd = open_name(top, name->path, *s);
	put_top(v, top);
	return fd < 0 ? -ENOENT : fd;
}

int vfs_file_read(void *vfs, const struct broker_name *name, struct buf *out)
{
	AUTO_FD int fd = open_prompt(vfs, name);

	return fd < 0 ? fd : fdio_read_all(fd, out);
}

/* a file of many requests may be longer than memory */
int vfs_file_sha(void *vfs, const struct broker_name *name, struct key *out)
{
	AUTO_FD int fd = open_prompt(vfs, name);
	char piece[PIECE];
	struct key_sum *sum;
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return fd;
	sum = key_sum_new();
	if (!sum)
		return -ENOMEM;
	do {
		n = read(fd, piece, sizeof(piece));
		if (n < 0 && errno != EINTR)
			r = -errno;
		else if (n > 0)
			r = key_sum_add(sum, piece, (size_t)n);
	} while (!r && n != 0);
	if (!r)
		return key_sum_end(sum, out);
	(void)key_sum_end(sum, NULL); /* the failure is told already */
	return r;
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
