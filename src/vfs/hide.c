/* hide.c - names hidden by unlink: by node, by directory, and directories by age */
#include "vfs/hide.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mono.h"

#include "base/banned.h"

/* a directory in which something is hidden */
struct place {
	struct map_link link;
	uint64_t parent, until_ns;
	struct list names, age;
};

struct name {
	struct map_link link;
	uint64_t node;
	struct place *place;
	struct list in_place;
};

/* removal in cache/ goes on pool threads, so there is a lock though most calls are the FUSE thread's */
struct hide {
	struct lock lock;
	struct map names, places;
	struct list by_age; /* places, the one that was left alone longest first */
};

static bool is_name(const struct map_link *l, const void *key)
{
	const struct name *n = (const void *)((const char *)l - offsetof(struct name, link));

	return n->node == *(const uint64_t *)key;
}

static bool is_place(const struct map_link *l, const void *key)
{
	const struct place *p = (const void *)((const char *)l - offsetof(struct place, link));

	return p->parent == *(const uint64_t *)key;
}

struct hide *hide_new(void)
{
	struct hide *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	lock_init(&h->lock, LOCK_LEAF);
	map_init(&h->names);
	map_init(&h->places);
	list_init(&h->by_age);
	return h;
}

static struct name *find(const struct hide *h, uint64_t node)
{
	struct map_link *l = map_find(&h->names, map_hash_u64(node), is_name, &node);

	return l ? LIST_ENTRY(l, struct name, link) : NULL;
}

static void show(struct hide *h, struct name *n)
{
	map_del(&h->names, &n->link);
	list_del(&n->in_place);
	if (list_empty(&n->place->names)) {
		map_del(&h->places, &n->place->link);
		list_del(&n->place->age);
		free(n->place);
	}
	free(n);
}

static void expire(struct hide *h)
{
	uint64_t now = mono_ns();

	while (!list_empty(&h->by_age)) {
		struct place *p = LIST_ENTRY(h->by_age.next, struct place, age);

		if (p->until_ns > now && h->names.n <= HIDE_MAX)
			return;
		show(h, LIST_ENTRY(p->names.next, struct name, in_place));
	}
}

struct hide *hide_free(struct hide *h)
{
	if (!h)
		return NULL;
	while (!list_empty(&h->by_age)) {
		struct place *p = LIST_ENTRY(h->by_age.next, struct place, age);

		show(h, LIST_ENTRY(p->names.next, struct name, in_place));
	}
	map_done(&h->names);
	map_done(&h->places);
	lock_done(&h->lock);
	free(h);
	return NULL;
}

static struct place *place_of(struct hide *h, uint64_t parent)
{
	struct map_link *l = map_find(&h->places, map_hash_u64(parent), is_place, &parent);
	struct place *p;

	if (l)
		return LIST_ENTRY(l, struct place, link);
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->parent = parent;
	list_init(&p->names);
	list_init(&p->age);
	if (map_add(&h->places, &p->link, map_hash_u64(parent)) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

/* without memory nothing is hidden, and the rmdir that follows says that the directory is not empty */
static void add(struct hide *h, uint64_t parent, uint64_t node)
{
	struct place *p = place_of(h, parent);
	struct name *n = p ? calloc(1, sizeof(*n)) : NULL;

	if (n && map_add(&h->names, &n->link, map_hash_u64(node)) == 0) {
		n->node = node;
		n->place = p;
		list_append(&p->names, &n->in_place);
		p->until_ns = mono_ns() + HIDE_NS;
		list_del(&p->age);
		list_append(&h->by_age, &p->age);
		return;
	}
	free(n);
	if (p && list_empty(&p->names)) {
		map_del(&h->places, &p->link);
		free(p);
	}
}

void hide_add(struct hide *h, uint64_t parent, uint64_t node)
{
	struct name *old;
	LOCK_SCOPE(&h->lock);

	old = find(h, node);
	if (old)
		show(h, old);
	add(h, parent, node);
	expire(h);
}

bool hide_has(struct hide *h, uint64_t node)
{
	LOCK_SCOPE(&h->lock);

	expire(h);
	return find(h, node);
}

void hide_drop_children(struct hide *h, uint64_t parent)
{
	struct map_link *l;
	LOCK_SCOPE(&h->lock);

	l = map_find(&h->places, map_hash_u64(parent), is_place, &parent);
	if (!l)
		return;
	for (struct place *p = LIST_ENTRY(l, struct place, link);;) {
		bool last = p->names.next->next == &p->names;

		show(h, LIST_ENTRY(p->names.next, struct name, in_place));
		if (last)
			return; /* and the place went with it */
	}
}
