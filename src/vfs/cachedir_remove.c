/* cachedir_remove.c - rm -r under cache/: unlink hides a name, rmdir removes from the engine */
#include "vfs/cachedir_inside.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#include "base/banned.h"

void cachedir_remove_file(struct vfs *v, const struct vfs_req *q, uint64_t parent, const char *name)
{
	enum cachedir_kind kind = cachedir_child(CACHEDIR_KIND(parent), name);
	uint64_t node = CACHEDIR_NODE(kind, CACHEDIR_SLOT(parent));

	if (kind == CACHEDIR_ROOT || kind == CACHEDIR_SAMPLES) {
		vfs_reply_err(q, kind == CACHEDIR_SAMPLES ? EISDIR : ENOENT);
		return;
	}
	hide_add(v->hide, parent, node);
	vfs_reply_err(q, 0);
}

/* does the store have anything under these digits? */
static bool any(struct vfs *v, const char *prefix)
{
	struct store_name found;

	return cachedir_list_next(v, prefix, NULL, &found) == 0;
}

static bool has_samples(struct vfs *v, const struct key *key)
{
	char hex[KEY_HEX + 1];

	key_hex(key, hex);
	return any(v, hex);
}

static int evict(struct vfs *v, const struct key *key, uint32_t index)
{
	struct store *store = broker_store(v->broker);
	int r = store ? store_remove(store, key, index) : STORE_MISS;

	cachedir_load_drop(v->cachedir, key, index);
	return r < 0 ? r : 0; /* a miss: it went by itself */
}

static int remove_shard(struct vfs *v, const char *name)
{
	struct cachedir *c = v->cachedir;
	int shard = cachedir_shard(name);

	if (shard < 0)
		return -ENOENT;
	if (any(v, name))
		return -ENOTEMPTY;
	LOCK_SCOPE(&c->lock);
	c->shard_dying_ns[shard] = 0;
	return 0;
}

static int remove_entry(struct vfs *v, uint32_t shard, const char *name)
{
	struct cachedir_slot s;
	struct key key;
	int r = cachedir_key(shard, name, &key);

	if (r < 0)
		return r;
	/* a file in it that nobody has hidden, or a sample */
	if (cachedir_slot_find(v->cachedir, &key, CACHEDIR_ENTRY_INDEX, &s) < 0)
		return has_samples(v, &key) ? -ENOTEMPTY : -ENOENT;
	if (!hide_has(v->hide, CACHEDIR_NODE(CACHEDIR_REQUEST, s.idx)) ||
	    !hide_has(v->hide, CACHEDIR_NODE(CACHEDIR_SAMPLES, s.idx)))
		return -ENOTEMPTY;
	if (has_samples(v, &key)) {
		/* bought anew in the meantime */
		hide_drop_children(v->hide, CACHEDIR_NODE(CACHEDIR_ENTRY, s.idx));
		return -ENOTEMPTY;
	}
	cachedir_slot_dying(v->cachedir, &key); /* for its shard, which may be empty now */
	cachedir_slot_retire(v->cachedir, &key, CACHEDIR_ENTRY_INDEX);
	hide_drop_children(v->hide, CACHEDIR_NODE(CACHEDIR_ENTRY, s.idx));
	return 0;
}

static int remove_samples(struct vfs *v, uint64_t parent, const struct cachedir_slot *entry)
{
	if (has_samples(v, &entry->key))
		return -ENOTEMPTY;
	hide_add(v->hide, parent, CACHEDIR_NODE(CACHEDIR_SAMPLES, entry->idx));
	return 0;
}

static int remove_sample(struct vfs *v, const struct cachedir_slot *entry, const char *name)
{
	struct cachedir_slot s = { 0 };
	uint32_t index = 0;
	int r = cachedir_index(name, &index);

	if (!r)
		r = cachedir_slot_find(v->cachedir, &entry->key, index, &s);
	if (r < 0)
		return r;
	for (enum cachedir_kind kind = CACHEDIR_TEXT; kind <= CACHEDIR_LAST; kind++)
		if (cachedir_has(&s, kind) && !hide_has(v->hide, CACHEDIR_NODE(kind, s.idx)))
			return -ENOTEMPTY;
	r = evict(v, &entry->key, index);
	if (r < 0)
		return r;
	cachedir_slot_retire(v->cachedir, &entry->key, index);
	hide_drop_children(v->hide, CACHEDIR_NODE(CACHEDIR_SAMPLE, s.idx));
	if (!has_samples(v, &entry->key))
		cachedir_slot_dying(v->cachedir, &entry->key);
	return 0;
}

static int remove_in(struct vfs *v, const struct vfs_again *a)
{
	enum cachedir_kind parent = CACHEDIR_KIND(a->nodeid);
	struct cachedir_slot s;
	int r;

	if (!a->name)
		return -ENOMEM; /* it could not be copied */
	if (parent == CACHEDIR_ROOT)
		return remove_shard(v, a->name);
	if (parent == CACHEDIR_SHARD)
		return remove_entry(v, CACHEDIR_SLOT(a->nodeid), a->name);
	r = cachedir_slot_get(v->cachedir, CACHEDIR_SLOT(a->nodeid), &s);
	if (r < 0)
		return r;
	if (parent == CACHEDIR_SAMPLES)
		return remove_sample(v, &s, a->name);
	return cachedir_child(parent, a->name) == CACHEDIR_SAMPLES
		       ? remove_samples(v, a->nodeid, &s)
		       : -ENOTDIR;
}

bool cachedir_remove_dir(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
			 bool nowait)
{
	if (nowait)
		return false;
	vfs_reply_err(q, -remove_in(v, a));
	return true;
}
