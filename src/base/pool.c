/*
 * pool.c - a few threads for blocking work
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/pool.h"

#include "base/banned.h"

struct pool {
	struct lock lock; /* guards queue, n_queued, stopping */
	struct cond more;
	struct list queue;
	size_t n_queued, max_queued;
	bool stopping;
	unsigned n_threads;
	struct thread threads[];
};

/* The next task, or NULL when the pool stops and nothing is left. */
static struct pool_task *next_task(struct pool *p)
{
	struct list *l;

	LOCK_SCOPE(&p->lock);
	while (list_empty(&p->queue) && !p->stopping)
		cond_wait(&p->more, &p->lock);
	l = list_pop(&p->queue);
	if (!l)
		return NULL;
	p->n_queued--;
	return LIST_ENTRY(l, struct pool_task, link);
}

static void *work(void *arg)
{
	struct pool *p = arg;
	struct pool_task *t;

	while ((t = next_task(p)))
		t->run(t); /* may free t */
	return NULL;
}

struct pool *pool_new(const char *name, unsigned n_threads, size_t max_queued)
{
	struct pool *p = calloc(1, sizeof(*p) + n_threads * sizeof(p->threads[0]));

	if (!p)
		return NULL;
	lock_init(&p->lock, LOCK_LEAF);
	cond_init(&p->more);
	list_init(&p->queue);
	p->max_queued = max_queued;
	for (; p->n_threads < n_threads; p->n_threads++)
		if (thread_start(&p->threads[p->n_threads], name, work, p))
			return pool_stop(p);
	return p;
}

int pool_post(struct pool *p, struct pool_task *t)
{
	LOCK_SCOPE(&p->lock);
	if (p->stopping)
		return -ESHUTDOWN;
	if (p->n_queued >= p->max_queued)
		return -EAGAIN;
	list_append(&p->queue, &t->link);
	p->n_queued++;
	cond_signal(&p->more);
	return 0;
}

static void tell_stop(struct pool *p)
{
	LOCK_SCOPE(&p->lock);
	p->stopping = true;
	cond_broadcast(&p->more);
}

void pool_quiet(struct pool *p)
{
	tell_stop(p);
	for (unsigned i = 0; i < p->n_threads; i++)
		thread_join(&p->threads[i]);
	p->n_threads = 0;
}

struct pool *pool_stop(struct pool *p)
{
	if (!p)
		return NULL;
	pool_quiet(p);
	cond_done(&p->more);
	lock_done(&p->lock);
	free(p);
	return NULL;
}
