/* cachedir_slot.c - what the kernel holds of entries and samples */
#include "vfs/cachedir_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mono.h"

#include "base/banned.h"

struct cachedir_row {
	struct map_link link;
	struct cachedir_slot s;
	uint64_t refs;
	bool mapped; /* found by (key, index) */
};

struct name {
	const struct key *key;
	uint32_t index;
};

static bool same(const struct map_link *l, const void *key)
{
	const struct cachedir_row *r =
		(const void *)((const char *)l - offsetof(struct cachedir_row, link));
	const struct name *n = key;

	return r->s.index == n->index && key_equal(&r->s.key, n->key);
}

static uint32_t hash(const struct key *key, uint32_t index)
{
	return map_hash(key->b, sizeof(key->b)) ^ map_hash_u64(index);
}

static struct cachedir_row *find_locked(const struct cachedir *c, const struct key *key,
					uint32_t index)
{
	struct name n = { key, index };
	struct map_link *l = map_find(&c->map, hash(key, index), same, &n);

	return l ? LIST_ENTRY(l, struct cachedir_row, link) : NULL;
}

/* a number: 0 is never given, free ones hold the next free one's in rows[]'s place */
static int number_locked(struct cachedir *c, uint32_t *out)
{
	if (c->free_head) {
		*out = c->free_head;
		c->free_head = (uint32_t)(uintptr_t)c->rows[*out] >> 1;
		return 0;
	}
	if (c->n_rows == c->cap_rows) {
		uint32_t cap = c->cap_rows ? c->cap_rows * 2 : 256;
		struct cachedir_row **rows = realloc(c->rows, cap * sizeof(struct cachedir_row *));

		if (!rows)
			return -ENOMEM;
		c->rows = rows;
		c->cap_rows = cap;
	}
	if (!c->n_rows)
		c->rows[c->n_rows++] = (struct cachedir_row *)1;
	*out = c->n_rows++;
	return 0;
}

/* free numbers are odd: twice the next free number and one */
static bool is_row(const struct cachedir_row *r)
{
	return !((uintptr_t)r & 1);
}

static struct cachedir_row *add_locked(struct cachedir *c, const struct key *key, uint32_t index)
{
	struct cachedir_row *r = calloc(1, sizeof(*r));
	uint32_t idx;

	if (!r || map_add(&c->map, &r->link, hash(key, index)) < 0) {
		free(r);
		return NULL;
	}
	/* the map compares by key, so that must be there before anybody looks */
	r->s.key = *key;
	r->s.index = index;
	r->mapped = true;
	if (number_locked(c, &idx) < 0) {
		map_del(&c->map, &r->link);
		free(r);
		return NULL;
	}
	c->rows[idx] = r;
	r->s.idx = idx;
	r->s.generation = ++c->generation;
	return r;
}

int cachedir_slot_take(struct cachedir *c, const struct key *key, uint32_t index,
		       struct cachedir_slot *out)
{
	struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	r = find_locked(c, key, index);
	if (!r)
		r = add_locked(c, key, index);
	if (!r)
		return -ENOMEM;
	r->refs++;
	*out = r->s;
	return 0;
}

int cachedir_slot_find(struct cachedir *c, const struct key *key, uint32_t index,
		       struct cachedir_slot *out)
{
	const struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	r = find_locked(c, key, index);
	if (!r)
		return -ENOENT;
	*out = r->s;
	return 0;
}

static struct cachedir_row *get_locked(const struct cachedir *c, uint32_t idx)
{
	if (!idx || idx >= c->n_rows || !is_row(c->rows[idx]))
		return NULL;
	return c->rows[idx];
}

int cachedir_slot_get(struct cachedir *c, uint32_t idx, struct cachedir_slot *out)
{
	const struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	r = get_locked(c, idx);
	if (!r)
		return -ESTALE;
	*out = r->s;
	return 0;
}

int cachedir_slot_ref(struct cachedir *c, uint32_t idx)
{
	struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	r = get_locked(c, idx);
	if (!r)
		return -ESTALE;
	r->refs++;
	return 0;
}

void cachedir_slot_unref(struct cachedir *c, uint32_t idx, uint64_t n)
{
	struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	r = get_locked(c, idx);
	if (!r)
		return;
	r->refs -= n < r->refs ? n : r->refs;
	if (r->refs)
		return;
	if (r->mapped)
		map_del(&c->map, &r->link);
	c->rows[idx] = (struct cachedir_row *)((uintptr_t)c->free_head << 1 | 1);
	c->free_head = idx;
	free(r);
}

void cachedir_slot_learn(struct cachedir *c, struct cachedir_slot *s,
			 const struct cachedir_object *o)
{
	struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	r = get_locked(c, s->idx);
	if (!r)
		return;
	r->s.known = true;
	r->s.created_ns = o->created_ns;
	r->s.vectors = o->vectors;
	for (unsigned i = 0; i < ARRAY_LEN(r->s.size); i++)
		r->s.size[i] = o->files[i].len;
	*s = r->s;
}

void cachedir_slot_retire(struct cachedir *c, const struct key *key, uint32_t index)
{
	struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	r = find_locked(c, key, index);
	if (!r)
		return;
	map_del(&c->map, &r->link);
	r->mapped = false;
}

void cachedir_slot_dying(struct cachedir *c, const struct key *key)
{
	uint64_t until = mono_ns() + CACHEDIR_DYING_NS;
	struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	c->shard_dying_ns[key->b[0]] = until;
	r = find_locked(c, key, CACHEDIR_ENTRY_INDEX);
	if (r)
		r->s.dying_ns = until;
}

void cachedir_slot_ended(struct cachedir *c, uint32_t idx, uint64_t off)
{
	struct cachedir_row *r;
	LOCK_SCOPE(&c->lock);

	r = get_locked(c, idx);
	if (r)
		r->s.end = (struct cachedir_end){ off, mono_ns() };
}

void cachedir_slot_done(struct cachedir *c)
{
	for (uint32_t i = 0; i < c->n_rows; i++)
		if (is_row(c->rows[i]))
			free(c->rows[i]);
	free(c->rows);
	map_done(&c->map);
}
