/* drafts.c - see drafts.h; once the file is sent, an open directory goes on as the response's */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "vfs/drafts.h"
#include "vfs/hide.h"
#include "vfs/responses.h"

#include "base/banned.h"

static const char draft_word[] = "draft\n";

/* bits 0..31 the prompts node, 32.. the kind */
static uint64_t node_of(uint32_t idx, enum response_kind kind)
{
	return VFS_NODE(VFS_DRAFT, (uint64_t)kind << 32 | idx);
}

static uint32_t idx_of(uint64_t nodeid)
{
	return (uint32_t)nodeid;
}

static enum response_kind kind_of(uint64_t nodeid)
{
	return (enum response_kind)(VFS_REST(nodeid) >> 32 & 0x1f);
}

static uint64_t changed_ns(struct vfs *v, uint32_t idx)
{
	struct stat st;

	if (prompts_attr(v, idx, &st) < 0)
		return v->start_ns;
	return (uint64_t)st.st_mtim.tv_sec * 1000000000ULL + (uint64_t)st.st_mtim.tv_nsec;
}

static void fill(struct vfs *v, uint32_t idx, enum response_kind kind, struct vfs_entry *out)
{
	const struct response_name *name = resptable_name(kind);
	mode_t mode = name ? name->mode : S_IFDIR | 0755;
	bool shown = !name || (name->when & WHEN_DRAFT);

	*out = (struct vfs_entry){ .nodeid = node_of(idx, kind),
				   .generation = prompts_generation(v, idx) };
	vfs_fill_attr(v, &out->st, out->nodeid, mode, kind == RESP_STATUS ? strlen(draft_word) : 0,
		      shown ? changed_ns(v, idx) : 0);
}

void drafts_dir_entry(struct vfs *v, uint32_t idx, struct vfs_entry *out)
{
	fill(v, idx, RESP_DIR, out);
}

static bool visible(struct vfs *v, uint32_t idx, const struct response_name *name)
{
	return (name->when & WHEN_DRAFT) && !hide_has(v->hide, node_of(idx, name->kind));
}

static const struct response_names *names_of(struct vfs *v, uint32_t idx)
{
	AUTO_BUF struct buf path = BUF_INIT(8192);
	struct prompts_at at;

	return prompts_path(v, idx, &path, &at) == 0 && str_ends(at.suffix, ".jsonl")
		       ? &resptable_job_names
		       : &resptable_names;
}

bool drafts_empty(struct vfs *v, uint32_t idx)
{
	const struct response_names *names = names_of(v, idx);

	for (size_t i = 0; i < names->n; i++)
		if (visible(v, idx, &names->v[i]))
			return false;
	return true;
}

/* the request that the file has become since the directory was looked up */
static bool sent_since(struct vfs *v, uint32_t idx, struct broker_view *out)
{
	AUTO_BUF struct buf path = BUF_INIT(8192);
	struct prompts_at at;

	return prompts_path(v, idx, &path, &at) == 0 &&
	       broker_find(v->broker, at.root, buf_str(&path), out) == 0 &&
	       out->state != BROKER_DISMISSED;
}

static uint64_t response_dir(const struct broker_view *view)
{
	struct response_node n = { .id = view->id, .kind = RESP_DIR, .gen = view->gen };

	return resptable_pack(&n);
}

static void drafts_lookup(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	const struct response_names *names;
	struct broker_view view;
	struct vfs_entry e;

	if (sent_since(v, idx_of(parent), &view)) {
		responses_ops.lookup(v, q, response_dir(&view), name);
		return;
	}
	names = names_of(v, idx_of(parent));
	for (size_t i = 0; i < names->n; i++) {
		const struct response_name *row = &names->v[i];

		if (strcmp(row->name, name) != 0)
			continue;
		if (!visible(v, idx_of(parent), row) && !(row->when & (NAME_WAITS | NAME_STREAM)))
			break;
		fill(v, idx_of(parent), row->kind, &e);
		(void)q->ops->entry(q->impl, &e); /* the directory's reference covers it */
		return;
	}
	vfs_reply_err(q, ENOENT);
}

static void drafts_forget(struct vfs *v, uint64_t nodeid, uint64_t n)
{
	if (kind_of(nodeid) == RESP_DIR)
		prompts_unref(v, idx_of(nodeid), n);
}

static void drafts_getattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			   const struct vfs_file *f)
{
	struct vfs_entry e;

	(void)f;
	fill(v, idx_of(nodeid), kind_of(nodeid), &e);
	q->ops->attr(q->impl, &e.st, 0);
}

static void drafts_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags)
{
	enum response_kind kind = kind_of(nodeid);

	(void)v;
	if (kind != RESP_STATUS && kind != RESP_CTL)
		vfs_reply_err(q, ENODATA);
	else if ((flags & O_ACCMODE) != O_RDONLY)
		vfs_reply_err(q, kind == RESP_CTL ? EINVAL : EROFS);
	else
		(void)q->ops->open(q->impl,
				   &(struct vfs_open){ .direct_io = true, .noflush = true });
}

static void drafts_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_file *f, const struct vfs_io *io)
{
	struct buf word = { (char *)(uintptr_t)draft_word, strlen(draft_word), 0, 0, 0 };

	(void)v;
	(void)f;
	if (kind_of(nodeid) != RESP_STATUS)
		word.len = 0;
	vfs_reply_bytes(q, &word, io);
}

static void drafts_readdir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			   const struct vfs_file *f, const struct vfs_io *io, bool plus)
{
	const struct response_names *names;
	struct broker_view view;
	struct vfs_entry e;
	struct vfs_dir d;

	if (sent_since(v, idx_of(nodeid), &view)) {
		responses_ops.readdir(v, q, response_dir(&view), f, io, plus);
		return;
	}
	if (vfs_dir_begin(&d, q, io->size) < 0) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	vfs_dir_dots(v, &d, nodeid, io->off);
	names = names_of(v, idx_of(nodeid));
	for (size_t i = io->off < 2 ? 0 : io->off - 2; i < names->n; i++) {
		if (!visible(v, idx_of(nodeid), &names->v[i]))
			continue;
		fill(v, idx_of(nodeid), names->v[i].kind, &e);
		if (!plus)
			e.nodeid = 0;
		if (!vfs_dir_add(&d, names->v[i].name, &e, i + 3))
			break;
	}
	vfs_dir_send(&d);
}

static void drafts_unlink(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	const struct response_names *names = names_of(v, idx_of(parent));

	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->v[i].name, name) != 0 ||
		    !visible(v, idx_of(parent), &names->v[i]))
			continue;
		hide_add(v->hide, parent, node_of(idx_of(parent), names->v[i].kind));
		vfs_reply_err(q, 0);
		return;
	}
	vfs_reply_err(q, ENOENT);
}

static void drafts_getxattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			    const struct vfs_xattr *x)
{
	(void)v;
	(void)nodeid;
	if (strcmp(x->name, "user.inferfs.status") == 0)
		vfs_reply_xattr(q, draft_word, strlen(draft_word) - 1, x->size);
	else
		vfs_reply_err(q, EOPNOTSUPP);
}

const struct vfs_room_ops drafts_ops = {
	.lookup = drafts_lookup,
	.forget = drafts_forget,
	.getattr = drafts_getattr,
	.open = drafts_open,
	.read = drafts_read,
	.readdir = drafts_readdir,
	.unlink = drafts_unlink,
	.getxattr = drafts_getxattr,
};
