/*
 * ledger_item.h - one version of a row with its hand-outs, never changed once it is made
 *
 * Every change of a row makes a new version, so the flush writes versions to the database while posts go
 * on making others. A version is one block of memory; the request's bytes, which may be long, are shared.
 * Threads: any; references are counted atomically, `links` belong to the table. Blocks: never.
 */
#ifndef LEDGER_LEDGER_ITEM_H
#define LEDGER_LEDGER_ITEM_H

#include <stdatomic.h>

#include "base/map.h"
#include "ledger/ledger.h"

/* the canonical bytes of a request */
struct ledger_blob {
	atomic_uint refs;
	size_t n;
	char bytes[];
};

struct ledger_item;

/* how the table finds an item by an object that it names */
struct ledger_item_link {
	struct map_link by_object;
	const struct ledger_item *item;
	size_t i;
};

struct ledger_item {
	atomic_uint refs;
	struct ledger_row
		row; /* its strings lie in the item; all NULL: a row that was gone before */
	struct ledger_blob *blob; /* NULL: not here */
	bool blob_in_db;	  /* the database may have it */
	bool handouts_in_db;	  /* not read yet: n is 0 */
	size_t bytes;		  /* of memory, with the blob */
	size_t n;
	struct ledger_handout *h; /* in pos order */
	struct ledger_item_link *links;
};

/* what an item is made of; everything is copied, blob is shared */
struct ledger_item_parts {
	const struct ledger_row *row;
	const struct ledger_handout *h;
	size_t n;
	struct ledger_blob *blob;
	bool blob_in_db, handouts_in_db;
};

/* ledger_item_new - NULL when out of memory */
struct ledger_item *ledger_item_new(const struct ledger_item_parts *p);
/* ledger_item_parts_of - the parts of one, to change some and make the next */
struct ledger_item_parts ledger_item_parts_of(const struct ledger_item *it);
struct ledger_item *ledger_item_ref(struct ledger_item *it);
/* ledger_item_unref - NULL is fine */
void ledger_item_unref(struct ledger_item *it);
/* ledger_item_merge - the hand-outs of old with those of more, which win at the same pos: malloc'd, in
 * pos order, all of request id */
int ledger_item_merge(const struct ledger_item *old, const struct ledger_change *more, int64_t id,
		      struct ledger_handout **out, size_t *out_n);
/* ledger_item_row - a copy that the caller frees with ledger_row_done */
int ledger_item_row(const struct ledger_item *it, struct ledger_row *out);

/* ledger_item_blob - NULL when out of memory */
struct ledger_blob *ledger_item_blob(const char *bytes, size_t n);
void ledger_item_blob_unref(struct ledger_blob *b);

#endif
