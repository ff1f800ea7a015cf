/* purchase.c - one provider call for some samples of a key: begun, shared, left, over */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/mono.h"
#include "jobs/fallback.h"
#include "jobs/image.h"
#include "jobs/land.h"
#include "jobs/purchase.h"

#include "base/banned.h"

static struct purchase *purchase_at(struct list *l)
{
	return LIST_ENTRY(l, struct purchase, link);
}

static struct job *job_at(struct list *l)
{
	return LIST_ENTRY(l, struct job, in_flight);
}

static void purchase_free(struct purchase *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (p->sofar)
			buf_done(&p->sofar[i]);
		if (p->answers)
			answer_free(p->answers[i]);
	}
	free(p->sofar);
	free(p->answers);
	free(p->indices);
	free(p);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static struct purchase *purchase_new(struct flight *f, const struct deal_want *v, unsigned n)
{
	struct purchase *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->f = f;
	p->n = n;
	list_init(&p->link);
	list_init(&p->in_orphans);
	p->indices = calloc(n, sizeof(*p->indices));
	p->sofar = calloc(n, sizeof(*p->sofar));
	p->answers = calloc(n, sizeof(struct answer *));
	if (!p->indices || !p->sofar || !p->answers) {
		p->n = 0;
		purchase_free(p);
		return NULL;
	}
	for (unsigned i = 0; i < n; i++) {
		p->indices[i] = v[i].index;
		p->sofar[i] = BUF_INIT(ANSWER_TEXT_MAX);
		p->jobs += i == 0 || v[i].owner != v[i - 1].owner;
	}
	qsort(p->indices, n, sizeof(*p->indices), by_number);
	return p;
}

/* ---- looking at them ---- */

static unsigned choice_of(const struct purchase *p, uint32_t index)
{
	unsigned i = 0;

	while (i < p->n && p->indices[i] != index)
		i++;
	return i;
}

struct purchase *purchase_of_locked(struct flight *f, uint32_t index)
{
	LIST_EACH(l, &f->bought) {
		struct purchase *p = purchase_at(l);

		if (!p->cancelled && choice_of(p, index) < p->n)
			return p;
	}
	return NULL;
}

int purchase_indices_locked(struct flight *f, uint32_t **out, size_t *out_n)
{
	size_t n = 0;
	uint32_t *v;

	LIST_EACH(l, &f->bought)
		n += purchase_at(l)->n;
	v = calloc(n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	n = 0;
	LIST_EACH(l, &f->bought) {
		const struct purchase *p = purchase_at(l);

		if (p->cancelled)
			continue;
		memcpy(v + n, p->indices, p->n * sizeof(*v));
		n += p->n;
	}
	qsort(v, n, sizeof(*v), by_number);
	*out = v;
	*out_n = n;
	return 0;
}

const struct buf *purchase_sofar_locked(const struct job *j)
{
	struct purchase *p = j->flight && j->picks.v && !j->picks.v[0].have
				     ? purchase_of_locked(j->flight, j->picks.v[0].index)
				     : NULL;

	return p ? &p->sofar[choice_of(p, j->picks.v[0].index)] : NULL;
}

void purchase_joined_locked(struct flight *f, struct job *j)
{
	struct purchase *p = purchase_of_locked(f, j->picks.v[0].index);
	const struct buf *sofar = purchase_sofar_locked(j);

	if (p && p->attempts) {
		job_set_state_locked(f->b, j, BROKER_RUNNING);
		if (!j->times.sent_mono)
			j->times.sent_mono = mono_ns();
	}
	if (j->stream && sofar && sofar->len)
		(void)stream_append(j->stream, sofar->data, sofar->len); /* fails itself */
}

/* ---- nobody needs it ---- */

static bool needed_locked(const struct purchase *p)
{
	LIST_EACH(l, &p->f->jobs) {
		const struct job *j = job_at(l);

		if (!j->picks.v)
			return true; /* not dealt: it may get one of these */
		for (unsigned i = 0; i < p->n; i++)
			if (picks_want(&j->picks, p->indices[i]))
				return true;
	}
	return false;
}

static void cancel_locked(struct purchase *p)
{
	list_del(&p->in_orphans);
	p->cancelled = true;
	if (p->call)
		infer_cancel(p->f->b->o.infer, p->call);
	p->call = NULL; /* its sink still comes, with ECANCELED or, too late, the answer */
}

void purchase_unwanted_locked(struct flight *f, bool grace)
{
	struct broker *b = f->b;

	LIST_EACH(l, &f->bought) {
		struct purchase *p = purchase_at(l);

		if (p->state != PURCHASE_RUNNING || p->cancelled || needed_locked(p))
			continue;
		if (!grace || !p->attempts) {
			cancel_locked(p);
			continue;
		}
		p->orphan_until_mono = mono_ns() + JOB_GRACE_NS;
		list_del(&p->in_orphans);
		list_append(&b->orphans, &p->in_orphans);
		cond_signal(&b->tick);
	}
}

uint64_t purchase_orphans_locked(struct broker *b, uint64_t now_mono)
{
	while (!list_empty(&b->orphans)) {
		struct purchase *p = LIST_ENTRY(b->orphans.next, struct purchase, in_orphans);

		if (p->orphan_until_mono > now_mono)
			return p->orphan_until_mono;
		if (needed_locked(p))
			list_del(&p->in_orphans); /* asked again meanwhile */
		else
			cancel_locked(p);
	}
	return 0;
}

/* ---- the callbacks: on the net thread ---- */

static bool concerns(const struct job *j)
{
	return j->picks.v && !picks_full(&j->picks);
}

static void on_started(void *arg, unsigned attempt)
{
	struct purchase *p = arg;
	uint64_t now = mono_ns();

	LOCK_SCOPE(&p->f->b->lock);
	p->attempts = attempt;
	LIST_EACH(l, &p->f->jobs) {
		struct job *j = job_at(l);

		if (!concerns(j))
			continue;
		job_set_state_locked(p->f->b, j, BROKER_RUNNING);
		j->step = STEP_CALL;
		if (!j->times.sent_mono)
			j->times.sent_mono = now;
	}
}

static bool reads(const struct purchase *p, const struct job *j, unsigned choice)
{
	return j->stream && j->picks.v && !j->picks.v[0].have &&
	       j->picks.v[0].index == p->indices[choice];
}

/* the streams of everybody whose first sample is this choice; *out_n of them, each with a reference */
static struct stream **streams_locked(struct purchase *p, unsigned choice, size_t *out_n)
{
	struct stream **list;
	size_t n = 0;

	LIST_EACH(l, &p->f->jobs)
		n += reads(p, job_at(l), choice);
	*out_n = 0;
	list = n ? calloc(n, sizeof(struct stream *)) : NULL;
	if (list)
		LIST_EACH(l, &p->f->jobs)
			if (reads(p, job_at(l), choice))
				list[(*out_n)++] = stream_ref(job_at(l)->stream);
	return list;
}

static void first_text_locked(struct purchase *p)
{
	uint64_t now = mono_ns();

	LIST_EACH(l, &p->f->jobs) {
		struct job *j = job_at(l);

		if (!concerns(j))
			continue;
		j->step = STEP_STREAM;
		if (!j->times.first_mono)
			j->times.first_mono = now;
	}
}

static void on_text(void *arg, unsigned choice, const char *text, size_t n)
{
	struct purchase *p = arg;
	struct stream **list;
	size_t count = 0;

	if (choice >= p->n)
		return;
	lock_take(&p->f->b->lock);
	if (!p->sofar[choice].len)
		first_text_locked(p);
	/* over the maximum: infer fails the call by the same limit */
	(void)buf_add(&p->sofar[choice], text, n);
	list = streams_locked(p, choice, &count);
	lock_drop(&p->f->b->lock);
	for (size_t i = 0; i < count; i++) {
		(void)stream_append(list[i], text, n); /* a failed append fails the stream itself */
		stream_unref(list[i]);
	}
	free(list);
}

static void restart_choice(struct purchase *p, unsigned choice)
{
	struct stream **list;
	size_t count = 0;

	lock_take(&p->f->b->lock);
	buf_clear(&p->sofar[choice]);
	list = streams_locked(p, choice, &count);
	lock_drop(&p->f->b->lock);
	for (size_t i = 0; i < count; i++) {
		stream_restart(list[i]);
		stream_unref(list[i]);
	}
	free(list);
}

static void on_restart(void *arg, unsigned attempt, const struct err *why)
{
	struct purchase *p = arg;

	(void)attempt;
	(void)why;
	for (unsigned i = 0; i < p->n; i++)
		restart_choice(p, i);
}

static void over(struct purchase *p, enum purchase_state state)
{
	struct flight *f = p->f;

	lock_take(&f->b->lock);
	p->state = state;
	p->call = NULL;
	list_del(&p->in_orphans); /* paid for: it is stored whoever waits */
	LIST_EACH(l, &f->jobs)
		if (state == PURCHASE_ARRIVED && job_at(l)->picks.n == 1)
			job_at(l)->step = STEP_STORE;
	f->refs++;
	lock_drop(&f->b->lock);
	flight_poke(f);
	flight_unref(f);
}

static void on_failed(void *arg, const struct err *e)
{
	struct purchase *p = arg;

	p->error = *e;
	over(p, PURCHASE_FAILED);
}

static void on_done(void *arg, struct answer **take_answers, unsigned attempts)
{
	struct purchase *p = arg;

	fault_at("last-byte");
	memcpy(p->answers, take_answers, p->n * sizeof(struct answer *));
	p->attempts = attempts;
	over(p, PURCHASE_ARRIVED);
}

static const struct infer_sink sink = { on_started, on_text, on_restart, on_done, on_failed };

/* ---- the start ---- */

/* Everybody who waits has another model to ask: nobody needs the breaker's probe. */
static bool can_wait_elsewhere(struct flight *f)
{
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->jobs)
		if (!fallback_left(job_at(l)))
			return false;
	return true;
}

static void fill_spec(struct purchase *p, struct infer_spec *spec)
{
	struct flight *f = p->f;
	bool first = true;

	*spec = (struct infer_spec){ .backend = json_string_value(
					     json_object_get(f->request, "backend")),
				     .request = f->request,
				     .indices = p->indices,
				     .n = p->n,
				     .timeout_s = f->b->o.timeout_s };
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->jobs) {
		struct job *j = job_at(l);

		if (j->terms.images)
			spec->load = image_load;
		if (j->terms.timeout_s > 0)
			spec->timeout_s = 0; /* the tick ends it */
		spec->unbounded |= j->line != NULL;
		if (first || j->terms.priority < spec->priority)
			spec->priority = j->terms.priority;
		if (j->step < STEP_QUEUE)
			j->step = STEP_QUEUE;
		first = false;
	}
	f->refs++; /* the purchase's */
	list_append(&f->bought, &p->link);
}

static void let_go(struct purchase *p)
{
	struct flight *f = p->f;

	lock_take(&f->b->lock);
	list_del(&p->link);
	list_del(&p->in_orphans);
	flight_drop_locked(f);
	lock_drop(&f->b->lock);
	purchase_free(p);
}

static void refused(struct purchase *p, const char *backend, int r)
{
	struct err e = { 0 };

	err_set(&e,
		r == -ENOBUFS	  ? ERR_QUEUE_FULL
		: r == -ESHUTDOWN ? ERR_ENDING
		: r == -ENXIO	  ? ERR_NOT_FOUND
				  : ERR_INTERNAL,
		"the request could not be queued at the backend \"%s\": %s", backend, strerror(-r));
	for (unsigned i = 0; i < p->n; i++)
		flight_fail_index(p->f, p->indices[i], &e);
	let_go(p);
}

static bool wanted(const struct purchase *p)
{
	LOCK_SCOPE(&p->f->b->lock);
	return needed_locked(p);
}

static void start(struct flight *f, const struct deal_want *v, unsigned n)
{
	struct purchase *p = purchase_new(f, v, n);
	struct infer_call *c = NULL;
	struct infer_spec spec;
	struct err e = { 0 };
	int r;

	if (!p) {
		err_sys(&e, ENOMEM, "the request could not be started");
		for (unsigned i = 0; i < n; i++)
			flight_fail_index(f, v[i].index, &e);
		return;
	}
	fill_spec(p, &spec);
	if (!wanted(p)) { /* whoever wanted it has just left */
		let_go(p);
		return;
	}
	r = infer_call(f->b->o.infer, &spec, &sink, p, &c);
	if (r < 0) {
		refused(p, spec.backend, r);
		return;
	}
	lock_take(
		&f->b->lock); /* what lands, lands in a turn, and this one is ours: p is still there */
	if (p->state == PURCHASE_RUNNING) {
		p->call = c;
		if (p->cancelled || !needed_locked(p))
			cancel_locked(p);
	}
	lock_drop(&f->b->lock);
}

/* how many of v go into one call: whole requests up to the size of merging, or one alone however large; and
 * no more than the provider takes */
static unsigned chunk(const struct flight *f, const struct deal_want *v, size_t n, unsigned max)
{
	size_t taken = 0;

	while (taken < n) {
		size_t end = taken + 1;

		while (end < n && v[end].owner == v[taken].owner)
			end++;
		if (taken && (f->alone || end > f->b->o.merge.size || end > max))
			break;
		taken = end;
	}
	return taken < max ? (unsigned)taken : max;
}

void purchase_all(struct flight *f, const struct deal_list *missing)
{
	const char *backend = json_string_value(json_object_get(f->request, "backend"));
	unsigned max = infer_samples_max(f->b->o.infer, backend, f->request);
	struct err e = { 0 };
	size_t i = 0;

	if (can_wait_elsewhere(f) && infer_ready(f->b->o.infer, backend, &e) == -EHOSTDOWN) {
		for (; i < missing->n; i++)
			flight_fail_index(f, missing->v[i].index, &e);
		return;
	}
	while (i < missing->n) {
		unsigned n = chunk(f, missing->v + i, missing->n - i, max ? max : 1);

		start(f, missing->v + i, n);
		i += n;
	}
}

/* ---- the end ---- */

/* what is wrong with one request may be wrong with the merged one only, as more samples than the model gives */
static bool may_be_the_merging(const struct purchase *p)
{
	enum err_kind k = p->error.kind;

	return p->jobs > 1 && !p->f->alone &&
	       (k == ERR_REQUEST || k == ERR_CONTEXT || k == ERR_UNSUPPORTED);
}

static void land_failed(struct purchase *p)
{
	struct flight *f = p->f;

	if (p->error.attempts > 1)
		ledger_count(f->b->o.ledger, LEDGER_C_RETRIED, p->error.attempts - 1);
	lock_take(&f->b->lock);
	list_del(&p->link); /* what fails may come back at once, to another model */
	lock_drop(&f->b->lock);
	if (may_be_the_merging(p))
		f->alone = true;
	else if (!p->cancelled) /* who came since then has another one */
		for (unsigned i = 0; i < p->n; i++)
			flight_fail_index(f, p->indices[i], &p->error);
	let_go(p);
}

static struct purchase *next_over(struct flight *f)
{
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->bought)
		if (purchase_at(l)->state != PURCHASE_RUNNING)
			return purchase_at(l);
	return NULL;
}

bool purchase_land_all(struct flight *f, bool may_wait)
{
	struct purchase *p;

	while ((p = next_over(f))) {
		if (!may_wait)
			return false;
		if (p->state == PURCHASE_FAILED) {
			land_failed(p);
			continue;
		}
		land_answers(p);
		let_go(p);
	}
	return true;
}
