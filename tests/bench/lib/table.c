/*
 * tests/bench/lib/table.c - the one table
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/lib/bench.h"

static unsigned hits, misses;

void table_head(const struct bench *b)
{
	printf("%-64s %-8s %14s %14s %11s %11s %-6s %7s\n", "what", "CPUs", "floor", "inferfs",
	       "value", "target", "", "RSS MiB");
	(void)b;
	fflush(stdout);
}

void table_add(const struct bench *b, struct table_row row)
{
	bool ok = row.rule == TABLE_AT_LEAST ? row.value >= row.target : row.value <= row.target;
	char value[32], target[32] = "";

	snprintf(value, sizeof(value), "%.3g%s", row.value, row.unit);
	if (b->quick) /* nobody shall read a verdict into a smoke test */
		row.rule = TABLE_NONE;
	if (row.rule != TABLE_NONE)
		snprintf(target, sizeof(target), "%s %.3g%s",
			 row.rule == TABLE_AT_LEAST ? ">=" : "<=", row.target, row.unit);
	printf("%-64s %-8s %14s %14s %11s %11s %-6s %7.1f\n", row.name,
	       b->pinned ? "pinned" : "all", row.floor ? row.floor : "-", row.ours, value, target,
	       row.rule == TABLE_NONE ? ""
	       : row.possible	      ? (ok ? "can" : "cannot")
	       : ok		      ? "pass"
				      : "MISS",
	       b->rss_mib);
	fflush(stdout);
	if (row.rule != TABLE_NONE && !row.possible)
		*(ok ? &hits : &misses) += 1;
	free(row.floor);
	free(row.ours);
}

static void add_pair(const struct bench *b, const char *name, struct pair p, double target,
		     bool possible)
{
	table_add(b, (struct table_row){ .name = name,
					 .floor = bench_fmt("%.2f us", p.floor / 1e3),
					 .ours = bench_fmt("%.2f us", p.ours / 1e3),
					 .unit = "",
					 .value = p.ours > 0 ? p.floor / p.ours : 0,
					 .target = target,
					 .rule = target > 0 ? TABLE_AT_LEAST : TABLE_NONE,
					 .possible = possible });
}

void table_pair(const struct bench *b, const char *name, struct pair p, double target)
{
	add_pair(b, name, p, target, false);
}

void table_possible(const struct bench *b, const char *name, struct pair p, double target)
{
	add_pair(b, name, p, target, true);
}

void table_foot(void)
{
	printf("%u targets met, %u missed\n", hits, misses);
}
