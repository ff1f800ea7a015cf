/*
 * One request from its first header to the last byte of its answer.
 *
 * Calls are pooled: a keep-alive client that sends thousands of requests a second costs no
 * allocation beyond what the HTTP library and the JSON parser make.
 */
#ifndef PROVIDER_CALL_H
#define PROVIDER_CALL_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "dialect.h"
#include "events.h"
#include "hold.h"
#include "plan.h"
#include "script.h"

struct gate;

/* The sending side: how far, and what the next piece has to wait for. */
struct flow {
	size_t off;
	size_t next;	   /* index of the mark that is being sent */
	uint64_t piece_ns; /* when the last piece was begun */
	uint32_t random;
	long ending_at;
	bool stamps; /* the pieces' times go to flow_times */
};

struct call {
	struct hold hold;
	struct MHD_Connection *conn;
	const char *method;
	struct buf path;
	struct buf body;
	uint64_t seq;
	uint64_t first_ns;
	uint64_t due; /* of the wait before the headers */
	unsigned epoch;
	bool control;
	bool ready;	   /* the body is complete, the answer decided */
	bool ended_by_us;  /* an abrupt end that the script ordered is no abort */
	struct gate *gate; /* counted as waiting there */
	struct rule *rule;
	struct ask ask;
	struct plan plan;
	struct events ev; /* also the buffer of answers that are not streamed */
	struct flow flow;
	char link[260]; /* X-Goog-Upload-URL of the answer; "" none */
};

struct call *call_new(struct MHD_Connection *conn, const char *method, const char *path);
/* Gives the call back; `ok` tells whether the answer was sent to its end. */
void call_free(struct call *c, bool ok);

/* The body is complete. May suspend the connection, and is then called again. */
enum MHD_Result call_answer(struct call *c);
/* Sends `status` and c->ev.b as the whole answer. */
enum MHD_Result call_reply(struct call *c, int status, const char *type);

/* NULL or "": no key needed. */
void call_set_key(const char *key);
/* One line per request goes here; NULL: nowhere. Stays the caller's. */
void call_set_log(void *file);

#endif
