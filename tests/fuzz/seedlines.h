/*
 * seedlines.h - inputs that are lines: a table of seeds, and a mutator that takes whole lines from it
 *
 * An input is one byte of choice and then lines. Byte by byte nobody finds an envelope in JSON, so half of the
 * mutations put lines of the table in, drop them, double them or change their order; the others are libFuzzer's.
 */
#ifndef FUZZ_SEEDLINES_H
#define FUZZ_SEEDLINES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

struct seedlines_span {
	size_t at, n; /* n: with the newline, where there is one */
};

static inline void must(int ok)
{
	if (!ok)
		abort();
}

static inline void seedlines_sentence(const struct err *e)
{
	must(e->code > 0 && e->message[0]);
	must(str_utf8_valid(e->message, strlen(e->message)));
	for (const char *p = e->message; *p; p++)
		must((unsigned char)*p >= 0x20 && *p != 0x7f);
}

/* the line that byte `at` is in; nothing at the end */
static inline struct seedlines_span seedlines_at(const uint8_t *data, size_t size, size_t at)
{
	struct seedlines_span s = { .at = at };
	const uint8_t *end;

	while (s.at > 1 && data[s.at - 1] != '\n')
		s.at--;
	end = s.at < size ? memchr(data + s.at, '\n', size - s.at) : NULL;
	s.n = end ? (size_t)(end - data) + 1 - s.at : size - s.at;
	return s;
}

/* put p before the line, over the line (cut), or nowhere where there is no room */
static inline size_t seedlines_put(uint8_t *data, size_t size, size_t max,
				   struct seedlines_span over, const char *p)
{
	size_t n = strlen(p), rest = size - over.at - over.n;

	if (size - over.n + n + 1 > max)
		return size;
	memmove(data + over.at + n + 1, data + over.at + over.n, rest);
	memcpy(data + over.at, p, n);
	data[over.at + n] = '\n';
	return over.at + n + 1 + rest;
}

static inline size_t seedlines_drop(uint8_t *data, size_t size, struct seedlines_span s)
{
	memmove(data + s.at, data + s.at + s.n, size - s.at - s.n);
	return size - s.n;
}

static inline size_t seedlines_twice(uint8_t *data, size_t size, size_t max,
				     struct seedlines_span s)
{
	char *copy = str_dup_n((const char *)data + s.at, s.n);

	must(copy != NULL);
	if (s.n && copy[s.n - 1] == '\n')
		copy[s.n - 1] = '\0';
	size = seedlines_put(data, size, max, (struct seedlines_span){ .at = s.at }, copy);
	free(copy);
	return size;
}

/* the line goes to the end */
static inline size_t seedlines_last(uint8_t *data, size_t size, struct seedlines_span s)
{
	char *copy = str_dup_n((const char *)data + s.at, s.n);

	must(copy != NULL);
	size = seedlines_drop(data, size, s);
	memcpy(data + size, copy, s.n);
	free(copy);
	return size + s.n;
}

static inline size_t seedlines_mutate(uint8_t *data, size_t size, size_t max, unsigned seed,
				      const char *line)
{
	struct seedlines_span s;

	if (size < 1 || max < 2 || seed % 2)
		return LLVMFuzzerMutate(data, size, max);
	s = seedlines_at(data, size, 1 + (seed >> 12) % size);
	switch (seed / 2 % 6) {
	case 0:
		return seedlines_put(data, size, max, (struct seedlines_span){ .at = s.at }, line);
	case 1:
		return seedlines_put(data, size, max, s, line);
	case 2:
		return seedlines_drop(data, size, s);
	case 3:
		return seedlines_twice(data, size, max, s);
	case 4:
		return seedlines_last(data, size, s);
	default: /* another choice, the same lines */
		data[0] = (uint8_t)(seed >> 8);
		return size;
	}
}

#endif
