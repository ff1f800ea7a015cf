/* answer.c - see answer.h */
#include <errno.h>
#include <stdlib.h>

#include "fuse/answer.h"
#include "fuse/ops.h"

#include "base/banned.h"

struct answer_op {
	fuse_req_t req;
	struct ops_context *context;
	bool plus;
	void (*interrupted)(void *arg);
	void *arg;
};

/* The reply is written; before that the session is in use. */
static int answered(struct answer_op *op, int result)
{
	atomic_fetch_sub(&op->context->unanswered, 1);
	free(op);
	return result;
}

static void to_param(const struct vfs_entry *e, struct fuse_entry_param *p)
{
	*p = (struct fuse_entry_param){ .ino = e->nodeid,
					.generation = e->generation,
					.attr = e->st,
					.attr_timeout = e->attr_ttl_s,
					.entry_timeout = e->entry_ttl_s };
}

static void to_info(const struct vfs_open *o, struct fuse_file_info *fi)
{
	*fi = (struct fuse_file_info){ .fh = o->fh };
	fi->direct_io = o->direct_io;
	fi->keep_cache = o->keep_cache;
	fi->noflush = o->noflush;
	fi->cache_readdir = o->cache_readdir;
}

/* The results of replies are those of write(2) to the kernel: ENOENT means that the caller was
 * interrupted and forgot the request; anything else means that the connection is gone. */
static void on_err(void *impl, int code)
{
	struct answer_op *op = impl;

	(void)answered(op, fuse_reply_err(op->req, code));
}

static int on_entry(void *impl, const struct vfs_entry *e)
{
	struct answer_op *op = impl;
	struct fuse_entry_param p;

	to_param(e, &p);
	return answered(op, fuse_reply_entry(op->req, &p));
}

static int on_open(void *impl, const struct vfs_open *o)
{
	struct answer_op *op = impl;
	struct fuse_file_info fi;

	to_info(o, &fi);
	return answered(op, fuse_reply_open(op->req, &fi));
}

static int on_create(void *impl, const struct vfs_entry *e, const struct vfs_open *o)
{
	struct answer_op *op = impl;
	struct fuse_entry_param p;
	struct fuse_file_info fi;

	to_param(e, &p);
	to_info(o, &fi);
	return answered(op, fuse_reply_create(op->req, &p, &fi));
}

static void on_attr(void *impl, const struct stat *st, double ttl_s)
{
	struct answer_op *op = impl;

	(void)answered(op, fuse_reply_attr(op->req, st, ttl_s));
}

static void on_data(void *impl, const void *p, size_t n)
{
	struct answer_op *op = impl;

	(void)answered(op, fuse_reply_buf(op->req, p, n));
}

static void on_written(void *impl, size_t n)
{
	struct answer_op *op = impl;

	(void)answered(op, fuse_reply_write(op->req, n));
}

static void on_size(void *impl, size_t n)
{
	struct answer_op *op = impl;

	(void)answered(op, fuse_reply_xattr(op->req, n));
}

static void on_link(void *impl, const char *target)
{
	struct answer_op *op = impl;

	(void)answered(op, fuse_reply_readlink(op->req, target));
}

static void on_statfs(void *impl, const struct statvfs *st)
{
	struct answer_op *op = impl;

	(void)answered(op, fuse_reply_statfs(op->req, st));
}

static void on_poll(void *impl, unsigned revents)
{
	struct answer_op *op = impl;

	(void)answered(op, fuse_reply_poll(op->req, revents));
}

static void interrupted(fuse_req_t req, void *data)
{
	struct answer_op *op = data;

	(void)req;
	op->interrupted(op->arg);
}

static void on_interruptible(void *impl, void (*cb)(void *arg), void *arg)
{
	struct answer_op *op = impl;

	if (cb) {
		op->interrupted = cb;
		op->arg = arg;
	}
	fuse_req_interrupt_func(op->req, cb ? interrupted : NULL, op);
}

static size_t on_dirent(void *impl, char *buf, size_t room, const char *name,
			const struct vfs_entry *e, uint64_t next_off)
{
	struct answer_op *op = impl;
	struct fuse_entry_param p;

	if (!op->plus)
		return fuse_add_direntry(op->req, buf, room, name, &e->st, (off_t)next_off);
	to_param(e, &p);
	return fuse_add_direntry_plus(op->req, buf, room, name, &p, (off_t)next_off);
}

static const struct vfs_reply_ops table = {
	on_err,	 on_entry, on_open,   on_create, on_attr,	   on_data,   on_written,
	on_size, on_link,  on_statfs, on_poll,	 on_interruptible, on_dirent,
};

bool answer_begin(fuse_req_t req, bool plus, struct vfs_req *out)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct ops_context *context = fuse_req_userdata(req);
	struct answer_op *op = malloc(sizeof(*op));

	if (!op) {
		(void)fuse_reply_err(req, ENOMEM);
		return false;
	}
	atomic_fetch_add(&context->unanswered, 1);
	*op = (struct answer_op){ .req = req, .context = context, .plus = plus };
	*out = (struct vfs_req){ &table, op, ctx->uid, ctx->gid, ctx->pid };
	return true;
}
