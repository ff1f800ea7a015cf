/*
 * test_buf.c - growing bytes with a maximum
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_over_the_maximum(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(4);

	(void)state;
	assert_int_equal(buf_add(&b, "abcd", 4), 0);
	assert_int_equal(buf_addc(&b, 'e'), -EFBIG);
	assert_int_equal(b.failed, -EFBIG);
	assert_string_equal(buf_str(&b), "abcd");
	assert_int_equal(b.len, 4);
}

static void test_failed_stays_and_keeps_the_first(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(3);

	(void)state;
	assert_int_equal(buf_adds(&b, "abcd"), -EFBIG);
	assert_int_equal(b.len, 0);
	/* a short one would fit, but a gap in the middle is worse than an end too early */
	assert_int_equal(buf_adds(&b, "ab"), -EFBIG);
	assert_int_equal(buf_addf(&b, "%d", 1), -EFBIG);
	assert_int_equal(buf_reserve(&b, 1), -EFBIG);
	assert_int_equal(b.failed, -EFBIG);
	buf_clear(&b);
	assert_int_equal(b.failed, 0);
	assert_int_equal(buf_adds(&b, "ab"), 0);
}

static void test_sizes_that_overflow(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(SIZE_MAX);

	(void)state;
	assert_int_equal(buf_adds(&b, "x"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -EFBIG);
	buf_clear(&b);
	assert_int_equal(buf_adds(&b, "x"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 1), -EFBIG);
	buf_clear(&b);
	assert_int_equal(buf_adds(&b, "yz"), 0);
	assert_string_equal(buf_str(&b), "yz");
}

static void test_zero_maximum(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(0);

	(void)state;
	assert_int_equal(buf_add(&b, "", 0), 0);
	assert_int_equal(buf_addc(&b, 'x'), -EFBIG);
	assert_string_equal(buf_str(&b), "");
}

static void test_formatted_over_the_maximum(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(5);

	(void)state;
	assert_int_equal(buf_addf(&b, "%05d", 42), 0);
	assert_string_equal(buf_str(&b), "00042");
	assert_int_equal(buf_addf(&b, "%s", "!"), -EFBIG);
	assert_string_equal(buf_str(&b), "00042");
}

static void test_empty(void **state)
{
	struct buf b;
	size_t n = 9;
	char *p;

	(void)state;
	buf_init(&b, 10);
	assert_string_equal(buf_str(&b), "");
	assert_null(b.data);
	p = buf_steal(&b, &n);
	assert_non_null(p);
	assert_int_equal(n, 0);
	assert_string_equal(p, "");
	free(p);
	buf_done(&b);
	buf_done(NULL);
}

static void test_all_adds(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(buf_adds(&b, "one "), 0);
	assert_int_equal(buf_addc(&b, '2'), 0);
	assert_int_equal(buf_add(&b, "\0x", 2), 0);
	assert_int_equal(buf_addf(&b, "%s-%d", "f", 7), 0);
	assert_int_equal(b.len, 10);
	assert_memory_equal(b.data, "one 2\0xf-7", 11);
}

static void test_grows_to_exactly_the_maximum(void **state)
{
	enum { MAX = 100003 };
	AUTO_BUF struct buf b = BUF_INIT(MAX);

	(void)state;
	for (int i = 0; i < MAX; i++) {
		assert_int_equal(buf_addc(&b, (char)('a' + i % 26)), 0);
		assert_int_equal(b.data[b.len], 0);
	}
	assert_true(b.cap <= MAX + 1);
	for (int i = 0; i < MAX; i++)
		assert_int_equal(b.data[i], 'a' + i % 26);
	assert_int_equal(buf_addc(&b, 'x'), -EFBIG);
}

static void test_reserve_and_raise(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(buf_adds(&b, "ab"), 0);
	assert_int_equal(buf_reserve(&b, 3), 0);
	memcpy(b.data + b.len, "cdeX", 4); /* the byte after is not yet a NUL */
	b.len += 3;
	assert_string_equal(buf_str(&b), "abcde");
	assert_int_equal(buf_addc(&b, 'f'), 0);
	assert_string_equal(buf_str(&b), "abcdef");
}

static void test_remove(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);

	(void)state;
	buf_remove(&b, 0);
	buf_remove(&b, 5);
	assert_int_equal(buf_adds(&b, "abcdef"), 0);
	buf_remove(&b, 2);
	assert_string_equal(buf_str(&b), "cdef");
	assert_int_equal(b.len, 4);
	buf_remove(&b, 4);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_adds(&b, "gh"), 0);
	assert_string_equal(buf_str(&b), "gh");
}

static void test_clear_keeps_memory(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1000);
	const char *before;

	(void)state;
	assert_int_equal(buf_addf(&b, "%200s", "x"), 0);
	before = b.data;
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_adds(&b, "y"), 0);
	assert_ptr_equal(b.data, before);
}

static void test_steal(void **state)
{
	struct buf b = BUF_INIT(10);
	size_t n = 0;
	char *p;

	(void)state;
	assert_int_equal(buf_add(&b, "a\0b", 3), 0);
	p = buf_steal(&b, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(p, "a\0b", 4);
	assert_null(b.data);
	assert_int_equal(b.max, 10);
	assert_int_equal(buf_adds(&b, "again"), 0);
	free(p);
	p = buf_steal(&b, NULL);
	assert_string_equal(p, "again");
	free(p);
}

static void test_done_may_be_followed_by_use(void **state)
{
	struct buf b = BUF_INIT(10);

	(void)state;
	assert_int_equal(buf_adds(&b, "x"), 0);
	buf_done(&b);
	buf_done(&b);
	assert_int_equal(buf_adds(&b, "y"), 0);
	assert_string_equal(buf_str(&b), "y");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over_the_maximum),
		cmocka_unit_test(test_failed_stays_and_keeps_the_first),
		cmocka_unit_test(test_sizes_that_overflow),
		cmocka_unit_test(test_zero_maximum),
		cmocka_unit_test(test_formatted_over_the_maximum),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_all_adds),
		cmocka_unit_test(test_grows_to_exactly_the_maximum),
		cmocka_unit_test(test_reserve_and_raise),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_clear_keeps_memory),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_done_may_be_followed_by_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
