/*
 * net/ndjson.c - one JSON text a line, from bytes that are cut anywhere
 */
#include <errno.h>
#include <string.h>

#include "net/ndjson.h"

#include "base/banned.h"

void ndjson_init(struct ndjson *s, size_t max)
{
	s->begun = false;
	buf_init(&s->line, max);
}

void ndjson_done(struct ndjson *s)
{
	buf_done(&s->line);
}

static int take_line(struct ndjson *s, const char *p, size_t n, ndjson_fn *fn, void *arg)
{
	if (!s->begun && n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		p += 3;
		n -= 3;
	}
	s->begun = true;
	if (n && p[n - 1] == '\r')
		n--;
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t')
			return fn(arg, p, n);
	return 0;
}

static int end_line(struct ndjson *s, const char *p, size_t n, ndjson_fn *fn, void *arg)
{
	int rc;

	if (s->line.len == 0)
		return n > s->line.max ? -EFBIG : take_line(s, p, n, fn, arg);
	rc = buf_add(&s->line, p, n);
	if (!rc)
		rc = take_line(s, s->line.data, s->line.len, fn, arg);
	buf_clear(&s->line);
	return rc;
}

int ndjson_feed(struct ndjson *s, const char *p, size_t n, ndjson_fn *fn, void *arg)
{
	const char *end = p + n;
	int rc = 0;

	while (!rc && p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		if (!lf)
			return buf_add(&s->line, p, (size_t)(end - p));
		rc = end_line(s, p, (size_t)(lf - p), fn, arg);
		p = lf + 1;
	}
	return rc;
}

int ndjson_finish(struct ndjson *s, ndjson_fn *fn, void *arg)
{
	return s->line.len ? end_line(s, "", 0, fn, arg) : 0;
}
