/*
 * stream.c - the bytes of an answer while they come
 *
 * Waiters are taken off the list under the lock and woken after it: wake may read, wait again or
 * let go of the stream.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/lock.h"
#include "core/answer.h"
#include "core/stream.h"

#include "base/banned.h"

#define STREAM_MAGIC 0x5357a91du

enum state { GROWING, SEALED, FAILED };

struct stream {
	unsigned magic;
	atomic_uint refs;
	struct lock lock; /* guards all below */
	struct buf bytes;
	enum state state;
	int code;	  /* when FAILED */
	unsigned attempt; /* from 1 */
	struct list waiters;
};

struct stream *stream_new(void)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->magic = STREAM_MAGIC;
	atomic_init(&s->refs, 1);
	lock_init(&s->lock, LOCK_STREAM);
	buf_init(&s->bytes, ANSWER_TEXT_MAX + 1); /* and the newline of seal */
	s->attempt = 1;
	list_init(&s->waiters);
	return s;
}

struct stream *stream_ref(struct stream *s)
{
	assert(s->magic == STREAM_MAGIC);
	atomic_fetch_add(&s->refs, 1);
	return s;
}

struct stream *stream_unref(struct stream *s)
{
	if (!s)
		return NULL;
	assert(s->magic == STREAM_MAGIC);
	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return NULL;
	assert(list_empty(&s->waiters)); /* who waits holds a reference */
	s->magic = 0;
	buf_done(&s->bytes);
	lock_done(&s->lock);
	free(s);
	return NULL;
}

/* attempt: of the bytes the waiter's reader has, 0 none */
static bool satisfied_locked(const struct stream *s, uint64_t off, unsigned attempt)
{
	assert(lock_held(&s->lock));
	return s->state != GROWING || off < s->bytes.len || (attempt && attempt != s->attempt);
}

static void collect_locked(struct stream *s, struct list *out)
{
	LIST_EACH_SAFE(pos, tmp, &s->waiters) {
		struct stream_waiter *w = LIST_ENTRY(pos, struct stream_waiter, link);

		if (!satisfied_locked(s, w->off, w->attempt))
			continue;
		list_del(&w->link);
		w->parked = false;
		list_append(out, &w->link);
	}
}

/* Each is off the list before its wake, which may free it. */
static void wake_all(struct list *woken)
{
	struct list *l;

	while ((l = list_pop(woken))) {
		struct stream_waiter *w = LIST_ENTRY(l, struct stream_waiter, link);

		w->wake(w);
	}
}

/* The byte for seal's newline is reserved here, where there is somebody to tell. */
static int add_locked(struct stream *s, const void *p, size_t n)
{
	int rc;

	if (s->state != GROWING)
		return -EPIPE;
	if (n > ANSWER_TEXT_MAX - s->bytes.len)
		return -EFBIG;
	rc = buf_reserve(&s->bytes, n + 1);
	return rc ? rc : buf_add(&s->bytes, p, n);
}

int stream_append(struct stream *s, const void *p, size_t n)
{
	struct list woken = LIST_INIT(woken);
	int rc;

	{
		LOCK_SCOPE(&s->lock);
		rc = add_locked(s, p, n);
		if (!rc)
			collect_locked(s, &woken);
	}
	wake_all(&woken);
	return rc;
}

void stream_restart(struct stream *s)
{
	struct list woken = LIST_INIT(woken);

	{
		LOCK_SCOPE(&s->lock);
		if (s->state == GROWING) {
			buf_clear(&s->bytes);
			s->attempt++;
			collect_locked(s, &woken);
		}
	}
	wake_all(&woken);
}

static void end(struct stream *s, enum state state, int code)
{
	struct list woken = LIST_INIT(woken);

	{
		LOCK_SCOPE(&s->lock);
		if (s->state == GROWING) {
			struct buf *b = &s->bytes;

			if (state == SEALED && b->len && b->data[b->len - 1] != '\n')
				(void)buf_addc(b, '\n'); /* reserved by add_locked */
			s->state = state;
			s->code = code;
			collect_locked(s, &woken);
		}
	}
	wake_all(&woken);
}

void stream_seal(struct stream *s)
{
	end(s, SEALED, 0);
}

void stream_fail(struct stream *s, int code)
{
	end(s, FAILED, code);
}

uint64_t stream_size(struct stream *s)
{
	LOCK_SCOPE(&s->lock);
	return s->bytes.len;
}

bool stream_ended(struct stream *s)
{
	LOCK_SCOPE(&s->lock);
	return s->state != GROWING;
}

int stream_read(struct stream *s, struct stream_reader *r, struct stream_span span, size_t *out_n)
{
	size_t n;

	LOCK_SCOPE(&s->lock);
	if (r->attempt && r->attempt != s->attempt)
		return -EREMOTEIO;
	if (span.off < s->bytes.len) {
		n = s->bytes.len - (size_t)span.off;
		if (n > span.len)
			n = span.len;
		if (n) {
			memcpy(span.buf, s->bytes.data + span.off, n);
			r->attempt = s->attempt;
		}
		*out_n = n;
		return 0;
	}
	if (s->state == GROWING)
		return -EAGAIN;
	if (s->state == FAILED)
		return -s->code;
	*out_n = 0;
	return 0;
}

int stream_wait(struct stream *s, const struct stream_reader *r, struct stream_waiter *w)
{
	unsigned attempt = r ? r->attempt : 0;

	LOCK_SCOPE(&s->lock);
	if (satisfied_locked(s, w->off, attempt))
		return -EALREADY;
	w->attempt = attempt;
	w->parked = true;
	list_append(&s->waiters, &w->link);
	return 0;
}

bool stream_unwait(struct stream *s, struct stream_waiter *w)
{
	LOCK_SCOPE(&s->lock);
	if (!w->parked)
		return false;
	list_del(&w->link);
	w->parked = false;
	return true;
}
