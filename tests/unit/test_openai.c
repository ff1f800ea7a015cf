/*
 * infer/openai with body and dialect: what is sent, what is refused, and answers of every shape
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

#include "base/fdio.h"
#include "cases.h"
#include "wire.h"
#include "wire_ask.h"

#define HEAD "{\"format\":1,\"backend\":\"openai\",\"endpoint\":\"chat\",\"model\":\"m\","
#define HI   "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TEXT \
	"{\"format\":1,\"backend\":\"openai\",\"endpoint\":\"completion\",\"model\":\"m\",\"prompt\":\"hi\""
#define SENT_HI "\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}]"
#define STREAM	"\"stream\":true,\"stream_options\":{\"include_usage\":true}"

static struct backend_config config;

static int setup(void **state)
{
	(void)state;
	config = ask_config("openai", "http://127.0.0.1:1/v1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ask_config_done(&config);
	return 0;
}

/* ---- what is sent ---- */

static void refuses(enum backend_dialect d, const char *request, const char *field)
{
	json_t *o = json_loads(request, 0, NULL);
	struct err e;

	assert_non_null(o);
	config.dialect = d;
	assert_int_equal(config.type->check(&config, o, NULL, false, &e), -EOPNOTSUPP);
	assert_string_equal(e.field, field);
	assert_string_equal(e.backend, "openai");
	assert_non_null(strstr(e.message, "openai"));
	assert_non_null(strstr(e.message, field));
	json_decref(o);
}

static void drops(enum backend_dialect d, const char *request, const char *field, const char *left)
{
	json_t *o = json_loads(request, 0, NULL), *dropped = json_array();
	char *text;

	config.dialect = d;
	assert_int_equal(config.type->check(&config, o, dropped, true, NULL), 0);
	assert_int_equal(json_array_size(dropped), 1);
	assert_string_equal(json_string_value(json_array_get(dropped, 0)), field);
	text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	if (left)
		assert_non_null(strstr(text, left));
	assert_int_equal(config.type->check(&config, o, NULL, false, NULL), 0);
	free(text);
	json_decref(o);
	json_decref(dropped);
}

static void test_refuses_and_drops(void **state)
{
	static const char five[] = HEAD HI ",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}";

	(void)state;
	refuses(BACKEND_OPENAI, HEAD HI ",\"top_k\":4}", "top_k");
	refuses(BACKEND_OPENAI, HEAD HI ",\"min_p\":0.1}", "min_p");
	refuses(BACKEND_OPENAI, five, "stop");
	refuses(BACKEND_OPENAI, HEAD HI ",\"dimensions\":3}", "dimensions");
	refuses(BACKEND_OPENAI, TEXT ",\"response_format\":{\"type\":\"json_object\"}}",
		"response_format");
	refuses(BACKEND_OPENAI, "{\"endpoint\":\"rerank\",\"model\":\"m\",\"input\":\"x\"}",
		"endpoint");
	refuses(BACKEND_OPENAI,
		"{\"endpoint\":\"embedding\",\"model\":\"m\",\"input\":\"x\",\"temperature\":1}",
		"temperature");
	refuses(BACKEND_VLLM, "{\"endpoint\":\"fim\",\"model\":\"m\",\"prompt\":\"x\"}",
		"endpoint");
	refuses(BACKEND_OPENAI,
		HEAD "\"messages\":[{\"role\":\"assistant\",\"content\":\"hi\",\"prefix\":true}]}",
		"messages.prefix");
	drops(BACKEND_OPENAI, HEAD HI ",\"top_k\":4}", "top_k", "\"model\"");
	drops(BACKEND_OPENAI, five, "stop", "[\"a\",\"b\",\"c\",\"d\"]");
	drops(BACKEND_OPENAI,
	      HEAD "\"messages\":[{\"role\":\"assistant\",\"content\":\"hi\",\"prefix\":true}]}",
	      "messages.prefix", "\"content\":\"hi\"");
}

static void sends(enum backend_dialect d, const char *request, const char *path, const char *body)
{
	json_t *o = json_loads(request, 0, NULL);
	char *before = json_dumps(o, JSON_SORT_KEYS), *after;
	struct backend_body out;
	struct err e;

	assert_non_null(o);
	memset(&out, 0, sizeof(out));
	config.dialect = d;
	assert_int_equal(config.type->check(&config, o, NULL, false, &e), 0);
	assert_int_equal(config.type->build(&config, &(struct backend_ask){ o, NULL, 1 }, &out, &e),
			 0);
	assert_string_equal(out.path, path);
	assert_string_equal(buf_str(&out.body), body);
	after = json_dumps(o, JSON_SORT_KEYS);
	assert_string_equal(before, after); /* the effective request is only read */
	free(before);
	free(after);
	buf_done(&out.body);
	json_decref(o);
}

static void test_bodies(void **state)
{
	(void)state;
	sends(BACKEND_OPENAI, HEAD HI "}", "/chat/completions",
	      "{" SENT_HI ",\"model\":\"m\"," STREAM "}");
	sends(BACKEND_OPENAI,
	      HEAD HI
	      ",\"temperature\":0,\"top_p\":0.7,\"seed\":9007199254740993,\"stop\":[\"x\"]}",
	      "/chat/completions",
	      "{" SENT_HI ",\"model\":\"m\",\"seed\":9007199254740993,\"stop\":[\"x\"]," STREAM
	      ",\"temperature\":0,\"top_p\":0.7}");
	sends(BACKEND_VLLM,
	      HEAD HI ",\"top_k\":4,\"min_p\":0.1,\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}",
	      "/chat/completions",
	      "{" SENT_HI
	      ",\"min_p\":0.1,\"model\":\"m\",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]," STREAM
	      ",\"top_k\":4}");
	sends(BACKEND_OPENAI, HEAD HI ",\"logprobs\":true,\"top_logprobs\":2}", "/chat/completions",
	      "{\"logprobs\":true," SENT_HI ",\"model\":\"m\"," STREAM ",\"top_logprobs\":2}");
	sends(BACKEND_OPENAI, TEXT ",\"logprobs\":true,\"top_logprobs\":2}", "/completions",
	      "{\"logprobs\":2,\"model\":\"m\",\"prompt\":\"hi\"," STREAM "}");
	sends(BACKEND_OPENAI, TEXT ",\"logprobs\":true}", "/completions",
	      "{\"logprobs\":0,\"model\":\"m\",\"prompt\":\"hi\"," STREAM "}");
	sends(BACKEND_OPENAI, TEXT ",\"logprobs\":false}", "/completions",
	      "{\"model\":\"m\",\"prompt\":\"hi\"," STREAM "}");
	sends(BACKEND_LLAMACPP, HEAD "\"messages\":[{\"role\":\"developer\",\"content\":\"s\"}]}",
	      "/chat/completions",
	      "{\"messages\":[{\"content\":\"s\",\"role\":\"system\"}],\"model\":\"m\"," STREAM
	      "}");
	sends(BACKEND_OPENAI, HEAD "\"messages\":[{\"role\":\"developer\",\"content\":\"s\"}]}",
	      "/chat/completions",
	      "{\"messages\":[{\"content\":\"s\",\"role\":\"developer\"}],\"model\":\"m\"," STREAM
	      "}");
}

static void test_max_tokens(void **state)
{
	(void)state;
	config.provider = (char[]){ "other" };
	sends(BACKEND_OPENAI, HEAD HI ",\"max_tokens\":5}", "/chat/completions",
	      "{\"max_tokens\":5," SENT_HI ",\"model\":\"m\"," STREAM "}");
	config.provider = NULL;
	sends(BACKEND_OPENAI, HEAD HI ",\"max_tokens\":5}", "/chat/completions",
	      "{\"max_completion_tokens\":5," SENT_HI ",\"model\":\"m\"," STREAM "}");
	sends(BACKEND_VLLM, HEAD HI ",\"max_tokens\":5}", "/chat/completions",
	      "{\"max_tokens\":5," SENT_HI ",\"model\":\"m\"," STREAM "}");
	sends(BACKEND_OPENAI, TEXT ",\"max_tokens\":5}", "/completions",
	      "{\"max_tokens\":5,\"model\":\"m\",\"prompt\":\"hi\"," STREAM "}");
}

static void test_extra_body(void **state)
{
	(void)state;
	sends(BACKEND_OPENAI,
	      HEAD HI ",\"temperature\":1,\"extra_body\":{\"temperature\":null,\"x\":[1]}}",
	      "/chat/completions",
	      "{" SENT_HI ",\"model\":\"m\"," STREAM ",\"temperature\":null,\"x\":[1]}");
	sends(BACKEND_OPENAI,
	      HEAD HI ",\"extra_body\":{\"stream_options\":{\"include_obfuscation\":false}}}",
	      "/chat/completions",
	      "{" SENT_HI ",\"model\":\"m\",\"stream\":true,"
	      "\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":true}}");
	sends(BACKEND_OPENAI,
	      HEAD HI ",\"extra_body\":{\"stream\":false,\"stream_options\":null,\"messages\":7}}",
	      "/chat/completions",
	      "{\"messages\":7,\"model\":\"m\",\"stream\":false,\"stream_options\":null}");
	sends(BACKEND_OPENAI,
	      HEAD HI
	      ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\"}},"
	      "\"extra_body\":{\"response_format\":{\"json_schema\":{\"strict\":true}}}}",
	      "/chat/completions",
	      "{" SENT_HI
	      ",\"model\":\"m\",\"response_format\":{\"json_schema\":{\"name\":\"a\",\"strict\":true},"
	      "\"type\":\"json_schema\"}," STREAM "}");
}

#define IMAGE \
	"{\"type\":\"image\",\"sha256\":\"aa\",\"media_type\":\"image/jpeg\",\"detail\":\"low\"}"
#define LINK "{\"type\":\"image\",\"url\":\"https://h/x.png\"}"
#define CALL(extra)                                                                                         \
	"{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}" extra \
	"}"

static void test_images(void **state)
{
	(void)state;
	config.dialect = BACKEND_OPENAI;
	cases_sends(
		&config,
		HEAD
		"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}," IMAGE
		"," LINK "]}]}",
		"{\"aa\":\"QUJD\"}", "/chat/completions",
		"{\"messages\":[{\"content\":[{\"text\":\"a\",\"type\":\"text\"},{\"image_url\":{\"detail\":\"low\","
		"\"url\":\"data:image/jpeg;base64,QUJD\"},\"type\":\"image_url\"},{\"image_url\":{\"url\":"
		"\"https://h/x.png\"},\"type\":\"image_url\"}],\"role\":\"user\"}],\"model\":\"m\"," STREAM
		"}");
}

/* Signatures of other providers mean nothing here; Google's imitation of this API wants its own back. */
static void test_tools(void **state)
{
	static const char history[] = HEAD
		"\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL(
			",\"extra_content\":{\"anthropic\":{\"thinking\":[]},\"google\":{\"thought_signature\":\"s\"}}") "]},"
															 "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"7\"}],"
															 "\"parallel_tool_calls\":false,\"tool_choice\":\"required\",\"tools\":[{\"type\":\"function\","
															 "\"function\":{\"name\":\"f\",\"strict\":true}}]}";
#define REST_OF_IT                                                                            \
	"{\"content\":\"7\",\"role\":\"tool\",\"tool_call_id\":\"call_1\"}],\"model\":\"m\"," \
	"\"parallel_tool_calls\":false," STREAM ",\"tool_choice\":\"required\",\"tools\":[{"  \
	"\"function\":{\"name\":\"f\",\"strict\":true},\"type\":\"function\"}]}"

	(void)state;
	config.dialect = BACKEND_OPENAI;
	cases_sends(
		&config, history, NULL, "/chat/completions",
		"{\"messages\":[{\"content\":null,\"role\":\"assistant\",\"tool_calls\":[{\"extra_content\":"
		"{\"google\":{\"thought_signature\":\"s\"}},\"function\":{\"arguments\":\"{}\",\"name\":\"f\"},"
		"\"id\":\"call_1\",\"type\":\"function\"}]}," REST_OF_IT);
	config.at.default_url = true;
	cases_sends(
		&config, history, NULL, "/chat/completions",
		"{\"messages\":[{\"content\":null,\"role\":\"assistant\",\"tool_calls\":[{\"function\":"
		"{\"arguments\":\"{}\",\"name\":\"f\"},\"id\":\"call_1\",\"type\":\"function\"}]}," REST_OF_IT);
	config.at.default_url = false;
}

static void test_reasoning_models(void **state)
{
	(void)state;
	config.dialect = BACKEND_OPENAI;
	config.at.default_url = true;
	cases_sends(
		&config,
		"{\"endpoint\":\"chat\",\"model\":\"o4-mini\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
		"{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":9,\"reasoning_effort\":\"low\"}",
		NULL, "/chat/completions",
		"{\"max_completion_tokens\":9,\"messages\":[{\"content\":\"s\",\"role\":\"developer\"},"
		"{\"content\":\"hi\",\"role\":\"user\"}],\"model\":\"o4-mini\",\"reasoning_effort\":\"low\"," STREAM
		"}");
	config.at.default_url = false;
}

static void test_local_servers_think(void **state)
{
	static const char history[] = HEAD
		"\"messages\":[{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"t\"}],\"reasoning_effort\":\"none\"}";

	(void)state;
	config.dialect = BACKEND_VLLM;
	cases_sends(&config, HEAD HI ",\"reasoning_effort\":\"high\"}", NULL, "/chat/completions",
		    "{\"chat_template_kwargs\":{\"enable_thinking\":true}," SENT_HI
		    ",\"model\":\"m\",\"reasoning_effort\":\"high\"," STREAM "}");
	cases_sends(
		&config, history, NULL, "/chat/completions",
		"{\"chat_template_kwargs\":{\"enable_thinking\":false},\"messages\":[{\"content\":\"a\","
		"\"reasoning\":\"t\",\"role\":\"assistant\"}],\"model\":\"m\"," STREAM "}");
	config.dialect = BACKEND_LLAMACPP;
	cases_sends(
		&config, history, NULL, "/chat/completions",
		"{\"chat_template_kwargs\":{\"enable_thinking\":false},\"messages\":[{\"content\":\"a\","
		"\"reasoning_content\":\"t\",\"role\":\"assistant\"}],\"model\":\"m\"," STREAM "}");
	config.dialect = BACKEND_OPENAI;
	cases_refuses(&config, history, "messages.reasoning");
}

#define FIM \
	"{\"endpoint\":\"fim\",\"model\":\"m\",\"prompt\":\"a\",\"suffix\":\"b\",\"max_tokens\":3}"
#define VECTOR \
	"{\"endpoint\":\"embedding\",\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":3}"

static void test_other_endpoints(void **state)
{
	(void)state;
	config.dialect = BACKEND_OPENAI;
	cases_sends(&config, FIM, NULL, "/completions",
		    "{\"max_tokens\":3,\"model\":\"m\",\"prompt\":\"a\"," STREAM
		    ",\"suffix\":\"b\"}");
	config.provider = (char[]){ "other" };
	cases_sends(&config, VECTOR, NULL, "/embeddings",
		    "{\"dimensions\":3,\"input\":[\"a\",\"b\"],\"model\":\"m\"}");
	config.provider = NULL;
	cases_sends(
		&config, VECTOR, NULL, "/embeddings",
		"{\"dimensions\":3,\"encoding_format\":\"base64\",\"input\":[\"a\",\"b\"],\"model\":\"m\"}");
	config.dialect = BACKEND_VLLM;
	cases_sends(&config, VECTOR, NULL, "/embeddings",
		    "{\"dimensions\":3,\"input\":[\"a\",\"b\"],\"model\":\"m\"}");
	config.dialect = BACKEND_LLAMACPP;
	cases_sends(
		&config, FIM, NULL, "/../infill",
		"{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"model\":\"m\",\"n_predict\":3,\"prompt\":\"\","
		"\"stream\":true}");
	cases_refuses(&config, "{\"endpoint\":\"fim\",\"prompt\":\"a\",\"logprobs\":true}",
		      "logprobs");
	config.dialect = BACKEND_OPENAI;
}

/* ---- what comes back ---- */

#define CHUNK(delta, more)                                                                       \
	"data: {\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":" delta more \
	"}]}\n\n"
#define USAGE(text) "data: {\"choices\":[],\"usage\":" text "}\n\n"
#define STOP	    CHUNK("{}", ",\"finish_reason\":\"stop\"")
#define DONE	    "data: [DONE]\n\n"

static struct ask_call call;

static int get_answer(struct wire *w, const char *request)
{
	char url[128];
	struct ask a;
	int rc;

	snprintf(url, sizeof(url), "%s/v1", wire_url(w));
	ask_new(&a, ask_config("openai", url));
	rc = ask(&a, &call, request);
	ask_free(&a);
	return rc;
}

static int streamed(const char *events)
{
	struct wire *w = wire_new();
	int rc;

	wire_add_sse(w, events, true, WIRE_KEEP);
	rc = get_answer(w, HEAD HI "}");
	wire_free(w);
	return rc;
}

static int plain(const char *body)
{
	struct wire *w = wire_new();
	int rc;

	wire_add_json(w, 200, NULL, body);
	rc = get_answer(w, HEAD HI "}");
	wire_free(w);
	return rc;
}

static void test_broken_streams(void **state)
{
	static const struct {
		const char *events;
		int code;
		unsigned attempts;
	} rows[] = {
		{ "", EBADMSG, 1 },
		{ ": ping\n\n", EBADMSG, 1 },
		{ "data: <html>\n\n", EBADMSG, 1 },
		{ "data: [1]\n\n", EBADMSG, 1 },
		{ "data: 7\n\n", EBADMSG, 1 },
		{ "data: {\"a\":\"\xff\"}\n\n", EBADMSG, 1 },
		{ DONE, EBADMSG, 1 }, /* an end, but no answer */
		{ USAGE("{}") DONE, EBADMSG, 1 },
		{ CHUNK("{\"content\":\"a\"}", ""), EREMOTEIO, 2 }, /* no end mark: once more */
		{ CHUNK("{\"content\":\"a\"}", "") STOP, EREMOTEIO, 2 },
		{ CHUNK("{\"content\":\"a\"}", "") "data: {\"cho", EREMOTEIO, 2 },
		{ "data: {\"cho", EREMOTEIO, 2 },
		{ CHUNK("{\"content\":\"a\"}",
			"") "data: {\"error\":{\"message\":\"x\",\"code\":500}}\n\n" DONE,
		  EREMOTEIO, 2 },
		{ "event: error\ndata: {\"message\":\"x\"}\n\n", EREMOTEIO, 2 },
		{ "error: {\"code\":500,\"message\":\"x\"}\n\n", EREMOTEIO, 2 },
		{ "data: {\"error\":{\"message\":\"x\",\"code\":400}}\n\n", EINVAL, 1 },
		{ "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n", EDQUOT, 1 },
		{ CHUNK("{\"content\":\"a\"}", ",\"finish_reason\":\"error\"") DONE, EREMOTEIO, 1 },
		{ CHUNK("{\"content\":\"a\"}", ",\"finish_reason\":\"abort\"") DONE, EREMOTEIO, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = streamed(rows[i].events);

		if (rc != rows[i].code || call.attempts != rows[i].attempts)
			fail_msg("%s: %d, %u attempts: %s", rows[i].events, rc, call.attempts,
				 call.err.message);
		assert_int_equal(call.restarts, rows[i].attempts - 1);
		assert_string_equal(call.err.backend, "openai");
		ask_done(&call);
	}
}

static void test_broken_bodies(void **state)
{
	static const struct {
		const char *body;
		int code;
	} rows[] = { { "", EBADMSG },
		     { " \r\n", EBADMSG },
		     { "<html>", EBADMSG },
		     { "{", EBADMSG },
		     { "{}", EBADMSG },
		     { "[]", EBADMSG },
		     { "{\"choices\":[]}", EBADMSG },
		     { "{\"choices\":7}", EBADMSG },
		     { "{\"choices\":[7,null,\"x\"]}", EBADMSG },
		     { "{\"choices\":[{\"index\":1,\"message\":{\"content\":\"other\"}}]}",
		       EBADMSG },
		     { "{\"choices\":[]} {}", EBADMSG },
		     { "{\"a\":\"\xc3\"}", EBADMSG },
		     { "{\"error\":{\"message\":\"x\",\"code\":404}}", ENXIO } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = plain(rows[i].body);

		if (rc != rows[i].code)
			fail_msg("%s: %d: %s", rows[i].body, rc, call.err.message);
		assert_int_equal(call.attempts, 1);
		ask_done(&call);
	}
}

static void test_nested_too_deeply(void **state)
{
	enum { N = 200 };
	char body[2 * N + 200] =
		"{\"choices\":[{\"message\":{\"content\":\"x\"},\"logprobs\":{\"content\":";
	size_t n = strlen(body);

	(void)state;
	memset(body + n, '[', N);
	memset(body + n + N, ']', N);
	memcpy(body + n + 2 * N, "}}]}", 5);
	assert_int_equal(plain(body), EBADMSG);
	ask_done(&call);
}

static void test_stream(void **state)
{
	(void)state;
	assert_int_equal(
		streamed(": hello\n\n" CHUNK(
			"{\"role\":\"assistant\",\"content\":\"\"}",
			",\"finish_reason\":null") CHUNK("{\"content\":\"Hi \\ud83d\\ude00\"}",
							 ",\"obfuscation\":\"x\"")
				 CHUNK("{\"content\":null}", "") CHUNK("{\"content\":\" there\"}",
								       "") STOP
					 USAGE("{\"prompt_tokens\":9,\"completion_tokens\":3,\"prompt_tokens_details\":"
					       "{\"cached_tokens\":4,\"cache_write_tokens\":1},"
					       "\"completion_tokens_details\":{\"reasoning_tokens\":2}}")
						 DONE),
		0);
	assert_string_equal(call.text, "Hi \xf0\x9f\x98\x80 there");
	assert_string_equal(buf_str(&call.answer->text), call.text);
	assert_in_range(call.pieces, 1, 2); /* what comes together is told together */
	assert_string_equal(call.answer->finish_reason, "stop");
	assert_string_equal(call.answer->model, "m-1");
	assert_string_equal(call.answer->provider_request_id, "c1");
	assert_int_equal(call.answer->usage.input, 9);
	assert_int_equal(call.answer->usage.cached_input, 4);
	assert_int_equal(call.answer->usage.cache_write, 1);
	assert_int_equal(call.answer->usage.output, 3);
	assert_int_equal(call.answer->usage.reasoning, 2);
	assert_null(strstr(buf_str(&call.answer->raw), "DONE"));
	assert_int_equal(call.answer->raw.data[call.answer->raw.len - 1], '\n');
	assert_memory_equal(call.answer->raw.data, "{\"id\":\"c1\"", 10);
	assert_null(call.answer->tool_calls);
	assert_null(call.answer->logprobs);
	assert_null(call.answer->refusal);
	ask_done(&call);
}

static void test_last_event_without_its_empty_line(void **state)
{
	(void)state;
	assert_int_equal(streamed(CHUNK("{\"content\":\"a\"}", "") STOP "data: [DONE]"), 0);
	assert_string_equal(call.text, "a");
	ask_done(&call);
}

static void test_no_usage_is_unknown(void **state)
{
	(void)state;
	assert_int_equal(streamed(CHUNK("{\"content\":\"a\"}", "") STOP
				  "data: {\"choices\":[],\"usage\":null}\n\n" USAGE(
					  "{\"prompt_tokens\":-4,\"completion_tokens\":\"x\"}")
					  DONE),
			 0);
	assert_int_equal(call.answer->usage.input, -1);
	assert_int_equal(call.answer->usage.output, -1);
	assert_int_equal(call.answer->usage.reasoning, -1);
	ask_done(&call);
}

static void test_event_over_several_lines(void **state)
{
	(void)state;
	assert_int_equal(
		streamed(
			"data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"a\"}}]}\n\n" STOP
				DONE),
		0);
	assert_string_equal(call.text, "a");
	assert_memory_equal(call.answer->raw.data, "{\"choices\":[{\"index\":0, \"delta\"", 31);
	ask_done(&call);
}

static void test_reasoning_and_refusal(void **state)
{
	(void)state;
	assert_int_equal(streamed(CHUNK("{\"reasoning_content\":\"I \"}", "") CHUNK(
				 "{\"reasoning\":\"think\",\"reasoning_content\":\"think\"}", "")
					  CHUNK("{\"content\":\"so\"}", "") STOP DONE),
			 0);
	assert_string_equal(buf_str(&call.answer->reasoning), "I think");
	assert_string_equal(call.text, "so");
	ask_done(&call);
	assert_int_equal(streamed(CHUNK("{\"refusal\":\"I will \"}", "")
					  CHUNK("{\"refusal\":\"not\"}", "") STOP DONE),
			 0);
	assert_string_equal(call.answer->refusal, "I will not");
	assert_string_equal(call.text, "I will not");
	assert_string_equal(call.answer->finish_reason, "content_filter");
	ask_done(&call);
	assert_int_equal(streamed(CHUNK("{\"content\":\"part\"}", "")
					  CHUNK("{\"refusal\":\"no\"}", "") STOP DONE),
			 0);
	assert_string_equal(call.text, "part");
	assert_string_equal(call.answer->refusal, "no");
	ask_done(&call);
}

static void test_finish_reasons(void **state)
{
	static const char *const rows[][2] = { { "\"stop\"", "stop" },
					       { "\"length\"", "length" },
					       { "\"tool_calls\"", "tool_calls" },
					       { "\"function_call\"", "tool_calls" },
					       { "\"content_filter\"", "content_filter" },
					       { "\"Repetition\"", "other:repetition" },
					       { "\"a\\u0007b\\nc\"", "other:a b c" },
					       { "null", "other:unknown" },
					       { "7", "other:unknown" } };
	char events[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(
			events, sizeof(events),
			"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":%s}]}\n\n" DONE,
			rows[i][0]);
		assert_int_equal(streamed(events), 0);
		assert_string_equal(call.answer->finish_reason, rows[i][1]);
		ask_done(&call);
	}
}

static void test_other_choices_are_let_go(void **state)
{
	(void)state;
	assert_int_equal(
		streamed(
			"data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"B\"}},"
			"{\"index\":0,\"delta\":{\"content\":\"A\"}},{\"delta\":{\"content\":\"a\"}}]}\n\n"
			"data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n" STOP
				DONE),
		0);
	assert_string_equal(call.text, "Aa");
	assert_string_equal(call.answer->finish_reason, "stop");
	ask_done(&call);
}

static void test_logprobs(void **state)
{
	char *text;

	(void)state;
	assert_int_equal(
		streamed(CHUNK(
			"{\"content\":\"a\"}",
			",\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":-1}],\"refusal\":null}")
				 CHUNK("{\"content\":\"b\"}",
				       ",\"logprobs\":{\"content\":[{\"token\":\"b\",\"logprob\":-2}],\"refusal\":null}")
					 CHUNK("{}",
					       ",\"logprobs\":null,\"finish_reason\":\"stop\"")
						 DONE),
		0);
	text = json_dumps(call.answer->logprobs, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(
		text,
		"{\"content\":[{\"logprob\":-1,\"token\":\"a\"},{\"logprob\":-2,\"token\":\"b\"}],"
		"\"refusal\":null}");
	free(text);
	ask_done(&call);
}

static void test_tool_calls(void **state)
{
	char *text;

	(void)state;
	assert_int_equal(
		streamed(CHUNK(
			"{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}}]}",
			"") CHUNK("{\"tool_calls\":[{\"index\":1,\"function\":{\"name\":\"b\",\"arguments\":{\"x\":1}}},{\"index\":0,\"function\":{\"arguments\":\"{\\\"tz\\\":\"}}]}",
				  "")
				 CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}},null,7]}",
				       "") CHUNK("{}", ",\"finish_reason\":\"tool_calls\"") DONE),
		0);
	text = json_dumps(call.answer->tool_calls, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(
		text,
		"[{\"function\":{\"arguments\":\"{\\\"tz\\\":1}\",\"name\":\"now\"},\"id\":\"call_1\",\"type\":\"function\"},"
		"{\"function\":{\"arguments\":\"{\\\"x\\\":1}\",\"name\":\"b\"},\"id\":\"call00001\",\"type\":\"function\"}]");
	assert_string_equal(call.answer->finish_reason, "tool_calls");
	free(text);
	ask_done(&call);
}

/* No text however the bytes are cut, and no answer when they end too early. */
static void test_cut_everywhere(void **state)
{
	struct answer *a = cases_stream(
		&config,
		": ping\n\n" CHUNK("{\"role\":\"assistant\",\"content\":null}", "") CHUNK(
			"{\"reasoning_content\":\"t\"}",
			"") CHUNK("{\"content\":\"H\u00e9\"}", "") CHUNK("{\"content\":\" you\"}",
									 "") ": ping\n\n" STOP
			USAGE("{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_tokens_details\":null}")
				DONE,
		"H\xc3\xa9 you");

	(void)state;
	assert_int_equal(a->usage.input, 9);
	assert_int_equal(a->usage.cached_input, -1);
	answer_free(a);
}

static void test_vectors(void **state)
{
	static const char *const broken[] = {
		"{\"object\":\"list\",\"data\":[]}",
		"{\"data\":[{\"index\":0,\"embedding\":[]}]}",
		"{\"data\":[{\"index\":0,\"embedding\":[1,null]}]}",
		"{\"data\":[{\"index\":1,\"embedding\":[1]}]}",
		"{\"data\":[{\"index\":-1,\"embedding\":[1]}]}",
		"{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}",
		"{\"data\":[{\"index\":0,\"embedding\":\"AACAPw\"},{\"index\":1}]}",
		"{\"data\":[{\"index\":0,\"embedding\":\"AACAP!==\"}]}",
		"{\"data\":[{\"index\":0,\"embedding\":\"AACA\"}]}",	 /* three bytes */
		"{\"data\":[{\"index\":0,\"embedding\":\"AACAfw==\"}]}", /* infinity */
		"{\"data\":[7]}",
	};
	struct answer *a;

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		cases_fails(&config, broken[i], true, EBADMSG);
	assert_int_equal(
		cases_read(
			&config,
			"{\"object\":\"list\",\"model\":\"e\",\"data\":[{\"index\":1,\"embedding\":[0.25,-2]},"
			"{\"index\":0,\"embedding\":\"AACAPwAAAL8=\"}],\"usage\":{\"prompt_tokens\":4,\"total_tokens\":4}}",
			true, 0, &a, NULL),
		0);
	cases_json(a->embedding, "[[1.0,-0.5],[0.25,-2]]");
	assert_string_equal(a->finish_reason, "stop");
	assert_int_equal(a->usage.input, 4);
	assert_int_equal(a->usage.output, -1);
	assert_int_equal(a->text.len, 0);
	answer_free(a);
}

static void test_infill(void **state)
{
	struct answer *a = cases_stream(
		&config,
		"data: {\"content\":\"x\",\"stop\":false}\n\n"
		"data: {\"content\":\"y\",\"stop\":false}\n\n"
		"data: {\"content\":\"\",\"stop\":true,\"stop_type\":\"limit\",\"model\":\"q\",\"tokens_evaluated\":5,"
		"\"tokens_predicted\":2}\n\n",
		"xy");

	(void)state;
	assert_string_equal(a->finish_reason, "length");
	assert_string_equal(a->model, "q");
	assert_int_equal(a->usage.input, 5);
	assert_int_equal(a->usage.output, 2);
	answer_free(a);
	assert_int_equal(
		cases_read(&config,
			   "{\"content\":\"z\",\"stop\":true,\"stop_type\":\"eos\",\"error\":null}",
			   true, 0, &a, NULL),
		0);
	assert_string_equal(a->finish_reason, "stop");
	answer_free(a);
	cases_fails(&config, "{\"content\":\"z\",\"stop\":true,\"stop_type\":\"none\"}", true,
		    EREMOTEIO);
}

static void test_models(void **state)
{
	(void)state;
	cases_models(
		&config,
		"{\"object\":\"list\",\"data\":[{\"id\":\"gpt-6\",\"object\":\"model\",\"created\":5,\"owned_by\":\"o\","
		"\"shutdown_date\":null},{\"id\":\"old\",\"shutdown_date\":\"2027-01-01\"},{\"id\":7},null]}",
		"[{\"id\":\"gpt-6\",\"created\":5,\"owned_by\":\"o\"},{\"id\":\"old\",\"deprecated\":\"2027-01-01\"}]");
	cases_models(
		&config,
		"{\"data\":[{\"id\":\"Qwen/Q\",\"max_model_len\":32768,\"root\":null},"
		"{\"id\":\"g\",\"meta\":{\"n_ctx_train\":2048,\"n_params\":8030261248,\"size\":99},"
		"\"architecture\":{\"input_modalities\":[\"text\",\"image\"]}},{\"id\":\"s\",\"meta\":null}]}",
		"[{\"id\":\"Qwen/Q\",\"context_tokens\":32768},{\"id\":\"g\",\"context_tokens\":2048,"
		"\"size_bytes\":99,\"parameters\":\"8.0B\",\"capabilities\":[\"images\"]},{\"id\":\"s\"}]");
}

static void test_error_replies(void **state)
{
	(void)state;
	cases_error(
		&config, 404,
		"{\"error\":{\"message\":\"The model `x` does not exist\",\"type\":\"invalid_request_error\","
		"\"param\":null,\"code\":\"model_not_found\"}}",
		ENXIO, false, "does not exist");
	cases_error(
		&config, 404,
		"{\"error\":{\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\",\"param\":"
		"\"model\",\"code\":404}}",
		ENXIO, false, "does not exist");
	cases_error(
		&config, 429,
		"{\"error\":{\"message\":\"m\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
		EBUSY, true, "concurrency");
	cases_error(&config, 429, "{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}",
		    EDQUOT, false, "balance");
	cases_error(
		&config, 400,
		"{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens'\",\"param\":\"max_tokens\","
		"\"code\":\"unsupported_parameter\"}}",
		EINVAL, false, "max_tokens");
	cases_error(
		&config, 503,
		"{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}",
		EREMOTEIO, true, "Loading model");
	cases_error(&config, 502, "<html><body>nginx</body></html>", EREMOTEIO, true, "web page");
	cases_error(&config, 504, "", EREMOTEIO, true, "504");
}

static void test_server_ignores_stream(void **state)
{
	static const char body[] =
		"\xef\xbb\xbf{\"id\":\"x\",\"model\":\"m2\",\"choices\":[{\"index\":0,\"message\":"
		"{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"length\"}],"
		"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}";

	(void)state;
	assert_int_equal(plain(body), 0);
	assert_string_equal(call.text, "Hi");
	assert_string_equal(buf_str(&call.answer->raw), body); /* byte for byte */
	assert_string_equal(call.answer->finish_reason, "length");
	assert_int_equal(call.answer->usage.output, 2);
	ask_done(&call);
}

static void test_completions_stream(void **state)
{
	struct wire *w = wire_new();

	(void)state;
	wire_add_sse(
		w,
		"data: {\"choices\":[{\"text\":\"a\",\"index\":0,\"logprobs\":{\"tokens\":[\"a\"],\"token_logprobs\":[-1]}}]}\n\n"
		"data: {\"choices\":[{\"text\":\"b\",\"index\":0,\"logprobs\":{\"tokens\":[\"b\"],\"token_logprobs\":[-2]},\"finish_reason\":\"stop\"}]}\n\n" DONE,
		true, WIRE_KEEP);
	assert_int_equal(get_answer(w, TEXT "}"), 0);
	assert_string_equal(call.text, "ab");
	assert_int_equal(json_array_size(json_object_get(call.answer->logprobs, "tokens")), 2);
	assert_memory_equal(wire_request(w, 0), "POST /v1/completions HTTP/1.1", 29);
	ask_done(&call);
	wire_free(w);
}

static void test_request_id_of_the_header_wins(void **state)
{
	struct wire *w = wire_new();

	(void)state;
	wire_add_json(w, 200, "x-request-id: req-9\r\n",
		      "{\"id\":\"body\",\"choices\":[{\"message\":{\"content\":\"x\"}}]}");
	assert_int_equal(get_answer(w, HEAD HI "}"), 0);
	assert_string_equal(call.answer->provider_request_id, "req-9");
	assert_non_null(strstr(wire_request(w, 0), "Authorization: Bearer sk-local-test\r\n"));
	assert_non_null(strstr(wire_request(w, 0), "Content-Type: application/json\r\n"));
	ask_done(&call);
	wire_free(w);
}

/* ---- recorded replies of a real server, cut in many ways ---- */

static char *shared(const char *name, size_t *out_n)
{
	const char *dir = getenv("INFERFS_SHARED");
	struct buf b = BUF_INIT(1 << 20);
	char path[512];

	snprintf(path, sizeof(path), "%s/testdata/llama-server/%s", dir ? dir : "../shared", name);
	if (fdio_read_file(-100 /* AT_FDCWD */, path, &b)) {
		print_message("SKIP: no recording %s (set INFERFS_SHARED)\n", path);
		buf_done(&b);
		return NULL;
	}
	return buf_steal(&b, out_n);
}

/* Header and body as recorded; a chunked body was stored without its chunks, so it ends with the connection. */
static bool replay(const char *name, size_t piece, const char *request, int *out_rc)
{
	char file[128], *head, *body, *at;
	size_t n_head = 0, n_body = 0;
	struct buf all = BUF_INIT(1 << 20);
	struct wire *w;

	snprintf(file, sizeof(file), "%s.resp.headers", name);
	head = shared(file, &n_head);
	snprintf(file, sizeof(file), "%s.resp.body", name);
	body = shared(file, &n_body);
	if (!head || !body) {
		free(head);
		free(body);
		return false;
	}
	at = strstr(head, "Transfer-Encoding: chunked");
	if (at)
		memcpy(at, "X-ransfer-Encoding: chunked", 26);
	buf_add(&all, head, n_head);
	if (n_head < 4 || memcmp(head + n_head - 4, "\r\n\r\n", 4) != 0)
		buf_adds(&all, strstr(head, "\r\n") ? "\r\n" : "\n");
	buf_add(&all, body, n_body);
	w = wire_new();
	wire_add(w,
		 (struct wire_answer){
			 .bytes = all.data, .len = all.len, .piece = piece, .then = WIRE_CLOSE });
	*out_rc = get_answer(w, request);
	wire_free(w);
	buf_done(&all);
	free(head);
	free(body);
	return true;
}

static void test_recordings(void **state)
{
	static const struct {
		const char *name, *request, *text;
		const char *finish;
	} rows[] = {
		{ "chat", HEAD HI "}",
		  ", there was a little girl named Lily. She loved to play with her toys and her to",
		  "length" },
		{ "chat_stream", HEAD HI "}", NULL, "length" },
		{ "chat_n2", HEAD HI "}", " upon a time,", "length" },
		{ "chat_logprobs", HEAD HI "}", " upon a", "length" },
		{ "chat_tools", HEAD HI "}", NULL, "length" },
		{ "completions", TEXT "}", NULL, NULL },
		{ "completions_stream", TEXT "}", ", there was a", "length" }
	};
	static const size_t pieces[] = { 0, 1, 7, 100 };
	int rc;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
			if (!replay(rows[i].name, pieces[p], rows[i].request, &rc))
				skip();
			if (rc)
				fail_msg("%s: %s", rows[i].name, call.err.message);
			if (rows[i].text)
				assert_string_equal(call.text, rows[i].text);
			if (rows[i].finish)
				assert_string_equal(call.answer->finish_reason, rows[i].finish);
			assert_true(call.answer->usage.output > 0);
			assert_string_equal(call.answer->model, "stories260k");
			ask_done(&call);
		}
}

static void test_recorded_errors(void **state)
{
	static const struct {
		const char *name;
		int code;
	} rows[] = { { "err_badjson", EREMOTEIO }, { "err_badkey", EKEYREJECTED },
		     { "err_ctx", EMSGSIZE },	   { "err_nomessages", EINVAL },
		     { "err_notfound", ENXIO },	   { "err_wrongtype", EINVAL },
		     { "chat_image", EREMOTEIO } };
	int rc;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!replay(rows[i].name, 0, HEAD HI "}", &rc))
			skip();
		assert_int_equal(rc, rows[i].code);
		assert_true(call.err.provider_message[0] != '\0');
		ask_done(&call);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_and_drops),
		cmocka_unit_test(test_broken_streams),
		cmocka_unit_test(test_broken_bodies),
		cmocka_unit_test(test_recorded_errors),
		cmocka_unit_test(test_nested_too_deeply),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_max_tokens),
		cmocka_unit_test(test_extra_body),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_last_event_without_its_empty_line),
		cmocka_unit_test(test_no_usage_is_unknown),
		cmocka_unit_test(test_event_over_several_lines),
		cmocka_unit_test(test_reasoning_and_refusal),
		cmocka_unit_test(test_finish_reasons),
		cmocka_unit_test(test_other_choices_are_let_go),
		cmocka_unit_test(test_logprobs),
		cmocka_unit_test(test_tool_calls),
		cmocka_unit_test(test_error_replies),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_reasoning_models),
		cmocka_unit_test(test_local_servers_think),
		cmocka_unit_test(test_other_endpoints),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_infill),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_server_ignores_stream),
		cmocka_unit_test(test_completions_stream),
		cmocka_unit_test(test_request_id_of_the_header_wins),
		cmocka_unit_test(test_recordings),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
