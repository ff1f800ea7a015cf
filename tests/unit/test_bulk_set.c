/* test_bulk_set.c - names and keys that a job of many lines has seen */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jobs/bulk_set.h"

#define FIRST_CAP 64u /* slots of a set's first table */

static void nothing_is_in_an_empty_set(void **state)
{
	struct bulk_set s = { 0 };

	(void)state;
	assert_false(bulk_set_has(&s, 1));
	assert_false(bulk_set_has(&s, UINT64_MAX));
	bulk_set_done(&s);
	bulk_set_done(&s);
	assert_null(s.slots);
	assert_int_equal(s.n, 0);
}

static void the_second_time_is_no_news(void **state)
{
	static const uint64_t at_the_edges[] = { 1, 2, FIRST_CAP, UINT64_MAX, (uint64_t)1 << 63 };
	struct bulk_set s = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(at_the_edges) / sizeof(at_the_edges[0]); i++) {
		assert_false(bulk_set_has(&s, at_the_edges[i]));
		assert_int_equal(bulk_set_add(&s, at_the_edges[i]), 1);
		assert_int_equal(bulk_set_add(&s, at_the_edges[i]), 0);
		assert_true(bulk_set_has(&s, at_the_edges[i]));
		assert_int_equal(s.n, i + 1);
	}
	bulk_set_done(&s);
}

/* all want the last slot: they go round to the first ones, and each is still found */
static void those_that_want_one_slot_go_round(void **state)
{
	struct bulk_set s = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= 40; i++)
		assert_int_equal(bulk_set_add(&s, i * FIRST_CAP - 1), 1);
	assert_int_equal(s.cap, FIRST_CAP);
	for (uint64_t i = 1; i <= 40; i++)
		assert_true(bulk_set_has(&s, i * FIRST_CAP - 1));
	assert_false(bulk_set_has(&s, 41 * FIRST_CAP - 1));
	assert_false(
		bulk_set_has(&s, FIRST_CAP)); /* a slot that another one's chain goes through */
	bulk_set_done(&s);
}

/* a full table would be searched forever */
static void a_slot_is_always_free(void **state)
{
	struct bulk_set s = { 0 };

	(void)state;
	for (uint64_t h = 1; h <= 10000; h++) {
		assert_int_equal(bulk_set_add(&s, h), 1);
		assert_true(s.n <= s.cap / 4 * 3);
		assert_int_equal(s.cap & (s.cap - 1), 0);
	}
	assert_false(bulk_set_has(&s, 10001));
	bulk_set_done(&s);
}

static void growing_loses_nothing(void **state)
{
	enum { N = 100000 };
	struct bulk_set s = { 0 };

	(void)state;
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(bulk_set_add(&s, bulk_set_hash(&i, sizeof(i))), 1);
	assert_int_equal(s.n, N);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(bulk_set_add(&s, bulk_set_hash(&i, sizeof(i))), 0);
	for (unsigned i = N; i < 2 * N; i++)
		assert_false(bulk_set_has(&s, bulk_set_hash(&i, sizeof(i))));
	assert_int_equal(s.n, N);
	bulk_set_done(&s);
}

/* which line of equal ones it is must not change because others came between */
static void occurrences_are_counted_over_growth(void **state)
{
	enum { KEYS = 1000, TIMES = 7 };
	struct bulk_set s = { 0 };

	(void)state;
	for (uint32_t t = 1; t <= TIMES; t++)
		for (unsigned i = 0; i < KEYS; i++)
			assert_int_equal(bulk_set_count(&s, bulk_set_hash(&i, sizeof(i))), t);
	assert_int_equal(s.n, KEYS);
	for (unsigned i = KEYS; i < 3 * KEYS; i++)
		assert_int_equal(bulk_set_count(&s, bulk_set_hash(&i, sizeof(i))), 1);
	for (unsigned i = 0; i < KEYS; i++)
		assert_int_equal(bulk_set_count(&s, bulk_set_hash(&i, sizeof(i))), TIMES + 1);
	bulk_set_done(&s);
}

static void a_set_begins_anew(void **state)
{
	struct bulk_set s = { 0 };

	(void)state;
	assert_int_equal(bulk_set_count(&s, 5), 1);
	assert_int_equal(bulk_set_count(&s, 5), 2);
	bulk_set_done(&s);
	assert_false(bulk_set_has(&s, 5));
	assert_int_equal(bulk_set_count(&s, 5), 1);
	bulk_set_done(&s);
	assert_int_equal(bulk_set_add(&s, 5), 1); /* counts no longer */
	assert_null(s.counts);
	bulk_set_done(&s);
}

/* what a crash interrupted finds its lines by the same hashes */
static void hashes_are_of_the_bytes(void **state)
{
	static const char zeros[2] = { 0 };

	(void)state;
	assert_int_not_equal(bulk_set_hash("", 0), 0);
	assert_true(bulk_set_hash("a", 1) == bulk_set_hash("ab", 1));
	assert_true(bulk_set_hash("a", 1) != bulk_set_hash("a", 2));
	assert_true(bulk_set_hash("a", 1) != bulk_set_hash("A", 1));
	assert_true(bulk_set_hash(zeros, 1) != bulk_set_hash(zeros, 2));
	assert_true(bulk_set_hash(zeros, 1) != bulk_set_hash("", 0));
	/* the first bytes of SHA-256 of "abc" */
	assert_memory_equal(&(uint64_t){ bulk_set_hash("abc", 3) },
			    "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_in_an_empty_set),
		cmocka_unit_test(the_second_time_is_no_news),
		cmocka_unit_test(those_that_want_one_slot_go_round),
		cmocka_unit_test(a_slot_is_always_free),
		cmocka_unit_test(growing_loses_nothing),
		cmocka_unit_test(occurrences_are_counted_over_growth),
		cmocka_unit_test(a_set_begins_anew),
		cmocka_unit_test(hashes_are_of_the_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
