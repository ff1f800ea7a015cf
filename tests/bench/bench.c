/*
 * tests/bench/bench.c - one table: every row beside its floor in the same run
 *
 *   bench BUILD DIR [ROWS]     programs in BUILD, everything else below DIR; ROWS: digits (0 is the
 *                              tenth), all if absent
 *   BENCH_QUICK=1              a few hundred operations: does it work, not how fast
 *   BENCH_CPUS=pinned|all      one of the two passes only
 *   BENCH_KEYS=N               distinct keys in rows 1 to 4, instead of 10,000: a smaller sample
 *   BENCH_ENTRIES=N            of the cache in row 6, instead of 100,000
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/lib/bench.h"

enum { EXT4_MAGIC = 0xEF53 };

static bool wanted(const struct bench *b, const char *rows)
{
	return strpbrk(b->rows, rows) != NULL;
}

static void pass(struct bench *b, bool pinned)
{
	b->pinned = pinned;
	bench_pin(pinned ? 0 : -1);
	if (wanted(b, "123"))
		row_hits(b);
	if (wanted(b, "4"))
		row_misses(b);
	if (wanted(b, "5"))
		row_waiters(b);
	if (wanted(b, "6"))
		row_tree(b);
	if (wanted(b, "8"))
		row_samples(b);
	if (wanted(b, "9"))
		row_lines(b);
	if (wanted(b, "0"))
		row_merge(b);
}

static void say_where(const struct bench *b)
{
	struct utsname u;
	struct statfs fs;

	if (uname(&u) == 0 && statfs(b->dir, &fs) == 0)
		printf("%s %s, %ld CPUs, floor on %s; durability = group, disk engine; %zu keys%s\n",
		       u.sysname, u.release, sysconf(_SC_NPROCESSORS_ONLN),
		       fs.f_type == EXT4_MAGIC ? "ext4" : "ANOTHER FILE SYSTEM THAN EXT4", b->keys,
		       b->quick ? " (quick: numbers mean nothing)" : "");
}

int main(int argc, char **argv)
{
	const char *cpus = getenv("BENCH_CPUS"), *quick = getenv("BENCH_QUICK");
	const char *keys = getenv("BENCH_KEYS");
	struct bench b = { .quick = quick && *quick && *quick != '0' };
	struct rlimit files;

	if (argc < 3) {
		fprintf(stderr, "usage: bench BUILD DIR [ROWS]\n");
		return 2;
	}
	b.build = argv[1];
	b.dir = argv[2];
	b.rows = argc > 3 && *argv[3] ? argv[3] : "1234567890";
	b.keys = keys && *keys ? strtoul(keys, NULL, 10) : b.quick ? 300 : 10000;
	if (b.keys < 100) {
		fprintf(stderr, "bench: BENCH_KEYS must be a number from 100\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	say_where(&b);
	table_head(&b);
	if (!cpus || strcmp(cpus, "all") != 0)
		pass(&b, true);
	if (!cpus || strcmp(cpus, "pinned") != 0)
		pass(&b, false);
	if (wanted(&b, "7"))
		row_memory(&b);
	table_foot();
	return 0;
}
