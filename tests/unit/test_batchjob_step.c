/* test_batchjob_step.c - a batch's way at its provider, and every place where it may be cut off */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mono.h"
#include "base/str.h"
#include "batchjob_fixture.h"

#define FILE_1	   "{\"id\":\"file-1\",\"object\":\"file\"}"
#define DELETED	   "{\"deleted\":true}"
#define REFUSAL(w) "{\"error\":{\"message\":\"" w "\",\"type\":\"t\"}}"
#define BATCH(s)   "{\"id\":\"batch_1\",\"status\":\"" s "\",\"metadata\":{\"inferfs\":\"tag\"}"
#define RUNNING \
	BATCH("in_progress") ",\"request_counts\":{\"total\":2,\"completed\":1,\"failed\":0}}"
#define COMPLETED BATCH("completed") ",\"output_file_id\":\"file-o\"}"
#define LIST(s)	  "{\"object\":\"list\",\"data\":[" s "],\"has_more\":false}"
#define RESULT(n)                                                                               \
	"{\"custom_id\":\"tag-" n "\",\"response\":{\"status_code\":200,\"body\":{\"choices\":" \
	"[{\"index\":0,\"message\":{\"content\":\"w\"},\"finish_reason\":\"stop\"}]}}}\n"

/* what the provider answers, one after the other; NULL body: it says nothing more */
struct said {
	int status;
	const char *body;
};

static void script(struct batchy *t, const struct said *s)
{
	for (; s->status; s++)
		if (s->body)
			wire_add_json(t->wire, s->status, NULL, s->body);
		else
			wire_add(t->wire, (struct wire_answer){ .bytes = "", .then = WIRE_HANG });
}

static void hand_in(struct batchjob *x)
{
	assert_int_equal(batchjob_stage_hand_in(x), 0);
}

/* methods and paths, in order, and no more */
static void assert_asked(struct batchy *t, const char *const *lines)
{
	size_t n = 0;

	for (; lines[n]; n++) {
		const char *got = wire_request(t->wire, n);

		if (!got || strncmp(got, lines[n], strlen(lines[n])) != 0)
			fail_msg("request %zu: %s, not %.60s", n, lines[n], got ? got : "none");
	}
	assert_int_equal(wire_requests(t->wire), n);
}

/* ---- to the end ---- */

static void a_batch_goes_all_its_way(void **state)
{
	static const struct said says[] = { { 200, FILE_1 },
					    { 200, BATCH("validating") "}" },
					    { 200, RUNNING },
					    { 200, COMPLETED },
					    { 200, RESULT("1") RESULT("0") },
					    { 200, DELETED },
					    { 200, DELETED },
					    { 0, NULL } };
	static const char *const asked[] = { "POST /files ",
					     "POST /batches ",
					     "GET /batches/batch_1 ",
					     "GET /batches/batch_1 ",
					     "GET /files/file-o/content ",
					     "DELETE /files/file-o ",
					     "DELETE /files/file-1 ",
					     NULL };
	struct batchy *t = *state;
	struct broker *b = t->f.broker;
	json_t *all;

	script(t, says);
	hand_in(batchy_gather(t, 2));
	assert_true(batchy_await_none(t));
	assert_asked(t, asked);
	assert_non_null(strstr(wire_body(t->wire, 0), "{\"custom_id\":\"tag-1\"}\n"));
	assert_non_null(strstr(wire_body(t->wire, 1), "\"inferfs\":\"tag\""));
	assert_int_equal(batchy_state(t, 0), LEDGER_DONE);
	assert_int_equal(batchy_state(t, 1), LEDGER_DONE);
	lock_take(&b->lock); /* usage.json still tells of it */
	all = batchjob_show_locked(b, BATCHY_LINES);
	assert_int_equal(batchjob_set_locked(b, BATCHY_LINES)->news, 1);
	lock_drop(&b->lock);
	assert_int_equal(json_array_size(all), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "state")),
			    "done");
	assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "id")),
			    "batch_1");
	json_decref(all);
}

/* ---- failures: what the samples become, and what the provider was asked ---- */

struct failing {
	const char *name;
	struct said says[9];
	const char *asked[9];
	enum ledger_state state; /* of sample 0 */
	const char *error;	 /* words of its error */
};

static const struct failing failures[] = {
	{ "the upload is refused",
	  { { 400, REFUSAL("no such purpose") } },
	  { "POST /files " },
	  LEDGER_FAILED,
	  "no such purpose" },
	{ "the key is rejected",
	  { { 401, REFUSAL("bad key") } },
	  { "POST /files " },
	  LEDGER_FAILED,
	  "EKEYREJECTED" },
	{ "the batch is refused; its file is removed",
	  { { 200, FILE_1 }, { 400, REFUSAL("too many") }, { 200, DELETED } },
	  { "POST /files ", "POST /batches ", "DELETE /files/file-1 " },
	  LEDGER_FAILED,
	  "too many" },
	{ "the batch fails as a whole",
	  { { 200, FILE_1 },
	    { 200, BATCH("validating") "}" },
	    { 200, BATCH("failed") ",\"errors\":{\"data\":[{\"message\":\"line 1 is odd\"}]}}" },
	    { 200, DELETED } },
	  { "POST /files ", "POST /batches ", "GET /batches/batch_1 ", "DELETE /files/file-1 " },
	  LEDGER_CANCELLED,
	  "line 1 is odd" },
	{ "it expires",
	  { { 200, FILE_1 },
	    { 200, BATCH("in_progress") "}" },
	    { 200, BATCH("expired") "}" },
	    { 200, DELETED } },
	  { "POST /files ", "POST /batches ", "GET /batches/batch_1 ", "DELETE /files/file-1 " },
	  LEDGER_CANCELLED,
	  "expired at openai" },
	{ "the provider forgets it",
	  { { 200, FILE_1 },
	    { 200, BATCH("in_progress") "}" },
	    { 404, REFUSAL("no such batch") },
	    { 404, REFUSAL("no such file") } },
	  { "POST /files ", "POST /batches ", "GET /batches/batch_1 ", "DELETE /files/file-1 " },
	  LEDGER_CANCELLED,
	  "knows no such batch any more" },
	{ "its results are gone",
	  { { 200, FILE_1 },
	    { 200, BATCH("in_progress") "}" },
	    { 200, COMPLETED },
	    { 404, REFUSAL("no such file") },
	    { 404, REFUSAL("no such file") } },
	  { "POST /files ", "POST /batches ", "GET /batches/batch_1 ", "GET /files/file-o/content ",
	    "DELETE /files/file-o ", "DELETE /files/file-1 " },
	  LEDGER_CANCELLED,
	  "without an answer" },
};

static void failures_are_told_to_each_sample(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		const struct failing *c = &failures[i];
		struct ledger_row row;
		struct batchy *t;
		void *own;

		assert_int_equal(batchy_setup(&own), 0);
		t = own;
		script(t, c->says);
		hand_in(batchy_gather(t, 2));
		assert_true(batchy_await_none(t));
		print_message("%s\n", c->name);
		assert_asked(t, c->asked);
		assert_int_equal(batchy_row(t, 0, &row), c->state);
		if (!row.error || !strstr(row.error, c->error))
			fail_msg("%s: %s", c->name, row.error ? row.error : "no error");
		ledger_row_done(&row);
		assert_int_equal(batchy_state(t, 1), c->state);
		assert_int_equal(batchy_teardown(&own), 0);
	}
}

static void what_will_pass_is_waited_for(void **state)
{
	static const struct said says[] = {
		{ 200, FILE_1 },
		{ 200, BATCH("validating") "}" },
		{ 401, REFUSAL("not now") }, /* a poll that is refused: the batch is not lost */
		{ 401, REFUSAL("not now") },
		{ 200, COMPLETED },
		{ 403, REFUSAL("not yet") },
		{ 200, RESULT("0") RESULT("1") },
		{ 200, DELETED },
		{ 0, NULL },
	};
	struct batchy *t = *state;

	script(t, says);
	hand_in(batchy_gather(t, 2));
	assert_true(batchy_await_none(t));
	assert_int_equal(batchy_state(t, 0), LEDGER_DONE);
	assert_int_equal(batchy_state(t, 1), LEDGER_DONE);
}

static void files_that_cannot_be_removed_are_left(void **state)
{
	static const struct said says[] = { { 200, FILE_1 },
					    { 200, COMPLETED },
					    { 200, COMPLETED },
					    { 200, RESULT("0") },
					    { 403, REFUSAL("not yours") },
					    { 0, NULL } };
	struct batchy *t = *state;

	script(t, says);
	hand_in(batchy_gather(t, 1));
	assert_true(batchy_await_none(t)); /* it does not try for ever */
	assert_int_equal(batchy_state(t, 0), LEDGER_DONE);
}

static void lines_that_do_not_come_are_missing(void **state)
{
	static const struct said says[] = { { 200, FILE_1 },
					    { 200, BATCH("in_progress") "}" },
					    { 200, BATCH("expired") ",\"output_file_id\":\"o\"}" },
					    { 200, "nonsense\n\n{}\n" RESULT("1") RESULT("7") },
					    { 200, DELETED },
					    { 0, NULL } };
	struct batchy *t = *state;
	struct ledger_row row;

	script(t, says);
	hand_in(batchy_gather(t, 3));
	assert_true(batchy_await_none(t));
	assert_int_equal(batchy_state(t, 0), LEDGER_CANCELLED);
	assert_int_equal(batchy_state(t, 1), LEDGER_DONE);
	assert_int_equal(batchy_row(t, 2, &row), LEDGER_CANCELLED);
	assert_int_equal(batchjob_land_tries(&row), 1);
	ledger_row_done(&row);
}

/* ---- cancelled ---- */

static void cancelled_before_it_was_sent_asks_nobody(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = batchy_gather(t, 2);

	x->r.cancel = true;
	hand_in(x);
	assert_true(batchy_await_none(t));
	assert_int_equal(wire_requests(t->wire), 0);
	assert_int_equal(batchy_state(t, 0), 0); /* missing, not failed: another file may ask */
}

static void cancelled_on_its_way_keeps_what_it_brings(void **state)
{
	static const struct said says[] = { { 200, FILE_1 },
					    { 200, BATCH("in_progress") "}" },
					    { 0, NULL } };
	static const struct said then[] = { { 200, BATCH("cancelling") "}" },
					    { 200,
					      BATCH("cancelled") ",\"output_file_id\":\"o\"}" },
					    { 200, RESULT("1") },
					    { 200, DELETED },
					    { 200, DELETED },
					    { 0, NULL } };
	static const char *const asked[] = { "POST /files ",
					     "POST /batches ",
					     "GET /batches/batch_1 ",
					     "POST /batches/batch_1/cancel ",
					     "GET /batches/batch_1 ",
					     "GET /files/o/content ",
					     "DELETE /files/o ",
					     "DELETE /files/file-1 ",
					     NULL };
	struct batchy *t = *state;
	static char poll[512];

	script(t, says);
	(void)snprintf(poll, sizeof(poll),
		       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		       "Content-Length: %zu\r\n\r\n%s",
		       strlen(RUNNING), RUNNING);
	wire_add(t->wire, (struct wire_answer){ .bytes = poll, .gate = true });
	script(t, then);
	hand_in(batchy_gather(t, 2));
	assert_true(wire_await(t->wire, 3));
	batchjob_cancel(t->f.broker, BATCHY_LINES);
	batchjob_cancel(t->f.broker, BATCHY_LINES); /* twice is once */
	batchjob_cancel(t->f.broker, BATCHY_LINES + 1);
	wire_open(t->wire);
	assert_true(batchy_await_none(t));
	assert_asked(t, asked);
	assert_int_equal(batchy_state(t, 0), 0);
	assert_int_equal(batchy_state(t, 1), LEDGER_DONE); /* it was paid for */
}

/* ---- kill -9 ---- */

struct cut {
	const char *name;
	struct said before[8], after[8]; /* the last one before: silence */
	const char *asked[14];
	size_t at; /* requests until the kill */
};

static const struct cut cuts[] = {
	{ "in the upload: once more; what the first has left there goes, too",
	  { { 1, NULL } },
	  { { 200, FILE_1 },
	    { 200, COMPLETED },
	    { 200, COMPLETED },
	    { 200, RESULT("0") },
	    { 200, DELETED },
	    { 200, DELETED },
	    { 200, LIST("{\"id\":\"file-0\",\"filename\":\"tag.jsonl\"}") },
	    { 200, DELETED } },
	  { "POST /files ", "POST /files ", "POST /batches ", "GET /batches/batch_1 ",
	    "GET /files/file-o/content ", "DELETE /files/file-o ", "DELETE /files/file-1 ",
	    "GET /files?purpose=batch", "DELETE /files/file-0 " },
	  1 },
	{ "in the creation, which was made: it is found",
	  { { 200, FILE_1 }, { 1, NULL } },
	  { { 200, LIST(BATCH("in_progress") "}") },
	    { 200, COMPLETED },
	    { 200, RESULT("0") },
	    { 200, DELETED } },
	  { "POST /files ", "POST /batches ", "GET /batches?limit=100 ", "GET /batches/batch_1 ",
	    "GET /files/file-o/content ", "DELETE /files/file-o ", "DELETE /files/file-1 " },
	  2 },
	{ "in the creation, which was not made: looked for twice, then created",
	  { { 200, FILE_1 }, { 1, NULL } },
	  { { 200, LIST("{\"id\":\"b\",\"metadata\":{\"inferfs\":\"gat\"}}") },
	    { 200, LIST("") },
	    { 200, COMPLETED },
	    { 200, COMPLETED },
	    { 200, RESULT("0") },
	    { 200, DELETED } },
	  { "POST /files ", "POST /batches ", "GET /batches?limit=100 ", "GET /batches?limit=100 ",
	    "POST /batches ", "GET /batches/batch_1 ", "GET /files/file-o/content ",
	    "DELETE /files/file-o ", "DELETE /files/file-1 " },
	  2 },
	{ "while it is polled",
	  { { 200, FILE_1 }, { 200, BATCH("validating") "}" }, { 1, NULL } },
	  { { 200, COMPLETED }, { 200, RESULT("0") }, { 200, DELETED } },
	  { "POST /files ", "POST /batches ", "GET /batches/batch_1 ", "GET /batches/batch_1 ",
	    "GET /files/file-o/content ", "DELETE /files/file-o ", "DELETE /files/file-1 " },
	  3 },
	{ "in the download: from its beginning, each answer counted once",
	  { { 200, FILE_1 }, { 200, BATCH("validating") "}" }, { 200, COMPLETED }, { 1, NULL } },
	  { { 200, RESULT("0") RESULT("0") }, { 200, DELETED } },
	  { "POST /files ", "POST /batches ", "GET /batches/batch_1 ", "GET /files/file-o/content ",
	    "GET /files/file-o/content ", "DELETE /files/file-o ", "DELETE /files/file-1 " },
	  4 },
	{ "in the removal",
	  { { 200, FILE_1 },
	    { 200, BATCH("validating") "}" },
	    { 200, COMPLETED },
	    { 200, RESULT("0") },
	    { 1, NULL } },
	  { { 200, DELETED } },
	  { "POST /files ", "POST /batches ", "GET /batches/batch_1 ", "GET /files/file-o/content ",
	    "DELETE /files/file-o ", "DELETE /files/file-o ", "DELETE /files/file-1 " },
	  5 },
};

static void wherever_it_is_cut_off_it_goes_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		const struct cut *c = &cuts[i];
		struct batchy *t;
		void *own;

		print_message("%s\n", c->name);
		assert_int_equal(batchy_setup(&own), 0);
		t = own;
		script(t, c->before);
		script(t, c->after);
		hand_in(batchy_gather(t, 1));
		assert_true(wire_await(t->wire, c->at));
		batchy_remount(t);
		assert_true(batchy_await_none(t));
		assert_asked(t, c->asked);
		assert_int_equal(batchy_state(t, 0), LEDGER_DONE);
		assert_int_equal(fixture_counter(&t->f, LEDGER_C_CALLS), 1);
		assert_int_equal(batchy_teardown(&own), 0);
	}
}

static void nobody_wants_it_after_the_mount(void **state)
{
	static const struct said says[] = { { 200, FILE_1 },
					    { 200, BATCH("validating") "}" },
					    { 1, NULL },
					    { 200, BATCH("cancelling") "}" },
					    { 200, BATCH("cancelled") "}" },
					    { 200, DELETED },
					    { 0, NULL } };
	static const char *const asked[] = { "POST /files ",
					     "POST /batches ",
					     "GET /batches/batch_1 ",
					     "POST /batches/batch_1/cancel ",
					     "GET /batches/batch_1 ",
					     "DELETE /files/file-1 ",
					     NULL };
	struct batchy *t = *state;

	script(t, says);
	hand_in(batchy_gather(t, 2));
	assert_true(wire_await(t->wire, 3));
	batchy_reopen(t);
	assert_true(batchy_await_none(t));
	assert_asked(t, asked);
}

/* ---- the clock ---- */

static void the_first_that_is_due_is_told(void **state)
{
	struct batchy *t = *state;
	struct broker *b = t->f.broker;
	struct batchjob *x[3];
	uint64_t due[3] = { 0, 300, 200 }, next = 0;

	for (unsigned i = 0; i < 3; i++)
		x[i] = batchy_gather(t, 1);
	lock_take(&b->lock); /* held: the broker's own clock looks, too */
	for (unsigned i = 0; i < 3; i++)
		x[i]->at.due_mono = due[i];
	assert_null(batchjob_step_tick_locked(b, 199, &next));
	assert_int_equal(next, 200);
	next = 100; /* of something else */
	assert_null(batchjob_step_tick_locked(b, 199, &next));
	assert_int_equal(next, 100);
	assert_ptr_equal(batchjob_step_tick_locked(b, 250, &next), x[2]);
	assert_int_equal(x[2]->at.due_mono, 0);
	next = 0;
	assert_null(batchjob_step_tick_locked(b, 250, &next));
	assert_int_equal(next, 300);
	assert_ptr_equal(batchjob_step_tick_locked(b, UINT64_MAX, &next), x[1]);
	assert_null(batchjob_step_tick_locked(b, UINT64_MAX, &next));
	lock_drop(&b->lock);
	for (unsigned i = 0; i < 3; i++)
		batchjob_forget(x[i]);
}

static void pauses_grow_to_their_limit(void **state)
{
	struct batchy *t = *state;
	struct batchjob *x = batchy_gather(t, 1);
	struct err e;

	t->f.broker->o.batch_poll_min_s = 3600;
	t->f.broker->o.batch_poll_max_s = 86400;
	(void)err_set(&e, ERR_UNREACHABLE, "the network is away");
	for (unsigned i = 0; i < 40; i++) {
		uint64_t before = mono_ns(), most = UINT64_C(3600) << (i < 10 ? i : 10), after;
		uint64_t want = (most < 86400 ? most : 86400) * MONO_S, due;

		batchjob_step_pause(x, &e);
		after = mono_ns();
		lock_take(&t->f.broker->lock);
		due = x->at.due_mono;
		lock_drop(&t->f.broker->lock);
		assert_in_range(due, before + want, after + want + 1);
		assert_string_equal(x->at.trouble.message, e.message);
	}
	assert_int_equal(x->at.pauses, 40);
	batchjob_forget(x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, batchy_setup, batchy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_batch_goes_all_its_way),
		cmocka_unit_test(failures_are_told_to_each_sample),
		TEST(what_will_pass_is_waited_for),
		TEST(files_that_cannot_be_removed_are_left),
		TEST(lines_that_do_not_come_are_missing),
		TEST(cancelled_before_it_was_sent_asks_nobody),
		TEST(cancelled_on_its_way_keeps_what_it_brings),
		cmocka_unit_test(wherever_it_is_cut_off_it_goes_on),
		TEST(nobody_wants_it_after_the_mount),
		TEST(the_first_that_is_due_is_told),
		TEST(pauses_grow_to_their_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
