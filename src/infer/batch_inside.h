/*
 * infer/batch_inside.h - what a call of one step is made of
 *
 * Private to batch.c, which opens and ends calls, and batch_step.c, which sends and tries again.
 * Threads: the loop thread, but for what is marked lock.
 */
#ifndef INFER_BATCH_INSIDE_H
#define INFER_BATCH_INSIDE_H

#include "base/lock.h"
#include "infer/batch_api.h"
#include "infer/retry.h"
#include "net/ndjson.h"

enum { BATCH_BEGIN = 1 << 0, BATCH_STOP = 1 << 1, BATCH_GO_ON = 1 << 2 };

/* one backend */
struct batch_shop {
	const struct backend_config *config;
	const struct batch_api *api;	      /* NULL: it has no batches */
	struct http_target *ours, *strangers; /* strangers get no key */
};

struct batch {
	struct loop *loop;
	struct http *http;
	struct lock lock;
	struct batch_shop *shops;
	size_t n;
	struct list calls; /* lock: not over */
	struct list over;  /* lock: their control task is still to run */
	bool ending;	   /* lock */
	uint64_t random;
};

struct batch_call {
	struct list link; /* lock */
	struct batch *batch;
	const struct batch_shop *shop;
	struct batch_order order;
	struct batch_result result;
	struct batch_walk walk;
	struct {
		struct loop_task task;
		unsigned wanted; /* lock */
		bool posted;	 /* lock */
		bool over;	 /* lock */
	} control;
	/* one request on its way */
	struct batch_ask ask;
	struct http_transfer *transfer;
	struct loop_timer pause;
	struct retry retry;
	struct {
		int status, rc, read_errno;
		struct ndjson lines;
		struct buf body;
	} in;
	unsigned hops; /* redirections followed */
};

/* batch_over - the step is over, e NULL: well; c is gone afterwards */
void batch_over(struct batch_call *c, const struct err *e);
/* batch_step_begin - the first request */
void batch_step_begin(struct batch_call *c);
/* batch_step_go_on - the caller has room for lines again; c may be gone afterwards */
void batch_step_go_on(struct batch_call *c);
/* batch_step_drop - no timer and no transfer knows c any more, and its memory is free */
void batch_step_drop(struct batch_call *c);

#endif
