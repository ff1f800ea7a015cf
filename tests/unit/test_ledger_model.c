/*
 * test_ledger_model.c - thousands of random postings: the ledger and a list of rows never disagree
 *
 * Flushes come by themselves while this runs, barriers, reopenings and deaths at random moments. What works
 * with the ledger is a child that dies; the model is in memory that outlives it. LEDGER_SEED=N repeats a run.
 */
#include "ledger_fixture.h"

#include <sys/mman.h>

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

enum { GIVENS = 3000, INDICES = 8, MKEYS = 2 };

/* a sample that a namespace has handed out */
struct mgiven {
	unsigned ns, key, akey;
	char id[PATH], path[PATH];
	const char *root; /* NULL: the user's own id */
	uint32_t pos, index;
	int aside; /* while names change */
};

static struct model {
	struct mrow rows[ROWS];
	size_t n_rows;
	uint64_t rnd_state;
	int64_t ids[IDS]; /* the last ones ever used */
	unsigned n_ids, n_postings;
	_Atomic int gone_balance
		[KEYS][2]; /* hand-outs that went: what the ledger told, less what is expected */
	struct mgiven givens[GIVENS];
	size_t n_givens;
	bool used[2][MKEYS][INDICES];
	int64_t counters[2][LEDGER_NS_COUNTERS];
	bool trash; /* rows of a root that went may not be told yet */
} * m;

static struct ledger *led;
static const char *dir;

static const char *const roots[] = { "", "one" };
static const char *const dirs[] = { "", "a", "a/b", "ab", "c" };
static const char *const names[] = { "x", "y", "z", "b" };

static uint32_t rnd(uint32_t n)
{
	m->rnd_state = m->rnd_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->rnd_state >> 33) % n;
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
	for (size_t i = 0; i < m->n_rows; i++)
		if (!strcmp(m->rows[i].root, root) && !strcmp(m->rows[i].path, path))
			return &m->rows[i];
	return NULL;
}

static struct mrow *m_get(int64_t id)
{
	for (size_t i = 0; i < m->n_rows; i++)
		if (m->rows[i].id == id)
			return &m->rows[i];
	return NULL;
}

static void m_gone(const struct ledger_handout *h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		m->gone_balance[h[i].index][h[i].variant]--;
}

static void m_del(struct mrow *r)
{
	if (!r)
		return;
	m_gone(r->h, r->n);
	*r = m->rows[--m->n_rows];
}

static void told(void *arg, const struct ledger_row *row, const struct ledger_handout *h, size_t n)
{
	(void)arg;
	(void)row;
	for (size_t i = 0; i < n; i++)
		m->gone_balance[h[i].index][h[i].variant]++;
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

/* ---- the model's hand-outs ---- */

static const char *const spaces[] = { "one", "two" }; /* one of them has the name of a root */

static void m_forget_given(size_t i)
{
	m->givens[i] = m->givens[--m->n_givens];
}

static void m_give(const struct mgiven *g)
{
	size_t i = 0;

	m->used[g->ns][g->akey][g->index] = true;
	while (i < m->n_givens && (m->givens[i].ns != g->ns || m->givens[i].key != g->key ||
				   m->givens[i].pos != g->pos || strcmp(m->givens[i].id, g->id)))
		i++;
	m->givens[i] = *g;
	m->n_givens += i == m->n_givens;
	assert_true(m->n_givens < GIVENS);
}

static void m_step_aside(const char *root, const char *path, bool tree, int mark)
{
	for (size_t i = 0; i < m->n_givens; i++) {
		struct mgiven *g = &m->givens[i];

		if (!g->aside && g->root && !strcmp(g->root, root) &&
		    (tree ? m_below(g->path, path) : !strcmp(g->path, path)))
			g->aside = mark;
	}
}

static void m_replace_begin(char text[PATH], const char *from, const char *to, bool tree)
{
	char rest[PATH];

	(void)snprintf(rest, sizeof(rest), "%s", text + strlen(from) + (tree && *from ? 1 : 0));
	(void)snprintf(text, PATH, "%.24s%s%.100s", to, tree && *to ? "/" : "", rest);
}

/* Whoever has one of the new ids and does not move himself loses it. */
static void m_arrive(const char *from, const char *root, const char *to, bool tree, int mark)
{
	for (size_t i = 0; i < m->n_givens; i++) {
		struct mgiven *g = &m->givens[i];

		if (g->aside != mark)
			continue;
		m_replace_begin(g->id, from, to, tree);
		m_replace_begin(g->path, from, to, tree);
		g->root = root;
	}
	for (size_t i = m->n_givens; i-- > 0;) {
		const struct mgiven *g = &m->givens[i];
		bool lost = false;

		for (size_t k = 0; k < m->n_givens && !g->aside; k++)
			lost |= m->givens[k].aside == mark && m->givens[k].ns == g->ns &&
				m->givens[k].key == g->key && !strcmp(m->givens[k].id, g->id);
		if (lost)
			m_forget_given(i);
	}
	for (size_t i = 0; i < m->n_givens; i++)
		if (m->givens[i].aside == mark)
			m->givens[i].aside = 0;
}

static void m_rename_given(const struct ledger_change *c)
{
	bool tree = c->op == LEDGER_OP_MOVE_TREE || c->op == LEDGER_OP_SWAP_TREE;
	bool swap = c->op == LEDGER_OP_SWAP || c->op == LEDGER_OP_SWAP_TREE;

	m_step_aside(c->root, c->path, tree, 1);
	if (swap)
		m_step_aside(c->to_root, c->to_path, tree, 2);
	m_arrive(c->path, c->to_root, c->to_path, tree, 1);
	m_arrive(c->to_path, c->root, c->path, tree, 2);
}

/* ---- the ledger's side ---- */

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
	unsigned n = m->n_ids < IDS ? m->n_ids : IDS;

	return n ? m->ids[rnd(n)] : 1;
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
	if (rnd(20) == 0 && m->n_rows && strcmp(m->rows[0].path, r.path) != 0) {
		c.row.id = m->rows[0].id; /* somebody else's */
		assert_int_equal(post(led, &c, 1), -EEXIST);
		return;
	}
	if (post_one(&c, spoil))
		return;
	m_del(m_find(r.root, r.path));
	for (size_t i = 0; i < c.n_handouts; i++)
		m_handout(&r, &h[i]);
	assert_true(m->n_rows < ROWS);
	m->rows[m->n_rows++] = r;
	m->ids[m->n_ids++ % IDS] = r.id;
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
	if (!same)
		m_rename_given(&c);
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

static void random_given(struct mgiven *g)
{
	uint32_t what = rnd(3);

	*g = (struct mgiven){ .ns = rnd(2), .key = rnd(MKEYS), .pos = rnd(3) };
	random_path(g->path);
	(void)snprintf(g->id, sizeof(g->id), "%.24s%s", g->path, what == 1 ? "/line" : "");
	if (what)
		g->root = PICK(roots);
}

static void do_give(bool spoil)
{
	int64_t add[LEDGER_NS_COUNTERS];
	struct ledger_given v[3];
	struct mgiven g;
	struct ledger_change c[3] = { { .op = LEDGER_OP_GIVE },
				      { .op = LEDGER_OP_NS_COUNT },
				      { .op = LEDGER_OP_MOVE, .root = "" } };
	size_t n = 1 + rnd(3);
	unsigned akey[3];
	int rc;

	random_given(&g);
	for (size_t i = 0; i < n; i++) {
		akey[i] = rnd(MKEYS);
		v[i] = (struct ledger_given){ sample_key(akey[i]), rnd(INDICES) };
	}
	for (int i = 0; i < LEDGER_NS_COUNTERS; i++)
		add[i] = (int)rnd(20) - 5;
	c[0].give = (struct ledger_given_change){ .ns = spaces[g.ns],
						  .root = g.root,
						  .path = rnd(4) || strcmp(g.id, g.path) ? g.path
											 : NULL,
						  .request_id = g.id,
						  .key = sample_key(g.key),
						  .pos = g.pos,
						  .v = v,
						  .n = n };
	c[1].ns_count = (struct ledger_given_count){ .ns = spaces[g.ns], .add = add };
	rc = post(led, c, spoil ? 3 : 2);
	assert_int_equal(rc, spoil ? -EINVAL : 0);
	for (size_t i = 0; i < n && !spoil; i++, g.pos++) {
		g.akey = akey[i];
		g.index = v[i].index;
		m_give(&g);
	}
	for (int i = 0; i < LEDGER_NS_COUNTERS && !spoil; i++)
		m->counters[g.ns][i] += add[i];
}

static void forget_space(unsigned ns)
{
	struct ledger_change c = { .op = LEDGER_OP_NS_FORGET, .root = spaces[ns] };

	m->trash = true;
	assert_int_equal(post(led, &c, 1), 0);
	for (size_t i = m->n_rows; i-- > 0;)
		if (!strcmp(m->rows[i].root, c.root))
			m_del(&m->rows[i]);
	for (size_t i = m->n_givens; i-- > 0;)
		if (m->givens[i].ns == ns)
			m_forget_given(i);
	memset(m->used[ns], 0, sizeof(m->used[ns]));
	memset(m->counters[ns], 0, sizeof(m->counters[ns]));
}

static void drop_root(void)
{
	struct ledger_change c = { .op = LEDGER_OP_DROP_ROOT, .root = roots[1] };

	m->trash = true;
	assert_int_equal(post(led, &c, 1), 0);
	for (size_t i = m->n_rows; i-- > 0;)
		if (!strcmp(m->rows[i].root, c.root))
			m_del(&m->rows[i]);
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

	for (size_t i = m->n_rows; i-- > 0;) { /* paths must not grow for ever */
		struct ledger_change gone = { .op = LEDGER_OP_REMOVE };

		if (strlen(m->rows[i].path) < 40)
			continue;
		gone.row.id = m->rows[i].id;
		assert_int_equal(post(led, &gone, 1), 0);
		m_del(&m->rows[i]);
	}
	for (size_t i = m->n_givens; i-- > 0;)
		if (i < m->n_givens && strlen(m->givens[i].path) >= 40)
			forget_space(m->givens[i].ns);
	rc = post(led, &c, 1);

	if (rc) {
		assert_int_equal(rc, -EINVAL);
		assert_string_equal(c.root, c.to_root);
		return;
	}
	if (!strcmp(c.root, c.to_root) && !strcmp(c.path, c.to_path))
		return;
	m_rename_given(&c);
	for (size_t i = m->n_rows; i-- > 0 && c.op == LEDGER_OP_MOVE_TREE;)
		if (!strcmp(m->rows[i].root, c.to_root) && m_below(m->rows[i].path, c.to_path))
			m_del(&m->rows[i]);
	for (size_t i = 0; i < m->n_rows; i++) {
		in_a[i] = !strcmp(m->rows[i].root, c.root) && m_below(m->rows[i].path, c.path);
		in_b[i] = !strcmp(m->rows[i].root, c.to_root) &&
			  m_below(m->rows[i].path, c.to_path);
	}
	for (size_t i = 0; i < m->n_rows; i++) {
		if (in_a[i])
			m_rename(&m->rows[i], c.to_root, c.path, c.to_path);
		else if (in_b[i] && c.op == LEDGER_OP_SWAP_TREE)
			m_rename(&m->rows[i], c.root, c.to_path, c.path);
	}
}

/* ---- do they agree? ---- */

static void same_row(const struct ledger_row *r, const struct mrow *w)
{
	assert_int_equal(r->id, w->id);
	assert_string_equal(r->root, w->root);
	assert_string_equal(r->path, w->path);
	assert_string_equal(r->suffix, w->suffix);
	assert_int_equal(r->gen, w->gen);
	assert_int_equal(r->state, w->state);
	assert_int_equal(r->accepted_ns, w->accepted_ns);
	assert_string_equal(r->facts ? r->facts : "", w->facts);
}

static void check_name(const char *root, const char *path)
{
	struct mrow *w = m_find(root, path);
	struct ledger_row r;
	int rc = ledger_find(led, root, path, &r);

	assert_int_equal(rc, w ? 0 : -ENOENT);
	if (rc)
		return;
	same_row(&r, w);
	ledger_row_done(&r);
}

static void check_id(int64_t id)
{
	struct mrow *w = m_get(id);
	struct ledger_handout *h = NULL;
	struct ledger_row r;
	size_t n = 0;
	char *req = NULL;
	int rc;

	if (!w && m->trash)
		return; /* it may be there still */
	rc = ledger_get(led, id, &r);
	assert_int_equal(rc, w ? 0 : -ENOENT);
	if (!rc) {
		same_row(&r, w);
		ledger_row_done(&r);
	}
	assert_int_equal(ledger_handouts(led, id, &h, &n), 0);
	assert_int_equal(n, w ? w->n : 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(h[i].request, id);
		assert_int_equal(h[i].pos, w->h[i].pos);
		assert_int_equal(h[i].index, w->h[i].index);
		assert_int_equal(h[i].variant, w->h[i].variant);
		assert_int_equal(h[i].cached, w->h[i].cached);
	}
	free(h);
	rc = ledger_request(led, id, &req, &n);
	assert_int_equal(rc, w && w->blob ? 0 : -ENOENT);
	free(req);
}

static void check_object(uint32_t index, uint32_t variant)
{
	struct key key = sample_key(7);
	bool named = false;

	if (m->trash)
		return;
	for (size_t i = 0; i < m->n_rows; i++)
		for (size_t k = 0; k < m->rows[i].n; k++)
			named |= m->rows[i].h[k].index == index &&
				 m->rows[i].h[k].variant == variant;
	assert_int_equal(ledger_named(led, &key, index, variant), named);
	assert_int_equal(m->gone_balance[index][variant], 0);
}

static void check_children(const char *root, const char *d)
{
	char after[PATH] = "", path[PATH];
	const struct mrow *least;
	struct ledger_row r;
	int rc;

	for (;;) {
		least = NULL;
		for (size_t i = 0; i < m->n_rows; i++) {
			const char *slash = strrchr(m->rows[i].path, '/');
			const char *name = slash ? slash + 1 : m->rows[i].path;
			size_t len = slash ? (size_t)(slash - m->rows[i].path) : 0;

			if (strcmp(m->rows[i].root, root) || len != strlen(d) ||
			    strncmp(m->rows[i].path, d, len) || strcmp(name, after) <= 0)
				continue;
			if (!least || strcmp(m->rows[i].path, least->path) < 0)
				least = &m->rows[i];
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

static void check_given(unsigned ns, unsigned key, const char *id)
{
	struct key k = sample_key(key);
	struct ledger_given *v = NULL;
	size_t n = 99, want = 0;

	assert_int_equal(ledger_given(led, spaces[ns], &k, id, &v, &n), 0);
	for (uint32_t pos = 0; pos < 8; pos++) {
		for (size_t i = 0; i < m->n_givens; i++) {
			const struct mgiven *g = &m->givens[i];
			struct key akey = sample_key(g->akey);

			if (g->ns != ns || g->key != key || g->pos != pos || strcmp(g->id, id))
				continue;
			assert_true(want < n);
			assert_true(key_equal(&v[want].key, &akey));
			assert_int_equal(v[want++].index, g->index);
		}
	}
	assert_int_equal(n, want);
	free(v);
}

static void check_space(unsigned ns)
{
	int64_t counters[LEDGER_NS_COUNTERS];

	assert_int_equal(ledger_ns_counters(led, spaces[ns], counters), 0);
	assert_memory_equal(counters, m->counters[ns], sizeof(counters));
	for (unsigned key = 0; key < MKEYS; key++) {
		struct key k = sample_key(key);
		uint32_t *v = NULL;
		size_t n = 99, want = 0;

		assert_int_equal(ledger_given_used(led, spaces[ns], &k, &v, &n), 0);
		for (uint32_t i = 0; i < INDICES; i++) {
			if (!m->used[ns][key][i])
				continue;
			assert_true(want < n);
			assert_int_equal(v[want++], i);
		}
		assert_int_equal(n, want);
		free(v);
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
	const struct mrow *mine = m_get(r->id);

	assert_non_null(mine);
	same_row(r, mine);
	assert_int_equal(mine->state, LEDGER_ACCEPTED);
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
	for (size_t i = 0; i < m->n_rows; i++)
		check_name(m->rows[i].root, m->rows[i].path);
	for (size_t i = 0; i < m->n_rows; i++)
		check_id(m->rows[i].id);
	for (unsigned i = 0; i < IDS && i < m->n_ids; i++)
		check_id(m->ids[i]);
	for (uint32_t k = 0; k < KEYS; k++)
		for (uint32_t v = 0; v < 2; v++)
			check_object(k, v);
	for (size_t i = 0; i < m->n_rows; i++)
		accepted += m->rows[i].state == LEDGER_ACCEPTED;
	assert_int_equal(ledger_each_accepted(led, see, &w), 0);
	assert_int_equal(w.n, accepted);
	for (size_t i = 0; i < m->n_givens; i++)
		check_given(m->givens[i].ns, m->givens[i].key, m->givens[i].id);
	for (unsigned ns = 0; ns < 2; ns++)
		check_space(ns);
}

static void step(void)
{
	bool spoil = rnd(8) == 0;
	uint32_t what = rnd(1000);
	struct mgiven g;
	char path[24];

	if (what < 280)
		do_put(spoil);
	else if (what < 480)
		do_finish(spoil);
	else if (what < 600)
		do_remove(spoil);
	else if (what < 800)
		do_give(spoil);
	else if (what < 985)
		do_move(spoil);
	else if (what < 997)
		do_tree();
	else if (what < 998)
		drop_root();
	else
		forget_space(rnd(2));
	m->n_postings++;
	random_path(path);
	check_name(PICK(roots), path);
	check_id(random_id());
	check_object(rnd(KEYS), rnd(2));
	random_given(&g);
	check_given(g.ns, g.key, g.id);
	if (rnd(10) == 0)
		check_space(rnd(2));
	if (rnd(100) == 0)
		check_everything();
}

static void begin(void)
{
	led = ledger_at(dir, LEDGER_GROUP);
	ledger_watch(led, told, NULL);
}

/* One life of a ledger; what the one before left is as the model says. What goes with a root is told until
 * the end, but when it died in the middle of that nobody knows what was. */
static void live(unsigned n_steps, bool dies)
{
	begin();
	if (m->trash) {
		check_everything();
		led = ledger_close(led);
		for (size_t i = 0; i < ARRAY_LEN(m->gone_balance); i++)
			m->gone_balance[i][0] = m->gone_balance[i][1] = 0;
		m->trash = false;
		begin();
	}
	check_everything();
	while (n_steps--) {
		step();
		if (m->trash && !dies) {
			led = ledger_close(led);
			m->trash = false;
			begin();
			check_everything();
		}
	}
	if (!dies)
		led = ledger_close(led);
}

/* ThreadSanitizer has no threads after a fork of a process that has some. */
#ifdef __SANITIZE_THREAD__
static void next_life(unsigned n_steps)
{
	live(n_steps, false);
}
#else
static void next_life(unsigned n_steps)
{
	bool dies = rnd(3) != 0;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		live(n_steps, dies);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}
#endif

static void a_model_agrees(void **state)
{
	const char *seed = getenv("LEDGER_SEED");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : mono_real_ns() % 1000000;
	uint64_t until = mono_ns() + 5 * MONO_S;

	(void)fprintf(stderr, "LEDGER_SEED=%llu\n", (unsigned long long)first);
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(m != MAP_FAILED);
	m->rnd_state = first;
	dir = *state;
	while (m->n_postings < 5000 || mono_ns() < until) /* flushes come by the clock */
		next_life(rnd(1000));
	live(0, false);
	(void)fprintf(stderr, "%u postings\n", m->n_postings);
	assert_int_equal(munmap(m, sizeof(*m)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_model_agrees, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
