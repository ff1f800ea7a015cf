/*
 * request_fields.c - every field a request can have, in one table
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/canon.h"
#include "core/request_fields.h"
#include "core/request_messages.h"

#include "base/banned.h"

enum field_type {
	TYPE_ANY,
	TYPE_TEXT,
	TYPE_NAME, /* not empty, no control characters */
	TYPE_BOOL,
	TYPE_INT,
	TYPE_NUMBER,
	TYPE_ABOVE, /* a number above min, not equal to it */
	TYPE_OBJECT,
	TYPE_TEXTS,   /* object of strings */
	TYPE_NUMBERS, /* object of numbers */
	TYPE_LIST,
	TYPE_TEXT_OR_LIST,
	TYPE_STOP,
	TYPE_CHOICE,
	TYPE_USE_CACHE,
	TYPE_NAMESPACE,
	TYPE_MESSAGES
};

enum field_flags {
	SENT = 1 << 0,	     /* reaches the provider under this name, and so is in the key */
	NOT_DEFAULT = 1 << 1 /* belongs to one request, not to a directory */
};

struct field {
	const char *name;
	enum field_type type;
	unsigned flags;
	double min, max;
	const char *const *choices;
	bool (*later)(
		const json_t *v); /* NULL: supported; else is this value for a later version */
	const char *inside;	  /* NULL: as name; else the name it is a second spelling of */
};

static bool later_always(const json_t *v)
{
	(void)v;
	return true;
}

static bool later_above_one(const json_t *v)
{
	return json_integer_value(v) > 1;
}

static bool later_true(const json_t *v)
{
	return json_is_true(v);
}

static bool later_auto(const json_t *v)
{
	return strcmp(json_string_value(v), "auto") == 0;
}

static bool later_endpoint(const json_t *v)
{
	const char *s = json_string_value(v);

	return strcmp(s, "chat") != 0 && strcmp(s, "completion") != 0;
}

static const char *const endpoints[] = {
	"chat", "completion", "fim", "embedding", "responses", NULL
};
static const char *const caches[] = { "use", "bypass", "refresh", "only", NULL };

#define ANY_NUMBER -INFINITY, INFINITY

static const struct field fields[] = {
	{ "prompt", TYPE_TEXT, NOT_DEFAULT, 0, 0, NULL, NULL, NULL },
	{ "system", TYPE_TEXT, 0, 0, 0, NULL, NULL, NULL },
	{ "messages", TYPE_MESSAGES, NOT_DEFAULT, 0, 0, NULL, NULL, NULL },
	{ "images", TYPE_LIST, 0, 0, 0, NULL, later_always, NULL },
	{ "input", TYPE_TEXT_OR_LIST, NOT_DEFAULT, 0, 0, NULL, later_always, NULL },
	{ "dimensions", TYPE_INT, 0, 1, INFINITY, NULL, later_always, NULL },
	{ "suffix", TYPE_TEXT, 0, 0, 0, NULL, later_always, NULL },
	{ "model", TYPE_NAME, 0, 0, 0, NULL, later_auto, NULL },
	{ "n", TYPE_INT, 0, 1, 1000, NULL, later_above_one, NULL },
	{ "temperature", TYPE_NUMBER, SENT, 0, INFINITY, NULL, NULL, NULL },
	{ "top_p", TYPE_NUMBER, SENT, 0, 1, NULL, NULL, NULL },
	{ "top_k", TYPE_INT, SENT, ANY_NUMBER, NULL, NULL, NULL },
	{ "min_p", TYPE_NUMBER, SENT, 0, 1, NULL, NULL, NULL },
	{ "max_tokens", TYPE_INT, SENT, 1, INFINITY, NULL, NULL, NULL },
	{ "max_completion_tokens", TYPE_INT, 0, 1, INFINITY, NULL, NULL, "max_tokens" },
	{ "stop", TYPE_STOP, SENT, 0, 0, NULL, NULL, NULL },
	{ "seed", TYPE_INT, SENT, ANY_NUMBER, NULL, NULL, NULL },
	{ "presence_penalty", TYPE_NUMBER, SENT, -2, 2, NULL, NULL, NULL },
	{ "frequency_penalty", TYPE_NUMBER, SENT, -2, 2, NULL, NULL, NULL },
	{ "logit_bias", TYPE_NUMBERS, SENT, 0, 0, NULL, NULL, NULL },
	{ "logprobs", TYPE_BOOL, SENT, 0, 0, NULL, NULL, NULL },
	{ "top_logprobs", TYPE_INT, SENT, 0, 20, NULL, NULL, NULL },
	{ "tools", TYPE_LIST, SENT, 0, 0, NULL, later_always, NULL },
	{ "tool_choice", TYPE_ANY, SENT, 0, 0, NULL, later_always, NULL },
	{ "parallel_tool_calls", TYPE_BOOL, SENT, 0, 0, NULL, later_always, NULL },
	{ "response_format", TYPE_OBJECT, SENT, 0, 0, NULL, NULL, NULL },
	{ "reasoning_effort", TYPE_NAME, SENT, 0, 0, NULL, NULL, NULL },
	{ "extra_body", TYPE_OBJECT, SENT, 0, 0, NULL, NULL, NULL },
	{ "endpoint", TYPE_CHOICE, 0, 0, 0, endpoints, later_endpoint, NULL },
	{ "namespace", TYPE_NAMESPACE, 0, 0, 0, NULL, later_always, NULL },
	{ "request_id", TYPE_NAME, 0, 0, 0, NULL, NULL, NULL },
	{ "cache", TYPE_CHOICE, 0, 0, 0, caches, NULL, NULL },
	{ "use_cache", TYPE_USE_CACHE, 0, 0, 0, NULL, NULL, "cache" },
	{ "ttl", TYPE_INT, 0, 1, INFINITY, NULL, NULL, NULL },
	{ "auto_route", TYPE_BOOL, 0, 0, 0, NULL, later_true, NULL },
	{ "fallback", TYPE_LIST, 0, 0, 0, NULL, later_always, NULL },
	{ "timeout", TYPE_ABOVE, 0, 0, INFINITY, NULL, NULL, NULL },
	{ "priority", TYPE_INT, 0, -20, 19, NULL, NULL, NULL },
	{ "max_cost_usd", TYPE_NUMBER, 0, 0, INFINITY, NULL, later_always, NULL },
	{ "metadata", TYPE_TEXTS, 0, 0, 0, NULL, NULL, NULL },
	/* accepted and ignored, so that files written for other programs work */
	{ "stream", TYPE_ANY, 0, 0, 0, NULL, NULL, NULL },
	{ "stream_options", TYPE_ANY, 0, 0, 0, NULL, NULL, NULL },
	{ "user", TYPE_ANY, 0, 0, 0, NULL, NULL, NULL },
	{ "store", TYPE_ANY, 0, 0, 0, NULL, NULL, NULL },
};

static const char *inside_name(const struct field *f)
{
	return f->inside ? f->inside : f->name;
}

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/* A text as in a sentence: in quotes, cut where a character ends. */
static void quote(const char *s, char *out, size_t cap)
{
	char cut[41];

	if (!str_copy(cut, sizeof(cut), s)) {
		cut[str_utf8_whole(cut, strlen(cut))] = '\0';
		(void)snprintf(out, cap, "\"%s...\"", cut); /* cap is REQUEST_FIELDS_FOUND_MAX */
	} else {
		(void)snprintf(out, cap, "\"%s\"", cut);
	}
}

void request_fields_found(const json_t *v, char *out, size_t cap)
{
	char number[32];

	if (json_is_string(v)) {
		quote(json_string_value(v), out, cap);
	} else if (json_is_integer(v)) {
		(void)snprintf(out, cap, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (json_is_real(v) && !canon_number(json_real_value(v), number)) {
		str_copy(out, cap, number);
	} else {
		str_copy(out, cap,
			 json_is_object(v)  ? "an object"
			 : json_is_array(v) ? "a list"
			 : json_is_true(v)  ? "true"
			 : json_is_false(v) ? "false"
					    : "null");
	}
}

static int unknown(const char *name, struct err *e)
{
	const char *names[ARRAY_LEN(fields) + 1] = { NULL };
	char what[REQUEST_FIELDS_FOUND_MAX];
	const char *near;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		names[i] = fields[i].name;
	quote(name, what, sizeof(what));
	near = str_nearest(name, names);
	if (near)
		return err_field(e, ERR_REQUEST, name, "unknown field %s; did you mean \"%s\"?",
				 what, near);
	return err_field(e, ERR_REQUEST, name,
			 "unknown field %s; remove it, or put a provider's own field into "
			 "\"extra_body\"",
			 what);
}

static void describe_choices(const struct field *f, struct buf *out)
{
	for (size_t i = 0; f->choices[i]; i++)
		(void)buf_addf(out, "%s\"%s\"", i ? (f->choices[i + 1] ? ", " : " or ") : "",
			       f->choices[i]); /* a sentence cut short is still one */
}

static void describe_range(const struct field *f, const char *noun, struct buf *out)
{
	(void)buf_adds(out, noun); /* as above */
	if (f->type == TYPE_ABOVE)
		(void)buf_addf(out, " above %g", f->min);
	else if (isfinite(f->min) && isfinite(f->max))
		(void)buf_addf(out, " from %g to %g", f->min, f->max);
	else if (isfinite(f->min))
		(void)buf_addf(out, " of at least %g", f->min);
}

/* What may stand there, for the sentence. */
static void describe(const struct field *f, struct buf *out)
{
	static const char *const words[] = {
		[TYPE_TEXT] = "a string",
		[TYPE_NAME] = "a string of 1 to 1024 bytes without control characters",
		[TYPE_BOOL] = "true or false",
		[TYPE_USE_CACHE] = "true or false",
		[TYPE_OBJECT] = "an object",
		[TYPE_TEXTS] = "an object of strings",
		[TYPE_NUMBERS] = "an object of numbers",
		[TYPE_LIST] = "a list",
		[TYPE_MESSAGES] = "a list of messages",
		[TYPE_TEXT_OR_LIST] = "a string or a list of strings",
		[TYPE_STOP] = "a string that is not empty, or a list of such",
		[TYPE_NAMESPACE] = "1 to 128 letters, digits or ._- without a leading dot",
	};

	if (f->type == TYPE_CHOICE)
		describe_choices(f, out);
	else if (f->type == TYPE_INT)
		describe_range(f, "an integer", out);
	else if (f->type == TYPE_NUMBER || f->type == TYPE_ABOVE)
		describe_range(f, "a number", out);
	else
		(void)buf_adds(out, f->type < ARRAY_LEN(words) && words[f->type] ? words[f->type]
										 : "any value");
}

static int wrong(const struct field *f, const json_t *v, struct err *e)
{
	AUTO_BUF struct buf allowed = BUF_INIT(ERR_MESSAGE_MAX);
	char found[REQUEST_FIELDS_FOUND_MAX];

	describe(f, &allowed);
	request_fields_found(v, found, sizeof(found));
	return err_field(e, ERR_REQUEST, f->name, "%s must be %s, found %s", f->name,
			 buf_str(&allowed), found);
}

static bool is_name(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!s || !n || n > 1024)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

static bool is_namespace(const json_t *v)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *s = json_string_value(v);

	return s && *s && *s != '.' && strlen(s) <= 128 && !s[strspn(s, allowed)];
}

static bool is_choice(const struct field *f, const json_t *v)
{
	const char *s = json_string_value(v);

	for (const char *const *c = f->choices; s && *c; c++)
		if (strcmp(s, *c) == 0)
			return true;
	return false;
}

static bool is_stop(const json_t *v)
{
	size_t i;
	json_t *s;

	if (json_is_string(v))
		return json_string_length(v) > 0;
	json_array_foreach((json_t *)(uintptr_t)v, i, s)
		if (!json_string_length(s)) /* also 0 for what is no string */
			return false;
	return json_is_array(v);
}

/* The macro wants it writable, but only reads. */
static bool all_members(const json_t *v, bool numbers)
{
	const char *name;
	json_t *m;

	json_object_foreach((json_t *)(uintptr_t)v, name, m)
		if (!(numbers ? json_is_number(m) : json_is_string(m)))
			return false;
	return json_is_object(v);
}

/* 5.0 and 5e0 are integers too: many languages write them so. Beyond 2^53 a double does not say
 * which integer was meant. */
static bool as_integer(const json_t *v, json_int_t *out)
{
	double d = json_real_value(v);

	if (json_is_integer(v))
		*out = json_integer_value(v);
	else if (json_is_real(v) && d == floor(d) && fabs(d) <= 9007199254740992.0)
		*out = (json_int_t)d;
	else
		return false;
	return true;
}

static bool in_range(const struct field *f, double d)
{
	return f->type == TYPE_ABOVE ? d > f->min : d >= f->min && d <= f->max;
}

static bool right_number(const struct field *f, const json_t *v)
{
	json_int_t i;

	if (f->type == TYPE_INT)
		return as_integer(v, &i) && in_range(f, (double)i);
	return json_is_number(v) && in_range(f, json_number_value(v));
}

static bool right_string(const struct field *f, const json_t *v)
{
	if (f->type == TYPE_NAME)
		return is_name(v);
	if (f->type == TYPE_CHOICE)
		return is_choice(f, v);
	return f->type == TYPE_NAMESPACE ? is_namespace(v) : json_is_string(v);
}

static bool right(const struct field *f, const json_t *v)
{
	switch (f->type) {
	case TYPE_TEXT:
	case TYPE_NAME:
	case TYPE_CHOICE:
	case TYPE_NAMESPACE:
		return right_string(f, v);
	case TYPE_INT:
	case TYPE_NUMBER:
	case TYPE_ABOVE:
		return right_number(f, v);
	case TYPE_BOOL:
	case TYPE_USE_CACHE:
		return json_is_boolean(v);
	case TYPE_OBJECT:
		return json_is_object(v);
	case TYPE_TEXTS:
	case TYPE_NUMBERS:
		return all_members(v, f->type == TYPE_NUMBERS);
	case TYPE_LIST:
	case TYPE_MESSAGES:
		return json_is_array(v);
	case TYPE_TEXT_OR_LIST:
		return json_is_string(v) || json_is_array(v);
	case TYPE_STOP:
		return is_stop(v);
	case TYPE_ANY:
	default:
		return true;
	}
}

static json_t *shared(const json_t *v)
{
	return json_incref((json_t *)(uintptr_t)v); /* only the count is written */
}

/* The value in the spelling used inside; NULL when out of memory. */
static json_t *respell(const struct field *f, const json_t *v)
{
	json_int_t i;

	if (f->type == TYPE_INT && as_integer(v, &i))
		return json_integer(i);
	if (f->type == TYPE_USE_CACHE)
		return json_string(json_is_true(v) ? "use" : "bypass");
	if (f->type == TYPE_STOP && json_is_string(v))
		return json_pack("[O]", v);
	return shared(v);
}

static int check_value(const struct field *f, const json_t *v, json_t **out, struct err *e)
{
	if (json_is_null(v)) {
		*out = shared(v);
		return 0;
	}
	if (!right(f, v))
		return wrong(f, v, e);
	if (f->type == TYPE_MESSAGES)
		return request_messages_check(v, out, e);
	*out = respell(f, v);
	return *out ? 0 : -ENOMEM;
}

/* Two spellings of one field in one layer: only a null beside a value is no contradiction. */
static int put_value(const struct field *f, json_t *layer, json_t *take_v, struct err *e)
{
	const char *name = inside_name(f);
	const json_t *there = json_object_get(layer, name);

	if (there && json_is_null(take_v)) {
		json_decref(take_v);
		return 0;
	}
	if (there && !json_is_null(there)) {
		const char *second = strcmp(name, "cache") ? "max_completion_tokens" : "use_cache";

		json_decref(take_v);
		return err_field(e, ERR_REQUEST, second,
				 "%s and %s mean the same; give only one of them", name, second);
	}
	return json_object_set_new(layer, name, take_v) ? -ENOMEM : 0;
}

static int check_member(const char *name, const json_t *v, bool defaults, json_t *out,
			struct err *e)
{
	const struct field *f = find_field(name);
	json_t *value = NULL;
	int rc;

	if (!f)
		return unknown(name, e);
	if (defaults && (f->flags & NOT_DEFAULT))
		return err_field(e, ERR_REQUEST, name,
				 "%s belongs into a request, not into defaults; remove it", name);
	rc = check_value(f, v, &value, e);
	return rc ? rc : put_value(f, out, value, e);
}

int request_fields_check(const json_t *layer, bool defaults, json_t **out, struct err *e)
{
	json_t *v, *o = json_object();
	const char *name;
	int rc = o ? 0 : -ENOMEM;

	json_object_foreach((json_t *)(uintptr_t)layer, name, v) {
		if (rc)
			break;
		rc = check_member(name, v, defaults, o, e);
	}
	if (rc) {
		json_decref(o);
		return rc;
	}
	*out = o;
	return 0;
}

int request_fields_supported(const json_t *merged, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct field *f = &fields[i];
		const json_t *v = json_object_get(merged, f->name);
		char found[REQUEST_FIELDS_FOUND_MAX];

		if (!v || json_is_null(v) || !f->later || !f->later(v))
			continue;
		if (f->later == later_always)
			return err_field(
				e, ERR_UNSUPPORTED, f->name,
				"%s is not supported by this version of inferfs; remove it",
				f->name);
		request_fields_found(v, found, sizeof(found));
		return err_field(e, ERR_UNSUPPORTED, f->name,
				 "%s: %s is not supported by this version of inferfs; remove it or "
				 "give another value",
				 f->name, found);
	}
	return 0;
}

int request_fields_sent(const json_t *merged, json_t *body)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		json_t *v = json_object_get(merged, fields[i].name);

		if (!v || !(fields[i].flags & SENT))
			continue;
		if (fields[i].type == TYPE_STOP && !json_array_size(v))
			continue; /* no stop strings and no field are the same request */
		if (json_object_set(body, fields[i].name, v))
			return -ENOMEM;
	}
	return 0;
}
