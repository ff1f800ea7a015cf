/* batchjob_step.c - a batch's way: each step recorded before the next is begun */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/batchjob.h"

#include "base/banned.h"

#define INBOX_FULL  ((size_t)4 << 20)
#define INBOX_MAX   ((size_t)BATCH_LINE_MAX + INBOX_FULL * 2)
#define FIND_PAUSE  5.0 /* lists may lag */
#define FIND_TIMES  2u
#define REMOVES_MAX 4u

/* ---- sleeping and going on ---- */

static void run(struct pool_task *t);

void batchjob_step_resume(struct batchjob *x)
{
	x->at.task.run = run;
	(void)pool_post(x->b->pool, &x->at.task); /* refused: the next mount goes on */
}

static void sleep_for(struct batchjob *x, double s, const struct err *e)
{
	LOCK_SCOPE(&x->b->lock);
	if (!e && x->r.cancel && !x->at.cancel_sent && x->r.state == BATCHJOB_CREATED)
		s = 0; /* that came while it was looked at */
	x->at.trouble = e ? *e : (struct err){ 0 };
	x->at.due_mono = mono_ns() + (uint64_t)(s * 1e9) + 1;
	cond_signal(&x->b->tick);
}

struct batchjob *batchjob_step_tick_locked(struct broker *b, uint64_t now, uint64_t *next)
{
	LIST_EACH(l, &b->bulks.batches) {
		LIST_EACH(p, &LIST_ENTRY(l, struct batchjob_set, link)->batches) {
			struct batchjob *x = LIST_ENTRY(p, struct batchjob, link);

			if (!x->at.due_mono)
				continue;
			if (x->at.due_mono <= now) {
				x->at.due_mono = 0;
				return x;
			}
			if (!*next || x->at.due_mono < *next)
				*next = x->at.due_mono;
		}
	}
	return NULL;
}

/* the longer it lasts, the longer */
void batchjob_step_pause(struct batchjob *x, const struct err *e)
{
	double s =
		x->b->o.batch_poll_min_s * (double)(1u << (x->at.pauses < 10 ? x->at.pauses : 10));

	if (x->at.pauses++ == 0)
		log_msg(LOG_WARNING, "a batch pauses and goes on by itself: %s", e->message);
	sleep_for(x, s < x->b->o.batch_poll_max_s ? s : x->b->o.batch_poll_max_s, e);
}

static bool wanted(struct batchjob *x)
{
	LOCK_SCOPE(&x->b->lock);
	return !x->r.cancel;
}

static void set_state(struct batchjob *x, enum batchjob_state s)
{
	LOCK_SCOPE(&x->b->lock);
	x->r.state = s;
	x->at.dirty = true;
	x->at.trouble = (struct err){ 0 };
	x->at.pauses = 0;
}

/* ---- the provider ---- */

static void land_run(struct pool_task *t);

static void on_done(void *arg, const struct batch_result *r, const struct err *e)
{
	struct batchjob *x = arg;
	bool fetch, go;

	lock_take(&x->b->lock);
	x->at.result = *r;
	x->at.error = e ? *e : (struct err){ 0 };
	x->at.answered = true;
	x->in.over = true;
	x->in.call = NULL;
	fetch = x->at.step == BATCH_FETCH;
	go = !fetch || !x->in.landing;
	x->in.landing = true;
	lock_drop(&x->b->lock); /* from here on it may be gone, unless it is for us to go on */
	if (go && !fetch)
		batchjob_step_resume(x);
	else if (go)
		(void)pool_post(x->b->pool, &x->in.task); /* refused: ending */
}

static bool on_line(void *arg, const char *text, size_t n)
{
	struct batchjob *x = arg;
	bool go, room;

	lock_take(&x->b->lock);
	if (buf_add(&x->in.inbox, text, n) < 0 || buf_addc(&x->in.inbox, '\n') < 0)
		x->in.failed = -ENOMEM;
	x->in.full = x->in.inbox.len >= INBOX_FULL;
	room = !x->in.full;
	go = !x->in.landing;
	x->in.landing = true;
	lock_drop(&x->b->lock);
	if (go)
		(void)pool_post(x->b->pool, &x->in.task); /* refused: ending */
	return room;
}

static bool on_known(void *arg, const char *id)
{
	const struct batchjob *x = arg;
	bool known = false;

	LOCK_SCOPE(&x->b->lock);
	LIST_EACH(l, &x->b->bulks.batches)
		LIST_EACH(p, &LIST_ENTRY(l, struct batchjob_set, link)->batches) {
			const struct batchjob *o = LIST_ENTRY(p, struct batchjob, link);

			known |= o != x && strcmp(o->r.job_at.id, id) == 0;
		}
	return known;
}

static size_t backend_of(const struct batchjob *x)
{
	const char *const *names = x->b->o.backends;
	size_t i = 0;

	while (names && names[i] && strcmp(names[i], x->r.backend) != 0)
		i++;
	return names && names[i] ? i : SIZE_MAX;
}

static int open_lines(struct batchjob *x, enum batch_step step)
{
	if ((step != BATCH_UPLOAD && step != BATCH_CREATE) || x->at.fd >= 0)
		return 0;
	x->at.fd = batchjob_file(x, "lines", O_RDONLY);
	return x->at.fd < 0 ? x->at.fd : 0;
}

static void start(struct batchjob *x, enum batch_step step)
{
	struct batch_order o = { .step = step,
				 .backend = backend_of(x),
				 .job = &x->r.job_at,
				 .fd = -1,
				 .line = on_line,
				 .known = on_known,
				 .done = on_done,
				 .arg = x };
	struct err e = { 0 };
	int r = open_lines(x, step);

	if (r == 0 && step == BATCH_FETCH)
		r = batchjob_land_open(x);
	if (x->at.fd >= 0) {
		o.fd = x->at.fd;
		o.size = (uint64_t)lseek(x->at.fd, 0, SEEK_END);
	}
	x->at.step = step;
	x->at.answered = false;
	lock_take(&x->b->lock);
	x->in.over = x->in.full = x->in.landing = x->in.waiting = false;
	x->in.inbox.max = INBOX_MAX;
	x->in.task.run = land_run;
	/* with the lock: lines and the end wait for it, and find the call */
	if (r == 0)
		r = batch_start(infer_batch(x->b->o.infer), &o, &x->in.call);
	lock_drop(&x->b->lock);
	if (r == -ESHUTDOWN || r == 0)
		return;
	if (r == -ENXIO)
		(void)err_set(&e, ERR_NOT_FOUND,
			      "the batch is at the backend \"%s\", which is no longer in the "
			      "configuration; add it again",
			      x->r.backend);
	else
		(void)err_sys(&e, -r, "a step of a batch could not be begun");
	batchjob_step_pause(x, &e);
}

/* ---- the download ---- */

static void land_all(struct batchjob *x, const struct buf *lines)
{
	const char *p = lines->data, *end = p + lines->len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = nl ? (size_t)(nl - p) : (size_t)(end - p);

		batchjob_land_line(x, p, n);
		p += n + 1;
	}
}

static void land_run(struct pool_task *t)
{
	struct batchjob *x = CONTAINER_OF(t, struct batchjob, in.task);
	bool over;

	for (;;) {
		struct buf lines;

		lock_take(&x->b->lock);
		lines = x->in.inbox;
		x->in.inbox = BUF_INIT(INBOX_MAX);
		if (x->in.full && !x->in.over)
			batch_go_on(infer_batch(x->b->o.infer), x->in.call);
		x->in.full = false;
		over = x->in.over;
		if (!lines.len)
			x->in.landing = false;
		lock_drop(&x->b->lock);
		if (!lines.len) {
			buf_done(&lines);
			break;
		}
		land_all(x, &lines);
		buf_done(&lines);
	}
	if (over)
		batchjob_step_resume(x);
}

/* ---- what a step brought ---- */

/* Nothing was bought yet and nothing will be: whoever waits is told why. */
static bool is_final(enum err_kind k)
{
	switch (k) {
	case ERR_REQUEST:
	case ERR_FILE_SIZE:
	case ERR_CONTEXT:
	case ERR_NO_KEY:
	case ERR_KEY_REJECTED:
	case ERR_NOT_FOUND:
	case ERR_QUOTA:
	case ERR_UNSUPPORTED:
		return true;
	default:
		return false;
	}
}

static void fetched(struct batchjob *x, const struct err *e)
{
	int r = batchjob_land_open(x);

	if (r == 0 && (e || wanted(x)))
		batchjob_land_rest(x, e);
	else if (r < 0)
		log_msg(LOG_ERROR, "what became of a batch could not be read: %s", strerror(-r));
	set_state(x, BATCHJOB_FETCHED);
	batchjob_step_resume(x);
}

static void ended(struct batchjob *x, enum batch_state s, const char *why)
{
	lock_take(&x->b->lock);
	x->r.ended = s;
	if (why)
		(void)str_copy(x->r.why, sizeof(x->r.why), why); /* cut is fine */
	lock_drop(&x->b->lock);
	set_state(x, BATCHJOB_ENDED);
	batchjob_step_resume(x);
}

static void failed(struct batchjob *x)
{
	const struct err *e = &x->at.error;
	const struct batch_result *r = &x->at.result;

	if (e->kind == ERR_ENDING)
		return; /* the next mount goes on */
	if (x->at.step == BATCH_CREATE && r->unsure)
		x->at.find = true;
	lock_take(&x->b->lock);
	x->r.job_at.strays |= r->job.strays;
	lock_drop(&x->b->lock);
	if (x->at.step == BATCH_POLL && r->gone) {
		ended(x, BATCH_FAILED, "the provider knows no such batch any more");
	} else if (x->at.step == BATCH_FETCH && r->gone) {
		fetched(x, NULL);
	} else if (x->at.step == BATCH_REMOVE && x->at.pauses >= REMOVES_MAX) {
		log_msg(LOG_WARNING, "files of a batch are left at the provider: %s", e->message);
		batchjob_record_leave(x);
	} else if ((x->at.step == BATCH_UPLOAD || (x->at.step == BATCH_CREATE && !r->unsure)) &&
		   is_final(e->kind)) {
		fetched(x, e);
	} else {
		if (x->at.step == BATCH_CANCEL)
			x->at.cancel_sent = x->at.pauses >=
					    REMOVES_MAX; /* then it runs to its end */
		batchjob_step_pause(x, e);
	}
}

static void polled(struct batchjob *x)
{
	const struct batch_result *r = &x->at.result;
	double s = x->at.poll_s;
	const struct broker_options *o = &x->b->o;

	lock_take(&x->b->lock);
	x->r.total = r->total;
	x->r.succeeded = r->succeeded;
	x->r.failed = r->failed;
	x->r.ended = r->state;
	x->r.job_at = r->job;
	x->at.polled_ns = mono_real_ns();
	x->at.pauses = 0;
	lock_drop(&x->b->lock);
	if (batch_state_over(r->state)) {
		ended(x, r->state, r->why);
		return;
	}
	if (s < o->batch_poll_min_s)
		s = o->batch_poll_min_s;
	x->at.poll_s = s * 2 < o->batch_poll_max_s ? s * 2 : o->batch_poll_max_s;
	sleep_for(x, s, NULL);
}

static void created(struct batchjob *x)
{
	lock_take(&x->b->lock);
	x->r.job_at = x->at.result.job;
	x->r.ended = x->at.result.state;
	lock_drop(&x->b->lock);
	set_state(x, BATCHJOB_CREATED);
	log_msg(LOG_INFO, "the batch %s of %llu requests was taken by %s", x->r.job_at.id,
		(unsigned long long)x->r.job_at.requests, x->r.backend);
	batchjob_step_resume(x);
}

static void not_found(struct batchjob *x)
{
	double s = x->b->o.batch_poll_min_s < FIND_PAUSE ? x->b->o.batch_poll_min_s : FIND_PAUSE;

	if (++x->at.finds < FIND_TIMES) {
		sleep_for(x, s, NULL);
		return;
	}
	x->at.find = false;
	batchjob_step_resume(x);
}

static void answered(struct batchjob *x)
{
	struct err e = { 0 };
	int r;

	switch (x->at.step) {
	case BATCH_UPLOAD:
		lock_take(&x->b->lock);
		x->r.job_at = x->at.result.job;
		lock_drop(&x->b->lock);
		set_state(x, BATCHJOB_UPLOADED);
		batchjob_step_resume(x);
		break;
	case BATCH_CREATE:
		fault_at("batch-created");
		created(x);
		break;
	case BATCH_FIND:
		if (x->at.result.job.id[0])
			created(x);
		else
			not_found(x);
		break;
	case BATCH_POLL:
		polled(x);
		break;
	case BATCH_FETCH:
		x->at.answered = true; /* whoever resumes it comes here again */
		r = batchjob_land_settled(x);
		if (r == -EAGAIN)
			break;
		x->at.answered = false;
		if (r == 0) {
			fetched(x, NULL);
		} else {
			(void)err_sys(&e, -r, "what a batch brought could not be kept");
			batchjob_step_pause(x, &e);
		}
		break;
	case BATCH_CANCEL:
		x->at.cancel_sent = true;
		batchjob_step_resume(x);
		break;
	case BATCH_REMOVE:
		fault_at("batch-removed");
		batchjob_record_leave(x);
		break;
	}
}

/* ---- the next step ---- */

static bool uploads(const struct batchjob *x)
{
	const struct backend_config *c = infer_find(x->b->o.infer, x->r.backend);
	struct batch_limits l = { 0 };

	return c && batch_can(c, &l, NULL) == 0 && l.uploads;
}

static void create(struct batchjob *x)
{
	if (x->r.creating && x->at.find) {
		start(x, BATCH_FIND);
	} else if (!wanted(x)) {
		fetched(x, NULL);
	} else if (x->r.creating) {
		start(x, BATCH_CREATE);
	} else {
		lock_take(&x->b->lock);
		x->r.creating = true;
		x->r.job_at.begun_real_ns = mono_real_ns();
		x->at.dirty = true;
		lock_drop(&x->b->lock);
		batchjob_record(x);
	}
}

static void step(struct batchjob *x)
{
	switch (x->r.state) {
	case BATCHJOB_STAGED:
		if (!wanted(x)) {
			fetched(x, NULL);
		} else if (uploads(x)) {
			start(x, BATCH_UPLOAD);
		} else {
			set_state(x, BATCHJOB_UPLOADED);
			batchjob_step_resume(x);
		}
		break;
	case BATCHJOB_UPLOADED:
		create(x);
		break;
	case BATCHJOB_CREATED:
		if (!wanted(x) && !x->at.cancel_sent)
			start(x, BATCH_CANCEL);
		else
			start(x, BATCH_POLL);
		break;
	case BATCHJOB_ENDED:
		start(x, BATCH_FETCH);
		break;
	default:
		start(x, BATCH_REMOVE);
		break;
	}
}

static void run(struct pool_task *t)
{
	struct batchjob *x = CONTAINER_OF(t, struct batchjob, at.task);
	bool dirty, stopping;

	lock_take(&x->b->lock);
	dirty = x->at.dirty;
	stopping = x->b->stopping;
	lock_drop(&x->b->lock);
	if (stopping)
		return;
	if (x->at.answered) {
		x->at.answered = false;
		if (x->at.error.code)
			failed(x);
		else
			answered(x);
		return;
	}
	if (x->r.state == BATCHJOB_FETCHED && batchjob_land_settled(x) == -EAGAIN)
		return; /* what could not be recorded of the rest is missing again, no more */
	if (dirty) {
		batchjob_record(x);
		return;
	}
	if (x->r.state == BATCHJOB_FETCHED && x->staged.n)
		batchjob_news(x);
	step(x);
}
