/* hand.c - see hand.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/str.h"
#include "hand.h"
#include "jobs/land.h"
#include "jobs/purchase.h"

/* beyond 1000 tokens of input everything is dearer: parts of a call have the price of the whole */
static const char list[] =
	"{\"as_of\":\"2026-01-01\",\"models\":[{\"provider\":\"p\",\"model\":\"m\",\"input\":3,"
	"\"output\":15,\"cached_input\":0.3,\"batch_discount\":0.5,\"long_context\":{"
	"\"threshold_input_tokens\":1000,\"input\":6,\"output\":22.5}}]}";

static void need(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "hand: %s\n", what);
	abort();
}

static void fly(struct hand *h, enum request_cache mode, const char *request)
{
	struct flight *f = calloc(1, sizeof(*f));

	need(f != NULL, "no memory");
	f->b = h->b;
	f->refs = 1;
	f->mode = mode;
	f->request = json_loads(request, 0, NULL);
	f->canon = str_dup_n(request, strlen(request));
	f->canon_len = strlen(request);
	need(f->request && f->canon && key_of(f->canon, f->canon_len, &f->key) == 0, "flight");
	list_init(&f->jobs);
	list_init(&f->settling);
	list_init(&f->bought);
	list_init(&f->gather.link);
	h->flight = f;
}

struct hand *hand_open(enum request_cache mode, const char *request)
{
	struct hand *h = calloc(1, sizeof(*h));
	struct err e;

	need(h && fixture_open(&h->f) == 0, "broker");
	need(price_parse(list, strlen(list), &h->prices, &e) == 0, "prices");
	h->f.backends[0].provider = (char *)(uintptr_t) "p";
	h->f.backends[0].free_of_charge = false;
	h->f.options.prices = h->prices;
	fixture_reopen(&h->f, NULL);
	h->b = h->f.broker;
	fly(h, mode, request ? request : HAND_REQUEST);
	return h;
}

void hand_close(struct hand *h)
{
	for (size_t i = 0; i < h->n; i++) {
		struct job *j = h->jobs[i];
		bool flies;

		lock_take(&h->b->lock);
		flies = j->flight != NULL;
		if (flies)
			flight_take_locked(h->flight, j);
		if (j->id && job_by_id_locked(h->b, j->id) == j)
			job_untable_locked(h->b, j);
		lock_drop(&h->b->lock);
		if (flies)
			job_unref(h->b, j);
		job_unref(h->b, j);
	}
	flight_unref(h->flight);
	fixture_close(&h->f);
	price_free(h->prices);
	free(h);
}

struct job *hand_job(struct hand *h, const char *path, const char *ns, unsigned n)
{
	struct ledger_change put = { .op = LEDGER_OP_PUT };
	struct job *j = job_new();

	need(j && h->n < ARRAY_LEN(h->jobs), "job");
	h->jobs[h->n++] = j;
	j->body.key = j->body.asked = h->flight->key;
	j->body.request = json_deep_copy(h->flight->request);
	j->body.canon = str_dup_n(h->flight->canon, h->flight->canon_len);
	j->body.canon_len = h->flight->canon_len;
	j->terms.n = (int)n;
	j->terms.cache = h->flight->mode;
	j->terms.ns = ns ? str_dup_n(ns, strlen(ns)) : NULL;
	j->terms.backend = str_dup_n("echo", 4);
	j->terms.model = str_dup_n("m", 1);
	j->times.accepted_mono = h->n;
	if (!path)
		return j;
	j->id = ledger_next_id(h->f.ledger);
	j->root = str_dup_n("", 0);
	j->path = str_dup_n(path, strlen(path));
	j->suffix = str_dup_n(".json", 5);
	put.row = (struct ledger_row){ .id = j->id,
				       .state = LEDGER_ACCEPTED,
				       .root = j->root,
				       .path = j->path,
				       .suffix = j->suffix,
				       .has_key = true,
				       .key = j->body.key,
				       .n = (int)n,
				       .envelope = (char *)(uintptr_t) "{\"backend\":\"echo\","
								       "\"model\":\"m\"}",
				       .accepted_ns = 1 };
	need(hand_post(h, &put) == 0, "row");
	lock_take(&h->b->lock);
	need(job_table_locked(h->b, j, false) == 0, "table");
	lock_drop(&h->b->lock);
	return j;
}

struct job *hand_join(struct hand *h, const char *path, const char *ns, unsigned n,
		      const uint32_t *indices)
{
	struct job *j = hand_job(h, path, ns, n);

	need(picks_deal(&j->picks, indices, n) == 0, "deal");
	lock_take(&h->b->lock);
	j->flight = h->flight;
	job_ref(j);
	h->flight->refs++;
	list_append(&h->flight->jobs, &j->in_flight);
	lock_drop(&h->b->lock);
	return j;
}

struct answer *hand_answer(const char *text, const char *end, int64_t input, int64_t output)
{
	struct answer *a = answer_new();

	need(a && buf_add(&a->text, text, strlen(text)) == 0, "answer");
	a->finish_reason = end ? str_dup_n(end, strlen(end)) : NULL;
	a->model = str_dup_n("m", 1);
	a->usage.input = input;
	a->usage.output = output;
	return a;
}

int64_t hand_nano(double usd)
{
	return usd < 0 ? -1 : (int64_t)(usd * 1e9 + 0.5);
}

int64_t hand_land(struct hand *h, const uint32_t *indices, struct answer **answers, unsigned n)
{
	uint32_t *copy = calloc(n, sizeof(*copy));
	struct purchase p = { .f = h->flight, .n = n, .attempts = 2, .answers = answers };
	double sum = 0;

	need(copy != NULL, "no memory");
	memcpy(copy, indices, n * sizeof(*copy));
	p.indices = copy;
	p.state = PURCHASE_ARRIVED;
	list_init(&p.link);
	land_answers(&p);
	for (unsigned i = 0; i < n; i++) {
		if (answers[i])
			sum = sum < 0 || answers[i]->cost_usd < 0 ? -1 : sum + answers[i]->cost_usd;
		answers[i] = answer_free(answers[i]);
	}
	free(copy);
	return hand_nano(sum);
}

struct posting {
	struct ledger_post post;
	struct lock lock;
	struct cond cond;
	bool over;
	int result;
};

static void posted(struct ledger_post *p, int result)
{
	struct posting *x = CONTAINER_OF(p, struct posting, post);

	LOCK_SCOPE(&x->lock);
	x->result = result;
	x->over = true;
	cond_signal(&x->cond);
}

int hand_post(struct hand *h, struct ledger_change *c)
{
	struct posting x = { .post = { .changes = c, .n_changes = 1, .done = posted } };

	lock_init(&x.lock, LOCK_NODE);
	cond_init(&x.cond);
	ledger_post(h->f.ledger, &x.post);
	lock_take(&x.lock);
	while (!x.over)
		cond_wait(&x.cond, &x.lock);
	lock_drop(&x.lock);
	cond_done(&x.cond);
	lock_done(&x.lock);
	return x.result;
}

void hand_give(struct hand *h, const char *ns, const char *id, const struct key *key,
	       const struct key *from, const uint32_t *indices, size_t n)
{
	struct ledger_given *v = calloc(n, sizeof(*v));
	struct ledger_change c = { .op = LEDGER_OP_GIVE };

	need(v != NULL, "no memory");
	for (size_t i = 0; i < n; i++)
		v[i] = (struct ledger_given){ .key = *from, .index = indices[i] };
	c.give = (struct ledger_given_change){
		.ns = ns, .request_id = id, .key = *key, .v = v, .n = n
	};
	need(hand_post(h, &c) == 0, "give");
	free(v);
}

bool hand_stored(struct hand *h, uint32_t index, char *out, size_t size)
{
	struct object o = { 0 };
	int r = store_get(h->f.store, &h->flight->key, index, 0, &o, NULL);
	const char *text = json_string_value(json_object_get(o.sample, "text"));

	if (out)
		(void)snprintf(out, size, "%s", r == STORE_OK && text ? text : "");
	object_done(&o);
	return r == STORE_OK;
}

bool hand_pinned(struct hand *h)
{
	LOCK_SCOPE(&h->b->sweeps.lock);
	return h->b->sweeps.pins.n != 0;
}
