/*
 * test_request.c - what a user wrote, checked, and what of it reaches a provider
 */
#include <errno.h>
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
#include "core/canon.h"
#include "core/key.h"
#include "core/request.h"

/* JSON with ' for ", so that rows can be read */
static char *quoted(const char *text)
{
	char *p = str_dup_n(text, strlen(text));

	assert_non_null(p);
	for (char *q = p; *q; q++)
		if (*q == '\'')
			*q = '"';
	return p;
}

static json_t *json_of(const char *text)
{
	AUTO_FREE char *p = quoted(text);
	json_t *v = json_loads(p, JSON_DECODE_ANY, NULL);

	if (!v)
		fail_msg("not JSON: %s", p);
	return v;
}

static void expect_json(const json_t *v, const char *want)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	AUTO_FREE char *p = quoted(want);

	assert_non_null(v);
	assert_int_equal(canon_write(v, &b), 0);
	assert_string_equal(buf_str(&b), p);
}

static int parse_full(const char *text, const char *defaults, struct request **out,
		      bool *out_unfinished, struct err *e)
{
	AUTO_FREE char *p = quoted(text);
	json_t *d = defaults ? json_of(defaults) : NULL;
	struct request_source src = { p, strlen(p), REQUEST_JSON, d };
	int rc = request_parse(&src, out, out_unfinished, e);

	json_decref(d);
	return rc;
}

static struct request *parse(const char *text, const char *defaults)
{
	struct err e = { 0 };
	struct request *r = NULL;
	bool unfinished = true;

	if (parse_full(text, defaults, &r, &unfinished, &e))
		fail_msg("%s: %s", text, e.message);
	assert_false(unfinished);
	return r;
}

/* --- what is refused ------------------------------------------------------------------------- */

struct bad_row {
	const char *text;
	int rc;
	const char *field; /* "" none */
	const char *says;
};

#define P "'prompt':'x',"
#define F "{'type':'function','function':{'name':'now'}}"

static const struct bad_row bad_rows[] = {
	/* not an object */
	{ "[]", -EINVAL, "", "must be a JSON object, found a list" },
	{ "'text'", -EINVAL, "", "found \"text\"" },
	{ "7", -EINVAL, "", "found 7" },
	{ "null", -EINVAL, "", "found null" },
	/* nothing, or too much, to ask */
	{ "{}", -EINVAL, "", "\"prompt\", \"messages\" or \"input\"" },
	{ "{'model':'a/b'}", -EINVAL, "", "nothing is asked" },
	{ "{'prompt':null}", -EINVAL, "", "nothing is asked" },
	{ "{'prompt':'x','messages':[{'role':'user','content':'x'}]}", -EINVAL, "messages",
	  "exactly one" },
	/* unknown fields */
	{ "{" P "'temprature':1}", -EINVAL, "temprature", "did you mean \"temperature\"?" },
	{ "{" P "'maxtokens':1}", -EINVAL, "maxtokens", "did you mean \"max_tokens\"?" },
	{ "{" P "'Model':'a'}", -EINVAL, "Model", "did you mean \"model\"?" },
	{ "{" P "'message':[]}", -EINVAL, "message", "did you mean \"messages\"?" },
	{ "{" P "'safe_prompt':true}", -EINVAL, "safe_prompt", "extra_body" },
	{ "{" P "'zzzzzzzzzzzz':null}", -EINVAL, "zzzzzzzzzzzz", "unknown field" },
	{ "{" P "'':1}", -EINVAL, "", "unknown field \"\"" },
	/* strings */
	{ "{'prompt':5}", -EINVAL, "prompt", "prompt must be a string, found 5" },
	{ "{'prompt':['x']}", -EINVAL, "prompt", "found a list" },
	{ "{" P "'system':{}}", -EINVAL, "system", "found an object" },
	{ "{" P "'system':true}", -EINVAL, "system", "found true" },
	{ "{" P "'model':''}", -EINVAL, "model", "1 to 1024 bytes" },
	{ "{" P "'model':'a\\nb'}", -EINVAL, "model", "without control characters" },
	{ "{" P "'model':1.5}", -EINVAL, "model", "found 1.5" },
	{ "{" P "'request_id':''}", -EINVAL, "request_id", "1 to 1024 bytes" },
	{ "{" P "'request_id':7}", -EINVAL, "request_id", "found 7" },
	{ "{" P "'reasoning_effort':3}", -EINVAL, "reasoning_effort", "must be a string" },
	/* integers */
	{ "{" P "'n':0}", -EINVAL, "n", "n must be an integer from 1 to 1000, found 0" },
	{ "{" P "'n':1001}", -EINVAL, "n", "found 1001" },
	{ "{" P "'n':-1}", -EINVAL, "n", "found -1" },
	{ "{" P "'n':'2'}", -EINVAL, "n", "found \"2\"" },
	{ "{" P "'n':1.5}", -EINVAL, "n", "found 1.5" },
	{ "{" P "'n':true}", -EINVAL, "n", "found true" },
	{ "{" P "'max_tokens':0}", -EINVAL, "max_tokens", "an integer of at least 1, found 0" },
	{ "{" P "'max_tokens':1e30}", -EINVAL, "max_tokens", "found 1e+30" },
	{ "{" P "'max_completion_tokens':0}", -EINVAL, "max_completion_tokens", "at least 1" },
	{ "{" P "'max_tokens':5,'max_completion_tokens':5}", -EINVAL, "max_completion_tokens",
	  "give only one" },
	{ "{" P "'max_completion_tokens':5,'max_tokens':5}", -EINVAL, "max_completion_tokens",
	  "give only one" },
	{ "{" P "'top_k':0.5}", -EINVAL, "top_k", "must be an integer, found 0.5" },
	{ "{" P "'seed':'x'}", -EINVAL, "seed", "must be an integer" },
	{ "{" P "'seed':1e17}", -EINVAL, "seed", "must be an integer" },
	{ "{" P "'top_logprobs':21}", -EINVAL, "top_logprobs", "from 0 to 20" },
	{ "{" P "'top_logprobs':-1}", -EINVAL, "top_logprobs", "from 0 to 20" },
	{ "{" P "'priority':20}", -EINVAL, "priority", "from -20 to 19" },
	{ "{" P "'priority':-21}", -EINVAL, "priority", "from -20 to 19" },
	{ "{" P "'ttl':0}", -EINVAL, "ttl", "at least 1" },
	{ "{" P "'ttl':1.5}", -EINVAL, "ttl", "integer" },
	{ "{" P "'dimensions':0}", -EINVAL, "dimensions", "at least 1" },
	/* numbers */
	{ "{" P "'temperature':-0.1}", -EINVAL, "temperature",
	  "a number of at least 0, found -0.1" },
	{ "{" P "'temperature':'hot'}", -EINVAL, "temperature", "found \"hot\"" },
	{ "{" P "'temperature':[1]}", -EINVAL, "temperature", "found a list" },
	{ "{" P "'top_p':1.01}", -EINVAL, "top_p", "from 0 to 1" },
	{ "{" P "'top_p':-0.01}", -EINVAL, "top_p", "from 0 to 1" },
	{ "{" P "'min_p':2}", -EINVAL, "min_p", "from 0 to 1" },
	{ "{" P "'presence_penalty':2.5}", -EINVAL, "presence_penalty", "from -2 to 2" },
	{ "{" P "'frequency_penalty':-3}", -EINVAL, "frequency_penalty", "from -2 to 2" },
	{ "{" P "'timeout':0}", -EINVAL, "timeout", "a number above 0, found 0" },
	{ "{" P "'timeout':-5}", -EINVAL, "timeout", "above 0" },
	{ "{" P "'timeout':'1m'}", -EINVAL, "timeout", "found \"1m\"" },
	{ "{" P "'max_cost_usd':-1}", -EINVAL, "max_cost_usd", "at least 0" },
	/* booleans, objects, lists */
	{ "{" P "'logprobs':1}", -EINVAL, "logprobs", "true or false" },
	{ "{" P "'use_cache':'no'}", -EINVAL, "use_cache", "true or false" },
	{ "{" P "'auto_route':1}", -EINVAL, "auto_route", "true or false" },
	{ "{" P "'logit_bias':[]}", -EINVAL, "logit_bias", "an object of numbers" },
	{ "{" P "'logit_bias':{'5':'x'}}", -EINVAL, "logit_bias", "an object of numbers" },
	{ "{" P "'logit_bias':{'5':null}}", -EINVAL, "logit_bias", "an object of numbers" },
	{ "{" P "'metadata':{'a':1}}", -EINVAL, "metadata", "an object of strings" },
	{ "{" P "'metadata':'a'}", -EINVAL, "metadata", "an object of strings" },
	{ "{" P "'extra_body':[]}", -EINVAL, "extra_body", "an object, found a list" },
	{ "{" P "'extra_body':'x'}", -EINVAL, "extra_body", "an object" },
	{ "{" P "'response_format':'json'}", -EINVAL, "response_format", "an object" },
	{ "{" P "'tools':{}}", -EINVAL, "tools", "a list" },
	{ "{" P "'images':'a.png'}", -EINVAL, "images", "a list" },
	{ "{" P "'fallback':'a/b'}", -EINVAL, "fallback", "a list" },
	{ "{" P "'fallback':[]}", -EINVAL, "fallback", "1 to 16" },
	{ "{" P "'fallback':['a/b',1]}", -EINVAL, "fallback", "1 to 16" },
	{ "{" P "'fallback':['']}", -EINVAL, "fallback", "1 to 16" },
	{ "{" P "'parallel_tool_calls':1}", -EINVAL, "parallel_tool_calls", "true or false" },
	/* stop */
	{ "{" P "'stop':''}", -EINVAL, "stop", "not empty" },
	{ "{" P "'stop':['a','']}", -EINVAL, "stop", "not empty" },
	{ "{" P "'stop':['a',1]}", -EINVAL, "stop", "or a list of such" },
	{ "{" P "'stop':5}", -EINVAL, "stop", "found 5" },
	{ "{" P "'stop':{'a':1}}", -EINVAL, "stop", "found an object" },
	/* choices */
	{ "{" P "'cache':'no'}", -EINVAL, "cache",
	  "must be \"use\", \"bypass\", \"refresh\" or \"only\", found \"no\"" },
	{ "{" P "'cache':true}", -EINVAL, "cache", "found true" },
	{ "{" P "'cache':'use','use_cache':true}", -EINVAL, "use_cache", "give only one" },
	{ "{" P "'use_cache':false,'cache':'use'}", -EINVAL, "use_cache", "give only one" },
	{ "{" P "'endpoint':'text'}", -EINVAL, "endpoint", "\"chat\"" },
	{ "{" P "'endpoint':7}", -EINVAL, "endpoint", "found 7" },
	{ "{" P "'namespace':'.a'}", -EINVAL, "namespace", "leading dot" },
	{ "{" P "'namespace':''}", -EINVAL, "namespace", "1 to 128" },
	{ "{" P "'namespace':'a/b'}", -EINVAL, "namespace", "found \"a/b\"" },
	{ "{" P "'namespace':5}", -EINVAL, "namespace", "found 5" },
	/* a long value is cut in the sentence */
	{ "{" P "'n':'0123456789012345678901234567890123456789abcdef'}", -EINVAL, "n",
	  "found \"0123456789012345678901234567890123456789...\"" },
	/* completion */
	{ "{'endpoint':'completion','messages':[{'role':'user','content':'x'}]}", -EINVAL,
	  "messages", "completion endpoint takes no messages" },
	{ "{" P "'endpoint':'completion','system':'s'}", -EINVAL, "system",
	  "no meaning at the completion endpoint" },
	/* what later versions can do */
	{ "{" P "'model':'auto'}", -EOPNOTSUPP, "model", "\"auto\" is not supported" },
	{ "{" P "'auto_route':true}", -EOPNOTSUPP, "auto_route", "true is not supported" },
	{ "{" P "'max_cost_usd':0.5}", -EOPNOTSUPP, "max_cost_usd", "not supported" },
	{ "{" P "'max_cost_usd':0}", -EOPNOTSUPP, "max_cost_usd", "not supported" },
	/* one question, and an endpoint that takes it */
	{ "{'prompt':'x','input':'y'}", -EINVAL, "input", "prompt and input are both given" },
	{ "{'messages':[{'role':'user','content':'x'}],'input':'y'}", -EINVAL, "input",
	  "messages and input are both" },
	{ "{'input':5}", -EINVAL, "input", "a string or a list of strings" },
	{ "{'input':[]}", -EINVAL, "input", "not empty" },
	{ "{'input':['x',5]}", -EINVAL, "input", "a list of strings" },
	{ "{'input':'x','endpoint':'chat'}", -EINVAL, "input", "the chat endpoint takes no input" },
	{ "{" P "'endpoint':'embedding'}", -EINVAL, "prompt", "give \"input\"" },
	{ "{'endpoint':'embedding','messages':[{'role':'user','content':'x'}]}", -EINVAL,
	  "messages", "takes no messages" },
	{ "{" P "'dimensions':5}", -EINVAL, "dimensions", "no meaning at the chat endpoint" },
	{ "{'input':'x','temperature':0}", -EINVAL, "temperature",
	  "no meaning at the embedding endpoint" },
	{ "{'input':'x','max_tokens':1}", -EINVAL, "max_tokens", "remove it" },
	{ "{'input':'x','system':'s'}", -EINVAL, "system", "embedding endpoint" },
	{ "{'input':'x','suffix':'s'}", -EINVAL, "suffix", "embedding endpoint" },
	{ "{'messages':[{'role':'user','content':'x'}],'suffix':'s'}", -EINVAL, "suffix",
	  "no meaning at the chat endpoint" },
	{ "{" P "'suffix':'s','endpoint':'completion'}", -EINVAL, "suffix", "completion" },
	{ "{" P "'suffix':'s','system':'y'}", -EINVAL, "system", "the fim endpoint; remove it" },
	{ "{" P "'endpoint':'fim','tools':[]}", -EINVAL, "tools", "the fim endpoint" },
	{ "{'endpoint':'fim','messages':[{'role':'user','content':'x'}]}", -EINVAL, "messages",
	  "the fim endpoint takes no messages" },
	{ "{" P "'endpoint':'completion','images':['a.png']}", -EINVAL, "images",
	  "completion endpoint" },
	/* images by name */
	{ "{" P "'images':[5]}", -EINVAL, "images[0]", "must be a path" },
	{ "{" P "'images':['a.png','']}", -EINVAL, "images[1]", "must be a path of 1 to" },
	{ "{" P "'images':['/etc/passwd']}", -EINVAL, "images[0]", "relative" },
	{ "{" P "'images':['a\\u0001b']}", -EINVAL, "images[0]", "control characters" },
	{ "{'messages':[{'role':'user','content':'x'}],'images':['a.png']}", -EINVAL, "images",
	  "images goes with prompt" },
	/* tools */
	{ "{" P "'tools':[5]}", -EINVAL, "tools[0]", "must be an object like" },
	{ "{" P "'tools':[{}]}", -EINVAL, "tools[0].type", "is missing; give \"function\"" },
	{ "{" P "'tools':[{'name':'f','input_schema':{}}]}", -EINVAL, "tools[0].type",
	  "is missing" },
	{ "{" P "'tools':[{'type':'web_search'}]}", -EOPNOTSUPP, "tools", "\"extra_body\"" },
	{ "{" P "'tools':[{'type':'function'}]}", -EINVAL, "tools[0].function",
	  "is missing; give an object" },
	{ "{" P "'tools':[{'type':'function','function':{}}]}", -EINVAL, "tools[0].function.name",
	  "is missing" },
	{ "{" P "'tools':[{'type':'function','function':{'name':''}}]}", -EINVAL,
	  "tools[0].function.name", "1 to 256" },
	{ "{" P "'tools':[{'type':'function','function':{'name':'f','parameter':{}}}]}", -EINVAL,
	  "tools[0].function.parameter", "did you mean \"parameters\"?" },
	{ "{" P "'tools':[{'type':'function','function':{'name':'f','cache':1}}]}", -EINVAL,
	  "tools[0].function.cache", "extra_body" },
	{ "{" P "'tools':[{'type':'function','function':{'name':'f'},'strict':true}]}", -EINVAL,
	  "tools[0].strict", "is not known" },
	{ "{" P "'tools':[{'type':'function','function':{'name':'f','parameters':'{}'}}]}", -EINVAL,
	  "tools[0].function.parameters", "must be an object" },
	{ "{" P "'tools':[{'type':'function','function':{'name':'f','strict':1}}]}", -EINVAL,
	  "tools[0].function.strict", "true or false" },
	{ "{" P "'tools':[" F "," F "]}", -EINVAL, "tools[1].function.name", "earlier tool" },
	{ "{" P "'tool_choice':'auto'}", -EINVAL, "tool_choice", "there are no tools" },
	{ "{" P "'tools':[" F "],'tool_choice':'any'}", -EINVAL, "tool_choice", "\"required\"" },
	{ "{" P "'tools':[" F "],'tool_choice':5}", -EINVAL, "tool_choice", "found 5" },
	{ "{" P "'tools':[" F "],'tool_choice':{'type':'tool','name':'f'}}", -EINVAL, "tool_choice",
	  "must be \"none\"" },
	{ "{" P "'tools':[" F "],'tool_choice':{'type':'function','function':{'name':'nows'}}}",
	  -EINVAL, "tool_choice", "did you mean \"now\"?" },
	{ "{" P "'tools':[" F "],'tool_choice':{'type':'function','function':{'name':'zebra'}}}",
	  -EINVAL, "tool_choice", "not in tools" },
	{ "{" P "'tools':[" F "],'tool_choice':{'type':'function','function':{'nme':'f'}}}",
	  -EINVAL, "tool_choice.function.nme", "\"name\"" },
	/* answer formats */
	{ "{" P "'response_format':{}}", -EINVAL, "response_format.type", "is missing" },
	{ "{" P "'response_format':{'type':'json'}}", -EINVAL, "response_format.type", "json" },
	{ "{" P "'response_format':{'type':'json_objekt'}}", -EINVAL, "response_format.type",
	  "did you mean \"json_object\"?" },
	{ "{" P "'response_format':{'type':'json_schema'}}", -EINVAL, "response_format.json_schema",
	  "is missing" },
	{ "{" P "'response_format':{'type':'json_schema','json_schema':{'schema':{}}}}", -EINVAL,
	  "response_format.json_schema.name", "is missing" },
	{ "{" P "'response_format':{'type':'json_schema','json_schema':{'name':'a'}}}", -EINVAL,
	  "response_format.json_schema.schema", "is missing" },
	{ "{" P "'response_format':{'type':'text','json_schema':{'name':'a','schema':{}}}}",
	  -EINVAL, "response_format.json_schema", "set type" },
	{ "{" P "'response_format':{'type':'json_object','schema':{}}}", -EINVAL,
	  "response_format.schema", "extra_body" },
	/* a mistake is told before a lack */
	{ "{" P "'n':2,'temperature':'x'}", -EINVAL, "temperature", "found \"x\"" },
};

static void check_bad(const char *text, const char *defaults, const struct bad_row *r)
{
	struct request *out = NULL;
	struct err e = { 0 };
	bool unfinished = true;
	int rc = parse_full(text, defaults, &out, &unfinished, &e);

	if (rc != r->rc || out || unfinished || strcmp(e.field, r->field) != 0 ||
	    !strstr(e.message, r->says))
		fail_msg("%s: rc %d, field \"%s\": %s", text, rc, e.field, e.message);
	assert_int_equal(e.code, -rc);
	assert_int_equal(e.kind, rc == -EINVAL ? ERR_REQUEST : ERR_UNSUPPORTED);
	/* and the sentence is not needed */
	assert_int_equal(parse_full(text, defaults, &out, NULL, NULL), r->rc);
	assert_null(out);
}

static void test_bad_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++)
		check_bad(bad_rows[i].text, NULL, &bad_rows[i]);
}

#define I(members) "{'role':'user','content':[{'type':'image'," members "}]}"

/* one message, in a list of two, so that the index is seen to be right */
static const struct bad_row bad_messages[] = {
	{ "5", -EINVAL, "messages[1]", "must be an object like" },
	{ "'text'", -EINVAL, "messages[1]", "found \"text\"" },
	{ "{}", -EINVAL, "messages[1].role", "is missing" },
	{ "{'role':5,'content':'x'}", -EINVAL, "messages[1].role", "found 5" },
	{ "{'role':'usr','content':'x'}", -EINVAL, "messages[1].role", "did you mean \"user\"?" },
	{ "{'role':'model','content':'x'}", -EINVAL, "messages[1].role", "found \"model\"" },
	{ "{'role':'function','content':'x'}", -EINVAL, "messages[1].role", "found \"function\"" },
	{ "{'role':'user'}", -EINVAL, "messages[1].content", "is missing" },
	{ "{'role':'system'}", -EINVAL, "messages[1].content", "is missing" },
	{ "{'role':'user','content':null}", -EINVAL, "messages[1].content", "found null" },
	{ "{'role':'user','content':5}", -EINVAL, "messages[1].content", "found 5" },
	{ "{'role':'user','content':{}}", -EINVAL, "messages[1].content", "found an object" },
	{ "{'role':'user','content':[]}", -EINVAL, "messages[1].content", "not empty" },
	{ "{'role':'assistant','content':[]}", -EINVAL, "messages[1].content", "null or a list" },
	{ "{'role':'assistant','content':7}", -EINVAL, "messages[1].content", "found 7" },
	{ "{'role':'user','content':['x']}", -EINVAL, "messages[1].content[0]",
	  "must be an object" },
	{ "{'role':'user','content':[{}]}", -EINVAL, "messages[1].content[0].type", "is missing" },
	{ "{'role':'user','content':[{'type':1}]}", -EINVAL, "messages[1].content[0].type",
	  "found 1" },
	{ "{'role':'user','content':[{'type':'txt','text':'x'}]}", -EINVAL,
	  "messages[1].content[0].type", "must be \"text\" or \"image\", found \"txt\"" },
	{ "{'role':'user','content':[{'type':'text'}]}", -EINVAL, "messages[1].content[0].text",
	  "is missing" },
	{ "{'role':'user','content':[{'type':'text','text':5}]}", -EINVAL,
	  "messages[1].content[0].text", "found 5" },
	{ "{'role':'assistant','content':[{'type':'text','text':5}]}", -EINVAL,
	  "messages[1].content[0].text", "found 5" },
	{ "{'role':'user','content':[{'type':'text','text':'x'},{'type':'text','text':'y','z':1}]}",
	  -EINVAL, "messages[1].content[1].z", "is not known" },
	{ "{'role':'user','content':'x','nane':'y'}", -EINVAL, "messages[1].nane", "is not known" },
	{ "{'role':'system','content':'x','prefix':true}", -EINVAL, "messages[1].prefix",
	  "a system message has" },
	{ "{'role':'user','content':'x','tool_calls':[]}", -EINVAL, "messages[1].tool_calls",
	  "is not known" },
	{ "{'role':'user','content':'x','name':5}", -EINVAL, "messages[1].name",
	  "must be a string" },
	{ "{'role':'assistant','content':'x','prefix':1}", -EINVAL, "messages[1].prefix",
	  "true or false" },
	{ "{'role':'assistant','content':'x','tool_calls':{}}", -EINVAL, "messages[1].tool_calls",
	  "must be a list" },
	/* tools */
	{ "{'role':'tool','content':'x'}", -EINVAL, "messages[1].tool_call_id", "is missing" },
	{ "{'role':'tool','tool_call_id':'1'}", -EINVAL, "messages[1].content", "is missing" },
	{ "{'role':'tool','content':'x','tool_call_id':''}", -EINVAL, "messages[1].tool_call_id",
	  "the id of the call" },
	{ "{'role':'tool','content':'x','tool_call_id':'1','toolname':'y'}", -EINVAL,
	  "messages[1].toolname", "a tool message has role, content, tool_call_id, name" },
	{ "{'role':'user','content':'x','tool_call_id':'1'}", -EINVAL, "messages[1].tool_call_id",
	  "is not known" },
	{ "{'role':'assistant','tool_calls':[5]}", -EINVAL, "messages[1].tool_calls[0]",
	  "an object like" },
	{ "{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':'{}'}}]}", -EINVAL,
	  "messages[1].tool_calls[0].id", "is missing" },
	{ "{'role':'assistant','tool_calls':[{'id':'1'}]}", -EINVAL,
	  "messages[1].tool_calls[0].function", "is missing" },
	{ "{'role':'assistant','tool_calls':[{'id':'1','function':{'arguments':'{}'}}]}", -EINVAL,
	  "messages[1].tool_calls[0].function.name", "is missing" },
	{ "{'role':'assistant','tool_calls':[{'id':'1','function':{'name':'f','arguments':[]}}]}",
	  -EINVAL, "messages[1].tool_calls[0].function.arguments", "found a list" },
	/* images */
	{ "{'role':'system','content':[{'type':'image','path':'a.png'}]}", -EINVAL,
	  "messages[1].content[0]", "of the role user" },
	{ "{'role':'assistant','content':[{'type':'image_url','image_url':'https://h/a'}]}",
	  -EINVAL, "messages[1].content[0]", "of the role user" },
	{ "{'role':'user','content':[{'type':'input_image','image_url':'https://h/a'}]}", -EINVAL,
	  "messages[1].content[0]", "form of the responses API" },
	{ I("'path':'a.png','url':'https://h/a'"), -EINVAL, "messages[1].content[0]",
	  "one of path, url and data" },
	{ I("'detail':'low'"), -EINVAL, "messages[1].content[0]", "one of path, url and data" },
	{ I("'path':'/etc/passwd'"), -EINVAL, "messages[1].content[0].path", "relative" },
	{ I("'path':5"), -EINVAL, "messages[1].content[0].path", "found 5" },
	{ I("'file':'a.png'"), -EINVAL, "messages[1].content[0].file", "is not known" },
	{ I("'url':'file:///etc/passwd'"), -EINVAL, "messages[1].content[0].url", "https://" },
	{ I("'url':'a.png'"), -EINVAL, "messages[1].content[0].url", "https://" },
	{ I("'path':'a.png','media_type':'image/tiff'"), -EINVAL,
	  "messages[1].content[0].media_type", "found \"image/tiff\"" },
	{ I("'path':'a.png','detail':''"), -EINVAL, "messages[1].content[0].detail", "a word" },
	{ I("'data':''"), -EINVAL, "messages[1].content[0].data", "base64" },
	{ I("'data':'Zm9v'"), -EINVAL, "messages[1].content[0]", "is no image" },
	{ I("'data':'R0lGODlh!'"), -EINVAL, "messages[1].content[0]", "not base64 at byte 10" },
	{ I("'data':'R0lG ODlh'"), -EINVAL, "messages[1].content[0]", "not base64" },
	{ I("'data':'R0lG*Dlh'"), -EINVAL, "messages[1].content[0]", "not base64 at byte 5" },
	{ I("'data':'R0lGODlhYR=='"), -EINVAL, "messages[1].content[0]", "not base64" },
	{ I("'data':'R0lGODlh','media_type':'image/png'"), -EINVAL, "messages[1].content[0]",
	  "its bytes are image/gif" },
	{ "{'role':'user','content':[{'type':'image_url','image_url':5}]}", -EINVAL,
	  "messages[1].content[0].image_url", "an object like" },
	{ "{'role':'user','content':[{'type':'image_url','image_url':{'uri':'x'}}]}", -EINVAL,
	  "messages[1].content[0].image_url.uri", "did you mean \"url\"?" },
	{ "{'role':'user','content':[{'type':'image_url','image_url':{'url':'data:image/png,x'}}]}",
	  -EINVAL, "messages[1].content[0].image_url.url", "data: URI of another form" },
	{ "{'role':'user','content':[{'type':'image_url','image_url':'data:text/plain;base64,Zg=='}]}",
	  -EINVAL, "messages[1].content[0].media_type", "found \"text/plain\"" },
	{ "{'role':'user','content':[{'type':'image_url','image_url':'data:image/png;base64,R0lGODlh'}]}",
	  -EINVAL, "messages[1].content[0]", "its bytes are image/gif" },
};

static void test_bad_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_messages); i++) {
		AUTO_FREE char *text = str_printf("{'messages':[{'role':'user','content':'x'},%s]}",
						  bad_messages[i].text);

		check_bad(text, NULL, &bad_messages[i]);
	}
	check_bad("{'messages':[]}", NULL,
		  &(struct bad_row){ "", -EINVAL, "messages", "is empty" });
	check_bad("{'messages':'x'}", NULL,
		  &(struct bad_row){ "", -EINVAL, "messages", "a list of messages, found \"x\"" });
}

static void test_names_are_cut_at_characters(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(4096);
	struct request *r = NULL;
	struct err e;

	(void)state;
	for (int shift = 0; shift < 4; shift++) {
		buf_clear(&b);
		assert_int_equal(buf_addf(&b, "{'prompt':'x','%.*s", shift, "aaa"), 0);
		for (int i = 0; i < 200; i++)
			assert_int_equal(buf_adds(&b, "\xE2\x82\xAC"), 0);
		assert_int_equal(buf_adds(&b, "':1}"), 0);
		assert_int_equal(parse_full(buf_str(&b), NULL, &r, NULL, &e), -EINVAL);
		assert_true(str_utf8_valid(e.field, strlen(e.field)));
		assert_true(str_utf8_valid(e.message, strlen(e.message)));
	}
}

/* The line of the field that is wrong. */
static void test_places(void **state)
{
	struct request *r = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse_full("{'prompt':'x',\n  'n':0}", NULL, &r, NULL, &e), -EINVAL);
	assert_int_equal(e.line, 2);
	assert_int_equal(e.column, 3);
	assert_int_equal(parse_full("{\n\n'messages':[{'role':'x'}]}", NULL, &r, NULL, &e),
			 -EINVAL);
	assert_int_equal(e.line, 3);
	assert_int_equal(e.column, 1);
	assert_int_equal(parse_full("{'prompt':'x',\n'tools':[1]}", NULL, &r, NULL, &e), -EINVAL);
	assert_int_equal(e.line, 2);
	assert_int_equal(parse_full("{'prompt':'x',\n\n 'oops' 5}", NULL, &r, NULL, &e), -EINVAL);
	assert_int_equal(e.line, 3);
	assert_int_equal(e.column, 9);
	/* the mistake is in the defaults, so no line of this file is to blame */
	assert_int_equal(parse_full("{'n':1,'prompt':'x'}", "[{'n':0}]", &r, NULL, &e), -EINVAL);
	assert_int_equal(e.line, 0);
	assert_true(str_starts(e.message, ".defaults.json: n must be"));
}

static void test_unfinished(void **state)
{
	static const char text[] = "{\"prompt\":\"a \xE2\x82\xAC\", \"n\": 1}";
	struct request *r = NULL;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		struct request_source src = { text, n, REQUEST_JSON, NULL };
		bool unfinished = false;

		assert_int_equal(request_parse(&src, &r, &unfinished, NULL), -EINVAL);
		assert_true(unfinished);
	}
	assert_null(r);
}

static void test_wrong_is_not_unfinished(void **state)
{
	struct request *r = NULL;
	bool unfinished = true;

	(void)state;
	assert_int_equal(parse_full("{'prompt':}", NULL, &r, &unfinished, NULL), -EINVAL);
	assert_false(unfinished);
	unfinished = true;
	assert_int_equal(parse_full("{}", NULL, &r, &unfinished, NULL), -EINVAL);
	assert_false(unfinished);
}

/* --- plain text ------------------------------------------------------------------------------ */

static int parse_text(const char *text, size_t len, struct request **out, bool *out_unfinished,
		      struct err *e)
{
	struct request_source src = { text, len, REQUEST_TEXT, NULL };

	return request_parse(&src, out, out_unfinished, e);
}

struct text_row {
	const char *text;
	size_t len;
	const char *prompt; /* NULL: refused */
	bool unfinished;
	unsigned line, column;
};

#define T(text) text, sizeof(text) - 1

static const struct text_row text_rows[] = {
	{ T(""), NULL, true, 0, 0 },
	{ T("\n"), NULL, true, 0, 0 },
	{ T("\r\n"), NULL, true, 0, 0 },
	{ T("a\0b"), NULL, false, 1, 2 },
	{ T("one\ntwo\0"), NULL, false, 2, 4 },
	{ T("a\xFF"), NULL, false, 1, 2 },
	{ T("a\n\xC3(\n"), NULL, false, 2, 1 },
	{ T("a\xED\xA0\x80"), NULL, false, 1, 2 },
	{ T("a\xE2\x82"), NULL, true, 1, 2 }, /* the next write may bring the rest */
	{ T("a\xE2\x82\n"), NULL, false, 1, 2 },
	{ T("x"), "x", false, 0, 0 },
	{ T("x\n"), "x", false, 0, 0 },
	{ T("x\r\n"), "x", false, 0, 0 },
	{ T("x\n\n"), "x\n", false, 0, 0 },
	{ T("x\r\n\r\n"), "x\r\n", false, 0, 0 },
	{ T("x\n\r"), "x\n\r", false, 0, 0 },
	{ T("\n\n"), "\n", false, 0, 0 },
	{ T(" "), " ", false, 0, 0 },
	{ T("{\"prompt\":\"x\"}\n"), "{\"prompt\":\"x\"}", false, 0, 0 },
	{ T("caf\xC3\xA9 \xF0\x9F\x98\x80\ttab \"q\" \\"),
	  "caf\xC3\xA9 \xF0\x9F\x98\x80\ttab \"q\" \\", false, 0, 0 },
	{ T("\xEF\xBB\xBFx"), "\xEF\xBB\xBFx", false, 0, 0 }, /* bytes are the user's */
};

static void test_text_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(text_rows); i++) {
		const struct text_row *t = &text_rows[i];
		struct request *r = NULL;
		struct err e = { 0 };
		bool unfinished = !t->unfinished;
		const json_t *m;
		int rc = parse_text(t->text, t->len, &r, &unfinished, &e);

		if (rc != (t->prompt ? 0 : -EINVAL) || unfinished != t->unfinished ||
		    e.line != t->line || e.column != t->column)
			fail_msg("row %zu: rc %d, %s", i, rc, e.message);
		if (rc)
			continue;
		m = json_array_get(json_object_get(r->body, "messages"), 0);
		assert_string_equal(json_string_value(json_object_get(m, "content")), t->prompt);
		assert_string_equal(json_string_value(json_object_get(m, "role")), "user");
		assert_int_equal(json_array_size(json_object_get(r->body, "messages")), 1);
		request_free(r);
	}
}

static void test_text_takes_defaults(void **state)
{
	json_t *d = json_of("[{'system':'s','temperature':0,'model':'a/b'}]");
	struct request_source src = { "hi\n", 3, REQUEST_TEXT, d };
	struct request *r = NULL;

	(void)state;
	assert_int_equal(request_parse(&src, &r, NULL, NULL), 0);
	expect_json(r->body, "{'messages':[{'content':'s','role':'system'},"
			     "{'content':'hi','role':'user'}],'temperature':0}");
	assert_string_equal(r->model, "a/b");
	request_free(r);
	json_decref(d);
}

/* --- what is taken --------------------------------------------------------------------------- */

struct body_row {
	const char *text, *body;
};

#define U "'messages':[{'content':'x','role':'user'}]"
#define GIF                                                                            \
	"{'media_type':'image/gif',"                                                   \
	"'sha256':'610f5ae4d76e332636a17bd357fd6ce99029316a99d320280d4d77a746bf29e8'," \
	"'type':'image'}"

static const struct body_row body_rows[] = {
	{ "{'prompt':'x'}", "{" U "}" },
	{ "{'prompt':''}", "{'messages':[{'content':'','role':'user'}]}" },
	{ "{'prompt':'x','system':'s'}",
	  "{'messages':[{'content':'s','role':'system'},{'content':'x','role':'user'}]}" },
	{ "{'messages':[{'role':'user','content':'x'}],'system':'s'}",
	  "{'messages':[{'content':'s','role':'system'},{'content':'x','role':'user'}]}" },
	{ "{'messages':[{'role':'system','content':'a'},{'role':'user','content':'x'}],'system':'s'}",
	  "{'messages':[{'content':'s','role':'system'},{'content':'a','role':'system'},"
	  "{'content':'x','role':'user'}]}" },
	{ "{'endpoint':'completion','prompt':'x'}", "{'prompt':'x'}" },
	{ "{'endpoint':'chat','prompt':'x'}", "{" U "}" },
	/* zero is a value */
	{ "{" P "'temperature':0}", "{" U ",'temperature':0}" },
	{ "{" P "'temperature':0.0,'seed':0,'top_k':0,'top_p':0,'min_p':0,'top_logprobs':0}",
	  "{" U ",'min_p':0,'seed':0,'temperature':0,'top_k':0,'top_logprobs':0,'top_p':0}" },
	{ "{" P "'presence_penalty':0,'frequency_penalty':-2}",
	  "{'frequency_penalty':-2," U ",'presence_penalty':0}" },
	{ "{" P "'logprobs':false}", "{'logprobs':false," U "}" },
	/* integers in other spellings */
	{ "{" P "'max_tokens':5.0,'top_k':1e1,'seed':-0.0}",
	  "{'max_tokens':5," U ",'seed':0,'top_k':10}" },
	{ "{" P "'seed':9223372036854775807}", "{" U ",'seed':9223372036854775807}" },
	{ "{" P "'seed':9007199254740993}", "{" U ",'seed':9007199254740993}" },
	{ "{" P "'top_k':-1}", "{" U ",'top_k':-1}" },
	/* second names */
	{ "{" P "'max_completion_tokens':7}", "{'max_tokens':7," U "}" },
	{ "{" P "'max_completion_tokens':7,'max_tokens':null}", "{'max_tokens':7," U "}" },
	{ "{" P "'max_tokens':null,'max_completion_tokens':7}", "{'max_tokens':7," U "}" },
	/* stop */
	{ "{" P "'stop':'a'}", "{" U ",'stop':['a']}" },
	{ "{" P "'stop':['a','b']}", "{" U ",'stop':['a','b']}" },
	{ "{" P "'stop':[]}", "{" U ",'stop':[]}" },
	{ "{" P "'stop':null}", "{" U "}" },
	/* objects */
	{ "{" P "'logit_bias':{'50256':-100,'7':0.5}}",
	  "{'logit_bias':{'50256':-100,'7':0.5}," U "}" },
	{ "{" P "'response_format':{'type':'json_object'}}",
	  "{" U ",'response_format':{'type':'json_object'}}" },
	{ "{" P "'extra_body':{'a':null,'b':{'c':[null]}}}",
	  "{'extra_body':{'a':null,'b':{'c':[null]}}," U "}" },
	{ "{" P "'extra_body':{}}", "{'extra_body':{}," U "}" },
	{ "{" P "'reasoning_effort':'low'}", "{" U ",'reasoning_effort':'low'}" },
	{ "{" P
	  "'response_format':{'type':'json_schema','json_schema':{'name':'a','schema':{'type':"
	  "'object'},'strict':true,'description':null}}}",
	  "{" U ",'response_format':{'json_schema':{'name':'a','schema':{'type':'object'},"
	  "'strict':true},'type':'json_schema'}}" },
	/* tools */
	{ "{" P "'tools':[]}", "{" U ",'tools':[]}" },
	{ "{" P
	  "'tools':[{'type':'function','function':{'name':'f','description':'d','strict':false,"
	  "'parameters':{'type':'object'}}}],'tool_choice':'required','parallel_tool_calls':false}",
	  "{" U ",'parallel_tool_calls':false,'tool_choice':'required','tools':[{'function':"
	  "{'description':'d','name':'f','parameters':{'type':'object'},'strict':false},"
	  "'type':'function'}]}" },
	{ "{" P "'tools':[{'type':'function','function':{'name':'f','parameters':null}}],"
	  "'tool_choice':{'type':'function','function':{'name':'f'}}}",
	  "{" U ",'tool_choice':{'function':{'name':'f'},'type':'function'},"
	  "'tools':[{'function':{'name':'f'},'type':'function'}]}" },
	{ "{" P "'tool_choice':'auto','extra_body':{'tools':[{'type':'web_search'}]}}",
	  "{'extra_body':{'tools':[{'type':'web_search'}]}," U ",'tool_choice':'auto'}" },
	/* other endpoints */
	{ "{" P "'suffix':'z'}", "{'prompt':'x','suffix':'z'}" },
	{ "{" P "'endpoint':'fim'}", "{'prompt':'x','suffix':''}" },
	{ "{" P "'endpoint':'fim','suffix':'','stop':[],'max_tokens':5}",
	  "{'max_tokens':5,'prompt':'x','stop':[],'suffix':''}" },
	{ "{'input':'x'}", "{'input':'x'}" },
	{ "{'input':''}", "{'input':''}" },
	{ "{'input':['x','y'],'dimensions':8.0,'endpoint':'embedding','extra_body':{'a':1}}",
	  "{'dimensions':8,'extra_body':{'a':1},'input':['x','y']}" },
	{ "{" P "'endpoint':'responses'}", "{" U "}" },
	/* images */
	{ "{" P "'images':[]}", "{" U "}" },
	{ "{" P "'images':['a.png','../b c.jpg']}",
	  "{'messages':[{'content':[{'text':'x','type':'text'},{'path':'a.png','type':'image'},"
	  "{'path':'../b c.jpg','type':'image'}],'role':'user'}]}" },
	{ "{'messages':[{'role':'user','content':[{'type':'image','url':'https://h/a.png','detail':'low',"
	  "'path':null}]}]}",
	  "{'messages':[{'content':[{'detail':'low','type':'image','url':'https://h/a.png'}],"
	  "'role':'user'}]}" },
	{ "{'messages':[{'role':'user','content':[{'type':'text','text':'x'},{'type':'image_url',"
	  "'image_url':{'url':'http://h/a','detail':'high'}},{'type':'image_url','image_url':'https://h/b'}]}]}",
	  "{'messages':[{'content':[{'text':'x','type':'text'},{'detail':'high','type':'image',"
	  "'url':'http://h/a'},{'type':'image','url':'https://h/b'}],'role':'user'}]}" },
	{ "{'messages':[{'role':'user','content':[{'type':'image','data':'R0lGODlh'}]}]}",
	  "{'messages':[{'content':[" GIF "],'role':'user'}]}" },
	{ "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':{'url':"
	  "'data:image/gif;base64,R0lGODlh','detail':null}},{'type':'image','media_type':'image/gif',"
	  "'data':'R0lGODlh'}]}]}",
	  "{'messages':[{'content':[" GIF "," GIF "],'role':'user'}]}" },
	/* not sent */
	{ "{" P "'stream':true,'stream_options':{'x':1},'user':5,'store':'y'}", "{" U "}" },
	{ "{" P "'metadata':{'a':'b'},'priority':5,'ttl':60,'timeout':1.5,'request_id':'r','n':1}",
	  "{" U "}" },
	{ "{" P "'cache':'only','model':'m','auto_route':false}", "{" U "}" },
	/* null is absence, also of what is not supported */
	{ "{" P "'temperature':null,'tools':null,'namespace':null,'fallback':null,'images':null,"
	  "'input':null,'suffix':null,'messages':null,'system':null,'max_cost_usd':null,'n':null}",
	  "{" U "}" },
	/* messages */
	{ "{'messages':[{'role':'developer','content':'d'},{'role':'user','content':'x','name':'bob'}]}",
	  "{'messages':[{'content':'d','role':'system'},{'content':'x','name':'bob','role':'user'}]}" },
	{ "{'messages':[{'role':'user','content':[{'type':'text','text':'x'}]}]}", "{" U "}" },
	{ "{'messages':[{'role':'user','content':[{'text':'a','type':'text'},{'type':'text','text':'b'}]}]}",
	  "{'messages':[{'content':[{'text':'a','type':'text'},{'text':'b','type':'text'}],"
	  "'role':'user'}]}" },
	{ "{'messages':[{'role':'user','content':'x','name':null}]}", "{" U "}" },
	{ "{'messages':[{'role':'user','content':''}]}",
	  "{'messages':[{'content':'','role':'user'}]}" },
	{ "{'messages':[{'role':'user','content':'x'},{'role':'assistant','content':'y','tool_calls':[]},"
	  "{'role':'user','content':'z'}]}",
	  "{'messages':[{'content':'x','role':'user'},{'content':'y','role':'assistant'},"
	  "{'content':'z','role':'user'}]}" },
	{ "{'messages':[{'role':'assistant','content':null,'tool_calls':null,'prefix':null}]}",
	  "{'messages':[{'content':null,'role':'assistant'}]}" },
	{ "{'messages':[{'role':'assistant','content':'So','prefix':true}]}",
	  "{'messages':[{'content':'So','prefix':true,'role':'assistant'}]}" },
	/* tool calls and their results */
	{ "{'messages':[{'role':'user','content':'x'},{'role':'assistant','content':null,'tool_calls':"
	  "[{'id':'1','type':'function','function':{'name':'f','arguments':'{}'},'extra_content':{'g':1}},"
	  "{'id':'2','function':{'name':'f','arguments':{'b':1,'a':9007199254740993}}}]},"
	  "{'role':'tool','tool_call_id':'1','content':[{'type':'text','text':'r'}],'name':'f'},"
	  "{'role':'tool','tool_call_id':'2','content':'','name':null}]}",
	  "{'messages':[{'content':'x','role':'user'},{'content':null,'role':'assistant','tool_calls':"
	  "[{'extra_content':{'g':1},'function':{'arguments':'{}','name':'f'},'id':'1',"
	  "'type':'function'},{'function':{'arguments':'{\\'a\\':9007199254740993,\\'b\\':1}',"
	  "'name':'f'},'id':'2','type':'function'}]},"
	  "{'content':'r','name':'f','role':'tool','tool_call_id':'1'},"
	  "{'content':'','role':'tool','tool_call_id':'2'}]}" },
	{ "{'messages':[{'role':'assistant','content':'','tool_calls':[{'type':'custom','id':'1','x':2}]}]}",
	  "{'messages':[{'content':'','role':'assistant','tool_calls':[{'id':'1','type':'custom','x':2}]}]}" },
	/* what a provider put into its answer goes back as it was */
	{ "{'messages':[{'role':'assistant','content':'y','thought_signature':'abc','z':{'a':[1,null]}}]}",
	  "{'messages':[{'content':'y','role':'assistant','thought_signature':'abc',"
	  "'z':{'a':[1,null]}}]}" },
	{ "{'messages':[{'role':'assistant','content':[{'type':'thinking','thinking':'t','signature':'s'},"
	  "{'type':'text','text':'y'}]}]}",
	  "{'messages':[{'content':[{'signature':'s','thinking':'t','type':'thinking'},"
	  "{'text':'y','type':'text'}],'role':'assistant'}]}" },
	{ "{'messages':[{'role':'assistant','content':[{'type':'text','text':'y','sig':'s'}]}]}",
	  "{'messages':[{'content':[{'sig':'s','text':'y','type':'text'}],'role':'assistant'}]}" },
	{ "{'messages':[{'role':'assistant','content':[{'type':'text','text':'y'}]}]}",
	  "{'messages':[{'content':'y','role':'assistant'}]}" },
};

static void test_body_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(body_rows); i++) {
		struct request *r = parse(body_rows[i].text, NULL);

		expect_json(r->body, body_rows[i].body);
		request_free(r);
	}
}

static void test_settings_when_absent(void **state)
{
	struct request *r = parse("{'prompt':'x'}", NULL);

	(void)state;
	assert_null(r->model);
	assert_null(r->request_id);
	assert_null(r->metadata);
	assert_int_equal(r->endpoint, REQUEST_CHAT);
	assert_int_equal(r->cache, REQUEST_CACHE_USE);
	assert_false(r->has_cache);
	assert_false(r->user_max_tokens);
	assert_false(r->own_messages);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->priority, 0);
	assert_true(r->timeout_s == 0);
	assert_true(r->ttl_s == 0);
	assert_true(r->max_cost_usd < 0);
	assert_null(request_free(r));
	assert_null(request_free(NULL));
}

static void test_settings(void **state)
{
	struct request *r =
		parse("{'messages':[{'role':'user','content':'x'}],'model':'mistral/small',"
		      "'request_id':'my/id','n':1,'priority':-20,'timeout':2.5,'ttl':3600,"
		      "'metadata':{'a':'b'},'cache':'refresh','max_tokens':9}",
		      NULL);

	(void)state;
	assert_string_equal(r->model, "mistral/small");
	assert_string_equal(r->request_id, "my/id");
	expect_json(r->metadata, "{'a':'b'}");
	assert_true(r->has_cache);
	assert_int_equal(r->cache, REQUEST_CACHE_REFRESH);
	assert_true(r->user_max_tokens);
	assert_true(r->own_messages);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->priority, -20);
	assert_true(r->timeout_s == 2.5);
	assert_true(r->ttl_s == 3600);
	request_free(r);
}

static void test_endpoint_completion(void **state)
{
	struct request *r = parse("{'prompt':'x','endpoint':'completion'}", NULL);

	(void)state;
	assert_int_equal(r->endpoint, REQUEST_COMPLETION);
	request_free(r);
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *text;
		enum request_endpoint endpoint;
	} rows[] = {
		{ "{" P "'endpoint':'responses'}", REQUEST_RESPONSES },
		{ "{" P "'suffix':'y'}", REQUEST_FIM },
		{ "{" P "'endpoint':'fim'}", REQUEST_FIM },
		{ "{'input':['x']}", REQUEST_EMBEDDING },
		{ "{'input':'x','endpoint':'embedding'}", REQUEST_EMBEDDING },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct request *r = parse(rows[i].text, NULL);

		assert_int_equal(r->endpoint, rows[i].endpoint);
		request_free(r);
	}
}

/* --- images ---------------------------------------------------------------------------------- */

static void test_image_types(void **state)
{
	(void)state;
	assert_string_equal(request_image_type("\x89PNG\r\n\x1a\n..", 10), "image/png");
	assert_string_equal(request_image_type("\xff\xd8\xff\xe0", 4), "image/jpeg");
	assert_string_equal(request_image_type("GIF87a", 6), "image/gif");
	assert_string_equal(request_image_type("GIF89a", 6), "image/gif");
	assert_string_equal(request_image_type("RIFF....WEBP", 12), "image/webp");
	assert_null(request_image_type("RIFF....WAVE", 12));
	assert_null(request_image_type("RIFF....WEB", 11));
	assert_null(request_image_type("\x89PNG\r\n\x1a", 7));
	assert_null(request_image_type("\xff\xd8", 2));
	assert_null(request_image_type("GIF88a", 6));
	assert_null(request_image_type("", 0));
}

static void test_image_set(void **state)
{
	struct request *r = parse("{" P "'images':['a.gif','b.gif'],'system':'s'}", NULL);
	struct request_target t = { "b", "m", NULL, NULL, 0 };
	struct err e = { 0 };
	json_t *o = NULL;

	(void)state;
	assert_int_equal(r->n_images, 2);
	assert_string_equal(json_string_value(r->images[1].path), "b.gif");
	assert_string_equal(r->images[0].field, "images[0]");
	assert_int_equal(request_effective(r, &t, &o), -EINVAL); /* not known yet */
	assert_null(o);
	assert_int_equal(request_image_set(r, 0, "plain text", 10, &e), -EINVAL);
	assert_string_equal(e.field, "images[0]");
	assert_non_null(strstr(e.message, "is no image"));
	assert_int_equal(request_image_set(r, 1, "", 0, NULL), -EINVAL);
	assert_int_equal(request_image_set(r, 2, "GIF89a", 6, NULL), -EINVAL);
	assert_int_equal(request_image_set(r, 0, "GIF89a", 6, &e), 0);
	assert_int_equal(request_image_set(r, 1, "GIF89a", 6, &e), 0);
	assert_true(r->images[0].known);
	assert_int_equal(request_effective(r, &t, &o), 0);
	request_free(r);
	expect_json(o, "{'backend':'b','endpoint':'chat','format':1,'messages':["
		       "{'content':'s','role':'system'},{'content':[{'text':'x','type':'text'}," GIF
		       "," GIF "],'role':'user'}],'model':'m'}");
	json_decref(o);
}

/* An address has no bytes here, an inline image has its own. */
static void test_images_listed(void **state)
{
	struct request *r = parse(
		"{'messages':[{'role':'user','content':[{'type':'image','url':'https://h/a'},"
		"{'type':'image','data':'R0lGODlh'},{'type':'image','path':'a','media_type':'image/jpg'}]}]}",
		NULL);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(r->n_images, 2);
	assert_true(r->images[0].known);
	assert_string_equal(json_string_value(r->images[0].data), "R0lGODlh");
	assert_null(r->images[0].path);
	assert_false(r->images[1].known);
	assert_string_equal(r->images[1].field, "messages[0].content[2]");
	assert_int_equal(request_image_set(r, 1, "GIF89a", 6, &e), -EINVAL);
	assert_non_null(strstr(e.message, "\"image/jpeg\", but its bytes are image/gif"));
	request_free(r);
}

static void test_too_many_images(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct request *r = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(buf_adds(&b, "{'prompt':'x','images':['a'"), 0);
	for (int i = 0; i < REQUEST_IMAGES; i++)
		assert_int_equal(buf_adds(&b, ",'a'"), 0);
	assert_int_equal(buf_adds(&b, "]}"), 0);
	assert_int_equal(parse_full(buf_str(&b), NULL, &r, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.message, "one image too many"));
}

static void test_cache_modes(void **state)
{
	static const struct {
		const char *text;
		enum request_cache cache;
	} rows[] = {
		{ "{" P "'cache':'use'}", REQUEST_CACHE_USE },
		{ "{" P "'cache':'bypass'}", REQUEST_CACHE_BYPASS },
		{ "{" P "'cache':'refresh'}", REQUEST_CACHE_REFRESH },
		{ "{" P "'cache':'only'}", REQUEST_CACHE_ONLY },
		{ "{" P "'use_cache':false}", REQUEST_CACHE_BYPASS },
		{ "{" P "'use_cache':true}", REQUEST_CACHE_USE },
		{ "{" P "'use_cache':false,'cache':null}", REQUEST_CACHE_BYPASS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct request *r = parse(rows[i].text, NULL);

		assert_true(r->has_cache);
		assert_int_equal(r->cache, rows[i].cache);
		request_free(r);
	}
}

static void test_names(void **state)
{
	static const char *const endpoints[] = { "chat", "completion", "fim", "embedding",
						 "responses" };
	static const char *const caches[] = { "use", "bypass", "refresh", "only" };
	enum request_cache c = REQUEST_CACHE_ONLY;

	(void)state;
	assert_int_equal(request_cache_parse("Use", &c), -EINVAL);
	assert_int_equal(request_cache_parse("", &c), -EINVAL);
	assert_int_equal(c, REQUEST_CACHE_ONLY);
	assert_string_equal(request_cache_name((enum request_cache)9), "?");
	assert_string_equal(request_endpoint_name((enum request_endpoint)9), "?");
	for (unsigned i = 0; i < ARRAY_LEN(caches); i++) {
		assert_string_equal(request_cache_name((enum request_cache)i), caches[i]);
		assert_int_equal(request_cache_parse(caches[i], &c), 0);
		assert_int_equal(c, i);
	}
	for (unsigned i = 0; i < ARRAY_LEN(endpoints); i++)
		assert_string_equal(request_endpoint_name((enum request_endpoint)i), endpoints[i]);
}

/* --- defaults -------------------------------------------------------------------------------- */

struct merge_row {
	const char *text, *defaults, *body;
};

static const struct merge_row merge_rows[] = {
	{ "{'prompt':'x'}", "[]", "{" U "}" },
	{ "{'prompt':'x'}", "[{}]", "{" U "}" },
	{ "{'prompt':'x'}", "[{'temperature':0.5}]", "{" U ",'temperature':0.5}" },
	{ "{" P "'temperature':0}", "[{'temperature':0.5}]", "{" U ",'temperature':0}" },
	/* nearest first, field by field */
	{ "{'prompt':'x'}", "[{'temperature':1},{'temperature':0.5,'seed':3},{'seed':4,'top_p':1}]",
	  "{" U ",'seed':3,'temperature':1,'top_p':1}" },
	/* null removes what is farther */
	{ "{'prompt':'x'}", "[{'temperature':null},{'temperature':0.5}]", "{" U "}" },
	{ "{" P "'temperature':null}", "[{'temperature':0.5}]", "{" U "}" },
	{ "{'prompt':'x'}", "[{'seed':1},{'seed':null},{'seed':2}]", "{" U ",'seed':1}" },
	{ "{" P "'tools':null}", "[{'tools':[" F "]}]", "{" U "}" },
	{ "{" P "'stop':[]}", "[{'stop':'a'}]", "{" U ",'stop':[]}" },
	/* two spellings are one field */
	{ "{" P "'max_completion_tokens':5}", "[{'max_tokens':9}]", "{'max_tokens':5," U "}" },
	{ "{" P "'max_tokens':null}", "[{'max_completion_tokens':9}]", "{" U "}" },
	{ "{'prompt':'x'}", "[{'max_completion_tokens':9}]", "{'max_tokens':9," U "}" },
	/* a field is taken whole */
	{ "{" P "'extra_body':{'a':1}}", "[{'extra_body':{'b':2}}]",
	  "{'extra_body':{'a':1}," U "}" },
	/* system */
	{ "{'prompt':'x'}", "[{'system':'s'}]",
	  "{'messages':[{'content':'s','role':'system'},{'content':'x','role':'user'}]}" },
	{ "{" P "'system':'own'}", "[{'system':'s'}]",
	  "{'messages':[{'content':'own','role':'system'},{'content':'x','role':'user'}]}" },
	{ "{" P "'system':null}", "[{'system':'s'}]", "{" U "}" },
	{ "{'messages':[{'role':'user','content':'x'}]}", "[{'system':'s'}]",
	  "{'messages':[{'content':'s','role':'system'},{'content':'x','role':'user'}]}" },
	{ "{'messages':[{'role':'system','content':'a'},{'role':'user','content':'x'}]}",
	  "[{'system':'s'}]",
	  "{'messages':[{'content':'a','role':'system'},{'content':'x','role':'user'}]}" },
	{ "{'messages':[{'role':'developer','content':'a'},{'role':'user','content':'x'}]}",
	  "[{'system':'s'}]",
	  "{'messages':[{'content':'a','role':'system'},{'content':'x','role':'user'}]}" },
	{ "{'prompt':'x'}", "[{'endpoint':'completion'}]", "{'prompt':'x'}" },
	/* what only the defaults have goes where it has a meaning */
	{ "{'prompt':'x'}", "[{'endpoint':'completion','system':'s'}]", "{'prompt':'x'}" },
	{ "{'input':'x'}",
	  "[{'system':'s','temperature':0,'max_completion_tokens':5,'dimensions':3}]",
	  "{'dimensions':3,'input':'x'}" },
	{ "{'prompt':'x'}", "[{'dimensions':3}]", "{" U "}" },
	{ "{" P "'tools':null}", "[{'tool_choice':'auto'},{'tools':[" F "]}]", "{" U "}" },
	{ "{'messages':[{'role':'user','content':'x'}]}", "[{'suffix':'s','images':['a.png']}]",
	  "{" U "}" },
	{ "{'prompt':'x'}", "[{'images':['a.png']}]",
	  "{'messages':[{'content':[{'text':'x','type':'text'},{'path':'a.png','type':'image'}],"
	  "'role':'user'}]}" },
};

static void test_merge_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(merge_rows); i++) {
		struct request *r = parse(merge_rows[i].text, merge_rows[i].defaults);

		expect_json(r->body, merge_rows[i].body);
		request_free(r);
	}
}

static void test_bad_defaults(void **state)
{
	static const struct {
		const char *defaults;
		struct bad_row row;
	} rows[] = {
		{ "[5]", { "", -EINVAL, "", ".defaults.json: defaults must be a JSON object" } },
		{ "[{},{'n':'x'}]", { "", -EINVAL, "n", ".defaults.json: n must be" } },
		{ "[{'tempature':1}]",
		  { "", -EINVAL, "tempature", ".defaults.json: unknown field" } },
		{ "[{'prompt':'y'}]", { "", -EINVAL, "prompt", "not into defaults" } },
		{ "[{'messages':[]}]", { "", -EINVAL, "messages", "not into defaults" } },
		{ "[{'input':'y'}]", { "", -EINVAL, "input", "not into defaults" } },
		{ "[{'tools':[{'type':'x'}]}]", { "", -EOPNOTSUPP, "tools", "only functions" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_bad("{'prompt':'x'}", rows[i].defaults, &rows[i].row);
}

static void test_defaults_give_settings(void **state)
{
	struct request *r = parse("{'prompt':'x'}",
				  "[{'model':'a','max_tokens':5,'timeout':9},"
				  "{'model':'b','use_cache':false,'priority':3}]");

	(void)state;
	assert_string_equal(r->model, "a");
	assert_true(r->user_max_tokens);
	assert_true(r->has_cache);
	assert_int_equal(r->cache, REQUEST_CACHE_BYPASS);
	assert_int_equal(r->priority, 3);
	assert_true(r->timeout_s == 9);
	request_free(r);
}

static int check_defaults(const char *text, json_t **out, struct err *e)
{
	AUTO_FREE char *p = quoted(text);

	return request_check_defaults(p, strlen(p), out, e);
}

static void test_check_defaults(void **state)
{
	static const struct bad_row rows[] = {
		{ "", -EINVAL, "", "empty" },
		{ "{", -EINVAL, "", "closing }" },
		{ "[]", -EINVAL, "", "defaults must be a JSON object" },
		{ "{'n':0}", -EINVAL, "n", "found 0" },
		{ "{'prompt':'x'}", -EINVAL, "prompt", "remove it" },
		{ "{'prompt':null}", -EINVAL, "prompt", "remove it" },
		{ "{'namespace':'a/b'}", -EINVAL, "namespace", "namespace" },
		{ "{'modle':'a'}", -EINVAL, "modle", "\"model\"" },
	};
	struct err e = { 0 };
	json_t *v = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(check_defaults(rows[i].text, &v, &e), rows[i].rc);
		assert_string_equal(e.field, rows[i].field);
		assert_non_null(strstr(e.message, rows[i].says));
		assert_null(v);
	}
	assert_int_equal(check_defaults("{'model':'a',\n'top_p':3}", &v, &e), -EINVAL);
	assert_int_equal(e.line, 2);
	assert_int_equal(check_defaults("{'max_completion_tokens':5,'seed':null}", &v, &e), 0);
	expect_json(v, "{'max_completion_tokens':5,'seed':null}"); /* as written */
	json_decref(v);
}

/* --- conversations --------------------------------------------------------------------------- */

struct prepend_row {
	const char *text, *history, *want;
};

#define H  "[{'role':'user','content':'q1'},{'role':'assistant','content':'a1'}]"
#define HW "{'content':'q1','role':'user'},{'content':'a1','role':'assistant'},"
#define S  "{'content':'s','role':'system'},"
#define X  "{'content':'x','role':'user'}"

static const struct prepend_row prepend_rows[] = {
	{ "{'prompt':'x'}", "[]", "[" X "]" },
	{ "{'prompt':'x'}", H, "[" HW X "]" },
	{ "{'prompt':'x','system':'s'}", H, "[" S HW X "]" },
	{ "{'prompt':'x','system':'s'}",
	  "[{'role':'system','content':'old'},{'role':'user','content':'q'}]",
	  "[" S "{'content':'q','role':'user'}," X "]" },
	{ "{'prompt':'x'}",
	  "[{'role':'system','content':'s'},{'role':'user','content':'q1'},"
	  "{'role':'assistant','content':'a1'}]",
	  "[" S HW X "]" },
	{ "{'messages':[{'role':'user','content':'x'}]}", H, "[" X "]" },
	{ "{'messages':[{'role':'user','content':'x'}],'system':'s'}", H, "[" S X "]" },
};

static void test_prepend(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(prepend_rows); i++) {
		struct request *r = parse(prepend_rows[i].text, NULL);
		json_t *history = json_of(prepend_rows[i].history);

		assert_int_equal(request_prepend(r, history), 0);
		expect_json(json_object_get(r->body, "messages"), prepend_rows[i].want);
		json_decref(history);
		request_free(r);
	}
}

static void test_prepend_leaves_completion_alone(void **state)
{
	struct request *r = parse("{'prompt':'x','endpoint':'completion'}", NULL);
	json_t *history = json_of(H);

	(void)state;
	assert_int_equal(request_prepend(r, history), 0);
	assert_int_equal(request_prepend(r, NULL), 0);
	expect_json(r->body, "{'prompt':'x'}");
	json_decref(history);
	request_free(r);
}

/* --- the effective request ------------------------------------------------------------------- */

static void expect_effective(const char *text, const struct request_target *t, const char *want)
{
	struct request *r = parse(text, NULL);
	json_t *o = NULL;

	assert_int_equal(request_effective(r, t, &o), 0);
	request_free(r); /* what was made lives on its own */
	expect_json(o, want);
	json_decref(o);
}

static void test_effective(void **state)
{
	struct request_target t = { "mistral", "small", NULL, NULL, 0 };

	(void)state;
	expect_effective("{'prompt':'x'}", &t,
			 "{'backend':'mistral','endpoint':'chat','format':1," U
			 ",'model':'small'}");
	expect_effective(
		"{'prompt':'x','model':'asked','endpoint':'completion','seed':1,'metadata':{'a':'b'},"
		"'request_id':'r','ttl':5,'timeout':5,'priority':5,'cache':'only'}",
		&t,
		"{'backend':'mistral','endpoint':'completion','format':1,'model':'small',"
		"'prompt':'x','seed':1}");
	t.scope = "";
	t.url = "";
	expect_effective("{'prompt':'x'}", &t,
			 "{'backend':'mistral','endpoint':'chat','format':1," U
			 ",'model':'small'}");
	t.scope = "tenant";
	t.url = "http://h/v1";
	expect_effective("{'prompt':'x'}", &t,
			 "{'backend':'mistral','endpoint':'chat','format':1," U
			 ",'model':'small','scope':'tenant','url':'http://h/v1'}");
}

static void test_effective_max_tokens(void **state)
{
	struct request_target t = { "anthropic", "m", NULL, NULL, 4096 };

	(void)state;
	expect_effective("{'prompt':'x'}", &t,
			 "{'backend':'anthropic','endpoint':'chat','format':1,'max_tokens':4096," U
			 ",'model':'m'}");
	expect_effective("{'prompt':'x','max_tokens':7}", &t,
			 "{'backend':'anthropic','endpoint':'chat','format':1,'max_tokens':7," U
			 ",'model':'m'}");
}

static void test_effective_extra_body_cannot_hide_members(void **state)
{
	struct request_target t = { "b", "m", NULL, NULL, 0 };

	(void)state;
	expect_effective(
		"{'prompt':'x','extra_body':{'model':'other','format':9}}", &t,
		"{'backend':'b','endpoint':'chat','extra_body':{'format':9,'model':'other'},"
		"'format':1," U ",'model':'m'}");
}

/* --- the key: these bytes may never change under format 1 ------------------------------------ */

static void expect_key(const char *text, const char *bytes, const char *hex)
{
	struct request_target t = { "mistral", "mistral-small-2603", NULL, NULL, 0 };
	AUTO_BUF struct buf b = BUF_INIT(1 << 16);
	AUTO_FREE char *want = quoted(bytes);
	struct request *r = parse(text, NULL);
	char got[KEY_HEX + 1];
	json_t *o = NULL;
	struct key k;

	assert_int_equal(request_effective(r, &t, &o), 0);
	assert_int_equal(canon_write(o, &b), 0);
	assert_string_equal(buf_str(&b), want);
	assert_int_equal(key_of(b.data, b.len, &k), 0);
	key_hex(&k, got);
	assert_string_equal(got, hex);
	json_decref(o);
	request_free(r);
}

static void test_pinned_keys(void **state)
{
	static const char plain[] = "{'backend':'mistral','endpoint':'chat','format':1,"
				    "'messages':[{'content':'Why is the sky blue?','role':'user'}],"
				    "'model':'mistral-small-2603'}";
	static const char rich[] =
		"{'backend':'mistral','endpoint':'chat','extra_body':{'safe_prompt':true,'x':null},"
		"'format':1,'frequency_penalty':-1.5,'logit_bias':{'42':-100},'logprobs':true,"
		"'max_tokens':64,'messages':[{'content':'Be brief.','role':'system'},"
		"{'content':'caf\xC3\xA9 \xF0\x9F\x98\x80\\n','role':'user'}],"
		"'min_p':0.05,'model':'mistral-small-2603','presence_penalty':0.25,"
		"'reasoning_effort':'low','response_format':{'type':'json_object'},"
		"'seed':9007199254740993,'stop':['END'],'temperature':0,'top_k':40,"
		"'top_logprobs':3,'top_p':0.9}";

	(void)state;
	expect_key("{'prompt':'Why is the sky blue?'}", plain,
		   "d2e0cd8df323ee23a0dff58277c2a4eb9571afc86b25a4e060435accb3acd556");
	expect_key("{'messages':[{'role':'user','content':[{'type':'text',"
		   "'text':'Why is the sky blue?'}]}],'stream':true,'n':1}",
		   plain, "d2e0cd8df323ee23a0dff58277c2a4eb9571afc86b25a4e060435accb3acd556");
	expect_key(
		"{'top_p':0.90,'system':'Be brief.','prompt':'caf\\u00e9 \\ud83d\\ude00\\n',"
		"'temperature':0.0,'top_k':40.0,'min_p':5e-2,'max_completion_tokens':64,'stop':'END',"
		"'seed':9007199254740993,'presence_penalty':0.25,'frequency_penalty':-1.5,"
		"'logit_bias':{'42':-100},'logprobs':true,'top_logprobs':3,"
		"'response_format':{'type':'json_object'},'reasoning_effort':'low',"
		"'extra_body':{'x':null,'safe_prompt':true},'metadata':{'a':'b'},'user':'u'}",
		rich, "eb47b9d412b0c3d76d8f35618dbcafe325facfeb4401a4065967eb6c8457ac40");
}

/* Two seeds that a double cannot tell apart are two requests. */
static void test_large_seeds_have_their_own_keys(void **state)
{
	struct request *a = parse("{'prompt':'x','seed':9007199254740992}", NULL);
	struct request *b = parse("{'prompt':'x','seed':9007199254740993}", NULL);
	AUTO_BUF struct buf one = BUF_INIT(4096), two = BUF_INIT(4096);

	(void)state;
	assert_int_equal(canon_write(a->body, &one), 0);
	assert_int_equal(canon_write(b->body, &two), 0);
	assert_string_not_equal(buf_str(&one), buf_str(&two));
	request_free(a);
	request_free(b);
}

/* --- memory ---------------------------------------------------------------------------------- */

static unsigned allocations_left;

static void *scarce_malloc(size_t n)
{
	if (!allocations_left)
		return NULL;
	allocations_left--;
	return malloc(n);
}

/* Each of jansson's allocations fails in turn: always -ENOMEM, nothing half made, nothing lost. */
static void test_out_of_memory(void **state)
{
	static const char text[] =
		"{'messages':[{'role':'user','content':[{'type':'text','text':'a'}]},"
		"{'role':'assistant','content':'b','x':1,'tool_calls':[{'id':'1','function':{'name':'f',"
		"'arguments':{'a':1}}}]},{'role':'user','content':[{'type':'image','data':'R0lGODlh'},"
		"{'type':'image_url','image_url':{'url':'https://h/a','detail':'low'}}]}],"
		"'tools':[" F "],'tool_choice':{'type':'function','function':{'name':'now'}},"
		"'response_format':{'type':'json_schema','json_schema':{'name':'a','schema':{}}},'stop':'a','max_tokens':5.0,'use_cache':false,"
		"'metadata':{'a':'b'},'model':'m','request_id':'r','extra_body':{'a':[1]},'top_p':null}";
	struct request_target t = { "b", "m", "u", "s", 0 };
	json_t *defaults = json_of("[{'system':'s','temperature':0,'top_p':1,'suffix':'s'}]");
	json_t *history = json_of(H);
	AUTO_FREE char *p = quoted(text);
	struct request_source src = { p, strlen(p), REQUEST_JSON, defaults };
	int rc = -ENOMEM;

	(void)state;
	for (unsigned n = 0; rc; n++) {
		struct request *r = NULL;
		json_t *o = NULL;
		struct err e = { 0 };

		allocations_left = n;
		json_set_alloc_funcs(scarce_malloc, free);
		rc = request_parse(&src, &r, NULL, &e);
		if (!rc)
			rc = request_prepend(r, history);
		if (!rc)
			rc = request_effective(r, &t, &o);
		json_set_alloc_funcs(malloc, free);
		if (rc != 0 && rc != -ENOMEM)
			fail_msg("after %u: %d %s", n, rc, e.message);
		assert_true(rc ? !o : o != NULL);
		json_decref(o);
		request_free(r);
		assert_true(n < 5000);
	}
	json_decref(defaults);
	json_decref(history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_rows),
		cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_names_are_cut_at_characters),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_wrong_is_not_unfinished),
		cmocka_unit_test(test_bad_defaults),
		cmocka_unit_test(test_check_defaults),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_text_rows),
		cmocka_unit_test(test_text_takes_defaults),
		cmocka_unit_test(test_body_rows),
		cmocka_unit_test(test_settings_when_absent),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_endpoint_completion),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_image_types),
		cmocka_unit_test(test_image_set),
		cmocka_unit_test(test_images_listed),
		cmocka_unit_test(test_too_many_images),
		cmocka_unit_test(test_cache_modes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_merge_rows),
		cmocka_unit_test(test_defaults_give_settings),
		cmocka_unit_test(test_prepend),
		cmocka_unit_test(test_prepend_leaves_completion_alone),
		cmocka_unit_test(test_effective),
		cmocka_unit_test(test_effective_max_tokens),
		cmocka_unit_test(test_effective_extra_body_cannot_hide_members),
		cmocka_unit_test(test_pinned_keys),
		cmocka_unit_test(test_large_seeds_have_their_own_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
