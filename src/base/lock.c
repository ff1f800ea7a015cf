/*
 * lock.c - mutex with a rank over pthread
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/lock.h"

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

void lock_lend(struct lock *l)
{
	if (!lock_held(l))
		misuse("waiting without", l, NULL);
	mark_free(l);
}

void lock_took_back(struct lock *l, int rc)
{
	must(rc, "cannot wait on", l);
	mark_taken(l);
}
