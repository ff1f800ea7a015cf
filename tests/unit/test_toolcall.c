/*
 * infer/toolcall: pieces in any order, odd pieces, and too many of them
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "infer/toolcall.h"

static int merge(json_t **calls, const char *pieces)
{
	json_t *v = json_loads(pieces, JSON_DECODE_ANY, NULL);
	int rc;

	assert_non_null(v);
	rc = toolcall_merge(calls, v);
	json_decref(v);
	return rc;
}

static void test_nothing_to_merge(void **state)
{
	static const char *const odd[] = { "[]", "null", "7", "\"x\"", "{}", NULL };
	json_t *calls = NULL;

	(void)state;
	for (int i = 0; odd[i]; i++)
		assert_int_equal(merge(&calls, odd[i]), 0);
	assert_int_equal(toolcall_merge(&calls, NULL), 0);
	assert_null(calls);
	assert_int_equal(toolcall_finish(NULL), 0);
}

static void test_too_many(void **state)
{
	json_t *calls = NULL;
	int rc = 0;

	(void)state;
	for (int i = 0; i < TOOLCALL_MAX; i++)
		assert_int_equal(merge(&calls, "[{\"function\":{\"name\":\"f\"}}]"), 0);
	rc = merge(&calls, "[{\"function\":{\"name\":\"f\"}}]");
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(json_array_size(calls), TOOLCALL_MAX);
	json_decref(calls);
}

static const struct {
	const char *pieces[4];
	const char *calls;
} rows[] = {
	/* odd pieces make a call of their own or nothing */
	{ { "[null,7,\"x\",[]]" }, "[]" },
	{ { "[{}]" },
	  "[{\"function\":{\"arguments\":\"{}\",\"name\":\"\"},\"id\":\"call00000\",\"type\":\"function\"}]" },
	{ { "[{\"id\":7,\"function\":{\"name\":8,\"arguments\":null}}]" },
	  "[{\"function\":{\"arguments\":\"{}\",\"name\":\"\"},\"id\":\"call00000\",\"type\":\"function\"}]" },
	{ { "[{\"index\":\"0\",\"function\":{\"name\":\"a\"}}]",
	    "[{\"index\":\"0\",\"function\":{\"name\":\"b\"}}]" },
	  "[{\"function\":{\"arguments\":\"{}\",\"name\":\"a\"},\"id\":\"call00000\",\"type\":\"function\"},"
	  "{\"function\":{\"arguments\":\"{}\",\"name\":\"b\"},\"id\":\"call00001\",\"type\":\"function\"}]" },
	/* indices join, in any order */
	{ { "[{\"index\":4,\"id\":\"x\",\"function\":{\"name\":\"a\",\"arguments\":\"{\"}}]",
	    "[{\"index\":2,\"id\":\"y\",\"function\":{\"name\":\"b\",\"arguments\":\"1\"}}]",
	    "[{\"index\":4,\"id\":\"\",\"function\":{\"name\":\"other\",\"arguments\":\"}\"}}]" },
	  "[{\"function\":{\"arguments\":\"{}\",\"name\":\"a\"},\"id\":\"x\",\"type\":\"function\"},"
	  "{\"function\":{\"arguments\":\"1\",\"name\":\"b\"},\"id\":\"y\",\"type\":\"function\"}]" },
	/* an object becomes text, also twice */
	{ { "[{\"index\":0,\"function\":{\"name\":\"a\",\"arguments\":{\"k\":[1,null]}}}]" },
	  "[{\"function\":{\"arguments\":\"{\\\"k\\\":[1,null]}\",\"name\":\"a\"},\"id\":\"call00000\","
	  "\"type\":\"function\"}]" },
	/* what the provider wants back is kept */
	{ { "[{\"index\":0,\"function\":{\"name\":\"a\"},\"signature\":\"s\",\"nothing\":null}]" },
	  "[{\"function\":{\"arguments\":\"{}\",\"name\":\"a\"},\"id\":\"call00000\",\"signature\":\"s\","
	  "\"type\":\"function\"}]" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *calls = NULL;
		char *text;

		for (int k = 0; k < 4 && rows[i].pieces[k]; k++)
			assert_int_equal(merge(&calls, rows[i].pieces[k]), 0);
		assert_int_equal(toolcall_finish(calls), 0);
		text = json_dumps(calls, JSON_COMPACT | JSON_SORT_KEYS);
		assert_string_equal(text, rows[i].calls);
		free(text);
		json_decref(calls);
	}
}

/* Arguments cut at every position give the same text. */
static void test_arguments_cut_anywhere(void **state)
{
	static const char whole[] = "{'city':'Z\xc3\xbcrich','n':[1,2,3]}"; /* ' needs no escape */
	const size_t n = sizeof(whole) - 1;
	char piece[256];

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		json_t *calls = NULL;

		if (((unsigned char)whole[cut] & 0xc0) == 0x80)
			continue; /* JSON strings are whole characters */
		snprintf(piece, sizeof(piece),
			 "[{\"index\":0,\"function\":{\"arguments\":\"%.*s\"}}]", (int)cut, whole);
		assert_int_equal(merge(&calls, piece), 0);
		snprintf(piece, sizeof(piece),
			 "[{\"index\":0,\"function\":{\"arguments\":\"%s\"}}]", whole + cut);
		assert_int_equal(merge(&calls, piece), 0);
		assert_int_equal(json_array_size(calls), 1);
		assert_string_equal(json_string_value(json_object_get(
					    json_object_get(json_array_get(calls, 0), "function"),
					    "arguments")),
				    whole);
		json_decref(calls);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_merge),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_arguments_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
