/*
 * engine_disk.c - one file a sample in a directory that ordinary tools can read, copy and search
 *
 * A sample appears under its name whole and once: it is written under a temporary name and moved
 * there without replacing, so several daemons may share the directory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "base/str.h"
#include "store/disk_name.h"
#include "store/disk_root.h"
#include "store/disk_walk.h"
#include "store/engine_url.h"
#include "store/registry.h"

#include "base/banned.h"

enum { TRIES = 8 };

struct disk {
	struct disk_place place;
	bool sync;
	atomic_uint seq; /* of temporary names */
};

/* one operation with what it needs; run() gives it the directory */
struct call {
	struct disk *d;
	const struct cache_key *key;
	uint32_t index;
	unsigned flags;
	const struct cache_bytes *bytes; /* put */
	struct buf *got;		 /* get */
	int fd;				 /* put_link, export_link: the other side */
	const char *name;
	uint32_t count;
	struct disk_walk walk;
};

/* ---- open ---- */

/* What is asked for and would not be in force is refused, not ignored. */
static int check_options(const struct engine_url *u, bool *out_sync, struct err *e)
{
	static const char *const known[] = { "ttl",	  "timeout_ms", "sync",
					     "max_bytes", "prefix",	NULL };
	const char *sync = engine_url_get(u, "sync");
	int rc = engine_url_known(u, known, e);

	if (rc)
		return rc;
	if (engine_url_get(u, "max_bytes"))
		return err_set(
			e, ERR_UNSUPPORTED,
			"cache disk: max_bytes comes in a later version; without it the store "
			"grows until it is cleared (rm -r cache/*)");
	if (engine_url_get(u, "prefix"))
		return err_set(e, ERR_UNSUPPORTED,
			       "cache disk: prefix is for other engines; name another directory");
	if (sync && strcmp(sync, "yes") != 0 && strcmp(sync, "no") != 0)
		return err_set(e, ERR_REQUEST, "cache disk: sync is yes or no, not %s", sync);
	*out_sync = sync && strcmp(sync, "yes") == 0;
	return 0;
}

static void disk_close(void *engine)
{
	struct disk *d = engine;

	if (!d)
		return;
	disk_root_stop(&d->place);
	free(d);
}

static int disk_open(const char *url, void **out_engine, char *why, size_t why_len)
{
	struct engine_url u = { 0 };
	struct err e = { 0 };
	struct disk *d = calloc(1, sizeof(*d));
	int rc = d ? engine_url_parse(url, &u, &e) : -ENOMEM;

	if (!rc)
		rc = check_options(&u, &d->sync, &e);
	if (!rc)
		rc = disk_root_start(&d->place, u.path, &e);
	engine_url_done(&u);
	str_copy(why, why_len, e.message);
	if (rc) {
		disk_close(d);
		return rc;
	}
	*out_engine = d;
	return 0;
}

/* ---- running in a directory that may have gone ---- */

typedef int op_fn(int dirfd, struct call *c);

static int run(struct call *c, op_fn *op)
{
	struct disk_place *place = &c->d->place;
	struct disk_root *r;
	int rc;

	for (int turn = 0; turn < 2; turn++) {
		bool gone;

		rc = disk_root_take(place, !(c->flags & CACHE_NOWAIT), &r);
		if (rc)
			return rc;
		rc = op(r->fd, c);
		gone = rc < 0 && !(c->flags & CACHE_NOWAIT) && disk_root_gone(r, rc);
		if (gone)
			disk_root_drop(place, r);
		disk_root_put(place, r);
		if (!gone)
			break;
	}
	return rc;
}

/* ---- get ---- */

static int op_get(int dirfd, struct call *c)
{
	char path[DISK_NAME_MAX];

	disk_name_object(c->key, c->index, path);
	buf_clear(c->got);
	return c->flags & CACHE_NOWAIT ? fdio_read_file_nowait(dirfd, path, c->got)
				       : fdio_read_file(dirfd, path, c->got);
}

static int disk_get(void *engine, const struct cache_key *key, uint32_t index, unsigned flags,
		    unsigned deadline_ms, struct cache_bytes *out)
{
	AUTO_BUF struct buf got = BUF_INIT(CACHE_OBJECT_MAX);
	struct call c = { .d = engine, .key = key, .index = index, .flags = flags, .got = &got };
	int rc = run(&c, op_get);
	struct cache_bytes b;

	(void)deadline_ms; /* nothing can hurry a disk */
	if (rc == -ENOENT)
		return CACHE_MISS;
	if (rc)
		return rc == -EAGAIN && (flags & CACHE_NOWAIT) ? CACHE_AGAIN : rc;
	b.data = buf_steal(&got, &b.len);
	if (!b.data)
		return -ENOMEM;
	*out = b;
	return CACHE_OK;
}

/* ---- put ---- */

/* The lock tells sweepers that the file has a writer. */
static int open_temp(struct disk *d, int dirfd, char name[DISK_NAME_MAX])
{
	int fd = -1;

	for (int i = 0; i < TRIES && fd < 0; i++) {
		(void)snprintf(name, DISK_NAME_MAX, DISK_NAME_TMP "/%ld.%u", (long)getpid(),
			       atomic_fetch_add(&d->seq, 1));
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    0644);
		if (fd < 0 && errno == ENOENT && mkdirat(dirfd, DISK_NAME_TMP, 0700) < 0 &&
		    errno != EEXIST)
			return -errno;
		if (fd < 0 && errno != EEXIST && errno != ENOENT && errno != EINTR)
			return -errno;
	}
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	return fd;
}

/* File systems without it have links, or nobody can promise not to overwrite. */
static int move_new(int dirfd, const char *from, const char *to)
{
	if (renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(dirfd, from, dirfd, to, 0) < 0)
		return -errno;
	(void)unlinkat(dirfd, from, 0); /* a leftover is swept at the next start */
	return 0;
}

static int move_new_making(int dirfd, const char *from, const char *to, const struct cache_key *key)
{
	int rc = move_new(dirfd, from, to);

	if (rc != -ENOENT)
		return rc;
	rc = disk_name_parents(dirfd, key);
	return rc ? rc : move_new(dirfd, from, to);
}

/* -ENOENT: the directory was removed meanwhile, or a sweeper took the file before it was locked. */
static int put_once(int dirfd, struct call *c, const char *path)
{
	char tmp[DISK_NAME_MAX];
	AUTO_FD int fd = open_temp(c->d, dirfd, tmp);
	int rc;

	if (fd < 0)
		return fd;
	rc = fdio_write_all(fd, c->bytes->data, c->bytes->len);
	if (!rc && c->d->sync && fdatasync(fd) < 0)
		rc = -errno;
	if (!rc)
		rc = move_new_making(dirfd, tmp, path, c->key);
	if (rc)
		(void)unlinkat(dirfd, tmp, 0); /* the first failure is the one to tell */
	return rc;
}

/* All directories of the path: any of them may be new. */
static int sync_path(int dirfd, const struct cache_key *key, const char *path)
{
	char up[DISK_NAME_MAX];
	int rc = fdio_sync_parent(dirfd, path);

	for (int levels = 2; levels > 0 && !rc; levels--) {
		disk_name_leaf(key, levels, up);
		rc = fdio_sync_parent(dirfd, up);
	}
	return rc;
}

static int op_put(int dirfd, struct call *c)
{
	char path[DISK_NAME_MAX];
	int rc = -ENOENT;

	disk_name_object(c->key, c->index, path);
	if (faccessat(dirfd, path, F_OK, 0) == 0)
		return CACHE_EXISTS; /* nothing needs to be written to know that */
	for (int i = 0; i < TRIES && rc == -ENOENT; i++)
		rc = put_once(dirfd, c, path);
	if (rc == -EEXIST)
		return CACHE_EXISTS;
	if (!rc && c->d->sync)
		rc = sync_path(dirfd, c->key, path);
	return rc;
}

static int disk_put_new(void *engine, const struct cache_key *key, uint32_t index,
			const struct cache_bytes *bytes, uint64_t ttl_s, unsigned deadline_ms)
{
	struct call c = { .d = engine, .key = key, .index = index, .bytes = bytes };

	(void)ttl_s; /* it is in the object, and the front reads it there */
	(void)deadline_ms;
	return bytes->len > CACHE_OBJECT_MAX ? -EFBIG : run(&c, op_put);
}

/* ---- links ---- */

/* Whatever the reason, a link that cannot be made means: copy. */
static int link_errno(int sys_errno)
{
	return sys_errno == EPERM || sys_errno == EMLINK || sys_errno == EOPNOTSUPP ? -EXDEV
										    : -sys_errno;
}

static int op_put_link(int dirfd, struct call *c)
{
	char path[DISK_NAME_MAX];
	int rc;

	disk_name_object(c->key, c->index, path);
	for (int i = 0; i < 2; i++) {
		rc = linkat(c->fd, c->name, dirfd, path, 0) < 0 ? link_errno(errno) : 0;
		if (rc != -ENOENT)
			break;
		if (disk_name_parents(dirfd, c->key))
			return -ENOENT;
	}
	if (rc == -EEXIST)
		return CACHE_EXISTS;
	return !rc && c->d->sync ? sync_path(dirfd, c->key, path) : rc;
}

static int disk_put_link(void *engine, const struct cache_key *key, uint32_t index, int dirfd,
			 const char *name, uint64_t ttl_s)
{
	struct call c = { .d = engine, .key = key, .index = index, .fd = dirfd, .name = name };

	(void)ttl_s; /* in the object */
	return run(&c, op_put_link);
}

static int op_export(int dirfd, struct call *c)
{
	char path[DISK_NAME_MAX];

	disk_name_object(c->key, c->index, path);
	return linkat(dirfd, path, c->fd, c->name, 0) < 0 ? link_errno(errno) : 0;
}

static int disk_export_link(void *engine, const struct cache_key *key, uint32_t index, int dirfd,
			    const char *name)
{
	struct call c = { .d = engine, .key = key, .index = index, .fd = dirfd, .name = name };
	int rc = run(&c, op_export);

	return rc == -ENOENT ? CACHE_MISS : rc;
}

/* ---- remove ---- */

static int unlink_sample(int dirfd, const struct cache_key *key, uint32_t index)
{
	char path[DISK_NAME_MAX];

	disk_name_object(key, index, path);
	return unlinkat(dirfd, path, 0) < 0 ? -errno : 0;
}

struct removing {
	int dirfd;
	uint32_t n;
};

static int remove_listed(const struct cache_name *name, void *arg)
{
	struct removing *r = arg;
	int rc = unlink_sample(r->dirfd, &name->key, name->index);

	r->n += rc == 0;
	return rc == -ENOENT ? 0 : rc;
}

static int op_remove(int dirfd, struct call *c)
{
	struct removing r = { dirfd, 0 };
	char up[DISK_NAME_MAX];
	int rc;

	if (c->index == CACHE_INDEX_ALL)
		rc = disk_walk_key(dirfd, c->key, remove_listed, &r);
	else
		rc = unlink_sample(dirfd, c->key, c->index);
	if (rc)
		return rc;
	for (int levels = 2; levels > 0; levels--) {
		disk_name_leaf(c->key, levels, up);
		if (unlinkat(dirfd, up, AT_REMOVEDIR) < 0)
			break; /* others are in it, which is the usual case */
	}
	return c->index == CACHE_INDEX_ALL && !r.n ? -ENOENT : 0;
}

static int disk_remove(void *engine, const struct cache_key *key, uint32_t index,
		       unsigned deadline_ms)
{
	struct call c = { .d = engine, .key = key, .index = index };
	int rc = run(&c, op_remove);

	(void)deadline_ms;
	return rc == -ENOENT ? CACHE_MISS : rc;
}

static int op_set_aside(int dirfd, struct call *c)
{
	char path[DISK_NAME_MAX], to[DISK_NAME_MAX];

	disk_name_object(c->key, c->index, path);
	disk_name_damaged(c->key, c->index, to);
	if (renameat(dirfd, path, dirfd, to) == 0)
		return 0;
	if (errno == ENOENT && mkdirat(dirfd, DISK_NAME_DAMAGED, 0700) == 0 &&
	    renameat(dirfd, path, dirfd, to) == 0)
		return 0;
	return -errno;
}

static int disk_set_aside(void *engine, const struct cache_key *key, uint32_t index)
{
	struct call c = { .d = engine, .key = key, .index = index };
	int rc = run(&c, op_set_aside);

	return rc == -ENOENT || rc == -EEXIST ? CACHE_MISS : rc;
}

/* ---- counting and listing ---- */

static int count_one(const struct cache_name *name, void *arg)
{
	struct call *c = arg;

	(void)name;
	c->count++;
	return 0;
}

static int op_count(int dirfd, struct call *c)
{
	c->count = 0;
	return disk_walk_key(dirfd, c->key, count_one, c);
}

static int disk_count(void *engine, const struct cache_key *key, unsigned deadline_ms,
		      uint32_t *out)
{
	struct call c = { .d = engine, .key = key };
	int rc = run(&c, op_count);

	(void)deadline_ms;
	if (!rc)
		*out = c.count;
	return rc;
}

static int op_list(int dirfd, struct call *c)
{
	return disk_walk_list(dirfd, &c->walk);
}

static int disk_list(void *engine, const char *prefix, const struct cache_name *after, size_t max,
		     struct cache_name *out, size_t *out_n)
{
	struct call c = { .d = engine,
			  .walk = { .prefix = prefix, .after = after, .max = max, .out = out } };
	int rc = run(&c, op_list);

	if (!rc)
		*out_n = c.walk.n;
	return rc;
}

const struct cache_engine engine_disk = {
	.size = sizeof(struct cache_engine),
	.api = CACHE_ENGINE_API,
	.name = "disk",
	.open = disk_open,
	.get = disk_get,
	.put_new = disk_put_new,
	.count = disk_count,
	.remove = disk_remove,
	.list = disk_list,
	.close = disk_close,
	.export_link = disk_export_link,
	.put_link = disk_put_link,
	.set_aside = disk_set_aside,
};
