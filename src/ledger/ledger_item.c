/*
 * ledger_item.c - versions of rows
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ledger/ledger_item.h"

#include "base/banned.h"

/* the strings of a row, for those who copy all of them */
enum { STRINGS = 6 };

static char **string_of(struct ledger_row *r, unsigned i)
{
	char **all[STRINGS] = {
		&r->root, &r->path, &r->suffix, &r->envelope, &r->facts, &r->error
	};

	return all[i];
}

struct ledger_blob *ledger_item_blob(const char *bytes, size_t n)
{
	struct ledger_blob *b = malloc(sizeof(*b) + n);

	if (!b)
		return NULL;
	atomic_init(&b->refs, 1);
	b->n = n;
	memcpy(b->bytes, bytes, n);
	return b;
}

void ledger_item_blob_unref(struct ledger_blob *b)
{
	if (b && atomic_fetch_sub(&b->refs, 1) == 1)
		free(b);
}

static struct ledger_blob *blob_ref(struct ledger_blob *b)
{
	if (b)
		atomic_fetch_add(&b->refs, 1);
	return b;
}

/* One block: links, then hand-outs, then texts, from the strictest alignment to none. */
struct ledger_item *ledger_item_new(const struct ledger_item_parts *p)
{
	struct ledger_row row = *p->row;
	size_t len[STRINGS], strings = 0, size;
	struct ledger_item *it;
	char *at;

	for (unsigned i = 0; i < STRINGS; i++) {
		const char *s = *string_of(&row, i);

		len[i] = s ? strlen(s) + 1 : 0;
		strings += len[i];
	}
	size = sizeof(*it) + p->n * (sizeof(*it->h) + sizeof(*it->links)) + strings;
	it = malloc(size);
	if (!it)
		return NULL;
	*it = (struct ledger_item){ .row = row,
				    .blob = blob_ref(p->blob),
				    .blob_in_db = p->blob_in_db,
				    .handouts_in_db = p->handouts_in_db,
				    .bytes = size + (p->blob ? p->blob->n : 0),
				    .n = p->n };
	atomic_init(&it->refs, 1);
	it->links = (struct ledger_item_link *)(it + 1);
	it->h = (struct ledger_handout *)(it->links + p->n);
	if (p->n)
		memcpy(it->h, p->h, p->n * sizeof(*it->h));
	for (size_t i = 0; i < p->n; i++)
		it->links[i] = (struct ledger_item_link){ .item = it, .i = i };
	at = (char *)(it->h + p->n);
	for (unsigned i = 0; i < STRINGS; i++) {
		char **s = string_of(&it->row, i);

		if (!*s)
			continue;
		memcpy(at, *s, len[i]);
		*s = at;
		at += len[i];
	}
	return it;
}

struct ledger_item_parts ledger_item_parts_of(const struct ledger_item *it)
{
	return (struct ledger_item_parts){ .row = &it->row,
					   .h = it->h,
					   .n = it->n,
					   .blob = it->blob,
					   .blob_in_db = it->blob_in_db,
					   .handouts_in_db = it->handouts_in_db };
}

struct ledger_item *ledger_item_ref(struct ledger_item *it)
{
	atomic_fetch_add(&it->refs, 1);
	return it;
}

void ledger_item_unref(struct ledger_item *it)
{
	if (!it || atomic_fetch_sub(&it->refs, 1) != 1)
		return;
	ledger_item_blob_unref(it->blob);
	free(it);
}

/* The last of several at one pos wins, as it would in the table of the database. */
static size_t insert(struct ledger_handout *v, size_t n, const struct ledger_handout *h)
{
	size_t i = n;

	while (i > 0 && v[i - 1].pos > h->pos)
		i--;
	if (i > 0 && v[i - 1].pos == h->pos) {
		v[i - 1] = *h;
		return n;
	}
	memmove(v + i + 1, v + i, (n - i) * sizeof(*v));
	v[i] = *h;
	return n + 1;
}

int ledger_item_merge(const struct ledger_item *old, const struct ledger_change *more, int64_t id,
		      struct ledger_handout **out, size_t *out_n)
{
	size_t n = old ? old->n : 0, max = n + more->n_handouts;
	struct ledger_handout *v = calloc(max + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	if (n)
		memcpy(v, old->h, n * sizeof(*v));
	for (size_t i = 0; i < more->n_handouts; i++)
		n = insert(v, n, &more->handouts[i]);
	for (size_t i = 0; i < n; i++)
		v[i].request = id;
	*out = v;
	*out_n = n;
	return 0;
}

int ledger_item_row(const struct ledger_item *it, struct ledger_row *out)
{
	struct ledger_row r = it->row;
	bool failed = false;

	for (unsigned i = 0; i < STRINGS; i++) {
		char **s = string_of(&r, i);

		if (*s)
			*s = strdup(*s);
		failed |= !*s && *string_of((struct ledger_row *)(uintptr_t)&it->row, i);
	}
	if (failed) {
		ledger_row_done(&r);
		return -ENOMEM;
	}
	*out = r;
	return 0;
}
