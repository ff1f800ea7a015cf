/* models.c - models/BACKEND/MODEL.json: what each backend offers; names with slashes are directories */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/str.h"
#include "jobs/broker_models.h"
#include "vfs/inside.h"
#include "vfs/park.h"

#include "base/banned.h"

enum { MODEL_TEXT_MAX = 1 << 20, ENTRY_TTL_S = 1 };
#define SUFFIX ".json"

/* A node's number is never given to another name, and lists change seldom: what went stays in the table. */
struct node {
	struct map_link by_name;
	uint32_t number, parent; /* parent 0: the backend's directory */
	bool dir;
	size_t at; /* file: in the list; of a directory it means nothing */
	bool there;
	char *name;
};

struct shelf {
	struct catalog_list *list; /* the one that the nodes are of */
	struct node **nodes;	   /* number n is nodes[n - 1] */
	uint32_t n, cap;
	struct map by_name;
};

struct models {
	struct lock lock; /* LOCK_HANDLE */
	struct shelf *shelves;
	size_t n;
	struct list waits;
};

/* an operation below models/BACKEND; it may wait for the first list */
struct op {
	enum { OP_LOOKUP, OP_GETATTR, OP_OPENDIR, OP_OPEN } kind;
	uint64_t nodeid;
	const char *name; /* OP_LOOKUP */
};

struct wait {
	struct park park;
	struct catalog_waiter waiter;
	struct list link; /* models.lock */
	struct vfs *v;
	struct op op;
	char *name;
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

struct place {
	uint32_t parent;
	const char *name;
	size_t n;
};

static uint32_t place_hash(const struct place *k)
{
	return map_hash(k->name, k->n) ^ map_hash_u64(k->parent);
}

static bool place_equal(const struct map_link *l, const void *key)
{
	const struct node *n = CONTAINER_OF(l, const struct node, by_name);
	const struct place *k = key;

	return n->parent == k->parent && strlen(n->name) == k->n &&
	       memcmp(n->name, k->name, k->n) == 0;
}

static struct node *node_find(const struct shelf *s, const struct place *k)
{
	struct map_link *l = map_find(&s->by_name, place_hash(k), place_equal, k);

	return l ? CONTAINER_OF(l, struct node, by_name) : NULL;
}

/* its number, found or made; 0: out of memory */
static uint32_t node_make(struct shelf *s, const struct place *k, bool dir)
{
	struct node *n = node_find(s, k);

	if (n) {
		n->there = true;
		return n->dir == dir ? n->number : 0;
	}
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 64;
		struct node **more = realloc(s->nodes, cap * sizeof(struct node *));

		if (!more)
			return 0;
		s->nodes = more;
		s->cap = cap;
	}
	n = calloc(1, sizeof(*n));
	if (n)
		n->name = str_dup_n(k->name, k->n);
	if (!n || !n->name || map_add(&s->by_name, &n->by_name, place_hash(k))) {
		if (n)
			free(n->name);
		free(n);
		return 0;
	}
	n->parent = k->parent;
	n->dir = dir;
	n->there = true;
	s->nodes[s->n++] = n;
	n->number = s->n;
	return s->n;
}

static void add_model(struct shelf *s, const char *id, size_t at)
{
	AUTO_FREE char *file = NULL;
	const char *slash;
	uint32_t parent = 0, number;

	for (; (slash = strchr(id, '/')); id = slash + 1) {
		parent = node_make(s, &(struct place){ parent, id, (size_t)(slash - id) }, true);
		if (!parent)
			return; /* no memory: it can be asked all the same */
	}
	file = str_printf("%s" SUFFIX, id);
	if (!file)
		return;
	number = node_make(s, &(struct place){ parent, file, strlen(file) }, false);
	if (number)
		s->nodes[number - 1]->at = at;
}

/* The lock is held. Another list: its names are there, all others are not. */
static void sync_locked(struct vfs *v, struct shelf *s, struct catalog_list *take_list)
{
	const json_t *m;
	size_t i;

	if (!take_list || take_list == s->list) {
		broker_models_unref(v->broker, take_list);
		return;
	}
	broker_models_unref(v->broker, s->list);
	s->list = take_list;
	for (uint32_t k = 0; k < s->n; k++)
		s->nodes[k]->there = false;
	json_array_foreach(take_list->models, i, m) {
		add_model(s, json_string_value(json_object_get(m, "id")), i);
	}
}

/* ---- answers; the lock is held ---- */

static int text_locked(struct vfs *v, size_t backend, const struct node *n, struct buf *out)
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
	const struct node *n = number && number <= s->n ? s->nodes[number - 1] : NULL;
	uint64_t nodeid = node_id(backend, number);
	uint64_t time_ns = s->list ? s->list->fetched_real_ns : v->start_ns;
	struct buf text;
	int r;

	dir_entry(v, nodeid, time_ns, e);
	if (!number)
		return 0;
	if (!n || !n->there || !s->list)
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
	struct place k = { (uint32_t)o->nodeid, o->name, strlen(o->name) };
	struct node *n;
	struct vfs_entry e;
	int r = -ENOENT;

	lock_take(&m->lock);
	n = node_find(&m->shelves[backend], &k);
	if (n)
		r = entry_locked(v, backend, n->number, &e);
	lock_drop(&m->lock);
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
	for (uint32_t i = io->off < 2 ? 0 : (uint32_t)io->off - 2; i < s->n && !d.full; i++) {
		const struct node *n = s->nodes[i];
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
	uint32_t number = (uint32_t)o->nodeid;
	struct buf *text = malloc(sizeof(*text));
	struct vfs_open out = { .fh = (uint64_t)(uintptr_t)text,
				.direct_io = true,
				.noflush = true };
	int r = text ? -ENOENT : -ENOMEM;

	if (text)
		*text = BUF_INIT(0);
	lock_take(&m->lock);
	if (text && s->list && number && number <= s->n && s->nodes[number - 1]->there)
		r = text_locked(v, backend_of(o->nodeid), s->nodes[number - 1], text);
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

/* ---- waiting for the first list ---- */

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
	} else {
		(void)look(v, backend_of(w->op.nodeid)); /* what came, or nothing */
		run(v, &p->q, &w->op);
	}
	free(w->name);
	free(w);
}

static void wait_wake(struct catalog_waiter *c)
{
	park_wake(&CONTAINER_OF(c, struct wait, waiter)->park);
}

/* false: it is not to be waited for after all */
static bool wait_for_list(struct vfs *v, const struct vfs_req *q, const struct op *o)
{
	struct wait *w = calloc(1, sizeof(*w));

	if (!w)
		return false;
	w->v = v;
	w->op = *o;
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
	    !broker_models_wait(v->broker, backend_of(o->nodeid), &w->waiter)) {
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

static void operate(struct vfs *v, const struct vfs_req *q, const struct op *o)
{
	size_t backend = backend_of(o->nodeid);

	if (backend >= v->models->n) {
		vfs_reply_err(q, ENOENT);
		return;
	}
	if (look(v, backend) && !v->stopping) {
		if (wait_for_list(v, q, o))
			return;
		(void)look(v, backend); /* it came in between */
	}
	run(v, q, o);
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
		map_init(&m->shelves[i].by_name);
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
	for (size_t i = 0; m->shelves && i < m->n; i++) {
		struct shelf *s = &m->shelves[i];

		for (uint32_t k = 0; k < s->n; k++) {
			free(s->nodes[k]->name);
			free(s->nodes[k]);
		}
		free(s->nodes);
		map_done(&s->by_name);
	}
	free(m->shelves);
	lock_done(&m->lock);
	free(m);
	v->models = NULL;
}
