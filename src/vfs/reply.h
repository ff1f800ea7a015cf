/*
 * vfs/reply.h - one request of the kernel and the ways to answer it, without FUSE
 *
 * fuse/ implements the table over fuse_req_t, tests implement it over memory. Every path through an
 * operation ends in exactly one answer, at once or later (parked), on any thread, with no lock held.
 * A vfs_req is a small value: whoever parks a request copies it.
 */
#ifndef VFS_REPLY_H
#define VFS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

struct vfs_entry {
	uint64_t nodeid, generation;
	struct stat st;
	double entry_ttl_s, attr_ttl_s;
};

struct vfs_open {
	uint64_t fh;
	bool direct_io, keep_cache, noflush, cache_readdir;
};

struct vfs_reply_ops {
	void (*err)(void *impl, int code); /* positive errno; 0: success without data */
	/* entry, open, create: nonzero when the kernel no longer wants it (the opener was interrupted): no
	 * forget or release will come, undo it */
	int (*entry)(void *impl, const struct vfs_entry *e);
	int (*open)(void *impl, const struct vfs_open *o);
	int (*create)(void *impl, const struct vfs_entry *e, const struct vfs_open *o);
	void (*attr)(void *impl, const struct stat *st, double ttl_s);
	void (*data)(void *impl, const void *p, size_t n); /* read, readdir, getxattr, listxattr */
	void (*written)(void *impl, size_t n);
	void (*size)(void *impl, size_t n); /* getxattr, listxattr asked with size 0 */
	void (*link)(void *impl, const char *target);
	void (*statfs)(void *impl, const struct statvfs *st);
	void (*poll)(void *impl, unsigned revents);
	/* interruptible - cb(arg) is called when the caller was interrupted, once, possibly before this
	 * returns; with cb NULL: no more, and a running cb has returned */
	void (*interruptible)(void *impl, void (*cb)(void *arg), void *arg);
	/* dirent - one entry into a readdir buffer; returns the bytes it needs (> room: it was not added).
	 * e has nodeid 0 when the reader did not want attributes */
	size_t (*dirent)(void *impl, char *buf, size_t room, const char *name,
			 const struct vfs_entry *e, uint64_t next_off);
};

struct vfs_req {
	const struct vfs_reply_ops *ops;
	void *impl;
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

#define vfs_reply_err(r, code) ((r)->ops->err((r)->impl, (code)))

#endif
