/*
 * infer/anthropic_model.h - what a Claude model's name tells: how it thinks, what it refuses
 *
 * The model list says it too, but what a request means must not depend on a list that changes: these are
 * rules of the page, by family and version, and a name that is none of ours is taken as new.
 *
 * Threads: any; pure. Blocks: never. Source: protocol reference, Anthropic 1.1, 3.4, 3.5.
 */
#ifndef INFER_ANTHROPIC_MODEL_H
#define INFER_ANTHROPIC_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct anthropic_model {
	char family[16];  /* "opus"; "" unknown */
	unsigned version; /* 406 for 4.6; 0 unknown */
};

/* anthropic_model_read - "claude-opus-4-6", "claude-3-5-sonnet-20241022", "claude-2.1" */
struct anthropic_model anthropic_model_read(const char *name);
/* anthropic_model_samples - it honours temperature, top_p and top_k */
bool anthropic_model_samples(const struct anthropic_model *m);
/* anthropic_model_forced - tool_choice may force a call */
bool anthropic_model_forced(const struct anthropic_model *m);
/* anthropic_model_default - max_tokens where nobody says one */
int64_t anthropic_model_default(const char *name);

/* how an effort is said */
struct anthropic_model_effort {
	const char *effort;   /* output_config.effort; NULL: none */
	const char *thinking; /* type of thinking; NULL: none */
	int budget;	      /* of thinking "enabled" */
};

/* anthropic_model_effort - max_tokens bounds a budget; NULL, or why it cannot be said */
const char *anthropic_model_effort(const struct anthropic_model *m, const char *effort,
				   int64_t max_tokens, struct anthropic_model_effort *out);

#endif
