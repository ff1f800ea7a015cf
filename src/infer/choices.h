/*
 * infer/choices.h - the answers of one call, one for each sample that was asked for
 *
 *   1. choices_init   n empty answers, which a parser of backend.h fills
 *   2. choices_event, choices_whole   the reply's bytes once the parser has taken them: the raw of each
 *   3. choices_end    the reply is whole: those that did not come or failed are let go, usage is divided
 *   4. choices_take   the answers and their array go to the caller
 *      choices_done   free what was not taken
 *
 * Private to infer/. Threads: one owner. Blocks: never.
 */
#ifndef INFER_CHOICES_H
#define INFER_CHOICES_H

#include <stdbool.h>

#include "infer/backend.h"

struct choices {
	struct answer **v;
	unsigned n;
	struct answer_usage usage; /* of the whole call, once it has ended */
	unsigned came;		   /* of them, failed ones too, once it has ended */
	size_t raw;		   /* bytes of raw of all answers together: they have one maximum */
	struct buf
		bill; /* the last event with usage that had choices, without them: for those who were not in it */
	bool *billed; /* n of them: has that event already */
};

/* choices_init - 0 or -ENOMEM */
int choices_init(struct choices *c, unsigned n);
void choices_done(struct choices *c);
/* choices_event - an event, which is JSON, into the raw of those it is for, the other choices left out. With one
 * answer, or no choices in it, the bytes stay as they are. 0, -EFBIG, -ENOMEM */
int choices_event(struct choices *c, const char *data, size_t len);
/* choices_whole - the same for a whole body; its bytes are taken where there is one answer */
int choices_whole(struct choices *c, struct buf *body);
/* choices_end - how many there are. None: *out_why is the refusal of the first that failed, lent, or NULL */
unsigned choices_end(struct choices *c, const char **out_why);
/* choices_take - c is empty then */
struct answer **choices_take(struct choices *c);

#endif
