/*
 * infer/local.c - one attempt of a backend inside this process
 *
 * The answer is whole from the beginning; what a timer hands out is what a server would have sent by then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/local.h"

#include "base/banned.h"

struct local {
	struct loop *loop;
	const struct backend_config *config;
	struct attempt_sink sink;
	struct loop_timer timer;
	struct answer *answer;
	struct backend_pace pace;
	int rc; /* of answer() */
	struct err err;
	uint64_t first_ns; /* when the first token is due */
	uint64_t tokens;   /* handed out */
	size_t at;	   /* bytes of text handed out */
};

static void local_free(struct local *l)
{
	loop_timer_cancel(l->loop, &l->timer);
	answer_free(l->answer);
	free(l);
}

static void end(struct local *l)
{
	struct attempt_sink sink = l->sink;
	struct attempt_end e;

	memset(&e, 0, sizeof(e));
	e.why.retry_after_s = -1;
	if (l->rc)
		e.err = l->err;
	else if (l->answer->finish_reason && strcmp(l->answer->finish_reason, "error") == 0)
		(void)err_set(&e.err, ERR_PROVIDER,
			      "%s ended its answer with the finish reason \"error\"",
			      l->config->name);
	else
		e.answer = TAKE(l->answer);
	(void)str_copy(e.err.backend, sizeof(e.err.backend), l->config->name); /* cut is fine */
	local_free(l);
	sink.end(sink.arg, &e);
}

static uint64_t due_ns(const struct local *l)
{
	return l->first_ns + (uint64_t)((double)l->tokens / l->pace.tokens_per_s * 1e9);
}

/* All tokens that are due by now, in one piece. */
static void hand_out(struct local *l)
{
	const struct buf *text = &l->answer->text;
	size_t from = l->at;
	uint64_t now = mono_ns();

	if (l->pace.tokens_per_s <= 0)
		l->at = text->len;
	while (l->at < text->len && due_ns(l) <= now) {
		l->at += l->config->type->local->token(text->data + l->at, text->len - l->at);
		l->tokens++;
	}
	if (l->at > from)
		l->sink.text(l->sink.arg, text->data + from, l->at - from);
}

static void on_timer(struct loop_timer *t)
{
	struct local *l = CONTAINER_OF(t, struct local, timer);

	if (l->rc == 0) {
		hand_out(l);
		if (l->at < l->answer->text.len &&
		    loop_timer_arm(l->loop, &l->timer, due_ns(l)) == 0)
			return;
	}
	end(l);
}

int local_start(struct loop *loop, const struct backend_config *c, const json_t *effective,
		uint32_t index, const struct attempt_sink *sink, struct local **out)
{
	struct local *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	l->config = c;
	l->sink = *sink;
	l->timer.fire = on_timer;
	l->answer = answer_new();
	if (!l->answer) {
		local_free(l);
		return -ENOMEM;
	}
	l->rc = c->type->local->answer(c, effective, index, l->answer, &l->pace, &l->err);
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
