/* The life of a request; see call.h. */
#define _GNU_SOURCE 1
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batches.h"
#include "bodies.h"
#include "control.h"
#include "flow.h"
#include "gate.h"
#include "record.h"

#define BLOCK  4096
#define POOLED 1024

static struct call *pool[POOLED];
static size_t pooled;
static char key[256];
static FILE *log_file;

void call_set_key(const char *value)
{
	snprintf(key, sizeof(key), "%s", value ? value : "");
}

void call_set_log(void *file)
{
	log_file = file;
}

struct call *call_new(struct MHD_Connection *conn, const char *method, const char *path)
{
	struct call *c = pooled ? pool[--pooled] : calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->conn = conn;
	c->method = method;
	c->first_ns = hold_now();
	c->epoch = gate_epoch();
	c->control = !strncmp(path, CONTROL_PREFIX, strlen(CONTROL_PREFIX));
	buf_str(&c->path, path);
	return c;
}

static void free_memory(struct call *c)
{
	buf_free(&c->path);
	buf_free(&c->body);
	buf_free(&c->plan.bytes);
	free(c->plan.prompts);
	free(c->plan.pieces);
	free(c->plan.texts);
	buf_free(&c->ev.b);
	free(c->ev.marks);
	free(c);
}

/* Keeps the buffers' memory, drops everything else. */
static void recycle(struct call *c)
{
	struct call fresh = {
		.path = c->path,
		.body = c->body,
		.plan = c->plan,
		.ev = c->ev,
	};

	*c = fresh;
	buf_clear(&c->path);
	buf_clear(&c->body);
	plan_clear(&c->plan);
	pool[pooled++] = c;
}

void call_free(struct call *c, bool ok)
{
	if (!ok && c->seq && !c->ended_by_us && c->epoch == gate_epoch()) {
		record_aborted(c->seq);
		control_changed();
	}
	flow_leave_gate(c);
	hold_drop(&c->hold);
	script_unref(c->rule);
	json_decref(c->ask.root);
	if (pooled < POOLED)
		recycle(c);
	else
		free_memory(c);
}

static enum MHD_Result send_response(struct call *c, int status, const char *type,
				     struct MHD_Response *res)
{
	const struct rule_head *head = c->rule ? &c->rule->head : NULL;
	char id[32];
	const char *name;
	json_t *value;
	enum MHD_Result rc;

	if (!res)
		return MHD_NO;
	if (log_file)
		fprintf(log_file, "%llu %s %s %d %zu\n", (unsigned long long)c->seq, c->method,
			c->path.p, status, c->body.len);
	if (head && head->content_type)
		type = head->content_type;
	MHD_add_response_header(res, "Content-Type", type);
	if (c->seq) {
		snprintf(id, sizeof(id), "req_%llu", (unsigned long long)c->seq);
		MHD_add_response_header(res, "x-request-id", id);
	}
	if (head && head->headers) {
		json_object_foreach(head->headers, name, value)
			MHD_add_response_header(res, name, json_string_value(value));
	}
	if (c->link[0])
		MHD_add_response_header(res, "X-Goog-Upload-URL", c->link);
	rc = MHD_queue_response(c->conn, (unsigned)status, res);
	MHD_destroy_response(res);
	return rc;
}

static enum MHD_Result reply_slowly(struct call *c, int status, const char *type, uint64_t size)
{
	return send_response(c, status, type,
			     MHD_create_response_from_callback(size, BLOCK, flow_read, c, NULL));
}

/* The call outlives the response, so the library may read its buffer in place. */
enum MHD_Result call_reply(struct call *c, int status, const char *type)
{
	struct buf *b = &c->ev.b;
	size_t len = b->len;

	if (!c->control && len > 1 && flow_needed(c)) {
		c->ev.count = 0;
		b->len = len / 2;
		events_mark(&c->ev, 0);
		b->len = len;
		events_mark(&c->ev, 1);
		flow_start(c, false);
		return reply_slowly(c, status, type, len);
	}
	return send_response(c, status, type,
			     MHD_create_response_from_buffer(len, b->p ? b->p : c->path.p,
							     MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result refuse(struct call *c, struct refusal *why)
{
	why->id = c->seq;
	buf_clear(&c->ev.b);
	c->ask.dialect->refuse(&c->ev.b, why);
	return call_reply(c, why->status, "application/json");
}

static enum MHD_Result refuse_as(struct call *c, int status, enum why reason)
{
	struct refusal why = { .status = status, .why = reason };

	return refuse(c, &why);
}

static bool has_key(const struct call *c)
{
	const char *name = c->ask.dialect->key_header;
	const char *value = MHD_lookup_connection_value(c->conn, MHD_HEADER_KIND,
							name ? name : "Authorization");

	if (!value)
		return false;
	if (!name && strncasecmp(value, "Bearer ", 7))
		return false;
	return !strcmp(name ? value : value + 7, key);
}

static bool is_generation(enum kind k)
{
	return k == KIND_CHAT || k == KIND_TEXT || k == KIND_FIM || k == KIND_INFILL ||
	       k == KIND_RESPONSES;
}

static enum MHD_Result generate(struct call *c)
{
	const struct dialect *d = c->ask.dialect;
	int status = c->rule && c->rule->head.status ? c->rule->head.status : 200;

	events_clear(&c->ev, d->framing, c->rule && c->rule->flow.crlf);
	if (!is_generation(c->ask.kind)) {
		d->other(&c->ev.b, &c->ask);
		return call_reply(c, status, "application/json");
	}
	plan_make(&c->plan, c->rule, c->ask.n);
	if (!c->ask.stream) {
		d->whole(&c->ev.b, &c->ask);
		return call_reply(c, status, "application/json");
	}
	d->stream(&c->ev, &c->ask);
	flow_start(c, true);
	return reply_slowly(c, status, d->stream_type, MHD_SIZE_UNKNOWN);
}

static enum MHD_Result read_and_generate(struct call *c)
{
	struct refusal why = { 0 };

	c->ask.plan = &c->plan;
	c->ask.id = c->seq;
	if (!strcmp(c->method, "POST") || !strcmp(c->method, "DELETE")) {
		c->ask.root =
			json_loadb(c->body.p ? c->body.p : "", c->body.len, JSON_ALLOW_NUL, NULL);
		if (!json_is_object(c->ask.root))
			return refuse_as(c, 400, WHY_JSON);
		if (c->ask.dialect->read(&c->ask, &why))
			return refuse(c, &why);
	} else if (c->ask.model && !strcmp(c->ask.model, DIALECT_NO_MODEL)) {
		why = (struct refusal){ .status = 404, .why = WHY_MODEL, .text = c->ask.model };
		return refuse(c, &why);
	}
	return generate(c);
}

static enum MHD_Result reply_scripted(struct call *c)
{
	const struct rule_head *head = &c->rule->head;
	int status = head->status ? head->status : 200;

	if (!head->body && !head->empty)
		return refuse_as(c, status, WHY_STATUS);
	buf_clear(&c->ev.b);
	buf_str(&c->ev.b, head->empty ? "" : head->body);
	return call_reply(c, status, "application/json");
}

/* A rule that needs no look at the request: fixed body, or an error status. */
static bool is_scripted(const struct rule *r)
{
	return r && (r->head.body || r->head.empty || r->head.status >= 400);
}

/* Everything the script wants before the headers. False: suspended or ended, *rc is set. */
static bool pass_head(struct call *c, enum MHD_Result *rc)
{
	const struct rule_head *head = &c->rule->head;

	*rc = MHD_YES;
	if (head->delay_ms > 0 && !c->due)
		c->due = hold_now() + (uint64_t)head->delay_ms * 1000000u;
	if (c->due && hold_now() < c->due) {
		hold_put(&c->hold, c->conn, &c->due, c->due);
		return false;
	}
	if (!flow_pass_gate(c, head->barrier))
		return false;
	if (head->no_answer && c->epoch == gate_epoch()) {
		hold_put(&c->hold, c->conn, &c->due, 0);
		return false;
	}
	if (!head->reset && !head->no_answer)
		return true;
	if (head->reset)
		flow_reset(c);
	c->ended_by_us = true;
	*rc = MHD_NO;
	return false;
}

static const char *argument(struct call *c, enum MHD_ValueKind kind, const char *name)
{
	return MHD_lookup_connection_value(c->conn, kind, name);
}

static const char *header_of(void *arg, const char *name)
{
	return argument(arg, MHD_HEADER_KIND, name);
}

static const char *argument_of(void *arg, const char *name)
{
	return argument(arg, MHD_GET_ARGUMENT_KIND, name);
}

/* Files and batches: true when it was one of their addresses. What is done may be kept from the client. */
static bool serve_batches(struct call *c, enum MHD_Result *rc)
{
	struct batch_ask ask = { .method = c->method,
				 .path = c->path.p + strlen(c->ask.dialect->prefix),
				 .body = &c->body,
				 .header = header_of,
				 .argument = argument_of,
				 .arg = c,
				 .type = "application/json" };
	int status;

	buf_clear(&c->ev.b);
	status = batches_serve(c->ask.dialect, &ask, &c->ev.b);
	if (!status)
		return false;
	if (c->rule && c->rule->head.lose) {
		flow_reset(c);
		*rc = MHD_NO;
		return true;
	}
	memcpy(c->link, ask.link, sizeof(c->link));
	*rc = call_reply(c, status, ask.type);
	return true;
}

static void arrive(struct call *c)
{
	c->ready = true;
	c->seq = record_add(c->conn, c->method, c->path.p, &c->body, c->first_ns);
	c->rule = script_match(c->method, c->path.p, &c->body);
	dialect_route(&c->ask, c->method, c->path.p);
	c->ask.version = argument(c, MHD_HEADER_KIND, "anthropic-version");
	c->ask.page = argument(c, MHD_GET_ARGUMENT_KIND, "pageToken");
	if (!c->ask.page)
		c->ask.page = argument(c, MHD_GET_ARGUMENT_KIND, "after_id");
	bodies_note(c);
	control_changed();
}

enum MHD_Result call_answer(struct call *c)
{
	enum MHD_Result rc;

	if (c->hold.gone)
		return MHD_NO;
	if (c->control)
		return control_answer(c);
	if (!c->ready)
		arrive(c);
	if (c->rule && !pass_head(c, &rc))
		return rc;
	if (is_scripted(c->rule))
		return reply_scripted(c);
	if (key[0] && !has_key(c))
		return refuse_as(c, 401, WHY_KEY);
	if (serve_batches(c, &rc))
		return rc;
	if (c->ask.kind == KIND_NONE)
		return refuse_as(c, 404, WHY_PATH);
	return read_and_generate(c);
}
