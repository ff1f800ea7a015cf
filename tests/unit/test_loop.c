/*
 * net/loop: tasks in order, timers in time, watches, and a stop that runs nothing more
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/mono.h"
#include "net/loop.h"

struct flag {
	pthread_mutex_t m;
	pthread_cond_t c;
	int n;
};

static struct flag flag = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

static void raise_flag(void)
{
	pthread_mutex_lock(&flag.m);
	flag.n++;
	pthread_cond_broadcast(&flag.c);
	pthread_mutex_unlock(&flag.m);
}

static void await_flag(int n)
{
	pthread_mutex_lock(&flag.m);
	while (flag.n < n)
		pthread_cond_wait(&flag.c, &flag.m);
	pthread_mutex_unlock(&flag.m);
}

struct job {
	struct loop_task task;
	struct loop_timer timer;
	struct loop_watch watch;
	struct loop *loop;
	int id, times;
	uint64_t at;
	int fds[2];
};

static int order[4096];
static int n_order;

static void note(struct loop_task *t)
{
	order[n_order++] = CONTAINER_OF(t, struct job, task)->id;
	raise_flag();
}

static void test_post_after_stop_is_refused(void **state)
{
	struct loop *l = loop_new();

	(void)state;
	assert_non_null(l);
	assert_false(loop_on_thread(l));
	assert_null(loop_stop(l));
	assert_null(loop_stop(NULL));
}

static void test_tasks_run_in_order(void **state)
{
	enum { N = 1000 };
	struct job *jobs = calloc(N, sizeof(*jobs));
	struct loop *l = loop_new();

	(void)state;
	n_order = 0;
	flag.n = 0;
	for (int i = 0; i < N; i++) {
		jobs[i].id = i;
		jobs[i].task.run = note;
		assert_int_equal(loop_post(l, &jobs[i].task), 0);
	}
	await_flag(N);
	for (int i = 0; i < N; i++)
		assert_int_equal(order[i], i);
	loop_stop(l);
	free(jobs);
}

static void again(struct loop_task *t)
{
	struct job *j = CONTAINER_OF(t, struct job, task);

	assert_true(loop_on_thread(j->loop));
	if (--j->times > 0)
		assert_int_equal(loop_post(j->loop, t), 0);
	raise_flag();
}

static void test_task_posts_itself(void **state)
{
	struct loop *l = loop_new();
	struct job j = { .task.run = again, .loop = l, .times = 100 };

	(void)state;
	flag.n = 0;
	assert_int_equal(loop_post(l, &j.task), 0);
	await_flag(100);
	loop_stop(l);
}

static struct job timers[64];

static void on_fire(struct loop_timer *t)
{
	struct job *j = CONTAINER_OF(t, struct job, timer);

	assert_true(mono_ns() >= j->at);
	order[n_order++] = j->id;
	raise_flag();
}

static void arm_all(struct loop_task *t)
{
	struct job *first = CONTAINER_OF(t, struct job, task);
	uint64_t now = mono_ns();

	for (int i = 0; i < 64; i++) {
		timers[i].id = (i * 37) % 64; /* armed in another order than due */
		timers[i].at = now + MONO_MS + (uint64_t)timers[i].id * 100000;
		timers[i].timer.fire = on_fire;
		assert_int_equal(loop_timer_arm(first->loop, &timers[i].timer, timers[i].at), 0);
	}
	for (int i = 0; i < 64; i++)
		if (timers[i].id % 4 == 3)
			loop_timer_cancel(first->loop, &timers[i].timer);
	for (int i = 0; i < 64; i++)
		if (timers[i].id == 0) { /* moved to the end */
			timers[i].at = now + 20 * MONO_MS;
			assert_int_equal(
				loop_timer_arm(first->loop, &timers[i].timer, timers[i].at), 0);
		}
	loop_timer_cancel(first->loop, &first->timer); /* never armed */
}

static void test_timers_fire_in_time_and_order(void **state)
{
	struct loop *l = loop_new();
	struct job j = { .task.run = arm_all, .loop = l };

	(void)state;
	flag.n = 0;
	n_order = 0;
	assert_int_equal(loop_post(l, &j.task), 0);
	await_flag(48);
	loop_stop(l);
	assert_int_equal(n_order, 48);
	for (int i = 0; i + 2 < n_order; i++)
		assert_true(order[i] < order[i + 1]);
	for (int i = 0; i < n_order; i++)
		assert_int_not_equal(order[i] % 4, 3);
	assert_int_equal(order[47], 0);
}

static void on_readable(struct loop_watch *w, unsigned events)
{
	struct job *j = CONTAINER_OF(w, struct job, watch);
	char c;

	assert_true(events & LOOP_READ);
	assert_int_equal(read(j->fds[0], &c, 1), 1);
	if (--j->times == 0)
		loop_watch_drop(j->loop, w);
	raise_flag();
}

static void watch(struct loop_task *t)
{
	struct job *j = CONTAINER_OF(t, struct job, task);

	assert_int_equal(loop_watch_set(j->loop, &j->watch, LOOP_READ), 0);
	assert_int_equal(loop_watch_set(j->loop, &j->watch, LOOP_READ), 0);
}

static void test_watch_until_dropped(void **state)
{
	struct loop *l = loop_new();
	struct job j = { .task.run = watch, .loop = l, .times = 3 };
	char c;

	(void)state;
	flag.n = 0;
	assert_int_equal(pipe(j.fds), 0);
	j.watch.fd = j.fds[0];
	j.watch.ready = on_readable;
	assert_int_equal(write(j.fds[1], "abcd", 4), 4);
	assert_int_equal(loop_post(l, &j.task), 0);
	await_flag(3);
	loop_stop(l);
	assert_int_equal(read(j.fds[0], &c, 1), 1); /* the fourth byte was left alone */
	assert_int_equal(c, 'd');
	close(j.fds[0]);
	close(j.fds[1]);
}

/* Two descriptors are ready in one round; whoever is first drops and closes the other. */
static struct job pair[2];

static void drop_other(struct loop_watch *w, unsigned events)
{
	struct job *j = CONTAINER_OF(w, struct job, watch), *other = &pair[1 - j->id];

	(void)events;
	loop_watch_drop(j->loop, &other->watch);
	loop_watch_drop(j->loop, w);
	raise_flag();
}

static void watch_pair(struct loop_task *t)
{
	(void)t;
	assert_int_equal(loop_watch_set(pair[0].loop, &pair[0].watch, LOOP_READ), 0);
	assert_int_equal(loop_watch_set(pair[1].loop, &pair[1].watch, LOOP_READ), 0);
}

static void test_dropped_watch_gets_no_late_event(void **state)
{
	struct loop *l = loop_new();
	struct job end = { .task.run = note };

	(void)state;
	flag.n = 0;
	n_order = 0;
	for (int i = 0; i < 2; i++) {
		pair[i] = (struct job){ .id = i, .loop = l, .task.run = watch_pair };
		assert_int_equal(pipe(pair[i].fds), 0);
		pair[i].watch = (struct loop_watch){ .fd = pair[i].fds[0], .ready = drop_other };
		assert_int_equal(write(pair[i].fds[1], "x", 1), 1);
	}
	assert_int_equal(loop_post(l, &pair[0].task), 0);
	await_flag(1);
	assert_int_equal(loop_post(l, &end.task), 0);
	await_flag(2);
	loop_stop(l);
	assert_int_equal(flag.n, 2);
	for (int i = 0; i < 2; i++) {
		close(pair[i].fds[0]);
		close(pair[i].fds[1]);
	}
}

static void hold(struct loop_task *t)
{
	struct job *j = CONTAINER_OF(t, struct job, task);
	char c;

	raise_flag();
	assert_int_equal(read(j->fds[0], &c, 1), 1);
}

static void *stopper(void *arg)
{
	return loop_stop(arg);
}

/* Whoever wins the race: a task that was taken is either run before the stop, or never. */
static void test_stop_runs_nothing_more(void **state)
{
	struct loop *l = loop_new();
	struct job held = { .task.run = hold }, late = { .task.run = note };
	pthread_t t;
	int rc;

	(void)state;
	flag.n = 0;
	n_order = 0;
	assert_int_equal(pipe(held.fds), 0);
	assert_int_equal(loop_post(l, &held.task), 0);
	await_flag(1); /* the loop stands in hold() */
	assert_int_equal(pthread_create(&t, NULL, stopper, l), 0);
	do { /* until the stop is in force: then nothing is taken */
		list_init(&late.task.link);
		rc = loop_post(l, &late.task);
		if (rc ==
		    0) /* it was taken, so the stop came later: wait for that without asking again */
			break;
	} while (rc == 0);
	assert_true(rc == 0 || rc == -ESHUTDOWN);
	assert_int_equal(write(held.fds[1], "x", 1), 1);
	pthread_join(t, NULL);
	assert_true(n_order <= (rc == 0 ? 1 : 0));
	close(held.fds[0]);
	close(held.fds[1]);
}

/* Many threads post at once; every task runs exactly once. */
struct crowd {
	struct job jobs[500];
	struct loop *loop;
};
static atomic_int ran;

static void count(struct loop_task *t)
{
	(void)t;
	atomic_fetch_add(&ran, 1);
	raise_flag();
}

static void *post_all(void *arg)
{
	struct crowd *c = arg;

	for (int i = 0; i < 500; i++) {
		c->jobs[i].task.run = count;
		if (loop_post(c->loop, &c->jobs[i].task))
			abort();
	}
	return NULL;
}

static void test_many_threads_post(void **state)
{
	struct crowd *crowds = calloc(4, sizeof(*crowds));
	struct loop *l = loop_new();
	pthread_t t[4];

	(void)state;
	flag.n = 0;
	for (int i = 0; i < 4; i++) {
		crowds[i].loop = l;
		assert_int_equal(pthread_create(&t[i], NULL, post_all, &crowds[i]), 0);
	}
	await_flag(2000);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	loop_stop(l);
	assert_int_equal(atomic_load(&ran), 2000);
	free(crowds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_post_after_stop_is_refused),
		cmocka_unit_test(test_stop_runs_nothing_more),
		cmocka_unit_test(test_dropped_watch_gets_no_late_event),
		cmocka_unit_test(test_tasks_run_in_order),
		cmocka_unit_test(test_task_posts_itself),
		cmocka_unit_test(test_timers_fire_in_time_and_order),
		cmocka_unit_test(test_watch_until_dropped),
		cmocka_unit_test(test_many_threads_post),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
