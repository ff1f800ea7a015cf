/* Files and batch jobs as Mistral has them; see batches.h. */
#include <stdio.h>
#include <string.h>

#include "batches.h"

static const char *const words[STATE_COUNT] = { "QUEUED",	    "RUNNING",
						"RUNNING",	    "CANCELLATION_REQUESTED",
						"SUCCESS",	    "FAILED",
						"TIMEOUT_EXCEEDED", "CANCELLED" };

static void line_path(struct buf *out, const struct batch *b)
{
	buf_str(out, b->endpoint);
}

static void result(struct buf *out, const char *id, enum line_end end, int status,
		   const struct buf *body)
{
	static unsigned n;

	(void)end;
	buf_fmt(out, "{\"id\":\"batch-1-%u\",\"custom_id\":", ++n);
	buf_jstr(out, id);
	buf_fmt(out, ",\"response\":{\"status_code\":%d,\"body\":", status);
	buf_add(out, body->p, body->len);
	buf_str(out, "},\"error\":null}");
}

/* What was not run is in neither file. */
static const struct batch_wire wire = { .id_name = "custom_id",
					.body_name = "body",
					.errors_apart = true,
					.none_expired = true,
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
	size_t good = b->ends[LINE_ANSWERED], bad = b->ends[LINE_REFUSED];

	buf_fmt(out,
		"{\"id\":\"%s\",\"object\":\"batch\",\"status\":\"%s\",\"endpoint\":\"%s\","
		"\"model\":\"%s\",\"input_files\":[\"%s\"]",
		b->id, words[b->state], b->endpoint, b->model, b->input->id);
	file_id(out, "output_file", b->output);
	file_id(out, "error_file", b->errors);
	buf_str(out, ",\"errors\":[");
	if (b->state == STATE_FAILED) {
		buf_str(out, "{\"message\":");
		buf_jstr(out, b->why);
		buf_str(out, ",\"count\":1}");
	}
	buf_str(out, "],\"metadata\":{\"inferfs\":");
	buf_jstr(out, b->tag);
	buf_fmt(out,
		"},\"outputs\":null,\"created_at\":%lld,\"started_at\":null,\"completed_at\":null,"
		"\"total_requests\":%zu,\"completed_requests\":%zu,\"succeeded_requests\":%zu,"
		"\"failed_requests\":%zu}",
		(long long)b->created, b->total, good + bad, good, bad);
}

static void check_line(struct batch *b, const char *text, size_t n)
{
	json_t *o = json_loadb(text, n, 0, NULL);
	const json_t *body = json_object_get(o, "body");
	const char *model = json_string_value(json_object_get(body, "model"));

	if (!json_is_object(body))
		snprintf(b->why, sizeof(b->why), "a line is {custom_id, body}");
	else if (json_is_true(json_object_get(body, "stream")))
		snprintf(b->why, sizeof(b->why), "stream must be false in a batch");
	else if (model && strcmp(model, b->model))
		snprintf(b->why, sizeof(b->why), "one model a batch");
	json_decref(o);
}

static bool only_known(const json_t *o)
{
	static const char *const known[] = { "input_files", "requests", "endpoint",	"model",
					     "agent_id",    "metadata", "timeout_hours" };
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)o, name, v) {
		size_t i = 0;

		while (i < 7 && strcmp(known[i], name))
			i++;
		if (i == 7)
			return false;
	}
	return json_is_object(o);
}

static int create(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	json_t *o = json_loadb(ask->body->p ? ask->body->p : "", ask->body->len, 0, NULL);
	const char *input = json_string_value(json_array_get(json_object_get(o, "input_files"), 0));
	const char *endpoint = json_string_value(json_object_get(o, "endpoint"));
	const char *model = json_string_value(json_object_get(o, "model"));
	const char *tag =
		json_string_value(json_object_get(json_object_get(o, "metadata"), "inferfs"));
	struct batch_file *f = input ? batches_file(input) : NULL;
	struct batch *b;
	int status = 200;

	if (!only_known(o))
		status = batches_refuse(d, out, 422, "body", "unknown member");
	else if (!f)
		status = batches_refuse(d, out, 404, "input_files", "no such file");
	else if (!endpoint || strlen(endpoint) >= 64 || !model || strlen(model) >= 128)
		status = batches_refuse(d, out, 422, "endpoint", "endpoint and model are needed");
	if (status == 200) {
		b = batches_new("job-", d, &wire, f);
		snprintf(b->endpoint, sizeof(b->endpoint), "%s", endpoint);
		snprintf(b->model, sizeof(b->model), "%s", model);
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
		"\"%s\",\"purpose\":\"batch\",\"sample_type\":\"batch_request\",\"source\":"
		"\"upload\"}",
		f->id, f->data.len, (long long)time(NULL), f->name);
}

static int upload(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	const struct batch_file *f = batches_add_form(d, ask, NULL);

	if (!f)
		return batches_refuse(d, out, 422, "file", "a form with file and purpose=batch");
	show_file(out, f);
	return 200;
}

static long argument(const struct batch_ask *ask, const char *name, long otherwise)
{
	const char *s = ask->argument(ask->arg, name);

	return s ? strtol(s, NULL, 10) : otherwise;
}

static int list(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	long size = argument(ask, "page_size", 100);
	long from = argument(ask, "page", 0) * size, i = 0;

	buf_str(out, "{\"object\":\"list\",\"data\":[");
	for (struct batch *b = batches_list(d, NULL); b; b = batches_list(d, b), i++) {
		if (i < from || i >= from + size)
			continue;
		buf_str(out, i > from ? "," : "");
		show(out, b);
	}
	buf_fmt(out, "],\"total\":%ld}", i);
	return 200;
}

static int list_files(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	const char *search = ask->argument(ask->arg, "search");
	long size = argument(ask, "page_size", 100);
	long from = argument(ask, "page", 0) * size, i = 0;

	buf_str(out, "{\"object\":\"list\",\"data\":[");
	for (struct batch_file *f = batches_uploads(d, NULL); f; f = batches_uploads(d, f)) {
		if (search && !strstr(f->name, search))
			continue;
		if (i >= from && i < from + size) {
			buf_str(out, i > from ? "," : "");
			show_file(out, f);
		}
		i++;
	}
	buf_str(out, "]}");
	return 200;
}

static int one_file(const struct dialect *d, struct batch_ask *ask, const char *id, struct buf *out)
{
	struct batch_file *f = batches_file(id);

	if (!f)
		return batches_refuse(d, out, 404, "file_id", "no such file");
	if (!strcmp(ask->method, "DELETE")) {
		f->deleted = true;
		buf_fmt(out, "{\"id\":\"%s\",\"object\":\"file\",\"deleted\":true}", f->id);
		return 200;
	}
	buf_add(out, f->data.p, f->data.len);
	ask->type = "application/octet-stream";
	return 200;
}

static int one_job(const struct dialect *d, const char *id, bool cancel, struct buf *out)
{
	struct batch *b = batches_find(id);

	if (!b)
		return batches_refuse(d, out, 404, "job_id", "no such job");
	if (cancel)
		batches_cancel(b);
	else
		batches_look(b);
	show(out, b);
	return 200;
}

int batchwire_mistral(const struct dialect *d, struct batch_ask *ask, struct buf *out)
{
	bool post = !strcmp(ask->method, "POST"), get = !strcmp(ask->method, "GET");
	char id[64];

	if (!strcmp(ask->path, "/v1/files") && (post || get))
		return post ? upload(d, ask, out) : list_files(d, ask, out);
	if (!strcmp(ask->path, "/v1/batch/jobs") && (post || get))
		return post ? create(d, ask, out) : list(d, ask, out);
	if ((get && batches_path(ask->path, "/v1/files/", "/content", id)) ||
	    (!strcmp(ask->method, "DELETE") && batches_path(ask->path, "/v1/files/", "", id)))
		return one_file(d, ask, id, out);
	if (post && batches_path(ask->path, "/v1/batch/jobs/", "/cancel", id))
		return one_job(d, id, true, out);
	if (get && batches_path(ask->path, "/v1/batch/jobs/", "", id))
		return one_job(d, id, false, out);
	return 0;
}
