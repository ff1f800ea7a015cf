/*
 * What the dialects share that are not OpenAI's: counting a conversation, arguments of tool
 * calls, the sentence of a refusal.
 */
#ifndef PROVIDER_NATIVE_H
#define PROVIDER_NATIVE_H

#include "dialect.h"

/* Appends a text to the message that plan_prompt began; anything but a string is nothing. */
void native_text(struct ask *ask, const json_t *text);
/* All messages are counted; the chosen one is the prompt. */
void native_chosen(struct ask *ask, size_t chosen);
/* -1 with *why filled: status 400, or 404 for a model. */
int native_refuse(struct refusal *why, enum why reason, const char *field, const char *text);
/* The first member of `o` that is not in the list; NULL when all are. */
const char *native_unknown(const json_t *o, const char *const *known);
void native_dump(struct buf *b, const json_t *v);
/* The script's arguments of call `k`: text as it is, a value as JSON, "{}" when there are none. */
void native_arguments(const struct ask *ask, size_t k, struct buf *out);
/* name and id of call `k`; own: room for 32 bytes, used when the script has no id */
const char *native_call_name(const struct ask *ask, size_t k);
const char *native_call_id(const struct ask *ask, size_t k, char *own);
/* The sentence, without quotes. */
void native_sentence(struct buf *b, const struct refusal *r);
/* Is the error event of the script due before this step? */
bool native_error(struct events *ev, const struct ask *ask, size_t step, const char *name);

#endif
