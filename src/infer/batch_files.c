/*
 * infer/batch_files.c - the steps of batches that are made from a file
 */
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/batch_files.h"

#include "base/banned.h"

/* of a removal: those whose ids are known, then those of our name, which an upload that was cut off has left */
enum remove { REMOVE_KNOWN, REMOVE_LOOK = BATCH_OUTPUTS + 1, REMOVE_STRAYS };

/* ---- asking ---- */

/* A path of the list without the slash that stands before an id. */
static void set_bare(struct batch_ask *out, const char *path)
{
	(void)str_copy(out->path, sizeof(out->path), path); /* fits */
	out->path[strlen(out->path) - 1] = '\0';
}

/* the phase-th of what there is; NULL: no more */
static const char *file_of(struct batch_walk *w, bool with_input)
{
	const struct batch_job *j = &w->result->job;
	const char *const files[] = { j->output[0], j->output[1], with_input ? j->input : "" };

	while (w->phase < ARRAY_LEN(files) && !files[w->phase][0])
		w->phase++;
	return w->phase < ARRAY_LEN(files) ? files[w->phase] : NULL;
}

static bool ask_fetch(struct batch_walk *w, const struct batch_files *f, struct batch_ask *out)
{
	const char *file = file_of(w, false);

	if (!file)
		return false;
	batch_api_path(out, f->files, file, "/content");
	out->lines = true;
	return true;
}

static bool ask_remove(struct batch_walk *w, const struct batch_files *f, struct batch_ask *out)
{
	const char *file = file_of(w, true);
	char stray[BATCH_NAME_MAX] = "";

	if (!file && !w->result->job.strays)
		return false;
	if (w->phase == REMOVE_LOOK) {
		f->uploads(w, out);
		return true;
	}
	if (!file && !batch_api_found_first(w, stray))
		return false;
	batch_api_path(out, f->files, file ? file : stray, "");
	out->method = "DELETE";
	return true;
}

bool batch_files_ask(struct batch_walk *w, struct batch_ask *out)
{
	const struct batch_files *f = w->files;
	const struct batch_job *j = &w->result->job;

	switch (w->step) {
	case BATCH_UPLOAD:
		set_bare(out, f->files);
		batch_api_form(w, f->fields, out);
		break;
	case BATCH_CREATE:
		set_bare(out, f->batches);
		batch_api_json(out, f->create(j));
		break;
	case BATCH_FIND:
		f->list(w, out);
		break;
	case BATCH_POLL:
		batch_api_path(out, f->batches, j->id, "");
		break;
	case BATCH_CANCEL:
		batch_api_path(out, f->batches, j->id, "/cancel");
		batch_api_nothing(out);
		break;
	case BATCH_FETCH:
		return ask_fetch(w, f, out);
	default:
		return ask_remove(w, f, out);
	}
	return true;
}

/* ---- answers ---- */

static enum batch_next look_through(struct batch_walk *w, const struct batch_files *f,
				    const json_t *page, struct err *e)
{
	const json_t *list = json_object_get(page, "data"), *batch;
	size_t i;

	/* an account without batches may have no list at all */
	if (!json_is_object(page) || (list && !json_is_array(list)))
		return batch_api_protocol(w, "a list of batches", e);
	json_array_foreach(list, i, batch) {
		const json_t *tag = json_object_get(json_object_get(batch, "metadata"), "inferfs");

		if (json_is_string(tag) && strcmp(json_string_value(tag), w->result->job.tag) == 0)
			return f->take(w->result, batch) ? BATCH_NEXT_DONE
							 : batch_api_protocol(w, "its id", e);
	}
	return f->more(w, page) && ++w->pages < BATCH_PAGES_MAX ? BATCH_NEXT_ASK : BATCH_NEXT_DONE;
}

/* A list that is not to be had leaves them there: they are no more than untidy. */
static enum batch_next look_for_strays(struct batch_walk *w, const struct batch_files *f,
				       const json_t *page)
{
	char name[BATCH_TAG_MAX + 8], id[BATCH_NAME_MAX];
	const json_t *file;
	size_t i;

	(void)snprintf(name, sizeof(name), "%s.jsonl", w->result->job.tag);
	json_array_foreach(json_object_get(page, "data"), i, file) {
		const char *theirs = json_string_value(json_object_get(file, "filename"));

		if (theirs && strcmp(theirs, name) == 0 &&
		    batch_api_id(id, json_object_get(file, "id")))
			batch_api_found_add(w, id);
	}
	if (!f->more_uploads(w, page) || ++w->pages >= BATCH_PAGES_MAX)
		w->phase = REMOVE_STRAYS;
	return BATCH_NEXT_ASK;
}

static enum batch_next removed(struct batch_walk *w, const struct batch_files *f,
			       const json_t *answer)
{
	if (w->phase == REMOVE_LOOK)
		return look_for_strays(w, f, answer);
	if (w->phase == REMOVE_STRAYS)
		batch_api_found_drop(w);
	else
		w->phase++;
	return BATCH_NEXT_ASK;
}

enum batch_next batch_files_reply(struct batch_walk *w, json_t *answer,
				  const struct http_head *head, struct err *e)
{
	const struct batch_files *f = w->files;
	struct batch_result *r = w->result;

	(void)head;
	switch (w->step) {
	case BATCH_UPLOAD:
		return batch_api_id(r->job.input, json_object_get(answer, "id"))
			       ? BATCH_NEXT_DONE
			       : batch_api_protocol(w, "the id of the file", e);
	case BATCH_CREATE:
	case BATCH_POLL:
		return f->take(r, answer) ? BATCH_NEXT_DONE
					  : batch_api_protocol(w, "the id of the batch", e);
	case BATCH_FIND:
		return look_through(w, f, answer, e);
	case BATCH_CANCEL:
		(void)f->take(r, answer); /* without it the next poll tells */
		return BATCH_NEXT_DONE;
	case BATCH_REMOVE:
		return removed(w, f, answer);
	default:
		w->phase++;
		return BATCH_NEXT_ASK;
	}
}
