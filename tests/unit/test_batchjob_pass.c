/* test_batchjob_pass.c - turns of a file's run: which samples a line gets, what goes into a batch, when it is over */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "batchjob_fixture.h"
#include "jobs/check.h"

static struct batchjob_pass *begin(struct batchy *t)
{
	t->owner.batch = batchjob_pass_new(t->f.broker, BATCHY_LINES);
	assert_non_null(t->owner.batch);
	return t->owner.batch;
}

static void end(struct batchy *t)
{
	batchjob_pass_free(t->owner.batch);
	t->owner.batch = NULL;
}

static struct batchjob *gathering(struct batchjob_pass *p)
{
	assert_false(list_empty(&p->gathering));
	return LIST_ENTRY(p->gathering.next, struct batchjob, gather.link);
}

static size_t how_many(struct batchjob_pass *p)
{
	size_t n = 0;

	LIST_EACH(l, &p->gathering)
		n++;
	return n;
}

/* one line that asks for n samples */
struct asking {
	const char *ns, *backend, *effective;
	enum request_cache cache;
	int n;
};

static int ask_line(struct batchy *t, unsigned no, const struct asking *q)
{
	struct bulk_asked a = { .item = { .no = no } };
	struct checked c = { .terms = { .n = q->n ? q->n : 1, .cache = q->cache } };
	const char *text = q->effective ? q->effective : batchy_sample(0).canon;
	char name[16];
	int r;

	(void)snprintf(name, sizeof(name), "%u", no);
	a.item.name = name;
	c.terms.ns = (char *)(uintptr_t)q->ns;
	c.terms.request_id = name;
	c.terms.backend = (char *)(uintptr_t)(q->backend ? q->backend : "openai");
	c.terms.fallback = json_pack("[s]", "other/model");
	c.terms.timeout_s = 3;
	c.body.request = json_loads(text, 0, NULL);
	c.body.canon = (char *)(uintptr_t)text;
	c.body.canon_len = strlen(text);
	assert_non_null(c.body.request);
	assert_int_equal(key_of(text, strlen(text), &c.body.key), 0);
	r = batchjob_line(&t->owner, &a, &c, false);
	assert_null(c.terms.fallback); /* a batch asks one model, in its own time */
	assert_true(c.terms.timeout_s <= 0);
	json_decref(c.body.request);
	return r;
}

/* ---- bits ---- */

static void counted_lines_are_remembered(void **state)
{
	static const uint64_t at[] = { 0, 1, 7, 8, 63, 64, 511, 512, 513, 4096, 1000003 };
	struct batchjob_pass *p = begin(*state);
	enum { N = sizeof(at) / sizeof(*at) };

	assert_false(batchjob_pass_counted(NULL, 0));
	assert_int_equal(batchjob_pass_count(NULL, 9), 0);
	batchjob_pass_uncount(NULL);
	batchjob_pass_free(NULL);
	batchjob_pass_uncount(p);
	assert_false(batchjob_pass_counted(p, 0));
	assert_false(batchjob_pass_counted(p, UINT64_MAX));
	for (size_t i = 0; i < N; i++) {
		assert_false(batchjob_pass_counted(p, at[i]));
		assert_int_equal(batchjob_pass_count(p, at[i]), 0);
		assert_int_equal(batchjob_pass_count(p, at[i]), 0);
		for (size_t k = 0; k < N; k++)
			assert_int_equal(batchjob_pass_counted(p, at[k]), k <= i);
		assert_false(batchjob_pass_counted(p, at[i] + 2));
	}
	batchjob_pass_uncount(p);
	for (size_t i = 0; i < N; i++)
		assert_false(batchjob_pass_counted(p, at[i]));
	end(*state);
}

/* ---- shares ---- */

static void the_next_sample_is_the_lowest_free_one(void **state)
{
	static const struct {
		uint32_t used[6];
		size_t n;
		uint32_t next[5];
	} cases[] = {
		{ { 0 }, 0, { 0, 1, 2, 3, 4 } },
		{ { 0 }, 1, { 1, 2, 3, 4, 5 } },
		{ { 1 }, 1, { 0, 2, 3, 4, 5 } },
		{ { 0, 1, 2 }, 3, { 3, 4, 5, 6, 7 } },
		{ { 0, 2, 4, 5, 9 }, 5, { 1, 3, 6, 7, 8 } },
		{ { 3, 4294967295u }, 2, { 0, 1, 2, 4, 5 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t used[6];
		struct batchjob_share s = { .used = used, .n = cases[i].n };

		memcpy(used, cases[i].used, sizeof(used));
		for (size_t k = 0; k < 5; k++)
			assert_int_equal(batchjob_pass_next(&s), cases[i].next[k]);
	}
}

static void a_namespace_has_one_share_of_a_key(void **state)
{
	struct batchy *t = *state;
	struct checked c[3] = { 0 };
	struct batchjob_share *a, *b, *d;

	(void)begin(t);
	for (int i = 0; i < 3; i++) {
		c[i].terms.ns = (char *)(uintptr_t)(i == 1 ? "two" : "one");
		assert_int_equal(key_of(i == 2 ? "y" : "x", 1, &c[i].body.key), 0);
	}
	a = batchjob_pass_share(&t->owner, &c[0]);
	b = batchjob_pass_share(&t->owner, &c[1]);
	d = batchjob_pass_share(&t->owner, &c[2]);
	assert_true(a && b && d && a != b && b != d && a != d);
	assert_ptr_equal(batchjob_pass_share(&t->owner, &c[0]), a);
	assert_int_equal(batchjob_pass_next(a), 0);
	assert_int_equal(batchjob_pass_next(a), 1);
	assert_int_equal(batchjob_pass_next(b), 0);
	end(t);
}

/* ---- what is gathered ---- */

static void each_sample_is_gathered_once(void **state)
{
	static const struct {
		struct asking q;
		uint64_t requests; /* gathered afterwards */
	} lines[] = {
		{ { .n = 2 }, 2 },
		{ { .n = 2 }, 2 },			  /* equal lines share their samples */
		{ { .n = 3 }, 3 },			  /* and a larger one adds to them */
		{ { .cache = REQUEST_CACHE_BYPASS }, 4 }, /* but past the cache they do not */
		{ { .cache = REQUEST_CACHE_BYPASS }, 5 },
		{ { .cache = REQUEST_CACHE_REFRESH, .n = 2 }, 7 },
		{ { .ns = "a" }, 7 },	      /* a namespace begins with the first ones */
		{ { .ns = "a", .n = 3 }, 8 }, /* and goes on with its own next ones: 1, 2, 3 */
		{ { .ns = "b", .n = 4 }, 8 },
	};
	struct batchy *t = *state;
	struct batchjob_pass *p = begin(t);
	char last[BATCH_TAG_MAX];
	struct batchjob *x;

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(ask_line(t, i + 1, &lines[i].q), 0);
		assert_int_equal(how_many(p), 1);
		x = gathering(p);
		if (x->r.job_at.requests != lines[i].requests)
			fail_msg("line %u: %llu", i, (unsigned long long)x->r.job_at.requests);
		assert_int_equal(p->waiting, i + 1);
	}
	x = gathering(p);
	assert_int_equal(x->r.job, BATCHY_JOB);
	assert_int_equal(x->staged.n, 8);
	assert_int_equal(strspn(x->r.job_at.tag, "0123456789abcdef"), 32);
	memcpy(last, x->r.job_at.tag, sizeof(last));
	end(t); /* what was not handed in is forgotten, and nobody was asked */
	assert_int_equal(wire_requests(t->wire), 0);
	p = begin(t);
	assert_int_equal(ask_line(t, 1, &(struct asking){ .n = 1 }), 0);
	assert_string_not_equal(gathering(p)->r.job_at.tag, last);
	end(t);
}

static void what_cannot_share_a_batch_has_its_own(void **state)
{
	static const char *const effective[] = {
		"{\"endpoint\":\"chat\",\"messages\":[{\"content\":\"q\",\"role\":\"user\"}],\"model\":\"m1\"}",
		"{\"endpoint\":\"chat\",\"messages\":[{\"content\":\"q\",\"role\":\"user\"}],\"model\":\"m2\"}",
		"{\"endpoint\":\"embedding\",\"input\":\"q\",\"model\":\"m1\"}",
	};
	struct batchy *t = *state;
	struct batchjob_pass *p = begin(t);

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(ask_line(t, i + 1,
						  &(struct asking){ .effective = effective[i],
								    .n = (int)round + 1 }),
					 0);
			assert_int_equal(how_many(p), round ? 3 : i + 1);
		}
	LIST_EACH(l, &p->gathering)
		assert_int_equal(LIST_ENTRY(l, struct batchjob, gather.link)->r.job_at.requests, 2);
	end(t);
}

static void a_full_batch_is_handed_in_and_another_begins(void **state)
{
	struct batchy *t = *state;
	struct batchjob_pass *p = begin(t);
	struct batchjob *full;

	assert_int_equal(ask_line(t, 1, &(struct asking){ .n = 1 }), 0);
	full = gathering(p);
	full->r.cancel = true; /* it goes nowhere */
	full->r.job_at.requests = 50000;
	assert_int_equal(ask_line(t, 2, &(struct asking){ .n = 2 }), 0);
	assert_int_equal(how_many(p), 1);
	assert_int_equal(gathering(p)->r.job_at.requests, 1); /* the second sample of the two */
	end(t);
	assert_true(batchy_await_none(t));
	assert_int_equal(wire_requests(t->wire), 0);
}

/* 50,000 requests and 200 MB are what one batch takes at OpenAI, both to the last one. */
static void a_batch_is_filled_to_its_limits(void **state)
{
	enum { MOST = 50000, BYTES = 200000000 };
	static const struct {
		uint64_t requests; /* there before the line */
		int64_t room;	   /* of the file, beyond the line's own size */
		bool fits;
	} k[] = { { MOST - 2, 0, true },  { MOST - 1, 0, true }, { MOST, 0, false },
		  { MOST + 1, 0, false }, { 1, 1, true },	 { 1, 0, true },
		  { 1, -1, false },	  { MOST, -1, false } };
	struct batchy *t = *state;

	for (size_t i = 0; i < sizeof(k) / sizeof(*k); i++) {
		struct batchjob_pass *p = begin(t);
		uint64_t line;
		struct batchjob *x;

		assert_int_equal(ask_line(t, 1, &(struct asking){ .n = 1 }), 0);
		x = gathering(p);
		x->r.cancel = true; /* it goes nowhere */
		/* the next one is as long, but for the number in its custom id */
		line = x->gather.lines.bytes - strlen("0") +
		       (size_t)snprintf(NULL, 0, "%llu", (unsigned long long)k[i].requests);
		x->r.job_at.requests = k[i].requests;
		x->gather.lines.bytes = (uint64_t)((int64_t)(BYTES - line) - k[i].room);
		assert_int_equal(ask_line(t, 2, &(struct asking){ .n = 2 }), 0);
		assert_int_equal(how_many(p), 1);
		if (gathering(p)->r.job_at.requests != (k[i].fits ? k[i].requests + 1 : 1))
			fail_msg("row %zu: %llu", i,
				 (unsigned long long)gathering(p)->r.job_at.requests);
		gathering(p)->r.cancel = true;
		end(t);
		assert_true(batchy_await_none(t));
	}
	assert_int_equal(wire_requests(t->wire), 0);
}

/* A list of texts counts as many as it has. */
static void texts_to_embed_are_counted_too(void **state)
{
	static const char two[] =
		"{\"endpoint\":\"embedding\",\"input\":[\"a\",\"b\"],\"model\":\"m1\"}";
	static const struct {
		uint64_t there;
		bool fits;
	} k[] = { { 49997, true }, { 49998, true }, { 49999, false }, { 50000, false } };
	struct batchy *t = *state;

	for (size_t i = 0; i < sizeof(k) / sizeof(*k); i++) {
		struct batchjob_pass *p = begin(t);

		assert_int_equal(ask_line(t, 1, &(struct asking){ .n = 1, .effective = two }), 0);
		assert_int_equal(gathering(p)->gather.inputs, 2);
		gathering(p)->gather.inputs = k[i].there;
		gathering(p)->r.cancel = true; /* it goes nowhere */
		assert_int_equal(ask_line(t, 2, &(struct asking){ .n = 2, .effective = two }), 0);
		assert_int_equal(gathering(p)->r.job_at.requests, k[i].fits ? 2 : 1);
		assert_int_equal(gathering(p)->gather.inputs, k[i].fits ? k[i].there + 2 : 2);
		gathering(p)->r.cancel = true;
		end(t);
		assert_true(batchy_await_none(t));
	}
}

/* ---- the last line was read ---- */

static void a_pass_is_over_when_nothing_waits(void **state)
{
	struct batchy *t = *state;
	struct batchjob_pass *p = begin(t);
	struct batchjob *x;

	assert_int_equal(batchjob_pass_over(&t->owner, false), 1);
	p->waiting = 2;
	assert_int_equal(batchjob_pass_over(&t->owner, false), 0);
	x = batchy_gather(t, 1);
	batchjob_news(x);
	assert_int_equal(batchjob_pass_over(&t->owner, false), 2); /* the file once more */
	assert_int_equal(p->waiting, 0);
	p->waiting = 1;
	assert_int_equal(batchjob_pass_over(&t->owner, false), 0); /* news is news once */
	assert_int_equal(batchjob_pass_over(&t->owner, true),
			 2); /* lines learn that they are cancelled */
	assert_int_equal(batchjob_pass_over(&t->owner, true), 1);
	batchjob_forget(x);
	end(t);
}

static void cancelling_forgets_what_was_gathered(void **state)
{
	struct batchy *t = *state;
	struct batchjob_pass *p = begin(t);

	assert_int_equal(ask_line(t, 1, &(struct asking){ .n = 3 }), 0);
	assert_int_equal(batchjob_pass_over(&t->owner, true), 2);
	assert_int_equal(how_many(p), 0);
	assert_true(batchy_await_none(t));
	assert_int_equal(wire_requests(t->wire), 0);
	end(t);
}

static void what_no_batch_can_take_is_said(void **state)
{
	struct batchy *t = *state;
	struct checked c = { .terms = { .backend = (char *)(uintptr_t) "nobody" } };
	struct batchjob_wants w = { .k = &t->owner, .c = &c };
	struct err e = { 0 };

	(void)begin(t);
	assert_int_equal(batchjob_stage(&w), 1);
	assert_int_equal(w.e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(w.e.message, "nobody"));
	assert_int_equal(batchjob_stage_usable(t->f.broker, &c, &e), 0); /* the check says it */
	t->f.backends[0].dialect = BACKEND_VLLM; /* speaks the same, and has no batches */
	c.terms.backend = (char *)(uintptr_t) "openai";
	w.e = (struct err){ 0 };
	assert_int_equal(batchjob_stage(&w), 1);
	assert_int_equal(w.e.kind, ERR_UNSUPPORTED);
	assert_int_equal(batchjob_stage_usable(t->f.broker, &c, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.message, ".jsonl"));
	end(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, batchy_setup, batchy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counted_lines_are_remembered),
		cmocka_unit_test(the_next_sample_is_the_lowest_free_one),
		TEST(a_namespace_has_one_share_of_a_key),
		TEST(each_sample_is_gathered_once),
		TEST(what_cannot_share_a_batch_has_its_own),
		TEST(a_full_batch_is_handed_in_and_another_begins),
		TEST(a_batch_is_filled_to_its_limits),
		TEST(texts_to_embed_are_counted_too),
		TEST(a_pass_is_over_when_nothing_waits),
		TEST(cancelling_forgets_what_was_gathered),
		TEST(what_no_batch_can_take_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
