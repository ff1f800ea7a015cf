/*
 * tests/lib/reply.c - requests that a backend writes and answers that it reads, without a network
 */
#include "reply.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "core/canon.h"
#include "net/sse.h"

/* ---- requests ---- */

json_t *reply_json(const char *text)
{
	char *copy = strdup(text);
	json_error_t e;
	json_t *o;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	o = json_loads(copy, JSON_DECODE_ANY, &e);
	if (!o)
		fail_msg("%s: %s", e.text, copy);
	free(copy);
	return o;
}

static char *canonical(const json_t *o)
{
	struct buf b = BUF_INIT(1 << 20);

	assert_int_equal(canon_write(o, &b), 0);
	return buf_steal(&b, NULL);
}

static void same_json(const char *got, const char *want)
{
	json_t *o = reply_json(want);
	char *text = canonical(o);

	assert_string_equal(got, text);
	free(text);
	json_decref(o);
}

static void built(const struct backend_config *c, const char *request, const char *images,
		  struct backend_body *out)
{
	json_t *o = reply_json(request), *pictures = images ? reply_json(images) : NULL;
	char *before = canonical(o), *after;
	struct err e;

	memset(out, 0, sizeof(*out));
	if (c->type->check(c, o, NULL, false, &e))
		fail_msg("%s: %s", request, e.message);
	if (c->type->build(c, &(struct backend_ask){ o, pictures, 1 }, out, &e))
		fail_msg("%s: %s", request, e.message);
	after = canonical(o);
	assert_string_equal(before, after); /* the effective request is only read */
	free(before);
	free(after);
	json_decref(o);
	json_decref(pictures);
}

void reply_sends(const struct backend_config *c, const char *request, const char *path,
		 const char *body)
{
	struct backend_body out;

	built(c, request, NULL, &out);
	assert_string_equal(out.path, path);
	same_json(buf_str(&out.body), body);
	buf_done(&out.body);
}

void reply_sends_images(const struct backend_config *c, const char *request, const char *images,
			const char *body)
{
	struct backend_body out;
	json_t *o;
	struct err e;

	built(c, request, images, &out);
	same_json(buf_str(&out.body), body);
	buf_done(&out.body);
	if (!images)
		return;
	o = reply_json(request);
	memset(&out, 0, sizeof(out));
	assert_int_equal(c->type->build(c, &(struct backend_ask){ o, NULL, 1 }, &out, &e),
			 -EIO); /* their bytes are gone */
	buf_done(&out.body);
	json_decref(o);
}

void reply_header(const struct backend_config *c, const char *request, const char *header)
{
	struct backend_body out;

	built(c, request, NULL, &out);
	assert_string_equal(out.header, header);
	buf_done(&out.body);
}

void reply_refuses(const struct backend_config *c, const char *request, const char *field,
		   const char *left)
{
	json_t *o = reply_json(request), *dropped = json_array();
	char *text;
	struct err e = { 0 };
	int rc = c->type->check(c, o, NULL, false, &e);

	if (rc != -EOPNOTSUPP || strcmp(e.field, field) != 0)
		fail_msg("%s: %d, field %s: %s", request, rc, e.field, e.message);
	assert_string_equal(e.backend, c->name);
	assert_non_null(strstr(e.message, c->name));
	assert_non_null(strstr(e.message, field));
	if (c->type->check(c, o, dropped, true, &e))
		fail_msg("%s: lossy: %s", request, e.message);
	assert_int_equal(json_array_size(dropped), 1);
	assert_string_equal(json_string_value(json_array_get(dropped, 0)), field);
	if (c->type->check(c, o, NULL, false, &e))
		fail_msg("%s: dropped, and still: %s", request, e.message);
	text = canonical(o);
	if (left && !strstr(text, left))
		fail_msg("%s is not in %s", left, text);
	free(text);
	json_decref(o);
	json_decref(dropped);
}

void reply_invalid(const struct backend_config *c, const char *request, int code, const char *field)
{
	json_t *o = reply_json(request), *dropped = json_array();
	struct err e = { 0 };

	assert_int_equal(c->type->check(c, o, NULL, false, &e), -code);
	assert_string_equal(e.field, field);
	assert_non_null(strstr(e.message, c->name));
	assert_int_equal(c->type->check(c, o, dropped, true, &e), -code);
	json_decref(o);
	json_decref(dropped);
}

/* ---- answers ---- */

struct reader {
	const struct backend_config *c;
	void *reply;
	struct buf streamed;
	struct err err;
	int rc;
};

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct reader *r = arg;

	assert_int_equal(choice, 0);
	assert_int_equal(buf_add(&r->streamed, p, n), 0);
}

static int on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct reader *r = arg;

	r->rc = r->c->type->event(r->reply, name, data, len, false, &r->err);
	return r->rc;
}

static void begin(struct reader *r, const struct backend_config *c, struct answer *a)
{
	struct backend_sink sink = { .text = on_text, .arg = r };

	memset(r, 0, sizeof(*r));
	buf_init(&r->streamed, 1 << 20);
	r->c = c;
	r->reply = c->type->reply_new(c, &a, 1, &sink);
	assert_non_null(r->reply);
}

static struct reply end(struct reader *r, struct answer *a, bool complete)
{
	struct reply out = { .answer = a, .err = r->err };

	r->c->type->reply_free(r->reply);
	if (complete) {
		assert_non_null(a->finish_reason);
		assert_string_equal(buf_str(&r->streamed), buf_str(&a->text));
	} else {
		assert_true(out.err.code > 0 && out.err.message[0]);
		answer_free(a);
		out.answer = NULL;
	}
	out.streamed = strdup(buf_str(&r->streamed));
	buf_done(&r->streamed);
	return out;
}

struct reply reply_stream(const struct backend_config *c, const char *bytes, size_t n, size_t piece)
{
	struct answer *a = answer_new();
	struct reader r;
	struct sse sse;

	begin(&r, c, a);
	sse_init(&sse, 1 << 20);
	for (size_t at = 0; at < n && r.rc == 0;) {
		size_t some = piece && piece < n - at ? piece : n - at;

		(void)sse_feed(&sse, bytes + at, some, on_event, &r);
		at += some;
	}
	if (r.rc == 0)
		(void)sse_finish(&sse, on_event, &r);
	if (r.rc == 0)
		r.rc = c->type->end(r.reply, &r.err) == 0 ? 1 : -1;
	sse_done(&sse);
	return end(&r, a, r.rc == 1);
}

struct reply reply_whole(const struct backend_config *c, const char *text)
{
	struct answer *a = answer_new();
	struct reader r;

	begin(&r, c, a);
	r.rc = c->type->event(r.reply, "", text, strlen(text), true, &r.err);
	return end(&r, a, r.rc == 1);
}

void reply_done(struct reply *r)
{
	answer_free(r->answer);
	free(r->streamed);
	memset(r, 0, sizeof(*r));
}

void reply_equal(const struct reply *a, const struct reply *b)
{
	json_t *one, *two;

	assert_non_null(a->answer);
	assert_non_null(b->answer);
	one = answer_sample(a->answer, "b", "c");
	two = answer_sample(b->answer, "b", "c");
	if (!json_equal(one, two))
		fail_msg("%s\n%s", json_dumps(one, JSON_SORT_KEYS),
			 json_dumps(two, JSON_SORT_KEYS));
	json_decref(one);
	json_decref(two);
}

/* One after the other, so that a failure tells where the bytes were cut. */
void reply_cut(const struct backend_config *c, const char *events)
{
	size_t n = strlen(events);
	struct reply whole = reply_stream(c, events, n, 0), part;

	if (!whole.answer)
		fail_msg("%s", whole.err.message);
	for (size_t piece = 1; piece < 40; piece++) {
		part = reply_stream(c, events, n, piece);
		reply_equal(&part, &whole);
		reply_done(&part);
	}
	reply_done(&whole);
	for (size_t at = 0; at + 3 < n; at++) {
		const char *rest = events + at;

		/* after the last event's JSON only its line ends are missing: that is whole */
		if (!strpbrk(rest, "{}"))
			break;
		part = reply_stream(c, events, at, 0);
		if (part.answer)
			fail_msg("cut at byte %zu of %zu it is an answer: ...%s", at, n, rest);
		reply_done(&part);
	}
}

void reply_tool_calls(const struct reply *r, const char *json)
{
	json_t *want = reply_json(json);

	assert_non_null(r->answer);
	if (!json_equal(want, r->answer->tool_calls))
		fail_msg("%s", json_dumps(r->answer->tool_calls, JSON_SORT_KEYS));
	json_decref(want);
}

void reply_usage(const struct reply *r, const int64_t want[5])
{
	const struct answer_usage *u = &r->answer->usage;

	assert_int_equal(u->input, want[0]);
	assert_int_equal(u->cached_input, want[1]);
	assert_int_equal(u->cache_write, want[2]);
	assert_int_equal(u->output, want[3]);
	assert_int_equal(u->reasoning, want[4]);
}
