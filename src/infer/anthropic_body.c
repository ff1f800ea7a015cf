/*
 * infer/anthropic_body.c - the effective request as Anthropic's JSON body
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "infer/anthropic_body.h"
#include "infer/anthropic_model.h"
#include "infer/anthropic_turns.h"
#include "infer/body.h"
#include "infer/content.h"

#include "base/banned.h"

enum { BODY_MIB = 32 };

static const struct body_field fields[] = { { "temperature", "temperature" },
					    { "top_p", "top_p" },
					    { "top_k", "top_k" },
					    { "max_tokens", NULL },
					    { "stop", NULL },
					    { "tools", NULL },
					    { "tool_choice", NULL },
					    { "parallel_tool_calls", NULL },
					    { "response_format", NULL },
					    { "reasoning_effort", NULL },
					    { NULL, NULL } };
static const char *const endpoints[] = { "chat", NULL };
static const char *const members[] = { "tool_calls", "prefix", NULL };
static const char *const tool_members[] = { "tool_call_id", "name", NULL };
static const char *const media[] = { "image/png", "image/jpeg", "image/gif", "image/webp", NULL };
static const char *const sampling[] = { "temperature", "top_p", "top_k", NULL };

static const struct content_images images_taken = { .url = true, .detail = false, .media = media };
static const struct body_rules rules = { fields, endpoints, members, tool_members, 0 };

static const char *name_of(const json_t *effective)
{
	const char *model = json_string_value(json_object_get(effective, "model"));

	return model ? model : "";
}

/* ---- what it refuses ---- */

static bool forces(const json_t *effective)
{
	const json_t *choice = json_object_get(effective, "tool_choice");
	const char *word = json_string_value(choice);

	return json_is_object(choice) || (word && strcmp(word, "required") == 0);
}

/* NULL: the value can be sent */
static const char *why_no_sampling(const struct backend_config *c, const struct anthropic_model *m,
				   const char *field, const json_t *value)
{
	double v = json_number_value(value);

	if (c->at.api_version && strcmp(c->at.api_version, ANTHROPIC_BODY_OLD) != 0)
		return "its API version has none";
	if (strcmp(field, "top_k") != 0 && v > 1)
		return "it is at most 1 there";
	if (anthropic_model_samples(m))
		return NULL;
	if ((strcmp(field, "temperature") == 0 && v >= 1) ||
	    (strcmp(field, "top_p") == 0 && v >= 0.99))
		return NULL;
	return "this model has only its own";
}

static int check_sampling(const struct body_check *k)
{
	struct anthropic_model m = anthropic_model_read(name_of(k->effective));
	int rc = 0;

	for (const char *const *f = sampling; !rc && *f; f++) {
		const json_t *value = json_object_get(k->effective, *f);
		const char *why = value ? why_no_sampling(k->config, &m, *f, value) : NULL;

		if (why)
			rc = body_refuse(k, *f, why);
	}
	return rc;
}

static int64_t max_tokens_of(const struct backend_config *c, const json_t *effective)
{
	const json_t *max = json_object_get(effective, "max_tokens");

	if (json_is_integer(max))
		return json_integer_value(max);
	return c->max_tokens > 0 ? c->max_tokens : anthropic_model_default(name_of(effective));
}

static const char *why_no_effort(const struct backend_config *c, const json_t *effective,
				 struct anthropic_model_effort *out)
{
	const char *effort = json_string_value(json_object_get(effective, "reasoning_effort"));
	struct anthropic_model m = anthropic_model_read(name_of(effective));

	*out = (struct anthropic_model_effort){ NULL, NULL, 0 };
	return effort ? anthropic_model_effort(&m, effort, max_tokens_of(c, effective), out) : NULL;
}

static int check_effort(const struct body_check *k)
{
	struct anthropic_model m = anthropic_model_read(name_of(k->effective));
	struct anthropic_model_effort effort;
	const char *why = why_no_effort(k->config, k->effective, &effort);
	int rc = why ? body_refuse(k, "reasoning_effort", why) : 0;

	if (rc || !forces(k->effective))
		return rc;
	if (!anthropic_model_forced(&m))
		return body_refuse(k, "tool_choice", "this model cannot be made to call a tool");
	if (!why && effort.budget > 0)
		return body_refuse(k, "tool_choice",
				   "this model cannot be made to call a tool while it thinks");
	return 0;
}

static int check_format(const struct body_check *k)
{
	const json_t *format = json_object_get(k->effective, "response_format");
	const char *type = json_string_value(json_object_get(format, "type"));

	if (!type || strcmp(type, "json_object") != 0)
		return 0;
	return body_refuse(k, "response_format",
			   "it has json_schema, but no json_object; give a schema, or ask for JSON "
			   "in the prompt");
}

/* Only the last message can be the beginning of an answer; it is one there without being called so. */
static int check_prefix(const struct body_check *k)
{
	json_t *messages = json_object_get(k->effective, "messages"), *m;
	size_t i, last = json_array_size(messages) - 1;

	json_array_foreach(messages, i, m) {
		int rc;

		if (i == last || !json_is_true(json_object_get(m, "prefix")))
			continue;
		rc = body_refuse(k, "messages.prefix", "only the last message can be one");
		if (rc)
			return rc;
		(void)json_object_del(m, "prefix"); /* it is there */
	}
	return 0;
}

int anthropic_body_check(const struct backend_config *c, json_t *effective, json_t *dropped,
			 bool lossy, struct err *e)
{
	struct body_check k = { c, effective, dropped, lossy, e };
	int rc = body_check(&k, &rules);

	if (!rc)
		rc = check_sampling(&k);
	if (!rc)
		rc = check_effort(&k);
	if (!rc)
		rc = check_format(&k);
	if (!rc)
		rc = check_prefix(&k);
	if (!rc)
		rc = content_images(&k, &images_taken);
	if (!rc)
		rc = content_calls(&k);
	return rc ? rc : content_needed(&k);
}

/* ---- what is sent ---- */

/* NULL is absence, and that is fine; failures of memory are kept until the end. */
static void put(json_t *o, const char *name, json_t *take_value, bool *failed)
{
	if (take_value && json_object_set_new(o, name, take_value))
		*failed = true;
}

static json_t *tool_of(const json_t *tool)
{
	const json_t *f = json_object_get(tool, "function");
	json_t *strict = json_object_get(f, "strict");

	return json_pack("{s:O, s:O*, s:o, s:O*}", "name", json_object_get(f, "name"),
			 "description", json_object_get(f, "description"), "input_schema",
			 content_parameters(f), "strict", json_is_boolean(strict) ? strict : NULL);
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
		*failed |= json_array_append_new(list, tool_of(tool)) != 0;
	}
	return list;
}

/* One call at a time is a member of the choice, so it makes one where the user made none. */
static json_t *choice_of(const json_t *effective, bool *failed)
{
	const json_t *choice = json_object_get(effective, "tool_choice");
	const char *word = json_string_value(choice), *type = "auto";
	bool one = json_is_false(json_object_get(effective, "parallel_tool_calls"));
	json_t *name = json_object_get(json_object_get(choice, "function"), "name"), *out;

	if (!json_array_size(json_object_get(effective, "tools")) || (!choice && !one))
		return NULL;
	if (word && strcmp(word, "none") == 0)
		type = "none";
	else if (word && strcmp(word, "required") == 0)
		type = "any";
	else if (name)
		type = "tool";
	out = json_pack("{s:s, s:O*}", "type", type, "name", name);
	if (one && strcmp(type, "none") != 0)
		put(out, "disable_parallel_tool_use", json_true(), failed);
	return out;
}

static void put_effort(const struct backend_config *c, json_t *body, const json_t *effective,
		       bool *failed)
{
	struct anthropic_model_effort effort;
	json_t *schema = content_schema(effective, failed), *config = json_object();

	if (!why_no_effort(c, effective, &effort) && effort.thinking) {
		json_t *thinking = json_pack("{s:s}", "type", effort.thinking);

		if (strcmp(effort.thinking, "adaptive") == 0)
			put(thinking, "display", json_string("summarized"), failed);
		if (effort.budget > 0)
			put(thinking, "budget_tokens", json_integer(effort.budget), failed);
		put(body, "thinking", thinking, failed);
	}
	if (effort.effort)
		put(config, "effort", json_string(effort.effort), failed);
	if (schema)
		put(config, "format",
		    json_pack("{s:s, s:o}", "type", "json_schema", "schema", schema), failed);
	if (json_object_size(config))
		put(body, "output_config", config, failed);
	else
		json_decref(config);
}

static json_t *body_of(const struct backend_config *c, const json_t *effective,
		       const json_t *images)
{
	bool failed = false;
	json_t *body = json_object(), *stop = json_object_get(effective, "stop");
	json_t *messages = anthropic_turns(effective, images);

	if (!messages)
		failed = true;
	put(body, "messages", messages, &failed);
	put(body, "model", json_incref(json_object_get(effective, "model")), &failed);
	put(body, "max_tokens", json_integer(max_tokens_of(c, effective)), &failed);
	put(body, "stream", json_true(), &failed);
	put(body, "system", content_system(effective, &failed), &failed);
	for (const struct body_field *f = fields; f->name; f++)
		if (f->wire)
			put(body, f->wire, json_incref(json_object_get(effective, f->name)),
			    &failed);
	if (stop)
		put(body, "stop_sequences", json_incref(stop), &failed);
	put(body, "tools", tools_of(effective, &failed), &failed);
	put(body, "tool_choice", choice_of(effective, &failed), &failed);
	put_effort(c, body, effective, &failed);
	if (!failed)
		return body;
	json_decref(body);
	return NULL;
}

/* ---- the version ---- */

/* The newer one is served to whoever does not sample. */
static const char *version_of(const struct backend_config *c, const json_t *effective)
{
	const json_t *extra = json_object_get(effective, "extra_body");

	if (c->at.api_version)
		return c->at.api_version;
	for (const char *const *f = sampling; *f; f++)
		if (json_object_get(effective, *f) || json_object_get(extra, *f))
			return ANTHROPIC_BODY_OLD;
	return ANTHROPIC_BODY_NEW;
}

int anthropic_body_header(const struct backend_config *c, const char *version,
			  char out[BACKEND_HEADER_MAX], struct err *e)
{
	static const char name[] = "anthropic-version:";
	int n;

	out[0] = '\0';
	for (char **h = c->at.headers; h && *h; h++)
		if (strncasecmp(*h, name, sizeof(name) - 1) == 0)
			return 0;
	n = snprintf(out, BACKEND_HEADER_MAX, "%s %s", name, version);
	if (n < BACKEND_HEADER_MAX && !strpbrk(version, "\r\n"))
		return 0;
	return err_set(e, ERR_REQUEST, "[backend %s]: api_version is no date", c->name);
}

int anthropic_body_build(const struct backend_config *c, const struct backend_ask *ask,
			 struct backend_body *out, struct err *e)
{
	const json_t *effective = ask->effective, *images = ask->images;
	int rc = content_images_there(c, effective, images, e);

	if (!rc)
		rc = anthropic_body_header(c, version_of(c, effective), out->header, e);
	if (rc)
		return rc;
	(void)str_copy(out->path, sizeof(out->path), "/v1/messages"); /* fits */
	rc = body_finish(c, body_of(c, effective, images), effective, out, e);
	return rc ? rc : body_fits(c, out, BODY_MIB, e);
}
