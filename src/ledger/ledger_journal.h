/*
 * ledger_journal.h - two files, written in turn, that hold what the database does not have yet
 *
 *   1. ledger_replay_open      reads and checks both (ledger_replay.h)
 *   2. ledger_replay_run       every record behind the database's sequence, in order
 *   3. ledger_journal_begin    a record's bytes are made in the buffer it returns
 *      ledger_journal_commit   ONE write; after a failure nothing of it is there
 *   4. ledger_journal_turn     further records go to the other file, when that is empty
 *      ledger_journal_cut      empties the file that is not written when the database has all of it
 *   5. ledger_journal_close
 *
 * A file: header of 32 bytes { magic 8, u32 version, u32 0, u64 ledger, u64 hash of those }, then records
 * { u32 length, u32 0, u64 sequence, u64 hash of sequence and payload, payload }. `ledger` is a random
 * number that the database has too: a journal means nothing beside another database. Sequences rise by
 * one over both files; the database says which it has, so no record is lost or applied twice.
 * Threads: the caller's lock, but for _cut and _sync, which are the flushing thread's alone. Blocks: on
 * writes to the page cache; _sync and _cut on the disk. Errors: negative errno.
 */
#ifndef LEDGER_LEDGER_JOURNAL_H
#define LEDGER_LEDGER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define LEDGER_JOURNAL_RECORD_MAX ((size_t)512 << 20) /* bytes of one posting */

struct ledger_journal_file {
	int fd;
	uint64_t size;	      /* of what counts; 0: no header yet */
	uint64_t first, last; /* sequences in it; 0: no record */
};

struct ledger_journal {
	int dirfd;	 /* borrowed */
	const char *dir; /* borrowed while opening and replaying, for sentences; NULL: not open */
	uint64_t ledger, last;
	uint64_t torn, lost; /* bytes and records found at the end that did not count */
	unsigned active;
	unsigned unsynced; /* bits of files, and one of the directory */
	struct ledger_journal_file file[2];
	struct buf record;
	uint64_t record_bytes; /* of the last one */
	uint64_t marked;       /* bytes of the file that is written */
};

/* ledger_journal_begin - an empty payload, to be filled */
struct buf *ledger_journal_begin(struct ledger_journal *j);
/* ledger_journal_commit - its sequence is j->last then */
int ledger_journal_commit(struct ledger_journal *j);
/* ledger_journal_undo - take the last record back; only right after its commit */
void ledger_journal_undo(struct ledger_journal *j);
/* ledger_journal_bytes - of records in the file that is written */
uint64_t ledger_journal_bytes(const struct ledger_journal *j);
/* ledger_journal_mark - a flush takes what is there now; _unmarked: bytes that came since */
void ledger_journal_mark(struct ledger_journal *j);
uint64_t ledger_journal_unmarked(const struct ledger_journal *j);
/* ledger_journal_turn - true: from now on the other file is written */
bool ledger_journal_turn(struct ledger_journal *j);
/* ledger_journal_cut - applied: the database has that much for good; all: also the file that is written,
 * when nobody else can write */
int ledger_journal_cut(struct ledger_journal *j, uint64_t applied, bool all);
/* ledger_journal_unsynced / ledger_journal_sync - what has been written since they were called last, and
 * that on the disk (the second without the lock) */
unsigned ledger_journal_unsynced(struct ledger_journal *j);
int ledger_journal_sync(struct ledger_journal *j, unsigned what);
/* ledger_journal_close - j may be zeroed */
void ledger_journal_close(struct ledger_journal *j);

#endif
