/*
 * ledger_look.h - what ledger.h promises about reading: the table first, the database for the rest
 *
 * Threads: the table's owner's lock. Blocks: on the database file. Errors: negative errno.
 */
#ifndef LEDGER_LEDGER_LOOK_H
#define LEDGER_LEDGER_LOOK_H

#include "ledger/ledger_table.h"

/* ledger_look_find, _get, _request, _handouts, _child - as in ledger.h */
int ledger_look_find(struct ledger_table *t, const char *root, const char *path,
		     struct ledger_row *out);
/* by id */
int ledger_look_get(struct ledger_table *t, int64_t id, struct ledger_row *out);
/* malloc'd */
int ledger_look_request(struct ledger_table *t, int64_t id, char **out, size_t *out_len);
/* malloc'd */
int ledger_look_handouts(struct ledger_table *t, int64_t id, struct ledger_handout **out,
			 size_t *out_n);
/* ledger_look_named - 1, 0, -errno */
int ledger_look_named(struct ledger_table *t, const struct ledger_handout *object);
/* the next one behind `after` */
int ledger_look_child(struct ledger_table *t, const char *root, const char *dir, const char *after,
		      struct ledger_row *out);
/* ledger_look_accepted - the first unfinished row behind (accepted_ns, id) */
int ledger_look_accepted(struct ledger_table *t, uint64_t accepted_ns, int64_t id,
			 struct ledger_row *out);
/* ledger_look_unstored - all of them in order of offering: malloc'd */
int ledger_look_unstored(struct ledger_table *t, struct ledger_handout **out, size_t *out_n);

#endif
