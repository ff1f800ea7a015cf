/*
 * infer/order.h - what one call sends: the effective request, and its body once it is built
 *
 * Attempts send the same bytes, so they are made once.
 * Private to infer/. Threads: one at a time. Blocks: never.
 */
#ifndef INFER_ORDER_H
#define INFER_ORDER_H

#include "infer/infer.h"

struct order {
	const struct backend_config *config;
	const json_t *effective;		       /* lent */
	void (*load)(void *arg, struct infer_call *c); /* NULL: there are no images, or they came */
	struct backend_body body;
	bool built;
	char *url;		 /* NULL: in process */
	const uint32_t *indices; /* lent; NULL: 0, 1, ... */
	unsigned n;		 /* samples wanted; at least 1 */
	unsigned asked;		 /* of them, by the body */
	bool refused;		 /* it asked for more before, in vain */
	double timeout_s;
};

/* order_init - from what the caller said */
void order_init(struct order *o, const struct backend_config *c, const struct infer_spec *spec);
/* order_ask - by this many samples at most; before it is built */
void order_ask(struct order *o, unsigned max);
/* order_one - the built body asks for one sample from now on; 0 or -errno */
int order_one(struct order *o);
void order_done(struct order *o);
/* order_build - images as the backend's build wants them; once: 0 when it is built, or needs no building */
int order_build(struct order *o, const json_t *images, struct err *e);

#endif
