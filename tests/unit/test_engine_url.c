/*
 * test_engine_url.c - URLs of engines in their parts, and which engine they mean
 */
#include "sample.h"

#include "store/engine_url.h"
#include "store/registry.h"

static void refused(void **state)
{
	static const char *const bad[] = { "",		"disk",		  ":",
					   ":x",	"/var/cache",	  "disk:x?ttl",
					   "disk:x?=1", "disk:x?a=1&a=2", "disk:x?a=1&b" };
	AUTO_BUF struct buf many = BUF_INIT(1000);
	struct engine_url u = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(engine_url_parse(bad[i], &u, &e), -EINVAL);
		assert_true(*e.message);
		assert_null(u.text);
	}
	assert_int_equal(buf_adds(&many, "disk:x?"), 0);
	for (int i = 0; i <= ENGINE_URL_OPTIONS; i++)
		assert_int_equal(buf_addf(&many, "&o%d=%d", i, i), 0);
	assert_int_equal(engine_url_parse(many.data, &u, NULL), -EINVAL);
	engine_url_done(&u);
	engine_url_done(NULL);
}

static void parts(void **state)
{
	struct engine_url u;
	struct err e = { 0 };
	uint64_t v = 7;
	static const char *const known[] = { "ttl", "sync", NULL };

	(void)state;
	assert_int_equal(engine_url_parse("disk:/a b/%3f:c?ttl=60&sync=&word=a=b", &u, &e), 0);
	assert_string_equal(u.scheme, "disk");
	assert_string_equal(u.path, "/a b/%3f:c");
	assert_string_equal(engine_url_get(&u, "sync"), "");
	assert_string_equal(engine_url_get(&u, "word"), "a=b");
	assert_null(engine_url_get(&u, "absent"));
	assert_int_equal(engine_url_u64(&u, "absent", &v, &e), 0);
	assert_int_equal(v, 7);
	assert_int_equal(engine_url_u64(&u, "ttl", &v, &e), 0);
	assert_int_equal(v, 60);
	assert_int_equal(engine_url_u64(&u, "word", &v, &e), -EINVAL);
	assert_non_null(strstr(e.message, "word=a=b"));
	assert_int_equal(engine_url_known(&u, known, &e), -EINVAL);
	assert_non_null(strstr(e.message, "word"));
	engine_url_done(&u);
	assert_int_equal(engine_url_parse("memory:", &u, NULL), 0);
	assert_string_equal(u.path, "");
	assert_int_equal(u.n, 0);
	assert_int_equal(engine_url_known(&u, known, NULL), 0);
	engine_url_done(&u);
	assert_int_equal(engine_url_parse("disk:d?", &u, NULL), 0);
	assert_string_equal(u.path, "d");
	engine_url_done(&u);
}

static void engines(void **state)
{
	static const char *const later[] = { "redis", "rediss", "s3", "plugin" };
	const struct cache_engine *t = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(registry_find("dsik", &t, &e), -EINVAL);
	assert_non_null(strstr(e.message, "disk, tmp, memory"));
	assert_null(t);
	for (size_t i = 0; i < ARRAY_LEN(later); i++) {
		assert_int_equal(registry_find(later[i], &t, &e), -EOPNOTSUPP);
		assert_non_null(strstr(e.message, later[i]));
		assert_non_null(strstr(e.message, "later version"));
	}
	assert_int_equal(registry_find("tmp", &t, &e), 0);
	assert_ptr_equal(t, &engine_tmp);
	assert_int_equal(registry_find("disk", &t, NULL), 0);
	assert_ptr_equal(t, &engine_disk);
	assert_int_equal(registry_find("memory", &t, NULL), 0);
	assert_ptr_equal(t, &engine_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(refused), cmocka_unit_test(parts),
					    cmocka_unit_test(engines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
