/*
 * net/loop.c - epoll, one eventfd for posted tasks, a heap of timers
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/mono.h"
#include "net/loop.h"

#include "base/banned.h"

enum { BATCH_MAX = 128, TIMERS_MAX = 1 << 22 };

struct loop {
	struct lock lock; /* tasks, woken */
	struct list tasks;
	bool woken; /* the eventfd is set or the loop will look at tasks before it sleeps */
	atomic_bool stopping;
	int epoll_fd, wake_fd;
	bool no_pwait2;
	struct thread thread;
	struct loop_timer **heap; /* from 1; heap[0] is unused */
	uint32_t n_heap, cap_heap;
	struct epoll_event batch[BATCH_MAX];
	int n_batch;
};

static __thread const struct loop *this_loop;

bool loop_on_thread(const struct loop *l)
{
	return this_loop == l;
}

/* ---- timers: a binary heap, the earliest at 1 ---- */

static void heap_put(struct loop *l, uint32_t pos, struct loop_timer *t)
{
	l->heap[pos] = t;
	t->heap_pos = pos;
}

/* A hole travels up; the timer is written once, at the end. */
static void heap_up(struct loop *l, uint32_t pos)
{
	struct loop_timer *t = l->heap[pos];

	for (; pos > 1 && l->heap[pos / 2]->due_ns > t->due_ns; pos /= 2)
		heap_put(l, pos, l->heap[pos / 2]);
	heap_put(l, pos, t);
}

static void heap_down(struct loop *l, uint32_t pos)
{
	struct loop_timer *t = l->heap[pos];

	for (;;) {
		uint32_t child = pos * 2;

		if (child > l->n_heap)
			break;
		if (child < l->n_heap && l->heap[child + 1]->due_ns < l->heap[child]->due_ns)
			child++;
		if (l->heap[child]->due_ns >= t->due_ns)
			break;
		heap_put(l, pos, l->heap[child]);
		pos = child;
	}
	heap_put(l, pos, t);
}

/* Doubling, so that arming costs nothing on average; the wall stops a leak of timers, not a
 * crowd. */
static int heap_grow(struct loop *l)
{
	uint32_t cap = l->cap_heap ? l->cap_heap * 2 : 64;
	struct loop_timer **p;

	if (l->n_heap + 1 < l->cap_heap)
		return 0;
	if (cap > TIMERS_MAX)
		return -ENOMEM;
	p = realloc(l->heap, cap * sizeof(struct loop_timer *));
	if (!p)
		return -ENOMEM;
	l->heap = p;
	l->cap_heap = cap;
	return 0;
}

int loop_timer_arm(struct loop *l, struct loop_timer *t, uint64_t due_ns)
{
	int rc;

	assert(loop_on_thread(l));
	if (!t->heap_pos) {
		rc = heap_grow(l);
		if (rc)
			return rc;
		t->due_ns = due_ns;
		heap_put(l, ++l->n_heap, t);
	}
	t->due_ns = due_ns;
	heap_up(l, t->heap_pos);
	heap_down(l, t->heap_pos);
	return 0;
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	uint32_t pos = t->heap_pos;
	struct loop_timer *last;

	if (!pos)
		return;
	assert(loop_on_thread(l));
	t->heap_pos = 0;
	last = l->heap[l->n_heap--];
	if (last == t)
		return;
	heap_put(l, pos, last);
	heap_up(l, pos);
	heap_down(l, last->heap_pos);
}

/* At most as many as are armed now: one that arms itself again for now must not starve the rest. */
static void run_timers(struct loop *l)
{
	uint64_t now = l->n_heap ? mono_ns() : 0;

	for (uint32_t n = l->n_heap; n && l->n_heap && l->heap[1]->due_ns <= now; n--) {
		struct loop_timer *t = l->heap[1];

		loop_timer_cancel(l, t);
		t->fire(t);
		if (atomic_load_explicit(&l->stopping, memory_order_relaxed))
			return;
	}
}

/* ---- tasks ---- */

int loop_post(struct loop *l, struct loop_task *t)
{
	static const uint64_t one = 1;
	bool wake;

	lock_take(&l->lock);
	if (atomic_load_explicit(&l->stopping, memory_order_relaxed)) {
		lock_drop(&l->lock);
		return -ESHUTDOWN;
	}
	list_append(&l->tasks, &t->link);
	wake = !l->woken && !loop_on_thread(l); /* the loop itself looks before it sleeps */
	if (wake)
		l->woken = true;
	lock_drop(&l->lock);
	if (wake && write(l->wake_fd, &one, sizeof(one)) < 0)
		return 0; /* EAGAIN: the counter is full, so the loop wakes anyway */
	return 0;
}

/* One splice per round: a task that posts itself again waits for timers and descriptors. */
static void run_tasks(struct loop *l)
{
	struct list mine = LIST_INIT(mine);
	struct list *e;

	lock_take(&l->lock);
	list_move_all(&mine, &l->tasks);
	lock_drop(&l->lock);
	while (!atomic_load_explicit(&l->stopping, memory_order_relaxed) && (e = list_pop(&mine))) {
		struct loop_task *t = LIST_ENTRY(e, struct loop_task, link);

		t->run(t);
	}
	while (!list_empty(&mine)) /* left by a stop: their owners free them */
		list_del(mine.next);
}

/* True when the loop may sleep. From here on the first loop_post writes the eventfd; before, it need
 * not, because this function will still see its task. */
static bool may_sleep(struct loop *l)
{
	bool empty;

	lock_take(&l->lock);
	empty = list_empty(&l->tasks);
	l->woken = !empty;
	lock_drop(&l->lock);
	return empty;
}

/* ---- descriptors ---- */

/* Level-triggered: whoever reads only a part of what is there is called again. */
int loop_watch_set(struct loop *l, struct loop_watch *w, unsigned events)
{
	struct epoll_event ev = { .data.ptr = w };

	assert(loop_on_thread(l));
	ev.events = (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u);
	if (epoll_ctl(l->epoll_fd, w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &ev) < 0)
		return -errno;
	w->added = true;
	return 0;
}

void loop_watch_drop(struct loop *l, struct loop_watch *w)
{
	if (!w->added)
		return;
	assert(loop_on_thread(l));
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL); /* closed already: gone as well */
	w->added = false;
	for (int i = 0; i < l->n_batch; i++) /* events of this round that were not delivered yet */
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
}

/* One read empties the counter, however many posts raised it. */
static void drain_wake(struct loop *l)
{
	uint64_t n;

	if (read(l->wake_fd, &n, sizeof(n)) < 0)
		return; /* EAGAIN: somebody was faster; nothing to do */
}

static void deliver(struct loop *l, const struct epoll_event *ev)
{
	struct loop_watch *w = ev->data.ptr;
	unsigned bits = 0;

	if (!w)
		return;
	if ((void *)w == (void *)l) {
		drain_wake(l);
		return;
	}
	if (ev->events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		bits |= LOOP_READ;
	if (ev->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		bits |= LOOP_WRITE;
	w->ready(w, bits);
}

/* Nanoseconds matter: libcurl arms many timers for "now" and a pace of tokens is finer than 1
 * ms. */
static int wait_events(struct loop *l, uint64_t timeout_ns, bool forever)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / MONO_S),
			       .tv_nsec = (long)(timeout_ns % MONO_S) };
	int n;

	if (!l->no_pwait2) {
		n = epoll_pwait2(l->epoll_fd, l->batch, BATCH_MAX, forever ? NULL : &ts, NULL);
		if (n >= 0 || errno != ENOSYS)
			return n;
		l->no_pwait2 = true; /* a kernel before 5.11: milliseconds must do */
	}
	if (!forever && timeout_ns > 3600 * MONO_S)
		timeout_ns = 3600 * MONO_S;
	return epoll_wait(l->epoll_fd, l->batch, BATCH_MAX,
			  forever ? -1 : (int)((timeout_ns + MONO_MS - 1) / MONO_MS));
}

/* The batch is kept in the loop, so that a watch dropped by a callback can be struck from it. */
static void poll_once(struct loop *l)
{
	bool forever = false;
	uint64_t timeout = 0;
	int n;

	if (may_sleep(l)) {
		forever = l->n_heap == 0;
		if (!forever) {
			uint64_t now = mono_ns(), due = l->heap[1]->due_ns;

			timeout = due > now ? due - now : 0;
		}
	}
	n = wait_events(l, timeout, forever);
	l->n_batch = n > 0 ? n : 0;
	for (int i = 0; i < l->n_batch; i++) {
		if (atomic_load_explicit(&l->stopping, memory_order_relaxed))
			break;
		deliver(l, &l->batch[i]);
	}
	l->n_batch = 0;
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;

	this_loop = l;
	while (!atomic_load_explicit(&l->stopping, memory_order_relaxed)) {
		run_tasks(l);
		run_timers(l);
		poll_once(l);
	}
	this_loop = NULL;
	return NULL;
}

static struct loop *loop_free(struct loop *l)
{
	if (l->epoll_fd >= 0)
		(void)close(l->epoll_fd); /* nothing is buffered in it */
	if (l->wake_fd >= 0)
		(void)close(l->wake_fd);
	lock_done(&l->lock);
	free(l->heap);
	free(l);
	return NULL;
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = l };

	if (!l)
		return NULL;
	lock_init(&l->lock, LOCK_LEAF);
	list_init(&l->tasks);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epoll_fd < 0 || l->wake_fd < 0 ||
	    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0 ||
	    thread_start(&l->thread, "net", loop_main, l) < 0)
		return loop_free(l);
	return l;
}

struct loop *loop_stop(struct loop *l)
{
	static const uint64_t one = 1;

	if (!l)
		return NULL;
	lock_take(&l->lock);
	atomic_store(&l->stopping, true);
	lock_drop(&l->lock);
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN); /* full: the loop wakes anyway */
	thread_join(&l->thread);
	return loop_free(l);
}
