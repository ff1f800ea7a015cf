/*
 * test_object.c - the bytes of an object, for ever, and what is refused
 */
#include "sample.h"

#include "core/canon.h"

/* ---- what is damaged ---- */

static void expect_bad(const char *b, size_t n, const struct key *key, uint32_t index)
{
	struct err e = { 0 };
	struct object o = { 0 };

	assert_int_equal(object_check(b, n, key, index, &e), -EBADMSG);
	assert_int_equal(e.code, EBADMSG);
	assert_true(*e.message);
	assert_int_equal(object_decode(b, n, key, index, &o, NULL), -EBADMSG);
	assert_null(o.json);
}

static void every_changed_byte_is_found(void **state)
{
	static const unsigned char masks[] = { 0x01, 0x20, 0x80, 0xff };
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct key key;

	(void)state;
	sample_object(1, 0, 60, &key, &b);
	for (size_t i = 0; i < b.len; i++) {
		for (size_t m = 0; m < ARRAY_LEN(masks); m++) {
			b.data[i] = (char)(b.data[i] ^ masks[m]);
			expect_bad(b.data, b.len, &key, 0);
			b.data[i] = (char)(b.data[i] ^ masks[m]);
		}
	}
	assert_int_equal(object_check(b.data, b.len, &key, 0, NULL), 0);
}

static void every_cut_is_found(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct key key;

	(void)state;
	sample_object(1, 0, 0, &key, &b);
	for (size_t n = 0; n < b.len; n++) {
		AUTO_FREE char *cut =
			malloc(n ? n : 1); /* exact, so that ASan sees any look behind */

		assert_non_null(cut);
		memcpy(cut, b.data, n);
		expect_bad(cut, n, &key, 0);
		if (n)
			expect_bad(b.data + n, b.len - n, &key, 0);
	}
}

static void another_ones_object_is_refused(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct key key, other = sample_key(7);

	(void)state;
	sample_object(1, 5, 0, &key, &b);
	expect_bad(b.data, b.len, &other, 5);
	expect_bad(b.data, b.len, &key, 4);
	expect_bad(b.data, b.len, &key, 50);
	assert_int_equal(buf_addc(&b, '\n'), 0);
	expect_bad(b.data, b.len, &key, 5);
	b.len = 0;
	for (int i = 0; i < 4000; i++)
		assert_int_equal(buf_addc(&b, i % 2 ? '"' : '\\'), 0);
	expect_bad(b.data, b.len, &key, 5);
}

static void expect_unusable(const char *b, size_t n, const struct key *key)
{
	struct object o = { 0 };

	assert_int_equal(object_decode(b, n, key, 2, &o, NULL), -EBADMSG);
	assert_null(o.json);
}

/* A whole object text made from a value, its checksum right for what it says. */
static char *seal(json_t *v, size_t *out_len, bool sorted)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	char hex[KEY_HEX + 1], *text;
	struct key sum;

	assert_int_equal(canon_write(v, &b), 0);
	assert_int_equal(key_of(b.data, b.len, &sum), 0);
	key_hex(&sum, hex);
	assert_int_equal(json_object_set_new(v, "sha256", json_string(hex)), 0);
	text = json_dumps(v, JSON_COMPACT | (sorted ? JSON_SORT_KEYS : JSON_PRESERVE_ORDER));
	assert_non_null(text);
	*out_len = strlen(text) + 1;
	text = realloc(text, *out_len + 1);
	assert_non_null(text);
	text[*out_len - 1] = '\n';
	text[*out_len] = '\0';
	return text;
}

static json_t *value_of(const char *request, const struct key *key)
{
	char hex[KEY_HEX + 1];
	json_t *v;

	key_hex(key, hex);
	v = json_pack("{s:i,s:s,s:i,s:s,s:o,s:{s:s},s:s}", "format", 1, "key", hex, "index", 2,
		      "created", "2026-11-21T02:03:04.567Z", "request",
		      json_loads(request, 0, NULL), "sample", "text", "x", "raw", "r");
	assert_non_null(v);
	return v;
}

static void right_sum_but_wrong_member_is_refused(void **state)
{
	struct key key, other = sample_key(3);
	AUTO_FREE char *request = sample_request(1, &key);
	char hex[KEY_HEX + 1];
	struct {
		const char *name;
		json_t *value;
	} wrong[] = {
		{ "format", json_integer(2) },
		{ "format", json_string("1") },
		{ "index", json_integer(3) },
		{ "index", json_integer(-2) },
		{ "index", json_real(2.5) },
		{ "index", json_integer(1LL << 40) },
		{ "created", json_string("now") },
		{ "created", json_string("2026-13-21T02:03:04.567Z") },
		{ "created", json_string("1969-12-31T23:59:59.999Z") },
		{ "created", json_string("2026-11-21T02:03:0x.567Z") },
		{ "created", json_integer(1) },
		{ "request", json_object() },
		{ "request", json_string("{}") },
		{ "sample", json_array() },
		{ "sample", json_null() },
		{ "raw", json_null() },
		{ "ttl", json_string("60") },
		{ "ttl", json_real(-1.0) },
		{ "key", json_string("00") },
		{ "key", NULL },
	};

	(void)state;
	key_hex(&other, hex);
	wrong[ARRAY_LEN(wrong) - 1].value = json_string(hex);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		json_t *v = value_of(request, &key);
		AUTO_FREE char *text = NULL;
		size_t n;

		assert_int_equal(json_object_set_new(v, wrong[i].name, wrong[i].value), 0);
		text = seal(v, &n, i % 2);
		expect_unusable(text, n, &key); /* whole, but nothing of ours wrote it */
		json_decref(v);
	}
}

static void missing_member_is_refused(void **state)
{
	static const char *const names[] = { "format",	"key",	  "index", "created",
					     "request", "sample", "raw" };
	struct key key;
	AUTO_FREE char *request = sample_request(1, &key);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_t *v = value_of(request, &key);
		AUTO_FREE char *text = NULL;
		size_t n;

		assert_int_equal(json_object_del(v, names[i]), 0);
		text = seal(v, &n, true);
		expect_unusable(text, n, &key); /* whole, but nothing of ours wrote it */
		json_decref(v);
	}
}

static void doubled_member_is_refused(void **state)
{
	struct key key;
	AUTO_FREE char *request = sample_request(1, &key);
	json_t *v = value_of(request, &key);
	size_t n;
	AUTO_FREE char *text = seal(v, &n, false);
	AUTO_FREE char *doubled = str_printf("{\"raw\":\"s\",%s", text + 1);

	(void)state;
	assert_int_equal(object_check(text, n, &key, 2, NULL), 0);
	expect_bad(doubled, strlen(doubled), &key, 2);
	json_decref(v);
}

static void encoding_refuses(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20), tiny = BUF_INIT(100);
	struct key key;
	AUTO_FREE char *request = sample_request(1, &key);
	json_t *s = json_object(), *list = json_array();
	struct object_parts good = { .key = &key,
				     .request = request,
				     .request_len = strlen(request),
				     .sample = s,
				     .raw = "\xff",
				     .raw_len = 1 },
			    p = good;

	(void)state;
	assert_int_equal(buf_adds(&b, "before"), 0);
	assert_int_equal(object_encode(&p, &b), -EINVAL); /* not UTF-8 */
	p = good;
	p.raw_len = 0;
	p.request_len--;
	assert_int_equal(object_encode(&p, &b), -EINVAL); /* not the key's request */
	p = good;
	p.raw_len = 0;
	p.sample = list;
	assert_int_equal(object_encode(&p, &b), -EINVAL);
	p.sample = s;
	p.ttl_s = UINT64_MAX;
	assert_int_equal(object_encode(&p, &b), -EINVAL);
	assert_string_equal(buf_str(&b), "before");
	p.ttl_s = 0;
	assert_int_equal(object_encode(&p, &tiny), -EFBIG);
	assert_int_equal(tiny.len, 0);
	assert_int_equal(object_encode(&p, &b), 0); /* raw may be empty, and NULL */
	assert_int_equal(object_check(b.data + 6, b.len - 6, &key, 0, NULL), 0);
	json_decref(s);
	json_decref(list);
}

/* ---- what is right ---- */

/* These bytes are in people's stores. If this test has to change, OBJECT_FORMAT has to. */
static void bytes_are_pinned(void **state)
{
	static const char want[] =
		"{\"created\":\"2026-11-21T02:03:04.567Z\",\"format\":1,\"index\":3,\"key\":\""
		"7e0f737662c7ff85add5d04bc80edca9c7ac086023bfabd5b329bd817b3d4f04\",\"raw\":\"{\\\"a\\\":"
		"\\\"\\\\\\\"\\\"}\\n\",\"request\":{\"format\":1,\"messages\":[{\"content\":\"q\\\"{[1\\\\"
		"\",\"role\":\"user\"}]},\"sample\":{\"cost_usd\":0.000123,\"finish_reason\":\"stop\","
		"\"text\":\"hello\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}},\"sha256\":\"";
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct key key;

	(void)state;
	sample_object(1, 3, 60, &key, &b);
	assert_int_equal(strncmp(b.data, want, sizeof(want) - 1), 0);
	assert_string_equal(
		b.data + sizeof(want) - 1,
		"b027cf378dcf8a992e9ec60f7efae1b785cb18a248cc1b113bceb4fdd7d49d2a\",\"ttl\":60}\n");
}

static void parts_come_back(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20), r = BUF_INIT(1 << 20);
	struct object o;
	struct key key;
	AUTO_FREE char *request = sample_request(9, &key);

	(void)state;
	sample_object(9, 4, 77, &key, &b);
	assert_int_equal(object_decode(b.data, b.len, &key, 4, &o, NULL), 0);
	assert_true(key_equal(&o.key, &key));
	assert_int_equal(o.index, 4);
	assert_int_equal(o.ttl_s, 77);
	assert_int_equal(o.created_real_ns, SAMPLE_CREATED);
	assert_string_equal(o.created, "2026-11-21T02:03:04.567Z");
	assert_int_equal(o.raw_len, 11);
	assert_memory_equal(o.raw, "{\"a\":\"\\\"\"}\n", 11);
	assert_string_equal(json_string_value(json_object_get(o.sample, "text")), "hello");
	assert_int_equal(object_request(&o, &r), 0);
	assert_string_equal(buf_str(&r), request);
	object_done(&o);
	object_done(&o);
	object_done(NULL);
}

static void round_trip(const json_t *number, const char *raw, size_t raw_len)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	struct key key;
	AUTO_FREE char *request = sample_request(1, &key);
	json_t *s = json_pack("{s:O}", "v", number);
	struct object_parts p = { .key = &key,
				  .request = request,
				  .request_len = strlen(request),
				  .sample = s,
				  .raw = raw,
				  .raw_len = raw_len };
	struct object o;

	assert_int_equal(object_encode(&p, &b), 0);
	assert_int_equal(object_decode(b.data, b.len, &key, 0, &o, NULL), 0);
	assert_int_equal(o.raw_len, raw_len);
	assert_memory_equal(o.raw, raw, raw_len);
	assert_true(json_number_value(json_object_get(o.sample, "v")) == json_number_value(number));
	if (json_is_integer(number))
		assert_true(json_integer_value(json_object_get(o.sample, "v")) ==
			    json_integer_value(number));
	p.sample = o.sample;
	assert_int_equal(object_encode(&p, &again), 0);
	assert_string_equal(b.data, again.data); /* the same sample, the same bytes */
	object_done(&o);
	json_decref(s);
}

static void numbers_and_raw_survive(void **state)
{
	static const double reals[] = { 0.0,
					-0.5,
					1e-7,
					0.1,
					1e20,
					1e21,
					1e22,
					5e-324,
					1.7976931348623157e308,
					123456789012345680.0,
					9007199254740993.0,
					-1e19,
					2.0 };
	static const json_int_t ints[] = { 0, -1, 9007199254740993LL, INT64_MAX, INT64_MIN };
	static const char raw[] =
		"\0 \x01\x1f\x7f \"\\/\b\f\n\r\t \xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x98\x80";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
		json_t *v = json_real(reals[i]);

		round_trip(v, raw, sizeof(raw) - 1);
		json_decref(v);
	}
	for (size_t i = 0; i < ARRAY_LEN(ints); i++) {
		json_t *v = json_integer(ints[i]);

		round_trip(v, "\\\\\"", 3);
		json_decref(v);
	}
}

/* Somebody's tool may write the same object with its members in another order. */
static void other_orders_are_read(void **state)
{
	struct key key;
	AUTO_FREE char *request = sample_request(1, &key);

	(void)state;
	for (int sorted = 0; sorted < 2; sorted++) {
		json_t *v = value_of(request, &key);
		AUTO_FREE char *text = NULL;
		struct object o;
		size_t n;

		text = seal(v, &n, sorted);
		assert_int_equal(object_check(text, n, &key, 2, NULL), 0);
		assert_int_equal(object_decode(text, n, &key, 2, &o, NULL), 0);
		assert_string_equal(o.raw, "r");
		object_done(&o);
		json_decref(v);
	}
}

static void expiry(void **state)
{
	struct object o = { .created_real_ns = 1000 * MONO_S };

	(void)state;
	assert_false(object_expired(&o, 0, UINT64_MAX));
	assert_false(object_expired(&o, 10, 1009 * MONO_S));
	assert_true(object_expired(&o, 10, 1010 * MONO_S));
	assert_false(object_expired(&o, 10, 1)); /* made in the future: a clock was set back */
	o.ttl_s = 5;				 /* its own goes before the default */
	assert_true(object_expired(&o, 10, 1005 * MONO_S));
	o.ttl_s = INT64_MAX;
	assert_false(object_expired(&o, 10, UINT64_MAX));
}

static void large_objects(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(64 << 20);
	struct key key;
	AUTO_FREE char *request = sample_request(1, &key), *raw = malloc(8 << 20);
	json_t *s = json_object();
	struct object_parts p = { .key = &key,
				  .request = request,
				  .request_len = strlen(request),
				  .sample = s,
				  .raw = raw,
				  .raw_len = 8 << 20 };

	(void)state;
	assert_non_null(raw);
	memset(raw, '\\', 8 << 20);
	assert_int_equal(object_encode(&p, &b), 0);
	assert_int_equal(object_check(b.data, b.len, &key, 0, NULL), 0);
	b.data[b.len / 2] ^= 1;
	expect_bad(b.data, b.len, &key, 0);
	json_decref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_changed_byte_is_found),
		cmocka_unit_test(every_cut_is_found),
		cmocka_unit_test(another_ones_object_is_refused),
		cmocka_unit_test(right_sum_but_wrong_member_is_refused),
		cmocka_unit_test(missing_member_is_refused),
		cmocka_unit_test(doubled_member_is_refused),
		cmocka_unit_test(encoding_refuses),
		cmocka_unit_test(bytes_are_pinned),
		cmocka_unit_test(parts_come_back),
		cmocka_unit_test(numbers_and_raw_survive),
		cmocka_unit_test(other_orders_are_read),
		cmocka_unit_test(expiry),
		cmocka_unit_test(large_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
