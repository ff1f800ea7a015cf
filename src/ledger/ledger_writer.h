/*
 * ledger_writer.h - postings: journal, table, and the thread that brings them to the database
 *
 *   1. ledger_writer_start   db and table.reader are open; replays the journal
 *   2. ledger_writer_post, _count, _next_id ...
 *   3. ledger_writer_stop    runs what is queued, flushes, joins, closes both connections
 *
 * A posting is one append to the journal and changes of the table, on the posting thread. The thread
 * flushes what is dirty a fraction of a second later, syncs for those who wait for it (durability each),
 * and runs what the table cannot: changes of whole directories. While one of those is on its way, and
 * when the journal is too long, postings queue behind it in order.
 * Threads: any; one lock of rank LOCK_ENGINE, held over reads of the database and the append, never over
 * its writes, a sync or a callback.
 */
#ifndef LEDGER_LEDGER_WRITER_H
#define LEDGER_LEDGER_WRITER_H

#include "base/lock.h"
#include "ledger/ledger_journal.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_sync.h"
#include "ledger/ledger_table.h"

struct ledger_counts {
	int64_t totals[LEDGER_COUNTERS];  /* with everything */
	int64_t pending[LEDGER_COUNTERS]; /* of these, neither in the journal nor in the database */
	int64_t written[LEDGER_COUNTERS]; /* in the database; the thread's */
};

struct ledger_writer {
	struct lock lock;
	struct cond cond;
	struct thread thread;
	struct ledger_db db; /* the thread's, while it runs */
	struct ledger_sync *sync;
	enum ledger_durability durability;
	int wal_pages;	  /* the thread's */
	uint64_t flushed; /* sequence that the database has; the thread's */
	struct ledger_table table;
	struct ledger_journal journal;
	struct list queue;   /* postings that run on the thread */
	struct list syncing; /* recorded ones that wait for the sync */
	bool started, stop, held;
	struct {
		bool unclean; /* the last one */
		bool swept;   /* this one: nothing is left over */
	} end;
	uint64_t due_ns; /* of the next flush; 0: nothing is dirty */
	struct ledger_counts counts;
	struct {
		int64_t next, reserved; /* ids below reserved were announced in the database */
		bool want;
	} ids;
	struct {
		ledger_gone_fn *fn;
		void *arg;
		bool known; /* set, or will not be */
		bool trash; /* rows of roots that went may be left to tell; the thread's */
	} watch;
};

/* ledger_writer_start - w is zeroed but for db and table.reader; -errno with a sentence */
int ledger_writer_start(struct ledger_writer *w, const struct ledger_options *o, int dirfd,
			struct ledger_sync *sync, struct err *e);
/* ledger_writer_stop - also for one that was never started */
void ledger_writer_stop(struct ledger_writer *w);
/* as ledger.h says of ledger_post, ledger_next_id, ledger_count, ledger_counters */
void ledger_writer_post(struct ledger_writer *w, struct ledger_post *p);
int64_t ledger_writer_next_id(struct ledger_writer *w);
void ledger_writer_count(struct ledger_writer *w, enum ledger_counter c, int64_t add);
void ledger_writer_counters(struct ledger_writer *w, int64_t out[LEDGER_COUNTERS]);

/* ledger_writer_record_locked - append r; -errno: it is not there */
int ledger_writer_record_locked(struct ledger_writer *w, const struct ledger_record *r);

#endif
