/* job.c - one request's life; the tables that find it; its end */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "core/response.h"
#include "jobs/bulk.h"
#include "jobs/check.h"
#include "jobs/flight.h"
#include "jobs/purchase.h"

#include "base/banned.h"

struct job *job_new(void)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->magic = JOB_MAGIC;
	j->refs = 1;
	j->state = BROKER_QUEUED;
	j->step = STEP_CHECK;
	list_init(&j->in_flight);
	list_init(&j->in_deadlines);
	list_init(&j->waiters);
	return j;
}

struct job *job_ref(struct job *j)
{
	assert(j->magic == JOB_MAGIC);
	j->refs++;
	return j;
}

static void job_free(struct broker *b, struct job *j)
{
	assert(j->magic == JOB_MAGIC && list_empty(&j->in_flight) && list_empty(&j->waiters));
	j->magic = 0;
	picks_done(b, &j->body.key, &j->picks);
	terms_done(&j->terms);
	json_decref(j->body.request);
	free(j->body.canon);
	json_decref(j->ask.images);
	json_decref(j->ask.calls);
	bulk_unref(j->bulk);
	(void)bulk_line_free(j->line); /* returns NULL */
	free(j->root);
	free(j->path);
	free(j->suffix);
	free(j->error);
	stream_unref(j->stream);
	free(j);
}

void job_unref(struct broker *b, struct job *j)
{
	unsigned left;

	if (!j)
		return;
	lock_take(&b->lock);
	assert(j->magic == JOB_MAGIC && j->refs > 0);
	left = --j->refs;
	lock_drop(&b->lock);
	if (!left)
		job_free(b, j);
}

void job_keep_calls(struct job *j, const json_t *calls)
{
	if (json_array_size(calls) && !j->ask.calls)
		j->ask.calls = json_deep_copy(calls);
}

/* ---- the tables ---- */

struct name_key {
	const char *root, *path;
};

static uint32_t name_hash(const char *root, const char *path)
{
	return map_hash(root, strlen(root)) * 31u + map_hash(path, strlen(path));
}

static bool name_equal(const struct map_link *l, const void *key)
{
	const struct job *j = CONTAINER_OF(l, const struct job, by_name);
	const struct name_key *k = key;

	return strcmp(j->path, k->path) == 0 && strcmp(j->root, k->root) == 0;
}

static bool id_equal(const struct map_link *l, const void *key)
{
	return CONTAINER_OF(l, const struct job, by_id)->id == *(const int64_t *)key;
}

struct job *job_by_id_locked(struct broker *b, int64_t id)
{
	struct map_link *l;

	assert(lock_held(&b->lock));
	l = map_find(&b->by_id, map_hash_u64((uint64_t)id), id_equal, &id);
	return l ? CONTAINER_OF(l, struct job, by_id) : NULL;
}

struct job *job_by_name_locked(struct broker *b, const char *root, const char *path)
{
	struct name_key k = { root, path };
	struct map_link *l;

	assert(lock_held(&b->lock));
	l = map_find(&b->by_name, name_hash(root, path), name_equal, &k);
	return l ? CONTAINER_OF(l, struct job, by_name) : NULL;
}

int job_table_locked(struct broker *b, struct job *j, bool by_name)
{
	int r;

	assert(lock_held(&b->lock));
	if (by_name) {
		r = map_add(&b->by_name, &j->by_name, name_hash(j->root, j->path));
		j->named = r == 0;
		return r;
	}
	r = map_add(&b->by_id, &j->by_id, map_hash_u64((uint64_t)j->id));
	if (r == 0)
		job_ref(j);
	return r;
}

bool job_table_again(struct broker *b, struct job *j)
{
	LOCK_SCOPE(&b->lock);
	if (job_by_id_locked(b, j->id) || job_by_name_locked(b, j->root, j->path))
		return false;
	if (job_table_locked(b, j, false) == 0)
		(void)job_table_locked(b, j, true);
	if (j->terms.timeout_s > 0)
		list_append(&b->deadlines, &j->in_deadlines);
	j->step = STEP_BUDGET;
	return true;
}

static void job_unname_locked(struct broker *b, struct job *j)
{
	if (j->named)
		map_del(&b->by_name, &j->by_name);
	j->named = false;
}

/* takes the job out of both tables; the table's reference goes with it */
void job_untable_locked(struct broker *b, struct job *j)
{
	assert(lock_held(&b->lock));
	job_unname_locked(b, j);
	if (job_by_id_locked(b, j->id) != j)
		return;
	map_del(&b->by_id, &j->by_id);
	list_del(&j->in_deadlines);
	assert(j->refs > 1); /* whoever untables holds one of its own */
	j->refs--;
}

void job_set_state_locked(struct broker *b, struct job *j, enum broker_state s)
{
	assert(lock_held(&b->lock));
	if (j->state == s)
		return;
	j->state = s;
	j->times.changed_ns = mono_real_ns();
}

void job_view_locked(const struct job *j, struct broker_view *out)
{
	*out = (struct broker_view){
		.id = j->id,
		.gen = j->gen,
		.state = j->state,
		.has_key = true,
		.has_request = true,
		.key = j->body.key,
		.n = (unsigned)j->terms.n,
		.accepted_ns = j->times.accepted_ns,
		.changed_ns = j->times.changed_ns,
		.code = j->error ? j->error->code : 0,
		.embedding = check_is_embedding(j->body.request),
	};
	if (j->bulk)
		bulk_show_view_locked(j, out);
}

struct stream *job_stream_locked(struct job *j)
{
	const struct buf *sofar;

	if (!j->stream) {
		j->stream = stream_new();
		sofar = purchase_sofar_locked(j);
		if (j->stream && sofar && sofar->len)
			(void)stream_append(j->stream, sofar->data,
					    sofar->len); /* too long: it fails itself */
	}
	return j->stream ? stream_ref(j->stream) : NULL;
}

/* Waiters that are being woken stay on a list until their turn, and broker_unwait takes them off under
 * the lock; so they are popped one by one under it. */
void job_wake_all(struct broker *b, struct list *waiters)
{
	for (;;) {
		struct broker_waiter *w;
		struct list *l;

		lock_take(&b->lock);
		l = list_pop(waiters);
		lock_drop(&b->lock);
		if (!l)
			return;
		w = LIST_ENTRY(l, struct broker_waiter, link);
		w->wake(w);
	}
}

/* ---- the end ---- */

void job_detach_locked(struct broker *b, struct job *j, struct list *out_waiters)
{
	assert(lock_held(&b->lock));
	flight_leave_locked(b, j, true);
	job_set_state_locked(b, j, BROKER_CANCELLED);
	j->step = STEP_CANCELLED;
	list_move_all(out_waiters, &j->waiters);
	job_ref(j);
	job_untable_locked(b, j);
}

struct ending {
	struct ledger_post post;
	struct ledger_change change;
	struct broker *b;
	struct job *job;
	struct buf error;
	char *facts;
};

static void ending_done(struct ledger_post *p, int result)
{
	struct ending *e = CONTAINER_OF(p, struct ending, post);
	struct broker *b = e->b;
	struct job *j = e->job;
	struct list waiters;
	struct stream *s;

	/* not recorded: the row stays accepted and is tried again after the next mount */
	list_init(&waiters);
	lock_take(&b->lock);
	job_set_state_locked(
		b, j, e->change.row.state == LEDGER_CANCELLED ? BROKER_CANCELLED : BROKER_FAILED);
	list_move_all(&waiters, &j->waiters);
	j->over = true;
	if (result == 0)
		job_untable_locked(b, j);
	s = j->stream ? stream_ref(j->stream) : NULL;
	lock_drop(&b->lock);
	if (s)
		stream_fail(s, j->error->code);
	stream_unref(s);
	job_wake_all(b, &waiters);
	buf_done(&e->error);
	free(e->facts);
	free(e);
	if (j->line)
		bulk_line_over(b, j, result);
	job_unref(b, j);
}

static void end_ask(struct job *j)
{
	if (j->stream)
		stream_fail(j->stream, j->error->code);
}

static bool end_begin(struct broker *b, struct job *j, enum broker_state state, const struct err *e)
{
	struct err *copy = malloc(sizeof(*copy));
	bool begun = false;

	lock_take(&b->lock);
	if (!j->ending && copy) {
		begun = j->ending = true;
		*copy = *e;
		TAKE(j->error);
		j->error = TAKE(copy);
		flight_leave_locked(b, j, false);
		j->times.attempts = e->attempts;
		j->step = state == BROKER_CANCELLED ? STEP_CANCELLED : STEP_FAILED;
		if (state == BROKER_CANCELLED || j->id == 0)
			job_set_state_locked(b, j, state);
		job_ref(j);
	}
	lock_drop(&b->lock);
	free(copy);
	return begun;
}

void job_end(struct broker *b, struct job *j, enum broker_state state, const struct err *e)
{
	struct ending *x;

	if (j->line && bulk_line_postpone(b, j, e))
		return;
	if (!end_begin(b, j, state, e))
		return;
	ledger_count(b->o.ledger, state == BROKER_CANCELLED ? LEDGER_C_CANCELLED : LEDGER_C_FAILED,
		     1);
	x = j->id ? calloc(1, sizeof(*x)) : NULL;
	if (!x) { /* an ask, or no memory: told, and for a named one tried again after the next mount */
		end_ask(j);
		if (j->line)
			bulk_line_over(b, j, -ENOMEM);
		job_unref(b, j);
		return;
	}
	x->b = b;
	x->job = j;
	x->error = BUF_INIT(1 << 16);
	(void)response_error_json(e,
				  j->line		? j->line->request_id
				  : j->terms.request_id ? j->terms.request_id
							: j->path,
				  &x->error);
	x->facts = terms_facts(j, e->attempts);
	x->change.op = LEDGER_OP_FINISH;
	x->change.row.id = j->id;
	x->change.row.state = state == BROKER_CANCELLED ? LEDGER_CANCELLED : LEDGER_FAILED;
	x->change.row.error = x->error.data;
	x->change.row.facts = x->facts;
	x->change.row.final_ns = mono_real_ns();
	if (j->line)
		bulk_line_row(j, &x->change);
	x->post.changes = &x->change;
	x->post.n_changes = 1;
	x->post.done = ending_done;
	ledger_post(b->o.ledger, &x->post);
}

void job_send(struct broker *b, struct job *j)
{
	bool go;

	if (j->bulk) {
		bulk_start(j->bulk);
		return;
	}
	lock_take(&b->lock);
	j->hold = false;
	go = !b->stopping && !j->flight && !j->ending && j->state == BROKER_QUEUED &&
	     (j->step == STEP_BUDGET || j->step == STEP_CHECK);
	if (go)
		j->step = STEP_LOOKUP;
	lock_drop(&b->lock);
	if (go)
		flight_join(b, j);
}
