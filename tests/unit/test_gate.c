/*
 * test_gate.c - requests and tokens a minute, the server's word, the breaker; on a clock of its own
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/auto.h"
#include "base/mono.h"
#include "infer/gate.h"

#define AT(s) ((uint64_t)((s)*1e9) + 1000 * MONO_S)

static bool probe;

static uint64_t admit(struct gate *g, double at_s, double tokens)
{
	return gate_admit(g, AT(at_s), tokens, &probe);
}

static void test_no_limits(void **state)
{
	static const struct backend_limits l = { .concurrency = 4, .breaker_failures = 0 };
	struct gate g;

	(void)state;
	assert_int_equal(gate_init(&g, &l, AT(0)), 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(admit(&g, 0, 1e9), 0);
		assert_false(gate_outcome(&g, AT(0), ERR_PROVIDER, false));
	}
	assert_int_equal(admit(&g, 0, 1e9), 0);
	gate_done(&g);
}

/* at most rpm beginnings in any 60 seconds, however they are spread */
static void test_requests_a_minute(void **state)
{
	static const struct backend_limits l = { .concurrency = 4, .rpm = 3 };
	double begun[64];
	struct gate g;
	int n = 0;

	(void)state;
	assert_int_equal(gate_init(&g, &l, AT(0)), 0);
	assert_int_equal(admit(&g, 0, 0), 0);
	assert_int_equal(admit(&g, 10, 0), 0);
	assert_int_equal(admit(&g, 20, 0), 0);
	assert_int_equal(admit(&g, 20, 0), 40 * MONO_S);
	assert_int_equal(admit(&g, 59.5, 0), MONO_S / 2);
	assert_int_equal(admit(&g, 60, 0), 0);
	assert_int_equal(admit(&g, 60, 0), 10 * MONO_S);
	gate_done(&g);
	assert_int_equal(gate_init(&g, &l, AT(0)), 0);
	for (double t = 0; t < 600 && n < 64; t += 7.25)
		if (admit(&g, t, 0) == 0)
			begun[n++] = t;
	for (int i = 3; i < n; i++)
		assert_true(begun[i] - begun[i - 3] >= 60);
	assert_true(n >= 27);
	gate_done(&g);
}

static void test_tokens_a_minute(void **state)
{
	static const struct backend_limits l = { .concurrency = 4, .tpm = 600 };
	struct gate g;

	(void)state;
	assert_int_equal(gate_init(&g, &l, AT(0)), 0);
	assert_int_equal(admit(&g, 0, 500), 0);
	assert_int_equal(admit(&g, 0, 200), 10 * MONO_S);
	assert_int_equal(admit(&g, 10, 200), 0);
	/* it took less than was thought */
	gate_settle(&g, 200, 20);
	assert_int_equal(admit(&g, 10, 180), 0);
	/* or more: then it waits for that, too */
	gate_settle(&g, 180, 240);
	assert_int_equal(admit(&g, 10, 60), 12 * MONO_S);
	gate_settle(&g, 1, -1);
	/* one larger than a minute's worth goes when the bucket is full */
	assert_true(admit(&g, 10, 1e6) > 60 * MONO_S);
	assert_int_equal(admit(&g, 100, 1e6), 0);
	gate_done(&g);
}

static void test_the_servers_word(void **state)
{
	static const struct backend_limits l = { .concurrency = 8 };
	struct quota_set q;
	struct gate g;

	(void)state;
	assert_int_equal(gate_init(&g, &l, AT(0)), 0);
	quota_init(&q);
	gate_told(&g, AT(0), &q);
	assert_int_equal(g.told_ns, 0);
	q.requests = (struct quota){ 10, 0, 5 };
	gate_told(&g, AT(0), &q);
	assert_int_equal(admit(&g, 1, 0), 4 * MONO_S);
	assert_int_equal(admit(&g, 5, 0), 0);
	/* a year's patience is not ours */
	q.requests.reset_s = 1e6;
	gate_told(&g, AT(5), &q);
	assert_int_equal(admit(&g, 5, 0), 120 * MONO_S);
	assert_int_equal(admit(&g, 125, 0), 0);
	/* refused: half, then slowly up again, and nobody before its time */
	gate_refused(&g, AT(125), 2, 8);
	assert_int_equal(g.allowed, 4);
	gate_refused(&g, AT(125), -1, 8);
	assert_int_equal(g.allowed, 4);
	gate_refused(&g, AT(125), -1, 1);
	assert_int_equal(g.allowed, 1);
	assert_int_equal(admit(&g, 125, 0), 2 * MONO_S);
	for (int i = 0; i < 100; i++)
		gate_good(&g);
	assert_int_equal(g.allowed, 8);
	gate_done(&g);
}

static void test_breaker(void **state)
{
	static const struct backend_limits l = { .concurrency = 8,
						 .breaker_failures = 3,
						 .breaker_seconds = 10 };
	static const enum err_kind harmless[] = { ERR_REQUEST, ERR_KEY_REJECTED, ERR_NOT_FOUND,
						  ERR_QUOTA,   ERR_RATE_LIMIT,	 ERR_CONTEXT };
	uint64_t left = 0;
	struct gate g;

	(void)state;
	assert_int_equal(gate_init(&g, &l, AT(0)), 0);
	/* two failures, and then a word from a server that is well */
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
		(void)gate_outcome(&g, AT(0), ERR_PROVIDER, false);
		(void)gate_outcome(&g, AT(0), ERR_TIMEOUT, false);
		(void)gate_outcome(&g, AT(0), ERR_CANCELLED, false);
		(void)gate_outcome(&g, AT(0), harmless[i], false);
		assert_int_equal(g.breaker, GATE_CLOSED);
		assert_int_equal(g.failures, 0);
	}
	(void)gate_outcome(&g, AT(0), ERR_REFUSED, false);
	(void)gate_outcome(&g, AT(0), ERR_UNREACHABLE, false);
	assert_false(gate_is_open(&g, AT(0), &left));
	(void)gate_outcome(&g, AT(0), ERR_PROTOCOL, false);
	assert_true(gate_is_open(&g, AT(4), &left));
	assert_int_equal(left, 6 * MONO_S);
	assert_int_equal(admit(&g, 4, 0), 6 * MONO_S);
	/* its time is over: one goes, the others wait for what becomes of it */
	assert_false(gate_is_open(&g, AT(10), &left));
	probe = false;
	assert_int_equal(admit(&g, 10, 0), 0);
	assert_true(probe);
	assert_int_equal(admit(&g, 10, 0), 0); /* its second attempt */
	assert_true(probe);
	probe = false;
	assert_int_not_equal(admit(&g, 10, 0), 0);
	assert_false(probe);
	/* a cancelled probe proves nothing */
	assert_true(gate_outcome(&g, AT(11), ERR_CANCELLED, true));
	assert_int_equal(admit(&g, 11, 0), 0);
	assert_true(probe);
	/* it failed: open again, for the whole time */
	assert_true(gate_outcome(&g, AT(12), ERR_PROVIDER, true));
	assert_true(gate_is_open(&g, AT(21), &left));
	assert_int_equal(admit(&g, 22, 0), 0);
	assert_true(gate_outcome(&g, AT(23), ERR_NONE, true));
	probe = false;
	assert_int_equal(admit(&g, 23, 0), 0);
	assert_false(probe);
	gate_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limits),	cmocka_unit_test(test_requests_a_minute),
		cmocka_unit_test(test_tokens_a_minute), cmocka_unit_test(test_the_servers_word),
		cmocka_unit_test(test_breaker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
