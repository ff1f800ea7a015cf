/*
 * infer/echo.c - the backend that needs no model: it repeats the last user message
 *
 * A token is a word with the white space before it. Two equal requests give equal bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/registry.h"

#include "base/banned.h"

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
	const json_t *messages = json_object_get(effective, "messages"), *m;
	const json_t *prompt = json_object_get(effective, "prompt");
	int64_t sum = 0;
	size_t i;

	json_array_foreach(messages, i, m) {
		each_text(m, see_count, &sum);
	}
	if (json_is_string(prompt))
		see_count(&sum, json_string_value(prompt), json_string_length(prompt));
	return sum;
}

static void last_user_text(const json_t *effective, struct buf *out)
{
	const json_t *messages = json_object_get(effective, "messages");
	const json_t *prompt = json_object_get(effective, "prompt");

	if (json_is_string(prompt))
		see_append(out, json_string_value(prompt), json_string_length(prompt));
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
	json_t *raw = json_pack("{s:s, s:s#, s:s, s:{s:I, s:I}}", "object", "echo", "text",
				buf_str(&a->text), (int)a->text.len, "finish_reason",
				a->finish_reason, "usage", "input_tokens",
				(json_int_t)a->usage.input, "output_tokens",
				(json_int_t)a->usage.output);
	AUTO_FREE char *text = raw ? json_dumps(raw, JSON_COMPACT) : NULL;

	json_decref(raw);
	return text ? buf_adds(&a->raw, text) : -ENOMEM;
}

/* The index makes samples of one request differ, as a model's would. */
static int fill(const json_t *effective, uint32_t index, struct answer *a)
{
	const json_t *extra = json_object_get(effective, "extra_body");
	const json_t *text = json_object_get(extra, "text");
	const char *model = json_string_value(json_object_get(effective, "model"));
	const char *reason = json_string_value(json_object_get(extra, "finish_reason"));

	if (json_is_string(text)) {
		see_append(&a->text, json_string_value(text), json_string_length(text));
	} else {
		(void)buf_adds(&a->text, "You said: "); /* looked at below */
		last_user_text(effective, &a->text);
		if (index)
			(void)buf_addf(&a->text, " (%u)", index);
	}
	if (a->text.failed)
		return a->text.failed;
	a->finish_reason = strdup(reason ? reason : "stop");
	a->model = strdup(model ? model : "echo");
	if (!a->model || !a->finish_reason)
		return -ENOMEM;
	a->usage.input = input_tokens(effective);
	a->usage.output = count_tokens(buf_str(&a->text), a->text.len);
	a->usage.cached_input = a->usage.cache_write = a->usage.reasoning = 0;
	return raw_body(a);
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
	const char *endpoint = json_string_value(json_object_get(effective, "endpoint"));
	int rc;

	(void)dropped;
	(void)lossy;
	if (endpoint && strcmp(endpoint, "chat") != 0 && strcmp(endpoint, "completion") != 0)
		return err_field(e, ERR_UNSUPPORTED, "endpoint", "%s has no %s endpoint", c->name,
				 endpoint);
	rc = check_number(c, json_object_get(extra, "delay_ms"), "extra_body.delay_ms", e);
	if (rc == 0)
		rc = check_number(c, json_object_get(extra, "tokens_per_s"),
				  "extra_body.tokens_per_s", e);
	return rc;
}

static const struct backend_local echo_local = { .answer = answer, .token = token };

const struct backend_type echo_type = {
	.size = sizeof(struct backend_type),
	.api = BACKEND_API,
	.name = "echo",
	.names_with_slash = false,
	.free_by_default = true,
	.check = check,
	.local = &echo_local,
};
