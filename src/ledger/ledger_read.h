/*
 * ledger_read.h - point queries on one connection; what ledger.h promises, without its lock
 *
 * Threads: the connection's owner. Blocks: on the database file. Errors: negative errno.
 */
#ifndef LEDGER_LEDGER_READ_H
#define LEDGER_LEDGER_READ_H

#include "ledger/ledger.h"
#include "ledger/ledger_ahead.h"
#include "ledger/ledger_db.h"
#include "ledger/ledger_item.h"

/* ledger_read_find / _get / _child - the row: 0, -ENOENT */
int ledger_read_find(struct ledger_db *db, const char *root, const char *path,
		     struct ledger_row *out);
int ledger_read_get(struct ledger_db *db, int64_t id, struct ledger_row *out);
/* ledger_read_trash - as ledger_read_get, which does not find it, for a row of a root that went;
 * _trash_of: the name that the root had, for others the root itself */
int ledger_read_trash(struct ledger_db *db, int64_t id, struct ledger_row *out);
const char *ledger_read_trash_of(const char *root);
int ledger_read_child(struct ledger_db *db, const struct ledger_ahead_place *p,
		      struct ledger_row *out);
/* ledger_read_children - the next ones, at most max; none is no failure */
int ledger_read_children(struct ledger_db *db, const struct ledger_ahead_place *p,
			 struct ledger_row *out, size_t max, size_t *out_n);
/* ledger_read_accepted - the first unfinished row behind (accepted_ns, id): 0, -ENOENT */
int ledger_read_accepted(struct ledger_db *db, uint64_t accepted_ns, int64_t id,
			 struct ledger_row *out);
/* ledger_read_request - malloc'd: 0, -ENOENT */
int ledger_read_request(struct ledger_db *db, int64_t id, char **out, size_t *out_len);
/* ledger_read_handouts - malloc'd array in pos order; none: NULL and 0 */
int ledger_read_handouts(struct ledger_db *db, int64_t id, struct ledger_handout **out,
			 size_t *out_n);
/* ledger_read_naming - the first row behind *id that names the object, which is moved there: 0, -ENOENT */
int ledger_read_naming(struct ledger_db *db, const struct ledger_handout *object, int64_t *id);
/* ledger_read_item - the row at which st (a SELECT of rows, bound) arrives, with its hand-outs */
int ledger_read_item(struct ledger_db *db, sqlite3_stmt *st, struct ledger_item **out);
/* ledger_read_unstored - the first object behind *seq, which is moved there: 0, -ENOENT */
int ledger_read_unstored(struct ledger_db *db, int64_t *seq, struct ledger_handout *out);
/* ledger_read_counters - durable totals */
int ledger_read_counters(struct ledger_db *db, int64_t out[LEDGER_COUNTERS]);
/* ledger_read_max_id - 0 when there is no row */
int ledger_read_max_id(struct ledger_db *db, int64_t *out);

#endif
