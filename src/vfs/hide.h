/*
 * vfs/hide.h - names that unlink has hidden so that rm -r can reach the rmdir
 *
 * A hidden name is off the listings and lookups of its directory until ten seconds have passed in which
 * nothing more was hidden there (a directory of a hundred thousand takes longer than that), unless the
 * rmdir comes first. What is being removed goes on answering until it is gone.
 * Threads: any; a lock of its own. Blocks: never. Memory: at most HIDE_MAX names; those of the directory that
 * was left alone longest are shown again.
 */
#ifndef VFS_HIDE_H
#define VFS_HIDE_H

#include <stdbool.h>
#include <stdint.h>

#define HIDE_MAX (1u << 18)
#define HIDE_NS	 (10ULL * 1000000000ULL)

struct hide;
/* hide_new, hide_free - NULL: out of memory; free takes NULL and returns NULL */
struct hide *hide_new(void);
struct hide *hide_free(struct hide *h);
/* hide_add - node is hidden from now on; parent is what hide_drop_children goes by */
void hide_add(struct hide *h, uint64_t parent, uint64_t node);
/* hide_has - is it hidden now? */
bool hide_has(struct hide *h, uint64_t node);
/* hide_drop_children - the directory is gone: forget what was hidden in it */
void hide_drop_children(struct hide *h, uint64_t parent);

#endif
