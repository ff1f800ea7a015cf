/* purchase.c - a flight's call: what comes while it runs, and the answer that is kept */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/mono.h"
#include "core/price.h"
#include "core/vectors.h"
#include "jobs/flight.h"
#include "jobs/inside.h"
#include "jobs/sweep.h"

#include "base/banned.h"

/* ---- the call: callbacks on the net thread ---- */

/* the streams of everybody who waits; *out_n of them, each with a reference */
static struct stream **streams_locked(struct flight *f, size_t *out_n)
{
	struct stream **list;
	size_t n = 0;

	LIST_EACH(l, &f->jobs)
		n += LIST_ENTRY(l, struct job, in_flight)->stream != NULL;
	*out_n = 0;
	list = n ? calloc(n, sizeof(struct stream *)) : NULL;
	if (!list)
		return NULL;
	LIST_EACH(l, &f->jobs) {
		struct job *j = LIST_ENTRY(l, struct job, in_flight);

		if (j->stream)
			list[(*out_n)++] = stream_ref(j->stream);
	}
	return list;
}

static void on_started(void *arg, unsigned attempt)
{
	struct flight *f = arg;
	uint64_t now = mono_ns();

	LOCK_SCOPE(&f->b->lock);
	f->attempts = attempt;
	LIST_EACH(l, &f->jobs) {
		struct job *j = LIST_ENTRY(l, struct job, in_flight);

		job_set_state_locked(f->b, j, BROKER_RUNNING);
		j->step = STEP_CALL;
		if (!j->times.sent_mono)
			j->times.sent_mono = now;
	}
}

static void first_text_locked(struct flight *f)
{
	uint64_t now = mono_ns();

	LIST_EACH(l, &f->jobs) {
		struct job *j = LIST_ENTRY(l, struct job, in_flight);

		j->step = STEP_STREAM;
		if (!j->times.first_mono)
			j->times.first_mono = now;
	}
}

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct flight *f = arg;
	struct stream **list;
	size_t count = 0;

	(void)choice;
	lock_take(&f->b->lock);
	if (!f->sofar.len)
		first_text_locked(f);
	(void)buf_add(&f->sofar, p,
		      n); /* over the maximum: infer fails the call by the same limit */
	list = streams_locked(f, &count);
	lock_drop(&f->b->lock);
	for (size_t i = 0; i < count; i++) {
		(void)stream_append(list[i], p, n); /* a failed append fails the stream itself */
		stream_unref(list[i]);
	}
	free(list);
}

static void on_restart(void *arg, unsigned attempt, const struct err *why)
{
	struct flight *f = arg;
	struct stream **list;
	size_t count = 0;

	(void)attempt;
	(void)why;
	lock_take(&f->b->lock);
	buf_clear(&f->sofar);
	list = streams_locked(f, &count);
	lock_drop(&f->b->lock);
	for (size_t i = 0; i < count; i++) {
		stream_restart(list[i]);
		stream_unref(list[i]);
	}
	free(list);
}

static void on_failed(void *arg, const struct err *e)
{
	struct flight *f = arg;

	flight_fail(f, e);
	flight_unref(f);
}

/* ---- the answer: on the pool ---- */

static bool may_store(struct flight *f, const struct answer *a)
{
	bool user_max = false;

	if (f->mode == REQUEST_CACHE_BYPASS)
		return false;
	if (strcmp(a->finish_reason, "stop") == 0 || strcmp(a->finish_reason, "tool_calls") == 0)
		return true;
	if (strcmp(a->finish_reason, "length") != 0)
		return false;
	lock_take(&f->b->lock);
	LIST_EACH(l, &f->jobs)
		user_max |= LIST_ENTRY(l, struct job, in_flight)->terms.user_max_tokens;
	lock_drop(&f->b->lock);
	return user_max;
}

static int encode(struct flight *f, uint64_t ttl_s, struct buf *out)
{
	char call[KEY_HEX / 4 + 32];
	char hex[KEY_HEX + 1];
	uint64_t now = mono_real_ns();
	const char *backend = json_string_value(json_object_get(f->request, "backend"));
	struct object_parts p = {
		.key = &f->key,
		.index = 0,
		.created_real_ns = now,
		.ttl_s = ttl_s,
		.request = f->canon,
		.request_len = f->canon_len,
		.raw = buf_str(&f->answer->raw),
		.raw_len = f->answer->raw.len,
	};
	json_t *sample;
	int r;

	key_hex(&f->key, hex);
	(void)snprintf(call, sizeof(call), "%.16s-%llx", hex, (unsigned long long)now);
	sample = answer_sample(f->answer, backend ? backend : "", call);
	if (!sample)
		return -EINVAL;
	p.sample = sample;
	r = object_encode(&p, out);
	json_decref(sample);
	return r;
}

/* offers the object to the engine; -EEXIST: another daemon was first, *bytes are now the winner's */
static int offer(struct flight *f, const struct answers_id *id, uint64_t ttl_s, struct buf *bytes)
{
	struct broker *b = f->b;
	char name[ANSWERS_NAME_MAX];
	struct object winner = { 0 };
	struct buf won = BUF_INIT(OBJECT_MAX);
	int r;

	answers_name(id, name);
	if (f->mode == REQUEST_CACHE_REFRESH)
		(void)store_remove(b->o.store, &f->key, 0); /* failed: put says so */
	r = store_put(b->o.store, &(struct store_offer){ .key = &f->key,
							 .index = 0,
							 .bytes = bytes->data,
							 .len = bytes->len,
							 .ttl_s = ttl_s,
							 .dirfd = answers_dirfd(b->o.answers),
							 .name = name });
	if (r != STORE_EXISTS)
		return r;
	r = store_get(b->o.store, &f->key, 0, 0, &winner, &won);
	object_done(&winner);
	if (r != STORE_OK) {
		buf_done(&won);
		return r < 0 ? r : 0;
	}
	buf_done(bytes);
	*bytes = won;
	return -EEXIST;
}

static uint64_t flight_ttl(struct flight *f)
{
	double ttl = 0;

	lock_take(&f->b->lock);
	if (!list_empty(&f->jobs))
		ttl = LIST_ENTRY(f->jobs.next, struct job, in_flight)->terms.ttl_s;
	lock_drop(&f->b->lock);
	return ttl > 0 ? (uint64_t)ttl : 0;
}

/* an answer on its way to where it is kept; the first two are read while those who asked are there */
struct keeping {
	uint64_t ttl_s;
	bool may_store;
	bool direct;   /* in the engine only: no response names it yet */
	bool unstored; /* in answers/ only */
	bool pinned;
	struct answers_id id;
	struct buf bytes;
};

/* What asks bought needs no place in answers/ when the engine takes it: a file and two names less. */
static bool keep_direct(struct flight *f, struct keeping *k)
{
	if (!f->paid || !k->may_store || f->mode != REQUEST_CACHE_USE)
		return false;
	return store_put(f->b->o.store, &(struct store_offer){ .key = &f->key,
							       .index = 0,
							       .bytes = k->bytes.data,
							       .len = k->bytes.len,
							       .ttl_s = k->ttl_s,
							       .dirfd = -1 }) == STORE_OK;
}

/* pinned from before it is there until the commit that names it */
static int keep_answer(struct broker *b, struct keeping *k)
{
	int r = sweep_pin(b, &k->id.key);

	if (r < 0)
		return r;
	r = answers_put(b->o.answers, &k->id, k->bytes.data, k->bytes.len);
	if (r < 0)
		sweep_unpin(b, &k->id.key);
	else
		k->pinned = true;
	return r;
}

/* the object is made and lies in answers/ (and, when it may, in the store) */
static int keep(struct flight *f, struct keeping *k)
{
	struct broker *b = f->b;
	int r = encode(f, k->ttl_s, &k->bytes);

	k->direct = r == 0 && keep_direct(f, k);
	if (r == 0 && !k->direct)
		r = keep_answer(b, k);
	if (r == 0)
		fault_at("object");
	if (r < 0 || k->direct || !k->may_store)
		return r;
	r = offer(f, &k->id, k->ttl_s, &k->bytes);
	if (r == -EEXIST) {
		sweep_object(b, &k->id); /* ours; unless it is the same as the winner's */
		k->id = (struct answers_id){ .key = f->key };
		return answers_put(b->o.answers, &k->id, k->bytes.data, k->bytes.len);
	}
	k->unstored = r < 0;
	return 0;
}

static void flight_settle(struct flight *f, struct keeping *k)
{
	struct broker *b = f->b;
	struct object o = { 0 };
	struct list jobs;
	struct err e = { 0 };
	int r;

	list_init(&jobs);
	lock_take(&b->lock);
	flight_end_locked(f, &jobs);
	lock_drop(&b->lock);
	if (k->direct && list_empty(&jobs))
		return;
	r = object_decode(k->bytes.data, k->bytes.len, &f->key, 0, &o, &e);
	if (r == 0 && k->direct) /* somebody joined while it was stored */
		r = flight_adopt(b, &k->bytes, &k->id);
	k->pinned &= r < 0; /* settle_jobs takes it over */
	if (r == 0) {
		settle_jobs(b, &jobs,
			    &(struct settle){ .object = &k->id,
					      .sample = o.sample,
					      .answer = f->paid ? NULL : f->answer,
					      .streamed = &f->sofar,
					      .attempts = f->attempts,
					      .unstored = k->unstored });
	} else {
		if (!e.code)
			err_sys(&e, -r, "the answer could not be kept under the state directory");
		flight_fail_jobs(b, &jobs, &e);
	}
	object_done(&o);
}

/* What came for an embedding request must be vectors, one for each input, before anybody is told. */
static int take_embedding(struct flight *f, struct err *e)
{
	const json_t *input = json_object_get(f->request, "input");
	struct answer *a = f->answer;
	json_t *packed = NULL;
	int r;

	if (!check_is_embedding(f->request))
		return 0;
	r = vectors_pack(a->embedding, json_is_array(input) ? json_array_size(input) : 1, &packed,
			 e);
	if (r == -ENOMEM)
		return err_sys(e, ENOMEM, "the embedding could not be kept");
	if (r < 0)
		return r;
	json_decref(a->embedding);
	a->embedding = packed;
	if (!a->finish_reason)
		a->finish_reason = strdup("stop"); /* vectors have no other end */
	return a->finish_reason ? 0 : err_sys(e, ENOMEM, "the embedding could not be kept");
}

static void flight_store_run(struct pool_task *t)
{
	struct flight *f = CONTAINER_OF(t, struct flight, task);
	struct keeping k = { .ttl_s = flight_ttl(f),
			     .id = { .key = f->key },
			     .bytes = BUF_INIT(OBJECT_MAX) };
	struct err e = { 0 };
	int r = take_embedding(f, &e);

	if (r < 0) {
		e.attempts = f->attempts;
		flight_fail(f, &e);
		flight_unref(f);
		return;
	}
	k.may_store = may_store(f, f->answer);
	f->paid = settle_asks(f);
	r = keep(f, &k);
	if (r < 0) {
		err_sys(&e, -r,
			"the answer arrived but could not be stored under the state directory");
		e.attempts = f->attempts;
		flight_fail(f, &e);
	} else {
		flight_settle(f, &k);
	}
	if (k.pinned) { /* kept, and then not recorded */
		sweep_object(f->b, &k.id);
		sweep_unpin(f->b, &k.id.key);
	}
	buf_done(&k.bytes);
	flight_unref(f);
}

/* A tier that the provider sells at another price is asked for in its own words only. */
static bool usual_tier(const json_t *request)
{
	static const char *const names[] = { "service_tier", "serviceTier", "speed" };
	static const char *const usual[] = { "auto", "default", "standard", "standard_only" };
	const json_t *extra = json_object_get(request, "extra_body");

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *tier = json_string_value(json_object_get(extra, names[i]));
		bool known = !tier;

		for (size_t k = 0; tier && k < ARRAY_LEN(usual); k++)
			known |= strcmp(tier, usual[k]) == 0;
		if (!known)
			return false;
	}
	return true;
}

/* By the model that answered, else by the one that was asked; negative: not known. */
static double cost_of(const struct flight *f, const struct answer *a)
{
	const char *name = json_string_value(json_object_get(f->request, "backend"));
	const struct backend_config *be = infer_find(f->b->o.infer, name ? name : "");
	struct price_of of = { .model = a->model, .now_real_ns = mono_real_ns() };
	double usd;

	if (!be || be->free_of_charge)
		return be ? 0 : -1;
	if (!usual_tier(f->request))
		return -1;
	of.provider = be->provider;
	usd = price_cost(f->b->o.prices, &of, &a->usage);
	if (usd >= 0)
		return usd;
	of.model = json_string_value(json_object_get(f->request, "model"));
	return price_cost(f->b->o.prices, &of, &a->usage);
}

static void on_done(void *arg, struct answer **take_answers, unsigned attempts)
{
	struct flight *f = arg;
	struct answer *take_answer = take_answers[0]; /* one was asked for */

	fault_at("last-byte");
	take_answer->cost_usd = cost_of(f, take_answer);
	lock_take(&f->b->lock);
	f->answer = take_answer;
	f->attempts = attempts;
	f->calling = false;
	f->call = NULL;
	list_del(&f->in_orphans); /* paid for: it is stored whoever waits */
	LIST_EACH(l, &f->jobs)
		LIST_ENTRY(l, struct job, in_flight)->step = STEP_STORE;
	lock_drop(&f->b->lock);
	f->task.run = flight_store_run;
	if (pool_post(f->b->pool, &f->task) < 0)
		flight_store_run(
			&f->task); /* ending: better a slow net thread than a lost answer */
}

const struct infer_sink purchase_sink = { on_started, on_text, on_restart, on_done, on_failed };
