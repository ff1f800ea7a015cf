/*
 * infer/local.h - one attempt of a backend inside this process, paced by timers
 *
 * The same life and the same sink as infer/attempt.h: end never comes from within local_start.
 * Threads: the loop thread.
 */
#ifndef INFER_LOCAL_H
#define INFER_LOCAL_H

#include "infer/attempt.h"
#include "infer/order.h"
#include "net/loop.h"

struct local;

/* local_start - 0 or -ENOMEM and no callback */
int local_start(struct loop *loop, const struct order *o, const struct attempt_sink *sink,
		struct local **out);
/* local_cancel - not after end; l may be NULL */
void local_cancel(struct local *l);

#endif
