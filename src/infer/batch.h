/*
 * infer/batch.h - the providers' batch APIs: many requests handed in at once, fetched a day later at a discount
 *
 *   1. batch_can         has this backend such an API? its limits
 *      batch_draft_make  an effective request as the body its batches want; drafts of one group may share a batch
 *      batch_draft_line  ... and as a line of the file that is handed in
 *   2. batch_start       one step of a batch's life, on the net thread; then exactly one done. In this order, each
 *                        result recorded by the caller before the next step:
 *        BATCH_UPLOAD    file -> job.input; only where api->uploads
 *        BATCH_CREATE    job.input or the file -> job.id
 *        BATCH_FIND      a creation whose answer was lost -> job.id or ""; never create twice without it
 *        BATCH_POLL      job.id -> how it is, job.output once it is over
 *        BATCH_FETCH     job.output -> lines; from the beginning each time
 *        BATCH_CANCEL    asks for it; polls tell when
 *        BATCH_REMOVE    input and output at the provider, and what uploads that were cut off have left there; what
 *                        is gone already is fine
 *      batch_stop        done(ECANCELED) comes soon
 *   3. batch_reader_line a fetched line -> its index and an answer, or why there is none
 *
 * Every step may be repeated after a crash, but CREATE: FIND comes first. A step tries again by itself what may
 * be tried again (failure.h, retry.h); a CREATE only while the provider cannot have made the batch.
 *
 * Threads: any; callbacks on the net thread, no lock held. Blocks: never, but for reads of the file.
 * Source: protocol reference, the sections on batches and files.
 */
#ifndef INFER_BATCH_H
#define INFER_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/answer.h"
#include "infer/backend.h"
#include "net/http.h"

#define BATCH_NAME_MAX	   256
#define BATCH_TAG_MAX	   41 /* with its NUL */
#define BATCH_CUSTOM_MAX   65
#define BATCH_OUTPUTS	   2
#define BATCH_LINE_MAX	   (256u << 20) /* of a result */
#define BATCH_ENDPOINT_MAX 64

struct batch;
struct batch_api; /* batch_api.h: one const table for each provider */
struct batch_call;
struct batch_reader;

/* what a backend takes in one batch */
struct batch_limits {
	uint64_t requests, bytes; /* of the file, newlines included */
	uint64_t inputs; /* texts to embed, of all requests together; 0: as many as there are */
	bool uploads;	 /* BATCH_UPLOAD comes before BATCH_CREATE */
	bool tagged; /* FIND is sure; else it goes by count, time and, when the batch is over, by custom ids */
	unsigned hours; /* it expires after so many */
};

/* batch_can - 0 and its limits, or ERR_UNSUPPORTED: requests of this backend go out one by one only */
int batch_can(const struct backend_config *c, struct batch_limits *out, struct err *e);

/* ---- the file that is handed in ---- */

/* what the lines of one batch have in common; plain text, to be recorded and compared member by member */
struct batch_group {
	char endpoint[BATCH_ENDPOINT_MAX];
	char model[BATCH_NAME_MAX]; /* "": any */
	char header[BACKEND_HEADER_MAX];
};

struct batch_draft {
	struct batch_group group;
	uint64_t inputs; /* see batch_limits */
	json_t *body;
};

/* batch_draft_make - effective and images as backend.h's build wants them; pure, any thread
 * Errors: those of build; ERR_UNSUPPORTED where the batch API cannot do what the backend can */
int batch_draft_make(const struct backend_config *c, const json_t *effective, const json_t *images,
		     struct batch_draft *out, struct err *e);
void batch_draft_done(struct batch_draft *d);
/* batch_draft_line - append its line with the newline to out; index: the number of the line in its file, from 0.
 * tag: see struct batch_job. Errors: -EFBIG over out->max, -ENOMEM, -EINVAL the tag is none */
int batch_draft_line(const struct backend_config *c, const struct batch_draft *d, const char *tag,
		     uint64_t index, struct buf *out);

/* ---- steps ---- */

/* one batch as it is recorded; "" what is not known yet */
struct batch_job {
	struct batch_group group;
	/* unique among all that this account ever handed in, [A-Za-z0-9_-]{1,40}; custom ids are TAG-INDEX, so
	 * lines of another batch are never taken for ours */
	char tag[BATCH_TAG_MAX];
	uint64_t requests; /* lines of the file */
	uint64_t
		begun_real_ns; /* not later than the first CREATE was sent: FIND looks no further back */
	char input[BATCH_NAME_MAX];
	bool strays; /* the file may be there more than once: REMOVE looks for it by its name */
	char id[BATCH_NAME_MAX];
	char output[BATCH_OUTPUTS][BATCH_NAME_MAX]; /* answers and errors: either may be missing */
};

enum batch_state {
	BATCH_WAITING, /* taken, not begun */
	BATCH_RUNNING,
	BATCH_CANCELLING,
	/* over; from each of these there may be output, of what was answered until then */
	BATCH_DONE,
	BATCH_FAILED, /* the batch as a whole: why says it */
	BATCH_EXPIRED,
	BATCH_CANCELLED
};

/* batch_state_over - true: no poll will find it in another state */
bool batch_state_over(enum batch_state s);
/* batch_state_name - "waiting" and so on */
const char *batch_state_name(enum batch_state s);

enum batch_step {
	BATCH_UPLOAD,
	BATCH_CREATE,
	BATCH_FIND,
	BATCH_POLL,
	BATCH_FETCH,
	BATCH_CANCEL,
	BATCH_REMOVE
};

struct batch_result {
	struct batch_job job; /* with what the step learned */
	enum batch_state state;
	int64_t total, succeeded, failed; /* -1: not told */
	char why[ERR_MESSAGE_MAX];	  /* FAILED: the provider's words, for people; "" */
	bool gone; /* of a failure: the provider knows no such batch or file, or its results are deleted */
	bool unsure; /* of a failed CREATE: the batch may have been made, FIND tells */
};

struct batch_order {
	enum batch_step step;
	size_t backend;		     /* numbered as in infer_options */
	const struct batch_job *job; /* copied */
	int fd; /* UPLOAD, CREATE without an upload: the file, borrowed until done, read with pread */
	uint64_t size; /* its bytes */
	/* line - of FETCH; not NUL-terminated. false: no room; what is at hand still comes (a few lines), the rest
	 * after batch_go_on. A line over BATCH_LINE_MAX fails the step */
	bool (*line)(void *arg, const char *text, size_t n);
	/* known - of FIND where it is not sure: this id belongs to another batch of ours; NULL: none does */
	bool (*known)(void *arg, const char *id);
	/* done - e NULL: it worked; both are only lent */
	void (*done)(void *arg, const struct batch_result *r, const struct err *e);
	void *arg;
};

/* batch_start - 0 and the call, which is batch's until done was called; else -ENXIO no such backend, -EOPNOTSUPP,
 * -EINVAL a job that lacks what the step needs, -ENOMEM, -ESHUTDOWN, and no callback. out may be NULL */
int batch_start(struct batch *b, const struct batch_order *o, struct batch_call **out);
/* batch_stop, batch_go_on - not after done (the caller's own lock or flag tells) */
void batch_stop(struct batch *b, struct batch_call *call);
void batch_go_on(struct batch *b, struct batch_call *call);

/* ---- results ---- */

enum batch_line_kind {
	BATCH_LINE_ANSWER,
	BATCH_LINE_ERROR,   /* the provider refused or failed it */
	BATCH_LINE_EXPIRED, /* never run: the batch's time was over */
	BATCH_LINE_CANCELLED
};

struct batch_line {
	enum batch_line_kind kind;
	uint64_t index;
	struct answer *take_answer; /* BATCH_LINE_ANSWER; the caller's */
	struct err err;		    /* all others */
	bool retryable;		    /* of an error: the same request may be answered another time */
};

/* batch_reader_new - of one batch, whichever file a line is from; NULL: out of memory; config is borrowed */
struct batch_reader *batch_reader_new(const struct backend_config *c, const struct batch_job *job);
struct batch_reader *batch_reader_free(struct batch_reader *r);
/* batch_reader_line - 0 and *out; or nothing is known of any line: -EBADMSG it is no result line, -ENOENT a custom
 * id that is not of this batch, -EEXIST one that had its line before, -ENOMEM */
int batch_reader_line(struct batch_reader *r, const char *text, size_t n, struct batch_line *out,
		      struct err *e);
/* batch_reader_missing - the first index from `from` on that had no line; job.requests: none */
uint64_t batch_reader_missing(const struct batch_reader *r, uint64_t from);

/* ---- for infer.c: as manage.h ---- */

/* batch_new - NULL: out of memory; both are borrowed */
struct batch *batch_new(struct loop *loop, struct http *http);
/* batch_add - backend number n in order; makes connections of its own where there is a batch API */
int batch_add(struct batch *b, const struct backend_config *config);
/* batch_end - on the loop thread: every call gets done(ESHUTDOWN) */
void batch_end(struct batch *b);
/* batch_free - after loop_stop; returns NULL; b may be NULL */
struct batch *batch_free(struct batch *b);

#endif
