/* picks.c - the samples of one request */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "jobs/inside.h"
#include "jobs/sweep.h"

#include "base/banned.h"

int picks_deal(struct picks *p, const uint32_t *indices, unsigned n)
{
	struct pick *v = calloc(n ? n : 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		v[i].index = indices ? indices[i] : i;
	free(p->v);
	p->v = v;
	p->n = n;
	return 0;
}

int picks_deal_first(struct picks *p, unsigned n)
{
	return picks_deal(p, NULL, n);
}

uint64_t picks_text_bytes(const json_t *sample)
{
	const json_t *text = json_object_get(sample, "text");
	size_t n = json_string_length(text);

	if (!n)
		return 0;
	return n + (json_string_value(text)[n - 1] != '\n');
}

double picks_price(const json_t *sample)
{
	const json_t *cost = json_object_get(sample, "cost_usd");

	return json_is_number(cost) ? json_number_value(cost) : -1;
}

/* a sum with a part that is not known is not known */
static void add_usd(double *sum, double usd)
{
	if (usd < 0 || *sum < 0)
		*sum = -1;
	else
		*sum += usd;
}

static void add_tokens(struct tally *t, const json_t *sample)
{
	static const char *const names[] = { "input_tokens", "cached_input_tokens",
					     "cache_write_tokens", "output_tokens",
					     "reasoning_tokens" };
	const json_t *usage = json_object_get(sample, "usage");

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const json_t *v = json_object_get(usage, names[i]);

		if (!json_is_integer(v) || t->tokens[i] < 0)
			t->tokens[i] = -1;
		else
			t->tokens[i] += json_integer_value(v);
	}
}

static void add_bought(struct tally *t, const struct gift *g)
{
	double price = picks_price(g->sample);

	t->bought++;
	add_usd(&t->cost_usd, price);
	add_tokens(t, g->sample);
	if (g->attempts) {
		t->calls++;
		t->attempts += g->attempts;
	}
	if (g->duplicated) {
		t->duplicated++;
		t->merged_usd += g->input_usd;
	}
	if (!g->kept)
		add_usd(&t->again_usd, price);
}

static void add_first(struct broker *b, struct job *j, const json_t *sample)
{
	struct tally *t = &j->picks.tally;

	t->text_bytes = picks_text_bytes(sample);
	t->reasoning = json_string_length(json_object_get(sample, "reasoning")) > 0;
	t->tool_calls = json_array_size(json_object_get(sample, "tool_calls")) > 0;
	recent_keep(b->recent, j->id, sample);
}

static struct pick *waited_for(struct picks *p, uint32_t index)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->v[i].index == index && !p->v[i].have)
			return &p->v[i];
	return NULL;
}

bool picks_want(const struct picks *p, uint32_t index)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->v[i].index == index)
			return !p->v[i].have;
	return false;
}

void picks_missed(struct picks *p, uint32_t index)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->v[i].index == index)
			p->v[i].missed = true;
}

bool picks_give(struct broker *b, struct job *j, const struct gift *g)
{
	struct pick *k;

	lock_take(&b->lock);
	k = j->ending ? NULL : waited_for(&j->picks, g->id->index);
	if (k) {
		k->variant = g->id->variant;
		k->cached = !g->bought;
		k->duplicated = g->bought && g->duplicated;
		k->have = true;
		j->picks.have++;
	}
	lock_drop(&b->lock);
	if (!k)
		return false;
	if (k == j->picks.v)
		add_first(b, j, g->sample);
	if (g->bought)
		add_bought(&j->picks.tally, g);
	else
		add_usd(&j->picks.tally.saved_usd, picks_price(g->sample));
	return true;
}

void picks_recorded(struct broker *b, const struct key *key, struct picks *p)
{
	if (!p->recorded)
		for (unsigned i = 0; i < p->n; i++)
			if (p->v[i].have)
				sweep_unpin(b, key);
	p->recorded = true;
}

void picks_done(struct broker *b, const struct key *key, struct picks *p)
{
	for (unsigned i = 0; i < p->n && !p->recorded; i++) {
		struct answers_id id = { .key = *key,
					 .index = p->v[i].index,
					 .variant = p->v[i].variant };

		if (!p->v[i].have)
			continue;
		sweep_object(b, &id);
		sweep_unpin(b, key);
	}
	free(p->v);
	*p = (struct picks){ 0 };
}
