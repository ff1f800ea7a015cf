/*
 * infer/openai_body.c - bodies for OpenAI's calls and for the servers that imitate them
 *
 * max_completion_tokens goes where OpenAI's dialect is spoken: its reasoning models refuse max_tokens. Older
 * compatible servers do not know the new name: dialect = vllm, or another provider, has the old one.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "infer/content.h"
#include "infer/openai_body.h"
#include "infer/openai_model.h"
#include "infer/parts.h"

#include "base/banned.h"

enum { SLOTS = 4 };

#define FIELD(name)        \
	{                  \
		name, name \
	}
#define SAMPLING_FIELDS                                                     \
	FIELD("temperature"), FIELD("top_p"), FIELD("stop"), FIELD("seed"), \
		FIELD("presence_penalty"), FIELD("frequency_penalty"), FIELD("logit_bias")
#define COUNTED_FIELDS                                \
	{ "max_tokens", NULL }, { "logprobs", NULL }, \
	{                                             \
		"top_logprobs", NULL                  \
	}
#define CHAT_FIELDS                                                         \
	FIELD("tools"), FIELD("tool_choice"), FIELD("parallel_tool_calls"), \
		FIELD("response_format"),                                   \
	{                                                                   \
		"reasoning_effort", NULL                                    \
	}
#define LOCAL_FIELDS FIELD("top_k"), FIELD("min_p")
#define NO_MORE            \
	{                  \
		NULL, NULL \
	}

static const struct body_field chat_fields[] = { SAMPLING_FIELDS, COUNTED_FIELDS, CHAT_FIELDS,
						 NO_MORE };
static const struct body_field local_chat_fields[] = { SAMPLING_FIELDS, COUNTED_FIELDS, CHAT_FIELDS,
						       LOCAL_FIELDS, NO_MORE };
static const struct body_field text_fields[] = { SAMPLING_FIELDS, COUNTED_FIELDS, NO_MORE };
static const struct body_field local_text_fields[] = { SAMPLING_FIELDS, COUNTED_FIELDS,
						       LOCAL_FIELDS, NO_MORE };
static const struct body_field fim_fields[] = { SAMPLING_FIELDS, COUNTED_FIELDS, FIELD("suffix"),
						NO_MORE };
/* llama.cpp's own call has names of its own */
static const struct body_field infill_fields[] = { SAMPLING_FIELDS,
						   { "max_tokens", "n_predict" },
						   { "suffix", "input_suffix" },
						   LOCAL_FIELDS,
						   NO_MORE };
static const struct body_field embedding_fields[] = { FIELD("input"), FIELD("dimensions"),
						      NO_MORE };

static const char *const endpoints[] = { "chat", "completion", "fim", "embedding", NULL };
/* vLLM takes no suffix */
static const char *const vllm_endpoints[] = { "chat", "completion", "embedding", NULL };
static const char *const members[] = { "name", "tool_calls", "tool_call_id", "refusal", NULL };
/* models that think are shown their own thoughts again by the chat template */
static const char *const local_members[] = { "name",	"tool_calls", "tool_call_id",
					     "refusal", "reasoning",  NULL };

struct body_rules openai_body_rules(const struct backend_config *c, const json_t *effective)
{
	bool local = c->dialect != BACKEND_OPENAI;
	struct body_rules r = {
		.fields = local ? local_chat_fields : chat_fields,
		.endpoints = c->dialect == BACKEND_VLLM ? vllm_endpoints : endpoints,
		.message_members = local ? local_members : members,
		.tool_members = members,
		.stop_max = local ? 0 : 4,
	};

	if (body_is(effective, "completion"))
		r.fields = local ? local_text_fields : text_fields;
	else if (body_is(effective, "embedding"))
		r.fields = embedding_fields;
	else if (body_is(effective, "fim"))
		r.fields = c->dialect == BACKEND_LLAMACPP ? infill_fields : fim_fields;
	return r;
}

/* llama.cpp refuses more than it has slots, of which it makes four when nobody says how many. vLLM, and what is
 * built on it, refuses several samples of the likeliest tokens, which would be equal anyway. */
unsigned openai_body_samples(const struct backend_config *c, const json_t *effective)
{
	unsigned max = c->dialect == BACKEND_LLAMACPP ? SLOTS : BACKEND_SAMPLES_MAX;

	if (!body_is(effective, "chat") && !body_is(effective, "completion"))
		return 1;
	if (!c->at.default_url && c->dialect != BACKEND_LLAMACPP && body_greedy(effective))
		return 1;
	return body_samples(effective, max);
}

static bool set(json_t *body, const char *name, json_t *take_value)
{
	return json_object_set_new(body, name, take_value) == 0;
}

static bool set_max_tokens(const struct backend_config *c, json_t *body, const json_t *effective)
{
	json_t *max = json_object_get(effective, "max_tokens");
	bool new_name = openai_model_here(c) && body_is(effective, "chat");

	return !max ||
	       set(body, new_name ? "max_completion_tokens" : "max_tokens", json_incref(max));
}

/* /completions has one number where chat has a switch and a number. */
static bool set_logprobs(json_t *body, const json_t *effective)
{
	json_t *on = json_object_get(effective, "logprobs");
	json_t *top = json_object_get(effective, "top_logprobs");

	if (!body_is(effective, "chat"))
		return !json_is_true(on) ||
		       set(body, "logprobs", top ? json_incref(top) : json_integer(0));
	return (!on || set(body, "logprobs", json_incref(on))) &&
	       (!top || set(body, "top_logprobs", json_incref(top)));
}

/* Open models are told to think, or not to, through their chat template; "none" is no word of theirs. */
static bool set_effort(const struct backend_config *c, json_t *body, const json_t *effective)
{
	json_t *effort = json_object_get(effective, "reasoning_effort");
	bool thinks = !effort || strcmp(json_string_value(effort), "none") != 0;

	if (!effort)
		return true;
	if (c->dialect == BACKEND_OPENAI)
		return set(body, "reasoning_effort", json_incref(effort));
	return set(body, "chat_template_kwargs", json_pack("{s:b}", "enable_thinking", thinks)) &&
	       (!thinks || set(body, "reasoning_effort", json_incref(effort)));
}

/* OpenAI's reasoning models call the system's role by another name; llama.cpp the thoughts. */
static bool rename_in_messages(const struct backend_config *c, json_t *messages, bool developer)
{
	json_t *m, *thoughts;
	size_t i;

	json_array_foreach(messages, i, m) {
		const char *role = json_string_value(json_object_get(m, "role"));

		if (developer && role && strcmp(role, "system") == 0 &&
		    !set(m, "role", json_string("developer")))
			return false;
		/* a result is known by its id there, and has no name */
		if (openai_model_here(c) && role && strcmp(role, "tool") == 0)
			(void)json_object_del(m, "name"); /* may be absent */
		thoughts = json_object_get(m, "reasoning");
		if (c->dialect != BACKEND_LLAMACPP || !thoughts)
			continue;
		if (!set(m, "reasoning_content", json_incref(thoughts)))
			return false;
		(void)json_object_del(m, "reasoning"); /* it is there */
	}
	return true;
}

/* Google's imitation of this API wants its signatures back; OpenAI itself gives none here. */
static bool fill_chat(const struct backend_config *c, json_t *body, const json_t *effective,
		      const json_t *images)
{
	json_t *messages = json_object_get(body, "messages");
	bool here = openai_model_here(c),
	     google = c->dialect == BACKEND_OPENAI && !c->at.default_url;

	return parts_openai(messages, images, google ? "google" : NULL) == 0 &&
	       rename_in_messages(c, messages, here && openai_model_reasons(effective)) &&
	       set_effort(c, body, effective);
}

/* Bytes of floats are a quarter of their digits, and exact; OpenAI's own client asks for them. Its imitators may
 * have numbers only, which is what they give when nothing is said. */
static bool fill_embedding(const struct backend_config *c, json_t *body)
{
	(void)json_object_del(body, "stream"); /* set by body_begin */
	return !openai_model_here(c) || set(body, "encoding_format", json_string("base64"));
}

static bool fill_infill(json_t *body, const json_t *effective)
{
	return set(body, "input_prefix", json_incref(json_object_get(effective, "prompt"))) &&
	       set(body, "prompt", json_string("")) &&
	       (json_object_get(body, "input_suffix") ||
		set(body, "input_suffix", json_string("")));
}

/* The server's own calls are beside /v1, not below it. */
static const char *infill_path(const struct backend_config *c)
{
	return c->at.url && str_ends(c->at.url, "/v1") ? "/../infill" : "/infill";
}

/* Every list goes as it is written, but OpenAI itself refuses an empty one, and a word about calls where no
 * tool is offered. Both ask for nothing. */
static void leave_out(json_t *body, const json_t *effective)
{
	static const char *const calls[] = { "tools", "tool_choice", "parallel_tool_calls" };

	if (!json_array_size(json_object_get(body, "stop")))
		(void)json_object_del(body, "stop"); /* may be absent */
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !body_offers(effective); i++)
		(void)json_object_del(body, calls[i]); /* as above */
}

static const char *fill(const struct backend_config *c, json_t *body, const json_t *effective,
			const json_t *images, bool *out_good)
{
	if (body_is(effective, "embedding")) {
		*out_good = fill_embedding(c, body);
		return "/embeddings";
	}
	if (body_is(effective, "fim") && c->dialect == BACKEND_LLAMACPP) {
		*out_good = fill_infill(body, effective);
		return infill_path(c);
	}
	if (c->at.default_url)
		leave_out(body, effective);
	*out_good = set(body, "stream_options", json_pack("{s:b}", "include_usage", 1)) &&
		    set_max_tokens(c, body, effective) && set_logprobs(body, effective);
	if (!body_is(effective, "chat"))
		return "/completions";
	*out_good = *out_good && fill_chat(c, body, effective, images);
	return "/chat/completions";
}

int openai_body_build(const struct backend_config *c, const struct backend_ask *ask,
		      struct backend_body *out, struct err *e)
{
	const json_t *effective = ask->effective, *images = ask->images;
	struct body_rules r = openai_body_rules(c, effective);
	int rc = content_images_there(c, effective, images, e);
	json_t *body;
	bool good = false;

	if (rc)
		return rc;
	body = body_begin(effective, &r, c->dialect != BACKEND_OPENAI);
	if (body)
		(void)str_copy(out->path, sizeof(out->path), /* fits */
			       fill(c, body, effective, images, &good));
	if (!good) {
		json_decref(body);
		body = NULL;
	}
	if (body && ask->n > 1 && !set(body, "n", json_integer(ask->n))) {
		json_decref(body);
		body = NULL;
	}
	return body_finish(c, body, effective, out, e);
}
