/*
 * response.h - the files of a response, rendered from its facts and its objects
 *
 * Threads: any. Blocks: never. Source: the response format page.
 */
#ifndef CORE_RESPONSE_H
#define CORE_RESPONSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/key.h"

/* one sample of a response: what its object says and how it was handed out */
struct response_sample {
	const json_t *sample; /* the object's sample member, borrowed */
	const char *created;  /* of the object */
	uint32_t index;	      /* the key's own index */
	bool cached, duplicated;
};

/* the facts of one final request */
struct response_facts {
	const char *request_id, *ns, *backend, *route; /* ns NULL: none */
	const char *model;			       /* as asked when no sample tells */
	struct key key;
	uint64_t created_real_ns;		   /* when it became final */
	double queue_ms, first_token_ms, total_ms; /* < 0: null */
	unsigned attempts;
	double cost_usd, saved_usd; /* < 0: null */
	int64_t tokens
		[5]; /* bought: input, cached input, cache write, output, reasoning; -1 null */
	const json_t *dropped; /* array or NULL */
};

/* response_json - response.json: facts, samples and usage; text, one line and a newline */
int response_json(const struct response_facts *f, const struct response_sample *s, size_t n,
		  struct buf *out);
/* response_sample_json - samples/N/response.json */
int response_sample_json(const struct response_sample *s, const struct key *key, struct buf *out);
/* response_meta_json - samples/N/meta.json */
int response_meta_json(const struct response_sample *s, const struct key *key, struct buf *out);
/* response_text - the text and a newline if it does not end in one; empty stays empty */
int response_text(const json_t *sample, struct buf *out);
/* response_usage_json - usage.json: tokens, cost, timing, attempts, status; also for failed requests */
int response_usage_json(const struct response_facts *f, const char *status, struct buf *out);
/* response_error_json - error.json */
int response_error_json(const struct err *e, const char *request_id, struct buf *out);

#endif
