/*
 * disk_walk.h - listing a disk store in order, one leaf directory at a time
 *
 * At most about twice `max` names are held, however many a directory has.
 * Threads: any. Blocks: on the disk. Errors: negative errno of the system call that failed.
 */
#ifndef STORE_DISK_WALK_H
#define STORE_DISK_WALK_H

#include <stddef.h>

#include "include/inferfs/cache_engine.h"

/* one page of a listing, as cache_engine.list */
struct disk_walk {
	const char *prefix;
	const struct cache_name *after;
	size_t max;
	struct cache_name *out;
	size_t n; /* found */
};

/* disk_walk_list - fill w->out in order of (key, index), w->n of them */
int disk_walk_list(int dirfd, struct disk_walk *w);

/* disk_walk_key - call fn for every sample of key, in no order; a negative result stops and is returned */
int disk_walk_key(int dirfd, const struct cache_key *key,
		  int (*fn)(const struct cache_name *name, void *arg), void *arg);

#endif
