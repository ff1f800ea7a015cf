/* tree.c - the static part of the mount: one table of names, modes and readers */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "jobs/broker_models.h"
#include "vfs/inside.h"

#include "base/banned.h"

enum {
	NODE_ROOT = 1,
	NODE_README,
	NODE_ASK,
	NODE_STATS,
	NODE_SUMMARY,
	NODE_BACKENDS,
	NODE_BACKEND = 0x100, /* + 4 * number: its directory; + 1, 2: status.json, ctl in it */
	BACKEND_NODES = 4
};

/* Its mode never changes; without this every open of it costs a request for its attributes first. */
enum { ASK_TTL_S = 1, CTL_MAX = 4096 };

typedef int tree_reader(struct vfs *v, uint64_t nodeid, struct buf *out);

static int read_readme(struct vfs *v, uint64_t nodeid, struct buf *out)
{
	(void)nodeid;
	return buf_adds(out, v->o.readme ? v->o.readme : "");
}

static int read_summary(struct vfs *v, uint64_t nodeid, struct buf *out)
{
	(void)nodeid;
	return broker_stats_summary(v->broker, out);
}

static size_t number_of(uint64_t nodeid)
{
	return (size_t)(nodeid - NODE_BACKEND) / BACKEND_NODES;
}

static int read_backend(struct vfs *v, uint64_t nodeid, struct buf *out)
{
	return broker_stats_backend(v->broker, broker_stats_backends(v->broker)[number_of(nodeid)],
				    out);
}

static int read_ctl(struct vfs *v, uint64_t nodeid, struct buf *out)
{
	(void)v;
	(void)nodeid;
	return buf_adds(out, "pull NAME\ndelete NAME\n");
}

/* every static name; the rows below backends/ are made from the configuration */
struct tree_row {
	uint64_t parent, nodeid;
	const char *name;
	mode_t mode;
	tree_reader *read; /* NULL: a directory, or a room of its own */
	bool exact; /* the size is known and never changes; else like /proc: read what open saw */
};

static const struct tree_row rows[] = {
	{ NODE_ROOT, NODE_README, "README.md", S_IFREG | 0644, read_readme, true },
	{ NODE_ROOT, VFS_NODE(VFS_PROMPTS, 1), "prompts", S_IFDIR | 0755, NULL, false },
	{ NODE_ROOT, VFS_NODE(VFS_MIRROR, 1), "responses", S_IFDIR | 0755, NULL, false },
	{ NODE_ROOT, VFS_NODE(VFS_NAMESPACES, 2), "namespaces", S_IFDIR | 0755, NULL, false },
	{ NODE_ROOT, VFS_NODE(VFS_CACHE, 0), "cache", S_IFDIR | 0755, NULL, false },
	{ NODE_ROOT, VFS_NODE(VFS_MODELS, 0), "models", S_IFDIR | 0755, NULL, false },
	{ NODE_ROOT, NODE_BACKENDS, "backends", S_IFDIR | 0755, NULL, false },
	{ NODE_ROOT, NODE_STATS, "stats", S_IFDIR | 0755, NULL, false },
	{ NODE_ROOT, NODE_ASK, "ask", S_IFREG | 0666, NULL, false },
	{ NODE_STATS, NODE_SUMMARY, "summary.json", S_IFREG | 0644, read_summary, false },
};

static const struct tree_row dir_row = { NODE_BACKENDS, 0, NULL, S_IFDIR | 0755, NULL, false };
/* what is in a backend's directory, at its node + 1 and so on; ctl only where there is something to order */
static const struct tree_row backend_rows[] = {
	{ 0, 0, "status.json", S_IFREG | 0644, read_backend, false },
	{ 0, 0, "ctl", S_IFREG | 0600, read_ctl, false },
};

static size_t n_backends(struct vfs *v)
{
	const char *const *names = broker_stats_backends(v->broker);
	size_t n = 0;

	while (names && names[n])
		n++;
	return n;
}

static bool has_row(struct vfs *v, size_t backend, size_t row)
{
	return backend_rows[row].read != read_ctl || broker_models_managed(v->broker, backend);
}

static bool is_ctl(const struct tree_row *row)
{
	return row && row->read == read_ctl;
}

static const struct tree_row *row_of(struct vfs *v, uint64_t nodeid)
{
	static const struct tree_row root = { 0, NODE_ROOT, "", S_IFDIR | 0755, NULL, false };

	size_t i;

	if (nodeid == NODE_ROOT)
		return &root;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].nodeid == nodeid)
			return &rows[i];
	if (nodeid < NODE_BACKEND || number_of(nodeid) >= n_backends(v))
		return NULL;
	i = (size_t)(nodeid - NODE_BACKEND) % BACKEND_NODES;
	if (i == 0)
		return &dir_row;
	return i <= ARRAY_LEN(backend_rows) && has_row(v, number_of(nodeid), i - 1)
		       ? &backend_rows[i - 1]
		       : NULL;
}

static void fill_entry(struct vfs *v, const struct tree_row *row, uint64_t nodeid,
		       struct vfs_entry *e)
{
	uint64_t size = row->exact && v->o.readme ? strlen(v->o.readme) : 0;

	*e = (struct vfs_entry){ .nodeid = nodeid, .entry_ttl_s = VFS_TTL_FOREVER };
	e->attr_ttl_s = row->exact || S_ISDIR(row->mode) ? VFS_TTL_FOREVER : 0;
	if (nodeid == NODE_ASK)
		e->attr_ttl_s = ASK_TTL_S;
	vfs_fill_attr(v, &e->st, nodeid, row->mode, size,
		      row->exact || S_ISDIR(row->mode) ? v->start_ns : mono_real_ns());
}

/* prompts/ and namespaces/ are real directories: their attributes are the backing ones' */
static void reply_entry(struct vfs *v, const struct vfs_req *q, const struct tree_row *row,
			uint64_t nodeid)
{
	struct vfs_entry e;

	fill_entry(v, row, nodeid, &e);
	if (VFS_ROOM_OF(nodeid) == VFS_PROMPTS || VFS_ROOM_OF(nodeid) == VFS_NAMESPACES) {
		if (prompts_attr(v, (uint32_t)VFS_REST(nodeid), &e.st) < 0) {
			vfs_reply_err(q, EIO);
			return;
		}
		e.attr_ttl_s = 1;
	}
	(void)q->ops->entry(q->impl, &e); /* static nodes are never forgotten */
}

static void lookup_backend(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			   const char *name)
{
	const char *const *names = broker_stats_backends(v->broker);

	if (parent != NODE_BACKENDS) {
		for (size_t i = 0; i < ARRAY_LEN(backend_rows); i++) {
			if (strcmp(name, backend_rows[i].name) == 0 &&
			    has_row(v, number_of(parent), i)) {
				reply_entry(v, q, &backend_rows[i], parent + 1 + i);
				return;
			}
		}
		vfs_reply_err(q, ENOENT);
		return;
	}
	for (size_t i = 0; names && names[i]; i++) {
		if (strcmp(names[i], name) == 0) {
			reply_entry(v, q, &dir_row, NODE_BACKEND + BACKEND_NODES * i);
			return;
		}
	}
	vfs_reply_err(q, ENOENT);
}

static void tree_lookup(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].parent == parent && strcmp(rows[i].name, name) == 0) {
			reply_entry(v, q, &rows[i], rows[i].nodeid);
			return;
		}
	}
	if (parent >= NODE_BACKENDS)
		lookup_backend(v, q, parent, name);
	else
		vfs_reply_err(q, ENOENT);
}

static void tree_getattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			 const struct vfs_file *f)
{
	const struct tree_row *row = row_of(v, nodeid);
	struct vfs_entry e;

	(void)f;
	if (!row) {
		vfs_reply_err(q, ENOENT);
		return;
	}
	fill_entry(v, row, nodeid, &e);
	q->ops->attr(q->impl, &e.st, e.attr_ttl_s);
}

/* `echo x > ask` truncates it first; nothing else may be set here */
static void tree_setattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			 const struct vfs_setattr *s)
{
	if ((nodeid == NODE_ASK || is_ctl(row_of(v, nodeid))) && s->to_set == VFS_SET_SIZE)
		tree_getattr(v, q, nodeid, NULL);
	else
		vfs_reply_err(q, EROFS);
}

static void tree_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags)
{
	const struct tree_row *row = row_of(v, nodeid);
	struct buf *snapshot;
	struct vfs_open o = { .noflush = true };
	int r;

	if (nodeid == NODE_ASK) {
		ask_open(v, q, flags);
		return;
	}
	if (!row || !row->read || ((flags & O_ACCMODE) != O_RDONLY && !is_ctl(row))) {
		vfs_reply_err(q, row && row->read ? EROFS : ENOENT);
		return;
	}
	snapshot = malloc(sizeof(*snapshot));
	if (!snapshot) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	*snapshot = BUF_INIT(1 << 20);
	r = row->read(v, nodeid, snapshot);
	o.fh = (uint64_t)(uintptr_t)snapshot;
	o.direct_io = !row->exact;
	o.keep_cache = row->exact;
	if (r == 0 && q->ops->open(q->impl, &o) == 0)
		return;
	if (r < 0)
		vfs_reply_err(q, -r);
	buf_done(snapshot);
	free(snapshot);
}

static void tree_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f, const struct vfs_io *io)
{
	if (nodeid == NODE_ASK)
		ask_read(v, q, f, io);
	else
		vfs_reply_bytes(q, (const struct buf *)(uintptr_t)f->fh, io);
}

/* one order a write, as `echo pull NAME > ctl` does it */
static void write_ctl(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_io *io)
{
	AUTO_FREE char *text = io->size <= CTL_MAX ? str_dup_n(io->data, io->size) : NULL;
	int r = io->size > CTL_MAX ? -EINVAL : text ? 0 : -ENOMEM;

	if (r == 0)
		r = broker_models_order(v->broker, number_of(nodeid), text);
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->written(q->impl, io->size);
}

static void tree_write(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_file *f, const struct vfs_io *io)
{
	if (nodeid == NODE_ASK)
		ask_write(v, q, f, io);
	else if (is_ctl(row_of(v, nodeid)))
		write_ctl(v, q, nodeid, io);
	else
		vfs_reply_err(q, EROFS);
}

static void tree_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			 const struct vfs_file *f)
{
	struct buf *snapshot = (struct buf *)(uintptr_t)f->fh;

	if (nodeid == NODE_ASK) {
		ask_release(v, q, f);
		return;
	}
	buf_done(snapshot);
	free(snapshot);
	vfs_reply_err(q, 0);
}

static void tree_poll(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f, void *poll_handle)
{
	if (nodeid == NODE_ASK) {
		ask_poll(v, q, f, poll_handle);
		return;
	}
	if (poll_handle)
		v->notify.poll_drop(v->notify.impl, poll_handle);
	q->ops->poll(q->impl, VFS_POLL_ALWAYS);
}

/* names of a directory in table order; false: the buffer is full */
static bool list_rows(struct vfs *v, struct vfs_dir *d, uint64_t nodeid, uint64_t off)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vfs_entry e;

		if (rows[i].parent != nodeid || off > 2 + i)
			continue;
		fill_entry(v, &rows[i], rows[i].nodeid, &e);
		e.nodeid = 0; /* the kernel looks a room up itself: its attributes are not ours */
		if (!vfs_dir_add(d, rows[i].name, &e, 3 + i))
			return false;
	}
	return true;
}

static void list_backends(struct vfs *v, struct vfs_dir *d, uint64_t nodeid, uint64_t off)
{
	const char *const *names = broker_stats_backends(v->broker);
	struct vfs_entry e;

	if (nodeid != NODE_BACKENDS) {
		for (size_t i = off < 2 ? 0 : (size_t)off - 2; i < ARRAY_LEN(backend_rows); i++) {
			if (!has_row(v, number_of(nodeid), i))
				continue;
			fill_entry(v, &backend_rows[i], nodeid + 1 + i, &e);
			e.nodeid = 0;
			if (!vfs_dir_add(d, backend_rows[i].name, &e, 3 + i))
				return;
		}
		return;
	}
	for (size_t i = off < 2 ? 0 : off - 2; names && names[i]; i++) {
		fill_entry(v, &dir_row, NODE_BACKEND + BACKEND_NODES * i, &e);
		e.nodeid = 0;
		if (!vfs_dir_add(d, names[i], &e, 3 + i))
			return;
	}
}

static void tree_readdir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			 const struct vfs_file *f, const struct vfs_io *io, bool plus)
{
	struct vfs_dir d;

	(void)f;
	(void)plus;
	if (vfs_dir_begin(&d, q, io->size) < 0) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	vfs_dir_dots(v, &d, nodeid, io->off);
	if (list_rows(v, &d, nodeid, io->off) && nodeid >= NODE_BACKENDS)
		list_backends(v, &d, nodeid, io->off);
	vfs_dir_send(&d);
}

static void tree_statfs(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	struct statvfs st;

	(void)nodeid;
	if (fstatvfs(v->o.prompts_fd, &st) < 0)
		vfs_reply_err(q, errno);
	else
		q->ops->statfs(q->impl, &st);
}

const struct vfs_room_ops tree_ops = {
	.lookup = tree_lookup,
	.getattr = tree_getattr,
	.setattr = tree_setattr,
	.open = tree_open,
	.read = tree_read,
	.write = tree_write,
	.release = tree_release,
	.poll = tree_poll,
	.readdir = tree_readdir,
	.statfs = tree_statfs,
};
