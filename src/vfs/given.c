/* given.c - a small exact set of hashes */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "vfs/given.h"

#include "base/banned.h"

struct given *given_new(void)
{
	struct given *g = calloc(1, sizeof(*g)); /* zeros that were never touched take no memory */

	if (g)
		lock_init(&g->lock, LOCK_LEAF);
	return g;
}

struct given *given_free(struct given *g)
{
	if (g)
		lock_done(&g->lock);
	free(g);
	return NULL;
}

/* Two hashes of 32 bits, of different bytes and seeded anew in every process: that two names agree in both is
 * not to be expected, nor to be brought about. */
static uint64_t hash_of(uint32_t dir, const char *name)
{
	unsigned char whole[sizeof(dir) + NAME_MAX + 1];
	size_t n = strnlen(name, NAME_MAX);
	uint64_t h;

	memcpy(whole, &dir, sizeof(dir));
	memcpy(whole + sizeof(dir), name, n);
	h = (uint64_t)map_hash(whole, sizeof(dir) + n) << 32 | map_hash(name, n);
	return h ? h : 1;
}

void given_add(struct given *g, uint32_t dir, const char *name)
{
	uint64_t h = hash_of(dir, name), *set;
	unsigned free_way = GIVEN_WAYS;

	if (!g)
		return;
	LOCK_SCOPE(&g->lock);
	set = g->set[h % GIVEN_SETS];
	for (unsigned i = 0; i < GIVEN_WAYS; i++) {
		if (set[i] == h)
			return;
		if (!set[i])
			free_way = i;
	}
	if (free_way < GIVEN_WAYS)
		set[free_way] = h;
	else
		g->full[h % GIVEN_SETS] = true;
}

bool given_take(struct given *g, uint32_t dir, const char *name)
{
	uint64_t h = hash_of(dir, name), *set;
	bool was = false;

	if (!g)
		return true;
	LOCK_SCOPE(&g->lock);
	set = g->set[h % GIVEN_SETS];
	for (unsigned i = 0; i < GIVEN_WAYS; i++) {
		if (set[i] != h)
			continue;
		set[i] = 0;
		was = true;
	}
	return was || g->full[h % GIVEN_SETS];
}
