/*
 * infer/infer.c - the front: backends, the loop thread, and the door for calls
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/batch.h"
#include "infer/call.h"
#include "infer/catalog.h"
#include "infer/infer.h"
#include "infer/manage.h"
#include "infer/registry.h"
#include "infer/target.h"

#include "base/banned.h"

struct infer {
	struct call_env env;
	struct catalog *catalog;
	struct manage *manage;
	struct batch *batch;
	struct call_backend *backends;
	size_t n_backends;
	struct loop_task stop;
	struct cond stopped; /* env.lock */
	bool is_stopped;
};

const struct backend_type *const *infer_types(void)
{
	return registry_types();
}

const struct backend_type *infer_type(const char *name)
{
	return registry_type(name);
}

/* ---- making and ending ---- */

static int add_backend(struct infer *i, const struct backend_config *c)
{
	struct call_backend *b = &i->backends[i->n_backends];

	b->config = c;
	if (!c->type->local) {
		b->target = target_new(c, TARGET_CALLS);
		if (!b->target)
			return -ENOMEM;
	}
	limit_init(&b->limit, &i->env.queue, c->limits.concurrency);
	if (gate_init(&b->gate, &c->limits, mono_ns()) < 0)
		return -ENOMEM;
	i->n_backends++;
	return 0;
}

static struct infer *infer_free(struct infer *i)
{
	if (!i)
		return NULL;
	for (size_t k = 0; k < i->n_backends; k++) {
		(void)http_target_free(i->backends[k].target);
		gate_done(&i->backends[k].gate);
		single_done(&i->backends[k].single);
	}
	free(i->backends);
	call_free_rest(&i->env);
	call_env_done(&i->env);
	cond_done(&i->stopped);
	free(i);
	return NULL;
}

/* On the loop thread, after every task that was posted before it. */
static void on_stop(struct loop_task *t)
{
	struct infer *i = CONTAINER_OF(t, struct infer, stop);

	call_end_all(&i->env);
	if (i->catalog)
		catalog_end(i->catalog);
	if (i->manage)
		manage_end(i->manage);
	if (i->batch)
		batch_end(i->batch);
	i->env.http = http_free(i->env.http);
	lock_take(&i->env.lock);
	i->is_stopped = true;
	cond_broadcast(&i->stopped);
	lock_drop(&i->env.lock);
}

struct infer *infer_stop(struct infer *i)
{
	if (!i)
		return NULL;
	lock_take(&i->env.lock);
	i->env.ending = true;
	if (i->env.loop && loop_post(i->env.loop, &i->stop) == 0)
		while (!i->is_stopped)
			cond_wait(&i->stopped, &i->env.lock);
	call_await_loads(&i->env);
	lock_drop(&i->env.lock);
	i->env.loop = loop_stop(i->env.loop);
	i->catalog = catalog_free(i->catalog);
	i->manage = manage_free(i->manage);
	i->batch = batch_free(i->batch);
	return infer_free(i);
}

static bool make_catalog(struct infer *i)
{
	i->catalog = catalog_new(i->env.loop, i->env.http);
	if (i->catalog)
		i->manage = manage_new(i->env.loop, i->env.http, i->catalog);
	if (i->manage)
		i->batch = batch_new(i->env.loop, i->env.http);
	for (size_t k = 0; i->batch && k < i->n_backends; k++) {
		const struct call_backend *b = &i->backends[k];

		if (catalog_add(i->catalog, b->config, b->target) ||
		    manage_add(i->manage, b->config, b->target) || batch_add(i->batch, b->config))
			return false;
	}
	return i->batch != NULL;
}

int infer_new(const struct infer_options *o, struct infer **out, struct err *e)
{
	struct infer *i = calloc(1, sizeof(*i));
	bool good;

	if (!i)
		return err_set(e, ERR_INTERNAL, "out of memory");
	call_env_init(&i->env, o->queue_max);
	cond_init(&i->stopped);
	i->stop.run = on_stop;
	i->backends = calloc(o->n_backends + 1, sizeof(*i->backends));
	good = i->backends != NULL;
	for (size_t k = 0; good && k < o->n_backends; k++)
		good = add_backend(i, &o->backends[k]) == 0;
	i->env.loop = good ? loop_new() : NULL;
	i->env.http = i->env.loop ? http_new(i->env.loop) : NULL;
	if (!i->env.http || !make_catalog(i)) {
		(void)infer_stop(i);
		return err_set(e, ERR_INTERNAL, "the network thread cannot start: out of memory");
	}
	*out = i;
	return 0;
}

/* ---- asking about backends ---- */

static struct call_backend *find(struct infer *i, const char *name)
{
	for (size_t k = 0; k < i->n_backends; k++)
		if (strcmp(i->backends[k].config->name, name) == 0)
			return &i->backends[k];
	return NULL;
}

struct catalog *infer_catalog(struct infer *i)
{
	return i->catalog;
}

struct manage *infer_manage(struct infer *i)
{
	return i->manage;
}

struct batch *infer_batch(struct infer *i)
{
	return i->batch;
}

const struct backend_config *infer_find(struct infer *i, const char *name)
{
	const struct call_backend *b = find(i, name);

	return b ? b->config : NULL;
}

/* The names are few; printing them spares a look into the configuration. */
static int unknown(struct infer *i, const char *name, struct err *e)
{
	AUTO_FREE const char **names = calloc(i->n_backends + 1, sizeof(*names));
	AUTO_BUF struct buf list = BUF_INIT(256);
	const char *near;

	for (size_t k = 0; names && k < i->n_backends; k++) {
		names[k] = i->backends[k].config->name;
		(void)buf_addf(&list, "%s%s", k ? ", " : "", names[k]); /* a long list is cut */
	}
	near = names ? str_nearest(name, names) : NULL;
	return err_set(e, ERR_NOT_FOUND, "there is no backend `%s`%s%s%s; the backends are: %s",
		       name, near ? ": did you mean `" : "", near ? near : "", near ? "`?" : "",
		       buf_str(&list));
}

static int check_breaker(struct infer *i, struct call_backend *b, struct err *e)
{
	char last[ERR_MESSAGE_MAX];
	uint64_t left = 0;
	bool open;
	int rc;

	lock_take(&i->env.lock);
	open = gate_is_open(&b->gate, mono_ns(), &left);
	(void)str_copy(last, sizeof(last), b->status.last_error); /* same size */
	lock_drop(&i->env.lock);
	if (!open)
		return 0;
	rc = err_set(e, ERR_BREAKER,
		     "%s failed %u times in a row, so it is left alone for %.0f s more; the last "
		     "time: %s",
		     b->config->name, b->config->limits.breaker_failures, ceil((double)left / 1e9),
		     last);
	if (e) {
		e->retry_after_s = (double)left / 1e9;
		(void)str_copy(e->backend, sizeof(e->backend), b->config->name); /* cut is fine */
	}
	return rc;
}

int infer_ready(struct infer *i, const char *backend, struct err *e)
{
	struct call_backend *b = find(i, backend);
	int rc;

	if (!b)
		return unknown(i, backend, e);
	if (b->config->at.key || !b->config->at.key_hint || b->config->type->local)
		return check_breaker(i, b, e);
	rc = err_set(e, ERR_NO_KEY, "there is no key for %s: %s", backend, b->config->at.key_hint);
	if (e)
		(void)str_copy(e->backend, sizeof(e->backend), backend); /* cut is fine */
	return rc;
}

unsigned infer_samples_max(struct infer *i, const char *backend, const json_t *effective)
{
	struct call_backend *b = find(i, backend);

	return b ? call_samples_max(&i->env, b, effective) : 1;
}

int infer_room(struct infer *i, struct err *e)
{
	size_t waiting, max;

	lock_take(&i->env.lock);
	waiting = i->env.queue.waiting;
	max = i->env.queue.max;
	lock_drop(&i->env.lock);
	if (waiting < max)
		return 0;
	return err_set(e, ERR_QUEUE_FULL, "%zu requests are waiting already (`queue` = %zu)",
		       waiting, max);
}

/* the lock is held */
static void fill_limits(const struct gate *g, struct infer_status *out)
{
	uint64_t now = mono_ns();

	out->breaker = g->breaker;
	out->breaker_failures = g->failures;
	out->breaker_left_s = 0;
	if (g->breaker == GATE_OPEN && g->open_until_ns > now)
		out->breaker_left_s = (double)(g->open_until_ns - now) / 1e9;
	out->hold_s = g->hold_ns > now ? (double)(g->hold_ns - now) / 1e9 : 0;
	out->told = g->told;
	out->has_told = g->told_ns != 0;
}

int infer_status(struct infer *i, const char *backend, struct infer_status *out)
{
	struct call_backend *b = find(i, backend);

	if (!b)
		return -ENXIO;
	lock_take(&i->env.lock);
	*out = b->status;
	out->in_flight = b->limit.in;
	out->queued = (unsigned)b->limit.waiting;
	out->concurrency = b->limit.max;
	fill_limits(&b->gate, out);
	lock_drop(&i->env.lock);
	out->has_key = b->config->at.key != NULL;
	return 0;
}

/* ---- calls ---- */

static bool has_free_place(struct infer *i, const struct call_backend *b)
{
	bool is_free;

	lock_take(&i->env.lock);
	is_free = b->limit.in < b->limit.max;
	lock_drop(&i->env.lock);
	return is_free;
}

int infer_call(struct infer *i, const struct infer_spec *spec, const struct infer_sink *sink,
	       void *arg, struct infer_call **out)
{
	struct call_backend *b = find(i, spec->backend);
	struct infer_call *c;
	int rc;

	if (!b)
		return -ENXIO;
	if (spec->n > BACKEND_SAMPLES_MAX)
		return -EINVAL;
	c = call_new(&i->env, b, spec, sink, arg);
	if (!c)
		return -ENOMEM;
	if (has_free_place(i,
			   b)) /* one that waits builds its body when its turn comes: less memory */
		call_prepare(c);
	lock_take(&i->env.lock);
	rc = call_submit(c);
	if (rc == 0)
		*out = c; /* under the lock: the sink may already be on its way */
	lock_drop(&i->env.lock);
	if (rc)
		(void)call_free(c);
	return rc;
}

void infer_loaded(struct infer *i, struct infer_call *c, const json_t *images, const struct err *e)
{
	(void)i;
	call_loaded(c, images, e);
}

void infer_cancel(struct infer *i, struct infer_call *c)
{
	lock_take(&i->env.lock);
	call_cancel(c);
	lock_drop(&i->env.lock);
}
