/* broker_ctl.c - the two words of ctl: cancel and retry */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "jobs/bulk.h"
#include "jobs/flight.h"
#include "jobs/inside.h"

#include "base/banned.h"

int broker_ctl_cancel(struct broker *b, int64_t id)
{
	struct err e = { 0 };
	struct ledger_row row;
	struct job *j;
	int r;

	lock_take(&b->lock);
	j = job_by_id_locked(b, id);
	if (j && (j->ending || broker_is_final(j->state)))
		j = NULL;
	if (j)
		job_ref(j);
	lock_drop(&b->lock);
	if (!j) {
		r = ledger_get(b->o.ledger, id, &row);
		if (r == 0)
			ledger_row_done(&row);
		return r == 0 ? -EINVAL : -ENOENT;
	}
	if (j->bulk) {
		r = bulk_leave_cancel(j->bulk);
		job_unref(b, j);
		return r;
	}
	err_set(&e, ERR_CANCELLED,
		"the request was cancelled; write \"retry\" to its ctl file to ask again");
	job_end(b, j, BROKER_CANCELLED, &e);
	job_unref(b, j);
	return 0;
}

/* a row that failed or was cancelled becomes a job again, under a new id */
struct retrying {
	struct ledger_post post;
	struct ledger_change change;
	struct broker *b;
	struct job *job;
	char *envelope;
};

static void retry_recorded(struct ledger_post *p, int result)
{
	struct retrying *x = CONTAINER_OF(p, struct retrying, post);

	if (result == 0)
		job_send(x->b, x->job);
	else
		job_end(x->b, x->job, BROKER_FAILED,
			&(struct err){ .kind = ERR_DISK_FULL,
				       .code = -result,
				       .message = "the retry could not be recorded" });
	job_unref(x->b, x->job);
	free(x->envelope);
	free(x);
}

static int retry_post(struct broker *b, struct job *j)
{
	struct retrying *x = calloc(1, sizeof(*x));
	struct ledger_row *row;

	if (!x)
		return -ENOMEM;
	x->b = b;
	x->job = j;
	x->envelope = terms_write(&j->terms);
	row = &x->change.row;
	*row = (struct ledger_row){ .id = j->id,
				    .state = LEDGER_ACCEPTED,
				    .root = j->root,
				    .path = j->path,
				    .suffix = j->suffix,
				    .has_key = true,
				    .key = j->body.key,
				    .file_sha = j->body.file_sha,
				    .n = j->terms.n,
				    .cache_mode = (int)j->terms.cache,
				    .envelope = x->envelope,
				    .accepted_ns = j->times.accepted_ns };
	x->change.op = LEDGER_OP_PUT;
	x->change.request = j->body.canon;
	x->change.request_len = j->body.canon_len;
	x->post.changes = &x->change;
	x->post.n_changes = 1;
	x->post.done = retry_recorded;
	ledger_count(b->o.ledger, LEDGER_C_REQUESTS, 1);
	ledger_post(b->o.ledger, &x->post);
	return 0;
}

int broker_ctl_retry(struct broker *b, int64_t id)
{
	struct ledger_row row;
	struct job *j = NULL;
	int r = ledger_get(b->o.ledger, id, &row);

	if (r < 0)
		return r;
	if (bulk_is(row.suffix) || bulk_line_is(row.root)) { /* a line is the job's to ask again */
		r = bulk_is(row.suffix) ? bulk_check_retry(b, &row) : -EINVAL;
		ledger_row_done(&row);
		return r;
	}
	if ((row.state != LEDGER_FAILED && row.state != LEDGER_CANCELLED) || !row.has_key)
		r = -EINVAL;
	if (r == 0)
		r = job_row_load(b, &row, &j);
	ledger_row_done(&row);
	if (r < 0 || !j)
		return r < 0 ? r : -EIO;
	j->id = ledger_next_id(b->o.ledger);
	j->step = STEP_BUDGET;
	j->times.accepted_ns = j->times.changed_ns = mono_real_ns();
	lock_take(&b->lock);
	if (b->stopping || job_by_name_locked(b, j->root, j->path))
		r = -EINVAL; /* a second retry at once, or the daemon is ending */
	else if (job_table_locked(b, j, false) == 0)
		(void)job_table_locked(b, j, true);
	lock_drop(&b->lock);
	if (r == 0)
		r = retry_post(b, j);
	if (r < 0)
		job_unref(b, j);
	return r;
}
