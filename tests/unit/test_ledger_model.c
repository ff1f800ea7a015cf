/*
 * test_ledger_model.c - thousands of random postings: the ledger and a list of rows never disagree
 *
 * Flushes come by themselves while this runs, barriers and reopenings at random moments.
 * LEDGER_SEED=N repeats a run.
 */
#include "ledger_fixture.h"

enum { PATH = 128, ROWS = 400, H_MAX = 3, KEYS = 6, GONE_MAX = 4096, IDS = 64 };

struct mrow {
	int64_t id;
	const char *root;
	char path[PATH];
	uint32_t gen;
	enum ledger_state state;
	char suffix[8], facts[24];
	bool blob;
	uint64_t accepted_ns;
	size_t n;
	struct ledger_handout h[H_MAX];
};

static struct mrow rows[ROWS];
static size_t n_rows;
static struct ledger *led;
static const char *dir;
static uint64_t rnd_state;
static int64_t ids[IDS]; /* the last ones ever used */
static unsigned n_ids;

/* hand-outs that went: what the ledger told, less what the model expects */
static int gone_balance[KEYS][2];

static const char *const roots[] = { "", "one" };
static const char *const dirs[] = { "", "a", "a/b", "ab", "c" };
static const char *const names[] = { "x", "y", "z", "b" };

static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rnd_state >> 33) % n;
}

#define PICK(a) ((a)[rnd(ARRAY_LEN(a))])

static void random_path(char out[24])
{
	const char *d = PICK(dirs);

	(void)snprintf(out, 24, "%s%s%s", d, *d ? "/" : "", PICK(names));
}

/* ---- the model ---- */

static struct mrow *m_find(const char *root, const char *path)
{
	for (size_t i = 0; i < n_rows; i++)
		if (!strcmp(rows[i].root, root) && !strcmp(rows[i].path, path))
			return &rows[i];
	return NULL;
}

static struct mrow *m_get(int64_t id)
{
	for (size_t i = 0; i < n_rows; i++)
		if (rows[i].id == id)
			return &rows[i];
	return NULL;
}

static void m_gone(const struct ledger_handout *h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		gone_balance[h[i].index][h[i].variant]--;
}

static void m_del(struct mrow *r)
{
	if (!r)
		return;
	m_gone(r->h, r->n);
	*r = rows[--n_rows];
}

static void told(void *arg, const struct ledger_row *row, const struct ledger_handout *h, size_t n)
{
	(void)arg;
	(void)row;
	for (size_t i = 0; i < n; i++)
		gone_balance[h[i].index][h[i].variant]++;
}

static void m_handout(struct mrow *r, const struct ledger_handout *h)
{
	size_t i = 0;

	while (i < r->n && r->h[i].pos < h->pos)
		i++;
	if (i < r->n && r->h[i].pos == h->pos) {
		r->h[i] = *h;
		return;
	}
	memmove(r->h + i + 1, r->h + i, (r->n - i) * sizeof(*h));
	r->h[i] = *h;
	r->n++;
}

static bool m_below(const char *path, const char *d)
{
	size_t n = strlen(d);

	return !n || (!strncmp(path, d, n) && path[n] == '/');
}

static void m_rename(struct mrow *r, const char *root, const char *from, const char *to)
{
	char rest[PATH];
	size_t skip = *from ? strlen(from) + 1 : 0;

	(void)snprintf(rest, sizeof(rest), "%s", r->path + skip);
	r->root = root;
	(void)snprintf(r->path, sizeof(r->path), "%.8s%s%.100s", to, *to ? "/" : "", rest);
	r->gen++;
}

/* ---- the ledger's side ---- */

static void reopen(void)
{
	if (led)
		assert_null(ledger_close(led));
	led = ledger_at(dir, LEDGER_GROUP);
	ledger_watch(led, told, NULL);
}

static void random_handouts(struct ledger_handout *h, size_t *n)
{
	*n = rnd(3);
	for (size_t i = 0; i < *n; i++)
		h[i] = (struct ledger_handout){ .pos = rnd(H_MAX),
						.key = sample_key(7),
						.index = rnd(KEYS),
						.variant = rnd(2),
						.cached = rnd(2) };
	if (*n == 2 && h[0].pos == h[1].pos)
		h[1].pos = (h[0].pos + 1) % H_MAX;
}

static int64_t random_id(void)
{
	unsigned n = n_ids < IDS ? n_ids : IDS;

	return n ? ids[rnd(n)] : 1;
}

/* every posting may have a second change that makes all of it fail */
static int post_one(struct ledger_change *c, bool spoil)
{
	struct ledger_change both[2] = { *c, { .op = LEDGER_OP_MOVE, .root = "" } };
	int rc = post(led, both, spoil ? 2 : 1);

	if (spoil)
		assert_int_equal(rc, -EINVAL);
	return rc;
}

static void do_put(bool spoil)
{
	struct ledger_change c;
	struct ledger_handout h[2];
	struct mrow r = { .root = PICK(roots) };

	random_path(r.path);
	c = put_change(led, r.root, r.path, rnd(2) ? LEDGER_ACCEPTED : LEDGER_DONE);
	r.id = c.row.id;
	r.state = c.row.state;
	r.accepted_ns = c.row.accepted_ns = 1000 + rnd(50);
	(void)snprintf(r.suffix, sizeof(r.suffix), "%s", c.row.suffix);
	c.request = rnd(2) ? r.path : NULL;
	c.request_len = strlen(r.path);
	r.blob = c.request && r.state != LEDGER_DONE;
	random_handouts(h, &c.n_handouts);
	c.handouts = h;
	if (rnd(20) == 0 && n_rows && strcmp(rows[0].path, r.path) != 0) {
		c.row.id = rows[0].id; /* somebody else's */
		assert_int_equal(post(led, &c, 1), -EEXIST);
		return;
	}
	if (post_one(&c, spoil))
		return;
	m_del(m_find(r.root, r.path));
	for (size_t i = 0; i < c.n_handouts; i++)
		m_handout(&r, &h[i]);
	assert_true(n_rows < ROWS);
	rows[n_rows++] = r;
	ids[n_ids++ % IDS] = r.id;
}

static void do_finish(bool spoil)
{
	struct ledger_change c = { .op = LEDGER_OP_FINISH };
	struct ledger_handout h[2];
	struct mrow *r;
	char facts[24];

	(void)snprintf(facts, sizeof(facts), "{\"f\":%u}", rnd(1000));
	c.row.id = random_id();
	c.row.state = rnd(2) ? LEDGER_DONE : LEDGER_FAILED;
	c.row.facts = facts;
	random_handouts(h, &c.n_handouts);
	c.handouts = h;
	if (post_one(&c, spoil))
		return;
	r = m_get(c.row.id);
	if (!r) {
		m_gone(h, c.n_handouts);
		return;
	}
	r->state = c.row.state;
	r->blob &= r->state != LEDGER_DONE;
	(void)snprintf(r->facts, sizeof(r->facts), "%s", facts);
	for (size_t i = 0; i < c.n_handouts; i++)
		m_handout(r, &h[i]);
}

static void do_remove(bool spoil)
{
	struct ledger_change c = { .op = LEDGER_OP_REMOVE };
	char path[24];

	c.row.id = random_id();
	c.root = PICK(roots);
	c.path = path;
	random_path(path);
	if (rnd(2))
		c.op = LEDGER_OP_DROP;
	if (post_one(&c, spoil))
		return;
	m_del(c.op == LEDGER_OP_DROP ? m_find(c.root, path) : m_get(c.row.id));
}

static void do_move(bool spoil)
{
	char path[24], to[24];
	struct ledger_change c = { .op = rnd(2) ? LEDGER_OP_MOVE : LEDGER_OP_SWAP,
				   .root = PICK(roots),
				   .path = path,
				   .to_root = PICK(roots),
				   .to_path = to };
	bool same;
	struct mrow *a, *b;

	random_path(path);
	random_path(to);
	if (c.op == LEDGER_OP_MOVE && rnd(2))
		c.row.suffix = text(".md");
	if (post_one(&c, spoil))
		return;
	same = !strcmp(c.root, c.to_root) && !strcmp(path, to);
	if (c.op == LEDGER_OP_SWAP && same)
		return;
	if (c.op == LEDGER_OP_MOVE && !same)
		m_del(m_find(c.to_root, to));
	a = m_find(c.root, path);
	b = same ? NULL : m_find(c.to_root, to);
	if (a) {
		a->root = c.to_root;
		(void)snprintf(a->path, sizeof(a->path), "%s", to);
		a->gen++;
		if (c.row.suffix)
			(void)snprintf(a->suffix, sizeof(a->suffix), "%s", c.row.suffix);
	}
	if (b) {
		b->root = c.root;
		(void)snprintf(b->path, sizeof(b->path), "%s", path);
		b->gen++;
	}
}

static void do_tree(void)
{
	struct ledger_change c = { .op = rnd(2) ? LEDGER_OP_MOVE_TREE : LEDGER_OP_SWAP_TREE,
				   .root = PICK(roots),
				   .path = PICK(dirs),
				   .to_root = PICK(roots),
				   .to_path = PICK(dirs) };
	bool in_a[ROWS], in_b[ROWS];
	int rc;

	for (size_t i = n_rows; i-- > 0;) { /* paths must not grow for ever */
		struct ledger_change gone = { .op = LEDGER_OP_REMOVE };

		if (strlen(rows[i].path) < 40)
			continue;
		gone.row.id = rows[i].id;
		assert_int_equal(post(led, &gone, 1), 0);
		m_del(&rows[i]);
	}
	rc = post(led, &c, 1);

	if (rc) {
		assert_int_equal(rc, -EINVAL);
		assert_string_equal(c.root, c.to_root);
		return;
	}
	if (!strcmp(c.root, c.to_root) && !strcmp(c.path, c.to_path))
		return;
	for (size_t i = n_rows; i-- > 0 && c.op == LEDGER_OP_MOVE_TREE;)
		if (!strcmp(rows[i].root, c.to_root) && m_below(rows[i].path, c.to_path))
			m_del(&rows[i]);
	for (size_t i = 0; i < n_rows; i++) {
		in_a[i] = !strcmp(rows[i].root, c.root) && m_below(rows[i].path, c.path);
		in_b[i] = !strcmp(rows[i].root, c.to_root) && m_below(rows[i].path, c.to_path);
	}
	for (size_t i = 0; i < n_rows; i++) {
		if (in_a[i])
			m_rename(&rows[i], c.to_root, c.path, c.to_path);
		else if (in_b[i] && c.op == LEDGER_OP_SWAP_TREE)
			m_rename(&rows[i], c.root, c.to_path, c.path);
	}
}

/* ---- do they agree? ---- */

static void same_row(const struct ledger_row *r, const struct mrow *m)
{
	assert_int_equal(r->id, m->id);
	assert_string_equal(r->root, m->root);
	assert_string_equal(r->path, m->path);
	assert_string_equal(r->suffix, m->suffix);
	assert_int_equal(r->gen, m->gen);
	assert_int_equal(r->state, m->state);
	assert_int_equal(r->accepted_ns, m->accepted_ns);
	assert_string_equal(r->facts ? r->facts : "", m->facts);
}

static void check_name(const char *root, const char *path)
{
	struct mrow *m = m_find(root, path);
	struct ledger_row r;
	int rc = ledger_find(led, root, path, &r);

	assert_int_equal(rc, m ? 0 : -ENOENT);
	if (rc)
		return;
	same_row(&r, m);
	ledger_row_done(&r);
}

static void check_id(int64_t id)
{
	struct mrow *m = m_get(id);
	struct ledger_handout *h = NULL;
	struct ledger_row r;
	size_t n = 0;
	char *req = NULL;
	int rc = ledger_get(led, id, &r);

	assert_int_equal(rc, m ? 0 : -ENOENT);
	if (!rc) {
		same_row(&r, m);
		ledger_row_done(&r);
	}
	assert_int_equal(ledger_handouts(led, id, &h, &n), 0);
	assert_int_equal(n, m ? m->n : 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(h[i].request, id);
		assert_int_equal(h[i].pos, m->h[i].pos);
		assert_int_equal(h[i].index, m->h[i].index);
		assert_int_equal(h[i].variant, m->h[i].variant);
		assert_int_equal(h[i].cached, m->h[i].cached);
	}
	free(h);
	rc = ledger_request(led, id, &req, &n);
	assert_int_equal(rc, m && m->blob ? 0 : -ENOENT);
	free(req);
}

static void check_object(uint32_t index, uint32_t variant)
{
	struct key key = sample_key(7);
	bool named = false;

	for (size_t i = 0; i < n_rows; i++)
		for (size_t k = 0; k < rows[i].n; k++)
			named |= rows[i].h[k].index == index && rows[i].h[k].variant == variant;
	assert_int_equal(ledger_named(led, &key, index, variant), named);
	assert_int_equal(gone_balance[index][variant], 0);
}

static void check_children(const char *root, const char *d)
{
	char after[PATH] = "", path[PATH];
	const struct mrow *least;
	struct ledger_row r;
	int rc;

	for (;;) {
		least = NULL;
		for (size_t i = 0; i < n_rows; i++) {
			const char *slash = strrchr(rows[i].path, '/');
			const char *name = slash ? slash + 1 : rows[i].path;
			size_t len = slash ? (size_t)(slash - rows[i].path) : 0;

			if (strcmp(rows[i].root, root) || len != strlen(d) ||
			    strncmp(rows[i].path, d, len) || strcmp(name, after) <= 0)
				continue;
			if (!least || strcmp(rows[i].path, least->path) < 0)
				least = &rows[i];
		}
		rc = ledger_next_child(led, root, d, after, &r);
		assert_int_equal(rc, least ? 0 : -ENOENT);
		if (rc)
			return;
		same_row(&r, least);
		(void)snprintf(path, sizeof(path), "%s", r.path);
		(void)snprintf(after, sizeof(after), "%s",
			       strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
		ledger_row_done(&r);
	}
}

struct walk {
	size_t n;
	uint64_t ns;
	int64_t id;
};

static void see(struct ledger_row *r, void *arg)
{
	struct walk *w = arg;
	const struct mrow *m = m_get(r->id);

	assert_non_null(m);
	same_row(r, m);
	assert_int_equal(m->state, LEDGER_ACCEPTED);
	assert_true(r->accepted_ns > w->ns || (r->accepted_ns == w->ns && r->id > w->id));
	w->ns = r->accepted_ns;
	w->id = r->id;
	w->n++;
}

static void check_everything(void)
{
	struct walk w = { 0 };
	size_t accepted = 0;

	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		for (size_t d = 0; d < ARRAY_LEN(dirs); d++) {
			check_children(roots[i], dirs[d]);
			for (size_t n = 0; n < ARRAY_LEN(names); n++) {
				AUTO_FREE char *p = str_printf("%s%s%s", dirs[d],
							       *dirs[d] ? "/" : "", names[n]);

				check_name(roots[i], p);
			}
		}
	}
	for (size_t i = 0; i < n_rows; i++)
		check_name(rows[i].root, rows[i].path);
	for (size_t i = 0; i < n_rows; i++)
		check_id(rows[i].id);
	for (unsigned i = 0; i < IDS && i < n_ids; i++)
		check_id(ids[i]);
	for (uint32_t k = 0; k < KEYS; k++)
		for (uint32_t v = 0; v < 2; v++)
			check_object(k, v);
	for (size_t i = 0; i < n_rows; i++)
		accepted += rows[i].state == LEDGER_ACCEPTED;
	assert_int_equal(ledger_each_accepted(led, see, &w), 0);
	assert_int_equal(w.n, accepted);
}

static void step(void)
{
	bool spoil = rnd(8) == 0;
	uint32_t what = rnd(1000);
	char path[24];

	if (what < 350)
		do_put(spoil);
	else if (what < 600)
		do_finish(spoil);
	else if (what < 750)
		do_remove(spoil);
	else if (what < 990)
		do_move(spoil);
	else
		do_tree();
	random_path(path);
	check_name(PICK(roots), path);
	check_id(random_id());
	check_object(rnd(KEYS), rnd(2));
	if (rnd(100) == 0)
		check_everything();
	if (rnd(700) == 0)
		reopen();
}

static void a_model_agrees(void **state)
{
	const char *seed = getenv("LEDGER_SEED");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : mono_real_ns() % 1000000;
	uint64_t until = mono_ns() + 5 * MONO_S;
	unsigned n = 0;

	(void)fprintf(stderr, "LEDGER_SEED=%llu\n", (unsigned long long)first);
	rnd_state = first;
	dir = *state;
	reopen();
	while (n < 5000 || mono_ns() < until) { /* flushes come by the clock */
		step();
		n++;
	}
	check_everything();
	reopen();
	check_everything();
	led = ledger_close(led);
	(void)fprintf(stderr, "%u postings\n", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_model_agrees, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
