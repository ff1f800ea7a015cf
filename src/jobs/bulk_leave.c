/* bulk_leave.c - a job that does not go to its end: cancelled, or its row went */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "jobs/batchjob.h"
#include "jobs/bulk.h"

#include "base/banned.h"

struct leaving {
	struct job **jobs;
	size_t n;
	struct list waiters;
};

/* Those whose end is being recorded keep it; the others leave with a second of grace, in which another
 * content of the file may ask for the same. */
static void detach_locked(struct bulk *k, struct leaving *x)
{
	x->jobs = calloc(k->n_running + 1, sizeof(*x->jobs));
	if (!x->jobs)
		return; /* then they run to their end */
	LIST_EACH_SAFE(l, tmp, &k->running) {
		struct bulk_line *line = LIST_ENTRY(l, struct bulk_line, in_bulk);
		struct job *j = line->job;

		if (j->ending)
			continue;
		j->ending = true;
		line->over = true;
		list_del(&line->in_bulk);
		k->n_running--;
		job_detach_locked(k->b, j, &x->waiters);
		x->jobs[x->n++] = j;
	}
}

static void told(struct broker *b, struct leaving *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->jobs[i]->stream)
			stream_fail(x->jobs[i]->stream, ECANCELED);
	job_wake_all(b, &x->waiters);
	for (size_t i = 0; i < x->n; i++) {
		job_unref(b, x->jobs[i]); /* the list's, and what detaching took */
		job_unref(b, x->jobs[i]);
	}
	free(x->jobs);
}

void bulk_leave(struct bulk *k)
{
	struct leaving x = { 0 };

	list_init(&x.waiters);
	lock_take(&k->b->lock);
	bulk_ref_locked(k);
	k->quit = true;
	detach_locked(k, &x);
	lock_drop(&k->b->lock);
	told(k->b, &x);
	bulk_wake_all(k);
	bulk_kick(k);
	bulk_unref(k);
}

/* the lines that run, with a reference each */
static struct job **running(struct bulk *k, size_t *out_n)
{
	struct job **jobs;

	LOCK_SCOPE(&k->b->lock);
	*out_n = 0;
	jobs = calloc(k->n_running + 1, sizeof(struct job *));
	if (jobs)
		LIST_EACH(l, &k->running)
			jobs[(*out_n)++] = job_ref(LIST_ENTRY(l, struct bulk_line, in_bulk)->job);
	return jobs;
}

int bulk_leave_cancel(struct bulk *k)
{
	struct err e = { 0 };
	struct job **jobs;
	bool late;
	size_t n;

	lock_take(&k->b->lock);
	late = k->cancel || k->quit || k->pass.phase > BULK_RUN;
	k->cancel |= !late;
	lock_drop(&k->b->lock);
	if (late)
		return -EINVAL;
	(void)err_set(&e, ERR_CANCELLED,
		      "the job was cancelled; write \"retry\" to its ctl file to ask again");
	jobs = running(k, &n);
	for (size_t i = 0; i < n; i++) {
		job_end(k->b, jobs[i], BROKER_CANCELLED, &e);
		job_unref(k->b, jobs[i]);
	}
	free(jobs);
	if (k->batch)
		batchjob_cancel(k->b, k->lines);
	bulk_start(k);
	return 0;
}

void bulk_leave_gone(struct broker *b, const struct ledger_row *row)
{
	int64_t lines = row->root ? bulk_lines_of(row) : 0;
	bool claimed = false;
	struct bulk *k;

	if (!lines)
		return;
	lock_take(&b->lock);
	k = bulk_find_locked(b, row->id);
	if (k)
		bulk_ref_locked(k);
	LIST_EACH(l, &b->bulks.claims)
		claimed |= LIST_ENTRY(l, struct bulk_claim, link)->lines == lines;
	lock_drop(&b->lock);
	if (k)
		bulk_leave(k);
	bulk_unref(k);
	if (claimed)
		return;
	if (batchjob_is(row->suffix))
		batchjob_cancel(b, lines);
	bulk_drop(b, lines);
}
