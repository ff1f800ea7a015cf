/*
 * test_lock.c - ranks, conditions, threads; misuse is tried in a child that must die of SIGABRT
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "base/lock.h"
#include "base/mono.h"

#ifndef LOCK_CHECK
#define LOCK_CHECK 0
#endif

/* Run fn in a child; its standard error must hold both words, and it must have aborted. */
static void expect_abort(void (*fn)(void), const char *word, const char *other)
{
	static const struct rlimit no_core;
	AUTO_BUF struct buf said = BUF_INIT(1 << 16);
	int ends[2], status = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)signal(SIGABRT, SIG_DFL);
		(void)dup2(ends[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	(void)close(ends[1]);
	assert_int_equal(fdio_read_all(ends[0], &said), 0);
	(void)close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(buf_str(&said), word));
	assert_non_null(strstr(buf_str(&said), other));
}

static void take_twice(void)
{
	struct lock l;

	lock_init(&l, LOCK_JOB);
	lock_take(&l);
	lock_take(&l);
}

static void drop_unheld(void)
{
	struct lock l;

	lock_init(&l, LOCK_STREAM);
	lock_drop(&l);
}

static void wait_unheld(void)
{
	struct lock l;
	struct cond c;

	lock_init(&l, LOCK_ENGINE);
	cond_init(&c);
	cond_wait(&c, &l);
}

static void wait_until_unheld(void)
{
	struct lock l;
	struct cond c;

	lock_init(&l, LOCK_ENGINE);
	cond_init(&c);
	(void)cond_wait_until(&c, &l, 0);
}

static void destroy_held(void)
{
	struct lock l;

	lock_init(&l, LOCK_NODE);
	lock_take(&l);
	lock_done(&l);
}

static void test_misuse_aborts(void **state)
{
	(void)state;
	expect_abort(take_twice, "twice", "job");
	expect_abort(drop_unheld, "not held", "stream");
	expect_abort(wait_unheld, "waiting", "engine");
	expect_abort(wait_until_unheld, "waiting", "engine");
	expect_abort(destroy_held, "held", "node");
}

static void take_falling(void)
{
	struct lock high, low;

	lock_init(&high, LOCK_STREAM);
	lock_init(&low, LOCK_HANDLE);
	lock_take(&high);
	lock_take(&low);
}

static void take_equal(void)
{
	struct lock a, b;

	lock_init(&a, LOCK_LEAF);
	lock_init(&b, LOCK_LEAF);
	lock_take(&a);
	lock_take(&b);
}

/* The lower one was let go first: the higher one still counts. */
static void take_between(void)
{
	struct lock node, log, job;

	lock_init(&node, LOCK_NODE);
	lock_init(&log, LOCK_LOG);
	lock_init(&job, LOCK_JOB);
	lock_take(&node);
	lock_take(&log);
	lock_drop(&node);
	lock_take(&job);
}

static void test_falling_rank_aborts(void **state)
{
	(void)state;
	if (!LOCK_CHECK) {
		print_message("built without LOCK_CHECK=1: ranks are not checked\n");
		skip();
	}
	expect_abort(take_falling, "handle", "stream");
	expect_abort(take_equal, "leaf", "leaf");
	expect_abort(take_between, "job", "log");
}

static void test_rising_ranks_and_any_drop_order(void **state)
{
	struct lock l[LOCK_LOG + 1];

	(void)state;
	for (unsigned i = 0; i <= LOCK_LOG; i++)
		lock_init(&l[i], (enum lock_rank)i);
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i <= LOCK_LOG; i++)
			lock_take(&l[i]);
		for (unsigned i = 0; i <= LOCK_LOG; i++)
			lock_drop(&l[round ? LOCK_LOG - i : i]);
	}
	lock_take(&l[LOCK_LOG]);
	lock_drop(&l[LOCK_LOG]);
	lock_take(&l[LOCK_NODE]); /* nothing is remembered of what was let go */
	lock_drop(&l[LOCK_NODE]);
	for (unsigned i = 0; i <= LOCK_LOG; i++)
		lock_done(&l[i]);
}

static void *look_held(void *arg)
{
	return (void *)(uintptr_t)lock_held(arg);
}

static void test_held_is_by_thread(void **state)
{
	struct lock l;
	pthread_t t;
	void *seen;

	(void)state;
	lock_init(&l, LOCK_JOB);
	assert_false(lock_held(&l));
	lock_take(&l);
	assert_true(lock_held(&l));
	assert_int_equal(pthread_create(&t, NULL, look_held, &l), 0);
	assert_int_equal(pthread_join(t, &seen), 0);
	assert_null(seen);
	lock_drop(&l);
	assert_false(lock_held(&l));
	lock_done(&l);
}

static int early_return(struct lock *l, int which)
{
	LOCK_SCOPE(l);
	assert_true(lock_held(l));
	if (which)
		return which;
	return 0;
}

static void test_scope(void **state)
{
	struct lock l;

	(void)state;
	lock_init(&l, LOCK_JOB);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(early_return(&l, i), i);
		assert_false(lock_held(&l));
	}
	lock_done(&l);
}

struct counter {
	struct lock lock;
	uint64_t n;
};

static void *count(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < 20000; i++) {
		LOCK_SCOPE(&c->lock);
		c->n++;
	}
	return NULL;
}

static void test_excludes(void **state)
{
	struct counter c = { .n = 0 };
	struct thread t[4];

	(void)state;
	lock_init(&c.lock, LOCK_LEAF);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(thread_start(&t[i], "count", count, &c), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		thread_join(&t[i]);
	assert_int_equal(c.n, 80000);
	lock_done(&c.lock);
}

/* ping-pong: each side waits for its turn */
struct table {
	struct lock lock;
	struct cond turn_changed;
	int turn;
	bool broadcast;
};

static void play(struct table *t, int me)
{
	for (int i = 0; i < 1000; i++) {
		LOCK_SCOPE(&t->lock);
		while (t->turn != me)
			cond_wait(&t->turn_changed, &t->lock);
		assert_true(lock_held(&t->lock));
		t->turn = !me;
		if (t->broadcast)
			cond_broadcast(&t->turn_changed);
		else
			cond_signal(&t->turn_changed);
	}
}

static void *play_one(void *arg)
{
	play(arg, 1);
	return NULL;
}

static void test_cond(void **state)
{
	struct table t = { .turn = 0 };
	struct thread other;

	(void)state;
	lock_init(&t.lock, LOCK_JOB);
	cond_init(&t.turn_changed);
	for (int i = 0; i < 2; i++) {
		t.broadcast = i;
		assert_int_equal(thread_start(&other, "play", play_one, &t), 0);
		play(&t, 0);
		thread_join(&other);
	}
	cond_done(&t.turn_changed);
	lock_done(&t.lock);
}

static void test_wait_until_time_over(void **state)
{
	struct lock l;
	struct cond c;
	uint64_t deadline;

	(void)state;
	lock_init(&l, LOCK_JOB);
	cond_init(&c);
	lock_take(&l);
	assert_false(cond_wait_until(&c, &l, 0));
	assert_true(lock_held(&l));
	deadline = mono_ns() + 5 * MONO_MS;
	while (cond_wait_until(&c, &l, deadline)) {
		/* woken for nothing */
	}
	assert_true(mono_ns() >= deadline);
	assert_true(lock_held(&l));
	lock_drop(&l);
	cond_done(&c);
	lock_done(&l);
}

struct signal_box {
	struct lock lock;
	struct cond c;
	bool set;
};

static void *set_box(void *arg)
{
	struct signal_box *b = arg;

	LOCK_SCOPE(&b->lock);
	b->set = true;
	cond_signal(&b->c);
	return NULL;
}

static void test_wait_until_signalled(void **state)
{
	struct signal_box b = { .set = false };
	struct thread t;
	bool in_time = true;

	(void)state;
	lock_init(&b.lock, LOCK_JOB);
	cond_init(&b.c);
	lock_take(&b.lock);
	assert_int_equal(thread_start(&t, "set", set_box, &b), 0);
	while (!b.set && in_time)
		in_time = cond_wait_until(&b.c, &b.lock, mono_ns() + 60 * MONO_S);
	assert_true(b.set);
	lock_drop(&b.lock);
	thread_join(&t);
	cond_done(&b.c);
	lock_done(&b.lock);
}

static void *read_mask(void *arg)
{
	(void)pthread_sigmask(SIG_SETMASK, NULL, arg);
	return NULL;
}

static void test_thread_has_all_signals_blocked(void **state)
{
	static const int looked[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGPIPE };
	sigset_t theirs, before, after;
	struct thread t;

	(void)state;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
	(void)sigemptyset(&theirs);
	assert_int_equal(thread_start(&t, "mask", read_mask, &theirs), 0);
	thread_join(&t);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (size_t i = 0; i < ARRAY_LEN(looked); i++) {
		assert_int_equal(sigismember(&theirs, looked[i]), 1);
		assert_int_equal(sigismember(&after, looked[i]), sigismember(&before, looked[i]));
	}
}

static void *nothing(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return NULL;
}

static void test_thread_names_and_joins(void **state)
{
	struct thread t = { .started = false };
	atomic_int ran = 0;

	(void)state;
	thread_join(&t);
	thread_join(NULL);
	assert_int_equal(thread_start(&t, "a name of more than 15 bytes", nothing, &ran), 0);
	thread_join(&t);
	thread_join(&t);
	assert_int_equal(atomic_load(&ran), 1);
}

static void test_clock(void **state)
{
	uint64_t a = mono_ns(), b = mono_ns();

	(void)state;
	assert_true(b >= a && a > 0);
	assert_true(mono_real_ns() > 1600000000u * MONO_S);
	mono_test_set(5, 7);
	assert_int_equal(mono_ns(), 5);
	assert_int_equal(mono_real_ns(), 7);
	mono_test_set(0, 0);
	assert_true(mono_ns() >= b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_misuse_aborts),
		cmocka_unit_test(test_falling_rank_aborts),
		cmocka_unit_test(test_rising_ranks_and_any_drop_order),
		cmocka_unit_test(test_held_is_by_thread),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_excludes),
		cmocka_unit_test(test_cond),
		cmocka_unit_test(test_wait_until_time_over),
		cmocka_unit_test(test_wait_until_signalled),
		cmocka_unit_test(test_thread_has_all_signals_blocked),
		cmocka_unit_test(test_thread_names_and_joins),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
