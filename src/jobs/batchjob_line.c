/* batchjob_line.c - a line of a .batch.jsonl: are its samples there, on their way, or to be handed in? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "jobs/batchjob_stage.h"
#include "jobs/check.h"
#include "jobs/flight.h"
#include "jobs/sweep.h"

#include "base/banned.h"

/* ---- which samples ---- */

/* Lines get the next ones in the order of the file, in every pass the same, until they are recorded. */
static int deal_in_namespace(struct batchjob_wants *w)
{
	const struct job_terms *t = &w->c->terms;
	const char *id = t->hand_id ? t->hand_id : t->request_id;
	struct ledger_given *had = NULL;
	struct batchjob_share *s = batchjob_pass_share(w->k, w->c);
	size_t n = 0;
	int r = s ? ledger_given(w->k->b->o.ledger, t->ns, &w->c->body.key, id, &had, &n) : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < w->n; i++)
		w->v[i].s.index = i < n && key_equal(&had[i].key, &w->c->body.key)
					  ? had[i].index
					  : batchjob_pass_next(s);
	free(had);
	return r;
}

static int deal(struct batchjob_wants *w, const char *name)
{
	const struct job_terms *t = &w->c->terms;
	int r = 0;

	w->n = (unsigned)t->n;
	w->v = calloc(w->n, sizeof(*w->v));
	if (!w->v)
		return -ENOMEM;
	for (unsigned i = 0; i < w->n; i++)
		w->v[i].s.index = i;
	if (t->ns && t->cache != REQUEST_CACHE_BYPASS)
		r = deal_in_namespace(w);
	for (unsigned i = 0; i < w->n; i++) {
		struct batchjob_sample *s = &w->v[i].s;

		s->key = w->c->body.key;
		s->mode = t->cache;
		s->ttl_s = t->ttl_s;
		s->user_max_tokens = t->user_max_tokens;
		s->name = (char *)(uintptr_t)name;
		s->canon = w->c->body.canon;
		s->canon_len = w->c->body.canon_len;
		batchjob_row_path(s);
	}
	return r;
}

/* ---- what there is ---- */

static bool goes_past_cache(const struct batchjob_sample *s)
{
	return s->mode == REQUEST_CACHE_BYPASS || s->mode == REQUEST_CACHE_REFRESH;
}

static void take_text(const json_t *o, const char *name, char *dst, size_t cap)
{
	const char *text = json_string_value(json_object_get(o, name));

	(void)str_copy(dst, cap, text ? text : ""); /* it was this long when it was written */
}

/* The row is what response_error_json wrote: the line's error.json says as much as a single request's. */
static void take_error(struct batchjob_wants *w, const struct ledger_row *row)
{
	json_t *o = json_loads(row->error ? row->error : "", 0, NULL);
	const char *name = json_string_value(json_object_get(o, "errno"));
	const char *text = json_string_value(json_object_get(o, "message"));

	(void)err_set(&w->e, err_by_name(name ? name : "EIO"), "%s",
		      text ? text : "the provider gave no answer");
	take_text(o, "field", w->e.field, sizeof(w->e.field));
	take_text(o, "backend", w->e.backend, sizeof(w->e.backend));
	take_text(o, "provider_type", w->e.provider_type, sizeof(w->e.provider_type));
	take_text(o, "provider_message", w->e.provider_message, sizeof(w->e.provider_message));
	w->e.http_status = (int)json_integer_value(json_object_get(o, "http_status"));
	json_decref(o);
}

static bool take_object(struct batchjob_wants *w, struct batchjob_want *x,
			const struct ledger_row *row)
{
	struct ledger_handout *h = NULL;
	json_t *o = json_loads(row->envelope ? row->envelope : "", 0, NULL);
	const char *name = json_string_value(json_object_get(o, "name"));
	size_t n = 0;
	bool there = ledger_handouts(w->k->b->o.ledger, row->id, &h, &n) == 0 && n == 1;

	if (there) {
		x->object = h[0];
		x->bought = name && strcmp(name, x->s.name) == 0;
		x->kept = row->facts && strstr(row->facts, "\"kept\":true");
	}
	json_decref(o);
	free(h);
	return there;
}

static void look_brought(struct batchjob_wants *w, struct batchjob_want *x)
{
	const struct bulk *k = w->k;
	struct ledger_row row;
	int64_t job;

	if (ledger_find(k->b->o.ledger, k->batch->set->root, x->s.path, &row) < 0)
		return;
	job = bulk_line_member(&row, "job");
	if (row.state == LEDGER_DONE && (!goes_past_cache(&x->s) || job >= k->since)) {
		if (take_object(w, x, &row))
			x->how = BATCHJOB_IS_BROUGHT;
	} else if (job == k->id && (row.state == LEDGER_FAILED ||
				    batchjob_land_tries(&row) > k->b->o.batch_resubmit)) {
		x->how = BATCHJOB_IS_REFUSED;
		take_error(w, &row);
	}
	ledger_row_done(&row);
}

static void look_stored(struct batchjob_wants *w, struct batchjob_want *x)
{
	AUTO_BUF struct buf bytes = BUF_INIT(OBJECT_MAX);
	struct answers_id id = { .key = x->s.key, .index = x->s.index };
	struct object o = { 0 };

	if (goes_past_cache(&x->s))
		return;
	if (flight_lookup(w->k->b, &id, false, &o, &bytes) == STORE_OK)
		x->how = BATCHJOB_IS_STORED;
	object_done(&o);
}

static void look(struct batchjob_wants *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct batchjob_want *x = &w->v[i];

		if (batchjob_staged(w->k->b, w->k->batch->set, x->s.path)) {
			x->how = BATCHJOB_IS_COMING;
			continue;
		}
		look_brought(w, x);
		if (x->how == BATCHJOB_IS_MISSING)
			look_stored(w, x);
	}
}

static unsigned how_many(const struct batchjob_wants *w, enum batchjob_how how)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n; i++)
		n += w->v[i].how == how;
	return n;
}

/* ---- it begins ---- */

static void give(struct broker *b, struct job *j, const struct batchjob_want *x)
{
	AUTO_BUF struct buf bytes = BUF_INIT(OBJECT_MAX);
	struct answers_id id = { x->object.key, x->object.index, x->object.variant };
	struct gift g = {
		.id = &id, .bought = x->bought, .kept = x->kept, .attempts = x->bought ? 1 : 0
	};
	struct object o = { 0 };
	struct err e;
	bool given = false;

	if (sweep_pin(b, &id.key) < 0)
		return; /* it is missing then, and asked again */
	if (answers_read(b->o.answers, &id, &bytes) == 0 &&
	    object_decode(bytes.data, bytes.len, &id.key, id.index, &o, &e) == 0) {
		g.sample = o.sample;
		given = picks_give(b, j, &g);
	}
	object_done(&o);
	if (!given)
		sweep_unpin(b, &id.key);
}

/* bulk_start's prepare */
static int prepare(void *arg, struct job *j)
{
	const struct batchjob_wants *w = arg;
	uint32_t *indices = calloc(w->n, sizeof(*indices));
	int r = indices ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < w->n; i++)
		indices[i] = w->v[i].s.index;
	if (r == 0)
		r = picks_deal(&j->picks, indices, w->n);
	j->picks.offered = w->c->terms.ns && w->c->terms.cache != REQUEST_CACHE_BYPASS;
	free(indices);
	for (unsigned i = 0; r == 0 && i < w->n; i++)
		if (w->v[i].how == BATCHJOB_IS_BROUGHT)
			give(w->k->b, j, &w->v[i]);
	return r;
}

static int begin(struct batchjob_wants *w, struct bulk_asked *a, struct checked *c,
		 enum broker_state state)
{
	struct bulk_start s = {
		.item = &a->item, .text = &a->text, .checked = c, .state = state, .arg = w
	};

	if (state == BROKER_QUEUED)
		s.prepare = prepare;
	else if (state == BROKER_FAILED)
		a->item.e = w->e;
	return bulk_line_start(w->k, &s);
}

/* ---- one line ---- */

static void note_waiting(struct bulk *k)
{
	k->batch->waiting++;
	LOCK_SCOPE(&k->b->lock);
	if (k->job)
		job_set_state_locked(k->b, k->job, BROKER_RUNNING);
}

static int decide(struct batchjob_wants *w, struct bulk_asked *a, struct checked *c, bool cancelled)
{
	unsigned there = how_many(w, BATCHJOB_IS_BROUGHT) + how_many(w, BATCHJOB_IS_STORED);
	int r;

	if (there == w->n || (c->terms.cache == REQUEST_CACHE_ONLY && !cancelled))
		return begin(w, a, c, BROKER_QUEUED);
	if (cancelled)
		return begin(w, a, c, BROKER_CANCELLED);
	if (how_many(w, BATCHJOB_IS_REFUSED))
		return begin(w, a, c, BROKER_FAILED);
	r = how_many(w, BATCHJOB_IS_MISSING) ? batchjob_stage(w) : 0;
	if (r > 0)
		return begin(w, a, c, BROKER_FAILED);
	if (r == 0)
		note_waiting(w->k);
	return r;
}

int batchjob_line(struct bulk *k, struct bulk_asked *a, struct checked *c, bool cancelled)
{
	struct batchjob_wants w = { .k = k, .c = c, .text = &a->text };
	int r;

	json_decref(c->terms.fallback); /* a batch asks one model; and has a time of its own */
	c->terms.fallback = NULL;
	c->terms.timeout_s = 0;
	r = deal(&w, a->item.name);
	if (r == 0) {
		look(&w);
		r = decide(&w, a, c, cancelled);
	}
	free(w.v);
	return r;
}
