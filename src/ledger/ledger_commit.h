/*
 * ledger_commit.h - the transactions that the writer makes
 *
 * Threads: the writer's, or the opening one before it runs; they take the writer's lock themselves.
 * Blocks: on the database file. Errors: negative errno; then nothing of the transaction is there.
 */
#ifndef LEDGER_LEDGER_COMMIT_H
#define LEDGER_LEDGER_COMMIT_H

#include "ledger/ledger_writer.h"

/* ledger_commit_flush - everything that was posted before the call is in the database afterwards */
int ledger_commit_flush(struct ledger_writer *w);
/* ledger_commit_tree - flush, then the one change of p, in the journal and the database. Nobody may post
 * meanwhile (w->held). seq: 0, or that of the record it is replayed from; the rows that went: p's */
int ledger_commit_tree(struct ledger_writer *w, const struct ledger_change *c, uint64_t seq,
		       struct ledger_gone *out_gone);
/* ledger_commit_root - as ledger_commit_tree for DROP_ROOT and NS_FORGET, in many transactions: tell is
 * called after each with the rows that went, and takes them */
struct ledger_commit_root {
	const struct ledger_change *change;
	uint64_t seq;
	void (*tell)(struct ledger_writer *w, struct ledger_gone *take_gone);
};
int ledger_commit_root(struct ledger_writer *w, const struct ledger_commit_root *r);
/* ledger_commit_cut - what the database has for good leaves the journal; all: nobody posts, and what was
 * flushed is safe */
void ledger_commit_cut(struct ledger_writer *w, bool all);
/* ledger_commit_load - what a writer must know before it begins: counters, ids, the journal's number */
int ledger_commit_load(struct ledger_writer *w, int64_t *out_ledger);
/* ledger_commit_open_mark - from now on the end is unclean; _closed: nothing was lost or left over */
int ledger_commit_open_mark(struct ledger_writer *w);
void ledger_commit_closed_mark(struct ledger_writer *w);

#endif
