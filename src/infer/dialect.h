/*
 * infer/dialect.h - reading an answer of the OpenAI family: chunks, whole bodies, usage, end mark
 *
 * Everything is optional and every list is open, as the protocol reference says. Choices are routed by
 * their index, each to its answer; those that nobody asked for are let go.
 *
 * dialect_new to dialect_free are the callbacks of backend.h of the same names, and their reply is a struct
 * reading_set; a backend whose answers come in more forms than this one takes the functions below them.
 * Threads: one owner. Blocks: never.
 * Source: protocol reference, OpenAI 3.3, 3.5, 4, 5, 9, 10; Mistral 3.2, 3.3, 5.
 */
#ifndef INFER_DIALECT_H
#define INFER_DIALECT_H

#include "infer/reading.h"

/* dialect_new - a[0] to a[n - 1] are filled as events come; s->text gets the text as it comes */
void *dialect_new(const struct backend_config *c, struct answer *const *a, unsigned n,
		  const struct backend_sink *s);
/* dialect_event - 1 at [DONE] or after a whole body; -errno: an error object, or no JSON (ERR_PROTOCOL) */
int dialect_event(void *reply, const char *name, const char *data, size_t len, bool whole,
		  struct err *e);
/* dialect_end - the body ended without [DONE]: always a failure */
int dialect_end(void *reply, struct err *e);
void dialect_free(void *reply);

/* dialect_is_done - the end mark [DONE] */
bool dialect_is_done(const char *data, size_t len);
/* dialect_is_error - this event says that the request failed */
bool dialect_is_error(const char *name, const json_t *o);
/* dialect_object - one event, parsed: as dialect_event */
int dialect_object(struct reading_set *s, const char *name, const json_t *o, bool whole,
		   struct err *e);
/* dialect_finish - the end mark was seen: 0, or why there is no answer */
int dialect_finish(struct reading_set *s, struct err *e);
/* dialect_finish_one - the same for an answer of a form that has one choice only */
int dialect_finish_one(struct reading *r, struct err *e);

#endif
