/*
 * fdio.c - whole files, safely
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"

#include "base/banned.h"

enum { CHUNK = 64 * 1024, TREE_DEPTH_MAX = 200 };

static int open_retry(int dirfd, const char *path, int flags, mode_t mode)
{
	int fd;

	do {
		fd = openat(dirfd, path, flags | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/* What is left of the maximum; at the maximum one byte more is asked for, to tell "full" from "too
 * long". */
static ssize_t read_some(int fd, struct buf *b, int nowait_flags)
{
	size_t room = b->max - b->len;
	char extra;
	struct iovec v = { &extra, 1 };
	ssize_t n;
	int rc;

	if (room) {
		rc = buf_reserve(b, room < CHUNK ? room : CHUNK);
		if (rc)
			return rc;
		v.iov_base = b->data + b->len;
		v.iov_len = room < CHUNK ? room : CHUNK;
	}
	do {
		n = nowait_flags ? preadv2(fd, &v, 1, -1, nowait_flags) : readv(fd, &v, 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EOPNOTSUPP && nowait_flags ? -EAGAIN : -errno;
	if (!room)
		return n ? -EFBIG : 0;
	b->len += (size_t)n;
	b->data[b->len] = '\0';
	return n;
}

static int read_rest(int fd, struct buf *b, int nowait_flags)
{
	struct stat st;
	ssize_t n;

	/* one allocation for a plain file; its size is only a hint */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > CHUNK &&
	    (uint64_t)st.st_size <= b->max - b->len) {
		int rc = buf_reserve(b, (size_t)st.st_size);

		if (rc)
			return rc;
	}
	do {
		n = read_some(fd, b, nowait_flags);
	} while (n > 0);
	return (int)n;
}

int fdio_read_all(int fd, struct buf *b)
{
	return read_rest(fd, b, 0);
}

int fdio_read_file(int dirfd, const char *path, struct buf *b)
{
	AUTO_FD int fd = open_retry(dirfd, path, O_RDONLY | O_NOCTTY, 0);

	return fd < 0 ? fd : read_rest(fd, b, 0);
}

int fdio_read_file_nowait(int dirfd, const char *path, struct buf *b)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
				.resolve = RESOLVE_CACHED };
	AUTO_FD int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	size_t before = b->len;
	int rc;

	if (fd < 0) /* EINVAL: a kernel before 5.12; ENOSYS: before 5.6, or a seccomp filter */
		return errno == EINVAL || errno == ENOSYS || errno == EPERM || errno == E2BIG ||
				       errno == EINTR
			       ? -EAGAIN
			       : -errno;
	rc = read_rest(fd, b, RWF_NOWAIT);
	if (rc == -EAGAIN) { /* half a file is nobody's */
		b->len = before;
		if (b->data)
			b->data[before] = '\0';
	}
	return rc;
}

int fdio_write_all(int fd, const void *p, size_t n)
{
	const char *c = p;

	while (n) {
		ssize_t done = write(fd, c, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		c += done;
		n -= (size_t)done;
	}
	return 0;
}

/* "" for a bare name: then the directory is dirfd itself. */
static int parent_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) + 1 : 0;

	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out, path, n);
	out[n] = '\0';
	return 0;
}

/* Beside the target, because a rename does not cross file systems. */
static int make_temp(int dirfd, const char *path, mode_t mode, char out_name[PATH_MAX])
{
	static atomic_uint counter;
	char dir[PATH_MAX];
	int fd, rc = parent_of(path, dir);

	if (rc)
		return rc;
	do { /* a name left by a dead process with our number only costs a turn */
		int n = snprintf(out_name, PATH_MAX, "%s" FDIO_TMP_PREFIX "%ld-%u", dir,
				 (long)getpid(), atomic_fetch_add(&counter, 1));

		if (n < 0 || n >= PATH_MAX)
			return -ENAMETOOLONG;
		fd = open_retry(dirfd, out_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	} while (fd == -EEXIST);
	return fd;
}

static int fill_temp(int fd, const void *p, size_t n, unsigned flags)
{
	int rc = fdio_write_all(fd, p, n);

	if (!rc && (flags & FDIO_SYNC) && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && !rc && errno != EINTR)
		rc = -errno; /* NFS tells a full disk only here */
	return rc;
}

/* On success the temporary name is gone, whichever way it was published. */
static int publish(int dirfd, const char *tmp, const char *path, unsigned flags)
{
	if (!(flags & FDIO_EXCL))
		return renameat(dirfd, tmp, dirfd, path) < 0 ? -errno : 0;
	if (linkat(dirfd, tmp, dirfd, path, 0) == 0) {
		(void)unlinkat(dirfd, tmp, 0); /* the file is there; a leftover name only costs */
		return 0;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	/* FAT and some network file systems have no links */
	return renameat2(dirfd, tmp, dirfd, path, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int fdio_put(int dirfd, const char *path, const void *p, size_t n, unsigned flags, mode_t mode)
{
	char tmp[PATH_MAX];
	int fd = make_temp(dirfd, path, mode, tmp), rc;

	if (fd < 0)
		return fd;
	rc = fill_temp(fd, p, n, flags);
	if (!rc)
		rc = publish(dirfd, tmp, path, flags);
	if (rc) {
		(void)unlinkat(dirfd, tmp, 0); /* the first failure is the one to tell */
		return rc;
	}
	return flags & FDIO_SYNC ? fdio_sync_parent(dirfd, path) : 0;
}

static int mkdir_one(int dirfd, const char *path, mode_t mode)
{
	struct stat st;
	int code;

	if (mkdirat(dirfd, path, mode) == 0)
		return 0;
	code = errno;
	if (code != EEXIST && code != EROFS && code != EACCES)
		return -code;
	/* why it could not be made says more than that it is not there */
	if (fstatat(dirfd, path, &st, 0) < 0)
		return errno == ENOENT && code != EEXIST ? -code : -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int fdio_mkdirs(int dirfd, const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	int rc = 0;

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	if (!n)
		return -ENOENT;
	for (size_t i = 1; i <= n && !rc; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		rc = mkdir_one(dirfd, part, mode);
	}
	return rc;
}

int fdio_sync_parent(int dirfd, const char *path)
{
	char dir[PATH_MAX];
	int rc = parent_of(path, dir);
	AUTO_FD int fd = rc ? rc : open_retry(dirfd, *dir ? dir : ".", O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fd;
	if (fsync(fd) < 0 && errno != EINVAL) /* EINVAL: this file system has no such sync */
		return -errno;
	return 0;
}

static int remove_at(int dirfd, const char *name, unsigned depth);

static int remove_entries(DIR *d, unsigned depth)
{
	const struct dirent *e;
	int rc = 0;

	while (!rc && (errno = 0, e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = remove_at(dirfd(d), e->d_name, depth + 1);
	return rc ? rc : -errno;
}

static int remove_dir(int dirfd, const char *name, unsigned depth)
{
	int rc, fd = open_retry(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	DIR *d;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	d = fdopendir(fd);
	if (!d) {
		rc = -errno;
		(void)close(fd); /* only read */
		return rc;
	}
	rc = remove_entries(d, depth);
	(void)closedir(d); /* only read */
	if (rc)
		return rc;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_at(int dirfd, const char *name, unsigned depth)
{
	if (depth > TREE_DEPTH_MAX)
		return -ELOOP; /* each level holds a descriptor */
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	return remove_dir(dirfd, name, depth);
}

int fdio_remove_tree(int dirfd, const char *path)
{
	return remove_at(dirfd, path, 0);
}
