/*
 * infer/batch_gemini.c - batches at Gemini: a file in two requests, a long-running operation, a file of results
 *
 * Names come as "files/x" and "batches/x"; only what is behind the slash is kept. Requests always go in a file:
 * results then come in one, which can be read in pieces.
 * Source: protocol reference, Gemini 7 and 8.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/batch_api.h"

#include "base/banned.h"

enum upload { UPLOAD_START, UPLOAD_BYTES, UPLOAD_LOOK };
/* those whose names are known, then those that uploads which were cut off have left */
enum remove { REMOVE_KNOWN, REMOVE_LOOK = 3, REMOVE_STRAYS };

static const struct batch_word states[] = {
	{ "UNSPECIFIED", BATCH_WAITING },
	{ "PENDING", BATCH_WAITING },
	{ "QUEUED", BATCH_WAITING },
	{ "RUNNING", BATCH_RUNNING },
	{ "CANCELLING", BATCH_CANCELLING },
	{ "SUCCEEDED", BATCH_DONE },
	{ "PARTIALLY_SUCCEEDED", BATCH_DONE },
	{ "FAILED", BATCH_FAILED },
	{ "EXPIRED", BATCH_EXPIRED },
	{ "CANCELLED", BATCH_CANCELLED },
	{ NULL, BATCH_RUNNING },
};
/* The states of the service, and what client libraries make of them. */
static const char *const prefixes[] = { "BATCH_STATE_", "JOB_STATE_", NULL };

/* numbers of Google's own for what HTTP says otherwise */
static const int statuses[] = {
	[3] = 400,  [4] = 504,	[5] = 404,  [6] = 409,	[7] = 403,  [8] = 429,	[9] = 400,
	[10] = 409, [11] = 400, [12] = 501, [13] = 500, [14] = 503, [15] = 500, [16] = 401
};
enum { CODE_CANCELLED = 1 };

/* ---- lines ---- */

/* One embedding is one line; the call that the request was built for takes a list. */
static int shape_embedding(const struct backend_config *c, json_t *body, struct batch_group *out,
			   struct err *e)
{
	json_t *list = json_object_get(body, "requests");
	json_t *one = json_incref(json_array_get(list, 0));
	int rc = 0;

	if (json_array_size(list) != 1)
		rc = err_field(e, ERR_UNSUPPORTED, "input",
			       "%s: a line of a batch takes one text to embed; write a line for "
			       "each",
			       c->name);
	else if (json_object_clear(body) || json_object_update(body, one))
		rc = err_set(e, ERR_INTERNAL, "no memory for a request to %s", c->name);
	json_decref(one);
	(void)str_copy(out->endpoint, sizeof(out->endpoint), "asyncBatchEmbedContent"); /* fits */
	return rc;
}

/* "/v1beta/models/NAME:method?alt=sse", the name percent-encoded */
static int shape(const struct backend_config *c, const char *path, json_t *body,
		 struct batch_group *out, struct err *e)
{
	const char *name = path + strlen("/v1beta/");
	size_t n = strcspn(name, ":?");

	if (n >= sizeof(out->model))
		return err_field(e, ERR_REQUEST, "model", "%s: this cannot be the name of a model",
				 c->name);
	memcpy(out->model, name, n);
	out->model[n] = '\0';
	if (str_starts(name + n, ":batchEmbedContents"))
		return shape_embedding(c, body, out, e);
	(void)str_copy(out->endpoint, sizeof(out->endpoint), "batchGenerateContent"); /* fits */
	return 0;
}

static json_t *line(const struct batch_group *g, json_t *body, const char *custom_id)
{
	(void)g;
	return json_pack("{s:s, s:O}", "key", custom_id, "request", body);
}

/* ---- asking ---- */

static void set_path(struct batch_ask *out, const char *path)
{
	(void)str_copy(out->path, sizeof(out->path), path); /* fits */
}

static void ask_start(const struct batch_walk *w, struct batch_ask *out)
{
	char line_of_length[BACKEND_HEADER_MAX];

	(void)snprintf(line_of_length, sizeof(line_of_length),
		       "X-Goog-Upload-Header-Content-Length: %llu", (unsigned long long)w->size);
	set_path(out, "/upload/v1beta/files");
	batch_api_header(out, "X-Goog-Upload-Protocol: resumable");
	batch_api_header(out, "X-Goog-Upload-Command: start");
	batch_api_header(out, line_of_length);
	batch_api_header(out, "X-Goog-Upload-Header-Content-Type: application/jsonl");
	batch_api_json(out, json_pack("{s:{s:s}}", "file", "displayName", w->result->job.tag));
}

/* When the bytes did not arrive it begins anew: how many did is not asked. */
static void ask_bytes(struct batch_walk *w, struct batch_ask *out)
{
	w->back = UPLOAD_START;
	set_path(out, w->cursor);
	batch_api_header(out, "X-Goog-Upload-Offset: 0");
	batch_api_header(out, "X-Goog-Upload-Command: upload, finalize");
	batch_api_header(out, "Content-Type: application/jsonl");
	out->body = BATCH_BODY_FILE;
}

static void ask_upload(struct batch_walk *w, struct batch_ask *out)
{
	if (w->phase == UPLOAD_START)
		ask_start(w, out);
	else if (w->phase == UPLOAD_BYTES)
		ask_bytes(w, out);
	else
		batch_api_path(out, "/v1beta/files/", w->result->job.input, "");
}

static void ask_create(const struct batch_job *j, struct batch_ask *out)
{
	(void)snprintf(out->path, sizeof(out->path), "/v1beta/%s:%s", j->group.model,
		       j->group.endpoint);
	batch_api_json(out, json_pack("{s:{s:s, s:{s:s+}}}", "batch", "displayName", j->tag,
				      "inputConfig", "fileName", "files/", j->input));
}

/* the batch's record, its results, its input, as far as they are known */
static bool ask_remove(struct batch_walk *w, struct batch_ask *out)
{
	const struct batch_job *j = &w->result->job;
	const char *const ids[REMOVE_LOOK] = { j->id, j->output[0], j->input };
	char stray[BATCH_NAME_MAX] = "";
	bool known;

	while (w->phase < REMOVE_LOOK && !ids[w->phase][0])
		w->phase++;
	known = w->phase < REMOVE_LOOK;
	if (!known && !j->strays)
		return false;
	if (w->phase == REMOVE_LOOK) {
		batch_api_path(out,
			       w->cursor[0] ? "/v1beta/files?pageSize=100&pageToken="
					    : "/v1beta/files?pageSize=100",
			       w->cursor, "");
		return true;
	}
	if (!known && !batch_api_found_first(w, stray))
		return false;
	batch_api_path(out, w->phase ? "/v1beta/files/" : "/v1beta/batches/",
		       known ? ids[w->phase] : stray, "");
	out->method = "DELETE";
	return true;
}

static bool ask_fetch(const struct batch_walk *w, struct batch_ask *out)
{
	const char *file = w->result->job.output[0];

	if (w->phase || !file[0])
		return false;
	batch_api_path(out, w->elsewhere ? "/download/v1beta/files/" : "/v1beta/files/", file,
		       ":download?alt=media");
	out->lines = true;
	return true;
}

static bool ask(struct batch_walk *w, struct batch_ask *out)
{
	const struct batch_job *j = &w->result->job;

	switch (w->step) {
	case BATCH_UPLOAD:
		ask_upload(w, out);
		return true;
	case BATCH_CREATE:
		ask_create(j, out);
		return true;
	case BATCH_FIND:
		batch_api_path(out,
			       w->cursor[0] ? "/v1beta/batches?pageSize=100&pageToken="
					    : "/v1beta/batches?pageSize=100",
			       w->cursor, "");
		return true;
	case BATCH_POLL:
		batch_api_path(out, "/v1beta/batches/", j->id, "");
		return true;
	case BATCH_CANCEL:
		batch_api_path(out, "/v1beta/batches/", j->id, ":cancel");
		batch_api_json(out, json_object());
		return true;
	case BATCH_FETCH:
		return ask_fetch(w, out);
	default:
		return ask_remove(w, out);
	}
}

/* ---- answers ---- */

/* what is behind "files/" or "batches/" */
static bool take_name(char dst[BATCH_NAME_MAX], const json_t *name, const char *folder)
{
	char whole[BATCH_NAME_MAX];
	const char *id = whole + strlen(folder);

	return batch_api_id(whole, name) && str_starts(whole, folder) && *id && !strchr(id, '/') &&
	       str_copy(dst, BATCH_NAME_MAX, id);
}

static enum batch_state state_of(const json_t *operation, const json_t *batch)
{
	const char *word = json_string_value(json_object_get(batch, "state"));
	bool over = json_is_true(json_object_get(operation, "done"));
	enum batch_state s = BATCH_RUNNING;
	json_t *bare;

	for (const char *const *p = prefixes; word && *p; p++)
		if (str_starts(word, *p))
			word += strlen(*p);
	bare = word ? json_string(word) : NULL;
	s = batch_api_state(states, bare, BATCH_RUNNING);
	json_decref(bare);
	if (!over || batch_state_over(s))
		return s;
	return json_object_get(operation, "error") ? BATCH_FAILED : BATCH_DONE;
}

/* An operation: {"name","metadata":{the batch},"done","response"|"error"} */
static bool take(struct batch_result *r, const json_t *operation)
{
	const json_t *batch = json_object_get(operation, "metadata");
	const json_t *stats = json_object_get(batch, "batchStats");
	const json_t *output = json_object_get(batch, "output");
	const json_t *response = json_object_get(operation, "response");

	if (!take_name(r->job.id, json_object_get(operation, "name"), "batches/"))
		return false;
	r->state = state_of(operation, batch);
	r->total = batch_api_count(json_object_get(stats, "requestCount"));
	r->succeeded = batch_api_count(json_object_get(stats, "successfulRequestCount"));
	r->failed = batch_api_count(json_object_get(stats, "failedRequestCount"));
	if (!take_name(r->job.output[0], json_object_get(output, "responsesFile"), "files/") &&
	    !take_name(r->job.output[0], json_object_get(response, "responsesFile"), "files/"))
		r->job.output[0][0] = '\0';
	batch_api_why(r, json_object_get(json_object_get(operation, "error"), "message"));
	return true;
}

static enum batch_next take_file(struct batch_walk *w, const json_t *file, struct err *e)
{
	const char *state = json_string_value(json_object_get(file, "state"));

	if (!take_name(w->result->job.input, json_object_get(file, "name"), "files/"))
		return batch_api_protocol(w, "the name of the file", e);
	if (!state || strcmp(state, "ACTIVE") == 0)
		return BATCH_NEXT_DONE;
	w->phase = UPLOAD_LOOK;
	if (strcmp(state, "FAILED") != 0 && ++w->pages < BATCH_PAGES_MAX)
		return BATCH_NEXT_LATER;
	(void)err_set(e, ERR_PROVIDER, "%s could not take the file of the batch; try again later",
		      w->config->name);
	return BATCH_NEXT_FAILED;
}

static enum batch_next take_upload(struct batch_walk *w, const json_t *answer,
				   const struct http_head *head, struct err *e)
{
	const json_t *file = json_object_get(answer, "file");

	if (w->phase != UPLOAD_START)
		return take_file(w, file ? file : answer, e);
	if (!strstr(head->link, "://"))
		return batch_api_protocol(w, "an address for the upload", e);
	(void)str_copy(w->cursor, sizeof(w->cursor), head->link); /* same size */
	w->phase = UPLOAD_BYTES;
	return BATCH_NEXT_ASK;
}

/* false: this page was the last */
static bool next_page(struct batch_walk *w, const json_t *page)
{
	const char *token = json_string_value(json_object_get(page, "nextPageToken"));

	return token && *token && ++w->pages < BATCH_PAGES_MAX &&
	       str_copy(w->cursor, sizeof(w->cursor), token);
}

static enum batch_next look_through(struct batch_walk *w, const json_t *page, struct err *e)
{
	const json_t *list = json_object_get(page, "operations"), *batch;
	size_t i;

	if (!json_is_object(page)) /* an account without batches has an empty one */
		return batch_api_protocol(w, "a list of batches", e);
	json_array_foreach(list, i, batch) {
		const json_t *tag =
			json_object_get(json_object_get(batch, "metadata"), "displayName");

		if (json_is_string(tag) && strcmp(json_string_value(tag), w->result->job.tag) == 0)
			return take(w->result, batch) ? BATCH_NEXT_DONE
						      : batch_api_protocol(w, "its name", e);
	}
	return next_page(w, page) ? BATCH_NEXT_ASK : BATCH_NEXT_DONE;
}

static void look_for_strays(struct batch_walk *w, const json_t *page)
{
	char id[BATCH_NAME_MAX];
	const json_t *file;
	size_t i;

	json_array_foreach(json_object_get(page, "files"), i, file) {
		const char *theirs = json_string_value(json_object_get(file, "displayName"));

		if (theirs && strcmp(theirs, w->result->job.tag) == 0 &&
		    take_name(id, json_object_get(file, "name"), "files/"))
			batch_api_found_add(w, id);
	}
	if (!next_page(w, page))
		w->phase = REMOVE_STRAYS;
}

static enum batch_next removed(struct batch_walk *w, const json_t *answer)
{
	if (w->phase == REMOVE_LOOK)
		look_for_strays(w, answer);
	else if (w->phase == REMOVE_STRAYS)
		batch_api_found_drop(w);
	else
		w->phase++;
	return BATCH_NEXT_ASK;
}

static enum batch_next reply(struct batch_walk *w, json_t *answer, const struct http_head *head,
			     struct err *e)
{
	switch (w->step) {
	case BATCH_UPLOAD:
		return take_upload(w, answer, head, e);
	case BATCH_CREATE:
	case BATCH_POLL:
		return take(w->result, answer) ? BATCH_NEXT_DONE
					       : batch_api_protocol(w, "the batch's name", e);
	case BATCH_FIND:
		return look_through(w, answer, e);
	case BATCH_CANCEL:
		return BATCH_NEXT_DONE; /* {}; the next poll tells */
	case BATCH_REMOVE:
		return removed(w, answer);
	default:
		w->phase++;
		return BATCH_NEXT_ASK;
	}
}

/* ---- results ---- */

static void read_error(json_t *error, struct batch_found *out)
{
	int64_t code = batch_api_count(json_object_get(error, "code"));

	out->kind = code == CODE_CANCELLED ? BATCH_LINE_CANCELLED : BATCH_LINE_ERROR;
	out->error = error;
	if (code > 0 && code < (int64_t)ARRAY_LEN(statuses))
		out->status = statuses[code];
	else if (code >= 400 && code <= 599)
		out->status = (int)code;
}

/* {"key","response"} or {"key","error"}; one embedding is put as the list that the other call answers */
static int read_line(json_t *line, struct batch_found *out)
{
	json_t *key = json_object_get(line, "key"), *error = json_object_get(line, "error");
	json_t *response = json_object_get(line, "response");
	json_t *one = json_object_get(response, "embedding");

	if (!key)
		key = json_object_get(json_object_get(line, "metadata"), "key");
	*out = (struct batch_found){ .custom_id = json_string_value(key) };
	if (!out->custom_id || (!json_is_object(response) && !json_is_object(error)))
		return -EBADMSG;
	if (json_is_object(error)) {
		read_error(error, out);
		return 0;
	}
	if (one && json_object_set_new(response, "embeddings", json_pack("[O]", one)))
		return -ENOMEM;
	out->body = response;
	return 0;
}

const struct batch_api batch_gemini = {
	.limits = { .requests = 100000,
		    .bytes = 2000000000,
		    .uploads = true,
		    .tagged = true,
		    .hours = 48 },
	.gone = 403, /* "no permission, or it may not exist" */
	.two_places = true,
	.shape = shape,
	.line = line,
	.ask = ask,
	.reply = reply,
	.read = read_line,
};
