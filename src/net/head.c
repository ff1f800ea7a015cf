/*
 * net/head.c - status, content type, request id and the wishes about retries
 */
#include <curl/curl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mono.h"
#include "base/str.h"
#include "net/head.h"

#include "base/banned.h"

enum { VALUE_MAX = 256 };

static const double AFTER_MAX_S = 1e9; /* more is the same: never */

void head_init(struct head_parser *p)
{
	memset(p, 0, sizeof(*p));
	p->head.retry_after_s = p->after_s = p->after_ms = -1;
	p->head.should_retry = -1;
	quota_init(&p->head.quota);
}

/* "HTTP/1.1 200 OK", "HTTP/2 200" */
static bool status_line(struct head_parser *p, const char *line, size_t n)
{
	const char *sp;
	int status;

	if (n < 8 || strncasecmp(line, "HTTP/", 5) != 0)
		return false;
	sp = memchr(line, ' ', n);
	if (!sp || n - (size_t)(sp - line) < 4)
		return false;
	status = 0;
	for (int i = 1; i <= 3; i++) {
		if (sp[i] < '0' || sp[i] > '9')
			return false;
		status = status * 10 + (sp[i] - '0');
	}
	head_init(p);
	p->head.status = status;
	return true;
}

static double number(const char *value)
{
	double d;

	if (str_parse_double(value, &d) || !isfinite(d) || d < 0)
		return -1;
	return d > AFTER_MAX_S ? AFTER_MAX_S : d;
}

double head_retry_after(const char *value, uint64_t now_real_ns)
{
	double d = number(value);
	time_t at;

	if (d >= 0)
		return d;
	if (!strchr(value, ' ')) /* a date has spaces; "-1" and "2026" are no dates here */
		return -1;
	at = curl_getdate(value, NULL);
	if (at < 0)
		return -1;
	d = (double)at - (double)now_real_ns / 1e9;
	return d < 0 ? 0 : d > AFTER_MAX_S ? AFTER_MAX_S : d;
}

static bool named(const char *line, size_t n_name, const char *name)
{
	return n_name == strlen(name) && strncasecmp(line, name, n_name) == 0;
}

/* Other bytes than visible ASCII would reach log lines and sentences. */
static void keep(char *dst, size_t cap, const char *value)
{
	(void)str_copy(dst, cap, value); /* a longer one is cut: it is only shown */
	for (char *c = dst; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
			*c = '?';
}

static void field(struct head_parser *p, const char *line, size_t n_name, const char *value,
		  uint64_t now_real_ns)
{
	double d;

	if (quota_line(&p->head.quota, line, n_name, value, now_real_ns))
		return;
	if (named(line, n_name, "content-type")) {
		keep(p->head.content_type, sizeof(p->head.content_type), value);
	} else if (named(line, n_name, "x-request-id") ||
		   (named(line, n_name, "request-id") && !p->head.request_id[0])) {
		keep(p->head.request_id, sizeof(p->head.request_id), value);
	} else if (named(line, n_name, "retry-after-ms")) {
		d = number(value);
		p->after_ms = d < 0 ? -1 : d / 1e3;
	} else if (named(line, n_name, "retry-after")) {
		p->after_s = head_retry_after(value, now_real_ns);
	} else if (named(line, n_name, "x-should-retry")) {
		p->head.should_retry = strcasecmp(value, "true") == 0	 ? 1
				       : strcasecmp(value, "false") == 0 ? 0
									 : -1;
	}
}

/* An address is kept whole or not at all. */
static void keep_link(struct head_parser *p, const char *v, size_t n)
{
	p->head.link[0] = '\0';
	if (n >= sizeof(p->head.link))
		return;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)v[i] <= 0x20 || (unsigned char)v[i] > 0x7e)
			return;
	memcpy(p->head.link, v, n);
	p->head.link[n] = '\0';
}

/* A value longer than we keep is cut; none that we act on is that long. */
void head_line(struct head_parser *p, const char *line, size_t n, uint64_t now_real_ns)
{
	char value[VALUE_MAX];
	const char *colon, *v, *end = line + n;

	if (status_line(p, line, n))
		return;
	colon = memchr(line, ':', n);
	if (!colon)
		return;
	v = colon + 1;
	while (v < end && (*v == ' ' || *v == '\t'))
		v++;
	while (end > v && strchr(" \t\r\n", end[-1]) && end[-1])
		end--;
	n = (size_t)(end - v);
	if (named(line, (size_t)(colon - line), "location") ||
	    named(line, (size_t)(colon - line), "x-goog-upload-url")) {
		keep_link(p, v, n);
		return;
	}
	if (n >= sizeof(value))
		n = sizeof(value) - 1;
	memcpy(value, v, n);
	value[n] = '\0';
	field(p, line, (size_t)(colon - line), value, now_real_ns);
}

const struct http_head *head_done(struct head_parser *p)
{
	p->head.retry_after_s = p->after_ms >= 0 ? p->after_ms : p->after_s;
	quota_done(&p->head.quota);
	return &p->head;
}
