/*
 * net/sse: one table of streams, each cut at every position, byte by byte, and at random
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "net/sse.h"

struct seen {
	struct buf text; /* "NAME|DATA;" per event */
	int stop_after;	 /* answers 7 at this event; 0 never */
	int events;
};

static int on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct seen *s = arg;

	assert_int_equal(data[len], '\0');
	assert_int_equal(strlen(data) <= len, 1);
	(void)buf_addf(&s->text, "%s|", name);
	(void)buf_add(&s->text, data, len);
	(void)buf_addc(&s->text, ';');
	return ++s->events == s->stop_after ? 7 : 0;
}

struct row {
	const char *stream, *events;
	const char *rest; /* what sse_finish adds */
};

static const struct row rows[] = {
	{ "", "", "" },
	{ "\n\n\n", "", "" },
	{ "data: a\n\n", "|a;", "" },
	{ "data:a\n\ndata:  b \n\n", "|a;| b ;", "" },
	{ "data: a\r\n\r\ndata: b\r\n\r\n", "|a;|b;", "" },
	{ "data: a\r\rdata: b\r\r", "|a;|b;", "" },
	{ "data: a\r\n\rdata: b\n\r\n", "|a;|b;", "" },
	{ "data: one\ndata: two\ndata\ndata:\n\n", "|one\ntwo\n\n;", "" },
	{ "data\n\n", "|;", "" },
	{ ": ping\n\n: ping\ndata: a\n: pong\n\n", "|a;", "" },
	{ "event: error\ndata: x\n\ndata: y\n\n", "error|x;|y;", "" },
	{ "event: lost\n\ndata: y\n\n", "|y;", "" },
	{ "id: 7\nretry: 10\nfoo: bar\nDATA: no\ndata: a\n\n", "|a;", "" },
	{ "\xef\xbb\xbf"
	  "data: a\n\n",
	  "|a;", "" },
	{ "\xef\xbb"
	  "data: a\n\ndata: b\n\n",
	  "|b;", "" },
	{ "data: \xef\xbb\xbf"
	  "x\n\n",
	  "|\xef\xbb\xbf"
	  "x;",
	  "" },
	{ "data: \xf0\x9f\x98\x80\xc3\xa9\n\n", "|\xf0\x9f\x98\x80\xc3\xa9;", "" },
	{ "data: {\"a\":1}\n\ndata: [DONE]", "|{\"a\":1};", "|[DONE];" },
	{ "data: {\"a\":1}\n\ndata: [DONE]\n", "|{\"a\":1};", "|[DONE];" },
	{ "data: {\"a\"", "", "|{\"a\";" },
	{ "error: {\"code\":500}\n\n", "error|{\"code\":500};", "" },
	{ "error: not json\n\n", "", "" },
	{ "data: a:b: c\n\n", "|a:b: c;", "" },
	{ "event: a\nevent: b\ndata: x\n\n", "b|x;", "" },
};

static void expect(const struct row *r, struct sse *s, struct seen *seen)
{
	assert_string_equal(buf_str(&seen->text), r->events);
	buf_clear(&seen->text);
	assert_int_equal(sse_finish(s, on_event, seen), 0);
	assert_string_equal(buf_str(&seen->text), r->rest);
	sse_done(s);
	buf_done(&seen->text);
}

static void begin(struct sse *s, struct seen *seen)
{
	sse_init(s, 1 << 20);
	memset(seen, 0, sizeof(*seen));
	buf_init(&seen->text, 1 << 20);
}

static void test_too_large(void **state)
{
	struct seen seen;
	struct sse s;
	int rc = 0;

	(void)state;
	begin(&s, &seen);
	sse_init(&s, 100);
	for (int i = 0; i < 200 && !rc; i++)
		rc = sse_feed(&s, "data: abc\n", 10, on_event, &seen);
	assert_int_equal(rc, -EFBIG);
	sse_done(&s);
	sse_init(&s, 100);
	for (rc = 0; !rc;)
		rc = sse_feed(&s, "xxxxxxxx", 8, on_event, &seen);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(seen.events, 0);
	sse_done(&s);
	buf_done(&seen.text);
}

static void test_receiver_stops(void **state)
{
	static const char text[] = "data: a\n\ndata: b\n\ndata: c\n\n";
	struct seen seen;
	struct sse s;

	(void)state;
	begin(&s, &seen);
	seen.stop_after = 2;
	assert_int_equal(sse_feed(&s, text, sizeof(text) - 1, on_event, &seen), 7);
	assert_int_equal(seen.events, 2);
	sse_done(&s);
	buf_done(&seen.text);
	begin(&s, &seen);
	seen.stop_after = 1;
	assert_int_equal(sse_feed(&s, "data: z", 7, on_event, &seen), 0);
	assert_int_equal(sse_finish(&s, on_event, &seen), 7);
	sse_done(&s);
	buf_done(&seen.text);
}

static void test_long_event_name_is_cut(void **state)
{
	struct seen seen;
	struct sse s;
	char line[256];

	(void)state;
	begin(&s, &seen);
	memset(line, 'n', sizeof(line));
	memcpy(line, "event:", 6);
	assert_int_equal(sse_feed(&s, line, 200, on_event, &seen), 0);
	assert_int_equal(sse_feed(&s, "\ndata: x\n\n", 10, on_event, &seen), 0);
	assert_int_equal(seen.events, 1);
	assert_int_equal(seen.text.len, SSE_NAME_MAX - 1 + 3);
	sse_done(&s);
	buf_done(&seen.text);
}

static void test_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].stream);

		for (size_t a = 0; a <= n; a++)
			for (size_t b = a; b <= n; b++) {
				struct seen seen;
				struct sse s;

				begin(&s, &seen);
				assert_int_equal(sse_feed(&s, rows[i].stream, a, on_event, &seen),
						 0);
				assert_int_equal(sse_feed(&s, rows[i].stream + a, b - a, on_event,
							  &seen),
						 0);
				assert_int_equal(sse_feed(&s, rows[i].stream + b, n - b, on_event,
							  &seen),
						 0);
				expect(&rows[i], &s, &seen);
			}
	}
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen seen;
		struct sse s;

		begin(&s, &seen);
		for (const char *p = rows[i].stream; *p; p++)
			assert_int_equal(sse_feed(&s, p, 1, on_event, &seen), 0);
		expect(&rows[i], &s, &seen);
	}
}

static char *recording(const char *name, size_t *out_n)
{
	const char *dir = getenv("INFERFS_SHARED");
	struct buf b = BUF_INIT(1 << 20);
	char path[512];

	snprintf(path, sizeof(path), "%s/testdata/llama-server/%s", dir ? dir : "../shared", name);
	if (fdio_read_file(-100 /* AT_FDCWD */, path, &b)) {
		print_message("SKIP: no recording %s (set INFERFS_SHARED)\n", path);
		buf_done(&b);
		return NULL;
	}
	return buf_steal(&b, out_n);
}

/* A real stream, coalesced and cut by chance, gives the same events every time. */
static void test_recording_cut_by_chance(void **state)
{
	size_t n = 0;
	char *text = recording("chat_stream.resp.body", &n);
	char *first = NULL;

	(void)state;
	if (!text)
		skip();
	srand(1);
	for (int round = 0; round < 300; round++) {
		struct seen seen;
		struct sse s;

		begin(&s, &seen);
		for (size_t at = 0; at < n;) {
			size_t piece = round == 0 ? n : (size_t)(rand() % (round % 40 + 1)) + 1;

			if (piece > n - at)
				piece = n - at;
			assert_int_equal(sse_feed(&s, text + at, piece, on_event, &seen), 0);
			at += piece;
		}
		if (!first)
			first = strdup(buf_str(&seen.text));
		assert_string_equal(buf_str(&seen.text), first);
		assert_true(seen.events > 8);
		sse_done(&s);
		buf_done(&seen.text);
	}
	free(first);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_receiver_stops),
		cmocka_unit_test(test_long_event_name_is_cut),
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_recording_cut_by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
