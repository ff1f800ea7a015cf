/*
 * net/loop.h - the one thread that owns libcurl: posted tasks, timers, watched descriptors
 *
 *   1. loop_new      starts the thread
 *   2. loop_post     run a task on the loop thread, soon; tasks run in the order they were posted
 *      loop_timer_*  on the loop thread only
 *      loop_watch_*  on the loop thread only
 *      http_*        on the loop thread only (http.h)
 *   3. loop_stop     runs no further task, fires nothing, joins; what was posted, armed or watched
 *                    stays its owner's
 *
 * Callbacks run on the loop thread with no lock held; they must not block.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct loop;

struct loop_task {
	struct list link;		  /* private */
	void (*run)(struct loop_task *t); /* may free or post t again */
};

struct loop_timer {
	uint64_t due_ns; /* mono_ns */
	void (*fire)(struct loop_timer *t);
	uint32_t heap_pos; /* private; 0: not armed */
};

enum { LOOP_READ = 1 << 0, LOOP_WRITE = 1 << 1 };

struct loop_watch {
	int fd;
	void (*ready)(struct loop_watch *w, unsigned events); /* may drop and free w */
	bool added;					      /* private; false at the beginning */
};

/* loop_new - NULL: out of memory, descriptors or threads */
struct loop *loop_new(void);
/* loop_stop - returns NULL; tasks posted afterwards are not run; l may be NULL */
struct loop *loop_stop(struct loop *l);
/* loop_post - any thread, any lock but LOCK_LEAF and LOCK_LOG held; 0 or -ESHUTDOWN (not taken) */
int loop_post(struct loop *l, struct loop_task *t);
/* loop_timer_arm - fire once at due_ns (moves an armed one); loop thread only; 0 or -ENOMEM */
int loop_timer_arm(struct loop *l, struct loop_timer *t, uint64_t due_ns);
/* loop_timer_cancel - fire will not be called; harmless when not armed; loop thread only */
void loop_timer_cancel(struct loop *l, struct loop_timer *t);
/* loop_watch_set - call ready for these LOOP_ bits (hang-ups count as both), level-triggered, until
 * dropped; changes a watch that is set; 0 or -errno of epoll_ctl */
int loop_watch_set(struct loop *l, struct loop_watch *w, unsigned events);
/* loop_watch_drop - ready will not be called; harmless when not set */
void loop_watch_drop(struct loop *l, struct loop_watch *w);
/* loop_on_thread - the caller is the loop thread; for assertions */
bool loop_on_thread(const struct loop *l);

#endif
