/* land.c - what a purchase brought */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "core/price.h"
#include "core/vectors.h"
#include "jobs/check.h"
#include "jobs/keep.h"
#include "jobs/land.h"
#include "jobs/settle.h"
#include "jobs/sweep.h"

#include "base/banned.h"

#define CALL_ID_MAX (KEY_HEX / 4 + 32)

/* one call on its way ashore */
struct landing {
	struct purchase *p;
	char call_id[CALL_ID_MAX];
	unsigned came; /* samples */
	double input_usd;
	uint64_t ttl_s;
	bool paid; /* asks had it before it was kept, and were counted */
};

/* ---- prices ---- */

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

/* By the model that answered, else by the one that was asked. */
static double price(const struct flight *f, const char *model, const struct answer_usage *u,
		    bool batch)
{
	const char *name = json_string_value(json_object_get(f->request, "backend"));
	const struct backend_config *be = infer_find(f->b->o.infer, name ? name : "");
	struct price_of of = { .model = model, .now_real_ns = mono_real_ns(), .batch = batch };
	double usd;

	if (!be || be->free_of_charge)
		return be ? 0 : -1;
	if (!usual_tier(f->request))
		return -1;
	of.provider = be->provider;
	usd = price_cost(f->b->o.prices, &of, u);
	if (usd >= 0)
		return usd;
	of.model = json_string_value(json_object_get(f->request, "model"));
	return price_cost(f->b->o.prices, &of, u);
}

static double cost_of(const struct flight *f, const char *model, const struct answer_usage *u)
{
	return price(f, model, u, false);
}

double land_batch_cost(const struct flight *f, const struct answer *a)
{
	return price(f, a->model, &a->usage, true);
}

static void add(int64_t *sum, int64_t n)
{
	*sum = n < 0 || *sum < 0 ? -1 : *sum + n;
}

static void add_usage(struct answer_usage *sum, const struct answer_usage *u)
{
	add(&sum->input, u->input);
	add(&sum->cached_input, u->cached_input);
	add(&sum->cache_write, u->cache_write);
	add(&sum->output, u->output);
	add(&sum->reasoning, u->reasoning);
}

/* The price of a call depends on all of its input: every sample is priced as a part of the whole, and the first
 * one has what is left, so that the sum is exact. */
static double price_all(const struct purchase *p, struct answer **v, unsigned n)
{
	struct answer_usage whole = v[0]->usage, part;
	double total, input, others = 0;

	for (unsigned i = 1; i < n; i++)
		add_usage(&whole, &v[i]->usage);
	total = cost_of(p->f, v[0]->model, &whole);
	part = whole;
	part.output = part.reasoning = 0;
	input = n > 1 ? cost_of(p->f, v[0]->model, &part) : 0;
	for (unsigned i = 1; i < n; i++) {
		part.output = v[i]->usage.output;
		part.reasoning = v[i]->usage.reasoning;
		v[i]->cost_usd = total < 0 || input < 0 ? -1
							: cost_of(p->f, v[0]->model, &part) - input;
		if (v[i]->cost_usd < 0 && total >= 0)
			v[i]->cost_usd = 0;
		others += v[i]->cost_usd;
	}
	v[0]->cost_usd = total < 0 ? -1 : total - others;
	return input > 0 ? input : 0;
}

/* ---- what came ---- */

/* the answers that there are, in order, at the front; how many */
static unsigned close_ranks(struct purchase *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++) {
		struct answer *a = p->answers[i];

		p->answers[i] = NULL;
		if (a)
			p->answers[n++] = a;
	}
	return n;
}

/* What came for an embedding request must be vectors, one for each input, before anybody is told. */
int land_embedding(const struct flight *f, struct answer *a, struct err *e)
{
	const json_t *input = json_object_get(f->request, "input");
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

static uint64_t ttl_of(struct flight *f)
{
	double ttl = 0;

	LOCK_SCOPE(&f->b->lock);
	if (!list_empty(&f->jobs))
		ttl = LIST_ENTRY(f->jobs.next, struct job, in_flight)->terms.ttl_s;
	return ttl > 0 ? (uint64_t)ttl : 0;
}

/* ---- giving ---- */

static bool is_first(const struct job *j, uint32_t index)
{
	return j->picks.v && j->picks.v[0].index == index;
}

/* false: the pin that it was given was not taken */
static bool give_one(struct landing *g, struct job *j, const struct keep *k, struct gift *gift)
{
	struct broker *b = g->p->f->b;

	if (j->id == 0) {
		settle_ask(b, j, k->sample, gift->bought);
		gift->bought = false;
		return false;
	}
	if (!picks_give(b, j, gift))
		return false; /* it was ended meanwhile: the next one is the buyer */
	gift->bought = false; /* the others have it from the cache */
	if (is_first(j, k->index))
		settle_stream(b, j, k->sample, false);
	return true;
}

/* Direct ones lie in the engine only; who joined meanwhile and has a name needs them in answers/. */
static int adopt_direct(struct flight *f, struct keep *k)
{
	int r = k->direct ? flight_adopt(f->b, &k->bytes, &k->id) : 0;

	k->direct &= r < 0;
	return r;
}

static void give_all(struct landing *g, struct keep *k, unsigned nth)
{
	struct flight *f = g->p->f;
	size_t n;
	struct job **v = flight_takers(f, k->index, &n);
	struct gift gift = { .id = &k->id,
			     .sample = k->sample,
			     .bought = !g->paid,
			     .duplicated = nth > 0,
			     .kept = k->stored || k->direct,
			     .attempts = nth == 0 ? g->p->attempts : 0,
			     .input_usd = g->input_usd };
	struct err e = { 0 };
	int r = n ? adopt_direct(f, k) : 0;

	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = sweep_pin(f->b, &k->id.key);
		if (r < 0) {
			err_sys(&e, -r, "the answer could not be kept under the state directory");
			flight_fail_job(f, v[i], &e);
		} else if (!give_one(g, v[i], k, &gift)) {
			sweep_unpin(f->b, &k->id.key);
		}
		job_unref(f->b, v[i]);
	}
	free(v);
}

/* A stream shows choices as they were numbered; when one is missing, those behind it have moved up, and what
 * the last ones have shown is another's. */
static void moved(struct landing *g, uint32_t index)
{
	struct flight *f = g->p->f;
	size_t n;
	struct job **v = flight_takers(f, index, &n);

	for (size_t i = 0; i < n; i++) {
		if (is_first(v[i], index) && v[i]->stream)
			stream_restart(v[i]->stream);
		job_unref(f->b, v[i]);
	}
	free(v);
}

static void land_one(struct landing *g, unsigned nth)
{
	struct purchase *p = g->p;
	struct flight *f = p->f;
	struct keep k = { .answer = p->answers[nth],
			  .index = p->indices[nth],
			  .call_id = g->call_id,
			  .ttl_s = g->ttl_s,
			  .may_store = keep_may_store(f, p->answers[nth]),
			  .direct = g->paid };
	struct err e = { .attempts = p->attempts };
	int r = land_embedding(f, p->answers[nth], &e);

	if (r == 0) {
		r = keep_answer(f, &k);
		if (r < 0)
			err_sys(&e, -r,
				"the answer arrived but could not be stored under the state "
				"directory");
	}
	if (r < 0) {
		e.attempts = p->attempts;
		flight_fail_index(f, k.index, &e);
		keep_done(&k);
		return;
	}
	give_all(g, &k, nth);
	if (!k.direct) {
		sweep_object(f->b, &k.id); /* nobody may have wanted it any more */
		sweep_unpin(f->b, &k.id.key);
	}
	keep_done(&k);
}

void land_answers(struct purchase *p)
{
	struct landing g = { .p = p, .ttl_s = ttl_of(p->f) };
	bool whole = true;
	char hex[KEY_HEX + 1];

	for (unsigned i = 0; i < p->n; i++)
		whole &= p->answers[i] != NULL;
	g.came = close_ranks(p);
	if (!g.came)
		return;
	key_hex(&p->f->key, hex);
	(void)snprintf(g.call_id, sizeof(g.call_id), "%.16s-%llx", hex,
		       (unsigned long long)mono_real_ns());
	g.input_usd = price_all(p, p->answers, g.came);
	for (unsigned i = 0; i < g.came; i++)
		p->answers[i]->call_samples = g.came;
	settle_count_call(p->f->b, p->answers, g.came, p->attempts, g.input_usd);
	for (unsigned i = 0; i < p->n && !whole; i++)
		moved(&g, p->indices[i]);
	if (p->n == 1)
		g.paid = settle_asks(p->f, p->answers[0]);
	for (unsigned i = 0; i < g.came; i++)
		land_one(&g, i);
}
