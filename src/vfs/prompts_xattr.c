/* prompts_xattr.c - extended attributes, passed to the file below */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/str.h"
#include "vfs/prompts_ops.h"

#include "base/banned.h"

/* the calls have no *at form: an open file, or a path through the descriptor's link, whose last part is
 * not followed */
struct target {
	int fd; /* -1: path */
	char path[64 + NAME_MAX + 1];
};

static int aim(struct vfs *v, uint64_t nodeid, struct target *t)
{
	struct prompts_node *n = prompts_node_get(v->prompts, VFS_REST(nodeid));
	const char *name;
	int fd;

	t->fd = -1;
	if (!n)
		return -ESTALE;
	if (!list_empty(&n->handles)) {
		t->fd = prompts_node_fd(n);
		return 0;
	}
	fd = prompts_node_at(v->prompts, n, &name);
	if (fd < 0)
		return fd;
	/* "." makes the link itself be followed when it is the directory that is meant */
	(void)snprintf(t->path, sizeof(t->path), "/proc/self/fd/%d/%s", fd, name[0] ? name : ".");
	if (!name[0] && !S_ISDIR(n->fmt))
		return -ENOENT; /* removed, and only O_PATH is left of it */
	return 0;
}

void prompts_xattr_set(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_xattr *x)
{
	struct target t;
	int r = aim(v, nodeid, &t);

	if (!r && t.fd >= 0)
		r = fsetxattr(t.fd, x->name, x->value, x->size, x->flags) < 0 ? -errno : 0;
	else if (!r)
		r = lsetxattr(t.path, x->name, x->value, x->size, x->flags) < 0 ? -errno : 0;
	vfs_reply_err(q, -r);
}

void prompts_xattr_remove(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, const char *name)
{
	struct target t;
	int r = aim(v, nodeid, &t);

	if (!r && t.fd >= 0)
		r = fremovexattr(t.fd, name) < 0 ? -errno : 0;
	else if (!r)
		r = lremovexattr(t.path, name) < 0 ? -errno : 0;
	vfs_reply_err(q, -r);
}

void prompts_xattr_get(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_xattr *x)
{
	AUTO_FREE char *value = NULL;
	size_t size = x->size < XATTR_SIZE_MAX ? x->size : XATTR_SIZE_MAX;
	struct target t;
	ssize_t n;
	int r = aim(v, nodeid, &t);

	if (!r && size) {
		value = malloc(size);
		r = value ? 0 : -ENOMEM;
	}
	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	n = t.fd >= 0 ? fgetxattr(t.fd, x->name, value, size)
		      : lgetxattr(t.path, x->name, value, size);
	if (n < 0)
		vfs_reply_err(q, errno);
	else if (!size)
		q->ops->size(q->impl, (size_t)n);
	else
		q->ops->data(q->impl, value, (size_t)n);
}

/* the daemon may see names that its caller may not */
static size_t visible(char *list, size_t n, uid_t uid)
{
	size_t kept = 0;

	for (size_t i = 0; i < n;) {
		size_t len = strlen(list + i) + 1;

		if (uid == 0 || !str_starts(list + i, "trusted.")) {
			memmove(list + kept, list + i, len);
			kept += len;
		}
		i += len;
	}
	return kept;
}

static void list_names(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, size_t size,
		       char *list)
{
	struct target t;
	size_t kept;
	ssize_t n;
	int r = aim(v, nodeid, &t);

	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	n = t.fd >= 0 ? flistxattr(t.fd, list, XATTR_LIST_MAX)
		      : llistxattr(t.path, list, XATTR_LIST_MAX);
	if (n < 0) {
		vfs_reply_err(q, errno);
		return;
	}
	list[n] = '\0';
	kept = visible(list, (size_t)n, q->uid);
	if (!size)
		q->ops->size(q->impl, kept);
	else if (kept > size)
		vfs_reply_err(q, ERANGE);
	else
		q->ops->data(q->impl, list, kept);
}

void prompts_xattr_list(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, size_t size)
{
	char *list = malloc(XATTR_LIST_MAX + 1);

	if (list)
		list_names(v, q, nodeid, size, list);
	else
		vfs_reply_err(q, ENOMEM);
	free(list);
}
