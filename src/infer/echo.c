/*
 * infer/echo.c - the backend that needs no model: it repeats the last user message
 *
 * A token is a word with the white space before it. Two equal requests give equal bytes.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "core/key.h"
#include "infer/registry.h"
#include "infer/toolcall.h"

#include "base/banned.h"

enum { DIMENSIONS = 16, DIMENSIONS_MAX = 65536, NUMBERS_MAX = 1 << 22 };

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* White space, then the word; what is left of white space at the end belongs to the last word. */
static size_t token(const char *text, size_t n)
{
	size_t i = 0, rest;

	while (i < n && is_space(text[i]))
		i++;
	while (i < n && !is_space(text[i]))
		i++;
	rest = i;
	while (rest < n && is_space(text[rest]))
		rest++;
	return rest == n ? n : i;
}

static int64_t count_tokens(const char *text, size_t n)
{
	int64_t count = 0;

	for (size_t at = 0; at < n; at += token(text + at, n - at))
		count++;
	return count;
}

/* Calls see for each text of a message: its content, or the text parts of it. */
static void each_text(const json_t *message, void (*see)(void *arg, const char *p, size_t n),
		      void *arg)
{
	const json_t *content = json_object_get(message, "content"), *part;
	size_t i;

	if (json_is_string(content))
		see(arg, json_string_value(content), json_string_length(content));
	json_array_foreach(content, i, part) {
		const json_t *text = json_object_get(part, "text");

		if (json_is_string(text))
			see(arg, json_string_value(text), json_string_length(text));
	}
}

static void see_count(void *arg, const char *p, size_t n)
{
	*(int64_t *)arg += count_tokens(p, n);
}

static void see_append(void *arg, const char *p, size_t n)
{
	(void)buf_add(arg, p, n); /* looked at once, in answer() */
}

static int64_t input_tokens(const json_t *effective)
{
	static const char *const plain[] = { "prompt", "suffix", "input", NULL };
	const json_t *messages = json_object_get(effective, "messages"), *m;
	int64_t sum = 0;
	size_t i;

	json_array_foreach(messages, i, m) {
		each_text(m, see_count, &sum);
	}
	for (const char *const *name = plain; *name; name++) {
		const json_t *v = json_object_get(effective, *name), *one;

		if (json_is_string(v))
			see_count(&sum, json_string_value(v), json_string_length(v));
		json_array_foreach(v, i, one) {
			see_count(&sum, json_string_value(one), json_string_length(one));
		}
	}
	return sum;
}

static void last_user_text(const json_t *effective, struct buf *out)
{
	const json_t *messages = json_object_get(effective, "messages");
	const json_t *prompt = json_object_get(effective, "prompt");
	const json_t *suffix = json_object_get(effective, "suffix");

	if (json_is_string(prompt))
		see_append(out, json_string_value(prompt), json_string_length(prompt));
	if (json_is_string(suffix)) {
		see_append(out, "|", 1); /* the gap */
		see_append(out, json_string_value(suffix), json_string_length(suffix));
	}
	for (size_t i = json_array_size(messages); i-- > 0;) {
		const json_t *m = json_array_get(messages, i);
		const char *role = json_string_value(json_object_get(m, "role"));

		if (!role || strcmp(role, "user") != 0)
			continue;
		each_text(m, see_append, out);
		return;
	}
}

/* So that every failure can be had without a network, by the name that users see. */
static int wanted_error(const struct backend_config *c, const json_t *extra, struct err *e)
{
	const char *name = json_string_value(json_object_get(extra, "error"));
	enum err_kind kind = name ? err_by_name(name) : ERR_NONE;

	if (!name)
		return 0;
	if (kind == ERR_NONE)
		return err_field(
			e, ERR_REQUEST, "extra_body.error",
			"%s: extra_body.error: \"%s\" is no errno that a request can fail with",
			c->name, name);
	(void)err_set(e, kind, "%s: extra_body.error asked for %s", c->name, name);
	if (e)
		(void)str_copy(e->backend, sizeof(e->backend), c->name); /* cut is fine */
	return -err_errno(kind);
}

/* As if a provider had sent it; tests of raw.json need no network either. */
static int raw_body(struct answer *a)
{
	json_t *raw = json_pack("{s:s, s:s#, s:s, s:{s:I, s:I}, s:O*, s:O*}", "object", "echo",
				"text", buf_str(&a->text), (int)a->text.len, "finish_reason",
				a->finish_reason, "usage", "input_tokens",
				(json_int_t)a->usage.input, "output_tokens",
				(json_int_t)a->usage.output, "tool_calls", a->tool_calls,
				"embedding", a->embedding);
	AUTO_FREE char *text = raw ? json_dumps(raw, JSON_COMPACT) : NULL;

	json_decref(raw);
	return text ? buf_adds(&a->raw, text) : -ENOMEM;
}

/* ---- embeddings ---- */

/* Numbers that depend on every byte of the text and on nothing else, at length 1 as models give them. */
static json_t *vector_of(const char *text, size_t n, size_t dimensions)
{
	json_t *list = json_array();
	double square = 0, length;
	struct key k;

	for (size_t i = 0; i < dimensions && list; i++) {
		uint32_t block = (uint32_t)(i / KEY_BYTES);
		double x;

		if (i % KEY_BYTES == 0 && key_of2(&block, sizeof(block), text, n, &k))
			break;
		x = k.b[i % KEY_BYTES] - 127.5;
		square += x * x;
		(void)json_array_append_new(list, json_real(x)); /* counted below */
	}
	length = sqrt(square);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *x = json_array_get(list, i);

		(void)json_real_set(x, json_real_value(x) / length); /* never 0: no byte is 127.5 */
	}
	return list;
}

static int fill_vectors(const json_t *effective, struct answer *a)
{
	const json_t *input = json_object_get(effective, "input");
	json_int_t want = json_integer_value(json_object_get(effective, "dimensions"));
	size_t dimensions = want > 0 ? (size_t)want : DIMENSIONS;
	size_t n = json_is_array(input) ? json_array_size(input) : 1;

	a->embedding = json_array();
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_is_array(input) ? json_array_get(input, i) : input;
		json_t *v = vector_of(json_string_value(one), json_string_length(one), dimensions);

		if (json_array_size(v) != dimensions || json_array_append(a->embedding, v)) {
			json_decref(v);
			return -ENOMEM;
		}
		json_decref(v);
	}
	return 0;
}

/* The index makes samples of one request differ, as a model's would. */
static int fill(const json_t *effective, uint32_t index, struct answer *a)
{
	const json_t *extra = json_object_get(effective, "extra_body");
	const json_t *text = json_object_get(extra, "text");
	const char *model = json_string_value(json_object_get(effective, "model"));
	const char *reason = json_string_value(json_object_get(extra, "finish_reason"));
	const char *endpoint = json_string_value(json_object_get(effective, "endpoint"));

	if (endpoint && strcmp(endpoint, "embedding") == 0) {
		int rc = fill_vectors(effective, a);

		if (rc)
			return rc;
	} else if (json_is_string(text)) {
		see_append(&a->text, json_string_value(text), json_string_length(text));
	} else if (!a->tool_calls) {
		(void)buf_adds(&a->text, "You said: "); /* looked at below */
		last_user_text(effective, &a->text);
		if (index)
			(void)buf_addf(&a->text, " (%u)", index);
	}
	if (a->text.failed)
		return a->text.failed;
	a->finish_reason = strdup(reason ? reason : a->tool_calls ? "tool_calls" : "stop");
	a->model = strdup(model ? model : "echo");
	if (!a->model || !a->finish_reason)
		return -ENOMEM;
	a->usage.input = input_tokens(effective);
	a->usage.output = count_tokens(buf_str(&a->text), a->text.len);
	a->usage.cached_input = a->usage.cache_write = a->usage.reasoning = 0;
	return raw_body(a);
}

/* ---- the answer ---- */

/* What a user asked to be answered with, so that tools can be tried without a model. */
static int fill_wanted(const json_t *extra, struct answer *a)
{
	const json_t *calls = json_object_get(extra, "tool_calls");
	const json_t *reasoning = json_object_get(extra, "reasoning");
	json_t *copy = json_is_array(calls) ? json_deep_copy(calls) : NULL;
	int rc = 0;

	if (json_is_string(reasoning))
		rc = buf_add(&a->reasoning, json_string_value(reasoning),
			     json_string_length(reasoning));
	if (!rc && copy)
		rc = toolcall_merge(&a->tool_calls, copy);
	json_decref(copy);
	return rc ? rc : toolcall_finish(a->tool_calls);
}

static int answer(const struct backend_config *c, const json_t *effective, uint32_t index,
		  struct answer *a, struct backend_pace *out, struct err *e)
{
	const json_t *extra = json_object_get(effective, "extra_body");
	double delay = json_number_value(json_object_get(extra, "delay_ms"));
	double rate = json_number_value(json_object_get(extra, "tokens_per_s"));
	int rc;

	out->delay_ms = delay > 0 ? delay : 0;
	out->tokens_per_s = rate > 0 ? rate : 0;
	rc = wanted_error(c, extra, e);
	if (rc)
		return rc;
	rc = fill_wanted(extra, a);
	if (!rc)
		rc = fill(effective, index, a);
	return rc ? err_set(e, ERR_INTERNAL, "%s: out of memory", c->name) : 0;
}

static int check_number(const struct backend_config *c, const json_t *v, const char *field,
			struct err *e)
{
	if (!v || (json_is_number(v) && json_number_value(v) >= 0 && json_number_value(v) <= 1e9))
		return 0;
	return err_field(e, ERR_REQUEST, field, "%s: %s must be a number from 0 to 1e9", c->name,
			 field);
}

/* Everything is accepted: what has no effect on an echo changes its key and nothing else. */
static int check(const struct backend_config *c, json_t *effective, json_t *dropped, bool lossy,
		 struct err *e)
{
	const json_t *extra = json_object_get(effective, "extra_body");
	const json_t *dimensions = json_object_get(effective, "dimensions");
	int rc;

	(void)dropped;
	(void)lossy;
	if (dimensions && json_integer_value(dimensions) > DIMENSIONS_MAX)
		return err_field(e, ERR_REQUEST, "dimensions", "%s: dimensions must be at most %d",
				 c->name, DIMENSIONS_MAX);
	if (dimensions &&
	    json_integer_value(dimensions) *
			    (json_int_t)json_array_size(json_object_get(effective, "input")) >
		    NUMBERS_MAX)
		return err_field(e, ERR_REQUEST, "dimensions",
				 "%s: dimensions of all inputs together must be at most %d",
				 c->name, NUMBERS_MAX);
	rc = check_number(c, json_object_get(extra, "delay_ms"), "extra_body.delay_ms", e);
	if (rc == 0)
		rc = check_number(c, json_object_get(extra, "tokens_per_s"),
				  "extra_body.tokens_per_s", e);
	return rc;
}

/* Vectors of one text are all the same. */
static unsigned samples_max(const struct backend_config *c, const json_t *effective)
{
	const char *endpoint = json_string_value(json_object_get(effective, "endpoint"));

	(void)c;
	return endpoint && strcmp(endpoint, "embedding") == 0 ? 1 : BACKEND_SAMPLES_MAX;
}

static const struct backend_local echo_local = { .answer = answer, .token = token };

const struct backend_type echo_type = {
	.size = sizeof(struct backend_type),
	.api = BACKEND_API,
	.name = "echo",
	.names_with_slash = false,
	.free_by_default = true,
	.check = check,
	.numbers = { .samples_max = samples_max },
	.local = &echo_local,
};
