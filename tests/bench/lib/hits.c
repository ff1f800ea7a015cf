/*
 * tests/bench/lib/hits.c - rows 1 to 3: the trees and the operations
 *
 * Every tree has the same depth, the same number of names and, but for what leastfs makes up, the same bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/lib/hits.h"

static const char *const names[HITS_SIDES] = { [HITS_LEAST] = "least",
					       [HITS_ALIKE] = "alike",
					       [HITS_NOOPEN] = "noopen",
					       [HITS_HASH] = "hash",
					       [HITS_WORK] = "work" };

static char **many(size_t n)
{
	char **v = calloc(n, sizeof(*v));

	if (!v)
		bench_die("out of memory");
	return v;
}

static void at_make(struct hits *h, enum hits_side side, const char *root)
{
	struct hits_at *a = &h->at[side];

	*a = (struct hits_at){ .h = h, .stat_fd = -1, .made_up = names[side] != NULL };
	a->mnt = bench_fmt("%s", root);
	a->ask = bench_fmt("%s/ask", root);
	a->prompt = many(h->n);
	a->text = many(h->n);
	for (size_t i = 0; i < h->n; i++) {
		a->prompt[i] = bench_fmt("%s/prompts/%c/k%06zu.json", root, h->kind, i);
		a->text[i] = bench_fmt("%s/responses/%c/k%06zu/text", root, h->kind, i);
	}
}

static void at_free(struct hits_at *a)
{
	for (size_t i = 0; i < a->h->n; i++) {
		free(a->prompt[i]);
		free(a->text[i]);
	}
	free(a->prompt);
	free(a->text);
	free(a->ask);
	free(a->mnt);
	a->h = NULL;
}

static void make_dirs(struct hits *h)
{
	char *ours = bench_fmt("%s/prompts/%c", h->b->mnt, h->kind);
	char *plain = bench_fmt("%s/prompts/%c", h->b->plain, h->kind);

	bench_mkdir(ours);
	bench_mkdir(plain);
	free(ours);
	free(plain);
	for (size_t i = 0; i < h->n; i++) {
		char *dir = bench_fmt("%s/responses/%c/k%06zu", h->b->plain, h->kind, i);

		bench_mkdir(dir);
		bench_write(h->at[HITS_EXT4].text[i], h->answer[i], h->answer_len);
		free(dir);
	}
}

void hits_make(struct hits *h, struct bench *b, char kind)
{
	*h = (struct hits){ .b = b, .n = b->keys, .kind = kind };
	h->doc = many(h->n);
	h->answer = many(h->n);
	for (size_t i = 0; i < h->n; i++) {
		h->doc[i] = words_document(kind, i, &h->doc_len);
		h->answer[i] = words_echo(kind, i, &h->answer_len);
	}
	h->same = malloc(h->answer_len);
	if (!h->same)
		bench_die("out of memory");
	memset(h->same, 'x', h->answer_len);
	at_make(h, HITS_EXT4, b->plain);
	at_make(h, HITS_OURS, b->mnt);
	make_dirs(h);
}

void hits_free(struct hits *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->doc[i]);
		free(h->answer[i]);
	}
	free(h->doc);
	free(h->answer);
	free(h->same);
	for (size_t side = 0; side < HITS_SIDES; side++)
		if (h->at[side].h)
			at_free(&h->at[side]);
}

void hits_start(struct hits *h, enum hits_side side)
{
	char *mnt = bench_fmt("%s/%s/mnt", h->b->dir, names[side]);
	char *bytes = bench_fmt("%zu", h->answer_len);
	char *store = bench_fmt("%s/%s/store", h->b->dir, names[side]);
	const char *argv[] = { "leastfs", mnt, bytes, names[side], store, NULL };

	bench_mkdir(store);
	at_make(h, side, mnt);
	h->at[side].pid = world_helper(h->b, argv);
	free(store);
	free(bytes);
	free(mnt);
}

void hits_end(struct hits *h, enum hits_side side)
{
	struct hits_at *a = &h->at[side];

	if (a->stat_fd >= 0)
		close(a->stat_fd);
	a->stat_fd = -1;
	if (a->pid)
		world_helper_end(a->mnt, a->pid);
	a->pid = 0;
}

/* ---- operations ---- */

static const char *answer_of(const struct hits_at *a, size_t i)
{
	return a->made_up ? a->h->same : a->h->answer[i];
}

void hits_prompt(void *arg, size_t i)
{
	struct hits_at *a = arg;

	bench_write(a->prompt[i], a->h->doc[i], a->h->doc_len);
}

void hits_read(void *arg, size_t i)
{
	struct hits_at *a = arg;

	bench_read(a->text[i], answer_of(a, i), a->h->answer_len);
}

void hits_trip(void *arg, size_t i)
{
	struct hits_at *a = arg;

	hits_prompt(a, i);
	hits_read(a, i);
	bench_unlink(a->prompt[i]);
}

void hits_ask(void *arg, size_t i)
{
	struct hits_at *a = arg;
	struct hits *h = a->h;
	char got[8192];
	size_t len = 0;
	int fd = open(a->ask, O_RDWR | O_CLOEXEC);
	ssize_t r;

	if (fd < 0)
		bench_die("open %s: %s", a->ask, strerror(errno));
	if (write(fd, h->doc[i], h->doc_len) != (ssize_t)h->doc_len)
		bench_die("write %s: %s", a->ask, strerror(errno));
	while ((r = read(fd, got + len, sizeof(got) - len)) > 0)
		len += (size_t)r;
	if (r < 0)
		bench_die("read %s: %s", a->ask, strerror(errno));
	if (len != h->answer_len || memcmp(got, answer_of(a, i), len) != 0)
		bench_die("%s: wrong bytes: %.*s", a->ask, (int)len, got);
	close(fd);
}

void hits_stat(void *arg, size_t i)
{
	struct hits_at *a = arg;
	struct stat st;

	(void)i;
	if (a->stat_fd < 0) {
		char *path = bench_fmt("%s/stat", a->mnt);

		a->stat_fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
		if (a->stat_fd < 0)
			bench_die("open %s: %s", path, strerror(errno));
		free(path);
	}
	if (fstat(a->stat_fd, &st) < 0)
		bench_die("fstat %s/stat: %s", a->mnt, strerror(errno));
}
