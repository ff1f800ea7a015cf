/*
 * infer/ollama_body.c - bodies for Ollama's own API
 *
 * truncate is always said: by default Ollama cuts a long prompt from the front and answers the rest, and that
 * answer would be kept as one to the whole request. A completion is raw, as it is at every other server:
 * text goes on, and no template makes a question of it.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "infer/content.h"
#include "infer/ollama_body.h"
#include "infer/parts.h"

#include "base/banned.h"

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static bool set(json_t *o, const char *name, json_t *take_value)
{
	return json_object_set_new(o, name, take_value) == 0;
}

static bool share(json_t *o, const char *name, json_t *value)
{
	return !value || json_object_set(o, name, value) == 0;
}

/* ---- messages ---- */

static json_t *call_of(const json_t *call)
{
	json_t *name = json_object_get(json_object_get(call, "function"), "name");
	json_t *arguments = content_arguments(call);

	return json_pack("{s:O*, s:{s:O*, s:o*}}", "id", json_object_get(call, "id"), "function",
			 "name", name, "arguments", arguments);
}

static bool set_calls(json_t *out, const json_t *calls)
{
	json_t *list = json_array_size(calls) ? json_array() : NULL;
	const json_t *call;
	size_t i;

	json_array_foreach(calls, i, call) {
		if (json_array_append_new(list, call_of(call))) {
			json_decref(list);
			return false;
		}
	}
	return !list || set(out, "tool_calls", list);
}

/* bare base64, on the message */
static bool set_images(json_t *out, const json_t *content, const json_t *images)
{
	const json_t *part;
	json_t *list = NULL;
	size_t i;

	json_array_foreach(content, i, part) {
		const json_t *data = content_image(part, images);

		if (!data)
			continue;
		if (!list)
			list = json_array();
		if (json_array_append(list, (json_t *)(uintptr_t)data)) {
			json_decref(list);
			return false;
		}
	}
	return !list || set(out, "images", list);
}

/* The nearest call before it: ids that were made may be there again in every turn. */
static json_t *name_of_call(const json_t *messages, size_t before, const char *id)
{
	const json_t *call;
	size_t k;

	while (id && before-- > 0) {
		json_array_foreach(json_object_get(json_array_get(messages, before), "tool_calls"),
				   k, call) {
			const char *its = text_of(call, "id");

			if (its && strcmp(its, id) == 0)
				return json_object_get(json_object_get(call, "function"), "name");
		}
	}
	return NULL;
}

static bool set_result(json_t *out, const json_t *messages, size_t at)
{
	const json_t *m = json_array_get(messages, at);
	json_t *name = json_object_get(m, "name");

	if (!name)
		name = name_of_call(messages, at, text_of(m, "tool_call_id"));
	return share(out, "tool_call_id", json_object_get(m, "tool_call_id")) &&
	       share(out, "tool_name", name);
}

static json_t *message(const json_t *messages, size_t at, const json_t *images)
{
	const json_t *m = json_array_get(messages, at), *content = json_object_get(m, "content");
	const char *role = text_of(m, "role");
	json_t *out = json_object();

	if (role && strcmp(role, "developer") == 0)
		role = "system";
	if (out && set(out, "role", json_string(role ? role : "user")) &&
	    set(out, "content", parts_text(content)) && set_images(out, content, images) &&
	    set_calls(out, json_object_get(m, "tool_calls")) &&
	    share(out, "thinking", json_object_get(m, "reasoning")) &&
	    set_result(out, messages, at))
		return out;
	json_decref(out);
	return NULL;
}

static bool set_messages(json_t *body, const json_t *effective, const json_t *images)
{
	const json_t *messages = json_object_get(effective, "messages");
	json_t *out = json_array();

	for (size_t i = 0; i < json_array_size(messages); i++)
		if (json_array_append_new(out, message(messages, i, images))) {
			json_decref(out);
			return false;
		}
	return set(body, "messages", out);
}

/* ---- fields ---- */

static bool set_options(json_t *body, const json_t *effective)
{
	static const char *const names[][2] = { { "temperature", "temperature" },
						{ "top_p", "top_p" },
						{ "top_k", "top_k" },
						{ "min_p", "min_p" },
						{ "seed", "seed" },
						{ "stop", "stop" },
						{ "max_tokens", "num_predict" },
						{ "presence_penalty", "presence_penalty" },
						{ "frequency_penalty", "frequency_penalty" } };
	json_t *options = json_object();
	bool good = options != NULL;

	for (size_t i = 0; good && i < sizeof(names) / sizeof(names[0]); i++)
		good = share(options, names[i][1], json_object_get(effective, names[i][0]));
	if (good && json_object_size(options))
		good = share(body, "options", options);
	json_decref(options);
	return good;
}

/* There is no strict mode, and no choice: none is said by not offering the tools. */
static bool set_tools(json_t *body, const json_t *effective)
{
	const json_t *tools = json_object_get(effective, "tools"), *tool;
	const char *choice = text_of(effective, "tool_choice");
	json_t *out;
	size_t i;

	if (!json_array_size(tools) || (choice && strcmp(choice, "none") == 0))
		return true;
	out = json_array();
	json_array_foreach(tools, i, tool) {
		json_t *f = json_copy(json_object_get(tool, "function"));

		(void)json_object_del(f, "strict"); /* may be absent */
		if (!set(f, "parameters", content_parameters(f)) ||
		    json_array_append_new(out, json_pack("{s:s, s:o*}", "type", "function",
							 "function", f))) {
			json_decref(out);
			return false;
		}
	}
	return set(body, "tools", out);
}

static bool set_format(json_t *body, const json_t *effective)
{
	const json_t *format = json_object_get(effective, "response_format");
	const char *type = text_of(format, "type");

	if (type && strcmp(type, "json_object") == 0)
		return set(body, "format", json_string("json"));
	return share(body, "format",
		     json_object_get(json_object_get(format, "json_schema"), "schema"));
}

static bool set_think(json_t *body, const json_t *effective)
{
	json_t *effort = json_object_get(effective, "reasoning_effort");

	if (effort && strcmp(json_string_value(effort), "none") == 0)
		return set(body, "think", json_false());
	return share(body, "think", effort);
}

static bool set_logprobs(json_t *body, const json_t *effective)
{
	return !json_is_true(json_object_get(effective, "logprobs")) ||
	       (set(body, "logprobs", json_true()) &&
		share(body, "top_logprobs", json_object_get(effective, "top_logprobs")));
}

/* ---- the three calls ---- */

static bool fill_chat(json_t *body, const json_t *effective, const json_t *images)
{
	return set(body, "stream", json_true()) && set_messages(body, effective, images) &&
	       set_tools(body, effective) && set_think(body, effective);
}

static bool fill_text(json_t *body, const json_t *effective)
{
	return set(body, "stream", json_true()) &&
	       share(body, "prompt", json_object_get(effective, "prompt")) &&
	       share(body, "suffix", json_object_get(effective, "suffix")) &&
	       (body_is(effective, "fim") || set(body, "raw", json_true()));
}

static bool fill_embed(json_t *body, const json_t *effective)
{
	return share(body, "input", json_object_get(effective, "input")) &&
	       share(body, "dimensions", json_object_get(effective, "dimensions"));
}

static const char *fill(json_t *body, const json_t *effective, const json_t *images, bool *out_good)
{
	*out_good = share(body, "model", json_object_get(effective, "model")) &&
		    set(body, "truncate", json_false()) && set_options(body, effective) &&
		    set_format(body, effective) && set_logprobs(body, effective);
	if (body_is(effective, "embedding")) {
		*out_good = *out_good && fill_embed(body, effective);
		return "/api/embed";
	}
	if (!body_is(effective, "chat")) {
		*out_good = *out_good && fill_text(body, effective);
		return "/api/generate";
	}
	*out_good = *out_good && fill_chat(body, effective, images);
	return "/api/chat";
}

int ollama_body_build(const struct backend_config *c, const struct backend_ask *ask,
		      struct backend_body *out, struct err *e)
{
	const json_t *effective = ask->effective, *images = ask->images;
	int rc = content_images_there(c, effective, images, e);
	json_t *body;
	bool good = false;

	if (rc)
		return rc;
	body = json_object();
	if (body)
		(void)str_copy(out->path, sizeof(out->path), /* fits */
			       fill(body, effective, images, &good));
	if (!good) {
		json_decref(body);
		body = NULL;
	}
	return body_finish(c, body, effective, out, e);
}
