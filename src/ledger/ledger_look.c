/*
 * ledger_look.c - reading through the table
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "ledger/ledger_look.h"
#include "ledger/ledger_read.h"

#include "base/banned.h"

/* ---- one row ---- */

/* While a tree is being changed in the database nothing may be kept that was read before its commit:
 * then the table is empty, and bypassed. */

int ledger_look_find(struct ledger_table *t, const char *root, const char *path,
		     struct ledger_row *out)
{
	struct ledger_name *n;
	int rc;

	if (t->bypass)
		return ledger_read_find(&t->reader, root, path, out);
	rc = ledger_table_name(t, root, path, &n);
	if (!rc)
		rc = n->entry ? ledger_item_row(n->entry->item, out) : -ENOENT;
	ledger_table_trim(t);
	return rc;
}

int ledger_look_get(struct ledger_table *t, int64_t id, struct ledger_row *out)
{
	struct ledger_entry *e;
	int rc;

	if (t->bypass)
		return ledger_read_get(&t->reader, id, out);
	rc = ledger_table_entry(t, id, &e);
	if (!rc)
		rc = ledger_item_row(e->item, out);
	ledger_table_trim(t);
	return rc;
}

/* The bytes of a row that was loaded stay in the database: few ever ask for them again. */
int ledger_look_request(struct ledger_table *t, int64_t id, char **out, size_t *out_len)
{
	struct ledger_entry *e = ledger_table_known_id(t, id);
	const struct ledger_blob *b = e && e->item ? e->item->blob : NULL;
	char *p;

	if (!e || (!b && e->item && e->item->blob_in_db))
		return ledger_read_request(&t->reader, id, out, out_len);
	if (!b)
		return -ENOENT;
	p = str_dup_n(b->bytes, b->n);
	if (!p)
		return -ENOMEM;
	*out = p;
	*out_len = b->n;
	return 0;
}

int ledger_look_handouts(struct ledger_table *t, int64_t id, struct ledger_handout **out,
			 size_t *out_n)
{
	struct ledger_entry *e = ledger_table_known_id(t, id);
	struct ledger_handout *h = NULL;

	if (!e || (e->item && e->item->handouts_in_db))
		return ledger_read_handouts(&t->reader, id, out, out_n);
	if (e->item && e->item->n) {
		h = calloc(e->item->n, sizeof(*h));
		if (!h)
			return -ENOMEM;
		memcpy(h, e->item->h, e->item->n * sizeof(*h));
	}
	*out = h;
	*out_n = h ? e->item->n : 0;
	return 0;
}

/* Of a row in the table the database's hand-outs count only when they were not read yet. */
int ledger_look_named(struct ledger_table *t, const struct ledger_handout *object)
{
	int64_t id = 0;
	int rc;

	if (ledger_table_naming(t, object))
		return 1;
	while ((rc = ledger_read_naming(&t->reader, object, &id)) == 0) {
		struct ledger_entry *e = ledger_table_known_id(t, id);

		if (!e || (e->item && e->item->handouts_in_db))
			return 1;
	}
	return rc == -ENOENT ? 0 : rc;
}

/* ---- walks ---- */

/* The name below dir when path lies directly in it, else NULL. */
static const char *child_of(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n && (strncmp(path, dir, n) != 0 || path[n] != '/'))
		return NULL;
	path += n ? n + 1 : 0;
	return strchr(path, '/') ? NULL : path;
}

/* The next dirty one; clean ones are in the database as they are here. */
static const struct ledger_name *dirty_child(const struct ledger_table *t, const char *root,
					     const char *dir, const char *after)
{
	struct ledger_order_link *l = ledger_order_next(&t->order, root, dir, after);

	return l ? CONTAINER_OF(l, const struct ledger_name, in_order) : NULL;
}

/* The next of the database that still has its name; not behind `mine`, which comes first. */
static int stored_child(struct ledger_table *t, const struct ledger_name *mine, const char *dir,
			const char *after, struct ledger_row *out)
{
	const char *root = out->root, *from = after;
	struct ledger_row row = { 0 };

	for (;;) {
		struct ledger_row next;
		struct ledger_name *n;
		int rc = ledger_read_child(&t->reader, root, dir, from, &next);

		ledger_row_done(&row);
		if (rc)
			return rc;
		row = next;
		if (mine && strcmp(row.path, mine->path) >= 0)
			break;
		n = ledger_table_known_name(t, row.root, row.path);
		if (!n || n->clean) {
			*out = row;
			return 0;
		}
		from = child_of(row.path, dir);
	}
	ledger_row_done(&row);
	return -ENOENT;
}

int ledger_look_child(struct ledger_table *t, const char *root, const char *dir, const char *after,
		      struct ledger_row *out)
{
	const struct ledger_name *mine = dirty_child(t, root, dir, after ? after : "");
	struct ledger_row row = { .root = (char *)(uintptr_t)root };
	int rc = stored_child(t, mine, dir, after, &row);

	if (rc == -ENOENT && mine)
		return ledger_item_row(mine->entry->item, out);
	if (!rc)
		*out = row;
	return rc;
}

static bool earlier(const struct ledger_row *a, uint64_t ns, int64_t id)
{
	return a->accepted_ns < ns || (a->accepted_ns == ns && a->id < id);
}

static const struct ledger_item *dirty_accepted(const struct ledger_table *t, uint64_t ns,
						int64_t id)
{
	const struct ledger_item *best = NULL;

	LIST_EACH(l, &t->dirty) {
		const struct ledger_name *n = LIST_ENTRY(l, const struct ledger_name, link);
		const struct ledger_row *r = n->entry ? &n->entry->item->row : NULL;

		if (!r || r->state != LEDGER_ACCEPTED || earlier(r, ns, id + 1))
			continue;
		if (!best || earlier(r, best->row.accepted_ns, best->row.id))
			best = n->entry->item;
	}
	return best;
}

int ledger_look_accepted(struct ledger_table *t, uint64_t accepted_ns, int64_t id,
			 struct ledger_row *out)
{
	const struct ledger_item *mine = dirty_accepted(t, accepted_ns, id);
	struct ledger_row row = { 0 };
	int rc;

	for (;;) {
		struct ledger_entry *e;

		ledger_row_done(&row);
		rc = ledger_read_accepted(&t->reader, accepted_ns, id, &row);
		if (rc)
			break;
		e = ledger_table_known_id(t, row.id);
		if (!e || (e->name && e->name->clean))
			break;
		accepted_ns = row.accepted_ns;
		id = row.id;
	}
	if (rc && rc != -ENOENT)
		return rc;
	if (!mine || (!rc && earlier(&row, mine->row.accepted_ns, mine->row.id))) {
		if (!rc)
			*out = row;
		return rc;
	}
	ledger_row_done(&row);
	return ledger_item_row(mine, out);
}

/* ---- what the engine has not taken ---- */

struct objects {
	struct ledger_handout *v;
	size_t n, cap;
};

static size_t place_of(const struct objects *o, const struct ledger_handout *h)
{
	size_t i = 0;

	while (i < o->n && !(o->v[i].index == h->index && o->v[i].variant == h->variant &&
			     key_equal(&o->v[i].key, &h->key)))
		i++;
	return i;
}

static int add(struct objects *o, const struct ledger_handout *h)
{
	if (o->n == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 64;
		struct ledger_handout *v = realloc(o->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		o->v = v;
		o->cap = cap;
	}
	o->v[o->n++] = *h;
	return 0;
}

static int overlay(struct objects *o, const struct ledger_offer *offer)
{
	size_t i = place_of(o, &offer->object);

	if (!offer->stored)
		return i == o->n ? add(o, &offer->object) : 0;
	if (i < o->n) {
		o->n--;
		memmove(o->v + i, o->v + i + 1, (o->n - i) * sizeof(*o->v));
	}
	return 0;
}

int ledger_look_unstored(struct ledger_table *t, struct ledger_handout **out, size_t *out_n)
{
	struct objects o = { 0 };
	struct ledger_handout h;
	int64_t seq = 0;
	int rc;

	while ((rc = ledger_read_unstored(&t->reader, &seq, &h)) == 0)
		if ((rc = add(&o, &h)))
			break;
	if (rc == -ENOENT)
		rc = 0;
	for (size_t i = 0; i < t->offers.n && !rc; i++)
		rc = overlay(&o, &t->offers.v[i]);
	if (rc) {
		free(o.v);
		return rc;
	}
	*out = o.v;
	*out_n = o.n;
	return 0;
}
