/* broker_hold.c - responses whose name went: what open readers still need, and when the objects go */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "jobs/inside.h"
#include "jobs/sweep.h"

#include "base/banned.h"

/* a request that has open files; kept is what stays of it once its row is removed */
struct hold {
	struct map_link by_id;
	int64_t id;
	unsigned opens;
	struct kept *kept;
};

static bool hold_equal(const struct map_link *l, const void *key)
{
	return CONTAINER_OF(l, const struct hold, by_id)->id == *(const int64_t *)key;
}

static struct hold *hold_find_locked(struct broker *b, int64_t id)
{
	struct map_link *l = map_find(&b->holds, map_hash_u64((uint64_t)id), hold_equal, &id);

	return l ? CONTAINER_OF(l, struct hold, by_id) : NULL;
}

static void kept_free(struct kept *k)
{
	if (!k)
		return;
	ledger_row_done(&k->row);
	free(k->h);
	free(k);
}

/* deep enough for rendering */
static int copy(const struct ledger_row *row, const struct ledger_handout *h, size_t n,
		struct kept *out)
{
	struct kept k = { .row = *row, .h = calloc(n + 1, sizeof(*h)), .n = n };

	if (!k.h)
		return -ENOMEM;
	if (n)
		memcpy(k.h, h, n * sizeof(*h));
	k.row.root = strdup(row->root ? row->root : "");
	k.row.path = strdup(row->path ? row->path : "");
	k.row.suffix = row->suffix ? strdup(row->suffix) : NULL;
	k.row.envelope = row->envelope ? strdup(row->envelope) : NULL;
	k.row.facts = row->facts ? strdup(row->facts) : NULL;
	k.row.error = row->error ? strdup(row->error) : NULL;
	*out = k;
	return 0;
}

void broker_hold(struct broker *b, int64_t id)
{
	struct hold *h;

	LOCK_SCOPE(&b->lock);
	h = hold_find_locked(b, id);
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return; /* the file may be gone early; it is never wrong */
		h->id = id;
		if (map_add(&b->holds, &h->by_id, map_hash_u64((uint64_t)id)) < 0) {
			free(h);
			return;
		}
	}
	h->opens++;
}

void broker_hold_release(struct broker *b, int64_t id)
{
	struct kept *kept = NULL;
	struct hold *h;

	lock_take(&b->lock);
	h = hold_find_locked(b, id);
	if (h && --h->opens == 0) {
		kept = h->kept;
		map_del(&b->holds, &h->by_id);
		free(h);
	}
	lock_drop(&b->lock);
	if (!kept)
		return;
	recent_drop(b->recent, id);
	sweep_handouts(b, kept->h, kept->n);
	kept_free(kept);
}

bool broker_hold_keep(struct broker *b, const struct ledger_row *row,
		      const struct ledger_handout *h, size_t n)
{
	struct kept *k;
	struct hold *at;

	LOCK_SCOPE(&b->lock);
	at = hold_find_locked(b, row->id);
	if (!at || at->kept)
		return false;
	k = calloc(1, sizeof(*k));
	if (!k)
		return false;
	if (copy(row, h, n, k) < 0) {
		free(k);
		return false;
	}
	at->kept = k;
	return true;
}

int broker_hold_row(struct broker *b, int64_t id, struct ledger_row *row,
		    struct ledger_handout **out_h, size_t *out_n)
{
	struct hold *h;
	struct kept k;
	int r = ledger_get(b->o.ledger, id, row);

	if (r == 0) {
		r = ledger_handouts(b->o.ledger, id, out_h, out_n);
		if (r < 0)
			ledger_row_done(row);
		return r;
	}
	LOCK_SCOPE(&b->lock);
	h = hold_find_locked(b, id);
	if (!h || !h->kept)
		return r;
	r = copy(&h->kept->row, h->kept->h, h->kept->n, &k);
	if (r < 0)
		return r;
	*row = k.row;
	*out_h = k.h;
	*out_n = k.n;
	return 0;
}

static bool free_one(struct map_link *l, void *arg)
{
	struct hold **last = arg;
	struct hold *h = CONTAINER_OF(l, struct hold, by_id);

	if (*last)
		free(*last);
	*last = h;
	kept_free(h->kept);
	return true;
}

void broker_hold_free(struct broker *b)
{
	struct hold *last = NULL;

	map_each(&b->holds, free_one, &last); /* the link of the entry before is no longer read */
	free(last);
	map_done(&b->holds);
}
