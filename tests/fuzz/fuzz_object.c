/*
 * fuzz_object.c - any bytes: no crash, and what is accepted is what it says it is
 *
 * The input is an object's text. Its checksum cannot be guessed, so a second way in makes the sum right
 * first: then the members are what is tried.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/object.h"
#include "store/object_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key that the text claims: 64 digits behind "key":" - else nothing can be accepted. */
static void claimed_key(const char *p, size_t n, struct key *out)
{
	static const char mark[] = "\"key\":\"";
	const char *at = memmem(p, n, mark, sizeof(mark) - 1);
	char hex[KEY_HEX + 1];

	memset(out, 0, sizeof(*out));
	if (!at || (size_t)(p + n - at) < sizeof(mark) - 1 + KEY_HEX)
		return;
	memcpy(hex, at + sizeof(mark) - 1, KEY_HEX);
	hex[KEY_HEX] = '\0';
	(void)key_parse(hex, out);
}

static void try_text(const char *p, size_t n)
{
	struct buf request = BUF_INIT(1 << 20), whole = BUF_INIT(4 << 20);
	struct key key, sum;
	struct object o;

	claimed_key(p, n, &key);
	if (object_decode(p, n, &key, 0, &o, NULL) == 0) {
		struct object_parts parts = { .key = &key,
					      .created_real_ns = o.created_real_ns,
					      .ttl_s = o.ttl_s,
					      .sample = o.sample,
					      .raw = o.raw,
					      .raw_len = o.raw_len };

		if (object_check(p, n, &key, 0, NULL) || object_request(&o, &request) ||
		    key_of(request.data, request.len, &sum) || !key_equal(&sum, &key))
			abort();
		parts.request = request.data;
		parts.request_len = request.len;
		/* what is read can be written, and read again */
		if (object_encode(&parts, &whole) ||
		    object_check(whole.data, whole.len, &key, 0, NULL))
			abort();
		object_done(&o);
	}
	buf_done(&request);
	buf_done(&whole);
}

/* A checksum that fits is put before the last brace. */
static void try_sealed(const char *p, size_t n)
{
	struct buf b = BUF_INIT(1 << 20);
	char hex[KEY_HEX + 1];
	struct key sum;

	if (n < 2 || p[n - 1] != '}' || key_of(p, n, &sum))
		return;
	key_hex(&sum, hex);
	(void)buf_add(&b, p, n - 1);
	if (buf_addf(&b, ",\"sha256\":\"%s\"}\n", hex) == 0)
		try_text(b.data, b.len);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	json_t *fast = NULL, *v;

	try_text(p, size);
	try_sealed(p, size);
	if (object_parse(p, size, &fast) == 0) {
		v = json_loadb(p, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
		/* it may refuse more than jansson, and never less */
		if (!v || !json_equal(v, fast))
			abort();
		json_decref(v);
		json_decref(fast);
	}
	return 0;
}
