/*
 * ledger_undo.h - what the table and the log of one posting share
 *
 * Private to ledger_table.c and ledger_undo.c. Threads and blocking: as ledger_table.h.
 */
#ifndef LEDGER_LEDGER_UNDO_H
#define LEDGER_LEDGER_UNDO_H

#include "ledger/ledger_table.h"

/* ledger_undo_swap - another item with the same content */
void ledger_undo_swap(struct ledger_table *t, struct ledger_entry *e,
		      struct ledger_item *take_item);
void ledger_undo_done(struct ledger_table *t);
/* ledger_table_show / _hide - the item counts, and is found by its objects; NULL is fine */
void ledger_table_show(struct ledger_table *t, struct ledger_item *it);
void ledger_table_hide(struct ledger_table *t, struct ledger_item *it);
/* ledger_table_clean / _soil - to the end of the one list or the other */
void ledger_table_clean(struct ledger_table *t, struct ledger_name *n);
void ledger_table_soil(struct ledger_table *t, struct ledger_name *n);
struct ledger_entry *ledger_table_entry_new(struct ledger_table *t, int64_t id);
void ledger_table_entry_free(struct ledger_table *t, struct ledger_entry *e);

#endif
