/* prompts_dir.c - listing directories under prompts/ */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vfs/prompts_ops.h"

#include "base/banned.h"

#define PAGE (32u << 10)

/* one open directory: entries as the kernel gave them, taken one by one */
struct listing {
	int fd;
	uint64_t off; /* of the entry that comes next */
	size_t pos, len;
	char page[PAGE] __attribute__((aligned(8)));
};

int prompts_dir_path(struct vfs *v, uint32_t idx, struct buf *out)
{
	const struct prompts_node *n = prompts_node_get(v->prompts, idx);

	if (!n || !S_ISDIR(n->fmt))
		return -ENOENT;
	return prompts_node_path(v->prompts, n, out);
}

void prompts_dir_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	struct prompts_node *n = prompts_node_get(v->prompts, VFS_REST(nodeid));
	int dirfd = n ? prompts_node_dirfd(v->prompts, n) : -ESTALE;
	struct vfs_open o = { 0 };
	struct listing *d;

	if (dirfd < 0) {
		vfs_reply_err(q, -dirfd);
		return;
	}
	d = malloc(sizeof(*d));
	if (!d) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	d->off = d->pos = d->len = 0;
	d->fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0) {
		vfs_reply_err(q, errno);
		free(d);
		return;
	}
	o.fh = (uint64_t)(uintptr_t)d;
	if (q->ops->open(q->impl, &o) != 0) {
		(void)close(d->fd); /* read only */
		free(d);
	}
}

static struct listing *listing(const struct vfs_file *f)
{
	return (struct listing *)(uintptr_t)f->fh;
}

void prompts_dir_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			 const struct vfs_file *f)
{
	(void)v;
	(void)nodeid;
	(void)close(listing(f)->fd); /* read only */
	free(listing(f));
	vfs_reply_err(q, 0);
}

/* the entry at d->off; NULL at the end, and an error in the middle is an end: the kernel asks again from
 * there */
static const struct dirent64 *peek(struct listing *d)
{
	if (d->pos >= d->len) {
		ssize_t n = getdents64(d->fd, d->page, sizeof(d->page));

		if (n <= 0)
			return NULL;
		d->pos = 0;
		d->len = (size_t)n;
	}
	return (const void *)(d->page + d->pos);
}

static int seek_to(struct listing *d, uint64_t off)
{
	/* always from the start again: rewinddir must show what is new */
	if (off && off == d->off)
		return 0;
	if (lseek(d->fd, (off_t)off, SEEK_SET) < 0)
		return -errno;
	d->off = off;
	d->pos = d->len = 0;
	return 0;
}

/* with attributes: the kernel holds a lookup then. Whatever goes wrong: without */
static struct prompts_node *attributes(struct prompts *p, struct prompts_node *dir, int fd,
				       const char *name, struct vfs_entry *e)
{
	struct prompts_node *n;
	struct stat st;

	if (!strcmp(name, ".") || !strcmp(name, "..") ||
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	n = prompts_node_take(p, dir, name, &st);
	if (n)
		prompts_node_entry(n, &st, e);
	return n;
}

void prompts_dir_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f, const struct vfs_io *io, bool plus)
{
	struct prompts_node *dir = prompts_node_get(v->prompts, VFS_REST(nodeid)), *n;
	struct listing *d = listing(f);
	const struct dirent64 *one;
	struct vfs_dir out;
	int r = dir ? seek_to(d, io->off) : -ESTALE;

	if (!r)
		r = vfs_dir_begin(&out, q, io->size);
	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	while ((one = peek(d))) {
		struct vfs_entry e = { 0 };

		n = plus ? attributes(v->prompts, dir, d->fd, one->d_name, &e) : NULL;
		if (!n) {
			e.st.st_ino = one->d_ino;
			e.st.st_mode = (mode_t)DTTOIF(one->d_type);
		}
		if (!vfs_dir_add(&out, one->d_name, &e, (uint64_t)one->d_off)) {
			if (n)
				prompts_node_unref(v->prompts, n, 1);
			break;
		}
		d->off = (uint64_t)one->d_off;
		d->pos += one->d_reclen;
	}
	vfs_dir_send(&out);
}

struct sync {
	struct pool_task task;
	struct vfs_req q;
	int fd;
};

static void sync_now(struct pool_task *t)
{
	struct sync *s = LIST_ENTRY(t, struct sync, task);
	int r = fsync(s->fd);

	vfs_reply_err(&s->q, r < 0 ? errno : 0);
	free(s);
}

void prompts_dir_fsync(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_file *f)
{
	struct sync *s = calloc(1, sizeof(*s));

	(void)nodeid;
	if (!s) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	*s = (struct sync){ .task.run = sync_now, .q = *q, .fd = listing(f)->fd };
	if (broker_post(v->broker, &s->task) < 0)
		sync_now(&s->task);
}
