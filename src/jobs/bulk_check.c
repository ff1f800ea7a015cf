/* bulk_check.c - a file of many requests was written, or is to be asked again: a new row for it */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/batchjob.h"
#include "jobs/bulk.h"
#include "jobs/bulk_ask.h"
#include "jobs/bulk_look.h"

#include "base/banned.h"

struct check {
	struct pool_task task;
	struct ledger_post post;
	struct ledger_change change;
	struct bulk_claim claim;
	struct broker *b;
	struct broker_name name; /* owned strings */
	int fd;
	json_t *defaults;
	bool final, send;
	int64_t id, since, old; /* old: the row that had the name, when its lines are taken over */
	struct key sum;
	char *envelope;
	struct job *job;
	broker_checked_fn *done; /* NULL: a retry */
	void *arg;
};

static void check_free(struct check *c)
{
	struct broker *b = c->b;

	lock_take(&b->lock);
	list_del(&c->claim.link);
	lock_drop(&b->lock);
	free((void *)(uintptr_t)c->name.root);
	free((void *)(uintptr_t)c->name.path);
	free((void *)(uintptr_t)c->name.suffix);
	if (c->fd >= 0)
		(void)close(c->fd); /* read only */
	json_decref(c->defaults);
	free(c->envelope);
	job_unref(b, c->job);
	free(c);
}

static struct check *check_new(struct broker *b, const struct broker_name *n)
{
	struct check *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->b = b;
	c->fd = -1;
	list_init(&c->claim.link);
	c->name = (struct broker_name){ strdup(n->root), strdup(n->path), strdup(n->suffix) };
	c->id = ledger_next_id(b->o.ledger);
	if (c->name.root && c->name.path && c->name.suffix)
		return c;
	check_free(c);
	return NULL;
}

static void tell(struct check *c, int code, int64_t id, bool same)
{
	if (c->done)
		c->done(c->arg, &(struct broker_accepted){ .code = code, .id = id, .same = same });
}

/* ---- what came to nothing ---- */

static void clean(struct check *c)
{
	bulk_spool_forget(c->b, (struct bulk_place){ c->claim.lines, c->id });
	if (c->claim.lines == c->id)
		bulk_spool_remove(c->b, c->id);
}

static void give_up(struct check *c, int code, int64_t id, bool same)
{
	if (c->claim.lines)
		clean(c);
	tell(c, code, id, same);
	check_free(c);
}

static void refuse(struct check *c, const struct err *e)
{
	if (c->claim.lines)
		clean(c);
	lock_take(&c->b->lock);
	list_del(&c->claim.link); /* the refusal removes the old row, and its lines go */
	lock_drop(&c->b->lock);
	broker_check_refuse(c->b, c->name.root, c->name.path, c->name.suffix, e);
	tell(c, e->code, 0, false);
	check_free(c);
}

/* ---- recorded ---- */

/* The files of the row that went; readers keep what they have open. */
static void forget_run(struct pool_task *t)
{
	struct check *c = CONTAINER_OF(t, struct check, task);

	if (c->old)
		bulk_spool_forget(c->b, (struct bulk_place){ c->claim.lines, c->old });
	check_free(c);
}

static void finish(struct check *c)
{
	c->task.run = forget_run;
	if (pool_post(c->b->pool, &c->task) < 0)
		check_free(c); /* the next mount forgets them */
}

/* The row whose lines were to be taken over went, and this one did not come: then they have no job. */
static void drop_orphans(struct check *c)
{
	struct ledger_row row;
	int64_t lines = 0;

	lock_take(&c->b->lock);
	list_del(&c->claim.link);
	lock_drop(&c->b->lock);
	if (!c->old)
		return;
	if (ledger_find(c->b->o.ledger, c->name.root, c->name.path, &row) == 0) {
		lines = bulk_lines_of(&row);
		ledger_row_done(&row);
	}
	if (lines != c->claim.lines && ledger_get(c->b->o.ledger, c->old, &row) == -ENOENT)
		bulk_drop(c->b, c->claim.lines);
	else if (lines != c->claim.lines)
		ledger_row_done(&row);
}

/* the name is the new row's now */
static void take_name(struct check *c)
{
	struct broker *b = c->b;
	struct list waiters;
	struct job *old;

	list_init(&waiters);
	lock_take(&b->lock);
	old = job_by_name_locked(b, c->name.root, c->name.path);
	if (old) {
		job_ref(old);
		if (old->hold && !old->bulk) /* never sent: it was no request of its own */
			ledger_count(b->o.ledger, LEDGER_C_REQUESTS, -1);
		job_detach_locked(b, old, &waiters);
	}
	if (!b->stopping) {
		c->job->hold = !c->send;
		c->job->step = STEP_BUDGET;
		if (job_table_locked(b, c->job, false) == 0)
			(void)job_table_locked(b, c->job, true); /* no memory: found by id */
	}
	lock_drop(&b->lock);
	if (old && old->stream)
		stream_fail(old->stream, ECANCELED);
	job_wake_all(b, &waiters);
	if (old) { /* detaching took one for us, the look-up another */
		job_unref(b, old);
		job_unref(b, old);
	}
}

static void recorded(struct ledger_post *p, int result)
{
	struct check *c = CONTAINER_OF(p, struct check, post);
	struct broker *b = c->b;
	struct bulk *k = NULL;

	if (result < 0) {
		drop_orphans(c);
		tell(c, -result, 0, false);
		c->old = c->id; /* the copy of the file goes */
		finish(c);
		return;
	}
	fault_at("accepted");
	bulk_line_homed(b, c->claim.lines, c->id);
	if (bulk_new(b, c->job, c->envelope, &k) == 0)
		take_name(c);
	if (k && c->send)
		bulk_start(k);
	tell(c, 0, c->id, false);
	finish(c);
}

static struct job *job_of(const struct check *c)
{
	struct job *j = job_new();

	if (!j)
		return NULL;
	j->id = c->id;
	j->root = strdup(c->name.root);
	j->path = strdup(c->name.path);
	j->suffix = strdup(c->name.suffix);
	j->body.file_sha = c->sum;
	j->times.accepted_ns = j->times.changed_ns = mono_real_ns();
	j->times.accepted_mono = mono_ns();
	if (j->root && j->path && j->suffix)
		return j;
	job_unref(c->b, j);
	return NULL;
}

static void post(struct check *c, void (*done)(struct ledger_post *p, int result))
{
	c->change.op = LEDGER_OP_PUT;
	c->change.row = (struct ledger_row){
		.id = c->id,
		.state = LEDGER_ACCEPTED,
		.root = (char *)(uintptr_t)c->name.root,
		.path = (char *)(uintptr_t)c->name.path,
		.suffix = (char *)(uintptr_t)c->name.suffix,
		.file_sha = c->sum,
		.n = 1,
		.envelope = c->envelope,
		.accepted_ns = c->job->times.accepted_ns,
	};
	c->post.changes = &c->change;
	c->post.n_changes = 1;
	c->post.done = done;
	ledger_post(c->b->o.ledger, &c->post);
}

/* ---- the row that has the name now ---- */

static const char *defaults_of(const char *envelope)
{
	const char *at = envelope ? strstr(envelope, ",\"defaults\":") : NULL;

	return at ? at : "";
}

/* Nothing would be asked that has no answer. */
static bool nothing_new(const struct check *c, const struct ledger_row *row)
{
	if (!key_equal(&row->file_sha, &c->sum) ||
	    strcmp(defaults_of(row->envelope), defaults_of(c->envelope)) != 0)
		return false;
	if (row->state == LEDGER_ACCEPTED)
		return true;
	return row->state == LEDGER_DONE && !bulk_count_failed(row->facts) &&
	       !strstr(row->facts ? row->facts : "", "\"buys_again\":true");
}

static void claim(struct check *c, int64_t lines)
{
	LOCK_SCOPE(&c->b->lock);
	c->claim.lines = lines;
	list_append(&c->b->bulks.claims, &c->claim.link);
}

/* the lines of the row that has the name go over to this one; out: that row, or nothing */
static void find_old(struct check *c, struct ledger_row *out)
{
	int64_t lines = 0;

	if (ledger_find(c->b->o.ledger, c->name.root, c->name.path, out) == 0)
		lines = bulk_lines_of(out);
	if (lines)
		c->old = out->id;
	claim(c, lines ? lines : c->id);
}

static int copy_file(struct check *c, int *out_fd)
{
	struct bulk_place at = { c->claim.lines, c->id };
	uint64_t size = 0;
	int r = bulk_spool_make(c->b, at.lines), fd;

	if (r < 0)
		return r;
	fd = bulk_spool_open(c->b, at, BULK_SPOOL_INPUT, O_RDWR | O_CREAT | O_TRUNC);
	if (fd < 0)
		return fd;
	r = bulk_spool_copy(c->fd, fd, &c->sum, &size);
	if (r < 0) {
		(void)close(fd); /* it goes */
		return r;
	}
	*out_fd = fd;
	return 0;
}

static void accept(struct check *c, const struct ledger_row *old)
{
	if (c->old && nothing_new(c, old)) {
		int64_t id = c->old;

		if (c->send)
			broker_send(c->b, id);
		c->old = 0;
		give_up(c, 0, id, true);
		return;
	}
	c->job = job_of(c);
	if (!c->job)
		give_up(c, ENOMEM, 0, false);
	else
		post(c, recorded);
}

static void check_file(struct check *c)
{
	struct ledger_row old = { 0 };
	AUTO_FD int fd = -1;
	struct err e = { 0 };
	int r;

	find_old(c, &old);
	c->envelope = bulk_envelope(c->claim.lines, c->id, c->defaults);
	r = c->envelope ? copy_file(c, &fd) : -ENOMEM;
	if (r < 0) {
		ledger_row_done(&old);
		give_up(c, -r, 0, false); /* a full disk, most likely: nothing is recorded */
		return;
	}
	r = bulk_look(&(struct bulk_ask){ .b = c->b,
					  .root = c->name.root,
					  .path = c->name.path,
					  .batch = batchjob_is(c->name.suffix),
					  .defaults = c->defaults },
		      fd, c->final, &e);
	if (r > 0)
		give_up(c, 0, 0, false);
	else if (r < 0)
		refuse(c, &e);
	else
		accept(c, &old);
	ledger_row_done(&old);
}

static void check_one(struct check *c)
{
	struct err e = { 0 };

	if (!bulk_spool_there(c->b))
		(void)err_field(
			&e, ERR_UNSUPPORTED, "suffix",
			"there is no directory for jobs here; write one request in a .json file");
	if (broker_is_stopping(c->b))
		give_up(c, ESHUTDOWN, 0, false);
	else if (e.code)
		refuse(c, &e);
	else
		check_file(c);
}

static void check_run(struct pool_task *t)
{
	struct check *c = CONTAINER_OF(t, struct check, task);
	struct broker *b = c->b;

	check_one(c);
	lock_take(&b->lock);
	bulk_rest_locked(b);
	lock_drop(&b->lock);
}

/* false: the pool is full or gone */
static bool run_check(struct check *c)
{
	struct broker *b = c->b;

	c->task.run = check_run;
	lock_take(&b->lock);
	bulk_work_locked(b);
	lock_drop(&b->lock);
	if (pool_post(b->pool, &c->task) == 0)
		return true;
	lock_take(&b->lock);
	bulk_rest_locked(b);
	lock_drop(&b->lock);
	return false;
}

void bulk_check_file(struct broker *b, const struct broker_bulk_doc *d, broker_checked_fn *done,
		     void *arg)
{
	struct broker_accepted no = { .code = ENOMEM };
	struct check *c = check_new(b, &(struct broker_name){ d->root, d->path, d->suffix });
	int r;

	if (!c) {
		done(arg, &no);
		return;
	}
	c->done = done;
	c->arg = arg;
	c->final = d->final;
	c->send = d->send;
	c->fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 3);
	no.code = c->fd < 0 ? errno : ENOMEM;
	c->defaults = d->defaults ? json_deep_copy(d->defaults) : NULL;
	r = c->fd < 0 || (d->defaults && !c->defaults) ? -1 : 0;
	if (r == 0 && run_check(c))
		return;
	if (r == 0)
		no.code = EAGAIN; /* full or gone; the file stays as it is */
	check_free(c);
	done(arg, &no);
}

/* ---- again: the same lines under a new row ---- */

static void retry_failed(struct check *c, int error)
{
	struct err e = { 0 };

	(void)err_sys(&e, error, "the retry could not be recorded");
	if (c->job->bulk)
		bulk_end_refuse(c->job->bulk, &e);
	finish(c);
}

static void retry_recorded(struct ledger_post *p, int result)
{
	struct check *c = CONTAINER_OF(p, struct check, post);

	if (result < 0) {
		c->old = 0;
		retry_failed(c, -result);
		return;
	}
	bulk_line_homed(c->b, c->claim.lines, c->id);
	bulk_start(c->job->bulk);
	finish(c);
}

static void retry_run(struct pool_task *t)
{
	struct check *c = CONTAINER_OF(t, struct check, task);
	int r = bulk_spool_inherit(c->b, (struct bulk_place){ c->claim.lines, c->id }, c->old);

	if (r == 0) {
		post(c, retry_recorded);
		return;
	}
	c->old = 0;
	retry_failed(c, -r);
}

/* its defaults are the old row's, so the lines that have an answer keep their keys */
static char *same_envelope(const struct ledger_row *row)
{
	return str_printf("{\"lines\":%lld,\"since\":%lld%s", (long long)bulk_lines_of(row),
			  (long long)bulk_line_member(row, "since"), defaults_of(row->envelope));
}

static int retry_begin(struct check *c)
{
	struct broker *b = c->b;
	struct bulk *k;
	int r = bulk_new(b, c->job, c->envelope, &k);

	if (r < 0)
		return r;
	lock_take(&b->lock);
	r = b->stopping || job_by_name_locked(b, c->name.root, c->name.path) ? -EINVAL : 0;
	if (r == 0) { /* a second retry at once finds the name taken */
		c->job->step = STEP_BUDGET;
		r = job_table_locked(b, c->job, false);
		if (r == 0)
			(void)job_table_locked(b, c->job, true);
	}
	lock_drop(&b->lock);
	if (r < 0) {
		bulk_leave(k);
		return r;
	}
	c->task.run = retry_run;
	if (pool_post(b->pool, &c->task) < 0)
		retry_run(&c->task);
	return 0;
}

int bulk_check_retry(struct broker *b, const struct ledger_row *row)
{
	struct check *c;
	int r;

	if (!bulk_lines_of(row) || row->state == LEDGER_ACCEPTED ||
	    (row->state == LEDGER_DONE && !bulk_count_failed(row->facts)))
		return -EINVAL;
	c = check_new(b, &(struct broker_name){ row->root, row->path, row->suffix });
	if (!c)
		return -ENOMEM;
	c->old = row->id;
	c->sum = row->file_sha;
	c->envelope = same_envelope(row);
	claim(c, bulk_lines_of(row));
	c->job = c->envelope ? job_of(c) : NULL;
	r = c->job ? retry_begin(c) : -ENOMEM;
	if (r < 0)
		check_free(c);
	return r;
}
