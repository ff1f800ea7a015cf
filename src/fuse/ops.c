/* ops.c - each operation of the kernel goes to the room of its node */
#include <errno.h>
#include <stdlib.h>

#include "fuse/answer.h"
#include "fuse/ops.h"
#include "vfs/vfs.h"

#include "base/banned.h"

#define MAX_BACKGROUND 20000 /* readers that wait asynchronously must not block each other */

_Static_assert(VFS_SET_MODE == FUSE_SET_ATTR_MODE && VFS_SET_SIZE == FUSE_SET_ATTR_SIZE &&
		       VFS_SET_MTIME_NOW == FUSE_SET_ATTR_MTIME_NOW &&
		       VFS_SET_ATIME_NOW == FUSE_SET_ATTR_ATIME_NOW,
	       "the kernel's numbers");

static struct vfs *vfs_of(fuse_req_t req)
{
	return ((struct ops_context *)fuse_req_userdata(req))->vfs;
}

static struct vfs_file file_of(const struct fuse_file_info *fi)
{
	return fi ? (struct vfs_file){ fi->fh, fi->flags } : (struct vfs_file){ 0 };
}

/* hands the request to an operation of the node's room, or answers what a missing one means. Some
 * answers are remembered by the kernel for the whole mount (ENOSYS), so they are never given. */
#define ROUTE(req, node, op, missing, ...)                                \
	do {                                                              \
		struct vfs_req q_;                                        \
		if (!answer_begin((req), false, &q_))                     \
			return;                                           \
		if (vfs_ops(node)->op)                                    \
			vfs_ops(node)->op(vfs_of(req), &q_, __VA_ARGS__); \
		else                                                      \
			vfs_reply_err(&q_, missing);                      \
	} while (0)

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct ops_context *c = userdata;

	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
	conn->max_write = 1 << 20;
	/* attributes come with every listing; suid bits are cleared by the kernel, also at O_TRUNC */
	conn->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_HANDLE_KILLPRIV |
				  FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE);
	c->ready(c->arg);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	ROUTE(req, parent, lookup, ENOENT, parent, name);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	if (vfs_ops(ino)->forget)
		vfs_ops(ino)->forget(vfs_of(req), ino, n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		if (vfs_ops(f[i].ino)->forget)
			vfs_ops(f[i].ino)->forget(vfs_of(req), f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);

	ROUTE(req, ino, getattr, ENOENT, ino, fi ? &f : NULL);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct vfs_setattr s = {
		.st = *attr, .to_set = (unsigned)to_set, .has_fh = fi != NULL, .fh = fi ? fi->fh : 0
	};

	ROUTE(req, ino, setattr, EROFS, ino, &s);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	ROUTE(req, ino, readlink, EINVAL, ino);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)rdev;
	ROUTE(req, parent, mknod, EROFS, parent, name, mode);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	ROUTE(req, parent, mkdir, EROFS, parent, name, mode);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	ROUTE(req, parent, unlink, EROFS, parent, name);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	ROUTE(req, parent, rmdir, EROFS, parent, name);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	ROUTE(req, parent, symlink, EROFS, parent, name, target);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
		      const char *to_name, unsigned flags)
{
	struct vfs_rename r = { parent, to_parent, name, to_name, flags };

	if (VFS_ROOM_OF(parent) != VFS_ROOM_OF(to_parent))
		(void)fuse_reply_err(req, EXDEV); /* mv(1) then copies */
	else
		ROUTE(req, parent, rename, EROFS, &r);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t to_parent, const char *to_name)
{
	ROUTE(req, to_parent, link, EPERM, ino, to_parent, to_name);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	ROUTE(req, parent, create, EROFS, parent, name, mode, fi->flags);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	ROUTE(req, ino, open, ENOENT, ino, fi->flags);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);
	struct vfs_io io = { .off = (uint64_t)off, .size = size };

	ROUTE(req, ino, read, EIO, ino, &f, &io);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);
	struct vfs_io io = { .off = (uint64_t)off, .size = size, .data = data };

	ROUTE(req, ino, write, EROFS, ino, &f, &io);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);

	ROUTE(req, ino, flush, 0, ino, &f);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);

	ROUTE(req, ino, release, 0, ino, &f);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);

	ROUTE(req, ino, fsync, 0, ino, &f, data_only != 0);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);
	struct vfs_io io = { .off = (uint64_t)off, .size = (size_t)len };

	ROUTE(req, ino, fallocate, EOPNOTSUPP, ino, &f, mode, &io);
}

static void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *ph)
{
	struct vfs_file f = file_of(fi);

	if (vfs_ops(ino)->poll) {
		ROUTE(req, ino, poll, EIO, ino, &f, ph);
		return;
	}
	if (ph)
		fuse_pollhandle_destroy(ph);
	(void)fuse_reply_poll(req, 0x145u); /* always ready, as any regular file */
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (vfs_ops(ino)->opendir)
		ROUTE(req, ino, opendir, 0, ino);
	else
		(void)fuse_reply_open(req, fi);
}

static void readdir_both(fuse_req_t req, fuse_ino_t ino, const struct vfs_io *io,
			 const struct fuse_file_info *fi, bool plus)
{
	struct vfs_file f = file_of(fi);
	struct vfs_req q;

	if (!answer_begin(req, plus, &q))
		return;
	if (vfs_ops(ino)->readdir)
		vfs_ops(ino)->readdir(vfs_of(req), &q, ino, &f, io, plus);
	else
		vfs_reply_err(&q, ENOTDIR);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct vfs_io io = { .off = (uint64_t)off, .size = size };

	readdir_both(req, ino, &io, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	struct vfs_io io = { .off = (uint64_t)off, .size = size };

	readdir_both(req, ino, &io, fi, true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);

	ROUTE(req, ino, releasedir, 0, ino, &f);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	struct vfs_file f = file_of(fi);

	(void)data_only;
	ROUTE(req, ino, fsyncdir, 0, ino, &f);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	fuse_ino_t node = vfs_ops(ino)->statfs ? ino : FUSE_ROOT_ID;

	ROUTE(req, node, statfs, 0, node);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags)
{
	struct vfs_xattr x = { name, value, size, flags };

	ROUTE(req, ino, setxattr, EROFS, ino, &x);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct vfs_xattr x = { name, NULL, size, 0 };

	/* not ENODATA: ls asks every file for a label and two ACLs unless it hears that there are none */
	ROUTE(req, ino, getxattr, EOPNOTSUPP, ino, &x);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (vfs_ops(ino)->listxattr)
		ROUTE(req, ino, listxattr, 0, ino, size);
	else if (size)
		(void)fuse_reply_buf(req, NULL, 0);
	else
		(void)fuse_reply_xattr(req, 0);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	ROUTE(req, ino, removexattr, EROFS, ino, name);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.poll = op_poll,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
};
