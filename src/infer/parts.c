/*
 * infer/parts.c - parts of messages in OpenAI's form
 */
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "infer/content.h"
#include "infer/parts.h"

#include "base/banned.h"

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

bool parts_is_image(const json_t *part)
{
	const char *type = text_of(part, "type");

	return type && strcmp(type, "image") == 0;
}

json_t *parts_url(const json_t *part, const json_t *images)
{
	const json_t *data = content_image(part, images);
	const char *type = text_of(part, "media_type");
	AUTO_BUF struct buf uri = BUF_INIT(BODY_MAX);

	if (!data)
		return json_incref(json_object_get(part, "url"));
	(void)buf_addf(&uri, "data:%s;base64,", type ? type : "image/png"); /* failed tells */
	(void)buf_add(&uri, json_string_value(data), json_string_length(data));
	return uri.failed ? NULL : json_stringn(buf_str(&uri), uri.len);
}

json_t *parts_text(const json_t *content)
{
	AUTO_BUF struct buf all = BUF_INIT(BODY_MAX);
	const json_t *part;
	size_t i;

	if (json_is_string(content))
		return json_incref((json_t *)(uintptr_t)content);
	json_array_foreach(content, i, part) {
		const json_t *text = json_object_get(part, "text");

		if (!json_is_string(text))
			continue;
		if (all.len)
			(void)buf_addc(&all, '\n'); /* failed tells */
		(void)buf_add(&all, json_string_value(text), json_string_length(text));
	}
	return all.failed ? NULL : json_stringn(buf_str(&all), all.len);
}

/* A history may come from another model: signatures of one provider mean nothing to the next. */
static json_t *copy_call(const json_t *call, const char *keep)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)call);
	json_t *own = keep ? json_object_get(json_object_get(call, "extra_content"), keep) : NULL;

	if (!copy)
		return NULL;
	(void)json_object_del(copy, "extra_content"); /* may be absent */
	if (own && json_object_set_new(copy, "extra_content", json_pack("{s:O}", keep, own))) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

json_t *parts_calls(const json_t *calls, const char *keep)
{
	json_t *out = json_array();
	const json_t *call;
	size_t i;

	json_array_foreach(calls, i, call) {
		if (json_array_append_new(out, copy_call(call, keep))) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static json_t *image_part(const json_t *part, const json_t *images)
{
	json_t *url = parts_url(part, images), *detail = json_object_get(part, "detail");
	json_t *out =
		url ? json_pack("{s:s, s:{s:o}}", "type", "image_url", "image_url", "url", url)
		    : NULL;

	if (out && detail && json_object_set(json_object_get(out, "image_url"), "detail", detail)) {
		json_decref(out);
		return NULL;
	}
	return out;
}

static json_t *openai_content(const json_t *content, const json_t *images)
{
	json_t *out = json_array(), *part;
	size_t i;

	json_array_foreach(content, i, part) {
		json_t *put = parts_is_image(part) ? image_part(part, images) : json_incref(part);

		if (json_array_append_new(out, put)) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

int parts_openai(json_t *messages, const json_t *images, const char *keep)
{
	json_t *m;
	size_t i;

	json_array_foreach(messages, i, m) {
		const json_t *content = json_object_get(m, "content");
		const json_t *calls = json_object_get(m, "tool_calls");

		if (json_is_array(content) &&
		    json_object_set_new(m, "content", openai_content(content, images)))
			return -ENOMEM;
		if (json_is_array(calls) &&
		    json_object_set_new(m, "tool_calls", parts_calls(calls, keep)))
			return -ENOMEM;
	}
	return 0;
}
