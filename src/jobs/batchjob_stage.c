/* batchjob_stage.c - samples become lines of the batches that are gathered, and those are handed in */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/auto.h"
#include "jobs/batchjob_stage.h"
#include "jobs/check.h"
#include "jobs/image.h"

#include "base/banned.h"

static int new_tag(char out[BATCH_TAG_MAX])
{
	uint64_t v[2];

	if (getrandom(v, sizeof(v), 0) != (ssize_t)sizeof(v))
		return -EAGAIN;
	(void)snprintf(out, BATCH_TAG_MAX, "%016llx%016llx", (unsigned long long)v[0],
		       (unsigned long long)v[1]);
	return 0;
}

static int open_files(struct batchjob *x)
{
	int lines = batchjob_file(x, "lines", O_WRONLY | O_CREAT | O_TRUNC);
	int map = lines < 0 ? lines : batchjob_file(x, "map", O_WRONLY | O_CREAT | O_TRUNC);

	if (lines >= 0)
		bulk_spool_out(&x->gather.lines, lines);
	if (map >= 0)
		bulk_spool_out(&x->gather.map, map);
	return map < 0 ? map : 0;
}

static struct batchjob *gather_new(struct bulk *k, const char *backend, const struct batch_group *g,
				   int *out_r)
{
	struct batchjob *x = batchjob_new(k->b, k->batch->set, ledger_next_id(k->b->o.ledger));

	*out_r = x ? 0 : -ENOMEM;
	if (!x)
		return NULL;
	x->r.job = k->id;
	x->r.backend = strdup(backend);
	x->r.job_at.group = *g;
	*out_r = x->r.backend ? new_tag(x->r.job_at.tag) : -ENOMEM;
	if (*out_r == 0)
		*out_r = open_files(x);
	if (*out_r == 0) {
		list_append(&k->batch->gathering, &x->gather.link);
		return x;
	}
	batchjob_forget(x);
	return NULL;
}

static int sync_out(struct bulk_out *o)
{
	int r = bulk_spool_flush(o);

	if (r == 0 && fdatasync(o->fd) < 0)
		r = -errno;
	return r;
}

/* what it says is on disk before its row is */
int batchjob_stage_hand_in(struct batchjob *x)
{
	int r = sync_out(&x->gather.lines);

	if (r == 0)
		r = sync_out(&x->gather.map);
	if (r < 0)
		return r;
	(void)bulk_spool_end(&x->gather.lines); /* it is flushed */
	(void)bulk_spool_end(&x->gather.map);
	list_del(&x->gather.link);
	lock_take(&x->b->lock);
	x->r.state = BATCHJOB_STAGED;
	x->at.dirty = true;
	lock_drop(&x->b->lock);
	batchjob_step_resume(x);
	return 0;
}

static bool same_group(const struct batch_group *a, const struct batch_group *b)
{
	return strcmp(a->endpoint, b->endpoint) == 0 && strcmp(a->model, b->model) == 0 &&
	       strcmp(a->header, b->header) == 0;
}

static struct batchjob *gathering_of(struct bulk *k, const char *backend,
				     const struct batch_group *g)
{
	LIST_EACH(l, &k->batch->gathering) {
		struct batchjob *x = LIST_ENTRY(l, struct batchjob, gather.link);

		if (strcmp(x->r.backend, backend) == 0 && same_group(&x->r.job_at.group, g))
			return x;
	}
	return NULL;
}

/* a draft on its way into a file */
struct drafted {
	const struct backend_config *config;
	struct batch_limits limits;
	struct batch_draft draft;
};

static int append(struct batchjob *x, const struct batchjob_want *w, const struct buf *line,
		  uint64_t inputs)
{
	AUTO_BUF struct buf map = BUF_INIT(OBJECT_MAX);
	int r = batchjob_row_sample_write(&w->s, &map);

	if (r == 0)
		r = bulk_spool_add(&x->gather.lines, line);
	if (r == 0)
		r = bulk_spool_add(&x->gather.map, &map);
	if (r < 0)
		return r;
	lock_take(&x->b->lock);
	r = bulk_set_add(&x->staged, bulk_set_hash(w->s.path, strlen(w->s.path)));
	x->r.job_at.requests++;
	x->gather.inputs += inputs;
	lock_drop(&x->b->lock);
	return r < 0 ? r : 0;
}

static bool has_room(const struct batchjob *x, const struct drafted *d, size_t n)
{
	const struct batch_limits *l = &d->limits;

	return x->r.job_at.requests < l->requests && x->gather.lines.bytes + n <= l->bytes &&
	       (!l->inputs || x->gather.inputs + d->draft.inputs <= l->inputs);
}

static int stage_one(struct batchjob_wants *w, const struct drafted *d,
		     const struct batchjob_want *x)
{
	const char *backend = w->c->terms.backend;
	struct batchjob *to = gathering_of(w->k, backend, &d->draft.group);
	int r = 0;

	for (int i = 0; i < 2; i++) {
		AUTO_BUF struct buf line = BUF_INIT(BATCH_LINE_MAX);

		if (!to)
			to = gather_new(w->k, backend, &d->draft.group, &r);
		if (!to)
			return r;
		r = batch_draft_line(d->config, &d->draft, to->r.job_at.tag, to->r.job_at.requests,
				     &line);
		if (r < 0)
			return r;
		if (!to->r.job_at.requests || has_room(to, d, line.len))
			return append(to, x, &line, d->draft.inputs);
		r = batchjob_stage_hand_in(to); /* full */
		if (r < 0)
			return r;
		to = NULL;
	}
	return -EIO;
}

static int read_images(struct batchjob_wants *w, json_t **out)
{
	struct broker *b = w->k->b;
	struct image_line line = { .text = w->text->p,
				   .n = w->text->n,
				   .images = w->c->terms.images };
	char *root, *path;
	int r = -ENOMEM;

	lock_take(&b->lock);
	line.root = root = strdup(w->k->job->root);
	line.path = path = strdup(w->k->job->path);
	lock_drop(&b->lock);
	if (root && path)
		r = image_of_line(b, &line, out, &w->e);
	free(root);
	free(path);
	return r;
}

/* -errno; with w->e it is the line's */
static int draft(struct batchjob_wants *w, struct drafted *d)
{
	json_t *images = NULL;
	int r = w->c->terms.images ? read_images(w, &images) : 0;

	if (r == 0)
		r = batch_draft_make(d->config, w->c->body.request, images, &d->draft, &w->e);
	json_decref(images);
	return r;
}

int batchjob_stage(struct batchjob_wants *w)
{
	struct drafted d = { .config = infer_find(w->k->b->o.infer, w->c->terms.backend) };
	int r;

	if (!d.config)
		return err_set(&w->e, ERR_NOT_FOUND, "there is no backend \"%s\"",
			       w->c->terms.backend) < 0;
	r = infer_ready(w->k->b->o.infer, w->c->terms.backend, &w->e);
	if (r < 0 && r != -EHOSTDOWN)
		return 1;
	w->e = (struct err){ 0 };
	if (batch_can(d.config, &d.limits, &w->e) < 0)
		return 1;
	r = draft(w, &d);
	if (r < 0)
		return w->e.code ? 1 : r;
	for (unsigned i = 0; i < w->n && r == 0; i++)
		if (w->v[i].how == BATCHJOB_IS_MISSING)
			r = stage_one(w, &d, &w->v[i]);
	batch_draft_done(&d.draft);
	return r;
}

int batchjob_stage_usable(struct broker *b, const struct checked *c, struct err *e)
{
	const struct backend_config *config = infer_find(b->o.infer, c->terms.backend);
	struct batch_limits limits;

	return config ? batch_can(config, &limits, e) : 0;
}
