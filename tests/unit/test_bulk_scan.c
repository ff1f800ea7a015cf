/* test_bulk_scan.c - lines of files of any shape, in bounded memory; and the set of what was seen */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "jobs/bulk_scan.h"
#include "jobs/bulk_set.h"

static int file_of(const char *text, size_t n)
{
	char name[] = "/tmp/inferfs-scan.XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	return fd;
}

static void lines_and_their_numbers(void **state)
{
	static const char text[] = "one\r\n\n \t\r\ntwo\n\nthree";
	static const struct {
		const char *line;
		uint64_t no, off;
		bool ended;
	} wanted[] = { { "one\r", 1, 0, true }, { "two", 4, 10, true }, { "three", 6, 15, false } };
	int fd = file_of(text, sizeof(text) - 1);
	struct bulk_scan s = { .fd = -1 };
	struct bulk_text t;

	(void)state;
	bulk_scan_begin(&s, fd, 100);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(bulk_scan_next(&s, &t), 1);
		assert_int_equal(t.n, strlen(wanted[i].line));
		assert_memory_equal(t.p, wanted[i].line, t.n);
		assert_int_equal(t.no, wanted[i].no);
		assert_int_equal(t.off, wanted[i].off);
		assert_int_equal(t.nth, i);
		assert_true(t.ended == wanted[i].ended);
	}
	assert_int_equal(bulk_scan_next(&s, &t), 0);
	bulk_scan_done(&s);
	(void)close(fd);
}

/* every length around the maximum, at every place around the end of a block */
static void long_lines_across_blocks(void **state)
{
	enum { MAX = 5000, BLOCK = 128 << 10 };
	char *text = malloc(2 * BLOCK);

	(void)state;
	for (int shift = -3; shift <= 3; shift++) {
		for (int more = -2; more <= 2; more++) {
			size_t lead = (size_t)(BLOCK - MAX / 2 + shift), n = (size_t)(MAX + more);
			struct bulk_scan s = { .fd = -1 };
			AUTO_BUF struct buf again = BUF_INIT(2 * MAX);
			struct bulk_text t;
			int fd;

			memset(text, '\n', lead);
			memset(text + lead, 'x', n);
			memcpy(text + lead + n, "\nend\n", 5);
			fd = file_of(text, lead + n + 5);
			bulk_scan_begin(&s, fd, MAX);
			assert_int_equal(bulk_scan_next(&s, &t), 1);
			assert_true(t.too_long == (more > 0));
			assert_int_equal(t.n, more > 0 ? MAX : n);
			assert_int_equal(t.no, lead + 1);
			assert_int_equal(bulk_scan_one(fd, t.off, t.n, &again), 0);
			assert_memory_equal(again.data, t.p, t.n);
			assert_int_equal(bulk_scan_next(&s, &t), 1);
			assert_memory_equal(t.p, "end", 3);
			assert_int_equal(bulk_scan_next(&s, &t), 0);
			bulk_scan_done(&s);
			(void)close(fd);
		}
	}
	free(text);
}

static void reading_fails(void **state)
{
	struct bulk_scan s = { .fd = -1 };
	AUTO_BUF struct buf b = BUF_INIT(100);
	struct bulk_text t;
	int fd = file_of("abc", 3);

	(void)state;
	bulk_scan_begin(&s, -1, 10);
	assert_int_equal(bulk_scan_next(&s, &t), -EBADF);
	bulk_scan_done(&s);
	assert_int_equal(bulk_scan_one(fd, 0, 10, &b), -EIO);
	(void)close(fd);
}

static void a_set_of_many(void **state)
{
	enum { N = 20000 };
	struct bulk_set s = { 0 }, counts = { 0 };
	char name[32];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			int n = snprintf(name, sizeof(name), "line %d", i);

			assert_int_equal(bulk_set_add(&s, bulk_set_hash(name, (size_t)n)), !round);
			assert_int_equal(bulk_set_count(&counts, bulk_set_hash(name, (size_t)n)),
					 round + 1);
		}
	}
	assert_int_equal(s.n, N);
	assert_true(bulk_set_has(&s, bulk_set_hash("line 7", 6)));
	assert_false(bulk_set_has(&s, bulk_set_hash("line x", 6)));
	bulk_set_done(&s);
	assert_false(bulk_set_has(&s, bulk_set_hash("line 7", 6)));
	bulk_set_done(&counts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_their_numbers),
		cmocka_unit_test(long_lines_across_blocks),
		cmocka_unit_test(reading_fails),
		cmocka_unit_test(a_set_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
