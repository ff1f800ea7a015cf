/* cachedir_list.c - directories under cache/: only what exists, a page at a time, nothing held between */
#include "vfs/cachedir_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mono.h"
#include "base/str.h"

#include "base/banned.h"

/* names asked of the engine at a time: as many as an answer can hold, an entry with attributes takes 216
 * bytes and more */
#define PAGE_MAX   512u
#define NAME_BYTES 88u
#define PLUS_BYTES 216u

static size_t page_size(const struct vfs_again *a)
{
	size_t n = a->io.size / (a->plus ? PLUS_BYTES : NAME_BYTES) + 1;

	return n < PAGE_MAX ? n : PAGE_MAX;
}

/* cookies: 1 and 2 are the dots, then 3 and on; of entries, the first 60 bits of their key */
#define FIRST 3u

int cachedir_list_next(struct vfs *v, const char *prefix, const struct store_name *after,
		       struct store_name *out)
{
	struct store *store = broker_store(v->broker);
	size_t n = 0;

	if (!store || store_list(store, prefix, after, 1, out, &n) != STORE_OK || !n)
		return -ENOENT;
	return 0;
}

/* a name without attributes: the kernel asks when it wants them */
static void plain(uint64_t nodeid, mode_t mode, struct vfs_entry *e)
{
	*e = (struct vfs_entry){ 0 };
	e->st.st_ino = nodeid;
	e->st.st_mode = mode;
}

static void list_root(struct vfs *v, struct vfs_dir *d, const struct vfs_again *a)
{
	uint64_t next = a->io.off < FIRST ? 0 : a->io.off - FIRST + 1;
	struct store_name after, found;
	struct vfs_entry e;
	char name[3];

	while (next < 256) {
		/* the first key of shard `next` or later */
		memset(&after, 0xff, sizeof(after));
		after.key.b[0] = (uint8_t)(next - 1);
		if (cachedir_list_next(v, "", next ? &after : NULL, &found) < 0)
			return;
		next = found.key.b[0];
		if (a->plus)
			cachedir_fill(v, CACHEDIR_SHARD, (uint32_t)next, NULL, &e);
		else
			plain(CACHEDIR_NODE(CACHEDIR_SHARD, next), S_IFDIR, &e);
		str_hex(found.key.b, 1, name);
		if (!vfs_dir_add(d, name, &e, next + FIRST))
			return;
		next++;
	}
}

static uint64_t cookie_of(const struct key *k)
{
	uint64_t c = 0;

	for (unsigned i = 0; i < 8; i++)
		c = c << 8 | k->b[i];
	return c >> 4;
}

static void cookie_after(uint64_t cookie, struct store_name *out)
{
	memset(out, 0xff, sizeof(*out));
	cookie = cookie << 4 | 0xf;
	for (unsigned i = 8; i-- > 0; cookie >>= 8)
		out->key.b[i] = (uint8_t)cookie;
}

/* false: the buffer is full */
static bool add_entry(struct vfs *v, struct vfs_dir *d, const struct key *key, bool plus)
{
	struct cachedir_slot s;
	struct vfs_entry e;
	char name[KEY_HEX + 1];
	bool slot = plus && cachedir_slot_take(v->cachedir, key, CACHEDIR_ENTRY_INDEX, &s) == 0;

	if (slot && s.dying_ns) {
		/* it was removed and has come again: what is hidden of the old one is not of the new one */
		cachedir_slot_unref(v->cachedir, s.idx, 1);
		cachedir_slot_retire(v->cachedir, key, CACHEDIR_ENTRY_INDEX);
		slot = cachedir_slot_take(v->cachedir, key, CACHEDIR_ENTRY_INDEX, &s) == 0;
	}
	if (slot)
		cachedir_fill(v, CACHEDIR_ENTRY, 0, &s, &e);
	else
		plain(cookie_of(key), S_IFDIR, &e);
	key_hex(key, name);
	if (vfs_dir_add(d, name, &e, cookie_of(key)))
		return true;
	if (slot)
		cachedir_slot_unref(v->cachedir, s.idx, 1);
	return false;
}

static void list_shard(struct vfs *v, struct vfs_dir *d, const struct vfs_again *a)
{
	struct store *store = broker_store(v->broker);
	size_t want = page_size(a);
	struct store_name *page = calloc(want, sizeof(*page)), after;
	bool more = page && store, begin = a->io.off < FIRST;
	uint8_t shard = (uint8_t)CACHEDIR_SLOT(a->nodeid);
	uint64_t last = a->io.off;
	char prefix[3];

	str_hex(&shard, 1, prefix);
	if (!begin)
		cookie_after(a->io.off, &after);
	while (more) {
		size_t n = 0;

		if (store_list(store, prefix, begin ? NULL : &after, want, page, &n) != STORE_OK)
			break;
		more = n == want;
		for (size_t i = 0; i < n; i++) {
			/* one name for all samples of a key */
			if (!begin && key_equal(&page[i].key, &after.key))
				continue;
			if (!add_entry(v, d, &page[i].key, a->plus)) {
				more = false;
				break;
			}
			begin = false;
			after.key = page[i].key;
			after.index = UINT32_MAX;
			last = cookie_of(&after.key);
		}
	}
	free(page);
	if (!d->full) {
		LOCK_SCOPE(&v->cachedir->lock);
		v->cachedir->shard_end[shard] = (struct cachedir_end){ last, mono_ns() };
	}
}

/* which one it is, the object says: the few that are read anyway come with attributes */
static void add_sample(struct vfs *v, struct vfs_dir *d, const struct vfs_again *a,
		       const struct store_name *n)
{
	bool known = a->plus && n->index < CACHEDIR_KEPT;
	struct vfs_entry e;
	char name[16];

	known = known && cachedir_sample(v, &n->key, n->index, true, &e) == 0;
	if (!known)
		plain(a->nodeid + n->index + 1, S_IFDIR, &e);
	(void)snprintf(name, sizeof(name), "%u", n->index);
	if (!vfs_dir_add(d, name, &e, (uint64_t)n->index + FIRST) && known)
		cachedir_slot_unref(v->cachedir, CACHEDIR_SLOT(e.nodeid), 1);
}

static void list_samples(struct vfs *v, struct vfs_dir *d, const struct vfs_again *a,
			 const struct cachedir_slot *s)
{
	struct store *store = broker_store(v->broker);
	size_t want = page_size(a);
	struct store_name *page = calloc(want, sizeof(*page)), after = { .key = s->key };
	bool more = page && store, begin = a->io.off < FIRST;
	char prefix[KEY_HEX + 1];

	key_hex(&s->key, prefix);
	if (!begin)
		after.index = (uint32_t)(a->io.off - FIRST);
	while (more) {
		size_t n = 0;

		if (store_list(store, prefix, begin ? NULL : &after, want, page, &n) != STORE_OK)
			break;
		more = n == want;
		for (size_t i = 0; i < n && !d->full; i++)
			add_sample(v, d, a, &page[i]);
		more = more && !d->full;
		if (n) {
			after = page[n - 1];
			begin = false;
		}
	}
	free(page);
	if (!d->full)
		cachedir_slot_ended(v->cachedir, s->idx,
				    begin ? a->io.off : (uint64_t)after.index + FIRST);
}

/* the names that are always the same */
static void list_fixed(struct vfs *v, struct vfs_dir *d, const struct vfs_again *a,
		       const struct cachedir_slot *s)
{
	static const enum cachedir_kind in_entry[] = { CACHEDIR_REQUEST, CACHEDIR_SAMPLES };
	static const enum cachedir_kind in_sample[] = {
		CACHEDIR_TEXT, CACHEDIR_RESPONSE,	CACHEDIR_RAW,
		CACHEDIR_META, CACHEDIR_EMBEDDING_JSON, CACHEDIR_EMBEDDING_NPY
	};
	bool sample = CACHEDIR_KIND(a->nodeid) == CACHEDIR_SAMPLE;
	const enum cachedir_kind *kinds = sample ? in_sample : in_entry;
	unsigned n = sample ? ARRAY_LEN(in_sample) : ARRAY_LEN(in_entry);

	for (unsigned i = a->io.off < FIRST ? 0 : (unsigned)(a->io.off - FIRST + 1); i < n; i++) {
		uint64_t node = CACHEDIR_NODE(kinds[i], s->idx);
		bool dir = kinds[i] == CACHEDIR_SAMPLES, full = a->plus && (dir || s->known);
		struct vfs_entry e;

		if (hide_has(v->hide, node) || (sample && !cachedir_has(s, kinds[i])))
			continue;
		full = full && cachedir_slot_ref(v->cachedir, s->idx) == 0;
		if (full)
			cachedir_fill(v, kinds[i], 0, s, &e);
		else
			plain(node, dir ? S_IFDIR : S_IFREG, &e);
		if (!vfs_dir_add(d, cachedir_name(kinds[i]), &e, i + FIRST)) {
			if (full)
				cachedir_slot_unref(v->cachedir, s->idx, 1);
			return;
		}
	}
}

static bool at_end(struct vfs *v, enum cachedir_kind kind, const struct vfs_again *a,
		   const struct cachedir_slot *s)
{
	struct cachedir_end end = s->end;

	if (kind != CACHEDIR_SHARD && kind != CACHEDIR_SAMPLES)
		return false;
	if (kind == CACHEDIR_SHARD) {
		LOCK_SCOPE(&v->cachedir->lock);
		end = v->cachedir->shard_end[CACHEDIR_SLOT(a->nodeid) & 0xff];
	}
	return a->io.off >= FIRST && end.off == a->io.off &&
	       mono_ns() - end.at_ns < CACHEDIR_END_NS;
}

bool cachedir_list(struct vfs *v, const struct vfs_req *q, const struct vfs_again *a, bool nowait)
{
	enum cachedir_kind kind = CACHEDIR_KIND(a->nodeid);
	struct cachedir_slot s = { 0 };
	struct vfs_dir d;
	int r = 0;

	if (kind > CACHEDIR_SHARD)
		r = cachedir_slot_get(v->cachedir, CACHEDIR_SLOT(a->nodeid), &s);
	if (!r && at_end(v, kind, a, &s)) {
		q->ops->data(q->impl, "", 0);
		return true;
	}
	if (!r && a->plus && kind == CACHEDIR_ENTRY)
		(void)cachedir_learn(v, &s, true); /* else request.json comes without attributes */
	if (!r && kind == CACHEDIR_SAMPLE && cachedir_learn(v, &s, nowait) == -EAGAIN && nowait)
		return false; /* which files it has, the object says */
	if (nowait && (kind <= CACHEDIR_SHARD || (kind == CACHEDIR_SAMPLES && !v->cachedir->local)))
		return false;
	if (!r)
		r = vfs_dir_begin(&d, q, a->io.size);
	if (r < 0) {
		vfs_reply_err(q, -r);
		return true;
	}
	vfs_dir_dots(v, &d, a->nodeid, a->io.off);
	if (kind == CACHEDIR_ROOT)
		list_root(v, &d, a);
	else if (kind == CACHEDIR_SHARD)
		list_shard(v, &d, a);
	else if (kind == CACHEDIR_SAMPLES)
		list_samples(v, &d, a, &s);
	else
		list_fixed(v, &d, a, &s);
	vfs_dir_send(&d);
	return true;
}
