/*
 * test_manage.c - orders to a backend that keeps models: pulls, removals, what is loaded
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/auto.h"
#include "infer/manage.h"
#include "wire.h"
#include "wire_ask.h"

static struct wire *w;
static struct ask a;

static struct manage *begin(const char *type)
{
	w = wire_new();
	ask_new(&a, ask_config(type, wire_url(w)));
	return infer_manage(a.infer);
}

static void end(void)
{
	ask_free(&a);
	w = wire_free(w);
}

/* the n-th order when it is over */
static struct manage_view over(struct manage *m, size_t n)
{
	struct manage_view list[MANAGE_ORDERS_MAX];

	for (int i = 0; i < 4000; i++) {
		size_t k = manage_list(m, 0, list);

		assert_true(n < k);
		if (list[n].state != MANAGE_RUNNING)
			return list[n];
		nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	}
	fail_msg("the order is not over after 20 s");
	return list[n];
}

static void test_words(void **state)
{
	static const char *const bad[] = { "",	     "pull",	  "pull ",   "pull a b",
					   "delete", "push a",	  " pull a", "pulla",
					   "PULL a", "pull a\nb", "\n",	     "pull \001x" };
	struct manage *m = begin("ollama");
	char longer[400];
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(manage_order(m, 0, bad[i], &e), -EINVAL);
	(void)snprintf(longer, sizeof(longer), "pull %0300d", 1);
	assert_int_equal(manage_order(m, 0, longer, &e), -EINVAL);
	assert_int_equal(manage_order(m, 3, "pull x", &e), -EOPNOTSUPP);
	assert_int_equal(wire_connections(w), 0);
	end();
	m = begin("openai");
	assert_false(manage_can(m, 0));
	assert_int_equal(manage_order(m, 0, "pull x", &e), -EOPNOTSUPP);
	assert_null(manage_loaded(m, 0));
	end();
}

static void test_pull(void **state)
{
	struct manage *m = begin("ollama");
	struct manage_view v;

	(void)state;
	wire_add_typed(w, 200, "application/x-ndjson",
		       "{\"status\":\"pulling manifest\"}\n"
		       "{\"status\":\"pulling 01\",\"total\":400,\"completed\":100}\n"
		       "{\"status\":\"success\"}\n",
		       WIRE_KEEP);
	assert_true(manage_can(m, 0));
	assert_int_equal(manage_order(m, 0, "pull llama3.2:1b\n", NULL), 0);
	v = over(m, 0);
	assert_int_equal(v.state, MANAGE_DONE);
	assert_false(v.remove);
	assert_string_equal(v.model, "llama3.2:1b");
	assert_string_equal(v.status, "success");
	assert_string_equal(v.error, "");
	assert_true(v.changed_real_ns >= v.began_real_ns);
	assert_non_null(strstr(wire_request(w, 0), "POST /api/pull HTTP/1.1"));
	assert_string_equal(wire_body(w, 0), "{\"model\":\"llama3.2:1b\"}");
	end();
}

static void test_removal(void **state)
{
	struct manage *m = begin("ollama");

	(void)state;
	wire_add_typed(w, 200, NULL, "", WIRE_KEEP);
	wire_add_json(w, 404, NULL, "{\"error\":\"model 'x' not found\"}");
	assert_int_equal(manage_order(m, 0, "delete x", NULL), 0);
	assert_int_equal(over(m, 0).state, MANAGE_DONE);
	assert_non_null(strstr(wire_request(w, 0), "DELETE /api/delete HTTP/1.1"));
	assert_int_equal(manage_order(m, 0, "delete x", NULL), 0);
	assert_int_equal(over(m, 1).state, MANAGE_FAILED);
	assert_non_null(strstr(over(m, 1).error, "not found"));
	end();
}

static void test_failed_pulls(void **state)
{
	static const struct {
		const char *body, *says;
	} rows[] = {
		{ "{\"status\":\"pulling manifest\"}\n", "before its end" },
		{ "{\"error\":\"no space left on device\"}\n", "no space left" },
		{ "{\"status\":\"success\"}\n{\"error\":\"and yet\"}\n", "and yet" },
		{ "not json\n", "before its end" },
		{ "", "before its end" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manage *m = begin("ollama");
		struct manage_view v;

		wire_add_typed(w, 200, "application/x-ndjson", rows[i].body, WIRE_KEEP);
		assert_int_equal(manage_order(m, 0, "pull x", NULL), 0);
		v = over(m, 0);
		assert_int_equal(v.state, MANAGE_FAILED);
		assert_non_null(strstr(v.error, rows[i].says));
		/* an order is never repeated by itself */
		assert_int_equal(wire_requests(w), 1);
		end();
	}
}

static void test_many(void **state)
{
	struct manage *m = begin("ollama");
	struct manage_view list[MANAGE_ORDERS_MAX];
	char text[32];
	struct err e;

	(void)state;
	wire_add(w, (struct wire_answer){ .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n"
						   "{\"status\":\"success\"}\n",
					  .gate = true });
	for (int i = 0; i < 4; i++) {
		(void)snprintf(text, sizeof(text), "pull m%d", i);
		assert_int_equal(manage_order(m, 0, text, &e), 0);
		assert_int_equal(manage_order(m, 0, text, &e), 0); /* joined */
	}
	assert_int_equal(manage_order(m, 0, "pull one-more", &e), -EBUSY);
	assert_int_equal(manage_list(m, 0, list), 4);
	wire_open(w);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(over(m, i).state, MANAGE_DONE);
	for (int i = 0; i < 40; i++) { /* old ones make room */
		size_t n = manage_list(m, 0, list);

		(void)snprintf(text, sizeof(text), "pull n%d", i);
		assert_int_equal(manage_order(m, 0, text, &e), 0);
		n = manage_list(m, 0, list);
		assert_true(n <= MANAGE_ORDERS_MAX);
		assert_int_equal(over(m, n - 1).state, MANAGE_DONE);
	}
	end();
}

static void test_loaded(void **state)
{
	struct manage *m = begin("ollama");
	json_t *list = NULL;

	(void)state;
	wire_add_json(w, 200, NULL, "{\"models\":[{\"name\":\"a\"}]}");
	for (int i = 0; i < 4000 && !list; i++) {
		list = manage_loaded(m, 0);
		nanosleep(&(struct timespec){ 0, list ? 0 : 5000000 }, NULL);
	}
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	/* not at every look */
	list = manage_loaded(m, 0);
	assert_non_null(list);
	json_decref(list);
	assert_int_equal(wire_requests(w), 1);
	assert_non_null(strstr(wire_request(w, 0), "GET /api/ps HTTP/1.1"));
	end();
}

static void test_end_while_pulling(void **state)
{
	struct manage *m = begin("ollama");

	(void)state;
	wire_add(w, (struct wire_answer){ .bytes = "HTTP/1.1 200 OK\r\n\r\n", .gate = true });
	assert_int_equal(manage_order(m, 0, "pull x", NULL), 0);
	assert_true(wire_await(w, 1));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_pull),
		cmocka_unit_test(test_removal),
		cmocka_unit_test(test_failed_pulls),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_loaded),
		cmocka_unit_test(test_end_while_pulling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
