/*
 * infer/infer.h - ask a backend: queue, concurrency limit, attempts, backoff, deadline, one answer
 *
 *   1. infer_new      backends from the configuration; starts the net thread
 *   2. infer_find     a backend by name; infer_check
 *   3. infer_call     queued at once; the sink is called on the net thread, in this order:
 *                     (started (text | restart)*)* then exactly one of done, failed
 *      infer_cancel   unless done or failed was called before, failed(ECANCELED) comes soon
 *   4. infer_stop     every open call gets failed(ESHUTDOWN) before it returns
 *
 * No lock is held while a sink is called. A call belongs to infer until done or failed returned.
 * Threads: any, but infer_new and infer_stop: one. Blocks: only infer_stop (milliseconds).
 */
#ifndef INFER_INFER_H
#define INFER_INFER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/answer.h"
#include "infer/backend.h"
#include "infer/gate.h"

struct batch;
struct catalog;
struct infer;
struct manage;
struct infer_call;

struct infer_sink {
	/* started - an attempt was handed to the network (or began in process); attempt counts from 1 */
	void (*started)(void *arg, unsigned attempt);
	/* text - more of one answer; choice counts from 0 in the order of the spec's indices */
	void (*text)(void *arg, unsigned choice, const char *p, size_t n);
	/* restart - attempt broke and is tried again, perhaps after a pause: its text is void */
	void (*restart)(void *arg, unsigned attempt, const struct err *why);
	/* done - the end mark was seen. An array of the spec's n, lent; the answers in it are the sink's. NULL: the
	 * reply had no such choice, or a failed one (a short reply); at least one is there. Their usage together is
	 * the call's (answer_share_usage) */
	void (*done)(void *arg, struct answer **take_answers, unsigned attempts);
	/* failed - e->attempts is set; e is only lent */
	void (*failed)(void *arg, const struct err *e);
};

struct infer_spec {
	const char *backend;
	const json_t *
		request; /* effective, checked; lent until done or failed returned, and not changed:
				 * jansson's counting is no barrier between threads */
	/* load - the call has got its place and wants its images: on the net thread, once, with the sink's
	 * arg; infer_loaded answers, from any thread and later. NULL: it has none. So what waits in the
	 * queue holds no bytes of images */
	void (*load)(void *arg, struct infer_call *c);
	double timeout_s;     /* 0: the backend's; from the first sending, retries included */
	uint64_t deadline_ns; /* mono_ns; 0 none: queue included */
	int priority;	      /* -20..19 */
	bool unbounded;	      /* a line of a job: waits without filling the queue */
	/* indices - of the samples wanted, n of them, ascending; lent until done or failed returned. echo says
	 * them. NULL: 0, 1, ... n: at most infer_samples_max; 0 is 1 */
	const uint32_t *indices;
	unsigned n;
};

struct infer_options {
	struct backend_config *backends; /* borrowed until infer_stop */
	size_t n_backends;
	size_t queue_max; /* calls waiting over all backends */
};

/* infer_new - starts the net thread; -EIO with a sentence when it cannot */
/* infer_new - options and configurations are borrowed; infer_stop - NULL is fine; returns NULL */
int infer_new(const struct infer_options *o, struct infer **out, struct err *e);
/* infer_stop - waits for loads that are under way, ends every call, stops the net thread; returns NULL; i may be NULL */
struct infer *infer_stop(struct infer *i);

/* infer_find - NULL: no such backend */
const struct backend_config *infer_find(struct infer *i, const char *name);
/* infer_catalog - the model lists; backends are numbered as in infer_options; borrowed until infer_stop */
struct catalog *infer_catalog(struct infer *i);
/* infer_manage - models on a backend's own machine; numbered so, too */
struct manage *infer_manage(struct infer *i);
/* infer_batch - batches at the providers; numbered so, too */
struct batch *infer_batch(struct infer *i);
/* infer_types - every registered type, NULL-terminated; by name: infer_type */
const struct backend_type *const *infer_types(void);
const struct backend_type *infer_type(const char *name);
/* infer_ready - key there, name known, breaker not open: 0, or the error a new request meets (ENOKEY, ENXIO,
 * EHOSTDOWN) */
int infer_ready(struct infer *i, const char *backend, struct err *e);
/* infer_samples_max - how many samples one call for this request may bring; 1: the provider has no such
 * parameter, its model refused it or brought one of many before, or there is no such backend. Asked anew for each
 * call: it may have become 1. A larger n is a short reply */
unsigned infer_samples_max(struct infer *i, const char *backend, const json_t *effective);
/* infer_room - may one more call be queued? 0 or ERR_QUEUE_FULL */
int infer_room(struct infer *i, struct err *e);

/* infer_call - 0 and the call, or -errno (-ENOBUFS, -ESHUTDOWN, -ENOMEM, -ENXIO, -EINVAL: n) and no sink is called */
int infer_call(struct infer *i, const struct infer_spec *spec, const struct infer_sink *sink,
	       void *arg, struct infer_call **out);
/* infer_loaded - answers load, exactly once: the images as backend.h's build wants them, or why there are
 * none (images NULL); both are only lent. The body is built here, on the caller's thread, and the
 * request of the spec must live until this returns, whatever the sink was told meanwhile. infer_stop
 * waits for it */
void infer_loaded(struct infer *i, struct infer_call *c, const json_t *images, const struct err *e);
/* infer_cancel - c must not yet have had done or failed (the caller's own lock or flag tells) */
void infer_cancel(struct infer *i, struct infer_call *c);

/* one backend's health for status.json; no secret in it */
struct infer_status {
	unsigned in_flight, queued, concurrency;
	uint64_t calls, ok, failed,
		retried; /* requests begun, their ends (cancelled in neither), more attempts */
	uint64_t last_ok_real_ns, last_error_real_ns; /* 0: never */
	char last_error[ERR_MESSAGE_MAX];
	bool has_key;
	enum gate_breaker breaker;
	unsigned breaker_failures; /* in a row */
	double breaker_left_s;	   /* until the probe */
	double hold_s;		   /* the server asked for so much patience; 0 none */
	struct quota_set told;	   /* rate-limit headers of the last answer that had some */
	bool has_told;
};
int infer_status(struct infer *i, const char *backend, struct infer_status *out);

#endif
