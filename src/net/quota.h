/*
 * net/quota.h - what a server's rate-limit headers say is left
 *
 * Every provider has names of its own, and they change; what they share is the word "ratelimit", then whose
 * limit it is (requests, tokens) and which of its three numbers (limit, remaining, reset). A reset is a
 * duration ("6m0s", "12ms", seconds) or a date (RFC 3339).
 *
 * Threads: one owner. Blocks: never. Source: the rate-limit headers of the protocol reference.
 */
#ifndef NET_QUOTA_H
#define NET_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* one limit; negative: not told */
struct quota {
	double limit, remaining, reset_s; /* reset: from the answer's arrival */
};

/* of tokens the one that is nearest to its end, where a server tells several */
struct quota_set {
	struct quota requests, tokens;
	struct quota input, output; /* private to quota_line and quota_done */
};

/* quota_init - nothing told */
void quota_init(struct quota_set *q);
/* quota_line - one header; true: it was about a limit */
bool quota_line(struct quota_set *q, const char *name, size_t n_name, const char *value,
		uint64_t now_real_ns);
/* quota_done - all headers were seen */
void quota_done(struct quota_set *q);
/* quota_reset - seconds of a reset value; -1 none */
double quota_reset(const char *value, uint64_t now_real_ns);

#endif
