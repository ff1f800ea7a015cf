/*
 * infer/openai.c - OpenAI and the servers that speak its API: vLLM, llama.cpp and others
 *
 * Bodies are written by openai_body.c and openai_responses.c, answers read by openai_reply.c; what only
 * OpenAI's own models refuse is known to openai_model.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "infer/failure.h"
#include "infer/modelcard.h"
#include "infer/openai_body.h"
#include "infer/openai_model.h"
#include "infer/openai_reply.h"
#include "infer/openai_responses.h"
#include "infer/registry.h"

#include "base/banned.h"

static const char *const key_env[] = { "OPENAI_API_KEY", NULL };
static const char *const url_env[] = { "OPENAI_BASE_URL", NULL };

/* An empty list of stop strings and a penalty of 0 ask for nothing, and can be expressed by leaving them out. */
static bool asks_nothing(const json_t *v, const char *field)
{
	double d = json_number_value(v);

	return (json_is_array(v) && json_array_size(v) == 0) ||
	       (strstr(field, "_penalty") && d >= 0 && d <= 0);
}

/* Tools with reasoning on newer models are refused in chat; the change is part of the key, so it is made
 * before anything is hashed. */
static int choose_responses(const struct body_check *k)
{
	static const char *const lost[] = { "stop", "seed", "logit_bias", "presence_penalty",
					    "frequency_penalty" };
	int rc = 0;

	if (json_object_set_new(k->effective, "endpoint", json_string("responses")))
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]) && !rc; i++) {
		const json_t *v = json_object_get(k->effective, lost[i]);

		if (asks_nothing(v, lost[i]))
			(void)json_object_del(k->effective, lost[i]); /* may be absent */
		else if (v)
			rc = body_refuse(k, lost[i],
					 "tools of this model need /responses, which has none; or "
					 "set reasoning_effort to none");
	}
	return rc;
}

static int check(const struct backend_config *c, json_t *effective, json_t *dropped, bool lossy,
		 struct err *e)
{
	struct body_check k = { c, effective, dropped, lossy, e };
	struct body_rules r;
	bool here = openai_model_here(c);
	int rc = 0;

	if (here && body_is(effective, "chat") && openai_model_wants_responses(effective))
		rc = choose_responses(&k);
	if (!rc && here && (body_is(effective, "chat") || body_is(effective, "responses")))
		rc = openai_model_check(&k);
	if (rc)
		return rc;
	r = body_is(effective, "responses") ? openai_responses_rules()
					    : openai_body_rules(c, effective);
	return body_check(&k, &r);
}

static int build(const struct backend_config *c, const struct backend_ask *ask,
		 struct backend_body *out, struct err *e)
{
	if (body_is(ask->effective, "responses"))
		return openai_responses_build(c, ask, out, e);
	return openai_body_build(c, ask, out, e);
}

/* ---- the model list ---- */

static void add_parameters(json_t *card, const json_t *count)
{
	double n = json_number_value(count);
	char text[32];

	if (n < 1e6)
		(void)snprintf(text, sizeof(text), "%.0fK", n / 1e3);
	else if (n < 1e9)
		(void)snprintf(text, sizeof(text), "%.1fM", n / 1e6);
	else
		(void)snprintf(text, sizeof(text), "%.1fB", n / 1e9);
	if (n >= 1) {
		json_t *v = json_string(text);

		modelcard_set(card, "parameters", v);
		json_decref(v);
	}
}

/* OpenAI tells little; vLLM and llama.cpp add what they loaded. */
static void add_model(json_t *out, const json_t *item)
{
	json_t *card = modelcard_add(out, json_object_get(item, "id"));
	const json_t *meta = json_object_get(item, "meta"), *way;
	size_t i;

	if (!card)
		return;
	modelcard_set(card, "created", json_object_get(item, "created"));
	modelcard_set(card, "owned_by", json_object_get(item, "owned_by"));
	modelcard_set(card, "deprecated", json_object_get(item, "shutdown_date"));
	modelcard_set(card, "context_tokens", json_object_get(item, "max_model_len"));
	modelcard_set(card, "context_tokens", json_object_get(meta, "n_ctx_train"));
	modelcard_set(card, "size_bytes", json_object_get(meta, "size"));
	add_parameters(card, json_object_get(meta, "n_params"));
	json_array_foreach(json_object_get(json_object_get(item, "architecture"),
					   "input_modalities"),
			   i, way) {
		if (json_is_string(way) && strcmp(json_string_value(way), "image") == 0)
			modelcard_can(card, "images");
	}
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
	.numbers = { .samples_max = openai_body_samples },
	.build = build,
	.reply_new = openai_reply_new,
	.event = openai_reply_event,
	.end = openai_reply_end,
	.reply_free = openai_reply_free,
	.error = failure_reply,
	.models = { .path = "/models", .read = models },
};
