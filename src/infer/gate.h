/*
 * infer/gate.h - when may a backend be asked next? requests and tokens a minute, the server's own
 * limits, and the circuit breaker
 *
 * Before each attempt:
 *   1. gate_admit     0: go. Else nanoseconds to wait, then ask again
 *   2. gate_settle    what it really took (tokens)
 *   3. gate_told      rate-limit headers of any answer
 *      gate_refused   a 429: fewer at once, and nobody before the time the server names
 *      gate_good      an answer: slowly more again
 * After each request, whatever its retries were:
 *   4. gate_outcome   the breaker counts it
 *
 * At most rpm requests begin in any 60 seconds. Tokens are a bucket of tpm that fills in a minute; a request
 * is taken at its estimate and corrected afterwards. 0 is no limit.
 * The breaker opens after so many requests in a row finally failed by the backend's fault; after its time one
 * request probes it, the others wait for what becomes of that one.
 *
 * Times are mono_ns. Threads: the caller's lock. Blocks: never.
 */
#ifndef INFER_GATE_H
#define INFER_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "infer/backend.h"
#include "net/quota.h"

enum gate_breaker { GATE_CLOSED, GATE_OPEN, GATE_PROBING };

struct gate {
	const struct backend_limits *limits;
	uint64_t *begun; /* ring of the last rpm beginnings; NULL: no limit, or not yet */
	unsigned begun_at;
	double tokens; /* in the bucket; may be below 0 */
	uint64_t filled_ns;
	uint64_t hold_ns; /* the server said: nobody before */
	unsigned allowed; /* calls at once, at most the configured */
	unsigned good;	  /* answers since it changed */
	enum gate_breaker breaker;
	unsigned failures;
	uint64_t open_until_ns;
	struct quota_set told;
	uint64_t told_ns; /* 0: never */
};

/* gate_init - 0 or -ENOMEM; l is borrowed */
int gate_init(struct gate *g, const struct backend_limits *l, uint64_t now_ns);
void gate_done(struct gate *g);

/* gate_admit - 0: begin now, it is counted; else the wait; tokens: the estimate. *out_probe: this one is the
 * breaker's probe, and gate_outcome must follow; true before for a further attempt of the probe */
uint64_t gate_admit(struct gate *g, uint64_t now_ns, double tokens, bool *out_probe);
/* gate_settle - an attempt of this estimate took so many tokens (< 0: not known) */
void gate_settle(struct gate *g, double estimate, double took);
void gate_told(struct gate *g, uint64_t now_ns, const struct quota_set *q);
/* gate_refused - retry_after_s: the server's wish, < 0 none; in_flight: calls at once when it came */
void gate_refused(struct gate *g, uint64_t now_ns, double retry_after_s, unsigned in_flight);
void gate_good(struct gate *g);
/* gate_outcome - kind ERR_NONE: it has its answer; true: the breaker changed, and those who wait should ask
 * again. A probe that was cancelled (kind ERR_CANCELLED, ERR_ENDING) proves nothing: the next one probes */
bool gate_outcome(struct gate *g, uint64_t now_ns, enum err_kind kind, bool probe);
/* gate_is_open - true: a new request would only wait; *out_left_ns until the probe */
bool gate_is_open(const struct gate *g, uint64_t now_ns, uint64_t *out_left_ns);

#endif
