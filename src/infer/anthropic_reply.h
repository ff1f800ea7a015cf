/*
 * infer/anthropic_reply.h - reading Anthropic's answers: events, whole messages, usage, end mark
 *
 * The four callbacks of backend.h of the same names. Blocks come one after the other; a call's input and a
 * thought's signature are put together at the block's end. Thoughts are kept with the tool call that
 * follows them, because the service wants them back in front of it.
 *
 * Threads: one owner. Blocks: never. Source: protocol reference, Anthropic 3.3, 3.4, 3.6.
 */
#ifndef INFER_ANTHROPIC_REPLY_H
#define INFER_ANTHROPIC_REPLY_H

#include "infer/backend.h"

/* anthropic_reply_new - a[0] is filled as events come (there are no other choices); s->text gets the text */
void *anthropic_reply_new(const struct backend_config *c, struct answer *const *a, unsigned n,
			  const struct backend_sink *s);
/* anthropic_reply_event - 1 at message_stop or after a whole message */
int anthropic_reply_event(void *reply, const char *name, const char *data, size_t len, bool whole,
			  struct err *e);
int anthropic_reply_end(void *reply, struct err *e);
void anthropic_reply_free(void *reply);

#endif
