/*
 * infer/batch_files.h - batches made from an uploaded file, with a file of answers and one of errors: the steps
 * that OpenAI and Mistral share
 *
 * Threads: as batch_api.h. Blocks: never.
 */
#ifndef INFER_BATCH_FILES_H
#define INFER_BATCH_FILES_H

#include "infer/batch_api.h"

struct batch_files {
	const char *files, *batches; /* paths below the base URL, with a slash at their end */
	const char *const *fields;   /* of the upload's form: name, value, ..., NULL */
	/* create - the body of the creation; NULL: out of memory */
	json_t *(*create)(const struct batch_job *j);
	/* list - the path of the next page */
	void (*list)(const struct batch_walk *w, struct batch_ask *out);
	/* take - a batch as the provider describes it; false: that is none */
	bool (*take)(struct batch_result *r, const json_t *batch);
	/* more - this page was looked through in vain: is there another? fills w->cursor */
	bool (*more)(struct batch_walk *w, const json_t *page);
	/* uploads, more_uploads - the same of the files that were uploaded for batches */
	void (*uploads)(const struct batch_walk *w, struct batch_ask *out);
	bool (*more_uploads)(struct batch_walk *w, const json_t *page);
};

/* batch_files_ask, batch_files_reply - of a batch_api that has files */
bool batch_files_ask(struct batch_walk *w, struct batch_ask *out);
enum batch_next batch_files_reply(struct batch_walk *w, json_t *answer,
				  const struct http_head *head, struct err *e);

#endif
