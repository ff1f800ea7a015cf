/*
 * jobs/bulk_line.h - a line of a job while it runs: a struct job whose row comes with its end
 *
 * What settles and ends jobs calls, for a job with a line:
 *   bulk_line_postpone   before it is ended: is it no outcome, but a full disk?
 *   bulk_line_row        the change that would finish its row becomes the one that puts it
 *   bulk_line_over       that is recorded, or could not be
 *
 * Private to jobs/. Threads: any. Blocks: never, but bulk_line_id.
 */
#ifndef JOBS_BULK_LINE_H
#define JOBS_BULK_LINE_H

#include "jobs/bulk_item.h"
#include "jobs/inside.h"

struct checked;

struct bulk;

struct bulk_line {
	struct bulk *bulk; /* a reference */
	struct list in_bulk;
	struct job *job;
	uint64_t no, nth, off;
	size_t n; /* of its text in the input */
	char *custom_id, *name;
	bool own_id, too_long, over;
	char *envelope;
	char *request_id; /* as it was when it began, for sentences */
	char *file_root;  /* of the prompt's file */
};

/* bulk_line_start - what a line asks becomes a job of its own and is sent; or it fails at once, by item->e
 *
 *   state  BROKER_QUEUED; BROKER_CANCELLED: it is not sent any more; BROKER_FAILED by item->e
 * checked: NULL when the line cannot be asked; else consumed */
struct bulk_start {
	const struct bulk_item *item;
	const struct bulk_text *text;
	struct checked *checked;
	enum broker_state state;
	int (*prepare)(void *arg, struct job *j); /* samples that it has already; NULL none */
	void *arg;
};
int bulk_line_start(struct bulk *k, const struct bulk_start *s);
struct bulk_line *bulk_line_free(struct bulk_line *l);

/* bulk_line_row - c is what would finish j's row; strings are borrowed from j */
void bulk_line_row(const struct job *j, struct ledger_change *c);
/* bulk_line_over - exactly once; result of the posting; no lock held */
void bulk_line_over(struct broker *b, struct job *j, int result);
/* bulk_line_postpone - true: it is done again later, and nothing is to be recorded; no lock held */
bool bulk_line_postpone(struct broker *b, struct job *j, const struct err *e);

/* bulk_line_buys - false: what it lacks is bought in batches, and by nobody else */
bool bulk_line_buys(const struct bulk_line *l);
/* bulk_line_is - a row of a line */
bool bulk_line_is(const char *root);
/* bulk_line_id - the default request id of a line's row: PATH/CUSTOM_ID; malloc'd */
char *bulk_line_id(struct broker *b, const struct ledger_row *row);
/* bulk_line_inline - as request_image_inline, of the line as it was accepted; blocks on the disk */
int bulk_line_inline(const struct bulk_line *l, json_t **out);
/* bulk_line_file_locked - the job of its file, for root and path; itself when that is gone */
const struct job *bulk_line_file_locked(const struct bulk_line *l);
/* bulk_line_home - root and path of the prompt's file as it is called now; malloc'd */
int bulk_line_home(const struct bulk_line *l, char **out_root, char **out_path);
/* bulk_line_member - "job", "line" of a row's envelope; 0: it has none */
int64_t bulk_line_member(const struct ledger_row *row, const char *name);
/* bulk_line_custom_id - of a row's envelope, malloc'd */
char *bulk_line_custom_id(const struct ledger_row *row);
/* bulk_line_homed - the job of these lines is now that one */
void bulk_line_homed(struct broker *b, int64_t lines, int64_t job);
void bulk_line_homes_free(struct broker *b);

#endif
