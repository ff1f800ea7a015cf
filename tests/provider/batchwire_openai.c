/* Files and batches as OpenAI has them; see batches.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batches.h"

static const char *const words[STATE_COUNT] = { "validating", "in_progress", "finalizing",
						"cancelling", "completed",   "failed",
						"expired",    "cancelled" };

static void line_path(struct buf *out, const struct batch *b)
{
	buf_str(out, b->endpoint);
}

static void result(struct buf *out, const char *id, enum line_end end, int status,
		   const struct buf *body)
{
	static unsigned n;

	buf_fmt(out, "{\"id\":\"batch_req_%u\",\"custom_id\":", ++n);
	buf_jstr(out, id);
	if (end == LINE_EXPIRED || end == LINE_CANCELLED) {
		buf_fmt(out,
			",\"response\":null,\"error\":{\"code\":\"batch_%s\",\"message\":\"This "
			"request could not be executed.\"}}",
			end == LINE_EXPIRED ? "expired" : "cancelled");
		return;
	}
	buf_fmt(out, ",\"response\":{\"status_code\":%d,\"request_id\":\"r%u\",\"body\":", status,
		n);
	buf_add(out, body->p, body->len);
	buf_str(out, "},\"error\":null}");
}

static const struct batch_wire wire = { .id_name = "custom_id",
					.body_name = "body",
					.errors_apart = true,
					.path = line_path,
					.result = result };

static void file_id(struct buf *out, const char *name, const struct batch_file *f)
{
	if (f)
		buf_fmt(out, ",\"%s\":\"%s\"", name, f->id);
	else
		buf_fmt(out, ",\"%s\":null", name);
}

static void show(struct buf *out, const struct batch *b)
{
	buf_fmt(out,
		"{\"id\":\"%s\",\"object\":\"batch\",\"endpoint\":\"%s\",\"completion_window\":"
		"\"24h\",\"created_at\":%lld,\"status\":\"%s\"",
		b->id, b->endpoint, (long long)b->created, words[b->state]);
	file_id(out, "input_file_id", b->input);
	file_id(out, "output_file_id", b->output);
	file_id(out, "error_file_id", b->errors);
	buf_fmt(out, ",\"request_counts\":{\"total\":%zu,\"completed\":%zu,\"failed\":%zu}",
		b->total, b->ends[LINE_ANSWERED], b->ends[LINE_REFUSED]);
	if (b->state == STATE_FAILED) {
		buf_str(out, ",\"errors\":{\"object\":\"list\",\"data\":[{\"code\":\"invalid\","
			     "\"line\":1,\"param\":null,\"message\":");
		buf_jstr(out, b->why);
		buf_str(out, "}]}");
	} else {
		buf_str(out, ",\"errors\":null");
	}
	buf_str(out, ",\"metadata\":{\"inferfs\":");
	buf_jstr(out, b->tag);
	buf_str(out, "}}");
}

static void check_line(struct batch *b, const char *text, size_t n)
{
	json_t *o = json_loadb(text, n, 0, NULL);
	const char *method = json_string_value(json_object_get(o, "method"));
	const char *url = json_string_value(json_object_get(o, "url"));
	const json_t *body = json_object_get(o, "body");

	if (!json_is_string(json_object_get(o, "custom_id")) || !method || strcmp(method, "POST"))
		snprintf(b->why, sizeof(b->why), "custom_id and method POST are required");
	else if (!url || strcmp(url, b->endpoint))
		snprintf(b->why, sizeof(b->why), "url must be the endpoint of the batch");
	else if (json_object_get(body, "stream") || json_object_get(body, "stream_options"))
		snprintf(b->why, sizeof(b->why), "streaming is not supported in a batch");
	else if (!json_object_get(body, "model"))
		snprintf(b->why, sizeof(b->why), "model is required");
	json_decref(o);
}

static int create(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	json_t *o = json_loadb(ask->body->p ? ask->body->p : "", ask->body->len, 0, NULL);
	const char *input = json_string_value(json_object_get(o, "input_file_id"));
	const char *endpoint = json_string_value(json_object_get(o, "endpoint"));
	const char *window = json_string_value(json_object_get(o, "completion_window"));
	const char *tag =
		json_string_value(json_object_get(json_object_get(o, "metadata"), "inferfs"));
	struct batch_file *f = input ? batches_file(input) : NULL;
	struct batch *b;
	int status = 200;

	if (!f)
		status = batches_refuse(d, out, 400, "input_file_id", "no such file");
	else if (!endpoint || strlen(endpoint) >= 64 || !window || strcmp(window, "24h"))
		status = batches_refuse(d, out, 400, "endpoint", "needed, and the window is 24h");
	if (status == 200) {
		b = batches_new("batch_", d, &wire, f);
		snprintf(b->endpoint, sizeof(b->endpoint), "%s", endpoint);
		snprintf(b->tag, sizeof(b->tag), "%s", tag ? tag : "");
		b->total = batches_each_line(b, check_line);
		show(out, b);
	}
	json_decref(o);
	return status;
}

static void show_file(struct buf *out, const struct batch_file *f)
{
	buf_fmt(out,
		"{\"id\":\"%s\",\"object\":\"file\",\"bytes\":%zu,\"created_at\":%lld,\"filename\":"
		"\"%s\",\"purpose\":\"batch\",\"status\":\"processed\"}",
		f->id, f->data.len, (long long)time(NULL), f->name);
}

static int upload(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	const struct batch_file *f = batches_add_form(d, ask, "file-");

	if (!f)
		return batches_refuse(d, out, 400, "file", "a form with file and purpose=batch");
	show_file(out, f);
	return 200;
}

/* Newest first; `after` is the last id of the page before. */
static int list_files(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	const char *after = ask->argument(ask->arg, "after");
	const char *limit = ask->argument(ask->arg, "limit");
	long left = limit ? strtol(limit, NULL, 10) : 10000;
	struct batch_file *f = batches_uploads(d, NULL);
	const char *comma = "";

	while (after && f && strcmp(f->id, after))
		f = batches_uploads(d, f);
	if (after && f)
		f = batches_uploads(d, f);
	buf_str(out, "{\"object\":\"list\",\"data\":[");
	for (; f && left-- > 0; f = batches_uploads(d, f), comma = ",") {
		buf_str(out, comma);
		show_file(out, f);
	}
	buf_fmt(out, "],\"has_more\":%s}", f ? "true" : "false");
	return 200;
}

/* Newest first; `after` is the last id of the page before. */
static int list(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	const char *after = ask->argument(ask->arg, "after");
	const char *limit = ask->argument(ask->arg, "limit");
	long left = limit ? strtol(limit, NULL, 10) : 20;
	struct batch *b = batches_list(d, NULL);
	const char *comma = "";

	while (after && b && strcmp(b->id, after))
		b = batches_list(d, b);
	if (after && b)
		b = batches_list(d, b);
	buf_str(out, "{\"object\":\"list\",\"data\":[");
	for (; b && left-- > 0; b = batches_list(d, b)) {
		buf_str(out, comma);
		show(out, b);
		comma = ",";
	}
	buf_fmt(out, "],\"has_more\":%s}", b ? "true" : "false");
	return 200;
}

static int one_file(const struct dialect *d, struct batch_ask *ask, const char *id, struct buf *out)
{
	struct batch_file *f = batches_file(id);

	if (!f)
		return batches_refuse(d, out, 404, "file", "no such file");
	if (!strcmp(ask->method, "DELETE")) {
		f->deleted = true;
		buf_fmt(out, "{\"id\":\"%s\",\"object\":\"file\",\"deleted\":true}", f->id);
		return 200;
	}
	buf_add(out, f->data.p, f->data.len);
	ask->type = "application/octet-stream";
	return 200;
}

static int one_batch(const struct dialect *d, const char *id, bool cancel, struct buf *out)
{
	struct batch *b = batches_find(id);

	if (!b)
		return batches_refuse(d, out, 404, "batch", "no such batch");
	if (cancel && b->over)
		return batches_refuse(d, out, 409, "batch", "it is over");
	if (cancel)
		batches_cancel(b);
	else
		batches_look(b);
	show(out, b);
	return 200;
}

int batchwire_openai(const struct dialect *d, struct batch_ask *ask, struct buf *out)
{
	bool post = !strcmp(ask->method, "POST"), get = !strcmp(ask->method, "GET");
	char id[64];

	if (!strcmp(ask->path, "/v1/files") && (post || get))
		return post ? upload(d, ask, out) : list_files(d, ask, out);
	if (!strcmp(ask->path, "/v1/batches") && (post || get))
		return post ? create(d, ask, out) : list(d, ask, out);
	if ((get && batches_path(ask->path, "/v1/files/", "/content", id)) ||
	    (!strcmp(ask->method, "DELETE") && batches_path(ask->path, "/v1/files/", "", id)))
		return one_file(d, ask, id, out);
	if (post && batches_path(ask->path, "/v1/batches/", "/cancel", id))
		return one_batch(d, id, true, out);
	if (get && batches_path(ask->path, "/v1/batches/", "", id))
		return one_batch(d, id, false, out);
	return 0;
}
