/*
 * fuse/mount.h - the mount as main/ sees it
 *
 *   1. mount_clean   a dead mount of ours is detached
 *   2. mount_open    mounted, not serving
 *   3. mount_start   one thread serves, one talks back to the kernel; returns when the kernel has
 *                    answered the first exchange
 *   4. mount_close   unmount, stop the threads, free
 *
 * Threads: main's only. Blocks: start and close, shortly.
 */
#ifndef FUSE_MOUNT_H
#define FUSE_MOUNT_H

#include <stdbool.h>

#include "base/err.h"
#include "vfs/vfs.h"

struct fuse_mount;

struct fuse_mount_options {
	const char *source, *mountpoint;
	const char *const *fuse_opts; /* words for -o, NULL-terminated */
	bool debug;
	struct vfs *vfs;
};

/* mount_clean - stat says ENOTCONN and the file system is ours: lazy unmount; 0 when nothing was to do */
int mount_clean(const char *mountpoint, struct err *e);
int mount_open(const struct fuse_mount_options *o, struct fuse_mount **out, struct err *e);
int mount_start(struct fuse_mount *m, struct err *e);
/* mount_on_end - fn is called once, on the serving thread, when it was unmounted from outside */
void mount_on_end(struct fuse_mount *m, void (*fn)(void *arg), void *arg);
/* mount_close - m may be NULL; returns NULL */
struct fuse_mount *mount_close(struct fuse_mount *m);

#endif
