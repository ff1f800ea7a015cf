/* Rules; see script.h. */
#define _GNU_SOURCE 1
#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

enum field_type { T_STR, T_INT, T_BOOL, T_JSON, T_BODY, T_SPLIT, T_ENDING };

/* One accepted member of a rule. `arg` is the ending for T_ENDING. */
struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	int arg;
};

#define AT(member) offsetof(struct rule, member)

static const struct field fields[] = {
	{ "match", T_STR, AT(match), 0 },
	{ "path", T_STR, AT(path), 0 },
	{ "method", T_STR, AT(method), 0 },
	{ "times", T_INT, AT(times), 0 },
	{ "status", T_JSON, 0, 0 }, /* an int, not a long: taken by hand below */
	{ "body", T_BODY, AT(head.body), 0 },
	{ "content_type", T_STR, AT(head.content_type), 0 },
	{ "headers", T_JSON, AT(head.headers), 0 },
	{ "empty", T_BOOL, AT(head.empty), 0 },
	{ "no_answer", T_BOOL, AT(head.no_answer), 0 },
	{ "reset", T_BOOL, AT(head.reset), 0 },
	{ "lose", T_BOOL, AT(head.lose), 0 },
	{ "barrier", T_STR, AT(head.barrier), 0 },
	{ "delay_ms", T_INT, AT(head.delay_ms), 0 },
	{ "text", T_STR, AT(say.text), 0 },
	{ "pieces", T_JSON, AT(say.pieces), 0 },
	{ "choices", T_JSON, AT(say.choices), 0 },
	{ "finish_reason", T_STR, AT(say.finish), 0 },
	{ "finish_reasons", T_JSON, AT(say.finishes), 0 },
	{ "choices_max", T_INT, AT(say.choices_max), 0 },
	{ "number", T_BOOL, AT(say.number), 0 },
	{ "reasoning", T_STR, AT(say.reasoning), 0 },
	{ "tool_calls", T_JSON, AT(say.tool_calls), 0 },
	{ "usage", T_JSON, AT(say.usage), 0 },
	{ "piece_delay_ms", T_INT, AT(flow.piece_delay_ms), 0 },
	{ "piece_barriers", T_JSON, AT(flow.piece_barriers), 0 },
	{ "split", T_SPLIT, 0, 0 },
	{ "crlf", T_BOOL, AT(flow.crlf), 0 },
	{ "end_without_done", T_BOOL, AT(flow.no_done), 0 },
	{ "cut_after_pieces", T_ENDING, 0, ENDING_CUT },
	{ "reset_after_pieces", T_ENDING, 0, ENDING_RESET },
	{ "stall_after_pieces", T_ENDING, 0, ENDING_STALL },
	{ "end_after_pieces", T_ENDING, 0, ENDING_CLEAN },
	{ "error_event", T_JSON, AT(flow.error_event), 0 },
	{ "error_name", T_STR, AT(flow.error_name), 0 },
	{ "error_at", T_INT, AT(flow.error_at), 0 },
	{ NULL, T_STR, 0, 0 },
};

static struct rule **rules;
static size_t count, cap;

void script_unref(struct rule *r)
{
	if (!r || --r->refs)
		return;
	json_decref(r->src);
	free(r->body_text);
	free(r);
}

void script_clear(void)
{
	while (count)
		script_unref(rules[--count]);
}

static int set_split(struct rule *r, const json_t *v)
{
	static const char *const names[] = { "event", "byte", "random", "coalesce" };
	const char *s = json_string_value(v);

	for (unsigned i = 0; s && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(s, names[i]))
			continue;
		r->flow.split = (enum split)i;
		return 0;
	}
	return -EINVAL;
}

static int set_body(struct rule *r, const json_t *v)
{
	if (json_is_string(v)) {
		r->head.body = json_string_value(v);
		return 0;
	}
	r->body_text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	r->head.body = r->body_text;
	return r->body_text ? 0 : -EINVAL;
}

static int set_ending(struct rule *r, const struct field *f, const json_t *v)
{
	if (!json_is_integer(v))
		return -EINVAL;
	r->flow.ending = (enum ending)f->arg;
	r->flow.ending_at = (long)json_integer_value(v);
	return 0;
}

static int set_plain(struct rule *r, const struct field *f, json_t *v)
{
	char *at = (char *)r + f->offset;
	const char *s = json_string_value(v);
	long n = (long)json_integer_value(v);
	bool yes = json_is_true(v);

	if (f->type == T_STR) {
		memcpy(at, &s, sizeof(s));
		return s || json_is_null(v) ? 0 : -EINVAL;
	}
	if (f->type == T_INT) {
		memcpy(at, &n, sizeof(n));
		return json_is_integer(v) ? 0 : -EINVAL;
	}
	if (f->type == T_BOOL) {
		memcpy(at, &yes, sizeof(yes));
		return json_is_boolean(v) ? 0 : -EINVAL;
	}
	memcpy(at, &v, sizeof(v));
	return 0;
}

static int set_field(struct rule *r, const char *key, json_t *v)
{
	const struct field *f = fields;

	if (!strcmp(key, "status")) {
		r->head.status = (int)json_integer_value(v);
		return r->head.status >= 200 && r->head.status <= 599 ? 0 : -EINVAL;
	}
	while (f->name && strcmp(f->name, key))
		f++;
	if (!f->name)
		return -EINVAL;
	switch (f->type) {
	case T_SPLIT:
		return set_split(r, v);
	case T_BODY:
		return set_body(r, v);
	case T_ENDING:
		return set_ending(r, f, v);
	default:
		return set_plain(r, f, v);
	}
}

/* A misspelt member is an error: a rule that silently does nothing makes a test pass wrongly. */
static int add_rule(json_t *src, char *out_why, size_t why_size)
{
	struct rule *r = calloc(1, sizeof(*r));
	const char *key;
	json_t *v;

	if (!r)
		abort();
	r->refs = 1;
	r->times = -1;
	r->src = json_incref(src);
	json_object_foreach(src, key, v) {
		if (!set_field(r, key, v))
			continue;
		snprintf(out_why, why_size, "rule member '%s' is unknown or has a wrong value",
			 key);
		script_unref(r);
		return -EINVAL;
	}
	rules = buf_grow(rules, &cap, count, sizeof(*rules));
	rules[count++] = r;
	return 0;
}

int script_load(const char *json, size_t len, bool append, char *out_why, size_t why_size)
{
	json_error_t err;
	json_t *doc = json_loadb(json, len, 0, &err);
	size_t i;
	json_t *item;
	int rc = 0;

	if (!json_is_array(doc)) {
		snprintf(out_why, why_size, "not a JSON array of rules: %.100s",
			 doc ? "" : err.text);
		json_decref(doc);
		return -EINVAL;
	}
	if (!append)
		script_clear();
	json_array_foreach(doc, i, item) {
		snprintf(out_why, why_size, "rule %zu is not an object", i);
		rc = json_is_object(item) ? add_rule(item, out_why, why_size) : -EINVAL;
		if (rc)
			break;
	}
	json_decref(doc);
	return rc;
}

/* Without a path a rule fits POST only: the model list a mount asks for must not use it up. */
static bool fits(const struct rule *r, const char *method, const char *path, const struct buf *body)
{
	if (!r->times)
		return false;
	if (r->path ? !strstr(path, r->path) : !!strcmp(method, "POST"))
		return false;
	if (r->method && strcmp(method, r->method))
		return false;
	if (!r->match || !*r->match)
		return true;
	return body->len && memmem(body->p, body->len, r->match, strlen(r->match));
}

struct rule *script_match(const char *method, const char *path, const struct buf *body)
{
	for (size_t i = 0; i < count; i++) {
		struct rule *r = rules[i];

		if (!fits(r, method, path, body))
			continue;
		if (r->times > 0)
			r->times--;
		r->refs++;
		return r;
	}
	return NULL;
}
