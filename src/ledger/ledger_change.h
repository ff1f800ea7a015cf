/*
 * ledger_change.h - the changes of one posting to the table: kept together, or undone together
 *
 *   1. ledger_change_put, _set, _place, _remove, _offer   as often as the posting needs
 *   2. ledger_change_keep, when it is recorded; or ledger_change_undo, and all is as before
 *
 * Threads: the table's owner's lock. Blocks: reads on the database file. Errors: negative errno; the
 * posting is then to be undone as a whole.
 */
#ifndef LEDGER_LEDGER_CHANGE_H
#define LEDGER_LEDGER_CHANGE_H

#include "ledger/ledger_table.h"

/* ledger_change_put - a new row under a name that has none; takes the item also on failure; -EEXIST */
int ledger_change_put(struct ledger_table *t, struct ledger_name *n, struct ledger_item *take_item);
/* ledger_change_set - the next version of a row; takes the item also on failure */
int ledger_change_set(struct ledger_table *t, struct ledger_entry *e, struct ledger_item *take_item,
		      unsigned todo);
/* ledger_change_place - e has the name n from now on (NULL: none for the moment), and not its old one */
int ledger_change_place(struct ledger_table *t, struct ledger_entry *e, struct ledger_name *n);
/* ledger_change_remove - the row goes, its hand-outs are told */
int ledger_change_remove(struct ledger_table *t, struct ledger_entry *e);
/* ledger_change_handouts - load them when they were not: e->item has them then. Changes nothing */
int ledger_change_handouts(struct ledger_table *t, struct ledger_entry *e);
/* ledger_change_offer - an object is or is no longer one that the engine has not taken */
int ledger_change_offer(struct ledger_table *t, bool stored, const struct ledger_handout *object);

/* ledger_change_any - the posting has changed anything */
bool ledger_change_any(const struct ledger_table *t);
/* ledger_change_keep - the posting is recorded as seq; out_gone goes to the caller */
void ledger_change_keep(struct ledger_table *t, uint64_t seq, struct ledger_gone *out_gone);
/* ledger_change_undo - as before the posting's first change */
void ledger_change_undo(struct ledger_table *t);
/* ledger_change_done - the log's memory */
void ledger_change_done(struct ledger_table *t);

#endif
