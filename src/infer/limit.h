/*
 * infer/limit.h - so many calls at once per backend; the others wait by priority, then arrival
 *
 * A waiter is embedded in its call:
 *   1. limit_waiter_init
 *   2. limit_enter        in at once, or waiting, or refused
 *   3. limit_again        a call that let its place go during a pause asks for one again; never refused
 *   4. limit_leave        from either state; the place goes to the returned waiter
 *
 * The queue's bound is shared by all backends of one limit_queue.
 * Threads: the caller's lock over all limits of one queue. Blocks: never.
 */
#ifndef INFER_LIMIT_H
#define INFER_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum { LIMIT_LEVELS = 40, LIMIT_PRIORITY_MIN = -20 };
enum limit_state { LIMIT_OUT, LIMIT_WAITING, LIMIT_IN };

struct limit_queue {
	size_t waiting, max; /* over all backends */
	uint64_t arrivals;
};

struct limit_waiter {
	struct list link;
	uint64_t arrival; /* 0: never entered */
	unsigned level;
	bool unbounded; /* set after init: waits without filling the queue, and is never refused */
	enum limit_state state;
};

struct limit {
	struct limit_queue *queue;
	unsigned max, in;
	size_t waiting;
	uint64_t filled; /* bit n: level n is not empty */
	struct list levels[LIMIT_LEVELS];
};

/* limit_init - max calls at once (0 is 1); queue is borrowed */
void limit_init(struct limit *l, struct limit_queue *queue, unsigned max);
/* limit_waiter_init - priority -20..19, lower first; others are clamped */
void limit_waiter_init(struct limit_waiter *w, int priority);
/* limit_enter - 0: in; -EINPROGRESS: waiting; -ENOBUFS: the queue is full, w stays out */
int limit_enter(struct limit *l, struct limit_waiter *w);
/* limit_again - as limit_enter, at its old place in the queue, without the bound; 0 or -EINPROGRESS */
int limit_again(struct limit *l, struct limit_waiter *w);
/* limit_leave - w is out; the waiter that is in instead, or NULL; harmless when it was out */
struct limit_waiter *limit_leave(struct limit *l, struct limit_waiter *w);
/* limit_set_max - fewer: those that are in stay; more: limit_next gives the new places away, one at a call */
void limit_set_max(struct limit *l, unsigned max);
/* limit_next - the next waiter, now in; NULL: nobody waits, or there is no place */
struct limit_waiter *limit_next(struct limit *l);

#endif
