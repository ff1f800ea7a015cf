/*
 * tests/lib/contract_batch.h - what a request becomes in a batch, for the providers' descriptions
 *
 * One request through batch_draft_make: its body as a line holds it, and the request that makes a batch from
 * its file. Nothing for a backend that has no batches.
 */
#ifndef TESTS_CONTRACT_BATCH_H
#define TESTS_CONTRACT_BATCH_H

#include <jansson.h>

#include "infer/backend.h"

struct contract_batch {
	char line_path[512], create_path[512];
	json_t *line; /* as the endpoint would take it alone, or the list of a creation; NULL: none */
	json_t *create; /* NULL: the line's own request is the creation */
};

void contract_batch_make(const struct backend_config *c, const json_t *effective,
			 const json_t *images, struct contract_batch *out);
void contract_batch_done(struct contract_batch *b);

#endif
