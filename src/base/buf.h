/*
 * buf.h - growing bytes with a maximum
 *
 *   1. BUF_INIT(max) or buf_init   empty, no memory; max in bytes
 *   2. buf_add...                  grows; over max or out of memory: -EFBIG or -ENOMEM, and
 *                                  `failed` stays set, so a chain of adds may be checked once
 *   3. buf_steal or buf_done       hand the bytes over, or free them
 *
 * The bytes are always followed by one NUL that len does not count.
 * Threads: one owner. Blocks: never.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NULL while empty */
	size_t len, cap, max;
	int failed; /* 0, or the negative errno of the first failed add */
};

#define BUF_INIT(max_bytes) ((struct buf){ NULL, 0, 0, (max_bytes), 0 })
#define AUTO_BUF	    __attribute__((cleanup(buf_done)))

/* buf_init - empty, with a maximum in bytes */
void buf_init(struct buf *b, size_t max);
/* buf_done - free the bytes; b may be used again after buf_init */
void buf_done(struct buf *b);
/* buf_clear - forget the bytes, keep the memory, reset failed */
void buf_clear(struct buf *b);
/* buf_add - append n bytes; 0, -EFBIG, -ENOMEM */
int buf_add(struct buf *b, const void *p, size_t n);
/* buf_adds - append a string */
int buf_adds(struct buf *b, const char *s);
/* buf_addc - append one byte */
int buf_addc(struct buf *b, char c);
/* buf_addf - append formatted text */
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* buf_reserve - room for n more bytes at data + len (the caller then raises len) */
int buf_reserve(struct buf *b, size_t n);
/* buf_remove - drop n bytes from the front (n <= len) */
void buf_remove(struct buf *b, size_t n);
/* buf_str - the bytes as a C string, never NULL */
const char *buf_str(const struct buf *b);
/* buf_steal - the malloc'd bytes (NUL-terminated) go to the caller; b is empty again;
 * NULL only when out of memory */
char *buf_steal(struct buf *b, size_t *out_len);

#endif
