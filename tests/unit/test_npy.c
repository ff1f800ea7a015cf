/*
 * test_npy.c - a file that numpy.load reads
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/npy.h"

static void test_too_large(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(npy_write("", SIZE_MAX / 2, 4, &b), -EFBIG);
	assert_int_equal(npy_write("12345678", 1, 2, &b), -EFBIG); /* the header alone is 128 */
}

static void test_bytes(void **state)
{
	/* 1.0 and -2.5 */
	static const uint8_t values[] = { 0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0 };
	static const char dict[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
	AUTO_BUF struct buf b = BUF_INIT(1000);

	(void)state;
	assert_int_equal(npy_write(values, 1, 2, &b), 0);
	assert_int_equal(b.len, 128 + 8);
	assert_memory_equal(b.data, "\x93NUMPY\x01\x00\x76\x00", 10); /* 0x76 and 10 are 128 */
	assert_memory_equal(b.data + 10, dict, sizeof(dict) - 1);
	for (size_t i = 10 + sizeof(dict) - 1; i < 127; i++)
		assert_int_equal(b.data[i], ' ');
	assert_int_equal(b.data[127], '\n');
	assert_memory_equal(b.data + 128, values, 8);
}

/* The numbers begin at a multiple of 64 whatever the shape takes to write. */
static void test_alignment(void **state)
{
	static const size_t rows[] = { 1, 10, 1000, 123456789 };
	static const uint8_t nothing[1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		AUTO_BUF struct buf b = BUF_INIT(4096);

		assert_int_equal(npy_write(nothing, rows[i], 0, &b), 0);
		assert_int_equal(b.len % 64, 0);
		assert_int_equal((uint8_t)b.data[8] + 256 * (uint8_t)b.data[9] + 10, b.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
