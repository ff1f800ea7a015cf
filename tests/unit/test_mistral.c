/*
 * infer/mistral: only fields of its schema are sent, and its own forms of answers are read
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire.h"
#include "wire_ask.h"

#define HEAD "{\"format\":1,\"backend\":\"mistral\",\"endpoint\":\"chat\",\"model\":\"m\","
#define HI   "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define DONE "data: [DONE]\n\n"

static struct backend_config config;
static struct ask_call call;

static int setup(void **state)
{
	(void)state;
	config = ask_config("mistral", "http://127.0.0.1:1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ask_config_done(&config);
	return 0;
}

static void test_refuses_and_drops(void **state)
{
	static const struct {
		const char *request, *field;
	} rows[] = {
		{ HEAD HI ",\"top_k\":1}", "top_k" },
		{ HEAD HI ",\"min_p\":0.5}", "min_p" },
		{ HEAD HI ",\"logprobs\":true}", "logprobs" },
		{ HEAD HI ",\"top_logprobs\":2}", "top_logprobs" },
		{ HEAD HI ",\"logit_bias\":{\"1\":2}}", "logit_bias" },
		{ HEAD HI ",\"user\":\"me\"}", "user" },
		{ HEAD HI ",\"seed\":-1}", "seed" },
		{ HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"hi\",\"name\":\"bob\"}]}",
		  "messages.name" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *o = json_loads(rows[i].request, 0, NULL), *dropped = json_array();
		struct err e;

		assert_int_equal(config.type->check(&config, o, NULL, false, &e), -EOPNOTSUPP);
		assert_string_equal(e.field, rows[i].field);
		assert_string_equal(e.backend, "mistral");
		assert_int_equal(config.type->check(&config, o, dropped, true, &e), 0);
		assert_string_equal(json_string_value(json_array_get(dropped, 0)), rows[i].field);
		assert_int_equal(config.type->check(&config, o, NULL, false, &e), 0);
		json_decref(o);
		json_decref(dropped);
	}
}

static void test_completion_is_not_there(void **state)
{
	json_t *o = json_loads("{\"endpoint\":\"completion\",\"prompt\":\"x\"}", 0, NULL);
	struct err e;

	(void)state;
	assert_int_equal(config.type->check(&config, o, NULL, true, &e), -EOPNOTSUPP);
	assert_string_equal(e.field, "endpoint");
	json_decref(o);
}

static void sends(const char *request, const char *body)
{
	json_t *o = json_loads(request, 0, NULL);
	struct backend_body out;
	struct err e;

	memset(&out, 0, sizeof(out));
	assert_int_equal(config.type->check(&config, o, NULL, false, &e), 0);
	assert_int_equal(config.type->build(&config, o, NULL, &out, &e), 0);
	assert_string_equal(out.path, "/v1/chat/completions");
	assert_string_equal(buf_str(&out.body), body);
	assert_true(out.stream);
	buf_done(&out.body);
	json_decref(o);
}

static void test_bodies(void **state)
{
	(void)state;
	sends(HEAD HI "}",
	      "{\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"model\":\"m\",\"stream\":true}");
	sends(HEAD HI
	      ",\"seed\":0,\"max_tokens\":4,\"stop\":[\"x\"],\"temperature\":0,\"logprobs\":false}",
	      "{\"max_tokens\":4,\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"model\":\"m\","
	      "\"random_seed\":0,\"stop\":[\"x\"],\"stream\":true,\"temperature\":0}");
	sends(HEAD
	      "\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"u\"},"
	      "{\"role\":\"tool\",\"content\":\"7\",\"name\":\"f\",\"tool_call_id\":\"123456789\"},"
	      "{\"role\":\"assistant\",\"content\":\"So\",\"prefix\":true}]}",
	      "{\"messages\":[{\"content\":\"s\",\"role\":\"system\"},{\"content\":\"u\",\"role\":\"user\"},"
	      "{\"content\":\"7\",\"name\":\"f\",\"role\":\"tool\",\"tool_call_id\":\"123456789\"},"
	      "{\"content\":\"So\",\"prefix\":true,\"role\":\"assistant\"}],\"model\":\"m\",\"stream\":true}");
	sends(HEAD HI ",\"extra_body\":{\"safe_prompt\":true,\"random_seed\":null}}",
	      "{\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"model\":\"m\",\"random_seed\":null,"
	      "\"safe_prompt\":true,\"stream\":true}");
}

static int answered(const char *events, bool sse)
{
	struct wire *w = wire_new();
	struct ask a;
	int rc;

	if (sse)
		wire_add_sse(w, events, true, WIRE_KEEP);
	else
		wire_add_json(w, 200, NULL, events);
	ask_new(&a, ask_config("mistral", wire_url(w)));
	rc = ask(&a, &call, HEAD HI "}");
	assert_memory_equal(wire_request(w, 0), "POST /v1/chat/completions HTTP/1.1\r\n", 36);
	assert_null(strstr(wire_body(w, 0), "stream_options"));
	ask_free(&a);
	wire_free(w);
	return rc;
}

static void test_finish_reason_error(void **state)
{
	(void)state;
	assert_int_equal(
		answered(
			"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"error\"}]}\n\n" DONE,
			true),
		EREMOTEIO);
	assert_int_equal(call.attempts, 1);
	ask_done(&call);
}

static void test_stream_with_thinking(void **state)
{
	(void)state;
	assert_int_equal(
		answered(
			"data: {\"id\":\"x\",\"model\":\"mistral-small-2603\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
			"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]}]}}]}\n\n"
			"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":\" so\"},{\"type\":\"text\",\"text\":\"Bon\"},null,7,\"!\"]}}]}\n\n"
			"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"jour\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3,\"num_cached_tokens\":5}}\n\n" DONE,
			true),
		0);
	assert_string_equal(call.text, "Bon!jour");
	assert_string_equal(buf_str(&call.answer->reasoning), "hm so");
	assert_int_equal(call.answer->usage.input, 12);
	assert_int_equal(call.answer->usage.cached_input, 5);
	assert_int_equal(call.answer->usage.reasoning, -1);
	assert_string_equal(call.answer->provider_request_id, "x");
	ask_done(&call);
}

static void test_whole_body(void **state)
{
	(void)state;
	assert_int_equal(
		answered(
			"{\"choices\":[{\"index\":0,\"finish_reason\":\"model_length\",\"message\":{\"content\":["
			"{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"t\"}],\"closed\":true},"
			"{\"type\":\"text\",\"text\":\"answer\"}],\"tool_calls\":null}}],"
			"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"prompt_token_details\":{\"cached_tokens\":64}}}",
			false),
		0);
	assert_string_equal(call.text, "answer");
	assert_string_equal(call.answer->finish_reason, "length");
	assert_int_equal(call.answer->usage.cached_input, 64);
	ask_done(&call);
}

static void test_tool_call_with_object_arguments(void **state)
{
	const json_t *f;

	(void)state;
	assert_int_equal(
		answered(
			"{\"choices\":[{\"finish_reason\":\"tool_calls\",\"message\":{\"content\":\"\",\"tool_calls\":"
			"[{\"id\":\"AbC123xyz\",\"function\":{\"name\":\"now\",\"arguments\":{\"tz\":\"UTC\"}},\"index\":0}]}}]}",
			false),
		0);
	f = json_object_get(json_array_get(call.answer->tool_calls, 0), "function");
	assert_string_equal(json_string_value(json_object_get(f, "arguments")), "{\"tz\":\"UTC\"}");
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(call.answer->tool_calls, 0), "id")),
			    "AbC123xyz");
	ask_done(&call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_and_drops),
		cmocka_unit_test(test_completion_is_not_there),
		cmocka_unit_test(test_finish_reason_error),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_stream_with_thinking),
		cmocka_unit_test(test_whole_body),
		cmocka_unit_test(test_tool_call_with_object_arguments),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
