/* job_row.c - a request that the ledger has, as a job again */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "core/canon.h"
#include "jobs/flight.h"
#include "jobs/inside.h"

#include "base/banned.h"

int job_row_load(struct broker *b, struct ledger_row *row, struct job **out)
{
	struct job *j = job_new();
	struct err e;
	int r;

	if (!j)
		return -ENOMEM;
	j->id = row->id;
	j->root = TAKE(row->root);
	j->path = TAKE(row->path);
	j->suffix = TAKE(row->suffix);
	j->body.key = j->body.asked = row->key;
	j->body.file_sha = row->file_sha;
	j->times.accepted_ns = j->times.changed_ns = row->accepted_ns;
	j->times.accepted_mono = mono_ns();
	r = terms_read(row->envelope, &j->terms);
	j->terms.cache = (enum request_cache)row->cache_mode;
	j->terms.n = row->n;
	if (r == 0)
		r = ledger_request(b->o.ledger, row->id, &j->body.canon, &j->body.canon_len);
	if (r == 0)
		r = canon_parse(j->body.canon, j->body.canon_len, &j->body.request, NULL, &e);
	if (r < 0) {
		job_unref(b, j);
		return r;
	}
	*out = j;
	return 0;
}
