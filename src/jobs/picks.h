/*
 * jobs/picks.h - the samples of one request: which it is to have, which it has, what they cost
 *
 *   1. picks_deal     the key's indices that it is to have are known
 *   2. picks_give     one of them is there: its object lies in answers/ and is pinned for it
 *   3. picks_full     all are: the hand-out can be recorded (settle.c)
 *   4. picks_done     lets the pins go; what was not recorded is swept
 *
 * Private to jobs/. Threads: whoever has the job's flight to himself (flight.h), or the check before there
 * is one; index and have are changed under the broker's lock. Blocks: never.
 */
#ifndef JOBS_PICKS_H
#define JOBS_PICKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/key.h"
#include "ledger/answers.h"

struct broker;
struct job;

/* one sample; its place in picks.v is its place in the response */
struct pick {
	uint32_t index; /* the key's own */
	uint32_t variant;
	bool have, cached, duplicated;
	bool missed; /* it was looked for, and is not stored */
};

/* what the samples brought and cost; an amount < 0 is not known */
struct tally {
	double cost_usd, saved_usd;  /* paid by this request; paid by somebody before */
	double merged_usd;	     /* input that another sample of the call had paid */
	double again_usd;	     /* of cost: what the store does not keep */
	int64_t tokens[5];	     /* bought: input, cached, cache write, output, reasoning */
	unsigned bought, duplicated; /* samples */
	unsigned calls, attempts;    /* of which it is the buyer */
	uint64_t text_bytes;	     /* of sample 0 as a file */
	bool reasoning, tool_calls;  /* sample 0 has some */
};

struct picks {
	struct pick *v; /* NULL: not dealt */
	unsigned n, have;
	bool offered;  /* dealt elsewhere: deal_jobs looks whether nobody else has them */
	bool recorded; /* the pins are no longer ours */
	struct tally tally;
};

/* picks_deal - indices of all n; lock held where the job is in a flight; 0, -ENOMEM */
int picks_deal(struct picks *p, const uint32_t *indices, unsigned n);
/* picks_deal_first - 0 to n - 1: a request without a namespace */
int picks_deal_first(struct picks *p, unsigned n);
static inline bool picks_full(const struct picks *p)
{
	return p->v && p->have == p->n;
}

/* picks_want - index is among them and not there yet */
bool picks_want(const struct picks *p, uint32_t index);
/* picks_missed - the store does not have index */
void picks_missed(struct picks *p, uint32_t index);

/* one sample on its way to a request */
struct gift {
	const struct answers_id *id; /* index among the key's; pinned once for the receiver */
	const json_t *sample;	     /* of the object */
	bool bought;		     /* by this request */
	bool duplicated;	     /* another sample of the call has its input */
	bool kept;		     /* the store has it, or will */
	unsigned attempts;	     /* of its call, told with its lowest sample; 0 else */
	double input_usd;	     /* what the call's input cost; 0 not known */
};
/* picks_give - true: it was waited for, and the pin is the job's; false: the pin is still the caller's */
bool picks_give(struct broker *b, struct job *j, const struct gift *g);
/* picks_recorded - the ledger names the objects now: only the pins go */
void picks_recorded(struct broker *b, const struct key *key, struct picks *p);
/* picks_done - p may be zeroed */
void picks_done(struct broker *b, const struct key *key, struct picks *p);
/* picks_text_bytes - size of the file `text` of a sample */
uint64_t picks_text_bytes(const json_t *sample);
/* picks_price - of a sample; < 0 not known */
double picks_price(const json_t *sample);

#endif
