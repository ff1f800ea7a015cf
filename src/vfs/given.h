/*
 * given.h - names that the kernel may keep for long: only these need a notification when they change
 *
 *   1. given_add   before such a name is answered
 *   2. given_take  before the notification is posted: the kernel will not have the name when it was
 *                  carried out, unless it is given again
 *
 * A false yes costs one needless notification, a false no would show an old response: a set that once was
 * full says yes for ever. At most GIVEN_SETS * GIVEN_WAYS names are known exactly.
 * Threads: any; one lock of rank LOCK_LEAF. Blocks: never.
 */
#ifndef VFS_GIVEN_H
#define VFS_GIVEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

enum { GIVEN_SETS = 8192, GIVEN_WAYS = 4 };

struct given {
	struct lock lock;
	uint64_t set[GIVEN_SETS][GIVEN_WAYS]; /* hashes of 64 bits; 0: free */
	bool full[GIVEN_SETS];
};

/* given_new - NULL: out of memory */
struct given *given_new(void);
/* given_free - takes NULL, returns NULL */
struct given *given_free(struct given *g);
/* given_add - the kernel is about to hear of name in directory dir; g NULL: nothing is remembered */
void given_add(struct given *g, uint32_t dir, const char *name);
/* given_take - may the kernel have it? It is forgotten here. g NULL: yes */
bool given_take(struct given *g, uint32_t dir, const char *name);

#endif
