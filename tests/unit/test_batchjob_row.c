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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(a_record_comes_back),
		cmocka_unit_test(a_sample_comes_back),
		cmocka_unit_test(past_the_cache_each_line_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
