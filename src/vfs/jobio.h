/*
 * vfs/jobio.h - an open file of a job of many lines: reads that park while it grows, and poll
 *
 *   1. jobio_open    of `progress` and `stream` at any time, of the others when the job is final
 *   2. jobio_read    answers, or parks; jobio_poll the same for poll(2)
 *   3. jobio_close   the file was closed: no read is parked any more
 *
 * Private to vfs/. Threads: open and close the FUSE thread, the rest any. Blocks: never but for page cache.
 */
#ifndef VFS_JOBIO_H
#define VFS_JOBIO_H

#include "jobs/broker_bulk.h"
#include "vfs/inside.h"

struct jobio;

/* jobio_open - 0, or as broker_bulk_open */
int jobio_open(struct vfs *v, int64_t job, enum broker_bulk_file f, struct jobio **out);
/* jobio_close - takes NULL, returns NULL */
struct jobio *jobio_close(struct jobio *j);
/* jobio_size - bytes there now */
uint64_t jobio_size(struct jobio *j);
/* jobio_read - the answer, now or when there is one; nonblock: EAGAIN instead of waiting */
void jobio_read(struct jobio *j, const struct vfs_req *q, const struct vfs_io *io, bool nonblock);
/* jobio_poll - answer, and remember poll_handle (may be NULL) for when more comes */
void jobio_poll(struct jobio *j, const struct vfs_req *q, void *poll_handle);

#endif
