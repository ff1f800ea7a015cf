/*
 * infer/batch_openai.c - batches at OpenAI: a file, a batch made from it, a file of answers and one of errors
 *
 * Source: protocol reference, OpenAI 6.
 */
#include <string.h>

#include "base/str.h"
#include "infer/batch_files.h"

#include "base/banned.h"

static const struct batch_word states[] = {
	{ "validating", BATCH_WAITING }, { "in_progress", BATCH_RUNNING },
	{ "finalizing", BATCH_RUNNING }, { "cancelling", BATCH_CANCELLING },
	{ "completed", BATCH_DONE },	 { "failed", BATCH_FAILED },
	{ "expired", BATCH_EXPIRED },	 { "cancelled", BATCH_CANCELLED },
	{ NULL, BATCH_RUNNING },
};

/* A file that nobody fetches and nobody deletes goes by itself after 30 days. */
static const char *const fields[] = {
	"purpose", "batch", "expires_after[anchor]", "created_at", "expires_after[seconds]",
	"2592000", NULL
};

/* ---- lines ---- */

static int shape(const struct backend_config *c, const char *path, json_t *body,
		 struct batch_group *out, struct err *e)
{
	const char *model = json_string_value(json_object_get(body, "model"));

	(void)str_copy(out->endpoint, sizeof(out->endpoint), "/v1"); /* fits, and so does a path */
	(void)str_copy(out->endpoint + 3, sizeof(out->endpoint) - 3, path);
	if (str_copy(out->model, sizeof(out->model), model ? model : ""))
		return 0;
	return err_field(e, ERR_REQUEST, "model", "%s: this cannot be the name of a model",
			 c->name);
}

static json_t *line(const struct batch_group *g, json_t *body, const char *custom_id)
{
	return json_pack("{s:s, s:s, s:s, s:O}", "custom_id", custom_id, "method", "POST", "url",
			 g->endpoint, "body", body);
}

/* ---- asking ---- */

static json_t *create(const struct batch_job *j)
{
	return json_pack("{s:s, s:s, s:s, s:{s:s}}", "input_file_id", j->input, "endpoint",
			 j->group.endpoint, "completion_window", "24h", "metadata", "inferfs",
			 j->tag);
}

static void list(const struct batch_walk *w, struct batch_ask *out)
{
	batch_api_path(out, w->cursor[0] ? "/batches?limit=100&after=" : "/batches?limit=100",
		       w->cursor, "");
}

/* ---- answers ---- */

/* What was wrong with the file; a batch that was begun has none. */
static void say_why(struct batch_result *r, const json_t *batch)
{
	const json_t *errors = json_object_get(json_object_get(batch, "errors"), "data");

	batch_api_why(r, json_object_get(json_array_get(errors, 0), "message"));
}

static bool take(struct batch_result *r, const json_t *batch)
{
	const json_t *counts = json_object_get(batch, "request_counts");

	if (!batch_api_id(r->job.id, json_object_get(batch, "id")))
		return false;
	r->state = batch_api_state(states, json_object_get(batch, "status"), BATCH_RUNNING);
	r->total = batch_api_count(json_object_get(counts, "total"));
	r->succeeded = batch_api_count(json_object_get(counts, "completed"));
	r->failed = batch_api_count(json_object_get(counts, "failed"));
	batch_api_take(r->job.output[0], batch, "output_file_id");
	batch_api_take(r->job.output[1], batch, "error_file_id");
	say_why(r, batch);
	return true;
}

static bool more(struct batch_walk *w, const json_t *page)
{
	const json_t *data = json_object_get(page, "data");
	const json_t *last = json_array_get(data, json_array_size(data) - 1);

	return json_is_true(json_object_get(page, "has_more")) &&
	       batch_api_id(w->cursor, json_object_get(last, "id"));
}

static void uploads(const struct batch_walk *w, struct batch_ask *out)
{
	batch_api_path(out,
		       w->cursor[0] ? "/files?purpose=batch&limit=1000&after="
				    : "/files?purpose=batch&limit=1000",
		       w->cursor, "");
}

static const struct batch_files files = { .files = "/files/",
					  .batches = "/batches/",
					  .fields = fields,
					  .create = create,
					  .list = list,
					  .take = take,
					  .more = more,
					  .uploads = uploads,
					  .more_uploads = more };

const struct batch_api batch_openai = {
	.limits = { .requests = 50000,
		    .bytes = 200000000,
		    .inputs = 50000,
		    .uploads = true,
		    .tagged = true,
		    .hours = 24 },
	.shape = shape,
	.line = line,
	.files = &files,
	.ask = batch_files_ask,
	.reply = batch_files_reply,
	.read = batch_api_read,
};
