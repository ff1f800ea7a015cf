/* broker.c - the tables, who waits for what, start and stop */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "jobs/batchjob.h"
#include "jobs/bulk.h"
#include "jobs/flight.h"
#include "jobs/gather.h"
#include "jobs/inside.h"
#include "jobs/sweep.h"

#include "base/banned.h"

static void view_row(const struct ledger_row *row, struct broker_view *out)
{
	static const enum broker_state states[] = {
		[LEDGER_REFUSED] = BROKER_REFUSED,     [LEDGER_ACCEPTED] = BROKER_QUEUED,
		[LEDGER_DONE] = BROKER_DONE,	       [LEDGER_FAILED] = BROKER_FAILED,
		[LEDGER_CANCELLED] = BROKER_CANCELLED, [LEDGER_DISMISSED] = BROKER_DISMISSED,
	};
	*out = (struct broker_view){
		.id = row->id,
		.gen = row->gen,
		.state = states[row->state],
		.has_key = row->has_key,
		.has_request = row->has_key,
		.key = row->key,
		.n = (unsigned)row->n,
		.accepted_ns = row->accepted_ns,
		.changed_ns = row->final_ns ? row->final_ns : row->accepted_ns,
		.text_bytes = row->text_bytes,
		.has_reasoning = row->facts && strstr(row->facts, "\"reasoning\":true"),
		.has_tool_calls = row->facts && strstr(row->facts, "\"tool_calls\":true"),
		.embedding = row->facts && strstr(row->facts, "\"embedding\":true"),
	};
	if (bulk_is(row->suffix)) {
		out->bulk = true;
		out->n = 0;
		out->bulk_failed = row->facts ? bulk_count_failed(row->facts) : 0;
	}
	if (row->facts) { /* our own text, too: the model of a fallback has its own key */
		const char *key = strstr(row->facts, "\"key\":\"");
		char hex[KEY_HEX + 1];

		if (key) { /* cut behind its digits; not ours after all: the first one's stays */
			(void)str_copy(hex, sizeof(hex), key + 7);
			(void)key_parse(hex, &out->key);
		}
	}
	if (row->error) { /* our own text: {"errno":"EINVAL","code":22,... */
		const char *code = strstr(row->error, "\"code\":");

		out->code = code ? (int)strtol(code + 7, NULL, 10) : EIO;
	}
}

int broker_get(struct broker *b, int64_t id, struct broker_view *out)
{
	struct ledger_row row = { 0 };
	struct ledger_handout *h = NULL;
	size_t n;
	struct job *j;
	int r;

	lock_take(&b->lock);
	j = job_by_id_locked(b, id);
	if (j)
		job_view_locked(j, out);
	lock_drop(&b->lock);
	if (j)
		return 0;
	r = ledger_get(b->o.ledger, id, &row);
	if (r == -ENOENT)
		r = broker_hold_row(b, id, &row, &h, &n);
	if (r < 0)
		return r;
	view_row(&row, out);
	ledger_row_done(&row);
	free(h);
	return 0;
}

static int add_name(struct broker *b, int64_t id, bool root, struct buf *out)
{
	struct ledger_row row = { 0 };
	struct ledger_handout *h = NULL;
	size_t n;
	struct job *j;
	int r = -ENOENT;

	lock_take(&b->lock);
	j = job_by_id_locked(b, id);
	if (j)
		r = buf_adds(out, root ? j->root : j->path);
	lock_drop(&b->lock);
	if (j)
		return r;
	r = broker_hold_row(b, id, &row, &h, &n);
	if (r == 0)
		r = buf_adds(out, root ? row.root : row.path);
	ledger_row_done(&row);
	free(h);
	return r;
}

int broker_path(struct broker *b, int64_t id, struct buf *out)
{
	return add_name(b, id, false, out);
}

int broker_root(struct broker *b, int64_t id, struct buf *out)
{
	return add_name(b, id, true, out);
}

int broker_find(struct broker *b, const char *root, const char *path, struct broker_view *out)
{
	struct ledger_row row;
	struct job *j;
	int r;

	lock_take(&b->lock);
	j = job_by_name_locked(b, root, path);
	if (j)
		job_view_locked(j, out);
	lock_drop(&b->lock);
	if (j)
		return 0;
	r = ledger_find(b->o.ledger, root, path, &row);
	if (r < 0)
		return r;
	view_row(&row, out);
	ledger_row_done(&row);
	if (out->state != BROKER_QUEUED)
		return 0;
	lock_take(&b->lock); /* recorded, and not yet under its name in memory */
	j = job_by_id_locked(b, out->id);
	if (j)
		job_view_locked(j, out);
	lock_drop(&b->lock);
	return 0;
}

int broker_wait(struct broker *b, int64_t id, struct broker_waiter *w)
{
	struct broker_view v;
	bool stopping, over = false;
	struct job *j;

	list_init(&w->link);
	w->id = id;
	lock_take(&b->lock);
	stopping = b->stopping;
	j = stopping ? NULL : job_by_id_locked(b, id);
	if (j)
		over = j->over;
	if (j && !over)
		list_append(&j->waiters, &w->link); /* from here on w may be woken and gone */
	lock_drop(&b->lock);
	if (j)
		return over ? -EALREADY : 0;
	if (stopping)
		return -ESHUTDOWN;
	return broker_get(b, id, &v) < 0 ? -ENOENT : -EALREADY;
}

bool broker_unwait(struct broker *b, struct broker_waiter *w)
{
	bool parked;

	LOCK_SCOPE(&b->lock);
	parked = !list_empty(&w->link);
	list_del(&w->link);
	return parked;
}

struct stream *broker_stream(struct broker *b, int64_t id)
{
	struct job *j;

	LOCK_SCOPE(&b->lock);
	j = job_by_id_locked(b, id);
	if (!j || (broker_is_final(j->state) && !j->stream))
		return NULL;
	/* its call is over and is being recorded: nothing would fill a stream that begins now */
	if (!j->stream && ((!j->flight && j->step >= STEP_STORE) || picks_full(&j->picks)))
		return NULL;
	return job_stream_locked(j);
}

void broker_send(struct broker *b, int64_t id)
{
	struct job *j;

	lock_take(&b->lock);
	j = job_by_id_locked(b, id);
	if (j)
		job_ref(j);
	lock_drop(&b->lock);
	if (j) {
		fault_at("release");
		job_send(b, j);
	}
	job_unref(b, j);
}

int broker_post(struct broker *b, struct pool_task *t)
{
	return pool_post(b->pool, t);
}

struct store *broker_store(struct broker *b)
{
	return b->o.store;
}

/* ---- start and stop ---- */

void broker_set_files(struct broker *b, const struct broker_files *files)
{
	b->o.files = *files;
}

int broker_new(const struct broker_options *o, struct broker **out, struct err *e)
{
	struct broker *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(e, ENOMEM, "the broker could not be started");
	b->o = *o;
	b->first_id = ledger_next_id(o->ledger);
	lock_init(&b->lock, LOCK_BROKER);
	cond_init(&b->tick);
	map_init(&b->by_id);
	map_init(&b->by_name);
	map_init(&b->flights);
	map_init(&b->holds);
	sweep_init(b);
	bulk_init(b);
	batchjob_init(b);
	list_init(&b->deadlines);
	list_init(&b->orphans);
	gather_init(b);
	if (b->o.batch_poll_min_s <= 0)
		b->o.batch_poll_min_s = 10;
	if (b->o.batch_poll_max_s < b->o.batch_poll_min_s)
		b->o.batch_poll_max_s = b->o.batch_poll_min_s > 300 ? b->o.batch_poll_min_s : 300;
	list_init(&b->asks);
	list_init(&b->unstored.objects);
	b->recent = recent_new();
	b->pool = pool_new("work", o->pool_threads ? o->pool_threads : 4, 1 << 20);
	if (!b->pool || tick_start(b) < 0) {
		pool_stop(b->pool);
		recent_free(b->recent);
		free(b);
		return err_sys(e, EAGAIN, "the broker's threads could not be started");
	}
	ledger_watch(b->o.ledger, sweep_gone, b);
	*out = b;
	return 0;
}

struct all_jobs {
	struct job **jobs;
	size_t n;
};

static bool take_job(struct map_link *l, void *arg)
{
	struct all_jobs *a = arg;

	a->jobs[a->n++] = job_ref(CONTAINER_OF(l, struct job, by_id));
	return true;
}

bool broker_is_stopping(struct broker *b)
{
	LOCK_SCOPE(&b->lock);
	return b->stopping;
}

/* every waiter and reader is told; the rows stay accepted and are finished after the next mount */
void broker_quiet(struct broker *b)
{
	struct all_jobs a = { 0 };
	struct list waiters;

	list_init(&waiters);
	lock_take(&b->lock);
	b->stopping = true;
	a.jobs = calloc(b->by_id.n + 1, sizeof(*a.jobs));
	if (a.jobs)
		map_each(&b->by_id, take_job, &a);
	for (size_t i = 0; i < a.n; i++)
		list_move_all(&waiters, &a.jobs[i]->waiters);
	lock_drop(&b->lock);
	for (size_t i = 0; i < a.n; i++)
		if (a.jobs[i]->stream)
			stream_fail(a.jobs[i]->stream, ESHUTDOWN);
	job_wake_all(b, &waiters);
	for (size_t i = 0; i < a.n; i++)
		job_unref(b, a.jobs[i]);
	free(a.jobs);
	bulk_quiet(b);
	broker_ask_quiet(b);
}

static void drop_jobs(struct broker *b)
{
	struct all_jobs a = { 0 };

	lock_take(&b->lock);
	a.jobs = calloc(b->by_id.n + 1, sizeof(*a.jobs));
	if (a.jobs)
		map_each(&b->by_id, take_job, &a);
	for (size_t i = 0; i < a.n; i++) {
		flight_leave_locked(b, a.jobs[i], false);
		job_untable_locked(b, a.jobs[i]);
	}
	lock_drop(&b->lock);
	for (size_t i = 0; i < a.n; i++)
		job_unref(b, a.jobs[i]);
	free(a.jobs);
}

struct broker *broker_stop(struct broker *b)
{
	if (!b)
		return NULL;
	broker_quiet(b);
	tick_stop(b);
	bulk_stop(b);
	infer_stop(b->o.infer); /* its last callbacks post to the pool and the ledger */
	pool_quiet(b->pool);
	sweep_finish(b);
	ledger_close(b->o.ledger); /* its last callbacks come here, and may post */
	pool_stop(b->pool);
	drop_jobs(b);
	bulk_free(b);
	batchjob_free(b);
	broker_hold_free(b);
	unstored_free(b);
	recent_free(b->recent);
	map_done(&b->by_id);
	map_done(&b->by_name);
	map_done(&b->flights);
	sweep_free(b);
	cond_done(&b->tick);
	lock_done(&b->lock);
	free(b);
	return NULL;
}
