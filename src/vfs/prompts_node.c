/* prompts_node.c - the nodes of prompts/: a slab by index, names in a hash table, open directories */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/str.h"

#include "base/banned.h"

#define CHUNK 512u
/* components opened with one call: each has at most NAME_MAX bytes, all together less than PATH_MAX */
#define STEPS 15u

struct prompts_chunk {
	struct prompts_node nodes[CHUNK];
};

struct name_key {
	uint32_t parent;
	const char *name;
};

static struct prompts_node *at(const struct prompts *p, uint32_t idx)
{
	return &p->chunks[idx / CHUNK]->nodes[idx % CHUNK];
}

/* prompts/ and namespaces/: always there */
static bool fixed(const struct prompts_node *n)
{
	return n->idx <= PROMPTS_SPACES;
}

static int fixed_fd(const struct prompts *p, const struct prompts_node *n)
{
	int fd = n->idx == PROMPTS_ROOT ? p->v->o.prompts_fd : p->v->o.namespaces_fd;

	return fd < 0 ? -ENOENT : fd;
}

static uint32_t hash_name(uint32_t parent, const char *name)
{
	return map_hash(name, strlen(name)) ^ map_hash_u64(parent);
}

static bool same_name(const struct map_link *l, const void *key)
{
	const struct name_key *k = key;
	const struct prompts_node *n =
		(const void *)((const char *)l - offsetof(struct prompts_node, by_name));

	return n->parent == k->parent && !strcmp(n->name, k->name);
}

static int grow(struct prompts *p)
{
	struct prompts_chunk **list, *c = calloc(1, sizeof(*c));
	uint32_t first = p->n_chunks * CHUNK;

	if (!c)
		return -ENOMEM;
	LOCK_SCOPE(&p->lock);
	list = realloc(p->chunks, (p->n_chunks + 1) * sizeof(struct prompts_chunk *));
	if (!list) {
		free(c);
		return -ENOMEM;
	}
	p->chunks = list;
	list[p->n_chunks++] = c;
	for (uint32_t i = CHUNK; i-- > 0;) {
		c->nodes[i].idx = first + i;
		/* 0 is no index, the next two are the mount's own for ever */
		if (first + i <= PROMPTS_SPACES)
			continue;
		c->nodes[i].parent = p->free_head;
		p->free_head = first + i;
	}
	return 0;
}

static void fill(struct prompts_node *n, uint32_t parent, char *take_name, const struct stat *st)
{
	uint32_t idx = n->idx, generation = n->generation;

	memset(n, 0, sizeof(*n));
	n->idx = idx;
	n->generation = generation + 1;
	n->parent = parent;
	n->name = take_name;
	n->fmt = (uint16_t)(st->st_mode & S_IFMT);
	n->ino = st->st_ino;
	n->fd = -1;
	n->slot = PROMPTS_DIRS;
	list_init(&n->handles);
}

int prompts_node_init(struct prompts *p)
{
	struct stat st = { .st_mode = S_IFDIR };

	map_init(&p->names);
	for (unsigned i = 0; i < PROMPTS_DIRS; i++)
		p->dirs[i].fd = -1;
	if (grow(p) < 0)
		return -ENOMEM;
	fill(at(p, PROMPTS_ROOT), 0, NULL, &st);
	fill(at(p, PROMPTS_SPACES), 0, NULL, &st);
	at(p, PROMPTS_ROOT)->top = true;
	return 0;
}

void prompts_node_done(struct prompts *p)
{
	for (uint32_t i = 0; i < p->n_chunks; i++) {
		for (uint32_t k = 0; k < CHUNK; k++) {
			struct prompts_node *n = &p->chunks[i]->nodes[k];

			if (n->fmt && n->fd >= 0)
				(void)close(n->fd); /* O_PATH: nothing can fail */
			free(n->fmt ? n->name : NULL);
		}
		free(p->chunks[i]);
	}
	for (unsigned i = 0; i < PROMPTS_DIRS; i++)
		if (p->dirs[i].fd >= 0)
			(void)close(p->dirs[i].fd); /* as above */
	free(p->chunks);
	map_done(&p->names);
}

struct prompts_node *prompts_node_get(const struct prompts *p, uint64_t idx)
{
	struct prompts_node *n;

	if (!idx || idx / CHUNK >= p->n_chunks)
		return NULL;
	n = at(p, (uint32_t)idx);
	return n->fmt ? n : NULL;
}

struct prompts_node *prompts_node_find(const struct prompts *p, uint32_t parent, const char *name)
{
	struct name_key k = { parent, name };
	struct map_link *l = map_find(&p->names, hash_name(parent, name), same_name, &k);

	return l ? LIST_ENTRY(l, struct prompts_node, by_name) : NULL;
}

static struct prompts_node *add(struct prompts *p, struct prompts_node *parent, const char *name,
				const struct stat *st)
{
	struct prompts_node *n = NULL;
	char *copy = strdup(name);
	uint32_t next;

	if (!copy || (!p->free_head && grow(p) < 0)) {
		free(copy);
		return NULL;
	}
	lock_take(&p->lock);
	n = at(p, p->free_head);
	next = n->parent;
	fill(n, parent->idx, copy, st);
	n->top = parent->parent == PROMPTS_SPACES;
	if (map_add(&p->names, &n->by_name, hash_name(parent->idx, name)) < 0) {
		n->fmt = 0;
		n->name = NULL;
		n->parent = next;
		n = NULL;
	} else {
		p->free_head = next;
		parent->children++;
	}
	lock_drop(&p->lock);
	if (!n)
		free(copy);
	return n;
}

struct prompts_node *prompts_node_take(struct prompts *p, struct prompts_node *parent,
				       const char *name, const struct stat *st)
{
	struct prompts_node *n = prompts_node_find(p, parent->idx, name);

	/* the name has another file now: somebody changed the state directory behind the mount */
	if (n && (n->ino != st->st_ino || n->fmt != (st->st_mode & S_IFMT))) {
		prompts_node_gone(p, n, -1);
		n = NULL;
	}
	if (!n)
		n = add(p, parent, name, st);
	if (n)
		n->lookups += n->lookups < UINT32_MAX; /* that many stay for ever */
	return n;
}

/* take it from its parent's names; the lock is held. Returns the parent's index, 0: it had none */
static uint32_t cut_locked(struct prompts *p, struct prompts_node *n)
{
	uint32_t parent = n->parent;

	if (!parent)
		return 0;
	map_del(&p->names, &n->by_name);
	at(p, parent)->children--;
	n->parent = 0;
	return parent;
}

static void close_slot(struct prompts *p, struct prompts_node *n)
{
	if (n->slot >= PROMPTS_DIRS)
		return;
	(void)close(p->dirs[n->slot].fd); /* O_PATH */
	p->dirs[n->slot].fd = -1;
	n->slot = PROMPTS_DIRS;
}

static bool idle(const struct prompts_node *n)
{
	return !fixed(n) && !n->lookups && !n->children && !n->pins && list_empty(&n->handles);
}

/* free it and what only its existence kept */
static void sweep(struct prompts *p, struct prompts_node *n)
{
	while (n && idle(n)) {
		uint32_t parent;
		char *name = n->name;

		close_slot(p, n);
		if (n->fd >= 0)
			(void)close(n->fd); /* O_PATH */
		lock_take(&p->lock);
		parent = cut_locked(p, n);
		n->fmt = 0;
		n->name = NULL;
		n->parent = p->free_head;
		p->free_head = n->idx;
		lock_drop(&p->lock);
		free(name);
		n = parent ? at(p, parent) : NULL;
	}
}

void prompts_node_unref(struct prompts *p, struct prompts_node *n, uint64_t lookups)
{
	if (fixed(n) || n->lookups == UINT32_MAX)
		return;
	n->lookups -= lookups < n->lookups ? (uint32_t)lookups : n->lookups;
	sweep(p, n);
}

void prompts_node_pin(struct prompts *p, struct prompts_node *n)
{
	(void)p; /* as unpin; the count is the FUSE thread's alone */
	n->pins++;
}

void prompts_node_unpin(struct prompts *p, struct prompts_node *n)
{
	n->pins--;
	sweep(p, n);
}

void prompts_node_gone(struct prompts *p, struct prompts_node *n, int take_fd)
{
	uint32_t parent;

	if (n->slot < PROMPTS_DIRS && take_fd < 0) {
		take_fd = p->dirs[n->slot].fd;
		p->dirs[n->slot].fd = -1;
		n->slot = PROMPTS_DIRS;
	}
	close_slot(p, n);
	lock_take(&p->lock);
	parent = cut_locked(p, n);
	n->gone = true;
	lock_drop(&p->lock);
	n->fd = take_fd;
	if (parent)
		sweep(p, at(p, parent));
	sweep(p, n);
}

int prompts_node_move(struct prompts *p, struct prompts_node *n, struct prompts_node *parent,
		      const char *name)
{
	char *copy = strdup(name), *old = n->name;
	uint32_t from = 0;
	int r = copy ? 0 : -ENOMEM;

	lock_take(&p->lock);
	if (copy) {
		from = cut_locked(p, n);
		r = map_add(&p->names, &n->by_name, hash_name(parent->idx, copy));
	}
	if (!r) {
		n->name = copy;
		n->parent = parent->idx;
		parent->children++;
	}
	lock_drop(&p->lock);
	free(r ? copy : old);
	if (r < 0)
		prompts_node_gone(p, n, -1);
	if (from)
		sweep(p, at(p, from));
	return r;
}

/* a slot of the open directories, by clock; its former owner lets go */
static void keep(struct prompts *p, struct prompts_node *dir, int take_fd)
{
	unsigned i;

	for (;;) {
		i = p->hand;
		p->hand = (p->hand + 1) % PROMPTS_DIRS;
		if (p->dirs[i].fd < 0 || !p->dirs[i].used)
			break;
		p->dirs[i].used = false;
	}
	if (p->dirs[i].fd >= 0)
		close_slot(p, at(p, p->dirs[i].idx));
	p->dirs[i].fd = take_fd;
	p->dirs[i].idx = dir->idx;
	p->dirs[i].used = true;
	dir->slot = (uint16_t)i;
}

static bool is_open(const struct prompts_node *n)
{
	return fixed(n) || n->slot < PROMPTS_DIRS || n->gone;
}

/* the names from below `base` down to n, joined */
static int relative(const struct prompts *p, const struct prompts_node *base,
		    const struct prompts_node *n, char *out, size_t cap)
{
	size_t pos = cap - 1;

	out[pos] = '\0';
	for (; n != base; n = at(p, n->parent)) {
		size_t len = strlen(n->name);

		if (len + 1 > pos)
			return -ENAMETOOLONG;
		if (out[pos])
			out[--pos] = '/';
		pos -= len;
		memcpy(out + pos, n->name, len);
	}
	memmove(out, out + pos, cap - pos);
	return 0;
}

static int open_below(struct prompts *p, struct prompts_node *base, const struct prompts_node *n)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	char path[4096];
	int dirfd = prompts_node_dirfd(p, base), r;

	if (dirfd < 0)
		return dirfd;
	r = relative(p, base, n, path, sizeof(path));
	if (r < 0)
		return r;
	r = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	return r < 0 ? -errno : r;
}

int prompts_node_dirfd(struct prompts *p, struct prompts_node *dir)
{
	if (fixed(dir))
		return fixed_fd(p, dir);
	if (dir->gone)
		return dir->fd >= 0 ? dir->fd : -ENOENT;
	while (dir->slot >= PROMPTS_DIRS) {
		struct prompts_node *base = dir, *next = dir;
		unsigned steps = 0;
		int fd;

		/* next: at most STEPS names below the nearest directory that is open */
		for (; !is_open(base); base = at(p, base->parent))
			if (steps++ >= STEPS)
				next = at(p, next->parent);
		fd = open_below(p, base, next);
		if (fd < 0)
			return fd;
		keep(p, next, fd);
	}
	p->dirs[dir->slot].used = true;
	return p->dirs[dir->slot].fd;
}

int prompts_node_fd(const struct prompts_node *n)
{
	if (list_empty(&n->handles))
		return n->fd;
	return LIST_ENTRY(n->handles.next, struct prompts_handle, link)->fd;
}

int prompts_node_at(struct prompts *p, struct prompts_node *n, const char **out_name)
{
	int fd;

	*out_name = "";
	if (fixed(n))
		return fixed_fd(p, n);
	if (n->gone) {
		fd = prompts_node_fd(n);
		return fd < 0 ? -ENOENT : fd;
	}
	*out_name = n->name;
	return prompts_node_dirfd(p, at(p, n->parent));
}

int prompts_node_stat(struct prompts *p, struct prompts_node *n, struct stat *out)
{
	const char *name = "";
	int fd = prompts_node_fd(n);

	if (fd < 0)
		fd = prompts_node_at(p, n, &name);
	if (fd < 0)
		return fd;
	return fstatat(fd, name, out, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int prompts_node_path(const struct prompts *p, const struct prompts_node *n, struct buf *out)
{
	const struct prompts_node *up = n;
	size_t len = 0, pos;
	int r;

	for (; !up->top && !up->gone && !fixed(up); up = at(p, up->parent))
		len += strlen(up->name) + 1;
	if (!up->top || up->gone)
		return -ENOENT;
	if (!len)
		return 0;
	r = buf_reserve(out, len - 1);
	if (r < 0)
		return r;
	pos = out->len + len - 1;
	out->len = pos;
	out->data[pos] = '\0';
	for (up = n;; up = at(p, up->parent)) {
		size_t l = strlen(up->name);

		pos -= l;
		memcpy(out->data + pos, up->name, l);
		if (at(p, up->parent)->top)
			break;
		out->data[--pos] = '/';
	}
	return 0;
}

int prompts_node_root(const struct prompts *p, const struct prompts_node *n,
		      char out[PROMPTS_SPACE_MAX + 1])
{
	while (!n->top && !n->gone && !fixed(n))
		n = at(p, n->parent);
	if (!n->top || n->gone)
		return -ENOENT;
	if (n->idx == PROMPTS_ROOT)
		out[0] = '\0';
	else if (!str_copy(out, PROMPTS_SPACE_MAX + 1, at(p, n->parent)->name))
		return -ENOENT; /* no such name gets a node */
	return 0;
}

void prompts_node_entry(const struct prompts_node *n, const struct stat *st, struct vfs_entry *out)
{
	out->nodeid = VFS_NODE(VFS_PROMPTS, n->idx);
	out->generation = n->generation;
	out->st = *st;
	out->entry_ttl_s = PROMPTS_TTL;
	out->attr_ttl_s = PROMPTS_TTL;
}
