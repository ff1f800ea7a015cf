/*
 * test_canon.c - canonical JSON and the strict reader
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "base/str.h"
#include "core/canon.h"

static const char *shared_dir(void)
{
	const char *dir = getenv("INFERFS_SHARED");

	return dir ? dir : "../shared";
}

/* parse and write; the text must be good */
static void canon(const char *text, size_t len, struct buf *out)
{
	struct err e = { 0 };
	bool unfinished = true;
	json_t *v = NULL;

	if (canon_parse(text, len, &v, &unfinished, &e))
		fail_msg("%.*s: %s", (int)len, text, e.message);
	assert_false(unfinished);
	assert_int_equal(canon_write(v, out), 0);
	json_decref(v);
}

static void expect_canon(const char *text, const char *want)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);

	canon(text, strlen(text), &b);
	assert_string_equal(buf_str(&b), want);
	canon(b.data, b.len, &again);
	assert_string_equal(buf_str(&again), want);
}

/* --- what is refused ------------------------------------------------------------------------ */

struct bad_row {
	const char *text;
	unsigned line, column;
	bool unfinished;
	const char *says;
};

static const struct bad_row bad_rows[] = {
	/* nothing or only blanks */
	{ "", 1, 1, true, "empty" },
	{ " ", 1, 2, true, "empty" },
	{ "\n\n  ", 3, 3, true, "empty" },
	/* ends too early */
	{ "{", 1, 2, true, "closing }" },
	{ "[", 1, 2, true, "closing ]" },
	{ "{\"a\"", 1, 5, true, "closing }" },
	{ "{\"a\":", 1, 6, true, "closing }" },
	{ "{\"a\":1", 1, 7, true, "closing }" },
	{ "{\"a\":1,", 1, 8, true, "closing }" },
	{ "{\"a\":1,\n", 2, 1, true, "closing }" },
	{ "[1,", 1, 4, true, "closing ]" },
	{ "\"", 1, 2, true, "closing quote" },
	{ "{\"a", 1, 4, true, "closing quote" },
	{ "\"\\", 1, 3, true, "escape" },
	{ "\"\\u", 1, 4, true, "escape" },
	{ "\"\\u00e", 1, 7, true, "escape" },
	{ "\"\\ud83d", 1, 8, true, "surrogate" },
	{ "\"\\ud83d\\", 1, 9, true, "surrogate" },
	{ "\"\\ud83d\\u", 1, 10, true, "escape" },
	{ "\"\\ud83d\\ude0", 1, 13, true, "escape" },
	{ "\"\xC3", 1, 3, true, "character" },
	{ "\"\xE2\x82", 1, 4, true, "character" },
	{ "\"\xF0\x9F\x98", 1, 5, true, "character" },
	{ "t", 1, 2, true, "true" },
	{ "[fals", 1, 6, true, "false" },
	{ "{\"a\":nul", 1, 9, true, "null" },
	{ "-", 1, 2, true, "number" },
	{ "[1.", 1, 4, true, "number" },
	{ "[1e", 1, 4, true, "number" },
	{ "[1e+", 1, 5, true, "number" },
	{ "[1E-", 1, 5, true, "number" },
	/* wrong, whatever follows */
	{ "x", 1, 1, false, "expected a value" },
	{ "tru}", 1, 1, false, "expected a value" },
	{ "nulL", 1, 1, false, "expected a value" },
	{ "'a'", 1, 1, false, "expected a value" },
	{ "[1 2]", 1, 4, false, "expected a comma or the end of the list" },
	{ "[1\n  2]", 2, 3, false, "expected a comma" },
	{ "[1,]", 1, 4, false, "remove the comma" },
	{ "[,1]", 1, 2, false, "expected a value" },
	{ "[1}", 1, 3, false, "end of the list" },
	{ "{\"a\":1]", 1, 7, false, "end of the object" },
	{ "{\"a\":1 \"b\":2}", 1, 8, false, "expected a comma or the end of the object" },
	{ "{\n\t\"a\": 1,\n}", 3, 1, false, "remove the comma" },
	{ "{a:1}", 1, 2, false, "double quotes" },
	{ "{'a':1}", 1, 2, false, "double quotes" },
	{ "{1:1}", 1, 2, false, "double quotes" },
	{ "{,}", 1, 2, false, "double quotes" },
	{ "{\"a\" 1}", 1, 6, false, "expected a colon" },
	{ "{\"a\":}", 1, 6, false, "expected a value" },
	{ "{\"a\"}", 1, 5, false, "expected a colon" },
	{ "]", 1, 1, false, "expected a value" },
	{ "}", 1, 1, false, "expected a value" },
	{ "{} {}", 1, 4, false, "nothing more" },
	{ "{}\n\nx", 3, 1, false, "nothing more" },
	{ "1 2", 1, 3, false, "nothing more" },
	{ "{}]", 1, 3, false, "nothing more" },
	{ "{\"a\":1} // x", 1, 9, false, "nothing more" },
	{ "/* x */ {}", 1, 1, false, "expected a value" },
	/* strings */
	{ "\"a\nb\"", 1, 3, false, "control character" },
	{ "\"a\tb\"", 1, 3, false, "control character" },
	{ "\"\x01", 1, 2, false, "control character" },
	{ "\"\\x\"", 1, 2, false, "unknown escape" },
	{ "\"\\'\"", 1, 2, false, "unknown escape" },
	{ "\"\\u12g4\"", 1, 6, false, "hexadecimal" },
	{ "\"\\u\"", 1, 4, false, "hexadecimal" },
	{ "\"\\u0000\"", 1, 2, false, "\\u0000" },
	{ "\"ab\\udc00\"", 1, 4, false, "surrogate" },
	{ "\"\\ud800\"", 1, 2, false, "surrogate" },
	{ "\"\\ud800x", 1, 2, false, "surrogate" },
	{ "\"\\ud800\\n\"", 1, 2, false, "surrogate" },
	{ "\"\\ud800\\ud800\"", 1, 2, false, "surrogate" },
	{ "\"\\ud800\\u0041\"", 1, 2, false, "surrogate" },
	{ "\"\x80\"", 1, 2, false, "UTF-8" },
	{ "\"\xC3(\"", 1, 2, false, "UTF-8" },
	{ "\"\xED\xA0\x80\"", 1, 2, false, "UTF-8" },
	{ "\"\xC0\x80\"", 1, 2, false, "UTF-8" },
	{ "\"caf\xC3\xA9 \xFF\"", 1, 8, false, "UTF-8" }, /* columns are bytes */
	{ "\xEF\xBB\xBF{}", 1, 1, false, "byte order mark" },
	{ "{\xC2\xA0}", 1, 2, false, "double quotes" },
	/* numbers */
	{ "01", 1, 1, false, "begin with 0" },
	{ "-01", 1, 1, false, "begin with 0" },
	{ "+1", 1, 1, false, "expected a value" },
	{ ".5", 1, 1, false, "expected a value" },
	{ "-x", 1, 2, false, "digit" },
	{ "1.x", 1, 3, false, "after the point" },
	{ "1.e1", 1, 3, false, "after the point" },
	{ "1ex", 1, 3, false, "exponent" },
	{ "1e+x", 1, 4, false, "exponent" },
	{ "0x10", 1, 2, false, "nothing more" },
	{ "NaN", 1, 1, false, "expected a value" },
	{ "[Infinity]", 1, 2, false, "expected a value" },
	{ "[1e999]", 1, 2, false, "double" },
	{ "[-1e999]", 1, 2, false, "double" },
	{ "[9223372036854775808]", 1, 2, false, "64 bits" },
	{ "[-9223372036854775809]", 1, 2, false, "64 bits" },
	{ "[18446744073709551616]", 1, 2, false, "64 bits" },
	{ "[1000000000000000000000]", 1, 2, false, "64 bits" }, /* canonical is 1e+21 */
	{ "[100000000000000000001]", 1, 2, false, "64 bits" },
	{ "[100000000000000000000,1,1e999]", 1, 28, false, "double" },
	{ "[123456789012345678901234567890]", 1, 2, false, "64 bits" },
	/* a member twice */
	{ "{\"a\":1,\"a\":1}", 1, 8, false, "already" },
	{ "{\n \"a\":1,\n  \"a\":2}", 3, 3, false, "already" },
	{ "{\"x\":{\"b\":1,\"\\u0062\":2}}", 1, 13, false, "already" },
	{ "{\"a\\\"\":1,\"a\\\"\":1}", 1, 10, false, "already" },
};

static void test_bad_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		const struct bad_row *r = &bad_rows[i];
		struct err e = { 0 };
		bool unfinished = !r->unfinished;
		json_t *v = NULL;
		char place[64];
		int rc = canon_parse(r->text, strlen(r->text), &v, &unfinished, &e);

		(void)snprintf(place, sizeof(place), "line %u, column %u: ", r->line, r->column);
		if (rc != -EINVAL || v || unfinished != r->unfinished || e.line != r->line ||
		    e.column != r->column || !strstr(e.message, r->says) ||
		    !str_starts(e.message, place))
			fail_msg("row %zu (%s): rc %d, unfinished %d, %s", i, r->text, rc,
				 unfinished, e.message);
		assert_int_equal(e.kind, ERR_REQUEST);
	}
}

static void test_errors_need_no_err(void **state)
{
	json_t *v = NULL;

	(void)state;
	assert_int_equal(canon_parse("{", 1, &v, NULL, NULL), -EINVAL);
	assert_int_equal(canon_parse(NULL, 0, &v, NULL, NULL), -EINVAL);
	assert_int_equal(canon_parse("{\"a\":1,\"a\":2}", 13, &v, NULL, NULL), -EINVAL);
	assert_null(v);
}

static void test_nul_bytes(void **state)
{
	static const char in_string[] = "{\"a\":\"x\0y\"}", outside[] = "{}\0", first[] = "\0{}";
	struct err e;
	json_t *v = NULL;
	bool unfinished;

	(void)state;
	assert_int_equal(canon_parse(in_string, sizeof(in_string) - 1, &v, &unfinished, &e),
			 -EINVAL);
	assert_int_equal(e.column, 8);
	assert_false(unfinished);
	assert_int_equal(canon_parse(outside, 3, &v, &unfinished, &e), -EINVAL);
	assert_int_equal(e.column, 3);
	assert_int_equal(canon_parse(first, 3, &v, &unfinished, &e), -EINVAL);
	assert_int_equal(e.column, 1);
	assert_null(v);
}

static void nest(struct buf *b, unsigned depth, char open, char close)
{
	buf_clear(b);
	for (unsigned i = 0; i < depth; i++)
		assert_int_equal(open == '[' ? buf_addc(b, '[') : buf_adds(b, "{\"a\":"), 0);
	if (open == '{')
		assert_int_equal(buf_adds(b, "1"), 0);
	for (unsigned i = 0; i < depth && close; i++)
		assert_int_equal(buf_addc(b, close), 0);
}

static void test_depth(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 24), out = BUF_INIT(1 << 24);
	struct err e;
	bool unfinished;
	json_t *v = NULL;

	(void)state;
	nest(&b, 65, '[', ']');
	assert_int_equal(canon_parse(b.data, b.len, &v, &unfinished, &e), -EINVAL);
	assert_non_null(strstr(e.message, "64 levels"));
	assert_int_equal(e.column, 65);
	assert_false(unfinished);
	nest(&b, 65, '{', '}');
	assert_int_equal(canon_parse(b.data, b.len, &v, NULL, &e), -EINVAL);
	nest(&b, 1000000, '[', 0);
	assert_int_equal(canon_parse(b.data, b.len, &v, NULL, &e), -EINVAL);
	nest(&b, 64, '[', ']');
	canon(b.data, b.len, &out);
	assert_string_equal(buf_str(&out), buf_str(&b));
	nest(&b, 64, '{', '}');
	buf_clear(&out);
	canon(b.data, b.len, &out);
	assert_string_equal(buf_str(&out), buf_str(&b));
}

static void test_brackets_in_strings_are_no_depth(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 16), out = BUF_INIT(1 << 16);

	(void)state;
	assert_int_equal(buf_addc(&b, '"'), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_adds(&b, "[{\\\""), 0);
	assert_int_equal(buf_addc(&b, '"'), 0);
	canon(b.data, b.len, &out);
	assert_string_equal(buf_str(&out), buf_str(&b));
}

/* A rich document: each of its beginnings is unfinished, and only the whole is not. */
static void test_every_beginning_is_unfinished(void **state)
{
	static const char text[] =
		" {\"prompt\" : \"a\\u00e9\\ud83d\\ude00\\n \xC3\xA9\xF0\x9F\x98\x80\", \n"
		"\"n\":[ -1.5e-3 , 0, 10, true,false , null, {}, [ ] ], \"o\":{\"x\":"
		"{\"y\":\"\"}}}";
	struct err e;
	json_t *v = NULL;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		bool unfinished = false;

		if (canon_parse(text, n, &v, &unfinished, &e) != -EINVAL || !unfinished)
			fail_msg("%zu bytes: %s", n, e.message);
	}
	assert_int_equal(canon_parse(text, sizeof(text) - 1, &v, NULL, &e), 0);
	json_decref(v);
}

/* Nothing that is wrong becomes unfinished by being longer. */
static void test_what_is_wrong_stays_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		char text[128];
		bool unfinished = true;
		json_t *v = NULL;

		if (bad_rows[i].unfinished)
			continue;
		(void)snprintf(text, sizeof(text), "%s   ", bad_rows[i].text);
		assert_int_equal(canon_parse(text, strlen(text), &v, &unfinished, NULL), -EINVAL);
		assert_false(unfinished);
	}
}

/* --- what is written ------------------------------------------------------------------------- */

struct canon_row {
	const char *text, *want;
};

static const struct canon_row canon_rows[] = {
	{ "null", "null" },
	{ " true ", "true" },
	{ "\tfalse\r\n", "false" },
	{ "{}", "{}" },
	{ "[ ]", "[]" },
	{ "[ 1 , 2 ]", "[1,2]" },
	{ "{ \"b\" : 1 , \"a\" : 2 }", "{\"a\":2,\"b\":1}" },
	{ "{\"b\":{\"d\":1,\"c\":[{\"f\":1,\"e\":2}]},\"a\":0}",
	  "{\"a\":0,\"b\":{\"c\":[{\"e\":2,\"f\":1}],\"d\":1}}" },
	{ "{\"\":1,\"a\":2,\"aa\":3,\"A\":4,\"B\":5,\"_\":6,\"1\":7,\"10\":8,\"2\":9}",
	  "{\"\":1,\"1\":7,\"10\":8,\"2\":9,\"A\":4,\"B\":5,\"_\":6,\"a\":2,\"aa\":3}" },
	/* numbers: one value, one text */
	{ "[0,-0,0.0,-0.0,0e9]", "[0,0,0,0,0]" },
	{ "[1.0,1.00,10e-1,0.1e1]", "[1,1,1,1]" },
	{ "[0.5,5e-1]", "[0.5,0.5]" },
	{ "[1e20,1e21,1e22]", "[100000000000000000000,1e+21,1e+22]" },
	{ "[100000000000000000000,-100000000000000000000,{\"a\":999999999999999900000}]",
	  "[100000000000000000000,-100000000000000000000,{\"a\":999999999999999900000}]" },
	{ "[1e-6,1e-7,0.0000015]", "[0.000001,1e-7,0.0000015]" },
	{ "[123456789.125,-1.5E+3]", "[123456789.125,-1500]" },
	{ "[9007199254740991,9007199254740992,9007199254740993]",
	  "[9007199254740991,9007199254740992,9007199254740993]" },
	{ "[9223372036854775807,-9223372036854775808]",
	  "[9223372036854775807,-9223372036854775808]" },
	{ "[9223372036854775808.0]", "[9223372036854776000]" },
	{ "[1e-400]", "[0]" },
	{ "[0.1,0.2,0.3,0.30000000000000004]", "[0.1,0.2,0.3,0.30000000000000004]" },
	/* strings: only what must be escaped is */
	{ "\"\\u0041\\u00e9\"", "\"A\xC3\xA9\"" },
	{ "\"\\/\"", "\"/\"" },
	{ "\"\\b\\t\\n\\f\\r\"", "\"\\b\\t\\n\\f\\r\"" },
	{ "\"\\u0008\\u0009\\u000A\\u000b\\u000C\\u000d\"", "\"\\b\\t\\n\\u000b\\f\\r\"" },
	{ "\"\\u0001\\u001F\\u007f\"", "\"\\u0001\\u001f\x7f\"" },
	{ "\"\\\"\\\\\"", "\"\\\"\\\\\"" },
	{ "\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\"" },
	{ "\"\\u2028\\u2029\\uFEFF\\uFFFF\"",
	  "\"\xE2\x80\xA8\xE2\x80\xA9\xEF\xBB\xBF\xEF\xBF\xBF\"" },
	{ "\"<>&'\"", "\"<>&'\"" },
	{ "{\"\\u0061\\n\":1}", "{\"a\\n\":1}" },
	/* names in order of UTF-16 units: U+10000 and up before U+E000..U+FFFF */
	{ "{\"\xEF\xBC\xA1\":1,\"\xF0\x90\x80\x80\":2}",
	  "{\"\xF0\x90\x80\x80\":2,\"\xEF\xBC\xA1\":1}" },
	{ "{\"\xEE\x80\x80\":1,\"\xF4\x8F\xBF\xBF\":2,\"\xED\x9F\xBF\":3}",
	  "{\"\xED\x9F\xBF\":3,\"\xF4\x8F\xBF\xBF\":2,\"\xEE\x80\x80\":1}" },
	{ "{\"a\xEF\xBF\xBF\":1,\"a\xF0\x9F\x98\x80\":2,\"a\":3,\"a\xE2\x82\xAC\":4}",
	  "{\"a\":3,\"a\xE2\x82\xAC\":4,\"a\xF0\x9F\x98\x80\":2,\"a\xEF\xBF\xBF\":1}" },
	{ "{\"\xF0\x9F\x98\x81\":1,\"\xF0\x9F\x98\x80\":2}",
	  "{\"\xF0\x9F\x98\x80\":2,\"\xF0\x9F\x98\x81\":1}" },
	{ "{\"\xEF\xBF\xBF\":1,\"\xEE\x80\x80\":2}", "{\"\xEE\x80\x80\":2,\"\xEF\xBF\xBF\":1}" },
};

static void test_canon_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(canon_rows); i++)
		expect_canon(canon_rows[i].text, canon_rows[i].want);
}

struct number_row {
	uint64_t bits;
	const char *want; /* NULL: refused */
};

/* RFC 8785, appendix B, and some of our own */
static const struct number_row number_rows[] = {
	{ 0x7fffffffffffffffu, NULL },
	{ 0x7ff0000000000000u, NULL },
	{ 0xfff0000000000000u, NULL },
	{ 0xfff8000000000000u, NULL },
	{ 0x0000000000000000u, "0" },
	{ 0x8000000000000000u, "0" },
	{ 0x0000000000000001u, "5e-324" },
	{ 0x8000000000000001u, "-5e-324" },
	{ 0x7fefffffffffffffu, "1.7976931348623157e+308" },
	{ 0xffefffffffffffffu, "-1.7976931348623157e+308" },
	{ 0x4340000000000000u, "9007199254740992" },
	{ 0xc340000000000000u, "-9007199254740992" },
	{ 0x4430000000000000u, "295147905179352830000" },
	{ 0x44b52d02c7e14af5u, "9.999999999999997e+22" },
	{ 0x44b52d02c7e14af6u, "1e+23" },
	{ 0x44b52d02c7e14af7u, "1.0000000000000001e+23" },
	{ 0x444b1ae4d6e2ef4eu, "999999999999999700000" },
	{ 0x444b1ae4d6e2ef4fu, "999999999999999900000" },
	{ 0x444b1ae4d6e2ef50u, "1e+21" },
	{ 0x3eb0c6f7a0b5ed8cu, "9.999999999999997e-7" },
	{ 0x3eb0c6f7a0b5ed8du, "0.000001" },
	{ 0x41b3de4355555553u, "333333333.3333332" },
	{ 0x41b3de4355555554u, "333333333.33333325" },
	{ 0x41b3de4355555555u, "333333333.3333333" },
	{ 0x41b3de4355555556u, "333333333.3333334" },
	{ 0x41b3de4355555557u, "333333333.33333343" },
	{ 0xbecbf647612f3696u, "-0.0000033333333333333333" },
	{ 0x43143ff3c1cb0959u, "1424953923781206.2" },
	{ 0x0010000000000000u, "2.2250738585072014e-308" }, /* smallest normal */
	{ 0x000fffffffffffffu, "2.225073858507201e-308" },  /* largest subnormal */
	{ 0x3d30000000000000u, "5.684341886080802e-14" }, /* 2^-44: nearest 16 digits do not hit */
	{ 0x3ff0000000000000u, "1" },
	{ 0x3ff0000000000001u, "1.0000000000000002" },
	{ 0x3fefffffffffffffu, "0.9999999999999999" },
	{ 0x4024000000000000u, "10" },
	{ 0x3fb999999999999au, "0.1" },
	{ 0x3f50624dd2f1a9fcu, "0.001" },
	{ 0x4415af1d78b58c40u, "100000000000000000000" },
};

static void test_number_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(number_rows); i++) {
		const struct number_row *r = &number_rows[i];
		char out[32] = "untouched";
		double d;
		int rc;

		memcpy(&d, &r->bits, sizeof(d));
		rc = canon_number(d, out);
		assert_int_equal(rc, r->want ? 0 : -EINVAL);
		assert_string_equal(out, r->want ? r->want : "untouched");
	}
}

/* Bits from a generator of our own: what is printed is read back as the same double, and no text
 * with one digit less is. */
static void test_numbers_come_back_and_are_short(void **state)
{
	uint64_t x = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char out[32], shorter[40];
		int digits = 0;
		double d;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(&d, &x, sizeof(d));
		if (!isfinite(d))
			continue;
		assert_int_equal(canon_number(d, out), 0);
		assert_true(strtod(out, NULL) == d);
		assert_true(strlen(out) < 26);
		for (const char *p = out; *p && *p != 'e'; p++)
			digits += *p >= '0' && *p <= '9';
		if (strchr(out, 'e') && digits > 1) {
			(void)snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, d);
			assert_true(strtod(shorter, NULL) != d);
		}
	}
}

static void test_powers_of_two(void **state)
{
	(void)state;
	for (int e = -1074; e <= 1023; e++) {
		char out[32];

		assert_int_equal(canon_number(ldexp(1, e), out), 0);
		assert_true(strtod(out, NULL) == ldexp(1, e));
	}
}

static void test_write_refuses(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1000), small = BUF_INIT(5);
	json_t *v = json_array(), *inner = v;

	(void)state;
	assert_int_equal(canon_write(NULL, &b), -ENOMEM);
	for (int i = 0; i < 300; i++) {
		json_t *next = json_array();

		assert_int_equal(json_array_append_new(inner, next), 0);
		inner = next;
	}
	assert_int_equal(canon_write(v, &b), -EINVAL); /* deeper than anything we make */
	json_decref(v);
	v = json_string("longer than five");
	assert_int_equal(canon_write(v, &small), -EFBIG);
	json_decref(v);
	v = json_pack("{s:[i,i,i]}", "a", 1, 2, 3);
	buf_clear(&small);
	assert_int_equal(canon_write(v, &small), -EFBIG);
	json_decref(v);
}

/* Every limit of the buffer ends in -EFBIG, none in a text that looks whole. */
static void test_write_at_every_limit(void **state)
{
	json_t *v = json_pack("{s:[i,f,s,n], s:{s:b}}", "list", 1, 2.5, "t\n", "o", "x", 1);
	AUTO_BUF struct buf whole = BUF_INIT(1000);

	(void)state;
	assert_int_equal(canon_write(v, &whole), 0);
	assert_string_equal(buf_str(&whole), "{\"list\":[1,2.5,\"t\\n\",null],\"o\":{\"x\":true}}");
	for (size_t max = 0; max < whole.len; max++) {
		AUTO_BUF struct buf b = BUF_INIT(max);

		assert_int_equal(canon_write(v, &b), -EFBIG);
	}
	json_decref(v);
}

static void test_write_appends(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);
	json_t *v = json_integer(7);

	(void)state;
	assert_int_equal(buf_adds(&b, "x="), 0);
	assert_int_equal(canon_write(v, &b), 0);
	assert_string_equal(buf_str(&b), "x=7");
	json_decref(v);
}

static void test_ordered(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);
	static const char text[] = "{\"b\":{\"z\":1,\"y\":0.10},\"a\":[2]}";
	json_t *v = NULL;

	(void)state;
	assert_int_equal(canon_parse(text, sizeof(text) - 1, &v, NULL, NULL), 0);
	assert_int_equal(canon_write_ordered(v, &b), 0);
	assert_string_equal(buf_str(&b), "{\"b\":{\"z\":1,\"y\":0.1},\"a\":[2]}");
	json_decref(v);
}

static void test_string_with_nul_from_code(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);
	json_t *v = json_stringn("a\0b", 3);

	(void)state;
	assert_int_equal(canon_write(v, &b), 0);
	assert_string_equal(buf_str(&b), "\"a\\u0000b\"");
	json_decref(v);
}

static void test_large_text(void **state)
{
	enum { N = 3000000 };
	AUTO_BUF struct buf b = BUF_INIT(2 * N), out = BUF_INIT(2 * N);

	(void)state;
	assert_int_equal(buf_addc(&b, '"'), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(buf_addc(&b, (char)('a' + i % 26)), 0);
	assert_int_equal(buf_addc(&b, '"'), 0);
	canon(b.data, b.len, &out);
	assert_int_equal(out.len, b.len);
	assert_memory_equal(out.data, b.data, b.len);
}

/* --- places --------------------------------------------------------------------------------- */

static void test_locate(void **state)
{
	static const char text[] =
		"{ \"a\": {\"n\": 1},\n  \"list\":[\"n\", {\"n\":2}],\n\t\"n\" : 5,\n"
		"\"s\":\"n\", \"nn\":1}";
	unsigned line = 0, column = 0;

	(void)state;
	assert_true(canon_parse_locate(text, sizeof(text) - 1, "a", &line, &column));
	assert_int_equal(line, 1);
	assert_int_equal(column, 3);
	assert_true(canon_parse_locate(text, sizeof(text) - 1, "n", &line, &column));
	assert_int_equal(line, 3);
	assert_int_equal(column, 2);
	assert_true(canon_parse_locate(text, sizeof(text) - 1, "nn", &line, &column));
	assert_int_equal(line, 4);
	assert_int_equal(column, 10);
	line = column = 77;
	assert_false(canon_parse_locate(text, sizeof(text) - 1, "x", &line, &column));
	assert_false(canon_parse_locate(text, sizeof(text) - 1, "", &line, &column));
	assert_false(canon_parse_locate("[1]", 3, "n", &line, &column));
	assert_false(canon_parse_locate("", 0, "n", &line, &column));
	assert_false(canon_parse_locate("{\"", 2, "n", &line, &column));
	assert_int_equal(line, 77);
	assert_int_equal(column, 77);
}

static void test_fail_counts_bytes_and_lines(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(canon_parse_fail("a\nb\n\xC3\xA9x", 6, "here", &e), -EINVAL);
	assert_string_equal(e.message, "line 3, column 3: here");
	assert_int_equal(canon_parse_fail("", 0, "here", &e), -EINVAL);
	assert_string_equal(e.message, "line 1, column 1: here");
	assert_int_equal(canon_parse_fail("\n", 1, "here", NULL), -EINVAL);
}

/* --- memory --------------------------------------------------------------------------------- */

static unsigned allocations_left;

static void *scarce_malloc(size_t n)
{
	if (!allocations_left)
		return NULL;
	allocations_left--;
	return malloc(n);
}

static void test_out_of_memory(void **state)
{
	static const char text[] = "{\"a\":[1,2.5,\"text\",{\"b\":null}],\"c\":\"\\u00e9\"}";
	json_t *v = NULL;
	int rc = -ENOMEM;

	(void)state;
	for (unsigned n = 0; rc; n++) {
		allocations_left = n;
		json_set_alloc_funcs(scarce_malloc, free);
		rc = canon_parse(text, sizeof(text) - 1, &v, NULL, NULL);
		json_set_alloc_funcs(malloc, free);
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_true(n < 1000);
	}
	json_decref(v);
}

/* --- the public vectors --------------------------------------------------------------------- */

static bool read_shared(const char *fmt, const char *name, struct buf *b)
{
	AUTO_FREE char *tail = str_printf(fmt, name);
	AUTO_FREE char *path = str_printf("%s/testdata/%s", shared_dir(), tail);

	return fdio_read_file(AT_FDCWD, path, b) == 0;
}

static DIR *open_shared(const char *tail)
{
	AUTO_FREE char *path = str_printf("%s/testdata/%s", shared_dir(), tail);
	DIR *d = opendir(path);

	if (!d)
		print_message("SKIP: no %s; set INFERFS_SHARED to the folder that holds testdata\n",
			      path);
	return d;
}

static void check_rfc8785(const char *name)
{
	AUTO_BUF struct buf in = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20),
			    got = BUF_INIT(1 << 20);

	assert_true(read_shared("rfc8785/input/%s", name, &in));
	assert_true(read_shared("rfc8785/output/%s", name, &want));
	canon(in.data, in.len, &got);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.data, want.data, want.len);
	buf_clear(&got);
	canon(want.data, want.len, &got);
	assert_string_equal(buf_str(&got), buf_str(&want));
}

static void test_rfc8785_vectors(void **state)
{
	DIR *d = open_shared("rfc8785/input");
	const struct dirent *entry;
	unsigned n = 0;

	(void)state;
	if (!d)
		skip();
	while ((entry = readdir(d))) {
		if (!str_ends(entry->d_name, ".json"))
			continue;
		check_rfc8785(entry->d_name);
		n++;
	}
	(void)closedir(d);
	assert_true(n >= 4);
}

/* What the suite lets pass and the request format forbids. */
static bool we_refuse(const char *name)
{
	static const char *const names[] = { "y_object_duplicated_key.json",
					     "y_object_duplicated_key_and_value.json",
					     "y_object_escaped_null_in_key.json",
					     "y_string_null_escape.json" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void check_suite(const char *name)
{
	AUTO_BUF struct buf in = BUF_INIT(1 << 20), one = BUF_INIT(1 << 20),
			    two = BUF_INIT(1 << 20);
	struct err e = { 0 };
	json_t *v = NULL;
	int rc;

	assert_true(read_shared("JSONTestSuite/test_parsing/%s", name, &in));
	rc = canon_parse(in.data, in.len, &v, NULL, &e);
	if (name[0] == 'y' && !we_refuse(name) && rc)
		fail_msg("%s refused: %s", name, e.message);
	if ((name[0] == 'n' || we_refuse(name)) && rc != -EINVAL)
		fail_msg("%s taken", name);
	if (rc) {
		assert_true(e.line > 0 && e.column > 0 && *e.message);
		return;
	}
	assert_int_equal(canon_write(v, &one), 0);
	json_decref(v);
	canon(one.data, one.len, &two);
	assert_string_equal(buf_str(&one), buf_str(&two));
}

static void test_json_suite(void **state)
{
	DIR *d = open_shared("JSONTestSuite/test_parsing");
	const struct dirent *entry;
	unsigned n = 0;

	(void)state;
	if (!d)
		skip();
	while ((entry = readdir(d))) {
		if (!str_ends(entry->d_name, ".json"))
			continue;
		check_suite(entry->d_name);
		n++;
	}
	(void)closedir(d);
	assert_true(n >= 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_rows),
		cmocka_unit_test(test_errors_need_no_err),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_brackets_in_strings_are_no_depth),
		cmocka_unit_test(test_every_beginning_is_unfinished),
		cmocka_unit_test(test_what_is_wrong_stays_wrong),
		cmocka_unit_test(test_write_refuses),
		cmocka_unit_test(test_write_at_every_limit),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_canon_rows),
		cmocka_unit_test(test_number_rows),
		cmocka_unit_test(test_numbers_come_back_and_are_short),
		cmocka_unit_test(test_powers_of_two),
		cmocka_unit_test(test_write_appends),
		cmocka_unit_test(test_ordered),
		cmocka_unit_test(test_string_with_nul_from_code),
		cmocka_unit_test(test_large_text),
		cmocka_unit_test(test_locate),
		cmocka_unit_test(test_fail_counts_bytes_and_lines),
		cmocka_unit_test(test_rfc8785_vectors),
		cmocka_unit_test(test_json_suite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
