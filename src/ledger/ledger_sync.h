/*
 * ledger_sync.h - what happens behind the commits: syncing to the disk, moving the WAL into the file
 *
 *   1. ledger_sync_start   one thread
 *   2. ledger_sync_note    after every commit
 *   3. ledger_sync_stop    joins
 *
 * With durability group the state directory's file system is synced, the objects of answers/ with the
 * ledger in one go, again and again while there is something new; at least as long as a sync took is
 * left free between two. Nobody waits for it. Threads: as said. Blocks: stop.
 */
#ifndef LEDGER_LEDGER_SYNC_H
#define LEDGER_LEDGER_SYNC_H

#include <stdbool.h>

#include "base/lock.h"
#include "ledger/ledger_db.h"

struct ledger_sync {
	struct lock lock;
	struct cond cond;
	struct thread thread;
	struct ledger_db db; /* for checkpoints */
	int dirfd;	     /* borrowed */
	bool syncs;	     /* durability group */
	bool stop, dirty, checkpoint;
	uint64_t seq, synced; /* what is in the database, and what of that is on the disk */
};

/* ledger_sync_start - s is zeroed; -errno */
int ledger_sync_start(struct ledger_sync *s, const char *path, int dirfd, enum ledger_durability d,
		      struct err *e);
/* ledger_sync_note - something was written; wal_pages: length of the WAL; seq: as far as the database has
 * the journal */
void ledger_sync_note(struct ledger_sync *s, int wal_pages, uint64_t seq);
/* ledger_sync_seq - as far as what is in the database cannot be lost by a power failure; without syncing
 * that is all of it */
uint64_t ledger_sync_seq(struct ledger_sync *s);
/* ledger_sync_stop - s may be zeroed */
void ledger_sync_stop(struct ledger_sync *s);

#endif
