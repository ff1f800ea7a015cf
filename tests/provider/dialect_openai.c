/* OpenAI, vLLM, llama.cpp server; see dialect_openai.h. */
#include "dialect_openai.h"

#include <string.h>

#include "openread.h"
#include "openwire.h"
#include "respwire.h"

static const struct route openai_routes[] = {
	{ "POST", "/v1/chat/completions", KIND_CHAT },
	{ "POST", "/v1/completions", KIND_TEXT },
	{ "POST", "/v1/responses", KIND_RESPONSES },
	{ "POST", "/v1/embeddings", KIND_EMBED },
	{ "GET", "/v1/models", KIND_MODELS },
	{ "GET", "/v1/models/", KIND_MODEL },
	/* Of other services, reachable here too so that one base URL serves every test. */
	{ "POST", "/v1/fim/completions", KIND_FIM },
	{ NULL, NULL, KIND_NONE },
};

static const struct route local_routes[] = {
	{ "POST", "/v1/chat/completions", KIND_CHAT },
	{ "POST", "/v1/completions", KIND_TEXT },
	{ "POST", "/v1/embeddings", KIND_EMBED },
	{ "POST", "/infill", KIND_INFILL },
	{ "POST", "/v1/chat/completions/input_tokens", KIND_COUNT },
	{ "GET", "/v1/models", KIND_MODELS },
	{ "GET", "/v1/models/", KIND_MODEL },
	{ "GET", "/health", KIND_HEALTH },
	{ NULL, NULL, KIND_NONE },
};

/* What the three servers call a status: type and code at OpenAI, type at the two others. */
struct status_name {
	int status;
	const char *openai_type, *openai_code;
	const char *vllm_type, *llamacpp_type;
};

static const struct status_name status_names[] = {
	{ 400, "invalid_request_error", NULL, "BadRequestError", "invalid_request_error" },
	{ 401, "invalid_request_error", "invalid_api_key", "Unauthorized", "authentication_error" },
	{ 404, "invalid_request_error", "model_not_found", "NotFoundError", "not_found_error" },
	{ 429, "requests", "rate_limit_exceeded", "TooManyRequests", "rate_limit_error" },
	{ 503, "server_error", NULL, "ServiceUnavailableError", "unavailable_error" },
	{ 500, "server_error", NULL, "InternalServerError", "server_error" },
};

static const struct status_name *name_of(int status)
{
	size_t last = sizeof(status_names) / sizeof(status_names[0]) - 1;

	for (size_t i = 0; i <= last; i++)
		if (status_names[i].status == status)
			return &status_names[i];
	return status >= 500 ? &status_names[last] : &status_names[0];
}

static void add_message(struct buf *b, const struct refusal *r)
{
	struct buf text = { 0 };

	switch (r->why) {
	case WHY_KEY:
		buf_str(&text, "Incorrect API key provided.");
		break;
	case WHY_JSON:
		buf_str(&text, "The request body is not valid JSON.");
		break;
	case WHY_PATH:
		buf_str(&text, "Unknown address.");
		break;
	case WHY_MODEL:
		buf_fmt(&text, "The model `%s` does not exist.", r->text);
		break;
	case WHY_MISSING:
		buf_fmt(&text, "Missing required parameter: '%s'.", r->field);
		break;
	case WHY_UNKNOWN:
		buf_fmt(&text, "Unknown parameter: '%s'.", r->field);
		break;
	case WHY_VALUE:
		buf_fmt(&text, "Invalid '%s': %s.", r->field, r->text);
		break;
	case WHY_STATUS:
		buf_fmt(&text, "Scripted status %d.", r->status);
		break;
	}
	buf_json(b, text.p, text.len);
	buf_free(&text);
}

static void add_or_null(struct buf *b, const char *s)
{
	if (s)
		buf_jstr(b, s);
	else
		buf_str(b, "null");
}

static void refuse_openai(struct buf *b, const struct refusal *r)
{
	const struct status_name *n = name_of(r->status);

	buf_str(b, "{\"error\":{\"message\":");
	add_message(b, r);
	buf_str(b, ",\"type\":");
	buf_jstr(b, n->openai_type);
	buf_str(b, ",\"param\":");
	add_or_null(b, r->field);
	buf_str(b, ",\"code\":");
	add_or_null(b, r->why == WHY_PATH ? "unknown_url" : n->openai_code);
	buf_str(b, "}}");
}

static void refuse_vllm(struct buf *b, const struct refusal *r)
{
	buf_str(b, "{\"error\":{\"message\":");
	add_message(b, r);
	buf_str(b, ",\"type\":");
	buf_jstr(b, name_of(r->status)->vllm_type);
	buf_str(b, ",\"param\":");
	add_or_null(b, r->field);
	buf_fmt(b, ",\"code\":%d}}", r->status);
}

static void refuse_llamacpp(struct buf *b, const struct refusal *r)
{
	buf_fmt(b, "{\"error\":{\"code\":%d,\"message\":", r->status);
	add_message(b, r);
	buf_str(b, ",\"type\":");
	buf_jstr(b, name_of(r->status)->llamacpp_type);
	buf_str(b, "}}");
}

/* gpt-5 and later, and the o-series. */
static bool reasons(const char *model)
{
	return (model[0] == 'o' && model[1] >= '1' && model[1] <= '9') ||
	       !strncmp(model, "gpt-5", 5) || !strncmp(model, "gpt-6", 5);
}

/* What OpenAI's own models do not take, where a test names one of them. */
static int check_model(const struct ask *ask, struct refusal *why)
{
	const char *model = json_string_value(json_object_get(ask->root, "model"));
	const char *effort = json_string_value(json_object_get(ask->root, "reasoning_effort"));
	const char *bad = NULL;

	if (!model || !reasons(model) || ask->kind != KIND_CHAT)
		return 0;
	if (json_object_get(ask->root, "max_tokens"))
		bad = "max_tokens";
	else if (json_array_size(json_object_get(ask->root, "tools")) &&
		 (!strncmp(model, "gpt-6", 5) || !strncmp(model, "gpt-5.4", 7)) &&
		 !(effort && !strcmp(effort, "none")))
		bad = "reasoning_effort";
	if (!bad)
		return 0;
	*why = (struct refusal){ 400, WHY_VALUE, bad, "is not supported with this model", NULL, 0 };
	return -1;
}

/* OpenAI refuses what only the local servers know; the full list would age too fast. */
static int read_openai(struct ask *ask, struct refusal *why)
{
	static const char *const foreign[] = {
		"top_k", "min_p", "repetition_penalty", "random_seed", "grammar",
	};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (!json_object_get(ask->root, foreign[i]) || ask->kind == KIND_FIM)
			continue;
		*why = (struct refusal){ 400, WHY_UNKNOWN, foreign[i], NULL, NULL, 0 };
		return -1;
	}
	if (check_model(ask, why) || (ask->kind == KIND_RESPONSES && respwire_check(ask, why)))
		return -1;
	return openread_ask(ask, why);
}

static void whole(struct buf *b, const struct ask *ask)
{
	if (ask->kind == KIND_RESPONSES)
		respwire_whole(b, ask);
	else if (ask->kind == KIND_INFILL)
		respwire_infill_whole(b, ask);
	else
		openwire_whole(b, ask);
}

static void stream(struct events *ev, const struct ask *ask)
{
	if (ask->kind == KIND_RESPONSES)
		respwire_stream(ev, ask);
	else if (ask->kind == KIND_INFILL)
		respwire_infill_stream(ev, ask);
	else
		openwire_stream(ev, ask);
}

static void add_card(struct buf *b, const char *id, const struct dialect *d)
{
	buf_str(b, "{\"id\":");
	buf_jstr(b, id);
	buf_fmt(b, ",\"object\":\"model\",\"created\":%d,\"owned_by\":", OPENWIRE_CREATED);
	buf_jstr(b, d->name);
	if (d == &dialect_openai_vllm)
		buf_str(b, ",\"max_model_len\":32768,\"root\":null,\"parent\":null");
	if (d == &dialect_openai_llamacpp)
		buf_str(b, ",\"meta\":{\"n_ctx_train\":32768,\"n_params\":1000000}");
	buf_str(b, "}");
}

static void other(struct buf *b, const struct ask *ask)
{
	switch (ask->kind) {
	case KIND_EMBED:
		openread_embed(b, ask);
		break;
	case KIND_MODEL:
		add_card(b, ask->model, ask->dialect);
		break;
	case KIND_MODELS:
		buf_str(b, "{\"object\":\"list\",\"data\":[");
		for (size_t i = 0; dialect_models[i]; i++) {
			buf_str(b, i ? "," : "");
			add_card(b, dialect_models[i], ask->dialect);
		}
		buf_str(b, "]}");
		break;
	case KIND_COUNT:
		buf_fmt(b, "{\"object\":\"response.input_tokens\",\"input_tokens\":%llu}",
			(unsigned long long)ask->plan->words_in);
		break;
	default:
		buf_str(b, "{\"status\":\"ok\"}");
	}
}

const struct dialect dialect_openai = {
	.name = "openai",
	.prefix = "",
	.routes = openai_routes,
	.framing = FRAMING_SSE,
	.stream_type = "text/event-stream",
	.read = read_openai,
	.refuse = refuse_openai,
	.whole = whole,
	.stream = stream,
	.other = other,
	.call_id = openwire_call_id,
};

const struct dialect dialect_openai_vllm = {
	.name = "vllm",
	.prefix = "/vllm",
	.routes = local_routes,
	.framing = FRAMING_SSE,
	.stream_type = "text/event-stream; charset=utf-8",
	.traits = TRAIT_MODEL_OPTIONAL,
	.reasoning_key = "reasoning",
	.read = openread_ask,
	.refuse = refuse_vllm,
	.whole = whole,
	.stream = stream,
	.other = other,
	.call_id = openwire_call_id,
};

const struct dialect dialect_openai_llamacpp = {
	.name = "llamacpp",
	.prefix = "/llamacpp",
	.routes = local_routes,
	.framing = FRAMING_SSE,
	.stream_type = "text/event-stream",
	.traits = TRAIT_MODEL_OPTIONAL | TRAIT_PINGS | TRAIT_TIMINGS,
	.reasoning_key = "reasoning_content",
	.read = openread_ask,
	.refuse = refuse_llamacpp,
	.whole = whole,
	.stream = stream,
	.other = other,
	.call_id = openwire_call_id,
};
