/* Control addresses; see control.h. */
#include "control.h"

#include <stdlib.h>
#include <string.h>

#include "batches.h"
#include "bodies.h"
#include "call.h"
#include "flow.h"
#include "gate.h"
#include "record.h"

#define HELD		0 /* instead of a status: ask again later */
#define WAIT_DEFAULT_MS 10000
#define WAIT_MAX_MS	600000

/* Writes the answer's JSON; returns the status or HELD. */
struct action {
	const char *method;
	const char *path; /* below CONTROL_PREFIX */
	int (*run)(struct call *c, struct buf *out);
};

/* Its address is what held control requests wait for. */
static char changed;
static unsigned waiters;

void control_changed(void)
{
	if (!waiters)
		return;
	waiters = 0;
	hold_wake(&changed);
}

static const char *argument(const struct call *c, const char *name)
{
	return MHD_lookup_connection_value(c->conn, MHD_GET_ARGUMENT_KIND, name);
}

static uint64_t number(const struct call *c, const char *name, uint64_t otherwise)
{
	const char *s = argument(c, name);

	return s && *s ? strtoull(s, NULL, 10) : otherwise;
}

static int fail(struct buf *out, int status, const char *text)
{
	buf_clear(out);
	buf_str(out, "{\"error\":");
	buf_jstr(out, text);
	buf_str(out, "}");
	return status;
}

/* The common half of every held request: 200, 408 when the time is over, or HELD. */
static int settle(struct call *c, uint64_t have, uint64_t want)
{
	uint64_t ms = number(c, "timeout_ms", WAIT_DEFAULT_MS);

	if (have >= want)
		return MHD_HTTP_OK;
	if (!c->due)
		c->due = c->first_ns + (ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS) * 1000000u;
	return hold_now() >= c->due ? MHD_HTTP_REQUEST_TIMEOUT : HELD;
}

static int run_script(struct call *c, struct buf *out)
{
	const char *append = argument(c, "append");
	char why[200] = "";

	if (script_load(c->body.p ? c->body.p : "", c->body.len, append && *append == '1', why,
			sizeof(why)))
		return fail(out, MHD_HTTP_BAD_REQUEST, why);
	buf_str(out, "{\"ok\":true}");
	return MHD_HTTP_OK;
}

static int run_batches(struct call *c, struct buf *out)
{
	json_t *o = json_loadb(c->body.p ? c->body.p : "", c->body.len, 0, NULL);
	const char *why;
	int rc = batches_script(o, &why);

	json_decref(o);
	if (rc)
		return fail(out, MHD_HTTP_BAD_REQUEST, why);
	buf_str(out, "{\"ok\":true}");
	return MHD_HTTP_OK;
}

static int run_show(struct call *c, struct buf *out)
{
	(void)c;
	batches_show(out);
	return MHD_HTTP_OK;
}

static int run_advance(struct call *c, struct buf *out)
{
	(void)c;
	batches_advance();
	buf_str(out, "{\"ok\":true}");
	return MHD_HTTP_OK;
}

static int run_release(struct call *c, struct buf *out)
{
	const char *name = argument(c, "name");
	struct gate *g = name && *name ? gate_get(name) : NULL;

	if (!g)
		return fail(out, MHD_HTTP_BAD_REQUEST, "no name, or too many barriers");
	buf_fmt(out, "{\"released\":%u}", g->waiting);
	g->open = true;
	hold_wake(g);
	return MHD_HTTP_OK;
}

static int run_reset(struct call *c, struct buf *out)
{
	script_clear();
	record_reset();
	batches_reset();
	bodies_reset();
	gate_reset();
	call_set_key(NULL);
	/* This request itself belongs to the new epoch. */
	c->epoch = gate_epoch();
	waiters = 0;
	hold_wake(NULL);
	buf_str(out, "{\"ok\":true}");
	return MHD_HTTP_OK;
}

static int run_waiting(struct call *c, struct buf *out)
{
	const char *name = argument(c, "name");
	struct gate *g = name && *name ? gate_get(name) : NULL;

	if (!g)
		return fail(out, MHD_HTTP_BAD_REQUEST, "no name, or too many barriers");
	buf_fmt(out, "{\"waiting\":%u}", g->waiting);
	return settle(c, g->waiting, number(c, "count", 1));
}

static int run_requests(struct call *c, struct buf *out)
{
	record_dump(out, number(c, "last", UINT64_MAX));
	return MHD_HTTP_OK;
}

static int run_count(struct call *c, struct buf *out)
{
	uint64_t have = record_count(argument(c, "path"));

	buf_num(out, (int64_t)have);
	return settle(c, have, number(c, "at_least", 0));
}

static int run_aborted(struct call *c, struct buf *out)
{
	uint64_t have = record_aborted_count();

	buf_num(out, (int64_t)have);
	return settle(c, have, number(c, "at_least", 0));
}

static int run_times(struct call *c, struct buf *out)
{
	(void)c;
	flow_times(out);
	return MHD_HTTP_OK;
}

static int run_key(struct call *c, struct buf *out)
{
	call_set_key(argument(c, "value"));
	buf_str(out, "{\"ok\":true}");
	return MHD_HTTP_OK;
}

static int run_extra(struct call *c, struct buf *out)
{
	if (bodies_extra(argument(c, "match")))
		return fail(out, MHD_HTTP_BAD_REQUEST, "no match, or too many of them");
	buf_str(out, "{\"ok\":true}");
	return MHD_HTTP_OK;
}

static const struct action actions[] = {
	{ "POST", "script", run_script },  { "POST", "release", run_release },
	{ "POST", "reset", run_reset },	   { "POST", "key", run_key },
	{ "GET", "waiting", run_waiting }, { "GET", "requests", run_requests },
	{ "GET", "count", run_count },	   { "GET", "aborted", run_aborted },
	{ "GET", "times", run_times },	   { "POST", "batches", run_batches },
	{ "GET", "batches", run_show },	   { "POST", "advance", run_advance },
	{ "POST", "extra", run_extra },	   { NULL, NULL, NULL },
};

enum MHD_Result control_answer(struct call *c)
{
	const char *name = c->path.p + strlen(CONTROL_PREFIX);
	const struct action *a = actions;
	struct buf *out = &c->ev.b;
	int status;

	while (a->path && (strcmp(a->path, name) || strcmp(a->method, c->method)))
		a++;
	buf_clear(out);
	if (a->path)
		status = a->run(c, out);
	else
		status = fail(out, MHD_HTTP_NOT_FOUND, "no such control address");
	if (status == HELD) {
		waiters++;
		hold_put(&c->hold, c->conn, &changed, c->due);
		return MHD_YES;
	}
	buf_str(out, "\n");
	return call_reply(c, status, "application/json");
}
