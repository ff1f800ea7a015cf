/*
 * infer/body.h - the effective request as a provider's JSON body: what OpenAI-like dialects share
 *
 *   1. body_check    every field is in the backend's list, or refused, or dropped
 *   2. body_begin    an object with model, stream and the fields under their wire names
 *      (the backend adds what is its own)
 *   3. body_finish   extra_body over it, written as canonical JSON
 *
 * Threads: any; pure. Blocks: never. Source: the request table of the protocol mapping.
 */
#ifndef INFER_BODY_H
#define INFER_BODY_H

#include <jansson.h>
#include <stdbool.h>

#include "infer/backend.h"

#define BODY_MAX (64u << 20)

/* one field that a backend takes; the list ends with name NULL */
struct body_field {
	const char *name; /* in the effective request */
	const char *wire; /* in the body; NULL: the backend writes it itself */
};

struct body_rules {
	const struct body_field *fields;
	const char *const *endpoints;	    /* NULL-terminated */
	const char *const *message_members; /* besides role and content; NULL-terminated */
	const char *const *tool_members;    /* the same for role tool */
	size_t stop_max;		    /* stop strings; 0: any number */
};

struct body_check {
	const struct backend_config *config;
	json_t *effective; /* the caller's; changed with lossy only */
	json_t *dropped;   /* array; names are appended with lossy */
	bool lossy;
	struct err *e;
};

/* body_check - 0, or ERR_UNSUPPORTED naming backend and field; -ENOMEM */
int body_check(const struct body_check *k, const struct body_rules *r);
/* body_refuse - this field cannot be expressed: with lossy it is dropped (0), else ERR_UNSUPPORTED */
int body_refuse(const struct body_check *k, const char *field, const char *why);
/* body_no_strict - the provider has no strict mode: refuse, or with lossy drop, `strict` of tools that want it */
int body_no_strict(const struct body_check *k);
/* body_is - the effective request's endpoint is name */
bool body_is(const json_t *effective, const char *endpoint);
/* body_offers - the request offers tools, by itself or in its extra_body; without any, what it says about calls
 * means nothing */
bool body_offers(const json_t *effective);
/* body_samples - max, or 1 when extra_body sets the number of samples itself, or what numbers the choices
 * in another way */
unsigned body_samples(const json_t *effective, unsigned max);
/* body_greedy - the request wants the likeliest token always: some servers then refuse several samples */
bool body_greedy(const json_t *effective);
/* body_at_most - this number may be that large; else as body_refuse */
int body_at_most(const struct body_check *k, const char *field, double max);
/* body_begin - new object, NULL when out of memory; messages are copied, developer is system when asked */
json_t *body_begin(const json_t *effective, const struct body_rules *r, bool developer_as_system);
/* body_write - take_body is consumed (NULL: out of memory); fills out->body as canonical JSON */
int body_write(const struct backend_config *c, json_t *take_body, struct backend_body *out,
	       struct err *e);
/* body_finish - extra_body over it, then body_write; fills out->body and out->stream */
int body_finish(const struct backend_config *c, json_t *take_body, const json_t *effective,
		struct backend_body *out, struct err *e);
/* body_fits - ERR_CONTEXT when the written body is larger than the provider takes */
int body_fits(const struct backend_config *c, const struct backend_body *body, size_t max_mib,
	      struct err *e);

#endif
