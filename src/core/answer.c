/*
 * answer.c - one sample as a provider gave it
 */
#include <stdbool.h>
#include <stdlib.h>

#include "core/answer.h"

#include "base/banned.h"

struct answer *answer_new(void)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	buf_init(&a->text, ANSWER_TEXT_MAX);
	buf_init(&a->reasoning, ANSWER_TEXT_MAX);
	buf_init(&a->raw, ANSWER_TEXT_MAX);
	a->usage = (struct answer_usage){ -1, -1, -1, -1, -1 };
	a->cost_usd = -1;
	return a;
}

struct answer *answer_free(struct answer *a)
{
	if (!a)
		return NULL;
	buf_done(&a->text);
	buf_done(&a->reasoning);
	buf_done(&a->raw);
	free(a->finish_reason);
	free(a->model);
	free(a->refusal);
	free(a->provider_request_id);
	json_decref(a->tool_calls);
	json_decref(a->logprobs);
	json_decref(a->embedding);
	free(a);
	return NULL;
}

static int64_t share(int64_t all, size_t among, bool first)
{
	int64_t each = all / (int64_t)among;

	if (all < 0)
		return -1;
	return first ? all - each * (int64_t)(among - 1) : each;
}

/* The input was paid once, so one sample has its tokens: a sum over samples is what the provider billed. */
void answer_share_usage(const struct answer_usage *call, struct answer *const *v, size_t n)
{
	const struct answer_usage u = *call; /* it may be in one of them */
	size_t came = 0;
	bool first = true;

	for (size_t i = 0; i < n; i++)
		came += v[i] != NULL;
	for (size_t i = 0; i < n; i++) {
		if (!v[i])
			continue;
		v[i]->usage = (struct answer_usage){
			.input = first || u.input < 0 ? u.input : 0,
			.cached_input = first || u.cached_input < 0 ? u.cached_input : 0,
			.cache_write = first || u.cache_write < 0 ? u.cache_write : 0,
			.output = share(u.output, came, first),
			.reasoning = share(u.reasoning, came, first),
		};
		first = false;
	}
}

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *bytes_or_null(const struct buf *b)
{
	return b->len ? json_stringn(b->data, b->len) : json_null();
}

/* What the provider did not say is null: a 0 would be a claim. */
static json_t *count_or_null(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static json_t *value_or_null(json_t *v)
{
	return v ? json_incref(v) : json_null();
}

json_t *answer_usage_json(const struct answer_usage *u)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "input_tokens", count_or_null(u->input),
			 "cached_input_tokens", count_or_null(u->cached_input),
			 "cache_write_tokens", count_or_null(u->cache_write), "output_tokens",
			 count_or_null(u->output), "reasoning_tokens", count_or_null(u->reasoning));
}

/* json_pack fails, and frees the rest, when any value is NULL: one check for all of them. */
json_t *answer_sample(const struct answer *a, const char *provider, const char *call_id)
{
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o*, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:i}}",
		"text", json_stringn(a->text.len ? a->text.data : "", a->text.len), "finish_reason",
		text_or_null(a->finish_reason), "tool_calls", value_or_null(a->tool_calls),
		"reasoning", bytes_or_null(&a->reasoning), "logprobs", value_or_null(a->logprobs),
		"refusal", text_or_null(a->refusal), "embedding", json_incref(a->embedding),
		"usage", answer_usage_json(&a->usage), "cost_usd",
		a->cost_usd < 0 ? json_null() : json_real(a->cost_usd), "model",
		text_or_null(a->model), "provider", text_or_null(provider), "provider_request_id",
		text_or_null(a->provider_request_id), "call", "id", json_string(call_id), "samples",
		a->call_samples ? (int)a->call_samples : 1);
}
