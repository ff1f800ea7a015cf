/* bulk_set.c - open addressing; three quarters full at most */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/key.h"
#include "jobs/bulk_set.h"

#include "base/banned.h"

#define FIRST_CAP 64

void bulk_set_done(struct bulk_set *s)
{
	free(s->slots);
	free(s->counts);
	*s = (struct bulk_set){ 0 };
}

uint64_t bulk_set_hash(const void *p, size_t n)
{
	struct key k = { 0 };
	uint64_t h = 0;

	(void)key_of(p, n, &k); /* no memory: 1, so a duplicate too many at worst */
	memcpy(&h, k.b, sizeof(h));
	return h ? h : 1;
}

static size_t find(const struct bulk_set *s, uint64_t hash)
{
	size_t i = (size_t)hash & (s->cap - 1);

	while (s->slots[i] && s->slots[i] != hash)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static int grow(struct bulk_set *s, bool counting)
{
	struct bulk_set to = { .cap = s->cap ? s->cap * 2 : FIRST_CAP, .n = s->n };

	if (s->cap && s->n + 1 <= s->cap / 4 * 3)
		return 0;
	to.slots = calloc(to.cap, sizeof(*to.slots));
	to.counts = counting ? calloc(to.cap, sizeof(*to.counts)) : NULL;
	if (!to.slots || (counting && !to.counts)) {
		bulk_set_done(&to);
		return -ENOMEM;
	}
	for (size_t i = 0; i < s->cap; i++) {
		size_t at;

		if (!s->slots[i])
			continue;
		at = find(&to, s->slots[i]);
		to.slots[at] = s->slots[i];
		if (counting)
			to.counts[at] = s->counts[i];
	}
	bulk_set_done(s);
	*s = to;
	return 0;
}

int bulk_set_add(struct bulk_set *s, uint64_t hash)
{
	size_t at;

	if (grow(s, false) < 0)
		return -ENOMEM;
	at = find(s, hash);
	if (s->slots[at])
		return 0;
	s->slots[at] = hash;
	s->n++;
	return 1;
}

int bulk_set_has(const struct bulk_set *s, uint64_t hash)
{
	return s->cap && s->slots[find(s, hash)];
}

uint32_t bulk_set_count(struct bulk_set *s, uint64_t hash)
{
	size_t at;

	if (grow(s, true) < 0)
		return 0;
	at = find(s, hash);
	s->n += !s->slots[at];
	s->slots[at] = hash;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): grow() has put new slots in their place */
	return ++s->counts[at];
}
