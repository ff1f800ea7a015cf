/*
 * tests/bench/lib/hits.h - rows 1 to 3: one and the same tree on every side
 */
#ifndef BENCH_LIB_HITS_H
#define BENCH_LIB_HITS_H

#include "bench/lib/bench.h"

enum hits_side {
	HITS_EXT4,
	HITS_OURS,
	HITS_LEAST,  /* leastfs, see there: the fewest messages */
	HITS_ALIKE,  /*   as many as the kernel sends to inferfs */
	HITS_NOOPEN, /*   no open(2) */
	HITS_HASH,   /*   `ask` parses and hashes */
	HITS_WORK,   /*   and reads and parses a file */
	HITS_SIDES
};

struct hits;
struct hits_at { /* what an operation gets */
	struct hits *h;
	char **prompt, **text;
	char *mnt, *ask;
	bool made_up; /* answers are all alike: 'x' */
	pid_t pid;
	int stat_fd;
};

struct hits {
	struct bench *b;
	char kind; /* the directory below prompts/ and responses/ */
	size_t n;
	char **doc, **answer; /* of one length each */
	size_t doc_len, answer_len;
	char *same; /* the made up answer */
	struct hits_at at[HITS_SIDES];
};

/* hits_make - the keys, and the floor's and the mount's directories */
void hits_make(struct hits *h, struct bench *b, char kind);
void hits_free(struct hits *h);
/* hits_start - mount a leastfs for this side */
void hits_start(struct hits *h, enum hits_side side);
void hits_end(struct hits *h, enum hits_side side);

/* Operations, of type pair_fn: their argument is a side's hits_at. */
void hits_prompt(void *arg, size_t i); /* create, write, close */
void hits_read(void *arg, size_t i);   /* open, read, close of text */
void hits_trip(void *arg, size_t i);   /* both, and unlink */
void hits_ask(void *arg, size_t i);
void hits_stat(void *arg, size_t i); /* fstat(2) of an open file */

#endif
