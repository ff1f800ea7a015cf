/*
 * object_parse.c - canonical JSON to values
 *
 * jansson reads a byte at a time through a callback, which is most of what a cache hit costs. Here
 * strings are copied in runs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/object_parse.h"

#include "base/banned.h"

enum { NUMBER_MAX = 32, INTEGER_DIGITS = 18 };

struct parser {
	const char *p, *end;
	int error; /* why NULL came back */
};

static json_t *value(struct parser *s, unsigned depth);

static json_t *fail(struct parser *s, int error)
{
	s->error = error;
	return NULL;
}

/* A value that jansson made, or NULL when it had no memory. */
static json_t *made(struct parser *s, json_t *v)
{
	return v ? v : fail(s, -ENOMEM);
}

static bool take(struct parser *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* ---- strings ---- */

/* To the closing quote; *out_plain: nothing in between is escaped. */
static bool find_end(const struct parser *s, const char **out_end, bool *out_plain)
{
	const char *p = s->p;

	*out_plain = true;
	while (p < s->end && *p != '"') {
		if ((unsigned char)*p < 0x20)
			return false; /* control characters are always escaped */
		if (*p == '\\') {
			*out_plain = false;
			p++;
		}
		p++;
	}
	*out_end = p;
	return p < s->end;
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape means; p is behind the backslash and is moved behind the escape. */
static int unescape(const char **p, const char *end)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = *(*p)++;
	const char *at = c ? strchr(from, c) : NULL;
	int hi, lo;

	if (at)
		return to[at - from];
	if (c != 'u' || end - *p < 4 || (*p)[0] != '0' || (*p)[1] != '0')
		return -1;
	hi = hex_of((*p)[2]);
	lo = hex_of((*p)[3]);
	*p += 4;
	return hi < 0 || hi > 7 || lo < 0 ? -1 : hi * 16 + lo;
}

/* The text can only become shorter, so room for all of it is enough. */
static json_t *escaped(struct parser *s, const char *end)
{
	char *text = malloc((size_t)(end - s->p) + 1);
	const char *p = s->p;
	size_t n = 0;
	json_t *v;
	int c = 0;

	if (!text)
		return fail(s, -ENOMEM);
	while (p < end && c >= 0) {
		c = (unsigned char)*p++;
		if (c == '\\')
			c = unescape(&p, end);
		text[n++] = (char)c;
	}
	v = c < 0 ? fail(s, -EBADMSG) : made(s, json_stringn_nocheck(text, n));
	free(text);
	return v;
}

/* Behind the opening quote. */
static json_t *string(struct parser *s)
{
	const char *end;
	json_t *v;
	bool plain;

	if (!find_end(s, &end, &plain))
		return fail(s, -EBADMSG);
	v = plain ? made(s, json_stringn_nocheck(s->p, (size_t)(end - s->p))) : escaped(s, end);
	s->p = end + 1;
	return v;
}

/* ---- numbers and words ---- */

static json_t *real(struct parser *s, const char *text)
{
	char *end;
	double d = strtod(text, &end);

	/* a locale with another decimal point stops here, too */
	return *end ? fail(s, -EBADMSG) : made(s, json_real(d));
}

static const char *digits(const char *t)
{
	return t + strspn(t, "0123456789");
}

/* -? digits [. digits] [e [+-] digits]: strtod takes more than JSON has */
static bool well_formed(const char *t)
{
	const char *from;

	t = digits(t + (*t == '-'));
	if (*t == '.') {
		from = ++t;
		t = digits(t);
		if (t == from)
			return false;
	}
	if (*t == 'e') {
		t++;
		from = t += *t == '+' || *t == '-';
		t = digits(t);
		if (t == from)
			return false;
	}
	return *t == '\0';
}

static json_t *number(struct parser *s)
{
	char text[NUMBER_MAX + 1];
	size_t n = 0, sign;

	while (s->p < s->end && n < NUMBER_MAX && *s->p && strchr("+-.0123456789e", *s->p))
		text[n++] = *s->p++;
	text[n] = '\0';
	sign = text[0] == '-';
	if (n == sign || n == NUMBER_MAX || text[sign] < '0' || text[sign] > '9' ||
	    (text[sign] == '0' && text[sign + 1] >= '0' && text[sign + 1] <= '9'))
		return fail(s, -EBADMSG);
	if (strspn(text + sign, "0123456789") != n - sign)
		return well_formed(text) ? real(s, text) : fail(s, -EBADMSG);
	if (n - sign > INTEGER_DIGITS)
		return fail(s, -EBADMSG);
	return made(s, json_integer(strtoll(text, NULL, 10)));
}

static json_t *word(struct parser *s, const char *text, json_t *v)
{
	size_t n = strlen(text);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
		return fail(s, -EBADMSG);
	s->p += n;
	return v; /* a constant of jansson's, not counted */
}

/* ---- objects and arrays ---- */

static bool member(struct parser *s, json_t *o, unsigned depth)
{
	const char *name, *end;
	bool plain;
	json_t *v;

	s->error = -EBADMSG;
	if (!take(s, '"') || !find_end(s, &end, &plain) || !plain)
		return false;
	name = s->p;
	s->p = end + 1;
	v = take(s, ':') ? value(s, depth) : NULL;
	if (!v)
		return false;
	s->error = -ENOMEM;
	return json_object_setn_new_nocheck(o, name, (size_t)(end - name), v) == 0;
}

static json_t *object(struct parser *s, unsigned depth)
{
	json_t *o = json_object();
	size_t n = 0;

	if (!o)
		return fail(s, -ENOMEM);
	if (take(s, '}'))
		return o;
	do {
		if (!member(s, o, depth)) {
			json_decref(o);
			return NULL;
		}
		n++;
	} while (take(s, ','));
	if (take(s, '}') && json_object_size(o) == n) /* no member twice */
		return o;
	json_decref(o);
	return fail(s, -EBADMSG);
}

static json_t *array(struct parser *s, unsigned depth)
{
	json_t *a = json_array();

	if (!a)
		return fail(s, -ENOMEM);
	if (take(s, ']'))
		return a;
	do {
		json_t *v = value(s, depth);

		if (!v || json_array_append_new(a, v)) {
			json_decref(a);
			return v ? fail(s, -ENOMEM) : NULL;
		}
	} while (take(s, ','));
	if (take(s, ']'))
		return a;
	json_decref(a);
	return fail(s, -EBADMSG);
}

static json_t *value(struct parser *s, unsigned depth)
{
	if (s->p == s->end || !depth)
		return fail(s, -EBADMSG);
	switch (*s->p) {
	case '"':
		s->p++;
		return string(s);
	case '{':
		s->p++;
		return object(s, depth - 1);
	case '[':
		s->p++;
		return array(s, depth - 1);
	case 't':
		return word(s, "true", json_true());
	case 'f':
		return word(s, "false", json_false());
	case 'n':
		return word(s, "null", json_null());
	default:
		return number(s);
	}
}

/* Most text is ASCII, which eight bytes at a time tell. */
static bool is_utf8(const char *p, const char *end)
{
	while (p < end) {
		uint64_t eight;
		int n;

		if (end - p >= (ptrdiff_t)sizeof(eight)) {
			memcpy(&eight, p, sizeof(eight));
			if (!(eight & 0x8080808080808080ULL)) {
				p += sizeof(eight);
				continue;
			}
		}
		n = str_utf8_next(p, (size_t)(end - p), NULL);
		if (n <= 0)
			return false;
		p += n;
	}
	return true;
}

int object_parse(const char *text, size_t n, json_t **out)
{
	struct parser s = { text, text + n, 0 };
	json_t *v;

	if (!is_utf8(text, text + n))
		return -EBADMSG;
	v = value(&s, OBJECT_PARSE_DEPTH);
	if (!v)
		return s.error;
	if (s.p != s.end || !json_is_object(v)) {
		json_decref(v);
		return -EBADMSG;
	}
	*out = v;
	return 0;
}
