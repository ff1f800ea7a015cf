/*
 * recent.h - the texts of the answers that were shown last
 *
 * A new answer is read a moment after it is there, and making its `text` from the ledger and the object
 * file again would be the dearest part of a hit. The bytes of an id never change; they go with its row.
 * Threads: any. Blocks: never.
 */
#ifndef JOBS_RECENT_H
#define JOBS_RECENT_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

struct recent;

/* recent_new - NULL when out of memory, which the others take for "remembers nothing" */
struct recent *recent_new(void);
struct recent *recent_free(struct recent *r);
/* recent_keep - remember the text of request id; long ones are not worth it, vectors have none */
void recent_keep(struct recent *r, int64_t id, const json_t *sample);
/* recent_text - append it: 0, -ENOENT */
int recent_text(struct recent *r, int64_t id, struct buf *out);
/* recent_drop - the response is gone */
void recent_drop(struct recent *r, int64_t id);

#endif
