/*
 * ledger_ns_look.h - what ledger.h promises about namespaces: memory over the database
 *
 * Threads: the table's owner's lock. Blocks: on the database file. Errors: negative errno.
 */
#ifndef LEDGER_LEDGER_NS_LOOK_H
#define LEDGER_LEDGER_NS_LOOK_H

#include "ledger/ledger_table.h"

/* ledger_ns_look_given, _used, _counters - as ledger_given, ledger_given_used, ledger_ns_counters */
int ledger_ns_look_given(struct ledger_table *t, const struct ledger_given_change *whose,
			 struct ledger_given **out, size_t *out_n);
/* malloc'd */
int ledger_ns_look_used(struct ledger_table *t, const char *ns, const struct key *key,
			uint32_t **out, size_t *out_n);
/* totals */
int ledger_ns_look_counters(struct ledger_table *t, const char *ns,
			    int64_t out[LEDGER_NS_COUNTERS]);

#endif
