/* responses.c - the directory of one response: lookup, attributes, listing, removal */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/lock.h"
#include "vfs/hide.h"
#include "vfs/responses.h"

#include "base/banned.h"

/* ---- entries ---- */

static uint64_t node_of(const struct broker_view *view, enum response_kind kind, unsigned sample)
{
	bool done = view->state == BROKER_DONE;
	struct response_node n = { .id = view->id,
				   .kind = kind,
				   .sample = sample,
				   .gen = view->gen,
				   .pending = !done && kind != RESP_DIR };

	return resptable_pack(&n);
}

static double ttl_of(const struct broker_view *view)
{
	/* of a job not even then: it may be tried again, or written anew under its id */
	return view->state == BROKER_DONE && !view->bulk ? VFS_TTL_FOREVER : 0;
}

void responses_dir_entry(struct vfs *v, const struct broker_view *view, struct vfs_entry *out)
{
	*out = (struct vfs_entry){ .nodeid = node_of(view, RESP_DIR, 0) };
	out->entry_ttl_s = out->attr_ttl_s = ttl_of(view);
	vfs_fill_attr(v, &out->st, out->nodeid, S_IFDIR | 0755, 0, view->changed_ns);
}

/* the size a reader will see; 0 for what cannot be read yet */
static int size_of(struct vfs *v, const struct response_node *n, const struct broker_view *view,
		   bool nowait, uint64_t *out)
{
	struct respblob *b = NULL;
	enum broker_bulk_file f;
	struct stream *s;
	int r;

	*out = 0;
	if (resptable_job_file(n->kind, &f)) {
		r = broker_bulk_file_size(v->broker, n->id, f, out);
		return r == -EAGAIN || r == -ENOENT ? 0 : r; /* nothing there yet */
	}
	if (n->kind == RESP_STATUS)
		*out = strlen(resptable_word(view->state));
	else if (n->kind == RESP_CTL)
		*out = strlen(responses_ctl_words(v, view));
	else if (n->kind == RESP_ENTRY)
		*out = KEY_HEX;
	else if (n->kind == RESP_TEXT || n->kind == RESP_STREAM)
		*out = view->state == BROKER_DONE ? view->text_bytes : 0;
	else if (view->state == BROKER_DONE || n->kind == RESP_REQUEST || n->kind == RESP_USAGE ||
		 n->kind == RESP_ERROR) {
		r = respblob_get(v, resptable_pack(n), nowait, &b);
		if (r < 0)
			return r;
		*out = b->b.len;
		respblob_unref(v, b);
	}
	s = n->kind == RESP_STREAM && !broker_is_final(view->state)
		    ? broker_stream(v->broker, view->id)
		    : NULL;
	if (s)
		*out = stream_size(s);
	stream_unref(s);
	return 0;
}

static bool readable_now(enum response_kind kind, const struct broker_view *view)
{
	return view->state == BROKER_DONE || kind == RESP_STATUS || kind == RESP_CTL ||
	       kind == RESP_REQUEST || kind == RESP_ERROR || kind == RESP_USAGE ||
	       kind == RESP_STREAM || kind == RESP_JOB_STREAM || kind == RESP_JOB_PROGRESS ||
	       (view->bulk && broker_is_final(view->state));
}

static bool is_dir(enum response_kind kind)
{
	return kind == RESP_DIR || kind == RESP_SAMPLES || kind == RESP_SAMPLE ||
	       kind == RESP_JOB_ITEMS;
}

int responses_entry(struct vfs *v, const struct response_node *n, const struct broker_view *view,
		    bool nowait, struct vfs_entry *out)
{
	const struct response_name *name = resptable_name(n->kind);
	mode_t mode = name ? name->mode : S_IFDIR | 0755;
	unsigned sample = view->bulk ? resptable_version(n->kind, view) : n->sample;
	uint64_t size = 0, when;
	int r = 0;

	if (S_ISREG(mode) || S_ISLNK(mode))
		r = size_of(v, n, view, nowait, &size);
	if (r < 0)
		return r;
	when = readable_now(n->kind, view) || S_ISDIR(mode) ? view->changed_ns : 0;
	*out = (struct vfs_entry){ .nodeid = node_of(view, n->kind, sample) };
	out->entry_ttl_s = out->attr_ttl_s = ttl_of(view);
	vfs_fill_attr(v, &out->st, out->nodeid & ~(1ULL << 59), mode, size, when);
	return 0;
}

static bool shown(const struct response_name *name, const struct broker_view *view)
{
	unsigned when = resptable_when(view->state);

	if (name->kind == RESP_REQUEST && !view->has_request)
		return false;
	if (!(name->when & when))
		return false;
	if (view->state == BROKER_DONE && name->when & (view->embedding ? NAME_TEXT : NAME_VECTORS))
		return false;
	if (!(name->when & WHEN_IF_ANY) || view->state != BROKER_DONE)
		return true;
	return name->kind == RESP_REASONING ? view->has_reasoning : view->has_tool_calls;
}

/* a final name can be opened by name before it is listed, and after a failure to hear why */
static bool exists(const struct response_name *name, const struct broker_view *view)
{
	if (shown(name, view))
		return true;
	if (view->embedding && name->when & NAME_TEXT && !broker_is_final(view->state))
		return false; /* there will be none */
	return view->state != BROKER_DONE && (name->when & (NAME_WAITS | NAME_STREAM)) != 0;
}

static bool hidden(struct vfs *v, const struct broker_view *view, enum response_kind kind,
		   unsigned sample)
{
	return hide_has(v->hide, node_of(view, kind, sample));
}

bool responses_hidden(struct vfs *v, const struct broker_view *item)
{
	return hidden(v, item, RESP_DIR, 0);
}

const char *responses_ctl_words(struct vfs *v, const struct broker_view *view)
{
	AUTO_BUF struct buf root = BUF_INIT(8192);
	const char *words = resptable_ctl_words(view);

	/* a line is tried again with its job */
	if (*words == 'r' && !view->bulk && broker_root(v->broker, view->id, &root) == 0 &&
	    buf_str(&root)[0] == JOBDIR_ROOT)
		return "";
	return words;
}

/* ---- lookup ---- */

static const struct response_names *names_in(const struct response_node *dir,
					     const struct broker_view *view)
{
	if (dir->kind == RESP_SAMPLE)
		return &resptable_sample_names;
	return view->bulk ? &resptable_job_names : &resptable_names;
}

int responses_item(struct vfs *v, int64_t job, const char *name, struct broker_view *out)
{
	struct broker_view view;
	int r = broker_bulk_item(v->broker, job, name, &view);

	if (r == 0 && responses_hidden(v, &view))
		r = -ENOENT;
	if (r == 0)
		*out = view;
	return r;
}

static int find_name(struct vfs *v, const struct response_node *dir, const struct broker_view *view,
		     const char *name, struct response_node *out)
{
	const struct response_names *rows = names_in(dir, view);

	*out = *dir;
	if (dir->kind == RESP_SAMPLES) {
		unsigned long k = strtoul(name, NULL, 10);

		/* as it is listed and not otherwise: no sign, no zero before it */
		if (!name[0] || name[strspn(name, "0123456789")] || k >= view->n ||
		    (name[0] == '0' && name[1]))
			return -ENOENT;
		out->kind = RESP_SAMPLE;
		out->sample = (unsigned)k;
		return hidden(v, view, out->kind, out->sample) ? -ENOENT : 0;
	}
	for (size_t i = 0; i < rows->n; i++) {
		if (strcmp(rows->v[i].name, name) != 0)
			continue;
		out->kind = rows->v[i].kind;
		return exists(&rows->v[i], view) && !hidden(v, view, out->kind, out->sample)
			       ? 0
			       : -ENOENT;
	}
	return -ENOENT;
}

static bool lookup_again(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
			 bool nowait)
{
	struct response_node dir = resptable_node(a->nodeid), n;
	struct broker_view view;
	struct vfs_entry e;
	int r = broker_get(v->broker, dir.id, &view);

	if (r == 0 && dir.kind == RESP_JOB_ITEMS) {
		r = responses_item(v, dir.id, a->name, &view);
		if (r == 0) {
			jobdir_learn(v, dir.id, view.id);
			responses_dir_entry(v, &view, &e);
		}
	} else if (r == 0) {
		r = find_name(v, &dir, &view, a->name, &n);
		if (r == 0)
			r = responses_entry(v, &n, &view, nowait, &e);
	}
	if (r == -EAGAIN && nowait)
		return false;
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		(void)q->ops->entry(q->impl, &e); /* nothing is counted per lookup */
	return true;
}

static void responses_lookup(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			     const char *name)
{
	vfs_now_or_later(v, q, &(struct vfs_again){ .nodeid = parent, .name = name }, lookup_again);
}

static bool getattr_again(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
			  bool nowait)
{
	struct response_node n = resptable_node(a->nodeid);
	enum broker_bulk_file file;
	struct broker_view view;
	struct vfs_entry e = { 0 };
	int r = broker_get(v->broker, n.id, &view);

	if (r == 0 && n.kind == RESP_DIR)
		responses_dir_entry(v, &view, &e);
	else if (r == 0)
		r = responses_entry(v, &n, &view, nowait, &e);
	if (r == -EAGAIN && nowait)
		return false;
	if (r == 0 && a->file.fh && resptable_job_file(n.kind, &file))
		e.st.st_size = (off_t)respfile_size(&a->file);
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->attr(q->impl, &e.st, n.pending ? 0 : e.attr_ttl_s);
	return true;
}

static void responses_getattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			      const struct vfs_file *f)
{
	struct vfs_again a = { .nodeid = nodeid };

	if (f)
		a.file = *f;
	vfs_now_or_later(v, q, &a, getattr_again);
}

/* `echo cancel > ctl` truncates first */
static void responses_setattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			      const struct vfs_setattr *s)
{
	if (resptable_node(nodeid).kind == RESP_CTL && s->to_set == VFS_SET_SIZE)
		responses_getattr(v, q, nodeid, NULL);
	else
		vfs_reply_err(q, EROFS);
}

/* ---- listing ---- */

struct listed_name {
	struct response_node node;
	char text[32];
};

/* the i-th listed name of a directory: 0, -ENOENT: there are not so many, -ESTALE: it is not shown now */
static int listed(struct vfs *v, const struct response_node *dir, const struct broker_view *view,
		  size_t i, struct listed_name *out)
{
	const struct response_name *row;

	out->node = *dir;
	if (dir->kind == RESP_SAMPLES) {
		if (view->state != BROKER_DONE || i >= view->n)
			return -ENOENT;
		out->node.kind = RESP_SAMPLE;
		out->node.sample = (unsigned)i;
		(void)snprintf(out->text, sizeof(out->text), "%zu", i);
	} else {
		const struct response_names *rows = names_in(dir, view);

		if (i >= rows->n)
			return -ENOENT;
		row = &rows->v[i];
		if (!shown(row, view))
			return -ESTALE;
		out->node.kind = row->kind;
		(void)snprintf(out->text, sizeof(out->text), "%s", row->name);
	}
	return hidden(v, view, out->node.kind, out->node.sample) ? -ESTALE : 0;
}

static bool readdir_again(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
			  bool nowait)
{
	struct response_node dir = resptable_node(a->nodeid);
	struct listed_name name;
	struct broker_view view;
	struct vfs_dir d;
	int r = broker_get(v->broker, dir.id, &view);

	if (r < 0 || vfs_dir_begin(&d, q, a->io.size) < 0) {
		vfs_reply_err(q, r < 0 ? -r : ENOMEM);
		return true;
	}
	vfs_dir_dots(v, &d, a->nodeid, a->io.off);
	for (size_t i = a->io.off < 2 ? 0 : a->io.off - 2;; i++) {
		struct vfs_entry e = { 0 };

		r = listed(v, &dir, &view, i, &name);
		if (r == -ENOENT)
			break;
		if (r < 0)
			continue;
		r = responses_entry(v, &name.node, &view, nowait, &e);
		if (r == -EAGAIN && nowait) {
			free(d.buf);
			return false;
		}
		if (r < 0)
			continue; /* cannot be read: not listed */
		if (!a->plus)
			e.nodeid = 0;
		if (!vfs_dir_add(&d, name.text, &e, i + 3))
			break;
	}
	vfs_dir_send(&d);
	return true;
}

static void responses_readdir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			      const struct vfs_file *f, const struct vfs_io *io, bool plus)
{
	if (resptable_node(nodeid).kind == RESP_JOB_ITEMS)
		jobdir_read(v, q, nodeid, f, io, plus);
	else
		vfs_now_or_later(v, q,
				 &(struct vfs_again){ .nodeid = nodeid, .io = *io, .plus = plus },
				 readdir_again);
}

/* ---- removal: unlink hides, rmdir of the response's own directory (mirror.c) removes ---- */

static bool nothing_listed(struct vfs *v, const struct response_node *dir,
			   const struct broker_view *view)
{
	struct listed_name name;
	int r = 0;

	/* while it runs they come by themselves, and rm -r would never reach the rmdir: hiding loses nothing */
	if (dir->kind == RESP_JOB_ITEMS)
		return !broker_is_final(view->state) || jobdir_empty(v, view->id);
	for (size_t i = 0; r != -ENOENT; i++) {
		r = listed(v, dir, view, i, &name);
		if (r == 0)
			return false;
	}
	return true;
}

bool responses_empty(struct vfs *v, const struct broker_view *view)
{
	struct response_node dir = { .id = view->id, .kind = RESP_DIR, .gen = view->gen };

	return nothing_listed(v, &dir, view);
}

void responses_forget_hidden(struct vfs *v, int64_t id)
{
	hide_drop_children(v->hide, (uint64_t)id);
}

/* a line's directory in items/: it stays as long as the job */
static int remove_item(struct vfs *v, int64_t job, const char *name, bool directory)
{
	struct broker_view item = { 0 };
	int r = responses_item(v, job, name, &item);

	if (r == 0 && !directory)
		r = -EISDIR;
	if (r == 0 && !responses_empty(v, &item))
		r = -ENOTEMPTY;
	if (r < 0)
		return r;
	hide_add(v->hide, (uint64_t)job, node_of(&item, RESP_DIR, 0));
	responses_forget_hidden(v, item.id);
	return 0;
}

static int remove_file(struct vfs *v, const struct response_node *dir, const char *name,
		       bool directory)
{
	struct response_node n = { 0 };
	struct broker_view view;
	int r = broker_get(v->broker, dir->id, &view);

	if (r == 0)
		r = find_name(v, dir, &view, name, &n);
	if (r == 0 && is_dir(n.kind) != directory)
		r = directory ? -ENOTDIR : -EISDIR;
	if (r == 0 && directory && !nothing_listed(v, &n, &view))
		r = -ENOTEMPTY;
	if (r == 0)
		hide_add(v->hide, (uint64_t)view.id, node_of(&view, n.kind, n.sample));
	return r;
}

static void remove_name(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			bool directory)
{
	struct response_node dir = resptable_node(parent);
	int r = dir.kind == RESP_JOB_ITEMS ? remove_item(v, dir.id, name, directory)
					   : remove_file(v, &dir, name, directory);

	vfs_reply_err(q, -r);
}

static void responses_unlink(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			     const char *name)
{
	remove_name(v, q, parent, name, false);
}

static void responses_rmdir(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			    const char *name)
{
	remove_name(v, q, parent, name, true);
}

const struct vfs_room_ops responses_ops = {
	.lookup = responses_lookup,
	.getattr = responses_getattr,
	.setattr = responses_setattr,
	.readlink = respattr_readlink,
	.opendir = jobdir_open,
	.readdir = responses_readdir,
	.releasedir = jobdir_release,
	.unlink = responses_unlink,
	.rmdir = responses_rmdir,
	.open = respfile_open,
	.read = respfile_read,
	.write = respfile_write,
	.release = respfile_release,
	.poll = respfile_poll,
	.getxattr = respattr_get,
	.listxattr = respattr_list,
};
