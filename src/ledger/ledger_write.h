/*
 * ledger_write.h - rows and whole directories, inside the transaction that the caller has begun
 *
 * Threads: the connection's owner. Blocks: on the database file. Errors: negative errno; the caller
 * rolls back.
 */
#ifndef LEDGER_LEDGER_WRITE_H
#define LEDGER_LEDGER_WRITE_H

#include "ledger/ledger.h"
#include "ledger/ledger_db.h"

/* ledger_write_row - insert it, or bring the row of its id to this */
int ledger_write_row(struct ledger_db *db, const struct ledger_row *r);
int ledger_write_blob(struct ledger_db *db, int64_t id, const char *p, size_t n);
int ledger_write_handout(struct ledger_db *db, int64_t id, const struct ledger_handout *h);
/* ledger_write_id - a statement whose only value is a row id */
int ledger_write_id(struct ledger_db *db, enum ledger_db_sql which, int64_t id);
int ledger_write_object(struct ledger_db *db, const struct ledger_handout *o,
			enum ledger_db_sql which);
/* ledger_write_rename - MOVE, SWAP and their trees, with the ids of namespaces that are made of the files;
 * -EINVAL for a directory into itself. The rows that went are added to gone */
int ledger_write_rename(struct ledger_db *db, const struct ledger_change *c,
			struct ledger_gone *gone);
/* ledger_write_drop - some rows of root go, and are added to gone; out_last: there are no more */
int ledger_write_drop(struct ledger_db *db, const char *root, struct ledger_gone *gone,
		      bool *out_last);
/* ledger_write_counters - those that differ from what the database has */
int ledger_write_counters(struct ledger_db *db, const int64_t now[LEDGER_COUNTERS],
			  const int64_t written[LEDGER_COUNTERS]);

#endif
