/* test_jobio.c - an open file of a job: reads that park while it grows, poll, and who is woken when */
/* LDFLAGS: -Wl,-z,muldefs */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/auto.h"
#include "base/mono.h"
#include "fakes/bulk.c"
#include "vfs/jobio.h"
#include "vfs_reply_fake.h"

#define THERE (POLLIN | POLLRDNORM)

static struct vfs *v;
static struct jobio *j;
static atomic_int told, dropped;

static void poll_told(void *impl, void *handle)
{
	(void)impl;
	assert_non_null(handle);
	told++;
}

static void poll_dropped(void *impl, void *handle)
{
	(void)impl;
	assert_non_null(handle);
	dropped++;
}

static int setup(void **state)
{
	(void)state;
	v = calloc(1, sizeof(*v));
	v->broker = fake_new();
	v->notify.poll = poll_told;
	v->notify.poll_drop = poll_dropped;
	fake_bulk_new(3);
	told = dropped = 0;
	return jobio_open(v, FAKE_JOB, BULK_STREAM, &j);
}

static int teardown(void **state)
{
	(void)state;
	j = jobio_close(j);
	assert_null(j);
	assert_int_equal(bulk.readers, 0);
	assert_true(list_empty(&bulk.waiters));
	fake_get_more = NULL;
	fake_free();
	free(v);
	return 0;
}

static struct vfs_reply_fake *begin_read(uint64_t off, size_t size, bool nonblock)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();

	jobio_read(j, &r->q, &(struct vfs_io){ off, size, NULL }, nonblock);
	return r;
}

/* answered by now: its code and bytes */
static void answered(struct vfs_reply_fake *r, int code, const char *want)
{
	assert_true(vfs_reply_fake_answered(r));
	assert_int_equal(vfs_reply_fake_wait(r), code);
	assert_int_equal(r->data.len, strlen(want));
	assert_memory_equal(buf_str(&r->data), want, strlen(want));
	vfs_reply_fake_free(r);
}

static void reads(uint64_t off, size_t size, const char *want)
{
	answered(begin_read(off, size, true), 0, want);
}

static unsigned polled(void *handle)
{
	struct vfs_reply_fake *r = vfs_reply_fake_new();
	unsigned events;

	jobio_poll(j, &r->q, handle);
	assert_true(vfs_reply_fake_answered(r));
	events = (unsigned)r->size;
	vfs_reply_fake_free(r);
	return events;
}

static void notified(int times, int quietly)
{
	assert_int_equal(told, times);
	assert_int_equal(dropped, quietly);
}

/* ---- open ------------------------------------------------------------------------------------------------- */

static void cannot_be_opened(void **state)
{
	struct jobio *out = (void *)&told;

	(void)state;
	assert_int_equal(jobio_open(v, FAKE_JOB + 1, BULK_STREAM, &out), -ENOENT);
	assert_int_equal(jobio_open(v, 0, BULK_PROGRESS, &out), -ENOENT);
	assert_int_equal(jobio_open(v, FAKE_JOB, BULK_OUTPUT, &out), -EAGAIN);
	assert_int_equal(jobio_open(v, FAKE_JOB, BULK_ERRORS, &out), -EAGAIN);
	assert_ptr_equal(out, &told);
	assert_int_equal(bulk.readers, 1);
	assert_null(jobio_close(NULL));
}

static void final_files_end_at_once(void **state)
{
	(void)state;
	j = jobio_close(j);
	fake_bulk_append(BULK_ERRORS, "{}\n");
	fake_bulk_final(BROKER_DONE);
	assert_int_equal(jobio_open(v, FAKE_JOB, BULK_ERRORS, &j), 0);
	assert_int_equal(jobio_size(j), 3);
	reads(0, 100, "{}\n");
	reads(3, 100, "");
	reads(UINT64_MAX, 100, "");
	assert_int_equal(polled(NULL), THERE | POLLHUP);
}

/* ---- reads ------------------------------------------------------------------------------------------------ */

static void nothing_yet(void **state)
{
	(void)state;
	answered(begin_read(0, 100, true), EAGAIN, "");
	answered(begin_read(50, 100, true), EAGAIN, "");
	assert_true(list_empty(&bulk.waiters));
	assert_int_equal(jobio_size(j), 0);
}

static void pieces_of_what_is_there(void **state)
{
	static const struct {
		uint64_t off;
		size_t size;
		const char *want;
	} rows[] = { { 0, 3, "abc" },
		     { 3, 3, "def" },
		     { 6, 100, "gh\n" },
		     { 0, 9, "abcdefgh\n" },
		     { 8, 1, "\n" },
		     { 1, SIZE_MAX, "bcdefgh\n" },
		     { 0, 1u << 30, "abcdefgh\n" } };

	(void)state;
	fake_bulk_append(BULK_STREAM, "abcdefgh\n");
	assert_int_equal(jobio_size(j), 9);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		reads(rows[i].off, rows[i].size, rows[i].want);
	answered(begin_read(9, 1, true), EAGAIN, "");
}

static void a_parked_read_is_woken(void **state)
{
	struct vfs_reply_fake *r = begin_read(0, 100, false);

	(void)state;
	assert_false(vfs_reply_fake_answered(r));
	fake_bulk_append(BULK_STREAM, "one\n");
	answered(r, 0, "one\n");
	assert_true(list_empty(&bulk.waiters));
}

/* woken for nothing: what came is another's, so it parks again */
static void woken_for_nothing(void **state)
{
	struct vfs_reply_fake *r = begin_read(4, 100, false);

	(void)state;
	for (int i = 0; i < 3; i++) {
		fake_bulk_wake();
		assert_false(vfs_reply_fake_answered(r));
		assert_false(list_empty(&bulk.waiters));
	}
	fake_bulk_append(BULK_STREAM, "one\n");
	assert_false(vfs_reply_fake_answered(r));
	fake_bulk_append(BULK_STREAM, "two\n");
	answered(r, 0, "two\n");
}

static void many_parked_at_their_places(void **state)
{
	struct vfs_reply_fake *r[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = begin_read(2 * i, 2, false);
	fake_bulk_append(BULK_STREAM, "a\nb\nc\nd\n");
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		assert_int_equal(vfs_reply_fake_answered(r[i]), i < 4);
	fake_bulk_append(BULK_STREAM, "e\nf");
	for (size_t i = 0; i < 4; i++)
		answered(r[i], 0, ((const char *[]){ "a\n", "b\n", "c\n", "d\n" })[i]);
	answered(r[4], 0, "e\n");
	answered(r[5], 0, "f");
	fake_bulk_final(BROKER_FAILED);
	answered(r[6], 0, "");
	answered(r[7], 0, "");
}

static void the_end_wakes_with_nothing(void **state)
{
	static const enum broker_state ends[] = { BROKER_DONE, BROKER_FAILED, BROKER_CANCELLED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct vfs_reply_fake *r = begin_read(0, 100, false);

		assert_false(vfs_reply_fake_answered(r));
		fake_bulk_final(ends[i]);
		answered(r, 0, "");
		fake_job()->state = BROKER_RUNNING; /* tried again */
	}
}

static void the_job_went_under_a_reader(void **state)
{
	struct vfs_reply_fake *r;

	(void)state;
	fake_bulk_append(BULK_STREAM, "kept\n");
	r = begin_read(5, 100, false);
	bulk.gone = true;
	fake_bulk_wake();
	answered(r, ECANCELED, "");
	answered(begin_read(5, 100, false), ECANCELED, "");
	reads(0, 100, "kept\n");
}

static void interrupted(void **state)
{
	struct vfs_reply_fake *r = begin_read(0, 100, false), *other = begin_read(0, 100, false);

	(void)state;
	vfs_reply_fake_interrupt(r);
	answered(r, EINTR, "");
	assert_false(vfs_reply_fake_answered(other));
	fake_bulk_append(BULK_STREAM, "x");
	answered(other, 0, "x");
	r = vfs_reply_fake_new();
	vfs_reply_fake_interrupt(r); /* before it has parked */
	jobio_read(j, &r->q, &(struct vfs_io){ 1, 100, NULL }, false);
	answered(r, EINTR, "");
	assert_true(list_empty(&bulk.waiters));
}

static void at_the_end_of_the_mount_nobody_parks(void **state)
{
	struct vfs_reply_fake *parked = begin_read(0, 100, false);

	(void)state;
	v->stopping = true;
	answered(begin_read(0, 100, false), ESHUTDOWN, "");
	answered(begin_read(0, 100, true), EAGAIN, "");
	fake_bulk_wake(); /* it was parked before; nothing is there, and it must not park again */
	answered(parked, ESHUTDOWN, "");
	fake_bulk_append(BULK_STREAM, "late");
	reads(0, 100, "late"); /* what is there can be read to the last */
}

static void progress_has_no_place(void **state)
{
	struct vfs_reply_fake *r;

	(void)state;
	j = jobio_close(j);
	assert_int_equal(jobio_open(v, FAKE_JOB, BULK_PROGRESS, &j), 0);
	fake_bulk_append(BULK_PROGRESS, "1 of 3\n");
	reads(12345, 3, "1 o");
	reads(0, 100, "f 3\n");
	r = begin_read(7, 100, false);
	assert_false(vfs_reply_fake_answered(r));
	fake_bulk_append(BULK_PROGRESS, "2 of 3\n");
	answered(r, 0, "2 of 3\n");
}

/* ---- poll ------------------------------------------------------------------------------------------------- */

static void a_look_leaves_nobody_waiting(void **state)
{
	(void)state;
	assert_int_equal(polled(NULL), 0);
	assert_true(list_empty(&bulk.waiters));
	fake_bulk_append(BULK_STREAM, "x");
	assert_int_equal(polled(NULL), THERE);
	notified(0, 0);
}

static void a_poll_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(polled(&told), 0);
	notified(0, 0);
	fake_bulk_append(BULK_STREAM, "x");
	notified(1, 0);
	fake_bulk_append(BULK_STREAM, "y");
	notified(1, 0);
}

static void a_new_poll_drops_the_old_one(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(polled(&told), 0);
		notified(0, i);
	}
	assert_int_equal(polled(NULL), 0); /* a look, too */
	notified(0, 5);
	fake_bulk_append(BULK_STREAM, "x");
	notified(0, 5);
}

static void the_close_drops_it(void **state)
{
	(void)state;
	assert_int_equal(polled(&told), 0);
	j = jobio_close(j);
	notified(0, 1);
	fake_bulk_append(BULK_STREAM, "x");
	notified(0, 1);
}

static void closed_after_it_was_told(void **state)
{
	(void)state;
	assert_int_equal(polled(&told), 0);
	fake_bulk_append(BULK_STREAM, "x");
	j = jobio_close(j);
	notified(1, 0); /* the handle was given back with the telling */
}

/* there was something to read when it came: it waits until that was read, and for more than that */
static void idle_until_it_was_read(void **state)
{
	(void)state;
	fake_bulk_append(BULK_STREAM, "ab");
	assert_int_equal(polled(&told), THERE);
	assert_true(list_empty(&bulk.waiters));
	fake_bulk_append(BULK_STREAM, "cd");
	notified(0, 0);
	reads(0, 3, "abc");
	notified(1, 0); /* there is more already */
	assert_int_equal(polled(&told), THERE);
	reads(3, 3, "d");
	assert_false(list_empty(&bulk.waiters));
	notified(1, 0);
	fake_bulk_append(BULK_STREAM, "e");
	notified(2, 0);
}

static void an_idle_one_is_dropped_at_close(void **state)
{
	(void)state;
	fake_bulk_append(BULK_STREAM, "ab");
	assert_int_equal(polled(&told), THERE);
	j = jobio_close(j);
	notified(0, 1);
}

/* POLLHUP only for who has seen the end: before, there may be bytes to read */
static void the_end_is_seen_by_reading(void **state)
{
	(void)state;
	fake_bulk_append(BULK_STREAM, "ab");
	fake_bulk_final(BROKER_DONE);
	assert_int_equal(polled(NULL), THERE);
	reads(0, 100, "ab");
	assert_int_equal(polled(NULL), THERE);
	reads(2, 100, "");
	assert_int_equal(polled(NULL), THERE | POLLHUP);
	reads(0, 100, "ab"); /* from the beginning again */
	assert_int_equal(polled(NULL), THERE);
}

static void the_end_wakes_a_poll(void **state)
{
	(void)state;
	assert_int_equal(polled(&told), 0);
	fake_bulk_final(BROKER_CANCELLED);
	notified(1, 0);
	assert_int_equal(polled(NULL), THERE);
}

/* a read further back does not move the place from which poll looks */
static void poll_looks_behind_the_furthest_read(void **state)
{
	(void)state;
	fake_bulk_append(BULK_STREAM, "abcdef");
	reads(0, 6, "abcdef");
	assert_int_equal(polled(NULL), 0);
	reads(0, 2, "ab");
	assert_int_equal(polled(NULL), 0);
	fake_bulk_append(BULK_STREAM, "g");
	assert_int_equal(polled(NULL), THERE);
}

/* ---- a writer, a reader and one who polls -------------------------------------------------------------------- */

#define LINES 300

static void *writer(void *arg)
{
	(void)arg;
	for (int i = 0; i < LINES; i++)
		fake_bulk_append(BULK_STREAM, "0123456\n");
	return NULL;
}

static void *poller(void *arg)
{
	(void)arg;
	for (int i = 0; i < LINES; i++) {
		struct vfs_reply_fake *r = vfs_reply_fake_new();

		jobio_poll(j, &r->q, &told);
		(void)vfs_reply_fake_wait(r); /* 0: poll has no error */
		vfs_reply_fake_free(r);
	}
	return NULL;
}

static void every_byte_once_while_it_grows(void **state)
{
	pthread_t w, p;
	uint64_t off = 0;

	(void)state;
	assert_int_equal(pthread_create(&w, NULL, writer, NULL), 0);
	assert_int_equal(pthread_create(&p, NULL, poller, NULL), 0);
	while (off < LINES * 8) {
		struct vfs_reply_fake *r = begin_read(off, 13, false);

		assert_int_equal(vfs_reply_fake_wait(r), 0);
		assert_true(r->data.len > 0 && r->data.len <= 13);
		for (size_t i = 0; i < r->data.len; i++, off++)
			assert_int_equal(buf_str(&r->data)[i], "0123456\n"[off % 8]);
		vfs_reply_fake_free(r);
	}
	assert_int_equal(pthread_join(w, NULL), 0);
	assert_int_equal(pthread_join(p, NULL), 0);
	j = jobio_close(j);
	assert_int_equal(told + dropped, LINES); /* each handle was given back once */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cannot_be_opened),
		T(final_files_end_at_once),
		T(nothing_yet),
		T(pieces_of_what_is_there),
		T(a_parked_read_is_woken),
		T(woken_for_nothing),
		T(many_parked_at_their_places),
		T(the_end_wakes_with_nothing),
		T(the_job_went_under_a_reader),
		T(interrupted),
		T(at_the_end_of_the_mount_nobody_parks),
		T(progress_has_no_place),
		T(a_look_leaves_nobody_waiting),
		T(a_poll_is_told_once),
		T(a_new_poll_drops_the_old_one),
		T(the_close_drops_it),
		T(closed_after_it_was_told),
		T(idle_until_it_was_read),
		T(an_idle_one_is_dropped_at_close),
		T(the_end_is_seen_by_reading),
		T(the_end_wakes_a_poll),
		T(poll_looks_behind_the_furthest_read),
		T(every_byte_once_while_it_grows),
	};

	return cmocka_run_group_tests_name("jobio", tests, NULL, NULL);
}
