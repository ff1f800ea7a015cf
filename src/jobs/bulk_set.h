/*
 * jobs/bulk_set.h - a set of 64-bit hashes: which names were there, or how often a key was
 *
 * What a job of many lines remembers of each line, and all that it remembers: two names with one hash would
 * be taken for one name (at a hundred thousand lines once in a thousand million jobs).
 * Threads: one owner. Blocks: never.
 */
#ifndef JOBS_BULK_SET_H
#define JOBS_BULK_SET_H

#include <stddef.h>
#include <stdint.h>

struct bulk_set {
	uint64_t *slots;  /* 0: empty */
	uint32_t *counts; /* NULL: nothing is counted */
	size_t cap, n;
};

/* bulk_set_done - forget all; it may be used again */
void bulk_set_done(struct bulk_set *s);
/* bulk_set_hash - of bytes; never 0; the same in every process */
uint64_t bulk_set_hash(const void *p, size_t n);
/* bulk_set_add - 1 it is new, 0 it was there, -ENOMEM */
int bulk_set_add(struct bulk_set *s, uint64_t hash);
int bulk_set_has(const struct bulk_set *s, uint64_t hash);
/* bulk_set_count - one more of it: how many there are now, from 1; 0: out of memory */
uint32_t bulk_set_count(struct bulk_set *s, uint64_t hash);

#endif
