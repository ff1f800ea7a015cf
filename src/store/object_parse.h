/*
 * object_parse.h - the JSON text of an object whose checksum was right, to values, quickly
 *
 * It reads what canonical form can contain: no space between tokens, integers of at most 18 digits,
 * \u only for control characters. Anything else is -EBADMSG, and the caller lets jansson's own, strict
 * parser decide. Threads: any. Blocks: never.
 */
#ifndef STORE_OBJECT_PARSE_H
#define STORE_OBJECT_PARSE_H

#include <stddef.h>

#include "core/canon.h" /* json_t */

#define OBJECT_PARSE_DEPTH 64

/* object_parse - the whole text is one object, without the newline at its end; 0, -EBADMSG, -ENOMEM */
int object_parse(const char *text, size_t n, json_t **out);

#endif
