/*
 * fuse/ops.h - the low-level operations of libfuse, each handed to the room of its node
 *
 * Threads: the serving one. Blocks: never.
 */
#ifndef FUSE_OPS_H
#define FUSE_OPS_H

#include <stdatomic.h>

struct fuse_lowlevel_ops;
struct vfs;

/* what libfuse's userdata points to */
struct ops_context {
	struct vfs *vfs;
	void (*ready)(void *arg); /* the kernel's INIT was answered */
	void *arg;
	atomic_uint unanswered; /* requests: libfuse's session must outlive them */
};

/* ops_table - every operation; userdata is a struct ops_context */
extern const struct fuse_lowlevel_ops ops_table;

#endif
