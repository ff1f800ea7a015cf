/*
 * buf.c - growing bytes with a maximum
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#include "base/banned.h"

enum { BUF_FIRST = 64 };

static int fail(struct buf *b, int rc)
{
	if (!b->failed)
		b->failed = rc;
	return rc;
}

void buf_init(struct buf *b, size_t max)
{
	*b = BUF_INIT(max);
}

void buf_done(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	*b = BUF_INIT(b->max);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = 0;
	if (b->data)
		b->data[0] = '\0';
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t need, cap;
	char *p;

	if (b->failed)
		return b->failed;
	if (n > b->max || b->len > b->max - n || b->len + n == SIZE_MAX)
		return fail(b, -EFBIG);
	need = b->len + n + 1; /* and the NUL */
	if (need <= b->cap)
		return 0;
	cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap - 1 > b->max)
		cap = b->max + 1;
	p = realloc(b->data, cap);
	if (!p)
		return fail(b, -ENOMEM);
	p[b->len] = '\0';
	b->data = p;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	int rc = buf_reserve(b, n);

	if (rc)
		return rc;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, rc;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return fail(b, -ENOMEM);
	rc = buf_reserve(b, (size_t)n);
	if (rc)
		return rc;
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap); /* same arguments, same n */
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void buf_remove(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (!n)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
	b->data[b->len] = '\0';
}

/* The NUL is there but for bytes that came by buf_reserve; look first, so that many threads may
 * read one finished buffer. */
const char *buf_str(const struct buf *b)
{
	if (!b->data)
		return "";
	if (b->data[b->len])
		b->data[b->len] = '\0';
	return b->data;
}

char *buf_steal(struct buf *b, size_t *out_len)
{
	char *p = b->data ? b->data : calloc(1, 1);

	if (!p)
		return NULL;
	p[b->len] = '\0';
	if (out_len)
		*out_len = b->len;
	*b = BUF_INIT(b->max);
	return p;
}
