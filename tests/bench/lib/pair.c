/*
 * tests/bench/lib/pair.c - two operations by turns, so that both meet the same weather
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

struct pair pair_run(size_t n, size_t batch, pair_fn *floor, pair_fn *ours, void *arg)
{
	size_t batches = (n + batch - 1) / batch;
	double *a = calloc(batches, sizeof(*a)), *b = calloc(batches, sizeof(*b));
	struct pair p;

	if (!a || !b)
		bench_die("out of memory");
	for (size_t k = 0; k < batches; k++) {
		size_t from = k * batch, to = from + batch < n ? from + batch : n;

		if (k % 2) /* neither is always the one that comes second */
			b[k] = batch_ns(ours, arg, from, to);
		a[k] = batch_ns(floor, arg, from, to);
		if (!(k % 2))
			b[k] = batch_ns(ours, arg, from, to);
	}
	p = (struct pair){ bench_median(a, batches), bench_median(b, batches) };
	free(a);
	free(b);
	return p;
}
