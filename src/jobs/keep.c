/* keep.c - an answer that was bought becomes an object */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/mono.h"
#include "jobs/keep.h"
#include "jobs/sweep.h"

#include "base/banned.h"

bool keep_may_store(struct flight *f, const struct answer *a)
{
	if (f->mode == REQUEST_CACHE_BYPASS)
		return false;
	if (strcmp(a->finish_reason, "stop") == 0 || strcmp(a->finish_reason, "tool_calls") == 0)
		return true;
	if (strcmp(a->finish_reason, "length") != 0)
		return false;
	LOCK_SCOPE(&f->b->lock);
	LIST_EACH(l, &f->jobs)
		if (LIST_ENTRY(l, struct job, in_flight)->terms.user_max_tokens)
			return true;
	return false;
}

static int encode(struct flight *f, struct keep *k)
{
	const char *backend = json_string_value(json_object_get(f->request, "backend"));
	struct object_parts p = {
		.key = &f->key,
		.index = k->index,
		.created_real_ns = mono_real_ns(),
		.ttl_s = k->ttl_s,
		.request = f->canon,
		.request_len = f->canon_len,
		.raw = k->answer->raw.len ? k->answer->raw.data : "",
		.raw_len = k->answer->raw.len,
	};

	k->made = answer_sample(k->answer, backend ? backend : "", k->call_id);
	if (!k->made)
		return -EINVAL;
	k->sample = p.sample = k->made;
	return object_encode(&p, &k->bytes);
}

static struct store_offer offer_of(const struct flight *f, const struct keep *k)
{
	return (struct store_offer){ .key = &f->key,
				     .index = k->index,
				     .bytes = k->bytes.data,
				     .len = k->bytes.len,
				     .ttl_s = k->ttl_s,
				     .dirfd = -1 };
}

/* pinned from before it is there until a commit names it */
static int put(struct broker *b, struct keep *k)
{
	int r = sweep_pin(b, &k->id.key);

	if (r < 0)
		return r;
	r = answers_put(b->o.answers, &k->id, k->bytes.data, k->bytes.len);
	if (r < 0)
		sweep_unpin(b, &k->id.key);
	return r;
}

/* ---- another daemon was first: its answer is the key's */

static int take_winner(struct flight *f, struct keep *k)
{
	struct broker *b = f->b;
	struct buf won = BUF_INIT(OBJECT_MAX);
	int r = store_get(b->o.store, &f->key, k->index, 0, &k->won, &won);

	if (r == STORE_OK) {
		k->sample = k->won.sample;
		buf_done(&k->bytes);
		k->bytes = won;
		sweep_object(b, &k->id); /* ours; unless it is the same as the winner's */
		k->id = (struct answers_id){ .key = f->key, .index = k->index };
		r = answers_put(b->o.answers, &k->id, k->bytes.data, k->bytes.len);
		if (r < 0)
			sweep_unpin(b, &f->key);
	} else {
		buf_done(&won);
		r = r < 0 ? r : 0; /* gone again already */
	}
	return r;
}

/* ---- the engine has not taken it: that is recorded before anybody is shown the answer */

struct untaken {
	struct ledger_post post;
	struct ledger_change change;
	struct broker *b;
	struct answers_id id;
};

static void untaken_done(struct ledger_post *p, int result)
{
	struct untaken *u = CONTAINER_OF(p, struct untaken, post);

	(void)result; /* not recorded: offered until this mount ends */
	unstored_add(u->b, &u->id);
	sweep_unpin(u->b, &u->id.key);
	free(u);
}

static void untaken(struct broker *b, const struct answers_id *id)
{
	struct untaken *u = calloc(1, sizeof(*u));

	if (!u || sweep_pin(b, &id->key) < 0) {
		free(u);
		unstored_add(b, id);
		return;
	}
	u->b = b;
	u->id = *id;
	u->change.op = LEDGER_OP_UNSTORED;
	u->change.object = (struct ledger_handout){ .key = id->key,
						    .index = id->index,
						    .variant = id->variant };
	u->post.changes = &u->change;
	u->post.n_changes = 1;
	u->post.done = untaken_done;
	ledger_post(b->o.ledger, &u->post);
}

static int offer(struct flight *f, struct keep *k)
{
	struct broker *b = f->b;
	struct store_offer o = offer_of(f, k);
	char name[ANSWERS_NAME_MAX];
	int r;

	answers_name(&k->id, name);
	o.dirfd = answers_dirfd(b->o.answers);
	o.name = name;
	if (f->mode == REQUEST_CACHE_REFRESH)
		(void)store_remove(b->o.store, &f->key, k->index); /* failed: put says so */
	r = store_put(b->o.store, &o);
	k->stored = true;
	if (r == STORE_EXISTS)
		return take_winner(f, k);
	if (r < 0)
		untaken(b, &k->id);
	return 0;
}

int keep_answer(struct flight *f, struct keep *k)
{
	struct store_offer o;
	int r;

	k->id = (struct answers_id){ .key = f->key, .index = k->index };
	k->bytes = BUF_INIT(OBJECT_MAX);
	r = encode(f, k);
	if (r < 0)
		return r;
	k->direct &= k->may_store && f->mode == REQUEST_CACHE_USE;
	if (k->direct) {
		o = offer_of(f, k);
		k->direct = store_put(f->b->o.store, &o) == STORE_OK;
	}
	if (k->direct)
		return 0;
	r = put(f->b, k);
	if (r < 0)
		return r;
	fault_at("object");
	return k->may_store ? offer(f, k) : 0;
}

void keep_done(struct keep *k)
{
	json_decref(k->made);
	object_done(&k->won);
	buf_done(&k->bytes);
}
