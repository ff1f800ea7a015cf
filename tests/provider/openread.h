/*
 * Requests in the JSON that OpenAI made common, and embeddings, which need nothing else.
 */
#ifndef PROVIDER_OPENREAD_H
#define PROVIDER_OPENREAD_H

#include "dialect.h"

/* model, stream, n, prompts. -1 with *why filled when something needed is not there. */
int openread_ask(struct ask *ask, struct refusal *why);
/* The same text always gets the same vector. */
void openread_embed(struct buf *out, const struct ask *ask);
/* The vector of prompt `i` as a list of numbers. */
void openread_vector(struct buf *out, const struct ask *ask, size_t i);
/* The vector of a text; dimensions: a JSON integer, else 8. */
void openread_floats(struct buf *out, const char *text, size_t n, const json_t *dimensions);

#endif
