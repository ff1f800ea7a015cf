/*
 * jobs/bulks.h - what the broker knows of its jobs of many lines
 *
 * Private to jobs/. Threads: the broker's lock. Blocks: never.
 */
#ifndef JOBS_BULKS_H
#define JOBS_BULKS_H

#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"

struct bulks {
	struct list live;    /* struct bulk whose end is not recorded, or whose lines still run */
	struct list batches; /* batchjob.h */
	struct list drops;   /* lines whose job went, until they are gone */
	struct list claims;  /* lines that a job on its way to the ledger takes over */
	struct map homes;    /* id of lines -> id of their job */
	unsigned working; /* turns and checks on the pool; infer must not go before they are over */
	struct cond idle;
};

#endif
