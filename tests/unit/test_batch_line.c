/*
 * infer/batch: lines that are handed in, and lines that come back
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/str.h"
#include "infer/batch.h"
#include "wire_ask.h"

/* ---- what is handed in ---- */

struct draft {
	const char *type, *effective;
	const char *endpoint, *model, *header, *line;
};

#define CHAT(more)                                                                                           \
	"{\"endpoint\":\"chat\",\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" more \
	"}"

static const struct draft drafts[] = {
	{ "openai", CHAT(",\"temperature\":0.7,\"max_tokens\":9"), "/v1/chat/completions", "m1", "",
	  "{\"body\":{\"max_completion_tokens\":9,\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"model\":\"m1\","
	  "\"temperature\":0.7},\"custom_id\":\"t-7\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\"}\n" },
	{ "openai", "{\"endpoint\":\"embedding\",\"model\":\"e\",\"input\":[\"a\",\"b\"]}",
	  "/v1/embeddings", "e", "",
	  "{\"body\":{\"encoding_format\":\"base64\",\"input\":[\"a\",\"b\"],\"model\":\"e\"},\"custom_id\":\"t-7\",\"method\":\"POST\","
	  "\"url\":\"/v1/embeddings\"}\n" },
	{ "openai",
	  "{\"endpoint\":\"responses\",\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
	  "/v1/responses", "m1", "", NULL },
	{ "openai", "{\"endpoint\":\"completion\",\"model\":\"m1\",\"prompt\":\"a\\nb\"}",
	  "/v1/completions", "m1", "", NULL },
	{ "mistral", CHAT(",\"seed\":3"), "/v1/chat/completions", "m1", "",
	  "{\"body\":{\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"random_seed\":3},"
	  "\"custom_id\":\"t-7\"}\n" },
	{ "mistral", "{\"endpoint\":\"fim\",\"model\":\"c\",\"prompt\":\"a\",\"suffix\":\"b\"}",
	  "/v1/fim/completions", "c", "",
	  "{\"body\":{\"prompt\":\"a\",\"suffix\":\"b\"},\"custom_id\":\"t-7\"}\n" },
	{ "mistral", CHAT(",\"extra_body\":{\"stream\":true,\"safe_prompt\":true}"),
	  "/v1/chat/completions", "m1", "",
	  "{\"body\":{\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"safe_prompt\":true},"
	  "\"custom_id\":\"t-7\"}\n" },
	{ "gemini", CHAT(",\"max_tokens\":9"), "batchGenerateContent", "models/m1", "",
	  "{\"key\":\"t-7\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"hi\"}],\"role\":\"user\"}],"
	  "\"generationConfig\":{\"maxOutputTokens\":9}}}\n" },
	{ "gemini",
	  "{\"endpoint\":\"embedding\",\"model\":\"models/e\",\"input\":\"a\",\"dimensions\":4}",
	  "asyncBatchEmbedContent", "models/e", "",
	  "{\"key\":\"t-7\",\"request\":{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"model\":\"models/e\","
	  "\"outputDimensionality\":4}}\n" },
	{ "anthropic", CHAT(",\"max_tokens\":9"), "/v1/messages", "",
	  "anthropic-version: 2026-10-21",
	  "{\"custom_id\":\"t-7\",\"params\":{\"max_tokens\":9,\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],"
	  "\"model\":\"m1\"}}\n" },
	{ "anthropic", CHAT(",\"max_tokens\":9,\"temperature\":1"), "/v1/messages", "",
	  "anthropic-version: 2023-06-01", NULL },
};

static void test_drafts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(drafts); i++) {
		const struct draft *k = &drafts[i];
		struct backend_config c = ask_config(k->type, "http://h");
		json_t *effective = json_loads(k->effective, 0, NULL);
		struct buf line = BUF_INIT(1 << 20);
		struct batch_draft d;
		struct err e;

		if (batch_draft_make(&c, effective, NULL, &d, &e))
			fail_msg("%s: %s", k->type, e.message);
		assert_string_equal(d.group.endpoint, k->endpoint);
		assert_string_equal(d.group.model, k->model);
		assert_string_equal(d.group.header, k->header);
		assert_null(json_object_get(d.body, "stream"));
		assert_null(json_object_get(d.body, "stream_options"));
		assert_int_equal(batch_draft_line(&c, &d, "t", 7, &line), 0);
		if (k->line)
			assert_string_equal(buf_str(&line), k->line);
		assert_ptr_equal(strchr(buf_str(&line), '\n'), line.data + line.len - 1);
		batch_draft_done(&d);
		buf_done(&line);
		json_decref(effective);
		ask_config_done(&c);
	}
}

static void test_bad_drafts(void **state)
{
	struct backend_config c = ask_config("gemini", "http://h");
	json_t *two = json_loads(
		"{\"endpoint\":\"embedding\",\"model\":\"e\",\"input\":[\"a\",\"b\"]}", 0, NULL);
	json_t *chat = json_loads(CHAT(""), 0, NULL);
	struct buf small = BUF_INIT(40);
	struct batch_draft d;
	struct err e;

	(void)state;
	assert_int_equal(batch_draft_make(&c, two, NULL, &d, &e), -EOPNOTSUPP);
	assert_string_equal(e.field, "input");
	ask_config_done(&c);
	c = ask_config("ollama", "http://h");
	assert_int_equal(batch_draft_make(&c, chat, NULL, &d, &e), -EOPNOTSUPP);
	ask_config_done(&c);
	c = ask_config("mistral", "http://h");
	assert_int_equal(batch_draft_make(&c, chat, NULL, &d, &e), 0);
	assert_int_equal(batch_draft_line(&c, &d, "", 7, &small), -EINVAL);
	assert_int_equal(buf_adds(&small, "first\n"), 0);
	assert_int_equal(batch_draft_line(&c, &d, "t", 7, &small), -EFBIG);
	assert_string_equal(buf_str(&small), "first\n"); /* all or nothing */
	assert_int_equal(buf_adds(&small, "second\n"), 0);
	batch_draft_done(&d);
	json_object_set_new(chat, "model", json_string("m\xc3\xa4"));
	buf_done(&small);
	json_decref(two);
	json_decref(chat);
	ask_config_done(&c);
}

/* ---- what comes back ---- */

struct result {
	const char *type, *text;
	int rc;
	enum batch_line_kind kind;
	const char *says; /* the answer's text, or a piece of the error's sentence */
	int code;
	bool retryable;
};

#define OPENAI_BODY                                                                                        \
	"{\"id\":\"c1\",\"model\":\"m1-2\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," \
	"\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,"              \
	"\"completion_tokens\":1}}"
#define HTTP_LINE(id, status, body)                                                    \
	"{\"id\":\"r\",\"custom_id\":\"" id "\",\"response\":{\"status_code\":" status \
	",\"body\":" body "},\"error\":null}"
#define ERROR_LINE(id, error) "{\"custom_id\":\"" id "\",\"response\":null,\"error\":" error "}"
#define GEMINI_BODY                                                                            \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello\"}],\"role\":\"model\"}," \
	"\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":1}}"
#define ANTHROPIC_BODY                                                                                  \
	"{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m1\",\"content\":[{" \
	"\"type\":\"text\",\"text\":\"Hello\"}],\"stop_reason\":\"end_turn\",\"usage\":{"               \
	"\"input_tokens\":3,\"output_tokens\":1}}"
#define ANTHROPIC_LINE(id, result) "{\"custom_id\":\"" id "\",\"result\":" result "}"

static const struct result results[] = {
	{ "openai", HTTP_LINE("t-1", "200", OPENAI_BODY), 0, BATCH_LINE_ANSWER, "Hello", 0, false },
	{ "openai", ERROR_LINE("t-1", "{\"code\":\"batch_expired\",\"message\":\"m\"}"), 0,
	  BATCH_LINE_EXPIRED, "time was over", ETIMEDOUT, true },
	{ "openai", ERROR_LINE("t-1", "{\"code\":\"batch_cancelled\",\"message\":\"m\"}"), 0,
	  BATCH_LINE_CANCELLED, "cancelled", ECANCELED, true },
	{ "openai", ERROR_LINE("t-1", "{\"code\":\"server_error\",\"message\":\"Oh dear\"}"), 0,
	  BATCH_LINE_ERROR, "Oh dear", EREMOTEIO, true },
	{ "openai", ERROR_LINE("t-1", "\"just words\""), 0, BATCH_LINE_ERROR, "t-1", EREMOTEIO,
	  true },
	{ "openai",
	  HTTP_LINE("t-1", "400", "{\"error\":{\"message\":\"No such field\",\"type\":\"x\"}}"), 0,
	  BATCH_LINE_ERROR, "No such field", EINVAL, false },
	{ "openai", HTTP_LINE("t-1", "429", "{\"error\":{\"message\":\"slow\"}}"), 0,
	  BATCH_LINE_ERROR, "slow", EBUSY, true },
	{ "openai", HTTP_LINE("t-1", "500", "null"), 0, BATCH_LINE_ERROR, "500", EREMOTEIO, true },
	{ "openai", HTTP_LINE("t-1", "200", "null"), 0, BATCH_LINE_ERROR, "no explanation",
	  EREMOTEIO, true },
	{ "openai", HTTP_LINE("t-1", "200", "{\"choices\":[]}"), 0, BATCH_LINE_ERROR, "", EBADMSG,
	  true },
	{ "openai", HTTP_LINE("t-1", "200", "{\"error\":{\"message\":\"inside\"}}"), 0,
	  BATCH_LINE_ERROR, "inside", EREMOTEIO, true },
	{ "openai", "", -EBADMSG, 0, NULL, 0, false },
	{ "openai", "[]", -EBADMSG, 0, NULL, 0, false },
	{ "openai", "{\"custom_id\":\"t-1\"}", -EBADMSG, 0, NULL, 0, false },
	{ "openai", "{\"custom_id\":1,\"response\":{}}", -EBADMSG, 0, NULL, 0, false },
	{ "openai", "{\"custom_id\":\"t-1\",\"respon", -EBADMSG, 0, NULL, 0, false },
	{ "openai", HTTP_LINE("t-2", "200", OPENAI_BODY), -ENOENT, 0, NULL, 0, false },
	{ "openai", HTTP_LINE("u-1", "200", OPENAI_BODY), -ENOENT, 0, NULL, 0, false },
	{ "openai", HTTP_LINE("t", "200", OPENAI_BODY), -ENOENT, 0, NULL, 0, false },
	{ "openai", HTTP_LINE("t-", "200", OPENAI_BODY), -ENOENT, 0, NULL, 0, false },
	{ "openai", HTTP_LINE("t-01", "200", OPENAI_BODY), -ENOENT, 0, NULL, 0, false },
	{ "openai", HTTP_LINE("t--1", "200", OPENAI_BODY), -ENOENT, 0, NULL, 0, false },
	{ "openai", HTTP_LINE("t-18446744073709551617", "200", OPENAI_BODY), -ENOENT, 0, NULL, 0,
	  false },
	{ "mistral", HTTP_LINE("t-1", "200", OPENAI_BODY), 0, BATCH_LINE_ANSWER, "Hello", 0,
	  false },
	{ "mistral",
	  HTTP_LINE("t-1", "422", "{\"detail\":[{\"loc\":[\"body\",\"n\"],\"msg\":\"wrong\"}]}"), 0,
	  BATCH_LINE_ERROR, "body.n: wrong", EINVAL, false },
	{ "gemini", "{\"key\":\"t-1\",\"response\":" GEMINI_BODY "}", 0, BATCH_LINE_ANSWER, "Hello",
	  0, false },
	{ "gemini", "{\"metadata\":{\"key\":\"t-1\"},\"response\":" GEMINI_BODY "}", 0,
	  BATCH_LINE_ANSWER, "Hello", 0, false },
	{ "gemini", "{\"key\":\"t-1\",\"error\":{\"code\":3,\"message\":\"bad part\"}}", 0,
	  BATCH_LINE_ERROR, "bad part", EINVAL, false },
	{ "gemini", "{\"key\":\"t-1\",\"error\":{\"code\":8,\"message\":\"much\"}}", 0,
	  BATCH_LINE_ERROR, "much", EBUSY, true },
	{ "gemini", "{\"key\":\"t-1\",\"error\":{\"code\":14,\"message\":\"away\"}}", 0,
	  BATCH_LINE_ERROR, "away", EREMOTEIO, true },
	{ "gemini", "{\"key\":\"t-1\",\"error\":{\"code\":503,\"message\":\"away\"}}", 0,
	  BATCH_LINE_ERROR, "away", EREMOTEIO, true },
	{ "gemini", "{\"key\":\"t-1\",\"error\":{\"code\":1}}", 0, BATCH_LINE_CANCELLED,
	  "cancelled", ECANCELED, true },
	{ "gemini", "{\"key\":\"t-1\",\"error\":{\"message\":\"odd\"}}", 0, BATCH_LINE_ERROR, "odd",
	  EREMOTEIO, true },
	{ "gemini", "{\"key\":\"t-1\"}", -EBADMSG, 0, NULL, 0, false },
	{ "gemini", "{\"key\":\"x\",\"error\":{}}", -ENOENT, 0, NULL, 0, false },
	{ "anthropic",
	  ANTHROPIC_LINE("t-1", "{\"type\":\"succeeded\",\"message\":" ANTHROPIC_BODY "}"), 0,
	  BATCH_LINE_ANSWER, "Hello", 0, false },
	{ "anthropic", ANTHROPIC_LINE("t-1", "{\"type\":\"expired\"}"), 0, BATCH_LINE_EXPIRED,
	  "time was over", ETIMEDOUT, true },
	{ "anthropic", ANTHROPIC_LINE("t-1", "{\"type\":\"canceled\"}"), 0, BATCH_LINE_CANCELLED,
	  "cancelled", ECANCELED, true },
	{ "anthropic",
	  ANTHROPIC_LINE("t-1",
			 "{\"type\":\"errored\",\"error\":{\"type\":\"error\",\"error\":{\"type\":"
			 "\"invalid_request_error\",\"message\":\"too hot\"}}}"),
	  0, BATCH_LINE_ERROR, "too hot", EINVAL, false },
	{ "anthropic",
	  ANTHROPIC_LINE("t-1",
			 "{\"type\":\"errored\",\"error\":{\"type\":\"error\",\"error\":{\"type\":"
			 "\"overloaded_error\",\"message\":\"busy\"}}}"),
	  0, BATCH_LINE_ERROR, "busy", EREMOTEIO, true },
	{ "anthropic", ANTHROPIC_LINE("t-1", "{\"type\":\"errored\"}"), 0, BATCH_LINE_ERROR,
	  "no explanation", EREMOTEIO, true },
	{ "anthropic", ANTHROPIC_LINE("t-1", "{\"type\":\"a new word\"}"), 0, BATCH_LINE_ERROR,
	  "no explanation", EREMOTEIO, true },
	{ "anthropic", ANTHROPIC_LINE("t-1", "{\"type\":\"succeeded\"}"), -EBADMSG, 0, NULL, 0,
	  false },
	{ "anthropic", ANTHROPIC_LINE("t-1", "null"), -EBADMSG, 0, NULL, 0, false },
};

static struct batch_job job_of(uint64_t requests)
{
	struct batch_job j = { .tag = "t", .requests = requests };

	(void)str_copy(j.group.model, sizeof(j.group.model), "m0");
	return j;
}

static void check_result(const struct result *k)
{
	struct backend_config c = ask_config(k->type, "http://h");
	struct batch_job j = job_of(2);
	struct batch_reader *r = batch_reader_new(&c, &j);
	struct batch_line line = { 0 };
	struct err e = { 0 };

	int rc = batch_reader_line(r, k->text, strlen(k->text), &line, &e);

	if (rc != k->rc)
		fail_msg("%s: %d, not %d: %s", k->text, rc, k->rc, e.message);
	if (rc) {
		assert_non_null(strstr(e.message, k->type));
		assert_int_equal(batch_reader_missing(r, 0), 0);
		assert_int_equal(batch_reader_missing(r, 1), 1);
	} else {
		if (line.kind != k->kind)
			fail_msg("%s: kind %d: %s", k->text, (int)line.kind, line.err.message);
		assert_int_equal(line.index, 1);
		assert_int_equal(batch_reader_missing(r, 1), 2);
		assert_int_equal(line.err.code, k->code);
	}
	if (!rc && k->kind == BATCH_LINE_ANSWER) {
		assert_string_equal(buf_str(&line.take_answer->text), k->says);
		assert_int_equal(line.take_answer->usage.input, 3);
		assert_int_equal(line.take_answer->usage.output, 1);
		assert_string_equal(line.take_answer->finish_reason, "stop");
		assert_non_null(line.take_answer->model);
		assert_true(line.take_answer->raw.len > 0);
	} else if (!rc) {
		assert_null(line.take_answer);
		assert_int_equal(line.retryable, k->retryable);
		if (!strstr(line.err.message, strcmp(k->says, "t-1") == 0 ? "" : k->says))
			fail_msg("%s: %s", k->text, line.err.message);
		assert_string_equal(line.err.backend, k->type);
	}
	answer_free(line.take_answer);
	batch_reader_free(r);
	ask_config_done(&c);
}

static void test_results(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		check_result(&results[i]);
}

/* Each is told the second time, whatever the first was; what is missing is known at the end. */
static void test_twice(void **state)
{
	static const char first[] = HTTP_LINE("t-1", "200", OPENAI_BODY);
	static const char second[] = HTTP_LINE("t-1", "400", "{}");
	static const char third[] = HTTP_LINE("t-70", "400", "{}");
	struct backend_config c = ask_config("openai", "http://h");
	struct batch_job j = job_of(100);
	struct batch_reader *r = batch_reader_new(&c, &j);
	struct batch_line line;
	unsigned missing = 0;
	struct err e;

	(void)state;
	assert_int_equal(batch_reader_line(r, first, strlen(first), &line, &e), 0);
	answer_free(line.take_answer);
	assert_int_equal(batch_reader_line(r, first, strlen(first), &line, &e), -EEXIST);
	assert_int_equal(batch_reader_line(r, second, strlen(second), &line, &e), -EEXIST);
	assert_non_null(strstr(e.message, "two results"));
	assert_int_equal(batch_reader_line(r, third, strlen(third), &line, &e), 0);
	for (uint64_t n = 0; (n = batch_reader_missing(r, n)) < 100; n++)
		missing++;
	assert_int_equal(missing, 98);
	batch_reader_free(r);
	assert_null(batch_reader_free(NULL));
	ask_config_done(&c);
}

/* A line of megabytes is a line; an answer that names no model was the group's. */
static void test_huge(void **state)
{
	enum { BYTES = 8 << 20 };
	struct buf text = BUF_INIT(BYTES * 2);
	struct backend_config c = ask_config("gemini", "http://h");
	struct batch_job j = job_of(1);
	struct batch_reader *r = batch_reader_new(&c, &j);
	struct batch_line line;
	char *filler = malloc(BYTES + 1);

	(void)state;
	memset(filler, 'x', BYTES);
	filler[BYTES] = '\0';
	buf_addf(
		&text,
		"{\"key\":\"t-0\",\"response\":{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%s\"}]},"
		"\"finishReason\":\"STOP\"}]}}",
		filler);
	assert_int_equal(batch_reader_line(r, text.data, text.len, &line, NULL), 0);
	assert_int_equal(line.take_answer->text.len, BYTES);
	assert_string_equal(line.take_answer->model, "m0");
	answer_free(line.take_answer);
	free(filler);
	buf_done(&text);
	batch_reader_free(r);
	ask_config_done(&c);
}

static void test_embedding(void **state)
{
	static const char text[] =
		"{\"key\":\"t-0\",\"response\":{\"embedding\":{\"values\":[0.5,-1]},\"usageMetadata\":{"
		"\"promptTokenCount\":2}}}";
	struct backend_config c = ask_config("gemini", "http://h");
	struct batch_job j = job_of(1);
	struct batch_reader *r = batch_reader_new(&c, &j);
	struct batch_line line;
	struct err e;

	(void)state;
	if (batch_reader_line(r, text, strlen(text), &line, &e))
		fail_msg("%s", e.message);
	assert_int_equal(line.kind, BATCH_LINE_ANSWER);
	assert_int_equal(json_array_size(line.take_answer->embedding), 1);
	assert_int_equal(line.take_answer->usage.input, 2);
	answer_free(line.take_answer);
	batch_reader_free(r);
	ask_config_done(&c);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(batch_state_name(BATCH_WAITING), "waiting");
	assert_string_equal(batch_state_name(BATCH_CANCELLED), "cancelled");
	assert_string_equal(batch_state_name((enum batch_state)99), "unknown");
	assert_false(batch_state_over(BATCH_CANCELLING));
	assert_true(batch_state_over(BATCH_DONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_drafts), cmocka_unit_test(test_results),
		cmocka_unit_test(test_twice),	   cmocka_unit_test(test_huge),
		cmocka_unit_test(test_drafts),	   cmocka_unit_test(test_embedding),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
