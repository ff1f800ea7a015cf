/*
 * infer/batch_api: what several providers' batch APIs have in common, given what no provider should send
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
#include "base/str.h"
#include "infer/batch_api.h"
#include "infer/registry.h"

static char name[] = "b";

static json_t *parsed(const char *text)
{
	json_t *o = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	assert_non_null(o);
	return o;
}

/* ---- who has batches ---- */

static void who_has_batches(void **state)
{
	static const struct {
		const char *type;
		enum backend_dialect dialect;
		const struct batch_api *api;
		uint64_t requests, megabytes, inputs; /* the file; what surrounds it comes off */
	} backends[] = {
		{ "openai", BACKEND_OPENAI, &batch_openai, 50000, 200, 50000 },
		{ "openai", BACKEND_VLLM, NULL, 0, 0, 0 },
		{ "openai", BACKEND_LLAMACPP, NULL, 0, 0, 0 },
		{ "mistral", BACKEND_OPENAI, &batch_mistral, 100000, 512, 0 },
		{ "gemini", BACKEND_OPENAI, &batch_gemini, 100000, 2000, 0 },
		{ "anthropic", BACKEND_OPENAI, &batch_anthropic, 100000, 256, 0 },
		{ "ollama", BACKEND_OPENAI, NULL, 0, 0, 0 },
		{ "echo", BACKEND_OPENAI, NULL, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		struct backend_config c = { .name = name,
					    .type = registry_type(backends[i].type),
					    .dialect = backends[i].dialect };
		struct batch_draft d = { .body = NULL };
		AUTO_BUF struct buf line = BUF_INIT(4096);
		struct batch_limits limits;
		struct err e = { 0 };

		assert_ptr_equal(batch_api_of(&c), backends[i].api);
		if (backends[i].api) {
			assert_int_equal(batch_can(&c, &limits, &e), 0);
			assert_int_equal(limits.requests, backends[i].requests);
			assert_in_range(limits.bytes, backends[i].megabytes * 1000000 - 100,
					backends[i].megabytes * 1000000);
			assert_int_equal(limits.inputs, backends[i].inputs);
			assert_true(limits.hours);
			continue;
		}
		assert_int_equal(batch_can(&c, &limits, &e), -EOPNOTSUPP);
		assert_int_equal(batch_draft_make(&c, NULL, NULL, &d, &e), -EOPNOTSUPP);
		assert_non_null(strstr(e.message, name));
		assert_int_equal(batch_draft_line(&c, &d, "t", 0, &line), -EINVAL);
		assert_int_equal(line.len, 0);
	}
}

/* ---- lines of a file ---- */

static void draft_of(struct backend_config *c, struct batch_draft *out)
{
	json_t *effective = parsed("{\"endpoint\":\"chat\",\"model\":\"m\",\"messages\":"
				   "[{\"role\":\"user\",\"content\":\"a\\nb\"}]}");
	struct err e = { 0 };

	*c = (struct backend_config){ .name = name, .type = registry_type("openai") };
	assert_int_equal(batch_draft_make(c, effective, NULL, out, &e), 0);
	json_decref(effective);
}

/* A line is there or it is not, however much room there is. */
static void all_of_a_line_or_nothing(void **state)
{
	AUTO_BUF struct buf whole = BUF_INIT(1 << 16);
	struct backend_config c;
	struct batch_draft d;

	(void)state;
	draft_of(&c, &d);
	assert_int_equal(batch_draft_line(&c, &d, "t", UINT64_MAX, &whole), 0);
	assert_non_null(strstr(whole.data, "\"t-18446744073709551615\""));
	assert_ptr_equal(strchr(whole.data, '\n'), whole.data + whole.len - 1);
	for (size_t max = 0; max <= whole.len + 3; max++) {
		AUTO_BUF struct buf b = BUF_INIT(max);
		size_t before = max < 3 ? max : 3;
		int rc;

		assert_int_equal(buf_add(&b, "xyz", before), 0);
		rc = batch_draft_line(&c, &d, "t", UINT64_MAX, &b);
		assert_int_equal(rc, before + whole.len <= max ? 0 : -EFBIG);
		assert_int_equal(b.len, before + (rc ? 0 : whole.len));
		assert_memory_equal(buf_str(&b), "xyz", before);
		if (!rc)
			assert_string_equal(b.data + before, whole.data);
		else if (b.data) /* what is shorter may still be put in */
			assert_int_equal(b.failed, 0);
	}
	batch_draft_done(&d);
	batch_draft_done(&d);
}

static void tags(void **state)
{
	char longest[BATCH_TAG_MAX + 1], id[BATCH_CUSTOM_MAX + 32];
	AUTO_BUF struct buf b = BUF_INIT(1 << 16);
	struct backend_config c;
	struct batch_draft d;

	(void)state;
	draft_of(&c, &d);
	memset(longest, 'x', BATCH_TAG_MAX);
	longest[BATCH_TAG_MAX] = '\0';
	assert_int_equal(batch_draft_line(&c, &d, "", 1, &b), -EINVAL);
	assert_int_equal(batch_draft_line(&c, &d, longest, 1, &b), -EINVAL);
	assert_int_equal(b.len, 0);
	assert_int_equal(batch_draft_line(&c, &d, longest + 1, UINT64_MAX, &b), 0);
	(void)snprintf(id, sizeof(id), "\"custom_id\":\"%s-%llu\"", longest + 1,
		       (unsigned long long)UINT64_MAX);
	assert_non_null(strstr(b.data, id)); /* the longest there is is not cut */
	batch_draft_done(&d);
}

/* ---- words, numbers, ids ---- */

static void states_and_counts(void **state)
{
	static const struct batch_word list[] = { { "a", BATCH_WAITING },
						  { "done", BATCH_DONE },
						  { NULL, BATCH_RUNNING } };
	static const struct {
		const char *word;
		enum batch_state want;
		int64_t number;
	} words[] = {
		{ "\"a\"", BATCH_WAITING, -1 },
		{ "\"done\"", BATCH_DONE, -1 },
		{ "\"Done\"", BATCH_FAILED, -1 },
		{ "\"don\"", BATCH_FAILED, -1 },
		{ "\"done \"", BATCH_FAILED, -1 },
		{ "\"\"", BATCH_FAILED, -1 },
		{ "null", BATCH_FAILED, -1 },
		{ "[\"done\"]", BATCH_FAILED, -1 },
		{ "{}", BATCH_FAILED, -1 },
		{ "true", BATCH_FAILED, -1 },
		{ "0", BATCH_FAILED, 0 },
		{ "-1", BATCH_FAILED, -1 },
		{ "-9223372036854775808", BATCH_FAILED, -1 },
		{ "9223372036854775807", BATCH_FAILED, INT64_MAX },
		{ "1.0", BATCH_FAILED, -1 },
		{ "1e3", BATCH_FAILED, -1 },
		{ "\"7\"", BATCH_FAILED, 7 },
		{ "\"007\"", BATCH_FAILED, 7 },
		{ "\"+7\"", BATCH_FAILED, -1 },
		{ "\"-7\"", BATCH_FAILED, -1 },
		{ "\" 7\"", BATCH_FAILED, -1 },
		{ "\"7 \"", BATCH_FAILED, -1 },
		{ "\"0x7\"", BATCH_FAILED, -1 },
		{ "\"9223372036854775807\"", BATCH_FAILED, INT64_MAX },
		{ "\"9223372036854775808\"", BATCH_FAILED, -1 },
		{ "\"99999999999999999999\"", BATCH_FAILED, -1 },
	};

	(void)state;
	assert_int_equal(batch_api_state(list, NULL, BATCH_RUNNING), BATCH_RUNNING);
	assert_int_equal(batch_api_count(NULL), -1);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		json_t *word = parsed(words[i].word);

		assert_int_equal(batch_api_state(list, word, BATCH_FAILED), words[i].want);
		if (batch_api_count(word) != words[i].number)
			fail_msg("%s", words[i].word);
		json_decref(word);
	}
}

static void ids(void **state)
{
	static const struct {
		const char *id;
		bool good;
	} list[] = {
		{ "\"batch_1\"", true },   { "\"a/../b?c#d%20\"", true },
		{ "\"~\"", true },	   { "\"\"", false },
		{ "\"a b\"", false },	   { "\"a\\n\"", false },
		{ "\"a\\u0000\"", false }, { "\"\\u0000\"", false },
		{ "\"\\u007f\"", false },  { "\"\xc3\xbc\"", false },
		{ "null", false },	   { "7", false },
		{ "[\"a\"]", false },
	};
	char dst[BATCH_NAME_MAX] = "before", text[BATCH_NAME_MAX + 1];
	json_t *o = json_object();

	(void)state;
	assert_false(batch_api_id(dst, NULL));
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		assert_int_equal(json_object_set_new(o, "id", parsed(list[i].id)), 0);
		(void)str_copy(dst, sizeof(dst), "before");
		assert_int_equal(batch_api_id(dst, json_object_get(o, "id")), list[i].good);
		assert_int_equal(strcmp(dst, "before") == 0, !list[i].good);
		batch_api_take(dst, o, "id");
		assert_int_equal(dst[0] != '\0', list[i].good);
	}
	memset(text, 'i', sizeof(text));
	for (size_t n = BATCH_NAME_MAX - 1; n <= BATCH_NAME_MAX; n++) {
		assert_int_equal(json_object_set_new(o, "id", json_stringn(text, n)), 0);
		batch_api_take(dst, o, "id");
		assert_int_equal(strlen(dst), n < BATCH_NAME_MAX ? n : 0);
	}
	batch_api_take(dst, o, "absent");
	assert_string_equal(dst, "");
	json_decref(o);
}

static void why(void **state)
{
	struct batch_result r = { .why = "before" };
	char longer[2 * ERR_MESSAGE_MAX];
	json_t *v;

	(void)state;
	batch_api_why(&r, NULL);
	batch_api_why(&r, json_null());
	assert_string_equal(r.why, "before");
	v = parsed("\"bad\\u001b[2Jline\\n\\u0000end\"");
	batch_api_why(&r, v);
	json_decref(v);
	assert_int_equal(strncmp(r.why, "bad", 3), 0);
	for (const char *p = r.why; *p; p++)
		assert_true((unsigned char)*p >= 0x20); /* nothing that moves a terminal */
	for (size_t i = 0; i + 1 < sizeof(longer); i += 2)
		memcpy(longer + i, "\xc3\xbc", 2);
	v = json_stringn(longer, sizeof(longer) - 2);
	batch_api_why(&r, v);
	json_decref(v);
	assert_in_range(strlen(r.why), ERR_MESSAGE_MAX - 8, ERR_MESSAGE_MAX - 1);
	v = json_string(r.why);
	assert_non_null(v); /* cut between characters */
	json_decref(v);
}

/* ---- one request ---- */

static struct batch_ask *ask_new(size_t max)
{
	struct batch_ask *out = calloc(1, sizeof(*out)); /* zeroed but for the limits */

	assert_non_null(out);
	buf_init(&out->text, max);
	buf_init(&out->tail, max);
	return out;
}

static struct batch_ask *ask_free(struct batch_ask *out)
{
	buf_done(&out->text);
	buf_done(&out->tail);
	free(out);
	return NULL;
}

static void paths(void **state)
{
	static const struct {
		const char *before, *id, *after, *want;
	} list[] = {
		{ "/files/", "file-1", "/content", "/files/file-1/content" },
		{ "/files/", "", "", "/files/" },
		{ "/b/", "../../admin?x=1#y", "", "/b/..%2F..%2Fadmin%3Fx%3D1%23y" },
		{ "/b/", "100%", "/cancel", "/b/100%25/cancel" },
		{ "/b?after=", "a&limit=1", "", "/b?after=a%26limit%3D1" },
		{ "/b/", "~._-Az09", "", "/b/~._-Az09" },
	};
	char longest[BATCH_NAME_MAX], before[HTTP_LINK_MAX];
	struct batch_ask *out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		out = ask_new(64);
		batch_api_path(out, list[i].before, list[i].id, list[i].after);
		assert_string_equal(out->path, list[i].want);
		assert_int_equal(out->text.failed, 0);
		out = ask_free(out);
	}
	memset(longest, '/', sizeof(longest) - 1); /* three bytes each */
	longest[sizeof(longest) - 1] = '\0';
	out = ask_new(64);
	batch_api_path(out, "/v1/batch/jobs/", longest, "/cancel");
	assert_int_equal(strlen(out->path), 15 + 3 * (BATCH_NAME_MAX - 1) + 7);
	out = ask_free(out);
	memset(before, 'p', sizeof(before) - 1);
	for (size_t n = HTTP_LINK_MAX - 5; n < HTTP_LINK_MAX; n++) {
		before[n] = '\0';
		out = ask_new(64);
		batch_api_path(out, before, "id", "/");
		assert_int_equal(out->text.failed, n + 3 < HTTP_LINK_MAX ? 0 : -EFBIG);
		assert_int_equal(strlen(out->path), n + 3 < HTTP_LINK_MAX ? n + 3 : 0);
		out = ask_free(out);
		before[n] = 'p';
	}
}

static void bodies(void **state)
{
	struct batch_ask *out = ask_new(16);

	(void)state;
	batch_api_nothing(out);
	assert_string_equal(out->method, "POST");
	assert_int_equal(out->body, BATCH_BODY_TEXT);
	assert_int_equal(out->text.len, 0);
	assert_string_equal(out->header[0], "Content-Type:");
	batch_api_header(out, "X-A: 1");
	batch_api_header(out, "");
	batch_api_header(out, "X-B: 2");
	assert_string_equal(out->header[1], "X-A: 1");
	assert_string_equal(out->header[2], "X-B: 2");
	out = ask_free(out);

	out = ask_new(16);
	batch_api_json(out, parsed("{\"b\":1,\"a\":[2]}"));
	assert_string_equal(buf_str(&out->text), "{\"a\":[2],\"b\":1}");
	assert_string_equal(out->header[0], "Content-Type: application/json");
	assert_int_equal(out->text.failed, 0);
	out = ask_free(out);

	out = ask_new(16);
	batch_api_json(out, NULL);
	assert_int_equal(out->text.failed, -ENOMEM);
	out = ask_free(out);

	out = ask_new(8);
	batch_api_json(out, parsed("{\"text\":\"longer than that\"}"));
	assert_int_equal(out->text.failed, -EFBIG);
	out = ask_free(out);
}

static void forms(void **state)
{
	static const char *const none[] = { NULL };
	static const char *const two[] = { "purpose", "batch", "x[y]", "", NULL };
	struct batch_result r = { .job = { .tag = "tag-1" } };
	struct batch_walk *w = calloc(1, sizeof(*w));
	struct batch_ask *out = ask_new(4096);
	const char *boundary, *p;
	unsigned parts = 0;

	(void)state;
	assert_non_null(w);
	w->result = &r;
	batch_api_form(w, two, out);
	assert_int_equal(out->body, BATCH_BODY_FILE);
	boundary = strstr(out->header[0], "boundary=");
	assert_non_null(boundary);
	boundary += 9;
	for (p = out->text.data; (p = strstr(p, boundary)); p++) {
		assert_memory_equal(p - 2, "--", 2);
		assert_memory_equal(p + strlen(boundary), "\r\n", 2);
		parts++;
	}
	assert_int_equal(parts, 3);
	assert_non_null(strstr(out->text.data, "name=\"purpose\"\r\n\r\nbatch\r\n--"));
	assert_non_null(strstr(out->text.data, "name=\"x[y]\"\r\n\r\n\r\n--"));
	assert_non_null(strstr(out->text.data, "filename=\"tag-1.jsonl\"\r\n"));
	assert_string_equal(out->text.data + out->text.len - 4, "\r\n\r\n"); /* the file follows */
	assert_memory_equal(out->tail.data, "\r\n--", 4);
	assert_string_equal(out->tail.data + 4 + strlen(boundary), "--\r\n");
	out = ask_free(out);

	out = ask_new(30);
	batch_api_form(w, none, out);
	assert_int_equal(out->text.failed, -EFBIG);
	out = ask_free(out);
	free(w);
}

/* ---- lines of results ---- */

enum what { BODY, FAULT, NOTHING };

static const struct {
	const char *line;
	int rc;
	enum batch_line_kind kind;
	int status;
	enum what what; /* which of the two is set */
} results[] = {
	{ "{}", -EBADMSG, 0, 0, NOTHING },
	{ "[]", -EBADMSG, 0, 0, NOTHING },
	{ "null", -EBADMSG, 0, 0, NOTHING },
	{ "{\"custom_id\":\"c\"}", -EBADMSG, 0, 0, NOTHING },
	{ "{\"custom_id\":7,\"response\":{\"body\":{}}}", -EBADMSG, 0, 0, NOTHING },
	{ "{\"custom_id\":null,\"error\":{}}", -EBADMSG, 0, 0, NOTHING },
	{ "{\"response\":{\"status_code\":200,\"body\":{}}}", -EBADMSG, 0, 0, NOTHING },
	{ "{\"custom_id\":\"c\",\"response\":[]}", -EBADMSG, 0, 0, NOTHING },
	{ "{\"custom_id\":\"c\",\"response\":null}", -EBADMSG, 0, 0, NOTHING },
	{ "{\"custom_id\":\"c\",\"response\":\"x\"}", -EBADMSG, 0, 0, NOTHING },
	/* answers */
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":200,\"body\":{}}}", 0,
	  BATCH_LINE_ANSWER, 0, BODY },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":200,\"body\":{}},\"error\":null}", 0,
	  BATCH_LINE_ANSWER, 0, BODY },
	{ "{\"custom_id\":\"c\",\"response\":{\"body\":{}}}", 0, BATCH_LINE_ANSWER, 0, BODY },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":\"200\",\"body\":{}}}", 0,
	  BATCH_LINE_ANSWER, 0, BODY },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":600,\"body\":{}}}", 0,
	  BATCH_LINE_ANSWER, 0, BODY },
	/* errors: the status says so, or the error beside it, or there is no answer */
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":400,\"body\":{\"error\":{}}}}", 0,
	  BATCH_LINE_ERROR, 400, FAULT },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":\"429\",\"body\":{}}}", 0,
	  BATCH_LINE_ERROR, 429, FAULT },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":599,\"body\":null}}", 0,
	  BATCH_LINE_ERROR, 599, FAULT },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":500}}", 0, BATCH_LINE_ERROR, 500,
	  NOTHING },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":200,\"body\":\"html\"}}", 0,
	  BATCH_LINE_ERROR, 0, FAULT },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":200,\"body\":{}},"
	  "\"error\":{\"code\":\"x\"}}",
	  0, BATCH_LINE_ERROR, 0, FAULT },
	{ "{\"custom_id\":\"c\",\"response\":null,\"error\":\"words\"}", 0, BATCH_LINE_ERROR, 0,
	  FAULT },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":200,\"body\":{}},"
	  "\"error\":\"words\"}",
	  0, BATCH_LINE_ERROR, 0, FAULT },
	{ "{\"custom_id\":\"c\",\"response\":{\"status_code\":200,\"body\":{}},\"error\":\"\"}", 0,
	  BATCH_LINE_ANSWER, 0, BODY },
	{ "{\"custom_id\":\"c\",\"response\":null,\"error\":null}", 0, BATCH_LINE_ERROR, 0,
	  NOTHING },
	{ "{\"custom_id\":\"c\",\"error\":{\"code\":\"batch_expired\"}}", 0, BATCH_LINE_EXPIRED, 0,
	  FAULT },
	{ "{\"custom_id\":\"c\",\"error\":{\"code\":\"batch_cancelled\"}}", 0, BATCH_LINE_CANCELLED,
	  0, FAULT },
	{ "{\"custom_id\":\"c\",\"error\":{\"code\":\"batch_expired_\"}}", 0, BATCH_LINE_ERROR, 0,
	  FAULT },
	{ "{\"custom_id\":\"c\",\"error\":{\"code\":[\"batch_expired\"]}}", 0, BATCH_LINE_ERROR, 0,
	  FAULT },
};

static void result_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		json_t *line = parsed(results[i].line);
		struct batch_found found;

		if (batch_api_read(line, &found) != results[i].rc)
			fail_msg("%s", results[i].line);
		if (!results[i].rc) {
			assert_string_equal(found.custom_id, "c");
			assert_int_equal(found.kind, results[i].kind);
			assert_int_equal(found.status, results[i].status);
			assert_int_equal(found.body != NULL, results[i].what == BODY);
			assert_int_equal(found.error != NULL, results[i].what == FAULT);
		}
		json_decref(line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_batches),
		cmocka_unit_test(all_of_a_line_or_nothing),
		cmocka_unit_test(tags),
		cmocka_unit_test(states_and_counts),
		cmocka_unit_test(ids),
		cmocka_unit_test(why),
		cmocka_unit_test(paths),
		cmocka_unit_test(bodies),
		cmocka_unit_test(forms),
		cmocka_unit_test(result_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
