/*
 * infer/attempt: one recorded conversation cut at every byte, and what an answer may not do to us
 *
 * The answer must be the same however the network delivers it; a break at any byte must be a failure
 * that is tried again once, never half an answer.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/attempt.h"
#include "net/sse.h"
#include "wire.h"
#include "wire_ask.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define BODY                                                                                                                    \
	"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\xc3\xbc\xc3\x9f\"}}]}\r\n\r\n"               \
	": ping\r\n\r\n"                                                                                                        \
	"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"e \xf0\x9f\x98\x80\"},\"finish_reason\":\"stop\"}]}\r\n\r\n" \
	"data: [DONE]\r\n\r\n"

static struct ask_call call;
static struct ask a;

/* One server for all rounds: what it answers is replaced by a new wire each time. */
static int answered(const char *bytes, size_t len, size_t piece, unsigned retries)
{
	struct wire *w = wire_new();
	struct backend_config c = ask_config("openai", wire_url(w));
	int rc;

	c.limits.retries = retries;
	wire_add(w, (struct wire_answer){
			    .bytes = bytes, .len = len, .piece = piece, .then = WIRE_CLOSE });
	ask_new(&a, c);
	rc = ask(&a, &call, NULL);
	ask_free(&a);
	wire_free(w);
	return rc;
}

/* [DONE] is the end mark: all that is cut before it is a break; without any event, no stream at all. */
static void test_cut_at_every_byte(void **state)
{
	static const char text[] = HEAD BODY;
	const size_t head = sizeof(HEAD) - 1, mark = (size_t)(strstr(text, "[DONE]") - text) + 6;

	(void)state;
	for (size_t cut = head; cut <= sizeof(text) - 1; cut++) {
		int rc = answered(text, cut, 0, 0);

		if (cut >= mark) {
			assert_int_equal(rc, 0);
			assert_string_equal(call.text, "Gr\xc3\xbc\xc3\x9f"
						       "e \xf0\x9f\x98\x80");
		} else if (rc != EREMOTEIO && !(rc == EBADMSG && cut < head + 7)) {
			fail_msg("cut at %zu: %d %s", cut - head, rc, call.err.message);
		}
		assert_int_equal(call.ended, 1);
		ask_done(&call);
	}
}

static void test_delivered_in_pieces(void **state)
{
	static const char text[] = HEAD BODY;

	(void)state;
	for (size_t piece = 1; piece < 60; piece += 4) {
		assert_int_equal(answered(text, 0, piece, 4), 0);
		assert_string_equal(buf_str(&call.answer->text), "Gr\xc3\xbc\xc3\x9f"
								 "e \xf0\x9f\x98\x80");
		assert_string_equal(call.text, buf_str(&call.answer->text));
		assert_int_equal(call.attempts, 1);
		ask_done(&call);
	}
}

static void test_event_larger_than_allowed(void **state)
{
	size_t n = SSE_EVENT_MAX + sizeof(HEAD) + 100;
	char *text = malloc(n);

	(void)state;
	memset(text, 'x', n);
	memcpy(text, HEAD "data: ", sizeof(HEAD) + 5);
	assert_int_equal(answered(text, n, 0, 4), EBADMSG);
	assert_int_equal(call.attempts, 1);
	assert_non_null(strstr(call.err.message, "larger"));
	ask_done(&call);
	free(text);
}

static void test_endless_error_body(void **state)
{
	static const char head[] = "HTTP/1.1 500 Broken\r\nContent-Type: text/html\r\n\r\n<html>";
	size_t n = (1 << 20) + sizeof(head);
	char *text = malloc(n);

	(void)state;
	memset(text, '\xff', n);
	memcpy(text, head, sizeof(head) - 1);
	assert_int_equal(answered(text, n, 0, 0), EREMOTEIO);
	assert_int_equal(call.err.http_status, 500);
	ask_done(&call);
	free(text);
}

/* The status tells, even when the body that explains it breaks off. */
static void test_error_body_breaks_off(void **state)
{
	(void)state;
	assert_int_equal(answered("HTTP/1.1 401 No\r\nContent-Length: 500\r\n\r\n{\"mess", 0, 0, 4),
			 EKEYREJECTED);
	assert_int_equal(call.attempts, 1);
	ask_done(&call);
}

static void test_after_the_end_mark(void **state)
{
	(void)state;
	assert_int_equal(answered(HEAD BODY "data: {\"error\":{\"message\":\"too late\"}}\n\n" BODY,
				  0, 0, 0),
			 0);
	assert_string_equal(call.text, "Gr\xc3\xbc\xc3\x9f"
				       "e \xf0\x9f\x98\x80");
	assert_null(strstr(buf_str(&call.answer->raw), "too late"));
	ask_done(&call);
}

static void test_whole_body_breaks_off(void **state)
{
	(void)state;
	assert_int_equal(
		answered(
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
			"{\"choices\":[{\"message\":{\"content\":\"x\"}}]}",
			0, 0, 0),
		EREMOTEIO);
	ask_done(&call);
}

static void test_address_for_people(void **state)
{
	static const char *const url[][2] = { { "https://api.example/v1",
						"https://api.example/v1" },
					      { "https://u:p@h/v1?key=abc#x", "https://h/v1" },
					      { "http://u@h:8080", "http://h:8080" },
					      { "http://h/a@b", "http://h/a@b" },
					      { "no scheme", "no scheme" },
					      { "", "" } };
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++) {
		char *copy = strdup(url[i][0]);
		struct backend_config c = { .at.url = copy };

		attempt_url(&c, text, sizeof(text));
		assert_string_equal(text, url[i][1]);
		for (size_t cap = 1; cap < sizeof(text); cap++) {
			attempt_url(&c, text, cap);
			assert_true(strlen(text) < cap);
		}
		free(copy);
	}
	attempt_url(&(struct backend_config){ 0 }, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_event_larger_than_allowed),
		cmocka_unit_test(test_endless_error_body),
		cmocka_unit_test(test_error_body_breaks_off),
		cmocka_unit_test(test_whole_body_breaks_off),
		cmocka_unit_test(test_delivered_in_pieces),
		cmocka_unit_test(test_after_the_end_mark),
		cmocka_unit_test(test_address_for_people),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
