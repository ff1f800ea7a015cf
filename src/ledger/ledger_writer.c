/*
 * ledger_writer.c - posting, and the thread behind it
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mono.h"
#include "ledger/ledger_apply.h"
#include "ledger/ledger_change.h"
#include "ledger/ledger_commit.h"
#include "ledger/ledger_gone.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_replay.h"
#include "ledger/ledger_writer.h"

#include "base/banned.h"

enum {
	FLUSH_MS = 200,
	COUNT_MS = 1000,
	RETRY_MS = 1000,       /* after a failed flush */
	FLUSH_BYTES = 8 << 20, /* of journal: flushed at once */
	HOLD_BYTES = 64 << 20, /* then postings wait for the flush */
	IDS_LOW = 32768
};

/* ---- one posting ---- */

int ledger_writer_record_locked(struct ledger_writer *w, const struct ledger_record *r)
{
	int rc = ledger_record_write(r, ledger_journal_begin(&w->journal));

	return rc ? rc : ledger_journal_commit(&w->journal);
}

/* The counters that were pending go along. */
static int record_locked(struct ledger_writer *w, const struct ledger_post *p)
{
	struct ledger_record r = { .changes = p->changes, .n = p->n_changes };
	int rc;

	memcpy(r.add, w->counts.pending, sizeof(r.add));
	rc = ledger_writer_record_locked(w, &r);
	if (!rc)
		memset(w->counts.pending, 0, sizeof(w->counts.pending));
	return rc;
}

/* The thread is woken only when it would sleep too long: once for all that comes until the flush. */
static void due_locked(struct ledger_writer *w, uint64_t in_ms)
{
	uint64_t at = mono_ns() + in_ms * MONO_MS;

	if (w->due_ns && w->due_ns <= at)
		return;
	w->due_ns = at;
	cond_signal(&w->cond);
}

static int run_locked(struct ledger_writer *w, struct ledger_post *p)
{
	int rc = ledger_apply(&w->table, p->changes, p->n_changes);

	if (rc)
		return rc;
	if (ledger_change_any(&w->table)) /* removing what is not there needs no record */
		rc = record_locked(w, p);
	if (rc) {
		ledger_change_undo(&w->table);
		return rc;
	}
	ledger_change_keep(&w->table, w->journal.last, &p->gone);
	due_locked(w, ledger_journal_unmarked(&w->journal) > FLUSH_BYTES ? 0 : FLUSH_MS);
	return 0;
}

/* The rows that went are told first, so that what open readers need of them is kept. */
static void tell_gone(struct ledger_writer *w, struct ledger_gone *take_gone)
{
	struct ledger_gone gone = *take_gone;

	*take_gone = (struct ledger_gone){ 0 };
	for (size_t i = 0; i < gone.n && w->watch.fn; i++)
		w->watch.fn(w->watch.arg, &gone.v[i]->row, gone.v[i]->h, gone.v[i]->n);
	ledger_gone_done(&gone);
}

static void tell(struct ledger_writer *w, struct ledger_post *p, int rc)
{
	tell_gone(w, &p->gone);
	p->done(p, rc);
}

/* True: p was run, and its result is final. */
static bool post_locked(struct ledger_writer *w, struct ledger_post *p, int *out)
{
	*out = -ESHUTDOWN;
	if (w->stop)
		return true;
	w->held = w->held || ledger_journal_bytes(&w->journal) > HOLD_BYTES ||
		  ledger_apply_where(&w->table, p->changes, p->n_changes) != LEDGER_APPLY_HERE;
	if (w->held) {
		list_append(&w->queue, &p->link);
		cond_signal(&w->cond);
		return false;
	}
	*out = run_locked(w, p);
	if (*out || w->durability != LEDGER_EACH)
		return true;
	list_append(&w->syncing, &p->link);
	cond_signal(&w->cond);
	return false;
}

void ledger_writer_post(struct ledger_writer *w, struct ledger_post *p)
{
	bool over;
	int rc;

	p->gone = (struct ledger_gone){ 0 };
	lock_take(&w->lock);
	over = post_locked(w, p, &rc);
	lock_drop(&w->lock);
	if (over)
		tell(w, p, rc);
}

/* ---- the thread ---- */

/* what one round has to do */
struct round {
	struct list posts, syncing;
	unsigned unsynced;
	bool flush, last;
};

static bool idle_locked(const struct ledger_writer *w)
{
	return list_empty(&w->queue) && list_empty(&w->syncing) && !w->stop && !w->ids.want &&
	       (!w->due_ns || mono_ns() < w->due_ns);
}

static void next_round(struct ledger_writer *w, struct round *r)
{
	list_init(&r->posts);
	list_init(&r->syncing);
	LOCK_SCOPE(&w->lock);
	while (idle_locked(w)) {
		if (w->due_ns)
			(void)cond_wait_until(&w->cond, &w->lock, w->due_ns); /* asked again */
		else
			cond_wait(&w->cond, &w->lock);
	}
	list_move_all(&r->posts, &w->queue);
	list_move_all(&r->syncing, &w->syncing);
	r->unsynced = list_empty(&r->syncing) ? 0 : ledger_journal_unsynced(&w->journal);
	r->flush = w->stop || w->ids.want || (w->due_ns && mono_ns() >= w->due_ns);
	r->last = w->stop && list_empty(&r->posts);
}

/* A posting that could not be synced is there, but not as safe as was asked for: its owner is told. */
static void sync_posts(struct ledger_writer *w, struct round *r)
{
	struct list *l;
	int rc = r->unsynced ? ledger_journal_sync(&w->journal, r->unsynced) : 0;

	while ((l = list_pop(&r->syncing)))
		tell(w, LIST_ENTRY(l, struct ledger_post, link), rc);
}

static void flush(struct ledger_writer *w)
{
	int rc = ledger_commit_flush(w);

	if (!rc) {
		ledger_commit_cut(w, false);
		return;
	}
	LOCK_SCOPE(&w->lock);
	due_locked(w, RETRY_MS);
}

static bool too_long(struct ledger_writer *w)
{
	LOCK_SCOPE(&w->lock);
	return ledger_journal_bytes(&w->journal) > HOLD_BYTES;
}

/* Nobody posts meanwhile, so all of the journal can go. */
static int make_room(struct ledger_writer *w)
{
	int rc = ledger_commit_flush(w);

	if (!rc && w->durability == LEDGER_GROUP && syncfs(w->journal.dirfd) < 0)
		rc = -errno;
	if (!rc)
		ledger_commit_cut(w, true);
	return rc;
}

static enum ledger_apply_where where(struct ledger_writer *w, const struct ledger_post *p)
{
	LOCK_SCOPE(&w->lock);
	return ledger_apply_where(&w->table, p->changes, p->n_changes);
}

static int run_held(struct ledger_writer *w, struct ledger_post *p)
{
	unsigned unsynced;
	int rc = too_long(w) ? make_room(w) : 0;

	if (rc)
		return rc;
	switch (where(w, p)) {
	case LEDGER_APPLY_FILES:
		return ledger_commit_tree(w, p->changes, 0, &p->gone);
	case LEDGER_APPLY_ROOT:
		return ledger_commit_root(w, &(struct ledger_commit_root){ .change = p->changes,
									   .tell = tell_gone });
	case LEDGER_APPLY_HERE:
		break;
	}
	lock_take(&w->lock);
	rc = run_locked(w, p);
	unsynced = ledger_journal_unsynced(&w->journal);
	lock_drop(&w->lock);
	if (!rc && w->durability == LEDGER_EACH)
		rc = ledger_journal_sync(&w->journal, unsynced);
	return rc;
}

/* Whoever posts meanwhile queues behind them, also from done(). */
static void run_posts(struct ledger_writer *w, struct round *r)
{
	struct list *l;

	while ((l = list_pop(&r->posts))) {
		struct ledger_post *p = LIST_ENTRY(l, struct ledger_post, link);

		tell(w, p, run_held(w, p));
	}
	LOCK_SCOPE(&w->lock);
	if (list_empty(&w->queue))
		w->held = false;
}

/* Those who wait for the sync come first: the flush is for nobody in particular. */
static void *writer_main(void *arg)
{
	struct ledger_writer *w = arg;
	struct round r;

	do {
		next_round(w, &r);
		if (!list_empty(&r.syncing))
			sync_posts(w, &r);
		if (r.flush)
			flush(w);
		if (!list_empty(&r.posts))
			run_posts(w, &r);
	} while (!r.last);
	return NULL;
}

/* ---- start and stop ---- */

static void tell_nobody(struct ledger_writer *w, struct ledger_gone *take_gone)
{
	(void)w;
	ledger_gone_done(take_gone);
}

/* As it was posted, but that nobody waits and no record is made. Rows that went are not told: after an end
 * that left a journal every object is looked at. */
static int replay_record(struct ledger_writer *w, const struct ledger_record *r, uint64_t seq)
{
	struct ledger_gone gone = { 0 };
	int rc;

	for (int i = 0; i < LEDGER_COUNTERS; i++)
		w->counts.totals[i] += r->add[i];
	switch (ledger_apply_where(&w->table, r->changes, r->n)) {
	case LEDGER_APPLY_FILES:
		w->journal.last = seq - 1; /* as far as the table is */
		rc = ledger_commit_tree(w, r->changes, seq, &gone);
		break;
	case LEDGER_APPLY_ROOT:
		w->journal.last = seq - 1;
		rc = ledger_commit_root(w, &(struct ledger_commit_root){ .change = r->changes,
									 .seq = seq,
									 .tell = tell_nobody });
		break;
	default:
		rc = ledger_apply(&w->table, r->changes, r->n);
		if (!rc)
			ledger_change_keep(&w->table, seq, &gone);
	}
	ledger_gone_done(&gone);
	return rc;
}

static int replay_one(void *arg, uint64_t seq, const char *p, size_t n)
{
	struct ledger_writer *w = arg;
	struct ledger_record r;
	int rc = ledger_record_read(p, n, &r);

	if (rc)
		return rc;
	rc = replay_record(w, &r, seq);
	ledger_record_done(&r);
	return rc;
}

static int replay(struct ledger_writer *w, struct err *e)
{
	uint64_t before = w->flushed;
	int rc = ledger_replay_run(&w->journal, w->flushed, replay_one, w, e);

	if (rc || w->journal.last == before)
		return rc;
	w->end.unclean = true;
	rc = ledger_commit_flush(w);
	if (!rc)
		ledger_commit_cut(w, true);
	/* a full disk must not keep anybody from reading what is there */
	return rc && rc != -ENOSPC ? err_sys(e, -rc, "the ledger cannot be written") : 0;
}

static int note_pages(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct ledger_writer *w = arg;

	(void)db;
	(void)name;
	w->wal_pages = pages;
	return SQLITE_OK;
}

static int load(struct ledger_writer *w, const struct ledger_options *o, int dirfd, struct err *e)
{
	int64_t ledger = 0;
	int rc = ledger_commit_load(w, &ledger);

	if (rc)
		return err_sys(e, -rc, "the ledger cannot be read");
	rc = ledger_replay_open(&w->journal, dirfd, o->dir, (uint64_t)ledger, e);
	if (!rc)
		rc = replay(w, e);
	if (rc)
		return rc;
	rc = ledger_commit_open_mark(w);
	return rc && rc != -ENOSPC ? err_sys(e, -rc, "the ledger cannot be written") : 0;
}

int ledger_writer_start(struct ledger_writer *w, const struct ledger_options *o, int dirfd,
			struct ledger_sync *sync, struct err *e)
{
	int rc;

	w->sync = sync;
	w->durability = o->durability;
	w->end.swept = true;
	list_init(&w->queue);
	list_init(&w->syncing);
	lock_init(&w->lock, LOCK_ENGINE);
	cond_init(&w->cond);
	w->started = true;
	(void)sqlite3_wal_hook(w->db.db, note_pages, w);
	if (ledger_table_init(&w->table))
		return err_sys(e, ENOMEM, "the ledger cannot be opened");
	rc = load(w, o, dirfd, e);
	if (rc)
		return rc;
	if (w->flushed != w->journal.last)
		w->due_ns = mono_ns(); /* a full disk, and perhaps no longer */
	rc = thread_start(&w->thread, "ledger", writer_main, w);
	return rc ? err_sys(e, -rc, "the ledger's thread cannot be started") : 0;
}

void ledger_writer_stop(struct ledger_writer *w)
{
	if (w->started) {
		lock_take(&w->lock);
		w->stop = true;
		cond_signal(&w->cond);
		lock_drop(&w->lock);
	}
	if (w->thread.started) {
		thread_join(&w->thread);
		if (w->flushed == w->journal.last) {
			ledger_commit_cut(w, true);
			ledger_commit_closed_mark(w);
		}
	}
	ledger_journal_close(&w->journal);
	ledger_table_done(&w->table);
	ledger_db_close(&w->db); /* the last one moves the WAL into the file */
	if (w->started) {
		cond_done(&w->cond);
		lock_done(&w->lock);
	}
}

/* ---- ids and counters ---- */

int64_t ledger_writer_next_id(struct ledger_writer *w)
{
	int64_t id;

	LOCK_SCOPE(&w->lock);
	id = w->ids.next++;
	if (w->ids.next + IDS_LOW > w->ids.reserved && !w->ids.want) {
		w->ids.want = true;
		cond_signal(&w->cond);
	}
	return id;
}

void ledger_writer_count(struct ledger_writer *w, enum ledger_counter c, int64_t add)
{
	if ((unsigned)c >= LEDGER_COUNTERS || !add)
		return;
	LOCK_SCOPE(&w->lock);
	w->counts.totals[c] += add;
	w->counts.pending[c] += add;
	if (!w->due_ns)
		due_locked(w, COUNT_MS);
}

void ledger_writer_counters(struct ledger_writer *w, int64_t out[LEDGER_COUNTERS])
{
	LOCK_SCOPE(&w->lock);
	memcpy(out, w->counts.totals, sizeof(w->counts.totals));
}
