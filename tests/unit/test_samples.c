/*
 * infer: calls that bring several samples, over the wire
 *
 * A failure is everybody's; a short reply is an answer; a server that cannot do it is asked for one.
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

#include "wire.h"
#include "wire_ask.h"

#define C(i, t) "data: {\"choices\":[{\"index\":" #i ",\"delta\":{\"content\":\"" t "\"}}]}\n\n"
#define F(i, w) \
	"data: {\"choices\":[{\"index\":" #i ",\"delta\":{},\"finish_reason\":\"" w "\"}]}\n\n"
#define BILL  "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":7}}\n\n"
#define DONE  "data: [DONE]\n\n"
#define THREE C(0, "a") C(2, "c") C(1, "b") F(1, "stop") F(0, "stop") F(2, "length") BILL DONE
#define ONE   C(0, "one") F(0, "stop") DONE
#define REFUSAL                                                                                 \
	"{\"error\":{\"message\":\"n must be 1\",\"type\":\"invalid_request_error\",\"param\":" \
	"\"n\",\"code\":null}}"

static struct ask_call call;
static struct ask a;
static struct wire *w;

static void begin(const char *type)
{
	w = wire_new();
	ask_new(&a, ask_config(type, wire_url(w)));
}

static void end(void)
{
	ask_free(&a);
	w = wire_free(w);
}

static const char *const hi =
	"{\"format\":1,\"backend\":\"b\",\"endpoint\":\"chat\",\"model\":\"m\","
	"\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

static void asked(unsigned n)
{
	struct infer_spec s = { .n = n };

	assert_int_equal(ask_begin(&a, &call, hi, &s), 0);
	(void)ask_await(&call);
}

static void says(size_t request, bool n)
{
	bool there = strstr(wire_body(w, request), "\"n\":") ||
		     strstr(wire_body(w, request), "\"candidateCount\":");

	if (there != n)
		fail_msg("request %zu: %s", request, wire_body(w, request));
}

static unsigned max_now(void)
{
	json_t *o = json_loads(hi, 0, NULL);
	unsigned n = infer_samples_max(a.infer, a.config.name, o);

	json_decref(o);
	return n;
}

static void is(unsigned i, const char *text)
{
	if (!text) {
		assert_null(call.answers[i]);
		return;
	}
	assert_non_null(call.answers[i]);
	assert_string_equal(buf_str(&call.answers[i]->text), text);
	assert_string_equal(buf_str(&call.texts[i]), text);
}

static void test_one_call(void **state)
{
	static const char *const types[] = { "openai", "mistral" };

	(void)state;
	for (size_t t = 0; t < 2; t++) {
		begin(types[t]);
		wire_add_sse(w, THREE, true, WIRE_KEEP);
		asked(3);
		assert_true(call.done);
		is(0, "a");
		is(1, "b");
		is(2, "c");
		assert_string_equal(call.answers[2]->finish_reason, "length");
		assert_string_equal(call.answers[2]->model, "m"); /* nobody named another */
		assert_int_equal(call.answers[0]->usage.input, 4);
		assert_int_equal(call.answers[1]->usage.input, 0);
		assert_int_equal(call.answers[0]->usage.output, 3);
		assert_int_equal(call.answers[1]->usage.output, 2);
		assert_int_equal(call.attempts, 1);
		assert_int_equal(wire_requests(w), 1);
		says(0, true);
		assert_int_equal(max_now(), 128);
		ask_done(&call);
		end();
	}
}

static void test_failures_are_everybodys(void **state)
{
	(void)state;
	begin("openai");
	wire_add_sse(w, C(0, "a") F(0, "stop") C(1, "x"), false, WIRE_RESET);
	wire_add_sse(w, THREE, true, WIRE_KEEP);
	asked(3);
	assert_int_equal(call.attempts, 2);
	assert_int_equal(call.restarts, 1);
	is(0, "a"); /* of the second attempt only */
	is(1, "b");
	says(1, true);
	ask_done(&call);
	end();
	begin("openai");
	wire_add_sse(w, F(0, "error") F(1, "error") DONE, true, WIRE_KEEP);
	asked(2);
	assert_int_equal(call.err.code, EREMOTEIO);
	assert_int_equal(wire_requests(w), 1);
	ask_done(&call);
	end();
}

static void test_short_reply(void **state)
{
	(void)state;
	begin("openai");
	wire_add_sse(w, C(2, "c") F(2, "stop") F(0, "error") BILL DONE, true, WIRE_KEEP);
	asked(3);
	assert_true(call.done);
	is(0, NULL);
	is(1, NULL);
	is(2, "c");
	assert_int_equal(call.answers[2]->usage.output, 7);
	assert_int_equal(max_now(), 128); /* two came, one of them failed */
	ask_done(&call);
	end();
}

/* It does not know the parameter: from now on nobody waits for what will not come. */
static void test_ignored(void **state)
{
	(void)state;
	begin("openai");
	wire_add_sse(w, ONE, true, WIRE_KEEP);
	asked(3);
	is(0, "one");
	is(2, NULL);
	assert_int_equal(max_now(), 1);
	ask_done(&call);
	asked(3); /* somebody who did not ask anew */
	is(0, "one");
	says(0, true);
	says(1, false);
	ask_done(&call);
	end();
}

static void refused(const char *type, int status, const char *error, const char *answer,
		    bool learns)
{
	begin(type);
	wire_add_json(w, status, NULL, error);
	wire_add_sse(w, answer, true, WIRE_KEEP);
	asked(3);
	if (!call.done)
		fail_msg("%s: %s", type, call.err.message);
	is(0, "one");
	is(1, NULL);
	assert_int_equal(call.attempts, 2);
	says(0, true);
	says(1, false);
	assert_true((max_now() == 1) == learns);
	ask_done(&call);
	end();
}

static void test_refused(void **state)
{
	(void)state;
	refused("openai", 400, REFUSAL, ONE, true);
	refused("mistral", 422, REFUSAL, ONE, true);
	refused("openai", 500, "{\"error\":{\"message\":\"n_cmpl cannot be greater than\"}}", ONE,
		true);
	refused("gemini", 400,
		"{\"error\":{\"code\":400,\"message\":\"no\",\"status\":\"INVALID_ARGUMENT\"}}",
		"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"one\"}]},\"finishReason\":"
		"\"STOP\"}]}\n\n",
		true);
}

/* What is wrong with one sample, too, has nothing to do with their number. */
static void test_refused_anyway(void **state)
{
	(void)state;
	begin("openai");
	wire_add_json(w, 400, NULL, REFUSAL);
	asked(3);
	assert_int_equal(call.err.code, EINVAL);
	assert_int_equal(wire_requests(w), 2);
	assert_int_equal(max_now(), 128);
	ask_done(&call);
	asked(1);
	assert_int_equal(call.err.code, EINVAL);
	assert_int_equal(wire_requests(w), 3); /* one of one is not asked again */
	ask_done(&call);
	end();
	begin("openai");
	wire_add_json(w, 401, NULL, "{}");
	asked(3);
	assert_int_equal(wire_requests(w), 1);
	ask_done(&call);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_call),    cmocka_unit_test(test_failures_are_everybodys),
		cmocka_unit_test(test_short_reply), cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_refused),	    cmocka_unit_test(test_refused_anyway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
