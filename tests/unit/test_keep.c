/* test_keep.c - which answers the store keeps, under whose name, and what is not lost when it does not take one */
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
#include "jobs/keep.h"
#include "jobs/sweep.h"

static struct hand *begin(enum request_cache mode)
{
	struct hand *h = hand_open(mode, NULL);

	assert_non_null(h);
	return h;
}

struct kept_as {
	int result;
	struct keep k;
};

static struct kept_as keep(struct hand *h, const struct answer *a, uint32_t index, bool direct)
{
	struct kept_as x = { .k = { .answer = a, .index = index, .call_id = "call" } };

	x.k.may_store = keep_may_store(h->flight, a);
	x.k.direct = direct;
	x.result = keep_answer(h->flight, &x.k);
	return x;
}

static void let_go(struct hand *h, struct kept_as *x)
{
	if (x->result == 0 && !x->k.direct)
		sweep_unpin(h->b, &x->k.id.key);
	keep_done(&x->k);
}

static bool in_answers(struct hand *h, const struct answers_id *id, const char *text)
{
	struct buf b = BUF_INIT(1 << 20);
	bool there = answers_read(h->f.answers, id, &b) == 0 && strstr(buf_str(&b), text);

	buf_done(&b);
	return there;
}

static void how_it_ended(void **state)
{
	static const struct {
		const char *end;
		bool stored, with_max; /* with_max: the user chose max_tokens */
	} rows[] = {
		{ "stop", true, true },		{ "tool_calls", true, true },
		{ "length", false, true },	{ "content_filter", false, false },
		{ "pause", false, false },	{ "other:safety", false, false },
		{ "other:stop", false, false }, { "STOP", false, false },
		{ "", false, false },
	};
	static const enum request_cache modes[] = { REQUEST_CACHE_USE, REQUEST_CACHE_BYPASS,
						    REQUEST_CACHE_REFRESH, REQUEST_CACHE_ONLY };

	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct hand *h = begin(modes[m]);
		struct job *a, *b;

		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			struct answer *v = hand_answer("x", rows[i].end, 1, 1);

			assert_int_equal(keep_may_store(h->flight, v),
					 rows[i].stored && modes[m] != REQUEST_CACHE_BYPASS);
			(void)answer_free(v);
		}
		a = hand_join(h, "a", NULL, 1, NULL);
		b = hand_join(h, "b", NULL, 1, NULL);
		assert_false(a->terms.user_max_tokens);
		b->terms.user_max_tokens = true; /* one of those who wait is enough */
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			struct answer *v = hand_answer("x", rows[i].end, 1, 1);

			assert_int_equal(keep_may_store(h->flight, v),
					 rows[i].with_max && modes[m] != REQUEST_CACHE_BYPASS);
			(void)answer_free(v);
		}
		hand_close(h);
	}
}

static void in_both_places(void **state)
{
	struct hand *h = begin(REQUEST_CACHE_USE);
	struct answer *a = hand_answer("both", "stop", 1, 1),
		      *b = hand_answer("cut", "length", 1, 1);
	struct kept_as x = keep(h, a, 5, false), y = keep(h, b, 6, false);
	char text[16];

	(void)state;
	assert_int_equal(x.result, 0);
	assert_true(x.k.stored && !x.k.direct);
	assert_int_equal(x.k.id.index, 5);
	assert_int_equal(x.k.id.variant, 0);
	assert_true(in_answers(h, &x.k.id, "\"text\":\"both\""));
	assert_true(hand_stored(h, 5, text, sizeof(text)));
	assert_string_equal(text, "both");
	assert_string_equal(json_string_value(json_object_get(x.k.sample, "provider")), "echo");
	assert_true(hand_pinned(h));
	/* for this response alone */
	assert_int_equal(y.result, 0);
	assert_false(y.k.stored);
	assert_true(in_answers(h, &y.k.id, "\"text\":\"cut\""));
	assert_false(hand_stored(h, 6, NULL, 0));
	let_go(h, &x);
	let_go(h, &y);
	assert_false(hand_pinned(h));
	(void)answer_free(a);
	(void)answer_free(b);
	hand_close(h);
}

static void directly(void **state)
{
	static const struct {
		enum request_cache mode;
		const char *end;
		bool direct, stored;
	} rows[] = {
		{ REQUEST_CACHE_USE, "stop", true, true },
		{ REQUEST_CACHE_USE, "length", false, false },
		{ REQUEST_CACHE_BYPASS, "stop", false, false },
		{ REQUEST_CACHE_REFRESH, "stop", false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct hand *h = begin(rows[i].mode);
		struct answer *a = hand_answer("x", rows[i].end, 1, 1);
		struct kept_as x = keep(h, a, 0, true);

		assert_int_equal(x.result, 0);
		assert_int_equal(x.k.direct, rows[i].direct);
		assert_int_equal(hand_stored(h, 0, NULL, 0), rows[i].stored);
		assert_int_equal(in_answers(h, &x.k.id, "x"), !rows[i].direct);
		assert_int_equal(hand_pinned(h), !rows[i].direct);
		let_go(h, &x);
		(void)answer_free(a);
		hand_close(h);
	}
}

static void the_first_daemon_wins(void **state)
{
	static const bool direct[] = { false, true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(direct); i++) {
		struct hand *h = begin(REQUEST_CACHE_USE);
		struct answer *theirs = hand_answer("theirs", "stop", 1, 1);
		struct answer *ours = hand_answer("ours", "stop", 1, 1);
		struct kept_as x = keep(h, theirs, 0, true), y;
		char text[16];

		assert_true(x.k.direct); /* as another daemon would: nothing of it is in answers/ */
		y = keep(h, ours, 0, direct[i]);
		assert_int_equal(y.result, 0);
		assert_false(y.k.direct);
		assert_string_equal(json_string_value(json_object_get(y.k.sample, "text")),
				    "theirs");
		assert_true(in_answers(h, &y.k.id, "theirs"));
		assert_true(hand_stored(h, 0, text, sizeof(text)));
		assert_string_equal(text, "theirs");
		let_go(h, &x);
		let_go(h, &y);
		assert_false(hand_pinned(h));
		(void)answer_free(theirs);
		(void)answer_free(ours);
		hand_close(h);
	}
}

static void refreshing_replaces(void **state)
{
	struct hand *h = begin(REQUEST_CACHE_REFRESH);
	struct answer *old = hand_answer("old", "stop", 1, 1),
		      *now = hand_answer("new", "stop", 1, 1);
	struct answer *cut = hand_answer("cut", "length", 1, 1);
	struct kept_as x = keep(h, old, 0, false), y = keep(h, now, 0, false), z;
	char text[16];

	(void)state;
	assert_int_equal(y.result, 0);
	assert_true(hand_stored(h, 0, text, sizeof(text)));
	assert_string_equal(text, "new");
	/* responses of before keep what they were given */
	assert_int_equal(x.k.id.variant, 0);
	assert_int_equal(y.k.id.variant, 1);
	assert_true(in_answers(h, &x.k.id, "old"));
	assert_true(in_answers(h, &y.k.id, "new"));
	z = keep(h, cut, 0, false);
	assert_int_equal(z.result, 0);
	assert_int_equal(z.k.id.variant, 2);
	assert_true(
		hand_stored(h, 0, text, sizeof(text))); /* what may not be stored removes nothing */
	assert_string_equal(text, "new");
	let_go(h, &x);
	let_go(h, &y);
	let_go(h, &z);
	(void)answer_free(old);
	(void)answer_free(now);
	(void)answer_free(cut);
	hand_close(h);
}

static void what_is_no_text_is_not_kept(void **state)
{
	struct hand *h = begin(REQUEST_CACHE_USE);
	struct answer *a = hand_answer("\xff\xfe", "stop", 1, 1),
		      *b = hand_answer("x", "stop", 1, 1);
	struct kept_as x = keep(h, a, 0, false), y;

	(void)state;
	assert_int_equal(x.result, -EINVAL);
	assert_int_equal(buf_add(&b->raw, "\xc3(", 2), 0); /* the provider's bytes */
	y = keep(h, b, 1, false);
	assert_int_equal(y.result, -EINVAL);
	assert_false(hand_stored(h, 0, NULL, 0) || hand_stored(h, 1, NULL, 0));
	assert_false(hand_pinned(h));
	let_go(h, &x);
	let_go(h, &y);
	(void)answer_free(a);
	(void)answer_free(b);
	hand_close(h);
}

static void empty_and_huge(void **state)
{
	enum { HUGE = 3 << 20 };
	struct hand *h = begin(REQUEST_CACHE_USE);
	struct answer *none = hand_answer("", "stop", 0, 0), *much = hand_answer("", "stop", 1, 1);
	struct kept_as x = keep(h, none, 0, false), y;
	char *text = malloc(HUGE + 1), *back = calloc(1, HUGE + 2);
	char first[4] = "-";

	(void)state;
	assert_true(text && back);
	assert_int_equal(x.result, 0);
	assert_true(hand_stored(h, 0, first, sizeof(first)));
	assert_string_equal(first, "");
	for (size_t i = 0; i < HUGE; i++)
		text[i] = "a\"\\\n"[i % 4];
	text[HUGE] = '\0';
	assert_int_equal(buf_add(&much->text, text, HUGE), 0);
	y = keep(h, much, UINT32_MAX - 1, false);
	assert_int_equal(y.result, 0);
	assert_true(hand_stored(h, UINT32_MAX - 1, back, HUGE + 2));
	assert_string_equal(back, text);
	let_go(h, &x);
	let_go(h, &y);
	free(text);
	free(back);
	(void)answer_free(none);
	(void)answer_free(much);
	hand_close(h);
}

static void done_of_nothing(void **state)
{
	struct keep k = { 0 };

	(void)state;
	keep_done(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(how_it_ended),
		cmocka_unit_test(in_both_places),
		cmocka_unit_test(directly),
		cmocka_unit_test(the_first_daemon_wins),
		cmocka_unit_test(refreshing_replaces),
		cmocka_unit_test(what_is_no_text_is_not_kept),
		cmocka_unit_test(empty_and_huge),
		cmocka_unit_test(done_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
