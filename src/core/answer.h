/*
 * answer.h - one sample as a provider gave it, before it is an object of the store
 *
 * Made by infer/, owned by whoever holds it. Numbers the provider did not give are -1.
 * Threads: one owner. Blocks: never.
 */
#ifndef CORE_ANSWER_H
#define CORE_ANSWER_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

#define ANSWER_TEXT_MAX (256u << 20)

struct answer_usage {
	int64_t input, cached_input, cache_write, output, reasoning;
};

struct answer {
	struct buf text;      /* exact, without an added newline */
	struct buf reasoning; /* empty: none */
	struct buf raw;	      /* provider's body byte for byte; a stream: its events as NDJSON */
	char *finish_reason;  /* stop, length, tool_calls, content_filter, pause, other:VALUE */
	char *model;	      /* the model that answered */
	char *refusal;	      /* NULL: none */
	char *provider_request_id; /* NULL: none */
	json_t *tool_calls;	   /* array or NULL */
	json_t *logprobs;	   /* or NULL */
	json_t *embedding; /* array, one array of numbers for each input in its order; NULL: no embedding.
			    * jobs/ checks it and puts the stored form (vectors.h) in its place */
	struct answer_usage usage;
	double cost_usd;       /* < 0: unknown */
	unsigned call_samples; /* that the call brought, this one among them; 0 is 1 */
};

/* answer_new - empty, usage -1, cost unknown; NULL when out of memory */
struct answer *answer_new(void);
struct answer *answer_free(struct answer *a);
/* answer_share_usage - the numbers of one call among the choices it brought (NULL in v: that one did not come).
 * What was read is the lowest one's and 0 in the others; what was written is split evenly, the remainder to the
 * lowest; what is unknown (-1) stays so in all of them */
void answer_share_usage(const struct answer_usage *call, struct answer *const *v, size_t n);
/* answer_usage_json - {"input_tokens", ...}, null for -1; NULL when out of memory */
json_t *answer_usage_json(const struct answer_usage *u);
/* answer_sample - the object's "sample" member: text, finish_reason, tool_calls, reasoning, logprobs,
 * refusal, embedding (only when there is one), usage{input_tokens,...}, cost_usd, model, provider, provider_request_id, call{id,samples}
 *   provider  the backend's name; call_id: id of the provider call, never NULL
 * Errors: NULL when out of memory or a text is not UTF-8 */
json_t *answer_sample(const struct answer *a, const char *provider, const char *call_id);

#endif
