/*
 * infer/batch_step.c - one step of a batch: requests until the provider's table says it is over
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/batch_inside.h"
#include "infer/failure.h"

#include "base/banned.h"

enum { TEXT_MAX = 64 << 10, ANSWER_MAX = 32 << 20, HOPS_MAX = 3, HEADERS = BATCH_ASK_HEADERS };

static const char *const names[] = {
	[BATCH_UPLOAD] = "the upload",	   [BATCH_CREATE] = "the creation",
	[BATCH_FIND] = "the search",	   [BATCH_POLL] = "the look",
	[BATCH_FETCH] = "the download",	   [BATCH_CANCEL] = "the cancellation",
	[BATCH_REMOVE] = "the tidying up",
};

static void next(struct batch_call *c);

/* ---- ends ---- */

void batch_step_drop(struct batch_call *c)
{
	loop_timer_cancel(c->batch->loop, &c->pause);
	if (c->transfer)
		http_cancel(TAKE(c->transfer));
	buf_done(&c->ask.text);
	buf_done(&c->ask.tail);
	buf_done(&c->in.body);
	ndjson_done(&c->in.lines);
}

static void fail(struct batch_call *c, struct err *e)
{
	const char *name = c->shop->config->name;

	(void)str_copy(e->backend, sizeof(e->backend), name); /* cut is fine */
	e->attempts = c->retry.attempts;
	err_prefix(e, "%s of a batch failed: ", names[c->order.step]);
	batch_over(c, e);
}

static void fail_here(struct batch_call *c, int rc, const char *what)
{
	struct err e;

	if (rc == -ENOMEM)
		(void)err_set(&e, ERR_INTERNAL, "out of memory");
	else
		(void)err_sys(&e, -rc, "%s", what);
	fail(c, &e);
}

/* ---- out ---- */

/* The bytes of a body that is not in memory: text, file, tail. */
static uint64_t file_bytes(const struct batch_call *c)
{
	/* every line has its newline; the last of a list has no comma */
	return c->ask.body == BATCH_BODY_LIST ? c->order.size - 1 : c->order.size;
}

static long read_file(struct batch_call *c, uint64_t off, char *p, size_t n)
{
	uint64_t left = file_bytes(c) - off;
	ssize_t got;

	do
		got = pread(c->order.fd, p, n < left ? n : (size_t)left, (off_t)off);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		c->in.read_errno = got ? errno : EIO;
		return -1;
	}
	for (ssize_t i = 0; c->ask.body == BATCH_BODY_LIST && i < got; i++)
		if (p[i] == '\n')
			p[i] = ',';
	return (long)got;
}

static long on_read(void *arg, uint64_t off, char *p, size_t n)
{
	struct batch_call *c = arg;
	const struct buf *part = &c->ask.text;

	if (off >= part->len) {
		off -= part->len;
		if (off < file_bytes(c))
			return read_file(c, off, p, n);
		off -= file_bytes(c);
		part = &c->ask.tail;
		if (off >= part->len)
			return 0;
	}
	if (n > part->len - off)
		n = part->len - (size_t)off;
	memcpy(p, part->data + off, n);
	return (long)n;
}

/* "https://host:port" of the backend is where an address leads. */
static bool is_ours(const struct backend_config *c, const char *url)
{
	const char *host = strstr(c->at.url, "://");
	size_t n = host ? (size_t)(host - c->at.url) + 3 : 0;

	n += strcspn(c->at.url + n, "/?#");
	return strncasecmp(url, c->at.url, n) == 0 && strchr("/?#", url[n]);
}

static void fill_body(const struct batch_call *c, struct http_request *r)
{
	r->body_len = c->ask.text.len;
	if (c->ask.body == BATCH_BODY_TEXT) {
		r->body = buf_str(&c->ask.text);
	} else if (c->ask.body != BATCH_BODY_NONE) {
		r->read = on_read;
		r->body_len += file_bytes(c) + c->ask.tail.len;
	}
}

static void on_head(void *arg, const struct http_head *h);
static int on_body(void *arg, const char *p, size_t n);
static void on_end(void *arg, const struct http_result *r);
static const struct http_events events = { .head = on_head, .body = on_body, .end = on_end };

static void send_ask(struct batch_call *c)
{
	const struct backend_config *config = c->shop->config;
	bool absolute = strstr(c->ask.path, "://") != NULL;
	AUTO_FREE char *url = str_printf("%s%s", absolute ? "" : config->at.url, c->ask.path);
	const char *headers[HEADERS + 1] = { NULL };
	struct http_request r = { .url = url,
				  .method = c->ask.method,
				  .headers = headers,
				  .once = c->order.step == BATCH_CREATE,
				  .body_max = c->ask.lines ? UINT64_MAX : ANSWER_MAX };

	r.target = absolute && !is_ours(config, url) ? c->shop->strangers : c->shop->ours;
	for (size_t i = 0; i < HEADERS && c->ask.header[i][0]; i++)
		headers[i] = c->ask.header[i];
	fill_body(c, &r);
	buf_clear(&c->in.body);
	c->in.body.max = ANSWER_MAX;
	ndjson_done(&c->in.lines);
	ndjson_init(&c->in.lines, BATCH_LINE_MAX);
	c->in.status = c->in.rc = c->in.read_errno = 0;
	c->retry.attempts++;
	if (!url || http_start(c->batch->http, &r, &events, c, &c->transfer))
		fail_here(c, -ENOMEM, "");
}

static void next(struct batch_call *c)
{
	buf_done(&c->ask.text);
	buf_done(&c->ask.tail);
	memset(&c->ask, 0, sizeof(c->ask));
	buf_init(&c->ask.text, TEXT_MAX);
	buf_init(&c->ask.tail, TEXT_MAX);
	c->walk.back = c->walk.phase;
	c->hops = 0;
	if (!c->shop->api->ask(&c->walk, &c->ask))
		batch_over(c, NULL);
	else if (c->ask.text.failed || c->ask.tail.failed)
		fail_here(c, c->ask.text.failed ? c->ask.text.failed : c->ask.tail.failed,
			  "the request");
	else
		send_ask(c);
}

static void on_pause_over(struct loop_timer *t)
{
	next(CONTAINER_OF(t, struct batch_call, pause));
}

void batch_step_begin(struct batch_call *c)
{
	c->pause.fire = on_pause_over;
	next(c);
}

void batch_step_go_on(struct batch_call *c)
{
	if (c->transfer)
		http_resume(c->transfer);
}

static void pause_for(struct batch_call *c, uint64_t ns)
{
	if (loop_timer_arm(c->batch->loop, &c->pause, mono_ns() + ns))
		fail_here(c, -ENOMEM, "");
}

/* ---- in ---- */

static bool success(int status)
{
	return status >= 200 && status <= 299;
}

static void on_head(void *arg, const struct http_head *h)
{
	((struct batch_call *)arg)->in.status = h->status;
}

static int on_line(void *arg, const char *text, size_t n)
{
	struct batch_call *c = arg;

	if (c->ask.peek) {
		c->in.rc = buf_add(&c->in.body, text, n);
		return 1;
	}
	if (!c->order.line(c->order.arg, text, n) && c->transfer)
		http_pause(c->transfer);
	return 0;
}

static int on_body(void *arg, const char *p, size_t n)
{
	struct batch_call *c = arg;

	if (!success(c->in.status)) {
		(void)buf_add(&c->in.body, p, n); /* a long one is cut */
		return c->in.body.len >= TEXT_MAX;
	}
	if (c->ask.lines) {
		int rc = ndjson_feed(&c->in.lines, p, n, on_line, c);

		if (rc < 0)
			c->in.rc = rc;
		return rc != 0;
	}
	c->in.rc = buf_add(&c->in.body, p, n);
	return c->in.rc != 0;
}

/* ---- what it was ---- */

/* A creation is repeated only when the provider cannot have made the batch, and the file of an upload that is
 * repeated may be there already. */
static bool may_be_done(const struct http_result *r)
{
	int status = r->head->status;

	return r->sent && !(status >= 300 && status <= 499 && status != 408);
}

static void failed(struct batch_call *c, const struct http_result *r, struct retry_why *why,
		   struct err *e)
{
	struct retry_when when = { .now_ns = mono_ns(), .random = retry_chance(&c->batch->random) };
	double patience = c->shop->config->limits.timeout_s;
	int64_t pause;

	c->result.unsure = c->order.step == BATCH_CREATE && may_be_done(r);
	if (c->order.step == BATCH_UPLOAD && may_be_done(r))
		c->result.job.strays = true;
	why->retryable = why->retryable && !c->result.unsure;
	if (patience > 0 && patience < 1e9) /* a long wait is better spent outside of a step */
		when.limit_ns = when.now_ns + (uint64_t)(patience * 1e9);
	pause = retry_next(&c->retry, &c->shop->config->limits, why, &when);
	if (pause < 0) {
		fail(c, e);
		return;
	}
	c->walk.phase = c->walk.back;
	pause_for(c, (uint64_t)pause);
}

static bool is_gone(const struct batch_call *c, int status)
{
	return status == 404 || status == 410 || (status && status == c->shop->api->gone);
}

/* What is to be deleted may be gone already, and what is over cannot be cancelled: the next poll tells. */
static bool is_fine_anyway(const struct batch_call *c, int status)
{
	if (c->order.step == BATCH_REMOVE || c->ask.peek)
		return is_gone(c, status);
	return c->order.step == BATCH_CANCEL && (status == 400 || status == 404 || status == 409);
}

static void answered(struct batch_call *c, json_t *take_answer, const struct http_result *r)
{
	const struct backend_limits *l = &c->shop->config->limits;
	struct err e;
	double ms;

	c->retry = (struct retry){ 0 };
	switch (c->shop->api->reply(&c->walk, take_answer, r->head, &e)) {
	case BATCH_NEXT_DONE:
		batch_over(c, NULL);
		break;
	case BATCH_NEXT_ASK:
		next(c);
		break;
	case BATCH_NEXT_LATER:
		ms = l->backoff_ms * (c->walk.pages < 16 ? 1 << c->walk.pages : 1 << 16);
		pause_for(c, (uint64_t)((ms < l->backoff_max_ms ? ms : l->backoff_max_ms) * 1e6));
		break;
	default:
		c->result.unsure = c->order.step == BATCH_CREATE;
		e.http_status = r->head->status;
		fail(c, &e);
	}
	json_decref(take_answer);
}

static void status_failed(struct batch_call *c, const struct http_result *r)
{
	static const struct failure_advice advice[] = {
		{ ERR_NOT_FOUND, "the provider has no such batch or file, or not any more" },
		{ ERR_NONE, NULL }
	};
	const struct backend_failure f = { .status = r->head->status,
					   .body = buf_str(&c->in.body),
					   .len = c->in.body.len,
					   .retry_after_s = r->head->retry_after_s,
					   .should_retry = r->head->should_retry };
	struct retry_why why = { .retry_after_s = -1 };
	struct err e;

	why.retryable = failure_reply_advised(c->shop->config, &f, advice, &e);
	why.retry_after_s = e.retry_after_s > 0 ? e.retry_after_s : f.retry_after_s;
	c->result.gone = is_gone(c, f.status);
	if (c->result.gone && c->ask.lines && c->shop->api->two_places && !c->walk.elsewhere) {
		c->walk.elsewhere = true;
		next(c);
		return;
	}
	failed(c, r, &why, &e);
}

static void transport_failed(struct batch_call *c, const struct http_result *r)
{
	struct retry_why why = { .retryable = r->kind && !r->permanent && r->kind != ERR_INTERNAL,
				 .retry_after_s = -1 };
	struct err e;

	(void)err_set(&e, r->kind ? r->kind : ERR_PROTOCOL, "%s: %s", c->shop->config->name,
		      r->kind ? r->detail : "redirected elsewhere");
	e.http_status = r->head->status;
	failed(c, r, &why, &e);
}

/* A file may lie elsewhere; everything else is answered where it was asked. */
static bool follow(struct batch_call *c, const struct http_result *r)
{
	int status = r->head->status;

	if (r->kind || status < 301 || status > 308 || !c->ask.lines || c->hops >= HOPS_MAX ||
	    !strstr(r->head->link, "://"))
		return false;
	c->hops++;
	(void)str_copy(c->ask.path, sizeof(c->ask.path), r->head->link); /* same size */
	c->retry.attempts--;
	send_ask(c);
	return true;
}

static void whole(struct batch_call *c, const struct http_result *r)
{
	struct err e;
	int rc = 0;

	if (c->ask.lines && !c->in.rc && (!c->ask.peek || !c->in.body.len))
		rc = ndjson_finish(&c->in.lines, on_line, c);
	if (rc < 0)
		c->in.rc = rc;
	if (c->in.rc == -EFBIG) {
		(void)err_set(&e, ERR_PROTOCOL, "%s sent %s larger than this program accepts",
			      c->shop->config->name, c->ask.lines ? "a line" : "an answer");
		c->result.unsure = c->order.step == BATCH_CREATE;
		fail(c, &e);
	} else if (c->in.rc) {
		c->result.unsure = c->order.step == BATCH_CREATE;
		fail_here(c, c->in.rc, "the answer");
	} else {
		answered(c,
			 c->in.body.len ? json_loadb(c->in.body.data, c->in.body.len, 0, NULL)
					: NULL,
			 r);
	}
}

static void on_end(void *arg, const struct http_result *r)
{
	struct batch_call *c = arg;
	int status = r->head->status;

	c->transfer = NULL;
	if (c->in.read_errno)
		fail_here(c, -c->in.read_errno, "the file of the batch cannot be read");
	else if (success(status) && (!r->kind || c->in.rc))
		whole(c, r);
	else if (is_fine_anyway(c, status))
		answered(c, NULL, r);
	else if (status >= 400)
		status_failed(c, r);
	else if (!follow(c, r))
		transport_failed(c, r);
}
