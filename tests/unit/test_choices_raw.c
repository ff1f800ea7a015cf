/*
 * infer/choices without a parser: which bytes each answer keeps, who is told the bill, and who is let go
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "infer/choices.h"

enum { N = 3, EVENTS = 5 };

static void event(struct choices *c, const char *text, int rc)
{
	assert_int_equal(choices_event(c, text, strlen(text)), rc);
}

static void finish(struct choices *c, unsigned i, const char *reason)
{
	c->v[i]->finish_reason = reason ? strdup(reason) : NULL;
	assert_true(!reason || c->v[i]->finish_reason);
}

/* ---- events ---- */

/* raw: of each answer once the reply has ended; what is told to all is "*" only in the first */
static const struct {
	const char *events[EVENTS], *raw[N];
} streams[] = {
	/* what is for nobody in particular is for all; white space that breaks lines becomes blanks */
	{ { "not JSON", "7", "null", "{\n\"a\":\r\n1}" },
	  { "not JSON\n7\nnull\n{ \"a\":  1}\n", "*", "*" } },
	{ { "", "{}", "[{\"index\":1}]" }, { "\n{}\n[{\"index\":1}]\n", "*", "*" } },
	{ { "{\"choices\":[]}", "{\"choices\":{\"index\":1}}", "{\"candidates\":7}" },
	  { "{\"choices\":[]}\n{\"choices\":{\"index\":1}}\n{\"candidates\":7}\n", "*", "*" } },
	/* one's own: as it came when it is alone in it, even with strange blanks */
	{ { "{ \"choices\" : [ {\"index\":2,\"x\":1} ] }", "{\"choices\":[{\"index\":1}]}" },
	  { "", "{\"choices\":[{\"index\":1}]}\n",
	    "{ \"choices\" : [ {\"index\":2,\"x\":1} ] }\n" } },
	{ { "{\"id\":\"i\",\"choices\":[{\"index\":1,\"t\":\"b\"},{\"index\":0,\"t\":\"a\"}]}" },
	  { "{\"id\":\"i\",\"choices\":[{\"index\":0,\"t\":\"a\"}]}\n",
	    "{\"id\":\"i\",\"choices\":[{\"index\":1,\"t\":\"b\"}]}\n", "" } },
	{ { "{\"candidates\":[{\"index\":1,\"t\":\"\\u0000\"},{\"t\":\"no index is 0\"}]}" },
	  { "{\"candidates\":[{\"t\":\"no index is 0\"}]}\n",
	    "{\"candidates\":[{\"index\":1,\"t\":\"\\u0000\"}]}\n", "" } },
	{ { "{\"choices\":[{\"index\":0,\"t\":1},{\"index\":2},{\"index\":0,\"t\":2}]}" },
	  { "{\"choices\":[{\"index\":0,\"t\":1},{\"index\":0,\"t\":2}]}\n", "",
	    "{\"choices\":[{\"index\":2}]}\n" } },
	/* choices that nobody asked for are nobody's */
	{ { "{\"choices\":[{\"index\":3}]}", "{\"choices\":[{\"index\":-1}]}",
	    "{\"choices\":[{\"index\":4294967296}]}",
	    "{\"choices\":[{\"index\":99,\"t\":1},{\"index\":1}]}" },
	  { "", "{\"choices\":[{\"index\":1}]}\n", "" } },
	{ { "{\"choices\":[{\"index\":\"1\"},null,{\"index\":1.0}]}" },
	  { "{\"choices\":[{\"index\":\"1\"},null,{\"index\":1.0}]}\n", "", "" } },
	/* the bill: whoever was not in its event has it at the end, without the others' choices */
	{ { "{\"choices\":[{\"index\":1}],\"usage\":{\"o\":5}}" },
	  { "{\"choices\":[],\"usage\":{\"o\":5}}\n",
	    "{\"choices\":[{\"index\":1}],\"usage\":{\"o\":5}}\n",
	    "{\"choices\":[],\"usage\":{\"o\":5}}\n" } },
	{ { "{\"candidates\":[{\"index\":1}],\"usageMetadata\":{}}" },
	  { "{\"candidates\":[],\"usageMetadata\":{}}\n",
	    "{\"candidates\":[{\"index\":1}],\"usageMetadata\":{}}\n",
	    "{\"candidates\":[],\"usageMetadata\":{}}\n" } },
	/* the last one counts, also for who had one before */
	{ { "{\"choices\":[{\"index\":0}],\"usage\":{\"o\":1}}",
	    "{\"choices\":[{\"index\":2}],\"usage\":{\"o\":2}}", "{\"choices\":[{\"index\":1}]}" },
	  { "{\"choices\":[{\"index\":0}],\"usage\":{\"o\":1}}\n"
	    "{\"choices\":[],\"usage\":{\"o\":2}}\n",
	    "{\"choices\":[{\"index\":1}]}\n{\"choices\":[],\"usage\":{\"o\":2}}\n",
	    "{\"choices\":[{\"index\":2}],\"usage\":{\"o\":2}}\n" } },
	/* one that is for all takes its place */
	{ { "{\"choices\":[{\"index\":0}],\"usage\":{\"o\":1}}",
	    "{\"choices\":[],\"usage\":{\"o\":2}}" },
	  { "{\"choices\":[{\"index\":0}],\"usage\":{\"o\":1}}\n"
	    "{\"choices\":[],\"usage\":{\"o\":2}}\n",
	    "{\"choices\":[],\"usage\":{\"o\":2}}\n", "{\"choices\":[],\"usage\":{\"o\":2}}\n" } },
	{ { "{\"choices\":[{\"index\":0}],\"usage\":null}",
	    "{\"choices\":[{\"index\":0}],\"usage\":7}" },
	  { "{\"choices\":[{\"index\":0}],\"usage\":null}\n"
	    "{\"choices\":[{\"index\":0}],\"usage\":7}\n",
	    "", "" } },
	/* in a choice that nobody asked for, too */
	{ { "{\"choices\":[{\"index\":7}],\"usage\":{}}" },
	  { "{\"choices\":[],\"usage\":{}}\n", "*", "*" } },
};

static void what_each_keeps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		struct choices c;
		const char *why = "before";
		size_t bytes = 0;

		assert_int_equal(choices_init(&c, N), 0);
		for (unsigned k = 0; k < EVENTS && streams[i].events[k]; k++)
			event(&c, streams[i].events[k], 0);
		for (unsigned k = 0; k < N; k++)
			finish(&c, k, "stop");
		assert_int_equal(choices_end(&c, &why), N);
		assert_null(why);
		for (unsigned k = 0; k < N; k++) {
			const char *want = streams[i].raw[k];

			assert_string_equal(buf_str(&c.v[k]->raw),
					    strcmp(want, "*") == 0 ? streams[i].raw[0] : want);
			bytes += c.v[k]->raw.len;
		}
		assert_int_equal(bytes, c.raw);
		choices_done(&c);
	}
}

/* ---- the maximum is of all together ---- */

static void too_much(void **state)
{
	static const char own[] = "{\"choices\":[{\"index\":1}]}";
	struct choices c;

	(void)state;
	assert_int_equal(choices_init(&c, 2), 0);
	c.raw = ANSWER_TEXT_MAX - sizeof(own); /* room for it and its newline, once */
	event(&c, own, 0);
	assert_int_equal(c.raw, ANSWER_TEXT_MAX);
	event(&c, "", -EFBIG);
	event(&c, own, -EFBIG);
	event(&c, "{\"choices\":[{\"index\":9}]}", 0); /* which nobody keeps */
	assert_string_equal(buf_str(&c.v[0]->raw), "");
	assert_int_equal(c.v[1]->raw.len, sizeof(own));
	choices_done(&c);

	assert_int_equal(choices_init(&c, 2), 0);
	c.raw = ANSWER_TEXT_MAX - 3;
	event(&c, "7", -EFBIG); /* for both, and one byte short */
	choices_done(&c);

	assert_int_equal(choices_init(&c, 1), 0);
	c.raw = ANSWER_TEXT_MAX - 2;
	event(&c, "77", -EFBIG);
	event(&c, "7", 0);
	event(&c, "", -EFBIG);
	choices_done(&c);
	choices_done(&c);
}

/* A bill that finds no room is no reason to lose what was paid for. */
static void no_room_for_the_bill(void **state)
{
	struct choices c;
	const char *why;

	(void)state;
	assert_int_equal(choices_init(&c, 2), 0);
	event(&c, "{\"choices\":[{\"index\":0}],\"usage\":{}}", 0);
	c.raw = ANSWER_TEXT_MAX;
	finish(&c, 0, "stop");
	finish(&c, 1, "stop");
	assert_int_equal(choices_end(&c, &why), 2);
	assert_int_equal(c.v[1]->raw.len, 0);
	choices_done(&c);
}

/* ---- a whole body ---- */

static void whole(const char *body, unsigned n, const char *const *raw)
{
	struct choices c;
	struct buf b = BUF_INIT(4096);

	assert_int_equal(choices_init(&c, n), 0);
	assert_int_equal(buf_adds(&b, body), 0);
	assert_int_equal(choices_whole(&c, &b), 0);
	for (unsigned i = 0; i < n; i++)
		assert_string_equal(buf_str(&c.v[i]->raw), raw[i]);
	assert_int_equal(b.len, n == 1 ? 0 : strlen(body)); /* taken where it is one's alone */
	buf_done(&b);
	choices_done(&c);
}

static void whole_bodies(void **state)
{
	(void)state;
	whole("", 1, (const char *[]){ "" });
	whole("{\n}", 1, (const char *[]){ "{\n}" });
	whole("", 2, (const char *[]){ "\n", "\n" });
	whole("<html>\n", 2, (const char *[]){ "<html> \n", "<html> \n" });
	whole("[]", 2, (const char *[]){ "", "" });
	whole("[7,{\"a\": 1}]", 2, (const char *[]){ "7\n{\"a\":1}\n", "7\n{\"a\":1}\n" });
	whole("[{\"candidates\":[{\"index\":1}]},{\"candidates\":[{},{\"index\":1}]}]", 2,
	      (const char *[]){ "{\"candidates\":[{}]}\n", "{\"candidates\":[{\"index\":1}]}\n"
							   "{\"candidates\":[{\"index\":1}]}\n" });
	whole("{\"choices\":[{\"index\":1}, {\"index\":0}],\"usage\":{}}", 2,
	      (const char *[]){ "{\"choices\":[{\"index\":0}],\"usage\":{}}\n",
				"{\"choices\":[{\"index\":1}],\"usage\":{}}\n" });
}

/* ---- the end ---- */

static const struct {
	const char *reason[N];
	unsigned good, came;
	const char *why;   /* of those that failed, when none is good */
	int64_t output[N]; /* of 8 in all; -1: that one is let go */
} ends[] = {
	{ { NULL, NULL, NULL }, 0, 0, NULL, { 0 } },
	{ { "error", NULL, NULL }, 0, 1, "r0", { 0 } },
	{ { NULL, "error", "error" }, 0, 2, "r1", { 0 } },
	{ { "error", "error", "error" }, 0, 3, "r0", { 0 } },
	{ { "stop", "length", "other:x" }, 3, 3, NULL, { 4, 2, 2 } },
	{ { NULL, "stop", "stop" }, 2, 2, NULL, { -1, 4, 4 } },
	{ { "error", "stop", NULL }, 1, 2, NULL, { -1, 8, -1 } },
	{ { "stop", "error", "stop" }, 2, 3, NULL, { 4, -1, 4 } },
	{ { NULL, NULL, "content_filter" }, 1, 1, NULL, { -1, -1, 8 } },
};

static void who_is_let_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		bool first = true; /* what was read is told by the first that is there */
		struct choices c;
		const char *why = "before";
		struct answer **v;

		assert_int_equal(choices_init(&c, N), 0);
		for (unsigned k = 0; k < N; k++) {
			finish(&c, k, ends[i].reason[k]);
			c.v[k]->refusal = strdup((const char *[]){ "r0", "r1", "r2" }[k]);
		}
		c.v[0]->usage = (struct answer_usage){ 7, -1, -1, 8, -1 };
		assert_int_equal(choices_end(&c, &why), ends[i].good);
		assert_int_equal(c.came, ends[i].came);
		assert_int_equal(c.usage.output, 8);
		if (ends[i].why)
			assert_string_equal(why, ends[i].why);
		else
			assert_null(why);
		v = choices_take(&c);
		choices_done(&c); /* no longer theirs */
		for (unsigned k = 0; k < N; k++) {
			if (ends[i].good && ends[i].output[k] < 0)
				assert_null(v[k]);
			else if (ends[i].good) {
				assert_int_equal(v[k]->usage.output, ends[i].output[k]);
				assert_int_equal(v[k]->usage.input, first ? 7 : 0);
				assert_int_equal(v[k]->usage.reasoning, -1);
				first = false;
			}
			answer_free(v[k]);
		}
		free((void *)v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_each_keeps),	cmocka_unit_test(too_much),
		cmocka_unit_test(no_room_for_the_bill), cmocka_unit_test(whole_bodies),
		cmocka_unit_test(who_is_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
