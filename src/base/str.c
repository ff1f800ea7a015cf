/*
 * str.c - text helpers that the C library has not
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

#include "base/banned.h"

enum { DISTANCE_MAX = 64 };

bool str_copy(char *dst, size_t cap, const char *src)
{
	size_t n = strnlen(src, cap);
	bool fits = n < cap;

	if (!fits)
		n = cap - 1;
	memmove(dst, src, n);
	dst[n] = '\0';
	return fits;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

char *str_printf(const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n < 0 ? NULL : malloc((size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap); /* same arguments, same n */
	va_end(ap);
	return p;
}

char *str_dup_n(const char *s, size_t n)
{
	char *p = n == SIZE_MAX ? NULL : malloc(n + 1);

	if (!p)
		return NULL;
	if (n)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

/* Unicode 15, table 3-7: length of a well-formed sequence by its first byte, and the range of the
 * second byte, which is where overlong forms, surrogates and what lies past U+10FFFF show. */
static int utf8_lead(unsigned char c, unsigned char *lo, unsigned char *hi)
{
	*lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
	*hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
	if (c < 0x80)
		return 1;
	if (c < 0xC2 || c > 0xF4)
		return -1;
	return c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

int str_utf8_next(const char *s, size_t n, uint32_t *out_cp)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char lo, hi;
	uint32_t cp;
	int len;

	if (!n)
		return 0;
	len = utf8_lead(p[0], &lo, &hi);
	if (len < 0)
		return -1;
	cp = len == 1 ? p[0] : p[0] & (0x7Fu >> len);
	for (size_t i = 1; i < (size_t)len; i++) {
		if (i == n)
			return 0;
		if (p[i] < lo || p[i] > hi)
			return -1;
		cp = cp << 6 | (p[i] & 0x3F);
		lo = 0x80;
		hi = 0xBF;
	}
	if (out_cp)
		*out_cp = cp;
	return len;
}

bool str_utf8_valid(const char *s, size_t n)
{
	while (n) {
		int step = str_utf8_next(s, n, NULL);

		if (step <= 0)
			return false;
		s += step;
		n -= (size_t)step;
	}
	return true;
}

size_t str_utf8_whole(const char *s, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++)
		if (str_utf8_next(s + n - back, back, NULL) == 0)
			return n - back;
	return n;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Swapping two neighbours counts as one edit: that is how fingers err. */
unsigned str_distance(const char *a, const char *b)
{
	unsigned char row[3][DISTANCE_MAX + 1];
	unsigned char *before = row[0], *last = row[1], *now = row[2], *t;
	size_t n = strnlen(a, DISTANCE_MAX), m = strnlen(b, DISTANCE_MAX);

	for (size_t j = 0; j <= m; j++)
		last[j] = (unsigned char)j;
	for (size_t i = 1; i <= n; i++) {
		now[0] = (unsigned char)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned d = min3(last[j] + 1u, now[j - 1] + 1u,
					  last[j - 1] + (unsigned)(a[i - 1] != b[j - 1]));

			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1u < d)
				d = before[j - 2] + 1u;
			now[j] = (unsigned char)d;
		}
		t = before;
		before = last;
		last = now;
		now = t;
	}
	return last[m];
}

const char *str_nearest(const char *s, const char *const *list)
{
	unsigned best =
		(unsigned)(strnlen(s, DISTANCE_MAX) / 3 + 2); /* further is no typing error */
	const char *found = NULL;

	for (; *list; list++) {
		unsigned d = str_distance(s, *list);

		if (d < best && d < strlen(*list)) {
			best = d;
			found = *list;
		}
	}
	return found;
}

void str_hex(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[b[i] >> 4];
		*out++ = digits[b[i] & 15];
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int str_unhex(const char *hex, size_t n, void *out)
{
	unsigned char *b = out;

	for (size_t i = 0; i < 2 * n; i++) /* also stops at a NUL that comes too early */
		if (hex_value(hex[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < n; i++)
		b[i] = (unsigned char)((unsigned)hex_value(hex[2 * i]) << 4 |
				       (unsigned)hex_value(hex[2 * i + 1]));
	return 0;
}

/* Digits at the front of s; stops at the first other byte, which *out_end then is. */
static int parse_digits(const char *s, uint64_t *out, const char **out_end)
{
	uint64_t v = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned d = (unsigned)(*p - '0');

		if (v > (UINT64_MAX - d) / 10)
			return -EINVAL;
		v = v * 10 + d;
	}
	if (p == s)
		return -EINVAL;
	*out = v;
	*out_end = p;
	return 0;
}

int str_parse_u64(const char *s, uint64_t *out)
{
	const char *end;
	uint64_t v;

	if (parse_digits(s, &v, &end) || *end)
		return -EINVAL;
	*out = v;
	return 0;
}

int str_parse_double(const char *s, double *out)
{
	char *end;
	double d;

	/* strtod would also take blanks, hex, inf and nan */
	if (!*s || s[strspn(s, "0123456789+-.eE")])
		return -EINVAL;
	d = strtod(s, &end);
	if (end == s || *end || !isfinite(d))
		return -EINVAL;
	*out = d;
	return 0;
}

int str_parse_size(const char *s, uint64_t *out_bytes)
{
	const char *end;
	unsigned shift = 0;
	uint64_t v;

	if (parse_digits(s, &v, &end))
		return -EINVAL;
	switch (*end) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	default:
		break;
	}
	if (shift)
		end++;
	if (*end || v > UINT64_MAX >> shift)
		return -EINVAL;
	*out_bytes = v << shift;
	return 0;
}

void str_iso8601(uint64_t real_ns, char *out, size_t cap)
{
	time_t s = (time_t)(real_ns / 1000000000u);
	unsigned ms = (unsigned)(real_ns / 1000000u % 1000u);
	struct tm tm;

	if (!gmtime_r(&s, &tm)) /* beyond year 2^31: no uint64_t of nanoseconds gets there */
		memset(&tm, 0, sizeof(tm));
	(void)snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
}

/* digits at a and b, compared as numbers of any length; both are moved behind them */
static int cmp_digits(const char **a, const char **b)
{
	size_t n, m;
	int r;

	while (**a == '0')
		(*a)++;
	while (**b == '0')
		(*b)++;
	n = strspn(*a, "0123456789");
	m = strspn(*b, "0123456789");
	r = n != m ? (n < m ? -1 : 1) : strncmp(*a, *b, n);
	*a += n;
	*b += m;
	return r;
}

int str_natural_cmp(const char *a, const char *b)
{
	const char *x = a, *y = b;

	while (*x && *y) {
		int r;

		if (isdigit((unsigned char)*x) && isdigit((unsigned char)*y))
			r = cmp_digits(&x, &y);
		else
			r = (unsigned char)*x++ - (unsigned char)*y++;
		if (r)
			return r;
	}
	if (*x || *y)
		return *x ? 1 : -1;
	return strcmp(a, b); /* "7" and "07" are two names */
}
