/*
 * What the model says: the texts of all choices, cut into pieces, and the counts.
 *
 * Prompts go in (plan_prompt, plan_words), the script's wishes are applied (plan_make), and
 * the dialects read the result. A plan lives in a pooled call and keeps its memory.
 */
#ifndef PROVIDER_PLAN_H
#define PROVIDER_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct rule;

/* Bytes inside plan.bytes; offsets, because the buffer moves while it grows. */
struct span {
	size_t at;
	size_t len;
};

/* One text and its pieces, plan.pieces[first .. first + count). */
struct text {
	struct span all;
	size_t first;
	size_t count;
};

struct plan {
	struct buf bytes;
	struct span *prompts;
	size_t nprompts, prompts_cap;
	struct span *pieces;
	size_t npieces, pieces_cap;
	struct text *texts;
	size_t ntexts, texts_cap;
	size_t steps; /* pieces of the longest text */
	unsigned choices;
	bool same;		 /* all choices of a prompt say the same */
	const struct rule *rule; /* NULL: default answer */
	const char *finish;
	uint64_t words_in;
	uint64_t words_out;
	uint64_t words_thought;
};

void plan_clear(struct plan *p);
/* Adds an empty prompt; plan_text appends to the last one. */
void plan_prompt(struct plan *p);
void plan_text(struct plan *p, const char *s, size_t n);
/* Whitespace-separated words: the only tokens this provider knows. */
uint64_t plan_words(const char *s, size_t n);
/* Makes the texts for n choices per prompt. */
void plan_make(struct plan *p, const struct rule *rule, unsigned n);
const struct text *plan_choice(const struct plan *p, unsigned choice);
static inline const char *plan_at(const struct plan *p, struct span s)
{
	return p->bytes.p ? p->bytes.p + s.at : "";
}
/* How this choice ends. */
const char *plan_finish(const struct plan *p, unsigned choice);
/* The script's values, NULL when the default holds. */
const json_t *plan_tools(const struct plan *p);
const char *plan_reasoning(const struct plan *p);
const json_t *plan_usage(const struct plan *p);

#endif
