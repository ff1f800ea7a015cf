/*
 * infer/attempt.c - one HTTP attempt
 *
 * Events arrive while libcurl is on the stack: they only fill the answer and pass text on. What it all
 * means is decided in on_end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "infer/attempt.h"
#include "infer/choices.h"
#include "infer/failure.h"
#include "net/ndjson.h"
#include "net/sse.h"

#include "base/banned.h"

enum mode {
	MODE_UNKNOWN, /* no body byte yet, or no content type: the first byte tells */
	MODE_EVENTS,  /* server-sent events */
	MODE_LINES,   /* NDJSON */
	MODE_WHOLE,   /* one JSON text */
	MODE_ERROR,   /* an error status */
	MODE_WRONG    /* success, and no type we could read */
};

struct attempt {
	const struct backend_config *config;
	struct attempt_sink sink;
	struct http_transfer *transfer;
	struct choices choices;
	void *reply;
	enum mode mode;
	bool stream; /* as in the spec */
	struct sse sse;
	struct ndjson lines;
	struct buf whole; /* the body of a reply that is no stream */
	struct buf error; /* the body of an error reply */
	bool complete;	  /* the end mark was seen */
	bool failed;	  /* err says why */
	bool answered;	  /* a body byte came */
	bool events;	  /* an event came */
	bool cut;	  /* the last event is not whole */
	struct err err;
};

static struct attempt *attempt_free(struct attempt *a)
{
	if (!a)
		return NULL;
	if (a->reply)
		a->config->type->reply_free(a->reply);
	choices_done(&a->choices);
	sse_done(&a->sse);
	ndjson_done(&a->lines);
	buf_done(&a->whole);
	buf_done(&a->error);
	free(a);
	return NULL;
}

/* ---- while it comes ---- */

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct attempt *a = arg;

	a->sink.text(a->sink.arg, choice, p, n);
}

static int fail(struct attempt *a)
{
	a->failed = true;
	return -1;
}

static int too_large(struct attempt *a, int rc)
{
	if (rc == -EFBIG)
		(void)err_set(&a->err, ERR_PROTOCOL,
			      "the answer of %s is larger than this program accepts",
			      a->config->name);
	else
		(void)err_set(&a->err, ERR_INTERNAL, "no memory for the answer of %s",
			      a->config->name);
	return fail(a);
}

static int keep_raw(struct attempt *a, const char *data, size_t len)
{
	int rc;

	if (len >= 6 && memcmp(data, "[DONE]", 6) == 0)
		return 0;
	a->events = true;
	rc = choices_event(&a->choices, data, len);
	return rc ? too_large(a, rc) : 0;
}

/* Parsed first: what is kept as raw is then known to be UTF-8. */
static int on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct attempt *a = arg;
	int rc = a->config->type->event(a->reply, name, data, len, false, &a->err);

	if (rc < 0)
		return fail(a);
	if (keep_raw(a, data, len))
		return -1;
	a->complete = rc == 1;
	return rc;
}

static int on_line(void *arg, const char *line, size_t len)
{
	return on_event(arg, "", line, len);
}

/* The body ended in the middle of an event: that is a break, unless the bytes are whole JSON after all. */
static int on_last_event(void *arg, const char *name, const char *data, size_t len)
{
	struct attempt *a = arg;
	int rc = on_event(a, name, data, len);

	if (rc < 0 && a->failed && a->err.kind == ERR_PROTOCOL) {
		a->failed = false;
		a->cut = true;
		return 0;
	}
	return rc;
}

static int on_last_line(void *arg, const char *line, size_t len)
{
	return on_last_event(arg, "", line, len);
}

/* nonzero: enough was read */
static int feed(struct attempt *a, const char *p, size_t n)
{
	int rc = a->mode == MODE_LINES ? ndjson_feed(&a->lines, p, n, on_line, a)
				       : sse_feed(&a->sse, p, n, on_event, a);

	if (rc < 0 && !a->failed)
		return too_large(a, rc);
	return rc;
}

/* The beginning of an error body says it; the rest is not waited for. */
static int keep_error(struct attempt *a, const char *p, size_t n)
{
	size_t room = ATTEMPT_ERROR_MAX - a->error.len;

	if (buf_add(&a->error, p, n < room ? n : room))
		return 1; /* no memory for it: the status says enough */
	return a->error.len == ATTEMPT_ERROR_MAX;
}

static bool type_is(const char *value, const char *type)
{
	size_t n = strlen(type);

	return strncasecmp(value, type, n) == 0 && (!value[n] || strchr("; \t", value[n]));
}

/* The content type decides, not what was asked for: some servers ignore `stream`. */
static enum mode mode_of(const struct attempt *a, const char *type)
{
	bool lines = a->config->type->framing == BACKEND_NDJSON && a->stream;
	size_t bare = strcspn(type, "; \t");

	if (!*type)
		return MODE_UNKNOWN;
	if (type_is(type, "text/event-stream"))
		return MODE_EVENTS;
	if (type_is(type, "application/x-ndjson") || type_is(type, "application/jsonl"))
		return lines ? MODE_LINES : MODE_WRONG;
	if (type_is(type, "application/json"))
		return lines ? MODE_LINES : MODE_WHOLE;
	return bare > 5 && strncasecmp(type + bare - 5, "+json", 5) == 0 ? MODE_WHOLE : MODE_WRONG;
}

static void on_head(void *arg, const struct http_head *h)
{
	struct attempt *a = arg;

	a->mode = h->status < 200 || h->status > 299 ? MODE_ERROR : mode_of(a, h->content_type);
}

/* Some servers send no content type at all. */
static enum mode sniff(const struct attempt *a, char first)
{
	if (first == '{')
		return a->config->type->framing == BACKEND_NDJSON && a->stream ? MODE_LINES
									       : MODE_WHOLE;
	return first == '<' ? MODE_WRONG : MODE_EVENTS;
}

static int on_body(void *arg, const char *p, size_t n)
{
	struct attempt *a = arg;
	int rc;

	a->answered = true;
	if (a->mode == MODE_UNKNOWN)
		a->mode = sniff(a, *p);
	switch (a->mode) {
	case MODE_ERROR:
		return keep_error(a, p, n);
	case MODE_WHOLE:
		rc = buf_add(&a->whole, p, n);
		return rc ? too_large(a, rc) : 0;
	case MODE_EVENTS:
	case MODE_LINES:
		return feed(a, p, n);
	default:
		return 1;
	}
}

/* ---- what it was ---- */

void attempt_url(const struct backend_config *c, char *dst, size_t cap)
{
	const char *url = c->at.url ? c->at.url : "", *scheme = strstr(url, "://");
	const char *host = scheme ? scheme + 3 : url;
	const char *at = memchr(host, '@', strcspn(host, "/?#"));
	size_t n = scheme ? (size_t)(host - url) : 0;

	if (n >= cap)
		n = cap - 1;
	memcpy(dst, url, n);
	(void)str_copy(dst + n, cap - n, at ? at + 1 : host); /* cut is fine: for people */
	dst[strcspn(dst, "?#")] = '\0';
}

static void transport_failed(struct attempt *a, const struct http_result *r,
			     struct attempt_end *end)
{
	const char *name = a->config->name;
	char url[160];

	attempt_url(a->config, url, sizeof(url));
	if (r->kind == ERR_REFUSED)
		(void)err_set(&end->err, r->kind,
			      "%s: nobody answers at %s: is the server running? (%s)", name, url,
			      r->detail);
	else if (r->kind == ERR_UNREACHABLE)
		(void)err_set(&end->err, r->kind,
			      "%s: no way to %s: check the url and the network (%s)", name, url,
			      r->detail);
	else if (r->kind == ERR_TLS)
		(void)err_set(&end->err, r->kind,
			      "%s: no secure connection to %s: check ca_file (%s)", name, url,
			      r->detail);
	else if (r->kind == ERR_TIMEOUT && r->sent)
		(void)err_set(&end->err, r->kind, "%s %s %g s (stall_timeout)", name,
			      a->answered ? "stopped in the middle of its answer, no byte for"
					  : "had the request and gave no byte of an answer for",
			      a->config->limits.stall_timeout_s);
	else if (r->kind == ERR_TIMEOUT)
		(void)err_set(&end->err, r->kind,
			      "%s: no connection to %s within %g s (connect_timeout)", name, url,
			      a->config->limits.connect_timeout_s);
	else if (r->kind == ERR_PROVIDER)
		(void)err_set(&end->err, r->kind,
			      "%s: the connection was lost before the answer's end (%s)", name,
			      r->detail);
	else
		(void)err_set(&end->err, r->kind, "%s: %s (%s)", name, r->detail, url);
	end->why.retryable = !r->permanent && r->kind != ERR_INTERNAL;
	end->why.late = r->head->status > 0 || (r->kind == ERR_TIMEOUT && r->sent);
}

static void status_failed(struct attempt *a, const struct http_head *h, struct attempt_end *end)
{
	struct backend_failure f = {
		.status = h->status,
		.body = buf_str(&a->error),
		.len = a->error.len,
		.retry_after_s = h->retry_after_s,
		.should_retry = h->should_retry,
	};

	end->why.retryable = a->config->type->error(a->config, &f, &end->err);
	end->why.retry_after_s = end->err.retry_after_s > 0 ? end->err.retry_after_s
							    : h->retry_after_s;
}

/* Bytes of an answer had come, so the work may be billed: one more attempt at most. */
static void event_failed(const struct attempt *a, struct attempt_end *end)
{
	end->err = a->err;
	end->why.retryable = a->err.kind == ERR_PROVIDER || a->err.kind == ERR_RATE_LIMIT ||
			     a->err.kind == ERR_TIMEOUT;
	end->why.retry_after_s = a->err.retry_after_s > 0 ? a->err.retry_after_s : -1;
	end->why.late = true;
}

static bool blank(const struct buf *b)
{
	return strspn(buf_str(b), " \t\r\n") == b->len;
}

static int look_at_whole(struct attempt *a)
{
	int rc = a->config->type->event(a->reply, "", buf_str(&a->whole), a->whole.len, true,
					&a->err);

	if (rc != 1)
		return -1;
	rc = choices_whole(&a->choices, &a->whole);
	return rc ? too_large(a, rc) : 0;
}

/* The body is whole and no end mark was among it. */
static void look_at_rest(struct attempt *a, const struct http_head *h)
{
	const struct backend_type *type = a->config->type;
	int rc = 0;

	if (a->mode == MODE_EVENTS)
		rc = sse_finish(&a->sse, on_last_event, a);
	else if (a->mode == MODE_LINES)
		rc = ndjson_finish(&a->lines, on_last_line, a);
	if (rc < 0 && !a->failed)
		(void)too_large(a, rc);
	if (a->complete || a->failed)
		return;
	a->failed = true;
	if (a->mode == MODE_WRONG)
		(void)err_set(
			&a->err, ERR_PROTOCOL,
			"%s answered %d with `%s` instead of JSON: is `url` the address of an API?",
			a->config->name, h->status,
			h->content_type[0] ? h->content_type : "a web page");
	else if (!a->cut && !a->events && blank(&a->whole))
		(void)err_set(&a->err, ERR_PROTOCOL, "%s answered %d with an empty %s",
			      a->config->name, h->status,
			      a->mode == MODE_EVENTS ? "event stream" : "body");
	else if (a->mode != MODE_WHOLE)
		a->failed = type->end(a->reply, &a->err) != 0;
	else
		a->failed = look_at_whole(a) != 0;
	a->complete = !a->failed;
}

static void set_request_id(struct answer *a, const char *request_id)
{
	char *id = a && *request_id ? strdup(request_id) : NULL;

	if (!id)
		return; /* the id of the body stays */
	free(a->provider_request_id);
	a->provider_request_id = id;
}

/* finish_reason "error" is the model's own word for a failure; asking again is not for us to
 * decide. */
static void succeeded(struct attempt *a, const struct http_head *h, struct attempt_end *end)
{
	struct choices *c = &a->choices;
	const char *why;

	if (!choices_end(c, &why)) {
		(void)err_set(&end->err, ERR_PROVIDER,
			      "%s ended its answer with the finish reason \"error\"%s%s%s",
			      a->config->name, why ? " (" : "", why ? why : "", why ? ")" : "");
		return;
	}
	for (unsigned i = 0; i < c->n; i++)
		set_request_id(c->v[i], h->request_id);
	end->usage = c->usage;
	end->came = c->came;
	end->answers = choices_take(c);
}

static void name_backend(const struct attempt *a, const struct http_head *h, struct err *e)
{
	(void)str_copy(e->backend, sizeof(e->backend), a->config->name); /* cut is fine */
	if (!e->http_status)
		e->http_status = h->status;
}

/* What was understood comes before what the connection did: an error body may end in a reset. */
static void on_end(void *arg, const struct http_result *r)
{
	struct attempt *a = arg;
	struct attempt_sink sink = a->sink;
	struct attempt_end end;
	int status = r->head->status;

	memset(&end, 0, sizeof(end));
	end.why.retry_after_s = -1;
	end.quota = r->head->quota;
	if (!a->complete && !a->failed && !r->kind && status >= 200 && status <= 299)
		look_at_rest(a, r->head);
	if (a->complete)
		succeeded(a, r->head, &end);
	else if (a->failed)
		event_failed(a, &end);
	else if (status && (status < 200 || status > 299))
		status_failed(a, r->head, &end);
	else
		transport_failed(a, r, &end);
	if (!end.answers)
		name_backend(a, r->head, &end.err);
	attempt_free(a);
	sink.end(sink.arg, &end);
}

static const struct http_events events = { .head = on_head, .body = on_body, .end = on_end };

static struct attempt *attempt_new(const struct attempt_spec *s, const struct attempt_sink *sink)
{
	struct attempt *a = calloc(1, sizeof(*a));
	struct backend_sink to = { .text = on_text, .arg = a };
	unsigned n = s->n ? s->n : 1;

	if (!a)
		return NULL;
	a->config = s->config;
	a->stream = s->stream;
	a->sink = *sink;
	sse_init(&a->sse, SSE_EVENT_MAX);
	ndjson_init(&a->lines, SSE_EVENT_MAX);
	buf_init(&a->error, ATTEMPT_ERROR_MAX);
	buf_init(&a->whole, ANSWER_TEXT_MAX);
	if (choices_init(&a->choices, n) == 0)
		a->reply = s->config->type->reply_new(s->config, a->choices.v, n, &to);
	return a->reply ? a : attempt_free(a);
}

int attempt_start(const struct attempt_spec *s, const struct attempt_sink *sink,
		  struct attempt **out)
{
	struct attempt *a = attempt_new(s, sink);
	struct http_request r = { .target = s->target,
				  .url = s->url,
				  .header = s->header,
				  .body = buf_str(s->body),
				  .body_len = s->body->len,
				  .counted = true,
				  .body_max = ATTEMPT_BODY_MAX };
	int rc = a ? http_start(s->http, &r, &events, a, &a->transfer) : -ENOMEM;

	if (rc) {
		attempt_free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void attempt_cancel(struct attempt *a)
{
	if (!a)
		return;
	http_cancel(a->transfer);
	attempt_free(a);
}

enum attempt_phase attempt_phase(const struct attempt *a)
{
	if (a->answered)
		return ATTEMPT_ANSWERING;
	return http_sent(a->transfer) ? ATTEMPT_SENT : ATTEMPT_CONNECTING;
}
