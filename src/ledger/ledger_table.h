/*
 * ledger_table.h - the rows that the database does not have yet, and the ones that were used last
 *
 *   1. ledger_table_init
 *   2. ledger_table_name, _entry find (or load) what a posting is about; ledger_change.h changes it
 *   3. the flush takes what is dirty, and says _flushed when the database has it
 *   4. ledger_table_drop, _done
 *
 * What is not in the table is as the database says. A name in the table has its row, or none although the
 * database may still have one. Clean names are a cache: the longest unused goes first.
 * Threads: the owner's lock. Blocks: reads on the database file. Errors: negative errno.
 */
#ifndef LEDGER_LEDGER_TABLE_H
#define LEDGER_LEDGER_TABLE_H

#include "base/list.h"
#include "base/map.h"
#include "ledger/ledger_db.h"
#include "ledger/ledger_item.h"
#include "ledger/ledger_ns.h"
#include "ledger/ledger_order.h"

/* what the flush has to do for an entry, beside writing its row */
enum {
	LEDGER_TODO_MOVED = 1 << 0, /* the database has it under another name */
	LEDGER_TODO_BLOB = 1 << 1,
	LEDGER_TODO_NO_BLOB = 1 << 2,
	LEDGER_TODO_HANDOUTS = 1 << 3
};

struct ledger_name;

/* one row id */
struct ledger_entry {
	int64_t id;
	struct map_link by_id;
	struct list link;	  /* of removed ones that the database may have */
	struct ledger_item *item; /* NULL: removed */
	struct ledger_name *name; /* NULL: removed */
	unsigned todo;
	uint64_t seq; /* of the removal */
	bool in_db;   /* or may be */
	bool logged;  /* the posting can undo it */
};

struct ledger_name {
	struct map_link by_name;
	struct list link;		   /* dirty, or lru */
	struct ledger_order_link in_order; /* when it is dirty and has a row */
	struct ledger_entry *entry;	   /* NULL: no row has the name */
	uint64_t seq;			   /* of the last change */
	bool clean, logged;
	const char *path; /* behind root */
	char root[];
};

/* an object's place in the unstored list: added or taken away since the last flush */
struct ledger_offer {
	bool stored;
	uint64_t seq;
	struct ledger_handout object;
};

struct ledger_change_log;

struct ledger_table {
	struct ledger_db reader;
	struct map ids, names, objects;
	struct list dirty, removed; /* in order of their sequences */
	struct ledger_order order;  /* dirty names that have a row */
	struct list lru;	    /* longest unused first */
	size_t n_lru, bytes;
	int64_t top_id; /* no row has a larger one */
	bool bypass;	/* a tree is being changed in the database: nothing may be kept here */
	struct {	/* of the posting that is being applied */
		struct ledger_change_log *undo;
		size_t n_undo, cap_undo, n_offers;
		struct ledger_gone gone;
	};
	struct {
		struct ledger_offer *v;
		size_t n, cap;
	} offers;
	struct ledger_ns ns;
};

/* ledger_table_init - t->reader is open, the rest zeroed; -ENOMEM */
int ledger_table_init(struct ledger_table *t);
/* ledger_table_done - with the reader; t may be zeroed */
void ledger_table_done(struct ledger_table *t);

/* ledger_table_name - the name's entry in the table, loaded when it was not there */
int ledger_table_name(struct ledger_table *t, const char *root, const char *path,
		      struct ledger_name **out);
/* ledger_table_entry - of a live row: 0, -ENOENT */
int ledger_table_entry(struct ledger_table *t, int64_t id, struct ledger_entry **out);
/* ledger_table_known - the name or id if the table has it; NULL: ask the database */
struct ledger_name *ledger_table_known_name(struct ledger_table *t, const char *root,
					    const char *path);
struct ledger_entry *ledger_table_known_id(struct ledger_table *t, int64_t id);
/* ledger_table_naming - an item whose row names the object, NULL: none in the table */
const struct ledger_item *ledger_table_naming(struct ledger_table *t,
					      const struct ledger_handout *object);

/* ledger_table_trim - the cache back to its size; what was found before may be gone then */
void ledger_table_trim(struct ledger_table *t);
/* ledger_table_flushed - the database has everything up to seq */
void ledger_table_flushed(struct ledger_table *t, uint64_t seq);
/* ledger_table_drop - forget everything; nothing may be dirty */
void ledger_table_drop(struct ledger_table *t);

/* for ledger_change.c: ledger_table_show / _hide - the item counts, and is found by its objects; NULL is
 * fine */
void ledger_table_show(struct ledger_table *t, struct ledger_item *it);
void ledger_table_hide(struct ledger_table *t, struct ledger_item *it);
/* ledger_table_clean / _soil - to the end of the one list or the other */
void ledger_table_clean(struct ledger_table *t, struct ledger_name *n);
void ledger_table_soil(struct ledger_table *t, struct ledger_name *n);
/* ledger_table_entry_new / _free - in the map of ids; NULL when out of memory */
struct ledger_entry *ledger_table_entry_new(struct ledger_table *t, int64_t id);
void ledger_table_entry_free(struct ledger_table *t, struct ledger_entry *e);

#endif
