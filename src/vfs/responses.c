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

/* files that were rendered lately: a size asked for at lookup is read a moment later */
#define BLOBS		8
#define BLOB_KEEP_BYTES (64u << 10) /* larger ones go when their last reader closes */

struct responses {
	struct lock lock;
	struct response_blob *blobs[BLOBS];
	unsigned next;
};

struct responses *responses_new(void)
{
	struct responses *r = calloc(1, sizeof(*r));

	if (r)
		lock_init(&r->lock, LOCK_NODE);
	return r;
}

static void blob_free(struct response_blob *b)
{
	buf_done(&b->b);
	free(b);
}

struct responses *responses_free(struct responses *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < BLOBS; i++)
		if (r->blobs[i])
			blob_free(r->blobs[i]);
	lock_done(&r->lock);
	free(r);
	return NULL;
}

/* ---- rendered files ---- */

static struct response_blob *blob_find(struct responses *r, uint64_t nodeid)
{
	LOCK_SCOPE(&r->lock);
	for (size_t i = 0; i < BLOBS; i++) {
		if (r->blobs[i] && r->blobs[i]->nodeid == nodeid) {
			r->blobs[i]->refs++;
			return r->blobs[i];
		}
	}
	return NULL;
}

void responses_blob_unref(struct vfs *v, struct response_blob *b)
{
	unsigned left;

	if (!b)
		return;
	lock_take(&v->responses->lock);
	left = --b->refs;
	lock_drop(&v->responses->lock);
	if (!left)
		blob_free(b);
}

static void blob_keep(struct vfs *v, struct response_blob *b)
{
	struct responses *r = v->responses;
	struct response_blob *old;

	lock_take(&r->lock);
	b->refs++;
	old = r->blobs[r->next];
	r->blobs[r->next] = b;
	r->next = (r->next + 1) % BLOBS;
	lock_drop(&r->lock);
	responses_blob_unref(v, old);
}

void responses_blob_trim(struct vfs *v, uint64_t nodeid)
{
	struct responses *r = v->responses;
	struct response_blob *gone = NULL;

	lock_take(&r->lock);
	for (size_t i = 0; i < BLOBS && !gone; i++) {
		struct response_blob *b = r->blobs[i];

		if (b && b->nodeid == nodeid && b->b.len > BLOB_KEEP_BYTES) {
			gone = b;
			r->blobs[i] = NULL;
		}
	}
	lock_drop(&r->lock);
	responses_blob_unref(v, gone);
}

/* the same file read as pending or as final is the same bytes: one blob for both */
static uint64_t blob_id(const struct response_node *n)
{
	struct response_node plain = *n;

	plain.pending = false;
	if (plain.kind == RESP_STREAM)
		plain.kind = RESP_TEXT;
	return resptable_pack(&plain);
}

int responses_blob(struct vfs *v, uint64_t nodeid, bool nowait, struct response_blob **out)
{
	struct response_node n = resptable_node(nodeid);
	const struct response_name *name = resptable_name(n.kind);
	struct response_blob *b = blob_find(v->responses, blob_id(&n));
	struct broker_file_id f;
	int r;

	if (b) {
		*out = b;
		return 0;
	}
	if (!name)
		return -ENOENT;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->refs = 1;
	b->nodeid = blob_id(&n);
	b->b = BUF_INIT(1u << 30);
	f = (struct broker_file_id){ n.id, name->file, n.sample, nowait };
	r = broker_render(v->broker, &f, &b->b);
	if (r < 0) {
		blob_free(b);
		return r;
	}
	blob_keep(v, b);
	*out = b;
	return 0;
}

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
	return view->state == BROKER_DONE ? VFS_TTL_FOREVER : 0;
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
	struct response_blob *b = NULL;
	struct stream *s;
	int r;

	*out = 0;
	if (n->kind == RESP_STATUS)
		*out = strlen(resptable_word(view->state));
	else if (n->kind == RESP_CTL)
		*out = strlen(resptable_ctl_words(view->state));
	else if (n->kind == RESP_ENTRY)
		*out = KEY_HEX;
	else if (n->kind == RESP_TEXT || n->kind == RESP_STREAM)
		*out = view->state == BROKER_DONE ? view->text_bytes : 0;
	else if (view->state == BROKER_DONE || n->kind == RESP_REQUEST || n->kind == RESP_USAGE ||
		 n->kind == RESP_ERROR) {
		r = responses_blob(v, resptable_pack(n), nowait, &b);
		if (r < 0)
			return r;
		*out = b->b.len;
		responses_blob_unref(v, b);
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
	       kind == RESP_STREAM;
}

int responses_entry(struct vfs *v, const struct response_node *n, const struct broker_view *view,
		    bool nowait, struct vfs_entry *out)
{
	const struct response_name *name = resptable_name(n->kind);
	mode_t mode = name ? name->mode : S_IFDIR | 0755;
	uint64_t size = 0, when;
	int r = 0;

	if (S_ISREG(mode) || S_ISLNK(mode))
		r = size_of(v, n, view, nowait, &size);
	if (r < 0)
		return r;
	when = readable_now(n->kind, view) || S_ISDIR(mode) ? view->changed_ns : 0;
	*out = (struct vfs_entry){ .nodeid = node_of(view, n->kind, n->sample) };
	out->entry_ttl_s = out->attr_ttl_s = ttl_of(view);
	vfs_fill_attr(v, &out->st, node_of(view, n->kind, n->sample) & ~(1ULL << 59), mode, size,
		      when);
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

/* ---- lookup ---- */

static int find_name(struct vfs *v, const struct response_node *dir, const struct broker_view *view,
		     const char *name, struct response_node *out)
{
	bool in_sample = dir->kind == RESP_SAMPLE;
	const struct response_name *rows = in_sample ? resptable_sample_names : resptable_names;
	size_t n = in_sample ? resptable_n_sample_names : resptable_n_names;

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
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		out->kind = rows[i].kind;
		return exists(&rows[i], view) && !hidden(v, view, out->kind, out->sample) ? 0
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

	if (r == 0)
		r = find_name(v, &dir, &view, a->name, &n);
	if (r == 0)
		r = responses_entry(v, &n, &view, nowait, &e);
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
	struct broker_view view;
	struct vfs_entry e = { 0 };
	int r = broker_get(v->broker, n.id, &view);

	if (r == 0 && n.kind == RESP_DIR)
		responses_dir_entry(v, &view, &e);
	else if (r == 0)
		r = responses_entry(v, &n, &view, nowait, &e);
	if (r == -EAGAIN && nowait)
		return false;
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->attr(q->impl, &e.st, n.pending ? 0 : e.attr_ttl_s);
	return true;
}

static void responses_getattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			      const struct vfs_file *f)
{
	(void)f;
	vfs_now_or_later(v, q, &(struct vfs_again){ .nodeid = nodeid }, getattr_again);
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
		size_t n = dir->kind == RESP_SAMPLE ? resptable_n_sample_names : resptable_n_names;

		if (i >= n)
			return -ENOENT;
		row = dir->kind == RESP_SAMPLE ? &resptable_sample_names[i] : &resptable_names[i];
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
	(void)f;
	vfs_now_or_later(v, q, &(struct vfs_again){ .nodeid = nodeid, .io = *io, .plus = plus },
			 readdir_again);
}

/* ---- removal: unlink hides, rmdir of the response's own directory (mirror.c) removes ---- */

static bool nothing_listed(struct vfs *v, const struct response_node *dir,
			   const struct broker_view *view)
{
	struct listed_name name;
	int r = 0;

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

static void remove_name(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name,
			bool directory)
{
	struct response_node dir = resptable_node(parent), n = { 0 };
	struct broker_view view;
	int r = broker_get(v->broker, dir.id, &view);
	bool is_dir;

	if (r == 0)
		r = find_name(v, &dir, &view, name, &n);
	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	is_dir = n.kind == RESP_SAMPLES || n.kind == RESP_SAMPLE;
	if (is_dir != directory) {
		vfs_reply_err(q, directory ? ENOTDIR : EISDIR);
		return;
	}
	if (directory && !nothing_listed(v, &n, &view)) {
		vfs_reply_err(q, ENOTEMPTY);
		return;
	}
	hide_add(v->hide, (uint64_t)view.id, node_of(&view, n.kind, n.sample));
	vfs_reply_err(q, 0);
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
	.readdir = responses_readdir,
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
