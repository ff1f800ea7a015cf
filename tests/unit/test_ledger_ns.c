/*
 * ledger/ledger_ns and ledger_ns_db: postings kept and undone, flushes, renames; a database that is damaged
 */
#include "sample.h"

#include "ledger/ledger_ns.h"
#include "ledger/ledger_ns_db.h"

static struct ledger_db db;
static struct ledger_ns *ns;
static const int64_t ones[LEDGER_NS_COUNTERS] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

static int setup(void **state)
{
	AUTO_FREE char *path = NULL;
	struct err e = { 0 };

	(void)scratch_setup(state);
	path = str_printf("%s/ledger.db", (char *)*state);
	assert_int_equal(ledger_db_open(path, LEDGER_GROUP, &db, &e), 0);
	ns = calloc(1, sizeof(*ns));
	assert_non_null(ns);
	ledger_ns_init(ns);
	return 0;
}

static int teardown(void **state)
{
	ledger_ns_done(ns);
	free(ns);
	ledger_db_close(&db);
	return scratch_teardown(state);
}

static void sql(const char *text)
{
	assert_int_equal(sqlite3_exec(db.db, text, NULL, NULL, NULL), SQLITE_OK);
}

static struct ledger_given_change change(const char *root, const char *id, uint32_t pos,
					 const struct ledger_given *v, size_t n)
{
	return (struct ledger_given_change){ .ns = "ns",
					     .root = root,
					     .request_id = id,
					     .key = sample_key(1),
					     .pos = pos,
					     .v = v,
					     .n = n };
}

/* one sample of key 1; path NULL: id is the path */
static void give(const char *root, const char *path, const char *id, uint32_t pos, uint32_t index)
{
	struct ledger_given v = { sample_key(1), index };
	struct ledger_given_change c = change(root, id, pos, &v, 1);

	c.path = path;
	assert_int_equal(ledger_ns_give(ns, &c), 0);
}

static void count(const char *name, const int64_t *add)
{
	assert_int_equal(ledger_ns_count(ns, &db, &(struct ledger_given_count){ name, add }), 0);
}

/* -1: nothing is in memory of it */
static int64_t sum(const char *name)
{
	const struct ledger_ns_sum *s = ledger_ns_sum_of(ns, name);

	for (int i = 1; s && i < LEDGER_NS_COUNTERS; i++)
		assert_int_equal(s->totals[i], s->totals[0]); /* all are added alike here */
	return s ? s->totals[0] : -1;
}

static int64_t stored(const char *name)
{
	int64_t v[LEDGER_NS_COUNTERS];

	assert_int_equal(ledger_ns_db_counters(&db, name, v), 0);
	return v[LEDGER_NS_COUNTERS - 1];
}

/* what is in memory goes to the database, up to seq it is forgotten */
static void flush(uint64_t seq)
{
	struct ledger_ns_batch b;

	assert_int_equal(ledger_ns_take(ns, &b), 0);
	assert_int_equal(ledger_ns_db_write(&db, &b), 0);
	ledger_ns_batch_done(&b);
	ledger_ns_flushed(ns, seq);
}

struct seen {
	char text[256];
	unsigned left; /* stop after so many; 0: never */
};

static int see(void *arg, uint32_t pos, const struct ledger_given *v)
{
	struct seen *s = arg;
	size_t at = strlen(s->text);

	(void)snprintf(s->text + at, sizeof(s->text) - at, at ? " %u" : "%u", pos);
	if (v)
		(void)snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), ":%u",
			       v->index);
	return s->left && !--s->left ? 77 : 0;
}

/* "0:3 1:7": what the database has under an id */
static void expect_given(const char *id, const char *want)
{
	struct ledger_given_change whose = change(NULL, id, 0, NULL, 0);
	struct seen s = { .left = 0 };

	assert_int_equal(ledger_ns_db_given(&db, &whose, see, &s), 0);
	assert_string_equal(s.text, want);
}

static void expect_used(const char *want)
{
	struct key key = sample_key(1);
	struct seen s = { .left = 0 };

	assert_int_equal(ledger_ns_db_used(&db, "ns", &key, see, &s), 0);
	assert_string_equal(s.text, want);
}

static size_t members(const char *id)
{
	struct key key = sample_key(1);
	const struct ledger_ns_group *g = ledger_ns_group_of(ns, "ns", &key, id);
	size_t n = 0;

	if (g)
		LIST_EACH(l, &g->members)
			n++;
	return n;
}

/* ---- what fails ---- */

static void what_is_refused(void **state)
{
	struct ledger_given v = { sample_key(1), 0 };
	const struct ledger_given_change good = change("", "a/b", 0, &v, 1);
	static const char *const not_made_of[] = { "", "a/", "a/bc", "a/b/c", "b", "/", "a/b/" };
	struct ledger_given_change c;

	(void)state;
	for (int i = 0; i < 5; i++) {
		c = good;
		c.ns = i == 0 ? NULL : i == 1 ? "" : "ns";
		c.request_id = i == 2 ? NULL : i == 3 ? "" : "a/b";
		c.v = i == 4 ? NULL : &v;
		assert_int_equal(ledger_ns_give(ns, &c), -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_LEN(not_made_of); i++) {
		c = good;
		c.path = not_made_of[i];
		assert_int_equal(ledger_ns_give(ns, &c), -EINVAL);
	}
	c = good; /* nothing at all is not wrong, and not kept */
	c.n = 0;
	c.v = NULL;
	assert_int_equal(ledger_ns_give(ns, &c), 0);
	assert_int_equal(ledger_ns_count(ns, &db, &(struct ledger_given_count){ NULL, ones }),
			 -EINVAL);
	assert_int_equal(ledger_ns_count(ns, &db, &(struct ledger_given_count){ "", ones }),
			 -EINVAL);
	assert_int_equal(ledger_ns_count(ns, &db, &(struct ledger_given_count){ "ns", NULL }),
			 -EINVAL);
	assert_false(ledger_ns_any(ns));
	assert_int_equal(ns->n_gives + ns->n_sums + ns->groups.n + ns->sums.n, 0);
	assert_false(ns->rooted);
	ledger_ns_undo(ns); /* of nothing */
	ledger_ns_keep(ns, 1);
	assert_false(ledger_ns_any(ns));
}

/* Whoever cannot read must not say that nothing is there. */
static void unreadable(void **state)
{
	int64_t v[LEDGER_NS_COUNTERS] = { 42 };
	struct ledger_given_change whose = change(NULL, "a", 0, NULL, 0);
	struct key key = sample_key(1);
	struct seen s = { .left = 0 };
	int rc;

	(void)state;
	give("", NULL, "a", 0, 1);
	ledger_ns_keep(ns, 1);
	flush(1);
	sql("DROP TABLE given; DROP TABLE ns_counters");
	assert_true(ledger_ns_db_counters(&db, "ns", v) < 0);
	assert_int_equal(v[0], 42);
	assert_true(ledger_ns_db_given(&db, &whose, see, &s) < 0);
	assert_true(ledger_ns_db_used(&db, "ns", &key, see, &s) < 0);
	assert_string_equal(s.text, "");
	assert_true(ledger_ns_db_rooted(&db) < 0);
	assert_true(ledger_ns_db_forget(&db, "ns") < 0);
	rc = ledger_ns_db_file(&db, "", "a");
	assert_true(rc < 0 && rc != -ENOENT);
	assert_true(ledger_ns_file(ns, &db, "", "other"));
	for (int i = 0; i < 4; i++)
		assert_true(ledger_ns_db_rename(&db, (struct ledger_ns_db_place){ "", "a" },
						(struct ledger_ns_db_place){ "", "b" }, i & 1,
						i & 2) < 0);
	assert_true(ledger_ns_count(ns, &db, &(struct ledger_given_count){ "ns", ones }) < 0);
	assert_int_equal(sum("ns"), -1);
	assert_false(ledger_ns_any(ns));
}

static void unwritable(void **state)
{
	struct ledger_ns_batch b;

	(void)state;
	give("", NULL, "a", 0, 1);
	count("ns", ones);
	ledger_ns_keep(ns, 1);
	assert_int_equal(ledger_ns_take(ns, &b), 0);
	sql("PRAGMA query_only=1");
	assert_true(ledger_ns_db_write(&db, &b) < 0);
	assert_true(ledger_ns_db_forget(&db, "ns") < 0);
	sql("PRAGMA query_only=0");
	assert_int_equal(sum("ns"), 1); /* memory has it still: the next flush brings it */
	assert_int_equal(ledger_ns_db_write(&db, &b), 0);
	assert_int_equal(ledger_ns_db_write(&db, &b), 0); /* after a crash it comes twice */
	ledger_ns_batch_done(&b);
	ledger_ns_batch_done(&b);
	expect_given("a", "0:1");
	expect_used("1");
	assert_int_equal(stored("ns"), 1);
}

static void damaged_rows(void **state)
{
	struct ledger_given_change whose = change(NULL, "a", 0, NULL, 0);
	char hex[KEY_HEX + 1];
	AUTO_FREE char *rows = NULL;
	struct seen s = { .left = 0 };

	(void)state;
	key_hex(&whose.key, hex);
	rows = str_printf("INSERT INTO given VALUES('ns',x'%s','a',0,x'00ff',5,NULL,NULL),"
			  "('ns',x'%s','a',1,zeroblob(33),'x',NULL,NULL),"
			  "('ns',x'%s','a',2,'',-1,'r','a');"
			  "INSERT INTO ns_counters VALUES('ns',-1,3),('ns',13,3),('ns',99,3),"
			  "('ns',12,'twelve'),('ns',0,4)",
			  hex, hex, hex);
	sql(rows);
	assert_int_equal(ledger_ns_db_given(&db, &whose, see, &s), 0);
	assert_string_equal(s.text, "0:5 1:0 2:4294967295");
	assert_int_equal(stored("ns"), 0);
	expect_used(""); /* none of these keys is one */
	assert_int_equal(ledger_ns_db_rooted(&db), 1);
	assert_int_equal(ledger_ns_db_forget(&db, "ns"), 0);
	expect_given("a", "");
	assert_int_equal(ledger_ns_db_rooted(&db), 0);
}

/* ---- one posting and the next ---- */

static void undone(void **state)
{
	const int64_t minus[LEDGER_NS_COUNTERS] = { -3, -3, -3, -3, -3, -3, -3,
						    -3, -3, -3, -3, -3, -3 };

	(void)state;
	give("", NULL, "kept", 0, 1);
	count("ns", ones);
	assert_true(ledger_ns_any(ns));
	ledger_ns_keep(ns, 1);
	assert_false(ledger_ns_any(ns));
	for (int round = 0; round < 3; round++) { /* more than the log's first size */
		for (uint32_t i = 0; i < 20; i++) {
			give("", NULL, "kept", i + 1, 1);
			give("", "dir", "dir/x", i, i);
			count("ns", i % 2 ? minus : ones);
			count("new", ones);
		}
		assert_int_equal(sum("ns"), 1 + 10 - 30);
		assert_int_equal(sum("new"), 20);
		assert_int_equal(members("kept"), 21);
		assert_true(ledger_ns_file(ns, &db, "", "dir"));
		ledger_ns_undo(ns);
		assert_int_equal(sum("ns"), 1);
		assert_int_equal(sum("new"), -1);
		assert_int_equal(members("kept"), 1);
		assert_int_equal(members("dir/x"), 0);
		assert_int_equal(members(NULL), 1);
		assert_false(ledger_ns_file(ns, &db, "", "dir"));
		assert_true(ledger_ns_file(ns, &db, "", "kept"));
	}
	assert_int_equal(ns->n_gives, 1);
	assert_int_equal(ns->n_sums, 1);
	assert_int_equal(ns->groups.n, 2);
}

static void a_batch_is_in_order(void **state)
{
	static const char *const names[] = { "c", "a", "b", "a" };
	struct ledger_ns_batch b;

	(void)state;
	assert_int_equal(ledger_ns_take(ns, &b), 0); /* of nothing */
	assert_int_equal(b.n + b.n_sums, 0);
	assert_int_equal(ledger_ns_db_write(&db, &b), 0);
	ledger_ns_batch_done(&b);
	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		give(NULL, NULL, names[i], i, i);
		count(names[i], ones);
		ledger_ns_keep(ns, i + 1);
	}
	assert_int_equal(ledger_ns_take(ns, &b), 0);
	assert_int_equal(b.n, 4);
	for (size_t i = 0; i < b.n; i++) {
		assert_int_equal(b.gives[i]->seq, i + 1);
		assert_string_equal(b.gives[i]->group->id, names[i]);
	}
	assert_int_equal(b.n_sums, 3); /* "a" was counted last */
	assert_string_equal(b.sums[0].ns, "c");
	assert_string_equal(b.sums[1].ns, "b");
	assert_string_equal(b.sums[2].ns, "a");
	assert_int_equal(b.sums[2].totals[0], 2);
	ledger_ns_batch_done(&b);
}

/* What is posted while a flush writes stays, also of the same namespace. */
static void flushed_in_pieces(void **state)
{
	struct ledger_ns_batch b;

	(void)state;
	give("", NULL, "a", 0, 1);
	count("ns", ones);
	count("idle", ones);
	ledger_ns_keep(ns, 5);
	assert_int_equal(ledger_ns_take(ns, &b), 0);
	give("", NULL, "a", 1, 2);
	count("ns", ones);
	ledger_ns_keep(ns, 6);
	give("", NULL, "open", 0, 9); /* its posting is not over: a flush takes it by no seq */
	assert_int_equal(ledger_ns_db_write(&db, &b), 0);
	ledger_ns_batch_done(&b);
	ledger_ns_undo(ns);
	ledger_ns_flushed(ns, 4);
	assert_int_equal(ns->n_gives, 2);
	ledger_ns_flushed(ns, 5);
	assert_int_equal(ns->n_gives, 1);
	assert_int_equal(members("a"), 1);
	assert_int_equal(sum("idle"), -1);
	assert_int_equal(sum("ns"), 2);
	assert_int_equal(stored("ns"), 1);
	assert_int_equal(stored("idle"), 1);
	flush(6);
	assert_int_equal(sum("ns"), -1);
	assert_int_equal(stored("ns"), 2);
	count("ns", ones); /* goes on from what is stored */
	assert_int_equal(sum("ns"), 3);
	ledger_ns_undo(ns);
	assert_int_equal(sum("ns"), -1);
	expect_given("a", "0:1 1:2");
	assert_true(ledger_ns_file(ns, &db, "", "a"));
	assert_false(ledger_ns_file(ns, &db, "r", "a"));
	assert_int_equal(ns->groups.n, 0);
}

static void a_place_taken_again(void **state)
{
	(void)state;
	give("", NULL, "a", 0, 1);
	give("", NULL, "a", 0, 2); /* the later one counts, the first stays used */
	give("", NULL, "a", 0, 2); /* the same once more is nothing new */
	give(NULL, NULL, "a", UINT32_MAX, UINT32_MAX);
	ledger_ns_keep(ns, 1);
	flush(1);
	expect_given("a", "0:2 4294967295:4294967295");
	expect_given("", "1:1");
	expect_used("1 2 4294967295");
	give(NULL, NULL, "a", 0, 1); /* back, and the user's own now */
	ledger_ns_keep(ns, 2);
	flush(2);
	expect_given("a", "0:1 4294967295:4294967295");
	expect_given("", "1:1 2:2");
	expect_used("1 1 2 4294967295"); /* once for each row; who reads makes them one */
	assert_int_equal(ledger_ns_db_file(&db, "", "a"), -ENOENT);
}

static void readers_that_stop(void **state)
{
	struct ledger_given_change whose = change(NULL, "a", 0, NULL, 0);
	struct key key = sample_key(1);

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		give(NULL, NULL, "a", 4 - i, 10 + i);
	ledger_ns_keep(ns, 1);
	flush(1);
	for (unsigned stop = 1; stop <= 5; stop++) {
		struct seen given = { .left = stop }, used = { .left = stop };

		assert_int_equal(ledger_ns_db_given(&db, &whose, see, &given), 77);
		assert_int_equal(ledger_ns_db_used(&db, "ns", &key, see, &used), 77);
		assert_int_equal(strlen(given.text), stop * 5 - 1);
		assert_int_equal(strlen(used.text), stop * 3 - 1);
		sql("BEGIN EXCLUSIVE; COMMIT"); /* no statement was left at a row */
	}
	expect_given("a", "0:14 1:13 2:12 3:11 4:10");
	expect_used("10 11 12 13 14");
}

/* ---- renames ---- */

/* "ROOT:PATH>ID" separated by blanks; ids of no file: ">ID" */
static void put_all(const char *all)
{
	AUTO_FREE char *copy = strdup(all);
	char *next = NULL;
	uint32_t index = 0;

	assert_non_null(copy);
	sql("DELETE FROM given");
	for (char *one = strtok_r(copy, " ", &next); one; one = strtok_r(NULL, " ", &next)) {
		char *id = strchr(one, '>'), *path = strchr(one, ':');

		assert_non_null(id);
		*id++ = '\0';
		if (path)
			*path++ = '\0';
		give(path ? one : NULL, path, id, 0, index++);
	}
	ledger_ns_keep(ns, 1);
	flush(1);
}

static void expect_all(const char *want)
{
	sqlite3_stmt *st = NULL;
	char got[512] = "";

	assert_int_equal(sqlite3_prepare_v2(db.db,
					    "SELECT coalesce(root||':'||path,'')||'>'||request_id||"
					    "'='||idx FROM given ORDER BY idx,request_id",
					    -1, &st, NULL),
			 SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		(void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s",
			       got[0] ? " " : "", (const char *)sqlite3_column_text(st, 0));
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_string_equal(got, want);
}

static const struct {
	struct ledger_ns_db_place from, to;
	bool tree, swap;
	const char *before, *after;
} renames[] = {
	/* a file: only it, with all ids that are made of it */
	{ { "r", "a" },
	  { "r", "b" },
	  false,
	  false,
	  "r:a>a r:a>a/7 r:ab>ab r:a/x>a/x >a/8 s:a>a/9",
	  "r:b>b=0 r:b>b/7=1 r:ab>ab=2 r:a/x>a/x=3 >a/8=4 s:a>a/9=5" },
	{ { "r", "a" },
	  { "s", "a" },
	  false,
	  false,
	  "r:a>a r:a>a/7 s:b>b",
	  "s:a>a=0 s:a>a/7=1 s:b>b=2" },
	/* a file that nobody's id is made of */
	{ { "r", "x" }, { "r", "a" }, false, false, "r:a>a", "r:a>a=0" },
	/* a tree: what is below, and not what only begins so */
	{ { "r", "a" },
	  { "r", "b/c" },
	  true,
	  false,
	  "r:a>a r:a/x>a/x r:a/x/y>a/x/y r:a0>a0 r:a->a-",
	  "r:a>a=0 r:b/c/x>b/c/x=1 r:b/c/x/y>b/c/x/y=2 r:a0>a0=3 r:a->a-=4" },
	{ { "r", "" },
	  { "s", "" },
	  true,
	  false,
	  "r:a>a r:a/x>a/x/3 s:b>b >c",
	  "s:a>a=0 s:a/x>a/x/3=1 s:b>b=2 >c=3" },
	{ { "r", "a/b" },
	  { "r", "a" },
	  true,
	  false,
	  "r:a/b/a>a/b/a r:a/b/b/b>a/b/b/b r:a/c>a/c",
	  "r:a/a>a/a=0 r:a/b/b>a/b/b=1 r:a/c>a/c=2" },
	{ { "r", "a" }, { "r", "a" }, false, false, "r:a>a r:a>a/1", "r:a>a=0 r:a>a/1=1" },
	/* who has the new id loses it, also a user; what he used stays used */
	{ { "r", "a" },
	  { "r", "b" },
	  false,
	  false,
	  "r:b>b r:a>a >b/7 r:a>a/7",
	  ">=0 r:b>b=1 >=2 r:b>b/7=3" },
	{ { "r", "a" }, { "r", "b" }, true, false, "r:b/x>b/x r:a/x>a/x", ">=0 r:b/x>b/x=1" },
	/* swapped: nobody loses anything */
	{ { "r", "a" },
	  { "r", "b" },
	  false,
	  true,
	  "r:a>a r:b>b r:a>a/1 r:b>b/1 r:c>c",
	  "r:b>b=0 r:a>a=1 r:b>b/1=2 r:a>a/1=3 r:c>c=4" },
	{ { "r", "a" }, { "s", "a" }, false, true, "r:a>a s:a>a/1", "s:a>a=0 r:a>a/1=1" },
	{ { "r", "a" }, { "r", "b" }, false, true, "r:b>b", "r:a>a=0" },
	{ { "r", "a" }, { "r", "b" }, false, true, "r:c>c", "r:c>c=0" },
	{ { "r", "a" },
	  { "r", "b" },
	  true,
	  true,
	  "r:a/x>a/x r:b/x>b/x r:b/y>b/y r:a>a",
	  "r:b/x>b/x=0 r:a/x>a/x=1 r:a/y>a/y=2 r:a>a=3" },
	/* names are bytes: no language, no UTF-8, nothing that LIKE or GLOB would read */
	{ { "r", "%" },
	  { "r", "_" },
	  false,
	  false,
	  "r:%>% r:a>a r:*>*",
	  "r:_>_=0 r:a>a=1 r:*>*=2" },
	{ { "r", "\xc3\xbc" },
	  { "r", "\xff" },
	  true,
	  false,
	  "r:\xc3\xbc/\xfe>\xc3\xbc/\xfe r:\xc3>\xc3",
	  "r:\xff/\xfe>\xff/\xfe=0 r:\xc3>\xc3=1" },
};

static void renamed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(renames); i++) {
		put_all(renames[i].before);
		assert_int_equal(ledger_ns_db_rename(&db, renames[i].from, renames[i].to,
						     renames[i].tree, renames[i].swap),
				 0);
		expect_all(renames[i].after);
		if (!renames[i].swap)
			continue;
		assert_int_equal(ledger_ns_db_rename(&db, renames[i].to, renames[i].from,
						     renames[i].tree, true),
				 0);
		expect_given("nobody", "");
		assert_int_equal(ledger_ns_db_file(&db, "\001", "\001//a"), -ENOENT);
	}
}

static void forgotten(void **state)
{
	struct ledger_given v = { sample_key(1), 3 };
	struct ledger_given_change other = change("", "a", 0, &v, 1);

	(void)state;
	other.ns = "ns2"; /* begins with the other's name */
	give("", NULL, "a", 0, 1);
	assert_int_equal(ledger_ns_give(ns, &other), 0);
	count("ns", ones);
	count("ns2", ones);
	ledger_ns_keep(ns, 1);
	assert_int_equal(members(NULL), 1); /* the same key, but not the same namespace */
	flush(1);
	assert_int_equal(ledger_ns_db_forget(&db, "ns"), 0);
	expect_given("a", "");
	expect_used("");
	assert_int_equal(stored("ns"), 0);
	assert_int_equal(stored("ns2"), 1);
	expect_all(":a>a=3");
	assert_int_equal(ledger_ns_db_forget(&db, "ns"), 0);
	assert_int_equal(ledger_ns_db_forget(&db, "nobody"), 0);
	assert_int_equal(ledger_ns_db_rooted(&db), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_refused),
		T(unreadable),
		T(unwritable),
		T(damaged_rows),
		T(undone),
		T(a_batch_is_in_order),
		T(flushed_in_pieces),
		T(a_place_taken_again),
		T(readers_that_stop),
		T(renamed),
		T(forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
