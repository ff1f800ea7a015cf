/*
 * jobs/broker_bulk.h - a prompt file of many requests: one row for the file, one for each line
 *
 *   1. broker_bulk_check    a .jsonl was written: is any line usable? recorded durably
 *   2. broker_send          its last writer has closed it: lines run, as many at once as the limits allow
 *   3. broker_wait          until every line is final (broker.h: find, get, wait, ctl, drop, move as for
 *                           one request)
 *
 * broker_view of such a request has `bulk` true; has_key, has_request false. Its id stays the same when the
 * file is written again, its gen then goes up as with a rename: what was cached under (id, gen) is void.
 * BROKER_USAGE and BROKER_ERROR are rendered at any time they exist, the other files only of its lines.
 * Threads: any. Blocks: never, unless said.
 */
#ifndef JOBS_BROKER_BULK_H
#define JOBS_BROKER_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "jobs/broker.h"

struct broker_bulk_doc {
	const char *root, *path, *suffix; /* borrowed */
	int fd; /* of the file, borrowed until done, read from its beginning by pread */
	const json_t *defaults; /* array, nearest first, borrowed; NULL none */
	bool final; /* no writer is left: an unfinished last line is an error of that line */
	bool send;
};
/* broker_bulk_check - as broker_check; the file is read (and copied: what is written to it later does not
 * count) on the pool. done: code 0 and id 0 when it is empty, or unfinished and not final.
 * Errors told: that of the first line when no line is usable; EOPNOTSUPP .batch.jsonl; ENOSPC ... */
void broker_bulk_check(struct broker *b, const struct broker_bulk_doc *d, broker_checked_fn *done,
		       void *arg);

/* a line's response is an ordinary request: its id works with every function of broker.h that takes one but
 * retry, which is the job's; its broker_path is its name below items/ */
/* broker_bulk_item - by its name below items/ (custom_id, escaped); running ones too: 0, -ENOENT */
int broker_bulk_item(struct broker *b, int64_t job, const char *name, struct broker_view *out);
/* broker_bulk_next_item - the first final item whose name sorts after `after` ("" the first of all):
 * 0, -ENOENT; name malloc'd */
int broker_bulk_next_item(struct broker *b, int64_t job, const char *after, char **out_name,
			  struct broker_view *out);

/* the files of a job that are not made when they are read */
enum broker_bulk_file { BULK_STREAM, BULK_PROGRESS, BULK_OUTPUT, BULK_ERRORS };
#define BROKER_BULK_LINE_MAX 256 /* bytes of a line of BULK_PROGRESS, at most */

/* broker_bulk_file_size - of a final job's file without opening it, for stat (BULK_PROGRESS: its one line):
 * 0, -ENOENT no such job, -EAGAIN not final; looks at the directory, so the page cache at most */
int broker_bulk_file_size(struct broker *b, int64_t job, enum broker_bulk_file f, uint64_t *out);

/* one who has such a file open; keeps its bytes though the job goes or is written anew */
struct broker_bulk_reader;
/* broker_bulk_open - 0, -ENOENT, -ENOMEM, -EMFILE ...
 * Errors: BULK_OUTPUT, BULK_ERRORS: -EAGAIN before the end (broker_wait tells when) */
int broker_bulk_open(struct broker *b, int64_t job, enum broker_bulk_file f,
		     struct broker_bulk_reader **out);
/* broker_bulk_close - r may be NULL; no waiter of it is parked any more; returns NULL */
struct broker_bulk_reader *broker_bulk_close(struct broker_bulk_reader *r);
/* broker_bulk_size - bytes there now */
uint64_t broker_bulk_size(struct broker_bulk_reader *r);
/* broker_bulk_read - bytes copied; 0: the end of a final job's file; page cache only
 *
 *   off  BULK_PROGRESS ignores it: each reader gets the current line first, then one for each change, at
 *        most ten a second, the last one for the end; a buffer shorter than a line gets its rest next time
 * Errors: -EAGAIN nothing yet (broker_bulk_wait); -ECANCELED the job went or was written anew;
 *         -ESHUTDOWN; -EIO */
ssize_t broker_bulk_read(struct broker_bulk_reader *r, void *buf, size_t len, uint64_t off);

/* one who waits for more; embedded in whatever waits */
struct broker_bulk_waiter {
	struct list link; /* private */
	uint64_t off;	  /* where it wants to read; BULK_PROGRESS: of no meaning */
	void (*wake)(struct broker_bulk_waiter *w);
};
/* broker_bulk_wait - 0: parked, wake is called once when broker_bulk_read may have something else to say
 * than -EAGAIN; -EALREADY: it has it now */
int broker_bulk_wait(struct broker_bulk_reader *r, struct broker_bulk_waiter *w);
/* broker_bulk_unwait - true: w was parked, wake will not be called; false: it was or is being called */
bool broker_bulk_unwait(struct broker_bulk_reader *r, struct broker_bulk_waiter *w);

#endif
