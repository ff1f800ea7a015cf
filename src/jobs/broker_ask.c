/* broker_ask.c - a request without a name: nothing is recorded, the cache and the counters apply */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "core/response.h"
#include "jobs/flight.h"
#include "jobs/inside.h"

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

static struct job *ask_job(struct checked *k)
{
	struct job *j = job_new();

	if (!j)
		return NULL;
	j->terms = k->terms;
	j->body = k->body;
	k->terms = (struct job_terms){ 0 };
	k->body = (struct job_body){ 0 };
	j->times.accepted_ns = mono_real_ns();
	j->times.accepted_mono = mono_ns();
	j->stream = stream_new();
	if (!j->stream) {
		free(j); /* holds nothing else worth keeping: out of memory */
		return NULL;
	}
	return j;
}

/* a stored answer is given at once, without a flight, a thread or a commit; false: not at hand */
static bool ask_hit(struct broker *b, struct job *j)
{
	struct object o = { 0 };
	struct buf bytes = BUF_INIT(OBJECT_MAX);
	enum request_cache mode = j->terms.cache;
	bool hit = false;

	if (mode == REQUEST_CACHE_USE || mode == REQUEST_CACHE_ONLY)
		hit = flight_lookup(b, &j->body.key, true, &o, &bytes) == STORE_OK;
	if (hit) {
		const json_t *text = json_object_get(o.sample, "text");

		settle_count(b, &(struct settle){ .sample = o.sample }, false);
		j->state = BROKER_DONE;
		j->ending = true;
		(void)stream_append(j->stream, json_string_value(text), json_string_length(text));
		stream_seal(j->stream);
	}
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
	if (r == 0)
		r = infer_room(b->o.infer, e);
	if (r < 0) {
		ledger_count(b->o.ledger, LEDGER_C_REQUESTS, -1);
		ledger_count(b->o.ledger, LEDGER_C_REFUSED, 1);
		return r;
	}
	if (j->terms.timeout_s > 0) {
		lock_take(&b->lock);
		list_append(&b->deadlines, &j->in_deadlines);
		cond_signal(&b->tick);
		lock_drop(&b->lock);
	}
	job_send(b, j);
	return 0;
}

int broker_ask(struct broker *b, const struct broker_ask_doc *d, struct broker_ask **out,
	       struct err *e)
{
	struct request_source src = { d->text, d->len, form_of(d->text, d->len), NULL };
	struct broker_ask *a;
	struct checked k = { 0 };
	int r;

	if (b->stopping)
		return err_set(e, ERR_ENDING,
			       "the daemon is ending; ask again after the next mount");
	r = check_request(b, &src, d->history, &k, NULL, e);
	if (r == 0 && check_is_embedding(k.body.request))
		r = err_field(
			e, ERR_UNSUPPORTED, "input",
			"ask answers with text; ask for embeddings with a file below prompts/ "
			"and read its embedding.json");
	if (r < 0) {
		ledger_count(b->o.ledger, LEDGER_C_REFUSED, 1);
		check_done(&k);
		return r;
	}
	a = calloc(1, sizeof(*a));
	if (a)
		a->job = ask_job(&k);
	check_done(&k);
	if (!a || !a->job) {
		free(a);
		return err_sys(e, ENOMEM, "the question could not be started");
	}
	a->b = b;
	lock_take(&b->lock);
	list_append(&b->asks, &a->link);
	lock_drop(&b->lock);
	r = ask_start(b, a->job, e);
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

json_t *broker_ask_history(struct broker_ask *a)
{
	const json_t *asked = json_object_get(a->job->body.request, "messages");
	struct stream_reader reader = { 0 };
	AUTO_FREE char *text = NULL;
	uint64_t size = stream_size(a->job->stream);
	json_t *all, *turn;
	size_t n = 0;

	if (!json_is_array(asked) || a->job->state != BROKER_DONE)
		return NULL;
	text = malloc(size + 1);
	if (!text ||
	    stream_read(a->job->stream, &reader, (struct stream_span){ text, size, 0 }, &n) < 0)
		return NULL;
	if (n && text[n - 1] == '\n')
		n--; /* the stream's own; the model did not say it */
	turn = json_object();
	json_object_set_new(turn, "role", json_string("assistant"));
	json_object_set_new(turn, "content", json_stringn(text, n));
	all = json_copy((json_t *)(uintptr_t)asked);
	if (json_array_append_new(all, turn) == 0)
		return all;
	json_decref(all);
	return NULL;
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
