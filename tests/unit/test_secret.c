/*
 * infer/secret: where keys come from, which files are refused, and that no sentence shows one
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

#include "base/log.h"
#include "infer/secret.h"

static char dir[64];
static char path[128];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_secret.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/key", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)rmdir(dir);
	log_close();
	return 0;
}

static void put(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void test_file_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0601, 0610, 0644 };
	static char untouched[] = "x";
	char *key = untouched;
	struct err e;

	(void)state;
	assert_int_equal(secret_file("/nonexistent/key", &key, &e), -ENOKEY);
	assert_int_equal(secret_file(dir, &key, &e), -ENOKEY);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		put("sk-very-private-1\n", modes[i]);
		assert_int_equal(secret_file(path, &key, &e), -EACCES);
		assert_non_null(strstr(e.message, "chmod 600"));
		assert_null(strstr(e.message, "private"));
	}
	put("", 0600);
	assert_int_equal(secret_file(path, &key, &e), -ENOKEY);
	put(" \n\t\r\n", 0600);
	assert_int_equal(secret_file(path, &key, &e), -ENOKEY);
	put("sk-one\nsk-two\n", 0600);
	assert_int_equal(secret_file(path, &key, &e), -EINVAL);
	assert_null(strstr(e.message, "sk-one"));
	put("sk-\x01-control", 0600);
	assert_int_equal(secret_file(path, &key, &e), -EINVAL);
	put("sk-\xc3\xa9", 0600);
	assert_int_equal(secret_file(path, &key, &e), -EINVAL);
	assert_ptr_equal(key, untouched); /* outputs are not touched on failure */
}

static void test_fifo_does_not_hang(void **state)
{
	char *key = NULL;
	struct err e;

	(void)state;
	(void)unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(secret_file(path, &key, &e), -ENOKEY);
	assert_int_equal(unlink(path), 0);
}

static void test_file_too_large(void **state)
{
	char *text = malloc(SECRET_MAX + 200), *key = NULL;
	struct err e;

	(void)state;
	memset(text, 'k', SECRET_MAX + 199);
	text[SECRET_MAX + 199] = '\0';
	put(text, 0600);
	assert_int_equal(secret_file(path, &key, &e), -EINVAL);
	text[SECRET_MAX + 1] = '\0';
	put(text, 0600);
	assert_int_equal(secret_file(path, &key, &e), -EINVAL);
	free(text);
}

static void test_env_refused(void **state)
{
	static const char *const names[] = { "INFERFS_T_NONE", "INFERFS_T_EMPTY", NULL };
	const char *from = NULL;
	char *key = NULL;
	struct err e;

	(void)state;
	unsetenv("INFERFS_T_NONE");
	setenv("INFERFS_T_EMPTY", "", 1);
	setenv("INFERFS_T_BAD", "sk-a\r\nX-Injected: 1", 1);
	assert_int_equal(secret_env("INFERFS_T_NONE", &key, &e), -ENOKEY);
	assert_non_null(strstr(e.message, "INFERFS_T_NONE"));
	assert_int_equal(secret_env("INFERFS_T_EMPTY", &key, &e), -ENOKEY);
	assert_int_equal(secret_env("INFERFS_T_BAD", &key, &e), -EINVAL);
	assert_null(strstr(e.message, "Injected"));
	assert_int_equal(secret_env_any(names, &key, &from, &e), -ENOKEY);
	assert_int_equal(secret_env_any(NULL, &key, &from, NULL), -ENOKEY);
	assert_null(key);
}

static void test_credential_refused(void **state)
{
	char *key = NULL;
	struct err e;

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(secret_credential("key", &key, &e), -ENOKEY);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_int_equal(secret_credential("", &key, &e), -EINVAL);
	assert_int_equal(secret_credential("../key", &key, &e), -EINVAL);
	assert_int_equal(secret_credential("..", &key, &e), -EINVAL);
	assert_int_equal(secret_credential("absent", &key, &e), -ENOKEY);
	assert_null(key);
}

static void is_key(char *key, const char *want)
{
	char line[256];

	assert_string_equal(key, want);
	snprintf(line, sizeof(line), "before %s after", want);
	log_mask(line);
	assert_null(strstr(line, want));
	assert_null(secret_free(key));
}

static void test_good_keys(void **state)
{
	static const char *const names[] = { "INFERFS_T_NONE", "INFERFS_T_KEY", NULL };
	const char *from = NULL;
	char *key = NULL;

	(void)state;
	put("  sk-from-file-1234 \r\n\n", 0600);
	assert_int_equal(secret_file(path, &key, NULL), 0);
	is_key(key, "sk-from-file-1234");
	put("sk-read-only-1234", 0400);
	assert_int_equal(secret_file(path, &key, NULL), 0);
	is_key(key, "sk-read-only-1234");
	put("sk-credential-1234\n", 0440);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_int_equal(secret_credential("key", &key, NULL), 0);
	is_key(key, "sk-credential-1234");
	setenv("INFERFS_T_KEY", "sk-from-env-1234", 1);
	assert_int_equal(secret_env("INFERFS_T_KEY", &key, NULL), 0);
	is_key(key, "sk-from-env-1234");
	assert_int_equal(secret_env_any(names, &key, &from, NULL), 0);
	assert_string_equal(from, names[1]);
	is_key(key, "sk-from-env-1234");
	assert_null(secret_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_refused),
		cmocka_unit_test(test_fifo_does_not_hang),
		cmocka_unit_test(test_file_too_large),
		cmocka_unit_test(test_env_refused),
		cmocka_unit_test(test_credential_refused),
		cmocka_unit_test(test_good_keys),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
