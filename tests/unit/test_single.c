/*
 * infer/single: models that bring one sample a call; bodies with their number taken out
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
#include "base/str.h"
#include "infer/single.h"

/* ---- which refusals may be about the number ---- */

static const struct {
	enum err_kind kind;
	int status;
	const char *message;
	bool want;
} refusals[] = {
	{ ERR_NONE, 0, "", false },
	{ ERR_REQUEST, 0, "n_cmpl", false },
	{ ERR_REQUEST, 400, "", true },
	{ ERR_REQUEST, 422, "", true },
	{ ERR_REQUEST, 404, "", false },
	{ ERR_REQUEST, 413, "n must be 1", false },
	{ ERR_UNSUPPORTED, 400, "", true },
	{ ERR_UNSUPPORTED, 422, "", true },
	{ ERR_UNSUPPORTED, 501, "", false },
	{ ERR_UNSUPPORTED, 0, "", false },
	{ ERR_PROVIDER, 501, "", true },
	{ ERR_PROVIDER, 500, "", false },
	{ ERR_PROVIDER, 500, "b: n_cmpl is more than the slots", true },
	{ ERR_PROVIDER, 503, "n_cmpl", false },
	{ ERR_PROVIDER, 400, "", false },
	{ ERR_CONTEXT, 400, "", false },
	{ ERR_KEY_REJECTED, 400, "", false },
	{ ERR_NOT_FOUND, 404, "", false },
	{ ERR_QUOTA, 402, "", false },
	{ ERR_RATE_LIMIT, 429, "n_cmpl", false },
	{ ERR_TIMEOUT, 408, "", false },
	{ ERR_CANCELLED, 0, "", false },
	{ ERR_PROTOCOL, 200, "", false },
};

static void which_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct err e = { .kind = refusals[i].kind, .http_status = refusals[i].status };

		assert_true(str_copy(e.message, sizeof(e.message), refusals[i].message));
		if (single_refused(&e) != refusals[i].want)
			fail_msg("kind %d, status %d, \"%s\"", refusals[i].kind, refusals[i].status,
				 refusals[i].message);
	}
}

/* ---- bodies ---- */

static const struct {
	const char *body, *want; /* NULL: it cannot be, and stays */
} bodies[] = {
	{ "", NULL },
	{ "{", NULL },
	{ "{\"n\":3}x", NULL },
	{ "{\"n\":3,", NULL },
	{ "\xff", NULL },
	{ "{}", "{}" },
	{ "{\"n\":3}", "{}" },
	{ "{\"n\":3,\"model\":\"m\"}", "{\"model\":\"m\"}" },
	{ "{\"z\":1,\"n\":128,\"a\":[{\"n\":2}]}", "{\"a\":[{\"n\":2}],\"z\":1}" },
	{ "{\"messages\":[{\"content\":\"n\\u0000\\n\"}],\"n\":2}",
	  "{\"messages\":[{\"content\":\"n\\u0000\\n\"}]}" },
	{ "{\"generationConfig\":{\"candidateCount\":8}}", "{}" },
	{ "{\"generationConfig\":{\"candidateCount\":8,\"topK\":1}}",
	  "{\"generationConfig\":{\"topK\":1}}" },
	/* the user's own empty object stays: nothing was taken out of it */
	{ "{\"generationConfig\":{}}", "{\"generationConfig\":{}}" },
	{ "{\"generationConfig\":7,\"n\":2}", "{\"generationConfig\":7}" },
	{ "{\"candidateCount\":8}", "{\"candidateCount\":8}" },
	{ "{\"contents\":[{\"parts\":[{\"text\":\"\xc3\xbc\"}]}],"
	  "\"generationConfig\":{\"candidateCount\":2,\"seed\":1,\"stopSequences\":[]}}",
	  "{\"contents\":[{\"parts\":[{\"text\":\"\xc3\xbc\"}]}],"
	  "\"generationConfig\":{\"seed\":1,\"stopSequences\":[]}}" },
};

static void bodies_for_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		AUTO_BUF struct buf b = BUF_INIT(4096);
		const char *want = bodies[i].want;

		assert_int_equal(buf_adds(&b, bodies[i].body), 0);
		assert_true(want ? single_body(&b) == 0 : single_body(&b) < 0);
		assert_string_equal(buf_str(&b), want ? want : bodies[i].body);
		assert_int_equal(b.len, strlen(buf_str(&b)));
		assert_int_equal(b.max, 4096);
		if (want) { /* once more: nothing is left to take out */
			assert_int_equal(single_body(&b), 0);
			assert_string_equal(buf_str(&b), want);
		}
	}
}

/* The canonical form of a text may be longer than the text: escapes, numbers. */
static void no_room_for_the_body(void **state)
{
	static const char text[] = "{\"a\":1e20,\"n\":2}",
			  longer[] = "{\"a\":100000000000000000000}";

	(void)state;
	for (size_t max = sizeof(text) - 1; max < sizeof(longer) + 2; max++) {
		AUTO_BUF struct buf b = BUF_INIT(max);
		int rc;

		assert_int_equal(buf_adds(&b, text), 0);
		rc = single_body(&b);
		if (max < sizeof(longer) - 1) {
			assert_int_equal(rc, -EFBIG);
			assert_string_equal(buf_str(&b), text);
		} else if (!rc) {
			assert_string_equal(buf_str(&b), longer);
		}
	}
}

/* ---- what is remembered ---- */

static void names_are_whole(void **state)
{
	static const char *const others[] = {
		"", "m", "gpt", "gpt-5x", "GPT-5", "gpt-5 ", "xgpt-5"
	};
	struct single s = { 0 };
	char name[] = "gpt-5";

	(void)state;
	single_add(&s, NULL);
	assert_int_equal(s.next, 0);
	single_add(&s, name);
	name[0] = 'G'; /* it is a copy */
	assert_true(single_has(&s, "gpt-5"));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(single_has(&s, others[i]));
	single_add(&s, ""); /* a server's only model may have no name */
	assert_true(single_has(&s, ""));
	assert_false(single_has(&s, NULL));
	single_done(&s);
	assert_false(single_has(&s, "gpt-5"));
	single_add(&s, "again");
	assert_true(single_has(&s, "again"));
	single_done(&s);
	single_done(&s);
}

/* Twice the room: each one that comes takes the place of the oldest, and of no other. */
static void the_oldest_goes(void **state)
{
	struct single s = { 0 };
	char model[16];

	(void)state;
	for (unsigned i = 0; i < 2 * SINGLE_MAX + 7; i++) {
		unsigned first = i < SINGLE_MAX ? 0 : i + 1 - SINGLE_MAX;

		(void)snprintf(model, sizeof(model), "m%u", i);
		single_add(&s, model);
		single_add(&s, model); /* is there: takes no second place */
		assert_int_equal(s.next, (i + 1) % SINGLE_MAX);
		(void)snprintf(model, sizeof(model), "m%u", first);
		assert_true(single_has(&s, model));
		if (first) {
			(void)snprintf(model, sizeof(model), "m%u", first - 1);
			assert_false(single_has(&s, model));
		}
	}
	single_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_refusals),	cmocka_unit_test(bodies_for_one),
		cmocka_unit_test(no_room_for_the_body), cmocka_unit_test(names_are_whole),
		cmocka_unit_test(the_oldest_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
