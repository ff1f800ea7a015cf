/* what is recorded of a batch and its samples is read back as it was */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "jobs/batchjob.h"

static void garbage_is_refused(void **state)
{
	static const char *const texts[] = { "",
					     "{}",
					     "[]",
					     "{\"state\":\"staged\"}",
					     "{\"state\":\"nonsense\",\"backend\":\"a\"}",
					     "{\"state\":\"staged\",\"backend\":7}",
					     "{\"state\"" };
	static const char *const samples[] = { "",
					       "{}",
					       "{}\t{}",
					       "\t{}",
					       "{\"key\":\"12\",\"name\":\"a\"}\t{}",
					       "{\"key\":7,\"name\":\"a\"}\t{}" };
	struct batchjob_record r;
	struct batchjob_sample s;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(batchjob_row_read(texts[i], &r), -EINVAL);
	assert_int_equal(batchjob_row_read(NULL, &r), -EINVAL);
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		assert_int_equal(batchjob_row_sample_read(samples[i], strlen(samples[i]), &s),
				 -EINVAL);
}

static void a_record_comes_back(void **state)
{
	struct batchjob_record r = {
		.job = 77,
		.backend = (char *)(uintptr_t) "openai",
		.creating = true,
		.job_at = { .group = { "/v1/chat/completions", "small", "a-header: 1" },
			    .tag = "0123456789abcdef",
			    .requests = 50000,
			    .begun_real_ns = 1795301022310280273,
			    .input = "file-1",
			    .strays = true,
			    .id = "batch_2",
			    .output = { "file-out", "file-err" } },
		.ended = BATCH_EXPIRED,
		.total = 50000,
		.succeeded = -1,
		.failed = 3,
		.why = "a \"reason\" \n with \xc3\xa4",
	};

	(void)state;
	for (int s = BATCHJOB_STAGED; s < BATCHJOB_STATES; s++) {
		struct batchjob_record got;
		char *text;

		r.state = (enum batchjob_state)s;
		r.cancel = s % 2;
		text = batchjob_row_write(&r);
		assert_non_null(text);
		assert_int_equal(batchjob_row_read(text, &got), 0);
		assert_int_equal(got.state, r.state);
		assert_int_equal(got.job, 77);
		assert_string_equal(got.backend, "openai");
		assert_true(got.creating);
		assert_int_equal(got.cancel, r.cancel);
		assert_memory_equal(&got.job_at, &r.job_at, sizeof(r.job_at));
		assert_int_equal(got.ended, BATCH_EXPIRED);
		assert_int_equal(got.total, 50000);
		assert_int_equal(got.succeeded, -1);
		assert_int_equal(got.failed, 3);
		assert_string_equal(got.why, r.why);
		free(got.backend);
		free(text);
	}
}

static void a_sample_comes_back(void **state)
{
	static const char canon[] = "{\"messages\":[{\"content\":\"a\\tb\",\"role\":\"user\"}]}";
	struct batchjob_sample s = { .index = 4000000000u,
				     .mode = REQUEST_CACHE_USE,
				     .ttl_s = 2.5,
				     .user_max_tokens = true,
				     .name = (char *)(uintptr_t) "a b\t%2F\xc3\xa4",
				     .canon = canon,
				     .canon_len = strlen(canon) };
	struct batchjob_sample got;
	struct buf text = BUF_INIT(1 << 16);

	(void)state;
	assert_int_equal(key_of("x", 1, &s.key), 0);
	batchjob_row_path(&s);
	assert_int_equal(batchjob_row_sample_write(&s, &text), 0);
	assert_int_equal(strcspn(text.data, "\n"), text.len - 1);
	assert_int_equal(batchjob_row_sample_read(text.data, text.len - 1, &got), 0);
	assert_true(key_equal(&got.key, &s.key));
	assert_int_equal(got.index, s.index);
	assert_true(got.ttl_s > 2.4 && got.ttl_s < 2.6);
	assert_true(got.user_max_tokens);
	assert_string_equal(got.name, s.name);
	assert_int_equal(got.canon_len, s.canon_len);
	assert_memory_equal(got.canon, canon, s.canon_len);
	assert_string_equal(got.path, s.path);
	free(got.name);
	buf_done(&text);
}

static void past_the_cache_each_line_has_its_own(void **state)
{
	struct batchjob_sample a = { .mode = REQUEST_CACHE_USE, .name = (char *)(uintptr_t) "a" };
	struct batchjob_sample b = { .mode = REQUEST_CACHE_USE, .name = (char *)(uintptr_t) "b" };

	(void)state;
	batchjob_row_path(&a);
	batchjob_row_path(&b);
	assert_string_equal(a.path, b.path);
	a.mode = b.mode = REQUEST_CACHE_BYPASS;
	batchjob_row_path(&a);
	batchjob_row_path(&b);
	assert_string_not_equal(a.path, b.path);
	b.index = 1;
	b.mode = REQUEST_CACHE_USE;
	batchjob_row_path(&b);
	assert_string_not_equal(a.path, b.path);
}

#define ROW(more) "{\"state\":\"created\",\"backend\":\"a\"" more "}"

/* What a damaged database may say: a number that would size an array, or stand beside a table. */
static void numbers_out_of_bounds_are_refused(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{ ROW(""), 0 },
		{ ROW(",\"at\":7,\"ended\":\"x\""), 0 }, /* not there, as good as 0 */
		{ ROW(",\"at\":{\"requests\":100000000}"), 0 },
		{ ROW(",\"at\":{\"requests\":100000001}"), -EINVAL },
		{ ROW(",\"at\":{\"requests\":-1}"), -EINVAL },
		{ ROW(",\"at\":{\"requests\":9223372036854775807}"), -EINVAL },
		{ ROW(",\"at\":{\"requests\":18446744073709551615}"), -EINVAL },
		{ ROW(",\"ended\":6"), 0 },
		{ ROW(",\"ended\":7"), -EINVAL },
		{ ROW(",\"ended\":-1"), -EINVAL },
		{ "{\"state\":\"gathered\",\"backend\":\"a\"}", -EINVAL },
		{ "{\"state\":\"Created\",\"backend\":\"a\"}", -EINVAL },
		{ "{\"state\":null,\"backend\":\"a\"}", -EINVAL },
		{ ROW("") ROW(""), -EINVAL },
		{ ROW(",\"why\":\"\\u0000\""), -EINVAL },
		{ ROW(",\"why\":\"\xff\""), -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct batchjob_record r;
		int got = batchjob_row_read(cases[i].text, &r);

		if (got != cases[i].result)
			fail_msg("%s: %d", cases[i].text, got);
		if (got < 0)
			assert_null(r.backend);
		free(r.backend);
	}
}

static void samples_out_of_bounds_are_refused(void **state)
{
	static const struct {
		const char *index, *mode, *name;
		int result;
	} cases[] = {
		{ "0", "0", "\"a\"", 0 },
		{ "4294967295", "3", "\"\"", 0 },
		{ "4294967296", "0", "\"a\"", -EINVAL },
		{ "-1", "0", "\"a\"", -EINVAL },
		{ "0", "4", "\"a\"", -EINVAL },
		{ "0", "-1", "\"a\"", -EINVAL },
		{ "0", "0", "null", -EINVAL },
		{ "0", "0", "7", -EINVAL },
		{ "0", "0", "\"a", -EINVAL },
		{ "1e400", "0", "\"a\"", -EINVAL },
	};
	struct key k;
	char hex[KEY_HEX + 1];

	(void)state;
	assert_int_equal(key_of("x", 1, &k), 0);
	key_hex(&k, hex);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf text = BUF_INIT(1 << 12);
		struct batchjob_sample s;
		int got;

		assert_int_equal(buf_addf(&text,
					  "{\"key\":\"%s\",\"index\":%s,\"mode\":%s,\"name\":%s}\t",
					  hex, cases[i].index, cases[i].mode, cases[i].name),
				 0);
		got = batchjob_row_sample_read(text.data, text.len, &s);
		if (got != cases[i].result)
			fail_msg("%s: %d", buf_str(&text), got);
		if (got == 0) {
			assert_int_equal(s.canon_len,
					 0); /* an empty request is its reader's affair */
			assert_true(strlen(s.path) < BATCHJOB_PATH_MAX);
			/* every beginning of it is refused, too */
			for (size_t n = 0; n < text.len; n++) {
				free(s.name);
				assert_int_equal(batchjob_row_sample_read(text.data, n, &s),
						 -EINVAL);
			}
		}
		free(s.name);
		buf_done(&text);
	}
}

static void a_cut_record_is_refused(void **state)
{
	struct batchjob_record r = { .state = BATCHJOB_UPLOADED,
				     .backend = (char *)(uintptr_t) "a",
				     .total = -1 };
	char *text = batchjob_row_write(&r);

	(void)state;
	assert_non_null(text);
	for (size_t n = strlen(text); n-- > 0;) {
		text[n] = '\0';
		assert_int_equal(batchjob_row_read(text, &r), -EINVAL);
	}
	free(text);
}

static void names_too_long_for_a_record_are_cut(void **state)
{
	struct buf text = BUF_INIT(1 << 16);
	struct batchjob_record r;

	(void)state;
	assert_int_equal(buf_adds(&text, "{\"state\":\"staged\",\"backend\":\"a\",\"why\":\""), 0);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(buf_addc(&text, 'w'), 0);
	assert_int_equal(buf_adds(&text, "\",\"at\":{\"tag\":\""), 0);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(buf_addc(&text, 't'), 0);
	assert_int_equal(buf_adds(&text, "\"}}"), 0);
	assert_int_equal(batchjob_row_read(buf_str(&text), &r), 0);
	assert_true(strlen(r.why) < sizeof(r.why));
	assert_true(strlen(r.job_at.tag) < BATCH_TAG_MAX);
	free(r.backend);
	buf_done(&text);
}

static void a_map_that_finds_no_room_is_not_written(void **state)
{
	struct batchjob_sample s = { .name = (char *)(uintptr_t) "a",
				     .canon = "{}",
				     .canon_len = 2 };
	struct batchjob_sample bad = { .name = (char *)(uintptr_t) "\xff", .canon = "{}" };

	struct buf whole = BUF_INIT(1 << 12);

	(void)state;
	assert_int_equal(batchjob_row_sample_write(&s, &whole), 0);
	for (size_t max = 0; max < whole.len; max++) {
		struct buf out = BUF_INIT(max);

		assert_true(batchjob_row_sample_write(&s, &out) < 0);
		buf_done(&out);
	}
	whole.len = 0;
	assert_true(batchjob_row_sample_write(&bad, &whole) < 0); /* names are UTF-8 */
	assert_int_equal(whole.len, 0);
	buf_done(&whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(a_record_comes_back),
		cmocka_unit_test(a_sample_comes_back),
		cmocka_unit_test(past_the_cache_each_line_has_its_own),
		cmocka_unit_test(numbers_out_of_bounds_are_refused),
		cmocka_unit_test(samples_out_of_bounds_are_refused),
		cmocka_unit_test(a_cut_record_is_refused),
		cmocka_unit_test(names_too_long_for_a_record_are_cut),
		cmocka_unit_test(a_map_that_finds_no_room_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
