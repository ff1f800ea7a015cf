/*
 * jobdir.c - items/ of a job: a directory of as many names as the job has lines
 *
 * They come in the order of their names, one after another from the broker. A cookie is how many were before;
 * what it means by name is kept for the last reply only, since the kernel goes back no further than into that
 * when its reader's buffer was full. Any other cookie is counted out from the beginning.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "vfs/responses.h"

#include "base/banned.h"

#define FIRST 2u /* the cookie of the first name: after the dots */

struct cursor {
	struct vfs_opened opened;
	uint64_t base; /* cookie of at[0] */
	char **at; /* at[i]: the name that cookie base + i comes after; at[0] of the beginning is "" */
	size_t n, cap;
};

static void forget_names(struct cursor *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->at[i]);
	c->n = 0;
}

static struct cursor *cursor_free(struct cursor *c)
{
	if (!c)
		return NULL;
	list_del(&c->opened.link);
	forget_names(c);
	free(c->at);
	free(c);
	return NULL;
}

static void left_open(struct vfs *v, struct vfs_opened *o)
{
	(void)v;
	(void)cursor_free(CONTAINER_OF(o, struct cursor, opened)); /* always NULL */
}

static int push(struct cursor *c, char *take_name)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		char **at = realloc(c->at, cap * sizeof(*at));

		if (!at) {
			free(take_name);
			return -ENOMEM;
		}
		c->at = at;
		c->cap = cap;
	}
	c->at[c->n++] = take_name;
	return 0;
}

void jobdir_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid)
{
	struct vfs_open out = { 0 };
	struct cursor *c = NULL;

	if (resptable_node(nodeid).kind == RESP_JOB_ITEMS) {
		c = calloc(1, sizeof(*c));
		if (!c) {
			vfs_reply_err(q, ENOMEM);
			return;
		}
		vfs_opened_add(v, &c->opened, left_open);
	}
	out.fh = (uint64_t)(uintptr_t)c;
	if (q->ops->open(q->impl, &out) != 0)
		(void)cursor_free(c); /* always NULL */
}

void jobdir_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		    const struct vfs_file *f)
{
	(void)v;
	(void)nodeid;
	(void)cursor_free((struct cursor *)(uintptr_t)f->fh); /* always NULL */
	vfs_reply_err(q, 0);
}

/* the name before the n-th */
static char *count_out(struct vfs *v, int64_t job, uint64_t n)
{
	AUTO_FREE char *name = strdup("");
	struct broker_view item;

	while (name && n-- > 0) {
		char *next = NULL;

		if (broker_bulk_next_item(v->broker, job, name, &next, &item) < 0)
			break; /* there are not so many now */
		free(name);
		name = next;
	}
	return TAKE(name);
}

static int seek_to(struct vfs *v, struct cursor *c, int64_t job, uint64_t off)
{
	char *name = NULL;

	if (off > FIRST && off >= c->base && off - c->base < c->n) {
		name = c->at[off - c->base];
		c->at[off - c->base] = NULL;
	} else {
		name = count_out(v, job, off - FIRST);
	}
	if (!name)
		return -ENOMEM;
	forget_names(c);
	c->base = off;
	return push(c, name);
}

static void fill(struct vfs *v, struct vfs_dir *d, struct cursor *c, int64_t job, bool plus)
{
	struct broker_view item;
	struct vfs_entry e;
	char *name;

	while (!broker_bulk_next_item(v->broker, job, c->at[c->n - 1], &name, &item)) {
		if (push(c, name) < 0)
			return; /* what fits was listed */
		if (responses_hidden(v, &item))
			continue;
		responses_dir_entry(v, &item, &e);
		if (!plus)
			e.nodeid = 0;
		if (!vfs_dir_add(d, name, &e, c->base + c->n - 1)) {
			free(c->at[--c->n]);
			return;
		}
	}
}

void jobdir_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, const struct vfs_file *f,
		 const struct vfs_io *io, bool plus)
{
	struct cursor *c = (struct cursor *)(uintptr_t)f->fh;
	uint64_t off = io->off < FIRST ? FIRST : io->off;
	int64_t job = resptable_node(nodeid).id;
	struct vfs_dir d;
	int r = c ? seek_to(v, c, job, off) : -EBADF;

	if (!r)
		r = vfs_dir_begin(&d, q, io->size);
	if (r < 0) {
		vfs_reply_err(q, -r);
		return;
	}
	vfs_dir_dots(v, &d, nodeid, io->off);
	if (!d.full)
		fill(v, &d, c, job, plus);
	vfs_dir_send(&d);
}

bool jobdir_empty(struct vfs *v, int64_t job)
{
	struct broker_view item = { 0 };
	char *name = NULL;
	bool empty = true;

	while (empty) {
		char *next = NULL;

		if (broker_bulk_next_item(v->broker, job, name ? name : "", &next, &item) < 0)
			break;
		free(name);
		name = next;
		empty = responses_hidden(v, &item);
	}
	free(name);
	return empty;
}
