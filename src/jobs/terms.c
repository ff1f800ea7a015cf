/* terms.c - the envelope and the facts of a request as the compact JSON that the ledger keeps */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "jobs/bulk_line.h"
#include "jobs/check.h"

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
	if (t->ns)
		set(o, "namespace", json_string(t->ns));
	if (t->hand_id)
		set(o, "hand_id", json_string(t->hand_id));
	if (t->hand_path)
		set(o, "hand_path", json_string(t->hand_path));
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
	out->ns = dup_member(o, "namespace");
	out->hand_id = dup_member(o, "hand_id");
	out->hand_path = dup_member(o, "hand_path");
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
	free(t->ns);
	free(t->hand_id);
	free(t->hand_path);
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

static json_t *tokens(const struct tally *t)
{
	json_t *a = json_array();

	for (size_t i = 0; i < ARRAY_LEN(t->tokens); i++)
		json_array_append_new(a, count_or_null(t->tokens[i]));
	return a;
}

static json_t *usd_or_null(double usd)
{
	return usd < 0 ? json_null() : json_real(usd);
}

/* another model than the first answered */
static void set_other(json_t *f, const struct job *j)
{
	char hex[KEY_HEX + 1];

	key_hex(&j->body.key, hex);
	set(f, "key", json_string(hex));
	set(f, "backend", json_string(j->terms.backend));
	set(f, "model", json_string(j->terms.model));
	set(f, "dropped", json_incref(j->terms.dropped));
}

static void set_money(json_t *f, const struct tally *t, bool failed)
{
	set(f, "cost_usd", failed ? json_null() : usd_or_null(t->cost_usd));
	set(f, "saved_usd", usd_or_null(t->saved_usd));
	if (t->merged_usd > 0)
		set(f, "merged_usd", json_real(t->merged_usd));
	set(f, "tokens", tokens(t));
	if (t->bought)
		set(f, "bought", json_integer(t->bought));
	if (t->duplicated)
		set(f, "duplicated", json_integer(t->duplicated));
}

char *terms_facts(const struct job *j, unsigned attempts)
{
	const struct job_times *t = &j->times;
	const struct tally *y = &j->picks.tally;
	uint64_t now = mono_ns();
	json_t *f = json_object();
	char *text;

	set(f, "attempts", json_integer(attempts + y->attempts + t->attempts_before));
	if (!key_equal(&j->body.key, &j->body.asked))
		set_other(f, j);
	set(f, "queue_ms", ms_between(t->accepted_mono, t->sent_mono ? t->sent_mono : now));
	set(f, "first_token_ms", ms_between(t->sent_mono, t->first_mono));
	set(f, "total_ms", ms_between(t->accepted_mono, now));
	set_money(f, y, !picks_full(&j->picks));
	if (y->reasoning)
		set(f, "reasoning", json_true());
	if (y->tool_calls)
		set(f, "tool_calls", json_true());
	if (check_is_embedding(j->body.request))
		set(f, "embedding", json_true());
	text = json_dumps(f, JSON_COMPACT);
	json_decref(f);
	return text;
}

const char *terms_hand_id(const struct job *j, const char **out_root)
{
	*out_root = NULL;
	if (j->terms.request_id)
		return j->terms.request_id;
	*out_root = j->line ? j->line->file_root : j->root;
	return j->terms.hand_id ? j->terms.hand_id : j->path;
}
