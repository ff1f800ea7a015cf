/*
 * test_err.c - kinds, errno, categories and sentences
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/str.h"

struct row {
	enum err_kind kind;
	int code;
	const char *name;
	const char *category;
};

/* The interface's errno table, written down a second time on purpose. */
static const struct row rows[] = {
	{ ERR_REQUEST, 22, "EINVAL", "request" },
	{ ERR_FILE_SIZE, 27, "EFBIG", "too_large" },
	{ ERR_CONTEXT, 90, "EMSGSIZE", "too_large" },
	{ ERR_NO_KEY, 126, "ENOKEY", "auth" },
	{ ERR_KEY_REJECTED, 129, "EKEYREJECTED", "auth" },
	{ ERR_NOT_FOUND, 6, "ENXIO", "not_found" },
	{ ERR_QUOTA, 122, "EDQUOT", "quota" },
	{ ERR_RATE_LIMIT, 16, "EBUSY", "rate_limit" },
	{ ERR_PROVIDER, 121, "EREMOTEIO", "provider" },
	{ ERR_PROTOCOL, 74, "EBADMSG", "provider" },
	{ ERR_TIMEOUT, 110, "ETIMEDOUT", "timeout" },
	{ ERR_REFUSED, 111, "ECONNREFUSED", "network" },
	{ ERR_UNREACHABLE, 113, "EHOSTUNREACH", "network" },
	{ ERR_TLS, 71, "EPROTO", "network" },
	{ ERR_BREAKER, 112, "EHOSTDOWN", "unavailable" },
	{ ERR_QUEUE_FULL, 105, "ENOBUFS", "unavailable" },
	{ ERR_CANCELLED, 125, "ECANCELED", "cancelled" },
	{ ERR_CACHE_ONLY, 61, "ENODATA", "cache" },
	{ ERR_UNSUPPORTED, 95, "EOPNOTSUPP", "unsupported" },
	{ ERR_NO_REQUEST, 61, "ENODATA", "request" },
	{ ERR_ENDING, 108, "ESHUTDOWN", "unavailable" },
	{ ERR_DISK_FULL, 28, "ENOSPC", "internal" },
	{ ERR_INTERNAL, 5, "EIO", "internal" },
};

static void test_table_is_complete(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_LEN(rows), ERR_KINDS - 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(rows[i].kind, i + 1);
}

static void test_table_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		assert_int_equal(err_errno(r->kind), r->code);
		assert_string_equal(err_name(r->code), r->name);
		assert_string_equal(err_category(r->kind), r->category);
		assert_int_equal(err_errno(err_by_name(r->name)), r->code);
	}
}

static void test_kind_out_of_range_is_a_bug_of_ours(void **state)
{
	(void)state;
	assert_int_equal(err_errno(ERR_KINDS), EIO);
	assert_int_equal(err_errno((enum err_kind) - 1), EIO);
	assert_string_equal(err_category(ERR_KINDS), "internal");
	assert_int_equal(err_errno(ERR_NONE), 0);
}

static void test_unknown_names(void **state)
{
	(void)state;
	assert_string_equal(err_name(0), "E?");
	assert_string_equal(err_name(-22), "E?");
	assert_string_equal(err_name(99999), "E?");
	assert_int_equal(err_by_name("EWHAT"), ERR_NONE);
	assert_int_equal(err_by_name(""), ERR_NONE);
	assert_int_equal(err_by_name(NULL), ERR_NONE);
	assert_int_equal(err_by_name("einval"), ERR_NONE);
}

static void test_shared_name_gives_the_first_kind(void **state)
{
	(void)state;
	assert_int_equal(err_by_name("ENODATA"), ERR_CACHE_ONLY);
	assert_int_equal(err_by_name("EINVAL"), ERR_REQUEST);
}

static void test_set_without_err(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_TIMEOUT, "x %d", 1), -ETIMEDOUT);
	assert_int_equal(err_field(NULL, ERR_REQUEST, "n", "x"), -EINVAL);
	assert_int_equal(err_sys(NULL, EACCES, "x"), -EACCES);
	err_prefix(NULL, "x");
}

static void test_set_fills_and_clears(void **state)
{
	struct err e;

	(void)state;
	memset(&e, 0x55, sizeof(e));
	assert_int_equal(err_set(&e, ERR_QUOTA, "spent %d of %s", 3, "5"), -EDQUOT);
	assert_int_equal(e.kind, ERR_QUOTA);
	assert_int_equal(e.code, EDQUOT);
	assert_string_equal(e.message, "spent 3 of 5");
	assert_int_equal(e.line, 0);
	assert_int_equal(e.column, 0);
	assert_int_equal(e.http_status, 0);
	assert_int_equal(e.attempts, 0);
	assert_true(e.retry_after_s <= 0);
	assert_string_equal(e.field, "");
	assert_string_equal(e.backend, "");
	assert_string_equal(e.provider_type, "");
	assert_string_equal(e.provider_message, "");
}

static void test_set_from_its_own_message(void **state)
{
	struct err e;

	(void)state;
	(void)err_field(&e, ERR_REQUEST, "model", "inner");
	assert_int_equal(err_set(&e, ERR_PROVIDER, "outer: %s", e.message), -EREMOTEIO);
	assert_string_equal(e.message, "outer: inner");
	assert_string_equal(e.field, "");
	(void)err_field(&e, ERR_REQUEST, "first", "x");
	(void)err_field(&e, ERR_REQUEST, e.field, "%s again", e.message);
	assert_string_equal(e.field, "first");
	assert_string_equal(e.message, "x again");
}

static void test_field(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_field(&e, ERR_UNSUPPORTED, "tools", "no %s", "tools"), -EOPNOTSUPP);
	assert_string_equal(e.field, "tools");
	assert_string_equal(e.message, "no tools");
}

static void test_long_texts_are_cut_at_a_character(void **state)
{
	char text[ERR_MESSAGE_MAX + 20], name[ERR_NAME_MAX + 20];
	struct err e;

	(void)state;
	/* two bytes each, and one byte before: the cut falls inside a character */
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xC3\xA9", 3);
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xC3\xA9", 3);
	for (int shift = 0; shift < 2; shift++) {
		(void)err_field(&e, ERR_REQUEST, name + 0, "%s%s", shift ? "x" : "", text);
		assert_true(strlen(e.message) >= ERR_MESSAGE_MAX - 2);
		assert_true(str_utf8_valid(e.message, strlen(e.message)));
		assert_true(str_utf8_valid(e.field, strlen(e.field)));
		err_prefix(&e, "%s", shift ? "ab" : "abc");
		assert_true(str_utf8_valid(e.message, strlen(e.message)));
		assert_true(strlen(e.message) >= ERR_MESSAGE_MAX - 2);
	}
}

static void test_sys(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_sys(&e, EACCES, "opening %s", "x"), -EACCES);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_int_equal(e.code, EIO);
	assert_string_equal(e.message, "opening x: Permission denied");
	assert_int_equal(err_sys(&e, ENOSPC, "writing"), -ENOSPC);
	assert_int_equal(e.kind, ERR_DISK_FULL);
	assert_int_equal(e.code, ENOSPC);
	assert_int_equal(err_sys(&e, EDQUOT, "writing"), -EDQUOT);
	assert_int_equal(e.kind, ERR_DISK_FULL);
}

static void test_prefix(void **state)
{
	struct err e;

	(void)state;
	(void)err_field(&e, ERR_REQUEST, "n", "n is wrong");
	e.line = 3;
	err_prefix(&e, "line %d: ", 7);
	assert_string_equal(e.message, "line 7: n is wrong");
	err_prefix(&e, "%s", "");
	assert_string_equal(e.message, "line 7: n is wrong");
	err_prefix(&e, "%s: ", e.message);
	assert_string_equal(e.message, "line 7: n is wrong: line 7: n is wrong");
	assert_int_equal(e.kind, ERR_REQUEST);
	assert_int_equal(e.line, 3);
	assert_string_equal(e.field, "n");
}

static void test_prefix_longer_than_all(void **state)
{
	char text[2 * ERR_MESSAGE_MAX];
	struct err e;

	(void)state;
	memset(text, 'p', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&e, ERR_REQUEST, "gone");
	err_prefix(&e, "%s", text);
	assert_int_equal(strlen(e.message), ERR_MESSAGE_MAX - 1);
	assert_null(strstr(e.message, "gone"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kind_out_of_range_is_a_bug_of_ours),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_set_without_err),
		cmocka_unit_test(test_long_texts_are_cut_at_a_character),
		cmocka_unit_test(test_prefix_longer_than_all),
		cmocka_unit_test(test_table_is_complete),
		cmocka_unit_test(test_table_rows),
		cmocka_unit_test(test_shared_name_gives_the_first_kind),
		cmocka_unit_test(test_set_fills_and_clears),
		cmocka_unit_test(test_set_from_its_own_message),
		cmocka_unit_test(test_field),
		cmocka_unit_test(test_sys),
		cmocka_unit_test(test_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
