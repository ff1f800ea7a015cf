/*
 * ledger_ns_look.c - hand-outs and counters of namespaces, read through memory
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger_ns_db.h"
#include "ledger/ledger_ns_look.h"

#include "base/banned.h"

/* ---- what an id has ---- */

struct placed {
	uint32_t pos;
	size_t order; /* the later one at a pos counts */
	struct ledger_given v;
};

struct found {
	struct placed *v;
	size_t n, cap;
};

static int add_given(void *arg, uint32_t pos, const struct ledger_given *v)
{
	struct found *f = arg;

	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 4;
		struct placed *w = realloc(f->v, cap * sizeof(*w));

		if (!w)
			return -ENOMEM;
		f->v = w;
		f->cap = cap;
	}
	f->v[f->n] = (struct placed){ pos, f->n, *v };
	f->n++;
	return 0;
}

static int by_pos(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->pos != y->pos)
		return x->pos < y->pos ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int add_unflushed(struct found *f, const struct ledger_ns_group *g)
{
	int rc = 0;

	LIST_EACH(l, &g->members) {
		const struct ledger_ns_give *give =
			LIST_ENTRY(l, const struct ledger_ns_give, in_group);

		for (size_t i = 0; i < give->n && !rc; i++) {
			struct ledger_given v = { give->use[i].group->key, give->use[i].index };

			rc = add_given(f, give->pos + (uint32_t)i, &v);
		}
	}
	if (!rc && f->n)
		qsort(f->v, f->n, sizeof(*f->v), by_pos);
	return rc;
}

static int plain(const struct found *f, struct ledger_given **out, size_t *out_n)
{
	struct ledger_given *v = f->n ? calloc(f->n, sizeof(*v)) : NULL;
	size_t n = 0;

	if (f->n && !v)
		return -ENOMEM;
	for (size_t i = 0; i < f->n; i++)
		if (i + 1 == f->n || f->v[i + 1].pos != f->v[i].pos)
			v[n++] = f->v[i].v;
	*out = v;
	*out_n = n;
	return 0;
}

int ledger_ns_look_given(struct ledger_table *t, const struct ledger_given_change *whose,
			 struct ledger_given **out, size_t *out_n)
{
	const struct ledger_ns_group *g =
		ledger_ns_group_of(&t->ns, whose->ns, &whose->key, whose->request_id);
	struct found f = { 0 };
	int rc = whose->request_id[0] ? ledger_ns_db_given(&t->reader, whose, add_given, &f) : 0;

	if (!rc && g)
		rc = add_unflushed(&f, g);
	if (!rc)
		rc = plain(&f, out, out_n);
	free(f.v);
	return rc;
}

/* ---- what is used ---- */

struct indices {
	uint32_t *v;
	size_t n, cap;
};

static int add_index(void *arg, uint32_t index, const struct ledger_given *unused)
{
	struct indices *f = arg;

	(void)unused;
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		uint32_t *w = realloc(f->v, cap * sizeof(*w));

		if (!w)
			return -ENOMEM;
		f->v = w;
		f->cap = cap;
	}
	f->v[f->n++] = index;
	return 0;
}

static int by_index(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void each_once(struct indices *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (!n || f->v[n - 1] != f->v[i])
			f->v[n++] = f->v[i];
	f->n = n;
}

int ledger_ns_look_used(struct ledger_table *t, const char *ns, const struct key *key,
			uint32_t **out, size_t *out_n)
{
	const struct ledger_ns_group *g = ledger_ns_group_of(&t->ns, ns, key, NULL);
	struct indices f = { 0 };
	int rc = ledger_ns_db_used(&t->reader, ns, key, add_index, &f);

	if (!rc && g) {
		LIST_EACH(l, &g->members)
			if (!rc)
				rc = add_index(&f,
					       LIST_ENTRY(l, struct ledger_ns_use, in_group)->index,
					       NULL);
		if (!rc)
			qsort(f.v, f.n, sizeof(*f.v), by_index);
	}
	if (rc) {
		free(f.v);
		return rc;
	}
	each_once(&f);
	*out = f.v;
	*out_n = f.n;
	return 0;
}

/* ---- counters ---- */

int ledger_ns_look_counters(struct ledger_table *t, const char *ns, int64_t out[LEDGER_NS_COUNTERS])
{
	const struct ledger_ns_sum *s = ledger_ns_sum_of(&t->ns, ns);

	if (!s)
		return ledger_ns_db_counters(&t->reader, ns, out);
	memcpy(out, s->totals, sizeof(s->totals));
	return 0;
}
