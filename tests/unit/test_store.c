/*
 * test_store.c - the front: what is damaged, expired or away is a miss and never an answer
 */
/* LDFLAGS: -Wl,--wrap=registry_find */
#include "sample.h"

#include <pthread.h>

#include "store/registry.h"
#include "store/store.h"

/* ---- an engine that does what a test says; the scheme "fake" ---- */

static struct {
	int error; /* of every call, while not 0 */
	int link;  /* result of put_link */
	unsigned calls, removed, aside, links, nowaits;
	uint64_t takes_ms;
	void *memory; /* what it really stores in */
} fake;

static int fake_before(void)
{
	fake.calls++;
	if (fake.takes_ms)
		mono_test_set(mono_ns() + fake.takes_ms * MONO_MS, mono_real_ns());
	return fake.error;
}

static int fake_open(const char *url, void **out, char *why, size_t why_len)
{
	(void)url;
	*out = &fake;
	return engine_memory.open("memory:", &fake.memory, why, why_len);
}

static int fake_get(void *e, const struct cache_key *key, uint32_t index, unsigned flags,
		    unsigned deadline_ms, struct cache_bytes *out)
{
	int rc = fake_before();

	(void)e;
	fake.nowaits += (flags & CACHE_NOWAIT) != 0;
	return rc ? rc : engine_memory.get(fake.memory, key, index, flags, deadline_ms, out);
}

static int fake_put_new(void *e, const struct cache_key *key, uint32_t index,
			const struct cache_bytes *bytes, uint64_t ttl_s, unsigned deadline_ms)
{
	int rc = fake_before();

	(void)e;
	return rc ? rc : engine_memory.put_new(fake.memory, key, index, bytes, ttl_s, deadline_ms);
}

static int fake_count(void *e, const struct cache_key *key, unsigned deadline_ms, uint32_t *out)
{
	(void)e;
	return engine_memory.count(fake.memory, key, deadline_ms, out);
}

static int fake_remove(void *e, const struct cache_key *key, uint32_t index, unsigned deadline_ms)
{
	int rc = fake_before();

	(void)e;
	fake.removed++;
	return rc ? rc : engine_memory.remove(fake.memory, key, index, deadline_ms);
}

static int fake_list(void *e, const char *prefix, const struct cache_name *after, size_t max,
		     struct cache_name *out, size_t *out_n)
{
	int rc = fake_before();

	(void)e;
	return rc ? rc : engine_memory.list(fake.memory, prefix, after, max, out, out_n);
}

static void fake_close(void *e)
{
	(void)e;
	engine_memory.close(fake.memory);
	memset(&fake, 0, sizeof(fake));
}

static int fake_put_link(void *e, const struct cache_key *key, uint32_t index, int dirfd,
			 const char *name, uint64_t ttl_s)
{
	(void)e;
	(void)key;
	(void)index;
	(void)dirfd;
	(void)name;
	(void)ttl_s;
	fake.links++;
	return fake.link;
}

static int fake_set_aside(void *e, const struct cache_key *key, uint32_t index)
{
	(void)e;
	fake.aside++;
	return engine_memory.remove(fake.memory, key, index, 0);
}

static struct cache_engine fake_table = {
	.size = sizeof(struct cache_engine),
	.api = CACHE_ENGINE_API,
	.name = "fake",
	.open = fake_open,
	.get = fake_get,
	.put_new = fake_put_new,
	.count = fake_count,
	.remove = fake_remove,
	.list = fake_list,
	.close = fake_close,
	.put_link = fake_put_link,
	.set_aside = fake_set_aside,
};

int __real_registry_find(const char *scheme, const struct cache_engine **out, struct err *e);
int __wrap_registry_find(const char *scheme, const struct cache_engine **out, struct err *e);
int __wrap_registry_find(const char *scheme, const struct cache_engine **out, struct err *e)
{
	if (strcmp(scheme, "fake") != 0)
		return __real_registry_find(scheme, out, e);
	*out = &fake_table;
	return 0;
}

/* ---- helpers ---- */

static struct store *open_store(const char *url)
{
	struct store_options o = {
		.url = url, .timeout_ms = 1000, .breaker_failures = 3, .probe_ms = 500
	};
	struct err e = { 0 };
	struct store *s = NULL;

	assert_int_equal(store_open(&o, &s, &e), 0);
	assert_string_equal(e.message, "");
	return s;
}

static int put_bytes(struct store *s, const struct key *key, const char *b, size_t n)
{
	struct store_offer o = { .key = key, .bytes = b, .len = n, .dirfd = -1 };

	return store_put(s, &o);
}

/* Stores request n's sample 0; the object's bytes are appended to out, unless it is NULL. */
static struct key put_sample(struct store *s, unsigned n, uint64_t ttl_s, struct buf *out)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct key key;

	sample_object(n, 0, ttl_s, &key, &b);
	assert_int_equal(put_bytes(s, &key, b.data, b.len), STORE_OK);
	if (out)
		assert_int_equal(buf_add(out, b.data, b.len), 0);
	return key;
}

static int get(struct store *s, const struct key *key, unsigned flags)
{
	struct object o = { 0 };
	int rc = store_get(s, key, 0, flags, &o, NULL);

	assert_int_equal(o.json != NULL, rc == STORE_OK);
	object_done(&o);
	return rc;
}

static struct store_status status_of(struct store *s)
{
	struct store_status st;

	store_status(s, &st);
	return st;
}

static int reset(void **state)
{
	(void)state;
	mono_test_set(0, 0);
	return 0;
}

/* ---- opening ---- */

static void urls_nobody_understands(void **state)
{
	static const struct {
		const char *url, *says;
		int rc;
	} bad[] = { { "", "no URL", -EINVAL },
		    { "/var/cache", "no URL", -EINVAL },
		    { "dsk:/x", "did you mean disk?", -EINVAL },
		    { "redis://localhost", "later version", -EOPNOTSUPP },
		    { "s3:bucket", "later version", -EOPNOTSUPP },
		    { "memory:?ttl=soon", "ttl=soon", -EINVAL },
		    { "memory:?timeout_ms=-1", "timeout_ms=-1", -EINVAL },
		    { "memory:?color=red", "color", -EINVAL },
		    { "disk:/tmp/x?max_bytes=1", "later version", -EOPNOTSUPP } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct store_options o = { .url = bad[i].url };
		struct store *s = NULL;
		struct err e = { 0 };

		assert_int_equal(store_open(&o, &s, &e), bad[i].rc);
		assert_null(s);
		assert_non_null(strstr(e.message, bad[i].says));
	}
	assert_null(store_close(NULL));
}

static void outage_at_start_is_a_warning(void **state)
{
	AUTO_FREE char *file = str_printf("%s/file", (char *)*state);
	AUTO_FREE char *url = str_printf("disk:%s/store", file);
	struct store_options o = { .url = url, .breaker_failures = 2, .probe_ms = 0, .sync = true };
	AUTO_FD int fd = open(file, O_CREAT | O_WRONLY, 0600);
	struct store *s = NULL;
	struct err e = { 0 };
	struct key key = sample_key(1);

	assert_true(fd >= 0);
	assert_int_equal(store_open(&o, &s, &e), 0);
	assert_non_null(strstr(e.message, file));
	for (int i = 0; i < 5; i++)
		assert_int_equal(get(s, &key, 0), STORE_MISS);
	assert_true(status_of(s).down);
	assert_int_equal(put_bytes(s, &key, "x", 1), -ENOTDIR);
	assert_int_equal(unlink(file), 0);
	key = put_sample(s, 1, 0, NULL);
	assert_int_equal(get(s, &key, 0), STORE_OK);
	assert_false(status_of(s).down);
	store_close(s);
}

/* ---- damage ---- */

static void every_damaged_byte_is_a_miss(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct store *s = open_store("fake:");
	struct key key;

	(void)state;
	sample_object(1, 0, 60, &key, &b);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 1;
		assert_int_equal(put_bytes(s, &key, b.data, b.len), STORE_OK);
		assert_int_equal(get(s, &key, 0), STORE_MISS);
		assert_int_equal(fake.aside, i + 1);
		b.data[i] ^= 1;
	}
	assert_int_equal(status_of(s).damaged, b.len);
	for (size_t n = 0; n < b.len; n++) {
		assert_int_equal(put_bytes(s, &key, b.data, n), STORE_OK);
		assert_int_equal(get(s, &key, 0), STORE_MISS);
	}
	assert_int_equal(status_of(s).damaged, 2 * b.len);
	assert_int_equal(status_of(s).hits, 0);
	assert_false(status_of(s).down); /* the engine is fine */
	mono_test_set(1, SAMPLE_CREATED);
	assert_int_equal(put_bytes(s, &key, b.data, b.len), STORE_OK);
	assert_int_equal(get(s, &key, 0), STORE_OK);
	store_close(s);
}

static void damage_is_kept_on_disk(void **state)
{
	AUTO_FREE char *url = str_printf("disk:%s", (char *)*state);
	struct store *s = open_store(url);
	struct key key = sample_key(1);
	AUTO_FREE char *kept = NULL;
	char hex[KEY_HEX + 1];

	key_hex(&key, hex);
	kept = str_printf("%s/damaged/%s.0.json", (char *)*state, hex);
	assert_int_equal(put_bytes(s, &key, "rubbish\n", 8), STORE_OK);
	assert_int_equal(get(s, &key, STORE_NOWAIT), STORE_AGAIN);
	assert_int_equal(access(kept, F_OK), -1); /* that was for somebody who may wait */
	assert_int_equal(get(s, &key, 0), STORE_MISS);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(status_of(s).damaged, 1);
	assert_int_equal(status_of(s).lookups, 1);
	store_close(s);
}

/* A table from before set_aside was added ends before it: the object is removed. */
static void smaller_table(void **state)
{
	struct store *s = open_store("fake:");
	struct key key = sample_key(1);
	AUTO_FD int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	struct store_offer o = { .key = &key, .bytes = "x", .len = 1, .dirfd = fd, .name = "n" };

	(void)state;
	fake_table.size = offsetof(struct cache_engine, export_link);
	assert_int_equal(store_put(s, &o), STORE_OK);
	assert_int_equal(fake.links, 0);
	assert_int_equal(get(s, &key, 0), STORE_MISS);
	assert_int_equal(fake.removed, 1);
	assert_int_equal(fake.aside, 0);
	assert_int_equal(store_export(s, &key, 0, fd, "n"), -EOPNOTSUPP);
	fake_table.size = sizeof(fake_table);
	store_close(s);
}

/* ---- outages ---- */

static void breaker(void **state)
{
	struct store *s;
	struct key key;
	unsigned calls;

	(void)state;
	mono_test_set(1000 * MONO_MS, SAMPLE_CREATED);
	s = open_store("fake:");
	key = put_sample(s, 1, 0, NULL);
	fake.error = -ECONNREFUSED;
	for (int i = 0; i < 3; i++)
		assert_int_equal(get(s, &key, 0), STORE_MISS);
	assert_true(status_of(s).down);
	calls = fake.calls;
	for (int i = 0; i < 10; i++)
		assert_int_equal(get(s, &key, i % 2 ? STORE_NOWAIT : 0), STORE_MISS);
	assert_int_equal(fake.calls, calls); /* left alone */
	fake.error = 0;
	mono_test_set(1500 * MONO_MS, SAMPLE_CREATED);
	assert_int_equal(get(s, &key, STORE_NOWAIT), STORE_AGAIN); /* a probe may take long */
	assert_int_equal(get(s, &key, 0), STORE_OK);
	assert_false(status_of(s).down);
	assert_int_equal(get(s, &key, STORE_NOWAIT), STORE_OK);
	assert_int_equal(fake.nowaits, 1);
	assert_int_equal(status_of(s).errors, 3);
	store_close(s);
}

/* A store that can only be read goes on being read. */
static void writing_fails_alone(void **state)
{
	struct store *s;
	struct key key;

	(void)state;
	mono_test_set(1000 * MONO_MS, SAMPLE_CREATED);
	s = open_store("fake:");
	key = put_sample(s, 1, 0, NULL);
	fake.error = -ENOSPC;
	for (int i = 0; i < 3; i++)
		assert_int_equal(put_bytes(s, &key, "x", 1), -ENOSPC);
	fake.error = 0;
	assert_true(status_of(s).down);
	assert_int_equal(get(s, &key, 0), STORE_OK);
	assert_int_equal(put_bytes(s, &key, "x", 1), -ENOSPC); /* not asked again yet */
	assert_int_equal(store_remove(s, &key, 0), -ENOSPC);
	mono_test_set(1500 * MONO_MS, SAMPLE_CREATED);
	assert_int_equal(put_bytes(s, &key, "x", 1), STORE_EXISTS);
	assert_false(status_of(s).down);
	assert_int_equal(store_remove(s, &key, 0), STORE_OK);
	assert_int_equal(store_remove(s, &key, 0), STORE_MISS);
	store_close(s);
}

static void slow_is_down(void **state)
{
	struct store *s;
	struct key key;

	(void)state;
	mono_test_set(1000 * MONO_MS, SAMPLE_CREATED);
	s = open_store("fake:?timeout_ms=100");
	key = put_sample(s, 1, 0, NULL);
	fake.takes_ms = 101;
	for (int i = 0; i < 3; i++) /* what came is used all the same */
		assert_int_equal(get(s, &key, 0), STORE_OK);
	assert_true(status_of(s).down);
	assert_int_equal(get(s, &key, 0), STORE_MISS);
	store_close(s);
}

static void list_when_down(void **state)
{
	struct store_name out[4], last;
	struct store *s;
	size_t n = 9;

	(void)state;
	mono_test_set(1000 * MONO_MS, SAMPLE_CREATED);
	s = open_store("fake:");
	for (unsigned i = 0; i < 5; i++)
		(void)put_sample(s, i, 0, NULL);
	assert_int_equal(store_list(s, "", NULL, 4, out, &n), 0);
	assert_int_equal(n, 4);
	last = out[3];
	assert_int_equal(store_list(s, "", &last, 4, out, &n), 0);
	assert_int_equal(n, 1);
	fake.error = -EIO;
	for (int i = 0; i < 5; i++)
		assert_int_equal(store_list(s, "", NULL, 4, out, &n), -EIO);
	assert_int_equal(fake.calls, 5 + 2 + 3);
	assert_int_equal(n, 1);
	store_close(s);
}

/* ---- time to live ---- */

static void ttl(void **state)
{
	struct store *s;
	struct key own, plain;

	(void)state;
	mono_test_set(1, SAMPLE_CREATED);
	s = open_store("fake:?ttl=60");
	own = put_sample(s, 1, 10, NULL);
	plain = put_sample(s, 2, 0, NULL);
	assert_int_equal(get(s, &own, 0), STORE_OK);
	mono_test_set(1, SAMPLE_CREATED + 10 * MONO_S);
	assert_int_equal(get(s, &own, STORE_NOWAIT), STORE_AGAIN);
	assert_int_equal(fake.removed, 0);
	assert_int_equal(get(s, &own, 0), STORE_MISS);
	assert_int_equal(fake.removed, 1);
	assert_int_equal(fake.aside, 0); /* old is not damaged */
	assert_int_equal(get(s, &plain, 0), STORE_OK);
	mono_test_set(1, SAMPLE_CREATED + 60 * MONO_S);
	assert_int_equal(get(s, &plain, 0), STORE_MISS);
	(void)put_sample(s, 1, 0, NULL); /* its place is free */
	assert_int_equal(status_of(s).damaged, 0);
	store_close(s);
}

/* ---- what works ---- */

static void bytes_and_object(void **state)
{
	AUTO_BUF struct buf want = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20), small = BUF_INIT(10);
	struct store *s = open_store("memory:");
	struct key key = put_sample(s, 1, 0, &want);
	struct object o = { 0 };
	struct store_status st;

	(void)state;
	assert_int_equal(store_get(s, &key, 0, 0, &o, &got), STORE_OK);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.data, want.data, want.len);
	assert_true(key_equal(&o.key, &key));
	object_done(&o);
	assert_int_equal(store_get(s, &key, 0, 0, NULL, NULL), STORE_OK);
	assert_int_equal(store_get(s, &key, 0, 0, &o, &small), -EFBIG);
	assert_null(o.json);
	assert_int_equal(store_get(s, &key, 1, 0, &o, NULL), STORE_MISS);
	st = status_of(s);
	assert_string_equal(st.engine, "memory");
	assert_int_equal(st.lookups, 4);
	assert_int_equal(st.hits, 2);
	assert_int_equal(st.puts, 1);
	assert_int_equal(st.errors, 0);
	store_close(s);
}

static void link_or_copy(void **state)
{
	static const int copied[] = { -EXDEV, -EOPNOTSUPP };
	struct store *s = open_store("fake:");
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct key key;
	struct store_offer o = { .key = &key, .dirfd = 3, .name = "name" };

	(void)state;
	sample_object(1, 0, 0, &key, &b);
	o.bytes = b.data;
	o.len = b.len;
	fake.link = CACHE_EXISTS;
	assert_int_equal(store_put(s, &o), STORE_EXISTS);
	fake.link = CACHE_OK;
	assert_int_equal(store_put(s, &o), STORE_OK);
	assert_int_equal(fake.calls, 0);
	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		fake.link = copied[i];
		assert_int_equal(store_put(s, &o), STORE_OK);
		assert_int_equal(get(s, &key, 0), STORE_OK);
		assert_int_equal(store_remove(s, &key, UINT32_MAX), STORE_OK);
	}
	fake.link = -EIO;
	assert_int_equal(store_put(s, &o), -EIO);
	o.len = (size_t)CACHE_OBJECT_MAX + 1;
	assert_int_equal(store_put(s, &o), -EFBIG);
	store_close(s);
}

static void disk_exports(void **state)
{
	AUTO_FREE char *url = str_printf("disk:%s/store", (char *)*state);
	AUTO_FD int fd = open(*state, O_RDONLY | O_DIRECTORY);
	struct store *s = open_store(url);
	struct key key, absent = sample_key(77);

	assert_true(fd >= 0);
	assert_int_equal(store_export(s, &absent, 0, fd, "mine"), STORE_MISS);
	key = put_sample(s, 1, 0, NULL);
	assert_int_equal(store_export(s, &key, 0, fd, "mine"), 0);
	assert_int_equal(store_export(s, &key, 0, fd, "mine"), -EEXIST);
	assert_int_equal(faccessat(fd, "mine", F_OK, 0), 0);
	store_close(s);
}

static void *hammer(void *arg)
{
	struct store *s = arg;

	for (unsigned i = 0; i < 300; i++) {
		AUTO_BUF struct buf b = BUF_INIT(1 << 16);
		struct store_status st;
		struct key key;
		int rc;

		sample_object(i % 20, 0, 0, &key, &b);
		rc = put_bytes(s, &key, b.data, b.len);
		if (rc != STORE_OK && rc != STORE_EXISTS)
			return s;
		rc = store_get(s, &key, 0, i % 3 ? STORE_NOWAIT : 0, NULL, NULL);
		if (rc != STORE_OK && rc != STORE_MISS && rc != STORE_AGAIN)
			return s;
		if (i % 7 == 0)
			(void)store_remove(s, &key, 0);
		store_status(s, &st);
	}
	return NULL;
}

static void many_threads(void **state)
{
	AUTO_FREE char *disk = str_printf("disk:%s", (char *)*state);
	const char *urls[] = { "memory:", disk };

	for (size_t u = 0; u < ARRAY_LEN(urls); u++) {
		struct store *s = open_store(urls[u]);
		pthread_t t[6];
		void *bad;

		for (size_t i = 0; i < ARRAY_LEN(t); i++)
			assert_int_equal(pthread_create(&t[i], NULL, hammer, s), 0);
		for (size_t i = 0; i < ARRAY_LEN(t); i++) {
			assert_int_equal(pthread_join(t[i], &bad), 0);
			assert_null(bad);
		}
		assert_int_equal(status_of(s).damaged, 0);
		store_close(s);
	}
}

#define T(f) cmocka_unit_test_teardown(f, reset)
#define D(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(urls_nobody_understands),
		D(outage_at_start_is_a_warning),
		T(every_damaged_byte_is_a_miss),
		D(damage_is_kept_on_disk),
		T(smaller_table),
		T(breaker),
		T(writing_fails_alone),
		T(slow_is_down),
		T(list_when_down),
		T(ttl),
		T(bytes_and_object),
		T(link_or_copy),
		D(disk_exports),
		D(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
