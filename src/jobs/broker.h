/*
 * jobs/broker.h - the life of requests: check, accept, look up, join, buy, store, hand out, answer
 *
 * The tree (vfs/) knows requests only through this header. A request is known by its name
 * (root, path): root "" is the mount's prompts/, path the file's path below it without suffix; and by
 * its id, a 40-bit number that is never used again.
 *
 *   1. broker_check     a document was written: parse, route, look up, record durably (accepted)
 *   2. broker_send      its last writer has closed it: the shortfall may be bought
 *   3. broker_wait      until it is final: done, failed, cancelled
 *   4. broker_drop ...  its name went: the response goes; a running call is cancelled a second later
 *
 * Threads: any. Blocks: never, unless said. Callbacks are called exactly once, with no lock held, on
 * any thread, possibly before the call returns.
 */
#ifndef JOBS_BROKER_H
#define JOBS_BROKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "core/key.h"
#include "core/request.h"
#include "core/stream.h"

struct broker;

enum broker_state {
	BROKER_REFUSED = 1, /* failed at the check: there is an error, nothing was accepted */
	BROKER_QUEUED,	    /* accepted; not sent, or waiting for its turn */
	BROKER_RUNNING,	    /* at the provider */
	BROKER_DONE,
	BROKER_FAILED,
	BROKER_CANCELLED,
	BROKER_DISMISSED /* removed under responses/; the prompt stays */
};

/* what one name or id is now; a plain value */
struct broker_view {
	int64_t id;
	uint32_t gen; /* raised by every rename */
	enum broker_state state;
	bool has_key, has_request;
	struct key key;
	unsigned n;			  /* samples it has or will have */
	uint64_t accepted_ns, changed_ns; /* CLOCK_REALTIME; changed: of the last change of state */
	uint64_t text_bytes;		  /* size of `text` when done */
	int code;			  /* positive errno when refused, failed or cancelled */
	bool has_reasoning, has_tool_calls;
	bool embedding; /* it asks for vectors: no text, no stream */
	bool bulk;	/* a file of many requests: broker_bulk.h */
	uint64_t
		bulk_failed; /* its lines that failed or were cancelled so far; > 0: retry applies at the end */
};

static inline bool broker_is_final(enum broker_state s)
{
	return s == BROKER_REFUSED || s >= BROKER_DONE;
}

/* broker_find / broker_get - 0 or -ENOENT */
int broker_find(struct broker *b, const char *root, const char *path, struct broker_view *out);
int broker_get(struct broker *b, int64_t id, struct broker_view *out);

/* broker_path - the path of a request below its prompts/, without suffix: 0, -ENOENT */
int broker_path(struct broker *b, int64_t id, struct buf *out);
/* broker_root - which prompts/ that is: as root of broker_find; of a job's line something else */
int broker_root(struct broker *b, int64_t id, struct buf *out);

/* a written document; strings and text are copied or consumed as said */
struct broker_doc {
	const char *root, *path, *suffix; /* borrowed */
	enum request_form form;
	const char *text; /* borrowed */
	size_t len;
	const json_t *defaults; /* array, nearest first, borrowed; NULL none */
	bool final;		/* no writer is left: an unfinished text is an error now */
	bool send;		/* send at once, else broker_send will say when */
};

/* broker_check's outcome */
struct broker_accepted {
	int code;   /* 0 or positive errno: for close(2) */
	int64_t id; /* the request; 0: the text is unfinished and nothing changed */
	bool same;  /* the same as was there: nothing was recorded anew */
};
typedef void broker_checked_fn(void *arg, const struct broker_accepted *r);

/* broker_check - done is called when the outcome is durable (a hit: one commit does all) */
void broker_check(struct broker *b, const struct broker_doc *d, broker_checked_fn *done, void *arg);
/* broker_check_refuse - the file could not even be read as a document (a bad .defaults.json, EFBIG ...):
 * records the error under the name; final only */
void broker_check_refuse(struct broker *b, const char *root, const char *path, const char *suffix,
			 const struct err *e);
/* broker_send - id may be sent now; harmless when it was, or is gone */
void broker_send(struct broker *b, int64_t id);

typedef void broker_done_fn(void *arg, int result);
/* broker_name_drop - the prompt went: its response goes with it. done after the commit */
void broker_name_drop(struct broker *b, const char *root, const char *path, broker_done_fn *done,
		      void *arg);
/* broker_name_dismiss - rm -r under responses/: the response goes, the prompt stays; also for a draft */
struct broker_name {
	const char *root, *path, *suffix;
};
void broker_name_dismiss(struct broker *b, const struct broker_name *n, broker_done_fn *done,
			 void *arg);
/* broker_name_move - a prompt (tree: a directory) was renamed; what was under the new name goes; swap:
 * the two exchange */
struct broker_move {
	const char *root, *path, *to_root, *to_path;
	bool tree, swap;
};
void broker_name_move(struct broker *b, const struct broker_move *m, broker_done_fn *done,
		      void *arg);

/* broker_ctl_cancel / broker_ctl_retry - ctl: 0, -ENOENT, -EINVAL when the word does not apply now.
 * retry takes effect at once: the state is queued when it returns (durable a moment later) */
int broker_ctl_cancel(struct broker *b, int64_t id);
int broker_ctl_retry(struct broker *b, int64_t id);

/* one who waits for the end; embedded in whatever waits */
struct broker_waiter {
	struct list link; /* private */
	int64_t id;	  /* private */
	void (*wake)(struct broker_waiter *w);
};
/* broker_wait - 0: parked, wake will be called once; -EALREADY: it is final; -ENOENT: no such request */
int broker_wait(struct broker *b, int64_t id, struct broker_waiter *w);
/* broker_unwait - true: w was parked, wake will not be called; false: it was or is being called */
bool broker_unwait(struct broker *b, struct broker_waiter *w);

/* broker_stream - a reference to the growing text; NULL when the request is unknown, final (read the
 * file) or final in a moment (broker_wait) */
struct stream *broker_stream(struct broker *b, int64_t id);

/* the files of a final (some: any) request */
enum broker_file {
	BROKER_TEXT,
	BROKER_RESPONSE,
	BROKER_REQUEST,
	BROKER_USAGE,
	BROKER_ERROR,
	BROKER_REASONING,
	BROKER_TOOL_CALLS,
	BROKER_SAMPLE_TEXT,
	BROKER_SAMPLE_RESPONSE,
	BROKER_SAMPLE_RAW,
	BROKER_SAMPLE_META,
	BROKER_EMBEDDING_JSON, /* of the sample */
	BROKER_EMBEDDING_NPY
};
/* broker_render - append the file's bytes: 0, -ENOENT (it has no such file), -EAGAIN (nowait: would wait
 * for the disk), -EIO with a sentence. Blocks on the disk unless nowait. */
struct broker_file_id {
	int64_t id;
	enum broker_file file;
	unsigned sample;
	bool nowait;
};
int broker_render(struct broker *b, const struct broker_file_id *f, struct buf *out);
/* broker_hold / broker_hold_release - while held, a request that is taken over or removed can still be rendered
 * (a reader has its file open) */
void broker_hold(struct broker *b, int64_t id);
void broker_hold_release(struct broker *b, int64_t id);

/* broker_render_xattr - value of user.inferfs.NAME: 0, -ENODATA */
int broker_render_xattr(struct broker *b, int64_t id, const char *name, struct buf *out);

/* an ask: a request without a name. The stream gets the answer, or fails with the errno */
struct broker_ask;
/* broker_ask - parse and start; 0, or negative errno with e; text as written. What is wrong with images
 * comes through the stream: they are read on the pool */
struct broker_ask_doc {
	const char *text;
	size_t len;
	const json_t *history; /* what broker_ask_history gave; NULL none */
};
int broker_ask(struct broker *b, const struct broker_ask_doc *d, struct broker_ask **out,
	       struct err *e);
/* broker_ask_stream - borrowed until broker_ask_end */
struct stream *broker_ask_stream(struct broker_ask *a);
/* broker_ask_error - error.json of a failed one; -ENODATA when it has not failed */
int broker_ask_error(struct broker_ask *a, struct buf *out);
/* broker_ask_history - what to send along with the next question: this question's messages, the answer,
 * and where their images are; for broker_ask only; new reference or NULL */
json_t *broker_ask_history(struct broker_ask *a);
/* broker_ask_end - closes it; cancels what is unfinished; a may be NULL; returns NULL */
struct broker_ask *broker_ask_end(struct broker_ask *a);

/* broker_ask_error_json - error.json of an error that has no request */
int broker_ask_error_json(const struct err *e, struct buf *out);

/* broker_stats_summary - stats/summary.json */
int broker_stats_summary(struct broker *b, struct buf *out);
/* broker_stats_backends - names, NULL-terminated, the broker's; broker_backend_status - status.json */
const char *const *broker_stats_backends(struct broker *b);
int broker_stats_backend(struct broker *b, const char *name, struct buf *out);

/* broker_post - run a blocking task on the broker's pool (0 or -EAGAIN, -ESHUTDOWN) */
struct pool_task;
int broker_post(struct broker *b, struct pool_task *t);
/* broker_store - the cache's front, for the cache/ tree */
struct store;
struct store *broker_store(struct broker *b);

#endif
