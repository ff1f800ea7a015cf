/*
 * infer/ollama_reply.h - answers of Ollama's own API: lines of JSON, or one object
 *
 * The four callbacks of backend.h of the same names. Threads: one owner. Blocks: never.
 * Source: protocol reference, Ollama 3, 4, 6 to 8.
 */
#ifndef INFER_OLLAMA_REPLY_H
#define INFER_OLLAMA_REPLY_H

#include "infer/backend.h"

/* ollama_reply_new - a[0] is filled as lines come (there are no other choices); s->text gets the text */
void *ollama_reply_new(const struct backend_config *c, struct answer *const *a, unsigned n,
		       const struct backend_sink *s);
/* ollama_reply_event - 1: the end mark, or a whole body; -errno: an error, or nothing that can be read */
int ollama_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		       struct err *e);
/* ollama_reply_end - the body ended without its end mark: always a failure */
int ollama_reply_end(void *reply, struct err *e);
/* ollama_reply_free - the answer stays */
void ollama_reply_free(void *reply);

#endif
