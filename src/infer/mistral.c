/*
 * infer/mistral.c - Mistral's API: chat, fill-in-the-middle, embeddings
 *
 * It refuses fields it does not know, so nothing is sent that is not in its schema: no stream_options, no
 * top_k, no logprobs. Usage comes without being asked for. Its answers are read by dialect.c.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "infer/content.h"
#include "infer/dialect.h"
#include "infer/failure.h"
#include "infer/mistral_messages.h"
#include "infer/modelcard.h"
#include "infer/registry.h"

#include "base/banned.h"

#define COMMON_FIELDS                                                               \
	{ "temperature", "temperature" }, { "top_p", "top_p" }, { "stop", "stop" }, \
		{ "max_tokens", "max_tokens" },                                     \
	{                                                                           \
		"seed", "random_seed"                                               \
	}

static const struct body_field chat_fields[] = { COMMON_FIELDS,
						 { "presence_penalty", "presence_penalty" },
						 { "frequency_penalty", "frequency_penalty" },
						 { "response_format", "response_format" },
						 { "tools", "tools" },
						 { "tool_choice", "tool_choice" },
						 { "parallel_tool_calls", "parallel_tool_calls" },
						 { "reasoning_effort", "reasoning_effort" },
						 { NULL, NULL } };
static const struct body_field fim_fields[] = { COMMON_FIELDS,
						{ "suffix", "suffix" },
						{ NULL, NULL } };
static const struct body_field embedding_fields[] = { { "input", "input" },
						      { "dimensions", "output_dimension" },
						      { NULL, NULL } };
static const char *const endpoints[] = { "chat", "fim", "embedding", NULL };
/* only a tool's message has a name in the schema; reasoning becomes a chunk of the content */
static const char *const members[] = { "prefix", "tool_calls", "reasoning", NULL };
static const char *const tool_members[] = { "tool_call_id", "name", NULL };
static const char *const key_env[] = { "MISTRAL_API_KEY", NULL };

static struct body_rules rules_of(const json_t *effective)
{
	const struct body_field *fields = body_is(effective, "fim")	    ? fim_fields
					  : body_is(effective, "embedding") ? embedding_fields
									    : chat_fields;

	return (struct body_rules){ fields, endpoints, members, tool_members, 0 };
}

/* Which of them a model takes is not known; what is none of them is refused by all. */
static int check_effort(const struct body_check *k)
{
	static const char *const levels[] = { "none", "minimal", "low", "medium",
					      "high", "xhigh",	 NULL };
	const char *effort = json_string_value(json_object_get(k->effective, "reasoning_effort"));

	for (const char *const *level = levels; *level; level++)
		if (!effort || strcmp(*level, effort) == 0)
			return 0;
	return body_refuse(k, "reasoning_effort",
			   "its levels are none, minimal, low, medium, high, xhigh");
}

static int check(const struct backend_config *c, json_t *effective, json_t *dropped, bool lossy,
		 struct err *e)
{
	struct body_check k = { c, effective, dropped, lossy, e };
	struct body_rules rules = rules_of(effective);
	const json_t *seed = json_object_get(effective, "seed");
	int rc = body_at_most(&k, "temperature", 1.5);

	if (!rc && json_is_integer(seed) && json_integer_value(seed) < 0)
		rc = body_refuse(&k, "seed", "it must be 0 or more there");
	if (!rc)
		rc = check_effort(&k);
	return rc ? rc : body_check(&k, &rules);
}

/* Copies: the effective request is what was hashed. */
static bool fill_tools(json_t *body)
{
	const json_t *tools = json_object_get(body, "tools"), *tool;
	json_t *out = json_array_size(tools) ? json_array() : NULL;
	size_t i;

	json_array_foreach(tools, i, tool) {
		json_t *f = json_copy(json_object_get(tool, "function"));

		if (json_object_set_new(f, "parameters", content_parameters(f)) ||
		    json_array_append_new(out, json_pack("{s:s, s:o*}", "type", "function",
							 "function", f))) {
			json_decref(out);
			return false;
		}
	}
	return !out || json_object_set_new(body, "tools", out) == 0;
}

static bool fill(json_t *body, const json_t *effective, const json_t *images)
{
	if (body_is(effective, "embedding"))
		(void)json_object_del(body, "stream"); /* not in this call's schema */
	return !body_is(effective, "chat") ||
	       (mistral_messages_fill(json_object_get(body, "messages"), images) == 0 &&
		fill_tools(body));
}

static const char *path_of(const json_t *effective)
{
	if (body_is(effective, "embedding"))
		return "/v1/embeddings";
	return body_is(effective, "fim") ? "/v1/fim/completions" : "/v1/chat/completions";
}

/* The schema names no largest number; fill-in-the-middle has none at all. */
static unsigned samples_max(const struct backend_config *c, const json_t *effective)
{
	(void)c;
	if (!body_is(effective, "chat") || body_greedy(effective))
		return 1;
	return body_samples(effective, BACKEND_SAMPLES_MAX);
}

static int build(const struct backend_config *c, const struct backend_ask *ask,
		 struct backend_body *out, struct err *e)
{
	const json_t *effective = ask->effective, *images = ask->images;
	struct body_rules rules = rules_of(effective);
	int rc = content_images_there(c, effective, images, e);
	json_t *body;

	if (rc)
		return rc;
	body = body_begin(effective, &rules, true);
	if (body && (!fill(body, effective, images) ||
		     (ask->n > 1 && json_object_set_new(body, "n", json_integer(ask->n))))) {
		json_decref(body);
		body = NULL;
	}
	(void)str_copy(out->path, sizeof(out->path), path_of(effective)); /* fits */
	return body_finish(c, body, effective, out, e);
}

/* ---- the model list ---- */

static void add_model(json_t *out, const json_t *item)
{
	static const char *const can[][2] = { { "completion_chat", "chat" },
					      { "completion_fim", "fim" },
					      { "function_calling", "tools" },
					      { "vision", "images" },
					      { "reasoning", "reasoning" } };
	json_t *card = modelcard_add(out, json_object_get(item, "id"));
	const json_t *has = json_object_get(item, "capabilities");

	if (!card)
		return;
	modelcard_set(card, "created", json_object_get(item, "created"));
	modelcard_set(card, "owned_by", json_object_get(item, "owned_by"));
	modelcard_set(card, "context_tokens", json_object_get(item, "max_context_length"));
	modelcard_set(card, "deprecated", json_object_get(item, "deprecation"));
	for (size_t i = 0; i < sizeof(can) / sizeof(can[0]); i++)
		if (json_is_true(json_object_get(has, can[i][0])))
			modelcard_can(card, can[i][1]);
}

static int models(const struct backend_config *c, const json_t *page, json_t *out,
		  char next[BACKEND_NEXT_MAX], struct err *e)
{
	const json_t *list, *item;
	size_t i;
	int rc = modelcard_list(c, page, "data", &list, e);

	if (rc)
		return rc;
	json_array_foreach(list, i, item) {
		add_model(out, item);
	}
	next[0] = '\0';
	return 0;
}

const struct backend_type mistral_type = {
	.size = sizeof(struct backend_type),
	.api = BACKEND_API,
	.name = "mistral",
	.url = "https://api.mistral.ai",
	.key_env = key_env,
	.url_env = NULL,
	.names_with_slash = false,
	.free_by_default = false,
	.framing = BACKEND_SSE,
	.check = check,
	.numbers = { .samples_max = samples_max },
	.build = build,
	.reply_new = dialect_new,
	.event = dialect_event,
	.end = dialect_end,
	.reply_free = dialect_free,
	.error = failure_reply,
	.models = { .path = "/v1/models", .read = models },
};
