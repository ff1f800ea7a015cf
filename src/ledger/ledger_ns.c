/*
 * ledger_ns.c - hand-outs and counters of namespaces, in memory until they are flushed
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ledger/ledger_ns.h"
#include "ledger/ledger_ns_db.h"

#include "base/banned.h"

struct ledger_ns_log {
	struct ledger_ns_sum *sum;
	int64_t add[LEDGER_NS_COUNTERS];
};

/* ---- groups ---- */

struct name {
	const char *ns;
	const struct key *key;
	const char *id;
};

static uint32_t hash_of(const struct name *n)
{
	uint32_t h = map_hash(n->ns, strlen(n->ns)) * 31u + map_hash(n->key->b, sizeof(n->key->b));

	return n->id ? h * 31u + map_hash(n->id, strlen(n->id)) : h;
}

static bool group_equal(const struct map_link *l, const void *key)
{
	const struct ledger_ns_group *g = CONTAINER_OF(l, const struct ledger_ns_group, by_name);
	const struct name *n = key;

	return !g->id == !n->id && key_equal(&g->key, n->key) && strcmp(g->ns, n->ns) == 0 &&
	       (!g->id || strcmp(g->id, n->id) == 0);
}

static struct ledger_ns_group *find_group(const struct ledger_ns *ns, const struct name *n)
{
	struct map_link *l = map_find(&ns->groups, hash_of(n), group_equal, n);

	return l ? CONTAINER_OF(l, struct ledger_ns_group, by_name) : NULL;
}

static struct ledger_ns_group *get_group(struct ledger_ns *ns, const struct name *n)
{
	size_t n_ns = strlen(n->ns) + 1, n_id = n->id ? strlen(n->id) + 1 : 0;
	struct ledger_ns_group *g = find_group(ns, n);

	if (g)
		return g;
	g = malloc(sizeof(*g) + n_ns + n_id);
	if (!g)
		return NULL;
	g->key = *n->key;
	g->id = n->id ? g->ns + n_ns : NULL;
	memcpy(g->ns, n->ns, n_ns);
	if (n->id)
		memcpy(g->ns + n_ns, n->id, n_id);
	list_init(&g->members);
	if (map_add(&ns->groups, &g->by_name, hash_of(n))) {
		free(g);
		return NULL;
	}
	return g;
}

/* A group is there as long as it has a member. */
static void leave_group(struct ledger_ns *ns, struct ledger_ns_group *g, struct list *member)
{
	if (!g)
		return;
	list_del(member);
	if (!list_empty(&g->members))
		return;
	map_del(&ns->groups, &g->by_name);
	free(g);
}

const struct ledger_ns_group *ledger_ns_group_of(const struct ledger_ns *ns, const char *name,
						 const struct key *key, const char *id)
{
	return find_group(ns, &(struct name){ name, key, id });
}

/* ---- hand-outs ---- */

static uint32_t *files_of(struct ledger_ns *ns, const char *root, const char *path)
{
	uint32_t h = map_hash(root, strlen(root)) * 31u + map_hash(path, strlen(path));

	return &ns->files[h % LEDGER_NS_FILES];
}

static void give_free(struct ledger_ns *ns, struct ledger_ns_give *g)
{
	if (g->root)
		--*files_of(ns, g->root, g->path);
	for (size_t i = 0; i < g->n; i++)
		leave_group(ns, g->use[i].group, &g->use[i].in_group);
	leave_group(ns, g->group, &g->in_group);
	list_del(&g->link);
	ns->n_gives--;
	free(g);
}

static bool is_made_of(const char *id, const char *path)
{
	size_t n = strlen(path);

	return n && strncmp(id, path, n) == 0 && (!id[n] || id[n] == '/');
}

/* The texts of the file lie behind the uses. */
static struct ledger_ns_give *give_new(struct ledger_ns *ns, const struct ledger_given_change *c)
{
	const char *path = c->path ? c->path : c->request_id;
	size_t n_root = c->root ? strlen(c->root) + 1 : 0, n_path = c->root ? strlen(path) + 1 : 0;
	struct ledger_ns_give *g;

	g = calloc(1, sizeof(*g) + c->n * sizeof(g->use[0]) + n_root + n_path);
	if (!g)
		return NULL;
	g->pos = c->pos;
	g->n = c->n;
	list_init(&g->in_group);
	list_append(&ns->gives, &g->link);
	ns->n_gives++;
	if (c->root) {
		char *texts = (char *)(g->use + c->n);

		memcpy(texts, c->root, n_root);
		memcpy(texts + n_root, path, n_path);
		g->root = texts;
		g->path = texts + n_root;
		++*files_of(ns, g->root, g->path);
		ns->rooted = true;
	}
	return g;
}

int ledger_ns_give(struct ledger_ns *ns, const struct ledger_given_change *c)
{
	struct ledger_ns_give *g;
	bool failed;

	if (!c->ns || !c->ns[0] || !c->request_id || !c->request_id[0] || (c->n && !c->v))
		return -EINVAL;
	if (c->root && c->path && !is_made_of(c->request_id, c->path))
		return -EINVAL;
	g = c->n ? give_new(ns, c) : NULL;
	if (!g)
		return c->n ? -ENOMEM : 0;
	g->group = get_group(ns, &(struct name){ c->ns, &c->key, c->request_id });
	failed = !g->group;
	if (g->group)
		list_append(&g->group->members, &g->in_group);
	for (size_t i = 0; i < c->n; i++) {
		struct ledger_ns_use *u = &g->use[i];

		u->index = c->v[i].index;
		list_init(&u->in_group);
		if (!failed)
			u->group = get_group(ns, &(struct name){ c->ns, &c->v[i].key, NULL });
		failed |= !u->group;
		if (u->group)
			list_append(&u->group->members, &u->in_group);
	}
	return failed ? -ENOMEM : 0; /* undone with its posting */
}

bool ledger_ns_file(struct ledger_ns *ns, struct ledger_db *db, const char *root, const char *path)
{
	return *files_of(ns, root, path) ||
	       (ns->rooted && ledger_ns_db_file(db, root, path) != -ENOENT);
}

/* ---- counters ---- */

static bool sum_equal(const struct map_link *l, const void *key)
{
	return strcmp(CONTAINER_OF(l, const struct ledger_ns_sum, by_ns)->ns, key) == 0;
}

const struct ledger_ns_sum *ledger_ns_sum_of(const struct ledger_ns *ns, const char *name)
{
	struct map_link *l = map_find(&ns->sums, map_hash(name, strlen(name)), sum_equal, name);

	return l ? CONTAINER_OF(l, const struct ledger_ns_sum, by_ns) : NULL;
}

static void sum_free(struct ledger_ns *ns, struct ledger_ns_sum *s)
{
	map_del(&ns->sums, &s->by_ns);
	list_del(&s->link);
	ns->n_sums--;
	free(s);
}

/* What is here is all of it, so that nobody adds up what is being flushed twice. */
static int get_sum(struct ledger_ns *ns, struct ledger_db *db, const char *name,
		   struct ledger_ns_sum **out)
{
	size_t n = strlen(name) + 1;
	struct ledger_ns_sum *s = (struct ledger_ns_sum *)(uintptr_t)ledger_ns_sum_of(ns, name);
	int rc;

	*out = s;
	if (s)
		return 0;
	s = calloc(1, sizeof(*s) + n);
	if (!s)
		return -ENOMEM;
	memcpy(s->ns, name, n);
	rc = ledger_ns_db_counters(db, name, s->totals);
	if (!rc)
		rc = map_add(&ns->sums, &s->by_ns, map_hash(name, n - 1));
	if (rc) {
		free(s);
		return rc;
	}
	list_append(&ns->counted, &s->link);
	ns->n_sums++;
	*out = s;
	return 0;
}

int ledger_ns_count(struct ledger_ns *ns, struct ledger_db *db, const struct ledger_given_count *c)
{
	struct ledger_ns_sum *s;
	struct ledger_ns_log *u;
	int rc;

	if (!c->ns || !c->ns[0] || !c->add)
		return -EINVAL;
	if (ns->n_log == ns->cap_log) {
		size_t cap = ns->cap_log ? ns->cap_log * 2 : 8;

		u = realloc(ns->log, cap * sizeof(*u));
		if (!u)
			return -ENOMEM;
		ns->log = u;
		ns->cap_log = cap;
	}
	rc = get_sum(ns, db, c->ns, &s);
	if (rc)
		return rc;
	u = &ns->log[ns->n_log++];
	u->sum = s;
	memcpy(u->add, c->add, sizeof(u->add));
	for (int i = 0; i < LEDGER_NS_COUNTERS; i++)
		s->totals[i] += c->add[i];
	return 0;
}

/* ---- the end of a posting ---- */

static struct ledger_ns_give *last_give(const struct ledger_ns *ns)
{
	return list_empty(&ns->gives) ? NULL
				      : LIST_ENTRY(ns->gives.prev, struct ledger_ns_give, link);
}

bool ledger_ns_any(const struct ledger_ns *ns)
{
	const struct ledger_ns_give *g = last_give(ns);

	return ns->n_log || (g && !g->seq);
}

void ledger_ns_keep(struct ledger_ns *ns, uint64_t seq)
{
	for (struct list *l = ns->gives.prev; l != &ns->gives; l = l->prev) {
		struct ledger_ns_give *g = LIST_ENTRY(l, struct ledger_ns_give, link);

		if (g->seq)
			break;
		g->seq = seq;
	}
	for (size_t i = 0; i < ns->n_log; i++) {
		struct ledger_ns_sum *s = ns->log[i].sum;

		s->seq = seq;
		list_del(&s->link);
		list_append(&ns->counted, &s->link);
	}
	ns->n_log = 0;
}

void ledger_ns_undo(struct ledger_ns *ns)
{
	struct ledger_ns_give *g;

	while ((g = last_give(ns)) && !g->seq)
		give_free(ns, g);
	for (size_t i = 0; i < ns->n_log; i++)
		for (int k = 0; k < LEDGER_NS_COUNTERS; k++)
			ns->log[i].sum->totals[k] -= ns->log[i].add[k];
	ns->n_log = 0;
	while (!list_empty(&ns->counted)) { /* new ones are last */
		struct ledger_ns_sum *s = LIST_ENTRY(ns->counted.prev, struct ledger_ns_sum, link);

		if (s->seq)
			break;
		sum_free(ns, s);
	}
}

/* ---- the flush ---- */

int ledger_ns_take(const struct ledger_ns *ns, struct ledger_ns_batch *out)
{
	struct ledger_ns_batch b = { 0 };

	b.gives = calloc(ns->n_gives + 1, sizeof(struct ledger_ns_give *));
	b.sums = calloc(ns->n_sums + 1, sizeof(*b.sums));
	if (!b.gives || !b.sums) {
		ledger_ns_batch_done(&b);
		return -ENOMEM;
	}
	LIST_EACH(l, &ns->gives)
		b.gives[b.n++] = LIST_ENTRY(l, const struct ledger_ns_give, link);
	LIST_EACH(l, &ns->counted) {
		const struct ledger_ns_sum *s = LIST_ENTRY(l, const struct ledger_ns_sum, link);

		b.sums[b.n_sums].ns = s->ns;
		memcpy(b.sums[b.n_sums++].totals, s->totals, sizeof(s->totals));
	}
	*out = b;
	return 0;
}

void ledger_ns_batch_done(struct ledger_ns_batch *b)
{
	free((void *)(uintptr_t)b->gives); /* only the array of pointers */
	free(b->sums);
	*b = (struct ledger_ns_batch){ 0 };
}

void ledger_ns_flushed(struct ledger_ns *ns, uint64_t seq)
{
	while (!list_empty(&ns->gives)) {
		struct ledger_ns_give *g = LIST_ENTRY(ns->gives.next, struct ledger_ns_give, link);

		if (g->seq > seq)
			break;
		give_free(ns, g);
	}
	while (!list_empty(&ns->counted)) {
		struct ledger_ns_sum *s = LIST_ENTRY(ns->counted.next, struct ledger_ns_sum, link);

		if (s->seq > seq)
			break;
		sum_free(ns, s);
	}
}

/* ---- life ---- */

void ledger_ns_init(struct ledger_ns *ns)
{
	list_init(&ns->gives);
	list_init(&ns->counted);
	map_init(&ns->groups);
	map_init(&ns->sums);
}

void ledger_ns_done(struct ledger_ns *ns)
{
	if (!ns->gives.next)
		return;
	ledger_ns_flushed(ns, UINT64_MAX);
	map_done(&ns->groups);
	map_done(&ns->sums);
	free(ns->log);
}
