/* test_prompts_name.c - what is a request, and which names cannot live side by side */
/* LDFLAGS: -Wl,-z,muldefs */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/fdio.h"
#include "fakes/broker.c"
#include "fakes/vfs.c"
#include "vfs/prompts_inside.h"

static const char *const suffixes[] = { ".json", ".txt", ".md", ".jsonl", ".batch.jsonl", NULL };

static void not_a_request(void **state)
{
	static const char *const names[] = { "",
					     ".json",
					     "a",
					     ".a.json",
					     "README.md",
					     "readme.json",
					     "ReadMe-first.txt",
					     "a.json~",
					     "a.JSON",
					     "a.jsonx",
					     "json",
					     ".batch.jsonl" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_null(prompts_name_suffix(suffixes, names[i]));
}

static void longest_suffix(void **state)
{
	(void)state;
	assert_string_equal(prompts_name_suffix(suffixes, "sky.json"), ".json");
	assert_string_equal(prompts_name_suffix(suffixes, "a.b.txt"), ".txt");
	assert_string_equal(prompts_name_suffix(suffixes, "cheap.batch.jsonl"), ".batch.jsonl");
	assert_string_equal(prompts_name_suffix(suffixes, "cheap.batch.json"), ".json");
	assert_string_equal(prompts_name_suffix(suffixes, "xbatch.jsonl"), ".jsonl");
	assert_true(prompts_name_job(".jsonl"));
	assert_true(prompts_name_job(".batch.jsonl"));
	assert_false(prompts_name_job(".json"));
}

static void clashes(void **state)
{
	(void)state;
	assert_true(prompts_name_clash(suffixes, "a.json", false, "a.txt", false));
	assert_true(prompts_name_clash(suffixes, "a.json", false, "a", true));
	assert_true(prompts_name_clash(suffixes, "a", true, "a.batch.jsonl", false));
	assert_true(prompts_name_clash(suffixes, "a.json", true, "a.json.txt", false));
	assert_false(prompts_name_clash(suffixes, "a.json", true, "a.txt", false));
	assert_false(prompts_name_clash(suffixes, "a.json", false, "ab.json", false));
	assert_false(prompts_name_clash(suffixes, "a.json", false, "a.json~", false));
	assert_false(prompts_name_clash(suffixes, "a", true, "a", true));
	assert_false(prompts_name_clash(suffixes, ".a", true, ".a.json", false));
	assert_false(prompts_name_clash(suffixes, "a.batch.jsonl", false, "a.batch", true));
}

/* ---- in a directory ----------------------------------------------------------------------------------- */

static char top[64];
static struct vfs *v;
static struct prompts_node *root;

static int setup(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/names-XXXXXX");
	assert_non_null(mkdtemp(top));
	v = calloc(1, sizeof(*v));
	v->broker = fake_new();
	v->o.namespaces_fd = -1;
	v->o.prompts_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	v->o.suffixes = suffixes;
	assert_int_equal(prompts_new(v, NULL), 0);
	root = prompts_node_get(v->prompts, PROMPTS_ROOT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free();
	prompts_free(v);
	close(v->o.prompts_fd);
	free(v);
	return fdio_remove_tree(AT_FDCWD, top);
}

static void file(const char *name)
{
	int fd = openat(v->o.prompts_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static int conflict(const char *name, bool is_dir)
{
	return prompts_name_conflict(v->prompts, root, name, is_dir, NULL);
}

static void one_stem_one_request(void **state)
{
	(void)state;
	file("sky.json");
	assert_int_equal(conflict("sky.txt", false), -EEXIST);
	assert_int_equal(conflict("sky.batch.jsonl", false), -EEXIST);
	assert_int_equal(conflict("sky", true), -EEXIST);
	assert_int_equal(conflict("sky.json", false), 0); /* the call itself says EEXIST */
	assert_int_equal(conflict("sky", false), 0);
	assert_int_equal(conflict("sky.json~", false), 0);
	assert_int_equal(conflict(".sky.txt", false), 0);
	assert_int_equal(prompts_name_conflict(v->prompts, root, "sky.txt", false, "sky.json"), 0);
	file("a.batch.jsonl");
	assert_int_equal(conflict("a.batch.json", false), 0);
	assert_int_equal(conflict("a.md", false), -EEXIST);
}

static void directory_and_request(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(v->o.prompts_fd, "sky", 0755), 0);
	assert_int_equal(conflict("sky.json", false), -EEXIST);
	assert_int_equal(prompts_name_conflict(v->prompts, root, "sky.json", false, "sky"), 0);
	assert_int_equal(conflict("sky.csv", false), 0);
	/* a link is never a request */
	assert_int_equal(symlinkat("x", v->o.prompts_fd, "l.json"), 0);
	assert_int_equal(conflict("l.txt", false), 0);
	assert_int_equal(conflict("l", true), 0);
}

static void long_names(void **state)
{
	char name[256];

	(void)state;
	memset(name, 'a', 255);
	memcpy(name + 252, ".md", 4);
	assert_int_equal(conflict(name, false), 0);
	memset(name, 'a', 255);
	assert_int_equal(conflict(name, true), 0);
}

static void nothing_is_sent_from_here(void **state)
{
	struct prompts_node *d, *below, *hidden;
	struct stat st;

	(void)state;
	assert_int_equal(mkdirat(v->o.prompts_fd, "d", 0755), 0);
	assert_int_equal(mkdirat(v->o.prompts_fd, "d/below", 0755), 0);
	assert_int_equal(mkdirat(v->o.prompts_fd, "d/.git", 0755), 0);
	fstatat(v->o.prompts_fd, "d", &st, 0);
	d = prompts_node_take(v->prompts, root, "d", &st);
	fstatat(v->o.prompts_fd, "d/below", &st, 0);
	below = prompts_node_take(v->prompts, d, "below", &st);
	fstatat(v->o.prompts_fd, "d/.git", &st, 0);
	hidden = prompts_node_take(v->prompts, d, ".git", &st);
	assert_true(prompts_name_sends(v->prompts, below));
	assert_false(prompts_name_sends(v->prompts, hidden));
	assert_non_null(prompts_name_request(v->prompts, below, "a.json"));
	/* a directory of that name is not meant */
	assert_int_equal(mkdirat(v->o.prompts_fd, ".noinfer", 0755), 0);
	assert_true(prompts_name_sends(v->prompts, below));
	file("d/.noinfer");
	assert_false(prompts_name_sends(v->prompts, below));
	assert_null(prompts_name_request(v->prompts, below, "a.json"));
	assert_true(prompts_name_sends(v->prompts, root));
	file("d/a.json");
	assert_int_equal(prompts_name_conflict(v->prompts, d, "a.txt", false, NULL), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_a_request), cmocka_unit_test(longest_suffix),
		cmocka_unit_test(clashes),	 T(one_stem_one_request),
		T(directory_and_request),	 T(long_names),
		T(nothing_is_sent_from_here),
	};

	return cmocka_run_group_tests_name("prompts_name", tests, NULL, NULL);
}
