/*
 * test_log.c - lines for the operator, secrets masked
 */
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

#include "base/auto.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mono.h"

static char path[] = "/tmp/test_log.XXXXXX";

static int setup(void **state)
{
	int fd;

	(void)state;
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	(void)close(fd);
	mono_test_set(1, 1700000000123000000u);
	return log_open(path, LOG_INFO);
}

static int teardown(void **state)
{
	(void)state;
	log_close();
	mono_test_set(0, 0);
	return unlink(path);
}

static void expect(const char *text)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);

	assert_int_equal(fdio_read_file(AT_FDCWD, path, &b), 0);
	assert_string_equal(buf_str(&b), text);
}

#define AT "2023-11-14T22:13:20.123Z "

static void test_secret_is_masked(void **state)
{
	(void)state;
	log_secret("sk-12345");
	log_msg(LOG_ERROR, "key sk-12345, again %s.", "sk-12345");
	expect(AT "error key ***, again ***.\n");
}

static void test_secret_cut_by_the_limit(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	char pad[4090];

	(void)state;
	memset(pad, 'x', sizeof(pad) - 1);
	pad[sizeof(pad) - 1] = '\0';
	log_secret("topsecret");
	/* whatever is cut, no beginning of the secret may be left at the end */
	for (size_t n = 0; n < 60; n++)
		log_msg(LOG_ERROR, "%s topsecret", pad + n);
	assert_int_equal(fdio_read_file(AT_FDCWD, path, &b), 0);
	assert_null(strstr(buf_str(&b), " t"));
}

static void test_longer_secret_first(void **state)
{
	char text[] = "abcdef abc ab";

	(void)state;
	log_secret("abc");
	log_secret("abcdef");
	log_mask(text);
	assert_string_equal(text, "*** *** ab");
}

static void test_short_secrets_do_not_grow(void **state)
{
	char text[] = "qqzz1";

	(void)state;
	log_secret("z");
	log_secret("qq");
	log_mask(text);
	assert_string_equal(text, "****1");
}

static void test_mask_of_stars(void **state)
{
	char text[] = "*** a *** b";

	(void)state;
	log_secret("***");
	log_mask(text); /* replaced by itself: must end */
	assert_string_equal(text, "*** a *** b");
}

static void test_odd_secrets(void **state)
{
	char text[] = "nothing here";

	(void)state;
	log_secret("");
	log_secret(NULL);
	log_secret("same");
	log_secret("same");
	log_mask(text);
	assert_string_equal(text, "nothing here");
}

static void test_control_characters(void **state)
{
	(void)state;
	log_msg(LOG_WARNING, "a\nb\tc\x1b[2Jd\x7f\r%s", "\xC3\xA9");
	expect(AT "warning a\\nb\\x09c\\x1B[2Jd\\x7F\\x0D\xC3\xA9\n");
}

static void test_long_line_is_cut(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	AUTO_FREE char *text = malloc(100000);

	(void)state;
	memset(text, 'y', 99999);
	text[99999] = '\0';
	log_msg(LOG_ERROR, "%s", text);
	log_msg(LOG_ERROR, "next");
	assert_int_equal(fdio_read_file(AT_FDCWD, path, &b), 0);
	assert_int_equal(strchr(buf_str(&b), '\n') - buf_str(&b), 4095);
	assert_non_null(strstr(buf_str(&b), "\n" AT "error next\n"));
}

static void test_cut_keeps_characters_whole(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	char text[6001];

	(void)state;
	for (size_t i = 0; i < 6000; i += 3)
		memcpy(text + i, "\xE2\x82\xAC", 4);
	for (int shift = 0; shift < 3; shift++)
		log_msg(LOG_ERROR, "%s%s", &"xx"[shift], text);
	assert_int_equal(fdio_read_file(AT_FDCWD, path, &b), 0);
	for (const char *p = buf_str(&b); (p = strchr(p, '\n')); p++)
		assert_memory_equal(p - 3, "\xE2\x82\xAC", 3);
}

static void test_levels(void **state)
{
	(void)state;
	assert_int_equal(log_open(path, LOG_WARNING), 0);
	assert_true(log_enabled(LOG_ERROR));
	assert_true(log_enabled(LOG_WARNING));
	assert_false(log_enabled(LOG_INFO));
	assert_false(log_enabled(LOG_DEBUG));
	log_msg(LOG_INFO, "not shown");
	log_msg(LOG_DEBUG, "not shown");
	log_msg((enum log_level)17, "not shown");
	log_msg((enum log_level) - 1, "not shown");
	log_msg(LOG_WARNING, "shown");
	expect(AT "warning shown\n");
	assert_int_equal(log_open(path, LOG_DEBUG), 0);
	log_msg(LOG_DEBUG, "shown");
	expect(AT "warning shown\n" AT "debug shown\n");
}

static void test_level_parse(void **state)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	enum log_level level = LOG_INFO;

	(void)state;
	assert_int_equal(log_level_parse("warn", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(log_level_parse("INFO", &level), -EINVAL);
	assert_int_equal(level, LOG_INFO);
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(log_level_parse(names[i], &level), 0);
		assert_int_equal(level, i);
	}
}

static void test_open_failure_keeps_the_old(void **state)
{
	(void)state;
	assert_int_equal(log_open("/nonexistent/dir/file", LOG_DEBUG), -ENOENT);
	log_msg(LOG_DEBUG, "still info");
	log_msg(LOG_INFO, "still there");
	expect(AT "info still there\n");
}

static void test_appends_and_is_private(void **state)
{
	struct stat st;

	(void)state;
	log_msg(LOG_INFO, "one");
	assert_int_equal(log_open(path, LOG_INFO), 0);
	log_msg(LOG_INFO, "two");
	expect(AT "info one\n" AT "info two\n");
	log_close();
	assert_int_equal(unlink(path), 0);
	assert_int_equal(log_open(path, LOG_INFO), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_stderr(void **state)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_APPEND), old = dup(STDERR_FILENO);

	(void)state;
	log_close();
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	log_msg(LOG_INFO, "to stderr");
	assert_int_equal(dup2(old, STDERR_FILENO), STDERR_FILENO);
	expect(AT "info to stderr\n");
}

static void test_syslog_leaves_the_file_alone(void **state)
{
	(void)state;
	log_to_syslog();
	log_to_syslog();
	log_msg(LOG_DEBUG, "below the level");
	log_msg(LOG_INFO, "%s", "test_log: to syslog");
	expect("");
	assert_int_equal(log_open(path, LOG_INFO), 0);
	log_msg(LOG_INFO, "back");
	expect(AT "info back\n");
}

static void *many_lines(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_msg(LOG_INFO, "thread %s line %03d secret-%s", (const char *)arg, i, "x");
	return NULL;
}

static void test_threads_write_whole_lines(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct thread t[4];
	static char names[4][2] = { "a", "b", "c", "d" };
	size_t lines = 0;

	(void)state;
	log_secret("secret-x");
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(thread_start(&t[i], "log", many_lines, names[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		thread_join(&t[i]);
	assert_int_equal(fdio_read_file(AT_FDCWD, path, &b), 0);
	for (const char *p = buf_str(&b), *end; (end = strchr(p, '\n')); p = end + 1, lines++)
		assert_int_equal(end - p, strlen(AT "info thread a line 000 ***"));
	assert_int_equal(lines, 800);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_secret_is_masked),
		CASE(test_secret_cut_by_the_limit),
		CASE(test_longer_secret_first),
		CASE(test_short_secrets_do_not_grow),
		CASE(test_mask_of_stars),
		CASE(test_odd_secrets),
		CASE(test_control_characters),
		CASE(test_long_line_is_cut),
		CASE(test_cut_keeps_characters_whole),
		CASE(test_open_failure_keeps_the_old),
		CASE(test_levels),
		CASE(test_level_parse),
		CASE(test_appends_and_is_private),
		CASE(test_stderr),
		CASE(test_syslog_leaves_the_file_alone),
		CASE(test_threads_write_whole_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
