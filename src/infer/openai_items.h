/*
 * infer/openai_items.h - OpenAI's /responses: answers, which are lists of items
 *
 *   1. a zeroed struct openai_items beside the reading
 *   2. openai_items_event   for each event that openai_items_is one
 *   3. openai_items_done
 *
 * Threads: one owner. Blocks: never. Source: protocol reference, OpenAI 7.
 */
#ifndef INFER_OPENAI_ITEMS_H
#define INFER_OPENAI_ITEMS_H

#include "infer/reading.h"

/* what is kept of an answer's events; zeroed in the beginning */
struct openai_items {
	json_t *items; /* the finished ones, in their order */
	bool deltas;   /* text came in pieces: the final text is not added again */
	bool thoughts; /* the same for the reasoning's summary */
	bool seen;     /* events of this kind came: [DONE] is no end mark */
};

/* openai_items_is - an event of /responses, or its whole body */
bool openai_items_is(const json_t *o);
/* openai_items_event - 1 after the last event or a whole body, 0 go on, -errno with e */
int openai_items_event(struct reading *r, struct openai_items *s, const json_t *o, struct err *e);
void openai_items_done(struct openai_items *s);

#endif
