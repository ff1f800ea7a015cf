/*
 * vfs/vfs.h - the tree of the mount, without FUSE
 *
 *   1. vfs_new     opens the prompts directory; nothing is served yet
 *   2. vfs_ops     the room of a node id; fuse/ calls its operations
 *   3. vfs_stop    every parked request is answered with ESHUTDOWN
 *   4. vfs_close   what was still open when the mount went
 *   5. vfs_free    after the broker has stopped: its last callbacks come here
 *
 * Threads: operations on the FUSE thread; wakes from any. Blocks: never but on the backing directory.
 */
#ifndef VFS_VFS_H
#define VFS_VFS_H

#include <stdint.h>

#include "base/err.h"
#include "jobs/broker.h"
#include "vfs/room.h"

/* calls back into the kernel; fuse/ runs them on its own notify thread. NULL members in tests */
struct vfs_notify {
	/* inval_entry - forget a name; done(arg) afterwards (also when the kernel did not know it) */
	void (*inval_entry)(void *impl, uint64_t parent, const char *name, void (*done)(void *arg),
			    void *arg);
	/* inval_inode - forget attributes and data of a node */
	void (*inval_inode)(void *impl, uint64_t nodeid);
	/* poll - wake the pollers of a handle and destroy it; poll_drop only destroys */
	void (*poll)(void *impl, void *poll_handle);
	void (*poll_drop)(void *impl, void *poll_handle);
	void *impl;
};

struct vfs_options {
	struct broker *broker;
	int prompts_fd;	   /* open directory; vfs closes it */
	int namespaces_fd; /* as prompts_fd; below it NAME/prompts */
	uint64_t max_request_bytes;
	const char *const *suffixes; /* ".json" ..., NULL-terminated */
	bool wait;		     /* mount option: synchronous mode for .json */
	uid_t uid;		     /* owner of the virtual files */
	gid_t gid;
	const char *readme; /* text of README.md, borrowed */
};

/* vfs_new - o is copied; its prompts_fd is taken; 0 or -errno with a sentence */
int vfs_new(const struct vfs_options *o, struct vfs **out, struct err *e);
/* vfs_set_notify - before the first operation */
void vfs_set_notify(struct vfs *v, const struct vfs_notify *n);
/* vfs_ops - never NULL; unknown rooms get one whose operations are all NULL */
const struct vfs_room_ops *vfs_ops(uint64_t nodeid);
void vfs_stop(struct vfs *v);
/* vfs_close - the mount is gone: close what was left open; before the broker stops */
void vfs_close(struct vfs *v);
struct vfs *vfs_free(struct vfs *v);

/* vfs_file_sha - for broker_recover: SHA-256 of a prompt's file */
int vfs_file_sha(void *vfs, const struct broker_name *name, struct key *out);
/* vfs_file_read / vfs_file_open - for broker_set_files; they block on the disk. An image is opened beneath
 * its root and nowhere else: -EXDEV for a path or link that leads out, -ELOOP for a magic link */
int vfs_file_read(void *vfs, const struct broker_name *name, struct buf *out);
int vfs_file_open(void *vfs, const char *root, const char *path);
/* vfs_file_make_ns - a request named it: its directories are there afterwards; -EINVAL no such name can be */
int vfs_file_make_ns(void *vfs, const char *ns);

#endif
