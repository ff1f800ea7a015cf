/* broker_hold.c - responses whose name went: what open readers still need, and when the objects go */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "jobs/inside.h"

#include "base/banned.h"

/* a request that has open files; kept is what stays of it once its row is removed */
struct hold {
	struct map_link by_id;
	int64_t id;
	unsigned opens;
	struct sweep *kept;
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
	struct sweep *kept = NULL;
	struct hold *h;

	lock_take(&b->lock);
	h = hold_find_locked(b, id);
	if (h && --h->opens == 0) {
		kept = h->kept;
		map_del(&b->holds, &h->by_id);
		free(h);
	}
	lock_drop(&b->lock);
	if (kept)
		sweep_run(b, kept);
	free(kept);
}

bool broker_hold_keep(struct broker *b, struct sweep *s)
{
	struct sweep *copy;
	struct hold *h;

	LOCK_SCOPE(&b->lock);
	h = hold_find_locked(b, s->row.id);
	if (!h || h->kept)
		return false;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return false;
	*copy = *s;
	*s = (struct sweep){ 0 };
	h->kept = copy;
	return true;
}

/* deep enough for rendering: strings and hand-outs are copied */
static int copy_kept(const struct sweep *k, struct ledger_row *row, struct ledger_handout **out_h,
		     size_t *out_n)
{
	struct ledger_handout *h = calloc(k->n + 1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	memcpy(h, k->h, k->n * sizeof(*h));
	*row = k->row;
	row->root = strdup(k->row.root ? k->row.root : "");
	row->path = strdup(k->row.path ? k->row.path : "");
	row->suffix = k->row.suffix ? strdup(k->row.suffix) : NULL;
	row->envelope = k->row.envelope ? strdup(k->row.envelope) : NULL;
	row->facts = k->row.facts ? strdup(k->row.facts) : NULL;
	row->error = k->row.error ? strdup(k->row.error) : NULL;
	*out_h = h;
	*out_n = k->n;
	return 0;
}

int broker_hold_row(struct broker *b, int64_t id, struct ledger_row *row,
		    struct ledger_handout **out_h, size_t *out_n)
{
	struct hold *h;
	int r = ledger_get(b->o.ledger, id, row);

	if (r == 0) {
		r = ledger_handouts(b->o.ledger, id, out_h, out_n);
		if (r < 0)
			ledger_row_done(row);
		return r;
	}
	LOCK_SCOPE(&b->lock);
	h = hold_find_locked(b, id);
	return h && h->kept ? copy_kept(h->kept, row, out_h, out_n) : r;
}

static bool free_one(struct map_link *l, void *arg)
{
	struct hold **last = arg;
	struct hold *h = CONTAINER_OF(l, struct hold, by_id);

	if (*last)
		free(*last);
	*last = h;
	if (h->kept) {
		ledger_row_done(&h->kept->row);
		free(h->kept->h);
		free(h->kept);
	}
	return true;
}

void broker_hold_free(struct broker *b)
{
	struct hold *last = NULL;

	map_each(&b->holds, free_one, &last); /* the link of the entry before is no longer read */
	free(last);
	map_done(&b->holds);
}
