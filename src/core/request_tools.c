/*
 * request_tools.c - tools, tool choice, tool calls of earlier turns, answer formats
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/canon.h"
#include "core/request_say.h"
#include "core/request_tools.h"

#include "base/banned.h"

#define TOOLS_MAX      1024
#define TOOL_NAME_MAX  256
#define ARGUMENTS_MAX  (16u << 20)
#define FUNCTION_FORM  "{\"type\":\"function\",\"function\":{\"name\":\"...\"}}"
#define FUNCTION_WANTS "an object like " FUNCTION_FORM

enum member_type { MEMBER_NAME, MEMBER_TEXT, MEMBER_BOOL, MEMBER_OBJECT };

/* one member of an object that a user writes */
struct member {
	const char *name;
	enum member_type type;
	bool needed;
};

static const struct member function_members[] = { { "name", MEMBER_NAME, true },
						  { "description", MEMBER_TEXT, false },
						  { "parameters", MEMBER_OBJECT, false },
						  { "strict", MEMBER_BOOL, false },
						  { NULL, MEMBER_TEXT, false } };
static const struct member schema_members[] = { { "name", MEMBER_NAME, true },
						{ "schema", MEMBER_OBJECT, true },
						{ "strict", MEMBER_BOOL, false },
						{ "description", MEMBER_TEXT, false },
						{ NULL, MEMBER_TEXT, false } };
static const struct member choice_members[] = { { "name", MEMBER_NAME, true },
						{ NULL, MEMBER_TEXT, false } };

static json_t *shared(const json_t *v)
{
	return json_incref((json_t *)(uintptr_t)v); /* only the count is written */
}

static bool right(const struct member *m, const json_t *v)
{
	switch (m->type) {
	case MEMBER_NAME:
		return request_say_name(v, TOOL_NAME_MAX);
	case MEMBER_BOOL:
		return json_is_boolean(v);
	case MEMBER_OBJECT:
		return json_is_object(v);
	case MEMBER_TEXT:
	default:
		return json_is_string(v);
	}
}

static int check_member(const struct member *m, const char *path, const json_t *v, json_t *out,
			struct err *e)
{
	static const char *const words[] = {
		[MEMBER_NAME] = "a string of 1 to 256 bytes without control characters",
		[MEMBER_TEXT] = "a string",
		[MEMBER_BOOL] = "true or false",
		[MEMBER_OBJECT] = "an object",
	};
	char full[ERR_NAME_MAX];

	if (!m->needed && (!v || json_is_null(v)))
		return 0; /* other programs write what is absent as null */
	if (!v || !right(m, v)) {
		request_say_path(full, path, m->name);
		return request_say_wrong(e, full, words[m->type], v);
	}
	return json_object_set_new(out, m->name, shared(v)) ? -ENOMEM : 0;
}

static int only_known(const char *path, const json_t *o, const struct member *members,
		      struct err *e)
{
	const char *names[8] = { NULL };
	const char *name;
	json_t *v;

	for (size_t i = 0; members[i].name; i++)
		names[i] = members[i].name;
	json_object_foreach((json_t *)(uintptr_t)o, name, v) {
		bool known = false;

		for (size_t i = 0; names[i]; i++)
			known |= strcmp(name, names[i]) == 0;
		if (!known)
			return request_say_unknown(
				e, path, name, names,
				"a provider's own members go into \"extra_body\"");
	}
	return 0;
}

/* An object with these members and no others, as a new one. */
static int check_object(const char *path, const json_t *v, const struct member *members,
			json_t **out, struct err *e)
{
	json_t *o;
	int rc;

	if (!json_is_object(v))
		return request_say_wrong(e, path, "an object", v);
	rc = only_known(path, v, members, e);
	if (rc)
		return rc;
	o = json_object();
	rc = o ? 0 : -ENOMEM;
	for (; members->name && !rc; members++)
		rc = check_member(members, path, json_object_get(v, members->name), o, e);
	if (rc) {
		json_decref(o);
		return rc;
	}
	*out = o;
	return 0;
}

/* ---- tools ---- */

/* {"type":"function","function":{...}} and nothing else */
static int check_function(const char *path, const json_t *v, const struct member *members,
			  json_t **out, struct err *e)
{
	static const struct member outer[] = { { "type", MEMBER_TEXT, true },
					       { "function", MEMBER_OBJECT, true },
					       { NULL, MEMBER_TEXT, false } };
	char inner[ERR_NAME_MAX];
	json_t *function = NULL;
	int rc = only_known(path, v, outer, e);

	if (rc)
		return rc;
	request_say_path(inner, path, "function");
	rc = check_object(inner, json_object_get(v, "function"), members, &function, e);
	if (rc)
		return rc;
	*out = json_pack("{s:s, s:o}", "type", "function", "function", function);
	return *out ? 0 : -ENOMEM;
}

static int check_tool(const char *path, const json_t *v, json_t **out, struct err *e)
{
	const json_t *type = json_object_get(v, "type");
	char full[ERR_NAME_MAX], found[REQUEST_SAY_FOUND_MAX];

	if (!json_is_object(v))
		return request_say_wrong(e, path, FUNCTION_WANTS, v);
	request_say_path(full, path, "type");
	if (!json_is_string(type))
		return request_say_wrong(e, full, "\"function\" and the rest in \"function\"",
					 type);
	if (!request_say_is(type, "function")) {
		request_say_found(type, found, sizeof(found));
		return err_field(e, ERR_UNSUPPORTED, "tools",
				 "%s is %s; only functions are taken here: give a provider's own "
				 "tools in \"extra_body\":{\"tools\":[...]}",
				 full, found);
	}
	return check_function(path, v, function_members, out, e);
}

static const char *name_of(const json_t *tool)
{
	const char *s =
		json_string_value(json_object_get(json_object_get(tool, "function"), "name"));

	return s ? s : "";
}

static bool has_tool(const json_t *tools, const char *name)
{
	for (size_t i = 0; i < json_array_size(tools); i++)
		if (strcmp(name_of(json_array_get(tools, i)), name) == 0)
			return true;
	return false;
}

static int add_tool(size_t i, const json_t *v, json_t *list, struct err *e)
{
	char path[48], full[ERR_NAME_MAX];
	json_t *tool = NULL;
	int rc;

	(void)snprintf(path, sizeof(path), "tools[%zu]", i);
	rc = check_tool(path, v, &tool, e);
	if (rc)
		return rc;
	if (has_tool(list, name_of(tool))) {
		json_decref(tool);
		request_say_path(full, path, "function.name");
		return request_say(e, ERR_REQUEST, full,
				   "is the name of an earlier tool too; give each its own");
	}
	return json_array_append_new(list, tool) ? -ENOMEM : 0;
}

int request_tools_check(const json_t *list, json_t **out, struct err *e)
{
	json_t *checked;
	int rc;

	if (json_array_size(list) > TOOLS_MAX)
		return request_say(e, ERR_REQUEST, "tools", "has %zu entries; give at most %d",
				   json_array_size(list), TOOLS_MAX);
	checked = json_array();
	rc = checked ? 0 : -ENOMEM;
	for (size_t i = 0; i < json_array_size(list) && !rc; i++)
		rc = add_tool(i, json_array_get(list, i), checked, e);
	if (rc) {
		json_decref(checked);
		return rc;
	}
	*out = checked;
	return 0;
}

/* ---- tool_choice ---- */

int request_tools_choice(const json_t *v, json_t **out, struct err *e)
{
	static const char *const words[] = { "none", "auto", "required", NULL };
	static const char allowed[] = "\"none\", \"auto\", \"required\" or " FUNCTION_WANTS;

	for (const char *const *w = words; *w; w++) {
		if (request_say_is(v, *w)) {
			*out = shared(v);
			return 0;
		}
	}
	if (request_say_is(v, "any"))
		return request_say(e, ERR_REQUEST, "tool_choice",
				   "is not known; did you mean \"required\"?");
	if (!json_is_object(v) || !request_say_is(json_object_get(v, "type"), "function"))
		return request_say_wrong(e, "tool_choice", allowed, v);
	return check_function("tool_choice", v, choice_members, out, e);
}

static int choose(const json_t *tools, const json_t *choice, struct err *e)
{
	const char *name = name_of(choice), *near;
	const char *names[65] = { NULL };
	char found[REQUEST_SAY_FOUND_MAX];

	if (!json_is_object(choice) || has_tool(tools, name))
		return 0;
	for (size_t i = 0; i < json_array_size(tools) && i + 1 < ARRAY_LEN(names); i++)
		names[i] = name_of(json_array_get(tools, i));
	near = str_nearest(name, names);
	request_say_quote(name, found, sizeof(found));
	if (near)
		return request_say(e, ERR_REQUEST, "tool_choice",
				   "names %s, which is not in tools; did you mean \"%.64s\"?",
				   found, near);
	return request_say(e, ERR_REQUEST, "tool_choice",
			   "names %s, which is not in tools; give a name of theirs", found);
}

int request_tools_agree(json_t *merged, const json_t *own, struct err *e)
{
	const json_t *choice = json_object_get(merged, "tool_choice");
	const json_t *mine = json_object_get(own, "tool_choice");
	const json_t *extra = json_object_get(merged, "extra_body");
	const json_t *tools = json_object_get(merged, "tools");

	if (!choice || json_object_get(extra, "tools"))
		return 0;
	if (tools)
		return choose(tools, choice, e);
	if (mine && !json_is_null(mine))
		return request_say(e, ERR_REQUEST, "tool_choice",
				   "is given but there are no tools; add \"tools\" or remove it");
	(void)json_object_del(merged, "tool_choice"); /* it is there */
	return 0;
}

/* ---- tool calls of earlier turns ---- */

/* Models and other programs write arguments as an object; the format has them as text. */
static int text_of_arguments(const json_t *v, json_t **out)
{
	AUTO_BUF struct buf b = BUF_INIT(ARGUMENTS_MAX);
	int rc;

	if (json_is_string(v)) {
		*out = shared(v);
		return 0;
	}
	rc = canon_write(v, &b);
	if (rc)
		return rc;
	*out = json_stringn(b.data, b.len);
	return *out ? 0 : -ENOMEM;
}

static int call_function(const char *path, const json_t *v, json_t **out, struct err *e)
{
	const json_t *name = json_object_get(v, "name");
	json_t *arguments = json_object_get(v, "arguments"), *text = NULL, *copy;
	char full[ERR_NAME_MAX];
	int rc;

	request_say_path(full, path,
			 !json_is_object(v)			 ? "function"
			 : request_say_name(name, TOOL_NAME_MAX) ? "function.arguments"
								 : "function.name");
	if (!json_is_object(v))
		return request_say_wrong(e, full, "an object with name and arguments", v);
	if (!request_say_name(name, TOOL_NAME_MAX))
		return request_say_wrong(e, full, "the function's name", name);
	if (!json_is_string(arguments) && !json_is_object(arguments))
		return request_say_wrong(e, full, "a string of JSON", arguments);
	rc = text_of_arguments(arguments, &text);
	if (rc)
		return rc;
	copy = json_copy((json_t *)(uintptr_t)v);
	if (!copy) {
		json_decref(text);
		return -ENOMEM;
	}
	if (json_object_set_new(copy, "arguments", text)) {
		json_decref(copy);
		return -ENOMEM;
	}
	*out = copy;
	return 0;
}

static int check_call(const char *path, const json_t *v, json_t **out, struct err *e)
{
	const json_t *type = json_object_get(v, "type"), *id = json_object_get(v, "id");
	json_t *function = NULL, *call;
	char full[ERR_NAME_MAX];
	int rc;

	if (!json_is_object(v))
		return request_say_wrong(
			e, path, "an object like {\"id\":\"...\",\"type\":\"function\",...}", v);
	if (type && !request_say_is(type, "function")) {
		*out = shared(v); /* a provider's own kind of tool goes back as it came */
		return 0;
	}
	request_say_path(full, path, "id");
	if (!request_say_name(id, TOOL_NAME_MAX))
		return request_say_wrong(e, full, "the call's id, as in the answer", id);
	rc = call_function(path, json_object_get(v, "function"), &function, e);
	if (rc)
		return rc;
	call = json_copy((json_t *)(uintptr_t)v);
	rc = call ? 0 : -ENOMEM;
	if (rc || json_object_set(call, "function", function) ||
	    json_object_set_new(call, "type", json_string("function")))
		rc = -ENOMEM;
	json_decref(function);
	if (rc)
		json_decref(call);
	else
		*out = call;
	return rc;
}

int request_tools_calls(const char *path, const json_t *list, json_t **out, struct err *e)
{
	json_t *checked;
	char full[ERR_NAME_MAX + 24];
	int rc = 0;

	if (!json_is_array(list))
		return request_say_wrong(e, path, "a list", list);
	if (!json_array_size(list))
		return 0; /* some providers refuse the empty list of an answer without calls */
	checked = json_array();
	for (size_t i = 0; i < json_array_size(list) && !rc; i++) {
		json_t *call = NULL;

		(void)snprintf(full, sizeof(full), "%s[%zu]", path, i);
		rc = check_call(full, json_array_get(list, i), &call, e);
		if (!rc && json_array_append_new(checked, call))
			rc = -ENOMEM;
	}
	if (rc) {
		json_decref(checked);
		return rc;
	}
	*out = checked;
	return 0;
}

/* ---- response_format ---- */

static int schema_format(const json_t *v, json_t **out, struct err *e)
{
	json_t *schema = NULL;
	int rc = check_object("response_format.json_schema", json_object_get(v, "json_schema"),
			      schema_members, &schema, e);

	if (rc)
		return rc;
	*out = json_pack("{s:s, s:o}", "type", "json_schema", "json_schema", schema);
	return *out ? 0 : -ENOMEM;
}

int request_tools_format(const json_t *v, json_t **out, struct err *e)
{
	static const char allowed[] = "\"text\", \"json_object\" or \"json_schema\"";
	static const char *const words[] = { "text", "json_object", "json_schema", NULL };
	static const struct member outer[] = { { "type", MEMBER_TEXT, true },
					       { "json_schema", MEMBER_OBJECT, false },
					       { NULL, MEMBER_TEXT, false } };
	const json_t *type = json_object_get(v, "type");
	const char *near = json_is_string(type) ? str_nearest(json_string_value(type), words) : "";
	int rc = only_known("response_format", v, outer, e);

	if (rc)
		return rc;
	if (request_say_is(type, "json_schema"))
		return schema_format(v, out, e);
	if (!request_say_is(type, "text") && !request_say_is(type, "json_object")) {
		if (near && *near)
			return request_say(e, ERR_REQUEST, "response_format.type",
					   "is not known; did you mean \"%s\"?", near);
		return request_say_wrong(e, "response_format.type", allowed, type);
	}
	if (json_object_get(v, "json_schema"))
		return request_say(e, ERR_REQUEST, "response_format.json_schema",
				   "is given; set type to \"json_schema\" or remove it");
	*out = shared(v);
	return 0;
}
