/*
 * tests/bench/lib/bench.h - what the rows of the benchmark share
 *
 * Every row measures the mount beside its floor in one run, a batch of one after a batch of the other,
 * and reports the median of both: the machine may be noisy, the ratio is not. Every byte that is read
 * is compared; a wrong one ends the program.
 */
#ifndef BENCH_LIB_BENCH_H
#define BENCH_LIB_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_PATH 512

struct bench {
	const char *build;  /* where inferfs and provider are */
	const char *dir;    /* work directory, absolute */
	const char *rows;   /* digits of the rows to run */
	const char *config; /* more sections for config.ini, or NULL */
	bool quick, pinned;
	size_t keys; /* distinct keys where hits are measured */
	char mnt[BENCH_PATH / 2];
	char plain[BENCH_PATH / 2]; /* the floor's tree */
	pid_t daemon, provider;
	int port;
	double rss_mib; /* of the daemon, at its last look */
};

/* ---- util.c ---- */

__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void bench_note(const char *fmt,
						      ...); /* progress, to stderr */
__attribute__((format(printf, 1, 2))) char *bench_fmt(const char *fmt, ...); /* malloc'd */
uint64_t bench_ns(void);
double bench_median(double *v, size_t n); /* sorts v */
void bench_mkdir(const char *path);	  /* with its parents */
void bench_write(const char *path, const void *p, size_t n);
/* bench_read - open, read, close; the file must hold exactly these bytes */
void bench_read(const char *path, const void *want, size_t n);
void bench_unlink(const char *path);
char *bench_slurp(const char *path, size_t *out_len);
/* bench_run - fork, exec, wait; output to /dev/null when quiet; returns the exit status */
int bench_run(bool quiet, const char *const argv[]);
/* bench_pin - this process and what it starts from now on; cpu < 0: all */
void bench_pin(int cpu);

/* ---- words.c: prompts that all have one length, and the answers that belong to them ---- */

enum { WORDS_PROMPT = 300 };
/* words_prompt - text of WORDS_PROMPT bytes and a NUL, different for each (kind, i) */
void words_prompt(char kind, size_t i, char out[WORDS_PROMPT + 1]);
char *words_document(char kind, size_t i, size_t *out_len); /* {"prompt":...} */
char *words_echo(char kind, size_t i, size_t *out_len);	    /* what echo answers */

/* ---- pair.c: operations by turns ---- */

typedef void pair_fn(void *arg, size_t i);
struct pair {
	double floor, ours; /* medians, ns per operation */
};
struct pair_side {
	pair_fn *fn;
	void *arg;
	double ns; /* the median, by pair_turns */
};
/* pair_turns - n operations of each in batches; every operation sees each i once */
void pair_turns(size_t n, size_t batch, struct pair_side *sides, size_t count);
struct pair pair_run(size_t n, size_t batch, pair_fn *floor, pair_fn *ours, void *arg);

/* ---- table.c ---- */

enum table_rule { TABLE_NONE, TABLE_AT_LEAST, TABLE_AT_MOST };
struct table_row {
	const char *name;
	char *floor, *ours; /* freed by table_add; floor may be NULL */
	const char *unit;   /* of value; "" for a ratio */
	double value, target;
	enum table_rule rule;
	bool possible; /* no result of ours: could the target be met? counted neither way */
};
void table_head(const struct bench *b);
void table_add(const struct bench *b, struct table_row row);
void table_foot(void);
/* table_pair - the usual row: rate of ours to rate of the floor, at least target */
void table_pair(const struct bench *b, const char *name, struct pair p, double target);
/* table_possible - the same where the least that can be done stands in the place of ours */
void table_possible(const struct bench *b, const char *name, struct pair p, double target);

/* ---- world.c: the processes ---- */

/* world_mount - start the daemon with state and cache below dir/NAME; cache: elsewhere, or NULL */
void world_mount(struct bench *b, const char *name, const char *cache);
void world_unmount(struct bench *b);
double world_rss(struct bench *b); /* MiB, also kept in b */
uint64_t world_rss_bytes(struct bench *b);
/* world_settle - returns when the daemon has nothing to do: what it does behind an answer belongs
 * to no later measurement */
void world_settle(struct bench *b);
/* world_helper - a file system of build/bench: its name, the mountpoint (for run.sh's sake dir/NAME/mnt),
 * its other arguments */
pid_t world_helper(struct bench *b, const char *const argv[]);
void world_helper_end(const char *mnt, pid_t pid);
void world_provider(struct bench *b);
void world_provider_end(struct bench *b);

/* ---- rows ---- */

void row_hits(struct bench *b);	   /* 1, 2, 3 */
void row_misses(struct bench *b);  /* 4 */
void row_store(struct bench *b);   /* a part of 4 */
void row_waiters(struct bench *b); /* 5 */
void row_tree(struct bench *b);	   /* 6 */
void row_memory(struct bench *b);  /* 7 */
void row_samples(struct bench *b); /* 8 */
void row_lines(struct bench *b);   /* 9 */
void row_merge(struct bench *b);   /* 0 */

#endif
