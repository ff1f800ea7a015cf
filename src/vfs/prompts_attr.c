/* prompts_attr.c - stat, chmod, chown, truncate, utimens of what lies in prompts/ */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vfs/prompts_ops.h"

#include "base/banned.h"

/* how to reach what is changed: by an open file, else by directory and name */
struct target {
	int fd; /* -1: none */
	int dirfd;
	const char *name;
};

void prompts_attr_get(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f)
{
	struct prompts_node *n = prompts_node_get(v->prompts, VFS_REST(nodeid));
	struct stat st;
	int r = n ? prompts_node_stat(v->prompts, n, &st) : -ESTALE;

	(void)f; /* an open file of the node is used in any case */
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->attr(q->impl, &st, PROMPTS_TTL);
}

static int aim(struct prompts *p, struct prompts_node *n, const struct vfs_setattr *s,
	       struct target *t)
{
	t->fd = -1;
	t->name = "";
	if (s->has_fh)
		t->fd = ((const struct prompts_handle *)(uintptr_t)s->fh)->fd;
	else if (!list_empty(&n->handles))
		t->fd = prompts_node_fd(n);
	t->dirfd = t->fd;
	if (t->fd < 0)
		t->dirfd = prompts_node_at(p, n, &t->name);
	return t->dirfd < 0 ? t->dirfd : 0;
}

static int set_owner(const struct target *t, const struct vfs_setattr *s)
{
	uid_t uid = s->to_set & VFS_SET_UID ? s->st.st_uid : (uid_t)-1;
	gid_t gid = s->to_set & VFS_SET_GID ? s->st.st_gid : (gid_t)-1;

	return fchownat(t->dirfd, t->name, uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0
		       ? -errno
		       : 0;
}

static int set_mode(const struct target *t, const struct vfs_setattr *s)
{
	mode_t mode = s->st.st_mode & 07777;
	int r;

	if (t->fd >= 0)
		r = fchmod(t->fd, mode);
	else if (t->name[0])
		r = fchmodat(t->dirfd, t->name, mode, AT_SYMLINK_NOFOLLOW);
	else
		r = fchmodat(t->dirfd, ".", mode, 0); /* prompts/ itself, or a removed directory */
	return r < 0 ? -errno : 0;
}

static int truncate_at(struct prompts *p, struct prompts_node *n, const struct target *t,
		       const struct vfs_setattr *s)
{
	AUTO_FD int own = -1;
	int fd = -1;

	if (prompts_file_too_big(p, n, (uint64_t)s->st.st_size))
		return -EFBIG;
	if (s->has_fh)
		fd = t->fd;
	LIST_EACH(l, &n->handles) {
		const struct prompts_handle *h = LIST_ENTRY(l, struct prompts_handle, link);

		if (fd < 0 && (h->flags & O_ACCMODE) != O_RDONLY)
			fd = h->fd;
	}
	if (fd < 0) {
		const char *name;
		int dirfd = prompts_node_at(p, n, &name);

		if (dirfd < 0 || !name[0])
			return dirfd < 0 ? dirfd : -ESTALE;
		own = openat(dirfd, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (own < 0)
			return -errno;
		fd = own;
	}
	if (ftruncate(fd, s->st.st_size) < 0)
		return -errno;
	/* checked at the close of this handle; by path alone: at the next last close of a writer */
	if (s->has_fh)
		((struct prompts_handle *)(uintptr_t)s->fh)->wrote = true;
	prompts_file_changed(p, n);
	return 0;
}

static int set_times(const struct target *t, const struct vfs_setattr *s)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if (s->to_set & VFS_SET_ATIME_NOW)
		ts[0].tv_nsec = UTIME_NOW;
	else if (s->to_set & VFS_SET_ATIME)
		ts[0] = s->st.st_atim;
	if (s->to_set & VFS_SET_MTIME_NOW)
		ts[1].tv_nsec = UTIME_NOW;
	else if (s->to_set & VFS_SET_MTIME)
		ts[1] = s->st.st_mtim;
	if (t->fd >= 0)
		return futimens(t->fd, ts) < 0 ? -errno : 0;
	if (!t->name[0])
		return utimensat(t->dirfd, ".", ts, 0) < 0 ? -errno : 0;
	return utimensat(t->dirfd, t->name, ts, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set(struct prompts *p, struct prompts_node *n, const struct vfs_setattr *s)
{
	struct target t;
	int r = aim(p, n, s, &t);

	/* the owner first: chown clears bits of the mode that the same request may set. A request for nothing
	 * is a chown of nothing, which moves ctime */
	if (!r && (!s->to_set || s->to_set & (VFS_SET_UID | VFS_SET_GID)))
		r = set_owner(&t, s);
	if (!r && s->to_set & VFS_SET_MODE)
		r = set_mode(&t, s);
	if (!r && s->to_set & VFS_SET_SIZE)
		r = truncate_at(p, n, &t, s);
	if (!r &&
	    s->to_set & (VFS_SET_ATIME | VFS_SET_MTIME | VFS_SET_ATIME_NOW | VFS_SET_MTIME_NOW))
		r = set_times(&t, s);
	return r;
}

void prompts_attr_set(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_setattr *s)
{
	struct prompts *p = v->prompts;
	struct prompts_node *n = prompts_node_get(p, VFS_REST(nodeid));
	struct stat st;
	int r = n ? set(p, n, s) : -ESTALE;

	if (!r)
		r = prompts_node_stat(p, n, &st);
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->attr(q->impl, &st, PROMPTS_TTL);
}

int prompts_attr(struct vfs *v, uint32_t idx, struct stat *out)
{
	struct prompts_node *n = prompts_node_get(v->prompts, idx);

	return n ? prompts_node_stat(v->prompts, n, out) : -ENOENT;
}
