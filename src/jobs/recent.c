/* recent.c - see recent.h */
#include <errno.h>
#include <stdlib.h>

#include "base/lock.h"
#include "core/response.h"
#include "jobs/recent.h"

#include "base/banned.h"

/* Enough for what runs at one time, and half a megabyte at most. */
enum { SLOTS = 64, TEXT_MAX = 8 << 10 };

struct recent {
	struct lock lock;
	unsigned next;
	struct {
		int64_t id; /* 0: empty */
		struct buf text;
	} slot[SLOTS];
};

struct recent *recent_new(void)
{
	struct recent *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	lock_init(&r->lock, LOCK_LEAF);
	for (unsigned i = 0; i < SLOTS; i++)
		buf_init(&r->slot[i].text, TEXT_MAX);
	return r;
}

struct recent *recent_free(struct recent *r)
{
	if (!r)
		return NULL;
	for (unsigned i = 0; i < SLOTS; i++)
		buf_done(&r->slot[i].text);
	lock_done(&r->lock);
	free(r);
	return NULL;
}

void recent_keep(struct recent *r, int64_t id, const json_t *sample)
{
	struct buf *text;
	unsigned i;

	if (!r || json_object_get(sample, "embedding") ||
	    json_string_length(json_object_get(sample, "text")) >= TEXT_MAX)
		return;
	LOCK_SCOPE(&r->lock);
	i = r->next++ % SLOTS;
	text = &r->slot[i].text;
	buf_clear(text);
	r->slot[i].id = response_text(sample, text) == 0 ? id : 0;
}

int recent_text(struct recent *r, int64_t id, struct buf *out)
{
	if (!r)
		return -ENOENT;
	LOCK_SCOPE(&r->lock);
	for (unsigned i = 0; i < SLOTS; i++)
		if (r->slot[i].id == id)
			return buf_add(out, r->slot[i].text.data, r->slot[i].text.len);
	return -ENOENT;
}

void recent_drop(struct recent *r, int64_t id)
{
	if (!r)
		return;
	LOCK_SCOPE(&r->lock);
	for (unsigned i = 0; i < SLOTS; i++)
		if (r->slot[i].id == id)
			r->slot[i].id = 0;
}
