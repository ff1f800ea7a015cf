/* streamio.c - see streamio.h */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/auto.h"
#include "vfs/park.h"
#include "vfs/streamio.h"

#include "base/banned.h"

#define READ_MAX (1u << 20)

struct parked_read {
	struct park park;
	struct stream_waiter w;
	struct streamio *io;
	struct stream *stream;
	struct vfs_io span;
};

/* one poll(2) that sleeps; the kernel's handle is told once or dropped, and destroyed either way. Two
 * own it: the open file, and whoever wakes it. */
struct streamio_poll {
	struct stream_waiter w;
	struct vfs *v;
	struct stream *stream;
	void *handle;
	atomic_int refs;
};

void streamio_init(struct streamio *s, struct vfs *v)
{
	*s = (struct streamio){ .v = v };
	lock_init(&s->lock, LOCK_HANDLE);
}

int streamio_told(struct streamio *s)
{
	LOCK_SCOPE(&s->lock);
	return s->told;
}

/* one try; -EAGAIN: nothing there yet */
static int read_once(struct streamio *s, struct stream *stream, const struct vfs_req *q,
		     const struct vfs_io *io)
{
	size_t size = io->size, n = 0;
	uint64_t have = stream_size(stream);
	uint64_t left = have > io->off ? have - io->off : 0;
	AUTO_FREE char *buf = NULL;
	int r;

	if (size > READ_MAX)
		size = READ_MAX;
	if (left && left < size)
		size = (size_t)left + 1; /* one more: the newline at the end */
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	lock_take(&s->lock);
	r = stream_read(stream, &s->reader, (struct stream_span){ buf, size, io->off }, &n);
	if (r == 0 && io->off + n > s->read_to)
		s->read_to = io->off + n;
	if (r < 0 && r != -EAGAIN)
		s->told = -r;
	lock_drop(&s->lock);
	if (r == 0)
		q->ops->data(q->impl, buf, n);
	return r;
}

static void parked_answer(struct park *p, bool interrupted)
{
	struct parked_read *r = CONTAINER_OF(p, struct parked_read, park);
	struct vfs_req q = p->q;
	struct streamio *io = r->io;
	struct stream *stream = r->stream;
	struct vfs_io span = r->span;
	int k;

	free(r);
	if (interrupted) {
		vfs_reply_err(&q, EINTR);
	} else {
		k = read_once(io, stream, &q, &span);
		if (k == -EAGAIN) /* restarted between wake and read */
			streamio_read(io, stream, &q, &span, false);
		else if (k < 0)
			vfs_reply_err(&q, -k);
	}
	stream_unref(stream);
}

static void read_wake(struct stream_waiter *w)
{
	park_wake(&CONTAINER_OF(w, struct parked_read, w)->park);
}

static bool read_unwait(struct park *p)
{
	struct parked_read *r = CONTAINER_OF(p, struct parked_read, park);

	return stream_unwait(r->stream, &r->w);
}

void streamio_read(struct streamio *s, struct stream *stream, const struct vfs_req *q,
		   const struct vfs_io *io, bool nonblock)
{
	struct parked_read *r;
	struct stream_reader reader;
	int k = read_once(s, stream, q, io);

	if (k == 0)
		return;
	if (k != -EAGAIN || nonblock) {
		vfs_reply_err(q, -k);
		return;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	park_init(&r->park, q);
	r->park.unwait = read_unwait;
	r->park.answer = parked_answer;
	r->w.off = io->off;
	r->w.wake = read_wake;
	r->io = s;
	r->stream = stream_ref(stream);
	r->span = *io;
	lock_take(&s->lock);
	reader = s->reader;
	lock_drop(&s->lock);
	k = stream_wait(stream, &reader, &r->w);
	if (k == -EALREADY)
		park_wake(&r->park);
	park_armed(&r->park);
}

/* ---- poll ---- */

static void poller_unref(struct streamio_poll *p, int n)
{
	if (atomic_fetch_sub(&p->refs, n) != n)
		return;
	stream_unref(p->stream);
	free(p);
}

static void poll_wake(struct stream_waiter *w)
{
	struct streamio_poll *p = CONTAINER_OF(w, struct streamio_poll, w);

	p->v->notify.poll(p->v->notify.impl, p->handle);
	poller_unref(p, 1);
}

static void drop_poller(struct streamio *s)
{
	struct streamio_poll *p;

	lock_take(&s->lock);
	p = s->poller;
	s->poller = NULL;
	lock_drop(&s->lock);
	if (!p)
		return;
	if (stream_unwait(p->stream, &p->w)) {
		p->v->notify.poll_drop(p->v->notify.impl, p->handle);
		poller_unref(p, 2); /* the waker will not come */
	} else {
		poller_unref(p, 1);
	}
}

void streamio_done(struct streamio *s)
{
	drop_poller(s);
	lock_done(&s->lock);
}

/* *out_seen: a change past so many bytes is news; 0: nothing more will come */
static unsigned events_now(struct streamio *s, struct stream *stream, uint64_t *out_seen)
{
	uint64_t size = stream_size(stream), read_to;
	struct stream_reader reader;
	char none;
	size_t n;

	lock_take(&s->lock);
	reader = s->reader;
	read_to = s->read_to;
	lock_drop(&s->lock);
	*out_seen = 0;
	if (stream_ended(stream))
		return POLLIN | POLLRDNORM | (size > read_to ? 0 : POLLHUP);
	/* it holds bytes of a broken attempt: its read(2) fails at once */
	if (stream_read(stream, &reader, (struct stream_span){ &none, 0, read_to }, &n) ==
	    -EREMOTEIO)
		return POLLIN | POLLRDNORM | POLLERR;
	*out_seen = (size > read_to ? size : read_to) + 1;
	return size > read_to ? POLLIN | POLLRDNORM : 0;
}

static void arm_poller(struct streamio *s, struct stream *stream, uint64_t off, void *handle)
{
	struct streamio_poll *p = calloc(1, sizeof(*p));

	drop_poller(s);
	if (!p) {
		s->v->notify.poll(s->v->notify.impl,
				  handle); /* it looks again instead of sleeping */
		return;
	}
	atomic_init(&p->refs, 2);
	p->v = s->v;
	p->stream = stream_ref(stream);
	p->handle = handle;
	p->w.wake = poll_wake;
	p->w.off = off;
	lock_take(&s->lock);
	s->poller = p;
	lock_drop(&s->lock);
	if (stream_wait(stream, &s->reader, &p->w) == -EALREADY)
		poll_wake(&p->w);
}

void streamio_poll(struct streamio *s, struct stream *stream, const struct vfs_req *q,
		   void *poll_handle)
{
	uint64_t seen;
	unsigned events = events_now(s, stream, &seen);

	if (poll_handle && !seen)
		s->v->notify.poll_drop(s->v->notify.impl, poll_handle);
	else if (poll_handle) /* with bytes as well: edge-triggered epoll asks once */
		arm_poller(s, stream, seen - 1, poll_handle);
	q->ops->poll(q->impl, events);
}
