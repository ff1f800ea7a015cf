/* unstored.c - answers that lie safe in state/answers and that the engine has not taken yet */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/mono.h"
#include "jobs/inside.h"
#include "jobs/sweep.h"

#include "base/banned.h"

struct unstored {
	struct list link;
	struct answers_id id;
	struct ledger_post post;
	struct ledger_change change;
	struct broker *b;
};

static struct unstored *find_locked(struct broker *b, const struct key *key, uint32_t index,
				    const uint32_t *variant)
{
	LIST_EACH(l, &b->unstored.objects) {
		struct unstored *u = LIST_ENTRY(l, struct unstored, link);

		if (key_equal(&u->id.key, key) && u->id.index == index &&
		    (!variant || u->id.variant == *variant))
			return u;
	}
	return NULL;
}

int unstored_lookup(struct broker *b, const struct key *key, uint32_t index, struct buf *out_bytes)
{
	struct answers_id id;
	struct unstored *u;

	lock_take(&b->lock);
	u = find_locked(b, key, index, NULL);
	if (u)
		id = u->id;
	lock_drop(&b->lock);
	return u ? answers_read(b->o.answers, &id, out_bytes) : -ENOENT;
}

bool unstored_has(struct broker *b, const struct answers_id *id)
{
	LOCK_SCOPE(&b->lock);
	return find_locked(b, &id->key, id->index, &id->variant) != NULL;
}

void unstored_add(struct broker *b, const struct answers_id *id)
{
	struct unstored *u = calloc(1, sizeof(*u));

	log_msg(LOG_WARNING,
		"the store did not take an answer; it is kept in the state directory and "
		"offered again");
	if (!u)
		return; /* the ledger has it: offered again after the next mount */
	u->b = b;
	u->id = *id;
	lock_take(&b->lock);
	list_append(&b->unstored.objects, &u->link);
	if (!b->unstored.at_mono)
		b->unstored.at_mono = mono_ns() + MONO_S;
	cond_signal(&b->tick);
	lock_drop(&b->lock);
}

static void stored_done(struct ledger_post *p, int result)
{
	struct unstored *u = CONTAINER_OF(p, struct unstored, post);

	if (result == 0)
		sweep_object(u->b, &u->id); /* kept only because the engine had not taken it? */
	free(u);
}

static void stored(struct broker *b, struct unstored *u)
{
	u->change.op = LEDGER_OP_STORED;
	u->change.object = (struct ledger_handout){ .key = u->id.key,
						    .index = u->id.index,
						    .variant = u->id.variant };
	u->post.changes = &u->change;
	u->post.n_changes = 1;
	u->post.done = stored_done;
	ledger_post(b->o.ledger, &u->post);
}

/* true: the engine has it, or nobody ever will */
static bool offer_one(struct broker *b, const struct answers_id *id)
{
	struct buf bytes = BUF_INIT(OBJECT_MAX);
	char name[ANSWERS_NAME_MAX];
	int r = answers_read(b->o.answers, id, &bytes);

	answers_name(id, name);
	if (r == 0)
		r = store_put(b->o.store,
			      &(struct store_offer){ .key = &id->key,
						     .index = id->index,
						     .bytes = bytes.data,
						     .len = bytes.len,
						     .dirfd = answers_dirfd(b->o.answers),
						     .name = name });
	else
		r = 0; /* gone from answers/ too */
	buf_done(&bytes);
	return r >= 0;
}

void unstored_offer(struct broker *b)
{
	for (;;) {
		struct unstored *u = NULL;
		struct answers_id id;

		lock_take(&b->lock);
		if (list_empty(&b->unstored.objects))
			b->unstored.at_mono = 0;
		else
			u = LIST_ENTRY(b->unstored.objects.next, struct unstored, link);
		if (u)
			id = u->id;
		lock_drop(&b->lock);
		if (!u || !offer_one(b, &id))
			return;
		lock_take(&b->lock);
		list_del(&u->link);
		lock_drop(&b->lock);
		stored(b, u);
	}
}

void unstored_free(struct broker *b)
{
	struct list *l;

	while ((l = list_pop(&b->unstored.objects)))
		free(LIST_ENTRY(l, struct unstored, link));
}
