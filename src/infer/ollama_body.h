/*
 * infer/ollama_body.h - bodies for Ollama's own API: /api/chat, /api/generate, /api/embed
 *
 * Threads: any; pure. Blocks: never. Source: protocol reference, Ollama 3 to 5, 8.
 */
#ifndef INFER_OLLAMA_BODY_H
#define INFER_OLLAMA_BODY_H

#include "infer/body.h"

/* ollama_body_build - as backend.h's build */
int ollama_body_build(const struct backend_config *c, const struct backend_ask *ask,
		      struct backend_body *out, struct err *e);

#endif
