/*
 * infer/retry: which failures get another attempt, and when
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "infer/retry.h"

static const struct backend_limits limits = { .retries = 4,
					      .backoff_ms = 500,
					      .backoff_max_ms = 3000 };
static const struct retry_why plain = { .retryable = true, .retry_after_s = -1 };
static const struct retry_when no_limit = { .now_ns = 1000 };

static double ms(int64_t ns)
{
	return (double)ns / 1e6;
}

static void test_never(void **state)
{
	struct retry_why why = { .retryable = false, .retry_after_s = -1 };
	struct retry r = { .attempts = 1 };

	(void)state;
	assert_int_equal(retry_next(&r, &limits, &why, &no_limit), -1);
}

static void test_only_so_many(void **state)
{
	struct retry r = { 0 };

	(void)state;
	for (r.attempts = 1; r.attempts <= 4; r.attempts++)
		assert_true(retry_next(&r, &limits, &plain, &no_limit) >= 0);
	assert_int_equal(retry_next(&r, &limits, &plain, &no_limit), -1);
}

static void test_no_retries_configured(void **state)
{
	struct backend_limits none = limits;
	struct retry r = { .attempts = 1 };

	(void)state;
	none.retries = 0;
	assert_int_equal(retry_next(&r, &none, &plain, &no_limit), -1);
}

static void test_late_once_whatever_comes_then(void **state)
{
	struct retry_why late = { .retryable = true, .late = true, .retry_after_s = -1 };
	struct retry a = { .attempts = 1 }, b = { .attempts = 1 };

	(void)state;
	assert_true(retry_next(&a, &limits, &late, &no_limit) >= 0);
	a.attempts++;
	assert_int_equal(retry_next(&a, &limits, &late, &no_limit), -1);
	assert_true(retry_next(&b, &limits, &late, &no_limit) >= 0);
	b.attempts++;
	assert_int_equal(retry_next(&b, &limits, &plain, &no_limit), -1);
}

static void test_late_after_plain_ones(void **state)
{
	struct retry_why late = { .retryable = true, .late = true, .retry_after_s = -1 };
	struct retry r = { .attempts = 1 };

	(void)state;
	assert_true(retry_next(&r, &limits, &plain, &no_limit) >= 0);
	r.attempts++;
	assert_true(retry_next(&r, &limits, &late, &no_limit) >= 0);
	r.attempts++;
	assert_int_equal(retry_next(&r, &limits, &plain, &no_limit), -1);
}

static void test_server_asks_past_the_limit(void **state)
{
	struct retry_why why = { .retryable = true, .retry_after_s = 30 };
	struct retry_when when = { .now_ns = 1000000000, .limit_ns = 11000000000 };
	struct retry r = { .attempts = 1 };

	(void)state;
	assert_int_equal(retry_next(&r, &limits, &why, &when), -1);
	why.retry_after_s = 9;
	assert_true(retry_next(&r, &limits, &why, &when) >= 9000000000);
	why.retry_after_s = 1e300;
	assert_int_equal(retry_next(&r, &limits, &why, &when), -1);
	when.limit_ns = 0;
	assert_true(retry_next(&r, &limits, &why, &when) > 0); /* far away, but no overflow */
}

static void test_pause_past_the_limit(void **state)
{
	struct retry_when when = { .now_ns = 1000000000, .limit_ns = 1100000000 };
	struct retry r = { .attempts = 1 };

	(void)state;
	assert_int_equal(retry_next(&r, &limits, &plain, &when), -1);
}

static void test_doubles_up_to_the_maximum(void **state)
{
	static const double want[] = { 500, 1000, 2000, 3000 };
	struct retry_when when = { .now_ns = 1 };
	struct retry r = { 0 };

	(void)state;
	for (r.attempts = 1; r.attempts <= 4; r.attempts++) {
		double max, min;

		when.random = 0;
		max = ms(retry_next(&r, &limits, &plain, &when));
		when.random = 0.9999;
		min = ms(retry_next(&r, &limits, &plain, &when));
		assert_true(max > want[r.attempts - 1] - 0.01 && max < want[r.attempts - 1] + 0.01);
		assert_true(min >= want[r.attempts - 1] * 0.75 - 0.01 && min < max);
	}
}

static void test_servers_wish_is_a_floor(void **state)
{
	struct retry_why why = { .retryable = true, .retry_after_s = 2 };
	struct retry_when when = { .now_ns = 1, .random = 0.5 };
	struct retry r = { .attempts = 1 };

	(void)state;
	assert_true(ms(retry_next(&r, &limits, &why, &when)) >= 2000);
	assert_true(ms(retry_next(&r, &limits, &why, &when)) <= 2500);
	why.retry_after_s = 0; /* a date in the past */
	assert_true(ms(retry_next(&r, &limits, &why, &when)) >= 375);
	why.retry_after_s = 0.001;
	assert_true(ms(retry_next(&r, &limits, &why, &when)) >= 375);
}

static void test_odd_configuration(void **state)
{
	struct backend_limits odd = { .retries = 1000000, .backoff_ms = 0, .backoff_max_ms = 0 };
	struct retry r = { .attempts = 900000 };

	(void)state;
	assert_int_equal(retry_next(&r, &odd, &plain, &no_limit), 0);
	odd.backoff_ms = -5;
	odd.backoff_max_ms = 10;
	assert_int_equal(retry_next(&r, &odd, &plain, &no_limit), 0);
	odd.backoff_ms = 1e9;
	assert_true(ms(retry_next(&r, &odd, &plain, &no_limit)) <= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_only_so_many),
		cmocka_unit_test(test_no_retries_configured),
		cmocka_unit_test(test_late_once_whatever_comes_then),
		cmocka_unit_test(test_late_after_plain_ones),
		cmocka_unit_test(test_server_asks_past_the_limit),
		cmocka_unit_test(test_pause_past_the_limit),
		cmocka_unit_test(test_doubles_up_to_the_maximum),
		cmocka_unit_test(test_servers_wish_is_a_floor),
		cmocka_unit_test(test_odd_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
