/*
 * infer/retry.h - another attempt? and after what pause
 *
 *   1. zeroed struct retry
 *   2. retry_next      after each failed attempt
 *
 * A retried POST may be billed twice: after the first byte of an answer, or silence after the request was
 * sent, there is one more attempt, whatever it ends with.
 * Threads: one owner. Blocks: never. Source: the retry rules of the protocol reference.
 */
#ifndef INFER_RETRY_H
#define INFER_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "infer/backend.h"

struct retry {
	unsigned attempts; /* made so far; raised by the caller before retry_next */
	bool late;	   /* one of them had got bytes or went silent */
};

struct retry_why {
	bool retryable;	      /* by its kind or status */
	bool late;	      /* bytes of an answer had come, or it stalled after it was sent */
	double retry_after_s; /* the server's wish; < 0 none */
};

struct retry_when {
	uint64_t now_ns, limit_ns; /* mono_ns; limit 0: none */
	double random;		   /* 0 <= random < 1 */
};

/* retry_next - the pause before another attempt, in nanoseconds; -1: no other attempt
 *
 * The pause doubles from backoff_ms to backoff_max_ms, less up to a quarter by chance. The server's wish is
 * its floor; when it reaches past the limit there is no other attempt, and none when the pause does.
 */
int64_t retry_next(struct retry *r, const struct backend_limits *l, const struct retry_why *w,
		   const struct retry_when *t);

/* retry_chance - the next number from 0 to below 1; *state is never 0 */
double retry_chance(uint64_t *state);

#endif
