/*
 * test_call_text.c - a burst of tokens is few pieces, and no byte of it is lost, late or out of order
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/mono.h"
#include "infer/call_inside.h"

enum { BIG = 100 << 10 };

static struct fixture {
	struct call_env env;
	struct infer_call call;
	struct lock lock;
	struct cond news;
	struct buf told; /* lock: "CHOICE:text|" a piece */
	unsigned pieces; /* lock */
	struct loop_task task;
	void (*step)(struct fixture *f);
	bool ran; /* lock */
} fixture;

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	struct fixture *f = arg;

	lock_take(&f->lock);
	assert_int_equal(buf_addf(&f->told, "%u:", choice), 0);
	assert_int_equal(buf_add(&f->told, p, n), 0);
	assert_int_equal(buf_addc(&f->told, '|'), 0);
	f->pieces++;
	cond_broadcast(&f->news);
	lock_drop(&f->lock);
}

static void run_step(struct loop_task *t)
{
	struct fixture *f = CONTAINER_OF(t, struct fixture, task);

	f->step(f);
	lock_take(&f->lock);
	f->ran = true;
	cond_broadcast(&f->news);
	lock_drop(&f->lock);
}

/* on the loop's thread, where calls live */
static void on_loop(void (*step)(struct fixture *f))
{
	struct fixture *f = &fixture;

	f->step = step;
	f->ran = false;
	assert_int_equal(loop_post(f->env.loop, &f->task), 0);
	lock_take(&f->lock);
	while (!f->ran)
		cond_wait(&f->news, &f->lock);
	lock_drop(&f->lock);
}

static void await_pieces(unsigned n)
{
	lock_take(&fixture.lock);
	while (fixture.pieces < n)
		cond_wait(&fixture.news, &fixture.lock);
	lock_drop(&fixture.lock);
}

static int setup(void **state)
{
	struct fixture *f = &fixture;

	(void)state;
	memset(f, 0, sizeof(*f));
	lock_init(&f->lock, LOCK_LEAF);
	cond_init(&f->news);
	buf_init(&f->told, 4 * BIG);
	f->env.loop = loop_new();
	assert_non_null(f->env.loop);
	f->task.run = run_step;
	f->call.env = &f->env;
	f->call.sink.text = on_text;
	f->call.arg = f;
	call_text_init(&f->call);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = &fixture;

	(void)state;
	f->env.loop = loop_stop(f->env.loop);
	call_text_drop(&f->call);
	buf_done(&f->told);
	cond_done(&f->news);
	lock_done(&f->lock);
	return 0;
}

static void add(struct fixture *f, unsigned choice, const char *text)
{
	call_text_add(&f->call, choice, text, strlen(text));
}

static void burst(struct fixture *f)
{
	for (int i = 0; i < 10; i++)
		add(f, 0, "ab");
	assert_int_equal(f->pieces, 0); /* not in the middle of a packet */
}

static void test_burst_is_one_piece(void **state)
{
	(void)state;
	on_loop(burst);
	await_pieces(1);
	assert_string_equal(buf_str(&fixture.told), "0:abababababababababab|");
}

static void one_more(struct fixture *f)
{
	add(f, 0, "x");
}

/* The next one follows at once and waits its millisecond, no longer. */
static void test_next_one_waits_a_moment(void **state)
{
	uint64_t t0;

	(void)state;
	on_loop(one_more);
	await_pieces(1);
	t0 = fixture.call.text.last_ns;
	on_loop(one_more);
	await_pieces(2);
	assert_true(fixture.call.text.last_ns - t0 >= MONO_MS);
	assert_string_equal(buf_str(&fixture.told), "0:x|0:x|");
}

static void two_choices(struct fixture *f)
{
	add(f, 0, "a");
	add(f, 1, "b");
	add(f, 1, "c");
	add(f, 0, "d");
	call_text_flush(&f->call);
}

static void test_choices_stay_apart(void **state)
{
	(void)state;
	on_loop(two_choices);
	assert_string_equal(buf_str(&fixture.told), "0:a|1:bc|0:d|");
}

static void flush_twice(struct fixture *f)
{
	add(f, 0, "end");
	call_text_flush(&f->call);
	call_text_flush(&f->call);
}

static void test_flush_is_at_once_and_once(void **state)
{
	(void)state;
	on_loop(flush_twice);
	assert_string_equal(buf_str(&fixture.told), "0:end|");
}

static void void_text(struct fixture *f)
{
	add(f, 0, "of an attempt that broke");
	call_text_drop(&f->call);
	add(f, 0, "again");
	call_text_flush(&f->call);
}

static void test_dropped_text_is_never_told(void **state)
{
	(void)state;
	on_loop(void_text);
	assert_string_equal(buf_str(&fixture.told), "0:again|");
}

static void big(struct fixture *f)
{
	char *text = malloc(BIG + 1);

	assert_non_null(text);
	memset(text, 'y', BIG);
	text[BIG] = '\0';
	add(f, 0, "before");
	add(f, 0, text);
	add(f, 0, "after");
	call_text_flush(&f->call);
	free(text);
}

static void test_larger_than_a_piece(void **state)
{
	const char *told;

	(void)state;
	on_loop(big);
	told = buf_str(&fixture.told);
	assert_int_equal(fixture.told.len, BIG + strlen("0:before|0:|0:after|"));
	assert_memory_equal(told, "0:before|0:yyy", 14);
	assert_string_equal(told + fixture.told.len - 10, "y|0:after|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_burst_is_one_piece, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_one_waits_a_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_choices_stay_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush_is_at_once_and_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped_text_is_never_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_larger_than_a_piece, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
