/*
 * infer/call.c - one call's life
 *
 * begin, try_again, pause and finish are its steps; whatever ends a call goes through finish, once.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/call_inside.h"

#include "base/banned.h"

static const char *name_of(const struct infer_call *c)
{
	return c->backend->config->name;
}

/* ---- the call as memory ---- */

static void on_open(struct loop_task *t);
static void on_cancel(struct loop_task *t);
static void on_loaded(struct loop_task *t);
static void on_limit(struct loop_timer *t);
static void on_pause_over(struct loop_timer *t);

struct infer_call *call_free(struct infer_call *c)
{
	if (!c)
		return NULL;
	call_text_drop(c);
	order_done(&c->order);
	free(c->last);
	free(c->load.error);
	free(c);
	return NULL;
}

struct infer_call *call_new(struct call_env *env, struct call_backend *b,
			    const struct infer_spec *spec, const struct infer_sink *sink, void *arg)
{
	struct infer_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->env = env;
	c->backend = b;
	c->sink = *sink;
	c->arg = arg;
	c->open.run = on_open;
	c->cancel.task.run = on_cancel;
	c->load.task.run = on_loaded;
	c->limit.fire = on_limit;
	c->pause.fire = on_pause_over;
	list_init(&c->link);
	list_init(&c->ready_link);
	call_text_init(c);
	limit_waiter_init(&c->place, spec->priority);
	c->place.unbounded = spec->unbounded;
	c->limit_ns = c->deadline_ns = spec->deadline_ns;
	order_init(&c->order, b->config, spec);
	if (c->order.n > 1)
		order_ask(&c->order, call_samples_max(env, b, spec->request));
	return c;
}

unsigned call_samples_max(struct call_env *env, struct call_backend *b, const json_t *effective)
{
	const struct backend_config *c = b->config;
	unsigned max = c->type->numbers.samples_max ? c->type->numbers.samples_max(c, effective)
						    : 1;
	bool one;

	lock_take(&env->lock);
	one = single_has(&b->single, json_string_value(json_object_get(effective, "model")));
	lock_drop(&env->lock);
	return one ? 1 : max;
}

void call_prepare(struct infer_call *c)
{
	if (!c->order.load && order_build(&c->order, NULL, NULL))
		buf_done(&c->order.body.body); /* begin() tries again and tells why */
}

/* ---- the end ---- */

/* A user who cancels, a program that ends and a request that was never sent say nothing about the
 * backend. */
static void count_end(struct infer_status *s, const struct err *e, unsigned attempts)
{
	if (!e) {
		s->ok++;
		s->last_ok_real_ns = mono_real_ns();
	} else if (e->kind != ERR_CANCELLED && e->kind != ERR_ENDING &&
		   (attempts || e->kind != ERR_REQUEST)) {
		s->failed++;
		s->last_error_real_ns = mono_real_ns();
		(void)str_copy(s->last_error, sizeof(s->last_error), e->message); /* same size */
	}
}

static void pump_ready(struct call_env *env)
{
	if (!env->pumping)
		env->pumping = loop_post(env->loop, &env->pump) == 0;
}

/* A place became free and next has it. One whose open task has not run yet begins there. */
static void wake_next(struct call_env *env, struct limit_waiter *next)
{
	struct infer_call *c;

	if (!next)
		return;
	c = CONTAINER_OF(next, struct infer_call, place);
	if (!(c->flags & C_OPENED))
		return;
	list_append(&env->ready, &c->ready_link);
	pump_ready(env);
}

/* The lock is let go before the next call is woken: its steps take it again. */
static void leave_place(struct infer_call *c)
{
	struct limit_waiter *next;

	lock_take(&c->env->lock);
	next = limit_leave(&c->backend->limit, &c->place);
	lock_drop(&c->env->lock);
	wake_next(c->env, next);
}

/* After this no timer and no network event knows the call. */
static void drop_work(struct infer_call *c)
{
	loop_timer_cancel(c->env->loop, &c->limit);
	loop_timer_cancel(c->env->loop, &c->pause);
	attempt_cancel(TAKE(c->attempt));
	local_cancel(TAKE(c->local));
	list_del(&c->link);
	list_del(&c->ready_link);
}

/* answers are consumed, and the array; NULL: failed with e. c is gone afterwards, or when its other tasks have
 * run. */
static void finish(struct infer_call *c, struct answer **take_answers, struct err *e)
{
	struct call_env *env = c->env;
	bool kept;

	assert(!(c->flags & C_FINISHED));
	c->flags |= C_FINISHED;
	call_text_flush(c);
	drop_work(c);
	lock_take(&env->lock);
	count_end(&c->backend->status, take_answers ? NULL : e, c->retry.attempts);
	lock_drop(&env->lock);
	call_gate_end(c, take_answers ? NULL : e);
	leave_place(c);
	if (take_answers) {
		c->sink.done(c->arg, take_answers, c->retry.attempts);
		free(take_answers);
	} else {
		e->attempts = c->retry.attempts;
		if (!e->backend[0])
			(void)str_copy(e->backend, sizeof(e->backend),
				       name_of(c)); /* cut is fine */
		c->sink.failed(c->arg, e);
	}
	lock_take(&env->lock);
	kept = c->cancel.posted || c->load.under_way;
	if (kept)
		list_append(&env->cancelled, &c->link);
	lock_drop(&env->lock);
	if (!kept)
		(void)call_free(c);
}

static void finish_internal(struct infer_call *c)
{
	struct err e;

	(void)err_set(&e, ERR_INTERNAL, "no memory for a request to %s", name_of(c));
	finish(c, NULL, &e);
}

/* ---- time ---- */

static void on_limit(struct loop_timer *t)
{
	struct infer_call *c = CONTAINER_OF(t, struct infer_call, limit);
	struct err e;
	bool waiting;

	lock_take(&c->env->lock);
	waiting = c->place.state == LIMIT_WAITING;
	lock_drop(&c->env->lock);
	call_gate_say_late(c, waiting, &e);
	finish(c, NULL, &e);
}

/* false: time is over already, or there is no memory to measure it; c is finished */
static bool arm_limit(struct infer_call *c)
{
	if (!c->limit_ns)
		return true;
	if (mono_ns() >= c->limit_ns) {
		on_limit(&c->limit);
		return false;
	}
	if (loop_timer_arm(c->env->loop, &c->limit, c->limit_ns)) {
		finish_internal(c);
		return false;
	}
	return true;
}

/* ---- attempts ---- */

static void on_text(void *arg, unsigned choice, const char *p, size_t n)
{
	call_text_add(arg, choice, p, n);
}

static void on_attempt_end(void *arg, struct attempt_end *end);

static int start_attempt(struct infer_call *c)
{
	const struct attempt_sink sink = { .text = on_text, .end = on_attempt_end, .arg = c };
	const struct backend_config *config = c->backend->config;
	const struct attempt_spec spec = { .config = config,
					   .http = c->env->http,
					   .target = c->backend->target,
					   .url = c->order.url,
					   .header = c->order.body.header,
					   .stream = c->order.body.stream,
					   .n = c->order.n,
					   .body = &c->order.body.body };

	if (config->type->local)
		return local_start(c->env->loop, &c->order, &sink, &c->local);
	return attempt_start(&spec, &sink, &c->attempt);
}

/* started comes after the attempt exists and before its first event, which needs a turn of
 * the loop. */
static void try_now(struct infer_call *c)
{
	if (start_attempt(c)) {
		finish_internal(c);
		return;
	}
	c->retry.attempts++;
	c->sink.started(c->arg, c->retry.attempts);
}

static void count_begun(struct infer_call *c)
{
	lock_take(&c->env->lock);
	c->backend->status.calls++;
	lock_drop(&c->env->lock);
}

/* The time of a request counts from here. false: c is finished */
static bool first_time(struct infer_call *c)
{
	uint64_t until;

	if (c->flags & C_BEGUN)
		return true;
	c->flags |= C_BEGUN;
	count_begun(c);
	if (c->order.timeout_s > 0 && c->order.timeout_s < 1e9) {
		until = mono_ns() + (uint64_t)(c->order.timeout_s * 1e9);
		if (!c->limit_ns || until < c->limit_ns)
			c->limit_ns = until;
	}
	return arm_limit(c);
}

static void go(struct infer_call *c)
{
	int rc = call_gate_admit(c);

	if (rc == -ENOMEM)
		finish_internal(c);
	else if (rc == 0 && first_time(c))
		try_now(c);
}

/* Asks for the images and leaves the rest to on_loaded. */
static void load(struct infer_call *c)
{
	void (*wanted)(void *arg, struct infer_call *call) = c->order.load;

	c->order.load = NULL;
	lock_take(&c->env->lock);
	c->load.under_way = true;
	c->env->loading++;
	lock_drop(&c->env->lock);
	wanted(c->arg, c);
}

/* It has a place: the first attempt, or the next one when its pause let the place go. */
static void begin(struct infer_call *c)
{
	struct err e;

	if (c->order.load) {
		if (first_time(c)) /* a disk may hang, too */
			load(c);
		return;
	}
	if (order_build(&c->order, NULL, &e)) {
		finish(c, NULL, &e);
		return;
	}
	go(c);
}

/* A finished call goes when the last of its tasks has run. */
static void let_go(struct infer_call *c)
{
	bool last;

	lock_take(&c->env->lock);
	last = !c->cancel.posted && !c->load.under_way;
	if (last)
		list_del(&c->link);
	lock_drop(&c->env->lock);
	if (last)
		(void)call_free(c);
}

static void on_loaded(struct loop_task *t)
{
	struct infer_call *c = CONTAINER_OF(t, struct infer_call, load.task);

	lock_take(&c->env->lock);
	c->load.under_way = false;
	lock_drop(&c->env->lock);
	if (c->flags & C_FINISHED)
		let_go(c);
	else if (c->load.error)
		finish(c, NULL, c->load.error);
	else if (c->order.built || c->backend->config->type->local)
		go(c);
	else
		finish_internal(c);
}

/* From here on the loop thread owns the call. It may have got a place meanwhile, or not yet. */
static void on_open(struct loop_task *t)
{
	struct infer_call *c = CONTAINER_OF(t, struct infer_call, open);
	bool in;

	c->flags |= C_OPENED;
	c->opened_ns = mono_ns();
	list_append(&c->env->calls, &c->link);
	lock_take(&c->env->lock);
	in = c->place.state == LIMIT_IN;
	lock_drop(&c->env->lock);
	if (in)
		begin(c);
	else
		(void)arm_limit(c); /* finished or not: nothing else to do here */
}

/* A loop instead of a call from finish(): a thousand short calls in a row must not nest. */
static void on_pump(struct loop_task *t)
{
	struct call_env *env = CONTAINER_OF(t, struct call_env, pump);
	struct list *e;

	env->pumping = false;
	while ((e = list_pop(&env->ready)))
		begin(CONTAINER_OF(e, struct infer_call, ready_link));
}

/* A call that was told to come slower keeps its place, so that the queue behind it slows down too. */
static void pause_for(struct infer_call *c, uint64_t pause_ns, const struct err *why)
{
	unsigned broken = c->retry.attempts;

	call_text_drop(c);
	lock_take(&c->env->lock);
	c->backend->status.retried++;
	lock_drop(&c->env->lock);
	if (!c->last)
		c->last = malloc(sizeof(*c->last));
	if (!c->last || loop_timer_arm(c->env->loop, &c->pause, mono_ns() + pause_ns)) {
		finish_internal(c);
		return;
	}
	*c->last = *why;
	if (why->kind != ERR_RATE_LIMIT)
		leave_place(c);
	c->sink.restart(c->arg, broken, c->last);
}

static void on_pause_over(struct loop_timer *t)
{
	struct infer_call *c = CONTAINER_OF(t, struct infer_call, pause);
	bool in;

	lock_take(&c->env->lock);
	in = c->place.state == LIMIT_IN || limit_again(&c->backend->limit, &c->place) == 0;
	lock_drop(&c->env->lock);
	if (in)
		begin(c);
}

/* Some answers (Gemini's vectors) name no model; it is then the one that was asked. */
static void name_model(const struct infer_call *c, struct answer *const *v)
{
	const char *asked = json_string_value(json_object_get(c->order.effective, "model"));

	for (unsigned i = 0; asked && i < c->order.n; i++)
		if (v[i] && !v[i]->model)
			v[i]->model = strdup(asked); /* without memory it stays unknown */
}

/* Our own service brings what it is asked for; fewer than that is chance. A server at another address may not know
 * the parameter at all. */
static void learn(struct infer_call *c, const struct attempt_end *end)
{
	const json_t *model = json_object_get(c->order.effective, "model");

	if (!c->order.refused &&
	    (c->order.asked < 2 || end->came > 1 || c->backend->config->at.default_url))
		return;
	lock_take(&c->env->lock);
	single_add(&c->backend->single, json_string_value(model));
	lock_drop(&c->env->lock);
}

/* The request may be good but for the number of samples: whoever wanted more of them asks again for the rest. */
static bool ask_for_one(struct infer_call *c, const struct err *e)
{
	if (c->order.asked < 2 || !single_refused(e) || order_one(&c->order))
		return false;
	pause_for(c, 0, e);
	return true;
}

/* The attempt is gone already; its answer or its error is ours. */
static void on_attempt_end(void *arg, struct attempt_end *end)
{
	struct infer_call *c = arg;
	struct retry_when when = { .now_ns = mono_ns(), .limit_ns = c->limit_ns };
	int64_t pause;

	c->attempt = NULL;
	c->local = NULL;
	wake_next(c->env, call_gate_hear(c, end));
	if (end->answers) {
		name_model(c, end->answers);
		learn(c, end);
		finish(c, end->answers, NULL);
		return;
	}
	end->err.attempts = c->retry.attempts;
	if (ask_for_one(c, &end->err))
		return;
	when.random = retry_chance(&c->env->random);
	pause = retry_next(&c->retry, &c->backend->config->limits, &end->why, &when);
	if (pause < 0)
		finish(c, NULL, &end->err);
	else
		pause_for(c, (uint64_t)pause, &end->err);
}

/* ---- from other threads ---- */

/* Under the lock that sets `ending`, so nothing is posted behind the last task. */
int call_submit(struct infer_call *c)
{
	int rc;

	assert(lock_held(&c->env->lock));
	if (c->env->ending)
		return -ESHUTDOWN;
	rc = limit_enter(&c->backend->limit, &c->place);
	if (rc == -ENOBUFS)
		return rc;
	return loop_post(c->env->loop, &c->open); /* cannot refuse before ending */
}

static void keep_error(struct infer_call *c, const struct err *e)
{
	c->load.error = malloc(sizeof(*c->load.error));
	if (c->load.error)
		*c->load.error = *e;
}

/* Nothing else touches the order while the call is loading: a finish only waits for this. */
void call_loaded(struct infer_call *c, const json_t *images, const struct err *e)
{
	struct call_env *env = c->env;
	struct err own;

	if (e)
		keep_error(c, e);
	else if (order_build(&c->order, images, &own))
		keep_error(c, &own);
	lock_take(&env->lock);
	(void)loop_post(env->loop,
			&c->load.task); /* refused: the end has it, call_free_rest frees it */
	if (--env->loading == 0)
		cond_broadcast(&env->loaded);
	lock_drop(&env->lock);
}

void call_await_loads(struct call_env *env)
{
	while (env->loading)
		cond_wait(&env->loaded, &env->lock);
}

void call_cancel(struct infer_call *c)
{
	assert(lock_held(&c->env->lock));
	if (!c->cancel.posted)
		c->cancel.posted = loop_post(c->env->loop, &c->cancel.task) == 0;
}

/* It may come after the end: then it is only the one who frees. */
static void on_cancel(struct loop_task *t)
{
	struct infer_call *c = CONTAINER_OF(t, struct infer_call, cancel.task);
	struct err e;

	lock_take(&c->env->lock);
	c->cancel.posted = false;
	lock_drop(&c->env->lock);
	if (c->flags & C_FINISHED) {
		let_go(c);
		return;
	}
	(void)err_set(&e, ERR_CANCELLED, "the request to %s was cancelled", name_of(c));
	finish(c, NULL, &e);
}

/* ---- all of them ---- */

void call_env_init(struct call_env *env, size_t queue_max)
{
	memset(env, 0, sizeof(*env));
	lock_init(&env->lock, LOCK_ENGINE);
	list_init(&env->calls);
	list_init(&env->ready);
	list_init(&env->cancelled);
	cond_init(&env->loaded);
	env->pump.run = on_pump;
	env->queue.max = queue_max;
	env->random = (mono_ns() ^ (uint64_t)getpid() << 32) | 1;
}

void call_env_done(struct call_env *env)
{
	cond_done(&env->loaded);
	lock_done(&env->lock);
}

void call_end_all(struct call_env *env)
{
	struct err e;

	while (!list_empty(&env->calls)) {
		(void)err_set(&e, ERR_ENDING, "the program is ending");
		finish(CONTAINER_OF(env->calls.next, struct infer_call, link), NULL, &e);
	}
}

void call_free_rest(struct call_env *env)
{
	struct list *e;

	while ((e = list_pop(&env->cancelled)))
		(void)call_free(CONTAINER_OF(e, struct infer_call, link));
}
