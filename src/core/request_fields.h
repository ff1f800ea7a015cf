/*
 * request_fields.h - the one table of a request's fields: name, type, range, where it goes
 *
 * Private to core/request*.c. A layer is one JSON object of fields: the request itself, or one
 * directory's defaults.
 * Threads: any. Blocks: never.
 */
#ifndef CORE_REQUEST_FIELDS_H
#define CORE_REQUEST_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* request_fields_check - names, types and ranges of one layer
 *
 *   defaults  the layer is a .defaults.json: no prompt, messages or input in it
 *   out       a new object in the spelling used inside: max_completion_tokens as max_tokens,
 *             use_cache as cache, stop as a list, 5.0 as 5 where an integer is wanted, messages
 *             checked and expanded; nulls stay
 *
 * Errors: -EINVAL naming the field; -EOPNOTSUPP for parts of messages; -ENOMEM
 */
int request_fields_check(const json_t *layer, bool defaults, json_t **out, struct err *e);

/* request_fields_supported - after merging: nothing in it that only a later version can do */
int request_fields_supported(const json_t *merged, struct err *e);

/* request_fields_sent - copy the fields that reach a provider as they are; 0 or -ENOMEM */
int request_fields_sent(const json_t *merged, json_t *body);

/* request_fields_found - what stands there, for a sentence: the number 3, a list, "hot" */
void request_fields_found(const json_t *v, char *out, size_t cap);

#define REQUEST_FIELDS_FOUND_MAX 64

#endif
