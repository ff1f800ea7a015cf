/*
 * request_messages.c - the list of messages
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "core/request_image.h"
#include "core/request_messages.h"
#include "core/request_say.h"
#include "core/request_tools.h"

#include "base/banned.h"

static const char *const roles[] = { "system", "developer", "user", "assistant", "tool", NULL };

/* one message on its way */
struct visit {
	size_t index;
	const char *role; /* as kept: never developer */
	bool assistant, tool;
	struct err *e;
};

static void path_of(const struct visit *w, const char *member, char out[ERR_NAME_MAX])
{
	char path[48];

	(void)snprintf(path, sizeof(path), "messages[%zu]", w->index);
	request_say_path(out, path, member);
}

__attribute__((format(printf, 3, 4))) static int fail(const struct visit *w, const char *member,
						      const char *fmt, ...)
{
	char path[ERR_NAME_MAX], text[ERR_MESSAGE_MAX];
	va_list ap;

	path_of(w, member, path);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* short: all parts are limited */
	va_end(ap);
	return request_say(w->e, ERR_REQUEST, path, "%s", text);
}

static int wrong(const struct visit *w, const char *member, const char *allowed, const json_t *v)
{
	char path[ERR_NAME_MAX];

	path_of(w, member, path);
	return request_say_wrong(w->e, path, allowed, v);
}

static bool one_of(const json_t *v, const char *const *list)
{
	for (; *list; list++)
		if (request_say_is(v, *list))
			return true;
	return false;
}

static int read_role(struct visit *w, const json_t *m)
{
	static const char allowed[] = "\"system\", \"user\", \"assistant\" or \"tool\"";
	const json_t *v = json_object_get(m, "role");
	const char *near;

	if (!one_of(v, roles)) {
		near = json_is_string(v) ? str_nearest(json_string_value(v), roles) : NULL;
		if (near)
			return fail(w, "role", "is not known; did you mean \"%s\"?", near);
		return wrong(w, "role", allowed, v);
	}
	w->role = request_say_is(v, "developer") ? "system" : json_string_value(v);
	w->assistant = strcmp(w->role, "assistant") == 0;
	w->tool = strcmp(w->role, "tool") == 0;
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
			 : fail(w, member, "is missing; give a string");
	if (w->assistant)
		return 0;
	json_object_foreach((json_t *)(uintptr_t)part, name, v) {
		if (strcmp(name, "type") == 0 || strcmp(name, "text") == 0)
			continue;
		request_say_path(member, path, name);
		return fail(w, member,
			    "is not known; a text part has only type and text, remove it");
	}
	return 0;
}

static int check_image_part(const struct visit *w, const char *path, const json_t *part,
			    json_t **out)
{
	char full[ERR_NAME_MAX];

	if (strcmp(w->role, "user") != 0)
		return fail(w, path, "is an image; images belong into messages of the role user");
	if (request_say_is(json_object_get(part, "type"), "input_image"))
		return fail(w, path,
			    "is an image in the form of the responses API; write "
			    "{\"type\":\"image\",\"path\":\"...\"} or with \"url\" or \"data\"");
	path_of(w, path, full);
	return request_image_part(full, part, out, w->e);
}

static int check_part(const struct visit *w, size_t i, const json_t *part, json_t **out)
{
	static const char *const images[] = { "image", "image_url", "input_image", NULL };
	const json_t *type = json_object_get(part, "type");
	char path[48], member[56];
	int rc;

	(void)snprintf(path, sizeof(path), "content[%zu]", i);
	(void)snprintf(member, sizeof(member), "%s.type", path);
	if (!json_is_object(part))
		return wrong(w, path, "an object like {\"type\":\"text\",\"text\":\"...\"}", part);
	if (one_of(type, images))
		return check_image_part(w, path, part, out);
	if (!request_say_is(type, "text") && !(w->assistant && json_is_string(type)))
		return wrong(w, member, w->role[0] == 'u' ? "\"text\" or \"image\"" : "\"text\"",
			     type);
	rc = request_say_is(type, "text") ? check_text_part(w, path, part) : 0;
	if (!rc)
		*out = json_incref((json_t *)(uintptr_t)part);
	return rc;
}

static int check_parts(const struct visit *w, const json_t *list, json_t **out)
{
	json_t *checked = json_array();
	int rc = checked ? 0 : -ENOMEM;

	for (size_t i = 0; i < json_array_size(list) && !rc; i++) {
		json_t *part = NULL;

		rc = check_part(w, i, json_array_get(list, i), &part);
		if (!rc && json_array_append_new(checked, part))
			rc = -ENOMEM;
	}
	if (rc) {
		json_decref(checked);
		return rc;
	}
	*out = checked;
	return 0;
}

static int check_content(const struct visit *w, const json_t *v, json_t **out)
{
	const json_t *first = json_array_get(v, 0);

	if (json_is_string(v) || (json_is_null(v) && w->assistant)) {
		*out = json_incref((json_t *)(uintptr_t)v);
		return 0;
	}
	if (!json_array_size(v))
		return wrong(w, "content",
			     w->assistant ? "a string, null or a list of parts"
					  : "a string or a list of parts that is not empty",
			     v);
	if (json_array_size(v) == 1 && request_say_is(json_object_get(first, "type"), "text") &&
	    json_object_size(first) == 2) {
		int rc = check_text_part(w, "content[0]", first);

		if (!rc)
			*out = json_incref(json_object_get(first, "text"));
		return rc;
	}
	return check_parts(w, v, out);
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
		char path[ERR_NAME_MAX];

		path_of(w, name, path);
		return request_tools_calls(path, v, out, w->e);
	}
	if (strcmp(name, "tool_call_id") == 0 && !request_say_name(v, 1024))
		return wrong(w, name, "the id of the call that it answers", v);
	if (strcmp(name, "name") == 0 && !json_is_string(v))
		return wrong(w, name, "a string", v);
	if (strcmp(name, "prefix") == 0 && !json_is_boolean(v))
		return wrong(w, name, "true or false", v);
	*out = json_incref((json_t *)(uintptr_t)v);
	return 0;
}

static bool in_list(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

static int check_member(const struct visit *w, const char *name, const json_t *v, json_t **out)
{
	static const char *const all[] = { "role", "content", "name", NULL };
	static const char *const answers[] = { "role",	     "content", "name",
					       "tool_calls", "prefix",	NULL };
	static const char *const results[] = { "role", "content", "name", "tool_call_id", NULL };
	const char *const *known = w->assistant ? answers : w->tool ? results : all;
	char path[ERR_NAME_MAX], has[80];

	if (in_list(known, name))
		return check_known(w, name, v, out);
	if (w->assistant) {
		*out = json_incref((json_t *)(uintptr_t)v);
		return 0;
	}
	path_of(w, "", path);
	(void)snprintf(has, sizeof(has), "a %s message has role, content, %sname", w->role,
		       w->tool ? "tool_call_id, " : "");
	return request_say_unknown(w->e, path, name, known, has);
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
		return fail(w, "content", "is missing; give a string");
	if (w->tool && !json_object_get(out, "tool_call_id"))
		return fail(w, "tool_call_id",
			    "is missing; give the id of the call that it answers");
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
		if (request_say_is(json_object_get(json_array_get(list, i), "role"), "system"))
			return true;
	return false;
}

json_t *request_messages_one(const char *role, const json_t *content)
{
	return json_pack("{s:s, s:O}", "role", role, "content", content);
}
