/*
 * ledger_order.h - names of rows in order: what lies in a directory, one after the other
 *
 * A treap, its links inside the names. Threads: the owner's lock. Blocks: never. Nothing can fail.
 */
#ifndef LEDGER_LEDGER_ORDER_H
#define LEDGER_LEDGER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_order_link {
	struct ledger_order_link *left, *right;
	const char *root, *path; /* borrowed as long as it is in the tree */
	uint32_t n_dir;		 /* bytes of path that are the directory */
	uint32_t rank;		 /* 0: in no tree; no child has a larger one */
};

struct ledger_order {
	struct ledger_order_link *top;
	uint32_t random;
};

/* ledger_order_add - nothing when it is there already; no other of that name may be */
void ledger_order_add(struct ledger_order *o, struct ledger_order_link *l, const char *root,
		      const char *path);
/* ledger_order_del - nothing when it is not there */
void ledger_order_del(struct ledger_order *o, struct ledger_order_link *l);
/* ledger_order_next - the first one directly in dir whose name sorts behind `after`, by bytes; or NULL */
struct ledger_order_link *ledger_order_next(const struct ledger_order *o, const char *root,
					    const char *dir, const char *after);

#endif
