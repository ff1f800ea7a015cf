/* bulk_end.c - every line is final: the job's row is finished, and whoever waits is told */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "core/response.h"
#include "jobs/batchjob.h"
#include "jobs/bulk.h"

#include "base/banned.h"

struct ending {
	struct ledger_post post;
	struct ledger_change change;
	struct bulk *bulk;
	struct buf error;
	char *facts;
	enum broker_state state;
	struct err e;
};

static void ending_free(struct ending *x)
{
	bulk_unref(x->bulk);
	buf_done(&x->error);
	free(x->facts);
	free(x);
}

static void show(struct bulk *k, const struct ending *x)
{
	struct broker *b = k->b;
	struct list waiters;
	struct job *j;
	struct err *e = x->e.code ? malloc(sizeof(*e)) : NULL;

	if (e)
		*e = x->e;
	list_init(&waiters);
	lock_take(&b->lock);
	k->final = true;
	j = k->job ? job_ref(k->job) : NULL;
	if (j) {
		free(j->error);
		j->error = TAKE(e);
		job_set_state_locked(b, j, x->state);
		list_move_all(&waiters, &j->waiters);
		j->over = true;
		job_untable_locked(b, j);
	}
	bulk_changed_locked(k);
	lock_drop(&b->lock);
	free(e);
	job_wake_all(b, &waiters);
	broker_bulk_wake(k, BULK_STREAM);
	broker_bulk_wake(k, BULK_PROGRESS);
	job_unref(b, j);
	bulk_kick(k);
}

static void ended(struct ledger_post *p, int result)
{
	struct ending *x = CONTAINER_OF(p, struct ending, post);
	struct bulk *k = x->bulk;

	if (result == 0) {
		show(k, x);
	} else if (result != -ESHUTDOWN) {
		lock_take(&k->b->lock);
		k->pass.phase = BULK_END; /* again */
		lock_drop(&k->b->lock);
		bulk_pause(k, -result, "its end could not be recorded");
	}
	ending_free(x);
}

static double elapsed_s(const struct bulk *k)
{
	uint64_t now = mono_real_ns();

	return now > k->accepted_ns ? (double)(now - k->accepted_ns) / 1e9 : 0;
}

static void end(struct bulk *k, enum broker_state state, const struct err *e)
{
	struct ending *x = calloc(1, sizeof(*x));
	struct ledger_row *row;
	json_t *batches;

	if (!x) {
		lock_take(&k->b->lock);
		k->pass.phase = BULK_END;
		lock_drop(&k->b->lock);
		bulk_pause(k, ENOMEM, "its end");
		return;
	}
	x->state = state;
	x->error = BUF_INIT(1 << 16);
	row = &x->change.row;
	lock_take(&k->b->lock);
	bulk_ref_locked(k);
	x->bulk = k;
	batches = k->batch ? batchjob_show_locked(k->b, k->lines) : NULL;
	x->facts = bulk_count_facts(&k->counts, elapsed_s(k), k->pass.buys_again, batches);
	json_decref(batches);
	if (state != BROKER_DONE) {
		x->e = *e;
		(void)response_error_json(e, k->job ? k->job->path : NULL, &x->error);
	}
	lock_drop(&k->b->lock);
	x->change.op = LEDGER_OP_FINISH;
	row->id = k->id;
	row->state = state == BROKER_DONE	 ? LEDGER_DONE
		     : state == BROKER_CANCELLED ? LEDGER_CANCELLED
						 : LEDGER_FAILED;
	row->error = x->error.data;
	row->facts = x->facts;
	row->final_ns = mono_real_ns();
	row->text_bytes = k->pass.output.bytes;
	x->post.changes = &x->change;
	x->post.n_changes = 1;
	x->post.done = ended;
	ledger_post(k->b->o.ledger, &x->post);
}

void bulk_end(struct bulk *k)
{
	const struct bulk_counts *c = &k->counts;
	enum broker_state state = BROKER_FAILED;
	struct err e = k->pass.first;

	lock_take(&k->b->lock);
	if (k->cancel && c->cancelled)
		state = BROKER_CANCELLED;
	else if (c->done > c->failed + c->cancelled)
		state = BROKER_DONE;
	lock_drop(&k->b->lock);
	if (state == BROKER_CANCELLED)
		(void)err_set(
			&e, ERR_CANCELLED,
			"the job was cancelled; write \"retry\" to its ctl file to ask the lines "
			"again that had no answer yet");
	else if (!e.code)
		(void)err_set(&e, ERR_INTERNAL, "no line succeeded");
	end(k, state, &e);
}

void bulk_end_refuse(struct bulk *k, const struct err *e)
{
	lock_take(&k->b->lock);
	k->pass.phase = BULK_OVER;
	lock_drop(&k->b->lock);
	end(k, BROKER_FAILED, e);
}
