/*
 * ledger_ahead.c - rows of listings, read some at a time
 *
 * Every query has its price in locks and pages, so whoever goes on where he was gets more at once. Whoever
 * asks for one name only costs one row.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger_ahead.h"
#include "ledger/ledger_read.h"

#include "base/banned.h"

static void forget(struct ledger_ahead_list *l)
{
	for (size_t i = l->at; i < l->n; i++)
		ledger_row_done(&l->v[i]);
	free(l->v);
	free(l->root);
	free(l->dir);
	free(l->low);
	*l = (struct ledger_ahead_list){ 0 };
}

void ledger_ahead_forget(struct ledger_ahead *a)
{
	for (int i = 0; i < LEDGER_AHEAD_LISTS; i++)
		if (a->list[i].root)
			forget(&a->list[i]);
}

static const char *name_of(const struct ledger_row *r)
{
	const char *slash = strrchr(r->path, '/');

	return slash ? slash + 1 : r->path;
}

static bool goes_on(const struct ledger_ahead_list *l, const struct ledger_ahead_place *p)
{
	return l->root && strcmp(l->dir, p->dir) == 0 && strcmp(l->root, p->root) == 0 &&
	       strcmp(l->low, p->after) <= 0;
}

static int set_low(struct ledger_ahead_list *l, const char *name)
{
	char *low = strdup(name);

	if (!low)
		return -ENOMEM;
	free(l->low);
	l->low = low;
	return 0;
}

/* Nothing is left of l, which is a new one or has come to its end. */
static int fill(struct ledger_ahead_list *l, struct ledger_db *db, const char *after)
{
	size_t want = l->want ? l->want * 4 : 1;
	int rc;

	l->want = want < LEDGER_AHEAD_ROWS ? want : LEDGER_AHEAD_ROWS;
	l->at = l->n = 0;
	if (!l->v)
		l->v = calloc(LEDGER_AHEAD_ROWS, sizeof(*l->v));
	rc = l->v ? set_low(l, after) : -ENOMEM;
	if (!rc)
		rc = ledger_read_children(db,
					  &(struct ledger_ahead_place){ l->root, l->dir, after },
					  l->v, l->want, &l->n);
	return rc;
}

static struct ledger_ahead_list *begin(struct ledger_ahead *a, const struct ledger_ahead_place *p)
{
	struct ledger_ahead_list *l = &a->list[a->oldest++ % LEDGER_AHEAD_LISTS];

	forget(l);
	l->root = strdup(p->root);
	l->dir = strdup(p->dir);
	l->low = strdup(p->after);
	if (l->root && l->dir && l->low)
		return l;
	forget(l);
	return NULL;
}

/* What lies up to `after` is passed over. */
static int skip(struct ledger_ahead_list *l, const char *after)
{
	size_t was = l->at;

	if (l->at < l->n && strcmp(name_of(&l->v[l->n - 1]), after) < 0)
		l->want = 0; /* a leap: who knows what he is after */
	for (; l->at < l->n && strcmp(name_of(&l->v[l->at]), after) <= 0; l->at++)
		ledger_row_done(&l->v[l->at]);
	return was == l->at ? 0 : set_low(l, after);
}

int ledger_ahead_next(struct ledger_ahead *a, struct ledger_db *db,
		      const struct ledger_ahead_place *p, struct ledger_ahead_list **out)
{
	struct ledger_ahead_list *l = NULL;
	int rc;

	for (int i = 0; i < LEDGER_AHEAD_LISTS && !l; i++)
		if (goes_on(&a->list[i], p))
			l = &a->list[i];
	if (!l)
		l = begin(a, p);
	if (!l)
		return -ENOMEM;
	rc = skip(l, p->after);
	if (!rc && l->at == l->n)
		rc = fill(l, db, p->after);
	if (rc)
		forget(l);
	else if (l->at == l->n)
		rc = -ENOENT;
	else
		*out = l;
	return rc;
}

void ledger_ahead_take(struct ledger_ahead_list *l, struct ledger_row *out)
{
	*out = l->v[l->at++];
	if (set_low(l, name_of(out)))
		forget(l); /* what is left is not all that lies behind `low` */
}
