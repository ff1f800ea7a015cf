/*
 * infer/batch_anthropic.c - batches at Anthropic: the requests travel in the creation, results come as lines
 *
 * A batch there has no mark of ours. One whose creation was not answered is known, once it is over, by the custom
 * ids of its results; before that only by its size and time, which is why FIND is not sure.
 * Source: protocol reference, Anthropic 6.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strptime, timegm */
#endif
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "infer/batch_api.h"

#include "base/banned.h"

#define BATCHES "/v1/messages/batches"

enum find { FIND_LIST, FIND_PEEK };

static const struct batch_word states[] = {
	{ "in_progress", BATCH_RUNNING },
	{ "canceling", BATCH_CANCELLING },
	{ "ended", BATCH_DONE }, /* well or not, its results say */
	{ NULL, BATCH_RUNNING },
};

/* ---- lines ---- */

static int shape(const struct backend_config *c, const char *path, json_t *body,
		 struct batch_group *out, struct err *e)
{
	(void)c;
	(void)body;
	(void)e;
	(void)str_copy(out->endpoint, sizeof(out->endpoint), path); /* fits */
	out->model[0] = '\0';					    /* each line has its own */
	return 0;
}

static json_t *line(const struct batch_group *g, json_t *body, const char *custom_id)
{
	(void)g;
	return json_pack("{s:s, s:O}", "custom_id", custom_id, "params", body);
}

/* ---- asking ---- */

static void ask_create(struct batch_ask *out)
{
	(void)str_copy(out->path, sizeof(out->path), BATCHES); /* fits */
	(void)buf_adds(&out->text, "{\"requests\":[");	       /* failed tells */
	(void)buf_adds(&out->tail, "]}");
	out->body = BATCH_BODY_LIST;
	batch_api_header(out, "Content-Type: application/json");
}

/* The first of the ids in w->found; it goes when its results were looked at. */
static bool ask_peek(const struct batch_walk *w, struct batch_ask *out)
{
	char id[BATCH_NAME_MAX];

	if (!batch_api_found_first(w, id))
		return false;
	batch_api_path(out, BATCHES "/", id, "/results");
	out->lines = out->peek = true;
	return true;
}

static bool ask_find(const struct batch_walk *w, struct batch_ask *out)
{
	if (w->phase == FIND_PEEK)
		return ask_peek(w, out);
	batch_api_path(out, w->cursor[0] ? BATCHES "?limit=100&after_id=" : BATCHES "?limit=100",
		       w->cursor, "");
	return true;
}

static bool ask(struct batch_walk *w, struct batch_ask *out)
{
	const struct batch_job *j = &w->result->job;

	batch_api_header(out, j->group.header);
	switch (w->step) {
	case BATCH_CREATE:
		ask_create(out);
		return true;
	case BATCH_FIND:
		return ask_find(w, out);
	case BATCH_POLL:
		batch_api_path(out, BATCHES "/", j->id, "");
		return true;
	case BATCH_CANCEL:
		batch_api_path(out, BATCHES "/", j->id, "/cancel");
		batch_api_nothing(out);
		return true;
	case BATCH_FETCH:
		batch_api_path(out, BATCHES "/", j->output[0], "/results");
		out->lines = true;
		return !w->phase && j->output[0][0];
	case BATCH_REMOVE:
		batch_api_path(out, BATCHES "/", j->id, "");
		out->method = "DELETE";
		return !w->phase && j->id[0];
	default:
		return false;
	}
}

/* ---- answers ---- */

static int64_t sum(const json_t *counts, const char *const *names)
{
	int64_t n = 0;

	for (; *names; names++) {
		int64_t one = batch_api_count(json_object_get(counts, *names));

		n += one > 0 ? one : 0;
	}
	return n;
}

static int64_t total_of(const json_t *batch)
{
	static const char *const all[] = { "processing", "succeeded", "errored",
					   "canceled",	 "expired",   NULL };

	return sum(json_object_get(batch, "request_counts"), all);
}

static bool take(struct batch_result *r, const json_t *batch)
{
	static const char *const bad[] = { "errored", "canceled", "expired", NULL };
	const json_t *counts = json_object_get(batch, "request_counts");

	if (!batch_api_id(r->job.id, json_object_get(batch, "id")))
		return false;
	r->state =
		batch_api_state(states, json_object_get(batch, "processing_status"), BATCH_RUNNING);
	r->total = total_of(batch);
	r->succeeded = batch_api_count(json_object_get(counts, "succeeded"));
	r->failed = sum(counts, bad);
	r->job.output[0][0] = '\0'; /* the results are known by the batch's id */
	if (json_is_string(json_object_get(batch, "results_url")) &&
	    !json_is_string(json_object_get(batch, "archived_at")))
		(void)str_copy(r->job.output[0], BATCH_NAME_MAX, r->job.id); /* same size */
	return true;
}

/* ---- finding ---- */

/* "2026-02-04T00:00:00Z" as seconds; -1 */
static int64_t seconds_of(const json_t *text)
{
	struct tm tm = { 0 };

	if (!json_is_string(text) || !strptime(json_string_value(text), "%Y-%m-%dT%H:%M:%S", &tm))
		return -1;
	return timegm(&tm);
}

static bool may_be_it(const struct batch_walk *w, const json_t *batch)
{
	const char *id = json_string_value(json_object_get(batch, "id"));

	return id && total_of(batch) == (int64_t)w->result->job.requests &&
	       seconds_of(json_object_get(batch, "created_at")) >= batch_api_since(w) &&
	       !(w->known && w->known(w->arg, id));
}

/* One that is over is looked at later; of those that run the oldest is kept, it was made next to our asking. */
static void note(struct batch_walk *w, const json_t *batch)
{
	struct batch_result r = *w->result;

	if (!may_be_it(w, batch) || !take(&r, batch))
		return;
	if (!batch_state_over(r.state))
		*w->result = r;
	else if (r.job.output[0][0])
		batch_api_found_add(w, r.job.id);
}

static enum batch_next look_through(struct batch_walk *w, const json_t *page, struct err *e)
{
	const json_t *list = json_object_get(page, "data"), *batch;
	const json_t *last = json_array_get(list, json_array_size(list) - 1);
	int64_t created = seconds_of(json_object_get(last, "created_at"));
	size_t i;

	if (!json_is_array(list))
		return batch_api_protocol(w, "a list of batches", e);
	json_array_foreach(list, i, batch) {
		note(w, batch);
	}
	if (json_is_true(json_object_get(page, "has_more")) && created >= batch_api_since(w) &&
	    ++w->pages < BATCH_PAGES_MAX && batch_api_id(w->cursor, json_object_get(last, "id")))
		return BATCH_NEXT_ASK;
	w->phase = FIND_PEEK;
	return BATCH_NEXT_ASK;
}

/* The first line of its results tells whose they are. */
static enum batch_next look_at(struct batch_walk *w, const json_t *line)
{
	const char *custom_id = json_string_value(json_object_get(line, "custom_id"));
	struct batch_job *j = &w->result->job;
	size_t n = strlen(j->tag);

	if (custom_id && strncmp(custom_id, j->tag, n) == 0 && custom_id[n] == '-' &&
	    batch_api_found_first(w, j->id)) {
		(void)str_copy(j->output[0], BATCH_NAME_MAX, j->id); /* same size */
		w->result->state = BATCH_DONE;
		w->result->total = w->result->succeeded = w->result->failed = -1;
		return BATCH_NEXT_DONE;
	}
	batch_api_found_drop(w);
	return BATCH_NEXT_ASK;
}

static enum batch_next reply(struct batch_walk *w, json_t *answer, const struct http_head *head,
			     struct err *e)
{
	(void)head;
	switch (w->step) {
	case BATCH_CREATE:
	case BATCH_POLL:
		return take(w->result, answer) ? BATCH_NEXT_DONE
					       : batch_api_protocol(w, "the id of the batch", e);
	case BATCH_FIND:
		return w->phase == FIND_PEEK ? look_at(w, answer) : look_through(w, answer, e);
	case BATCH_CANCEL:
		(void)take(w->result, answer); /* without it the next poll tells */
		return BATCH_NEXT_DONE;
	default:
		w->phase++;
		return BATCH_NEXT_ASK;
	}
}

/* ---- results ---- */

static int read_line(json_t *line, struct batch_found *out)
{
	json_t *result = json_object_get(line, "result");
	const char *type = json_string_value(json_object_get(result, "type"));

	*out = (struct batch_found){ .custom_id = json_string_value(
					     json_object_get(line, "custom_id")) };
	if (!out->custom_id || !type)
		return -EBADMSG;
	out->body = json_object_get(result, "message");
	if (strcmp(type, "succeeded") == 0)
		return json_is_object(out->body) ? 0 : -EBADMSG;
	out->error = json_object_get(result, "error");
	out->kind = strcmp(type, "expired") == 0    ? BATCH_LINE_EXPIRED
		    : strcmp(type, "canceled") == 0 ? BATCH_LINE_CANCELLED
						    : BATCH_LINE_ERROR;
	return 0;
}

const struct batch_api batch_anthropic = {
	.limits = { .requests = 100000,
		    .bytes = 256000000 - 64, /* less what is around the list */
		    .uploads = false,
		    .tagged = false,
		    .hours = 24 },
	.shape = shape,
	.line = line,
	.ask = ask,
	.reply = reply,
	.read = read_line,
};
