/* test_land.c - what a call with several samples cost, and who gets them: the sum is what the provider bills */
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
#include "jobs/land.h"

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

static const uint32_t upwards[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

/* ---- prices ---- */

/* USD per million: 3 and 15, cached 0.3; beyond 1000 tokens of input 6 and 22.5 */
struct bill {
	unsigned n;
	int64_t input[4], cached[4], output[4];
	int64_t nano;	  /* of the call; -1 unknown */
	int64_t first;	  /* of it, the first one's */
	int64_t again[4]; /* each other one's */
};

static void sums_are_exact(void **state)
{
	static const struct bill rows[] = {
		/* one alone */
		{ 1, { 7 }, { 0 }, { 3 }, 66000, 66000, { 0 } },
		/* the input is the first one's */
		{ 3, { 7 }, { 0 }, { 3, 1, 2 }, 111000, 66000, { 0, 15000, 30000 } },
		/* a part of it had been cached */
		{ 2, { 100 }, { 90 }, { 1, 1 }, 87000, 72000, { 0, 15000 } },
		/* long: each of the others is a part of a dear call, though it read nothing itself */
		{ 2, { 1001 }, { 0 }, { 10, 10 }, 6456000, 6231000, { 0, 225000 } },
		/* long only together: providers that count the input of each choice */
		{ 2, { 600, 600 }, { 0 }, { 10, 10 }, 7650000, 7425000, { 0, 225000 } },
		/* not long */
		{ 2, { 500, 500 }, { 0 }, { 10, 10 }, 3300000, 3150000, { 0, 150000 } },
		{ 4, { 0 }, { 0 }, { 0 }, 0, 0, { 0 } },
		/* nobody said how much was read, or one does not know what it wrote */
		{ 2, { -1, -1 }, { 0 }, { 1, 1 }, -1, -1, { 0, -1 } },
		{ 3, { 5 }, { 0 }, { 1, -1, 1 }, -1, -1, { 0, -1, -1 } },
		/* more was cached than read: no bill */
		{ 2, { 5 }, { 6 }, { 1, 1 }, -1, -1, { 0, -1 } },
	};
	struct hand *h = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct bill *b = &rows[i];
		struct answer *v[4];
		char path[8];
		struct job *j;
		int64_t sum, shared = 0;
		uint32_t at[4];

		(void)snprintf(path, sizeof(path), "b%zu", i);
		for (uint32_t k = 0; k < b->n; k++) {
			at[k] = (uint32_t)i * 10 + k; /* nobody else's */
			v[k] = hand_answer("x", "stop", b->input[k], b->output[k]);
			v[k]->usage.cached_input = b->cached[k];
			v[k]->usage.cache_write = v[k]->usage.reasoning = 0;
		}
		j = hand_join(h, path, NULL, b->n, at);
		sum = hand_land(h, at, v, b->n);
		assert_int_equal(sum, b->nano);
		assert_true(picks_full(&j->picks));
		assert_int_equal(hand_nano(j->picks.tally.cost_usd), b->nano);
		for (uint32_t k = 0; k < b->n; k++) {
			struct object o = { 0 };
			int64_t nano;

			assert_int_equal(store_get(h->f.store, &h->flight->key, at[k], 0, &o, NULL),
					 STORE_OK);
			nano = hand_nano(picks_price(o.sample));
			assert_int_equal(nano, k ? b->again[k] : b->first);
			shared += nano;
			object_done(&o);
		}
		if (b->nano >= 0)
			assert_int_equal(shared, b->nano);
	}
}

/* many samples of odd sizes: what the others have is subtracted from one whole, nothing is rounded away */
static void no_rounding_is_lost(void **state)
{
	enum { N = 128 };
	struct hand *h = *state;
	struct answer *v[N];
	uint32_t at[N];
	int64_t output = 0;
	struct job *j;

	for (uint32_t k = 0; k < N; k++) {
		at[k] = k * 3;
		output += (k * 7919) % 1009;
		v[k] = hand_answer("x", "stop", k ? 0 : 999, (k * 7919) % 1009);
	}
	j = hand_join(h, "many", NULL, N, at);
	assert_int_equal(hand_land(h, at, v, N), 999 * 3000 + output * 15000);
	assert_int_equal(hand_nano(j->picks.tally.cost_usd), 999 * 3000 + output * 15000);
	assert_int_equal(hand_nano(j->picks.tally.merged_usd), (N - 1) * 999 * 3000LL);
	assert_int_equal(j->picks.tally.tokens[0], 999);
	assert_int_equal(j->picks.tally.tokens[3], output);
	assert_int_equal(j->picks.tally.calls, 1);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_CALLS), 1);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_RETRIED), 1);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAMPLES_DUPLICATED), N - 1);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_TOKENS_OUTPUT), output);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_COST_NANO_USD),
			 999 * 3000 + output * 15000);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAVED_DEDUP_NANO_USD),
			 (N - 1) * 999 * 3000LL);
}

static int64_t priced(struct hand *h, const char *extra, const char *model, bool batch)
{
	json_t *was = h->flight->request, *o = json_deep_copy(was);
	struct answer *a = hand_answer("x", "stop", 100, 10);
	int64_t nano;

	if (extra)
		assert_int_equal(json_object_set_new(o, "extra_body", json_loads(extra, 0, NULL)),
				 0);
	free(a->model);
	a->model = strdup(model);
	h->flight->request = o;
	if (batch) {
		nano = hand_nano(land_batch_cost(h->flight, a));
		(void)answer_free(a);
	} else {
		static uint32_t next = 1000;

		next++;
		nano = hand_land(h, &next, &a, 1);
	}
	h->flight->request = was;
	json_decref(o);
	return nano;
}

static void whose_price(void **state)
{
	static const struct {
		const char *extra, *model;
		int64_t nano;
	} rows[] = {
		{ NULL, "m", 450000 },
		{ NULL, "m-2026-01-01", 450000 },   /* a snapshot */
		{ NULL, "never heard of", 450000 }, /* then the one that was asked */
		{ "{\"service_tier\":\"auto\"}", "m", 450000 },
		{ "{\"service_tier\":\"standard_only\"}", "m", 450000 },
		{ "{\"serviceTier\":\"standard\"}", "m", 450000 },
		{ "{\"speed\":\"default\"}", "m", 450000 },
		{ "{\"service_tier\":7}", "m", 450000 }, /* no word that it would be */
		{ "{\"service_tier\":\"priority\"}", "m", -1 },
		{ "{\"service_tier\":\"flex\"}", "m", -1 },
		{ "{\"serviceTier\":\"auto\",\"speed\":\"fast\"}", "m", -1 },
	};
	struct hand *h = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(priced(h, rows[i].extra, rows[i].model, false), rows[i].nano);
		assert_int_equal(priced(h, rows[i].extra, rows[i].model, true),
				 rows[i].nano < 0 ? -1 : rows[i].nano / 2);
	}
}

static void nothing_to_pay_or_nobody_known(void **state)
{
	struct hand *h = *state;
	json_t *was = h->flight->request;

	h->f.backends[0].free_of_charge = true;
	assert_int_equal(priced(h, NULL, "m", false), 0);
	assert_int_equal(priced(h, "{\"service_tier\":\"priority\"}", "m", false), 0);
	h->f.backends[0].free_of_charge = false;
	h->f.backends[0].provider = NULL;
	assert_int_equal(priced(h, NULL, "m", false), -1);
	h->f.backends[0].provider = (char *)(uintptr_t) "p";
	h->flight->request = json_pack("{s:s}", "backend", "went away");
	assert_int_equal(priced(h, NULL, "m", true), -1);
	json_decref(h->flight->request);
	h->flight->request = json_object();
	assert_int_equal(priced(h, NULL, "m", true), -1);
	json_decref(h->flight->request);
	h->flight->request = was;
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_UNPRICED), 1);
}

/* ---- who gets what ---- */

static void a_short_reply(void **state)
{
	struct hand *h = *state;
	struct job *j = hand_join(h, "a", NULL, 4, NULL);
	struct answer *v[4] = { NULL, hand_answer("first", "stop", 10, 1), NULL,
				hand_answer("second", "stop", 0, 1) };
	char text[16];

	/* what there is moves up: of four that were wanted the first two are there */
	assert_int_equal(hand_land(h, upwards, v, 4), 60000);
	assert_int_equal(j->picks.have, 2);
	assert_true(hand_stored(h, 0, text, sizeof(text)));
	assert_string_equal(text, "first");
	assert_true(hand_stored(h, 1, text, sizeof(text)));
	assert_string_equal(text, "second");
	assert_false(hand_stored(h, 2, NULL, 0));
	assert_true(picks_want(&j->picks, 2) && picks_want(&j->picks, 3));
	assert_int_equal(j->picks.tally.bought, 2);
	assert_int_equal(j->picks.tally.duplicated, 1);
}

static void an_empty_reply(void **state)
{
	struct hand *h = *state;
	struct job *j = hand_join(h, "a", NULL, 2, NULL);
	struct answer *v[2] = { NULL, NULL };

	assert_int_equal(hand_land(h, upwards, v, 2), 0);
	assert_int_equal(j->picks.have, 0);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_CALLS), 0);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAMPLES), 0);
	assert_false(hand_pinned(h));
}

static void a_stream_whose_choices_moved(void **state)
{
	static const uint32_t second[] = { 1 };
	struct hand *h = *state;
	struct job *j = hand_join(h, "a", "n", 1, second);
	struct answer *v[2] = { NULL, hand_answer("right", "stop", 1, 1) };
	struct stream *s;

	lock_take(&h->b->lock);
	s = job_stream_locked(j);
	lock_drop(&h->b->lock);
	assert_non_null(s);
	assert_int_equal(stream_append(s, "right", 5), 0);
	/* index 1 was shown, but is index 0 now: who reads index 1 starts over */
	assert_int_equal(hand_land(h, upwards, v, 2), 18000);
	assert_int_equal(stream_size(s), 0);
	assert_int_equal(j->picks.have, 0);
	stream_unref(s);
}

static void one_buys_for_all(void **state)
{
	static const uint32_t mine[] = { 1, 0 };
	struct hand *h = *state;
	struct job *late = hand_join(h, "late", "n", 2, mine), *first, *other;
	struct answer *v[2] = { hand_answer("zero", "stop", 10, 1),
				hand_answer("one", "stop", 0, 2) };

	first = hand_join(h, "first", NULL, 1, NULL);
	other = hand_join(h, "other", NULL, 1, upwards + 5);
	late->times.accepted_mono = 100;
	assert_int_equal(hand_land(h, upwards, v, 2), 75000);
	/* sample 0 is bought by who was accepted first, whatever the order on the list */
	assert_int_equal(first->picks.tally.bought, 1);
	assert_int_equal(hand_nano(first->picks.tally.cost_usd), 45000);
	assert_int_equal(first->picks.tally.calls, 1);
	assert_int_equal(late->picks.tally.bought, 1);
	assert_int_equal(late->picks.tally.calls, 0);
	assert_int_equal(hand_nano(late->picks.tally.cost_usd), 30000);
	assert_int_equal(hand_nano(late->picks.tally.saved_usd), 45000);
	assert_int_equal(hand_nano(late->picks.tally.merged_usd), 30000);
	assert_true(late->picks.v[1].cached && !late->picks.v[0].cached);
	assert_true(late->picks.v[0].duplicated && !late->picks.v[1].duplicated);
	assert_int_equal(late->picks.tally.text_bytes, 4); /* of its own first: one */
	assert_int_equal(other->picks.have, 0);
}

static void the_ended_is_no_buyer(void **state)
{
	struct hand *h = *state;
	struct job *ended = hand_join(h, "ended", NULL, 1, NULL);
	struct job *next = hand_join(h, "next", NULL, 1, NULL);
	struct answer *v[1] = { hand_answer("x", "stop", 10, 1) };

	lock_take(&h->b->lock);
	ended->ending = true;
	lock_drop(&h->b->lock);
	assert_int_equal(hand_land(h, upwards, v, 1), 45000);
	assert_int_equal(ended->picks.have, 0);
	assert_int_equal(next->picks.have, 1);
	assert_int_equal(next->picks.tally.bought, 1);
	assert_int_equal(hand_nano(next->picks.tally.cost_usd), 45000);
	assert_false(next->picks.v[0].cached);
}

static void asks_share_without_a_file(void **state)
{
	struct hand *h = *state;
	struct job *a = hand_join(h, NULL, NULL, 1, NULL), *b = hand_join(h, NULL, NULL, 1, NULL);
	struct answer *v[1] = { hand_answer("x", "stop", 10, 1) };

	v[0]->tool_calls = json_loads("[{\"id\":\"c\"}]", 0, NULL);
	assert_int_equal(hand_land(h, upwards, v, 1), 45000);
	assert_int_equal(a->state, BROKER_DONE);
	assert_int_equal(b->state, BROKER_DONE);
	assert_int_equal(json_array_size(a->ask.calls), 1);
	assert_int_equal(json_array_size(b->ask.calls), 1);
	assert_true(hand_stored(h, 0, NULL, 0));
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAMPLES), 2);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAMPLES_CACHED), 1);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAVED_CACHE_NANO_USD), 45000);
	assert_false(hand_pinned(h)); /* into the engine only */
}

static void nobody_waits_any_more(void **state)
{
	struct hand *h = *state;
	struct answer *v[2] = { hand_answer("x", "stop", 10, 1), hand_answer("y", "length", 0, 1) };

	assert_int_equal(hand_land(h, upwards, v, 2), 60000);
	assert_true(hand_stored(h, 0, NULL, 0)); /* paid is paid: the next one finds it */
	assert_false(hand_stored(h, 1, NULL, 0));
	assert_false(hand_pinned(h));
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAMPLES_FRESH), 2);
}

/* ---- vectors ---- */

static void vectors_or_nothing(void **state)
{
	static const struct {
		const char *input, *vectors;
		bool good;
	} rows[] = {
		{ "\"q\"", "[[0.5,1]]", true },
		{ "[\"q\",\"r\"]", "[[0.5,1],[1,0]]", true },
		{ "[\"q\",\"r\"]", "[[0.5,1]]", false },
		{ "\"q\"", "[[0.5,1],[1,0]]", false },
		{ "[\"q\",\"r\"]", "[[0.5,1],[1]]", false },
		{ "\"q\"", "[]", false },
		{ "\"q\"", "[[]]", false },
		{ "\"q\"", "[[\"x\"]]", false },
		{ "\"q\"", "{}", false },
	};
	struct hand *h = *state;
	json_t *was = h->flight->request;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer *a = hand_answer("", NULL, 1, 0);
		struct err e = { 0 };
		int r;

		h->flight->request = json_pack("{s:s, s:o}", "endpoint", "embedding", "input",
					       json_loads(rows[i].input, JSON_DECODE_ANY, NULL));
		a->embedding = json_loads(rows[i].vectors, 0, NULL);
		assert_true(check_is_embedding(h->flight->request));
		r = land_embedding(h->flight, a, &e);
		assert_int_equal(r == 0, rows[i].good);
		if (r == 0)
			assert_string_equal(a->finish_reason, "stop");
		else
			assert_true(e.message[0] != '\0');
		json_decref(h->flight->request);
		(void)answer_free(a);
	}
	h->flight->request = was;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sums_are_exact),
		TEST(no_rounding_is_lost),
		TEST(whose_price),
		TEST(nothing_to_pay_or_nobody_known),
		TEST(a_short_reply),
		TEST(an_empty_reply),
		TEST(a_stream_whose_choices_moved),
		TEST(one_buys_for_all),
		TEST(the_ended_is_no_buyer),
		TEST(asks_share_without_a_file),
		TEST(nobody_waits_any_more),
		TEST(vectors_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
