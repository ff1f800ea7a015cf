/* bulk_count.c - what the lines of a job add up to: progress and usage */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "jobs/bulk.h"

#include "base/banned.h"

/* ---- adding ---- */

static double number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name)); /* null and none are 0 */
}

static void add_facts(struct bulk_counts *c, const json_t *f)
{
	const json_t *tokens = json_object_get(f, "tokens");
	const json_t *cost = json_object_get(f, "cost_usd");

	c->attempts += (uint64_t)json_integer_value(json_object_get(f, "attempts"));
	c->cost_usd += number(f, "cost_usd");
	c->unpriced += json_is_null(cost);
	c->saved_by_cache_usd += number(f, "saved_usd");
	c->saved_by_merging_usd += number(f, "merged_usd");
	c->input_tokens += json_integer_value(json_array_get(tokens, 0));
	c->output_tokens += json_integer_value(json_array_get(tokens, 3));
}

static void add_handouts(struct bulk_counts *c, const struct ledger_handout *h, size_t n)
{
	size_t cached = 0;

	for (size_t i = 0; i < n; i++) {
		cached += h[i].cached;
		c->duplicated += h[i].duplicated;
	}
	c->samples += n;
	c->reused += cached;
	c->bought += n - cached;
	c->cached += n && cached == n;
}

static void add(struct bulk_counts *to, const struct bulk_counts *c)
{
	to->done += c->done;
	to->failed += c->failed;
	to->cancelled += c->cancelled;
	to->cached += c->cached;
	to->samples += c->samples;
	to->bought += c->bought;
	to->reused += c->reused;
	to->duplicated += c->duplicated;
	to->unpriced += c->unpriced;
	to->attempts += c->attempts;
	to->input_tokens += c->input_tokens;
	to->output_tokens += c->output_tokens;
	to->cost_usd += c->cost_usd;
	to->saved_by_cache_usd += c->saved_by_cache_usd;
	to->saved_by_merging_usd += c->saved_by_merging_usd;
}

void bulk_count_row(struct bulk *k, const struct ledger_row *row)
{
	struct bulk_counts c = { .done = 1 };
	struct ledger_handout *h = NULL;
	json_t *f = json_loads(row->facts ? row->facts : "", 0, NULL);
	size_t n = 0;

	c.failed = row->state == LEDGER_FAILED;
	c.cancelled = row->state == LEDGER_CANCELLED;
	if (row->state == LEDGER_DONE) {
		if (ledger_handouts(k->b->o.ledger, row->id, &h, &n) == 0)
			add_handouts(&c, h, n);
		add_facts(&c, f);
	}
	json_decref(f);
	free(h);
	LOCK_SCOPE(&k->b->lock);
	add(&k->counts, &c);
	bulk_changed_locked(k);
}

/* ---- as text ---- */

struct member {
	const char *name;
	size_t at;
};

#define MEMBER(name)                                      \
	{                                                 \
#name, offsetof(struct bulk_counts, name) \
	}

static const struct member wholes[] = {
	MEMBER(total),	       MEMBER(done),	 MEMBER(failed),   MEMBER(cancelled),
	MEMBER(cached),	       MEMBER(samples),	 MEMBER(bought),   MEMBER(reused),
	MEMBER(duplicated),    MEMBER(unpriced), MEMBER(attempts), MEMBER(input_tokens),
	MEMBER(output_tokens),
};
static const struct member sums[] = { MEMBER(cost_usd), MEMBER(saved_by_cache_usd),
				      MEMBER(saved_by_merging_usd) };

static int64_t whole(const struct bulk_counts *c, const struct member *m)
{
	int64_t n;

	memcpy(&n, (const char *)c + m->at, sizeof(n));
	return n;
}

static double sum(const struct bulk_counts *c, const struct member *m)
{
	double d;

	memcpy(&d, (const char *)c + m->at, sizeof(d));
	return d;
}

static json_t *object_of(const struct bulk_counts *c)
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < ARRAY_LEN(wholes); i++)
		json_object_set_new(o, wholes[i].name, json_integer(whole(c, &wholes[i])));
	for (size_t i = 0; o && i < ARRAY_LEN(sums); i++)
		json_object_set_new(o, sums[i].name, json_real(sum(c, &sums[i])));
	return o;
}

char *bulk_count_facts(const struct bulk_counts *c, double elapsed_s, bool buys_again,
		       json_t *batches)
{
	json_t *o = object_of(c);
	char *text;

	json_object_set_new(o, "elapsed_s", json_real(elapsed_s));
	if (buys_again)
		json_object_set_new(o, "buys_again", json_true());
	if (batches)
		json_object_set(o, "batches", batches);
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

void bulk_count_read(const char *facts, struct bulk_counts *out, double *out_elapsed_s)
{
	json_t *o = json_loads(facts ? facts : "", 0, NULL);

	*out = (struct bulk_counts){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(wholes); i++) {
		int64_t n = json_integer_value(json_object_get(o, wholes[i].name));

		memcpy((char *)out + wholes[i].at, &n, sizeof(n));
	}
	for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
		double d = number(o, sums[i].name);

		memcpy((char *)out + sums[i].at, &d, sizeof(d));
	}
	*out_elapsed_s = number(o, "elapsed_s");
	json_decref(o);
}

uint64_t bulk_count_failed(const char *facts)
{
	struct bulk_counts c;
	double s;

	bulk_count_read(facts, &c, &s);
	return c.failed + c.cancelled;
}

int bulk_count_usage(const struct bulk_counts *c, const char *status, double elapsed_s,
		     json_t *batches, struct buf *out)
{
	json_t *o = json_object(), *all = object_of(c);
	char *text;
	int r;

	json_object_set_new(o, "status", json_string(status));
	json_object_update(o, all);
	json_object_set_new(o, "elapsed_s", json_real(elapsed_s));
	if (batches)
		json_object_set(o, "batches", batches);
	text = o && all ? json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) : NULL;
	r = text ? buf_adds(out, text) : -ENOMEM;
	free(text);
	json_decref(all);
	json_decref(o);
	return r == 0 ? buf_addc(out, '\n') : r;
}

int bulk_count_progress(const struct bulk_counts *c, double elapsed_s, double eta_s, char *out,
			size_t cap)
{
	char eta[32] = "?";
	int n;

	if (eta_s >= 0)
		(void)snprintf(eta, sizeof(eta), "%.1f", eta_s);
	n = snprintf(out, cap,
		     "%llu/%llu failed=%llu cached=%llu cost_usd=%.9g elapsed_s=%.1f eta_s=%s\n",
		     (unsigned long long)c->done, (unsigned long long)c->total,
		     (unsigned long long)c->failed + (unsigned long long)c->cancelled,
		     (unsigned long long)c->cached, c->cost_usd, elapsed_s, eta);
	if (n < 0 || (size_t)n < cap)
		return n;
	out[cap - 2] = '\n'; /* times of damaged facts have hundreds of digits */
	return (int)cap - 1;
}
