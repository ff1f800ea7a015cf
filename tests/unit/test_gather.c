/* test_gather.c - the window of merging: when it opens, what closes it, which one is over first */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mono.h"
#include "jobs/gather.h"

/* of the broker only what gather.c looks at: no thread and no clock but the test's */
struct window {
	struct broker b;
	struct flight f[4];
};

static struct window *begin(unsigned size, unsigned window_ms, bool always)
{
	struct window *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	lock_init(&w->b.lock, LOCK_BROKER);
	cond_init(&w->b.tick);
	w->b.o.merge.size = size;
	w->b.o.merge.window_ms = window_ms;
	w->b.o.merge.always = always;
	gather_init(&w->b);
	for (size_t i = 0; i < 4; i++) {
		w->f[i].b = &w->b;
		w->f[i].tabled = true;
		w->f[i].refs = 1;
		list_init(&w->f[i].gather.link);
	}
	lock_take(&w->b.lock);
	return w;
}

static void end(struct window *w)
{
	lock_drop(&w->b.lock);
	cond_done(&w->b.tick);
	lock_done(&w->b.lock);
	free(w);
}

static void add(struct window *w, size_t flight, int n, const char *ns)
{
	struct job j = { .terms = { .n = n, .ns = (char *)(uintptr_t)ns } };

	gather_add_locked(&w->f[flight], &j);
}

static bool open(const struct window *w, size_t flight)
{
	return w->f[flight].gather.until_mono != 0;
}

static void who_opens_one(void **state)
{
	static const struct {
		unsigned window_ms;
		bool always, tabled;
		int n;
		const char *ns;
		bool in_use, opens;
	} rows[] = {
		{ 50, false, true, 1, NULL, false, false }, /* only ever asked for single ones */
		{ 50, false, true, 2, NULL, true, true },
		{ 50, false, true, 1, "n", true, true },
		{ 50, true, true, 1, NULL, true, true },
		{ 0, true, true, 5, "n", true, false },	      /* nobody waits */
		{ 50, true, false, 5, NULL, true, false },    /* bypass: it has no equals */
		{ 50, false, false, 5, NULL, true, false },   /* but it tells what is asked for */
		{ 4000000, true, true, 1, NULL, true, true }, /* over an hour: no overflow */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct window *w = begin(16, rows[i].window_ms, rows[i].always);
		uint64_t before = mono_ns();

		assert_int_equal(w->b.gathering.in_use, rows[i].always);
		w->f[0].tabled = rows[i].tabled;
		add(w, 0, rows[i].n, rows[i].ns);
		assert_int_equal(w->b.gathering.in_use, rows[i].in_use);
		assert_int_equal(open(w, 0), rows[i].opens);
		assert_int_equal(list_empty(&w->b.gathering.flights), !rows[i].opens);
		if (rows[i].opens)
			assert_true(w->f[0].gather.until_mono >=
				    before + rows[i].window_ms * MONO_MS);
		else
			assert_int_equal(w->f[0].gather.wanted, 0);
		end(w);
	}
}

static void once_in_use_singles_wait_too(void **state)
{
	struct window *w = begin(4, 50, false);

	(void)state;
	add(w, 0, 1, NULL);
	assert_false(open(w, 0));
	add(w, 1, 3, NULL);
	add(w, 0, 1, NULL);
	assert_true(open(w, 0) && open(w, 1));
	assert_int_equal(w->f[0].gather.wanted, 1); /* the first one went without */
	end(w);
}

static void enough_closes_it(void **state)
{
	static const struct {
		unsigned size;
		int each, until; /* the how many-th closes it */
	} rows[] = {
		{ 0, 1, 1 }, { 1, 1, 1 }, { 8, 1, 8 }, { 8, 3, 3 }, { 8, 8, 1 }, { 8, 1000, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct window *w = begin(rows[i].size, 60000, true);

		for (int k = 1; k < rows[i].until; k++) {
			add(w, 0, rows[i].each, "n");
			assert_true(open(w, 0));
			assert_int_equal(w->f[0].gather.wanted, k * rows[i].each);
		}
		add(w, 0, rows[i].each, "n");
		assert_false(open(w, 0));
		assert_true(list_empty(&w->b.gathering.flights));
		assert_int_equal(w->f[0].gather.wanted, 0); /* the next one begins at nothing */
		gather_close_locked(&w->f[0]);		    /* there is none: nothing happens */
		end(w);
	}
}

static void the_first_is_over_first(void **state)
{
	struct window *w = begin(100, 60000, true);
	uint64_t next = 0, first;

	(void)state;
	assert_null(gather_over_locked(&w->b, UINT64_MAX, &next));
	assert_int_equal(next, 0); /* never: there are none */
	add(w, 2, 1, NULL);
	first = w->f[2].gather.until_mono;
	add(w, 0, 1, NULL);
	add(w, 2, 1, NULL); /* a later one does not make it longer */
	assert_true(w->f[2].gather.until_mono == first);
	assert_true(w->f[0].gather.until_mono >= first);
	assert_null(gather_over_locked(&w->b, first - 1, &next));
	assert_true(next == first);
	next = 5; /* something else comes sooner */
	assert_null(gather_over_locked(&w->b, first - 1, &next));
	assert_int_equal(next, 5);
	assert_ptr_equal(gather_over_locked(&w->b, first, &next), &w->f[2]);
	assert_int_equal(w->f[2].refs, 2); /* whoever pokes it has one */
	assert_false(open(w, 2));
	assert_true(open(w, 0));
	assert_ptr_equal(gather_over_locked(&w->b, UINT64_MAX, &next), &w->f[0]);
	assert_null(gather_over_locked(&w->b, UINT64_MAX, &next));
	add(w, 2, 1, NULL); /* and again */
	assert_true(open(w, 2));
	assert_int_equal(w->f[2].gather.wanted, 1);
	end(w);
}

static void closing_one_leaves_the_others(void **state)
{
	struct window *w = begin(2, 60000, true);
	uint64_t next = 0;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		add(w, i, 1, NULL);
	add(w, 1, 1, NULL); /* full */
	gather_close_locked(&w->f[0]);
	assert_ptr_equal(gather_over_locked(&w->b, UINT64_MAX, &next), &w->f[2]);
	assert_ptr_equal(gather_over_locked(&w->b, UINT64_MAX, &next), &w->f[3]);
	assert_null(gather_over_locked(&w->b, UINT64_MAX, &next));
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_opens_one),
		cmocka_unit_test(once_in_use_singles_wait_too),
		cmocka_unit_test(enough_closes_it),
		cmocka_unit_test(the_first_is_over_first),
		cmocka_unit_test(closing_one_leaves_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
