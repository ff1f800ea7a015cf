/*
 * ledger_flush.h - what is dirty in the table, brought to the database
 *
 *   1. ledger_flush_begin   the lock held: takes the newest version of every dirty row
 *   2. ledger_flush_write   no lock: inside a transaction that the caller has begun
 *   3. ledger_flush_end     the lock held, after the commit: what did not change meanwhile is clean
 *   4. ledger_flush_done    no lock: memory
 *
 * A row that came and went between two flushes is never written.
 * Threads: one flushes at a time. Blocks: _write on the database file. Errors: negative errno.
 */
#ifndef LEDGER_LEDGER_FLUSH_H
#define LEDGER_LEDGER_FLUSH_H

#include "ledger/ledger_table.h"

struct ledger_flush {
	uint64_t seq; /* everything up to it */
	struct ledger_flush_row *rows;
	size_t n;
	struct ledger_offer *offers;
	size_t n_offers;
	struct ledger_ns_batch ns;
};

/* ledger_flush_begin - 0 or -ENOMEM */
int ledger_flush_begin(struct ledger_table *t, uint64_t seq, struct ledger_flush *out);
int ledger_flush_write(struct ledger_db *db, const struct ledger_flush *f);
/* ledger_flush_end - rc: how the transaction ended */
void ledger_flush_end(struct ledger_table *t, const struct ledger_flush *f, int rc);
void ledger_flush_done(struct ledger_flush *f);

#endif
