/*
 * test_fdio.c - whole files, in a directory of the test's own
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/lock.h"
#include "base/str.h"

static int top = -1;
static char top_path[] = "/tmp/test_fdio.XXXXXX";

static int setup(void **state)
{
	(void)state;
	memcpy(top_path + strlen(top_path) - 6, "XXXXXX", 6);
	if (!mkdtemp(top_path))
		return -1;
	top = open(top_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)close(top);
	return fdio_remove_tree(AT_FDCWD, top_path);
}

static void put(const char *path, const char *text)
{
	assert_int_equal(fdio_put(top, path, text, strlen(text), 0, 0600), 0);
}

static void expect(const char *path, const char *text)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);

	assert_int_equal(fdio_read_file(top, path, &b), 0);
	assert_string_equal(buf_str(&b), text);
}

static bool exists(const char *path)
{
	struct stat st;

	return fstatat(top, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Names in a directory, the temporary ones too. */
static unsigned count_names(const char *path)
{
	DIR *d = fdopendir(openat(top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

static void test_read_failures(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(10);

	(void)state;
	assert_int_equal(fdio_read_file(top, "absent", &b), -ENOENT);
	assert_int_equal(fdio_read_file(top, ".", &b), -EISDIR);
	assert_int_equal(fdio_read_all(-1, &b), -EBADF);
	assert_int_equal(b.len, 0);
	put("f", "x");
	assert_int_equal(fdio_read_file(top, "f/g", &b), -ENOTDIR);
}

static void test_read_over_the_maximum(void **state)
{
	AUTO_BUF struct buf ten = BUF_INIT(10), eleven = BUF_INIT(11), none = BUF_INIT(0);

	(void)state;
	put("f", "0123456789A");
	assert_int_equal(fdio_read_file(top, "f", &ten), -EFBIG);
	assert_int_equal(fdio_read_file(top, "f", &eleven), 0);
	assert_string_equal(buf_str(&eleven), "0123456789A");
	assert_int_equal(fdio_read_file(top, "f", &none), -EFBIG);
	put("empty", "");
	assert_int_equal(fdio_read_file(top, "empty", &none), 0);
}

static void test_read_appends(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(10);

	(void)state;
	put("f", "def");
	assert_int_equal(buf_adds(&b, "abc"), 0);
	assert_int_equal(fdio_read_file(top, "f", &b), 0);
	assert_string_equal(buf_str(&b), "abcdef");
}

static void test_read_large(void **state)
{
	enum { N = 1000003 };
	AUTO_BUF struct buf in = BUF_INIT(N), out = BUF_INIT(N);

	(void)state;
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(buf_addc(&in, (char)(i * 31 % 251)), 0);
	assert_int_equal(fdio_put(top, "large", in.data, in.len, 0, 0600), 0);
	assert_int_equal(fdio_read_file(top, "large", &out), 0);
	assert_int_equal(out.len, N);
	assert_memory_equal(in.data, out.data, N);
}

static void on_alarm(int sig)
{
	(void)sig;
}

struct slow {
	int fd;
	size_t n;
};

static void *write_slowly(void *arg)
{
	struct slow *s = arg;

	for (size_t i = 0; i < s->n; i += 1000)
		if (fdio_write_all(s->fd, "0123456789", 10))
			break;
	(void)close(s->fd);
	return NULL;
}

/* A timer of signals without SA_RESTART over a pipe: reads and writes are short and interrupted. */
static void test_signals_and_short_reads(void **state)
{
	const struct itimerval often = { { 0, 200 }, { 0, 200 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct slow s = { -1, 20000000 };
	struct thread t;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	s.fd = ends[1];
	assert_int_equal(sigaction(SIGALRM, &sa, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	assert_int_equal(thread_start(&t, "slow", write_slowly, &s), 0);
	assert_int_equal(fdio_read_all(ends[0], &b), 0);
	thread_join(&t);
	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)sigaction(SIGALRM, &old, NULL);
	(void)close(ends[0]);
	assert_int_equal(b.len, 200000);
}

static void test_write_failure(void **state)
{
	AUTO_FD int fd = openat(top, ".", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(fdio_write_all(fd, "x", 1), -EBADF);
	assert_int_equal(fdio_write_all(fd, "", 0), 0);
}

static void test_put_failures_leave_nothing(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(top, "d", 0700), 0);
	assert_int_equal(mkdirat(top, "d/full", 0700), 0);
	put("d/full/x", "x");
	assert_int_equal(fdio_put(top, "absent/f", "x", 1, 0, 0600), -ENOENT);
	assert_int_equal(fdio_put(top, "d/full", "x", 1, 0, 0600), -EISDIR);
	put("d/there", "old");
	assert_int_equal(fdio_put(top, "d/there", "new", 3, FDIO_EXCL, 0600), -EEXIST);
	assert_int_equal(fdio_put(top, "d/there", "new", 3, FDIO_EXCL | FDIO_SYNC, 0600), -EEXIST);
	expect("d/there", "old");
	assert_int_equal(count_names("d"), 2);
	assert_int_equal(count_names("."), 1);
}

static void test_put_full_disk(void **state)
{
	(void)state;
	/* no bytes can be written there, and the temporary file must not stay */
	if (access("/dev/full", W_OK) != 0)
		skip();
	AUTO_FD int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_int_equal(fdio_write_all(fd, "x", 1), -ENOSPC);
}

static void test_put_name_too_long(void **state)
{
	char path[5000];

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(fdio_put(top, path, "x", 1, 0, 0600), -ENAMETOOLONG);
	path[4094] = '/';
	assert_int_equal(fdio_put(top, path, "x", 1, 0, 0600), -ENAMETOOLONG);
	assert_int_equal(fdio_mkdirs(top, path, 0700), -ENAMETOOLONG);
	assert_int_equal(fdio_sync_parent(top, path), -ENAMETOOLONG);
	assert_int_equal(count_names("."), 0);
}

static void test_put(void **state)
{
	static const unsigned all[] = { 0, FDIO_SYNC, FDIO_EXCL, FDIO_SYNC | FDIO_EXCL };
	AUTO_FREE char *absolute = str_printf("%s/absolute", top_path);
	char name[] = "f0";
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		name[1] = (char)('0' + i);
		assert_int_equal(fdio_put(top, name, "a\0b", 3, all[i], 0640), 0);
		assert_int_equal(fstatat(top, name, &st, 0), 0);
		assert_int_equal(st.st_size, 3);
		assert_int_equal(st.st_nlink, 1);
		assert_int_equal(st.st_mode & 07777, 0640);
	}
	assert_int_equal(count_names("."), 4);
	assert_int_equal(fdio_put(AT_FDCWD, absolute, "x", 1, FDIO_SYNC, 0600), 0);
	expect("absolute", "x");
}

static void test_put_replaces_whole(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);
	AUTO_FD int old = -1;

	(void)state;
	put("f", "the old text");
	old = openat(top, "f", O_RDONLY);
	put("f", "new");
	expect("f", "new");
	assert_int_equal(fdio_read_all(old, &b), 0); /* who had it open keeps it */
	assert_string_equal(buf_str(&b), "the old text");
}

static void *put_often(void *arg)
{
	char text[2000];

	memset(text, *(const char *)arg, sizeof(text));
	for (int i = 0; i < 300; i++)
		assert_int_equal(fdio_put(top, "shared", text, sizeof(text), 0, 0600), 0);
	return NULL;
}

static void test_readers_see_all_or_nothing(void **state)
{
	static char names[2] = { 'a', 'b' };
	struct thread t[2];

	(void)state;
	put("shared", "");
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(thread_start(&t[i], "put", put_often, &names[i]), 0);
	for (int i = 0; i < 300; i++) {
		AUTO_BUF struct buf b = BUF_INIT(4000);

		assert_int_equal(fdio_read_file(top, "shared", &b), 0);
		assert_true(b.len == 0 || b.len == 2000);
		for (size_t k = 1; k < b.len; k++)
			assert_int_equal(b.data[k], b.data[0]);
	}
	for (size_t i = 0; i < 2; i++)
		thread_join(&t[i]);
	assert_int_equal(count_names("."), 1);
}

static void test_excl_has_one_winner(void **state)
{
	int wins = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		wins += fdio_put(top, "once", "x", 1, FDIO_EXCL, 0600) == 0;
	assert_int_equal(wins, 1);
}

static void test_nowait(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100), small = BUF_INIT(2);
	int rc;

	(void)state;
	put("f", "hello");
	expect("f", "hello"); /* and so it is in the page cache */
	rc = fdio_read_file_nowait(top, "f", &b);
	assert_true(rc == 0 || rc == -EAGAIN);
	assert_string_equal(buf_str(&b), rc ? "" : "hello");
	rc = fdio_read_file_nowait(top, "f", &small);
	assert_true(rc == -EFBIG || rc == -EAGAIN);
	rc = fdio_read_file_nowait(top, "absent", &b);
	assert_true(rc == -ENOENT || rc == -EAGAIN);
}

static void test_mkdirs_failures(void **state)
{
	(void)state;
	put("f", "x");
	assert_int_equal(fdio_mkdirs(top, "", 0700), -ENOENT);
	assert_int_equal(fdio_mkdirs(top, "f", 0700), -ENOTDIR);
	assert_int_equal(fdio_mkdirs(top, "f/g", 0700), -ENOTDIR);
	assert_int_equal(symlinkat("nowhere", top, "dangling"), 0);
	assert_int_equal(fdio_mkdirs(top, "dangling", 0700), -ENOENT);
}

static void test_mkdirs(void **state)
{
	AUTO_FREE char *absolute = str_printf("%s/x/y", top_path);
	struct stat st;

	(void)state;
	assert_int_equal(fdio_mkdirs(top, "a/b//c/", 0750), 0);
	assert_int_equal(fstatat(top, "a/b/c", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(fdio_mkdirs(top, "a/b/c", 0750), 0);
	assert_int_equal(fdio_mkdirs(AT_FDCWD, absolute, 0700), 0);
	assert_true(exists("x/y"));
	assert_int_equal(fdio_mkdirs(top, ".", 0700), 0);
	assert_int_equal(fdio_mkdirs(AT_FDCWD, "/", 0700), 0);
}

static void test_sync_parent(void **state)
{
	AUTO_FREE char *absolute = str_printf("%s/f", top_path);

	(void)state;
	assert_int_equal(fdio_sync_parent(top, "absent/f"), -ENOENT);
	assert_int_equal(fdio_sync_parent(top, "f"), 0);
	assert_int_equal(fdio_sync_parent(AT_FDCWD, absolute), 0);
	assert_int_equal(fdio_sync_parent(AT_FDCWD, "/f"), 0);
}

static void test_remove_tree(void **state)
{
	(void)state;
	assert_int_equal(fdio_remove_tree(top, "absent"), 0);
	assert_int_equal(fdio_mkdirs(top, "t/a/b/c", 0700), 0);
	put("t/f", "x");
	put("t/a/b/.hidden", "x");
	put("kept", "x");
	assert_int_equal(fdio_mkdirs(top, "kept_dir/in", 0700), 0);
	assert_int_equal(symlinkat("../kept", top, "t/link"), 0);
	assert_int_equal(symlinkat("../kept_dir", top, "t/dirlink"), 0);
	assert_int_equal(fdio_remove_tree(top, "t"), 0);
	assert_false(exists("t"));
	assert_true(exists("kept"));
	assert_true(exists("kept_dir/in"));
	assert_int_equal(fdio_remove_tree(top, "kept"), 0);
	assert_false(exists("kept"));
}

static void test_remove_link_to_a_directory(void **state)
{
	(void)state;
	assert_int_equal(fdio_mkdirs(top, "real/in", 0700), 0);
	assert_int_equal(symlinkat("real", top, "link"), 0);
	assert_int_equal(fdio_remove_tree(top, "link"), 0);
	assert_false(exists("link"));
	assert_true(exists("real/in"));
}

static void test_remove_deep_tree(void **state)
{
	AUTO_BUF struct buf path = BUF_INIT(4096);

	(void)state;
	for (int i = 0; i < 150; i++)
		assert_int_equal(buf_adds(&path, "d/"), 0);
	assert_int_equal(fdio_mkdirs(top, buf_str(&path), 0700), 0);
	assert_int_equal(fdio_remove_tree(top, "d"), 0);
	assert_false(exists("d"));
}

static void test_remove_too_deep_is_refused(void **state)
{
	AUTO_BUF struct buf path = BUF_INIT(4096);

	(void)state;
	for (int i = 0; i < 230; i++)
		assert_int_equal(buf_adds(&path, "d/"), 0);
	assert_int_equal(fdio_mkdirs(top, buf_str(&path), 0700), 0);
	assert_int_equal(fdio_remove_tree(top, "d"), -ELOOP);
	/* what is left is in reach from its middle */
	path.len = 2 * 100;
	path.data[path.len] = '\0';
	assert_int_equal(fdio_remove_tree(top, buf_str(&path)), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_read_failures),
		CASE(test_read_over_the_maximum),
		CASE(test_write_failure),
		CASE(test_put_failures_leave_nothing),
		CASE(test_put_full_disk),
		CASE(test_put_name_too_long),
		CASE(test_mkdirs_failures),
		CASE(test_remove_too_deep_is_refused),
		CASE(test_read_appends),
		CASE(test_read_large),
		CASE(test_signals_and_short_reads),
		CASE(test_put),
		CASE(test_put_replaces_whole),
		CASE(test_readers_see_all_or_nothing),
		CASE(test_excl_has_one_winner),
		CASE(test_nowait),
		CASE(test_mkdirs),
		CASE(test_sync_parent),
		CASE(test_remove_tree),
		CASE(test_remove_link_to_a_directory),
		CASE(test_remove_deep_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
