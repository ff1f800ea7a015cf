/*
 * jobs/inside.h - what the files of jobs/ share: the job, the flight, the broker's tables
 *
 * Private to jobs/. One lock (rank LOCK_BROKER) guards every member of a job, a flight and the tables
 * but those marked otherwise; nothing is called back, read from disk or posted while it is held.
 */
#ifndef JOBS_INSIDE_H
#define JOBS_INSIDE_H

#include <stdatomic.h>

#include "base/lock.h"
#include "base/map.h"
#include "base/pool.h"
#include "infer/infer.h"
#include "jobs/broker_start.h"
#include "jobs/bulks.h"
#include "jobs/picks.h"
#include "jobs/recent.h"
#include "ledger/answers.h"
#include "ledger/ledger.h"
#include "store/store.h"

#define JOB_MAGIC    0x4a0b1e55u
#define JOB_GRACE_NS 1000000000ULL /* between losing the name and losing the call */

struct flight;

/* where a request stands; what each step does is in job.c */
enum job_step {
	STEP_CHECK,
	STEP_ROUTE,
	STEP_BUDGET,
	STEP_LOOKUP,
	STEP_JOIN,
	STEP_QUEUE,
	STEP_CALL,
	STEP_STREAM,
	STEP_STORE,
	STEP_DONE,
	STEP_FAILED,
	STEP_CANCELLED
};

/* what the user asked for beside the effective request; kept in the ledger as the envelope */
struct job_terms {
	char *request_id; /* NULL: the path */
	char *ns;	  /* sampling namespace; NULL: none */
	/* a line: what its hand-outs are known by, and the path of its file; NULL: request_id or the path */
	char *hand_id, *hand_path;
	char *backend, *model;
	enum request_cache cache;
	int n, priority;
	double timeout_s; /* the request's own, queue included; 0: none */
	double ttl_s;
	bool user_max_tokens;
	char *image_dir;    /* the paths were relative to it at the check; NULL: the top */
	json_t *dropped;    /* array */
	json_t *fallback;   /* array of models as written; NULL none */
	size_t fallback_at; /* the next one to be asked */
	json_t *images; /* object, hash -> path as written, null: inline in the prompt's file; NULL none */
};

struct job_body {
	struct key key, file_sha;
	struct key asked; /* of the first model, where `fallback` has led to another */
	json_t *request;  /* effective */
	char *canon;	  /* its canonical bytes */
	size_t canon_len;
};

/* what only an ask keeps, for it has no file and its answer is the next question's history */
struct job_ask {
	json_t *images; /* object, hash -> base64 of the inline ones; NULL none */
	json_t *calls;	/* tool calls of the answer; NULL none */
};

struct job_times {
	uint64_t accepted_ns, changed_ns;	       /* CLOCK_REALTIME */
	uint64_t accepted_mono, sent_mono, first_mono; /* 0: not yet */
	unsigned attempts, attempts_before;	       /* before: of models that failed */
};

struct job {
	unsigned magic, refs;
	struct {	    /* who it is */
		int64_t id; /* 0: an ask */
		uint32_t gen;
		char *root, *path, *suffix; /* NULL for an ask */
	};
	struct job_terms terms;
	struct job_body body;
	struct job_times times;
	struct job_ask ask;
	struct picks picks;
	struct bulk *bulk;	/* a file of many requests; NULL: it is one */
	struct bulk_line *line; /* a line of such a file; NULL: it is none */
	struct {		/* where it stands */
		enum broker_state state;
		enum job_step step;
		bool hold;   /* accepted, its writer has not closed the file yet */
		bool named;  /* in by_name */
		bool ending; /* its end is being recorded; nothing else may end it */
		bool over;   /* it is recorded or could not be: nobody is woken any more */
		struct err *error;
	};
	struct {		       /* who has to do with it */
		struct stream *stream; /* made when somebody reads it */
		struct flight *flight;
		struct list in_flight, in_deadlines, waiters;
		struct map_link by_id, by_name;
	};
};

/* sweep.c: objects of rows that went, until it was looked whether anybody else names them */
struct sweeps {
	struct lock
		lock; /* of queue, pins, unpins; held over a look into the ledger and a removal */
	struct list queue;
	struct map pins;
	uint64_t unpins;
	/* under the broker's lock: when the queue is looked at, and whether that is going on */
	uint64_t at_mono;
	bool busy, closed;
	struct pool_task task, scan;
	atomic_uint scanned; /* directories of answers/, of SWEEP_DIRS; more: no scan is needed */
};

struct broker {
	struct broker_options o;
	struct lock lock;
	struct map by_id, by_name, flights, holds;
	struct sweeps sweeps;
	struct bulks bulks;
	struct list deadlines; /* jobs with a time-out of their own */
	struct list orphans;   /* purchases nobody waits for */
	struct {
		struct list flights; /* whose window is open, the first to close first */
		bool in_use;	     /* samples were asked for: equals are waited for */
	} gathering;
	struct cond tick;
	struct thread tick_thread;
	bool stopping, tick_stop;
	struct pool *pool;
	struct list asks; /* every open ask */
	struct {
		struct list objects; /* that the engine has not taken yet */
		uint64_t at_mono;    /* when they are offered again; 0: there are none */
	} unstored;
	struct recent *recent; /* NULL: remembers nothing */
	int64_t first_id;      /* of this mount: smaller ones are the recovery's */
};
/* broker_is_stopping - nothing new begins */
bool broker_is_stopping(struct broker *b);
/* job.c: the steps */
struct job *job_new(void);
struct job *job_ref(struct job *j); /* lock held */
void job_unref(struct broker *b, struct job *j);
/* job_send - the request may be bought: lookup, join or call; no lock held */
void job_send(struct broker *b, struct job *j);
/* job_end - record the outcome of one job that got no answer, then tell its waiters */
void job_end(struct broker *b, struct job *j, enum broker_state state, const struct err *e);
/* job_detach_locked - its name was taken or removed: out of the tables; returns what to tell afterwards */
void job_detach_locked(struct broker *b, struct job *j, struct list *out_waiters);
/* job_wake_all - call wake of every waiter on the list; no lock held */
void job_wake_all(struct broker *b, struct list *waiters);
struct job *job_by_id_locked(struct broker *b, int64_t id);
struct job *job_by_name_locked(struct broker *b, const char *root, const char *path);
int job_table_locked(struct broker *b, struct job *j, bool by_name);
void job_untable_locked(struct broker *b, struct job *j);
/* job_table_again - of an earlier mount: in both tables, about to be sent; false: somebody has written its file
 * anew meanwhile */
bool job_table_again(struct broker *b, struct job *j);
void job_view_locked(const struct job *j, struct broker_view *out);
void job_set_state_locked(struct broker *b, struct job *j, enum broker_state s);
/* job_keep_calls - an ask: the tool calls of its answer, for its history; before its stream is sealed */
void job_keep_calls(struct job *j, const json_t *calls);
/* job_stream_locked - its stream, made with what has come so far */
struct stream *job_stream_locked(struct job *j);

/* terms.c: envelope and facts as text */
char *terms_write(const struct job_terms *t);
int terms_read(const char *envelope, struct job_terms *out);
void terms_done(struct job_terms *t);
/* terms_facts - how it ended, by what j->picks tells; attempts: of what failed it, 0 otherwise */
char *terms_facts(const struct job *j, unsigned attempts);
/* terms_hand_id - what hand-outs to j are recorded under; *out_root: of the path that it is, NULL: the user
 * chose it. Lent */
const char *terms_hand_id(const struct job *j, const char **out_root);

/* route.c: which backend and model */
struct route {
	const struct backend_config *backend;
	const char *model; /* points into the request's or the options' strings */
};
int route_model(struct broker *b, const char *model, struct route *out, struct err *e);

/* what a row and its hand-outs were, for those who still read them */
struct kept {
	struct ledger_row row;
	struct ledger_handout *h;
	size_t n;
};

/* tick.c: time-outs of requests, grace of orphans, offers to the engine */
int tick_start(struct broker *b);
void tick_stop(struct broker *b);

/* unstored.c: what the engine has not taken */
int unstored_lookup(struct broker *b, const struct key *key, uint32_t index, struct buf *out_bytes);
void unstored_add(struct broker *b, const struct answers_id *id);
void unstored_offer(struct broker *b);
void unstored_free(struct broker *b);

/* broker_ask_quiet - every ask that is being answered fails with ESHUTDOWN */
void broker_ask_quiet(struct broker *b);

/* row of an id whether it is in the ledger or held after its removal */
int broker_hold_row(struct broker *b, int64_t id, struct ledger_row *row,
		    struct ledger_handout **out_h, size_t *out_n);
/* broker_hold_keep - a row was removed: when a reader has it open, keep what it needs; true: kept */
bool broker_hold_keep(struct broker *b, const struct ledger_row *row,
		      const struct ledger_handout *h, size_t n);
void broker_hold_free(struct broker *b);
/* unstored_has - the engine has not taken this object yet */
bool unstored_has(struct broker *b, const struct answers_id *id);

#endif
