/*
 * test_engine_memory.c - what the contract suite (test_engines.c) does not ask of every engine
 */
#include "sample.h"

#include "store/registry.h"

static void nothing_behind_the_colon(void **state)
{
	char why[128] = "";
	void *engine = NULL;

	(void)state;
	assert_int_equal(engine_memory.open("memory:x", &engine, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "colon"));
	assert_null(engine);
	engine_memory.close(NULL);
}

static void engines_are_apart_and_counted(void **state)
{
	struct cache_bytes b = { (char *)(uintptr_t) "12345", 5 };
	struct cache_key k = { { 7 } };
	struct cache_stats st;
	char why[128];
	void *a, *c;

	(void)state;
	assert_int_equal(engine_memory.open("memory:", &a, why, sizeof(why)), 0);
	assert_int_equal(engine_memory.open("memory:?ttl=5", &c, why, sizeof(why)), 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(engine_memory.put_new(a, &k, i, &b, 0, 0), CACHE_OK);
	assert_int_equal(engine_memory.stats(a, &st), 0);
	assert_int_equal(st.objects, 100);
	assert_int_equal(st.bytes, 500);
	assert_int_equal(engine_memory.stats(c, &st), 0);
	assert_int_equal(st.objects, 0);
	engine_memory.close(a);
	engine_memory.close(c);
}

/* The caller's bytes are its own again after the call. */
static void bytes_are_copied(void **state)
{
	char text[] = "mine";
	struct cache_bytes b = { text, 4 }, out;
	struct cache_key k = { { 7 } };
	char why[128];
	void *a;

	(void)state;
	assert_int_equal(engine_memory.open("memory:", &a, why, sizeof(why)), 0);
	assert_int_equal(engine_memory.put_new(a, &k, 0, &b, 0, 0), CACHE_OK);
	text[0] = 'X';
	assert_int_equal(engine_memory.get(a, &k, 0, 0, 0, &out), CACHE_OK);
	assert_memory_equal(out.data, "mine", 4);
	free(out.data);
	engine_memory.close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_behind_the_colon),
					    cmocka_unit_test(engines_are_apart_and_counted),
					    cmocka_unit_test(bytes_are_copied) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
