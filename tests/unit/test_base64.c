/*
 * test_base64.c - strict base64
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "core/base64.h"

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		size_t at;
	} rows[] = {
		{ "A", 1 },
		{ "AA", 2 },
		{ "AAA", 3 },
		{ "AAAAA", 5 },
		{ "====", 0 },
		{ "A===", 1 },
		{ "AA=A", 2 },
		{ "=AAA", 0 },
		{ "AA==AAAA", 2 },
		{ "AAA\n", 3 },
		{ "AAAA\nAA=", 4 },
		{ "AA A", 2 },
		{ "AB==", 1 },
		{ "AAB=", 2 },
		{ "AA-A", 2 },
		{ "AA_A", 2 },
		{ "\xC3\xA9"
		  "AA",
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF struct buf b = BUF_INIT(64);
		size_t at = 99;

		assert_int_equal(base64_decode(rows[i].text, strlen(rows[i].text), &b, &at),
				 -EINVAL);
		assert_int_equal(at, rows[i].at);
		assert_int_equal(base64_decode(rows[i].text, strlen(rows[i].text), &b, NULL),
				 -EINVAL);
	}
}

static void test_too_large(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(5);

	(void)state;
	assert_int_equal(base64_decode("AAAAAAAA", 8, &b, NULL), -EFBIG);
	assert_int_equal(base64_encode("1234", 4, &b), -EFBIG);
	buf_clear(&b);
	assert_int_equal(base64_encode("123", 3, &b), 0);
}

static void test_known(void **state)
{
	/* RFC 4648, section 10 */
	static const char *const rows[][2] = { { "", "" },
					       { "f", "Zg==" },
					       { "fo", "Zm8=" },
					       { "foo", "Zm9v" },
					       { "foob", "Zm9vYg==" },
					       { "fooba", "Zm9vYmE=" },
					       { "foobar", "Zm9vYmFy" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF struct buf text = BUF_INIT(64), back = BUF_INIT(64);

		assert_int_equal(base64_encode(rows[i][0], strlen(rows[i][0]), &text), 0);
		assert_string_equal(buf_str(&text), rows[i][1]);
		assert_int_equal(base64_decode(buf_str(&text), text.len, &back, NULL), 0);
		assert_string_equal(buf_str(&back), rows[i][0]);
	}
}

static void test_every_byte(void **state)
{
	uint8_t bytes[259];

	(void)state;
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		AUTO_BUF struct buf text = BUF_INIT(400), back = BUF_INIT(300);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(i * 7 + n);
		assert_int_equal(base64_encode(bytes, n, &text), 0);
		assert_int_equal(base64_decode(buf_str(&text), text.len, &back, NULL), 0);
		assert_int_equal(back.len, n);
		assert_true(!n || memcmp(back.data, bytes, n) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
