/*
 * tests/bench/lib/row_hit.c - rows 1 to 3: what is stored already
 *
 * Beside ext4 stands leastfs, a FUSE file system that does no work, or only the work that the row names:
 * where even that misses a target, nothing that does as much can meet it on this machine, and the row
 * says "cannot".
 */
#include <string.h>

#include "bench/lib/hits.h"

#define READ_GOAL  0.2
#define FILES_GOAL 0.3
#define ASK_GOAL   0.5

/* the medians of one operation on these sides, by turns */
static void turns(struct hits *h, pair_fn *fn, size_t batch, const enum hits_side *sides,
		  size_t count, double ns[HITS_SIDES])
{
	struct pair_side s[HITS_SIDES];

	for (size_t k = 0; k < count; k++)
		s[k] = (struct pair_side){ fn, &h->at[sides[k]], 0 };
	pair_turns(h->n, batch, s, count);
	for (size_t k = 0; k < count; k++)
		ns[sides[k]] = s[k].ns;
	world_rss(h->b);
}

static struct pair against(const double *ns, enum hits_side floor, enum hits_side ours)
{
	return (struct pair){ ns[floor], ns[ours] };
}

static void all(struct hits *h, enum hits_side side, pair_fn *fn)
{
	for (size_t i = 0; i < h->n; i++)
		fn(&h->at[side], i);
}

/* ---- row 1 ---- */

static void one_message(struct hits *h)
{
	static const enum hits_side sides[] = { HITS_EXT4, HITS_LEAST };
	double ns[HITS_SIDES];

	turns(h, hits_stat, 100, sides, 2, ns);
	table_add(h->b, (struct table_row){
				.name = "1 one FUSE message: fstat | ext4",
				.floor = bench_fmt("%.2f us", ns[HITS_EXT4] / 1e3),
				.ours = bench_fmt("%.2f us", ns[HITS_LEAST] / 1e3),
				.unit = " us",
				.value = (ns[HITS_LEAST] - ns[HITS_EXT4]) / 1e3,
			});
}

static void warm_reads(struct bench *b)
{
	static const enum hits_side sides[] = { HITS_EXT4, HITS_OURS, HITS_LEAST, HITS_NOOPEN };
	double ns[HITS_SIDES];
	struct hits h;

	hits_make(&h, b, 'w');
	all(&h, HITS_EXT4, hits_prompt);
	for (size_t i = 0; i < h.n; i++) {
		hits_prompt(&h.at[HITS_OURS], i);
		hits_read(&h.at[HITS_OURS], i);
	}
	hits_start(&h, HITS_LEAST);
	hits_start(&h, HITS_NOOPEN);
	for (size_t k = 0; k < 4; k++)
		all(&h, sides[k], hits_read);
	turns(&h, hits_read, 100, sides, 4, ns);
	table_pair(b, "1 warm read: open read close | ext4", against(ns, HITS_EXT4, HITS_OURS),
		   READ_GOAL);
	table_possible(b, "1 warm read: least FUSE | ext4", against(ns, HITS_EXT4, HITS_LEAST),
		       READ_GOAL);
	table_possible(b, "1 warm read: least FUSE, mount without open | ext4",
		       against(ns, HITS_EXT4, HITS_NOOPEN), READ_GOAL);
	table_pair(b, "1 warm read: open read close | least FUSE",
		   against(ns, HITS_LEAST, HITS_OURS), 0);
	one_message(&h);
	hits_end(&h, HITS_EXT4);
	hits_end(&h, HITS_NOOPEN);
	hits_end(&h, HITS_LEAST);
	hits_free(&h);
}

/* ---- row 2 ---- */

static void by_files(struct hits *h)
{
	static const enum hits_side sides[] = { HITS_EXT4, HITS_OURS, HITS_LEAST, HITS_ALIKE };
	struct bench *b = h->b;
	double ns[HITS_SIDES];

	hits_start(h, HITS_LEAST);
	hits_start(h, HITS_ALIKE);
	all(h, HITS_LEAST, hits_trip);
	all(h, HITS_ALIKE, hits_trip);
	turns(h, hits_trip, 50, sides, 4, ns);
	table_pair(b, "2 hit by files: create..unlink | ext4", against(ns, HITS_EXT4, HITS_OURS),
		   FILES_GOAL);
	table_possible(b, "2 hit by files: least FUSE, 7 messages | ext4",
		       against(ns, HITS_EXT4, HITS_LEAST), FILES_GOAL);
	table_possible(b, "2 hit by files: least FUSE, our 15 messages | ext4",
		       against(ns, HITS_EXT4, HITS_ALIKE), FILES_GOAL);
	table_pair(b, "2 hit by files: create..unlink | least FUSE, 7",
		   against(ns, HITS_LEAST, HITS_OURS), 0);
	table_pair(b, "2 hit by files: create..unlink | least FUSE, our 15",
		   against(ns, HITS_ALIKE, HITS_OURS), 0);
	hits_end(h, HITS_LEAST);
	hits_end(h, HITS_ALIKE);
}

/* ---- row 3 ---- */

static void by_ask(struct hits *h)
{
	static const enum hits_side sides[] = { HITS_LEAST, HITS_OURS, HITS_HASH, HITS_WORK };
	struct bench *b = h->b;
	double ns[HITS_SIDES];

	hits_start(h, HITS_LEAST);
	hits_start(h, HITS_HASH);
	hits_start(h, HITS_WORK);
	all(h, HITS_WORK, hits_ask); /* stores */
	turns(h, hits_ask, 50, sides, 4, ns);
	table_pair(b, "3 hit by ask: open..close | empty FUSE transaction",
		   against(ns, HITS_LEAST, HITS_OURS), ASK_GOAL);
	table_possible(b, "3 hit by ask: parse, hash | empty", against(ns, HITS_LEAST, HITS_HASH),
		       ASK_GOAL);
	table_possible(b, "3 hit by ask: parse, hash, read a file, parse | empty",
		       against(ns, HITS_LEAST, HITS_WORK), ASK_GOAL);
	table_pair(b, "3 hit by ask: open..close | parse, hash, read, parse",
		   against(ns, HITS_WORK, HITS_OURS), 0);
	hits_end(h, HITS_LEAST);
	hits_end(h, HITS_HASH);
	hits_end(h, HITS_WORK);
}

void row_hits(struct bench *b)
{
	struct hits h;

	world_mount(b, b->pinned ? "hit-pinned" : "hit", NULL);
	if (strchr(b->rows, '1'))
		warm_reads(b);
	if (strchr(b->rows, '2') || strchr(b->rows, '3')) {
		hits_make(&h, b, 'h');
		all(&h, HITS_OURS, hits_trip); /* from now on every key is stored */
		if (strchr(b->rows, '2'))
			by_files(&h);
		if (strchr(b->rows, '3'))
			by_ask(&h);
		hits_free(&h);
	}
	world_unmount(b);
}
