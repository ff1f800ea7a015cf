/*
 * Growing byte buffer with the few JSON writers the provider needs.
 *
 * The provider is a test fixture: running out of memory ends it (abort), because a half
 * written answer would look like a bug of the program under test.
 */
#ifndef PROVIDER_BUF_H
#define PROVIDER_BUF_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is valid and empty. `p` is NUL-terminated as soon as it is not NULL. */
struct buf {
	char *p;
	size_t len;
	size_t cap;
};

/* Empties but keeps the memory: buffers live in pooled calls and are used again. */
void buf_clear(struct buf *b);
void buf_free(struct buf *b);
/* Makes room for `more` bytes beyond len, without changing len. */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_num(struct buf *b, int64_t v);
/* The bytes as a JSON string with its quotes; input must already be valid UTF-8. */
void buf_json(struct buf *b, const char *s, size_t n);
void buf_jstr(struct buf *b, const char *s);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Grows an array of `size`-byte items so that item `n` exists; returns the array. */
void *buf_grow(void *items, size_t *cap, size_t n, size_t size);

#endif
