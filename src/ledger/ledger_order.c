/*
 * ledger_order.c - a treap of names
 */
#include <string.h>

#include "ledger/ledger_order.h"

#include "base/banned.h"

struct at {
	const char *root, *dir, *name;
	size_t n_dir;
};

static const char *name_of(const struct ledger_order_link *l)
{
	return l->path + l->n_dir + (l->path[l->n_dir] == '/');
}

static struct at at_of(const struct ledger_order_link *l)
{
	return (struct at){ l->root, l->path, name_of(l), l->n_dir };
}

/* Directories in any order, but names in the database's. */
static int compare(const struct at *a, const struct ledger_order_link *l)
{
	int c;

	if (a->n_dir != l->n_dir)
		return a->n_dir < l->n_dir ? -1 : 1;
	c = memcmp(a->dir, l->path, a->n_dir);
	if (!c)
		c = strcmp(a->root, l->root);
	return c ? c : strcmp(a->name, name_of(l));
}

/* What sorts before `a`, and the rest. */
static void split(struct ledger_order_link *t, const struct at *a, struct ledger_order_link **less,
		  struct ledger_order_link **rest)
{
	while (t) {
		if (compare(a, t) > 0) {
			*less = t;
			less = &t->right;
			t = t->right;
		} else {
			*rest = t;
			rest = &t->left;
			t = t->left;
		}
	}
	*less = *rest = NULL;
}

static struct ledger_order_link *joined(struct ledger_order_link *a, struct ledger_order_link *b)
{
	struct ledger_order_link *top = NULL, **at = &top;

	while (a && b) {
		if (a->rank >= b->rank) {
			*at = a;
			at = &a->right;
			a = a->right;
		} else {
			*at = b;
			at = &b->left;
			b = b->left;
		}
	}
	*at = a ? a : b;
	return top;
}

static uint32_t next_random(struct ledger_order *o)
{
	uint32_t x = o->random ? o->random : 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	o->random = x; /* never 0 */
	return x;
}

void ledger_order_add(struct ledger_order *o, struct ledger_order_link *l, const char *root,
		      const char *path)
{
	struct ledger_order_link **at = &o->top;
	const char *slash = strrchr(path, '/');
	struct at a;

	if (l->rank)
		return;
	l->root = root;
	l->path = path;
	l->n_dir = slash ? (uint32_t)(slash - path) : 0;
	l->rank = next_random(o);
	a = at_of(l);
	while (*at && (*at)->rank > l->rank)
		at = compare(&a, *at) < 0 ? &(*at)->left : &(*at)->right;
	split(*at, &a, &l->left, &l->right);
	*at = l;
}

void ledger_order_del(struct ledger_order *o, struct ledger_order_link *l)
{
	struct ledger_order_link **at = &o->top;
	struct at a;

	if (!l->rank)
		return;
	a = at_of(l);
	while (*at && *at != l)
		at = compare(&a, *at) < 0 ? &(*at)->left : &(*at)->right;
	if (*at)
		*at = joined(l->left, l->right);
	*l = (struct ledger_order_link){ 0 };
}

struct ledger_order_link *ledger_order_next(const struct ledger_order *o, const char *root,
					    const char *dir, const char *after)
{
	struct at a = { root, dir, after, strlen(dir) };
	struct ledger_order_link *t = o->top, *best = NULL;

	while (t) {
		if (compare(&a, t) < 0) {
			best = t;
			t = t->left;
		} else {
			t = t->right;
		}
	}
	if (!best || best->n_dir != a.n_dir || memcmp(best->path, dir, a.n_dir) != 0 ||
	    strcmp(best->root, root) != 0)
		return NULL;
	return best;
}
