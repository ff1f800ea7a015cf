/*
 * engine_tmp.c - the disk engine in a private directory that goes with its daemon
 *
 * The directory's descriptor carries a lock while its daemon lives; one below $TMPDIR that can be
 * locked was left behind by a dead one and is removed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "store/engine_url.h"
#include "store/registry.h"

#include "base/banned.h"

#define DIR_PREFIX "inferfs-tmp."

enum { TRIES = 16 };

struct tmp {
	void *disk;
	int parent; /* of the private directory */
	int lock;   /* the directory itself, locked */
	char *path; /* absolute */
};

static const char *name_of(const struct tmp *t)
{
	return strrchr(t->path, '/') + 1;
}

static void sweep_one(int parent, const char *name)
{
	AUTO_FD int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid())
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)fdio_remove_tree(parent, name); /* tried again by the next one */
}

static void sweep(int parent)
{
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		if (fd >= 0)
			(void)close(fd); /* only read */
		return;
	}
	while ((e = readdir(d)))
		if (str_starts(e->d_name, DIR_PREFIX))
			sweep_one(parent, e->d_name);
	(void)closedir(d); /* only read */
}

/* A sweeper may have had the new directory before it was locked: then it has no name any more. */
static int make_once(struct tmp *t, const char *base)
{
	char *path = str_printf("%s/" DIR_PREFIX "%ld.XXXXXX", base, (long)getpid());
	struct stat st;

	if (!path)
		return -ENOMEM;
	if (!mkdtemp(path)) {
		free(path);
		return -errno;
	}
	free(t->path); /* of the last try */
	t->path = path;
	if (t->lock >= 0)
		(void)close(t->lock); /* only locked */
	t->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->lock < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	while (flock(t->lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	return fstat(t->lock, &st) < 0 || st.st_nlink == 0 ? -EAGAIN : 0;
}

static int make_dir(struct tmp *t)
{
	const char *base = getenv("TMPDIR"); /* read once, before there are threads */
	int rc = -EAGAIN;

	if (!base || *base != '/')
		base = "/tmp";
	t->parent = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->parent < 0)
		return -errno;
	sweep(t->parent);
	for (int i = 0; i < TRIES && rc == -EAGAIN; i++)
		rc = make_once(t, base);
	return rc;
}

static void tmp_close(void *engine)
{
	struct tmp *t = engine;

	if (!t)
		return;
	if (t->disk)
		engine_disk.close(t->disk);
	if (t->path && t->parent >= 0)
		(void)fdio_remove_tree(t->parent, name_of(t)); /* else the next start does it */
	if (t->lock >= 0)
		(void)close(t->lock); /* only locked */
	if (t->parent >= 0)
		(void)close(t->parent); /* only read */
	free(t->path);
	free(t);
}

static int check(const char *url, struct err *e)
{
	static const char *const known[] = { "ttl", "timeout_ms", "sync", "max_bytes", NULL };
	struct engine_url u;
	int rc = engine_url_parse(url, &u, e);

	if (rc)
		return rc;
	rc = engine_url_known(&u, known, e);
	if (!rc && *u.path)
		rc = err_set(e, ERR_REQUEST,
			     "cache tmp: it makes its own directory below TMPDIR; for "
			     "one of yours write disk:%s",
			     u.path);
	else if (!rc && engine_url_get(&u, "max_bytes"))
		rc = err_set(e, ERR_UNSUPPORTED, "cache tmp: max_bytes comes in a later version");
	engine_url_done(&u);
	return rc;
}

static int open_in(struct tmp *t, char *why, size_t why_len)
{
	AUTO_FREE char *url = t->path ? str_printf("disk:%s", t->path) : NULL;

	/* a ? in TMPDIR would begin the options */
	if (url && strchr(url, '?'))
		return -EINVAL;
	return url ? engine_disk.open(url, &t->disk, why, why_len) : -ENOMEM;
}

static int tmp_open(const char *url, void **out_engine, char *why, size_t why_len)
{
	struct err e = { 0 };
	struct tmp *t = calloc(1, sizeof(*t));
	int rc = t ? check(url, &e) : -ENOMEM;

	if (!t)
		return rc;
	t->parent = t->lock = -1;
	if (!rc) {
		rc = make_dir(t);
		if (rc)
			rc = err_sys(&e, -rc, "cache tmp: no directory can be made below TMPDIR");
	}
	str_copy(why, why_len, e.message);
	if (!rc)
		rc = open_in(t, why, why_len);
	if (rc) {
		tmp_close(t);
		return rc;
	}
	*out_engine = t;
	return 0;
}

static int tmp_get(void *engine, const struct cache_key *key, uint32_t index, unsigned flags,
		   unsigned deadline_ms, struct cache_bytes *out)
{
	const struct tmp *t = engine;

	return engine_disk.get(t->disk, key, index, flags, deadline_ms, out);
}

static int tmp_put_new(void *engine, const struct cache_key *key, uint32_t index,
		       const struct cache_bytes *bytes, uint64_t ttl_s, unsigned deadline_ms)
{
	const struct tmp *t = engine;

	return engine_disk.put_new(t->disk, key, index, bytes, ttl_s, deadline_ms);
}

static int tmp_count(void *engine, const struct cache_key *key, unsigned deadline_ms, uint32_t *out)
{
	const struct tmp *t = engine;

	return engine_disk.count(t->disk, key, deadline_ms, out);
}

static int tmp_remove(void *engine, const struct cache_key *key, uint32_t index,
		      unsigned deadline_ms)
{
	const struct tmp *t = engine;

	return engine_disk.remove(t->disk, key, index, deadline_ms);
}

static int tmp_list(void *engine, const char *prefix, const struct cache_name *after, size_t max,
		    struct cache_name *out, size_t *out_n)
{
	const struct tmp *t = engine;

	return engine_disk.list(t->disk, prefix, after, max, out, out_n);
}

static int tmp_export_link(void *engine, const struct cache_key *key, uint32_t index, int dirfd,
			   const char *name)
{
	const struct tmp *t = engine;

	return engine_disk.export_link(t->disk, key, index, dirfd, name);
}

static int tmp_put_link(void *engine, const struct cache_key *key, uint32_t index, int dirfd,
			const char *name, uint64_t ttl_s)
{
	const struct tmp *t = engine;

	return engine_disk.put_link(t->disk, key, index, dirfd, name, ttl_s);
}

static int tmp_set_aside(void *engine, const struct cache_key *key, uint32_t index)
{
	const struct tmp *t = engine;

	return engine_disk.set_aside(t->disk, key, index);
}

const struct cache_engine engine_tmp = {
	.size = sizeof(struct cache_engine),
	.api = CACHE_ENGINE_API,
	.name = "tmp",
	.open = tmp_open,
	.get = tmp_get,
	.put_new = tmp_put_new,
	.count = tmp_count,
	.remove = tmp_remove,
	.list = tmp_list,
	.close = tmp_close,
	.export_link = tmp_export_link,
	.put_link = tmp_put_link,
	.set_aside = tmp_set_aside,
};
