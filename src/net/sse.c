/*
 * net/sse.c - server-sent events from bytes that are cut anywhere
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "net/sse.h"

#include "base/banned.h"

static const char bom_bytes[] = "\xef\xbb\xbf";

void sse_init(struct sse *s, size_t max)
{
	memset(s, 0, sizeof(*s));
	buf_init(&s->line, max);
	buf_init(&s->data, max);
}

void sse_done(struct sse *s)
{
	buf_done(&s->line);
	buf_done(&s->data);
}

static int dispatch(struct sse *s, sse_fn *fn, void *arg)
{
	char name[SSE_NAME_MAX];
	int rc;

	if (!s->has_data) {
		s->name[0] = '\0';
		return 0;
	}
	s->data.len--; /* the newline after the last line */
	s->data.data[s->data.len] = '\0';
	memcpy(name, s->name, sizeof(name));
	rc = fn(arg, name, s->data.data, s->data.len);
	buf_clear(&s->data);
	s->has_data = s->bare = false;
	s->name[0] = '\0';
	return rc;
}

static int add_data(struct sse *s, const char *value, size_t n)
{
	s->has_data = true;
	(void)buf_add(&s->data, value, n); /* a failure stays in data.failed */
	return buf_addc(&s->data, '\n');
}

static void set_name(struct sse *s, const char *value, size_t n)
{
	if (n >= sizeof(s->name))
		n = sizeof(s->name) - 1; /* no event we know has such a name */
	memcpy(s->name, value, n);
	s->name[n] = '\0';
}

static bool field_is(const char *line, size_t n, const char *field)
{
	return n == strlen(field) && memcmp(line, field, n) == 0;
}

/* One line without its end. */
static int take_line(struct sse *s, const char *line, size_t n, sse_fn *fn, void *arg)
{
	const char *colon, *value = "";
	size_t n_value = 0, n_field = n;

	if (n == 0)
		return dispatch(s, fn, arg);
	s->bare = s->bare || (*line == '{' && !s->has_data);
	if (s->bare)
		return add_data(s, line, n);
	colon = memchr(line, ':', n);
	if (colon == line)
		return 0;
	if (colon) {
		n_field = (size_t)(colon - line);
		value = colon + 1;
		n_value = n - n_field - 1;
		if (n_value && *value == ' ') {
			value++;
			n_value--;
		}
	}
	if (field_is(line, n_field, "data"))
		return add_data(s, value, n_value);
	if (field_is(line, n_field, "event"))
		set_name(s, value, n_value);
	if (field_is(line, n_field, "error") && n_value && *value == '{') {
		set_name(s, "error", 5);
		return add_data(s, value, n_value);
	}
	return 0;
}

/* A line that came in pieces lies in s->line, one that came whole is used where it is. */
static int end_line(struct sse *s, const char *p, size_t n, sse_fn *fn, void *arg)
{
	int rc;

	if (s->line.len == 0)
		return take_line(s, p, n, fn, arg);
	rc = buf_add(&s->line, p, n);
	if (!rc)
		rc = take_line(s, s->line.data, s->line.len, fn, arg);
	buf_clear(&s->line);
	return rc;
}

/* Bytes of a broken BOM are text after all. */
static int skip_bom(struct sse *s, const char **p, const char *end)
{
	unsigned seen = s->bom;

	if (seen >= 3)
		return 0;
	for (; seen < 3 && *p < end; (*p)++) {
		if (**p != bom_bytes[seen]) {
			s->bom = 3;
			return buf_add(&s->line, bom_bytes, seen);
		}
		seen++;
	}
	s->bom = seen;
	return 0;
}

static const char *line_end(const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));
	const char *cr = memchr(p, '\r', (size_t)((lf ? lf : end) - p));

	return cr ? cr : lf;
}

int sse_feed(struct sse *s, const char *p, size_t n, sse_fn *fn, void *arg)
{
	const char *end = p + n, *eol;
	int rc = skip_bom(s, &p, end);

	while (!rc && p < end) {
		if (s->after_cr && *p == '\n') {
			s->after_cr = false;
			p++;
			continue;
		}
		s->after_cr = false;
		eol = line_end(p, end);
		if (!eol)
			return buf_add(&s->line, p, (size_t)(end - p));
		s->after_cr = *eol == '\r';
		rc = end_line(s, p, (size_t)(eol - p), fn, arg);
		p = eol + 1;
	}
	return rc;
}

int sse_finish(struct sse *s, sse_fn *fn, void *arg)
{
	int rc = 0;

	if (s->line.len)
		rc = end_line(s, "", 0, fn, arg);
	return rc ? rc : dispatch(s, fn, arg);
}
