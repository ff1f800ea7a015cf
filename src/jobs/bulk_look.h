/*
 * jobs/bulk_look.h - is any line of a written file usable?
 *
 * Private to jobs/. Threads: any. Blocks: on the disk.
 */
#ifndef JOBS_BULK_LOOK_H
#define JOBS_BULK_LOOK_H

#include "jobs/bulk_ask.h"

/* bulk_look - 0 one is; 1 there is no line, or the last one only ends too early and a writer is left
 * (final: none is); -errno with the first line's reason */
int bulk_look(const struct bulk_ask *q, int fd, bool final, struct err *e);

#endif
