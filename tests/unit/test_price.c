/*
 * test_price.c - what a call costs
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/auto.h"
#include "core/price.h"

#define DAY_2026 1795219200000000000ull /* 2026-11-21 */
#define DAY_2027 1798761600000000000ull /* 2027-01-01 */

static const char text[] =
	"{\"as_of\":\"2026-11-21\",\"models\":["
	"{\"provider\":\"p\",\"model\":\"m\",\"aliases\":[\"m-latest\"],\"input\":2,\"output\":10,"
	"\"cached_input\":0.2,\"cache_write_5m\":2.5,\"batch_discount\":0.5,"
	"\"long_context\":{\"threshold_input_tokens\":1000,\"input\":4,\"output\":15,\"cached_input\":0.4}},"
	"{\"provider\":\"p\",\"model\":\"m-mini\",\"input\":1,\"output\":1,"
	"\"next_price\":{\"from\":\"2027-01-01\",\"input\":3}},"
	"{\"provider\":\"p\",\"model\":\"unknown\",\"input\":null,\"output\":1},"
	"{\"provider\":\"p\",\"model\":\"embed\",\"input\":0.5,\"output\":0},"
	"{\"provider\":\"google\",\"model\":\"g\",\"input\":1,\"output\":2},"
	"{\"provider\":\"free\",\"model\":\"*\",\"input\":0,\"output\":0}]}";

struct row {
	const char *provider, *model;
	uint64_t when;
	bool batch;
	struct answer_usage u;
	double usd; /* < 0: unknown */
};

static void test_costs(void **state)
{
	static const struct row rows[] = {
		{ "p", "m", DAY_2026, false, { 100, -1, -1, 10, -1 }, 300e-6 },
		{ "p", "m-latest", DAY_2026, false, { 100, 0, 0, 10, 5 }, 300e-6 },
		{ "p", "m-2026-03-01", DAY_2026, false, { 100, 0, 0, 10, 5 }, 300e-6 },
		{ "p", "m-20260301", DAY_2026, false, { 100, 0, 0, 10, 5 }, 300e-6 },
		{ "p", "m-2603", DAY_2026, false, { 100, 0, 0, 10, 5 }, -1 },
		{ "p", "m-20260301x", DAY_2026, false, { 100, 0, 0, 10, 5 }, -1 },
		{ "p", "M", DAY_2026, false, { 100, 0, 0, 10, 5 }, -1 },
		{ "q", "m", DAY_2026, false, { 100, 0, 0, 10, 5 }, -1 },
		{ NULL, "m", DAY_2026, false, { 100, 0, 0, 10, 5 }, -1 },
		{ "p", "m", DAY_2026, true, { 100, 0, 0, 10, 5 }, 150e-6 },
		/* part of the input, cached and written */
		{ "p",
		  "m",
		  DAY_2026,
		  false,
		  { 100, 50, 20, 0, -1 },
		  (30 * 2 + 50 * .2 + 20 * 2.5) / 1e6 },
		{ "p", "m", DAY_2026, false, { 100, 90, 20, 0, -1 }, -1 },
		/* at the threshold, and above it: everything at the higher price */
		{ "p", "m", DAY_2026, false, { 1000, 0, 0, 1, 0 }, (1000 * 2 + 10) / 1e6 },
		{ "p", "m", DAY_2026, false, { 1001, 1, 0, 1, 0 }, (1000 * 4 + .4 + 15) / 1e6 },
		{ "p", "m", DAY_2026, false, { 1001, 0, 1, 0, 0 }, (1000 * 4 + 5) / 1e6 },
		/* not told is not nothing */
		{ "p", "m", DAY_2026, false, { -1, -1, -1, 10, -1 }, -1 },
		{ "p", "m", DAY_2026, false, { 10, -1, -1, -1, -1 }, -1 },
		{ "p", "embed", DAY_2026, false, { 10, -1, -1, -1, -1 }, 5e-6 },
		{ "p", "unknown", DAY_2026, false, { 10, -1, -1, 10, -1 }, -1 },
		{ "p", "m-mini", DAY_2026, false, { 10, 4, -1, 10, -1 }, 20e-6 },
		{ "p", "m-mini", DAY_2027, false, { 10, 4, -1, 10, -1 }, 40e-6 },
		{ "gemini", "models/g", DAY_2026, false, { 10, -1, -1, 10, -1 }, 30e-6 },
		{ "free", "any/thing", DAY_2026, false, { 10, -1, -1, 10, -1 }, 0 },
	};
	struct price_list *p = NULL;

	(void)state;
	assert_int_equal(price_parse(text, strlen(text), &p, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct price_of of = { r->provider, r->model, r->when, r->batch };
		double usd = price_cost(p, &of, &r->u);

		if (r->usd < 0 ? usd >= 0 : fabs(usd - r->usd) > 1e-12)
			fail_msg("row %zu: %.12g, wanted %.12g", i, usd, r->usd);
	}
	assert_string_equal(price_as_of(p), "2026-11-21");
	assert_null(price_free(p));
}

static void test_wrong_lists(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"models\":{}}",
		"{\"models\":[1]}",
		"{\"models\":[{\"provider\":\"p\"}]}",
		"{\"models\":[{\"provider\":\"p\",\"model\":\"m\",\"input\":-1}]}",
		"{\"models\":[{\"provider\":\"p\",\"model\":\"m\",\"input\":\"1\"}]}",
		"{\"models\":[{\"provider\":\"p\",\"model\":\"m\",\"batch_discount\":50}]}",
		"{\"models\":[{\"provider\":\"p\",\"model\":\"m\",\"long_context\":{\"input\":1}}]}",
	};
	struct price_list *p = NULL;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memset(&e, 0, sizeof(e));
		assert_int_equal(price_parse(bad[i], strlen(bad[i]), &p, &e), -EINVAL);
		assert_true(e.message[0]);
		assert_null(p);
	}
}

static void test_builtin(void **state)
{
	struct price_list *p = price_builtin();
	struct answer_usage u = { 1000000, 0, 0, 1000000, 0 };
	struct price_of of = { "mistral", "mistral-small-latest", DAY_2026, false };
	json_t *shown;

	(void)state;
	assert_non_null(p);
	assert_true(strlen(price_as_of(p)) == 10);
	assert_true(fabs(price_cost(p, &of, &u) - 0.75) < 1e-9);
	of = (struct price_of){ "anthropic", "claude-haiku-4-5-20251001", DAY_2026, false };
	assert_true(fabs(price_cost(p, &of, &u) - 6) < 1e-9);
	shown = price_show(p, &of);
	assert_true(json_number_value(json_object_get(shown, "output")) == 5);
	json_decref(shown);
	of.model = "no-such-model";
	assert_null(price_show(p, &of));
	assert_null(price_free(p));
	assert_null(price_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_wrong_lists),
		cmocka_unit_test(test_builtin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
