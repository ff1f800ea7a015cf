/*
 * tests/bench/lib/misses.h - row 4: the ways by which one request gets to the server and back
 */
#ifndef BENCH_LIB_MISSES_H
#define BENCH_LIB_MISSES_H

#include "bench/lib/bench.h"
#include "bench/lib/web.h"

enum misses_way {
	MISSES_CURL,  /* plain libcurl, no mount */
	MISSES_RELAY, /* relay, see there */
	MISSES_LOG,   /*   that appends each answer to one file */
	MISSES_STORE, /*   that stores as inferfs does */
	MISSES_ASK,
	MISSES_FILES,
	MISSES_WAYS
};

struct misses {
	struct bench *b;
	struct web *web;
	char *mnt[MISSES_WAYS], *ask[MISSES_WAYS];
	pid_t pid[MISSES_WAYS];
};

/* misses_start - the daemon is mounted and the server runs: learn the daemon's own body, mount the relays */
void misses_start(struct misses *m, struct bench *b);
void misses_end(struct misses *m);
/* misses_one - to the end, compared; requests have a number of their own each */
void misses_one(struct misses *m, enum misses_way way, size_t number);
/* misses_after - what belongs to a request and not to its time */
void misses_after(struct misses *m, enum misses_way way, size_t number);

#endif
