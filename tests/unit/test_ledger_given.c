/*
 * test_ledger_given.c - hand-outs of namespaces: kept, renamed with their files, forgotten; roots that go
 */
#include "ledger_fixture.h"

#include "base/mono.h"

static struct ledger *led;

static int setup(void **state)
{
	(void)scratch_setup(state);
	led = ledger_at(*state, LEDGER_GROUP);
	return 0;
}

static int teardown(void **state)
{
	led = ledger_close(led);
	return scratch_teardown(state);
}

static void reopen(void **state)
{
	assert_null(ledger_close(led));
	led = ledger_at(*state, LEDGER_GROUP);
}

/* a tree of nothing: whatever was posted before is in the database then */
static void barrier(void)
{
	struct ledger_change c = { .op = LEDGER_OP_MOVE_TREE,
				   .root = "none",
				   .path = "",
				   .to_root = "none2",
				   .to_path = "" };

	assert_int_equal(post(led, &c, 1), 0);
}

static struct ledger_change give(const char *root, const char *id, uint32_t pos,
				 const struct ledger_given *v, size_t n)
{
	return (struct ledger_change){ .op = LEDGER_OP_GIVE,
				       .give = { .ns = "ns",
						 .root = root,
						 .request_id = id,
						 .key = sample_key(1),
						 .pos = pos,
						 .v = v,
						 .n = n } };
}

/* one sample of key 1 */
static void given(const char *root, const char *id, uint32_t pos, uint32_t index)
{
	struct ledger_given v = { sample_key(1), index };
	struct ledger_change c = give(root, id, pos, &v, 1);

	assert_int_equal(post(led, &c, 1), 0);
}

/* of a line of the job at path */
static void given_line(const char *root, const char *path, const char *id, uint32_t index)
{
	struct ledger_given v = { sample_key(1), index };
	struct ledger_change c = give(root, id, 0, &v, 1);

	c.give.path = path;
	assert_int_equal(post(led, &c, 1), 0);
}

/* "3 1 7": the indices of key 1 in order, "": none */
static void expect(const char *id, const char *want)
{
	struct key key = sample_key(1);
	struct ledger_given *v = NULL;
	char got[256] = "";
	size_t n = 99;

	assert_int_equal(ledger_given(led, "ns", &key, id, &v, &n), 0);
	for (size_t i = 0; i < n; i++) {
		assert_true(key_equal(&v[i].key, &key));
		(void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%u", i ? " " : "",
			       v[i].index);
	}
	free(v);
	assert_string_equal(got, want);
}

static void expect_used(const char *want)
{
	struct key key = sample_key(1);
	uint32_t *v = NULL;
	char got[256] = "";
	size_t n = 99;

	assert_int_equal(ledger_given_used(led, "ns", &key, &v, &n), 0);
	for (size_t i = 0; i < n; i++)
		(void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%u", i ? " " : "",
			       v[i]);
	free(v);
	assert_string_equal(got, want);
}

static int64_t counter(const char *ns, enum ledger_ns_counter which)
{
	int64_t v[LEDGER_NS_COUNTERS];

	assert_int_equal(ledger_ns_counters(led, ns, v), 0);
	return v[which];
}

static int rename_op(enum ledger_op op, const char *from, const char *to)
{
	struct ledger_change c = {
		.op = op, .root = "", .path = from, .to_root = "", .to_path = to
	};

	return post(led, &c, 1);
}

/* ---- what fails ---- */

static void what_is_no_hand_out(void **state)
{
	struct ledger_given v = { sample_key(1), 0 };
	int64_t add[LEDGER_NS_COUNTERS] = { 1 };
	struct ledger_change good = give(NULL, "a", 0, &v, 1), c[2];

	(void)state;
	expect("a", "");
	expect_used("");
	assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), 0);
	for (int i = 0; i < 8; i++) {
		c[0] = good; /* undone with its neighbour */
		c[1] = good;
		if (i == 0)
			c[1].give.ns = "";
		else if (i == 1)
			c[1].give.ns = NULL;
		else if (i == 2)
			c[1].give.request_id = "";
		else if (i == 3)
			c[1].give.v = NULL;
		else if (i == 4)
			c[1].give.root = "", c[1].give.path = "b";
		else if (i == 5)
			c[1].give.root = "", c[1].give.path = "";
		else if (i == 6)
			c[1] = (struct ledger_change){ .op = LEDGER_OP_NS_COUNT,
						       .ns_count = { .ns = "", .add = add } };
		else
			c[1] = (struct ledger_change){ .op = LEDGER_OP_NS_COUNT,
						       .ns_count = { .ns = "ns" } };
		assert_int_equal(post(led, c, 2), -EINVAL);
	}
	expect("a", "");
	expect_used("");
	for (int i = 0; i < 4; i++) {
		c[0] = (struct ledger_change){ .op = i & 1 ? LEDGER_OP_NS_FORGET
							   : LEDGER_OP_DROP_ROOT,
					       .root = i & 2 ? "" : NULL };
		assert_int_equal(post(led, c, 1), -EINVAL);
		c[0].root = "ns";
		c[1] = good;
		assert_int_equal(post(led, c, 2), -EINVAL); /* not alone */
	}
	c[0] = (struct ledger_change){
		.op = LEDGER_OP_MOVE, .root = "", .path = "a", .to_root = "", .to_path = "b"
	};
	c[1] = good;
	assert_int_equal(post(led, c, 2), -EINVAL);
	c[0] = good;
	c[0].give.n = 0;
	assert_int_equal(post(led, c, 1), 0);
	expect("a", "");
}

/* ---- what is kept ---- */

static void all_of_a_posting_or_nothing(void **state)
{
	struct ledger_given v[3] = { { sample_key(1), 4 },
				     { sample_key(2), 9 },
				     { sample_key(1), 2 } },
			    *got;
	int64_t add[LEDGER_NS_COUNTERS] = { [LEDGER_NS_REQUESTS] = 1,
					    [LEDGER_NS_COST_NANO_USD] = -5,
					    [LEDGER_NS_AGAIN_NANO_USD] = INT64_MAX };
	struct ledger_change row = put_change(led, "ns", "sky", LEDGER_ACCEPTED), c[4];
	struct key k1 = sample_key(1), k2 = sample_key(2);
	uint32_t *used;
	size_t n;

	assert_int_equal(post(led, &row, 1), 0);
	c[0] = row;
	c[0].op = LEDGER_OP_FINISH;
	c[0].row.state = LEDGER_DONE;
	c[1] = give("ns", "sky", 0, v, 3);
	c[2] = (struct ledger_change){ .op = LEDGER_OP_NS_COUNT,
				       .ns_count = { .ns = "ns", .add = add } };
	c[3] = (struct ledger_change){ .op = LEDGER_OP_PUT };
	assert_int_equal(post(led, c, 4), -EINVAL);
	expect_used("");
	assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), 0);
	assert_int_equal(post(led, c, 3), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ledger_given(led, "ns", &k1, "sky", &got, &n), 0);
		assert_int_equal(n, 3);
		assert_true(key_equal(&got[1].key, &k2));
		assert_int_equal(got[0].index, 4);
		assert_int_equal(got[1].index, 9);
		assert_int_equal(got[2].index, 2);
		free(got);
		expect_used("2 4");
		assert_int_equal(ledger_given_used(led, "ns", &k2, &used, &n), 0);
		assert_int_equal(n, 1);
		free(used);
		assert_int_equal(ledger_given(led, "other", &k1, "sky", &got, &n), 0);
		assert_int_equal(n, 0);
		assert_int_equal(ledger_given(led, "ns", &k2, "sky", &got, &n), 0);
		assert_int_equal(n, 0);
		assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), 1);
		assert_int_equal(counter("ns", LEDGER_NS_COST_NANO_USD), -5);
		assert_int_equal(counter("ns", LEDGER_NS_AGAIN_NANO_USD), INT64_MAX);
		assert_int_equal(counter("other", LEDGER_NS_REQUESTS), 0);
		if (i)
			reopen(state);
		else
			barrier();
	}
}

/* The same again, more of it, and another sample where one was; half of it in the database. */
static void extended(void **state)
{
	struct ledger_given v[3] = { { sample_key(1), 0 },
				     { sample_key(1), 1 },
				     { sample_key(1), 2 } };
	const struct ledger_given five = { sample_key(1), 5 };
	struct ledger_change c = give(NULL, "x", 0, v, 2);

	for (int flushed = 0; flushed < 2; flushed++) {
		c.give.v = v;
		c.give.n = 2;
		assert_int_equal(post(led, &c, 1), 0);
		if (flushed)
			barrier();
		expect("x", flushed ? "0 1 2" : "0 1");
		assert_int_equal(post(led, &c, 1), 0);
		expect("x", flushed ? "0 1 2" : "0 1");
		given(NULL, "x", 2, 2);
		if (flushed)
			barrier();
		c.give.v = &five;
		c.give.n = 1;
		assert_int_equal(post(led, &c, 1), 0);
		expect("x", "5 1 2");
		expect_used("0 1 2 5"); /* what it had stays used */
		barrier();
		expect("x", "5 1 2");
		expect_used("0 1 2 5");
	}
	reopen(state);
	expect("x", "5 1 2");
	expect_used("0 1 2 5");
}

/* ---- renames ---- */

static void ids_follow_their_file(void **state)
{
	for (int flushed = 0; flushed < 2; flushed++) {
		int64_t row = put_row(led, "", "a");

		given("", "a", 0, 10);
		given("", "a", 1, 11);
		given(NULL, "a/own", 0, 20);
		given("", "a/file", 0, 30); /* a file in directory a, which is not renamed */
		given_line("", "a", "a/1", 40);
		given("other", "b/none", 0, 50);
		if (flushed)
			barrier();
		assert_int_equal(rename_op(LEDGER_OP_MOVE, "a", "d\xff/b"), 0);
		assert_int_equal(id_of(led, "", "d\xff/b"), row);
		expect("a", "");
		expect("d\xff/b", "10 11");
		expect("a/own", "20");
		expect("a/file", "30");
		expect("a/1", "");
		expect("d\xff/b/1", "40");
		expect("b/none", "50");
		assert_int_equal(rename_op(LEDGER_OP_MOVE, "d\xff/b", "a"), 0);
		expect("a", "10 11");
		expect("a/1", "40");
		assert_int_equal(rename_op(LEDGER_OP_MOVE_TREE, "a", "z/y"), 0);
		expect("z/y/file", "30");
		expect("a/file", "");
		expect("a", "10 11");
		expect("a/1", "40");
		assert_int_equal(rename_op(LEDGER_OP_MOVE_TREE, "z/y", "a"), 0);
		expect("a/file", "30");
		reopen(state);
		expect("a", "10 11");
		expect("a/1", "40");
		expect_used("10 11 20 30 40 50");
	}
}

/* Its old row goes as ever, and so does the id; what it had is not handed out again. */
static void a_taken_id(void **state)
{
	struct ledger_change c = put_change(led, "", "b", LEDGER_DONE);

	assert_int_equal(post(led, &c, 1), 0);
	given("", "a", 0, 1);
	given("", "b", 0, 2);
	given("", "b", 1, 3);
	given(NULL, "c", 0, 4);
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "a", "b"), 0);
	assert_int_equal(id_of(led, "", "b"), 0);
	expect("a", "");
	expect("b", "1");
	expect_used("1 2 3 4");
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "b", "c"), 0); /* a user's own */
	expect("c", "1");
	expect_used("1 2 3 4");
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "draft", "c"), 0); /* as editors save */
	expect("c", "1");
	reopen(state);
	expect("c", "1");
	expect_used("1 2 3 4");
}

static void swapped(void **state)
{
	int64_t row = put_row(led, "", "a");

	given("", "a", 0, 1);
	given_line("", "a", "a/l", 2);
	given("", "b", 0, 3);
	given("", "b", 1, 4);
	given("", "d/x", 0, 5);
	given("", "e/x", 0, 6);
	given("", "e/y", 0, 7);
	assert_int_equal(rename_op(LEDGER_OP_SWAP, "b", "a"), 0);
	assert_int_equal(id_of(led, "", "b"), row);
	expect("b", "1");
	expect("b/l", "2");
	expect("a", "3 4");
	expect("a/l", "");
	assert_int_equal(rename_op(LEDGER_OP_SWAP_TREE, "d", "e"), 0);
	expect("e/x", "5");
	expect("d/x", "6");
	expect("d/y", "7");
	expect("e/y", "");
	assert_int_equal(rename_op(LEDGER_OP_SWAP, "b", "b/l"),
			 0); /* one inside the other's name */
	expect("b/l", "1");
	expect("b/l/l", "2");
	reopen(state);
	expect("b/l", "1");
	expect_used("1 2 3 4 5 6 7");
}

static void to_another_root(void **state)
{
	struct ledger_change c = {
		.op = LEDGER_OP_MOVE_TREE, .root = "", .path = "", .to_root = "two", .to_path = "in"
	};

	(void)state;
	given("", "a", 0, 1);
	given("", "d/b", 0, 2);
	given("two", "in/a", 0, 3);
	assert_int_equal(post(led, &c, 1), 0);
	expect("in/a", "1");
	expect("in/d/b", "2");
	expect_used("1 2 3");
	c.op = LEDGER_OP_MOVE;
	c.root = "two";
	c.path = "in/d/b";
	c.to_root = "";
	c.to_path = "b";
	assert_int_equal(post(led, &c, 1), 0);
	expect("b", "2");
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "in/a", "x"), 0); /* that one lies in "two" */
	expect("in/a", "1");
}

/* ---- forgetting ---- */

static struct {
	size_t n, h;
	const char *root;
} gone;

static void on_gone(void *arg, const struct ledger_row *row, const struct ledger_handout *h,
		    size_t n)
{
	struct ledger_row r;

	(void)arg;
	assert_string_equal(row->root, gone.root);
	assert_int_equal(ledger_get(led, row->id, &r), -ENOENT); /* no lock is held */
	gone.n++;
	gone.h += n;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ledger_named(led, &h[i].key, h[i].index, h[i].variant), 0);
}

static void put_many(const char *root, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		AUTO_FREE char *path = str_printf("%s%u", i % 2 ? "d/" : "", i);
		struct ledger_handout h = { .key = sample_key(i), .index = n };
		struct ledger_change c = put_change(led, root, path, LEDGER_DONE);

		c.handouts = &h;
		c.n_handouts = i % 3 != 0;
		assert_int_equal(post(led, &c, 1), 0);
	}
}

static void roots_that_go(void **state)
{
	enum { N = 1700 };
	struct ledger_change c = { .op = LEDGER_OP_DROP_ROOT,
				   .root = "\002"
					   "7" };
	int64_t add[LEDGER_NS_COUNTERS] = { 3 };
	struct ledger_change count = { .op = LEDGER_OP_NS_COUNT,
				       .ns_count = { .ns = "ns", .add = add } };
	struct ledger_row r;
	int64_t other;

	ledger_watch(led, on_gone, NULL);
	gone.root = "\002"
		    "7";
	gone.n = gone.h = 0;
	put_many("\002"
		 "7",
		 N);
	put_many("ns", 3);
	other = put_row(led, "", "0");
	given("ns", "0", 0, 5);
	assert_int_equal(post(led, &count, 1), 0);
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(gone.n, N);
	assert_int_equal(gone.h, N - (N + 2) / 3);
	assert_int_equal(ledger_next_child(led,
					   "\002"
					   "7",
					   "", "", &r),
			 -ENOENT);
	assert_int_equal(ledger_next_child(led,
					   "\002"
					   "7",
					   "d", "", &r),
			 -ENOENT);
	assert_int_equal(id_of(led, "", "0"), other);
	assert_true(id_of(led, "ns", "d/1") != 0);
	assert_int_equal(post(led, &c, 1), 0); /* nothing there any more */
	assert_int_equal(gone.n, N);
	assert_true(put_row(led,
			    "\002"
			    "7",
			    "x") != 0);
	gone.root = "ns";
	gone.n = 0;
	c = (struct ledger_change){ .op = LEDGER_OP_NS_FORGET, .root = "ns" };
	expect("0", "5");
	assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), 3);
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(gone.n, 3);
	expect("0", "");
	expect_used("");
	assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), 0);
	assert_int_equal(post(led, &count, 1), 0); /* a new one of that name */
	assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), 3);
	reopen(state);
	assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), 3);
	assert_true(id_of(led,
			  "\002"
			  "7",
			  "x") != 0);
	assert_int_equal(id_of(led, "", "0"), other);
	expect_used("");
}

/* ---- a full disk ---- */

/* The counters and hand-outs that could not be recorded are not there; the flush that failed is made up. */
static void full_disk(void **state)
{
	AUTO_FREE char *filler = str_printf("%s/filler", (char *)*state);
	AUTO_FREE struct ledger_given *v = calloc(1000, sizeof(*v));
	int64_t add[LEDGER_NS_COUNTERS] = { 1 };
	char page[4096] = { 'x' }, id[16];
	struct ledger_change c[2];
	uint32_t n = 0;
	int rc = 0, fd;

	assert_non_null(v);
	led = ledger_close(led);
	if (!full_disk_mount(*state, "4m")) {
		led = ledger_at(*state, LEDGER_GROUP);
		return;
	}
	led = ledger_at(*state, LEDGER_GROUP);
	fd = open(filler, O_CREAT | O_WRONLY, 0600);
	while (write(fd, page, sizeof(page)) > 0)
		;
	c[1] = (struct ledger_change){ .op = LEDGER_OP_NS_COUNT,
				       .ns_count = { .ns = "ns", .add = add } };
	while (!rc && n < 1000) {
		(void)snprintf(id, sizeof(id), "%u", n);
		for (uint32_t i = 0; i < 1000; i++)
			v[i] = (struct ledger_given){ sample_key(2), n * 1000 + i };
		c[0] = give("", id, 0, v, 1000);
		rc = post(led, c, 2);
		n += !rc;
	}
	assert_int_equal(rc, -ENOSPC);
	expect(id, "");
	assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), n);
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "0", "a"), n ? -ENOSPC : 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	(void)close(fd);
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "0", "a"), 0);
	assert_int_equal(post(led, c, 2), 0);
	for (int i = 0; i < 2; i++) {
		struct key key = sample_key(1), key2 = sample_key(2);
		struct ledger_given *got;
		uint32_t *used;
		size_t got_n;

		assert_int_equal(counter("ns", LEDGER_NS_REQUESTS), n + 1);
		assert_int_equal(ledger_given(led, "ns", &key, id, &got, &got_n), 0);
		assert_int_equal(got_n, 1000);
		free(got);
		assert_int_equal(ledger_given(led, "ns", &key, n ? "a" : id, &got, &got_n), 0);
		assert_int_equal(got_n, 1000);
		free(got);
		assert_int_equal(ledger_given_used(led, "ns", &key2, &used, &got_n), 0);
		assert_int_equal(got_n, (n + 1) * 1000);
		free(used);
		reopen(state);
	}
	led = ledger_close(led);
	full_disk_unmount(*state);
	led = ledger_at(*state, LEDGER_GROUP);
}

/* ---- many ---- */

static uint64_t since(uint64_t *t)
{
	uint64_t now = mono_ns(), ms = (now - *t) / MONO_MS;

	*t = now;
	return ms;
}

/* One directory with very many names: listed once, while the last of them are still dirty. LEDGER_MANY=N */
static void very_many(void **state)
{
	const char *many = getenv("LEDGER_MANY");
	unsigned n = many ? (unsigned)strtoul(many, NULL, 10) : 12000, seen = 0;
	char after[24] = "", id[24];
	struct ledger_given v = { sample_key(1), 0 };
	struct ledger_change c[2];
	struct ledger_row r;
	uint64_t t = mono_ns();

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "many/%07u", i * 7919 % n);
		c[0] = put_change(led,
				  "\002"
				  "1",
				  id + 5, LEDGER_DONE);
		c[0].row.facts = text("{\"some\":\"facts of the line, as long as they are\"}");
		c[1] = give("", id, 0, &v, 1);
		c[1].give.key = sample_key(i % 50);
		c[1].give.path = "many";
		v.index = i;
		assert_int_equal(post(led, c, 2), 0);
	}
	print_message("%u posted in %llu ms\n", n, (unsigned long long)since(&t));
	while (ledger_next_child(led,
				 "\002"
				 "1",
				 "", after, &r) == 0) {
		assert_true(strcmp(r.path, after) > 0);
		(void)snprintf(after, sizeof(after), "%s", r.path);
		ledger_row_done(&r);
		seen++;
	}
	print_message("listed in %llu ms\n", (unsigned long long)since(&t));
	assert_int_equal(seen, n);
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "many", "lots"), 0);
	print_message("renamed in %llu ms\n", (unsigned long long)since(&t));
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(rename_op(LEDGER_OP_MOVE, "draft", "done"), 0);
	print_message("1000 renames of others in %llu ms\n", (unsigned long long)since(&t));
	c[0] = (struct ledger_change){ .op = LEDGER_OP_DROP_ROOT,
				       .root = "\002"
					       "1" };
	assert_int_equal(post(led, c, 1), 0);
	print_message("dropped in %llu ms\n", (unsigned long long)since(&t));
	c[0] = (struct ledger_change){ .op = LEDGER_OP_NS_FORGET, .root = "ns" };
	assert_int_equal(post(led, c, 1), 0);
	print_message("forgotten in %llu ms\n", (unsigned long long)since(&t));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_no_hand_out),
		T(all_of_a_posting_or_nothing),
		T(extended),
		T(ids_follow_their_file),
		T(a_taken_id),
		T(swapped),
		T(to_another_root),
		T(roots_that_go),
		T(full_disk),
		T(very_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
