/* broker_check.c - a document was written: look it up, record it durably */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/mono.h"
#include "base/str.h"
#include "core/response.h"
#include "jobs/check.h"
#include "jobs/deal.h"
#include "jobs/fallback.h"
#include "jobs/image.h"
#include "jobs/settle.h"

#include "base/banned.h"

enum { LOOK_INLINE_MAX = 4 }; /* samples that are looked up on the caller's thread */

/* one check on its way to the ledger */
struct check {
	struct ledger_post post;
	struct pool_task task;
	struct ledger_change change; /* the row */
	struct settle_record record; /* of a hit; its first change is the row, too */
	struct broker *b;
	struct job *job; /* NULL: a refusal */
	bool send, hit;
	struct broker_name name; /* owned strings */
	struct buf error;
	char *envelope;
	int code;
	broker_checked_fn *done;
	void *arg;
};

/* ---- the end of a check ---- */

static void check_free(struct check *c)
{
	free((void *)(uintptr_t)c->name.root);
	free((void *)(uintptr_t)c->name.path);
	free((void *)(uintptr_t)c->name.suffix);
	buf_done(&c->error);
	free(c->envelope);
	settle_record_done(&c->record);
	free(c);
}

static void tell(broker_checked_fn *done, void *arg, int code, int64_t id, bool same)
{
	done(arg, &(struct broker_accepted){ .code = code, .id = id, .same = same });
}

/* the name is the new request's now: whoever had it before leaves */
static void take_over(struct check *c, bool insert)
{
	struct broker *b = c->b;
	struct job *old;
	struct list waiters;

	list_init(&waiters);
	lock_take(&b->lock);
	old = job_by_name_locked(b, c->name.root, c->name.path);
	if (old) {
		job_ref(old);
		if (old->hold) /* never sent: it was no request of its own */
			ledger_count(b->o.ledger, LEDGER_C_REQUESTS, -1);
		job_detach_locked(b, old, &waiters);
	}
	if (insert && !b->stopping) {
		c->job->hold = !c->send;
		c->job->step = STEP_BUDGET;
		(void)job_table_locked(b, c->job, true); /* no memory: found by id, not by name */
	}
	lock_drop(&b->lock);
	if (old && old->stream)
		stream_fail(old->stream, ECANCELED);
	job_wake_all(b, &waiters);
	if (old) { /* detach took one for us, the lookup another */
		job_unref(b, old);
		job_unref(b, old);
	}
}

static void untable(struct broker *b, struct job *j)
{
	lock_take(&b->lock);
	job_untable_locked(b, j);
	lock_drop(&b->lock);
}

static void check_recorded(struct ledger_post *p, int result)
{
	struct check *c = CONTAINER_OF(p, struct check, post);
	struct broker *b = c->b;
	struct job *j = c->job;
	int64_t id = c->change.row.id;
	bool waiting = j && !c->hit && c->change.row.state == LEDGER_ACCEPTED;

	if (c->hit && result == 0)
		picks_recorded(b, &j->body.key, &j->picks);
	if (waiting && result == 0)
		fault_at("accepted");
	if (result < 0) {
		if (waiting)
			untable(b, j);
		tell(c->done, c->arg, -result, 0, false);
	} else {
		take_over(c, waiting);
		if (waiting && c->send)
			job_send(b, j);
		tell(c->done, c->arg, c->code, id, false);
	}
	job_unref(b, j);
	check_free(c);
}

static void check_post(struct check *c)
{
	struct ledger_row *row = &c->change.row;

	row->root = (char *)(uintptr_t)c->name.root;
	row->path = (char *)(uintptr_t)c->name.path;
	row->suffix = (char *)(uintptr_t)c->name.suffix;
	row->error = c->error.data;
	row->envelope = c->envelope;
	row->n = c->job ? c->job->terms.n : 1;
	c->change.op = LEDGER_OP_PUT;
	c->post.changes = &c->change;
	c->post.n_changes = 1;
	if (c->hit) {
		c->record.changes[0] = c->change;
		c->post.changes = c->record.changes;
		c->post.n_changes = c->record.n;
	}
	c->post.done = check_recorded;
	ledger_post(c->b->o.ledger, &c->post);
}

static struct check *check_new(struct broker *b, const struct broker_name *n,
			       broker_checked_fn *done, void *arg)
{
	struct check *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->b = b;
	c->done = done;
	c->arg = arg;
	c->error = BUF_INIT(1 << 16);
	c->name = (struct broker_name){ strdup(n->root), strdup(n->path), strdup(n->suffix) };
	if (c->name.root && c->name.path && c->name.suffix)
		return c;
	check_free(c);
	return NULL;
}

static void refuse(struct broker *b, const struct broker_name *n, const struct err *e,
		   broker_checked_fn *done, void *arg)
{
	struct check *c = check_new(b, n, done, arg);

	if (!c) {
		tell(done, arg, ENOMEM, 0, false);
		return;
	}
	(void)response_error_json(e, n->path, &c->error); /* cut short at worst */
	c->code = e->code;
	c->change.row.id = ledger_next_id(b->o.ledger);
	c->change.row.state = LEDGER_REFUSED;
	c->change.row.accepted_ns = c->change.row.final_ns = mono_real_ns();
	ledger_count(b->o.ledger, LEDGER_C_REFUSED, 1);
	check_post(c);
}

static void told_nobody(void *arg, const struct broker_accepted *r)
{
	(void)arg;
	(void)r;
}

void broker_check_refuse(struct broker *b, const char *root, const char *path, const char *suffix,
			 const struct err *e)
{
	refuse(b, &(struct broker_name){ root, path, suffix }, e, told_nobody, NULL);
}

/* ---- accepted: a hit or a miss ---- */

static void row_of_job(struct check *c, enum ledger_state state)
{
	struct job *j = c->job;
	struct ledger_row *row = &c->change.row;

	row->id = j->id;
	row->state = state;
	row->has_key = true;
	row->key = j->body.key;
	row->file_sha = j->body.file_sha;
	row->cache_mode = (int)j->terms.cache;
	row->accepted_ns = j->times.accepted_ns;
	if (c->hit)
		row->final_ns = mono_real_ns();
	c->envelope = terms_write(&j->terms);
	ledger_count(c->b->o.ledger, LEDGER_C_REQUESTS, 1);
}

static void check_fail(struct check *c, const struct err *e)
{
	c->job->state = BROKER_FAILED;
	(void)response_error_json(e, c->name.path, &c->error);
	row_of_job(c, LEDGER_FAILED);
	c->change.row.final_ns = mono_real_ns();
	c->change.request = c->job->body.canon;
	c->change.request_len = c->job->body.canon_len;
	ledger_count(c->b->o.ledger, LEDGER_C_FAILED, 1);
	check_post(c);
}

static void check_give_up(struct check *c, int r)
{
	tell(c->done, c->arg, -r, 0, false);
	job_unref(c->b, c->job);
	check_free(c);
}

/* all of its samples are stored, and its picks have them: accepted, handed out and done in one commit */
static void check_hit(struct check *c)
{
	struct job *j = c->job;
	int r = settle_record(j, LEDGER_OP_PUT, &c->record);

	if (r < 0) {
		check_give_up(c, r);
		return;
	}
	c->hit = true;
	j->state = BROKER_DONE;
	c->change = c->record.changes[0];
	row_of_job(c, LEDGER_DONE);
	settle_count_cached(c->b, j->picks.n, j->picks.tally.saved_usd, true);
	check_post(c);
}

static int room_for(struct check *c, struct err *e)
{
	int r = infer_ready(c->b->o.infer, c->job->terms.backend, e);

	if (r == -EHOSTDOWN && fallback_left(c->job))
		r = 0; /* the next model is asked instead */

	return r < 0 ? r : infer_room(c->b->o.infer, e);
}

/* undealt: which samples it gets is known when it is dealt with its equals */
static void check_miss(struct check *c, bool undealt)
{
	struct job *j = c->job;
	struct err e = { 0 };

	if (j->terms.cache == REQUEST_CACHE_ONLY && !undealt) {
		err_set(&e, ERR_CACHE_ONLY,
			"the answer is not in the cache and cache mode \"only\" never sends; ask "
			"with \"cache\":\"use\" to buy it");
		check_fail(c, &e);
		return;
	}
	if (j->terms.cache != REQUEST_CACHE_ONLY && room_for(c, &e) < 0) {
		struct broker *b = c->b;

		refuse(b, &c->name, &e, c->done, c->arg);
		job_unref(b, j);
		check_free(c);
		return;
	}
	lock_take(&c->b->lock);
	(void)job_table_locked(c->b, j, false); /* no memory: it runs, and is found in the ledger */
	if (j->terms.timeout_s > 0) {
		list_append(&c->b->deadlines, &j->in_deadlines);
		cond_signal(&c->b->tick);
	}
	lock_drop(&c->b->lock);
	row_of_job(c, LEDGER_ACCEPTED);
	c->change.request = j->body.canon;
	c->change.request_len = j->body.canon_len;
	check_post(c);
}

/* STORE_OK: it has all of its samples; STORE_MISS: some are to be bought, or are dealt with others */
static int check_picks(struct check *c, bool nowait)
{
	struct job *j = c->job;
	enum request_cache mode = j->terms.cache;
	int r = 0;

	if (mode != REQUEST_CACHE_USE && mode != REQUEST_CACHE_ONLY)
		return STORE_MISS;
	if (nowait && (j->terms.n > LOOK_INLINE_MAX || j->terms.ns))
		return STORE_AGAIN;
	if (!j->picks.v)
		r = j->terms.ns ? deal_recorded(c->b, j)
				: picks_deal_first(&j->picks, (unsigned)j->terms.n);
	if (r == -ENOENT)
		return STORE_MISS;
	return r < 0 ? r : flight_look_job(c->b, j, nowait);
}

static bool check_look(struct check *c, bool nowait)
{
	bool namespaced = c->job->terms.ns != NULL;
	int r = check_picks(c, nowait);

	if (r == STORE_AGAIN)
		return false;
	if (r == STORE_OK)
		check_hit(c);
	else if (r < 0) /* a full disk, most likely: refused, nothing is recorded */
		check_give_up(c, r);
	else
		check_miss(c, namespaced && !c->job->picks.v);
	return true;
}

static void check_look_run(struct pool_task *t)
{
	(void)check_look(CONTAINER_OF(t, struct check, task), false);
}

static struct job *job_of(struct checked *k, const struct broker_doc *d, int64_t id)
{
	struct job *j = job_new();

	if (!j)
		return NULL;
	j->id = id;
	j->root = strdup(d->root);
	j->path = strdup(d->path);
	j->suffix = strdup(d->suffix);
	j->terms = k->terms;
	j->body = k->body;
	k->terms = (struct job_terms){ 0 };
	k->body = (struct job_body){ 0 };
	j->times.accepted_ns = j->times.changed_ns = mono_real_ns();
	j->times.accepted_mono = mono_ns();
	return j;
}

/* the same request under the same name: 0 and its id when nothing needs to be done */
static int64_t same_as_before(struct broker *b, const struct broker_doc *d, const struct checked *k)
{
	struct ledger_row row;
	struct job *j;
	int64_t id = 0;
	bool again = k->terms.cache == REQUEST_CACHE_BYPASS ||
		     k->terms.cache == REQUEST_CACHE_REFRESH;

	lock_take(&b->lock);
	j = job_by_name_locked(b, d->root, d->path);
	if (j && key_equal(&j->body.asked, &k->body.key) &&
	    check_same_sampling(&j->terms, &k->terms) &&
	    key_equal(&j->body.file_sha, &k->body.file_sha) &&
	    (j->state == BROKER_QUEUED || j->state == BROKER_RUNNING))
		id = j->id;
	lock_drop(&b->lock);
	if (j || again || ledger_find(b->o.ledger, d->root, d->path, &row) < 0)
		return id;
	if (check_same_row(&row, k))
		id = row.id;
	ledger_row_done(&row);
	return id;
}

static void check_accept(struct broker *b, const struct broker_doc *d, struct checked *k,
			 broker_checked_fn *done, void *arg)
{
	int64_t same = same_as_before(b, d, k);
	struct check *c;

	if (same) {
		if (d->send)
			broker_send(b, same);
		tell(done, arg, 0, same, true);
		return;
	}
	c = check_new(b, &(struct broker_name){ d->root, d->path, d->suffix }, done, arg);
	if (c)
		c->job = job_of(k, d, ledger_next_id(b->o.ledger));
	if (!c || !c->job) {
		if (c)
			check_free(c);
		tell(done, arg, ENOMEM, 0, false);
		return;
	}
	c->send = d->send;
	if (check_look(c, true))
		return;
	c->task.run = check_look_run;
	if (pool_post(b->pool, &c->task) < 0)
		check_look_run(&c->task);
}

static void check_known(struct broker *b, const struct broker_doc *d, struct checked *k,
			broker_checked_fn *done, void *arg)
{
	const struct broker_name name = { d->root, d->path, d->suffix };
	struct err e = { 0 };

	if (check_request(b, &name, NULL, k, &e) < 0)
		refuse(b, &name, &e, done, arg);
	else
		check_accept(b, d, k, done, arg);
}

/* ---- images have to be read first, which the caller's thread must not wait for ---- */

struct late {
	struct pool_task task;
	struct broker *b;
	struct broker_doc doc; /* root, path, suffix are owned; there is no text */
	struct checked k;
	broker_checked_fn *done;
	void *arg;
};

static void late_free(struct late *l)
{
	free((void *)(uintptr_t)l->doc.root);
	free((void *)(uintptr_t)l->doc.path);
	free((void *)(uintptr_t)l->doc.suffix);
	check_done(&l->k);
	free(l);
}

static void late_run(struct pool_task *t)
{
	struct late *l = CONTAINER_OF(t, struct late, task);
	const struct broker_doc *d = &l->doc;
	struct err e = { 0 };

	if (broker_is_stopping(l->b))
		tell(l->done, l->arg, ESHUTDOWN, 0, false);
	else if (image_learn(l->b, d->root, d->path, l->k.request, &e) < 0)
		refuse(l->b, &(struct broker_name){ d->root, d->path, d->suffix }, &e, l->done,
		       l->arg);
	else
		check_known(l->b, d, &l->k, l->done, l->arg);
	late_free(l);
}

static void check_later(struct broker *b, const struct broker_doc *d, struct checked *k,
			broker_checked_fn *done, void *arg)
{
	struct late *l = calloc(1, sizeof(*l));

	if (!l) {
		tell(done, arg, ENOMEM, 0, false);
		return;
	}
	*l = (struct late){ .task.run = late_run, .b = b, .k = *k, .done = done, .arg = arg };
	*k = (struct checked){ 0 };
	l->doc = (struct broker_doc){ .root = strdup(d->root),
				      .path = strdup(d->path),
				      .suffix = strdup(d->suffix),
				      .send = d->send };
	if (!l->doc.root || !l->doc.path || !l->doc.suffix) {
		tell(done, arg, ENOMEM, 0, false);
		late_free(l);
	} else if (pool_post(b->pool, &l->task) < 0) {
		tell(done, arg, EAGAIN, 0, false); /* full or gone; the file stays as it is */
		late_free(l);
	}
}

void broker_check(struct broker *b, const struct broker_doc *d, broker_checked_fn *done, void *arg)
{
	struct request_source src = { d->text, d->len, d->form, d->defaults };
	struct checked k = { 0 };
	struct err e = { 0 };
	bool unfinished = false;
	int r;

	if (broker_is_stopping(b)) {
		tell(done, arg, ESHUTDOWN, 0, false);
		return;
	}
	r = request_parse(&src, &k.request, &unfinished, &e);
	if (r == 0) { /* only a file is looked at again */
		r = key_of(d->text, d->len, &k.body.file_sha);
		if (r < 0)
			err_sys(&e, -r, "the request could not be checked");
	}
	if (r < 0 && unfinished && (!d->final || d->len == 0))
		tell(done, arg, 0, 0, false);
	else if (r < 0)
		refuse(b, &(struct broker_name){ d->root, d->path, d->suffix }, &e, done, arg);
	else if (image_unknown(k.request))
		check_later(b, d, &k, done, arg);
	else
		check_known(b, d, &k, done, arg);
	check_done(&k);
}
