/*
 * vfs/cachedir_inside.h - what the files of the cache/ room share
 *
 * A node id is (kind, slot). Slots are what the kernel holds of entries and samples: a slot goes when the
 * kernel has forgotten every node of it, and a sample that is bought anew under an old index gets a new
 * one, so that old bytes stay with who has them open.
 *
 *   cachedir        lookups, attributes, reads      cachedir_list    directories
 *   cachedir_slot   the table                       cachedir_load    objects as files, the last few kept
 *   cachedir_remove unlink hides, rmdir removes
 *
 * Threads: the FUSE thread, and pool threads for what waits for the store. The lock is held for tables
 * only, never over the store, a reply or rendering.
 */
#ifndef VFS_CACHEDIR_INSIDE_H
#define VFS_CACHEDIR_INSIDE_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/lock.h"
#include "base/map.h"
#include "core/key.h"
#include "store/store.h"
#include "vfs/hide.h"
#include "vfs/inside.h"

enum cachedir_kind {
	CACHEDIR_ROOT,	/* cache */
	CACHEDIR_SHARD, /* cache/3f: slot is its number */
	CACHEDIR_ENTRY, /* cache/3f/3f9a...: this and the next two have the entry's slot */
	CACHEDIR_REQUEST,
	CACHEDIR_SAMPLES,
	CACHEDIR_SAMPLE, /* samples/0: this and its files have the sample's slot */
	CACHEDIR_TEXT,
	CACHEDIR_RESPONSE,
	CACHEDIR_RAW,
	CACHEDIR_META,
	CACHEDIR_EMBEDDING_JSON, /* vectors have these instead of text */
	CACHEDIR_EMBEDDING_NPY
};
#define CACHEDIR_LAST	    CACHEDIR_EMBEDDING_NPY
#define CACHEDIR_FILES	    6 /* from CACHEDIR_TEXT on */
#define CACHEDIR_KIND_SHIFT 56
#define CACHEDIR_NODE(kind, slot) \
	VFS_NODE(VFS_CACHE, (uint64_t)(kind) << CACHEDIR_KIND_SHIFT | (uint64_t)(slot))
#define CACHEDIR_KIND(nodeid) ((enum cachedir_kind)(VFS_REST(nodeid) >> CACHEDIR_KIND_SHIFT))
#define CACHEDIR_SLOT(nodeid) ((uint32_t)(VFS_REST(nodeid) & UINT32_MAX))

#define CACHEDIR_DIR_TTL     60.0
#define CACHEDIR_SAMPLE_TTL  1.0	/* so long may one that was replaced still be seen */
#define CACHEDIR_ENTRY_INDEX UINT32_MAX /* in a slot: it is an entry, not a sample */
#define CACHEDIR_DYING_NS    (10ULL * 1000000000ULL)

/* where a listing ended a moment ago: the call that every reader makes to hear so needs no other look */
struct cachedir_end {
	uint64_t off, at_ns;
};
#define CACHEDIR_END_NS (1000000000ULL)

/* a copy of a slot */
struct cachedir_slot {
	uint32_t idx;
	uint64_t generation;
	struct key key;
	uint32_t index;
	bool known; /* the members below it are */
	uint64_t created_ns;
	uint64_t size[1 + CACHEDIR_FILES]; /* request.json, then the sample's files */
	bool vectors;			   /* of an embedding */
	uint64_t dying_ns;		   /* its last sample went; it answers until then */
	struct cachedir_end end;	   /* of the listing of its samples */
};

/* an object as files; immutable once made */
struct cachedir_object {
	struct key key;
	uint32_t index;
	uint64_t created_ns, loaded_ns;
	unsigned refs; /* under the lock */
	bool vectors;
	struct buf files[1 + CACHEDIR_FILES];
};

#define CACHEDIR_KEPT	  8
#define CACHEDIR_KEPT_MAX (64u << 20) /* bytes; more only when one object alone is bigger */

struct cachedir_row;
struct cachedir {
	struct lock lock;
	struct map map;
	struct cachedir_row **rows;
	uint32_t n_rows, cap_rows, free_head;
	uint64_t generation;
	struct cachedir_object *kept[CACHEDIR_KEPT]; /* the last used first */
	uint64_t shard_dying_ns[256];
	struct cachedir_end shard_end[256];
	bool local; /* the engine is files or memory of this machine: a key's names cost no waiting */
};

/* cachedir_slot_take - the slot of (key, index) with one reference more, made when there is none; -ENOMEM */
int cachedir_slot_take(struct cachedir *c, const struct key *key, uint32_t index,
		       struct cachedir_slot *out);
/* cachedir_slot_find - no reference; -ENOENT when the kernel knows none */
int cachedir_slot_find(struct cachedir *c, const struct key *key, uint32_t index,
		       struct cachedir_slot *out);
/* cachedir_slot_get - by number; -ESTALE */
int cachedir_slot_get(struct cachedir *c, uint32_t idx, struct cachedir_slot *out);
/* cachedir_slot_ref - one reference more for a name below; -ESTALE */
int cachedir_slot_ref(struct cachedir *c, uint32_t idx);
void cachedir_slot_unref(struct cachedir *c, uint32_t idx, uint64_t n);
/* cachedir_slot_learn - sizes and time, from an object */
void cachedir_slot_learn(struct cachedir *c, struct cachedir_slot *s,
			 const struct cachedir_object *o);
/* cachedir_slot_retire - the next take of (key, index) makes a new one */
void cachedir_slot_retire(struct cachedir *c, const struct key *key, uint32_t index);
/* cachedir_slot_dying - the entry's last sample went just now */
void cachedir_slot_dying(struct cachedir *c, const struct key *key);
/* cachedir_slot_ended - its samples were listed up to this cookie, which was the last */
void cachedir_slot_ended(struct cachedir *c, uint32_t idx, uint64_t off);
void cachedir_slot_done(struct cachedir *c);

/* cachedir_load - the object of (key, index), loaded at most max_age_ns ago; nowait: -EAGAIN instead of
 * waiting. 0, -ENOENT, -ENOMEM */
struct cachedir_want {
	const struct key *key;
	uint32_t index;
	uint64_t max_age_ns;
	bool nowait;
};
int cachedir_load(struct vfs *v, const struct cachedir_want *w, struct cachedir_object **out);
/* cachedir_load_entry - any sample of the key, for request.json */
int cachedir_load_entry(struct vfs *v, const struct key *key, bool nowait,
			struct cachedir_object **out);
void cachedir_load_put(struct cachedir *c, struct cachedir_object *o);
/* cachedir_load_drop - it was removed: keep it no longer */
void cachedir_load_drop(struct cachedir *c, const struct key *key, uint32_t index);
void cachedir_load_done(struct cachedir *c);

/* cachedir_list - readdir */
bool cachedir_list(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a, bool nowait);
/* cachedir_list_next - the first name of the store with this prefix after `after` (NULL: first); waits.
 * 0, -ENOENT */
int cachedir_list_next(struct vfs *v, const char *prefix, const struct store_name *after,
		       struct store_name *out);

/* cachedir_remove - unlink and rmdir */
void cachedir_remove_file(struct vfs *v, const struct vfs_req *q, uint64_t parent,
			  const char *name);
bool cachedir_remove_dir(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a,
			 bool nowait);

/* cachedir_fill - the kernel's view of a node; s: its slot, NULL for the root and shards */
void cachedir_fill(struct vfs *v, enum cachedir_kind kind, uint32_t shard,
		   const struct cachedir_slot *s, struct vfs_entry *out);
/* cachedir_learn - sizes and time of a slot's files: 0, -EAGAIN (nowait), -ENOENT */
int cachedir_learn(struct vfs *v, struct cachedir_slot *s, bool nowait);
/* cachedir_sample - entry of samples/N with one reference: 0, -EAGAIN (nowait), -ENOENT */
int cachedir_sample(struct vfs *v, const struct key *key, uint32_t index, bool nowait,
		    struct vfs_entry *out);
/* cachedir_child - kind of a fixed name in a directory of this kind, CACHEDIR_ROOT: none */
enum cachedir_kind cachedir_child(enum cachedir_kind parent, const char *name);
const char *cachedir_name(enum cachedir_kind kind);
/* cachedir_has - a sample has a file of this kind; one that is not known is taken for text */
bool cachedir_has(const struct cachedir_slot *s, enum cachedir_kind kind);
/* cachedir_shard - number of a shard by name, -1; cachedir_key - of an entry's name in a shard: 0, -ENOENT */
int cachedir_shard(const char *name);
int cachedir_key(uint32_t shard, const char *name, struct key *out);
/* cachedir_index - of a sample's name: 0 or -ENOENT */
int cachedir_index(const char *name, uint32_t *out);

#endif
