/* mirror.c - responses/ as directories: a mirror of prompts/ with one directory per request */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "vfs/drafts.h"
#include "vfs/given.h"
#include "vfs/hide.h"
#include "vfs/responses.h"

#include "base/banned.h"

#define DIR_TTL 1.0 /* when its name changes, the kernel is told at once */

static uint32_t dir_of(uint64_t nodeid)
{
	return (uint32_t)VFS_REST(nodeid);
}

void mirror_forget_name(struct vfs *v, uint32_t dir, const char *stem, void (*done)(void *arg),
			void *arg)
{
	if (v->notify.inval_entry && given_take(v->given, dir, stem))
		v->notify.inval_entry(v->notify.impl, VFS_NODE(VFS_MIRROR, dir), stem, done, arg);
	else
		done(arg);
}

void mirror_dir_entry(struct vfs *v, uint32_t idx, struct vfs_entry *out)
{
	struct stat st;

	*out = (struct vfs_entry){ .nodeid = VFS_NODE(VFS_MIRROR, idx),
				   .generation = prompts_generation(v, idx),
				   .attr_ttl_s = DIR_TTL };
	vfs_fill_attr(v, &out->st, out->nodeid, S_IFDIR | 0755, 0, v->start_ns);
	/* the change time stays: within the time to live a new one would make tar say "file changed" */
	if (prompts_attr(v, idx, &st) == 0)
		out->st.st_mtim = st.st_mtim;
}

/* a request file's directory: its response, or a draft, or nothing when it was dismissed */
static int file_entry(struct vfs *v, uint32_t dir, const char *stem,
		      const struct prompts_found *found, struct vfs_entry *out)
{
	AUTO_BUF struct buf path = BUF_INIT(8192);
	struct broker_view view;
	struct prompts_at at;
	int r = prompts_path(v, found->idx, &path, &at);

	if (r < 0)
		return r;
	r = broker_find(v->broker, at.root, buf_str(&path), &view);
	if (r == -ENOENT) {
		drafts_dir_entry(v, found->idx, out);
		return 0;
	}
	if (r == 0 && view.state == BROKER_DISMISSED)
		r = -ENOENT;
	if (r < 0)
		return r;
	responses_dir_entry(v, &view, out);
	if (out->entry_ttl_s > 0)
		given_add(v->given, dir, stem);
	return 0;
}

int mirror_entry(struct vfs *v, uint32_t dir, const char *name, struct vfs_entry *out)
{
	struct prompts_found found;
	uint32_t idx;
	int r;

	if (name[0] != '.' && prompts_lookup_dir(v, dir, name, &idx) == 0) {
		mirror_dir_entry(v, idx, out);
		out->entry_ttl_s = DIR_TTL;
		given_add(v->given, dir, name);
		return 0;
	}
	r = prompts_lookup_stem(v, dir, name, &found);
	if (r < 0)
		return r;
	r = file_entry(v, dir, name, &found, out);
	if (r < 0 || VFS_ROOM_OF(out->nodeid) != VFS_DRAFT)
		prompts_unref(v, found.idx, 1);
	return r;
}

/* gives back what mirror_entry took, when the kernel did not want it */
static void entry_undo(struct vfs *v, const struct vfs_entry *e)
{
	if (VFS_ROOM_OF(e->nodeid) == VFS_DRAFT || VFS_ROOM_OF(e->nodeid) == VFS_MIRROR)
		prompts_unref(v, (uint32_t)e->nodeid, 1);
}

static void mirror_lookup(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct vfs_entry e;
	int r = mirror_entry(v, dir_of(parent), name, &e);

	if (r == 0 && VFS_ROOM_OF(e.nodeid) == VFS_MIRROR && hide_has(v->hide, e.nodeid)) {
		entry_undo(v, &e);
		r = -ENOENT;
	}
	if (r < 0)
		vfs_reply_err(q, -r);
	else if (q->ops->entry(q->impl, &e) != 0)
		entry_undo(v, &e);
}

static void mirror_forget(struct vfs *v, uint64_t nodeid, uint64_t n)
{
	prompts_unref(v, dir_of(nodeid), n);
}

static void mirror_getattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			   const struct vfs_file *f)
{
	struct vfs_entry e;

	(void)f;
	mirror_dir_entry(v, dir_of(nodeid), &e);
	q->ops->attr(q->impl, &e.st, e.attr_ttl_s);
}

/* ---- listing ---- */

static void mirror_opendir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	struct prompts_scan *s = NULL;
	int r = prompts_scan_open(v, dir_of(nodeid), &s);

	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	if (q->ops->open(q->impl, &(struct vfs_open){ .fh = (uint64_t)(uintptr_t)s }) != 0)
		prompts_scan_close(s);
}

/* cookies of prompts_scan are shifted by the two dots; false: the buffer is full */
static bool add_child(struct vfs *v, struct vfs_dir *d, uint32_t dir, const struct prompts_child *c,
		      bool plus)
{
	struct vfs_entry e;

	if (mirror_entry(v, dir, c->name, &e) < 0)
		return true; /* dismissed, or gone meanwhile */
	if (hide_has(v->hide, e.nodeid)) {
		entry_undo(v, &e);
		return true;
	}
	if (plus && vfs_dir_add(d, c->name, &e, c->next_off + 2))
		return true; /* the kernel has the reference */
	entry_undo(v, &e);
	e.nodeid = 0;
	return !plus && vfs_dir_add(d, c->name, &e, c->next_off + 2);
}

static void mirror_readdir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			   const struct vfs_file *f, const struct vfs_io *io, bool plus)
{
	struct prompts_scan *s = (struct prompts_scan *)(uintptr_t)f->fh;
	uint64_t off = io->off < 2 ? 0 : io->off - 2;
	struct prompts_child c;
	struct vfs_dir d;

	if (vfs_dir_begin(&d, q, io->size) < 0) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	vfs_dir_dots(v, &d, nodeid, io->off);
	while (!d.full && prompts_scan_next(s, off, &c) == 0) {
		if (!add_child(v, &d, dir_of(nodeid), &c, plus))
			break;
		off = c.next_off;
	}
	vfs_dir_send(&d);
}

static void mirror_releasedir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			      const struct vfs_file *f)
{
	(void)v;
	(void)nodeid;
	prompts_scan_close((struct prompts_scan *)(uintptr_t)f->fh);
	vfs_reply_err(q, 0);
}

/* ---- rmdir: what dismisses a response ---- */

struct dismissal {
	struct vfs *v;
	struct vfs_req q;
	int64_t id;
};

static void dismissed(void *arg, int result)
{
	struct dismissal *d = arg;
	struct vfs_req q = d->q;

	responses_forget_hidden(d->v, d->id);
	free(d);
	vfs_reply_err(&q, -result);
}

static void dismiss(struct vfs *v, const struct vfs_req *q, uint32_t idx, int64_t id)
{
	AUTO_BUF struct buf path = BUF_INIT(8192);
	struct dismissal *d = malloc(sizeof(*d));
	struct prompts_at at;

	if (!d || prompts_path(v, idx, &path, &at) < 0) {
		free(d);
		vfs_reply_err(q, ENOENT);
		return;
	}
	*d = (struct dismissal){ v, *q, id };
	broker_name_dismiss(v->broker, &(struct broker_name){ at.root, buf_str(&path), at.suffix },
			    dismissed, d);
}

bool mirror_empty(struct vfs *v, uint32_t dir)
{
	struct prompts_scan *s = NULL;
	struct prompts_child c;
	struct vfs_entry child;
	uint64_t off = 0;
	bool empty = true;

	if (prompts_scan_open(v, dir, &s) < 0)
		return true;
	while (empty && prompts_scan_next(s, off, &c) == 0) {
		off = c.next_off;
		if (mirror_entry(v, dir, c.name, &child) < 0)
			continue;
		empty = hide_has(v->hide, child.nodeid);
		entry_undo(v, &child);
	}
	prompts_scan_close(s);
	return empty;
}

/* a mirrored directory lives as long as its prompts directory: hidden for a while, so that rm -r ends */
static void rmdir_mirror(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			 const struct vfs_entry *e)
{
	bool empty = mirror_empty(v, dir_of(e->nodeid));

	if (empty)
		hide_add(v->hide, parent, e->nodeid);
	vfs_reply_err(q, empty ? 0 : ENOTEMPTY);
}

static void mirror_rmdir(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct prompts_found found;
	struct broker_view view;
	struct vfs_entry e;
	int r = mirror_entry(v, dir_of(parent), name, &e);

	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	if (VFS_ROOM_OF(e.nodeid) == VFS_MIRROR) {
		rmdir_mirror(v, q, parent, &e);
		entry_undo(v, &e);
		return;
	}
	entry_undo(v, &e);
	r = prompts_lookup_stem(v, dir_of(parent), name, &found);
	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	if (VFS_ROOM_OF(e.nodeid) == VFS_DRAFT) {
		if (drafts_empty(v, found.idx))
			dismiss(v, q, found.idx, (int64_t)e.nodeid);
		else
			vfs_reply_err(q, ENOTEMPTY);
	} else if (broker_get(v->broker, resptable_node(e.nodeid).id, &view) < 0) {
		vfs_reply_err(q, ENOENT);
	} else if (!responses_empty(v, &view)) {
		vfs_reply_err(q, ENOTEMPTY);
	} else {
		dismiss(v, q, found.idx, view.id);
	}
	prompts_unref(v, found.idx, 1);
}

/* a response is a directory: unlink says so, as for any directory */
static void mirror_unlink(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct vfs_entry e;
	int r = mirror_entry(v, dir_of(parent), name, &e);

	if (r == 0)
		entry_undo(v, &e);
	vfs_reply_err(q, r == 0 ? EISDIR : -r);
}

const struct vfs_room_ops mirror_ops = {
	.lookup = mirror_lookup,
	.forget = mirror_forget,
	.getattr = mirror_getattr,
	.opendir = mirror_opendir,
	.readdir = mirror_readdir,
	.releasedir = mirror_releasedir,
	.rmdir = mirror_rmdir,
	.unlink = mirror_unlink,
};
