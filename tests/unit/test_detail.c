/*
 * test_detail.c - what a server tells of one model: asked when it is looked at, once, shared, and kept through failures
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/auto.h"
#include "infer/detail.h"
#include "wire.h"
#include "wire_ask.h"

#define SHOWN "{\"model_info\":{\"general.architecture\":\"q\",\"q.context_length\":4096}}"

static struct wire *w;
static struct ask a;
static struct catalog *c;
static struct details *d;

struct waiting {
	struct catalog_waiter waiter;
	pthread_mutex_t lock;
	pthread_cond_t news;
	int woken;
};

static void on_wake(struct catalog_waiter *waiter)
{
	struct waiting *x = CONTAINER_OF(waiter, struct waiting, waiter);

	pthread_mutex_lock(&x->lock);
	x->woken++;
	pthread_cond_signal(&x->news);
	pthread_mutex_unlock(&x->lock);
}

static void waiting_init(struct waiting *x)
{
	*x = (struct waiting){ .waiter.wake = on_wake };
	list_init(&x->waiter.link);
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->news, NULL);
}

static void await(struct waiting *x)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&x->lock);
	while (!x->woken)
		if (pthread_cond_timedwait(&x->news, &x->lock, &until))
			break;
	assert_int_equal(x->woken, 1);
	pthread_mutex_unlock(&x->lock);
}

static void begin(const char *type)
{
	w = wire_new();
	ask_new(&a, ask_config(type, wire_url(w)));
	a.config.limits.models_ttl_s = 3600;
	c = infer_catalog(a.infer);
	d = catalog_details(c);
}

static void end(void)
{
	ask_free(&a);
	w = wire_free(w);
}

/* looks, waits for what comes: the context's size then, 0 without a card */
static json_int_t context(const char *id)
{
	struct waiting x;
	json_t *card;
	json_int_t n;

	waiting_init(&x);
	if (detail_look(d, 0, id) && detail_wait(d, 0, id, &x.waiter))
		await(&x);
	card = detail_copy(d, 0, id);
	n = json_integer_value(json_object_get(card, "context_tokens"));
	json_decref(card);
	return n;
}

static void test_asked_once(void **state)
{
	(void)state;
	begin("ollama");
	wire_add_json(w, 200, NULL, SHOWN);
	assert_null(detail_copy(d, 0, "a/b:1"));
	assert_int_equal(wire_requests(w), 0);
	assert_int_equal(context("a/b:1"), 4096);
	assert_int_equal(context("a/b:1"), 4096);
	assert_int_equal(wire_requests(w), 1);
	assert_non_null(strstr(wire_request(w, 0), "POST /api/show HTTP/1.1"));
	assert_string_equal(wire_body(w, 0), "{\"model\":\"a/b:1\"}");
	/* another model is another question */
	assert_int_equal(context("c"), 4096);
	assert_int_equal(wire_requests(w), 2);
	/* models have changed: the last answer is there at once, and the next one comes */
	catalog_stale(c, 0);
	assert_false(detail_look(d, 0, "c"));
	assert_true(wire_await(w, 3));
	assert_false(detail_look(d, 7, "c"));
	assert_null(detail_copy(d, 7, "c"));
	end();
}

static void test_shared(void **state)
{
	struct waiting one, two, gone;

	(void)state;
	begin("ollama");
	wire_add(w, (struct wire_answer){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
					  .gate = true });
	waiting_init(&one);
	waiting_init(&two);
	waiting_init(&gone);
	assert_false(detail_wait(d, 0, "m", &one.waiter)); /* nothing is on its way yet */
	assert_true(detail_look(d, 0, "m"));
	assert_true(detail_wait(d, 0, "m", &one.waiter));
	assert_true(detail_look(d, 0, "m"));
	assert_true(detail_wait(d, 0, "m", &two.waiter));
	assert_true(detail_wait(d, 0, "m", &gone.waiter));
	assert_true(catalog_unwait(c, &gone.waiter));
	wire_open(w);
	await(&one);
	await(&two);
	assert_int_equal(gone.woken, 0);
	assert_int_equal(wire_requests(w), 1);
	end();
}

/* One model that cannot be told of is asked again later; a server that fails is left alone for all of them. */
static void test_failures(void **state)
{
	static const struct {
		int status;
		const char *body;
		bool rests;
	} rows[] = {
		{ 404, "{\"error\":\"model 'm' not found\"}", false },
		{ 200, "<html>", false },
		{ 200, "[]", false },
		{ 503, "{}", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin("ollama");
		wire_add_json(w, rows[i].status, NULL, rows[i].body);
		wire_add_json(w, 200, NULL, SHOWN);
		assert_int_equal(context("m"), 0);
		assert_int_equal(context("m"), 0);
		assert_int_equal(wire_requests(w), 1);
		assert_int_equal(context("n"), rows[i].rests ? 0 : 4096);
		assert_int_equal(wire_requests(w), rows[i].rests ? 1 : 2);
		end();
	}
}

/* what is known stays when a later question fails */
static void test_failure_after_an_answer(void **state)
{
	(void)state;
	begin("ollama");
	wire_add_json(w, 200, NULL, SHOWN);
	wire_add_json(w, 500, NULL, "{}");
	assert_int_equal(context("m"), 4096);
	catalog_stale(c, 0);
	assert_int_equal(context("m"), 4096);
	assert_true(wire_await(w, 2));
	assert_int_equal(context("m"), 4096);
	end();
}

static void test_end_while_asking(void **state)
{
	struct waiting x;

	(void)state;
	begin("ollama");
	wire_add(w, (struct wire_answer){ .bytes = "HTTP/1.1 200 OK\r\n\r\n", .gate = true });
	waiting_init(&x);
	assert_true(detail_look(d, 0, "m"));
	assert_true(detail_wait(d, 0, "m", &x.waiter));
	assert_true(wire_await(w, 1));
	ask_free(&a);
	assert_int_equal(x.woken, 1);
	w = wire_free(w);
}

static void test_others_are_not_asked(void **state)
{
	(void)state;
	begin("openai");
	assert_false(detail_look(d, 0, "m"));
	assert_null(detail_copy(d, 0, "m"));
	assert_int_equal(wire_connections(w), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked_once),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_failure_after_an_answer),
		cmocka_unit_test(test_end_while_asking),
		cmocka_unit_test(test_others_are_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
