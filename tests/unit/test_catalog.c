/*
 * test_catalog.c - model lists: fetched when somebody looks, once, in pages, with failures kept apart
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
#include "infer/catalog.h"
#include "wire.h"
#include "wire_ask.h"

static struct wire *w;
static struct ask a;

/* one who waits, and how often it was woken */
struct waiting {
	struct catalog_waiter waiter;
	pthread_mutex_t lock;
	pthread_cond_t news;
	int woken;
};

static void on_wake(struct catalog_waiter *c)
{
	struct waiting *x = CONTAINER_OF(c, struct waiting, waiter);

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

static struct catalog *begin(const char *type, const char *path)
{
	char url[128];

	w = wire_new();
	(void)snprintf(url, sizeof(url), "%s%s", wire_url(w), path);
	ask_new(&a, ask_config(type, url));
	a.config.limits.models_ttl_s = 3600;
	return infer_catalog(a.infer);
}

static void end(void)
{
	ask_free(&a);
	w = wire_free(w);
}

/* looks, waits for what comes, looks again: the list or NULL, the caller's */
static struct catalog_list *fetched(struct catalog *c)
{
	struct catalog_list *l = NULL;
	struct waiting x;

	waiting_init(&x);
	if (catalog_look(c, 0, &l) && catalog_wait(c, 0, &x.waiter))
		await(&x);
	if (!l)
		(void)catalog_look(c, 0, &l);
	return l;
}

static const char *id(const struct catalog_list *l, size_t i)
{
	return json_string_value(json_object_get(json_array_get(l->models, i), "id"));
}

static void test_one_page(void **state)
{
	struct catalog *c = begin("openai", "/v1");
	struct catalog_list *l, *again = NULL;
	struct err e;

	(void)state;
	wire_add_json(w, 200, NULL,
		      "{\"data\":[{\"id\":\"b/c\"},{\"id\":\"a\"},{\"id\":\"a\"},{\"id\":\"../x\"},"
		      "{\"id\":\"\"},{\"no\":1},{\"id\":\"x//y\"},{\"id\":\"line\\nbreak\"}]}");
	catalog_peek(c, 0, &l, &e);
	assert_null(l);
	assert_int_equal(wire_requests(w), 0);
	l = fetched(c);
	assert_non_null(l);
	assert_int_equal(json_array_size(l->models), 2);
	assert_string_equal(id(l, 0), "a");
	assert_string_equal(id(l, 1), "b/c");
	assert_true(l->fetched_real_ns > 0);
	/* looked at again it is the same, and nobody is asked */
	assert_false(catalog_look(c, 0, &again));
	assert_ptr_equal(again, l);
	assert_int_equal(wire_requests(w), 1);
	assert_non_null(strstr(wire_request(w, 0), "GET /v1/models HTTP/1.1"));
	assert_non_null(strstr(wire_request(w, 0), "Authorization: Bearer sk-local-test"));
	again = catalog_unref(c, again);
	/* until it is said to be stale */
	catalog_stale(c, 0);
	(void)catalog_look(c, 0, &again);
	again = catalog_unref(c, again);
	assert_true(wire_await(w, 2));
	l = catalog_unref(c, l);
	/* a number that no backend has */
	assert_false(catalog_look(c, 7, &l));
	assert_null(l);
	end();
}

static void test_pages(void **state)
{
	struct catalog *c = begin("anthropic", "");
	struct catalog_list *l;

	(void)state;
	wire_add_json(
		w, 200, NULL,
		"{\"data\":[{\"id\":\"claude-a\"}],\"has_more\":true,\"last_id\":\"claude-a\"}");
	wire_add_json(
		w, 200, NULL,
		"{\"data\":[{\"id\":\"claude-b\"}],\"has_more\":false,\"last_id\":\"claude-b\"}");
	l = fetched(c);
	assert_non_null(l);
	assert_int_equal(json_array_size(l->models), 2);
	assert_int_equal(wire_requests(w), 2);
	assert_non_null(strstr(wire_request(w, 1), "after_id=claude-a"));
	l = catalog_unref(c, l);
	end();
}

static void test_failures(void **state)
{
	static const struct {
		int status;
		const char *body, *says;
		enum err_kind kind;
	} rows[] = {
		{ 500, "{}", "500", ERR_PROVIDER },
		{ 401, "{\"error\":{\"message\":\"who are you?\"}}", "who are you",
		  ERR_KEY_REJECTED },
		{ 404, "", "404", ERR_NOT_FOUND },
		{ 200, "<html>", "no list", ERR_PROTOCOL },
		{ 200, "{\"data\":7}", "", ERR_PROTOCOL },
		{ 200, "", "no list", ERR_PROTOCOL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct catalog *c = begin("openai", "/v1");
		struct catalog_list *l;
		struct err e;

		wire_add_json(w, rows[i].status, NULL, rows[i].body);
		l = fetched(c);
		assert_null(l);
		catalog_peek(c, 0, &l, &e);
		assert_null(l);
		assert_int_equal(e.kind, rows[i].kind);
		if (!strstr(e.message, rows[i].says))
			fail_msg("row %zu: %s", i, e.message);
		/* not at every look */
		assert_false(catalog_look(c, 0, &l));
		assert_int_equal(wire_requests(w), 1);
		end();
	}
}

/* what is known stays when a later fetch fails */
static void test_failure_after_a_list(void **state)
{
	struct catalog *c = begin("openai", "/v1");
	struct catalog_list *l, *again = NULL;
	struct err e;

	(void)state;
	wire_add_json(w, 200, NULL, "{\"data\":[{\"id\":\"a\"}]}");
	wire_add_json(w, 503, NULL, "{}");
	l = fetched(c);
	assert_non_null(l);
	catalog_stale(c, 0);
	(void)catalog_look(c, 0, &again);
	again = catalog_unref(c, again);
	for (int i = 0; i < 2000; i++) {
		catalog_peek(c, 0, &again, &e);
		assert_ptr_equal(again, l);
		again = catalog_unref(c, again);
		if (e.kind)
			break;
		nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	}
	assert_int_equal(e.kind, ERR_PROVIDER);
	l = catalog_unref(c, l);
	end();
}

static void test_waiters(void **state)
{
	struct catalog *c = begin("openai", "/v1");
	struct catalog_list *l = NULL;
	struct waiting one, two, gone;

	(void)state;
	wire_add(w, (struct wire_answer){
			    .bytes = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				     "Content-Length: 22\r\n\r\n{\"data\":[{\"id\":\"a\"}]}\n",
			    .gate = true });
	waiting_init(&one);
	waiting_init(&two);
	waiting_init(&gone);
	assert_false(catalog_wait(c, 0, &one.waiter)); /* nothing is on its way yet */
	assert_true(catalog_look(c, 0, &l));
	assert_true(catalog_wait(c, 0, &one.waiter));
	assert_true(catalog_wait(c, 0, &gone.waiter));
	assert_true(catalog_look(c, 0, &l));
	assert_true(catalog_wait(c, 0, &two.waiter));
	assert_true(catalog_unwait(c, &gone.waiter));
	assert_false(catalog_unwait(c, &gone.waiter));
	wire_open(w);
	await(&one);
	await(&two);
	assert_int_equal(gone.woken, 0);
	assert_int_equal(wire_requests(w), 1);
	assert_false(catalog_wait(c, 0, &one.waiter)); /* it is there */
	end();
}

/* the program ends while a list is on its way: whoever waits is woken, nothing is left over */
static void test_end_while_fetching(void **state)
{
	struct catalog *c = begin("openai", "/v1");
	struct catalog_list *l = NULL;
	struct waiting x;

	(void)state;
	wire_add(w, (struct wire_answer){ .bytes = "HTTP/1.1 200 OK\r\n\r\n", .gate = true });
	waiting_init(&x);
	assert_true(catalog_look(c, 0, &l));
	assert_true(catalog_wait(c, 0, &x.waiter));
	assert_true(wire_await(w, 1));
	ask_free(&a);
	assert_int_equal(x.woken, 1);
	w = wire_free(w);
}

static void test_without_a_key(void **state)
{
	struct backend_config config;
	struct catalog_list *l = NULL;
	struct err e;

	(void)state;
	w = wire_new();
	config = ask_config("openai", wire_url(w));
	free(TAKE(config.at.key));
	config.at.key_hint = strdup("set OPENAI_API_KEY");
	ask_new(&a, config);
	assert_false(catalog_look(infer_catalog(a.infer), 0, &l));
	assert_null(l);
	catalog_peek(infer_catalog(a.infer), 0, &l, &e);
	assert_int_equal(e.kind, ERR_NO_KEY);
	assert_non_null(strstr(e.message, "set OPENAI_API_KEY"));
	assert_int_equal(wire_connections(w), 0);
	end();
}

static void test_in_process(void **state)
{
	struct catalog_list *l;

	(void)state;
	w = wire_new();
	ask_new(&a, ask_config("echo", NULL));
	l = fetched(infer_catalog(a.infer));
	assert_non_null(l);
	assert_string_equal(id(l, 0), "echo");
	l = catalog_unref(infer_catalog(a.infer), l);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_page),      cmocka_unit_test(test_pages),
		cmocka_unit_test(test_failures),      cmocka_unit_test(test_failure_after_a_list),
		cmocka_unit_test(test_waiters),	      cmocka_unit_test(test_end_while_fetching),
		cmocka_unit_test(test_without_a_key), cmocka_unit_test(test_in_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
