/*
 * test_stream.c - the bytes of an answer while they come
 */
#include <errno.h>
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
#include "base/lock.h"
#include "core/answer.h"
#include "core/stream.h"

struct reader {
	struct stream *stream;
	struct stream_reader r;
	struct stream_waiter w;
	atomic_uint woken;
};

static void on_wake(struct stream_waiter *w)
{
	struct reader *k = CONTAINER_OF(w, struct reader, w);

	/* no lock is held: looking at the stream from here must not deadlock */
	(void)stream_size(k->stream);
	atomic_fetch_add(&k->woken, 1);
}

static struct reader reader_of(struct stream *s)
{
	return (struct reader){ .stream = s, .w = { .wake = on_wake } };
}

/* Read once at off; the errno, or the bytes compared. */
static int read_at(struct reader *k, uint64_t off, size_t len, const char *want)
{
	char out[256] = "";
	size_t n = 99;
	int rc = stream_read(k->stream, &k->r, (struct stream_span){ out, len, off }, &n);

	if (rc) {
		assert_int_equal(n, 99); /* untouched on failure */
		return rc;
	}
	assert_int_equal(n, strlen(want));
	assert_memory_equal(out, want, n);
	return 0;
}

static void append(struct stream *s, const char *text)
{
	assert_int_equal(stream_append(s, text, strlen(text)), 0);
}

static void test_nothing_yet(void **state)
{
	struct stream *s = stream_new();
	struct reader k = reader_of(s);

	(void)state;
	assert_int_equal(read_at(&k, 0, 10, ""), -EAGAIN);
	append(s, "abc");
	assert_int_equal(read_at(&k, 3, 10, ""), -EAGAIN);
	assert_int_equal(read_at(&k, 1000, 10, ""), -EAGAIN);
	append(s, "");
	assert_int_equal(read_at(&k, 3, 10, ""), -EAGAIN);
	assert_int_equal(stream_size(s), 3);
	assert_false(stream_ended(s));
	stream_unref(s);
}

static void test_failure_comes_after_the_bytes(void **state)
{
	struct stream *s = stream_new();
	struct reader k = reader_of(s);

	(void)state;
	append(s, "abc");
	stream_fail(s, ETIMEDOUT);
	assert_true(stream_ended(s));
	assert_int_equal(read_at(&k, 0, 2, "ab"), 0);
	assert_int_equal(read_at(&k, 2, 10, "c"), 0);
	assert_int_equal(read_at(&k, 3, 10, ""), -ETIMEDOUT);
	assert_int_equal(read_at(&k, 3, 10, ""), -ETIMEDOUT);
	stream_unref(s);
}

static void test_first_end_counts(void **state)
{
	struct stream *s = stream_new(), *t = stream_new();
	struct reader k = reader_of(s), l = reader_of(t);

	(void)state;
	stream_fail(s, EBADMSG);
	stream_fail(s, EIO);
	stream_seal(s);
	assert_int_equal(read_at(&k, 0, 10, ""), -EBADMSG);
	append(t, "x");
	stream_seal(t);
	stream_seal(t);
	stream_fail(t, EIO);
	stream_restart(t);
	assert_int_equal(read_at(&l, 0, 10, "x\n"), 0);
	assert_int_equal(read_at(&l, 2, 10, ""), 0);
	stream_unref(s);
	stream_unref(t);
}

static void test_no_append_after_the_end(void **state)
{
	struct stream *s = stream_new();

	(void)state;
	stream_seal(s);
	assert_int_equal(stream_append(s, "x", 1), -EPIPE);
	assert_int_equal(stream_size(s), 0);
	stream_unref(s);
}

static void test_over_the_maximum(void **state)
{
	enum { PIECE = 64 << 20 };
	struct stream *s = stream_new();
	AUTO_FREE char *piece = calloc(1, PIECE);
	struct reader k = reader_of(s);
	char last[4];
	size_t n;

	(void)state;
	assert_non_null(piece);
	for (unsigned i = 0; i < ANSWER_TEXT_MAX / PIECE; i++)
		assert_int_equal(stream_append(s, piece, PIECE), 0);
	assert_int_equal(stream_append(s, "x", 1), -EFBIG);
	assert_int_equal(stream_append(s, piece, PIECE), -EFBIG);
	assert_int_equal(stream_size(s), ANSWER_TEXT_MAX);
	stream_seal(s); /* the newline still fits */
	assert_int_equal(stream_size(s), ANSWER_TEXT_MAX + 1);
	assert_int_equal(stream_read(s, &k.r, (struct stream_span){ last, 4, ANSWER_TEXT_MAX }, &n),
			 0);
	assert_int_equal(n, 1);
	assert_int_equal(last[0], '\n');
	stream_unref(s);
}

static void test_restart_and_readers(void **state)
{
	struct stream *s = stream_new();
	struct reader had = reader_of(s), none = reader_of(s);

	(void)state;
	append(s, "first");
	assert_int_equal(read_at(&had, 0, 3, "fir"), 0);
	stream_restart(s);
	assert_int_equal(stream_size(s), 0);
	assert_int_equal(read_at(&had, 3, 10, ""), -EREMOTEIO);
	assert_int_equal(read_at(&none, 0, 10, ""), -EAGAIN);
	append(s, "second try");
	assert_int_equal(read_at(&had, 3, 10, ""), -EREMOTEIO);
	assert_int_equal(read_at(&had, 0, 10, ""), -EREMOTEIO); /* also when it starts again */
	assert_int_equal(read_at(&none, 0, 10, "second try"), 0);
	stream_seal(s);
	assert_int_equal(read_at(&had, 3, 10, ""), -EREMOTEIO);
	assert_int_equal(read_at(&none, 10, 10, "\n"), 0);
	assert_int_equal(read_at(&none, 11, 10, ""), 0);
	stream_unref(s);
}

static void test_two_restarts(void **state)
{
	struct stream *s = stream_new();
	struct reader first = reader_of(s), second = reader_of(s), third = reader_of(s);

	(void)state;
	append(s, "1");
	assert_int_equal(read_at(&first, 0, 1, "1"), 0);
	stream_restart(s);
	append(s, "2");
	assert_int_equal(read_at(&second, 0, 1, "2"), 0);
	stream_restart(s);
	append(s, "3");
	stream_seal(s);
	assert_int_equal(read_at(&first, 1, 1, ""), -EREMOTEIO);
	assert_int_equal(read_at(&second, 1, 1, ""), -EREMOTEIO);
	assert_int_equal(read_at(&third, 0, 9, "3\n"), 0);
	stream_unref(s);
}

static void test_seal_adds_one_newline(void **state)
{
	static const char *const texts[][2] = {
		{ "", "" },	      { "x", "x\n" },	  { "x\n", "x\n" },	{ "\n", "\n" },
		{ "x\n\n", "x\n\n" }, { "x\r", "x\r\n" }, { "a\nb", "a\nb\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct stream *s = stream_new();
		struct reader k = reader_of(s);

		append(s, texts[i][0]);
		stream_seal(s);
		assert_int_equal(stream_size(s), strlen(texts[i][1]));
		assert_int_equal(read_at(&k, 0, 100, texts[i][1]), 0);
		assert_int_equal(read_at(&k, strlen(texts[i][1]), 100, ""), 0);
		stream_unref(s);
	}
}

static void test_reads_by_pieces(void **state)
{
	struct stream *s = stream_new();
	struct reader k = reader_of(s);

	(void)state;
	append(s, "hello ");
	append(s, "world");
	assert_int_equal(read_at(&k, 0, 3, "hel"), 0);
	assert_int_equal(read_at(&k, 3, 5, "lo wo"), 0);
	assert_int_equal(read_at(&k, 8, 100, "rld"), 0);
	assert_int_equal(read_at(&k, 2, 2, "ll"), 0); /* and again, anywhere */
	assert_int_equal(read_at(&k, 0, 0, ""), 0);
	stream_unref(s);
}

static void test_read_of_no_bytes_holds_no_attempt(void **state)
{
	struct stream *s = stream_new();
	struct reader k = reader_of(s);

	(void)state;
	append(s, "x");
	assert_int_equal(read_at(&k, 0, 0, ""), 0);
	stream_restart(s);
	append(s, "y");
	assert_int_equal(read_at(&k, 0, 1, "y"), 0);
	stream_unref(s);
}

static void test_wait_is_refused_when_there_is_something(void **state)
{
	struct stream *s = stream_new();
	struct reader k = reader_of(s);

	(void)state;
	append(s, "ab");
	assert_int_equal(stream_wait(s, &k.r, &k.w), -EALREADY);
	k.w.off = 1;
	assert_int_equal(stream_wait(s, NULL, &k.w), -EALREADY);
	assert_false(stream_unwait(s, &k.w));
	assert_int_equal(read_at(&k, 0, 2, "ab"), 0);
	stream_restart(s);
	k.w.off = 2;
	assert_int_equal(stream_wait(s, &k.r, &k.w), -EALREADY); /* to be told of the restart */
	stream_fail(s, EIO);
	assert_int_equal(stream_wait(s, NULL, &k.w), -EALREADY);
	assert_int_equal(atomic_load(&k.woken), 0);
	stream_unref(s);
}

static void test_append_wakes_whom_it_satisfies(void **state)
{
	struct stream *s = stream_new();
	struct reader at0 = reader_of(s), at2 = reader_of(s), at9 = reader_of(s);

	(void)state;
	at2.w.off = 2;
	at9.w.off = 9;
	assert_int_equal(stream_wait(s, &at0.r, &at0.w), 0);
	assert_int_equal(stream_wait(s, &at2.r, &at2.w), 0);
	assert_int_equal(stream_wait(s, &at9.r, &at9.w), 0);
	append(s, "");
	assert_int_equal(atomic_load(&at0.woken), 0);
	append(s, "ab");
	assert_int_equal(atomic_load(&at0.woken), 1);
	assert_int_equal(atomic_load(&at2.woken), 0);
	append(s, "c");
	assert_int_equal(atomic_load(&at0.woken), 1); /* once */
	assert_int_equal(atomic_load(&at2.woken), 1);
	assert_int_equal(atomic_load(&at9.woken), 0);
	stream_seal(s);
	assert_int_equal(atomic_load(&at9.woken), 1);
	assert_false(stream_unwait(s, &at9.w));
	stream_unref(s);
}

static void test_end_wakes_all(void **state)
{
	(void)state;
	for (int how = 0; how < 2; how++) {
		struct stream *s = stream_new();
		struct reader k[100];

		for (size_t i = 0; i < ARRAY_LEN(k); i++) {
			k[i] = reader_of(s);
			k[i].w.off = i;
			assert_int_equal(stream_wait(s, &k[i].r, &k[i].w), 0);
		}
		if (how)
			stream_fail(s, ECANCELED);
		else
			stream_seal(s);
		for (size_t i = 0; i < ARRAY_LEN(k); i++)
			assert_int_equal(atomic_load(&k[i].woken), 1);
		stream_unref(s);
	}
}

static void test_restart_wakes_whom_it_concerns(void **state)
{
	struct stream *s = stream_new();
	struct reader had = reader_of(s), none = reader_of(s);

	(void)state;
	append(s, "abc");
	assert_int_equal(read_at(&had, 0, 3, "abc"), 0);
	had.w.off = none.w.off = 3;
	assert_int_equal(stream_wait(s, &had.r, &had.w), 0);
	assert_int_equal(stream_wait(s, &none.r, &none.w), 0);
	stream_restart(s);
	assert_int_equal(atomic_load(&had.woken), 1);
	assert_int_equal(atomic_load(&none.woken), 0);
	assert_int_equal(read_at(&had, 3, 1, ""), -EREMOTEIO);
	append(s, "abcd");
	assert_int_equal(atomic_load(&none.woken), 1);
	assert_int_equal(read_at(&none, 3, 9, "d"), 0);
	stream_unref(s);
}

static void test_unwait(void **state)
{
	struct stream *s = stream_new();
	struct reader a = reader_of(s), b = reader_of(s);

	(void)state;
	assert_false(stream_unwait(s, &a.w)); /* never parked */
	assert_int_equal(stream_wait(s, &a.r, &a.w), 0);
	assert_int_equal(stream_wait(s, &b.r, &b.w), 0);
	assert_true(stream_unwait(s, &a.w));
	assert_false(stream_unwait(s, &a.w));
	append(s, "x");
	assert_int_equal(atomic_load(&a.woken), 0);
	assert_int_equal(atomic_load(&b.woken), 1);
	assert_false(stream_unwait(s, &b.w));
	a.w.off = 1;
	assert_int_equal(stream_wait(s, &a.r, &a.w), 0); /* may be used again */
	stream_seal(s);
	assert_int_equal(atomic_load(&a.woken), 1);
	stream_unref(s);
}

/* a wake that waits again at once, as a reader that forwards everything does */
struct follower {
	struct stream *s;
	struct stream_reader r;
	struct stream_waiter w;
	char got[64];
	size_t n;
	int ended; /* 1: end seen */
};

static void follow(struct stream_waiter *w)
{
	struct follower *f = CONTAINER_OF(w, struct follower, w);

	do {
		size_t n = 0;
		struct stream_span span = { f->got + f->n, sizeof(f->got) - f->n, f->n };
		int rc = stream_read(f->s, &f->r, span, &n);

		f->ended = rc == 0 && n == 0;
		f->n += n;
		f->w.off = f->n;
	} while (!f->ended && stream_wait(f->s, &f->r, &f->w) == -EALREADY);
}

static void test_wake_may_wait_again(void **state)
{
	struct stream *s = stream_new();
	struct follower f = { .s = s, .w = { .wake = follow } };

	(void)state;
	follow(&f.w);
	append(s, "one ");
	append(s, "two ");
	append(s, "three");
	assert_int_equal(f.ended, 0);
	stream_seal(s);
	assert_int_equal(f.ended, 1);
	assert_string_equal(f.got, "one two three\n");
	stream_unref(s);
}

struct owner {
	struct stream *s;
	struct stream_waiter w;
};

/* The waiter and its reference go away within its own wake. */
static void wake_and_free(struct stream_waiter *w)
{
	struct owner *o = CONTAINER_OF(w, struct owner, w);

	stream_unref(o->s);
	free(o);
}

static void test_wake_may_free_itself(void **state)
{
	struct stream *s = stream_new();

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct owner *o = calloc(1, sizeof(*o));

		assert_non_null(o);
		o->s = stream_ref(s);
		o->w.wake = wake_and_free;
		assert_int_equal(stream_wait(s, NULL, &o->w), 0);
	}
	stream_fail(s, EIO);
	stream_unref(s);
}

static void test_refs(void **state)
{
	struct stream *s = stream_new();

	(void)state;
	assert_null(stream_unref(NULL));
	assert_ptr_equal(stream_ref(s), s);
	assert_null(stream_unref(s));
	append(s, "still there");
	assert_null(stream_unref(s));
}

/* --- threads --------------------------------------------------------------------------------- */

enum { LINES = 2000, LINE = 8 };

/* a reader on a thread of its own, parked between reads */
struct parked {
	struct stream *s;
	struct lock lock;
	struct cond cond;
	bool woken;
	struct stream_waiter w;
	size_t total;
	int rc;
	bool impatient; /* takes its waiter back now and then */
	unsigned restarts;
};

static void unpark(struct stream_waiter *w)
{
	struct parked *p = CONTAINER_OF(w, struct parked, w);

	LOCK_SCOPE(&p->lock);
	p->woken = true;
	cond_signal(&p->cond);
}

static void park(struct parked *p, const struct stream_reader *r, unsigned turn)
{
	p->woken = false;
	p->w.off = p->total;
	if (stream_wait(p->s, r, &p->w))
		return;
	if (p->impatient && turn % 3 == 0 && stream_unwait(p->s, &p->w))
		return; /* wake will not come, and must not */
	LOCK_SCOPE(&p->lock);
	while (!p->woken)
		cond_wait(&p->cond, &p->lock);
}

static void *read_to_the_end(void *arg)
{
	struct parked *p = arg;
	struct stream_reader r = { 0 };
	char line[LINE * 10], want[32];

	for (unsigned turn = 0;; turn++) {
		struct stream_span span = { line, sizeof(line), p->total };
		size_t n = 0;

		p->rc = stream_read(p->s, &r, span, &n);
		if (p->rc == -EAGAIN) {
			park(p, &r, turn);
			continue;
		}
		if (p->rc == -EREMOTEIO) { /* opens the file again */
			p->restarts++;
			p->total = 0;
			r.attempt = 0;
			continue;
		}
		if (p->rc || !n)
			return NULL;
		for (size_t i = 0; i < n; i++) {
			(void)snprintf(want, sizeof(want), "%07zu\n", (p->total + i) / LINE);
			assert_int_equal(line[i], want[(p->total + i) % LINE]);
		}
		p->total += n;
	}
}

static void write_lines(struct stream *s, unsigned n)
{
	char line[32];

	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(line, sizeof(line), "%07u\n", i);
		append(s, line);
	}
}

static void run_readers(unsigned restarts, int code)
{
	struct stream *s = stream_new();
	struct parked p[6];
	struct thread t[ARRAY_LEN(p)];

	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = (struct parked){ .s = s, .w = { .wake = unpark }, .impatient = i % 2 };
		lock_init(&p[i].lock, LOCK_LEAF);
		cond_init(&p[i].cond);
		assert_int_equal(thread_start(&t[i], "reader", read_to_the_end, &p[i]), 0);
	}
	for (unsigned i = 0; i < restarts; i++) {
		write_lines(s, LINES / 10);
		stream_restart(s);
	}
	write_lines(s, LINES);
	if (code)
		stream_fail(s, code);
	else
		stream_seal(s);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		thread_join(&t[i]);
		assert_int_equal(p[i].rc, -code);
		assert_int_equal(p[i].total, LINES * LINE);
		assert_true(p[i].restarts <= restarts);
		cond_done(&p[i].cond);
		lock_done(&p[i].lock);
	}
	stream_unref(s);
}

static void test_many_readers(void **state)
{
	(void)state;
	run_readers(0, 0);
	run_readers(0, ETIMEDOUT);
}

static void test_many_readers_and_restarts(void **state)
{
	(void)state;
	run_readers(5, 0);
	run_readers(5, ECONNREFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_yet),
		cmocka_unit_test(test_failure_comes_after_the_bytes),
		cmocka_unit_test(test_first_end_counts),
		cmocka_unit_test(test_no_append_after_the_end),
		cmocka_unit_test(test_over_the_maximum),
		cmocka_unit_test(test_restart_and_readers),
		cmocka_unit_test(test_two_restarts),
		cmocka_unit_test(test_seal_adds_one_newline),
		cmocka_unit_test(test_reads_by_pieces),
		cmocka_unit_test(test_read_of_no_bytes_holds_no_attempt),
		cmocka_unit_test(test_wait_is_refused_when_there_is_something),
		cmocka_unit_test(test_append_wakes_whom_it_satisfies),
		cmocka_unit_test(test_end_wakes_all),
		cmocka_unit_test(test_restart_wakes_whom_it_concerns),
		cmocka_unit_test(test_unwait),
		cmocka_unit_test(test_wake_may_wait_again),
		cmocka_unit_test(test_wake_may_free_itself),
		cmocka_unit_test(test_refs),
		cmocka_unit_test(test_many_readers),
		cmocka_unit_test(test_many_readers_and_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
