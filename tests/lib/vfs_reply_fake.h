/*
 * vfs_reply_fake.h - requests of the kernel, answered into memory
 *
 *   1. vfs_reply_fake_new    one request; its q is handed to an operation of a room
 *   2. vfs_reply_fake_wait   until it is answered (at most ten seconds), from whatever thread
 *   3. vfs_reply_fake_free   fails the test when it was answered twice, or never
 */
#ifndef TESTS_VFS_REPLY_FAKE_H
#define TESTS_VFS_REPLY_FAKE_H

#include "base/buf.h"
#include "base/lock.h"
#include "vfs/reply.h"

struct vfs_reply_fake {
	struct vfs_req q;
	struct lock lock;
	struct cond cond;
	unsigned answers;
	int code; /* of err; 0 also for every other kind of answer */
	struct vfs_entry entry;
	struct vfs_open open;
	struct stat attr;
	struct statvfs statfs;
	struct buf data; /* data, link; readdir: names, each with a newline */
	size_t size;	 /* written, size */
	int unwanted;	 /* entry, open and create return this */
	void (*cb)(void *arg);
	void *cb_arg;
	bool interrupted; /* before the callback was set */
};

struct vfs_reply_fake *vfs_reply_fake_new(void);
void vfs_reply_fake_free(struct vfs_reply_fake *f);
/* vfs_reply_fake_wait - its code, or -1 when no answer came */
int vfs_reply_fake_wait(struct vfs_reply_fake *f);
/* vfs_reply_fake_answered - without waiting */
bool vfs_reply_fake_answered(struct vfs_reply_fake *f);
/* vfs_reply_fake_interrupt - as the kernel does: the callback runs once, now or when it is set */
void vfs_reply_fake_interrupt(struct vfs_reply_fake *f);

#endif
