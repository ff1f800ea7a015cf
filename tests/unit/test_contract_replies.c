/*
 * The answers of every dialect, whole and streamed, however the bytes are split and wherever they end
 *
 * tests/data/contract/replies.json has what the protocol pages say a server answers: of each reply a `stream` (an object is an
 * event, a string is lines as they are), a `whole` body, or both, which then must mean the same. What it means is in
 * samples.json, as the store would keep it, or the error it is; and under "what every dialect says" what must be the
 * same everywhere. Every stream is read in pieces of all kinds, with LF and CRLF, and cut at every byte: short of its
 * end it is never an answer.
 *
 *   test_contract_replies           the tests
 *   test_contract_replies --write   makes samples.json and wire.json anew; read the difference before you commit it
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "contract.h"
#include "core/answer.h"
#include "net/ndjson.h"
#include "net/sse.h"
#include "wire.h"
#include "wire_ask.h"

#define TEXT_MAX (4u << 20)
#define SEED	 20261121u

/* a sanitizer makes every step ten times as long */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEP = 13 };
#else
enum { STEP = 1 };
#endif
enum { RANDOM_ROUNDS = 12, ROW_NAME_MAX = 160 };

static json_t *replies, *common;
static struct contract_book samples, wires;

/* one reply of one dialect */
struct row {
	char name[ROW_NAME_MAX];
	const struct contract_dialect *dialect;
	const char *reply;
};

/* ---- bytes ---- */

/* An object is an event; where it has a type the event is called so, as Anthropic and /responses do it. */
static void add_event(struct buf *b, const json_t *event, bool lines, const char *eol)
{
	const char *type = json_string_value(json_object_get(event, "type"));
	char *text = json_dumps(event, JSON_COMPACT);

	if (lines)
		(void)buf_addf(b, "%s%s", text, eol);
	else if (type)
		(void)buf_addf(b, "event: %s%sdata: %s%s%s", type, eol, text, eol, eol);
	else
		(void)buf_addf(b, "data: %s%s%s", text, eol, eol);
	free(text);
}

static void add_lines(struct buf *b, const char *text, bool lines, const char *eol)
{
	for (; *text; text++)
		(void)(*text == '\n' ? buf_adds(b, eol) : buf_addc(b, *text));
	(void)buf_addf(b, "%s%s", eol, lines ? "" : eol);
}

/* ends: where each event ends */
static struct buf bytes_of(const json_t *stream, bool lines, const char *eol, size_t *ends)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	const json_t *event;
	size_t i;

	json_array_foreach(stream, i, event) {
		if (json_is_object(event))
			add_event(&b, event, lines, eol);
		else
			add_lines(&b, json_string_value(event), lines, eol);
		if (ends)
			ends[i] = b.len;
	}
	assert_int_equal(b.failed, 0);
	return b;
}

/* ---- reading ---- */

struct reader {
	const struct backend_config *config;
	void *reply;
	struct answer *answer;
	struct sse sse;
	struct ndjson lines;
	struct buf shown;
	struct err err;
	int rc;
	bool is_lines;
};

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct reader *r = arg;

	assert_int_equal(choice, 0);
	assert_int_equal(buf_add(&r->shown, p, n), 0);
}

static int on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct reader *r = arg;

	r->rc = r->config->type->event(r->reply, name, data, len, false, &r->err);
	return r->rc;
}

static int on_line(void *arg, const char *line, size_t len)
{
	return on_event(arg, "", line, len);
}

static void begin(struct reader *r, const struct backend_config *c)
{
	struct backend_sink sink = { on_text, r };

	memset(r, 0, sizeof(*r));
	r->config = c;
	r->answer = answer_new();
	r->reply = c->type->reply_new(c, &r->answer, 1, &sink);
	r->is_lines = c->type->framing == BACKEND_NDJSON;
	assert_non_null(r->reply);
	buf_init(&r->shown, TEXT_MAX);
	sse_init(&r->sse, SSE_EVENT_MAX);
	ndjson_init(&r->lines, SSE_EVENT_MAX);
}

static void feed(struct reader *r, const char *p, size_t n)
{
	if (r->rc)
		return;
	if (r->is_lines)
		(void)ndjson_feed(&r->lines, p, n, on_line, r);
	else
		(void)sse_feed(&r->sse, p, n, on_event, r);
}

/* The body ended. */
static void close_body(struct reader *r)
{
	if (!r->rc)
		(void)(r->is_lines ? ndjson_finish(&r->lines, on_line, r)
				   : sse_finish(&r->sse, on_event, r));
	if (!r->rc)
		r->rc = r->config->type->end(r->reply, &r->err) ? -1 : 1;
}

static bool is_error_end(const struct answer *a)
{
	return a->finish_reason && strcmp(a->finish_reason, "error") == 0;
}

/* The sample as it is stored, or {"error", ..}: an answer that ends in error is failed by the front. */
static json_t *finish(struct reader *r)
{
	json_t *o;

	r->config->type->reply_free(r->reply);
	if (r->rc < 0) {
		assert_true(r->err.code > 0 && r->err.message[0]);
		o = json_pack("{s:s, s:s}", "error", err_name(r->err.code), "message",
			      r->err.message);
	} else if (is_error_end(r->answer)) {
		o = json_pack("{s:s, s:s*}", "error", err_name(EREMOTEIO), "message",
			      r->answer->refusal);
	} else {
		assert_string_equal(buf_str(&r->shown), buf_str(&r->answer->text));
		o = answer_sample(r->answer, r->config->name, "call");
	}
	assert_non_null(o);
	answer_free(r->answer);
	sse_done(&r->sse);
	ndjson_done(&r->lines);
	buf_done(&r->shown);
	return o;
}

static bool failed(const json_t *sample)
{
	return json_object_get(sample, "error") != NULL;
}

static json_t *read_first(const struct backend_config *c, const struct buf *b, size_t n)
{
	struct reader r;

	begin(&r, c);
	feed(&r, b->data, n);
	close_body(&r);
	return finish(&r);
}

static json_t *read_whole(const struct backend_config *c, const char *text, size_t n)
{
	struct reader r;

	begin(&r, c);
	r.rc = c->type->event(r.reply, "", text, n, true, &r.err);
	return finish(&r);
}

/* the next number of a sequence that is the same in every run */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* most 1: byte by byte; else pieces of 1 to most bytes */
static json_t *read_pieces(const struct backend_config *c, const struct buf *b, size_t most,
			   uint32_t *state)
{
	struct reader r;

	begin(&r, c);
	for (size_t at = 0, n; at < b->len; at += n) {
		n = most == 1 ? 1 : 1 + next_random(state) % most;
		n = n < b->len - at ? n : b->len - at;
		feed(&r, b->data + at, n);
	}
	close_body(&r);
	return finish(&r);
}

/* ---- what is demanded of a stream ---- */

/* 0 and 0.0 are one number, in JSON as in what is kept of it */
static bool alike(const json_t *a, const json_t *b)
{
	char *one = contract_text(a), *two = contract_text(b);
	bool equal = strcmp(one, two) == 0;

	free(one);
	free(two);
	return equal;
}

static void same(const struct row *row, const char *how, const json_t *want, json_t *take_got)
{
	if (!alike(want, take_got))
		fail_msg("%s, %s:\n%s\ninstead of\n%s", row->name, how, contract_text(take_got),
			 contract_text(want));
	json_decref(take_got);
}

static void splits(const struct row *row, const struct backend_config *c, const json_t *stream,
		   const json_t *want)
{
	static const char *const eols[] = { "\n", "\r\n" };
	bool lines = c->type->framing == BACKEND_NDJSON;
	uint32_t state = SEED;

	for (size_t i = 0; i < 2; i++) {
		struct buf b = bytes_of(stream, lines, eols[i], NULL);

		same(row, eols[i][0] == '\r' ? "CRLF" : "LF", want, read_first(c, &b, b.len));
		same(row, "byte by byte", want, read_pieces(c, &b, 1, &state));
		for (size_t k = 0; k < RANDOM_ROUNDS; k++)
			same(row, "at random", want,
			     read_pieces(c, &b, (size_t)3 << (k % 8), &state));
		buf_done(&b);
	}
}

/* After the last event's own bytes only its line ends are missing: then it is whole. */
static size_t needed(const struct buf *b)
{
	size_t n = b->len;

	while (n && strchr("\r\n", b->data[n - 1]))
		n--;
	return n;
}

static void cuts(const struct row *row, const struct backend_config *c, const json_t *stream)
{
	bool lines = c->type->framing == BACKEND_NDJSON;
	size_t *ends = calloc(json_array_size(stream), sizeof(*ends)), next = 0;
	struct buf b = bytes_of(stream, lines, "\n", ends);

	for (size_t at = 0; at < needed(&b); at++) {
		json_t *o;

		if (at % STEP && at != ends[next])
			continue;
		o = read_first(c, &b, at);
		if (!failed(o))
			fail_msg("%s: an answer from the first %zu of %zu bytes (%s): %s",
				 row->name, at, b.len, at == ends[next] ? "whole events" : "cut",
				 contract_text(o));
		next += at == ends[next];
		json_decref(o);
	}
	assert_true(next + 1 == json_array_size(stream));
	buf_done(&b);
	free(ends);
}

/* ---- what is demanded of what it means ---- */

static void expect_calls(const char *name, const json_t *want, const json_t *calls)
{
	const json_t *pair;
	size_t i;

	if (json_array_size(want) != json_array_size(calls))
		fail_msg("%s: %zu tool calls", name, json_array_size(calls));
	json_array_foreach(want, i, pair) {
		const json_t *call = json_array_get(calls, i);
		const json_t *f = json_object_get(call, "function");
		json_t *arguments =
			json_loads(json_string_value(json_object_get(f, "arguments")), 0, NULL);

		assert_true(json_string_length(json_object_get(call, "id")) > 0);
		if (!json_equal(json_object_get(f, "name"), json_array_get(pair, 0)) ||
		    !json_equal(arguments, json_array_get(pair, 1)))
			fail_msg("%s: tool call %zu is %s", name, i, contract_text(call));
		json_decref(arguments);
	}
}

static void expect_logprobs(const char *name, const json_t *want, const json_t *odds)
{
	const json_t *list = json_object_get(odds, "content"), *pair;
	size_t i;

	assert_int_equal(json_array_size(list), json_array_size(want));
	json_array_foreach(want, i, pair) {
		const json_t *one = json_array_get(list, i);

		if (!json_equal(json_object_get(one, "token"), json_array_get(pair, 0)) ||
		    !json_equal(json_object_get(one, "logprob"), json_array_get(pair, 1)) ||
		    !json_array_size(json_object_get(one, "top_logprobs")))
			fail_msg("%s: logprob %zu is %s", name, i, contract_text(one));
	}
}

static void expect_part(const char *name, const char *part, const json_t *want, const json_t *got)
{
	const json_t *now = json_object_get(got, part), *member;
	const char *inner;

	if (strcmp(part, "usage") == 0) {
		json_object_foreach((json_t *)(uintptr_t)want, inner, member) {
			expect_part(name, inner, member, now);
		}
	} else if (!now || !alike(want, now)) {
		fail_msg("%s: %s is %s", name, part, now ? contract_text(now) : "not there");
	}
}

/* written by hand, and the same for all: what the file of samples only repeats is demanded here */
static void expect_common(const struct row *row, const json_t *sample)
{
	const json_t *want = json_object_get(common, row->reply);
	const char *part;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)want, part, v) {
		if (strcmp(part, "calls") == 0)
			expect_calls(row->name, v, json_object_get(sample, "tool_calls"));
		else if (strcmp(part, "logprob") == 0)
			expect_logprobs(row->name, v, json_object_get(sample, "logprobs"));
		else if (strcmp(part, "error") == 0)
			assert_true(failed(sample));
		else
			expect_part(row->name, part, v, sample);
	}
	if (!json_object_get(want, "error"))
		assert_true(!want || !failed(sample));
}

static char *whole_text(const json_t *whole)
{
	return json_is_string(whole) ? strdup(json_string_value(whole))
				     : json_dumps(whole, JSON_COMPACT);
}

/* Whole and streamed say the same, but for what only one of them has. */
static json_t *check_whole(const struct row *row, const struct backend_config *c,
			   const json_t *whole, json_t *take_streamed)
{
	char *text = whole_text(whole);
	size_t len = strlen(text);
	json_t *o = read_whole(c, text, len);

	/* errors are worded by where they are met */
	if (take_streamed && failed(take_streamed) && failed(o))
		json_decref(take_streamed);
	else if (take_streamed)
		same(row, "streamed", o, take_streamed);
	for (size_t at = 0; json_is_object(whole) && at < len; at += 1 + len / 64) {
		json_t *cut = read_whole(c, text, at);

		assert_true(failed(cut));
		json_decref(cut);
	}
	free(text);
	return o;
}

static void test_reply(void **state)
{
	const struct row *row = *state;
	const struct backend_config c = contract_config(row->dialect);
	const json_t *entry =
		json_object_get(json_object_get(replies, row->dialect->name), row->reply);
	const json_t *stream = json_object_get(entry, "stream");
	const json_t *whole = json_object_get(entry, "whole");
	json_t *sample = NULL;

	assert_true(stream || whole);
	if (stream) {
		struct buf b = bytes_of(stream, c.type->framing == BACKEND_NDJSON, "\n", NULL);

		sample = read_first(&c, &b, b.len);
		splits(row, &c, stream, sample);
		cuts(row, &c, stream);
		buf_done(&b);
	}
	if (whole)
		sample = check_whole(row, &c, whole, sample);
	expect_common(row, sample);
	contract_check(&samples, row->dialect->name, row->reply, sample);
}

/* ---- what else is sent: over the wire, with the key and every header ---- */

static json_t *headers_of(const char *request)
{
	static const char *const others[] = { "host", "content-length", "user-agent", NULL };
	json_t *o = json_object();

	for (const char *line = strstr(request, "\r\n") + 2; *line != '\r';
	     line = strstr(line, "\r\n") + 2) {
		size_t name = strcspn(line, ":"), end = strcspn(line, "\r");
		char *lower = strndup(line, name);
		bool mine = true;

		for (char *p = lower; *p; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		for (const char *const *h = others; *h; h++)
			mine = mine && strcmp(*h, lower) != 0;
		if (mine)
			json_object_set_new(o, lower,
					    json_stringn(line + name + 2, end - name - 2));
		free(lower);
	}
	return o;
}

static const char *path_of_url(const char *url)
{
	const char *slash = strchr(strstr(url, "://") + 3, '/');

	return slash ? slash : "";
}

static struct backend_config wired(const struct contract_dialect *d, const struct wire *w)
{
	char url[160];
	struct backend_config c;

	snprintf(url, sizeof(url), "%s%s", wire_url(w), path_of_url(d->url));
	c = ask_config(d->type, url);
	c.dialect = d->dialect;
	c.at.default_url = d->default_url;
	free(c.name);
	c.name = strdup(d->name);
	return c;
}

static void reply_on(struct wire *w, const struct backend_config *c, const json_t *stream)
{
	bool lines = c->type->framing == BACKEND_NDJSON;
	struct buf b = bytes_of(stream, lines, "\n", NULL);

	if (lines)
		wire_add_typed(w, 200, "application/x-ndjson", buf_str(&b), WIRE_CLOSE);
	else
		wire_add_sse(w, buf_str(&b), true, WIRE_CLOSE);
	buf_done(&b);
}

static void one_wire(const struct contract_dialect *d, const char *name, const char *more,
		     const char *key_from)
{
	const json_t *entry = json_object_get(json_object_get(replies, d->name), "text");
	struct wire *w = wire_new();
	struct backend_config c = wired(d, w);
	struct ask a;
	struct ask_call call;
	char request[512];
	const char *sent;
	json_t *want;

	c.at.key_from = (char *)(uintptr_t)key_from;
	reply_on(w, &c, json_object_get(entry, "stream"));
	snprintf(request, sizeof(request),
		 "{\"format\":1,\"backend\":\"%s\",\"endpoint\":\"chat\",\"model\":\"%s\","
		 "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]%s}",
		 d->name, d->model, more);
	ask_new(&a, c);
	if (ask(&a, &call, request))
		fail_msg("%s: %s", d->name, call.err.message);
	/* through sockets and threads it is what it was without them */
	want = json_object_get(json_object_get(samples.got, d->name), "text");
	same(&(struct row){ .name = "over the wire" }, d->name, want,
	     answer_sample(call.answer, d->name, "call"));
	sent = wire_request(w, 0);
	contract_check(&wires, name, "request", json_stringn(sent, strcspn(sent, "\r")));
	contract_check(&wires, name, "headers", headers_of(sent));
	ask_done(&call);
	ask_free(&a);
	wire_free(w);
}

static void test_wire(void **state)
{
	(void)state;
	for (size_t i = 0; i < contract_dialects_n; i++) {
		const struct contract_dialect *d = &contract_dialects[i];

		one_wire(d, d->name, "", NULL);
		if (strcmp(d->type, "anthropic") != 0)
			continue;
		one_wire(d, "anthropic that samples", ",\"temperature\":0", NULL);
		one_wire(d, "anthropic with a token", "", "ANTHROPIC_AUTH_TOKEN");
	}
}

static void test_no_strays(void **state)
{
	(void)state;
	assert_int_equal(contract_close(&samples) + contract_close(&wires), 0);
}

/* ---- the program ---- */

static size_t add_rows(struct CMUnitTest *tests, const struct contract_dialect *d)
{
	json_t *entries = json_object_get(replies, d->name), *entry;
	const char *reply;
	size_t n = 0;

	assert_true(json_object_size(entries) > 0);
	json_object_foreach(entries, reply, entry) {
		struct row *row = calloc(1, sizeof(*row));

		snprintf(row->name, sizeof(row->name), "%s: %s", d->name, reply);
		row->dialect = d;
		row->reply = reply;
		tests[n++] = (struct CMUnitTest){ .name = row->name,
						  .test_func = test_reply,
						  .initial_state = row };
	}
	return n;
}

static int run(void)
{
	size_t max = 2, n = 0;
	struct CMUnitTest *tests;
	int rc;

	for (size_t i = 0; i < contract_dialects_n; i++)
		max += json_object_size(json_object_get(replies, contract_dialects[i].name));
	tests = calloc(max, sizeof(*tests));
	for (size_t i = 0; i < contract_dialects_n; i++)
		n += add_rows(tests + n, &contract_dialects[i]);
	tests[n++] =
		(struct CMUnitTest){ .name = "headers, over the wire", .test_func = test_wire };
	tests[n++] = (struct CMUnitTest){ .name = "every expectation is asked for",
					  .test_func = test_no_strays };
	rc = _cmocka_run_group_tests("contract_replies", tests, n, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		free(tests[i].initial_state);
	free(tests);
	return rc;
}

int main(int argc, char **argv)
{
	bool write = argc == 2 && strcmp(argv[1], "--write") == 0;
	int rc;

	if (argc > 1 && !write) {
		fprintf(stderr, "usage: %s [--write]\n", argv[0]);
		return 2;
	}
	replies = contract_json(CONTRACT_DATA "replies.json");
	common = json_object_get(replies, "what every dialect says");
	contract_open(&samples, "samples", write);
	contract_open(&wires, "wire", write);
	rc = run();
	json_decref(replies);
	return rc;
}
