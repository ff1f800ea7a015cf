/*
 * disk_walk.c - listing a disk store in order, one leaf directory at a time
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "store/disk_name.h"
#include "store/disk_walk.h"

#include "base/banned.h"

enum { HEX = 64, FANOUT = 256 };

/* names of one leaf, the lowest ones: sorted and cut whenever it is full */
struct page {
	struct cache_name *v;
	size_t n, cap, want;
};

/* what a listing is after: keys in [lo, hi], names behind *after */
struct range {
	struct cache_key lo, hi;
	const struct cache_name *after;
};

static int compare(const void *va, const void *vb)
{
	const struct cache_name *a = va, *b = vb;
	int c = memcmp(a->key.b, b->key.b, sizeof(a->key.b));

	return c ? c : (a->index > b->index) - (a->index < b->index);
}

static void page_cut(struct page *p)
{
	if (p->n > 1)
		qsort(p->v, p->n, sizeof(*p->v), compare);
	if (p->n > p->want)
		p->n = p->want;
}

static int page_add(struct page *p, const struct cache_name *name)
{
	size_t limit = p->want + (p->want > 64 ? p->want : 64);

	if (p->n == limit)
		page_cut(p);
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 64;
		struct cache_name *v = realloc(p->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = *name;
	return 0;
}

/* fn for every entry; 0 also when the directory is not there: nothing is stored in it. */
static int each_entry(int dirfd, const char *path, int (*fn)(const char *name, void *arg),
		      void *arg)
{
	int rc = 0, fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;
	DIR *d;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d = fdopendir(fd);
	if (!d) {
		rc = -errno;
		(void)close(fd); /* only read */
		return rc;
	}
	while (rc >= 0 && (errno = 0, e = readdir(d)))
		rc = fn(e->d_name, arg);
	if (rc >= 0 && errno)
		rc = -errno;
	(void)closedir(d); /* only read */
	return rc < 0 ? rc : 0;
}

static int mark_byte(const char *name, void *arg)
{
	bool *there = arg;
	unsigned char b;

	if (strlen(name) == 2 && str_unhex(name, 1, &b) == 0)
		there[b] = true;
	return 0;
}

struct leaf {
	const struct range *r;
	struct page page;
	struct cache_key at; /* its first two bytes name the directory */
};

static int add_name(const char *name, void *arg)
{
	struct leaf *l = arg;
	struct cache_name n;

	if (disk_name_parse(name, &n) || memcmp(n.key.b, l->at.b, 2) != 0)
		return 0; /* somebody else's file, or one in the wrong place */
	if (memcmp(n.key.b, l->r->lo.b, sizeof(n.key.b)) < 0 ||
	    memcmp(n.key.b, l->r->hi.b, sizeof(n.key.b)) > 0 ||
	    (l->r->after && compare(&n, l->r->after) <= 0))
		return 0;
	return page_add(&l->page, &n);
}

static int list_leaf(int dirfd, const struct range *r, const struct cache_key *at,
		     struct disk_walk *w)
{
	struct leaf l = { .r = r, .page = { .want = w->max - w->n }, .at = *at };
	char path[DISK_NAME_MAX];
	int rc;

	disk_name_leaf(at, 2, path);
	rc = each_entry(dirfd, path, add_name, &l);
	if (!rc && l.page.n) {
		page_cut(&l.page);
		memcpy(w->out + w->n, l.page.v, l.page.n * sizeof(*l.page.v));
		w->n += l.page.n;
	}
	free(l.page.v);
	return rc;
}

static int list_shard(int dirfd, const struct range *r, struct cache_key *at, struct disk_walk *w)
{
	unsigned from = at->b[0] == r->lo.b[0] ? r->lo.b[1] : 0;
	unsigned to = at->b[0] == r->hi.b[0] ? r->hi.b[1] : FANOUT - 1;
	bool there[FANOUT] = { false };
	char path[DISK_NAME_MAX];
	int rc;

	disk_name_leaf(at, 1, path);
	rc = each_entry(dirfd, path, mark_byte, there);
	for (unsigned b = from; !rc && b <= to && w->n < w->max; b++) {
		at->b[1] = (uint8_t)b;
		if (there[b])
			rc = list_leaf(dirfd, r, at, w);
	}
	return rc;
}

/* The keys that begin with these digits, cut at the bottom by `after`. */
static int set_range(const struct disk_walk *w, struct range *r)
{
	char lo[HEX + 1], hi[HEX + 1];
	size_t n = strlen(w->prefix);

	if (n > HEX)
		return -EINVAL;
	memset(lo, '0', HEX);
	memset(hi, 'f', HEX);
	lo[HEX] = hi[HEX] = '\0';
	memcpy(lo, w->prefix, n);
	memcpy(hi, w->prefix, n);
	if (str_unhex(lo, sizeof(r->lo.b), r->lo.b) || str_unhex(hi, sizeof(r->hi.b), r->hi.b))
		return -EINVAL;
	r->after = w->after;
	if (w->after && memcmp(w->after->key.b, r->lo.b, sizeof(r->lo.b)) > 0)
		r->lo = w->after->key;
	return 0;
}

int disk_walk_list(int dirfd, struct disk_walk *w)
{
	bool there[FANOUT] = { false };
	struct cache_key at = { { 0 } };
	struct range r = { 0 };
	int rc = set_range(w, &r);

	w->n = 0;
	if (!rc)
		rc = each_entry(dirfd, DISK_NAME_OBJECTS, mark_byte, there);
	if (rc)
		return rc;
	for (unsigned b = r.lo.b[0]; !rc && b <= r.hi.b[0] && w->n < w->max; b++) {
		at.b[0] = (uint8_t)b;
		if (there[b])
			rc = list_shard(dirfd, &r, &at, w);
	}
	return rc;
}

struct of_key {
	const struct cache_key *key;
	int (*fn)(const struct cache_name *name, void *arg);
	void *arg;
};

static int if_of_key(const char *name, void *arg)
{
	const struct of_key *k = arg;
	struct cache_name n;

	if (disk_name_parse(name, &n) || memcmp(n.key.b, k->key->b, sizeof(n.key.b)) != 0)
		return 0;
	return k->fn(&n, k->arg);
}

int disk_walk_key(int dirfd, const struct cache_key *key,
		  int (*fn)(const struct cache_name *name, void *arg), void *arg)
{
	struct of_key k = { key, fn, arg };
	char path[DISK_NAME_MAX];

	disk_name_leaf(key, 2, path);
	return each_entry(dirfd, path, if_of_key, &k);
}
