/*
 * infer/dialect.c - reading an answer of the OpenAI family
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/dialect.h"
#include "infer/failure.h"
#include "infer/toolcall.h"

#include "base/banned.h"

enum { REASON_MAX = 64, ID_MAX = 256, DEPTH_MAX = 64 };
#define REFUSAL_MAX (1u << 20)

struct reply {
	const struct backend_config *config;
	struct answer *answer;
	struct backend_sink sink;
	struct buf refusal;
	bool saw_choice; /* the answer's own */
	int rc;		 /* first failure of memory or size while an event is read */
};

void *dialect_new(const struct backend_config *c, struct answer *a, const struct backend_sink *s)
{
	struct reply *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->config = c;
	r->answer = a;
	if (s)
		r->sink = *s;
	buf_init(&r->refusal, REFUSAL_MAX);
	return r;
}

void dialect_free(void *reply)
{
	struct reply *r = reply;

	if (!r)
		return;
	buf_done(&r->refusal);
	free(r);
}

/* Deep in a chunk nothing can be returned; the first failure is looked at when the event is
 * over. */
static void note(struct reply *r, int rc)
{
	if (rc && !r->rc)
		r->rc = rc;
}

/* ---- text ---- */

/* What could not be kept is not shown either: the stream and the final text are the same bytes. */
static void add_text(struct reply *r, const char *p, size_t n)
{
	int rc = n ? buf_add(&r->answer->text, p, n) : 0;

	note(r, rc);
	if (n && !rc && r->sink.text)
		r->sink.text(r->sink.arg, p, n);
}

static void add_to(struct reply *r, struct buf *b, const json_t *v)
{
	if (json_is_string(v))
		note(r, buf_add(b, json_string_value(v), json_string_length(v)));
}

/* {"type":"thinking","thinking":[{"type":"text","text":".."}]}, or a string there */
static void add_thinking(struct reply *r, const json_t *thinking)
{
	const json_t *part;
	size_t i;

	add_to(r, &r->answer->reasoning, thinking);
	json_array_foreach(thinking, i, part) {
		add_to(r, &r->answer->reasoning, json_object_get(part, "text"));
	}
}

/* A string, or chunks where the model reasons. */
static void add_content(struct reply *r, const json_t *content)
{
	const json_t *part;
	size_t i;

	if (json_is_string(content))
		add_text(r, json_string_value(content), json_string_length(content));
	json_array_foreach(content, i, part) {
		const json_t *text = json_object_get(part, "text");

		if (json_is_string(part))
			text = part;
		if (json_is_string(text))
			add_text(r, json_string_value(text), json_string_length(text));
		add_thinking(r, json_object_get(part, "thinking"));
		add_to(r, &r->refusal, json_object_get(part, "refusal"));
	}
}

/* ---- the other parts of a choice ---- */

/* Arrays grow from chunk to chunk, anything else is set. */
static void add_logprobs(struct reply *r, const json_t *piece)
{
	json_t **all = &r->answer->logprobs, *old, *value;
	const char *name;

	if (!json_is_object(piece))
		return;
	if (!*all)
		*all = json_object();
	json_object_foreach((json_t *)(uintptr_t)piece, name, value) {
		old = json_object_get(*all, name);
		if (json_is_array(old) && json_is_array(value))
			note(r, json_array_extend(old, value) ? -ENOMEM : 0);
		else if (!json_is_null(value) || !old)
			note(r, json_object_set(*all, name, value) ? -ENOMEM : 0);
	}
	note(r, *all ? 0 : -ENOMEM);
}

/* An open list: what is not in it goes through as other:VALUE. */
static const char *known_reason(const char *value)
{
	static const char *const map[][2] = {
		{ "stop", "stop" },
		{ "length", "length" },
		{ "tool_calls", "tool_calls" },
		{ "content_filter", "content_filter" },
		{ "model_length", "length" },
		{ "function_call", "tool_calls" },
		{ "error", "error" },
		{ "abort", "error" },
	};

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (strcmp(map[i][0], value) == 0)
			return map[i][1];
	return NULL;
}

static void set_reason(struct reply *r, const json_t *v)
{
	char other[REASON_MAX] = "other:", clean[REASON_MAX - 8];
	const char *value = json_string_value(v), *known;

	if (!value)
		return;
	known = known_reason(value);
	if (!known) {
		failure_text(clean, sizeof(clean), value, json_string_length(v));
		for (char *c = clean; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		(void)str_copy(other + 6, sizeof(other) - 6, clean); /* fits */
		known = other;
	}
	free(r->answer->finish_reason);
	r->answer->finish_reason = strdup(known);
	note(r, r->answer->finish_reason ? 0 : -ENOMEM);
}

/* delta of a stream, message of a whole body; /completions has its text in the choice itself */
static void read_choice(struct reply *r, const json_t *choice)
{
	const json_t *m = json_object_get(choice, "delta");

	if (!json_is_object(m))
		m = json_object_get(choice, "message");
	add_content(r, json_object_get(m, "content"));
	if (json_is_string(json_object_get(choice, "text")))
		add_content(r, json_object_get(choice, "text"));
	if (json_is_string(json_object_get(m, "reasoning")))
		add_to(r, &r->answer->reasoning, json_object_get(m, "reasoning"));
	else
		add_to(r, &r->answer->reasoning, json_object_get(m, "reasoning_content"));
	add_to(r, &r->refusal, json_object_get(m, "refusal"));
	note(r, toolcall_merge(&r->answer->tool_calls, json_object_get(m, "tool_calls")));
	add_logprobs(r, json_object_get(choice, "logprobs"));
	set_reason(r, json_object_get(choice, "finish_reason"));
}

/* The reply that a choice belongs to; NULL: nobody wants it. One sample is bought at a time here. */
static struct reply *route(struct reply *r, const json_t *choice)
{
	const json_t *index = json_object_get(choice, "index");

	return json_is_integer(index) && json_integer_value(index) != 0 ? NULL : r;
}

static void read_choices(struct reply *r, const json_t *choices)
{
	const json_t *choice;
	size_t i;

	json_array_foreach(choices, i, choice) {
		struct reply *to = json_is_object(choice) ? route(r, choice) : NULL;

		if (!to)
			continue;
		to->saw_choice = true;
		read_choice(to, choice);
	}
}

/* ---- facts of the whole answer ---- */

static void set_number(int64_t *out, const json_t *v)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0)
		*out = json_integer_value(v);
}

/* Later numbers replace earlier ones: some servers send running totals with every chunk. */
static void read_usage(struct answer_usage *u, const json_t *usage)
{
	const json_t *in = json_object_get(usage, "prompt_tokens_details");
	const json_t *out = json_object_get(usage, "completion_tokens_details");

	if (!json_is_object(in))
		in = json_object_get(usage, "prompt_token_details");
	set_number(&u->input, json_object_get(usage, "prompt_tokens"));
	set_number(&u->output, json_object_get(usage, "completion_tokens"));
	set_number(&u->cached_input, json_object_get(usage, "num_cached_tokens"));
	set_number(&u->cached_input, json_object_get(in, "cached_tokens"));
	set_number(&u->cache_write, json_object_get(in, "cache_write_tokens"));
	set_number(&u->reasoning, json_object_get(out, "reasoning_tokens"));
}

/* The first chunk names model and id; later ones repeat them or leave them out. */
static void set_once(struct reply *r, char **out, const json_t *v)
{
	char text[ID_MAX];

	if (*out || !json_is_string(v) || !json_string_length(v))
		return;
	failure_text(text, sizeof(text), json_string_value(v), json_string_length(v));
	*out = strdup(text);
	note(r, *out ? 0 : -ENOMEM);
}

/* A refusal is the answer's text when there is no other, and the model said it as a filter would. */
static int finish(struct reply *r, struct err *e)
{
	struct answer *a = r->answer;

	if (!r->saw_choice)
		return err_set(e, ERR_PROTOCOL, "%s ended its answer without giving one",
			       r->config->name);
	if (r->refusal.len) {
		if (!a->text.len)
			add_text(r, r->refusal.data, r->refusal.len);
		a->refusal = buf_steal(&r->refusal, NULL);
		free(a->finish_reason);
		a->finish_reason = strdup("content_filter");
	} else if (!a->finish_reason) {
		a->finish_reason = strdup("other:unknown");
	}
	note(r, a->finish_reason ? 0 : -ENOMEM);
	note(r, toolcall_finish(a->tool_calls));
	return 0;
}

static int unreadable(const struct reply *r, const char *data, size_t len, struct err *e)
{
	char sample[96];

	failure_text(sample, sizeof(sample), data, len);
	return err_set(e, ERR_PROTOCOL, "%s answered something that is no plain JSON object: %s",
		       r->config->name, sample);
}

static bool is_done(const char *data, size_t len)
{
	while (len && isspace((unsigned char)*data)) {
		data++;
		len--;
	}
	while (len && isspace((unsigned char)data[len - 1]))
		len--;
	return len == 6 && memcmp(data, "[DONE]", 6) == 0;
}

/* Three ways to say it: the event's name, a member `error`, an object of that type (old vLLM). */
static bool is_error(const char *name, const json_t *o)
{
	const json_t *error = json_object_get(o, "error");
	const char *object = json_string_value(json_object_get(o, "object"));

	return strcmp(name, "error") == 0 || (error && !json_is_null(error)) ||
	       (object && strcmp(object, "error") == 0);
}

static int read_object(struct reply *r, const char *name, const json_t *o, struct err *e)
{
	if (is_error(name, o))
		return failure_event(r->config, o, e);
	set_once(r, &r->answer->model, json_object_get(o, "model"));
	set_once(r, &r->answer->provider_request_id, json_object_get(o, "id"));
	read_choices(r, json_object_get(o, "choices"));
	read_usage(&r->answer->usage, json_object_get(o, "usage"));
	return 0;
}

static int check_sizes(const struct reply *r, struct err *e)
{
	if (!r->rc)
		return 0;
	if (r->rc == -EFBIG)
		return err_set(e, ERR_PROTOCOL,
			       "the answer of %s is larger than this program accepts",
			       r->config->name);
	return err_set(e, ERR_INTERNAL, "no memory for the answer of %s", r->config->name);
}

/* Parts of it are stored inside another object: nested to a parser's limit it could not be read again. */
static bool too_deep(const json_t *v, unsigned left)
{
	const char *name;
	json_t *member;
	size_t i;

	if (!json_is_object(v) && !json_is_array(v))
		return false;
	if (left == 0)
		return true;
	json_array_foreach(v, i, member) {
		if (too_deep(member, left - 1))
			return true;
	}
	json_object_foreach((json_t *)(uintptr_t)v, name, member) {
		if (too_deep(member, left - 1))
			return true;
	}
	return false;
}

int dialect_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		  struct err *e)
{
	struct reply *r = reply;
	json_t *o;
	int rc;

	if (!whole && is_done(data, len)) {
		rc = finish(r, e);
		if (!rc)
			rc = check_sizes(r, e);
		return rc ? rc : 1;
	}
	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		data += 3;
		len -= 3;
	}
	o = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(o) || too_deep(o, DEPTH_MAX)) {
		json_decref(o);
		return unreadable(r, data, len, e);
	}
	rc = read_object(r, name, o, e);
	json_decref(o);
	if (!rc && whole)
		rc = finish(r, e);
	if (!rc)
		rc = check_sizes(r, e);
	return rc ? rc : whole;
}

int dialect_end(void *reply, struct err *e)
{
	const struct reply *r = reply;

	return err_set(e, ERR_PROVIDER, "%s ended the connection before the end of its answer%s",
		       r->config->name, r->saw_choice ? "" : " and had given nothing of it");
}
