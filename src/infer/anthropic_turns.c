/*
 * infer/anthropic_turns.c - messages as Anthropic's messages
 */
#include <ctype.h>
#include <string.h>

#include "base/auto.h"
#include "infer/anthropic_turns.h"
#include "infer/content.h"

#include "base/banned.h"

struct turns {
	const json_t *images;
	json_t *out;
	json_t *results; /* of the message now: they come first */
	json_t *blocks;	 /* of the message now */
	const char *role;
	bool failed;
};

static void need(struct turns *t, bool good)
{
	t->failed |= !good;
}

/* ---- blocks ---- */

static void add_text(struct turns *t, const json_t *text, json_t *blocks)
{
	need(t, json_array_append_new(blocks,
				      json_pack("{s:s, s:O}", "type", "text", "text", text)) == 0);
}

static void add_image(struct turns *t, const json_t *part, json_t *blocks)
{
	const json_t *url = json_object_get(part, "url");
	const json_t *data = content_image(part, t->images);
	json_t *source;

	if (url)
		source = json_pack("{s:s, s:O}", "type", "url", "url", url);
	else
		source = json_pack("{s:s, s:O, s:O}", "type", "base64", "media_type",
				   json_object_get(part, "media_type"), "data", data);
	need(t, json_array_append_new(blocks, json_pack("{s:s, s:o}", "type", "image", "source",
							source)) == 0);
}

static void add_parts(struct turns *t, const json_t *content, json_t *blocks)
{
	const json_t *part;
	size_t i;

	if (json_string_length(content))
		add_text(t, content, blocks);
	json_array_foreach(content, i, part) {
		const json_t *text = content_part_text(part);

		if (text)
			add_text(t, text, blocks);
		else if (json_object_get(part, "sha256") || json_object_get(part, "url"))
			add_image(t, part, blocks);
	}
}

/* Ids that other providers made may have characters which are refused here; call and result change alike. */
static json_t *id_of(const json_t *id)
{
	const char *from = json_string_length(id) ? json_string_value(id) : "call";
	AUTO_BUF struct buf text = BUF_INIT(BODY_MAX);

	for (; *from; from++) {
		bool plain = isalnum((unsigned char)*from) || *from == '_' || *from == '-';

		(void)buf_addc(&text, plain ? *from : '_'); /* text.failed tells */
	}
	return text.failed ? NULL : json_stringn(buf_str(&text), text.len);
}

static void add_thinking(struct turns *t, const json_t *call)
{
	const json_t *thinking = content_extra(call, "anthropic", "thinking"), *block;
	size_t i;

	json_array_foreach(thinking, i, block) {
		if (json_is_object(block))
			need(t, json_array_append(t->blocks, (json_t *)(uintptr_t)block) == 0);
	}
}

static void add_call(struct turns *t, const json_t *call)
{
	const json_t *name = json_object_get(json_object_get(call, "function"), "name");

	need(t, json_array_append_new(t->blocks,
				      json_pack("{s:s, s:o, s:O, s:o}", "type", "tool_use", "id",
						id_of(json_object_get(call, "id")), "name", name,
						"input", content_arguments(call))) == 0);
}

static void add_result(struct turns *t, const json_t *m)
{
	json_t *content = json_object_get(m, "content"), *blocks = NULL;
	json_t *result = json_pack("{s:s, s:o}", "type", "tool_result", "tool_use_id",
				   id_of(json_object_get(m, "tool_call_id")));

	need(t, result != NULL);
	if (json_is_array(content)) {
		blocks = json_array();
		add_parts(t, content, blocks);
		content = blocks;
	}
	/* an empty result is one without content */
	if (json_string_length(content) || json_array_size(content))
		need(t, json_object_set(result, "content", content) == 0);
	json_decref(blocks);
	need(t, json_array_append_new(t->results, result) == 0);
}

/* ---- messages ---- */

/* What it thought comes before what it said, and that before what it called. */
static void add_assistant(struct turns *t, const json_t *m)
{
	const json_t *calls = json_object_get(m, "tool_calls"), *call;
	size_t i;

	add_thinking(t, json_array_get(calls, 0));
	add_parts(t, json_object_get(m, "content"), t->blocks);
	json_array_foreach(calls, i, call) {
		if (i > 0)
			add_thinking(t, call);
		add_call(t, call);
	}
}

/* The message that was collected so far, if there is anything in it. */
static void flush(struct turns *t)
{
	json_t *content = t->results;

	need(t, json_array_extend(content, t->blocks) == 0);
	t->results = json_array();
	need(t, t->results && json_array_clear(t->blocks) == 0);
	if (json_array_size(content))
		need(t, json_array_append_new(t->out, json_pack("{s:s, s:O}", "role", t->role,
								"content", content)) == 0);
	json_decref(content);
}

static void take_message(struct turns *t, const json_t *m)
{
	const char *role = content_is(m, "assistant") ? "assistant" : "user";

	if (content_is(m, "system"))
		return;
	if (t->role && strcmp(t->role, role) != 0)
		flush(t);
	t->role = role;
	if (content_is(m, "tool"))
		add_result(t, m);
	else if (content_is(m, "assistant"))
		add_assistant(t, m);
	else
		add_parts(t, json_object_get(m, "content"), t->blocks);
}

/* The beginning of an answer that the model is to go on with must not end in white space. */
static void trim_last(struct turns *t)
{
	json_t *last = json_array_get(t->out, json_array_size(t->out) - 1);
	json_t *content = json_object_get(last, "content");
	size_t at = json_array_size(content), n;
	const json_t *text = json_object_get(json_array_get(content, at - 1), "text");
	json_t *cut;

	if (!content_is(last, "assistant") || !json_is_string(text))
		return;
	n = json_string_length(text);
	while (n && isspace((unsigned char)json_string_value(text)[n - 1]))
		n--;
	if (n == json_string_length(text))
		return;
	cut = json_pack("{s:s, s:s%}", "type", "text", "text", json_string_value(text), n);
	need(t, n ? json_array_set_new(content, at - 1, cut) == 0
		  : json_array_remove(content, at - 1) == 0);
	if (!n)
		json_decref(cut);
	if (!json_array_size(content))
		need(t, json_array_remove(t->out, json_array_size(t->out) - 1) == 0);
}

/* One text alone goes as a string, as people and client libraries write it. */
static void shorten(struct turns *t)
{
	json_t *m;
	size_t i;

	json_array_foreach(t->out, i, m) {
		const json_t *content = json_object_get(m, "content");
		json_t *text = json_object_get(json_array_get(content, 0), "text");

		if (json_array_size(content) == 1 && json_is_string(text))
			need(t, json_object_set(m, "content", text) == 0);
	}
}

json_t *anthropic_turns(const json_t *effective, const json_t *images)
{
	struct turns t = { .images = images,
			   .out = json_array(),
			   .results = json_array(),
			   .blocks = json_array() };
	const json_t *m;
	size_t i;

	need(&t, t.out && t.results && t.blocks);
	json_array_foreach(json_object_get(effective, "messages"), i, m) {
		if (!t.failed)
			take_message(&t, m);
	}
	if (!t.failed && t.role)
		flush(&t);
	if (!t.failed)
		trim_last(&t);
	if (!t.failed)
		shorten(&t);
	json_decref(t.results);
	json_decref(t.blocks);
	if (!t.failed)
		return t.out;
	json_decref(t.out);
	return NULL;
}
