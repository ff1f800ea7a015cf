/*
 * test_engine_tmp.c - the private directory: made, removed, and swept when its daemon died
 */
#include "sample.h"

#include "store/registry.h"

static int entries(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void *open_tmp(void)
{
	char why[256] = "";
	void *engine = NULL;

	assert_int_equal(engine_tmp.open("tmp:", &engine, why, sizeof(why)), 0);
	assert_string_equal(why, "");
	return engine;
}

static int setup(void **state)
{
	(void)scratch_setup(state);
	return setenv("TMPDIR", *state, 1);
}

static int teardown(void **state)
{
	assert_int_equal(unsetenv("TMPDIR"), 0);
	return scratch_teardown(state);
}

static void refusals(void **state)
{
	static const struct {
		const char *url, *says;
	} bad[] = { { "tmp:/var/tmp", "write disk:/var/tmp" },
		    { "tmp:?max_bytes=1G", "max_bytes comes in a later version" },
		    { "tmp:?what=1", "what" } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char why[256] = "";
		void *engine = NULL;

		assert_true(engine_tmp.open(bad[i].url, &engine, why, sizeof(why)) < 0);
		assert_null(engine);
		assert_non_null(strstr(why, bad[i].says));
	}
	assert_int_equal(entries(*state), 0);
}

static void no_tmpdir(void **state)
{
	AUTO_FREE char *absent = str_printf("%s/absent", (char *)*state);
	char why[256] = "";
	void *engine = NULL;

	assert_int_equal(setenv("TMPDIR", absent, 1), 0);
	assert_int_equal(engine_tmp.open("tmp:", &engine, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "below TMPDIR"));
}

static void removed_at_close(void **state)
{
	struct cache_key k = { { 1 } };
	struct cache_bytes b = { (char *)(uintptr_t) "x", 1 };
	void *engine = open_tmp(), *second = open_tmp();

	assert_int_equal(entries(*state), 2); /* the second has not swept the first */
	assert_int_equal(engine_tmp.put_new(engine, &k, 0, &b, 0, 0), CACHE_OK);
	assert_int_equal(engine_tmp.remove(second, &k, 0, 0), CACHE_MISS);
	engine_tmp.close(engine);
	assert_int_equal(entries(*state), 1);
	engine_tmp.close(second);
	assert_int_equal(entries(*state), 0);
	engine_tmp.close(NULL);
}

static void left_by_a_dead_daemon(void **state)
{
	AUTO_FREE char *other = str_printf("%s/other", (char *)*state);
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct cache_key k = { { 1 } };
		struct cache_bytes b = { (char *)(uintptr_t) "x", 1 };

		_exit(engine_tmp.put_new(open_tmp(), &k, 0, &b, 0, 0)); /* without close */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(entries(*state), 2);
	engine_tmp.close(open_tmp());
	assert_int_equal(entries(*state), 1); /* what is not ours stays */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(refusals), T(no_tmpdir), T(removed_at_close),
					    T(left_by_a_dead_daemon) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
