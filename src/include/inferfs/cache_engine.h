/*
 * inferfs/cache_engine.h - the contract of a cache engine (public, C ABI, stable)
 *
 * An engine keeps immutable bytes under (key, index): one sample with its request. It does not look
 * into them. The same object is the same bytes in every engine.
 *
 * The life of an engine:
 *   1. open      once, from one thread; the URL is what the user configured
 *   2. get put_new count remove list stats export import   any number of threads at once
 *   3. close     after the last of them returned
 *
 * A miss is not an error: a failed get (-errno) says that nobody knows. Calls may block up to the
 * deadline they are given; they run on a bounded pool, never on the thread that serves the mount,
 * except a get with CACHE_NOWAIT.
 *
 * Compatibility: `size` and `api` come first; callbacks are appended only, retired slots keep their
 * place. A table smaller than this header's is read as far as it goes.
 */
#ifndef INFERFS_CACHE_ENGINE_H
#define INFERFS_CACHE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CACHE_ENGINE_API 1u
#define CACHE_OBJECT_MAX (512u << 20) /* bytes */
#define CACHE_INDEX_ALL	 UINT32_MAX

enum cache_result {
	CACHE_OK = 0,	  /* got, stored, removed */
	CACHE_MISS = 1,	  /* get: not there; remove: nothing was there */
	CACHE_EXISTS = 2, /* put_new: that index is taken; the old bytes stay */
	CACHE_AGAIN = 3	  /* get with CACHE_NOWAIT: would have to wait */
			  /* negative: -errno, the engine failed and nothing is known */
};

enum cache_flags { CACHE_NOWAIT = 1 << 0 };

/* bytes an engine hands out; malloc'd, freed by the caller with free() */
struct cache_bytes {
	char *data;
	size_t len;
};

struct cache_key {
	uint8_t b[32]; /* SHA-256 of the canonical request */
};

/* one listed sample */
struct cache_name {
	struct cache_key key;
	uint32_t index;
};

struct cache_stats {
	uint64_t objects; /* UINT64_MAX: not known */
	uint64_t bytes;	  /* UINT64_MAX: not known */
};

struct cache_engine {
	size_t size;	  /* sizeof(struct cache_engine) of the engine's header */
	unsigned api;	  /* CACHE_ENGINE_API */
	const char *name; /* the URL's scheme */

	/* open - url is whole, "disk:/var/cache?ttl=60"; 0 or -errno with a sentence in why (why_len
	 * bytes, always terminated). A server that does not answer is no error here: get will say so.
	 * called: once, first */
	int (*open)(const char *url, void **out_engine, char *why, size_t why_len);

	/* get - CACHE_OK, CACHE_MISS, CACHE_AGAIN, -errno; deadline_ms is how long it may take */
	int (*get)(void *engine, const struct cache_key *key, uint32_t index, unsigned flags,
		   unsigned deadline_ms, struct cache_bytes *out);

	/* put_new - never overwrites: CACHE_OK, CACHE_EXISTS, -errno; ttl_s 0: the engine's default */
	int (*put_new)(void *engine, const struct cache_key *key, uint32_t index,
		       const struct cache_bytes *bytes, uint64_t ttl_s, unsigned deadline_ms);

	/* count - samples of key, in *out */
	int (*count)(void *engine, const struct cache_key *key, unsigned deadline_ms,
		     uint32_t *out);

	/* remove - one index or CACHE_INDEX_ALL: CACHE_OK, CACHE_MISS, -errno */
	int (*remove)(void *engine, const struct cache_key *key, uint32_t index,
		      unsigned deadline_ms);

	/* list - samples whose key begins with the hex digits of prefix ("" all), in order of (key, index),
	 * after `after` (NULL: from the first), at most max of them; *out_n < max: that was the end */
	int (*list)(void *engine, const char *prefix, const struct cache_name *after, size_t max,
		    struct cache_name *out, size_t *out_n);

	/* stats - may be NULL: not known */
	int (*stats)(void *engine, struct cache_stats *out);

	/* close - may be NULL; called: once, last */
	void (*close)(void *engine);

	/* export_link - may be NULL: make dirfd/name a hard link to the stored object, so that no byte is
	 * copied: CACHE_OK, CACHE_MISS, -errno (-EXDEV: copy instead; -EEXIST) */
	int (*export_link)(void *engine, const struct cache_key *key, uint32_t index, int dirfd,
			   const char *name);

	/* put_link - may be NULL: as put_new, taking the object from dirfd/name by hard link */
	int (*put_link)(void *engine, const struct cache_key *key, uint32_t index, int dirfd,
			const char *name, uint64_t ttl_s);

	/* set_aside - may be NULL: an object failed its check; keep it where a person can look at it and
	 * answer CACHE_MISS from now on. NULL: remove is called instead */
	int (*set_aside)(void *engine, const struct cache_key *key, uint32_t index);
};

/* the one symbol a plug-in exports: its table */
#define CACHE_ENGINE_SYMBOL "inferfs_cache_engine"

#ifdef __cplusplus
}
#endif
#endif
