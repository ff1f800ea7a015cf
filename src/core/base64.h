/*
 * base64.h - RFC 4648 section 4, strictly: its alphabet, padding, no line breaks, no stray bits
 *
 * One text for one sequence of bytes, so that what is compared and what is sent are the same.
 * Threads: any. Blocks: never.
 */
#ifndef CORE_BASE64_H
#define CORE_BASE64_H

#include <stddef.h>

#include "base/buf.h"

/* base64_decode - append the bytes; out_at (may be NULL): where the text is wrong
 * Errors: -EINVAL, -EFBIG over out->max, -ENOMEM */
int base64_decode(const char *text, size_t len, struct buf *out, size_t *out_at);
/* base64_encode - append the text of n bytes; -EFBIG, -ENOMEM */
int base64_encode(const void *p, size_t n, struct buf *out);

#endif
