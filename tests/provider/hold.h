/*
 * Connections that wait: for a time, a barrier, another request, or for ever.
 *
 * A waiting connection is suspended in the HTTP library, which then does not look at its
 * socket; the loop here does, and wakes a connection when its time has come or when its peer
 * has gone. The whole program is this one loop on one thread: nothing needs a lock.
 */
#ifndef PROVIDER_HOLD_H
#define PROVIDER_HOLD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of a call. All fields belong to hold.c, but `gone` may be read. */
struct hold {
	struct MHD_Connection *conn;
	const void *tag; /* what it waits for; compared by address only */
	uint64_t due;	 /* CLOCK_MONOTONIC ns, 0 = no time limit */
	size_t slot;	 /* place in the timer heap */
	int fd;
	bool held;
	bool gone; /* the peer closed while the connection was held */
};

/* Blocks SIGTERM and SIGINT, which end the loop. Negative errno on failure. */
int hold_init(void);
/* Serves until a signal comes. */
int hold_loop(struct MHD_Daemon *d);
uint64_t hold_now(void);
/* Suspends. The caller returns to the library at once and tests its condition when called again. */
void hold_put(struct hold *h, struct MHD_Connection *conn, const void *tag, uint64_t due);
/* Wakes whoever waits with this tag; NULL wakes all. They may find nothing changed. */
void hold_wake(const void *tag);
/* Forgets a finished call. */
void hold_drop(struct hold *h);

#endif
