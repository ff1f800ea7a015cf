/*
 * test_ledger.c - rows, hand-outs, objects and counters: what is posted is there, whole, afterwards
 */
#include "ledger_fixture.h"

#include <pthread.h>

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

/* ---- what fails ---- */

static void nothing_there(void **state)
{
	struct ledger_row r = { .id = 9 };
	struct ledger_handout *h = NULL;
	struct key key = sample_key(1);
	char *req = NULL;
	size_t n = 9;

	(void)state;
	assert_int_equal(ledger_find(led, "", "any", &r), -ENOENT);
	assert_int_equal(ledger_get(led, 1, &r), -ENOENT);
	assert_int_equal(ledger_next_child(led, "", "", "", &r), -ENOENT);
	assert_int_equal(r.id, 9);
	assert_int_equal(ledger_request(led, 1, &req, &n), -ENOENT);
	assert_int_equal(n, 9);
	assert_int_equal(ledger_handouts(led, 1, &h, &n), 0);
	assert_int_equal(n, 0);
	assert_null(h);
	assert_int_equal(ledger_named(led, &key, 0, 0), 0);
	assert_null(ledger_close(NULL));
	ledger_row_done(NULL);
}

/* One bad posting is undone alone, and entirely. */
static void neighbours_of_a_failure(void **state)
{
	struct ledger_change twice[2], good;

	(void)state;
	twice[0] = put_change(led, "", "a", LEDGER_DONE);
	twice[1] = put_change(led, "", "b", LEDGER_DONE);
	twice[1].row.id = twice[0].row.id;
	assert_int_equal(post(led, twice, 2), -EEXIST);
	assert_int_equal(id_of(led, "", "a"), 0);
	good = put_change(led, "", "c", LEDGER_DONE);
	assert_int_equal(post(led, &good, 1), 0);
	assert_int_equal(id_of(led, "", "c"), good.row.id);
	twice[1].row.path = NULL;
	assert_int_equal(post(led, twice, 2), -EINVAL);
	twice[1].op = (enum ledger_op)99;
	assert_int_equal(post(led, twice, 2), -EINVAL);
	twice[1] = (struct ledger_change){ .op = LEDGER_OP_MOVE, .root = "", .path = "c" };
	assert_int_equal(post(led, twice, 2), -EINVAL);
	assert_int_equal(id_of(led, "", "a"), 0);
	assert_int_equal(post(led, twice, 0), 0);
}

static void closing_refuses(struct ledger_post *p, int result)
{
	struct ledger_post *again = (struct ledger_post *)(void *)p->changes;

	assert_int_equal(result, 0);
	if (again)
		ledger_post(led, again); /* from done() itself: the queue goes on */
}

static int n_done;

static void count_done(struct ledger_post *p, int result)
{
	(void)p;
	assert_true(result == 0 || result == -ESHUTDOWN);
	n_done++;
}

/* What is queued at close is committed; done() of all is called. */
static void close_commits_the_queue(void **state)
{
	enum { N = 2000 };
	static struct ledger_post posts[N];
	static struct ledger_change changes[N];
	static char paths[N][16];

	n_done = 0;
	for (int i = 0; i < N; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "q/%d", i);
		changes[i] = put_change(led, "", paths[i], LEDGER_ACCEPTED);
		posts[i] = (struct ledger_post){ .changes = &changes[i],
						 .n_changes = 1,
						 .done = count_done };
		ledger_post(led, &posts[i]);
	}
	reopen(state);
	assert_int_equal(n_done, N);
	for (int i = 0; i < N; i++)
		assert_int_equal(id_of(led, "", paths[i]), changes[i].row.id);
}

static void posting_from_done(void **state)
{
	struct ledger_post second = { .done = count_done };
	struct ledger_post first = { .changes = (struct ledger_change *)(void *)&second,
				     .done = closing_refuses };

	n_done = 0;
	ledger_post(led, &first);
	reopen(state);
	assert_int_equal(n_done, 1);
}

/* ---- rows ---- */

static void expect_row(const struct ledger_row *got, const struct ledger_row *want)
{
	assert_int_equal(got->id, want->id);
	assert_int_equal(got->gen, want->gen);
	assert_int_equal(got->state, want->state);
	assert_string_equal(got->root, want->root);
	assert_string_equal(got->path, want->path);
	assert_int_equal(got->has_key, want->has_key);
	if (want->has_key)
		assert_true(key_equal(&got->key, &want->key));
	assert_true(key_equal(&got->file_sha, &want->file_sha));
	assert_int_equal(got->n, want->n);
	assert_int_equal(got->cache_mode, want->cache_mode);
	assert_int_equal(got->accepted_ns, want->accepted_ns);
	assert_int_equal(got->final_ns, want->final_ns);
	assert_int_equal(got->text_bytes, want->text_bytes);
	for (int i = 0; i < 4; i++) {
		const char *g = i == 0	 ? got->suffix
				: i == 1 ? got->envelope
				: i == 2 ? got->facts
					 : got->error;
		const char *w = i == 0	 ? want->suffix
				: i == 1 ? want->envelope
				: i == 2 ? want->facts
					 : want->error;

		assert_int_equal(g != NULL, w != NULL);
		if (w)
			assert_string_equal(g, w);
	}
}

static void a_row_comes_back(void **state)
{
	struct ledger_change c = put_change(led, "name", "deep/er/x\xff\n'", LEDGER_ACCEPTED);
	struct ledger_row r;
	char *req;
	size_t n;

	c.row.gen = 7;
	c.row.has_key = true;
	c.row.key = sample_key(1);
	c.row.file_sha = sample_key(2);
	c.row.n = 5;
	c.row.cache_mode = 2;
	c.row.envelope = text("{\"request_id\":\"x\"}");
	c.row.error = text("");
	c.row.final_ns = UINT64_MAX >> 1;
	c.row.text_bytes = 1ULL << 40;
	c.request = "{\0}";
	c.request_len = 3;
	assert_int_equal(post(led, &c, 1), 0);
	reopen(state);
	assert_int_equal(ledger_find(led, "name", "deep/er/x\xff\n'", &r), 0);
	expect_row(&r, &c.row);
	ledger_row_done(&r);
	assert_int_equal(ledger_get(led, c.row.id, &r), 0);
	expect_row(&r, &c.row);
	ledger_row_done(&r);
	assert_int_equal(ledger_find(led, "", "deep/er/x\xff\n'", &r), -ENOENT);
	assert_int_equal(ledger_request(led, c.row.id, &req, &n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(req, "{\0}", 3);
	free(req);
}

static struct ledger_handout handout(unsigned k, uint32_t pos, uint32_t index, uint32_t variant)
{
	return (struct ledger_handout){ .pos = pos,
					.key = sample_key(k),
					.index = index,
					.variant = variant,
					.cached = pos % 2,
					.duplicated = pos == 2 };
}

/* ACCEPTED, then DONE with its samples: the request's bytes are no longer needed. */
static void a_life(void **state)
{
	struct ledger_change c = put_change(led, "", "sky", LEDGER_ACCEPTED);
	struct ledger_handout h[3] = { handout(1, 2, 9, 0), handout(1, 0, 4, 1),
				       handout(2, 1, 4, 0) },
			      *got;
	struct key k1 = sample_key(1), k2 = sample_key(2);
	struct ledger_row r;
	char *req;
	size_t n;

	(void)state;
	c.request = "{}";
	c.request_len = 2;
	assert_int_equal(post(led, &c, 1), 0);
	c.op = LEDGER_OP_FINISH;
	c.row.state = LEDGER_DONE;
	c.row.facts = text("{\"a\":1}");
	c.row.final_ns = 77;
	c.row.text_bytes = 5;
	c.handouts = h;
	c.n_handouts = 3;
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(ledger_get(led, c.row.id, &r), 0);
	expect_row(&r, &c.row);
	ledger_row_done(&r);
	assert_int_equal(ledger_request(led, c.row.id, &req, &n), -ENOENT);
	assert_int_equal(ledger_handouts(led, c.row.id, &got, &n), 0);
	assert_int_equal(n, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct ledger_handout *want = &h[(i + 1) % 3];

		assert_int_equal(got[i].pos, i);
		assert_int_equal(got[i].request, c.row.id);
		assert_true(key_equal(&got[i].key, &want->key));
		assert_int_equal(got[i].index, want->index);
		assert_int_equal(got[i].variant, want->variant);
		assert_int_equal(got[i].cached, i % 2);
		assert_int_equal(got[i].duplicated, i == 2);
	}
	free(got);
	assert_int_equal(ledger_named(led, &k1, 4, 1), 1);
	assert_int_equal(ledger_named(led, &k1, 4, 0), 0);
	assert_int_equal(ledger_named(led, &k2, 4, 0), 1);
	c.op = LEDGER_OP_REMOVE;
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(ledger_named(led, &k1, 4, 1), 0);
	assert_int_equal(ledger_handouts(led, c.row.id, &got, &n), 0);
	assert_int_equal(n, 0);
	c.op = LEDGER_OP_FINISH; /* it was still running somewhere: it stays gone */
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(ledger_get(led, c.row.id, &r), -ENOENT);
	assert_int_equal(ledger_named(led, &k1, 4, 1), 0);
}

static void failed_rows_keep_their_request(void **state)
{
	struct ledger_change c = put_change(led, "", "sky", LEDGER_ACCEPTED);
	char *req;
	size_t n;

	(void)state;
	c.request = "{}";
	c.request_len = 2;
	assert_int_equal(post(led, &c, 1), 0);
	c.op = LEDGER_OP_FINISH;
	c.row.state = LEDGER_FAILED;
	c.row.error = text("{\"errno\":\"EINVAL\"}");
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(ledger_request(led, c.row.id, &req, &n), 0);
	free(req);
	(void)put_row(led, "", "sky");
	assert_int_equal(ledger_request(led, c.row.id, &req, &n), -ENOENT);
}

static void takeover(void **state)
{
	struct ledger_handout h = handout(1, 0, 0, 0);
	struct ledger_change c = put_change(led, "", "sky", LEDGER_DONE);
	struct key key = sample_key(1);
	int64_t first = c.row.id, second;
	struct ledger_row r;

	(void)state;
	c.handouts = &h;
	c.n_handouts = 1;
	c.request = "not kept for a finished one";
	c.request_len = 5;
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(ledger_named(led, &key, 0, 0), 1);
	second = put_row(led, "", "sky");
	assert_int_equal(id_of(led, "", "sky"), second);
	assert_int_equal(ledger_get(led, first, &r), -ENOENT);
	assert_int_equal(ledger_named(led, &key, 0, 0), 0);
	assert_int_not_equal(put_row(led, "other", "sky"), second);
	assert_int_equal(id_of(led, "", "sky"), second);
}

/* ---- renames ---- */

static int rename_op(enum ledger_op op, const char *from, const char *to)
{
	struct ledger_change c = {
		.op = op, .root = "", .path = from, .to_root = "", .to_path = to
	};

	return post(led, &c, 1);
}

static uint32_t gen_of(int64_t id)
{
	struct ledger_row r;
	uint32_t gen;

	assert_int_equal(ledger_get(led, id, &r), 0);
	gen = r.gen;
	ledger_row_done(&r);
	return gen;
}

static void moving(void **state)
{
	int64_t a = put_row(led, "", "a"), b = put_row(led, "", "d/b");
	struct ledger_change c = {
		.op = LEDGER_OP_MOVE, .root = "", .path = "d/b", .to_root = "ns", .to_path = "x/y/z"
	};
	struct ledger_row r;

	(void)state;
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "a", "d/b"), 0);
	assert_int_equal(id_of(led, "", "d/b"), a);
	assert_int_equal(id_of(led, "", "a"), 0);
	assert_int_equal(gen_of(a), 1);
	assert_int_equal(ledger_get(led, b, &r), -ENOENT);
	c.row.suffix = text(".txt");
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(ledger_find(led, "ns", "x/y/z", &r), 0);
	assert_int_equal(r.id, a);
	assert_int_equal(r.gen, 2);
	assert_string_equal(r.suffix, ".txt");
	ledger_row_done(&r);
	b = put_row(led, "", "b");
	c = (struct ledger_change){
		.op = LEDGER_OP_MOVE, .root = "", .path = "b", .to_root = "", .to_path = "b"
	};
	c.row.suffix = text(".md"); /* b.json -> b.md */
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(id_of(led, "", "b"), b);
	assert_int_equal(rename_op(LEDGER_OP_MOVE, "draft", "b"), 0); /* a file without a row */
	assert_int_equal(id_of(led, "", "b"), 0);
}

static void swapping(void **state)
{
	int64_t a = put_row(led, "", "a"), b = put_row(led, "", "d/b");

	(void)state;
	assert_int_equal(rename_op(LEDGER_OP_SWAP, "a", "d/b"), 0);
	assert_int_equal(id_of(led, "", "a"), b);
	assert_int_equal(id_of(led, "", "d/b"), a);
	assert_int_equal(gen_of(a), 1);
	assert_int_equal(gen_of(b), 1);
	assert_int_equal(rename_op(LEDGER_OP_SWAP, "a", "none"), 0);
	assert_int_equal(id_of(led, "", "none"), b);
	assert_int_equal(id_of(led, "", "a"), 0);
	assert_int_equal(rename_op(LEDGER_OP_SWAP, "none", "none"), 0);
	assert_int_equal(id_of(led, "", "none"), b);
	assert_int_equal(gen_of(b), 2);
}

/* Names that sort close to "dir/", and ones that SQL patterns would take for more. */
static const char *const near[] = { "dir", "dir.x", "dir-x", "dir0",   "dirx/a",
				    "di",  "d%r/a", "DIR/a", "dir\xff" };
static const char *const inside[] = { "dir/a",	 "dir/sub/b", "dir/sub/deep/c", "dir/\xff\xfe/d",
				      "dir/%/_", "dir/a'b",   "dir/\xc3\xa9/e" };

static void moving_trees(void **state)
{
	int64_t n_ids[ARRAY_LEN(near)], i_ids[ARRAY_LEN(inside)],
		old = put_row(led, "", "to/\xc3\xa9/sub/b");
	struct ledger_row r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(near); i++)
		n_ids[i] = put_row(led, "", near[i]);
	for (size_t i = 0; i < ARRAY_LEN(inside); i++)
		i_ids[i] = put_row(led, "", inside[i]);
	assert_int_equal(rename_op(LEDGER_OP_MOVE_TREE, "dir", "to/\xc3\xa9"), 0);
	assert_int_equal(ledger_get(led, old, &r), -ENOENT);
	for (size_t i = 0; i < ARRAY_LEN(near); i++)
		assert_int_equal(id_of(led, "", near[i]), n_ids[i]);
	for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
		AUTO_FREE char *to = str_printf("to/\xc3\xa9/%s", inside[i] + 4);

		assert_int_equal(id_of(led, "", inside[i]), 0);
		assert_int_equal(id_of(led, "", to), i_ids[i]);
		assert_int_equal(gen_of(i_ids[i]), 1);
	}
	assert_int_equal(rename_op(LEDGER_OP_MOVE_TREE, "to", "to/x"), -EINVAL);
	assert_int_equal(rename_op(LEDGER_OP_MOVE_TREE, "to/x", "to"), -EINVAL);
	assert_int_equal(rename_op(LEDGER_OP_MOVE_TREE, "to", "to"), 0);
	assert_int_equal(rename_op(LEDGER_OP_MOVE_TREE, "none", "to/\xc3\xa9/sub"),
			 0); /* onto it: gone */
	assert_int_equal(id_of(led, "", "to/\xc3\xa9/sub/b"), 0);
	assert_int_equal(id_of(led, "", "to/\xc3\xa9/a"), i_ids[0]);
}

static void moving_whole_roots(void **state)
{
	struct ledger_change c = { .op = LEDGER_OP_MOVE_TREE,
				   .root = "one",
				   .path = "",
				   .to_root = "two",
				   .to_path = "" };
	int64_t top = put_row(led, "one", "a"), deep = put_row(led, "one", "x/y/z"),
		other = put_row(led, "", "a");

	(void)state;
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(id_of(led, "two", "a"), top);
	assert_int_equal(id_of(led, "two", "x/y/z"), deep);
	assert_int_equal(id_of(led, "", "a"), other);
	c = (struct ledger_change){ .op = LEDGER_OP_MOVE_TREE,
				    .root = "two",
				    .path = "x",
				    .to_root = "three",
				    .to_path = "" };
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(id_of(led, "three", "y/z"), deep);
	c = (struct ledger_change){ .op = LEDGER_OP_MOVE_TREE,
				    .root = "three",
				    .path = "",
				    .to_root = "four",
				    .to_path = "in/to" };
	assert_int_equal(post(led, &c, 1), 0);
	assert_int_equal(id_of(led, "four", "in/to/y/z"), deep);
}

static void swapping_trees(void **state)
{
	int64_t a1 = put_row(led, "", "a/1"), a2 = put_row(led, "", "a/s/2"),
		b1 = put_row(led, "", "b/1"), b2 = put_row(led, "", "b/t/3"),
		ab = put_row(led, "", "ab/1");

	(void)state;
	assert_int_equal(rename_op(LEDGER_OP_SWAP_TREE, "a", "b"), 0);
	assert_int_equal(id_of(led, "", "b/1"), a1);
	assert_int_equal(id_of(led, "", "b/s/2"), a2);
	assert_int_equal(id_of(led, "", "a/1"), b1);
	assert_int_equal(id_of(led, "", "a/t/3"), b2);
	assert_int_equal(id_of(led, "", "a/s/2"), 0);
	assert_int_equal(id_of(led, "", "ab/1"), ab);
	assert_int_equal(gen_of(a2), 1);
	assert_int_equal(gen_of(b2), 1);
	assert_int_equal(rename_op(LEDGER_OP_SWAP_TREE, "a", "a/t"), -EINVAL);
	assert_int_equal(rename_op(LEDGER_OP_SWAP_TREE, "a", "a"), 0);
}

/* ---- walks ---- */

static void children(void **state)
{
	static const char *const want[] = { " ", "-", "a", "a b", "b", "z", "\xc3\xa9", "\xff" };
	char after[16] = "";
	struct ledger_row r;
	size_t n = 0;

	(void)state;
	for (size_t i = ARRAY_LEN(want); i-- > 0;) {
		AUTO_FREE char *path = str_printf("d/%s", want[i]);

		(void)put_row(led, "", path);
	}
	(void)put_row(led, "", "d/a/deeper");
	(void)put_row(led, "", "top");
	(void)put_row(led, "x", "d/other");
	while (ledger_next_child(led, "", "d", after, &r) == 0) {
		assert_true(n < ARRAY_LEN(want));
		assert_string_equal(r.path + 2, want[n++]);
		(void)snprintf(after, sizeof(after), "%s", r.path + 2);
		ledger_row_done(&r);
	}
	assert_int_equal(n, ARRAY_LEN(want));
	assert_int_equal(ledger_next_child(led, "", "", NULL, &r), 0);
	assert_string_equal(r.path, "top");
	ledger_row_done(&r);
	assert_int_equal(ledger_next_child(led, "", "d/a", "", &r), 0);
	assert_string_equal(r.path, "d/a/deeper");
	ledger_row_done(&r);
}

struct seen {
	int64_t ids[100];
	size_t n;
	struct ledger_row kept;
};

static void see(struct ledger_row *r, void *arg)
{
	struct seen *s = arg;
	struct ledger_row other;

	assert_int_equal(ledger_get(led, r->id, &other), 0); /* no lock is held here */
	ledger_row_done(&other);
	s->ids[s->n++] = r->id;
	if (s->n == 1) {
		s->kept = *r;
		memset(r, 0, sizeof(*r));
	}
}

static void accepted_in_order(void **state)
{
	struct seen s = { .n = 0 };
	int64_t want[40];

	for (int i = 0; i < 40; i++) {
		char path[16];
		struct ledger_change c;

		(void)snprintf(path, sizeof(path), "%d", i);
		c = put_change(led, "", path, i % 4 ? LEDGER_ACCEPTED : LEDGER_DONE);
		c.row.accepted_ns = 1000000 - (uint64_t)(i / 2); /* two at the same time: by id */
		assert_int_equal(post(led, &c, 1), 0);
		want[39 - (i ^ 1)] = i % 4 ? c.row.id : 0;
	}
	reopen(state);
	assert_int_equal(ledger_each_accepted(led, see, &s), 0);
	assert_int_equal(s.n, 30);
	for (size_t i = 0, k = 0; i < 40; i++)
		if (want[i])
			assert_int_equal(s.ids[k++], want[i]);
	assert_int_equal(s.kept.id, s.ids[0]);
	assert_non_null(s.kept.path);
	ledger_row_done(&s.kept);
}

static void see_object(const struct ledger_handout *h, void *arg)
{
	struct seen *s = arg;

	s->ids[s->n++] = h->index * 10 + h->variant;
}

static void unstored_in_order(void **state)
{
	static const unsigned order[][2] = { { 5, 0 }, { 3, 0 }, { 5, 1 }, { 5, 0 }, { 1, 0 } };
	struct seen s = { .n = 0 };
	struct ledger_change c = { .op = LEDGER_OP_UNSTORED };

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		c.object = handout(1, 0, order[i][0], order[i][1]);
		assert_int_equal(post(led, &c, 1), 0);
	}
	c.op = LEDGER_OP_STORED;
	c.object = handout(1, 0, 3, 0);
	assert_int_equal(post(led, &c, 1), 0);
	c.object = handout(1, 0, 4, 0); /* never offered */
	assert_int_equal(post(led, &c, 1), 0);
	reopen(state);
	assert_int_equal(ledger_each_unstored(led, see_object, &s), 0);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.ids[0], 50);
	assert_int_equal(s.ids[1], 51);
	assert_int_equal(s.ids[2], 10);
}

/* ---- ids and counters ---- */

static void ids_are_never_used_again(void **state)
{
	int64_t id = 0, last = 0;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100000; i++) {
			id = ledger_next_id(led);
			assert_true(id > last);
			last = id;
		}
		reopen(state);
	}
	assert_true(last < 300100); /* a clean end wastes none */
	(void)ledger_next_id(led);
}

static void counters(void **state)
{
	int64_t c[LEDGER_COUNTERS];

	ledger_counters(led, c);
	for (int i = 0; i < LEDGER_COUNTERS; i++)
		assert_int_equal(c[i], 0);
	ledger_count(led, LEDGER_C_REQUESTS, 5);
	ledger_count(led, LEDGER_C_COST_NANO_USD, 1LL << 50);
	ledger_count(led, LEDGER_C_COST_NANO_USD, -1);
	ledger_count(led, LEDGER_COUNTERS, 5); /* no such counter */
	ledger_counters(led, c);
	assert_int_equal(c[LEDGER_C_REQUESTS], 5);
	(void)put_row(led, "", "a");
	ledger_count(led, LEDGER_C_REQUESTS, 1);
	reopen(state);
	ledger_counters(led, c);
	assert_int_equal(c[LEDGER_C_REQUESTS], 6);
	assert_int_equal(c[LEDGER_C_COST_NANO_USD], (1LL << 50) - 1);
}

/* ---- threads ---- */

static void *poster(void *arg)
{
	unsigned no = *(const unsigned *)arg;

	for (unsigned i = 0; i < 200; i++) {
		char path[32];
		struct ledger_handout h = handout(i, 0, no, 0);
		struct ledger_change c[2];
		struct ledger_row r;

		(void)snprintf(path, sizeof(path), "t%u/%u", no, i % 50);
		c[0] = put_change(led, "", path, LEDGER_DONE);
		c[0].handouts = &h;
		c[0].n_handouts = 1;
		c[1] = (struct ledger_change){ .op = LEDGER_OP_UNSTORED, .object = h };
		ledger_count(led, LEDGER_C_REQUESTS, 1);
		if (post(led, c, 2) || ledger_find(led, "", path, &r))
			return arg;
		if (r.id != c[0].row.id || ledger_named(led, &h.key, no, 0) != 1)
			return arg;
		ledger_row_done(&r);
	}
	return NULL;
}

static void many_threads(void **state)
{
	int64_t c[LEDGER_COUNTERS];
	unsigned no[6];
	pthread_t t[6];
	void *bad;

	for (unsigned i = 0; i < 6; i++) {
		no[i] = i;
		assert_int_equal(pthread_create(&t[i], NULL, poster, &no[i]), 0);
	}
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
	reopen(state);
	ledger_counters(led, c);
	assert_int_equal(c[LEDGER_C_REQUESTS], 1200);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_there),
		T(neighbours_of_a_failure),
		T(close_commits_the_queue),
		T(posting_from_done),
		T(a_row_comes_back),
		T(a_life),
		T(failed_rows_keep_their_request),
		T(takeover),
		T(moving),
		T(swapping),
		T(moving_trees),
		T(moving_whole_roots),
		T(swapping_trees),
		T(children),
		T(accepted_in_order),
		T(unstored_in_order),
		T(ids_are_never_used_again),
		T(counters),
		T(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
