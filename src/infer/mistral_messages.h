/*
 * infer/mistral_messages.h - messages in Mistral's form: ids of tool calls, and thoughts as chunks
 *
 * Threads: any; pure. Blocks: never. Source: protocol reference, Mistral 3.1, 3.2, 3.5.
 */
#ifndef INFER_MISTRAL_MESSAGES_H
#define INFER_MISTRAL_MESSAGES_H

#include <jansson.h>

#include "infer/body.h"

/* mistral_messages_fill - messages of body_begin, changed in place; 0 or -ENOMEM */
int mistral_messages_fill(json_t *messages, const json_t *images);

#endif
