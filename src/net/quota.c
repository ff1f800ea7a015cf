/*
 * net/quota.c - rate-limit headers
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* timegm */
#endif
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/str.h"
#include "net/quota.h"

#include "base/banned.h"

enum { NAME_MAX_BYTES = 64 };

static const struct quota nothing = { -1, -1, -1 };
static const double RESET_MAX_S = 1e6;

void quota_init(struct quota_set *q)
{
	*q = (struct quota_set){ nothing, nothing, nothing, nothing };
}

static double not_negative(double d)
{
	return isfinite(d) && d >= 0 ? d : -1;
}

/* n digits and the character after them (NUL: any); *p behind both, or false */
static bool take(const char **p, int n, char after, int *out)
{
	int v = 0;

	for (; n > 0; n--, ++*p) {
		if (!isdigit((unsigned char)**p))
			return false;
		v = v * 10 + (**p - '0');
	}
	*out = v;
	if (!after)
		return true;
	return *(*p)++ == after;
}

/* "2026-11-21T02:03:04Z", with a fraction or an offset of hours and minutes */
static double until_date(const char *p, uint64_t now_real_ns)
{
	int year, month, off_h = 0, off_m = 0;
	struct tm tm = { 0 };
	double left;
	char sign;

	if (!take(&p, 4, '-', &year) || !take(&p, 2, '-', &month) ||
	    !take(&p, 2, 'T', &tm.tm_mday) || !take(&p, 2, ':', &tm.tm_hour) ||
	    !take(&p, 2, ':', &tm.tm_min) || !take(&p, 2, '\0', &tm.tm_sec))
		return -1;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	sign = *p;
	if (sign == '+' || sign == '-') {
		p++;
		if (!take(&p, 2, ':', &off_h) || !take(&p, 2, '\0', &off_m))
			return -1;
	}
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	left = (double)timegm(&tm) - (double)now_real_ns / 1e9;
	left -= (sign == '-' ? -1 : 1) * (off_h * 3600.0 + off_m * 60.0);
	return left < 0 ? 0 : left;
}

/* "1h2m3.5s", "12ms", "7" */
static double duration(const char *p)
{
	static const struct {
		const char *unit;
		double s;
	} units[] = { { "ms", 1e-3 }, { "us", 1e-6 }, { "ns", 1e-9 }, { "h", 3600 },
		      { "m", 60 },    { "s", 1 },     { "d", 86400 } };
	double sum = 0;

	while (*p) {
		char digits[32];
		size_t n = strspn(p, "0123456789."), u = 0;
		double d;

		if (!n || n >= sizeof(digits))
			return -1;
		memcpy(digits, p, n);
		digits[n] = '\0';
		if (str_parse_double(digits, &d))
			return -1;
		p += n;
		if (!*p)
			return sum + d;
		while (u < sizeof(units) / sizeof(units[0]) && !str_starts(p, units[u].unit))
			u++;
		if (u == sizeof(units) / sizeof(units[0]))
			return -1;
		sum += d * units[u].s;
		p += strlen(units[u].unit);
	}
	return sum;
}

double quota_reset(const char *value, uint64_t now_real_ns)
{
	double s = strchr(value, 'T') ? until_date(value, now_real_ns) : duration(value);

	s = *value ? not_negative(s) : -1;
	return s > RESET_MAX_S ? RESET_MAX_S : s;
}

static double count(const char *value)
{
	double d;

	return str_parse_double(value, &d) ? -1 : not_negative(d);
}

static struct quota *whose(struct quota_set *q, const char *name)
{
	if (strstr(name, "input-tokens"))
		return &q->input;
	if (strstr(name, "output-tokens"))
		return &q->output;
	if (strstr(name, "token"))
		return &q->tokens;
	return strstr(name, "req") ? &q->requests : NULL;
}

bool quota_line(struct quota_set *q, const char *name, size_t n_name, const char *value,
		uint64_t now_real_ns)
{
	char low[NAME_MAX_BYTES];
	struct quota *to;
	const char *rest;

	if (n_name >= sizeof(low))
		return false;
	for (size_t i = 0; i < n_name; i++)
		low[i] = (char)tolower((unsigned char)name[i]);
	low[n_name] = '\0';
	rest = strstr(low, "ratelimit");
	if (!rest)
		return false;
	rest += strlen("ratelimit");
	to = whose(q, rest);
	if (!to)
		return false;
	if (strstr(rest, "remaining"))
		to->remaining = count(value);
	else if (strstr(rest, "reset"))
		to->reset_s = quota_reset(value, now_real_ns);
	else if (strstr(rest, "limit"))
		to->limit = count(value);
	else
		return false;
	return true;
}

static void nearer(struct quota *to, const struct quota *other)
{
	if (other->remaining >= 0 && (to->remaining < 0 || other->remaining < to->remaining))
		*to = *other;
}

void quota_done(struct quota_set *q)
{
	nearer(&q->tokens, &q->input);
	nearer(&q->tokens, &q->output);
	q->input = q->output = nothing;
}
