/*
 * ledger_replay.h - the journal's format, and reading it at start
 *
 *   1. ledger_replay_open   both files are read and checked; nothing is changed
 *   2. ledger_replay_run    what the database does not have is applied; then it is written as
 *                           ledger_journal.h says
 *
 * Threads: the opening one. Blocks: on the disk. Errors: negative errno with a sentence; -EINVAL for
 * damage (bad bytes with good records behind them) and files that are not this ledger's journal.
 */
#ifndef LEDGER_LEDGER_REPLAY_H
#define LEDGER_LEDGER_REPLAY_H

#include "ledger/ledger_journal.h"

#define LEDGER_REPLAY_VERSION 1

struct ledger_replay_header {
	char magic[8];
	uint32_t version, zero;
	uint64_t ledger, hash;
};

struct ledger_replay_record {
	uint32_t length, zero;
	uint64_t seq, hash;
};

/* ledger_replay_name - of file 0 and file 1 below the state directory */
const char *ledger_replay_name(unsigned i);
/* ledger_replay_header - of a journal that belongs to that ledger */
void ledger_replay_header(uint64_t ledger, struct ledger_replay_header *out);
/* ledger_replay_hash - of a record's sequence and payload */
uint64_t ledger_replay_hash(uint64_t seq, const void *p, size_t n);

/* ledger_replay_open - j: nothing in it; ledger_journal_close also after a failure */
int ledger_replay_open(struct ledger_journal *j, int dirfd, const char *dir, uint64_t ledger,
		       struct err *e);
/* ledger_replay_run - fn is called for every record behind `after`; sequences go on behind them. What did
 * not count (a torn end, what follows a gap) is cut off */
typedef int ledger_replay_fn(void *arg, uint64_t seq, const char *p, size_t n);
int ledger_replay_run(struct ledger_journal *j, uint64_t after, ledger_replay_fn *fn, void *arg,
		      struct err *e);

#endif
