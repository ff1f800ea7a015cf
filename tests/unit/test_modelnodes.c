/* test_modelnodes.c - names below models/BACKEND keep their numbers, whatever lists come */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/auto.h"
#include "vfs/modelnodes.h"

static struct modelnodes t;

static int setup(void **state)
{
	(void)state;
	modelnodes_init(&t);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	modelnodes_done(&t);
	return 0;
}

/* a list of models from ids with a blank between them */
static void set(const char *ids)
{
	json_t *list = json_array();

	for (const char *p = ids, *end; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, ' ');
		assert_int_equal(json_array_append_new(list, json_pack("{s:s%}", "id", p,
								       (size_t)(end - p))),
				 0);
	}
	modelnodes_set(&t, list);
	json_decref(list);
}

/* by a path whose parts are separated by '/', there or not */
static const struct modelnode *at(const char *path)
{
	const struct modelnode *n = NULL;
	uint32_t parent = 0;
	char part[300];

	for (const char *end;; path = end + 1) {
		end = strchrnul(path, '/');
		(void)snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		n = modelnodes_find(&t, parent, part);
		if (!n || !*end)
			return n;
		parent = n->number;
	}
}

static bool there(const char *path)
{
	const struct modelnode *n = at(path);

	assert_true(!n || modelnodes_get(&t, n->number) == (n->there ? n : NULL));
	return n && n->there;
}

static void empty(void **state)
{
	(void)state;
	assert_null(modelnodes_get(&t, 0));
	assert_null(modelnodes_get(&t, 1));
	assert_null(modelnodes_get(&t, UINT32_MAX));
	assert_null(modelnodes_find(&t, 0, ""));
	assert_null(modelnodes_find(&t, 0, "a.json"));
	set("");
	assert_int_equal(t.n, 0);
	modelnodes_set(&t, NULL);
	assert_int_equal(t.n, 0);
}

static void a_file_for_each_model(void **state)
{
	(void)state;
	set("small large");
	assert_true(there("small.json"));
	assert_false(there("small"));
	assert_int_equal(at("small.json")->at, 0);
	assert_int_equal(at("large.json")->at, 1);
	assert_int_equal(at("large.json")->parent, 0);
	assert_false(at("large.json")->dir);
	assert_true(at("small.json")->number != 0);
}

static void slashes_are_directories(void **state)
{
	(void)state;
	set("org/team/m1 org/team/m2 org/m3");
	assert_true(at("org")->dir && at("org/team")->dir);
	assert_int_equal(at("org/team")->parent, at("org")->number);
	assert_int_equal(at("org/team/m1.json")->parent, at("org/team")->number);
	assert_int_equal(at("org/m3.json")->at, 2);
	assert_int_equal(t.n, 5);
	assert_null(at("team"));
	assert_null(at("m3.json"));
}

/* the same last part in two directories: told apart by the parent */
static void one_name_in_many_places(void **state)
{
	(void)state;
	set("a/m b/m m c/a/m");
	assert_int_equal(at("a/m.json")->at, 0);
	assert_int_equal(at("b/m.json")->at, 1);
	assert_int_equal(at("m.json")->at, 2);
	assert_int_equal(at("c/a/m.json")->at, 3);
	assert_true(at("c/a") != at("a"));
}

static void prefixes_are_other_names(void **state)
{
	(void)state;
	set("model model-2 mod");
	assert_true(there("model.json") && there("model-2.json") && there("mod.json"));
	assert_false(there("mode.json"));
	assert_false(there("model"));
	assert_false(there("model.jso"));
	assert_false(there("model.json2"));
	assert_null(modelnodes_find(&t, 0, ""));
}

static void numbers_stay(void **state)
{
	uint32_t a, b, ab;

	(void)state;
	set("x/a x/b");
	a = at("x/a.json")->number;
	b = at("x/b.json")->number;
	set("x/b new");
	assert_false(there("x/a.json"));
	assert_null(modelnodes_get(&t, a));
	assert_int_equal(at("x/a.json")->number, a); /* found, but not there */
	assert_int_equal(at("x/b.json")->number, b);
	assert_int_equal(at("x/b.json")->at, 0);
	ab = at("new.json")->number;
	assert_true(ab != a && ab != b);
	set("new x/b x/a");
	assert_int_equal(at("x/a.json")->number, a);
	assert_int_equal(at("x/a.json")->at, 2);
	assert_ptr_equal(modelnodes_get(&t, a), at("x/a.json"));
	assert_int_equal(at("new.json")->number, ab);
}

static void a_directory_goes_with_its_last_model(void **state)
{
	uint32_t dir;

	(void)state;
	set("org/a org/b");
	dir = at("org")->number;
	set("org/b");
	assert_true(there("org"));
	set("other");
	assert_false(there("org"));
	assert_null(modelnodes_get(&t, dir));
	set("");
	assert_false(there("other.json"));
	set("org/c");
	assert_int_equal(modelnodes_get(&t, dir)->number, dir);
	assert_false(there("org/a.json"));
}

/* a model called as the directory of another with .json: whichever came first keeps the name */
static void a_directory_that_is_called_as_a_file(void **state)
{
	(void)state;
	set("m m.json/deep other");
	assert_false(at("m.json")->dir);
	assert_null(at("m.json/deep.json"));
	assert_true(there("other.json"));
	modelnodes_done(&t);
	modelnodes_init(&t);
	set("m.json/deep m other");
	assert_true(at("m.json")->dir);
	assert_int_equal(at("m.json/deep.json")->at, 0);
	assert_int_equal(at("other.json")->at, 2);
}

static void the_same_model_twice(void **state)
{
	(void)state;
	set("dup dup x/dup x/dup");
	assert_int_equal(t.n, 3);
	assert_int_equal(at("dup.json")->at, 1);
	assert_int_equal(at("x/dup.json")->at, 3);
}

/* no name is lost when the table and the map grow, and what is not there is found no more */
static void many(void **state)
{
	enum { N = 3000 };
	json_t *list = json_array();
	char id[64];

	(void)state;
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "dir%d/model%d", i % 100, i);
		assert_int_equal(json_array_append_new(list, json_pack("{s:s}", "id", id)), 0);
	}
	modelnodes_set(&t, list);
	assert_int_equal(t.n, N + 100);
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "dir%d/model%d.json", i % 100, i);
		assert_true(there(id));
		assert_int_equal(at(id)->at, i);
	}
	for (uint32_t k = 1; k <= t.n; k++)
		assert_int_equal(modelnodes_get(&t, k)->number, k);
	for (int i = N - 1; i > 0; i--)
		assert_int_equal(json_array_remove(list, (size_t)i), 0);
	modelnodes_set(&t, list);
	assert_true(there("dir0/model0.json"));
	assert_false(there("dir0/model100.json"));
	assert_false(there("dir1"));
	assert_int_equal(t.n, N + 100);
	json_decref(list);
}

/* ids are checked before; whatever comes, a file is one name below its directory */
static void odd_ids(void **state)
{
	static const char *const ids[] = { "/", "//", "a/", "/a", "a//b", ".", "..", "a/../b" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		set(ids[i]);
		for (uint32_t k = 1; k <= t.n; k++) {
			const struct modelnode *n = modelnodes_get(&t, k);

			if (!n)
				continue;
			assert_null(strchr(n->name, '/'));
			assert_true(n->parent < n->number);
			assert_int_equal(n->dir, !strstr(n->name, ".json"));
		}
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(empty),
		T(a_file_for_each_model),
		T(slashes_are_directories),
		T(one_name_in_many_places),
		T(prefixes_are_other_names),
		T(numbers_stay),
		T(a_directory_goes_with_its_last_model),
		T(a_directory_that_is_called_as_a_file),
		T(the_same_model_twice),
		T(many),
		T(odd_ids),
	};

	return cmocka_run_group_tests_name("modelnodes", tests, NULL, NULL);
}
