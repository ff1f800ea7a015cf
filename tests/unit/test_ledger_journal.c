/*
 * test_ledger_journal.c - journals that are torn, damaged, foreign or full; kill -9 at every step
 */
#include "ledger_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/fault.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_replay.h"

enum { HEADER = sizeof(struct ledger_replay_header), RECORD = sizeof(struct ledger_replay_record) };

/* ---- a state directory whose daemon died ---- */

static const char *const files[] = { "ledger.db", "ledger.db-wal", "ledger.journal.0",
				     "ledger.journal.1" };

/* what lies in it, so that the same death can be looked at again and again */
struct corpse {
	const char *dir;
	struct buf file[ARRAY_LEN(files)];
	bool there[ARRAY_LEN(files)];
};

static void corpse_take(const char *dir, struct corpse *out)
{
	out->dir = dir;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *path = str_printf("%s/%s", dir, files[i]);

		out->file[i] = BUF_INIT(64 << 20);
		out->there[i] = fdio_read_file(AT_FDCWD, path, &out->file[i]) == 0;
	}
}

static void corpse_lay(const struct corpse *c)
{
	AUTO_FREE char *shm = str_printf("%s/ledger.db-shm", c->dir);

	(void)unlink(shm);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *path = str_printf("%s/%s", c->dir, files[i]);

		if (c->there[i])
			assert_int_equal(fdio_put(AT_FDCWD, path,
						  c->file[i].data ? c->file[i].data : "",
						  c->file[i].len, 0, 0600),
					 0);
		else
			(void)unlink(path);
	}
}

static void corpse_done(struct corpse *c)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		buf_done(&c->file[i]);
}

/* ThreadSanitizer has no threads after a fork of a process that has some; the other builds run these, and
 * test_ledger and test_ledger_model look for races. */
static void need_fork(void)
{
#ifdef __SANITIZE_THREAD__
	skip();
#endif
}

/* fn works with a ledger in a process that then dies without a word */
static void die_after(const char *dir, void (*fn)(struct ledger *l))
{
	int status;
	pid_t pid;

	need_fork();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		fn(ledger_at(dir, LEDGER_GROUP));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* The flush comes a fifth of a second after the first posting: these are quicker. */
static void post_five(struct ledger *l)
{
	static const char *const name[] = { "a", "b", "c", "d", "e" };

	ledger_count(l, LEDGER_C_REQUESTS, 5);
	for (size_t i = 0; i < ARRAY_LEN(name); i++)
		(void)put_row(l, "", name[i]);
}

static void five_dead(const char *dir, struct corpse *out)
{
	die_after(dir, post_five);
	corpse_take(dir, out);
	assert_true(out->file[2].len > HEADER + 5 * RECORD);
}

/* where record i of a journal begins */
static size_t record_begins(const struct buf *b, unsigned i)
{
	size_t at = HEADER;

	while (i--) {
		struct ledger_replay_record r;

		memcpy(&r, b->data + at, sizeof(r));
		at += sizeof(r) + r.length;
	}
	assert_true(at <= b->len);
	return at;
}

static unsigned how_many(struct ledger *l)
{
	static const char *const name[] = { "a", "b", "c", "d", "e" };
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		bool there = id_of(l, "", name[i]) != 0;

		assert_true(!there || n == i); /* nothing behind what is missing */
		n += there;
	}
	return n;
}

static void expect_refused(const char *dir, int rc, const char *says)
{
	struct ledger_options o = { .dir = dir, .durability = LEDGER_NONE };
	struct ledger *l = NULL;
	struct err e = { 0 };

	assert_int_equal(ledger_open(&o, &l, &e), rc);
	assert_null(l);
	if (!strstr(e.message, says))
		(void)fprintf(stderr, "%s\n", e.message);
	assert_non_null(strstr(e.message, says));
	assert_non_null(strstr(e.message, dir));
}

/* Refused, and every file is as it was. */
static void expect_left(const struct corpse *c, int rc, const char *says)
{
	struct corpse after = { 0 };

	expect_refused(c->dir, rc, says);
	corpse_take(c->dir, &after);
	for (size_t i = 2; i < ARRAY_LEN(files); i++) {
		assert_int_equal(after.file[i].len, c->file[i].len);
		assert_memory_equal(buf_str(&after.file[i]), buf_str(&c->file[i]), c->file[i].len);
	}
	corpse_done(&after);
}

/* ---- records ---- */

enum { EVERYTHING = 13 };

static void some_of_everything(struct ledger_change c[EVERYTHING], struct ledger_handout h[2])
{
	static const int64_t add[LEDGER_NS_COUNTERS] = { 0, INT64_MIN,
							 [LEDGER_NS_COUNTERS - 1] = 7 };
	static const struct ledger_given v[2] = { { .index = 3 }, { .index = UINT32_MAX } };

	h[0] = (struct ledger_handout){
		.pos = 1, .key = sample_key(1), .index = 7, .cached = true
	};
	h[1] = (struct ledger_handout){
		.pos = 2, .key = sample_key(2), .variant = UINT32_MAX, .duplicated = true
	};
	for (int i = 0; i < EVERYTHING; i++)
		c[i] = (struct ledger_change){ .root = "", .path = "a/\xff" };
	c[0].op = LEDGER_OP_PUT;
	c[0].row = (struct ledger_row){ .id = INT64_MAX,
					.gen = UINT32_MAX,
					.state = LEDGER_ACCEPTED,
					.root = text("r"),
					.path = text("p"),
					.has_key = true,
					.key = sample_key(3),
					.n = -1,
					.cache_mode = 3,
					.envelope = text(""),
					.accepted_ns = UINT64_MAX,
					.text_bytes = 1 };
	c[0].request = "{\0}";
	c[0].request_len = 3;
	c[0].handouts = c[1].handouts = h;
	c[0].n_handouts = 2;
	c[1].op = LEDGER_OP_FINISH;
	c[1].row = (struct ledger_row){ .id = 1, .state = LEDGER_FAILED, .error = text("e") };
	c[1].n_handouts = 1;
	c[2].op = LEDGER_OP_REMOVE;
	c[2].row.id = -5;
	c[3].op = LEDGER_OP_DROP;
	c[4].op = LEDGER_OP_MOVE;
	c[4].row.suffix = text(".md");
	c[5].op = LEDGER_OP_SWAP;
	c[6].op = LEDGER_OP_SWAP_TREE;
	c[7].op = LEDGER_OP_UNSTORED;
	c[8].op = LEDGER_OP_STORED;
	c[7].object = c[8].object = h[1];
	c[9] = (struct ledger_change){ .op = LEDGER_OP_GIVE,
				       .give = { .ns = "ns",
						 .root = "",
						 .request_id = "a/b",
						 .path = "a",
						 .key = sample_key(4),
						 .pos = 5,
						 .v = v,
						 .n = 2 } };
	c[10] = (struct ledger_change){ .op = LEDGER_OP_NS_COUNT,
					.ns_count = { .ns = "ns", .add = add } };
	c[11].op = LEDGER_OP_DROP_ROOT;
	c[12].op = LEDGER_OP_NS_FORGET;
	for (int i = 4; i < 7; i++) {
		c[i].to_root = "x";
		c[i].to_path = "y";
	}
}

static void a_record_comes_back(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	AUTO_BUF struct buf again = BUF_INIT(1 << 20);
	struct ledger_handout h[2];
	struct ledger_change c[EVERYTHING];
	struct ledger_record r = { .changes = c, .n = EVERYTHING, .add = { 5, 0, -7, INT64_MIN } },
			     got;

	(void)state;
	some_of_everything(c, h);
	r.add[LEDGER_COUNTERS - 1] = 1;
	assert_int_equal(ledger_record_write(&r, &b), 0);
	assert_int_equal(ledger_record_read(b.data, b.len, &got), 0);
	assert_int_equal(got.n, EVERYTHING);
	assert_int_equal(got.changes[9].give.v[1].index, UINT32_MAX);
	assert_string_equal(got.changes[9].give.path, "a");
	assert_int_equal(got.changes[10].ns_count.add[1], INT64_MIN);
	assert_memory_equal(got.add, r.add, sizeof(r.add));
	assert_string_equal(got.changes[0].row.path, "p");
	assert_null(got.changes[0].row.suffix);
	assert_int_equal(got.changes[0].request_len, 3);
	assert_int_equal(ledger_record_write(&got, &again), 0);
	assert_int_equal(again.len, b.len);
	assert_memory_equal(again.data, b.data, b.len);
	ledger_record_done(&got);
}

/* Behind a hash that fits nothing bad comes; all the same no byte may lead astray. */
static void bytes_that_are_no_record(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct ledger_handout h[2];
	struct ledger_change c[EVERYTHING];
	struct ledger_record r = { .changes = c, .n = EVERYTHING }, got;

	(void)state;
	some_of_everything(c, h);
	assert_int_equal(ledger_record_write(&r, &b), 0);
	for (size_t n = 0; n < b.len; n++) {
		AUTO_FREE char *part = malloc(n + 1); /* nothing behind it that could be read */

		memcpy(part, b.data, n);
		assert_int_equal(ledger_record_read(part, n, &got), -EBADMSG);
	}
	for (size_t at = 0; at < b.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			b.data[at] ^= (char)(1 << bit);
			if (ledger_record_read(b.data, b.len, &got) == 0)
				ledger_record_done(&got);
			b.data[at] ^= (char)(1 << bit);
		}
	}
}

/* ---- the end and the middle ---- */

/* without waiting for the disk, for there are hundreds of deaths to look at */
static struct ledger *risen(const struct corpse *c)
{
	corpse_lay(c);
	return ledger_at(c->dir, LEDGER_NONE);
}

static void torn_at(struct corpse *c, size_t n, unsigned want, size_t torn)
{
	struct ledger_past past;
	struct ledger *l;

	c->file[2].len = n;
	l = risen(c);
	assert_int_equal(how_many(l), want);
	ledger_past(l, &past);
	assert_int_equal(past.torn_bytes, torn);
	assert_int_equal(past.lost, 0);
	assert_true(past.unclean);
	(void)put_row(l, "", "f"); /* it goes on */
	ledger_close(l);
	l = ledger_at(c->dir, LEDGER_NONE);
	assert_int_equal(how_many(l), want);
	assert_true(id_of(l, "", "f") > 0);
	ledger_past(l, &past);
	assert_int_equal(past.torn_bytes, 0);
	assert_false(past.unclean);
	ledger_close(l);
}

static void torn_at_every_byte(void **state)
{
	struct corpse c = { 0 };
	size_t whole, begins[6];

	five_dead(*state, &c);
	whole = c.file[2].len;
	for (unsigned i = 0; i < 6; i++)
		begins[i] = record_begins(&c.file[2], i);
	assert_int_equal(begins[5], whole);
	for (size_t n = 0; n <= whole; n += n < HEADER || n >= begins[4] ? 1 : 37) {
		unsigned want = 0;

		while (want < 5 && begins[want + 1] <= n)
			want++;
		torn_at(&c, n, want, n < HEADER ? n : n - begins[want]);
	}
	c.file[2].len = whole;
	corpse_done(&c);
}

/* A row, what a namespace handed out for it, and a counter. */
static void post_given(struct ledger *l)
{
	static const int64_t add[LEDGER_NS_COUNTERS] = { 1 };

	for (uint32_t i = 0; i < 3; i++) {
		AUTO_FREE char *path = str_printf("%u", i);
		struct ledger_given v = { sample_key(1), i };
		struct ledger_change c[3];

		c[0] = put_change(l, "ns", path, LEDGER_DONE);
		c[1] = (struct ledger_change){ .op = LEDGER_OP_GIVE,
					       .give = { .ns = "ns",
							 .root = "ns",
							 .request_id = path,
							 .key = sample_key(1),
							 .v = &v,
							 .n = 1 } };
		c[2] = (struct ledger_change){ .op = LEDGER_OP_NS_COUNT,
					       .ns_count = { .ns = "ns", .add = add } };
		assert_int_equal(post(l, c, 3), 0);
	}
}

static void expect_given(struct ledger *l, const char *id, size_t want)
{
	struct key key = sample_key(1);
	struct ledger_given *v = NULL;
	size_t n;

	assert_int_equal(ledger_given(l, "ns", &key, id, &v, &n), 0);
	free(v);
	assert_int_equal(n, want);
}

static void expect_space(struct ledger *l, size_t used, int64_t count)
{
	struct key key = sample_key(1);
	int64_t counters[LEDGER_NS_COUNTERS];
	uint32_t *v = NULL;
	size_t n;

	assert_int_equal(ledger_given_used(l, "ns", &key, &v, &n), 0);
	free(v);
	assert_int_equal(n, used);
	assert_int_equal(ledger_ns_counters(l, "ns", counters), 0);
	assert_int_equal(counters[0], count);
}

static void torn_hand_outs(void **state)
{
	struct corpse c = { 0 };
	size_t whole, begins[4];

	die_after(*state, post_given);
	corpse_take(*state, &c);
	whole = c.file[2].len;
	for (unsigned i = 0; i < 4; i++)
		begins[i] = record_begins(&c.file[2], i);
	assert_int_equal(begins[3], whole);
	for (size_t n = HEADER; n <= whole; n += n >= begins[2] ? 1 : 29) {
		struct ledger *l;
		unsigned want = 0;

		while (want < 3 && begins[want + 1] <= n)
			want++;
		c.file[2].len = n;
		l = risen(&c);
		for (unsigned i = 0; i < 3; i++) {
			AUTO_FREE char *path = str_printf("%u", i);

			assert_int_equal(id_of(l, "ns", path) != 0, i < want);
			expect_given(l, path, i < want);
		}
		expect_space(l, want, want);
		ledger_close(l);
	}
	c.file[2].len = whole;
	corpse_done(&c);
}

static void a_bad_byte(void **state)
{
	struct corpse c = { 0 };
	size_t last;

	five_dead(*state, &c);
	last = record_begins(&c.file[2], 4);
	for (size_t at = 0; at < c.file[2].len; at += at % 13 + 1) {
		c.file[2].data[at] ^= 0x41;
		corpse_lay(&c);
		if (at >= last) { /* as if it was torn */
			struct ledger *l = risen(&c);

			assert_int_equal(how_many(l), 4);
			ledger_close(l);
		} else if (at >= 8 && at < 12) {
			expect_left(&c, -EOPNOTSUPP, "another version of inferfs");
		} else {
			expect_left(&c, -EINVAL,
				    at < 8	  ? "is not a journal of inferfs"
				    : at < HEADER ? "is damaged at its beginning"
						  : "is damaged in the middle");
		}
		c.file[2].data[at] ^= 0x41;
	}
	ledger_close(risen(&c));
	corpse_done(&c);
}

static void other_journals(void **state)
{
	AUTO_FREE char *one = str_printf("%s/one", (char *)*state),
		       *two = str_printf("%s/two", (char *)*state),
		       *path = str_printf("%s/ledger.journal.1", two);
	static const char notes[] = "my notes, which nobody must lose";
	struct corpse c = { 0 }, d = { 0 };

	five_dead(one, &c);
	five_dead(two, &d);
	buf_done(&d.file[2]);
	d.file[2] = c.file[2]; /* beside another ledger.db */
	c.file[2] = BUF_INIT(1);
	corpse_lay(&d);
	expect_left(&d, -EINVAL, "belongs to another ledger.db");
	d.file[2].len = HEADER; /* of which nothing is missing */
	corpse_lay(&d);
	ledger_close(ledger_at(two, LEDGER_GROUP));
	assert_int_equal(fdio_put(AT_FDCWD, path, notes, sizeof(notes), 0, 0600), 0);
	expect_refused(two, -EINVAL, "is not a journal of inferfs");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refused(two, -EISDIR, "cannot be opened");
	corpse_done(&c);
	corpse_done(&d);
}

/* The one written first is gone: what follows does not count, and it says so. */
static void a_missing_journal(void **state)
{
	struct corpse c = { 0 };
	struct ledger_past past;
	struct ledger *l;

	five_dead(*state, &c);
	buf_remove(&c.file[2], 0);
	memmove(c.file[2].data + HEADER, c.file[2].data + record_begins(&c.file[2], 2),
		c.file[2].len - record_begins(&c.file[2], 2));
	c.file[2].len -= record_begins(&c.file[2], 2) - HEADER;
	corpse_lay(&c);
	l = ledger_at(*state, LEDGER_GROUP);
	ledger_past(l, &past);
	assert_true(past.lost > 0);
	assert_int_equal(how_many(l), 0);
	(void)put_row(l, "", "a");
	ledger_close(l);
	l = ledger_at(*state, LEDGER_GROUP);
	assert_int_equal(how_many(l), 1);
	ledger_close(l);
	corpse_done(&c);
}

/* ---- directories in between ---- */

static void trees_and_rows(struct ledger *l)
{
	struct ledger_change tree = {
		.op = LEDGER_OP_MOVE_TREE, .root = "", .path = "d", .to_root = "", .to_path = "e"
	};
	struct ledger_change move = {
		.op = LEDGER_OP_MOVE, .root = "", .path = "e/1", .to_root = "", .to_path = "d/1"
	};

	(void)put_row(l, "", "d/1");
	(void)put_row(l, "", "d/2");
	(void)put_row(l, "", "e/old");
	assert_int_equal(post(l, &tree, 1), 0);
	assert_int_equal(post(l, &move, 1), 0);
	(void)put_row(l, "", "e/3");
}

static void expect_trees(struct ledger *l)
{
	assert_true(id_of(l, "", "d/1") && id_of(l, "", "e/2") && id_of(l, "", "e/3"));
	assert_true(!id_of(l, "", "d/2") && !id_of(l, "", "e/1") && !id_of(l, "", "e/old"));
}

static void trees_are_replayed(void **state)
{
	struct corpse c = { 0 };
	struct ledger *l;

	die_after(*state, trees_and_rows);
	corpse_take(*state, &c);
	l = ledger_at(*state, LEDGER_GROUP);
	expect_trees(l);
	ledger_close(l);
	/* the database is as it was before the first posting, as if the power had failed */
	c.there[1] = false;
	corpse_lay(&c);
	l = ledger_at(*state, LEDGER_GROUP);
	expect_trees(l);
	ledger_close(l);
	corpse_done(&c);
}

static void renames_and_roots(struct ledger *l)
{
	struct ledger_change c = {
		.op = LEDGER_OP_MOVE, .root = "ns", .path = "0", .to_root = "", .to_path = "d/a"
	};

	post_given(l);
	assert_int_equal(post(l, &c, 1), 0);
	c.op = LEDGER_OP_SWAP;
	c.path = "1";
	c.to_root = "ns";
	c.to_path = "2";
	assert_int_equal(post(l, &c, 1), 0);
	assert_int_equal(post(l, &c, 1), 0);
	assert_int_equal(post(l, &c, 1), 0);
	(void)put_row(l, "gone", "a/b");
	c = (struct ledger_change){ .op = LEDGER_OP_DROP_ROOT, .root = "gone" };
	assert_int_equal(post(l, &c, 1), 0);
	(void)put_row(l, "gone", "back");
}

static void expect_renamed(struct ledger *l)
{
	assert_true(id_of(l, "", "d/a") && id_of(l, "ns", "1") && id_of(l, "ns", "2"));
	assert_true(id_of(l, "gone", "back") && !id_of(l, "gone", "a/b"));
	assert_true(id_of(l, "ns", "1") > id_of(l, "ns", "2")); /* exchanged once, or thrice */
	expect_given(l, "0", 0);
	expect_given(l, "d/a", 1);
	expect_given(l, "1", 1);
	expect_space(l, 3, 3);
}

static void renames_and_roots_are_replayed(void **state)
{
	struct ledger_change c = { .op = LEDGER_OP_NS_FORGET, .root = "ns" };
	struct corpse dead = { 0 };
	struct ledger *l;

	die_after(*state, renames_and_roots);
	corpse_take(*state, &dead);
	l = ledger_at(*state, LEDGER_GROUP);
	expect_renamed(l);
	ledger_close(l);
	for (int again = 0; again < 2; again++) { /* no WAL: as if the power had failed */
		dead.there[1] = false;
		corpse_lay(&dead);
		l = ledger_at(*state, LEDGER_GROUP);
		expect_renamed(l);
		assert_int_equal(post(l, &c, 1), 0);
		expect_space(l, 0, 0);
		assert_int_equal(id_of(l, "ns", "1"), 0);
		ledger_close(l);
	}
	corpse_done(&dead);
}

/* ---- a full disk ---- */

static void no_room_for_a_record(void **state)
{
	struct ledger *l = ledger_at(*state, LEDGER_GROUP);
	AUTO_FREE char *big = calloc(1, 100 << 10);
	AUTO_FREE char *journal = str_printf("%s/ledger.journal.0", (char *)*state);
	struct rlimit before, small;
	struct ledger_change c[2];
	struct stat st;
	int64_t id;

	assert_non_null(big);
	(void)signal(SIGXFSZ, SIG_IGN);
	id = put_row(l, "", "a");
	assert_int_equal(stat(journal, &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = (rlim_t)st.st_size + (50 << 10);
	c[0] = put_change(l, "", "b", LEDGER_DONE);
	c[1] = put_change(l, "", "a", LEDGER_ACCEPTED); /* would take a over */
	c[1].request = big;
	c[1].request_len = 100 << 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_true(post(l, c, 2) < 0); /* written in part, and taken back */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(id_of(l, "", "b"), 0);
	assert_int_equal(id_of(l, "", "a"), id);
	assert_int_equal(post(l, c, 2), 0);
	assert_int_equal(id_of(l, "", "b"), c[0].row.id);
	assert_int_equal(id_of(l, "", "a"), c[1].row.id);
	ledger_close(l);
	l = ledger_at(*state, LEDGER_GROUP);
	assert_int_equal(id_of(l, "", "a"), c[1].row.id);
	ledger_close(l);
}

/* What a dead daemon had recorded is there, although there is no room to bring it to the database. */
static void replay_on_a_full_disk(void **state)
{
	AUTO_FREE char *filler = str_printf("%s/filler", (char *)*state);
	char page[4096] = { 'x' };
	struct ledger_change c;
	struct ledger *l;
	int fd;

	need_fork();
	if (!full_disk_mount(*state, "1m"))
		return;
	die_after(*state, post_five);
	fd = open(filler, O_CREAT | O_WRONLY, 0600);
	while (write(fd, page, sizeof(page)) > 0)
		;
	l = ledger_at(*state, LEDGER_GROUP);
	assert_int_equal(how_many(l), 5);
	assert_int_equal(ftruncate(fd, 0), 0);
	(void)close(fd);
	c = put_change(l, "", "f", LEDGER_DONE);
	assert_int_equal(post(l, &c, 1), 0);
	ledger_close(l);
	l = ledger_at(*state, LEDGER_GROUP);
	assert_int_equal(how_many(l), 5);
	assert_int_equal(id_of(l, "", "f"), c.row.id);
	ledger_close(l);
	full_disk_unmount(*state);
}

/* More than the journal may hold: postings wait for the flush, and nothing is lost. */
static void a_long_journal(void **state)
{
	enum { BIG = 7 << 20, N = 24 };
	struct ledger *l = ledger_at(*state, LEDGER_NONE);
	AUTO_FREE char *big = calloc(1, BIG);
	AUTO_FREE char *journal = str_printf("%s/ledger.journal.0", (char *)*state);
	struct stat st;
	size_t n;
	char *req;

	assert_non_null(big);
	for (int i = 0; i < N; i++) {
		AUTO_FREE char *name = str_printf("%d", i);
		struct ledger_change c = put_change(l, "", name, LEDGER_ACCEPTED);

		c.request = big;
		c.request_len = BIG;
		assert_int_equal(post(l, &c, 1), 0);
		assert_int_equal(stat(journal, &st), 0);
		assert_true(st.st_size < 80 << 20);
	}
	ledger_close(l);
	l = ledger_at(*state, LEDGER_NONE);
	for (int i = 0; i < N; i++) {
		AUTO_FREE char *name = str_printf("%d", i);

		assert_int_equal(ledger_request(l, id_of(l, "", name), &req, &n), 0);
		assert_int_equal(n, BIG);
		free(req);
	}
	ledger_close(l);
	assert_int_equal(stat(journal, &st), 0);
	assert_int_equal(st.st_size, 0);
}

/* ---- kill -9 at a step ---- */

struct told {
	int64_t id;
	uint32_t n;
};

/* Two rows, an object and a counter, all or none; told when done() came. Now and then the older ones go. */
enum { DROPS = 300 };

static void work_until_killed(struct ledger *l, int fd)
{
	static const int64_t add[LEDGER_NS_COUNTERS] = { 1 };
	AUTO_FREE char *big = calloc(1, 4 << 10);

	for (uint32_t n = 0; n < 100000; n++) {
		AUTO_FREE char *path = str_printf("p/%u", n);
		struct ledger_handout h = { .key = sample_key(n) };
		struct ledger_given v = { sample_key(1), n };
		struct ledger_change c[6];
		struct told t = { .n = n };

		c[0] = put_change(l, "", path, LEDGER_DONE);
		c[0].handouts = &h;
		c[0].n_handouts = 1;
		c[1] = put_change(l, "twin", path, LEDGER_ACCEPTED);
		c[1].request = big;
		c[1].request_len = 4 << 10;
		c[2] = (struct ledger_change){ .op = LEDGER_OP_UNSTORED, .object = h };
		c[3] = put_change(l, "trash", path, LEDGER_DONE);
		c[4] = (struct ledger_change){ .op = LEDGER_OP_GIVE,
					       .give = { .ns = "ns",
							 .root = "",
							 .request_id = path,
							 .key = v.key,
							 .v = &v,
							 .n = 1 } };
		c[5] = (struct ledger_change){ .op = LEDGER_OP_NS_COUNT,
					       .ns_count = { .ns = "ns", .add = add } };
		t.id = c[0].row.id;
		ledger_count(l, LEDGER_C_REQUESTS, n + 1);
		if (post(l, c, 6) || write(fd, &t, sizeof(t)) != sizeof(t))
			_exit(1);
		if (n % 8 == 0)
			(void)poll(NULL, 0, 1); /* so that many flushes come before many rows */
		if (n % DROPS == DROPS - 1) {
			struct ledger_change drop = { .op = LEDGER_OP_DROP_ROOT, .root = "trash" };

			if (post(l, &drop, 1))
				_exit(1);
		}
		if (n % 500 == 499) {
			struct ledger_change tree = { .op = LEDGER_OP_MOVE_TREE,
						      .root = "none",
						      .path = "",
						      .to_root = "none2",
						      .to_path = "" };
			if (post(l, &tree, 1))
				_exit(1);
		}
	}
	ledger_close(l);
	_exit(2); /* the point was never reached */
}

static void killed(const char *dir, const char *point, int nth, uint32_t *out_told)
{
	struct told t;
	int pipefd[2], status;
	uint32_t n = 0;
	pid_t pid;

	need_fork();
	assert_int_equal(pipe(pipefd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		AUTO_FREE char *spec = str_printf("%s:%d", point, nth);

		(void)setenv("INFERFS_FAULT", spec, 1);
		fault_init();
		work_until_killed(ledger_at(dir, LEDGER_GROUP), pipefd[1]);
	}
	(void)close(pipefd[1]);
	while (read(pipefd[0], &t, sizeof(t)) == sizeof(t))
		n = t.n + 1;
	(void)close(pipefd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		(void)fprintf(stderr, "%s:%d: status %d\n", point, nth, status);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	*out_told = n;
}

static void count_object(const struct ledger_handout *h, void *arg)
{
	(void)h;
	++*(uint32_t *)arg;
}

static void look_after(const char *dir, uint32_t n_told)
{
	struct ledger *l = ledger_at(dir, LEDGER_GROUP);
	int64_t counters[LEDGER_COUNTERS], sum;
	uint32_t there = 0, objects = 0;

	for (uint32_t n = 0; n < n_told + 2; n++) {
		AUTO_FREE char *path = str_printf("p/%u", n);
		int64_t id = id_of(l, "", path), twin = id_of(l, "twin", path);
		struct key key = sample_key(n);
		size_t len;
		char *req;

		assert_true(n >= n_told || id);
		assert_int_equal(id != 0, twin != 0);
		assert_int_equal(ledger_named(l, &key, 0, 0), id != 0);
		if (!id)
			continue;
		there++;
		expect_given(l, path, 1);
		if (n < n_told && n_told % DROPS) /* else the drop may be there or not */
			assert_int_equal(id_of(l, "trash", path) != 0, n / DROPS == n_told / DROPS);
		assert_int_equal(ledger_request(l, twin, &req, &len), 0);
		assert_int_equal(len, 4 << 10);
		free(req);
	}
	assert_true(there == n_told || there == n_told + 1);
	expect_space(l, there, there);
	assert_int_equal(ledger_each_unstored(l, count_object, &objects), 0);
	assert_int_equal(objects, there);
	/* row n counted n + 1: a record that is applied twice would show. The one that was not posted any more may
	 * have been counted already */
	ledger_counters(l, counters);
	sum = (int64_t)there * (there + 1) / 2;
	if (counters[LEDGER_C_REQUESTS] != sum)
		assert_int_equal(counters[LEDGER_C_REQUESTS], sum + there + 1);
	ledger_close(l);
}

static void killed_at_every_step(void **state)
{
	static const struct {
		const char *point;
		int nth;
	} at[] = { { "journal", 1 }, { "journal", 2 }, { "journal", 700 }, { "flush", 1 },
		   { "flush", 2 },   { "flush", 3 },   { "flushed", 1 },   { "flushed", 2 },
		   { "flushed", 3 }, { "cut", 1 },     { "cut", 2 },	   { "cut", 3 },
		   { "trash", 1 },   { "trash", 2 },   { "trash", 3 } };

	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		AUTO_FREE char *dir = str_printf("%s/%zu", (char *)*state, i);
		uint32_t n;

		killed(dir, at[i].point, at[i].nth, &n);
		look_after(dir, n);
		look_after(dir, n); /* and after a clean end */
	}
}

/* The daemon dies again while it recovers: after its flush, after its cut, and before both. */
static void killed_while_replaying(void **state)
{
	static const char *const points[] = { "flush", "flushed", "cut" };

	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		AUTO_FREE char *dir = str_printf("%s/%zu", (char *)*state, i);
		uint32_t n, none;

		killed(dir, "journal", 900, &n);
		killed(dir, "flush", 1, &none);
		killed(dir, points[i], 1, &none);
		assert_int_equal(none, 0);
		look_after(dir, n);
	}
}

/* ---- what went is told ---- */

static struct {
	int64_t id[16];
	uint32_t index[16];
	bool had_row[16];
	size_t n;
} gone;

static void on_gone(void *arg, const struct ledger_row *row, const struct ledger_handout *h,
		    size_t n)
{
	assert_ptr_equal(arg, &gone);
	assert_true(n <= 1);
	gone.id[gone.n] = row->id;
	gone.had_row[gone.n] = row->root != NULL;
	gone.index[gone.n++] = n ? h[0].index : 99;
}

static int64_t put_handed(struct ledger *l, const char *path, uint32_t index)
{
	struct ledger_handout h = { .key = sample_key(1), .index = index };
	struct ledger_change c = put_change(l, "", path, LEDGER_DONE);

	c.handouts = &h;
	c.n_handouts = 1;
	assert_int_equal(post(l, &c, 1), 0);
	return c.row.id;
}

static void expect_gone(int64_t id, uint32_t index, bool had_row)
{
	assert_int_equal(gone.n, 1);
	assert_int_equal(gone.id[0], id);
	assert_int_equal(gone.index[0], index);
	assert_int_equal(gone.had_row[0], had_row);
	gone.n = 0;
}

static void barrier(struct ledger *l)
{
	struct ledger_change c = { .op = LEDGER_OP_MOVE_TREE,
				   .root = "none",
				   .path = "",
				   .to_root = "none2",
				   .to_path = "" };

	assert_int_equal(post(l, &c, 1), 0);
	assert_int_equal(gone.n, 0);
}

static void rows_that_go_are_told(void **state)
{
	struct ledger *l = ledger_at(*state, LEDGER_GROUP);
	struct ledger_change c = { .op = LEDGER_OP_REMOVE };

	gone.n = 0;
	ledger_watch(l, on_gone, &gone);
	for (int flushed = 0; flushed < 2; flushed++) {
		struct ledger_handout h = { .key = sample_key(1), .index = 5 };
		int64_t id = put_handed(l, "a", 1);

		if (flushed)
			barrier(l);
		(void)put_handed(l, "a", 2); /* taken over */
		expect_gone(id, 1, true);
		id = id_of(l, "", "a");
		if (flushed)
			barrier(l);
		c = (struct ledger_change){ .op = LEDGER_OP_DROP, .root = "", .path = "a" };
		assert_int_equal(post(l, &c, 1), 0);
		expect_gone(id, 2, true);
		assert_int_equal(post(l, &c, 1), 0);
		assert_int_equal(gone.n, 0);
		c = (struct ledger_change){ .op = LEDGER_OP_FINISH,
					    .handouts = &h,
					    .n_handouts = 1 };
		c.row.id = id;
		c.row.state = LEDGER_DONE;
		assert_int_equal(post(l, &c, 1), 0); /* too late */
		expect_gone(id, 5, false);
		id = put_handed(l, "d/a", 3);
		if (flushed)
			barrier(l);
		c = (struct ledger_change){ .op = LEDGER_OP_MOVE,
					    .root = "",
					    .path = "x",
					    .to_root = "",
					    .to_path = "d/a" };
		assert_int_equal(post(l, &c, 1), 0);
		expect_gone(id, 3, true);
		id = put_handed(l, "d/e/a", 4);
		c = (struct ledger_change){ .op = LEDGER_OP_MOVE_TREE,
					    .root = "",
					    .path = "y",
					    .to_root = "",
					    .to_path = "d" };
		assert_int_equal(post(l, &c, 1), 0);
		expect_gone(id, 4, true);
	}
	ledger_close(l);
}

/* ---- more than the cache holds ---- */

static void many_rows(void **state)
{
	enum { N = 12000 };
	struct ledger *l = ledger_at(*state, LEDGER_NONE);
	AUTO_FREE int64_t *id = calloc(N, sizeof(*id));

	assert_non_null(id);
	for (int i = 0; i < N; i++) {
		AUTO_FREE char *path = str_printf("%d/%d", i % 10, i);

		id[i] = put_handed(l, path, (uint32_t)i);
		if (i % 5000 == 4999)
			barrier(l);
	}
	for (int i = 0; i < N; i += 3) {
		struct ledger_change c = { .op = LEDGER_OP_REMOVE };

		c.row.id = id[i];
		assert_int_equal(post(l, &c, 1), 0);
	}
	for (int i = 0; i < N; i++) {
		AUTO_FREE char *path = str_printf("%d/%d", i % 10, i);
		struct key key = sample_key(1);

		assert_int_equal(id_of(l, "", path), i % 3 ? id[i] : 0);
		assert_int_equal(ledger_named(l, &key, (uint32_t)i, 0), i % 3 != 0);
	}
	ledger_close(l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_record_comes_back),
		T(bytes_that_are_no_record),
		T(torn_at_every_byte),
		T(a_bad_byte),
		T(other_journals),
		T(a_missing_journal),
		T(trees_are_replayed),
		T(torn_hand_outs),
		T(renames_and_roots_are_replayed),
		T(no_room_for_a_record),
		T(replay_on_a_full_disk),
		T(a_long_journal),
		T(killed_at_every_step),
		T(killed_while_replaying),
		T(rows_that_go_are_told),
		T(many_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
