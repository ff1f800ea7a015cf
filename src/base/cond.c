/*
 * cond.c - conditions, on the clock that nobody sets; declared in lock.h
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/lock.h"
#include "base/mono.h"

#include "base/banned.h"

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
	lock_lend(l);
	lock_took_back(l, pthread_cond_wait(&c->c, &l->m));
}

bool cond_wait_until(struct cond *c, struct lock *l, uint64_t deadline_ns)
{
	struct timespec t = { .tv_sec = (time_t)(deadline_ns / MONO_S),
			      .tv_nsec = (long)(deadline_ns % MONO_S) };
	int rc;

	lock_lend(l);
	rc = pthread_cond_timedwait(&c->c, &l->m, &t);
	lock_took_back(l, rc == ETIMEDOUT ? 0 : rc);
	return rc == 0;
}
