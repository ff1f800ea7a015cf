/* settle.c - a request has all of its samples: count, record who was given what, then show it */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/mono.h"
#include "jobs/bulk_line.h"
#include "jobs/settle.h"

#include "base/banned.h"

static struct job *job_at(struct list *l)
{
	return LIST_ENTRY(l, struct job, in_flight);
}

/* ---- counters ---- */

static int64_t nano_usd(double usd)
{
	return usd < 0 ? 0 : (int64_t)(usd * 1e9 + 0.5);
}

void settle_count_call(struct broker *b, struct answer **v, unsigned n, unsigned attempts,
		       double input_usd)
{
	struct ledger *l = b->o.ledger;
	double usd = 0;

	ledger_count(l, LEDGER_C_CALLS, 1);
	if (attempts > 1)
		ledger_count(l, LEDGER_C_RETRIED, attempts - 1);
	ledger_count(l, LEDGER_C_SAMPLES, n);
	ledger_count(l, LEDGER_C_SAMPLES_FRESH, n);
	if (n > 1) {
		ledger_count(l, LEDGER_C_SAMPLES_DUPLICATED, n - 1);
		ledger_count(l, LEDGER_C_SAVED_DEDUP_NANO_USD, nano_usd((n - 1) * input_usd));
	}
	for (unsigned i = 0; i < n; i++) {
		if (v[i]->usage.input > 0)
			ledger_count(l, LEDGER_C_TOKENS_INPUT, v[i]->usage.input);
		if (v[i]->usage.output > 0)
			ledger_count(l, LEDGER_C_TOKENS_OUTPUT, v[i]->usage.output);
		usd = usd < 0 || v[i]->cost_usd < 0 ? -1 : usd + v[i]->cost_usd;
	}
	if (usd < 0)
		ledger_count(l, LEDGER_C_UNPRICED, 1);
	else
		ledger_count(l, LEDGER_C_COST_NANO_USD, nano_usd(usd));
}

void settle_count_cached(struct broker *b, unsigned samples, double saved_usd, bool whole)
{
	struct ledger *l = b->o.ledger;

	ledger_count(l, LEDGER_C_SAMPLES, samples);
	ledger_count(l, LEDGER_C_SAMPLES_CACHED, samples);
	ledger_count(l, LEDGER_C_SAVED_CACHE_NANO_USD, nano_usd(saved_usd));
	if (whole)
		ledger_count(l, LEDGER_C_CACHE_HITS, 1);
}

static void count_namespace(const struct job *j, int64_t out[LEDGER_NS_COUNTERS])
{
	const struct tally *t = &j->picks.tally;

	out[LEDGER_NS_REQUESTS] = 1;
	out[LEDGER_NS_CALLS] = t->calls;
	out[LEDGER_NS_SAMPLES] = j->picks.n;
	out[LEDGER_NS_BOUGHT] = t->bought;
	out[LEDGER_NS_REUSED] = j->picks.n - t->bought;
	out[LEDGER_NS_DUPLICATED] = t->duplicated;
	out[LEDGER_NS_TOKENS_INPUT] = t->tokens[0] > 0 ? t->tokens[0] : 0;
	out[LEDGER_NS_TOKENS_OUTPUT] = t->tokens[3] > 0 ? t->tokens[3] : 0;
	out[LEDGER_NS_UNPRICED] = t->cost_usd < 0;
	out[LEDGER_NS_COST_NANO_USD] = nano_usd(t->cost_usd);
	out[LEDGER_NS_SAVED_CACHE_NANO_USD] = nano_usd(t->saved_usd);
	out[LEDGER_NS_SAVED_MERGE_NANO_USD] = nano_usd(t->merged_usd);
	out[LEDGER_NS_AGAIN_NANO_USD] = nano_usd(t->again_usd);
}

/* ---- the changes ---- */

static void fill_handouts(const struct job *j, struct settle_record *out)
{
	for (unsigned i = 0; i < j->picks.n; i++) {
		const struct pick *k = &j->picks.v[i];

		out->handouts[i] = (struct ledger_handout){ .request = j->id,
							    .pos = i,
							    .key = j->body.key,
							    .index = k->index,
							    .variant = k->variant,
							    .cached = k->cached,
							    .duplicated = k->duplicated };
		out->given[i] = (struct ledger_given){ .key = j->body.key, .index = k->index };
	}
}

static void add_give(const struct job *j, const struct key *key, struct settle_record *out)
{
	struct ledger_change *c = &out->changes[out->n++];

	c->op = LEDGER_OP_GIVE;
	c->give.ns = j->terms.ns;
	c->give.request_id = terms_hand_id(j, &c->give.root);
	c->give.path = j->terms.hand_path;
	c->give.key = *key;
	c->give.v = out->given;
	c->give.n = j->picks.n;
}

/* With a fallback's model, what was asked is answered by samples of another key: it is found under both. */
static void add_namespace(const struct job *j, struct settle_record *out)
{
	struct ledger_change *c;

	if (!j->terms.ns)
		return;
	if (j->terms.cache != REQUEST_CACHE_BYPASS) {
		add_give(j, &j->body.key, out);
		if (!key_equal(&j->body.key, &j->body.asked))
			add_give(j, &j->body.asked, out);
	}
	count_namespace(j, out->counts);
	c = &out->changes[out->n++];
	c->op = LEDGER_OP_NS_COUNT;
	c->ns_count.ns = j->terms.ns;
	c->ns_count.add = out->counts;
}

int settle_record(const struct job *j, enum ledger_op op, struct settle_record *out)
{
	struct ledger_row *row;

	*out = (struct settle_record){ .n = 1 };
	out->handouts = calloc(j->picks.n, sizeof(*out->handouts));
	out->given = calloc(j->picks.n, sizeof(*out->given));
	out->facts = terms_facts(j, 0);
	if (!out->handouts || !out->given || !out->facts) {
		settle_record_done(out);
		return -ENOMEM;
	}
	fill_handouts(j, out);
	out->changes[0].op = op;
	row = &out->changes[0].row;
	row->id = j->id;
	row->state = LEDGER_DONE;
	row->final_ns = mono_real_ns();
	row->text_bytes = j->picks.tally.text_bytes;
	row->facts = out->facts;
	out->changes[0].handouts = out->handouts;
	out->changes[0].n_handouts = j->picks.n;
	add_namespace(j, out);
	if (j->line)
		bulk_line_row(j, &out->changes[0]);
	return 0;
}

void settle_record_done(struct settle_record *r)
{
	free(r->handouts);
	free(r->given);
	free(r->facts);
	*r = (struct settle_record){ 0 };
}

/* ---- streams ---- */

static bool is_short(const struct job *j)
{
	return !picks_full(&j->picks);
}

void settle_stream(struct broker *b, struct job *j, const json_t *sample, bool stored)
{
	const json_t *text = json_object_get(sample, "text");
	struct stream *s;
	bool made;

	lock_take(&b->lock);
	made = !j->stream &&
	       is_short(j); /* others are still to come: who opens it later reads this */
	if (made)
		j->stream = stream_new();
	s = j->stream ? stream_ref(j->stream) : NULL;
	lock_drop(&b->lock);
	if (s && (stored || made || stream_size(s) == 0))
		(void)stream_append(s, json_string_value(text), json_string_length(text));
	stream_unref(s);
}

/* ---- asks ---- */

/* jobs that were ended meanwhile (cancelled, timed out) keep that end */
static bool claim(struct broker *b, struct job *j)
{
	bool mine;

	LOCK_SCOPE(&b->lock);
	mine = !j->ending;
	j->ending = true;
	j->step = STEP_DONE;
	return mine;
}

static void show_ask(struct broker *b, struct job *j, const json_t *text, const json_t *calls)
{
	struct stream *stream;

	lock_take(&b->lock);
	if (j->flight) {
		flight_take_locked(j->flight, j);
		assert(j->refs > 1);
		j->refs--; /* the list's; the caller has one */
	}
	job_set_state_locked(b, j, BROKER_DONE);
	stream = j->stream ? stream_ref(j->stream) : NULL;
	lock_drop(&b->lock);
	if (stream && stream_size(stream) == 0)
		(void)stream_append(stream, json_string_value(text), json_string_length(text));
	job_keep_calls(j, calls);
	if (stream)
		stream_seal(stream);
	stream_unref(stream);
}

void settle_ask(struct broker *b, struct job *j, const json_t *sample, bool bought)
{
	if (!claim(b, j))
		return;
	if (!bought)
		settle_count_cached(b, 1, picks_price(sample), true);
	show_ask(b, j, json_object_get(sample, "text"), json_object_get(sample, "tool_calls"));
}

/* everybody who waits, when all are asks; the list's references are the caller's. 0: a named one is among them,
 * and the first of all is the buyer */
static size_t all_asks(struct flight *f, struct job ***out)
{
	size_t n = 0;

	*out = NULL;
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->jobs) {
		if (job_at(l)->id)
			return 0;
		n++;
	}
	*out = n ? calloc(n + 1, sizeof(struct job *)) : NULL;
	if (!*out)
		return 0;
	n = 0;
	LIST_EACH(l, &f->jobs)
		(*out)[n++] = job_ref(job_at(l));
	return n;
}

bool settle_asks(struct flight *f, const struct answer *a)
{
	struct job **v;
	size_t n = all_asks(f, &v);
	bool served = false;

	for (size_t i = 0; i < n; i++) {
		if (claim(f->b, v[i])) {
			if (served)
				settle_count_cached(f->b, 1, a->cost_usd, true);
			show_ask(f->b, v[i], NULL, a->tool_calls);
			served = true;
		}
		job_unref(f->b, v[i]);
	}
	free(v);
	return served;
}

/* ---- one commit for all that became full together ---- */

struct settling {
	struct ledger_post post;
	struct flight *f;
	size_t n;
	struct job **jobs;
	struct settle_record *records;
	struct ledger_change *changes;
};

static void show(struct flight *f, struct job *j, int result)
{
	struct broker *b = f->b;
	struct list waiters;
	struct stream *stream;

	list_init(&waiters);
	lock_take(&b->lock);
	list_del(&j->in_flight); /* off f->settling */
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
	if (result == 0)
		picks_recorded(b, &j->body.key, &j->picks);
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

static void settling_free(struct settling *x)
{
	for (size_t i = 0; i < x->n; i++)
		settle_record_done(&x->records[i]);
	free(x->jobs);
	free(x->records);
	free(x->changes);
	free(x);
}

static void settling_done(struct ledger_post *p, int result)
{
	struct settling *x = CONTAINER_OF(p, struct settling, post);
	struct flight *f = x->f;

	fault_at("committed");
	for (size_t i = 0; i < x->n; i++)
		show(f, x->jobs[i], result);
	settling_free(x);
	flight_settled(f);
	flight_unref(f);
}

static struct settling *settling_new(struct flight *f, size_t n)
{
	struct settling *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->f = f;
	x->jobs = calloc(n + 1, sizeof(struct job *));
	x->records = calloc(n + 1, sizeof(*x->records));
	x->changes = calloc(n + 1, sizeof(x->records->changes));
	if (x->jobs && x->records && x->changes)
		return x;
	settling_free(x);
	return NULL;
}

static void count_job(struct broker *b, const struct job *j)
{
	const struct tally *t = &j->picks.tally;

	settle_count_cached(b, j->picks.n - t->bought, t->saved_usd, t->bought == 0);
}

/* false: it was ended meanwhile, or there is no memory for it */
static bool settling_add(struct settling *x, struct job *j)
{
	struct broker *b = x->f->b;
	struct settle_record *r = &x->records[x->n];

	if (!claim(b, j))
		return false;
	if (settle_record(j, j->line ? LEDGER_OP_PUT : LEDGER_OP_FINISH, r) < 0) {
		lock_take(&b->lock);
		j->ending = false;
		lock_drop(&b->lock);
		return false;
	}
	count_job(b, j);
	x->jobs[x->n++] = j;
	memcpy(x->changes + x->post.n_changes, r->changes, r->n * sizeof(*r->changes));
	x->post.n_changes += r->n;
	lock_take(&b->lock);
	list_append(&x->f->settling, &j->in_flight);
	lock_drop(&b->lock);
	return true;
}

static void settling_failed(struct broker *b, struct job *j)
{
	struct err e = { 0 };

	err_sys(&e, ENOMEM, "the answer could not be recorded");
	job_end(b, j, BROKER_FAILED, &e); /* nothing, when it was ended before */
	job_unref(b, j);
}

void settle_jobs(struct flight *f, struct list *jobs)
{
	struct settling *x;
	struct list *l;
	size_t n = 0;

	LIST_EACH(p, jobs)
		n++;
	x = settling_new(f, n);
	while ((l = list_pop(jobs)))
		if (!x || !settling_add(x, job_at(l)))
			settling_failed(f->b, job_at(l));
	if (!x)
		return;
	if (!x->n) {
		settling_free(x);
		return;
	}
	x->post.changes = x->changes;
	x->post.done = settling_done;
	lock_take(&f->b->lock);
	f->refs++;
	lock_drop(&f->b->lock);
	ledger_post(f->b->o.ledger, &x->post);
}
