/*
 * infer/openai_responses.c - OpenAI's /responses: what is sent
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "infer/content.h"
#include "infer/openai_model.h"
#include "infer/openai_responses.h"
#include "infer/parts.h"

#include "base/banned.h"

static const struct body_field fields[] = { { "temperature", NULL },
					    { "top_p", NULL },
					    { "max_tokens", NULL },
					    { "logprobs", NULL },
					    { "top_logprobs", NULL },
					    { "tools", NULL },
					    { "tool_choice", NULL },
					    { "parallel_tool_calls", NULL },
					    { "response_format", NULL },
					    { "reasoning_effort", NULL },
					    { NULL, NULL } };
static const char *const endpoints[] = { "responses", NULL };
static const char *const members[] = { "tool_calls", NULL };
static const char *const tool_members[] = { "tool_call_id", NULL };

struct body_rules openai_responses_rules(void)
{
	return (struct body_rules){ fields, endpoints, members, tool_members, 0 };
}

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static bool set(json_t *o, const char *name, json_t *take_value)
{
	return json_object_set_new(o, name, take_value) == 0;
}

/* absent stays absent */
static bool share(json_t *o, const char *name, json_t *value)
{
	return !value || json_object_set(o, name, value) == 0;
}

/* ---- messages as items ---- */

static json_t *input_image(const json_t *part, const json_t *images)
{
	const char *detail = text_of(part, "detail");
	json_t *url = parts_url(part, images);

	return url ? json_pack("{s:s, s:o, s:s}", "type", "input_image", "image_url", url, "detail",
			       detail ? detail : "auto")
		   : NULL;
}

static json_t *input_part(json_t *part, const json_t *images)
{
	json_t *text = json_object_get(part, "text");

	if (parts_is_image(part))
		return input_image(part, images);
	return text ? json_pack("{s:s, s:O}", "type", "input_text", "text", text)
		    : json_incref(part);
}

static json_t *input_content(json_t *content, const json_t *images)
{
	json_t *out, *part;
	size_t i;

	if (!json_is_array(content))
		return json_incref(content);
	out = json_array();
	json_array_foreach(content, i, part) {
		if (json_array_append_new(out, input_part(part, images))) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

/* The calls of one turn, and before them what the model thought: it must come back unchanged. */
static bool add_calls(json_t *input, const json_t *calls)
{
	const json_t *extra = json_object_get(json_array_get(calls, 0), "extra_content"), *call;
	json_t *thoughts = json_object_get(json_object_get(extra, "openai"), "reasoning");
	bool good = !json_is_array(thoughts) || json_array_extend(input, thoughts) == 0;
	size_t i;

	json_array_foreach(calls, i, call) {
		const json_t *f = json_object_get(call, "function");
		json_t *item = json_pack("{s:s, s:O*, s:O*, s:O*}", "type", "function_call",
					 "call_id", json_object_get(call, "id"), "name",
					 json_object_get(f, "name"), "arguments",
					 json_object_get(f, "arguments"));

		good = good && item && json_array_append(input, item) == 0;
		json_decref(item);
	}
	return good;
}

static bool has_text(const json_t *content)
{
	return json_string_length(content) > 0 || json_array_size(content) > 0;
}

/* reasoning, then what was said, then the calls: the order in which the model gave them */
static bool add_assistant(json_t *input, const json_t *m)
{
	const json_t *calls = json_object_get(m, "tool_calls"), *content;
	size_t before = json_array_size(input), at = before;
	json_t *text, *said;
	const char *type;
	bool good;

	content = json_object_get(m, "content");
	good = add_calls(input, calls);
	if (!good || (!has_text(content) && json_array_size(calls)))
		return good;
	while (at < json_array_size(input) && (type = text_of(json_array_get(input, at), "type")) &&
	       strcmp(type, "reasoning") == 0)
		at++;
	text = parts_text(content);
	said = text ? json_pack("{s:s, s:o}", "role", "assistant", "content", text) : NULL;
	return said && json_array_insert_new(input, at, said) == 0;
}

static bool add_message(json_t *input, const json_t *m, const json_t *images, bool developer)
{
	const char *role = text_of(m, "role");
	json_t *content, *item;

	if (role && strcmp(role, "assistant") == 0)
		return add_assistant(input, m);
	content = input_content(json_object_get(m, "content"), images);
	if (!content)
		return false;
	if (role && strcmp(role, "tool") == 0)
		item = json_pack("{s:s, s:O*, s:o}", "type", "function_call_output", "call_id",
				 json_object_get(m, "tool_call_id"), "output", content);
	else
		item = json_pack("{s:s, s:o}", "role",
				 role && developer && strcmp(role, "system") == 0 ? "developer"
				 : role						  ? role
										  : "user",
				 "content", content);
	return item && json_array_append_new(input, item) == 0;
}

static json_t *input_of(const json_t *effective, const json_t *images, bool developer)
{
	json_t *input = json_array();
	const json_t *m;
	size_t i;

	json_array_foreach(json_object_get(effective, "messages"), i, m) {
		if (!add_message(input, m, images, developer)) {
			json_decref(input);
			return NULL;
		}
	}
	return input;
}

/* ---- fields ---- */

/* strict is the default here and is not in chat: said either way, a tool means the same in both. */
static json_t *flat_tool(const json_t *tool)
{
	json_t *f = json_object_get(tool, "function"), *out = json_object();
	json_t *parameters = json_object_get(f, "parameters");

	if (out && set(out, "type", json_string("function")) &&
	    share(out, "name", json_object_get(f, "name")) &&
	    share(out, "description", json_object_get(f, "description")) &&
	    set(out, "parameters", parameters ? json_incref(parameters) : json_null()) &&
	    set(out, "strict", json_boolean(json_is_true(json_object_get(f, "strict")))))
		return out;
	json_decref(out);
	return NULL;
}

static bool set_tools(json_t *body, const json_t *effective)
{
	const json_t *tools = json_object_get(effective, "tools"), *tool;
	json_t *out = tools ? json_array() : NULL;
	size_t i;

	json_array_foreach(tools, i, tool) {
		if (json_array_append_new(out, flat_tool(tool))) {
			json_decref(out);
			return false;
		}
	}
	return !tools || set(body, "tools", out);
}

static bool set_tool_choice(json_t *body, const json_t *effective)
{
	json_t *choice = json_object_get(effective, "tool_choice");
	json_t *name = json_object_get(json_object_get(choice, "function"), "name");

	if (name)
		return set(body, "tool_choice",
			   json_pack("{s:s, s:O}", "type", "function", "name", name));
	return share(body, "tool_choice", choice);
}

/* what chat has one level deeper */
static bool set_format(json_t *body, const json_t *effective)
{
	json_t *format = json_object_get(effective, "response_format");
	json_t *inner = json_object_get(format, "json_schema"), *flat;

	if (!format)
		return true;
	flat = inner ? json_copy(inner) : json_incref(format);
	if (flat && inner && !set(flat, "type", json_string("json_schema"))) {
		json_decref(flat);
		return false;
	}
	return flat && set(body, "text", json_pack("{s:o}", "format", flat));
}

/* What is asked for besides: only OpenAI itself encrypts reasoning. */
static bool set_include(const struct backend_config *c, json_t *body, const json_t *effective)
{
	json_t *include = json_array(), *top = json_object_get(effective, "top_logprobs");
	bool good = include != NULL;

	if (good && c->dialect == BACKEND_OPENAI)
		good = json_array_append_new(include, json_string("reasoning.encrypted_content")) ==
		       0;
	if (good && json_is_true(json_object_get(effective, "logprobs")))
		good = json_array_append_new(include,
					     json_string("message.output_text.logprobs")) == 0;
	if (good && json_array_size(include))
		good = json_object_set(body, "include", include) == 0;
	json_decref(include);
	return good && share(body, "top_logprobs", top);
}

static bool set_reasoning(json_t *body, const json_t *effective)
{
	json_t *effort = json_object_get(effective, "reasoning_effort");

	return !effort || set(body, "reasoning", json_pack("{s:O}", "effort", effort));
}

static bool fill(const struct backend_config *c, json_t *body, const json_t *effective,
		 const json_t *images)
{
	bool developer = openai_model_here(c) && openai_model_reasons(effective);
	json_t *input = input_of(effective, images, developer);

	return input && set(body, "input", input) && set(body, "stream", json_true()) &&
	       set(body, "store", json_false()) &&
	       share(body, "model", json_object_get(effective, "model")) &&
	       share(body, "temperature", json_object_get(effective, "temperature")) &&
	       share(body, "top_p", json_object_get(effective, "top_p")) &&
	       share(body, "max_output_tokens", json_object_get(effective, "max_tokens")) &&
	       share(body, "parallel_tool_calls",
		     json_object_get(effective, "parallel_tool_calls")) &&
	       set_tools(body, effective) && set_tool_choice(body, effective) &&
	       set_format(body, effective) && set_reasoning(body, effective) &&
	       set_include(c, body, effective);
}

int openai_responses_build(const struct backend_config *c, const struct backend_ask *ask,
			   struct backend_body *out, struct err *e)
{
	const json_t *effective = ask->effective, *images = ask->images;
	int rc = content_images_there(c, effective, images, e);
	json_t *body;

	if (rc)
		return rc;
	body = json_object();
	if (body && !fill(c, body, effective, images)) {
		json_decref(body);
		body = NULL;
	}
	(void)str_copy(out->path, sizeof(out->path), "/responses"); /* fits */
	return body_finish(c, body, effective, out, e);
}
