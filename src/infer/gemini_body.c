/*
 * infer/gemini_body.c - the effective request as Gemini's JSON body
 */
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/body.h"
#include "infer/content.h"
#include "infer/gemini_body.h"
#include "infer/gemini_model.h"
#include "infer/gemini_turns.h"

#include "base/banned.h"

enum { BODY_MIB = 20, CANDIDATES_MAX = 8 };

static const struct body_field chat_fields[] = { { "temperature", "temperature" },
						 { "top_p", "topP" },
						 { "top_k", "topK" },
						 { "max_tokens", "maxOutputTokens" },
						 { "seed", "seed" },
						 { "presence_penalty", "presencePenalty" },
						 { "frequency_penalty", "frequencyPenalty" },
						 { "logprobs", "responseLogprobs" },
						 { "top_logprobs", "logprobs" },
						 { "stop", NULL },
						 { "tools", NULL },
						 { "tool_choice", NULL },
						 { "parallel_tool_calls", NULL },
						 { "response_format", NULL },
						 { "reasoning_effort", NULL },
						 { NULL, NULL } };
static const struct body_field embedding_fields[] = { { "input", NULL },
						      { "dimensions", "outputDimensionality" },
						      { NULL, NULL } };
static const char *const endpoints[] = { "chat", "embedding", NULL };
static const char *const members[] = { "tool_calls", NULL };
static const char *const tool_members[] = { "tool_call_id", "name", NULL };
static const char *const media[] = { "image/png",  "image/jpeg", "image/webp",
				     "image/heic", "image/heif", NULL };
static const struct content_images images_taken = { .url = false, .detail = true, .media = media };

static const struct body_rules chat_rules = { chat_fields, endpoints, members, tool_members, 5 };
static const struct body_rules embedding_rules = { embedding_fields, endpoints, members,
						   tool_members, 0 };

/* ---- what has no place ---- */

static const char *model_of(const json_t *effective)
{
	const char *model = json_string_value(json_object_get(effective, "model"));

	return model ? model : "";
}

static int check_numbers(const struct body_check *k)
{
	const json_t *seed = json_object_get(k->effective, "seed");
	json_int_t n = json_integer_value(seed);

	if (json_is_integer(seed) && (n < INT32_MIN || n > INT32_MAX)) {
		int rc = body_refuse(k, "seed", "it must fit in 32 bits there");

		if (rc)
			return rc;
	}
	return body_at_most(k, "temperature", 2);
}

/* A list of tools that all may be called at once is all it has. */
static int check_parallel(const struct body_check *k)
{
	if (!json_is_false(json_object_get(k->effective, "parallel_tool_calls")) ||
	    !body_offers(k->effective))
		return 0;
	return body_refuse(k, "parallel_tool_calls", "it cannot be kept from several calls");
}

static int check_tools(const struct body_check *k)
{
	int rc = body_no_strict(k);

	return rc ? rc : check_parallel(k);
}

static int check_effort(const struct body_check *k)
{
	const json_t *effort = json_object_get(k->effective, "reasoning_effort");
	struct gemini_model_thinking thinking;

	if (!json_is_string(effort) ||
	    gemini_model_thinking(model_of(k->effective), json_string_value(effort), &thinking))
		return 0;
	return body_refuse(k, "reasoning_effort", "this model has no such effort");
}

static int check_model(const struct body_check *k)
{
	AUTO_BUF struct buf path = BUF_INIT(BACKEND_PATH_MAX / 2);

	gemini_model_path(&path, model_of(k->effective), "");
	if (!path.failed && *gemini_model_bare(model_of(k->effective)))
		return 0;
	return err_field(k->e, ERR_REQUEST, "model", "%s: this cannot be the name of a model",
			 k->config->name);
}

static int check_chat(const struct body_check *k)
{
	int rc = body_check(k, &chat_rules);

	if (!rc)
		rc = check_numbers(k);
	if (!rc)
		rc = check_tools(k);
	if (!rc)
		rc = check_effort(k);
	if (!rc)
		rc = content_images(k, &images_taken);
	if (!rc)
		rc = content_calls(k);
	if (!rc)
		rc = gemini_turns_check(k);
	return rc ? rc : content_needed(k);
}

int gemini_body_check(const struct backend_config *c, json_t *effective, json_t *dropped,
		      bool lossy, struct err *e)
{
	struct body_check k = { c, effective, dropped, lossy, e };
	int rc = check_model(&k);

	if (rc)
		return rc;
	return body_is(effective, "embedding") ? body_check(&k, &embedding_rules) : check_chat(&k);
}

/* ---- chat ---- */

/* NULL is absence, and that is fine; failures of memory are kept until the end. */
static void put(json_t *o, const char *name, json_t *take_value, bool *failed)
{
	if (take_value && json_object_set_new(o, name, take_value))
		*failed = true;
}

static void put_format(json_t *config, const json_t *effective, bool *failed)
{
	const json_t *format = json_object_get(effective, "response_format");
	const char *type = json_string_value(json_object_get(format, "type"));

	if (!type || strcmp(type, "text") == 0)
		return;
	put(config, "responseMimeType", json_string("application/json"), failed);
	put(config, "responseJsonSchema", content_schema(effective, failed), failed);
}

/* The thoughts are asked for where thinking is: shown, they cost nothing more. */
static void put_thinking(json_t *config, const json_t *effective, bool *failed)
{
	const char *effort = json_string_value(json_object_get(effective, "reasoning_effort"));
	struct gemini_model_thinking t;

	if (!effort || !gemini_model_thinking(model_of(effective), effort, &t))
		return;
	if (t.level)
		put(config, "thinkingConfig",
		    json_pack("{s:s, s:b}", "thinkingLevel", t.level, "includeThoughts", 1),
		    failed);
	else if (t.budget > 0)
		put(config, "thinkingConfig",
		    json_pack("{s:i, s:b}", "thinkingBudget", t.budget, "includeThoughts", 1),
		    failed);
	else if (t.budget == 0)
		put(config, "thinkingConfig", json_pack("{s:i}", "thinkingBudget", 0), failed);
}

static json_t *generation_config(const json_t *effective, unsigned n, bool *failed)
{
	json_t *config = json_object(), *stop = json_object_get(effective, "stop");
	const char *detail = content_detail(effective);

	for (const struct body_field *f = chat_fields; f->name; f++)
		if (f->wire)
			put(config, f->wire, json_incref(json_object_get(effective, f->name)),
			    failed);
	if (stop)
		put(config, "stopSequences", json_incref(stop), failed);
	if (detail)
		put(config, "mediaResolution",
		    json_string(strcmp(detail, "low") == 0 ? "MEDIA_RESOLUTION_LOW"
							   : "MEDIA_RESOLUTION_HIGH"),
		    failed);
	if (n > 1)
		put(config, "candidateCount", json_integer(n), failed);
	put_format(config, effective, failed);
	put_thinking(config, effective, failed);
	return config;
}

/* A description is required there; the name says no less than nothing does. */
static json_t *declaration(const json_t *tool)
{
	const json_t *f = json_object_get(tool, "function");
	const json_t *name = json_object_get(f, "name");
	const json_t *description = json_object_get(f, "description");

	return json_pack("{s:O, s:O, s:O*}", "name", name, "description",
			 description ? description : name, "parametersJsonSchema",
			 json_object_get(f, "parameters"));
}

static json_t *tools_of(const json_t *effective, bool *failed)
{
	const json_t *tools = json_object_get(effective, "tools"), *tool;
	json_t *list;
	size_t i;

	if (!json_array_size(tools))
		return NULL;
	list = json_array();
	json_array_foreach(tools, i, tool) {
		*failed |= json_array_append_new(list, declaration(tool)) != 0;
	}
	return json_pack("[{s:o}]", "functionDeclarations", list);
}

static json_t *tool_config(const json_t *effective)
{
	const json_t *choice = json_object_get(effective, "tool_choice");
	const char *word = json_string_value(choice);
	const json_t *name = json_object_get(json_object_get(choice, "function"), "name");

	if (!json_array_size(json_object_get(effective, "tools")))
		return NULL;
	if (word)
		return json_pack("{s:{s:s}}", "functionCallingConfig", "mode",
				 strcmp(word, "none") == 0	 ? "NONE"
				 : strcmp(word, "required") == 0 ? "ANY"
								 : "AUTO");
	return name ? json_pack("{s:{s:s, s:[O]}}", "functionCallingConfig", "mode", "ANY",
				"allowedFunctionNames", name)
		    : NULL;
}

static json_t *chat_body(const struct backend_ask *ask)
{
	const json_t *effective = ask->effective;
	bool failed = false;
	json_t *body = json_object(), *config = generation_config(effective, ask->n, &failed);
	json_t *system = content_system(effective, &failed);
	json_t *contents = gemini_turns(effective, ask->images);

	if (!contents)
		failed = true;
	put(body, "contents", contents, &failed);
	if (json_object_size(config))
		put(body, "generationConfig", config, &failed);
	else
		json_decref(config);
	if (system)
		put(body, "systemInstruction",
		    json_pack("{s:s, s:[{s:o}]}", "role", "user", "parts", "text", system),
		    &failed);
	put(body, "tools", tools_of(effective, &failed), &failed);
	put(body, "toolConfig", tool_config(effective), &failed);
	if (!failed)
		return body;
	json_decref(body);
	return NULL;
}

/* ---- embeddings ---- */

static json_t *embedding(const json_t *effective, const char *model, const json_t *text)
{
	json_t *dimensions = json_object_get(effective, "dimensions");
	json_t *extra = json_object_get(effective, "extra_body");
	json_t *one = json_pack("{s:s+, s:{s:[{s:O}]}, s:O*}", "model", "models/",
				gemini_model_bare(model), "content", "parts", "text", text,
				"outputDimensionality", dimensions);
	json_t *copy = json_is_object(extra) ? json_deep_copy(one) : json_incref(one);

	json_decref(one);
	if (copy && json_is_object(extra) && json_object_update_recursive(copy, extra)) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

/* The list around the requests is ours, so what the user adds (taskType, title) goes into each of them. */
static json_t *embedding_body(const json_t *effective)
{
	json_t *input = json_object_get(effective, "input"), *text;
	json_t *list = json_array();
	bool failed = !list;
	size_t i;

	if (json_is_string(input))
		failed |= json_array_append_new(list, embedding(effective, model_of(effective),
								input)) != 0;
	json_array_foreach(input, i, text) {
		failed |= json_array_append_new(list, embedding(effective, model_of(effective),
								text)) != 0;
	}
	if (failed) {
		json_decref(list);
		return NULL;
	}
	return json_pack("{s:o}", "requests", list);
}

/* ---- both ---- */

/* Which models take it is nowhere written down: one that refuses is asked once for each sample. */
unsigned gemini_body_samples(const struct backend_config *c, const json_t *effective)
{
	(void)c;
	return body_is(effective, "chat") ? body_samples(effective, CANDIDATES_MAX) : 1;
}

int gemini_body_build(const struct backend_config *c, const struct backend_ask *ask,
		      struct backend_body *out, struct err *e)
{
	const json_t *effective = ask->effective;
	bool chat = !body_is(effective, "embedding");
	AUTO_BUF struct buf path = BUF_INIT(BACKEND_PATH_MAX - 1);
	int rc = content_images_there(c, effective, ask->images, e);

	if (rc)
		return rc;
	gemini_model_path(&path, model_of(effective),
			  chat ? "streamGenerateContent?alt=sse" : "batchEmbedContents");
	if (path.failed || !str_copy(out->path, sizeof(out->path), buf_str(&path)))
		return err_field(e, ERR_REQUEST, "model", "%s: the model's name is too long",
				 c->name);
	rc = chat ? body_finish(c, chat_body(ask), effective, out, e)
		  : body_write(c, embedding_body(effective), out, e);
	out->stream = chat;
	return rc ? rc : body_fits(c, out, BODY_MIB, e);
}
