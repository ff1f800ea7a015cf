/* Mistral; see dialect_mistral.h. */
#include "dialect_mistral.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "openread.h"
#include "openwire.h"

#define ID_LENGTH 9

static const struct route routes[] = {
	{ "POST", "/v1/chat/completions", KIND_CHAT }, { "POST", "/v1/fim/completions", KIND_FIM },
	{ "POST", "/v1/embeddings", KIND_EMBED },      { "GET", "/v1/models", KIND_MODELS },
	{ "GET", "/v1/models/", KIND_MODEL },	       { NULL, NULL, KIND_NONE },
};

static const char *const chat_fields[] = {
	"model",
	"messages",
	"temperature",
	"top_p",
	"max_tokens",
	"stream",
	"stop",
	"random_seed",
	"n",
	"presence_penalty",
	"frequency_penalty",
	"response_format",
	"tools",
	"tool_choice",
	"parallel_tool_calls",
	"prediction",
	"reasoning_effort",
	"prompt_mode",
	"prompt_cache_key",
	"service_tier",
	"guardrails",
	"safe_prompt",
	"metadata",
	NULL,
};

static const char *const fim_fields[] = {
	"model",      "prompt",		  "suffix", "temperature", "top_p",
	"max_tokens", "min_tokens",	  "stop",   "random_seed", "stream",
	"metadata",   "prompt_cache_key", NULL,
};

static const char *const embed_fields[] = {
	"model", "input", "output_dimension", "output_dtype", "encoding_format", "metadata", NULL,
};

static int refuse_as(struct refusal *why, enum why reason, const char *field, const char *text)
{
	why->status = reason == WHY_VALUE ? 400 : 422;
	why->why = reason;
	why->field = field;
	why->text = text;
	return -1;
}

static bool is_listed(const char *const *list, const char *name)
{
	while (*list && strcmp(*list, name))
		list++;
	return *list;
}

static int check_fields(const struct ask *ask, struct refusal *why)
{
	const char *const *known = ask->kind == KIND_CHAT  ? chat_fields
				   : ask->kind == KIND_FIM ? fim_fields
							   : embed_fields;
	const char *key;
	json_t *v;

	json_object_foreach(ask->root, key, v) {
		if (is_listed(known, key))
			continue;
		why->input = v;
		return refuse_as(why, WHY_UNKNOWN, key, NULL);
	}
	return 0;
}

static bool is_call_id(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t n = 0;

	while (s && isalnum((unsigned char)s[n]))
		n++;
	return n == ID_LENGTH && !s[n];
}

static int check_ids(const json_t *messages, struct refusal *why)
{
	static const char text[] = "tool call ids are 9 letters or digits";
	size_t i, k;
	json_t *m, *call;

	json_array_foreach(messages, i, m) {
		const json_t *id = json_object_get(m, "tool_call_id");

		if (id && !is_call_id(id))
			return refuse_as(why, WHY_VALUE, "tool_call_id", text);
		json_array_foreach(json_object_get(m, "tool_calls"), k, call)
			if (!is_call_id(json_object_get(call, "id")))
				return refuse_as(why, WHY_VALUE, "tool_calls", text);
	}
	return 0;
}

static int check_last(const json_t *messages, struct refusal *why)
{
	const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
	const char *role = json_string_value(json_object_get(last, "role"));

	if (role && (!strcmp(role, "user") || !strcmp(role, "tool")))
		return 0;
	if (role && !strcmp(role, "assistant") && json_is_true(json_object_get(last, "prefix")))
		return 0;
	return refuse_as(why, WHY_VALUE, "messages",
			 "expected last role to be user, tool, or assistant with prefix");
}

static int read_mistral(struct ask *ask, struct refusal *why)
{
	const json_t *messages = json_object_get(ask->root, "messages");

	if (check_fields(ask, why))
		return -1;
	if (openread_ask(ask, why)) {
		if (why->why == WHY_MISSING)
			why->status = 422;
		return -1;
	}
	if (ask->kind != KIND_CHAT)
		return 0;
	return check_ids(messages, why) || check_last(messages, why) ? -1 : 0;
}

static void add_unknown(struct buf *b, const struct refusal *r)
{
	char *input = json_dumps(r->input, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_str(b, "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"extra_forbidden\","
		   "\"loc\":[\"body\",");
	buf_jstr(b, r->field);
	buf_str(b, "],\"msg\":\"Extra inputs are not permitted\",\"input\":");
	buf_str(b, input ? input : "null");
	buf_str(b, "}]},\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}");
	free(input);
}

static void add_plain(struct buf *b, const struct refusal *r)
{
	struct buf text = { 0 };
	const char *type = "invalid_request_error", *code = "null";

	if (r->why == WHY_MODEL) {
		buf_fmt(&text, "Invalid model: %s", r->text);
		type = "invalid_model";
		code = "\"1500\"";
	} else if (r->why == WHY_VALUE) {
		buf_fmt(&text, "%s: %s", r->field, r->text);
	} else if (r->status == 429) {
		buf_str(&text, "Rate limit exceeded");
		type = "rate_limited";
		code = "\"1300\"";
	} else {
		buf_fmt(&text, "Request failed with status %d", r->status);
		type = r->status >= 500 ? "internal_server_error" : type;
	}
	buf_str(b, "{\"object\":\"error\",\"message\":");
	buf_json(b, text.p, text.len);
	buf_fmt(b, ",\"type\":\"%s\",\"param\":null,\"code\":%s,\"raw_status_code\":%d}", type,
		code, r->status);
	buf_free(&text);
}

static void refuse(struct buf *b, const struct refusal *r)
{
	switch (r->why) {
	case WHY_KEY:
		buf_fmt(b, "{\"message\":\"Unauthorized\",\"request_id\":\"%08llx\"}",
			(unsigned long long)r->id);
		break;
	case WHY_PATH:
		buf_str(b, "{\"detail\":\"Not Found\"}");
		break;
	case WHY_JSON:
		buf_str(b, "{\"detail\":[{\"loc\":[\"body\",0],\"msg\":\"JSON decode error\","
			   "\"type\":\"json_invalid\"}]}");
		break;
	case WHY_MISSING:
		buf_str(b, "{\"detail\":[{\"loc\":[\"body\",");
		buf_jstr(b, r->field);
		buf_str(b, "],\"msg\":\"Field required\",\"type\":\"missing\"}]}");
		break;
	case WHY_UNKNOWN:
		add_unknown(b, r);
		break;
	default:
		add_plain(b, r);
	}
}

static void add_card(struct buf *b, const char *id)
{
	bool embeds = strstr(id, "embed");

	buf_str(b, "{\"id\":");
	buf_jstr(b, id);
	buf_fmt(b, ",\"object\":\"model\",\"created\":%d,\"owned_by\":\"mistralai\",\"name\":",
		OPENWIRE_CREATED);
	buf_jstr(b, id);
	buf_str(b, ",\"description\":\"scripted\",\"max_context_length\":32768,\"aliases\":[],"
		   "\"deprecation\":null,\"default_model_temperature\":0.3,\"type\":\"base\"");
	buf_fmt(b,
		",\"capabilities\":{\"completion_chat\":%s,\"completion_fim\":%s,"
		"\"function_calling\":%s,\"vision\":%s,\"fine_tuning\":false}}",
		embeds ? "false" : "true", embeds ? "false" : "true", embeds ? "false" : "true",
		embeds ? "false" : "true");
}

static void other(struct buf *b, const struct ask *ask)
{
	if (ask->kind == KIND_EMBED) {
		openread_embed(b, ask);
		return;
	}
	if (ask->kind == KIND_MODEL) {
		add_card(b, ask->model);
		return;
	}
	buf_str(b, "{\"object\":\"list\",\"data\":[");
	for (size_t i = 0; dialect_models[i]; i++) {
		buf_str(b, i ? "," : "");
		add_card(b, dialect_models[i]);
	}
	buf_str(b, "]}");
}

/* Nine letters or digits: the service refuses ids of any other shape when they come back. */
static void call_id(char *out, uint64_t id, size_t k)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz";
	uint64_t v = id * 128 + k;

	for (int i = ID_LENGTH - 1; i >= 0; i--, v /= 62)
		out[i] = digits[v % 62];
	out[ID_LENGTH] = '\0';
}

const struct dialect dialect_mistral = {
	.name = "mistral",
	.prefix = "/mistral",
	.routes = routes,
	.framing = FRAMING_SSE,
	.stream_type = "text/event-stream",
	.traits = TRAIT_USAGE_ALWAYS | TRAIT_WHOLE_CALLS,
	.reasoning_key = "content",
	.read = read_mistral,
	.refuse = refuse,
	.whole = openwire_whole,
	.stream = openwire_stream,
	.other = other,
	.call_id = call_id,
};
