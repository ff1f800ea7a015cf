/*
 * ledger_db.c - one SQLite connection of the ledger
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/str.h"
#include "ledger/ledger_db.h"

#include "base/banned.h"

#define ROW                                                                                 \
	"id,gen,state,root,dir,name,suffix,key,file_sha,n,cache_mode,envelope,facts,error," \
	"accepted_ns,final_ns,text_bytes"
#define SELECT_ROW "SELECT " ROW " FROM requests "

enum {
	BUSY_MS = 5000,	      /* somebody looks with the sqlite3 tool */
	CHECK_MAX = 16 << 20, /* bytes: larger files are not read through at start */
};

/* A row is found by its name, split at the last slash so that a directory is one range of the index;
 * what belongs to a row goes with it, however it goes. */
static const char schema[] =
	"CREATE TABLE requests(id INTEGER PRIMARY KEY,gen INTEGER NOT NULL,state INTEGER NOT NULL,"
	"root TEXT NOT NULL,dir TEXT NOT NULL,name TEXT NOT NULL,suffix TEXT,key BLOB,"
	"file_sha BLOB NOT NULL,n INTEGER NOT NULL,cache_mode INTEGER NOT NULL,envelope TEXT,"
	"facts TEXT,error TEXT,accepted_ns INTEGER NOT NULL,final_ns INTEGER NOT NULL,"
	"text_bytes INTEGER NOT NULL);"
	"CREATE UNIQUE INDEX requests_name ON requests(root,dir,name);"
	"CREATE INDEX requests_accepted ON requests(accepted_ns) WHERE state=2;"
	"CREATE TABLE blobs(request INTEGER PRIMARY KEY,bytes BLOB NOT NULL);"
	"CREATE TABLE handouts(request INTEGER,pos INTEGER,key BLOB NOT NULL,idx INTEGER NOT NULL,"
	"variant INTEGER NOT NULL,flags INTEGER NOT NULL,PRIMARY KEY(request,pos)) WITHOUT ROWID;"
	"CREATE INDEX handouts_key ON handouts(key,idx);"
	"CREATE TABLE unstored(seq INTEGER PRIMARY KEY,key BLOB NOT NULL,idx INTEGER NOT NULL,"
	"variant INTEGER NOT NULL,UNIQUE(key,idx,variant));"
	/* root, path: the file that request_id is made of; NULL: the user's own. request_id "":
	 * nobody has the sample any more, but it was handed out */
	"CREATE TABLE given(ns TEXT NOT NULL,key BLOB NOT NULL,request_id TEXT NOT NULL,"
	"pos INTEGER NOT NULL,akey BLOB NOT NULL,idx INTEGER NOT NULL,root TEXT,path TEXT);"
	"CREATE UNIQUE INDEX given_id ON given(ns,key,request_id,pos);"
	"CREATE INDEX given_used ON given(ns,akey,idx);"
	"CREATE INDEX given_file ON given(root,path) WHERE root IS NOT NULL;"
	"CREATE TABLE ns_counters(ns TEXT,id INTEGER,value INTEGER NOT NULL,PRIMARY KEY(ns,id)) "
	"WITHOUT ROWID;"
	"CREATE TABLE counters(id INTEGER PRIMARY KEY,value INTEGER NOT NULL);"
	"CREATE TABLE meta(name TEXT PRIMARY KEY,value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TRIGGER requests_gone AFTER DELETE ON requests BEGIN"
	" DELETE FROM handouts WHERE request=OLD.id; DELETE FROM blobs WHERE request=OLD.id; END;";

/* those who have an id that a file which waits aside brings along: the order of both joins */
#define TAKEN                                                                                 \
	"FROM given AS m CROSS JOIN given AS t WHERE m.root=?1 AND m.path>=?2 AND m.path<?3 " \
	"AND t.ns=m.ns AND t.key=m.key AND t.request_id=" MOVED("m.request_id")
/* as bytes: names need not be UTF-8 */
#define MOVED(text) "CAST(?4||substr(CAST(" text " AS BLOB),?5) AS TEXT)"

static const char *const sql[LEDGER_SQLS] = {
	[LEDGER_SQL_BEGIN] = "BEGIN IMMEDIATE",
	[LEDGER_SQL_COMMIT] = "COMMIT",
	[LEDGER_SQL_ROLLBACK] = "ROLLBACK",
	[LEDGER_SQL_PUT] =
		"INSERT INTO requests(" ROW ") VALUES("
		"?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17) "
		"ON CONFLICT(id) DO UPDATE SET gen=?2,state=?3,root=?4,dir=?5,name=?6,suffix=?7,"
		"key=?8,file_sha=?9,n=?10,cache_mode=?11,envelope=?12,facts=?13,error=?14,"
		"accepted_ns=?15,final_ns=?16,text_bytes=?17",
	[LEDGER_SQL_ASIDE] =
		"UPDATE requests SET root=char(1),dir='',name=CAST(id AS TEXT) WHERE id=?1",
	[LEDGER_SQL_DELETE] = "DELETE FROM requests WHERE id=?1",
	[LEDGER_SQL_NEXT_BELOW] = SELECT_ROW "WHERE root=?1 AND (dir,name)>(?4,?5) AND dir>=?2 AND "
					     "dir<?3 ORDER BY dir,name LIMIT 1",
	[LEDGER_SQL_DELETE_DIR] = "DELETE FROM requests WHERE root=?1 AND dir=?2",
	[LEDGER_SQL_DELETE_BELOW] = "DELETE FROM requests WHERE root=?1 AND dir>=?2 AND dir<?3",
	[LEDGER_SQL_MOVE_DIR] = "UPDATE requests SET root=?3,dir=?4,gen=gen+?5 "
				"WHERE root=?1 AND dir=?2",
	/* as bytes: names need not be UTF-8 */
	[LEDGER_SQL_MOVE_BELOW] = "UPDATE requests SET root=?4,"
				  "dir=CAST(?5||substr(CAST(dir AS BLOB),?6) AS TEXT),gen=gen+?7 "
				  "WHERE root=?1 AND dir>=?2 AND dir<?3",
	[LEDGER_SQL_PUT_BLOB] = "INSERT OR REPLACE INTO blobs(request,bytes) VALUES(?1,?2)",
	[LEDGER_SQL_DELETE_BLOB] = "DELETE FROM blobs WHERE request=?1",
	[LEDGER_SQL_HANDOUT] = "INSERT OR REPLACE INTO handouts(request,pos,key,idx,variant,flags) "
			       "VALUES(?1,?2,?3,?4,?5,?6)",
	[LEDGER_SQL_UNSTORED] = "INSERT OR IGNORE INTO unstored(key,idx,variant) VALUES(?1,?2,?3)",
	[LEDGER_SQL_STORED] = "DELETE FROM unstored WHERE key=?1 AND idx=?2 AND variant=?3",
	[LEDGER_SQL_COUNT] = "INSERT OR REPLACE INTO counters(id,value) VALUES(?1,?2)",
	[LEDGER_SQL_SET_META] = "INSERT OR REPLACE INTO meta(name,value) VALUES(?1,?2)",
	[LEDGER_SQL_GIVE] = "INSERT INTO given(ns,key,request_id,pos,akey,idx,root,path) "
			    "VALUES(?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT DO NOTHING",
	[LEDGER_SQL_GIVEN_KEEP] =
		"INSERT OR IGNORE INTO given(ns,key,request_id,pos,akey,idx) "
		"SELECT ns,akey,'',idx,akey,idx FROM given WHERE ns=?1 AND key=?2 AND "
		"request_id=?3 AND pos=?4 AND NOT(akey=?5 AND idx=?6)",
	[LEDGER_SQL_GIVE_OVER] = "UPDATE given SET akey=?5,idx=?6,root=?7,path=?8 WHERE "
				 "ns=?1 AND key=?2 AND request_id=?3 AND pos=?4",
	[LEDGER_SQL_GIVEN_MOVE] =
		"UPDATE given SET root=?6,path=" MOVED("path") ",request_id=" MOVED(
			"request_id") " WHERE root=?1 AND path>=?2 AND path<?3",
	[LEDGER_SQL_GIVEN_KEEP_TAKEN] =
		"INSERT OR IGNORE INTO given(ns,key,request_id,pos,akey,idx) "
		"SELECT t.ns,t.akey,'',t.idx,t.akey,t.idx " TAKEN,
	[LEDGER_SQL_GIVEN_LOSE_TAKEN] = "DELETE FROM given WHERE rowid IN (SELECT t.rowid " TAKEN
					")",
	[LEDGER_SQL_GIVEN_FORGET] = "DELETE FROM given WHERE ns=?1",
	[LEDGER_SQL_NS_COUNT] = "INSERT OR REPLACE INTO ns_counters(ns,id,value) VALUES(?1,?2,?3)",
	[LEDGER_SQL_NS_FORGET] = "DELETE FROM ns_counters WHERE ns=?1",
	[LEDGER_SQL_FIRST_IN_ROOT] = SELECT_ROW "WHERE root=?1 ORDER BY dir,name LIMIT 1",
	[LEDGER_SQL_FIND] = SELECT_ROW "WHERE root=?1 AND dir=?2 AND name=?3",
	[LEDGER_SQL_GET] = SELECT_ROW "WHERE id=?1",
	[LEDGER_SQL_BLOB] = "SELECT bytes FROM blobs WHERE request=?1",
	[LEDGER_SQL_HANDOUTS] = "SELECT request,pos,key,idx,variant,flags FROM handouts "
				"WHERE request=?1 ORDER BY pos",
	[LEDGER_SQL_NAMED] = "SELECT request FROM handouts WHERE key=?1 AND idx=?2 AND variant=?3 "
			     "AND request>?4 ORDER BY request LIMIT 1",
	[LEDGER_SQL_CHILD] = SELECT_ROW
	"WHERE root=?1 AND dir=?2 AND name>?3 ORDER BY name LIMIT 1",
	[LEDGER_SQL_ACCEPTED] = SELECT_ROW "WHERE state=2 AND (accepted_ns,id)>(?1,?2) "
					   "ORDER BY accepted_ns,id LIMIT 1",
	[LEDGER_SQL_NEXT_UNSTORED] = "SELECT seq,key,idx,variant FROM unstored WHERE seq>?1 "
				     "ORDER BY seq LIMIT 1",
	[LEDGER_SQL_COUNTERS] = "SELECT id,value FROM counters",
	[LEDGER_SQL_GET_META] = "SELECT value FROM meta WHERE name=?1",
	[LEDGER_SQL_MAX_ID] = "SELECT max(id) FROM requests",
	[LEDGER_SQL_GIVEN] = "SELECT pos,akey,idx FROM given WHERE ns=?1 AND key=?2 AND "
			     "request_id=?3 ORDER BY pos",
	[LEDGER_SQL_GIVEN_USED] = "SELECT idx FROM given WHERE ns=?1 AND akey=?2 ORDER BY idx",
	[LEDGER_SQL_GIVEN_FILE] = "SELECT 1 FROM given WHERE root=?1 AND path=?2 LIMIT 1",
	[LEDGER_SQL_GIVEN_ROOTED] = "SELECT 1 FROM given WHERE root IS NOT NULL LIMIT 1",
	[LEDGER_SQL_NS_COUNTERS] = "SELECT id,value FROM ns_counters WHERE ns=?1",
};

/* ---- errors ---- */

static int errno_of(sqlite3 *db, int rc)
{
	int sys = sqlite3_system_errno(db);

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_IOERR:
		return sys == ENOSPC || sys == EDQUOT ? -ENOSPC
		       : rc == SQLITE_IOERR_NOMEM     ? -ENOMEM
						      : -EIO;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_TOOBIG:
		return -EFBIG;
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return sys ? -sys : -EACCES;
	default: /* CORRUPT, NOTADB and what must not happen */
		return -EIO;
	}
}

int ledger_db_error(struct ledger_db *db)
{
	int rc = errno_of(db->db, sqlite3_extended_errcode(db->db));

	return rc ? rc : -EIO;
}

static int refuse(struct err *e, const char *path, const char *why)
{
	return err_set(e, ERR_REQUEST,
		       "%s %s; it is left as it is: move it away to begin with an empty one", path,
		       why);
}

/* ---- statements ---- */

sqlite3_stmt *ledger_db_stmt(struct ledger_db *db, enum ledger_db_sql which)
{
	sqlite3_stmt **st = &db->stmt[which];

	if (!*st && sqlite3_prepare_v3(db->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL))
		return NULL;
	return *st;
}

int ledger_db_row(struct ledger_db *db, sqlite3_stmt *st)
{
	int rc;

	if (!st)
		return ledger_db_error(db);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	rc = errno_of(db->db, rc);
	/* its result repeats step's */
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st); /* they point to memory of the caller */
	return rc;
}

int ledger_db_run(struct ledger_db *db, sqlite3_stmt *st)
{
	int rc;

	do {
		rc = ledger_db_row(db, st);
	} while (rc > 0);
	return rc;
}

int ledger_db_exec(struct ledger_db *db, enum ledger_db_sql which)
{
	return ledger_db_run(db, ledger_db_stmt(db, which));
}

void ledger_db_bind(sqlite3_stmt *st, int i, struct ledger_db_text t)
{
	/* a failure (only of memory) leaves NULL, which the tables refuse where it matters */
	if (st && t.p)
		(void)sqlite3_bind_text64(st, i, t.p, t.n, SQLITE_STATIC, SQLITE_UTF8);
}

void ledger_db_split(const char *path, struct ledger_db_text *out_dir,
		     struct ledger_db_text *out_name)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	*out_dir = (struct ledger_db_text){ path, slash ? (size_t)(slash - path) : 0 };
	*out_name = (struct ledger_db_text){ name, strlen(name) };
}

void ledger_db_bind_name(sqlite3_stmt *st, int i, const char *root, const char *path)
{
	struct ledger_db_text dir, name;

	ledger_db_split(path, &dir, &name);
	ledger_db_bind(st, i, (struct ledger_db_text){ root, strlen(root) });
	ledger_db_bind(st, i + 1, dir);
	ledger_db_bind(st, i + 2, name);
}

void ledger_db_bind_key(sqlite3_stmt *st, int i, const struct key *key)
{
	if (st)
		(void)sqlite3_bind_blob64(st, i, key->b, sizeof(key->b), SQLITE_STATIC);
}

int ledger_db_set_meta(struct ledger_db *db, const char *name, int64_t value)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_SET_META);

	ledger_db_bind(st, 1, (struct ledger_db_text){ name, strlen(name) });
	if (st)
		(void)sqlite3_bind_int64(st, 2, value);
	return ledger_db_run(db, st);
}

int ledger_db_get_meta(struct ledger_db *db, const char *name, int64_t *out)
{
	sqlite3_stmt *st = ledger_db_stmt(db, LEDGER_SQL_GET_META);
	int64_t v = 0;
	int rc;

	ledger_db_bind(st, 1, (struct ledger_db_text){ name, strlen(name) });
	while ((rc = ledger_db_row(db, st)) > 0)
		v = sqlite3_column_int64(st, 0);
	if (!rc)
		*out = v;
	return rc;
}

/* ---- opening ---- */

/* SQLite would give the file the process's umask, and would call any other file damaged. */
static int make_private(const char *path, struct err *e)
{
	static const char magic[] = "SQLite format 3";
	char head[sizeof(magic)] = "";
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s cannot be opened", path);
	if (!S_ISREG(st.st_mode))
		return refuse(e, path, "is not a file");
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return err_sys(e, errno, "%s cannot be read", path);
	if (n && ((size_t)n < sizeof(head) || memcmp(head, magic, sizeof(magic)) != 0))
		return refuse(e, path, "is not the ledger of an inferfs mount");
	return 0;
}

static int exec(struct ledger_db *db, const char *text)
{
	return errno_of(db->db, sqlite3_exec(db->db, text, NULL, NULL, NULL));
}

/* The first column of the first row as a number; want_text: does it equal that? */
static int ask(struct ledger_db *db, const char *text, const char *want_text, int64_t *out)
{
	sqlite3_stmt *st;
	int rc = errno_of(db->db, sqlite3_prepare_v2(db->db, text, -1, &st, NULL));

	if (rc)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && want_text)
		*out = strcmp((const char *)sqlite3_column_text(st, 0), want_text) == 0;
	else if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	rc = errno_of(db->db, rc);
	(void)sqlite3_finalize(st); /* its result repeats step's */
	return rc;
}

static int set_pragmas(struct ledger_db *db, enum ledger_durability d, bool query_only)
{
	static const char *const sync[] = {
		[LEDGER_GROUP] = "PRAGMA synchronous=NORMAL",
		[LEDGER_EACH] = "PRAGMA synchronous=FULL",
		[LEDGER_NONE] = "PRAGMA synchronous=OFF",
	};
	int64_t is_wal = 0;
	int rc;

	(void)sqlite3_extended_result_codes(db->db, 1);
	(void)sqlite3_busy_timeout(db->db, BUSY_MS);
	/* checkpoints are made beside the commits (ledger_sync), not in them */
	rc = exec(db, "PRAGMA mmap_size=0; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY;"
		      "PRAGMA journal_size_limit=4194304;");
	if (!rc)
		rc = ask(db, "PRAGMA journal_mode=WAL", "wal", &is_wal);
	if (!rc && !is_wal)
		rc = -EOPNOTSUPP;
	if (!rc)
		rc = exec(db, "PRAGMA wal_autocheckpoint=0");
	if (!rc)
		rc = exec(db, sync[d]);
	if (!rc && query_only)
		rc = exec(db, "PRAGMA query_only=ON");
	return rc;
}

static int create(struct ledger_db *db)
{
	AUTO_FREE char *mark = str_printf("PRAGMA application_id=%d; PRAGMA user_version=%d;",
					  LEDGER_DB_APPLICATION, LEDGER_DB_SCHEMA);
	int rc = mark ? exec(db, "BEGIN IMMEDIATE") : -ENOMEM;

	if (rc)
		return rc;
	rc = exec(db, schema);
	if (!rc)
		rc = exec(db, mark);
	if (!rc)
		rc = exec(db, "COMMIT");
	if (rc)
		(void)exec(db, "ROLLBACK"); /* the first failure is the one to tell */
	return rc;
}

static int check_whole(struct ledger_db *db, const char *path, struct err *e)
{
	int64_t pages = 0, page_bytes = 0, fine = 1;
	int rc = ask(db, "PRAGMA page_count", NULL, &pages);

	if (!rc)
		rc = ask(db, "PRAGMA page_size", NULL, &page_bytes);
	if (!rc && pages * page_bytes <= CHECK_MAX)
		rc = ask(db, "PRAGMA quick_check(1)", "ok", &fine);
	for (int i = 0; !rc && i < LEDGER_SQLS; i++)
		if (!ledger_db_stmt(db, (enum ledger_db_sql)i))
			fine = 0; /* a table or a column is missing */
	return rc || !fine ? refuse(e, path, "is damaged") : 0;
}

/* Empty, ours, or not to be touched. */
static int check_schema(struct ledger_db *db, const char *path, struct err *e)
{
	int64_t application = 0, version = 0, tables = 0;
	int rc = ask(db, "PRAGMA application_id", NULL, &application);

	if (!rc)
		rc = ask(db, "PRAGMA user_version", NULL, &version);
	if (!rc)
		rc = ask(db, "SELECT count(*) FROM sqlite_schema", NULL, &tables);
	if (rc == -EIO)
		return refuse(e, path, "is damaged");
	if (rc)
		return err_sys(e, -rc, "%s cannot be read", path);
	if (!application && !version && !tables) {
		rc = create(db);
		return rc ? err_sys(e, -rc, "the ledger %s cannot be made", path) : 0;
	}
	if (application != LEDGER_DB_APPLICATION)
		return refuse(e, path, "is the database of another program");
	if (version > LEDGER_DB_SCHEMA)
		return err_set(
			e, ERR_UNSUPPORTED,
			"%s was written by a newer inferfs (schema %lld, this one knows %d); "
			"use that version, or another state directory",
			path, (long long)version, LEDGER_DB_SCHEMA);
	return check_whole(db, path, e);
}

static int connect_to(const char *path, struct ledger_db *db, struct err *e)
{
	int rc;

	memset(db, 0, sizeof(*db));
	rc = sqlite3_open_v2(path, &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		return 0;
	rc = db->db ? errno_of(db->db, rc) : -ENOMEM;
	ledger_db_close(db);
	return err_sys(e, -rc, "the ledger %s cannot be opened", path);
}

int ledger_db_open(const char *path, enum ledger_durability d, struct ledger_db *out, struct err *e)
{
	int rc = make_private(path, e);

	if (!rc)
		rc = connect_to(path, out, e);
	if (rc)
		return rc;
	rc = set_pragmas(out, d, false);
	if (rc == -EIO)
		rc = refuse(e, path, "is damaged");
	else if (rc)
		(void)err_sys(e, -rc, "the ledger %s cannot be opened", path);
	else
		rc = check_schema(out, path, e);
	if (rc)
		ledger_db_close(out);
	return rc;
}

int ledger_db_open_more(const char *path, enum ledger_durability d, bool query_only,
			struct ledger_db *out, struct err *e)
{
	int rc = connect_to(path, out, e);

	if (rc)
		return rc;
	rc = set_pragmas(out, d, query_only);
	if (rc) {
		(void)err_sys(e, -rc, "the ledger %s cannot be opened", path);
		ledger_db_close(out);
	}
	return rc;
}

void ledger_db_close(struct ledger_db *db)
{
	for (int i = 0; i < LEDGER_SQLS; i++)
		(void)sqlite3_finalize(db->stmt[i]); /* its result repeats the last step's */
	(void)sqlite3_close(db->db);		     /* no statement is left, so it cannot refuse */
	memset(db, 0, sizeof(*db));
}
