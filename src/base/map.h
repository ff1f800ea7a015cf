/*
 * map.h - hash table of links embedded in the mapped structs; grows and shrinks
 *
 * The caller hashes and compares, so keys of any shape need no copy.
 * Threads: the owner's lock. Blocks: never.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_link {
	struct map_link *next;
	uint32_t hash;
};

struct map {
	struct map_link **slots;
	size_t n_slots, n;
};

typedef bool map_equal_fn(const struct map_link *l, const void *key);

/* map_init - no memory yet; map_done frees the table, not the entries */
void map_init(struct map *m);
void map_done(struct map *m);
/* map_hash - of bytes; seeded once per process so that hostile names do not collide */
uint32_t map_hash(const void *p, size_t n);
uint32_t map_hash_u64(uint64_t v);
/* map_add - l->hash is set here; 0 or -ENOMEM; the caller has looked that the key is not there */
int map_add(struct map *m, struct map_link *l, uint32_t hash);
/* map_find - NULL when absent */
struct map_link *map_find(const struct map *m, uint32_t hash, map_equal_fn *equal, const void *key);
/* map_del - l must be in m */
void map_del(struct map *m, struct map_link *l);
/* map_each - fn returns false to stop; it must not change the map */
void map_each(const struct map *m, bool (*fn)(struct map_link *l, void *arg), void *arg);

#endif
