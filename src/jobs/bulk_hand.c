/* bulk_hand.c - what the hand-outs to a line are known by */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/str.h"
#include "jobs/bulk_hand.h"
#include "jobs/check.h"

#include "base/banned.h"

/* What hand-outs are known by where the user chose no id: the escaped name, or the k-th line with that key
 * (no name ends in %# and a number). */
int bulk_hand_name(struct bulk *k, struct bulk_asked *a, struct checked *c)
{
	AUTO_BUF struct buf path = BUF_INIT((size_t)1 << 20);
	struct job_terms *t = &c->terms;

	if (!t->ns)
		return 0;
	if (!a->item.own_id && !a->nth) {
		a->nth = bulk_set_count(&k->pass.keys,
					bulk_set_hash(c->body.key.b, sizeof(c->body.key.b)));
		if (!a->nth)
			return -ENOMEM;
	}
	if (t->request_id)
		return 0;
	if (broker_path(k->b, k->id, &path) < 0)
		return -ENOMEM;
	t->hand_path = strdup(buf_str(&path));
	t->hand_id = a->item.own_id ? str_printf("%s/%s", buf_str(&path), a->item.name)
				    : str_printf("%s/%%#%u", buf_str(&path), a->nth);
	if (a->hand_id) { /* of an earlier try */
		free(t->hand_id);
		t->hand_id = strdup(a->hand_id);
	}
	return t->hand_id && t->hand_path ? 0 : -ENOMEM;
}

/* What its hand-outs are known by among the lines of the file, whatever that is or was called: a name has no
 * slash. */
static const char *hand_of(const struct job_terms *t)
{
	const char *slash = t->hand_id ? strrchr(t->hand_id, '/') : NULL;

	return slash ? slash : "";
}

/* A line without an id of its own is another one when lines before it came or went. */
bool bulk_hand_same(const struct ledger_row *row, const struct checked *c)
{
	struct job_terms t = { 0 };
	bool same = !c->terms.hand_id;

	if (!same && terms_read(row->envelope, &t) == 0)
		same = strcmp(hand_of(&t), hand_of(&c->terms)) == 0;
	terms_done(&t);
	return same;
}
