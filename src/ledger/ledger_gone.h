/*
 * ledger_gone.h - the rows that a posting removed, until they are told
 *
 * Threads: the owner's. Blocks: never.
 */
#ifndef LEDGER_LEDGER_GONE_H
#define LEDGER_LEDGER_GONE_H

#include "ledger/ledger_item.h"

/* ledger_gone_add - takes the item also on failure; NULL is -ENOMEM, as a failed allocation leaves it */
int ledger_gone_add(struct ledger_gone *g, struct ledger_item *take_item);
/* ledger_gone_done - with the references; g may be used again */
void ledger_gone_done(struct ledger_gone *g);

#endif
