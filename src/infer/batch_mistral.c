/*
 * infer/batch_mistral.c - batches at Mistral: as OpenAI's, with the model named by the job and other words
 *
 * Limits and the life of results are said differently on two of its pages; the smaller ones are kept.
 * Source: protocol reference, Mistral 7 and 8.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "infer/batch_files.h"

#include "base/banned.h"

enum { PAGE = 100 };

static const struct batch_word states[] = {
	{ "QUEUED", BATCH_WAITING },
	{ "RUNNING", BATCH_RUNNING },
	{ "CANCELLATION_REQUESTED", BATCH_CANCELLING },
	{ "SUCCESS", BATCH_DONE },
	{ "FAILED", BATCH_FAILED },
	{ "TIMEOUT_EXCEEDED", BATCH_EXPIRED },
	{ "CANCELLED", BATCH_CANCELLED },
	{ NULL, BATCH_RUNNING },
};
static const char *const fields[] = { "purpose", "batch", NULL };

/* ---- lines ---- */

static int shape(const struct backend_config *c, const char *path, json_t *body,
		 struct batch_group *out, struct err *e)
{
	const char *model = json_string_value(json_object_get(body, "model"));

	(void)str_copy(out->endpoint, sizeof(out->endpoint), path); /* fits */
	if (!model || !str_copy(out->model, sizeof(out->model), model))
		return err_field(e, ERR_REQUEST, "model", "%s: this cannot be the name of a model",
				 c->name);
	(void)json_object_del(body, "model"); /* it is there */
	return 0;
}

static json_t *line(const struct batch_group *g, json_t *body, const char *custom_id)
{
	(void)g;
	return json_pack("{s:s, s:O}", "custom_id", custom_id, "body", body);
}

/* ---- asking ---- */

static json_t *create(const struct batch_job *j)
{
	return json_pack("{s:[s], s:s, s:s, s:{s:s}, s:i}", "input_files", j->input, "endpoint",
			 j->group.endpoint, "model", j->group.model, "metadata", "inferfs", j->tag,
			 "timeout_hours", (int)batch_mistral.limits.hours);
}

static void list(const struct batch_walk *w, struct batch_ask *out)
{
	(void)snprintf(out->path, sizeof(out->path),
		       "/v1/batch/jobs?page=%u&page_size=%d&order_by=-created", w->pages, PAGE);
}

/* ---- answers ---- */

static bool take(struct batch_result *r, const json_t *job)
{
	if (!batch_api_id(r->job.id, json_object_get(job, "id")))
		return false;
	r->state = batch_api_state(states, json_object_get(job, "status"), BATCH_RUNNING);
	r->total = batch_api_count(json_object_get(job, "total_requests"));
	r->succeeded = batch_api_count(json_object_get(job, "succeeded_requests"));
	r->failed = batch_api_count(json_object_get(job, "failed_requests"));
	batch_api_take(r->job.output[0], job, "output_file");
	batch_api_take(r->job.output[1], job, "error_file");
	batch_api_why(r, json_object_get(json_array_get(json_object_get(job, "errors"), 0),
					 "message"));
	return true;
}

/* Newest first; a page that is not full is the last. */
static bool more(struct batch_walk *w, const json_t *page)
{
	const json_t *data = json_object_get(page, "data");
	const json_t *last = json_array_get(data, json_array_size(data) - 1);
	int64_t created = batch_api_count(json_object_get(last, "created_at"));

	return json_array_size(data) >= PAGE && (created < 0 || created >= batch_api_since(w));
}

static void uploads(const struct batch_walk *w, struct batch_ask *out)
{
	(void)snprintf(out->path, sizeof(out->path),
		       "/v1/files?purpose=batch&search=%s&page=%u&page_size=%d", w->result->job.tag,
		       w->pages, PAGE);
}

static bool more_uploads(struct batch_walk *w, const json_t *page)
{
	(void)w;
	return json_array_size(json_object_get(page, "data")) >= PAGE;
}

static const struct batch_files files = { .files = "/v1/files/",
					  .batches = "/v1/batch/jobs/",
					  .fields = fields,
					  .create = create,
					  .list = list,
					  .take = take,
					  .more = more,
					  .uploads = uploads,
					  .more_uploads = more_uploads };

const struct batch_api batch_mistral = {
	.limits = { .requests = 100000,
		    .bytes = 512000000,
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
