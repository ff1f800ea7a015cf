/*
 * infer/attempt.h - one HTTP attempt: from the body that is sent to its answers, or to why there are none
 *
 *   1. attempt_start   at most: text..., then exactly one end
 *   2. attempt_cancel  no further callback
 *
 * Threads: the loop thread. Callbacks: no lock held; end may start another attempt.
 */
#ifndef INFER_ATTEMPT_H
#define INFER_ATTEMPT_H

#include "infer/backend.h"
#include "infer/retry.h"
#include "net/http.h"

#define ATTEMPT_BODY_MAX  (256ull << 20)
#define ATTEMPT_ERROR_MAX (64u << 10)

struct attempt;

struct attempt_end {
	/* answers - the spec's n, of which those that came are not NULL, at least one; the receiver takes them and
	 * the array. NULL: failed */
	struct answer **answers;
	struct answer_usage usage; /* of all of them together */
	unsigned came;		   /* choices the reply had, failed ones too */
	struct err err;
	struct retry_why why;
	struct quota_set quota; /* what the answer's headers said is left */
};

struct attempt_sink {
	void (*text)(void *arg, unsigned choice, const char *p, size_t n);
	void (*end)(void *arg, struct attempt_end *end); /* the attempt is gone when it returns */
	void *arg;
};

struct attempt_spec {
	const struct backend_config *config;
	struct http *http;
	struct http_target *target;
	const char *url;
	const char *header;	/* one more, borrowed for the call; "" none */
	bool stream;		/* events are expected */
	unsigned n;		/* samples; 0 is 1 */
	const struct buf *body; /* borrowed until end or attempt_cancel */
};

enum attempt_phase { ATTEMPT_CONNECTING, ATTEMPT_SENT, ATTEMPT_ANSWERING };

/* attempt_start - 0 or -ENOMEM and no callback */
int attempt_start(const struct attempt_spec *s, const struct attempt_sink *sink,
		  struct attempt **out);
/* attempt_cancel - not after end; a may be NULL */
void attempt_cancel(struct attempt *a);
/* attempt_phase - what is being waited for */
enum attempt_phase attempt_phase(const struct attempt *a);
/* attempt_url - the address for people: without user info */
void attempt_url(const struct backend_config *c, char *dst, size_t cap);

#endif
