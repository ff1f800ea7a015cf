/* Files and batches as Gemini has them; see batches.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batches.h"

static const char *const words[STATE_COUNT] = { "PENDING",   "RUNNING", "RUNNING", "RUNNING",
						"SUCCEEDED", "FAILED",	"EXPIRED", "CANCELLED" };

static bool embeds(const struct batch *b)
{
	return !strcmp(b->endpoint, "asyncBatchEmbedContent");
}

static void line_path(struct buf *out, const struct batch *b)
{
	buf_fmt(out, "/v1beta/models/%s:%s", b->model,
		embeds(b) ? "batchEmbedContents" : "generateContent");
}

/* One embedding is asked of the call that takes a list, and its answer taken out of one. */
static json_t *wrap(const struct batch *b, json_t *body)
{
	return embeds(b) ? json_pack("{s:[O]}", "requests", body) : json_incref(body);
}

static void add_response(struct buf *out, const struct buf *body)
{
	json_t *o = json_loadb(body->p, body->len, 0, NULL);
	json_t *one = json_array_get(json_object_get(o, "embeddings"), 0);
	char *text;

	if (one) {
		json_object_set(o, "embedding", one);
		json_object_del(o, "embeddings");
	}
	text = json_dumps(o, JSON_COMPACT);
	buf_str(out, text ? text : "null");
	free(text);
	json_decref(o);
}

/* Google's number for what HTTP says */
static int code_of(int status)
{
	return status == 400 ? 3 : status == 404 ? 5 : status == 429 ? 8 : status == 503 ? 14 : 13;
}

static void result(struct buf *out, const char *id, enum line_end end, int status,
		   const struct buf *body)
{
	buf_str(out, "{\"key\":");
	buf_jstr(out, id);
	if (end == LINE_CANCELLED)
		buf_str(out, ",\"error\":{\"code\":1,\"message\":\"cancelled\"}}");
	else if (end == LINE_EXPIRED)
		buf_str(out, ",\"error\":{\"code\":4,\"message\":\"deadline expired\"}}");
	else if (status >= 400)
		buf_fmt(out, ",\"error\":{\"code\":%d,\"message\":\"status %d\"}}", code_of(status),
			status);
	else {
		buf_str(out, ",\"response\":");
		add_response(out, body);
		buf_str(out, "}");
	}
}

static const struct batch_wire wire = { .id_name = "key",
					.wrap = wrap,
					.body_name = "request",
					.none_unless_done = true,
					.path = line_path,
					.result = result };

static void show(struct buf *out, const struct batch *b)
{
	buf_fmt(out,
		"{\"name\":\"batches/%s\",\"metadata\":{\"@type\":\"type/GenerateContentBatch\","
		"\"model\":\"models/%s\",\"displayName\":",
		b->id, b->model);
	buf_jstr(out, b->tag);
	buf_fmt(out,
		",\"state\":\"BATCH_STATE_%s\",\"batchStats\":{\"requestCount\":\"%zu\","
		"\"successfulRequestCount\":\"%zu\",\"failedRequestCount\":\"%zu\"}",
		words[b->state], b->total, b->ends[LINE_ANSWERED], b->ends[LINE_REFUSED]);
	if (b->output)
		buf_fmt(out, ",\"output\":{\"responsesFile\":\"files/%s\"}", b->output->id);
	buf_str(out, "}");
	if (b->over)
		buf_str(out, ",\"done\":true");
	if (b->state == STATE_FAILED) {
		buf_str(out, ",\"error\":{\"code\":3,\"message\":");
		buf_jstr(out, b->why);
		buf_str(out, "}");
	} else if (b->output) {
		buf_fmt(out, ",\"response\":{\"responsesFile\":\"files/%s\"}", b->output->id);
	}
	buf_str(out, "}");
}

static void check_line(struct batch *b, const char *text, size_t n)
{
	json_t *o = json_loadb(text, n, 0, NULL);

	if (!json_is_string(json_object_get(o, "key")) ||
	    !json_is_object(json_object_get(o, "request")))
		snprintf(b->why, sizeof(b->why), "a line is {key, request}");
	json_decref(o);
}

static int create(const struct dialect *d, const struct batch_ask *ask, const char *model,
		  const char *method, struct buf *out)
{
	json_t *o = json_loadb(ask->body->p ? ask->body->p : "", ask->body->len, 0, NULL);
	const json_t *batch = json_object_get(o, "batch");
	const char *input = json_string_value(
		json_object_get(json_object_get(batch, "inputConfig"), "fileName"));
	const char *tag = json_string_value(json_object_get(batch, "displayName"));
	struct batch_file *f = input && !strncmp(input, "files/", 6) ? batches_file(input + 6)
								     : NULL;
	struct batch *b;
	int status = 200;

	if (!f || f->looks > 0) {
		status = batches_refuse(d, out, f ? 400 : 404, "batch.inputConfig.fileName",
					"no such file, or it is not active");
	} else {
		b = batches_new("b", d, &wire, f);
		snprintf(b->endpoint, sizeof(b->endpoint), "%s", method);
		snprintf(b->model, sizeof(b->model), "%s", model);
		snprintf(b->tag, sizeof(b->tag), "%s", tag ? tag : "");
		b->total = batches_each_line(b, check_line);
		show(out, b);
	}
	json_decref(o);
	return status;
}

/* ---- files ---- */

static void show_file(struct buf *out, struct batch_file *f)
{
	buf_fmt(out,
		"{\"name\":\"files/%s\",\"displayName\":\"%s\",\"mimeType\":\"application/jsonl\","
		"\"sizeBytes\":\"%zu\",\"state\":\"%s\"}",
		f->id, f->name, f->data.len, f->looks > 0 ? "PROCESSING" : "ACTIVE");
}

static bool says(const struct batch_ask *ask, const char *header, const char *value)
{
	const char *v = ask->header(ask->arg, header);

	return v && !strcmp(v, value);
}

/* The address is on this server, by the name that the client knows it by. */
static int start_upload(const struct dialect *d, struct batch_ask *ask, struct buf *out)
{
	const char *host = ask->header(ask->arg, "Host");
	const char *length = ask->header(ask->arg, "X-Goog-Upload-Header-Content-Length");
	json_t *o = json_loadb(ask->body->p ? ask->body->p : "", ask->body->len, 0, NULL);
	const char *name =
		json_string_value(json_object_get(json_object_get(o, "file"), "displayName"));
	char id[64];

	snprintf(id, sizeof(id), "%s", name ? name : "unnamed");
	json_decref(o);
	if (!says(ask, "X-Goog-Upload-Protocol", "resumable") ||
	    !says(ask, "X-Goog-Upload-Command", "start") || !length || !host)
		return batches_refuse(d, out, 400, "upload", "resumable, start, and a length");
	snprintf(ask->link, sizeof(ask->link), "http://%s%s/upload/v1beta/files/%s?upload_id=%s",
		 host, d->prefix, length, id);
	buf_str(out, "{}");
	return 200;
}

static int take_upload(const struct dialect *d, const struct batch_ask *ask, const char *length,
		       struct buf *out)
{
	const char *name = ask->argument(ask->arg, "upload_id");
	struct batch_file *f;

	if (!says(ask, "X-Goog-Upload-Command", "upload, finalize") ||
	    !says(ask, "X-Goog-Upload-Offset", "0") ||
	    ask->body->len != (size_t)strtoull(length, NULL, 10))
		return batches_refuse(d, out, 400, "upload", "not the bytes that were announced");
	f = batches_add_file("f", ask->body->p ? ask->body->p : "", ask->body->len);
	f->dialect = d;
	snprintf(f->name, sizeof(f->name), "%s", name ? name : "");
	buf_str(out, "{\"file\":");
	show_file(out, f);
	buf_str(out, "}");
	return 200;
}

/* An unknown one is forbidden: the service does not tell what exists. */
static int one_file(const struct dialect *d, struct batch_ask *ask, const char *id, bool content,
		    struct buf *out)
{
	struct batch_file *f = batches_file(id);

	if (!f)
		return batches_refuse(d, out, 403, "file", "no permission, or no such file");
	if (!strcmp(ask->method, "DELETE")) {
		f->deleted = true;
		buf_str(out, "{}");
	} else if (content) {
		buf_add(out, f->data.p, f->data.len);
		ask->type = "application/octet-stream";
	} else {
		f->looks--;
		show_file(out, f);
	}
	return 200;
}

/* ---- batches ---- */

static int one_batch(const struct dialect *d, const struct batch_ask *ask, const char *id,
		     struct buf *out)
{
	struct batch *b = batches_find(id);

	if (!b)
		return batches_refuse(d, out, 404, "name", "no such batch");
	if (!strcmp(ask->method, "GET")) {
		batches_look(b);
		show(out, b);
		return 200;
	}
	if (!strcmp(ask->method, "DELETE"))
		b->deleted = true;
	else
		batches_cancel(b);
	buf_str(out, "{}");
	return 200;
}

static int list_files(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	const char *token = ask->argument(ask->arg, "pageToken");
	const char *size = ask->argument(ask->arg, "pageSize");
	long from = token ? strtol(token, NULL, 10) : 0, i = 0;
	long end = from + (size ? strtol(size, NULL, 10) : 10);

	buf_str(out, "{\"files\":[");
	for (struct batch_file *f = batches_uploads(d, NULL); f; f = batches_uploads(d, f), i++) {
		if (i < from || i >= end)
			continue;
		buf_str(out, i > from ? "," : "");
		show_file(out, f);
	}
	buf_str(out, "]");
	if (i > end)
		buf_fmt(out, ",\"nextPageToken\":\"%ld\"", end);
	buf_str(out, "}");
	return 200;
}

static int list(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	const char *token = ask->argument(ask->arg, "pageToken");
	const char *size = ask->argument(ask->arg, "pageSize");
	long from = token ? strtol(token, NULL, 10) : 0, i = 0;
	long end = from + (size ? strtol(size, NULL, 10) : 50);

	buf_str(out, "{\"operations\":[");
	for (struct batch *b = batches_list(d, NULL); b; b = batches_list(d, b), i++) {
		if (i < from || i >= end)
			continue;
		buf_str(out, i > from ? "," : "");
		show(out, b);
	}
	buf_str(out, "]");
	if (i > end)
		buf_fmt(out, ",\"nextPageToken\":\"%ld\"", end);
	buf_str(out, "}");
	return 200;
}

static int by_model(const struct dialect *d, const struct batch_ask *ask, struct buf *out)
{
	static const char models[] = "/v1beta/models/";
	const char *name = ask->path + sizeof(models) - 1, *method = strchr(ask->path, ':');
	char model[128];

	if (strncmp(ask->path, models, sizeof(models) - 1) || !method ||
	    (strcmp(method, ":batchGenerateContent") && strcmp(method, ":asyncBatchEmbedContent")))
		return 0;
	snprintf(model, sizeof(model), "%.*s", (int)(method - name), name);
	return create(d, ask, model, method + 1, out);
}

int batchwire_gemini(const struct dialect *d, struct batch_ask *ask, struct buf *out)
{
	bool post = !strcmp(ask->method, "POST"), get = !strcmp(ask->method, "GET");
	char id[64];

	if (post && !strcmp(ask->path, "/upload/v1beta/files"))
		return start_upload(d, ask, out);
	if (post && batches_path(ask->path, "/upload/v1beta/files/", "", id))
		return take_upload(d, ask, id, out);
	if (get && batches_path(ask->path, "/v1beta/files/", ":download", id))
		return one_file(d, ask, id, true, out);
	if (!post && batches_path(ask->path, "/v1beta/files/", "", id))
		return one_file(d, ask, id, false, out);
	if (get && !strcmp(ask->path, "/v1beta/files"))
		return list_files(d, ask, out);
	if (get && !strcmp(ask->path, "/v1beta/batches"))
		return list(d, ask, out);
	if (post && batches_path(ask->path, "/v1beta/batches/", ":cancel", id))
		return one_batch(d, ask, id, out);
	if (!post && batches_path(ask->path, "/v1beta/batches/", "", id))
		return one_batch(d, ask, id, out);
	return post ? by_model(d, ask, out) : 0;
}
