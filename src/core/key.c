/*
 * key.c - SHA-256
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

#include "base/str.h"
#include "core/key.h"

#include "base/banned.h"

/* EVP_sha256() looks the algorithm up by name at every use, which costs more than a small hash */
static const EVP_MD *sha256(void)
{
	static _Atomic(EVP_MD *) kept;
	EVP_MD *md = atomic_load(&kept), *other = NULL;

	if (md)
		return md;
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!md)
		return EVP_sha256();
	if (atomic_compare_exchange_strong(&kept, &other, md))
		return md;
	EVP_MD_free(md);
	return other;
}

int key_of2(const void *a, size_t a_len, const void *b, size_t b_len, struct key *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct key k;
	int ok;

	if (!ctx)
		return -ENOMEM;
	ok = EVP_DigestInit_ex(ctx, sha256(), NULL) && EVP_DigestUpdate(ctx, a, a_len) &&
	     EVP_DigestUpdate(ctx, b, b_len) && EVP_DigestFinal_ex(ctx, k.b, NULL);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -ENOMEM; /* the only way SHA-256 of memory can fail */
	*out = k;
	return 0;
}

int key_of(const void *p, size_t n, struct key *out)
{
	return key_of2(p, n, "", 0, out);
}

/* The context under a name of its own: openssl's types stay in this file. */
struct key_sum *key_sum_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx && !EVP_DigestInit_ex(ctx, sha256(), NULL)) {
		EVP_MD_CTX_free(ctx);
		return NULL;
	}
	return (struct key_sum *)ctx;
}

int key_sum_add(struct key_sum *s, const void *p, size_t n)
{
	return EVP_DigestUpdate((EVP_MD_CTX *)s, p, n) ? 0 : -ENOMEM;
}

int key_sum_end(struct key_sum *take_sum, struct key *out)
{
	EVP_MD_CTX *ctx = (EVP_MD_CTX *)take_sum;
	struct key k;
	int ok;

	if (!ctx)
		return -ENOMEM;
	ok = EVP_DigestFinal_ex(ctx, k.b, NULL);
	EVP_MD_CTX_free(ctx);
	if (ok && out)
		*out = k;
	return ok ? 0 : -ENOMEM;
}

void key_hex(const struct key *k, char out[KEY_HEX + 1])
{
	str_hex(k->b, sizeof(k->b), out);
}

int key_parse(const char *hex, struct key *out)
{
	/* strnlen first: a longer name is another name, not this key */
	if (strnlen(hex, KEY_HEX + 1) != KEY_HEX)
		return -EINVAL;
	return str_unhex(hex, KEY_BYTES, out->b);
}

bool key_equal(const struct key *a, const struct key *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
