/*
 * test_quota.c - rate-limit headers of every provider, and of none
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/auto.h"
#include "net/quota.h"

#define NOW 1795219200000000000ull /* 2026-11-21T00:00:00Z */

static void test_resets(void **state)
{
	static const struct {
		const char *text;
		double s;
	} rows[] = {
		{ "1s", 1 },
		{ "6m0s", 360 },
		{ "12ms", 0.012 },
		{ "1h2m3.5s", 3723.5 },
		{ "7", 7 },
		{ "0", 0 },
		{ "2026-11-21T00:00:30Z", 30 },
		{ "2026-11-21T00:00:30.25Z", 30 },
		{ "2026-11-21T01:00:30+01:00", 30 },
		{ "2026-11-20T23:00:30-01:00", 30 },
		{ "2020-01-01T00:00:00Z", 0 },
		{ "9999999s", 1e6 },
		{ "", -1 },
		{ "soon", -1 },
		{ "1x", -1 },
		{ "-1s", -1 },
		{ "Thursday", -1 },
		{ "1e999", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (fabs(quota_reset(rows[i].text, NOW) - rows[i].s) > 1e-6)
			fail_msg("%s: %g", rows[i].text, quota_reset(rows[i].text, NOW));
}

static bool tell(struct quota_set *q, const char *name, const char *value)
{
	return quota_line(q, name, strlen(name), value, NOW);
}

static void test_names(void **state)
{
	struct quota_set q;

	(void)state;
	quota_init(&q);
	assert_true(tell(&q, "X-RateLimit-Limit-Requests", "60"));
	assert_true(tell(&q, "x-ratelimit-remaining-requests", "59"));
	assert_true(tell(&q, "x-ratelimit-reset-requests", "1s"));
	assert_true(tell(&q, "x-ratelimit-remaining-tokens", "149984"));
	quota_done(&q);
	assert_true(q.requests.limit == 60 && q.requests.remaining == 59 &&
		    q.requests.reset_s == 1);
	assert_true(q.tokens.limit == -1 && q.tokens.remaining == 149984);
	quota_init(&q);
	assert_true(tell(&q, "x-ratelimit-limit-req-minute", "5"));
	assert_true(tell(&q, "x-ratelimit-remaining-req-minute", "0"));
	assert_true(tell(&q, "x-ratelimit-remaining-tokens-minute", "9"));
	assert_false(tell(&q, "x-ratelimit-tokens-query-cost", "3"));
	quota_done(&q);
	assert_true(q.requests.limit == 5 && q.requests.remaining == 0 && q.tokens.remaining == 9);
	quota_init(&q);
	assert_true(tell(&q, "anthropic-ratelimit-requests-remaining", "4"));
	assert_true(tell(&q, "anthropic-ratelimit-tokens-remaining", "4000"));
	assert_true(tell(&q, "anthropic-ratelimit-input-tokens-remaining", "3000"));
	assert_true(tell(&q, "anthropic-ratelimit-output-tokens-remaining", "0"));
	assert_true(tell(&q, "anthropic-ratelimit-output-tokens-reset", "2026-11-21T00:00:09Z"));
	quota_done(&q);
	assert_true(q.requests.remaining == 4 && q.tokens.remaining == 0 && q.tokens.reset_s == 9);
	quota_init(&q);
	assert_false(tell(&q, "content-type", "text/plain"));
	assert_false(tell(&q, "x-ratelimit", "1"));
	assert_true(tell(&q, "x-ratelimit-remaining-requests", "many"));
	quota_done(&q);
	assert_true(q.requests.remaining == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
