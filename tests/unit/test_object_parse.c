/*
 * test_object_parse.c - the same values as jansson makes, or none
 */
#include "sample.h"

#include "store/object_parse.h"

static void refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"}",
		"[]",
		"1",
		"null",
		"\"x\"",
		"{}x",
		"{} ",
		" {}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{\"a\":1",
		"{\"a\":1]",
		"{a:1}",
		"{\"a\" :1}",
		"{\"a\":01}",
		"{\"a\":-}",
		"{\"a\":-01}",
		"{\"a\":+1}",
		"{\"a\":.5}",
		"{\"a\":1.}x",
		"{\"a\":5.}",
		"{\"a\":5.e1}",
		"{\"a\":1e+}",
		"{\"a\":1.5e-}",
		"{\"a\":1e}",
		"{\"a\":1-2}",
		"{\"a\":nul}",
		"{\"a\":truE}",
		"{\"a\":[1,]}",
		"{\"a\":[1}",
		"{\"a\":[",
		"{\"a\":\"",
		"{\"a\":\"\\",
		"{\"a\":\"\\\"",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u00\"}",
		"{\"a\":\"\\u0\"}",
		"{\"a\":\"\\u00e9\"}",
		"{\"a\":\"\\u1234\"}",
		"{\"a\":\"\\u00zz\"}",
		"{\"a\":1,\"a\":1}",
		"{\"\\n\":1}",
		"{\"\x01\":1}",
		"{\"a\":\"\n\"}",
		"{\"a\":\"\xff\"}",
		"{\"a\":\"\xed\xa0\x80\"}",
		"{\"a\":9223372036854775807}",
		"{\"a\":1234567890123456789012345678901234567890}",
	};
	json_t *v = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		size_t n = strlen(bad[i]);
		AUTO_FREE char *exact = malloc(n ? n : 1);

		assert_non_null(exact);
		memcpy(exact, bad[i], n);
		if (object_parse(exact, n, &v) != -EBADMSG)
			fail_msg("accepted %s", bad[i]);
		assert_null(v);
	}
}

static void depth(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(10000);
	json_t *v = NULL;

	(void)state;
	for (int deep = OBJECT_PARSE_DEPTH - 1; deep <= 2000; deep += 1937) {
		buf_clear(&b);
		(void)buf_adds(&b, "{\"a\":");
		for (int i = 0; i < deep - 1; i++)
			(void)buf_addc(&b, '[');
		for (int i = 0; i < deep - 1; i++)
			(void)buf_addc(&b, ']');
		assert_int_equal(buf_addc(&b, '}'), 0);
		assert_int_equal(object_parse(b.data, b.len, &v),
				 deep < OBJECT_PARSE_DEPTH ? 0 : -EBADMSG);
		if (deep < OBJECT_PARSE_DEPTH)
			json_decref(v);
	}
}

static void as_jansson(void **state)
{
	static const char *const good[] = {
		"{}",
		"{\"\":\"\"}",
		"{\"a\":{},\"b\":[],\"c\":[[],{}]}",
		"{\"a\":[true,false,null]}",
		"{\"a\":0,\"b\":-1,\"c\":123456789012345678,\"d\":-999999999999999999}",
		"{\"a\":0.5,\"b\":1e+21,\"c\":-5e-324,\"d\":1.7976931348623157e+308}",
		"{\"a\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f\\/\"}",
		"{\"a\":\"\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80\",\"\xc3\xa9\":\"{[\\\"\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		json_t *want = json_loads(good[i], JSON_ALLOW_NUL, NULL), *got = NULL;

		assert_non_null(want);
		assert_int_equal(object_parse(good[i], strlen(good[i]), &got), 0);
		assert_true(json_equal(want, got));
		json_decref(want);
		json_decref(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(refused), cmocka_unit_test(depth),
					    cmocka_unit_test(as_jansson) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
