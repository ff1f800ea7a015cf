/*
 * infer/gemini_reply.h - reading Gemini's answers: chunks, whole bodies, embeddings
 *
 * The four callbacks of backend.h of the same names. There is no end mark: a stream is whole when the
 * connection ends in good order after a finish reason of each candidate that began (or after a block of the
 * prompt, which is then every candidate's answer), so event never returns 1 for a chunk and end decides.
 *
 * Threads: one owner. Blocks: never. Source: protocol reference, Gemini 3.2, 3.3, 3.4, 5.
 */
#ifndef INFER_GEMINI_REPLY_H
#define INFER_GEMINI_REPLY_H

#include "infer/backend.h"

/* gemini_reply_new - a[0] to a[n - 1] are filled as chunks come; s->text gets the text as it comes */
void *gemini_reply_new(const struct backend_config *c, struct answer *const *a, unsigned n,
		       const struct backend_sink *s);
/* gemini_reply_event - a chunk, or whole: an object, an array of chunks, or a list of embeddings */
int gemini_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		       struct err *e);
int gemini_reply_end(void *reply, struct err *e);
void gemini_reply_free(void *reply);

#endif
