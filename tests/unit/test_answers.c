/*
 * test_answers.c - the files that make a response its user's own
 */
#include "sample.h"

#include <pthread.h>

#include "ledger/answers.h"

static struct answers *ans;

static int setup(void **state)
{
	(void)scratch_setup(state);
	return answers_open(*state, 0, &ans);
}

static int teardown(void **state)
{
	ans = answers_close(ans);
	return scratch_teardown(state);
}

static struct answers_id id_of(unsigned n, uint32_t index)
{
	return (struct answers_id){ .key = sample_key(n), .index = index, .variant = 99 };
}

static void expect(struct answers_id id, const char *want)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20), q = BUF_INIT(1 << 20);
	int rc = answers_read(ans, &id, &b);

	assert_int_equal(rc, want ? 0 : -ENOENT);
	if (want)
		assert_string_equal(buf_str(&b), want);
	rc = answers_read_nowait(ans, &id, &q);
	if (rc != -EAGAIN)
		assert_int_equal(rc, want ? 0 : -ENOENT);
	if (!rc)
		assert_string_equal(buf_str(&q), want);
}

static void nothing_there(void **state)
{
	struct answers_id id = id_of(1, 0);
	struct answers *none = NULL;
	AUTO_FREE char *file = str_printf("%s/file", (char *)*state);
	AUTO_FD int fd = open(file, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	id.variant = 0;
	expect(id, NULL);
	assert_int_equal(answers_remove(ans, &id), 0);
	assert_int_equal(answers_open(file, 0, &none), -ENOTDIR);
	assert_null(none);
	assert_null(answers_close(NULL));
}

static void names(void **state)
{
	struct answers_id id = { .index = UINT32_MAX };
	char name[ANSWERS_NAME_MAX];

	(void)state;
	memset(id.key.b, 0xab, sizeof(id.key.b));
	answers_name(&id, name);
	assert_string_equal(name,
			    "ab/ab/abababababababababababababababababababababababababababababababab"
			    ".4294967295.json");
	id.variant = 9999;
	answers_name(&id, name);
	assert_string_equal(name,
			    "ab/ab/abababababababababababababababababababababababababababababababab"
			    ".4294967295.9999.json");
}

static void variants(void **state)
{
	struct answers_id a = id_of(1, 0), b = id_of(1, 0), c = id_of(1, 0), d = id_of(1, 1);

	(void)state;
	assert_int_equal(answers_put(ans, &a, "first", 5), 0);
	assert_int_equal(a.variant, 0);
	assert_int_equal(answers_put(ans, &b, "other", 5), 0);
	assert_int_equal(b.variant, 1);
	assert_int_equal(answers_put(ans, &c, "first", 5), 0);
	assert_int_equal(c.variant, 0);
	assert_int_equal(answers_put(ans, &c, "other", 5), 0);
	assert_int_equal(c.variant, 1);
	assert_int_equal(answers_put(ans, &c, "longer than those", 17), 0);
	assert_int_equal(c.variant, 2);
	assert_int_equal(answers_put(ans, &d, "", 0), 0);
	assert_int_equal(d.variant, 0);
	expect(a, "first");
	expect(b, "other");
	expect(c, "longer than those");
	expect(d, "");
	assert_int_equal(answers_remove(ans, &a), 0);
	expect(a, NULL);
	assert_int_equal(answers_put(ans, &c, "new", 3), 0);
	assert_int_equal(c.variant, 0); /* the first free one */
	expect(b, "other");
}

/* ---- links ---- */

struct linker {
	int rc; /* 0: make the link */
	int from;
	const char *name;
	unsigned calls;
};

static int make_link(void *arg, int dirfd, const char *name)
{
	struct linker *l = arg;

	l->calls++;
	if (l->rc)
		return l->rc;
	return linkat(l->from, l->name, dirfd, name, 0) < 0 ? -errno : 0;
}

static void adopting(void **state)
{
	/* a miss, two refusals, a broken source: the bytes are at hand whatever it is */
	static const int refusals[] = { 1, -EXDEV, -EOPNOTSUPP, -ENOENT, -EIO };
	struct linker l = { .from = answers_dirfd(ans), .name = "source" };
	struct answers_source src = { "bytes", 5, make_link, &l };
	struct answers_id id = id_of(1, 0);
	char name[ANSWERS_NAME_MAX];
	struct stat st;

	(void)state;
	assert_int_equal(fdio_put(answers_dirfd(ans), "source", "bytes", 5, 0, 0644), 0);
	assert_int_equal(answers_adopt(ans, &id, &src), 0);
	assert_int_equal(id.variant, 0);
	answers_name(&id, name);
	assert_int_equal(fstatat(answers_dirfd(ans), name, &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
	l.calls = 0;
	assert_int_equal(answers_adopt(ans, &id, &src), 0);
	assert_int_equal(l.calls, 0); /* there already */
	for (unsigned i = 0; i < ARRAY_LEN(refusals); i++) {
		l.rc = refusals[i];
		id = id_of(10 + i, 0);
		assert_int_equal(answers_adopt(ans, &id, &src), 0);
		expect(id, "bytes");
	}
}

/* ---- crashes, full disks, many threads ---- */

static void leftovers_go_at_start(void **state)
{
	struct answers_id id = id_of(1, 0);

	assert_int_equal(answers_put(ans, &id, "kept", 4), 0);
	assert_int_equal(fdio_put(answers_dirfd(ans), "tmp/77", "half", 4, 0, 0600), 0);
	ans = answers_close(ans);
	assert_int_equal(answers_open(*state, 1, &ans), 0);
	assert_int_equal(faccessat(answers_dirfd(ans), "tmp/77", F_OK, 0), -1);
	expect(id, "kept");
	id = id_of(2, 0);
	assert_int_equal(answers_put(ans, &id, "synced", 6), 0);
	expect(id, "synced");
	assert_int_equal(fdio_remove_tree(answers_dirfd(ans), "tmp"), 0); /* by somebody's hand */
	id = id_of(3, 0);
	assert_int_equal(answers_put(ans, &id, "again", 5), 0);
	expect(id, "again");
}

static void full_disk(void **state)
{
	AUTO_FREE char *big = calloc(1, 300 << 10);
	AUTO_FREE char *dir = str_printf("%s/disk", (char *)*state);
	struct answers_id id = id_of(1, 0), small = id_of(2, 0);
	struct answers *a = NULL;
	struct stat st;

	assert_non_null(big);
	assert_int_equal(mkdir(dir, 0700), 0);
	if (!full_disk_mount(dir, "128k"))
		return;
	assert_int_equal(answers_open(dir, 0, &a), 0);
	assert_int_equal(answers_put(a, &small, "small", 5), 0);
	assert_int_equal(answers_put(a, &id, big, 300 << 10), -ENOSPC);
	assert_int_equal(id.variant, 99); /* untouched */
	assert_int_equal(fstatat(answers_dirfd(a), "tmp", &st, 0), 0);
	id.variant = 0;
	{
		AUTO_BUF struct buf b = BUF_INIT(1 << 20);

		assert_int_equal(answers_read(a, &id, &b), -ENOENT);
		assert_int_equal(answers_put(a, &small, "small", 5), 0);
	}
	answers_close(a);
	full_disk_unmount(dir);
}

static void *putter(void *arg)
{
	unsigned no = *(const unsigned *)arg;

	for (unsigned i = 0; i < 100; i++) {
		AUTO_BUF struct buf b = BUF_INIT(100);
		struct answers_id id = id_of(i % 10, 0);
		char text[16];
		int n = snprintf(text, sizeof(text), "%u", (no + i) % 3);

		if (answers_put(ans, &id, text, (size_t)n) || id.variant > 2 ||
		    answers_read(ans, &id, &b) || strcmp(buf_str(&b), text) != 0)
			return arg;
	}
	return NULL;
}

static void many_threads(void **state)
{
	unsigned no[6];
	pthread_t t[6];
	void *bad;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		no[i] = i;
		assert_int_equal(pthread_create(&t[i], NULL, putter, &no[i]), 0);
	}
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_there),	  T(names),	T(variants),	T(adopting),
		T(leftovers_go_at_start), T(full_disk), T(many_threads)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
