/*
 * test_call.c - a call that wants its images: asked for when it has its place, answered from any thread
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mono.h"
#include "wire_ask.h"

/* what load was asked for, in order */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct infer_call *calls[8];
	void *args[8];
	int n;
} wanted = { .lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER };

static void on_load(void *arg, struct infer_call *c)
{
	pthread_mutex_lock(&wanted.lock);
	wanted.args[wanted.n] = arg;
	wanted.calls[wanted.n++] = c;
	pthread_cond_broadcast(&wanted.news);
	pthread_mutex_unlock(&wanted.lock);
}

static struct infer_call *await_load(int n)
{
	struct infer_call *c;

	pthread_mutex_lock(&wanted.lock);
	while (wanted.n <= n)
		pthread_cond_wait(&wanted.news, &wanted.lock);
	c = wanted.calls[n];
	pthread_mutex_unlock(&wanted.lock);
	return c;
}

static int loads(void)
{
	int n;

	pthread_mutex_lock(&wanted.lock);
	n = wanted.n;
	pthread_mutex_unlock(&wanted.lock);
	return n;
}

static struct ask fixture;

static int setup(void **state)
{
	struct backend_config c = ask_config("echo", NULL);

	(void)state;
	wanted.n = 0;
	c.limits.concurrency = 1;
	ask_new(&fixture, c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ask_free(&fixture);
	return 0;
}

static const struct infer_spec with_load = { .load = on_load };

static void test_failed_load(void **state)
{
	struct infer_status s;
	struct ask_call c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ask_begin(&fixture, &c, NULL, &with_load), 0);
	(void)err_set(&e, ERR_REQUEST, "the image was changed");
	infer_loaded(fixture.infer, await_load(0), NULL, &e);
	ask_await(&c);
	assert_int_equal(c.err.code, EINVAL);
	assert_string_equal(c.err.message, "the image was changed");
	assert_int_equal(c.attempts, 0);
	assert_int_equal(c.started, 0);
	ask_done(&c);
	assert_int_equal(infer_status(fixture.infer, fixture.config.name, &s), 0);
	assert_int_equal(s.failed, 0); /* the backend was never asked */
	assert_int_equal(s.in_flight, 0);
}

static void test_cancelled_while_loading(void **state)
{
	struct infer_call *call;
	struct ask_call c;

	(void)state;
	assert_int_equal(ask_begin(&fixture, &c, NULL, &with_load), 0);
	call = await_load(0);
	infer_cancel(fixture.infer, c.call);
	ask_await(&c);
	assert_int_equal(c.err.code, ECANCELED);
	infer_loaded(fixture.infer, call, NULL, NULL); /* too late, and the last that knows it */
	assert_int_equal(c.ended, 1);
	ask_done(&c);
}

static void test_cancelled_and_loaded_together(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct ask_call c;

		wanted.n = 0;
		assert_int_equal(ask_begin(&fixture, &c, NULL, &with_load), 0);
		if (i & 1)
			infer_loaded(fixture.infer, await_load(0), NULL, NULL);
		else
			(void)await_load(0);
		pthread_mutex_lock(&c.lock); /* it must not have ended */
		if (!c.ended)
			infer_cancel(fixture.infer, c.call);
		pthread_mutex_unlock(&c.lock);
		if (!(i & 1))
			infer_loaded(fixture.infer, wanted.calls[0], NULL, NULL);
		ask_await(&c);
		assert_int_equal(c.ended, 1);
		ask_done(&c);
	}
}

static void test_time_over_while_loading(void **state)
{
	struct infer_spec s = { .load = on_load, .deadline_ns = mono_ns() + 20 * MONO_MS };
	struct infer_call *call;
	struct ask_call c;

	(void)state;
	assert_int_equal(ask_begin(&fixture, &c, NULL, &s), 0);
	call = await_load(0);
	ask_await(&c);
	assert_int_equal(c.err.code, ETIMEDOUT);
	infer_loaded(fixture.infer, call, NULL, NULL);
	ask_done(&c);
}

static void *load_late(void *arg)
{
	struct infer_call *call = await_load(0);

	ask_await(arg); /* it failed with ESHUTDOWN: infer_stop is on its way */
	infer_loaded(fixture.infer, call, NULL, NULL);
	return NULL;
}

static void test_stop_waits_for_loads(void **state)
{
	static struct ask_call c;
	pthread_t late;

	(void)state;
	assert_int_equal(ask_begin(&fixture, &c, NULL, &with_load), 0);
	(void)await_load(0);
	assert_int_equal(pthread_create(&late, NULL, load_late, &c), 0);
	fixture.infer = infer_stop(fixture.infer);
	assert_int_equal(pthread_join(late, NULL), 0);
	assert_int_equal(c.err.code, ESHUTDOWN);
	ask_done(&c);
}

/* What waits in the queue is not asked for its images: that is what bounds the memory. */
static void test_loads_when_there_is_a_place(void **state)
{
	struct ask_call c[3];

	(void)state;
	for (int k = 0; k < 3; k++)
		assert_int_equal(ask_begin(&fixture, &c[k], NULL, &with_load), 0);
	for (int k = 0; k < 3; k++) {
		struct infer_call *call = await_load(k);

		assert_int_equal(loads(), k + 1);
		assert_ptr_equal(wanted.args[k], &c[k]);
		assert_int_equal(c[k].started, 0);
		infer_loaded(fixture.infer, call, NULL, NULL);
		ask_await(&c[k]);
		assert_non_null(c[k].answer);
		assert_string_equal(c[k].text, "You said: hi");
	}
	assert_int_equal(loads(), 3);
	for (int k = 0; k < 3; k++)
		ask_done(&c[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_failed_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled_while_loading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled_and_loaded_together, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_time_over_while_loading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_waits_for_loads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loads_when_there_is_a_place, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
