/*
 * ledger_writer.h - the thread that commits: postings, counters and reserved ids, gathered
 *
 *   1. ledger_writer_start   db is open; reads the counters and reserves ids
 *   2. ledger_writer_post, _count, _next_id ...
 *   3. ledger_writer_stop    commits what is queued, joins, closes db
 *
 * A round takes everything that was queued while the last one committed. Each posting is a savepoint:
 * one that fails is undone alone. What counters hold in memory is written with the next round.
 * Threads: any; one lock of rank LOCK_ENGINE, never held over the disk or a callback.
 */
#ifndef LEDGER_LEDGER_WRITER_H
#define LEDGER_LEDGER_WRITER_H

#include "base/lock.h"
#include "ledger/ledger.h"
#include "ledger/ledger_db.h"
#include "ledger/ledger_sync.h"

struct ledger_writer {
	struct lock lock;
	struct cond cond;
	struct thread thread;
	struct ledger_db db; /* the thread's, while it runs */
	struct ledger_sync *sync;
	int wal_pages; /* the thread's */
	struct list queue;
	bool started, stop, want_ids;
	uint64_t flush_ns;		  /* counters are due then; 0: none are pending */
	int64_t pending[LEDGER_COUNTERS]; /* not yet in the file */
	int64_t totals[LEDGER_COUNTERS];  /* in the file */
	int64_t next_id, reserved;	  /* ids below reserved were announced in the file */
};

/* ledger_writer_start - w is zeroed but for db; -errno with a sentence */
int ledger_writer_start(struct ledger_writer *w, struct ledger_sync *sync, struct err *e);
/* ledger_writer_stop - also for one that was never started */
void ledger_writer_stop(struct ledger_writer *w);
/* as ledger.h says of ledger_post, ledger_next_id, ledger_count, ledger_counters */
void ledger_writer_post(struct ledger_writer *w, struct ledger_post *p);
int64_t ledger_writer_next_id(struct ledger_writer *w);
void ledger_writer_count(struct ledger_writer *w, enum ledger_counter c, int64_t add);
void ledger_writer_counters(struct ledger_writer *w, int64_t out[LEDGER_COUNTERS]);

#endif
