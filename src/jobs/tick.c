/* tick.c - what happens by the clock: a request's own time-out, the second of grace, offers to the
 * engine, sweeping */
#include "base/mono.h"
#include "jobs/batchjob.h"
#include "jobs/bulk.h"
#include "jobs/flight.h"
#include "jobs/gather.h"
#include "jobs/inside.h"
#include "jobs/purchase.h"
#include "jobs/sweep.h"

#include "base/banned.h"

#define OFFER_EVERY_NS (2 * MONO_S)

static uint64_t deadline_of(const struct job *j)
{
	return j->times.accepted_mono + (uint64_t)(j->terms.timeout_s * 1e9);
}

/* the next job whose own time is over, with a reference; else when the earliest one is due */
static struct job *overdue_locked(struct broker *b, uint64_t now, uint64_t *next)
{
	LIST_EACH(l, &b->deadlines) {
		struct job *j = LIST_ENTRY(l, struct job, in_deadlines);
		uint64_t due = deadline_of(j);

		if (due <= now) {
			list_del(&j->in_deadlines);
			return job_ref(j);
		}
		if (!*next || due < *next)
			*next = due;
	}
	return NULL;
}

static void time_out(struct broker *b, struct job *j)
{
	struct err e = { 0 };

	err_set(&e, ERR_TIMEOUT,
		"the request's own timeout of %g s passed, queue included; raise \"timeout\" or leave "
		"it out",
		j->terms.timeout_s);
	e.attempts = j->times.attempts;
	job_end(b, j, BROKER_FAILED, &e);
	job_unref(b, j);
}

/* 0 is never */
static uint64_t sooner(uint64_t a, uint64_t b)
{
	return b && (!a || b < a) ? b : a;
}

/* what is due now, each with a reference or, of a batch, nobody else's */
struct due {
	struct job *job;
	struct flight *flight;
	struct bulk *bulk;
	struct batchjob *batch;
	bool offer, sweep;
};

static bool take_due_locked(struct broker *b, uint64_t now, uint64_t *next, struct due *d)
{
	d->job = overdue_locked(b, now, next);
	d->flight = gather_over_locked(b, now, next);
	d->bulk = bulk_tick_locked(b, now, next);
	d->batch = batchjob_step_tick_locked(b, now, next);
	d->offer = b->unstored.at_mono && b->unstored.at_mono <= now;
	d->sweep = b->sweeps.at_mono && b->sweeps.at_mono <= now && !b->sweeps.busy;
	if (d->offer)
		b->unstored.at_mono = now + OFFER_EVERY_NS;
	if (d->sweep) {
		b->sweeps.at_mono = 0;
		b->sweeps.busy = true;
	}
	return d->job || d->flight || d->bulk || d->batch || d->offer || d->sweep;
}

static void act(struct broker *b, const struct due *d)
{
	if (d->flight) {
		flight_poke(d->flight);
		flight_unref(d->flight);
	}
	if (d->bulk)
		bulk_tick(d->bulk);
	if (d->batch)
		batchjob_step_resume(d->batch);
	if (d->job)
		time_out(b, d->job);
	if (d->sweep)
		sweep_start(b);
	if (d->offer)
		unstored_offer(b);
}

static void *tick_main(void *arg)
{
	struct broker *b = arg;

	lock_take(&b->lock);
	while (!b->tick_stop) {
		uint64_t now = mono_ns(), next = purchase_orphans_locked(b, now), due = 0;
		struct due d;

		if (take_due_locked(b, now, &due, &d)) {
			lock_drop(&b->lock);
			act(b, &d);
			lock_take(&b->lock);
			continue;
		}
		next = sooner(next, due);
		next = sooner(next, b->unstored.at_mono);
		next = sooner(next, b->sweeps.busy ? 0 : b->sweeps.at_mono);
		if (next)
			(void)cond_wait_until(&b->tick, &b->lock, next);
		else
			cond_wait(&b->tick, &b->lock);
	}
	lock_drop(&b->lock);
	return NULL;
}

int tick_start(struct broker *b)
{
	return thread_start(&b->tick_thread, "tick", tick_main, b);
}

void tick_stop(struct broker *b)
{
	lock_take(&b->lock);
	b->tick_stop = true;
	cond_broadcast(&b->tick);
	lock_drop(&b->lock);
	thread_join(&b->tick_thread);
}
