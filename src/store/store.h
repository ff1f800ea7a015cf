/*
 * store.h - the front of the cache: one engine, every object checked, damage set aside, outages survived
 *
 *   1. store_open    engine by the URL's scheme; down or absent: still opens, with a warning in e
 *   2. store_get ... from pool threads; STORE_NOWAIT ones from the serving thread
 *   3. store_close
 *
 * An engine that fails `breaker_failures` times in a row is left alone and probed by one call each
 * probe_ms; meanwhile every get is a miss. A damaged object is set aside and is a miss.
 * Threads: any. Blocks: as the engine does, up to timeout_ms; never with STORE_NOWAIT.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/key.h"
#include "store/object.h"

struct store;

struct store_options {
	const char *url;	   /* "disk:DIR?...", "tmp:", "memory:" */
	unsigned timeout_ms;	   /* of one engine call */
	unsigned breaker_failures; /* in a row */
	unsigned probe_ms;
	uint64_t ttl_s; /* default time to live, 0 none */
	bool sync;	/* durability=each: sync every object before put returns */
};

enum store_flags { STORE_NOWAIT = 1 << 0 };

/* results of get and put; negative: -errno of the engine */
enum { STORE_OK = 0, STORE_MISS = 1, STORE_EXISTS = 2, STORE_AGAIN = 3 };

/* store_open - a URL nobody understands is an error; a directory that cannot be made, too, unless it
 * is an outage (warning in e, 0 returned). "~" is not expanded here. */
int store_open(const struct store_options *o, struct store **out, struct err *e);
struct store *store_close(struct store *s);

/* store_get - the checked object, and (when out_bytes is not NULL) its bytes
 *
 * STORE_OK, STORE_MISS (also: expired, damaged, engine down), STORE_AGAIN (only with STORE_NOWAIT)
 */
int store_get(struct store *s, const struct key *key, uint32_t index, unsigned flags,
	      struct object *out, struct buf *out_bytes);

/* store_put - put_new: STORE_OK, STORE_EXISTS, -errno (the caller offers it again later)
 *   dirfd, name  where the same bytes lie as a file (answers/), for engines that can hard-link; -1, NULL: none
 */
struct store_offer {
	const struct key *key;
	uint32_t index;
	const char *bytes;
	size_t len;
	uint64_t ttl_s;
	int dirfd;
	const char *name;
};
int store_put(struct store *s, const struct store_offer *o);

/* store_export - hard link dirfd/name to the stored object: 0, STORE_MISS, -EXDEV or -EOPNOTSUPP: copy */
int store_export(struct store *s, const struct key *key, uint32_t index, int dirfd,
		 const char *name);

/* store_remove - index or UINT32_MAX for all: STORE_OK, STORE_MISS, -errno */
int store_remove(struct store *s, const struct key *key, uint32_t index);

/* store_name / store_list - as the engine's list; prefix "" to 64 hex digits; expired ones may be listed */
struct store_name {
	struct key key;
	uint32_t index;
};
int store_list(struct store *s, const char *prefix, const struct store_name *after, size_t max,
	       struct store_name *out, size_t *out_n);

/* store_status - for stats: engine name, lookups, hits, misses, errors, damaged, breaker open */
struct store_status {
	const char *engine;
	uint64_t lookups, hits, puts, errors, damaged;
	bool down;
};
void store_status(struct store *s, struct store_status *out);

#endif
