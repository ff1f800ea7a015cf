/*
 * test_response.c - the files of a response, byte for byte
 */
#include <errno.h>
#include <math.h>
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
#include "core/response.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

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
	json_t *v = json_loads(p, 0, NULL);

	if (!v)
		fail_msg("not JSON: %s", p);
	return v;
}

/* ' stands for ", and the newline at the end is always wanted */
static void expect(const struct buf *b, const char *want)
{
	AUTO_FREE char *p = quoted(want);

	assert_true(b->len > 0 && b->data[b->len - 1] == '\n');
	assert_string_equal(buf_str(b), p);
}

static struct key key_abc(void)
{
	struct key k;

	assert_int_equal(key_parse(HEX, &k), 0);
	return k;
}

static struct response_facts facts(void)
{
	return (struct response_facts){
		.request_id = "sky",
		.backend = "mistral",
		.route = "explicit",
		.model = "mistral-small-latest",
		.key = key_abc(),
		.created_real_ns = 1795226584567000000u,
		.queue_ms = 0.4,
		.first_token_ms = 180,
		.total_ms = 912,
		.attempts = 1,
		.cost_usd = 0.000123,
		.saved_usd = 0,
		.tokens = { 12, 0, 0, 40, 0 },
	};
}

static const char sample_text[] =
	"{'text':'Rayleigh','finish_reason':'stop','tool_calls':null,'reasoning':null,'logprobs':null,"
	"'refusal':null,'usage':{'input_tokens':12,'output_tokens':40},'cost_usd':0.000123,"
	"'model':'mistral-small-2603','provider':'mistral','provider_request_id':'r-1',"
	"'call':{'id':'c-1','samples':1}}";

static void test_response_over_the_maximum(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);
	struct response_facts f = facts();

	(void)state;
	assert_int_equal(response_json(&f, NULL, 0, &b), -EFBIG);
	buf_clear(&b);
	assert_int_equal(response_usage_json(&f, "done", &b), -EFBIG);
}

static void test_response_json(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	json_t *sample = json_of(sample_text);
	struct response_sample s = { sample, "2026-11-21T02:03:04.000Z", 0, false, false };
	struct response_facts f = facts();

	(void)state;
	assert_int_equal(response_json(&f, &s, 1, &b), 0);
	expect(&b,
	       "{'status':'done','request_id':'sky','namespace':null,'key':'" HEX "',"
	       "'backend':'mistral','model':'mistral-small-2603','route':'explicit',"
	       "'samples':[{'index':0,'text':'Rayleigh','finish_reason':'stop','tool_calls':null,"
	       "'reasoning':null,'logprobs':null,'cached':false,'duplicated':false,'refusal':null}],"
	       "'usage':{'input_tokens':12,'cached_input_tokens':0,'cache_write_tokens':0,"
	       "'output_tokens':40,'reasoning_tokens':0},'cost_usd':0.000123,'saved_usd':0,"
	       "'attempts':1,'created':'2026-11-21T02:03:04.567Z','queue_ms':0.4,"
	       "'first_token_ms':180,'total_ms':912,'dropped':[]}\n");
	json_decref(sample);
}

static void test_response_json_unknown_is_null(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct response_facts f = { .queue_ms = -1,
				    .first_token_ms = -1,
				    .total_ms = -1,
				    .cost_usd = -1,
				    .saved_usd = -1,
				    .tokens = { -1, -1, -1, -1, -1 } };

	(void)state;
	f.key = key_abc();
	assert_int_equal(response_json(&f, NULL, 0, &b), 0);
	expect(&b,
	       "{'status':'done','request_id':null,'namespace':null,'key':'" HEX "',"
	       "'backend':null,'model':null,'route':null,'samples':[],"
	       "'usage':{'input_tokens':null,'cached_input_tokens':null,'cache_write_tokens':null,"
	       "'output_tokens':null,'reasoning_tokens':null},'cost_usd':null,'saved_usd':null,"
	       "'attempts':0,'created':'1970-01-01T00:00:00.000Z','queue_ms':null,"
	       "'first_token_ms':null,'total_ms':null,'dropped':[]}\n");
}

static void test_response_json_several_samples(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	json_t *one = json_of("{'text':'a','finish_reason':'length','refusal':'no','reasoning':'r',"
			      "'tool_calls':[{'id':'t'}],'logprobs':{'content':[]}}");
	json_t *two = json_of("{}");
	json_t *dropped = json_of("['top_k']");
	struct response_sample s[] = { { one, NULL, 3, true, false },
				       { two, NULL, 4294967295u, false, true } };
	struct response_facts f = facts();

	(void)state;
	f.ns = "exp1";
	f.dropped = dropped;
	f.attempts = 3;
	assert_int_equal(response_json(&f, s, 2, &b), 0);
	expect(&b,
	       "{'status':'done','request_id':'sky','namespace':'exp1','key':'" HEX "',"
	       "'backend':'mistral','model':'mistral-small-latest','route':'explicit',"
	       "'samples':[{'index':3,'text':'a','finish_reason':'length','tool_calls':[{'id':'t'}],"
	       "'reasoning':'r','logprobs':{'content':[]},'cached':true,'duplicated':false,"
	       "'refusal':'no'},{'index':4294967295,'text':null,'finish_reason':null,"
	       "'tool_calls':null,'reasoning':null,'logprobs':null,'cached':false,"
	       "'duplicated':true,'refusal':null}],"
	       "'usage':{'input_tokens':12,'cached_input_tokens':0,'cache_write_tokens':0,"
	       "'output_tokens':40,'reasoning_tokens':0},'cost_usd':0.000123,'saved_usd':0,"
	       "'attempts':3,'created':'2026-11-21T02:03:04.567Z','queue_ms':0.4,"
	       "'first_token_ms':180,'total_ms':912,'dropped':['top_k']}\n");
	json_decref(one);
	json_decref(two);
	json_decref(dropped);
}

static void test_times_are_microseconds(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct response_facts f = facts();

	(void)state;
	f.queue_ms = 0.123456789;
	f.first_token_ms = 1e-9;
	f.total_ms = (double)NAN;
	assert_int_equal(response_usage_json(&f, "done", &b), 0);
	assert_non_null(
		strstr(buf_str(&b), "\"queue_ms\":0.123,\"first_token_ms\":0,\"total_ms\":null"));
}

/* A file name that is not UTF-8 is still a request. */
static void test_odd_request_id(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct response_facts f = facts();

	(void)state;
	f.request_id = "caf\xE9";
	assert_int_equal(response_usage_json(&f, "queued", &b), 0);
	assert_non_null(strstr(buf_str(&b), "\"request_id\":\"caf\xEF\xBF\xBD\""));
}

static void test_sample_json(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	json_t *sample = json_of(sample_text);
	struct response_sample s = { sample, "2026-11-21T02:03:04.000Z", 2, true, false };
	struct key k = key_abc();

	(void)state;
	assert_int_equal(response_sample_json(&s, &k, &b), 0);
	expect(&b,
	       "{'index':2,'text':'Rayleigh','finish_reason':'stop','tool_calls':null,"
	       "'reasoning':null,'logprobs':null,'cached':true,'duplicated':false,'refusal':null,"
	       "'key':'" HEX
	       "','model':'mistral-small-2603','created':'2026-11-21T02:03:04.000Z'}\n");
	json_decref(sample);
}

static void test_meta_json(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20), c = BUF_INIT(1 << 20);
	json_t *sample = json_of(sample_text), *empty = json_of("{}");
	struct response_sample s = { sample, "2026-11-21T02:03:04.000Z", 2, false, true };
	struct response_sample t = { empty, NULL, 0, false, false };
	struct key k = key_abc();

	(void)state;
	assert_int_equal(response_meta_json(&s, &k, &b), 0);
	expect(&b, "{'index':2,'key':'" HEX "','created':'2026-11-21T02:03:04.000Z',"
		   "'provider':'mistral','model':'mistral-small-2603','finish_reason':'stop',"
		   "'usage':{'input_tokens':12,'output_tokens':40},'cost_usd':0.000123,"
		   "'provider_request_id':'r-1','call':{'id':'c-1','samples':1},'cached':false,"
		   "'duplicated':true}\n");
	assert_int_equal(response_meta_json(&t, &k, &c), 0);
	expect(&c, "{'index':0,'key':'" HEX "','created':null,'provider':null,'model':null,"
		   "'finish_reason':null,'usage':null,'cost_usd':null,'provider_request_id':null,"
		   "'call':null,'cached':false,'duplicated':false}\n");
	json_decref(sample);
	json_decref(empty);
}

static void test_usage_json(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct response_facts f = facts();

	(void)state;
	f.tokens[1] = -1;
	f.attempts = 5;
	assert_int_equal(response_usage_json(&f, "failed", &b), 0);
	expect(&b, "{'status':'failed','request_id':'sky','key':'" HEX "','backend':'mistral',"
		   "'model':'mistral-small-latest','usage':{'input_tokens':12,"
		   "'cached_input_tokens':null,'cache_write_tokens':0,'output_tokens':40,"
		   "'reasoning_tokens':0},'cost_usd':0.000123,'saved_usd':0,'attempts':5,"
		   "'created':'2026-11-21T02:03:04.567Z','queue_ms':0.4,'first_token_ms':180,"
		   "'total_ms':912}\n");
}

static void test_text(void **state)
{
	static const char *const rows[][2] = {
		{ "{}", "" },
		{ "{'text':null}", "" },
		{ "{'text':5}", "" },
		{ "{'text':''}", "" },
		{ "{'text':'x'}", "x\n" },
		{ "{'text':'x\\n'}", "x\n" },
		{ "{'text':'\\n'}", "\n" },
		{ "{'text':'x\\n\\n'}", "x\n\n" },
		{ "{'text':'a\\nb'}", "a\nb\n" },
		{ "{'text':'\\u00e9'}", "\xC3\xA9\n" },
	};
	AUTO_BUF struct buf small = BUF_INIT(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF struct buf b = BUF_INIT(100);
		json_t *sample = json_of(rows[i][0]);

		assert_int_equal(response_text(sample, &b), 0);
		assert_string_equal(buf_str(&b), rows[i][1]);
		if (b.len == 2)
			assert_int_equal(response_text(sample, &small), -EFBIG);
		json_decref(sample);
	}
}

/* --- errors ---------------------------------------------------------------------------------- */

static void test_error_minimal(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(4096);
	struct err e = { 0 };

	(void)state;
	(void)err_set(&e, ERR_CANCELLED, "cancelled by its user");
	assert_int_equal(response_error_json(&e, "sky", &b), 0);
	expect(&b, "{'errno':'ECANCELED','code':125,'category':'cancelled',"
		   "'message':'cancelled by its user','request_id':'sky'}\n");
}

static void test_error_with_all_that_is_known(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(8192);
	struct err e = { 0 };

	(void)state;
	(void)err_field(&e, ERR_REQUEST, "temperature", "temperature must be less");
	e.line = 3;
	e.column = 7;
	e.http_status = 400;
	e.attempts = 2;
	e.retry_after_s = 1.5;
	str_copy(e.backend, sizeof(e.backend), "mistral");
	str_copy(e.provider_type, sizeof(e.provider_type), "invalid_request");
	str_copy(e.provider_message, sizeof(e.provider_message), "say \"please\"");
	assert_int_equal(response_error_json(&e, NULL, &b), 0);
	expect(&b, "{'errno':'EINVAL','code':22,'category':'request',"
		   "'message':'temperature must be less','request_id':null,'line':3,'column':7,"
		   "'field':'temperature','backend':'mistral','http_status':400,"
		   "'provider_type':'invalid_request','provider_message':'say \\'please\\'',"
		   "'attempts':2,'retry_after_s':1.5}\n");
}

static void test_error_every_kind(void **state)
{
	(void)state;
	for (int kind = ERR_NONE + 1; kind < ERR_KINDS; kind++) {
		AUTO_BUF struct buf b = BUF_INIT(4096);
		struct err e = { 0 };
		json_t *v;

		(void)err_set(&e, (enum err_kind)kind, "x");
		assert_int_equal(response_error_json(&e, "r", &b), 0);
		v = json_loadb(b.data, b.len, 0, NULL);
		assert_int_equal(json_object_size(v), 5);
		assert_int_equal(json_integer_value(json_object_get(v, "code")), e.code);
		assert_string_equal(json_string_value(json_object_get(v, "errno")),
				    err_name(e.code));
		assert_string_equal(json_string_value(json_object_get(v, "category")),
				    err_category((enum err_kind)kind));
		json_decref(v);
	}
}

static void test_error_code_from_kind(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(4096);
	struct err e = { .kind = ERR_TIMEOUT };

	(void)state;
	assert_int_equal(response_error_json(&e, "r", &b), 0);
	expect(&b, "{'errno':'ETIMEDOUT','code':110,'category':'timeout','message':'',"
		   "'request_id':'r'}\n");
}

static void test_error_bytes_that_are_no_text(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(8192);
	struct err e = { 0 };
	json_t *v;

	(void)state;
	(void)err_set(&e, ERR_PROVIDER, "server said \xFF\xFE and \xE2\x82");
	memset(e.provider_message, 0x80, sizeof(e.provider_message) - 1);
	assert_int_equal(response_error_json(&e, "\xC3(", &b), 0);
	v = json_loadb(b.data, b.len, 0, NULL);
	assert_non_null(v);
	assert_string_equal(json_string_value(json_object_get(v, "message")),
			    "server said \xEF\xBF\xBD\xEF\xBF\xBD and \xEF\xBF\xBD\xEF\xBF\xBD");
	assert_string_equal(json_string_value(json_object_get(v, "request_id")), "\xEF\xBF\xBD(");
	assert_int_equal(json_string_length(json_object_get(v, "provider_message")),
			 3 * (ERR_MESSAGE_MAX - 1));
	json_decref(v);
}

static unsigned allocations_left;

static void *scarce_malloc(size_t n)
{
	if (!allocations_left)
		return NULL;
	allocations_left--;
	return malloc(n);
}

static int render(int which, struct response_sample *s, const struct err *e, struct buf *b)
{
	struct response_facts f = facts();

	switch (which) {
	case 0:
		return response_json(&f, s, 1, b);
	case 1:
		return response_sample_json(s, &f.key, b);
	case 2:
		return response_meta_json(s, &f.key, b);
	case 3:
		return response_usage_json(&f, "done", b);
	default:
		return response_error_json(e, "sky", b);
	}
}

static void test_out_of_memory(void **state)
{
	json_t *sample = json_of(sample_text);
	struct response_sample s = { sample, "2026-11-21T02:03:04.000Z", 0, false, false };
	struct err e = { 0 };

	(void)state;
	(void)err_field(&e, ERR_REQUEST, "n", "wrong");
	e.line = 1;
	for (int which = 0; which < 5; which++) {
		int rc = -ENOMEM;

		for (unsigned n = 0; rc; n++) {
			AUTO_BUF struct buf b = BUF_INIT(1 << 16);

			allocations_left = n;
			json_set_alloc_funcs(scarce_malloc, free);
			rc = render(which, &s, &e, &b);
			json_set_alloc_funcs(malloc, free);
			assert_true(rc == 0 || rc == -ENOMEM);
			assert_true(rc == 0 || b.len == 0);
			assert_true(n < 1000);
		}
	}
	json_decref(sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_response_over_the_maximum),
		cmocka_unit_test(test_response_json_unknown_is_null),
		cmocka_unit_test(test_error_bytes_that_are_no_text),
		cmocka_unit_test(test_odd_request_id),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_response_json),
		cmocka_unit_test(test_response_json_several_samples),
		cmocka_unit_test(test_times_are_microseconds),
		cmocka_unit_test(test_sample_json),
		cmocka_unit_test(test_meta_json),
		cmocka_unit_test(test_usage_json),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_error_minimal),
		cmocka_unit_test(test_error_with_all_that_is_known),
		cmocka_unit_test(test_error_every_kind),
		cmocka_unit_test(test_error_code_from_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
