/*
 * request.c - text and defaults to a checked request, and that to the effective request
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "core/canon.h"
#include "core/request.h"
#include "core/request_fields.h"
#include "core/request_image.h"
#include "core/request_messages.h"
#include "core/request_say.h"
#include "core/request_tools.h"

#include "base/banned.h"

static const char *const endpoint_names[] = {
	[REQUEST_CHAT] = "chat",
	[REQUEST_COMPLETION] = "completion",
	[REQUEST_FIM] = "fim",
	[REQUEST_EMBEDDING] = "embedding",
	[REQUEST_RESPONSES] = "responses",
};

static const char *const cache_names[] = {
	[REQUEST_CACHE_USE] = "use",
	[REQUEST_CACHE_BYPASS] = "bypass",
	[REQUEST_CACHE_REFRESH] = "refresh",
	[REQUEST_CACHE_ONLY] = "only",
};

/* The parts of one request before they are put together. */
struct layers {
	json_t *own;	     /* checked; nulls still in it */
	json_t *merged;	     /* own and defaults, without nulls */
	const json_t *given; /* own as it came; NULL: the text is parsed */
	bool foreign; /* what failed is in the defaults, so it has no place in the own text */
};

static void layers_done(struct layers *l)
{
	json_decref(l->own);
	json_decref(l->merged);
}

/* One final newline belongs to the file, not to the prompt. */
static size_t without_newline(const char *text, size_t len)
{
	if (!len || text[len - 1] != '\n')
		return len;
	return len >= 2 && text[len - 2] == '\r' ? len - 2 : len - 1;
}

static int check_text(const char *text, size_t len, bool *out_unfinished, struct err *e)
{
	size_t at = 0;

	while (at < len) {
		int n = str_utf8_next(text + at, len - at, NULL);

		if (n > 0 && text[at]) {
			at += (size_t)n;
			continue;
		}
		*out_unfinished = n == 0; /* the next write may bring the rest of the character */
		return canon_parse_fail(text, at,
					n > 0 ? "a NUL byte; a prompt is plain text, remove it"
					      : "a byte that is not UTF-8; save the file as UTF-8",
					e);
	}
	return 0;
}

static int read_text(const struct request_source *src, json_t **out, bool *out_unfinished,
		     struct err *e)
{
	size_t len = without_newline(src->text, src->len);
	int rc = check_text(src->text, src->len, out_unfinished, e);

	if (rc)
		return rc;
	if (!len) {
		*out_unfinished = true;
		return err_set(e, ERR_REQUEST, "the file is empty; write a prompt");
	}
	*out = json_pack("{s:o}", "prompt", json_stringn(src->text, len));
	return *out ? 0 : -ENOMEM;
}

static int want_object(const json_t *v, const char *what, struct err *e)
{
	char found[REQUEST_SAY_FOUND_MAX];

	if (json_is_object(v))
		return 0;
	request_say_found(v, found, sizeof(found));
	return err_set(e, ERR_REQUEST, "%s must be a JSON object, found %s", what, found);
}

/* Which line of the file is to be changed: looked up only now that something is wrong. */
static void add_place(const struct request_source *src, struct err *e)
{
	char name[ERR_NAME_MAX];

	if (!e || !*e->field || e->line || src->form != REQUEST_JSON)
		return;
	str_copy(name, sizeof(name), e->field);
	name[strcspn(name, "[.")] = '\0';
	(void)canon_parse_locate(src->text, src->len, name, &e->line,
				 &e->column); /* else unknown */
}

static int read_own(const struct request_source *src, const json_t *given, json_t **out,
		    bool *out_unfinished, struct err *e)
{
	json_t *v = NULL;
	int rc = 0;

	if (given)
		v = json_incref((json_t *)(uintptr_t)given);
	else if (src->form == REQUEST_TEXT)
		rc = read_text(src, &v, out_unfinished, e);
	else
		rc = canon_parse(src->text, src->len, &v, out_unfinished, e);
	if (!rc)
		rc = want_object(v, "a request", e);
	if (!rc)
		rc = request_fields_check(v, false, out, e);
	json_decref(v);
	return rc;
}

static int check_defaults(const json_t *v, json_t **out, struct err *e)
{
	int rc = want_object(v, "defaults", e);

	return rc ? rc : request_fields_check(v, true, out, e);
}

/* Nearest first: what is there already, null too, is nearer. */
static int merge_defaults(json_t *merged, const json_t *defaults, struct err *e)
{
	for (size_t i = 0; i < json_array_size(defaults); i++) {
		json_t *layer = NULL;
		int rc = check_defaults(json_array_get(defaults, i), &layer, e);

		if (rc) {
			err_prefix(e, ".defaults.json: ");
			return rc;
		}
		rc = json_object_update_missing(merged, layer) ? -ENOMEM : 0;
		json_decref(layer);
		if (rc)
			return rc;
	}
	return 0;
}

static void drop_nulls(json_t *o)
{
	const char *name;
	void *tmp;
	json_t *v;

	json_object_foreach_safe(o, tmp, name, v)
		if (json_is_null(v))
			(void)json_object_del(o, name); /* it is there */
}

static int read_layers(const struct request_source *src, struct layers *l, bool *out_unfinished,
		       struct err *e)
{
	int rc = read_own(src, l->given, &l->own, out_unfinished, e);

	if (!rc) {
		l->merged = json_copy(l->own);
		rc = l->merged ? merge_defaults(l->merged, src->defaults, e) : -ENOMEM;
		l->foreign = rc != 0;
		if (rc)
			return rc;
		drop_nulls(l->merged);
		rc = request_fields_supported(l->merged, e);
	}
	return rc;
}

static int check_inputs(const json_t *merged, struct err *e)
{
	static const char *const ways[] = { "prompt", "messages", "input", NULL };
	const char *given = NULL;

	for (const char *const *w = ways; *w; w++) {
		if (!json_object_get(merged, *w))
			continue;
		if (given)
			return err_field(e, ERR_REQUEST, *w,
					 "%s and %s are both given; give exactly one of them",
					 given, *w);
		given = *w;
	}
	return given ? 0
		     : err_set(e, ERR_REQUEST,
			       "nothing is asked; give \"prompt\", \"messages\" or \"input\"");
}

/* The endpoint decides what the question must be called. */
static int check_way(const json_t *merged, enum request_endpoint endpoint, struct err *e)
{
	const char *name = request_endpoint_name(endpoint);
	bool prompt = json_object_get(merged, "prompt") != NULL;
	bool input = json_object_get(merged, "input") != NULL;

	if (endpoint == REQUEST_EMBEDDING && !input)
		return err_field(
			e, ERR_REQUEST, prompt ? "prompt" : "messages",
			"the embedding endpoint takes no %s; give \"input\", a string or a "
			"list of strings",
			prompt ? "prompt" : "messages");
	if (input && endpoint != REQUEST_EMBEDDING)
		return err_field(e, ERR_REQUEST, "input",
				 "the %s endpoint takes no input; give \"prompt\" or "
				 "\"endpoint\":\"embedding\"",
				 name);
	if ((endpoint == REQUEST_COMPLETION || endpoint == REQUEST_FIM) && !prompt)
		return err_field(e, ERR_REQUEST, "messages",
				 "the %s endpoint takes no messages; give \"prompt\" or "
				 "\"endpoint\":\"chat\"",
				 name);
	return 0;
}

static int add_message(json_t *list, const char *role, const json_t *content, bool front)
{
	json_t *m = request_messages_one(role, content);

	if (!m)
		return -ENOMEM;
	return (front ? json_array_insert_new(list, 0, m) : json_array_append_new(list, m))
		       ? -ENOMEM
		       : 0;
}

/* A default system is for requests that say nothing about it themselves. */
static bool wants_system(const struct layers *l, const json_t *messages)
{
	const json_t *own = json_object_get(l->own, "system");

	if (!json_object_get(l->merged, "system"))
		return false;
	return (own && !json_is_null(own)) || !request_messages_have_system(messages);
}

/* The text first, then the images in their order. */
static json_t *content_of(const json_t *prompt, const json_t *images)
{
	json_t *list;

	if (!json_array_size(images))
		return json_incref((json_t *)(uintptr_t)prompt);
	list = json_pack("[{s:s, s:O}]", "type", "text", "text", prompt);
	for (size_t i = 0; i < json_array_size(images) && list; i++) {
		if (json_array_append_new(list, request_image_named(json_array_get(images, i)))) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

static int add_prompt(json_t *messages, const struct layers *l)
{
	json_t *content = content_of(json_object_get(l->merged, "prompt"),
				     json_object_get(l->merged, "images"));
	int rc = content ? add_message(messages, "user", content, false) : -ENOMEM;

	json_decref(content);
	return rc;
}

static int build_chat(struct request *r, const struct layers *l, struct err *e)
{
	const json_t *own = json_object_get(l->merged, "messages");
	json_t *messages = own ? json_copy((json_t *)(uintptr_t)own) : json_array();
	int rc = messages ? 0 : -ENOMEM;

	r->own_messages = own != NULL;
	if (!rc && own && json_array_size(json_object_get(l->own, "images")))
		rc = err_field(e, ERR_REQUEST, "images",
			       "images goes with prompt; in messages give parts like "
			       "{\"type\":\"image\",\"path\":\"...\"}");
	if (!rc && !own)
		rc = add_prompt(messages, l);
	if (!rc && wants_system(l, messages))
		rc = add_message(messages, "system", json_object_get(l->merged, "system"), true);
	if (rc) {
		json_decref(messages);
		return rc;
	}
	if (json_object_set_new(r->body, "messages", messages))
		return -ENOMEM;
	return request_image_collect(r, !own, e);
}

static int build_plain(struct request *r, const struct layers *l, const char *name)
{
	return json_object_set(r->body, name, json_object_get(l->merged, name)) ? -ENOMEM : 0;
}

/* Nothing after the gap and no word about it are the same request. */
static int build_fim(struct request *r, const struct layers *l)
{
	if (!json_object_get(l->merged, "suffix") &&
	    json_object_set_new(l->merged, "suffix", json_string("")))
		return -ENOMEM;
	return build_plain(r, l, "prompt");
}

static int build_body(struct request *r, const struct layers *l, struct err *e)
{
	switch (r->endpoint) {
	case REQUEST_COMPLETION:
		return build_plain(r, l, "prompt");
	case REQUEST_FIM:
		return build_fim(r, l);
	case REQUEST_EMBEDDING:
		return build_plain(r, l, "input");
	case REQUEST_CHAT:
	case REQUEST_RESPONSES:
	default:
		return build_chat(r, l, e);
	}
}

static int copy_text(const json_t *merged, const char *name, char **out)
{
	const json_t *v = json_object_get(merged, name);

	if (!v)
		return 0;
	*out = str_dup_n(json_string_value(v), json_string_length(v));
	return *out ? 0 : -ENOMEM;
}

static double number_or(const json_t *merged, const char *name, double otherwise)
{
	const json_t *v = json_object_get(merged, name);

	return v ? json_number_value(v) : otherwise;
}

static enum request_endpoint endpoint_of(const json_t *merged)
{
	const char *name = json_string_value(json_object_get(merged, "endpoint"));

	for (size_t i = 0; name && i < ARRAY_LEN(endpoint_names); i++)
		if (strcmp(name, endpoint_names[i]) == 0)
			return (enum request_endpoint)i;
	if (json_object_get(merged, "input"))
		return REQUEST_EMBEDDING;
	return json_object_get(merged, "suffix") && json_object_get(merged, "prompt")
		       ? REQUEST_FIM
		       : REQUEST_CHAT;
}

static int copy_settings(struct request *r, const json_t *merged)
{
	const char *cache = json_string_value(json_object_get(merged, "cache"));

	r->endpoint = endpoint_of(merged);
	r->has_cache = cache && !request_cache_parse(cache, &r->cache);
	r->n = (int)number_or(merged, "n", 1);
	r->priority = (int)number_or(merged, "priority", 0);
	r->timeout_s = number_or(merged, "timeout", 0);
	r->ttl_s = number_or(merged, "ttl", 0);
	r->max_cost_usd = number_or(merged, "max_cost_usd", -1);
	r->user_max_tokens = json_object_get(merged, "max_tokens") != NULL;
	r->metadata = json_incref(json_object_get(merged, "metadata"));
	r->fallback = json_incref(json_object_get(merged, "fallback"));
	if (copy_text(merged, "model", &r->model))
		return -ENOMEM;
	if (copy_text(merged, "namespace", &r->ns))
		return -ENOMEM;
	return copy_text(merged, "request_id", &r->request_id);
}

static int build(struct request *r, const struct layers *l, struct err *e)
{
	int rc = copy_settings(r, l->merged);

	r->body = json_object();
	if (rc || !r->body)
		return -ENOMEM;
	rc = check_inputs(l->merged, e);
	if (!rc)
		rc = check_way(l->merged, r->endpoint, e);
	if (!rc)
		rc = request_fields_fit(l->merged, l->own, r->endpoint, e);
	if (!rc)
		rc = request_tools_agree(l->merged, l->own, e);
	if (!rc)
		rc = build_body(r, l, e);
	return rc ? rc : request_fields_sent(l->merged, r->body);
}

/* err_set was not called where memory ran out. */
static int tell_memory(int rc, struct err *e)
{
	if (rc == -ENOMEM)
		(void)err_sys(e, ENOMEM, "reading a request");
	return rc;
}

static int parse(const json_t *given, const struct request_source *src, struct request **out,
		 bool *out_unfinished, struct err *e)
{
	struct layers l = { .given = given };
	bool unfinished = false;
	struct request *r = NULL;
	int rc = read_layers(src, &l, &unfinished, e);

	if (!rc) {
		r = calloc(1, sizeof(*r));
		rc = r ? build(r, &l, e) : -ENOMEM;
	}
	layers_done(&l);
	if (out_unfinished)
		*out_unfinished = unfinished;
	if (rc) {
		if (!l.foreign)
			add_place(src, e);
		request_free(r);
		return tell_memory(rc, e);
	}
	*out = r;
	return 0;
}

int request_parse(const struct request_source *src, struct request **out, bool *out_unfinished,
		  struct err *e)
{
	return parse(NULL, src, out, out_unfinished, e);
}

int request_parse_value(const json_t *value, const struct request_source *src, struct request **out,
			struct err *e)
{
	return parse(value, src, out, NULL, e);
}

struct request *request_free(struct request *r)
{
	if (!r)
		return NULL;
	free(r->model);
	free(r->request_id);
	free(r->ns);
	json_decref(r->metadata);
	json_decref(r->fallback);
	request_image_done(r);
	json_decref(r->body);
	free(r);
	return NULL;
}

int request_check_defaults(const char *text, size_t len, json_t **out, struct err *e)
{
	json_t *v = NULL, *layer = NULL;
	int rc = canon_parse(text, len, &v, NULL, e);

	if (!rc)
		rc = check_defaults(v, &layer, e);
	if (!rc)
		rc = request_fields_supported(layer, e);
	json_decref(layer);
	if (rc) {
		struct request_source src = { text, len, REQUEST_JSON, NULL };

		add_place(&src, e);
		json_decref(v);
		return tell_memory(rc, e);
	}
	*out = v;
	return 0;
}

int request_prepend(struct request *r, const json_t *history)
{
	const json_t *own = json_object_get(r->body, "messages");
	size_t n = json_array_size(own);
	json_t *all;
	int rc = 0;

	if (r->own_messages || !n)
		return 0;
	all = json_array();
	if (!all)
		return -ENOMEM;
	if (n > 1) /* its system message stays the first */
		rc = json_array_append(all, json_array_get(own, 0));
	for (size_t i = 0; i < json_array_size(history) && !rc; i++) {
		json_t *m = json_array_get(history, i);
		const char *role = json_string_value(json_object_get(m, "role"));

		if (n > 1 && role && strcmp(role, "system") == 0)
			continue; /* the newer one holds for the whole conversation */
		rc = json_array_append(all, m);
	}
	if (!rc)
		rc = json_array_append(all, json_array_get(own, n - 1));
	if (rc) {
		json_decref(all);
		return -ENOMEM;
	}
	return json_object_set_new(r->body, "messages", all) ? -ENOMEM : 0;
}

static int set_optional(json_t *o, const char *name, const char *text)
{
	return text && *text ? json_object_set_new(o, name, json_string(text)) : 0;
}

int request_effective(const struct request *r, const struct request_target *t, json_t **out)
{
	json_t *o;
	bool add_max = t->default_max_tokens > 0 && r->endpoint != REQUEST_EMBEDDING &&
		       !json_object_get(r->body, "max_tokens");

	for (size_t i = 0; i < r->n_images; i++)
		if (!r->images[i].known)
			return -EINVAL;
	o = json_pack("{s:i, s:s, s:s, s:s}", "format", REQUEST_FORMAT, "backend", t->backend,
		      "endpoint", request_endpoint_name(r->endpoint), "model", t->model);
	if (!o)
		return -ENOMEM;
	if (json_object_update(o, r->body) || set_optional(o, "url", t->url) ||
	    set_optional(o, "scope", t->scope) ||
	    (add_max &&
	     json_object_set_new(o, "max_tokens", json_integer(t->default_max_tokens)))) {
		json_decref(o);
		return -ENOMEM;
	}
	*out = o;
	return 0;
}

const char *request_endpoint_name(enum request_endpoint e)
{
	return (unsigned)e < ARRAY_LEN(endpoint_names) ? endpoint_names[e] : "?";
}

const char *request_cache_name(enum request_cache c)
{
	return (unsigned)c < ARRAY_LEN(cache_names) ? cache_names[c] : "?";
}

int request_cache_parse(const char *name, enum request_cache *out)
{
	for (size_t i = 0; i < ARRAY_LEN(cache_names); i++) {
		if (strcmp(name, cache_names[i]) != 0)
			continue;
		*out = (enum request_cache)i;
		return 0;
	}
	return -EINVAL;
}
