/*
 * test_given.c - names the kernel may have: never a false no
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "vfs/given.h"

static void test_one_name(void **state)
{
	struct given *g = given_new();

	(void)state;
	assert_non_null(g);
	assert_false(given_take(g, 1, "sky"));
	given_add(g, 1, "sky");
	given_add(g, 1, "sky");
	assert_false(given_take(g, 2, "sky"));
	assert_false(given_take(g, 1, "skY"));
	assert_true(given_take(g, 1, "sky"));
	assert_false(given_take(g, 1, "sky"));
	given_add(g, 1, "sky");
	assert_true(given_take(g, 1, "sky"));
	assert_null(given_free(g));
}

static void test_many_names_have_no_false_no(void **state)
{
	struct given *g = given_new();
	char name[32];
	int needless = 0;

	(void)state;
	assert_non_null(g);
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(name, sizeof(name), "k%06d", i);
		given_add(g, (uint32_t)i % 7, name);
	}
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(name, sizeof(name), "k%06d", i);
		assert_true(given_take(g, (uint32_t)i % 7, name));
	}
	assert_null(given_free(g));
	g = given_new();
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof(name), "k%06d", i);
		given_add(g, 1, name);
	}
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof(name), "x%06d", i);
		needless += given_take(g, 1, name);
	}
	assert_true(needless < 100);
	assert_null(given_free(g));
}

static void test_without_memory_everything_is_given(void **state)
{
	(void)state;
	given_add(NULL, 1, "sky");
	assert_true(given_take(NULL, 1, "sky"));
	assert_null(given_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_name),
		cmocka_unit_test(test_many_names_have_no_false_no),
		cmocka_unit_test(test_without_memory_everything_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
