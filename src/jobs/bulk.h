/*
 * jobs/bulk.h - the engine of a file of many requests (.jsonl)
 *
 * The file's row is a struct job with `bulk`; each line that runs is a struct job with `line`, whose row is
 * recorded only when it is final, in one posting with its hand-outs. So accepting a hundred thousand lines
 * is one row, and after a crash the file is read again and lines with a final row are passed over.
 *
 *   1. bulk_new      the row is recorded (or was, before this mount); the job is in the tables
 *   2. bulk_start    its lines may be bought: turns on the pool, one at a time, each a few milliseconds:
 *                    count, prune (rows of lines that are gone), run, write (the two outputs), end
 *   3. bulk_leave     its row went: lines leave their purchases
 *   4. it leaves the list of live ones when the end is recorded, or after bulk_leave the last line is over
 *
 * Rows of lines have the root "\002L", L the id of the file's first row: a new content or a retry is a new
 * row of the file and finds the lines where they were.
 * Private to jobs/. Threads: any. Blocks: turns, on the disk.
 */
#ifndef JOBS_BULK_H
#define JOBS_BULK_H

#include "jobs/broker_bulk.h"
#include "jobs/bulk_item.h"
#include "jobs/bulk_line.h"
#include "jobs/bulk_scan.h"
#include "jobs/bulk_set.h"
#include "jobs/bulk_spool.h"
#include "jobs/inside.h"

struct batchjob_pass;

enum bulk_phase { BULK_COUNT, BULK_PRUNE, BULK_RUN, BULK_WRITE, BULK_END, BULK_OVER };

/* sums over the lines that are final; what usage.json says */
struct bulk_counts {
	uint64_t total, done, failed, cancelled,
		cached; /* lines; done: final ones; cached: all samples */
	uint64_t samples, bought, reused, duplicated, unpriced, attempts;
	int64_t input_tokens, output_tokens;
	double cost_usd, saved_by_cache_usd, saved_by_merging_usd;
};

/* a line that was read, and could not be begun for want of memory or disk */
struct bulk_asked {
	struct bulk_item item;
	struct bulk_text text; /* p: only while it is being begun */
	uint32_t nth;	       /* of its key; 0: not counted yet */
	char *hand_id;	       /* of an earlier try; NULL: to be made */
	bool there;
};

#define BULK_PLACE_FAILED ((uint64_t)1 << 63)

/* where a turn goes on; the turn's own, no lock */
struct bulk_pass {
	enum bulk_phase phase;
	bool fresh; /* no line has a row yet */
	bool eof;
	bool buys_again; /* a line has cache bypass or refresh */
	struct bulk_scan scan;
	struct bulk_set seen; /* names of this pass; counts occurrences of keys in `keys` */
	struct bulk_set keys;
	struct bulk_out output, errors;
	struct bulk_asked asked;
	uint64_t *
		places; /* of the lines' results: offset in the stream + 1, BULK_PLACE_FAILED; 0 none yet */
	uint64_t written;  /* lines of the output */
	char *after;	   /* prune: the last name looked at */
	uint64_t run_done; /* lines that ended in this mount, for the estimate */
	struct err first;  /* of the first line that failed */
};

struct bulk {
	struct broker *b;
	unsigned refs;
	struct list in_live;
	struct {			  /* constant */
		int64_t id, lines, since; /* since: the first row with this content */
		char *root;		  /* "\002L" */
		json_t *defaults;	  /* NULL: none */
		uint64_t accepted_ns;
	};
	struct job *job;       /* with a reference while it is live; for its path */
	int input, stream;     /* descriptors, or -1 */
	uint64_t stream_bytes; /* what readers may see */
	struct bulk_pass pass;
	struct batchjob_pass *batch; /* of a .batch.jsonl; NULL: lines go out one by one */
	struct bulk_counts counts;
	struct {
		struct list running, over,
			stuck;	    /* lines: under way; to be counted; to be done again */
		unsigned n_running; /* on the first two */
		size_t bytes;	    /* of their requests */
	};
	struct {
		bool started, busy, again, quit, cancel, final, known_total;
	};
	struct {
		uint64_t seq; /* raised by every change */
		uint64_t wake_mono, woken_mono, retry_mono, run_mono;
		unsigned pauses; /* in a row */
		struct list stream_waiters, progress_waiters;
	};
	struct pool_task task;
};

/* what a job on its way to the ledger takes over from the row it removes; on bulks.claims */
struct bulk_claim {
	struct list link;
	int64_t lines;
};

/* bulk_is - a row or a name of a job of many lines, by its suffix */
bool bulk_is(const char *suffix);
/* bulk_lines_of - the id in "\002ID" of a row's lines; 0: unknown */
int64_t bulk_lines_of(const struct ledger_row *row);
/* bulk_root - "\002L", malloc'd */
char *bulk_root(int64_t lines);
/* bulk_new - for job j, which gets it; in the live list, not started; e of the envelope: 0, -EINVAL, -ENOMEM */
int bulk_new(struct broker *b, struct job *j, const char *envelope, struct bulk **out);
/* bulk_envelope - of a job's row: what a restart needs to read the lines in the same way; malloc'd */
char *bulk_envelope(int64_t lines, int64_t since, const json_t *defaults);
void bulk_ref_locked(struct bulk *k);
void bulk_unref(struct bulk *k);
void bulk_start(struct bulk *k);
/* bulk_kick - there is something to do */
void bulk_kick(struct bulk *k);
/* bulk_leave - its row is gone, or another takes over its lines */
void bulk_leave(struct bulk *k);
/* bulk_leave_cancel - 0, -EINVAL when nothing is left to be cancelled */
int bulk_leave_cancel(struct bulk *k);
/* bulk_find_locked - the live one of a job's id */
struct bulk *bulk_find_locked(struct broker *b, int64_t id);
/* bulk_pause - a full disk, most likely: go on in a moment */
void bulk_pause(struct bulk *k, int error, const char *what);
/* bulk_wake_all - everybody who waits for one of its files */
void bulk_wake_all(struct bulk *k);
/* bulk_changed_locked - readers of progress want to know */
void bulk_changed_locked(struct bulk *k);

/* the broker's side */
void bulk_init(struct broker *b);
void bulk_quiet(struct broker *b);
/* bulk_stop - after bulk_quiet: nothing of jobs asks infer any more; waits for turns, milliseconds */
void bulk_stop(struct broker *b);
/* bulk_work_locked - something on the pool that asks infer begins; bulk_rest_locked: is over */
void bulk_work_locked(struct broker *b);
void bulk_rest_locked(struct broker *b);
void bulk_free(struct broker *b);
/* bulk_leave_gone - a row went (of the gone-watch): a job's lines go with it */
void bulk_leave_gone(struct broker *b, const struct ledger_row *row);
/* bulk_tick_locked - by the clock: one that is due, with a reference, or NULL and *next when */
struct bulk *bulk_tick_locked(struct broker *b, uint64_t now, uint64_t *next);
void bulk_tick(struct bulk *take_k);

/* bulk_run.c: one turn; true: it has more to do now */
bool bulk_run_turn(struct bulk *k);
/* bulk_run_rewind - the file from its first line */
void bulk_run_rewind(struct bulk *k);
/* bulk_write.c: the outputs; bulk_write_turn: 1 more to do, 0 both are there, -errno */
int bulk_write_turn(struct bulk *k);
/* bulk_write_line - a line's result as it stands in stream and output.jsonl */
int bulk_write_line(struct broker *b, const struct ledger_row *row, struct buf *out);
/* bulk_count.c: what rows of lines add up to */
void bulk_count_row(struct bulk *k, const struct ledger_row *row);
/* batches: those at providers, as they are shown; NULL none */
char *bulk_count_facts(const struct bulk_counts *c, double elapsed_s, bool buys_again,
		       json_t *batches);
void bulk_count_read(const char *facts, struct bulk_counts *out, double *out_elapsed_s);
int bulk_count_usage(const struct bulk_counts *c, const char *status, double elapsed_s,
		     json_t *batches, struct buf *out);
/* bulk_count_progress - a line of `progress`; eta_s < 0 unknown */
int bulk_count_progress(const struct bulk_counts *c, double elapsed_s, double eta_s, char *out,
			size_t cap);
uint64_t bulk_count_failed(const char *facts);
/* bulk_end.c: the row is finished; its waiters are told; again after a pause when that fails */
void bulk_end(struct bulk *k);
/* bulk_end_refuse - it cannot run at all: the job has failed */
void bulk_end_refuse(struct bulk *k, const struct err *e);
/* bulk_drop.c: rows and files of lines whose job is gone */
void bulk_drop(struct broker *b, int64_t lines);
void bulk_drop_due(struct broker *b);
void bulk_drop_free(struct broker *b);
/* broker_bulk.c: those who wait for more of a file */
void broker_bulk_wake(struct bulk *k, enum broker_bulk_file f);
/* bulk_check.c: bulk_check_file is broker_bulk_check; bulk_check_retry: a new row for the same file, 0 or -errno */
void bulk_check_file(struct broker *b, const struct broker_bulk_doc *d, broker_checked_fn *done,
		     void *arg);
int bulk_check_retry(struct broker *b, const struct ledger_row *row);
/* bulk_recover.c: a row that is not final, after a mount; bulk_recover_spool: directories without a row */
void bulk_recover(struct broker *b, struct ledger_row *row, broker_file_sha_fn *file_sha,
		  void *arg);
void bulk_recover_spool(struct broker *b);
/* bulk_show.c: what broker_render shows of a job; -ENOENT it has no such file */
int bulk_show_job_locked(const struct job *j, const struct broker_file_id *f, struct buf *out);
int bulk_show_row(const struct ledger_row *row, const struct broker_file_id *f, struct buf *out);
void bulk_show_view_locked(const struct job *j, struct broker_view *out);

#endif
