/*
 * request_say.h - sentences about what is wrong in a request, with the path of what they are about
 *
 * Private to core/request*.c. A path reads as the user would write it: messages[1].content[0].text.
 * Threads: any. Blocks: never.
 */
#ifndef CORE_REQUEST_SAY_H
#define CORE_REQUEST_SAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define REQUEST_SAY_FOUND_MAX 64

/* request_say_quote - a text as in a sentence: in quotes, cut where a character ends */
void request_say_quote(const char *s, char *out, size_t cap);
/* request_say_found - what stands there, for a sentence: the number 3, a list, "hot" */
void request_say_found(const json_t *v, char *out, size_t cap);
/* request_say_path - path.member, or path when member is ""; cut is fine: it is only shown */
void request_say_path(char out[ERR_NAME_MAX], const char *path, const char *member);
/* request_say - "PATH fmt..."; the error's field is path. Returns the negative errno of kind */
int request_say(struct err *e, enum err_kind kind, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* request_say_wrong - "PATH must be ALLOWED, found ..." */
int request_say_wrong(struct err *e, const char *path, const char *allowed, const json_t *v);
/* request_say_unknown - the object at path has no member of this name; known: the names it may have,
 * NULL-terminated, for the nearest; has: the same as words */
int request_say_unknown(struct err *e, const char *path, const char *name, const char *const *known,
			const char *has);
/* request_say_name - a string of 1 to max bytes without control characters */
bool request_say_name(const json_t *v, size_t max);
/* request_say_is - v is this text */
bool request_say_is(const json_t *v, const char *text);

#endif
