/*
 * infer/limit.c - places of a backend and the queue before them
 */
#include <errno.h>

#include "infer/limit.h"

#include "base/banned.h"

void limit_init(struct limit *l, struct limit_queue *queue, unsigned max)
{
	l->queue = queue;
	l->max = max ? max : 1;
	l->in = 0;
	l->waiting = 0;
	l->filled = 0;
	for (unsigned i = 0; i < LIMIT_LEVELS; i++)
		list_init(&l->levels[i]);
}

void limit_waiter_init(struct limit_waiter *w, int priority)
{
	int level = priority - LIMIT_PRIORITY_MIN;

	if (level < 0)
		level = 0;
	if (level >= LIMIT_LEVELS)
		level = LIMIT_LEVELS - 1;
	list_init(&w->link);
	w->arrival = 0;
	w->level = (unsigned)level;
	w->unbounded = false;
	w->state = LIMIT_OUT;
}

/* From behind: a new one is the latest, one that comes again passes those that came after it. */
static void enqueue(struct limit *l, struct limit_waiter *w)
{
	struct list *head = &l->levels[w->level], *after = head->prev;

	while (after != head && LIST_ENTRY(after, struct limit_waiter, link)->arrival > w->arrival)
		after = after->prev;
	list_append(after->next,
		    &w->link); /* appending to the next one's ring is inserting before it */
	l->filled |= 1ull << w->level;
	l->waiting++;
	l->queue->waiting += !w->unbounded;
	w->state = LIMIT_WAITING;
}

static void dequeue(struct limit *l, struct limit_waiter *w)
{
	list_del(&w->link);
	if (list_empty(&l->levels[w->level]))
		l->filled &= ~(1ull << w->level);
	l->waiting--;
	l->queue->waiting -= !w->unbounded;
	w->state = LIMIT_OUT;
}

static int take_place(struct limit *l, struct limit_waiter *w)
{
	if (l->in >= l->max)
		return -EINPROGRESS;
	l->in++;
	w->state = LIMIT_IN;
	return 0;
}

/* Full is full only when there is no free place either. */
int limit_enter(struct limit *l, struct limit_waiter *w)
{
	if (!w->unbounded && l->in >= l->max && l->queue->waiting >= l->queue->max)
		return -ENOBUFS;
	w->arrival = ++l->queue->arrivals;
	if (take_place(l, w) == 0)
		return 0;
	enqueue(l, w);
	return -EINPROGRESS;
}

int limit_again(struct limit *l, struct limit_waiter *w)
{
	if (take_place(l, w) == 0)
		return 0;
	enqueue(l, w);
	return -EINPROGRESS;
}

/* The place is handed over, never free for a moment: a new arrival cannot slip in. */
struct limit_waiter *limit_leave(struct limit *l, struct limit_waiter *w)
{
	enum limit_state was = w->state;

	if (was == LIMIT_WAITING)
		dequeue(l, w);
	if (was != LIMIT_IN)
		return NULL;
	w->state = LIMIT_OUT;
	l->in--;
	return limit_next(l);
}

void limit_set_max(struct limit *l, unsigned max)
{
	l->max = max ? max : 1;
}

struct limit_waiter *limit_next(struct limit *l)
{
	struct limit_waiter *next;

	if (!l->filled || l->in >= l->max)
		return NULL;
	next = LIST_ENTRY(l->levels[__builtin_ctzll(l->filled)].next, struct limit_waiter, link);
	dequeue(l, next);
	l->in++;
	next->state = LIMIT_IN;
	return next;
}
