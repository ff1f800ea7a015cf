/*
 * canon.c - canonical JSON text of a value
 *
 * Keys of stored samples are hashes of these bytes: what is written here may never change without
 * a new `format` in the effective request.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "core/canon.h"

#include "base/banned.h"

/* Values made here are some levels deeper than what users may write; a cycle would be endless. */
enum { WRITE_DEPTH_MAX = 4 * CANON_DEPTH_MAX, DIGITS_MAX = 17, NUMBER_CAP = 40 };

struct writer {
	struct buf *out;
	bool sorted;
	unsigned depth;
};

/* One decimal of `digits` significant digits: d = 0.D1D2D3... x 10^point */
struct decimal {
	char digits[DIGITS_MAX + 1];
	int n, point;
};

/* The C library's own text, read back by the C library: both in whatever locale is set. */
static bool prints_as(double d, int digits, char text[NUMBER_CAP])
{
	(void)snprintf(text, NUMBER_CAP, "%.*e", digits - 1, d); /* at most 25 characters */
	return strtod(text, NULL) == d;
}

/* The next larger decimal of the same length; false when that would carry through all digits. */
static bool step_up(char text[NUMBER_CAP])
{
	char *e = strchr(text, 'e');

	for (char *p = e; p-- > text;) {
		if (*p < '0' || *p > '9')
			continue;
		if (*p != '9') {
			++*p;
			return true;
		}
		*p = '0';
	}
	return false;
}

/* Below a power of two the doubles lie twice as close as above it, so the nearest decimal of some
 * length can miss while the next larger one still hits: these few are tried length by length. */
static void shortest_of_power(double d, char text[NUMBER_CAP])
{
	for (int digits = 1; digits < DIGITS_MAX; digits++) {
		if (prints_as(d, digits, text))
			return;
		if (step_up(text) && strtod(text, NULL) == d)
			return;
	}
	(void)prints_as(d, DIGITS_MAX, text); /* 17 digits always come back */
}

/* Elsewhere longer is never worse, so a binary search finds the fewest digits. */
static void shortest(double d, char text[NUMBER_CAP])
{
	int lo = 1, hi = DIGITS_MAX, exponent;

	if (frexp(d, &exponent) == 0.5) {
		shortest_of_power(d, text);
		return;
	}
	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (prints_as(d, mid, text))
			hi = mid;
		else
			lo = mid + 1;
	}
	(void)prints_as(d, lo, text); /* known to be true */
}

static void split(const char *text, struct decimal *out)
{
	const char *e = strchr(text, 'e');

	out->n = 0;
	for (const char *p = text; p < e; p++)
		if (*p >= '0' && *p <= '9')
			out->digits[out->n++] = *p;
	while (out->n > 1 && out->digits[out->n - 1] == '0')
		out->n--;
	out->point = (int)strtol(e + 1, NULL, 10) + 1;
}

/* ECMA-262 Number::toString, steps 6 to 12, with its n as point and k as n. */
static void lay_out(const struct decimal *d, char *out)
{
	const char *s = d->digits;
	int n = d->n, point = d->point, e = point - 1;

	if (point >= n && point <= 21)
		(void)snprintf(out, 32, "%.*s%.*s", n, s, point - n, "000000000000000000000");
	else if (point > 0 && point <= 21)
		(void)snprintf(out, 32, "%.*s.%.*s", point, s, n - point, s + point);
	else if (point > -6 && point <= 0)
		(void)snprintf(out, 32, "0.%.*s%.*s", -point, "000000", n, s);
	else if (n == 1)
		(void)snprintf(out, 32, "%ce%+d", s[0], e);
	else
		(void)snprintf(out, 32, "%c.%.*se%+d", s[0], n - 1, s + 1, e);
}

int canon_number(double d, char *out)
{
	char text[NUMBER_CAP];
	struct decimal dec = { .n = 0 };

	if (!isfinite(d))
		return -EINVAL;
	if (d == 0) { /* and so -0 */
		out[0] = '0';
		out[1] = '\0';
		return 0;
	}
	if (d < 0)
		*out++ = '-';
	shortest(fabs(d), text);
	split(text, &dec);
	lay_out(&dec, out);
	return 0;
}

/* RFC 8785 3.2.3: order of UTF-16 code units. Bytes of UTF-8 have it but where one name has a
 * surrogate pair (first byte F0..F4) and the other U+E000..U+FFFF (first byte EE or EF). */
static int compare_names(const void *a, const void *b)
{
	const unsigned char *p = *(const unsigned char *const *)a;
	const unsigned char *q = *(const unsigned char *const *)b;

	while (*p && *p == *q) {
		p++;
		q++;
	}
	if (*p >= 0xEE && *q >= 0xEE && (*p >= 0xF0) != (*q >= 0xF0))
		return *p >= 0xF0 ? -1 : 1;
	return (int)*p - (int)*q;
}

static void write_char(struct buf *out, unsigned char c)
{
	static const char short_forms[] = "btn\0fr"; /* 8 to 13; 11 has none */

	if (c >= 8 && c <= 13 && short_forms[c - 8])
		(void)buf_addf(out, "\\%c", short_forms[c - 8]); /* out->failed keeps it */
	else
		(void)buf_addf(out, c == '"' || c == '\\' ? "\\%c" : "\\u%04x", c);
}

/* Runs of plain bytes go out in one piece: answers are long and rarely escaped. */
static int write_string(struct buf *out, const char *s, size_t n)
{
	size_t from = 0;

	(void)buf_addc(out, '"'); /* out->failed keeps it, here and below */
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		(void)buf_add(out, s + from, i - from);
		write_char(out, c);
		from = i + 1;
	}
	(void)buf_add(out, s + from, n - from);
	return buf_addc(out, '"');
}

static int write_value(struct writer *w, const json_t *v);

static int write_member(struct writer *w, const char *name, const json_t *v)
{
	int rc = write_string(w->out, name, strlen(name));

	if (!rc)
		rc = buf_addc(w->out, ':');
	return rc ? rc : write_value(w, v);
}

static const char **member_names(const json_t *v, size_t n)
{
	const char **names = calloc(n, sizeof(*names));
	json_t *o = (json_t *)(uintptr_t)v; /* jansson's iterators only read */
	size_t i = 0;

	if (!names)
		return NULL;
	for (void *it = json_object_iter(o); it && i < n; it = json_object_iter_next(o, it))
		names[i++] = json_object_iter_key(it);
	return names;
}

static int write_object(struct writer *w, const json_t *v)
{
	size_t n = json_object_size(v);
	const char **names = n ? member_names(v, n) : NULL;
	int rc = buf_addc(w->out, '{');

	if (n && !names)
		return -ENOMEM;
	if (w->sorted && n)
		qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n && names[i] && !rc; i++) {
		if (i)
			rc = buf_addc(w->out, ',');
		if (!rc)
			rc = write_member(w, names[i], json_object_get(v, names[i]));
	}
	free(names);
	return rc ? rc : buf_addc(w->out, '}');
}

static int write_array(struct writer *w, const json_t *v)
{
	size_t n = json_array_size(v);
	int rc = buf_addc(w->out, '[');

	for (size_t i = 0; i < n && !rc; i++) {
		if (i)
			rc = buf_addc(w->out, ',');
		if (!rc)
			rc = write_value(w, json_array_get(v, i));
	}
	return rc ? rc : buf_addc(w->out, ']');
}

static int write_real(struct buf *out, double d)
{
	char text[32];
	int rc = canon_number(d, text);

	return rc ? rc : buf_adds(out, text);
}

static int write_nested(struct writer *w, const json_t *v)
{
	int rc;

	if (w->depth == WRITE_DEPTH_MAX)
		return -EINVAL;
	w->depth++;
	rc = json_is_object(v) ? write_object(w, v) : write_array(w, v);
	w->depth--;
	return rc;
}

static int write_value(struct writer *w, const json_t *v)
{
	if (!v)
		return -ENOMEM; /* what a failed constructor leaves */
	switch (json_typeof(v)) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		return write_nested(w, v);
	case JSON_STRING:
		return write_string(w->out, json_string_value(v), json_string_length(v));
	case JSON_INTEGER:
		return buf_addf(w->out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	case JSON_REAL:
		return write_real(w->out, json_real_value(v));
	case JSON_TRUE:
		return buf_adds(w->out, "true");
	case JSON_FALSE:
		return buf_adds(w->out, "false");
	case JSON_NULL:
	default:
		return buf_adds(w->out, "null");
	}
}

int canon_write(const json_t *v, struct buf *out)
{
	struct writer w = { .out = out, .sorted = true };

	return write_value(&w, v);
}

int canon_write_ordered(const json_t *v, struct buf *out)
{
	struct writer w = { .out = out, .sorted = false };

	return write_value(&w, v);
}
