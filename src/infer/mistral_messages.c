/*
 * infer/mistral_messages.c - messages in Mistral's form
 *
 * An id of a tool call is nine letters or digits there and anything else is refused, so ids that other
 * providers made are replaced. The new one is made from the old one alone: the same history gives the same
 * bytes, and call and result keep belonging together.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "infer/mistral_messages.h"
#include "infer/parts.h"

#include "base/banned.h"

enum { ID_LENGTH = 9 };

/* ---- ids ---- */

static bool is_native(const char *id)
{
	size_t n = 0;

	while (isalnum((unsigned char)id[n]))
		n++;
	return n == ID_LENGTH && !id[n];
}

/* FNV-1a; nothing depends on nobody being able to find a collision */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}

static void write_id(uint64_t v, char out[ID_LENGTH + 1])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz";

	for (int i = ID_LENGTH - 1; i >= 0; i--, v /= 62)
		out[i] = digits[v % 62];
	out[ID_LENGTH] = '\0';
}

/* The map has both directions, the new ids behind a space: no id of a request can be in its way. */
static const char *mapped(json_t *map, const char *id)
{
	const char *known = json_string_value(json_object_get(map, id));
	char fresh[ID_LENGTH + 2] = " ";

	if (known || is_native(id))
		return known ? known : id;
	for (uint64_t v = hash(id);; v++) {
		write_id(v, fresh + 1);
		if (!json_object_get(map, fresh))
			break;
	}
	if (json_object_set_new(map, fresh, json_true()) ||
	    json_object_set_new(map, id, json_string(fresh + 1)))
		return NULL;
	return json_string_value(json_object_get(map, id));
}

static int map_member(json_t *map, json_t *o, const char *name)
{
	const char *id = json_string_value(json_object_get(o, name)), *to;

	if (!id)
		return 0;
	to = mapped(map, id);
	if (!to)
		return -ENOMEM;
	return to == id || json_object_set_new(o, name, json_string(to)) == 0 ? 0 : -ENOMEM;
}

/* Ids that may stay are taken before a new one is chosen. */
static int note_native(json_t *map, const json_t *messages)
{
	const json_t *m, *call;
	char taken[ID_LENGTH + 2] = " ";
	size_t i, k;

	json_array_foreach(messages, i, m) {
		json_array_foreach(json_object_get(m, "tool_calls"), k, call) {
			const char *id = json_string_value(json_object_get(call, "id"));

			if (!id || !is_native(id))
				continue;
			memcpy(taken + 1, id, ID_LENGTH + 1);
			if (json_object_set_new(map, taken, json_true()))
				return -ENOMEM;
		}
	}
	return 0;
}

static int map_ids(json_t *map, json_t *messages)
{
	int rc = note_native(map, messages);
	json_t *m, *call;
	size_t i, k;

	json_array_foreach(messages, i, m) {
		json_array_foreach(json_object_get(m, "tool_calls"), k, call) {
			if (!rc)
				rc = map_member(map, call, "id");
		}
		if (!rc)
			rc = map_member(map, m, "tool_call_id");
	}
	return rc;
}

/* ---- thoughts ---- */

/* What the model thought goes back as it came: a chunk before the text. */
static json_t *with_thoughts(json_t *content, json_t *thoughts)
{
	json_t *out = json_pack("[{s:s, s:[{s:s, s:O}]}]", "type", "thinking", "thinking", "type",
				"text", "text", thoughts);
	int rc = 0;

	if (out && json_string_length(content))
		rc = json_array_append_new(out, json_pack("{s:s, s:O}", "type", "text", "text",
							  content));
	else if (out && json_is_array(content))
		rc = json_array_extend(out, content);
	if (!rc)
		return out;
	json_decref(out);
	return NULL;
}

static int put_thoughts(json_t *message)
{
	json_t *thoughts = json_object_get(message, "reasoning");
	int rc = 0;

	if (!thoughts)
		return 0;
	if (json_string_length(thoughts) &&
	    json_object_set_new(message, "content",
				with_thoughts(json_object_get(message, "content"), thoughts)))
		rc = -ENOMEM;
	(void)json_object_del(message, "reasoning"); /* it is there */
	return rc;
}

int mistral_messages_fill(json_t *messages, const json_t *images)
{
	json_t *map = json_object(), *m;
	int rc = map ? parts_openai(messages, images, NULL) : -ENOMEM;
	size_t i;

	if (!rc)
		rc = map_ids(map, messages);
	json_decref(map);
	json_array_foreach(messages, i, m) {
		if (!rc)
			rc = put_thoughts(m);
	}
	return rc;
}
