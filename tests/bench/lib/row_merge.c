/*
 * tests/bench/lib/row_merge.c - row 0: what equal requests gain by sharing calls
 *
 * REQUESTS requests of one key in one namespace are written, then closed one after the other; each
 * has a sample of its own. The floor is another daemon with merging off, at the same server.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/bench.h"
#include "bench/lib/web.h"

enum {
	REQUESTS = 64,
	ROUNDS = 20,
	QUICK = 3,
	DAEMONS = 2,
	NUMBERS = REQUESTS * DAEMONS * (ROUNDS + 1)
};

struct merge {
	struct bench *b[DAEMONS]; /* without, with */
	double ms[DAEMONS][ROUNDS], calls[DAEMONS][ROUNDS];
	bool seen[NUMBERS]; /* the server numbers its samples: none is given out twice */
};

static void take(struct merge *m, const char *path)
{
	char got[64] = "", end = 0;
	unsigned number;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		bench_die("open %s: %s", path, strerror(errno));
	n = read(fd, got, sizeof(got) - 1);
	if (n < 0)
		bench_die("read %s: %s", path, strerror(errno));
	close(fd);
	if (sscanf(got, "sample #%u%c", &number, &end) != 2 || end != '\n' ||
	    got + n != strchr(got, '\n') + 1 || number >= NUMBERS || m->seen[number])
		bench_die("%s: wrong bytes: %s", path, got);
	m->seen[number] = true;
}

/* From the first close(2) until the last answer is read; opening and writing come before. */
static double together(struct merge *m, struct bench *b, size_t round)
{
	char path[BENCH_PATH], doc[128];
	int fd[REQUESTS];
	uint64_t t0;
	int n = snprintf(doc, sizeof(doc), "{\"model\":\"prov/bench\",\"prompt\":\"equal %zu\"}\n",
			 round);

	for (size_t i = 0; i < REQUESTS; i++) {
		snprintf(path, sizeof(path), "%s/namespaces/bench/prompts/r%02zuq%02zu.json",
			 b->mnt, round, i);
		fd[i] = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd[i] < 0 || write(fd[i], doc, (size_t)n) != n)
			bench_die("%s: %s", path, strerror(errno));
	}
	t0 = bench_ns();
	for (size_t i = 0; i < REQUESTS; i++)
		if (close(fd[i]) < 0)
			bench_die("close: %s", strerror(errno));
	for (size_t i = 0; i < REQUESTS; i++) {
		snprintf(path, sizeof(path), "%s/namespaces/bench/responses/r%02zuq%02zu/text",
			 b->mnt, round, i);
		take(m, path);
	}
	return (double)(bench_ns() - t0) / 1e6;
}

static void measure(struct merge *m, size_t rounds)
{
	/* one more round in front: a daemon merges from the first namespace on, and connects */
	for (size_t round = 0; round <= rounds; round++) {
		for (size_t turn = 0; turn < DAEMONS; turn++) {
			size_t d = (round + turn) % DAEMONS, called = web_count(m->b[d]->port);
			double ms = together(m, m->b[d], round);

			if (!round)
				continue;
			m->ms[d][round - 1] = ms;
			m->calls[d][round - 1] = (double)(web_count(m->b[d]->port) - called);
		}
	}
}

void row_merge(struct bench *b)
{
	struct merge *m = calloc(1, sizeof(*m));
	struct bench alone;
	size_t rounds = b->quick ? QUICK : ROUNDS;
	double ms[DAEMONS], calls[DAEMONS];

	if (!m)
		bench_die("out of memory");
	world_provider(b);
	free(web_control(b->port, "script", "[{\"delay_ms\":20,\"number\":true}]"));
	alone = *b;
	alone.config = "[merge]\nsize = 1\nwindow_ms = 0\n";
	world_mount(&alone, b->pinned ? "alone-pinned" : "alone", NULL);
	world_mount(b, b->pinned ? "merge-pinned" : "merge", NULL);
	m->b[0] = &alone;
	m->b[1] = b;
	for (size_t d = 0; d < DAEMONS; d++) {
		char *path = bench_fmt("%s/namespaces/bench", m->b[d]->mnt);

		bench_mkdir(path);
		free(path);
	}
	measure(m, rounds);
	for (size_t d = 0; d < DAEMONS; d++) {
		ms[d] = bench_median(m->ms[d], rounds);
		calls[d] = bench_median(m->calls[d], rounds);
	}
	world_rss(b);
	table_add(b,
		  (struct table_row){ .name = "0 64 equal requests: calls, merged | each by itself",
				      .floor = bench_fmt("%.0f", calls[0]),
				      .ours = bench_fmt("%.0f", calls[1]),
				      .unit = "x fewer",
				      .value = calls[0] / calls[1] });
	table_add(b, (struct table_row){ .name = "0 until all are answered, 20 ms a call",
					 .floor = bench_fmt("%.1f ms", ms[0]),
					 .ours = bench_fmt("%.1f ms", ms[1]),
					 .unit = "x",
					 .value = ms[0] / ms[1] });
	world_unmount(b);
	world_unmount(&alone);
	world_provider_end(b);
	free(m);
}
