/*
 * jobdir.c - items/ of a job: a directory of as many names as the job has lines
 *
 * They come in the order of their names, one after another from the broker. A cookie is how many were before;
 * what it means by name is kept for the last reply only, since the kernel goes back no further than into that
 * when its reader's buffer was full. Any other cookie is counted out from the beginning.
 *
 * The root of a line says which file's it is by that file's first row, while the file's own row is a new one
 * whenever it is written or tried again. So that a line's `entry` finds its way up, what was looked up through
 * which job is remembered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/map.h"
#include "vfs/responses.h"

#include "base/banned.h"

#define FIRST 2u /* the cookie of the first name: after the dots */
#define WAYS  (1u << 16)

struct cursor {
	struct vfs_opened opened;
	uint64_t base; /* cookie of at[0] */
	char **at; /* at[i]: the name that cookie base + i comes after; at[0] of the beginning is "" */
	size_t n, cap;
};

struct way {
	struct map_link link;
	int64_t lines, job;
	struct way *gone; /* while all are forgotten */
};

/* the FUSE thread's alone */
struct jobdir {
	struct map ways;
};

struct jobdir *jobdir_new(void)
{
	struct jobdir *j = calloc(1, sizeof(*j));

	if (j)
		map_init(&j->ways);
	return j;
}

static bool take_one(struct map_link *l, void *arg)
{
	struct way *w = CONTAINER_OF(l, struct way, link), **first = arg;

	w->gone = *first;
	*first = w;
	return true;
}

/* in one pass: to look for a first one each time takes seconds when there are many */
static void forget_ways(struct jobdir *j)
{
	struct way *w = NULL, *next;

	map_each(&j->ways, take_one, &w);
	map_done(&j->ways);
	map_init(&j->ways);
	for (; w; w = next) {
		next = w->gone;
		free(w);
	}
}

struct jobdir *jobdir_free(struct jobdir *j)
{
	if (!j)
		return NULL;
	forget_ways(j);
	map_done(&j->ways);
	free(j);
	return NULL;
}

static bool same_lines(const struct map_link *l, const void *key)
{
	return CONTAINER_OF(l, const struct way, link)->lines == *(const int64_t *)key;
}

static struct way *way_of(struct jobdir *j, int64_t lines)
{
	struct map_link *l = map_find(&j->ways, map_hash_u64((uint64_t)lines), same_lines, &lines);

	return l ? CONTAINER_OF(l, struct way, link) : NULL;
}

void jobdir_learn(struct vfs *v, int64_t job, int64_t item)
{
	AUTO_BUF struct buf root = BUF_INIT(8192);
	struct way *w;
	int64_t lines;

	if (broker_root(v->broker, item, &root) < 0 || buf_str(&root)[0] != JOBDIR_ROOT)
		return;
	lines = strtoll(buf_str(&root) + 1, NULL, 10);
	w = way_of(v->jobdir, lines);
	if (!w) {
		if (v->jobdir->ways.n >= WAYS)
			forget_ways(v->jobdir); /* the next look learns it again */
		w = calloc(1, sizeof(*w));
		if (!w || map_add(&v->jobdir->ways, &w->link, map_hash_u64((uint64_t)lines)) < 0) {
			free(w);
			return; /* its links lead nowhere */
		}
		w->lines = lines;
	}
	w->job = job;
}

int64_t jobdir_job_of(struct vfs *v, int64_t lines)
{
	struct way *w = way_of(v->jobdir, lines);

	return w ? w->job : 0;
}

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
	bool first = true;
	char *name;

	while (!broker_bulk_next_item(v->broker, job, c->at[c->n - 1], &name, &item)) {
		if (push(c, name) < 0)
			return; /* what fits was listed */
		if (first)
			jobdir_learn(v, job, item.id);
		first = false;
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
