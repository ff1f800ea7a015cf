/*
 * infer/gemini: what is sent, what is refused, and answers of every shape
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

#include "reply.h"
#include "wire.h"
#include "wire_ask.h"

#define OF(model) "{'format':1,'backend':'gemini','endpoint':'chat','model':'" model "',"
#define HEAD	  OF("gemini-2.5-flash")
#define NEW	  OF("gemini-3.8-flash")
#define HI	  "'messages':[{'role':'user','content':'hi'}]"
#define SENT_HI	  "'contents':[{'role':'user','parts':[{'text':'hi'}]}]"
#define STREAM	  "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
#define EMBED	  "{'format':1,'endpoint':'embedding','model':'gemini-embedding-001',"
#define TOOL                                                                             \
	"'tools':[{'type':'function','function':{'name':'now','description':'the time'," \
	"'parameters':{'type':'object'}}}]"
#define SENT_TOOL                                                                   \
	"'tools':[{'functionDeclarations':[{'name':'now','description':'the time'," \
	"'parametersJsonSchema':{'type':'object'}}]}]"
#define PNG "{'type':'image','sha256':'aa','media_type':'image/png'}"

static struct backend_config config;

static int setup(void **state)
{
	(void)state;
	config = ask_config("gemini", "http://127.0.0.1:1");
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
	for (size_t i = 0; i < n; i++) {
		json_t *o = reply_json(rows[i].request);
		const char *model = json_string_value(json_object_get(o, "model"));
		char path[256];

		snprintf(path, sizeof(path), "/v1beta/models/%s:streamGenerateContent?alt=sse",
			 model);
		reply_sends(&config, rows[i].request, path, rows[i].body);
		json_decref(o);
	}
}
#define SEND_ALL(rows) send_all(rows, sizeof(rows) / sizeof(rows[0]))

static void test_fields(void **state)
{
	static const struct sent rows[] = {
		{ HEAD HI "}", "{" SENT_HI "}" },
		{ HEAD HI ",'temperature':0,'top_p':0.7,'top_k':40,'max_tokens':5,'seed':-7}",
		  "{" SENT_HI ",'generationConfig':{'temperature':0,'topP':0.7,'topK':40,"
		  "'maxOutputTokens':5,'seed':-7}}" },
		{ HEAD HI ",'stop':['a','b','c','d','e'],'presence_penalty':0.5,"
			  "'frequency_penalty':-1}",
		  "{" SENT_HI ",'generationConfig':{'stopSequences':['a','b','c','d','e'],"
		  "'presencePenalty':0.5,'frequencyPenalty':-1}}" },
		{ HEAD HI ",'stop':[]}", "{" SENT_HI ",'generationConfig':{'stopSequences':[]}}" },
		{ HEAD HI ",'logprobs':true,'top_logprobs':3}",
		  "{" SENT_HI ",'generationConfig':{'responseLogprobs':true,'logprobs':3}}" },
		{ HEAD HI ",'response_format':{'type':'text'}}", "{" SENT_HI "}" },
		{ HEAD HI ",'response_format':{'type':'json_object'}}",
		  "{" SENT_HI ",'generationConfig':{'responseMimeType':'application/json'}}" },
		{ HEAD HI ",'response_format':{'type':'json_schema','json_schema':{'name':'a',"
			  "'strict':true,'description':'d','schema':{'type':'object'}}}}",
		  "{" SENT_HI ",'generationConfig':{'responseMimeType':'application/json',"
		  "'responseJsonSchema':{'type':'object','description':'d'}}}" },
		{ HEAD HI ",'extra_body':{'safetySettings':[],'generationConfig':{'thinkingConfig':"
			  "{'includeThoughts':true}}},'max_tokens':9}",
		  "{" SENT_HI ",'safetySettings':[],'generationConfig':{'maxOutputTokens':9,"
		  "'thinkingConfig':{'includeThoughts':true}}}" },
	};

	(void)state;
	SEND_ALL(rows);
}

static void test_reasoning_effort(void **state)
{
	static const struct sent rows[] = {
		{ HEAD HI ",'reasoning_effort':'none'}",
		  "{" SENT_HI ",'generationConfig':{'thinkingConfig':{'thinkingBudget':0}}}" },
		{ HEAD HI ",'reasoning_effort':'low'}",
		  "{" SENT_HI ",'generationConfig':{'thinkingConfig':{'thinkingBudget':1024,"
		  "'includeThoughts':true}}}" },
		{ HEAD HI ",'reasoning_effort':'high'}",
		  "{" SENT_HI ",'generationConfig':{'thinkingConfig':{'thinkingBudget':24576,"
		  "'includeThoughts':true}}}" },
		{ NEW HI ",'reasoning_effort':'minimal'}",
		  "{" SENT_HI ",'generationConfig':{'thinkingConfig':{'thinkingLevel':'MINIMAL',"
		  "'includeThoughts':true}}}" },
		{ OF("gemini-4-argon") HI ",'reasoning_effort':'medium'}",
		  "{" SENT_HI ",'generationConfig':{'thinkingConfig':{'thinkingLevel':'MEDIUM',"
		  "'includeThoughts':true}}}" },
		{ OF("gemini-flash-latest") HI ",'reasoning_effort':'high'}",
		  "{" SENT_HI ",'generationConfig':{'thinkingConfig':{'thinkingLevel':'HIGH',"
		  "'includeThoughts':true}}}" },
		{ OF("gemini-2.0-flash") HI ",'reasoning_effort':'none'}", "{" SENT_HI "}" },
	};

	(void)state;
	SEND_ALL(rows);
	reply_refuses(&config, NEW HI ",'reasoning_effort':'none'}", "reasoning_effort", NULL);
	reply_refuses(&config, NEW HI ",'reasoning_effort':'xhigh'}", "reasoning_effort", NULL);
	reply_refuses(&config, HEAD HI ",'reasoning_effort':'max'}", "reasoning_effort", NULL);
	reply_refuses(&config, OF("gemini-1.5-pro") HI ",'reasoning_effort':'low'}",
		      "reasoning_effort", NULL);
}

static void test_paths(void **state)
{
	static const struct sent rows[] = {
		{ "models/gemini-x", "/v1beta/models/gemini-x:streamGenerateContent?alt=sse" },
		{ "tunedModels/my-one",
		  "/v1beta/tunedModels/my-one:streamGenerateContent?alt=sse" },
		{ "a?b#c/d e", "/v1beta/models/a%3Fb%23c%2Fd%20e:streamGenerateContent?alt=sse" },
	};
	char request[5000];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(request, sizeof(request), "{'endpoint':'chat','model':'%s'," HI "}",
			 rows[i].request);
		reply_sends(&config, request, rows[i].body, "{" SENT_HI "}");
	}
	reply_invalid(&config, "{'endpoint':'chat','model':'models/'," HI "}", EINVAL, "model");
	snprintf(request, sizeof(request), "{'endpoint':'chat','model':'%0*d'," HI "}", 4000, 1);
	reply_invalid(&config, request, EINVAL, "model");
}

static void test_messages(void **state)
{
	static const struct sent rows[] = {
		/* all system texts together, in front */
		{ HEAD "'messages':[{'role':'system','content':'a'},{'role':'user','content':'q'},"
		       "{'role':'assistant','content':'r'},{'role':'developer','content':"
		       "[{'type':'text','text':'b'}]},{'role':'user','content':'s'}]}",
		  "{'systemInstruction':{'role':'user','parts':[{'text':'a\\n\\nb'}]},'contents':["
		  "{'role':'user','parts':[{'text':'q'}]},{'role':'model','parts':[{'text':'r'}]},"
		  "{'role':'user','parts':[{'text':'s'}]}]}" },
		/* neighbours of one role are one content; an empty text is none */
		{ HEAD "'messages':[{'role':'user','content':'a'},{'role':'user','content':''},"
		       "{'role':'user','content':[{'type':'text','text':'b'},"
		       "{'type':'text','text':'c'}]},{'role':'assistant','content':'x'},"
		       "{'role':'user','content':''},{'role':'assistant','content':'y'},"
		       "{'role':'user','content':'z'}]}",
		  "{'contents':[{'role':'user','parts':[{'text':'a'},{'text':'b'},{'text':'c'}]},"
		  "{'role':'model','parts':[{'text':'x'},{'text':'y'}]},"
		  "{'role':'user','parts':[{'text':'z'}]}]}" },
		{ HEAD "'messages':[{'role':'assistant','content':null,'tool_calls':[]},"
		       "{'role':'user','content':'z'}]}",
		  "{'contents':[{'role':'user','parts':[{'text':'z'}]}]}" },
	};

	(void)state;
	SEND_ALL(rows);
	reply_invalid(&config, HEAD "'messages':[{'role':'system','content':'a'}]}", EOPNOTSUPP,
		      "messages");
	reply_invalid(&config, HEAD "'messages':[{'role':'user','content':''}]}", EOPNOTSUPP,
		      "messages");
	reply_refuses(&config, HEAD "'messages':[{'role':'user','content':'q','name':'bob'}]}",
		      "messages.name", NULL);
	reply_refuses(&config,
		      HEAD "'messages':[{'role':'user','content':'q'},{'role':'assistant',"
			   "'content':'a','prefix':true}]}",
		      "messages.prefix", NULL);
}

static void test_images(void **state)
{
	(void)state;
	reply_sends_images(
		&config,
		HEAD
		"'messages':[{'role':'user','content':[{'type':'text','text':'what?'}," PNG
		",{'type':'image','sha256':'bb','media_type':'image/jpeg','detail':'auto'}]}]}",
		"{'aa':'QUE=','bb':'QkI='}",
		"{'contents':[{'role':'user','parts':[{'text':'what?'},"
		"{'inlineData':{'mimeType':'image/png','data':'QUE='}},"
		"{'inlineData':{'mimeType':'image/jpeg','data':'QkI='}}]}]}");
	reply_sends_images(&config,
			   HEAD
			   "'messages':[{'role':'user','content':[{'type':'image','sha256':'aa',"
			   "'media_type':'image/webp','detail':'low'}]}]}",
			   "{'aa':'QUE='}",
			   "{'contents':[{'role':'user','parts':["
			   "{'inlineData':{'mimeType':'image/webp','data':'QUE='}}]}],"
			   "'generationConfig':{'mediaResolution':'MEDIA_RESOLUTION_LOW'}}");
	reply_refuses(&config,
		      HEAD "'messages':[{'role':'user','content':[{'type':'text','text':'what?'},"
			   "{'type':'image','url':'https://h/x.png'}]}]}",
		      "messages.image", "\"content\":\"what?\"");
	reply_refuses(&config,
		      HEAD "'messages':[{'role':'user','content':[" PNG
			   ",{'type':'image','sha256':'bb','media_type':'image/gif'}]}]}",
		      "messages.image", "\"content\":[{");
	reply_refuses(&config,
		      HEAD "'messages':[{'role':'user','content':[" PNG
			   ",{'type':'image','sha256':'bb','media_type':'image/png',"
			   "'detail':'high'}]}]}",
		      "messages.image.detail", NULL);
	reply_refuses(&config,
		      HEAD "'messages':[{'role':'system','content':[{'type':'text','text':'a'}," PNG
			   "]},{'role':'user','content':'q'}]}",
		      "messages.image", "\"content\":\"a\"");
}

/* ---- tools ---- */

static void test_tools(void **state)
{
	static const struct sent rows[] = {
		{ HEAD HI "," TOOL "}", "{" SENT_HI "," SENT_TOOL "}" },
		{ HEAD HI "," TOOL ",'tool_choice':'auto','parallel_tool_calls':true}",
		  "{" SENT_HI "," SENT_TOOL
		  ",'toolConfig':{'functionCallingConfig':{'mode':'AUTO'}}}" },
		{ HEAD HI "," TOOL ",'tool_choice':'none'}",
		  "{" SENT_HI "," SENT_TOOL
		  ",'toolConfig':{'functionCallingConfig':{'mode':'NONE'}}}" },
		{ HEAD HI "," TOOL ",'tool_choice':'required'}",
		  "{" SENT_HI "," SENT_TOOL
		  ",'toolConfig':{'functionCallingConfig':{'mode':'ANY'}}}" },
		{ HEAD HI "," TOOL ",'tool_choice':{'type':'function','function':{'name':'now'}}}",
		  "{" SENT_HI "," SENT_TOOL ",'toolConfig':{'functionCallingConfig':"
		  "{'mode':'ANY','allowedFunctionNames':['now']}}}" },
		{ HEAD HI ",'tools':[{'type':'function','function':{'name':'f'}},"
			  "{'type':'function','function':{'name':'g','strict':false}}]}",
		  "{" SENT_HI ",'tools':[{'functionDeclarations':[{'description':'f','name':'f'},"
		  "{'description':'g','name':'g'}]}]}" },
		{ HEAD HI ",'tools':[],'tool_choice':'none'}", "{" SENT_HI "}" },
	};

	(void)state;
	SEND_ALL(rows);
	reply_refuses(&config, HEAD HI "," TOOL ",'parallel_tool_calls':false}",
		      "parallel_tool_calls", NULL);
	reply_refuses(&config,
		      HEAD HI ",'tools':[{'type':'function','function':{'name':'f','strict':true}},"
			      "{'type':'function','function':{'name':'g','strict':true}}]}",
		      "tools.strict", "\"function\":{\"name\":\"g\"}");
}

#define CALL(id, args)                                                   \
	"{'id':'" id "','type':'function','function':{'name':'f" id "'," \
	"'arguments':'" args "'}"
#define USER(text)	 "{'role':'user','content':'" text "'}"
#define RESULT(id, text) "{'role':'tool','tool_call_id':'" id "','content':'" text "'}"
#define ANSWER(id, response) \
	"{'functionResponse':{'id':'" id "','name':'f" id "','response':" response "}}"

static void test_tool_history(void **state)
{
	static const struct sent rows[] = {
		/* results stand in the order of the calls, what else was said behind them */
		{ HEAD
		  "'messages':[" USER("q") ",{'role':'assistant','content':'hm','tool_calls':[" CALL("a", "{\\u0022n\\u0022:1}") "}," CALL(
			  "b",
			  "") "}]}," USER("wait") "," RESULT("b",
							     "no") "," RESULT("a",
									      "{\\u0022t\\u0022: [1]}") "]}",
		  "{'contents':[{'role':'user','parts':[{'text':'q'}]},{'role':'model','parts':["
		  "{'text':'hm'},{'functionCall':{'id':'a','name':'fa','args':{'n':1}}},"
		  "{'functionCall':{'id':'b','name':'fb','args':{}}}]},"
		  "{'role':'user','parts':[" ANSWER("a", "{'t':[1]}") "," ANSWER(
			  "b",
			  "{'output':'no'}") "]},{'role':'user','parts':[{'text':'wait'}]}]}" },
		/* a number beyond 2^53 stays as it is */
		{ HEAD "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL(
			  "a",
			  "{\\u0022n\\u0022:9007199254740993}") "}]}," RESULT("a",
									      "9007199254740993") "]}",
		  "{'contents':[{'role':'model','parts':[{'functionCall':{'id':'a','name':'fa',"
		  "'args':{'n':9007199254740993}}}]},"
		  "{'role':'user','parts':[" ANSWER("a", "{'output':'9007199254740993'}") "]}]}" },
		/* a result without its call needs a name */
		{ HEAD "'messages':[" USER(
			  "q") ",{'role':'tool','tool_call_id':'z','name':'g',"
			       "'content':[{'type':'text','text':'o'},{'type':'text','text':'k'}]}]}",
		  "{'contents':[{'role':'user','parts':[{'functionResponse':{'id':'z','name':'g',"
		  "'response':{'output':'o\\nk'}}}]},{'role':'user','parts':[{'text':'q'}]}]}" },
	};

	(void)state;
	SEND_ALL(rows);
	reply_invalid(&config, HEAD "'messages':[" USER("q") "," RESULT("z", "1") "]}", EINVAL,
		      "messages.tool_call_id");
	reply_invalid(&config,
		      HEAD "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL(
			      "a", "[1]") "}]}," RESULT("a", "1") "]}",
		      EINVAL, "messages.tool_calls");
	reply_invalid(&config,
		      HEAD "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL(
			      "a", "{\\u0022n\\u0022:") "}]}," RESULT("a", "1") "]}",
		      EINVAL, "messages.tool_calls");
}

static void test_tool_images(void **state)
{
	(void)state;
	reply_sends_images(
		&config,
		HEAD "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL(
			"a",
			"") "}]},{'role':'tool','tool_call_id':'a','content':[{'type':'text','text':'see'}," PNG
			    "]}]}",
		"{'aa':'QUE='}",
		"{'contents':[{'role':'model','parts':[{'functionCall':{'id':'a','name':'fa',"
		"'args':{}}}]},{'role':'user','parts':[{'functionResponse':{'id':'a','name':'fa',"
		"'response':{'output':'see'},"
		"'parts':[{'inlineData':{'mimeType':'image/png','data':'QUE='}}]}}]}]}");
}

/* Trap 12: a model that signs gets its signatures back, and a stand-in for calls that others made. */
static void test_signatures(void **state)
{
	static const struct sent rows[] = {
		{ NEW
		  "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL("a", "") ",'extra_content':{'google':{'thought_signature':'SIG='}}}," CALL(
			  "b", "") "}]}," RESULT("a", "1") "," RESULT("b", "2") "]}",
		  "{'contents':[{'role':'model','parts':["
		  "{'functionCall':{'id':'a','name':'fa','args':{}},'thoughtSignature':'SIG='},"
		  "{'functionCall':{'id':'b','name':'fb','args':{}}}]},{'role':'user','parts':[" ANSWER(
			  "a", "{'output':'1'}") "," ANSWER("b", "{'output':'2'}") "]}]}" },
		{ NEW
		  "'messages':[{'role':'assistant','content':null,'tool_calls':[" CALL("a", "") ",'extra_content':{'anthropic':{'thinking':[{'x':1}]}}}," CALL(
			  "b", "") "}]}," RESULT("a", "1") "," RESULT("b", "2") "]}",
		  "{'contents':[{'role':'model','parts':["
		  "{'functionCall':{'id':'a','name':'fa','args':{}},"
		  "'thoughtSignature':'skip_thought_signature_validator'},"
		  "{'functionCall':{'id':'b','name':'fb','args':{}}}]},{'role':'user','parts':[" ANSWER(
			  "a", "{'output':'1'}") "," ANSWER("b", "{'output':'2'}") "]}]}" },
	};

	(void)state;
	SEND_ALL(rows);
}

/* ---- what is refused ---- */

static void test_refuses(void **state)
{
	static const struct {
		const char *request, *field;
	} rows[] = {
		{ HEAD HI ",'min_p':0.1}", "min_p" },
		{ HEAD HI ",'logit_bias':{'1':2}}", "logit_bias" },
		{ HEAD HI ",'seed':2147483648}", "seed" },
		{ HEAD HI ",'seed':-2147483649}", "seed" },
		{ HEAD HI ",'stop':['a','b','c','d','e','f']}", "stop" },
		{ HEAD HI ",'dimensions':3}", "dimensions" },
		{ EMBED "'input':'x','temperature':1}", "temperature" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		reply_refuses(&config, rows[i].request, rows[i].field, NULL);
	reply_invalid(&config, "{'endpoint':'completion','model':'m','prompt':'x'}", EOPNOTSUPP,
		      "endpoint");
	reply_invalid(&config, "{'endpoint':'fim','model':'m','prompt':'x'}", EOPNOTSUPP,
		      "endpoint");
}

static void test_too_large(void **state)
{
	size_t n = 21u << 20;
	char *text = malloc(n + 1);
	json_t *o;
	struct backend_body out = { 0 };
	struct err e;

	(void)state;
	memset(text, 'x', n);
	text[n] = '\0';
	o = json_pack("{s:s, s:[{s:s, s:s}]}", "model", "m", "messages", "role", "user", "content",
		      text);
	assert_int_equal(config.type->build(&config, &(struct backend_ask){ o, NULL, 1 }, &out, &e),
			 -EMSGSIZE);
	assert_non_null(strstr(e.message, "20 MiB"));
	buf_done(&out.body);
	json_decref(o);
	free(text);
}

/* ---- embeddings ---- */

static void test_embedding_requests(void **state)
{
	static const char path[] = "/v1beta/models/gemini-embedding-001:batchEmbedContents";

	(void)state;
	reply_sends(&config, EMBED "'input':'x'}", path,
		    "{'requests':[{'model':'models/gemini-embedding-001',"
		    "'content':{'parts':[{'text':'x'}]}}]}");
	reply_sends(
		&config,
		EMBED "'input':['x',''],'dimensions':256,"
		      "'extra_body':{'taskType':'RETRIEVAL_QUERY'}}",
		path,
		"{'requests':[{'model':'models/gemini-embedding-001','outputDimensionality':256,"
		"'taskType':'RETRIEVAL_QUERY','content':{'parts':[{'text':'x'}]}},"
		"{'model':'models/gemini-embedding-001','outputDimensionality':256,"
		"'taskType':'RETRIEVAL_QUERY','content':{'parts':[{'text':''}]}}]}");
}

static void test_embeddings(void **state)
{
	static const char body[] =
		"{\"embeddings\":[{\"values\":[0.6,-0.8]},{\"values\":[3,4]},{\"values\":[0,0]}],"
		"\"usageMetadata\":{\"promptTokenCount\":2}}";
	struct reply r = reply_whole(&config, body);
	const json_t *all;

	(void)state;
	assert_non_null(r.answer);
	all = r.answer->embedding;
	assert_int_equal(json_array_size(all), 3);
	assert_true(json_real_value(json_array_get(json_array_get(all, 0), 1)) == -0.8);
	/* a shortened vector is made one of length 1 */
	assert_float_equal(json_real_value(json_array_get(json_array_get(all, 1), 0)), 0.6, 1e-9);
	assert_int_equal(json_integer_value(json_array_get(json_array_get(all, 2), 0)), 0);
	assert_string_equal(r.answer->finish_reason, "stop");
	reply_usage(&r, (const int64_t[]){ 2, 0, -1, 0, 0 });
	reply_done(&r);
	r = reply_whole(&config, "{\"embeddings\":[{\"values\":[\"x\"]}]}");
	assert_int_equal(r.err.kind, ERR_PROTOCOL);
	reply_done(&r);
	r = reply_whole(&config, "{\"embeddings\":[{}]}");
	assert_int_equal(r.err.kind, ERR_PROTOCOL);
	reply_done(&r);
}

/* ---- what comes back ---- */

#define CHUNK(inner) \
	"data: {\"candidates\":[{" inner "}],\"modelVersion\":\"m-1\",\"responseId\":\"r\"}\r\n\r\n"
#define PARTS(parts) "\"content\":{\"role\":\"model\",\"parts\":[" parts "]},\"index\":0"
#define FINISH(word) ",\"finishReason\":\"" word "\""

static const char story[] = "data: {\"candidates\":[{" PARTS(
	"{\"text\":\"let me see\",\"thought\":true}") "}],"
						      "\"usageMetadata\":{\"promptTokenCount\":4,\"totalTokenCount\":4},"
						      "\"modelVersion\":\"m-1\",\"responseId\":\"r\"}\r\n\r\n" CHUNK(
							      PARTS("{\"text\":\"A \"}"))
							      CHUNK(PARTS("{\"text\":\"c\xc3\xa4t.\"}")) "data: {\"candidates\":[{" PARTS(
								      "{\"text\":\"\",\"thoughtSignature\":\"x\"}")
								      FINISH("STOP") "}],\"usageMetadata\":{\"promptTokenCount\":40,\"candidatesTokenCount\":3,"
										     "\"thoughtsTokenCount\":60,\"cachedContentTokenCount\":30,\"toolUsePromptTokenCount\":2,"
										     "\"totalTokenCount\":105}}\r\n\r\n";

static struct reply streamed(const char *events)
{
	return reply_stream(&config, events, strlen(events), 0);
}

static void test_story(void **state)
{
	struct reply r = streamed(story);

	(void)state;
	assert_string_equal(r.streamed, "A c\xc3\xa4t.");
	assert_string_equal(buf_str(&r.answer->reasoning), "let me see");
	assert_string_equal(r.answer->finish_reason, "stop");
	assert_string_equal(r.answer->model, "m-1");
	assert_string_equal(r.answer->provider_request_id, "r");
	/* trap 11: thoughts are not among the candidates' tokens */
	reply_usage(&r, (const int64_t[]){ 42, 30, -1, 63, 60 });
	reply_done(&r);
}

static void test_every_cut_fails(void **state)
{
	(void)state;
	reply_cut(&config, story);
	reply_cut(&config,
		  CHUNK(PARTS("{\"functionCall\":{\"name\":\"f\",\"args\":{}}}")) CHUNK(
			  PARTS("{\"functionCall\":{\"name\":\"g\",\"args\":{\"a\":[1,\"}\"]}}}")
				  FINISH("STOP")));
	/* a stream of nothing but usage ends in good order and is no answer */
	struct reply r = streamed("data: {\"usageMetadata\":{\"promptTokenCount\":1}}\n\n");

	assert_int_equal(r.err.kind, ERR_PROVIDER);
	reply_done(&r);
}

static void test_reasons(void **state)
{
	static const struct {
		const char *theirs, *ours;
	} rows[] = {
		{ "STOP", "stop" },
		{ "MAX_TOKENS", "length" },
		{ "SAFETY", "content_filter" },
		{ "RECITATION", "content_filter" },
		{ "BLOCKLIST", "content_filter" },
		{ "PROHIBITED_CONTENT", "content_filter" },
		{ "SPII", "content_filter" },
		{ "IMAGE_SAFETY", "content_filter" },
		{ "CONTINUATION", "pause" },
		{ "MALFORMED_FUNCTION_CALL", "error" },
		{ "MALFORMED_RESPONSE", "error" },
		{ "UNEXPECTED_TOOL_CALL", "error" },
		{ "TOO_MANY_TOOL_CALLS", "error" },
		{ "MISSING_THOUGHT_SIGNATURE", "error" },
		{ "LANGUAGE", "error" },
		{ "OTHER", "error" },
		{ "ESCALATION", "error" },
		{ "SOMETHING_NEW", "other:something_new" },
	};
	char body[400];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply r;

		snprintf(body, sizeof(body),
			 "{\"candidates\":[{\"finishReason\":\"%s\",\"finishMessage\":\"why\"}]}",
			 rows[i].theirs);
		r = reply_whole(&config, body);
		assert_non_null(r.answer);
		assert_string_equal(r.answer->finish_reason, rows[i].ours);
		if (strcmp(rows[i].ours, "error") == 0)
			assert_non_null(strstr(r.answer->refusal, "why"));
		else
			assert_null(r.answer->refusal);
		reply_done(&r);
	}
}

/* Trap 11: a blocked prompt is a success of HTTP without any candidate. */
static void test_blocked_prompt(void **state)
{
	struct reply r =
		streamed("data: {\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},"
			 "\"usageMetadata\":{\"promptTokenCount\":7,\"totalTokenCount\":7}}\n\n");

	(void)state;
	assert_non_null(r.answer);
	assert_string_equal(r.answer->finish_reason, "content_filter");
	assert_string_equal(r.answer->refusal, "The prompt was blocked: PROHIBITED_CONTENT");
	assert_string_equal(r.streamed, r.answer->refusal);
	assert_int_equal(r.answer->usage.input, 7);
	reply_done(&r);
	r = reply_whole(&config, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\","
				 "\"blockReasonMessage\":\"No.\"}}");
	assert_string_equal(r.answer->refusal, "No.");
	reply_done(&r);
}

/* Traps 11 and 12: the reason is STOP; ids may be missing; a signature travels in the call. */
static void test_tool_calls(void **state)
{
	struct reply r = streamed(
		CHUNK(PARTS("{\"text\":\"hm\"},{\"functionCall\":{\"id\":\"x1\",\"name\":\"f\","
			    "\"args\":{\"n\":9007199254740993}},\"thoughtSignature\":\"SIG=\"}"))
			CHUNK(PARTS("{\"functionCall\":{\"name\":\"g\"}}") FINISH("STOP")));

	(void)state;
	assert_non_null(r.answer);
	assert_string_equal(r.answer->finish_reason, "tool_calls");
	reply_tool_calls(&r, "[{'id':'x1','type':'function','function':{'name':'f',"
			     "'arguments':'{\\u0022n\\u0022:9007199254740993}'},"
			     "'extra_content':{'google':{'thought_signature':'SIG='}}},"
			     "{'id':'call00001','type':'function','function':{'name':'g',"
			     "'arguments':'{}'}}]");
	reply_done(&r);
	r = streamed(CHUNK(PARTS("{\"functionCall\":{\"name\":\"g\"}}") FINISH("MAX_TOKENS")));
	assert_string_equal(r.answer->finish_reason, "length");
	reply_done(&r);
}

/* The user sends back exactly what a sample held. */
static void test_signature_round_trip(void **state)
{
	struct reply r = streamed(CHUNK(PARTS(
		"{\"functionCall\":{\"id\":\"x1\",\"name\":\"f\",\"args\":{\"a\":1}},"
		"\"thoughtSignature\":\"SIG=\"},"
		"{\"functionCall\":{\"id\":\"x2\",\"name\":\"f\",\"args\":{}}}") FINISH("STOP")));
	json_t *o = json_pack("{s:s, s:s, s:[{s:s,s:s},{s:s,s:s,s:O},{s:s,s:s,s:s},{s:s,s:s,s:s}]}",
			      "endpoint", "chat", "model", "gemini-3.8-flash", "messages", "role",
			      "user", "content", "q", "role", "assistant", "content",
			      buf_str(&r.answer->text), "tool_calls", r.answer->tool_calls, "role",
			      "tool", "tool_call_id", "x1", "content", "1", "role", "tool",
			      "tool_call_id", "x2", "content", "2");
	char *text = json_dumps(o, 0);

	(void)state;
	reply_sends(
		&config, text, "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
		"{'contents':[{'role':'user','parts':[{'text':'q'}]},{'role':'model','parts':["
		"{'functionCall':{'id':'x1','name':'f','args':{'a':1}},'thoughtSignature':'SIG='},"
		"{'functionCall':{'id':'x2','name':'f','args':{}}}]},{'role':'user','parts':["
		"{'functionResponse':{'id':'x1','name':'f','response':{'output':'1'}}},"
		"{'functionResponse':{'id':'x2','name':'f','response':{'output':'2'}}}]}]}");
	free(text);
	json_decref(o);
	reply_done(&r);
}

static void test_logprobs(void **state)
{
	struct reply r = streamed(
		CHUNK(PARTS(
			"{\"text\":\"a\"}") ",\"logprobsResult\":{\"chosenCandidates\":"
					    "[{\"token\":\"a\",\"tokenId\":1,\"logProbability\":-0.5}],\"topCandidates\":"
					    "[{\"candidates\":[{\"token\":\"a\",\"logProbability\":-0.5},"
					    "{\"token\":\"b\",\"logProbability\":-1.5}]}]}")
			CHUNK(PARTS("{\"text\":\"b\"}") ",\"logprobsResult\":{\"chosenCandidates\":"
							"[{\"token\":\"b\"}]}" FINISH("STOP")));
	json_t *want = reply_json(
		"{'content':[{'token':'a','logprob':-0.5,'bytes':null,'top_logprobs':["
		"{'token':'a','logprob':-0.5,'bytes':null},{'token':'b','logprob':-1.5,'bytes':null}]},"
		"{'token':'b','logprob':0.0,'bytes':null,'top_logprobs':[]}]}");

	(void)state;
	assert_non_null(r.answer);
	assert_true(json_equal(r.answer->logprobs, want));
	json_decref(want);
	reply_done(&r);
}

static void test_whole_bodies(void **state)
{
	static const struct {
		const char *body;
		enum err_kind kind; /* ERR_NONE: an answer, "hi" */
	} rows[] = {
		{ "{\"candidates\":[{" PARTS("{\"text\":\"hi\"}") FINISH("STOP") "}]}", ERR_NONE },
		/* a service that ignores alt=sse gives the chunks as a list */
		{ " [{\"candidates\":[{" PARTS("{\"text\":\"h\"}") "}]}\n,{\"candidates\":[{" PARTS(
			  "{\"text\":\"i\"}") FINISH("STOP") "}]}]",
		  ERR_NONE },
		/* another candidate is nobody's */
		{ "{\"candidates\":[{\"index\":1,\"content\":{\"parts\":[{\"text\":\"no\"}]}},{" PARTS(
			  "{\"text\":\"hi\"}") FINISH("STOP") "}]}",
		  ERR_NONE },
		{ "", ERR_PROTOCOL },
		{ "{", ERR_PROTOCOL },
		{ "[", ERR_PROTOCOL },
		{ "[]", ERR_PROTOCOL },
		{ "[7]", ERR_PROTOCOL },
		{ "{}", ERR_PROTOCOL },
		{ "7", ERR_PROTOCOL },
		{ "{\"candidates\":7}", ERR_PROTOCOL },
		{ "{\"candidates\":[7,null]}", ERR_PROTOCOL },
		{ "{\"error\":{\"code\":404,\"message\":\"m\",\"status\":\"NOT_FOUND\"}}",
		  ERR_NOT_FOUND },
		{ "[{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}]",
		  ERR_PROVIDER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply r = reply_whole(&config, rows[i].body);

		if (r.err.kind != rows[i].kind)
			fail_msg("%s: %s", rows[i].body, r.err.message);
		if (r.answer)
			assert_string_equal(r.streamed, "hi");
		reply_done(&r);
	}
}

static void test_errors_in_streams(void **state)
{
	static const struct {
		const char *events;
		enum err_kind kind;
	} rows[] = {
		{ CHUNK(PARTS(
			  "{\"text\":\"a\"}")) "data: {\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}\n\n",
		  ERR_PROVIDER },
		{ "data: {\"error\":{\"code\":429,\"message\":\"m\"}}\n\n", ERR_RATE_LIMIT },
		{ "data: {\"error\":{\"code\":400,\"message\":\"m\"}}\n\n", ERR_REQUEST },
		/* without "data:", over several lines */
		{ CHUNK(PARTS("{\"text\":\"a\"}")) "{\n  \"error\": {\n    \"code\": 400,\n"
						   "    \"message\": \"m\"\n  }\n}\n",
		  ERR_REQUEST },
		{ "data: [1]\n\n", ERR_PROTOCOL },
		{ "data: <html>\n\n", ERR_PROTOCOL },
		{ CHUNK(PARTS("{\"text\":\"a\"}")) "data: [DONE]\n\n", ERR_PROTOCOL },
		{ "", ERR_PROVIDER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply r = streamed(rows[i].events);

		assert_null(r.answer);
		if (r.err.kind != rows[i].kind)
			fail_msg("%s: %s", rows[i].events, r.err.message);
		reply_done(&r);
	}
}

/* ---- errors ---- */

#define ERROR(code, status, details)                                                      \
	"{\"error\":{\"code\":" code ",\"message\":\"You exceeded your current quota.\"," \
	"\"status\":\"" status "\",\"details\":[" details "]}}"
#define QUOTA(id) \
	"{\"@type\":\"t/google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":\"" id "\"}]}"
#define RETRY(s) "{\"@type\":\"t/google.rpc.RetryInfo\",\"retryDelay\":\"" s "\"}"

static void test_error_table(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum err_kind kind;
		bool retry;
		double after;
	} rows[] = {
		{ 400, ERROR("400", "INVALID_ARGUMENT", "{\"reason\":\"API_KEY_INVALID\"}"),
		  ERR_KEY_REJECTED, false, 0 },
		{ 400, ERROR("400", "INVALID_ARGUMENT", ""), ERR_REQUEST, false, 0 },
		{ 400, ERROR("400", "FAILED_PRECONDITION", ""), ERR_REQUEST, false, 0 },
		{ 401, ERROR("401", "UNAUTHENTICATED", ""), ERR_KEY_REJECTED, false, 0 },
		{ 403, ERROR("403", "PERMISSION_DENIED", ""), ERR_KEY_REJECTED, false, 0 },
		{ 404, ERROR("404", "NOT_FOUND", ""), ERR_NOT_FOUND, false, 0 },
		/* traps 14 and 11: one sentence for all limits, the list and the delay tell */
		{ 429,
		  ERROR("429", "RESOURCE_EXHAUSTED",
			QUOTA("PerMinute-FreeTier") "," RETRY("55.5s")),
		  ERR_RATE_LIMIT, true, 55.5 },
		{ 429,
		  ERROR("429", "RESOURCE_EXHAUSTED",
			QUOTA("GenerateRequestsPerDayPerProjectPerModel-FreeTier") "," RETRY("9s")),
		  ERR_QUOTA, false, 9 },
		{ 429, ERROR("429", "RESOURCE_EXHAUSTED", RETRY("1s")), ERR_RATE_LIMIT, true, 1 },
		{ 429, ERROR("429", "RESOURCE_EXHAUSTED", RETRY("soon")), ERR_QUOTA, false, 0 },
		{ 429,
		  "{\"error\":{\"code\":429,\"message\":\"Resource has been exhausted (e.g. "
		  "check quota).\",\"status\":\"RESOURCE_EXHAUSTED\"}}",
		  ERR_RATE_LIMIT, true, 0 },
		{ 499, ERROR("499", "CANCELLED", ""), ERR_REQUEST, false, 0 },
		{ 500, ERROR("500", "INTERNAL", ""), ERR_PROVIDER, true, 0 },
		{ 503, "[" ERROR("503", "UNAVAILABLE", RETRY("2s")) "]", ERR_PROVIDER, true, 2 },
		{ 504, ERROR("504", "DEADLINE_EXCEEDED", ""), ERR_PROVIDER, true, 0 },
		{ 502, "<html>bad gateway</html>", ERR_PROVIDER, true, 0 },
		{ 503, "", ERR_PROVIDER, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct backend_failure f = { rows[i].status, rows[i].body, strlen(rows[i].body), -1,
					     -1 };
		struct err e;
		bool retry = config.type->error(&config, &f, &e);

		if (e.kind != rows[i].kind || retry != rows[i].retry ||
		    e.retry_after_s != rows[i].after)
			fail_msg("%d %s: %s, retry %d after %g", rows[i].status, rows[i].body,
				 e.message, retry, e.retry_after_s);
	}
}

/* ---- models ---- */

static void test_models(void **state)
{
	json_t *page =
		reply_json("{'models':[{'name':'models/gemini-3.8-flash','inputTokenLimit':1048576,"
			   "'outputTokenLimit':65536,'thinking':true,'supportedGenerationMethods':"
			   "['generateContent','countTokens','batchGenerateContent']},{'name':7},"
			   "{'name':'models/gemini-embedding-001','supportedGenerationMethods':"
			   "['embedContent']}],'nextPageToken':'a+b='}");
	json_t *want = reply_json(
		"[{'id':'gemini-3.8-flash','context_tokens':1048576,'max_output_tokens':65536,"
		"'capabilities':['chat','batch','reasoning']},"
		"{'id':'gemini-embedding-001','capabilities':['embedding']}]");
	json_t *out = json_array(), *empty = json_object(), *bad = reply_json("{'models':7}");
	char next[BACKEND_NEXT_MAX];
	struct err e;

	(void)state;
	assert_int_equal(config.type->models.read(&config, page, out, next, &e), 0);
	assert_true(json_equal(out, want));
	assert_string_equal(next, "&pageToken=a%2Bb%3D");
	assert_int_equal(config.type->models.read(&config, empty, out, next, &e), 0);
	assert_string_equal(next, "");
	assert_int_equal(config.type->models.read(&config, bad, out, next, &e), -EBADMSG);
	json_decref(page);
	json_decref(want);
	json_decref(out);
	json_decref(empty);
	json_decref(bad);
}

/* ---- over the wire ---- */

static void test_request_on_the_wire(void **state)
{
	struct wire *w = wire_new();
	struct ask_call call;
	struct ask a;

	(void)state;
	wire_add_json(w, 429, NULL, ERROR("429", "RESOURCE_EXHAUSTED", RETRY("0.001s")));
	wire_add_sse(w, story, true, WIRE_KEEP);
	ask_new(&a, ask_config("gemini", wire_url(w)));
	assert_int_equal(ask(&a, &call,
			     "{\"endpoint\":\"chat\",\"model\":\"gemini-x\",\"messages\":"
			     "[{\"role\":\"user\",\"content\":\"hi\"}]}"),
			 0);
	assert_string_equal(call.text, "A c\xc3\xa4t.");
	assert_int_equal(call.attempts, 2);
	assert_memory_equal(
		wire_request(w, 0),
		"POST /v1beta/models/gemini-x:streamGenerateContent?alt=sse HTTP/1.1\r\n", 69);
	assert_non_null(strstr(wire_request(w, 0), "\r\nx-goog-api-key: sk-local-test\r\n"));
	assert_null(strstr(wire_request(w, 0), "Authorization"));
	ask_done(&call);
	ask_free(&a);
	wire_free(w);
}

static void test_error_reason_fails(void **state)
{
	struct wire *w = wire_new();
	struct ask_call call;
	struct ask a;

	(void)state;
	wire_add_sse(w,
		     "data: {\"candidates\":[{\"finishReason\":\"MALFORMED_FUNCTION_CALL\","
		     "\"finishMessage\":\"no such tool\"}]}\n\n",
		     true, WIRE_KEEP);
	ask_new(&a, ask_config("gemini", wire_url(w)));
	assert_int_equal(ask(&a, &call, NULL), EREMOTEIO);
	assert_int_equal(call.attempts, 1);
	assert_non_null(strstr(call.err.message, "MALFORMED_FUNCTION_CALL: no such tool"));
	ask_done(&call);
	ask_free(&a);
	wire_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_reasoning_effort),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_tool_history),
		cmocka_unit_test(test_tool_images),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_embedding_requests),
		cmocka_unit_test(test_embeddings),
		cmocka_unit_test(test_story),
		cmocka_unit_test(test_every_cut_fails),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_blocked_prompt),
		cmocka_unit_test(test_tool_calls),
		cmocka_unit_test(test_signature_round_trip),
		cmocka_unit_test(test_logprobs),
		cmocka_unit_test(test_whole_bodies),
		cmocka_unit_test(test_errors_in_streams),
		cmocka_unit_test(test_error_table),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_request_on_the_wire),
		cmocka_unit_test(test_error_reason_fails),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
