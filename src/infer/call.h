/*
 * infer/call.h - one call's life: place in the queue, attempts, pauses, time limit, one end
 *
 * Private to infer.c and call.c.
 *   1. call_new       any thread
 *   2. call_submit    any thread, env->lock held: a place or the queue; then the loop has it
 *   3. the loop       begin -> attempt -> (pause -> attempt)* -> finish, which frees it
 *      call_cancel    any thread, env->lock held
 *   4. call_end_all   the loop thread, when the program ends
 *      call_free_rest after loop_stop
 *
 * env->lock guards limits, counters and what another thread may touch of a call; everything else is
 * the loop thread's. No lock is held while a sink is called.
 */
#ifndef INFER_CALL_H
#define INFER_CALL_H

#include "base/lock.h"
#include "infer/gate.h"
#include "infer/infer.h"
#include "infer/limit.h"
#include "infer/single.h"
#include "net/http.h"

/* what is known of one backend while it runs */
struct call_backend {
	const struct backend_config *config;
	struct http_target *target; /* NULL: in process */
	struct limit limit;	    /* env->lock */
	struct gate gate;	    /* env->lock */
	struct single single;	    /* env->lock */
	struct infer_status
		status; /* env->lock; in_flight, queued and concurrency are not kept here */
};

/* what all calls of one infer share */
struct call_env {
	struct lock lock; /* LOCK_ENGINE */
	struct loop *loop;
	struct http *http;
	struct list calls; /* loop thread: begun or waiting */
	struct list ready; /* loop thread: those that got a place from another one */
	struct loop_task pump;
	bool pumping;		  /* loop thread: pump is posted */
	struct limit_queue queue; /* lock */
	struct list cancelled;	  /* lock: finished, but their cancel task is still to run */
	bool ending;		  /* lock: nothing new */
	unsigned loading;	  /* lock: calls that wait for call_loaded */
	struct cond loaded;	  /* lock: loading is 0 again */
	uint64_t random;	  /* loop thread */
};

/* call_env_init / call_env_done - in place; loop and http are the caller's */
void call_env_init(struct call_env *env, size_t queue_max);
void call_env_done(struct call_env *env);
/* call_samples_max - of this request, by its provider and by what was found out; any thread */
unsigned call_samples_max(struct call_env *env, struct call_backend *b, const json_t *effective);
/* call_new - NULL: out of memory */
struct infer_call *call_new(struct call_env *env, struct call_backend *b,
			    const struct infer_spec *spec, const struct infer_sink *sink,
			    void *arg);
/* call_prepare - build the body now, on this thread, rather than on the loop's; failures show later */
void call_prepare(struct infer_call *c);
/* call_submit - 0, or -ENOBUFS, -ESHUTDOWN and c is still the caller's */
int call_submit(struct infer_call *c);
/* call_loaded - the images are there, or why not; builds the body on this thread; env->lock not held */
void call_loaded(struct infer_call *c, const json_t *images, const struct err *e);
/* call_await_loads - env->lock held: until no call waits for call_loaded any more */
void call_await_loads(struct call_env *env);
/* call_cancel - c ends with ERR_CANCELLED soon */
void call_cancel(struct infer_call *c);
/* call_free - one that was never submitted; returns NULL */
struct infer_call *call_free(struct infer_call *c);
/* call_end_all - every call fails with ERR_ENDING */
void call_end_all(struct call_env *env);
/* call_free_rest - those whose cancel task was never run */
void call_free_rest(struct call_env *env);

#endif
