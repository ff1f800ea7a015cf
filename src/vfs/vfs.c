/* vfs.c - the rooms together; what they share */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mono.h"
#include "vfs/given.h"
#include "vfs/hide.h"
#include "vfs/inside.h"

#include "base/banned.h"

#define READDIR_MAX (1u << 20)

static const struct vfs_room_ops nothing;

const struct vfs_room_ops *vfs_ops(uint64_t nodeid)
{
	static const struct vfs_room_ops *const rooms[VFS_ROOMS] = {
		[VFS_STATIC] = &tree_ops,   [VFS_PROMPTS] = &prompts_ops,
		[VFS_MIRROR] = &mirror_ops, [VFS_RESPONSE] = &responses_ops,
		[VFS_DRAFT] = &drafts_ops,  [VFS_CACHE] = &cachedir_ops,
		[VFS_MODELS] = &models_ops, [VFS_NAMESPACES] = &namespaces_ops,
	};
	enum vfs_room_id room = VFS_ROOM_OF(nodeid);

	return room < VFS_ROOMS ? rooms[room] : &nothing;
}

int vfs_new(const struct vfs_options *o, struct vfs **out, struct err *e)
{
	struct vfs *v = calloc(1, sizeof(*v));

	if (!v)
		return err_sys(e, ENOMEM, "the tree could not be built");
	v->broker = o->broker;
	v->o = *o;
	v->start_ns = mono_real_ns();
	list_init(&v->opened);
	v->hide = hide_new();
	v->given = given_new();
	v->respblob = respblob_new();
	v->jobdir = jobdir_new();
	if (!v->jobdir || !v->hide || !v->given || !v->respblob || prompts_new(v, e) < 0 ||
	    cachedir_new(v, e) < 0 || models_new(v) < 0 || namespaces_new(v) < 0) {
		vfs_free(v);
		return err_sys(e, ENOMEM, "the tree could not be built");
	}
	*out = v;
	return 0;
}

void vfs_set_notify(struct vfs *v, const struct vfs_notify *n)
{
	v->notify = *n;
}

void vfs_stop(struct vfs *v)
{
	v->stopping = true;
	prompts_stop(v);
	models_stop(v);
}

void vfs_opened_add(struct vfs *v, struct vfs_opened *o,
		    void (*close)(struct vfs *v, struct vfs_opened *o))
{
	o->close = close;
	list_append(&v->opened, &o->link);
}

void vfs_close(struct vfs *v)
{
	while (!list_empty(&v->opened)) {
		struct vfs_opened *o = LIST_ENTRY(v->opened.next, struct vfs_opened, link);

		o->close(v, o);
	}
	models_close(v);
}

struct vfs *vfs_free(struct vfs *v)
{
	if (!v)
		return NULL;
	namespaces_free(v);
	models_free(v);
	cachedir_free(v);
	prompts_free(v);
	respblob_free(v->respblob);
	jobdir_free(v->jobdir);
	hide_free(v->hide);
	given_free(v->given);
	if (v->o.prompts_fd >= 0)
		(void)close(v->o.prompts_fd);
	if (v->o.namespaces_fd >= 0)
		(void)close(v->o.namespaces_fd);
	free(v);
	return NULL;
}

void vfs_fill_attr(const struct vfs *v, struct stat *st, uint64_t nodeid, mode_t mode,
		   uint64_t size, uint64_t time_ns)
{
	*st = (struct stat){ 0 };
	st->st_ino = nodeid;
	st->st_mode = mode;
	st->st_nlink = 1; /* for a directory: not counted, as find(1) understands it */
	st->st_uid = v->o.uid;
	st->st_gid = v->o.gid;
	st->st_size = (off_t)size;
	st->st_blocks = (blkcnt_t)((size + 511) / 512);
	st->st_blksize = 4096;
	st->st_mtim.tv_sec = (time_t)(time_ns / MONO_S);
	st->st_mtim.tv_nsec = (long)(time_ns % MONO_S);
	st->st_atim = st->st_ctim = st->st_mtim;
}

/* ---- answers ---- */

int vfs_dir_begin(struct vfs_dir *d, const struct vfs_req *q, size_t size)
{
	*d = (struct vfs_dir){ .q = q, .cap = size < READDIR_MAX ? size : READDIR_MAX };
	d->buf = malloc(d->cap ? d->cap : 1);
	return d->buf ? 0 : -ENOMEM;
}

bool vfs_dir_add(struct vfs_dir *d, const char *name, const struct vfs_entry *e, uint64_t next_off)
{
	size_t room = d->cap - d->len;
	size_t need;

	if (d->full)
		return false;
	need = d->q->ops->dirent(d->q->impl, d->buf + d->len, room, name, e, next_off);
	if (need > room) {
		d->full = true;
		return false;
	}
	d->len += need;
	return true;
}

void vfs_dir_dots(struct vfs *v, struct vfs_dir *d, uint64_t nodeid, uint64_t off)
{
	struct vfs_entry e = { 0 };

	vfs_fill_attr(v, &e.st, nodeid, S_IFDIR | 0755, 0, v->start_ns);
	if (off < 1)
		(void)vfs_dir_add(d, ".", &e, 1);
	if (off < 2)
		(void)vfs_dir_add(d, "..", &e, 2);
}

void vfs_dir_send(struct vfs_dir *d)
{
	d->q->ops->data(d->q->impl, d->buf, d->len);
	free(d->buf);
	d->buf = NULL;
}

void vfs_reply_bytes(const struct vfs_req *q, const struct buf *whole, const struct vfs_io *io)
{
	size_t n;

	if (io->off >= whole->len) {
		q->ops->data(q->impl, "", 0);
		return;
	}
	n = whole->len - (size_t)io->off;
	q->ops->data(q->impl, whole->data + io->off, n < io->size ? n : io->size);
}

void vfs_reply_xattr(const struct vfs_req *q, const void *value, size_t len, size_t size)
{
	if (size == 0)
		q->ops->size(q->impl, len);
	else if (size < len)
		vfs_reply_err(q, ERANGE);
	else
		q->ops->data(q->impl, value, len);
}

/* ---- work that would wait for the disk ---- */

struct deferred {
	struct pool_task task;
	struct vfs *v;
	struct vfs_req q;
	struct vfs_again again;
	vfs_again_fn *fn;
	char *name;
};

static void deferred_run(struct pool_task *t)
{
	struct deferred *d = CONTAINER_OF(t, struct deferred, task);

	d->again.name = d->name;
	(void)d->fn(d->v, &d->q, &d->again, false);
	free(d->name);
	free(d);
}

void vfs_now_or_later(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
		      vfs_again_fn *fn)
{
	struct deferred *d;

	if (fn(v, q, a, true))
		return;
	d = calloc(1, sizeof(*d));
	if (!d) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	d->task.run = deferred_run;
	d->v = v;
	d->q = *q;
	d->again = *a;
	d->fn = fn;
	d->name = a->name ? strdup(a->name) : NULL;
	if (broker_post(v->broker, &d->task) < 0) {
		free(d->name);
		free(d);
		vfs_reply_err(q, v->stopping ? ESHUTDOWN : EAGAIN);
	}
}
