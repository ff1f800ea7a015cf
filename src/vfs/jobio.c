/* jobio.c - see jobio.h */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/lock.h"
#include "vfs/jobio.h"
#include "vfs/park.h"

#include "base/banned.h"

#define READ_MAX (1u << 20)

/* one poll(2) that sleeps; the kernel's handle is told once or dropped. Two own it: the open file, and whoever
 * wakes it. idle: there was something to read when it came, so it waits for the read first. Told at once it
 * would be asked for again at once, and the reader of an edge would be woken for nothing. */
struct job_poll {
	struct broker_bulk_waiter w;
	struct vfs *v;
	void *handle; /* NULL: only to see whether it would have to wait */
	atomic_int refs;
	bool idle; /* under the file's lock */
};

struct jobio {
	struct vfs *v;
	struct broker_bulk_reader *reader;
	struct lock
		lock; /* of the members below; held over the broker's own, never over its calls back */
	uint64_t read_to; /* where poll thinks that the next read begins */
	bool ended;
	struct job_poll *poller;
};

struct parked_read {
	struct park park;
	struct broker_bulk_waiter w;
	struct jobio *j;
	struct vfs_io span;
};

int jobio_open(struct vfs *v, int64_t job, enum broker_bulk_file f, struct jobio **out)
{
	struct jobio *j = calloc(1, sizeof(*j));
	int r = j ? broker_bulk_open(v->broker, job, f, &j->reader) : -ENOMEM;

	if (r < 0) {
		free(j);
		return r;
	}
	j->v = v;
	lock_init(&j->lock, LOCK_HANDLE);
	*out = j;
	return 0;
}

uint64_t jobio_size(struct jobio *j)
{
	return broker_bulk_size(j->reader);
}

/* ---- poll ---- */

static void poll_unref(struct job_poll *p, int n)
{
	if (atomic_fetch_sub(&p->refs, n) == n)
		free(p);
}

static void poll_wake(struct broker_bulk_waiter *w)
{
	struct job_poll *p = CONTAINER_OF(w, struct job_poll, w);

	if (p->handle)
		p->v->notify.poll(p->v->notify.impl, p->handle);
	poll_unref(p, 1);
}

/* false: there is something to read, and it stays idle */
static bool arm_locked(struct jobio *j, struct job_poll *p)
{
	p->w.off = j->read_to;
	p->idle = broker_bulk_wait(j->reader, &p->w) < 0;
	return !p->idle;
}

static void drop_poller(struct jobio *j)
{
	struct job_poll *p;
	bool quiet;

	lock_take(&j->lock);
	p = j->poller;
	j->poller = NULL;
	quiet = p && (p->idle || broker_bulk_unwait(j->reader, &p->w));
	lock_drop(&j->lock);
	if (quiet && p->handle)
		p->v->notify.poll_drop(p->v->notify.impl, p->handle);
	if (p)
		poll_unref(p, quiet ? 2 : 1); /* quiet: the waker will not come */
}

/* bytes were read: what was there is no longer a reason to leave the poller alone */
static void rearm(struct jobio *j)
{
	struct job_poll *p;

	lock_take(&j->lock);
	p = j->poller;
	if (!p || !p->idle || arm_locked(j, p))
		p = NULL;
	else
		j->poller = NULL;
	lock_drop(&j->lock);
	if (!p)
		return;
	poll_unref(p, 1);
	poll_wake(&p->w);
}

void jobio_poll(struct jobio *j, const struct vfs_req *q, void *poll_handle)
{
	struct job_poll *p = calloc(1, sizeof(*p));
	unsigned events = POLLIN | POLLRDNORM;

	drop_poller(j);
	if (!p) { /* it looks again instead of sleeping */
		if (poll_handle)
			j->v->notify.poll(j->v->notify.impl, poll_handle);
		q->ops->poll(q->impl, events);
		return;
	}
	atomic_init(&p->refs, 2);
	p->v = j->v;
	p->handle = poll_handle;
	p->w.wake = poll_wake;
	lock_take(&j->lock);
	j->poller = p;
	if (arm_locked(j, p))
		events = 0;
	else if (j->ended)
		events |= POLLHUP;
	lock_drop(&j->lock);
	if (!poll_handle)
		drop_poller(j);
	q->ops->poll(q->impl, events);
}

struct jobio *jobio_close(struct jobio *j)
{
	if (!j)
		return NULL;
	drop_poller(j);
	(void)broker_bulk_close(j->reader); /* always NULL */
	lock_done(&j->lock);
	free(j);
	return NULL;
}

/* ---- reads ---- */

/* one try; -EAGAIN: nothing there yet, and not answered. Any other outcome is the answer */
static int read_once(struct jobio *j, const struct vfs_req *q, const struct vfs_io *io)
{
	size_t size = io->size < READ_MAX ? io->size : READ_MAX;
	AUTO_FREE char *buf = malloc(size ? size : 1);
	ssize_t n = buf ? broker_bulk_read(j->reader, buf, size, io->off) : -ENOMEM;

	if (n == -EAGAIN)
		return -EAGAIN;
	if (n < 0) {
		vfs_reply_err(q, (int)-n);
		return 0;
	}
	lock_take(&j->lock);
	j->ended = n == 0;
	if (io->off + (size_t)n > j->read_to)
		j->read_to = io->off + (size_t)n;
	lock_drop(&j->lock);
	if (n > 0)
		rearm(j);
	q->ops->data(q->impl, buf, (size_t)n); /* the last: the file may be closed after it */
	return 0;
}

static void park_read(struct jobio *j, const struct vfs_req *q, const struct vfs_io *io);

static void read_answer(struct park *p, bool interrupted)
{
	struct parked_read *r = CONTAINER_OF(p, struct parked_read, park);
	struct vfs_req q = p->q;
	struct vfs_io span = r->span;
	struct jobio *j = r->j;

	free(r);
	if (interrupted)
		vfs_reply_err(&q, EINTR);
	else if (read_once(j, &q, &span) == -EAGAIN)
		park_read(j, &q, &span); /* another read of the same file was first */
}

static void read_wake(struct broker_bulk_waiter *w)
{
	park_wake(&CONTAINER_OF(w, struct parked_read, w)->park);
}

static bool read_unwait(struct park *p)
{
	struct parked_read *r = CONTAINER_OF(p, struct parked_read, park);

	return broker_bulk_unwait(r->j->reader, &r->w);
}

static void park_read(struct jobio *j, const struct vfs_req *q, const struct vfs_io *io)
{
	struct parked_read *r = j->v->stopping ? NULL : calloc(1, sizeof(*r));

	if (!r) {
		vfs_reply_err(q, j->v->stopping ? ESHUTDOWN : ENOMEM);
		return;
	}
	park_init(&r->park, q);
	r->park.unwait = read_unwait;
	r->park.answer = read_answer;
	r->w.off = io->off;
	r->w.wake = read_wake;
	r->j = j;
	r->span = *io;
	if (broker_bulk_wait(j->reader, &r->w) < 0)
		park_wake(&r->park);
	park_armed(&r->park);
}

void jobio_read(struct jobio *j, const struct vfs_req *q, const struct vfs_io *io, bool nonblock)
{
	if (read_once(j, q, io) == 0)
		return;
	if (nonblock)
		vfs_reply_err(q, EAGAIN);
	else
		park_read(j, q, io);
}
