/*
 * infer/openai_body.h - bodies for OpenAI's chat, completion, fill-in-the-middle and embedding calls, and for the
 * servers that imitate them
 *
 * Threads: any; pure. Blocks: never. Source: protocol reference, OpenAI 3 to 5, 9, 10.
 */
#ifndef INFER_OPENAI_BODY_H
#define INFER_OPENAI_BODY_H

#include "infer/body.h"

/* openai_body_rules - what this request's endpoint takes at this dialect; not for responses */
struct body_rules openai_body_rules(const struct backend_config *c, const json_t *effective);
/* openai_body_build - as backend.h's build */
/* openai_body_samples - samples_max of backend.h */
unsigned openai_body_samples(const struct backend_config *c, const json_t *effective);
int openai_body_build(const struct backend_config *c, const struct backend_ask *ask,
		      struct backend_body *out, struct err *e);

#endif
