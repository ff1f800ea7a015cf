/*
 * infer/anthropic_turns.h - messages as Anthropic's messages
 *
 * Neighbours of one role are one message; results of tools come first in theirs; blocks without text are left
 * out, and white space behind a last assistant message is cut: the service refuses both. The blocks of
 * thinking that came with a tool call stand before it, unchanged.
 *
 * Threads: any; pure. Blocks: never. Source: protocol reference, Anthropic 3.2, 3.5.
 */
#ifndef INFER_ANTHROPIC_TURNS_H
#define INFER_ANTHROPIC_TURNS_H

#include <jansson.h>

/* anthropic_turns - new array of messages; NULL: out of memory */
json_t *anthropic_turns(const json_t *effective, const json_t *images);

#endif
