/*
 * infer/gemini.c - Google's Gemini API, the one with API keys
 *
 * The model stands in the path and the key in a header of its own. Requests are written by gemini_body.c,
 * answers are read by gemini_reply.c.
 */
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/content.h"
#include "infer/failure.h"
#include "infer/gemini_body.h"
#include "infer/gemini_model.h"
#include "infer/gemini_reply.h"
#include "infer/registry.h"

#include "base/banned.h"

static const char *const key_env[] = { "GOOGLE_API_KEY", "GEMINI_API_KEY", NULL };
static const char *const url_env[] = { "GOOGLE_GEMINI_BASE_URL", NULL };

static int auth(const struct backend_endpoint *at, struct buf *out)
{
	return buf_addf(out, "x-goog-api-key: %s", at->key);
}

/* what a method of a model means in our words */
struct method {
	const char *name, *word;
};

static const struct method methods[] = { { "generateContent", "chat" },
					 { "embedContent", "embedding" },
					 { "batchGenerateContent", "batch" } };

static bool has_method(const json_t *model, const char *method)
{
	const json_t *list = json_object_get(model, "supportedGenerationMethods"), *v;
	size_t i;

	json_array_foreach(list, i, v) {
		if (json_is_string(v) && strcmp(json_string_value(v), method) == 0)
			return true;
	}
	return false;
}

static json_t *capabilities(const json_t *model)
{
	json_t *words = json_array();
	int rc = words ? 0 : -1;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (has_method(model, methods[i].name))
			rc |= json_array_append_new(words, json_string(methods[i].word));
	if (json_is_true(json_object_get(model, "thinking")))
		rc |= json_array_append_new(words, json_string("reasoning"));
	if (!rc)
		return words;
	json_decref(words);
	return NULL;
}

static json_t *card(const json_t *model, const char *name)
{
	json_t *out = json_pack("{s:s, s:o}", "id", gemini_model_bare(name), "capabilities",
				capabilities(model));
	json_t *in = json_object_get(model, "inputTokenLimit");
	json_t *max = json_object_get(model, "outputTokenLimit");

	if ((json_is_integer(in) && json_object_set(out, "context_tokens", in)) ||
	    (json_is_integer(max) && json_object_set(out, "max_output_tokens", max))) {
		json_decref(out);
		return NULL;
	}
	return out;
}

static int models(const struct backend_config *c, const json_t *page, json_t *out,
		  char next[BACKEND_NEXT_MAX], struct err *e)
{
	const char *token = json_string_value(json_object_get(page, "nextPageToken"));
	const json_t *list = json_object_get(page, "models"), *model;
	AUTO_BUF struct buf query = BUF_INIT(BACKEND_NEXT_MAX - 1);
	size_t i;

	/* an account without models has no list at all */
	if (!json_is_object(page) || (list && !json_is_array(list)))
		return err_set(e, ERR_PROTOCOL, "the model list of %s has no member `models`",
			       c->name);
	json_array_foreach(list, i, model) {
		const char *name = json_string_value(json_object_get(model, "name"));

		if (name && json_array_append_new(out, card(model, name)))
			return err_set(e, ERR_INTERNAL, "no memory for the models of %s", c->name);
	}
	if (token && *token) {
		(void)buf_adds(&query, "&pageToken="); /* query.failed tells */
		content_escape(&query, token);
	}
	if (query.failed || !str_copy(next, BACKEND_NEXT_MAX, buf_str(&query)))
		return err_set(e, ERR_PROTOCOL, "the model list of %s has a page token too long",
			       c->name);
	return 0;
}

const struct backend_type gemini_type = {
	.size = sizeof(struct backend_type),
	.api = BACKEND_API,
	.name = "gemini",
	.url = "https://generativelanguage.googleapis.com",
	.key_env = key_env,
	.url_env = url_env,
	.names_with_slash = false,
	.free_by_default = false,
	.framing = BACKEND_SSE,
	.check = gemini_body_check,
	.numbers = { .samples_max = gemini_body_samples },
	.build = gemini_body_build,
	.reply_new = gemini_reply_new,
	.event = gemini_reply_event,
	.end = gemini_reply_end,
	.reply_free = gemini_reply_free,
	.error = failure_reply,
	.auth = auth,
	.models = { .path = "/v1beta/models?pageSize=1000", .read = models },
};
