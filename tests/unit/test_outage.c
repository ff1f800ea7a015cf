/*
 * test_outage.c - closed, open, one probe at a time
 */
#include "sample.h"

#include "store/outage.h"

#define AT(ms) mono_test_set((ms)*MONO_MS, 1)

static int setup(void **state)
{
	static struct outage o;

	AT(1000);
	outage_init(&o, 3, 500);
	*state = &o;
	return 0;
}

static int teardown(void **state)
{
	outage_done(*state);
	mono_test_set(0, 0);
	return 0;
}

static void fail_times(struct outage *o, int n)
{
	for (int i = 0; i < n; i++) {
		assert_int_equal(outage_admit(o, false), OUTAGE_GO);
		outage_report(o, -EIO);
	}
}

static void opens_after_failures_in_a_row(void **state)
{
	struct outage *o = *state;
	int error = 0;

	fail_times(o, 2);
	assert_false(outage_down(o, NULL));
	outage_report(o, 0); /* a success between: the count begins again */
	fail_times(o, 2);
	assert_int_equal(outage_admit(o, false), OUTAGE_GO);
	outage_report(o, -ETIMEDOUT);
	assert_true(outage_down(o, &error));
	assert_int_equal(error, -ETIMEDOUT);
	assert_int_equal(outage_admit(o, false), OUTAGE_NO);
	assert_int_equal(outage_admit(o, true), OUTAGE_NO);
}

static void one_probe_at_a_time(void **state)
{
	struct outage *o = *state;

	fail_times(o, 3);
	AT(1499);
	assert_int_equal(outage_admit(o, false), OUTAGE_NO);
	AT(1500);
	assert_int_equal(outage_admit(o, true), OUTAGE_PROBE); /* never by one who may not wait */
	assert_int_equal(outage_admit(o, false), OUTAGE_GO);
	assert_int_equal(outage_admit(o, false), OUTAGE_NO);
	assert_int_equal(outage_admit(o, true), OUTAGE_NO);
	outage_report(o, -EIO);
	assert_int_equal(outage_admit(o, false), OUTAGE_NO);
	AT(2000);
	assert_int_equal(outage_admit(o, false), OUTAGE_GO);
	outage_report(o, 0);
	assert_false(outage_down(o, NULL));
	assert_int_equal(outage_admit(o, false), OUTAGE_GO);
	outage_report(o, 0);
	fail_times(o, 2);
	assert_false(outage_down(o, NULL));
}

/* Calls that were under way when it opened come back late. */
static void late_reports(void **state)
{
	struct outage *o = *state;

	fail_times(o, 3);
	outage_report(o, 0);
	assert_false(outage_down(o, NULL));
	for (int i = 0; i < 10; i++)
		outage_report(o, -EIO);
	assert_true(outage_down(o, NULL));
}

static void zero_failures_means_one(void **state)
{
	struct outage o;

	(void)state;
	outage_init(&o, 0, 0);
	outage_report(&o, -EIO);
	assert_true(outage_down(&o, NULL));
	assert_int_equal(outage_admit(&o, false), OUTAGE_GO); /* probed at once */
	outage_done(&o);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(opens_after_failures_in_a_row),
					    T(one_probe_at_a_time), T(late_reports),
					    T(zero_failures_means_one) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
