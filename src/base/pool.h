/*
 * pool.h - a few threads for blocking work, with a bounded queue
 *
 *   1. pool_new        n threads, at most max_queued tasks waiting
 *   2. pool_post       a task: run once on one thread; tasks are embedded, nothing is allocated
 *   3. pool_stop       no new tasks; queued ones are still run; joins
 *
 * Threads: any may post. Blocks: only pool_stop.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

#include "base/list.h"

struct pool;
struct pool_task {
	struct list link;
	void (*run)(struct pool_task *t); /* may free t */
};

/* pool_new - NULL when out of memory or threads */
struct pool *pool_new(const char *name, unsigned n_threads, size_t max_queued);
/* pool_post - 0, -EAGAIN (queue full), -ESHUTDOWN */
int pool_post(struct pool *p, struct pool_task *t);
/* pool_quiet - run what is queued, join; whoever posts now is told -ESHUTDOWN, until pool_stop */
void pool_quiet(struct pool *p);
/* pool_stop - run what is queued, join, free; returns NULL; p may be NULL */
struct pool *pool_stop(struct pool *p);

#endif
