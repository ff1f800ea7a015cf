/*
 * ledger_ns_db.h - hand-outs and counters of namespaces in the database
 *
 * An index that was handed out stays used: when its place is taken by another, its row stays under the
 * id "", which nobody has. Threads: the connection's owner. Blocks: on the database file. Errors: negative
 * errno; whoever writes rolls the caller's transaction back.
 */
#ifndef LEDGER_LEDGER_NS_DB_H
#define LEDGER_LEDGER_NS_DB_H

#include "ledger/ledger_ns.h"

/* ledger_ns_db_write - a flush's part, inside its transaction */
int ledger_ns_db_write(struct ledger_db *db, const struct ledger_ns_batch *b);
/* ledger_ns_db_rename - ids that are made of the file of a place, or tree: of the files below it, are made
 * of the other place from now on; swap: and those of the other place of this one */
struct ledger_ns_db_place {
	const char *root, *path;
};
int ledger_ns_db_rename(struct ledger_db *db, struct ledger_ns_db_place from,
			struct ledger_ns_db_place to, bool tree, bool swap);
/* ledger_ns_db_forget - all of a namespace */
int ledger_ns_db_forget(struct ledger_db *db, const char *ns);

/* ledger_ns_db_file - an id is made of this file: 0, -ENOENT */
int ledger_ns_db_file(struct ledger_db *db, const char *root, const char *path);
/* ledger_ns_db_rooted - an id is made of any file: 1, 0, -errno */
int ledger_ns_db_rooted(struct ledger_db *db);
/* ledger_ns_db_counters - zeros when unknown */
int ledger_ns_db_counters(struct ledger_db *db, const char *ns, int64_t out[LEDGER_NS_COUNTERS]);
/* ledger_ns_db_given - in pos order, pos first in each: fn returns 0 to go on */
typedef int ledger_ns_db_fn(void *arg, uint32_t pos, const struct ledger_given *v);
int ledger_ns_db_given(struct ledger_db *db, const struct ledger_given_change *whose,
		       ledger_ns_db_fn *fn, void *arg);
/* ledger_ns_db_used - ascending; fn gets the index as pos, and no v */
int ledger_ns_db_used(struct ledger_db *db, const char *ns, const struct key *key,
		      ledger_ns_db_fn *fn, void *arg);

#endif
