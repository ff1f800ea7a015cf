/*
 * answers.h - state/answers: every object that a response names, so that a response is its user's own
 *
 * One file per (key, index, variant): 3f/9a/3f9a....0.json; variant 1 and later have ".V" before
 * ".json" (the same key bought anew after its entry was evicted, while an older response still names
 * the first). A hard link to the disk store's file where it can be, else a copy. No cache level.
 * Threads: any. Blocks: on the disk.
 */
#ifndef LEDGER_ANSWERS_H
#define LEDGER_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/key.h"

struct answers;

/* one object: which key, which sample, which purchase of it */
struct answers_id {
	struct key key;
	uint32_t index, variant;
};

#define ANSWERS_NAME_MAX 96 /* bytes, with NUL: path below the directory */

/* answers_open - dir is made when absent; sync: fsync every object */
int answers_open(const char *dir, int sync, struct answers **out);
struct answers *answers_close(struct answers *a);
/* answers_dirfd - the open directory, for links; not the caller's */
int answers_dirfd(const struct answers *a);
/* answers_name - path below dirfd of an object; its two fan-out directories are made by answers_prepare */
void answers_name(const struct answers_id *id, char out[ANSWERS_NAME_MAX]);
/* answers_prepare - make the fan-out directories of key */
int answers_prepare(struct answers *a, const struct key *key);
/* answers_put - write bytes under the first free variant, or find the same bytes there already
 *   id->variant is set to where they are */
int answers_put(struct answers *a, struct answers_id *id, const char *bytes, size_t len);
/* answers_adopt - as answers_put for bytes that a store can hard-link: link(dirfd/name) is called by
 * link_fn(arg, dirfd, name): 0, -EEXIST; anything else, as -EXDEV or a miss: the bytes are written */
struct answers_source {
	const char *bytes;
	size_t len;
	int (*link_fn)(void *arg, int dirfd, const char *name);
	void *arg;
};
int answers_adopt(struct answers *a, struct answers_id *id, const struct answers_source *src);
/* answers_read - append the object's bytes; -ENOENT */
int answers_read(struct answers *a, const struct answers_id *id, struct buf *out);
/* answers_read_nowait - as answers_read, -EAGAIN instead of waiting for the disk */
int answers_read_nowait(struct answers *a, const struct answers_id *id, struct buf *out);
/* answers_remove - -ENOENT is success */
int answers_remove(struct answers *a, const struct answers_id *id);
#define ANSWERS_DIRS 256
/* answers_each - every object in one of the ANSWERS_DIRS directories; what is not an object's name, and
 * what cannot be read, is passed over */
void answers_each(struct answers *a, unsigned dir,
		  void (*fn)(void *arg, const struct answers_id *id), void *arg);

#endif
