/*
 * prompts_op.c - operations at the broker
 *
 * A change in prompts/ is done in the backing directory at once; what it means for requests is told to the
 * broker in steps, each after the one before has been recorded, then the kernel forgets the names under
 * responses/, then the caller gets its answer. Two operations that concern the same names, or a directory
 * and something below it, are told in the order in which they happened.
 */
#include "vfs/prompts_inside.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "jobs/broker_ns.h"

#include "base/banned.h"

#define STEPS 4u
#define NAMES 4u

struct step {
	enum { DROP, MOVE, CHECK, FORGET } kind;
	char root[PROMPTS_SPACE_MAX + 1], to_root[PROMPTS_SPACE_MAX + 1]; /* of path, to */
	char *path, *to;
	bool tree, swap, or_check;
	struct prompts_doc *doc;
};

struct name {
	struct prompts_node *dir;
	char *name;
};

struct prompts_op {
	struct pool_task task;
	struct list link; /* waiting, running or dead */
	struct prompts_wait wait;
	struct prompts *p;
	struct prompts_node *nodes[2];
	struct step steps[STEPS];
	struct name names[NAMES];
	unsigned n_nodes, n_steps, step, n_names, name;
	bool changed;	 /* names under responses/ are others now */
	bool wait_final; /* the answer is given when the request is final */
	bool on_fuse;	 /* the FUSE thread is in the first step: small files may be read there */
	int code;
	int64_t id;
};

static void next(struct prompts_op *op);

static void waited(struct prompts_wait *w)
{
	struct prompts_op *op = LIST_ENTRY(w, struct prompts_op, wait);
	LOCK_SCOPE(&op->p->lock);

	list_append(&op->p->dead, &op->link);
}

struct prompts_op *prompts_op_new(struct prompts *p, bool naming)
{
	struct prompts_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->p = p;
	op->changed = naming;
	op->wait.done = waited;
	list_init(&op->link);
	return op;
}

void prompts_op_touch(struct prompts_op *op, struct prompts_node *n)
{
	if (!n)
		return;
	assert(op->n_nodes < ARRAY_LEN(op->nodes));
	prompts_node_pin(op->p, n);
	op->nodes[op->n_nodes++] = n;
}

static struct step *add(struct prompts_op *op)
{
	assert(op->n_steps < STEPS);
	return &op->steps[op->n_steps++];
}

void prompts_op_drop(struct prompts_op *op, const struct prompts_node *dir, char *take_path)
{
	struct step s = { .kind = DROP, .path = take_path };

	if (take_path && !prompts_node_root(op->p, dir, s.root)) {
		*add(op) = s;
		return;
	}
	free(take_path);
	op->code = ENOMEM;
}

void prompts_op_move(struct prompts_op *op, const struct prompts_op_names *m)
{
	struct step s = { .kind = MOVE,
			  .path = m->take_path,
			  .to = m->take_to,
			  .tree = m->tree,
			  .swap = m->swap,
			  .or_check = m->or_check };

	if (s.path && s.to && !prompts_node_root(op->p, m->dir, s.root) &&
	    !prompts_node_root(op->p, m->to_dir, s.to_root)) {
		*add(op) = s;
		return;
	}
	free(m->take_path);
	free(m->take_to);
	op->code = ENOMEM;
}

void prompts_op_forget_space(struct prompts_op *op, const char *name)
{
	struct step *s = add(op);

	*s = (struct step){ .kind = FORGET };
	(void)str_copy(s->root, sizeof(s->root), name); /* a namespace's name fits */
}

void prompts_op_check(struct prompts_op *op, struct prompts_doc *take_doc)
{
	if (!take_doc) {
		op->code = ENOMEM;
		return;
	}
	*add(op) = (struct step){ .kind = CHECK, .doc = take_doc };
	op->wait_final = take_doc->wait;
}

void prompts_op_forget(struct prompts_op *op, struct prompts_node *dir, const char *name,
		       size_t len)
{
	struct name *n = &op->names[op->n_names];

	assert(op->n_names < NAMES);
	n->name = str_dup_n(name, len);
	if (!n->name)
		return; /* the kernel finds out when its second is over */
	n->dir = dir;
	prompts_node_pin(op->p, dir);
	op->n_names++;
}

/* ---- order --------------------------------------------------------------------------------------- */

static bool is_below(const struct prompts *p, const struct prompts_node *n,
		     const struct prompts_node *dir)
{
	while (n && n != dir)
		n = prompts_node_get(p, n->parent);
	return n;
}

static bool busy_locked(const struct prompts *p, const struct prompts_node *n)
{
	const struct prompts_node *up = n;

	do {
		if (up->state.busy)
			return true;
		up = prompts_node_get(p, up->parent);
	} while (up);
	if (!S_ISDIR(n->fmt))
		return false;
	LIST_EACH(l, &p->running) {
		const struct prompts_op *op = LIST_ENTRY(l, struct prompts_op, link);

		for (unsigned i = 0; i < op->n_nodes; i++)
			if (is_below(p, op->nodes[i], n))
				return true;
	}
	return false;
}

static bool may_enter_locked(const struct prompts_op *op)
{
	for (unsigned i = 0; i < op->n_nodes; i++)
		if (busy_locked(op->p, op->nodes[i]))
			return false;
	return true;
}

static void enter_locked(struct prompts_op *op)
{
	for (unsigned i = 0; i < op->n_nodes; i++)
		op->nodes[i]->state.busy++;
	list_append(&op->p->running, &op->link);
}

bool prompts_op_quiet(struct prompts *p, struct prompts_node *n)
{
	LOCK_SCOPE(&p->lock);
	return list_empty(&p->waiting) && !busy_locked(p, n);
}

void prompts_op_run(struct prompts_op *op, const struct vfs_req *q)
{
	struct prompts *p = op->p;
	bool now;

	if (q)
		prompts_wait_owe(p, &op->wait, q);
	lock_take(&p->lock);
	now = list_empty(&p->waiting) && may_enter_locked(op);
	if (now)
		enter_locked(op);
	else
		list_append(&p->waiting, &op->link);
	lock_drop(&p->lock);
	if (now) {
		op->on_fuse = true;
		next(op);
	}
}

/* Its steps are over: those that waited for it may begin. They may be over at once, too: then whoever
 * began them here begins the next, or as many calls would be nested as there are operations waiting. */
static void leave(struct prompts_op *op)
{
	static _Thread_local bool beginning;
	struct prompts *p = op->p;

	lock_take(&p->lock);
	list_del(&op->link);
	for (unsigned i = 0; i < op->n_nodes; i++)
		op->nodes[i]->state.busy--;
	lock_drop(&p->lock);
	while (!beginning) {
		struct prompts_op *other = NULL;

		lock_take(&p->lock);
		if (!list_empty(&p->waiting)) {
			other = LIST_ENTRY(p->waiting.next, struct prompts_op, link);
			if (may_enter_locked(other)) {
				list_del(&other->link);
				enter_locked(other);
			} else {
				other = NULL;
			}
		}
		lock_drop(&p->lock);
		if (!other)
			return;
		beginning = true;
		next(other);
		beginning = false;
	}
}

/* ---- steps ---------------------------------------------------------------------------------------- */

static void forget_names(void *arg);

static void finish(struct prompts_op *op)
{
	if (op->wait_final && !op->code && op->id) {
		prompts_wait_final(&op->wait, op->id);
		return;
	}
	prompts_wait_answer(&op->wait, op->code);
	waited(&op->wait);
}

static void forget_names(void *arg)
{
	struct prompts_op *op = arg;

	if (op->changed && op->name < op->n_names) {
		const struct name *n = &op->names[op->name++];

		mirror_forget_name(op->p->v, n->dir->idx, n->name, forget_names, op);
		return;
	}
	finish(op);
}

/* what the broker could not record it says in its log; the files are where they are */
static void told(void *arg, int result)
{
	(void)result;
	next(arg);
}

static void space_told(void *arg, int result)
{
	struct prompts_op *op = arg;

	op->code = -result;
	next(op);
}

static bool known(const struct prompts_op *op, const char *root, const char *path)
{
	struct broker_view view;

	return broker_find(op->p->v->broker, root, path, &view) == 0;
}

/* each step: true when it has gone to the broker or the pool, and next() is called from there */
static bool drop(struct prompts_op *op, const char *root, const char *path)
{
	if (!known(op, root, path))
		return false;
	op->on_fuse = false;
	op->changed = true;
	broker_name_drop(op->p->v->broker, root, path, told, op);
	return true;
}

static bool move(struct prompts_op *op, const struct step *s)
{
	struct broker_move m = { .root = s->root,
				 .path = s->path,
				 .to_root = s->to_root,
				 .to_path = s->to,
				 .tree = s->tree,
				 .swap = s->swap };

	if (!s->tree && !s->swap && !known(op, s->root, s->path))
		return false;
	if (s->or_check)
		op->step++;
	if (!strcmp(s->path, s->to) && !strcmp(s->root, s->to_root))
		return false;
	op->on_fuse = false;
	broker_name_move(op->p->v->broker, &m, told, op);
	return true;
}

static void checked(void *arg, const struct broker_accepted *r)
{
	struct prompts_op *op = arg;
	const struct prompts_doc *d = op->steps[op->step - 1].doc;

	prompts_check_settle(op->p, d, r);
	if (d->report) {
		op->code = r->code;
		op->id = r->id;
	}
	if (!r->same && (r->id || r->code))
		op->changed = true;
	next(op);
}

static void check_now(struct pool_task *t)
{
	struct prompts_op *op = LIST_ENTRY(t, struct prompts_op, task);

	prompts_check_run(op->p, op->steps[op->step - 1].doc, checked, op);
}

/* the close of the last writer finds that the bytes were checked already: only send */
static bool sent(struct prompts_op *op, struct prompts_doc *d)
{
	struct prompts_state *s = &d->node->state;
	int64_t id = 0;
	bool clean;

	lock_take(&op->p->lock);
	d->version = s->version;
	clean = d->dirty_only && s->version == s->settled;
	if (clean && !s->sent) {
		id = s->id;
		s->sent = true;
	}
	lock_drop(&op->p->lock);
	if (id)
		broker_send(op->p->v->broker, id);
	return clean;
}

static bool check(struct prompts_op *op, struct prompts_doc *d)
{
	static const struct broker_accepted nothing = { .same = true };
	bool inside = op->on_fuse;
	uint64_t size;

	if (sent(op, d))
		return false;
	op->on_fuse = false;
	size = prompts_check_size(d);
	if (!size) {
		/* an empty file is a draft: nothing while somebody may still write, no request after that */
		prompts_check_settle(op->p, d, &nothing);
		return d->final && drop(op, d->root, d->path);
	}
	if (inside && (size <= PROMPTS_INLINE_MAX || prompts_name_job(d->suffix))) {
		check_now(&op->task);
		return true;
	}
	op->task.run = check_now;
	if (broker_post(op->p->v->broker, &op->task) < 0)
		check_now(&op->task); /* the pool is full or gone: rather slow than not at all */
	return true;
}

static bool run(struct prompts_op *op, struct step *s)
{
	switch (s->kind) {
	case DROP:
		return drop(op, s->root, s->path);
	case MOVE:
		return move(op, s);
	case CHECK:
		return check(op, s->doc);
	case FORGET:
		op->on_fuse = false;
		broker_ns_forget(op->p->v->broker, s->root, space_told, op);
		return true;
	}
	return false;
}

static void next(struct prompts_op *op)
{
	while (op->step < op->n_steps) {
		struct step *s = &op->steps[op->step++];

		if (run(op, s))
			return;
	}
	leave(op);
	forget_names(op);
}

/* ---- the end -------------------------------------------------------------------------------------- */

static void op_free(struct prompts_op *op)
{
	for (unsigned i = 0; i < op->n_steps; i++) {
		free(op->steps[i].path);
		free(op->steps[i].to);
		(void)prompts_check_free(op->steps[i].doc); /* always NULL */
	}
	for (unsigned i = 0; i < op->n_names; i++) {
		free(op->names[i].name);
		prompts_node_unpin(op->p, op->names[i].dir);
	}
	for (unsigned i = 0; i < op->n_nodes; i++)
		prompts_node_unpin(op->p, op->nodes[i]);
	free(op);
}

void prompts_op_cancel(struct prompts_op *op)
{
	if (op)
		op_free(op);
}

void prompts_op_reap(struct prompts *p)
{
	struct list dead, *l;

	list_init(&dead);
	lock_take(&p->lock);
	list_move_all(&dead, &p->dead);
	lock_drop(&p->lock);
	while ((l = list_pop(&dead)))
		op_free(LIST_ENTRY(l, struct prompts_op, link));
}
