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
#include "infer/embedding.h"
#include "infer/failure.h"
#include "infer/reading.h"
#include "infer/toolcall.h"

#include "base/banned.h"

void *dialect_new(const struct backend_config *c, struct answer *const *a, unsigned n,
		  const struct backend_sink *s)
{
	struct reading_set *set = calloc(1, sizeof(*set));

	if (set && reading_set_init(set, c, a, n, s)) {
		free(set);
		set = NULL;
	}
	return set;
}

void dialect_free(void *reply)
{
	struct reading_set *s = reply;

	if (!s)
		return;
	reading_set_done(s);
	free(s);
}

/* ---- text ---- */

/* {"type":"thinking","thinking":[{"type":"text","text":".."}]}, or a string there */
static void add_thinking(struct reading *r, const json_t *thinking)
{
	const json_t *part;
	size_t i;

	reading_add(r, &r->answer->reasoning, thinking);
	json_array_foreach(thinking, i, part) {
		reading_add(r, &r->answer->reasoning, json_object_get(part, "text"));
	}
}

/* A string, or chunks where the model reasons. */
static void add_content(struct reading *r, const json_t *content)
{
	const json_t *part;
	size_t i;

	if (json_is_string(content))
		reading_text(r, json_string_value(content), json_string_length(content));
	json_array_foreach(content, i, part) {
		const json_t *text = json_object_get(part, "text");

		if (json_is_string(part))
			text = part;
		if (json_is_string(text))
			reading_text(r, json_string_value(text), json_string_length(text));
		add_thinking(r, json_object_get(part, "thinking"));
		reading_add(r, &r->refusal, json_object_get(part, "refusal"));
	}
}

/* ---- the other parts of a choice ---- */

/* Arrays grow from chunk to chunk, anything else is set. */
static void add_logprobs(struct reading *r, const json_t *piece)
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
			reading_note(r, json_array_extend(old, value) ? -ENOMEM : 0);
		else if (!json_is_null(value) || !old)
			reading_note(r, json_object_set(*all, name, value) ? -ENOMEM : 0);
	}
	reading_note(r, *all ? 0 : -ENOMEM);
}

static const struct reading_word reasons[] = {
	{ "stop", "stop" },
	{ "length", "length" },
	{ "tool_calls", "tool_calls" },
	{ "content_filter", "content_filter" },
	{ "model_length", "length" },
	{ "function_call", "tool_calls" },
	{ "error", "error" },
	{ "abort", "error" },
	{ NULL, NULL },
};

/* delta of a stream, message of a whole body; /completions has its text in the choice itself */
static void read_choice(struct reading *r, const json_t *choice)
{
	const json_t *m = json_object_get(choice, "delta");

	if (!json_is_object(m))
		m = json_object_get(choice, "message");
	add_content(r, json_object_get(m, "content"));
	if (json_is_string(json_object_get(choice, "text")))
		add_content(r, json_object_get(choice, "text"));
	if (json_is_string(json_object_get(m, "reasoning")))
		reading_add(r, &r->answer->reasoning, json_object_get(m, "reasoning"));
	else
		reading_add(r, &r->answer->reasoning, json_object_get(m, "reasoning_content"));
	reading_add(r, &r->refusal, json_object_get(m, "refusal"));
	reading_note(r, toolcall_merge(&r->answer->tool_calls, json_object_get(m, "tool_calls")));
	add_logprobs(r, json_object_get(choice, "logprobs"));
	reading_reason(r, reasons, json_object_get(choice, "finish_reason"));
}

/* A server that gives all its choices one index streams them one after the other: what follows a finished one is
 * another, and has no place. */
static struct reading *route(struct reading_set *s, const json_t *choice)
{
	struct reading *r = reading_set_route(s, json_object_get(choice, "index"));

	return r && s->n > 1 && r->answer->finish_reason ? NULL : r;
}

static void read_choices(struct reading_set *s, const json_t *choices)
{
	const json_t *choice;
	size_t i;

	json_array_foreach(choices, i, choice) {
		struct reading *to = json_is_object(choice) ? route(s, choice) : NULL;

		if (!to)
			continue;
		to->began = true;
		read_choice(to, choice);
	}
}

/* ---- facts of the whole answer ---- */

/* Later numbers replace earlier ones: some servers send running totals with every chunk. */
static void read_usage(struct answer_usage *u, const json_t *usage)
{
	const json_t *in = json_object_get(usage, "prompt_tokens_details");
	const json_t *out = json_object_get(usage, "completion_tokens_details");

	if (!json_is_object(in))
		in = json_object_get(usage, "prompt_token_details");
	reading_number(&u->input, json_object_get(usage, "prompt_tokens"));
	reading_number(&u->output, json_object_get(usage, "completion_tokens"));
	reading_number(&u->cached_input, json_object_get(usage, "num_cached_tokens"));
	reading_number(&u->cached_input, json_object_get(in, "cached_tokens"));
	reading_number(&u->cache_write, json_object_get(in, "cache_write_tokens"));
	reading_number(&u->reasoning, json_object_get(out, "reasoning_tokens"));
}

int dialect_finish_one(struct reading *r, struct err *e)
{
	int rc = reading_end(r, e);

	reading_note(r, toolcall_finish(r->answer->tool_calls));
	return rc ? rc : reading_sizes(r, e);
}

int dialect_finish(struct reading_set *s, struct err *e)
{
	int rc = reading_set_end(s, e);

	for (unsigned i = 0; i < s->n; i++)
		reading_note(&s->v[i], toolcall_finish(s->v[i].answer->tool_calls));
	return rc ? rc : reading_set_sizes(s, e);
}

bool dialect_is_done(const char *data, size_t len)
{
	while (len && isspace((unsigned char)*data)) {
		data++;
		len--;
	}
	while (len && isspace((unsigned char)data[len - 1]))
		len--;
	return len == 6 && memcmp(data, "[DONE]", 6) == 0;
}

static bool is(const json_t *o, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text && strcmp(text, value) == 0;
}

/* Four ways to say it: the event's name, a member `error`, an object of that name (old vLLM) or type. */
bool dialect_is_error(const char *name, const json_t *o)
{
	const json_t *error = json_object_get(o, "error");

	return strcmp(name, "error") == 0 || (error && !json_is_null(error)) ||
	       is(o, "object", "error") || is(o, "type", "error");
}

/* A list without choices is one of vectors; an empty one too, so that it is refused as such. */
static bool has_vectors(const json_t *o, bool whole)
{
	return whole && json_is_array(json_object_get(o, "data")) && !json_object_get(o, "choices");
}

int dialect_object(struct reading_set *s, const char *name, const json_t *o, bool whole,
		   struct err *e)
{
	struct reading *first = &s->v[0];
	int rc = 0;

	if (dialect_is_error(name, o))
		return failure_event(first->config, o, e);
	reading_set_next(s);
	reading_once(first, &first->answer->model, json_object_get(o, "model"));
	reading_once(first, &first->answer->provider_request_id, json_object_get(o, "id"));
	read_usage(&first->answer->usage, json_object_get(o, "usage"));
	if (has_vectors(o, whole))
		rc = embedding_items(first, json_object_get(o, "data"), e);
	else
		read_choices(s, json_object_get(o, "choices"));
	if (!rc)
		rc = whole ? dialect_finish(s, e) : reading_set_sizes(s, e);
	return rc ? rc : whole;
}

int dialect_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		  struct err *e)
{
	struct reading_set *s = reply;
	json_t *o;
	int rc;

	if (!whole && dialect_is_done(data, len)) {
		rc = dialect_finish(s, e);
		return rc ? rc : 1;
	}
	o = reading_object(&s->v[0], data, len, e);
	if (!o)
		return -err_errno(ERR_PROTOCOL);
	rc = dialect_object(s, name, o, whole, e);
	json_decref(o);
	return rc;
}

int dialect_end(void *reply, struct err *e)
{
	const struct reading_set *s = reply;
	bool began = false;

	for (unsigned i = 0; i < s->n; i++)
		began |= s->v[i].began;
	return err_set(e, ERR_PROVIDER, "%s ended the connection before the end of its answer%s",
		       s->v[0].config->name, began ? "" : " and had given nothing of it");
}
