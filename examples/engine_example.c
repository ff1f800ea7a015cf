/*
 * engine_example.c - a complete cache engine in one small file, to begin yours from
 *
 *   cc -std=gnu17 -shared -fPIC -I PREFIX/include -o engine_example.so engine_example.c -pthread
 *
 * It keeps its objects in memory, in a list sorted by (key, index), which makes every rule of the
 * contract visible: put_new never overwrites, a miss is no error, bytes go out as copies, a listing is
 * in order and goes on behind any name. What it does not have (links, setting aside) is left NULL.
 * Loading it (plugin:FILE.so) comes in a later version; the table is stable already.
 */
#include <errno.h>
#include <inferfs/cache_engine.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
	struct item *next;
	struct cache_name name;
	size_t len;
	char data[];
};

struct example {
	pthread_mutex_t lock; /* any number of threads call at once */
	struct item *first;
};

static int compare(const struct cache_name *a, const struct cache_name *b)
{
	int c = memcmp(a->key.b, b->key.b, sizeof(a->key.b));

	return c ? c : (a->index > b->index) - (a->index < b->index);
}

/* The place of name, or where it would be put. */
static struct item **place_of(struct example *x, const struct cache_name *name)
{
	struct item **at = &x->first;

	while (*at && compare(&(*at)->name, name) < 0)
		at = &(*at)->next;
	return at;
}

static int example_open(const char *url, void **out_engine, char *why, size_t why_len)
{
	struct example *x = calloc(1, sizeof(*x));

	if (!x || pthread_mutex_init(&x->lock, NULL)) {
		free(x);
		/* the sentence is shown to the user */
		(void)snprintf(why, why_len, "no memory for the store %s", url);
		return -ENOMEM;
	}
	*out_engine = x;
	return 0;
}

static int example_get(void *engine, const struct cache_key *key, uint32_t index, unsigned flags,
		       unsigned deadline_ms, struct cache_bytes *out)
{
	struct cache_name name = { *key, index };
	struct example *x = engine;
	struct item *found;
	int rc = CACHE_MISS;

	(void)deadline_ms; /* an engine that talks to a server keeps it, and fails with -ETIMEDOUT */
	if (flags & CACHE_NOWAIT)
		return CACHE_AGAIN; /* always allowed; an engine that never waits answers instead */
	pthread_mutex_lock(&x->lock);
	found = *place_of(x, &name);
	if (found && compare(&found->name, &name) == 0) {
		char *copy = malloc(found->len + 1); /* the caller frees it */

		rc = copy ? CACHE_OK : -ENOMEM;
		if (copy) {
			memcpy(copy, found->data, found->len);
			*out = (struct cache_bytes){ copy, found->len };
		}
	}
	pthread_mutex_unlock(&x->lock);
	return rc;
}

static int example_put_new(void *engine, const struct cache_key *key, uint32_t index,
			   const struct cache_bytes *bytes, uint64_t ttl_s, unsigned deadline_ms)
{
	struct item *fresh = malloc(sizeof(*fresh) + bytes->len), **at;
	struct example *x = engine;
	int rc = CACHE_OK;

	(void)ttl_s; /* 0: none; inferfs itself never serves what is older than its ttl */
	(void)deadline_ms;
	if (!fresh)
		return -ENOMEM;
	fresh->name = (struct cache_name){ *key, index };
	fresh->len = bytes->len;
	if (bytes->len)
		memcpy(fresh->data, bytes->data, bytes->len);
	pthread_mutex_lock(&x->lock);
	at = place_of(x, &fresh->name);
	if (*at && compare(&(*at)->name, &fresh->name) == 0) {
		rc = CACHE_EXISTS; /* who was first stays */
	} else {
		fresh->next = *at;
		*at = fresh;
	}
	pthread_mutex_unlock(&x->lock);
	if (rc != CACHE_OK)
		free(fresh);
	return rc;
}

static int example_count(void *engine, const struct cache_key *key, unsigned deadline_ms,
			 uint32_t *out)
{
	struct example *x = engine;
	uint32_t n = 0;

	(void)deadline_ms;
	pthread_mutex_lock(&x->lock);
	for (const struct item *i = x->first; i; i = i->next)
		n += memcmp(i->name.key.b, key->b, sizeof(key->b)) == 0;
	pthread_mutex_unlock(&x->lock);
	*out = n;
	return 0;
}

static int example_remove(void *engine, const struct cache_key *key, uint32_t index,
			  unsigned deadline_ms)
{
	struct cache_name name = { *key, index == CACHE_INDEX_ALL ? 0 : index };
	struct example *x = engine;
	struct item **at, *gone;
	int rc = CACHE_MISS;

	(void)deadline_ms;
	pthread_mutex_lock(&x->lock);
	at = place_of(x, &name);
	while (*at && memcmp((*at)->name.key.b, key->b, sizeof(key->b)) == 0 &&
	       (index == CACHE_INDEX_ALL || (*at)->name.index == index)) {
		gone = *at;
		*at = gone->next;
		free(gone);
		rc = CACHE_OK;
	}
	pthread_mutex_unlock(&x->lock);
	return rc;
}

static int has_prefix(const struct cache_key *key, const char *prefix)
{
	char hex[2 * sizeof(key->b) + 1];

	for (size_t i = 0; i < sizeof(key->b); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", key->b[i]);
	return strncmp(hex, prefix, strlen(prefix)) == 0;
}

static int example_list(void *engine, const char *prefix, const struct cache_name *after,
			size_t max, struct cache_name *out, size_t *out_n)
{
	struct example *x = engine;
	size_t n = 0;

	if (strspn(prefix, "0123456789abcdef") != strlen(prefix) || strlen(prefix) > 64)
		return -EINVAL;
	pthread_mutex_lock(&x->lock);
	for (const struct item *i = x->first; i && n < max; i = i->next)
		if ((!after || compare(&i->name, after) > 0) && has_prefix(&i->name.key, prefix))
			out[n++] = i->name;
	pthread_mutex_unlock(&x->lock);
	*out_n = n; /* fewer than max: that was the end */
	return 0;
}

static void example_close(void *engine)
{
	struct example *x = engine;

	while (x->first) {
		struct item *next = x->first->next;

		free(x->first);
		x->first = next;
	}
	pthread_mutex_destroy(&x->lock);
	free(x);
}

/* the one symbol; size and api tell the loader how far the table goes */
__attribute__((visibility("default"))) extern const struct cache_engine inferfs_cache_engine;
const struct cache_engine inferfs_cache_engine = {
	.size = sizeof(struct cache_engine),
	.api = CACHE_ENGINE_API,
	.name = "example",
	.open = example_open,
	.get = example_get,
	.put_new = example_put_new,
	.count = example_count,
	.remove = example_remove,
	.list = example_list,
	.close = example_close,
};
