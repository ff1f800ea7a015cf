/* test_broker.c - the life of requests over a real ledger and store, with the echo backend */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker_fixture.h"
#include "core/stream.h"

#define SLOW(text) "{\"prompt\":\"" text "\",\"extra_body\":{\"delay_ms\":600000}}"

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? fixture_open(f) : -1;
}

static int teardown(void **state)
{
	fixture_close(*state);
	free(*state);
	return 0;
}

static struct broker_view view_of(struct fixture *f, const char *path)
{
	struct broker_view v = { 0 };

	assert_int_equal(broker_find(f->broker, "", path, &v), 0);
	return v;
}

static int64_t ask_and_wait(struct fixture *f, const char *path, const char *json)
{
	int64_t id = 0;

	assert_int_equal(fixture_check(f, path, json, true, &id), 0);
	assert_true(id > 0);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	return id;
}

/* ---- refusals ---- */

static void refused_documents(void **state)
{
	static const struct {
		const char *json;
		int code;
		const char *says;
	} cases[] = {
		{ "{\"prompt\":\"x\",}", EINVAL, "\"line\":1" },
		{ "{\"prompt\":\"x\",\"temprature\":1}", EINVAL, "temperature" },
		{ "{\"prompt\":\"x\",\"model\":\"nowhere/m\"}", ENXIO, "nowhere" },
		{ "{\"prompt\":\"x\",\"model\":\"mistral/m\"}", ENXIO, "[backend mistral]" },
		{ "{\"prompt\":\"x\",\"n\":0}", EINVAL, "\"field\":\"n\"" },
		{ "{\"prompt\":\"x\",\"namespace\":\"a/b\"}", EINVAL, "namespace" },
		{ "{}", EINVAL, "prompt" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct broker_view v;
		const char *error;
		int r;

		assert_int_equal(fixture_check(f, "bad", cases[i].json, true, NULL), cases[i].code);
		v = view_of(f, "bad");
		assert_int_equal(v.state, BROKER_REFUSED);
		assert_int_equal(v.code, cases[i].code);
		error = fixture_render(f, v.id, BROKER_ERROR, &r);
		assert_non_null(error);
		if (!strstr(error, cases[i].says))
			fail_msg("case %zu: %s", i, error);
		assert_null(fixture_render(f, v.id, BROKER_REQUEST, &r));
	}
	assert_int_equal(fixture_counter(f, LEDGER_C_REFUSED), 7);
	assert_int_equal(fixture_counter(f, LEDGER_C_REQUESTS), 0);
}

static void an_unfinished_document_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct broker_view v;
	int64_t id = -1;

	assert_int_equal(fixture_check(f, "half", "{\"prompt\":\"x", false, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(broker_find(f->broker, "", "half", &v), -ENOENT);
	assert_int_equal(fixture_check(f, "half", "", true, &id), 0);
	assert_int_equal(id, 0);
}

static void a_failed_request_tells_why_and_can_be_tried_again(void **state)
{
	struct fixture *f = *state;
	struct broker_view v;
	int64_t id, again;
	int r;

	assert_int_equal(
		fixture_check(f, "f", "{\"prompt\":\"x\",\"extra_body\":{\"error\":\"EREMOTEIO\"}}",
			      true, &id),
		0);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	v = view_of(f, "f");
	assert_int_equal(v.code, EREMOTEIO);
	assert_non_null(strstr(fixture_render(f, id, BROKER_ERROR, &r), "EREMOTEIO"));
	assert_null(fixture_render(f, id, BROKER_TEXT, &r));
	assert_non_null(fixture_render(f, id, BROKER_REQUEST, &r));
	assert_int_equal(broker_ctl_cancel(f->broker, id), -EINVAL);
	assert_int_equal(broker_ctl_retry(f->broker, id), 0);
	again = view_of(f, "f").id;
	assert_true(again != id);
	assert_int_equal(fixture_final(f, again), BROKER_FAILED);
	assert_int_equal(broker_ctl_retry(f->broker, id), -ENOENT);
}

static void nothing_failed_is_in_the_store(void **state)
{
	struct fixture *f = *state;
	struct store_name names[4];
	size_t n;
	int64_t id;

	assert_int_equal(fixture_check(f, "f",
				       "{\"prompt\":\"x\",\"extra_body\":{\"error\":\"EBUSY\"}}",
				       true, &id),
			 0);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	assert_int_equal(store_list(f->store, "", NULL, 4, names, &n), 0);
	assert_int_equal(n, 0);
}

/* ---- the good way ---- */

static void an_answer(void **state)
{
	struct fixture *f = *state;
	int64_t id = ask_and_wait(f, "sky", "{\"prompt\":\"why?\"}");
	struct broker_view v = view_of(f, "sky");
	struct key key;
	int r;

	assert_string_equal(fixture_render(f, id, BROKER_TEXT, &r), "You said: why?\n");
	assert_int_equal(v.text_bytes, strlen("You said: why?\n"));
	fixture_render(f, id, BROKER_REQUEST, &r);
	assert_int_equal(r, 0);
	assert_int_equal(key_of(fixture_render(f, id, BROKER_REQUEST, &r),
				strlen(fixture_render(f, id, BROKER_REQUEST, &r)), &key),
			 0);
	assert_true(key_equal(&key, &v.key));
	assert_non_null(strstr(fixture_render(f, id, BROKER_RESPONSE, &r), "\"cost_usd\":0"));
	assert_null(fixture_render(f, id, BROKER_REASONING, &r));
	assert_int_equal(r, -ENOENT);
}

static void a_held_request_is_sent_when_its_file_is_closed(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	assert_int_equal(fixture_check(f, "h", "{\"prompt\":\"h\"}", false, &id), 0);
	assert_int_equal(view_of(f, "h").state, BROKER_QUEUED);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 0);
	broker_send(f->broker, id);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
	broker_send(f->broker, id); /* harmless */
	broker_send(f->broker, 12345);
}

static void the_second_time_nothing_is_sent(void **state)
{
	struct fixture *f = *state;
	int64_t a = ask_and_wait(f, "a", "{\"prompt\":\"same\"}");
	int64_t b = ask_and_wait(f, "b", "{ \"prompt\" : \"same\" }");
	int64_t again;
	int r;

	assert_true(a != b);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 1);
	assert_int_equal(fixture_counter(f, LEDGER_C_CACHE_HITS), 1);
	assert_non_null(strstr(fixture_render(f, b, BROKER_RESPONSE, &r), "\"cached\":true"));
	assert_int_equal(fixture_check(f, "a", "{\"prompt\":\"same\"}", true, &again), 0);
	assert_int_equal(again, a); /* the same under the same name changes nothing */
	assert_int_equal(fixture_counter(f, LEDGER_C_REQUESTS), 2);
}

static void cache_modes(void **state)
{
	struct fixture *f = *state;
	int64_t id;
	int r;

	assert_int_equal(fixture_check(f, "o", "{\"prompt\":\"m\",\"cache\":\"only\"}", true, &id),
			 0);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	assert_int_equal(view_of(f, "o").code, ENODATA);
	ask_and_wait(f, "u", "{\"prompt\":\"m\"}");
	ask_and_wait(f, "o2", "{\"prompt\":\"m\",\"cache\":\"only\"}");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 1);
	id = ask_and_wait(f, "b", "{\"prompt\":\"m\",\"cache\":\"bypass\"}");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
	assert_non_null(strstr(fixture_render(f, id, BROKER_RESPONSE, &r), "\"cached\":false"));
	ask_and_wait(f, "b", "{\"prompt\":\"m\",\"cache\":\"bypass\"}"); /* buys again */
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 3);
	ask_and_wait(f, "r", "{\"prompt\":\"m\",\"cache\":\"refresh\"}");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 4);
	ask_and_wait(f, "u2", "{\"prompt\":\"m\"}");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 4);
}

static void length_is_stored_only_when_the_user_set_max_tokens(void **state)
{
	struct fixture *f = *state;

	ask_and_wait(f, "a", "{\"prompt\":\"l\",\"extra_body\":{\"finish_reason\":\"length\"}}");
	ask_and_wait(f, "b", "{\"prompt\":\"l\",\"extra_body\":{\"finish_reason\":\"length\"}}");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
	ask_and_wait(f, "c",
		     "{\"prompt\":\"l\",\"max_tokens\":5,\"extra_body\":{\"finish_reason\":"
		     "\"length\"}}");
	ask_and_wait(f, "d",
		     "{\"prompt\":\"l\",\"max_tokens\":5,\"extra_body\":{\"finish_reason\":"
		     "\"length\"}}");
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 3);
}

static void a_hundred_equal_ones_cost_one_call(void **state)
{
	struct fixture *f = *state;
	int64_t ids[100];

	for (int i = 0; i < 100; i++) {
		char path[16];

		(void)snprintf(path, sizeof(path), "e%d", i);
		assert_int_equal(
			fixture_check(f, path,
				      "{\"prompt\":\"e\",\"extra_body\":{\"delay_ms\":200}}", true,
				      &ids[i]),
			0);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(fixture_final(f, ids[i]), BROKER_DONE);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 1);
	assert_int_equal(fixture_counter(f, LEDGER_C_CACHE_HITS), 99);
}

/* ---- names ---- */

static void new_bytes_take_over_the_name(void **state)
{
	struct fixture *f = *state;
	int64_t old, new;
	struct broker_view v;

	assert_int_equal(fixture_check(f, "t", SLOW("old"), true, &old), 0);
	new = ask_and_wait(f, "t", "{\"prompt\":\"new\"}");
	assert_int_equal(view_of(f, "t").id, new);
	assert_int_equal(broker_get(f->broker, old, &v), -ENOENT);
}

static void the_same_again_while_it_runs_is_the_same(void **state)
{
	struct fixture *f = *state;
	int64_t a, b;

	assert_int_equal(fixture_check(f, "s", SLOW("s"), true, &a), 0);
	assert_int_equal(fixture_check(f, "s", SLOW("s"), true, &b), 0);
	assert_int_equal(a, b);
	assert_int_equal(fixture_drop(f, "s"), 0);
}

static void a_removed_name_is_gone_when_the_call_returns(void **state)
{
	struct fixture *f = *state;
	struct broker_view v;
	int64_t id = ask_and_wait(f, "d", "{\"prompt\":\"d\"}");
	int r;

	broker_hold(f->broker, id);
	assert_int_equal(fixture_drop(f, "d"), 0);
	assert_int_equal(broker_find(f->broker, "", "d", &v), -ENOENT);
	/* a reader that has it open keeps it */
	assert_string_equal(fixture_render(f, id, BROKER_TEXT, &r), "You said: d\n");
	broker_hold_release(f->broker, id);
	assert_null(fixture_render(f, id, BROKER_TEXT, &r));
	assert_int_equal(fixture_drop(f, "d"), 0); /* nothing there: fine */
}

static void a_dismissed_response_stays_away(void **state)
{
	struct fixture *f = *state;
	int64_t id = ask_and_wait(f, "x", "{\"prompt\":\"x\"}");

	assert_int_equal(fixture_dismiss(f, "x"), 0);
	assert_int_equal(view_of(f, "x").state, BROKER_DISMISSED);
	assert_true(ask_and_wait(f, "x", "{\"prompt\":\"x\"}") != id);
}

static void renames_carry_requests_along(void **state)
{
	struct fixture *f = *state;
	struct broker_view v;
	int64_t run, id = ask_and_wait(f, "a", "{\"prompt\":\"a\"}");
	struct broker_move m = { "", "a", "", "b", false, false };
	int r;

	ask_and_wait(f, "b", "{\"prompt\":\"b\"}");
	assert_int_equal(fixture_move(f, &m), 0);
	assert_int_equal(view_of(f, "b").id, id);
	assert_int_equal(view_of(f, "b").gen, 1);
	assert_int_equal(broker_find(f->broker, "", "a", &v), -ENOENT);
	assert_non_null(strstr(fixture_render(f, id, BROKER_RESPONSE, &r), "\"request_id\":\"b\""));

	assert_int_equal(fixture_check(f, "dir/run", SLOW("r"), true, &run), 0);
	m = (struct broker_move){ "", "dir", "", "other", true, false };
	assert_int_equal(fixture_move(f, &m), 0);
	assert_int_equal(view_of(f, "other/run").id, run);
	m = (struct broker_move){ "", "other/run", "", "b", false, true };
	assert_int_equal(fixture_move(f, &m), 0);
	assert_int_equal(view_of(f, "b").id, run);
	assert_int_equal(view_of(f, "other/run").id, id);
}

static void cancel(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	assert_int_equal(fixture_check(f, "c", SLOW("c"), true, &id), 0);
	assert_int_equal(broker_ctl_cancel(f->broker, id), 0);
	assert_int_equal(view_of(f, "c").state, BROKER_CANCELLED);
	assert_int_equal(fixture_final(f, id), BROKER_CANCELLED);
	assert_int_equal(view_of(f, "c").code, ECANCELED);
	assert_int_equal(broker_ctl_cancel(f->broker, id), -EINVAL);
	assert_int_equal(broker_ctl_cancel(f->broker, 999), -ENOENT);
}

static void a_request_has_its_own_timeout(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	assert_int_equal(
		fixture_check(f, "t",
			      "{\"prompt\":\"t\",\"timeout\":0.05,\"extra_body\":{\"delay_ms\":"
			      "600000}}",
			      true, &id),
		0);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	assert_int_equal(view_of(f, "t").code, ETIMEDOUT);
}

/* ---- after a crash ---- */

static void what_was_accepted_is_finished_after_the_next_start(void **state)
{
	const char *text = "{\"prompt\":\"kept\"}";
	struct fixture *f = *state;
	struct key sha;
	int64_t id;

	assert_int_equal(key_of(text, strlen(text), &sha), 0);
	assert_int_equal(fixture_check(f, "k", text, false, &id), 0);
	fixture_reopen(f, &sha);
	assert_int_equal(fixture_final(f, id), BROKER_DONE);
}

static int sha_of_anything(void *arg, const struct broker_name *name, struct key *out)
{
	(void)name;
	*out = *(const struct key *)arg;
	return 0;
}

/* the mount answers before the recovery has begun: what is accepted meanwhile is not recovered too */
static void a_late_recovery_leaves_new_requests_alone(void **state)
{
	struct fixture *f = *state;
	struct key sha = { { 1 } };
	int64_t id;

	assert_int_equal(fixture_check(f, "n", SLOW("n"), true, &id), 0);
	broker_recover(f->broker, sha_of_anything, &sha);
	assert_int_equal(view_of(f, "n").id, id);
	assert_false(broker_is_final(view_of(f, "n").state));
	assert_int_equal(fixture_counter(f, LEDGER_C_REQUESTS), 1);
	assert_int_equal(broker_ctl_cancel(f->broker, id), 0);
	assert_int_equal(fixture_final(f, id), BROKER_CANCELLED);
}

static void a_file_that_changed_meanwhile_is_not_sent(void **state)
{
	struct key other = { { 1 } };
	struct fixture *f = *state;
	int64_t id;

	assert_int_equal(fixture_check(f, "k", "{\"prompt\":\"kept\"}", false, &id), 0);
	fixture_reopen(f, &other);
	assert_int_equal(fixture_final(f, id), BROKER_FAILED);
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 0);
}

static void a_response_outlives_its_cache_entry(void **state)
{
	struct fixture *f = *state;
	int64_t id = ask_and_wait(f, "a", "{\"prompt\":\"a\"}"), b;
	struct broker_view v = view_of(f, "a");
	int r;

	assert_int_equal(store_remove(f->store, &v.key, UINT32_MAX), STORE_OK);
	assert_string_equal(fixture_render(f, id, BROKER_TEXT, &r), "You said: a\n");
	b = ask_and_wait(f, "b", "{\"prompt\":\"a\"}"); /* bought anew */
	assert_int_equal(fixture_counter(f, LEDGER_C_CALLS), 2);
	assert_int_equal(fixture_drop(f, "a"), 0);
	assert_string_equal(fixture_render(f, b, BROKER_TEXT, &r), "You said: a\n");
}

/* ---- ask ---- */

static size_t read_all(struct stream *s, char *out, size_t cap)
{
	struct stream_reader r = { 0 };
	size_t n = 0, off = 0;
	int k;

	do {
		k = stream_read(s, &r, (struct stream_span){ out + off, cap - off, off }, &n);
		off += k == 0 ? n : 0;
	} while (k == -EAGAIN || (k == 0 && n));
	out[off] = 0;
	return k < 0 ? (size_t)k : off;
}

static void ask_needs_no_name(void **state)
{
	struct fixture *f = *state;
	struct broker_ask_doc d = { "hello", 5, NULL };
	struct broker_ask *a;
	struct err e = { 0 };
	json_t *history;
	char text[256];

	assert_int_equal(broker_ask(f->broker, &d, &a, &e), 0);
	assert_true(read_all(broker_ask_stream(a), text, sizeof(text) - 1) < sizeof(text));
	assert_string_equal(text, "You said: hello\n");
	history = broker_ask_history(a);
	assert_int_equal(json_array_size(json_object_get(history, "messages")), 2);
	broker_ask_end(a);
	d = (struct broker_ask_doc){ "and now?", 8, history };
	assert_int_equal(broker_ask(f->broker, &d, &a, &e), 0);
	assert_true(read_all(broker_ask_stream(a), text, sizeof(text) - 1) < sizeof(text));
	broker_ask_end(a);
	json_decref(history);
	d = (struct broker_ask_doc){ "{\"prompt\":1}", 12, NULL };
	assert_int_equal(broker_ask(f->broker, &d, &a, &e), -EINVAL);
	assert_int_equal(fixture_counter(f, LEDGER_C_REQUESTS), 2);
}

static void closing_an_ask_ends_it(void **state)
{
	struct fixture *f = *state;
	struct broker_ask_doc d = { SLOW("a"), strlen(SLOW("a")), NULL };
	struct broker_ask *a;
	struct err e = { 0 };

	assert_int_equal(broker_ask(f->broker, &d, &a, &e), 0);
	broker_ask_end(a);
	assert_int_equal(fixture_counter(f, LEDGER_C_CANCELLED), 1);
	assert_null(broker_ask_end(NULL));
}

/* ---- what is shown beside ---- */

static void attributes_and_totals(void **state)
{
	static const struct {
		const char *name, *value;
	} cases[] = { { "request_id", "sky" },	   { "model", "echo" },
		      { "cached", "false" },	   { "route", "explicit" },
		      { "finish_reason", "stop" }, { "cost_usd", "0" },
		      { "duplicated", "false" },   { "input_tokens", "1" },
		      { "output_tokens", "3" } };
	struct fixture *f = *state;
	int64_t id = ask_and_wait(f, "sky", "{\"prompt\":\"why?\"}");
	struct buf b = BUF_INIT(1 << 16);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&b);
		assert_int_equal(broker_render_xattr(f->broker, id, cases[i].name, &b), 0);
		assert_string_equal(buf_str(&b), cases[i].value);
	}
	assert_int_equal(broker_render_xattr(f->broker, id, "namespace", &b), -ENODATA);
	assert_int_equal(broker_render_xattr(f->broker, 4711, "model", &b), -ENODATA);
	buf_clear(&b);
	assert_int_equal(broker_stats_summary(f->broker, &b), 0);
	assert_non_null(strstr(buf_str(&b), "\"requests\": 1"));
	buf_clear(&b);
	assert_int_equal(broker_stats_backend(f->broker, "echo", &b), 0);
	assert_int_equal(broker_stats_backend(f->broker, "none", &b), -ENOENT);
	buf_done(&b);
}

static void who_waits_is_told_when_it_ends(void **state)
{
	struct fixture *f = *state;
	struct broker_waiter w = { .wake = NULL };
	int64_t id;

	assert_int_equal(fixture_check(f, "w", SLOW("w"), true, &id), 0);
	assert_int_equal(broker_wait(f->broker, id, &w), 0);
	assert_true(broker_unwait(f->broker, &w));
	assert_false(broker_unwait(f->broker, &w));
	broker_quiet(f->broker);
	assert_int_equal(broker_wait(f->broker, id, &w), -ESHUTDOWN);
	assert_int_equal(fixture_check(f, "n", "{\"prompt\":\"n\"}", true, NULL), ESHUTDOWN);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(refused_documents),
		T(an_unfinished_document_changes_nothing),
		T(a_failed_request_tells_why_and_can_be_tried_again),
		T(nothing_failed_is_in_the_store),
		T(an_answer),
		T(a_held_request_is_sent_when_its_file_is_closed),
		T(the_second_time_nothing_is_sent),
		T(cache_modes),
		T(length_is_stored_only_when_the_user_set_max_tokens),
		T(a_hundred_equal_ones_cost_one_call),
		T(new_bytes_take_over_the_name),
		T(the_same_again_while_it_runs_is_the_same),
		T(a_removed_name_is_gone_when_the_call_returns),
		T(a_dismissed_response_stays_away),
		T(renames_carry_requests_along),
		T(cancel),
		T(a_request_has_its_own_timeout),
		T(what_was_accepted_is_finished_after_the_next_start),
		T(a_late_recovery_leaves_new_requests_alone),
		T(a_file_that_changed_meanwhile_is_not_sent),
		T(a_response_outlives_its_cache_entry),
		T(ask_needs_no_name),
		T(closing_an_ask_ends_it),
		T(attributes_and_totals),
		T(who_waits_is_told_when_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
