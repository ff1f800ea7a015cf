/*
 * fakes/vfs.c - what the rooms prompts/ and cache/ use of the tree around them; included by a test, so
 * that nothing else of the tree is linked
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/mono.h"
#include "vfs/inside.h"

static struct {
	char log[4096];
	size_t len;
} forgot;

void mirror_forget_name(struct vfs *v, uint32_t dir, const char *stem, void (*done)(void *arg),
			void *arg)
{
	(void)v;
	forgot.len += (size_t)snprintf(forgot.log + forgot.len, sizeof(forgot.log) - forgot.len,
				       "%s%u/%s", forgot.len ? " " : "", dir, stem);
	done(arg);
}

/* names the kernel was told to forget, since the last time */
static __attribute__((unused)) const char *forgot_names(void)
{
	forgot.log[forgot.len] = '\0';
	forgot.len = 0;
	return forgot.log;
}

void vfs_fill_attr(const struct vfs *v, struct stat *st, uint64_t nodeid, mode_t mode,
		   uint64_t size, uint64_t time_ns)
{
	(void)v;
	*st = (struct stat){
		.st_ino = nodeid, .st_mode = mode, .st_size = (off_t)size, .st_nlink = 1
	};
	st->st_mtim.tv_sec = (time_t)(time_ns / MONO_S);
}

void mirror_dir_entry(struct vfs *v, uint32_t idx, struct vfs_entry *out)
{
	(void)v;
	*out = (struct vfs_entry){ .nodeid = VFS_NODE(VFS_MIRROR, idx) };
	out->st.st_mode = S_IFDIR | 0755;
}

bool mirror_empty(struct vfs *v, uint32_t dir)
{
	(void)v;
	(void)dir;
	return true;
}

int vfs_dir_begin(struct vfs_dir *d, const struct vfs_req *q, size_t size)
{
	*d = (struct vfs_dir){ .q = q, .cap = size };
	d->buf = malloc(size ? size : 1);
	return d->buf ? 0 : -ENOMEM;
}

bool vfs_dir_add(struct vfs_dir *d, const char *name, const struct vfs_entry *e, uint64_t next_off)
{
	size_t room = d->cap - d->len, need;

	need = d->q->ops->dirent(d->q->impl, d->buf + d->len, room, name, e, next_off);
	d->full = need > room;
	if (!d->full)
		d->len += need;
	return !d->full;
}

void vfs_dir_dots(struct vfs *v, struct vfs_dir *d, uint64_t nodeid, uint64_t off)
{
	(void)v;
	(void)d;
	(void)nodeid;
	(void)off;
}

void vfs_dir_send(struct vfs_dir *d)
{
	d->q->ops->data(d->q->impl, d->buf, d->len);
	free(d->buf);
}

void vfs_reply_bytes(const struct vfs_req *q, const struct buf *whole, const struct vfs_io *io)
{
	size_t n = io->off < whole->len ? whole->len - io->off : 0;

	q->ops->data(q->impl, n ? whole->data + io->off : "", n < io->size ? n : io->size);
}

struct again {
	struct pool_task task;
	struct vfs *v;
	const struct vfs_req *q;
	struct vfs_again a;
	vfs_again_fn *fn;
};

static void again_run(struct pool_task *t)
{
	struct again *g = CONTAINER_OF(t, struct again, task);

	(void)g->fn(g->v, g->q, &g->a, false);
	free(g);
}

/* a test keeps q and the name until the answer has come */
void vfs_now_or_later(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
		      vfs_again_fn *fn)
{
	struct again *g;

	if (fn(v, q, a, true))
		return;
	g = malloc(sizeof(*g));
	*g = (struct again){ .task.run = again_run, .v = v, .q = q, .a = *a, .fn = fn };
	if (broker_post(v->broker, &g->task) < 0)
		abort();
}
