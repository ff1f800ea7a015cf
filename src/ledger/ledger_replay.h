/*
 * ledger_replay.h - the journal's format, and reading it at start
 *
 * Declares what ledger_journal.c writes; ledger_journal_open and _replay are made here.
 * Threads: the opening one. Blocks: on the disk.
 */
#ifndef LEDGER_LEDGER_REPLAY_H
#define LEDGER_LEDGER_REPLAY_H

#include <stddef.h>
#include <stdint.h>

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
void ledger_replay_header(uint64_t ledger, struct ledger_replay_header *out);
uint64_t ledger_replay_hash(uint64_t seq, const void *p, size_t n);

#endif
