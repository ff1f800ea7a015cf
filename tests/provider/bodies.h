/*
 * What clients sent, for a judge that comes later: with PROVIDER_BODIES=DIRECTORY in the environment each POST and
 * DELETE with a JSON body becomes a line of DIRECTORY/PID.jsonl:
 *
 *   {"dialect","method","path" (below the dialect's prefix, with its query),"test","extra","body"}
 *
 * The body's own bytes are kept. "test" is PROVIDER_TEST. "extra" is true for what a test announced as its own words
 * and not the program's. Used on the HTTP thread only.
 */
#ifndef PROVIDER_BODIES_H
#define PROVIDER_BODIES_H

#include "call.h"

/* Opens the file, where one is wanted; -1: it cannot be made. */
int bodies_init(void);
/* The request is complete and its dialect known. */
void bodies_note(const struct call *c);
/* From now on bodies with this text in them are marked as extra, until bodies_reset. */
int bodies_extra(const char *text);
void bodies_reset(void);

#endif
