/*
 * net/http_target.h - what all transfers to one place share: easy handles with their options set
 *
 * Private to net/. An easy handle keeps its options between transfers, so that a call sets only URL and body.
 * Threads: the loop thread; http_target_new any. Blocks: never.
 */
#ifndef NET_HTTP_TARGET_H
#define NET_HTTP_TARGET_H

#include <curl/curl.h>
#include <stdint.h>

#include "net/http.h"

enum { TARGET_IDLE_MAX = 256 };

struct http_target {
	struct curl_slist *headers;
	char *proxy, *ca_file, *client_cert, *client_key, *unix_socket;
	bool http2;
	long connect_ms;
	uint64_t stall_ns; /* 0: never */
	CURL *idle[TARGET_IDLE_MAX];
	unsigned n_idle;
};

/* http_target_take - an easy handle with the target's options; NULL: out of memory */
CURL *http_target_take(struct http_target *t);
/* http_target_give - back for the next transfer; not attached to a multi handle */
void http_target_give(struct http_target *t, CURL *easy);

#endif
