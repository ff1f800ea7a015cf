/*
 * vfs/prompts_ops.h - the operations of the prompts/ room, gathered in prompts.c's table
 *
 * Each is what room.h says of the member of that name, and answers exactly once, most of them at once.
 * Threads: the FUSE thread. Blocks: on the backing directory's metadata and page cache.
 */
#ifndef VFS_PROMPTS_OPS_H
#define VFS_PROMPTS_OPS_H

#include "vfs/inside.h"

/* names */
void prompts_make_create(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			 mode_t mode, int flags);
void prompts_make_mknod(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			mode_t mode);
void prompts_make_mkdir(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			mode_t mode);
void prompts_make_symlink(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			  const char *target);
void prompts_make_unlink(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name);
void prompts_make_rmdir(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name);
void prompts_rename(struct vfs *v, const struct vfs_req *q, const struct vfs_rename *r);

/* open files */
void prompts_file_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags);
void prompts_file_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_file *f, const struct vfs_io *io);
void prompts_file_write(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_file *f, const struct vfs_io *io);
void prompts_file_flush(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_file *f);
void prompts_file_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			  const struct vfs_file *f);
void prompts_file_fsync(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_file *f, bool data_only);
void prompts_file_fallocate(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			    const struct vfs_file *f, int mode, const struct vfs_io *io);

/* directories */
void prompts_dir_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid);
void prompts_dir_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f, const struct vfs_io *io, bool plus);
void prompts_dir_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			 const struct vfs_file *f);
void prompts_dir_fsync(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_file *f);

/* attributes */
void prompts_attr_get(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f);
void prompts_attr_set(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_setattr *s);
void prompts_xattr_set(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_xattr *x);
void prompts_xattr_get(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_xattr *x);
void prompts_xattr_list(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, size_t size);
void prompts_xattr_remove(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			  const char *name);

#endif
