/*
 * jobs/purchase.h - one provider call for some samples of a key
 *
 *   1. purchase_all       as few calls as the provider's limit and the size of merging allow
 *   2. the callbacks      text goes to whoever reads the stream of a request whose first sample it is
 *   3. purchase_land_all  it is over: every sample that came is kept (keep.h) and given out; what did not come
 *                         is missing again, and bought in the next step
 *
 * Private to jobs/. Threads: callbacks on the net thread; the rest whoever has the flight to himself.
 */
#ifndef JOBS_PURCHASE_H
#define JOBS_PURCHASE_H

#include "jobs/deal.h"

enum purchase_state { PURCHASE_RUNNING, PURCHASE_ARRIVED, PURCHASE_FAILED };

struct purchase {
	struct list link; /* flight.bought */
	struct flight *f;
	struct infer_call *call; /* NULL: not yet, or over */
	unsigned n;
	uint32_t *indices; /* ascending */
	struct buf *sofar; /* of each: text of the running attempt, for readers who come later */
	unsigned attempts, jobs; /* jobs: for so many it was made */
	enum purchase_state state;
	struct answer **answers; /* n, some NULL; arrived */
	struct err error;	 /* failed */
	bool cancelled; /* it is no longer counted on: what it still brings is welcome all the same */
	uint64_t orphan_until_mono; /* nobody waits; cancelled then */
	struct list in_orphans;
};

/* purchase_all - begin calls for everything on the list */
void purchase_all(struct flight *f, const struct deal_list *missing);
/* purchase_land_all - of those that are over; false: there are some and may_wait is not set */
bool purchase_land_all(struct flight *f, bool may_wait);
/* purchase_of_locked - the one that buys index, running or just arrived; NULL: none */
struct purchase *purchase_of_locked(struct flight *f, uint32_t index);
/* purchase_indices_locked - everything that is being bought, ascending; malloc'd; 0, -ENOMEM */
int purchase_indices_locked(struct flight *f, uint32_t **out, size_t *out_n);
/* purchase_joined_locked - j shares a call that is going on */
void purchase_joined_locked(struct flight *f, struct job *j);
/* purchase_unwanted_locked - a job left: calls that nobody needs are cancelled; with grace, one that has begun
 * may go on for a second */
void purchase_unwanted_locked(struct flight *f, bool grace);
/* purchase_orphans_locked - cancel the calls whose second is over; when the next one is due, else 0 */
uint64_t purchase_orphans_locked(struct broker *b, uint64_t now_mono);
/* purchase_sofar_locked - text that has come of j's first sample; NULL: none */
const struct buf *purchase_sofar_locked(const struct job *j);

#endif
