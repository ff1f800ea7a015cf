/* settle.c - an object is there: count it, record who was given what, then show it */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/mono.h"
#include "jobs/bulk.h"
#include "jobs/flight.h"
#include "jobs/inside.h"
#include "jobs/sweep.h"

#include "base/banned.h"

/* everything one commit needs, for all jobs that were served together */
struct settling {
	struct ledger_post post;
	struct broker *b;
	struct list jobs;
	struct answers_id object;
	bool unstored;
	size_t n;
	struct ledger_change *changes;
	struct ledger_handout *handouts;
};

uint64_t settle_text_bytes(const json_t *sample)
{
	const json_t *text = json_object_get(sample, "text");
	size_t n = json_string_length(text);

	if (!n)
		return 0;
	return n + (json_string_value(text)[n - 1] != '\n');
}

static int64_t nano_usd(double usd)
{
	return usd < 0 ? 0 : (int64_t)(usd * 1e9 + 0.5);
}

static double price_of(const json_t *sample)
{
	const json_t *cost = json_object_get(sample, "cost_usd");

	return json_is_number(cost) ? json_number_value(cost) : -1;
}

void settle_count(struct broker *b, const struct settle *s, bool buyer)
{
	struct ledger *l = b->o.ledger;

	ledger_count(l, LEDGER_C_SAMPLES, 1);
	if (!buyer) {
		ledger_count(l, LEDGER_C_SAMPLES_CACHED, 1);
		ledger_count(l, LEDGER_C_CACHE_HITS, 1);
		ledger_count(l, LEDGER_C_SAVED_CACHE_NANO_USD, nano_usd(price_of(s->sample)));
		return;
	}
	ledger_count(l, LEDGER_C_SAMPLES_FRESH, 1);
	ledger_count(l, LEDGER_C_CALLS, s->attempts);
	if (s->attempts > 1)
		ledger_count(l, LEDGER_C_RETRIED, s->attempts - 1);
	if (s->answer->usage.input > 0)
		ledger_count(l, LEDGER_C_TOKENS_INPUT, s->answer->usage.input);
	if (s->answer->usage.output > 0)
		ledger_count(l, LEDGER_C_TOKENS_OUTPUT, s->answer->usage.output);
	if (s->answer->cost_usd < 0)
		ledger_count(l, LEDGER_C_UNPRICED, 1);
	else
		ledger_count(l, LEDGER_C_COST_NANO_USD, nano_usd(s->answer->cost_usd));
}

/* ---- after the commit ---- */

static void show(struct broker *b, struct job *j, int result)
{
	struct list waiters;
	struct stream *stream;

	list_init(&waiters);
	lock_take(&b->lock);
	if (result < 0 && !j->error) {
		j->error = calloc(1, sizeof(*j->error));
		err_sys(j->error, -result,
			"the answer is stored but could not be recorded; it is read again after the "
			"next mount");
	}
	job_set_state_locked(b, j, result < 0 ? BROKER_FAILED : BROKER_DONE);
	list_move_all(&waiters, &j->waiters);
	j->over = true;
	if (result == 0)
		job_untable_locked(b, j);
	stream = j->stream ? stream_ref(j->stream) : NULL;
	lock_drop(&b->lock);
	if (stream && result == 0)
		stream_seal(stream);
	else if (stream)
		stream_fail(stream, -result);
	stream_unref(stream);
	job_wake_all(b, &waiters);
	if (j->line)
		bulk_line_over(b, j, result);
	job_unref(b, j);
}

static void settling_done(struct ledger_post *p, int result)
{
	struct settling *x = CONTAINER_OF(p, struct settling, post);
	struct list *l;

	fault_at("committed");
	if (x->unstored)
		unstored_add(x->b, &x->object);
	else if (
		list_empty(
			&x->jobs)) /* only asks had it: the store has it, and no response names it */
		sweep_object(x->b, &x->object);
	sweep_unpin(x->b, &x->object.key);
	while ((l = list_pop(&x->jobs)))
		show(x->b, LIST_ENTRY(l, struct job, in_flight), result);
	for (size_t i = 0; i < x->n; i++)
		free((void *)(uintptr_t)x->changes[i].row.facts);
	free(x->changes);
	free(x->handouts);
	free(x);
}

/* ---- before it ---- */

static void fill_change(struct settling *x, struct job *j, const struct settle *s, bool buyer)
{
	size_t i = x->n;
	double price = price_of(s->sample);
	struct ledger_change *c = &x->changes[i];

	x->handouts[i] = (struct ledger_handout){ .request = j->id,
						  .key = x->object.key,
						  .index = x->object.index,
						  .variant = x->object.variant,
						  .cached = !buyer };
	recent_keep(x->b->recent, j->id, s->sample);
	c->op = LEDGER_OP_FINISH;
	c->row.id = j->id;
	c->row.state = LEDGER_DONE;
	c->row.final_ns = mono_real_ns();
	c->row.text_bytes = settle_text_bytes(s->sample);
	c->row.facts = terms_facts(&(struct terms_outcome){ .answer = s->answer,
							    .sample = s->sample,
							    .job = j,
							    .now_mono = mono_ns(),
							    .attempts = buyer ? s->attempts : 0,
							    .cost_usd = buyer ? price : 0,
							    .saved_usd = buyer ? 0 : price,
							    .bought = buyer });
	c->handouts = &x->handouts[i];
	c->n_handouts = 1;
	if (j->line)
		bulk_line_row(j, c);
	settle_count(x->b, s, buyer);
}

/* asks need no record: they are shown at once */
static void settle_ask(struct broker *b, struct job *j, const struct settle *s, bool buyer)
{
	const json_t *text = json_object_get(s->sample, "text");
	struct stream *stream;

	settle_count(b, s, buyer);
	lock_take(&b->lock);
	job_set_state_locked(b, j, BROKER_DONE);
	stream = j->stream ? stream_ref(j->stream) : NULL;
	lock_drop(&b->lock);
	if (stream && !s->streamed)
		(void)stream_append(stream, json_string_value(text), json_string_length(text));
	if (s->sample)
		job_keep_calls(j, json_object_get(s->sample, "tool_calls"));
	else if (s->answer) /* shown before it is an object */
		job_keep_calls(j, s->answer->tool_calls);
	if (stream)
		stream_seal(stream);
	stream_unref(stream);
	job_unref(b, j);
}

/* readers of a stream that saw nothing come (a hit) get the whole text now */
static void fill_stream(struct broker *b, struct job *j, const struct settle *s)
{
	const json_t *text = json_object_get(s->sample, "text");
	struct stream *stream;

	if (s->streamed)
		return;
	lock_take(&b->lock);
	stream = j->stream ? stream_ref(j->stream) : NULL;
	lock_drop(&b->lock);
	if (stream)
		(void)stream_append(stream, json_string_value(text), json_string_length(text));
	stream_unref(stream);
}

static struct settling *settling_new(struct broker *b, const struct settle *s, size_t n)
{
	struct settling *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->b = b;
	x->object = *s->object;
	x->unstored = s->unstored;
	x->changes = calloc(n + 1, sizeof(*x->changes));
	x->handouts = calloc(n + 1, sizeof(*x->handouts));
	list_init(&x->jobs);
	if (x->changes && x->handouts)
		return x;
	free(x->changes);
	free(x->handouts);
	free(x);
	return NULL;
}

/* jobs that were ended meanwhile (cancelled, timed out) keep that end */
static bool claim(struct broker *b, struct job *j)
{
	bool mine;

	lock_take(&b->lock);
	mine = !j->ending;
	j->ending = true;
	j->step = STEP_DONE;
	lock_drop(&b->lock);
	return mine;
}

/* false: a named one is among them, and the first of all is the buyer */
static bool take_asks(struct flight *f, struct list *out)
{
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->jobs)
		if (LIST_ENTRY(l, struct job, in_flight)->id)
			return false;
	list_move_all(out, &f->jobs);
	LIST_EACH(l, out)
		LIST_ENTRY(l, struct job, in_flight)->flight = NULL;
	return true;
}

bool settle_asks(struct flight *f)
{
	struct settle s = { .answer = f->answer, .streamed = &f->sofar, .attempts = f->attempts };
	struct list asks, *l;
	bool buyer = true;

	list_init(&asks);
	if (!take_asks(f, &asks))
		return false;
	while ((l = list_pop(&asks))) {
		struct job *j = LIST_ENTRY(l, struct job, in_flight);

		if (!claim(f->b, j)) {
			job_unref(f->b, j);
			continue;
		}
		settle_ask(f->b, j, &s, buyer);
		buyer = false;
	}
	return !buyer;
}

void settle_jobs(struct broker *b, struct list *jobs, const struct settle *s)
{
	struct settling *x;
	struct list *l;
	bool buyer = s->answer != NULL;
	size_t n = 0;

	LIST_EACH(p, jobs)
		n++;
	x = settling_new(b, s, n);
	if (!x) {
		struct err e;

		err_sys(&e, ENOMEM, "the answer could not be recorded");
		sweep_object(b, s->object);
		sweep_unpin(b, &s->object->key);
		flight_fail_jobs(b, jobs, &e);
		return;
	}
	while ((l = list_pop(jobs))) {
		struct job *j = LIST_ENTRY(l, struct job, in_flight);

		if (!claim(b, j)) {
			job_unref(b, j);
			continue;
		}
		if (j->id == 0) {
			settle_ask(b, j, s, buyer);
		} else {
			fill_stream(b, j, s);
			fill_change(x, j, s, buyer);
			list_append(&x->jobs, &j->in_flight);
			x->n++;
		}
		buyer = false; /* the first that was accepted; the others had it from the cache */
	}
	if (s->unstored) {
		x->changes[x->n].op = LEDGER_OP_UNSTORED;
		x->changes[x->n].object = (struct ledger_handout){ .key = x->object.key,
								   .index = x->object.index,
								   .variant = x->object.variant };
	}
	x->post.changes = x->changes;
	x->post.n_changes = x->n + (s->unstored ? 1 : 0);
	x->post.done = settling_done;
	if (x->post.n_changes)
		ledger_post(b->o.ledger, &x->post);
	else
		settling_done(&x->post, 0);
}
