/* Anthropic; see dialect_anthropic.h. */
#include "dialect_anthropic.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "native.h"
#include "script.h"

static const struct route routes[] = {
	{ "POST", "/v1/messages", KIND_CHAT },
	{ "POST", "/v1/messages/count_tokens", KIND_COUNT },
	{ "GET", "/v1/models", KIND_MODELS },
	{ "GET", "/v1/models/", KIND_MODEL },
	{ NULL, NULL, KIND_NONE },
};

static const char *const fields[] = {
	"model",	 "max_tokens",	  "messages", "system",	      "stop_sequences", "stream",
	"temperature",	 "top_p",	  "top_k",    "tools",	      "tool_choice",	"thinking",
	"output_config", "cache_control", "metadata", "service_tier", "speed",		"container",
	"inference_geo", "diagnostics",	  NULL,
};

/* ---- requests ---- */

static bool is_string(const json_t *o, const char *name, const char *value)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s && !strcmp(s, value);
}

/* Blocks with text of their own, and results with text or blocks inside. */
static int read_blocks(struct ask *ask, const json_t *content, struct refusal *why)
{
	bool other = false;
	size_t i;
	json_t *block;

	native_text(ask, content);
	json_array_foreach(content, i, block) {
		const json_t *text = json_object_get(block, "text");

		if (is_string(block, "type", "text") && !json_string_length(text))
			return native_refuse(why, WHY_VALUE, "messages",
					     "text content blocks must be non-empty");
		native_text(ask, text);
		if (!is_string(block, "type", "tool_result"))
			other = true;
		else if (other)
			return native_refuse(why, WHY_VALUE, "messages",
					     "tool_result blocks come first");
		else if (json_is_array(json_object_get(block, "content")) &&
			 read_blocks(ask, json_object_get(block, "content"), why))
			return -1;
	}
	return 0;
}

/* The beginning of an answer must not end in white space. */
static int check_last(const json_t *message, struct refusal *why)
{
	const json_t *content = json_object_get(message, "content");
	const json_t *text =
		json_object_get(json_array_get(content, json_array_size(content) - 1), "text");
	size_t n = json_string_length(text);

	if (!is_string(message, "role", "assistant") || !n ||
	    !isspace((unsigned char)json_string_value(text)[n - 1]))
		return 0;
	return native_refuse(why, WHY_VALUE, "messages",
			     "final assistant content cannot end with trailing whitespace");
}

static int read_messages(struct ask *ask, struct refusal *why)
{
	const json_t *messages = json_object_get(ask->root, "messages"), *m;
	const json_t *system = json_object_get(ask->root, "system");
	size_t i, chosen = 0;

	if (!json_array_size(messages))
		return native_refuse(why, WHY_MISSING, "messages", NULL);
	json_array_foreach(messages, i, m) {
		const json_t *content = json_object_get(m, "content");

		if (!is_string(m, "role", "user") && !is_string(m, "role", "assistant"))
			return native_refuse(why, WHY_VALUE, "messages.role",
					     "must be user or assistant");
		if (!json_string_length(content) && !json_array_size(content))
			return native_refuse(why, WHY_VALUE, "messages.content",
					     "must not be empty");
		plan_prompt(ask->plan);
		if (read_blocks(ask, content, why))
			return -1;
		if (is_string(m, "role", "user"))
			chosen = i;
	}
	if (check_last(json_array_get(messages, i - 1), why))
		return -1;
	plan_prompt(ask->plan);
	native_text(ask, system);
	native_chosen(ask, chosen);
	return 0;
}

/* What each of the two versions takes of the sampling fields. */
static int check_sampling(const struct ask *ask, struct refusal *why)
{
	static const char *const sampling[] = { "temperature", "top_p", "top_k", NULL };

	if (!ask->version)
		return native_refuse(why, WHY_MISSING, "anthropic-version", NULL);
	for (const char *const *f = sampling; *f; f++)
		if (json_object_get(ask->root, *f) && strcmp(ask->version, "2023-06-01"))
			return native_refuse(why, WHY_UNKNOWN, *f, NULL);
	return 0;
}

static int check_choice(const struct ask *ask, struct refusal *why)
{
	static const char *const stubborn[] = { "claude-opus-5-5", "claude-sonnet-5-5",
						"claude-fable-5-1", NULL };
	const json_t *choice = json_object_get(ask->root, "tool_choice");

	if (!is_string(choice, "type", "any") && !is_string(choice, "type", "tool"))
		return 0;
	for (const char *const *m = stubborn; *m; m++)
		if (!strcmp(*m, ask->model))
			return native_refuse(why, WHY_VALUE, "tool_choice",
					     "this model does not support forced tool use");
	return 0;
}

static int read_anthropic(struct ask *ask, struct refusal *why)
{
	const char *unknown = native_unknown(ask->root, fields);

	ask->n = 1;
	ask->stream = json_is_true(json_object_get(ask->root, "stream"));
	ask->model = json_string_value(json_object_get(ask->root, "model"));
	if (!ask->model)
		return native_refuse(why, WHY_MISSING, "model", NULL);
	if (!strcmp(ask->model, DIALECT_NO_MODEL))
		return native_refuse(why, WHY_MODEL, "model", ask->model);
	if (unknown)
		return native_refuse(why, WHY_UNKNOWN, unknown, NULL);
	if (ask->kind == KIND_CHAT && !json_is_integer(json_object_get(ask->root, "max_tokens")))
		return native_refuse(why, WHY_MISSING, "max_tokens", NULL);
	if (check_sampling(ask, why) || check_choice(ask, why))
		return -1;
	return read_messages(ask, why);
}

static void refuse(struct buf *b, const struct refusal *r)
{
	static const struct {
		int status;
		const char *name;
	} names[] = {
		{ 401, "authentication_error" }, { 402, "billing_error" },
		{ 403, "permission_error" },	 { 404, "not_found_error" },
		{ 409, "conflict_error" },	 { 413, "request_too_large" },
		{ 429, "rate_limit_error" },	 { 504, "timeout_error" },
		{ 529, "overloaded_error" },
	};
	const char *name = r->status >= 500 ? "api_error" : "invalid_request_error";
	struct buf text = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].status == r->status)
			name = names[i].name;
	native_sentence(&text, r);
	buf_fmt(b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", name);
	buf_json(b, text.p, text.len);
	buf_fmt(b, "},\"request_id\":\"req_%llu\"}", (unsigned long long)r->id);
	buf_free(&text);
}

/* ---- answers ---- */

static const char *finish_word(const char *finish)
{
	static const char *const words[][2] = {
		{ "stop", "end_turn" },
		{ "length", "max_tokens" },
		{ "tool_calls", "tool_use" },
		{ "content_filter", "refusal" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i][0], finish))
			return words[i][1];
	return finish;
}

/* Adds `,"usage":...` unless the script leaves it out. */
static void add_usage(struct buf *b, const struct ask *ask, bool input, bool output)
{
	const struct plan *p = ask->plan;
	const json_t *own = plan_usage(p);

	if (json_is_null(own))
		return;
	buf_str(b, ",\"usage\":");
	if (own) {
		native_dump(b, own);
		return;
	}
	buf_str(b, "{");
	if (input)
		buf_fmt(b,
			"\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,"
			"\"cache_read_input_tokens\":0,",
			(unsigned long long)p->words_in);
	buf_fmt(b, "\"output_tokens\":%llu", output ? (unsigned long long)p->words_out : 1ULL);
	if (output)
		buf_fmt(b, ",\"output_tokens_details\":{\"thinking_tokens\":%llu}",
			(unsigned long long)p->words_thought);
	buf_str(b, "}");
}

static void add_head(struct buf *b, const struct ask *ask)
{
	buf_fmt(b, "{\"id\":\"msg_%llu\",\"type\":\"message\",\"role\":\"assistant\",\"model\":",
		(unsigned long long)ask->id);
	buf_jstr(b, ask->model);
	buf_str(b, ",\"content\":[");
}

static void add_signature(struct buf *b, const struct ask *ask)
{
	buf_fmt(b, "\"signature\":\"c2lnbmF0dXJl%llu\"", (unsigned long long)ask->id);
}

static void add_call(struct buf *b, const struct ask *ask, size_t k)
{
	char own[32];

	buf_str(b, "{\"type\":\"tool_use\",\"id\":");
	buf_jstr(b, native_call_id(ask, k, own));
	buf_str(b, ",\"name\":");
	buf_jstr(b, native_call_name(ask, k));
	buf_str(b, ",\"input\":");
}

static void whole(struct buf *b, const struct ask *ask)
{
	const struct plan *p = ask->plan;
	const struct text *t = plan_choice(p, 0);
	size_t calls = json_array_size(plan_tools(p));
	struct buf args = { 0 };

	add_head(b, ask);
	if (plan_reasoning(p)) {
		buf_str(b, "{\"type\":\"thinking\",\"thinking\":");
		buf_jstr(b, plan_reasoning(p));
		buf_str(b, ",");
		add_signature(b, ask);
		buf_str(b, t->all.len || calls ? "}," : "}");
	}
	if (t->all.len) {
		buf_str(b, "{\"type\":\"text\",\"text\":");
		buf_json(b, plan_at(p, t->all), t->all.len);
		buf_str(b, calls ? "}," : "}");
	}
	for (size_t k = 0; k < calls; k++) {
		add_call(b, ask, k);
		native_arguments(ask, k, &args);
		buf_str(b, args.p);
		buf_str(b, k + 1 < calls ? "}," : "}");
	}
	buf_str(b, "],\"stop_reason\":");
	buf_jstr(b, finish_word(p->finish));
	buf_str(b, ",\"stop_sequence\":null");
	add_usage(b, ask, true, true);
	buf_str(b, "}");
	buf_free(&args);
}

static struct buf *begin_event(struct events *ev, const char *type)
{
	events_begin(ev, type);
	buf_fmt(&ev->b, "{\"type\":\"%s\"", type);
	return &ev->b;
}

static void end_event(struct events *ev, long piece)
{
	buf_str(&ev->b, "}");
	events_end(ev, piece);
}

static struct buf *begin_block(struct events *ev, size_t index)
{
	buf_fmt(begin_event(ev, "content_block_start"), ",\"index\":%zu,\"content_block\":", index);
	return &ev->b;
}

static struct buf *begin_delta(struct events *ev, size_t index, const char *type,
			       const char *member)
{
	buf_fmt(begin_event(ev, "content_block_delta"),
		",\"index\":%zu,\"delta\":{\"type\":\"%s\",\"%s\":", index, type, member);
	return &ev->b;
}

static void end_delta(struct events *ev, long piece)
{
	buf_str(&ev->b, "}");
	end_event(ev, piece);
}

static void stop_block(struct events *ev, size_t index)
{
	buf_fmt(begin_event(ev, "content_block_stop"), ",\"index\":%zu", index);
	end_event(ev, EVENTS_FOLLOWS);
}

static void stream_opening(struct events *ev, const struct ask *ask)
{
	buf_str(begin_event(ev, "message_start"), ",\"message\":");
	add_head(&ev->b, ask);
	buf_str(&ev->b, "],\"stop_reason\":null,\"stop_sequence\":null");
	add_usage(&ev->b, ask, true, false);
	buf_str(&ev->b, "}");
	end_event(ev, EVENTS_FOLLOWS);
	begin_event(ev, "ping");
	end_event(ev, EVENTS_FOLLOWS);
}

/* In two halves, and the signature at the end. */
static size_t stream_thoughts(struct events *ev, const struct ask *ask)
{
	const char *thoughts = plan_reasoning(ask->plan);
	size_t n = thoughts ? strlen(thoughts) : 0, half = n / 2;

	if (!thoughts)
		return 0;
	while (half && ((unsigned char)thoughts[half] & 0xc0) == 0x80)
		half--;
	buf_str(begin_block(ev, 0), "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
	end_event(ev, EVENTS_FOLLOWS);
	buf_json(begin_delta(ev, 0, "thinking_delta", "thinking"), thoughts, half);
	end_delta(ev, EVENTS_FOLLOWS);
	buf_json(begin_delta(ev, 0, "thinking_delta", "thinking"), thoughts + half, n - half);
	end_delta(ev, EVENTS_FOLLOWS);
	buf_fmt(begin_delta(ev, 0, "signature_delta", "signature"), "\"c2lnbmF0dXJl%llu\"",
		(unsigned long long)ask->id);
	end_delta(ev, EVENTS_FOLLOWS);
	stop_block(ev, 0);
	return 1;
}

/* false: the script's error came */
static bool stream_text(struct events *ev, const struct ask *ask, size_t index)
{
	const struct plan *p = ask->plan;
	const struct text *t = plan_choice(p, 0);

	buf_str(begin_block(ev, index), "{\"type\":\"text\",\"text\":\"\"}");
	end_event(ev, EVENTS_FOLLOWS);
	for (size_t step = 0; step < t->count; step++) {
		struct span s = p->pieces[t->first + step];

		if (native_error(ev, ask, step, "error"))
			return false;
		buf_json(begin_delta(ev, index, "text_delta", "text"), plan_at(p, s), s.len);
		end_delta(ev, (long)step);
	}
	stop_block(ev, index);
	return true;
}

static void stream_call(struct events *ev, const struct ask *ask, size_t k, size_t index)
{
	struct buf args = { 0 };
	size_t half;

	native_arguments(ask, k, &args);
	half = args.len / 2;
	add_call(begin_block(ev, index), ask, k);
	buf_str(&ev->b, "{}}");
	end_event(ev, (long)(ask->plan->steps + k));
	buf_json(begin_delta(ev, index, "input_json_delta", "partial_json"), args.p, half);
	end_delta(ev, EVENTS_FOLLOWS);
	buf_json(begin_delta(ev, index, "input_json_delta", "partial_json"), args.p + half,
		 args.len - half);
	end_delta(ev, EVENTS_FOLLOWS);
	stop_block(ev, index);
	buf_free(&args);
}

static void stream_finish(struct events *ev, const struct ask *ask, size_t step)
{
	const struct plan *p = ask->plan;

	if (native_error(ev, ask, step, "error"))
		return;
	buf_str(begin_event(ev, "message_delta"), ",\"delta\":{\"stop_reason\":");
	buf_jstr(&ev->b, finish_word(p->finish));
	buf_str(&ev->b, ",\"stop_sequence\":null}");
	add_usage(&ev->b, ask, false, true);
	end_event(ev, (long)step);
	if (p->rule && p->rule->flow.no_done)
		return;
	begin_event(ev, "message_stop");
	end_event(ev, EVENTS_FOLLOWS);
}

static void stream(struct events *ev, const struct ask *ask)
{
	const struct plan *p = ask->plan;
	size_t calls = json_array_size(plan_tools(p)), index;

	stream_opening(ev, ask);
	index = stream_thoughts(ev, ask);
	if (plan_choice(p, 0)->count) {
		if (!stream_text(ev, ask, index))
			return;
		index++;
	}
	for (size_t k = 0; k < calls; k++) {
		if (native_error(ev, ask, p->steps + k, "error"))
			return;
		stream_call(ev, ask, k, index + k);
	}
	stream_finish(ev, ask, p->steps + calls);
}

/* ---- everything else ---- */

static void add_card(struct buf *b, const char *id)
{
	buf_str(b, "{\"type\":\"model\",\"id\":");
	buf_jstr(b, id);
	buf_str(b, ",\"display_name\":");
	buf_jstr(b, id);
	buf_str(b, ",\"created_at\":\"2026-02-04T00:00:00Z\",\"lifecycle\":\"active\","
		   "\"max_input_tokens\":32768,\"max_tokens\":8192,\"capabilities\":"
		   "{\"batch\":{\"supported\":true},\"image_input\":{\"supported\":true},"
		   "\"thinking\":{\"supported\":true}}}");
}

/* Two pages, so that a client has to ask for the second one. */
static void add_models(struct buf *b, const struct ask *ask)
{
	buf_str(b, "{\"data\":[");
	add_card(b, dialect_models[ask->page ? 1 : 0]);
	buf_fmt(b, "],\"has_more\":%s,\"last_id\":\"%s\"}", ask->page ? "false" : "true",
		dialect_models[ask->page ? 1 : 0]);
}

static void other(struct buf *b, const struct ask *ask)
{
	if (ask->kind == KIND_COUNT)
		buf_fmt(b, "{\"input_tokens\":%llu}", (unsigned long long)ask->plan->words_in);
	else if (ask->kind == KIND_MODEL)
		add_card(b, ask->model);
	else
		add_models(b, ask);
}

static void call_id(char *out, uint64_t id, size_t k)
{
	snprintf(out, 32, "toolu_%llu_%zu", (unsigned long long)id, k);
}

const struct dialect dialect_anthropic = {
	.name = "anthropic",
	.prefix = "/anthropic",
	.routes = routes,
	.framing = FRAMING_SSE,
	.stream_type = "text/event-stream; charset=utf-8",
	.key_header = "x-api-key",
	.traits = TRAIT_USAGE_ALWAYS,
	.read = read_anthropic,
	.refuse = refuse,
	.whole = whole,
	.stream = stream,
	.other = other,
	.call_id = call_id,
};
