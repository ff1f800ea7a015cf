/*
 * ledger.h - what must survive: requests and their outcome, hand-outs of samples, counters
 *
 *   1. ledger_open     makes or opens DIR/ledger.db (SQLite, WAL), applies what DIR/ledger.journal.0 and
 *                      .1 hold beyond it
 *   2. ledger_post     a transaction's worth of changes: one append to the journal; done() is called when
 *                      it is recorded, mostly before ledger_post returns
 *      ledger_find ... reads what has been recorded, also what the database does not have yet
 *   3. ledger_close    brings everything to the database and empties the journal
 *
 * A row of `requests` is one accepted (or refused) request under a name. Names are (root, path): root
 * "" is the mount's own prompts/, "NAME" a namespace's; path is the file's path below it without
 * the suffix ("any/sky").
 * Durability: after done() kill -9 changes nothing: the record is in the kernel. Power loss: EACH, nothing
 * either, done() waits for the disk; GROUP, the last fraction of a second may be gone (the file system is
 * synced again and again, answers/ with it); NONE, what the kernel had not written. What is left is whole
 * in all three, and nothing is there that came after something missing. Open it after a fork, not before.
 * Threads: any. Blocks: reads on the database file (page cache), posts on one write to the page cache,
 * open and close on the disk.
 * Errors: negative errno.
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "core/key.h"
#include "ledger/ledger_given.h"

struct ledger;

enum ledger_durability { LEDGER_GROUP, LEDGER_EACH, LEDGER_NONE };

/* order of life; accepted rows are finished after a crash */
enum ledger_state {
	LEDGER_REFUSED = 1, /* failed at the check; has an error, no request */
	LEDGER_ACCEPTED,    /* recorded; not final */
	LEDGER_DONE,
	LEDGER_FAILED,
	LEDGER_CANCELLED,
	LEDGER_DISMISSED /* the response was removed; its prompt stays and is not sent again until written */
};

/* one request; strings are owned by the row (ledger_row_done). NULL strings: absent */
struct ledger_row {
	int64_t id;   /* 0: not yet */
	uint32_t gen; /* raised by every rename: contents that name the path changed */
	enum ledger_state state;
	char *root, *path, *suffix; /* suffix with its dot, ".json" */
	bool has_key;
	struct key key;
	struct key file_sha; /* of the accepted bytes of the file */
	int n;
	int cache_mode; /* enum request_cache */
	char *envelope; /* compact JSON by jobs/: request_id, timeout, ttl, priority, ... */
	char *facts;	/* compact JSON by jobs/: outcome; NULL before */
	char *error;	/* error.json text; NULL unless refused, failed, cancelled */
	uint64_t accepted_ns, final_ns; /* CLOCK_REALTIME */
	uint64_t text_bytes;		/* of the file `text` when done */
};
void ledger_row_done(struct ledger_row *r);

/* a sample that a request was given */
struct ledger_handout {
	int64_t request; /* row id */
	uint32_t pos;	 /* 0..n-1 */
	struct key key;
	uint32_t index; /* the key's own index */
	uint32_t
		variant; /* which object of that name in answers/: 0 first, 1.. after it was bought anew */
	bool cached, duplicated;
};

/* the counters of stats/summary.json; what a transaction adds */
enum ledger_counter {
	LEDGER_C_REQUESTS,
	LEDGER_C_CACHE_HITS,
	LEDGER_C_REFUSED,
	LEDGER_C_FAILED,
	LEDGER_C_CANCELLED,
	LEDGER_C_RETRIED,
	LEDGER_C_CALLS,
	LEDGER_C_SAMPLES,
	LEDGER_C_SAMPLES_CACHED,
	LEDGER_C_SAMPLES_FRESH,
	LEDGER_C_SAMPLES_DUPLICATED,
	LEDGER_C_TOKENS_INPUT,
	LEDGER_C_TOKENS_OUTPUT,
	LEDGER_C_UNPRICED,
	LEDGER_C_COST_NANO_USD,
	LEDGER_C_SAVED_CACHE_NANO_USD,
	LEDGER_C_SAVED_DEDUP_NANO_USD,
	LEDGER_COUNTERS
};

enum ledger_op {
	LEDGER_OP_PUT, /* insert row (id chosen beforehand by ledger_next_id); any other row of the same
			    * (root, path) is removed with its hand-outs: the takeover */
	LEDGER_OP_FINISH, /* state, facts, error, final_ns, text_bytes of row.id; handouts; the request
			    * blob goes when DONE. A row that is gone stays gone: no failure */
	LEDGER_OP_REMOVE, /* row.id and its hand-outs */
	LEDGER_OP_MOVE, /* alone in its posting: (root, path) -> (to_root, to_path), gen + 1; the target's old
			    * row goes, also when the source has none; row.suffix, unless NULL, is the new suffix */
	LEDGER_OP_MOVE_TREE, /* alone in its posting: every row below directory path/ ("" all of root) -> to_path/, gen + 1;
			      * old rows below the target go; -EINVAL into itself */
	LEDGER_OP_SWAP,	     /* alone in its posting: two paths exchange their rows, gen + 1 */
	LEDGER_OP_SWAP_TREE, /* alone in its posting: two directories exchange all rows below them */
	LEDGER_OP_UNSTORED,  /* the engine has not taken (key, index, variant) yet */
	LEDGER_OP_STORED,    /* now it has */
	LEDGER_OP_DROP,	     /* the row of (root, path) and its hand-outs, if there is one */
	LEDGER_OP_GIVE,	     /* give */
	LEDGER_OP_NS_COUNT,  /* ns_count */
	/* alone in their posting: all rows of root, which is not "". They go some hundred at a time in order of
	 * their paths, each time told to the watch; readers see the others meanwhile, postings wait. Recorded, it
	 * is finished after a crash; a failure may leave some: post it again. NS_FORGET: then the
	 * hand-outs and counters of the namespace called root, at once */
	LEDGER_OP_DROP_ROOT,
	LEDGER_OP_NS_FORGET
};

struct ledger_change {
	enum ledger_op op;
	struct ledger_row row; /* strings borrowed until done(); PUT, FINISH, REMOVE (id) */
	const char *request;   /* PUT: canonical request bytes, kept until done; NULL: none */
	size_t request_len;
	const char *root, *path, *to_root, *to_path;
	const struct ledger_handout *handouts; /* PUT of a done row, FINISH */
	size_t n_handouts;
	struct ledger_handout object; /* UNSTORED, STORED: key, index, variant */
	struct ledger_given_change give;
	struct ledger_given_count ns_count;
};

struct ledger_item;

/* one posting: all of its changes are recorded, or none */
struct ledger_post {
	struct list link;	       /* private */
	struct ledger_change *changes; /* the caller's, until done() */
	size_t n_changes;
	/* done - called on the posting thread or the ledger's when it is recorded, no lock held; result 0 or
	 * -errno (-ENOSPC ...: nothing of this posting was recorded; EACH: -EIO also when it could not be
	 * synced). May free the posting. */
	void (*done)(struct ledger_post *p, int result);
	struct ledger_gone {
		struct ledger_item **v;
		size_t n, cap;
	} gone; /* private */
};

/* a row that a posting removed, with its hand-outs, borrowed; root NULL: hand-outs of a FINISH whose row
 * had gone before */
typedef void ledger_gone_fn(void *arg, const struct ledger_row *row, const struct ledger_handout *h,
			    size_t n);

struct ledger_options {
	const char *dir; /* the state directory, absolute */
	enum ledger_durability durability;
};

/* ledger_open - makes dir (0700) when absent, takes dir/lock, opens or makes dir/ledger.db (0600)
 *
 * Errors: -EBUSY another daemon has the directory, -EINVAL ledger.db or a journal is damaged or not ours (it
 * is left as it is), -EOPNOTSUPP written by a newer version; -ENOSPC, -EROFS ... all with a sentence */
int ledger_open(const struct ledger_options *o, struct ledger **out, struct err *e);
/* ledger_close - commits what is queued; NULL is fine; returns NULL */
struct ledger *ledger_close(struct ledger *l);

/* ledger_next_id - a row id never used before, also not before a crash; no disk access */
int64_t ledger_next_id(struct ledger *l);
/* ledger_post - record it; done() is always called, even when the ledger is closing (-ESHUTDOWN). The
 * caller holds no lock, and touches nothing afterwards that done() may free */
void ledger_post(struct ledger *l, struct ledger_post *p);
/* ledger_watch - fn is told of every row that goes, before the posting's done(), on the same thread, no
 * lock held; set before the first posting */
void ledger_watch(struct ledger *l, ledger_gone_fn *fn, void *arg);
/* ledger_count - add to counters; written with the next record, or within a second */
void ledger_count(struct ledger *l, enum ledger_counter c, int64_t add);
/* ledger_counters - totals with what is not yet written */
void ledger_counters(struct ledger *l, int64_t out[LEDGER_COUNTERS]);

/* what ledger_open found */
struct ledger_past {
	bool unclean;	     /* the last one was not closed, or ledger_unswept was said */
	uint64_t torn_bytes; /* of a record that was being written when the daemon died */
	uint64_t lost;	     /* records behind one that a power failure took */
};
void ledger_past(const struct ledger *l, struct ledger_past *out);
/* ledger_unswept - objects of rows that went are left over: whoever opens it next shall look for them */
void ledger_unswept(struct ledger *l);

/* ledger_find - the row of a name: 0, -ENOENT; fills out (free with ledger_row_done) */
int ledger_find(struct ledger *l, const char *root, const char *path, struct ledger_row *out);
/* ledger_get - the row of an id: 0, -ENOENT */
int ledger_get(struct ledger *l, int64_t id, struct ledger_row *out);
/* ledger_request - the canonical request bytes kept with an unfinished or failed row: malloc'd */
int ledger_request(struct ledger *l, int64_t id, char **out, size_t *out_len);
/* ledger_handouts - malloc'd array in pos order */
int ledger_handouts(struct ledger *l, int64_t id, struct ledger_handout **out, size_t *out_n);
/* ledger_named - does any response name this object (key, index, variant)? 1, 0, -errno */
int ledger_named(struct ledger *l, const struct key *key, uint32_t index, uint32_t variant);
/* ledger_next_child - rows of the directory `dir` ("" top) whose next path component sorts after `after`;
 * for readdir: fills out with the next row that lies directly in dir: 0 or -ENOENT */
int ledger_next_child(struct ledger *l, const char *root, const char *dir, const char *after,
		      struct ledger_row *out);
/* ledger_ns_counters - zeros when there is no such namespace */
int ledger_ns_counters(struct ledger *l, const char *ns, int64_t out[LEDGER_NS_COUNTERS]);
/* ledger_each_accepted - every row that is not final, in order of acceptance; fn gets a row it may keep
 * (it then owns the strings and zeroes the struct) */
int ledger_each_accepted(struct ledger *l, void (*fn)(struct ledger_row *r, void *arg), void *arg);
/* ledger_each_unstored - in order of offering */
int ledger_each_unstored(struct ledger *l, void (*fn)(const struct ledger_handout *h, void *arg),
			 void *arg);

#endif
