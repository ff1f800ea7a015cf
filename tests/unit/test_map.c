/*
 * test_map.c - hash table of embedded links
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/list.h"
#include "base/map.h"

struct entry {
	uint64_t id;
	struct map_link link;
};

static bool same_id(const struct map_link *l, const void *key)
{
	const struct entry *e = LIST_ENTRY(l, const struct entry, link);

	return e->id == *(const uint64_t *)key;
}

static struct entry *find(const struct map *m, uint64_t id)
{
	struct map_link *l = map_find(m, map_hash_u64(id), same_id, &id);

	return l ? LIST_ENTRY(l, struct entry, link) : NULL;
}

static void test_empty(void **state)
{
	struct map m;

	(void)state;
	map_init(&m);
	assert_null(find(&m, 1));
	map_each(&m, NULL, NULL); /* nothing to call it for */
	map_done(&m);
	map_done(NULL);
}

static void test_add_find_del(void **state)
{
	struct entry a = { .id = 1 }, b = { .id = 2 };
	struct map m;

	(void)state;
	map_init(&m);
	assert_int_equal(map_add(&m, &a.link, map_hash_u64(1)), 0);
	assert_int_equal(map_add(&m, &b.link, map_hash_u64(2)), 0);
	assert_int_equal(m.n, 2);
	assert_ptr_equal(find(&m, 1), &a);
	assert_ptr_equal(find(&m, 2), &b);
	assert_null(find(&m, 3));
	map_del(&m, &a.link);
	assert_null(find(&m, 1));
	assert_ptr_equal(find(&m, 2), &b);
	map_del(&m, &b.link);
	assert_int_equal(m.n, 0);
	assert_int_equal(map_add(&m, &a.link, map_hash_u64(1)), 0);
	assert_ptr_equal(find(&m, 1), &a);
	map_done(&m);
}

static void test_one_hash_for_all(void **state)
{
	struct entry e[50];
	struct map m;

	(void)state;
	map_init(&m);
	for (uint64_t i = 0; i < ARRAY_LEN(e); i++) {
		e[i].id = i;
		assert_int_equal(map_add(&m, &e[i].link, 42), 0);
	}
	for (uint64_t i = 0; i < ARRAY_LEN(e); i += 2)
		map_del(&m, &e[i].link);
	for (uint64_t i = 0; i < ARRAY_LEN(e); i++) {
		const struct map_link *l = map_find(&m, 42, same_id, &i);

		assert_ptr_equal(l, i % 2 ? &e[i].link : NULL);
	}
	map_done(&m);
}

static void test_same_slot_other_hash(void **state)
{
	struct entry a = { .id = 5 }, b = { .id = 5 };
	struct map m;
	uint64_t id = 5;

	(void)state;
	map_init(&m);
	assert_int_equal(map_add(&m, &a.link, 1), 0);
	assert_int_equal(map_add(&m, &b.link, 1 + (1u << 20)), 0);
	assert_ptr_equal(map_find(&m, 1, same_id, &id), &a.link);
	assert_ptr_equal(map_find(&m, 1 + (1u << 20), same_id, &id), &b.link);
	map_done(&m);
}

static bool count_some(struct map_link *l, void *arg)
{
	unsigned *left = arg;

	(void)l;
	return --*left > 0;
}

static bool sum_all(struct map_link *l, void *arg)
{
	uint64_t *sum = arg;

	*sum += LIST_ENTRY(l, struct entry, link)->id;
	return true;
}

static void test_each(void **state)
{
	struct entry e[10];
	struct map m;
	unsigned left = 3;
	uint64_t sum = 0;

	(void)state;
	map_init(&m);
	for (uint64_t i = 0; i < ARRAY_LEN(e); i++) {
		e[i].id = i + 1;
		assert_int_equal(map_add(&m, &e[i].link, map_hash_u64(i + 1)), 0);
	}
	map_each(&m, sum_all, &sum);
	assert_int_equal(sum, 55);
	map_each(&m, count_some, &left);
	assert_int_equal(left, 0);
	map_done(&m);
}

static void test_grows_and_shrinks(void **state)
{
	enum { N = 100000 };
	struct entry *e = calloc(N, sizeof(*e));
	struct map m;
	size_t largest;

	(void)state;
	assert_non_null(e);
	map_init(&m);
	for (uint64_t i = 0; i < N; i++) {
		e[i].id = i * 7919;
		assert_int_equal(map_add(&m, &e[i].link, map_hash_u64(e[i].id)), 0);
	}
	largest = m.n_slots;
	assert_true(largest >= N);
	for (uint64_t i = 0; i < N; i++)
		assert_ptr_equal(find(&m, i * 7919), &e[i]);
	for (uint64_t i = 0; i < N - 10; i++)
		map_del(&m, &e[i].link);
	assert_int_equal(m.n, 10);
	assert_true(m.n_slots <= 128);
	for (uint64_t i = N - 10; i < N; i++)
		assert_ptr_equal(find(&m, i * 7919), &e[i]);
	assert_null(find(&m, 0));
	map_done(&m);
	free(e);
}

static void test_hash_sees_every_byte(void **state)
{
	unsigned char b[40] = { 0 };
	uint32_t plain[ARRAY_LEN(b) + 1];

	(void)state;
	for (size_t n = 0; n <= sizeof(b); n++)
		plain[n] = map_hash(b, n);
	for (size_t n = 1; n <= sizeof(b); n++) {
		assert_int_not_equal(plain[n], plain[n - 1]); /* length counts */
		b[n - 1] = 1;
		assert_int_not_equal(map_hash(b, n), plain[n]);
		b[n - 1] = 0;
		assert_int_equal(map_hash(b, n), plain[n]); /* one seed for the process */
	}
	assert_int_equal(map_hash("", 0), map_hash(b, 0));
}

/* Not a test of quality, only that the low bits, which choose the slot, are used. */
static void test_hash_spreads(void **state)
{
	unsigned used[256] = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 256 * 64; i++)
		used[map_hash_u64(i << 32) & 255]++;
	for (size_t i = 0; i < ARRAY_LEN(used); i++)
		assert_in_range(used[i], 16, 160);
}

static void test_list(void **state)
{
	struct entry {
		struct list link;
		int v;
	} a = { .v = 1 }, b = { .v = 2 }, c = { .v = 3 };
	struct list head = LIST_INIT(head), other = LIST_INIT(other);
	int sum = 0;

	(void)state;
	assert_true(list_empty(&head));
	assert_null(list_pop(&head));
	list_move_all(&other, &head);
	assert_true(list_empty(&other));
	list_init(&a.link);
	list_del(&a.link); /* on no list: harmless */
	list_append(&head, &a.link);
	list_append(&head, &b.link);
	list_append(&other, &c.link);
	list_move_all(&head, &other);
	assert_true(list_empty(&other));
	LIST_EACH(pos, &head)
		sum = sum * 10 + LIST_ENTRY(pos, struct entry, link)->v;
	assert_int_equal(sum, 123);
	LIST_EACH_SAFE(pos, tmp, &head)
		if (LIST_ENTRY(pos, struct entry, link)->v == 2)
			list_del(pos);
	assert_true(list_empty(&b.link));
	assert_ptr_equal(list_pop(&head), &a.link);
	assert_ptr_equal(list_pop(&head), &c.link);
	assert_null(list_pop(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_one_hash_for_all),
		cmocka_unit_test(test_same_slot_other_hash),
		cmocka_unit_test(test_add_find_del),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_grows_and_shrinks),
		cmocka_unit_test(test_hash_sees_every_byte),
		cmocka_unit_test(test_hash_spreads),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
