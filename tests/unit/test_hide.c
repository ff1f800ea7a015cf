/* test_hide.c - hidden names: ten seconds, or until their directory goes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_hidden),
		cmocka_unit_test(back_after_ten_seconds),
		cmocka_unit_test(hidden_again_counts_from_then),
		cmocka_unit_test(a_long_removal_keeps_its_directory),
		cmocka_unit_test(directory_gone),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests_name("hide", tests, NULL, NULL);
}
