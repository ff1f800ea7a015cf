/*
 * test_str.c - text helpers
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/str.h"

static void test_copy(void **state)
{
	char out[5];

	(void)state;
	assert_false(str_copy(out, sizeof(out), "abcde"));
	assert_string_equal(out, "abcd");
	assert_false(str_copy(out, 1, "a"));
	assert_string_equal(out, "");
	assert_true(str_copy(out, 1, ""));
	assert_true(str_copy(out, sizeof(out), "abcd"));
	assert_string_equal(out, "abcd");
	assert_true(str_copy(out, sizeof(out), out)); /* onto itself */
	assert_string_equal(out, "abcd");
}

static void test_starts_and_ends(void **state)
{
	(void)state;
	assert_false(str_starts("ab", "abc"));
	assert_false(str_starts("xab", "ab"));
	assert_true(str_starts("abc", "ab"));
	assert_true(str_starts("abc", ""));
	assert_true(str_starts("", ""));
	assert_false(str_ends("bc", "abc"));
	assert_false(str_ends("abcx", "bc"));
	assert_true(str_ends("abc", "bc"));
	assert_true(str_ends("abc", "abc"));
	assert_true(str_ends("abc", ""));
	assert_true(str_ends("", ""));
}

static void test_printf_and_dup(void **state)
{
	AUTO_FREE char *a = str_printf("%s %05d", "x", 42);
	AUTO_FREE char *b = str_dup_n("a\0b", 3);
	AUTO_FREE char *c = str_dup_n(NULL, 0);
	AUTO_FREE char *d = str_printf("%3000s", "y");

	(void)state;
	assert_string_equal(a, "x 00042");
	assert_memory_equal(b, "a\0b", 4);
	assert_string_equal(c, "");
	assert_int_equal(strlen(d), 3000);
	assert_null(str_dup_n("x", SIZE_MAX));
}

struct utf8_row {
	const char *bytes;
	size_t n;
	int next; /* str_utf8_next */
	uint32_t cp;
	bool valid;
	size_t whole;
};

#define ROW(text, next, cp, valid, whole)                      \
	{                                                      \
		text, sizeof(text) - 1, next, cp, valid, whole \
	}

static const struct utf8_row utf8_rows[] = {
	/* not UTF-8 */
	ROW("\x80", -1, 0, false, 1),
	ROW("\xBF", -1, 0, false, 1),
	ROW("\xC0\x80", -1, 0, false, 2),
	ROW("\xC1\xBF", -1, 0, false, 2),
	ROW("\xC2\x41", -1, 0, false, 2),
	ROW("\xC2\xC2\x80", -1, 0, false, 3),
	ROW("\xE0\x80\x80", -1, 0, false, 3),
	ROW("\xE0\x9F\xBF", -1, 0, false, 3),
	ROW("\xED\xA0\x80", -1, 0, false, 3), /* U+D800 */
	ROW("\xED\xBF\xBF", -1, 0, false, 3), /* U+DFFF */
	ROW("\xED\xA0", -1, 0, false, 2),     /* no surrogate can come of it */
	ROW("\xF0\x80\x80\x80", -1, 0, false, 4),
	ROW("\xF0\x8F\xBF\xBF", -1, 0, false, 4),
	ROW("\xF4\x90\x80\x80", -1, 0, false, 4), /* U+110000 */
	ROW("\xF5\x80\x80\x80", -1, 0, false, 4),
	ROW("\xFE", -1, 0, false, 1),
	ROW("\xFF", -1, 0, false, 1),
	ROW("\xE2\x82\x41", -1, 0, false, 3),
	ROW("\xF0\x9F\x98\x41", -1, 0, false, 4),
	/* not yet whole */
	ROW("\xC2", 0, 0, false, 0),
	ROW("\xE0", 0, 0, false, 0),
	ROW("\xE0\xA0", 0, 0, false, 0),
	ROW("\xED\x9F", 0, 0, false, 0),
	ROW("\xEF\xBF", 0, 0, false, 0),
	ROW("\xF0", 0, 0, false, 0),
	ROW("\xF0\x9F", 0, 0, false, 0),
	ROW("\xF0\x9F\x98", 0, 0, false, 0),
	ROW("\xF4\x8F\xBF", 0, 0, false, 0),
	ROW("ab\xF0\x9F\x98", 1, 'a', false, 2),
	ROW("ab\xE2\x82", 1, 'a', false, 2),
	ROW("ab\xC3", 1, 'a', false, 2),
	/* whole */
	ROW("a", 1, 'a', true, 1),
	ROW("\x7F", 1, 0x7F, true, 1),
	ROW("\0", 1, 0, true, 1),
	ROW("\xC2\x80", 2, 0x80, true, 2),
	ROW("\xDF\xBF", 2, 0x7FF, true, 2),
	ROW("\xE0\xA0\x80", 3, 0x800, true, 3),
	ROW("\xE2\x82\xAC", 3, 0x20AC, true, 3),
	ROW("\xED\x9F\xBF", 3, 0xD7FF, true, 3),
	ROW("\xEE\x80\x80", 3, 0xE000, true, 3),
	ROW("\xEF\xBF\xBD", 3, 0xFFFD, true, 3),
	ROW("\xEF\xBF\xBF", 3, 0xFFFF, true, 3),
	ROW("\xF0\x90\x80\x80", 4, 0x10000, true, 4),
	ROW("\xF0\x9F\x98\x80", 4, 0x1F600, true, 4),
	ROW("\xF4\x8F\xBF\xBF", 4, 0x10FFFF, true, 4),
	ROW("caf\xC3\xA9", 1, 'c', true, 5),
};

static void test_utf8_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(utf8_rows); i++) {
		const struct utf8_row *r = &utf8_rows[i];
		uint32_t cp = 0;
		int next = str_utf8_next(r->bytes, r->n, &cp);

		if (next != r->next || str_utf8_valid(r->bytes, r->n) != r->valid ||
		    str_utf8_whole(r->bytes, r->n) != r->whole)
			fail_msg("row %zu: next %d, whole %zu", i, next,
				 str_utf8_whole(r->bytes, r->n));
		if (next > 0)
			assert_int_equal(cp, r->cp);
	}
}

static void test_utf8_empty(void **state)
{
	(void)state;
	assert_int_equal(str_utf8_next("", 0, NULL), 0);
	assert_true(str_utf8_valid("", 0));
	assert_int_equal(str_utf8_whole("", 0), 0);
	assert_int_equal(str_utf8_next("a", 1, NULL), 1);
}

/* Every code point, encoded by the rule of the standard, comes back. */
static void test_utf8_every_code_point(void **state)
{
	(void)state;
	for (uint32_t cp = 0; cp <= 0x110000; cp++) {
		unsigned char b[4];
		size_t n;
		uint32_t got = 0;
		bool good = (cp < 0xD800 || cp > 0xDFFF) && cp <= 0x10FFFF;

		if (cp < 0x80) {
			n = 1;
			b[0] = (unsigned char)cp;
		} else if (cp < 0x800) {
			n = 2;
			b[0] = (unsigned char)(0xC0 | cp >> 6);
		} else if (cp < 0x10000) {
			n = 3;
			b[0] = (unsigned char)(0xE0 | cp >> 12);
		} else {
			n = 4;
			b[0] = (unsigned char)(0xF0 | cp >> 18);
		}
		for (size_t i = 1; i < n; i++)
			b[i] = (unsigned char)(0x80 | (cp >> (6 * (n - 1 - i)) & 0x3F));
		if (str_utf8_next((const char *)b, n, &got) != (good ? (int)n : -1) ||
		    (good && got != cp))
			fail_msg("U+%04X", cp);
		if (good && n > 1)
			assert_int_equal(str_utf8_next((const char *)b, n - 1, NULL), 0);
	}
}

struct distance_row {
	const char *a, *b;
	unsigned d;
};

static const struct distance_row distance_rows[] = {
	{ "", "", 0 },
	{ "", "abc", 3 },
	{ "abc", "", 3 },
	{ "abc", "abc", 0 },
	{ "abc", "abd", 1 },
	{ "abc", "ac", 1 },
	{ "abc", "abxc", 1 },
	{ "abc", "acb", 1 }, /* neighbours swapped */
	{ "kitten", "sitting", 3 },
	{ "temprature", "temperature", 1 },
	{ "tiemout", "timeout", 1 },
	{ "maxtokens", "max_tokens", 1 },
	{ "abcd", "dcba", 3 },
	{ "ABC", "abc", 3 },
};

static void test_distance(void **state)
{
	char a[100], b[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(distance_rows); i++) {
		const struct distance_row *r = &distance_rows[i];

		if (str_distance(r->a, r->b) != r->d || str_distance(r->b, r->a) != r->d)
			fail_msg("%s %s: %u", r->a, r->b, str_distance(r->a, r->b));
	}
	/* only 64 bytes are compared */
	memset(a, 'a', sizeof(a) - 1);
	a[sizeof(a) - 1] = '\0';
	memcpy(b, a, sizeof(b));
	b[80] = 'x';
	assert_int_equal(str_distance(a, b), 0);
	memset(b, 'b', sizeof(b) - 1);
	assert_int_equal(str_distance(a, b), 64);
}

static void test_nearest(void **state)
{
	static const char *const list[] = { "temperature", "top_p", "top_k", "timeout", "n", NULL };
	static const char *const none[] = { NULL };

	(void)state;
	assert_null(str_nearest("temperature", none));
	assert_null(str_nearest("", list));
	assert_null(str_nearest("zzzzzzzzzzz", list));
	assert_null(str_nearest("x", list));
	assert_null(str_nearest("frequency_penalty", list));
	assert_string_equal(str_nearest("temperatur", list), "temperature");
	assert_string_equal(str_nearest("Temperature", list), "temperature");
	assert_string_equal(str_nearest("topp", list), "top_p");
	assert_string_equal(str_nearest("top-k", list), "top_k");
	assert_string_equal(str_nearest("timeuot", list), "timeout");
	assert_string_equal(str_nearest("top_p", list), "top_p");
}

static void test_hex(void **state)
{
	static const unsigned char bytes[] = { 0x00, 0x01, 0x7f, 0x80, 0xab, 0xff };
	unsigned char back[6];
	char text[13];

	(void)state;
	str_hex(bytes, sizeof(bytes), text);
	assert_string_equal(text, "00017f80abff");
	assert_int_equal(str_unhex(text, 6, back), 0);
	assert_memory_equal(back, bytes, 6);
	str_hex(bytes, 0, text);
	assert_string_equal(text, "");
}

static void test_unhex_refuses(void **state)
{
	static const char *const wrong[] = { "", "0", "0g", "g0", "0A", "0x", " 1", "0\n" };
	unsigned char out = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(str_unhex(wrong[i], 1, &out), -EINVAL);
		assert_int_equal(out, 7);
	}
}

struct u64_row {
	const char *text;
	int rc;
	uint64_t v;
};

static const struct u64_row u64_rows[] = {
	{ "", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1 ", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ "0x1", -EINVAL, 0 },
	{ "1.0", -EINVAL, 0 },
	{ "a", -EINVAL, 0 },
	{ "18446744073709551616", -EINVAL, 0 },
	{ "99999999999999999999", -EINVAL, 0 },
	{ "0", 0, 0 },
	{ "007", 0, 7 },
	{ "18446744073709551615", 0, UINT64_MAX },
};

static void test_parse_u64(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(u64_rows); i++) {
		uint64_t v = 77;

		assert_int_equal(str_parse_u64(u64_rows[i].text, &v), u64_rows[i].rc);
		assert_true(v == (u64_rows[i].rc ? 77 : u64_rows[i].v));
	}
}

struct size_row {
	const char *text;
	int rc;
	uint64_t v;
};

static const struct size_row size_rows[] = {
	{ "", -EINVAL, 0 },
	{ "K", -EINVAL, 0 },
	{ "1KK", -EINVAL, 0 },
	{ "1KB", -EINVAL, 0 },
	{ "1.5M", -EINVAL, 0 },
	{ "-1M", -EINVAL, 0 },
	{ "1 M", -EINVAL, 0 },
	{ "1T", -EINVAL, 0 },
	{ "17179869184G", -EINVAL, 0 },
	{ "18446744073709551615K", -EINVAL, 0 },
	{ "0", 0, 0 },
	{ "0G", 0, 0 },
	{ "512", 0, 512 },
	{ "1K", 0, 1024 },
	{ "1k", 0, 1024 },
	{ "16M", 0, 16u << 20 },
	{ "3m", 0, 3u << 20 },
	{ "2G", 0, 2147483648u },
	{ "17179869183G", 0, 17179869183u * 1073741824u },
};

static void test_parse_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(size_rows); i++) {
		uint64_t v = 77;

		if (str_parse_size(size_rows[i].text, &v) != size_rows[i].rc)
			fail_msg("%s", size_rows[i].text);
		assert_true(v == (size_rows[i].rc ? 77 : size_rows[i].v));
	}
}

static void test_parse_double(void **state)
{
	static const char *const wrong[] = { "",    " ",   " 1",     "1 ", "x",	    "1x",
					     "inf", "nan", "0x10",   "1e", "1e999", "--1",
					     ".",   "1,5", "-1e999", "e5", "1.2.3" };
	double d = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		if (str_parse_double(wrong[i], &d) != -EINVAL)
			fail_msg("taken: %s", wrong[i]);
		assert_true(d == 7);
	}
	assert_int_equal(str_parse_double("1.5", &d), 0);
	assert_true(d == 1.5);
	assert_int_equal(str_parse_double("-2e3", &d), 0);
	assert_true(d == -2000);
	assert_int_equal(str_parse_double("1e-999", &d), 0);
	assert_true(d == 0);
	assert_int_equal(str_parse_double(".5", &d), 0);
	assert_true(d == 0.5);
}

static void test_iso8601(void **state)
{
	char out[32];

	(void)state;
	str_iso8601(0, out, sizeof(out));
	assert_string_equal(out, "1970-01-01T00:00:00.000Z");
	str_iso8601(1700000000123999999u, out, sizeof(out));
	assert_string_equal(out, "2023-11-14T22:13:20.123Z");
	str_iso8601(951782400000000000u, out, sizeof(out));
	assert_string_equal(out, "2000-02-29T00:00:00.000Z");
	str_iso8601(UINT64_MAX, out, sizeof(out));
	assert_string_equal(out, "2554-07-21T23:34:33.709Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unhex_refuses),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_starts_and_ends),
		cmocka_unit_test(test_printf_and_dup),
		cmocka_unit_test(test_utf8_rows),
		cmocka_unit_test(test_utf8_empty),
		cmocka_unit_test(test_utf8_every_code_point),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_parse_double),
		cmocka_unit_test(test_iso8601),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
