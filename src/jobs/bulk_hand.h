/*
 * jobs/bulk_hand.h - what the hand-outs to a line are known by, in a namespace
 *
 * A line with a custom_id is known by it, one without by its key and its occurrence: the k-th line with that key,
 * whatever its number. Private to jobs/. Threads: the job's turn. Blocks: on the ledger's reads.
 */
#ifndef JOBS_BULK_HAND_H
#define JOBS_BULK_HAND_H

#include "jobs/bulk.h"

struct checked;

/* bulk_hand_name - fill hand_id and hand_path of what is asked; 0, -ENOMEM */
int bulk_hand_name(struct bulk *k, struct bulk_asked *a, struct checked *c);
/* bulk_hand_same - the row of an earlier run is known by the same */
bool bulk_hand_same(const struct ledger_row *row, const struct checked *c);

#endif
