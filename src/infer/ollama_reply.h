/*
 * infer/ollama_reply.h - answers of Ollama's own API: lines of JSON, or one object
 *
 * The four callbacks of backend.h of the same names. Threads: one owner. Blocks: never.
 * Source: protocol reference, Ollama 3, 4, 6 to 8.
 */
#ifndef INFER_OLLAMA_REPLY_H
#define INFER_OLLAMA_REPLY_H

#include "infer/backend.h"

void *ollama_reply_new(const struct backend_config *c, struct answer *a,
		       const struct backend_sink *s);
int ollama_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		       struct err *e);
int ollama_reply_end(void *reply, struct err *e);
void ollama_reply_free(void *reply);

#endif
