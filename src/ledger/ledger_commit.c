/*
 * ledger_commit.c - flushes, changes of directories, and what is kept beside the rows
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/fault.h"
#include "ledger/ledger_commit.h"
#include "ledger/ledger_flush.h"
#include "ledger/ledger_gone.h"
#include "ledger/ledger_ns_db.h"
#include "ledger/ledger_read.h"
#include "ledger/ledger_write.h"

#include "base/banned.h"

#define META_IDS     "ids"     /* every id ever given out is smaller */
#define META_LEDGER  "ledger"  /* what its journals name */
#define META_JOURNAL "journal" /* sequence of the last record that is in the tables */
#define META_OPEN    "open"    /* 1: not closed with everything in order */

enum {
	WAL_PAGES_MAX =
		8000, /* then the writer itself moves the WAL, when sync has not managed to */
	IDS_AHEAD = 65536,
	TURN_BYTES = 1 << 20 /* of journal, before the other file is begun */
};

/* what one flush brings beside the rows */
struct extras {
	struct ledger_flush flush;
	int64_t totals[LEDGER_COUNTERS], pending[LEDGER_COUNTERS];
	int64_t reserve; /* 0: not now */
};

/* ---- transactions ---- */

static int finish(struct ledger_writer *w, int rc)
{
	if (!rc)
		rc = ledger_db_exec(&w->db, LEDGER_SQL_COMMIT);
	if (rc && !sqlite3_get_autocommit(w->db.db))
		(void)ledger_db_exec(&w->db, LEDGER_SQL_ROLLBACK); /* the first failure counts */
	return rc;
}

static int write_extras(struct ledger_writer *w, const struct extras *x)
{
	int rc = ledger_flush_write(&w->db, &x->flush);

	if (!rc)
		rc = ledger_write_counters(&w->db, x->totals, w->counts.written);
	if (!rc && x->reserve)
		rc = ledger_db_set_meta(&w->db, META_IDS, x->reserve);
	return rc ? rc : ledger_db_set_meta(&w->db, META_JOURNAL, (int64_t)x->flush.seq);
}

/* ---- flush ---- */

static int begin(struct ledger_writer *w, struct extras *x)
{
	int rc;

	LOCK_SCOPE(&w->lock);
	w->due_ns = 0;
	rc = ledger_flush_begin(&w->table, w->journal.last, &x->flush);
	if (rc)
		return rc;
	memcpy(x->totals, w->counts.totals, sizeof(x->totals));
	memcpy(x->pending, w->counts.pending, sizeof(x->pending));
	memset(w->counts.pending, 0, sizeof(w->counts.pending));
	x->reserve = w->ids.want ? w->ids.next + IDS_AHEAD : 0;
	if (ledger_journal_bytes(&w->journal) > TURN_BYTES)
		(void)ledger_journal_turn(&w->journal); /* else when the other one is empty */
	ledger_journal_mark(&w->journal);
	return 0;
}

/* What a failed flush took is pending again. */
static void end(struct ledger_writer *w, const struct extras *x, int rc)
{
	LOCK_SCOPE(&w->lock);
	ledger_flush_end(&w->table, &x->flush, rc);
	if (x->reserve) {
		w->ids.want = false; /* after a failure the next id asks again */
		if (!rc)
			w->ids.reserved = x->reserve;
	}
	for (int i = 0; i < LEDGER_COUNTERS && rc; i++)
		w->counts.pending[i] += x->pending[i];
}

/* The lock is held only to take what is dirty and to say that it is not any more; postings go on while
 * SQLite works. What they change meanwhile is dirty again, with a larger sequence. */
int ledger_commit_flush(struct ledger_writer *w)
{
	struct extras x = { 0 };
	int rc = begin(w, &x);

	if (rc)
		return rc;
	rc = ledger_db_exec(&w->db, LEDGER_SQL_BEGIN);
	if (!rc) {
		rc = write_extras(w, &x);
		fault_at("flush");
		rc = finish(w, rc);
	}
	end(w, &x, rc);
	if (!rc) {
		fault_at("flushed");
		w->flushed = x.flush.seq;
		memcpy(w->counts.written, x.totals, sizeof(x.totals));
	}
	ledger_flush_done(&x.flush);
	/* Under load the sync thread's checkpoints never reach the end of a WAL that goes on growing. */
	if (!rc && w->wal_pages >= WAL_PAGES_MAX)
		(void)sqlite3_wal_checkpoint_v2(w->db.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
						NULL);
	ledger_sync_note(w->sync, w->wal_pages, w->flushed);
	return rc;
}

/* A failure leaves the journal longer than it need be. */
void ledger_commit_cut(struct ledger_writer *w, bool all)
{
	if (!all) {
		(void)ledger_journal_cut(&w->journal, ledger_sync_seq(w->sync), false);
		return;
	}
	LOCK_SCOPE(&w->lock);
	(void)ledger_journal_cut(&w->journal, w->flushed, true);
}

/* ---- directories ---- */

static int record_tree(struct ledger_writer *w, const struct ledger_change *c)
{
	struct ledger_record r = { .changes = (struct ledger_change *)(uintptr_t)c, .n = 1 };

	LOCK_SCOPE(&w->lock);
	return ledger_writer_record_locked(w, &r);
}

static void unrecord_tree(struct ledger_writer *w)
{
	LOCK_SCOPE(&w->lock);
	ledger_journal_undo(&w->journal);
}

/* The record comes last before the commit, so that a refused change has none. */
static int write_tree(struct ledger_writer *w, const struct ledger_change *c, uint64_t seq,
		      struct ledger_gone *gone)
{
	bool recorded = false;
	int rc = ledger_db_exec(&w->db, LEDGER_SQL_BEGIN);

	if (rc)
		return rc;
	rc = ledger_write_rename(&w->db, c, gone);
	if (!rc)
		rc = ledger_db_set_meta(&w->db, META_JOURNAL,
					(int64_t)(seq ? seq : w->flushed + 1));
	if (!rc && !seq) {
		rc = record_tree(w, c);
		recorded = !rc;
	}
	rc = finish(w, rc);
	if (rc && recorded)
		unrecord_tree(w);
	return rc;
}

static void bypass(struct ledger_writer *w, bool on)
{
	LOCK_SCOPE(&w->lock);
	if (on)
		ledger_table_drop(&w->table);
	w->table.bypass = on;
}

int ledger_commit_tree(struct ledger_writer *w, const struct ledger_change *c, uint64_t seq,
		       struct ledger_gone *out_gone)
{
	struct ledger_gone gone = { 0 };
	int rc = ledger_commit_flush(w);

	if (rc)
		return rc;
	bypass(w, true);
	rc = write_tree(w, c, seq, &gone);
	bypass(w, false);
	if (rc) {
		ledger_gone_done(&gone);
		return rc;
	}
	w->flushed = seq ? seq : w->flushed + 1;
	ledger_sync_note(w->sync, w->wal_pages, w->flushed);
	*out_gone = gone;
	return 0;
}

/* ---- roots ---- */

/* Some rows; with the last ones what else is to go. */
static int write_some(struct ledger_writer *w, const struct ledger_change *c, uint64_t seq,
		      struct ledger_gone *gone, bool *out_last)
{
	bool last = false;
	int rc = ledger_db_exec(&w->db, LEDGER_SQL_BEGIN);

	if (rc)
		return rc;
	rc = ledger_write_drop(&w->db, c->root, gone, &last);
	if (!rc && last && c->op == LEDGER_OP_NS_FORGET)
		rc = ledger_ns_db_forget(&w->db, c->root);
	if (!rc && last)
		rc = ledger_db_set_meta(&w->db, META_JOURNAL, (int64_t)seq);
	fault_at("drop");
	rc = finish(w, rc);
	*out_last = last;
	return rc;
}

/* The record comes first, so that what was begun is finished after a crash. */
int ledger_commit_root(struct ledger_writer *w, const struct ledger_commit_root *r)
{
	const struct ledger_change *c = r->change;
	bool last = false;
	uint64_t seq;
	int rc = c->root && *c->root ? ledger_commit_flush(w) : -EINVAL;

	if (!rc && !r->seq)
		rc = record_tree(w, c);
	if (rc)
		return rc;
	seq = r->seq ? r->seq : w->flushed + 1;
	bypass(w, true);
	while (!rc && !last) {
		struct ledger_gone gone = { 0 };

		rc = write_some(w, c, seq, &gone, &last);
		if (rc)
			ledger_gone_done(&gone);
		else
			r->tell(w, &gone);
	}
	bypass(w, false);
	if (rc && !r->seq)
		unrecord_tree(w);
	if (rc)
		return rc;
	w->flushed = seq;
	ledger_sync_note(w->sync, w->wal_pages, w->flushed);
	return 0;
}

/* ---- beside the rows ---- */

/* A ledger's number, made once; it must be in the main file before any journal names it. */
static int number_of(struct ledger_writer *w, int64_t *out)
{
	int64_t v = 0;
	int rc = ledger_db_get_meta(&w->db, META_LEDGER, &v);

	if (rc || v) {
		*out = v;
		return rc;
	}
	while (!v)
		if (getrandom(&v, sizeof(v), 0) != (ssize_t)sizeof(v))
			return -EIO;
	rc = ledger_db_set_meta(&w->db, META_LEDGER, v);
	if (!rc)
		(void)sqlite3_wal_checkpoint_v2(w->db.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
						NULL);
	*out = v;
	return rc;
}

int ledger_commit_load(struct ledger_writer *w, int64_t *out_ledger)
{
	int64_t max_id = 0, announced = 0, seq = 0, open = 0;
	int rc = number_of(w, out_ledger);

	if (!rc)
		rc = ledger_read_counters(&w->db, w->counts.written);
	if (!rc)
		rc = ledger_read_max_id(&w->db, &max_id);
	if (!rc)
		rc = ledger_db_get_meta(&w->db, META_IDS, &announced);
	if (!rc)
		rc = ledger_db_get_meta(&w->db, META_JOURNAL, &seq);
	if (!rc)
		rc = ledger_db_get_meta(&w->db, META_OPEN, &open);
	if (!rc) {
		rc = ledger_ns_db_rooted(&w->db);
		w->table.ns.rooted = rc > 0;
	}
	if (rc < 0)
		return rc;
	memcpy(w->counts.totals, w->counts.written, sizeof(w->counts.totals));
	w->table.top_id = max_id;
	w->ids.next = announced > max_id ? announced : max_id + 1;
	w->flushed = (uint64_t)seq;
	w->end.unclean = open;
	return 0;
}

int ledger_commit_open_mark(struct ledger_writer *w)
{
	int rc;

	if (w->ids.next <= w->table.top_id)
		w->ids.next = w->table.top_id + 1;
	w->ids.reserved = w->ids.next;
	rc = ledger_db_exec(&w->db, LEDGER_SQL_BEGIN);
	if (rc)
		return rc;
	rc = ledger_db_set_meta(&w->db, META_OPEN, 1);
	if (!rc)
		rc = ledger_db_set_meta(&w->db, META_IDS, w->ids.next + IDS_AHEAD);
	rc = finish(w, rc);
	if (!rc)
		w->ids.reserved = w->ids.next + IDS_AHEAD;
	return rc;
}

void ledger_commit_closed_mark(struct ledger_writer *w)
{
	int rc = ledger_db_exec(&w->db, LEDGER_SQL_BEGIN);

	/* nothing was lost, so nothing that was announced needs to be skipped */
	if (!rc)
		rc = ledger_db_set_meta(&w->db, META_IDS, w->ids.next);
	if (!rc && w->end.swept)
		rc = ledger_db_set_meta(&w->db, META_OPEN, 0);
	(void)finish(w, rc); /* failed: as after a crash */
}
