/*
 * jobs/gather.h - the window of merging: what is to be bought waits a moment for its equals
 *
 * In a mount where several samples or namespaces are asked for, what is missing is bought a few milliseconds after
 * the first one has come, or when enough is wanted for a full call. A mount that was only ever asked for single
 * answers has nothing to gain from it: there the first one is bought at once and the others share it.
 *
 * Private to jobs/. Threads: the broker's lock. Blocks: never.
 */
#ifndef JOBS_GATHER_H
#define JOBS_GATHER_H

#include "jobs/flight.h"

/* gather_init - b->gathering, by its options */
void gather_init(struct broker *b);
/* gather_add_locked - j has joined f: a window may begin, or be full */
void gather_add_locked(struct flight *f, const struct job *j);
/* gather_close_locked - f has no window any more */
void gather_close_locked(struct flight *f);
/* gather_over_locked - a flight whose window is over, with a reference, to be poked; NULL: none, and *next is
 * when one will be, if that is sooner (0: never) */
struct flight *gather_over_locked(struct broker *b, uint64_t now_mono, uint64_t *next);

#endif
