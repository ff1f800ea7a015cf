/*
 * jobs/deal.h - which samples of a key a request is to have
 *
 * Without a namespace: the first n. In a namespace every sample is handed out once: a request that was here
 * before gets what it had, and then, as a new one, the next unused ones; requests that are dealt together come
 * in the natural order of their ids, so the same ids get the same samples whatever order they arrive in.
 *
 * Private to jobs/. Threads: whoever has the flight to himself. Blocks: as the ledger's reads.
 */
#ifndef JOBS_DEAL_H
#define JOBS_DEAL_H

#include "jobs/flight.h"

/* deal_recorded - what the ledger has for j in its namespace, for the key it asked: when that is enough, j's
 * picks are dealt. Moves j to the model of its fallbacks that answered it then. -ENOENT: there is less */
int deal_recorded(struct broker *b, struct job *j);
/* deal_jobs - samples for those in the flight that have none yet; only_recorded: the window is open, so only
 * for those whose samples are known */
void deal_jobs(struct flight *f, bool only_recorded);

/* an index that somebody waits for */
struct deal_want {
	uint32_t index;
	unsigned owner; /* number of the first job that wants it */
	bool looked;	/* the store does not have it */
};
struct deal_list {
	struct deal_want *v;
	size_t n;
};
/* deal_missing - what is waited for and not being bought: by owner, then index; 0, -ENOMEM */
int deal_missing(struct flight *f, struct deal_list *out);
void deal_list_done(struct deal_list *l);

#endif
