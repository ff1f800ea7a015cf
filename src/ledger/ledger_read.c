/*
 * ledger_read.c - point queries on one connection
 *
 * Every statement is reset before its function returns: a read left open would keep the WAL from
 * being reused.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ledger/ledger_read.h"

#include "base/banned.h"

static int get_text(sqlite3_stmt *st, int col, char **out)
{
	const char *s = (const char *)sqlite3_column_text(st, col);

	*out = NULL;
	if (!s)
		return sqlite3_column_type(st, col) == SQLITE_NULL ? 0 : -ENOMEM;
	*out = str_dup_n(s, (size_t)sqlite3_column_bytes(st, col));
	return *out ? 0 : -ENOMEM;
}

static bool get_key(sqlite3_stmt *st, int col, struct key *out)
{
	const void *p = sqlite3_column_blob(st, col);

	if (!p || sqlite3_column_bytes(st, col) != sizeof(out->b))
		return false;
	memcpy(out->b, p, sizeof(out->b));
	return true;
}

static int get_path(sqlite3_stmt *st, int dir, int name, char **out)
{
	const char *d = (const char *)sqlite3_column_text(st, dir);
	const char *n = (const char *)sqlite3_column_text(st, name);

	*out = NULL;
	if (!d || !n)
		return -ENOMEM;
	*out = str_printf("%s%s%s", d, *d ? "/" : "", n);
	return *out ? 0 : -ENOMEM;
}

/* Columns in the order of ROW in ledger_db.c. */
static int get_row(sqlite3_stmt *st, struct ledger_row *r)
{
	int rc;

	r->id = sqlite3_column_int64(st, 0);
	r->gen = (uint32_t)sqlite3_column_int64(st, 1);
	r->state = (enum ledger_state)sqlite3_column_int(st, 2);
	r->has_key = get_key(st, 7, &r->key);
	(void)get_key(st, 8, &r->file_sha); /* zeros when somebody changed the table */
	r->n = sqlite3_column_int(st, 9);
	r->cache_mode = sqlite3_column_int(st, 10);
	r->accepted_ns = (uint64_t)sqlite3_column_int64(st, 14);
	r->final_ns = (uint64_t)sqlite3_column_int64(st, 15);
	r->text_bytes = (uint64_t)sqlite3_column_int64(st, 16);
	rc = get_text(st, 3, &r->root);
	if (!rc)
		rc = get_path(st, 4, 5, &r->path);
	if (!rc)
		rc = get_text(st, 6, &r->suffix);
	if (!rc)
		rc = get_text(st, 11, &r->envelope);
	if (!rc)
		rc = get_text(st, 12, &r->facts);
	if (!rc)
		rc = get_text(st, 13, &r->error);
	return rc;
}

/* Also for a statement that was left at a row. */
static void let_go(sqlite3_stmt *st)
{
	(void)sqlite3_reset(st); /* its result repeats step's */
	(void)sqlite3_clear_bindings(st);
}

static int one_row(struct ledger_db *db, sqlite3_stmt *st, struct ledger_row *out)
{
	struct ledger_row r = { 0 };
	int rc = ledger_db_row(db, st);

	if (rc <= 0)
		return rc ? rc : -ENOENT;
	rc = get_row(st, &r);
	let_go(st);
	if (rc)
		ledger_row_done(&r);
	else
		*out = r;
	return rc;
}

int ledger_read_find(struct ledger_db *db, const char *root, const char *path,
		     struct ledger_row *out)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_FIND);

	ledger_db_bind_name(st, 1, root, path);
	return one_row(db, st, out);
}

static sqlite3_stmt *with_id(struct ledger_db *db, enum ledger_db_sql which, int64_t id)
{
	sqlite3_stmt *st = ledger_db_stmt(db, which);

	if (st)
		(void)sqlite3_bind_int64(st, 1, id);
	return st;
}

const char *ledger_read_trash_of(const char *root)
{
	const char *slash = root && root[0] == '\001' ? strchr(root, '/') : NULL;

	return slash ? slash + 1 : root;
}

int ledger_read_get(struct ledger_db *db, int64_t id, struct ledger_row *out)
{
	struct ledger_row r;
	int rc = one_row(db, with_id(db, LEDGER_SQL_GET, id), &r);

	if (!rc && ledger_read_trash_of(r.root) != r.root) {
		ledger_row_done(&r);
		return -ENOENT;
	}
	if (!rc)
		*out = r;
	return rc;
}

int ledger_read_trash(struct ledger_db *db, int64_t id, struct ledger_row *out)
{
	struct ledger_row r;
	int rc = one_row(db, with_id(db, LEDGER_SQL_GET, id), &r);
	const char *root = rc ? NULL : ledger_read_trash_of(r.root);

	if (rc)
		return rc;
	if (root == r.root) {
		ledger_row_done(&r);
		return -ENOENT;
	}
	memmove(r.root, root, strlen(root) + 1);
	*out = r;
	return 0;
}

int ledger_read_children(struct ledger_db *db, const struct ledger_ahead_place *p,
			 struct ledger_row *out, size_t max, size_t *out_n)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_CHILDREN);
	size_t n = 0;
	int rc;

	ledger_db_bind(st, 1, (struct ledger_db_text){ p->root, strlen(p->root) });
	ledger_db_bind(st, 2, (struct ledger_db_text){ p->dir, strlen(p->dir) });
	ledger_db_bind(st, 3, (struct ledger_db_text){ p->after, strlen(p->after) });
	if (st)
		(void)sqlite3_bind_int64(st, 4, (int64_t)max);
	while ((rc = ledger_db_row(db, st)) > 0) {
		struct ledger_row r = { 0 };

		rc = n < max ? get_row(st, &r) : -EIO;
		if (rc) {
			ledger_row_done(&r);
			let_go(st);
			break;
		}
		out[n++] = r;
	}
	if (!rc)
		*out_n = n;
	for (size_t i = 0; i < n && rc; i++)
		ledger_row_done(&out[i]);
	return rc;
}

int ledger_read_child(struct ledger_db *db, const struct ledger_ahead_place *p,
		      struct ledger_row *out)
{
	size_t n = 0;
	int rc = ledger_read_children(db, p, out, 1, &n);

	return rc ? rc : n ? 0 : -ENOENT;
}

int ledger_read_accepted(struct ledger_db *db, uint64_t accepted_ns, int64_t id,
			 struct ledger_row *out)
{
	sqlite3_stmt *st = with_id(db, LEDGER_SQL_ACCEPTED, (int64_t)accepted_ns);

	if (st)
		(void)sqlite3_bind_int64(st, 2, id);
	return one_row(db, st, out);
}

int ledger_read_request(struct ledger_db *db, int64_t id, char **out, size_t *out_len)
{
	sqlite3_stmt *st = with_id(db, LEDGER_SQL_BLOB, id);
	int rc = ledger_db_row(db, st);
	const char *p;
	size_t n;

	if (rc <= 0)
		return rc ? rc : -ENOENT;
	p = sqlite3_column_blob(st, 0);
	n = (size_t)sqlite3_column_bytes(st, 0);
	p = str_dup_n(p ? p : "", n);
	let_go(st);
	if (!p)
		return -ENOMEM;
	*out = (char *)(uintptr_t)p; /* ours since str_dup_n */
	*out_len = n;
	return 0;
}

enum { CACHED = 1 << 0, DUPLICATED = 1 << 1 }; /* as ledger_write.c writes them */

static void get_handout(sqlite3_stmt *st, struct ledger_handout *h)
{
	int flags = sqlite3_column_int(st, 5);

	memset(h, 0, sizeof(*h));
	h->request = sqlite3_column_int64(st, 0);
	h->pos = (uint32_t)sqlite3_column_int64(st, 1);
	(void)get_key(st, 2, &h->key); /* NOT NULL in the table */
	h->index = (uint32_t)sqlite3_column_int64(st, 3);
	h->variant = (uint32_t)sqlite3_column_int64(st, 4);
	h->cached = flags & CACHED;
	h->duplicated = flags & DUPLICATED;
}

int ledger_read_handouts(struct ledger_db *db, int64_t id, struct ledger_handout **out,
			 size_t *out_n)
{
	sqlite3_stmt *st = with_id(db, LEDGER_SQL_HANDOUTS, id);
	struct ledger_handout *v = NULL;
	size_t n = 0, cap = 0;
	int rc;

	while ((rc = ledger_db_row(db, st)) > 0) {
		if (n == cap) {
			size_t more = cap ? cap * 2 : 1;
			struct ledger_handout *w = realloc(v, more * sizeof(*v));

			if (!w) {
				rc = -ENOMEM;
				let_go(st);
				break;
			}
			v = w;
			cap = more;
		}
		get_handout(st, &v[n++]);
	}
	if (rc) {
		free(v);
		return rc;
	}
	*out = v;
	*out_n = n;
	return 0;
}

int ledger_read_naming(struct ledger_db *db, const struct ledger_handout *object, int64_t *id)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_NAMED);
	int rc;

	ledger_db_bind_key(st, 1, &object->key);
	if (st) {
		(void)sqlite3_bind_int64(st, 2, object->index);
		(void)sqlite3_bind_int64(st, 3, object->variant);
		(void)sqlite3_bind_int64(st, 4, *id);
	}
	rc = ledger_db_row(db, st);
	if (rc <= 0)
		return rc ? rc : -ENOENT;
	*id = sqlite3_column_int64(st, 0);
	let_go(st);
	return 0;
}

int ledger_read_item(struct ledger_db *db, sqlite3_stmt *st, struct ledger_item **out)
{
	struct ledger_handout *h = NULL;
	struct ledger_row row;
	size_t n = 0;
	int rc = one_row(db, st, &row);

	if (rc)
		return rc;
	rc = ledger_read_handouts(db, row.id, &h, &n);
	if (!rc) {
		*out = ledger_item_new(&(struct ledger_item_parts){ .row = &row, .h = h, .n = n });
		rc = *out ? 0 : -ENOMEM;
	}
	free(h);
	ledger_row_done(&row);
	return rc;
}

int ledger_read_unstored(struct ledger_db *db, int64_t *seq, struct ledger_handout *out)
{
	sqlite3_stmt *st = with_id(db, LEDGER_SQL_NEXT_UNSTORED, *seq);
	int rc = ledger_db_row(db, st);

	if (rc <= 0)
		return rc ? rc : -ENOENT;
	memset(out, 0, sizeof(*out));
	*seq = sqlite3_column_int64(st, 0);
	(void)get_key(st, 1, &out->key); /* NOT NULL in the table */
	out->index = (uint32_t)sqlite3_column_int64(st, 2);
	out->variant = (uint32_t)sqlite3_column_int64(st, 3);
	let_go(st);
	return 0;
}

int ledger_read_counters(struct ledger_db *db, int64_t out[LEDGER_COUNTERS])
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_COUNTERS);
	int rc;

	memset(out, 0, LEDGER_COUNTERS * sizeof(out[0]));
	while ((rc = ledger_db_row(db, st)) > 0) {
		int64_t id = sqlite3_column_int64(st, 0);

		if (id >= 0 && id < LEDGER_COUNTERS) /* a later version may have more */
			out[id] = sqlite3_column_int64(st, 1);
	}
	return rc;
}

int ledger_read_max_id(struct ledger_db *db, int64_t *out)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_MAX_ID);
	int64_t v = 0;
	int rc;

	while ((rc = ledger_db_row(db, st)) > 0)
		v = sqlite3_column_int64(st, 0);
	if (!rc)
		*out = v;
	return rc;
}
