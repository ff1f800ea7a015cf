/*
 * infer/limit: the bound, the order, and places that move on
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "infer/limit.h"

static void test_full(void **state)
{
	struct limit_queue q = { .max = 2 };
	struct limit l;
	struct limit_waiter w[5];

	(void)state;
	limit_init(&l, &q, 1);
	for (int i = 0; i < 5; i++)
		limit_waiter_init(&w[i], 0);
	assert_int_equal(limit_enter(&l, &w[0]), 0);
	assert_int_equal(limit_enter(&l, &w[1]), -EINPROGRESS);
	assert_int_equal(limit_enter(&l, &w[2]), -EINPROGRESS);
	assert_int_equal(limit_enter(&l, &w[3]), -ENOBUFS);
	assert_int_equal(w[3].state, LIMIT_OUT);
	assert_null(limit_leave(&l, &w[3]));
	assert_null(limit_leave(&l, &w[1])); /* gave up waiting */
	assert_int_equal(limit_enter(&l, &w[3]), -EINPROGRESS);
	assert_int_equal(q.waiting, 2);
}

static void test_no_queue_but_free_places(void **state)
{
	struct limit_queue q = { .max = 0 };
	struct limit_waiter w[3];
	struct limit l;

	(void)state;
	limit_init(&l, &q, 2);
	for (int i = 0; i < 3; i++)
		limit_waiter_init(&w[i], 0);
	assert_int_equal(limit_enter(&l, &w[0]), 0);
	assert_int_equal(limit_enter(&l, &w[1]), 0);
	assert_int_equal(limit_enter(&l, &w[2]), -ENOBUFS);
}

static void test_bound_is_shared(void **state)
{
	struct limit_queue q = { .max = 1 };
	struct limit_waiter w[4];
	struct limit a, b;

	(void)state;
	limit_init(&a, &q, 1);
	limit_init(&b, &q, 0); /* none is one */
	for (int i = 0; i < 4; i++)
		limit_waiter_init(&w[i], 0);
	assert_int_equal(limit_enter(&a, &w[0]), 0);
	assert_int_equal(limit_enter(&b, &w[1]), 0);
	assert_int_equal(limit_enter(&a, &w[2]), -EINPROGRESS);
	assert_int_equal(limit_enter(&b, &w[3]), -ENOBUFS);
	assert_ptr_equal(limit_leave(&a, &w[0]), &w[2]);
	assert_int_equal(limit_enter(&b, &w[3]), -EINPROGRESS);
	assert_null(limit_leave(&a, &w[2]));
	assert_ptr_equal(limit_leave(&b, &w[1]), &w[3]);
	assert_int_equal(q.waiting, 0);
}

static void test_priority_then_arrival(void **state)
{
	static const int priority[] = { 0, 5, -20, 0, 19, -20, 99, -99 };
	static const int order[] = { 2, 5, 7, 0, 3, 1, 4, 6 };
	struct limit_queue q = { .max = 100 };
	struct limit_waiter first, w[8], *in = &first;
	struct limit l;

	(void)state;
	limit_init(&l, &q, 1);
	limit_waiter_init(&first, 0);
	assert_int_equal(limit_enter(&l, &first), 0);
	for (int i = 0; i < 8; i++) {
		limit_waiter_init(&w[i], priority[i]);
		assert_int_equal(limit_enter(&l, &w[i]), -EINPROGRESS);
	}
	for (int i = 0; i < 8; i++) {
		in = limit_leave(&l, in);
		assert_ptr_equal(in, &w[order[i]]);
		assert_int_equal(in->state, LIMIT_IN);
		assert_int_equal(l.in, 1);
	}
	assert_null(limit_leave(&l, in));
	assert_int_equal(l.in, 0);
}

static void test_again_at_its_old_place(void **state)
{
	struct limit_queue q = { .max = 2 };
	struct limit_waiter w[4];
	struct limit l;

	(void)state;
	limit_init(&l, &q, 1);
	for (int i = 0; i < 4; i++)
		limit_waiter_init(&w[i], 0);
	assert_int_equal(limit_enter(&l, &w[0]), 0);
	assert_int_equal(limit_enter(&l, &w[1]), -EINPROGRESS);
	assert_int_equal(limit_enter(&l, &w[2]), -EINPROGRESS);
	assert_ptr_equal(limit_leave(&l, &w[0]), &w[1]); /* w0 pauses */
	assert_int_equal(limit_enter(&l, &w[3]), -EINPROGRESS);
	assert_int_equal(limit_again(&l, &w[0]), -EINPROGRESS); /* over the bound, and first */
	assert_int_equal(q.waiting, 3);
	assert_ptr_equal(limit_leave(&l, &w[1]), &w[0]);
	assert_ptr_equal(limit_leave(&l, &w[0]), &w[2]);
	assert_ptr_equal(limit_leave(&l, &w[2]), &w[3]);
	assert_null(limit_leave(&l, &w[3]));
	assert_int_equal(limit_again(&l, &w[0]), 0);
}

/* Lines of jobs wait beside the queue: it does not fill, and is never too full for them. */
static void test_unbounded(void **state)
{
	struct limit_queue q = { .max = 1 };
	struct limit_waiter w[4];
	struct limit l;

	(void)state;
	limit_init(&l, &q, 1);
	for (int i = 0; i < 4; i++) {
		limit_waiter_init(&w[i], 0);
		w[i].unbounded = i < 3;
	}
	assert_int_equal(limit_enter(&l, &w[0]), 0);
	assert_int_equal(limit_enter(&l, &w[1]), -EINPROGRESS);
	assert_int_equal(limit_enter(&l, &w[2]), -EINPROGRESS);
	assert_int_equal(q.waiting, 0);
	assert_int_equal(limit_enter(&l, &w[3]), -EINPROGRESS);
	assert_int_equal(q.waiting, 1);
	assert_int_equal(l.waiting, 3);
	assert_ptr_equal(limit_leave(&l, &w[0]), &w[1]);
	assert_ptr_equal(limit_leave(&l, &w[1]), &w[2]);
	assert_ptr_equal(limit_leave(&l, &w[2]), &w[3]);
	assert_int_equal(q.waiting, 0);
}

/* By chance: never more in than allowed, never a free place with somebody waiting. */
static void test_by_chance(void **state)
{
	enum { N = 200 };
	struct limit_queue q = { .max = 50 };
	struct limit_waiter w[N];
	struct limit l;

	(void)state;
	srand(7);
	limit_init(&l, &q, 8);
	for (int i = 0; i < N; i++)
		limit_waiter_init(&w[i], rand() % 40 - 20);
	for (int step = 0; step < 200000; step++) {
		struct limit_waiter *x = &w[rand() % N];

		if (x->state == LIMIT_OUT)
			(void)(x->arrival && rand() % 2 ? limit_again(&l, x) : limit_enter(&l, x));
		else
			(void)limit_leave(&l, x);
		assert_true(l.in <= 8);
		assert_true(l.waiting == 0 || l.in == 8);
		assert_int_equal(l.waiting, q.waiting);
		assert_int_equal(l.waiting != 0, l.filled != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_no_queue_but_free_places),
		cmocka_unit_test(test_bound_is_shared),
		cmocka_unit_test(test_priority_then_arrival),
		cmocka_unit_test(test_again_at_its_old_place),
		cmocka_unit_test(test_unbounded),
		cmocka_unit_test(test_by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
