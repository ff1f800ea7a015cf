/* batchjob_land.c - what a batch brought: a row for each of its samples, each in one posting with its object */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "core/canon.h"
#include "core/response.h"
#include "jobs/batchjob.h"
#include "jobs/keep.h"
#include "jobs/land.h"
#include "jobs/settle.h"
#include "jobs/sweep.h"

#include "base/banned.h"

#define CALL_ID_MAX (KEY_HEX / 4 + 32)

/* ---- which sample is line number so and so? ---- */

static int read_offsets(struct batchjob *x)
{
	uint64_t n = x->r.job_at.requests, *v = calloc(n + 1, sizeof(*v)), i = 0;
	struct bulk_scan scan = { .fd = -1 };
	struct bulk_text t;
	int r = v ? 0 : -ENOMEM;

	bulk_scan_begin(&scan, x->in.map, OBJECT_MAX);
	while (r == 0 && i < n && (r = bulk_scan_next(&scan, &t)) > 0) {
		v[i++] = t.off;
		v[i] = t.off + t.n;
		r = 0;
	}
	bulk_scan_done(&scan);
	if (r == 0 && i < n)
		r = -EBADMSG;
	if (r == 0)
		x->in.offsets = TAKE(v);
	free(v);
	return r;
}

int batchjob_land_open(struct batchjob *x)
{
	const struct backend_config *c = infer_find(x->b->o.infer, x->r.backend);
	int r = 0;

	if (x->in.map < 0) {
		x->in.map = batchjob_file(x, "map", O_RDONLY);
		r = x->in.map < 0 ? x->in.map : read_offsets(x);
	}
	x->in.reader = batch_reader_free(x->in.reader);
	if (r == 0 && c) {
		x->in.reader = batch_reader_new(c, &x->r.job_at);
		r = x->in.reader ? 0 : -ENOMEM;
	}
	if (r < 0)
		batchjob_land_close(x);
	return r;
}

void batchjob_land_close(struct batchjob *x)
{
	x->in.reader = batch_reader_free(x->in.reader);
	if (x->in.map >= 0)
		(void)close(x->in.map); /* read only */
	x->in.map = -1;
	free(TAKE(x->in.offsets));
}

/* text: what it points into */
static int sample_at(const struct batchjob *x, uint64_t index, struct buf *text,
		     struct batchjob_sample *out)
{
	uint64_t from, end;
	int r;

	if (index >= x->r.job_at.requests || !x->in.offsets)
		return -ENOENT;
	from = x->in.offsets[index];
	end = x->in.offsets[index + 1];
	r = bulk_scan_one(x->in.map, from, (size_t)(end - from), text);
	while (r == 0 && text->len && text->data[text->len - 1] == '\n')
		text->len--;
	return r < 0 ? r : batchjob_row_sample_read(text->data, text->len, out);
}

/* ---- a row ---- */

struct landed {
	struct ledger_post post;
	struct ledger_change change;
	struct ledger_handout handout;
	struct batchjob *x;
	char *path, *envelope, *facts;
	struct buf error;
	bool pinned;
};

static void landed_free(struct landed *d)
{
	if (d->pinned)
		sweep_unpin(d->x->b, &d->handout.key);
	free(d->path);
	free(d->envelope);
	free(d->facts);
	buf_done(&d->error);
	free(d);
}

static void landed_done(struct ledger_post *p, int result)
{
	struct landed *d = CONTAINER_OF(p, struct landed, post);
	struct batchjob *x = d->x;
	bool resume;

	landed_free(d);
	lock_take(&x->b->lock);
	if (result < 0)
		x->in.failed = result;
	resume = --x->in.pending == 0 && x->in.waiting;
	if (resume)
		x->in.waiting = false;
	lock_drop(&x->b->lock);
	if (resume)
		batchjob_step_resume(x);
}

int batchjob_land_settled(struct batchjob *x)
{
	int r;

	LOCK_SCOPE(&x->b->lock);
	if (x->in.pending) {
		x->in.waiting = true;
		return -EAGAIN;
	}
	r = x->in.failed;
	x->in.failed = 0;
	return r;
}

static struct landed *landed_new(struct batchjob *x, const struct batchjob_sample *s)
{
	struct landed *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->x = x;
	d->error = BUF_INIT(1 << 16);
	d->path = strdup(s->path);
	d->change.op = LEDGER_OP_PUT;
	d->change.row = (struct ledger_row){ .id = ledger_next_id(x->b->o.ledger),
					     .root = x->set->root,
					     .path = d->path,
					     .suffix = (char *)(uintptr_t) "",
					     .n = 1,
					     .cache_mode = (int)s->mode,
					     .accepted_ns = mono_real_ns(),
					     .final_ns = mono_real_ns() };
	if (d->path)
		return d;
	landed_free(d);
	return NULL;
}

static void post(struct landed *d)
{
	struct batchjob *x = d->x;

	d->change.row.envelope = d->envelope;
	d->change.row.facts = d->facts;
	d->post.changes = &d->change;
	d->post.n_changes = 1;
	d->post.done = landed_done;
	lock_take(&x->b->lock);
	x->in.pending++;
	lock_drop(&x->b->lock);
	ledger_post(x->b->o.ledger, &d->post);
}

static void not_landed(struct batchjob *x, int r)
{
	LOCK_SCOPE(&x->b->lock);
	x->in.failed = r;
}

/* who it is from, and who pays for it */
static char *envelope_of(const struct batchjob *x, const struct batchjob_sample *s, unsigned tries)
{
	json_t *o = json_pack("{s:I, s:I, s:i, s:s}", "job", (json_int_t)x->r.job, "batch",
			      (json_int_t)x->id, "tries", (int)tries, "name", s->name);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return text;
}

unsigned batchjob_land_tries(const struct ledger_row *row)
{
	return row->state == LEDGER_CANCELLED ? (unsigned)bulk_line_member(row, "tries") : 0;
}

/* what there is of it: 1 this batch's own result, 0; tries: of earlier batches of the same content */
static int look(const struct batchjob *x, const struct batchjob_sample *s, unsigned *tries)
{
	struct ledger_row row;
	int own;

	*tries = 0;
	if (ledger_find(x->b->o.ledger, x->set->root, s->path, &row) < 0)
		return 0;
	own = bulk_line_member(&row, "batch") == x->id;
	if (bulk_line_member(&row, "job") == x->r.job)
		*tries = batchjob_land_tries(&row);
	ledger_row_done(&row);
	return own;
}

static void put_error(struct batchjob *x, const struct batchjob_sample *s, const struct err *e,
		      bool final)
{
	struct landed *d = landed_new(x, s);
	unsigned tries = 0;

	if (d && look(x, s, &tries)) {
		landed_free(d);
		return;
	}
	if (d)
		d->envelope = envelope_of(x, s, tries + 1);
	if (!d || !d->envelope || response_error_json(e, NULL, &d->error) < 0) {
		if (d)
			landed_free(d);
		not_landed(x, -ENOMEM);
		return;
	}
	d->change.row.state = final ? LEDGER_FAILED : LEDGER_CANCELLED;
	d->change.row.error = d->error.data;
	post(d);
}

/* ---- an answer ---- */

/* what keeps an answer knows it as a flight's */
static int flight_of(const struct batchjob *x, const struct batchjob_sample *s, struct flight *out)
{
	struct err e;
	bool unfinished;

	*out = (struct flight){ .b = x->b,
				.key = s->key,
				.mode = s->mode,
				.canon = (char *)(uintptr_t)s->canon,
				.canon_len = s->canon_len };
	list_init(&out->jobs);
	return canon_parse(s->canon, s->canon_len, &out->request, &unfinished, &e);
}

static bool may_store(struct flight *f, const struct batchjob_sample *s, const struct answer *a)
{
	if (keep_may_store(f, a))
		return true;
	return s->user_max_tokens && f->mode != REQUEST_CACHE_BYPASS &&
	       strcmp(a->finish_reason, "length") == 0;
}

static void put_kept(struct batchjob *x, const struct batchjob_sample *s, struct keep *k,
		     struct answer *a)
{
	struct landed *d = landed_new(x, s);

	if (d) {
		d->handout = (struct ledger_handout){ .request = d->change.row.id,
						      .key = s->key,
						      .index = s->index,
						      .variant = k->id.variant };
		d->pinned = true; /* what keep_answer took */
		d->envelope = envelope_of(x, s, 0);
		d->facts = strdup(k->stored ? "{\"kept\":true}" : "{}");
	}
	if (!d || !d->envelope || !d->facts) {
		if (d)
			landed_free(d);
		else
			sweep_unpin(x->b, &s->key);
		not_landed(x, -ENOMEM);
		return;
	}
	d->change.row.state = LEDGER_DONE;
	d->change.row.has_key = true;
	d->change.row.key = s->key;
	d->change.handouts = &d->handout;
	d->change.n_handouts = 1;
	settle_count_call(x->b, &a, 1, 1, 0);
	post(d);
}

static void put_answer(struct batchjob *x, const struct batchjob_sample *s, struct answer *a)
{
	char call_id[CALL_ID_MAX], hex[KEY_HEX + 1];
	struct flight f = { 0 };
	struct keep k = { .answer = a,
			  .index = s->index,
			  .call_id = call_id,
			  .ttl_s = s->ttl_s > 0 ? (uint64_t)s->ttl_s : 0 };
	struct err e = { 0 };
	unsigned tries;
	int r;

	if (look(x, s, &tries))
		return; /* a crash came between it and the end of the download */
	r = flight_of(x, s, &f);
	key_hex(&s->key, hex);
	(void)snprintf(call_id, sizeof(call_id), "%.16s-%llx", hex,
		       (unsigned long long)mono_real_ns());
	if (r == 0 && land_embedding(&f, a, &e) < 0) {
		put_error(x, s, &e, true);
	} else if (r == 0) {
		a->cost_usd = land_batch_cost(&f, a);
		a->call_samples = 1;
		k.may_store = may_store(&f, s, a);
		r = keep_answer(&f, &k);
		if (r == 0)
			put_kept(x, s, &k, a);
		keep_done(&k);
	}
	if (r < 0)
		not_landed(x, r);
	json_decref(f.request);
}

/* ---- lines ---- */

static void put_none(struct batchjob *x, const struct batchjob_sample *s)
{
	struct err e = { 0 };

	if (x->r.ended == BATCH_EXPIRED)
		(void)err_set(&e, ERR_TIMEOUT,
			      "the batch %s expired at %s before this request was answered; write "
			      "\"retry\" to the job's ctl file to ask again",
			      x->r.job_at.id, x->r.backend);
	else if (x->r.ended == BATCH_FAILED)
		(void)err_set(
			&e, ERR_PROVIDER,
			"the batch %s failed at %s: %s; write \"retry\" to the job's ctl file "
			"to ask again",
			x->r.job_at.id, x->r.backend, x->r.why[0] ? x->r.why : "no reason given");
	else
		(void)err_set(&e, ERR_CANCELLED,
			      "the batch %s ended at %s without an answer to this request; write "
			      "\"retry\" to the job's ctl file to ask again",
			      x->r.job_at.id, x->r.backend);
	put_error(x, s, &e, false);
}

static void land(struct batchjob *x, struct batch_line *line, const struct batchjob_sample *s)
{
	switch (line->kind) {
	case BATCH_LINE_ANSWER:
		put_answer(x, s, line->take_answer);
		break;
	case BATCH_LINE_ERROR:
		put_error(x, s, &line->err, !line->retryable);
		break;
	default:
		put_error(x, s, &line->err, false);
		break;
	}
}

void batchjob_land_line(struct batchjob *x, const char *text, size_t n)
{
	AUTO_BUF struct buf map = BUF_INIT(OBJECT_MAX);
	struct batch_line line = { 0 };
	struct batchjob_sample s = { 0 };
	struct err e = { 0 };
	int r = x->in.reader ? batch_reader_line(x->in.reader, text, n, &line, &e) : -ENXIO;

	if (r == -EEXIST || r == -ENOENT)
		return;
	if (r < 0) {
		if (r != -EBADMSG)
			not_landed(x, r);
		else
			log_msg(LOG_WARNING, "a line of the results of a batch is passed over: %s",
				e.message);
		return;
	}
	r = sample_at(x, line.index, &map, &s);
	if (r == 0)
		land(x, &line, &s);
	else
		not_landed(x, r);
	free(s.name);
	answer_free(line.take_answer);
}

void batchjob_land_rest(struct batchjob *x, const struct err *e)
{
	for (uint64_t i = 0; i < x->r.job_at.requests; i++) {
		AUTO_BUF struct buf map = BUF_INIT(OBJECT_MAX);
		struct batchjob_sample s = { 0 };

		if (sample_at(x, i, &map, &s) < 0)
			continue; /* it is missing again */
		if (e)
			put_error(x, &s, e, true);
		else
			put_none(x, &s);
		free(s.name);
	}
}
