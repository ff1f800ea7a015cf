/* test_deal.c - which samples of a key a request gets: alone, with others, again, in any order */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <cmocka.h>

#include "base/lock.h"
#include "broker_fixture.h"
#include "jobs/broker_ns.h"

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? fixture_open(f) : -1;
}

static int tear_down(void **state)
{
	fixture_close(*state);
	free(*state);
	return 0;
}

/* the broker anew with a window, for all kinds of requests */
static void merging(struct fixture *f, unsigned window_ms, unsigned size)
{
	f->options.merge.window_ms = window_ms;
	f->options.merge.size = size;
	f->options.merge.always = true;
	fixture_reopen(f, NULL);
}

static int64_t ask(struct fixture *f, const char *path, const char *json)
{
	int64_t id = 0;

	assert_int_equal(fixture_check(f, path, json, true, &id), 0);
	return id;
}

/* the indices of a final request, as "0,2,5"; its texts agree with them: echo says each index */
static const char *got(struct fixture *f, int64_t id)
{
	static char text[4096];
	char expected[64];
	json_t *response, *samples, *s;
	size_t i, at = 0;
	int r;

	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	response = json_loads(fixture_render(f, id, BROKER_RESPONSE, &r), 0, NULL);
	assert_non_null(response);
	samples = json_object_get(response, "samples");
	text[0] = 0;
	json_array_foreach(samples, i, s) {
		int index = (int)json_integer_value(json_object_get(s, "index"));
		const char *said = json_string_value(json_object_get(s, "text"));

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", i ? "," : "", index);
		(void)snprintf(expected, sizeof(expected), " (%d)", index);
		if (index)
			assert_string_equal(said + strlen(said) - strlen(expected), expected);
	}
	json_decref(response);
	return text;
}

static void without_a_namespace(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(got(f, ask(f, "a", "{\"prompt\":\"q\",\"n\":3}")), "0,1,2");
	assert_string_equal(got(f, ask(f, "b", "{\"prompt\":\"q\"}")), "0");
	assert_string_equal(got(f, ask(f, "c", "{\"prompt\":\"q\",\"n\":5}")), "0,1,2,3,4");
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_FRESH), 5);
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES), 9);
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_CACHED), 4);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_DUPLICATED), 3);
	assert_int_equal(fixture_counter(f, LEDGER_C_CACHE_HITS), 1);
}

static void in_namespaces(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(got(f, ask(f, "a", "{\"prompt\":\"q\",\"n\":2,\"namespace\":\"one\"}")),
			    "0,1");
	assert_string_equal(got(f, ask(f, "b", "{\"prompt\":\"q\",\"n\":2,\"namespace\":\"two\"}")),
			    "0,1");
	assert_string_equal(got(f, ask(f, "c", "{\"prompt\":\"q\",\"namespace\":\"one\"}")), "2");
	assert_string_equal(got(f, ask(f, "d", "{\"prompt\":\"q\",\"n\":3,\"namespace\":\"two\"}")),
			    "2,3,4");
	assert_string_equal(got(f, ask(f, "e", "{\"prompt\":\"other\",\"namespace\":\"two\"}")),
			    "0");
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_FRESH), 6);
	/* the same id again, also for more, and under a name of its own */
	assert_int_equal(fixture_drop(f, "a"), 0);
	assert_string_equal(got(f, ask(f, "a", "{\"prompt\":\"q\",\"n\":3,\"namespace\":\"one\"}")),
			    "0,1,3");
	assert_string_equal(got(f, ask(f, "z",
				       "{\"prompt\":\"q\",\"namespace\":\"two\",\"request_id\":"
				       "\"d\"}")),
			    "2");
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_FRESH), 6);
}

static void an_id_follows_its_file(void **state)
{
	struct fixture *f = *state;
	struct broker_move m = { .root = "", .path = "a", .to_root = "", .to_path = "dir/b" };

	assert_string_equal(got(f, ask(f, "a", "{\"prompt\":\"q\",\"namespace\":\"n\"}")), "0");
	assert_string_equal(got(f, ask(f, "x", "{\"prompt\":\"q\",\"namespace\":\"n\"}")), "1");
	assert_int_equal(fixture_move(f, &m), 0);
	assert_int_equal(fixture_drop(f, "dir/b"), 0);
	assert_string_equal(got(f, ask(f, "dir/b", "{\"prompt\":\"q\",\"namespace\":\"n\"}")), "0");
	assert_string_equal(got(f, ask(f, "a", "{\"prompt\":\"q\",\"namespace\":\"n\"}")), "2");
}

static void together(void **state)
{
	struct fixture *f = *state;
	int64_t a, b, c;

	merging(f, 300, 16);
	a = ask(f, "q10", "{\"prompt\":\"q\",\"n\":1,\"namespace\":\"n\"}");
	b = ask(f, "q9", "{\"prompt\":\"q\",\"n\":3,\"namespace\":\"n\"}");
	c = ask(f, "q1", "{\"prompt\":\"q\",\"n\":2,\"namespace\":\"n\"}");
	assert_string_equal(got(f, c), "0,1");
	assert_string_equal(got(f, b), "2,3,4");
	assert_string_equal(got(f, a), "5");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 1);
	a = ask(f, "r1", "{\"prompt\":\"r\",\"n\":2}");
	b = ask(f, "r2", "{\"prompt\":\"r\",\"n\":3}");
	c = ask(f, "r3", "{\"prompt\":\"r\"}");
	assert_string_equal(got(f, a), "0,1");
	assert_string_equal(got(f, b), "0,1,2");
	assert_string_equal(got(f, c), "0");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_FRESH), 9);
}

static void full_calls(void **state)
{
	struct fixture *f = *state;
	int64_t ids[20];
	char path[16];

	merging(f, 5000, 8); /* nobody waits so long: a full call goes */
	for (int i = 0; i < 16; i++) {
		(void)snprintf(path, sizeof(path), "q%d", i);
		ids[i] = ask(f, path, "{\"prompt\":\"q\",\"namespace\":\"n\"}");
	}
	for (int i = 0; i < 16; i++)
		(void)got(f, ids[i]);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
	/* one that asks for more than a full call is not split */
	(void)got(f, ask(f, "big", "{\"prompt\":\"big\",\"n\":20}"));
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 3);
}

struct end {
	struct lock lock;
	struct cond cond;
	int result; /* 1: not yet */
};

static void forgotten(void *arg, int result)
{
	struct end *e = arg;

	LOCK_SCOPE(&e->lock);
	e->result = result;
	cond_signal(&e->cond);
}

static int forget(struct fixture *f, const char *ns)
{
	struct end e = { .result = 1 };
	int result;

	lock_init(&e.lock, LOCK_NODE);
	cond_init(&e.cond);
	broker_ns_forget(f->broker, ns, forgotten, &e);
	lock_take(&e.lock);
	while (e.result == 1)
		cond_wait(&e.cond, &e.lock);
	result = e.result;
	lock_drop(&e.lock);
	cond_done(&e.cond);
	lock_done(&e.lock);
	return result;
}

static void a_forgotten_namespace_begins_anew(void **state)
{
	struct fixture *f = *state;
	struct buf usage = BUF_INIT(4096);

	(void)got(f, ask(f, "a", "{\"prompt\":\"q\",\"n\":2,\"namespace\":\"n\"}"));
	assert_int_equal(broker_ns_usage(f->broker, "n", &usage), 0);
	assert_non_null(strstr(buf_str(&usage), "\"samples\": 2"));
	assert_int_equal(forget(f, "n"), 0);
	assert_string_equal(got(f, ask(f, "b", "{\"prompt\":\"q\",\"namespace\":\"n\"}")), "0");
	buf_clear(&usage);
	assert_int_equal(broker_ns_usage(f->broker, "n", &usage), 0);
	assert_non_null(strstr(buf_str(&usage), "\"samples\": 1"));
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_FRESH), 2);
	buf_done(&usage);
}

static void what_it_cannot_be(void **state)
{
	static const struct {
		const char *json;
		int code;
	} rows[] = {
		{ "{\"prompt\":\"q\",\"namespace\":\"n\",\"cache\":\"refresh\"}", EINVAL },
		{ "{\"input\":\"q\",\"n\":2}", EOPNOTSUPP },
		{ "{\"prompt\":\"q\",\"n\":1001}", EINVAL },
		{ "{\"prompt\":\"q\",\"namespace\":\".n\"}", EINVAL },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(fixture_check(f, "a", rows[i].json, true, NULL), rows[i].code);
}

/* ---- the same ids, in any order, with the program ended now and then ---- */

enum { KEYS = 10, IDS = 20, ALL = KEYS * IDS, ORDERS = 10 };

static uint32_t seed = 1;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

static void shuffle(int *v, int n)
{
	for (int i = n - 1; i > 0; i--) {
		int k = (int)dice((uint32_t)i + 1), t = v[i];

		v[i] = v[k];
		v[k] = t;
	}
}

static void path_of(int which, char out[32])
{
	(void)snprintf(out, 32, "k%d-%d", which / IDS, which % IDS);
}

static void replay(void **state)
{
	static char first[ALL][64];
	static int order[ALL];
	struct fixture *f = *state;
	char path[32], json[128];
	int64_t bought = 0, wanted = 0;

	for (int i = 0; i < ALL; i++)
		order[i] = i;
	for (int round = 0; round <= ORDERS; round++) {
		shuffle(order, ALL);
		for (int i = 0; i < ALL; i++) {
			int which = order[i];
			const char *has;

			path_of(which, path);
			(void)snprintf(json, sizeof(json),
				       "{\"prompt\":\"key %d\",\"n\":%d,\"namespace\":\"n\"}",
				       which / IDS, which % 3 + 1);
			has = got(f, ask(f, path, json));
			if (round == 0)
				(void)snprintf(first[which], sizeof(first[which]), "%s", has);
			else
				assert_string_equal(has, first[which]);
			if (dice(ALL) < 2)
				fixture_reopen(f, NULL);
		}
		for (int i = 0; i < ALL; i++) {
			path_of(i, path);
			assert_int_equal(fixture_drop(f, path), 0);
		}
		if (round == 0)
			bought = fixture_counter(f, LEDGER_C_SAMPLES_FRESH);
	}
	assert_int_equal(fixture_counter(f, LEDGER_C_SAMPLES_FRESH), bought);
	for (int i = 0; i < ALL; i++)
		wanted += i % 3 + 1;
	assert_int_equal(bought, wanted);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_namespace),
		TEST(in_namespaces),
		TEST(an_id_follows_its_file),
		TEST(together),
		TEST(full_calls),
		TEST(a_forgotten_namespace_begins_anew),
		TEST(what_it_cannot_be),
		TEST(replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
