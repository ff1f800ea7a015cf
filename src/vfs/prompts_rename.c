/* prompts_rename.c - rename(2) under prompts/, and what it means for the requests of the names */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "vfs/prompts_ops.h"

#include "base/banned.h"

#define SAFE (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* one of the two names, before the rename */
struct side {
	struct prompts_node *dir,
		*node; /* node: what had the name, NULL: nothing the kernel knows */
	const char *name;
	int dirfd;
	mode_t fmt; /* 0: nothing is there */
	uint64_t size;
	const char *suffix; /* a regular file of this name is a request */
};

struct names {
	struct prompts *p;
	struct side a, b;
	bool same_dir, exchange;
	struct prompts_op *op;
};

static int find(struct prompts *p, uint64_t parent, const char *name, struct side *s)
{
	struct stat st;

	s->name = name;
	s->dir = prompts_node_get(p, VFS_REST(parent));
	if (!s->dir)
		return -ESTALE;
	s->dirfd = prompts_node_dirfd(p, s->dir);
	if (s->dirfd < 0)
		return s->dirfd;
	s->node = prompts_node_find(p, s->dir->idx, name);
	if (!fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		s->fmt = st.st_mode & S_IFMT;
		s->size = (uint64_t)st.st_size;
	}
	s->suffix = prompts_name_request(p, s->dir, name);
	return 0;
}

/* may a thing of this type live at `to`, when `from` in the same directory is no longer what it was? */
static int fits(const struct names *n, mode_t fmt, const struct side *to, const struct side *from)
{
	if (!S_ISREG(fmt) && !S_ISDIR(fmt))
		return 0;
	return prompts_name_conflict(n->p, to->dir, to->name, S_ISDIR(fmt),
				     n->same_dir ? from->name : NULL);
}

/* the two that change places, seen together: each fits with the rest, but also with the other? */
static bool clash(const struct names *n)
{
	const struct side *a = &n->a, *b = &n->b;

	if (!n->same_dir || !(S_ISREG(a->fmt) || S_ISDIR(a->fmt)) ||
	    !(S_ISREG(b->fmt) || S_ISDIR(b->fmt)))
		return false;
	return prompts_name_clash(n->p->v->o.suffixes, b->name, S_ISDIR(a->fmt), a->name,
				  S_ISDIR(b->fmt)) &&
	       prompts_name_sends(n->p, a->dir);
}

/* what is at `from` would be a single request at `to`, and is too long for that */
static bool too_big(const struct names *n, const struct side *from, const struct side *to)
{
	return S_ISREG(from->fmt) && from->size > n->p->v->o.max_request_bytes && to->suffix &&
	       !prompts_name_job(to->suffix);
}

/* the interface's own reasons to refuse */
static int allowed(const struct names *n)
{
	const struct side *a = &n->a, *b = &n->b;
	int r = fits(n, a->fmt, b, a);

	if (!r && n->exchange)
		r = fits(n, b->fmt, a, b);
	if (!r && n->exchange && clash(n))
		r = -EEXIST;
	if (!r && (too_big(n, a, b) || (n->exchange && too_big(n, b, a))))
		r = -EFBIG;
	return r;
}

/* the table follows the directory */
static void move_nodes(struct names *n, int take_fd)
{
	struct side *a = &n->a, *b = &n->b;

	if (n->exchange && b->node)
		(void)prompts_node_move(n->p, b->node, b->dir,
					"/"); /* failed: it is gone, looked up anew */
	else if (b->node)
		prompts_node_gone(n->p, b->node, take_fd);
	if (a->node)
		(void)prompts_node_move(n->p, a->node, b->dir, b->name); /* as above */
	if (n->exchange && b->node && !b->node->gone)
		(void)prompts_node_move(n->p, b->node, a->dir, a->name); /* as above */
}

static char *path_of(const struct names *n, const struct side *s, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT(PROMPTS_PATH_MAX);

	if (prompts_node_path(n->p, s->dir, &b) < 0 || (b.len && buf_addc(&b, '/') < 0) ||
	    buf_add(&b, s->name, len) < 0)
		return NULL;
	return buf_steal(&b, NULL);
}

static char *stem_path(const struct names *n, const struct side *s)
{
	return path_of(n, s, strlen(s->name) - strlen(s->suffix));
}

/* a finished file got a request's name: that is its last close */
static void check_at(struct names *n, struct prompts_node *node, const struct side *to)
{
	struct prompts_doc *d;
	int fd;

	if (!node || node->gone)
		return;
	if (node->writers) {
		prompts_file_changed(n->p, node);
		return;
	}
	fd = openat(to->dirfd, to->name, O_RDONLY | SAFE | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(to->dirfd, to->name, O_RDONLY | SAFE); /* only the owner's to ask for */
	d = prompts_check_doc(n->p, node, to->suffix, fd, fd >= 0);
	if (d)
		d->final = d->send = true;
	prompts_op_check(n->op, d);
}

/* sky.txt became sky.json: one name under responses/ */
static bool same_stem(const struct names *n)
{
	size_t a = strlen(n->a.name) - strlen(n->a.suffix);
	size_t b = strlen(n->b.name) - strlen(n->b.suffix);

	return n->same_dir && a == b && !memcmp(n->a.name, n->b.name, a);
}

/* a regular file went from one name to the other */
static void move_file(struct names *n, struct prompts_node *node, const struct side *from,
		      const struct side *to)
{
	struct prompts_op_names m = { .dir = from->dir, .to_dir = to->dir };

	if (from->suffix && to->suffix && !strcmp(from->suffix, to->suffix)) {
		m.take_path = stem_path(n, from);
		m.take_to = stem_path(n, to);
		m.or_check = node && !node->gone && !node->writers;
		prompts_op_move(n->op, &m);
		if (m.or_check)
			check_at(n, node, to);
		return;
	}
	/* .txt and .json are read differently: it is another request, though it may have the same stem */
	if (from->suffix && !(to->suffix && same_stem(n)))
		prompts_op_drop(n->op, from->dir, stem_path(n, from));
	if (to->suffix)
		check_at(n, node, to);
}

static void move_dir(struct names *n, const struct side *from, const struct side *to, bool swap)
{
	struct prompts_op_names m = { .dir = from->dir,
				      .to_dir = to->dir,
				      .take_path = path_of(n, from, strlen(from->name)),
				      .take_to = path_of(n, to, strlen(to->name)),
				      .tree = true,
				      .swap = swap };

	prompts_op_move(n->op, &m);
}

static void exchange(struct names *n)
{
	struct side *a = &n->a, *b = &n->b;
	struct prompts_op_names m = { .dir = a->dir, .to_dir = b->dir, .swap = true };

	if (S_ISDIR(a->fmt) && S_ISDIR(b->fmt)) {
		move_dir(n, a, b, true);
		return;
	}
	if (S_ISREG(a->fmt) && S_ISREG(b->fmt) && a->suffix && b->suffix &&
	    !strcmp(a->suffix, b->suffix)) {
		m.take_path = stem_path(n, a);
		m.take_to = stem_path(n, b);
		prompts_op_move(n->op, &m);
		return;
	}
	/* of unlike things each name begins anew: what had a request there and is none now has lost it */
	for (int i = 0; i < 2; i++) {
		struct side *from = i ? b : a, *to = i ? a : b;

		if (S_ISDIR(from->fmt))
			move_dir(n, from, to, false);
		else if (S_ISREG(from->fmt) && to->suffix)
			check_at(n, from->node, to);
		if (!S_ISREG(from->fmt) && S_ISREG(to->fmt) && to->suffix)
			prompts_op_drop(n->op, to->dir, stem_path(n, to));
	}
}

static void forget(struct names *n, const struct side *s, mode_t was, mode_t is)
{
	if ((S_ISREG(was) || S_ISREG(is)) && s->suffix)
		prompts_op_forget(n->op, s->dir, s->name, strlen(s->name) - strlen(s->suffix));
	if ((S_ISDIR(was) || S_ISDIR(is)) && s->name[0] != '.')
		prompts_op_forget(n->op, s->dir, s->name, strlen(s->name));
}

static void tell(struct names *n)
{
	const struct side *a = &n->a, *b = &n->b;

	if (n->exchange)
		exchange(n);
	else if (S_ISDIR(a->fmt))
		move_dir(n, a, b, false);
	else if (S_ISREG(a->fmt))
		move_file(n, a->node, a, b);
	/* a symbolic link is no request, and took the name of one */
	if (!n->exchange && !S_ISREG(a->fmt) && S_ISREG(b->fmt) && b->suffix)
		prompts_op_drop(n->op, b->dir, stem_path(n, b));
	forget(n, a, a->fmt, n->exchange ? b->fmt : 0);
	forget(n, b, b->fmt, a->fmt);
}

static int rename_now(struct names *n, unsigned flags)
{
	const struct side *a = &n->a, *b = &n->b;
	int fd = -1;

	/* who has the replaced file without an open descriptor, or stands in the directory, keeps it */
	if (!n->exchange && b->node && list_empty(&b->node->handles))
		fd = openat(b->dirfd, b->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (renameat2(a->dirfd, a->name, b->dirfd, b->name, flags) < 0) {
		int r = -errno;

		if (fd >= 0)
			(void)close(fd); /* O_PATH */
		return r;
	}
	move_nodes(n, fd);
	return 0;
}

void prompts_rename(struct vfs *v, const struct vfs_req *q, const struct vfs_rename *r)
{
	struct names n = { .p = v->prompts, .exchange = (r->flags & RENAME_EXCHANGE) != 0 };
	int code;

	prompts_op_reap(n.p);
	code = (r->flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ? -EINVAL : 0;
	if (!code)
		code = find(n.p, r->parent, r->name, &n.a);
	if (!code)
		code = find(n.p, r->to_parent, r->to_name, &n.b);
	/* the first descriptor is only lent until the second was found */
	if (!code)
		code = find(n.p, r->parent, r->name, &n.a);
	n.same_dir = n.a.dir == n.b.dir;
	if (!code)
		code = allowed(&n);
	if (!code) {
		n.op = prompts_op_new(n.p, true);
		code = n.op ? 0 : -ENOMEM;
	}
	if (!code) {
		prompts_op_touch(n.op, n.a.node);
		prompts_op_touch(n.op, n.b.node);
		code = rename_now(&n, r->flags);
	}
	if (!code) {
		tell(&n);
		prompts_op_run(n.op, q);
		return;
	}
	prompts_op_cancel(n.op);
	vfs_reply_err(q, -code);
}
