/*
 * infer/ollama: what is sent to its own API, what is refused, and its lines
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "cases.h"
#include "wire.h"
#include "wire_ask.h"

#define HEAD "{\"format\":1,\"backend\":\"ollama\",\"endpoint\":\"chat\",\"model\":\"m\","
#define HI   "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TEXT "{\"endpoint\":\"completion\",\"model\":\"m\",\"prompt\":\"hi\""
#define SENT "\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"model\":\"m\""
#define REST "\"stream\":true,\"truncate\":false"

static struct backend_config config;

static int setup(void **state)
{
	(void)state;
	config = ask_config("ollama", "http://127.0.0.1:1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ask_config_done(&config);
	return 0;
}

/* ---- what is sent ---- */

#define IMAGE_PART  "{\"type\":\"image\",\"sha256\":\"aa\",\"media_type\":\"image/png\"}"
#define URL_PART    "{\"type\":\"image\",\"url\":\"https://h/x.png\"}"
#define USER(parts) "\"messages\":[{\"role\":\"user\",\"content\":[" parts "]}]"

static void test_refuses(void **state)
{
	static const char *const rows[][2] = {
		{ HEAD HI ",\"logit_bias\":{\"1\":2}}", "logit_bias" },
		{ HEAD HI ",\"suffix\":\"x\"}", "suffix" },
		{ HEAD HI ",\"tools\":[{}],\"tool_choice\":\"required\"}", "tool_choice" },
		{ HEAD HI
		  ",\"tools\":[{}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"a\"}}}",
		  "tool_choice" },
		{ HEAD HI ",\"tools\":[{}],\"parallel_tool_calls\":false}", "parallel_tool_calls" },
		{ HEAD HI ",\"reasoning_effort\":\"xhigh\"}", "reasoning_effort" },
		{ HEAD HI ",\"reasoning_effort\":\"minimal\"}", "reasoning_effort" },
		{ HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"name\":\"bob\"}]}",
		  "messages.name" },
		{ HEAD "\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"prefix\":true}]}",
		  "messages.prefix" },
		{ HEAD USER(URL_PART) "}", "messages.image" },
		{ HEAD USER(
			  "{\"type\":\"image\",\"sha256\":\"aa\",\"media_type\":\"image/png\",\"detail\":\"low\"}") "}",
		  "messages.image.detail" },
		{ TEXT ",\"reasoning_effort\":\"low\"}", "reasoning_effort" },
		{ "{\"endpoint\":\"embedding\",\"input\":\"x\",\"temperature\":1}", "temperature" },
		{ "{\"endpoint\":\"responses\",\"messages\":[]}", "endpoint" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cases_refuses(&config, rows[i][0], rows[i][1]);
}

#define ARGUMENTS(text)                                                                              \
	HEAD "\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\"," \
	     "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"" text "\"}}]}]}"

/* A model may have written arguments that are no object; there is no place for such a text. */
static void test_arguments_are_objects(void **state)
{
	static const char *const rows[] = { ARGUMENTS("{bro"), ARGUMENTS("[1]"), ARGUMENTS("7") };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *o = json_loads(rows[i], 0, NULL);

		assert_int_equal(config.type->check(&config, o, NULL, false, &e), -EINVAL);
		assert_string_equal(e.field, "messages.tool_calls");
		json_decref(o);
	}
}

static void test_drops_an_image(void **state)
{
	(void)state;
	cases_drops(&config, "{" USER("{\"type\":\"text\",\"text\":\"a\"}," URL_PART) "}",
		    "messages.image", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}");
	cases_drops(&config, "{" USER(URL_PART "," IMAGE_PART) "}", "messages.image",
		    "{" USER(IMAGE_PART) "}");
	cases_drops(&config, "{" USER(URL_PART) "}", "messages.image",
		    "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}");
}

static void test_chat(void **state)
{
	(void)state;
	cases_sends(&config, HEAD HI "}", NULL, "/api/chat", "{" SENT "," REST "}");
	cases_sends(
		&config,
		HEAD HI
		",\"temperature\":0,\"top_p\":0.5,\"top_k\":4,\"min_p\":0.1,\"seed\":7,"
		"\"stop\":[\"x\"],\"max_tokens\":5,\"presence_penalty\":1,\"frequency_penalty\":2}",
		NULL, "/api/chat",
		"{" SENT ",\"options\":{\"frequency_penalty\":2,\"min_p\":0.1,\"num_predict\":5,"
		"\"presence_penalty\":1,\"seed\":7,\"stop\":[\"x\"],\"temperature\":0,\"top_k\":4,"
		"\"top_p\":0.5}," REST "}");
	cases_sends(&config, HEAD HI ",\"logprobs\":true,\"top_logprobs\":2}", NULL, "/api/chat",
		    "{\"logprobs\":true," SENT
		    ",\"stream\":true,\"top_logprobs\":2,\"truncate\":false}");
	cases_sends(&config,
		    HEAD HI ",\"max_tokens\":5,\"extra_body\":{\"options\":{\"num_ctx\":8192},"
			    "\"keep_alive\":0,\"truncate\":true}}",
		    NULL, "/api/chat",
		    "{\"keep_alive\":0," SENT ",\"options\":{\"num_ctx\":8192,\"num_predict\":5},"
		    "\"stream\":true,\"truncate\":true}");
}

static void test_format_and_thinking(void **state)
{
	(void)state;
	cases_sends(&config, HEAD HI ",\"response_format\":{\"type\":\"json_object\"}}", NULL,
		    "/api/chat", "{\"format\":\"json\"," SENT "," REST "}");
	cases_sends(&config, HEAD HI ",\"response_format\":{\"type\":\"text\"}}", NULL, "/api/chat",
		    "{" SENT "," REST "}");
	cases_sends(
		&config,
		HEAD HI
		",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
		"\"strict\":true,\"schema\":{\"type\":\"object\"}}}}",
		NULL, "/api/chat", "{\"format\":{\"type\":\"object\"}," SENT "," REST "}");
	cases_sends(&config, HEAD HI ",\"reasoning_effort\":\"none\"}", NULL, "/api/chat",
		    "{" SENT ",\"stream\":true,\"think\":false,\"truncate\":false}");
	cases_sends(&config, HEAD HI ",\"reasoning_effort\":\"max\"}", NULL, "/api/chat",
		    "{" SENT ",\"stream\":true,\"think\":\"max\",\"truncate\":false}");
}

static void test_parts(void **state)
{
	json_t *o = json_loads(HEAD USER(IMAGE_PART) "}", 0, NULL);
	struct backend_body out = { .stream = true };
	struct err e;

	(void)state;
	cases_sends(
		&config,
		HEAD USER("{\"type\":\"text\",\"text\":\"a\"}," IMAGE_PART
			  ",{\"type\":\"text\",\"text\":\"b\"}") "}",
		"{\"aa\":\"QUJD\"}", "/api/chat",
		"{\"messages\":[{\"content\":\"a\\nb\",\"images\":[\"QUJD\"],\"role\":\"user\"}],"
		"\"model\":\"m\"," REST "}");
	/* bytes that are not there are not sent as nothing */
	assert_int_equal(config.type->build(&config, &(struct backend_ask){ o, NULL, 1 }, &out, &e),
			 -EIO);
	assert_non_null(strstr(e.message, "image"));
	json_decref(o);
}

static void test_tools(void **state)
{
	(void)state;
	cases_sends(
		&config,
		HEAD HI
		",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":false,"
		"\"parameters\":{}}}],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true}",
		NULL, "/api/chat",
		"{" SENT
		",\"stream\":true,\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":{}},"
		"\"type\":\"function\"}],\"truncate\":false}");
	cases_sends(&config,
		    HEAD HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
			    "\"tool_choice\":\"none\"}",
		    NULL, "/api/chat", "{" SENT "," REST "}");
	/* ids that were made are the same in every turn: the nearest call has the name; signatures of other
	 * providers stay here */
	cases_sends(
		&config,
		HEAD
		"\"messages\":[{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"hm\",\"tool_calls\":[{\"id\":"
		"\"call00000\",\"type\":\"function\",\"function\":{\"name\":\"old\",\"arguments\":\"{}\"}}]},"
		"{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[{\"id\":\"call00000\",\"type\":"
		"\"function\",\"extra_content\":{\"google\":{\"thought_signature\":\"s\"}},\"function\":"
		"{\"name\":\"new\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"call00000\",\"content\":\"7\"}]}",
		NULL, "/api/chat",
		"{\"messages\":[{\"content\":\"\",\"role\":\"assistant\",\"thinking\":\"hm\",\"tool_calls\":[{\"function\":{\"arguments\":{},"
		"\"name\":\"old\"},\"id\":\"call00000\"}]},"
		"{\"content\":\"x\",\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":{\"a\":1},"
		"\"name\":\"new\"},\"id\":\"call00000\"}]},"
		"{\"content\":\"7\",\"role\":\"tool\",\"tool_call_id\":\"call00000\",\"tool_name\":\"new\"}],"
		"\"model\":\"m\"," REST "}");
}

static void test_text_and_vectors(void **state)
{
	(void)state;
	cases_sends(
		&config, TEXT ",\"max_tokens\":3}", NULL, "/api/generate",
		"{\"model\":\"m\",\"options\":{\"num_predict\":3},\"prompt\":\"hi\",\"raw\":true," REST
		"}");
	cases_sends(
		&config,
		"{\"endpoint\":\"fim\",\"model\":\"m\",\"prompt\":\"a\",\"suffix\":\"b\",\"seed\":1}",
		NULL, "/api/generate",
		"{\"model\":\"m\",\"options\":{\"seed\":1},\"prompt\":\"a\",\"stream\":true,\"suffix\":\"b\","
		"\"truncate\":false}");
	cases_sends(
		&config,
		"{\"endpoint\":\"embedding\",\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":3}",
		NULL, "/api/embed",
		"{\"dimensions\":3,\"input\":[\"a\",\"b\"],\"model\":\"m\",\"truncate\":false}");
}

/* ---- what comes back ---- */

#define LINE(content)                                                                          \
	"{\"model\":\"m:1\",\"created_at\":\"x\",\"message\":{\"role\":\"assistant\"," content \
	"},\"done\":false}\n"
#define LAST(reason)                                                                                    \
	"{\"model\":\"m:1\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true" reason \
	",\"total_duration\":1,\"prompt_eval_count\":11,\"eval_count\":18}\n"
#define STOP ",\"done_reason\":\"stop\""

static void test_stream(void **state)
{
	struct answer *a =
		cases_stream(&config,
			     LINE("\"content\":\"\",\"thinking\":\"Let \"")
				     LINE("\"content\":\"\",\"thinking\":\"me\"")
					     LINE("\"content\":\"H\\u00e9 \\ud83d\\ude00\"")
						     LINE("\"content\":\" there\"") LAST(STOP),
			     "H\xc3\xa9 \xf0\x9f\x98\x80 there");

	(void)state;
	assert_string_equal(a->finish_reason, "stop");
	assert_string_equal(buf_str(&a->reasoning), "Let me");
	assert_string_equal(a->model, "m:1");
	assert_null(a->provider_request_id);
	assert_int_equal(a->usage.input, 11);
	assert_int_equal(a->usage.output, 18);
	assert_int_equal(a->usage.cached_input, -1);
	assert_int_equal(a->usage.reasoning, -1);
	answer_free(a);
}

static void test_generate(void **state)
{
	struct answer *a = cases_stream(
		&config,
		"{\"model\":\"m\",\"response\":\"a\",\"done\":false,\"logprobs\":[{\"token\":\"a\",\"logprob\":-1}]}\n"
		"{\"model\":\"m\",\"response\":\"b\",\"done\":false,\"logprobs\":[{\"token\":\"b\",\"logprob\":-2}]}\n"
		"{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"context\":[1,2]}\n",
		"ab");

	(void)state;
	assert_string_equal(a->finish_reason, "length");
	assert_int_equal(a->usage.input, -1);
	cases_json(
		a->logprobs,
		"{\"content\":[{\"token\":\"a\",\"logprob\":-1},{\"token\":\"b\",\"logprob\":-2}]}");
	answer_free(a);
}

/* Arguments are objects, ids may be missing, and the reason stays stop. */
static void test_tool_calls(void **state)
{
	struct answer *a = cases_stream(
		&config,
		LINE("\"content\":\"\",\"tool_calls\":[{\"function\":{\"index\":0,\"name\":\"now\",\"arguments\":{\"tz\":\"UTC\"}}},"
		     "{\"id\":\"call_9\",\"function\":{\"index\":1,\"name\":\"b\",\"arguments\":{}}}]")
			LINE("\"content\":\"\",\"tool_calls\":[{\"function\":{\"index\":0,\"name\":\"c\"}}]")
				LAST(STOP),
		"");

	(void)state;
	assert_string_equal(a->finish_reason, "tool_calls");
	cases_json(
		a->tool_calls,
		"[{\"id\":\"call00000\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"{\\\"tz\\\":\\\"UTC\\\"}\"}},"
		"{\"id\":\"call_9\",\"type\":\"function\",\"function\":{\"name\":\"b\",\"arguments\":\"{}\"}},"
		"{\"id\":\"call00002\",\"type\":\"function\",\"function\":{\"name\":\"c\",\"arguments\":\"{}\"}}]");
	answer_free(a);
}

static void test_reasons(void **state)
{
	struct answer *a = cases_stream(&config, LAST(",\"done_reason\":\"load\""), "");

	(void)state;
	assert_string_equal(a->finish_reason, "other:load");
	answer_free(a);
	/* the connection to the model was lost: no answer, whatever its text */
	cases_fails(&config, LINE("\"content\":\"x\"") LAST(""), false, EREMOTEIO);
	cases_fails(&config, LINE("\"content\":\"x\"") LAST(",\"done_reason\":\"\""), false,
		    EREMOTEIO);
}

static void test_broken(void **state)
{
	static const struct {
		const char *bytes;
		bool whole;
		int code;
	} rows[] = {
		{ "", false, EREMOTEIO },
		{ "\n\n", false, EREMOTEIO },
		{ LINE("\"content\":\"x\""), false, EREMOTEIO },
		{ LINE("\"content\":\"x\"") "{\"mess", false, EBADMSG },
		{ "<html>\n", false, EBADMSG },
		{ "[1]\n", false, EBADMSG },
		{ "{\"done\":true,\"done_reason\":\"stop\"}\n", false,
		  EBADMSG }, /* an end, but no answer */
		{ LINE("\"content\":\"x\"") "{\"error\":\"llama runner process has terminated\"}\n",
		  false, EREMOTEIO },
		{ "{\"error\":\"an error\"}\n", false, EREMOTEIO },
		{ "{}", true, EREMOTEIO },
		{ "", true, EBADMSG },
		{ "{\"model\":\"m\",\"message\":{\"content\":\"x\"},\"done\":false}", true,
		  EREMOTEIO },
		{ "{\"embeddings\":[]}", true, EBADMSG },
		{ "{\"embeddings\":[[]]}", true, EBADMSG },
		{ "{\"embeddings\":[[1,\"x\"]]}", true, EBADMSG },
		{ "{\"embeddings\":[[1],null]}", true, EBADMSG },
		{ "{\"embeddings\":7}", true, EBADMSG },
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
			"{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},"
			"\"done\":true,\"done_reason\":\"stop\",\"eval_count\":2}",
			true, 0, &a, NULL),
		0);
	assert_string_equal(buf_str(&a->text), "Hi");
	assert_int_equal(a->usage.output, 2);
	answer_free(a);
	assert_int_equal(
		cases_read(
			&config,
			"{\"model\":\"e\",\"embeddings\":[[0.5,1],[2,-3]],\"prompt_eval_count\":8}",
			true, 0, &a, NULL),
		0);
	cases_json(a->embedding, "[[0.5,1],[2,-3]]");
	assert_string_equal(a->finish_reason, "stop");
	assert_string_equal(a->model, "e");
	assert_int_equal(a->usage.input, 8);
	answer_free(a);
}

/* ---- errors, models ---- */

static void test_errors(void **state)
{
	(void)state;
	cases_error(&config, 404, "{\"error\":\"model 'x' not found\"}", ENXIO, false,
		    "ollama pull");
	cases_error(&config, 404, "404 page not found", ENXIO, false, "404 page");
	cases_error(&config, 400, "{\"error\":\"\\\"m\\\" does not support thinking\"}", EINVAL,
		    false, "thinking");
	cases_error(&config, 400, "{\"error\":\"the input length exceeds the context length\"}",
		    EMSGSIZE, false, "num_ctx");
	cases_error(&config, 401,
		    "{\"error\":\"unauthorized\",\"signin_url\":\"https://ollama.com/connect\"}",
		    EKEYREJECTED, false, "OLLAMA_API_KEY");
	cases_error(&config, 429, "{\"error\":\"slow down\"}", EBUSY, true, "slow down");
	cases_error(&config, 499, "", EINVAL, false, "499");
	cases_error(&config, 500, "{\"error\":\"model requires more system memory\"}", EREMOTEIO,
		    true, "memory");
	cases_error(&config, 502, "<html>", EREMOTEIO, true, "web page");
	cases_error(
		&config, 503,
		"{\"error\":\"server busy, please try again.  maximum pending requests exceeded\"}",
		EREMOTEIO, true, "server busy");
}

static void test_models(void **state)
{
	(void)state;
	cases_models(&config, "{\"models\":null}", "[]");
	cases_models(
		&config,
		"{\"models\":[{\"name\":\"llama3.2:latest\",\"model\":\"llama3.2:latest\",\"size\":2019393189,"
		"\"details\":{\"family\":\"llama\",\"parameter_size\":\"3.2B\",\"quantization_level\":\"Q4_K_M\","
		"\"context_length\":131072},\"capabilities\":[\"completion\",\"tools\",\"vision\",\"insert\",\"thinking\",\"new\",7]},"
		"{\"model\":\"e\",\"capabilities\":[\"embedding\"]},{\"x\":1},7]}",
		"[{\"id\":\"llama3.2:latest\",\"size_bytes\":2019393189,\"family\":\"llama\",\"parameters\":\"3.2B\","
		"\"quantization\":\"Q4_K_M\",\"context_tokens\":131072,"
		"\"capabilities\":[\"chat\",\"completion\",\"tools\",\"images\",\"fim\",\"reasoning\"]},"
		"{\"id\":\"e\",\"capabilities\":[\"embedding\"]}]");
}

/* The text of the parameters is that of a Modelfile: names and values, with blanks between. */
static void test_one_model(void **state)
{
	static const struct {
		const char *shown, *card;
	} rows[] = {
		{ "{}", "{}" },
		{ "{\"details\":null,\"model_info\":7,\"capabilities\":{},\"parameters\":[]}",
		  "{}" },
		{ "{\"parameters\":\"\\n \\nalone\\n   \\n\",\"model_info\":{\"q.context_length\":9}}",
		  "{}" },
		{ "{\"model_info\":{\"general.architecture\":\"q\",\"q.context_length\":40960,\"x.context_length\":1},"
		  "\"details\":{\"family\":\"q\",\"parameter_size\":\"8.2B\",\"quantization_level\":\"Q4\"},"
		  "\"capabilities\":[\"completion\",\"thinking\"],\"license\":\"long\","
		  "\"parameters\":\"num_ctx                        8192\\nstop    \\\"<|a b|>\\\"\\r\\ntemperature 0.6\\n"
		  "stop \\\"\\\\n\\\"\\nuse_mmap true\\nx ->\"}",
		  "{\"family\":\"q\",\"parameters\":\"8.2B\",\"quantization\":\"Q4\",\"context_tokens\":40960,"
		  "\"capabilities\":[\"chat\",\"completion\",\"reasoning\"],\"defaults\":{\"num_ctx\":8192,"
		  "\"stop\":[\"<|a b|>\",\"\\n\"],\"temperature\":0.6,\"use_mmap\":true,\"x\":\"->\"}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *shown = json_loads(rows[i].shown, 0, NULL);
		json_t *wanted = json_loads(rows[i].card, 0, NULL), *card = json_object();

		assert_non_null(shown);
		assert_non_null(wanted);
		config.type->models.detail->read(shown, card);
		if (!json_equal(card, wanted))
			fail_msg("row %zu: %s", i, json_dumps(card, 0));
		json_decref(shown);
		json_decref(wanted);
		json_decref(card);
	}
}

/* ---- over a connection ---- */

static void test_over_the_wire(void **state)
{
	struct wire *w = wire_new();
	struct ask_call call;
	struct ask a;

	(void)state;
	wire_add_typed(w, 200, "application/x-ndjson", LINE("\"content\":\"Hi\"") LAST(STOP),
		       WIRE_KEEP);
	ask_new(&a, ask_config("ollama", wire_url(w)));
	assert_int_equal(ask(&a, &call, NULL), 0);
	assert_string_equal(call.text, "Hi");
	assert_memory_equal(wire_request(w, 0), "POST /api/chat HTTP/1.1\r\n", 25);
	ask_done(&call);
	wire_add_json(w, 404, NULL, "{\"error\":\"model 'm' not found\"}");
	assert_int_equal(ask(&a, &call, NULL), ENXIO);
	assert_int_equal(call.attempts, 1);
	ask_done(&call);
	ask_free(&a);
	wire_free(w);
}

/* The model is being loaded, the queue is full: later it answers. A line without its end mark is tried once
 * more, and text that came before is not kept. */
static void test_tried_again(void **state)
{
	struct wire *w = wire_new();
	struct ask_call call;
	struct ask a;

	(void)state;
	wire_add_json(w, 503, NULL, "{\"error\":\"server busy, please try again.\"}");
	wire_add_typed(w, 200, "application/x-ndjson", LINE("\"content\":\"lost\""), WIRE_KEEP);
	wire_add_typed(w, 200, "application/x-ndjson", LINE("\"content\":\"Hi\"") LAST(STOP),
		       WIRE_KEEP);
	ask_new(&a, ask_config("ollama", wire_url(w)));
	assert_int_equal(ask(&a, &call, NULL), 0);
	assert_string_equal(buf_str(&call.answer->text), "Hi");
	assert_int_equal(call.attempts, 3);
	ask_done(&call);
	ask_free(&a);
	wire_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_arguments_are_objects),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_drops_an_image),
		cmocka_unit_test(test_chat),
		cmocka_unit_test(test_format_and_thinking),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_text_and_vectors),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_generate),
		cmocka_unit_test(test_tool_calls),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_one_model),
		cmocka_unit_test(test_over_the_wire),
		cmocka_unit_test(test_tried_again),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
