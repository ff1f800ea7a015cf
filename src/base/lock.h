/*
 * lock.h - mutex with a rank, condition, thread: the only user of pthread.h
 *
 * A thread takes locks only in rising rank; builds with LOCK_CHECK=1 (asan, tsan, tests) abort
 * with both names when it does not. No lock is held over a reply, a callback or a notification.
 *
 * Threads: that is what it is for. Blocks: lock_take, cond_wait, thread_join.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
	LOCK_NODE,   /* vfs node tables */
	LOCK_HANDLE, /* one open file */
	LOCK_BROKER, /* jobs: tables of jobs and flights */
	LOCK_JOB,
	LOCK_STREAM,
	LOCK_ENGINE, /* store, ledger queue, infer */
	LOCK_LEAF,   /* takes no other lock inside */
	LOCK_LOG
};

struct lock {
	pthread_mutex_t m;
	enum lock_rank rank;
	pthread_t owner; /* valid while held; for lock_held */
	bool held;
};

struct cond {
	pthread_cond_t c;
};

/* lock_init / lock_done - in place */
void lock_init(struct lock *l, enum lock_rank rank);
void lock_done(struct lock *l);
/* lock_take / lock_drop - abort on misuse: that is a bug, not a failure */
void lock_take(struct lock *l);
void lock_drop(struct lock *l);
/* lock_held - the calling thread holds it; for assertions in _locked functions */
bool lock_held(const struct lock *l);

/* lock_lend / lock_took_back - for cond_* only: the mutex is away while a wait sleeps; rc not 0 aborts */
void lock_lend(struct lock *l);
void lock_took_back(struct lock *l, int rc);

static inline void lock_auto_drop(struct lock **l)
{
	if (*l)
		lock_drop(*l);
}
#define LOCK_JOIN2_(a, b) a##b
#define LOCK_JOIN_(a, b)  LOCK_JOIN2_(a, b)
/* LOCK_SCOPE(l) - hold l until the end of the enclosing block */
#define LOCK_SCOPE(l)                                                                             \
	__attribute__((cleanup(lock_auto_drop), unused)) struct lock *LOCK_JOIN_(lock_scope_,     \
										 __LINE__) = (l); \
	lock_take(l)

/* cond_* - on CLOCK_MONOTONIC */
void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);
/* cond_wait - l must be held */
void cond_wait(struct cond *c, struct lock *l);
/* cond_wait_until - until mono_ns() >= deadline_ns; true: signalled, false: time over */
bool cond_wait_until(struct cond *c, struct lock *l, uint64_t deadline_ns);

struct thread {
	pthread_t t;
	bool started;
};
/* thread_start - all signals blocked in it; name at most 15 bytes; 0 or -errno */
int thread_start(struct thread *t, const char *name, void *(*fn)(void *), void *arg);
/* thread_join - waits; harmless when never started */
void thread_join(struct thread *t);

#endif
