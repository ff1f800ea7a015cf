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
#include "core/request_fields.h"
#include "core/request_image.h"
#include "core/request_messages.h"
#include "core/request_say.h"
#include "core/request_tools.h"

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
	TYPE_MODELS,
	TYPE_INPUT, /* a string or a list of strings, not empty */
	TYPE_IMAGES,
	TYPE_TOOLS,
	TYPE_TOOL_CHOICE,
	TYPE_FORMAT,
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

#define AT(endpoint) (1u << (endpoint))

/* where a field has a meaning at all; what a backend makes of it there is the backend's to say */
enum {
	ANYWHERE = 0,
	IN_CHAT = AT(REQUEST_CHAT) | AT(REQUEST_RESPONSES),
	IN_FIM = AT(REQUEST_FIM),
	IN_EMBEDDING = AT(REQUEST_EMBEDDING),
	IN_TEXT = IN_CHAT | AT(REQUEST_COMPLETION) | IN_FIM,
	IN_TALK = IN_CHAT | AT(REQUEST_COMPLETION)
};

struct field {
	const char *name;
	enum field_type type;
	unsigned flags, where;
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

static bool later_true(const json_t *v)
{
	return json_is_true(v);
}

static bool later_auto(const json_t *v)
{
	return strcmp(json_string_value(v), "auto") == 0;
}

static const char *const endpoints[] = {
	"chat", "completion", "fim", "embedding", "responses", NULL
};
static const char *const caches[] = { "use", "bypass", "refresh", "only", NULL };

#define ANY_NUMBER -INFINITY, INFINITY

#define PLAIN 0, 0, NULL, NULL, NULL

static const struct field fields[] = {
	{ "prompt", TYPE_TEXT, NOT_DEFAULT, ANYWHERE, PLAIN },
	{ "system", TYPE_TEXT, 0, IN_CHAT, PLAIN },
	{ "messages", TYPE_MESSAGES, NOT_DEFAULT, ANYWHERE, PLAIN },
	{ "images", TYPE_IMAGES, 0, IN_CHAT, PLAIN },
	{ "input", TYPE_INPUT, NOT_DEFAULT, ANYWHERE, PLAIN },
	{ "dimensions", TYPE_INT, SENT, IN_EMBEDDING, 1, INFINITY, NULL, NULL, NULL },
	{ "suffix", TYPE_TEXT, SENT, IN_FIM, PLAIN },
	{ "model", TYPE_NAME, 0, ANYWHERE, 0, 0, NULL, later_auto, NULL },
	{ "n", TYPE_INT, 0, ANYWHERE, 1, 1000, NULL, NULL, NULL },
	{ "temperature", TYPE_NUMBER, SENT, IN_TEXT, 0, INFINITY, NULL, NULL, NULL },
	{ "top_p", TYPE_NUMBER, SENT, IN_TEXT, 0, 1, NULL, NULL, NULL },
	{ "top_k", TYPE_INT, SENT, IN_TEXT, ANY_NUMBER, NULL, NULL, NULL },
	{ "min_p", TYPE_NUMBER, SENT, IN_TEXT, 0, 1, NULL, NULL, NULL },
	{ "max_tokens", TYPE_INT, SENT, IN_TEXT, 1, INFINITY, NULL, NULL, NULL },
	{ "max_completion_tokens", TYPE_INT, 0, IN_TEXT, 1, INFINITY, NULL, NULL, "max_tokens" },
	{ "stop", TYPE_STOP, SENT, IN_TEXT, PLAIN },
	{ "seed", TYPE_INT, SENT, IN_TEXT, ANY_NUMBER, NULL, NULL, NULL },
	{ "presence_penalty", TYPE_NUMBER, SENT, IN_TEXT, -2, 2, NULL, NULL, NULL },
	{ "frequency_penalty", TYPE_NUMBER, SENT, IN_TEXT, -2, 2, NULL, NULL, NULL },
	{ "logit_bias", TYPE_NUMBERS, SENT, IN_TEXT, PLAIN },
	{ "logprobs", TYPE_BOOL, SENT, IN_TEXT, PLAIN },
	{ "top_logprobs", TYPE_INT, SENT, IN_TEXT, 0, 20, NULL, NULL, NULL },
	{ "tools", TYPE_TOOLS, SENT, IN_TALK, PLAIN },
	{ "tool_choice", TYPE_TOOL_CHOICE, SENT, IN_TALK, PLAIN },
	{ "parallel_tool_calls", TYPE_BOOL, SENT, IN_TALK, PLAIN },
	{ "response_format", TYPE_FORMAT, SENT, IN_TALK, PLAIN },
	{ "reasoning_effort", TYPE_NAME, SENT, IN_TALK, PLAIN },
	{ "extra_body", TYPE_OBJECT, SENT, ANYWHERE, PLAIN },
	{ "endpoint", TYPE_CHOICE, 0, ANYWHERE, 0, 0, endpoints, NULL, NULL },
	{ "namespace", TYPE_NAMESPACE, 0, ANYWHERE, PLAIN },
	{ "request_id", TYPE_NAME, 0, ANYWHERE, PLAIN },
	{ "cache", TYPE_CHOICE, 0, ANYWHERE, 0, 0, caches, NULL, NULL },
	{ "use_cache", TYPE_USE_CACHE, 0, ANYWHERE, 0, 0, NULL, NULL, "cache" },
	{ "ttl", TYPE_INT, 0, ANYWHERE, 1, INFINITY, NULL, NULL, NULL },
	{ "auto_route", TYPE_BOOL, 0, ANYWHERE, 0, 0, NULL, later_true, NULL },
	{ "fallback", TYPE_MODELS, 0, ANYWHERE, PLAIN },
	{ "timeout", TYPE_ABOVE, 0, ANYWHERE, 0, INFINITY, NULL, NULL, NULL },
	{ "priority", TYPE_INT, 0, ANYWHERE, -20, 19, NULL, NULL, NULL },
	{ "max_cost_usd", TYPE_NUMBER, 0, ANYWHERE, 0, INFINITY, NULL, later_always, NULL },
	{ "metadata", TYPE_TEXTS, 0, ANYWHERE, PLAIN },
	/* accepted and ignored, so that files written for other programs work */
	{ "stream", TYPE_ANY, 0, ANYWHERE, PLAIN },
	{ "stream_options", TYPE_ANY, 0, ANYWHERE, PLAIN },
	{ "user", TYPE_ANY, 0, ANYWHERE, PLAIN },
	{ "store", TYPE_ANY, 0, ANYWHERE, PLAIN },
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

static int unknown(const char *name, struct err *e)
{
	const char *names[ARRAY_LEN(fields) + 1] = { NULL };
	char what[REQUEST_SAY_FOUND_MAX];
	const char *near;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		names[i] = fields[i].name;
	request_say_quote(name, what, sizeof(what));
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
		[TYPE_MODELS] = "a list of 1 to 16 models, each \"BACKEND/MODEL\"",
		[TYPE_MESSAGES] = "a list of messages",
		[TYPE_INPUT] = "a string or a list of strings that is not empty",
		[TYPE_IMAGES] = "a list of paths",
		[TYPE_TOOLS] = "a list",
		[TYPE_FORMAT] = "an object like {\"type\":\"json_object\"}",
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
	char found[REQUEST_SAY_FOUND_MAX];

	describe(f, &allowed);
	request_say_found(v, found, sizeof(found));
	return err_field(e, ERR_REQUEST, f->name, "%s must be %s, found %s", f->name,
			 buf_str(&allowed), found);
}

static bool is_namespace(const json_t *v)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *s = json_string_value(v);

	return s && *s && *s != '.' && strlen(s) <= 128 && !s[strspn(s, allowed)];
}

static bool is_models(const json_t *v)
{
	size_t i;
	json_t *m;

	json_array_foreach((json_t *)(uintptr_t)v, i, m)
		if (!request_say_name(m, 1024))
			return false;
	return json_array_size(v) >= 1 && json_array_size(v) <= 16;
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

static bool is_input(const json_t *v)
{
	if (json_is_string(v))
		return true;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!json_is_string(json_array_get(v, i)))
			return false;
	return json_array_size(v) > 0;
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
		return request_say_name(v, 1024);
	if (f->type == TYPE_CHOICE)
		return is_choice(f, v);
	return f->type == TYPE_NAMESPACE ? is_namespace(v) : json_is_string(v);
}

static bool right_container(const struct field *f, const json_t *v)
{
	switch (f->type) {
	case TYPE_OBJECT:
	case TYPE_FORMAT:
		return json_is_object(v);
	case TYPE_TEXTS:
	case TYPE_NUMBERS:
		return all_members(v, f->type == TYPE_NUMBERS);
	case TYPE_INPUT:
		return is_input(v);
	case TYPE_MODELS:
		return is_models(v);
	case TYPE_STOP:
		return is_stop(v);
	default:
		return json_is_array(v);
	}
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
	case TYPE_TOOL_CHOICE:
	case TYPE_ANY:
		return true;
	default:
		return right_container(f, v);
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

static int check_images(const json_t *v, json_t **out, struct err *e)
{
	char path[32];

	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *wants = request_image_name(json_array_get(v, i));

		(void)snprintf(path, sizeof(path), "images[%zu]", i);
		if (wants)
			return request_say_wrong(e, path, wants, json_array_get(v, i));
	}
	*out = shared(v);
	return 0;
}

static int check_value(const struct field *f, const json_t *v, json_t **out, struct err *e)
{
	if (json_is_null(v)) {
		*out = shared(v);
		return 0;
	}
	if (!right(f, v))
		return wrong(f, v, e);
	switch (f->type) {
	case TYPE_MESSAGES:
		return request_messages_check(v, out, e);
	case TYPE_TOOLS:
		return request_tools_check(v, out, e);
	case TYPE_TOOL_CHOICE:
		return request_tools_choice(v, out, e);
	case TYPE_FORMAT:
		return request_tools_format(v, out, e);
	case TYPE_IMAGES:
		return check_images(v, out, e);
	default:
		*out = respell(f, v);
		return *out ? 0 : -ENOMEM;
	}
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
		char found[REQUEST_SAY_FOUND_MAX];

		if (!v || json_is_null(v) || !f->later || !f->later(v))
			continue;
		if (f->later == later_always)
			return err_field(
				e, ERR_UNSUPPORTED, f->name,
				"%s is not supported by this version of inferfs; remove it",
				f->name);
		request_say_found(v, found, sizeof(found));
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
		if (json_object_set(body, fields[i].name, v))
			return -ENOMEM;
	}
	return 0;
}

int request_fields_fit(json_t *merged, const json_t *own, enum request_endpoint endpoint,
		       struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct field *f = &fields[i];
		const json_t *mine = json_object_get(own, inside_name(f));

		if (!f->where || f->where & AT(endpoint) || f->inside ||
		    !json_object_get(merged, f->name))
			continue;
		if (mine && !json_is_null(mine))
			return err_field(e, ERR_REQUEST, f->name,
					 "%s has no meaning at the %s endpoint; remove it%s",
					 f->name, request_endpoint_name(endpoint),
					 f->where & AT(REQUEST_CHAT)
						 ? ", or set \"endpoint\" to \"chat\""
						 : "");
		(void)json_object_del(merged, f->name); /* it is there */
	}
	return 0;
}
