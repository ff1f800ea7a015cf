/*
 * infer/echo: deterministic answers, pace, and every failure by name
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mono.h"
#include "wire_ask.h"

#define HEAD	   "{\"format\":1,\"backend\":\"echo\",\"endpoint\":\"chat\",\"model\":\"echo\","
#define USER(text) "\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]"

static struct ask fixture;

static int setup(void **state)
{
	(void)state;
	ask_new(&fixture, ask_config("echo", NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ask_free(&fixture);
	return 0;
}

static void test_error_by_name(void **state)
{
	static const struct {
		const char *name;
		int code;
	} rows[] = { { "EINVAL", EINVAL },
		     { "EMSGSIZE", EMSGSIZE },
		     { "EKEYREJECTED", EKEYREJECTED },
		     { "ENXIO", ENXIO },
		     { "EDQUOT", EDQUOT },
		     { "EBUSY", EBUSY },
		     { "EREMOTEIO", EREMOTEIO },
		     { "EBADMSG", EBADMSG },
		     { "ETIMEDOUT", ETIMEDOUT },
		     { "ECONNREFUSED", ECONNREFUSED },
		     { "EHOSTUNREACH", EHOSTUNREACH },
		     { "EPROTO", EPROTO },
		     { "EOPNOTSUPP", EOPNOTSUPP },
		     { "NOSUCH", EINVAL } };
	char request[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ask_call c;

		snprintf(request, sizeof(request),
			 HEAD USER("x") ",\"extra_body\":{\"error\":\"%s\"}}", rows[i].name);
		assert_int_equal(ask(&fixture, &c, request), rows[i].code);
		assert_string_equal(c.err.backend, "echo");
		assert_int_equal(c.err.attempts, 1);
		assert_int_equal(c.ended, 1);
		assert_int_equal(c.pieces, 0);
		ask_done(&c);
	}
}

static void test_finish_reason_error_fails(void **state)
{
	struct ask_call c;

	(void)state;
	assert_int_equal(ask(&fixture, &c,
			     HEAD USER("x") ",\"extra_body\":{\"finish_reason\":\"error\"}}"),
			 EREMOTEIO);
	assert_int_equal(c.attempts, 1);
	ask_done(&c);
}

static void test_check(void **state)
{
	const struct backend_type *t = infer_type("echo");
	static const char *const bad[] = { "{\"extra_body\":{\"delay_ms\":-1}}",
					   "{\"extra_body\":{\"delay_ms\":\"x\"}}",
					   "{\"extra_body\":{\"tokens_per_s\":1e10}}", NULL };
	struct err e;
	json_t *o;

	(void)state;
	for (int i = 0; bad[i]; i++) {
		o = json_loads(bad[i], 0, NULL);
		assert_int_equal(t->check(&fixture.config, o, NULL, false, &e), -EINVAL);
		assert_true(strstr(e.field, "extra_body.") != NULL);
		json_decref(o);
	}
	o = json_loads("{\"endpoint\":\"embedding\",\"input\":\"x\",\"dimensions\":65537}", 0,
		       NULL);
	assert_int_equal(t->check(&fixture.config, o, NULL, false, &e), -EINVAL);
	assert_string_equal(e.field, "dimensions");
	json_decref(o);
	o = json_loads("{\"endpoint\":\"embedding\",\"input\":\"x\"}", 0, NULL);
	assert_int_equal(t->check(&fixture.config, o, NULL, false, &e), 0);
	json_decref(o);
	o = json_loads(HEAD USER("x") ",\"top_k\":4,\"extra_body\":{\"delay_ms\":1.5}}", 0, NULL);
	assert_int_equal(t->check(&fixture.config, o, NULL, false, &e), 0);
	json_decref(o);
}

static struct answer *answer_of(struct ask_call *c, const char *request)
{
	struct infer_spec s = { .n = 1 };

	assert_int_equal(ask_begin(&fixture, c, request, &s), 0);
	ask_await(c);
	assert_non_null(c->answer);
	return c->answer;
}

static double number(const struct answer *a, size_t input, size_t i)
{
	return json_number_value(json_array_get(json_array_get(a->embedding, input), i));
}

/* Equal texts have equal vectors of length 1, other texts others. */
static void test_embedding(void **state)
{
	struct ask_call c;
	struct answer *a =
		answer_of(&c, "{\"endpoint\":\"embedding\",\"model\":\"e\",\"dimensions\":40,"
			      "\"input\":[\"one two\",\"\",\"one two\"]}");
	double square = 0;

	(void)state;
	assert_int_equal(json_array_size(a->embedding), 3);
	assert_int_equal(json_array_size(json_array_get(a->embedding, 1)), 40);
	for (size_t i = 0; i < 40; i++) {
		assert_true(number(a, 0, i) == number(a, 2, i));
		square += number(a, 1, i) * number(a, 1, i);
	}
	assert_true(square > 0.999999 && square < 1.000001);
	assert_true(number(a, 0, 0) != number(a, 1, 0));
	assert_int_equal(a->text.len, 0);
	assert_int_equal(a->usage.input, 4);
	assert_int_equal(a->usage.output, 0);
	assert_string_equal(a->finish_reason, "stop");
	ask_done(&c);
	a = answer_of(&c, "{\"endpoint\":\"embedding\",\"input\":\"x\"}");
	assert_int_equal(json_array_size(a->embedding), 1);
	assert_int_equal(json_array_size(json_array_get(a->embedding, 0)), 16);
	ask_done(&c);
}

static void test_tool_calls(void **state)
{
	struct ask_call c;
	struct answer *a = answer_of(
		&c, HEAD USER("x") ",\"extra_body\":{\"reasoning\":\"hm\",\"tool_calls\":["
				   "{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]}}");
	const json_t *call = json_array_get(a->tool_calls, 0);

	(void)state;
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(call, "function"), "arguments")),
		"{\"a\":1}");
	assert_true(json_is_string(json_object_get(call, "id")));
	assert_string_equal(a->finish_reason, "tool_calls");
	assert_string_equal(buf_str(&a->reasoning), "hm");
	assert_int_equal(a->text.len, 0);
	ask_done(&c);
}

static void answer_is(const char *request, uint32_t index, const char *text, int64_t in,
		      int64_t out)
{
	struct infer_spec s = { .indices = &index, .n = 1 };
	struct ask_call c;

	assert_int_equal(ask_begin(&fixture, &c, request, &s), 0);
	ask_await(&c);
	assert_non_null(c.answer);
	assert_string_equal(buf_str(&c.answer->text), text);
	assert_string_equal(c.text, text);
	assert_string_equal(c.answer->model, "echo");
	assert_int_equal(c.answer->usage.input, in);
	assert_int_equal(c.answer->usage.output, out);
	assert_int_equal(c.attempts, 1);
	ask_done(&c);
}

static void test_answers(void **state)
{
	(void)state;
	answer_is(HEAD USER("hello there") "}", 0, "You said: hello there", 2, 4);
	answer_is(HEAD USER("hello there") "}", 3, "You said: hello there (3)", 2, 5);
	answer_is(HEAD USER("") "}", 0, "You said: ", 0, 2);
	answer_is(
		HEAD
		"\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},"
		"{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
		"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"one \"},"
		"{\"type\":\"text\",\"text\":\"two\"}]}]}",
		0, "You said: one two", 6, 4);
	answer_is(
		HEAD USER(
			"x") ",\"max_tokens\":1,\"extra_body\":{\"text\":\"a whole \\u00e4nswer\"}}",
		0, "a whole \xc3\xa4nswer", 1, 3);
	answer_is(HEAD USER("x") ",\"extra_body\":{\"text\":\"\"}}", 0, "", 1, 0);
	answer_is("{\"endpoint\":\"completion\",\"model\":\"echo\",\"prompt\":\"p q\"}", 0,
		  "You said: p q", 2, 4);
}

/* One call, as many samples as are asked for, each known by its index. */
static void test_several(void **state)
{
	static const uint32_t indices[] = { 0, 2, 7 };
	static const char *const texts[] = { "You said: x", "You said: x (2)", "You said: x (7)" };
	struct infer_spec s = { .indices = indices, .n = 3 };
	struct ask_call c;
	json_t *chat = json_loads(HEAD USER("x") "}", 0, NULL);

	(void)state;
	assert_int_equal(infer_samples_max(fixture.infer, "echo", chat), BACKEND_SAMPLES_MAX);
	assert_int_equal(infer_samples_max(fixture.infer, "nobody", chat), 1);
	json_decref(chat);
	assert_int_equal(ask_begin(&fixture, &c,
				   HEAD USER("x") ",\"extra_body\":{\"tokens_per_s\":2000}}", &s),
			 0);
	ask_await(&c);
	assert_true(c.done);
	assert_int_equal(c.attempts, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(buf_str(&c.answers[i]->text), texts[i]);
		assert_string_equal(buf_str(&c.texts[i]), texts[i]);
		assert_int_equal(c.answers[i]->usage.input, i ? 0 : 1);
		assert_int_equal(c.answers[i]->usage.output, i ? 3 : 5); /* 3 + 4 + 4 */
	}
	ask_done(&c);
	s = (struct infer_spec){ .n = 128 };
	assert_int_equal(ask_begin(&fixture, &c, HEAD USER("x") "}", &s), 0);
	ask_await(&c);
	assert_string_equal(buf_str(&c.answers[127]->text), "You said: x (127)");
	ask_done(&c);
	assert_int_equal(ask_begin(&fixture, &c,
				   HEAD USER("x") ",\"extra_body\":{\"finish_reason\":\"error\"}}",
				   &s),
			 0);
	ask_await(&c);
	assert_int_equal(c.err.code, EREMOTEIO);
	ask_done(&c);
	s.n = 129;
	assert_int_equal(ask_begin(&fixture, &c, HEAD USER("x") "}", &s), -EINVAL);
	ask_done(&c);
}

static void test_same_bytes_again(void **state)
{
	struct ask_call a, b;

	(void)state;
	assert_int_equal(ask(&fixture, &a, HEAD USER("again \\u00e4 and again") "}"), 0);
	assert_int_equal(ask(&fixture, &b, HEAD USER("again \\u00e4 and again") "}"), 0);
	assert_int_equal(a.answer->raw.len, b.answer->raw.len);
	assert_memory_equal(a.answer->raw.data, b.answer->raw.data, a.answer->raw.len);
	assert_int_equal(a.answer->text.len, b.answer->text.len);
	ask_done(&a);
	ask_done(&b);
}

static void test_finish_reason(void **state)
{
	struct ask_call c;

	(void)state;
	assert_int_equal(ask(&fixture, &c,
			     HEAD USER("x") ",\"extra_body\":{\"finish_reason\":\"length\"}}"),
			 0);
	assert_string_equal(c.answer->finish_reason, "length");
	ask_done(&c);
}

static void test_pace(void **state)
{
	uint64_t begin = mono_ns();
	struct ask_call c;

	(void)state;
	assert_int_equal(ask(&fixture, &c,
			     HEAD USER("x") ",\"extra_body\":{\"text\":\"one two three four five\","
					    "\"delay_ms\":20,\"tokens_per_s\":200}}"),
			 0);
	assert_true(mono_ns() - begin >= 40 * MONO_MS); /* 20 + 4 tokens of 5 ms */
	assert_string_equal(c.text, "one two three four five");
	assert_true(c.pieces >= 2);
	ask_done(&c);
}

static void test_cancel_while_paced(void **state)
{
	struct ask_call c;

	(void)state;
	assert_int_equal(
		ask_begin(&fixture, &c,
			  HEAD USER("x") ",\"extra_body\":{\"text\":\"a b c\",\"delay_ms\":0,"
					 "\"tokens_per_s\":0.01}}",
			  NULL),
		0);
	ask_await_text(&c, 1);
	infer_cancel(fixture.infer, c.call);
	ask_await(&c);
	assert_int_equal(c.err.code, ECANCELED);
	assert_string_equal(c.text, "a");
	ask_done(&c);
}

static void test_timeout_while_delayed(void **state)
{
	struct infer_spec s = { .timeout_s = 0.02 };
	struct ask_call c;

	(void)state;
	assert_int_equal(ask_begin(&fixture, &c,
				   HEAD USER("x") ",\"extra_body\":{\"delay_ms\":60000}}", &s),
			 0);
	ask_await(&c);
	assert_int_equal(c.err.code, ETIMEDOUT);
	ask_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_by_name),
		cmocka_unit_test(test_finish_reason_error_fails),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_embedding),
		cmocka_unit_test(test_tool_calls),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_cancel_while_paced),
		cmocka_unit_test(test_timeout_while_delayed),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_same_bytes_again),
		cmocka_unit_test(test_finish_reason),
		cmocka_unit_test(test_pace),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
