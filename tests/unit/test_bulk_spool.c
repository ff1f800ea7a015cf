/* test_bulk_spool.c - what a job of many lines keeps on disk */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "jobs/bulk_spool.h"

static char top[] = "/tmp/inferfs-spool.XXXXXX";
static const struct bulk_place here = { 7, 9 };

/* a broker of which only the directory is looked at */
static int setup(void **state)
{
	struct broker *b = calloc(1, sizeof(*b));

	(void)memcpy(top, "/tmp/inferfs-spool.XXXXXX", sizeof(top));
	if (!b || !mkdtemp(top))
		return -1;
	b->o.jobs_dirfd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = b;
	return b->o.jobs_dirfd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct broker *b = *state;

	(void)close(b->o.jobs_dirfd);
	free(b);
	return fdio_remove_tree(AT_FDCWD, top);
}

static struct buf bytes_of(const char *text)
{
	struct buf b = BUF_INIT((size_t)1 << 24);

	assert_int_equal(buf_adds(&b, text), 0);
	return b;
}

static void put(struct broker *b, struct bulk_place p, enum bulk_file f, const char *text)
{
	int fd = bulk_spool_open(b, p, f, O_WRONLY | O_CREAT | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(fdio_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(close(fd), 0);
}

static void assert_says(struct broker *b, struct bulk_place p, enum bulk_file f, const char *want)
{
	struct buf got = BUF_INIT((size_t)1 << 24);
	int fd = bulk_spool_open(b, p, f, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fdio_read_all(fd, &got), 0);
	assert_string_equal(buf_str(&got), want);
	(void)close(fd);
	buf_done(&got);
}

/* ---- failures first ---- */

static void files_need_their_directory(void **state)
{
	struct broker *b = *state;
	uint64_t size = 4711;

	assert_int_equal(bulk_spool_open(b, here, BULK_SPOOL_INPUT, O_RDONLY), -ENOENT);
	assert_int_equal(bulk_spool_open(b, here, BULK_SPOOL_STREAM, O_RDWR | O_CREAT), -ENOENT);
	assert_int_equal(bulk_spool_size(b, here, BULK_SPOOL_OUTPUT, &size), -ENOENT);
	assert_int_equal(size, 4711);
	assert_int_equal(bulk_spool_rename(b, here, BULK_SPOOL_OUTPUT_NEW, BULK_SPOOL_OUTPUT),
			 -ENOENT);
	assert_int_equal(bulk_spool_inherit(b, here, 8), -ENOENT);
	bulk_spool_forget(b, here);
	bulk_spool_remove(b, here.lines);
	assert_int_equal(bulk_spool_make(b, here.lines), 0);
	assert_int_equal(bulk_spool_make(b, here.lines), 0);
	assert_int_equal(bulk_spool_open(b, here, BULK_SPOOL_INPUT, O_RDONLY), -ENOENT);
}

static void no_directory_for_jobs_is_told(void **state)
{
	struct broker none = { 0 };

	assert_true(bulk_spool_there(*state));
	assert_false(bulk_spool_there(&none));
	none.o.jobs_dirfd = -1;
	assert_false(bulk_spool_there(&none));
	assert_int_equal(bulk_spool_make(&none, 1), -EBADF);
}

/* somebody with access to the state directory does not lead us out of it */
static void links_are_not_followed(void **state)
{
	struct broker *b = *state;
	uint64_t size;

	assert_int_equal(bulk_spool_make(b, 7), 0);
	assert_int_equal(symlinkat("/etc/hostname", b->o.jobs_dirfd, "7/stream.9"), 0);
	assert_int_equal(bulk_spool_open(b, here, BULK_SPOOL_STREAM, O_RDONLY), -ELOOP);
	assert_int_equal(bulk_spool_open(b, here, BULK_SPOOL_STREAM, O_RDWR | O_CREAT), -ELOOP);
	assert_int_equal(bulk_spool_size(b, here, BULK_SPOOL_STREAM, &size), 0);
	assert_int_equal(size, strlen("/etc/hostname"));
	bulk_spool_forget(b, here);
	assert_int_equal(access("/etc/hostname", F_OK), 0);
	assert_int_equal(bulk_spool_size(b, here, BULK_SPOOL_STREAM, &size), -ENOENT);
}

static void nothing_can_be_put_where_nothing_is_written(void **state)
{
	struct broker *b = *state;
	struct buf text = bytes_of("line\n");
	struct bulk_out o;
	int fd;

	assert_int_equal(bulk_spool_make(b, 7), 0);
	put(b, here, BULK_SPOOL_OUTPUT, "old");
	fd = bulk_spool_open(b, here, BULK_SPOOL_OUTPUT, O_RDONLY);
	assert_int_equal(bulk_spool_append(fd, 0, &text), -EBADF);
	bulk_spool_out(&o, fd);
	assert_int_equal(bulk_spool_add(&o, &text), 0); /* it is only collected yet */
	assert_int_equal(bulk_spool_flush(&o), -EBADF);
	assert_int_equal(o.buf.len, text.len); /* kept for another try */
	assert_int_equal(bulk_spool_end(&o), -EBADF);
	assert_int_equal(o.fd, -1);
	assert_int_equal(bulk_spool_end(&o), 0);
	assert_says(b, here, BULK_SPOOL_OUTPUT, "old");
	buf_done(&text);
}

static void a_sum_needs_a_file_that_can_be_read(void **state)
{
	struct broker *b = *state;
	struct key sum = { { 1 } }, before = sum;
	uint64_t size = 0;
	int fd;

	assert_int_equal(bulk_spool_copy(-1, -1, &sum, &size), -EBADF);
	assert_int_equal(bulk_spool_copy(b->o.jobs_dirfd, -1, &sum, &size), -EISDIR);
	assert_true(key_equal(&sum, &before));
	assert_int_equal(bulk_spool_make(b, 7), 0);
	put(b, here, BULK_SPOOL_INPUT, "text");
	fd = bulk_spool_open(b, here, BULK_SPOOL_INPUT, O_RDONLY);
	assert_int_equal(bulk_spool_copy(fd, fd, &sum, &size),
			 -EBADF); /* a full disk is like this */
	assert_true(key_equal(&sum, &before));
	(void)close(fd);
}

/* ---- names ---- */

static void rows_and_files_are_apart(void **state)
{
	static const int64_t jobs[] = { 1, 9, 90, INT64_MAX };
	struct broker *b = *state;
	char text[64];

	assert_int_equal(bulk_spool_make(b, INT64_MAX), 0);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		for (enum bulk_file f = 0; f < BULK_SPOOL_FILES; f++) {
			(void)snprintf(text, sizeof(text), "%lld %d", (long long)jobs[i], f);
			put(b, (struct bulk_place){ INT64_MAX, jobs[i] }, f, text);
		}
	bulk_spool_forget(b, (struct bulk_place){ INT64_MAX, 9 });
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		for (enum bulk_file f = 0; f < BULK_SPOOL_FILES; f++) {
			struct bulk_place p = { INT64_MAX, jobs[i] };
			uint64_t size;

			(void)snprintf(text, sizeof(text), "%lld %d", (long long)jobs[i], f);
			if (jobs[i] == 9)
				assert_int_equal(bulk_spool_size(b, p, f, &size), -ENOENT);
			else
				assert_says(b, p, f, text);
		}
	bulk_spool_remove(b, INT64_MAX);
	assert_int_equal(bulk_spool_open(b, (struct bulk_place){ INT64_MAX, 1 }, BULK_SPOOL_INPUT,
					 O_RDONLY),
			 -ENOENT);
}

static void files_are_for_the_owner_alone(void **state)
{
	struct broker *b = *state;
	struct stat st;

	assert_int_equal(bulk_spool_make(b, 7), 0);
	put(b, here, BULK_SPOOL_INPUT, "secret");
	assert_int_equal(fstatat(b->o.jobs_dirfd, "7", &st, 0), 0);
	assert_int_equal(st.st_mode & 077, 0);
	assert_int_equal(fstatat(b->o.jobs_dirfd, "7/input.9", &st, 0), 0);
	assert_int_equal(st.st_mode & 0177, 0);
}

static void a_new_output_takes_the_place_of_the_old(void **state)
{
	struct broker *b = *state;
	uint64_t size = 0;
	int old;
	char c;

	assert_int_equal(bulk_spool_make(b, 7), 0);
	put(b, here, BULK_SPOOL_OUTPUT, "old");
	put(b, here, BULK_SPOOL_OUTPUT_NEW, "newer");
	old = bulk_spool_open(b, here, BULK_SPOOL_OUTPUT, O_RDONLY);
	assert_int_equal(bulk_spool_rename(b, here, BULK_SPOOL_OUTPUT_NEW, BULK_SPOOL_OUTPUT), 0);
	assert_says(b, here, BULK_SPOOL_OUTPUT, "newer");
	assert_int_equal(bulk_spool_size(b, here, BULK_SPOOL_OUTPUT, &size), 0);
	assert_int_equal(size, 5);
	assert_int_equal(pread(old, &c, 1, 0), 1); /* who has it open keeps it */
	assert_int_equal(c, 'o');
	(void)close(old);
	assert_int_equal(bulk_spool_rename(b, here, BULK_SPOOL_OUTPUT_NEW, BULK_SPOOL_OUTPUT),
			 -ENOENT);
	assert_says(b, here, BULK_SPOOL_OUTPUT, "newer");
}

static void an_input_outlives_the_row_that_it_came_from(void **state)
{
	struct broker *b = *state;

	assert_int_equal(bulk_spool_make(b, 7), 0);
	put(b, (struct bulk_place){ 7, 7 }, BULK_SPOOL_INPUT, "lines");
	put(b, (struct bulk_place){ 7, 7 }, BULK_SPOOL_STREAM, "results");
	assert_int_equal(bulk_spool_inherit(b, here, 7), 0);
	assert_int_equal(bulk_spool_inherit(b, here, 7), -EEXIST);
	bulk_spool_forget(b, (struct bulk_place){ 7, 7 });
	assert_says(b, here, BULK_SPOOL_INPUT, "lines");
	assert_int_equal(bulk_spool_open(b, here, BULK_SPOOL_STREAM, O_RDONLY), -ENOENT);
}

/* ---- walks ---- */

struct found {
	int64_t sum;
	unsigned n;
};

static void find(void *arg, int64_t id)
{
	struct found *f = arg;

	f->sum += id;
	f->n++;
}

static void walks_pass_over_what_is_not_theirs(void **state)
{
	static const char *const dirs[] = { "0", "-4", "12x", "x12", "lost+found", ".5", "5." };
	static const char *const files[] = { "3/input",	   "3/input.", "3/input.0", "3/input.-8",
					     "3/input.8~", "3/a.b.8",  "3/plain" };
	struct broker *b = *state;
	struct found f = { 0 };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		assert_int_equal(mkdirat(b->o.jobs_dirfd, dirs[i], 0700), 0);
	bulk_spool_each(b, find, &f);
	assert_int_equal(f.n, 0);
	assert_int_equal(bulk_spool_make(b, 3), 0);
	assert_int_equal(bulk_spool_make(b, 40), 0);
	bulk_spool_each(b, find, &f);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.sum, 43);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_int_equal(close(openat(b->o.jobs_dirfd, files[i], O_WRONLY | O_CREAT, 0600)),
				 0);
	f = (struct found){ 0 };
	bulk_spool_jobs(b, 3, find, &f);
	assert_int_equal(f.n, 0);
	put(b, (struct bulk_place){ 3, 5 }, BULK_SPOOL_INPUT, "");
	put(b, (struct bulk_place){ 3, 5 }, BULK_SPOOL_OUTPUT_NEW, "");
	put(b, (struct bulk_place){ 3, 600 }, BULK_SPOOL_STREAM, "");
	bulk_spool_jobs(b, 3, find, &f);
	assert_int_equal(f.n, 3); /* each file tells */
	assert_int_equal(f.sum, 610);
}

static void walks_over_nothing_end(void **state)
{
	struct broker *b = *state, none = { .o.jobs_dirfd = -1 };
	struct found f = { 0 };

	bulk_spool_each(&none, find, &f);
	bulk_spool_jobs(&none, 3, find, &f);
	bulk_spool_jobs(b, 3, find, &f);
	assert_int_equal(symlinkat("/tmp", b->o.jobs_dirfd, "3"), 0);
	bulk_spool_jobs(b, 3, find, &f);
	bulk_spool_remove(b, 3); /* the link, never what is behind it */
	assert_int_equal(access("/tmp", F_OK), 0);
	assert_int_equal(f.n, 0);
}

static void forget_it(void *arg, int64_t job)
{
	bulk_spool_forget(arg, (struct bulk_place){ 3, job });
}

static void what_is_found_may_be_removed_at_once(void **state)
{
	struct broker *b = *state;
	struct found f = { 0 };

	assert_int_equal(bulk_spool_make(b, 3), 0);
	for (int64_t j = 1; j <= 200; j++)
		put(b, (struct bulk_place){ 3, j }, BULK_SPOOL_STREAM, "");
	bulk_spool_jobs(b, 3, forget_it, b);
	bulk_spool_jobs(b, 3, find, &f);
	assert_int_equal(f.n, 0);
}

/* ---- bytes ---- */

static void the_sum_is_of_every_block(void **state)
{
	static const size_t sizes[] = { 0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 600000 };
	struct broker *b = *state;
	char *text = calloc(1, 600001);

	assert_non_null(text);
	assert_int_equal(bulk_spool_make(b, 7), 0);
	for (size_t i = 0; i < 600000; i++)
		text[i] = (char)('a' + i * 7 % 26);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char kept = text[sizes[i]];
		struct key sum, want;
		uint64_t size = 1;
		int from, to;

		text[sizes[i]] = '\0';
		put(b, here, BULK_SPOOL_INPUT, text);
		from = bulk_spool_open(b, here, BULK_SPOOL_INPUT, O_RDONLY);
		assert_true(lseek(from, 3, SEEK_SET) == 3); /* of no matter: from the beginning */
		to = bulk_spool_open(b, here, BULK_SPOOL_STREAM, O_WRONLY | O_CREAT | O_TRUNC);
		assert_int_equal(bulk_spool_copy(from, to, &sum, &size), 0);
		assert_int_equal(size, sizes[i]);
		assert_int_equal(key_of(text, sizes[i], &want), 0);
		assert_true(key_equal(&sum, &want));
		assert_says(b, here, BULK_SPOOL_STREAM, text);
		assert_int_equal(bulk_spool_copy(from, -1, &sum, &size), 0); /* only the sum */
		assert_true(key_equal(&sum, &want));
		assert_int_equal(lseek(from, 0, SEEK_CUR), 3);
		text[sizes[i]] = kept;
		(void)close(from);
		(void)close(to);
	}
	free(text);
}

static void lines_are_collected_and_kept_in_order(void **state)
{
	enum { LINES = 20000 };
	struct broker *b = *state;
	struct buf line = BUF_INIT(128), want = BUF_INIT((size_t)1 << 24);
	struct bulk_out o;
	uint64_t there = 0;

	assert_int_equal(bulk_spool_make(b, 7), 0);
	bulk_spool_out(&o, bulk_spool_open(b, here, BULK_SPOOL_OUTPUT, O_WRONLY | O_CREAT));
	assert_true(o.fd >= 0);
	for (unsigned i = 0; i < LINES; i++) {
		buf_clear(&line);
		assert_int_equal(buf_addf(&line, "{\"custom_id\":\"line %u\"}\n", i), 0);
		assert_int_equal(buf_adds(&want, buf_str(&line)), 0);
		assert_int_equal(bulk_spool_add(&o, &line), 0);
		assert_true(o.buf.len < (256 << 10)); /* memory is bounded */
	}
	assert_int_equal(o.bytes, want.len);
	assert_int_equal(bulk_spool_size(b, here, BULK_SPOOL_OUTPUT, &there), 0);
	assert_true(there > 0 && there < want.len);
	assert_int_equal(bulk_spool_end(&o), 0);
	assert_says(b, here, BULK_SPOOL_OUTPUT, buf_str(&want));
	buf_done(&line);
	buf_done(&want);
}

/* an appended line that failed is not counted: the next one takes its place */
static void an_append_is_where_it_is_told(void **state)
{
	struct broker *b = *state;
	struct buf one = bytes_of("one\n"), long_one = bytes_of("the longer one\n");
	struct buf nothing = BUF_INIT(16);
	int fd;

	assert_int_equal(bulk_spool_make(b, 7), 0);
	fd = bulk_spool_open(b, here, BULK_SPOOL_STREAM, O_RDWR | O_CREAT);
	assert_int_equal(bulk_spool_append(fd, 0, &nothing), 0);
	assert_int_equal(bulk_spool_append(fd, 0, &one), 0);
	assert_int_equal(bulk_spool_append(fd, 4, &long_one), 0);
	assert_says(b, here, BULK_SPOOL_STREAM, "one\nthe longer one\n");
	assert_int_equal(bulk_spool_append(fd, 4, &one), 0);
	assert_says(b, here, BULK_SPOOL_STREAM, "one\none\nlonger one\n");
	(void)close(fd);
	buf_done(&one);
	buf_done(&long_one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(files_need_their_directory),
		T(no_directory_for_jobs_is_told),
		T(links_are_not_followed),
		T(nothing_can_be_put_where_nothing_is_written),
		T(a_sum_needs_a_file_that_can_be_read),
		T(rows_and_files_are_apart),
		T(files_are_for_the_owner_alone),
		T(a_new_output_takes_the_place_of_the_old),
		T(an_input_outlives_the_row_that_it_came_from),
		T(walks_pass_over_what_is_not_theirs),
		T(walks_over_nothing_end),
		T(what_is_found_may_be_removed_at_once),
		T(the_sum_is_of_every_block),
		T(lines_are_collected_and_kept_in_order),
		T(an_append_is_where_it_is_told),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
