/*
 * infer/failure: error replies of every shape, and the sentences people read
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"
#include "infer/failure.h"

static char name[] = "mine", hint[] = "set MINE_API_KEY";
static const struct backend_config config = { .name = name, .at.key_hint = hint };

struct row {
	int status;
	const char *body;
	enum err_kind kind;
	bool retry;
	const char *message; /* in provider_message */
};

static const struct row rows[] = {
	{ 400, "{\"error\":{\"message\":\"no such field\",\"type\":\"invalid_request_error\"}}",
	  ERR_REQUEST, false, "no such field" },
	{ 400, "{\"error\":{\"message\":\"API key not valid. Please pass a valid API key.\"}}",
	  ERR_KEY_REJECTED, false, "API key" },
	{ 400, "{\"error\":{\"message\":\"x\",\"code\":\"invalid_api_key\"}}", ERR_KEY_REJECTED,
	  false, "x" },
	{ 400, "{\"error\":{\"message\":\"too long\",\"code\":\"context_length_exceeded\"}}",
	  ERR_CONTEXT, false, "too long" },
	{ 400,
	  "{\"error\":{\"code\":400,\"message\":\"request (4502 tokens) exceeds the available context size (2048 tokens)\",\"type\":\"exceed_context_size_error\"}}",
	  ERR_CONTEXT, false, "4502" },
	{ 400,
	  "{\"object\":\"error\",\"message\":\"This model's maximum context length is 4096 tokens.\",\"code\":400}",
	  ERR_CONTEXT, false, "4096" },
	{ 400,
	  "{\"object\":\"error\",\"message\":\"Prompt contains 40000 tokens, too large for model with 32768 maximum context length\",\"code\":\"3051\"}",
	  ERR_CONTEXT, false, "40000" },
	{ 401, "{\"message\":\"Unauthorized\",\"request_id\":\"0123abcd\"}", ERR_KEY_REJECTED,
	  false, "Unauthorized" },
	{ 403, "", ERR_KEY_REJECTED, false, "" },
	{ 402, "{\"error\":\"pay first\"}", ERR_QUOTA, false, "pay first" },
	{ 404,
	  "{\"error\":{\"message\":\"The model `x` does not exist\",\"code\":\"model_not_found\"}}",
	  ERR_NOT_FOUND, false, "does not exist" },
	{ 405, "no", ERR_REQUEST, false, "no" },
	{ 408, "", ERR_TIMEOUT, true, "" },
	{ 409, "", ERR_PROVIDER, true, "" },
	{ 413, "<html>too large</html>", ERR_CONTEXT, false, "web page" },
	{ 422,
	  "{\"detail\":[{\"loc\":[\"body\",\"messages\"],\"msg\":\"Field required\",\"type\":\"missing\"}]}",
	  ERR_REQUEST, false, "body.messages: Field required" },
	{ 422,
	  "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"foo\"],\"msg\":\"Extra inputs are not permitted\",\"input\":true}]},\"type\":\"invalid_request_error\",\"code\":null}",
	  ERR_REQUEST, false, "body.foo: Extra inputs" },
	{ 400, "{\"message\":\"Invalid model: x\",\"type\":\"invalid_model\",\"code\":\"1500\"}",
	  ERR_NOT_FOUND, false, "Invalid model" },
	{ 422, "{\"message\":\"m\",\"code\":\"context_length_exceeded\"}", ERR_CONTEXT, false,
	  "m" },
	{ 400, "{\"error\":\"the input length exceeds the context length\"}", ERR_CONTEXT, false,
	  "input length" },
	{ 404, "{\"error\":\"model 'x' not found\"}", ERR_NOT_FOUND, false, "'x'" },
	{ 422, "{\"detail\":\"just text\"}", ERR_REQUEST, false, "just text" },
	{ 425, "", ERR_PROVIDER, true, "" },
	{ 429,
	  "{\"object\":\"error\",\"message\":\"Rate limit exceeded\",\"type\":\"rate_limited\",\"param\":null,\"code\":\"1300\",\"raw_status_code\":429}",
	  ERR_RATE_LIMIT, true, "Rate limit" },
	{ 429,
	  "{\"error\":{\"message\":\"You exceeded your current quota, please check your plan\",\"code\":\"insufficient_quota\"}}",
	  ERR_QUOTA, false, "quota" },
	{ 429, "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\"}}", ERR_QUOTA, false,
	  "m" },
	{ 429, "{\"error\":{\"message\":\"m\",\"code\":\"billing_hard_limit_reached\"}}", ERR_QUOTA,
	  false, "m" },
	{ 429, "{\"error\":{\"message\":\"Rate limit reached on requests per day (RPD)\"}}",
	  ERR_QUOTA, false, "RPD" },
	{ 429, "", ERR_RATE_LIMIT, true, "" },
	{ 500,
	  "{\"error\":{\"code\":500,\"message\":\"[json.exception]\",\"type\":\"server_error\"}}",
	  ERR_PROVIDER, true, "json.exception" },
	{ 502, "<!DOCTYPE html><html><body>Bad gateway</body></html>", ERR_PROVIDER, true,
	  "web page" },
	{ 503,
	  "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}",
	  ERR_PROVIDER, true, "Loading model" },
	{ 504, "{\"error\":null}", ERR_PROVIDER, true, "" },
	{ 529, "{", ERR_PROVIDER, true, "{" },
	{ 301, "", ERR_PROTOCOL, false, "" },
	{ 307, "<html>", ERR_PROTOCOL, false, "web page" },
	{ 500, "[1,2]", ERR_PROVIDER, true, "[1,2]" },
	{ 500, "{\"error\":{\"message\":{\"a\":1},\"code\":{\"x\":2},\"type\":7},\"detail\":{}}",
	  ERR_PROVIDER, true, "" },
	{ 500, "\xff\xfe\x80 broken \x1b[31m text \x07", ERR_PROVIDER, true, "broken" },
	{ 422, "{\"detail\":[{\"loc\":\"x\",\"msg\":7}]}", ERR_REQUEST, false, "refused" },
};

static void no_control_characters(const char *s)
{
	assert_true(str_utf8_valid(s, strlen(s)));
	for (; *s; s++)
		assert_true((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct backend_failure f = { .status = rows[i].status,
					     .body = rows[i].body,
					     .len = strlen(rows[i].body),
					     .retry_after_s = -1,
					     .should_retry = -1 };
		struct err e;
		bool retry = failure_reply(&config, &f, &e);

		if (e.kind != rows[i].kind || retry != rows[i].retry)
			fail_msg("%d %s: %s, retry %d", rows[i].status, rows[i].body, e.message,
				 retry);
		assert_int_equal(e.http_status, rows[i].status);
		assert_string_equal(e.backend, "mine");
		assert_non_null(strstr(e.provider_message, rows[i].message));
		assert_non_null(strstr(e.message, "mine answered"));
		assert_true(e.message[strlen(e.message) - 1] == ')');
		no_control_characters(e.message);
		no_control_characters(e.provider_message);
		assert_int_equal(failure_reply(&config, &f, NULL), retry);
	}
}

static void test_wish_about_retries(void **state)
{
	struct backend_failure f = { .status = 500, .retry_after_s = 3, .should_retry = 0 };
	struct err e;

	(void)state;
	assert_false(failure_reply(&config, &f, &e));
	assert_true(e.retry_after_s == 3);
	f.status = 400;
	f.should_retry = 1;
	assert_true(failure_reply(&config, &f, &e));
	f.status = 429;
	f.body = "{\"error\":{\"code\":\"insufficient_quota\"}}";
	f.len = strlen(f.body);
	assert_false(failure_reply(&config, &f, &e)); /* money does not come back by asking again */
}

static void test_huge_body(void **state)
{
	size_t n = 4 << 20;
	char *body = malloc(n);
	struct backend_failure f = { .status = 500, .body = body, .len = n, .should_retry = -1 };
	struct err e;

	(void)state;
	memset(body, '\xc3', n);
	assert_true(failure_reply(&config, &f, &e));
	no_control_characters(e.message);
	memset(body, '{', n);
	assert_true(failure_reply(&config, &f, &e));
	memset(body, '[', n);
	assert_true(failure_reply(&config, &f, &e));
	free(body);
}

/* A key is masked also where the cut would leave only its beginning. */
static void test_keys_are_masked(void **state)
{
	char body[2000], text[64];
	struct backend_failure f = { .status = 401, .body = body, .should_retry = -1 };
	struct err e;

	(void)state;
	log_secret("sk-super-secret-0123456789");
	for (size_t pad = 0; pad < 600; pad++) {
		memset(body, 'a', pad);
		strcpy(body + pad, " key sk-super-secret-0123456789 is bad");
		f.len = strlen(body);
		(void)failure_reply(&config, &f, &e);
		assert_null(strstr(e.message, "sk-s"));
		assert_null(strstr(e.provider_message, "sk-s"));
	}
	failure_text(text, sizeof(text), body, f.len);
	assert_int_equal(strlen(text), 63);
}

static void test_errors_within_an_answer(void **state)
{
	static const struct {
		const char *text;
		int code;
	} events[] = {
		{ "{\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}", EREMOTEIO },
		{ "{\"error\":{\"message\":\"m\",\"code\":503}}", EREMOTEIO },
		{ "{\"error\":{\"message\":\"m\",\"code\":400}}", EINVAL },
		{ "{\"error\":{\"message\":\"maximum context length is 1\",\"code\":400}}",
		  EMSGSIZE },
		{ "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\"}}", EDQUOT },
		{ "{\"error\":{\"message\":\"m\",\"code\":\"rate_limit_exceeded\"}}", EBUSY },
		{ "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\"}}", EINVAL },
		{ "{\"error\":{\"message\":\"m\",\"code\":\"invalid_api_key\"}}", EKEYREJECTED },
		{ "{\"error\":{\"message\":\"m\",\"code\":\"context_length_exceeded\"}}",
		  EMSGSIZE },
		{ "{\"error\":\"text\"}", EREMOTEIO },
		{ "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}",
		  EBUSY },
		{ "{\"object\":\"error\",\"message\":\"m\",\"raw_status_code\":422}", EINVAL },
		{ "{\"error\":{\"code\":\"model_not_found\"}}", ENXIO },
		{ "{\"object\":\"error\",\"message\":\"m\",\"code\":500}", EREMOTEIO },
		{ "{\"message\":\"m\"}", EREMOTEIO },
		{ "{\"error\":[]}", EREMOTEIO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		json_t *o = json_loads(events[i].text, 0, NULL);
		struct err e;

		assert_int_equal(failure_event(&config, o, &e), -events[i].code);
		assert_int_equal(e.code, events[i].code);
		assert_string_equal(e.backend, "mine");
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_wish_about_retries),
		cmocka_unit_test(test_huge_body),
		cmocka_unit_test(test_keys_are_masked),
		cmocka_unit_test(test_errors_within_an_answer),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	log_close();
	return rc;
}
