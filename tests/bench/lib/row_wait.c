/*
 * tests/bench/lib/row_wait.c - row 5: ten thousand readers that wait
 *
 * The requests are held at a barrier of the provider server. Half of the readers sit in open(2) of `text`,
 * half in read(2) of `stream`.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/lib/bench.h"
#include "bench/lib/web.h"

enum { REQUESTS = 64, STACK = 16 << 10, OTHERS = 2000 };

struct reader {
	pthread_t thread;
	struct waiters *w;
	size_t number;
	bool stream;
	atomic_int tid; /* set just before the call that waits */
};

struct waiters {
	struct bench *b;
	size_t n;
	struct reader *readers;
	atomic_size_t done;
};

static void *wait_here(void *arg)
{
	struct reader *r = arg;
	char path[BENCH_PATH], want[128], got[256];
	size_t len = 0, n;
	ssize_t k;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/responses/w%02zu/%s", r->w->b->mnt, r->number,
		 r->stream ? "stream" : "text");
	n = (size_t)snprintf(want, sizeof(want), "echo: held %02zu\n", r->number);
	if (r->stream)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	atomic_store(&r->tid, (int)syscall(SYS_gettid));
	if (!r->stream)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bench_die("open %s: %s", path, strerror(errno));
	while ((k = read(fd, got + len, sizeof(got) - len)) > 0)
		len += (size_t)k;
	if (k < 0 || len != n || memcmp(got, want, n) != 0)
		bench_die("%s: %s: %.*s", path, k < 0 ? strerror(errno) : "wrong bytes", (int)len,
			  got);
	close(fd);
	atomic_fetch_add(&r->w->done, 1);
	return NULL;
}

static void ask_all(struct waiters *w)
{
	char path[BENCH_PATH], doc[128];

	for (size_t i = 0; i < REQUESTS; i++) {
		snprintf(path, sizeof(path), "%s/prompts/w%02zu.json", w->b->mnt, i);
		bench_write(path, doc,
			    (size_t)snprintf(
				    doc, sizeof(doc),
				    "{\"model\":\"prov/bench\",\"prompt\":\"held %02zu\"}\n", i));
	}
	free(web_look(w->b->port, "waiting?name=gate&count=64"));
}

static void start_all(struct waiters *w)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setguardsize(&attr, 0);
	for (size_t i = 0; i < w->n; i++) {
		struct reader *r = &w->readers[i];

		*r = (struct reader){ .w = w, .number = i % REQUESTS, .stream = i / REQUESTS % 2 };
		if (pthread_create(&r->thread, &attr, wait_here, r))
			bench_die("cannot start thread %zu: %s", i, strerror(errno));
	}
	pthread_attr_destroy(&attr);
}

static bool sleeping(const struct reader *r)
{
	int tid = atomic_load(&r->tid);
	char path[64], *text, *p;
	bool yes;

	if (!tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	text = bench_slurp(path, NULL);
	p = strrchr(text, ')');
	yes = p && p[1] == ' ' && p[2] == 'S';
	free(text);
	return yes;
}

/* Asleep in two looks, with an answer of the mount between them: its one thread has then seen them all. */
static void await_parked(struct waiters *w)
{
	char path[BENCH_PATH];
	struct stat st;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/responses/w00/status", w->b->mnt);
	for (int looks = 0; looks < 2;) {
		n = 0;
		while (n < w->n && sleeping(&w->readers[n]))
			n++;
		looks = n == w->n ? looks + 1 : 0;
		if (stat(path, &st) < 0)
			bench_die("stat %s: %s", path, strerror(errno));
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
}

static double others(struct waiters *w)
{
	char status[BENCH_PATH], text[BENCH_PATH];
	size_t n = w->b->quick ? 200 : OTHERS;
	double v[10];
	struct stat st;

	snprintf(status, sizeof(status), "%s/responses/other/status", w->b->mnt);
	snprintf(text, sizeof(text), "%s/responses/other/text", w->b->mnt);
	for (size_t k = 0; k < 10; k++) {
		uint64_t t0 = bench_ns();

		for (size_t i = 0; i < n / 10; i++) {
			if (stat(status, &st) < 0)
				bench_die("stat %s: %s", status, strerror(errno));
			bench_read(status, "done\n", 5);
			bench_read(text, "You said: other\n", 16);
		}
		v[k] = (double)(bench_ns() - t0) / (double)(n / 10);
	}
	return bench_median(v, 10);
}

static double release(struct waiters *w)
{
	uint64_t t0 = bench_ns();

	free(web_control(w->b->port, "release?name=gate", NULL));
	for (size_t i = 0; i < w->n; i++)
		pthread_join(w->readers[i].thread, NULL);
	return (double)(bench_ns() - t0) / 1e6;
}

void row_waiters(struct bench *b)
{
	struct waiters w = { .b = b, .n = b->quick ? 300 : 10000 };
	char path[BENCH_PATH];
	uint64_t before, parked;
	double free_ns, busy_ns, after_ns, ms;

	w.readers = calloc(w.n, sizeof(*w.readers));
	world_provider(b);
	free(web_control(b->port, "script", "[{\"match\":\"held \",\"barrier\":\"gate\"}]"));
	world_mount(b, b->pinned ? "wait-pinned" : "wait", NULL);
	snprintf(path, sizeof(path), "%s/prompts/other.txt", b->mnt);
	bench_write(path, "other\n", 6);
	ask_all(&w);
	free_ns = others(&w);
	before = world_rss_bytes(b);
	start_all(&w);
	await_parked(&w);
	parked = world_rss_bytes(b);
	busy_ns = others(&w);
	world_rss(b);
	ms = release(&w);
	after_ns = others(&w);
	world_unmount(b);
	world_provider_end(b);
	free(w.readers);

	char *title = bench_fmt("5 %zu waiters: daemon memory of each", w.n);

	table_add(b, (struct table_row){
			     .name = title,
			     .floor = bench_fmt("%.1f MiB", (double)before / (1 << 20)),
			     .ours = bench_fmt("%.1f MiB", (double)parked / (1 << 20)),
			     .unit = " B",
			     .value = parked > before ? (double)(parked - before) / (double)w.n : 0,
			     .target = 1024,
			     .rule = TABLE_AT_MOST });
	table_add(b, (struct table_row){ .name = "5 all of them released and read to the end",
					 .ours = bench_fmt("%.0f ms", ms),
					 .unit = " ms",
					 .value = ms });
	table_pair(b, "5 stat, 2 x open read close: none waits | all wait",
		   (struct pair){ (free_ns + after_ns) / 2, busy_ns }, 0.5);
	free(title);
}
