/*
 * jobs/bulk_spool.h - what a job of many lines keeps on disk beside the ledger: state/jobs/L/
 *
 *   input.J    the accepted bytes of the file, for row J: what is written to the file later does not count
 *   stream.J   result lines in order of completion
 *   output.J, errors.J    in input order; there when every line was final
 *
 * L is the id of the file's first row. A directory without the row of any J in it is left over and goes at
 * the next mount.
 * Threads: any. Blocks: on the disk. Errors: negative errno.
 */
#ifndef JOBS_BULK_SPOOL_H
#define JOBS_BULK_SPOOL_H

#include "base/buf.h"
#include "jobs/inside.h"

enum bulk_file {
	BULK_SPOOL_INPUT,
	BULK_SPOOL_STREAM,
	BULK_SPOOL_OUTPUT,
	BULK_SPOOL_ERRORS,
	BULK_SPOOL_OUTPUT_NEW,
	BULK_SPOOL_ERRORS_NEW,
	BULK_SPOOL_FILES
};

struct bulk_place {
	int64_t lines, job;
};

/* bulk_spool_there - the broker was given a directory for jobs */
bool bulk_spool_there(const struct broker *b);
/* bulk_spool_make - the directory */
int bulk_spool_make(struct broker *b, int64_t lines);
/* bulk_spool_open - flags as for open(2) */
int bulk_spool_open(struct broker *b, struct bulk_place p, enum bulk_file f, int flags);
int bulk_spool_size(struct broker *b, struct bulk_place p, enum bulk_file f, uint64_t *out);
int bulk_spool_rename(struct broker *b, struct bulk_place p, enum bulk_file from,
		      enum bulk_file to);
/* bulk_spool_inherit - the input of another row of the same lines, for p */
int bulk_spool_inherit(struct broker *b, struct bulk_place p, int64_t from_job);
/* bulk_spool_forget - all files of one row */
void bulk_spool_forget(struct broker *b, struct bulk_place p);
/* bulk_spool_remove - the whole directory */
void bulk_spool_remove(struct broker *b, int64_t lines);
/* bulk_spool_each - every directory; bulk_spool_jobs - every row that has a file in one */
void bulk_spool_each(struct broker *b, void (*fn)(void *arg, int64_t lines), void *arg);
void bulk_spool_jobs(struct broker *b, int64_t lines, void (*fn)(void *arg, int64_t job),
		     void *arg);
/* bulk_spool_copy - from the beginning of `from` to the end, and the sum of it */
int bulk_spool_copy(int from, int to, struct key *out_sum, uint64_t *out_size);

/* a file that is written from its beginning to its end */
struct bulk_out {
	int fd; /* -1 none */
	struct buf buf;
	uint64_t bytes;
};
/* bulk_spool_out - begin; takes fd */
void bulk_spool_out(struct bulk_out *o, int take_fd);
int bulk_spool_add(struct bulk_out *o, const struct buf *bytes);
int bulk_spool_flush(struct bulk_out *o);
/* bulk_spool_end - flush and close; may be called again */
int bulk_spool_end(struct bulk_out *o);
/* bulk_spool_append - whole at offset `at`, or not counted */
int bulk_spool_append(int fd, uint64_t at, const struct buf *bytes);

#endif
