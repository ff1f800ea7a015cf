/* test_bulk_item.c - lines: who they are and what they ask */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "jobs/bulk_item.h"

static struct bulk_item read_line(const char *line, uint64_t no, struct bulk_set *seen)
{
	struct bulk_text t = { .p = line, .n = strlen(line), .no = no, .ended = true };
	struct bulk_item i;

	assert_int_equal(bulk_item_read(&t, seen, &i), 0);
	return i;
}

static void names_are_escaped(void **state)
{
	static const struct {
		const char *id, *name;
	} cases[] = {
		{ "plain", "plain" }, { "a/b", "a%2Fb" },
		{ "50%", "50%25" },   { ".", "%2E" },
		{ "..", "%2E." },     { ".hidden", "%2Ehidden" },
		{ "a.b", "a.b" },     { "tab\there", "tab%09here" },
		{ "\x7f", "%7F" },    { "\xc3\xa4", "\xc3\xa4" },
		{ "a b", "a b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *name = bulk_item_name(cases[i].id);

		assert_string_equal(name, cases[i].name);
		free(name);
	}
}

static void wrong_lines_say_why(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *says, *id;
	} cases[] = {
		{ "{\"a\":1,}", EINVAL, "line 7, column", "7" },
		{ "", EINVAL, "", "7" },
		{ "\"text\"", EINVAL, "JSON object", "7" },
		{ "{\"custom_id\":\"\",\"prompt\":\"x\"}", EINVAL, "not empty", "7" },
		{ "{\"custom_id\":[],\"prompt\":\"x\"}", EINVAL, "string", "7" },
		{ "{\"custom_id\":\"a\",\"body\":{},\"prompt\":\"x\"}", EINVAL, "into the body",
		  "a" },
		{ "{\"custom_id\":\"a\",\"body\":[]}", EINVAL, "JSON object", "a" },
		{ "{\"custom_id\":\"a\",\"body\":{},\"method\":\"PUT\"}", EINVAL, "POST", "a" },
		{ "{\"custom_id\":\"a\",\"url\":\"/v1/chat/completions\"}", EINVAL, "body", "a" },
		{ "{\"custom_id\":\"a\",\"body\":{},\"url\":\"/v1/images\"}", EINVAL, "/v1/images",
		  "a" },
		{ "{\"custom_id\":\"a\",\"body\":{},\"url\":5}", EINVAL, "string", "a" },
		{ "{\"custom_id\":\"a\",\"custom_id\":\"b\"}", EINVAL, "", "7" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bulk_item item = read_line(cases[i].line, 7, NULL);

		assert_null(item.request);
		assert_int_equal(item.e.code, cases[i].code);
		assert_int_equal(item.e.line, 7);
		assert_string_equal(item.custom_id, cases[i].id);
		if (!strstr(item.e.message, cases[i].says))
			fail_msg("%s: %s", cases[i].line, item.e.message);
		bulk_item_done(&item);
	}
}

/* what a sentence quotes from a line is printed: no control characters, no half characters */
static void sentences_quote_what_can_be_printed(void **state)
{
	static const char *const lines[] = {
		"{\"custom_id\":\"a\\u001b[31m\\n\",\"prompt\":\"x\"}",
		"{\"url\":\"\\u0007/v1\\t\",\"body\":{}}",
		"{\"a\\u007f\\r\":1,\"body\":{}}",
	};
	char euros[600] = "{\"url\":\"x";
	struct bulk_set seen = { 0 };
	struct bulk_item i;

	(void)state;
	i = read_line(lines[0], 1, &seen);
	bulk_item_done(&i);
	for (size_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++) {
		i = read_line(lines[k], k + 2, &seen);
		assert_int_equal(i.e.code, EINVAL);
		for (const char *p = i.e.message; *p; p++)
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
		bulk_item_done(&i);
	}
	for (unsigned k = 0; k < 100; k++)
		strcat(euros, "\xe2\x82\xac");
	strcat(euros, "\",\"body\":{}}");
	i = read_line(euros, 9, &seen);
	assert_true(str_utf8_valid(i.e.message, strlen(i.e.message)));
	assert_non_null(strstr(i.e.message, "is none that lines may have"));
	bulk_item_done(&i);
	bulk_set_done(&seen);
}

static void names_too_long_for_a_file(void **state)
{
	char line[2000] = "{\"prompt\":\"x\",\"custom_id\":\"";
	struct bulk_item i;
	size_t n = strlen(line);

	(void)state;
	memset(line + n, 'a', 300);
	memcpy(line + n + 300, "\"}", 3);
	i = read_line(line, 3, NULL);
	assert_int_equal(i.e.code, EINVAL);
	assert_string_equal(i.name, "3");
	bulk_item_done(&i);
	memcpy(line + n + 255, "\"}", 3);
	i = read_line(line, 3, NULL);
	assert_int_equal(i.e.code, 0);
	bulk_item_done(&i);
}

static void names_are_never_shared(void **state)
{
	static const struct {
		const char *line, *id, *name;
		int code;
	} lines[] = {
		{ "{\"custom_id\":\"a\",\"prompt\":\"x\"}", "a", "a", 0 },
		{ "{\"custom_id\":\"4\",\"prompt\":\"x\"}", "4", "4", 0 },
		{ "{\"custom_id\":\"a\",\"prompt\":\"y\"}", "3", "3", EINVAL },
		{ "{\"prompt\":\"y\"}", "4", "4%", 0 },
		{ "{\"custom_id\":\"3\",\"prompt\":\"y\"}", "5", "5", EINVAL },
		{ "nonsense", "6", "6", EINVAL },
		{ "{\"custom_id\":\"4\",\"prompt\":\"y\"}", "7", "7", EINVAL },
	};
	struct bulk_set seen = { 0 };

	(void)state;
	for (size_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++) {
		struct bulk_item i = read_line(lines[k].line, k + 1, &seen);

		assert_string_equal(i.custom_id, lines[k].id);
		assert_string_equal(i.name, lines[k].name);
		assert_int_equal(i.e.code, lines[k].code);
		assert_true(lines[k].code ? !i.request : i.request != NULL);
		bulk_item_done(&i);
	}
	bulk_set_done(&seen);
}

static void the_wrapped_form_is_unwrapped(void **state)
{
	static const struct {
		const char *url, *endpoint;
	} cases[] = {
		{ "/v1/chat/completions", NULL },
		{ "/v1/completions", "completion" },
		{ "/v1/fim/completions", "fim" },
		{ "/v1/embeddings", "embedding" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[200];
		struct bulk_item item;
		const char *endpoint;

		(void)snprintf(line, sizeof(line),
			       "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"%s\","
			       "\"body\":{\"prompt\":\"x\"}}",
			       cases[i].url);
		item = read_line(line, 1, NULL);
		assert_non_null(item.request);
		endpoint = json_string_value(json_object_get(item.request, "endpoint"));
		assert_true(cases[i].endpoint ? endpoint && !strcmp(endpoint, cases[i].endpoint)
					      : !endpoint);
		assert_null(json_object_get(item.request, "custom_id"));
		bulk_item_done(&item);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(wrong_lines_say_why),
		cmocka_unit_test(sentences_quote_what_can_be_printed),
		cmocka_unit_test(names_too_long_for_a_file),
		cmocka_unit_test(names_are_never_shared),
		cmocka_unit_test(the_wrapped_form_is_unwrapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
