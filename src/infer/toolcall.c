/*
 * infer/toolcall.c - tool calls of an answer, merged from the pieces of a stream
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/str.h"
#include "infer/toolcall.h"

#include "base/banned.h"

#define ARGUMENTS_MAX (64u << 20)

static json_t *find_call(json_t *calls, const json_t *index)
{
	json_t *call;
	size_t i;

	if (!json_is_integer(index))
		return NULL;
	json_array_foreach(calls, i, call) {
		if (json_equal(json_object_get(call, "index"), index))
			return call;
	}
	return NULL;
}

static json_t *new_call(json_t *calls, const json_t *index)
{
	json_t *call;

	if (json_array_size(calls) >= TOOLCALL_MAX)
		return NULL;
	call = json_pack("{s:s, s:{s:s, s:s}}", "type", "function", "function", "name", "",
			 "arguments", "");
	if (call && json_is_integer(index) &&
	    json_object_set(call, "index", (json_t *)(uintptr_t)index)) {
		json_decref(call);
		return NULL;
	}
	return json_array_append_new(calls, call) ? NULL : call; /* the array took the reference */
}

static int append_arguments(json_t *function, const json_t *piece)
{
	const json_t *old = json_object_get(function, "arguments");
	AUTO_BUF struct buf text = BUF_INIT(ARGUMENTS_MAX);
	AUTO_FREE char *dump = NULL;

	(void)buf_add(&text, json_string_value(old),
		      json_string_length(old)); /* text.failed tells */
	if (json_is_string(piece)) {
		(void)buf_add(&text, json_string_value(piece), json_string_length(piece));
	} else {
		dump = json_dumps(piece, JSON_COMPACT);
		if (!dump)
			return -ENOMEM;
		(void)buf_adds(&text, dump);
	}
	if (text.failed)
		return text.failed;
	return json_object_set_new(function, "arguments", json_stringn(buf_str(&text), text.len))
		       ? -ENOMEM
		       : 0;
}

static int set_if_missing(json_t *o, const char *name, const json_t *value)
{
	const char *old = json_string_value(json_object_get(o, name));

	if (!json_is_string(value) || !json_string_length(value) || (old && *old))
		return 0;
	return json_object_set(o, name, (json_t *)(uintptr_t)value) ? -ENOMEM : 0;
}

/* What a provider wants back with the call (a signature, say) is kept as it came. */
static int keep_others(json_t *call, const json_t *piece)
{
	static const char *const ours[] = { "index", "id", "type", "function", NULL };
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)piece, name, value) {
		bool mine = false;

		for (size_t i = 0; ours[i]; i++)
			mine = mine || strcmp(ours[i], name) == 0;
		if (!mine && !json_is_null(value) && json_object_set(call, name, value))
			return -ENOMEM;
	}
	return 0;
}

static int merge_piece(json_t *calls, const json_t *piece)
{
	const json_t *index = json_object_get(piece, "index"),
		     *from = json_object_get(piece, "function");
	const json_t *arguments = json_object_get(from, "arguments");
	json_t *call = find_call(calls, index), *function;
	int rc;

	if (!call)
		call = new_call(calls, index);
	if (!call)
		return json_array_size(calls) >= TOOLCALL_MAX ? -EFBIG : -ENOMEM;
	function = json_object_get(call, "function");
	rc = set_if_missing(call, "id", json_object_get(piece, "id"));
	if (!rc)
		rc = set_if_missing(function, "name", json_object_get(from, "name"));
	if (!rc && arguments && !json_is_null(arguments))
		rc = append_arguments(function, arguments);
	return rc ? rc : keep_others(call, piece);
}

int toolcall_merge(json_t **calls, const json_t *pieces)
{
	const json_t *piece;
	size_t i;
	int rc;

	if (json_array_size(pieces) && !*calls) {
		*calls = json_array();
		if (!*calls)
			return -ENOMEM;
	}
	json_array_foreach(pieces, i, piece) {
		rc = json_is_object(piece) ? merge_piece(*calls, piece) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

int toolcall_finish(json_t *calls)
{
	json_t *call;
	size_t i;

	json_array_foreach(calls, i, call) {
		json_t *f = json_object_get(call, "function");

		(void)json_object_del(call, "index"); /* may be absent */
		if (f && !json_string_length(json_object_get(f, "arguments")) &&
		    json_object_set_new(f, "arguments", json_string("{}")))
			return -ENOMEM;
		if (json_object_get(call, "id"))
			continue;
		if (json_object_set_new(call, "id", json_sprintf("call%05zu", i)))
			return -ENOMEM;
	}
	return 0;
}
