/*
 * ledger_ns_db.c - the tables `given` and `ns_counters`
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ledger/ledger_ns_db.h"

#include "base/banned.h"

static void bind_text(sqlite3_stmt *st, int i, const char *s)
{
	ledger_db_bind(st, i, (struct ledger_db_text){ s, s ? strlen(s) : 0 });
}

static void bind_int(sqlite3_stmt *st, int i, int64_t v)
{
	if (st)
		(void)sqlite3_bind_int64(st, i, v);
}

/* Also for a statement that was left at a row. */
static void let_go(sqlite3_stmt *st)
{
	(void)sqlite3_reset(st); /* its result repeats step's */
	(void)sqlite3_clear_bindings(st);
}

/* ---- what a flush brings ---- */

static sqlite3_stmt *bind_give(struct ledger_db *db, enum ledger_db_sql which,
			       const struct ledger_ns_give *g, size_t i)
{
	sqlite3_stmt *st = ledger_db_stmt(db, which);

	bind_text(st, 1, g->group->ns);
	ledger_db_bind_key(st, 2, &g->group->key);
	bind_text(st, 3, g->group->id);
	bind_int(st, 4, (int64_t)g->pos + (int64_t)i);
	ledger_db_bind_key(st, 5, &g->use[i].group->key);
	bind_int(st, 6, g->use[i].index);
	if (which == LEDGER_SQL_GIVEN_KEEP)
		return st;
	bind_text(st, 7, g->root);
	bind_text(st, 8, g->path);
	return st;
}

/* Almost always the place is free. */
static int write_give(struct ledger_db *db, const struct ledger_ns_give *g, size_t i)
{
	int rc = ledger_db_run(db, bind_give(db, LEDGER_SQL_GIVE, g, i));

	if (rc || sqlite3_changes(db->db))
		return rc;
	rc = ledger_db_run(db, bind_give(db, LEDGER_SQL_GIVEN_KEEP, g, i));
	return rc ? rc : ledger_db_run(db, bind_give(db, LEDGER_SQL_GIVE_OVER, g, i));
}

static int write_sum(struct ledger_db *db, const struct ledger_ns_batch_sum *s)
{
	int rc = 0;

	for (int i = 0; i < LEDGER_NS_COUNTERS && !rc; i++) {
		sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_NS_COUNT);

		bind_text(st, 1, s->ns);
		bind_int(st, 2, i);
		bind_int(st, 3, s->totals[i]);
		rc = ledger_db_run(db, st);
	}
	return rc;
}

int ledger_ns_db_write(struct ledger_db *db, const struct ledger_ns_batch *b)
{
	int rc = 0;

	for (size_t i = 0; i < b->n && !rc; i++)
		for (size_t k = 0; k < b->gives[i]->n && !rc; k++)
			rc = write_give(db, b->gives[i], k);
	for (size_t i = 0; i < b->n_sums && !rc; i++)
		rc = write_sum(db, &b->sums[i]);
	return rc;
}

/* ---- renames ---- */

/* ids on their way: they begin with what neither a path nor a user's id has in it */
#define ASIDE_ROOT "\001"
#define ASIDE	   "\001//"

/* The files of one end: a range of the index, and what their ids begin with. */
struct files {
	const char *root;
	char *lo, *hi; /* lo is also the common beginning; hi NULL: no end */
};

static void files_done(struct files *f)
{
	free(f->lo);
	free(f->hi);
	*f = (struct files){ 0 };
}

/* Between a path and the path with the least byte behind it nothing else sorts. */
static int files_of(struct ledger_ns_db_place p, bool tree, struct files *out)
{
	bool top = tree && !*p.path;

	*out = (struct files){ .root = p.root };
	out->lo = str_printf("%s%s", p.path, tree && !top ? "/" : "");
	out->hi = top ? NULL : str_printf("%s%s", p.path, tree ? "0" : "\001");
	if (out->lo && (top || out->hi))
		return 0;
	files_done(out);
	return -ENOMEM;
}

static int files_aside(char which, struct files *out)
{
	*out = (struct files){ .root = ASIDE_ROOT };
	out->lo = str_printf(ASIDE "%c", which);
	out->hi = str_printf(ASIDE "%c", which + 1);
	if (out->lo && out->hi)
		return 0;
	files_done(out);
	return -ENOMEM;
}

static int run_range(struct ledger_db *db, enum ledger_db_sql which, const struct files *from,
		     const struct files *to)
{
	sqlite3_stmt *st = ledger_db_stmt(db, which);

	bind_text(st, 1, from->root);
	bind_text(st, 2, from->lo);
	if (from->hi)
		bind_text(st, 3, from->hi);
	else if (st)
		(void)sqlite3_bind_zeroblob(st, 3, 0); /* every text sorts before it */
	bind_text(st, 4, to->lo);
	bind_int(st, 5, (int64_t)strlen(from->lo) + 1);
	if (which == LEDGER_SQL_GIVEN_MOVE)
		bind_text(st, 6, to->root);
	return ledger_db_run(db, st);
}

static int step_aside(struct ledger_db *db, const struct files *from, const struct files *aside,
		      bool *out_any)
{
	int rc = run_range(db, LEDGER_SQL_GIVEN_MOVE, from, aside);

	*out_any = sqlite3_changes(db->db) > 0;
	return rc;
}

/* Who has an id that comes now loses it, but not what he used. */
static int arrive(struct ledger_db *db, const struct files *aside, const struct files *to)
{
	int rc = run_range(db, LEDGER_SQL_GIVEN_KEEP_TAKEN, aside, to);

	if (!rc)
		rc = run_range(db, LEDGER_SQL_GIVEN_LOSE_TAKEN, aside, to);
	return rc ? rc : run_range(db, LEDGER_SQL_GIVEN_MOVE, aside, to);
}

/* Both sides wait aside, so that an id that moves cannot meet one that is about to. */
int ledger_ns_db_rename(struct ledger_db *db, struct ledger_ns_db_place from,
			struct ledger_ns_db_place to, bool tree, bool swap)
{
	struct files a = { 0 }, b = { 0 }, a_aside = { 0 }, b_aside = { 0 };
	bool any_a = false, any_b = false;
	int rc = files_of(from, tree, &a);

	if (!rc)
		rc = files_of(to, tree, &b);
	if (!rc)
		rc = files_aside('a', &a_aside);
	if (!rc)
		rc = files_aside('b', &b_aside);
	if (!rc)
		rc = step_aside(db, &a, &a_aside, &any_a);
	if (!rc && swap)
		rc = step_aside(db, &b, &b_aside, &any_b);
	if (!rc && any_a)
		rc = arrive(db, &a_aside, &b);
	if (!rc && any_b)
		rc = arrive(db, &b_aside, &a);
	files_done(&a);
	files_done(&b);
	files_done(&a_aside);
	files_done(&b_aside);
	return rc;
}

int ledger_ns_db_forget(struct ledger_db *db, const char *ns)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_GIVEN_FORGET);
	int rc;

	bind_text(st, 1, ns);
	rc = ledger_db_run(db, st);
	if (rc)
		return rc;
	st = ledger_db_stmt(db, LEDGER_SQL_NS_FORGET);
	bind_text(st, 1, ns);
	return ledger_db_run(db, st);
}

/* ---- reading ---- */

static int exists(struct ledger_db *db, sqlite3_stmt *st)
{
	int rc = ledger_db_row(db, st);

	if (rc <= 0)
		return rc ? rc : -ENOENT;
	let_go(st);
	return 0;
}

int ledger_ns_db_file(struct ledger_db *db, const char *root, const char *path)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_GIVEN_FILE);

	bind_text(st, 1, root);
	bind_text(st, 2, path);
	return exists(db, st);
}

int ledger_ns_db_rooted(struct ledger_db *db)
{
	int rc = exists(db, ledger_db_stmt(db, LEDGER_SQL_GIVEN_ROOTED));

	return rc == -ENOENT ? 0 : rc ? rc : 1;
}

int ledger_ns_db_counters(struct ledger_db *db, const char *ns, int64_t out[LEDGER_NS_COUNTERS])
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_NS_COUNTERS);
	int64_t v[LEDGER_NS_COUNTERS] = { 0 };
	int rc;

	bind_text(st, 1, ns);
	while ((rc = ledger_db_row(db, st)) > 0) {
		int64_t id = sqlite3_column_int64(st, 0);

		if (id >= 0 && id < LEDGER_NS_COUNTERS)
			v[id] = sqlite3_column_int64(st, 1);
	}
	if (!rc)
		memcpy(out, v, sizeof(v));
	return rc;
}

int ledger_ns_db_given(struct ledger_db *db, const struct ledger_given_change *whose,
		       ledger_ns_db_fn *fn, void *arg)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_GIVEN);
	int rc, stop;

	bind_text(st, 1, whose->ns);
	ledger_db_bind_key(st, 2, &whose->key);
	bind_text(st, 3, whose->request_id);
	while ((rc = ledger_db_row(db, st)) > 0) {
		const void *key = sqlite3_column_blob(st, 1);
		struct ledger_given v = { .index = (uint32_t)sqlite3_column_int64(st, 2) };

		if (key && sqlite3_column_bytes(st, 1) == sizeof(v.key.b))
			memcpy(v.key.b, key, sizeof(v.key.b));
		stop = fn(arg, (uint32_t)sqlite3_column_int64(st, 0), &v);
		if (stop) {
			let_go(st);
			return stop;
		}
	}
	return rc;
}

int ledger_ns_db_used(struct ledger_db *db, const char *ns, const struct key *key,
		      ledger_ns_db_fn *fn, void *arg)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_GIVEN_USED);
	int rc, stop;

	bind_text(st, 1, ns);
	ledger_db_bind_key(st, 2, key);
	while ((rc = ledger_db_row(db, st)) > 0) {
		stop = fn(arg, (uint32_t)sqlite3_column_int64(st, 0), NULL);
		if (stop) {
			let_go(st);
			return stop;
		}
	}
	return rc;
}
