/*
 * infer/reading.h - what every parser of a provider's answer does: text, reasons, ids, limits
 *
 * A parser embeds a struct reading, or where a reply may bring several choices a struct reading_set of them:
 *   1. reading_init
 *   2. reading_object   an event's bytes as a JSON object; then the parser puts what it finds there with
 *      reading_text, reading_add, reading_reason, reading_once, reading_number
 *   3. reading_end      the end mark was seen: refusal and finish reason are settled
 *   4. reading_sizes    after each event: did memory or a maximum run out on the way?
 *   5. reading_done
 *
 * Deep in an event nothing can be returned; the first failure is kept and reading_sizes tells it.
 * Threads: one owner. Blocks: never.
 */
#ifndef INFER_READING_H
#define INFER_READING_H

#include "infer/backend.h"

struct reading {
	const struct backend_config *config;
	struct answer *answer;
	struct backend_sink sink;
	unsigned choice; /* which of the reply's it is */
	unsigned event;	 /* the last one that had a piece of it; reading_set_next counts them */
	struct buf refusal;
	bool began; /* something of an answer was seen */
	int rc;	    /* first failure of memory or size */
};

/* the choices of one reply. What they share (model, id, usage) is read into the first, which may itself not come */
struct reading_set {
	struct reading *v;
	unsigned n;
	unsigned events; /* that were begun */
};

/* a provider's word and ours; a list ends with NULL */
struct reading_word {
	const char *theirs, *ours;
};

/* reading_init - s may be NULL */
void reading_init(struct reading *r, const struct backend_config *c, struct answer *a,
		  const struct backend_sink *s);
void reading_done(struct reading *r);

/* reading_object - a JSON object, the caller's; NULL: it is none, or too deep (e says so) */
json_t *reading_object(const struct reading *r, const char *data, size_t len, struct err *e);
/* reading_note - remember the first rc that is not 0 */
void reading_note(struct reading *r, int rc);
/* reading_text - more of the answer's text; it goes to the sink too */
void reading_text(struct reading *r, const char *p, size_t n);
/* reading_add - a JSON string to b; anything else is nothing */
void reading_add(struct reading *r, struct buf *b, const json_t *v);
/* reading_reason - the finish reason in our words; one that is not in the list is other:VALUE */
void reading_reason(struct reading *r, const struct reading_word *words, const json_t *v);
/* reading_once - *out = a provider's short text, cleaned, unless it is set or v is none */
void reading_once(struct reading *r, char **out, const json_t *v);
/* reading_number - *out = a count that is not negative; anything else leaves it */
void reading_number(int64_t *out, const json_t *v);
/* reading_end - 0, or ERR_PROTOCOL when nothing of an answer came */
int reading_end(struct reading *r, struct err *e);
/* reading_sizes - 0, or what reading_note kept, with a sentence */
int reading_sizes(const struct reading *r, struct err *e);

/* reading_set_init - n of them, as reading_init; 0 or -ENOMEM */
int reading_set_init(struct reading_set *s, const struct backend_config *c, struct answer *const *a,
		     unsigned n, const struct backend_sink *sink);
void reading_set_done(struct reading_set *s);
/* reading_set_next - another event (or whole body) begins: one of several choices comes once in it */
void reading_set_next(struct reading_set *s);
/* reading_set_route - the choice of this index (not an integer: 0); NULL: nobody wants it, or it came already in
 * this event */
struct reading *reading_set_route(struct reading_set *s, const json_t *index);
/* reading_set_end - reading_end of each that began, which then know what all share; ERR_PROTOCOL when none did */
int reading_set_end(struct reading_set *s, struct err *e);
/* reading_set_sizes - reading_sizes of all */
int reading_set_sizes(const struct reading_set *s, struct err *e);

#endif
