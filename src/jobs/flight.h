/*
 * jobs/flight.h - everybody who waits for samples of one key: single-flight, and merging
 *
 *   1. flight_join    a job is one of them; its samples are dealt (deal.h), looked up, or bought
 *   2. purchase.h     one provider call for some of the missing indices; what it brings is given to whoever
 *                     waits for that index
 *   3. settle.h       who has all of his samples is recorded, then shown
 *   4. it ends when nobody waits, nothing runs and nothing is being recorded
 *
 * All of that happens in turns: one thread at a time has a flight to himself, others leave a word that there
 * is more to do. What a turn cannot do without waiting for the disk, it leaves to a turn on the pool.
 *
 * Private to jobs/. Threads: any. Blocks: look-up and storing run on the pool when they would.
 */
#ifndef JOBS_FLIGHT_H
#define JOBS_FLIGHT_H

#include "jobs/inside.h"

struct flight {
	struct broker *b;
	unsigned refs; /* table, each job, each purchase, each turn, each posting */
	struct key key;
	enum request_cache mode; /* bypass and refresh ones are in no table and have one job */
	struct {		 /* what is asked */
		json_t *request;
		char *canon;
		size_t canon_len;
	};
	struct list jobs;     /* in order of joining */
	struct list settling; /* jobs whose hand-out is being recorded: their samples are taken */
	struct list bought;   /* purchases, until what they brought is given out */
	struct map_link by_key;
	struct { /* the window (gather.h); until_mono 0: none is open */
		uint64_t until_mono;
		unsigned wanted; /* samples */
		struct list link;
	} gather;
	struct {
		bool tabled, busy, again, posted;
		bool alone; /* a merged call was refused: each request's samples go alone */
	};
	struct pool_task task;
};

/* flight_join - j waits with its equals; j is not in a flight */
void flight_join(struct broker *b, struct job *j);
/* flight_leave_locked - j waits no longer; grace: a call that nobody else waits for may go on for a second,
 * else it is cancelled now (infer_cancel only posts, and its sink takes our lock first) */
void flight_leave_locked(struct broker *b, struct job *j, bool grace);
/* flight_take_locked - j has its samples or its error: off the list, with the list's reference */
void flight_take_locked(struct flight *f, struct job *j);
void flight_unref(struct flight *f);
/* flight_drop_locked - as flight_unref */
void flight_drop_locked(struct flight *f);
/* flight_poke - there is something to do; it is done on the pool */
void flight_poke(struct flight *f);
/* flight_settled - what was being recorded is */
void flight_settled(struct flight *f);

/* flight_takers - the jobs that wait for index, the buyer (accepted first) at the front: malloc'd, each with a
 * reference; NULL and 0: nobody, or no memory */
struct job **flight_takers(struct flight *f, uint32_t index, size_t *out_n);
/* flight_fail_index - whoever waits for index gets e, or asks another model; with ERR_ENDING nobody is told */
void flight_fail_index(struct flight *f, uint32_t index, const struct err *e);
void flight_fail_job(struct flight *f, struct job *j, const struct err *e);

/* flight_lookup - the store, then what it has not taken yet: STORE_OK, STORE_MISS, STORE_AGAIN (nowait) */
int flight_lookup(struct broker *b, const struct answers_id *id, bool nowait, struct object *o,
		  struct buf *bytes);
/* flight_adopt - a stored object becomes the response's own; id->variant is set; on success its key is
 * pinned once */
int flight_adopt(struct broker *b, const struct buf *bytes, struct answers_id *id);
/* flight_look_job - look up and adopt what j's picks have not yet, before it is in a flight: STORE_OK it has all,
 * STORE_MISS, STORE_AGAIN; -errno when what is stored cannot be kept */
int flight_look_job(struct broker *b, struct job *j, bool nowait);

/* job_row.c: a job from its row; the row's strings are taken */
int job_row_load(struct broker *b, struct ledger_row *row, struct job **out);

#endif
