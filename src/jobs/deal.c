/* deal.c - which samples of a key a request is to have */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/str.h"
#include "jobs/deal.h"
#include "jobs/fallback.h"
#include "jobs/purchase.h"

#include "base/banned.h"

static struct job *job_at(struct list *l)
{
	return LIST_ENTRY(l, struct job, in_flight);
}

static const char *hand_id(const struct job *j)
{
	const char *root;

	return terms_hand_id(j, &root);
}

/* ---- numbers that are taken ---- */

struct taken {
	uint64_t *bits;
	size_t n;     /* words */
	uint32_t low; /* everything below is taken */
};

static int take(struct taken *t, uint32_t i)
{
	size_t word = i / 64;

	if (word >= t->n) {
		size_t n = word * 2 + 4;
		uint64_t *bits = realloc(t->bits, n * sizeof(*bits));

		if (!bits)
			return -ENOMEM;
		memset(bits + t->n, 0, (n - t->n) * sizeof(*bits));
		t->bits = bits;
		t->n = n;
	}
	t->bits[word] |= 1ULL << (i % 64);
	return 0;
}

static uint32_t next_free(struct taken *t)
{
	while (t->low / 64 < t->n && t->bits[t->low / 64] >> (t->low % 64) & 1)
		t->low++;
	return t->low;
}

/* ---- a namespace's share of a key, while jobs are dealt ---- */

struct share {
	struct flight *f;
	const char *ns;
	struct taken taken;
	bool begun; /* taken is known */
};

/* what other requests of the namespace have been dealt and not yet recorded */
static int take_dealt_locked(struct share *s, struct list *jobs)
{
	int r = 0;

	LIST_EACH(l, jobs) {
		const struct job *j = job_at(l);

		if (!j->terms.ns || j->picks.offered || strcmp(j->terms.ns, s->ns) != 0)
			continue;
		for (unsigned i = 0; i < j->picks.n && r == 0; i++)
			r = take(&s->taken, j->picks.v[i].index);
	}
	return r;
}

static int share_begin(struct share *s)
{
	struct flight *f = s->f;
	uint32_t *used = NULL;
	size_t n = 0;
	int r;

	lock_take(
		&f->b->lock); /* before the ledger: what is recorded meanwhile is in one of them */
	r = take_dealt_locked(s, &f->jobs);
	if (r == 0)
		r = take_dealt_locked(s, &f->settling);
	lock_drop(&f->b->lock);
	if (r == 0)
		r = ledger_given_used(f->b->o.ledger, s->ns, &f->key, &used, &n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = take(&s->taken, used[i]);
	free(used);
	s->begun = r == 0;
	return r;
}

/* ---- one job ---- */

/* what request j had before: indices of its own, malloc'd; at most max */
static int had_before(struct broker *b, const struct job *j, const struct key *key, uint32_t **out,
		      unsigned *out_n)
{
	struct ledger_given *v = NULL;
	size_t n = 0;
	int r = ledger_given(b->o.ledger, j->terms.ns, key, hand_id(j), &v, &n);
	uint32_t *indices;

	if (r < 0)
		return r;
	if (n > (size_t)j->terms.n)
		n = (size_t)j->terms.n;
	indices = calloc((size_t)j->terms.n, sizeof(*indices));
	if (!indices)
		r = -ENOMEM;
	*out_n = 0;
	for (size_t i = 0; i < n && r == 0; i++)
		if (key_equal(&v[i].key, key))
			indices[(*out_n)++] = v[i].index;
	free(v);
	*out = indices;
	return r;
}

/* another request with the same id that is not recorded yet: they have the same samples */
static void had_by_twin(struct flight *f, const struct job *j, uint32_t *indices, unsigned *n)
{
	struct list *lists[] = { &f->jobs, &f->settling };

	LOCK_SCOPE(&f->b->lock);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		LIST_EACH(l, lists[i]) {
			const struct job *t = job_at(l);

			if (t == j || !t->picks.v || t->picks.offered || !t->terms.ns ||
			    strcmp(t->terms.ns, j->terms.ns) != 0 ||
			    strcmp(hand_id(t), hand_id(j)) != 0)
				continue;
			for (unsigned k = *n; k < t->picks.n && k < (unsigned)j->terms.n; k++)
				indices[(*n)++] = t->picks.v[k].index;
		}
	}
}

static int deal_locked(struct broker *b, struct job *j, const uint32_t *indices)
{
	int r;

	LOCK_SCOPE(&b->lock);
	r = picks_deal(&j->picks, indices, (unsigned)j->terms.n);
	if (r == 0 && j->flight)
		purchase_joined_locked(j->flight, j);
	return r;
}

/* ---- what a batch dealt, before the request was in the flight ---- */

static bool is_taken(const struct taken *t, uint32_t i)
{
	return i / 64 < t->n && t->bits[i / 64] >> (i % 64) & 1;
}

/* The request's own, from before, are not somebody else's. */
static bool still_free(const struct share *s, const struct picks *p, const uint32_t *own,
		       unsigned n_own)
{
	for (unsigned i = 0; i < p->n; i++)
		if ((i >= n_own || own[i] != p->v[i].index) && is_taken(&s->taken, p->v[i].index))
			return false;
	return true;
}

/* true: j has what it was offered; false: it must be dealt anew, for another request was faster */
static int take_offer(struct share *s, struct job *j, const uint32_t *own, unsigned n_own)
{
	struct broker *b = s->f->b;
	struct picks gone = { 0 };
	int r = 0;

	if (still_free(s, &j->picks, own, n_own)) {
		for (unsigned i = 0; i < j->picks.n && r == 0; i++)
			r = take(&s->taken, j->picks.v[i].index);
		lock_take(&b->lock);
		j->picks.offered = false;
		purchase_joined_locked(s->f, j);
		lock_drop(&b->lock);
		return r < 0 ? r : true;
	}
	lock_take(&b->lock);
	gone = j->picks;
	j->picks = (struct picks){ 0 };
	lock_drop(&b->lock);
	picks_done(b, &s->f->key, &gone);
	return false;
}

/* 0, or -ENOENT: it must wait for the end of the window */
static int deal_one(struct share *s, struct job *j, bool only_recorded)
{
	struct flight *f = s->f;
	uint32_t *indices = NULL;
	unsigned n = 0;
	int r = had_before(f->b, j, &f->key, &indices, &n);

	if (r == 0 && j->picks.offered)
		r = take_offer(s, j, indices, n);
	if (r > 0) {
		free(indices);
		return 0;
	}
	if (r == 0 && n < (unsigned)j->terms.n && only_recorded)
		r = -ENOENT;
	if (r == 0)
		had_by_twin(f, j, indices, &n);
	for (; r == 0 && n < (unsigned)j->terms.n; n++) {
		indices[n] = next_free(&s->taken);
		r = take(&s->taken, indices[n]);
	}
	if (r == 0)
		r = deal_locked(f->b, j, indices);
	free(indices);
	return r;
}

/* ---- all of a flight ---- */

static int by_namespace_and_id(const void *a, const void *b)
{
	const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
	int r = strcmp(x->terms.ns, y->terms.ns);

	if (r == 0)
		r = str_natural_cmp(hand_id(x), hand_id(y));
	return r ? r : x->id < y->id ? -1 : x->id > y->id;
}

static bool is_undealt(const struct job *j)
{
	return !j->picks.v || j->picks.offered;
}

static struct job **undealt(struct flight *f, size_t *out_n)
{
	struct job **v;
	size_t n = 0;

	*out_n = 0;
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->jobs)
		n += is_undealt(job_at(l));
	v = n ? calloc(n, sizeof(struct job *)) : NULL;
	if (v)
		LIST_EACH(l, &f->jobs)
			if (is_undealt(job_at(l)))
				v[(*out_n)++] = job_ref(job_at(l));
	return v;
}

static void deal_failed(struct flight *f, struct job *j, int r)
{
	struct err e = { 0 };

	err_sys(&e, -r, "the samples of the namespace could not be read from the ledger");
	flight_fail_job(f, j, &e);
}

void deal_jobs(struct flight *f, bool only_recorded)
{
	size_t n;
	struct job **v = undealt(f, &n);
	struct share s = { .f = f };
	int r = 0;

	if (n > 1)
		qsort(v, n, sizeof(struct job *), by_namespace_and_id);
	for (size_t i = 0; i < n; i++) {
		if (!s.ns || strcmp(s.ns, v[i]->terms.ns) != 0) {
			free(s.taken.bits);
			s = (struct share){ .f = f, .ns = v[i]->terms.ns };
			r = 0;
		}
		if (r == 0 && !s.begun && (!only_recorded || v[i]->picks.offered))
			r = share_begin(&s);
		if (r == 0)
			r = deal_one(&s, v[i], only_recorded);
		if (r < 0 && r != -ENOENT)
			deal_failed(f, v[i], r);
		r = r == -ENOENT ? 0 : r;
	}
	for (size_t i = 0; i < n; i++)
		job_unref(f->b, v[i]);
	free(s.taken.bits);
	free(v);
}

/* The first n are samples of one key, of which a request can be made. */
static bool of_one_key(const struct ledger_given *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (!key_equal(&v[i].key, &v[0].key))
			return false;
	return true;
}

int deal_recorded(struct broker *b, struct job *j)
{
	struct ledger_given *v = NULL;
	uint32_t *indices = NULL;
	size_t n = 0;
	int r = ledger_given(b->o.ledger, j->terms.ns, &j->body.key, hand_id(j), &v, &n);

	if (r == 0 && (n < (size_t)j->terms.n || !of_one_key(v, (size_t)j->terms.n)))
		r = -ENOENT;
	if (r == 0 && !key_equal(&v[0].key, &j->body.key) && !fallback_to(b, j, &v[0].key))
		r = -ENOENT; /* that model is not among its fallbacks any more */
	if (r == 0)
		indices = calloc((size_t)j->terms.n, sizeof(*indices));
	if (r == 0 && !indices)
		r = -ENOMEM;
	for (int i = 0; i < j->terms.n && r == 0; i++)
		indices[i] = v[i].index;
	if (r == 0)
		r = picks_deal(&j->picks, indices, (unsigned)j->terms.n);
	free(indices);
	free(v);
	return r;
}

/* ---- what is missing ---- */

static int by_index(const void *a, const void *b)
{
	const struct deal_want *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->owner < y->owner ? -1 : x->owner > y->owner;
}

static int by_owner(const void *a, const void *b)
{
	const struct deal_want *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static size_t gather(struct flight *f, struct deal_want *v)
{
	size_t n = 0;
	unsigned owner = 0;

	LIST_EACH(l, &f->jobs) {
		const struct picks *p = &job_at(l)->picks;

		for (unsigned i = 0; i < p->n; i++) {
			if (p->v[i].have)
				continue;
			if (v)
				v[n] = (struct deal_want){ p->v[i].index, owner, p->v[i].missed };
			n++;
		}
		owner++;
	}
	return n;
}

/* each index once, its first owner's, and without those that are being bought */
static size_t unique(struct deal_want *v, size_t n, const uint32_t *bought, size_t n_bought)
{
	size_t kept = 0, k = 0;

	for (size_t i = 0; i < n; i++) {
		while (k < n_bought && bought[k] < v[i].index)
			k++;
		if (k < n_bought && bought[k] == v[i].index)
			continue;
		if (kept && v[kept - 1].index == v[i].index)
			v[kept - 1].looked |= v[i].looked;
		else
			v[kept++] = v[i];
	}
	return kept;
}

int deal_missing(struct flight *f, struct deal_list *out)
{
	struct deal_want *v = NULL;
	uint32_t *bought = NULL;
	size_t n, n_bought = 0;
	int r = 0;

	lock_take(&f->b->lock);
	n = gather(f, NULL);
	v = n ? calloc(n, sizeof(*v)) : NULL;
	if (v) {
		n = gather(f, v);
		r = purchase_indices_locked(f, &bought, &n_bought);
	} else if (n) {
		r = -ENOMEM;
	}
	lock_drop(&f->b->lock);
	if (r < 0) {
		free(v);
		return r;
	}
	if (v && n)
		qsort(v, n, sizeof(*v), by_index);
	n = unique(v, n, bought, n_bought);
	if (v && n)
		qsort(v, n, sizeof(*v), by_owner);
	free(bought);
	*out = (struct deal_list){ v, n };
	return 0;
}

void deal_list_done(struct deal_list *l)
{
	free(l->v);
	*l = (struct deal_list){ 0 };
}
