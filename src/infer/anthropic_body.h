/*
 * infer/anthropic_body.h - the effective request as Anthropic's JSON body, and the API version it needs
 *
 * The first two are the callbacks of backend.h of these names.
 * Threads: any; pure. Blocks: never. Source: protocol reference, Anthropic 1.1, 3; mapping 1.
 */
#ifndef INFER_ANTHROPIC_BODY_H
#define INFER_ANTHROPIC_BODY_H

#include "infer/backend.h"

/* the version without sampling fields, and the one that still has them */
#define ANTHROPIC_BODY_NEW "2026-10-21"
#define ANTHROPIC_BODY_OLD "2023-06-01"

/* anthropic_body_check - refuses or drops what the API, its version or the model has no place for */
int anthropic_body_check(const struct backend_config *c, json_t *effective, json_t *dropped,
			 bool lossy, struct err *e);
int anthropic_body_build(const struct backend_config *c, const struct backend_ask *ask,
			 struct backend_body *out, struct err *e);
/* anthropic_body_header - "anthropic-version: VERSION", "" when the user's own headers name one */
int anthropic_body_header(const struct backend_config *c, const char *version,
			  char out[BACKEND_HEADER_MAX], struct err *e);

#endif
