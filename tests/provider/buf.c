/* Growing byte buffer; see buf.h. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->p)
		b->p[0] = '\0';
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

void buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 512;

	if (b->cap && b->cap - b->len > more)
		return;
	while (cap - b->len <= more)
		cap *= 2;
	b->p = realloc(b->p, cap);
	if (!b->p)
		abort();
	b->cap = cap;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	buf_reserve(b, n);
	if (n)
		memcpy(b->p + b->len, data, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_num(struct buf *b, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)v);

	buf_add(b, text, (size_t)n);
}

static void add_escaped(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		buf_str(b, "\\\"");
		break;
	case '\\':
		buf_str(b, "\\\\");
		break;
	case '\n':
		buf_str(b, "\\n");
		break;
	default:
		buf_fmt(b, "\\u%04x", c);
	}
}

void buf_json(struct buf *b, const char *s, size_t n)
{
	size_t from = 0;

	buf_add(b, "\"", 1);
	/* Plain runs are copied whole: answers are long and escapes are rare. */
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, s + from, i - from);
		add_escaped(b, c);
		from = i + 1;
	}
	buf_add(b, s + from, n - from);
	buf_add(b, "\"", 1);
}

void buf_jstr(struct buf *b, const char *s)
{
	buf_json(b, s, strlen(s));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list args;
	int n;

	buf_reserve(b, 256);
	va_start(args, fmt);
	n = vsnprintf(b->p + b->len, b->cap - b->len, fmt, args);
	va_end(args);
	if (n < 0)
		abort();
	if ((size_t)n >= b->cap - b->len) {
		buf_reserve(b, (size_t)n + 1);
		va_start(args, fmt);
		vsnprintf(b->p + b->len, b->cap - b->len, fmt, args);
		va_end(args);
	}
	b->len += (size_t)n;
}

void *buf_grow(void *items, size_t *cap, size_t n, size_t size)
{
	size_t want = *cap ? *cap : 16;

	if (n < *cap)
		return items;
	while (want <= n)
		want *= 2;
	items = realloc(items, want * size);
	if (!items)
		abort();
	*cap = want;
	return items;
}
