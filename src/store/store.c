/*
 * store.c - the front of the cache: one engine, every object checked
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "include/inferfs/cache_engine.h"
#include "store/engine_url.h"
#include "store/outage.h"
#include "store/registry.h"
#include "store/store.h"

#include "base/banned.h"

_Static_assert(sizeof(struct key) == sizeof(struct cache_key), "a key is its bytes");
_Static_assert(sizeof(struct store_name) == sizeof(struct cache_name) &&
		       offsetof(struct store_name, index) == offsetof(struct cache_name, index),
	       "names go through as they are");

/* Reading and writing fail apart: a full or read-only disk still answers. */
struct store {
	const struct cache_engine *t;
	void *engine;
	unsigned timeout_ms;
	uint64_t ttl_s;
	struct outage reading, writing;
	atomic_uint_fast64_t lookups, hits, puts, errors, damaged;
};

/* A table smaller than the header's ends before the callback: as if it were NULL. */
#define HAS(t, member) \
	((t)->size >= offsetof(struct cache_engine, member) + sizeof((t)->member) && (t)->member)

static struct cache_key engine_key(const struct key *k)
{
	struct cache_key c;

	memcpy(c.b, k->b, sizeof(c.b));
	return c;
}

/* ---- open and close ---- */

static int read_options(const struct store_options *o, struct store *s, struct engine_url *u,
			struct err *e)
{
	uint64_t timeout_ms = o->timeout_ms, ttl_s = o->ttl_s;
	int rc = engine_url_u64(u, "ttl", &ttl_s, e);

	if (!rc)
		rc = engine_url_u64(u, "timeout_ms", &timeout_ms, e);
	if (rc)
		return rc;
	s->ttl_s = ttl_s;
	s->timeout_ms = timeout_ms > UINT32_MAX ? UINT32_MAX : (unsigned)timeout_ms;
	return registry_find(u->scheme, &s->t, e);
}

/* The disk is told through its URL, because the engines' table knows of no durability. */
static char *url_for(const struct store_options *o, const struct engine_url *u)
{
	if (!o->sync || strcmp(u->scheme, "disk") != 0 || engine_url_get(u, "sync"))
		return strdup(o->url);
	return str_printf("%s%ssync=yes", o->url, strchr(o->url, '?') ? "&" : "?");
}

static int open_engine(const struct store_options *o, struct store *s, struct err *e)
{
	AUTO_FREE char *url = NULL;
	char why[ERR_MESSAGE_MAX] = "";
	struct engine_url u;
	int rc = engine_url_parse(o->url, &u, e);

	if (rc)
		return rc;
	rc = read_options(o, s, &u, e);
	if (!rc) {
		url = url_for(o, &u);
		rc = url ? s->t->open(url, &s->engine, why, sizeof(why)) : -ENOMEM;
		if (rc && !*why)
			(void)err_sys(e, -rc, "cache %s cannot be opened", s->t->name);
	}
	if (*why) /* a reason without a failure is a warning */
		(void)err_set(e,
			      rc == -EOPNOTSUPP ? ERR_UNSUPPORTED
			      : rc		? ERR_REQUEST
						: ERR_INTERNAL,
			      "%s", why);
	engine_url_done(&u);
	return rc;
}

int store_open(const struct store_options *o, struct store **out, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	rc = open_engine(o, s, e);
	if (rc) {
		free(s);
		return rc;
	}
	outage_init(&s->reading, o->breaker_failures, o->probe_ms);
	outage_init(&s->writing, o->breaker_failures, o->probe_ms);
	*out = s;
	return 0;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	if (HAS(s->t, close))
		s->t->close(s->engine);
	outage_done(&s->reading);
	outage_done(&s->writing);
	free(s);
	return NULL;
}

/* ---- outages ---- */

/* Answers that say something about the request, not about the engine's health. */
static bool is_outage(int rc)
{
	return rc < 0 && rc != -EXDEV && rc != -EOPNOTSUPP && rc != -EEXIST && rc != -EFBIG &&
	       rc != -EINVAL && rc != -ENOMEM;
}

/* A call that took longer than it may counts as failed, though its result is used. */
static int report(struct store *s, struct outage *o, int rc, uint64_t began_ns)
{
	bool late = s->timeout_ms && mono_ns() - began_ns > s->timeout_ms * MONO_MS;

	if (is_outage(rc))
		atomic_fetch_add(&s->errors, 1);
	outage_report(o, is_outage(rc) ? rc : late ? -ETIMEDOUT : 0);
	return rc;
}

static int refusal(struct outage *o)
{
	int error;

	(void)outage_down(o, &error);
	return error ? error : -EHOSTDOWN;
}

/* ---- get ---- */

/* The engine forgets it; what cannot be forgotten is met again and is a miss again. */
static void discard(struct store *s, const struct cache_key *key, uint32_t index, bool keep)
{
	if (keep && HAS(s->t, set_aside))
		(void)s->t->set_aside(s->engine, key, index);
	else
		(void)s->t->remove(s->engine, key, index, s->timeout_ms);
}

static void note_damage(struct store *s, const struct key *key, uint32_t index, const struct err *e)
{
	char hex[KEY_HEX + 1];

	atomic_fetch_add(&s->damaged, 1);
	key_hex(key, hex);
	log_msg(LOG_DEBUG, "cache %s: %s.%u set aside: %s", s->t->name, hex, index, e->message);
}

static int keep_bytes(const struct cache_bytes *b, struct object *o, struct object *out,
		      struct buf *out_bytes)
{
	int rc = out_bytes ? buf_add(out_bytes, b->data, b->len) : 0;

	if (rc || !out)
		object_done(o);
	else
		*out = *o;
	return rc;
}

/* Setting aside and removing go to the disk, so they are left to a caller who may wait. */
static int examine(struct store *s, const struct key *key, uint32_t index, unsigned flags,
		   const struct cache_bytes *b, struct object *out)
{
	struct cache_key k = engine_key(key);
	struct err e = { 0 };
	int rc = object_decode(b->data, b->len, key, index, out, &e);

	if (rc && rc != -EBADMSG)
		return rc;
	if (!rc && !object_expired(out, s->ttl_s, mono_real_ns()))
		return STORE_OK;
	if (!rc)
		object_done(out);
	if (flags & STORE_NOWAIT)
		return STORE_AGAIN;
	if (rc)
		note_damage(s, key, index, &e);
	discard(s, &k, index, rc != 0);
	return STORE_MISS;
}

static int fetch(struct store *s, const struct key *key, uint32_t index, unsigned flags,
		 struct cache_bytes *out)
{
	bool quick = flags & STORE_NOWAIT;
	struct cache_key k = engine_key(key);
	enum outage_answer may = outage_admit(&s->reading, quick);
	uint64_t began;

	if (may != OUTAGE_GO)
		return may == OUTAGE_PROBE ? STORE_AGAIN : STORE_MISS;
	began = mono_ns();
	return report(s, &s->reading,
		      s->t->get(s->engine, &k, index, quick ? CACHE_NOWAIT : 0, s->timeout_ms, out),
		      began);
}

int store_get(struct store *s, const struct key *key, uint32_t index, unsigned flags,
	      struct object *out, struct buf *out_bytes)
{
	struct cache_bytes b = { NULL, 0 };
	struct object o = { 0 };
	int rc = fetch(s, key, index, flags, &b);

	if (rc == CACHE_AGAIN)
		return STORE_AGAIN;
	atomic_fetch_add(&s->lookups, 1);
	if (rc != CACHE_OK)
		return rc == -ENOMEM ? rc : STORE_MISS;
	rc = examine(s, key, index, flags, &b, &o);
	if (rc == STORE_OK) {
		rc = keep_bytes(&b, &o, out, out_bytes);
		if (!rc)
			atomic_fetch_add(&s->hits, 1);
	} else if (rc == STORE_AGAIN) {
		atomic_fetch_sub(&s->lookups, 1); /* the caller comes back */
	}
	free(b.data);
	return rc;
}

/* ---- the others ---- */

static int link_or_copy(struct store *s, const struct store_offer *o)
{
	struct cache_bytes b = { (char *)(uintptr_t)o->bytes, o->len }; /* engines only read it */
	struct cache_key k = engine_key(o->key);
	int rc = -EXDEV;

	if (o->dirfd >= 0 && o->name && HAS(s->t, put_link))
		rc = s->t->put_link(s->engine, &k, o->index, o->dirfd, o->name, o->ttl_s);
	if (rc == -EXDEV || rc == -EOPNOTSUPP)
		rc = s->t->put_new(s->engine, &k, o->index, &b, o->ttl_s, s->timeout_ms);
	return rc;
}

int store_put(struct store *s, const struct store_offer *o)
{
	uint64_t began;
	int rc;

	if (o->len > CACHE_OBJECT_MAX)
		return -EFBIG;
	if (outage_admit(&s->writing, false) != OUTAGE_GO)
		return refusal(&s->writing);
	began = mono_ns();
	rc = report(s, &s->writing, link_or_copy(s, o), began);
	if (rc == CACHE_OK)
		atomic_fetch_add(&s->puts, 1);
	return rc == CACHE_OK ? STORE_OK : rc == CACHE_EXISTS ? STORE_EXISTS : rc;
}

int store_export(struct store *s, const struct key *key, uint32_t index, int dirfd,
		 const char *name)
{
	struct cache_key k = engine_key(key);
	uint64_t began;
	int rc;

	if (!HAS(s->t, export_link))
		return -EOPNOTSUPP;
	if (outage_admit(&s->reading, false) != OUTAGE_GO)
		return STORE_MISS;
	began = mono_ns();
	rc = s->t->export_link(s->engine, &k, index, dirfd, name);
	/* a full disk on the other side is not the engine's */
	(void)report(s, &s->reading, rc == -ENOSPC || rc == -EDQUOT ? 0 : rc, began);
	return rc == CACHE_MISS ? STORE_MISS : rc;
}

int store_remove(struct store *s, const struct key *key, uint32_t index)
{
	struct cache_key k = engine_key(key);
	uint64_t began;
	int rc;

	if (outage_admit(&s->writing, false) != OUTAGE_GO)
		return refusal(&s->writing);
	began = mono_ns();
	rc = report(s, &s->writing, s->t->remove(s->engine, &k, index, s->timeout_ms), began);
	return rc == CACHE_OK ? STORE_OK : rc == CACHE_MISS ? STORE_MISS : rc;
}

int store_list(struct store *s, const char *prefix, const struct store_name *after, size_t max,
	       struct store_name *out, size_t *out_n)
{
	struct cache_name from, *found;
	size_t n = 0;
	int rc;

	if (outage_admit(&s->reading, false) != OUTAGE_GO)
		return refusal(&s->reading);
	found = calloc(max ? max : 1, sizeof(*found));
	if (after)
		memcpy(&from, after, sizeof(from));
	rc = found ? s->t->list(s->engine, prefix, after ? &from : NULL, max, found, &n) : -ENOMEM;
	/* listing has no deadline: a page of a large store may take its time */
	(void)report(s, &s->reading, rc, mono_ns());
	if (!rc) {
		memcpy(out, found, n * sizeof(*out));
		*out_n = n;
	}
	free(found);
	return rc;
}

void store_status(struct store *s, struct store_status *out)
{
	*out = (struct store_status){
		.engine = s->t->name,
		.lookups = atomic_load(&s->lookups),
		.hits = atomic_load(&s->hits),
		.puts = atomic_load(&s->puts),
		.errors = atomic_load(&s->errors),
		.damaged = atomic_load(&s->damaged),
		.down = outage_down(&s->reading, NULL) || outage_down(&s->writing, NULL),
	};
}
