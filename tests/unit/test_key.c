/*
 * test_key.c - SHA-256 keys
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "core/key.h"

struct vector {
	const char *text;
	unsigned times; /* the text so often in a row */
	const char *hex;
};

/* FIPS 180-4 examples and the empty text */
static const struct vector vectors[] = {
	{ "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

static void test_parse_refuses(void **state)
{
	static const char good[] =
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	char text[KEY_HEX + 2];
	struct key k, before;

	(void)state;
	memset(&k, 7, sizeof(k));
	before = k;
	assert_int_equal(key_parse("", &k), -EINVAL);
	assert_int_equal(key_parse("00", &k), -EINVAL);
	memcpy(text, good, sizeof(good));
	text[63] = '\0';
	assert_int_equal(key_parse(text, &k), -EINVAL);
	memcpy(text, good, sizeof(good));
	memcpy(text + 64, "0", 2);
	assert_int_equal(key_parse(text, &k), -EINVAL);
	for (size_t i = 0; i < KEY_HEX; i++) {
		memcpy(text, good, sizeof(good));
		text[i] = 'A';
		assert_int_equal(key_parse(text, &k), -EINVAL);
		text[i] = '/';
		assert_int_equal(key_parse(text, &k), -EINVAL);
	}
	assert_true(key_equal(&k, &before));
	assert_int_equal(key_parse(good, &k), 0);
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		size_t n = strlen(v->text), all = n * v->times;
		AUTO_FREE char *text = malloc(all + 1);
		char hex[KEY_HEX + 1];
		struct key k, parsed;

		assert_non_null(text);
		for (unsigned t = 0; t < v->times; t++)
			memcpy(text + t * n, v->text, n);
		assert_int_equal(key_of(text, all, &k), 0);
		key_hex(&k, hex);
		assert_string_equal(hex, v->hex);
		assert_int_equal(key_parse(hex, &parsed), 0);
		assert_true(key_equal(&k, &parsed));
	}
}

static void test_two_pieces(void **state)
{
	static const char text[] = "two pieces, one after the other";
	size_t n = strlen(text);
	struct key whole, split;

	(void)state;
	assert_int_equal(key_of(text, n, &whole), 0);
	for (size_t i = 0; i <= n; i++) {
		assert_int_equal(key_of2(text, i, text + i, n - i, &split), 0);
		assert_true(key_equal(&whole, &split));
	}
}

static void test_equal(void **state)
{
	struct key a, b;

	(void)state;
	assert_int_equal(key_of("x", 1, &a), 0);
	for (size_t i = 0; i < KEY_BYTES; i++) {
		b = a;
		assert_true(key_equal(&a, &b));
		b.b[i] ^= 1;
		assert_false(key_equal(&a, &b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_two_pieces),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
