/* The common wire format, writing side; see openwire.h. The reading side is openread.c. */
#include "openwire.h"

#include <stdio.h>
#include <string.h>

#include "script.h"

void openwire_call_id(char *out, uint64_t id, size_t k)
{
	snprintf(out, 32, "call_%llu_%zu", (unsigned long long)id, k);
}

static bool has(const struct ask *ask, enum trait t)
{
	return ask->dialect->traits & t;
}

static void add_head(struct buf *b, const struct ask *ask, const char *object)
{
	buf_str(b, ask->kind == KIND_TEXT ? "{\"id\":\"cmpl-" : "{\"id\":\"chatcmpl-");
	buf_num(b, (int64_t)ask->id);
	buf_str(b, "\",\"object\":\"");
	buf_str(b, ask->kind == KIND_TEXT ? "text_completion" : object);
	buf_str(b, "\",\"created\":");
	buf_num(b, OPENWIRE_CREATED);
	buf_str(b, ",\"model\":");
	buf_jstr(b, ask->model);
	buf_str(b, ",\"choices\":[");
}

static void add_dump(struct buf *b, const json_t *v)
{
	size_t n = json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_reserve(b, n + 1);
	b->len += json_dumpb(v, b->p + b->len, n, JSON_COMPACT | JSON_ENCODE_ANY);
	b->p[b->len] = '\0';
}

/* Adds `,"usage":...` unless the script leaves it out. */
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
	buf_fmt(b, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,",
		(unsigned long long)p->words_in, (unsigned long long)p->words_out,
		(unsigned long long)(p->words_in + p->words_out));
	buf_str(b, "\"prompt_tokens_details\":{\"cached_tokens\":0}");
	/* Mistral, the one whose usage needs no opt-in, has no count of reasoning tokens. */
	if (!has(ask, TRAIT_USAGE_ALWAYS))
		buf_fmt(b, ",\"completion_tokens_details\":{\"reasoning_tokens\":%llu}",
			(unsigned long long)p->words_thought);
	buf_str(b, "}");
}

static void add_timings(struct buf *b, const struct ask *ask)
{
	if (!has(ask, TRAIT_TIMINGS))
		return;
	buf_fmt(b,
		",\"timings\":{\"cache_n\":0,\"prompt_n\":%llu,\"prompt_ms\":1.5,"
		"\"predicted_n\":%llu,\"predicted_ms\":2.5}",
		(unsigned long long)ask->plan->words_in, (unsigned long long)ask->plan->words_out);
}

/* A script gives arguments as text (perhaps broken on purpose) or as a value. */
static void get_arguments(const json_t *call, struct buf *out)
{
	const json_t *args = json_object_get(call, "arguments");

	buf_clear(out);
	if (json_is_string(args))
		buf_add(out, json_string_value(args), json_string_length(args));
	else if (args)
		add_dump(out, args);
	else
		buf_str(out, "{}");
}

static void add_call(struct buf *b, const struct ask *ask, size_t k, const char *args, size_t n)
{
	const json_t *call = json_array_get(plan_tools(ask->plan), k);
	const char *id = json_string_value(json_object_get(call, "id"));
	const char *name = json_string_value(json_object_get(call, "name"));
	char own[32];

	ask->dialect->call_id(own, ask->id, k);
	buf_str(b, "{\"id\":");
	buf_jstr(b, id ? id : own);
	buf_str(b, ",\"type\":\"function\",\"function\":{\"name\":");
	buf_jstr(b, name ? name : "");
	buf_str(b, ",\"arguments\":");
	buf_json(b, args, n);
	buf_fmt(b, "},\"index\":%zu}", k);
}

static void add_calls(struct buf *b, const struct ask *ask)
{
	size_t count = json_array_size(plan_tools(ask->plan));
	struct buf args = { 0 };

	buf_str(b, "\"tool_calls\":[");
	for (size_t k = 0; k < count; k++) {
		get_arguments(json_array_get(plan_tools(ask->plan), k), &args);
		buf_str(b, k ? "," : "");
		add_call(b, ask, k, args.p, args.len);
	}
	buf_str(b, "]");
	buf_free(&args);
}

/* Mistral puts reasoning into `content`, as a chunk beside the text. */
static void add_thinking(struct buf *b, const char *reasoning)
{
	buf_str(b, "{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":");
	buf_jstr(b, reasoning);
	buf_str(b, "}],\"closed\":true}");
}

static bool thinks_in_content(const struct ask *ask)
{
	const char *key = ask->dialect->reasoning_key;

	return plan_reasoning(ask->plan) && key && !strcmp(key, "content");
}

static void add_content(struct buf *b, const struct ask *ask, const struct text *t)
{
	const char *s = plan_at(ask->plan, t->all);

	if (thinks_in_content(ask)) {
		buf_str(b, "[");
		add_thinking(b, plan_reasoning(ask->plan));
		buf_str(b, ",{\"type\":\"text\",\"text\":");
		buf_json(b, s, t->all.len);
		buf_str(b, "}]");
	} else if (!t->all.len && plan_tools(ask->plan)) {
		buf_str(b, "null");
	} else {
		buf_json(b, s, t->all.len);
	}
}

static void add_message(struct buf *b, const struct ask *ask, const struct text *t)
{
	const char *key = ask->dialect->reasoning_key;

	buf_str(b, ",\"message\":{\"role\":\"assistant\",\"content\":");
	add_content(b, ask, t);
	if (plan_reasoning(ask->plan) && key && !thinks_in_content(ask)) {
		buf_fmt(b, ",\"%s\":", key);
		buf_jstr(b, plan_reasoning(ask->plan));
	}
	if (plan_tools(ask->plan)) {
		buf_str(b, ",");
		add_calls(b, ask);
	}
	buf_str(b, "}");
}

void openwire_whole(struct buf *b, const struct ask *ask)
{
	const struct plan *p = ask->plan;

	add_head(b, ask, "chat.completion");
	for (unsigned c = 0; c < p->choices; c++) {
		const struct text *t = plan_choice(p, c);

		buf_fmt(b, "%s{\"index\":%u", c ? "," : "", c);
		if (ask->kind == KIND_TEXT) {
			buf_str(b, ",\"text\":");
			buf_json(b, plan_at(p, t->all), t->all.len);
		} else {
			add_message(b, ask, t);
		}
		buf_str(b, ",\"logprobs\":null,\"finish_reason\":");
		buf_jstr(b, plan_finish(p, c));
		buf_str(b, "}");
	}
	buf_str(b, "]");
	add_usage(b, ask);
	add_timings(b, ask);
	buf_str(b, "}");
}

/* An event with one choice; the caller writes the inside of `delta` (or `"text":...`). */
static struct buf *open_choice(struct events *ev, const struct ask *ask, unsigned choice)
{
	events_begin(ev, NULL);
	add_head(&ev->b, ask, "chat.completion.chunk");
	buf_str(&ev->b, "{\"index\":");
	buf_num(&ev->b, choice);
	buf_str(&ev->b, ask->kind == KIND_TEXT ? "," : ",\"delta\":{");
	return &ev->b;
}

/* Everything after the choices, for chunks that carry no usage. */
static void close_chunk(struct events *ev, const struct ask *ask, long piece)
{
	if (ask->usage && !has(ask, TRAIT_USAGE_ALWAYS))
		buf_str(&ev->b, ",\"usage\":null");
	buf_str(&ev->b, "}");
	events_end(ev, piece);
}

static void close_choice(struct buf *b, const struct ask *ask, const char *finish)
{
	buf_str(b, ask->kind == KIND_TEXT ? ",\"logprobs\":null" : "}");
	buf_str(b, ",\"finish_reason\":");
	if (finish)
		buf_jstr(b, finish);
	else
		buf_str(b, "null");
	buf_str(b, "}]");
}

static void stream_opening(struct events *ev, const struct ask *ask)
{
	const char *reasoning = plan_reasoning(ask->plan), *key = ask->dialect->reasoning_key;

	if (has(ask, TRAIT_PINGS))
		events_comment(ev, "ping");
	for (unsigned c = 0; ask->kind != KIND_TEXT && c < ask->plan->choices; c++) {
		buf_str(open_choice(ev, ask, c), "\"role\":\"assistant\",\"content\":");
		buf_str(&ev->b, has(ask, TRAIT_PINGS) ? "null" : "\"\"");
		close_choice(&ev->b, ask, NULL);
		close_chunk(ev, ask, EVENTS_FOLLOWS);
		if (!reasoning || !key)
			continue;
		buf_fmt(open_choice(ev, ask, c), "\"%s\":", key);
		if (thinks_in_content(ask)) {
			buf_str(&ev->b, "[");
			add_thinking(&ev->b, reasoning);
			buf_str(&ev->b, "]");
		} else {
			buf_jstr(&ev->b, reasoning);
		}
		close_choice(&ev->b, ask, NULL);
		close_chunk(ev, ask, EVENTS_FOLLOWS);
	}
	if (has(ask, TRAIT_PINGS))
		events_comment(ev, "ping");
}

/* Piece `step` of every choice that has one; the first of them begins the step. */
static void stream_step(struct events *ev, const struct ask *ask, size_t step)
{
	const struct plan *p = ask->plan;
	long piece = (long)step;

	for (unsigned c = 0; c < p->choices; c++) {
		const struct text *t = plan_choice(p, c);
		struct buf *b;

		if (step >= t->count)
			continue;
		b = open_choice(ev, ask, c);
		buf_str(b, ask->kind == KIND_TEXT ? "\"text\":" : "\"content\":");
		buf_json(b, plan_at(p, p->pieces[t->first + step]), p->pieces[t->first + step].len);
		close_choice(b, ask, NULL);
		close_chunk(ev, ask, piece);
		piece = EVENTS_FOLLOWS;
	}
}

/* Name and id first, then the arguments in two halves, as the real service cuts them. */
static void stream_call(struct events *ev, const struct ask *ask, size_t k, unsigned choice)
{
	long piece = choice ? EVENTS_FOLLOWS : (long)(ask->plan->steps + k);
	struct buf args = { 0 };
	size_t half;

	get_arguments(json_array_get(plan_tools(ask->plan), k), &args);
	half = args.len / 2;
	buf_str(open_choice(ev, ask, choice), "\"tool_calls\":[");
	add_call(&ev->b, ask, k, "", 0);
	for (int part = 0; part < 2; part++) {
		buf_str(&ev->b, "]");
		close_choice(&ev->b, ask, NULL);
		close_chunk(ev, ask, part ? EVENTS_FOLLOWS : piece);
		buf_fmt(open_choice(ev, ask, choice), "\"tool_calls\":[{\"index\":%zu,", k);
		buf_str(&ev->b, "\"function\":{\"arguments\":");
		buf_json(&ev->b, args.p + (part ? half : 0), part ? args.len - half : half);
		buf_str(&ev->b, "}}");
	}
	buf_str(&ev->b, "]");
	close_choice(&ev->b, ask, NULL);
	close_chunk(ev, ask, EVENTS_FOLLOWS);
	buf_free(&args);
}

static size_t stream_calls(struct events *ev, const struct ask *ask)
{
	size_t count = json_array_size(plan_tools(ask->plan));

	if (has(ask, TRAIT_WHOLE_CALLS))
		return 0;
	for (size_t k = 0; k < count; k++)
		for (unsigned c = 0; c < ask->plan->choices; c++)
			stream_call(ev, ask, k, c);
	return count;
}

static void add_finish_delta(struct buf *b, const struct ask *ask)
{
	if (ask->kind == KIND_TEXT)
		buf_str(b, "\"text\":\"\"");
	else if (has(ask, TRAIT_WHOLE_CALLS) && plan_tools(ask->plan))
		add_calls(b, ask);
	else if (has(ask, TRAIT_USAGE_ALWAYS))
		buf_str(b, "\"content\":\"\"");
}

static void stream_finish(struct events *ev, const struct ask *ask, long piece)
{
	const struct plan *p = ask->plan;
	bool own_chunk = ask->usage && !has(ask, TRAIT_USAGE_ALWAYS) &&
			 !json_is_null(plan_usage(p));

	for (unsigned c = 0; c < p->choices; c++) {
		bool last = c + 1 == p->choices;
		struct buf *b = open_choice(ev, ask, c);

		add_finish_delta(b, ask);
		close_choice(b, ask, plan_finish(p, c));
		if (last && has(ask, TRAIT_USAGE_ALWAYS))
			add_usage(b, ask);
		if (last && !own_chunk)
			add_timings(b, ask);
		close_chunk(ev, ask, piece);
		piece = EVENTS_FOLLOWS;
	}
	if (!own_chunk)
		return;
	events_begin(ev, NULL);
	add_head(&ev->b, ask, "chat.completion.chunk");
	buf_str(&ev->b, "]");
	add_usage(&ev->b, ask);
	add_timings(&ev->b, ask);
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

void openwire_stream(struct events *ev, const struct ask *ask)
{
	const struct plan *p = ask->plan;
	bool failed = false;
	size_t step;

	stream_opening(ev, ask);
	for (step = 0; step < p->steps && !failed; step++) {
		failed = stream_error(ev, ask, step);
		if (!failed)
			stream_step(ev, ask, step);
	}
	if (!failed) {
		step += stream_calls(ev, ask);
		failed = stream_error(ev, ask, step);
	}
	if (!failed)
		stream_finish(ev, ask, (long)step);
	if (!p->rule || !p->rule->flow.no_done)
		events_whole(ev, "[DONE]", NULL, EVENTS_FOLLOWS);
}
