/*
 * infer/content.c - messages, parts and tool calls, for APIs whose messages are not OpenAI's
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "core/canon.h"
#include "infer/content.h"

#include "base/banned.h"

#define TEXT_MAX (64u << 20)

static const char *string_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static bool says(const json_t *o, const char *name, const char *value)
{
	const char *s = string_of(o, name);

	return s && strcmp(s, value) == 0;
}

bool content_is(const json_t *m, const char *role)
{
	return says(m, "role", role) ||
	       (strcmp(role, "system") == 0 && says(m, "role", "developer"));
}

/* ---- text ---- */

const json_t *content_part_text(const json_t *part)
{
	const json_t *text = json_object_get(part, "text");

	return json_string_length(text) ? text : NULL;
}

void content_text(const json_t *content, struct buf *out)
{
	const json_t *part;
	size_t i, before = out->len;

	(void)buf_add(out, json_string_value(content), json_string_length(content));
	json_array_foreach(content, i, part) {
		const json_t *text = content_part_text(part);

		if (text && out->len > before)
			(void)buf_addc(out, '\n');
		(void)buf_add(out, json_string_value(text), json_string_length(text));
	}
}

json_t *content_string(const json_t *content)
{
	AUTO_BUF struct buf text = BUF_INIT(TEXT_MAX);

	content_text(content, &text);
	return text.failed ? NULL : json_stringn(buf_str(&text), text.len);
}

json_t *content_system(const json_t *effective, bool *out_failed)
{
	AUTO_BUF struct buf text = BUF_INIT(TEXT_MAX);
	const json_t *m;
	json_t *joined;
	size_t i;

	json_array_foreach(json_object_get(effective, "messages"), i, m) {
		AUTO_BUF struct buf one = BUF_INIT(TEXT_MAX);

		if (!content_is(m, "system"))
			continue;
		content_text(json_object_get(m, "content"), &one);
		*out_failed |= one.failed != 0;
		if (one.len)
			(void)buf_addf(&text, "%s", text.len ? "\n\n" : ""); /* text.failed tells */
		(void)buf_add(&text, one.data, one.len);
	}
	if (text.failed || !text.len) {
		*out_failed |= text.failed != 0;
		return NULL;
	}
	joined = json_stringn(text.data, text.len);
	*out_failed |= !joined;
	return joined;
}

/* Providers of this kind refuse a conversation that is empty; nobody should wait for that. */
static bool something(const json_t *m)
{
	const json_t *content = json_object_get(m, "content"), *part;
	size_t i;

	if (content_is(m, "system"))
		return false;
	if (json_string_length(content) || json_array_size(json_object_get(m, "tool_calls")) ||
	    content_is(m, "tool"))
		return true;
	json_array_foreach(content, i, part) {
		if (content_part_text(part) || says(part, "type", "image"))
			return true;
	}
	return false;
}

int content_needed(const struct body_check *k)
{
	const json_t *m;
	size_t i;
	int rc;

	json_array_foreach(json_object_get(k->effective, "messages"), i, m) {
		if (something(m))
			return 0;
	}
	rc = err_field(k->e, ERR_UNSUPPORTED, "messages",
		       "%s needs a message with content, besides system messages", k->config->name);
	if (k->e)
		(void)str_copy(k->e->backend, sizeof(k->e->backend),
			       k->config->name); /* cut is fine */
	return rc;
}

/* ---- images ---- */

static bool media_ok(const struct content_images *takes, const json_t *part)
{
	const char *type = string_of(part, "media_type");

	for (const char *const *m = takes->media; type && *m; m++)
		if (strcmp(*m, type) == 0)
			return true;
	return false;
}

/* NULL: it can be sent */
static const char *why_not(const struct content_images *takes, const json_t *message,
			   const json_t *part)
{
	if (!content_is(message, "user") && !content_is(message, "tool"))
		return "images are the user's and the tools' to give";
	if (json_object_get(part, "url"))
		return takes->url ? NULL
				  : "it fetches no addresses; give the image as path or data";
	return media_ok(takes, part) ? NULL : "it does not know images of that type";
}

/* A lone text part is a string and no part at all is none: as if the image had never been there. */
static int settle(json_t *message)
{
	json_t *parts = json_object_get(message, "content"), *content;
	json_t *text = json_object_get(json_array_get(parts, 0), "text");

	if (json_array_size(parts) > 1 || (json_array_size(parts) == 1 && !json_is_string(text)))
		return 0;
	content = json_array_size(parts) ? json_incref(text) : json_string("");
	return json_object_set_new(message, "content", content) ? -ENOMEM : 0;
}

static int check_parts(const struct body_check *k, const struct content_images *takes,
		       json_t *message)
{
	json_t *parts = json_object_get(message, "content");
	bool dropped = false;
	int rc = 0;

	for (size_t i = 0; !rc && i < json_array_size(parts);) {
		const json_t *part = json_array_get(parts, i);
		const char *why = says(part, "type", "image") ? why_not(takes, message, part)
							      : NULL;

		if (why) {
			rc = body_refuse(k, "messages.image", why);
			if (!rc)
				rc = json_array_remove(parts, i);
			dropped = true;
		} else {
			i++;
		}
	}
	return rc || !dropped ? rc : settle(message);
}

static const char *detail_of(const json_t *part)
{
	const char *detail = says(part, "type", "image") ? string_of(part, "detail") : NULL;

	return detail && strcmp(detail, "auto") != 0 ? detail : NULL;
}

/* One wish for the whole request: it can be said when no image has another one. */
static bool detail_ok(const json_t *effective)
{
	const char *first = NULL, *now;
	const json_t *m, *part;
	bool seen = false;
	size_t i, j;

	json_array_foreach(json_object_get(effective, "messages"), i, m) {
		json_array_foreach(json_object_get(m, "content"), j, part) {
			if (!says(part, "type", "image"))
				continue;
			now = detail_of(part);
			if (now && strcmp(now, "low") != 0 && strcmp(now, "high") != 0)
				return false;
			if (seen && (!now != !first || (now && strcmp(now, first) != 0)))
				return false;
			first = now;
			seen = true;
		}
	}
	return true;
}

const char *content_detail(const json_t *effective)
{
	const json_t *m, *part;
	size_t i, j;

	json_array_foreach(json_object_get(effective, "messages"), i, m) {
		json_array_foreach(json_object_get(m, "content"), j, part) {
			if (detail_of(part))
				return detail_of(part);
		}
	}
	return NULL;
}

static int check_detail(const struct body_check *k, bool takes)
{
	json_t *m, *part;
	size_t i, j;
	int rc;

	if (takes ? detail_ok(k->effective) : !content_detail(k->effective))
		return 0;
	rc = body_refuse(k, "messages.image.detail",
			 takes ? "it has low and high, one for all images" : "");
	json_array_foreach(json_object_get(k->effective, "messages"), i, m) {
		json_array_foreach(json_object_get(m, "content"), j, part) {
			if (!rc && detail_of(part))
				(void)json_object_del(part, "detail"); /* it is there */
		}
	}
	return rc;
}

int content_images(const struct body_check *k, const struct content_images *takes)
{
	json_t *m;
	size_t i;

	json_array_foreach(json_object_get(k->effective, "messages"), i, m) {
		int rc = check_parts(k, takes, m);

		if (rc)
			return rc;
	}
	return check_detail(k, takes->detail);
}

const json_t *content_image(const json_t *part, const json_t *images)
{
	const char *sha256 = string_of(part, "sha256");
	const json_t *data = sha256 ? json_object_get(images, sha256) : NULL;

	return json_is_string(data) ? data : NULL;
}

int content_images_there(const struct backend_config *c, const json_t *effective,
			 const json_t *images, struct err *e)
{
	const json_t *m, *part;
	size_t i, j;

	json_array_foreach(json_object_get(effective, "messages"), i, m) {
		json_array_foreach(json_object_get(m, "content"), j, part) {
			if (string_of(part, "sha256") && !content_image(part, images))
				return err_set(
					e, ERR_INTERNAL,
					"the bytes of image %zu in messages[%zu] for %s are gone",
					j, i, c->name);
		}
	}
	return 0;
}

/* ---- tool calls ---- */

static int parse_arguments(const json_t *call, json_t **out, struct err *e)
{
	const json_t *text = json_object_get(json_object_get(call, "function"), "arguments");
	size_t len = json_string_length(text);
	int rc;

	if (len == 0)
		*out = json_object();
	rc = len ? canon_parse(json_string_value(text), len, out, NULL, e) : *out ? 0 : -ENOMEM;
	if (rc == 0 && !json_is_object(*out)) {
		json_decref(*out);
		*out = NULL;
		rc = err_set(e, ERR_REQUEST, "not a JSON object");
	}
	return rc;
}

json_t *content_parameters(const json_t *function)
{
	json_t *schema = json_object_get(function, "parameters");

	return json_is_object(schema) ? json_incref(schema)
				      : json_pack("{s:s, s:{}}", "type", "object", "properties");
}

json_t *content_arguments(const json_t *call)
{
	json_t *o = NULL;

	return parse_arguments(call, &o, NULL) == 0 ? o : NULL;
}

static int check_call(const struct body_check *k, size_t at, size_t index, const json_t *call)
{
	json_t *o = NULL;
	struct err why;
	int rc = parse_arguments(call, &o, &why);

	json_decref(o);
	if (rc == 0 || rc == -ENOMEM)
		return rc;
	return err_field(k->e, ERR_REQUEST, "messages.tool_calls",
			 "messages[%zu].tool_calls[%zu].function.arguments: %s; %s takes only the "
			 "text of a JSON object",
			 at, index, why.message, k->config->name);
}

int content_calls(const struct body_check *k)
{
	const json_t *m, *call;
	size_t i, j;

	json_array_foreach(json_object_get(k->effective, "messages"), i, m) {
		json_array_foreach(json_object_get(m, "tool_calls"), j, call) {
			int rc = check_call(k, i, j, call);

			if (rc)
				return rc;
		}
	}
	return 0;
}

const json_t *content_extra(const json_t *call, const char *provider, const char *name)
{
	return json_object_get(json_object_get(json_object_get(call, "extra_content"), provider),
			       name);
}

/* ---- the answer's form ---- */

/* name and strict have no place and change nothing: where there is a schema it is always kept to. */
json_t *content_schema(const json_t *effective, bool *out_failed)
{
	const json_t *format = json_object_get(effective, "response_format");
	const json_t *outer = json_object_get(format, "json_schema");
	json_t *description = json_object_get(outer, "description"), *schema;

	if (!says(format, "type", "json_schema") || !json_object_get(outer, "schema"))
		return NULL;
	schema = json_copy(json_object_get(outer, "schema"));
	if (!schema || (json_is_string(description) && json_is_object(schema) &&
			!json_object_get(schema, "description") &&
			json_object_set(schema, "description", description))) {
		*out_failed = true;
		json_decref(schema);
		return NULL;
	}
	return schema;
}

void content_escape(struct buf *out, const char *text)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

	for (; *text; text++) {
		if (strchr(plain, *text))
			(void)buf_addc(out, *text); /* out->failed tells */
		else
			(void)buf_addf(out, "%%%02X", (unsigned)(unsigned char)*text);
	}
}
