/*
 * jobs/broker_models.h - what each backend offers, as the tree shows it: models/BACKEND/MODEL.json
 *
 * Looking begins a fetch of the model list when there is none or it is old (infer/catalog.h), and looking at one
 * model the question for that one, where there is one (infer/detail.h); it never sends an inference request. Backends are numbered as broker_stats_backends lists them.
 * Threads: any. Blocks: never.
 */
#ifndef JOBS_BROKER_MODELS_H
#define JOBS_BROKER_MODELS_H

#include "infer/catalog.h"
#include "jobs/broker.h"

/* broker_models_look - *out: a reference or NULL; true: the first list is on its way, broker_models_wait */
bool broker_models_look(struct broker *b, size_t backend, struct catalog_list **out);
/* broker_models_wait / broker_models_unwait - as catalog_wait and catalog_unwait */
bool broker_models_wait(struct broker *b, size_t backend, struct catalog_waiter *w);
bool broker_models_unwait(struct broker *b, struct catalog_waiter *w);
/* broker_models_one - somebody looks at one model: its backend may tell more of it; true: the first answer is on
 * its way, broker_models_wait_one (and broker_models_unwait) */
bool broker_models_one(struct broker *b, size_t backend, const char *id);
bool broker_models_wait_one(struct broker *b, size_t backend, const char *id,
			    struct catalog_waiter *w);
/* broker_models_unref - takes NULL, returns NULL */
struct catalog_list *broker_models_unref(struct broker *b, struct catalog_list *l);
/* broker_models_text - the file of one model of a list: id, what the list and its backend told of it, its price */
int broker_models_text(struct broker *b, size_t backend, const struct catalog_list *l,
		       const json_t *model, struct buf *out);

/* broker_models_managed - the backend keeps models on its own machine, which broker_models_order changes */
bool broker_models_managed(struct broker *b, size_t backend);
/* broker_models_order - "pull NAME" or "delete NAME": 0 when it was begun, -errno of manage_order */
int broker_models_order(struct broker *b, size_t backend, const char *text);
/* broker_models_orders - what was ordered and how far it is, and what is loaded, into status.json */
void broker_models_orders(struct broker *b, size_t backend, json_t *status);
/* broker_models_status - {"count","listed","error"} for status.json, a new object; NULL: out of memory */
json_t *broker_models_status(struct broker *b, size_t backend);

#endif
