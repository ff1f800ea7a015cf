/*
 * infer/call_gate.c - a call and the limits of its backend: before an attempt, after it, at the end
 */
#include <errno.h>

#include "base/mono.h"
#include "infer/call_inside.h"

#include "base/banned.h"

/* Four bytes a token is what all of them come near; each answer may take all it is allowed. */
static double estimate(const struct infer_call *c)
{
	const json_t *max = json_object_get(c->order.effective, "max_tokens");

	return (double)c->order.body.body.len / 4 +
	       (double)json_integer_value(max) * c->order.asked;
}

int call_gate_admit(struct infer_call *c)
{
	uint64_t now = mono_ns(), wait;
	bool probe = c->flags & C_PROBE;

	if (c->backend->config->type->local)
		return 0;
	c->tokens = c->backend->config->limits.tpm ? estimate(c) : 0;
	lock_take(&c->env->lock);
	wait = gate_admit(&c->backend->gate, now, c->tokens, &probe);
	lock_drop(&c->env->lock);
	c->flags = (c->flags & ~(unsigned)C_GATED) | (probe ? C_PROBE : 0) | (wait ? C_GATED : 0);
	if (!wait)
		return 0;
	return loop_timer_arm(c->env->loop, &c->pause, now + wait) ? -ENOMEM : -EINPROGRESS;
}

struct limit_waiter *call_gate_hear(struct infer_call *c, const struct attempt_end *end)
{
	struct gate *g = &c->backend->gate;
	struct limit_waiter *next;
	const struct answer_usage *u = end->answers ? &end->usage : NULL;
	double took = u && u->input >= 0 && u->output >= 0 ? (double)(u->input + u->output) : -1;
	uint64_t now = mono_ns();

	if (c->backend->config->type->local)
		return NULL;
	lock_take(&c->env->lock);
	gate_told(g, now, &end->quota);
	gate_settle(g, c->tokens, took);
	if (end->answers)
		gate_good(g);
	else if (end->err.kind == ERR_RATE_LIMIT)
		gate_refused(g, now, end->why.retry_after_s, c->backend->limit.in);
	limit_set_max(&c->backend->limit, g->allowed);
	next = limit_next(&c->backend->limit);
	lock_drop(&c->env->lock);
	return next;
}

/* The breaker changed: those that wait for it ask again. */
static void wake_gated(const struct call_backend *b, struct call_env *env)
{
	LIST_EACH(l, &env->calls) {
		struct infer_call *c = LIST_ENTRY(l, struct infer_call, link);

		if (c->backend != b || !(c->flags & C_GATED))
			continue;
		loop_timer_cancel(env->loop, &c->pause);
		if (loop_timer_arm(env->loop, &c->pause, mono_ns())) {
			/* no memory: it was armed a moment ago, so this cannot be; its limit ends it */
		}
	}
}

/* A user whose own time was short says nothing about the backend. */
static enum err_kind outcome_of(const struct infer_call *c, const struct err *e)
{
	bool impatient = e && e->kind == ERR_TIMEOUT && c->deadline_ns &&
			 c->limit_ns == c->deadline_ns && mono_ns() >= c->limit_ns;

	if (!e)
		return ERR_NONE;
	return c->retry.attempts && !impatient ? e->kind : ERR_CANCELLED;
}

void call_gate_end(struct infer_call *c, const struct err *e)
{
	struct call_env *env = c->env;
	bool changed = false;

	lock_take(&env->lock);
	/* what never was sent says nothing about the backend, but that a probe of it did not take place */
	if (c->retry.attempts || c->flags & C_PROBE)
		changed = gate_outcome(&c->backend->gate, mono_ns(), outcome_of(c, e),
				       c->flags & C_PROBE);
	lock_drop(&env->lock);
	if (changed)
		wake_gated(c->backend, env);
}

/* ---- time is over ---- */

static double seconds_since(uint64_t then)
{
	uint64_t now = mono_ns();

	return now > then ? (double)(now - then) / 1e9 : 0;
}

void call_gate_say_late(const struct infer_call *c, bool waiting, struct err *e)
{
	const struct backend_config *config = c->backend->config;
	double s = seconds_since(c->opened_ns);
	char url[160];

	attempt_url(config, url, sizeof(url));
	if (waiting && !c->retry.attempts)
		(void)err_set(
			e, ERR_TIMEOUT,
			"time was over after %.3g s in the queue: all %u places of %s were taken",
			s, config->limits.concurrency ? config->limits.concurrency : 1,
			config->name);
	else if (c->last)
		(void)err_set(e, ERR_TIMEOUT,
			      "time was over after %.3g s and %u attempts; before that: %s", s,
			      c->retry.attempts, c->last->message);
	else if (c->local)
		(void)err_set(e, ERR_TIMEOUT, "time was over after %.3g s: %s was still answering",
			      s, config->name);
	else if (!c->attempt)
		(void)err_set(e, ERR_TIMEOUT, "time was over after %.3g s, before %s was asked", s,
			      config->name);
	else if (attempt_phase(c->attempt) == ATTEMPT_CONNECTING)
		(void)err_set(e, ERR_TIMEOUT, "time was over after %.3g s: no connection to %s yet",
			      s, url);
	else if (attempt_phase(c->attempt) == ATTEMPT_SENT)
		(void)err_set(
			e, ERR_TIMEOUT,
			"time was over after %.3g s: %s had the request and no byte of an answer came",
			s, config->name);
	else
		(void)err_set(
			e, ERR_TIMEOUT,
			"time was over after %.3g s: %s was still answering (raise `timeout`?)", s,
			config->name);
}
