/* batchjob_pass.c - one reading of a job's file after the other, until every line has a result */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "jobs/batchjob_stage.h"
#include "jobs/check.h"

#include "base/banned.h"

struct batchjob_pass *batchjob_pass_new(struct broker *b, int64_t lines)
{
	struct batchjob_pass *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	list_init(&p->gathering);
	map_init(&p->shares);
	p->set = batchjob_set_make(b, lines);
	if (p->set)
		return p;
	free(p);
	return NULL;
}

static bool free_share(struct map_link *l, void *arg)
{
	struct batchjob_share **last = arg;

	if (*last) /* the link of the one before is no longer read */
		free((*last)->used);
	free(*last);
	*last = CONTAINER_OF(l, struct batchjob_share, link);
	return true;
}

static void forget_shares(struct batchjob_pass *p)
{
	struct batchjob_share *last = NULL;

	map_each(&p->shares, free_share, &last);
	if (last)
		free(last->used);
	free(last);
	map_done(&p->shares);
	map_init(&p->shares);
}

static void forget_gathering(struct batchjob_pass *p)
{
	struct list *l;

	while ((l = list_pop(&p->gathering)))
		batchjob_forget(LIST_ENTRY(l, struct batchjob, gather.link));
}

void batchjob_pass_free(struct batchjob_pass *p)
{
	if (!p)
		return;
	forget_gathering(p);
	forget_shares(p);
	map_done(&p->shares);
	free(p->counted);
	free(p);
}

bool batchjob_pass_counted(const struct batchjob_pass *p, uint64_t no)
{
	return p && no / 8 < p->n_counted && p->counted[no / 8] >> (no % 8) & 1;
}

int batchjob_pass_count(struct batchjob_pass *p, uint64_t no)
{
	if (p && no / 8 >= p->n_counted) {
		size_t n = (size_t)no / 4 + 64;
		unsigned char *more = realloc(p->counted, n);

		if (!more)
			return -ENOMEM;
		memset(more + p->n_counted, 0, n - p->n_counted);
		p->counted = more;
		p->n_counted = n;
	}
	if (p)
		p->counted[no / 8] |= (unsigned char)(1u << (no % 8));
	return 0;
}

void batchjob_pass_uncount(struct batchjob_pass *p)
{
	if (p && p->n_counted)
		memset(p->counted, 0, p->n_counted);
}

/* ---- samples of a namespace ---- */

static bool share_equal(const struct map_link *l, const void *key)
{
	return CONTAINER_OF(l, const struct batchjob_share, link)->hash == *(const uint64_t *)key;
}

struct batchjob_share *batchjob_pass_share(struct bulk *k, const struct checked *c)
{
	AUTO_BUF struct buf id = BUF_INIT(1 << 16);
	struct batchjob_pass *p = k->batch;
	struct map_link *l;
	struct batchjob_share *s;
	uint64_t hash;

	(void)buf_add(&id, c->body.key.b, sizeof(c->body.key.b));
	if (buf_adds(&id, c->terms.ns) < 0)
		return NULL;
	hash = bulk_set_hash(id.data, id.len);
	l = map_find(&p->shares, map_hash_u64(hash), share_equal, &hash);
	if (l)
		return CONTAINER_OF(l, struct batchjob_share, link);
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->hash = hash;
	if (ledger_given_used(k->b->o.ledger, c->terms.ns, &c->body.key, &s->used, &s->n) == 0 &&
	    map_add(&p->shares, &s->link, map_hash_u64(hash)) == 0)
		return s;
	free(s->used);
	free(s);
	return NULL;
}

uint32_t batchjob_pass_next(struct batchjob_share *s)
{
	while (s->at < s->n && s->used[s->at] <= s->low) {
		s->low += s->used[s->at] == s->low;
		s->at++;
	}
	return s->low++;
}

/* ---- the last line was read ---- */

static int hand_in_all(struct batchjob_pass *p)
{
	int r = 0;

	while (r == 0 && !list_empty(&p->gathering))
		r = batchjob_stage_hand_in(
			LIST_ENTRY(p->gathering.next, struct batchjob, gather.link));
	return r;
}

int batchjob_pass_over(struct bulk *k, bool cancelled)
{
	struct batchjob_pass *p = k->batch;
	bool news;
	int r = 0;

	if (cancelled) {
		forget_gathering(p);
		batchjob_cancel(k->b, k->lines); /* one may have been handed in just then */
	} else {
		r = hand_in_all(p);
	}
	if (r < 0)
		return r;
	if (!p->waiting)
		return 1;
	lock_take(&k->b->lock);
	news = p->news != p->set->news;
	p->news = p->set->news;
	lock_drop(&k->b->lock);
	if (!news && !cancelled)
		return 0;
	p->waiting = 0;
	forget_shares(p);
	return 2;
}
