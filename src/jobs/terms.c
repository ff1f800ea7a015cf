/* terms.c - the envelope and the facts of a request as the compact JSON that the ledger keeps */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "jobs/inside.h"

#include "base/banned.h"

static int set(json_t *o, const char *name, json_t *take_value)
{
	return json_object_set_new(o, name, take_value);
}

char *terms_write(const struct job_terms *t)
{
	json_t *o = json_object();
	char *text;

	set(o, "backend", json_string(t->backend));
	set(o, "model", json_string(t->model));
	if (t->request_id)
		set(o, "request_id", json_string(t->request_id));
	if (t->priority)
		set(o, "priority", json_integer(t->priority));
	if (t->timeout_s > 0)
		set(o, "timeout", json_real(t->timeout_s));
	if (t->ttl_s > 0)
		set(o, "ttl", json_real(t->ttl_s));
	if (t->user_max_tokens)
		set(o, "user_max_tokens", json_true());
	if (json_array_size(t->dropped))
		set(o, "dropped", json_incref(t->dropped));
	if (json_array_size(t->fallback))
		set(o, "fallback", json_incref(t->fallback));
	if (t->images)
		set(o, "images", json_incref(t->images));
	if (t->image_dir)
		set(o, "image_dir", json_string(t->image_dir));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

static char *dup_member(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? strdup(s) : NULL;
}

int terms_read(const char *envelope, struct job_terms *out)
{
	json_t *o = json_loads(envelope ? envelope : "", 0, NULL);

	if (!o)
		return -EINVAL;
	out->backend = dup_member(o, "backend");
	out->model = dup_member(o, "model");
	out->request_id = dup_member(o, "request_id");
	out->priority = (int)json_integer_value(json_object_get(o, "priority"));
	out->timeout_s = json_number_value(json_object_get(o, "timeout"));
	out->ttl_s = json_number_value(json_object_get(o, "ttl"));
	out->user_max_tokens = json_is_true(json_object_get(o, "user_max_tokens"));
	out->dropped = json_incref(json_object_get(o, "dropped"));
	out->fallback = json_incref(json_object_get(o, "fallback"));
	out->images = json_incref(json_object_get(o, "images"));
	out->image_dir = dup_member(o, "image_dir");
	json_decref(o);
	return out->backend && out->model ? 0 : -EINVAL;
}

void terms_done(struct job_terms *t)
{
	free(t->request_id);
	free(t->hand_id);
	free(t->backend);
	free(t->model);
	json_decref(t->dropped);
	json_decref(t->fallback);
	json_decref(t->images);
	free(t->image_dir);
	*t = (struct job_terms){ 0 };
}

static json_t *ms_between(uint64_t from, uint64_t to)
{
	uint64_t us;

	if (!from || !to || to < from)
		return json_null();
	us = (to - from) / 1000; /* three digits are enough for a person */
	return json_real((double)us / 1000.0);
}

static json_t *count_or_null(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static json_t *tokens(const struct terms_outcome *o)
{
	static const struct answer_usage none = { 0, 0, 0, 0, 0 };
	const struct answer_usage *u = o->bought && o->answer ? &o->answer->usage : &none;
	json_t *a = json_array();

	json_array_append_new(a, count_or_null(u->input));
	json_array_append_new(a, count_or_null(u->cached_input));
	json_array_append_new(a, count_or_null(u->cache_write));
	json_array_append_new(a, count_or_null(u->output));
	json_array_append_new(a, count_or_null(u->reasoning));
	return a;
}

char *terms_facts(const struct terms_outcome *o)
{
	const struct job *j = o->job;
	const struct job_times *t = &j->times;
	json_t *f = json_object();
	char *text;

	set(f, "attempts", json_integer(o->attempts + t->attempts_before));
	if (!key_equal(&j->body.key, &j->body.asked)) { /* another model than the first answered */
		char hex[KEY_HEX + 1];

		key_hex(&j->body.key, hex);
		set(f, "key", json_string(hex));
		set(f, "backend", json_string(j->terms.backend));
		set(f, "model", json_string(j->terms.model));
		set(f, "dropped", json_incref(j->terms.dropped));
	}
	set(f, "queue_ms", ms_between(t->accepted_mono, t->sent_mono ? t->sent_mono : o->now_mono));
	set(f, "first_token_ms", ms_between(t->sent_mono, t->first_mono));
	set(f, "total_ms", ms_between(t->accepted_mono, o->now_mono));
	set(f, "cost_usd", o->cost_usd < 0 ? json_null() : json_real(o->cost_usd));
	set(f, "saved_usd", o->saved_usd < 0 ? json_null() : json_real(o->saved_usd));
	set(f, "tokens", tokens(o));
	if (o->sample && json_string_length(json_object_get(o->sample, "reasoning")))
		set(f, "reasoning", json_true());
	if (o->sample && json_array_size(json_object_get(o->sample, "tool_calls")))
		set(f, "tool_calls", json_true());
	if (check_is_embedding(j->body.request))
		set(f, "embedding", json_true());
	text = json_dumps(f, JSON_COMPACT);
	json_decref(f);
	return text;
}
