/* batchjob_fixture.c - see batchjob_fixture.h */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mono.h"
#include "base/str.h"
#include "batchjob_fixture.h"
#include "wire_ask.h"

int batchy_setup(void **state)
{
	struct batchy *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	*state = t;
	t->wire = wire_new();
	if (fixture_open(&t->f) < 0)
		return -1;
	t->config = ask_config("openai", wire_url(t->wire));
	t->f.backends[0] = t->config;
	t->f.names[0] = "openai";
	t->f.options.model = "openai/m1";
	t->f.options.choices = "openai/m1";
	t->f.options.batch_poll_min_s = 0.001;
	t->f.options.batch_poll_max_s = 0.004;
	batchy_reopen(t);
	batchy_own(t);
	return 0;
}

int batchy_teardown(void **state)
{
	struct batchy *t = *state;

	batchy_disown(t);
	fixture_close(&t->f);
	t->wire = wire_free(t->wire);
	ask_config_done(&t->config);
	free(t);
	return 0;
}

void batchy_own(struct batchy *t)
{
	struct broker *b = t->f.broker;

	t->owner = (struct bulk){
		.b = b, .id = BATCHY_JOB, .lines = BATCHY_LINES, .quit = true, .busy = true
	}; /* busy: kicks do nothing */
	t->owner.input = t->owner.stream = -1;
	list_init(&t->owner.stream_waiters);
	list_init(&t->owner.progress_waiters);
	lock_take(&b->lock);
	list_append(&b->bulks.live, &t->owner.in_live);
	lock_drop(&b->lock);
	t->owned = true;
}

void batchy_disown(struct batchy *t)
{
	if (!t->owned)
		return;
	lock_take(&t->f.broker->lock);
	list_del(&t->owner.in_live);
	lock_drop(&t->f.broker->lock);
	t->owned = false;
}

void batchy_reopen(struct batchy *t)
{
	batchy_disown(t);
	fixture_reopen(&t->f, NULL);
	assert_non_null(t->f.broker);
}

/* The files are out of sight while the broker recovers, for it would cancel what has no job. */
void batchy_remount(struct batchy *t)
{
	char from[96], to[96];

	(void)snprintf(from, sizeof(from), "%s/jobs/%d.batch", t->f.dir, BATCHY_LINES);
	(void)snprintf(to, sizeof(to), "%s/%d.batch", t->f.dir, BATCHY_LINES);
	batchy_disown(t);
	broker_quiet(t->f.broker);
	t->f.broker = broker_stop(t->f.broker);
	assert_int_equal(rename(from, to), 0);
	fixture_reopen(&t->f, NULL);
	assert_int_equal(rename(to, from), 0);
	batchy_own(t);
	t->owner.quit = false;
	batchjob_recover(t->f.broker);
	lock_take(&t->f.broker->lock);
	t->owner.refs = 2; /* one of them stays */
	lock_drop(&t->f.broker->lock);
	batchjob_recovered(t->f.broker);
	lock_take(&t->f.broker->lock);
	t->owner.quit = true;
	lock_drop(&t->f.broker->lock);
}

struct batchjob_set *batchy_set(struct batchy *t)
{
	struct batchjob_set *s = batchjob_set_make(t->f.broker, BATCHY_LINES);

	assert_non_null(s);
	return s;
}

struct batchjob_sample batchy_sample(unsigned i)
{
	static char canon[64][128], name[64][16];
	struct batchjob_sample s = { .mode = REQUEST_CACHE_USE };
	char *text = canon[i % 64];

	(void)snprintf(text, sizeof(canon[0]),
		       "{\"endpoint\":\"chat\",\"messages\":[{\"content\":\"q%u\","
		       "\"role\":\"user\"}],\"model\":\"m1\"}",
		       i);
	(void)snprintf(name[i % 64], sizeof(name[0]), "line-%u", i);
	assert_int_equal(key_of(text, strlen(text), &s.key), 0);
	s.canon = text;
	s.canon_len = strlen(text);
	s.name = name[i % 64];
	batchjob_row_path(&s);
	return s;
}

struct batchjob *batchy_gather(struct batchy *t, unsigned n)
{
	struct batchjob *x = batchjob_new(t->f.broker, batchy_set(t), ledger_next_id(t->f.ledger));

	assert_non_null(x);
	x->r.job = BATCHY_JOB;
	x->r.backend = strdup("openai");
	x->r.job_at.requests = n;
	(void)str_copy(x->r.job_at.tag, BATCH_TAG_MAX, "tag");
	(void)str_copy(x->r.job_at.group.endpoint, BATCH_ENDPOINT_MAX, "/v1/chat/completions");
	(void)str_copy(x->r.job_at.group.model, BATCH_NAME_MAX, "m1");
	bulk_spool_out(&x->gather.lines, batchjob_file(x, "lines", O_WRONLY | O_CREAT | O_TRUNC));
	bulk_spool_out(&x->gather.map, batchjob_file(x, "map", O_WRONLY | O_CREAT | O_TRUNC));
	for (unsigned i = 0; i < n; i++) {
		struct batchjob_sample s = batchy_sample(i);
		struct buf line = BUF_INIT(1 << 16), map = BUF_INIT(1 << 16);

		assert_int_equal(buf_addf(&line, "{\"custom_id\":\"tag-%u\"}\n", i), 0);
		assert_int_equal(batchjob_row_sample_write(&s, &map), 0);
		assert_int_equal(bulk_spool_add(&x->gather.lines, &line), 0);
		assert_int_equal(bulk_spool_add(&x->gather.map, &map), 0);
		assert_int_equal(bulk_set_add(&x->staged, bulk_set_hash(s.path, strlen(s.path))),
				 1);
		buf_done(&line);
		buf_done(&map);
	}
	assert_int_equal(bulk_spool_flush(&x->gather.lines), 0);
	assert_int_equal(bulk_spool_flush(&x->gather.map), 0);
	return x;
}

enum ledger_state batchy_row(struct batchy *t, unsigned i, struct ledger_row *out)
{
	struct batchjob_sample s = batchy_sample(i);
	char root[32];

	(void)snprintf(root, sizeof(root), "\003%d", BATCHY_LINES);
	*out = (struct ledger_row){ 0 };
	return ledger_find(t->f.ledger, root, s.path, out) == 0 ? out->state : 0;
}

enum ledger_state batchy_state(struct batchy *t, unsigned i)
{
	struct ledger_row row;
	enum ledger_state s = batchy_row(t, i, &row);

	ledger_row_done(&row);
	return s;
}

struct put {
	struct ledger_post post;
	struct lock lock;
	struct cond cond;
	bool there;
	int result;
};

static void put_done(struct ledger_post *post, int result)
{
	struct put *p = (struct put *)(void *)post;

	lock_take(&p->lock);
	p->result = result;
	p->there = true;
	cond_broadcast(&p->cond);
	lock_drop(&p->lock);
}

void batchy_put(struct batchy *t, const char *path, const char *envelope)
{
	struct put p = { .post = { .n_changes = 1, .done = put_done } };
	struct ledger_change c = { .op = LEDGER_OP_PUT };
	char root[32];

	(void)snprintf(root, sizeof(root), "\003%d", BATCHY_LINES);
	c.row = (struct ledger_row){ .id = ledger_next_id(t->f.ledger),
				     .state = LEDGER_DONE,
				     .root = root,
				     .path = (char *)(uintptr_t)path,
				     .suffix = (char *)(uintptr_t) "",
				     .n = 1,
				     .envelope = (char *)(uintptr_t)envelope };
	p.post.changes = &c;
	lock_init(&p.lock, LOCK_NODE);
	cond_init(&p.cond);
	ledger_post(t->f.ledger, &p.post);
	lock_take(&p.lock);
	while (!p.there)
		(void)cond_wait_until(&p.cond, &p.lock, mono_ns() + MONO_S);
	lock_drop(&p.lock);
	assert_int_equal(p.result, 0);
	cond_done(&p.cond);
	lock_done(&p.lock);
}

/* Nobody is told when a batch has gone: it is looked at. */
bool batchy_await_none(struct batchy *t)
{
	uint64_t until = mono_ns() + 20 * MONO_S;

	while (mono_ns() < until) {
		const struct batchjob_set *s;
		bool none;

		lock_take(&t->f.broker->lock);
		s = batchjob_set_locked(t->f.broker, BATCHY_LINES);
		none = !s || list_empty(&s->batches);
		lock_drop(&t->f.broker->lock);
		if (none)
			return true;
		(void)nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	return false;
}
