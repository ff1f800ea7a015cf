/*
 * net/head.h - what we keep of an answer's header lines
 *
 * Private to net/. Threads: one owner. Blocks: never. Source: RFC 9110 10.2.3 (Retry-After).
 */
#ifndef NET_HEAD_H
#define NET_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "net/http.h"

struct head_parser {
	struct http_head head;
	double after_s, after_ms; /* retry-after and retry-after-ms as seconds; < 0 none */
};

/* head_init - nothing seen */
void head_init(struct head_parser *p);
/* head_line - one line with its end; a status line begins anew (after "100 Continue") */
void head_line(struct head_parser *p, const char *line, size_t n, uint64_t now_real_ns);
/* head_done - what is known so far; lent */
const struct http_head *head_done(struct head_parser *p);
/* head_retry_after - seconds of a Retry-After value, a number or a date (now_real_ns gives the present; a
 * past one is 0); -1: none */
double head_retry_after(const char *value, uint64_t now_real_ns);

#endif
