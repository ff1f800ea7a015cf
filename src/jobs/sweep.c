/*
 * sweep.c - objects in answers/ that nobody names any more
 *
 * The ledger tells which hand-outs went; whether another row names the same object is asked later, on the
 * pool, for nobody waits for it.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "jobs/bulk.h"
#include "jobs/sweep.h"

#include "base/banned.h"

#define SWEEP_DELAY_NS (100 * MONO_MS) /* gathers what goes together: one look for all of it */

struct swept {
	struct list link;
	struct answers_id id;
};

/* ---- objects that a commit on its way will name ---- */

struct pin {
	struct map_link by_key;
	struct key key;
	unsigned n;
};

static bool pin_equal(const struct map_link *l, const void *key)
{
	return key_equal(&CONTAINER_OF(l, const struct pin, by_key)->key, key);
}

static struct pin *pin_find_locked(struct broker *b, const struct key *key)
{
	struct map_link *l =
		map_find(&b->sweeps.pins, map_hash(key->b, sizeof(key->b)), pin_equal, key);

	return l ? CONTAINER_OF(l, struct pin, by_key) : NULL;
}

int sweep_pin(struct broker *b, const struct key *key)
{
	struct pin *p;

	LOCK_SCOPE(&b->sweeps.lock);
	p = pin_find_locked(b, key);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->key = *key;
		if (map_add(&b->sweeps.pins, &p->by_key, map_hash(key->b, sizeof(key->b))) < 0) {
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

	LOCK_SCOPE(&b->sweeps.lock);
	p = pin_find_locked(b, key);
	b->sweeps.unpins++;
	if (!p || --p->n)
		return;
	map_del(&b->sweeps.pins, &p->by_key);
	free(p);
}

/* ---- one object ---- */

enum look { GONE, STAYS, LATER };

static bool pinned(struct broker *b, const struct key *key, uint64_t *out_unpins)
{
	LOCK_SCOPE(&b->sweeps.lock);
	*out_unpins = b->sweeps.unpins;
	return pin_find_locked(b, key) != NULL;
}

/* The lock is held over the look and the removal: between them a new hand-out could find the file. An
 * answer that the engine did not take is on its list before its pin goes, so without a pin, and none
 * gone since that was seen, the list tells the truth. */
static enum look look(struct broker *b, const struct answers_id *id)
{
	uint64_t unpins;

	if (pinned(b, &id->key, &unpins))
		return LATER;
	if (unstored_has(b, id))
		return STAYS; /* looked at again when the engine has taken it */
	LOCK_SCOPE(&b->sweeps.lock);
	if (pin_find_locked(b, &id->key) || b->sweeps.unpins != unpins)
		return LATER;
	if (ledger_named(b->o.ledger, &id->key, id->index, id->variant) != 0)
		return STAYS;
	(void)answers_remove(b->o.answers, id); /* stays: found again by a scan */
	return GONE;
}

/* ---- the queue ---- */

static void due(struct broker *b)
{
	LOCK_SCOPE(&b->lock);
	if (b->sweeps.at_mono)
		return;
	b->sweeps.at_mono = mono_ns() + SWEEP_DELAY_NS;
	cond_signal(&b->tick);
}

static bool closed(struct broker *b)
{
	LOCK_SCOPE(&b->lock);
	return b->sweeps.closed;
}

void sweep_object(struct broker *b, const struct answers_id *id)
{
	struct swept *s = closed(b) ? NULL : malloc(sizeof(*s));

	if (!s) {
		ledger_unswept(b->o.ledger); /* left to a scan after the next mount */
		return;
	}
	s->id = *id;
	lock_take(&b->sweeps.lock);
	list_append(&b->sweeps.queue, &s->link);
	lock_drop(&b->sweeps.lock);
	due(b);
}

void sweep_handouts(struct broker *b, const struct ledger_handout *h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sweep_object(b, &(struct answers_id){ .key = h[i].key,
						      .index = h[i].index,
						      .variant = h[i].variant });
}

void sweep_gone(void *arg, const struct ledger_row *row, const struct ledger_handout *h, size_t n)
{
	struct broker *b = arg;

	bulk_leave_gone(b, row);
	if (row->root && broker_hold_keep(b, row, h, n))
		return;
	recent_drop(b->recent, row->id);
	sweep_handouts(b, h, n);
}

/* False: some must wait. */
static bool look_at_all(struct broker *b)
{
	struct list all, later, *l;
	bool none;

	list_init(&all);
	list_init(&later);
	lock_take(&b->sweeps.lock);
	list_move_all(&all, &b->sweeps.queue);
	lock_drop(&b->sweeps.lock);
	while ((l = list_pop(&all))) {
		struct swept *s = LIST_ENTRY(l, struct swept, link);

		if (look(b, &s->id) == LATER)
			list_append(&later, l);
		else
			free(s);
	}
	none = list_empty(&later);
	lock_take(&b->sweeps.lock);
	list_move_all(&b->sweeps.queue, &later);
	lock_drop(&b->sweeps.lock);
	return none;
}

static void sweep_run(struct pool_task *t)
{
	struct broker *b = CONTAINER_OF(t, struct broker, sweeps.task);
	bool none = look_at_all(b);

	lock_take(&b->lock);
	b->sweeps.busy = false;
	if (b->sweeps.at_mono)
		cond_signal(&b->tick);
	lock_drop(&b->lock);
	if (!none)
		due(b);
}

void sweep_start(struct broker *b)
{
	b->sweeps.task.run = sweep_run;
	if (pool_post(b->pool, &b->sweeps.task) < 0)
		sweep_run(&b->sweeps.task);
}

/* ---- after a crash ---- */

static void scan_one(void *arg, const struct answers_id *id)
{
	struct broker *b = arg;

	if (look(b, id) == LATER)
		sweep_object(b, id);
}

/* One directory a turn, so that others have theirs in between. */
static void scan_run(struct pool_task *t)
{
	struct broker *b = CONTAINER_OF(t, struct broker, sweeps.scan);
	unsigned dir = atomic_load(&b->sweeps.scanned);

	answers_each(b->o.answers, dir, scan_one, b);
	atomic_store(&b->sweeps.scanned, dir + 1);
	if (dir + 1 < SWEEP_DIRS)
		(void)pool_post(b->pool, t); /* ending: begun anew after the next mount */
}

void sweep_scan(struct broker *b)
{
	if (atomic_load(&b->sweeps.scanned) >= SWEEP_DIRS)
		return;
	log_msg(LOG_INFO,
		"the last end was not a clean one: looking for answers that nobody names");
	b->sweeps.scan.run = scan_run;
	(void)pool_post(b->pool, &b->sweeps.scan); /* ending: begun after the next mount */
}

/* ---- start and end ---- */

void sweep_init(struct broker *b)
{
	struct ledger_past past;

	ledger_past(b->o.ledger, &past);
	lock_init(&b->sweeps.lock, LOCK_JOB);
	list_init(&b->sweeps.queue);
	map_init(&b->sweeps.pins);
	atomic_init(&b->sweeps.scanned, past.unclean ? 0 : SWEEP_DIRS);
}

void sweep_finish(struct broker *b)
{
	bool clean = look_at_all(b) && !b->holds.n && atomic_load(&b->sweeps.scanned) >= SWEEP_DIRS;

	lock_take(&b->lock);
	b->sweeps.closed = true;
	lock_drop(&b->lock);
	if (!clean)
		ledger_unswept(b->o.ledger);
}

static bool free_pin(struct map_link *l, void *arg)
{
	struct pin **last = arg;

	free(*last);
	*last = CONTAINER_OF(l, struct pin, by_key);
	return true;
}

void sweep_free(struct broker *b)
{
	struct pin *last = NULL;
	struct list *l;

	while ((l = list_pop(&b->sweeps.queue)))
		free(LIST_ENTRY(l, struct swept, link));
	map_each(&b->sweeps.pins, free_pin,
		 &last); /* the link of the one before is no longer read */
	free(last);
	map_done(&b->sweeps.pins);
	lock_done(&b->sweeps.lock);
}
