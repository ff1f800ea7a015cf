/*
 * jobs/batchjob.h - how the lines of a .batch.jsonl are bought: in batches at their providers
 *
 * All else is as in a .jsonl (bulk.h). A turn of the job's run comes to a line (batchjob_line.c), and
 *
 *   its samples are all there    it begins like any line, and finds them
 *   some are on their way        it waits, and nothing of it is in memory: the file is read again when a
 *                                batch has come
 *   some are not                 they become lines of a batch that is being gathered, one for each sample
 *
 * A gathered batch is handed in at the end of the pass or when it is full. From then on it has a row and goes
 * its own way (batchjob_step.c): uploaded, created, looked at until it is over, fetched, removed, each step
 * recorded before the next. It outlives the job, for what it brings is paid for. What it brings (batchjob_land.c)
 * is a row for each sample: an answer with its object, an error, or that there was none.
 *
 * Rows have the root "\003L", L as in bulk.h; a batch "~ID", a sample "KEY.INDEX", with a number of its line behind
 * it when it is bought past the cache. Files are in state/jobs/L.batch: ID.lines and ID.map.
 *
 * Private to jobs/. Threads: any; a batch is driven by one task at a time. Blocks: never, but on the pool.
 */
#ifndef JOBS_BATCHJOB_H
#define JOBS_BATCHJOB_H

#include "infer/batch.h"
#include "jobs/bulk.h"

struct checked;

#define BATCHJOB_PATH_MAX 112 /* of a sample, with its NUL */

enum batchjob_state {
	BATCHJOB_GATHERED, /* no row yet */
	BATCHJOB_STAGED,
	BATCHJOB_UPLOADED,
	BATCHJOB_CREATED,
	BATCHJOB_ENDED, /* at the provider */
	BATCHJOB_FETCHED,
	BATCHJOB_STATES
};

/* what is known of a batch after a crash */
struct batchjob_record {
	enum batchjob_state state;
	int64_t job; /* the row of the file's content that wanted it */
	char *backend;
	bool creating; /* it may have been created */
	bool cancel;   /* nobody wants it any more */
	struct batch_job job_at;
	enum batch_state ended;
	int64_t total, succeeded, failed;
	char why[ERR_MESSAGE_MAX];
};

/* one sample that was handed in: a line of the map file */
struct batchjob_sample {
	struct key key;
	uint32_t index;
	enum request_cache mode;
	double ttl_s;
	bool user_max_tokens;
	char *name;	   /* of the line that pays for it */
	const char *canon; /* in the map's line */
	size_t canon_len;
	char path[BATCHJOB_PATH_MAX];
};

/* all batches of a file */
struct batchjob_set {
	struct list link; /* b->bulks.batches.sets */
	int64_t lines;
	char *root;
	struct list batches;
	uint64_t news; /* raised by each that was fetched */
	json_t *past;  /* of those that are gone, for usage.json */
};

struct batchjob {
	struct list link; /* in its set */
	struct broker *b;
	struct batchjob_set *set;
	int64_t id;
	struct batchjob_record r;
	struct bulk_set staged; /* hashes of paths, until they are fetched */
	struct {		/* while it is gathered, by the job's turn */
		struct bulk_out lines, map;
		uint64_t inputs; /* texts to embed */
		struct list link;
	} gather;
	struct {	    /* steps */
		bool dirty; /* r is to be recorded; lock */
		bool find, cancel_sent;
		bool answered; /* a step is over: result, error */
		unsigned finds, pauses;
		double poll_s;
		uint64_t due_mono, polled_ns; /* due: it sleeps; lock */
		struct err trouble;	      /* why it sleeps; lock */
		int fd;
		enum batch_step step;
		struct batch_result result;
		struct err error;
		struct pool_task task;
	} at;
	struct { /* the download */
		struct batch_call *call;
		struct batch_reader *reader;
		struct buf inbox;	  /* lines; lock */
		bool full, over, landing; /* lock */
		uint64_t *offsets;	  /* of the map's lines, and of its end */
		int map;
		unsigned pending; /* postings; lock */
		int failed;	  /* one of them; lock */
		bool waiting;	  /* for them; lock */
		struct pool_task task;
	} in;
};

/* the samples of one key in one namespace, while a pass deals them out */
struct batchjob_share {
	struct map_link link;
	uint64_t hash;
	uint32_t *used, low; /* everything below low is taken */
	size_t n, at;	     /* of used */
};

/* what a job's turn has of it */
struct batchjob_pass {
	struct batchjob_set *set;
	struct list gathering;
	struct map shares; /* samples dealt in this pass, by namespace and key */
	uint64_t waiting, news;
	unsigned char *counted; /* bits: the line's result is in the counts */
	size_t n_counted;
};

/* batchjob_is - by the suffix */
bool batchjob_is(const char *suffix);
void batchjob_init(struct broker *b);
/* batchjob_free - after the pool, infer and the ledger */
void batchjob_free(struct broker *b);

/* ---- batchjob_pass.c: the turns of a job's run ---- */
struct batchjob_pass *batchjob_pass_new(struct broker *b, int64_t lines);
/* batchjob_pass_free - what was not handed in is forgotten */
void batchjob_pass_free(struct batchjob_pass *p);
/* batchjob_pass_counted - is the line's result in the counts? batchjob_pass_count - from now on it is: 0, -ENOMEM;
 * batchjob_pass_uncount - counting begins anew. p NULL: nothing is said */
bool batchjob_pass_counted(const struct batchjob_pass *p, uint64_t no);
int batchjob_pass_count(struct batchjob_pass *p, uint64_t no);
void batchjob_pass_uncount(struct batchjob_pass *p);
/* batchjob_pass_share - what c's namespace has left of its key; NULL: no memory; batchjob_pass_next - the next one */
struct batchjob_share *batchjob_pass_share(struct bulk *k, const struct checked *c);
uint32_t batchjob_pass_next(struct batchjob_share *s);
/* batchjob_pass_over - the last line was read: 1 all are final, 0 come again when there is news, 2 once more
 * from the first line, -errno */
int batchjob_pass_over(struct bulk *k, bool cancelled);
/* batchjob_line.c: a line that has no row: 0 it began or waits, -errno */
int batchjob_line(struct bulk *k, struct bulk_asked *a, struct checked *c, bool cancelled);

/* ---- batchjob.c: sets, and files ---- */
struct batchjob_set *batchjob_set_locked(struct broker *b, int64_t lines);
struct batchjob_set *batchjob_set_make(struct broker *b, int64_t lines);
/* batchjob_staged - is that sample on its way? */
bool batchjob_staged(struct broker *b, const struct batchjob_set *s, const char *path);
struct batchjob *batchjob_new(struct broker *b, struct batchjob_set *s, int64_t id);
/* batchjob_forget - it is over, or was never sent: its files and itself go */
void batchjob_forget(struct batchjob *x);
/* batchjob_settle - the job is gone or final: when no batch is left either, so do the rows */
void batchjob_settle(struct broker *b, int64_t lines);
/* batchjob_cancel - nobody wants what is still to come */
void batchjob_cancel(struct broker *b, int64_t lines);
/* batchjob_abandon - a job has left: cancel, unless another content of the file goes on */
void batchjob_abandon(struct broker *b, int64_t lines);
/* batchjob_news - samples have come */
void batchjob_news(struct batchjob *x);
/* batchjob_show_locked - for usage.json: a new array; NULL none */
json_t *batchjob_show_locked(struct broker *b, int64_t lines);
/* batchjob_file - ID.lines or ID.map: a descriptor or -errno */
int batchjob_file(const struct batchjob *x, const char *what, int flags);
/* batchjob_recover - after a mount, before the jobs: batches are known; batchjob_recovered - after them: they go on */
void batchjob_recover(struct broker *b);
void batchjob_recovered(struct broker *b);

/* ---- batchjob_row.c: as text ---- */
void batchjob_row_path(struct batchjob_sample *s);
char *batchjob_row_write(const struct batchjob_record *r);
int batchjob_row_read(const char *text, struct batchjob_record *out);
/* batchjob_row_sample_write - a line of the map */
int batchjob_row_sample_write(const struct batchjob_sample *s, struct buf *out);
/* batchjob_row_sample_read - text lives as long as out; free out->name */
int batchjob_row_sample_read(const char *text, size_t n, struct batchjob_sample *out);

/* ---- batchjob_step.c ---- */
/* batchjob_step_resume - it has been handed in, or what it waited for is there */
void batchjob_step_resume(struct batchjob *x);
/* batchjob_step_pause - that will pass: again later, the longer it lasts the later */
void batchjob_step_pause(struct batchjob *x, const struct err *e);
/* batchjob_step_tick_locked - one whose pause is over; NULL and *next */
struct batchjob *batchjob_step_tick_locked(struct broker *b, uint64_t now, uint64_t *next);

/* ---- batchjob_record.c: both go on, or pause, by themselves ---- */
void batchjob_record(struct batchjob *x);
/* batchjob_record_leave - its row goes, and itself */
void batchjob_record_leave(struct batchjob *x);

/* ---- batchjob_land.c ---- */
/* batchjob_land_open - the map; 0 or -errno */
int batchjob_land_open(struct batchjob *x);
void batchjob_land_close(struct batchjob *x);
/* batchjob_land_line - of the download; batchjob_land_settled - 0 all is recorded, -EAGAIN resume is called when
 * it is, -errno some could not be */
void batchjob_land_line(struct batchjob *x, const char *text, size_t n);
int batchjob_land_settled(struct batchjob *x);
/* batchjob_land_rest - those that had no line. e: they failed; NULL: by how the batch ended */
void batchjob_land_rest(struct batchjob *x, const struct err *e);
/* batchjob_land_tries - how often a sample came to nothing, of a row of it */
unsigned batchjob_land_tries(const struct ledger_row *row);

#endif
