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

#endif
