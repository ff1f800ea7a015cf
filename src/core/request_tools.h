/*
 * request_tools.h - tools, tool choice, tool calls of earlier turns, answer formats
 *
 * Private to core/request*.c. Each check makes a new value in the one spelling that backends get.
 * Threads: any. Blocks: never. Source: the request format page; OpenAI chat format.
 */
#ifndef CORE_REQUEST_TOOLS_H
#define CORE_REQUEST_TOOLS_H

#include <jansson.h>

#include "base/err.h"

/* request_tools_check - the list `tools`: 0; -EINVAL naming tools[i].member; -EOPNOTSUPP for a tool
 * that is no function; -ENOMEM */
int request_tools_check(const json_t *list, json_t **out, struct err *e);
/* request_tools_choice - `tool_choice` */
int request_tools_choice(const json_t *v, json_t **out, struct err *e);
/* request_tools_agree - after merging: a choice without tools, or of a tool that is not there. own:
 * the request itself; a choice that only the defaults made is taken out of merged instead */
int request_tools_agree(json_t *merged, const json_t *own, struct err *e);
/* request_tools_calls - an assistant message's `tool_calls`, at path; other members of a call are kept:
 * a provider may want them back. Arguments given as an object become text */
int request_tools_calls(const char *path, const json_t *list, json_t **out, struct err *e);
/* request_tools_format - `response_format` */
int request_tools_format(const json_t *v, json_t **out, struct err *e);

#endif
