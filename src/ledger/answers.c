/*
 * answers.c - the objects that responses name, as files beside the ledger
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "ledger/answers.h"

#include "base/banned.h"

#define TMP_DIR "tmp"

enum {
	VARIANTS_MAX = 10000, /* purchases of one sample while old responses still name it */
	TRIES = 8
};

struct answers {
	int dirfd;
	bool sync;
	atomic_uint seq; /* of temporary names */
};

/* One daemon has the directory, so whatever lies in tmp/ at start was left by a dead one. */
static int fresh_tmp(int dirfd)
{
	int rc = fdio_remove_tree(dirfd, TMP_DIR);

	if (rc)
		return rc;
	return mkdirat(dirfd, TMP_DIR, 0700) < 0 ? -errno : 0;
}

int answers_open(const char *dir, int sync, struct answers **out)
{
	struct answers *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return -ENOMEM;
	a->dirfd = -1;
	a->sync = sync;
	rc = fdio_mkdirs(AT_FDCWD, dir, 0700);
	if (!rc) {
		a->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = a->dirfd < 0 ? -errno : fresh_tmp(a->dirfd);
	}
	/* on a full disk what is there can still be read; making files fails later, with its reason */
	if (rc && (rc != -ENOSPC || a->dirfd < 0)) {
		answers_close(a);
		return rc;
	}
	*out = a;
	return 0;
}

struct answers *answers_close(struct answers *a)
{
	if (!a)
		return NULL;
	if (a->dirfd >= 0)
		(void)close(a->dirfd); /* only read */
	free(a);
	return NULL;
}

int answers_dirfd(const struct answers *a)
{
	return a->dirfd;
}

void answers_name(const struct answers_id *id, char out[ANSWERS_NAME_MAX])
{
	char hex[KEY_HEX + 1];

	key_hex(&id->key, hex);
	if (id->variant)
		(void)snprintf(out, ANSWERS_NAME_MAX, "%.2s/%.2s/%s.%u.%u.json", hex, hex + 2, hex,
			       id->index, id->variant % (10 * VARIANTS_MAX));
	else
		(void)snprintf(out, ANSWERS_NAME_MAX, "%.2s/%.2s/%s.%u.json", hex, hex + 2, hex,
			       id->index);
}

int answers_prepare(struct answers *a, const struct key *key)
{
	char hex[KEY_HEX + 1], dir[8];

	key_hex(key, hex);
	(void)snprintf(dir, sizeof(dir), "%.2s/%.2s", hex, hex + 2);
	return fdio_mkdirs(a->dirfd, dir, 0700);
}

/* ---- making a file under a name that nobody has ---- */

static int open_temp(struct answers *a, char name[ANSWERS_NAME_MAX])
{
	int fd = -1;

	for (int i = 0; i < TRIES && fd < 0; i++) {
		(void)snprintf(name, ANSWERS_NAME_MAX, TMP_DIR "/%u", atomic_fetch_add(&a->seq, 1));
		fd = openat(a->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    0644);
		if (fd >= 0)
			return fd;
		if (errno == ENOENT && mkdirat(a->dirfd, TMP_DIR, 0700) < 0 && errno != EEXIST)
			return -errno;
		if (errno != EEXIST && errno != ENOENT && errno != EINTR)
			return -errno;
	}
	return -EIO; /* somebody else works in this directory */
}

static int move_new(int dirfd, const char *from, const char *to)
{
	if (renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(dirfd, from, dirfd, to, 0) < 0)
		return -errno;
	(void)unlinkat(dirfd, from, 0); /* a leftover goes at the next start */
	return 0;
}

static int sync_made(struct answers *a, const char *name)
{
	char up[ANSWERS_NAME_MAX];
	int rc = a->sync ? fdio_sync_parent(a->dirfd, name) : 0;

	/* the fan-out directories may be as new as the file */
	for (int i = 0; i < 2 && a->sync && !rc; i++) {
		(void)snprintf(up, sizeof(up), "%.*s", i ? 2 : 5, name);
		rc = fdio_sync_parent(a->dirfd, up);
	}
	return rc;
}

/* The directories are made only when they are missed: then the name alone is tried again, not the bytes. */
static int name_new(struct answers *a, const struct answers_id *id, const char *tmp,
		    const char *name)
{
	int rc = move_new(a->dirfd, tmp, name);

	if (rc != -ENOENT)
		return rc;
	rc = answers_prepare(a, &id->key);
	return rc ? rc : move_new(a->dirfd, tmp, name);
}

static int write_new(struct answers *a, const struct answers_id *id, const char *name,
		     const struct answers_source *src)
{
	char tmp[ANSWERS_NAME_MAX];
	AUTO_FD int fd = open_temp(a, tmp);
	int rc;

	if (fd < 0)
		return fd;
	rc = fdio_write_all(fd, src->bytes, src->len);
	if (!rc && a->sync && fdatasync(fd) < 0)
		rc = -errno;
	if (!rc)
		rc = name_new(a, id, tmp, name);
	if (rc)
		(void)unlinkat(a->dirfd, tmp, 0); /* the first failure is the one to tell */
	return rc;
}

/* Who links cannot tell which of the two is missing, the object or our directory. */
static int link_new(struct answers *a, const struct answers_id *id, const char *name,
		    const struct answers_source *src)
{
	int rc = src->link_fn(src->arg, a->dirfd, name);

	if (rc != -ENOENT && rc <= 0)
		return rc;
	rc = answers_prepare(a, &id->key);
	return rc ? rc : src->link_fn(src->arg, a->dirfd, name);
}

/* A link that cannot be made, for whatever reason, only saves less: the bytes are here. */
static int make(struct answers *a, const struct answers_id *id, const char *name,
		const struct answers_source *src)
{
	int rc = src->link_fn ? link_new(a, id, name, src) : -EXDEV;

	if (rc && rc != -EEXIST)
		rc = write_new(a, id, name, src);
	return rc ? rc : sync_made(a, name);
}

/* 1 the same bytes are there, 0 others are, -ENOENT */
static int compare(struct answers *a, const char *name, const struct answers_source *src)
{
	AUTO_BUF struct buf b = BUF_INIT(src->len);
	struct stat st;
	int rc;

	if (fstatat(a->dirfd, name, &st, 0) < 0)
		return -errno;
	if (st.st_size < 0 || (uint64_t)st.st_size != src->len)
		return 0;
	rc = fdio_read_file(a->dirfd, name, &b);
	if (rc)
		return rc == -EFBIG ? 0 : rc;
	return b.len == src->len && (!b.len || memcmp(b.data, src->bytes, b.len) == 0);
}

/* 1: it is there now, by us or before us; 0: that variant is another object's */
static int settle(struct answers *a, const struct answers_id *id, const struct answers_source *src)
{
	char name[ANSWERS_NAME_MAX];
	int rc = -EEXIST;

	answers_name(id, name);
	for (int i = 0; i < TRIES && (rc == -EEXIST || rc == -ENOENT); i++) {
		rc = compare(a, name, src);
		if (rc != -ENOENT)
			return rc;
		rc = make(a, id, name, src);
		if (!rc)
			return 1;
	}
	return rc;
}

int answers_adopt(struct answers *a, struct answers_id *id, const struct answers_source *src)
{
	struct answers_id at = *id;

	for (at.variant = 0; at.variant < VARIANTS_MAX; at.variant++) {
		int rc = settle(a, &at, src);

		if (rc < 0)
			return rc;
		if (rc) {
			*id = at;
			return 0;
		}
	}
	return -ENFILE;
}

int answers_put(struct answers *a, struct answers_id *id, const char *bytes, size_t len)
{
	struct answers_source src = { .bytes = bytes, .len = len };

	return answers_adopt(a, id, &src);
}

/* ---- reading, removing ---- */

int answers_read(struct answers *a, const struct answers_id *id, struct buf *out)
{
	char name[ANSWERS_NAME_MAX];

	answers_name(id, name);
	return fdio_read_file(a->dirfd, name, out);
}

int answers_read_nowait(struct answers *a, const struct answers_id *id, struct buf *out)
{
	char name[ANSWERS_NAME_MAX];

	answers_name(id, name);
	return fdio_read_file_nowait(a->dirfd, name, out);
}

int answers_remove(struct answers *a, const struct answers_id *id)
{
	char name[ANSWERS_NAME_MAX];

	answers_name(id, name);
	return unlinkat(a->dirfd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- walking ---- */

/* "KEY.INDEX.json" or "KEY.INDEX.VARIANT.json", exactly as it would be written */
static bool parse_name(const char *name, struct answers_id *out)
{
	char again[ANSWERS_NAME_MAX];
	struct answers_id id = { 0 };
	char *dot;

	if (strlen(name) < KEY_HEX || str_unhex(name, sizeof(id.key.b), id.key.b) < 0)
		return false;
	if (name[KEY_HEX] != '.')
		return false;
	id.index = (uint32_t)strtoul(name + KEY_HEX + 1, &dot, 10);
	if (*dot == '.')
		id.variant = (uint32_t)strtoul(dot + 1, NULL, 10); /* 0 for "json" */
	answers_name(&id, again);
	if (strcmp(strrchr(again, '/') + 1, name) != 0)
		return false;
	*out = id;
	return true;
}

static DIR *open_walk(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		(void)close(fd); /* only read */
	return d;
}

void answers_each(struct answers *a, unsigned dir,
		  void (*fn)(void *arg, const struct answers_id *id), void *arg)
{
	char name[8];
	struct dirent *e, *f;
	DIR *top, *sub;

	(void)snprintf(name, sizeof(name), "%02x", dir % ANSWERS_DIRS);
	top = open_walk(a->dirfd, name);
	while (top && (e = readdir(top))) {
		struct answers_id id;

		sub = e->d_name[0] == '.' ? NULL : open_walk(dirfd(top), e->d_name);
		while (sub && (f = readdir(sub)))
			if (parse_name(f->d_name, &id))
				fn(arg, &id);
		if (sub)
			(void)closedir(sub); /* only read */
	}
	if (top)
		(void)closedir(top);
}
