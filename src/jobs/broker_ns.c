/* broker_ns.c - what a namespace has cost, and its end */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "jobs/broker_ns.h"
#include "jobs/flight.h"

#include "base/banned.h"

/* ---- usage.json ---- */

struct usage_row {
	const char *name;
	enum ledger_ns_counter c;
	bool usd;
};

static const struct usage_row usage_rows[] = {
	{ "requests", LEDGER_NS_REQUESTS, false },
	{ "calls", LEDGER_NS_CALLS, false },
	{ "samples", LEDGER_NS_SAMPLES, false },
	{ "bought", LEDGER_NS_BOUGHT, false },
	{ "reused", LEDGER_NS_REUSED, false },
	{ "duplicated", LEDGER_NS_DUPLICATED, false },
	{ "input_tokens", LEDGER_NS_TOKENS_INPUT, false },
	{ "output_tokens", LEDGER_NS_TOKENS_OUTPUT, false },
	{ "unpriced", LEDGER_NS_UNPRICED, false },
	{ "cost_usd", LEDGER_NS_COST_NANO_USD, true },
	{ "saved_by_cache_usd", LEDGER_NS_SAVED_CACHE_NANO_USD, true },
	{ "saved_by_merging_usd", LEDGER_NS_SAVED_MERGE_NANO_USD, true },
	/* what one more namespace that asks the same would have to buy: answers that are never stored */
	{ "marginal_cost_usd", LEDGER_NS_AGAIN_NANO_USD, true },
};

int broker_ns_usage(struct broker *b, const char *ns, struct buf *out)
{
	int64_t c[LEDGER_NS_COUNTERS];
	json_t *o;
	char *text;
	int r = ledger_ns_counters(b->o.ledger, ns, c);

	if (r < 0)
		return r;
	o = json_pack("{s:s}", "namespace", ns);
	for (size_t i = 0; i < ARRAY_LEN(usage_rows); i++) {
		const struct usage_row *u = &usage_rows[i];

		json_object_set_new(o, u->name,
				    u->usd ? json_real((double)c[u->c] / 1e9)
					   : json_integer(c[u->c])); /* no memory: a member less */
	}
	text = json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	json_decref(o);
	r = text ? buf_adds(out, text) : -ENOMEM;
	free(text);
	return r == 0 ? buf_addc(out, '\n') : r;
}

/* ---- its end ---- */

struct forgetting {
	struct ledger_post post;
	struct ledger_change change;
	char *ns;
	broker_done_fn *done;
	void *arg;
};

static void forgotten(struct ledger_post *p, int result)
{
	struct forgetting *f = CONTAINER_OF(p, struct forgetting, post);
	broker_done_fn *done = f->done;
	void *arg = f->arg;

	free(f->ns);
	free(f);
	done(arg, result);
}

struct leaving {
	const char *ns;
	struct job **v;
	size_t n;
};

static bool gather_leaving(struct map_link *l, void *arg)
{
	struct leaving *x = arg;
	struct job *j = CONTAINER_OF(l, struct job, by_id);

	if (j->root && strcmp(j->root, x->ns) == 0)
		x->v[x->n++] = job_ref(j);
	return true;
}

/* requests that still run leave with their names */
static void leave_all(struct broker *b, const char *ns)
{
	struct leaving x = { .ns = ns };
	struct list waiters;

	list_init(&waiters);
	lock_take(&b->lock);
	x.v = calloc(b->by_id.n + 1, sizeof(struct job *));
	if (x.v)
		map_each(&b->by_id, gather_leaving, &x);
	for (size_t i = 0; i < x.n; i++)
		job_detach_locked(b, x.v[i], &waiters);
	lock_drop(&b->lock);
	for (size_t i = 0; i < x.n; i++) {
		if (x.v[i]->stream)
			stream_fail(x.v[i]->stream, ECANCELED);
		job_unref(b, x.v[i]); /* detach took one for us, too */
		job_unref(b, x.v[i]);
	}
	job_wake_all(b, &waiters);
	free(x.v);
}

void broker_ns_forget(struct broker *b, const char *ns, broker_done_fn *done, void *arg)
{
	struct forgetting *f = calloc(1, sizeof(*f));

	if (f)
		f->ns = strdup(ns);
	if (!f || !f->ns) {
		free(f);
		done(arg, -ENOMEM);
		return;
	}
	leave_all(b, ns);
	f->done = done;
	f->arg = arg;
	f->change.op = LEDGER_OP_NS_FORGET;
	f->change.root = f->ns;
	f->post.changes = &f->change;
	f->post.n_changes = 1;
	f->post.done = forgotten;
	ledger_post(b->o.ledger, &f->post);
}
