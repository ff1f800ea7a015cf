/*
 * tests/bench/lib/pair.c - operations by turns, so that all meet the same weather
 */
#include <stdlib.h>

#include "bench/lib/bench.h"

static double batch_ns(pair_fn *fn, void *arg, size_t from, size_t to)
{
	uint64_t t0 = bench_ns();

	for (size_t i = from; i < to; i++)
		fn(arg, i);
	return (double)(bench_ns() - t0) / (double)(to - from);
}

void pair_turns(size_t n, size_t batch, struct pair_side *sides, size_t count)
{
	size_t batches = (n + batch - 1) / batch;
	double *ns = calloc(batches * count, sizeof(*ns));

	if (!ns)
		bench_die("out of memory");
	for (size_t k = 0; k < batches; k++) {
		size_t from = k * batch, to = from + batch < n ? from + batch : n;

		for (size_t j = 0; j < count; j++) { /* none is always the one that comes first */
			size_t side = (j + k) % count;

			ns[side * batches + k] =
				batch_ns(sides[side].fn, sides[side].arg, from, to);
		}
	}
	for (size_t side = 0; side < count; side++)
		sides[side].ns = bench_median(ns + side * batches, batches);
	free(ns);
}

struct pair pair_run(size_t n, size_t batch, pair_fn *floor, pair_fn *ours, void *arg)
{
	struct pair_side sides[] = { { floor, arg, 0 }, { ours, arg, 0 } };

	pair_turns(n, batch, sides, 2);
	return (struct pair){ sides[0].ns, sides[1].ns };
}
