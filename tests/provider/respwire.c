/* /responses and /infill; see respwire.h. */
#include "respwire.h"

#include <stdlib.h>
#include <string.h>

#include "openwire.h"
#include "script.h"

/* ---- requests ---- */

static int refuse(struct refusal *why, enum why reason, const char *field, const char *text)
{
	*why = (struct refusal){ 400, reason, field, text, NULL, 0 };
	return -1;
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static bool was_called(const json_t *items, const char *id)
{
	size_t i;
	json_t *item;

	json_array_foreach(items, i, item) {
		if (!strcmp(text_of(item, "type"), "function_call") &&
		    !strcmp(text_of(item, "call_id"), id))
			return true;
	}
	return false;
}

/* Nothing is stored, so reasoning must come with its content, and results after their calls. */
static int check_item(const json_t *items, const json_t *item, struct refusal *why)
{
	const char *type = text_of(item, "type");

	if (!strcmp(type, "reasoning") && !json_object_get(item, "encrypted_content"))
		return refuse(why, WHY_VALUE, "input",
			      "item not found: items are not persisted "
			      "when `store` is false");
	if (!strcmp(type, "function_call_output") && !was_called(items, text_of(item, "call_id")))
		return refuse(why, WHY_VALUE, "input", "no tool call found for this output");
	return 0;
}

int respwire_check(const struct ask *ask, struct refusal *why)
{
	static const char *const foreign[] = { "messages",   "max_tokens",
					       "n",	     "stop",
					       "seed",	     "presence_penalty",
					       "logit_bias", "frequency_penalty" };
	const json_t *items = json_object_get(ask->root, "input");
	size_t i;
	json_t *item;

	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (json_object_get(ask->root, foreign[i]))
			return refuse(why, WHY_UNKNOWN, foreign[i], NULL);
	json_array_foreach(json_object_get(ask->root, "tools"), i, item) {
		if (json_object_get(item, "function"))
			return refuse(why, WHY_MISSING, "tools[0].name", NULL);
	}
	json_array_foreach(items, i, item) {
		if (check_item(items, item, why))
			return -1;
	}
	return 0;
}

/* ---- items ---- */

static void add_dump(struct buf *b, const json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_str(b, text ? text : "null");
	free(text);
}

static void get_arguments(const json_t *call, struct buf *out)
{
	const json_t *args = json_object_get(call, "arguments");

	if (json_is_string(args))
		buf_add(out, json_string_value(args), json_string_length(args));
	else if (args)
		add_dump(out, args);
	else
		buf_str(out, "{}");
}

static void add_call(struct buf *b, const struct ask *ask, size_t k)
{
	const json_t *call = json_array_get(plan_tools(ask->plan), k);
	const char *id = json_string_value(json_object_get(call, "id"));
	struct buf args = { 0 };
	char own[32];

	openwire_call_id(own, ask->id, k);
	get_arguments(call, &args);
	buf_fmt(b,
		"{\"type\":\"function_call\",\"id\":\"fc_%zu\",\"status\":\"completed\",\"call_id\":",
		k);
	buf_jstr(b, id ? id : own);
	buf_str(b, ",\"name\":");
	buf_jstr(b, text_of(call, "name"));
	buf_str(b, ",\"arguments\":");
	buf_json(b, args.p, args.len);
	buf_str(b, "}");
	buf_free(&args);
}

/* The text of the reasoning is never shown; its summary only to those who ask for one. */
static void add_reasoning(struct buf *b, const struct ask *ask)
{
	const json_t *wanted = json_object_get(json_object_get(ask->root, "reasoning"), "summary");

	buf_fmt(b, "{\"type\":\"reasoning\",\"id\":\"rs_%llu\",\"summary\":[",
		(unsigned long long)ask->id);
	if (wanted) {
		buf_str(b, "{\"type\":\"summary_text\",\"text\":");
		buf_jstr(b, plan_reasoning(ask->plan));
		buf_str(b, "}");
	}
	buf_str(b, "],\"encrypted_content\":\"gAAAAA==\"}");
}

static void add_part(struct buf *b, const struct ask *ask, bool full)
{
	struct span s = plan_choice(ask->plan, 0)->all;

	buf_str(b, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
	buf_json(b, plan_at(ask->plan, s), full ? s.len : 0);
	buf_str(b, "}");
}

static void add_message(struct buf *b, const struct ask *ask, bool full)
{
	buf_fmt(b,
		"{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"status\":\"%s\",\"content\":[",
		full ? "completed" : "in_progress");
	if (full)
		add_part(b, ask, true);
	buf_str(b, "]}");
}

static bool has_message(const struct ask *ask)
{
	return plan_choice(ask->plan, 0)->all.len || !plan_tools(ask->plan);
}

static void add_items(struct buf *b, const struct ask *ask)
{
	const char *comma = "";

	if (plan_reasoning(ask->plan)) {
		add_reasoning(b, ask);
		comma = ",";
	}
	if (has_message(ask)) {
		buf_str(b, comma);
		add_message(b, ask, true);
		comma = ",";
	}
	for (size_t k = 0; k < json_array_size(plan_tools(ask->plan)); k++) {
		buf_str(b, comma);
		add_call(b, ask, k);
		comma = ",";
	}
}

/* ---- the response around them ---- */

static const char *why_incomplete(const struct ask *ask)
{
	const char *finish = ask->plan->finish;

	return !strcmp(finish, "length")	   ? "max_output_tokens"
	       : !strcmp(finish, "content_filter") ? "content_filter"
						   : NULL;
}

static void add_usage(struct buf *b, const struct ask *ask)
{
	const struct plan *p = ask->plan;
	const json_t *own = plan_usage(p);

	if (json_is_null(own))
		return;
	buf_str(b, ",\"usage\":");
	if (own) {
		add_dump(b, own);
		return;
	}
	buf_fmt(b,
		"{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":%llu,"
		"\"output_tokens_details\":{\"reasoning_tokens\":%llu},\"total_tokens\":%llu}",
		(unsigned long long)p->words_in, (unsigned long long)p->words_out,
		(unsigned long long)p->words_thought,
		(unsigned long long)(p->words_in + p->words_out));
}

static void add_response(struct buf *b, const struct ask *ask, bool done)
{
	const char *cut = why_incomplete(ask);

	buf_fmt(b, "{\"id\":\"resp_%llu\",\"object\":\"response\",\"created_at\":%d,\"model\":",
		(unsigned long long)ask->id, OPENWIRE_CREATED);
	buf_jstr(b, ask->model);
	buf_fmt(b, ",\"status\":\"%s\",\"error\":null,\"incomplete_details\":",
		!done ? "in_progress"
		: cut ? "incomplete"
		      : "completed");
	if (done && cut)
		buf_fmt(b, "{\"reason\":\"%s\"}", cut);
	else
		buf_str(b, "null");
	buf_str(b, ",\"output\":[");
	if (done)
		add_items(b, ask);
	buf_str(b, "]");
	if (done)
		add_usage(b, ask);
	buf_str(b, "}");
}

void respwire_whole(struct buf *b, const struct ask *ask)
{
	add_response(b, ask, true);
}

/* ---- the stream ---- */

static struct buf *begin(struct events *ev, const char *type)
{
	events_begin(ev, type);
	buf_fmt(&ev->b, "{\"type\":\"%s\",\"sequence_number\":%zu", type, ev->count);
	return &ev->b;
}

static void end(struct events *ev, long piece)
{
	buf_str(&ev->b, "}");
	events_end(ev, piece);
}

static bool stream_error(struct events *ev, const struct ask *ask, size_t step)
{
	const struct rule *r = ask->plan->rule;

	if (!r || !r->flow.error_event || r->flow.error_at != (long)step)
		return false;
	events_begin(ev, r->flow.error_name);
	add_dump(&ev->b, r->flow.error_event);
	events_end(ev, (long)step);
	return true;
}

static void stream_opening(struct events *ev, const struct ask *ask)
{
	static const char *const types[] = { "response.created", "response.in_progress" };

	for (size_t i = 0; i < 2; i++) {
		buf_str(begin(ev, types[i]), ",\"response\":");
		add_response(&ev->b, ask, false);
		end(ev, EVENTS_FOLLOWS);
	}
	if (plan_reasoning(ask->plan)) {
		buf_str(begin(ev, "response.output_item.done"), ",\"output_index\":0,\"item\":");
		add_reasoning(&ev->b, ask);
		end(ev, EVENTS_FOLLOWS);
	}
	if (!has_message(ask))
		return;
	buf_str(begin(ev, "response.output_item.added"), ",\"output_index\":1,\"item\":");
	add_message(&ev->b, ask, false);
	end(ev, EVENTS_FOLLOWS);
	buf_str(begin(ev, "response.content_part.added"), ",\"content_index\":0,\"part\":");
	add_part(&ev->b, ask, false);
	end(ev, EVENTS_FOLLOWS);
}

static void stream_piece(struct events *ev, const struct ask *ask, size_t step)
{
	const struct plan *p = ask->plan;
	struct span s = p->pieces[plan_choice(p, 0)->first + step];

	buf_str(begin(ev, "response.output_text.delta"),
		",\"output_index\":1,\"content_index\":0,\"logprobs\":[],\"delta\":");
	buf_json(&ev->b, plan_at(p, s), s.len);
	end(ev, (long)step);
}

static void stream_message_end(struct events *ev, const struct ask *ask)
{
	if (!has_message(ask))
		return;
	buf_str(begin(ev, "response.output_item.done"), ",\"output_index\":1,\"item\":");
	add_message(&ev->b, ask, true);
	end(ev, EVENTS_FOLLOWS);
}

static void stream_call(struct events *ev, const struct ask *ask, size_t k, long piece)
{
	struct buf args = { 0 };

	get_arguments(json_array_get(plan_tools(ask->plan), k), &args);
	buf_str(begin(ev, "response.function_call_arguments.delta"), ",\"delta\":");
	buf_json(&ev->b, args.p, args.len);
	end(ev, piece);
	buf_str(begin(ev, "response.output_item.done"), ",\"item\":");
	add_call(&ev->b, ask, k);
	end(ev, EVENTS_FOLLOWS);
	buf_free(&args);
}

void respwire_stream(struct events *ev, const struct ask *ask)
{
	const struct plan *p = ask->plan;
	size_t step = 0, calls = json_array_size(plan_tools(p));

	stream_opening(ev, ask);
	for (; step < plan_choice(p, 0)->count; step++) {
		if (stream_error(ev, ask, step))
			return;
		stream_piece(ev, ask, step);
	}
	stream_message_end(ev, ask);
	for (size_t k = 0; k < calls; k++, step++)
		stream_call(ev, ask, k, (long)step);
	if (stream_error(ev, ask, step) || (p->rule && p->rule->flow.no_done))
		return;
	buf_str(begin(ev, why_incomplete(ask) ? "response.incomplete" : "response.completed"),
		",\"response\":");
	add_response(&ev->b, ask, true);
	end(ev, (long)step);
}

/* ---- /infill ---- */

static void add_infill_end(struct buf *b, const struct ask *ask)
{
	buf_fmt(b,
		",\"stop\":true,\"stop_type\":\"%s\",\"tokens_evaluated\":%llu,\"tokens_predicted\":%llu,"
		"\"model\":",
		!strcmp(ask->plan->finish, "length") ? "limit" : "eos",
		(unsigned long long)ask->plan->words_in, (unsigned long long)ask->plan->words_out);
	buf_jstr(b, ask->model);
	buf_str(b, "}");
}

void respwire_infill_whole(struct buf *b, const struct ask *ask)
{
	struct span s = plan_choice(ask->plan, 0)->all;

	buf_str(b, "{\"content\":");
	buf_json(b, plan_at(ask->plan, s), s.len);
	add_infill_end(b, ask);
}

void respwire_infill_stream(struct events *ev, const struct ask *ask)
{
	const struct plan *p = ask->plan;
	const struct text *t = plan_choice(p, 0);
	size_t step = 0;

	for (; step < t->count; step++) {
		struct span s = p->pieces[t->first + step];

		if (stream_error(ev, ask, step))
			return;
		events_begin(ev, NULL);
		buf_str(&ev->b, "{\"content\":");
		buf_json(&ev->b, plan_at(p, s), s.len);
		buf_str(&ev->b, ",\"stop\":false}");
		events_end(ev, (long)step);
	}
	if (stream_error(ev, ask, step) || (p->rule && p->rule->flow.no_done))
		return;
	events_begin(ev, NULL);
	buf_str(&ev->b, "{\"content\":\"\"");
	add_infill_end(&ev->b, ask);
	events_end(ev, (long)step);
}
