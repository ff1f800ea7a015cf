/*
 * OpenAI's /responses and llama.cpp's /infill: two ways of answering that chat has not.
 */
#ifndef PROVIDER_RESPWIRE_H
#define PROVIDER_RESPWIRE_H

#include "dialect.h"

/* What the real service refuses in the items of `input`. */
int respwire_check(const struct ask *ask, struct refusal *why);
void respwire_whole(struct buf *out, const struct ask *ask);
void respwire_stream(struct events *out, const struct ask *ask);
void respwire_infill_whole(struct buf *out, const struct ask *ask);
void respwire_infill_stream(struct events *out, const struct ask *ask);

#endif
