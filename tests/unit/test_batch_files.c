/*
 * infer/batch_files: the walks of batches that are made from a file, without a network: what is asked, and what
 * becomes of answers that are none
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
#include "infer/batch_files.h"

static char name[] = "shop";
static const struct backend_config config = { .name = name };

/* a provider of our own: its batch is {"id","state"}, its pages have a "next" */
static unsigned takes;
static bool out_of_memory;
static const char *const fields[] = { "purpose", "batch", NULL };

static json_t *create(const struct batch_job *j)
{
	return out_of_memory ? NULL : json_pack("{s:s}", "file", j->input);
}

static void list(const struct batch_walk *w, struct batch_ask *out)
{
	batch_api_path(out, "/b?after=", w->cursor, "");
}

static bool take(struct batch_result *r, const json_t *batch)
{
	takes++;
	return batch_api_id(r->job.id, json_object_get(batch, "id"));
}

static bool more(struct batch_walk *w, const json_t *page)
{
	return batch_api_id(w->cursor, json_object_get(page, "next"));
}

static const struct batch_files files = { .files = "/f/",
					  .batches = "/b/",
					  .fields = fields,
					  .create = create,
					  .list = list,
					  .take = take,
					  .more = more };

static struct batch_walk *walk;
static struct batch_result result;

static int setup(void **state)
{
	(void)state;
	walk = calloc(1, sizeof(*walk));
	assert_non_null(walk);
	memset(&result, 0, sizeof(result));
	(void)str_copy(result.job.tag, sizeof(result.job.tag), "tag-1");
	walk->config = &config;
	walk->files = &files;
	walk->result = &result;
	takes = 0;
	out_of_memory = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(walk);
	return 0;
}

static void has_files(const char *answers, const char *errors, const char *input)
{
	(void)str_copy(result.job.output[0], BATCH_NAME_MAX, answers);
	(void)str_copy(result.job.output[1], BATCH_NAME_MAX, errors);
	(void)str_copy(result.job.input, BATCH_NAME_MAX, input);
}

/* "POST /b BODY": the next request; "": there is none */
static void expect_ask(const char *want)
{
	struct batch_ask *out = calloc(1, sizeof(*out));
	char got[HTTP_LINK_MAX + 512] = "";

	assert_non_null(out);
	buf_init(&out->text, 4096);
	buf_init(&out->tail, 4096);
	if (batch_files_ask(walk, out))
		(void)snprintf(got, sizeof(got), "%s %s%s%s%s", out->method ? out->method : "-",
			       out->path, out->lines ? " lines" : "",
			       out->body == BATCH_BODY_TEXT ? " " : "",
			       out->body == BATCH_BODY_TEXT ? buf_str(&out->text) : "");
	assert_string_equal(got, want);
	assert_int_equal(out->text.failed, out_of_memory ? -ENOMEM : 0);
	assert_int_equal(out->body == BATCH_BODY_FILE, walk->step == BATCH_UPLOAD);
	buf_done(&out->text);
	buf_done(&out->tail);
	free(out);
}

/* text NULL: the answer was no JSON. says: what the sentence has in it, of a failure */
static void expect_reply(const char *text, enum batch_next want, const char *says)
{
	json_t *answer = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	struct err e = { 0 };

	assert_int_equal(text != NULL, answer != NULL);
	assert_int_equal(batch_files_reply(walk, answer, NULL, &e), want);
	json_decref(answer);
	assert_int_equal(e.kind, want == BATCH_NEXT_FAILED ? ERR_PROTOCOL : ERR_NONE);
	if (want != BATCH_NEXT_FAILED)
		return;
	assert_non_null(strstr(e.message, name));
	assert_non_null(strstr(e.message, says));
}

/* ---- answers that are none ---- */

static const char *const nothing[] = { NULL,
				       "null",
				       "[]",
				       "{}",
				       "\"batch-1\"",
				       "{\"id\":null}",
				       "{\"id\":7}",
				       "7",
				       "{\"id\":\"\"}",
				       "{\"id\":\"a b\"}",
				       "{\"Id\":\"a\"}",
				       "[{\"id\":\"a\"}]" };

static void no_id(void **state)
{
	static const enum batch_step steps[] = { BATCH_UPLOAD, BATCH_CREATE, BATCH_POLL };

	(void)state;
	has_files("", "", "in-1");
	(void)str_copy(result.job.id, sizeof(result.job.id), "batch-1");
	for (size_t s = 0; s < ARRAY_LEN(steps); s++)
		for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
			walk->step = steps[s];
			expect_reply(nothing[i], BATCH_NEXT_FAILED,
				     s ? "the id of the batch" : "the id of the file");
			/* what was known before is known still */
			assert_string_equal(result.job.input, "in-1");
			assert_string_equal(result.job.id, "batch-1");
		}
}

/* A cancellation was asked for whatever the answer says: polls tell what became of it. */
static void a_cancellation_with_no_answer(void **state)
{
	(void)state;
	walk->step = BATCH_CANCEL;
	(void)str_copy(result.job.id, sizeof(result.job.id), "batch/1");
	expect_ask("POST /b/batch%2F1/cancel ");
	for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
		expect_reply(nothing[i], BATCH_NEXT_DONE, "");
	assert_string_equal(result.job.id, "batch/1");
	assert_int_equal(takes, ARRAY_LEN(nothing));
}

static void no_list(void **state)
{
	static const char *const pages[] = { NULL,
					     "null",
					     "[]",
					     "\"\"",
					     "{\"data\":{}}",
					     "{\"data\":null}",
					     "{\"data\":\"\"}",
					     "{\"data\":true}" };

	(void)state;
	walk->step = BATCH_FIND;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		expect_reply(pages[i], BATCH_NEXT_FAILED, "a list of batches");
	assert_int_equal(walk->pages, 0);
	/* an account that never had a batch */
	expect_reply("{}", BATCH_NEXT_DONE, "");
	expect_reply("{\"data\":[]}", BATCH_NEXT_DONE, "");
	assert_int_equal(takes, 0);
	assert_string_equal(result.job.id, "");
}

/* Only the whole tag in its place is ours. */
static void batches_of_others(void **state)
{
	static const char *const others[] = {
		"null",
		"7",
		"\"tag-1\"",
		"[\"tag-1\"]",
		"{\"id\":\"x\"}",
		"{\"id\":\"x\",\"inferfs\":\"tag-1\"}",
		"{\"id\":\"tag-1\"}",
		"{\"id\":\"x\",\"metadata\":null}",
		"{\"id\":\"x\",\"metadata\":\"tag-1\"}",
		"{\"id\":\"x\",\"metadata\":{}}",
		"{\"id\":\"x\",\"metadata\":{\"inferfs\":null}}",
		"{\"id\":\"x\",\"metadata\":{\"inferfs\":[\"tag-1\"]}}",
		"{\"id\":\"x\",\"metadata\":{\"inferfs\":\"tag-11\"}}",
		"{\"id\":\"x\",\"metadata\":{\"inferfs\":\"tag-\"}}",
		"{\"id\":\"x\",\"metadata\":{\"inferfs\":\"TAG-1\"}}",
		"{\"id\":\"x\",\"metadata\":{\"tag\":\"tag-1\"}}",
	};
	AUTO_BUF struct buf page = BUF_INIT(1 << 16);

	(void)state;
	walk->step = BATCH_FIND;
	assert_int_equal(buf_adds(&page, "{\"data\":["), 0);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		AUTO_FREE char *alone = str_printf("{\"data\":[%s]}", others[i]);

		expect_reply(alone, BATCH_NEXT_DONE, "");
		assert_int_equal(buf_addf(&page, "%s,", others[i]), 0);
	}
	assert_int_equal(takes, 0);
	/* and it is found among them all; the first one when there are two */
	assert_int_equal(buf_adds(&page, "{\"id\":\"own\",\"metadata\":{\"inferfs\":\"tag-1\"}},"
					 "{\"id\":\"two\",\"metadata\":{\"inferfs\":\"tag-1\"}}],"
					 "\"next\":\"more\"}"),
			 0);
	expect_reply(buf_str(&page), BATCH_NEXT_DONE, "");
	assert_int_equal(takes, 1);
	assert_string_equal(result.job.id, "own");
	assert_string_equal(walk->cursor, "");
}

/* Ours is there, but nobody could ask for it: not the same as "not there", which would create it again. */
static void found_without_an_id(void **state)
{
	(void)state;
	walk->step = BATCH_FIND;
	expect_reply("{\"data\":[{\"metadata\":{\"inferfs\":\"tag-1\"}}]}", BATCH_NEXT_FAILED,
		     "its id");
	expect_reply("{\"data\":[{\"id\":\"a\\nb\",\"metadata\":{\"inferfs\":\"tag-1\"}}]}",
		     BATCH_NEXT_FAILED, "its id");
	assert_string_equal(result.job.id, "");
}

/* ---- pages ---- */

static void pages_end(void **state)
{
	unsigned asked = 1;

	(void)state;
	walk->step = BATCH_FIND;
	expect_ask("- /b?after=");
	expect_reply("{\"data\":[{}],\"next\":\"p&2\"}", BATCH_NEXT_ASK, "");
	expect_ask("- /b?after=p%262");
	expect_reply("{\"data\":[],\"next\":\"p3\"}", BATCH_NEXT_ASK, "");
	expect_reply("{\"data\":[],\"next\":\"\"}", BATCH_NEXT_DONE, "");
	assert_int_equal(walk->pages, 2);
	walk->pages = 0; /* a list that goes round and round ends, too */
	for (;;) {
		json_t *page = json_pack("{s:[], s:s}", "data", "next", "p");
		enum batch_next next = batch_files_reply(walk, page, NULL, NULL);

		json_decref(page);
		if (next == BATCH_NEXT_DONE)
			break;
		assert_int_equal(next, BATCH_NEXT_ASK);
		assert_in_range(++asked, 2, BATCH_PAGES_MAX);
	}
	assert_int_equal(asked, BATCH_PAGES_MAX);
}

/* ---- what is asked ---- */

static void requests(void **state)
{
	(void)state;
	has_files("", "", "in-1");
	(void)str_copy(result.job.id, sizeof(result.job.id), "../x?y");
	walk->step = BATCH_UPLOAD;
	expect_ask("- /f");
	expect_reply("{\"id\":\"file-9\",\"object\":\"file\"}", BATCH_NEXT_DONE, "");
	assert_string_equal(result.job.input, "file-9");
	walk->step = BATCH_CREATE;
	expect_ask("- /b {\"file\":\"file-9\"}");
	out_of_memory = true;
	expect_ask("- /b ");
	out_of_memory = false;
	walk->step = BATCH_POLL;
	expect_ask("- /b/..%2Fx%3Fy");
	expect_reply("{\"id\":\"same\"}", BATCH_NEXT_DONE, "");
	assert_string_equal(result.job.id, "same");
}

/* Every file that there is, in order, however many are missing. */
static void fetched_and_removed(void **state)
{
	static const struct {
		const char *file[3]; /* answers, errors, input */
	} jobs[] = {
		{ { "", "", "" } },	 { { "out", "", "" } },	     { { "", "err", "" } },
		{ { "", "", "in" } },	 { { "out", "err", "" } },   { { "out", "", "in" } },
		{ { "", "err", "in" } }, { { "out", "err", "in" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		for (int remove = 0; remove < 2; remove++) {
			const char *const *file = jobs[i].file;

			has_files(file[0], file[1], file[2]);
			walk->step = remove ? BATCH_REMOVE : BATCH_FETCH;
			walk->phase = 0;
			for (int k = 0; k < (remove ? 3 : 2); k++) {
				AUTO_FREE char *want = str_printf(
					remove ? "DELETE /f/%s" : "- /f/%s/content lines", file[k]);

				if (!file[k][0])
					continue;
				expect_ask(want);
				expect_ask(want); /* tried again: the same one */
				expect_reply(NULL, BATCH_NEXT_ASK, "");
			}
			expect_ask("");
			expect_ask("");
		}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_id),
		T(a_cancellation_with_no_answer),
		T(no_list),
		T(batches_of_others),
		T(found_without_an_id),
		T(pages_end),
		T(requests),
		T(fetched_and_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
