/*
 * ledger_flush.c - dirty rows become rows of the database
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger_flush.h"
#include "ledger/ledger_ns_db.h"
#include "ledger/ledger_write.h"

#include "base/banned.h"

struct ledger_flush_row {
	struct ledger_entry *e; /* lives until the flush has ended; read under the lock only */
	int64_t id;
	struct ledger_item *item; /* a reference; NULL: removed */
	unsigned todo;
};

/* ---- under the lock ---- */

static size_t count(const struct ledger_table *t)
{
	size_t n = 0;

	LIST_EACH(l, &t->dirty)
		n += LIST_ENTRY(l, struct ledger_name, link)->entry != NULL;
	LIST_EACH(l, &t->removed)
		n++;
	return n;
}

static void take(struct ledger_flush *f, struct ledger_entry *e)
{
	f->rows[f->n++] = (struct ledger_flush_row){
		.e = e,
		.id = e->id,
		.item = e->item ? ledger_item_ref(e->item) : NULL,
		.todo = e->todo,
	};
	e->todo = 0;
	e->in_db = true; /* when the flush fails it may be; then taking it away does no harm */
}

int ledger_flush_begin(struct ledger_table *t, uint64_t seq, struct ledger_flush *out)
{
	struct ledger_flush f = { .seq = seq, .n_offers = t->offers.n };

	f.rows = calloc(count(t) + 1, sizeof(*f.rows));
	f.offers = calloc(f.n_offers + 1, sizeof(*f.offers));
	if (!f.rows || !f.offers || ledger_ns_take(&t->ns, &f.ns)) {
		ledger_flush_done(&f);
		return -ENOMEM;
	}
	LIST_EACH(l, &t->dirty)
		if (LIST_ENTRY(l, struct ledger_name, link)->entry)
			take(&f, LIST_ENTRY(l, struct ledger_name, link)->entry);
	LIST_EACH(l, &t->removed)
		take(&f, LIST_ENTRY(l, struct ledger_entry, link));
	if (f.n_offers)
		memcpy(f.offers, t->offers.v, f.n_offers * sizeof(*f.offers));
	*out = f;
	return 0;
}

void ledger_flush_end(struct ledger_table *t, const struct ledger_flush *f, int rc)
{
	if (!rc) {
		ledger_table_flushed(t, f->seq);
		return;
	}
	for (size_t i = 0; i < f->n; i++)
		f->rows[i].e->todo |= f->rows[i].todo;
}

void ledger_flush_done(struct ledger_flush *f)
{
	for (size_t i = 0; i < f->n; i++)
		ledger_item_unref(f->rows[i].item);
	free(f->rows);
	free(f->offers);
	ledger_ns_batch_done(&f->ns);
	*f = (struct ledger_flush){ 0 };
}

/* ---- in the transaction ---- */

/* Names that rows leave become free before any row takes one, so that rows may exchange theirs. */
static int leave(struct ledger_db *db, const struct ledger_flush_row *r)
{
	if (!r->item)
		return ledger_write_id(db, LEDGER_SQL_DELETE, r->id);
	return r->todo & LEDGER_TODO_MOVED ? ledger_write_id(db, LEDGER_SQL_ASIDE, r->id) : 0;
}

static int arrive(struct ledger_db *db, const struct ledger_flush_row *r)
{
	const struct ledger_item *it = r->item;
	int rc;

	if (!it)
		return 0;
	rc = ledger_write_row(db, &it->row);
	if (!rc && it->blob && r->todo & LEDGER_TODO_BLOB)
		rc = ledger_write_blob(db, r->id, it->blob->bytes, it->blob->n);
	else if (!rc && r->todo & LEDGER_TODO_NO_BLOB)
		rc = ledger_write_id(db, LEDGER_SQL_DELETE_BLOB, r->id);
	for (size_t i = 0; i < it->n && !rc && r->todo & LEDGER_TODO_HANDOUTS; i++)
		rc = ledger_write_handout(db, r->id, &it->h[i]);
	return rc;
}

int ledger_flush_write(struct ledger_db *db, const struct ledger_flush *f)
{
	int rc = 0;

	for (size_t i = 0; i < f->n && !rc; i++)
		rc = leave(db, &f->rows[i]);
	for (size_t i = 0; i < f->n && !rc; i++)
		rc = arrive(db, &f->rows[i]);
	for (size_t i = 0; i < f->n_offers && !rc; i++)
		rc = ledger_write_object(db, &f->offers[i].object,
					 f->offers[i].stored ? LEDGER_SQL_STORED
							     : LEDGER_SQL_UNSTORED);
	return rc ? rc : ledger_ns_db_write(db, &f->ns);
}
