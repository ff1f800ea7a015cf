/* test_bulk_look.c - can a line be asked, and is any line of a written file usable? */
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

#include "base/fdio.h"
#include "broker_fixture.h"
#include "jobs/bulk_look.h"
#include "jobs/check.h"

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? fixture_open(f) : -1;
}

static int teardown(void **state)
{
	fixture_close(*state);
	free(*state);
	return 0;
}

static int temp_file(const char *text)
{
	char name[] = "/tmp/inferfs-look.XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(fdio_write_all(fd, text, strlen(text)), 0);
	return fd;
}

static int look(const struct bulk_ask *q, const char *text, bool final, struct err *e)
{
	int fd = temp_file(text), r;

	*e = (struct err){ 0 };
	r = bulk_look(q, fd, final, e);
	(void)close(fd);
	return r;
}

#define GOOD "{\"prompt\":\"x\"}\n"
#define BAD  "{\"promt\":\"x\"}\n"

/* ---- a file ---- */

static void a_file_is_refused_by_its_first_line(void **state)
{
	static const struct {
		const char *text;
		bool final;
		int r;
		unsigned line;
	} cases[] = {
		{ "", true, 1, 0 },
		{ "\n \n\t\n", true, 1, 0 },
		{ BAD, true, -EINVAL, 1 },
		{ "\n\n" BAD BAD, true, -EINVAL, 3 },
		{ "nonsense", true, -EINVAL, 1 },
		{ "{\"prompt\":\"x\",\"model\":\"no/m\"}\n" BAD, true, -ENXIO, 1 },
		{ BAD "{\"prompt\":\"x\",\"model\":\"no/m\"}\n", true, -EINVAL, 1 },
		{ "{\"prompt\":\"x\"", true, -EINVAL, 1 },
		/* the writer is not done: more may come */
		{ "{\"prompt\":\"x\"", false, 1, 0 },
		{ GOOD "{\"pro", false, 1, 0 },
		{ BAD "{\"pro", false, 1, 0 },
		{ "{\"prompt\":\"x\"\n", false, -EINVAL, 1 }, /* a line that is over stays wrong */
		{ "{]", false, -EINVAL, 1 },		      /* nothing makes that right */
		{ GOOD, false, 0, 0 },
		{ "{\"prompt\":\"x\"}", false, 0, 0 },
		{ GOOD "{\"pro", true, 0, 0 },
		{ BAD BAD BAD GOOD BAD, true, 0, 0 },
	};
	struct fixture *f = *state;
	struct bulk_ask q = { .b = f->broker, .root = "", .path = "many" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e;
		int r = look(&q, cases[i].text, cases[i].final, &e);

		if (r != cases[i].r)
			fail_msg("%s: %d, %s", cases[i].text, r, e.message);
		if (r < 0) {
			assert_int_equal(e.code, -r);
			assert_int_equal(e.line, cases[i].line);
		}
	}
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
	struct fixture *f = *state;
	struct bulk_ask q = { .b = f->broker, .root = "", .path = "many" };
	struct err e = { 0 };

	assert_int_equal(bulk_look(&q, f->options.jobs_dirfd, true, &e), -EISDIR);
	assert_non_null(strstr(e.message, "the file cannot be read"));
}

static void a_fallback_is_looked_at_too(void **state)
{
	struct fixture *f = *state;
	struct bulk_ask q = { .b = f->broker, .root = "", .path = "many" };
	struct err e;

	assert_int_equal(look(&q, "{\"prompt\":\"x\",\"fallback\":[\"echo/other\"]}\n", true, &e),
			 0);
	assert_int_equal(look(&q, "{\"prompt\":\"x\",\"fallback\":[\"no/other\"]}\n", true, &e),
			 -ENXIO);
}

/* ---- one line ---- */

static int ask(const struct bulk_ask *q, const char *text, uint64_t no, struct bulk_item *item,
	       struct checked *c)
{
	struct bulk_text t = { .p = text, .n = strlen(text), .no = no };

	*item = (struct bulk_item){ 0 };
	*c = (struct checked){ 0 };
	assert_int_equal(bulk_item_read(&t, NULL, item), 0);
	return bulk_ask_check(q, &t, item, c);
}

static void what_cannot_be_asked_says_which_line(void **state)
{
	static const struct {
		const char *text, *field;
		int r;
	} cases[] = {
		{ "{}", NULL, -EINVAL },
		{ "[]", NULL, -EINVAL },
		{ "{\"prompt\":", NULL, -EINVAL },
		{ "{\"custom_id\":\"\",\"prompt\":\"x\"}", "custom_id", -EINVAL },
		{ "{\"prompt\":\"x\",\"model\":\"no/m\"}", "model", -ENXIO },
		{ "{\"prompt\":\"x\",\"n\":0}", "n", -EINVAL },
		{ "{\"prompt\":\"x\",\"fallback\":[\"no/m\"]}", NULL, -ENXIO },
		{ "{\"body\":{\"promt\":\"x\"}}", NULL, -EINVAL },
	};
	struct fixture *f = *state;
	struct bulk_ask q = { .b = f->broker, .root = "", .path = "many" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bulk_item item;
		struct checked c;
		int r = ask(&q, cases[i].text, 4711, &item, &c);

		if (r != cases[i].r)
			fail_msg("%s: %d, %s", cases[i].text, r, item.e.message);
		assert_int_equal(item.e.code, -r);
		assert_int_equal(item.e.line, 4711);
		assert_null(strstr(item.e.message, "line 1,"));
		if (cases[i].field)
			assert_string_equal(item.e.field, cases[i].field);
		bulk_item_done(&item);
		check_done(&c);
	}
}

static void a_line_is_keyed_by_what_it_asks(void **state)
{
	struct fixture *f = *state;
	json_t *defaults = json_loads("[{\"system\":\"be short\"}]", 0, NULL);
	struct bulk_ask plain = { .b = f->broker, .root = "", .path = "many" }, dressed = plain;
	struct bulk_item i[4];
	struct checked c[4];
	static const char first[] = "{\"custom_id\":\"a\",\"prompt\":\"x\"}";
	struct key sha;

	dressed.defaults = defaults;
	assert_int_equal(ask(&plain, first, 1, &i[0], &c[0]), 0);
	assert_int_equal(ask(&plain, "{ \"prompt\": \"x\" }", 2, &i[1], &c[1]), 0);
	assert_int_equal(ask(&dressed, first, 3, &i[2], &c[2]), 0);
	assert_int_equal(ask(&plain, "{\"body\":{\"prompt\":\"x\"}}", 4, &i[3], &c[3]), 0);
	assert_true(key_equal(&c[0].body.key, &c[1].body.key)); /* who asks is of no matter */
	assert_true(key_equal(&c[0].body.key, &c[3].body.key));
	assert_false(key_equal(&c[0].body.key, &c[2].body.key)); /* the defaults are */
	assert_int_equal(key_of(first, strlen(first), &sha), 0);
	assert_true(key_equal(&c[0].body.file_sha, &sha));
	assert_false(key_equal(&c[1].body.file_sha, &sha));
	/* other threads have the request: nothing of it is shared with the defaults */
	assert_int_equal(defaults->refcount, 1);
	assert_int_equal(json_array_get(defaults, 0)->refcount, 1);
	for (size_t n = 0; n < 4; n++) {
		bulk_item_done(&i[n]);
		check_done(&c[n]);
	}
	json_decref(defaults);
}

static void lines_are_as_long_as_requests_may_be(void **state)
{
	struct broker b = { 0 };

	(void)state;
	assert_int_equal(bulk_ask_line_max(&b), 16 << 20);
	b.o.max_request_bytes = 1;
	assert_int_equal(bulk_ask_line_max(&b), 1);
	b.o.max_request_bytes = (uint64_t)1 << 33;
	assert_true(bulk_ask_line_max(&b) == (size_t)1 << 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_file_is_refused_by_its_first_line),
		T(a_file_that_cannot_be_read_is_told),
		T(a_fallback_is_looked_at_too),
		T(what_cannot_be_asked_says_which_line),
		T(a_line_is_keyed_by_what_it_asks),
		cmocka_unit_test(lines_are_as_long_as_requests_may_be),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
