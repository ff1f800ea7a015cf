/*
 * tests/lib/cases.h - rows of backend tests: a request and the bytes it becomes, bytes and the answer they are
 *
 * Everything runs in the calling thread, without a network; a row that fails names itself.
 */
#ifndef TESTS_CASES_H
#define TESTS_CASES_H

#include <stdbool.h>

#include "infer/backend.h"

/* cases_sends - check takes the request and build makes exactly this path and body; the request is not changed
 * by build. images: JSON text or NULL */
void cases_sends(const struct backend_config *c, const char *request, const char *images,
		 const char *path, const char *body);
/* cases_becomes - what the effective request is after check */
void cases_becomes(const struct backend_config *c, const char *request, const char *after);
/* cases_refuses - EOPNOTSUPP naming field and backend; with lossy the field is dropped and then all is well */
void cases_refuses(const struct backend_config *c, const char *request, const char *field);
/* cases_drops - with lossy: this is listed, and the rest of the request is `after` */
void cases_drops(const struct backend_config *c, const char *request, const char *field,
		 const char *after);

/* cases_read - a stream's bytes (or a whole body) in pieces of `piece` bytes (0: at once): 0 and the answer, or
 * -errno with e; out is the caller's then (answer_free) */
int cases_read(const struct backend_config *c, const char *bytes, bool whole, size_t piece,
	       struct answer **out, struct err *e);
/* cases_stream - the bytes give this text however they are cut in pieces, and no answer at all when they end
 * at any event's end before the last; returns the answer */
struct answer *cases_stream(const struct backend_config *c, const char *bytes, const char *text);
/* cases_fails - the bytes are no answer but this errno */
void cases_fails(const struct backend_config *c, const char *bytes, bool whole, int code);
/* cases_json - v is this JSON (members in any order); v may be NULL for "null" */
void cases_json(const json_t *v, const char *text);
/* cases_error - an error reply is this errno, and may or may not be retried */
void cases_error(const struct backend_config *c, int status, const char *body, int code, bool retry,
		 const char *said);
/* cases_models - a page of a model list becomes this */
void cases_models(const struct backend_config *c, const char *page, const char *list);

#endif
