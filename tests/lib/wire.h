/*
 * tests/lib/wire.h - a TCP server that answers each request with scripted bytes, faults included
 *
 *   1. wire_new      listens on a free port of 127.0.0.1
 *   2. wire_add...   the answers in order; the last one answers all further requests too
 *   3. wire_free     closes everything, joins
 *
 * A request is read up to the end of its Content-Length before it is answered. Nothing sleeps: an answer
 * may wait at a gate that the test opens.
 */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>

struct wire;

enum wire_then {
	WIRE_KEEP,  /* the connection stays for the next request */
	WIRE_CLOSE, /* orderly end */
	WIRE_RESET, /* RST */
	WIRE_HANG   /* nothing more, connection open, until wire_free */
};

struct wire_answer {
	const char *bytes;
	size_t len;   /* 0: strlen */
	size_t piece; /* bytes per write; 0: all at once */
	enum wire_then then;
	bool gate; /* wait for wire_open before answering */
	bool deaf; /* do not read the request first (with RESET: reset before it was read) */
};

struct wire *wire_new(void);
struct wire *wire_new_unix(const char *path); /* on a unix socket instead */
struct wire *wire_free(struct wire *w);
/* wire_url - "http://127.0.0.1:PORT" */
const char *wire_url(const struct wire *w);
void wire_add(struct wire *w, struct wire_answer a);
/* wire_add_json - status, Content-Type: application/json, Content-Length, more header lines (may be NULL) */
void wire_add_json(struct wire *w, int status, const char *more, const char *body);
/* wire_add_typed - the same with a type of its own; NULL: no Content-Type line */
void wire_add_typed(struct wire *w, int status, const char *type, const char *body,
		    enum wire_then then);
/* wire_add_sse - 200, text/event-stream, chunked; complete: with the last chunk */
void wire_add_sse(struct wire *w, const char *events, bool complete, enum wire_then then);
void wire_open(struct wire *w);			  /* opens the gate for good */
size_t wire_requests(struct wire *w);		  /* seen so far */
size_t wire_connections(struct wire *w);	  /* accepted so far */
size_t wire_most(struct wire *w);		  /* most requests unanswered at one time */
bool wire_await(struct wire *w, size_t requests); /* until so many were seen; false after 10 s */
/* wire_request - text of the n-th request (from 0), headers and body; valid until wire_free */
const char *wire_request(struct wire *w, size_t n);
const char *wire_body(struct wire *w, size_t n);

#endif
