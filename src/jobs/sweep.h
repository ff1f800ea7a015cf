/*
 * jobs/sweep.h - objects in answers/ that no row names any more go, a moment later, on the pool
 *
 * Private to jobs/. Threads: any. Blocks: never; the disk is waited for on the pool.
 */
#ifndef JOBS_SWEEP_H
#define JOBS_SWEEP_H

#include "jobs/inside.h"

#define SWEEP_DIRS ANSWERS_DIRS
/* sweep_init - b->sweeps; sweep_free: what is left of it */
void sweep_init(struct broker *b);
/* sweep_gone - a row went, with its hand-outs (ledger_gone_fn) */
void sweep_gone(void *arg, const struct ledger_row *row, const struct ledger_handout *h, size_t n);
/* sweep_handouts - the objects that they name are looked at */
void sweep_handouts(struct broker *b, const struct ledger_handout *h, size_t n);
/* sweep_object - look at one: it goes when no row names it, no pin holds its key and the engine has it */
void sweep_object(struct broker *b, const struct answers_id *id);
/* sweep_pin - a commit on its way will name objects of this key: they are not swept until sweep_unpin;
 * 0 or -ENOMEM */
int sweep_pin(struct broker *b, const struct key *key);
void sweep_unpin(struct broker *b, const struct key *key);
/* sweep_start - the time has come, by the clock (sweeps.at_mono) */
void sweep_start(struct broker *b);
/* sweep_scan - after an unclean end: look at every object there is */
void sweep_scan(struct broker *b);
/* sweep_finish - the pool is gone: look at what is queued now; what comes later is left to a scan */
void sweep_finish(struct broker *b);
void sweep_free(struct broker *b);

#endif
