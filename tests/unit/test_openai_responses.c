/*
 * infer/openai: /responses, which models need it, and what reasoning models refuse
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

#define HEAD  "{\"endpoint\":\"responses\",\"model\":\"gpt-6-luna\","
#define CHAT  "{\"endpoint\":\"chat\",\"model\":\"%s\","
#define HI    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"now\"}}]"
#define INPUT "\"input\":[{\"content\":\"hi\",\"role\":\"user\"}]"
#define KEPT  "\"include\":[\"reasoning.encrypted_content\"],"
#define REST  "\"store\":false,\"stream\":true"

static struct backend_config config;

static int setup(void **state)
{
	(void)state;
	config = ask_config("openai", "http://127.0.0.1:1/v1");
	config.at.default_url = true; /* as if that were OpenAI itself */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ask_config_done(&config);
	return 0;
}

/* ---- which models ---- */

static void refuses(const char *model, const char *more, const char *field)
{
	char request[1024];

	snprintf(request, sizeof(request), CHAT HI ",%s}", model, more);
	cases_refuses(&config, request, field);
}

static void takes(const char *model, const char *more, const char *endpoint)
{
	char request[1024], after[1024];

	snprintf(request, sizeof(request), CHAT HI ",%s}", model, more);
	snprintf(after, sizeof(after), "{\"endpoint\":\"%s\",\"model\":\"%s\"," HI ",%s}", endpoint,
		 model, more);
	cases_becomes(&config, request, after);
}

static void test_reasoning_models_refuse(void **state)
{
	static const char *const models[] = {
		"o1",	      "o3",	    "o4-mini",	       "gpt-5",
		"gpt-5-mini", "gpt-6-luna", "ft:o4-mini:team", "gpt-6.1-sol"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		refuses(models[i], "\"temperature\":0", "temperature");
		refuses(models[i], "\"top_p\":0.5", "top_p");
		refuses(models[i], "\"presence_penalty\":1", "presence_penalty");
		refuses(models[i], "\"frequency_penalty\":-1", "frequency_penalty");
		refuses(models[i], "\"logprobs\":true,\"top_logprobs\":3", "logprobs");
		takes(models[i], "\"temperature\":1,\"top_p\":1,\"presence_penalty\":0", "chat");
		takes(models[i], "\"reasoning_effort\":\"none\",\"temperature\":0", "chat");
		refuses(models[i], "\"reasoning_effort\":\"none\",\"presence_penalty\":1",
			"presence_penalty");
	}
	refuses("o3", "\"stop\":[\"x\"]", "stop");
	refuses("o4-mini", "\"stop\":[\"x\"]", "stop");
	takes("o1", "\"stop\":[\"x\"]", "chat");
}

static void test_others_take_all(void **state)
{
	static const char *const models[] = { "gpt-4o",	      "gpt-4.1-mini",	   "gpt-3.5-turbo",
					      "gpt-35-turbo", "gpt-oss-20b",	   "omni-1",
					      "ft:gpt-4o:x",  "gpt-5-chat-latest", "davinci-002" };

	(void)state;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		takes(models[i], "\"temperature\":0,\"logprobs\":true,\"presence_penalty\":1",
		      "chat");
	/* at another address they mean the same, unless it says that it is somebody else's server */
	config.at.default_url = false;
	refuses("gpt-6-luna", "\"temperature\":0", "temperature");
	config.provider = (char[]){ "other" };
	takes("gpt-6-luna", "\"temperature\":0," TOOLS, "chat");
	config.provider = NULL;
	config.at.default_url = true;
}

static void test_tools_go_elsewhere(void **state)
{
	(void)state;
	takes("gpt-5.4", TOOLS, "responses");
	takes("gpt-5.4-mini", TOOLS ",\"reasoning_effort\":\"low\"", "responses");
	takes("gpt-6.1-sol", TOOLS, "responses");
	takes("gpt-5.4", TOOLS ",\"reasoning_effort\":\"none\"", "chat");
	takes("gpt-5.4", "\"tools\":[]", "chat");
	takes("gpt-5.2", TOOLS, "chat");
	takes("o3", TOOLS, "chat");
	takes("gpt-4o", TOOLS, "chat");
	/* what chat has and /responses has not */
	refuses("gpt-5.4", TOOLS ",\"stop\":[\"x\"]", "stop");
	refuses("gpt-5.4", TOOLS ",\"seed\":7", "seed");
	refuses("gpt-5.4", TOOLS ",\"logit_bias\":{\"1\":2}", "logit_bias");
	cases_becomes(&config,
		      "{\"endpoint\":\"chat\",\"model\":\"gpt-5.4\"," HI "," TOOLS
		      ",\"stop\":[],\"presence_penalty\":0}",
		      "{\"endpoint\":\"responses\",\"model\":\"gpt-5.4\"," HI "," TOOLS "}");
}

static void test_refuses(void **state)
{
	(void)state;
	cases_refuses(&config, HEAD HI ",\"stop\":[\"x\"]}", "stop");
	cases_refuses(&config, HEAD HI ",\"seed\":1}", "seed");
	cases_refuses(&config, HEAD HI ",\"top_k\":1}", "top_k");
	cases_refuses(&config, HEAD HI ",\"presence_penalty\":1}", "presence_penalty");
	cases_refuses(&config,
		      HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"name\":\"b\"}]}",
		      "messages.name");
}

/* ---- what is sent ---- */

static void test_fields(void **state)
{
	(void)state;
	cases_sends(&config, HEAD HI "}", NULL, "/responses",
		    "{" KEPT INPUT ",\"model\":\"gpt-6-luna\"," REST "}");
	cases_sends(&config,
		    HEAD HI ",\"max_tokens\":9,\"temperature\":1,\"reasoning_effort\":\"low\","
			    "\"parallel_tool_calls\":false}",
		    NULL, "/responses",
		    "{" KEPT INPUT ",\"max_output_tokens\":9,\"model\":\"gpt-6-luna\","
		    "\"parallel_tool_calls\":false,\"reasoning\":{\"effort\":\"low\"}," REST
		    ",\"temperature\":1}");
	cases_sends(
		&config,
		"{\"endpoint\":\"responses\",\"model\":\"gpt-4o\"," HI
		",\"logprobs\":true,\"top_logprobs\":2,\"extra_body\":{\"reasoning\":{\"summary\":\"auto\"}}}",
		NULL, "/responses",
		"{\"include\":[\"reasoning.encrypted_content\",\"message.output_text.logprobs\"]," INPUT
		",\"model\":\"gpt-4o\",\"reasoning\":{\"summary\":\"auto\"}," REST
		",\"top_logprobs\":2}");
	cases_sends(
		&config,
		HEAD HI
		",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
		"\"schema\":{},\"strict\":true}}}",
		NULL, "/responses",
		"{" KEPT INPUT ",\"model\":\"gpt-6-luna\"," REST
		",\"text\":{\"format\":{\"name\":\"n\",\"schema\":{},\"strict\":true,\"type\":\"json_schema\"}}}");
	cases_sends(&config, HEAD HI ",\"response_format\":{\"type\":\"json_object\"}}", NULL,
		    "/responses",
		    "{" KEPT INPUT ",\"model\":\"gpt-6-luna\"," REST
		    ",\"text\":{\"format\":{\"type\":\"json_object\"}}}");
}

static void test_tools(void **state)
{
	(void)state;
	cases_sends(
		&config,
		HEAD HI
		",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"description\":\"d\",\"parameters\":"
		"{\"type\":\"object\"},\"strict\":true}},{\"type\":\"function\",\"function\":{\"name\":\"b\"}}],"
		"\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"a\"}}}",
		NULL, "/responses",
		"{" KEPT INPUT ",\"model\":\"gpt-6-luna\"," REST
		",\"tool_choice\":{\"name\":\"a\",\"type\":\"function\"},\"tools\":["
		"{\"description\":\"d\",\"name\":\"a\",\"parameters\":{\"type\":\"object\"},\"strict\":true,\"type\":\"function\"},"
		"{\"name\":\"b\",\"parameters\":null,\"strict\":false,\"type\":\"function\"}]}");
	cases_sends(
		&config, HEAD HI "," TOOLS ",\"tool_choice\":\"required\"}", NULL, "/responses",
		"{" KEPT INPUT ",\"model\":\"gpt-6-luna\"," REST
		",\"tool_choice\":\"required\",\"tools\":[{\"name\":\"now\",\"parameters\":null,"
		"\"strict\":false,\"type\":\"function\"}]}");
}

static void test_messages(void **state)
{
	(void)state;
	cases_sends(
		&config,
		HEAD
		"\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":["
		"{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"image\",\"sha256\":\"aa\",\"media_type\":\"image/png\"},"
		"{\"type\":\"image\",\"url\":\"https://h/x\",\"detail\":\"low\"}]},"
		"{\"role\":\"assistant\",\"content\":\"a\"}]}",
		"{\"aa\":\"QUJD\"}", "/responses",
		"{" KEPT
		"\"input\":[{\"content\":\"s\",\"role\":\"developer\"},{\"content\":[{\"text\":\"t\",\"type\":\"input_text\"},"
		"{\"detail\":\"auto\",\"image_url\":\"data:image/png;base64,QUJD\",\"type\":\"input_image\"},"
		"{\"detail\":\"low\",\"image_url\":\"https://h/x\",\"type\":\"input_image\"}],\"role\":\"user\"},"
		"{\"content\":\"a\",\"role\":\"assistant\"}],\"model\":\"gpt-6-luna\"," REST "}");
	cases_sends(
		&config,
		"{\"endpoint\":\"responses\",\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"}]}",
		NULL, "/responses",
		"{" KEPT
		"\"input\":[{\"content\":\"s\",\"role\":\"system\"}],\"model\":\"gpt-4o\"," REST
		"}");
}

#define THOUGHT \
	"{\"encrypted_content\":\"e==\",\"id\":\"rs_1\",\"summary\":[],\"type\":\"reasoning\"}"

/* The reasoning goes back before the calls it led to, unchanged; another provider's signature does not. */
static void test_history_of_calls(void **state)
{
	(void)state;
	cases_sends(
		&config,
		HEAD
		"\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},"
		"{\"role\":\"assistant\",\"content\":\"So:\",\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\","
		"\"function\":{\"name\":\"now\",\"arguments\":\"{}\"},\"extra_content\":{\"openai\":{\"reasoning\":[" THOUGHT
		"]},\"google\":{\"thought_signature\":\"s\"}}},{\"id\":\"call_2\",\"type\":\"function\","
		"\"function\":{\"name\":\"b\",\"arguments\":\"x\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"12:00\"},"
		"{\"role\":\"tool\",\"tool_call_id\":\"call_2\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}]},"
		"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_3\",\"type\":\"function\","
		"\"function\":{\"name\":\"c\",\"arguments\":\"{}\"},\"extra_content\":{\"anthropic\":{\"thinking\":[]}}}]}]}",
		NULL, "/responses",
		"{" KEPT "\"input\":[{\"content\":\"hi\",\"role\":\"user\"}," THOUGHT
		",{\"content\":\"So:\",\"role\":\"assistant\"},"
		"{\"arguments\":\"{}\",\"call_id\":\"call_1\",\"name\":\"now\",\"type\":\"function_call\"},"
		"{\"arguments\":\"x\",\"call_id\":\"call_2\",\"name\":\"b\",\"type\":\"function_call\"},"
		"{\"call_id\":\"call_1\",\"output\":\"12:00\",\"type\":\"function_call_output\"},"
		"{\"call_id\":\"call_2\",\"output\":[{\"text\":\"t\",\"type\":\"input_text\"}],\"type\":\"function_call_output\"},"
		"{\"arguments\":\"{}\",\"call_id\":\"call_3\",\"name\":\"c\",\"type\":\"function_call\"}],"
		"\"model\":\"gpt-6-luna\"," REST "}");
}

/* ---- what comes back ---- */

#define EV(type, more) \
	"event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":1" more "}\n\n"
#define CREATED                \
	EV("response.created", \
	   ",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"model\":\"gpt-6\",\"status\":\"in_progress\",\"output\":[],\"error\":null}")
#define DELTA(text)                      \
	EV("response.output_text.delta", \
	   ",\"output_index\":0,\"content_index\":0,\"delta\":\"" text "\"")
#define MESSAGE(text)                                                                                          \
	"{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"" text \
	"\",\"annotations\":[],\"logprobs\":[{\"token\":\"t\",\"logprob\":-1}]}]}"
#define CALL \
	"{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_1\",\"name\":\"now\",\"arguments\":\"{\\\"a\\\":1}\",\"status\":\"completed\"}"
#define DONE_AS(event, status, items, more)                                                                          \
	EV(event,                                                                                                    \
	   ",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"model\":\"gpt-6\",\"status\":\"" status       \
	   "\",\"error\":null,\"output\":[" items "]" more                                                           \
	   ",\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":2}," \
	   "\"output_tokens\":12,\"output_tokens_details\":{\"reasoning_tokens\":8},\"total_tokens\":21}}")
#define COMPLETED(items) DONE_AS("response.completed", "completed", items, "")

static void test_stream(void **state)
{
	struct answer *a = cases_stream(
		&config,
		": hello\n\n" CREATED EV("response.output_item.added",
					 ",\"item\":{\"type\":\"message\",\"content\":[]}")
			DELTA("Hi \\ud83d\\ude00") DELTA(" there") EV("response.output_text.done",
								      ",\"text\":\"Hi there\"")
				EV("response.something.new", ",\"delta\":\"?\"")
					EV("response.output_item.done", ",\"item\":" MESSAGE("Hi"))
						COMPLETED(MESSAGE("Hi")),
		"Hi \xf0\x9f\x98\x80 there");

	(void)state;
	assert_string_equal(a->finish_reason, "stop");
	assert_string_equal(a->model, "gpt-6");
	assert_string_equal(a->provider_request_id, "resp_1");
	assert_int_equal(a->usage.input, 9);
	assert_int_equal(a->usage.cached_input, 4);
	assert_int_equal(a->usage.cache_write, 2);
	assert_int_equal(a->usage.output, 12);
	assert_int_equal(a->usage.reasoning, 8);
	cases_json(a->logprobs, "{\"content\":[{\"token\":\"t\",\"logprob\":-1}]}");
	assert_null(a->tool_calls);
	answer_free(a);
}

static void test_calls_and_reasoning(void **state)
{
	struct answer *a = cases_stream(
		&config,
		CREATED EV("response.reasoning_summary_part.added",
			   "") EV("response.reasoning_summary_text.delta", ",\"delta\":\"First.\"")
			EV("response.reasoning_summary_part.added",
			   "") EV("response.reasoning_summary_text.delta", ",\"delta\":\"Second.\"")
				EV("response.function_call_arguments.delta", ",\"delta\":\"{\"")
					COMPLETED(THOUGHT "," CALL),
		"");

	(void)state;
	assert_string_equal(a->finish_reason, "tool_calls");
	assert_string_equal(buf_str(&a->reasoning), "First.\n\nSecond.");
	cases_json(
		a->tool_calls,
		"[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"{\\\"a\\\":1}\"},"
		"\"extra_content\":{\"openai\":{\"reasoning\":[" THOUGHT "]}}}]");
	answer_free(a);
}

/* Some servers leave the last event's list empty, others the events before it. */
static void test_items_from_either_place(void **state)
{
	struct answer *a = cases_stream(
		&config,
		CREATED EV("response.output_item.done", ",\"item\":" MESSAGE("from its own event"))
			EV("response.output_item.done", ",\"item\":" CALL) COMPLETED(""),
		"from its own event");

	(void)state;
	assert_int_equal(json_array_size(a->tool_calls), 1);
	answer_free(a);
	a = cases_stream(&config, CREATED COMPLETED(MESSAGE("from the last")), "from the last");
	answer_free(a);
}

static void test_incomplete_and_refused(void **state)
{
	struct answer *a = cases_stream(
		&config,
		CREATED DELTA("cut")
			DONE_AS("response.incomplete", "incomplete", MESSAGE("cut"),
				",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"),
		"cut");

	(void)state;
	assert_string_equal(a->finish_reason, "length");
	answer_free(a);
	a = cases_stream(&config,
			 CREATED DELTA("x")
				 DONE_AS("response.incomplete", "incomplete", "",
					 ",\"incomplete_details\":{\"reason\":\"content_filter\"}"),
			 "x");
	assert_string_equal(a->finish_reason, "content_filter");
	answer_free(a);
	a = cases_stream(
		&config,
		CREATED EV("response.refusal.delta", ",\"delta\":\"No.\"") COMPLETED(
			"{\"type\":\"message\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"No.\"}]}"),
		"No.");
	assert_string_equal(a->finish_reason, "content_filter");
	assert_string_equal(a->refusal, "No.");
	answer_free(a);
}

static void test_broken(void **state)
{
	static const struct {
		const char *bytes;
		bool whole;
		int code;
	} rows[] = {
		{ CREATED DELTA("x") "data: [DONE]\n\n", false, EREMOTEIO }, /* no end mark here */
		{ CREATED DELTA("x"), false, EREMOTEIO },
		{ CREATED COMPLETED(""), false, EBADMSG }, /* an end, but no answer */
		{ CREATED DELTA("x") DONE_AS("response.completed", "queued", "", ""), false,
		  EREMOTEIO },
		{ CREATED DELTA("x") DONE_AS("response.completed", "cancelled", "", ""), false,
		  EREMOTEIO },
		{ CREATED
		  "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\","
		  "\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n",
		  false, EREMOTEIO },
		{ CREATED "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\","
			  "\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}}\n\n",
		  false, EBUSY },
		{ CREATED
		  "event: error\ndata: {\"type\":\"error\",\"code\":\"insufficient_quota\",\"message\":\"m\"}\n\n",
		  false, EDQUOT },
		{ CREATED
		  "data: {\"type\":\"error\",\"code\":\"context_length_exceeded\",\"message\":\"m\",\"param\":null}\n\n",
		  false, EMSGSIZE },
		{ "{\"object\":\"response\",\"status\":\"in_progress\",\"output\":[]}", true,
		  EREMOTEIO },
		{ "{\"object\":\"response\",\"status\":\"completed\",\"output\":[]}", true,
		  EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cases_fails(&config, rows[i].bytes, rows[i].whole, rows[i].code);
}

static void test_whole(void **state)
{
	struct answer *a;

	(void)state;
	assert_int_equal(
		cases_read(
			&config,
			"{\"id\":\"r\",\"object\":\"response\",\"model\":\"m\",\"status\":\"completed\",\"error\":null,\"output\":["
			"{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"a\"},{\"type\":\"summary_text\",\"text\":\"b\"}],"
			"\"encrypted_content\":\"e\"}," MESSAGE("one ") "," MESSAGE(
				"two") "],\"usage\":{\"output_tokens\":3}}",
			true, 0, &a, NULL),
		0);
	assert_string_equal(buf_str(&a->text), "one two");
	assert_string_equal(buf_str(&a->reasoning), "a\n\nb");
	assert_int_equal(a->usage.output, 3);
	assert_null(a->tool_calls);
	answer_free(a);
}

static void test_over_the_wire(void **state)
{
	struct wire *w = wire_new();
	char url[128];
	struct ask_call call;
	struct ask ask_it;

	(void)state;
	wire_add_sse(w, CREATED DELTA("Hi") COMPLETED(MESSAGE("Hi")), true, WIRE_KEEP);
	snprintf(url, sizeof(url), "%s/v1", wire_url(w));
	ask_new(&ask_it, ask_config("openai", url));
	assert_int_equal(ask(&ask_it, &call, HEAD HI "}"), 0);
	assert_string_equal(call.text, "Hi");
	assert_memory_equal(wire_request(w, 0), "POST /v1/responses HTTP/1.1\r\n", 29);
	ask_done(&call);
	ask_free(&ask_it);
	wire_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_reasoning_models_refuse),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_others_take_all),
		cmocka_unit_test(test_tools_go_elsewhere),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_history_of_calls),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_calls_and_reasoning),
		cmocka_unit_test(test_items_from_either_place),
		cmocka_unit_test(test_incomplete_and_refused),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_over_the_wire),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
