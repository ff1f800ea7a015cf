/*
 * ledger_change.c - the changes of one posting: kept together, or undone together
 *
 * Before an entry or a name is changed for the first time in a posting, what it was is logged; the log
 * also says afterwards what has become dirty.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ledger/ledger_change.h"
#include "ledger/ledger_gone.h"
#include "ledger/ledger_read.h"

#include "base/banned.h"

/* one of the two is set; what it was */
struct ledger_change_log {
	struct ledger_entry *entry;
	struct ledger_item *item; /* a reference; NULL: there was no row */
	struct ledger_name *name;
	unsigned todo;
	struct ledger_name *named;
	struct ledger_entry *had;
};

/* An entry or a name is logged once a posting: what it was before the first change is what undoing
 * restores, however often it was changed. */

/* Room for n more, so that logging itself cannot fail. */
static int reserve(struct ledger_table *t, size_t n)
{
	size_t cap = t->cap_undo ? t->cap_undo * 2 : 16;
	struct ledger_change_log *v;

	if (t->n_undo + n <= t->cap_undo)
		return 0;
	if (cap < t->n_undo + n)
		cap = t->n_undo + n;
	v = realloc(t->undo, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->undo = v;
	t->cap_undo = cap;
	return 0;
}

static void log_entry(struct ledger_table *t, struct ledger_entry *e)
{
	if (e->logged)
		return;
	e->logged = true;
	t->undo[t->n_undo++] =
		(struct ledger_change_log){ .entry = e,
					    .item = e->item ? ledger_item_ref(e->item) : NULL,
					    .todo = e->todo,
					    .named = e->name };
}

static void log_name(struct ledger_table *t, struct ledger_name *n)
{
	if (!n || n->logged)
		return;
	n->logged = true;
	t->undo[t->n_undo++] = (struct ledger_change_log){ .name = n, .had = n->entry };
}

/* ---- changes ---- */

static void swap(struct ledger_table *t, struct ledger_entry *e, struct ledger_item *take_item)
{
	ledger_table_hide(t, e->item);
	ledger_item_unref(e->item);
	e->item = take_item;
	ledger_table_show(t, take_item);
}

int ledger_change_handouts(struct ledger_table *t, struct ledger_entry *e)
{
	struct ledger_item_parts p = ledger_item_parts_of(e->item);
	AUTO_FREE struct ledger_handout *h = NULL;
	struct ledger_item *it;
	int rc;

	if (!p.handouts_in_db)
		return 0;
	rc = ledger_read_handouts(&t->reader, e->id, &h, &p.n);
	if (rc)
		return rc;
	p.h = h;
	p.handouts_in_db = false;
	it = ledger_item_new(&p);
	if (!it)
		return -ENOMEM;
	swap(t, e, it);
	return 0;
}

/* Ids rise, so almost always the largest one ever seen says that an id is new. */
static int check_new(struct ledger_table *t, int64_t id)
{
	struct ledger_row row;
	int rc;

	if (id > t->top_id)
		return 0;
	if (ledger_table_known_id(t, id))
		return -EEXIST;
	rc = ledger_read_get(&t->reader, id, &row);
	if (!rc)
		ledger_row_done(&row);
	return rc == -ENOENT ? 0 : rc ? rc : -EEXIST;
}

int ledger_change_put(struct ledger_table *t, struct ledger_name *n, struct ledger_item *take_item)
{
	int rc = check_new(t, take_item->row.id);
	struct ledger_entry *e = NULL;

	if (!rc)
		rc = reserve(t, 2);
	if (!rc) {
		e = ledger_table_entry_new(t, take_item->row.id);
		rc = e ? 0 : -ENOMEM;
	}
	if (rc) {
		ledger_item_unref(take_item);
		return rc;
	}
	log_entry(t, e);
	log_name(t, n);
	swap(t, e, take_item);
	e->name = n;
	n->entry = e;
	e->todo = LEDGER_TODO_BLOB | LEDGER_TODO_HANDOUTS;
	if (e->id > t->top_id)
		t->top_id = e->id; /* stays also when this is undone: only a reason to look */
	return 0;
}

int ledger_change_set(struct ledger_table *t, struct ledger_entry *e, struct ledger_item *take_item,
		      unsigned todo)
{
	int rc = take_item ? reserve(t, 2) : -ENOMEM;

	if (rc) {
		ledger_item_unref(take_item);
		return rc;
	}
	log_entry(t, e);
	log_name(t, e->name);
	swap(t, e, take_item);
	e->todo |= todo;
	return 0;
}

int ledger_change_place(struct ledger_table *t, struct ledger_entry *e, struct ledger_name *n)
{
	int rc = reserve(t, 3);

	if (rc)
		return rc;
	log_entry(t, e);
	log_name(t, e->name);
	log_name(t, n);
	if (e->name)
		e->name->entry = NULL;
	e->name = n;
	if (n)
		n->entry = e;
	e->todo |= LEDGER_TODO_MOVED;
	return 0;
}

/* The hand-outs are needed even when they were never read: whoever sweeps must know them. */
int ledger_change_remove(struct ledger_table *t, struct ledger_entry *e)
{
	int rc = ledger_change_handouts(t, e);

	if (!rc)
		rc = reserve(t, 2);
	if (!rc)
		rc = ledger_gone_add(&t->gone, ledger_item_ref(e->item));
	if (rc)
		return rc;
	log_entry(t, e);
	log_name(t, e->name);
	if (e->name)
		e->name->entry = NULL;
	e->name = NULL;
	swap(t, e, NULL);
	return 0;
}

int ledger_change_offer(struct ledger_table *t, bool stored, const struct ledger_handout *object)
{
	if (t->offers.n == t->offers.cap) {
		size_t cap = t->offers.cap ? t->offers.cap * 2 : 16;
		struct ledger_offer *v = realloc(t->offers.v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		t->offers.v = v;
		t->offers.cap = cap;
	}
	t->offers.v[t->offers.n++] = (struct ledger_offer){ .stored = stored, .object = *object };
	return 0;
}

/* ---- the end of a posting ---- */

bool ledger_change_any(const struct ledger_table *t)
{
	return t->n_undo || t->gone.n || t->offers.n != t->n_offers || ledger_ns_any(&t->ns);
}

static void keep_entry(struct ledger_table *t, struct ledger_entry *e, uint64_t seq)
{
	e->logged = false;
	if (e->item)
		return;
	if (!e->in_db) { /* it came and went between two flushes */
		ledger_table_entry_free(t, e);
		return;
	}
	e->seq = seq;
	list_del(&e->link);
	list_append(&t->removed, &e->link);
}

void ledger_change_keep(struct ledger_table *t, uint64_t seq, struct ledger_gone *out_gone)
{
	for (size_t i = 0; i < t->n_undo; i++) {
		struct ledger_change_log *u = &t->undo[i];

		ledger_item_unref(u->item);
		if (u->entry) {
			keep_entry(t, u->entry, seq);
			continue;
		}
		u->name->logged = false;
		u->name->seq = seq;
		ledger_table_soil(t, u->name);
	}
	t->n_undo = 0;
	for (; t->n_offers < t->offers.n; t->n_offers++)
		t->offers.v[t->n_offers].seq = seq;
	ledger_ns_keep(&t->ns, seq);
	*out_gone = t->gone;
	t->gone = (struct ledger_gone){ 0 };
	ledger_table_trim(t);
}

/* The version that was logged is found by its objects again; the ones in between are forgotten. */
static void undo_entry(struct ledger_table *t, struct ledger_change_log *u)
{
	struct ledger_entry *e = u->entry;

	e->logged = false;
	if (!u->item) {
		ledger_table_entry_free(t, e);
		return;
	}
	swap(t, e, u->item);
	e->todo = u->todo;
	e->name = u->named;
}

void ledger_change_undo(struct ledger_table *t)
{
	for (size_t i = 0; i < t->n_undo; i++) {
		struct ledger_change_log *u = &t->undo[i];

		if (u->entry) {
			undo_entry(t, u);
			continue;
		}
		u->name->logged = false;
		u->name->entry = u->had;
	}
	t->n_undo = 0;
	t->offers.n = t->n_offers;
	ledger_ns_undo(&t->ns);
	ledger_gone_done(&t->gone);
	ledger_table_trim(t);
}

void ledger_change_done(struct ledger_table *t)
{
	free(t->undo);
	ledger_gone_done(&t->gone);
}
