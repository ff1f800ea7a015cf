/* test_respblob.c - rendered files: once for all who read, the last few kept, large ones only while read */
/* LDFLAGS: -Wl,-z,muldefs */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/auto.h"
#include "vfs/responses.h"

#define KEPT	   8u
#define KEPT_BYTES (64u << 10)

static struct vfs v;
static atomic_int rendered;
static int fails;
static size_t bytes; /* of every file; 0: a few */
static bool view_gone, empty,
	quiet; /* quiet: many threads ask, nobody looks at the last question */
static uint64_t changed;
static struct broker_file_id last;

/* ---- the broker ------------------------------------------------------------------------------------------- */

int broker_get(struct broker *b, int64_t id, struct broker_view *out)
{
	(void)b;
	if (view_gone)
		return -ENOENT;
	*out = (struct broker_view){ .id = id, .state = BROKER_DONE, .changed_ns = changed };
	return 0;
}

int broker_render(struct broker *b, const struct broker_file_id *f, struct buf *out)
{
	(void)b;
	rendered++;
	if (fails) {
		(void)buf_adds(out, "half of i"); /* not to be seen by anybody */
		return fails;
	}
	for (size_t i = 0; i < bytes; i++)
		if (buf_addc(out, 'x') < 0)
			return -ENOMEM;
	if (bytes || empty)
		return 0;
	if (!quiet)
		last = *f;
	return buf_addf(out, "%lld/%d/%u", (long long)f->id, (int)f->file, f->sample);
}

static int setup(void **state)
{
	(void)state;
	v = (struct vfs){ .respblob = respblob_new() };
	rendered = fails = 0;
	bytes = 0;
	view_gone = empty = quiet = false;
	changed = 1;
	return v.respblob ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	assert_null(respblob_free(v.respblob));
	assert_null(respblob_free(NULL));
	return 0;
}

static uint64_t node(int64_t id, enum response_kind kind)
{
	return resptable_pack(&(struct response_node){ .id = id, .kind = kind });
}

static struct respblob *get(uint64_t nodeid)
{
	struct respblob *b = NULL;

	assert_int_equal(respblob_get(&v, nodeid, false, &b), 0);
	assert_non_null(b);
	return b;
}

/* a reader that comes and goes */
static void look(uint64_t nodeid)
{
	respblob_unref(&v, get(nodeid));
}

static void renders(int n)
{
	assert_int_equal(rendered, n);
	rendered = 0;
}

/* ---- failures --------------------------------------------------------------------------------------------- */

static void what_has_no_bytes(void **state)
{
	static const enum response_kind none[] = { RESP_DIR, RESP_SAMPLE, RESP_KINDS,
						   (enum response_kind)31, (enum response_kind)0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		struct respblob *b = (void *)&v;

		assert_int_equal(respblob_get(&v, node(1, none[i]), false, &b), -ENOENT);
		assert_ptr_equal(b, &v);
	}
	renders(0);
	respblob_unref(&v, NULL);
	respblob_trim(&v, node(1, RESP_TEXT));
	respblob_trim(&v, 0);
}

static void a_failure_is_not_kept(void **state)
{
	static const int codes[] = { -ENOENT, -EAGAIN, -EIO, -ENOMEM };
	struct respblob *whole;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct respblob *b = (void *)&v;

		fails = codes[i];
		assert_int_equal(respblob_get(&v, node(1, RESP_TEXT), true, &b), fails);
		assert_ptr_equal(b, &v);
	}
	renders(ARRAY_LEN(codes));
	fails = 0;
	whole = get(node(1, RESP_TEXT));
	assert_string_equal(buf_str(&whole->b), "1/0/0");
	respblob_unref(&v, whole);
	renders(1);
}

static void a_file_that_failed_leaves_others(void **state)
{
	struct respblob *b;

	(void)state;
	look(node(1, RESP_TEXT));
	fails = -EIO;
	assert_int_equal(respblob_get(&v, node(2, RESP_TEXT), false, &b), -EIO);
	look(node(1, RESP_TEXT)); /* not rendered, so it does not fail */
	renders(2);
}

/* ---- what is the same file -------------------------------------------------------------------------------- */

static void rendered_once_for_all(void **state)
{
	struct respblob *a = get(node(5, RESP_RESPONSE)), *b = get(node(5, RESP_RESPONSE));

	(void)state;
	assert_ptr_equal(a, b);
	respblob_unref(&v, a);
	assert_string_equal(buf_str(&b->b), "5/1/0"); /* another reader's close is nothing to it */
	respblob_unref(&v, b);
	look(node(5, RESP_RESPONSE));
	renders(1);
}

static void what_is_asked_of_the_broker(void **state)
{
	struct response_node n = { .id = 6, .kind = RESP_S_RAW, .sample = 999 };
	struct respblob *b;

	(void)state;
	assert_int_equal(respblob_get(&v, resptable_pack(&n), true, &b), 0);
	respblob_unref(&v, b);
	assert_int_equal(last.id, 6);
	assert_int_equal(last.file, BROKER_SAMPLE_RAW);
	assert_int_equal(last.sample, 999);
	assert_true(last.nowait);
	n.sample = 998;
	look(resptable_pack(&n));
	assert_int_equal(last.sample, 998);
	assert_false(last.nowait);
	renders(2);
}

/* text and stream of an answer, and a name looked up before its end, are the same bytes */
static void names_of_the_same_bytes(void **state)
{
	struct response_node n = { .id = 8, .kind = RESP_TEXT, .gen = 3 };
	struct respblob *a = get(resptable_pack(&n)), *b;

	(void)state;
	for (int k = 1; k < 4; k++) {
		n.kind = k & 1 ? RESP_STREAM : RESP_TEXT;
		n.pending = k & 2;
		b = get(resptable_pack(&n));
		assert_ptr_equal(a, b);
		respblob_unref(&v, b);
	}
	respblob_unref(&v, a);
	renders(1);
}

static void names_of_other_bytes(void **state)
{
	struct response_node n[] = { { .id = 8, .kind = RESP_TEXT },
				     { .id = 9, .kind = RESP_TEXT },
				     { .id = 8, .kind = RESP_RESPONSE },
				     { .id = 8, .kind = RESP_S_TEXT, .sample = 0 },
				     { .id = 8, .kind = RESP_S_TEXT, .sample = 1 },
				     { .id = 8, .kind = RESP_TEXT, .gen = 1 } };

	(void)state;
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_LEN(n); i++)
			look(resptable_pack(&n[i]));
	renders(ARRAY_LEN(n));
}

/* usage.json and error.json say something else after a retry; a text does not */
static void a_change_makes_some_files_anew(void **state)
{
	static const struct {
		enum response_kind kind;
		bool anew;
	} rows[] = { { RESP_USAGE, true },	{ RESP_ERROR, true },	{ RESP_TEXT, false },
		     { RESP_RESPONSE, false },	{ RESP_S_META, false }, { RESP_REQUEST, false },
		     { RESP_REASONING, false }, { RESP_S_TEXT, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct respblob *old = get(node(20 + (int64_t)i, rows[i].kind));

		changed++;
		look(node(20 + (int64_t)i, rows[i].kind));
		renders(rows[i].anew ? 2 : 1);
		assert_true(old->b.len > 0); /* who read it before goes on reading it */
		respblob_unref(&v, old);
	}
}

static void a_request_that_went_is_rendered_all_the_same(void **state)
{
	(void)state;
	view_gone = true;
	look(node(3, RESP_ERROR));
	look(node(3, RESP_ERROR));
	renders(1);
	view_gone = false;
	look(node(3, RESP_ERROR));
	renders(1);
}

/* ---- what is kept ------------------------------------------------------------------------------------------- */

static void the_last_few_are_kept(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= KEPT; i++)
		look(node(i, RESP_TEXT));
	renders(KEPT);
	for (unsigned i = 1; i <= KEPT; i++)
		look(node(i, RESP_TEXT));
	renders(0);
	look(node(KEPT + 1, RESP_TEXT)); /* in the place of the oldest */
	look(node(2, RESP_TEXT));
	renders(1);
	look(node(1, RESP_TEXT));
	renders(1);
}

static void a_reader_keeps_what_was_pushed_out(void **state)
{
	struct respblob *b = get(node(1, RESP_TEXT)), *again;

	(void)state;
	for (unsigned i = 2; i < 2 + 3 * KEPT; i++)
		look(node(i, RESP_TEXT));
	assert_string_equal(buf_str(&b->b), "1/0/0");
	again = get(node(1, RESP_TEXT));
	assert_ptr_not_equal(again, b);
	assert_string_equal(buf_str(&again->b), buf_str(&b->b));
	respblob_unref(&v, b);
	respblob_unref(&v, again);
}

static void only_large_ones_go_when_trimmed(void **state)
{
	static const struct {
		size_t bytes;
		bool goes;
	} rows[] = { { 1, false },
		     { KEPT_BYTES - 1, false },
		     { KEPT_BYTES, false },
		     { KEPT_BYTES + 1, true },
		     { 1u << 20, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t n = node(40 + (int64_t)i, RESP_RESPONSE);

		bytes = rows[i].bytes;
		look(n);
		respblob_trim(&v, node(1, RESP_RESPONSE)); /* another's */
		look(n);
		renders(1);
		respblob_trim(&v, n);
		respblob_trim(&v, n);
		look(n);
		renders(rows[i].goes);
	}
}

static void trimmed_under_a_reader(void **state)
{
	struct respblob *b;

	(void)state;
	bytes = 2 * KEPT_BYTES;
	b = get(node(1, RESP_RESPONSE));
	respblob_trim(&v, node(1, RESP_RESPONSE));
	assert_int_equal(b->refs, 1);
	assert_int_equal(b->b.len, bytes);
	assert_int_equal(buf_str(&b->b)[bytes - 1], 'x');
	respblob_unref(&v, b);
	look(node(1, RESP_RESPONSE));
	renders(2);
}

static void an_empty_file_is_kept_as_others(void **state)
{
	struct respblob *b;

	(void)state;
	empty = true;
	look(node(1, RESP_TEXT));
	b = get(node(1, RESP_TEXT));
	assert_int_equal(b->b.len, 0);
	respblob_unref(&v, b);
	renders(1);
}

/* ---- many threads ------------------------------------------------------------------------------------------- */

static atomic_int wrong;

static void *reader(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char want[32];

	for (int i = 0; i < 3000; i++) {
		int64_t id = 1 + (seed = seed * 1103515245u + 12345u) / 65536 % (KEPT + 4);
		struct respblob *b;

		if (respblob_get(&v, node(id, RESP_RESPONSE), false, &b) < 0) {
			wrong++;
			continue;
		}
		(void)snprintf(want, sizeof(want), "%lld/1/0", (long long)id);
		if (strcmp(want, buf_str(&b->b)) != 0)
			wrong++;
		if (i % 7 == 0)
			respblob_trim(&v, node(id, RESP_RESPONSE));
		respblob_unref(&v, b);
	}
	return NULL;
}

static void many_readers(void **state)
{
	pthread_t t[4];

	(void)state;
	quiet = true;
	wrong = 0;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, (void *)(uintptr_t)(i + 1)),
				 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(wrong, 0);
	assert_true(rendered >= (int)KEPT + 4);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_has_no_bytes),
		T(a_failure_is_not_kept),
		T(a_file_that_failed_leaves_others),
		T(rendered_once_for_all),
		T(what_is_asked_of_the_broker),
		T(names_of_the_same_bytes),
		T(names_of_other_bytes),
		T(a_change_makes_some_files_anew),
		T(a_request_that_went_is_rendered_all_the_same),
		T(the_last_few_are_kept),
		T(a_reader_keeps_what_was_pushed_out),
		T(only_large_ones_go_when_trimmed),
		T(trimmed_under_a_reader),
		T(an_empty_file_is_kept_as_others),
		T(many_readers),
	};

	return cmocka_run_group_tests_name("respblob", tests, NULL, NULL);
}
