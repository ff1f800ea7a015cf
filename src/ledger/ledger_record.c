/*
 * ledger_record.c - a posting as bytes
 *
 * One description of every op serves both directions: a field is written from where it would be read to,
 * so the two cannot disagree.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger_record.h"

#include "base/banned.h"

#define NO_TEXT UINT32_MAX

struct codec {
	struct buf *out; /* NULL: reading */
	const char *p;
	size_t left;
	int rc; /* the first failure; nothing happens after it */
};

static void raw(struct codec *k, void *v, size_t n)
{
	if (k->rc)
		return;
	if (k->out) {
		k->rc = buf_add(k->out, v, n);
	} else if (n > k->left) {
		k->rc = -EBADMSG;
	} else {
		memcpy(v, k->p, n);
		k->p += n;
		k->left -= n;
	}
}

static int64_t number(struct codec *k, int64_t v)
{
	raw(k, &v, sizeof(v));
	return v;
}

static unsigned byte(struct codec *k, unsigned v)
{
	unsigned char b = (unsigned char)v;

	raw(k, &b, 1);
	return b;
}

static uint32_t length(struct codec *k, size_t n)
{
	uint32_t v = (uint32_t)n;

	if (n >= NO_TEXT && k->out)
		k->rc = -EFBIG;
	raw(k, &v, sizeof(v));
	return v;
}

/* bytes with a NUL behind them, in place when read */
static void bytes(struct codec *k, const char **p, size_t *n)
{
	uint32_t len = *p || !k->out ? length(k, *n) : NO_TEXT;

	if (k->out && !*p)
		raw(k, &len, sizeof(len));
	if (k->rc || (k->out && !*p))
		return;
	if (k->out) {
		k->rc = buf_add(k->out, *p, *n);
		if (!k->rc)
			k->rc = buf_addc(k->out, '\0');
		return;
	}
	*p = NULL;
	*n = 0;
	if (len == NO_TEXT)
		return;
	if (len >= k->left || k->p[len]) {
		k->rc = -EBADMSG;
		return;
	}
	*p = k->p;
	*n = len;
	k->p += len + 1;
	k->left -= (size_t)len + 1;
}

static void text(struct codec *k, const char **s)
{
	size_t n = k->out && *s ? strlen(*s) : 0;

	bytes(k, s, &n);
	if (!k->out && !k->rc && *s && strlen(*s) != n)
		k->rc = -EBADMSG; /* a NUL inside */
}

static void row_text(struct codec *k, char **s)
{
	const char *c = *s;

	text(k, &c);
	*s = (char *)(uintptr_t)c; /* rows borrow their texts */
}

static void object(struct codec *k, struct ledger_handout *h)
{
	raw(k, h->key.b, sizeof(h->key.b));
	raw(k, &h->index, sizeof(h->index));
	raw(k, &h->variant, sizeof(h->variant));
}

static void handout(struct codec *k, struct ledger_handout *h)
{
	unsigned flags;

	object(k, h);
	raw(k, &h->pos, sizeof(h->pos));
	flags = byte(k, (h->cached ? 1 : 0) | (h->duplicated ? 2 : 0));
	h->cached = flags & 1;
	h->duplicated = flags & 2;
}

static void handouts(struct codec *k, struct ledger_change *c)
{
	size_t least = sizeof(((struct key *)NULL)->b);
	uint32_t n = length(k, c->n_handouts);
	struct ledger_handout *v = NULL;

	if (k->rc || k->out) {
		for (uint32_t i = 0; i < n && !k->rc; i++) {
			struct ledger_handout h = c->handouts[i];

			handout(k, &h);
		}
		return;
	}
	if (n > k->left / least) { /* before memory is asked for */
		k->rc = -EBADMSG;
		return;
	}
	v = calloc((size_t)n + 1, sizeof(*v));
	if (!v)
		k->rc = -ENOMEM;
	for (uint32_t i = 0; i < n && !k->rc; i++)
		handout(k, &v[i]);
	c->handouts = v; /* freed with the record, also after a failure */
	c->n_handouts = k->rc ? 0 : n;
}

/* what FINISH sets */
static void outcome(struct codec *k, struct ledger_row *r)
{
	r->id = number(k, r->id);
	r->state = (enum ledger_state)byte(k, (unsigned)r->state);
	r->final_ns = (uint64_t)number(k, (int64_t)r->final_ns);
	r->text_bytes = (uint64_t)number(k, (int64_t)r->text_bytes);
	row_text(k, &r->facts);
	row_text(k, &r->error);
}

/* the rest of a row */
static void birth(struct codec *k, struct ledger_row *r)
{
	r->gen = (uint32_t)number(k, r->gen);
	r->has_key = byte(k, r->has_key);
	if (r->has_key)
		raw(k, r->key.b, sizeof(r->key.b));
	raw(k, r->file_sha.b, sizeof(r->file_sha.b));
	r->n = (int)number(k, r->n);
	r->cache_mode = (int)number(k, r->cache_mode);
	r->accepted_ns = (uint64_t)number(k, (int64_t)r->accepted_ns);
	row_text(k, &r->root);
	row_text(k, &r->path);
	row_text(k, &r->suffix);
	row_text(k, &r->envelope);
}

static void given(struct codec *k, struct ledger_given *v)
{
	raw(k, v->key.b, sizeof(v->key.b));
	raw(k, &v->index, sizeof(v->index));
}

static void give(struct codec *k, struct ledger_given_change *c)
{
	struct ledger_given *v;
	uint32_t n;

	text(k, &c->ns);
	text(k, &c->root);
	text(k, &c->path);
	text(k, &c->request_id);
	raw(k, c->key.b, sizeof(c->key.b));
	raw(k, &c->pos, sizeof(c->pos));
	n = length(k, c->n);
	if (k->rc || k->out) {
		for (uint32_t i = 0; i < n && !k->rc; i++) {
			struct ledger_given one = c->v[i];

			given(k, &one);
		}
		return;
	}
	if (n > k->left / sizeof(v->key.b)) { /* before memory is asked for */
		k->rc = -EBADMSG;
		return;
	}
	v = calloc((size_t)n + 1, sizeof(*v));
	if (!v)
		k->rc = -ENOMEM;
	for (uint32_t i = 0; i < n && !k->rc; i++)
		given(k, &v[i]);
	c->v = v; /* freed with the record, also after a failure */
	c->n = k->rc ? 0 : n;
}

/* those that are not 0 */
static void sums(struct codec *k, int64_t *add, unsigned max)
{
	unsigned n = 0, c = 0;

	for (unsigned i = 0; i < max; i++)
		n += add[i] != 0;
	n = byte(k, n);
	for (unsigned i = 0; i < n && !k->rc; i++) {
		while (k->out && !add[c])
			c++;
		c = byte(k, c);
		if (c >= max)
			k->rc = -EBADMSG;
		else
			add[c] = number(k, add[c]);
		c++;
	}
}

static void ns_count(struct codec *k, struct ledger_given_count *c)
{
	int64_t all[LEDGER_NS_COUNTERS] = { 0 }, *v = all;

	text(k, &c->ns);
	if (k->out && c->add)
		memcpy(all, c->add, sizeof(all));
	if (!k->out && !k->rc) {
		v = calloc(LEDGER_NS_COUNTERS, sizeof(*v));
		c->add = v; /* freed with the record, also after a failure */
		k->rc = v ? 0 : -ENOMEM;
	}
	if (!k->rc)
		sums(k, v, LEDGER_NS_COUNTERS);
}

static void change(struct codec *k, struct ledger_change *c)
{
	c->op = (enum ledger_op)byte(k, (unsigned)c->op);
	switch (c->op) {
	case LEDGER_OP_PUT:
		birth(k, &c->row);
		bytes(k, &c->request, &c->request_len);
		/* fall through */
	case LEDGER_OP_FINISH:
		outcome(k, &c->row);
		handouts(k, c);
		return;
	case LEDGER_OP_REMOVE:
		c->row.id = number(k, c->row.id);
		return;
	case LEDGER_OP_DROP:
		text(k, &c->root);
		text(k, &c->path);
		return;
	case LEDGER_OP_MOVE:
	case LEDGER_OP_MOVE_TREE:
	case LEDGER_OP_SWAP:
	case LEDGER_OP_SWAP_TREE:
		text(k, &c->root);
		text(k, &c->path);
		text(k, &c->to_root);
		text(k, &c->to_path);
		row_text(k, &c->row.suffix);
		return;
	case LEDGER_OP_UNSTORED:
	case LEDGER_OP_STORED:
		object(k, &c->object);
		return;
	case LEDGER_OP_GIVE:
		give(k, &c->give);
		return;
	case LEDGER_OP_NS_COUNT:
		ns_count(k, &c->ns_count);
		return;
	case LEDGER_OP_DROP_ROOT:
	case LEDGER_OP_NS_FORGET:
		text(k, &c->root);
		return;
	}
	k->rc = k->out ? -EINVAL : -EBADMSG;
}

int ledger_record_write(const struct ledger_record *r, struct buf *out)
{
	struct codec k = { .out = out };
	int64_t add[LEDGER_COUNTERS];

	memcpy(add, r->add, sizeof(add));
	sums(&k, add, LEDGER_COUNTERS);
	(void)length(&k, r->n);
	for (size_t i = 0; i < r->n && !k.rc; i++) {
		struct ledger_change c = r->changes[i];

		change(&k, &c);
	}
	return k.rc;
}

static void read_changes(struct codec *k, struct ledger_record *r)
{
	uint32_t count = length(k, 0);

	if (!k->rc && count > k->left) /* each has a byte at least */
		k->rc = -EBADMSG;
	if (k->rc)
		return;
	r->changes = calloc((size_t)count + 1, sizeof(*r->changes));
	if (!r->changes) {
		k->rc = -ENOMEM;
		return;
	}
	for (; r->n < count && !k->rc; r->n++)
		change(k, &r->changes[r->n]);
}

int ledger_record_read(const char *p, size_t n, struct ledger_record *out)
{
	struct codec k = { .p = p, .left = n };
	struct ledger_record r = { 0 };

	sums(&k, r.add, LEDGER_COUNTERS);
	if (!k.rc)
		read_changes(&k, &r);
	if (!k.rc && k.left)
		k.rc = -EBADMSG;
	if (k.rc)
		ledger_record_done(&r);
	else
		*out = r;
	return k.rc;
}

void ledger_record_done(struct ledger_record *r)
{
	for (size_t i = 0; i < r->n; i++) { /* ours since they were read */
		free((void *)(uintptr_t)r->changes[i].handouts);
		free((void *)(uintptr_t)r->changes[i].give.v);
		free((void *)(uintptr_t)r->changes[i].ns_count.add);
	}
	free(r->changes);
	*r = (struct ledger_record){ 0 };
}
