/*
 * jobs/settle.h - a request has all of its samples: recorded with its hand-outs in one commit, then shown
 *
 * Private to jobs/. Threads: any. Blocks: as a posting to the ledger.
 */
#ifndef JOBS_SETTLE_H
#define JOBS_SETTLE_H

#include "core/answer.h"
#include "jobs/flight.h"

/* the changes that record one request with its samples */
struct settle_record {
	struct ledger_change changes[4];
	size_t n;
	struct ledger_handout *handouts;
	struct ledger_given *given;
	int64_t counts[LEDGER_NS_COUNTERS];
	char *facts;
};
/* settle_record - the first change is the row's: FINISH, or PUT, of which the caller fills in the rest. 0, -ENOMEM */
int settle_record(const struct job *j, enum ledger_op op, struct settle_record *out);
void settle_record_done(struct settle_record *r);

/* settle_jobs - those on the list (by in_flight, one reference each) have all of their samples; consumed. They
 * stay on f->settling until it is recorded */
void settle_jobs(struct flight *f, struct list *jobs);

/* settle_stream - readers of j's stream get its first sample, now that it is there; stored: nothing of it has come
 * before */
void settle_stream(struct broker *b, struct job *j, const json_t *sample, bool stored);
/* settle_ask - an ask needs no record: it is shown at once; bought: it is the buyer */
void settle_ask(struct broker *b, struct job *j, const json_t *sample, bool bought);
/* settle_asks - a purchase that nobody but asks waits for: they have its bytes and need no record, so
 * they do not wait for the store; true: they were served and counted */
bool settle_asks(struct flight *f, const struct answer *a);

/* settle_count_call - what a call of n samples adds to the counters, whoever gets them */
void settle_count_call(struct broker *b, struct answer **v, unsigned n, unsigned attempts,
		       double input_usd);
/* settle_count_cached - a sample that somebody had paid before; whole: nothing was sent for the request */
void settle_count_cached(struct broker *b, unsigned samples, double saved_usd, bool whole);

#endif
