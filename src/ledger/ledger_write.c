/*
 * ledger_write.c - rows and directories, inside the caller's transaction
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "ledger/ledger_gone.h"
#include "ledger/ledger_ns_db.h"
#include "ledger/ledger_read.h"
#include "ledger/ledger_write.h"

#include "base/banned.h"

/* no namespace has such a name: where one side waits while two exchange their places; also in
 * LEDGER_SQL_ASIDE */
#define ASIDE "\001"

enum { CACHED = 1 << 0, DUPLICATED = 1 << 1 };

static struct ledger_db_text text_of(const char *s)
{
	return (struct ledger_db_text){ s, s ? strlen(s) : 0 };
}

static void bind_int(sqlite3_stmt *st, int i, int64_t v)
{
	if (st)
		(void)sqlite3_bind_int64(st, i, v);
}

/* ---- one row ---- */

int ledger_write_row(struct ledger_db *db, const struct ledger_row *r)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_PUT);

	bind_int(st, 1, r->id);
	bind_int(st, 2, r->gen);
	bind_int(st, 3, r->state);
	ledger_db_bind_name(st, 4, r->root, r->path);
	ledger_db_bind(st, 7, text_of(r->suffix));
	if (r->has_key)
		ledger_db_bind_key(st, 8, &r->key);
	ledger_db_bind_key(st, 9, &r->file_sha);
	bind_int(st, 10, r->n);
	bind_int(st, 11, r->cache_mode);
	ledger_db_bind(st, 12, text_of(r->envelope));
	ledger_db_bind(st, 13, text_of(r->facts));
	ledger_db_bind(st, 14, text_of(r->error));
	bind_int(st, 15, (int64_t)r->accepted_ns);
	bind_int(st, 16, (int64_t)r->final_ns);
	bind_int(st, 17, (int64_t)r->text_bytes);
	return ledger_db_run(db, st);
}

int ledger_write_blob(struct ledger_db *db, int64_t id, const char *p, size_t n)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_PUT_BLOB);

	bind_int(st, 1, id);
	if (st)
		(void)sqlite3_bind_blob64(st, 2, p, n, SQLITE_STATIC);
	return ledger_db_run(db, st);
}

int ledger_write_handout(struct ledger_db *db, int64_t id, const struct ledger_handout *h)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_HANDOUT);

	bind_int(st, 1, id);
	bind_int(st, 2, h->pos);
	ledger_db_bind_key(st, 3, &h->key);
	bind_int(st, 4, h->index);
	bind_int(st, 5, h->variant);
	bind_int(st, 6, (h->cached ? CACHED : 0) | (h->duplicated ? DUPLICATED : 0));
	return ledger_db_run(db, st);
}

int ledger_write_id(struct ledger_db *db, enum ledger_db_sql which, int64_t id)
{
	sqlite3_stmt *st = ledger_db_stmt(db, which);

	bind_int(st, 1, id);
	return ledger_db_run(db, st);
}

int ledger_write_object(struct ledger_db *db, const struct ledger_handout *o,
			enum ledger_db_sql which)
{
	sqlite3_stmt *st = ledger_db_stmt(db, which);

	ledger_db_bind_key(st, 1, &o->key);
	bind_int(st, 2, o->index);
	bind_int(st, 3, o->variant);
	return ledger_db_run(db, st);
}

/* one end of a move */
struct place {
	const char *root, *path;
};

static bool same_place(struct place a, struct place b)
{
	return strcmp(a.root, b.root) == 0 && strcmp(a.path, b.path) == 0;
}

/* ---- directories: the rows in it, and the range of the index that is everything below it ---- */

/* Of directory "a" the directories below are in ["a/", "a0"), '0' being what follows '/'. Of the top,
 * "", they are all others: texts that are not empty, and every text sorts before every blob. */
struct below {
	char *lo, *hi; /* hi NULL: no end */
	size_t strip;  /* bytes of lo */
};

static void below_done(struct below *b)
{
	free(b->lo);
	free(b->hi);
}

static int below_of(const char *path, struct below *out)
{
	bool top = !*path;

	out->lo = top ? strdup("\001") : str_printf("%s/", path);
	out->hi = top ? NULL : str_printf("%s0", path);
	out->strip = top ? 0 : strlen(path) + 1;
	if (out->lo && (top || out->hi))
		return 0;
	below_done(out);
	return -ENOMEM;
}

static void bind_below(sqlite3_stmt *st, int i, const struct below *b)
{
	ledger_db_bind(st, i, text_of(b->lo));
	if (b->hi)
		ledger_db_bind(st, i + 1, text_of(b->hi));
	else if (st)
		(void)sqlite3_bind_zeroblob(st, i + 1, 0);
}

static int delete_tree(struct ledger_db *db, struct place at)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_DELETE_DIR);
	struct below b;
	int rc;

	ledger_db_bind(st, 1, text_of(at.root));
	ledger_db_bind(st, 2, text_of(at.path));
	rc = ledger_db_run(db, st);
	if (!rc)
		rc = below_of(at.path, &b);
	if (rc)
		return rc;
	st = ledger_db_stmt(db, LEDGER_SQL_DELETE_BELOW);
	ledger_db_bind(st, 1, text_of(at.root));
	bind_below(st, 2, &b);
	rc = ledger_db_run(db, st);
	below_done(&b);
	return rc;
}

static int move_dir(struct ledger_db *db, struct place from, struct place to, int gen)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_MOVE_DIR);

	ledger_db_bind(st, 1, text_of(from.root));
	ledger_db_bind(st, 2, text_of(from.path));
	ledger_db_bind(st, 3, text_of(to.root));
	ledger_db_bind(st, 4, text_of(to.path));
	bind_int(st, 5, gen);
	return ledger_db_run(db, st);
}

static int move_below(struct ledger_db *db, struct place from, struct place to, int gen)
{
	AUTO_FREE char *prefix = str_printf("%s%s", to.path, *to.path ? "/" : "");
	struct below b;
	sqlite3_stmt *st;
	int rc = prefix ? below_of(from.path, &b) : -ENOMEM;

	if (rc)
		return rc;
	st = ledger_db_stmt(db, LEDGER_SQL_MOVE_BELOW);
	ledger_db_bind(st, 1, text_of(from.root));
	bind_below(st, 2, &b);
	ledger_db_bind(st, 4, text_of(to.root));
	ledger_db_bind(st, 5, text_of(prefix));
	bind_int(st, 6, (int64_t)b.strip + 1);
	bind_int(st, 7, gen);
	rc = ledger_db_run(db, st);
	below_done(&b);
	return rc;
}

static int move_tree(struct ledger_db *db, struct place from, struct place to, int gen)
{
	int rc = move_below(db, from, to, gen);

	return rc ? rc : move_dir(db, from, to, gen);
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !n || (strncmp(path, dir, n) == 0 && (path[n] == '/' || !path[n]));
}

static bool nested(struct place a, struct place b)
{
	return strcmp(a.root, b.root) == 0 &&
	       (is_below(a.path, b.path) || is_below(b.path, a.path));
}

/* The rows in a directory and below it, before they are deleted. */
static int collect_children(struct ledger_db *db, struct place at, struct ledger_gone *gone)
{
	struct ledger_db_text dir, after = { "", 0 };
	int rc = 0;

	while (!rc) {
		sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_CHILD);
		struct ledger_item *it = NULL;

		ledger_db_bind(st, 1, text_of(at.root));
		ledger_db_bind(st, 2, text_of(at.path));
		ledger_db_bind(st, 3, after);
		rc = ledger_read_item(db, st, &it);
		if (rc)
			break;
		ledger_db_split(it->row.path, &dir, &after);
		rc = ledger_gone_add(gone, it);
	}
	return rc == -ENOENT ? 0 : rc;
}

static int collect_below(struct ledger_db *db, struct place at, struct ledger_gone *gone)
{
	struct ledger_db_text dir = { "", 0 }, name = { "", 0 };
	struct below b;
	int rc = below_of(at.path, &b);

	if (rc)
		return rc;
	while (!rc) {
		sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_NEXT_BELOW);
		struct ledger_item *it = NULL;

		ledger_db_bind(st, 1, text_of(at.root));
		bind_below(st, 2, &b);
		ledger_db_bind(st, 4, dir);
		ledger_db_bind(st, 5, name);
		rc = ledger_read_item(db, st, &it);
		if (rc)
			break;
		ledger_db_split(it->row.path, &dir, &name);
		rc = ledger_gone_add(gone, it);
	}
	below_done(&b);
	return rc == -ENOENT ? 0 : rc;
}

static int replace_tree(struct ledger_db *db, struct place from, struct place to,
			struct ledger_gone *gone)
{
	int rc = collect_children(db, to, gone);

	if (!rc)
		rc = collect_below(db, to, gone);
	if (!rc)
		rc = delete_tree(db, to);
	return rc ? rc : move_tree(db, from, to, 1);
}

static int swap_trees(struct ledger_db *db, struct place a, struct place b)
{
	struct place aside = { ASIDE, "x" };
	int rc = move_tree(db, a, aside, 1);

	if (!rc)
		rc = move_tree(db, b, a, 1);
	return rc ? rc : move_tree(db, aside, b, 0);
}

/* ---- one row to another name ---- */

static int find_item(struct ledger_db *db, struct place at, struct ledger_item **out)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_FIND);

	ledger_db_bind_name(st, 1, at.root, at.path);
	return ledger_read_item(db, st, out);
}

static int remove_row(struct ledger_db *db, struct place at, struct ledger_gone *gone)
{
	struct ledger_item *it;
	int rc = find_item(db, at, &it);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	rc = ledger_write_id(db, LEDGER_SQL_DELETE, it->row.id);
	if (rc)
		ledger_item_unref(it);
	return rc ? rc : ledger_gone_add(gone, it);
}

static int place_row(struct ledger_db *db, const struct ledger_item *it, struct place to,
		     const char *suffix)
{
	struct ledger_row r = it->row;

	r.root = (char *)(uintptr_t)to.root; /* only read */
	r.path = (char *)(uintptr_t)to.path;
	if (suffix)
		r.suffix = (char *)(uintptr_t)suffix;
	r.gen++;
	return ledger_write_row(db, &r);
}

static int move_row(struct ledger_db *db, struct place from, struct place to, const char *suffix,
		    struct ledger_gone *gone)
{
	struct ledger_item *it;
	int rc = remove_row(db, to, gone);

	if (!rc)
		rc = find_item(db, from, &it);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	rc = place_row(db, it, to, suffix);
	ledger_item_unref(it);
	return rc;
}

static int swap_rows(struct ledger_db *db, struct place a, struct place b)
{
	struct ledger_item *at_a = NULL, *at_b = NULL;
	int rc = find_item(db, a, &at_a);

	if (!rc || rc == -ENOENT)
		rc = find_item(db, b, &at_b);
	if (rc == -ENOENT)
		rc = 0;
	if (!rc && at_a)
		rc = ledger_write_id(db, LEDGER_SQL_ASIDE, at_a->row.id);
	if (!rc && at_b)
		rc = place_row(db, at_b, a, NULL);
	if (!rc && at_a)
		rc = place_row(db, at_a, b, NULL);
	ledger_item_unref(at_a);
	ledger_item_unref(at_b);
	return rc;
}

int ledger_write_rename(struct ledger_db *db, const struct ledger_change *c,
			struct ledger_gone *gone)
{
	struct place from = { c->root, c->path }, to = { c->to_root, c->to_path };
	bool tree = c->op == LEDGER_OP_MOVE_TREE || c->op == LEDGER_OP_SWAP_TREE;
	bool swap = c->op == LEDGER_OP_SWAP || c->op == LEDGER_OP_SWAP_TREE;
	int rc;

	if (!from.root || !from.path || !to.root || !to.path)
		return -EINVAL;
	if (same_place(from, to))
		return 0;
	if (tree && nested(from, to))
		return -EINVAL;
	if (tree)
		rc = swap ? swap_trees(db, from, to) : replace_tree(db, from, to, gone);
	else
		rc = swap ? swap_rows(db, from, to) : move_row(db, from, to, c->row.suffix, gone);
	return rc ? rc
		  : ledger_ns_db_rename(db, (struct ledger_ns_db_place){ from.root, from.path },
					(struct ledger_ns_db_place){ to.root, to.path }, tree,
					swap);
}

/* ---- all of a root ---- */

enum { DROPPED_AT_ONCE = 500 };

int ledger_write_drop(struct ledger_db *db, const char *root, struct ledger_gone *gone,
		      bool *out_last)
{
	int rc = 0;

	for (int i = 0; i < DROPPED_AT_ONCE && !rc; i++) {
		sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_FIRST_IN_ROOT);
		struct ledger_item *it = NULL;

		ledger_db_bind(st, 1, text_of(root));
		rc = ledger_read_item(db, st, &it);
		if (rc)
			break;
		rc = ledger_write_id(db, LEDGER_SQL_DELETE, it->row.id);
		if (rc)
			ledger_item_unref(it);
		else
			rc = ledger_gone_add(gone, it);
	}
	*out_last = rc == -ENOENT;
	return rc == -ENOENT ? 0 : rc;
}

int ledger_write_counters(struct ledger_db *db, const int64_t now[LEDGER_COUNTERS],
			  const int64_t written[LEDGER_COUNTERS])
{
	int rc = 0;

	for (int i = 0; i < LEDGER_COUNTERS && !rc; i++) {
		sqlite3_stmt *st;

		if (now[i] == written[i])
			continue;
		st = ledger_db_stmt(db, LEDGER_SQL_COUNT);
		bind_int(st, 1, i);
		bind_int(st, 2, now[i]);
		rc = ledger_db_run(db, st);
	}
	return rc;
}
