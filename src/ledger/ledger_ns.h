/*
 * ledger_ns.h - what namespaces handed out and counted, as far as the database does not have it yet
 *
 *   1. ledger_ns_give, _count    as often as a posting needs; then ledger_ns_keep, or ledger_ns_undo
 *   2. ledger_ns_take            the flush takes all of it (the lock held), ledger_ns_db_write writes it
 *      ledger_ns_flushed         what the database has is forgotten
 *   3. ledger_ns_done
 *
 * Hand-outs are only ever added here: what changes old ones (renames) works in the database when nothing
 * is here. Threads: the table's owner's lock. Blocks: _count, _file read the database. Errors: negative
 * errno; the posting is then to be undone as a whole.
 */
#ifndef LEDGER_LEDGER_NS_H
#define LEDGER_LEDGER_NS_H

#include "base/list.h"
#include "base/map.h"
#include "ledger/ledger_db.h"

/* those of the same request id, or those that use the same key */
struct ledger_ns_group {
	struct map_link by_name;
	struct list members; /* in order of recording */
	struct key key;
	const char *id; /* behind ns; NULL: uses of the key */
	char ns[];
};

struct ledger_ns_use {
	struct list in_group;
	struct ledger_ns_group *group; /* whose key is the sample's */
	uint32_t index;
};

/* one GIVE; does not change once it is made */
struct ledger_ns_give {
	struct list link; /* of all, in order of recording */
	struct list in_group;
	struct ledger_ns_group *group;
	uint64_t seq;		 /* 0: its posting is not recorded yet */
	const char *root, *path; /* NULL: the user's own id */
	uint32_t pos;
	size_t n;
	struct ledger_ns_use use[]; /* of pos, pos + 1 ... */
};

struct ledger_ns_sum {
	struct map_link by_ns;
	struct list link; /* in order of seq */
	uint64_t seq;
	int64_t totals[LEDGER_NS_COUNTERS];
	char ns[];
};

enum { LEDGER_NS_FILES = 512 };

struct ledger_ns {
	struct map groups, sums;
	struct list gives, counted;
	size_t n_gives, n_sums;
	bool rooted; /* some id may be made of a file */
	/* how many gives here have an id that is made of a file with this hash, so that renames of others
	 * need not look */
	uint32_t files[LEDGER_NS_FILES];
	struct ledger_ns_log *log; /* the counts of the posting that is being applied */
	size_t n_log, cap_log;
};

/* ledger_ns_init - ns is zeroed; nothing can fail */
void ledger_ns_init(struct ledger_ns *ns);
void ledger_ns_done(struct ledger_ns *ns);

/* ledger_ns_give - -EINVAL for what names no namespace, id, or file that the id is not made of */
int ledger_ns_give(struct ledger_ns *ns, const struct ledger_given_change *c);
int ledger_ns_count(struct ledger_ns *ns, struct ledger_db *db, const struct ledger_given_count *c);
/* ledger_ns_any - the posting has changed anything here */
bool ledger_ns_any(const struct ledger_ns *ns);
void ledger_ns_keep(struct ledger_ns *ns, uint64_t seq);
void ledger_ns_undo(struct ledger_ns *ns);
/* ledger_ns_file - an id is made of this file, here or in the database: renaming it is work for the
 * database; true also when that cannot be read */
bool ledger_ns_file(struct ledger_ns *ns, struct ledger_db *db, const char *root, const char *path);

/* what a flush brings to the database */
struct ledger_ns_batch {
	const struct ledger_ns_give **gives; /* live until _flushed */
	size_t n;
	struct ledger_ns_batch_sum {
		const char *ns;
		int64_t totals[LEDGER_NS_COUNTERS];
	} * sums;
	size_t n_sums;
};

/* ledger_ns_take - 0 or -ENOMEM; ledger_ns_batch_done frees it */
int ledger_ns_take(const struct ledger_ns *ns, struct ledger_ns_batch *out);
void ledger_ns_batch_done(struct ledger_ns_batch *b);
void ledger_ns_flushed(struct ledger_ns *ns, uint64_t seq);

/* ledger_ns_group_of - id NULL: of those that use key; NULL: none */
const struct ledger_ns_group *ledger_ns_group_of(const struct ledger_ns *ns, const char *name,
						 const struct key *key, const char *id);
const struct ledger_ns_sum *ledger_ns_sum_of(const struct ledger_ns *ns, const char *name);

#endif
