/* Message batches as Anthropic has them; see batches.h. */
#include <stdio.h>
#include <string.h>

#include "batches.h"

#define BATCHES "/v1/messages/batches"

static void line_path(struct buf *out, const struct batch *b)
{
	(void)b;
	buf_str(out, "/v1/messages");
}

static void result(struct buf *out, const char *id, enum line_end end, int status,
		   const struct buf *body)
{
	buf_str(out, "{\"custom_id\":");
	buf_jstr(out, id);
	buf_str(out, ",\"result\":{\"type\":");
	if (end == LINE_EXPIRED || end == LINE_CANCELLED) {
		buf_str(out, end == LINE_EXPIRED ? "\"expired\"}}" : "\"canceled\"}}");
		return;
	}
	buf_str(out, status >= 400 ? "\"errored\",\"error\":" : "\"succeeded\",\"message\":");
	buf_add(out, body->p, body->len);
	buf_str(out, "}}");
}

static const struct batch_wire wire = { .id_name = "custom_id",
					.body_name = "params",
					.path = line_path,
					.result = result };

static void time_text(char out[40], time_t t)
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void show(struct buf *out, const struct batch *b)
{
	char created[40], expires[40];

	time_text(created, b->created);
	time_text(expires, b->created + 86400);
	buf_fmt(out,
		"{\"id\":\"%s\",\"type\":\"message_batch\",\"processing_status\":\"%s\","
		"\"request_counts\":{\"processing\":%zu,\"succeeded\":%zu,\"errored\":%zu,"
		"\"canceled\":%zu,\"expired\":%zu},\"created_at\":\"%s\",\"expires_at\":\"%s\","
		"\"ended_at\":%s,\"cancel_initiated_at\":null,\"archived_at\":null,\"results_url\":",
		b->id,
		b->over			       ? "ended"
		: b->state == STATE_CANCELLING ? "canceling"
					       : "in_progress",
		b->over ? (size_t)0 : b->total, b->ends[LINE_ANSWERED], b->ends[LINE_REFUSED],
		b->ends[LINE_CANCELLED], b->ends[LINE_EXPIRED], created, expires,
		b->over ? "\"2026-11-21T00:00:00Z\"" : "null");
	if (b->output)
		buf_fmt(out, "\"https://elsewhere.invalid%s/%s/results\"}", BATCHES, b->id);
	else
		buf_str(out, "null}");
}

static bool is_id(const char *id)
{
	size_t n = id ? strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789_-")
		      : 0;

	return n && n <= 64 && !id[n];
}

static int create(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	json_t *o = json_loadb(ask->body->p ? ask->body->p : "", ask->body->len, 0, NULL);
	const json_t *list = json_object_get(o, "requests"), *one;
	struct buf lines = { 0 };
	struct batch *b;
	size_t i;
	int status = 200;

	json_array_foreach(list, i, one) {
		const json_t *params = json_object_get(one, "params");
		char *text = json_dumps(one, JSON_COMPACT);

		buf_str(&lines, text);
		buf_str(&lines, "\n");
		free(text);
		if (!is_id(json_string_value(json_object_get(one, "custom_id"))) ||
		    !json_is_object(params) || json_object_get(params, "stream"))
			status = 400;
	}
	if (!i || status != 200) {
		status = batches_refuse(d, out, 400, "requests",
					"a list of {custom_id, params} without stream");
	} else {
		const char *version = ask->header(ask->arg, "anthropic-version");

		b = batches_new("msgbatch_", d, &wire, NULL);
		snprintf(b->version, sizeof(b->version), "%s", version ? version : "");
		b->lines = lines;
		lines = (struct buf){ 0 };
		b->total = i;
		b->state = STATE_RUNNING;
		show(out, b);
	}
	buf_free(&lines);
	json_decref(o);
	return status;
}

static int list(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	const char *after = ask->argument(ask->arg, "after_id");
	const char *limit = ask->argument(ask->arg, "limit");
	long left = limit ? strtol(limit, NULL, 10) : 20;
	struct batch *b = batches_list(d, NULL);
	const char *comma = "";

	while (after && b && strcmp(b->id, after))
		b = batches_list(d, b);
	if (after && b)
		b = batches_list(d, b);
	buf_str(out, "{\"data\":[");
	for (; b && left-- > 0; b = batches_list(d, b)) {
		buf_str(out, comma);
		show(out, b);
		comma = ",";
	}
	buf_fmt(out, "],\"has_more\":%s}", b ? "true" : "false");
	return 200;
}

static int results(const struct dialect *d, struct batch_ask *ask, struct batch *b, struct buf *out)
{
	if (!b->output)
		return batches_refuse(d, out, 404, "id", "there are no results yet");
	buf_add(out, b->output->data.p, b->output->data.len);
	ask->type = "application/x-jsonl";
	return 200;
}

static int one_batch(const struct dialect *d, const struct batch_ask *ask, struct batch *b,
		     bool cancel, struct buf *out)
{
	if (!strcmp(ask->method, "DELETE")) {
		if (!b->over)
			return batches_refuse(d, out, 400, "id", "it has not ended");
		b->deleted = true;
		if (b->output)
			b->output->deleted = true;
		buf_fmt(out, "{\"id\":\"%s\",\"type\":\"message_batch_deleted\"}", b->id);
		return 200;
	}
	if (cancel)
		batches_cancel(b);
	else
		batches_look(b);
	show(out, b);
	return 200;
}

int batchwire_anthropic(const struct dialect *d, struct batch_ask *ask, struct buf *out)
{
	bool post = !strcmp(ask->method, "POST"), get = !strcmp(ask->method, "GET");
	bool of_results = false, cancel = false;
	struct batch *b;
	char id[64];

	if (strncmp(ask->path, BATCHES, strlen(BATCHES)))
		return 0;
	if (!ask->header(ask->arg, "anthropic-version"))
		return batches_refuse(d, out, 400, "anthropic-version", "header is required");
	if (!strcmp(ask->path, BATCHES) && (post || get))
		return post ? create(d, ask, out) : list(d, ask, out);
	if (get)
		of_results = batches_path(ask->path, BATCHES "/", "/results", id);
	if (post)
		cancel = batches_path(ask->path, BATCHES "/", "/cancel", id);
	if (!of_results && !cancel && (post || !batches_path(ask->path, BATCHES "/", "", id)))
		return 0;
	b = batches_find(id);
	if (!b)
		return batches_refuse(d, out, 404, "id", "no such batch");
	return of_results ? results(d, ask, b, out) : one_batch(d, ask, b, cancel, out);
}
