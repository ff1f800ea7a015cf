/*
 * disk_root.c - the open directory of a disk store, found again when it went away
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "store/disk_name.h"
#include "store/disk_root.h"

#include "base/banned.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* A writer holds a lock on its temporary file, so one that can be locked has lost its writer. */
static void sweep_one(int tmpfd, const char *name)
{
	AUTO_FD int fd = openat(tmpfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(tmpfd, name, 0); /* a leftover only costs its bytes */
}

static void sweep_temps(int rootfd)
{
	int fd = openat(rootfd, DISK_NAME_TMP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		if (fd >= 0)
			(void)close(fd); /* only read */
		return;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			sweep_one(dirfd(d), e->d_name);
	(void)closedir(d); /* only read */
}

static bool is_fuse(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC;
}

/* Called without the lock: the disk may take its time. */
static int open_dir(const struct disk_place *p, int *out_fd)
{
	int fd, rc = fdio_mkdirs(AT_FDCWD, p->dir, 0700);

	if (rc)
		return rc;
	fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (p->seen && !p->on_fuse && is_fuse(fd)) {
		(void)close(fd); /* our own mount may lie over the path now */
		return -ENODEV;
	}
	/* a store that can only be read is still a store */
	(void)mkdirat(fd, DISK_NAME_OBJECTS, 0700);
	(void)mkdirat(fd, DISK_NAME_TMP, 0700);
	sweep_temps(fd);
	*out_fd = fd;
	return 0;
}

static int absolute(const char *dir, char **out)
{
	AUTO_FREE char *cwd = NULL;
	char *path;

	if (*dir == '/') {
		path = strdup(dir);
	} else {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return -errno;
		path = str_printf("%s/%s", cwd, dir);
	}
	if (!path)
		return -ENOMEM;
	*out = path;
	return 0;
}

static void put_locked(struct disk_root *r)
{
	if (--r->refs)
		return;
	(void)close(r->fd); /* a directory: nothing is buffered */
	free(r);
}

/* Two threads may have opened it at once: the first one's stays. */
static int install(struct disk_place *p, int fd, struct disk_root **out)
{
	struct disk_root *r = calloc(1, sizeof(*r));

	if (!r) {
		(void)close(fd); /* a directory: nothing is buffered */
		return -ENOMEM;
	}
	r->fd = fd;
	r->refs = 1;
	LOCK_SCOPE(&p->lock);
	if (p->root) {
		put_locked(r);
	} else {
		p->root = r;
		p->seen = true;
	}
	*out = p->root;
	p->root->refs++;
	return 0;
}

int disk_root_start(struct disk_place *p, const char *dir, struct err *e)
{
	struct disk_root *r;
	int rc = 0;

	if (!*dir)
		return err_set(e, ERR_REQUEST, "cache disk: name a directory, disk:DIR");
	if (strlen(dir) >= PATH_MAX - DISK_NAME_MAX)
		return err_sys(e, ENAMETOOLONG, "cache disk: the directory's name");
	rc = absolute(dir, &p->dir);
	if (rc)
		return err_sys(e, -rc, "cache disk: %s", dir);
	lock_init(&p->lock, LOCK_LEAF);
	rc = disk_root_take(p, true, &r);
	if (rc) {
		(void)err_sys(e, -rc, "cache disk: the directory %s cannot be used now", p->dir);
		return 0;
	}
	p->on_fuse = is_fuse(r->fd);
	if (faccessat(r->fd, DISK_NAME_OBJECTS, W_OK, 0) < 0)
		(void)err_sys(e, errno, "cache disk: the directory %s cannot be written", p->dir);
	disk_root_put(p, r);
	return 0;
}

int disk_root_take(struct disk_place *p, bool may_block, struct disk_root **out)
{
	int fd = -1, rc;

	lock_take(&p->lock);
	if (p->root) {
		*out = p->root;
		p->root->refs++;
		lock_drop(&p->lock);
		return 0;
	}
	lock_drop(&p->lock);
	if (!may_block)
		return -EAGAIN;
	rc = open_dir(p, &fd);
	return rc ? rc : install(p, fd, out);
}

void disk_root_put(struct disk_place *p, struct disk_root *r)
{
	LOCK_SCOPE(&p->lock);
	put_locked(r);
}

bool disk_root_gone(const struct disk_root *r, int rc)
{
	struct stat st;

	if (rc == -ENOENT)
		return fstat(r->fd, &st) < 0 || st.st_nlink == 0;
	return rc == -ESTALE || rc == -ENODEV || rc == -ENOTCONN || rc == -EIO;
}

void disk_root_drop(struct disk_place *p, struct disk_root *r)
{
	LOCK_SCOPE(&p->lock);
	if (p->root != r)
		return;
	p->root = NULL;
	put_locked(r);
}

void disk_root_stop(struct disk_place *p)
{
	if (!p->dir)
		return;
	if (p->root)
		put_locked(p->root);
	free(p->dir);
	lock_done(&p->lock);
}
