/* cachedir.c - the cache/ room: names, attributes and bytes of stored samples */
#include "vfs/cachedir_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/mono.h"
#include "base/str.h"

#include "base/banned.h"

/* a lookup of a sample may take what was loaded for the name before it */
#define FRESH_NS (100 * MONO_MS)

static const char *const names[] = {
	[CACHEDIR_REQUEST] = "request.json",
	[CACHEDIR_SAMPLES] = "samples",
	[CACHEDIR_TEXT] = "text",
	[CACHEDIR_RESPONSE] = "response.json",
	[CACHEDIR_RAW] = "raw.json",
	[CACHEDIR_META] = "meta.json",
	[CACHEDIR_EMBEDDING_JSON] = "embedding.json",
	[CACHEDIR_EMBEDDING_NPY] = "embedding.npy",
};

static bool is_local(struct store *store)
{
	static const char *const engines[] = { "disk", "tmp", "memory" };
	struct store_status st;

	if (!store)
		return false;
	store_status(store, &st);
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		if (!strcmp(st.engine, engines[i]))
			return true;
	return false;
}

int cachedir_new(struct vfs *v, struct err *e)
{
	struct cachedir *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, ERR_INTERNAL, "out of memory");
	lock_init(&c->lock, LOCK_LEAF);
	map_init(&c->map);
	c->local = is_local(broker_store(v->broker));
	v->cachedir = c;
	return 0;
}

void cachedir_free(struct vfs *v)
{
	struct cachedir *c = v->cachedir;

	if (!c)
		return;
	cachedir_load_done(c);
	cachedir_slot_done(c);
	lock_done(&c->lock);
	free(c);
	v->cachedir = NULL;
}

/* ---- names ------------------------------------------------------------------------------------------ */

const char *cachedir_name(enum cachedir_kind kind)
{
	return names[kind];
}

bool cachedir_has(const struct cachedir_slot *s, enum cachedir_kind kind)
{
	bool vectors = s->known && s->vectors;

	if (kind == CACHEDIR_TEXT)
		return !vectors;
	return kind < CACHEDIR_EMBEDDING_JSON || vectors;
}

enum cachedir_kind cachedir_child(enum cachedir_kind parent, const char *name)
{
	unsigned first = 0, last = 0;

	if (parent == CACHEDIR_ENTRY) {
		first = CACHEDIR_REQUEST;
		last = CACHEDIR_SAMPLES;
	} else if (parent == CACHEDIR_SAMPLE) {
		first = CACHEDIR_TEXT;
		last = CACHEDIR_LAST;
	}
	for (unsigned i = first; first && i <= last; i++)
		if (!strcmp(names[i], name))
			return (enum cachedir_kind)i;
	return CACHEDIR_ROOT;
}

int cachedir_shard(const char *name)
{
	uint8_t b;

	return strlen(name) == 2 && str_unhex(name, 1, &b) == 0 ? b : -1;
}

int cachedir_key(uint32_t shard, const char *name, struct key *out)
{
	struct key k;

	if (strlen(name) != KEY_HEX || key_parse(name, &k) < 0 || k.b[0] != shard)
		return -ENOENT;
	*out = k;
	return 0;
}

int cachedir_index(const char *name, uint32_t *out)
{
	uint64_t n;

	if (str_parse_u64(name, &n) < 0 || n >= CACHEDIR_ENTRY_INDEX ||
	    (name[0] == '0' && name[1]) || strspn(name, "0123456789") != strlen(name))
		return -ENOENT;
	*out = (uint32_t)n;
	return 0;
}

/* ---- attributes --------------------------------------------------------------------------------------- */

static bool is_dir(enum cachedir_kind kind)
{
	return kind <= CACHEDIR_SAMPLE && kind != CACHEDIR_REQUEST;
}

/* of a file among an object's */
static unsigned file_of(enum cachedir_kind kind)
{
	return kind == CACHEDIR_REQUEST ? 0 : 1 + (unsigned)kind - CACHEDIR_TEXT;
}

void cachedir_fill(struct vfs *v, enum cachedir_kind kind, uint32_t shard,
		   const struct cachedir_slot *s, struct vfs_entry *out)
{
	bool dir = is_dir(kind);

	*out = (struct vfs_entry){ .nodeid = CACHEDIR_NODE(kind, s ? s->idx : shard),
				   .generation = s ? s->generation : 0 };
	out->entry_ttl_s = kind == CACHEDIR_SAMPLE ? CACHEDIR_SAMPLE_TTL
			   : dir		   ? CACHEDIR_DIR_TTL
						   : VFS_TTL_FOREVER;
	out->attr_ttl_s = dir ? CACHEDIR_DIR_TTL : VFS_TTL_FOREVER;
	vfs_fill_attr(v, &out->st, out->nodeid, dir ? S_IFDIR | 0755 : S_IFREG | 0644,
		      dir || !s ? 0 : s->size[file_of(kind)],
		      dir || !s ? v->start_ns : s->created_ns);
}

int cachedir_learn(struct vfs *v, struct cachedir_slot *s, bool nowait)
{
	struct cachedir_want w = {
		.key = &s->key, .index = s->index, .max_age_ns = UINT64_MAX, .nowait = nowait
	};
	struct cachedir_object *o;
	int r;

	if (s->known)
		return 0;
	if (s->index == CACHEDIR_ENTRY_INDEX)
		r = cachedir_load_entry(v, &s->key, nowait, &o);
	else
		r = cachedir_load(v, &w, &o);
	if (r < 0)
		return r;
	cachedir_slot_learn(v->cachedir, s, o);
	cachedir_load_put(v->cachedir, o);
	return 0;
}

static bool dying(uint64_t until_ns)
{
	return until_ns && mono_ns() < until_ns;
}

/* ---- lookup ----------------------------------------------------------------------------------------- */

/* each: 0 with a reference that the kernel will hold, -EAGAIN (only nowait), -ENOENT ... */
static int lookup_shard(struct vfs *v, const char *name, bool nowait, struct vfs_entry *out)
{
	int shard = cachedir_shard(name);
	struct store_name found;
	bool was;

	if (shard < 0)
		return -ENOENT;
	if (nowait)
		return -EAGAIN;
	lock_take(&v->cachedir->lock);
	was = dying(v->cachedir->shard_dying_ns[shard]);
	lock_drop(&v->cachedir->lock);
	if (cachedir_list_next(v, name, NULL, &found) < 0 && !was)
		return -ENOENT;
	cachedir_fill(v, CACHEDIR_SHARD, (uint32_t)shard, NULL, out);
	return 0;
}

static int lookup_entry(struct vfs *v, uint32_t shard, const char *name, bool nowait,
			struct vfs_entry *out)
{
	struct cachedir_want w = { .index = 0, .max_age_ns = FRESH_NS, .nowait = nowait };
	struct cachedir_slot s;
	struct store_name found;
	struct cachedir_object *o = NULL;
	struct key key;
	int r = cachedir_key(shard, name, &key);

	if (r < 0)
		return r;
	w.key = &key;
	if (nowait) {
		/* sample 0 is nearly always what will be asked for next */
		r = cachedir_load(v, &w, &o);
		if (r < 0)
			return -EAGAIN;
		cachedir_load_put(v->cachedir, o);
	} else {
		r = cachedir_list_next(v, name, NULL, &found);
	}
	if (!cachedir_slot_find(v->cachedir, &key, CACHEDIR_ENTRY_INDEX, &s) && s.dying_ns) {
		if (r == 0) /* it has come again: nothing of it is hidden */
			cachedir_slot_retire(v->cachedir, &key, CACHEDIR_ENTRY_INDEX);
		else if (dying(s.dying_ns))
			r = 0;
	}
	if (!r)
		r = cachedir_slot_take(v->cachedir, &key, CACHEDIR_ENTRY_INDEX, &s);
	if (!r)
		cachedir_fill(v, CACHEDIR_ENTRY, 0, &s, out);
	return r;
}

int cachedir_sample(struct vfs *v, const struct key *key, uint32_t index, bool nowait,
		    struct vfs_entry *out)
{
	struct cachedir_want w = {
		.key = key, .index = index, .max_age_ns = FRESH_NS, .nowait = nowait
	};
	struct cachedir_object *o;
	struct cachedir_slot s;
	int r = cachedir_load(v, &w, &o);

	if (r < 0)
		return r;
	/* bought anew under the same index: another inode */
	if (!cachedir_slot_find(v->cachedir, key, index, &s) && s.known &&
	    s.created_ns != o->created_ns)
		cachedir_slot_retire(v->cachedir, key, index);
	r = cachedir_slot_take(v->cachedir, key, index, &s);
	if (!r) {
		cachedir_slot_learn(v->cachedir, &s, o);
		cachedir_fill(v, CACHEDIR_SAMPLE, 0, &s, out);
	}
	cachedir_load_put(v->cachedir, o);
	return r;
}

static int lookup_sample(struct vfs *v, const struct cachedir_slot *entry, const char *name,
			 bool nowait, struct vfs_entry *out)
{
	uint32_t index;
	int r = cachedir_index(name, &index);

	return r < 0 ? r : cachedir_sample(v, &entry->key, index, nowait, out);
}

static int lookup_fixed(struct vfs *v, enum cachedir_kind parent, struct cachedir_slot *s,
			const char *name, bool nowait, struct vfs_entry *out)
{
	enum cachedir_kind kind = cachedir_child(parent, name);
	int r = 0;

	if (kind == CACHEDIR_ROOT || hide_has(v->hide, CACHEDIR_NODE(kind, s->idx)))
		return -ENOENT;
	if (!is_dir(kind))
		r = cachedir_learn(v, s, nowait);
	/* rm -r must find it to unlink it */
	if (r == -ENOENT && dying(s->dying_ns))
		r = 0;
	if (!r && !cachedir_has(s, kind))
		r = -ENOENT;
	if (!r)
		r = cachedir_slot_ref(v->cachedir, s->idx);
	if (!r)
		cachedir_fill(v, kind, 0, s, out);
	return r;
}

static int find(struct vfs *v, const struct vfs_again *a, bool nowait, struct vfs_entry *out)
{
	enum cachedir_kind parent = CACHEDIR_KIND(a->nodeid);
	struct cachedir_slot s;
	int r;

	if (!a->name)
		return -ENOMEM; /* it could not be copied */
	if (parent == CACHEDIR_ROOT)
		return lookup_shard(v, a->name, nowait, out);
	if (parent == CACHEDIR_SHARD)
		return lookup_entry(v, CACHEDIR_SLOT(a->nodeid), a->name, nowait, out);
	r = cachedir_slot_get(v->cachedir, CACHEDIR_SLOT(a->nodeid), &s);
	if (r < 0)
		return r;
	if (parent == CACHEDIR_SAMPLES)
		return lookup_sample(v, &s, a->name, nowait, out);
	return lookup_fixed(v, parent, &s, a->name, nowait, out);
}

static void forget(struct vfs *v, uint64_t nodeid, uint64_t n)
{
	if (CACHEDIR_KIND(nodeid) > CACHEDIR_SHARD)
		cachedir_slot_unref(v->cachedir, CACHEDIR_SLOT(nodeid), n);
}

static bool lookup_fn(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
		      bool nowait)
{
	struct vfs_entry e;
	int r = find(v, a, nowait, &e);

	if (r == -EAGAIN && nowait)
		return false;
	if (r < 0)
		vfs_reply_err(q, -r);
	else if (q->ops->entry(q->impl, &e) != 0)
		forget(v, e.nodeid, 1);
	return true;
}

static void lookup(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct vfs_again a = { .nodeid = parent, .name = name };

	vfs_now_or_later(v, q, &a, lookup_fn);
}

/* ---- the other operations ------------------------------------------------------------------------------ */

static bool getattr_fn(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
		       bool nowait)
{
	enum cachedir_kind kind = CACHEDIR_KIND(a->nodeid);
	bool slotted = kind > CACHEDIR_SHARD;
	struct cachedir_slot s;
	struct vfs_entry e;
	int r = slotted ? cachedir_slot_get(v->cachedir, CACHEDIR_SLOT(a->nodeid), &s) : 0;

	if (!r && !is_dir(kind)) {
		r = cachedir_learn(v, &s, nowait);
		if (r == -EAGAIN && nowait)
			return false;
		if (r == -ENOENT && dying(s.dying_ns))
			r = 0;
	}
	if (r < 0) {
		vfs_reply_err(q, -r);
		return true;
	}
	cachedir_fill(v, kind, CACHEDIR_SLOT(a->nodeid), slotted ? &s : NULL, &e);
	q->ops->attr(q->impl, &e.st, e.attr_ttl_s);
	return true;
}

static void getattr(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		    const struct vfs_file *f)
{
	struct vfs_again a = { .nodeid = nodeid };

	(void)f; /* there are no handles */
	vfs_now_or_later(v, q, &a, getattr_fn);
}

static void open_file(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags)
{
	struct vfs_open o = { .keep_cache = true, .noflush = true };

	(void)v;
	(void)nodeid;
	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)
		vfs_reply_err(q, EROFS);
	else
		(void)q->ops->open(q->impl, &o); /* nothing to undo */
}

static bool read_fn(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a, bool nowait)
{
	enum cachedir_kind kind = CACHEDIR_KIND(a->nodeid);
	struct cachedir_slot s;
	struct cachedir_want w = { .max_age_ns = UINT64_MAX, .nowait = nowait };
	struct cachedir_object *o = NULL;
	int r = cachedir_slot_get(v->cachedir, CACHEDIR_SLOT(a->nodeid), &s);

	w.key = &s.key;
	if (!r && kind == CACHEDIR_REQUEST) {
		r = cachedir_load_entry(v, &s.key, nowait, &o);
	} else if (!r) {
		w.index = s.index;
		r = cachedir_load(v, &w, &o);
	}
	if (r == -EAGAIN && nowait)
		return false;
	/* evicted, or replaced by another under this index: whoever looks the name up again finds out */
	if (r == -ENOENT ||
	    (!r && kind != CACHEDIR_REQUEST && s.known && s.created_ns != o->created_ns))
		r = -ESTALE;
	if (r < 0)
		vfs_reply_err(q, -r);
	else
		vfs_reply_bytes(q, &o->files[file_of(kind)], &a->io);
	cachedir_load_put(v->cachedir, o);
	return true;
}

static void read_file(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		      const struct vfs_file *f, const struct vfs_io *io)
{
	struct vfs_again a = { .nodeid = nodeid, .file = *f, .io = *io };

	vfs_now_or_later(v, q, &a, read_fn);
}

static void readdir_of(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_file *f, const struct vfs_io *io, bool plus)
{
	struct vfs_again a = { .nodeid = nodeid, .file = *f, .io = *io, .plus = plus };

	vfs_now_or_later(v, q, &a, cachedir_list);
}

static void rmdir_of(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	struct vfs_again a = { .nodeid = parent, .name = name };

	vfs_now_or_later(v, q, &a, cachedir_remove_dir);
}

const struct vfs_room_ops cachedir_ops = {
	.lookup = lookup,
	.forget = forget,
	.getattr = getattr,
	.unlink = cachedir_remove_file,
	.rmdir = rmdir_of,
	.open = open_file,
	.read = read_file,
	.readdir = readdir_of,
};
