/* sweep.c - the objects of a response that went, when nobody else names them */
#include <errno.h>
#include <stdlib.h>

#include "jobs/inside.h"

#include "base/banned.h"

void sweep_collect(struct broker *b, const char *root, const char *path, struct sweep *out)
{
	*out = (struct sweep){ 0 };
	if (ledger_find(b->o.ledger, root, path, &out->row) < 0)
		return;
	if (ledger_handouts(b->o.ledger, out->row.id, &out->h, &out->n) < 0) {
		out->h = NULL;
		out->n = 0;
	}
}

void sweep_object(struct broker *b, const struct answers_id *id)
{
	if (unstored_has(b, id))
		return;
	if (ledger_named(b->o.ledger, &id->key, id->index, id->variant) == 0)
		(void)answers_remove(b->o.answers, id); /* stays: found again by the next sweep */
}

void sweep_run(struct broker *b, struct sweep *s)
{
	if (s->row.id && !broker_hold_keep(b, s)) {
		recent_drop(b->recent, s->row.id);
		for (size_t i = 0; i < s->n; i++)
			sweep_object(b, &(struct answers_id){ .key = s->h[i].key,
							      .index = s->h[i].index,
							      .variant = s->h[i].variant });
	}
	free(s->h);
	ledger_row_done(&s->row);
	*s = (struct sweep){ 0 };
}
