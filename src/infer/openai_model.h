/*
 * infer/openai_model.h - what OpenAI's own models refuse, by their names
 *
 * Names of OpenAI's models mean this where OpenAI's dialect is spoken, at any address: what has such a name
 * elsewhere is a server that hands the request on. `provider` with another name says that it is not so.
 * Threads: any; pure. Blocks: never. Source: protocol reference, OpenAI 3.1, 3.4; traps 5 and 6.
 */
#ifndef INFER_OPENAI_MODEL_H
#define INFER_OPENAI_MODEL_H

#include <jansson.h>
#include <stdbool.h>

#include "infer/body.h"

/* openai_model_here - c is asked as OpenAI itself is */
bool openai_model_here(const struct backend_config *c);
/* openai_model_reasons - a reasoning model of OpenAI's: o1, o4-mini, gpt-5, gpt-6-luna */
bool openai_model_reasons(const json_t *effective);
/* openai_model_wants_responses - tools and reasoning go together only at /responses */
bool openai_model_wants_responses(const json_t *effective);
/* openai_model_check - refuse, or with lossy drop, what a reasoning model does not take */
int openai_model_check(const struct body_check *k);

#endif
