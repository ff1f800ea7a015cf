/* test_batchjob.c - the batches of a file: shown, forgotten, settled, and what a mount finds of them */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "batchjob_fixture.h"

static bool there(struct batchy *t, const char *name)
{
	return faccessat(t->f.options.jobs_dirfd, name, F_OK, 0) == 0;
}

static void make_file(struct batchy *t, const char *name)
{
	int fd = openat(t->f.options.jobs_dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static bool known(struct batchy *t)
{
	LOCK_SCOPE(&t->f.broker->lock);
	return batchjob_set_locked(t->f.broker, BATCHY_LINES) != NULL;
}

static size_t batches_of(struct batchy *t)
{
	const struct batchjob_set *s;
	size_t n = 0;

	LOCK_SCOPE(&t->f.broker->lock);
	s = batchjob_set_locked(t->f.broker, BATCHY_LINES);
	if (s)
		LIST_EACH(l, &s->batches)
			n++;
	return n;
}

static json_t *show(struct batchy *t)
{
	LOCK_SCOPE(&t->f.broker->lock);
	return batchjob_show_locked(t->f.broker, BATCHY_LINES);
}

/* ---- names and sets ---- */

static void only_one_suffix_is_bought_in_batches(void **state)
{
	static const struct {
		const char *suffix;
		bool is;
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ ".jsonl", false },
		{ "batch.jsonl", false },
		{ ".batch.json", false },
		{ ".batch.jsonl ", false },
		{ ".batch.jsonl", true },
		{ ".BATCH.JSONL", false },
		{ ".batch.jsonl.x", false },
		{ "x.batch.jsonl", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(batchjob_is(cases[i].suffix), cases[i].is);
}

static void a_set_is_made_once(void **state)
{
	struct batchy *t = *state;
	struct broker *b = t->f.broker;
	struct batchjob_set *s, *other;

	assert_false(known(t));
	assert_null(show(t));
	s = batchy_set(t);
	assert_ptr_equal(batchy_set(t), s);
	assert_string_equal(s->root, "\0037");
	other = batchjob_set_make(b, INT64_MAX);
	assert_non_null(other);
	assert_ptr_not_equal(other, s);
	assert_string_equal(other->root, "\0039223372036854775807");
	batchjob_settle(b, INT64_MAX); /* nobody has it */
	batchjob_settle(b, INT64_MAX);
	batchjob_settle(b, BATCHY_LINES); /* its job is there */
	assert_true(known(t));
	lock_take(&b->lock);
	assert_null(batchjob_set_locked(b, INT64_MAX));
	lock_drop(&b->lock);
}

static void what_is_staged_is_known_by_its_path(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = batchy_gather(t, 3), *y = batchy_gather(t, 2);
	struct batchjob_sample s = batchy_sample(2), none = batchy_sample(3);

	assert_true(batchjob_staged(t->f.broker, x->set, s.path));
	assert_false(batchjob_staged(t->f.broker, x->set, none.path));
	assert_false(batchjob_staged(t->f.broker, x->set, ""));
	s = batchy_sample(1);
	batchjob_news(x); /* what it had is looked for in the ledger now */
	assert_int_equal(x->set->news, 1);
	assert_true(batchjob_staged(t->f.broker, y->set, s.path));
	batchjob_forget(y);
	assert_false(batchjob_staged(t->f.broker, x->set, s.path));
	batchjob_forget(x);
}

/* ---- one ---- */

static void files_go_with_their_batch(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = batchy_gather(t, 1);
	char lines[64], map[64];

	(void)snprintf(lines, sizeof(lines), "7.batch/%lld.lines", (long long)x->id);
	(void)snprintf(map, sizeof(map), "7.batch/%lld.map", (long long)x->id);
	assert_true(there(t, lines) && there(t, map));
	batchjob_forget(x);
	assert_false(there(t, lines) || there(t, map));
	assert_true(there(t, "7.batch")); /* the job may gather more */
	assert_true(known(t));
	batchy_disown(t);
	batchjob_settle(t->f.broker, BATCHY_LINES);
	assert_false(known(t));
	batchy_put(t, "behind it", "{}");
	assert_false(there(t, "7.batch"));
}

static void links_are_not_followed(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = batchy_gather(t, 1);
	char map[64];
	int fd;

	(void)snprintf(map, sizeof(map), "7.batch/%lld.map", (long long)x->id);
	assert_int_equal(unlinkat(t->f.options.jobs_dirfd, map, 0), 0);
	assert_int_equal(batchjob_file(x, "map", O_RDONLY), -ENOENT);
	assert_int_equal(symlinkat("/dev/null", t->f.options.jobs_dirfd, map), 0);
	assert_int_equal(batchjob_file(x, "map", O_RDONLY), -ELOOP);
	assert_int_equal(batchjob_file(x, "map", O_WRONLY | O_CREAT | O_TRUNC), -ELOOP);
	fd = batchjob_file(x, "lines", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(close(fd), 0);
	batchjob_forget(x);
}

static void usage_tells_where_each_one_stands(void **state)
{
	static const struct {
		enum batchjob_state state;
		enum batch_state ended;
		const char *word;
	} cases[] = {
		{ BATCHJOB_STAGED, BATCH_WAITING, "staged" },
		{ BATCHJOB_UPLOADED, BATCH_DONE, "staged" },
		{ BATCHJOB_CREATED, BATCH_WAITING, "waiting" },
		{ BATCHJOB_CREATED, BATCH_RUNNING, "running" },
		{ BATCHJOB_CREATED, BATCH_CANCELLING, "cancelling" },
		{ BATCHJOB_ENDED, BATCH_EXPIRED, "expired" },
		{ BATCHJOB_FETCHED, BATCH_FAILED, "failed" },
		{ BATCHJOB_FETCHED, BATCH_CANCELLED, "cancelled" },
	};
	struct batchy *t = *state;
	struct batchjob *x = batchy_gather(t, 2);
	json_t *all = show(t), *one;

	assert_int_equal(json_array_size(all), 0); /* one that is gathered is nobody's yet */
	json_decref(all);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		x->r.state = cases[i].state;
		x->r.ended = cases[i].ended;
		all = show(t);
		one = json_array_get(all, 0);
		assert_string_equal(json_string_value(json_object_get(one, "state")),
				    cases[i].word);
		assert_null(json_object_get(one, "succeeded")); /* nobody told */
		assert_null(json_object_get(one, "failed"));
		assert_null(json_object_get(one, "why"));
		assert_null(json_object_get(one, "trouble"));
		assert_null(json_object_get(one, "last_poll"));
		json_decref(all);
	}
	x->r.succeeded = 0;
	x->r.failed = 2;
	x->at.polled_ns = UINT64_C(1800000000500000000);
	(void)str_copy(x->r.why, sizeof(x->r.why), "a \"why\"");
	(void)err_set(&x->at.trouble, ERR_RATE_LIMIT, "slow down");
	all = show(t);
	one = json_array_get(all, 0);
	assert_int_equal(json_integer_value(json_object_get(one, "requests")), 2);
	assert_int_equal(json_integer_value(json_object_get(one, "succeeded")), 0);
	assert_int_equal(json_integer_value(json_object_get(one, "failed")), 2);
	assert_string_equal(json_string_value(json_object_get(one, "why")), "a \"why\"");
	assert_string_equal(json_string_value(json_object_get(one, "trouble")), "slow down");
	assert_true(json_real_value(json_object_get(one, "last_poll")) > 1800000000.4);
	json_decref(all);
	batchjob_forget(x);
	all = show(t); /* it is told of afterwards */
	assert_int_equal(json_array_size(all), 1);
	json_decref(all);
}

static void of_the_past_there_is_an_end(void **state)
{
	struct batchy *t = *state;
	struct batchjob_set *s = batchy_set(t);
	json_t *all;

	for (unsigned i = 0; i < 1005; i++) {
		struct batchjob *x = batchjob_new(t->f.broker, s, 1000000 + i);

		assert_non_null(x);
		x->r.state = i == 3 ? BATCHJOB_GATHERED : BATCHJOB_FETCHED;
		batchjob_forget(x);
	}
	all = show(t);
	assert_int_equal(json_array_size(all), 1000);
	json_decref(all);
}

static void cancelling_marks_what_still_matters(void **state)
{
	static const struct {
		enum batchjob_state state;
		bool cancel, dirty;
	} cases[] = {
		{ BATCHJOB_GATHERED, false, false }, { BATCHJOB_STAGED, true, true },
		{ BATCHJOB_UPLOADED, true, true },   { BATCHJOB_CREATED, true, true },
		{ BATCHJOB_ENDED, true, false },     { BATCHJOB_FETCHED, true, false },
	};
	enum { N = sizeof(cases) / sizeof(*cases) };
	struct batchy *t = *state;
	struct batchjob *x[N];

	for (size_t i = 0; i < N; i++) {
		x[i] = batchy_gather(t, 1);
		x[i]->r.state = cases[i].state;
	}
	batchjob_cancel(t->f.broker, BATCHY_LINES + 1); /* of another file */
	batchjob_abandon(t->f.broker, BATCHY_LINES);	/* its job is there */
	for (size_t i = 0; i < N; i++)
		assert_false(x[i]->r.cancel);
	batchjob_cancel(t->f.broker, BATCHY_LINES);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(x[i]->r.cancel, cases[i].cancel);
		assert_int_equal(x[i]->at.dirty, cases[i].dirty);
		x[i]->at.dirty = false;
	}
	batchjob_cancel(t->f.broker, BATCHY_LINES); /* once is enough */
	for (size_t i = 0; i < N; i++)
		assert_false(x[i]->at.dirty);
	for (size_t i = 0; i < N; i++)
		batchjob_forget(x[i]);
}

static void a_claim_keeps_a_set_and_its_batches(void **state)
{
	struct batchy *t = *state;
	struct broker *b = t->f.broker;
	struct bulk_claim claim = { .lines = BATCHY_LINES };
	struct batchjob *x = batchy_gather(t, 1);

	x->r.state = BATCHJOB_ENDED;
	lock_take(&b->lock);
	list_append(&b->bulks.claims, &claim.link);
	lock_drop(&b->lock);
	batchy_disown(t);
	batchjob_abandon(b, BATCHY_LINES); /* another content is on its way */
	assert_false(x->r.cancel);
	batchjob_forget(x);
	assert_true(known(t));
	lock_take(&b->lock);
	list_del(&claim.link);
	lock_drop(&b->lock);
	x = batchy_gather(t, 1);
	x->r.state = BATCHJOB_ENDED;
	batchjob_abandon(b, BATCHY_LINES);
	assert_true(x->r.cancel);
	batchjob_forget(x);
	assert_false(known(t));
}

static void rows_go_with_their_set(void **state)
{
	struct batchy *t = *state;
	struct batchjob_sample s = batchy_sample(0);
	struct ledger_row row;

	(void)batchy_set(t);
	batchy_put(t, s.path, "{}");
	assert_int_equal(batchy_state(t, 0), LEDGER_DONE);
	batchy_disown(t);
	batchjob_settle(t->f.broker, BATCHY_LINES);
	assert_false(known(t));
	batchy_put(t, "behind it", "{}"); /* postings are recorded in their order */
	assert_int_equal(batchy_row(t, 0, &row), 0);
}

/* ---- a mount ---- */

static void what_was_not_handed_in_goes_at_the_mount(void **state)
{
	static const char *const strays[] = { "7.batch/3.lines", "7.batch/3.map",
					      "7.batch/12.map" };
	static const char *const others[] = { "7.batch/readme", "7.batch/0.map", "7.batch/-1.map" };
	struct batchy *t = *state;

	assert_int_equal(mkdirat(t->f.options.jobs_dirfd, "7.batch", 0700), 0);
	assert_int_equal(mkdirat(t->f.options.jobs_dirfd, "x.batch", 0700), 0);
	assert_int_equal(mkdirat(t->f.options.jobs_dirfd, "-5.batch", 0700), 0);
	make_file(t, "8.batch"); /* no directory */
	for (size_t i = 0; i < 3; i++) {
		make_file(t, strays[i]);
		make_file(t, others[i]);
	}
	while (ledger_next_id(t->f.ledger) < 20)
		continue;
	batchy_reopen(t);
	assert_false(known(t));
	for (size_t i = 0; i < 3; i++) {
		assert_false(there(t, strays[i]));
		assert_true(there(t, others[i]));
	}
}

static void a_damaged_row_is_left_and_the_others_go_on(void **state)
{
	static const char *const damaged[] = {
		NULL,
		"",
		"{}",
		"{\"state\":\"staged\"}",
		"{\"state\":\"lost\",\"backend\":\"openai\"}",
		"{\"state\":\"staged\",\"backend\":\"openai\",\"at\":{\"requests\":-1}}",
		"{\"state\":\"ended\",\"backend\":\"openai\",\"at\":{\"requests\":9223372036854775807}}",
		"{\"state\":\"created\",\"backend\":\"openai\",\"at\":{\"id\":\"b\",\"requests\":1}}",
	};
	struct batchy *t = *state;

	assert_int_equal(mkdirat(t->f.options.jobs_dirfd, "7.batch", 0700), 0);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
		char path[16];

		(void)snprintf(path, sizeof(path), "~%zu", i + 2); /* the last one has no map */
		batchy_put(t, path, damaged[i]);
	}
	batchy_put(t, "~1",
		   "{\"state\":\"fetched\",\"backend\":\"openai\",\"at\":{\"requests\":0}}");
	while (ledger_next_id(t->f.ledger) < 20)
		continue;
	batchy_reopen(t);
	assert_true(batchy_await_none(t)); /* ~1 had nothing to be removed at its provider */
	assert_int_equal(batches_of(t), 0);
	assert_int_equal(wire_requests(t->wire), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, batchy_setup, batchy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_one_suffix_is_bought_in_batches),
		TEST(a_set_is_made_once),
		TEST(what_is_staged_is_known_by_its_path),
		TEST(files_go_with_their_batch),
		TEST(links_are_not_followed),
		TEST(usage_tells_where_each_one_stands),
		TEST(of_the_past_there_is_an_end),
		TEST(cancelling_marks_what_still_matters),
		TEST(a_claim_keeps_a_set_and_its_batches),
		TEST(rows_go_with_their_set),
		TEST(what_was_not_handed_in_goes_at_the_mount),
		TEST(a_damaged_row_is_left_and_the_others_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
