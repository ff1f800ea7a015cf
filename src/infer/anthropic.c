/*
 * infer/anthropic.c - Anthropic's Claude API
 *
 * Requests are written by anthropic_body.c, which chooses the API version for each; answers are read by
 * anthropic_reply.c.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strptime, timegm */
#endif
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/anthropic_body.h"
#include "infer/anthropic_model.h"
#include "infer/anthropic_reply.h"
#include "infer/content.h"
#include "infer/failure.h"
#include "infer/registry.h"

#include "base/banned.h"

static const char token_env[] = "ANTHROPIC_AUTH_TOKEN";
static const char *const key_env[] = { "ANTHROPIC_API_KEY", token_env, NULL };
static const char *const url_env[] = { "ANTHROPIC_BASE_URL", NULL };

/* A token is not a key: it was made for the usual header. */
static int auth(const struct backend_endpoint *at, struct buf *out)
{
	bool token = at->key_from && strcmp(at->key_from, token_env) == 0;

	return buf_addf(out, token ? "Authorization: Bearer %s" : "x-api-key: %s", at->key);
}

/* ---- models ---- */

struct ability {
	const char *theirs, *ours;
};

static const struct ability abilities[] = { { "image_input", "images" },
					    { "thinking", "reasoning" },
					    { "batch", "batch" } };

/* {"supported": true, ...}, or only true */
static bool is_able(const json_t *capabilities, const char *name)
{
	const json_t *v = json_object_get(capabilities, name);

	return json_is_true(v) || json_is_true(json_object_get(v, "supported"));
}

static json_t *words_of(const json_t *model)
{
	const json_t *capabilities = json_object_get(model, "capabilities");
	json_t *words = json_pack("[s]", "chat");
	int rc = words ? 0 : -1;

	for (size_t i = 0; i < ARRAY_LEN(abilities); i++)
		if (is_able(capabilities, abilities[i].theirs))
			rc |= json_array_append_new(words, json_string(abilities[i].ours));
	if (!rc)
		return words;
	json_decref(words);
	return NULL;
}

/* "2026-02-04T00:00:00Z" as seconds; -1 */
static int64_t seconds_of(const char *text)
{
	struct tm tm = { 0 };

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return -1;
	return timegm(&tm);
}

static int set_number(json_t *card, const char *name, const json_t *v)
{
	return json_is_integer(v) ? json_object_set(card, name, (json_t *)(uintptr_t)v) : 0;
}

static json_t *card_of(const json_t *model, const json_t *id)
{
	const char *lifecycle = json_string_value(json_object_get(model, "lifecycle"));
	int64_t created = seconds_of(json_string_value(json_object_get(model, "created_at")));
	json_t *card = json_pack("{s:O, s:o}", "id", id, "capabilities", words_of(model));
	int rc = card ? 0 : -1;

	rc |= set_number(card, "context_tokens", json_object_get(model, "max_input_tokens"));
	rc |= set_number(card, "max_output_tokens", json_object_get(model, "max_tokens"));
	if (created > 0)
		rc |= json_object_set_new(card, "created", json_integer(created));
	if (lifecycle && strcmp(lifecycle, "active") != 0)
		rc |= json_object_set_new(card, "deprecated", json_true());
	if (!rc)
		return card;
	json_decref(card);
	return NULL;
}

static int models(const struct backend_config *c, const json_t *page, json_t *out,
		  char next[BACKEND_NEXT_MAX], struct err *e)
{
	const char *last = json_string_value(json_object_get(page, "last_id"));
	const json_t *list = json_object_get(page, "data"), *model;
	AUTO_BUF struct buf query = BUF_INIT(BACKEND_NEXT_MAX - 1);
	size_t i;

	if (!json_is_array(list))
		return err_set(e, ERR_PROTOCOL, "the model list of %s has no member `data`",
			       c->name);
	json_array_foreach(list, i, model) {
		const json_t *id = json_object_get(model, "id");

		if (json_is_string(id) && json_array_append_new(out, card_of(model, id)))
			return err_set(e, ERR_INTERNAL, "no memory for the models of %s", c->name);
	}
	if (json_is_true(json_object_get(page, "has_more")) && last && *last) {
		(void)buf_adds(&query, "&after_id="); /* query.failed tells */
		content_escape(&query, last);
	}
	if (query.failed || !str_copy(next, BACKEND_NEXT_MAX, buf_str(&query)))
		return err_set(e, ERR_PROTOCOL, "the model list of %s has an id too long", c->name);
	return 0;
}

static void models_header(const struct backend_config *c, char out[BACKEND_HEADER_MAX])
{
	const char *version = c->at.api_version ? c->at.api_version : ANTHROPIC_BODY_NEW;

	(void)anthropic_body_header(c, version, out,
				    NULL); /* a version too long is refused there */
}

const struct backend_type anthropic_type = {
	.size = sizeof(struct backend_type),
	.api = BACKEND_API,
	.name = "anthropic",
	.url = "https://api.anthropic.com",
	.key_env = key_env,
	.url_env = url_env,
	.names_with_slash = false,
	.free_by_default = false,
	.framing = BACKEND_SSE,
	.check = anthropic_body_check,
	.build = anthropic_body_build,
	.reply_new = anthropic_reply_new,
	.event = anthropic_reply_event,
	.end = anthropic_reply_end,
	.reply_free = anthropic_reply_free,
	.error = failure_reply,
	.auth = auth,
	.numbers = { .default_max_tokens = anthropic_model_default },
	.models = { .path = "/v1/models?limit=1000", .read = models, .header = models_header },
};
