/*
 * vfs/streamio.h - reading a growing text through an open file: parked reads and poll
 *
 * Shared by `stream` and `ask`. One struct per open file.
 * Threads: any. Blocks: never.
 */
#ifndef VFS_STREAMIO_H
#define VFS_STREAMIO_H

#include "base/lock.h"
#include "core/stream.h"
#include "vfs/inside.h"

struct streamio {
	struct vfs *v;
	struct lock lock; /* of the members below; LOCK_HANDLE */
	struct stream_reader reader;
	uint64_t read_to; /* what poll compares with */
	int told;	  /* the failure that a read was answered with; 0: none */
	struct streamio_poll *poller;
};

/* streamio_init - in place, in the struct of an open file */
void streamio_init(struct streamio *s, struct vfs *v);
/* streamio_done - the file was closed: no read is parked any more; drops the poll handle */
void streamio_done(struct streamio *s);
/* streamio_read - answer from off, or park; nonblock: EAGAIN instead; stream is referenced meanwhile */
void streamio_read(struct streamio *s, struct stream *stream, const struct vfs_req *q,
		   const struct vfs_io *io, bool nonblock);
/* streamio_told - the failure that a read was answered with; 0: none */
int streamio_told(struct streamio *s);
/* streamio_poll - answer, and remember poll_handle (may be NULL) for when more comes */
void streamio_poll(struct streamio *s, struct stream *stream, const struct vfs_req *q,
		   void *poll_handle);

#endif
