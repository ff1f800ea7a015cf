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
#include "core/request.h"

/* request_fields_check - names, types and ranges of one layer
 *
 *   defaults  the layer is a .defaults.json: no prompt, messages or input in it
 *   out       a new object in the spelling used inside: max_completion_tokens as max_tokens,
 *             use_cache as cache, stop as a list, 5.0 as 5 where an integer is wanted, messages
 *             and tools checked and expanded; nulls stay
 *
 * Errors: -EINVAL naming the field; -EOPNOTSUPP for tools that are no functions; -ENOMEM
 */
int request_fields_check(const json_t *layer, bool defaults, json_t **out, struct err *e);

/* request_fields_supported - after merging: nothing in it that only a later version can do */
int request_fields_supported(const json_t *merged, struct err *e);

/* request_fields_sent - copy the fields that reach a provider as they are; 0 or -ENOMEM */
int request_fields_sent(const json_t *merged, json_t *body);

/* request_fields_fit - what has no meaning at this endpoint: -EINVAL when the request itself has it,
 * taken out of merged when only the defaults have it */
int request_fields_fit(json_t *merged, const json_t *own, enum request_endpoint endpoint,
		       struct err *e);

#endif
