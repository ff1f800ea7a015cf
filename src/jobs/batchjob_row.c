/* batchjob_row.c - a batch, and a sample of one, as text */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "jobs/batchjob.h"

#include "base/banned.h"

#define REQUESTS_MAX \
	100000000 /* no provider takes so many; a damaged number is no size of an array */

static bool within(const json_t *o, const char *name, json_int_t max)
{
	json_int_t v = json_integer_value(json_object_get(o, name));

	return v >= 0 && v <= max;
}

/* ---- samples ---- */

/* Past the cache every line has an answer of its own; otherwise equal lines share one. */
void batchjob_row_path(struct batchjob_sample *s)
{
	char hex[KEY_HEX + 1];

	key_hex(&s->key, hex);
	if (s->mode == REQUEST_CACHE_BYPASS || s->mode == REQUEST_CACHE_REFRESH)
		(void)snprintf(s->path, sizeof(s->path), "%s.%u.%016llx", hex, s->index,
			       (unsigned long long)bulk_set_hash(s->name, strlen(s->name)));
	else
		(void)snprintf(s->path, sizeof(s->path), "%s.%u", hex, s->index); /* 75 at most */
}

/* what we need, a tab, the request as its key was made of */
int batchjob_row_sample_write(const struct batchjob_sample *s, struct buf *out)
{
	char hex[KEY_HEX + 1];
	json_t *o;
	char *text;

	key_hex(&s->key, hex);
	o = json_pack("{s:s, s:I, s:i, s:f, s:b, s:s}", "key", hex, "index", (json_int_t)s->index,
		      "mode", (int)s->mode, "ttl", s->ttl_s, "max", s->user_max_tokens, "name",
		      s->name);
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return -ENOMEM;
	(void)buf_adds(out, text);
	free(text);
	(void)buf_addc(out, '\t');
	(void)buf_add(out, s->canon, s->canon_len);
	(void)buf_addc(out, '\n');
	return out->failed;
}

int batchjob_row_sample_read(const char *text, size_t n, struct batchjob_sample *out)
{
	const char *tab = memchr(text, '\t', n);
	json_t *o = tab ? json_loadb(text, (size_t)(tab - text), 0, NULL) : NULL;
	const char *hex = json_string_value(json_object_get(o, "key"));
	const char *name = json_string_value(json_object_get(o, "name"));
	int r = -EINVAL;

	*out = (struct batchjob_sample){ 0 };
	if (hex && name && within(o, "index", UINT32_MAX) &&
	    within(o, "mode", REQUEST_CACHE_ONLY) && key_parse(hex, &out->key) == 0) {
		out->index = (uint32_t)json_integer_value(json_object_get(o, "index"));
		out->mode = (enum request_cache)json_integer_value(json_object_get(o, "mode"));
		out->ttl_s = json_number_value(json_object_get(o, "ttl"));
		out->user_max_tokens = json_is_true(json_object_get(o, "max"));
		out->canon = tab + 1;
		out->canon_len = n - (size_t)(tab + 1 - text);
		out->name = strdup(name);
		r = out->name ? 0 : -ENOMEM;
	}
	json_decref(o);
	if (r == 0)
		batchjob_row_path(out);
	return r;
}

/* ---- batches ---- */

static const char *const states[BATCHJOB_STATES] = { "gathered", "staged", "uploaded",
						     "created",	 "ended",  "fetched" };

char *batchjob_row_write(const struct batchjob_record *r)
{
	const struct batch_job *j = &r->job_at;
	json_t *o = json_pack("{s:s, s:I, s:s, s:b, s:b, s:i}", "state", states[r->state], "job",
			      (json_int_t)r->job, "backend", r->backend, "creating", r->creating,
			      "cancel", r->cancel, "ended", (int)r->ended);
	json_t *at = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:b, s:s, s:s, s:s}",
			       "endpoint", j->group.endpoint, "model", j->group.model, "header",
			       j->group.header, "tag", j->tag, "requests", (json_int_t)j->requests,
			       "begun", (json_int_t)j->begun_real_ns, "input", j->input, "strays",
			       j->strays, "id", j->id, "output", j->output[0], "errors",
			       j->output[1]);
	char *text = NULL;

	if (o && at) {
		json_object_set(o, "at", at);
		json_object_set_new(o, "total", json_integer(r->total));
		json_object_set_new(o, "succeeded", json_integer(r->succeeded));
		json_object_set_new(o, "failed", json_integer(r->failed));
		json_object_set_new(o, "why", json_string(r->why));
		text = json_dumps(o, JSON_COMPACT);
	}
	json_decref(at);
	json_decref(o);
	return text;
}

static void take(char *dst, size_t cap, const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	(void)str_copy(dst, cap, s ? s : ""); /* it fitted when it was written */
}

static void read_at(const json_t *o, struct batch_job *j)
{
	take(j->group.endpoint, sizeof(j->group.endpoint), o, "endpoint");
	take(j->group.model, sizeof(j->group.model), o, "model");
	take(j->group.header, sizeof(j->group.header), o, "header");
	take(j->tag, sizeof(j->tag), o, "tag");
	take(j->input, sizeof(j->input), o, "input");
	take(j->id, sizeof(j->id), o, "id");
	take(j->output[0], BATCH_NAME_MAX, o, "output");
	take(j->output[1], BATCH_NAME_MAX, o, "errors");
	j->strays = json_is_true(json_object_get(o, "strays"));
	j->requests = (uint64_t)json_integer_value(json_object_get(o, "requests"));
	j->begun_real_ns = (uint64_t)json_integer_value(json_object_get(o, "begun"));
}

int batchjob_row_read(const char *text, struct batchjob_record *out)
{
	json_t *o = json_loads(text ? text : "", 0, NULL);
	const char *state = json_string_value(json_object_get(o, "state"));
	const char *backend = json_string_value(json_object_get(o, "backend"));
	int r = -EINVAL;

	*out = (struct batchjob_record){ 0 };
	/* one that is gathered has no row */
	for (int i = BATCHJOB_STAGED; state && backend && i < BATCHJOB_STATES; i++) {
		if (strcmp(state, states[i]) != 0)
			continue;
		out->state = (enum batchjob_state)i;
		r = 0;
	}
	if (!within(json_object_get(o, "at"), "requests", REQUESTS_MAX) ||
	    !within(o, "ended", BATCH_CANCELLED))
		r = -EINVAL;
	if (r == 0) {
		read_at(json_object_get(o, "at"), &out->job_at);
		out->job = json_integer_value(json_object_get(o, "job"));
		out->creating = json_is_true(json_object_get(o, "creating"));
		out->cancel = json_is_true(json_object_get(o, "cancel"));
		out->ended = (enum batch_state)json_integer_value(json_object_get(o, "ended"));
		out->total = json_integer_value(json_object_get(o, "total"));
		out->succeeded = json_integer_value(json_object_get(o, "succeeded"));
		out->failed = json_integer_value(json_object_get(o, "failed"));
		take(out->why, sizeof(out->why), o, "why");
		out->backend = strdup(backend);
		r = out->backend ? 0 : -ENOMEM;
	}
	json_decref(o);
	return r;
}
