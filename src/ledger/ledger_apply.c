/*
 * ledger_apply.c - one op after the other, on rows in memory
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "ledger/ledger_apply.h"
#include "ledger/ledger_change.h"
#include "ledger/ledger_gone.h"

#include "base/banned.h"

static int remove_named(struct ledger_table *t, struct ledger_name *n)
{
	return n->entry ? ledger_change_remove(t, n->entry) : 0;
}

/* ---- one row ---- */

static int new_item(const struct ledger_change *c, struct ledger_item **out)
{
	bool keeps = c->request && c->row.state != LEDGER_DONE;
	struct ledger_blob *blob = keeps ? ledger_item_blob(c->request, c->request_len) : NULL;
	AUTO_FREE struct ledger_handout *h = NULL;
	struct ledger_item_parts p = { .row = &c->row, .blob = blob };
	int rc = keeps && !blob ? -ENOMEM : ledger_item_merge(NULL, c, c->row.id, &h, &p.n);

	p.h = h;
	if (!rc) {
		*out = ledger_item_new(&p);
		rc = *out ? 0 : -ENOMEM;
	}
	ledger_item_blob_unref(blob);
	return rc;
}

/* The takeover: what had the name goes, in the same posting. */
static int op_put(struct ledger_table *t, const struct ledger_change *c)
{
	struct ledger_item *it = NULL;
	struct ledger_name *n;
	int rc;

	if (!c->row.root || !c->row.path || c->row.id <= 0)
		return -EINVAL;
	rc = ledger_table_name(t, c->row.root, c->row.path, &n);
	if (!rc)
		rc = remove_named(t, n);
	if (!rc)
		rc = new_item(c, &it);
	return rc ? rc : ledger_change_put(t, n, it);
}

/* Hand-outs of a row that went meanwhile name nothing: told, so that their objects are looked at. */
static int finish_gone(struct ledger_table *t, const struct ledger_change *c)
{
	struct ledger_row row = { .id = c->row.id };
	AUTO_FREE struct ledger_handout *h = NULL;
	struct ledger_item_parts p = { .row = &row };
	int rc;

	if (!c->n_handouts)
		return 0;
	rc = ledger_item_merge(NULL, c, c->row.id, &h, &p.n);
	p.h = h;
	return rc ? rc : ledger_gone_add(&t->gone, ledger_item_new(&p));
}

static int op_finish(struct ledger_table *t, const struct ledger_change *c)
{
	bool done = c->row.state == LEDGER_DONE;
	AUTO_FREE struct ledger_handout *h = NULL;
	struct ledger_item_parts p;
	struct ledger_entry *e;
	struct ledger_row row;
	int rc = ledger_table_entry(t, c->row.id, &e);

	if (rc)
		return rc == -ENOENT ? finish_gone(t, c) : rc;
	rc = ledger_change_handouts(t, e);
	if (rc)
		return rc;
	p = ledger_item_parts_of(e->item);
	rc = ledger_item_merge(e->item, c, e->id, &h, &p.n);
	if (rc)
		return rc;
	row = e->item->row;
	row.state = c->row.state;
	row.facts = c->row.facts;
	row.error = c->row.error;
	row.final_ns = c->row.final_ns;
	row.text_bytes = c->row.text_bytes;
	p.row = &row;
	p.h = h;
	if (done) { /* the answer's object has the request, too */
		p.blob = NULL;
		p.blob_in_db = false;
	}
	return ledger_change_set(t, e, ledger_item_new(&p),
				 (done ? LEDGER_TODO_NO_BLOB : 0) |
					 (c->n_handouts ? LEDGER_TODO_HANDOUTS : 0));
}

static int op_remove(struct ledger_table *t, int64_t id)
{
	struct ledger_entry *e;
	int rc = ledger_table_entry(t, id, &e);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	return ledger_change_remove(t, e);
}

static int op_drop(struct ledger_table *t, const struct ledger_change *c)
{
	struct ledger_name *n;
	int rc = c->root && c->path ? ledger_table_name(t, c->root, c->path, &n) : -EINVAL;

	return rc ? rc : remove_named(t, n);
}

/* ---- names ---- */

/* e goes to the name `to`, which no row has */
static int move_row(struct ledger_table *t, struct ledger_entry *e, struct ledger_name *to,
		    const char *suffix)
{
	struct ledger_item_parts p = ledger_item_parts_of(e->item);
	struct ledger_row row = e->item->row;
	int rc;

	row.root = to->root;
	row.path = (char *)(uintptr_t)to->path; /* copied */
	row.gen++;
	if (suffix)
		row.suffix = (char *)(uintptr_t)suffix;
	p.row = &row;
	rc = ledger_change_set(t, e, ledger_item_new(&p), 0);
	if (!rc && e->name != to)
		rc = ledger_change_place(t, e, to);
	return rc;
}

static int op_move(struct ledger_table *t, const struct ledger_change *c)
{
	struct ledger_name *from = NULL, *to = NULL;
	int rc = ledger_table_name(t, c->root, c->path, &from);

	if (!rc)
		rc = ledger_table_name(t, c->to_root, c->to_path, &to);
	if (!rc && to != from)
		rc = remove_named(t, to);
	if (rc || !from->entry)
		return rc;
	return move_row(t, from->entry, to, c->row.suffix);
}

static int op_swap(struct ledger_table *t, const struct ledger_change *c)
{
	struct ledger_entry *e, *other;
	struct ledger_name *a = NULL, *b = NULL;
	int rc = ledger_table_name(t, c->root, c->path, &a);

	if (!rc)
		rc = ledger_table_name(t, c->to_root, c->to_path, &b);
	if (rc || a == b)
		return rc;
	e = a->entry;
	other = b->entry;
	if (other)
		rc = ledger_change_place(t, other, NULL);
	if (!rc && e)
		rc = move_row(t, e, b, NULL);
	if (!rc && other)
		rc = move_row(t, other, a, NULL);
	return rc;
}

/* ---- postings ---- */

static int apply(struct ledger_table *t, const struct ledger_change *c)
{
	switch (c->op) {
	case LEDGER_OP_PUT:
		return op_put(t, c);
	case LEDGER_OP_FINISH:
		return op_finish(t, c);
	case LEDGER_OP_REMOVE:
		return op_remove(t, c->row.id);
	case LEDGER_OP_DROP:
		return op_drop(t, c);
	case LEDGER_OP_MOVE:
	case LEDGER_OP_SWAP:
		if (!c->root || !c->path || !c->to_root || !c->to_path)
			return -EINVAL;
		return c->op == LEDGER_OP_MOVE ? op_move(t, c) : op_swap(t, c);
	case LEDGER_OP_UNSTORED:
	case LEDGER_OP_STORED:
		return ledger_change_offer(t, c->op == LEDGER_OP_STORED, &c->object);
	case LEDGER_OP_GIVE:
		return ledger_ns_give(&t->ns, &c->give);
	case LEDGER_OP_NS_COUNT:
		return ledger_ns_count(&t->ns, &t->reader, &c->ns_count);
	case LEDGER_OP_MOVE_TREE:
	case LEDGER_OP_SWAP_TREE:
	case LEDGER_OP_DROP_ROOT:
	case LEDGER_OP_NS_FORGET:
		break; /* alone in its posting, and not for the table */
	}
	return -EINVAL;
}

/* Mostly nobody has an id that is made of the file: a look at memory. */
static bool renames_given(struct ledger_table *t, const struct ledger_change *c)
{
	if (!c->root || !c->path || !c->to_root || !c->to_path)
		return false;
	if (strcmp(c->root, c->to_root) == 0 && strcmp(c->path, c->to_path) == 0)
		return false;
	return ledger_ns_file(&t->ns, &t->reader, c->root, c->path) ||
	       (c->op == LEDGER_OP_SWAP &&
		ledger_ns_file(&t->ns, &t->reader, c->to_root, c->to_path));
}

enum ledger_apply_where ledger_apply_where(struct ledger_table *t,
					   const struct ledger_change *changes, size_t n)
{
	if (n != 1)
		return LEDGER_APPLY_HERE;
	switch (changes[0].op) {
	case LEDGER_OP_MOVE_TREE:
	case LEDGER_OP_SWAP_TREE:
		return LEDGER_APPLY_FILES;
	case LEDGER_OP_DROP_ROOT:
	case LEDGER_OP_NS_FORGET:
		return LEDGER_APPLY_ROOT;
	case LEDGER_OP_MOVE:
	case LEDGER_OP_SWAP:
		return renames_given(t, changes) ? LEDGER_APPLY_FILES : LEDGER_APPLY_HERE;
	default:
		return LEDGER_APPLY_HERE;
	}
}

static bool is_rename(enum ledger_op op)
{
	return op == LEDGER_OP_MOVE || op == LEDGER_OP_SWAP;
}

int ledger_apply(struct ledger_table *t, const struct ledger_change *changes, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = n > 1 && is_rename(changes[i].op) ? -EINVAL : apply(t, &changes[i]);
	if (rc)
		ledger_change_undo(t);
	return rc;
}
