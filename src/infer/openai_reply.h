/*
 * infer/openai_reply.h - answers of OpenAI and its imitators: each event says itself which form it is of
 *
 * The four callbacks of backend.h of the same names. Threads: one owner. Blocks: never.
 * Source: protocol reference, OpenAI 3.3, 3.5, 4, 5, 7, 9, 10.
 */
#ifndef INFER_OPENAI_REPLY_H
#define INFER_OPENAI_REPLY_H

#include "infer/backend.h"

/* openai_reply_new - a[0] to a[n - 1] are filled as events come; s->text gets the text as it comes */
void *openai_reply_new(const struct backend_config *c, struct answer *const *a, unsigned n,
		       const struct backend_sink *s);
/* openai_reply_event - 1: the end mark, or a whole body; -errno: an error, or nothing that can be read */
int openai_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		       struct err *e);
/* openai_reply_end - the body ended without its end mark: always a failure */
int openai_reply_end(void *reply, struct err *e);
/* openai_reply_free - the answer stays */
void openai_reply_free(void *reply);

#endif
