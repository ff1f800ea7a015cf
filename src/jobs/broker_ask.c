/* broker_ask.c - a request without a name: nothing is recorded, the cache and the counters apply */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "core/response.h"
#include "jobs/check.h"
#include "jobs/fallback.h"
#include "jobs/flight.h"
#include "jobs/image.h"
#include "jobs/settle.h"

#include "base/banned.h"

struct broker_ask {
	struct list link; /* of the broker's asks */
	struct broker *b;
	struct job *job;
};

static enum request_form form_of(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr(" \t\r\n", text[i]))
			return text[i] == '{' ? REQUEST_JSON : REQUEST_TEXT;
	return REQUEST_TEXT;
}

static struct job *ask_job(void)
{
	struct job *j = job_new();

	if (!j)
		return NULL;
	j->times.accepted_ns = mono_real_ns();
	j->times.accepted_mono = mono_ns();
	j->stream = stream_new();
	if (!j->stream) {
		free(j); /* holds nothing else worth keeping: out of memory */
		return NULL;
	}
	return j;
}

static void ask_fill(struct job *j, struct checked *k)
{
	j->terms = k->terms;
	j->body = k->body;
	j->ask = k->ask;
	k->terms = (struct job_terms){ 0 };
	k->body = (struct job_body){ 0 };
	k->ask = (struct job_ask){ 0 };
}

/* a stored answer is given at once, without a flight, a thread or a commit; false: not at hand */
static bool ask_hit(struct broker *b, struct job *j)
{
	struct object o = { 0 };
	struct buf bytes = BUF_INIT(OBJECT_MAX);
	enum request_cache mode = j->terms.cache;
	bool hit = false;

	if (mode == REQUEST_CACHE_USE || mode == REQUEST_CACHE_ONLY)
		hit = flight_lookup(b, &(struct answers_id){ .key = j->body.key }, true, &o,
				    &bytes) == STORE_OK;
	if (hit)
		settle_ask(b, j, o.sample, false);
	object_done(&o);
	buf_done(&bytes);
	return hit;
}

static int ask_start(struct broker *b, struct job *j, struct err *e)
{
	int r;

	ledger_count(b->o.ledger, LEDGER_C_REQUESTS, 1);
	if (ask_hit(b, j))
		return 0;
	r = infer_ready(b->o.infer, j->terms.backend, e);
	if (r == -EHOSTDOWN && fallback_left(j))
		r = 0;
	if (r == 0)
		r = infer_room(b->o.infer, e);
	if (r < 0) {
		ledger_count(b->o.ledger, LEDGER_C_REQUESTS, -1);
		ledger_count(b->o.ledger, LEDGER_C_REFUSED, 1);
		return r;
	}
	if (j->terms.timeout_s > 0) {
		lock_take(&b->lock);
		if (!j->ending) /* closed meanwhile, when the images took long */
			list_append(&b->deadlines, &j->in_deadlines);
		cond_signal(&b->tick);
		lock_drop(&b->lock);
	}
	job_send(b, j);
	return 0;
}

/* ---- images have to be read first, which the reader's thread must not wait for ---- */

struct late_ask {
	struct pool_task task;
	struct broker *b;
	struct job *job;
	struct checked k;
	json_t *history; /* a copy of its own: counts shared by threads are no barrier */
};

/* It was never a request, but its reader waits on the stream for what submitting would have told. */
static void ask_refuse(struct broker *b, struct job *j, const struct err *e)
{
	struct err *copy = malloc(sizeof(*copy));
	bool mine;

	ledger_count(b->o.ledger, LEDGER_C_REFUSED, 1);
	lock_take(&b->lock);
	mine = !j->ending;
	j->ending = true;
	if (mine && copy) {
		*copy = *e;
		j->error = TAKE(copy);
		job_set_state_locked(b, j, BROKER_FAILED);
	}
	lock_drop(&b->lock);
	free(copy);
	if (mine)
		stream_fail(j->stream, e->code ? e->code : EIO);
}

static bool ask_is_over(struct broker *b, const struct job *j)
{
	LOCK_SCOPE(&b->lock);
	return j->ending || b->stopping;
}

static void late_ask_run(struct pool_task *t)
{
	struct late_ask *l = CONTAINER_OF(t, struct late_ask, task);
	struct broker *b = l->b;
	struct job *j = l->job;
	struct err e = { 0 };
	int r = 0;

	if (!ask_is_over(b, j)) {
		r = image_learn(b, "", "", l->k.request, &e);
		if (r == 0)
			r = check_request(b, NULL, l->history, &l->k, &e);
		if (r == 0) {
			ask_fill(j, &l->k);
			r = ask_start(b, j, &e);
		}
		if (r < 0)
			ask_refuse(b, j, &e);
	}
	lock_take(&b->lock);
	if (j->ending) /* closed between the look and the sending */
		flight_leave_locked(b, j, false);
	lock_drop(&b->lock);
	check_done(&l->k);
	json_decref(l->history);
	free(l);
	job_unref(b, j);
}

static int ask_later(struct broker *b, struct job *j, struct checked *k, const json_t *history,
		     struct err *e)
{
	struct late_ask *l = calloc(1, sizeof(*l));

	if (!l)
		return err_sys(e, ENOMEM, "the question could not be started");
	*l = (struct late_ask){ .task.run = late_ask_run, .b = b, .job = j, .k = *k };
	*k = (struct checked){ 0 };
	l->history = json_deep_copy(history);
	lock_take(&b->lock);
	job_ref(j);
	lock_drop(&b->lock);
	if (pool_post(b->pool, &l->task) == 0)
		return 0;
	check_done(&l->k);
	json_decref(l->history);
	free(l);
	job_unref(b, j);
	return err_set(e, ERR_QUEUE_FULL, "too much waits for the disk; ask again in a moment");
}

static int ask_parse(const struct broker_ask_doc *d, struct checked *k, struct err *e)
{
	struct request_source src = { d->text, d->len, form_of(d->text, d->len), NULL };
	int r = request_parse(&src, &k->request, NULL, e);

	if (r == 0 && k->request->endpoint == REQUEST_EMBEDDING)
		r = err_field(
			e, ERR_UNSUPPORTED, "input",
			"ask answers with text; ask for embeddings with a file below prompts/ "
			"and read its embedding.json");
	return r;
}

static int ask_begin(struct broker *b, struct job *j, struct checked *k, const json_t *history,
		     struct err *e)
{
	int r;

	if (image_unknown(k->request))
		return ask_later(b, j, k, history, e);
	r = check_request(b, NULL, history, k, e);
	if (r < 0) {
		ledger_count(b->o.ledger, LEDGER_C_REFUSED, 1);
		return r;
	}
	ask_fill(j, k);
	return ask_start(b, j, e);
}

int broker_ask(struct broker *b, const struct broker_ask_doc *d, struct broker_ask **out,
	       struct err *e)
{
	struct broker_ask *a;
	struct checked k = { 0 };
	int r;

	if (broker_is_stopping(b))
		return err_set(e, ERR_ENDING,
			       "the daemon is ending; ask again after the next mount");
	r = ask_parse(d, &k, e);
	if (r < 0) {
		ledger_count(b->o.ledger, LEDGER_C_REFUSED, 1);
		check_done(&k);
		return r;
	}
	a = calloc(1, sizeof(*a));
	if (a)
		a->job = ask_job();
	if (!a || !a->job) {
		check_done(&k);
		free(a);
		return err_sys(e, ENOMEM, "the question could not be started");
	}
	a->b = b;
	lock_take(&b->lock);
	list_append(&b->asks, &a->link);
	lock_drop(&b->lock);
	r = ask_begin(b, a->job, &k, d->history, e);
	check_done(&k);
	if (r < 0)
		(void)broker_ask_end(a);
	else
		*out = a;
	return r;
}

struct stream *broker_ask_stream(struct broker_ask *a)
{
	return a->job->stream;
}

int broker_ask_error_json(const struct err *e, struct buf *out)
{
	return response_error_json(e, "ask", out);
}

int broker_ask_error(struct broker_ask *a, struct buf *out)
{
	LOCK_SCOPE(&a->b->lock);
	return a->job->error ? response_error_json(a->job->error, "ask", out) : -ENODATA;
}

static json_t *answer_turn(struct job *j)
{
	struct stream_reader reader = { 0 };
	uint64_t size = stream_size(j->stream);
	AUTO_FREE char *text = malloc(size + 1);
	size_t n = 0;

	if (!text || stream_read(j->stream, &reader, (struct stream_span){ text, size, 0 }, &n) < 0)
		return NULL;
	if (n && text[n - 1] == '\n')
		n--; /* the stream's own; the model did not say it */
	return json_pack("{s:s, s:o, s:o*}", "role", "assistant", "content", json_stringn(text, n),
			 "tool_calls", json_deep_copy(j->ask.calls));
}

json_t *broker_ask_history(struct broker_ask *a)
{
	struct job *j = a->job;
	const json_t *asked = json_object_get(j->body.request, "messages");
	json_t *all;

	if (!json_is_array(asked) || j->state != BROKER_DONE)
		return NULL;
	all = json_deep_copy(asked); /* other threads still count the job's own */
	if (json_array_append_new(all, answer_turn(j))) {
		json_decref(all);
		return NULL;
	}
	return json_pack("{s:o, s:o*, s:o*}", "messages", all, "images",
			 json_deep_copy(j->terms.images), "inline", json_deep_copy(j->ask.images));
}

/* one at a time, for a stream is failed with no lock held */
static struct stream *next_unended_locked(struct broker *b)
{
	LIST_EACH(l, &b->asks) {
		struct broker_ask *a = LIST_ENTRY(l, struct broker_ask, link);

		if (!stream_ended(a->job->stream))
			return stream_ref(a->job->stream);
	}
	return NULL;
}

void broker_ask_quiet(struct broker *b)
{
	struct stream *s;

	for (;;) {
		lock_take(&b->lock);
		s = next_unended_locked(b);
		lock_drop(&b->lock);
		if (!s)
			return;
		stream_fail(s, ESHUTDOWN);
		stream_unref(s);
	}
}

struct broker_ask *broker_ask_end(struct broker_ask *a)
{
	struct broker *b;
	struct job *j;

	if (!a)
		return NULL;
	b = a->b;
	j = a->job;
	lock_take(&b->lock);
	list_del(&a->link);
	list_del(&j->in_deadlines);
	if (!j->ending) {
		j->ending = true;
		flight_leave_locked(b, j, false);
		job_set_state_locked(b, j, BROKER_CANCELLED);
		ledger_count(b->o.ledger, LEDGER_C_CANCELLED, 1);
	}
	lock_drop(&b->lock);
	job_unref(b, j);
	free(a);
	return NULL;
}
