/*
 * tests/lib/cases.c - rows of backend tests
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "net/ndjson.h"
#include "net/sse.h"

static json_t *parsed(const char *text)
{
	json_error_t at;
	json_t *o = json_loads(text, JSON_DECODE_ANY, &at);

	if (!o)
		fail_msg("%s: %s", at.text, text);
	return o;
}

void cases_json(const json_t *v, const char *text)
{
	char *got = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	json_t *wanted = parsed(text);
	char *want = json_dumps(wanted, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	assert_string_equal(got ? got : "null", want);
	free(got);
	free(want);
	json_decref(wanted);
}

/* ---- requests ---- */

void cases_sends(const struct backend_config *c, const char *request, const char *images,
		 const char *path, const char *body)
{
	json_t *o = parsed(request), *bytes = images ? parsed(images) : NULL;
	struct backend_body out;
	struct err e = { 0 };
	char *before, *after;

	memset(&out, 0, sizeof(out));
	if (c->type->check(c, o, NULL, false, &e))
		fail_msg("%s: %s", request, e.message);
	before = json_dumps(o, JSON_SORT_KEYS);
	if (c->type->build(c, &(struct backend_ask){ o, bytes, 1 }, &out, &e))
		fail_msg("%s: %s", request, e.message);
	after = json_dumps(o, JSON_SORT_KEYS);
	assert_string_equal(before, after);
	assert_string_equal(out.path, path);
	if (body)
		assert_string_equal(buf_str(&out.body), body);
	free(before);
	free(after);
	buf_done(&out.body);
	json_decref(o);
	json_decref(bytes);
}

void cases_becomes(const struct backend_config *c, const char *request, const char *after)
{
	json_t *o = parsed(request);
	struct err e = { 0 };

	if (c->type->check(c, o, NULL, false, &e))
		fail_msg("%s: %s", request, e.message);
	cases_json(o, after);
	json_decref(o);
}

void cases_refuses(const struct backend_config *c, const char *request, const char *field)
{
	json_t *o = parsed(request), *dropped = json_array();
	struct err e = { 0 };
	int rc = c->type->check(c, o, NULL, false, &e);

	if (rc != -EOPNOTSUPP)
		fail_msg("%d instead of a refusal: %s", rc, request);
	assert_string_equal(e.field, field);
	assert_string_equal(e.backend, c->name);
	assert_non_null(strstr(e.message, c->name));
	if (strcmp(field, "endpoint") != 0) {
		assert_int_equal(c->type->check(c, o, dropped, true, &e), 0);
		assert_string_equal(json_string_value(json_array_get(dropped, 0)), field);
		if (c->type->check(c, o, NULL, false, &e))
			fail_msg("%s: still refused: %s", request, e.message);
	}
	json_decref(o);
	json_decref(dropped);
}

void cases_drops(const struct backend_config *c, const char *request, const char *field,
		 const char *after)
{
	json_t *o = parsed(request), *dropped = json_array();

	assert_int_equal(c->type->check(c, o, dropped, true, NULL), 0);
	assert_int_equal(json_array_size(dropped), 1);
	assert_string_equal(json_string_value(json_array_get(dropped, 0)), field);
	cases_json(o, after);
	json_decref(o);
	json_decref(dropped);
}

/* ---- answers ---- */

struct reader {
	const struct backend_type *type;
	void *reply;
	struct err err;
	char text[1 << 16];
	size_t text_len;
	int rc;
	bool failed;
};

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct reader *r = arg;

	assert_int_equal(choice, 0);
	assert_true(r->text_len + n < sizeof(r->text));
	memcpy(r->text + r->text_len, p, n);
	r->text_len += n;
	r->text[r->text_len] = '\0';
}

static int on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct reader *r = arg;

	r->rc = r->type->event(r->reply, name, data, len, false, &r->err);
	r->failed = r->rc < 0;
	return r->rc;
}

static int on_line(void *arg, const char *line, size_t len)
{
	return on_event(arg, "", line, len);
}

static void read_stream(struct reader *r, const char *bytes, size_t n, size_t piece)
{
	struct sse sse;
	struct ndjson lines;
	bool is_lines = r->type->framing == BACKEND_NDJSON;

	sse_init(&sse, SSE_EVENT_MAX);
	ndjson_init(&lines, SSE_EVENT_MAX);
	for (size_t at = 0, k; at < n && r->rc == 0; at += k) {
		k = piece && piece < n - at ? piece : n - at;
		if (is_lines)
			(void)ndjson_feed(&lines, bytes + at, k, on_line, r);
		else
			(void)sse_feed(&sse, bytes + at, k, on_event, r);
	}
	if (r->rc == 0)
		(void)(is_lines ? ndjson_finish(&lines, on_line, r)
				: sse_finish(&sse, on_event, r));
	if (r->rc == 0)
		r->rc = r->type->end(r->reply, &r->err);
	sse_done(&sse);
	ndjson_done(&lines);
}

static int read_n(const struct backend_config *c, const char *bytes, size_t n, bool whole,
		  size_t piece, struct answer **out, struct err *e)
{
	struct reader *r = calloc(1, sizeof(*r));
	struct backend_sink sink = { on_text, r };
	struct answer *a = answer_new();
	int rc;

	r->type = c->type;
	r->reply = c->type->reply_new(c, &a, 1, &sink);
	if (whole)
		r->rc = r->type->event(r->reply, "", bytes, n, true, &r->err);
	else
		read_stream(r, bytes, n, piece);
	rc = r->rc < 0 ? r->rc : 0;
	if (e)
		*e = r->err;
	/* as the front does it */
	if (!rc && a->finish_reason && strcmp(a->finish_reason, "error") == 0)
		rc = -EREMOTEIO;
	if (!rc) /* what was shown while it came is what it is in the end */
		assert_string_equal(r->text, buf_str(&a->text));
	c->type->reply_free(r->reply);
	free(r);
	if (rc)
		a = answer_free(a);
	*out = a;
	return rc;
}

int cases_read(const struct backend_config *c, const char *bytes, bool whole, size_t piece,
	       struct answer **out, struct err *e)
{
	return read_n(c, bytes, strlen(bytes), whole, piece, out, e);
}

/* past the next event's end; NULL: there is none */
static const char *next_event(const struct backend_config *c, const char *at)
{
	const char *mark = c->type->framing == BACKEND_NDJSON ? "\n" : "\n\n";
	const char *end = strstr(at, mark);

	return end ? end + strlen(mark) : NULL;
}

struct answer *cases_stream(const struct backend_config *c, const char *bytes, const char *text)
{
	static const size_t pieces[] = { 1, 2, 7, 0 };
	const char *at = bytes, *next;
	struct answer *a = NULL;
	struct err e = { 0 };

	for (; (next = next_event(c, at)) && *next; at = next) {
		int rc = read_n(c, bytes, (size_t)(next - bytes), false, 0, &a, &e);

		if (rc >= 0)
			fail_msg("an answer from the first %d bytes of %s", (int)(next - bytes),
				 bytes);
	}
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		answer_free(a);
		if (cases_read(c, bytes, false, pieces[i], &a, &e))
			fail_msg("%s: %s", bytes, e.message);
		assert_string_equal(buf_str(&a->text), text);
	}
	return a;
}

void cases_fails(const struct backend_config *c, const char *bytes, bool whole, int code)
{
	struct answer *a;
	struct err e = { 0 };
	int rc = cases_read(c, bytes, whole, 0, &a, &e);

	if (rc != -code)
		fail_msg("%d instead of %d: %s: %s", rc, -code, bytes, e.message);
}

/* ---- errors and models ---- */

void cases_error(const struct backend_config *c, int status, const char *body, int code, bool retry,
		 const char *said)
{
	struct backend_failure f = { .status = status,
				     .body = body,
				     .len = strlen(body),
				     .retry_after_s = -1,
				     .should_retry = -1 };
	struct err e = { 0 };
	bool again = c->type->error(c, &f, &e);

	if (e.code != code || again != retry)
		fail_msg("%d %s: %d, retry %d: %s", status, body, e.code, again, e.message);
	if (!strstr(e.message, said))
		fail_msg("<%s> is not in <%s>", said, e.message);
}

void cases_models(const struct backend_config *c, const char *page, const char *list)
{
	json_t *o = parsed(page), *out = json_array();
	char next[BACKEND_NEXT_MAX] = "x";
	struct err e = { 0 };

	if (c->type->models.read(c, o, out, next, &e))
		fail_msg("%s", e.message);
	assert_string_equal(next, "");
	cases_json(out, list);
	json_decref(o);
	json_decref(out);
}
