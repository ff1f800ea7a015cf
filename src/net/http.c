/*
 * net/http.c - transfers: libcurl's multi-socket interface on the loop
 *
 * libcurl forbids calls into itself from its callbacks, so nothing but head and body is delivered inside
 * them; whatever ends is collected by settle() after libcurl has returned.
 */
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "net/head.h"
#include "net/http.h"
#include "net/http_again.h"
#include "net/http_code.h"
#include "net/http_target.h"

#include "base/banned.h"

/* After body said "enough": so long and so much for the end of the body, to keep the connection. */
enum { DRAIN_MS = 100, DRAIN_BYTES = 64 << 10, CONNECTIONS_KEPT = 512 };

struct http {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer; /* libcurl's */
	struct list transfers;	 /* all that are in the multi handle */
	struct list over;	 /* out of it, end not delivered */
	struct list enough; /* still in it (or in over): body asked to stop, end not delivered */
	bool in_curl;
};

/* T_OUT: not in the multi handle */
enum {
	T_HEAD = 1 << 0,
	T_ENOUGH = 1 << 1,
	T_ENDED = 1 << 2,
	T_TOO_LARGE = 1 << 3,
	T_STALLED = 1 << 4,
	T_OUT = 1 << 5,
	T_PAUSED = 1 << 6
};

struct http_transfer {
	struct list link;	 /* transfers or over */
	struct list enough_link; /* enough */
	struct http *http;
	struct http_target *target;
	CURL *easy;
	const struct http_events *ev;
	void *arg;
	struct loop_timer stall;
	uint64_t last_ns;    /* of the last byte seen */
	curl_off_t uploaded; /* when the stall timer looked last */
	uint64_t body_n, body_max;
	size_t head_n;
	unsigned flags;
	CURLcode code;
	struct head_parser head;
	struct {
		struct curl_slist one; /* before list or the target's, which it points to */
		char text[HTTP_HEADER_MAX];
		struct curl_slist
			*list; /* one piece of memory with their text; ends in the target's */
	} own;		       /* header lines of this request */
	struct {
		long (*read)(void *arg, uint64_t off, char *p, size_t n);
		uint64_t off;
	} out; /* its body */
	struct http_again again;
	char detail[CURL_ERROR_SIZE];
};

/* ---- from libcurl: header lines and body bytes ---- */

/* Also called for trailers and for each line of an interim answer; head_line sorts that out. */
static size_t on_header(char *p, size_t size, size_t nmemb, void *arg)
{
	struct http_transfer *t = arg;
	size_t n = size * nmemb;

	t->last_ns = mono_ns();
	t->head_n += n;
	if (t->head_n > HTTP_HEADERS_MAX) {
		t->flags |= T_TOO_LARGE;
		return 0;
	}
	head_line(&t->head, p, n, mono_real_ns());
	return n;
}

static void want_end(struct http_transfer *t)
{
	t->flags |= T_ENOUGH;
	t->body_n = 0;
	list_append(&t->http->enough, &t->enough_link);
}

/* After "enough" the bytes are only counted: the rest of a body is worth a connection, up to
 * a limit. */
static size_t on_body(char *p, size_t size, size_t nmemb, void *arg)
{
	struct http_transfer *t = arg;
	size_t n = size * nmemb;

	t->last_ns = mono_ns();
	t->body_n += n;
	if (t->flags & (T_ENOUGH | T_ENDED))
		return t->body_n > DRAIN_BYTES ? 0 : n;
	if (t->body_n > t->body_max) {
		t->flags |= T_TOO_LARGE;
		return 0;
	}
	if (!(t->flags & T_HEAD)) {
		t->flags |= T_HEAD;
		t->ev->head(t->arg, head_done(&t->head));
	}
	if (t->ev->body(t->arg, p, n))
		want_end(t);
	return n;
}

/* ---- to libcurl: a body that is read in pieces ---- */

static size_t on_read(char *p, size_t size, size_t nmemb, void *arg)
{
	struct http_transfer *t = arg;
	long n = t->out.read(t->arg, t->out.off, p, size * nmemb);

	if (n < 0)
		return CURL_READFUNC_ABORT;
	t->out.off += (uint64_t)n;
	return (size_t)n;
}

/* The server closed a connection that was kept: the body begins anew on another. */
static int on_seek(void *arg, curl_off_t off, int origin)
{
	struct http_transfer *t = arg;

	if (origin != SEEK_SET || off < 0)
		return CURL_SEEKFUNC_FAIL;
	t->out.off = (uint64_t)off;
	return CURL_SEEKFUNC_OK;
}

/* ---- how it ended ---- */

bool http_sent(const struct http_transfer *t)
{
	curl_off_t at = 0;

	return curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &at) == CURLE_OK && at > 0;
}

static const char *default_detail(const struct http_transfer *t)
{
	if (t->flags & T_TOO_LARGE)
		return "the answer is larger than this program accepts";
	if (t->flags & T_STALLED)
		return "no byte came";
	if (http_again_refused(&t->again))
		return "a kept connection was closed before an answer came";
	return t->detail[0] ? t->detail : curl_easy_strerror(t->code);
}

/* Once per transfer, whatever the order in which enough, done, stall and drain come. */
static void deliver_end(struct http_transfer *t)
{
	struct http_result r = { .head = head_done(&t->head) };

	if (t->flags & T_ENDED)
		return;
	t->flags |= T_ENDED;
	r.sent = r.head->status || http_sent(t) || http_again_refused(&t->again);
	if (!(t->flags & T_ENOUGH))
		r.kind = http_code_kind(t->easy, t->code, r.sent, &r.permanent);
	if (r.kind && (t->flags & T_TOO_LARGE)) {
		r.kind = ERR_PROTOCOL;
		r.permanent = true;
	}
	if (r.kind)
		(void)str_copy(r.detail, sizeof(r.detail), default_detail(t)); /* cut is fine */
	t->ev->end(t->arg, &r);
}

/* ---- life of a transfer ---- */

/* Before anything else is done with a transfer that ended: libcurl must not know it any more. */
static void leave_multi(struct http_transfer *t)
{
	if (t->flags & T_OUT)
		return;
	t->flags |= T_OUT;
	list_del(&t->link);
	loop_timer_cancel(t->http->loop, &t->stall);
	(void)curl_multi_remove_handle(t->http->multi, t->easy); /* it is in: cannot fail */
}

static void release(struct http_transfer *t)
{
	leave_multi(t);
	list_del(&t->link);
	list_del(&t->enough_link);
	/* what points into t must not stay in a handle that is kept */
	http_again_drop(&t->again);
	(void)curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL);
	(void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, NULL);
	if (t->own.one.data || t->own.list)
		(void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->target->headers);
	if (t->out.read) {
		(void)curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, NULL);
		(void)curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, NULL);
	}
	free(t->own.list);
	http_target_give(t->target, t->easy);
	free(t);
}

static void collect(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct http_transfer *t = NULL;
		CURLcode code = m->data.result; /* m dies with the handle's removal */

		if (curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t) || !t)
			continue;
		t->code = code;
		leave_multi(t);
		list_append(&h->over, &t->link);
	}
}

/* end was delivered, the body goes on: a moment for the rest of it */
static void start_drain(struct http_transfer *t)
{
	if (loop_timer_arm(t->http->loop, &t->stall, mono_ns() + DRAIN_MS * MONO_MS))
		release(t); /* no memory to wait politely */
}

/* After every call into libcurl that may have ended something. end may start and cancel transfers. */
static void settle(struct http *h)
{
	struct list *e;

	collect(h);
	while ((e = list_pop(&h->enough))) {
		struct http_transfer *t = LIST_ENTRY(e, struct http_transfer, enough_link);

		deliver_end(t);
		if (!(t->flags & T_OUT))
			start_drain(t);
	}
	while ((e = list_pop(&h->over))) {
		struct http_transfer *t = LIST_ENTRY(e, struct http_transfer, link);

		deliver_end(t);
		release(t);
	}
}

static void on_stall(struct loop_timer *timer)
{
	struct http_transfer *t = CONTAINER_OF(timer, struct http_transfer, stall);
	struct http *h = t->http;
	curl_off_t up = 0;

	if (t->flags & T_ENDED) {
		release(t);
		return;
	}
	(void)curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &up); /* 0 when unknown */
	/* connecting has its own time limit, and who paused it is silent himself */
	if (up != t->uploaded || !http_sent(t) || (t->flags & T_PAUSED))
		t->last_ns = mono_ns();
	t->uploaded = up;
	if (mono_ns() < t->last_ns + t->target->stall_ns &&
	    loop_timer_arm(h->loop, timer, t->last_ns + t->target->stall_ns) == 0)
		return;
	t->flags |= T_STALLED;
	t->code = CURLE_OPERATION_TIMEDOUT;
	leave_multi(t);
	list_append(&h->over, &t->link);
	settle(h);
}

/* Nodes and their text in one piece; the last node leads to the target's list. */
static bool copy_headers(struct http_transfer *t, const char *const *headers)
{
	size_t n = 0, bytes = 0;
	struct curl_slist *node;
	char *text;

	for (; headers && headers[n]; n++)
		bytes += strlen(headers[n]) + 1;
	if (!n)
		return true;
	node = malloc(n * sizeof(*node) + bytes);
	if (!node)
		return false;
	t->own.list = node;
	text = (char *)(node + n);
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(headers[i]) + 1;

		memcpy(text, headers[i], len);
		node[i] =
			(struct curl_slist){ text, i + 1 < n ? &node[i + 1] : t->target->headers };
		text += len;
	}
	return true;
}

/* List nodes of our own in front of the target's list: that one is not copied for each request. */
static bool set_header(struct http_transfer *t, const struct http_request *r)
{
	struct curl_slist *first;

	if (!copy_headers(t, r->headers))
		return false;
	first = t->own.list;
	if (r->header && *r->header) {
		if (!str_copy(t->own.text, sizeof(t->own.text), r->header))
			return false;
		t->own.one = (struct curl_slist){ t->own.text, first ? first : t->target->headers };
		first = &t->own.one;
	}
	return !first || curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, first) == CURLE_OK;
}

static void set_body(struct http_transfer *t, const struct http_request *r)
{
	CURL *e = t->easy;

	if (!r->body && !r->read) {
		(void)curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
		return;
	}
	(void)curl_easy_setopt(e, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
	(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->read ? NULL : r->body);
	if (!r->read)
		return;
	t->out.read = r->read;
	(void)curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	(void)curl_easy_setopt(e, CURLOPT_READDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
	(void)curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
}

/* Only what differs between transfers; everything else stays in the handle (http_target.c). */
static bool set_transfer(struct http_transfer *t, const struct http_request *r)
{
	CURL *e = t->easy;

	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->detail);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	set_body(t, r);
	(void)curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, r->once ? 1L : 0L);
	(void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
	if (r->counted)
		http_again_set(&t->again, e);
	/* waiting for a connection that may multiplex pays only where HTTP/2 may come; without TLS curl
	 * learns that it does not only from the first answer's headers, and all others would wait for it */
	(void)curl_easy_setopt(e, CURLOPT_PIPEWAIT,
			       t->target->http2 && strncasecmp(r->url, "https:", 6) == 0 ? 1L : 0L);
	return curl_easy_setopt(e, CURLOPT_URL, r->url) == CURLE_OK && set_header(t, r);
}

static struct http_transfer *transfer_new(struct http *h, const struct http_request *r)
{
	struct http_transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->easy = http_target_take(r->target);
	if (!t->easy) {
		free(t);
		return NULL;
	}
	t->http = h;
	t->target = r->target;
	t->body_max = r->body_max;
	t->stall.fire = on_stall;
	t->flags = T_OUT;
	list_init(&t->link);
	list_init(&t->enough_link);
	head_init(&t->head);
	return t;
}

int http_start(struct http *h, const struct http_request *r, const struct http_events *ev,
	       void *arg, struct http_transfer **out)
{
	struct http_transfer *t;

	assert(loop_on_thread(h->loop) && !h->in_curl);
	t = transfer_new(h, r);
	if (!t)
		return -ENOMEM;
	t->ev = ev;
	t->arg = arg;
	t->last_ns = mono_ns();
	if (!set_transfer(t, r) ||
	    (t->target->stall_ns &&
	     loop_timer_arm(h->loop, &t->stall, t->last_ns + t->target->stall_ns))) {
		release(t);
		return -ENOMEM;
	}
	if (curl_multi_add_handle(h->multi, t->easy) != CURLM_OK) {
		loop_timer_cancel(h->loop, &t->stall);
		release(t);
		return -ENOMEM;
	}
	t->flags &= ~(unsigned)T_OUT;
	list_append(&h->transfers, &t->link);
	*out = t;
	return 0;
}

void http_cancel(struct http_transfer *t)
{
	assert(loop_on_thread(t->http->loop) && !t->http->in_curl);
	assert(!(t->flags & T_ENDED));
	release(t);
}

/* libcurl allows this call, alone of all, inside its callbacks. */
void http_pause(struct http_transfer *t)
{
	assert(loop_on_thread(t->http->loop));
	if (t->flags & (T_PAUSED | T_OUT))
		return;
	t->flags |= T_PAUSED;
	(void)curl_easy_pause(t->easy, CURLPAUSE_RECV); /* if it fails bytes go on coming */
}

void http_resume(struct http_transfer *t)
{
	struct http *h = t->http;

	assert(loop_on_thread(h->loop) && !h->in_curl);
	if (!(t->flags & T_PAUSED))
		return;
	t->flags &= ~(unsigned)T_PAUSED;
	t->last_ns = mono_ns();
	if (t->flags & T_OUT)
		return;
	h->in_curl = true; /* what it held back it hands over at once */
	(void)curl_easy_pause(t->easy, CURLPAUSE_CONT); /* if it fails the stall timer tells */
	h->in_curl = false;
	settle(h);
}

/* ---- the multi handle on the loop ---- */

/* The only door into libcurl for events. */
static void act(struct http *h, curl_socket_t fd, int bits)
{
	int running;

	h->in_curl = true;
	(void)curl_multi_socket_action(h->multi, fd, bits,
				       &running); /* errors show up per transfer */
	h->in_curl = false;
	settle(h);
}

struct http_socket {
	struct loop_watch watch;
	struct http *http;
};

static void on_socket(struct loop_watch *w, unsigned events)
{
	struct http_socket *s = CONTAINER_OF(w, struct http_socket, watch);

	act(s->http, w->fd,
	    (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
		    (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(struct loop_timer *timer)
{
	act(CONTAINER_OF(timer, struct http, timer), CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl closes the descriptor right after this: it must be out of the epoll set by then. */
static void drop_socket(struct http *h, curl_socket_t fd, struct http_socket *s)
{
	if (!s)
		return;
	loop_watch_drop(h->loop, &s->watch);
	(void)curl_multi_assign(h->multi, fd, NULL); /* fails only for a socket it forgot already */
	free(s);
}

/* libcurl: watch this socket so; a socket that cannot be watched shows as a stall */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http *h = arg;
	struct http_socket *s = socket_arg;
	unsigned bits = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		drop_socket(h, fd, s);
		return 0;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -1;
		s->http = h;
		s->watch.fd = fd;
		s->watch.ready = on_socket;
		(void)curl_multi_assign(h->multi, fd, s); /* the socket is known: cannot fail */
	}
	bits |= (what & CURL_POLL_IN) ? LOOP_READ : 0;
	bits |= (what & CURL_POLL_OUT) ? LOOP_WRITE : 0;
	return loop_watch_set(h->loop, &s->watch, bits) ? -1 : 0;
}

static int want_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_cancel(h->loop, &h->timer);
	else if (loop_timer_arm(h->loop, &h->timer, mono_ns() + (uint64_t)ms * MONO_MS))
		return -1;
	return 0;
}

struct http *http_new(struct loop *l)
{
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* counts; any thread since 7.84 */
		return NULL;
	h = calloc(1, sizeof(*h));
	if (h)
		h->multi = curl_multi_init();
	if (!h || !h->multi) {
		free(h);
		curl_global_cleanup();
		return NULL;
	}
	h->loop = l;
	h->timer.fire = on_timer;
	list_init(&h->transfers);
	list_init(&h->over);
	list_init(&h->enough);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	/* the default shrinks with the number of running transfers and closes what a burst opened */
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	return h;
}

static void release_all(struct list *l)
{
	while (!list_empty(l))
		release(LIST_ENTRY(l->next, struct http_transfer, link));
}

struct http *http_free(struct http *h)
{
	if (!h)
		return NULL;
	release_all(&h->transfers);
	release_all(&h->over);
	(void)curl_multi_cleanup(
		h->multi); /* closes the connections; its sockets come back one by one */
	loop_timer_cancel(h->loop, &h->timer);
	free(h);
	curl_global_cleanup();
	return NULL;
}
