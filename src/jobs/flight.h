/*
 * jobs/flight.h - the purchase that equal requests share, and the recording of what it brought
 *
 *   1. flight_join    a job looks for the purchase of its key, or begins it: look-up, then the call
 *   2. purchase.c     the call's callbacks; the answer becomes an object
 *   3. settle_jobs    hand-outs in one commit, then streams are sealed and waiters woken
 *
 * Private to jobs/. Threads: any. Blocks: look-up and storing run on the pool when they would.
 */
#ifndef JOBS_FLIGHT_H
#define JOBS_FLIGHT_H

#include "jobs/inside.h"

/* one purchase of (key, index) and everybody who waits for it: single-flight */
struct flight {
	struct broker *b;
	unsigned refs; /* table, call, store task */
	struct key key;
	enum request_cache mode; /* bypass and refresh ones are in no table */
	json_t *request;
	char *canon;
	size_t canon_len;
	struct list jobs; /* in order of acceptance */
	struct buf sofar; /* text of the running attempt, for readers who come later */
	struct infer_call *call;
	bool tabled, calling, ended; /* ended: done, failed or a hit; late joiners start anew */
	bool paid; /* asks had it before it was stored, and were counted as its buyers */
	uint64_t orphan_until_mono; /* nobody waits; cancelled then */
	struct list in_orphans;
	struct map_link by_key;
	struct answer *answer;
	unsigned attempts;
	struct pool_task task;
};

/* flight.c: join, buy, store */
void flight_join(struct broker *b, struct job *j);
/* flight_leave_locked - j waits no longer; grace: the call may go on for a second, else a call nobody
 * waits for is cancelled now (infer_cancel only posts, and its sink takes our lock first) */
void flight_leave_locked(struct broker *b, struct job *j, bool grace);
void flight_unref(struct flight *f);
/* flight_orphans_locked - cancel the calls whose second is over; when the next one is due, else 0 */
uint64_t flight_orphans_locked(struct broker *b, uint64_t now_mono);

/* flight_end_locked - close it to joiners and take everybody who waits */
void flight_end_locked(struct flight *f, struct list *out_jobs);
/* flight_fail - end it without an answer */
void flight_fail(struct flight *f, const struct err *e);
void flight_fail_jobs(struct broker *b, struct list *jobs, const struct err *e);
/* purchase.c: the callbacks of its call */
extern const struct infer_sink purchase_sink;
/* flight_lookup - the store, then what it has not taken yet: STORE_OK, STORE_MISS, STORE_AGAIN (nowait) */
int flight_lookup(struct broker *b, const struct key *key, bool nowait, struct object *o,
		  struct buf *bytes);
/* flight_adopt - a stored object becomes the response's own; id->variant is set; on success its key is
 * pinned until the commit that names it */
int flight_adopt(struct broker *b, const struct buf *bytes, struct answers_id *id);

/* names.c: a job from its row; the row's strings are taken */
int job_row_load(struct broker *b, struct ledger_row *row, struct job **out);

/* settle.c: an object is there; record the hand-outs, seal, wake */
struct settle {
	const struct answers_id *object;
	const json_t *sample;	     /* of the object */
	const struct answer *answer; /* what was bought; NULL: from the cache */
	const struct buf *streamed;  /* what the readers have got; NULL: nothing yet */
	unsigned attempts;
	bool unstored; /* the engine has not taken it */
};
/* settle_jobs - jobs (linked by in_flight, one reference each) are consumed, and one pin of the object's
 * key */
void settle_jobs(struct broker *b, struct list *jobs, const struct settle *s);
/* settle_asks - a purchase that nobody but asks waits for: they have its bytes and need no record, so
 * they do not wait for the store; true: they were served and counted */
bool settle_asks(struct flight *f);
/* settle_text_bytes - size of the file `text` of a sample */
uint64_t settle_text_bytes(const json_t *sample);
/* settle_count - add one served request to the counters */
void settle_count(struct broker *b, const struct settle *s, bool buyer);

#endif
