/*
 * ledger_ahead.h - listing a directory reads ahead: the next rows of the database, until it changes
 *
 *   1. ledger_ahead_next      the row behind a name, which stays here
 *   2. ledger_ahead_take      that row is the caller's
 *   3. ledger_ahead_forget    whenever the database has changed
 *
 * Threads: the connection's owner. Blocks: on the database file. Errors: negative errno.
 */
#ifndef LEDGER_LEDGER_AHEAD_H
#define LEDGER_LEDGER_AHEAD_H

#include "ledger/ledger_db.h"

enum { LEDGER_AHEAD_LISTS = 4, LEDGER_AHEAD_ROWS = 64 };

/* one listing: the database's rows behind the name `low` are v[at] ... */
struct ledger_ahead_list {
	char *root, *dir, *low; /* root NULL: unused */
	struct ledger_row *v;
	size_t at, n, want;
};

struct ledger_ahead {
	struct ledger_ahead_list list[LEDGER_AHEAD_LISTS];
	unsigned oldest;
};

/* where to look: the first row directly in dir whose name sorts behind `after` */
struct ledger_ahead_place {
	const char *root, *dir, *after;
};

/* ledger_ahead_next - *out is the list whose v[at] is the row: 0, -ENOENT */
int ledger_ahead_next(struct ledger_ahead *a, struct ledger_db *db,
		      const struct ledger_ahead_place *p, struct ledger_ahead_list **out);
/* ledger_ahead_take - v[at] of l moves to out */
void ledger_ahead_take(struct ledger_ahead_list *l, struct ledger_row *out);
/* ledger_ahead_forget - all of it; a may be zeroed */
void ledger_ahead_forget(struct ledger_ahead *a);

#endif
