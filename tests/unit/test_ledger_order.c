/*
 * ledger/ledger_order: names in order, against a sorted array that does the same work slowly
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "ledger/ledger_order.h"

enum { MANY = 20000, NAMES = 400, ROUNDS = 4000 };

struct name {
	struct ledger_order_link link; /* first: a link is its name */
	const char *root;
	char path[40];
};

static void add(struct ledger_order *o, struct name *n)
{
	ledger_order_add(o, &n->link, n->root, n->path);
}

/* "a,b": what a walk finds, each step a look-up of its own */
static void expect(const struct ledger_order *o, const char *root, const char *dir,
		   const char *want)
{
	const struct ledger_order_link *l;
	char got[256] = "", after[64] = "";

	while ((l = ledger_order_next(o, root, dir, after))) {
		const char *slash = strrchr(l->path, '/');

		(void)snprintf(after, sizeof(after), "%s", slash ? slash + 1 : l->path);
		(void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s",
			       got[0] ? "," : "", after);
		assert_true(strlen(got) < sizeof(got) - sizeof(after));
	}
	assert_string_equal(got, want);
}

/* ranks fall on the way down; returns the depth */
static unsigned heap(const struct ledger_order_link *l)
{
	unsigned left, right;

	if (!l)
		return 0;
	assert_int_not_equal(l->rank, 0);
	assert_true(!l->left || l->left->rank <= l->rank);
	assert_true(!l->right || l->right->rank <= l->rank);
	left = heap(l->left);
	right = heap(l->right);
	return 1 + (left > right ? left : right);
}

/* ---- nothing, twice, and not there ---- */

static void an_empty_tree(void **state)
{
	struct ledger_order o = { 0 };
	struct name n = { .path = "a" };

	(void)state;
	n.root = "";
	assert_null(ledger_order_next(&o, "", "", ""));
	assert_null(ledger_order_next(&o, "r", "a/b", "c"));
	ledger_order_del(&o, &n.link);
	assert_null(o.top);
	add(&o, &n);
	ledger_order_del(&o, &n.link);
	assert_null(o.top);
	assert_int_equal(n.link.rank, 0);
	assert_null(n.link.path);
	ledger_order_del(&o, &n.link);
	expect(&o, "", "", "");
}

static void added_twice(void **state)
{
	struct ledger_order o = { 0 };
	struct name a = { .root = "", .path = "d/a" }, b = { .root = "", .path = "d/b" };
	uint32_t rank;

	(void)state;
	add(&o, &a);
	add(&o, &b);
	rank = a.link.rank;
	ledger_order_add(&o, &a.link, "other", "e/z"); /* it stays what it is */
	assert_int_equal(a.link.rank, rank);
	assert_ptr_equal(a.link.path, a.path);
	expect(&o, "", "d", "a,b");
	expect(&o, "other", "e", "");
	ledger_order_del(&o, &a.link);
	ledger_order_add(&o, &a.link, "other", "e/z"); /* now it may */
	expect(&o, "", "d", "b");
	expect(&o, "other", "e", "z");
}

/* ---- what is in which directory ---- */

static struct name somewhere[] = {
	{ .root = "", .path = "a" },	 { .root = "", .path = "a/b" },
	{ .root = "", .path = "a/b/c" }, { .root = "", .path = "ab/c" },
	{ .root = "", .path = "b/c" },	 { .root = "", .path = "a-/x" },
	{ .root = "", .path = "a/B" },	 { .root = "", .path = "a/\xff" },
	{ .root = "", .path = "a/~" },	 { .root = "", .path = "a/\xc3\xbc" },
	{ .root = "", .path = "a/ " },	 { .root = "", .path = "a/b0" },
	{ .root = "r", .path = "a" },	 { .root = "r", .path = "a/b" },
	{ .root = "r", .path = "a/q" },	 { .root = "r2", .path = "b/c" },
	{ .root = "", .path = "z" },	 { .root = "", .path = "a/b.json" },
};

static const struct {
	const char *root, *dir, *want;
} directories[] = {
	{ "", "", "a,z" },
	{ "", "a", " ,B,b,b.json,b0,~,\xc3\xbc,\xff" }, /* by bytes, and those are not signed */
	{ "", "a/b", "c" },
	{ "", "ab", "c" },
	{ "", "b", "c" },
	{ "", "a-", "x" },
	{ "r", "", "a" },
	{ "r", "a", "b,q" },
	{ "r2", "b", "c" },
	{ "r2", "", "" },
	{ "r", "b", "" },
	{ "r3", "a", "" },
	{ "", "c", "" },
	{ "", "a/b/c", "" },
	{ "", "aa", "" },
	{ "", "a/", "" },
};

static void directories_do_not_mix(void **state)
{
	(void)state;
	for (size_t first = 0; first < ARRAY_LEN(somewhere); first++) {
		struct ledger_order o = { .random = (uint32_t)first * 77 };

		for (size_t i = 0; i < ARRAY_LEN(somewhere); i++)
			add(&o, &somewhere[(first + i * 5) % ARRAY_LEN(somewhere)]);
		(void)heap(o.top);
		for (size_t i = 0; i < ARRAY_LEN(directories); i++)
			expect(&o, directories[i].root, directories[i].dir, directories[i].want);
		for (size_t i = 0; i < ARRAY_LEN(somewhere); i++)
			ledger_order_del(&o, &somewhere[i].link);
		assert_null(o.top);
	}
}

static void behind_a_name_that_is_not_there(void **state)
{
	static const struct {
		const char *after, *next;
	} steps[] = { { "", "b" },	 { "a", "b" },	 { "b", "d" },
		      { "bb", "d" },	 { "c", "d" },	 { "d", "dd" },
		      { "d\xff", NULL }, { "dd", NULL }, { "\xff", NULL } };
	struct name n[] = { { .root = "", .path = "x/d" },
			    { .root = "", .path = "x/b" },
			    { .root = "", .path = "x/dd" },
			    { .root = "", .path = "y/a" } };
	struct ledger_order o = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(n); i++)
		add(&o, &n[i]);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct ledger_order_link *l = ledger_order_next(&o, "", "x", steps[i].after);

		if (steps[i].next)
			assert_string_equal(l ? l->path + 2 : "", steps[i].next);
		else
			assert_null(l);
	}
}

/* ---- many ---- */

/* Names come in order as a rule: a plain tree would be a list. */
static void names_in_order_make_no_list(void **state)
{
	struct name *n = calloc(MANY, sizeof(*n));
	struct ledger_order o = { 0 };
	struct ledger_order_link *l;
	char after[16] = "";
	size_t found = 0;

	(void)state;
	assert_non_null(n);
	for (size_t i = 0; i < MANY; i++) {
		n[i].root = "";
		(void)snprintf(n[i].path, sizeof(n[i].path), "d/%06zu", i);
		add(&o, &n[i]);
	}
	assert_in_range(heap(o.top), 15, 70);
	/* taken away as they are found: how a directory is removed */
	while ((l = ledger_order_next(&o, "", "d", after))) {
		assert_ptr_equal(l, &n[found].link);
		(void)snprintf(after, sizeof(after), "%s", l->path + 2);
		ledger_order_del(&o, l);
		found++;
	}
	assert_int_equal(found, MANY);
	assert_null(o.top);
	free(n);
}

static uint32_t dice(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static struct name *model_next(struct name *n, const char *root, const char *dir, const char *after)
{
	struct name *best = NULL;
	size_t n_dir = strlen(dir);

	for (size_t i = 0; i < NAMES; i++) {
		const char *slash = strrchr(n[i].path, '/');
		const char *last = slash ? slash + 1 : n[i].path;
		size_t its = slash ? (size_t)(slash - n[i].path) : 0;

		if (!n[i].link.rank || its != n_dir || memcmp(n[i].path, dir, n_dir) != 0 ||
		    strcmp(n[i].root, root) != 0 || strcmp(last, after) <= 0)
			continue;
		if (!best || strcmp(n[i].path, best->path) < 0)
			best = &n[i];
	}
	return best;
}

static void as_the_model(void **state)
{
	static const char *const roots[] = { "", "r", "\001gone" };
	static const char *const dirs[] = { "", "a", "a/b", "ab", "b" };
	struct name *n = calloc(NAMES, sizeof(*n));
	struct ledger_order o = { 0 };
	uint32_t seed = 7;

	(void)state;
	assert_non_null(n);
	for (size_t i = 0; i < NAMES; i++) {
		const char *dir = dirs[i / 3 % 5];

		n[i].root = roots[i % 3];
		(void)snprintf(n[i].path, sizeof(n[i].path), "%s%s%zx", dir, *dir ? "/" : "",
			       i * 2654435761u % 4093u);
	}
	for (int round = 0; round < ROUNDS; round++) {
		struct name *x = &n[dice(&seed) % NAMES];
		const char *root = roots[dice(&seed) % 3], *dir = dirs[dice(&seed) % 5];
		char after[8];

		if (x->link.rank)
			ledger_order_del(&o, &x->link);
		else
			add(&o, x);
		(void)snprintf(after, sizeof(after), "%x", dice(&seed) % 4093u);
		assert_ptr_equal(ledger_order_next(&o, root, dir, after),
				 model_next(n, root, dir, after));
		if (round % 256 == 0)
			(void)heap(o.top);
	}
	free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_tree),
		cmocka_unit_test(added_twice),
		cmocka_unit_test(directories_do_not_mix),
		cmocka_unit_test(behind_a_name_that_is_not_there),
		cmocka_unit_test(names_in_order_make_no_list),
		cmocka_unit_test(as_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
