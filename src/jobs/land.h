/*
 * jobs/land.h - what a purchase brought: priced, counted, kept, given to whoever waits for it
 *
 * Private to jobs/. Threads: the pool, with the flight to itself. Blocks: on the disk and the engine.
 */
#ifndef JOBS_LAND_H
#define JOBS_LAND_H

#include "jobs/purchase.h"

/* land_answers - p has arrived; what the reply lacked is missing as before */
void land_answers(struct purchase *p);
/* land_batch_cost - of an answer through a batch API; negative: not known */
double land_batch_cost(const struct flight *f, const struct answer *a);
/* land_embedding - what came for an embedding request are vectors: in their stored form; others are let be */
int land_embedding(const struct flight *f, struct answer *a, struct err *e);

#endif
