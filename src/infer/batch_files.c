/*
 * infer/batch_files.c - the steps of batches that are made from a file
 */
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "infer/batch_files.h"

#include "base/banned.h"

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

static bool ask_file(struct batch_walk *w, const struct batch_files *f, struct batch_ask *out)
{
	bool remove = w->step == BATCH_REMOVE;
	const char *file = file_of(w, remove);

	if (!file)
		return false;
	batch_api_path(out, f->files, file, remove ? "" : "/content");
	out->method = remove ? "DELETE" : NULL;
	out->lines = !remove;
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
	default:
		return ask_file(w, f, out);
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
	default:
		w->phase++;
		return BATCH_NEXT_ASK;
	}
}
