/*
 * tests/bench/lib/row_memory.c - row 7: the daemon's memory after many requests
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/bench.h"

enum { PER_DIRECTORY = 1000 };

static void many(struct bench *b, bool keep)
{
	size_t n = b->quick ? 1000 : 100000;
	char dir[BENCH_PATH / 2 + 32], prompt[BENCH_PATH], text[BENCH_PATH];
	uint64_t t0 = bench_ns();
	double start;
	char *title;

	world_mount(b, keep ? "memory-kept" : "memory-removed", NULL);
	start = world_rss(b);
	for (size_t i = 0; i < n; i++) {
		size_t doc_len, answer_len;
		char *doc = words_document('m', i, &doc_len),
		     *answer = words_echo('m', i, &answer_len);

		snprintf(dir, sizeof(dir), "%s/prompts/%03zu", b->mnt, i / PER_DIRECTORY);
		snprintf(prompt, sizeof(prompt), "%s/k%06zu.json", dir, i);
		snprintf(text, sizeof(text), "%s/responses/%03zu/k%06zu/text", b->mnt,
			 i / PER_DIRECTORY, i);
		if (i % PER_DIRECTORY == 0)
			bench_mkdir(dir);
		bench_write(prompt, doc, doc_len);
		bench_read(text, answer, answer_len);
		if (!keep)
			bench_unlink(prompt);
		free(doc);
		free(answer);
	}
	world_rss(b);
	title = bench_fmt("7 daemon after %zu requests, prompts %s (%.0f/s)", n,
			  keep ? "kept" : "removed", (double)n * 1e9 / (double)(bench_ns() - t0));
	table_add(b, (struct table_row){ .name = title,
					 .floor = bench_fmt("%.1f MiB", start),
					 .ours = bench_fmt("%.1f MiB", b->rss_mib),
					 .unit = " MiB",
					 .value = b->rss_mib,
					 .target = 30,
					 .rule = TABLE_AT_MOST });
	world_unmount(b);
	free(title);
}

void row_memory(struct bench *b)
{
	many(b, true);
	many(b, false);
}
