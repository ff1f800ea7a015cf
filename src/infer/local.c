/*
 * infer/local.c - one attempt of a backend inside this process
 *
 * The answers are whole from the beginning; what a timer hands out is what a server would have sent by then: all
 * choices grow side by side, a token of each at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/choices.h"
#include "infer/local.h"

#include "base/banned.h"

struct local {
	struct loop *loop;
	const struct backend_config *config;
	struct attempt_sink sink;
	struct loop_timer timer;
	struct choices choices;
	size_t *at; /* bytes of text handed out of each */
	struct backend_pace pace;
	int rc; /* of answer() */
	struct err err;
	uint64_t first_ns; /* when the first token is due */
	uint64_t tokens;   /* handed out of each */
};

static void local_free(struct local *l)
{
	loop_timer_cancel(l->loop, &l->timer);
	choices_done(&l->choices);
	free(l->at);
	free(l);
}

static void end(struct local *l)
{
	struct attempt_sink sink = l->sink;
	struct attempt_end e;
	const char *why;

	memset(&e, 0, sizeof(e));
	e.why.retry_after_s = -1;
	if (l->rc)
		e.err = l->err;
	else if (!choices_end(&l->choices, &why))
		(void)err_set(&e.err, ERR_PROVIDER,
			      "%s ended its answer with the finish reason \"error\"",
			      l->config->name);
	else
		e.answers = choices_take(&l->choices);
	e.came = l->choices.came;
	(void)str_copy(e.err.backend, sizeof(e.err.backend), l->config->name); /* cut is fine */
	local_free(l);
	sink.end(sink.arg, &e);
}

static uint64_t due_ns(const struct local *l)
{
	return l->first_ns + (uint64_t)((double)l->tokens / l->pace.tokens_per_s * 1e9);
}

/* One more token of every text, or with no pace all that is left; false: nothing was. */
static bool advance(struct local *l)
{
	bool more = false;

	for (unsigned i = 0; i < l->choices.n; i++) {
		const struct buf *text = &l->choices.v[i]->text;
		size_t left = text->len - l->at[i], n;

		if (!left)
			continue;
		n = l->pace.tokens_per_s > 0
			    ? l->config->type->local->token(text->data + l->at[i], left)
			    : left;
		l->at[i] += n;
		more = true;
	}
	l->tokens++;
	return more;
}

/* All tokens that are due by now, in one piece of each text; false: that was the last of them. */
static bool hand_out(struct local *l)
{
	size_t from[BACKEND_SAMPLES_MAX];
	uint64_t now = mono_ns();
	bool left = false;

	memcpy(from, l->at, l->choices.n * sizeof(*l->at));
	while ((l->pace.tokens_per_s <= 0 || due_ns(l) <= now) && advance(l))
		;
	for (unsigned i = 0; i < l->choices.n; i++) {
		const struct buf *text = &l->choices.v[i]->text;

		if (l->at[i] > from[i])
			l->sink.text(l->sink.arg, i, text->data + from[i], l->at[i] - from[i]);
		left |= l->at[i] < text->len;
	}
	return left;
}

static void on_timer(struct loop_timer *t)
{
	struct local *l = CONTAINER_OF(t, struct local, timer);

	if (l->rc == 0 && hand_out(l) && loop_timer_arm(l->loop, &l->timer, due_ns(l)) == 0)
		return;
	end(l);
}

/* Pace and failure are the request's, so they are the same for all. What all wrote is the call's, as a server would
 * tell it; the input is the same text. */
static int answer_all(struct local *l, const struct order *o)
{
	struct answer_usage *sum = &l->choices.v[0]->usage;
	int rc = 0;

	for (unsigned i = 0; i < o->n && !rc; i++) {
		rc = o->config->type->local->answer(o->config, o->effective,
						    o->indices ? o->indices[i] : i, l->choices.v[i],
						    &l->pace, &l->err);
		if (i && !rc)
			sum->output += l->choices.v[i]->usage.output;
	}
	return rc;
}

int local_start(struct loop *loop, const struct order *o, const struct attempt_sink *sink,
		struct local **out)
{
	struct local *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	l->config = o->config;
	l->sink = *sink;
	l->timer.fire = on_timer;
	l->at = calloc(o->n, sizeof(*l->at));
	if (!l->at || choices_init(&l->choices, o->n)) {
		local_free(l);
		return -ENOMEM;
	}
	l->rc = answer_all(l, o);
	l->first_ns = mono_ns() + (uint64_t)(l->pace.delay_ms * 1e6);
	if (loop_timer_arm(loop, &l->timer, l->first_ns)) {
		local_free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

void local_cancel(struct local *l)
{
	if (l)
		local_free(l);
}
