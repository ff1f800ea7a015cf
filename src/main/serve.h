/*
 * main/serve.h - everything a mount is made of, in the order it is opened and closed
 *
 *   1. serve_start   ledger (and its lock), answers, store, infer, broker, vfs, mount, recovery
 *   2. serve_stop    the same backwards; also of what was only half started
 *
 * All directories are open before the mount is, so that the daemon never walks a path on it.
 * Threads: main's only. Blocks: on disks, and on what had been accepted before.
 */
#ifndef MAIN_SERVE_H
#define MAIN_SERVE_H

#include <stdbool.h>

#include "base/err.h"
#include "main/config.h"
#include "main/detect.h"
#include "main/paths.h"

struct price_list;
struct serve;

struct serve_options {
	struct config *config; /* lives longer */
	const struct paths *paths;
	const struct detect *detect;
	const struct price_list *prices; /* lives longer, too */
	const char *source;		 /* shown by mount(8); NULL: inferfs */
	const char *const *fuse_opts;
	bool debug;
	void (*ended)(void *arg); /* the mount ended by itself; on another thread */
	void *arg;
};

/* serve_start - returns when the mount answers */
int serve_start(const struct serve_options *o, struct serve **out, struct err *e);
/* serve_stop - returns NULL */
struct serve *serve_stop(struct serve *s);

#endif
