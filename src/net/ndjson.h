/*
 * net/ndjson.h - one JSON text a line, from bytes that are cut anywhere
 *
 *   1. ndjson_init    max: bytes of one line
 *   2. ndjson_feed    any number of times; whole lines are handed over as they end
 *   3. ndjson_finish  the body ended; a line without its newline is handed over too
 *   4. ndjson_done
 *
 * Blank lines are skipped, a CR before the LF and a BOM at the beginning are dropped.
 * Threads: one owner. Blocks: never. Source: the NDJSON note of ndjson.org.
 */
#ifndef NET_NDJSON_H
#define NET_NDJSON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct ndjson {
	struct buf line; /* the beginning of a line that is not whole yet */
	bool begun;	 /* the first line is over */
};

/* ndjson_fn - one line without its end; not NUL-terminated; nonzero ends ndjson_feed */
typedef int ndjson_fn(void *arg, const char *line, size_t len);

/* ndjson_init - nothing seen; max bytes of one line */
void ndjson_init(struct ndjson *s, size_t max);
/* ndjson_done - free what it holds; harmless on zeroed memory */
void ndjson_done(struct ndjson *s);
/* ndjson_feed - 0, fn's nonzero answer (the rest is ignored), -EFBIG over max, -ENOMEM */
int ndjson_feed(struct ndjson *s, const char *p, size_t n, ndjson_fn *fn, void *arg);
/* ndjson_finish - as ndjson_feed */
int ndjson_finish(struct ndjson *s, ndjson_fn *fn, void *arg);

#endif
