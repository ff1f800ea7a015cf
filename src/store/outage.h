/*
 * outage.h - leave an engine alone that keeps failing, and find out when it is back
 *
 *   1. outage_init
 *   2. outage_admit     before a call: may it be made?
 *      outage_report    after an admitted call, always
 *   3. outage_done
 *
 * After `failures` failed calls in a row it is down: one call each probe_ms is admitted, and the first
 * that succeeds ends the outage. Threads: any; a lock of rank LOCK_ENGINE, held for no call.
 */
#ifndef STORE_OUTAGE_H
#define STORE_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

struct outage {
	struct lock lock;
	unsigned limit, in_a_row;
	uint64_t probe_ns, next_probe_ns;
	bool down, probing;
	int error; /* the last failure, negative errno */
};

enum outage_answer {
	OUTAGE_GO,    /* call it, then report */
	OUTAGE_PROBE, /* only with quick: a probe is due, for somebody who may wait */
	OUTAGE_NO     /* down */
};

/* outage_init - failures 0 counts as 1 */
void outage_init(struct outage *o, unsigned failures, unsigned probe_ms);
void outage_done(struct outage *o);
/* outage_admit - quick: the caller must not wait, so it is never the probe */
enum outage_answer outage_admit(struct outage *o, bool quick);
/* outage_report - how an admitted call ended: 0 or negative errno */
void outage_report(struct outage *o, int error);
/* outage_down - is it open now? out_error (may be NULL): why */
bool outage_down(struct outage *o, int *out_error);

#endif
