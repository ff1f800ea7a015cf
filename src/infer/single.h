/*
 * infer/single.h - models that bring one sample a call, whatever their API has a parameter for
 *
 * Which models of a provider take several is nowhere written down, and some servers that imitate its API ignore
 * the parameter. Both are found out by asking, once for each model while the program runs.
 *
 *   single_has   before a call: how many to ask for
 *   single_add   after one: it refused, or brought one of many
 *   single_body  the same body for one sample, after a refusal
 *   single_done  free it
 *
 * Private to infer/. Threads: the owner's lock (env->lock). Blocks: never.
 */
#ifndef INFER_SINGLE_H
#define INFER_SINGLE_H

#include <stdbool.h>

#include "infer/backend.h"

#define SINGLE_MAX 256 /* models of one backend; a later one takes the oldest one's place */

/* zeroed in the beginning */
struct single {
	char *models[SINGLE_MAX];
	unsigned next;
};

/* single_has - model may be NULL: false */
bool single_has(const struct single *s, const char *model);
/* single_add - model may be NULL: nothing; without memory it is found out again */
void single_add(struct single *s, const char *model);
void single_done(struct single *s);
/* single_refused - may this error of a call with several samples be about their number? */
bool single_refused(const struct err *e);
/* single_body - take the number of samples out of a body that build made; 0 or -errno and it is unchanged */
int single_body(struct buf *body);

#endif
