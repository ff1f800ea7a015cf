/*
 * infer/openai_items.c - OpenAI's /responses: what comes back
 *
 * Pieces are passed on as they come; everything else is taken from the finished items. Those are in the last
 * event, and were in events of their own before: some servers leave one of the two empty.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "infer/dialect.h"
#include "infer/failure.h"
#include "infer/openai_items.h"
#include "infer/toolcall.h"

#include "base/banned.h"

enum { ITEMS_MAX = 4096 };

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

static bool is(const json_t *o, const char *name, const char *value)
{
	return strcmp(text_of(o, name), value) == 0;
}

bool openai_items_is(const json_t *o)
{
	return str_starts(text_of(o, "type"), "response.") || is(o, "object", "response");
}

void openai_items_done(struct openai_items *s)
{
	json_decref(s->items);
	s->items = NULL;
}

/* ---- finished items ---- */

static void add_logprobs(struct reading *r, json_t *odds)
{
	json_t **all = &r->answer->logprobs;

	if (!json_array_size(odds))
		return;
	if (!*all)
		*all = json_pack("{s:[]}", "content");
	reading_note(r, json_array_extend(json_object_get(*all, "content"), odds) ? -ENOMEM : 0);
}

static void read_message(struct reading *r, const struct openai_items *s, const json_t *item)
{
	const json_t *part;
	size_t i;

	json_array_foreach(json_object_get(item, "content"), i, part) {
		const json_t *text = json_object_get(part, "text");

		if (!s->deltas && is(part, "type", "output_text") && json_is_string(text))
			reading_text(r, json_string_value(text), json_string_length(text));
		add_logprobs(r, json_object_get(part, "logprobs"));
		reading_add(r, &r->refusal, json_object_get(part, "refusal"));
	}
}

/* Paragraphs of the summary; open models show the reasoning itself. */
static void read_thoughts(struct reading *r, const json_t *list)
{
	const json_t *part;
	size_t i;

	json_array_foreach(list, i, part) {
		if (r->answer->reasoning.len)
			reading_note(r, buf_adds(&r->answer->reasoning, "\n\n"));
		reading_add(r, &r->answer->reasoning, json_object_get(part, "text"));
	}
}

static void read_call(struct reading *r, const json_t *item)
{
	json_t *pieces = json_pack("[{s:O*, s:{s:O*, s:O*}}]", "id",
				   json_object_get(item, "call_id"), "function", "name",
				   json_object_get(item, "name"), "arguments",
				   json_object_get(item, "arguments"));

	reading_note(r, pieces ? toolcall_merge(&r->answer->tool_calls, pieces) : -ENOMEM);
	json_decref(pieces);
}

/* Reasoning has no place in our form of a message but beside its calls. */
static void keep_reasoning(struct reading *r, json_t *thoughts)
{
	json_t *first = json_array_get(r->answer->tool_calls, 0);

	if (!first || !json_array_size(thoughts))
		return;
	reading_note(r, json_object_set_new(first, "extra_content",
					    json_pack("{s:{s:O}}", "openai", "reasoning", thoughts))
				? -ENOMEM
				: 0);
}

static void read_items(struct reading *r, const struct openai_items *s, const json_t *items)
{
	json_t *thoughts = json_array(), *item;
	size_t i;

	json_array_foreach(items, i, item) {
		if (is(item, "type", "message")) {
			read_message(r, s, item);
		} else if (is(item, "type", "function_call")) {
			read_call(r, item);
		} else if (is(item, "type", "reasoning")) {
			reading_note(r, json_array_append(thoughts, item) ? -ENOMEM : 0);
			if (!s->thoughts) {
				read_thoughts(r, json_object_get(item, "summary"));
				read_thoughts(r, json_object_get(item, "content"));
			}
		}
	}
	keep_reasoning(r, thoughts);
	json_decref(thoughts);
}

/* ---- the end ---- */

static void read_usage(struct answer_usage *u, const json_t *usage)
{
	const json_t *in = json_object_get(usage, "input_tokens_details");
	const json_t *out = json_object_get(usage, "output_tokens_details");

	reading_number(&u->input, json_object_get(usage, "input_tokens"));
	reading_number(&u->cached_input, json_object_get(in, "cached_tokens"));
	reading_number(&u->cache_write, json_object_get(in, "cache_write_tokens"));
	reading_number(&u->output, json_object_get(usage, "output_tokens"));
	reading_number(&u->reasoning, json_object_get(out, "reasoning_tokens"));
}

static const struct reading_word reasons[] = {
	{ "max_output_tokens", "length" },
	{ "content_filter", "content_filter" },
	{ "stop", "stop" },
	{ "tool_calls", "tool_calls" },
	{ NULL, NULL },
};

static void read_reason(struct reading *r, const json_t *response)
{
	const json_t *why = json_object_get(response, "incomplete_details");
	json_t *word = json_string(json_array_size(r->answer->tool_calls) ? "tool_calls" : "stop");

	if (is(response, "status", "incomplete"))
		reading_reason(r, reasons, json_object_get(why, "reason"));
	else
		reading_reason(r, reasons, word);
	json_decref(word);
}

/* A response that is neither whole nor cut at a limit is no answer, whatever its items are. */
static int finish(struct reading *r, const struct openai_items *s, const json_t *response,
		  struct err *e)
{
	const json_t *items = json_object_get(response, "output");
	const json_t *error = json_object_get(response, "error");
	int rc;

	if (is(response, "status", "failed") || json_is_object(error))
		return failure_event(r->config, response, e);
	if (!is(response, "status", "completed") && !is(response, "status", "incomplete"))
		return err_set(e, ERR_PROVIDER, "%s ended its answer as `%.32s`; try again later",
			       r->config->name, text_of(response, "status"));
	if (!json_array_size(items))
		items = s->items;
	/* a limit may be met before the first word */
	r->began = r->began || s->deltas || json_array_size(items) ||
		   is(response, "status", "incomplete");
	read_items(r, s, items);
	read_reason(r, response);
	rc = dialect_finish_one(r, e);
	return rc ? rc : 1;
}

/* ---- events ---- */

static void add_delta(struct reading *r, struct openai_items *s, const char *type,
		      const json_t *delta)
{
	if (strcmp(type, "response.output_text.delta") == 0 && json_is_string(delta)) {
		s->deltas = true;
		reading_text(r, json_string_value(delta), json_string_length(delta));
	} else if (strcmp(type, "response.reasoning_summary_text.delta") == 0 ||
		   strcmp(type, "response.reasoning_text.delta") == 0) {
		s->thoughts = true;
		reading_add(r, &r->answer->reasoning, delta);
	}
}

static void add_item(struct reading *r, struct openai_items *s, json_t *item)
{
	if (!s->items)
		s->items = json_array();
	if (json_array_size(s->items) >= ITEMS_MAX)
		reading_note(r, -EFBIG);
	else
		reading_note(r, json_array_append(s->items, item) ? -ENOMEM : 0);
}

static void read_event(struct reading *r, struct openai_items *s, const json_t *o)
{
	const char *type = text_of(o, "type");

	add_delta(r, s, type, json_object_get(o, "delta"));
	if (strcmp(type, "response.output_item.done") == 0)
		add_item(r, s, json_object_get(o, "item"));
	else if (strcmp(type, "response.reasoning_summary_part.added") == 0 &&
		 r->answer->reasoning.len)
		reading_note(r, buf_adds(&r->answer->reasoning, "\n\n"));
}

static bool is_last(const char *type)
{
	return strcmp(type, "response.completed") == 0 ||
	       strcmp(type, "response.incomplete") == 0 || strcmp(type, "response.failed") == 0;
}

int openai_items_event(struct reading *r, struct openai_items *s, const json_t *o, struct err *e)
{
	const json_t *response = json_object_get(o, "response");
	bool whole = is(o, "object", "response");

	s->seen = true;
	if (whole)
		response = o;
	reading_once(r, &r->answer->model, json_object_get(response, "model"));
	reading_once(r, &r->answer->provider_request_id, json_object_get(response, "id"));
	read_usage(&r->answer->usage, json_object_get(response, "usage"));
	if (whole || is_last(text_of(o, "type")))
		return finish(r, s, response, e);
	read_event(r, s, o);
	return reading_sizes(r, e);
}
