/*
 * fuse/notify.h - everything that is said to the kernel unasked, from one thread of its own
 *
 * A notification may make the kernel wait for a lock that an operation in flight holds; so it is never
 * sent from the serving thread or with a lock held.
 *
 *   1. notify_start   2. notify_table   3. notify_stop: what is queued is dropped, done() still called
 *
 * Threads: any. Blocks: never, but notify_stop.
 */
#ifndef FUSE_NOTIFY_H
#define FUSE_NOTIFY_H

#include "vfs/vfs.h"

struct fuse_session;
struct notify;

/* notify_start - NULL: no memory or no thread */
struct notify *notify_start(struct fuse_session *se);
/* notify_table - what vfs_set_notify takes */
void notify_table(struct notify *n, struct vfs_notify *out);
struct notify *notify_stop(struct notify *n);

#endif
