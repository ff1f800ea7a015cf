/*
 * ledger/ledger_ns_look: hand-outs and counters, part in memory and part in the database, against a model
 */
#include "sample.h"

#include "ledger/ledger_ns_db.h"
#include "ledger/ledger_ns_look.h"

enum { IDS = 4, KEYS = 3, PLACES = 6, INDICES = 12, ROUNDS = 1500 };

/* what ids have of key 0, and which indices of every key were ever handed out */
struct model {
	struct {
		bool there;
		unsigned key, index;
	} place[IDS][PLACES];
	bool used[KEYS][INDICES];
	int64_t cost;
};

static const char *const ids[IDS] = { "a", "a/1", "b", "\xff" };
static struct ledger_table *t;
static struct key keys[KEYS];

static int setup(void **state)
{
	AUTO_FREE char *path = NULL;
	struct err e = { 0 };

	(void)scratch_setup(state);
	path = str_printf("%s/ledger.db", (char *)*state);
	t = calloc(1, sizeof(*t));
	assert_non_null(t);
	assert_int_equal(ledger_db_open(path, LEDGER_GROUP, &t->reader, &e), 0);
	assert_int_equal(ledger_table_init(t), 0);
	for (unsigned i = 0; i < KEYS; i++)
		keys[i] = sample_key(i);
	return 0;
}

static int teardown(void **state)
{
	ledger_table_done(t);
	free(t);
	return scratch_teardown(state);
}

static void flush(uint64_t seq)
{
	struct ledger_ns_batch b;

	assert_int_equal(ledger_ns_take(&t->ns, &b), 0);
	assert_int_equal(ledger_ns_db_write(&t->reader, &b), 0);
	ledger_ns_batch_done(&b);
	ledger_ns_flushed(&t->ns, seq);
}

/* ---- against the model ---- */

static uint32_t dice(uint32_t *seed, uint32_t sides)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % sides;
}

static void give(struct model *m, uint32_t *seed)
{
	struct ledger_given v[PLACES];
	unsigned id = dice(seed, IDS), pos = dice(seed, PLACES);
	struct ledger_given_change c = { .ns = "ns", .request_id = ids[id], .key = keys[0] };

	c.root = dice(seed, 2) ? "r" : NULL;
	c.pos = pos;
	c.v = v;
	c.n = dice(seed, PLACES - pos + 1);
	for (size_t i = 0; i < c.n; i++) {
		unsigned key = dice(seed, KEYS), index = dice(seed, INDICES);

		v[i] = (struct ledger_given){ keys[key], index };
		m->place[id][pos + i].there = true;
		m->place[id][pos + i].key = key;
		m->place[id][pos + i].index = index;
		m->used[key][index] = true;
	}
	assert_int_equal(ledger_ns_give(&t->ns, &c), 0);
}

static void add_cost(struct model *m, int64_t nano)
{
	int64_t add[LEDGER_NS_COUNTERS] = { [LEDGER_NS_COST_NANO_USD] = nano };

	assert_int_equal(
		ledger_ns_count(&t->ns, &t->reader, &(struct ledger_given_count){ "ns", add }), 0);
	m->cost += nano;
}

static void same_given(const struct model *m, unsigned id)
{
	struct ledger_given_change whose = { .ns = "ns", .request_id = ids[id], .key = keys[0] };
	struct ledger_given *v = NULL;
	size_t n = 99, at = 0;

	assert_int_equal(ledger_ns_look_given(t, &whose, &v, &n), 0);
	for (unsigned pos = 0; pos < PLACES; pos++) {
		if (!m->place[id][pos].there)
			continue;
		assert_true(at < n);
		assert_int_equal(v[at].index, m->place[id][pos].index);
		assert_true(key_equal(&v[at].key, &keys[m->place[id][pos].key]));
		at++;
	}
	assert_int_equal(at, n);
	assert_int_equal(v != NULL, n != 0);
	free(v);
}

static void same_used(const struct model *m, unsigned key)
{
	uint32_t *v = NULL;
	size_t n = 99, at = 0;

	assert_int_equal(ledger_ns_look_used(t, "ns", &keys[key], &v, &n), 0);
	for (unsigned i = 0; i < INDICES; i++)
		if (m->used[key][i]) {
			assert_true(at < n);
			assert_int_equal(v[at++], i);
		}
	assert_int_equal(at, n);
	free(v);
}

static void same_cost(const struct model *m)
{
	int64_t v[LEDGER_NS_COUNTERS];

	assert_int_equal(ledger_ns_look_counters(t, "ns", v), 0);
	assert_true(v[LEDGER_NS_COST_NANO_USD] == m->cost);
	assert_true(v[LEDGER_NS_REQUESTS] == 0);
}

/* Postings are kept or undone, flushes come when they like, some of them twice: what is read is the same. */
static void as_the_model(void **state)
{
	struct model *now = calloc(2, sizeof(*now)), *kept = now + 1;
	uint32_t seed = 5;

	(void)state;
	assert_non_null(now);
	for (uint64_t seq = 1; seq <= ROUNDS; seq++) {
		for (uint32_t n = dice(&seed, 4); n; n--)
			give(now, &seed);
		add_cost(now, (int64_t)dice(&seed, 1000) - 200);
		same_given(now, dice(&seed, IDS)); /* a posting sees what it did itself */
		same_used(now, dice(&seed, KEYS));
		if (dice(&seed, 4)) {
			ledger_ns_keep(&t->ns, seq);
			*kept = *now;
		} else {
			ledger_ns_undo(&t->ns);
			*now = *kept;
		}
		if (!dice(&seed, 20)) /* the database has it, memory still, too */
			flush(seq - dice(&seed, 2) * dice(&seed, (uint32_t)(seq > 9 ? 9 : 1)));
		same_given(now, dice(&seed, IDS));
		same_used(now, dice(&seed, KEYS));
		same_cost(now);
	}
	flush(ROUNDS);
	for (unsigned i = 0; i < IDS; i++)
		same_given(now, i);
	for (unsigned i = 0; i < KEYS; i++)
		same_used(now, i);
	same_cost(now);
	free(now);
}

/* ---- who has nothing, and what cannot be read ---- */

static void nobody_has_what_was_lost(void **state)
{
	struct ledger_given_change nobody = { .ns = "ns", .request_id = "", .key = keys[0] };
	struct ledger_given_change other = { .ns = "n", .request_id = "a", .key = keys[0] };
	struct ledger_given v = { keys[0], 3 }, *got = &v;
	struct model m = { .cost = 0 };
	size_t n = 99;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ledger_given_change c = {
			.ns = "ns", .request_id = "a", .key = keys[0], .v = &v, .n = 1
		};

		v.index = 3 + i;
		assert_int_equal(ledger_ns_give(&t->ns, &c), 0);
	}
	ledger_ns_keep(&t->ns, 1);
	flush(1);
	m.used[0][3] = m.used[0][4] = true;
	same_used(&m, 0); /* index 3 is nobody's now, but not free */
	assert_int_equal(ledger_ns_look_given(t, &nobody, &got, &n), 0);
	assert_null(got);
	assert_int_equal(n, 0);
	n = 99;
	assert_int_equal(ledger_ns_look_given(t, &other, &got, &n), 0);
	assert_int_equal(n, 0);
}

static void unreadable(void **state)
{
	struct ledger_given_change whose = { .ns = "ns", .request_id = "a", .key = keys[0] };
	struct ledger_given v = { keys[0], 3 }, *got = &v;
	int64_t sums[LEDGER_NS_COUNTERS] = { 42 };
	struct model m = { .cost = 0 };
	uint32_t *used = NULL;
	size_t n = 99;

	(void)state;
	whose.v = &v;
	whose.n = 1;
	assert_int_equal(ledger_ns_give(&t->ns, &whose), 0);
	add_cost(&m, 7);
	ledger_ns_keep(&t->ns, 1);
	assert_int_equal(sqlite3_exec(t->reader.db, "DROP TABLE given; DROP TABLE ns_counters",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	/* half of the truth is none: memory alone must not answer */
	assert_true(ledger_ns_look_given(t, &whose, &got, &n) < 0);
	assert_true(ledger_ns_look_used(t, "ns", &keys[0], &used, &n) < 0);
	assert_true(ledger_ns_look_counters(t, "other", sums) < 0);
	assert_ptr_equal(got, &v);
	assert_null(used);
	assert_int_equal(n, 99);
	assert_int_equal(sums[0], 42);
	same_cost(&m); /* of which memory has all */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(as_the_model), T(nobody_has_what_was_lost),
					    T(unreadable) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
