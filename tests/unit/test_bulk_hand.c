/* test_bulk_hand.c - what the hand-outs to a line are known by: it must outlive other lines, tries and renames */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker_fixture.h"
#include "jobs/bulk_hand.h"
#include "jobs/check.h"

struct stage {
	struct fixture f;
	struct bulk k; /* of which only the broker, the id and the counted keys are looked at */
};

static int setup(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	*state = s;
	if (!s || fixture_open(&s->f) < 0)
		return -1;
	s->k.b = s->f.broker;
	/* any prompt with a path */
	return fixture_check(&s->f, "dir/many", "{\"prompt\":\"x\"}", false, &s->k.id);
}

static int teardown(void **state)
{
	struct stage *s = *state;

	bulk_set_done(&s->k.pass.keys);
	fixture_close(&s->f);
	free(s);
	return 0;
}

/* a line: what it is called, and the first byte of its key */
static void asked(struct bulk_asked *a, struct checked *c, const char *own_name, uint8_t key)
{
	*a = (struct bulk_asked){ 0 };
	*c = (struct checked){ 0 };
	a->item.own_id = own_name != NULL;
	a->item.name = own_name ? (char *)(uintptr_t)own_name : (char *)(uintptr_t) "1";
	c->body.key.b[0] = key;
	c->terms.ns = strdup("experiment");
}

static void without_a_namespace_nothing_is_handed_out(void **state)
{
	struct stage *s = *state;
	struct bulk_asked a;
	struct checked c;

	asked(&a, &c, NULL, 1);
	free(c.terms.ns);
	c.terms.ns = NULL;
	assert_int_equal(bulk_hand_name(&s->k, &a, &c), 0);
	assert_null(c.terms.hand_id);
	assert_null(c.terms.hand_path);
	assert_int_equal(a.nth, 0); /* nor counted */
	assert_int_equal(s->k.pass.keys.n, 0);
	check_done(&c);
}

static void a_job_that_is_gone_has_no_path(void **state)
{
	struct stage *s = *state;
	int64_t id = s->k.id;
	struct bulk_asked a;
	struct checked c;

	asked(&a, &c, NULL, 1);
	s->k.id = INT64_MAX;
	assert_int_equal(bulk_hand_name(&s->k, &a, &c), -ENOMEM);
	assert_null(c.terms.hand_id);
	assert_int_equal(a.nth, 1);
	s->k.id = id; /* it is begun again: the same occurrence */
	assert_int_equal(bulk_hand_name(&s->k, &a, &c), 0);
	assert_string_equal(c.terms.hand_id, "dir/many/%#1");
	check_done(&c);
}

static void names_by_id_or_by_occurrence(void **state)
{
	static const struct {
		const char *name;
		uint8_t key;
		const char *want;
	} lines[] = {
		{ NULL, 1, "dir/many/%#1" },
		{ "a", 1, "dir/many/a" }, /* has a name of its own: no occurrence */
		{ NULL, 2, "dir/many/%#1" },
		{ NULL, 1, "dir/many/%#2" },
		{ "x%2Fy", 1, "dir/many/x%2Fy" },
		{ "1", 1, "dir/many/1" }, /* not a number */
		{ NULL, 1, "dir/many/%#3" },
		{ NULL, 2, "dir/many/%#2" },
		{ "%25#3", 1, "dir/many/%25#3" }, /* custom_id "%#3" is no occurrence */
	};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct bulk_asked a;
		struct checked c;

		asked(&a, &c, lines[i].name, lines[i].key);
		assert_int_equal(bulk_hand_name(&s->k, &a, &c), 0);
		assert_string_equal(c.terms.hand_id, lines[i].want);
		assert_string_equal(c.terms.hand_path, "dir/many");
		check_done(&c);
	}
}

static void a_request_id_is_known_by_itself_and_counted(void **state)
{
	struct stage *s = *state;
	struct bulk_asked a;
	struct checked c;

	asked(&a, &c, NULL, 1);
	c.terms.request_id = strdup("mine");
	assert_int_equal(bulk_hand_name(&s->k, &a, &c), 0);
	assert_null(c.terms.hand_id);
	assert_int_equal(a.nth, 1);
	check_done(&c);
	asked(&a, &c, NULL, 1);
	assert_int_equal(bulk_hand_name(&s->k, &a, &c), 0);
	assert_string_equal(c.terms.hand_id, "dir/many/%#2");
	check_done(&c);
}

/* a full disk made it wait, and meanwhile the file was renamed: what it was given stays its own */
static void another_try_has_the_name_of_the_first(void **state)
{
	struct stage *s = *state;
	struct broker_move m = { "", "dir/many", "", "lots", false, false };
	struct bulk_asked a;
	struct checked c, first;

	asked(&a, &first, NULL, 1);
	assert_int_equal(bulk_hand_name(&s->k, &a, &first), 0);
	assert_int_equal(fixture_move(&s->f, &m), 0);
	asked(&a, &c, NULL, 1);
	a.hand_id = first.terms.hand_id;
	assert_int_equal(bulk_hand_name(&s->k, &a, &c), 0);
	assert_string_equal(c.terms.hand_id, "dir/many/%#1");
	assert_string_equal(c.terms.hand_path, "lots");
	assert_ptr_not_equal(c.terms.hand_id, a.hand_id);
	check_done(&c);
	check_done(&first);
}

static void rows_are_the_same_by_what_follows_the_path(void **state)
{
#define ROW(id, path) \
	"{\"backend\":\"e\",\"model\":\"m\",\"hand_id\":\"" id "\",\"hand_path\":\"" path "\"}"
	static const struct {
		const char *envelope;
		bool same;
	} rows[] = {
		/* damaged, or of a line that was in no namespace */
		{ NULL, false },
		{ "", false },
		{ "{", false },
		{ "{}", false },
		{ "{\"backend\":\"e\",\"model\":\"m\"}", false },
		{ ROW("", ""), false },
		{ ROW("b", "a path that is longer than that"), false },
		{ ROW("b/%#", "b"), false },
		{ ROW("b/%#2", "b"), false },
		{ ROW("b/%#12", "b"), false },
		{ ROW("b/2", "b"), false },
		{ "{\"hand_id\":\"b/%#12\",\"hand_path\":\"b\"}", false }, /* no model */
		{ ROW("b/%#1", "b"), true },
		{ ROW("many/%#1", "many"), true },     /* the file was renamed since */
		{ ROW("dir/many/%#1", "lots"), true }, /* between two tries */
		{ ROW("d/%#1", "much/longer/than/that"), true },
	};
#undef ROW
	struct checked c = { .terms = { .hand_id = (char *)(uintptr_t) "b/%#1",
					.hand_path = (char *)(uintptr_t) "b" } };
	struct checked none = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ledger_row row = { .envelope = (char *)(uintptr_t)rows[i].envelope };

		if (bulk_hand_same(&row, &c) != rows[i].same)
			fail_msg("%s", rows[i].envelope ? rows[i].envelope : "NULL");
		assert_true(bulk_hand_same(&row, &none)); /* nothing is handed out to it by name */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(without_a_namespace_nothing_is_handed_out),
		T(a_job_that_is_gone_has_no_path),
		T(names_by_id_or_by_occurrence),
		T(a_request_id_is_known_by_itself_and_counted),
		T(another_try_has_the_name_of_the_first),
		cmocka_unit_test(rows_are_the_same_by_what_follows_the_path),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
