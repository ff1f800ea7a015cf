/*
 * infer: the contract of every backend type, the errno table, and the life of calls
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mono.h"
#include "wire.h"
#include "wire_ask.h"

#define CHUNK "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"part\"}}]}\n\n"
#define ANSWER \
	"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"fine\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static const char *const http_types[] = { "openai", "mistral" };
static struct ask_call call;
static struct ask a;
static struct wire *w;

static void begin(const char *type)
{
	w = wire_new();
	ask_new(&a, ask_config(type, wire_url(w)));
}

static void end(void)
{
	ask_done(&call);
	ask_free(&a);
	w = wire_free(w);
}

/* ---- every type keeps the contract ---- */

static void test_types(void **state)
{
	const struct backend_type *const *types = infer_types();

	(void)state;
	assert_null(infer_type("nothing"));
	for (; *types; types++) {
		const struct backend_type *t = *types;

		assert_int_equal(t->size, sizeof(*t));
		assert_int_equal(t->api, BACKEND_API);
		assert_ptr_equal(infer_type(t->name), t);
		assert_non_null(t->check);
		if (t->local) {
			assert_non_null(t->local->answer);
			assert_non_null(t->local->token);
			assert_null(t->build);
			continue;
		}
		assert_non_null(t->url);
		assert_true(t->url[strlen(t->url) - 1] != '/');
		assert_true(t->build && t->reply_new && t->event && t->end && t->reply_free &&
			    t->error);
		t->reply_free(NULL);
	}
}

/* Whatever an extra_body says, a body is built and an answer is read. */
/* one answer in the form of that type; where nothing is said here, it is OpenAI's */
static void add_answer(const char *type)
{
	if (strcmp(type, "ollama") == 0)
		wire_add_json(
			w, 200, NULL,
			"{\"message\":{\"content\":\"x\"},\"done\":true,\"done_reason\":\"stop\"}");
	else if (strcmp(type, "gemini") == 0)
		wire_add_sse(w,
			     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},"
			     "\"finishReason\":\"STOP\"}]}\n\n",
			     true, WIRE_KEEP);
	else if (strcmp(type, "anthropic") == 0)
		wire_add_sse(
			w,
			"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n"
			"event: content_block_start\ndata: {\"type\":\"content_block_start\","
			"\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
			"\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n"
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":"
			"{\"stop_reason\":\"end_turn\"}}\n\n"
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
			true, WIRE_KEEP);
	else
		wire_add_sse(w, ANSWER, true, WIRE_KEEP);
}

static void test_extra_body_cannot_break_a_type(void **state)
{
	static const char *const extras[] = { "{}",
					      "{\"stream\":false}",
					      "{\"stream\":\"x\"}",
					      "{\"stream\":null,\"stream_options\":null}",
					      "{\"messages\":null}",
					      "{\"model\":{\"a\":[]}}",
					      "{\"n\":3}",
					      "[]",
					      "7",
					      "\"x\"",
					      "null",
					      "{\"a\":{\"b\":{\"c\":{\"d\":1e308}}}}",
					      "{\"\":\"\"}" };
	char request[512];

	(void)state;
	for (const struct backend_type *const *t = infer_types(); *t; t++) {
		begin((*t)->name);
		add_answer((*t)->name);
		for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
			snprintf(request, sizeof(request),
				 "{\"endpoint\":\"chat\",\"model\":\"m\"," HI ",\"extra_body\":%s}",
				 extras[i]);
			if (ask(&a, &call, request))
				fail_msg("%s %s: %s", (*t)->name, extras[i], call.err.message);
			assert_int_equal(call.ended, 1);
			assert_true(call.answer->text.len > 0);
			ask_done(&call);
		}
		ask_free(&a);
		w = wire_free(w);
	}
}

/* ---- the errno table ---- */

static const struct {
	int status;
	const char *body;
	int code;
	unsigned attempts;
} table[] = {
	{ 400, "{\"error\":{\"message\":\"bad\"}}", EINVAL, 1 },
	{ 400, "{\"error\":{\"message\":\"bad\",\"code\":\"context_length_exceeded\"}}", EMSGSIZE,
	  1 },
	{ 400, "{\"error\":{\"message\":\"API key not valid\"}}", EKEYREJECTED, 1 },
	{ 401, "{\"message\":\"Unauthorized\"}", EKEYREJECTED, 1 },
	{ 402, "", EDQUOT, 1 },
	{ 403, "", EKEYREJECTED, 1 },
	{ 404, "<html></html>", ENXIO, 1 },
	{ 405, "", EINVAL, 1 },
	{ 408, "", ETIMEDOUT, 5 },
	{ 409, "", EREMOTEIO, 5 },
	{ 413, "", EMSGSIZE, 1 },
	{ 422, "{\"detail\":\"x\"}", EINVAL, 1 },
	{ 425, "", EREMOTEIO, 5 },
	{ 429, "{\"message\":\"Rate limit exceeded\"}", EBUSY, 5 },
	{ 429, "{\"error\":{\"code\":\"insufficient_quota\"}}", EDQUOT, 1 },
	{ 500, "", EREMOTEIO, 5 },
	{ 502, "<html>", EREMOTEIO, 5 },
	{ 503, "{}", EREMOTEIO, 5 },
	{ 504, "", EREMOTEIO, 5 },
	{ 529, "", EREMOTEIO, 5 },
	{ 301, "", EBADMSG, 1 },
	{ 308, "", EBADMSG, 1 },
	{ 204, "", EBADMSG, 1 },
	{ 200, "", EBADMSG, 1 },
	{ 200, "nonsense", EBADMSG, 1 },
	{ 200, "{}", EBADMSG, 1 },
};

static void test_errno_table(void **state)
{
	(void)state;
	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
			begin(http_types[t]);
			wire_add_json(w, table[i].status, NULL, table[i].body);
			if (ask(&a, &call, NULL) != table[i].code ||
			    call.attempts != table[i].attempts)
				fail_msg("%s %d %s: %d after %u: %s", http_types[t],
					 table[i].status, table[i].body, call.err.code,
					 call.attempts, call.err.message);
			assert_int_equal(wire_requests(w), table[i].attempts);
			assert_int_equal(call.err.http_status, table[i].status);
			assert_string_equal(call.err.backend, http_types[t]);
			assert_int_equal(call.restarts, table[i].attempts - 1);
			assert_int_equal(call.ended, 1);
			assert_null(strstr(call.err.message, "sk-local"));
			end();
		}
}

static void test_types_of_answers(void **state)
{
	static const struct {
		const char *type, *body;
		int code;
	} rows[] = { { "text/html", "<html>", EBADMSG },
		     { "text/html; charset=utf-8", "data: {}\n\n", EBADMSG },
		     { "text/plain", ANSWER, EBADMSG },
		     { "application/octet-stream", "x", EBADMSG },
		     { "text/event-stream", "<html>", EBADMSG },
		     { NULL, "<html>", EBADMSG },
		     { NULL, ANSWER, 0 },
		     { NULL, "{\"choices\":[{\"message\":{\"content\":\"x\"}}]}", 0 },
		     { "application/problem+json",
		       "{\"choices\":[{\"message\":{\"content\":\"x\"}}]}", 0 },
		     { "Text/Event-Stream;charset=UTF-8", ANSWER, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin("openai");
		wire_add_typed(w, 200, rows[i].type, rows[i].body, WIRE_KEEP);
		if (ask(&a, &call, NULL) != rows[i].code)
			fail_msg("%s: %d %s", rows[i].type ? rows[i].type : "none", call.err.code,
				 call.err.message);
		assert_int_equal(wire_requests(w), 1);
		end();
	}
}

static void wire_ends(struct wire_answer answer, int code, unsigned attempts)
{
	for (size_t t = 0; t < 2; t++) {
		struct backend_config c;

		w = wire_new();
		c = ask_config(http_types[t], wire_url(w));
		c.limits.stall_timeout_s = 0.05;
		ask_new(&a, c);
		wire_add(w, answer);
		if (ask(&a, &call, NULL) != code || call.attempts != attempts)
			fail_msg("%d after %u: %s", call.err.code, call.attempts, call.err.message);
		end();
	}
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

static void test_faults_of_the_wire(void **state)
{
	(void)state;
	wire_ends((struct wire_answer){ .bytes = "", .then = WIRE_RESET }, EREMOTEIO, 5);
	wire_ends((struct wire_answer){ .bytes = "", .then = WIRE_CLOSE }, EREMOTEIO, 5);
	wire_ends((struct wire_answer){ .bytes = "", .then = WIRE_HANG }, ETIMEDOUT, 2);
	wire_ends((struct wire_answer){ .bytes = OK_HEAD, .then = WIRE_HANG }, ETIMEDOUT, 2);
	wire_ends((struct wire_answer){ .bytes = OK_HEAD CHUNK, .then = WIRE_HANG }, ETIMEDOUT, 2);
	wire_ends((struct wire_answer){ .bytes = OK_HEAD CHUNK, .then = WIRE_RESET }, EREMOTEIO, 2);
	wire_ends((struct wire_answer){ .bytes = OK_HEAD CHUNK, .then = WIRE_CLOSE }, EREMOTEIO, 2);
	wire_ends((struct wire_answer){ .bytes = OK_HEAD, .then = WIRE_CLOSE }, EBADMSG, 1);
	wire_ends((struct wire_answer){ .bytes = "\x01garbage\r\n\r\n", .then = WIRE_CLOSE },
		  EBADMSG, 1);
}

static void test_refused(void **state)
{
	(void)state;
	begin("openai");
	wire_free(w);
	assert_int_equal(ask(&a, &call, NULL), ECONNREFUSED);
	assert_int_equal(call.attempts, 5);
	assert_non_null(strstr(call.err.message, "127.0.0.1"));
	assert_non_null(strstr(call.err.message, "running"));
	w = NULL;
	end();
}

static void test_no_way_there(void **state)
{
	char url[128];

	(void)state;
	for (size_t t = 0; t < 2; t++) {
		ask_new(&a, ask_config(http_types[t], "http://no-such-host.invalid"));
		assert_int_equal(ask(&a, &call, NULL), EHOSTUNREACH);
		assert_int_equal(call.attempts, 5);
		end();
		w = wire_new();
		wire_add(w, (struct wire_answer){
				    .bytes = "no TLS\r\n\r\n", .then = WIRE_CLOSE, .deaf = true });
		snprintf(url, sizeof(url), "https%s", wire_url(w) + 4);
		ask_new(&a, ask_config(http_types[t], url));
		assert_int_equal(ask(&a, &call, NULL), EPROTO);
		assert_string_equal(call.err.backend, http_types[t]);
		end();
	}
}

static void test_no_user_info_in_sentences(void **state)
{
	(void)state;
	ask_new(&a, ask_config("openai", "http://me:hunter2@127.0.0.1:1/v1?token=abc"));
	assert_int_equal(ask(&a, &call, NULL), ECONNREFUSED);
	assert_null(strstr(call.err.message, "hunter2"));
	assert_null(strstr(call.err.message, "abc"));
	end();
}

/* ---- retries ---- */

static void test_gets_there_after_failures(void **state)
{
	(void)state;
	begin("openai");
	/* first: libcurl itself repeats what a kept connection lost before any byte */
	wire_add(w, (struct wire_answer){ .bytes = "", .then = WIRE_RESET });
	wire_add_json(w, 503, NULL, "{}");
	wire_add_json(w, 429, "Retry-After: 0\r\n", "{}");
	wire_add_sse(w, ANSWER, true, WIRE_KEEP);
	assert_int_equal(ask(&a, &call, NULL), 0);
	assert_int_equal(call.attempts, 4);
	assert_int_equal(call.started, 4);
	assert_int_equal(call.restarts, 3);
	assert_string_equal(call.text, "fine");
	assert_string_equal(wire_body(w, 0), wire_body(w, 3));
	end();
}

static void test_broken_stream_begins_anew(void **state)
{
	(void)state;
	begin("mistral");
	wire_add_sse(w, CHUNK, false, WIRE_RESET);
	wire_add_sse(w, ANSWER, true, WIRE_KEEP);
	assert_int_equal(ask(&a, &call, NULL), 0);
	assert_int_equal(call.attempts, 2);
	assert_int_equal(call.restart.code, EREMOTEIO);
	assert_string_equal(call.text, "fine");
	assert_string_equal(buf_str(&call.answer->text), "fine"); /* nothing of the first attempt */
	assert_null(strstr(buf_str(&call.answer->raw), "part"));
	end();
}

static void test_late_then_plain_failure_is_final(void **state)
{
	(void)state;
	begin("openai");
	wire_add_sse(w, CHUNK, false, WIRE_RESET);
	wire_add_json(w, 503, NULL, "{}");
	assert_int_equal(ask(&a, &call, NULL), EREMOTEIO);
	assert_int_equal(call.attempts, 2);
	assert_int_equal(call.err.http_status, 503);
	end();
}

static void test_retry_after_is_waited_for(void **state)
{
	uint64_t start = mono_ns();

	(void)state;
	begin("openai");
	wire_add_json(w, 429, "retry-after-ms: 80\r\n", "{}");
	wire_add_sse(w, ANSWER, true, WIRE_KEEP);
	assert_int_equal(ask(&a, &call, NULL), 0);
	assert_true(mono_ns() - start >= 80 * MONO_MS);
	end();
}

static void test_retry_after_past_the_deadline(void **state)
{
	uint64_t start = mono_ns();

	(void)state;
	begin("openai");
	wire_add_json(w, 429, "Retry-After: 3600\r\n", "{\"message\":\"slow down\"}");
	assert_int_equal(ask(&a, &call, NULL), EBUSY);
	assert_int_equal(call.attempts, 1);
	assert_true(call.err.retry_after_s > 3599);
	assert_true(mono_ns() - start < 5 * MONO_S);
	end();
}

static void test_server_says_whether(void **state)
{
	(void)state;
	begin("openai");
	wire_add_json(w, 500, "x-should-retry: false\r\n", "{}");
	assert_int_equal(ask(&a, &call, NULL), EREMOTEIO);
	assert_int_equal(call.attempts, 1);
	end();
	begin("openai");
	wire_add_json(w, 400, "x-should-retry: true\r\n", "{}");
	assert_int_equal(ask(&a, &call, NULL), EINVAL);
	assert_int_equal(call.attempts, 5);
	end();
}

/* ---- time ---- */

static void time_over(struct wire_answer answer, const struct infer_spec *spec, const char *says)
{
	begin("openai");
	wire_add(w, answer);
	assert_int_equal(ask_begin(&a, &call, NULL, spec), 0);
	ask_await(&call);
	assert_int_equal(call.err.code, ETIMEDOUT);
	assert_int_equal(call.attempts, 1);
	if (!strstr(call.err.message, says))
		fail_msg("%s", call.err.message);
	end();
}

static void test_time_is_over(void **state)
{
	struct infer_spec t = { .timeout_s = 0.05 }, d = { 0 };

	(void)state;
	time_over((struct wire_answer){ .bytes = "", .then = WIRE_HANG }, &t,
		  "no byte of an answer");
	time_over((struct wire_answer){ .bytes = OK_HEAD CHUNK, .then = WIRE_HANG }, &t,
		  "still answering");
	d.deadline_ns = mono_ns() + 50 * MONO_MS;
	time_over((struct wire_answer){ .bytes = "", .then = WIRE_HANG }, &d,
		  "no byte of an answer");
}

static void test_deadline_passed_before_sending(void **state)
{
	struct infer_spec s = { .deadline_ns = 1 };

	(void)state;
	begin("openai");
	wire_add_sse(w, ANSWER, true, WIRE_KEEP);
	assert_int_equal(ask_begin(&a, &call, NULL, &s), 0);
	ask_await(&call);
	assert_int_equal(call.err.code, ETIMEDOUT);
	assert_int_equal(call.attempts, 0);
	assert_int_equal(wire_requests(w), 0);
	end();
}

static void new_with(unsigned concurrency, size_t queue_max, struct infer **out)
{
	struct infer_options o = { .backends = &a.config, .n_backends = 1, .queue_max = queue_max };

	w = wire_new();
	memset(&a, 0, sizeof(a));
	a.config = ask_config("openai", wire_url(w));
	a.config.limits.concurrency = concurrency;
	assert_int_equal(infer_new(&o, out, NULL), 0);
	a.infer = *out;
}

static void test_deadline_in_the_queue(void **state)
{
	struct infer_spec s = { .deadline_ns = mono_ns() + 50 * MONO_MS };
	static struct ask_call first;
	struct infer *i;

	(void)state;
	new_with(1, 10, &i);
	wire_add(w, (struct wire_answer){ .bytes = "", .then = WIRE_HANG });
	assert_int_equal(ask_begin(&a, &first, NULL, NULL), 0);
	assert_true(wire_await(w, 1));
	assert_int_equal(ask_begin(&a, &call, NULL, &s), 0);
	ask_await(&call);
	assert_int_equal(call.err.code, ETIMEDOUT);
	assert_non_null(strstr(call.err.message, "queue"));
	assert_int_equal(call.started, 0);
	infer_cancel(a.infer, first.call);
	ask_await(&first);
	ask_done(&first);
	end();
}

/* ---- queue and places ---- */

static void test_queue_full(void **state)
{
	static struct ask_call c[4];
	struct infer_status s;
	struct infer *i;
	struct err e;

	(void)state;
	new_with(1, 2, &i);
	wire_add(w, (struct wire_answer){
			    .bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				     "Connection: close\r\n\r\n" ANSWER,
			    .gate = true,
			    .then = WIRE_CLOSE });
	for (int k = 0; k < 3; k++) {
		assert_int_equal(infer_room(i, &e), 0);
		assert_int_equal(ask_begin(&a, &c[k], NULL, NULL), 0);
	}
	assert_int_equal(infer_room(i, &e), -ENOBUFS);
	assert_int_equal(ask_begin(&a, &c[3], NULL, NULL), -ENOBUFS);
	assert_int_equal(infer_status(i, "openai", &s), 0);
	assert_int_equal(s.in_flight, 1);
	assert_int_equal(s.queued, 2);
	assert_int_equal(s.concurrency, 1);
	assert_true(s.has_key);
	wire_open(w);
	for (int k = 0; k < 3; k++) {
		ask_await(&c[k]);
		assert_non_null(c[k].answer);
		ask_done(&c[k]);
	}
	assert_int_equal(c[3].ended, 0);
	assert_int_equal(wire_most(w), 1);
	assert_int_equal(infer_status(i, "openai", &s), 0);
	assert_int_equal(s.ok, 3);
	assert_int_equal(s.calls, 3);
	assert_true(s.last_ok_real_ns > 0);
	ask_done(&c[3]);
	ask_free(&a);
	w = wire_free(w);
}

static void test_priority(void **state)
{
	static const int priority[] = { 0, 5, -5, 0 };
	static struct ask_call c[4];
	char request[256];
	struct infer *i;

	(void)state;
	new_with(1, 10, &i);
	wire_add(w, (struct wire_answer){
			    .bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				     "Connection: close\r\n\r\n" ANSWER,
			    .gate = true,
			    .then = WIRE_CLOSE });
	for (int k = 0; k < 4; k++) {
		struct infer_spec s = { .priority = priority[k] };

		snprintf(request, sizeof(request),
			 "{\"endpoint\":\"chat\",\"model\":\"m%d\"," HI "}", k);
		assert_int_equal(ask_begin(&a, &c[k], request, &s), 0);
	}
	wire_open(w);
	for (int k = 0; k < 4; k++) {
		ask_await(&c[k]);
		ask_done(&c[k]);
	}
	assert_non_null(strstr(wire_body(w, 0), "\"m0\""));
	assert_non_null(strstr(wire_body(w, 1), "\"m2\""));
	assert_non_null(strstr(wire_body(w, 2), "\"m3\""));
	assert_non_null(strstr(wire_body(w, 3), "\"m1\""));
	ask_free(&a);
	w = wire_free(w);
}

static void test_concurrency_is_kept(void **state)
{
	enum { N = 200 };
	struct ask_call *c = calloc(N, sizeof(*c));
	struct infer *i;

	(void)state;
	new_with(8, 1000, &i);
	wire_add_sse(w, ANSWER, true, WIRE_KEEP);
	for (int k = 0; k < N; k++)
		assert_int_equal(ask_begin(&a, &c[k], NULL, NULL), 0);
	for (int k = 0; k < N; k++) {
		ask_await(&c[k]);
		assert_non_null(c[k].answer);
		ask_done(&c[k]);
	}
	assert_true(wire_most(w) <= 8);
	assert_true(wire_connections(w) <= 8);
	ask_free(&a);
	w = wire_free(w);
	free(c);
}

/* A call in its pause lets others pass; one that was told to slow down does not. */
static void test_pause_and_places(void **state)
{
	static struct ask_call c[2];
	struct infer *i;

	(void)state;
	new_with(1, 10, &i);
	a.config.limits.backoff_ms = 60000;
	a.config.limits.backoff_max_ms = 60000;
	a.config.limits.timeout_s = 0;
	wire_add_json(w, 503, NULL, "{}");
	wire_add_sse(w, ANSWER, true, WIRE_KEEP);
	assert_int_equal(ask_begin(&a, &c[0], NULL, NULL), 0);
	assert_int_equal(ask(&a, &c[1], NULL), 0);
	assert_int_equal(c[0].restarts, 1);
	infer_cancel(i, c[0].call);
	ask_await(&c[0]);
	assert_int_equal(c[0].err.code, ECANCELED);
	ask_done(&c[0]);
	ask_done(&c[1]);
	ask_free(&a);
	w = wire_free(w);
}

/* ---- ends ---- */

static void test_cancel(void **state)
{
	struct infer_status s;

	(void)state;
	begin("openai");
	wire_add(w, (struct wire_answer){ .bytes = OK_HEAD CHUNK, .then = WIRE_HANG });
	assert_int_equal(ask_begin(&a, &call, NULL, NULL), 0);
	ask_await_text(&call, 4);
	infer_cancel(a.infer, call.call);
	ask_await(&call);
	assert_int_equal(call.err.code, ECANCELED);
	assert_int_equal(call.ended, 1);
	assert_int_equal(infer_status(a.infer, "openai", &s), 0);
	assert_int_equal(s.in_flight, 0);
	assert_int_equal(s.failed, 0);
	assert_string_equal(s.last_error, "");
	end();
}

static void test_stop_ends_everything(void **state)
{
	static struct ask_call c[5];
	struct infer *i;

	(void)state;
	new_with(2, 10, &i);
	wire_add(w, (struct wire_answer){ .bytes = OK_HEAD CHUNK, .then = WIRE_HANG });
	for (int k = 0; k < 5; k++)
		assert_int_equal(ask_begin(&a, &c[k], NULL, NULL), 0);
	ask_await_text(&c[0], 4);
	infer_cancel(i, c[0].call); /* its task may come after the end */
	ask_free(&a);
	for (int k = 0; k < 5; k++) {
		assert_int_equal(c[k].ended, 1);
		assert_true(c[k].err.code == ESHUTDOWN || (k == 0 && c[k].err.code == ECANCELED));
		ask_done(&c[k]);
	}
	w = wire_free(w);
}

/* By chance: calls that succeed, fail, are cancelled at any moment; each ends exactly once. */
static void test_cancelled_at_any_moment(void **state)
{
	enum { N = 300 };
	struct ask_call *c = calloc(N, sizeof(*c));
	struct infer *i;

	(void)state;
	srand(11);
	new_with(4, 1000, &i);
	wire_add_json(w, 503, NULL, "{}");
	wire_add_sse(w, CHUNK, false, WIRE_RESET);
	wire_add_sse(w, ANSWER, true, WIRE_KEEP);
	for (int k = 0; k < N; k++) {
		assert_int_equal(ask_begin(&a, &c[k], NULL, NULL), 0);
		if (rand() % 3 == 0) {
			int at = rand() % (k + 1);

			pthread_mutex_lock(
				&c[at].lock); /* as the contract wants it: own lock, own flag */
			if (!c[at].ended)
				infer_cancel(i, c[at].call);
			pthread_mutex_unlock(&c[at].lock);
		}
	}
	for (int k = 0; k < N; k++)
		ask_await(&c[k]);
	ask_free(&a);
	for (int k = 0; k < N; k++) {
		assert_int_equal(c[k].ended, 1);
		assert_true(c[k].answer || c[k].err.code == ECANCELED ||
			    c[k].err.code == EREMOTEIO);
		ask_done(&c[k]);
	}
	w = wire_free(w);
	free(c);
}

/* ---- asking about backends ---- */

static void test_ready(void **state)
{
	struct backend_config two[2] = { ask_config("openai", "http://127.0.0.1:1"),
					 ask_config("echo", NULL) };
	struct infer_options o = { .backends = two, .n_backends = 2, .queue_max = 10 };
	struct infer_status s;
	struct infer *i;
	struct err e;

	(void)state;
	free(two[0].at.key);
	two[0].at.key = NULL;
	two[0].at.key_hint = strdup("set OPENAI_API_KEY");
	assert_int_equal(infer_new(&o, &i, &e), 0);
	assert_int_equal(infer_ready(i, "openai", &e), -ENOKEY);
	assert_non_null(strstr(e.message, "OPENAI_API_KEY"));
	assert_string_equal(e.backend, "openai");
	assert_int_equal(infer_ready(i, "opnai", &e), -ENXIO);
	assert_non_null(strstr(e.message, "openai"));
	assert_int_equal(infer_ready(i, "zzzzzzzzz", NULL), -ENXIO);
	assert_int_equal(infer_ready(i, "echo", &e), 0);
	assert_ptr_equal(infer_find(i, "echo"), &two[1]);
	assert_null(infer_find(i, "nobody"));
	assert_int_equal(infer_status(i, "nobody", &s), -ENXIO);
	assert_int_equal(infer_status(i, "openai", &s), 0);
	assert_false(s.has_key);
	assert_null(infer_stop(i));
	assert_null(infer_stop(NULL));
	ask_config_done(&two[0]);
	ask_config_done(&two[1]);
}

static void test_own_headers(void **state)
{
	char h1[] = "authorization: Basic abc", h2[] = "X-Org: mine";
	char *headers[] = { h1, h2, NULL };
	struct infer_options o = { .backends = &a.config, .n_backends = 1, .queue_max = 10 };

	(void)state;
	w = wire_new();
	memset(&a, 0, sizeof(a));
	a.config = ask_config("openai", wire_url(w));
	a.config.at.headers = headers;
	assert_int_equal(infer_new(&o, &a.infer, NULL), 0);
	wire_add_sse(w, ANSWER, true, WIRE_KEEP);
	assert_int_equal(ask(&a, &call, NULL), 0);
	assert_non_null(strstr(wire_request(w, 0), "authorization: Basic abc\r\n"));
	assert_non_null(strstr(wire_request(w, 0), "X-Org: mine\r\n"));
	assert_null(strstr(wire_request(w, 0), "Bearer"));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_errno_table),
		cmocka_unit_test(test_types_of_answers),
		cmocka_unit_test(test_faults_of_the_wire),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_way_there),
		cmocka_unit_test(test_no_user_info_in_sentences),
		cmocka_unit_test(test_extra_body_cannot_break_a_type),
		cmocka_unit_test(test_late_then_plain_failure_is_final),
		cmocka_unit_test(test_retry_after_past_the_deadline),
		cmocka_unit_test(test_server_says_whether),
		cmocka_unit_test(test_time_is_over),
		cmocka_unit_test(test_deadline_passed_before_sending),
		cmocka_unit_test(test_deadline_in_the_queue),
		cmocka_unit_test(test_queue_full),
		cmocka_unit_test(test_gets_there_after_failures),
		cmocka_unit_test(test_broken_stream_begins_anew),
		cmocka_unit_test(test_retry_after_is_waited_for),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_concurrency_is_kept),
		cmocka_unit_test(test_pause_and_places),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_stop_ends_everything),
		cmocka_unit_test(test_cancelled_at_any_moment),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_own_headers),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
