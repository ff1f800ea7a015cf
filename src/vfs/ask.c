/* ask.c - the file `ask`: one open is one conversation */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "vfs/streamio.h"

#include "base/banned.h"

enum ask_phase {
	ASK_WRITING, /* a question is being written, or none yet */
	ASK_READING, /* it was submitted; its answer is being read */
	ASK_ENDED,   /* the reader saw the end: the next write begins the next question */
	ASK_FAILED,  /* the reader saw the errno: the next read gives error.json */
};

/* one open file. Operations come from the FUSE thread one after the other; a parked read touches only
 * the stream and io. */
struct ask {
	struct vfs_opened opened;
	struct vfs *v;
	enum ask_phase phase;
	struct buf question;
	json_t *history; /* earlier turns, NULL none */
	struct broker_ask *running;
	struct streamio io;
	bool io_ready;
	uint64_t read_to; /* bytes of the present answer, or of error.json, that were read */
	struct buf error;
};

static struct ask *ask_of(const struct vfs_file *f)
{
	return (struct ask *)(uintptr_t)f->fh;
}

static void close_ask(struct vfs *v, struct vfs_opened *o)
{
	ask_release(v, NULL,
		    &(struct vfs_file){
			    .fh = (uint64_t)(uintptr_t)CONTAINER_OF(o, struct ask, opened) });
}

void ask_open(struct vfs *v, const struct vfs_req *q, int flags)
{
	struct vfs_open o = { .direct_io = true, .noflush = true };
	struct ask *a;

	if ((flags & O_ACCMODE) == O_WRONLY) {
		vfs_reply_err(q, EINVAL);
		return;
	}
	if ((flags & O_ACCMODE) ==
	    O_RDONLY) { /* empty: what looks at every file is not kept waiting */
		(void)q->ops->open(q->impl, &o);
		return;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	a->v = v;
	a->question = BUF_INIT(v->o.max_request_bytes);
	a->error = BUF_INIT(1 << 16);
	o.fh = (uint64_t)(uintptr_t)a;
	vfs_opened_add(v, &a->opened, close_ask);
	if (q->ops->open(q->impl, &o) != 0)
		ask_release(v, NULL, &(struct vfs_file){ .fh = o.fh });
}

static void end_answer(struct ask *a)
{
	if (a->io_ready)
		streamio_done(&a->io);
	a->io_ready = false;
	a->running = broker_ask_end(a->running);
	a->read_to = 0;
}

void ask_release(struct vfs *v, const struct vfs_req *q, const struct vfs_file *f)
{
	struct ask *a = ask_of(f);

	(void)v;
	if (a) {
		list_del(&a->opened.link);
		end_answer(a);
		json_decref(a->history);
		buf_done(&a->question);
		buf_done(&a->error);
		free(a);
	}
	if (q)
		vfs_reply_err(q, 0);
}

/* has the reader got everything of the answer, so that a write is the next question? */
static bool answer_read(struct ask *a)
{
	struct stream *s = broker_ask_stream(a->running);

	return stream_ended(s) && a->io.read_to >= stream_size(s);
}

static void next_question(struct ask *a)
{
	json_t *turns = a->phase == ASK_FAILED || !a->running ? NULL
							      : broker_ask_history(a->running);

	if (turns) {
		json_decref(a->history);
		a->history = turns;
	}
	end_answer(a);
	buf_clear(&a->question);
	buf_clear(&a->error);
	a->phase = ASK_WRITING;
}

void ask_write(struct vfs *v, const struct vfs_req *q, const struct vfs_file *f,
	       const struct vfs_io *io)
{
	struct ask *a = ask_of(f);
	int r;

	(void)v;
	if (!a) {
		vfs_reply_err(q, EBADF);
		return;
	}
	if (a->phase == ASK_READING && !answer_read(a)) {
		vfs_reply_err(q, EBUSY);
		return;
	}
	if (a->phase != ASK_WRITING)
		next_question(a);
	r = buf_add(&a->question, io->data, io->size);
	if (r < 0) {
		buf_clear(&a->question);
		vfs_reply_err(q, -r);
	} else {
		q->ops->written(q->impl, io->size);
	}
}

static void keep_error(struct ask *a, const struct err *e)
{
	buf_clear(&a->error);
	(void)broker_ask_error_json(e, &a->error); /* cut short at worst */
}

/* the first read submits */
static int submit(struct ask *a)
{
	struct err e = { 0 };
	struct broker_ask_doc d = { buf_str(&a->question), a->question.len, a->history };
	int r;

	if (!a->question.len)
		return -ENODATA;
	r = broker_ask(a->v->broker, &d, &a->running, &e);
	if (r < 0) {
		keep_error(a, &e);
		a->phase = ASK_FAILED;
		return r;
	}
	a->phase = ASK_READING;
	streamio_init(&a->io, a->v);
	a->io_ready = true;
	return 0;
}

static void fail(struct ask *a)
{
	struct err e;

	buf_clear(&a->error);
	if (broker_ask_error(a->running, &a->error) < 0) {
		/* it is being tried again, but not for a reader that has bytes of the broken answer */
		(void)err_set(&e, ERR_PROVIDER,
			      "the answer broke off after its first bytes; ask again");
		keep_error(a, &e);
	}
	end_answer(a);
	a->phase = ASK_FAILED;
}

/* a failure is told once as errno; what is read after that is error.json */
static bool failed_now(struct ask *a, const struct vfs_req *q)
{
	struct stream *s = broker_ask_stream(a->running);
	struct stream_reader probe = { 0 };
	char byte;
	size_t n;
	int r;

	if (!stream_ended(s))
		return false;
	probe = a->io.reader;
	r = stream_read(s, &probe, (struct stream_span){ &byte, 1, a->io.read_to }, &n);
	if (r >= 0)
		return false;
	fail(a);
	vfs_reply_err(q, -r);
	return true;
}

static void read_error(struct ask *a, const struct vfs_req *q, const struct vfs_io *io)
{
	struct vfs_io part = { .off = a->read_to, .size = io->size };

	vfs_reply_bytes(q, &a->error, &part);
	a->read_to += a->read_to + io->size < a->error.len ? io->size : a->error.len - a->read_to;
}

void ask_read(struct vfs *v, const struct vfs_req *q, const struct vfs_file *f,
	      const struct vfs_io *io)
{
	struct ask *a = ask_of(f);
	struct vfs_io part;
	int r = 0;

	(void)v;
	if (!a) {
		q->ops->data(q->impl, "", 0);
		return;
	}
	if (a->phase == ASK_READING && streamio_told(&a->io)) /* by a read that was parked */
		fail(a);
	if (a->phase == ASK_FAILED) {
		read_error(a, q, io);
		return;
	}
	if (a->phase == ASK_WRITING)
		r = submit(a);
	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	if (failed_now(a, q))
		return;
	part = (struct vfs_io){ .off = a->io.read_to,
				.size = io->size }; /* offsets are the answer's */
	streamio_read(&a->io, broker_ask_stream(a->running), q, &part, f->flags & O_NONBLOCK);
}

void ask_poll(struct vfs *v, const struct vfs_req *q, const struct vfs_file *f, void *poll_handle)
{
	struct ask *a = ask_of(f);

	if (a && a->phase == ASK_READING) {
		streamio_poll(&a->io, broker_ask_stream(a->running), q, poll_handle);
		return;
	}
	if (poll_handle)
		v->notify.poll_drop(v->notify.impl, poll_handle);
	q->ops->poll(q->impl, a && a->phase == ASK_WRITING && !a->question.len
				      ? POLLOUT | POLLWRNORM
				      : VFS_POLL_ALWAYS);
}
