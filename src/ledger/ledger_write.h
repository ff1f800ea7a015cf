/*
 * ledger_write.h - one change, inside the transaction that the caller has begun
 *
 * Threads: the writer. Blocks: on the database file. Errors: negative errno, -EINVAL for a move of a
 * directory into itself; the caller rolls back.
 */
#ifndef LEDGER_LEDGER_WRITE_H
#define LEDGER_LEDGER_WRITE_H

#include "ledger/ledger.h"
#include "ledger/ledger_db.h"

/* ledger_write_change - apply c */
int ledger_write_change(struct ledger_db *db, const struct ledger_change *c);
/* ledger_write_counters - add those that are not 0 */
int ledger_write_counters(struct ledger_db *db, const int64_t add[LEDGER_COUNTERS]);

#endif
