/*
 * disk_root.h - the open directory of a disk store, found again when it went away
 *
 *   1. disk_root_start   open or make it; a disk that is not there is no error
 *   2. disk_root_take    the descriptor for one call ... disk_root_put
 *      disk_root_drop    it is dead (removed, unplugged): the next take opens the path anew
 *   3. disk_root_stop
 *
 * Calls work on a descriptor, never on the path, so a mount laid over the path cannot catch them.
 * Threads: any. Blocks: take with may_block, when the directory has to be opened.
 */
#ifndef STORE_DISK_ROOT_H
#define STORE_DISK_ROOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/lock.h"

struct disk_root {
	unsigned refs; /* guarded by the place's lock; the place holds one */
	int fd;
};

struct disk_place {
	struct lock lock;	/* guards root; never held over the disk */
	struct disk_root *root; /* NULL: not there at the moment */
	char *dir;		/* absolute */
	bool on_fuse;		/* it lay on a FUSE file system when it was found first */
	bool seen;
};

/* disk_root_start - 0, also when the directory cannot be had now (then e has the reason); -EINVAL,
 * -ENAMETOOLONG, -ENOMEM */
int disk_root_start(struct disk_place *p, const char *dir, struct err *e);
/* disk_root_take - 0; -EAGAIN when it would have to be opened and may_block is false; -errno */
int disk_root_take(struct disk_place *p, bool may_block, struct disk_root **out);
/* disk_root_put - give back what take gave */
void disk_root_put(struct disk_place *p, struct disk_root *r);
/* disk_root_gone - a call failed with rc: is it because the directory is no longer there? */
bool disk_root_gone(const struct disk_root *r, int rc);
/* disk_root_drop - forget r, if it is still the current one */
void disk_root_drop(struct disk_place *p, struct disk_root *r);
/* disk_root_stop - after the last call returned; p may be zeroed */
void disk_root_stop(struct disk_place *p);

#endif
