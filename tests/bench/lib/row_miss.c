/*
 * tests/bench/lib/row_miss.c - row 4: what the mount adds to a request that has to be sent
 *
 * The floor sends the daemon's own body, word for word, to the same server and reads the same stream.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/bench.h"
#include "bench/lib/web.h"

enum { IN_FLIGHT = 64, STACK = 128 << 10, ROUNDS = 3 };

struct misses {
	struct bench *b;
	struct web *web;
	char *ask;
	atomic_size_t next; /* every request has a number of its own */
	size_t left_from, left_to;
	atomic_size_t turn;
	bool by_ask;
};

static size_t document(size_t number, char *out, size_t cap)
{
	return (size_t)snprintf(
		out, cap,
		"{\"model\":\"prov/bench\",\"prompt\":\"please tell me about item number %0*zu of the list\"}\n",
		(int)WEB_DIGITS, number);
}

static size_t answer(size_t number, char *out, size_t cap)
{
	return (size_t)snprintf(out, cap,
				"echo: please tell me about item number %0*zu of the list\n",
				(int)WEB_DIGITS, number);
}

static void by_ask(struct misses *m, size_t number)
{
	char doc[256], want[256], got[1024];
	size_t n = document(number, doc, sizeof(doc)), w = answer(number, want, sizeof(want)),
	       len = 0;
	int fd = open(m->ask, O_RDWR | O_CLOEXEC);
	ssize_t r;

	if (fd < 0 || write(fd, doc, n) != (ssize_t)n)
		bench_die("%s: %s", m->ask, strerror(errno));
	while ((r = read(fd, got + len, sizeof(got) - len)) > 0)
		len += (size_t)r;
	if (r < 0 || len != w || memcmp(got, want, w) != 0)
		bench_die("%s: %s: %.*s", m->ask, r < 0 ? strerror(errno) : "wrong bytes", (int)len,
			  got);
	close(fd);
}

static void name(struct misses *m, size_t number, char prompt[BENCH_PATH], char text[BENCH_PATH])
{
	snprintf(prompt, BENCH_PATH, "%s/prompts/q%08zu.json", m->b->mnt, number);
	snprintf(text, BENCH_PATH, "%s/responses/q%08zu/text", m->b->mnt, number);
}

static void by_files(struct misses *m, size_t number)
{
	char prompt[BENCH_PATH], text[BENCH_PATH], doc[256], want[256];
	size_t n = document(number, doc, sizeof(doc)), w = answer(number, want, sizeof(want));

	name(m, number, prompt, text);
	bench_write(prompt, doc, n);
	bench_read(text, want, w);
}

static void forget(struct misses *m, size_t number)
{
	char prompt[BENCH_PATH], text[BENCH_PATH];

	name(m, number, prompt, text);
	bench_unlink(prompt);
}

/* ---- latency: one at a time, the three by turns ---- */

static void latency(struct misses *m, const char *what, size_t n)
{
	double *floor = calloc(n, sizeof(double)), *ask = calloc(n, sizeof(double));
	double *files = calloc(n, sizeof(double));
	double f, a, g;
	uint64_t t0;

	for (size_t i = 0; i < n; i++) {
		size_t number = atomic_fetch_add(&m->next, 3);

		t0 = bench_ns();
		web_one(m->web, number);
		floor[i] = (double)(bench_ns() - t0);
		t0 = bench_ns();
		by_ask(m, number + 1);
		ask[i] = (double)(bench_ns() - t0);
		t0 = bench_ns();
		by_files(m, number + 2);
		files[i] = (double)(bench_ns() - t0);
		forget(m, number + 2);
	}
	f = bench_median(floor, n) / 1e6;
	a = bench_median(ask, n) / 1e6;
	g = bench_median(files, n) / 1e6;
	world_rss(m->b);
	for (int files_row = 0; files_row < 2; files_row++) {
		char *title = bench_fmt("4 miss by %s, %s: added | plain libcurl",
					files_row ? "files" : "ask", what);

		table_add(m->b, (struct table_row){ .name = title,
						    .floor = bench_fmt("%.3f ms", f),
						    .ours = bench_fmt("%.3f ms", files_row ? g : a),
						    .unit = " ms",
						    .value = (files_row ? g : a) - f,
						    .target = 0.3,
						    .rule = TABLE_AT_MOST });
		free(title);
	}
	free(floor);
	free(ask);
	free(files);
}

/* ---- rate: 64 in flight ---- */

static void *worker(void *arg)
{
	struct misses *m = arg;
	size_t i;

	while ((i = atomic_fetch_add(&m->turn, 1)) < m->left_to) {
		if (m->by_ask) {
			by_ask(m, i);
			continue;
		}
		by_files(m, i);
		forget(m, i);
	}
	return NULL;
}

static void threads(struct misses *m, size_t from, size_t n, bool ask)
{
	pthread_t t[IN_FLIGHT];
	pthread_attr_t attr;

	m->by_ask = ask;
	m->left_to = from + n;
	atomic_store(&m->turn, from);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (size_t i = 0; i < IN_FLIGHT; i++)
		if (pthread_create(&t[i], &attr, worker, m))
			bench_die("cannot start a thread");
	for (size_t i = 0; i < IN_FLIGHT; i++)
		pthread_join(t[i], NULL);
	pthread_attr_destroy(&attr);
}

static void rate(struct misses *m, const char *what, size_t n)
{
	double v[3][ROUNDS], r[3];

	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t k = 0; k < 3; k++) {
			size_t from = atomic_fetch_add(&m->next, n);
			uint64_t t0 = bench_ns();

			if (k == 0)
				web_many(m->web, from, n, IN_FLIGHT);
			else
				threads(m, from, n, k == 1);
			v[k][round] = (double)n * 1e9 / (double)(bench_ns() - t0);
		}
	}
	for (size_t k = 0; k < 3; k++)
		r[k] = bench_median(v[k], ROUNDS);
	world_rss(m->b);
	for (size_t k = 1; k < 3; k++) {
		char *title = bench_fmt("4 misses, 64 in flight, by %s, %s | plain libcurl",
					k == 1 ? "ask" : "files", what);

		table_add(m->b, (struct table_row){ .name = title,
						    .floor = bench_fmt("%.0f/s", r[0]),
						    .ours = bench_fmt("%.0f/s", r[k]),
						    .unit = "",
						    .value = r[k] / r[0],
						    .target = 0.95,
						    .rule = TABLE_AT_LEAST });
		free(title);
	}
}

/* ---- the daemon's own body ---- */

static void learn_body(struct misses *m)
{
	by_ask(m, 87654321);
	m->web = web_learn(m->b->port, "87654321");
}

void row_misses(struct bench *b)
{
	struct misses m = { .b = b };
	bool q = b->quick;

	atomic_store(&m.next, 1);
	world_provider(b);
	world_mount(b, b->pinned ? "miss-pinned" : "miss", NULL);
	m.ask = bench_fmt("%s/ask", b->mnt);
	learn_body(&m);
	latency(&m, "instant", q ? 50 : 1000);
	rate(&m, "instant", q ? 200 : 5000);
	free(web_control(b->port, "script", "[{\"delay_ms\":20}]"));
	latency(&m, "20 ms", q ? 10 : 200);
	rate(&m, "20 ms", q ? 200 : 5000);
	world_unmount(b);
	world_provider_end(b);
	web_free(m.web);
	free(m.ask);
}
