/* flight.c - who waits for a key's samples; one turn after another until all have them */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/bulk_line.h"
#include "jobs/deal.h"
#include "jobs/fallback.h"
#include "jobs/flight.h"
#include "jobs/gather.h"
#include "jobs/purchase.h"
#include "jobs/settle.h"
#include "jobs/sweep.h"

#include "base/banned.h"

static struct job *job_at(struct list *l)
{
	return LIST_ENTRY(l, struct job, in_flight);
}

/* the others neither look up nor share */
static bool is_shared(enum request_cache mode)
{
	return mode == REQUEST_CACHE_USE || mode == REQUEST_CACHE_ONLY;
}

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
	assert(list_empty(&f->jobs) && list_empty(&f->bought) && !f->tabled);
	json_decref(f->request);
	free(f->canon);
	free(f);
}

void flight_drop_locked(struct flight *f)
{
	assert(lock_held(&f->b->lock) && f->refs > 0);
	if (--f->refs == 0)
		flight_free(f);
}

void flight_unref(struct flight *f)
{
	LOCK_SCOPE(&f->b->lock);
	flight_drop_locked(f);
}

static void flight_run(struct pool_task *t);

static struct flight *flight_new(struct broker *b, const struct job *j)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->b = b;
	f->refs = 1;
	f->task.run = flight_run;
	f->key = j->body.key;
	f->mode = j->terms.cache;
	f->request = json_deep_copy(j->body.request); /* a count shared by threads is no barrier */
	f->canon = str_dup_n(j->body.canon, j->body.canon_len);
	f->canon_len = j->body.canon_len;
	list_init(&f->jobs);
	list_init(&f->settling);
	list_init(&f->bought);
	list_init(&f->gather.link);
	if (f->canon && f->request)
		return f;
	json_decref(f->request);
	free(f->canon);
	free(f);
	return NULL;
}

/* ---- coming and leaving ---- */

static void flight_add_locked(struct flight *f, struct job *j)
{
	j->flight = f;
	j->step = STEP_JOIN;
	job_ref(j);
	f->refs++;
	list_append(&f->jobs, &j->in_flight);
	gather_add_locked(f, j);
}

/* nobody is here and nothing is going on: it is no longer found */
static void flight_end_locked(struct flight *f)
{
	if (!f->tabled || f->busy || !list_empty(&f->jobs) || !list_empty(&f->settling) ||
	    !list_empty(&f->bought))
		return;
	gather_close_locked(f);
	map_del(&f->b->flights, &f->by_key);
	f->tabled = false;
	flight_drop_locked(f);
}

void flight_settled(struct flight *f)
{
	LOCK_SCOPE(&f->b->lock);
	flight_end_locked(f);
}

void flight_take_locked(struct flight *f, struct job *j)
{
	assert(j->flight == f && f->refs > 1);
	j->flight = NULL;
	list_del(&j->in_flight);
	f->refs--;
}

void flight_leave_locked(struct broker *b, struct job *j, bool grace)
{
	struct flight *f = j->flight;

	assert(lock_held(&b->lock));
	if (!f)
		return;
	f->refs++;
	flight_take_locked(f, j);
	assert(j->refs > 1);
	j->refs--;
	purchase_unwanted_locked(f, grace && f->tabled);
	flight_end_locked(f);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a reference is held */
	flight_drop_locked(f);
}

/* ---- who waits for what ---- */

static int by_acceptance(const void *a, const void *b)
{
	const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;

	if (x->times.accepted_mono != y->times.accepted_mono)
		return x->times.accepted_mono < y->times.accepted_mono ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

struct job **flight_takers(struct flight *f, uint32_t index, size_t *out_n)
{
	struct job **v;
	size_t n = 0;

	*out_n = 0;
	lock_take(&f->b->lock);
	LIST_EACH(l, &f->jobs)
		n += picks_want(&job_at(l)->picks, index);
	v = n ? calloc(n, sizeof(struct job *)) : NULL;
	if (v)
		LIST_EACH(l, &f->jobs)
			if (picks_want(&job_at(l)->picks, index))
				v[(*out_n)++] = job_ref(job_at(l));
	lock_drop(&f->b->lock);
	if (v)
		qsort(v, *out_n, sizeof(struct job *), by_acceptance);
	return v;
}

/* ---- failing ---- */

void flight_fail_job(struct flight *f, struct job *j, const struct err *e)
{
	bool mine;

	lock_take(&f->b->lock);
	mine = j->flight == f;
	if (mine)
		flight_take_locked(f, j);
	if (mine && e->kind != ERR_ENDING)
		purchase_unwanted_locked(f, true); /* the rest of what it wanted */
	lock_drop(&f->b->lock);
	if (!mine)
		return;
	/* with ERR_ENDING it is no outcome: it is done again after the next mount */
	if (e->kind != ERR_ENDING && !fallback_take(f->b, j, e))
		job_end(f->b, j, e->kind == ERR_CANCELLED ? BROKER_CANCELLED : BROKER_FAILED, e);
	job_unref(f->b, j); /* the list's */
}

void flight_fail_index(struct flight *f, uint32_t index, const struct err *e)
{
	size_t n;
	struct job **v = flight_takers(f, index, &n);

	for (size_t i = 0; i < n; i++) {
		flight_fail_job(f, v[i], e);
		job_unref(f->b, v[i]);
	}
	free(v);
}

/* ---- the store ---- */

struct link_arg {
	struct broker *b;
	const struct answers_id *id;
};

static int link_from_store(void *arg, int dirfd, const char *name)
{
	const struct link_arg *l = arg;

	return store_export(l->b->o.store, &l->id->key, l->id->index, dirfd, name);
}

int flight_adopt(struct broker *b, const struct buf *bytes, struct answers_id *id)
{
	struct link_arg l = { b, id };
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

int flight_lookup(struct broker *b, const struct answers_id *id, bool nowait, struct object *o,
		  struct buf *bytes)
{
	struct err e;
	int r = store_get(b->o.store, &id->key, id->index, nowait ? STORE_NOWAIT : 0, o, bytes);

	if (r == STORE_OK || r == STORE_AGAIN)
		return r;
	buf_clear(bytes);
	if (unstored_lookup(b, &id->key, id->index, bytes) == 0 &&
	    object_decode(bytes->data, bytes->len, &id->key, id->index, o, &e) == 0)
		return STORE_OK;
	return STORE_MISS;
}

static int give_stored(struct broker *b, struct job *j, const struct object *o,
		       const struct buf *bytes, struct answers_id *id)
{
	struct gift g = { .id = id, .sample = o->sample, .kept = true };
	int r = flight_adopt(b, bytes, id);

	if (r < 0)
		return r;
	if (!picks_give(b, j, &g))
		sweep_unpin(b, &id->key);
	else if (j->picks.v[0].index == id->index)
		settle_stream(b, j, o->sample, true);
	return 0;
}

int flight_look_job(struct broker *b, struct job *j, bool nowait)
{
	int r = STORE_OK;

	for (unsigned i = 0; i < j->picks.n && r == STORE_OK; i++) {
		struct answers_id id = { .key = j->body.key, .index = j->picks.v[i].index };
		struct buf bytes = BUF_INIT(OBJECT_MAX);
		struct object o = { 0 };

		if (j->picks.v[i].have)
			continue;
		r = flight_lookup(b, &id, nowait, &o, &bytes);
		if (r == STORE_OK)
			r = give_stored(b, j, &o, &bytes, &id);
		object_done(&o);
		buf_done(&bytes);
	}
	return r;
}

/* one index for all who wait for it */
static int look_index(struct flight *f, uint32_t index, bool nowait)
{
	struct answers_id id = { .key = f->key, .index = index };
	struct buf bytes = BUF_INIT(OBJECT_MAX);
	struct object o = { 0 };
	struct job **v;
	struct err e = { 0 };
	size_t n = 0;
	int r = flight_lookup(f->b, &id, nowait, &o, &bytes);

	v = r == STORE_OK ? flight_takers(f, index, &n) : NULL;
	for (size_t i = 0; i < n; i++) {
		int k = v[i]->id ? give_stored(f->b, v[i], &o, &bytes, &id) : 0;

		if (k < 0) {
			err_sys(&e, -k,
				"the cached answer could not be kept under the state directory");
			flight_fail_job(f, v[i], &e);
		} else if (!v[i]->id) {
			settle_ask(f->b, v[i], o.sample, false);
		}
		job_unref(f->b, v[i]);
	}
	free(v);
	object_done(&o);
	buf_done(&bytes);
	return r;
}

enum { LOOK_NOWAIT_MAX = 16 }; /* each may read a file; more is work for the pool */

static void note_missed(struct flight *f, uint32_t index)
{
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->jobs)
		picks_missed(&job_at(l)->picks, index);
}

/* looks up what is wanted and not being bought; what is not stored is left in *missing. STORE_AGAIN: not
 * finished */
static int look(struct flight *f, bool nowait, struct deal_list *missing)
{
	size_t kept = 0;

	if (deal_missing(f, missing) < 0)
		return STORE_AGAIN;
	for (size_t i = 0; i < missing->n; i++) {
		struct deal_want *w = &missing->v[i];
		int r = w->looked || !is_shared(f->mode) ? STORE_MISS : STORE_AGAIN;

		if (r == STORE_AGAIN && (!nowait || i < LOOK_NOWAIT_MAX))
			r = look_index(f, w->index, nowait);
		if (r == STORE_AGAIN)
			return r;
		if (r == STORE_OK)
			continue;
		if (!w->looked && is_shared(f->mode))
			note_missed(f, w->index);
		missing->v[kept++] = *w;
	}
	missing->n = kept;
	return STORE_OK;
}

/* ---- a turn ---- */

static bool is_full(const struct job *j)
{
	return j->id && picks_full(&j->picks);
}

static void settle_full(struct flight *f)
{
	struct list full;

	list_init(&full);
	lock_take(&f->b->lock);
	LIST_EACH_SAFE(l, tmp, &f->jobs) {
		struct job *j = job_at(l);

		if (!is_full(j))
			continue;
		flight_take_locked(f, j);
		j->step = STEP_STORE;
		list_append(&full, &j->in_flight);
	}
	lock_drop(&f->b->lock);
	if (!list_empty(&full))
		settle_jobs(f, &full);
}

static bool must_not_buy(const struct job *j)
{
	if (j->line && !bulk_line_buys(j->line))
		return true;
	return j->terms.cache == REQUEST_CACHE_ONLY && j->picks.v;
}

/* requests that must not be sent leave here, when something of theirs is neither stored nor on its way */
static void fail_only(struct flight *f, const struct deal_list *missing)
{
	struct err e = { 0 };

	err_set(&e, ERR_CACHE_ONLY,
		"the answer is not in the cache and cache mode \"only\" never sends; ask with "
		"\"cache\":\"use\" to buy it");
	for (size_t i = 0; i < missing->n; i++) {
		size_t n;
		struct job **v = flight_takers(f, missing->v[i].index, &n);

		for (size_t k = 0; k < n; k++) {
			if (must_not_buy(v[k]))
				flight_fail_job(f, v[k], &e);
			job_unref(f->b, v[k]);
		}
		free(v);
	}
}

/* what only they wanted must not be bought; what others have come to want since is looked up first, in a turn of
 * its own */
static void drop_unwanted(struct flight *f, struct deal_list *missing)
{
	size_t kept = 0;

	LOCK_SCOPE(&f->b->lock);
	for (size_t i = 0; i < missing->n; i++) {
		bool wanted = false;

		LIST_EACH(l, &f->jobs)
			wanted |= picks_want(&job_at(l)->picks, missing->v[i].index);
		if (wanted)
			missing->v[kept++] = missing->v[i];
	}
	missing->n = kept;
}

static bool window_is_open(struct flight *f)
{
	LOCK_SCOPE(&f->b->lock);
	return f->gather.until_mono != 0;
}

/* false: the rest is to be done where one may wait */
static bool step(struct flight *f, bool may_wait)
{
	struct deal_list missing = { 0 };
	bool open, done;

	if (!purchase_land_all(f, may_wait))
		return false;
	open = window_is_open(f);
	deal_jobs(f, open);
	done = look(f, !may_wait, &missing) != STORE_AGAIN;
	settle_full(f);
	if (done && missing.n) {
		fail_only(f, &missing);
		drop_unwanted(f, &missing);
		if (!open)
			purchase_all(f, &missing);
	}
	deal_list_done(&missing);
	return done;
}

static bool turn_begin(struct flight *f)
{
	LOCK_SCOPE(&f->b->lock);
	f->again = f->busy;
	if (f->again)
		return false;
	f->busy = true;
	return true;
}

static bool turn_end(struct flight *f, bool stop)
{
	bool again;

	LOCK_SCOPE(&f->b->lock);
	again = f->again;
	f->again = false;
	if (again && !stop)
		return true;
	f->busy = false;
	flight_end_locked(f);
	return again;
}

/* the caller has a reference */
static void turn(struct flight *f, bool may_wait)
{
	bool done, again;

	if (!turn_begin(f))
		return;
	do {
		done = step(f, may_wait);
		again = turn_end(f, !may_wait);
	} while (again && may_wait);
	if (!done || again)
		flight_poke(f);
}

static void flight_run(struct pool_task *t)
{
	struct flight *f = CONTAINER_OF(t, struct flight, task);

	lock_take(&f->b->lock);
	f->posted = false;
	lock_drop(&f->b->lock);
	turn(f, true);
	flight_unref(f);
}

void flight_poke(struct flight *f)
{
	bool post;

	lock_take(&f->b->lock);
	post = !f->posted;
	if (post)
		f->refs++;
	f->posted = true;
	lock_drop(&f->b->lock);
	if (post && pool_post(f->b->pool, &f->task) < 0)
		flight_run(&f->task); /* ending: better a slow thread than a lost answer */
}

/* ---- joining ---- */

static int deal_plain(struct job *j)
{
	if (j->picks.v || (j->terms.ns && j->terms.cache != REQUEST_CACHE_BYPASS))
		return 0;
	return picks_deal_first(&j->picks, (unsigned)j->terms.n);
}

/* an equal request that is being answered already needs no turn: ten thousand may wait for one call */
static bool shared_locked(struct flight *f, struct job *j)
{
	return j->picks.n == 1 && !j->picks.offered && !f->gather.until_mono &&
	       purchase_of_locked(f, j->picks.v[0].index) != NULL;
}

static struct flight *join_locked(struct broker *b, struct job *j, struct flight *take_made,
				  bool *out_served)
{
	bool shared = is_shared(j->terms.cache);
	struct flight *f = shared ? flight_find_locked(b, &j->body.key) : NULL;

	if (!f && !take_made)
		return NULL;
	if (!f) {
		f = take_made;
		if (shared && map_add(&b->flights, &f->by_key, flight_hash(&f->key)) == 0) {
			f->tabled = true;
			f->refs++;
		}
	}
	f->refs++;
	flight_add_locked(f, j);
	*out_served = shared_locked(f, j);
	if (j->picks.v)
		purchase_joined_locked(f, j);
	return f;
}

void flight_join(struct broker *b, struct job *j)
{
	struct flight *f = NULL, *made = NULL;
	struct err e = { 0 };
	bool served = false;
	int r = deal_plain(j);

	if (r == 0) {
		lock_take(&b->lock);
		f = join_locked(b, j, NULL, &served);
		lock_drop(&b->lock);
		made = f ? NULL : flight_new(b, j);
	}
	if (!f && made) {
		lock_take(&b->lock);
		f = join_locked(b, j, made, &served);
		lock_drop(&b->lock);
	}
	if (!f) {
		err_sys(&e, ENOMEM, "the request could not be started");
		job_end(b, j, BROKER_FAILED, &e);
		return;
	}
	if (!served)
		turn(f, false);
	flight_unref(f);
	if (made)
		flight_unref(made);
}
