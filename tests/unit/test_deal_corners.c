/* test_deal_corners.c - numbers of a namespace: holes, twins, more than before, samples of another model */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "hand.h"
#include "jobs/check.h"
#include "jobs/deal.h"
#include "jobs/purchase.h"

static int set_up(void **state)
{
	*state = hand_open(REQUEST_CACHE_USE, NULL);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	hand_close(*state);
	return 0;
}

/* it has joined, and nobody has told it yet which samples are its */
static struct job *undealt(struct hand *h, const char *path, const char *ns, unsigned n)
{
	struct job *j = hand_join(h, path, ns, n, NULL);

	free(j->picks.v);
	j->picks = (struct picks){ 0 };
	return j;
}

static struct job *with_id(struct job *j, const char *id)
{
	j->terms.request_id = strdup(id);
	return j;
}

/* "0,2,5"; "": not dealt */
static const char *has(const struct job *j)
{
	static char text[8192];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < j->picks.n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u", i ? "," : "",
				       j->picks.v[i].index);
	return text;
}

static void used(struct hand *h, const char *ns, const char *id, const uint32_t *v, size_t n)
{
	hand_give(h, ns, id, &h->flight->key, &h->flight->key, v, n);
}

/* ---- numbers ---- */

static void holes_are_filled(void **state)
{
	static const uint32_t theirs[] = { 0, 2, 5, 64, 65, 100000 };
	struct hand *h = *state;
	struct job *a, *b;

	used(h, "n", "them", theirs, ARRAY_LEN(theirs));
	a = undealt(h, "a", "n", 4);
	b = undealt(h, "b", "n", 60);
	deal_jobs(h->flight, false);
	assert_string_equal(has(a), "1,3,4,6");
	assert_int_equal(b->picks.v[0].index, 7);
	assert_int_equal(b->picks.v[56].index, 63);
	assert_int_equal(b->picks.v[57].index, 66); /* over the edge of a word */
	assert_int_equal(b->picks.v[59].index, 68);
}

static void a_thousand_of_every_other(void **state)
{
	enum { N = 1000 };
	static uint32_t odd[N];
	struct hand *h = *state;
	struct job *j;

	for (uint32_t i = 0; i < N; i++)
		odd[i] = 2 * i + 1;
	used(h, "n", "them", odd, N);
	j = undealt(h, "a", "n", N);
	deal_jobs(h->flight, false);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(j->picks.v[i].index, 2 * i);
}

static void namespaces_do_not_meet(void **state)
{
	static const uint32_t theirs[] = { 0, 1 };
	struct hand *h = *state;
	struct job *b2, *b10, *a, *c;

	used(h, "a", "them", theirs, 2);
	b10 = undealt(h, "x10", "b", 1);
	c = undealt(h, "x", "c", 2);
	a = undealt(h, "x", "a", 2);
	b2 = undealt(h, "x2", "b", 1);
	deal_jobs(h->flight, false);
	assert_string_equal(has(a), "2,3");
	assert_string_equal(has(b2), "0"); /* x2 before x10, whoever came first */
	assert_string_equal(has(b10), "1");
	assert_string_equal(has(c), "0,1");
	deal_jobs(h->flight, false); /* who is dealt stays so */
	assert_string_equal(has(a), "2,3");
}

static void what_is_on_its_way_is_taken(void **state)
{
	static const uint32_t dealt[] = { 0, 3 }, settling[] = { 1 }, others[] = { 2 };
	struct hand *h = *state;
	struct job *s, *j;

	(void)hand_join(h, "dealt", "n", 2, dealt);
	(void)hand_join(h, "others", "m", 1, others);
	s = hand_join(h, "settling", "n", 1, settling);
	lock_take(&h->b->lock);
	flight_take_locked(h->flight, s);
	list_append(&h->flight->settling, &s->in_flight);
	lock_drop(&h->b->lock);
	j = undealt(h, "a", "n", 3);
	deal_jobs(h->flight, false);
	assert_string_equal(has(j), "2,4,5");
	lock_take(&h->b->lock);
	list_del(&s->in_flight);
	lock_drop(&h->b->lock);
	job_unref(h->b, s);
}

/* ---- the same id ---- */

static void again(void **state)
{
	static const struct {
		unsigned n;
		const char *has;
	} rows[] = { { 1, "5" }, { 2, "5,1" }, { 3, "5,1,0" }, { 5, "5,1,0,2,3" } };
	static const uint32_t mine[] = { 5, 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct hand *h = hand_open(REQUEST_CACHE_USE, NULL);
		struct job *j;

		used(h, "n", "me", mine, 2);
		j = with_id(undealt(h, "a", "n", rows[i].n), "me");
		deal_jobs(h->flight, false);
		assert_string_equal(has(j), rows[i].has);
		hand_close(h);
	}
}

static void an_open_window(void **state)
{
	static const uint32_t mine[] = { 5, 1 };
	struct hand *h = *state;
	struct job *enough, *more, *fresh;

	used(h, "n", "enough", mine, 2);
	used(h, "n", "more", mine + 1, 1);
	enough = undealt(h, "enough", "n", 2);
	more = undealt(h, "more", "n", 2);
	fresh = undealt(h, "fresh", "n", 1);
	deal_jobs(h->flight, true);
	assert_string_equal(has(enough), "5,1"); /* it needs not wait */
	assert_null(more->picks.v);
	assert_null(fresh->picks.v);
	assert_ptr_equal(fresh->flight, h->flight); /* that is no failure */
	deal_jobs(h->flight, false);
	assert_string_equal(has(fresh), "0");
	assert_string_equal(has(more), "1,2");
}

static void twins(void **state)
{
	static const uint32_t theirs[] = { 0 };
	struct hand *h = *state;
	struct job *one, *two, *three, *other, *elsewhere;

	used(h, "n", "them", theirs, 1);
	one = with_id(undealt(h, "t1", "n", 2), "same");
	two = with_id(undealt(h, "t2", "n", 1), "same");
	three = with_id(undealt(h, "t3", "n", 4), "same");
	other = with_id(undealt(h, "t4", "n", 1), "zzz");
	elsewhere = with_id(undealt(h, "t5", "o", 1), "same");
	deal_jobs(h->flight, false);
	assert_string_equal(has(one), "1,2");
	assert_string_equal(has(two), "1");
	assert_string_equal(has(three), "1,2,3,4");
	assert_string_equal(has(other), "5");
	assert_string_equal(has(elsewhere), "0");
}

/* ---- dealt by a batch ---- */

static struct job *offered(struct hand *h, const char *path, unsigned n, const uint32_t *indices)
{
	struct job *j = hand_join(h, path, "n", n, indices);

	j->picks.offered = true;
	return j;
}

static void an_offer_is_taken_when_it_is_free(void **state)
{
	static const uint32_t mine[] = { 3, 7 }, theirs[] = { 0 };
	struct hand *h = *state;
	struct job *j, *other;

	used(h, "n", "them", theirs, 1);
	j = offered(h, "line", 2, mine);
	other = undealt(h, "other", "n", 3);
	deal_jobs(h->flight, true); /* nor does it wait for a window */
	assert_string_equal(has(j), "3,7");
	assert_false(j->picks.offered);
	assert_null(other->picks.v);
	deal_jobs(h->flight, false);
	assert_string_equal(has(other), "1,2,4");
}

/* Another request of the namespace had the sample in the meantime: nobody gets it twice. */
static void an_offer_that_somebody_has(void **state)
{
	static const uint32_t wanted[] = { 1, 2 }, recorded[] = { 1 }, dealt[] = { 0 };
	struct hand *h = *state;
	struct job *j, *waits;

	used(h, "n", "them", recorded, 1);
	(void)hand_join(h, "dealt", "n", 1, dealt);
	j = offered(h, "line", 2, wanted);
	waits = offered(h, "waits", 1, dealt);
	deal_jobs(h->flight, true);
	assert_null(j->picks.v);
	assert_null(waits->picks.v);
	deal_jobs(h->flight, false);
	assert_string_equal(has(j), "2,3");
	assert_string_equal(has(waits), "4");
}

static void two_offers_of_one_sample(void **state)
{
	static const uint32_t both[] = { 0 };
	struct hand *h = *state;
	struct job *a = offered(h, "a", 1, both), *b = offered(h, "b", 1, both);

	deal_jobs(h->flight, false);
	assert_string_equal(has(a), "0");
	assert_string_equal(has(b), "1");
}

/* What it was given in an earlier life is recorded as its own. */
static void an_offer_of_what_it_had(void **state)
{
	static const uint32_t mine[] = { 5, 1 };
	struct hand *h = *state;
	struct job *j;

	used(h, "n", "me", mine, 2);
	j = with_id(offered(h, "line", 2, mine), "me");
	deal_jobs(h->flight, false);
	assert_string_equal(has(j), "5,1");
	assert_false(j->picks.offered);
}

static void a_twin_that_is_being_recorded(void **state)
{
	static const uint32_t first[] = { 7, 3 };
	struct hand *h = *state;
	struct job *s = with_id(hand_join(h, "s", "n", 2, first), "same"), *j;

	lock_take(&h->b->lock);
	flight_take_locked(h->flight, s);
	list_append(&h->flight->settling, &s->in_flight);
	lock_drop(&h->b->lock);
	j = with_id(undealt(h, "a", "n", 3), "same");
	deal_jobs(h->flight, false);
	assert_string_equal(has(j), "7,3,0");
	lock_take(&h->b->lock);
	list_del(&s->in_flight);
	lock_drop(&h->b->lock);
	job_unref(h->b, s);
}

/* ---- samples of another model ---- */

static struct key key_of_model(struct hand *h, const char *model)
{
	struct job_body body = { .request = json_deep_copy(h->flight->request) };
	json_t *dropped = json_array();
	struct route route;
	struct err e = { 0 };

	assert_int_equal(json_object_del(body.request, "backend"), 0);
	assert_int_equal(json_object_del(body.request, "model"), 0);
	assert_int_equal(route_model(h->b, model, &route, &e), 0);
	assert_int_equal(check_target(h->b, &route, body.request), 0);
	assert_int_equal(check_key(h->b, &route, &body, dropped, &e), 0);
	json_decref(body.request);
	json_decref(dropped);
	free(body.canon);
	return body.key;
}

static void others_numbers_are_not_mine(void **state)
{
	static const uint32_t theirs[] = { 0, 1, 2 };
	struct hand *h = *state;
	struct key other = key_of_model(h, "echo/other");
	struct job *j;

	/* answered by another model last time, which cannot be asked any more */
	hand_give(h, "n", "a", &h->flight->key, &other, theirs, 3);
	j = undealt(h, "a", "n", 2);
	assert_int_equal(deal_recorded(h->b, j), -ENOENT);
	assert_null(j->picks.v);
	deal_jobs(h->flight, false);
	assert_string_equal(has(j), "0,1"); /* of this key nothing was handed out */
}

enum from { MINE, SECOND, THIRD, UNKNOWN };

static void as_recorded(void **state)
{
	static const struct {
		unsigned n;
		size_t given;
		enum from from[3];
		int result;
		const char *has, *model;
	} rows[] = {
		{ 1, 0, { 0 }, -ENOENT, "", "m" },
		{ 2, 1, { MINE }, -ENOENT, "", "m" },
		{ 2, 2, { MINE, MINE }, 0, "9,4", "m" },
		{ 1, 3, { MINE, SECOND, THIRD }, 0, "9", "m" }, /* what it does not want */
		{ 2, 2, { SECOND, SECOND }, 0, "9,4", "second" },
		{ 2, 3, { THIRD, THIRD, THIRD }, 0, "9,4", "third" }, /* over the one between */
		{ 1, 1, { UNKNOWN }, -ENOENT, "", "m" },
		/* of two models no response can be made: it stays with the first */
		{ 2, 2, { MINE, SECOND }, -ENOENT, "", "m" },
		{ 2, 2, { SECOND, MINE }, -ENOENT, "", "m" },
		{ 2, 2, { SECOND, THIRD }, -ENOENT, "", "m" },
		{ 3, 2, { SECOND, SECOND }, -ENOENT, "", "m" },
	};
	static const uint32_t numbers[] = { 9, 4, 6 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct hand *h = hand_open(REQUEST_CACHE_USE, NULL);
		const struct key keys[] = { h->flight->key, key_of_model(h, "echo/second"),
					    key_of_model(h, "echo/third"),
					    key_of_model(h, "echo/unknown") };
		struct job *j = hand_job(h, "a", "n", rows[i].n);
		struct ledger_given v[3];
		struct ledger_change c = { .op = LEDGER_OP_GIVE };

		j->terms.fallback = json_pack("[s, s]", "echo/second", "echo/third");
		for (size_t k = 0; k < rows[i].given; k++)
			v[k] = (struct ledger_given){ keys[rows[i].from[k]], numbers[k] };
		c.give = (struct ledger_given_change){ .ns = "n",
						       .request_id = "a",
						       .key = h->flight->key,
						       .v = v,
						       .n = rows[i].given };
		if (rows[i].given)
			assert_int_equal(hand_post(h, &c), 0);
		assert_int_equal(deal_recorded(h->b, j), rows[i].result);
		assert_string_equal(has(j), rows[i].has);
		assert_string_equal(j->terms.model, rows[i].model);
		assert_true(key_equal(&j->body.asked, &keys[MINE]));
		if (rows[i].result == 0)
			assert_true(key_equal(&j->body.key, &keys[rows[i].from[0]]));
		else
			assert_int_equal(j->terms.fallback_at,
					 0); /* all of them may still be asked */
		hand_close(h);
	}
}

/* ---- what is to be bought ---- */

static void is_missing(struct hand *h, const char *expected)
{
	struct deal_list l;
	char text[256];
	size_t at = 0;

	assert_int_equal(deal_missing(h->flight, &l), 0);
	text[0] = '\0';
	for (size_t i = 0; i < l.n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u:%u%s", i ? " " : "",
				       l.v[i].owner, l.v[i].index, l.v[i].looked ? "!" : "");
	assert_string_equal(text, expected);
	deal_list_done(&l);
	assert_null(l.v);
	deal_list_done(&l);
}

static void each_once_by_owner(void **state)
{
	static const uint32_t a[] = { 6, 2 }, b[] = { 2, 9, 0 }, bought[] = { 0, 6 };
	struct hand *h = *state;
	struct purchase p = { .f = h->flight, .n = 2, .indices = (uint32_t *)(uintptr_t)bought };
	struct job *x, *y;

	is_missing(h, "");
	x = hand_join(h, "x", "n", 2, a);
	(void)undealt(h, "waits", "n", 3); /* wants nothing yet, but is somebody */
	y = hand_join(h, "y", "n", 3, b);
	is_missing(h, "0:2 0:6 2:0 2:9");
	picks_missed(&y->picks, 2); /* whoever looked: the store does not have it */
	is_missing(h, "0:2! 0:6 2:0 2:9");
	x->picks.v[1].have = true;
	is_missing(h, "0:6 2:0 2:2! 2:9");
	lock_take(&h->b->lock);
	list_append(&h->flight->bought, &p.link);
	lock_drop(&h->b->lock);
	is_missing(h, "2:2! 2:9");
	lock_take(&h->b->lock);
	list_del(&p.link);
	lock_drop(&h->b->lock);
	for (unsigned i = 0; i < 3; i++)
		y->picks.v[i].have = true;
	x->picks.v[0].have = true;
	is_missing(h, "");
	x->picks.v[0].have = x->picks.v[1].have = false; /* no pins: nothing was given */
	for (unsigned i = 0; i < 3; i++)
		y->picks.v[i].have = false;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(holes_are_filled),
		TEST(a_thousand_of_every_other),
		TEST(namespaces_do_not_meet),
		TEST(what_is_on_its_way_is_taken),
		cmocka_unit_test(again),
		TEST(an_open_window),
		TEST(twins),
		TEST(a_twin_that_is_being_recorded),
		TEST(an_offer_is_taken_when_it_is_free),
		TEST(an_offer_that_somebody_has),
		TEST(two_offers_of_one_sample),
		TEST(an_offer_of_what_it_had),
		TEST(others_numbers_are_not_mine),
		cmocka_unit_test(as_recorded),
		TEST(each_once_by_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
