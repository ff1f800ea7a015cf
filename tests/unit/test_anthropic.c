/*
 * infer/anthropic: what is sent, what is refused, and answers of every shape
 *
 * Single quotes stand for double ones in the JSON of this file.
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

#include "infer/anthropic_model.h"
#include "reply.h"
#include "wire.h"
#include "wire_ask.h"

#define OF(model)   "{'format':1,'endpoint':'chat','model':'" model "','max_tokens':100,"
#define HEAD	    OF("claude-haiku-5-5")
#define OLD	    OF("claude-opus-4-6")
#define HI	    "'messages':[{'role':'user','content':'hi'}]"
#define SENT(model) "{'model':'" model "','max_tokens':100,'stream':true,"
#define NOW	    SENT("claude-haiku-5-5")
#define SENT_HI	    "'messages':[{'role':'user','content':'hi'}]"
#define TOOL                                                                             \
	"'tools':[{'type':'function','function':{'name':'now','description':'the time'," \
	"'strict':true,'parameters':{'type':'object','properties':{'tz':{}}}}}]"
#define SENT_TOOL                                                        \
	"'tools':[{'name':'now','description':'the time','strict':true," \
	"'input_schema':{'type':'object','properties':{'tz':{}}}}]"
#define PNG "{'type':'image','sha256':'aa','media_type':'image/png'}"

static struct backend_config config;

static int setup(void **state)
{
	(void)state;
	config = ask_config("anthropic", "http://127.0.0.1:1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ask_config_done(&config);
	return 0;
}

/* ---- what is sent ---- */

struct sent {
	const char *request, *body;
};

static void send_all(const struct sent *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		reply_sends(&config, rows[i].request, "/v1/messages", rows[i].body);
}
#define SEND_ALL(rows) send_all(rows, sizeof(rows) / sizeof(rows[0]))

static void test_fields(void **state)
{
	static const struct sent rows[] = {
		{ HEAD HI "}", NOW SENT_HI "}" },
		{ HEAD HI ",'stop':['a','b'],'response_format':{'type':'text'}}",
		  NOW SENT_HI ",'stop_sequences':['a','b']}" },
		{ HEAD HI ",'stop':[],'logprobs':false}", NOW SENT_HI ",'stop_sequences':[]}" },
		{ HEAD HI
		  ",'response_format':{'type':'json_schema','json_schema':{'name':'a',"
		  "'strict':true,'schema':{'type':'object','additionalProperties':false}}}}",
		  NOW SENT_HI ",'output_config':{'format':{'type':'json_schema','schema':"
			      "{'type':'object','additionalProperties':false}}}}" },
		{ HEAD HI ",'extra_body':{'service_tier':'auto','metadata':{'user_id':'u'}}}",
		  NOW SENT_HI ",'service_tier':'auto','metadata':{'user_id':'u'}}" },
		{ OLD HI ",'temperature':0,'top_p':0.5,'top_k':40}",
		  SENT("claude-opus-4-6") SENT_HI ",'temperature':0,'top_p':0.5,'top_k':40}" },
		{ OF("claude-opus-4-7") HI ",'temperature':1,'top_p':0.99}",
		  SENT("claude-opus-4-7") SENT_HI ",'temperature':1,'top_p':0.99}" },
	};

	(void)state;
	SEND_ALL(rows);
}

/* Trap 2: it is required. What the user or the section says wins; the models' cards bound our own. */
static void test_max_tokens(void **state)
{
	static const struct {
		const char *model;
		int64_t tokens;
	} rows[] = {
		{ "claude-3-opus-20240229", 4096 },
		{ "claude-3-haiku-20240307", 4096 },
		{ "claude-2.1", 4096 },
		{ "claude-instant-1.2", 4096 },
		{ "claude-3-5-sonnet-20241022", 8192 },
		{ "claude-3-7-sonnet-latest", 32000 },
		{ "claude-opus-4-20250514", 32000 },
		{ "claude-opus-4-6", 32000 },
		{ "claude-haiku-5-5", 32000 },
		{ "claude-fable-5-1", 32000 },
		{ "something-else", 32000 },
	};
	char request[200], body[300];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(config.type->numbers.default_max_tokens(rows[i].model),
				 rows[i].tokens);
		snprintf(request, sizeof(request), "{'endpoint':'chat','model':'%s'," HI "}",
			 rows[i].model);
		snprintf(body, sizeof(body),
			 "{'model':'%s','max_tokens':%d,'stream':true," SENT_HI "}", rows[i].model,
			 (int)rows[i].tokens);
		reply_sends(&config, request, "/v1/messages", body);
	}
	config.max_tokens = 77;
	reply_sends(&config, "{'endpoint':'chat','model':'m'," HI "}", "/v1/messages",
		    "{'model':'m','max_tokens':77,'stream':true," SENT_HI "}");
	config.max_tokens = 0;
}

static void test_model_names(void **state)
{
	static const struct {
		const char *name, *family;
		unsigned version;
	} rows[] = {
		{ "claude-opus-4-6", "opus", 406 },
		{ "claude-opus-4-20250514", "opus", 400 },
		{ "claude-opus-4-1-20250805", "opus", 401 },
		{ "claude-3-5-sonnet-20241022", "sonnet", 305 },
		{ "claude-sonnet-5", "sonnet", 500 },
		{ "claude-2.1", "", 201 },
		{ "claude-instant-1.2", "instant", 102 },
		{ "claude-opus-4-10", "opus", 410 },
		{ "claude-", "", 0 },
		{ "claude-latest", "latest", 0 },
		{ "claude--5--5-", "", 505 },
		{ "claude-99999999999999999999", "", 0 },
		{ "claude-averyveryverylongfamily-5", "", 500 },
		{ "gpt-5", "", 0 },
		{ "", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct anthropic_model m = anthropic_model_read(rows[i].name);

		if (m.version != rows[i].version || strcmp(m.family, rows[i].family) != 0)
			fail_msg("%s: %s %u", rows[i].name, m.family, m.version);
	}
}

static void test_messages(void **state)
{
	static const struct sent rows[] = {
		{ HEAD "'messages':[{'role':'system','content':'a'},{'role':'user','content':'q'},"
		       "{'role':'system','content':[{'type':'text','text':'b'}]},"
		       "{'role':'user','content':[{'type':'text','text':'r'},"
		       "{'type':'text','text':''}]},{'role':'assistant','content':'x'},"
		       "{'role':'assistant','content':''},{'role':'user','content':'z'}]}",
		  NOW "'system':'a\\n\\nb','messages':[{'role':'user','content':["
		      "{'type':'text','text':'q'},{'type':'text','text':'r'}]},"
		      "{'role':'assistant','content':'x'},"
		      "{'role':'user','content':'z'}]}" },
		/* the beginning of an answer: no white space behind it */
		{ HEAD "'messages':[{'role':'user','content':'q'},"
		       "{'role':'assistant','content':'so \\n','prefix':true}]}",
		  NOW "'messages':[{'role':'user','content':'q'},"
		      "{'role':'assistant','content':'so'}]}" },
		{ HEAD "'messages':[{'role':'user','content':'q '},"
		       "{'role':'assistant','content':' '}]}",
		  NOW "'messages':[{'role':'user','content':'q '}]}" },
	};

	(void)state;
	SEND_ALL(rows);
	reply_invalid(&config, HEAD "'messages':[{'role':'system','content':'a'}]}", EOPNOTSUPP,
		      "messages");
	reply_refuses(&config, HEAD "'messages':[{'role':'user','content':'q','name':'bob'}]}",
		      "messages.name", NULL);
	reply_refuses(&config,
		      HEAD "'messages':[{'role':'assistant','content':'a','prefix':true},"
			   "{'role':'user','content':'q'}]}",
		      "messages.prefix", NULL);
}

static void test_images(void **state)
{
	(void)state;
	reply_sends_images(&config,
			   HEAD "'messages':[{'role':'user','content':[" PNG
				",{'type':'image','url':'https://h/x.gif','detail':'auto'},"
				"{'type':'text','text':'which?'}]}]}",
			   "{'aa':'QUE='}",
			   NOW "'messages':[{'role':'user','content':[{'type':'image','source':"
			       "{'type':'base64','media_type':'image/png','data':'QUE='}},"
			       "{'type':'image','source':{'type':'url','url':'https://h/x.gif'}},"
			       "{'type':'text','text':'which?'}]}]}");
	reply_refuses(&config,
		      HEAD "'messages':[{'role':'user','content':[" PNG
			   ",{'type':'image','sha256':'bb','media_type':'image/heic'}]}]}",
		      "messages.image", NULL);
	reply_refuses(&config,
		      HEAD "'messages':[{'role':'user','content':[{'type':'image','sha256':'aa',"
			   "'media_type':'image/png','detail':'low'}]}]}",
		      "messages.image.detail", NULL);
}

/* ---- tools ---- */

static void test_tools(void **state)
{
	static const struct sent rows[] = {
		{ HEAD HI "," TOOL "}", NOW SENT_HI "," SENT_TOOL "}" },
		{ HEAD HI "," TOOL ",'tool_choice':'auto','parallel_tool_calls':true}",
		  NOW SENT_HI "," SENT_TOOL ",'tool_choice':{'type':'auto'}}" },
		{ HEAD HI "," TOOL ",'parallel_tool_calls':false}",
		  NOW SENT_HI "," SENT_TOOL
			      ",'tool_choice':{'type':'auto','disable_parallel_tool_use':true}}" },
		{ HEAD HI "," TOOL ",'tool_choice':'none','parallel_tool_calls':false}",
		  NOW SENT_HI "," SENT_TOOL ",'tool_choice':{'type':'none'}}" },
		{ HEAD HI "," TOOL ",'tool_choice':'required','parallel_tool_calls':false}",
		  NOW SENT_HI "," SENT_TOOL
			      ",'tool_choice':{'type':'any','disable_parallel_tool_use':true}}" },
		{ HEAD HI "," TOOL ",'tool_choice':{'type':'function','function':{'name':'now'}}}",
		  NOW SENT_HI "," SENT_TOOL ",'tool_choice':{'type':'tool','name':'now'}}" },
		{ HEAD HI ",'tools':[{'type':'function','function':{'name':'f'}}]}",
		  NOW SENT_HI ",'tools':[{'name':'f','input_schema':"
			      "{'type':'object','properties':{}}}]}" },
		{ HEAD HI ",'tool_choice':'auto','parallel_tool_calls':false}", NOW SENT_HI "}" },
	};

	(void)state;
	SEND_ALL(rows);
}

/* Trap 3: not every model can be made to call one. */
static void test_forced_tools(void **state)
{
	static const char *const models[] = { "claude-opus-5-5", "claude-sonnet-5-5",
					      "claude-fable-5-1" };
	char request[600];

	(void)state;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		snprintf(request, sizeof(request),
			 "{'endpoint':'chat','model':'%s'," HI "," TOOL
			 ",'tool_choice':'required'}",
			 models[i]);
		reply_refuses(&config, request, "tool_choice", NULL);
		snprintf(request, sizeof(request),
			 "{'endpoint':'chat','model':'%s'," HI "," TOOL
			 ",'tool_choice':{'type':'function','function':{'name':'now'}}}",
			 models[i]);
		reply_refuses(&config, request, "tool_choice", NULL);
	}
	/* thinking by budget and a forced call exclude each other */
	reply_refuses(&config,
		      "{'endpoint':'chat','model':'claude-sonnet-4-5'," HI "," TOOL
		      ",'tool_choice':'required','reasoning_effort':'low'}",
		      "tool_choice", NULL);
}

#define CALL(id, args)                                             \
	"{'id':'" id "','type':'function','function':{'name':'f'," \
	"'arguments':'" args "'}"
#define RESULT(id, text) "{'role':'tool','tool_call_id':'" id "','content':'" text "'}"
#define TEXT(text)	 "{'type':'text','text':'" text "'}"
#define USE(id, input)	 "{'type':'tool_use','id':'" id "','name':'f','input':" input "}"
#define GOT(id, text)	 "{'type':'tool_result','tool_use_id':'" id "','content':'" text "'}"

static void test_tool_history(void **state)
{
	static const struct sent rows[] = {
		/* results come first, with what the user said meanwhile in one message */
		{ HEAD
		  "'messages':[{'role':'user','content':'q'},{'role':'assistant',"
		  "'content':'hm','tool_calls':[" CALL("a", "{\\u0022n\\u0022:9007199254740993}") "}," CALL(
			  "b",
			  "") "}]},{'role':'user','content':'wait'}," RESULT("a",
									     "1") "," RESULT("b",
											     "") "]}",
		  NOW
		  "'messages':[{'role':'user','content':'q'},"
		  "{'role':'assistant','content':[" TEXT("hm") "," USE("a", "{'n':9007199254740993}") "," USE(
			  "b", "{}") "]},"
				     "{'role':'user','content':[" GOT(
					     "a",
					     "1") ","
						  "{'type':'tool_result','tool_use_id':'b'}," TEXT(
							  "wait") "]}]}" },
		/* ids of other providers lose the characters that are refused here */
		{ HEAD "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL(
			  "functions.f:0", "") "}]}," RESULT("functions.f:0", "1") "]}",
		  NOW "'messages':[{'role':'assistant','content':[" USE(
			  "functions_f_0", "{}") "]},"
						 "{'role':'user','content':[" GOT("functions_f_0",
										  "1") "]}]}" },
		/* thoughts that came with a call stand before it; those of others are not for it */
		{ HEAD "'messages':[{'role':'assistant','content':'hm','tool_calls':[" CALL(
			  "a",
			  "") ",'extra_content':{'anthropic':{'thinking':[{'type':'thinking','thinking':'t',"
			      "'signature':'S'},{'type':'redacted_thinking','data':'D'}]}}}," CALL("b", "") ",'extra_content':{'google':{'thought_signature':'G'}}}]}," RESULT(
				      "a", "1") "," RESULT("b", "2") "]}",
		  NOW
		  "'messages':[{'role':'assistant','content':["
		  "{'type':'thinking','thinking':'t','signature':'S'},"
		  "{'type':'redacted_thinking','data':'D'}," TEXT("hm") "," USE("a", "{}") "," USE(
			  "b", "{}") "]},{'role':'user','content':[" GOT("a",
									 "1") "," GOT("b",
										      "2") "]}]}" },
	};

	(void)state;
	SEND_ALL(rows);
	reply_sends_images(
		&config,
		HEAD "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL(
			"a",
			"") "}]},{'role':'tool','tool_call_id':'a','content':[" TEXT("see") "," PNG
											    "]}]}",
		"{'aa':'QUE='}",
		NOW "'messages':[{'role':'assistant','content':[" USE(
			"a",
			"{}") "]},{'role':'user',"
			      "'content':[{'type':'tool_result','tool_use_id':'a','content':[" TEXT(
				      "see") ",{'type':'image','source':{'type':'base64','media_type':'image/png',"
					     "'data':'QUE='}}]}]}]}");
	reply_invalid(&config,
		      HEAD "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL(
			      "a", "7") "}]}," RESULT("a", "1") "]}",
		      EINVAL, "messages.tool_calls");
}

/* ---- versions and sampling ---- */

static void test_versions(void **state)
{
	char api[] = "2023-06-01", next[] = "2027-01-01", bad[] = "1\r\nx: y";
	char own[] = "Anthropic-Version: 2000-01-01", *headers[] = { own, NULL };
	struct backend_body out = { 0 };
	json_t *o = reply_json(HEAD HI "}");
	struct err e;

	(void)state;
	reply_header(&config, HEAD HI "}", "anthropic-version: 2026-10-21");
	reply_header(&config, OLD HI ",'temperature':0}", "anthropic-version: 2023-06-01");
	reply_header(&config, HEAD HI ",'extra_body':{'top_k':1}}",
		     "anthropic-version: 2023-06-01");
	config.at.api_version = api;
	reply_header(&config, HEAD HI "}", "anthropic-version: 2023-06-01");
	config.at.api_version = next;
	reply_header(&config, HEAD HI "}", "anthropic-version: 2027-01-01");
	/* trap 1: not with this version, whatever the model */
	reply_refuses(&config, OLD HI ",'temperature':1}", "temperature", NULL);
	reply_refuses(&config, OLD HI ",'top_p':1}", "top_p", NULL);
	reply_refuses(&config, OLD HI ",'top_k':1}", "top_k", NULL);
	config.at.headers = headers;
	reply_header(&config, HEAD HI "}", "");
	config.at.headers = NULL;
	config.at.api_version = bad;
	assert_int_equal(config.type->build(&config, &(struct backend_ask){ o, NULL, 1 }, &out, &e),
			 -EINVAL);
	config.at.api_version = NULL;
	json_decref(o);
}

/* Trap 1: models after 4.6 take only what is the default. */
static void test_sampling(void **state)
{
	(void)state;
	reply_refuses(&config, HEAD HI ",'temperature':0}", "temperature", NULL);
	reply_refuses(&config, HEAD HI ",'temperature':0.99}", "temperature", NULL);
	reply_refuses(&config, OF("claude-opus-4-7") HI ",'top_p':0.9}", "top_p", NULL);
	reply_refuses(&config, OF("claude-opus-4-8") HI ",'top_k':1}", "top_k", NULL);
	reply_refuses(&config, OLD HI ",'temperature':1.5}", "temperature", NULL);
}

static void test_refuses(void **state)
{
	static const struct {
		const char *request, *field;
	} rows[] = {
		{ HEAD HI ",'seed':1}", "seed" },
		{ HEAD HI ",'min_p':0.1}", "min_p" },
		{ HEAD HI ",'logprobs':true}", "logprobs" },
		{ HEAD HI ",'top_logprobs':1}", "top_logprobs" },
		{ HEAD HI ",'presence_penalty':0}", "presence_penalty" },
		{ HEAD HI ",'frequency_penalty':1}", "frequency_penalty" },
		{ HEAD HI ",'logit_bias':{'1':2}}", "logit_bias" },
		{ HEAD HI ",'response_format':{'type':'json_object'}}", "response_format" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		reply_refuses(&config, rows[i].request, rows[i].field, NULL);
	reply_invalid(&config, "{'endpoint':'embedding','model':'m','input':'x'}", EOPNOTSUPP,
		      "endpoint");
	reply_invalid(&config, "{'endpoint':'completion','model':'m','prompt':'x'}", EOPNOTSUPP,
		      "endpoint");
}

static void test_reasoning_effort(void **state)
{
	static const struct {
		const char *model, *effort;
		int max_tokens;
		const char *body; /* NULL: refused */
	} rows[] = {
		{ "claude-haiku-5-5", "medium", 100,
		  "'thinking':{'type':'adaptive','display':'summarized'},"
		  "'output_config':{'effort':'medium'}" },
		{ "claude-opus-4-6", "max", 100,
		  "'thinking':{'type':'adaptive','display':'summarized'},"
		  "'output_config':{'effort':'max'}" },
		{ "claude-haiku-5-5", "none", 100, "'thinking':{'type':'disabled'}" },
		{ "claude-sonnet-5-5", "none", 100, "'thinking':{'type':'between_tools'}" },
		{ "claude-opus-5-5", "none", 100, NULL },
		{ "claude-fable-5", "none", 100, NULL },
		{ "claude-fable-5-1", "none", 100, NULL },
		{ "claude-haiku-5-5", "minimal", 100, NULL },
		{ "claude-sonnet-4-5", "low", 8000,
		  "'thinking':{'type':'enabled','budget_tokens':1024}" },
		{ "claude-sonnet-4-5", "high", 64000,
		  "'thinking':{'type':'enabled','budget_tokens':24576}" },
		{ "claude-sonnet-4-5", "high", 8000,
		  "'thinking':{'type':'enabled','budget_tokens':4000}" },
		{ "claude-sonnet-4-5", "high", 1500,
		  "'thinking':{'type':'enabled','budget_tokens':1024}" },
		{ "claude-sonnet-4-5", "high", 1024, NULL },
		{ "claude-sonnet-4-5", "xhigh", 8000, NULL },
		{ "claude-3-5-sonnet-20241022", "low", 8000, NULL },
		{ "claude-3-5-sonnet-20241022", "none", 8000, "" },
	};
	char request[300], body[400];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(request, sizeof(request),
			 "{'endpoint':'chat','model':'%s','max_tokens':%d," HI
			 ",'reasoning_effort':'%s'}",
			 rows[i].model, rows[i].max_tokens, rows[i].effort);
		if (!rows[i].body) {
			reply_refuses(&config, request, "reasoning_effort", NULL);
			continue;
		}
		snprintf(body, sizeof(body),
			 "{'model':'%s','max_tokens':%d,'stream':true," SENT_HI "%s%s}",
			 rows[i].model, rows[i].max_tokens, *rows[i].body ? "," : "", rows[i].body);
		reply_sends(&config, request, "/v1/messages", body);
	}
}

/* ---- what comes back ---- */

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START                                                                                           \
	EVENT("message_start",                                                                          \
	      ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","             \
	      "\"model\":\"claude-x\",\"content\":[],\"stop_reason\":null,\"usage\":"                   \
	      "{\"input_tokens\":9,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":10," \
	      "\"output_tokens\":1}}")
#define BLOCK(i, block) EVENT("content_block_start", ",\"index\":" i ",\"content_block\":" block)
#define DELTA(i, type, rest) \
	EVENT("content_block_delta", ",\"index\":" i ",\"delta\":{\"type\":\"" type "\"," rest "}")
#define ENDED(i) EVENT("content_block_stop", ",\"index\":" i)
#define TEXT_BLOCK(i, text)                           \
	BLOCK(i, "{\"type\":\"text\",\"text\":\"\"}") \
	DELTA(i, "text_delta", "\"text\":\"" text "\"") ENDED(i)
#define PING EVENT("ping", "")
#define STOPPED(reason, tokens)                                               \
	EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason "\"}," \
			       "\"usage\":{\"output_tokens\":" tokens "}")    \
	EVENT("message_stop", "")

static const char story[] = START PING BLOCK(
	"0",
	"{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}") DELTA("0", "thinking_delta",
									      "\"thinking\":\"let me \"")
	DELTA("0", "thinking_delta", "\"thinking\":\"see\"") DELTA(
		"0", "signature_delta",
		"\"signature\":\"SIG=\"") ENDED("0") BLOCK("1", "{\"type\":\"text\",\"text\":\"\"}")
		DELTA("1", "text_delta", "\"text\":\"A c\xc3\xa4\"") PING EVENT(
			"something_new", ",\"text\":\"no\"") DELTA("1", "text_delta",
								   "\"text\":\"t.\"")
			DELTA("1", "citations_delta", "\"citation\":{}") ENDED("1") EVENT(
				"message_delta",
				",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":30}")
				EVENT("message_delta",
				      ",\"delta\":{},\"usage\":{\"output_tokens\":40,\"input_tokens\":11,"
				      "\"cache_read_input_tokens\":null,\"output_tokens_details\":{\"thinking_tokens\":25}}")
					EVENT("message_stop", "");

static struct reply streamed(const char *events)
{
	return reply_stream(&config, events, strlen(events), 0);
}

static void test_story(void **state)
{
	struct reply r = streamed(story);

	(void)state;
	assert_non_null(r.answer);
	assert_string_equal(r.streamed, "A c\xc3\xa4t.");
	assert_string_equal(buf_str(&r.answer->reasoning), "let me see");
	assert_string_equal(r.answer->finish_reason, "stop");
	assert_string_equal(r.answer->model, "claude-x");
	assert_string_equal(r.answer->provider_request_id, "msg_1");
	assert_null(r.answer->tool_calls);
	/* trap 4: cached tokens are not in input_tokens, and output is a running total */
	reply_usage(&r, (const int64_t[]){ 121, 100, 10, 40, 25 });
	reply_done(&r);
	r = streamed("data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,"
		     "\"cache_read_input_tokens\":null}}}\n\n" STOPPED("end_turn", "4"));
	reply_usage(&r, (const int64_t[]){ 9, -1, -1, 4, -1 });
	reply_done(&r);
}

static const char calls[] = START BLOCK("0", "{\"type\":\"thinking\",\"thinking\":\"\"}") DELTA(
	"0", "signature_delta", "\"signature\":\"SIG=\"") ENDED("0")
	BLOCK("1", "{\"type\":\"redacted_thinking\",\"data\":\"D\"}") ENDED("1") TEXT_BLOCK(
		"2",
		"hm") BLOCK("3",
			    "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}")
		DELTA("3", "input_json_delta", "\"partial_json\":\"\"") DELTA(
			"3", "input_json_delta", "\"partial_json\":\"{\\\"n\\\": 900719\"")
			DELTA("3", "input_json_delta",
			      "\"partial_json\":\"9254740993}\"") ENDED("3")
				BLOCK("4",
				      "{\"type\":\"tool_use\",\"id\":\"toolu_2\",\"name\":\"g\",\"input\":{}}")
					ENDED("4") STOPPED("tool_use", "5");

static void test_tool_calls(void **state)
{
	struct reply r = streamed(calls);

	(void)state;
	assert_non_null(r.answer);
	assert_string_equal(r.answer->finish_reason, "tool_calls");
	assert_string_equal(r.streamed, "hm");
	reply_tool_calls(&r, "[{'id':'toolu_1','type':'function','function':{'name':'f',"
			     "'arguments':'{\\u0022n\\u0022: 9007199254740993}'},'extra_content':"
			     "{'anthropic':{'thinking':[{'type':'thinking','thinking':'',"
			     "'signature':'SIG='},{'type':'redacted_thinking','data':'D'}]}}},"
			     "{'id':'toolu_2','type':'function','function':{'name':'g',"
			     "'arguments':'{}'}}]");
	reply_done(&r);
	/* a thought between two calls belongs to the second; a block that follows ends the one before */
	r = streamed(
		START BLOCK("0", "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}") BLOCK(
			"1", "{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"S\"}")
			BLOCK("2",
			      "{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"f\",\"input\":{\"x\":1}}")
				STOPPED("tool_use", "5"));
	reply_tool_calls(&r, "[{'id':'a','type':'function','function':{'name':'f',"
			     "'arguments':'{}'}},{'id':'b','type':'function','function':"
			     "{'name':'f','arguments':'{\\u0022x\\u0022:1}'},'extra_content':"
			     "{'anthropic':{'thinking':[{'type':'thinking','thinking':'t',"
			     "'signature':'S'}]}}}]");
	reply_done(&r);
}

/* The user sends back exactly what a sample held. */
static void test_signature_round_trip(void **state)
{
	struct reply r = streamed(calls);
	json_t *o = json_pack(
		"{s:s, s:s, s:i, s:[{s:s,s:s},{s:s,s:s,s:O},{s:s,s:s,s:s},{s:s,s:s,s:s}]}",
		"endpoint", "chat", "model", "claude-haiku-5-5", "max_tokens", 100, "messages",
		"role", "user", "content", "q", "role", "assistant", "content",
		buf_str(&r.answer->text), "tool_calls", r.answer->tool_calls, "role", "tool",
		"tool_call_id", "toolu_1", "content", "1", "role", "tool", "tool_call_id",
		"toolu_2", "content", "2");
	char *text = json_dumps(o, 0);

	(void)state;
	reply_sends(
		&config, text, "/v1/messages",
		NOW
		"'messages':[{'role':'user','content':'q'},{'role':'assistant',"
		"'content':[{'type':'thinking','thinking':'','signature':'SIG='},"
		"{'type':'redacted_thinking','data':'D'}," TEXT(
			"hm") ","
			      "{'type':'tool_use','id':'toolu_1','name':'f','input':{'n':9007199254740993}},"
			      "{'type':'tool_use','id':'toolu_2','name':'g','input':{}}]},"
			      "{'role':'user','content':[" GOT("toolu_1", "1") "," GOT("toolu_2",
										       "2") "]}]}");
	free(text);
	json_decref(o);
	reply_done(&r);
}

static void test_every_cut_fails(void **state)
{
	(void)state;
	reply_cut(&config, story);
	reply_cut(&config, calls);
}

static void test_reasons(void **state)
{
	static const struct {
		const char *theirs, *ours;
	} rows[] = {
		{ "end_turn", "stop" },
		{ "stop_sequence", "stop" },
		{ "max_tokens", "length" },
		{ "model_context_window_exceeded", "length" },
		{ "tool_use", "tool_calls" },
		{ "pause_turn", "pause" },
		{ "Something_New", "other:something_new" },
	};
	char body[200];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply r;

		snprintf(body, sizeof(body), "{\"content\":[],\"stop_reason\":\"%s\"}",
			 rows[i].theirs);
		r = reply_whole(&config, body);
		assert_non_null(r.answer);
		assert_string_equal(r.answer->finish_reason, rows[i].ours);
		reply_done(&r);
	}
}

static void test_refusal(void **state)
{
	struct reply r = streamed(START TEXT_BLOCK("0", "Well") EVENT(
		"message_delta",
		",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":"
		"{\"type\":\"refusal\",\"category\":\"cyber\",\"explanation\":\"I will not.\"}}")
					  EVENT("message_stop", ""));

	(void)state;
	assert_string_equal(r.answer->finish_reason, "content_filter");
	assert_string_equal(r.answer->refusal, "I will not.");
	assert_string_equal(r.streamed, "Well");
	reply_done(&r);
	r = reply_whole(&config, "{\"content\":[],\"stop_reason\":\"refusal\",\"stop_details\":"
				 "{\"category\":\"bio\"}}");
	assert_string_equal(r.answer->refusal, "The model refused to answer: bio");
	assert_string_equal(r.streamed, r.answer->refusal);
	reply_done(&r);
	r = reply_whole(&config, "{\"content\":[],\"stop_reason\":\"refusal\"}");
	assert_string_equal(r.answer->finish_reason, "content_filter");
	assert_non_null(r.answer->refusal);
	reply_done(&r);
}

static void test_whole_bodies(void **state)
{
	static const struct {
		const char *body;
		enum err_kind kind;
	} rows[] = {
		{ "", ERR_PROTOCOL },
		{ "{", ERR_PROTOCOL },
		{ "{}", ERR_PROTOCOL },
		{ "[]", ERR_PROTOCOL },
		{ "{\"content\":\"x\"}", ERR_PROTOCOL },
		{ "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\"}}", ERR_NOT_FOUND },
		{ "{\"error\":{\"type\":\"billing_error\"}}", ERR_QUOTA },
	};
	struct reply r = reply_whole(
		&config,
		"{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
		"\"t\",\"signature\":\"S\"},{\"type\":\"text\",\"text\":\"Hi\"},7,"
		"{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{\"x\":[1]}}],"
		"\"stop_reason\":\"tool_use\",\"error\":null,\"usage\":{\"input_tokens\":9,"
		"\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":4,"
		"\"output_tokens_details\":{\"thinking_tokens\":0}}}");

	(void)state;
	assert_non_null(r.answer);
	assert_string_equal(r.streamed, "Hi");
	assert_string_equal(buf_str(&r.answer->reasoning), "t");
	reply_usage(&r, (const int64_t[]){ 9, 0, 0, 4, 0 });
	reply_tool_calls(&r, "[{'id':'a','type':'function','function':{'name':'f','arguments':"
			     "'{\\u0022x\\u0022:[1]}'},'extra_content':{'anthropic':{'thinking':["
			     "{'type':'thinking','thinking':'t','signature':'S'}]}}}]");
	reply_done(&r);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = reply_whole(&config, rows[i].body);
		assert_null(r.answer);
		if (r.err.kind != rows[i].kind)
			fail_msg("%s: %s", rows[i].body, r.err.message);
		reply_done(&r);
	}
}

/* ---- errors ---- */

#define ERROR(type, message)                                                                 \
	"{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"}," \
	"\"request_id\":\"req_1\"}"

static void test_errors_in_streams(void **state)
{
	static const struct {
		const char *type;
		enum err_kind kind;
	} rows[] = {
		{ "overloaded_error", ERR_PROVIDER },
		{ "api_error", ERR_PROVIDER },
		{ "rate_limit_error", ERR_RATE_LIMIT },
		{ "authentication_error", ERR_KEY_REJECTED },
		{ "permission_error", ERR_KEY_REJECTED },
		{ "invalid_request_error", ERR_REQUEST },
		{ "billing_error", ERR_QUOTA },
		{ "not_found_error", ERR_NOT_FOUND },
		{ "request_too_large", ERR_CONTEXT },
		{ "timeout_error", ERR_TIMEOUT },
		{ "new_error", ERR_PROVIDER },
	};
	char events[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply r;

		snprintf(events, sizeof(events),
			 START TEXT_BLOCK(
				 "0",
				 "a") "event: error\ndata: {\"type\":\"error\","
				      "\"error\":{\"type\":\"%s\",\"message\":\"m\"}}\n\n" STOPPED(
					      "end_turn", "1"),
			 rows[i].type);
		r = streamed(events);
		assert_null(r.answer);
		if (r.err.kind != rows[i].kind)
			fail_msg("%s: %s", rows[i].type, r.err.message);
		assert_string_equal(r.err.provider_type, rows[i].type);
		reply_done(&r);
	}
}

static void test_error_table(void **state)
{
	static const struct {
		int status;
		const char *body;
		double after;
		enum err_kind kind;
		bool retry;
	} rows[] = {
		{ 400, ERROR("invalid_request_error", "messages: field required"), -1, ERR_REQUEST,
		  false },
		{ 400,
		  ERROR("invalid_request_error", "Your credit balance is too low to access the "
						 "Anthropic API."),
		  -1, ERR_QUOTA, false },
		{ 400,
		  ERROR("invalid_request_error", "You have reached your specified spend limit"), -1,
		  ERR_QUOTA, false },
		{ 400, ERROR("invalid_request_error", "prompt is too long: 300000 tokens > 200000"),
		  -1, ERR_CONTEXT, false },
		{ 401, ERROR("authentication_error", "invalid x-api-key"), -1, ERR_KEY_REJECTED,
		  false },
		{ 402, ERROR("billing_error", "m"), -1, ERR_QUOTA, false },
		{ 403, ERROR("permission_error", "m"), -1, ERR_KEY_REJECTED, false },
		{ 404, ERROR("not_found_error", "model: x"), -1, ERR_NOT_FOUND, false },
		{ 408, "", -1, ERR_TIMEOUT, true },
		{ 409, ERROR("conflict_error", "m"), -1, ERR_PROVIDER, true },
		{ 413, "<html>413 Request Entity Too Large</html>", -1, ERR_CONTEXT, false },
		{ 429, ERROR("rate_limit_error", "m"), 7, ERR_RATE_LIMIT, true },
		{ 429, ERROR("rate_limit_error", "m"), -1, ERR_RATE_LIMIT, true },
		{ 429,
		  "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\","
		  "\"details\":{\"error_code\":\"enforced_spend_limit_reached\"}}}",
		  -1, ERR_QUOTA, false },
		{ 429,
		  "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\","
		  "\"details\":{\"error_code\":\"contract_spend_limit_reached\"}}}",
		  60, ERR_RATE_LIMIT, true },
		{ 500, ERROR("api_error", "m"), -1, ERR_PROVIDER, true },
		{ 504, ERROR("timeout_error", "m"), -1, ERR_PROVIDER, true },
		{ 529, ERROR("overloaded_error", "Overloaded"), -1, ERR_PROVIDER, true },
		{ 529, "", -1, ERR_PROVIDER, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct backend_failure f = { rows[i].status, rows[i].body, strlen(rows[i].body),
					     rows[i].after, -1 };
		struct err e;
		bool retry = config.type->error(&config, &f, &e);

		if (e.kind != rows[i].kind || retry != rows[i].retry)
			fail_msg("%d %s: %s, retry %d", rows[i].status, rows[i].body, e.message,
				 retry);
		assert_true(e.retry_after_s == (rows[i].after > 0 ? rows[i].after : 0));
	}
}

/* ---- models and credentials ---- */

static void test_models(void **state)
{
	json_t *page = reply_json(
		"{'data':[{'id':'claude-haiku-5-5','type':'model','created_at':'2026-02-04T00:00:00Z',"
		"'lifecycle':'active','max_input_tokens':200000,'max_tokens':64000,'capabilities':"
		"{'batch':{'supported':true},'image_input':{'supported':true},"
		"'thinking':{'supported':true,'types':{}}}},"
		"{'id':'claude-opus-4-5','lifecycle':'deprecated','max_tokens':null,"
		"'capabilities':null,'created_at':'unknown'},{'id':7}],"
		"'has_more':true,'last_id':'claude opus'}");
	json_t *want = reply_json(
		"[{'id':'claude-haiku-5-5','context_tokens':200000,'max_output_tokens':64000,"
		"'created':1770163200,'capabilities':['chat','images','reasoning','batch']},"
		"{'id':'claude-opus-4-5','deprecated':true,'capabilities':['chat']}]");
	json_t *out = json_array(),
	       *last = reply_json("{'data':[],'has_more':false,'last_id':'x'}");
	json_t *bad = json_object();
	char next[BACKEND_NEXT_MAX], header[BACKEND_HEADER_MAX];
	struct err e;

	(void)state;
	assert_int_equal(config.type->models.read(&config, page, out, next, &e), 0);
	if (!json_equal(out, want))
		fail_msg("%s", json_dumps(out, JSON_SORT_KEYS));
	assert_string_equal(next, "&after_id=claude%20opus");
	assert_int_equal(config.type->models.read(&config, last, out, next, &e), 0);
	assert_string_equal(next, "");
	assert_int_equal(config.type->models.read(&config, bad, out, next, &e), -EBADMSG);
	config.type->models.header(&config, header);
	assert_string_equal(header, "anthropic-version: 2026-10-21");
	json_decref(page);
	json_decref(want);
	json_decref(out);
	json_decref(last);
	json_decref(bad);
}

static void test_credentials(void **state)
{
	char key[] = "k-1", token[] = "ANTHROPIC_AUTH_TOKEN";
	struct backend_endpoint at = { .key = key };
	struct buf b = BUF_INIT(200);

	(void)state;
	assert_int_equal(config.type->auth(&at, &b), 0);
	assert_string_equal(buf_str(&b), "x-api-key: k-1");
	buf_clear(&b);
	at.key_from = token;
	assert_int_equal(config.type->auth(&at, &b), 0);
	assert_string_equal(buf_str(&b), "Authorization: Bearer k-1");
	buf_done(&b);
}

/* ---- over the wire ---- */

static void test_request_on_the_wire(void **state)
{
	struct wire *w = wire_new();
	struct ask_call call;
	struct ask a;

	(void)state;
	wire_add_json(w, 529, "x-should-retry: true\r\n", ERROR("overloaded_error", "m"));
	wire_add_sse(w,
		     START TEXT_BLOCK("0", "a") "event: error\ndata: " ERROR("overloaded_error",
									     "m") "\n\n",
		     true, WIRE_KEEP);
	wire_add_sse(w, story, true, WIRE_KEEP);
	ask_new(&a, ask_config("anthropic", wire_url(w)));
	assert_int_equal(ask(&a, &call, NULL), 0);
	assert_string_equal(call.text, "A c\xc3\xa4t.");
	assert_int_equal(call.attempts, 3);
	assert_memory_equal(wire_request(w, 0), "POST /v1/messages HTTP/1.1\r\n", 28);
	assert_non_null(strstr(wire_request(w, 0), "\r\nx-api-key: sk-local-test\r\n"));
	assert_non_null(strstr(wire_request(w, 0), "\r\nanthropic-version: 2026-10-21\r\n"));
	assert_null(strstr(wire_request(w, 0), "Authorization"));
	ask_done(&call);
	ask_free(&a);
	wire_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_max_tokens),
		cmocka_unit_test(test_model_names),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_forced_tools),
		cmocka_unit_test(test_tool_history),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_sampling),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_reasoning_effort),
		cmocka_unit_test(test_story),
		cmocka_unit_test(test_tool_calls),
		cmocka_unit_test(test_signature_round_trip),
		cmocka_unit_test(test_every_cut_fails),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_whole_bodies),
		cmocka_unit_test(test_errors_in_streams),
		cmocka_unit_test(test_error_table),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_request_on_the_wire),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
