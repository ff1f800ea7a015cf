/*
 * lock.c - mutex, condition and thread over pthread
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/mono.h"
#include "base/str.h"

#include "base/banned.h"

#ifndef LOCK_CHECK
#define LOCK_CHECK 0
#endif

static const char *const rank_names[] = {
	[LOCK_NODE] = "node", [LOCK_HANDLE] = "handle", [LOCK_BROKER] = "broker",
	[LOCK_JOB] = "job",   [LOCK_STREAM] = "stream", [LOCK_ENGINE] = "engine",
	[LOCK_LEAF] = "leaf", [LOCK_LOG] = "log",
};

static const char *name_of(const struct lock *l)
{
	return (unsigned)l->rank < ARRAY_LEN(rank_names) ? rank_names[l->rank] : "?";
}

/* A broken lock is a bug that cannot be answered: going on would corrupt what it guards. */
__attribute__((noreturn)) static void misuse(const char *what, const struct lock *l,
					     const struct lock *other)
{
	(void)fprintf(stderr, "lock: %s %s%s%s\n", what, name_of(l), other ? " while holding " : "",
		      other ? name_of(other) : "");
	abort();
}

static void must(int rc, const char *what, const struct lock *l)
{
	if (rc)
		misuse(what, l, NULL);
}

#if LOCK_CHECK
enum { HELD_MAX = 16 };
static __thread const struct lock *held[HELD_MAX];
static __thread unsigned n_held;

static void rank_push(const struct lock *l)
{
	for (unsigned i = 0; i < n_held; i++)
		if (held[i]->rank >= l->rank)
			misuse("taking", l, held[i]);
	if (n_held == HELD_MAX)
		misuse("too many held, taking", l, NULL);
	held[n_held++] = l;
}

static void rank_pop(const struct lock *l)
{
	for (unsigned i = n_held; i-- > 0;) {
		if (held[i] != l)
			continue;
		memmove(&held[i], &held[i + 1], (n_held - i - 1) * sizeof(held[0]));
		n_held--;
		return;
	}
}
#else
static void rank_push(const struct lock *l)
{
	(void)l;
}

static void rank_pop(const struct lock *l)
{
	(void)l;
}
#endif

/* owner before held, read the other way round: who sees held sees whose. */
static void mark_taken(struct lock *l)
{
	__atomic_store_n(&l->owner, pthread_self(), __ATOMIC_RELAXED);
	__atomic_store_n(&l->held, true, __ATOMIC_RELEASE);
}

static void mark_free(struct lock *l)
{
	__atomic_store_n(&l->held, false, __ATOMIC_RELEASE);
}

void lock_init(struct lock *l, enum lock_rank rank)
{
	memset(l, 0, sizeof(*l));
	l->rank = rank;
	must(pthread_mutex_init(&l->m, NULL), "cannot initialise", l);
}

void lock_done(struct lock *l)
{
	must(pthread_mutex_destroy(&l->m), "destroying while held:", l);
}

void lock_take(struct lock *l)
{
	if (lock_held(l))
		misuse("taking twice:", l, NULL);
	rank_push(l);
	must(pthread_mutex_lock(&l->m), "cannot take", l);
	mark_taken(l);
}

void lock_drop(struct lock *l)
{
	if (!lock_held(l))
		misuse("dropping what is not held:", l, NULL);
	mark_free(l);
	rank_pop(l);
	must(pthread_mutex_unlock(&l->m), "cannot drop", l);
}

bool lock_held(const struct lock *l)
{
	return __atomic_load_n(&l->held, __ATOMIC_ACQUIRE) &&
	       pthread_equal(__atomic_load_n(&l->owner, __ATOMIC_RELAXED), pthread_self());
}

void cond_init(struct cond *c)
{
	pthread_condattr_t a;

	if (pthread_condattr_init(&a) || pthread_condattr_setclock(&a, CLOCK_MONOTONIC) ||
	    pthread_cond_init(&c->c, &a))
		abort();
	(void)pthread_condattr_destroy(&a); /* never fails on Linux */
}

void cond_done(struct cond *c)
{
	(void)pthread_cond_destroy(&c->c); /* waits for those just leaving; never fails */
}

void cond_signal(struct cond *c)
{
	(void)pthread_cond_signal(&c->c); /* never fails */
}

void cond_broadcast(struct cond *c)
{
	(void)pthread_cond_broadcast(&c->c); /* never fails */
}

void cond_wait(struct cond *c, struct lock *l)
{
	if (!lock_held(l))
		misuse("waiting without", l, NULL);
	mark_free(l);
	must(pthread_cond_wait(&c->c, &l->m), "cannot wait on", l);
	mark_taken(l);
}

bool cond_wait_until(struct cond *c, struct lock *l, uint64_t deadline_ns)
{
	struct timespec t = { .tv_sec = (time_t)(deadline_ns / MONO_S),
			      .tv_nsec = (long)(deadline_ns % MONO_S) };
	int rc;

	if (!lock_held(l))
		misuse("waiting without", l, NULL);
	mark_free(l);
	rc = pthread_cond_timedwait(&c->c, &l->m, &t);
	mark_taken(l);
	if (rc && rc != ETIMEDOUT)
		misuse("cannot wait on", l, NULL);
	return rc == 0;
}

/* Signals belong to main: blocked before the thread exists, so that none slips in. */
int thread_start(struct thread *t, const char *name, void *(*fn)(void *), void *arg)
{
	char short_name[16];
	sigset_t all, old;
	int rc;

	t->started = false;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old); /* fails only for a bad first argument */
	rc = pthread_create(&t->t, NULL, fn, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return -rc;
	t->started = true;
	str_copy(short_name, sizeof(short_name), name);
	(void)pthread_setname_np(t->t, short_name); /* only for people who look at ps */
	return 0;
}

void thread_join(struct thread *t)
{
	if (!t || !t->started)
		return;
	t->started = false;
	if (pthread_join(t->t, NULL)) {
		(void)fprintf(stderr, "lock: a thread joins itself\n");
		abort();
	}
}
