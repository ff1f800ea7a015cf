/*
 * Answers in the JSON that OpenAI made common, for chat and text completions; openread.h has
 * the requests.
 *
 * Used by every dialect of that family; what differs comes from the dialect's traits.
 */
#ifndef PROVIDER_OPENWIRE_H
#define PROVIDER_OPENWIRE_H

#include "dialect.h"

void openwire_whole(struct buf *out, const struct ask *ask);
void openwire_stream(struct events *out, const struct ask *ask);
/* "call_ID_K" */
void openwire_call_id(char *out, uint64_t id, size_t k);

/* The time of every answer: constant, so that two runs give the same bytes. */
#define OPENWIRE_CREATED 1795000000

#endif
