/*
 * net/http_again.h - a request that libcurl must not send a second time by itself
 *
 * When a kept connection closes before the first byte of an answer, libcurl sends the request again on another one
 * and says nothing. The server may have acted on the first already: what costs money would be bought twice, and
 * nobody had counted it. Only what never left this machine goes out again unasked.
 *
 *   1. http_again_set    before the transfer begins
 *   2. http_again_refused when it ended
 *   3. http_again_drop   before the easy handle serves another transfer
 *
 * Private to net/. Threads: the loop thread. Blocks: never.
 */
#ifndef NET_HTTP_AGAIN_H
#define NET_HTTP_AGAIN_H

#include <curl/curl.h>
#include <stdbool.h>

/* zeroed in the beginning; embedded in the transfer */
struct http_again {
	CURL *easy; /* NULL: libcurl may do as it likes */
	bool refused;
};

/* http_again_set - the transfer on this handle is asked about before each of its sendings */
void http_again_set(struct http_again *a, CURL *easy);
/* http_again_refused - it ended because it would have been sent again */
bool http_again_refused(const struct http_again *a);
/* http_again_drop - nothing of a stays in the handle; also when it was not set */
void http_again_drop(struct http_again *a);

#endif
