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
};

/* ledger_sync_start - s is zeroed; -errno */
int ledger_sync_start(struct ledger_sync *s, const char *path, int dirfd, enum ledger_durability d,
		      struct err *e);
/* ledger_sync_note - something was committed; wal_pages: length of the WAL */
void ledger_sync_note(struct ledger_sync *s, int wal_pages);
/* ledger_sync_stop - s may be zeroed */
void ledger_sync_stop(struct ledger_sync *s);

#endif
