/*
 * infer/gemini_body.h - the effective request as Gemini's JSON body
 *
 * The two callbacks of backend.h of these names. System messages become systemInstruction; answers to tools
 * stand right behind the calls, in their order; neighbours of one role become one content; what has no text
 * is left out, because the service refuses empty parts. Tool calls carry the signature that came with them.
 *
 * Threads: any; pure. Blocks: never. Source: protocol reference, Gemini 3.1, 3.4, 5; mapping 1.
 */
#ifndef INFER_GEMINI_BODY_H
#define INFER_GEMINI_BODY_H

#include "infer/backend.h"

/* gemini_body_check - refuses or drops what the API has no place for */
int gemini_body_check(const struct backend_config *c, json_t *effective, json_t *dropped,
		      bool lossy, struct err *e);
/* gemini_body_samples - samples_max of backend.h */
unsigned gemini_body_samples(const struct backend_config *c, const json_t *effective);
/* gemini_body_build - chat as a stream, embeddings in one piece */
int gemini_body_build(const struct backend_config *c, const struct backend_ask *ask,
		      struct backend_body *out, struct err *e);

#endif
