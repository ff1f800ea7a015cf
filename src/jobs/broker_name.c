/* broker_name.c - names come, move and go */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mono.h"
#include "base/str.h"
#include "core/canon.h"
#include "jobs/inside.h"

#include "base/banned.h"

/* one change of names on its way to the ledger */
struct naming {
	struct ledger_post post;
	struct ledger_change change;
	struct broker *b;
	char *root, *path, *to_root, *to_path, *suffix;
	broker_done_fn *done;
	void *arg;
};

static void naming_free(struct naming *n)
{
	free(n->root);
	free(n->path);
	free(n->to_root);
	free(n->to_path);
	free(n->suffix);
	free(n);
}

static void naming_done(struct ledger_post *p, int result)
{
	struct naming *n = CONTAINER_OF(p, struct naming, post);
	broker_done_fn *done = n->done;
	void *arg = n->arg;

	naming_free(n);
	done(arg, result);
}

static struct naming *naming_new(struct broker *b, const char *root, const char *path,
				 broker_done_fn *done, void *arg)
{
	struct naming *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->b = b;
	n->done = done;
	n->arg = arg;
	n->root = strdup(root);
	n->path = strdup(path);
	if (n->root && n->path)
		return n;
	naming_free(n);
	return NULL;
}

static void naming_post(struct naming *n)
{
	n->change.root = n->root;
	n->change.path = n->path;
	n->change.to_root = n->to_root;
	n->change.to_path = n->to_path;
	n->post.changes = &n->change;
	n->post.n_changes = 1;
	n->post.done = naming_done;
	ledger_post(n->b->o.ledger, &n->post);
}

/* the running request of a name leaves it */
static void leave_name(struct broker *b, const char *root, const char *path)
{
	struct list waiters;
	struct job *j;

	list_init(&waiters);
	lock_take(&b->lock);
	j = job_by_name_locked(b, root, path);
	if (j) {
		job_ref(j);
		job_detach_locked(b, j, &waiters);
	}
	lock_drop(&b->lock);
	if (j && j->stream)
		stream_fail(j->stream, ECANCELED);
	job_wake_all(b, &waiters);
	if (j) {
		job_unref(b, j);
		job_unref(b, j);
	}
}

void broker_name_drop(struct broker *b, const char *root, const char *path, broker_done_fn *done,
		      void *arg)
{
	struct naming *n;

	leave_name(b, root, path);
	n = naming_new(b, root, path, done, arg);
	if (!n) {
		done(arg, -ENOMEM);
		return;
	}
	n->change.op = LEDGER_OP_DROP;
	naming_post(n);
}

void broker_name_dismiss(struct broker *b, const struct broker_name *name, broker_done_fn *done,
			 void *arg)
{
	struct naming *n;

	leave_name(b, name->root, name->path);
	n = naming_new(b, name->root, name->path, done, arg);
	if (n)
		n->suffix = strdup(name->suffix);
	if (!n || !n->suffix) {
		if (n)
			naming_free(n);
		done(arg, -ENOMEM);
		return;
	}
	n->change.op = LEDGER_OP_PUT;
	n->change.row = (struct ledger_row){ .id = ledger_next_id(b->o.ledger),
					     .state = LEDGER_DISMISSED,
					     .root = n->root,
					     .path = n->path,
					     .suffix = n->suffix,
					     .n = 1,
					     .accepted_ns = mono_real_ns(),
					     .final_ns = mono_real_ns() };
	naming_post(n);
}

/* ---- moving ---- */

/* a running job whose name a rename changes, and the new one */
struct renamed {
	struct job *job;
	char *root, *path;
};

struct renaming {
	const struct broker_move *m;
	struct renamed *v;
	size_t n, cap;
	bool failed;
};

/* the part of path behind dir, "" for dir itself; NULL: not there */
static const char *below(const char *path, const char *dir, bool tree)
{
	size_t n = strlen(dir);

	if (!tree)
		return strcmp(path, dir) == 0 ? "" : NULL;
	if (strncmp(path, dir, n) != 0 || path[n] != '/')
		return NULL;
	return path + n;
}

static void renaming_add(struct renaming *r, struct job *j, const char *root, char *take_path)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;
		struct renamed *v = realloc(r->v, cap * sizeof(*v));

		if (!v) {
			free(take_path);
			r->failed = true;
			return;
		}
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n] = (struct renamed){ j, strdup(root), take_path };
	r->failed |= !take_path || !r->v[r->n].root;
	r->n++;
}

static bool renaming_each(struct map_link *l, void *arg)
{
	struct renaming *r = arg;
	struct job *j = CONTAINER_OF(l, struct job, by_name);
	const struct broker_move *m = r->m;
	const char *rest = strcmp(j->root, m->root) ? NULL : below(j->path, m->path, m->tree);

	if (rest) {
		renaming_add(r, j, m->to_root, str_printf("%s%s", m->to_path, rest));
		return true;
	}
	rest = m->swap && !strcmp(j->root, m->to_root) ? below(j->path, m->to_path, m->tree) : NULL;
	if (rest)
		renaming_add(r, j, m->root, str_printf("%s%s", m->path, rest));
	return true;
}

static void rename_jobs(struct broker *b, const struct broker_move *m)
{
	struct renaming r = { .m = m };

	lock_take(&b->lock);
	if (m->tree || m->swap) {
		map_each(&b->by_name, renaming_each, &r);
	} else {
		struct job *j = job_by_name_locked(b, m->root, m->path);

		if (j)
			renaming_add(&r, j, m->to_root, strdup(m->to_path));
	}
	for (size_t i = 0; i < r.n && !r.failed; i++) {
		struct renamed *x =
			&r.v[i]; /* all leave before one comes: a swap must not meet itself */

		map_del(&b->by_name, &x->job->by_name);
		free(x->job->path);
		free(x->job->root);
		x->job->path = TAKE(x->path);
		x->job->root = TAKE(x->root);
		x->job->gen++;
	}
	for (size_t i = 0; i < r.n && !r.failed; i++)
		(void)job_table_locked(b, r.v[i].job, true);
	lock_drop(&b->lock);
	for (size_t i = 0; i < r.n; i++) {
		free(r.v[i].path);
		free(r.v[i].root);
	}
	free(r.v);
}

void broker_name_move(struct broker *b, const struct broker_move *m, broker_done_fn *done,
		      void *arg)
{
	struct naming *n = naming_new(b, m->root, m->path, done, arg);

	if (n) {
		n->to_root = strdup(m->to_root);
		n->to_path = strdup(m->to_path);
	}
	if (!n || !n->to_root || !n->to_path) {
		if (n)
			naming_free(n);
		done(arg, -ENOMEM);
		return;
	}
	if (!m->swap && !m->tree)
		leave_name(b, m->to_root, m->to_path);
	rename_jobs(b, m);
	n->change.op = m->tree ? (m->swap ? LEDGER_OP_SWAP_TREE : LEDGER_OP_MOVE_TREE)
			       : (m->swap ? LEDGER_OP_SWAP : LEDGER_OP_MOVE);
	naming_post(n);
}
