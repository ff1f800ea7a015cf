/*
 * net/http.h - one HTTP transfer on the loop, and what became of it
 *
 *   1. http_new         on any thread, before the loop has work
 *      http_target_new  where calls of one kind go: headers, proxy, certificates, time limits
 *   2. http_start       head and body as bytes come, then exactly one end
 *      http_cancel      no further callback
 *   3. http_free        drops what is running, without callbacks; then http_target_free
 *
 * Transfers of one target share connections, and easy handles with their options. Redirects are never
 * followed. A receiver that has no room says so with http_pause. A body callback that has what it wanted answers nonzero: end comes at once, and the rest of the
 * body is read for a moment more so that the connection can be used again.
 *
 * Threads: the loop thread, except as said. Callbacks: no lock held. Inside head and body neither http_start
 * nor http_cancel may be called (libcurl is on the stack); in end both may.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/quota.h"

#define HTTP_HEADERS_MAX (64u << 10)
#define HTTP_DETAIL_MAX	 256
#define HTTP_HEADER_MAX	 256
#define HTTP_LINK_MAX	 2048

struct http;
struct http_target;
struct http_transfer;

struct http_target_spec {
	const char *const *headers; /* "Name: value", NULL-terminated; copied, wiped when freed */
	const char *proxy, *ca_file, *client_cert, *client_key, *unix_socket; /* NULL: none */
	bool http2;		  /* when the server offers it (TLS) */
	double connect_timeout_s; /* 0: 10 s; name, TCP and TLS together */
	double stall_timeout_s; /* no byte either way for so long after the connection stood; 0: never */
};

struct http_head {
	int status;
	char content_type[128]; /* "" when absent */
	char request_id[128];	/* x-request-id or request-id, "" when absent */
	double retry_after_s; /* from retry-after-ms or retry-after (a past date is 0); < 0: none */
	int should_retry;     /* x-should-retry: 1, 0; -1 none */
	struct quota_set quota;
	char link
		[HTTP_LINK_MAX]; /* location or x-goog-upload-url; "" when absent, too long or odd */
};

struct http_result {
	const struct http_head *head; /* status 0: no answer line came */
	enum err_kind kind;	      /* ERR_NONE: the body is whole, or body asked to stop */
	bool sent;		      /* the connection stood: the request may have been acted on */
	bool permanent;		      /* trying again cannot help (certificate, URL, too large) */
	char detail[HTTP_DETAIL_MAX]; /* why, for people; no secret */
};

struct http_events {
	/* head - the final answer's headers, before its first body byte; not called when there is none */
	void (*head)(void *arg, const struct http_head *h);
	/* body - more bytes; nonzero: enough */
	int (*body)(void *arg, const char *p, size_t n);
	void (*end)(void *arg, const struct http_result *r);
};

struct http_request {
	struct http_target *target; /* lives longer than the transfer */
	const char *url;
	const char *method;	    /* NULL: POST with a body, else GET */
	const char *header;	    /* one more line for this request, copied; NULL or "" none */
	const char *const *headers; /* more of them, NULL-terminated, copied; NULL none */
	const char *body;	    /* NULL: none; borrowed until end or http_cancel */
	uint64_t body_len;
	/* read - instead of body: n bytes of it from off on, fewer when it is convenient; < 0 gives up. Called
	 * as body is, and from the beginning again when a kept connection turns out to be closed */
	long (*read)(void *arg, uint64_t off, char *p, size_t n);
	uint64_t body_max; /* of the answer, bytes */
	/* once - sent once at most, on a connection of its own: on a kept one that closes before an answer it would
	 * be sent again, whatever the server has done meanwhile */
	bool once;
	/* counted - a kept connection that closes before an answer ends it (ERR_PROVIDER, sent) once a byte has gone
	 * out: whether it is sent again is the caller's to decide, and to count */
	bool counted;
};

/* http_new - NULL: out of memory */
struct http *http_new(struct loop *l);
/* http_free - on the loop thread; returns NULL; h may be NULL */
struct http *http_free(struct http *h);

/* http_target_new - any thread; NULL: out of memory */
struct http_target *http_target_new(const struct http_target_spec *s);
/* http_target_free - when no transfer uses it any more; returns NULL; t may be NULL */
struct http_target *http_target_free(struct http_target *t);

/* http_start - 0 and the transfer, or -ENOMEM and no callback */
int http_start(struct http *h, const struct http_request *r, const struct http_events *ev,
	       void *arg, struct http_transfer **out);
/* http_cancel - t is gone when this returns; not after end */
void http_cancel(struct http_transfer *t);
/* http_pause - the body rests until http_resume, and its silence is not counted; inside body: a piece or two may
 * still come. The answer that is whole already ends all the same */
void http_pause(struct http_transfer *t);
/* http_resume - not inside head and body; end may be called in it */
void http_resume(struct http_transfer *t);
/* http_sent - the connection stands and the request is on its way */
bool http_sent(const struct http_transfer *t);

#endif
