/* prompts_make.c - names that come and go under prompts/ */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vfs/prompts_ops.h"

#include "base/banned.h"

#define SAFE (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* where something is being made */
struct place {
	struct prompts *p;
	const struct vfs_req *q;
	struct prompts_node *dir;
	const char *name;
	int dirfd;
};

static int find_place(struct place *at, struct vfs *v, const struct vfs_req *q, uint64_t parent,
		      const char *name)
{
	at->p = v->prompts;
	at->q = q;
	at->name = name;
	at->dir = prompts_node_get(at->p, VFS_REST(parent));
	at->dirfd = at->dir ? prompts_node_dirfd(at->p, at->dir) : -ESTALE;
	return at->dirfd < 0 ? at->dirfd : 0;
}

/* what was just made belongs to the caller. mode: its permissions (0: leave them); fd or -1 */
static int own(const struct place *at, int fd, mode_t mode, struct stat *st)
{
	int dirfd = fd >= 0 ? fd : at->dirfd, flags = fd >= 0 ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
	const char *name = fd >= 0 ? "" : at->name;
	bool chown_it, masked = mode & at->p->umask;
	struct stat dir;
	gid_t gid = at->q->gid;

	if (fstatat(dirfd, name, st, flags) < 0)
		return -errno;
	/* in a set-group-ID directory the group is the directory's */
	if (st->st_gid == gid ||
	    (!fstatat(at->dirfd, "", &dir, AT_EMPTY_PATH) && dir.st_mode & S_ISGID))
		gid = (gid_t)-1;
	chown_it = st->st_uid != at->q->uid || gid != (gid_t)-1;
	if (!chown_it && !masked)
		return 0;
	/* a group alone that cannot be given away is not worth a failure; another user's file is */
	if (chown_it && fchownat(dirfd, name, at->q->uid, gid, flags) < 0 &&
	    st->st_uid != at->q->uid)
		return -errno;
	/* chown takes these bits away, and the daemon's own umask may have others */
	if (!S_ISLNK(st->st_mode) && (masked || st->st_mode & (S_ISUID | S_ISGID))) {
		mode_t want = (st->st_mode & 07777) | (mode & 0777);
		int r = fd >= 0 ? fchmod(fd, want)
				: fchmodat(dirfd, name, want, AT_SYMLINK_NOFOLLOW);

		if (r < 0)
			return -errno;
	}
	return fstatat(dirfd, name, st, flags) < 0 ? -errno : 0;
}

static struct prompts_node *entry(const struct place *at, const struct stat *st,
				  struct vfs_entry *out)
{
	struct prompts_node *n = prompts_node_take(at->p, at->dir, at->name, st);

	if (n)
		prompts_node_entry(n, st, out);
	return n;
}

/* answer for a name that was made by a call that returned r; rm_flags remove it when the rest fails */
static void made(const struct place *at, int r, mode_t mode, int rm_flags)
{
	struct prompts_node *n;
	struct vfs_entry e;
	struct stat st;

	r = r < 0 ? -errno : own(at, -1, mode, &st);
	if (r == -EPERM || r == -EACCES)
		(void)unlinkat(at->dirfd, at->name, rm_flags); /* the failure is told already */
	n = r < 0 ? NULL : entry(at, &st, &e);
	if (!n)
		vfs_reply_err(at->q, r < 0 ? -r : ENOMEM);
	else if (at->q->ops->entry(at->q->impl, &e) != 0)
		prompts_node_unref(at->p, n, 1);
}

/* ---- open with O_CREAT ----------------------------------------------------------------------------- */

static int open_new(const struct place *at, mode_t mode, int flags, struct stat *st)
{
	/* both ways where it can be: a check reads what was written, and that is not the user's reading */
	int quiet = (flags & O_ACCMODE) == O_WRONLY ? O_NOATIME : flags & O_NOATIME, r;
	int fd =
		openat(at->dirfd, at->name, O_RDWR | O_CREAT | O_EXCL | SAFE | quiet, mode & 07777);

	if (fd >= 0) {
		r = own(at, fd, mode, st);
		if (r < 0) {
			(void)unlinkat(at->dirfd, at->name, 0);
			(void)close(fd); /* empty */
		}
		return r < 0 ? r : fd;
	}
	/* it came from behind the mount since the kernel looked */
	if (errno != EEXIST || flags & O_EXCL)
		return -errno;
	fd = openat(at->dirfd, at->name, O_RDWR | (flags & O_TRUNC) | SAFE);
	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		(void)close(fd); /* nothing was written */
		return -EEXIST;
	}
	return fd;
}

void prompts_make_create(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			 mode_t mode, int flags)
{
	struct place at;
	struct prompts_node *n = NULL;
	struct prompts_handle *h = NULL;
	struct vfs_open o = { 0 };
	struct vfs_entry e;
	struct stat st;
	int r = find_place(&at, v, q, parent, name);

	if (!r)
		r = prompts_name_conflict(at.p, at.dir, name, false, NULL);
	if (!r)
		r = open_new(&at, mode, flags, &st);
	if (r >= 0) {
		n = entry(&at, &st, &e);
		if (n)
			h = prompts_file_attach(at.p, n, r, flags);
		else
			(void)close(r); /* as in open_new */
		r = h ? 0 : -ENOMEM;
	}
	if (h) {
		o.fh = (uint64_t)(uintptr_t)h;
		if (q->ops->create(q->impl, &e, &o) == 0)
			return;
		(void)close(prompts_file_detach(at.p, h)); /* as in open_new */
	}
	if (n)
		prompts_node_unref(at.p, n, 1);
	if (r < 0)
		vfs_reply_err(q, -r);
}

void prompts_make_mknod(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			mode_t mode)
{
	struct place at;
	int r = find_place(&at, v, q, parent, name);

	if (mode & S_IFMT && !S_ISREG(mode))
		r = -EPERM;
	if (!r)
		r = prompts_name_conflict(at.p, at.dir, name, false, NULL);
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		made(&at, mknodat(at.dirfd, name, S_IFREG | (mode & 07777), 0), mode, 0);
}

void prompts_make_mkdir(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			mode_t mode)
{
	struct place at;
	int r = find_place(&at, v, q, parent, name);

	if (!r)
		r = prompts_name_conflict(at.p, at.dir, name, true, NULL);
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		made(&at, mkdirat(at.dirfd, name, mode & 07777), mode, AT_REMOVEDIR);
}

void prompts_make_symlink(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			  const char *target)
{
	struct place at;
	int r = find_place(&at, v, q, parent, name);

	if (r < 0)
		vfs_reply_err(q, -r);
	else
		made(&at, symlinkat(target, at.dirfd, name), 0, 0);
}

/* ---- removing -------------------------------------------------------------------------------------- */

/* the name is gone; who has it open, or stands in it, still reaches it */
static int removed(const struct place *at, struct prompts_node *n, int flags)
{
	int fd = -1;

	if (n && list_empty(&n->handles))
		fd = openat(at->dirfd, at->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (unlinkat(at->dirfd, at->name, flags) < 0) {
		int r = -errno;

		if (fd >= 0)
			(void)close(fd); /* O_PATH */
		return r;
	}
	if (n)
		prompts_node_gone(at->p, n, fd);
	return 0;
}

static char *stem_path(const struct place *at, size_t stem_len)
{
	AUTO_BUF struct buf b = BUF_INIT(PROMPTS_PATH_MAX);

	if (prompts_node_path(at->p, at->dir, &b) < 0 || (b.len && buf_addc(&b, '/') < 0) ||
	    buf_add(&b, at->name, stem_len) < 0)
		return NULL;
	return buf_steal(&b, NULL);
}

void prompts_make_unlink(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct prompts_op *op = NULL;
	struct prompts_node *n;
	const char *suffix = NULL;
	struct place at;
	int r = find_place(&at, v, q, parent, name);

	prompts_op_reap(v->prompts);
	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	n = prompts_node_find(at.p, at.dir->idx, name);
	if (n && S_ISREG(n->fmt))
		suffix = prompts_name_request(at.p, at.dir, name);
	if (suffix)
		op = prompts_op_new(at.p, true);
	if (op) {
		size_t len = strlen(name) - strlen(suffix);

		prompts_op_touch(op, n);
		prompts_op_forget(op, at.dir, name, len);
		prompts_op_drop(op, at.dir, stem_path(&at, len));
	}
	r = suffix && !op ? -ENOMEM : removed(&at, n, 0);
	if (op && !r) {
		prompts_op_run(op, q);
		return;
	}
	prompts_op_cancel(op);
	vfs_reply_err(q, -r);
}

void prompts_make_rmdir(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct prompts_op *op = NULL;
	struct place at;
	int r = find_place(&at, v, q, parent, name);

	prompts_op_reap(v->prompts);
	if (!r)
		r = removed(&at, prompts_node_find(at.p, at.dir->idx, name), AT_REMOVEDIR);
	if (!r && name[0] != '.')
		op = prompts_op_new(at.p, true);
	if (!op) {
		vfs_reply_err(q, -r);
		return;
	}
	prompts_op_forget(op, at.dir, name, strlen(name));
	prompts_op_run(op, q);
}

/* ---- namespaces ------------------------------------------------------------------------------------ */

int prompts_make_space(struct prompts *p, const struct vfs_req *q, const char *name, mode_t mode,
		       struct stat *st)
{
	struct place in = { p, q, prompts_node_get(p, PROMPTS_SPACES), name, -1 };
	struct place top = { p, q, in.dir, "prompts", -1 };
	AUTO_FD int fd = -1;
	int r;

	mode = (mode & 07777) | S_IRWXU; /* whoever may make one can use it */
	in.dirfd = prompts_node_dirfd(p, in.dir);
	if (in.dirfd < 0)
		return in.dirfd;
	if (mkdirat(in.dirfd, name, mode) < 0)
		return -errno;
	fd = openat(in.dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 || mkdirat(fd, top.name, mode) < 0 ? -errno : 0;
	top.dirfd = fd;
	if (!r)
		r = own(&top, -1, mode, st);
	if (!r)
		r = own(&in, -1, mode, st);
	if (r < 0) {
		if (fd >= 0)
			(void)unlinkat(fd, top.name,
				       AT_REMOVEDIR);	      /* the failure is told already */
		(void)unlinkat(in.dirfd, name, AT_REMOVEDIR); /* as above */
	}
	return r;
}

int prompts_make_unspace(struct prompts *p, struct prompts_node *n)
{
	struct prompts_node *dir = prompts_node_get(p, PROMPTS_SPACES);
	struct place in = { p, NULL, dir, n->name, prompts_node_dirfd(p, dir) };
	struct place top = { p, NULL, n, "prompts", -1 };
	AUTO_FD int fd = in.dirfd < 0 ? -1
				      : openat(in.dirfd, n->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return in.dirfd < 0 ? in.dirfd : -errno;
	top.dirfd = fd;
	r = removed(&top, prompts_node_find(p, n->idx, top.name), AT_REMOVEDIR);
	if (r < 0 && r != -ENOENT)
		return r;
	r = removed(&in, n, AT_REMOVEDIR);
	if (r < 0)
		(void)mkdirat(fd, top.name,
			      0755); /* something else is in there, put behind the mount */
	return r;
}
