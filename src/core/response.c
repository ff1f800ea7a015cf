/*
 * response.c - the files of a response
 *
 * Members keep the order of the format page: people read these files.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/answer.h"
#include "core/canon.h"
#include "core/response.h"
#include "core/vectors.h"

#include "base/banned.h"

/* One line and a newline; takes v, which may be NULL after a failed constructor. */
static int finish(json_t *take_v, struct buf *out)
{
	int rc = canon_write_ordered(take_v, out);

	json_decref(take_v);
	return rc ? rc : buf_addc(out, '\n');
}

/* File names and what a server sent may be in it: bytes that are no UTF-8 become U+FFFD. */
static json_t *clean_text(const char *s)
{
	struct buf b = BUF_INIT((size_t)16 * ERR_MESSAGE_MAX);
	size_t n = strlen(s);
	json_t *v;

	while (n) {
		int step = str_utf8_next(s, n, NULL);

		if (step > 0)
			(void)buf_add(&b, s, (size_t)step); /* b.failed is looked at below */
		else
			(void)buf_adds(&b, "\xEF\xBF\xBD");
		s += step > 0 ? step : 1;
		n -= step > 0 ? (size_t)step : 1;
	}
	v = b.failed == -ENOMEM ? NULL : json_string(buf_str(&b));
	buf_done(&b);
	return v;
}

static json_t *text_or_null(const char *s)
{
	return s ? clean_text(s) : json_null();
}

static json_t *real_or_null(double d)
{
	return d >= 0 && isfinite(d) ? json_real(d) : json_null();
}

/* Clocks count nanoseconds; a person needs microseconds. */
static json_t *ms_or_null(double ms)
{
	return real_or_null(ms < 0 ? ms : round(ms * 1000) / 1000);
}

static json_t *copy_or_null(const json_t *o, const char *name)
{
	json_t *v = json_object_get(o, name);

	return v ? json_incref(v) : json_null();
}

static json_t *key_text(const struct key *k)
{
	char hex[KEY_HEX + 1];

	key_hex(k, hex);
	return json_string(hex);
}

static json_t *time_text(uint64_t real_ns)
{
	char text[32];

	str_iso8601(real_ns, text, sizeof(text));
	return json_string(text);
}

static json_t *list_or_empty(const json_t *list)
{
	return list ? json_incref((json_t *)(uintptr_t)list) : json_array();
}

/* An embedding has no text; its numbers are in a file of their own. */
static int add_embedding(json_t *o, const json_t *packed)
{
	size_t inputs = 0, dimensions = 0;

	if (!o || !packed || json_is_null(packed))
		return 0;
	(void)vectors_shape(packed, &inputs, &dimensions); /* zeros say it is damaged */
	if (json_object_set_new(o, "text", json_null()))
		return -1;
	return json_object_set_new(o, "embedding",
				   json_pack("{s:I, s:I, s:s}", "inputs", (json_int_t)inputs,
					     "dimensions", (json_int_t)dimensions, "file",
					     "embedding.json"));
}

static json_t *element(const struct response_sample *s)
{
	const json_t *o = s->sample;
	json_t *out = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o}", "index",
				(json_int_t)s->index, "text", copy_or_null(o, "text"),
				"finish_reason", copy_or_null(o, "finish_reason"), "tool_calls",
				copy_or_null(o, "tool_calls"), "reasoning",
				copy_or_null(o, "reasoning"), "logprobs",
				copy_or_null(o, "logprobs"), "cached", s->cached, "duplicated",
				s->duplicated, "refusal", copy_or_null(o, "refusal"));

	if (add_embedding(out, json_object_get(o, "embedding"))) {
		json_decref(out);
		return NULL;
	}
	return out;
}

static json_t *elements(const struct response_sample *s, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n && list; i++) {
		if (json_array_append_new(list, element(&s[i]))) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

/* Of the answering model where a sample names it; a provider resolves "latest". */
static json_t *model_of(const struct response_facts *f, const struct response_sample *s, size_t n)
{
	const char *model = n ? json_string_value(json_object_get(s[0].sample, "model")) : NULL;

	return text_or_null(model ? model : f->model);
}

/* What response.json and usage.json tell in the same words: cost, attempts, times. */
static int add_tail(json_t *o, const struct response_facts *f)
{
	const int64_t *t = f->tokens;
	struct answer_usage usage = { t[0], t[1], t[2], t[3], t[4] };
	json_t *tail = json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "usage",
				 answer_usage_json(&usage), "cost_usd", real_or_null(f->cost_usd),
				 "saved_usd", real_or_null(f->saved_usd), "attempts",
				 (json_int_t)f->attempts, "created", time_text(f->created_real_ns),
				 "queue_ms", ms_or_null(f->queue_ms), "first_token_ms",
				 ms_or_null(f->first_token_ms), "total_ms",
				 ms_or_null(f->total_ms));
	int rc = json_object_update(o, tail); /* -1 when either is NULL */

	json_decref(tail);
	return rc;
}

int response_json(const struct response_facts *f, const struct response_sample *s, size_t n,
		  struct buf *out)
{
	json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "status", "done",
			      "request_id", text_or_null(f->request_id), "namespace",
			      text_or_null(f->ns), "key", key_text(&f->key), "backend",
			      text_or_null(f->backend), "model", model_of(f, s, n), "route",
			      text_or_null(f->route), "samples", elements(s, n));

	if (!o || add_tail(o, f) || json_object_set_new(o, "dropped", list_or_empty(f->dropped))) {
		json_decref(o);
		return -ENOMEM;
	}
	return finish(o, out);
}

int response_sample_json(const struct response_sample *s, const struct key *key, struct buf *out)
{
	json_t *o = element(s);

	if (!o || json_object_set_new(o, "key", key_text(key)) ||
	    json_object_set_new(o, "model", copy_or_null(s->sample, "model")) ||
	    json_object_set_new(o, "created", text_or_null(s->created))) {
		json_decref(o);
		return -ENOMEM;
	}
	return finish(o, out);
}

int response_meta_json(const struct response_sample *s, const struct key *key, struct buf *out)
{
	static const char *const copied[] = { "provider", "model",    "finish_reason",
					      "usage",	  "cost_usd", "provider_request_id",
					      "call",	  NULL };
	json_t *o = json_pack("{s:I, s:o, s:o}", "index", (json_int_t)s->index, "key",
			      key_text(key), "created", text_or_null(s->created));
	int rc = o ? 0 : -1;

	for (const char *const *name = copied; *name && !rc; name++)
		rc = json_object_set_new(o, *name, copy_or_null(s->sample, *name));
	if (rc || json_object_set_new(o, "cached", json_boolean(s->cached)) ||
	    json_object_set_new(o, "duplicated", json_boolean(s->duplicated))) {
		json_decref(o);
		return -ENOMEM;
	}
	return finish(o, out);
}

int response_text(const json_t *sample, struct buf *out)
{
	const json_t *v = json_object_get(sample, "text");
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);
	int rc = n ? buf_add(out, s, n) : 0;

	return rc || !n || s[n - 1] == '\n' ? rc : buf_addc(out, '\n');
}

int response_usage_json(const struct response_facts *f, const char *status, struct buf *out)
{
	json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:o}", "status", status, "request_id",
			      text_or_null(f->request_id), "key", key_text(&f->key), "backend",
			      text_or_null(f->backend), "model", text_or_null(f->model));

	if (!o || add_tail(o, f)) {
		json_decref(o);
		return -ENOMEM;
	}
	return finish(o, out);
}

static int add_text(json_t *o, const char *name, const char *s)
{
	return *s ? json_object_set_new(o, name, clean_text(s)) : 0;
}

static int add_count(json_t *o, const char *name, json_int_t n)
{
	return n > 0 ? json_object_set_new(o, name, json_integer(n)) : 0;
}

static int add_known(json_t *o, const struct err *e)
{
	if (add_count(o, "line", e->line) || add_count(o, "column", e->column) ||
	    add_text(o, "field", e->field) || add_text(o, "backend", e->backend) ||
	    add_count(o, "http_status", e->http_status) ||
	    add_text(o, "provider_type", e->provider_type) ||
	    add_text(o, "provider_message", e->provider_message) ||
	    add_count(o, "attempts", e->attempts))
		return -1;
	return e->retry_after_s > 0
		       ? json_object_set_new(o, "retry_after_s", json_real(e->retry_after_s))
		       : 0;
}

int response_error_json(const struct err *e, const char *request_id, struct buf *out)
{
	int code = e->code ? e->code : err_errno(e->kind);
	json_t *o = json_pack("{s:s, s:i, s:s, s:o, s:o}", "errno", err_name(code), "code", code,
			      "category", err_category(e->kind), "message", clean_text(e->message),
			      "request_id", text_or_null(request_id));

	if (!o || add_known(o, e)) {
		json_decref(o);
		return -ENOMEM;
	}
	return finish(o, out);
}
