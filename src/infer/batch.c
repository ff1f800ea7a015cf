/*
 * infer/batch.c - steps of batches: opened by any thread, done on the loop's
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "infer/batch_inside.h"
#include "infer/target.h"

#include "base/banned.h"

/* ---- what there is ---- */

int batch_can(const struct backend_config *c, struct batch_limits *out, struct err *e)
{
	const struct batch_api *api = batch_api_of(c);

	if (!api) {
		int rc = err_set(e, ERR_UNSUPPORTED,
				 "%s has no batch API: write the requests into a .jsonl", c->name);

		if (e)
			(void)str_copy(e->backend, sizeof(e->backend), c->name); /* cut is fine */
		return rc;
	}
	*out = api->limits;
	return 0;
}

bool batch_state_over(enum batch_state s)
{
	return s >= BATCH_DONE;
}

const char *batch_state_name(enum batch_state s)
{
	static const char *const names[] = {
		[BATCH_WAITING] = "waiting",	   [BATCH_RUNNING] = "running",
		[BATCH_CANCELLING] = "cancelling", [BATCH_DONE] = "done",
		[BATCH_FAILED] = "failed",	   [BATCH_EXPIRED] = "expired",
		[BATCH_CANCELLED] = "cancelled",
	};

	return (size_t)s < ARRAY_LEN(names) ? names[s] : "unknown";
}

/* ---- the end of a call ---- */

static void call_free(struct batch_call *c)
{
	batch_step_drop(c);
	free(c);
}

/* Stop and go-on may be on their way while it ends: the task that runs last frees it. */
void batch_over(struct batch_call *c, const struct err *e)
{
	struct batch *b = c->batch;
	bool kept;

	batch_step_drop(c);
	lock_take(&b->lock);
	c->control.over = true;
	list_del(&c->link);
	lock_drop(&b->lock);
	c->order.done(c->order.arg, &c->result, e);
	lock_take(&b->lock);
	kept = c->control.posted;
	if (kept)
		list_append(&b->over, &c->link);
	lock_drop(&b->lock);
	if (!kept)
		call_free(c);
}

static void end_with(struct batch_call *c, enum err_kind kind, const char *text)
{
	struct err e;

	(void)err_set(&e, kind, "%s: %s", c->shop->config->name, text);
	(void)str_copy(e.backend, sizeof(e.backend), c->shop->config->name); /* cut is fine */
	/* a creation that was on its way may have arrived */
	c->result.unsure = c->order.step == BATCH_CREATE && c->transfer && http_sent(c->transfer);
	batch_over(c, &e);
}

static void on_control(struct loop_task *t)
{
	struct batch_call *c = CONTAINER_OF(t, struct batch_call, control.task);
	struct batch *b = c->batch;
	unsigned wanted;
	bool over;

	lock_take(&b->lock);
	wanted = c->control.wanted;
	over = c->control.over;
	c->control.wanted = 0;
	c->control.posted = false;
	if (over)
		list_del(&c->link);
	lock_drop(&b->lock);
	if (over)
		call_free(c);
	else if (wanted & BATCH_STOP)
		end_with(c, ERR_CANCELLED, "the step of a batch was stopped");
	else if (wanted & BATCH_BEGIN)
		batch_step_begin(c);
	else
		batch_step_go_on(c);
}

/* ---- from other threads ---- */

static int want_locked(struct batch_call *c, unsigned what)
{
	int rc = 0;

	c->control.wanted |= what;
	if (!c->control.posted)
		rc = loop_post(c->batch->loop, &c->control.task);
	c->control.posted = c->control.posted || rc == 0;
	return rc;
}

static bool is_tag(const char *tag)
{
	size_t n = 0;

	for (; tag[n]; n++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
			    tag[n]))
			return false;
	return n > 0;
}

/* Everything that the step will send must be there. */
static bool is_whole(const struct batch_shop *s, const struct batch_order *o)
{
	const struct batch_job *j = o->job;
	bool uploads = s->api->limits.uploads;

	switch (o->step) {
	case BATCH_UPLOAD:
		return uploads && is_tag(j->tag) && o->fd >= 0 && o->size > 0;
	case BATCH_CREATE:
		return is_tag(j->tag) && j->group.endpoint[0] && j->requests > 0 &&
		       (uploads ? j->input[0] != '\0' : o->fd >= 0 && o->size > 0);
	case BATCH_FIND:
		return is_tag(j->tag);
	case BATCH_FETCH:
		return j->id[0] && o->line;
	case BATCH_REMOVE:
		return true;
	default:
		return j->id[0] != '\0';
	}
}

static struct batch_call *call_new(struct batch *b, const struct batch_order *o)
{
	struct batch_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->batch = b;
	c->shop = &b->shops[o->backend];
	c->order = *o;
	c->result.job = *o->job;
	c->result.total = c->result.succeeded = c->result.failed = -1;
	c->order.job = &c->result.job;
	if (o->step == BATCH_FIND)
		c->result.job.id[0] = '\0';
	c->control.task.run = on_control;
	c->walk = (struct batch_walk){ .config = c->shop->config,
				       .files = c->shop->api->files,
				       .step = o->step,
				       .size = o->size,
				       .result = &c->result,
				       .known = o->known,
				       .arg = o->arg };
	list_init(&c->link);
	return c;
}

int batch_start(struct batch *b, const struct batch_order *o, struct batch_call **out)
{
	const struct batch_shop *s = o->backend < b->n ? &b->shops[o->backend] : NULL;
	struct batch_call *c;
	int rc;

	if (!s)
		return -ENXIO;
	if (!s->api)
		return -EOPNOTSUPP;
	if (!is_whole(s, o))
		return -EINVAL;
	c = call_new(b, o);
	if (!c)
		return -ENOMEM;
	lock_take(&b->lock);
	rc = b->ending ? -ESHUTDOWN : want_locked(c, BATCH_BEGIN);
	if (!rc)
		list_append(&b->calls, &c->link);
	if (!rc && out)
		*out = c; /* under the lock: it may already be on its way */
	lock_drop(&b->lock);
	if (rc)
		free(c);
	return rc;
}

void batch_stop(struct batch *b, struct batch_call *call)
{
	LOCK_SCOPE(&b->lock);
	(void)want_locked(call, BATCH_STOP); /* refused: the end of all has it */
}

void batch_go_on(struct batch *b, struct batch_call *call)
{
	LOCK_SCOPE(&b->lock);
	(void)want_locked(call, BATCH_GO_ON); /* as above */
}

/* ---- all of them ---- */

struct batch *batch_new(struct loop *loop, struct http *http)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->loop = loop;
	b->http = http;
	b->random = (mono_ns() ^ (uint64_t)getpid() << 32) | 1;
	lock_init(&b->lock, LOCK_ENGINE);
	list_init(&b->calls);
	list_init(&b->over);
	return b;
}

int batch_add(struct batch *b, const struct backend_config *config)
{
	struct batch_shop *more = realloc(b->shops, (b->n + 1) * sizeof(*more));
	struct batch_shop *s;

	if (!more)
		return -ENOMEM;
	b->shops = more;
	s = &b->shops[b->n++];
	*s = (struct batch_shop){ .config = config, .api = batch_api_of(config) };
	if (!s->api)
		return 0;
	s->ours = target_new(config, TARGET_FILES);
	s->strangers = target_new(config, TARGET_STRANGERS);
	return s->ours && s->strangers ? 0 : -ENOMEM;
}

static struct batch_call *first_call(struct batch *b)
{
	LOCK_SCOPE(&b->lock);
	b->ending = true;
	return list_empty(&b->calls) ? NULL : LIST_ENTRY(b->calls.next, struct batch_call, link);
}

void batch_end(struct batch *b)
{
	struct batch_call *c;

	while ((c = first_call(b)))
		end_with(c, ERR_ENDING, "the program is ending");
}

struct batch *batch_free(struct batch *b)
{
	struct list *l;

	if (!b)
		return NULL;
	while ((l = list_pop(&b->over)))
		call_free(LIST_ENTRY(l, struct batch_call, link));
	for (size_t i = 0; i < b->n; i++) {
		(void)http_target_free(b->shops[i].ours);
		(void)http_target_free(b->shops[i].strangers);
	}
	free(b->shops);
	lock_done(&b->lock);
	free(b);
	return NULL;
}
