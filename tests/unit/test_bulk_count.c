/* test_bulk_count.c - what the lines of a job add up to, and how that is said */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/lock.h"
#include "broker_fixture.h"
#include "jobs/broker_bulk.h"
#include "jobs/bulk.h"

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? fixture_open(f) : -1;
}

static int teardown(void **state)
{
	fixture_close(*state);
	free(*state);
	return 0;
}

/* ---- a final line, as the ledger has it ---- */

struct posting {
	struct ledger_post post;
	struct lock lock;
	struct cond cond;
	bool there;
	int result;
};

static void recorded(struct ledger_post *p, int result)
{
	struct posting *x = (struct posting *)(void *)p;

	lock_take(&x->lock);
	x->there = true;
	x->result = result;
	cond_broadcast(&x->cond);
	lock_drop(&x->lock);
}

static void record(struct fixture *f, struct ledger_change *c)
{
	struct posting x = { .post = { .changes = c, .n_changes = 1, .done = recorded } };

	lock_init(&x.lock, LOCK_NODE);
	cond_init(&x.cond);
	ledger_post(f->ledger, &x.post);
	lock_take(&x.lock);
	while (!x.there)
		cond_wait(&x.cond, &x.lock);
	lock_drop(&x.lock);
	assert_int_equal(x.result, 0);
	cond_done(&x.cond);
	lock_done(&x.lock);
}

/* a letter for each sample: bought, cached, Duplicate that was cached */
static struct ledger_row line(struct fixture *f, enum ledger_state s, const char *samples,
			      const char *facts)
{
	struct ledger_handout h[8] = { 0 };
	struct ledger_change c = { .op = LEDGER_OP_PUT };

	c.row.id = ledger_next_id(f->ledger);
	c.row.state = s;
	c.row.root = (char *)(uintptr_t) "\0027";
	c.row.path = (char *)(uintptr_t) "a";
	c.row.suffix = (char *)(uintptr_t) "";
	c.row.facts = (char *)(uintptr_t)facts;
	c.row.n = (int)strlen(samples);
	for (uint32_t i = 0; samples[i]; i++)
		h[i] = (struct ledger_handout){ .request = c.row.id,
						.pos = i,
						.index = i,
						.cached = samples[i] != 'b',
						.duplicated = samples[i] == 'D' };
	c.handouts = h;
	c.n_handouts = strlen(samples);
	record(f, &c);
	return c.row;
}

static void begin(struct fixture *f, struct bulk *k)
{
	*k = (struct bulk){ .b = f->broker };
	list_init(&k->progress_waiters);
	list_init(&k->stream_waiters);
}

/* ---- failures first ---- */

static void damaged_facts_count_nothing(void **state)
{
	static const char *const damaged[] = {
		NULL,
		"",
		"{",
		"[]",
		"null",
		"7",
		"{\"done\":\"5\",\"cost_usd\":\"1\",\"elapsed_s\":\"3\"}",
		"{\"done\":null,\"cost_usd\":null,\"elapsed_s\":null}",
		"{\"done\":[1],\"failed\":{\"n\":1},\"elapsed_s\":true}",
		"{\"done\":3.7}",
	};
	static const struct bulk_counts none;

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		struct bulk_counts c = { .done = 4711, .cost_usd = 1 };
		double elapsed = 5;

		bulk_count_read(damaged[i], &c, &elapsed);
		assert_memory_equal(&c, &none, sizeof(c));
		assert_true(elapsed == 0);
		assert_int_equal(bulk_count_failed(damaged[i]), 0);
	}
}

/* whoever reads it has a buffer for one line */
static void a_line_of_progress_fits_whatever_the_numbers(void **state)
{
	static const double huge[] = { DBL_MAX, -DBL_MAX, INFINITY, -INFINITY, NAN, 1e100, 0 };
	struct bulk_counts c = {
		.total = UINT64_MAX, .done = UINT64_MAX, .failed = UINT64_MAX, .cached = UINT64_MAX
	};

	(void)state;
	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		char out[BROKER_BULK_LINE_MAX + 8];
		int n;

		c.cost_usd = huge[i];
		memset(out, '#', sizeof(out));
		n = bulk_count_progress(&c, huge[i], huge[i], out, BROKER_BULK_LINE_MAX);
		assert_in_range(n, 1, BROKER_BULK_LINE_MAX - 1);
		assert_int_equal(strlen(out), n);
		assert_int_equal(out[n - 1], '\n');
		assert_ptr_equal(strchr(out, '\n'), out + n - 1);
		assert_int_equal(out[BROKER_BULK_LINE_MAX], '#');
	}
}

static void usage_that_does_not_fit_is_an_error(void **state)
{
	struct bulk_counts c = { .total = 3 };
	struct buf b = BUF_INIT(100), whole = BUF_INIT(4096);

	(void)state;
	assert_int_equal(bulk_count_usage(&c, "running", 1, NULL, &b), -EFBIG);
	assert_int_equal(bulk_count_usage(&c, "running", 1, NULL, &whole), 0);
	buf_done(&b);
	b = BUF_INIT(whole.len - 1); /* all but the newline */
	assert_int_equal(bulk_count_usage(&c, "running", 1, NULL, &b), -EFBIG);
	buf_done(&b);
	buf_done(&whole);
}

/* JSON has no such numbers: that sum is lost, the others are not */
static void sums_that_are_no_numbers_spoil_nothing_else(void **state)
{
	struct bulk_counts c = { .total = 2, .done = 2, .cost_usd = NAN }, back;
	char *facts = bulk_count_facts(&c, INFINITY, false, NULL);
	double elapsed = 1;

	(void)state;
	assert_non_null(facts);
	bulk_count_read(facts, &back, &elapsed);
	assert_int_equal(back.done, 2);
	assert_true(back.cost_usd == 0);
	assert_true(elapsed == 0);
	free(facts);
}

static void lines_with_damaged_facts_are_lines(void **state)
{
	static const char *const damaged[] = { NULL,
					       "",
					       "{\"attempts\":",
					       "[1]",
					       "{\"tokens\":[],\"cost_usd\":\"free\"}",
					       "{\"tokens\":{\"input\":3},\"attempts\":null}",
					       "{\"attempts\":-1.5}" };
	struct fixture *f = *state;
	struct bulk k;

	begin(f, &k);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		struct ledger_row row = line(f, LEDGER_DONE, "b", damaged[i]);

		bulk_count_row(&k, &row);
		assert_int_equal(k.counts.done, i + 1);
		assert_int_equal(k.counts.bought, i + 1);
	}
	assert_int_equal(k.counts.attempts, 0);
	assert_int_equal(k.counts.input_tokens, 0);
	assert_int_equal(k.counts.unpriced, 0);
	assert_true(k.counts.cost_usd == 0);
}

/* ---- lines ---- */

#define FACTS                                                                   \
	"{\"attempts\":2,\"cost_usd\":0.25,\"saved_usd\":0.5,\"merged_usd\":2," \
	"\"tokens\":[10,1,2,20]}"

static void a_line_counts_by_its_state_and_samples(void **state)
{
	static const struct {
		enum ledger_state state;
		const char *samples, *facts;
		struct bulk_counts want;
	} cases[] = {
		/* what failed had no samples, whatever is left of it */
		{ LEDGER_FAILED, "", FACTS, { .done = 1, .failed = 1 } },
		{ LEDGER_CANCELLED, "", FACTS, { .done = 1, .cancelled = 1 } },
		{ LEDGER_DONE, "", "{\"cost_usd\":null}", { .done = 1, .unpriced = 1 } },
		{ LEDGER_DONE, "", "{}", { .done = 1 } },
		{ LEDGER_DONE, "b", "{}", { .done = 1, .samples = 1, .bought = 1 } },
		{ LEDGER_DONE, "c", "{}", { .done = 1, .samples = 1, .reused = 1, .cached = 1 } },
		/* one bought sample, and the line is not from the cache */
		{ LEDGER_DONE,
		  "cccb",
		  "{}",
		  { .done = 1, .samples = 4, .reused = 3, .bought = 1 } },
		{ LEDGER_DONE,
		  "cDD",
		  "{}",
		  { .done = 1, .samples = 3, .reused = 3, .duplicated = 2, .cached = 1 } },
		{ LEDGER_DONE,
		  "bb",
		  FACTS,
		  { .done = 1,
		    .samples = 2,
		    .bought = 2,
		    .attempts = 2,
		    .input_tokens = 10,
		    .output_tokens = 20,
		    .cost_usd = 0.25,
		    .saved_by_cache_usd = 0.5,
		    .saved_by_merging_usd = 2 } },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ledger_row row = line(f, cases[i].state, cases[i].samples, cases[i].facts);
		struct bulk k;

		begin(f, &k);
		bulk_count_row(&k, &row);
		assert_memory_equal(&k.counts, &cases[i].want, sizeof(k.counts));
		assert_int_equal(k.seq, 1); /* readers of progress are told */
	}
}

static void lines_add_up(void **state)
{
	struct fixture *f = *state;
	struct ledger_row failed, bought, shared;
	struct bulk k;

	begin(f, &k);
	k.counts.total = 300;
	failed = line(f, LEDGER_FAILED, "", NULL);
	for (unsigned i = 0; i < 100; i++)
		bulk_count_row(&k, &failed);
	bought = line(f, LEDGER_DONE, "bb", FACTS);
	for (unsigned i = 0; i < 100; i++)
		bulk_count_row(&k, &bought);
	shared = line(f, LEDGER_DONE, "cD", FACTS);
	for (unsigned i = 0; i < 100; i++)
		bulk_count_row(&k, &shared);
	assert_int_equal(k.counts.total, 300);
	assert_int_equal(k.counts.done, 300);
	assert_int_equal(k.counts.failed, 100);
	assert_int_equal(k.counts.cached, 100);
	assert_int_equal(k.counts.samples, 400);
	assert_int_equal(k.counts.bought, 200);
	assert_int_equal(k.counts.reused, 200);
	assert_int_equal(k.counts.duplicated, 100);
	assert_int_equal(k.counts.attempts, 400);
	assert_int_equal(k.counts.input_tokens, 2000);
	assert_int_equal(k.counts.output_tokens, 4000);
	assert_true(k.counts.cost_usd == 50); /* powers of two: no rounding */
	assert_true(k.counts.saved_by_cache_usd == 100);
	assert_true(k.counts.saved_by_merging_usd == 400);
	assert_int_equal(k.seq, 300);
}

/* ---- as text ---- */

static const struct bulk_counts every = {
	.total = 1,
	.done = 2,
	.failed = 3,
	.cancelled = 4,
	.cached = 5,
	.samples = 6,
	.bought = 7,
	.reused = 8,
	.duplicated = 9,
	.unpriced = 10,
	.attempts = 11,
	.input_tokens = INT64_MAX,
	.output_tokens = 13,
	.cost_usd = 0.1,
	.saved_by_cache_usd = 1e-9,
	.saved_by_merging_usd = 123456789.125,
};

static void facts_are_read_as_they_were_written(void **state)
{
	struct bulk_counts back = { 0 };
	double elapsed = 0;
	char *facts = bulk_count_facts(&every, 86400.5, true, NULL);
	json_t *o = json_loads(facts ? facts : "", 0, NULL);

	(void)state;
	assert_non_null(o);
	assert_null(strchr(facts, '\n'));
	assert_true(json_is_true(json_object_get(o, "buys_again")));
	assert_null(json_object_get(o, "batches"));
	bulk_count_read(facts, &back, &elapsed);
	assert_memory_equal(&back, &every, sizeof(back));
	assert_true(elapsed == 86400.5);
	assert_int_equal(bulk_count_failed(facts), 3 + 4);
	json_decref(o);
	free(facts);
}

static void batches_are_shown_and_left_to_their_owner(void **state)
{
	json_t *batches = json_pack("[{s:s}]", "id", "batch_1"), *o;
	struct buf b = BUF_INIT(1 << 16);
	char *facts = bulk_count_facts(&every, 1, false, batches);

	(void)state;
	o = json_loads(facts, 0, NULL);
	assert_true(json_equal(json_object_get(o, "batches"), batches));
	assert_null(json_object_get(o, "buys_again"));
	json_decref(o);
	free(facts);
	assert_int_equal(bulk_count_usage(&every, "running", 1, batches, &b), 0);
	o = json_loads(buf_str(&b), 0, NULL);
	assert_true(json_equal(json_object_get(o, "batches"), batches));
	json_decref(o);
	buf_done(&b);
	assert_int_equal(batches->refcount, 1);
	json_decref(batches);
}

static void usage_says_what_is_counted(void **state)
{
	static const char *const whole[] = { "total",	     "done",	 "failed",   "cancelled",
					     "cached",	     "samples",	 "bought",   "reused",
					     "duplicated",   "unpriced", "attempts", "input_tokens",
					     "output_tokens" };
	struct buf b = BUF_INIT(1 << 16);
	const char *first = "{\n \"status\": \"done\",\n \"total\": 1,\n";
	json_t *o;

	(void)state;
	assert_int_equal(bulk_count_usage(&every, "done", 2.5, NULL, &b), 0);
	assert_memory_equal(buf_str(&b), first, strlen(first)); /* for those who read it by eye */
	assert_string_equal(buf_str(&b) + b.len - 2, "}\n");
	o = json_loads(buf_str(&b), 0, NULL);
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		const json_t *v = json_object_get(o, whole[i]);

		assert_true(json_is_integer(v));
		if (i != 11)
			assert_int_equal(json_integer_value(v), i + 1);
	}
	assert_true(json_integer_value(json_object_get(o, "input_tokens")) == INT64_MAX);
	assert_true(json_real_value(json_object_get(o, "cost_usd")) == 0.1);
	assert_non_null(strstr(buf_str(&b), "\"cost_usd\": 0.1")); /* not 0.10000000000000001 */
	assert_null(strstr(buf_str(&b), "0.1000"));
	assert_true(json_real_value(json_object_get(o, "elapsed_s")) == 2.5);
	json_decref(o);
	buf_done(&b);
}

static void progress_is_one_line(void **state)
{
	static const struct {
		struct bulk_counts c;
		double elapsed, eta;
		const char *want;
	} cases[] = {
		{ { 0 }, 0, -1, "0/0 failed=0 cached=0 cost_usd=0 elapsed_s=0.0 eta_s=?\n" },
		{ { .total = 10, .done = 4, .failed = 1, .cancelled = 2, .cached = 1 },
		  12.34,
		  18.06,
		  "4/10 failed=3 cached=1 cost_usd=0 elapsed_s=12.3 eta_s=18.1\n" },
		{ { .total = 1, .done = 1, .cost_usd = 0.000000001 },
		  0.04,
		  0,
		  "1/1 failed=0 cached=0 cost_usd=1e-09 elapsed_s=0.0 eta_s=0.0\n" },
		{ { .total = 100000, .done = 99999, .cost_usd = 1234.56789 },
		  100000,
		  -0.5,
		  "99999/100000 failed=0 cached=0 cost_usd=1234.56789 elapsed_s=100000.0 "
		  "eta_s=?\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[BROKER_BULK_LINE_MAX];
		int n = bulk_count_progress(&cases[i].c, cases[i].elapsed, cases[i].eta, out,
					    sizeof(out));

		assert_string_equal(out, cases[i].want);
		assert_int_equal(n, strlen(out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		cmocka_unit_test(damaged_facts_count_nothing),
		cmocka_unit_test(a_line_of_progress_fits_whatever_the_numbers),
		cmocka_unit_test(usage_that_does_not_fit_is_an_error),
		cmocka_unit_test(sums_that_are_no_numbers_spoil_nothing_else),
		T(lines_with_damaged_facts_are_lines),
		T(a_line_counts_by_its_state_and_samples),
		T(lines_add_up),
		cmocka_unit_test(facts_are_read_as_they_were_written),
		cmocka_unit_test(batches_are_shown_and_left_to_their_owner),
		cmocka_unit_test(usage_says_what_is_counted),
		cmocka_unit_test(progress_is_one_line),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
