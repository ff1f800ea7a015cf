/*
 * tests/lib/wire_ask.h - one infer with one backend, and calls whose events are recorded
 *
 *   1. ask_config     a backend of this type at this url, patient in milliseconds
 *   2. ask_new        starts infer with it
 *   3. ask_begin, ask_await (or ask, which is both)
 *   4. ask_done, ask_free
 */
#ifndef TESTS_WIRE_ASK_H
#define TESTS_WIRE_ASK_H

#include <jansson.h>
#include <pthread.h>

#include "infer/infer.h"

struct ask {
	struct infer *infer;
	struct backend_config config;
};

struct ask_call {
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct infer_call *call;
	json_t *request;	 /* lent to the call */
	struct answer *answer;	 /* done: the first one; NULL when that did not come, too */
	struct answer **answers; /* all of them */
	unsigned n;
	bool done;
	struct err err;	    /* failed, or -errno of infer_call as err.code */
	struct err restart; /* the last one */
	char text[1 << 16]; /* of the last attempt: the first choice's */
	size_t text_len, pieces;
	struct buf *texts; /* the same, of every choice */
	unsigned started, restarts, attempts;
	int ended; /* done and failed count here */
};

struct backend_config ask_config(const char *type, const char *url);
void ask_config_done(struct backend_config *c);
void ask_new(struct ask *a, struct backend_config take_config);
void ask_free(struct ask *a);
/* ask_begin - request: JSON text of the effective request; NULL: one message "hi" */
int ask_begin(struct ask *a, struct ask_call *c, const char *request,
	      const struct infer_spec *spec);
/* ask_await - until it ended; false after 20 s */
int ask_await(struct ask_call *c);
void ask_await_text(struct ask_call *c, size_t bytes);
void ask_await_started(struct ask_call *c, unsigned n);
/* ask - begin and await; returns 0 or the positive errno it failed with */
int ask(struct ask *a, struct ask_call *c, const char *request);
void ask_done(struct ask_call *c);

#endif
