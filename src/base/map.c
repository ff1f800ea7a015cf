/*
 * map.c - hash table of embedded links
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/lock.h"
#include "base/map.h"

#include "base/banned.h"

enum { SLOTS_MIN = 16 };

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed[2];

static void make_seed(void)
{
	struct timespec t;

	if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &t); /* early at boot: better than a constant */
	seed[0] = (uint64_t)t.tv_nsec * 0x9E3779B97F4A7C15u;
	seed[1] = (uint64_t)(uintptr_t)&t ^ (uint64_t)t.tv_sec;
}

static uint64_t rotl(uint64_t x, unsigned k)
{
	return x << k | x >> (64 - k);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* SipHash-1-3: names come from users and jobs of strangers, and a plain multiply can be made to
 * collide even when its seed is secret. */
uint32_t map_hash(const void *p, size_t n)
{
	const unsigned char *b = p;
	uint64_t v[4], w, last = (uint64_t)n << 56;

	(void)pthread_once(&seed_once, make_seed); /* never fails */
	v[0] = seed[0] ^ 0x736f6d6570736575u;
	v[1] = seed[1] ^ 0x646f72616e646f6du;
	v[2] = seed[0] ^ 0x6c7967656e657261u;
	v[3] = seed[1] ^ 0x7465646279746573u;
	for (; n >= 8; n -= 8, b += 8) {
		memcpy(&w, b, 8);
		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)b[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	w = v[0] ^ v[1] ^ v[2] ^ v[3];
	return (uint32_t)(w ^ w >> 32);
}

uint32_t map_hash_u64(uint64_t v)
{
	return map_hash(&v, sizeof(v));
}

void map_init(struct map *m)
{
	memset(m, 0, sizeof(*m));
}

void map_done(struct map *m)
{
	if (!m)
		return;
	free(m->slots);
	map_init(m);
}

static struct map_link **slot_of(const struct map *m, uint32_t hash)
{
	return &m->slots[hash & (m->n_slots - 1)]; /* n_slots is a power of two */
}

static int resize(struct map *m, size_t n_slots)
{
	struct map next = { calloc(n_slots, sizeof(*next.slots)), n_slots, m->n };

	if (!next.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		for (struct map_link *l = m->slots[i], *after; l; l = after) {
			struct map_link **slot = slot_of(&next, l->hash);

			after = l->next;
			l->next = *slot;
			*slot = l;
		}
	}
	free(m->slots);
	*m = next;
	return 0;
}

int map_add(struct map *m, struct map_link *l, uint32_t hash)
{
	struct map_link **slot;

	if (m->n >= m->n_slots) {
		int rc = resize(m, m->n_slots ? m->n_slots * 2 : SLOTS_MIN);

		if (rc && !m->n_slots)
			return rc; /* a full table still works, only slower */
	}
	l->hash = hash;
	slot = slot_of(m, hash);
	l->next = *slot;
	*slot = l;
	m->n++;
	return 0;
}

struct map_link *map_find(const struct map *m, uint32_t hash, map_equal_fn *equal, const void *key)
{
	if (!m->n)
		return NULL;
	for (struct map_link *l = *slot_of(m, hash); l; l = l->next)
		if (l->hash == hash && equal(l, key))
			return l;
	return NULL;
}

void map_del(struct map *m, struct map_link *l)
{
	struct map_link **p = slot_of(m, l->hash);

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	l->next = NULL;
	m->n--;
	if (m->n_slots > SLOTS_MIN && m->n < m->n_slots / 8)
		(void)resize(m, m->n_slots / 2); /* without memory it stays large */
}

void map_each(const struct map *m, bool (*fn)(struct map_link *l, void *arg), void *arg)
{
	for (size_t i = 0; i < m->n_slots; i++)
		for (struct map_link *l = m->slots[i]; l; l = l->next)
			if (!fn(l, arg))
				return;
}
