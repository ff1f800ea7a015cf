/* bulk_recover.c - after a mount: jobs that were not at their end go on, directories without a job go */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/bulk.h"

#include "base/banned.h"

static struct job *job_of(struct broker *b, struct ledger_row *row)
{
	struct job *j = job_new();

	if (!j)
		return NULL;
	j->id = row->id;
	j->root = TAKE(row->root);
	j->path = TAKE(row->path);
	j->suffix = TAKE(row->suffix);
	j->body.file_sha = row->file_sha;
	j->step = STEP_BUDGET;
	j->times.accepted_ns = j->times.changed_ns = row->accepted_ns;
	j->times.accepted_mono = mono_ns();
	if (j->root && j->path && j->suffix)
		return j;
	job_unref(b, j);
	return NULL;
}

/* The copy is not synced: after a power failure it may be half. */
static bool whole(struct broker *b, struct bulk_place at, const struct key *sum)
{
	AUTO_FD int fd = bulk_spool_open(b, at, BULK_SPOOL_INPUT, O_RDONLY);
	struct key is;
	uint64_t size;

	return fd >= 0 && bulk_spool_copy(fd, -1, &is, &size) == 0 && key_equal(&is, sum);
}

static bool copy_again(struct broker *b, struct bulk_place at, const struct job *j)
{
	AUTO_FREE char *path = str_printf("%s%s", j->path, j->suffix);
	AUTO_FD int from = -1;
	AUTO_FD int to = -1;
	struct key sum;
	uint64_t size;

	if (!path || !b->o.files.open || bulk_spool_make(b, at.lines) < 0)
		return false;
	from = b->o.files.open(b->o.files.arg, j->root, path);
	to = bulk_spool_open(b, at, BULK_SPOOL_INPUT, O_RDWR | O_CREAT | O_TRUNC);
	return from >= 0 && to >= 0 && bulk_spool_copy(from, to, &sum, &size) == 0 &&
	       key_equal(&sum, &j->body.file_sha);
}

struct recovering {
	struct broker *b;
	broker_file_sha_fn *file_sha;
	void *arg;
};

static int look_at_file(const struct recovering *r, const struct job *j, const struct bulk *k,
			struct err *e)
{
	struct broker_name name = { j->root, j->path, j->suffix };
	struct bulk_place at = { k->lines, k->id };
	struct key sha;

	if (!bulk_spool_there(r->b))
		return err_set(e, ERR_UNSUPPORTED, "there is no directory for jobs here");
	if (r->file_sha(r->arg, &name, &sha) < 0)
		return err_set(
			e, ERR_REQUEST,
			"the prompt file is gone since the job was accepted; its other lines "
			"were not sent");
	if (!key_equal(&sha, &j->body.file_sha))
		return err_set(e, ERR_REQUEST,
			       "the prompt file was changed while it was not mounted; write it "
			       "again to send it");
	if (!whole(r->b, at, &sha) && !copy_again(r->b, at, j))
		return err_set(
			e, ERR_INTERNAL,
			"the accepted lines cannot be read in the state directory; write the "
			"file again to send it");
	return 0;
}

void bulk_recover(struct broker *b, struct ledger_row *row, broker_file_sha_fn *file_sha, void *arg)
{
	const struct recovering r = { b, file_sha, arg };
	struct job *j = job_of(b, row);
	struct bulk *k = NULL;
	struct err e = { 0 };

	if (!j || bulk_new(b, j, row->envelope, &k) < 0) {
		log_msg(LOG_ERROR, "an accepted job could not be read from the ledger; it is left "
				   "there");
	} else if (!job_table_again(b, j)) {
		bulk_leave(k);
	} else {
		bulk_line_homed(b, k->lines, k->id);
		if (look_at_file(&r, j, k, &e) < 0)
			bulk_end_refuse(k, &e);
		else
			bulk_start(k);
	}
	job_unref(b, j);
}

/* ---- directories ---- */

struct found {
	struct broker *b;
	int64_t *v;
	size_t n, cap;
};

static void add(void *arg, int64_t id)
{
	struct found *f = arg;

	if (id >= f->b->first_id)
		return; /* of this mount */
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		int64_t *v = realloc(f->v, cap * sizeof(*v));

		if (!v)
			return; /* looked at by the next mount */
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = id;
}

static bool has_row(struct broker *b, int64_t lines, int64_t job)
{
	struct ledger_row row;
	bool yes;

	if (ledger_get(b->o.ledger, job, &row) < 0)
		return false;
	yes = bulk_lines_of(&row) == lines;
	ledger_row_done(&row);
	return yes;
}

static bool any_of_this_mount(struct broker *b, int64_t lines)
{
	LOCK_SCOPE(&b->lock);
	LIST_EACH(l, &b->bulks.live)
		if (LIST_ENTRY(l, struct bulk, in_live)->lines == lines)
			return true;
	LIST_EACH(l, &b->bulks.claims)
		if (LIST_ENTRY(l, struct bulk_claim, link)->lines == lines)
			return true;
	return false;
}

/* A file of a row that is gone was left by a crash; when no row is left at all, so were the lines. */
static void look_at(struct broker *b, int64_t lines)
{
	struct found jobs = { .b = b };
	bool alive = any_of_this_mount(b, lines);

	bulk_spool_jobs(b, lines, add, &jobs);
	for (size_t i = 0; i < jobs.n; i++) {
		if (has_row(b, lines, jobs.v[i]))
			alive = true;
		else
			bulk_spool_forget(b, (struct bulk_place){ lines, jobs.v[i] });
	}
	free(jobs.v);
	if (!alive)
		bulk_drop(b, lines);
}

void bulk_recover_spool(struct broker *b)
{
	struct found dirs = { .b = b };

	if (!bulk_spool_there(b))
		return;
	bulk_spool_each(b, add, &dirs);
	for (size_t i = 0; i < dirs.n; i++)
		look_at(b, dirs.v[i]);
	free(dirs.v);
}
