/*
 * infer/ollama.c - Ollama's own API: what it can be asked, its errors, its models
 *
 * Its own and not its imitation of OpenAI's, because only this one has the context length, keep_alive, top_k,
 * fill-in-the-middle and a word for every model that is there. Bodies are written by ollama_body.c, answers
 * read by ollama_reply.c.
 */
#include <errno.h>
#include <string.h>

#include "infer/content.h"
#include "infer/failure.h"
#include "infer/modelcard.h"
#include "infer/ollama_body.h"
#include "infer/ollama_reply.h"
#include "infer/registry.h"

#include "base/banned.h"

/* all written by ollama_body.c */
#define OPTION_FIELDS                                                                     \
	{ "temperature", NULL }, { "top_p", NULL }, { "top_k", NULL }, { "min_p", NULL }, \
		{ "seed", NULL }, { "stop", NULL }, { "max_tokens", NULL },               \
		{ "presence_penalty", NULL },                                             \
	{                                                                                 \
		"frequency_penalty", NULL                                                 \
	}
#define ANSWER_FIELDS                                      \
	{ "response_format", NULL }, { "logprobs", NULL }, \
	{                                                  \
		"top_logprobs", NULL                       \
	}

static const struct body_field chat_fields[] = { OPTION_FIELDS,
						 ANSWER_FIELDS,
						 { "tools", NULL },
						 { "tool_choice", NULL },
						 { "parallel_tool_calls", NULL },
						 { "reasoning_effort", NULL },
						 { NULL, NULL } };
static const struct body_field text_fields[] = { OPTION_FIELDS, ANSWER_FIELDS, { NULL, NULL } };
static const struct body_field fim_fields[] = { OPTION_FIELDS,
						ANSWER_FIELDS,
						{ "suffix", NULL },
						{ NULL, NULL } };
static const struct body_field embedding_fields[] = { { "input", NULL },
						      { "dimensions", NULL },
						      { NULL, NULL } };

static const char *const endpoints[] = { "chat", "completion", "fim", "embedding", NULL };
static const char *const members[] = { "tool_calls", "reasoning", NULL };
static const char *const tool_members[] = { "tool_call_id", "name", NULL };
static const char *const key_env[] = { "OLLAMA_API_KEY", NULL };
static const char *const url_env[] = { "OLLAMA_HOST", NULL };

static struct body_rules rules_of(const json_t *effective)
{
	const struct body_field *fields = body_is(effective, "completion")  ? text_fields
					  : body_is(effective, "fim")	    ? fim_fields
					  : body_is(effective, "embedding") ? embedding_fields
									    : chat_fields;

	return (struct body_rules){ fields, endpoints, members, tool_members, 0 };
}

/* ---- what cannot be expressed ---- */

static bool is_one_of(const json_t *v, const char *const *words)
{
	const char *text = json_string_value(v);

	for (; text && *words; words++)
		if (strcmp(*words, text) == 0)
			return true;
	return false;
}

static int check_tools(const struct body_check *k)
{
	static const char *const choices[] = { "auto", "none", NULL };
	const json_t *choice = json_object_get(k->effective, "tool_choice");
	const json_t *many = json_object_get(k->effective, "parallel_tool_calls");
	int rc = choice && !is_one_of(choice, choices)
			 ? body_refuse(k, "tool_choice",
				       "its models choose themselves: auto or none")
			 : 0;

	if (!rc)
		rc = body_no_strict(k);
	if (!rc && json_is_false(many) && body_offers(k->effective))
		rc = body_refuse(k, "parallel_tool_calls", "how many calls come is not its choice");
	return rc;
}

static int check_effort(const struct body_check *k)
{
	static const char *const levels[] = { "none", "low", "medium", "high", "max", NULL };
	const json_t *effort = json_object_get(k->effective, "reasoning_effort");

	if (!effort || is_one_of(effort, levels))
		return 0;
	return body_refuse(k, "reasoning_effort", "its levels are none, low, medium, high, max");
}

static int check(const struct backend_config *c, json_t *effective, json_t *dropped, bool lossy,
		 struct err *e)
{
	struct body_check k = { c, effective, dropped, lossy, e };
	struct body_rules rules = rules_of(effective);
	static const char *const media[] = { "image/png", "image/jpeg", "image/webp", NULL };
	static const struct content_images takes = { false, false, media };
	int rc = body_check(&k, &rules);

	if (!rc)
		rc = content_images(&k, &takes);
	if (!rc)
		rc = check_tools(&k);
	if (!rc)
		rc = check_effort(&k);
	return rc ? rc : content_calls(&k);
}

/* ---- errors ---- */

static bool error(const struct backend_config *c, const struct backend_failure *f, struct err *e)
{
	static const struct failure_advice advice[] = {
		{ ERR_NOT_FOUND, "download the model with `ollama pull`, or check its name" },
		{ ERR_CONTEXT, "shorten the request, or ask for more context: extra_body "
			       "{\"options\": {\"num_ctx\": N}}" },
		{ ERR_KEY_REJECTED, "sign in with `ollama signin`, or set OLLAMA_API_KEY" },
		{ ERR_NONE, NULL },
	};

	return failure_reply_advised(c, f, advice, e);
}

/* ---- the model list ---- */

static void add_abilities(json_t *card, const json_t *words)
{
	static const char *const can[][2] = {
		{ "completion", "chat" },   { "completion", "completion" },
		{ "insert", "fim" },	    { "embedding", "embedding" },
		{ "tools", "tools" },	    { "vision", "images" },
		{ "thinking", "reasoning" }
	};
	const json_t *word;
	size_t i;

	json_array_foreach(words, i, word) {
		for (size_t k = 0; k < sizeof(can) / sizeof(can[0]); k++)
			if (json_is_string(word) && strcmp(json_string_value(word), can[k][0]) == 0)
				modelcard_can(card, can[k][1]);
	}
}

static void add_details(json_t *card, const json_t *details)
{
	modelcard_set(card, "family", json_object_get(details, "family"));
	modelcard_set(card, "parameters", json_object_get(details, "parameter_size"));
	modelcard_set(card, "quantization", json_object_get(details, "quantization_level"));
}

/* What /api/show knows of one model besides is asked for when that one is looked at: see show. */
static void add_model(json_t *out, const json_t *item)
{
	const json_t *details = json_object_get(item, "details"), *id;
	json_t *card;

	id = json_object_get(item, "name");
	card = modelcard_add(out, id ? id : json_object_get(item, "model"));
	if (!card)
		return;
	modelcard_set(card, "size_bytes", json_object_get(item, "size"));
	modelcard_set(card, "context_tokens", json_object_get(details, "context_length"));
	add_details(card, details);
	add_abilities(card, json_object_get(item, "capabilities"));
}

static int models(const struct backend_config *c, const json_t *page, json_t *out,
		  char next[BACKEND_NEXT_MAX], struct err *e)
{
	const json_t *list, *item;
	size_t i;
	int rc = modelcard_list(c, page, "models", &list, e);

	if (rc)
		return rc;
	json_array_foreach(list, i, item) {
		add_model(out, item);
	}
	next[0] = '\0';
	return 0;
}

/* ---- one model ---- */

/* A number where it reads as one; a text may stand in quotes, with \n and the like. */
static json_t *value_of(const char *s, size_t n)
{
	json_t *v = json_loadb(s, n, JSON_DECODE_ANY, NULL);

	if (json_is_number(v) || json_is_string(v) || json_is_boolean(v))
		return v;
	json_decref(v);
	return json_stringn(s, n);
}

/* What stands there several times (stop) is a list. */
static void add_default(json_t *defaults, const char *name, json_t *take_value)
{
	json_t *known = json_object_get(defaults, name), *list;

	if (known && !json_is_array(known)) {
		list = json_pack("[O]", known);
		known = json_object_set_new(defaults, name, list) ? NULL : list;
	}
	if (known)
		(void)json_array_append_new(known, take_value); /* one less at worst */
	else
		(void)json_object_set_new(defaults, name, take_value);
}

/* "num_ctx    4096\nstop    \"<|end|>\"\n": a line each, the name up to the first blank */
static json_t *defaults_of(const char *text)
{
	json_t *out = json_object();
	char name[64];

	while (*text) {
		size_t line = strcspn(text, "\n"), word = strcspn(text, " \t\n");
		size_t from = word + strspn(text + word, " \t"), to = line;

		while (to > from && strchr(" \t\r", text[to - 1]))
			to--;
		if (word && word < sizeof(name) && to > from) {
			memcpy(name, text, word);
			name[word] = '\0';
			add_default(out, name, value_of(text + from, to - from));
		}
		text += line + (text[line] == '\n');
	}
	if (json_object_size(out))
		return out;
	json_decref(out);
	return NULL;
}

static void add_context(json_t *card, const json_t *info)
{
	const char *family = json_string_value(json_object_get(info, "general.architecture"));
	char name[128];

	if (family && strlen(family) < 64) {
		(void)snprintf(name, sizeof(name), "%s.context_length", family);
		modelcard_set(card, "context_tokens", json_object_get(info, name));
	}
}

static void show(const json_t *answer, json_t *card)
{
	const char *text = json_string_value(json_object_get(answer, "parameters"));
	json_t *defaults = text ? defaults_of(text) : NULL;

	add_details(card, json_object_get(answer, "details"));
	add_context(card, json_object_get(answer, "model_info"));
	add_abilities(card, json_object_get(answer, "capabilities"));
	if (defaults)
		(void)json_object_set_new(card, "defaults", defaults); /* not told, at worst */
}

static const struct backend_detail details_of_one = { "/api/show", show };
static const struct backend_manage management = { "/api/pull", "/api/delete", "/api/ps" };

const struct backend_type ollama_type = {
	.size = sizeof(struct backend_type),
	.api = BACKEND_API,
	.name = "ollama",
	.url = "http://127.0.0.1:11434",
	.key_env = key_env,
	.url_env = url_env,
	.names_with_slash = true,
	.free_by_default = true,
	.framing = BACKEND_NDJSON,
	.check = check,
	.build = ollama_body_build,
	.reply_new = ollama_reply_new,
	.event = ollama_reply_event,
	.end = ollama_reply_end,
	.reply_free = ollama_reply_free,
	.error = error,
	.models = { .path = "/api/tags",
		    .read = models,
		    .manage = &management,
		    .detail = &details_of_one },
};
