/*
 * infer/gemini_turns.h - messages as Gemini's contents
 *
 * Threads: any; pure. Blocks: never. Source: protocol reference, Gemini 3.1, 3.4.
 */
#ifndef INFER_GEMINI_TURNS_H
#define INFER_GEMINI_TURNS_H

#include <jansson.h>

#include "infer/body.h"

/* gemini_turns_check - every answer of a tool names a call before it, or its function; ERR_REQUEST else */
int gemini_turns_check(const struct body_check *k);
/* gemini_turns - new array of contents; NULL: out of memory, or an image's bytes are not there */
json_t *gemini_turns(const json_t *effective, const json_t *images);

#endif
