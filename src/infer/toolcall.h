/*
 * infer/toolcall.h - tool calls of an answer, merged from the pieces of a stream
 *
 * Threads: one owner. Blocks: never. Source: protocol reference, OpenAI 3.5, Mistral 3.5.
 */
#ifndef INFER_TOOLCALL_H
#define INFER_TOOLCALL_H

#include <jansson.h>

#define TOOLCALL_MAX 1024 /* calls in one answer */

/* toolcall_merge - put the pieces of an array `tool_calls` into *calls (made when NULL)
 *
 * A piece with a known index continues that call: its arguments are appended, an id, type or name that is
 * missing is set. A piece without index is a call of its own. Arguments that are objects become text.
 * The calls keep their member "index" until toolcall_finish.
 * Errors: -ENOMEM, -EFBIG more than TOOLCALL_MAX
 */
int toolcall_merge(json_t **calls, const json_t *pieces);
/* toolcall_finish - take the indices out, make missing ids, and of no arguments "{}"; 0 or -ENOMEM; calls may be NULL */
int toolcall_finish(json_t *calls);

#endif
