/*
 * ledger_db.h - one SQLite connection of the ledger: opened safely, statements kept, errors as errno
 *
 *   1. ledger_db_open     file 0600, checked to be a ledger of ours; made when absent
 *   2. ledger_db_stmt     a statement, prepared once, with no values bound
 *      ledger_db_run ...  steps it
 *   3. ledger_db_close
 *
 * Threads: a connection belongs to whoever holds its owner's lock. Blocks: on the disk.
 * Source: SQLite's file format (header, application_id) and WAL pages.
 */
#ifndef LEDGER_LEDGER_DB_H
#define LEDGER_LEDGER_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ledger/ledger.h"

#define LEDGER_DB_SCHEMA      2 /* PRAGMA user_version; raised with every change of a table */
#define LEDGER_DB_APPLICATION 0x496e4653 /* PRAGMA application_id: "InFS" */

enum ledger_db_sql {
	/* writer */
	LEDGER_SQL_BEGIN,
	LEDGER_SQL_COMMIT,
	LEDGER_SQL_ROLLBACK,
	LEDGER_SQL_PUT,
	LEDGER_SQL_ASIDE,
	LEDGER_SQL_DELETE,
	LEDGER_SQL_NEXT_BELOW,
	LEDGER_SQL_DELETE_DIR,
	LEDGER_SQL_DELETE_BELOW,
	LEDGER_SQL_MOVE_DIR,
	LEDGER_SQL_MOVE_BELOW,
	LEDGER_SQL_PUT_BLOB,
	LEDGER_SQL_DELETE_BLOB,
	LEDGER_SQL_HANDOUT,
	LEDGER_SQL_UNSTORED,
	LEDGER_SQL_STORED,
	LEDGER_SQL_COUNT,
	LEDGER_SQL_SET_META,
	LEDGER_SQL_GIVE,
	LEDGER_SQL_GIVEN_KEEP,
	LEDGER_SQL_GIVE_OVER,
	LEDGER_SQL_GIVEN_MOVE,
	LEDGER_SQL_GIVEN_KEEP_TAKEN,
	LEDGER_SQL_GIVEN_LOSE_TAKEN,
	LEDGER_SQL_GIVEN_FORGET,
	LEDGER_SQL_NS_COUNT,
	LEDGER_SQL_NS_FORGET,
	LEDGER_SQL_FIRST_IN_ROOT,
	/* reader */
	LEDGER_SQL_FIND,
	LEDGER_SQL_GET,
	LEDGER_SQL_BLOB,
	LEDGER_SQL_HANDOUTS,
	LEDGER_SQL_NAMED,
	LEDGER_SQL_CHILD,
	LEDGER_SQL_ACCEPTED,
	LEDGER_SQL_NEXT_UNSTORED,
	LEDGER_SQL_COUNTERS,
	LEDGER_SQL_GET_META,
	LEDGER_SQL_MAX_ID,
	LEDGER_SQL_GIVEN,
	LEDGER_SQL_GIVEN_USED,
	LEDGER_SQL_GIVEN_FILE,
	LEDGER_SQL_GIVEN_ROOTED,
	LEDGER_SQL_NS_COUNTERS,
	LEDGER_SQLS
};

struct ledger_db {
	sqlite3 *db;
	sqlite3_stmt *stmt[LEDGER_SQLS];
};

/* ledger_db_open - the first connection checks and makes the tables; *out may be zeroed on failure
 *
 * Errors: -EINVAL foreign or damaged file, -EOPNOTSUPP written by a newer version; -ENOSPC, -EIO ... */
int ledger_db_open(const char *path, enum ledger_durability d, struct ledger_db *out,
		   struct err *e);
/* ledger_db_open_more - another connection to the file that ledger_db_open has checked; query_only:
 * it will not write */
int ledger_db_open_more(const char *path, enum ledger_durability d, bool query_only,
			struct ledger_db *out, struct err *e);
/* ledger_db_close - statements and connection; db may be zeroed */
void ledger_db_close(struct ledger_db *db);
/* ledger_db_stmt - reset and ready for binding; NULL: ledger_db_error says why */
sqlite3_stmt *ledger_db_stmt(struct ledger_db *db, enum ledger_db_sql which);
/* ledger_db_row - one step: 1 a row, 0 the end, -errno; at the end and on failure it is reset */
int ledger_db_row(struct ledger_db *db, sqlite3_stmt *st);
/* ledger_db_run - step to the end, rows are ignored: 0 or -errno; st NULL: the failed preparation */
int ledger_db_run(struct ledger_db *db, sqlite3_stmt *st);
/* ledger_db_exec - a statement without values */
int ledger_db_exec(struct ledger_db *db, enum ledger_db_sql which);
/* ledger_db_error - the connection's last failure as negative errno */
int ledger_db_error(struct ledger_db *db);
/* ledger_db_set_meta / ledger_db_get_meta - a number under a name; absent: 0 */
int ledger_db_set_meta(struct ledger_db *db, const char *name, int64_t value);
int ledger_db_get_meta(struct ledger_db *db, const char *name, int64_t *out);

/* one text that is not NUL-terminated; p NULL: SQL NULL */
struct ledger_db_text {
	const char *p;
	size_t n;
};
/* ledger_db_bind - as TEXT, not copied: it must live until the statement has run */
void ledger_db_bind(sqlite3_stmt *st, int i, struct ledger_db_text t);
/* ledger_db_split - "a/b/c" is name "c" in directory "a/b" */
void ledger_db_split(const char *path, struct ledger_db_text *out_dir,
		     struct ledger_db_text *out_name);
/* ledger_db_bind_name - root, directory and name at i, i + 1, i + 2 */
void ledger_db_bind_name(sqlite3_stmt *st, int i, const char *root, const char *path);
/* ledger_db_bind_key - 32 bytes as BLOB, not copied */
void ledger_db_bind_key(sqlite3_stmt *st, int i, const struct key *key);

#endif
