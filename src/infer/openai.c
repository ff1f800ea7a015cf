/*
 * infer/openai.c - OpenAI and the servers that speak its chat API: vLLM, llama.cpp and others
 *
 * The answers are read by dialect.c. max_completion_tokens goes only to OpenAI itself: its reasoning
 * models refuse max_tokens, and older compatible servers do not know the new name.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "infer/body.h"
#include "infer/dialect.h"
#include "infer/failure.h"
#include "infer/registry.h"

#include "base/banned.h"

#define COMMON_FIELDS                                                                 \
	{ "temperature", "temperature" }, { "top_p", "top_p" }, { "stop", "stop" },   \
		{ "seed", "seed" }, { "max_tokens", NULL }, { "logprobs", NULL },     \
		{ "top_logprobs", NULL }, { "presence_penalty", "presence_penalty" }, \
		{ "frequency_penalty", "frequency_penalty" },                         \
	{                                                                             \
		"logit_bias", "logit_bias"                                            \
	}
#define CHAT_FIELDS                                               \
	{ "tools", "tools" }, { "tool_choice", "tool_choice" },   \
		{ "parallel_tool_calls", "parallel_tool_calls" }, \
		{ "response_format", "response_format" },         \
	{                                                         \
		"reasoning_effort", "reasoning_effort"            \
	}
#define LOCAL_FIELDS             \
	{ "top_k", "top_k" },    \
	{                        \
		"min_p", "min_p" \
	}

static const struct body_field chat_fields[] = { COMMON_FIELDS, CHAT_FIELDS, { NULL, NULL } };
static const struct body_field local_chat_fields[] = { COMMON_FIELDS,
						       CHAT_FIELDS,
						       LOCAL_FIELDS,
						       { NULL, NULL } };
static const struct body_field text_fields[] = { COMMON_FIELDS, { NULL, NULL } };
static const struct body_field local_text_fields[] = { COMMON_FIELDS,
						       LOCAL_FIELDS,
						       { NULL, NULL } };

static const char *const endpoints[] = { "chat", "completion", NULL };
static const char *const members[] = { "name", "tool_calls", "tool_call_id", "refusal", NULL };
static const char *const key_env[] = { "OPENAI_API_KEY", NULL };
static const char *const url_env[] = { "OPENAI_BASE_URL", NULL };

static struct body_rules rules_of(const struct backend_config *c, const json_t *effective)
{
	bool local = c->dialect != BACKEND_OPENAI, text = body_is(effective, "completion");

	return (struct body_rules){
		.fields = text ? (local ? local_text_fields : text_fields)
			       : (local ? local_chat_fields : chat_fields),
		.endpoints = endpoints,
		.message_members = members,
		.tool_members = members,
		.stop_max = local ? 0 : 4,
	};
}

static int check(const struct backend_config *c, json_t *effective, json_t *dropped, bool lossy,
		 struct err *e)
{
	struct body_check k = { c, effective, dropped, lossy, e };
	struct body_rules r = rules_of(c, effective);

	return body_check(&k, &r);
}

static bool set(json_t *body, const char *name, json_t *take_value)
{
	return json_object_set_new(body, name, take_value) == 0;
}

static bool set_max_tokens(const struct backend_config *c, json_t *body, const json_t *effective)
{
	json_t *max = json_object_get(effective, "max_tokens");
	bool new_name = c->dialect == BACKEND_OPENAI && c->at.default_url &&
			!body_is(effective, "completion");

	return !max ||
	       set(body, new_name ? "max_completion_tokens" : "max_tokens", json_incref(max));
}

/* /completions has one number where chat has a switch and a number. */
static bool set_logprobs(json_t *body, const json_t *effective)
{
	json_t *on = json_object_get(effective, "logprobs");
	json_t *top = json_object_get(effective, "top_logprobs");

	if (body_is(effective, "completion"))
		return !json_is_true(on) ||
		       set(body, "logprobs", top ? json_incref(top) : json_integer(0));
	return (!on || set(body, "logprobs", json_incref(on))) &&
	       (!top || set(body, "top_logprobs", json_incref(top)));
}

static int build(const struct backend_config *c, const json_t *effective, const json_t *images,
		 struct backend_body *out, struct err *e)
{
	struct body_rules r = rules_of(c, effective);
	json_t *body = body_begin(effective, &r, c->dialect != BACKEND_OPENAI);

	if (body && !(set(body, "stream_options", json_pack("{s:b}", "include_usage", 1)) &&
		      set_max_tokens(c, body, effective) && set_logprobs(body, effective))) {
		json_decref(body);
		body = NULL;
	}
	(void)images;
	(void)str_copy(out->path, sizeof(out->path), /* fits */
		       body_is(effective, "completion") ? "/completions" : "/chat/completions");
	return body_finish(c, body, effective, out, e);
}

const struct backend_type openai_type = {
	.size = sizeof(struct backend_type),
	.api = BACKEND_API,
	.name = "openai",
	.url = "https://api.openai.com/v1",
	.key_env = key_env,
	.url_env = url_env,
	.names_with_slash = true,
	.free_by_default = false,
	.framing = BACKEND_SSE,
	.check = check,
	.build = build,
	.reply_new = dialect_new,
	.event = dialect_event,
	.end = dialect_end,
	.reply_free = dialect_free,
	.error = failure_reply,
};
