/*
 * tests/bench/lib/row_lines.c - row 9: what a line of a .jsonl job costs
 *
 * From close(2) of the job's file until output.jsonl can be opened. The floor sends the daemon's
 * own bodies, as many, as many at a time, to the same server, which answers at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/bench.h"
#include "bench/lib/web.h"

/* IN_FLIGHT is the `concurrency` of world.c's backend */
enum { IN_FLIGHT = 64, ROUNDS = 3, LEARN = 87654321 };

#define QUESTION "please tell me about item number %0*zu of the list"

/* numbers from, from + 1, ...: n lines */
static char *job_text(size_t from, size_t n, size_t *out_len)
{
	char *text;
	FILE *f = open_memstream(&text, out_len);

	if (!f)
		bench_die("out of memory");
	for (size_t i = from; i < from + n; i++)
		fprintf(f,
			"{\"custom_id\":\"i%0*zu\",\"model\":\"prov/bench\",\"prompt\":\"" QUESTION
			"\"}\n",
			(int)WEB_DIGITS, i, (int)WEB_DIGITS, i);
	fclose(f);
	return text;
}

/* The line of each question, in the order of the input, with its answer and without an error. */
static void check_output(const char *name, char *text, size_t from, size_t n)
{
	char head[256], answer[256];
	char *at = text, *end;

	for (size_t i = from; i < from + n; i++, at = end + 1) {
		end = strchr(at, '\n');
		if (!end)
			bench_die("%s ends after %zu lines", name, i - from);
		*end = '\0';
		snprintf(head, sizeof(head),
			 "{\"custom_id\":\"i%0*zu\",\"request_id\":\"%s/i%0*zu\",", (int)WEB_DIGITS,
			 i, name, (int)WEB_DIGITS, i);
		snprintf(answer, sizeof(answer),
			 "\"samples\":[{\"index\":0,\"text\":\"echo: " QUESTION
			 "\",\"finish_reason\":\"stop\",\"tool_calls\":null,\"reasoning\":null,"
			 "\"logprobs\":null,\"cached\":false,",
			 (int)WEB_DIGITS, i);
		if (strncmp(at, head, strlen(head)) != 0 || !strstr(at, answer) || end - at < 13 ||
		    strcmp(end - 13, "\"error\":null}") != 0)
			bench_die("%s: line %zu is wrong: %s", name, i - from + 1, at);
	}
	if (*at)
		bench_die("%s has more than %zu lines", name, n);
}

static double job(struct bench *b, size_t from, size_t n)
{
	char name[32], path[BENCH_PATH], output[BENCH_PATH];
	size_t len, called = web_count(b->port);
	char *text = job_text(from, n, &len);
	uint64_t t0, t1;
	int fd, out;

	snprintf(name, sizeof(name), "j%0*zu", (int)WEB_DIGITS, from);
	snprintf(path, sizeof(path), "%s/prompts/%s.jsonl", b->mnt, name);
	snprintf(output, sizeof(output), "%s/responses/%s/output.jsonl", b->mnt, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		bench_die("%s: %s", path, strerror(errno));
	free(text);
	t0 = bench_ns();
	if (close(fd) < 0)
		bench_die("close %s: %s", path, strerror(errno));
	out = open(output, O_RDONLY | O_CLOEXEC);
	t1 = bench_ns();
	if (out < 0)
		bench_die("open %s: %s", output, strerror(errno));
	close(out);
	text = bench_slurp(output, NULL);
	check_output(name, text, from, n);
	free(text);
	if (web_count(b->port) - called != n)
		bench_die("%s: %zu calls for %zu lines", name, web_count(b->port) - called, n);
	return (double)(t1 - t0) / (double)n;
}

void row_lines(struct bench *b)
{
	size_t n = b->quick ? 200 : 10000, next = 1;
	double floor[ROUNDS], ours[ROUNDS], f, o;
	struct web *w;
	uint64_t t0;
	char *title;

	world_provider(b);
	world_mount(b, b->pinned ? "lines-pinned" : "lines", NULL);
	(void)job(b, LEARN, 1);
	w = web_learn(b->port, "87654321");
	for (size_t round = 0; round < ROUNDS; round++, next += 2 * n) {
		world_settle(b); /* the job before has rows to put away */
		t0 = bench_ns();
		web_many(w, next, n, IN_FLIGHT);
		floor[round] = (double)(bench_ns() - t0) / (double)n;
		ours[round] = job(b, next + n, n);
	}
	world_rss(b);
	f = bench_median(floor, ROUNDS) / 1e6;
	o = bench_median(ours, ROUNDS) / 1e6;
	title = bench_fmt("9 job of %zu lines, each: added | libcurl multi", n);
	table_add(b, (struct table_row){ .name = title,
					 .floor = bench_fmt("%.3f ms", f),
					 .ours = bench_fmt("%.3f ms", o),
					 .unit = " ms",
					 .value = o - f });
	world_unmount(b);
	world_provider_end(b);
	web_free(w);
	free(title);
}
