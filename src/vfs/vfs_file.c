/* vfs_file.c - the file of a prompt by its name, for the recovery of what had been accepted */
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
int vfs_file_sha(void *vfs, const struct broker_name *name, struct key *out)
{
	const struct vfs *v = vfs;
	AUTO_BUF struct buf b = BUF_INIT((size_t)v->o.max_request_bytes);
	AUTO_FD int fd = -1;
	int r;

	if (name->root[0])
		return -ENOENT;
	fd = open_name(v, name->path, name->suffix);
	/* a.txt became a.md, which is the same request under another suffix */
	for (const char *const *s = v->o.suffixes; fd < 0 && *s; s++)
		fd = open_name(v, name->path, *s);
	if (fd < 0)
		return -ENOENT;
	r = fdio_read_all(fd, &b);
	return r < 0 ? r : key_of(buf_str(&b), b.len, out);
}
