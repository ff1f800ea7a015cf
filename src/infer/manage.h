/*
 * infer/manage.h - models that a backend keeps on its own machine: fetched, removed, and which are loaded
 *
 *   1. manage_new     for every backend of one infer, manage_add in their order
 *   2. manage_order   "pull NAME" or "delete NAME": begun at once, goes on by itself
 *      manage_list    what was ordered and how far it is
 *      manage_loaded  what the server has in memory, asked for when somebody looks
 *   3. manage_end     on the loop thread, when the program ends: orders are dropped (a pull goes on where it
 *                     was when it is ordered again)
 *      manage_free    after loop_stop
 *
 * Threads: any; one lock of rank LOCK_ENGINE. Blocks: never.
 * Source: protocol reference, Ollama: pull, delete, ps.
 */
#ifndef INFER_MANAGE_H
#define INFER_MANAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "infer/backend.h"
#include "infer/catalog.h"
#include "net/http.h"

enum { MANAGE_ORDERS_MAX = 16, MANAGE_MODEL_MAX = 256 };
enum manage_state { MANAGE_RUNNING, MANAGE_DONE, MANAGE_FAILED };

struct manage;

/* one order; a plain value */
struct manage_view {
	bool remove; /* else a pull */
	char model[MANAGE_MODEL_MAX];
	enum manage_state state;
	char status[128];	  /* the server's last word */
	int64_t completed, total; /* bytes of the part it is at; -1 not told */
	uint64_t began_real_ns, changed_real_ns;
	char error[ERR_MESSAGE_MAX];
};

/* manage_new - NULL: out of memory; everything is borrowed */
struct manage *manage_new(struct loop *loop, struct http *http, struct catalog *catalog);
int manage_add(struct manage *m, const struct backend_config *config, struct http_target *target);
void manage_end(struct manage *m);
/* manage_free - returns NULL; m may be NULL */
struct manage *manage_free(struct manage *m);

/* manage_can - backend number n has models of its own to manage */
bool manage_can(const struct manage *m, size_t n);
/* manage_order - text: "pull NAME" or "delete NAME"; an equal one that runs is joined
 * Errors: -EINVAL another word, -EOPNOTSUPP, -EBUSY too many at once, -ENOMEM; with a sentence */
int manage_order(struct manage *m, size_t n, const char *text, struct err *e);
/* manage_list - the last orders, oldest first; how many */
size_t manage_list(struct manage *m, size_t n, struct manage_view out[MANAGE_ORDERS_MAX]);
/* manage_loaded - the server's list of loaded models as it was a moment ago, a new reference; NULL: not known
 * (yet: it is asked for, and the next look shows it) */
json_t *manage_loaded(struct manage *m, size_t n);

#endif
