/*
 * net/ndjson: lines cut at every position
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/ndjson.h"

struct seen {
	struct buf text;
	int lines, stop_after;
};

static int on_line(void *arg, const char *line, size_t len)
{
	struct seen *s = arg;

	(void)buf_add(&s->text, line, len);
	(void)buf_addc(&s->text, ';');
	return ++s->lines == s->stop_after ? 3 : 0;
}

static const struct {
	const char *stream, *lines, *rest;
} rows[] = {
	{ "", "", "" },
	{ "\n\r\n \t\n", "", "" },
	{ "{}\n", "{};", "" },
	{ "{\"a\":1}\r\n{\"b\":2}\n\n{\"c\":3}", "{\"a\":1};{\"b\":2};", "{\"c\":3};" },
	{ "\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n", "{};\xef\xbb\xbf{};", "" },
	{ "{\"t\":\"\xc3\xa9\xf0\x9f\x98\x80\"}\n", "{\"t\":\"\xc3\xa9\xf0\x9f\x98\x80\"};", "" },
	{ " x \n", " x ;", "" },
};

static void test_too_large(void **state)
{
	struct seen seen = { .text = BUF_INIT(1 << 16) };
	struct ndjson s;
	int rc = 0;

	(void)state;
	ndjson_init(&s, 64);
	for (int i = 0; i < 100 && !rc; i++)
		rc = ndjson_feed(&s, "xxxx", 4, on_line, &seen);
	assert_int_equal(rc, -EFBIG);
	ndjson_done(&s);
	ndjson_init(&s, 4);
	assert_int_equal(ndjson_feed(&s, "12345\n", 6, on_line, &seen), -EFBIG);
	assert_int_equal(ndjson_feed(&s, "1234\n", 5, on_line, &seen), 0);
	assert_int_equal(seen.lines, 1);
	ndjson_done(&s);
	buf_done(&seen.text);
}

static void test_receiver_stops(void **state)
{
	struct seen seen = { .text = BUF_INIT(1 << 16), .stop_after = 2 };
	struct ndjson s;

	(void)state;
	ndjson_init(&s, 64);
	assert_int_equal(ndjson_feed(&s, "1\n2\n3\n", 6, on_line, &seen), 3);
	assert_int_equal(seen.lines, 2);
	ndjson_done(&s);
	buf_done(&seen.text);
}

static void test_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].stream);

		for (size_t a = 0; a <= n; a++)
			for (size_t b = a; b <= n; b++) {
				struct seen seen = { .text = BUF_INIT(1 << 16) };
				const char *p = rows[i].stream;
				struct ndjson s;

				ndjson_init(&s, 1 << 16);
				assert_int_equal(ndjson_feed(&s, p, a, on_line, &seen), 0);
				assert_int_equal(ndjson_feed(&s, p + a, b - a, on_line, &seen), 0);
				assert_int_equal(ndjson_feed(&s, p + b, n - b, on_line, &seen), 0);
				assert_string_equal(buf_str(&seen.text), rows[i].lines);
				buf_clear(&seen.text);
				assert_int_equal(ndjson_finish(&s, on_line, &seen), 0);
				assert_string_equal(buf_str(&seen.text), rows[i].rest);
				ndjson_done(&s);
				buf_done(&seen.text);
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_receiver_stops),
		cmocka_unit_test(test_every_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
