/* sweep.c - the objects of a response that went, when nobody else names them */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "jobs/inside.h"

#include "base/banned.h"

void sweep_collect(struct broker *b, const char *root, const char *path, struct sweep *out)
{
	*out = (struct sweep){ 0 };
	if (ledger_find(b->o.ledger, root, path, &out->row) < 0)
		return;
	if (ledger_handouts(b->o.ledger, out->row.id, &out->h, &out->n) < 0) {
		out->h = NULL;
		out->n = 0;
	}
}

/* ---- objects that a commit on its way will name ---- */

#define LEFT_MAX 4 /* more variants of one key within one commit are left for a later sweep */

struct pin {
	struct map_link by_key;
	struct key key;
	unsigned n;
	struct answers_id left[LEFT_MAX]; /* found unnamed meanwhile: looked at again at the end */
	unsigned n_left;
};

static bool pin_equal(const struct map_link *l, const void *key)
{
	return key_equal(&CONTAINER_OF(l, const struct pin, by_key)->key, key);
}

static struct pin *pin_find_locked(struct broker *b, const struct key *key)
{
	struct map_link *l = map_find(&b->pins, map_hash(key->b, sizeof(key->b)), pin_equal, key);

	return l ? CONTAINER_OF(l, struct pin, by_key) : NULL;
}

int sweep_pin(struct broker *b, const struct key *key)
{
	struct pin *p;

	LOCK_SCOPE(&b->sweeping);
	p = pin_find_locked(b, key);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->key = *key;
		if (map_add(&b->pins, &p->by_key, map_hash(key->b, sizeof(key->b))) < 0) {
			free(p);
			return -ENOMEM;
		}
	}
	p->n++;
	return 0;
}

void sweep_unpin(struct broker *b, const struct key *key)
{
	struct pin *p;

	lock_take(&b->sweeping);
	p = pin_find_locked(b, key);
	if (p && --p->n == 0)
		map_del(&b->pins, &p->by_key);
	else
		p = NULL;
	lock_drop(&b->sweeping);
	for (unsigned i = 0; p && i < p->n_left; i++)
		sweep_object(b, &p->left[i]);
	free(p);
}

/* true: somebody is about to name an object of this key; it is looked at again then */
static bool left_to_pin_locked(struct broker *b, const struct answers_id *id)
{
	struct pin *p = pin_find_locked(b, &id->key);

	if (p && p->n_left < LEFT_MAX)
		p->left[p->n_left++] = *id;
	return p != NULL;
}

/* The lock is held over the look and the removal: between them a new hand-out could find the file. */
void sweep_object(struct broker *b, const struct answers_id *id)
{
	if (unstored_has(b, id))
		return;
	LOCK_SCOPE(&b->sweeping);
	if (!left_to_pin_locked(b, id) &&
	    ledger_named(b->o.ledger, &id->key, id->index, id->variant) == 0)
		(void)answers_remove(b->o.answers, id); /* stays: found again by the next sweep */
}

void sweep_run(struct broker *b, struct sweep *s)
{
	if (s->row.id && !broker_hold_keep(b, s)) {
		recent_drop(b->recent, s->row.id);
		for (size_t i = 0; i < s->n; i++)
			sweep_object(b, &(struct answers_id){ .key = s->h[i].key,
							      .index = s->h[i].index,
							      .variant = s->h[i].variant });
	}
	free(s->h);
	ledger_row_done(&s->row);
	*s = (struct sweep){ 0 };
}
