/*
 * vfs/room.h - a part of the tree with its own operations, chosen by the node id's top four bits
 *
 *   room  bits 63..60   rest
 *   0     static        1 root, then the rows of tree.c
 *   1     prompts       index of a node (prompts.c)
 *   2     mirror        index of a prompts directory node: responses/... as directories
 *   3     response      row id 40 bits, file kind 5, sample 10, gen 4, pending 1 (responses.c)
 *   4     draft         index of a prompts file node 32 bits, file kind from bit 32
 *   5     cache         entry index 32 bits, kind 4, sample index 24 (cachedir.c)
 *   6     models        0 the top; backend number from 1, 32 bits, and a node of its list (models.c)
 *   7     namespaces    index of a prompts node 32 bits, file kind from bit 32 (namespaces.c)
 *
 * A NULL operation is answered by the dispatcher: EROFS for those that change, ENOSYS or the neutral
 * answer for the rest. Operations are called on the FUSE thread, may park, must not block on anything
 * but the backing directory's metadata and page cache.
 */
#ifndef VFS_ROOM_H
#define VFS_ROOM_H

#include "base/buf.h"
#include "vfs/reply.h"

enum vfs_room_id {
	VFS_STATIC,
	VFS_PROMPTS,
	VFS_MIRROR,
	VFS_RESPONSE,
	VFS_DRAFT,
	VFS_CACHE,
	VFS_MODELS,
	VFS_NAMESPACES,
	VFS_ROOMS
};

#define VFS_ROOM_SHIFT	     60
#define VFS_NODE(room, rest) (((uint64_t)(room) << VFS_ROOM_SHIFT) | (uint64_t)(rest))
#define VFS_ROOM_OF(nodeid)  ((enum vfs_room_id)((nodeid) >> VFS_ROOM_SHIFT))
#define VFS_REST(nodeid)     ((nodeid) & ((1ULL << VFS_ROOM_SHIFT) - 1))
#define VFS_TTL_FOREVER	     86400.0

struct vfs;

/* what an operation on an open file gets */
struct vfs_file {
	uint64_t fh;
	int flags; /* of open(2), as fi->flags */
};

struct vfs_io {
	uint64_t off;
	size_t size;
	const char *data; /* write, setxattr */
};

struct vfs_rename {
	uint64_t parent, to_parent;
	const char *name, *to_name;
	unsigned flags; /* RENAME_NOREPLACE, RENAME_EXCHANGE */
};

struct vfs_setattr {
	struct stat st;
	unsigned to_set; /* enum vfs_set */
	bool has_fh;
	uint64_t fh;
};
enum vfs_set {
	VFS_SET_MODE = 1 << 0,
	VFS_SET_UID = 1 << 1,
	VFS_SET_GID = 1 << 2,
	VFS_SET_SIZE = 1 << 3,
	VFS_SET_ATIME = 1 << 4,
	VFS_SET_MTIME = 1 << 5,
	VFS_SET_ATIME_NOW = 1 << 7,
	VFS_SET_MTIME_NOW = 1 << 8
}; /* the values of FUSE_SET_ATTR_*; pinned in fuse/ops.c */

struct vfs_xattr {
	const char *name;
	const char *value;
	size_t size;
	int flags;
};

/* q is lent for the duration of the call: copy it to park */
struct vfs_room_ops {
	struct { /* names: what is where */
		void (*lookup)(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			       const char *name);
		void (*forget)(struct vfs *v, uint64_t nodeid, uint64_t n);
		void (*readlink)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid);
		void (*mknod)(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			      const char *name, mode_t mode);
		void (*mkdir)(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			      const char *name, mode_t mode);
		void (*unlink)(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			       const char *name);
		void (*rmdir)(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			      const char *name);
		void (*symlink)(struct vfs *v, const struct vfs_req *q, uint64_t parent,
				const char *name, const char *target);
		void (*rename)(struct vfs *v, const struct vfs_req *q, const struct vfs_rename *r);
		void (*link)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			     uint64_t to_parent, const char *to_name);
	};
	struct { /* attributes */
		void (*getattr)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				const struct vfs_file *f);
		void (*setattr)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				const struct vfs_setattr *s);
		void (*statfs)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid);
		void (*setxattr)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				 const struct vfs_xattr *x);
		void (*getxattr)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				 const struct vfs_xattr *x);
		void (*listxattr)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				  size_t size);
		void (*removexattr)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				    const char *name);
	};
	struct { /* open files */
		void (*create)(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			       const char *name, mode_t mode, int flags);
		void (*open)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags);
		void (*read)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			     const struct vfs_file *f, const struct vfs_io *io);
		void (*write)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			      const struct vfs_file *f, const struct vfs_io *io);
		void (*flush)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			      const struct vfs_file *f);
		void (*release)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				const struct vfs_file *f);
		void (*fsync)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			      const struct vfs_file *f, bool data_only);
		void (*fallocate)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				  const struct vfs_file *f, int mode, const struct vfs_io *io);
		void (*poll)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			     const struct vfs_file *f, void *poll_handle);
	};
	struct { /* open directories */
		void (*opendir)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid);
		void (*readdir)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				const struct vfs_file *f, const struct vfs_io *io, bool plus);
		void (*releasedir)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				   const struct vfs_file *f);
		void (*fsyncdir)(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
				 const struct vfs_file *f);
	};
};

extern const struct vfs_room_ops tree_ops, prompts_ops, mirror_ops, responses_ops, drafts_ops,
	cachedir_ops, models_ops, namespaces_ops;

#endif
