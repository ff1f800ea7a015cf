/*
 * tests/bench/lib/row_store.c - of row 4: what it costs to keep an answer, without FUSE and without a request
 *
 * Nothing is synced. "Two levels" is what inferfs does: most answers are the first of their directory
 * until there are some 65,536 of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/lib/bench.h"

enum { BYTES = 1024, BATCH = 50 };

struct keeper {
	int dir;    /* of files, -1 none */
	int log;    /* or one file */
	int levels; /* of directories; the first is there already when it is the only one */
};

static uint64_t mixed(size_t i)
{
	return (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

static void make_parents(int dir, const char *path)
{
	char part[8];

	for (int n = 2; n <= 5; n += 3) {
		snprintf(part, sizeof(part), "%.*s", n, path);
		if (mkdirat(dir, part, 0700) < 0 && errno != EEXIST)
			bench_die("mkdir %s: %s", part, strerror(errno));
	}
}

static void keep(void *arg, size_t i)
{
	static const char answer[BYTES] = { 'x' };
	const struct keeper *k = arg;
	char tmp[32], path[64];
	uint64_t h = mixed(i);
	int fd = k->log;

	snprintf(tmp, sizeof(tmp), "tmp/%zu", i);
	snprintf(path, sizeof(path), k->levels == 2 ? "%02x/%02x/%016jx" : "%02x/%02x%016jx",
		 (unsigned)(h >> 56), (unsigned)(h >> 48 & 0xff), (uintmax_t)h);
	if (k->dir >= 0)
		fd = openat(k->dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, answer, sizeof(answer)) != (ssize_t)sizeof(answer))
		bench_die("write %s: %s", tmp, strerror(errno));
	if (k->dir < 0)
		return;
	if (renameat(k->dir, tmp, k->dir, path) < 0) {
		make_parents(k->dir, path);
		if (renameat(k->dir, tmp, k->dir, path) < 0)
			bench_die("rename %s: %s", path, strerror(errno));
	}
	close(fd);
}

static int new_dir(struct bench *b, const char *name)
{
	char *tmp = bench_fmt("%s/%s%s/tmp", b->dir, name, b->pinned ? "-pinned" : "");
	int fd;

	bench_mkdir(tmp);
	*strrchr(tmp, '/') = '\0';
	fd = open(tmp, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bench_die("open %s: %s", tmp, strerror(errno));
	free(tmp);
	return fd;
}

void row_store(struct bench *b)
{
	struct keeper one = { .dir = -1, .levels = 2 };
	struct keeper ready = { .dir = new_dir(b, "store1"), .log = -1, .levels = 1 };
	struct keeper fresh = { .dir = new_dir(b, "store2"), .log = -1, .levels = 2 };
	struct pair_side s[] = { { keep, &one, 0 }, { keep, &ready, 0 }, { keep, &fresh, 0 } };
	char name[8];

	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(ready.dir, name, 0700) < 0)
			bench_die("mkdir %s: %s", name, strerror(errno));
	}
	one.log = openat(ready.dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	pair_turns(b->keys / 2, BATCH, s, 3);
	table_pair(b, "4 keep an answer: file, one level of 256 | append to a log",
		   (struct pair){ s[0].ns, s[1].ns }, 0);
	table_pair(b, "4 keep an answer: file, two levels, most fresh | append to a log",
		   (struct pair){ s[0].ns, s[2].ns }, 0);
	close(one.log);
	close(ready.dir);
	close(fresh.dir);
}
