/*
 * main/daemon.h - the process: limits, going to the background, signals
 *
 *   1. daemon_limits   no core dump of keys, descriptors, memory arenas, umask
 *   2. daemon_fork     the parent waits; it exits when the child is ready, or has said why not
 *   3. daemon_ready    the mount answers: the parent exits 0
 *      daemon_fail     the parent prints the sentence and exits 1
 *   4. daemon_wait     signals, and the end of the mount, one at a time
 *   5. daemon_hurry    the end is near: what hangs is cut off after 1.9 s, or at a second signal
 *   6. daemon_done     it came in time
 *
 * Threads: main's only, but daemon_wake: any. Blocks: daemon_wait.
 */
#ifndef MAIN_DAEMON_H
#define MAIN_DAEMON_H

#include <stdbool.h>

#include "base/err.h"
#include "base/lock.h"

struct daemon {
	int pipe;		/* to the waiting parent; -1: none */
	int signals;		/* signalfd */
	int wake, stop;		/* eventfds: the mount ended; the watchdog is not needed any more */
	const char *mountpoint; /* for daemon_hurry */
	struct thread watchdog;
};

#define DAEMON_INIT ((struct daemon){ .pipe = -1, .signals = -1, .wake = -1, .stop = -1 })

enum daemon_event { DAEMON_END, DAEMON_RELOAD, DAEMON_UNMOUNTED };

/* daemon_limits - keep_core: -d, somebody wants to debug */
void daemon_limits(bool keep_core);
/* daemon_close_inherited - descriptors of whoever started it; a mount point "/dev/fd/N" keeps N */
void daemon_close_inherited(const char *mountpoint);
/* daemon_fork - returns in the child only (or, foreground, in the same process); signals are blocked */
int daemon_fork(struct daemon *d, bool foreground, struct err *e);
/* daemon_ready - -EPIPE: nobody waits any more */
int daemon_ready(struct daemon *d);
/* daemon_fail - the sentence goes to the parent's standard error, or to ours */
void daemon_fail(struct daemon *d, const struct err *e);
enum daemon_event daemon_wait(struct daemon *d);
/* daemon_wake - the mount ended; any thread */
void daemon_wake(void *daemon);
/* daemon_hurry - starts the watchdog */
void daemon_hurry(struct daemon *d);
/* daemon_done - everything ended in time: the watchdog too, descriptors closed */
void daemon_done(struct daemon *d);

#endif
