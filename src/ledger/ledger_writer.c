/*
 * ledger_writer.c - the thread that commits
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "ledger/ledger_read.h"
#include "ledger/ledger_write.h"
#include "ledger/ledger_writer.h"

#include "base/banned.h"

#define IDS_META "ids"

enum {
	ROUND_MAX = 512, /* postings of one transaction: bounds what a crash can undo */
	WAL_PAGES_MAX =
		8000, /* then the writer itself moves the WAL, when sync has not managed to */
	IDS_AHEAD = 65536,
	IDS_LOW = 32768
};

/* what one transaction writes */
struct round {
	struct list posts;
	int64_t add[LEDGER_COUNTERS];
	bool counters;
	int64_t reserve; /* 0: not now */
};

/* ---- one transaction ---- */

static int apply_changes(struct ledger_writer *w, const struct ledger_post *p)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_changes && !rc; i++)
		rc = ledger_write_change(&w->db, &p->changes[i]);
	return rc;
}

/* The result is the posting's own; *out_broken is set when the whole transaction is lost with it. */
static int apply_post(struct ledger_writer *w, const struct ledger_post *p, int *out_broken)
{
	int rc = ledger_db_exec(&w->db, LEDGER_SQL_SAVE), undo;

	if (rc) {
		*out_broken = rc;
		return rc;
	}
	rc = apply_changes(w, p);
	if (rc && sqlite3_get_autocommit(w->db.db)) {
		*out_broken = rc; /* SQLite has already rolled everything back */
		return rc;
	}
	undo = rc ? ledger_db_exec(&w->db, LEDGER_SQL_UNDO) : 0;
	if (!undo)
		undo = ledger_db_exec(&w->db, LEDGER_SQL_RELEASE);
	*out_broken = undo;
	return rc;
}

static int apply_posts(struct ledger_writer *w, struct round *r)
{
	int broken = 0;

	LIST_EACH(pos, &r->posts) {
		struct ledger_post *p = LIST_ENTRY(pos, struct ledger_post, link);

		p->result = apply_post(w, p, &broken);
		if (broken)
			return broken;
	}
	return 0;
}

static int apply_round(struct ledger_writer *w, struct round *r)
{
	int rc = apply_posts(w, r);

	if (!rc && r->counters)
		rc = ledger_write_counters(&w->db, r->add);
	if (!rc && r->reserve)
		rc = ledger_db_set_meta(&w->db, IDS_META, r->reserve);
	return rc ? rc : ledger_db_exec(&w->db, LEDGER_SQL_COMMIT);
}

static int commit_round(struct ledger_writer *w, struct round *r)
{
	int rc = ledger_db_exec(&w->db, LEDGER_SQL_BEGIN);

	if (rc)
		return rc;
	rc = apply_round(w, r);
	if (rc && !sqlite3_get_autocommit(w->db.db))
		(void)ledger_db_exec(&w->db, LEDGER_SQL_ROLLBACK); /* the first failure counts */
	return rc;
}

static int note_pages(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct ledger_writer *w = arg;

	(void)db;
	(void)name;
	w->wal_pages = pages;
	return SQLITE_OK;
}

/* Under load the sync thread's checkpoints never reach the end of a WAL that goes on growing. */
static void after_commit(struct ledger_writer *w)
{
	if (w->wal_pages >= WAL_PAGES_MAX)
		(void)sqlite3_wal_checkpoint_v2(w->db.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
						NULL);
	ledger_sync_note(w->sync, w->wal_pages);
}

/* ---- the thread ---- */

static void fill_locked(struct ledger_writer *w, struct round *r)
{
	struct list *link;

	list_init(&r->posts);
	for (int i = 0; i < ROUND_MAX && (link = list_pop(&w->queue)); i++)
		list_append(&r->posts, link);
	r->counters = w->flush_ns != 0;
	memcpy(r->add, w->pending, sizeof(r->add));
	r->reserve = w->want_ids ? w->next_id + IDS_AHEAD : 0;
}

static bool idle_locked(const struct ledger_writer *w)
{
	return list_empty(&w->queue) && !w->stop && !w->want_ids &&
	       (!w->flush_ns || mono_ns() < w->flush_ns);
}

/* False: nothing is left to do, for ever. */
static bool next_round(struct ledger_writer *w, struct round *r)
{
	LOCK_SCOPE(&w->lock);
	while (idle_locked(w)) {
		if (w->flush_ns)
			(void)cond_wait_until(&w->cond, &w->lock, w->flush_ns); /* asked again */
		else
			cond_wait(&w->cond, &w->lock);
	}
	if (w->stop && list_empty(&w->queue) && !w->flush_ns)
		return false;
	fill_locked(w, r);
	return true;
}

/* Counters of a failed round stay pending, and are tried again; at the end of all things, once. */
static void settle(struct ledger_writer *w, const struct round *r, int rc)
{
	LOCK_SCOPE(&w->lock);
	if (r->reserve) {
		w->want_ids = false; /* after a failure the next id asks again */
		if (!rc)
			w->reserved = r->reserve;
	}
	if (!r->counters)
		return;
	w->flush_ns = rc && !w->stop ? mono_ns() + MONO_S : 0;
	for (int i = 0; i < LEDGER_COUNTERS && !rc; i++) {
		w->pending[i] -= r->add[i];
		w->totals[i] += r->add[i];
		if (w->pending[i])
			w->flush_ns = w->stop ? 1 : mono_ns() + MONO_S;
	}
}

static void tell(struct round *r, int rc)
{
	struct list *link;

	while ((link = list_pop(&r->posts))) {
		struct ledger_post *p = LIST_ENTRY(link, struct ledger_post, link);

		p->done(p, rc ? rc : p->result);
	}
}

static void *writer_main(void *arg)
{
	struct ledger_writer *w = arg;
	struct round r;

	while (next_round(w, &r)) {
		int rc = commit_round(w, &r);

		settle(w, &r, rc);
		tell(&r, rc);
		if (!rc)
			after_commit(w);
	}
	return NULL;
}

/* ---- what others call ---- */

/* Ids that a crashed daemon may have given out lie below what it had announced. */
static int load(struct ledger_writer *w)
{
	int64_t max_id = 0, announced = 0;
	int rc = ledger_read_counters(&w->db, w->totals);

	if (!rc)
		rc = ledger_read_max_id(&w->db, &max_id);
	if (!rc)
		rc = ledger_db_get_meta(&w->db, IDS_META, &announced);
	if (rc)
		return rc;
	w->next_id = announced > max_id ? announced : max_id + 1;
	w->reserved = w->next_id;
	rc = ledger_db_set_meta(&w->db, IDS_META, w->next_id + IDS_AHEAD);
	if (!rc)
		w->reserved = w->next_id + IDS_AHEAD;
	/* a full disk must not keep anybody from reading what is there */
	return rc == -ENOSPC ? 0 : rc;
}

int ledger_writer_start(struct ledger_writer *w, struct ledger_sync *sync, struct err *e)
{
	int rc = load(w);

	if (rc)
		return err_sys(e, -rc, "the ledger cannot be written");
	w->sync = sync;
	list_init(&w->queue);
	lock_init(&w->lock, LOCK_ENGINE);
	cond_init(&w->cond);
	(void)sqlite3_wal_hook(w->db.db, note_pages, w);
	w->started = true;
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
		thread_join(&w->thread);
		/* nothing was lost, so nothing that was announced needs to be skipped */
		(void)ledger_db_set_meta(&w->db, IDS_META, w->next_id);
		cond_done(&w->cond);
		lock_done(&w->lock);
	}
	ledger_db_close(&w->db);
}

void ledger_writer_post(struct ledger_writer *w, struct ledger_post *p)
{
	lock_take(&w->lock);
	if (!w->stop) {
		list_append(&w->queue, &p->link);
		cond_signal(&w->cond);
		p = NULL;
	}
	lock_drop(&w->lock);
	if (p)
		p->done(p, -ESHUTDOWN);
}

int64_t ledger_writer_next_id(struct ledger_writer *w)
{
	int64_t id;

	LOCK_SCOPE(&w->lock);
	id = w->next_id++;
	if (w->next_id + IDS_LOW > w->reserved && !w->want_ids) {
		w->want_ids = true;
		cond_signal(&w->cond);
	}
	return id;
}

void ledger_writer_count(struct ledger_writer *w, enum ledger_counter c, int64_t add)
{
	if ((unsigned)c >= LEDGER_COUNTERS || !add)
		return;
	LOCK_SCOPE(&w->lock);
	w->pending[c] += add;
	if (w->flush_ns)
		return;
	w->flush_ns = mono_ns() + MONO_S;
	cond_signal(&w->cond);
}

void ledger_writer_counters(struct ledger_writer *w, int64_t out[LEDGER_COUNTERS])
{
	LOCK_SCOPE(&w->lock);
	for (int i = 0; i < LEDGER_COUNTERS; i++)
		out[i] = w->totals[i] + w->pending[i];
}
