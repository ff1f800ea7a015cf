/*
 * infer/openai_responses.h - OpenAI's /responses: requests (answers: openai_items.h)
 *
 * Nothing is stored at OpenAI: what a later turn needs of the model's reasoning comes back encrypted, travels in
 * the first tool call's extra_content.openai.reasoning, and is sent again before the calls.
 *
 * Threads: any; pure. Blocks: never. Source: protocol reference, OpenAI 7.
 */
#ifndef INFER_OPENAI_RESPONSES_H
#define INFER_OPENAI_RESPONSES_H

#include "infer/body.h"

/* openai_responses_rules - what /responses takes */
struct body_rules openai_responses_rules(void);
/* openai_responses_build - as backend.h's build */
int openai_responses_build(const struct backend_config *c, const struct backend_ask *ask,
			   struct backend_body *out, struct err *e);

#endif
