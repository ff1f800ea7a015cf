/*
 * base64.c - bytes as text and back
 */
#include <errno.h>
#include <stdint.h>

#include "core/base64.h"

#include "base/banned.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four letters; pad of them, at the end, are '='. The bits under the padding must be zero: else two
 * texts would be one image. */
static int decode_group(const char *s, unsigned pad, uint8_t out[3])
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 4; i++) {
		int v = i < 4 - pad ? value_of(s[i]) : 0;

		if (v < 0)
			return (int)i;
		bits = bits << 6 | (uint32_t)v;
	}
	if (bits & (pad == 2 ? 0xffffu : pad == 1 ? 0xffu : 0u))
		return (int)(3 - pad);
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	return -1;
}

static int wrong_at(size_t at, size_t *out_at)
{
	if (out_at)
		*out_at = at;
	return -EINVAL;
}

static unsigned padding(const char *text, size_t len)
{
	if (!len || text[len - 1] != '=')
		return 0;
	return text[len - 2] == '=' ? 2 : 1;
}

int base64_decode(const char *text, size_t len, struct buf *out, size_t *out_at)
{
	unsigned pad;
	int rc;

	if (len % 4)
		return wrong_at(len, out_at);
	pad = padding(text, len);
	rc = buf_reserve(out, len / 4 * 3 - pad);
	if (rc)
		return rc;
	for (size_t i = 0; i < len; i += 4) {
		unsigned last = i + 4 == len ? pad : 0;
		uint8_t three[3];
		int bad = decode_group(text + i, last, three);

		if (bad >= 0)
			return wrong_at(i + (unsigned)bad, out_at);
		rc = buf_add(out, three, 3 - last);
		if (rc)
			return rc;
	}
	return 0;
}

int base64_encode(const void *p, size_t n, struct buf *out)
{
	const uint8_t *b = p;
	int rc = buf_reserve(out, (n + 2) / 3 * 4);

	for (size_t i = 0; i < n && !rc; i += 3) {
		uint32_t bits = (uint32_t)b[i] << 16;
		char four[4];

		if (i + 1 < n)
			bits |= (uint32_t)b[i + 1] << 8;
		if (i + 2 < n)
			bits |= b[i + 2];
		four[0] = letters[bits >> 18];
		four[1] = letters[bits >> 12 & 63];
		four[2] = i + 1 < n ? letters[bits >> 6 & 63] : '=';
		four[3] = i + 2 < n ? letters[bits & 63] : '=';
		rc = buf_add(out, four, 4);
	}
	return rc;
}
