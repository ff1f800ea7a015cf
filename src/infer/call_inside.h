/*
 * infer/call_inside.h - what a call is made of, and its dealings with the gate of its backend
 *
 * Private to call.c and call_gate.c. Threads: the loop thread, but for what is marked env->lock.
 */
#ifndef INFER_CALL_INSIDE_H
#define INFER_CALL_INSIDE_H

#include "infer/attempt.h"
#include "infer/call.h"
#include "infer/local.h"
#include "infer/order.h"
#include "infer/retry.h"

/* C_GATED: it has a place and waits for the gate; C_PROBE: the breaker waits for what becomes of it.
 * A cancel or a load that is on its way keeps a finished call in memory */
enum {
	C_OPENED = 1 << 0,
	C_BEGUN = 1 << 1,
	C_FINISHED = 1 << 2,
	C_GATED = 1 << 3,
	C_PROBE = 1 << 4
};

struct infer_call {
	struct loop_task open;
	struct {
		struct loop_task task;
		bool posted; /* env->lock */
	} cancel;
	struct {
		struct loop_task task;
		bool under_way;	   /* env->lock */
		struct err *error; /* NULL: the images came */
	} load;
	struct list link; /* env->calls; env->cancelled */
	struct list ready_link;
	struct limit_waiter place; /* env->lock */
	struct call_env *env;
	struct call_backend *backend;
	struct infer_sink sink;
	void *arg;
	struct order order;
	double tokens; /* estimate, where a limit of tokens wants one */
	struct {
		struct loop_timer due;
		uint64_t last_ns; /* when some went to the sink */
		unsigned choice;
		struct buf piece; /* of choice's text, for the sink when it is due */
	} text;
	struct {
		struct loop_timer limit, pause;
	};
	struct {			      /* when */
		uint64_t opened_ns, limit_ns; /* limit 0: none */
		uint64_t deadline_ns;	      /* the user's own, the queue included; 0 none */
	};
	struct attempt *attempt;
	struct local *local;
	struct retry retry;
	unsigned flags;
	struct err *last; /* why the attempt before failed; NULL: none did */
};

/* call_gate_admit - may its next attempt begin? 0 yes, -EINPROGRESS: its pause timer is armed and it keeps its
 * place, so that those behind it wait too; -ENOMEM */
int call_gate_admit(struct infer_call *c);
/* call_gate_hear - what an attempt says about the limits, whatever it says about the request; the waiter that
 * has a place now, or NULL */
struct limit_waiter *call_gate_hear(struct infer_call *c, const struct attempt_end *end);
/* call_gate_end - the request is over (e NULL: answered): the breaker counts it */
void call_gate_end(struct infer_call *c, const struct err *e);
/* call_gate_say_late - the sentence of a request whose time is over; waiting: it had no place */
void call_gate_say_late(const struct infer_call *c, bool waiting, struct err *e);

/* call_text_init, call_text_drop - drop: what has not gone to the sink never will */
void call_text_init(struct infer_call *c);
void call_text_drop(struct infer_call *c);
/* call_text_add - to the sink within a millisecond, or when the call ends */
void call_text_add(struct infer_call *c, unsigned choice, const char *p, size_t n);
/* call_text_flush - to the sink now */
void call_text_flush(struct infer_call *c);

#endif
