/*
 * tests/lib/reply.h - requests that a backend writes and answers that it reads, without a network
 *
 *   reply_sends, reply_refuses, reply_drops   check and build, compared with JSON
 *   reply_stream, reply_whole                 bytes to an answer, through the SSE parser
 */
#ifndef TESTS_REPLY_H
#define TESTS_REPLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "infer/backend.h"

/* what became of the bytes; reply_done frees it */
struct reply {
	struct answer *answer; /* NULL: failed with err */
	struct err err;
	char *streamed; /* what the sink got */
};

/* single quotes stand for double ones in every JSON text here; images: object or NULL */
json_t *reply_json(const char *text);
/* reply_sends - check accepts the request as it is, build gives this path and body; out_header may be NULL */
void reply_sends(const struct backend_config *c, const char *request, const char *path,
		 const char *body);
void reply_sends_images(const struct backend_config *c, const char *request, const char *images,
			const char *body);
/* reply_header - the request's own header line */
void reply_header(const struct backend_config *c, const char *request, const char *header);
/* reply_refuses - EOPNOTSUPP naming field; with lossy it is dropped, listed, and then accepted, as `left`
 * (a piece of the effective request, sorted and compact; NULL: any) */
void reply_refuses(const struct backend_config *c, const char *request, const char *field,
		   const char *left);
/* reply_invalid - this error whether lossy or not */
void reply_invalid(const struct backend_config *c, const char *request, int code,
		   const char *field);

/* reply_stream - n bytes in pieces of `piece` (0: all at once) */
struct reply reply_stream(const struct backend_config *c, const char *bytes, size_t n,
			  size_t piece);
struct reply reply_whole(const struct backend_config *c, const char *text);
void reply_done(struct reply *r);
/* reply_equal - the two say the same in every part */
void reply_equal(const struct reply *a, const struct reply *b);
/* reply_cut - the stream is whole as it is and split anywhere, and a failure when it ends at any event's end
 * before the last one, or in the middle of an event */
void reply_cut(const struct backend_config *c, const char *events);
/* reply_tool_calls - the answer's tool calls are this JSON */
void reply_tool_calls(const struct reply *r, const char *json);
/* reply_usage - input, cached, written, output, reasoning */
void reply_usage(const struct reply *r, const int64_t want[5]);

#endif
