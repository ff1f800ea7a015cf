/*
 * ledger_gone.c - a list of rows that went
 */
#include <errno.h>
#include <stdlib.h>

#include "ledger/ledger_gone.h"

#include "base/banned.h"

int ledger_gone_add(struct ledger_gone *g, struct ledger_item *take_item)
{
	if (take_item && g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 4;
		struct ledger_item **v = realloc(g->v, cap * sizeof(struct ledger_item *));

		if (v) {
			g->v = v;
			g->cap = cap;
		}
	}
	if (!take_item || g->n == g->cap) {
		ledger_item_unref(take_item);
		return -ENOMEM;
	}
	g->v[g->n++] = take_item;
	return 0;
}

void ledger_gone_done(struct ledger_gone *g)
{
	for (size_t i = 0; i < g->n; i++)
		ledger_item_unref(g->v[i]);
	free(g->v);
	*g = (struct ledger_gone){ 0 };
}
