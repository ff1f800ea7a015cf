/*
 * str.h - text helpers that the C library has not
 *
 * Threads: any. Blocks: never. Errors: as said at each.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* str_copy - copy with truncation, always terminated (cap > 0); true when all fitted */
bool str_copy(char *dst, size_t cap, const char *src);
/* str_starts / str_ends - prefix and suffix tests */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* str_printf - malloc'd formatted text, NULL when out of memory */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* str_dup_n - malloc'd copy of n bytes and a NUL */
char *str_dup_n(const char *s, size_t n);
/* str_utf8_next - length in bytes (1..4) of the character at s; 0: the n bytes are its proper beginning
 * (or n is 0); -1: not UTF-8 (overlong forms and surrogates are not). out_cp may be NULL */
int str_utf8_next(const char *s, size_t n, uint32_t *out_cp);
/* str_utf8_valid - whole text is UTF-8 without surrogates or overlong forms */
bool str_utf8_valid(const char *s, size_t n);
/* str_utf8_whole - n less the bytes of an unfinished sequence at the end (0..3 bytes) */
size_t str_utf8_whole(const char *s, size_t n);
/* str_distance - edit distance of two short names (at most 64 bytes each are compared) */
unsigned str_distance(const char *a, const char *b);
/* str_nearest - the entry of a NULL-terminated list nearest to s, NULL when none is near */
const char *str_nearest(const char *s, const char *const *list);
/* str_hex - 2n lower-case digits and a NUL into out */
void str_hex(const void *p, size_t n, char *out);
/* str_unhex - n bytes from 2n lower-case hex digits; 0 or -EINVAL */
int str_unhex(const char *hex, size_t n, void *out);
/* str_parse_u64 / str_parse_double / str_parse_size - whole string or -EINVAL; size takes K, M, G
 * (powers of 1024), bytes; double must be finite */
int str_parse_u64(const char *s, uint64_t *out);
int str_parse_double(const char *s, double *out);
int str_parse_size(const char *s, uint64_t *out_bytes);
/* str_iso8601 - "2026-11-21T02:03:04.567Z" of a CLOCK_REALTIME nanosecond time; cap >= 32 */
void str_iso8601(uint64_t real_ns, char *out, size_t cap);

/* str_natural_cmp - as strcmp, but runs of digits compare as the numbers they are: "a9" < "a10" */
int str_natural_cmp(const char *a, const char *b);

#endif
