/*
 * thread.c - threads without signals; declared in lock.h
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/str.h"

#include "base/banned.h"

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
