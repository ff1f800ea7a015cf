/* test_head.c - header lines of an answer: what is kept, cut, overridden, and forgotten with a new status line */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/auto.h"
#include "net/head.h"

static struct head_parser p;

static int setup(void **state)
{
	(void)state;
	head_init(&p);
	return 0;
}

/* a line as libcurl gives it: not terminated, in memory of its own so that a byte too far is seen */
static void feed(const char *line)
{
	size_t n = strlen(line);
	char *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, line, n);
	head_line(&p, copy, n, 0);
	free(copy);
}

static void status(const char *line, int want)
{
	feed(line);
	assert_int_equal(head_done(&p)->status, want);
}

static void nothing_seen(void **state)
{
	const struct http_head *h = head_done(&p);

	(void)state;
	assert_int_equal(h->status, 0);
	assert_int_equal(h->should_retry, -1);
	assert_true(h->retry_after_s < 0);
	assert_string_equal(h->content_type, "");
	assert_string_equal(h->request_id, "");
	assert_string_equal(h->link, "");
}

static void status_lines(void **state)
{
	static const char *const none[] = { "",
					    "HTTP/",
					    "HTTP/1.1",
					    "HTTP/1.1 ",
					    "HTTP/1.1 2",
					    "HTTP/1.1 20",
					    "HTTP/1.1  200",
					    "HTTP/1.1 2x0",
					    "HTTP/1.1 -20",
					    "HTP/1.1 200",
					    "XHTTP/1.1 200" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		status(none[i], 0);
	status("HTTP/2 200", 200);
	status("http/1.0 404 gone\r\n", 404);
	status("HTTP/1.1 999", 999);
	status("HTTP/3 000\r\n", 0);
	status("HTTP/1.1 503\r\n", 503);
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		status(none[i], 503); /* the one that was is still the answer's */
}

static void a_new_status_line_forgets_all(void **state)
{
	const struct http_head *h;

	(void)state;
	feed("HTTP/1.1 103 Early Hints\r\n");
	feed("Location: https://early/\r\n");
	feed("Retry-After: 9\r\n");
	feed("retry-after-ms: 9000\r\n");
	feed("x-should-retry: true\r\n");
	feed("x-request-id: early\r\n");
	feed("Content-Type: text/plain\r\n");
	assert_string_equal(head_done(&p)->link, "https://early/");
	feed("HTTP/1.1 200 OK\r\n");
	h = head_done(&p);
	assert_int_equal(h->status, 200);
	assert_string_equal(h->link, "");
	assert_string_equal(h->request_id, "");
	assert_string_equal(h->content_type, "");
	assert_int_equal(h->should_retry, -1);
	assert_true(h->retry_after_s < 0);
}

/* the finer one counts, in whatever order they come, unless it is nonsense */
static void milliseconds_before_seconds(void **state)
{
	static const struct {
		const char *a, *b;
		double s;
	} rows[] = {
		{ "retry-after: 5", "retry-after-ms: 250", 0.25 },
		{ "retry-after-ms: 250", "retry-after: 5", 0.25 },
		{ "retry-after-ms: 0", "retry-after: 5", 0 },
		{ "retry-after-ms: soon", "retry-after: 5", 5 },
		{ "retry-after-ms: -1", "retry-after: -1", -1 },
		{ "retry-after-ms: 250", "retry-after-ms: x", -1 },
		{ "retry-after: 5", "retry-after:", -1 },
		{ "retry-after: 5", "retry-after: 7", 7 },
		{ "RETRY-AFTER:5", "x-other: 1", 5 },
		{ "retry-after : 5", "retry-afte: 5", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double s;

		head_init(&p);
		feed(rows[i].a);
		feed(rows[i].b);
		s = head_done(&p)->retry_after_s;
		if (rows[i].s < 0 ? s >= 0 : s < rows[i].s - 1e-9 || s > rows[i].s + 1e-9)
			fail_msg("%s, %s: %f", rows[i].a, rows[i].b, s);
	}
}

static void should_it_be_tried_again(void **state)
{
	static const struct {
		const char *line;
		int want;
	} rows[] = { { "x-should-retry: true", 1 },   { "x-should-retry: TRUE\r\n", 1 },
		     { "x-should-retry: false ", 0 }, { "x-should-retry: maybe", -1 },
		     { "x-should-retry:", -1 },	      { "x-should-retry: true", 1 },
		     { "x-should-retry: 1", -1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		feed(rows[i].line);
		assert_int_equal(head_done(&p)->should_retry, rows[i].want);
	}
}

/* the last one counts; one that is odd takes back the one before, rather than leading elsewhere */
static void one_address(void **state)
{
	static const struct {
		const char *line, *link;
	} rows[] = {
		{ "Location: https://a/", "https://a/" },
		{ "Location: https://b/ \t\r\n", "https://b/" },
		{ "X-Goog-Upload-URL:\t https://c/?x=1&y=%20", "https://c/?x=1&y=%20" },
		{ "Content-Location: https://d/", "https://c/?x=1&y=%20" },
		{ "Location: https://a/ https://b/", "" },
		{ "Location: https://e:8/p#f", "https://e:8/p#f" },
		{ "Location: https://a/\x7f", "" },
		{ "Location: relative", "relative" },
		{ "Location: a\tb", "" },
		{ "Location:x", "x" },
		{ "Location:", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		feed(rows[i].line);
		assert_string_equal(head_done(&p)->link, rows[i].link);
	}
}

/* a zero byte ends nothing early: the address is odd, the others are cut there */
static void zero_bytes(void **state)
{
	static const char link[] = "Location: https://a/\0b", type[] = "Content-Type: a\0b\r\n",
			  name[] = "Content\0Type: a";

	(void)state;
	head_line(&p, link, sizeof(link) - 1, 0);
	assert_string_equal(head_done(&p)->link, "");
	head_line(&p, type, sizeof(type) - 1, 0);
	assert_string_equal(head_done(&p)->content_type, "a");
	head_line(&p, name, sizeof(name) - 1, 0);
	assert_string_equal(head_done(&p)->content_type, "a");
}

static void values_are_cut_or_dropped(void **state)
{
	static const struct {
		const char *name;
		size_t max;
		bool whole; /* or not at all */
	} rows[] = { { "Content-Type: ", 127, false },
		     { "x-request-id: ", 127, false },
		     { "Location: ", HTTP_LINK_MAX - 1, true } };
	char line[3 * HTTP_LINK_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t n = rows[i].max - 1; n < rows[i].max + 3; n++) {
			size_t want = n <= rows[i].max ? n : rows[i].whole ? 0 : rows[i].max;
			const struct http_head *h;
			const char *got;

			head_init(&p);
			(void)strcpy(line, rows[i].name);
			memset(line + strlen(line), 'y', n + 1);
			line[strlen(rows[i].name) + n] = '\0';
			feed(line);
			h = head_done(&p);
			got = i == 0 ? h->content_type : i == 1 ? h->request_id : h->link;
			assert_int_equal(strlen(got), want);
			assert_int_equal(strspn(got, "y"), want);
		}
	}
	memset(line, 'y', sizeof(line) - 1); /* a line that is all name */
	line[sizeof(line) - 1] = '\0';
	feed(line);
	assert_int_equal(head_done(&p)->status, 0);
}

static void which_request_id(void **state)
{
	static const struct {
		const char *line, *id;
	} rows[] = { { "request-id: plain", "plain" },	   { "request-id: second", "plain" },
		     { "x-request-id: better", "better" }, { "request-id: late", "better" },
		     { "x-request-ids: no", "better" },	   { "x-request-id: \x1b[31m", "?[31m" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		feed(rows[i].line);
		assert_string_equal(head_done(&p)->request_id, rows[i].id);
	}
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_seen),
		T(status_lines),
		T(a_new_status_line_forgets_all),
		T(milliseconds_before_seconds),
		T(should_it_be_tried_again),
		T(one_address),
		T(zero_bytes),
		T(values_are_cut_or_dropped),
		T(which_request_id),
	};

	return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
