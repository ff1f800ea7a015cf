/* Gemini; see dialect_gemini.h. */
#include "dialect_gemini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"
#include "openread.h"
#include "script.h"

/* The method is behind the model, so read() finds the kind. */
static const struct route routes[] = {
	{ "POST", "/v1beta/models/", KIND_CHAT },
	{ "GET", "/v1beta/models", KIND_MODELS },
	{ "GET", "/v1beta/models/", KIND_MODEL },
	{ NULL, NULL, KIND_NONE },
};

static const struct {
	const char *name;
	enum kind kind;
	bool stream;
} methods[] = {
	{ "generateContent", KIND_CHAT, false },
	{ "streamGenerateContent", KIND_CHAT, true },
	{ "batchEmbedContents", KIND_EMBED, false },
	{ "countTokens", KIND_COUNT, false },
};

/* `model` is put there by read_method. */
static const char *const chat_fields[] = {
	"model",      "contents",	"systemInstruction", "generationConfig", "tools",
	"toolConfig", "safetySettings", "cachedContent",     "serviceTier",	 "store",
	NULL,
};
static const char *const config_fields[] = {
	"maxOutputTokens",
	"temperature",
	"topP",
	"topK",
	"candidateCount",
	"stopSequences",
	"seed",
	"presencePenalty",
	"frequencyPenalty",
	"responseLogprobs",
	"logprobs",
	"responseMimeType",
	"responseSchema",
	"responseJsonSchema",
	"thinkingConfig",
	"responseModalities",
	"mediaResolution",
	"responseFormat",
	NULL,
};
static const char *const part_fields[] = {
	"text",	   "inlineData",       "fileData", "functionCall", "functionResponse",
	"thought", "thoughtSignature", NULL,
};

/* ---- requests ---- */

static int read_method(struct ask *ask, struct refusal *why)
{
	const char *colon = strrchr(ask->model, ':');
	size_t i = 0;

	while (i < sizeof(methods) / sizeof(methods[0]) &&
	       (!colon || strcmp(methods[i].name, colon + 1)))
		i++;
	if (i == sizeof(methods) / sizeof(methods[0])) {
		*why = (struct refusal){ .status = 404, .why = WHY_PATH };
		return -1;
	}
	json_object_set_new(ask->root, "model",
			    json_stringn(ask->model, (size_t)(colon - ask->model)));
	ask->model = json_string_value(json_object_get(ask->root, "model"));
	ask->kind = methods[i].kind;
	ask->stream = methods[i].stream;
	if (!strcmp(ask->model, DIALECT_NO_MODEL))
		return native_refuse(why, WHY_MODEL, "model", ask->model);
	return 0;
}

/* "gemini-3..." and later want a signature on the first call of every content. */
static bool wants_signature(const char *model)
{
	return !strncmp(model, "gemini-", 7) && model[7] >= '3' && model[7] <= '9';
}

static int read_parts(struct ask *ask, const json_t *parts, struct refusal *why)
{
	bool unsigned_call = false, any = false;
	size_t i;
	json_t *part;

	if (!json_array_size(parts))
		return native_refuse(why, WHY_VALUE, "contents.parts", "must not be empty");
	json_array_foreach(parts, i, part) {
		const char *unknown = native_unknown(part, part_fields);

		if (unknown)
			return native_refuse(why, WHY_UNKNOWN, unknown, NULL);
		native_text(ask, json_object_get(part, "text"));
		if (json_object_get(part, "functionCall") && !any)
			unsigned_call = !json_object_get(part, "thoughtSignature");
		any = any || json_object_get(part, "functionCall");
	}
	if (unsigned_call && wants_signature(ask->model))
		return native_refuse(why, WHY_VALUE, "contents",
				     "Function call is missing a thought_signature");
	return 0;
}

static bool is_role(const json_t *content, const char *role)
{
	const char *r = json_string_value(json_object_get(content, "role"));

	return r && !strcmp(r, role);
}

/* A result must stand right behind the calls. */
static int check_order(const json_t *contents, size_t i, struct refusal *why)
{
	const json_t *parts = json_object_get(json_array_get(contents, i), "parts");
	const json_t *before = json_array_get(contents, i - 1);

	if (!json_object_get(json_array_get(parts, 0), "functionResponse") || i == 0 ||
	    is_role(before, "model"))
		return 0;
	return native_refuse(why, WHY_VALUE, "contents",
			     "a function response comes right after a function call");
}

static int read_contents(struct ask *ask, struct refusal *why)
{
	const json_t *contents = json_object_get(ask->root, "contents"), *content;
	const json_t *system = json_object_get(ask->root, "systemInstruction");
	size_t i, chosen = 0;

	if (!json_array_size(contents))
		return native_refuse(why, WHY_VALUE, "contents", "contents is not specified");
	json_array_foreach(contents, i, content) {
		const json_t *parts = json_object_get(content, "parts");

		if (!is_role(content, "user") && !is_role(content, "model"))
			return native_refuse(why, WHY_VALUE, "contents.role",
					     "Please use a valid role: user, model.");
		plan_prompt(ask->plan);
		if (check_order(contents, i, why) || read_parts(ask, parts, why))
			return -1;
		if (is_role(content, "user") &&
		    !json_object_get(json_array_get(parts, 0), "functionResponse"))
			chosen = i;
	}
	plan_prompt(ask->plan);
	json_array_foreach(json_object_get(system, "parts"), i, content)
		native_text(ask, json_object_get(content, "text"));
	native_chosen(ask, chosen);
	return 0;
}

static int read_chat(struct ask *ask, struct refusal *why)
{
	const json_t *config = json_object_get(ask->root, "generationConfig");
	const json_t *n = json_object_get(config, "candidateCount");
	const char *unknown = native_unknown(ask->root, chat_fields);

	if (!unknown && config)
		unknown = native_unknown(config, config_fields);
	if (unknown)
		return native_refuse(why, WHY_UNKNOWN, unknown, NULL);
	if (json_array_size(json_object_get(config, "stopSequences")) > 5)
		return native_refuse(why, WHY_VALUE, "stopSequences", "at most 5");
	if (json_is_integer(n))
		ask->n = (unsigned)json_integer_value(n);
	return read_contents(ask, why);
}

static int read_embed(struct ask *ask, struct refusal *why)
{
	const json_t *requests = json_object_get(ask->root, "requests"), *one, *part;
	char name[300];
	size_t i, j;

	snprintf(name, sizeof(name), "models/%s", ask->model);
	if (!json_array_size(requests))
		return native_refuse(why, WHY_MISSING, "requests", NULL);
	json_array_foreach(requests, i, one) {
		const char *model = json_string_value(json_object_get(one, "model"));
		const json_t *content = json_object_get(one, "content");

		if (!model || strcmp(model, name))
			return native_refuse(why, WHY_VALUE, "requests.model",
					     "must be the model of the path");
		plan_prompt(ask->plan);
		json_array_foreach(json_object_get(content, "parts"), j, part)
			native_text(ask, json_object_get(part, "text"));
	}
	for (i = 0; i < ask->plan->nprompts; i++)
		ask->plan->words_in += plan_words(plan_at(ask->plan, ask->plan->prompts[i]),
						  ask->plan->prompts[i].len);
	return 0;
}

static int read_gemini(struct ask *ask, struct refusal *why)
{
	ask->n = 1;
	if (read_method(ask, why))
		return -1;
	return ask->kind == KIND_EMBED ? read_embed(ask, why) : read_chat(ask, why);
}

static void refuse(struct buf *b, const struct refusal *r)
{
	static const struct {
		int status;
		const char *name;
	} names[] = {
		{ 400, "INVALID_ARGUMENT" },   { 401, "UNAUTHENTICATED" },
		{ 403, "PERMISSION_DENIED" },  { 404, "NOT_FOUND" },
		{ 429, "RESOURCE_EXHAUSTED" }, { 499, "CANCELLED" },
		{ 503, "UNAVAILABLE" },	       { 504, "DEADLINE_EXCEEDED" },
	};
	const char *name = r->status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
	struct buf text = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].status == r->status)
			name = names[i].name;
	native_sentence(&text, r);
	buf_fmt(b, "{\"error\":{\"code\":%d,\"message\":", r->status);
	buf_json(b, text.p, text.len);
	buf_fmt(b, ",\"status\":\"%s\"", name);
	if (r->status == 429)
		buf_str(b,
			",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\","
			"\"violations\":[{\"quotaId\":\"GenerateRequestsPerMinute\"}]},"
			"{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
			"\"retryDelay\":\"0.01s\"}]");
	buf_str(b, "}}");
	buf_free(&text);
}

/* ---- answers ---- */

/* Words of the script in theirs; one that is not ours goes out as it is. */
static const char *finish_word(const char *finish)
{
	static const char *const words[][2] = {
		{ "stop", "STOP" },	  { "length", "MAX_TOKENS" },
		{ "tool_calls", "STOP" }, { "content_filter", "SAFETY" },
		{ "error", "OTHER" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i][0], finish))
			return words[i][1];
	return finish;
}

static void add_usage(struct buf *b, const struct ask *ask, bool last)
{
	const struct plan *p = ask->plan;
	const json_t *own = plan_usage(p);

	if (json_is_null(own))
		return;
	buf_str(b, ",\"usageMetadata\":");
	if (own) {
		native_dump(b, own);
		return;
	}
	buf_fmt(b, "{\"promptTokenCount\":%llu", (unsigned long long)p->words_in);
	if (last)
		buf_fmt(b, ",\"candidatesTokenCount\":%llu",
			(unsigned long long)(p->words_out - p->words_thought));
	/* a zero is left out, as the service does */
	if (last && p->words_thought)
		buf_fmt(b, ",\"thoughtsTokenCount\":%llu", (unsigned long long)p->words_thought);
	buf_fmt(b, ",\"totalTokenCount\":%llu}",
		(unsigned long long)(p->words_in + (last ? p->words_out : 0)));
}

static void end_answer(struct buf *b, const struct ask *ask, bool last)
{
	buf_str(b, "]");
	add_usage(b, ask, last);
	buf_str(b, ",\"modelVersion\":");
	buf_jstr(b, ask->model);
	buf_fmt(b, ",\"responseId\":\"resp-%llu\"}", (unsigned long long)ask->id);
}

static void add_text_part(struct buf *b, const char *s, size_t n, bool thought)
{
	buf_str(b, "{\"text\":");
	buf_json(b, s, n);
	buf_str(b, thought ? ",\"thought\":true}" : "}");
}

static void add_call_part(struct buf *b, const struct ask *ask, size_t k)
{
	struct buf args = { 0 };
	char own[32];

	native_arguments(ask, k, &args);
	buf_str(b, "{\"functionCall\":{\"id\":");
	buf_jstr(b, native_call_id(ask, k, own));
	buf_str(b, ",\"name\":");
	buf_jstr(b, native_call_name(ask, k));
	buf_str(b, ",\"args\":");
	buf_str(b, args.p);
	buf_str(b, "}");
	if (k == 0)
		buf_fmt(b, ",\"thoughtSignature\":\"c2lnbmF0dXJl%llu\"",
			(unsigned long long)ask->id);
	buf_str(b, "}");
	buf_free(&args);
}

static void begin_candidate(struct buf *b)
{
	buf_str(b, "{\"content\":{\"role\":\"model\",\"parts\":[");
}

/* A zero index is left out. */
static void end_candidate(struct buf *b, unsigned choice, const char *finish)
{
	buf_str(b, "]}");
	if (finish) {
		buf_str(b, ",\"finishReason\":");
		buf_jstr(b, finish_word(finish));
	}
	if (choice)
		buf_fmt(b, ",\"index\":%u", choice);
	buf_str(b, "}");
}

static void add_whole(struct buf *b, const struct ask *ask, unsigned choice)
{
	const struct plan *p = ask->plan;
	const struct text *t = plan_choice(p, choice);
	size_t calls = json_array_size(plan_tools(p));
	const char *comma = "";

	begin_candidate(b);
	if (plan_reasoning(p)) {
		add_text_part(b, plan_reasoning(p), strlen(plan_reasoning(p)), true);
		comma = ",";
	}
	if (t->all.len) {
		buf_str(b, comma);
		add_text_part(b, plan_at(p, t->all), t->all.len, false);
		comma = ",";
	}
	for (size_t k = 0; k < calls; k++) {
		buf_str(b, comma);
		add_call_part(b, ask, k);
		comma = ",";
	}
	end_candidate(b, choice, plan_finish(p, choice));
}

static void whole(struct buf *b, const struct ask *ask)
{
	buf_str(b, "{\"candidates\":[");
	for (unsigned c = 0; c < ask->plan->choices; c++) {
		buf_str(b, c ? "," : "");
		add_whole(b, ask, c);
	}
	end_answer(b, ask, true);
}

/* One chunk with one candidate; the caller writes the parts. */
static void begin_chunk(struct events *ev)
{
	events_begin(ev, NULL);
	buf_str(&ev->b, "{\"candidates\":[");
	begin_candidate(&ev->b);
}

static void end_chunk(struct events *ev, const struct ask *ask, unsigned choice, long piece)
{
	end_candidate(&ev->b, choice, NULL);
	end_answer(&ev->b, ask, false);
	events_end(ev, piece);
}

static void stream_step(struct events *ev, const struct ask *ask, size_t step)
{
	const struct plan *p = ask->plan;
	long piece = (long)step;

	for (unsigned c = 0; c < p->choices; c++) {
		const struct text *t = plan_choice(p, c);
		struct span s;

		if (step >= t->count)
			continue;
		s = p->pieces[t->first + step];
		begin_chunk(ev);
		add_text_part(&ev->b, plan_at(p, s), s.len, false);
		end_chunk(ev, ask, c, piece);
		piece = EVENTS_FOLLOWS;
	}
}

static void stream_finish(struct events *ev, const struct ask *ask, long piece)
{
	for (unsigned c = 0; c < ask->plan->choices; c++) {
		begin_chunk(ev);
		add_text_part(&ev->b, "", 0, false);
		end_candidate(&ev->b, c, plan_finish(ask->plan, c));
		end_answer(&ev->b, ask, true);
		events_end(ev, c ? EVENTS_FOLLOWS : piece);
	}
}

static void stream_thoughts(struct events *ev, const struct ask *ask)
{
	const char *thoughts = plan_reasoning(ask->plan);

	if (!thoughts)
		return;
	begin_chunk(ev);
	add_text_part(&ev->b, thoughts, strlen(thoughts), true);
	end_chunk(ev, ask, 0, EVENTS_FOLLOWS);
}

/* The finish chunk is the only end mark there is: end_without_done leaves it out. */
static void stream(struct events *ev, const struct ask *ask)
{
	const struct plan *p = ask->plan;
	size_t calls = json_array_size(plan_tools(p)), step;

	stream_thoughts(ev, ask);
	for (step = 0; step < p->steps + calls; step++) {
		if (native_error(ev, ask, step, NULL))
			return;
		if (step < p->steps) {
			stream_step(ev, ask, step);
			continue;
		}
		begin_chunk(ev);
		add_call_part(&ev->b, ask, step - p->steps);
		end_chunk(ev, ask, 0, (long)step);
	}
	if (native_error(ev, ask, step, NULL))
		return;
	if (!p->rule || !p->rule->flow.no_done)
		stream_finish(ev, ask, (long)step);
}

/* ---- everything else ---- */

static void embed(struct buf *b, const struct ask *ask)
{
	const json_t *requests = json_object_get(ask->root, "requests");
	const struct plan *p = ask->plan;

	buf_str(b, "{\"embeddings\":[");
	for (size_t i = 0; i < p->nprompts; i++) {
		const json_t *dims =
			json_object_get(json_array_get(requests, i), "outputDimensionality");

		buf_str(b, i ? ",{\"values\":" : "{\"values\":");
		openread_floats(b, plan_at(p, p->prompts[i]), p->prompts[i].len, dims);
		buf_str(b, "}");
	}
	buf_fmt(b, "],\"usageMetadata\":{\"promptTokenCount\":%llu}}",
		(unsigned long long)p->words_in);
}

static void add_card(struct buf *b, const char *id)
{
	bool embeds = strstr(id, "embed");

	buf_str(b, "{\"name\":\"models/");
	buf_str(b, id);
	buf_str(b, "\",\"version\":\"1\",\"displayName\":");
	buf_jstr(b, id);
	buf_fmt(b,
		",\"inputTokenLimit\":32768,\"outputTokenLimit\":8192,"
		"\"supportedGenerationMethods\":[%s]%s}",
		embeds ? "\"embedContent\"" : "\"generateContent\",\"countTokens\"",
		embeds ? "" : ",\"thinking\":true");
}

/* Two pages, so that a client has to ask for the second one. */
static void add_models(struct buf *b, const struct ask *ask)
{
	size_t from = ask->page ? 1 : 0;

	buf_str(b, "{\"models\":[");
	for (size_t i = from; dialect_models[i] && (ask->page || i < 1); i++) {
		buf_str(b, i > from ? "," : "");
		add_card(b, dialect_models[i]);
	}
	buf_str(b, ask->page ? "]}" : "],\"nextPageToken\":\"page+2\"}");
}

static void other(struct buf *b, const struct ask *ask)
{
	if (ask->kind == KIND_EMBED)
		embed(b, ask);
	else if (ask->kind == KIND_COUNT)
		buf_fmt(b, "{\"totalTokens\":%llu}", (unsigned long long)ask->plan->words_in);
	else if (ask->kind == KIND_MODEL)
		add_card(b, ask->model);
	else
		add_models(b, ask);
}

static void call_id(char *out, uint64_t id, size_t k)
{
	snprintf(out, 32, "fc-%llu-%zu", (unsigned long long)id, k);
}

const struct dialect dialect_gemini = {
	.name = "gemini",
	.prefix = "/gemini",
	.routes = routes,
	.framing = FRAMING_SSE,
	.stream_type = "text/event-stream",
	.key_header = "x-goog-api-key",
	.traits = TRAIT_USAGE_ALWAYS | TRAIT_WHOLE_CALLS,
	.read = read_gemini,
	.refuse = refuse,
	.whole = whole,
	.stream = stream,
	.other = other,
	.call_id = call_id,
};
