/* bulk_drop.c - the job is gone: the rows of its lines go, then its directory */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "jobs/bulk.h"

#include "base/banned.h"

struct dropping {
	struct list link; /* on bulks.drops until it begins */
	struct broker *b;
	int64_t lines;
	char *root;
	struct pool_task task;
	struct ledger_post post;
	struct ledger_change change;
};

static void dropping_free(struct dropping *d)
{
	free(d->root);
	free(d);
}

/* ---- the directory, when the rows are gone: till then the next mount finds it and begins again ---- */

static void remove_run(struct pool_task *t)
{
	struct dropping *d = CONTAINER_OF(t, struct dropping, task);

	bulk_spool_remove(d->b, d->lines);
	dropping_free(d);
}

static void rows_gone(struct ledger_post *p, int result)
{
	struct dropping *d = CONTAINER_OF(p, struct dropping, post);

	d->task.run = remove_run;
	if (result < 0 || pool_post(d->b->pool, &d->task) < 0)
		dropping_free(d);
}

static void rows_run(struct pool_task *t)
{
	struct dropping *d = CONTAINER_OF(t, struct dropping, task);

	d->change.op = LEDGER_OP_DROP_ROOT;
	d->change.root = d->root;
	d->post.changes = &d->change;
	d->post.n_changes = 1;
	d->post.done = rows_gone;
	ledger_post(d->b->o.ledger, &d->post);
}

/* ---- when nobody can record a row of it any more ---- */

static bool in_use_locked(struct broker *b, int64_t lines)
{
	LIST_EACH(l, &b->bulks.live)
		if (LIST_ENTRY(l, struct bulk, in_live)->lines == lines)
			return true;
	return false;
}

void bulk_drop_due(struct broker *b)
{
	for (;;) {
		struct dropping *d = NULL;

		lock_take(&b->lock);
		LIST_EACH(l, &b->bulks.drops) {
			d = LIST_ENTRY(l, struct dropping, link);
			if (!in_use_locked(b, d->lines))
				break;
			d = NULL;
		}
		if (d)
			list_del(&d->link);
		lock_drop(&b->lock);
		if (!d)
			return;
		d->task.run = rows_run;
		if (pool_post(b->pool, &d->task) < 0)
			dropping_free(d); /* ending: the next mount finds the directory */
	}
}

void bulk_drop(struct broker *b, int64_t lines)
{
	struct dropping *d = calloc(1, sizeof(*d));

	if (!d)
		return; /* found by the next mount */
	d->b = b;
	d->lines = lines;
	d->root = bulk_root(lines);
	if (!d->root) {
		dropping_free(d);
		return;
	}
	lock_take(&b->lock);
	list_append(&b->bulks.drops, &d->link);
	lock_drop(&b->lock);
	bulk_drop_due(b);
}

void bulk_drop_free(struct broker *b)
{
	struct list *l;

	while ((l = list_pop(&b->bulks.drops)))
		dropping_free(LIST_ENTRY(l, struct dropping, link));
}
