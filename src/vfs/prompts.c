/* prompts.c - the prompts/ room: its table of operations, its life, and what the mirror asks of it */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/fdio.h"
#include "base/str.h"
#include "vfs/prompts_ops.h"

#include "base/banned.h"

/* without changing it: umask(2) has no way to ask, and belongs to the whole process */
static mode_t current_umask(void)
{
	AUTO_BUF struct buf b = BUF_INIT(64u << 10);
	const char *line = NULL;

	if (!fdio_read_file(AT_FDCWD, "/proc/self/status", &b))
		line = strstr(buf_str(&b), "\nUmask:");
	/* not told: the strictest one, so that modes are set in any case */
	return line ? (mode_t)strtoul(line + sizeof("\nUmask:") - 1, NULL, 8) & 0777 : 077;
}

int prompts_new(struct vfs *v, struct err *e)
{
	struct prompts *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(e, ERR_INTERNAL, "out of memory");
	p->v = v;
	p->umask = current_umask();
	lock_init(&p->lock, LOCK_NODE);
	list_init(&p->waiting);
	list_init(&p->running);
	list_init(&p->owing);
	list_init(&p->dead);
	v->prompts = p;
	if (prompts_node_init(p) < 0) {
		prompts_free(v);
		return err_set(e, ERR_INTERNAL, "out of memory");
	}
	return 0;
}

void prompts_stop(struct vfs *v)
{
	if (v->prompts)
		prompts_wait_stop(v->prompts);
}

void prompts_free(struct vfs *v)
{
	struct prompts *p = v->prompts;

	if (!p)
		return;
	prompts_op_reap(p);
	prompts_node_done(p);
	lock_done(&p->lock);
	free(p->scratch);
	free(p);
	v->prompts = NULL;
}

/* ---- for the mirror ------------------------------------------------------------------------------- */

/* a name of dir that is there and of this type, with one lookup more */
static int take(struct vfs *v, struct prompts_node *dir, const char *name, mode_t fmt,
		uint32_t *out_idx)
{
	int dirfd = prompts_node_dirfd(v->prompts, dir);
	struct prompts_node *n;
	struct stat st;

	if (dirfd < 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (st.st_mode & S_IFMT) != fmt)
		return -ENOENT;
	n = prompts_node_take(v->prompts, dir, name, &st);
	if (!n)
		return -ENOMEM;
	*out_idx = n->idx;
	return 0;
}

int prompts_lookup_dir(struct vfs *v, uint32_t dir, const char *name, uint32_t *out_idx)
{
	struct prompts_node *n = prompts_node_get(v->prompts, dir);

	if (!n || !S_ISDIR(n->fmt) || name[0] == '.')
		return -ENOENT;
	return take(v, n, name, S_IFDIR, out_idx);
}

int prompts_lookup_stem(struct vfs *v, uint32_t dir, const char *stem, struct prompts_found *out)
{
	struct prompts_node *n = prompts_node_get(v->prompts, dir);
	char name[NAME_MAX + 64];
	size_t len = strlen(stem);

	if (!n || !S_ISDIR(n->fmt))
		return -ENOENT;
	for (const char *const *s = v->o.suffixes; *s; s++) {
		int r;

		if (len + strlen(*s) > NAME_MAX)
			continue;
		(void)str_copy(name, sizeof(name), stem); /* both fit, as just seen */
		(void)str_copy(name + len, sizeof(name) - len, *s);
		if (prompts_name_suffix(v->o.suffixes, name) != *s)
			continue;
		r = take(v, n, name, S_IFREG, &out->idx);
		if (r == -ENOENT)
			continue;
		if (!r && !prompts_name_sends(v->prompts, n)) {
			prompts_unref(v, out->idx, 1);
			r = -ENOENT;
		}
		if (!r && !str_copy(out->suffix, sizeof(out->suffix), *s))
			r = -ENOENT; /* no configured suffix is that long */
		return r;
	}
	return -ENOENT;
}

int prompts_path(struct vfs *v, uint32_t idx, struct buf *out_path, struct prompts_at *out)
{
	struct prompts_node *n = prompts_node_get(v->prompts, idx);
	const char *s = n ? prompts_name_node(v->prompts, n) : NULL;
	int r;

	if (!s || !str_copy(out->suffix, sizeof(out->suffix), s))
		return -ENOENT;
	r = prompts_node_root(v->prompts, n, out->root);
	if (!r)
		r = prompts_node_path(v->prompts, n, out_path);
	if (r < 0)
		return r;
	out_path->len -= strlen(s);
	out_path->data[out_path->len] = '\0';
	return 0;
}

void prompts_unref(struct vfs *v, uint32_t idx, uint64_t n)
{
	struct prompts_node *node = prompts_node_get(v->prompts, idx);

	if (node)
		prompts_node_unref(v->prompts, node, n);
}

uint64_t prompts_generation(struct vfs *v, uint32_t idx)
{
	const struct prompts_node *n = prompts_node_get(v->prompts, idx);

	return n ? n->generation : 0;
}

/* ---- operations ------------------------------------------------------------------------------------ */

static void lookup(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct prompts *p = v->prompts;
	struct prompts_node *dir = prompts_node_get(p, VFS_REST(parent)), *n;
	int dirfd = dir ? prompts_node_dirfd(p, dir) : -ESTALE;
	struct vfs_entry e;
	struct stat st;

	if (dirfd < 0) {
		vfs_reply_err(q, -dirfd);
		return;
	}
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		vfs_reply_err(q, errno);
		return;
	}
	n = prompts_node_take(p, dir, name, &st);
	if (!n) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	prompts_node_entry(n, &st, &e);
	if (q->ops->entry(q->impl, &e) != 0)
		prompts_node_unref(p, n, 1);
}

static void forget(struct vfs *v, uint64_t nodeid, uint64_t n)
{
	prompts_op_reap(v->prompts);
	prompts_unref(v, (uint32_t)VFS_REST(nodeid), n);
}

static void readlink_of(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	struct prompts_node *n = prompts_node_get(v->prompts, VFS_REST(nodeid));
	char target[PATH_MAX + 1];
	const char *name;
	ssize_t len;
	int fd = n ? prompts_node_at(v->prompts, n, &name) : -ESTALE;

	if (fd < 0) {
		vfs_reply_err(q, -fd);
		return;
	}
	len = readlinkat(fd, name, target, sizeof(target) - 1);
	if (len < 0) {
		vfs_reply_err(q, errno);
		return;
	}
	target[len] = '\0';
	q->ops->link(q->impl, target);
}

static void link_to(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, uint64_t to_parent,
		    const char *to_name)
{
	(void)v;
	(void)nodeid;
	(void)to_parent;
	(void)to_name;
	vfs_reply_err(q, EPERM); /* one request, one name */
}

const struct vfs_room_ops prompts_ops = {
	.lookup = lookup,
	.forget = forget,
	.getattr = prompts_attr_get,
	.setattr = prompts_attr_set,
	.readlink = readlink_of,
	.mknod = prompts_make_mknod,
	.mkdir = prompts_make_mkdir,
	.unlink = prompts_make_unlink,
	.rmdir = prompts_make_rmdir,
	.symlink = prompts_make_symlink,
	.rename = prompts_rename,
	.link = link_to,
	.create = prompts_make_create,
	.open = prompts_file_open,
	.read = prompts_file_read,
	.write = prompts_file_write,
	.flush = prompts_file_flush,
	.release = prompts_file_release,
	.fsync = prompts_file_fsync,
	.fallocate = prompts_file_fallocate,
	.opendir = prompts_dir_open,
	.readdir = prompts_dir_read,
	.releasedir = prompts_dir_release,
	.fsyncdir = prompts_dir_fsync,
	.setxattr = prompts_xattr_set,
	.getxattr = prompts_xattr_get,
	.listxattr = prompts_xattr_list,
	.removexattr = prompts_xattr_remove,
};
