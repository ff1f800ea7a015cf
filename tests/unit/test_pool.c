/*
 * test_pool.c - a few threads with a bounded queue
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/pool.h"

/* A gate holds the pool's threads until the test opens it: "queue full" is then exact. */
struct gate {
	struct lock lock;
	struct cond changed;
	bool open;
	unsigned inside;
};

static void gate_init(struct gate *g)
{
	lock_init(&g->lock, LOCK_JOB);
	cond_init(&g->changed);
	g->open = false;
	g->inside = 0;
}

static void gate_done(struct gate *g)
{
	cond_done(&g->changed);
	lock_done(&g->lock);
}

static void gate_open(struct gate *g)
{
	LOCK_SCOPE(&g->lock);
	g->open = true;
	cond_broadcast(&g->changed);
}

static void gate_pass(struct gate *g)
{
	LOCK_SCOPE(&g->lock);
	g->inside++;
	cond_broadcast(&g->changed);
	while (!g->open)
		cond_wait(&g->changed, &g->lock);
}

static void gate_wait_inside(struct gate *g, unsigned n)
{
	LOCK_SCOPE(&g->lock);
	while (g->inside < n)
		cond_wait(&g->changed, &g->lock);
}

struct task {
	struct pool_task task;
	struct gate *gate;
	atomic_uint *ran;
	unsigned *order; /* of this task */
};

static void run_task(struct pool_task *t)
{
	struct task *k = CONTAINER_OF(t, struct task, task);
	unsigned n;

	if (k->gate)
		gate_pass(k->gate);
	n = atomic_fetch_add(k->ran, 1);
	if (k->order)
		*k->order = n;
}

static void run_and_free(struct pool_task *t)
{
	struct task *k = CONTAINER_OF(t, struct task, task);

	atomic_fetch_add(k->ran, 1);
	free(k);
}

static void test_full_queue(void **state)
{
	atomic_uint ran = 0;
	struct task t[5];
	struct gate gate;
	struct pool *p = pool_new("full", 1, 2);

	(void)state;
	assert_non_null(p);
	gate_init(&gate);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		t[i] = (struct task){ { .run = run_task }, &gate, &ran, NULL };
	assert_int_equal(pool_post(p, &t[0].task), 0);
	gate_wait_inside(&gate, 1);
	assert_int_equal(pool_post(p, &t[1].task), 0);
	assert_int_equal(pool_post(p, &t[2].task), 0);
	assert_int_equal(pool_post(p, &t[3].task), -EAGAIN);
	assert_int_equal(pool_post(p, &t[4].task), -EAGAIN);
	gate_open(&gate);
	assert_null(pool_stop(p));
	assert_int_equal(atomic_load(&ran), 3);
	gate_done(&gate);
}

/* posts while the pool is being stopped: its own thread sees the stop for certain */
struct poster {
	struct pool_task task;
	struct pool *pool;
	struct task next;
	int first, last;
};

static void run_poster(struct pool_task *t)
{
	struct poster *k = CONTAINER_OF(t, struct poster, task);
	int rc = pool_post(k->pool, &k->next.task);

	k->first = rc;
	/* ends: pool_stop is on its way, and a full queue or a stop both answer */
	while (rc != -ESHUTDOWN) {
		struct task *extra = calloc(1, sizeof(*extra));

		*extra = (struct task){ { .run = run_and_free }, NULL, k->next.ran, NULL };
		rc = pool_post(k->pool, &extra->task);
		if (rc)
			free(extra);
	}
	k->last = rc;
}

static void test_no_new_tasks_while_stopping(void **state)
{
	atomic_uint ran = 0;
	struct poster k = { .task = { .run = run_poster } };

	(void)state;
	k.pool = pool_new("stop", 1, 8);
	assert_non_null(k.pool);
	k.next = (struct task){ { .run = run_task }, NULL, &ran, NULL };
	assert_int_equal(pool_post(k.pool, &k.task), 0);
	assert_null(pool_stop(k.pool));
	assert_int_equal(k.last, -ESHUTDOWN);
	/* what had been queued before the stop was still run */
	assert_true(k.first == -ESHUTDOWN || atomic_load(&ran) > 0);
}

static void test_nothing(void **state)
{
	(void)state;
	assert_null(pool_stop(NULL));
	assert_null(pool_stop(pool_new("idle", 3, 10)));
	assert_null(pool_stop(pool_new("none", 0, 10)));
}

/* those who end after the pool may still ask it */
static void test_a_quiet_pool_says_no(void **state)
{
	atomic_uint ran = 0;
	struct task t = { { .run = run_task }, NULL, &ran, NULL };
	struct pool *p = pool_new("quiet", 2, 8);

	(void)state;
	assert_int_equal(pool_post(p, &t.task), 0);
	pool_quiet(p);
	assert_int_equal(atomic_load(&ran), 1);
	assert_int_equal(pool_post(p, &t.task), -ESHUTDOWN);
	pool_quiet(p);
	assert_null(pool_stop(p));
	assert_int_equal(atomic_load(&ran), 1);
}

static void test_queued_tasks_run_at_stop(void **state)
{
	atomic_uint ran = 0;
	struct task t[100];
	struct gate gate;
	struct pool *p = pool_new("drain", 1, 100);

	(void)state;
	gate_init(&gate);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		t[i] = (struct task){ { .run = run_task }, &gate, &ran, NULL };
		assert_int_equal(pool_post(p, &t[i].task), 0);
	}
	gate_open(&gate);
	assert_null(pool_stop(p));
	assert_int_equal(atomic_load(&ran), 100);
	gate_done(&gate);
}

static void test_one_thread_keeps_the_order(void **state)
{
	atomic_uint ran = 0;
	struct task t[50];
	unsigned order[50];
	struct pool *p = pool_new("order", 1, 50);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		t[i] = (struct task){ { .run = run_task }, NULL, &ran, &order[i] };
		assert_int_equal(pool_post(p, &t[i].task), 0);
	}
	assert_null(pool_stop(p));
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(order[i], i);
}

static void test_threads_work_side_by_side(void **state)
{
	atomic_uint ran = 0;
	struct task t[4];
	struct gate gate;
	struct pool *p = pool_new("wide", 4, 10);

	(void)state;
	gate_init(&gate);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		t[i] = (struct task){ { .run = run_task }, &gate, &ran, NULL };
		assert_int_equal(pool_post(p, &t[i].task), 0);
	}
	gate_wait_inside(&gate, 4); /* hangs if one thread did all */
	gate_open(&gate);
	assert_null(pool_stop(p));
	assert_int_equal(atomic_load(&ran), 4);
	gate_done(&gate);
}

struct many {
	struct pool *pool;
	atomic_uint *ran;
	unsigned posted;
};

static void *post_many(void *arg)
{
	struct many *m = arg;

	for (int i = 0; i < 2000; i++) {
		struct task *k = calloc(1, sizeof(*k));

		*k = (struct task){ { .run = run_and_free }, NULL, m->ran, NULL };
		if (pool_post(m->pool, &k->task) == 0)
			m->posted++;
		else
			free(k);
	}
	return NULL;
}

static void test_tasks_may_free_themselves(void **state)
{
	atomic_uint ran = 0;
	struct many m[3];
	struct thread t[3];
	unsigned posted = 0;
	struct pool *p = pool_new("free", 2, 500);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		m[i] = (struct many){ p, &ran, 0 };
		assert_int_equal(thread_start(&t[i], "post", post_many, &m[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		thread_join(&t[i]);
		posted += m[i].posted;
	}
	assert_null(pool_stop(p));
	assert_true(posted >= 500);
	assert_int_equal(atomic_load(&ran), posted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_queue),
		cmocka_unit_test(test_no_new_tasks_while_stopping),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_a_quiet_pool_says_no),
		cmocka_unit_test(test_queued_tasks_run_at_stop),
		cmocka_unit_test(test_one_thread_keeps_the_order),
		cmocka_unit_test(test_threads_work_side_by_side),
		cmocka_unit_test(test_tasks_may_free_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
