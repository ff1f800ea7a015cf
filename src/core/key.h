/*
 * key.h - the address of a request: SHA-256 of its canonical bytes
 *
 * Threads: any. Blocks: never. Source: design of the cache key, FIPS 180-4.
 */
#ifndef CORE_KEY_H
#define CORE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_BYTES 32
#define KEY_HEX	  64

struct key {
	uint8_t b[KEY_BYTES];
};

/* key_of - SHA-256 of n bytes; 0 or -ENOMEM */
int key_of(const void *p, size_t n, struct key *out);
/* key_of2 - SHA-256 of two pieces, one after the other */
int key_of2(const void *a, size_t a_len, const void *b, size_t b_len, struct key *out);
/* key_sum_new - a sum over pieces, for what is too long to be in memory: NULL when out of memory;
 * key_sum_add - 0, -ENOMEM; key_sum_end - the key of all pieces, and the sum goes; out NULL: only that */
struct key_sum;
struct key_sum *key_sum_new(void);
int key_sum_add(struct key_sum *s, const void *p, size_t n);
int key_sum_end(struct key_sum *take_sum, struct key *out);
/* key_hex - 64 digits and a NUL */
void key_hex(const struct key *k, char out[KEY_HEX + 1]);
/* key_parse - 64 lower-case digits; 0 or -EINVAL */
int key_parse(const char *hex, struct key *out);
/* key_equal - same bytes */
bool key_equal(const struct key *a, const struct key *b);

#endif
