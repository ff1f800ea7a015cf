/*
 * tests/bench/lib/row_miss.c - row 4: what the mount adds to a request that has to be sent
 *
 * The floor is plain libcurl. Between the two stands relay, a FUSE file system that only passes on: where it
 * misses a target, no FUSE file system can meet it on this machine. It comes with two kinds of store, too:
 * one file for each answer, as inferfs has it, and one file for all.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/lib/misses.h"

enum { IN_FLIGHT = 64, STACK = 128 << 10, ROUNDS = 3 };

#define ADDED_GOAL 0.3
#define RATE_GOAL  0.95

/* every request has a number of its own */
static size_t next_number = 1;

static size_t take_numbers(size_t n)
{
	next_number += n;
	return next_number - n;
}

static const char *const way_names[MISSES_WAYS] = { [MISSES_RELAY] = "relay",
						    [MISSES_LOG] = "relay + log",
						    [MISSES_STORE] = "relay + files",
						    [MISSES_ASK] = "ask",
						    [MISSES_FILES] = "files" };

/* ours first, then what is possible */
static const enum misses_way order[] = { MISSES_ASK, MISSES_FILES, MISSES_RELAY, MISSES_LOG,
					 MISSES_STORE };
enum { ORDER = sizeof(order) / sizeof(*order) };

static bool is_relay(enum misses_way way)
{
	return way == MISSES_RELAY || way == MISSES_LOG || way == MISSES_STORE;
}

/* ---- latency: one at a time, by turns ---- */

static void latency_rows(struct misses *m, const char *what, const double ms[MISSES_WAYS])
{
	for (size_t k = 0; k < ORDER; k++) {
		char *title = bench_fmt("4 miss by %s, %s: added | plain libcurl",
					way_names[order[k]], what);

		table_add(m->b, (struct table_row){ .name = title,
						    .floor = bench_fmt("%.3f ms", ms[MISSES_CURL]),
						    .ours = bench_fmt("%.3f ms", ms[order[k]]),
						    .unit = " ms",
						    .value = ms[order[k]] - ms[MISSES_CURL],
						    .target = ADDED_GOAL,
						    .rule = TABLE_AT_MOST,
						    .possible = is_relay(order[k]) });
		free(title);
	}
}

static void latency(struct misses *m, const char *what, size_t n)
{
	double *ns[MISSES_WAYS], ms[MISSES_WAYS];

	for (size_t way = 0; way < MISSES_WAYS; way++)
		if (!(ns[way] = calloc(n, sizeof(double))))
			bench_die("out of memory");
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < MISSES_WAYS; k++) {
			enum misses_way way = (enum misses_way)((i + k) % MISSES_WAYS);
			size_t number = take_numbers(1);
			uint64_t t0 = bench_ns();

			misses_one(m, way, number);
			ns[way][i] = (double)(bench_ns() - t0);
			misses_after(m, way, number);
		}
	}
	for (size_t way = 0; way < MISSES_WAYS; way++) {
		ms[way] = bench_median(ns[way], n) / 1e6;
		free(ns[way]);
	}
	world_rss(m->b);
	latency_rows(m, what, ms);
}

/* ---- rate: 64 in flight ---- */

struct crowd {
	struct misses *m;
	enum misses_way way;
	atomic_size_t turn;
	size_t to;
};

static void *worker(void *arg)
{
	struct crowd *c = arg;
	size_t i;

	while ((i = atomic_fetch_add(&c->turn, 1)) < c->to) {
		misses_one(c->m, c->way, i);
		misses_after(c->m, c->way, i);
	}
	return NULL;
}

static void threads(struct misses *m, enum misses_way way, size_t from, size_t n)
{
	struct crowd c = { .m = m, .way = way, .to = from + n };
	pthread_t t[IN_FLIGHT];
	pthread_attr_t attr;

	atomic_store(&c.turn, from);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (size_t i = 0; i < IN_FLIGHT; i++)
		if (pthread_create(&t[i], &attr, worker, &c))
			bench_die("cannot start a thread");
	for (size_t i = 0; i < IN_FLIGHT; i++)
		pthread_join(t[i], NULL);
	pthread_attr_destroy(&attr);
}

static double one_rate(struct misses *m, enum misses_way way, size_t n)
{
	size_t from = take_numbers(n);
	uint64_t t0;

	world_settle(m->b); /* what inferfs puts away burdens nobody else */
	t0 = bench_ns();
	if (way == MISSES_CURL)
		web_many(m->web, from, n, IN_FLIGHT);
	else
		threads(m, way, from, n);
	return (double)n * 1e9 / (double)(bench_ns() - t0);
}

static void rate(struct misses *m, const char *what, size_t n)
{
	double v[MISSES_WAYS][ROUNDS], r[MISSES_WAYS];

	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t way = 0; way < MISSES_WAYS; way++)
			v[way][round] = one_rate(m, (enum misses_way)way, n);
	for (size_t way = 0; way < MISSES_WAYS; way++)
		r[way] = bench_median(v[way], ROUNDS);
	world_rss(m->b);
	for (size_t k = 0; k < ORDER; k++) {
		char *title = bench_fmt("4 misses, 64 in flight, by %s, %s | plain libcurl",
					way_names[order[k]], what);

		table_add(m->b, (struct table_row){ .name = title,
						    .floor = bench_fmt("%.0f/s", r[MISSES_CURL]),
						    .ours = bench_fmt("%.0f/s", r[order[k]]),
						    .unit = "",
						    .value = r[order[k]] / r[MISSES_CURL],
						    .target = RATE_GOAL,
						    .rule = TABLE_AT_LEAST,
						    .possible = is_relay(order[k]) });
		free(title);
	}
}

void row_misses(struct bench *b)
{
	struct misses m;
	size_t n = b->keys;

	world_provider(b);
	world_mount(b, b->pinned ? "miss-pinned" : "miss", NULL);
	row_store(b);
	misses_start(&m, b);
	latency(&m, "instant", n / 10);
	rate(&m, "instant", n / 2);
	free(web_control(b->port, "script", "[{\"delay_ms\":20}]"));
	latency(&m, "20 ms", n / 50);
	rate(&m, "20 ms", n / 2);
	misses_end(&m);
	world_unmount(b);
	world_provider_end(b);
}
