/*
 * request_messages.c - the list of messages
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "core/request_fields.h"
#include "core/request_messages.h"

#include "base/banned.h"

static const char *const roles[] = { "system", "developer", "user", "assistant", "tool", NULL };

/* one message on its way */
struct visit {
	size_t index;
	const char *role; /* as kept: never developer */
	bool assistant;
	struct err *e;
};

__attribute__((format(printf, 4, 5))) static int fail(const struct visit *w, enum err_kind kind,
						      const char *member, const char *fmt, ...)
{
	char path[ERR_NAME_MAX], text[ERR_MESSAGE_MAX];
	va_list ap;

	(void)snprintf(path, sizeof(path), "messages[%zu]%s%s", w->index, *member ? "." : "",
		       member);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* short: all parts are limited */
	va_end(ap);
	return err_field(w->e, kind, path, "%s %s", path, text);
}

static int wrong(const struct visit *w, const char *member, const char *allowed, const json_t *v)
{
	char found[REQUEST_FIELDS_FOUND_MAX];

	request_fields_found(v, found, sizeof(found));
	return fail(w, ERR_REQUEST, member, "must be %s, found %s", allowed, found);
}

static bool is_text(const json_t *v, const char *text)
{
	return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

static bool one_of(const json_t *v, const char *const *list)
{
	for (; *list; list++)
		if (is_text(v, *list))
			return true;
	return false;
}

static int read_role(struct visit *w, const json_t *m)
{
	const json_t *v = json_object_get(m, "role");
	const char *near;

	if (!v)
		return fail(w, ERR_REQUEST, "role",
			    "is missing; give \"system\", \"user\" or \"assistant\"");
	if (!one_of(v, roles)) {
		near = json_is_string(v) ? str_nearest(json_string_value(v), roles) : NULL;
		if (near)
			return fail(w, ERR_REQUEST, "role", "is not known; did you mean \"%s\"?",
				    near);
		return wrong(w, "role", "\"system\", \"user\" or \"assistant\"", v);
	}
	if (is_text(v, "tool"))
		return fail(
			w, ERR_UNSUPPORTED, "role",
			"is \"tool\": tools are not supported by this version of inferfs; remove "
			"the message");
	w->role = is_text(v, "developer") ? "system" : json_string_value(v);
	w->assistant = strcmp(w->role, "assistant") == 0;
	return 0;
}

/* In what a user wrote a member we do not know is a mistake that would be paid for; in what a
 * provider answered it may be a signature that must come back. */
static int check_text_part(const struct visit *w, const char *path, const json_t *part)
{
	const char *name;
	json_t *v;
	char member[ERR_NAME_MAX];

	(void)snprintf(member, sizeof(member), "%s.text", path);
	v = json_object_get(part, "text");
	if (!json_is_string(v))
		return v ? wrong(w, member, "a string", v)
			 : fail(w, ERR_REQUEST, member, "is missing; give a string");
	if (w->assistant)
		return 0;
	json_object_foreach((json_t *)(uintptr_t)part, name, v) {
		if (strcmp(name, "type") == 0 || strcmp(name, "text") == 0)
			continue;
		(void)snprintf(member, sizeof(member), "%s.%.32s", path, name);
		return fail(w, ERR_REQUEST, member,
			    "is not known; a text part has only type and text, remove it");
	}
	return 0;
}

static int check_part(const struct visit *w, size_t i, const json_t *part)
{
	static const char *const images[] = { "image", "image_url", "input_image", NULL };
	const json_t *type = json_object_get(part, "type");
	char path[48], member[56];

	(void)snprintf(path, sizeof(path), "content[%zu]", i);
	(void)snprintf(member, sizeof(member), "%s.type", path);
	if (!json_is_object(part))
		return wrong(w, path, "an object like {\"type\":\"text\",\"text\":\"...\"}", part);
	if (!json_is_string(type))
		return type ? wrong(w, member, "a string", type)
			    : fail(w, ERR_REQUEST, member, "is missing; give \"text\"");
	if (is_text(type, "text"))
		return check_text_part(w, path, part);
	if (one_of(type, images))
		return fail(
			w, ERR_UNSUPPORTED, path,
			"is an image: images are not supported by this version of inferfs; remove "
			"the part");
	return w->assistant ? 0 : wrong(w, member, "\"text\"", type);
}

static int check_content(const struct visit *w, const json_t *v, json_t **out)
{
	size_t n = json_array_size(v);
	const json_t *first = json_array_get(v, 0);

	if (json_is_string(v) || (json_is_null(v) && w->assistant)) {
		*out = json_incref((json_t *)(uintptr_t)v);
		return 0;
	}
	if (!n)
		return wrong(w, "content",
			     w->assistant ? "a string, null or a list of parts"
					  : "a string or a list of parts that is not empty",
			     v);
	for (size_t i = 0; i < n; i++) {
		int rc = check_part(w, i, json_array_get(v, i));

		if (rc)
			return rc;
	}
	if (n == 1 && is_text(json_object_get(first, "type"), "text") &&
	    json_object_size(first) == 2)
		v = json_object_get(first, "text");
	*out = json_incref((json_t *)(uintptr_t)v);
	return 0;
}

/* Members with a meaning here. *out stays NULL when nothing is to be kept. */
static int check_known(const struct visit *w, const char *name, const json_t *v, json_t **out)
{
	if (strcmp(name, "role") == 0)
		return (*out = json_string(w->role)) ? 0 : -ENOMEM;
	if (strcmp(name, "content") == 0)
		return check_content(w, v, out);
	if (json_is_null(v))
		return 0; /* other programs write what is absent as null */
	if (strcmp(name, "tool_calls") == 0) {
		if (!json_is_array(v))
			return wrong(w, name, "a list", v);
		return json_array_size(v)
			       ? fail(w, ERR_UNSUPPORTED, name,
				      "is given: tools are not supported by this version of "
				      "inferfs; remove it")
			       : 0;
	}
	if (strcmp(name, "name") == 0 && !json_is_string(v))
		return wrong(w, name, "a string", v);
	if (strcmp(name, "prefix") == 0 && !json_is_boolean(v))
		return wrong(w, name, "true or false", v);
	*out = json_incref((json_t *)(uintptr_t)v);
	return 0;
}

static int check_member(const struct visit *w, const char *name, const json_t *v, json_t **out)
{
	static const char *const everywhere[] = { "role", "content", "name", NULL };
	static const char *const answers[] = { "tool_calls", "prefix", NULL };
	char cut[33];

	for (const char *const *p = everywhere; *p; p++)
		if (strcmp(name, *p) == 0)
			return check_known(w, name, v, out);
	if (w->assistant) {
		for (const char *const *p = answers; *p; p++)
			if (strcmp(name, *p) == 0)
				return check_known(w, name, v, out);
		*out = json_incref((json_t *)(uintptr_t)v);
		return 0;
	}
	if (!str_copy(cut, sizeof(cut), name))
		cut[str_utf8_whole(cut, strlen(cut))] = '\0';
	return fail(w, ERR_REQUEST, cut,
		    "is not known; a %s message has role, content and name, remove it", w->role);
}

static int check_members(const struct visit *w, const json_t *m, json_t *out)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)m, name, v) {
		json_t *kept = NULL;
		int rc = check_member(w, name, v, &kept);

		if (rc)
			return rc;
		if (kept && json_object_set_new(out, name, kept))
			return -ENOMEM;
	}
	if (!w->assistant && !json_object_get(out, "content"))
		return fail(w, ERR_REQUEST, "content", "is missing; give a string");
	return 0;
}

static int check_message(struct visit *w, const json_t *m, json_t *list)
{
	json_t *out;
	int rc;

	if (!json_is_object(m))
		return wrong(w, "", "an object like {\"role\":\"user\",\"content\":\"...\"}", m);
	rc = read_role(w, m);
	if (rc)
		return rc;
	out = json_object();
	rc = out ? check_members(w, m, out) : -ENOMEM;
	if (rc) {
		json_decref(out);
		return rc;
	}
	return json_array_append_new(list, out) ? -ENOMEM : 0;
}

int request_messages_check(const json_t *list, json_t **out, struct err *e)
{
	struct visit w = { .e = e };
	json_t *checked;
	int rc;

	if (!json_array_size(list))
		return err_field(e, ERR_REQUEST, "messages",
				 "messages is empty; give at least one message");
	checked = json_array();
	rc = checked ? 0 : -ENOMEM;
	for (; w.index < json_array_size(list) && !rc; w.index++)
		rc = check_message(&w, json_array_get(list, w.index), checked);
	if (rc) {
		json_decref(checked);
		return rc;
	}
	*out = checked;
	return 0;
}

bool request_messages_have_system(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (is_text(json_object_get(json_array_get(list, i), "role"), "system"))
			return true;
	return false;
}

json_t *request_messages_one(const char *role, const json_t *content)
{
	return json_pack("{s:s, s:O}", "role", role, "content", content);
}
