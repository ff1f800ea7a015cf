/* test_picks.c - the samples of one request: who gets which, what is not known stays so, pins come back */
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

/* one sample of the store for whoever waits; the pin that it brings is taken back when nobody does */
static bool give(struct hand *h, struct job *j, uint32_t index, const struct gift *like,
		 const char *sample)
{
	struct answers_id id = { .key = h->flight->key, .index = index, .variant = 3 };
	json_t *o = json_loads(sample, 0, NULL);
	struct gift g = *like;
	bool taken;

	assert_non_null(o);
	g.id = &id;
	g.sample = o;
	assert_int_equal(sweep_pin(h->b, &id.key), 0);
	taken = picks_give(h->b, j, &g);
	if (!taken)
		sweep_unpin(h->b, &id.key);
	json_decref(o);
	return taken;
}

static void file_of_a_text(void **state)
{
	static const struct {
		const char *sample;
		uint64_t bytes;
	} rows[] = {
		{ "{}", 0 },
		{ "{\"text\":null}", 0 },
		{ "{\"text\":7}", 0 },
		{ "{\"text\":\"\"}", 0 },
		{ "{\"text\":\"a\"}", 2 },
		{ "{\"text\":\"a\\n\"}", 2 },
		{ "{\"text\":\"\\n\"}", 1 },
		{ "{\"text\":\"a\\n\\nb\"}", 5 },
		{ "{\"text\":\"\\u00e9\"}", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *o = json_loads(rows[i].sample, 0, NULL);

		assert_int_equal(picks_text_bytes(o), rows[i].bytes);
		json_decref(o);
	}
	assert_int_equal(picks_text_bytes(NULL), 0);
}

static void price_of_a_sample(void **state)
{
	static const struct {
		const char *sample;
		double usd;
	} rows[] = {
		{ "{}", -1 },
		{ "{\"cost_usd\":null}", -1 },
		{ "{\"cost_usd\":\"1\"}", -1 },
		{ "{\"cost_usd\":0}", 0 },
		{ "{\"cost_usd\":2}", 2 },
		{ "{\"cost_usd\":0.25}", 0.25 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *o = json_loads(rows[i].sample, 0, NULL);

		assert_true(picks_price(o) == rows[i].usd);
		json_decref(o);
	}
	assert_true(picks_price(NULL) < 0);
}

static void nothing_dealt_is_not_full(void **state)
{
	static const uint32_t first[] = { 9, 4, 0 }, again[] = { 7 };
	struct picks p = { 0 };

	(void)state;
	assert_false(picks_full(&p));
	assert_false(picks_want(&p, 0));
	picks_missed(&p, 0);
	assert_int_equal(picks_deal(&p, first, 3), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(p.v[i].index, first[i]);
	assert_true(picks_want(&p, 4));
	assert_false(picks_want(&p, 5));
	picks_missed(&p, 4);
	picks_missed(&p, 5);
	assert_true(p.v[1].missed);
	assert_false(p.v[0].missed || p.v[2].missed);
	/* dealt anew: what was known of the old ones is void */
	assert_int_equal(picks_deal(&p, again, 1), 0);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.v[0].index, 7);
	assert_false(p.v[0].missed);
	assert_false(picks_full(&p));
	assert_int_equal(picks_deal_first(&p, 4), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(p.v[i].index, i);
	free(p.v);
}

static void each_once(void **state)
{
	static const uint32_t mine[] = { 5, 2 };
	static const struct gift cached = { .kept = true };
	struct hand *h = *state;
	struct job *j = hand_join(h, "a", "n", 2, mine);
	const struct tally *t = &j->picks.tally;

	assert_false(give(h, j, 0, &cached, "{\"cost_usd\":1}")); /* not among them */
	assert_true(give(h, j, 2, &cached, "{\"text\":\"second\",\"cost_usd\":1}"));
	assert_false(give(h, j, 2, &cached, "{\"cost_usd\":1}")); /* it has that */
	assert_false(picks_full(&j->picks));
	assert_int_equal(t->text_bytes, 0); /* of sample 0 alone */
	assert_false(picks_want(&j->picks, 2));
	assert_true(give(h, j, 5, &cached,
			 "{\"text\":\"first\",\"reasoning\":\"r\",\"tool_calls\":[{}],"
			 "\"cost_usd\":0.5}"));
	assert_true(picks_full(&j->picks));
	assert_int_equal(t->text_bytes, 6);
	assert_true(t->reasoning && t->tool_calls);
	assert_int_equal(j->picks.v[0].variant, 3);
	assert_true(j->picks.v[0].cached && j->picks.v[1].cached);
	assert_int_equal(hand_nano(t->saved_usd), 1500000000);
	assert_int_equal(t->bought, 0);
	assert_int_equal(t->calls, 0);
	assert_true(t->cost_usd == 0);
	assert_true(hand_pinned(h));
	picks_recorded(h->b, &h->flight->key, &j->picks);
	assert_false(hand_pinned(h));
	picks_recorded(h->b, &h->flight->key,
		       &j->picks); /* twice: the pins are not anybody else's */
	assert_int_equal(sweep_pin(h->b, &h->flight->key), 0);
	picks_done(h->b, &h->flight->key, &j->picks);
	assert_true(hand_pinned(h));
	sweep_unpin(h->b, &h->flight->key);
}

static void the_ended_takes_nothing(void **state)
{
	struct hand *h = *state;
	struct job *j = hand_join(h, "a", NULL, 1, NULL);
	static const struct gift bought = { .bought = true, .attempts = 1 };

	lock_take(&h->b->lock);
	j->ending = true;
	lock_drop(&h->b->lock);
	assert_false(give(h, j, 0, &bought, "{\"text\":\"late\",\"cost_usd\":1}"));
	assert_int_equal(j->picks.have, 0);
	assert_int_equal(j->picks.tally.bought, 0);
	assert_int_equal(j->picks.tally.text_bytes, 0);
	assert_false(hand_pinned(h));
}

static void unrecorded_pins_go(void **state)
{
	struct hand *h = *state;
	struct job *j = hand_join(h, "a", NULL, 3, NULL);
	static const struct gift cached = { .kept = true };

	assert_true(give(h, j, 0, &cached, "{}"));
	assert_true(give(h, j, 2, &cached, "{}"));
	assert_true(hand_pinned(h));
	picks_done(h->b, &h->flight->key, &j->picks);
	assert_false(hand_pinned(h));
	assert_null(j->picks.v);
	assert_int_equal(j->picks.n, 0);
	picks_done(h->b, &h->flight->key, &j->picks);
}

/* ---- what it cost ---- */

#define USAGE(i, c, w, o, r)                                           \
	"\"usage\":{\"input_tokens\":" i ",\"cached_input_tokens\":" c \
	",\"cache_write_tokens\":" w ",\"output_tokens\":" o ",\"reasoning_tokens\":" r "}"

struct sum {
	const char *samples[3];
	bool lost[3]; /* the store does not keep it */
	double cost, again, merged;
	int64_t tokens[5];
};

static void bought_together(void **state)
{
	static const struct sum rows[] = {
		{ .samples = { "{\"cost_usd\":1," USAGE("10", "4", "1", "5", "2") "}",
			       "{\"cost_usd\":0.5," USAGE("0", "0", "0", "6", "0") "}",
			       "{\"cost_usd\":0.25," USAGE("0", "0", "0", "7", "1") "}" },
		  .cost = 1.75,
		  .merged = 0.5,
		  .tokens = { 10, 4, 1, 18, 3 } },
		{ .samples = { "{\"cost_usd\":1," USAGE("10", "null", "1", "5", "2") "}",
			       "{\"cost_usd\":null," USAGE("0", "0", "null", "6", "0") "}",
			       "{\"cost_usd\":2," USAGE("0", "0", "0", "null", "1") "}" },
		  .lost = { true },
		  .cost = -1,
		  .again = 1,
		  .merged = 0.5,
		  .tokens = { 10, -1, -1, -1, 3 } },
		{ .samples = { "{}", "{\"cost_usd\":1}", "{\"cost_usd\":1,\"usage\":[]}" },
		  .lost = { true, true, true },
		  .cost = -1,
		  .again = -1,
		  .merged = 0.5,
		  .tokens = { -1, -1, -1, -1, -1 } },
		{ .samples = { "{\"cost_usd\":0," USAGE("1", "0", "0", "1.5", "0") "}",
			       "{\"cost_usd\":0," USAGE("1", "0", "0", "2", "0") "}",
			       "{\"cost_usd\":3," USAGE("1", "0", "0", "2", "0") "}" },
		  .lost = { false, true, true },
		  .cost = 3,
		  .again = 3,
		  .merged = 0.5,
		  .tokens = { 3, 0, 0, -1, 0 } },
	};
	struct hand *h = *state;
	char path[8];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct job *j;

		(void)snprintf(path, sizeof(path), "r%zu", i);
		j = hand_join(h, path, NULL, 3, NULL);
		for (uint32_t k = 0; k < 3; k++) {
			struct gift g = { .bought = true,
					  .duplicated = k > 0,
					  .kept = !rows[i].lost[k],
					  .attempts = k ? 0 : 2,
					  .input_usd = 0.25 };

			assert_true(give(h, j, k, &g, rows[i].samples[k]));
			assert_int_equal(j->picks.v[k].duplicated, k > 0);
			assert_false(j->picks.v[k].cached);
		}
		assert_true(picks_full(&j->picks));
		assert_int_equal(j->picks.tally.bought, 3);
		assert_int_equal(j->picks.tally.duplicated, 2);
		assert_int_equal(j->picks.tally.calls, 1);
		assert_int_equal(j->picks.tally.attempts, 2);
		assert_int_equal(hand_nano(j->picks.tally.cost_usd), hand_nano(rows[i].cost));
		assert_int_equal(hand_nano(j->picks.tally.again_usd), hand_nano(rows[i].again));
		assert_int_equal(hand_nano(j->picks.tally.merged_usd), hand_nano(rows[i].merged));
		for (size_t t = 0; t < 5; t++)
			assert_int_equal(j->picks.tally.tokens[t], rows[i].tokens[t]);
	}
}

static void saved_and_paid_are_apart(void **state)
{
	struct hand *h = *state;
	struct job *j = hand_join(h, "a", NULL, 4, NULL);
	const struct gift cached = { .kept = true, .duplicated = true },
			  bought = { .kept = true, .bought = true, .attempts = 1 };

	assert_true(give(h, j, 0, &cached, "{\"cost_usd\":1}"));
	assert_false(j->picks.v[0].duplicated); /* who did not pay saved no input */
	assert_true(give(h, j, 1, &bought, "{\"cost_usd\":2}"));
	assert_int_equal(hand_nano(j->picks.tally.saved_usd), 1000000000);
	assert_int_equal(hand_nano(j->picks.tally.cost_usd), 2000000000);
	assert_true(give(h, j, 2, &cached, "{}"));
	assert_true(give(h, j, 3, &cached, "{\"cost_usd\":1}"));
	assert_int_equal(hand_nano(j->picks.tally.saved_usd), -1); /* not known once, not known */
	assert_int_equal(hand_nano(j->picks.tally.cost_usd), 2000000000);
	assert_int_equal(j->picks.tally.bought, 1);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_of_a_text),
		cmocka_unit_test(price_of_a_sample),
		cmocka_unit_test(nothing_dealt_is_not_full),
		TEST(each_once),
		TEST(the_ended_takes_nothing),
		TEST(unrecorded_pins_go),
		TEST(bought_together),
		TEST(saved_and_paid_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
