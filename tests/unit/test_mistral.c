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

#include "cases.h"
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
	assert_int_equal(config.type->build(&config, &(struct backend_ask){ o, NULL, 1 }, &out, &e),
			 0);
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

#define SENT_HI "\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"model\":\"m\""
#define FORMAT \
	"\"response_format\":{\"json_schema\":{\"name\":\"n\",\"schema\":{},\"strict\":true},\"type\":\"json_schema\"}"

static void test_tools_and_formats(void **state)
{
	(void)state;
	sends(HEAD HI
	      ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":false}}],\"tool_choice\":"
	      "{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"parallel_tool_calls\":false,\"reasoning_effort\":\"high\"}",
	      "{" SENT_HI
	      ",\"parallel_tool_calls\":false,\"reasoning_effort\":\"high\",\"stream\":true,\"tool_choice\":"
	      "{\"function\":{\"name\":\"f\"},\"type\":\"function\"},\"tools\":[{\"function\":{\"name\":\"f\","
	      "\"parameters\":{\"properties\":{},\"type\":\"object\"},\"strict\":false},"
	      "\"type\":\"function\"}]}");
	sends(HEAD HI "," FORMAT "}", "{" SENT_HI "," FORMAT ",\"stream\":true}");
	sends(HEAD HI ",\"response_format\":{\"type\":\"json_object\"}}",
	      "{" SENT_HI ",\"response_format\":{\"type\":\"json_object\"},\"stream\":true}");
}

#define CALL_AS(id)     \
	"{\"id\":\"" id \
	"\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"

/* Nine letters or digits stay, all else is replaced: call and result alike, and the same on any day. */
static void test_foreign_ids(void **state)
{
	json_t *o = json_loads(
		HEAD
		"\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL_AS("call_abc") "," CALL_AS(
			"AbC123xyz") "," CALL_AS("call_abd") "]},"
							     "{\"role\":\"tool\",\"tool_call_id\":\"AbC123xyz\",\"content\":\"0\"},"
							     "{\"role\":\"tool\",\"tool_call_id\":\"call_abd\",\"content\":\"1\"},"
							     "{\"role\":\"tool\",\"tool_call_id\":\"call_abc\",\"content\":\"2\"}]}",
		0, NULL);
	struct backend_body out, again;
	json_t *body, *messages, *calls;
	const char *a, *c;

	(void)state;
	memset(&out, 0, sizeof(out));
	memset(&again, 0, sizeof(again));
	assert_int_equal(config.type->check(&config, o, NULL, false, NULL), 0);
	assert_int_equal(
		config.type->build(&config, &(struct backend_ask){ o, NULL, 1 }, &out, NULL), 0);
	assert_int_equal(
		config.type->build(&config, &(struct backend_ask){ o, NULL, 1 }, &again, NULL), 0);
	assert_string_equal(buf_str(&out.body), buf_str(&again.body));
	body = json_loads(buf_str(&out.body), 0, NULL);
	messages = json_object_get(body, "messages");
	calls = json_object_get(json_array_get(messages, 0), "tool_calls");
	a = json_string_value(json_object_get(json_array_get(calls, 0), "id"));
	c = json_string_value(json_object_get(json_array_get(calls, 2), "id"));
	assert_string_equal(json_string_value(json_object_get(json_array_get(calls, 1), "id")),
			    "AbC123xyz");
	assert_int_equal(strlen(a), 9);
	assert_int_equal(strlen(c), 9);
	assert_int_equal(
		strspn(a, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 9);
	assert_string_not_equal(a, c);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(messages, 1), "tool_call_id")),
		"AbC123xyz");
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(messages, 2), "tool_call_id")), c);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(messages, 3), "tool_call_id")), a);
	json_decref(body);
	json_decref(o);
	buf_done(&out.body);
	buf_done(&again.body);
}

static void test_images_and_thoughts(void **state)
{
	(void)state;
	cases_sends(
		&config,
		HEAD
		"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
		"{\"type\":\"image\",\"sha256\":\"aa\",\"media_type\":\"image/webp\"},"
		"{\"type\":\"image\",\"url\":\"https://h/x\",\"detail\":\"high\"}]}]}",
		"{\"aa\":\"QUJD\"}", "/v1/chat/completions",
		"{\"messages\":[{\"content\":[{\"text\":\"a\",\"type\":\"text\"},{\"image_url\":{\"url\":"
		"\"data:image/webp;base64,QUJD\"},\"type\":\"image_url\"},{\"image_url\":{\"detail\":\"high\","
		"\"url\":\"https://h/x\"},\"type\":\"image_url\"}],\"role\":\"user\"}],\"model\":\"m\",\"stream\":true}");
	/* what it thought goes back as the chunk that it came in; another's signature does not */
	sends(HEAD
	      "\"messages\":[{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"t\"},"
	      "{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"u\",\"tool_calls\":[{\"id\":\"AbC123xyz\","
	      "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":{\"google\":{}}}]},"
	      "{\"role\":\"assistant\",\"content\":\"b\",\"reasoning\":\"\"}]}",
	      "{\"messages\":[{\"content\":[{\"thinking\":[{\"text\":\"t\",\"type\":\"text\"}],\"type\":\"thinking\"},"
	      "{\"text\":\"a\",\"type\":\"text\"}],\"role\":\"assistant\"},"
	      "{\"content\":[{\"thinking\":[{\"text\":\"u\",\"type\":\"text\"}],\"type\":\"thinking\"}],\"role\":\"assistant\","
	      "\"tool_calls\":[{\"function\":{\"arguments\":\"{}\",\"name\":\"f\"},\"id\":\"AbC123xyz\",\"type\":\"function\"}]},"
	      "{\"content\":\"b\",\"role\":\"assistant\"}],\"model\":\"m\",\"stream\":true}");
}

static void test_other_endpoints(void **state)
{
	(void)state;
	cases_sends(
		&config,
		"{\"endpoint\":\"fim\",\"model\":\"m\",\"prompt\":\"a\",\"suffix\":\"b\",\"seed\":3,\"stop\":[\"x\"]}",
		NULL, "/v1/fim/completions",
		"{\"model\":\"m\",\"prompt\":\"a\",\"random_seed\":3,\"stop\":[\"x\"],\"stream\":true,\"suffix\":\"b\"}");
	cases_refuses(&config, "{\"endpoint\":\"fim\",\"prompt\":\"a\",\"presence_penalty\":1}",
		      "presence_penalty");
	cases_refuses(&config,
		      "{\"endpoint\":\"fim\",\"prompt\":\"a\",\"reasoning_effort\":\"low\"}",
		      "reasoning_effort");
	cases_sends(&config,
		    "{\"endpoint\":\"embedding\",\"model\":\"m\",\"input\":\"a\",\"dimensions\":3}",
		    NULL, "/v1/embeddings",
		    "{\"input\":\"a\",\"model\":\"m\",\"output_dimension\":3}");
	cases_refuses(&config, "{\"endpoint\":\"embedding\",\"input\":\"a\",\"temperature\":1}",
		      "temperature");
	cases_refuses(&config, "{\"endpoint\":\"responses\",\"messages\":[]}", "endpoint");
}

static void test_vectors_and_models(void **state)
{
	struct answer *a;

	(void)state;
	assert_int_equal(
		cases_read(
			&config,
			"{\"id\":\"e\",\"object\":\"list\",\"model\":\"mistral-embed\",\"data\":[{\"object\":"
			"\"embedding\",\"index\":0,\"embedding\":[0.1,-0.2]}],\"usage\":{\"prompt_tokens\":4}}",
			true, 0, &a, NULL),
		0);
	cases_json(a->embedding, "[[0.1,-0.2]]");
	assert_int_equal(a->usage.input, 4);
	answer_free(a);
	cases_models(
		&config,
		"{\"object\":\"list\",\"data\":[{\"id\":\"codestral-2508\",\"created\":5,\"owned_by\":\"mistralai\","
		"\"max_context_length\":256000,\"deprecation\":\"2027-01-01T00:00:00Z\",\"capabilities\":{\"completion_chat\":true,"
		"\"completion_fim\":true,\"function_calling\":true,\"vision\":false,\"reasoning\":null}},{\"id\":\"x\"}]}",
		"[{\"id\":\"codestral-2508\",\"created\":5,\"owned_by\":\"mistralai\",\"context_tokens\":256000,"
		"\"deprecated\":\"2027-01-01T00:00:00Z\",\"capabilities\":[\"chat\",\"fim\",\"tools\"]},{\"id\":\"x\"}]");
}

static void test_error_replies(void **state)
{
	(void)state;
	cases_error(
		&config, 400,
		"{\"object\":\"error\",\"message\":\"Invalid model: x\",\"type\":\"invalid_model\",\"param\":null,"
		"\"code\":\"1500\",\"raw_status_code\":400}",
		ENXIO, false, "Invalid model");
	cases_error(
		&config, 422,
		"{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"foo\"],"
		"\"msg\":\"Extra inputs are not permitted\"}]},\"type\":\"invalid_request_error\"}",
		EINVAL, false, "body.foo");
	cases_error(
		&config, 429,
		"{\"object\":\"error\",\"message\":\"Service tier capacity exceeded for this model.\",\"type\":"
		"\"service_tier_capacity_exceeded\",\"code\":\"3505\"}",
		EBUSY, true, "capacity");
	cases_error(
		&config, 400,
		"{\"object\":\"error\",\"message\":\"Prompt contains 40000 tokens, too large for model with 32768 "
		"maximum context length\",\"type\":\"invalid_request_prompt\"}",
		EMSGSIZE, false, "40000");
	cases_error(&config, 401, "{\"message\":\"Unauthorized\",\"request_id\":\"0\"}",
		    EKEYREJECTED, false, "Unauthorized");
	/* within a stream the number is all there is to go by */
	cases_fails(
		&config,
		"data: {\"object\":\"error\",\"message\":\"m\",\"type\":\"x\",\"raw_status_code\":429}\n\n",
		false, EBUSY);
}

static void test_cut_everywhere(void **state)
{
	struct answer *a = cases_stream(
		&config,
		"data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"h\u00e9\"}]}]}}]}\n\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"caf\u00e9\"}}]}\n\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"tool_calls\":[{\"id\":\"AbC123xyz\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},\"index\":0}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n" DONE,
		"caf\xc3\xa9");

	(void)state;
	assert_string_equal(a->finish_reason, "tool_calls");
	assert_int_equal(json_array_size(a->tool_calls), 1);
	answer_free(a);
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
		cmocka_unit_test(test_error_replies),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_tools_and_formats),
		cmocka_unit_test(test_foreign_ids),
		cmocka_unit_test(test_images_and_thoughts),
		cmocka_unit_test(test_other_endpoints),
		cmocka_unit_test(test_vectors_and_models),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_stream_with_thinking),
		cmocka_unit_test(test_whole_body),
		cmocka_unit_test(test_tool_call_with_object_arguments),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
