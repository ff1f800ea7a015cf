/* run.h - one case on one side
 *
 * Made for main.c only: it owns the two base directories and the two logs.
 * Life: run_case() clears the log, makes the case's directory, forks, waits, looks at what is left.
 */
#ifndef TESTS_POSIX_RUN_H
#define TESTS_POSIX_RUN_H

#include "px.h"

/* run_case - run c in a new directory called name below base
 *
 *   t   shared memory; afterwards its log is the whole observation
 *
 * Blocks: until the case's process has ended; an alarm ends it after 30 seconds
 */
void run_case(struct px *t, const struct px_case *c, int base, const char *name);

#endif
