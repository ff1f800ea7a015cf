/*
 * jobs/batchjob_stage.h - what a line still lacks goes into a batch
 *
 *   1. batchjob_stage           its missing samples are lines of a batch that is being gathered
 *   2. batchjob_stage_hand_in   the batch is full, or the file was read to its end
 *
 * Private to jobs/. Threads: the job's turn. Blocks: on the disk.
 */
#ifndef JOBS_BATCHJOB_STAGE_H
#define JOBS_BATCHJOB_STAGE_H

#include "jobs/batchjob.h"

enum batchjob_how {
	BATCHJOB_IS_MISSING,
	BATCHJOB_IS_COMING,
	BATCHJOB_IS_STORED,
	BATCHJOB_IS_BROUGHT, /* a batch has it */
	BATCHJOB_IS_REFUSED
};

/* one sample that a line is to have */
struct batchjob_want {
	struct batchjob_sample s;
	enum batchjob_how how;
	struct ledger_handout object; /* brought */
	bool bought, kept;
};

struct batchjob_wants {
	struct bulk *k;
	const struct checked *c;
	const struct bulk_text *text; /* of the line */
	struct batchjob_want *v;
	unsigned n;
	struct err e; /* why one failed */
};

/* batchjob_stage - those that are BATCHJOB_IS_MISSING: 0; 1 the line cannot be handed in: w->e; -errno */
int batchjob_stage(struct batchjob_wants *w);
/* batchjob_stage_hand_in - it has a row from now on, and goes its way; 0 or -errno: later */
int batchjob_stage_hand_in(struct batchjob *x);
/* batchjob_stage_usable - could its backend take it in a batch? 0 or -errno */
int batchjob_stage_usable(struct broker *b, const struct checked *c, struct err *e);

#endif
