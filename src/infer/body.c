/*
 * infer/body.c - the effective request as a provider's JSON body
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/canon.h"
#include "infer/body.h"

#include "base/banned.h"

/* Members of the effective request that are not fields of the provider, or that body_begin writes. */
static const char *const structure[] = { "format",   "backend",	   "endpoint", "model",
					 "messages", "prompt",	   "url",      "identity",
					 "scope",    "extra_body", NULL };
static const char *const message_basics[] = { "role", "content", NULL };

static bool listed(const char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

bool body_is(const json_t *effective, const char *endpoint)
{
	const char *name = json_string_value(json_object_get(effective, "endpoint"));

	return strcmp(name ? name : "chat", endpoint) == 0;
}

static int refused(const struct body_check *k, const char *field, const char *why)
{
	int rc = err_field(k->e, ERR_UNSUPPORTED, field,
			   "%s cannot take `%s`%s%s (`lossy = yes` drops it)", k->config->name,
			   field, *why ? ": " : "", why);

	if (k->e)
		(void)str_copy(k->e->backend, sizeof(k->e->backend),
			       k->config->name); /* cut is fine */
	return rc;
}

static int note_dropped(const struct body_check *k, const char *field)
{
	const json_t *name;
	size_t i;

	json_array_foreach(k->dropped, i, name) {
		if (strcmp(json_string_value(name), field) == 0)
			return 0; /* many messages, one field */
	}
	return k->dropped && json_array_append_new(k->dropped, json_string(field)) ? -ENOMEM : 0;
}

int body_refuse(const struct body_check *k, const char *field, const char *why)
{
	int rc;

	if (!k->lossy)
		return refused(k, field, why);
	rc = note_dropped(k, field);		    /* first: field may be the member's own key */
	(void)json_object_del(k->effective, field); /* absent is what is wanted */
	return rc;
}

int body_at_most(const struct body_check *k, const char *field, double max)
{
	char why[48];

	if (json_number_value(json_object_get(k->effective, field)) <= max)
		return 0; /* or it is not there */
	(void)snprintf(why, sizeof(why), "it is at most %g there", max);
	return body_refuse(k, field, why);
}

bool body_offers(const json_t *effective)
{
	const json_t *extra = json_object_get(effective, "extra_body");

	return json_array_size(json_object_get(effective, "tools")) > 0 ||
	       json_array_size(json_object_get(extra, "tools")) > 0;
}

static const struct body_field *find_field(const struct body_rules *r, const char *name)
{
	for (const struct body_field *f = r->fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

/* An explicit false asks for nothing, so it can always be expressed: by leaving it out. */
static int check_fields(const struct body_check *k, const struct body_rules *r)
{
	const char *name;
	json_t *value;
	void *tmp;
	int rc;

	json_object_foreach_safe(k->effective, tmp, name, value) {
		if (listed(structure, name) || find_field(r, name) || json_is_false(value))
			continue;
		rc = body_refuse(k, name, "");
		if (rc)
			return rc;
	}
	return 0;
}

static int check_message(const struct body_check *k, const struct body_rules *r, json_t *message)
{
	const char *role = json_string_value(json_object_get(message, "role"));
	const char *const *more = role && strcmp(role, "tool") == 0 ? r->tool_members
								    : r->message_members;
	char field[ERR_NAME_MAX];
	const char *name;
	json_t *value;
	void *tmp;
	int rc;

	json_object_foreach_safe(message, tmp, name, value) {
		if (listed(message_basics, name) || listed(more, name) || json_is_false(value) ||
		    json_is_null(value))
			continue;
		(void)str_copy(field, sizeof(field), "messages.");
		(void)str_copy(field + 9, sizeof(field) - 9, name); /* cut is fine: only shown */
		if (!k->lossy)
			return refused(k, field, "");
		(void)json_object_del(message, name);
		rc = note_dropped(k, field);
		if (rc)
			return rc;
	}
	return 0;
}

static int check_messages(const struct body_check *k, const struct body_rules *r)
{
	json_t *messages = json_object_get(k->effective, "messages"), *m;
	size_t i;
	int rc;

	json_array_foreach(messages, i, m) {
		rc = check_message(k, r, m);
		if (rc)
			return rc;
	}
	return 0;
}

/* Dropping keeps the first ones: they are what the user thought of first. */
static int check_stop(const struct body_check *k, const struct body_rules *r)
{
	json_t *stop = json_object_get(k->effective, "stop");

	if (!r->stop_max || json_array_size(stop) <= r->stop_max)
		return 0;
	if (!k->lossy)
		return refused(k, "stop", "too many strings");
	while (json_array_size(stop) > r->stop_max)
		(void)json_array_remove(stop, json_array_size(stop) - 1); /* the index is there */
	return note_dropped(k, "stop");
}

static int check_endpoint(const struct body_check *k, const struct body_rules *r)
{
	const char *name = json_string_value(json_object_get(k->effective, "endpoint"));
	int rc;

	if (!name || listed(r->endpoints, name))
		return 0;
	rc = err_field(k->e, ERR_UNSUPPORTED, "endpoint", "%s cannot serve the endpoint `%s`",
		       k->config->name, name);
	if (k->e)
		(void)str_copy(k->e->backend, sizeof(k->e->backend),
			       k->config->name); /* cut is fine */
	return rc;
}

int body_no_strict(const struct body_check *k)
{
	json_t *tools = json_object_get(k->effective, "tools"), *tool;
	size_t i;

	json_array_foreach(tools, i, tool) {
		json_t *function = json_object_get(tool, "function");
		int rc;

		if (!json_is_true(json_object_get(function, "strict")))
			continue;
		rc = body_refuse(k, "tools.strict", "");
		if (rc)
			return rc;
		(void)json_object_del(function, "strict"); /* it is there */
	}
	return 0;
}

int body_check(const struct body_check *k, const struct body_rules *r)
{
	int rc = check_endpoint(k, r);

	if (!rc)
		rc = check_fields(k, r);
	if (!rc)
		rc = check_messages(k, r);
	return rc ? rc : check_stop(k, r);
}

/* The effective request is what was hashed, and others read it now: it is never changed here. */
static json_t *copy_message(const json_t *m, bool developer_as_system)
{
	const char *role = json_string_value(json_object_get(m, "role"));
	json_t *copy =
		json_copy((json_t *)(uintptr_t)m); /* shallow: shares content, which is only read */

	if (copy && developer_as_system && role && strcmp(role, "developer") == 0 &&
	    json_object_set_new(copy, "role", json_string("system"))) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

/* An empty list is sent as such; the provider says what it thinks of it. */
static json_t *copy_messages(const json_t *messages, bool developer_as_system)
{
	json_t *out = json_array();
	const json_t *m;
	size_t i;

	json_array_foreach(messages, i, m) {
		if (json_array_append_new(out, copy_message(m, developer_as_system))) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static bool says(const json_t *extra, const char *name)
{
	const json_t *v = json_object_get(extra, name);

	return v && !json_is_null(v);
}

/* With several prompts the choices of all of them are numbered together; the others are numbers of samples, or do
 * not go with one. */
unsigned body_samples(const json_t *effective, unsigned max)
{
	static const char *const names[] = { "n",	   "best_of",
					     "n_cmpl",	   "candidateCount",
					     "prediction", "use_beam_search",
					     "prompt" };
	static const char *const configs[] = { "generationConfig", "generation_config" };
	const json_t *extra = json_object_get(effective, "extra_body");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (says(extra, names[i]))
			return 1;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		const json_t *config = json_object_get(extra, configs[i]);

		if (says(config, "candidateCount") || says(config, "candidate_count"))
			return 1;
	}
	return max;
}

bool body_greedy(const json_t *effective)
{
	const json_t *t = json_object_get(effective, "temperature");

	return json_is_number(t) && json_number_value(t) <= 0;
}

static bool set_shared(json_t *body, const char *name, const json_t *value)
{
	return !value || json_object_set(body, name, (json_t *)(uintptr_t)value) == 0;
}

static bool set_content(json_t *body, const json_t *effective, bool developer_as_system)
{
	const json_t *messages = json_object_get(effective, "messages");

	if (body_is(effective, "chat"))
		return json_object_set_new(body, "messages",
					   copy_messages(messages, developer_as_system)) == 0;
	return set_shared(body, "prompt", json_object_get(effective, "prompt"));
}

json_t *body_begin(const json_t *effective, const struct body_rules *r, bool developer_as_system)
{
	json_t *body = json_object();
	bool good = body && set_shared(body, "model", json_object_get(effective, "model")) &&
		    json_object_set_new(body, "stream", json_true()) == 0 &&
		    set_content(body, effective, developer_as_system);

	for (const struct body_field *f = r->fields; good && f->name; f++)
		if (f->wire)
			good = set_shared(body, f->wire, json_object_get(effective, f->name));
	if (!good) {
		json_decref(body);
		return NULL;
	}
	return body;
}

int body_write(const struct backend_config *c, json_t *take_body, struct backend_body *out,
	       struct err *e)
{
	int rc = -ENOMEM;

	if (take_body) {
		buf_init(&out->body, BODY_MAX);
		rc = canon_write(take_body, &out->body);
	}
	json_decref(take_body);
	if (rc == -EFBIG)
		return err_set(e, ERR_CONTEXT, "the request to %s is larger than %u MiB", c->name,
			       BODY_MAX >> 20);
	if (rc)
		return err_set(e, ERR_INTERNAL, "the request to %s could not be written: %s",
			       c->name, strerror(-rc));
	return 0;
}

int body_fits(const struct backend_config *c, const struct backend_body *body, size_t max_mib,
	      struct err *e)
{
	if (body->body.len <= max_mib << 20)
		return 0;
	return err_set(e, ERR_CONTEXT,
		       "the request to %s is larger than the %zu MiB that it takes; send fewer or "
		       "smaller images",
		       c->name, max_mib);
}

int body_finish(const struct backend_config *c, json_t *take_body, const json_t *effective,
		struct backend_body *out, struct err *e)
{
	json_t *extra = json_object_get(effective, "extra_body");
	json_t *body = NULL;

	/* a deep copy: the merge must not reach into the effective request through shared objects */
	if (take_body && json_is_object(extra))
		body = json_deep_copy(take_body);
	else
		body = json_incref(take_body);
	json_decref(take_body);
	if (body && json_is_object(extra) && json_object_update_recursive(body, extra)) {
		json_decref(body);
		body = NULL;
	}
	out->stream = json_is_true(json_object_get(body, "stream"));
	return body_write(c, body, out, e);
}
