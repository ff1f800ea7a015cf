/*
 * test_vectors.c - vectors as they are stored and shown
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "core/vectors.h"

static json_t *json_of(const char *text)
{
	json_t *v = json_loads(text, 0, NULL);

	assert_non_null(v);
	return v;
}

static void test_bad(void **state)
{
	static const struct {
		const char *vectors;
		size_t inputs;
		const char *says;
	} rows[] = {
		{ "[]", 1, "0 embeddings came for 1 inputs" },
		{ "[]", 0, "0 embeddings" },
		{ "{}", 1, "0 embeddings" },
		{ "[[1]]", 2, "1 embeddings came for 2 inputs" },
		{ "[[1],[2]]", 1, "2 embeddings came for 1 inputs" },
		{ "[[]]", 1, "input 1 has no numbers" },
		{ "[5]", 1, "input 1 has no numbers" },
		{ "[[1],[]]", 2, "input 2 has no numbers" },
		{ "[[1],[1,2]]", 2, "input 2 has 2 numbers where the first has 1" },
		{ "[[1,null]]", 1, "input 1 holds something that is no number" },
		{ "[[1],[\"2\"]]", 2, "input 2 holds something" },
		{ "[[1e39]]", 1, "holds 1e+39, which float32 cannot hold" },
		{ "[[0],[-3.5e38]]", 2, "input 2 holds -3.5e+38" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *v = json_of(rows[i].vectors), *out = NULL;
		struct err e = { 0 };

		if (vectors_pack(v, rows[i].inputs, &out, &e) != -EBADMSG ||
		    !strstr(e.message, rows[i].says))
			fail_msg("%s: %s", rows[i].vectors, e.message);
		assert_null(out);
		assert_int_equal(vectors_pack(v, rows[i].inputs, &out, NULL), -EBADMSG);
		json_decref(v);
	}
	{
		json_t *out = NULL;

		assert_int_equal(vectors_pack(NULL, 1, &out, NULL), -EBADMSG);
	}
}

/* What an engine gave may be anything. */
static void test_damaged(void **state)
{
	static const char *const rows[] = {
		"{\"embedding\":{}}",
		"{\"embedding\":5}",
		"{\"embedding\":{\"data\":\"AACAPw==\"}}",
		"{\"embedding\":{\"data\":\"AACAPw==\",\"shape\":[1]}}",
		"{\"embedding\":{\"data\":\"AACAPw==\",\"shape\":[1,1,1]}}",
		"{\"embedding\":{\"data\":\"AACAPw==\",\"shape\":[0,1]}}",
		"{\"embedding\":{\"data\":\"AACAPw==\",\"shape\":[1,-1]}}",
		"{\"embedding\":{\"data\":\"AACAPw==\",\"shape\":[1,2]}}",
		"{\"embedding\":{\"data\":\"AACAPw==\",\"shape\":[2,1]}}",
		"{\"embedding\":{\"data\":\"AACAPwAAgD8AAIA/\",\"shape\":[1,2]}}",
		"{\"embedding\":{\"data\":\"AACAPw\",\"shape\":[1,1]}}",
		"{\"embedding\":{\"data\":\"AACA\",\"shape\":[1,1]}}",
		"{\"embedding\":{\"data\":5,\"shape\":[1,1]}}",
		"{\"embedding\":{\"data\":\"AACAfw==\",\"shape\":[1,1]}}" /* infinity */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF struct buf b = BUF_INIT(1000);
		json_t *v = json_of(rows[i]);

		assert_int_equal(vectors_json(v, &b), -EBADMSG);
		json_decref(v);
	}
	{
		AUTO_BUF struct buf b = BUF_INIT(1000);
		json_t *v = json_of("{\"text\":\"x\"}");

		assert_int_equal(vectors_json(v, &b), -ENOENT);
		assert_int_equal(vectors_npy(v, &b), -ENOENT);
		assert_int_equal(b.len, 0);
		json_decref(v);
	}
}

static void shows(const char *vectors, size_t inputs, const char *text)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 16);
	json_t *v = json_of(vectors), *packed = NULL, *sample;
	size_t n = 0, d = 0;

	assert_int_equal(vectors_pack(v, inputs, &packed, NULL), 0);
	assert_int_equal(vectors_shape(packed, &n, &d), 0);
	assert_int_equal(n, inputs);
	sample = json_pack("{s:o, s:s}", "embedding", packed, "model", "m");
	assert_int_equal(vectors_json(sample, &b), 0);
	assert_string_equal(buf_str(&b), text);
	json_decref(sample);
	json_decref(v);
}

static void test_json(void **state)
{
	(void)state;
	shows("[[1]]", 1, "{\"model\":\"m\",\"dimensions\":1,\"data\":[[1]]}\n");
	shows("[[0.1,-0.25,0],[1e-7,3e38,7]]", 2,
	      "{\"model\":\"m\",\"dimensions\":3,\"data\":[[0.1,-0.25,0],[1e-7,3e+38,7]]}\n");
	/* a provider's float32 text comes back; what has more digits is rounded */
	shows("[[0.02349853515625,-0.0065612793,0.0072834617,0.123456789012345678]]", 1,
	      "{\"model\":\"m\",\"dimensions\":4,\"data\":[[0.023498535,-0.0065612793,0.0072834617,0.12345679]]}\n");
	/* too small for float32 is nothing, too long for a double is a number all the same */
	shows("[[1e-60,16777217]]", 1,
	      "{\"model\":\"m\",\"dimensions\":2,\"data\":[[0,16777216]]}\n");
}

static void test_npy(void **state)
{
	json_t *v = json_of("[[1,-2.5],[0,1]]"), *packed = NULL, *sample;
	static const uint8_t values[] = { 0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0,
					  0, 0, 0,    0,    0, 0, 0x80, 0x3f };
	AUTO_BUF struct buf b = BUF_INIT(1000);

	(void)state;
	assert_int_equal(vectors_pack(v, 2, &packed, NULL), 0);
	sample = json_pack("{s:o}", "embedding", packed);
	assert_int_equal(vectors_npy(sample, &b), 0);
	assert_int_equal(b.len, 128 + 16);
	assert_non_null(strstr(b.data + 10, "'shape': (2, 2)"));
	assert_memory_equal(b.data + 128, values, 16);
	buf_clear(&b);
	assert_int_equal(vectors_json(sample, &b), 0);
	assert_string_equal(buf_str(&b),
			    "{\"model\":null,\"dimensions\":2,\"data\":[[1,-2.5],[0,1]]}\n");
	json_decref(sample);
	json_decref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_npy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
