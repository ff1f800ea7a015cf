/* models.c - models/BACKEND/MODEL.json: what each backend offers; names with slashes are directories */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/lock.h"
#include "jobs/broker_models.h"
#include "vfs/inside.h"
#include "vfs/modelnodes.h"
#include "vfs/park.h"

#include "base/banned.h"

enum { MODEL_TEXT_MAX = 1 << 20, ENTRY_TTL_S = 1 };
struct shelf {
	struct catalog_list *list; /* the one that the nodes are of */
	struct modelnodes names;
};

struct models {
	struct lock lock; /* LOCK_HANDLE */
	struct shelf *shelves;
	size_t n;
	struct list waits;
};

/* an operation below models/BACKEND; it may wait for the first list, and for what is asked of one model alone */
struct op {
	enum { OP_LOOKUP, OP_GETATTR, OP_OPENDIR, OP_OPEN } kind;
	uint64_t nodeid;
	const char *name; /* OP_LOOKUP */
	bool grows;	  /* OP_LOOKUP: more is on its way, ask for the size again */
};

struct wait {
	struct park park;
	struct catalog_waiter waiter;
	struct list link; /* models.lock */
	struct vfs *v;
	struct op op;
	char *name;
	bool of_one; /* the list is there: it waits for one model */
};

/* ---- nodes: the backend's number and the node's, both counted from 1 ---- */

static uint64_t node_id(size_t backend, uint32_t node)
{
	return VFS_NODE(VFS_MODELS, ((uint64_t)backend + 1) << 32 | node);
}

static size_t backend_of(uint64_t nodeid)
{
	return (size_t)(VFS_REST(nodeid) >> 32) - 1;
}

static bool is_top(uint64_t nodeid)
{
	return VFS_REST(nodeid) == 0;
}

/* The lock is held. Another list: its names are there, all others are not. */
static void sync_locked(struct vfs *v, struct shelf *s, struct catalog_list *take_list)
{
	if (!take_list || take_list == s->list) {
		broker_models_unref(v->broker, take_list);
		return;
	}
	broker_models_unref(v->broker, s->list);
	s->list = take_list;
	modelnodes_set(&s->names, take_list->models);
}

/* ---- answers; the lock is held ---- */

static int text_locked(struct vfs *v, size_t backend, const struct modelnode *n, struct buf *out)
{
	const struct catalog_list *l = v->models->shelves[backend].list;

	*out = BUF_INIT(MODEL_TEXT_MAX);
	return broker_models_text(v->broker, backend, l, json_array_get(l->models, n->at), out);
}

static void dir_entry(struct vfs *v, uint64_t nodeid, uint64_t time_ns, struct vfs_entry *e)
{
	*e = (struct vfs_entry){ .nodeid = nodeid,
				 .entry_ttl_s = ENTRY_TTL_S,
				 .attr_ttl_s = ENTRY_TTL_S };
	vfs_fill_attr(v, &e->st, nodeid, S_IFDIR | 0755, 0, time_ns);
}

static int entry_locked(struct vfs *v, size_t backend, uint32_t number, struct vfs_entry *e)
{
	struct shelf *s = &v->models->shelves[backend];
	const struct modelnode *n = modelnodes_get(&s->names, number);
	uint64_t nodeid = node_id(backend, number);
	uint64_t time_ns = s->list ? s->list->fetched_real_ns : v->start_ns;
	struct buf text;
	int r;

	dir_entry(v, nodeid, time_ns, e);
	if (!number)
		return 0;
	if (!n || !s->list)
		return -ENOENT;
	if (n->dir)
		return 0;
	r = text_locked(v, backend, n, &text);
	vfs_fill_attr(v, &e->st, nodeid, S_IFREG | 0644, text.len, time_ns);
	buf_done(&text);
	return r;
}

/* ---- operations; what they answer is made under the lock and sent without it ---- */

static void run_lookup(struct vfs *v, const struct vfs_req *q, const struct op *o)
{
	struct models *m = v->models;
	size_t backend = backend_of(o->nodeid);
	const struct modelnode *n;
	struct vfs_entry e;
	int r = -ENOENT;

	lock_take(&m->lock);
	n = modelnodes_find(&m->shelves[backend].names, (uint32_t)o->nodeid, o->name);
	if (n)
		r = entry_locked(v, backend, n->number, &e);
	lock_drop(&m->lock);
	if (o->grows)
		e.attr_ttl_s = 0;
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		(void)q->ops->entry(q->impl, &e); /* nodes are never forgotten */
}

static void run_getattr(struct vfs *v, const struct vfs_req *q, const struct op *o)
{
	struct vfs_entry e;
	int r;

	lock_take(&v->models->lock);
	r = entry_locked(v, backend_of(o->nodeid), (uint32_t)o->nodeid, &e);
	lock_drop(&v->models->lock);
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		q->ops->attr(q->impl, &e.st, e.attr_ttl_s);
}

static void list_shelf(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_io *io)
{
	struct models *m = v->models;
	struct shelf *s = &m->shelves[backend_of(nodeid)];
	struct vfs_dir d;

	if (vfs_dir_begin(&d, q, io->size) < 0) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	vfs_dir_dots(v, &d, nodeid, io->off);
	lock_take(&m->lock);
	for (uint32_t i = io->off < 2 ? 0 : (uint32_t)io->off - 2; i < s->names.n && !d.full; i++) {
		const struct modelnode *n = s->names.nodes[i];
		struct vfs_entry e = { 0 };

		if (n->parent != (uint32_t)nodeid || !n->there)
			continue;
		vfs_fill_attr(v, &e.st, node_id(backend_of(nodeid), i + 1),
			      n->dir ? S_IFDIR | 0755 : S_IFREG | 0644, 0, v->start_ns);
		if (!vfs_dir_add(&d, n->name, &e, 3 + i))
			break;
	}
	lock_drop(&m->lock);
	vfs_dir_send(&d);
}

static void run_open(struct vfs *v, const struct vfs_req *q, const struct op *o)
{
	struct models *m = v->models;
	struct shelf *s = &m->shelves[backend_of(o->nodeid)];
	const struct modelnode *n;
	struct buf *text = malloc(sizeof(*text));
	struct vfs_open out = { .fh = (uint64_t)(uintptr_t)text,
				.direct_io = true,
				.noflush = true };
	int r = text ? -ENOENT : -ENOMEM;

	if (text)
		*text = BUF_INIT(0);
	lock_take(&m->lock);
	n = modelnodes_get(&s->names, (uint32_t)o->nodeid);
	if (text && s->list && n && !n->dir)
		r = text_locked(v, backend_of(o->nodeid), n, text);
	lock_drop(&m->lock);
	if (r == 0 && q->ops->open(q->impl, &out) == 0)
		return;
	if (r < 0)
		vfs_reply_err(q, -r);
	if (text)
		buf_done(text);
	free(text);
}

static void run(struct vfs *v, const struct vfs_req *q, const struct op *o)
{
	if (o->kind == OP_LOOKUP)
		run_lookup(v, q, o);
	else if (o->kind == OP_GETATTR)
		run_getattr(v, q, o);
	else if (o->kind == OP_OPEN)
		run_open(v, q, o);
	else
		(void)q->ops->open(q->impl, &(struct vfs_open){ 0 }); /* nothing to undo */
}

/* true: the first list is on its way and worth waiting for */
static bool look(struct vfs *v, size_t backend)
{
	struct catalog_list *list = NULL;
	bool coming = broker_models_look(v->broker, backend, &list);

	lock_take(&v->models->lock);
	sync_locked(v, &v->models->shelves[backend], list);
	lock_drop(&v->models->lock);
	return coming;
}

/* ---- waiting for the first list, and for one model ---- */

static void look_at_one(struct vfs *v, const struct vfs_req *q, const struct op *o);

static bool wait_unwait(struct park *p)
{
	struct wait *w = CONTAINER_OF(p, struct wait, park);

	return broker_models_unwait(w->v->broker, &w->waiter);
}

static void wait_answer(struct park *p, bool interrupted)
{
	struct wait *w = CONTAINER_OF(p, struct wait, park);
	struct vfs *v = w->v;

	lock_take(&v->models->lock);
	list_del(&w->link);
	lock_drop(&v->models->lock);
	if (interrupted) {
		vfs_reply_err(&p->q, EINTR);
	} else if (w->of_one) {
		run(v, &p->q, &w->op);
	} else {
		(void)look(v, backend_of(w->op.nodeid)); /* what came, or nothing */
		look_at_one(v, &p->q, &w->op);
	}
	free(w->name);
	free(w);
}

static void wait_wake(struct catalog_waiter *c)
{
	park_wake(&CONTAINER_OF(c, struct wait, waiter)->park);
}

/* id NULL: for the list. false: it is not to be waited for after all */
static bool wait_for(struct vfs *v, const struct vfs_req *q, const struct op *o, const char *id)
{
	struct wait *w = calloc(1, sizeof(*w));
	size_t backend = backend_of(o->nodeid);

	if (!w)
		return false;
	w->v = v;
	w->op = *o;
	w->of_one = id != NULL;
	w->name = o->name ? strdup(o->name) : NULL;
	w->op.name = w->name;
	w->waiter.wake = wait_wake;
	list_init(&w->waiter.link);
	park_init(&w->park, q);
	w->park.unwait = wait_unwait;
	w->park.answer = wait_answer;
	lock_take(&v->models->lock);
	list_append(&v->models->waits, &w->link);
	lock_drop(&v->models->lock);
	if ((o->name && !w->name) ||
	    !(id ? broker_models_wait_one(v->broker, backend, id, &w->waiter)
		 : broker_models_wait(v->broker, backend, &w->waiter))) {
		lock_take(&v->models->lock);
		list_del(&w->link);
		lock_drop(&v->models->lock);
		free(w->name);
		free(w);
		return false;
	}
	park_armed(&w->park);
	return true;
}

/* the id of the file that the operation is about, the caller's; NULL: it is about none */
static char *id_of(struct vfs *v, const struct op *o)
{
	const struct shelf *s = &v->models->shelves[backend_of(o->nodeid)];
	const struct modelnode *n;

	LOCK_SCOPE(&v->models->lock);
	n = o->kind == OP_LOOKUP ? modelnodes_find(&s->names, (uint32_t)o->nodeid, o->name)
				 : modelnodes_get(&s->names, (uint32_t)o->nodeid);
	if (!n || !n->there || n->dir || !s->list)
		return NULL;
	return strdup(
		json_string_value(json_object_get(json_array_get(s->list->models, n->at), "id")));
}

/*
 * A file's size is what is known of its model, so every look at the file itself wants that. A lookup does not wait for
 * it: the kernel makes others that look for the same name wait for that one, and they could not be interrupted.
 */
static void look_at_one(struct vfs *v, const struct vfs_req *q, const struct op *o)
{
	char *id = o->kind == OP_OPENDIR ? NULL : id_of(v, o);
	bool coming = id && broker_models_one(v->broker, backend_of(o->nodeid), id);
	bool waits = coming && o->kind != OP_LOOKUP && !v->stopping && wait_for(v, q, o, id);
	struct op now = *o;

	free(id);
	now.grows = coming && o->kind == OP_LOOKUP;
	if (!waits)
		run(v, q, &now);
}

static void operate(struct vfs *v, const struct vfs_req *q, const struct op *o)
{
	size_t backend = backend_of(o->nodeid);

	if (backend >= v->models->n) {
		vfs_reply_err(q, ENOENT);
		return;
	}
	if (look(v, backend) && !v->stopping) {
		if (wait_for(v, q, o, NULL))
			return;
		(void)look(v, backend); /* it came in between */
	}
	look_at_one(v, q, o);
}

/* The lock is held over unwait, so that no answer can free what is looked at. */
void models_stop(struct vfs *v)
{
	for (;;) {
		struct wait *mine = NULL;

		lock_take(&v->models->lock);
		LIST_EACH(l, &v->models->waits) {
			struct wait *w = LIST_ENTRY(l, struct wait, link);

			if (!broker_models_unwait(v->broker, &w->waiter))
				continue;
			mine = w;
			break;
		}
		lock_drop(&v->models->lock);
		if (!mine)
			return;
		park_wake(&mine->park);
	}
}

/* ---- the room ---- */

static void models_lookup(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	const char *const *names = broker_stats_backends(v->broker);
	struct vfs_entry e;

	if (!is_top(parent)) {
		operate(v, q, &(struct op){ .kind = OP_LOOKUP, .nodeid = parent, .name = name });
		return;
	}
	for (size_t i = 0; i < v->models->n; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		dir_entry(v, node_id(i, 0), v->start_ns, &e);
		(void)q->ops->entry(q->impl, &e); /* nodes are never forgotten */
		return;
	}
	vfs_reply_err(q, ENOENT);
}

static void models_getattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			   const struct vfs_file *f)
{
	struct vfs_entry e;

	(void)f;
	if (!is_top(nodeid) && (uint32_t)nodeid) {
		operate(v, q, &(struct op){ .kind = OP_GETATTR, .nodeid = nodeid });
		return;
	}
	/* the directories themselves are there without any list */
	dir_entry(v, nodeid, v->start_ns, &e);
	q->ops->attr(q->impl, &e.st, e.attr_ttl_s);
}

static void models_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags)
{
	if ((flags & O_ACCMODE) != O_RDONLY)
		vfs_reply_err(q, EROFS);
	else
		operate(v, q, &(struct op){ .kind = OP_OPEN, .nodeid = nodeid });
}

static void models_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_file *f, const struct vfs_io *io)
{
	(void)v;
	(void)nodeid;
	vfs_reply_bytes(q, (const struct buf *)(uintptr_t)f->fh, io);
}

static void models_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			   const struct vfs_file *f)
{
	struct buf *text = (struct buf *)(uintptr_t)f->fh;

	(void)v;
	(void)nodeid;
	buf_done(text);
	free(text);
	vfs_reply_err(q, 0);
}

static void list_top(struct vfs *v, const struct vfs_req *q, const struct vfs_io *io)
{
	const char *const *names = broker_stats_backends(v->broker);
	struct vfs_dir d;

	if (vfs_dir_begin(&d, q, io->size) < 0) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	vfs_dir_dots(v, &d, VFS_NODE(VFS_MODELS, 0), io->off);
	for (size_t i = io->off < 2 ? 0 : (size_t)io->off - 2; i < v->models->n; i++) {
		struct vfs_entry e;

		dir_entry(v, node_id(i, 0), v->start_ns, &e);
		e.nodeid = 0;
		if (!vfs_dir_add(&d, names[i], &e, 3 + i))
			break;
	}
	vfs_dir_send(&d);
}

static void models_readdir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			   const struct vfs_file *f, const struct vfs_io *io, bool plus)
{
	(void)f;
	(void)plus;
	if (is_top(nodeid))
		list_top(v, q, io);
	else
		list_shelf(v, q, nodeid, io);
}

/* The wait is here and not in readdir: libfuse 3.14 lets the kernel hold a lock of the directory over that,
 * and whoever wanted it too could not be interrupted. */
static void models_opendir(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	if (is_top(nodeid))
		(void)q->ops->open(q->impl, &(struct vfs_open){ 0 }); /* nothing to undo */
	else
		operate(v, q, &(struct op){ .kind = OP_OPENDIR, .nodeid = nodeid });
}

const struct vfs_room_ops models_ops = {
	.lookup = models_lookup,
	.getattr = models_getattr,
	.open = models_open,
	.read = models_read,
	.release = models_release,
	.opendir = models_opendir,
	.readdir = models_readdir,
};

int models_new(struct vfs *v)
{
	const char *const *names = broker_stats_backends(v->broker);
	struct models *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	while (names && names[m->n])
		m->n++;
	m->shelves = calloc(m->n + 1, sizeof(*m->shelves));
	for (size_t i = 0; m->shelves && i < m->n; i++)
		modelnodes_init(&m->shelves[i].names);
	lock_init(&m->lock, LOCK_HANDLE);
	list_init(&m->waits);
	v->models = m;
	return m->shelves ? 0 : -ENOMEM;
}

void models_close(struct vfs *v)
{
	for (size_t i = 0; v->models && v->models->shelves && i < v->models->n; i++) {
		broker_models_unref(v->broker, v->models->shelves[i].list);
		v->models->shelves[i].list = NULL;
	}
}

void models_free(struct vfs *v)
{
	struct models *m = v->models;

	if (!m)
		return;
	for (size_t i = 0; m->shelves && i < m->n; i++)
		modelnodes_done(&m->shelves[i].names);
	free(m->shelves);
	lock_done(&m->lock);
	free(m);
	v->models = NULL;
}
