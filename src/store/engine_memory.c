/*
 * engine_memory.c - everything in this process, in order; for tests
 *
 * One sorted array under one lock: an insertion moves what follows it, which is what tests can
 * afford, and every listing is a binary search.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/str.h"
#include "store/engine_url.h"
#include "store/registry.h"

#include "base/banned.h"

struct entry {
	struct cache_name name;
	struct cache_bytes bytes;
};

struct memory {
	struct lock lock;
	struct entry *e;
	size_t n, cap;
};

static int compare(const struct cache_name *a, const struct cache_name *b)
{
	int c = memcmp(a->key.b, b->key.b, sizeof(a->key.b));

	return c ? c : (a->index > b->index) - (a->index < b->index);
}

/* The first entry that is not below name. */
static size_t lower(const struct memory *m, const struct cache_name *name)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(&m->e[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_at(const struct memory *m, size_t i, const struct cache_name *name)
{
	return i < m->n && compare(&m->e[i].name, name) == 0;
}

static int memory_open(const char *url, void **out_engine, char *why, size_t why_len)
{
	static const char *const known[] = { "ttl", "timeout_ms", NULL };
	struct engine_url u = { 0 };
	struct err e = { 0 };
	struct memory *m;
	int rc = engine_url_parse(url, &u, &e);

	if (!rc)
		rc = engine_url_known(&u, known, &e);
	if (!rc && *u.path)
		rc = err_set(&e, ERR_REQUEST, "cache memory: nothing may follow the colon");
	engine_url_done(&u);
	str_copy(why, why_len, e.message);
	m = rc ? NULL : calloc(1, sizeof(*m));
	if (!m)
		return rc ? rc : -ENOMEM;
	lock_init(&m->lock, LOCK_LEAF);
	*out_engine = m;
	return 0;
}

static int copy_bytes(const struct cache_bytes *from, struct cache_bytes *out)
{
	char *data = str_dup_n(from->data, from->len);

	if (!data)
		return -ENOMEM;
	out->data = data;
	out->len = from->len;
	return 0;
}

static int memory_get(void *engine, const struct cache_key *key, uint32_t index, unsigned flags,
		      unsigned deadline_ms, struct cache_bytes *out)
{
	struct memory *m = engine;
	struct cache_name name = { *key, index };
	size_t i;

	(void)flags; /* the lock is held for a copy only */
	(void)deadline_ms;
	LOCK_SCOPE(&m->lock);
	i = lower(m, &name);
	return is_at(m, i, &name) ? copy_bytes(&m->e[i].bytes, out) : CACHE_MISS;
}

static int grow(struct memory *m)
{
	size_t cap = m->cap ? m->cap * 2 : 64;
	struct entry *e = m->n < m->cap ? m->e : realloc(m->e, cap * sizeof(*e));

	if (!e)
		return -ENOMEM;
	if (m->n == m->cap)
		m->cap = cap;
	m->e = e;
	return 0;
}

static int memory_put_new(void *engine, const struct cache_key *key, uint32_t index,
			  const struct cache_bytes *bytes, uint64_t ttl_s, unsigned deadline_ms)
{
	struct memory *m = engine;
	struct entry fresh = { .name = { *key, index } };
	size_t i;
	int rc;

	(void)ttl_s; /* the front looks into the object */
	(void)deadline_ms;
	LOCK_SCOPE(&m->lock);
	i = lower(m, &fresh.name);
	if (is_at(m, i, &fresh.name))
		return CACHE_EXISTS;
	rc = grow(m);
	if (!rc)
		rc = copy_bytes(bytes, &fresh.bytes);
	if (rc)
		return rc;
	memmove(&m->e[i + 1], &m->e[i], (m->n - i) * sizeof(m->e[0]));
	m->e[i] = fresh;
	m->n++;
	return CACHE_OK;
}

/* [from, to) are all samples of key. */
static void range_of(const struct memory *m, const struct cache_key *key, size_t *from, size_t *to)
{
	struct cache_name name = { *key, 0 };

	*from = lower(m, &name);
	name.index = UINT32_MAX;
	*to = lower(m, &name);
}

static int memory_count(void *engine, const struct cache_key *key, unsigned deadline_ms,
			uint32_t *out)
{
	struct memory *m = engine;
	size_t from, to;

	(void)deadline_ms;
	LOCK_SCOPE(&m->lock);
	range_of(m, key, &from, &to);
	*out = (uint32_t)(to - from);
	return 0;
}

static int memory_remove(void *engine, const struct cache_key *key, uint32_t index,
			 unsigned deadline_ms)
{
	struct memory *m = engine;
	struct cache_name name = { *key, index };
	size_t from, to;

	(void)deadline_ms;
	LOCK_SCOPE(&m->lock);
	if (index == CACHE_INDEX_ALL) {
		range_of(m, key, &from, &to);
	} else {
		from = lower(m, &name);
		to = from + is_at(m, from, &name);
	}
	for (size_t i = from; i < to; i++)
		free(m->e[i].bytes.data);
	if (from < to)
		memmove(&m->e[from], &m->e[to], (m->n - to) * sizeof(m->e[0]));
	m->n -= to - from;
	return from < to ? CACHE_OK : CACHE_MISS;
}

static bool has_prefix(const struct cache_name *name, const char *prefix)
{
	char hex[2 * sizeof(name->key.b) + 1];

	str_hex(name->key.b, sizeof(name->key.b), hex);
	return str_starts(hex, prefix);
}

/* The lowest name a key with these digits can have. */
static int first_of(const char *prefix, struct cache_name *out)
{
	char hex[2 * sizeof(out->key.b) + 1];
	size_t n = strlen(prefix);

	if (n >= sizeof(hex))
		return -EINVAL;
	memset(hex, '0', sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = '\0';
	memcpy(hex, prefix, n);
	out->index = 0;
	return str_unhex(hex, sizeof(out->key.b), out->key.b);
}

static int memory_list(void *engine, const char *prefix, const struct cache_name *after, size_t max,
		       struct cache_name *out, size_t *out_n)
{
	struct memory *m = engine;
	struct cache_name from;
	size_t n = 0, i;
	int rc = first_of(prefix, &from);

	if (rc)
		return rc;
	LOCK_SCOPE(&m->lock);
	if (after && compare(after, &from) >= 0) {
		i = lower(m, after);
		i += is_at(m, i, after);
	} else {
		i = lower(m, &from);
	}
	for (; n < max && i < m->n && has_prefix(&m->e[i].name, prefix); i++)
		out[n++] = m->e[i].name;
	*out_n = n;
	return 0;
}

static int memory_stats(void *engine, struct cache_stats *out)
{
	struct memory *m = engine;

	LOCK_SCOPE(&m->lock);
	*out = (struct cache_stats){ m->n, 0 };
	for (size_t i = 0; i < m->n; i++)
		out->bytes += m->e[i].bytes.len;
	return 0;
}

static void memory_close(void *engine)
{
	struct memory *m = engine;

	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->e[i].bytes.data);
	free(m->e);
	lock_done(&m->lock);
	free(m);
}

const struct cache_engine engine_memory = {
	.size = sizeof(struct cache_engine),
	.api = CACHE_ENGINE_API,
	.name = "memory",
	.open = memory_open,
	.get = memory_get,
	.put_new = memory_put_new,
	.count = memory_count,
	.remove = memory_remove,
	.list = memory_list,
	.stats = memory_stats,
	.close = memory_close,
};
