/* bulk.c - a job of many lines as an object: its life, its turns, who waits for it */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/batchjob.h"
#include "jobs/broker_bulk.h"
#include "jobs/bulk.h"
#include "jobs/flight.h"

#include "base/banned.h"

#define PROGRESS_NS (100 * MONO_MS) /* ten lines of progress a second */
#define PAUSE_NS    MONO_S
#define PAUSE_MAX   30u

/* ---- what its rows say ---- */

bool bulk_is(const char *suffix)
{
	return suffix && str_ends(suffix, ".jsonl");
}

int64_t bulk_lines_of(const struct ledger_row *row)
{
	return bulk_is(row->suffix) ? bulk_line_member(row, "lines") : 0;
}

char *bulk_root(int64_t lines)
{
	return str_printf("\002%lld", (long long)lines);
}

char *bulk_envelope(int64_t lines, int64_t since, const json_t *defaults)
{
	AUTO_FREE char *text = defaults ? json_dumps(defaults, JSON_COMPACT) : strdup("[]");

	if (!text)
		return NULL;
	return str_printf("{\"lines\":%lld,\"since\":%lld,\"defaults\":%s}", (long long)lines,
			  (long long)since, text);
}

static int read_envelope(const char *envelope, struct bulk *k)
{
	json_t *o = json_loads(envelope ? envelope : "", 0, NULL);
	json_t *defaults = json_object_get(o, "defaults");

	k->lines = json_integer_value(json_object_get(o, "lines"));
	k->since = json_integer_value(json_object_get(o, "since"));
	if (json_array_size(defaults))
		k->defaults = json_incref(defaults);
	json_decref(o);
	return k->lines > 0 ? 0 : -EINVAL;
}

/* ---- the object ---- */

int bulk_new(struct broker *b, struct job *j, const char *envelope, struct bulk **out)
{
	struct bulk *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->b = b;
	k->refs = 2; /* the job's, and of being live */
	k->id = j->id;
	k->accepted_ns = j->times.accepted_ns;
	k->input = k->stream = -1;
	k->pass.scan.fd = k->pass.output.fd = k->pass.errors.fd = -1;
	list_init(&k->in_live);
	list_init(&k->running);
	list_init(&k->over);
	list_init(&k->stuck);
	list_init(&k->stream_waiters);
	list_init(&k->progress_waiters);
	r = read_envelope(envelope, k);
	k->root = r == 0 ? bulk_root(k->lines) : NULL;
	if (k->root && batchjob_is(j->suffix))
		k->batch = batchjob_pass_new(b, k->lines);
	if (!k->root || (batchjob_is(j->suffix) && !k->batch)) {
		json_decref(k->defaults);
		free(k->root);
		free(k);
		return r < 0 ? r : -ENOMEM;
	}
	lock_take(&b->lock);
	k->job = job_ref(j);
	j->bulk = k;
	list_append(&b->bulks.live, &k->in_live);
	lock_drop(&b->lock);
	*out = k;
	return 0;
}

static void close_files(struct bulk *k)
{
	(void)bulk_spool_end(&k->pass.output); /* given up */
	(void)bulk_spool_end(&k->pass.errors);
	bulk_scan_done(&k->pass.scan);
	bulk_set_done(&k->pass.seen);
	bulk_set_done(&k->pass.keys);
	free(TAKE(k->pass.after));
	free(TAKE(k->pass.places));
	bulk_item_done(&k->pass.asked.item);
	free(TAKE(k->pass.asked.hand_id));
}

static void destroy(struct bulk *k)
{
	assert(list_empty(&k->running) && list_empty(&k->over) && list_empty(&k->stuck));
	close_files(k);
	assert(!k->batch);
	if (k->input >= 0)
		(void)close(k->input); /* read only */
	if (k->stream >= 0)
		(void)close(k->stream); /* what is lost of it is made again */
	json_decref(k->defaults);
	free(k->root);
	free(k);
}

void bulk_ref_locked(struct bulk *k)
{
	assert(lock_held(&k->b->lock));
	k->refs++;
}

void bulk_unref(struct bulk *k)
{
	unsigned left;

	if (!k)
		return;
	lock_take(&k->b->lock);
	left = --k->refs;
	lock_drop(&k->b->lock);
	if (!left)
		destroy(k);
}

struct bulk *bulk_find_locked(struct broker *b, int64_t id)
{
	LIST_EACH(l, &b->bulks.live)
		if (LIST_ENTRY(l, struct bulk, in_live)->id == id)
			return LIST_ENTRY(l, struct bulk, in_live);
	return NULL;
}

/* ---- turns ---- */

/* Lines of an older content still run, and would be recorded behind what this one looks up. */
static bool must_wait_locked(const struct bulk *k)
{
	LIST_EACH(l, &k->b->bulks.live) {
		const struct bulk *other = LIST_ENTRY(l, const struct bulk, in_live);

		if (other != k && other->lines == k->lines && other->quit)
			return true;
	}
	return false;
}

static void release_jobs(struct broker *b, struct list *lines)
{
	for (;;) {
		struct list *l;

		lock_take(&b->lock);
		l = list_pop(lines);
		lock_drop(&b->lock);
		if (!l)
			return;
		job_unref(b, LIST_ENTRY(l, struct bulk_line, in_bulk)->job);
	}
}

/* Nothing of it runs any more: its files go, and whoever waits for that goes on. */
static void retire(struct bulk *k)
{
	struct broker *b = k->b;
	struct bulk *next = NULL;
	struct job *j;

	bool batch = k->batch != NULL, quit = k->quit;
	int64_t lines = k->lines;

	release_jobs(b, &k->stuck);
	close_files(k);
	batchjob_pass_free(TAKE(k->batch));
	if (k->quit)
		bulk_spool_forget(b, (struct bulk_place){ k->lines, k->id });
	lock_take(&b->lock);
	list_del(&k->in_live);
	j = TAKE(k->job);
	LIST_EACH(l, &b->bulks.live)
		if (LIST_ENTRY(l, struct bulk, in_live)->lines == k->lines)
			next = LIST_ENTRY(l, struct bulk, in_live);
	if (next)
		bulk_ref_locked(next);
	lock_drop(&b->lock);
	job_unref(b, j);
	if (next)
		bulk_kick(next);
	bulk_unref(next);
	bulk_drop_due(b);
	bulk_unref(k);
	if (batch && quit)
		batchjob_abandon(b, lines);
	if (batch)
		batchjob_settle(b, lines);
}

void bulk_work_locked(struct broker *b)
{
	assert(lock_held(&b->lock));
	b->bulks.working++;
}

void bulk_rest_locked(struct broker *b)
{
	assert(lock_held(&b->lock) && b->bulks.working);
	if (!--b->bulks.working)
		cond_broadcast(&b->bulks.idle);
}

static void rest(struct bulk *k)
{
	LOCK_SCOPE(&k->b->lock);
	k->busy = false;
	bulk_rest_locked(k->b);
}

static void turn_over(struct bulk *k, bool more)
{
	struct broker *b = k->b;
	bool post, gone;

	lock_take(&b->lock);
	post = (more || k->again) && !b->stopping;
	k->again = false;
	gone = !post && (k->quit || k->final) && !k->n_running && !b->stopping &&
	       !list_empty(&k->in_live);
	if (!post && !gone) {
		k->busy = false;
		bulk_rest_locked(b);
	}
	lock_drop(&b->lock);
	if (post && pool_post(b->pool, &k->task) < 0)
		rest(k);
	if (!gone)
		return;
	retire(k); /* it stays busy: there is no other turn */
	lock_take(&b->lock);
	bulk_rest_locked(b);
	lock_drop(&b->lock);
}

static void forget_over(struct bulk *k)
{
	struct list over;
	unsigned n = 0;

	list_init(&over);
	lock_take(&k->b->lock);
	list_move_all(&over, &k->over);
	LIST_EACH(l, &over)
		n++;
	k->n_running -= n;
	lock_drop(&k->b->lock);
	release_jobs(k->b, &over);
}

static void turn(struct pool_task *t)
{
	struct bulk *k = CONTAINER_OF(t, struct bulk, task);
	struct broker *b = k->b;
	bool idle, quit, more = false;

	lock_take(&b->lock);
	quit = k->quit;
	idle = !k->started || k->final || b->stopping || k->retry_mono || must_wait_locked(k);
	lock_drop(&b->lock);
	if (quit)
		forget_over(k);
	else if (!idle)
		more = bulk_run_turn(k);
	turn_over(k, more);
}

void bulk_kick(struct bulk *k)
{
	struct broker *b = k->b;
	bool post;

	lock_take(&b->lock);
	post = !k->busy && !list_empty(&k->in_live);
	if (post) {
		k->busy = true;
		bulk_work_locked(b);
	} else {
		k->again = true;
	}
	lock_drop(&b->lock);
	if (!post)
		return;
	k->task.run = turn;
	if (pool_post(b->pool, &k->task) < 0)
		rest(k); /* ending */
}

void bulk_start(struct bulk *k)
{
	lock_take(&k->b->lock);
	if (!k->started)
		k->run_mono = mono_ns();
	k->started = true;
	if (k->job)
		k->job->hold = false;
	lock_drop(&k->b->lock);
	bulk_kick(k);
}

void bulk_pause(struct bulk *k, int error, const char *what)
{
	struct broker *b = k->b;
	uint64_t ns = PAUSE_NS;
	bool first;

	lock_take(&b->lock);
	first = !k->retry_mono && !k->pauses;
	k->pauses += k->pauses < PAUSE_MAX && !k->retry_mono;
	if (!k->retry_mono)
		k->retry_mono = mono_ns() + ns;
	cond_signal(&b->tick);
	lock_drop(&b->lock);
	if (first)
		log_msg(LOG_WARNING, "job %lld pauses: %s: %s; it goes on when that has passed",
			(long long)k->id, what, strerror(error));
}

/* ---- who waits for its files ---- */

void bulk_wake_all(struct bulk *k)
{
	struct list all;

	list_init(&all);
	lock_take(&k->b->lock);
	list_move_all(&all, &k->stream_waiters);
	list_move_all(&all, &k->progress_waiters);
	lock_drop(&k->b->lock);
	for (;;) {
		struct broker_bulk_waiter *w;
		struct list *l;

		lock_take(&k->b->lock);
		l = list_pop(&all);
		lock_drop(&k->b->lock);
		if (!l)
			return;
		w = LIST_ENTRY(l, struct broker_bulk_waiter, link);
		w->wake(w);
	}
}

/* ---- the clock ---- */

void bulk_changed_locked(struct bulk *k)
{
	uint64_t now = mono_ns(), due = k->woken_mono + PROGRESS_NS;

	k->seq++;
	if (k->wake_mono || list_empty(&k->progress_waiters))
		return;
	k->wake_mono = due > now ? due : now;
	cond_signal(&k->b->tick);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return b && (!a || b < a) ? b : a;
}

struct bulk *bulk_tick_locked(struct broker *b, uint64_t now, uint64_t *next)
{
	LIST_EACH(l, &b->bulks.live) {
		struct bulk *k = LIST_ENTRY(l, struct bulk, in_live);
		uint64_t due = sooner(k->wake_mono, k->retry_mono);

		if (due && due <= now) {
			bulk_ref_locked(k);
			return k;
		}
		*next = sooner(*next, due);
	}
	return NULL;
}

void bulk_tick(struct bulk *take_k)
{
	struct bulk *k = take_k;
	uint64_t now = mono_ns();
	bool wake, again;

	lock_take(&k->b->lock);
	wake = k->wake_mono && k->wake_mono <= now;
	again = k->retry_mono && k->retry_mono <= now;
	if (wake) {
		k->wake_mono = 0;
		k->woken_mono = now;
	}
	if (again)
		k->retry_mono = 0;
	lock_drop(&k->b->lock);
	if (wake)
		broker_bulk_wake(k, BULK_PROGRESS);
	if (again)
		bulk_kick(k);
	bulk_unref(k);
}

/* ---- the broker's start and end ---- */

void bulk_init(struct broker *b)
{
	list_init(&b->bulks.live);
	list_init(&b->bulks.drops);
	list_init(&b->bulks.claims);
	map_init(&b->bulks.homes);
	cond_init(&b->bulks.idle);
}

static struct bulk *nth(struct broker *b, size_t n)
{
	struct bulk *k = NULL;

	LOCK_SCOPE(&b->lock);
	LIST_EACH(l, &b->bulks.live)
		if (n-- == 0)
			k = LIST_ENTRY(l, struct bulk, in_live);
	if (k)
		bulk_ref_locked(k);
	return k;
}

/* the broker is stopping: whoever reads is told */
void bulk_quiet(struct broker *b)
{
	struct bulk *k;

	for (size_t i = 0; (k = nth(b, i)) != NULL; i++) {
		bulk_wake_all(k);
		bulk_unref(k);
	}
}

void bulk_stop(struct broker *b)
{
	LOCK_SCOPE(&b->lock);
	assert(b->stopping);
	while (b->bulks.working)
		cond_wait(&b->bulks.idle, &b->lock);
}

/* after the pool, infer and the ledger: nobody calls back any more */
void bulk_free(struct broker *b)
{
	struct bulk *k;

	while ((k = nth(b, 0)) != NULL) {
		struct job *j;

		release_jobs(b, &k->running);
		release_jobs(b, &k->over);
		release_jobs(b, &k->stuck);
		lock_take(&b->lock);
		list_del(&k->in_live);
		j = TAKE(k->job);
		lock_drop(&b->lock);
		batchjob_pass_free(TAKE(k->batch));
		job_unref(b, j);
		bulk_unref(k); /* of being live */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a reference is held */
		bulk_unref(k);
	}
	bulk_line_homes_free(b);
	bulk_drop_free(b);
	cond_done(&b->bulks.idle);
}
