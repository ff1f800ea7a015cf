/*
 * ledger_fixture.h - a ledger in a scratch directory, and posting that waits for done()
 */
#ifndef TESTS_LEDGER_FIXTURE_H
#define TESTS_LEDGER_FIXTURE_H

#include "sample.h"

#include "base/lock.h"
#include "ledger/ledger.h"

/* one posting that somebody waits for */
struct waiter {
	struct ledger_post post; /* first: done() finds the waiter by it */
	struct lock lock;
	struct cond cond;
	bool over;
	int result;
};

static inline void waiter_done(struct ledger_post *p, int result)
{
	struct waiter *w = (struct waiter *)p;

	lock_take(&w->lock);
	w->result = result;
	w->over = true;
	cond_signal(&w->cond);
	lock_drop(&w->lock);
}

static inline int post(struct ledger *l, struct ledger_change *changes, size_t n)
{
	struct waiter w = { .post = { .changes = changes, .n_changes = n, .done = waiter_done } };

	lock_init(&w.lock, LOCK_LEAF);
	cond_init(&w.cond);
	ledger_post(l, &w.post);
	lock_take(&w.lock);
	while (!w.over)
		cond_wait(&w.cond, &w.lock);
	lock_drop(&w.lock);
	cond_done(&w.cond);
	lock_done(&w.lock);
	return w.result;
}

static inline struct ledger *ledger_at(const char *dir, enum ledger_durability d)
{
	struct ledger_options o = { .dir = dir, .durability = d };
	struct ledger *l = NULL;
	struct err e = { 0 };
	int rc = ledger_open(&o, &l, &e);

	if (rc)
		(void)fprintf(stderr, "ledger_open: %d %s\n", rc, e.message);
	assert_int_equal(rc, 0);
	return l;
}

static inline char *text(const char *s)
{
	return (char *)(uintptr_t)s; /* rows borrow their strings while they are posted */
}

static inline struct ledger_change put_change(struct ledger *l, const char *root, const char *path,
					      enum ledger_state state)
{
	struct ledger_change c = { .op = LEDGER_OP_PUT };

	c.row.id = ledger_next_id(l);
	c.row.state = state;
	c.row.root = text(root);
	c.row.path = text(path);
	c.row.suffix = text(".json");
	c.row.n = 1;
	c.row.accepted_ns = 1000 + (uint64_t)c.row.id;
	return c;
}

static inline int64_t put_row(struct ledger *l, const char *root, const char *path)
{
	struct ledger_change c = put_change(l, root, path, LEDGER_DONE);

	assert_int_equal(post(l, &c, 1), 0);
	return c.row.id;
}

/* id of the row of a name, 0: none */
static inline int64_t id_of(struct ledger *l, const char *root, const char *path)
{
	struct ledger_row r;
	int rc = ledger_find(l, root, path, &r);
	int64_t id;

	if (rc == -ENOENT)
		return 0;
	assert_int_equal(rc, 0);
	assert_string_equal(r.root, root);
	assert_string_equal(r.path, path);
	id = r.id;
	ledger_row_done(&r);
	return id;
}

#endif
