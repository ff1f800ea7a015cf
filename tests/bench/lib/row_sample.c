/*
 * tests/bench/lib/row_sample.c - row 8: samples a second from the store
 *
 * Every key has SAMPLES stored samples. One operation is a whole request for them, asked anew under
 * a name that was removed before; the floor only reads files of the same depth and the same bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/bench.h"

enum { SAMPLES = 16, BATCH = 8, PASSES = 4, RESPONSE_MAX = 64 << 10 };

struct samples {
	struct bench *b;
	size_t n;	 /* keys */
	char **response; /* of each key, up to its `usage`: what follows has times in it */
};

/* ---- where things are, and what is in them ---- */

static void dir_of(const char *root, size_t i, char out[BENCH_PATH])
{
	snprintf(out, BENCH_PATH, "%s/responses/k%06zu", root, i);
}

static size_t text_of(size_t i, size_t sample, char *out, size_t cap)
{
	char prompt[WORDS_PROMPT + 1];

	words_prompt('s', i, prompt);
	return sample ? (size_t)snprintf(out, cap, "You said: %s (%zu)\n", prompt, sample)
		      : (size_t)snprintf(out, cap, "You said: %s\n", prompt);
}

static void ask(struct samples *s, size_t i)
{
	char prompt[WORDS_PROMPT + 1], doc[512], path[BENCH_PATH];
	int n;

	words_prompt('s', i, prompt);
	n = snprintf(doc, sizeof(doc), "{\"prompt\":\"%s\",\"n\":%d}\n", prompt, SAMPLES);
	snprintf(path, sizeof(path), "%s/prompts/k%06zu.json", s->b->mnt, i);
	bench_write(path, doc, (size_t)n);
}

static void forget(struct samples *s, size_t i)
{
	char path[BENCH_PATH];

	snprintf(path, sizeof(path), "%s/prompts/k%06zu.json", s->b->mnt, i);
	bench_unlink(path);
}

static void read_samples(const char *root, size_t i)
{
	char dir[BENCH_PATH], path[BENCH_PATH + 32], want[512];

	dir_of(root, i, dir);
	for (size_t k = 0; k < SAMPLES; k++) {
		snprintf(path, sizeof(path), "%s/samples/%zu/text", dir, k);
		bench_read(path, want, text_of(i, k, want, sizeof(want)));
	}
}

static size_t read_response(const char *root, size_t i, char *out)
{
	char dir[BENCH_PATH], path[BENCH_PATH + 32];
	size_t len = 0;
	ssize_t n;
	int fd;

	dir_of(root, i, dir);
	snprintf(path, sizeof(path), "%s/response.json", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bench_die("open %s: %s", path, strerror(errno));
	while ((n = read(fd, out + len, RESPONSE_MAX - 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		bench_die("read %s: %s", path, strerror(errno));
	close(fd);
	out[len] = '\0';
	return len;
}

static void compare_response(struct samples *s, const char *root, size_t i)
{
	char got[RESPONSE_MAX];
	size_t want = strlen(s->response[i]), len = read_response(root, i, got);

	if (len < want || memcmp(got, s->response[i], want) != 0)
		bench_die("%s: k%06zu/response.json has wrong bytes: %s", root, i, got);
}

/* ---- filling ---- */

/* Each sample has the text that is wanted, and came out of the store. */
static void check_response(size_t i, const char *got)
{
	char want[512], text[512];

	for (size_t k = 0; k < SAMPLES; k++) {
		size_t n = text_of(i, k, text, sizeof(text));

		snprintf(want, sizeof(want), "{\"index\":%zu,\"text\":\"%.*s\",", k, (int)n - 1,
			 text);
		got = strstr(got, want);
		if (!got)
			bench_die("k%06zu/response.json lacks %s", i, want);
		got = strstr(got, "\"cached\":");
		if (!got || strncmp(got, "\"cached\":true", 13) != 0)
			bench_die("k%06zu/response.json: sample %zu is not stored", i, k);
	}
}

static void fill_floor(struct samples *s, size_t i, const char *response, size_t len)
{
	char dir[BENCH_PATH], path[BENCH_PATH + 32], text[512];

	dir_of(s->b->plain, i, dir);
	for (size_t k = 0; k < SAMPLES; k++) {
		snprintf(path, sizeof(path), "%s/samples/%zu", dir, k);
		bench_mkdir(path);
		snprintf(path, sizeof(path), "%s/samples/%zu/text", dir, k);
		bench_write(path, text, text_of(i, k, text, sizeof(text)));
	}
	snprintf(path, sizeof(path), "%s/response.json", dir);
	bench_write(path, response, len);
}

static void fill(struct samples *s)
{
	char response[RESPONSE_MAX], *end;
	size_t len;

	for (size_t i = 0; i < s->n; i++) {
		ask(s, i); /* bought */
		read_samples(s->b->mnt, i);
		forget(s, i);
	}
	for (size_t i = 0; i < s->n; i++) {
		ask(s, i); /* stored */
		len = read_response(s->b->mnt, i, response);
		forget(s, i);
		check_response(i, response);
		fill_floor(s, i, response, len);
		end = strstr(response, "\"usage\":");
		if (!end)
			bench_die("no usage in %s", response);
		s->response[i] = bench_fmt("%.*s", (int)(end - response), response);
	}
}

/* ---- the operations; i counts over all keys several times ---- */

static void floor_samples(void *arg, size_t i)
{
	struct samples *s = arg;

	read_samples(s->b->plain, i % s->n);
}

static void our_samples(void *arg, size_t i)
{
	struct samples *s = arg;

	ask(s, i % s->n);
	read_samples(s->b->mnt, i % s->n);
	forget(s, i % s->n);
}

static void our_samples_again(void *arg, size_t i)
{
	struct samples *s = arg;

	read_samples(s->b->mnt, i % s->n);
}

static void floor_response(void *arg, size_t i)
{
	struct samples *s = arg;

	compare_response(s, s->b->plain, i % s->n);
}

static void our_response(void *arg, size_t i)
{
	struct samples *s = arg;

	ask(s, i % s->n);
	compare_response(s, s->b->mnt, i % s->n);
	forget(s, i % s->n);
}

static void report(struct samples *s, const char *what, pair_fn *floor, pair_fn *ours)
{
	struct pair p = pair_run(s->n * (s->b->quick ? 1 : PASSES), BATCH, floor, ours, s);
	char *title =
		bench_fmt("8 %zu stored samples, n = %d, %s | ext4", s->n * SAMPLES, SAMPLES, what);
	double a = SAMPLES * 1e9 / p.floor, b = SAMPLES * 1e9 / p.ours;

	world_rss(s->b);
	table_add(s->b, (struct table_row){ .name = title,
					    .floor = bench_fmt("%.0f/s", a),
					    .ours = bench_fmt("%.0f/s", b),
					    .unit = "",
					    .value = b / a });
	free(title);
}

void row_samples(struct bench *b)
{
	struct samples s = { .b = b, .n = b->quick ? 16 : 640 };

	s.response = calloc(s.n, sizeof(*s.response));
	if (!s.response)
		bench_die("out of memory");
	world_mount(b, b->pinned ? "samples-pinned" : "samples", NULL);
	fill(&s);
	world_settle(b);
	report(&s, "texts", floor_samples, our_samples);
	report(&s, "response.json", floor_response, our_response);
	for (size_t i = 0; i < s.n; i++)
		ask(&s, i);
	world_settle(b);
	report(&s, "texts again", floor_samples, our_samples_again);
	world_unmount(b);
	for (size_t i = 0; i < s.n; i++)
		free(s.response[i]);
	free(s.response);
}
