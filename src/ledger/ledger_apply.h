/*
 * ledger_apply.h - a posting's changes, in memory
 *
 * Threads: the table's owner's lock. Blocks: reads on the database file. Errors: as ledger_post's done();
 * after a failure the table is as before.
 */
#ifndef LEDGER_LEDGER_APPLY_H
#define LEDGER_LEDGER_APPLY_H

#include "ledger/ledger_table.h"

/* ledger_apply_where - HERE: ledger_apply; FILES: directories, or files that ids of namespaces are made
 * of, ROOT: all of a root: both are the database's work, not the table's */
enum ledger_apply_where { LEDGER_APPLY_HERE, LEDGER_APPLY_FILES, LEDGER_APPLY_ROOT };
enum ledger_apply_where ledger_apply_where(struct ledger_table *t,
					   const struct ledger_change *changes, size_t n);
/* ledger_apply - then ledger_change_keep or ledger_change_undo */
int ledger_apply(struct ledger_table *t, const struct ledger_change *changes, size_t n);

#endif
