/* modelnodes.c - see modelnodes.h */
#include "vfs/modelnodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"

#include "base/banned.h"

#define SUFFIX ".json"

struct place {
	uint32_t parent;
	const char *name;
	size_t n;
};

static uint32_t place_hash(const struct place *k)
{
	return map_hash(k->name, k->n) ^ map_hash_u64(k->parent);
}

static bool place_equal(const struct map_link *l, const void *key)
{
	const struct modelnode *n = CONTAINER_OF(l, const struct modelnode, by_name);
	const struct place *k = key;

	return n->parent == k->parent && strlen(n->name) == k->n &&
	       memcmp(n->name, k->name, k->n) == 0;
}

static struct modelnode *node_find(const struct modelnodes *t, const struct place *k)
{
	struct map_link *l = map_find(&t->by_name, place_hash(k), place_equal, k);

	return l ? CONTAINER_OF(l, struct modelnode, by_name) : NULL;
}

/* its number, found or made; 0: out of memory */
static uint32_t node_make(struct modelnodes *t, const struct place *k, bool dir)
{
	struct modelnode *n = node_find(t, k);

	if (n) {
		n->there = true;
		return n->dir == dir ? n->number : 0;
	}
	if (t->n == t->cap) {
		uint32_t cap = t->cap ? t->cap * 2 : 64;
		struct modelnode **more = realloc(t->nodes, cap * sizeof(struct modelnode *));

		if (!more)
			return 0;
		t->nodes = more;
		t->cap = cap;
	}
	n = calloc(1, sizeof(*n));
	if (n)
		n->name = str_dup_n(k->name, k->n);
	if (!n || !n->name || map_add(&t->by_name, &n->by_name, place_hash(k))) {
		if (n)
			free(n->name);
		free(n);
		return 0;
	}
	n->parent = k->parent;
	n->dir = dir;
	n->there = true;
	t->nodes[t->n++] = n;
	n->number = t->n;
	return t->n;
}

static void add_model(struct modelnodes *t, const char *id, size_t at)
{
	AUTO_FREE char *file = NULL;
	const char *slash;
	uint32_t parent = 0, number;

	for (; (slash = strchr(id, '/')); id = slash + 1) {
		parent = node_make(t, &(struct place){ parent, id, (size_t)(slash - id) }, true);
		if (!parent)
			return; /* no memory: it can be asked all the same */
	}
	file = str_printf("%s" SUFFIX, id);
	if (!file)
		return;
	number = node_make(t, &(struct place){ parent, file, strlen(file) }, false);
	if (number)
		t->nodes[number - 1]->at = at;
}

void modelnodes_set(struct modelnodes *t, const json_t *models)
{
	const json_t *m;
	size_t i;

	for (uint32_t k = 0; k < t->n; k++)
		t->nodes[k]->there = false;
	json_array_foreach(models, i, m) {
		add_model(t, json_string_value(json_object_get(m, "id")), i);
	}
}

const struct modelnode *modelnodes_get(const struct modelnodes *t, uint32_t number)
{
	return number && number <= t->n && t->nodes[number - 1]->there ? t->nodes[number - 1]
								       : NULL;
}

const struct modelnode *modelnodes_find(const struct modelnodes *t, uint32_t parent,
					const char *name)
{
	return node_find(t, &(struct place){ parent, name, strlen(name) });
}

void modelnodes_init(struct modelnodes *t)
{
	*t = (struct modelnodes){ 0 };
	map_init(&t->by_name);
}

void modelnodes_done(struct modelnodes *t)
{
	for (uint32_t k = 0; k < t->n; k++) {
		free(t->nodes[k]->name);
		free(t->nodes[k]);
	}
	free(t->nodes);
	map_done(&t->by_name);
}
