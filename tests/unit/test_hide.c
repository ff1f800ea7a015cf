/* test_hide.c - hidden names: ten seconds, or until their directory goes */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/auto.h"
#include "base/mono.h"
#include "vfs/hide.h"

static void never_hidden(void **state)
{
	struct hide *h = hide_new();

	(void)state;
	assert_false(hide_has(h, 1));
	hide_drop_children(h, 1);
	assert_null(hide_free(h));
	assert_null(hide_free(NULL));
}

static void back_after_ten_seconds(void **state)
{
	struct hide *h = hide_new();

	(void)state;
	mono_test_set(MONO_S, MONO_S);
	hide_add(h, 1, 10);
	mono_test_set(MONO_S + HIDE_NS - 1, MONO_S);
	hide_add(h, 2, 11);
	assert_true(hide_has(h, 10));
	mono_test_set(MONO_S + HIDE_NS, MONO_S);
	assert_false(hide_has(h, 10));
	assert_true(hide_has(h, 11));
	mono_test_set(0, 0);
	hide_free(h);
}

static void hidden_again_counts_from_then(void **state)
{
	struct hide *h = hide_new();

	(void)state;
	mono_test_set(MONO_S, MONO_S);
	hide_add(h, 1, 10);
	mono_test_set(9 * MONO_S, MONO_S);
	hide_add(h, 1, 10);
	mono_test_set(12 * MONO_S, MONO_S);
	assert_true(hide_has(h, 10));
	mono_test_set(0, 0);
	hide_free(h);
}

static void a_long_removal_keeps_its_directory(void **state)
{
	struct hide *h = hide_new();

	(void)state;
	for (uint64_t i = 1; i <= 100; i++) {
		mono_test_set(i * (HIDE_NS - 1), MONO_S);
		hide_add(h, 1, i);
	}
	assert_true(hide_has(h, 1));
	mono_test_set(101 * HIDE_NS, MONO_S);
	assert_false(hide_has(h, 1));
	assert_false(hide_has(h, 100));
	mono_test_set(0, 0);
	hide_free(h);
}

static void directory_gone(void **state)
{
	struct hide *h = hide_new();

	(void)state;
	for (uint64_t i = 10; i < 20; i++)
		hide_add(h, i % 2, i);
	hide_drop_children(h, 1);
	for (uint64_t i = 10; i < 20; i++)
		assert_int_equal(hide_has(h, i), i % 2 == 0);
	hide_drop_children(h, 0);
	assert_false(hide_has(h, 10));
	hide_add(h, 1, 10);
	assert_true(hide_has(h, 10));
	hide_free(h);
}

static void bounded(void **state)
{
	struct hide *h = hide_new();

	(void)state;
	for (uint64_t i = 0; i < HIDE_MAX + 10; i++)
		hide_add(h, i / 4, i + 1);
	assert_false(hide_has(h, 1));
	assert_false(hide_has(h, 10));
	assert_true(hide_has(h, 11));
	assert_true(hide_has(h, HIDE_MAX + 10));
	hide_free(h);
}

/* hidden under another directory: it is that one's, and the first one's end is nothing to it */
static void moved_to_another_directory(void **state)
{
	struct hide *h = hide_new();

	(void)state;
	hide_add(h, 1, 10);
	hide_add(h, 2, 10);
	hide_drop_children(h, 1);
	assert_true(hide_has(h, 10));
	hide_drop_children(h, 2);
	assert_false(hide_has(h, 10));
	hide_add(h, 2, 10);
	hide_add(h, 1, 10);
	hide_drop_children(h, 2);
	assert_true(hide_has(h, 10));
	hide_free(h);
}

/* numbers at the ends of their range, and a directory that is called as a name in it */
static void odd_numbers(void **state)
{
	static const uint64_t n[] = { 0, 1, UINT32_MAX, 1ULL << 32, UINT64_MAX - 1, UINT64_MAX };
	struct hide *h = hide_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(n); i++) {
		assert_false(hide_has(h, n[i]));
		hide_add(h, n[i], n[i]);
		assert_true(hide_has(h, n[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(n); i++) {
		hide_drop_children(h, n[i]);
		for (size_t k = 0; k < ARRAY_LEN(n); k++)
			assert_int_equal(hide_has(h, n[k]), k > i);
	}
	hide_free(h);
}

/* each directory by its own clock, in whatever order they were touched */
static void directories_expire_apart(void **state)
{
	static const struct {
		uint64_t at_s, parent;
	} adds[] = { { 1, 1 }, { 2, 2 }, { 3, 3 }, { 4, 1 }, { 9, 2 } };
	static const struct {
		uint64_t at_s;
		bool one, two, three;
	} looks[] = { { 10, true, true, true },	  { 12, true, true, true },
		      { 13, true, true, false },  { 14, false, true, false },
		      { 18, false, true, false }, { 19, false, false, false } };
	struct hide *h = hide_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(adds); i++) {
		mono_test_set(adds[i].at_s * MONO_S, MONO_S);
		hide_add(h, adds[i].parent, 100 + i);
	}
	for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
		mono_test_set(looks[i].at_s * MONO_S, MONO_S);
		assert_int_equal(hide_has(h, 100), looks[i].one);
		assert_int_equal(hide_has(h, 103), looks[i].one);
		assert_int_equal(hide_has(h, 101), looks[i].two);
		assert_int_equal(hide_has(h, 104), looks[i].two);
		assert_int_equal(hide_has(h, 102), looks[i].three);
	}
	mono_test_set(0, 0);
	hide_free(h);
}

/* the directory that is being removed keeps its names at the limit; the one left alone gives up its own */
static void at_the_limit_the_oldest_directory_gives(void **state)
{
	struct hide *h = hide_new();

	(void)state;
	for (uint64_t i = 1; i <= 100; i++)
		hide_add(h, 1, i);
	for (uint64_t i = 101; i <= HIDE_MAX; i++)
		hide_add(h, 2, i);
	assert_true(hide_has(h, 1));
	for (uint64_t i = 0; i < 50; i++)
		hide_add(h, 2, HIDE_MAX + 1 + i);
	for (uint64_t i = 1; i <= 100; i++)
		assert_int_equal(hide_has(h, i), i > 50);
	assert_true(hide_has(h, 101));
	hide_add(h, 1, 1); /* now the other one is the oldest */
	assert_true(hide_has(h, 1));
	assert_true(hide_has(h, 51));
	assert_false(hide_has(h, 101));
	hide_free(h);
}

static void *remover(void *arg)
{
	struct hide *h = *(struct hide **)arg;
	uint64_t me = (uint64_t)(uintptr_t)arg, wrong = 0;

	for (uint64_t round = 0; round < 200; round++) {
		for (uint64_t i = 0; i < 20; i++)
			hide_add(h, me, me + i % 7); /* some again */
		for (uint64_t i = 0; i < 7; i++)
			wrong += !hide_has(h, me + i);
		hide_drop_children(h, me);
		for (uint64_t i = 0; i < 7; i++)
			wrong += hide_has(h, me + i);
	}
	return (void *)(uintptr_t)wrong;
}

/* removals in directories of their own do not see each other */
static void removals_side_by_side(void **state)
{
	struct hide *h[4];
	pthread_t t[4];
	void *wrong;

	(void)state;
	h[0] = hide_new();
	for (size_t i = 1; i < ARRAY_LEN(h); i++)
		h[i] = h[0];
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, remover, &h[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		assert_int_equal(pthread_join(t[i], &wrong), 0);
		assert_null(wrong);
	}
	hide_free(h[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_hidden),
		cmocka_unit_test(back_after_ten_seconds),
		cmocka_unit_test(hidden_again_counts_from_then),
		cmocka_unit_test(a_long_removal_keeps_its_directory),
		cmocka_unit_test(directory_gone),
		cmocka_unit_test(bounded),
		cmocka_unit_test(moved_to_another_directory),
		cmocka_unit_test(odd_numbers),
		cmocka_unit_test(directories_expire_apart),
		cmocka_unit_test(at_the_limit_the_oldest_directory_gives),
		cmocka_unit_test(removals_side_by_side),
	};

	return cmocka_run_group_tests_name("hide", tests, NULL, NULL);
}
