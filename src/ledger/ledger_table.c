/*
 * ledger_table.c - finding, loading and keeping rows in memory
 *
 * What holds between two calls: a name whose last change the database has (clean) is there as it is
 * here, so it may be forgotten at any time; a name that is dirty, and an id that was removed, hide what
 * the database says until the flush that brings them has committed. A live row has exactly one name.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ledger/ledger_change.h"
#include "ledger/ledger_read.h"
#include "ledger/ledger_table.h"

#include "base/banned.h"

/* the cache: what is clean and was used last */
enum { NAMES_MAX = 4096, BYTES_MAX = 8 << 20 };

/* ---- maps ---- */

struct place {
	const char *root, *path;
};

static uint32_t hash_of_name(const char *root, const char *path)
{
	return map_hash(root, strlen(root)) * 31u + map_hash(path, strlen(path));
}

static bool name_equal(const struct map_link *l, const void *key)
{
	const struct ledger_name *n = CONTAINER_OF(l, const struct ledger_name, by_name);
	const struct place *p = key;

	return strcmp(n->path, p->path) == 0 && strcmp(n->root, p->root) == 0;
}

static bool id_equal(const struct map_link *l, const void *key)
{
	return CONTAINER_OF(l, const struct ledger_entry, by_id)->id == *(const int64_t *)key;
}

static uint32_t hash_of_object(const struct ledger_handout *o)
{
	return map_hash(o->key.b, sizeof(o->key.b)) + 31u * o->index + 1009u * o->variant;
}

static bool object_equal(const struct map_link *l, const void *key)
{
	const struct ledger_item_link *at =
		CONTAINER_OF(l, const struct ledger_item_link, by_object);
	const struct ledger_handout *h = &at->item->h[at->i], *o = key;

	return h->index == o->index && h->variant == o->variant && key_equal(&h->key, &o->key);
}

/* A map that has its first slots never refuses an entry, so that undoing cannot fail. */
static int warm(struct map *m)
{
	struct map_link l;
	int rc = map_add(m, &l, 0);

	if (!rc)
		map_del(m, &l);
	return rc;
}

int ledger_table_init(struct ledger_table *t)
{
	int rc;

	list_init(&t->dirty);
	list_init(&t->removed);
	list_init(&t->lru);
	ledger_ns_init(&t->ns);
	rc = warm(&t->ids);
	if (!rc)
		rc = warm(&t->names);
	return rc ? rc : warm(&t->objects);
}

void ledger_table_show(struct ledger_table *t, struct ledger_item *it)
{
	if (!it)
		return;
	t->bytes += it->bytes;
	for (size_t i = 0; i < it->n; i++)
		(void)map_add(&t->objects, &it->links[i].by_object, hash_of_object(&it->h[i]));
}

void ledger_table_hide(struct ledger_table *t, struct ledger_item *it)
{
	if (!it)
		return;
	t->bytes -= it->bytes;
	for (size_t i = 0; i < it->n; i++)
		map_del(&t->objects, &it->links[i].by_object);
}

const struct ledger_item *ledger_table_naming(struct ledger_table *t,
					      const struct ledger_handout *object)
{
	struct map_link *l = map_find(&t->objects, hash_of_object(object), object_equal, object);

	return l ? CONTAINER_OF(l, struct ledger_item_link, by_object)->item : NULL;
}

/* ---- names and entries ---- */

static void use(struct ledger_table *t, struct ledger_name *n)
{
	if (!n->clean)
		return;
	list_del(&n->link);
	list_append(&t->lru, &n->link);
}

struct ledger_name *ledger_table_known_name(struct ledger_table *t, const char *root,
					    const char *path)
{
	struct place p = { root, path };
	struct map_link *l = map_find(&t->names, hash_of_name(root, path), name_equal, &p);
	struct ledger_name *n = l ? CONTAINER_OF(l, struct ledger_name, by_name) : NULL;

	if (n)
		use(t, n);
	return n;
}

struct ledger_entry *ledger_table_known_id(struct ledger_table *t, int64_t id)
{
	struct map_link *l = map_find(&t->ids, map_hash_u64((uint64_t)id), id_equal, &id);
	struct ledger_entry *e = l ? CONTAINER_OF(l, struct ledger_entry, by_id) : NULL;

	if (e && e->name)
		use(t, e->name);
	return e;
}

void ledger_table_clean(struct ledger_table *t, struct ledger_name *n)
{
	list_del(&n->link);
	list_append(&t->lru, &n->link);
	ledger_order_del(&t->order, &n->in_order);
	t->n_lru += !n->clean;
	n->clean = true;
}

void ledger_table_soil(struct ledger_table *t, struct ledger_name *n)
{
	list_del(&n->link);
	list_append(&t->dirty, &n->link);
	if (n->entry)
		ledger_order_add(&t->order, &n->in_order, n->root, n->path);
	else
		ledger_order_del(&t->order, &n->in_order);
	t->n_lru -= n->clean;
	n->clean = false;
}

static struct ledger_name *name_new(struct ledger_table *t, const char *root, const char *path)
{
	size_t n_root = strlen(root) + 1, n_path = strlen(path) + 1;
	struct ledger_name *n = malloc(sizeof(*n) + n_root + n_path);

	if (!n)
		return NULL;
	*n = (struct ledger_name){ .path = n->root + n_root };
	memcpy(n->root, root, n_root);
	memcpy(n->root + n_root, path, n_path);
	list_init(&n->link);
	(void)map_add(&t->names, &n->by_name, hash_of_name(root, path)); /* warm */
	ledger_table_clean(t, n);
	return n;
}

struct ledger_entry *ledger_table_entry_new(struct ledger_table *t, int64_t id)
{
	struct ledger_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->id = id;
	list_init(&e->link);
	(void)map_add(&t->ids, &e->by_id, map_hash_u64((uint64_t)id)); /* warm */
	return e;
}

void ledger_table_entry_free(struct ledger_table *t, struct ledger_entry *e)
{
	map_del(&t->ids, &e->by_id);
	list_del(&e->link);
	ledger_table_hide(t, e->item);
	ledger_item_unref(e->item);
	free(e);
}

static void forget(struct ledger_table *t, struct ledger_name *n)
{
	if (n->entry)
		ledger_table_entry_free(t, n->entry);
	map_del(&t->names, &n->by_name);
	ledger_order_del(&t->order, &n->in_order);
	t->n_lru -= n->clean;
	list_del(&n->link);
	free(n);
}

/* Not while a posting is being applied: it may hold what would go. */
void ledger_table_trim(struct ledger_table *t)
{
	while (!list_empty(&t->lru) && (t->n_lru > NAMES_MAX || t->bytes > BYTES_MAX))
		forget(t, LIST_ENTRY(t->lru.next, struct ledger_name, link));
}

/* ---- loading ---- */

static int load_row(struct ledger_table *t, struct ledger_name *n, const struct ledger_row *row)
{
	struct ledger_item *it = ledger_item_new(&(struct ledger_item_parts){
		.row = row, .blob_in_db = true, .handouts_in_db = true });
	struct ledger_entry *e = it ? ledger_table_entry_new(t, row->id) : NULL;

	if (!e) {
		ledger_item_unref(it);
		return -ENOMEM;
	}
	e->in_db = true; /* so its removal must be brought there, too */
	e->item = it;
	e->name = n;
	n->entry = e;
	ledger_table_show(t, it);
	return 0;
}

int ledger_table_name(struct ledger_table *t, const char *root, const char *path,
		      struct ledger_name **out)
{
	struct ledger_name *n = ledger_table_known_name(t, root, path);
	struct ledger_row row = { 0 };
	int rc = 0;

	if (!n) {
		rc = ledger_read_find(&t->reader, root, path, &row);
		if (rc && rc != -ENOENT)
			return rc;
		n = name_new(t, root, path);
		if (n)
			rc = rc ? 0 : load_row(t, n, &row);
		ledger_row_done(&row);
		if (rc && n)
			forget(t, n);
	}
	if (!n || rc)
		return rc ? rc : -ENOMEM;
	*out = n;
	return 0;
}

/* A row that the table does not know has a name that it does not know either. */
int ledger_table_entry(struct ledger_table *t, int64_t id, struct ledger_entry **out)
{
	struct ledger_entry *e = ledger_table_known_id(t, id);
	struct ledger_name *n = NULL;
	struct ledger_row row = { 0 };
	int rc;

	if (!e) {
		rc = ledger_read_get(&t->reader, id, &row);
		if (!rc)
			rc = ledger_table_name(t, row.root, row.path, &n);
		ledger_row_done(&row);
		if (rc)
			return rc;
		e = n->entry;
	}
	if (!e || !e->item || e->id != id)
		return -ENOENT;
	*out = e;
	return 0;
}

/* ---- after a flush ---- */

/* Offers that the database has leave from the front, where they are the oldest. */
static void forget_offers(struct ledger_table *t, uint64_t seq)
{
	size_t n = 0;

	while (n < t->offers.n && t->offers.v[n].seq <= seq)
		n++;
	t->offers.n -= n;
	t->n_offers = t->offers.n;
	if (n)
		memmove(t->offers.v, t->offers.v + n, t->offers.n * sizeof(*t->offers.v));
}

/* Both lists are in order of sequences: what has changed since the flush began lies behind. */
void ledger_table_flushed(struct ledger_table *t, uint64_t seq)
{
	while (!list_empty(&t->dirty)) {
		struct ledger_name *n = LIST_ENTRY(t->dirty.next, struct ledger_name, link);

		if (n->seq > seq)
			break;
		ledger_table_clean(t, n);
	}
	while (!list_empty(&t->removed)) {
		struct ledger_entry *e = LIST_ENTRY(t->removed.next, struct ledger_entry, link);

		if (e->seq > seq)
			break;
		ledger_table_entry_free(t, e);
	}
	forget_offers(t, seq);
	ledger_ns_flushed(&t->ns, seq);
	ledger_table_trim(t);
}

void ledger_table_drop(struct ledger_table *t)
{
	assert(list_empty(&t->dirty) && list_empty(&t->removed));
	while (!list_empty(&t->lru))
		forget(t, LIST_ENTRY(t->lru.next, struct ledger_name, link));
}

void ledger_table_done(struct ledger_table *t)
{
	if (t->lru.next) {
		ledger_table_flushed(t, UINT64_MAX);
		ledger_table_drop(t);
	}
	ledger_change_done(t);
	ledger_ns_done(&t->ns);
	map_done(&t->ids);
	map_done(&t->names);
	map_done(&t->objects);
	free(t->offers.v);
	ledger_db_close(&t->reader);
	memset(t, 0, sizeof(*t));
}
