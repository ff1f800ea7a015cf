/* test_batchjob_land.c - what a batch brought: answers, errors, nothing, nonsense; each sample once */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "batchjob_fixture.h"

#define ANSWER(id, text, finish)                                                              \
	"{\"custom_id\":\"" id "\",\"response\":{\"status_code\":200,\"body\":{\"id\":\"c\"," \
	"\"object\":\"chat.completion\",\"model\":\"m1\",\"choices\":[{\"index\":0,"          \
	"\"message\":{\"role\":\"assistant\",\"content\":\"" text                             \
	"\"},\"finish_reason\":\"" finish                                                     \
	"\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,"                        \
	"\"total_tokens\":5}}},\"error\":null}"
#define STATUS(id, status, type)                                              \
	"{\"custom_id\":\"" id "\",\"response\":{\"status_code\":" status     \
	",\"body\":{\"error\":{\"message\":\"they said no\",\"type\":\"" type \
	"\"}}},\"error\":null}"
#define NEVER(id, code)                                                           \
	"{\"custom_id\":\"" id "\",\"response\":null,\"error\":{\"code\":\"" code \
	"\",\"message\":\"not run\"}}"

static void line(struct batchjob *x, const char *text)
{
	batchjob_land_line(x, text, strlen(text));
}

static struct batchjob *opened(struct batchy *t, unsigned n)
{
	struct batchjob *x = batchy_gather(t, n);

	assert_int_equal(batchjob_land_open(x), 0);
	return x;
}

static bool says(const struct ledger_row *row, const char *words)
{
	return row->error && strstr(row->error, words);
}

/* ---- the map ---- */

static void write_map(const struct batchjob *x, const char *text)
{
	int fd = batchjob_file(x, "map", O_WRONLY | O_CREAT | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static void a_map_that_is_short_or_missing_is_said(void **state)
{
	struct batchjob *x = batchy_gather(*state, 3);

	x->r.job_at.requests = 4;
	assert_int_equal(batchjob_land_open(x), -EBADMSG);
	assert_int_equal(x->in.map, -1);
	assert_null(x->in.offsets);
	write_map(x, "");
	assert_int_equal(batchjob_land_open(x), -EBADMSG);
	write_map(x, "\n\n\n\n");
	assert_int_equal(batchjob_land_open(x), -EBADMSG);
	x->r.job_at.requests = 0; /* nothing to be found: nothing is missing */
	assert_int_equal(batchjob_land_open(x), 0);
	assert_int_equal(batchjob_land_open(x), 0); /* once more, from the beginning */
	batchjob_land_close(x);
	batchjob_land_close(x);
	x->r.job_at.requests = 3;
	batchjob_forget(x);
	x = batchy_gather(*state, 1);
	assert_int_equal(unlinkat(((struct batchy *)*state)->f.options.jobs_dirfd, "7.batch", 0),
			 -1);
	x->id += 1000; /* its files have another name */
	assert_int_equal(batchjob_land_open(x), -ENOENT);
	x->id -= 1000;
	batchjob_forget(x);
}

static void a_damaged_line_of_the_map_costs_its_sample_only(void **state)
{
	struct batchy *t = *state;
	struct batchjob_sample s[2] = { batchy_sample(0), batchy_sample(2) };
	struct buf map = BUF_INIT(1 << 16);
	struct batchjob *x = batchy_gather(t, 3);

	assert_int_equal(batchjob_row_sample_write(&s[0], &map), 0);
	assert_int_equal(buf_adds(&map, "{\"key\":\"not hex\",\"name\":\"x\"}\t{}\n"), 0);
	assert_int_equal(batchjob_row_sample_write(&s[1], &map), 0);
	write_map(x, buf_str(&map));
	buf_done(&map);
	assert_int_equal(batchjob_land_open(x), 0);
	line(x, ANSWER("tag-0", "a", "stop"));
	line(x, ANSWER("tag-1", "b", "stop"));
	assert_int_equal(batchjob_land_settled(x), -EINVAL);
	assert_int_equal(batchjob_land_settled(x), 0); /* said once */
	line(x, ANSWER("tag-2", "c", "stop"));
	batchjob_land_rest(x, NULL);
	assert_int_equal(batchjob_land_settled(x), 0);
	assert_int_equal(batchy_state(t, 0), LEDGER_DONE);
	assert_int_equal(batchy_state(t, 1), 0);
	assert_int_equal(batchy_state(t, 2), LEDGER_DONE);
	batchjob_forget(x);
}

static void a_request_that_is_no_json_any_more_is_not_kept(void **state)
{
	struct batchy *t = *state;
	struct batchjob_sample s = batchy_sample(0);
	struct buf map = BUF_INIT(1 << 16);
	struct batchjob *x = batchy_gather(t, 1);

	s.canon = "{\"endpoint\":";
	s.canon_len = strlen(s.canon);
	assert_int_equal(batchjob_row_sample_write(&s, &map), 0);
	write_map(x, buf_str(&map));
	buf_done(&map);
	assert_int_equal(batchjob_land_open(x), 0);
	line(x, ANSWER("tag-0", "a", "stop"));
	assert_int_equal(batchjob_land_settled(x), -EINVAL);
	assert_int_equal(batchy_state(t, 0), 0);
	batchjob_forget(x);
}

/* ---- lines ---- */

static void lines_that_are_none_of_ours_change_nothing(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"null",
		"[]",
		"{}",
		"7",
		"{\"custom_id\":",
		"{\"custom_id\":\"tag-0\"}",
		"{\"custom_id\":7,\"response\":{}}",
		"\xff\xfe",
		ANSWER("gat-0", "a", "stop"),
		ANSWER("tag-2", "beyond the last", "stop"),
		ANSWER("tag--1", "a", "stop"),
		ANSWER("tag-", "a", "stop"),
		ANSWER("tag-99999999999999999999", "a", "stop"),
		ANSWER("tag-0x0", "a", "stop"),
		ANSWER("tag", "a", "stop"),
		ANSWER("", "a", "stop"),
	};
	struct batchy *t = *state;
	struct batchjob *x = opened(t, 2);

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		line(x, lines[i]);
		assert_int_equal(batchjob_land_settled(x), 0);
	}
	assert_int_equal(batchy_state(t, 0), 0);
	assert_int_equal(batchy_state(t, 1), 0);
	line(x, ANSWER("tag-1", "after all that", "stop"));
	assert_int_equal(batchjob_land_settled(x), 0);
	assert_int_equal(batchy_state(t, 1), LEDGER_DONE);
	batchjob_forget(x);
}

static void each_kind_of_result_is_a_row(void **state)
{
	static const struct {
		const char *line;
		enum ledger_state state;
		unsigned tries; /* of one that may go into another batch */
		const char *error;
	} cases[] = {
		{ ANSWER("tag-0", "a", "stop"), LEDGER_DONE, 0, NULL },
		{ ANSWER("tag-1", "b", "length"), LEDGER_DONE, 0, NULL },
		{ ANSWER("tag-2", "", "stop"), LEDGER_DONE, 0, NULL },
		{ STATUS("tag-3", "400", "invalid_request_error"), LEDGER_FAILED, 0, "EINVAL" },
		{ STATUS("tag-4", "404", "not_found"), LEDGER_FAILED, 0, "ENXIO" },
		{ STATUS("tag-5", "429", "rate_limit"), LEDGER_CANCELLED, 1, "they said no" },
		{ STATUS("tag-6", "500", "server_error"), LEDGER_CANCELLED, 1, "they said no" },
		{ NEVER("tag-7", "batch_expired"), LEDGER_CANCELLED, 1, "ETIMEDOUT" },
		{ NEVER("tag-8", "batch_cancelled"), LEDGER_CANCELLED, 1, "ECANCELED" },
	};
	struct batchy *t = *state;
	unsigned n = sizeof(cases) / sizeof(*cases);
	struct batchjob *x = opened(t, n);

	for (unsigned i = n; i-- > 0;) /* in whatever order */
		line(x, cases[i].line);
	assert_int_equal(batchjob_land_settled(x), 0);
	for (unsigned i = 0; i < n; i++) {
		struct ledger_row row;

		assert_int_equal(batchy_row(t, i, &row), cases[i].state);
		assert_int_equal(batchjob_land_tries(&row), cases[i].tries);
		assert_int_equal(bulk_line_member(&row, "batch"), x->id);
		assert_int_equal(bulk_line_member(&row, "job"), BATCHY_JOB);
		assert_int_equal(row.has_key, cases[i].state == LEDGER_DONE);
		if (cases[i].error && !says(&row, cases[i].error))
			fail_msg("%s\n%s", cases[i].line, row.error ? row.error : "no error");
		ledger_row_done(&row);
	}
	batchjob_forget(x);
}

static void an_answer_has_its_object_and_is_counted(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = opened(t, 1);
	struct batchjob_sample s = batchy_sample(0);
	struct ledger_handout *h = NULL;
	struct ledger_row row;
	struct buf bytes = BUF_INIT(1 << 20);
	size_t n = 0;

	line(x, ANSWER("tag-0", "the words", "stop"));
	assert_int_equal(batchjob_land_settled(x), 0);
	assert_int_equal(batchy_row(t, 0, &row), LEDGER_DONE);
	assert_string_equal(row.facts, "{\"kept\":true}");
	assert_non_null(strstr(row.envelope, "\"name\":\"line-0\""));
	assert_int_equal(ledger_handouts(t->f.ledger, row.id, &h, &n), 0);
	assert_int_equal(n, 1);
	assert_true(key_equal(&h[0].key, &s.key));
	assert_int_equal(h[0].index, 0);
	assert_int_equal(answers_read(t->f.answers,
				      &(struct answers_id){ h[0].key, h[0].index, h[0].variant },
				      &bytes),
			 0);
	assert_non_null(strstr(buf_str(&bytes), "the words"));
	assert_int_equal(fixture_counter(&t->f, LEDGER_C_TOKENS_INPUT), 3);
	assert_int_equal(fixture_counter(&t->f, LEDGER_C_TOKENS_OUTPUT), 2);
	assert_int_equal(fixture_counter(&t->f, LEDGER_C_CALLS), 1);
	buf_done(&bytes);
	free(h);
	ledger_row_done(&row);
	batchjob_forget(x);
}

static void what_may_not_be_stored_is_not_kept(void **state)
{
	static const struct {
		enum request_cache mode;
		bool user_max;
		const char *finish;
		bool kept;
	} cases[] = {
		{ REQUEST_CACHE_USE, false, "length", false },
		{ REQUEST_CACHE_USE, true, "length", true },
		{ REQUEST_CACHE_BYPASS, true, "length", false },
		{ REQUEST_CACHE_BYPASS, false, "stop", false },
		{ REQUEST_CACHE_REFRESH, false, "stop", true },
		{ REQUEST_CACHE_USE, false, "content_filter", false },
	};
	struct batchy *t = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct batchjob *x = batchy_gather(t, 1);
		struct batchjob_sample s = batchy_sample(i);
		struct buf map = BUF_INIT(1 << 16), text = BUF_INIT(1 << 16);
		struct ledger_row row;

		s.mode = cases[i].mode;
		s.user_max_tokens = cases[i].user_max;
		batchjob_row_path(&s);
		assert_int_equal(batchjob_row_sample_write(&s, &map), 0);
		write_map(x, buf_str(&map));
		assert_int_equal(batchjob_land_open(x), 0);
		assert_int_equal(
			buf_addf(&text,
				 "{\"custom_id\":\"tag-0\",\"response\":{\"status_code\":200,"
				 "\"body\":{\"choices\":[{\"index\":0,\"message\":{\"content\":"
				 "\"w\"},\"finish_reason\":\"%s\"}]}}}",
				 cases[i].finish),
			0);
		line(x, buf_str(&text));
		assert_int_equal(batchjob_land_settled(x), 0);
		assert_int_equal(ledger_find(t->f.ledger, x->set->root, s.path, &row), 0);
		assert_int_equal(row.cache_mode, (int)cases[i].mode);
		if ((strstr(row.facts ? row.facts : "", "\"kept\":true") != NULL) != cases[i].kept)
			fail_msg("case %u: facts %s", i, row.facts ? row.facts : "none");
		ledger_row_done(&row);
		buf_done(&map);
		buf_done(&text);
		batchjob_forget(x);
	}
}

/* ---- once ---- */

static void the_first_result_of_a_sample_stands(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = opened(t, 2);
	struct ledger_row row;
	int64_t id;

	line(x, ANSWER("tag-0", "first", "stop"));
	line(x, STATUS("tag-0", "400", "second"));
	line(x, NEVER("tag-1", "batch_expired"));
	line(x, ANSWER("tag-1", "second", "stop"));
	assert_int_equal(batchjob_land_settled(x), 0);
	assert_int_equal(batchy_row(t, 0, &row), LEDGER_DONE);
	id = row.id;
	ledger_row_done(&row);
	/* the download begins anew, as after a crash: its reader knows nothing of the first time */
	assert_int_equal(batchjob_land_open(x), 0);
	line(x, ANSWER("tag-0", "first", "stop"));
	line(x, NEVER("tag-1", "batch_expired"));
	batchjob_land_rest(x, NULL);
	assert_int_equal(batchjob_land_settled(x), 0);
	assert_int_equal(batchy_row(t, 0, &row), LEDGER_DONE);
	assert_int_equal(row.id, id);
	ledger_row_done(&row);
	assert_int_equal(batchy_row(t, 1, &row), LEDGER_CANCELLED);
	assert_int_equal(batchjob_land_tries(&row), 1);
	ledger_row_done(&row);
	assert_int_equal(fixture_counter(&t->f, LEDGER_C_CALLS), 1);
	batchjob_forget(x);
}

static void tries_add_up_within_one_content(void **state)
{
	struct batchy *t = *state;
	struct ledger_row row;

	for (unsigned i = 0; i < 5; i++) {
		struct batchjob *x = batchy_gather(t, 1);

		x->r.job = i < 3 ? BATCHY_JOB : BATCHY_JOB + 1; /* then the file was written anew */
		assert_int_equal(batchjob_land_open(x), 0);
		line(x, NEVER("tag-0", "batch_expired"));
		assert_int_equal(batchjob_land_settled(x), 0);
		assert_int_equal(batchy_row(t, 0, &row), LEDGER_CANCELLED);
		assert_int_equal(batchjob_land_tries(&row), i < 3 ? i + 1 : i - 2);
		ledger_row_done(&row);
		batchjob_forget(x);
	}
	row = (struct ledger_row){ .state = LEDGER_FAILED,
				   .envelope = (char *)(uintptr_t) "{\"tries\":3}" };
	assert_int_equal(batchjob_land_tries(&row), 0);
	row.state = LEDGER_CANCELLED;
	assert_int_equal(batchjob_land_tries(&row), 3);
	row.envelope = (char *)(uintptr_t) "{\"tries\"";
	assert_int_equal(batchjob_land_tries(&row), 0);
	row.envelope = NULL;
	assert_int_equal(batchjob_land_tries(&row), 0);
}

/* ---- those without a line ---- */

static void the_rest_is_told_how_the_batch_ended(void **state)
{
	static const struct {
		enum batch_state ended;
		const char *why, *name, *words;
	} cases[] = {
		{ BATCH_EXPIRED, "", "ETIMEDOUT", "expired at openai" },
		{ BATCH_FAILED, "bad file", "EREMOTEIO", "failed at openai: bad file" },
		{ BATCH_FAILED, "", "EREMOTEIO", "no reason given" },
		{ BATCH_CANCELLED, "", "ECANCELED", "without an answer" },
		{ BATCH_DONE, "", "ECANCELED", "without an answer" },
	};
	struct batchy *t = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct batchjob *x = opened(t, 2);
		struct ledger_row row;

		x->r.ended = cases[i].ended;
		(void)str_copy(x->r.why, sizeof(x->r.why), cases[i].why);
		(void)str_copy(x->r.job_at.id, BATCH_NAME_MAX, "batch_9");
		line(x, ANSWER("tag-1", "it has one", "stop"));
		batchjob_land_rest(x, NULL);
		assert_int_equal(batchjob_land_settled(x), 0);
		assert_int_equal(batchy_row(t, 0, &row), LEDGER_CANCELLED);
		assert_int_equal(batchjob_land_tries(&row), i + 1);
		if (!says(&row, cases[i].name) || !says(&row, cases[i].words) ||
		    !says(&row, "batch_9") || !says(&row, "retry"))
			fail_msg("case %u: %s", i, row.error);
		ledger_row_done(&row);
		assert_int_equal(batchy_state(t, 1), LEDGER_DONE);
		batchjob_forget(x);
	}
}

static void what_was_never_taken_fails_for_good(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = opened(t, 3);
	struct err e;

	(void)err_set(&e, ERR_KEY_REJECTED, "the key was rejected; give another");
	batchjob_land_rest(x, &e);
	assert_int_equal(batchjob_land_settled(x), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct ledger_row row;

		assert_int_equal(batchy_row(t, i, &row), LEDGER_FAILED);
		assert_true(says(&row, "EKEYREJECTED") && says(&row, "give another"));
		ledger_row_done(&row);
	}
	batchjob_forget(x);
}

static void without_its_backend_nothing_lands(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = batchy_gather(t, 1);

	free(x->r.backend);
	x->r.backend = strdup("gone");
	assert_int_equal(batchjob_land_open(x), 0);
	assert_null(x->in.reader);
	line(x, ANSWER("tag-0", "a", "stop"));
	assert_int_equal(batchjob_land_settled(x), -ENXIO);
	assert_int_equal(batchy_state(t, 0), 0);
	batchjob_forget(x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, batchy_setup, batchy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_map_that_is_short_or_missing_is_said),
		TEST(a_damaged_line_of_the_map_costs_its_sample_only),
		TEST(a_request_that_is_no_json_any_more_is_not_kept),
		TEST(lines_that_are_none_of_ours_change_nothing),
		TEST(each_kind_of_result_is_a_row),
		TEST(an_answer_has_its_object_and_is_counted),
		TEST(what_may_not_be_stored_is_not_kept),
		TEST(the_first_result_of_a_sample_stands),
		TEST(tries_add_up_within_one_content),
		TEST(the_rest_is_told_how_the_batch_ended),
		TEST(what_was_never_taken_fails_for_good),
		TEST(without_its_backend_nothing_lands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
