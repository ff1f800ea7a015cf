/*
 * infer/catalog.h - the model list of each backend, fetched when somebody looks
 *
 *   1. catalog_new    for every backend of one infer
 *   2. catalog_look   the last known list; begins to fetch when there is none or it is older than models_ttl
 *      catalog_wait   until the first list came, or it failed, or CATALOG_PATIENCE_S are over
 *   3. catalog_end    on the loop thread, when the program ends: waiters are woken, transfers dropped
 *      catalog_free   after loop_stop
 *
 * The list is asked for at most once in models_ttl, and after a failure once in CATALOG_AGAIN_S. Never an
 * inference request.
 * Of one model alone a server may tell more: infer/detail.h.
 * Threads: any; one lock of rank LOCK_ENGINE, never held over a wake. Blocks: never.
 */
#ifndef INFER_CATALOG_H
#define INFER_CATALOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/lock.h"
#include "infer/backend.h"
#include "net/http.h"

enum { CATALOG_PATIENCE_S = 5, CATALOG_AGAIN_S = 30, CATALOG_MODELS_MAX = 20000 };

struct catalog;
struct details;

/* one list as it was; not changed any more */
struct catalog_list {
	unsigned refs;	/* private */
	json_t *models; /* array of objects, each with "id", sorted by it, no two alike */
	uint64_t fetched_real_ns;
};

/* one who waits for the first list; embedded */
struct catalog_waiter {
	struct list link;			/* private */
	void (*wake)(struct catalog_waiter *w); /* once, no lock held */
};

/* catalog_new - NULL: out of memory; everything is borrowed */
struct catalog *catalog_new(struct loop *loop, struct http *http);
/* catalog_add - backend number n (0, 1, ...) in order; target NULL: in process, its list is its own name */
int catalog_add(struct catalog *c, const struct backend_config *config, struct http_target *target);
void catalog_end(struct catalog *c);
/* catalog_free - returns NULL; c may be NULL */
struct catalog *catalog_free(struct catalog *c);

/* catalog_look - *out is a reference, or NULL when no list came yet; true: the first one is on its way and
 * worth waiting for */
bool catalog_look(struct catalog *c, size_t n, struct catalog_list **out);
/* catalog_peek - the last known list without fetching one, *out as above; e: why the last fetch failed, kind
 * ERR_NONE when it did not */
void catalog_peek(struct catalog *c, size_t n, struct catalog_list **out, struct err *e);
/* catalog_stale - the list has changed: it is fetched anew at the next look */
void catalog_stale(struct catalog *c, size_t n);
/* catalog_details - what is asked for one model at a time; the catalog's */
struct details *catalog_details(struct catalog *c);
/* catalog_wake - all of a list that nobody is added to any more; the lock is the one they are taken off under */
void catalog_wake(struct lock *lock, struct list *waiters);
/* catalog_wait - true: parked; false: nothing to wait for */
bool catalog_wait(struct catalog *c, size_t n, struct catalog_waiter *w);
/* catalog_unwait - true: it was parked, here or by detail_wait, and will not be woken */
bool catalog_unwait(struct catalog *c, struct catalog_waiter *w);
/* catalog_unref - takes NULL, returns NULL */
struct catalog_list *catalog_unref(struct catalog *c, struct catalog_list *l);

#endif
