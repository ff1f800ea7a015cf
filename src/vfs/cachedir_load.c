/* cachedir_load.c - objects of the store as the files under cache/; the last few stay rendered */
#include "vfs/cachedir_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mono.h"
#include "core/response.h"
#include "core/vectors.h"

#include "base/banned.h"

#define FILE_MAX ((size_t)1 << 30)

static uint64_t bytes(const struct cachedir_object *o)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < ARRAY_LEN(o->files); i++)
		n += o->files[i].len;
	return n;
}

static void object_free(struct cachedir_object *o)
{
	if (!o)
		return;
	for (unsigned i = 0; i < ARRAY_LEN(o->files); i++)
		buf_done(&o->files[i]);
	free(o);
}

void cachedir_load_put(struct cachedir *c, struct cachedir_object *o)
{
	bool last;

	if (!o)
		return;
	lock_take(&c->lock);
	last = !--o->refs;
	lock_drop(&c->lock);
	if (last)
		object_free(o);
}

static struct buf *file(struct cachedir_object *o, enum cachedir_kind kind)
{
	return &o->files[1 + kind - CACHEDIR_TEXT];
}

static int make_content(struct cachedir_object *o, const json_t *sample)
{
	int r;

	if (!o->vectors)
		return response_text(sample, file(o, CACHEDIR_TEXT));
	r = vectors_json(sample, file(o, CACHEDIR_EMBEDDING_JSON));
	return r ? r : vectors_npy(sample, file(o, CACHEDIR_EMBEDDING_NPY));
}

static struct cachedir_object *make(const struct object *obj)
{
	struct cachedir_object *o = calloc(1, sizeof(*o));
	struct response_sample s = { .sample = obj->sample,
				     .created = obj->created,
				     .index = obj->index };
	int r;

	if (!o)
		return NULL;
	o->key = obj->key;
	o->index = obj->index;
	o->created_ns = obj->created_real_ns;
	o->loaded_ns = mono_ns();
	o->refs = 1;
	o->vectors = json_is_object(json_object_get(obj->sample, "embedding"));
	for (unsigned i = 0; i < ARRAY_LEN(o->files); i++)
		buf_init(&o->files[i], FILE_MAX);
	r = object_request(obj, &o->files[0]);
	if (!r)
		r = make_content(o, obj->sample);
	if (!r)
		r = response_sample_json(&s, &obj->key, file(o, CACHEDIR_RESPONSE));
	if (!r)
		r = buf_add(file(o, CACHEDIR_RAW), obj->raw, obj->raw_len);
	if (!r)
		r = response_meta_json(&s, &obj->key, file(o, CACHEDIR_META));
	if (r < 0) {
		object_free(o);
		return NULL;
	}
	return o;
}

static struct cachedir_object *kept(struct cachedir *c, const struct cachedir_want *w)
{
	uint64_t now = mono_ns();
	LOCK_SCOPE(&c->lock);

	for (unsigned i = 0; i < CACHEDIR_KEPT && c->kept[i]; i++) {
		struct cachedir_object *o = c->kept[i];

		if (o->index != w->index || !key_equal(&o->key, w->key) ||
		    now - o->loaded_ns > w->max_age_ns)
			continue;
		memmove(c->kept + 1, c->kept, i * sizeof(c->kept[0]));
		c->kept[0] = o;
		o->refs++;
		return o;
	}
	return NULL;
}

/* take the i-th out of those kept; its reference is the caller's to drop */
static struct cachedir_object *cut_locked(struct cachedir *c, unsigned i)
{
	struct cachedir_object *o = c->kept[i];

	memmove(c->kept + i, c->kept + i + 1, (CACHEDIR_KEPT - 1 - i) * sizeof(c->kept[0]));
	c->kept[CACHEDIR_KEPT - 1] = NULL;
	return o;
}

static void keep(struct cachedir *c, struct cachedir_object *o)
{
	struct cachedir_object *out[CACHEDIR_KEPT + 1];
	uint64_t total = bytes(o);
	unsigned n = 0;

	lock_take(&c->lock);
	for (unsigned i = 0; i < CACHEDIR_KEPT && c->kept[i];) {
		total += bytes(c->kept[i]);
		/* the same object loaded again, the one too many, the bytes too many */
		if ((c->kept[i]->index == o->index && key_equal(&c->kept[i]->key, &o->key)) ||
		    i == CACHEDIR_KEPT - 1 || total > CACHEDIR_KEPT_MAX) {
			total -= bytes(c->kept[i]);
			out[n++] = cut_locked(c, i);
		} else {
			i++;
		}
	}
	memmove(c->kept + 1, c->kept, (CACHEDIR_KEPT - 1) * sizeof(c->kept[0]));
	c->kept[0] = o;
	o->refs++;
	lock_drop(&c->lock);
	while (n)
		cachedir_load_put(c, out[--n]);
}

int cachedir_load(struct vfs *v, const struct cachedir_want *w, struct cachedir_object **out)
{
	struct store *store = broker_store(v->broker);
	struct cachedir_object *o = kept(v->cachedir, w);
	struct object obj = { 0 };
	int r;

	if (o) {
		*out = o;
		return 0;
	}
	if (!store)
		return -ENOENT;
	r = store_get(store, w->key, w->index, w->nowait ? STORE_NOWAIT : 0, &obj, NULL);
	if (r == STORE_AGAIN)
		return -EAGAIN;
	if (r != STORE_OK)
		return -ENOENT;
	o = make(&obj);
	object_done(&obj);
	if (!o)
		return -ENOMEM;
	keep(v->cachedir, o);
	*out = o;
	return 0;
}

int cachedir_load_entry(struct vfs *v, const struct key *key, bool nowait,
			struct cachedir_object **out)
{
	struct cachedir_want w = {
		.key = key, .index = 0, .max_age_ns = UINT64_MAX, .nowait = nowait
	};
	struct store_name name;
	char prefix[KEY_HEX + 1];
	int r = cachedir_load(v, &w, out);

	/* nearly always there is a sample 0 */
	if (r != -ENOENT)
		return r;
	if (nowait)
		return -EAGAIN;
	key_hex(key, prefix);
	r = cachedir_list_next(v, prefix, NULL, &name);
	if (r < 0)
		return r;
	w.index = name.index;
	return cachedir_load(v, &w, out);
}

void cachedir_load_drop(struct cachedir *c, const struct key *key, uint32_t index)
{
	struct cachedir_object *out[CACHEDIR_KEPT];
	unsigned n = 0;

	lock_take(&c->lock);
	for (unsigned i = 0; i < CACHEDIR_KEPT && c->kept[i];) {
		if ((index == UINT32_MAX || c->kept[i]->index == index) &&
		    key_equal(&c->kept[i]->key, key))
			out[n++] = cut_locked(c, i);
		else
			i++;
	}
	lock_drop(&c->lock);
	while (n)
		cachedir_load_put(c, out[--n]);
}

void cachedir_load_done(struct cachedir *c)
{
	for (unsigned i = 0; i < CACHEDIR_KEPT; i++)
		object_free(c->kept[i]);
}
