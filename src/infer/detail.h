/*
 * infer/detail.h - what a backend tells of one model only when it is asked for that one
 *
 *   1. detail_new    for every backend of one catalog, detail_add in their order
 *   2. detail_look   somebody looks at the model: asked for when nothing is known or it is older than models_ttl
 *      detail_wait   until the first answer came, or failed, or CATALOG_PATIENCE_S are over
 *      detail_copy   what is known
 *   3. detail_end    on the loop thread, when the program ends; detail_free after loop_stop
 *
 * All who look at a model while it is asked for share that request. A backend that gave no answer in time, or none at
 * all, rests for CATALOG_AGAIN_S: a walk through the directory must not wait for each of its files. Never an
 * inference request.
 * Threads: any; the catalog's lock, never held over a wake. Blocks: never.
 */
#ifndef INFER_DETAIL_H
#define INFER_DETAIL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/lock.h"
#include "infer/backend.h"
#include "infer/catalog.h"
#include "net/http.h"

struct details;

/* detail_new - NULL: out of memory; everything is borrowed, the catalog's lock too */
struct details *detail_new(struct loop *loop, struct http *http, struct lock *lock);
int detail_add(struct details *d, const struct backend_config *config, struct http_target *target);
void detail_end(struct details *d);
/* detail_free - returns NULL; d may be NULL */
struct details *detail_free(struct details *d);

/* detail_look - true: the first answer for model id of backend n is on its way and worth waiting for */
bool detail_look(struct details *d, size_t n, const char *id);
/* detail_wait - true: parked, catalog_unwait takes it off; false: nothing to wait for */
bool detail_wait(struct details *d, size_t n, const char *id, struct catalog_waiter *w);
/* detail_copy - the last answer as members of the model's card, the caller's; NULL: none */
json_t *detail_copy(struct details *d, size_t n, const char *id);
/* detail_stale - models have changed: asked for anew at the next look */
void detail_stale(struct details *d, size_t n);

#endif
