/*
 * What was received: the last 20000 inference requests, for tests to look at afterwards.
 *
 * Control requests are never recorded. Used on the HTTP thread only.
 */
#ifndef PROVIDER_RECORD_H
#define PROVIDER_RECORD_H

#include <microhttpd.h>
#include <stdint.h>

#include "buf.h"

/* Identifies the request everywhere (answer ids, log); 1 is the first after a reset. */
uint64_t record_add(struct MHD_Connection *conn, const char *method, const char *path,
		    const struct buf *body, uint64_t first_ns);
/* The client closed before the end of the answer. */
void record_aborted(uint64_t seq);
uint64_t record_aborted_count(void);
/*
 * POST requests so far. With `path` (a substring) every method counts, but only requests that
 * are still kept.
 */
uint64_t record_count(const char *path);
/* {"count":N,"requests":[...]}, the last `last` of them, oldest first. */
void record_dump(struct buf *out, uint64_t last);
void record_reset(void);

#endif
