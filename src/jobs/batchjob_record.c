/* batchjob_record.c - a batch as it stands is in the ledger before its next step is begun */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/batchjob.h"

#include "base/banned.h"

struct recording {
	struct ledger_post post;
	struct ledger_change change;
	struct batchjob *x;
	char *text, *path;
	enum batchjob_state state;
};

static void recording_free(struct recording *c)
{
	free(c->text);
	free(c->path);
	free(c);
}

static void unrecorded(struct batchjob *x, int r)
{
	struct err e = { 0 };

	lock_take(&x->b->lock);
	x->at.dirty = true;
	lock_drop(&x->b->lock);
	(void)err_sys(&e, -r, "the state of a batch could not be recorded");
	batchjob_step_pause(x, &e);
}

static void recorded(struct ledger_post *p, int result)
{
	static const char *const points[BATCHJOB_STATES] = {
		[BATCHJOB_STAGED] = "batch-staged",
		[BATCHJOB_UPLOADED] = "batch-uploaded",
		[BATCHJOB_CREATED] = "batch-polled",
		[BATCHJOB_FETCHED] = "batch-fetched",
	};
	struct recording *c = CONTAINER_OF(p, struct recording, post);
	struct batchjob *x = c->x;

	if (result == -ESHUTDOWN) {
		recording_free(c);
		return;
	}
	if (result == 0 && points[c->state])
		fault_at(points[c->state]);
	if (result < 0)
		unrecorded(x, result);
	else
		batchjob_step_resume(x);
	recording_free(c);
}

static struct recording *recording_new(struct batchjob *x)
{
	struct recording *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->x = x;
	lock_take(&x->b->lock);
	c->state = x->r.state;
	c->text = batchjob_row_write(&x->r);
	x->at.dirty = false;
	lock_drop(&x->b->lock);
	c->path = str_printf("~%lld", (long long)x->id);
	if (c->text && c->path)
		return c;
	recording_free(c);
	return NULL;
}

static void post(struct recording *c)
{
	c->post.changes = &c->change;
	c->post.n_changes = 1;
	ledger_post(c->x->b->o.ledger, &c->post);
}

void batchjob_record(struct batchjob *x)
{
	struct recording *c = recording_new(x);

	if (!c) {
		unrecorded(x, -ENOMEM);
		return;
	}
	c->change.op = LEDGER_OP_PUT;
	c->change.row =
		(struct ledger_row){ .id = ledger_next_id(x->b->o.ledger),
				     .state = LEDGER_DONE, /* not to be sent after a mount */
				     .root = x->set->root,
				     .path = c->path,
				     .suffix = (char *)(uintptr_t) "",
				     .n = 1,
				     .envelope = c->text,
				     .accepted_ns = mono_real_ns(),
				     .final_ns = mono_real_ns() };
	c->post.done = recorded;
	post(c);
}

static void gone(struct ledger_post *p, int result)
{
	struct recording *c = CONTAINER_OF(p, struct recording, post);
	struct batchjob *x = c->x;

	recording_free(c);
	if (result == 0)
		batchjob_forget(x);
	else if (result != -ESHUTDOWN)
		unrecorded(x, result); /* and removed once more, which is fine */
}

void batchjob_record_leave(struct batchjob *x)
{
	struct recording *c = recording_new(x);

	if (!c) {
		unrecorded(x, -ENOMEM);
		return;
	}
	c->change.op = LEDGER_OP_DROP;
	c->change.root = x->set->root;
	c->change.path = c->path;
	c->post.done = gone;
	post(c);
}
