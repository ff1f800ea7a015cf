/* bulk_show.c - what is shown of a job of many lines: usage.json, error.json, the view */
#include <errno.h>
#include <stdlib.h>

#include "base/mono.h"
#include "core/response.h"
#include "jobs/batchjob.h"
#include "jobs/bulk.h"

#include "base/banned.h"

static const char *word_of(enum broker_state s)
{
	switch (s) {
	case BROKER_QUEUED:
		return "queued";
	case BROKER_RUNNING:
		return "running";
	case BROKER_DONE:
		return "done";
	case BROKER_CANCELLED:
		return "cancelled";
	default:
		return "failed";
	}
}

int bulk_show_job_locked(const struct job *j, const struct broker_file_id *f, struct buf *out)
{
	uint64_t now = mono_real_ns(), from = j->bulk->accepted_ns;
	json_t *batches;
	int r;

	if (f->file == BROKER_USAGE) {
		batches = j->bulk->batch ? batchjob_show_locked(j->bulk->b, j->bulk->lines) : NULL;
		r = bulk_count_usage(&j->bulk->counts, word_of(j->state),
				     now > from ? (double)(now - from) / 1e9 : 0, batches, out);
		json_decref(batches);
		return r;
	}
	if (f->file == BROKER_ERROR && j->error)
		return response_error_json(j->error, j->path, out);
	return -ENOENT;
}

int bulk_show_row(const struct ledger_row *row, const struct broker_file_id *f, struct buf *out)
{
	struct bulk_counts c;
	double elapsed_s;
	json_t *facts;
	int r;

	if (f->file == BROKER_ERROR)
		return row->error ? buf_adds(out, row->error) : -ENOENT;
	if (f->file != BROKER_USAGE || !row->facts)
		return -ENOENT;
	bulk_count_read(row->facts, &c, &elapsed_s);
	facts = json_loads(row->facts, 0, NULL);
	r = bulk_count_usage(&c,
			     row->state == LEDGER_DONE	      ? "done"
			     : row->state == LEDGER_CANCELLED ? "cancelled"
							      : "failed",
			     elapsed_s, json_object_get(facts, "batches"), out);
	json_decref(facts);
	return r;
}

void bulk_show_view_locked(const struct job *j, struct broker_view *out)
{
	out->bulk = true;
	out->has_key = out->has_request = false;
	out->n = 0;
	out->bulk_failed = j->bulk->counts.failed + j->bulk->counts.cancelled;
}
