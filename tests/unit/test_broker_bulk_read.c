/* test_broker_bulk_read.c - those who read the files of a job while it runs: what each of them sees, and when */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lock.h"
#include "base/mono.h"
#include "broker_fixture.h"
#include "jobs/broker_bulk.h"
#include "jobs/bulk.h"

#define PATIENCE (60 * MONO_S)

/* a job that does only what the test says: it is never started */
struct stage {
	struct fixture f;
	struct broker *b;
	struct job *job;
	struct bulk *k;
};

static struct bulk *stage_bulk(struct stage *s, int64_t id)
{
	struct job *j = job_new();
	struct bulk *k = NULL;

	assert_non_null(j);
	j->id = id;
	j->root = strdup("");
	j->path = strdup("many");
	j->suffix = strdup(".jsonl");
	assert_int_equal(bulk_new(s->b, j, "{\"lines\":1,\"since\":1,\"defaults\":[]}", &k), 0);
	assert_int_equal(bulk_spool_make(s->b, 1), 0);
	k->stream = bulk_spool_open(s->b, (struct bulk_place){ 1, id }, BULK_SPOOL_STREAM,
				    O_RDWR | O_CREAT);
	assert_true(k->stream >= 0);
	job_unref(s->b, j); /* the live one has it */
	return k;
}

static int setup(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	*state = s;
	if (!s || fixture_open(&s->f) < 0)
		return -1;
	s->b = s->f.broker;
	s->k = stage_bulk(s, ledger_next_id(s->f.ledger));
	return 0;
}

static int teardown(void **state)
{
	struct stage *s = *state;

	fixture_close(&s->f);
	free(s);
	return 0;
}

/* ---- what happens to it ---- */

/* in the file; shown: readers may see it */
static void append(struct bulk *k, const char *text, bool shown)
{
	struct buf b = BUF_INIT((size_t)1 << 20);

	assert_int_equal(buf_adds(&b, text), 0);
	assert_int_equal(bulk_spool_append(k->stream, k->stream_bytes, &b), 0);
	if (shown) {
		lock_take(&k->b->lock);
		k->stream_bytes += b.len;
		lock_drop(&k->b->lock);
		broker_bulk_wake(k, BULK_STREAM);
	}
	buf_done(&b);
}

static void change(struct bulk *k, uint64_t done)
{
	LOCK_SCOPE(&k->b->lock);
	k->counts.done = done;
	bulk_changed_locked(k);
}

static void finish(struct bulk *k)
{
	lock_take(&k->b->lock);
	k->final = true;
	bulk_changed_locked(k);
	lock_drop(&k->b->lock);
	broker_bulk_wake(k, BULK_STREAM);
	broker_bulk_wake(k, BULK_PROGRESS);
}

static void quit(struct bulk *k)
{
	lock_take(&k->b->lock);
	k->quit = true;
	lock_drop(&k->b->lock);
	bulk_wake_all(k);
}

/* ---- one who waits ---- */

struct parked {
	struct broker_bulk_waiter w;
	struct lock lock;
	struct cond cond;
	unsigned calls;
};

static void woken(struct broker_bulk_waiter *w)
{
	struct parked *p = (struct parked *)(void *)w;

	lock_take(&p->lock);
	p->calls++;
	cond_broadcast(&p->cond);
	lock_drop(&p->lock);
}

static void parked_init(struct parked *p, uint64_t off)
{
	*p = (struct parked){ .w = { .off = off, .wake = woken } };
	lock_init(&p->lock, LOCK_NODE);
	cond_init(&p->cond);
}

static void parked_done(struct parked *p)
{
	cond_done(&p->cond);
	lock_done(&p->lock);
}

static unsigned calls(struct parked *p)
{
	LOCK_SCOPE(&p->lock);
	return p->calls;
}

static bool await(struct parked *p, unsigned n)
{
	uint64_t until = mono_ns() + PATIENCE;

	LOCK_SCOPE(&p->lock);
	while (p->calls < n && cond_wait_until(&p->cond, &p->lock, until))
		continue;
	return p->calls >= n;
}

static struct broker_bulk_reader *reader(struct stage *s, enum broker_bulk_file f)
{
	struct broker_bulk_reader *r = NULL;

	assert_int_equal(broker_bulk_open(s->b, s->k->id, f, &r), 0);
	assert_non_null(r);
	return r;
}

/* ---- failures first ---- */

static void an_envelope_without_lines_is_no_job(void **state)
{
	static const char *const damaged[] = { NULL,
					       "",
					       "{",
					       "[]",
					       "{}",
					       "{\"lines\":0}",
					       "{\"lines\":-3,\"since\":1}",
					       "{\"lines\":\"7\"}",
					       "{\"lines\":0,\"defaults\":[{\"n\":1}]}" };
	struct stage *s = *state;
	struct job *j = job_new();
	struct bulk *out = NULL;

	j->id = 77;
	j->suffix = strdup(".jsonl");
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		assert_int_equal(bulk_new(s->b, j, damaged[i], &out), -EINVAL);
		assert_null(out);
		assert_null(j->bulk);
	}
	lock_take(&s->b->lock);
	assert_null(bulk_find_locked(s->b, 77));
	lock_drop(&s->b->lock);
	job_unref(s->b, j);
}

static void who_is_no_job_has_no_files(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *r = NULL;
	int64_t single, ids[4] = { 0, -1, INT64_MAX, 0 };
	struct broker_view v;
	char *name = NULL;
	uint64_t size = 4711;

	assert_int_equal(fixture_check(&s->f, "one", "{\"prompt\":\"x\"}", true, &single), 0);
	assert_int_equal(fixture_final(&s->f, single), BROKER_DONE);
	ids[3] = single; /* an ordinary request */
	for (size_t i = 0; i < 4; i++) {
		for (enum broker_bulk_file f = BULK_STREAM; f <= BULK_ERRORS; f++) {
			assert_int_equal(broker_bulk_open(s->b, ids[i], f, &r), -ENOENT);
			assert_int_equal(broker_bulk_file_size(s->b, ids[i], f, &size), -ENOENT);
		}
		assert_int_equal(broker_bulk_item(s->b, ids[i], "a", &v), -ENOENT);
		assert_int_equal(broker_bulk_next_item(s->b, ids[i], "", &name, &v), -ENOENT);
	}
	assert_null(r);
	assert_null(name);
	assert_int_equal(size, 4711);
	assert_null(broker_bulk_close(NULL));
}

static void the_outputs_come_with_the_end(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *r = NULL;
	uint64_t size = 4711;

	assert_int_equal(broker_bulk_open(s->b, s->k->id, BULK_OUTPUT, &r), -EAGAIN);
	assert_int_equal(broker_bulk_open(s->b, s->k->id, BULK_ERRORS, &r), -EAGAIN);
	for (enum broker_bulk_file f = BULK_STREAM; f <= BULK_ERRORS; f++)
		assert_int_equal(broker_bulk_file_size(s->b, s->k->id, f, &size), -EAGAIN);
	assert_int_equal(size, 4711);
	assert_null(r);
	/* taken over by another content: nobody comes in any more */
	quit(s->k);
	for (enum broker_bulk_file f = BULK_STREAM; f <= BULK_ERRORS; f++)
		assert_int_equal(broker_bulk_open(s->b, s->k->id, f, &r), -ENOENT);
}

static void who_reads_a_job_that_went_is_told(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *t = reader(s, BULK_STREAM), *p = reader(s, BULK_PROGRESS);
	struct parked x, y;
	char buf[BROKER_BULK_LINE_MAX];

	parked_init(&x, 4);
	parked_init(&y, 0);
	append(s->k, "one\n", true);
	assert_true(broker_bulk_read(p, buf, sizeof(buf), 0) > 0);
	assert_int_equal(broker_bulk_wait(t, &x.w), 0);
	assert_int_equal(broker_bulk_wait(p, &y.w), 0);
	quit(s->k);
	assert_int_equal(calls(&x), 1);
	assert_int_equal(calls(&y), 1);
	assert_false(broker_bulk_unwait(t, &x.w));
	assert_int_equal(broker_bulk_wait(t, &x.w), -EALREADY);
	assert_int_equal(broker_bulk_wait(p, &y.w), -EALREADY);
	assert_int_equal(broker_bulk_read(t, buf, sizeof(buf), 0), 4); /* what was there stays */
	assert_int_equal(broker_bulk_read(t, buf, sizeof(buf), 4), -ECANCELED);
	assert_int_equal(broker_bulk_read(p, buf, sizeof(buf), 0), -ECANCELED);
	assert_null(broker_bulk_close(t));
	assert_null(broker_bulk_close(p));
	parked_done(&x);
	parked_done(&y);
}

static void the_end_of_the_mount_wakes_everybody(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *t = reader(s, BULK_STREAM), *p = reader(s, BULK_PROGRESS);
	struct parked x, y;
	char buf[BROKER_BULK_LINE_MAX];

	parked_init(&x, 0);
	parked_init(&y, 0);
	assert_true(broker_bulk_read(p, buf, sizeof(buf), 0) > 0);
	assert_int_equal(broker_bulk_wait(t, &x.w), 0);
	assert_int_equal(broker_bulk_wait(p, &y.w), 0);
	broker_quiet(s->b);
	assert_int_equal(calls(&x), 1);
	assert_int_equal(calls(&y), 1);
	assert_int_equal(broker_bulk_read(t, buf, sizeof(buf), 0), -ESHUTDOWN);
	assert_int_equal(broker_bulk_read(p, buf, sizeof(buf), 0), -ESHUTDOWN);
	assert_int_equal(broker_bulk_wait(t, &x.w), -EALREADY);
	assert_null(broker_bulk_close(t));
	assert_null(broker_bulk_close(p));
	parked_done(&x);
	parked_done(&y);
}

/* ---- stream ---- */

static void a_line_is_seen_when_it_is_whole(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *r = reader(s, BULK_STREAM);
	char buf[64] = "";

	assert_int_equal(broker_bulk_size(r), 0);
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), 0), -EAGAIN);
	append(s->k, "half of a li", false); /* the disk was full then */
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), 0), -EAGAIN);
	append(s->k, "one\n", true);
	assert_int_equal(broker_bulk_size(r), 4);
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), 0), 4);
	assert_memory_equal(buf, "one\n", 4);
	assert_int_equal(broker_bulk_read(r, buf, 2, 1), 2);
	assert_memory_equal(buf, "ne", 2);
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), 4), -EAGAIN);
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), UINT64_MAX), -EAGAIN);
	finish(s->k);
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), 3), 1);
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), 4), 0);
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), UINT64_MAX), 0);
	assert_null(broker_bulk_close(r));
}

static void only_those_wake_who_have_something_to_read(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *r = reader(s, BULK_STREAM);
	struct parked near_one, far_one, gone;

	parked_init(&near_one, 0);
	parked_init(&far_one, 6);
	parked_init(&gone, 0);
	assert_int_equal(broker_bulk_wait(r, &near_one.w), 0);
	assert_int_equal(broker_bulk_wait(r, &far_one.w), 0);
	assert_int_equal(broker_bulk_wait(r, &gone.w), 0);
	assert_true(broker_bulk_unwait(r, &gone.w));
	assert_false(broker_bulk_unwait(r, &gone.w));
	append(s->k, "three\n", true); /* 6 bytes: up to where the far one wants to begin */
	assert_int_equal(calls(&near_one), 1);
	assert_int_equal(calls(&far_one), 0);
	append(s->k, "4\n", true);
	assert_int_equal(calls(&near_one), 1); /* once */
	assert_int_equal(calls(&far_one), 1);
	assert_int_equal(calls(&gone), 0);
	assert_int_equal(broker_bulk_wait(r, &near_one.w), -EALREADY);
	assert_false(broker_bulk_unwait(r, &near_one.w));
	far_one.w.off = 8;
	assert_int_equal(broker_bulk_wait(r, &far_one.w), 0);
	finish(s->k);
	assert_int_equal(calls(&far_one), 2);
	assert_int_equal(broker_bulk_wait(r, &far_one.w), -EALREADY);
	assert_null(broker_bulk_close(r));
	parked_done(&near_one);
	parked_done(&far_one);
	parked_done(&gone);
}

static void who_reads_keeps_what_another_job_replaces(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *r = reader(s, BULK_STREAM), *other;
	struct bulk *old = s->k;
	char buf[16];

	append(old, "old\n", true);
	finish(old);
	s->k = stage_bulk(s, ledger_next_id(s->f.ledger));
	append(s->k, "a newer one\n", true);
	bulk_spool_forget(s->b, (struct bulk_place){ 1, old->id });
	other = reader(s, BULK_STREAM);
	assert_int_equal(broker_bulk_read(r, buf, sizeof(buf), 0), 4);
	assert_memory_equal(buf, "old\n", 4);
	assert_int_equal(broker_bulk_read(other, buf, sizeof(buf), 0), 12);
	assert_null(broker_bulk_close(r));
	assert_null(broker_bulk_close(other));
}

/* ---- many at once ---- */

struct follower {
	struct thread thread;
	struct broker_bulk_reader *r;
	size_t step;
	struct buf got;
	ssize_t last;
};

static void *follow(void *arg)
{
	struct follower *f = arg;
	struct parked p;
	unsigned waits = 0;
	char block[512];

	parked_init(&p, 0);
	for (;;) {
		f->last = broker_bulk_read(f->r, block, f->step, f->got.len);
		if (f->last > 0) {
			(void)buf_add(&f->got, block, (size_t)f->last);
			continue;
		}
		if (f->last != -EAGAIN)
			break;
		p.w.off = f->got.len;
		if (broker_bulk_wait(f->r, &p.w) == 0 && !await(&p, ++waits))
			break;
	}
	parked_done(&p);
	return NULL;
}

static void followers_see_every_byte_once(void **state)
{
	enum { READERS = 4, LINES = 3000 };
	static const size_t steps[READERS] = { 1, 7, 64, 512 };
	struct stage *s = *state;
	struct follower all[READERS] = { 0 };
	struct buf want = BUF_INIT((size_t)1 << 22);
	char line[64];

	for (size_t i = 0; i < READERS; i++) {
		all[i].r = reader(s, BULK_STREAM);
		all[i].step = steps[i];
		all[i].got = BUF_INIT((size_t)1 << 22);
		assert_int_equal(thread_start(&all[i].thread, "follow", follow, &all[i]), 0);
	}
	for (unsigned i = 0; i < LINES; i++) {
		(void)snprintf(line, sizeof(line), "{\"line\":%u}\n", i);
		(void)buf_adds(&want, line);
		append(s->k, line, true);
	}
	finish(s->k);
	for (size_t i = 0; i < READERS; i++) {
		thread_join(&all[i].thread);
		assert_int_equal(all[i].last, 0);
		assert_string_equal(buf_str(&all[i].got), buf_str(&want));
		assert_null(broker_bulk_close(all[i].r));
		buf_done(&all[i].got);
	}
	buf_done(&want);
}

struct undecided {
	struct thread thread;
	struct broker_bulk_reader *r;
	unsigned parked, taken_off;
	struct parked p;
};

/* parks and leaves again and again: it is either taken off, or called, never both nor neither */
static void *waver(void *arg)
{
	struct undecided *u = arg;

	u->p.w.off = UINT64_MAX - 1; /* no line reaches it; only the end calls */
	while (broker_bulk_wait(u->r, &u->p.w) == 0) {
		u->parked++;
		u->taken_off += broker_bulk_unwait(u->r, &u->p.w);
	}
	return NULL;
}

static void who_leaves_is_called_or_not_never_both(void **state)
{
	enum { N = 3 };
	struct stage *s = *state;
	struct undecided all[N] = { 0 };

	for (size_t i = 0; i < N; i++) {
		parked_init(&all[i].p, 0);
		all[i].r = reader(s, BULK_STREAM);
		assert_int_equal(thread_start(&all[i].thread, "waver", waver, &all[i]), 0);
	}
	for (unsigned i = 0; i < 2000; i++)
		append(s->k, "x\n", true);
	finish(s->k);
	for (size_t i = 0; i < N; i++) {
		thread_join(&all[i].thread);
		assert_true(await(&all[i].p, all[i].parked - all[i].taken_off));
		assert_int_equal(calls(&all[i].p), all[i].parked - all[i].taken_off);
		assert_null(broker_bulk_close(all[i].r));
		parked_done(&all[i].p);
	}
}

/* ---- progress ---- */

static void a_short_buffer_gets_the_rest_next_time(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *r = reader(s, BULK_PROGRESS);
	char line[BROKER_BULK_LINE_MAX] = "", c;
	struct parked p;
	size_t n = 0;

	parked_init(&p, 0);
	s->k->counts.total = 3;
	assert_int_equal(broker_bulk_size(r), 0);
	assert_int_equal(broker_bulk_read(r, &c, 1, 99), 1); /* where it reads is of no meaning */
	line[n++] = c;
	change(s->k, 2); /* the line that was begun is ended first */
	assert_int_equal(broker_bulk_wait(r, &p.w), -EALREADY);
	while (c != '\n') {
		assert_int_equal(broker_bulk_read(r, &c, 1, 0), 1);
		line[n++] = c;
		assert_true(n < sizeof(line));
	}
	assert_ptr_equal(strstr(line, "0/3 failed=0 cached=0 cost_usd=0 elapsed_s="), line);
	assert_string_equal(line + n - 9, " eta_s=?\n");
	assert_null(broker_bulk_close(r));
	parked_done(&p);
}

/* a change at once after a line is not shown at once; the clock wakes who waits for it */
static void changes_are_gathered(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *r = reader(s, BULK_PROGRESS);
	char line[BROKER_BULK_LINE_MAX] = "";
	struct parked p;
	uint64_t first;

	parked_init(&p, 0);
	s->k->counts.total = 1000;
	first = mono_ns();
	assert_true(broker_bulk_read(r, line, sizeof(line), 0) > 0);
	assert_int_equal(broker_bulk_read(r, line, sizeof(line), 0), -EAGAIN);
	assert_int_equal(broker_bulk_wait(r, &p.w), 0);
	for (unsigned i = 1; i <= 500; i++)
		change(s->k, i);
	for (unsigned n = 1; broker_bulk_read(r, line, sizeof(line), 0) == -EAGAIN; n++) {
		assert_true(await(&p, n));
		(void)broker_bulk_wait(r, &p.w);
	}
	assert_true(mono_ns() - first >= 100 * MONO_MS);
	assert_ptr_equal(strstr(line, "500/1000 "), line);
	(void)broker_bulk_unwait(r, &p.w);
	assert_null(broker_bulk_close(r));
	parked_done(&p);
}

static void each_reader_is_told_the_end_once(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *early = reader(s, BULK_PROGRESS),
				  *late = reader(s, BULK_PROGRESS);
	char line[BROKER_BULK_LINE_MAX + 1];
	struct parked p;
	ssize_t n;

	parked_init(&p, 0);
	s->k->counts.total = 2;
	assert_true(broker_bulk_read(early, line, BROKER_BULK_LINE_MAX, 0) > 0);
	assert_int_equal(broker_bulk_wait(early, &p.w), 0);
	change(s->k, 2);
	finish(s->k);
	assert_int_equal(calls(&p), 1);
	for (int i = 0; i < 2; i++) {
		struct broker_bulk_reader *r = i ? late : early;

		n = broker_bulk_read(r, line, BROKER_BULK_LINE_MAX, 0);
		assert_true(n > 0); /* at once: the end does not wait for its tenth of a second */
		line[n] = '\0';
		assert_ptr_equal(strstr(line, "2/2 "), line);
		assert_string_equal(line + n - 11, " eta_s=0.0\n");
		assert_int_equal(broker_bulk_read(r, line, BROKER_BULK_LINE_MAX, 0), 0);
		assert_int_equal(broker_bulk_read(r, line, BROKER_BULK_LINE_MAX, 0), 0);
		assert_int_equal(broker_bulk_wait(r, &p.w), -EALREADY);
		assert_null(broker_bulk_close(r));
	}
	parked_done(&p);
}

static void the_estimate_is_of_this_mount(void **state)
{
	struct stage *s = *state;
	struct broker_bulk_reader *r = reader(s, BULK_PROGRESS);
	char line[BROKER_BULK_LINE_MAX + 1];
	const char *eta;
	ssize_t n;

	lock_take(&s->b->lock);
	s->k->counts.total = 100;
	s->k->counts.done = 60; /* fifty of them in an earlier mount */
	s->k->pass.run_done = 10;
	s->k->known_total = true;
	s->k->run_mono = mono_ns() - 10 * MONO_S;
	lock_drop(&s->b->lock);
	n = broker_bulk_read(r, line, BROKER_BULK_LINE_MAX, 0);
	assert_true(n > 0);
	line[n] = '\0';
	eta = strstr(line, "eta_s=");
	assert_non_null(eta);
	assert_in_range(strtoll(eta + 6, NULL, 10), 40, 60); /* one a second, forty are left */
	assert_null(broker_bulk_close(r));
}

/* ---- rows that are final ---- */

struct posting {
	struct ledger_post post;
	struct parked p;
	int result;
};

static void recorded(struct ledger_post *p, int result)
{
	struct posting *x = (struct posting *)(void *)p;

	x->result = result;
	woken(&x->p.w);
}

static int64_t record(struct stage *s, enum ledger_state state, const char *envelope,
		      const char *facts)
{
	struct ledger_change c = { .op = LEDGER_OP_PUT };
	struct posting x = { .post = { .changes = &c, .n_changes = 1, .done = recorded } };

	parked_init(&x.p, 0);
	c.row.id = ledger_next_id(s->f.ledger);
	c.row.state = state;
	c.row.root = (char *)(uintptr_t) "";
	c.row.path = (char *)(uintptr_t) "row";
	c.row.suffix = (char *)(uintptr_t) ".jsonl";
	c.row.envelope = (char *)(uintptr_t)envelope;
	c.row.facts = (char *)(uintptr_t)facts;
	ledger_post(s->f.ledger, &x.post);
	assert_true(await(&x.p, 1));
	assert_int_equal(x.result, 0);
	parked_done(&x.p);
	return c.row.id;
}

static void a_row_that_is_not_final_has_nothing_yet(void **state)
{
	struct stage *s = *state;
	int64_t id = record(s, LEDGER_ACCEPTED, "{\"lines\":5,\"since\":5}", NULL);
	struct broker_bulk_reader *r = NULL;
	uint64_t size;

	assert_int_equal(broker_bulk_open(s->b, id, BULK_OUTPUT, &r), -EAGAIN);
	assert_int_equal(broker_bulk_open(s->b, id, BULK_ERRORS, &r), -EAGAIN);
	assert_int_equal(broker_bulk_open(s->b, id, BULK_STREAM, &r), -ENOENT);
	assert_int_equal(broker_bulk_open(s->b, id, BULK_PROGRESS, &r), -ENOENT);
	assert_int_equal(broker_bulk_file_size(s->b, id, BULK_OUTPUT, &size), -EAGAIN);
	id = record(s, LEDGER_REFUSED, NULL, NULL); /* it never had lines */
	for (enum broker_bulk_file f = BULK_STREAM; f <= BULK_ERRORS; f++) {
		assert_int_equal(broker_bulk_open(s->b, id, f, &r), -ENOENT);
		assert_int_equal(broker_bulk_file_size(s->b, id, f, &size), -ENOENT);
	}
	assert_null(r);
}

static void a_final_row_without_its_files_is_told(void **state)
{
	struct stage *s = *state;
	int64_t id =
		record(s, LEDGER_DONE, "{\"lines\":5,\"since\":5}", "{\"total\":2,\"done\":2}");
	struct broker_bulk_reader *r = NULL;
	char line[BROKER_BULK_LINE_MAX + 1];
	uint64_t size = 0;
	ssize_t n;

	assert_int_equal(broker_bulk_open(s->b, id, BULK_OUTPUT, &r), -ENOENT);
	assert_int_equal(broker_bulk_open(s->b, id, BULK_STREAM, &r), -ENOENT);
	assert_int_equal(broker_bulk_file_size(s->b, id, BULK_OUTPUT, &size), -ENOENT);
	/* progress needs the row only */
	assert_int_equal(broker_bulk_open(s->b, id, BULK_PROGRESS, &r), 0);
	assert_int_equal(broker_bulk_file_size(s->b, id, BULK_PROGRESS, &size), 0);
	n = broker_bulk_read(r, line, BROKER_BULK_LINE_MAX, 0);
	assert_int_equal(n, size);
	line[n] = '\0';
	assert_string_equal(line, "2/2 failed=0 cached=0 cost_usd=0 elapsed_s=0.0 eta_s=0.0\n");
	assert_int_equal(broker_bulk_read(r, line, BROKER_BULK_LINE_MAX, 0), 0);
	assert_null(broker_bulk_close(r));
}

/* facts that no job has written: no byte behind the line is shown */
static void progress_of_damaged_facts_is_one_line(void **state)
{
	static const char *const damaged[] = { NULL, "{", "{\"elapsed_s\":1e300}",
					       "{\"elapsed_s\":-1e308,\"total\":-1,\"done\":-1}" };
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		int64_t id = record(s, LEDGER_DONE, "{\"lines\":5,\"since\":5}", damaged[i]);
		struct broker_bulk_reader *r = NULL;
		char text[4 * BROKER_BULK_LINE_MAX];
		uint64_t size = 0;
		ssize_t n;

		assert_int_equal(broker_bulk_file_size(s->b, id, BULK_PROGRESS, &size), 0);
		assert_in_range(size, 1, BROKER_BULK_LINE_MAX);
		assert_int_equal(broker_bulk_open(s->b, id, BULK_PROGRESS, &r), 0);
		n = broker_bulk_read(r, text, sizeof(text), 0);
		assert_int_equal(n, size);
		assert_ptr_equal(memchr(text, '\n', (size_t)n), text + n - 1);
		assert_null(broker_bulk_close(r));
	}
}

/* the rows of their lines go, and then their directory: on a pool that has ended meanwhile */
static void jobs_may_go_at_the_end_of_the_mount(void **state)
{
	struct stage *s = *state;

	for (int i = 0; i < 20; i++) {
		char envelope[64];

		for (int n = 0; n < 3; n++) { /* each takes the name of the one before */
			(void)snprintf(envelope, sizeof(envelope), "{\"lines\":%d,\"since\":5}",
				       100 + 3 * i + n);
			(void)record(s, LEDGER_DONE, envelope, NULL);
		}
		fixture_reopen(&s->f, NULL);
		s->b = s->f.broker;
		assert_non_null(s->b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(an_envelope_without_lines_is_no_job),
		T(who_is_no_job_has_no_files),
		T(the_outputs_come_with_the_end),
		T(who_reads_a_job_that_went_is_told),
		T(the_end_of_the_mount_wakes_everybody),
		T(a_line_is_seen_when_it_is_whole),
		T(only_those_wake_who_have_something_to_read),
		T(who_reads_keeps_what_another_job_replaces),
		T(followers_see_every_byte_once),
		T(who_leaves_is_called_or_not_never_both),
		T(a_short_buffer_gets_the_rest_next_time),
		T(changes_are_gathered),
		T(each_reader_is_told_the_end_once),
		T(the_estimate_is_of_this_mount),
		T(a_row_that_is_not_final_has_nothing_yet),
		T(a_final_row_without_its_files_is_told),
		T(progress_of_damaged_facts_is_one_line),
		T(jobs_may_go_at_the_end_of_the_mount),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
