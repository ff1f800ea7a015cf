/*
 * request_messages.h - the list of messages: roles, contents, members
 *
 * Private to core/request*.c.
 * Threads: any. Blocks: never.
 */
#ifndef CORE_REQUEST_MESSAGES_H
#define CORE_REQUEST_MESSAGES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* request_messages_check - check a list and bring it into one spelling
 *
 *   out  new list: developer is system, a lone text part is a string, empty tool_calls are gone,
 *        an image part has path, url or data (request_image_collect turns the latter into hashes);
 *        what an assistant message of a provider holds besides is kept as it is
 *
 * Errors: -EINVAL naming messages[i].member; -ENOMEM
 */
int request_messages_check(const json_t *list, json_t **out, struct err *e);

/* request_messages_have_system - any of a checked list is a system message */
bool request_messages_have_system(const json_t *list);

/* request_messages_one - {"role", "content"}; NULL when out of memory */
json_t *request_messages_one(const char *role, const json_t *content);

#endif
