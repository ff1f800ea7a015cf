/*
 * test_answer.c - one sample as a provider gave it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/str.h"
#include "core/answer.h"
#include "core/canon.h"

/* ' stands for " in want */
static void expect(const struct answer *a, const char *provider, const char *call_id,
		   const char *want)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	AUTO_FREE char *p = str_dup_n(want, strlen(want));
	json_t *v = answer_sample(a, provider, call_id);

	for (char *q = p; *q; q++)
		if (*q == '\'')
			*q = '"';
	assert_non_null(v);
	assert_int_equal(canon_write_ordered(v, &b), 0);
	assert_string_equal(buf_str(&b), p);
	json_decref(v);
}

static char *text_of(const char *s)
{
	char *p = str_dup_n(s, strlen(s));

	assert_non_null(p);
	return p;
}

/* Text that is not UTF-8 cannot be told in JSON: no sample rather than a wrong one. */
static void test_not_utf8(void **state)
{
	static const size_t fields[] = { offsetof(struct answer, finish_reason),
					 offsetof(struct answer, model),
					 offsetof(struct answer, refusal),
					 offsetof(struct answer, provider_request_id) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fields) + 2; i++) {
		struct answer *a = answer_new();
		char **field =
			(char **)(void *)((char *)a + (i < ARRAY_LEN(fields) ? fields[i] : 0));

		if (i < ARRAY_LEN(fields))
			*field = text_of("bad \xFF");
		else
			assert_int_equal(buf_adds(i % 2 ? &a->text : &a->reasoning, "\xC3("), 0);
		assert_null(answer_sample(a, "p", "c"));
		answer_free(a);
	}
}

static void test_not_utf8_from_us(void **state)
{
	struct answer *a = answer_new();

	(void)state;
	assert_null(answer_sample(a, "\xFF", "c"));
	assert_null(answer_sample(a, "p", "\xFF"));
	answer_free(a);
}

static void test_limits(void **state)
{
	struct answer *a = answer_new();

	(void)state;
	assert_int_equal(a->text.max, ANSWER_TEXT_MAX);
	assert_int_equal(a->reasoning.max, ANSWER_TEXT_MAX);
	assert_int_equal(a->raw.max, ANSWER_TEXT_MAX);
	answer_free(a);
}

static void test_free_takes_all(void **state)
{
	struct answer *a = calloc(1, sizeof(*a));

	(void)state;
	assert_null(answer_free(NULL));
	assert_null(answer_free(a)); /* half built: all zero */
	assert_null(answer_free(answer_new()));
}

static void test_nothing_known(void **state)
{
	struct answer *a = answer_new();

	(void)state;
	expect(a, "echo", "c1",
	       "{'text':'','finish_reason':null,'tool_calls':null,'reasoning':null,'logprobs':null,"
	       "'refusal':null,'usage':{'input_tokens':null,'cached_input_tokens':null,"
	       "'cache_write_tokens':null,'output_tokens':null,'reasoning_tokens':null},"
	       "'cost_usd':null,'model':null,'provider':'echo','provider_request_id':null,"
	       "'call':{'id':'c1','samples':1}}");
	answer_free(a);
}

static void test_all_known(void **state)
{
	struct answer *a = answer_new();

	(void)state;
	assert_int_equal(buf_adds(&a->text, "Hi \xF0\x9F\x98\x80\n"), 0);
	assert_int_equal(buf_adds(&a->reasoning, "thinking"), 0);
	assert_int_equal(buf_adds(&a->raw, "{}"), 0);
	a->finish_reason = text_of("stop");
	a->model = text_of("small-2603");
	a->refusal = text_of("no");
	a->provider_request_id = text_of("req-1");
	a->tool_calls = json_pack("[{s:s}]", "id", "t1");
	a->logprobs = json_pack("{s:[]}", "content");
	a->usage = (struct answer_usage){ 12, 0, 3, 40, 7 };
	a->cost_usd = 0.000123;
	expect(a, "mistral", "call-9",
	       "{'text':'Hi \xF0\x9F\x98\x80\\n','finish_reason':'stop','tool_calls':[{'id':'t1'}],"
	       "'reasoning':'thinking','logprobs':{'content':[]},'refusal':'no',"
	       "'usage':{'input_tokens':12,'cached_input_tokens':0,'cache_write_tokens':3,"
	       "'output_tokens':40,'reasoning_tokens':7},'cost_usd':0.000123,'model':'small-2603',"
	       "'provider':'mistral','provider_request_id':'req-1','call':{'id':'call-9','samples':1}}");
	answer_free(a);
}

/* Free is a price; unknown is none. */
static void test_cost(void **state)
{
	static const struct {
		double cost;
		bool known;
	} rows[] = { { 0, true }, { -1, false }, { -0.5, false }, { 12.5, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer *a = answer_new();
		const json_t *cost;
		json_t *v;

		a->cost_usd = rows[i].cost;
		v = answer_sample(a, "p", "c");
		cost = json_object_get(v, "cost_usd");
		assert_int_equal(json_is_real(cost), rows[i].known);
		assert_int_equal(json_is_null(cost), !rows[i].known);
		if (rows[i].known)
			assert_true(json_real_value(cost) == rows[i].cost);
		json_decref(v);
		answer_free(a);
	}
}

/* The sample lives on when the answer has gone, and the answer keeps its own. */
static void test_sample_owns_what_it_shows(void **state)
{
	struct answer *a = answer_new();
	json_t *v;

	(void)state;
	a->tool_calls = json_pack("[s]", "x");
	v = answer_sample(a, "p", "c");
	assert_int_equal(json_array_size(a->tool_calls), 1);
	answer_free(a);
	assert_int_equal(json_array_size(json_object_get(v, "tool_calls")), 1);
	json_decref(v);
}

static void test_text_with_nul(void **state)
{
	struct answer *a = answer_new();
	json_t *v;

	(void)state;
	assert_int_equal(buf_add(&a->text, "a\0b", 3), 0);
	v = answer_sample(a, "p", "c");
	assert_int_equal(json_string_length(json_object_get(v, "text")), 3);
	json_decref(v);
	answer_free(a);
}

static void test_usage_json(void **state)
{
	struct answer_usage u = { 1, -1, 0, INT64_MAX, -1 };
	AUTO_BUF struct buf b = BUF_INIT(1000);
	json_t *v = answer_usage_json(&u);

	(void)state;
	assert_int_equal(canon_write_ordered(v, &b), 0);
	assert_string_equal(
		buf_str(&b),
		"{\"input_tokens\":1,\"cached_input_tokens\":null,\"cache_write_tokens\":0,"
		"\"output_tokens\":9223372036854775807,\"reasoning_tokens\":null}");
	json_decref(v);
}

static unsigned allocations_left;

static void *scarce_malloc(size_t n)
{
	if (!allocations_left)
		return NULL;
	allocations_left--;
	return malloc(n);
}

static void test_out_of_memory(void **state)
{
	struct answer *a = answer_new();
	json_t *v = NULL;

	(void)state;
	a->finish_reason = text_of("stop");
	a->model = text_of("m");
	a->usage = (struct answer_usage){ 1, 2, 3, 4, 5 };
	a->cost_usd = 1;
	a->tool_calls = json_array();
	assert_int_equal(buf_adds(&a->text, "text"), 0);
	for (unsigned n = 0; !v; n++) {
		allocations_left = n;
		json_set_alloc_funcs(scarce_malloc, free);
		v = answer_sample(a, "p", "c");
		json_set_alloc_funcs(malloc, free);
		assert_true(n < 1000);
	}
	assert_int_equal(json_object_size(v), 12);
	json_decref(v);
	answer_free(a);
}

static void shares(const struct answer_usage *call, const char *who, const int64_t want[][5])
{
	struct answer *v[4] = { NULL };
	size_t n = strlen(who);

	for (size_t i = 0; i < n; i++)
		v[i] = who[i] == 'x' ? answer_new() : NULL;
	answer_share_usage(call, v, n);
	for (size_t i = 0; i < n; i++) {
		if (!v[i])
			continue;
		assert_int_equal(v[i]->usage.input, want[i][0]);
		assert_int_equal(v[i]->usage.cached_input, want[i][1]);
		assert_int_equal(v[i]->usage.cache_write, want[i][2]);
		assert_int_equal(v[i]->usage.output, want[i][3]);
		assert_int_equal(v[i]->usage.reasoning, want[i][4]);
		answer_free(v[i]);
	}
}

static void test_share_usage(void **state)
{
	static const struct answer_usage known = { 10, 4, 2, 11, 5 }, some = { -1, -1, 3, -1, 0 },
					 most = { 1, 0, 0, INT64_MAX, INT64_MAX };
	static const int64_t none[][5] = { { 0 } }, all[][5] = { { 10, 4, 2, 11, 5 } },
			     three[][5] = { { 10, 4, 2, 5, 3 },
					    { 0, 0, 0, 3, 1 },
					    { 0, 0, 0, 3, 1 } },
			     last[][5] = { { 0 }, { 10, 4, 2, 6, 3 }, { 0 }, { 0, 0, 0, 5, 2 } },
			     unknown[][5] = { { -1, -1, 3, -1, 0 }, { -1, -1, 0, -1, 0 } },
			     huge[][5] = { { 1, 0, 0, INT64_MAX / 2 + 1, INT64_MAX / 2 + 1 },
					   { 0, 0, 0, INT64_MAX / 2, INT64_MAX / 2 } };
	struct answer *a = answer_new();

	(void)state;
	shares(&known, "...", none); /* nobody: nothing is divided by nothing */
	shares(&known, "x", all);
	shares(&known, "xxx", three);
	shares(&known, ".x.x", last);
	shares(&some, "xx", unknown);
	shares(&most, "xx", huge);
	a->usage = known; /* the call's numbers may lie in one of them */
	answer_share_usage(&a->usage, &a, 1);
	assert_int_equal(a->usage.output, 11);
	answer_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_not_utf8_from_us),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_free_takes_all),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_all_known),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_sample_owns_what_it_shows),
		cmocka_unit_test(test_text_with_nul),
		cmocka_unit_test(test_usage_json),
		cmocka_unit_test(test_share_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
