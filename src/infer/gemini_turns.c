/*
 * infer/gemini_turns.c - messages as Gemini's contents
 *
 * Two kinds of runs alternate: messages of the model, and messages to it. A run of the model becomes one
 * content; a run to it becomes one content of tool results and one of everything else.
 */
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "core/canon.h"
#include "infer/content.h"
#include "infer/gemini_model.h"
#include "infer/gemini_turns.h"

#include "base/banned.h"

/* The service takes it in place of a signature for calls that another model made. */
static const char foreign[] = "skip_thought_signature_validator";

struct turns {
	const json_t *images;
	bool signs;	  /* the model wants signatures */
	json_t *contents; /* the result */
	json_t *names;	  /* of the functions, by call id: the newest call of an id wins */
	json_t *calls;	  /* ids of the last run of the model, in order */
	json_t *results;  /* of the run now: id -> array of parts */
	json_t *order;	  /* of the run now: ids as their results came */
	bool failed;
};

static void need(struct turns *t, bool good)
{
	t->failed |= !good;
}

/* ---- parts ---- */

static json_t *text_part(const json_t *text)
{
	return json_pack("{s:O}", "text", text);
}

static json_t *image_part(struct turns *t, const json_t *part)
{
	const json_t *data = content_image(part, t->images);

	return data ? json_pack("{s:{s:O, s:O}}", "inlineData", "mimeType",
				json_object_get(part, "media_type"), "data", data)
		    : NULL;
}

static void add_parts(struct turns *t, const json_t *content, json_t *parts)
{
	const json_t *part;
	size_t i;

	if (json_string_length(content))
		need(t, json_array_append_new(parts, text_part(content)) == 0);
	json_array_foreach(content, i, part) {
		const json_t *text = content_part_text(part);

		if (text)
			need(t, json_array_append_new(parts, text_part(text)) == 0);
		else if (json_object_get(part, "sha256"))
			need(t, json_array_append_new(parts, image_part(t, part)) == 0);
	}
}

static json_t *call_part(struct turns *t, const json_t *call, bool unsigned_first)
{
	const json_t *signature = content_extra(call, "google", "thought_signature");
	json_t *args = content_arguments(call), *part;

	part = json_pack("{s:{s:O, s:o}}", "functionCall", "name",
			 json_object_get(json_object_get(call, "function"), "name"), "args", args);
	if (part && json_object_get(call, "id"))
		need(t, json_object_set(json_object_get(part, "functionCall"), "id",
					json_object_get(call, "id")) == 0);
	if (part && json_is_string(signature))
		need(t, json_object_set(part, "thoughtSignature", (json_t *)(uintptr_t)signature) ==
				0);
	else if (part && unsigned_first)
		need(t, json_object_set_new(part, "thoughtSignature", json_string(foreign)) == 0);
	return part;
}

/* ---- what the model said ---- */

static bool any_signature(const json_t *calls)
{
	const json_t *call;
	size_t i;

	json_array_foreach(calls, i, call) {
		if (content_extra(call, "google", "thought_signature"))
			return true;
	}
	return false;
}

static void add_calls(struct turns *t, const json_t *calls, json_t *parts)
{
	bool unsigned_first = t->signs && !any_signature(calls);
	const json_t *call;
	size_t i;

	json_array_foreach(calls, i, call) {
		json_t *id = json_object_get(call, "id");
		json_t *name = json_object_get(json_object_get(call, "function"), "name");

		need(t, json_array_append_new(parts,
					      call_part(t, call, unsigned_first && i == 0)) == 0);
		if (!json_is_string(id))
			continue;
		need(t, json_object_set(t->names, json_string_value(id), name) == 0);
		need(t, json_array_append(t->calls, id) == 0);
	}
}

/* The parts to add to when the model goes on after an empty message, which was left out. */
static json_t *same_turn(const struct turns *t, const char *role)
{
	const json_t *last = json_array_get(t->contents, json_array_size(t->contents) - 1);
	const char *now = json_string_value(json_object_get(last, "role"));

	return now && strcmp(role, "model") == 0 && strcmp(now, role) == 0
		       ? json_object_get(last, "parts")
		       : NULL;
}

/* An empty content is refused there; one without parts never was. */
static void add_content(struct turns *t, const char *role, json_t *take_parts)
{
	json_t *before = same_turn(t, role);

	need(t, take_parts != NULL);
	if (json_array_size(take_parts) == 0 || before) {
		need(t, !before || json_array_extend(before, take_parts) == 0);
		json_decref(take_parts);
	} else {
		need(t, json_array_append_new(t->contents, json_pack("{s:s, s:o}", "role", role,
								     "parts", take_parts)) == 0);
	}
}

static size_t model_run(struct turns *t, const json_t *messages, size_t at)
{
	json_t *parts = json_array();

	need(t, json_array_clear(t->calls) == 0);
	for (; at < json_array_size(messages); at++) {
		const json_t *m = json_array_get(messages, at);

		if (content_is(m, "system"))
			continue;
		if (!content_is(m, "assistant"))
			break;
		add_parts(t, json_object_get(m, "content"), parts);
		add_calls(t, json_object_get(m, "tool_calls"), parts);
	}
	add_content(t, "model", parts);
	return at;
}

/* ---- what it was told ---- */

static const json_t *function_of(const json_t *names, const json_t *m)
{
	const char *id = json_string_value(json_object_get(m, "tool_call_id"));
	const json_t *name = id ? json_object_get(names, id) : NULL;

	return name ? name : json_object_get(m, "name");
}

/* A JSON object goes in as it is; anything else is the function's output. */
static json_t *response_of(const json_t *m)
{
	const json_t *content = json_object_get(m, "content");
	AUTO_BUF struct buf text = BUF_INIT(BODY_MAX);
	json_t *o = NULL;

	content_text(content, &text);
	if (text.failed)
		return NULL;
	if (text.len && canon_parse(text.data, text.len, &o, NULL, NULL) == 0 && json_is_object(o))
		return o;
	json_decref(o);
	return json_pack("{s:s%}", "output", buf_str(&text), text.len);
}

/* Images that a tool gave. */
static void add_result_images(struct turns *t, const json_t *m, json_t *response)
{
	json_t *parts = json_array(), *part;
	size_t i;

	json_array_foreach(json_object_get(m, "content"), i, part) {
		if (json_object_get(part, "sha256"))
			need(t, json_array_append_new(parts, image_part(t, part)) == 0);
	}
	if (json_array_size(parts))
		need(t, json_object_set(response, "parts", parts) == 0);
	json_decref(parts);
}

static void add_result(struct turns *t, const json_t *m)
{
	json_t *id = json_object_get(m, "tool_call_id"), *list;
	const char *key = json_is_string(id) ? json_string_value(id) : "";
	json_t *response = json_pack("{s:O*, s:O*, s:o}", "id", id, "name",
				     function_of(t->names, m), "response", response_of(m));

	need(t, response != NULL);
	if (response)
		add_result_images(t, m, response);
	list = json_object_get(t->results, key);
	if (!list) {
		list = json_array();
		need(t, json_object_set_new(t->results, key, list) == 0 &&
				json_array_append_new(t->order, json_string(key)) == 0);
	}
	need(t, json_array_append_new(list, json_pack("{s:o}", "functionResponse", response)) == 0);
}

static void move_results(struct turns *t, const json_t *ids, json_t *parts)
{
	const json_t *id;
	size_t i;

	json_array_foreach(ids, i, id) {
		const char *key = json_string_value(id);
		json_t *list = json_object_get(t->results, key);

		if (!list)
			continue;
		need(t, json_array_extend(parts, list) == 0);
		(void)json_object_del(t->results, key); /* it is there */
	}
}

static size_t other_run(struct turns *t, const json_t *messages, size_t at)
{
	json_t *results = json_array(), *said = json_array();

	need(t, json_object_clear(t->results) == 0 && json_array_clear(t->order) == 0);
	for (; at < json_array_size(messages); at++) {
		const json_t *m = json_array_get(messages, at);

		if (content_is(m, "assistant"))
			break;
		if (content_is(m, "tool"))
			add_result(t, m);
		else if (!content_is(m, "system"))
			add_parts(t, json_object_get(m, "content"), said);
	}
	move_results(t, t->calls, results);
	move_results(t, t->order, results);
	add_content(t, "user", results);
	add_content(t, "user", said);
	return at;
}

json_t *gemini_turns(const json_t *effective, const json_t *images)
{
	const char *model = json_string_value(json_object_get(effective, "model"));
	const json_t *messages = json_object_get(effective, "messages");
	struct turns t = { .images = images,
			   .signs = model && gemini_model_signs(model),
			   .contents = json_array(),
			   .names = json_object(),
			   .calls = json_array(),
			   .results = json_object(),
			   .order = json_array() };

	need(&t, t.contents && t.names && t.calls && t.results && t.order);
	for (size_t at = 0; !t.failed && at < json_array_size(messages);) {
		at = model_run(&t, messages, at);
		at = other_run(&t, messages, at);
	}
	json_decref(t.names);
	json_decref(t.calls);
	json_decref(t.results);
	json_decref(t.order);
	if (!t.failed)
		return t.contents;
	json_decref(t.contents);
	return NULL;
}

/* ---- before anything is sent ---- */

static int unnamed(const struct body_check *k, size_t at)
{
	return err_field(
		k->e, ERR_REQUEST, "messages.tool_call_id",
		"messages[%zu]: no tool call before it has this tool_call_id, and it has no "
		"`name`; %s needs the function's name",
		at, k->config->name);
}

int gemini_turns_check(const struct body_check *k)
{
	json_t *names = json_object();
	const json_t *m, *call;
	size_t i, j;
	int rc = names ? 0 : -ENOMEM;

	json_array_foreach(json_object_get(k->effective, "messages"), i, m) {
		json_array_foreach(json_object_get(m, "tool_calls"), j, call) {
			const char *id = json_string_value(json_object_get(call, "id"));

			if (id && json_object_set_new(names, id, json_true()))
				rc = -ENOMEM;
		}
		if (!rc && content_is(m, "tool") && !json_is_string(function_of(names, m)) &&
		    !json_is_true(function_of(names, m)))
			rc = unnamed(k, i);
	}
	json_decref(names);
	return rc;
}
