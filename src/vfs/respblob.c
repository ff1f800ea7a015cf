/* respblob.c - files of responses as they were rendered, for as long as somebody reads them, and the last few */
#include <errno.h>
#include <stdlib.h>

#include "base/lock.h"
#include "vfs/responses.h"

#include "base/banned.h"

/* files that were rendered lately: a size asked for at lookup is read a moment later */
#define BLOBS		8
#define BLOB_KEEP_BYTES (64u << 10) /* larger ones go when their last reader closes */

struct respblob_kept {
	struct lock lock;
	struct respblob *blobs[BLOBS];
	unsigned next;
};

struct respblob_kept *respblob_new(void)
{
	struct respblob_kept *r = calloc(1, sizeof(*r));

	if (r)
		lock_init(&r->lock, LOCK_NODE);
	return r;
}

static void blob_free(struct respblob *b)
{
	buf_done(&b->b);
	free(b);
}

struct respblob_kept *respblob_free(struct respblob_kept *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < BLOBS; i++)
		if (r->blobs[i])
			blob_free(r->blobs[i]);
	lock_done(&r->lock);
	free(r);
	return NULL;
}

static struct respblob *blob_find(struct respblob_kept *r, uint64_t nodeid, uint64_t stamp)
{
	LOCK_SCOPE(&r->lock);
	for (size_t i = 0; i < BLOBS; i++) {
		if (r->blobs[i] && r->blobs[i]->nodeid == nodeid && r->blobs[i]->stamp == stamp) {
			r->blobs[i]->refs++;
			return r->blobs[i];
		}
	}
	return NULL;
}

void respblob_unref(struct vfs *v, struct respblob *b)
{
	unsigned left;

	if (!b)
		return;
	lock_take(&v->respblob->lock);
	left = --b->refs;
	lock_drop(&v->respblob->lock);
	if (!left)
		blob_free(b);
}

static void blob_keep(struct vfs *v, struct respblob *b)
{
	struct respblob_kept *r = v->respblob;
	struct respblob *old;

	lock_take(&r->lock);
	b->refs++;
	old = r->blobs[r->next];
	r->blobs[r->next] = b;
	r->next = (r->next + 1) % BLOBS;
	lock_drop(&r->lock);
	respblob_unref(v, old);
}

void respblob_trim(struct vfs *v, uint64_t nodeid)
{
	struct respblob_kept *r = v->respblob;
	struct respblob *gone = NULL;

	lock_take(&r->lock);
	for (size_t i = 0; i < BLOBS && !gone; i++) {
		struct respblob *b = r->blobs[i];

		if (b && b->nodeid == nodeid && b->b.len > BLOB_KEEP_BYTES) {
			gone = b;
			r->blobs[i] = NULL;
		}
	}
	lock_drop(&r->lock);
	respblob_unref(v, gone);
}

/* the same file read as pending or as final is the same bytes: one blob for both */
static uint64_t blob_id(const struct response_node *n)
{
	struct response_node plain = *n;

	plain.pending = false;
	if (plain.kind == RESP_STREAM)
		plain.kind = RESP_TEXT;
	return resptable_pack(&plain);
}

/* what is told of a request changes when it is tried again, and of a job with every line */
static uint64_t stamp_of(struct vfs *v, const struct response_node *n)
{
	struct broker_view view;

	if (n->kind != RESP_USAGE && n->kind != RESP_ERROR)
		return 0;
	return broker_get(v->broker, n->id, &view) < 0 ? 0 : view.changed_ns;
}

int respblob_get(struct vfs *v, uint64_t nodeid, bool nowait, struct respblob **out)
{
	struct response_node n = resptable_node(nodeid);
	const struct response_name *name = resptable_name(n.kind);
	uint64_t stamp = stamp_of(v, &n);
	struct respblob *b = blob_find(v->respblob, blob_id(&n), stamp);
	struct broker_file_id f;
	int r;

	if (b) {
		*out = b;
		return 0;
	}
	if (!name)
		return -ENOENT;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->refs = 1;
	b->nodeid = blob_id(&n);
	b->stamp = stamp;
	b->b = BUF_INIT(1u << 30);
	f = (struct broker_file_id){ n.id, name->file, n.sample, nowait };
	r = broker_render(v->broker, &f, &b->b);
	if (r < 0) {
		blob_free(b);
		return r;
	}
	blob_keep(v, b);
	*out = b;
	return 0;
}
