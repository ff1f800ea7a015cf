/*
 * namespaces.c - namespaces/ and the directory of each: prompts, responses, usage.json
 *
 * A namespace is a directory of the backing one with a prompts/ in it; it is there when that is, whoever
 * made it. Its two trees are those of the rooms prompts/ and responses/ with another top.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/map.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/broker_ns.h"
#include "vfs/hide.h"
#include "vfs/prompts_inside.h"
#include "vfs/prompts_ops.h"

#include "base/banned.h"

#define TOP	  "prompts"
#define USAGE_MAX (1u << 20)
#define SEEN	  64

/* bits 0..31 of a node id are a prompts node: namespaces/ or a namespace; from 32 the kind */
enum kind { DIR_ITSELF, TOP_PROMPTS, TOP_RESPONSES, USAGE, KINDS };

static const char *const names[KINDS] = {
	[TOP_PROMPTS] = TOP,
	[TOP_RESPONSES] = "responses",
	[USAGE] = "usage.json",
};

/* since when a usage.json says what it says, as far as this mount was looked at: with a new time at every
 * look, tar would take it for a file that changes while it is read */
struct namespaces {
	struct {
		uint64_t generation, since_ns;
		uint32_t idx, hash;
	} seen[SEEN];
};

struct usage_open {
	struct vfs_opened opened;
	struct buf text;
};

int namespaces_new(struct vfs *v)
{
	v->namespaces = calloc(1, sizeof(*v->namespaces));
	return v->namespaces ? 0 : -ENOMEM;
}

void namespaces_free(struct vfs *v)
{
	free(v->namespaces);
	v->namespaces = NULL;
}

static uint32_t idx_of(uint64_t nodeid)
{
	return (uint32_t)VFS_REST(nodeid);
}

static enum kind kind_of(uint64_t nodeid)
{
	return (enum kind)(VFS_REST(nodeid) >> 32);
}

static uint64_t node_of(uint32_t idx, enum kind kind)
{
	return VFS_NODE(VFS_NAMESPACES, (uint64_t)kind << 32 | idx);
}

/* what hide.h knows a name in a namespace by: a node's index is used again, its generation is not */
static uint64_t hidden_as(const struct prompts_node *n, enum kind kind)
{
	return VFS_NODE(VFS_NAMESPACES,
			(uint64_t)(n->generation & 0xffffff) << 36 | (uint64_t)kind << 32 | n->idx);
}

static bool hidden(struct vfs *v, const struct prompts_node *n, enum kind kind)
{
	return hide_has(v->hide, hidden_as(n, kind));
}

static enum kind kind_named(const char *name)
{
	for (enum kind k = TOP_PROMPTS; k < KINDS; k++)
		if (!strcmp(names[k], name))
			return k;
	return DIR_ITSELF;
}

/* ---- usage.json ------------------------------------------------------------------------------------ */

static int usage_text(struct vfs *v, const struct prompts_node *n, struct buf *out)
{
	char space[PROMPTS_SPACE_MAX + 1];

	if (n->gone || !str_copy(space, sizeof(space), n->name))
		return -ENOENT;
	return broker_ns_usage(v->broker, space, out);
}

static uint64_t usage_since(struct vfs *v, const struct prompts_node *n, const struct buf *text)
{
	uint32_t hash = map_hash(buf_str(text), text->len), at = n->idx % SEEN;
	struct namespaces *s = v->namespaces;

	if (s->seen[at].idx != n->idx || s->seen[at].generation != n->generation ||
	    s->seen[at].hash != hash) {
		s->seen[at].idx = n->idx;
		s->seen[at].generation = n->generation;
		s->seen[at].hash = hash;
		s->seen[at].since_ns = mono_real_ns();
	}
	return s->seen[at].since_ns;
}

static int usage_entry(struct vfs *v, const struct prompts_node *n, struct vfs_entry *out)
{
	AUTO_BUF struct buf text = BUF_INIT(USAGE_MAX);
	int r = usage_text(v, n, &text);

	if (r < 0)
		return r;
	/* the directory's reference covers it */
	*out = (struct vfs_entry){ .nodeid = node_of(n->idx, USAGE), .generation = n->generation };
	vfs_fill_attr(v, &out->st, out->nodeid, S_IFREG | 0644, text.len, usage_since(v, n, &text));
	return 0;
}

static struct usage_open *usage_close(struct usage_open *o)
{
	list_del(&o->opened.link);
	buf_done(&o->text);
	free(o);
	return NULL;
}

static void usage_left_open(struct vfs *v, struct vfs_opened *o)
{
	(void)v;
	(void)usage_close(LIST_ENTRY(o, struct usage_open, opened)); /* always NULL */
}

static void open_file(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags)
{
	struct prompts_node *n = prompts_node_get(v->prompts, idx_of(nodeid));
	struct vfs_open out = { .direct_io = true, .noflush = true };
	struct usage_open *o;
	int r = n ? 0 : -ESTALE;

	if ((flags & O_ACCMODE) != O_RDONLY)
		r = -EROFS;
	o = r < 0 ? NULL : calloc(1, sizeof(*o));
	if (!o) {
		vfs_reply_err(q, r < 0 ? -r : ENOMEM);
		return;
	}
	o->text = BUF_INIT(USAGE_MAX);
	vfs_opened_add(v, &o->opened, usage_left_open);
	r = usage_text(v, n, &o->text);
	out.fh = (uint64_t)(uintptr_t)o;
	if (r == 0 && q->ops->open(q->impl, &out) == 0)
		return;
	if (r < 0)
		vfs_reply_err(q, -r);
	(void)usage_close(o); /* always NULL */
}

static void read_file(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f, const struct vfs_io *io)
{
	(void)v;
	(void)nodeid;
	vfs_reply_bytes(q, &((const struct usage_open *)(uintptr_t)f->fh)->text, io);
}

static void release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		    const struct vfs_file *f)
{
	(void)v;
	(void)nodeid;
	(void)usage_close((struct usage_open *)(uintptr_t)f->fh); /* always NULL */
	vfs_reply_err(q, 0);
}

/* ---- lookup ---------------------------------------------------------------------------------------- */

/* a namespace with one lookup more */
static int space_entry(struct vfs *v, struct prompts_node *spaces, const char *name,
		       struct vfs_entry *out)
{
	int fd = prompts_node_dirfd(v->prompts, spaces);
	struct prompts_node *n;
	struct stat st;

	if (fd < 0 || !prompts_name_space(name) ||
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return -ENOENT;
	n = prompts_node_take(v->prompts, spaces, name, &st);
	if (!n)
		return -ENOMEM;
	prompts_node_entry(n, &st, out);
	out->nodeid = node_of(n->idx, DIR_ITSELF);
	return 0;
}

/* the prompts/ of a namespace with one lookup more. A crash, or whoever made the directory by hand, may have
 * left it out */
static struct prompts_node *top_of(struct vfs *v, struct prompts_node *n, struct stat *st)
{
	int fd = prompts_node_dirfd(v->prompts, n);

	if (fd < 0 || n->gone)
		return NULL;
	if (fstatat(fd, TOP, st, AT_SYMLINK_NOFOLLOW) < 0 &&
	    (errno != ENOENT || mkdirat(fd, TOP, 0755) < 0 ||
	     fstatat(fd, TOP, st, AT_SYMLINK_NOFOLLOW) < 0))
		return NULL;
	return S_ISDIR(st->st_mode) ? prompts_node_take(v->prompts, n, TOP, st) : NULL;
}

static int child_entry(struct vfs *v, struct prompts_node *n, enum kind kind, struct vfs_entry *out)
{
	struct prompts_node *top;
	struct stat st;

	if (kind == DIR_ITSELF || hidden(v, n, kind))
		return -ENOENT;
	if (kind == USAGE)
		return usage_entry(v, n, out);
	top = top_of(v, n, &st);
	if (!top)
		return -ENOENT;
	if (kind == TOP_PROMPTS)
		prompts_node_entry(top, &st, out);
	else
		mirror_dir_entry(v, top->idx, out);
	return 0;
}

static int entry(struct vfs *v, struct prompts_node *dir, const char *name, struct vfs_entry *out)
{
	if (dir->idx == PROMPTS_SPACES)
		return space_entry(v, dir, name, out);
	return child_entry(v, dir, kind_named(name), out);
}

/* the kernel did not want it */
static void entry_undo(struct vfs *v, const struct vfs_entry *e)
{
	if (e->nodeid != node_of(idx_of(e->nodeid), USAGE))
		prompts_unref(v, idx_of(e->nodeid), 1);
}

static struct prompts_node *dir_of(struct vfs *v, uint64_t nodeid)
{
	return kind_of(nodeid) == DIR_ITSELF ? prompts_node_get(v->prompts, idx_of(nodeid)) : NULL;
}

static void lookup(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct prompts_node *dir = dir_of(v, parent);
	struct vfs_entry e;
	int r = dir ? entry(v, dir, name, &e) : -ENOENT;

	if (r < 0)
		vfs_reply_err(q, -r);
	else if (q->ops->entry(q->impl, &e) != 0)
		entry_undo(v, &e);
}

static void forget(struct vfs *v, uint64_t nodeid, uint64_t n)
{
	prompts_op_reap(v->prompts);
	if (kind_of(nodeid) == DIR_ITSELF)
		prompts_unref(v, idx_of(nodeid), n);
}

/* ---- attributes: the directories' are the backing ones' ---------------------------------------------- */

static void getattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		    const struct vfs_file *f)
{
	struct prompts_node *n = prompts_node_get(v->prompts, idx_of(nodeid));
	struct vfs_entry e;
	int r;

	if (kind_of(nodeid) == DIR_ITSELF) {
		prompts_attr_get(v, q, nodeid, f);
		return;
	}
	r = n ? usage_entry(v, n, &e) : -ESTALE;
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->attr(q->impl, &e.st, 0);
}

static void setattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		    const struct vfs_setattr *s)
{
	if (kind_of(nodeid) == DIR_ITSELF)
		prompts_attr_set(v, q, nodeid, s);
	else
		vfs_reply_err(q, EROFS);
}

static void getxattr_of(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_xattr *x)
{
	if (kind_of(nodeid) == DIR_ITSELF)
		prompts_xattr_get(v, q, nodeid, x);
	else
		vfs_reply_err(q, EOPNOTSUPP);
}

static void setxattr_of(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_xattr *x)
{
	if (kind_of(nodeid) == DIR_ITSELF)
		prompts_xattr_set(v, q, nodeid, x);
	else
		vfs_reply_err(q, EROFS);
}

static void listxattr_of(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, size_t size)
{
	if (kind_of(nodeid) == DIR_ITSELF)
		prompts_xattr_list(v, q, nodeid, size);
	else
		vfs_reply_xattr(q, "", 0, size);
}

static void removexattr_of(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			   const char *name)
{
	if (kind_of(nodeid) == DIR_ITSELF)
		prompts_xattr_remove(v, q, nodeid, name);
	else
		vfs_reply_err(q, EROFS);
}

/* ---- listing ----------------------------------------------------------------------------------------- */

static void opendir_of(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	struct prompts_scan *s = NULL;
	int r = 0;

	if (idx_of(nodeid) == PROMPTS_SPACES)
		r = prompts_scan_open(v, PROMPTS_SPACES, &s);
	if (r < 0)
		vfs_reply_err(q, -r);
	else if (q->ops->open(q->impl, &(struct vfs_open){ .fh = (uint64_t)(uintptr_t)s }) != 0)
		prompts_scan_close(s);
}

static void releasedir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_file *f)
{
	(void)v;
	(void)nodeid;
	prompts_scan_close((struct prompts_scan *)(uintptr_t)f->fh);
	vfs_reply_err(q, 0);
}

/* false: the buffer is full */
static bool add(struct vfs *v, struct vfs_dir *d, struct prompts_node *dir, const char *name,
		uint64_t next_off, bool plus)
{
	struct vfs_entry e;

	if (entry(v, dir, name, &e) < 0)
		return true; /* hidden, gone, or no namespace */
	if (plus && vfs_dir_add(d, name, &e, next_off))
		return true; /* the kernel has the reference */
	entry_undo(v, &e);
	e.nodeid = 0;
	return !plus && vfs_dir_add(d, name, &e, next_off);
}

static void readdir_of(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_file *f, const struct vfs_io *io, bool plus)
{
	struct prompts_node *dir = dir_of(v, nodeid);
	struct prompts_scan *s = (struct prompts_scan *)(uintptr_t)f->fh;
	uint64_t off = io->off < 2 ? 0 : io->off - 2;
	struct prompts_child c;
	struct vfs_dir d;

	if (!dir || vfs_dir_begin(&d, q, io->size) < 0) {
		vfs_reply_err(q, dir ? ENOMEM : ESTALE);
		return;
	}
	vfs_dir_dots(v, &d, nodeid, io->off);
	while (s && !d.full && prompts_scan_next(s, off, &c) == 0) {
		if (c.dir && !add(v, &d, dir, c.name, c.next_off + 2, plus))
			break;
		off = c.next_off;
	}
	for (uint64_t k = TOP_PROMPTS + off; !s && !d.full && k < KINDS; k++)
		if (!add(v, &d, dir, names[k], k + 2, plus))
			break;
	vfs_dir_send(&d);
}

/* ---- making and removing ----------------------------------------------------------------------------- */

static void mkdir_of(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
		     mode_t mode)
{
	struct prompts_node *dir = dir_of(v, parent);
	struct vfs_entry e;
	struct stat st;
	int r;

	if (!dir || dir->idx != PROMPTS_SPACES)
		r = kind_named(name) ? -EEXIST : -EPERM; /* hidden ones, too */
	else if (!prompts_name_space(name))
		r = -EINVAL;
	else
		r = prompts_make_space(v->prompts, q, name, mode, &st);
	if (!r)
		r = space_entry(v, dir, name, &e);
	if (r < 0)
		vfs_reply_err(q, -r);
	else if (q->ops->entry(q->impl, &e) != 0)
		entry_undo(v, &e);
}

/* mv(1) makes a copy and a removal of EXDEV: the copy would be sent as new requests, and paid for */
static void rename_of(struct vfs *v, const struct vfs_req *q, const struct vfs_rename *r)
{
	(void)v;
	(void)r;
	vfs_reply_err(q, EPERM);
}

static void unlink_of(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct prompts_node *dir = dir_of(v, parent);
	struct vfs_entry e;
	int r = dir ? entry(v, dir, name, &e) : -ENOENT;

	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	entry_undo(v, &e);
	if (!S_ISDIR(e.st.st_mode))
		hide_add(v->hide, parent, hidden_as(dir, USAGE));
	vfs_reply_err(q, S_ISDIR(e.st.st_mode) ? EISDIR : 0);
}

static bool nothing_in(struct vfs *v, struct prompts_node *top)
{
	int dirfd = prompts_node_dirfd(v->prompts, top);
	int fd = dirfd < 0 ? -1 : openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int n = 0;

	if (!d) {
		if (fd >= 0)
			(void)close(fd); /* read only */
		return false;
	}
	while (n < 3 && readdir(d))
		n++;	   /* the two dots, and one that is not */
	(void)closedir(d); /* read only */
	return n < 3;
}

/* prompts/ and responses/ stay as long as the namespace: hidden, so that rm -r ends */
static int hide_top(struct vfs *v, struct prompts_node *n, enum kind kind, uint64_t parent)
{
	struct prompts_node *top;
	struct stat st;
	bool empty;

	if (kind != TOP_PROMPTS && kind != TOP_RESPONSES)
		return kind == USAGE ? -ENOTDIR : -ENOENT;
	top = hidden(v, n, kind) ? NULL : top_of(v, n, &st);
	if (!top)
		return -ENOENT;
	empty = kind == TOP_PROMPTS ? nothing_in(v, top) : mirror_empty(v, top->idx);
	if (empty)
		hide_add(v->hide, parent, hidden_as(n, kind));
	prompts_node_unref(v->prompts, top, 1);
	return empty ? 0 : -ENOTEMPTY;
}

static void remove_space(struct vfs *v, const struct vfs_req *q, const char *name)
{
	struct prompts *p = v->prompts;
	struct prompts_node *n = prompts_node_find(p, PROMPTS_SPACES, name);
	struct prompts_op *op = n ? prompts_op_new(p, false) : NULL;
	uint64_t parent = n ? node_of(n->idx, DIR_ITSELF) : 0;
	int r = op ? 0 : n ? -ENOMEM : -ENOENT;

	if (op) {
		prompts_op_touch(op, n); /* after all that goes on below it */
		prompts_op_forget_space(op, name);
		r = prompts_make_unspace(p, n);
	}
	if (r < 0) {
		prompts_op_cancel(op);
		vfs_reply_err(q, -r);
		return;
	}
	hide_drop_children(v->hide, parent);
	prompts_op_run(op, q);
}

static void rmdir_of(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct prompts_node *dir = dir_of(v, parent);

	prompts_op_reap(v->prompts);
	if (dir && dir->idx == PROMPTS_SPACES)
		remove_space(v, q, name);
	else
		vfs_reply_err(q, dir ? -hide_top(v, dir, kind_named(name), parent) : ENOENT);
}

const struct vfs_room_ops namespaces_ops = {
	.lookup = lookup,
	.forget = forget,
	.getattr = getattr,
	.setattr = setattr,
	.getxattr = getxattr_of,
	.setxattr = setxattr_of,
	.listxattr = listxattr_of,
	.removexattr = removexattr_of,
	.open = open_file,
	.read = read_file,
	.release = release,
	.opendir = opendir_of,
	.readdir = readdir_of,
	.releasedir = releasedir,
	.mkdir = mkdir_of,
	.rename = rename_of,
	.unlink = unlink_of,
	.rmdir = rmdir_of,
};
