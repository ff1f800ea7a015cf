/* test_settle.c - a request has all of its samples: the row, its hand-outs and the counters, all or nothing */
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
#include "core/stream.h"
#include "hand.h"
#include "jobs/settle.h"
#include "jobs/sweep.h"

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

/* what a turn does with those that are full */
static void settle(struct hand *h, struct job *const *v, size_t n)
{
	struct list full;

	list_init(&full);
	lock_take(&h->b->lock);
	for (size_t i = 0; i < n; i++) {
		flight_take_locked(h->flight, v[i]);
		list_append(&full, &v[i]->in_flight);
	}
	lock_drop(&h->b->lock);
	settle_jobs(h->flight, &full);
}

static void land(struct hand *h, const uint32_t *indices, unsigned n)
{
	struct answer *v[4];

	for (unsigned i = 0; i < n; i++)
		v[i] = hand_answer("text", "stop", i ? 0 : 10, 1);
	(void)hand_land(h, indices, v, n);
}

static json_t *facts(struct hand *h, int64_t id, struct ledger_row *row)
{
	json_t *o;

	assert_int_equal(ledger_get(h->f.ledger, id, row), 0);
	assert_non_null(row->facts);
	o = json_loads(row->facts, 0, NULL);
	assert_non_null(o);
	return o;
}

static void recorded(void **state)
{
	static const uint32_t mine[] = { 2, 0 }, call[] = { 0, 2 };
	struct hand *h = *state;
	struct job *j = hand_join(h, "dir/a", NULL, 2, mine);
	struct ledger_row row = { 0 };
	struct ledger_handout *v = NULL;
	size_t n = 0;
	json_t *o;

	land(h, call, 2);
	assert_true(picks_full(&j->picks));
	settle(h, &j, 1);
	assert_int_equal(fixture_final(&h->f, j->id), BROKER_DONE);
	o = facts(h, j->id, &row);
	assert_int_equal(row.state, LEDGER_DONE);
	assert_int_equal(row.text_bytes, 5);
	assert_true(row.final_ns > 1);
	assert_int_equal(json_integer_value(json_object_get(o, "attempts")), 2);
	assert_int_equal(ledger_handouts(h->f.ledger, j->id, &v, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].index, 2); /* in the order of the response, not of the call */
	assert_int_equal(v[1].index, 0);
	assert_true(v[0].duplicated && !v[1].duplicated);
	assert_true(!v[0].cached && !v[1].cached);
	assert_int_equal(ledger_named(h->f.ledger, &h->flight->key, 2, 0), 1);
	assert_int_equal(ledger_named(h->f.ledger, &h->flight->key, 1, 0), 0);
	assert_false(hand_pinned(h)); /* the ledger names them now */
	lock_take(&h->b->lock);
	assert_null(job_by_id_locked(h->b, j->id));
	lock_drop(&h->b->lock);
	json_decref(o);
	ledger_row_done(&row);
	free(v);
}

static void all_of_a_posting(void **state)
{
	enum { N = 12 };
	struct hand *h = *state;
	struct job *v[N];
	uint32_t at[N];
	int64_t c[LEDGER_NS_COUNTERS];
	char path[8];

	for (uint32_t i = 0; i < N; i++) {
		(void)snprintf(path, sizeof(path), "p%u", i);
		at[i] = i;
		v[i] = hand_join(h, path, i % 2 ? "odd" : "even", 1, &at[i]);
	}
	for (uint32_t i = 0; i < N; i += 4)
		land(h, at + i, 4);
	settle(h, v, N);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(fixture_final(&h->f, v[i]->id), BROKER_DONE);
	assert_int_equal(ledger_ns_counters(h->f.ledger, "even", c), 0);
	assert_int_equal(c[LEDGER_NS_REQUESTS], N / 2);
	assert_int_equal(c[LEDGER_NS_SAMPLES], N / 2);
	assert_int_equal(c[LEDGER_NS_CALLS], 3); /* the lowest sample of each is even */
	assert_int_equal(c[LEDGER_NS_TOKENS_INPUT], 30);
	assert_int_equal(ledger_ns_counters(h->f.ledger, "odd", c), 0);
	assert_int_equal(c[LEDGER_NS_CALLS], 0);
	assert_int_equal(c[LEDGER_NS_DUPLICATED], N / 2);
	assert_int_equal(c[LEDGER_NS_SAVED_MERGE_NANO_USD], 30000 * N / 2);
}

static void one_bad_spoils_the_posting(void **state)
{
	static const uint32_t at[] = { 0, 1 };
	struct hand *h = *state;
	struct job *v[2] = { hand_join(h, "good", NULL, 1, at),
			     hand_join(h, "bad", "", 1, at + 1) };
	struct ledger_row row = { 0 };

	/* "" names no namespace: the ledger takes nothing of it, and nobody is told that he has an answer */
	land(h, at, 2);
	settle(h, v, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(v[i]->state, BROKER_FAILED);
		assert_non_null(v[i]->error);
		assert_non_null(strstr(v[i]->error->message, "could not be recorded"));
		assert_true(v[i]->over);
		assert_int_equal(ledger_get(h->f.ledger, v[i]->id, &row), 0);
		assert_int_equal(row.state, LEDGER_ACCEPTED); /* read again after the next mount */
		ledger_row_done(&row);
	}
}

static void the_ended_keeps_its_end(void **state)
{
	struct hand *h = *state;
	struct job *j = hand_join(h, "a", NULL, 1, NULL);
	struct ledger_row row = { 0 };
	static const uint32_t at[] = { 0 };

	land(h, at, 1);
	lock_take(&h->b->lock);
	j->ending = true;
	job_set_state_locked(h->b, j, BROKER_CANCELLED);
	lock_drop(&h->b->lock);
	settle(h, &j, 1);
	assert_int_equal(j->state, BROKER_CANCELLED);
	assert_false(j->over);
	assert_int_equal(ledger_get(h->f.ledger, j->id, &row), 0);
	assert_int_equal(row.state, LEDGER_ACCEPTED);
	assert_true(list_empty(&h->flight->settling));
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAMPLES_CACHED), 0);
	ledger_row_done(&row);
}

/* ---- what a namespace has cost ---- */

static void gift_of(struct hand *h, struct job *j, uint32_t index, bool bought, double usd)
{
	struct answers_id id = { .key = h->flight->key, .index = index };
	json_t *o = json_pack("{s:s, s:o, s:{s:i, s:i}}", "text", "x", "cost_usd",
			      usd < 0 ? json_null() : json_real(usd), "usage", "input_tokens", 4,
			      "output_tokens", 2);
	struct gift g = { .id = &id,
			  .sample = o,
			  .bought = bought,
			  .kept = index % 2 == 0,
			  .duplicated = index > 0,
			  .attempts = index == 0,
			  .input_usd = 0.001 };

	assert_int_equal(sweep_pin(h->b, &id.key), 0);
	assert_true(picks_give(h->b, j, &g));
	json_decref(o);
}

static void a_namespace_counts(void **state)
{
	static const struct {
		bool bought[3];
		double usd[3];
		int64_t expected[LEDGER_NS_COUNTERS];
	} rows[] = {
		{ { true, true, true },
		  { 0.5, 0.25, 0.125 },
		  { 1, 1, 3, 3, 0, 2, 12, 6, 0, 875000000, 0, 2000000, 250000000 } },
		{ { false, false, false },
		  { 0.5, 0.25, 0.125 },
		  { 1, 0, 3, 0, 3, 0, 0, 0, 0, 0, 875000000, 0, 0 } },
		{ { true, false, false },
		  { -1, 0.25, -1 },
		  { 1, 1, 3, 1, 2, 0, 4, 2, 1, 0, 0, 0, 0 } },
		{ { false, true, false },
		  { 0.5, -1, 0 },
		  { 1, 0, 3, 1, 2, 1, 4, 2, 1, 0, 500000000, 1000000, 0 } },
	};
	struct hand *h = *state;
	int64_t sum[LEDGER_NS_COUNTERS] = { 0 }, c[LEDGER_NS_COUNTERS];
	char ns[8];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct job *j, *k;

		(void)snprintf(ns, sizeof(ns), "n%zu", i);
		j = hand_join(h, ns, ns, 3, NULL);
		k = hand_join(h, NULL, NULL, 1, NULL); /* an ask: of no namespace */
		for (uint32_t s = 0; s < 3; s++)
			gift_of(h, j, s, rows[i].bought[s], rows[i].usd[s]);
		settle(h, &j, 1);
		assert_int_equal(fixture_final(&h->f, j->id), BROKER_DONE);
		assert_int_equal(ledger_ns_counters(h->f.ledger, ns, c), 0);
		for (size_t x = 0; x < LEDGER_NS_COUNTERS; x++) {
			if (c[x] != rows[i].expected[x])
				fail_msg("row %zu counter %zu: %lld", i, x, (long long)c[x]);
			sum[x] += c[x];
		}
		assert_int_equal(k->picks.have, 0);
	}
	assert_int_equal(ledger_ns_counters(h->f.ledger, "none", c), 0);
	for (size_t x = 0; x < LEDGER_NS_COUNTERS; x++)
		assert_int_equal(c[x], 0);
	assert_int_equal(sum[LEDGER_NS_REUSED] + sum[LEDGER_NS_BOUGHT], sum[LEDGER_NS_SAMPLES]);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAMPLES_CACHED), sum[LEDGER_NS_REUSED]);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_CACHE_HITS), 1);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAVED_CACHE_NANO_USD),
			 sum[LEDGER_NS_SAVED_CACHE_NANO_USD]);
}

/* ---- the changes themselves ---- */

static void what_is_given_out(void **state)
{
	static const struct {
		const char *ns;
		enum request_cache cache;
		bool fallback;
		size_t n;
		enum ledger_op ops[4];
	} rows[] = {
		{ NULL, REQUEST_CACHE_USE, false, 1, { LEDGER_OP_FINISH } },
		{ NULL, REQUEST_CACHE_USE, true, 1, { LEDGER_OP_FINISH } },
		{ "n",
		  REQUEST_CACHE_USE,
		  false,
		  3,
		  { LEDGER_OP_FINISH, LEDGER_OP_GIVE, LEDGER_OP_NS_COUNT } },
		{ "n",
		  REQUEST_CACHE_ONLY,
		  true,
		  4,
		  { LEDGER_OP_FINISH, LEDGER_OP_GIVE, LEDGER_OP_GIVE, LEDGER_OP_NS_COUNT } },
		/* it neither has nor uses up numbers, but it costs */
		{ "n", REQUEST_CACHE_BYPASS, false, 2, { LEDGER_OP_FINISH, LEDGER_OP_NS_COUNT } },
		{ "n", REQUEST_CACHE_BYPASS, true, 2, { LEDGER_OP_FINISH, LEDGER_OP_NS_COUNT } },
	};
	static const uint32_t mine[] = { 8, 3 };
	struct hand *h = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct job *j = hand_join(h, "p", rows[i].ns, 2, mine);
		struct settle_record r;

		j->terms.cache = rows[i].cache;
		if (rows[i].fallback)
			j->body.asked.b[0] ^= 1;
		assert_int_equal(settle_record(j, LEDGER_OP_FINISH, &r), 0);
		assert_int_equal(r.n, rows[i].n);
		for (size_t k = 0; k < r.n; k++) {
			const struct ledger_given_change *g = &r.changes[k].give;

			assert_int_equal(r.changes[k].op, rows[i].ops[k]);
			if (r.changes[k].op != LEDGER_OP_GIVE)
				continue;
			/* both keys lead to the samples of the model that answered */
			assert_true(key_equal(&g->key, k == 1 ? &j->body.key : &j->body.asked));
			assert_int_equal(g->n, 2);
			assert_true(key_equal(&g->v[1].key, &j->body.key));
			assert_int_equal(g->v[0].index, 8);
			assert_int_equal(g->v[1].index, 3);
			assert_string_equal(g->request_id, "p");
			assert_string_equal(g->root, "");
		}
		assert_int_equal(r.changes[0].n_handouts, 2);
		assert_int_equal(r.changes[0].handouts[1].pos, 1);
		settle_record_done(&r);
		settle_record_done(&r);
	}
}

static void an_id_of_its_own(void **state)
{
	struct hand *h = *state;
	struct job *j = hand_join(h, "p", "n", 1, NULL);
	struct ledger_given *v = NULL;
	static const uint32_t at[] = { 0 };
	size_t n = 0;

	j->terms.request_id = strdup("mine");
	land(h, at, 1);
	settle(h, &j, 1);
	assert_int_equal(fixture_final(&h->f, j->id), BROKER_DONE);
	assert_int_equal(ledger_given(h->f.ledger, "n", &h->flight->key, "p", &v, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(ledger_given(h->f.ledger, "n", &h->flight->key, "mine", &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0].index, 0);
	free(v);
}

/* ---- counters of a call ---- */

static void a_call_counts(void **state)
{
	static const struct {
		unsigned n, attempts;
		double usd[3], input_usd;
		int64_t cost, unpriced, dedup, retried;
	} rows[] = {
		{ 1, 1, { 0.5 }, 0, 500000000, 0, 0, 0 },
		{ 3, 1, { 0.5, 0.25, 0 }, 0.125, 750000000, 0, 250000000, 0 },
		{ 2, 5, { 0.5, -1 }, 0, 0, 1, 0, 4 },
		{ 2, 0, { -1, 1 }, -1, 0, 1, 0, 0 },
		{ 1, 1, { 0 }, 0, 0, 0, 0, 0 },
	};
	static const enum ledger_counter which[] = { LEDGER_C_COST_NANO_USD, LEDGER_C_UNPRICED,
						     LEDGER_C_SAVED_DEDUP_NANO_USD,
						     LEDGER_C_RETRIED };
	struct hand *h = *state;
	int64_t before[4];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const int64_t expected[] = { rows[i].cost, rows[i].unpriced, rows[i].dedup,
					     rows[i].retried };
		struct answer *v[3];

		for (size_t k = 0; k < 4; k++)
			before[k] = fixture_counter(&h->f, which[k]);
		for (unsigned k = 0; k < rows[i].n; k++) {
			v[k] = hand_answer("x", "stop", -1, 0);
			v[k]->cost_usd = rows[i].usd[k];
		}
		settle_count_call(h->b, v, rows[i].n, rows[i].attempts, rows[i].input_usd);
		for (size_t k = 0; k < 4; k++)
			assert_int_equal(fixture_counter(&h->f, which[k]) - before[k], expected[k]);
		for (unsigned k = 0; k < rows[i].n; k++)
			(void)answer_free(v[k]);
	}
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_CALLS), ARRAY_LEN(rows));
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_TOKENS_INPUT), 0); /* -1 is no number */
}

/* ---- streams and asks ---- */

static void what_a_reader_sees(void **state)
{
	static const struct {
		bool open, stored, full;
		const char *had;
		uint64_t size;
		bool stream;
	} rows[] = {
		{ true, false, false, "", 5, true },
		{ true, false, false, "first", 5, true },
		{ true, true, false, "", 5, true },
		{ false, false, false, NULL, 5,
		  true }, /* others are to come: later readers have it */
		{ false, true, false, NULL, 5, true },
		{ false, false, true, NULL, 0, false },
	};
	struct hand *h = *state;
	json_t *sample = json_pack("{s:s}", "text", "first");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct job *j = hand_join(h, "p", NULL, rows[i].full ? 1 : 2, NULL);

		if (rows[i].full)
			gift_of(h, j, 0, true, 1);
		if (rows[i].open) {
			j->stream = stream_new();
			assert_int_equal(stream_append(j->stream, rows[i].had, strlen(rows[i].had)),
					 0);
		}
		settle_stream(h->b, j, sample, rows[i].stored);
		assert_int_equal(j->stream != NULL, rows[i].stream);
		if (j->stream)
			assert_int_equal(stream_size(j->stream), rows[i].size);
	}
	json_decref(sample);
}

static void asks_and_named_ones(void **state)
{
	struct hand *h = *state;
	struct answer *a = hand_answer("x", "stop", 1, 1);
	struct job *ended, *ask, *named;

	assert_false(settle_asks(h->flight, a)); /* nobody is there */
	ended = hand_join(h, NULL, NULL, 1, NULL);
	lock_take(&h->b->lock);
	ended->ending = true;
	lock_drop(&h->b->lock);
	assert_false(settle_asks(h->flight, a)); /* nobody took it: it must be kept */
	ask = hand_join(h, NULL, NULL, 1, NULL);
	named = hand_join(h, "named", NULL, 1, NULL);
	assert_false(settle_asks(h->flight, a)); /* a name needs a record first */
	assert_int_equal(ask->state, BROKER_QUEUED);
	lock_take(&h->b->lock);
	flight_leave_locked(h->b, named, false);
	lock_drop(&h->b->lock);
	a->cost_usd = 0.5;
	assert_true(settle_asks(h->flight, a));
	assert_int_equal(ask->state, BROKER_DONE);
	assert_int_equal(ended->state, BROKER_QUEUED);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAMPLES_CACHED), 0); /* he bought it */
	(void)answer_free(a);
}

static void an_ask_is_shown_once(void **state)
{
	struct hand *h = *state;
	struct job *j = hand_join(h, NULL, NULL, 1, NULL);
	json_t *sample = json_pack("{s:s, s:f, s:[{s:s}]}", "text", "hello", "cost_usd", 0.5,
				   "tool_calls", "id", "c");

	j->stream = stream_new();
	settle_ask(h->b, j, sample, false);
	settle_ask(h->b, j, sample, false);
	assert_int_equal(j->state, BROKER_DONE);
	assert_null(j->flight);
	assert_int_equal(stream_size(j->stream), 6); /* with the newline of its end, once */
	assert_int_equal(json_array_size(j->ask.calls), 1);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_CACHE_HITS), 1);
	assert_int_equal(fixture_counter(&h->f, LEDGER_C_SAVED_CACHE_NANO_USD), 500000000);
	json_decref(sample);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(recorded),
		TEST(all_of_a_posting),
		TEST(one_bad_spoils_the_posting),
		TEST(the_ended_keeps_its_end),
		TEST(a_namespace_counts),
		TEST(what_is_given_out),
		TEST(an_id_of_its_own),
		TEST(a_call_counts),
		TEST(what_a_reader_sees),
		TEST(asks_and_named_ones),
		TEST(an_ask_is_shown_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
