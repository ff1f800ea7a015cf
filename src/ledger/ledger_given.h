/*
 * ledger_given.h - what a namespace has handed out to whom, and what that has cost: a part of ledger.h
 *
 * Threads, blocks, errors: as in ledger.h.
 */
#ifndef LEDGER_LEDGER_GIVEN_H
#define LEDGER_LEDGER_GIVEN_H

#include <stddef.h>
#include <stdint.h>

#include "core/key.h"

/* what a namespace has cost, and what it found paid already; a posting adds */
enum ledger_ns_counter {
	LEDGER_NS_REQUESTS,
	LEDGER_NS_CALLS,
	LEDGER_NS_SAMPLES,
	LEDGER_NS_BOUGHT,
	LEDGER_NS_REUSED,
	LEDGER_NS_DUPLICATED,
	LEDGER_NS_TOKENS_INPUT,
	LEDGER_NS_TOKENS_OUTPUT,
	LEDGER_NS_UNPRICED,
	LEDGER_NS_COST_NANO_USD,
	LEDGER_NS_SAVED_CACHE_NANO_USD,
	LEDGER_NS_SAVED_MERGE_NANO_USD,
	LEDGER_NS_AGAIN_NANO_USD, /* price of what the store did not keep */
	LEDGER_NS_COUNTERS
};

/* a sample that a namespace has handed out; key: whose sample it is */
struct ledger_given {
	struct key key;
	uint32_t index;
};

/* The request request_id asked key in namespace ns, and has v at pos, pos + 1 ... from now on. What it had
 * there before stays used.
 *
 * root, path: the file that request_id is made of, being path or path/REST; path NULL: request_id is the
 * path. root NULL: the user's own id. Ids made of a file follow MOVE, SWAP and their trees, whether the
 * file has a row or not. When the new id is taken by somebody, also a user's own, the moved one has it
 * from then on; what the other had stays used */
struct ledger_given_change {
	const char *ns, *root, *path, *request_id;
	struct key key;
	uint32_t pos;
	const struct ledger_given *v;
	size_t n;
};

/* what a posting adds to the counters of ns */
struct ledger_given_count {
	const char *ns;
	const int64_t *add; /* LEDGER_NS_COUNTERS of them */
};

struct ledger;

/* ledger_given - what request_id has of key in ns: malloc'd, in pos order; none: NULL and 0 */
int ledger_given(struct ledger *l, const char *ns, const struct key *key, const char *request_id,
		 struct ledger_given **out, size_t *out_n);
/* ledger_given_used - every index of key that was handed out in ns: malloc'd, ascending, each once */
int ledger_given_used(struct ledger *l, const char *ns, const struct key *key, uint32_t **out,
		      size_t *out_n);

#endif
