/* respfile.c - the open files of a response: final ones, the stream, ctl */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "vfs/jobio.h"
#include "vfs/park.h"
#include "vfs/responses.h"
#include "vfs/streamio.h"

#include "base/banned.h"

/* an open `stream` of a request that was not final; a snapshot of a small file; fh 0: a final file */
struct resp_open {
	struct vfs_opened opened;
	struct stream *stream; /* NULL: text, or the failure in code */
	struct streamio io;
	struct jobio *job; /* a file of a job instead */
	int code;
	struct buf text;
};

static struct resp_open *open_of(const struct vfs_file *f)
{
	return (struct resp_open *)(uintptr_t)f->fh;
}

static struct resp_open *open_free(struct resp_open *o)
{
	if (!o)
		return NULL;
	list_del(&o->opened.link);
	if (o->stream)
		streamio_done(&o->io);
	stream_unref(o->stream);
	(void)jobio_close(o->job); /* always NULL */
	buf_done(&o->text);
	free(o);
	return NULL;
}

static void close_open(struct vfs *v, struct vfs_opened *o)
{
	(void)v;
	open_free(CONTAINER_OF(o, struct resp_open, opened));
}

static struct resp_open *open_new(struct vfs *v, size_t text_max)
{
	struct resp_open *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->text = BUF_INIT(text_max);
	vfs_opened_add(v, &o->opened, close_open);
	return o;
}

static void reply_open(const struct vfs_req *q, struct resp_open *take)
{
	struct vfs_open o = { .fh = (uint64_t)(uintptr_t)take, .direct_io = true, .noflush = true };

	if (q->ops->open(q->impl, &o) != 0)
		open_free(take);
}

/* status, usage.json, error.json, ctl and an unfinished request.json: what it said when it was opened */
static void open_snapshot(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			  const struct broker_view *view)
{
	struct response_node n = resptable_node(nodeid);
	struct resp_open *o = open_new(v, 1u << 30);
	struct respblob *b = NULL;
	int r = 0;

	if (!o) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	if (n.kind == RESP_STATUS) {
		r = buf_adds(&o->text, resptable_word(view->state));
	} else if (n.kind == RESP_CTL) {
		r = buf_adds(&o->text, responses_ctl_words(v, view));
	} else {
		r = respblob_get(v, nodeid, false, &b);
		if (r == 0)
			r = buf_add(&o->text, b->b.data, b->b.len);
		respblob_unref(v, b);
	}
	if (r < 0) {
		open_free(o);
		vfs_reply_err(q, -r);
	} else {
		reply_open(q, o);
	}
}

/* a done request's file: the kernel caches it whole, nothing is kept here but the hold */
static void open_final(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	struct vfs_open o = { .keep_cache = true, .noflush = true };
	int64_t id = resptable_node(nodeid).id;

	broker_hold(v->broker, id);
	if (q->ops->open(q->impl, &o) != 0)
		broker_hold_release(v->broker, id);
}

/* done, but looked up while it was not: the answer may have no such file */
static bool open_late_again(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
			    bool nowait)
{
	struct respblob *b = NULL;
	int r = respblob_get(v, a->nodeid, nowait, &b);

	if (r == -EAGAIN && nowait)
		return false;
	respblob_unref(v, b);
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		open_final(v, q, a->nodeid);
	return true;
}

/* a file of a job. The kernel keeps pages only of what it has looked up as final: a retry makes it anew */
static void open_job(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		     const struct broker_view *view)
{
	struct response_node n = resptable_node(nodeid);
	struct vfs_open out = { .noflush = true };
	enum broker_bulk_file f = BULK_OUTPUT;
	struct resp_open *o = open_new(v, 1);
	int r = o ? 0 : -ENOMEM;

	(void)resptable_job_file(n.kind, &f); /* of no other kind is this called */
	if (!r && view->state == BROKER_REFUSED)
		r = view->code ? -view->code : -EIO;
	if (!r)
		r = jobio_open(v, view->id, f, &o->job);
	if (r < 0) {
		open_free(o);
		vfs_reply_err(q, -r);
		return;
	}
	out.fh = (uint64_t)(uintptr_t)o;
	out.direct_io = f == BULK_STREAM || f == BULK_PROGRESS;
	out.keep_cache = !out.direct_io && n.sample == resptable_version(n.kind, view);
	if (q->ops->open(q->impl, &out) != 0)
		open_free(o);
}

uint64_t respfile_size(const struct vfs_file *f)
{
	return open_of(f)->job ? jobio_size(open_of(f)->job) : 0;
}

static void open_ended(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct broker_view *view)
{
	if (view->bulk)
		open_job(v, q, nodeid, view);
	else if (view->state == BROKER_DONE)
		vfs_now_or_later(v, q, &(struct vfs_again){ .nodeid = nodeid }, open_late_again);
	else
		vfs_reply_err(q, view->code ? view->code : EIO);
}

/* ---- waiting in open ---- */

struct parked_open {
	struct park park;
	struct broker_waiter w;
	struct vfs *v;
	uint64_t nodeid;
};

static void open_stream(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct broker_view *view);

static void parked_open_answer(struct park *p, bool interrupted)
{
	struct parked_open *o = CONTAINER_OF(p, struct parked_open, park);
	struct vfs_req q = p->q;
	struct vfs *v = o->v;
	uint64_t nodeid = o->nodeid;
	struct broker_view view;

	free(o);
	if (interrupted)
		vfs_reply_err(&q, EINTR);
	else if (v->stopping)
		vfs_reply_err(&q, ESHUTDOWN);
	else if (broker_get(v->broker, resptable_node(nodeid).id, &view) < 0 ||
		 !broker_is_final(view.state)) /* its name went, perhaps not yet in the ledger */
		vfs_reply_err(&q, ECANCELED);
	else if (resptable_node(nodeid).kind == RESP_STREAM)
		open_stream(v, &q, nodeid, &view);
	else
		open_ended(v, &q, nodeid, &view);
}

static void open_wake(struct broker_waiter *w)
{
	park_wake(&CONTAINER_OF(w, struct parked_open, w)->park);
}

static bool open_unwait(struct park *p)
{
	struct parked_open *o = CONTAINER_OF(p, struct parked_open, park);

	return broker_unwait(o->v->broker, &o->w);
}

static void open_wait(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	struct parked_open *o = calloc(1, sizeof(*o));
	int r;

	if (!o) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	park_init(&o->park, q);
	o->park.unwait = open_unwait;
	o->park.answer = parked_open_answer;
	o->w.wake = open_wake;
	o->v = v;
	o->nodeid = nodeid;
	r = broker_wait(v->broker, resptable_node(nodeid).id, &o->w);
	if (r < 0)
		park_wake(&o->park); /* final by now, or gone: answered from its view */
	park_armed(&o->park);
}

/* ---- stream ---- */

static void open_stream(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct broker_view *view)
{
	struct resp_open *o;

	if (view->state == BROKER_DONE) {
		struct vfs_open plain = { .direct_io = true, .noflush = true };

		broker_hold(v->broker, view->id);
		if (q->ops->open(q->impl, &plain) != 0)
			broker_hold_release(v->broker, view->id);
		return;
	}
	o = open_new(v, 1);
	if (!o) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	o->code = view->code;
	o->text = BUF_INIT(1);
	o->stream = broker_stream(v->broker, view->id);
	if (o->stream) {
		streamio_init(&o->io, v);
	} else if (!broker_is_final(view->state)) { /* it became so, or is being recorded */
		open_free(o);
		open_wait(v, q, nodeid);
		return;
	}
	reply_open(q, o);
}

/* ---- operations ---- */

void respfile_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags)
{
	struct response_node n = resptable_node(nodeid);
	const struct response_name *name = resptable_name(n.kind);
	struct broker_view view;
	bool write = (flags & O_ACCMODE) != O_RDONLY;

	if (!name || (write && n.kind != RESP_CTL)) {
		vfs_reply_err(q, name ? EROFS : EISDIR);
		return;
	}
	if (!n.pending && (name->when & NAME_WAITS) &&
	    n.kind < RESP_JOB_PROGRESS) { /* the warm path: final when it was looked up */
		open_final(v, q, nodeid);
		return;
	}
	if (broker_get(v->broker, n.id, &view) < 0) {
		vfs_reply_err(q, ENOENT);
		return;
	}
	if (n.kind == RESP_STREAM)
		open_stream(v, q, nodeid, &view);
	else if (n.kind == RESP_JOB_STREAM || n.kind == RESP_JOB_PROGRESS)
		open_job(v, q, nodeid, &view);
	else if (!(name->when & NAME_WAITS))
		open_snapshot(v, q, nodeid, &view);
	else if (broker_is_final(view.state))
		open_ended(v, q, nodeid, &view);
	else if (flags & O_NONBLOCK)
		vfs_reply_err(q, EAGAIN);
	else
		open_wait(v, q, nodeid);
}

static bool read_again(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
		       bool nowait)
{
	struct respblob *b = NULL;
	int r = respblob_get(v, a->nodeid, nowait, &b);

	if (r == -EAGAIN && nowait)
		return false;
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		vfs_reply_bytes(q, &b->b, &a->io);
	respblob_unref(v, b);
	return true;
}

void respfile_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		   const struct vfs_file *f, const struct vfs_io *io)
{
	struct resp_open *o = open_of(f);

	if (!o)
		vfs_now_or_later(v, q, &(struct vfs_again){ .nodeid = nodeid, .io = *io },
				 read_again);
	else if (o->job)
		jobio_read(o->job, q, io, f->flags & O_NONBLOCK);
	else if (o->stream)
		streamio_read(&o->io, o->stream, q, io, f->flags & O_NONBLOCK);
	else if (o->code && !o->text.len)
		vfs_reply_err(q, o->code);
	else
		vfs_reply_bytes(q, &o->text, io);
}

void respfile_write(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		    const struct vfs_file *f, const struct vfs_io *io)
{
	struct response_node n = resptable_node(nodeid);
	size_t len = io->size;
	int r = -EINVAL;

	(void)f;
	while (len && (io->data[len - 1] == '\n' || io->data[len - 1] == ' '))
		len--;
	if (n.kind != RESP_CTL)
		r = -EROFS;
	else if (len == 6 && memcmp(io->data, "cancel", 6) == 0)
		r = broker_ctl_cancel(v->broker, n.id);
	else if (len == 5 && memcmp(io->data, "retry", 5) == 0)
		r = broker_ctl_retry(v->broker, n.id);
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->written(q->impl, io->size);
}

void respfile_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f)
{
	struct resp_open *o = open_of(f);

	if (!o) {
		respblob_trim(v, nodeid);
		broker_hold_release(v->broker, resptable_node(nodeid).id);
	}
	open_free(o);
	vfs_reply_err(q, 0);
}

void respfile_poll(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		   const struct vfs_file *f, void *poll_handle)
{
	struct resp_open *o = open_of(f);

	(void)nodeid;
	if (o && o->job) {
		jobio_poll(o->job, q, poll_handle);
		return;
	}
	if (o && o->stream) {
		streamio_poll(&o->io, o->stream, q, poll_handle);
		return;
	}
	if (poll_handle)
		v->notify.poll_drop(v->notify.impl, poll_handle);
	q->ops->poll(q->impl, VFS_POLL_ALWAYS);
}
