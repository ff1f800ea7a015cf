/* flight.c - single-flight: equal requests that run together cost one call */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/fallback.h"
#include "jobs/flight.h"
#include "jobs/image.h"
#include "jobs/inside.h"
#include "jobs/sweep.h"

#include "base/banned.h"

static bool flight_equal(const struct map_link *l, const void *key)
{
	return key_equal(&CONTAINER_OF(l, const struct flight, by_key)->key, key);
}

static uint32_t flight_hash(const struct key *k)
{
	return map_hash(k->b, sizeof(k->b));
}

static struct flight *flight_find_locked(struct broker *b, const struct key *k)
{
	struct map_link *l = map_find(&b->flights, flight_hash(k), flight_equal, k);

	return l ? CONTAINER_OF(l, struct flight, by_key) : NULL;
}

static void flight_free(struct flight *f)
{
	assert(list_empty(&f->jobs) && !f->tabled);
	json_decref(f->request);
	free(f->canon);
	buf_done(&f->sofar);
	answer_free(f->answer);
	free(f);
}

void flight_unref(struct flight *f)
{
	struct broker *b = f->b;
	unsigned left;

	lock_take(&b->lock);
	left = --f->refs;
	lock_drop(&b->lock);
	if (!left)
		flight_free(f);
}

static void flight_untable_locked(struct flight *f)
{
	if (f->tabled)
		map_del(&f->b->flights, &f->by_key);
	f->tabled = false;
	list_del(&f->in_orphans);
}

static void flight_add_locked(struct flight *f, struct job *j)
{
	j->flight = f;
	j->step = STEP_JOIN;
	job_ref(j);
	list_append(&f->jobs, &j->in_flight);
	list_del(&f->in_orphans);
	if (f->calling && f->attempts)
		job_set_state_locked(f->b, j, BROKER_RUNNING);
	if (!j->times.sent_mono && f->attempts)
		j->times.sent_mono = mono_ns();
	if (j->stream && f->sofar.len)
		(void)stream_append(j->stream, f->sofar.data, f->sofar.len); /* fails itself */
}

static struct flight *flight_new(struct broker *b, const struct job *j)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->b = b;
	f->refs = 1;
	f->key = j->body.key;
	f->mode = j->terms.cache;
	f->request = json_deep_copy(j->body.request); /* a count shared by threads is no barrier */
	f->canon = str_dup_n(j->body.canon, j->body.canon_len);
	f->canon_len = j->body.canon_len;
	list_init(&f->jobs);
	list_init(&f->in_orphans);
	f->sofar = BUF_INIT(ANSWER_TEXT_MAX);
	if (!f->canon || !f->request) {
		json_decref(f->request);
		free(f->canon);
		free(f);
		return NULL;
	}
	return f;
}

/* ---- leaving ---- */

static void flight_cancel_locked(struct flight *f)
{
	list_del(&f->in_orphans);
	if (f->call)
		infer_cancel(f->b->o.infer, f->call);
	f->call = NULL; /* its sink still comes, with ECANCELED or, too late, the answer */
}

void flight_leave_locked(struct broker *b, struct job *j, bool grace)
{
	struct flight *f = j->flight;

	assert(lock_held(&b->lock));
	if (!f)
		return;
	j->flight = NULL;
	list_del(&j->in_flight);
	assert(j->refs > 1);
	j->refs--;
	if (!list_empty(&f->jobs) || f->ended)
		return;
	if (!grace || !f->tabled) {
		flight_untable_locked(f);
		flight_cancel_locked(f);
		return;
	}
	f->orphan_until_mono = mono_ns() + JOB_GRACE_NS;
	list_del(&f->in_orphans);
	list_append(&b->orphans, &f->in_orphans);
	cond_signal(&b->tick);
}

uint64_t flight_orphans_locked(struct broker *b, uint64_t now_mono)
{
	while (!list_empty(&b->orphans)) {
		struct flight *f = LIST_ENTRY(b->orphans.next, struct flight, in_orphans);

		if (f->orphan_until_mono > now_mono)
			return f->orphan_until_mono;
		flight_untable_locked(f);
		flight_cancel_locked(f);
	}
	return 0;
}

/* ---- the end ---- */

/* closes the flight to joiners and takes everybody who waits */
void flight_end_locked(struct flight *f, struct list *out_jobs)
{
	f->ended = true;
	f->calling = false;
	f->call = NULL;
	flight_untable_locked(f);
	list_move_all(out_jobs, &f->jobs);
	LIST_EACH(l, out_jobs) {
		struct job *j = LIST_ENTRY(l, struct job, in_flight);

		j->flight = NULL;
		j->step = STEP_STORE;
	}
}

void flight_fail_jobs(struct broker *b, struct list *jobs, const struct err *e)
{
	struct list *l;

	while ((l = list_pop(jobs))) {
		struct job *j = LIST_ENTRY(l, struct job, in_flight);

		if (!fallback_take(b, j, e))
			job_end(b, j, e->kind == ERR_CANCELLED ? BROKER_CANCELLED : BROKER_FAILED,
				e);
		job_unref(b, j);
	}
}

void flight_fail(struct flight *f, const struct err *e)
{
	struct list jobs;

	list_init(&jobs);
	lock_take(&f->b->lock);
	flight_end_locked(f, &jobs);
	lock_drop(&f->b->lock);
	if (e->kind == ERR_ENDING) { /* not an outcome: it is done again after the next mount */
		struct list *l;

		while ((l = list_pop(&jobs)))
			job_unref(f->b, LIST_ENTRY(l, struct job, in_flight));
		return;
	}
	flight_fail_jobs(f->b, &jobs, e);
}

/* ---- the start ---- */

/* Everybody who waits has another model to ask: nobody needs the breaker's probe. */
static bool can_wait_elsewhere(struct flight *f)
{
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->jobs)
		if (!fallback_left(LIST_ENTRY(l, struct job, in_flight)))
			return false;
	return true;
}

static void flight_call(struct flight *f)
{
	struct broker *b = f->b;
	struct infer_spec spec = { .request = f->request, .n = 1 };
	struct infer_call *c = NULL;
	struct err e = { 0 };
	int r;

	lock_take(&b->lock);
	if (list_empty(&f->jobs)) { /* all cancelled while it was looked up */
		flight_untable_locked(f);
		f->ended = true;
		lock_drop(&b->lock);
		return;
	}
	if (LIST_ENTRY(f->jobs.next, struct job, in_flight)->terms.images)
		spec.load = image_load;
	spec.priority = LIST_ENTRY(f->jobs.next, struct job, in_flight)->terms.priority;
	spec.timeout_s = LIST_ENTRY(f->jobs.next, struct job, in_flight)->terms.timeout_s > 0
				 ? 0
				 : b->o.timeout_s;
	LIST_EACH(l, &f->jobs)
		LIST_ENTRY(l, struct job, in_flight)->step = STEP_QUEUE;
	f->calling = true;
	f->refs++; /* the call's */
	lock_drop(&b->lock);
	spec.backend = json_string_value(json_object_get(f->request, "backend"));
	if (can_wait_elsewhere(f) && infer_ready(b->o.infer, spec.backend, &e) == -EHOSTDOWN) {
		flight_fail(f, &e);
		flight_unref(f);
		return;
	}
	r = infer_call(b->o.infer, &spec, &purchase_sink, f, &c);
	lock_take(&b->lock);
	if (r == 0 && f->calling) {
		f->call = c;
		if (list_empty(&f->jobs) && !f->tabled)
			flight_cancel_locked(f);
	}
	lock_drop(&b->lock);
	if (r == 0)
		return;
	err_set(&e,
		r == -ENOBUFS	  ? ERR_QUEUE_FULL
		: r == -ESHUTDOWN ? ERR_ENDING
		: r == -ENXIO	  ? ERR_NOT_FOUND
				  : ERR_INTERNAL,
		"the request could not be queued at the backend \"%s\": %s", spec.backend,
		strerror(-r));
	flight_fail(f, &e);
	flight_unref(f);
}

/* requests that must not be sent leave here; true: somebody may still buy */
static bool split_only(struct flight *f)
{
	struct list only;
	struct err e = { 0 };
	bool rest;

	list_init(&only);
	lock_take(&f->b->lock);
	LIST_EACH_SAFE(l, tmp, &f->jobs) {
		struct job *j = LIST_ENTRY(l, struct job, in_flight);

		if (j->terms.cache != REQUEST_CACHE_ONLY)
			continue;
		list_del(l);
		list_append(&only, l);
		j->flight = NULL;
	}
	rest = !list_empty(&f->jobs);
	if (!rest) {
		flight_untable_locked(f);
		f->ended = true;
	}
	lock_drop(&f->b->lock);
	err_set(&e, ERR_CACHE_ONLY,
		"the answer is not in the cache and cache mode \"only\" never sends; ask with "
		"\"cache\":\"use\" to buy it");
	flight_fail_jobs(f->b, &only, &e);
	return rest;
}

struct link_arg {
	struct broker *b;
	const struct key *key;
};

static int link_from_store(void *arg, int dirfd, const char *name)
{
	const struct link_arg *l = arg;

	return store_export(l->b->o.store, l->key, 0, dirfd, name);
}

int flight_adopt(struct broker *b, const struct buf *bytes, struct answers_id *id)
{
	struct link_arg l = { b, &id->key };
	int r = sweep_pin(b, &id->key);

	if (r < 0)
		return r;
	r = answers_adopt(b->o.answers, id,
			  &(struct answers_source){ .bytes = bytes->data,
						    .len = bytes->len,
						    .link_fn = link_from_store,
						    .arg = &l });
	if (r < 0)
		sweep_unpin(b, &id->key);
	return r;
}

static void flight_hit(struct flight *f, const struct object *o, const struct buf *bytes)
{
	struct answers_id id = { .key = f->key };
	struct list jobs;
	struct err e = { 0 };
	int r = flight_adopt(f->b, bytes, &id);

	if (r < 0) {
		err_sys(&e, -r, "the cached answer could not be kept under the state directory");
		flight_fail(f, &e);
		return;
	}
	list_init(&jobs);
	lock_take(&f->b->lock);
	flight_end_locked(f, &jobs);
	lock_drop(&f->b->lock);
	settle_jobs(f->b, &jobs, &(struct settle){ .object = &id, .sample = o->sample });
}

int flight_lookup(struct broker *b, const struct key *key, bool nowait, struct object *o,
		  struct buf *bytes)
{
	struct err e;
	int r = store_get(b->o.store, key, 0, nowait ? STORE_NOWAIT : 0, o, bytes);

	if (r == STORE_OK || r == STORE_AGAIN)
		return r;
	buf_clear(bytes);
	if (unstored_lookup(b, key, bytes) == 0 &&
	    object_decode(bytes->data, bytes->len, key, 0, o, &e) == 0)
		return STORE_OK;
	return STORE_MISS;
}

static bool flight_look(struct flight *f, bool nowait)
{
	struct object o = { 0 };
	struct buf bytes = BUF_INIT(OBJECT_MAX);
	int r = flight_lookup(f->b, &f->key, nowait, &o, &bytes);

	if (r == STORE_OK)
		flight_hit(f, &o, &bytes);
	else if (r != STORE_AGAIN && split_only(f))
		flight_call(f);
	object_done(&o);
	buf_done(&bytes);
	return r != STORE_AGAIN;
}

static void flight_look_run(struct pool_task *t)
{
	struct flight *f = CONTAINER_OF(t, struct flight, task);

	(void)flight_look(f, false);
	flight_unref(f);
}

static void flight_start(struct flight *f)
{
	if (f->mode == REQUEST_CACHE_BYPASS || f->mode == REQUEST_CACHE_REFRESH) {
		flight_call(f);
	} else if (!flight_look(f, true)) {
		f->task.run = flight_look_run;
		lock_take(&f->b->lock);
		f->refs++;
		lock_drop(&f->b->lock);
		if (pool_post(f->b->pool, &f->task) < 0)
			flight_look_run(&f->task);
	}
}

void flight_join(struct broker *b, struct job *j)
{
	bool shared = j->terms.cache == REQUEST_CACHE_USE || j->terms.cache == REQUEST_CACHE_ONLY;
	struct flight *f = NULL, *made;
	struct err e = { 0 };

	lock_take(&b->lock);
	if (shared)
		f = flight_find_locked(b, &j->body.key);
	if (f)
		flight_add_locked(f, j);
	lock_drop(&b->lock);
	if (f)
		return;
	made = flight_new(b, j);
	if (!made) {
		err_sys(&e, ENOMEM, "the request could not be started");
		job_end(b, j, BROKER_FAILED, &e);
		return;
	}
	lock_take(&b->lock);
	f = shared ? flight_find_locked(b, &j->body.key) : NULL; /* somebody was faster meanwhile */
	if (!f && shared && map_add(&b->flights, &made->by_key, flight_hash(&made->key)) == 0)
		made->tabled = true;
	flight_add_locked(f ? f : made, j);
	lock_drop(&b->lock);
	if (!f)
		flight_start(made);
	flight_unref(made);
}
