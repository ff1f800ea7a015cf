/*
 * test_engines.c - the contract of a cache engine, against every engine there is
 *
 * A new engine is added to main() and has to pass the same cases.
 */
#include "sample.h"

#include <pthread.h>
#include <stdatomic.h>

#include "store/registry.h"

/* the example of the documentation keeps the contract, too; renamed, so that nothing is exported twice */
#define compare	   example_compare
#define has_prefix example_has_prefix
#include "examples/engine_example.c"
#undef compare
#undef has_prefix

/* one engine under test */
struct bench {
	const struct cache_engine *t;
	void *engine;
	char *dir; /* scratch */
};

static struct cache_key key_no(unsigned n)
{
	struct key k = sample_key(n);
	struct cache_key c;

	memcpy(c.b, k.b, sizeof(c.b));
	return c;
}

static int put(struct bench *b, const struct cache_key *key, uint32_t index, const char *text)
{
	struct cache_bytes bytes = { (char *)(uintptr_t)text, strlen(text) };

	return b->t->put_new(b->engine, key, index, &bytes, 0, 1000);
}

/* The stored text, to be freed; NULL for a miss. */
static char *get(struct bench *b, const struct cache_key *key, uint32_t index)
{
	struct cache_bytes got;
	int rc = b->t->get(b->engine, key, index, 0, 1000, &got);
	char *text;

	if (rc == CACHE_MISS)
		return NULL;
	assert_int_equal(rc, CACHE_OK);
	text = str_dup_n(got.data, got.len);
	free(got.data);
	assert_non_null(text);
	return text;
}

static void expect(struct bench *b, const struct cache_key *key, uint32_t index, const char *want)
{
	AUTO_FREE char *text = get(b, key, index);

	if (!want) {
		assert_null(text);
		return;
	}
	assert_non_null(text);
	assert_string_equal(text, want);
}

/* ---- failures first ---- */

static void bad_urls(void **state)
{
	struct bench *b = *state;
	static const char *const options[] = { "?color=red", "?ttl", "?=1", "?ttl=1&ttl=2" };

	if (b->t == &inferfs_cache_engine)
		return; /* it looks at no URL */
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		AUTO_FREE char *url = NULL;
		char why[128] = "";
		void *engine = NULL;

		url = str_printf("%s:%s%s", b->t->name, strcmp(b->t->name, "disk") ? "" : b->dir,
				 options[i]);
		assert_int_equal(b->t->open(url, &engine, why, sizeof(why)), -EINVAL);
		assert_null(engine);
		assert_non_null(strstr(why, b->t->name));
		if (!i)
			assert_non_null(strstr(why, "color"));
	}
}

static void nothing_there(void **state)
{
	struct bench *b = *state;
	struct cache_key k = key_no(1);
	struct cache_name name;
	uint32_t count = 9;
	size_t n = 9;

	expect(b, &k, 0, NULL);
	assert_int_equal(b->t->remove(b->engine, &k, 0, 1000), CACHE_MISS);
	assert_int_equal(b->t->remove(b->engine, &k, CACHE_INDEX_ALL, 1000), CACHE_MISS);
	assert_int_equal(b->t->count(b->engine, &k, 1000, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(b->t->list(b->engine, "", NULL, 1, &name, &n), 0);
	assert_int_equal(n, 0);
}

static void list_refuses_other_prefixes(void **state)
{
	struct bench *b = *state;
	static const char *const bad[] = {
		"g", "3G", "../", "3f/9a",
		"00000000000000000000000000000000000000000000000000000000000000000"
	};
	struct cache_name name;
	size_t n = 9;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(b->t->list(b->engine, bad[i], NULL, 1, &name, &n), -EINVAL);
	assert_int_equal(n, 9); /* outputs stay on failure */
}

/* ---- one sample ---- */

static void put_never_overwrites(void **state)
{
	struct bench *b = *state;
	struct cache_key k = key_no(1);

	assert_int_equal(put(b, &k, 0, "first"), CACHE_OK);
	assert_int_equal(put(b, &k, 0, "second"), CACHE_EXISTS);
	expect(b, &k, 0, "first");
	expect(b, &k, 1, NULL);
	assert_int_equal(put(b, &k, 1, "other"), CACHE_OK);
	expect(b, &k, 0, "first");
	expect(b, &k, 1, "other");
}

static void removing(void **state)
{
	struct bench *b = *state;
	struct cache_key k = key_no(1), k2 = key_no(2);
	uint32_t count;

	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(put(b, &k, i * 1000003, "x"), CACHE_OK);
	assert_int_equal(put(b, &k2, 0, "y"), CACHE_OK);
	assert_int_equal(b->t->remove(b->engine, &k, 1000003, 1000), CACHE_OK);
	expect(b, &k, 1000003, NULL);
	assert_int_equal(b->t->count(b->engine, &k, 1000, &count), 0);
	assert_int_equal(count, 4);
	assert_int_equal(put(b, &k, 1000003, "again"), CACHE_OK);
	assert_int_equal(b->t->remove(b->engine, &k, CACHE_INDEX_ALL, 1000), CACHE_OK);
	assert_int_equal(b->t->count(b->engine, &k, 1000, &count), 0);
	assert_int_equal(count, 0);
	expect(b, &k2, 0, "y");
	assert_int_equal(put(b, &k, UINT32_MAX - 1, "last"), CACHE_OK);
	expect(b, &k, UINT32_MAX - 1, "last");
}

static void any_bytes(void **state)
{
	struct bench *b = *state;
	struct cache_key k = key_no(1);
	size_t len = 3 << 20;
	struct cache_bytes in = { malloc(len), len }, none = { NULL, 0 }, out;

	assert_non_null(in.data);
	for (size_t i = 0; i < len; i++)
		in.data[i] = (char)(i * 2654435761u >> 13);
	assert_int_equal(b->t->put_new(b->engine, &k, 0, &in, 0, 1000), CACHE_OK);
	assert_int_equal(b->t->get(b->engine, &k, 0, 0, 1000, &out), CACHE_OK);
	assert_int_equal(out.len, len);
	assert_memory_equal(in.data, out.data, len);
	free(out.data);
	free(in.data);
	assert_int_equal(b->t->put_new(b->engine, &k, 1, &none, 0, 1000), CACHE_OK);
	assert_int_equal(b->t->get(b->engine, &k, 1, 0, 1000, &out), CACHE_OK);
	assert_int_equal(out.len, 0);
	free(out.data);
}

/* It may always say that it would have to wait, but never anything untrue. */
static void nowait(void **state)
{
	struct bench *b = *state;
	struct cache_key k = key_no(1);
	struct cache_bytes out;
	int rc = b->t->get(b->engine, &k, 0, CACHE_NOWAIT, 1000, &out);

	assert_true(rc == CACHE_MISS || rc == CACHE_AGAIN);
	assert_int_equal(put(b, &k, 0, "there"), CACHE_OK);
	rc = b->t->get(b->engine, &k, 0, CACHE_NOWAIT, 1000, &out);
	assert_true(rc == CACHE_OK || rc == CACHE_AGAIN);
	if (rc == CACHE_OK) {
		assert_int_equal(out.len, 5);
		free(out.data);
	}
}

/* ---- listing ---- */

enum { MANY = 3000 };

static int by_name(const void *va, const void *vb)
{
	const struct cache_name *a = va, *b = vb;
	int c = memcmp(a->key.b, b->key.b, sizeof(a->key.b));

	return c ? c : (a->index > b->index) - (a->index < b->index);
}

/* Samples of many keys, several of the same leaf; sorted. */
static struct cache_name *fill_many(struct bench *b)
{
	struct cache_name *want = calloc(MANY, sizeof(*want));

	assert_non_null(want);
	for (unsigned i = 0; i < MANY; i++) {
		want[i].key = key_no(i / 3);
		want[i].index = (i % 3) * 9; /* 0, 9, 18: not the order of their digits */
		if (i % 2)
			want[i].key.b[0] = 0x3f;
		if (i % 4 == 1)
			want[i].key.b[1] = 0x9a;
		assert_int_equal(put(b, &want[i].key, want[i].index, "x"), CACHE_OK);
	}
	qsort(want, MANY, sizeof(*want), by_name);
	return want;
}

static void pages(struct bench *b, const char *prefix, size_t page, const struct cache_name *want,
		  size_t n_want)
{
	struct cache_name *out = calloc(page, sizeof(*out)), last, *after = NULL;
	size_t seen = 0, n;

	assert_non_null(out);
	do {
		assert_int_equal(b->t->list(b->engine, prefix, after, page, out, &n), 0);
		assert_true(n <= page && seen + n <= n_want);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(by_name(&out[i], &want[seen + i]), 0);
		seen += n;
		if (n)
			last = out[n - 1];
		after = &last;
	} while (n == page);
	assert_int_equal(seen, n_want);
	free(out);
}

static void listing_in_order_and_pages(void **state)
{
	static const char *const prefixes[] = { "",	 "3", "3f", "3f9", "3f9a",
						"3f9a1", "0", "f",  "77" };
	struct bench *b = *state;
	AUTO_FREE struct cache_name *want = fill_many(b);
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t first = MANY, count = 0;

		for (size_t j = 0; j < MANY; j++) {
			char hex[65];

			str_hex(want[j].key.b, sizeof(want[j].key.b), hex);
			if (!str_starts(hex, prefixes[i]))
				continue;
			first = count++ ? first : j;
		}
		pages(b, prefixes[i], MANY + 1, want + first % MANY, count);
		pages(b, prefixes[i], 97, want + first % MANY, count);
	}
	assert_int_equal(b->t->list(b->engine, "", NULL, 0, NULL, &n), 0);
	assert_int_equal(n, 0);
}

static void listing_begins_behind_any_name(void **state)
{
	struct bench *b = *state;
	AUTO_FREE struct cache_name *want = fill_many(b);
	struct cache_name after, out[2];
	size_t n;

	for (size_t i = 0; i + 2 < MANY; i += 41) {
		after = want[i];
		assert_int_equal(b->t->list(b->engine, "", &after, 2, out, &n), 0);
		assert_int_equal(n, 2);
		assert_int_equal(by_name(&out[0], &want[i + 1]), 0);
		after.index++; /* a name that is not there */
		assert_int_equal(b->t->list(b->engine, "", &after, 2, out, &n), 0);
		assert_int_equal(by_name(&out[0], &want[i + 1]), 0);
	}
	memset(&after, 0xff, sizeof(after));
	assert_int_equal(b->t->list(b->engine, "", &after, 2, out, &n), 0);
	assert_int_equal(n, 0);
	memset(&after, 0, sizeof(after)); /* before the prefix: from its first */
	assert_int_equal(b->t->list(b->engine, "3f", &after, 1, out, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(out[0].key.b[0], 0x3f);
}

/* ---- many threads ---- */

enum { THREADS = 8, ROUNDS = 60 };

struct racer {
	struct bench *b;
	pthread_barrier_t *start;
	unsigned no, won;
	unsigned failed;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	(void)pthread_barrier_wait(r->start);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct cache_key k = key_no(i);
		char text[16];
		struct cache_bytes in = { text, 0 }, out = { NULL, 0 };
		int rc;

		in.len = (size_t)snprintf(text, sizeof(text), "%u.%u", i, r->no);
		rc = r->b->t->put_new(r->b->engine, &k, 0, &in, 0, 1000);
		r->won += rc == CACHE_OK;
		r->failed += rc != CACHE_OK && rc != CACHE_EXISTS;
		rc = r->b->t->get(r->b->engine, &k, 0, 0, 1000, &out);
		/* whoever won, it is there, whole, and this round's */
		r->failed += rc != CACHE_OK || out.len != in.len ||
			     strtoul(out.data, NULL, 10) != i;
		free(out.data);
	}
	return NULL;
}

static void one_winner(void **state)
{
	struct racer r[THREADS];
	pthread_barrier_t start;
	pthread_t t[THREADS];
	unsigned won = 0;

	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		r[i] = (struct racer){ *state, &start, i, 0, 0 };
		assert_int_equal(pthread_create(&t[i], NULL, race, &r[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		assert_int_equal(r[i].failed, 0);
		won += r[i].won;
	}
	assert_int_equal(won, ROUNDS);
	assert_int_equal(pthread_barrier_destroy(&start), 0);
}

static void *churn(void *arg)
{
	struct racer *r = arg;
	struct cache_name names[8];
	size_t n;

	(void)pthread_barrier_wait(r->start);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct cache_key k = key_no(i % 4);
		struct cache_bytes in = { (char *)(uintptr_t) "whole", 5 }, out = { NULL, 0 };
		int rc = r->b->t->put_new(r->b->engine, &k, 0, &in, 0, 1000);

		r->failed += rc != CACHE_OK && rc != CACHE_EXISTS;
		rc = r->b->t->get(r->b->engine, &k, 0, 0, 1000, &out);
		r->failed += rc == CACHE_OK ? out.len != 5 : rc != CACHE_MISS;
		free(out.data);
		rc = r->b->t->remove(r->b->engine, &k, i % 2 ? 0 : CACHE_INDEX_ALL, 1000);
		r->failed += rc != CACHE_OK && rc != CACHE_MISS;
		r->failed += r->b->t->list(r->b->engine, "", NULL, 8, names, &n) != 0;
	}
	return NULL;
}

static void putting_while_others_remove(void **state)
{
	struct racer r[THREADS];
	pthread_barrier_t start;
	pthread_t t[THREADS];

	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		r[i] = (struct racer){ *state, &start, i, 0, 0 };
		assert_int_equal(pthread_create(&t[i], NULL, churn, &r[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		assert_int_equal(r[i].failed, 0);
	}
	assert_int_equal(pthread_barrier_destroy(&start), 0);
}

/* ---- what is optional ---- */

static void setting_aside(void **state)
{
	struct bench *b = *state;
	struct cache_key k = key_no(1);

	if (!b->t->set_aside)
		return;
	assert_int_equal(b->t->set_aside(b->engine, &k, 0), CACHE_MISS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(put(b, &k, 0, "bad"), CACHE_OK);
		assert_int_equal(b->t->set_aside(b->engine, &k, 0), CACHE_OK);
		expect(b, &k, 0, NULL);
	}
	assert_int_equal(put(b, &k, 0, "good"), CACHE_OK);
	expect(b, &k, 0, "good");
}

static void links(void **state)
{
	struct bench *b = *state;
	struct cache_key k = key_no(1), k2 = key_no(2);
	AUTO_FD int dirfd = open(b->dir, O_RDONLY | O_DIRECTORY);
	struct stat st;

	assert_true(dirfd >= 0);
	if (!b->t->export_link || !b->t->put_link)
		return;
	assert_int_equal(b->t->export_link(b->engine, &k, 0, dirfd, "mine"), CACHE_MISS);
	assert_int_equal(put(b, &k, 0, "linked"), CACHE_OK);
	assert_int_equal(b->t->export_link(b->engine, &k, 0, dirfd, "mine"), CACHE_OK);
	assert_int_equal(b->t->export_link(b->engine, &k, 0, dirfd, "mine"), -EEXIST);
	assert_int_equal(fstatat(dirfd, "mine", &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(b->t->put_link(b->engine, &k, 0, dirfd, "mine", 0), CACHE_EXISTS);
	assert_int_equal(b->t->put_link(b->engine, &k2, 7, dirfd, "mine", 0), CACHE_OK);
	expect(b, &k2, 7, "linked");
	assert_int_equal(b->t->remove(b->engine, &k, 0, 1000), CACHE_OK);
	expect(b, &k2, 7, "linked");
	assert_true(b->t->put_link(b->engine, &k, 0, dirfd, "absent", 0) < 0);
}

static void table_is_complete(void **state)
{
	const struct bench *b = *state;

	assert_int_equal(b->t->size, sizeof(struct cache_engine));
	assert_int_equal(b->t->api, CACHE_ENGINE_API);
	assert_true(b->t->open && b->t->get && b->t->put_new && b->t->count && b->t->remove &&
		    b->t->list);
}

/* ---- the benches ---- */

static int open_bench(void **state, const char *scheme)
{
	struct bench *b = calloc(1, sizeof(*b));
	AUTO_FREE char *url = NULL;
	char why[256] = "";

	assert_non_null(b);
	b->dir = scratch_new();
	assert_int_equal(setenv("TMPDIR", "/tmp", 0), 0);
	url = str_printf("%s:%s", scheme, strcmp(scheme, "disk") ? "" : b->dir);
	b->t = &inferfs_cache_engine;
	if (strcmp(scheme, "example") != 0)
		assert_int_equal(registry_find(scheme, &b->t, NULL), 0);
	assert_int_equal(b->t->open(url, &b->engine, why, sizeof(why)), 0);
	assert_string_equal(why, "");
	*state = b;
	return 0;
}

static int open_disk(void **state)
{
	return open_bench(state, "disk");
}

static int open_tmp(void **state)
{
	return open_bench(state, "tmp");
}

static int open_memory(void **state)
{
	return open_bench(state, "memory");
}

static int open_example(void **state)
{
	return open_bench(state, "example");
}

static int close_bench(void **state)
{
	struct bench *b = *state;

	b->t->close(b->engine);
	scratch_free(b->dir);
	free(b);
	return 0;
}

#define CASE(f, open)                                       \
	{                                                   \
#f " on " #open, f, open, close_bench, NULL \
	}
#define SUITE(open)                                                                        \
	CASE(table_is_complete, open), CASE(bad_urls, open), CASE(nothing_there, open),    \
		CASE(list_refuses_other_prefixes, open), CASE(put_never_overwrites, open), \
		CASE(removing, open), CASE(any_bytes, open), CASE(nowait, open),           \
		CASE(listing_in_order_and_pages, open),                                    \
		CASE(listing_begins_behind_any_name, open), CASE(one_winner, open),        \
		CASE(putting_while_others_remove, open), CASE(setting_aside, open),        \
		CASE(links, open)

int main(void)
{
	const struct CMUnitTest tests[] = { SUITE(open_memory), SUITE(open_disk), SUITE(open_tmp),
					    SUITE(open_example) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
