/*
 * tests/bench/lib/row_hit.c - rows 1 to 3: what is stored already
 *
 * The floor's tree has the same depth, the same number of names and the same bytes as the mount's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/bench.h"

struct hits {
	struct bench *b;
	size_t n;
	char **doc, **answer; /* of one length each */
	size_t doc_len, answer_len;
	char **floor_prompt, **floor_text, **our_prompt, **our_text;
	char *floor_ask, *our_ask, *empty_answer;
};

static char **many(size_t n)
{
	char **v = calloc(n, sizeof(*v));

	if (!v)
		bench_die("out of memory");
	return v;
}

static void hits_make(struct hits *h, struct bench *b, char kind)
{
	*h = (struct hits){ .b = b, .n = b->keys };
	h->doc = many(h->n);
	h->answer = many(h->n);
	h->floor_prompt = many(h->n);
	h->floor_text = many(h->n);
	h->our_prompt = many(h->n);
	h->our_text = many(h->n);
	for (size_t i = 0; i < h->n; i++) {
		h->doc[i] = words_document(kind, i, &h->doc_len);
		h->answer[i] = words_echo(kind, i, &h->answer_len);
		h->floor_prompt[i] = bench_fmt("%s/prompts/%c/k%06zu.json", b->plain, kind, i);
		h->floor_text[i] = bench_fmt("%s/responses/%c/k%06zu/text", b->plain, kind, i);
		h->our_prompt[i] = bench_fmt("%s/prompts/%c/k%06zu.json", b->mnt, kind, i);
		h->our_text[i] = bench_fmt("%s/responses/%c/k%06zu/text", b->mnt, kind, i);
	}
}

static void hits_free(struct hits *h)
{
	char **v[] = {
		h->doc, h->answer, h->floor_prompt, h->floor_text, h->our_prompt, h->our_text
	};

	for (size_t k = 0; k < sizeof(v) / sizeof(*v); k++) {
		for (size_t i = 0; i < h->n; i++)
			free(v[k][i]);
		free(v[k]);
	}
	free(h->floor_ask);
	free(h->our_ask);
	free(h->empty_answer);
}

static void make_dirs(struct hits *h, char kind)
{
	char *ours = bench_fmt("%s/prompts/%c", h->b->mnt, kind);
	char *plain = bench_fmt("%s/prompts/%c", h->b->plain, kind);

	bench_mkdir(ours);
	bench_mkdir(plain);
	free(ours);
	free(plain);
	for (size_t i = 0; i < h->n; i++) {
		char *dir = bench_fmt("%s/responses/%c/k%06zu", h->b->plain, kind, i);

		bench_mkdir(dir);
		bench_write(h->floor_text[i], h->answer[i], h->answer_len);
		free(dir);
	}
}

/* ---- row 1 ---- */

static void floor_read(void *arg, size_t i)
{
	struct hits *h = arg;

	bench_read(h->floor_text[i], h->answer[i], h->answer_len);
}

static void our_read(void *arg, size_t i)
{
	struct hits *h = arg;

	bench_read(h->our_text[i], h->answer[i], h->answer_len);
}

static void warm_reads(struct bench *b)
{
	struct hits h;

	hits_make(&h, b, 'w');
	make_dirs(&h, 'w');
	for (size_t i = 0; i < h.n; i++) {
		bench_write(h.floor_prompt[i], h.doc[i], h.doc_len);
		bench_write(h.our_prompt[i], h.doc[i], h.doc_len);
		our_read(&h, i);
	}
	for (size_t i = 0; i < h.n; i++) {
		floor_read(&h, i);
		our_read(&h, i);
	}
	struct pair p = pair_run(h.n, 100, floor_read, our_read, &h);

	world_rss(b);
	table_pair(b, "1 warm read: open read close | ext4", p, 0.2);
	hits_free(&h);
}

/* ---- row 2 ---- */

static void floor_trip(void *arg, size_t i)
{
	struct hits *h = arg;

	bench_write(h->floor_prompt[i], h->doc[i], h->doc_len);
	bench_read(h->floor_text[i], h->answer[i], h->answer_len);
	bench_unlink(h->floor_prompt[i]);
}

static void our_trip(void *arg, size_t i)
{
	struct hits *h = arg;

	bench_write(h->our_prompt[i], h->doc[i], h->doc_len);
	bench_read(h->our_text[i], h->answer[i], h->answer_len);
	bench_unlink(h->our_prompt[i]);
}

/* ---- row 3 ---- */

static void transact(const char *path, const char *doc, size_t doc_len, const char *want, size_t n)
{
	char got[8192];
	size_t len = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t r;

	if (fd < 0)
		bench_die("open %s: %s", path, strerror(errno));
	if (write(fd, doc, doc_len) != (ssize_t)doc_len)
		bench_die("write %s: %s", path, strerror(errno));
	while ((r = read(fd, got + len, sizeof(got) - len)) > 0)
		len += (size_t)r;
	if (r < 0)
		bench_die("read %s: %s", path, strerror(errno));
	if (len != n || memcmp(got, want, n) != 0)
		bench_die("%s: wrong bytes: %.*s", path, (int)len, got);
	close(fd);
}

static void floor_ask(void *arg, size_t i)
{
	struct hits *h = arg;

	transact(h->floor_ask, h->doc[i], h->doc_len, h->empty_answer, h->answer_len);
}

static void our_ask(void *arg, size_t i)
{
	struct hits *h = arg;

	transact(h->our_ask, h->doc[i], h->doc_len, h->answer[i], h->answer_len);
}

static void trips(struct bench *b)
{
	char *empty = bench_fmt("%s/empty", b->dir);
	struct pair p;
	struct hits h;
	pid_t pid;

	hits_make(&h, b, 'h');
	make_dirs(&h, 'h');
	for (size_t i = 0; i < h.n; i++) /* from now on every key is stored */
		our_trip(&h, i);
	if (strchr(b->rows, '2')) {
		p = pair_run(h.n, 50, floor_trip, our_trip, &h);
		world_rss(b);
		table_pair(b, "2 hit by files: create..unlink | ext4", p, 0.3);
	}
	if (strchr(b->rows, '3')) {
		h.floor_ask = bench_fmt("%s/f", empty);
		h.our_ask = bench_fmt("%s/ask", b->mnt);
		h.empty_answer = malloc(h.answer_len);
		memset(h.empty_answer, 'x', h.answer_len);
		pid = world_empty(b, empty, h.answer_len);
		p = pair_run(h.n, 50, floor_ask, our_ask, &h);
		world_rss(b);
		table_pair(b, "3 hit by ask: open..close | empty FUSE transaction", p, 0.5);
		world_empty_end(empty, pid);
	}
	free(empty);
	hits_free(&h);
}

void row_hits(struct bench *b)
{
	world_mount(b, b->pinned ? "hit-pinned" : "hit", NULL);
	if (strchr(b->rows, '1'))
		warm_reads(b);
	if (strchr(b->rows, '2') || strchr(b->rows, '3'))
		trips(b);
	world_unmount(b);
}
