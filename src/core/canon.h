/*
 * canon.h - canonical JSON: RFC 8785, with integers beyond 2^53 as their exact digits
 *
 * Two requests have one key when and only when these bytes are equal, for ever: a change here
 * raises the `format` member of the effective request.
 * Threads: any. Blocks: never.
 */
#ifndef CORE_CANON_H
#define CORE_CANON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* canon_write - append the canonical form of v
 *
 * Errors: -EINVAL NaN or infinity, -EFBIG over out->max, -ENOMEM; out may then hold a part
 * Source: RFC 8785; ECMA-262 Number::toString
 */
int canon_write(const json_t *v, struct buf *out);

/* canon_write_ordered - as canon_write, but members keep the order they were put in: for texts that
 * people read; never for what is hashed */
int canon_write_ordered(const json_t *v, struct buf *out);

/* canon_number - ECMAScript's text of a finite double; out holds at least 32 bytes */
int canon_number(double d, char *out);

/* canon_parse - strict JSON text to a value: one document, UTF-8, no duplicate keys, no NUL, depth at
 * most 64, integers within 64 bits, finite numbers
 *
 *   out_unfinished  set (may be NULL) when the text is a proper beginning that more bytes could
 *                   complete; also for empty or blank text
 *
 * Errors: -EINVAL with line, column (of bytes, from 1) and sentence in e; -ENOMEM
 */
int canon_parse(const char *text, size_t len, json_t **out, bool *out_unfinished, struct err *e);

/* canon_parse_fail - fill e with "line L, column C: problem" for byte `at` of text; returns -EINVAL */
int canon_parse_fail(const char *text, size_t at, const char *problem, struct err *e);

/* canon_parse_locate - line and column of a top-level member's name in a text that canon_parse took;
 * false when it is not there (or written with escapes) */
bool canon_parse_locate(const char *text, size_t len, const char *name, unsigned *out_line,
			unsigned *out_column);

#define CANON_DEPTH_MAX 64

#endif
