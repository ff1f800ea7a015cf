/*
 * jobs/fallback.h - the next model of a request whose first one failed
 *
 *   1. fallback_check   at the check: could every model of the chain take this request?
 *   2. fallback_take    its purchase failed: the job asks for the next one's answer, under that one's key
 *
 * Each candidate is looked up, joined, bought and stored under its own key; the row keeps the first one's, by
 * which writing the same again is known. Private to jobs/. Threads: any. Blocks: never.
 */
#ifndef JOBS_FALLBACK_H
#define JOBS_FALLBACK_H

#include "jobs/inside.h"

struct checked;

/* fallback_check - 0, or the error that the first unfit model would give, naming it */
int fallback_check(struct broker *b, const struct checked *c, const json_t *models, struct err *e);
/* fallback_left - another model could be asked; the lock is held, or nobody else knows j yet */
bool fallback_left(const struct job *j);
/* fallback_take - true: e is one that another model may not have, and j (linked nowhere) has gone on to it */
bool fallback_take(struct broker *b, struct job *j, const struct err *e);

/* fallback_to - j is answered by the model of its chain whose key this is; before it is in a flight. false: there
 * is none, and j is as before */
bool fallback_to(struct broker *b, struct job *j, const struct key *key);

#endif
