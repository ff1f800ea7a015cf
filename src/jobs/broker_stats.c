/* broker_stats.c - the counters as a person and a script read them */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "jobs/broker_models.h"
#include "jobs/inside.h"

#include "base/banned.h"

struct plain_counter {
	const char *name;
	enum ledger_counter c;
};

static const struct plain_counter plain[] = {
	{ "refused", LEDGER_C_REFUSED },
	{ "tokens_input", LEDGER_C_TOKENS_INPUT },
	{ "tokens_output", LEDGER_C_TOKENS_OUTPUT },
	{ "samples", LEDGER_C_SAMPLES },
	{ "samples_cached", LEDGER_C_SAMPLES_CACHED },
	{ "samples_fresh", LEDGER_C_SAMPLES_FRESH },
	{ "samples_duplicated", LEDGER_C_SAMPLES_DUPLICATED },
	{ "calls", LEDGER_C_CALLS },
	{ "failed", LEDGER_C_FAILED },
	{ "cancelled", LEDGER_C_CANCELLED },
	{ "retried", LEDGER_C_RETRIED },
	{ "unpriced", LEDGER_C_UNPRICED },
};

static int dump(json_t *take, struct buf *out)
{
	char *text = json_dumps(take, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	int r = text ? buf_adds(out, text) : -ENOMEM;

	free(text);
	json_decref(take);
	return r == 0 ? buf_addc(out, '\n') : r;
}

static void set(json_t *o, const char *name, json_t *take)
{
	json_object_set_new(o, name, take); /* no memory: a member less */
}

static void set_usd(json_t *o, const char *name, int64_t nano)
{
	set(o, name, json_real((double)nano / 1e9));
}

/* waiting and running ones, over all backends */
static void load(struct broker *b, unsigned *queued, unsigned *in_flight)
{
	struct infer_status s;

	*queued = *in_flight = 0;
	for (const char *const *n = b->o.backends; n && *n; n++) {
		if (infer_status(b->o.infer, *n, &s) < 0)
			continue;
		*queued += s.queued;
		*in_flight += s.in_flight;
	}
}

static void set_store(struct broker *b, json_t *o)
{
	struct store_status s = { 0 };
	json_t *st = json_object();

	store_status(b->o.store, &s);
	set(st, "engine", json_string(s.engine ? s.engine : ""));
	set(st, "lookups", json_integer((json_int_t)s.lookups));
	set(st, "hits", json_integer((json_int_t)s.hits));
	set(st, "puts", json_integer((json_int_t)s.puts));
	set(st, "errors", json_integer((json_int_t)s.errors));
	set(st, "damaged", json_integer((json_int_t)s.damaged));
	set(st, "down", json_boolean(s.down));
	set(o, "store", st);
}

int broker_stats_summary(struct broker *b, struct buf *out)
{
	int64_t c[LEDGER_COUNTERS];
	json_t *o = json_object();
	unsigned queued, in_flight;
	int64_t requests;
	char rate[32];

	ledger_counters(b->o.ledger, c);
	load(b, &queued, &in_flight);
	requests = c[LEDGER_C_REQUESTS];
	(void)snprintf(rate, sizeof(rate), "%.1f%%",
		       requests > 0 ? 100.0 * (double)c[LEDGER_C_CACHE_HITS] / (double)requests
				    : 0);
	set(o, "requests", json_integer(requests));
	set(o, "cache_hits", json_integer(c[LEDGER_C_CACHE_HITS]));
	set(o, "cache_hit_rate", json_string(rate));
	set_usd(o, "total_cost", c[LEDGER_C_COST_NANO_USD]);
	set_usd(o, "avg_cost_per_request", requests > 0 ? c[LEDGER_C_COST_NANO_USD] / requests : 0);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		set(o, plain[i].name, json_integer(c[plain[i].c]));
	set_usd(o, "saved_by_cache_usd", c[LEDGER_C_SAVED_CACHE_NANO_USD]);
	set_usd(o, "saved_by_dedup_usd", c[LEDGER_C_SAVED_DEDUP_NANO_USD]);
	set(o, "in_flight", json_integer(in_flight));
	set(o, "queued", json_integer(queued));
	set_store(b, o);
	return dump(o, out);
}

static json_t *time_or_null(uint64_t real_ns)
{
	char text[40];

	if (!real_ns)
		return json_null();
	str_iso8601(real_ns, text, sizeof(text));
	return json_string(text);
}

const char *const *broker_stats_backends(struct broker *b)
{
	return b->o.backends;
}

static json_t *real_or_null(double d)
{
	return d < 0 ? json_null() : json_real(d);
}

static json_t *quota_json(const struct quota *q)
{
	json_t *o = json_object();

	set(o, "limit", real_or_null(q->limit));
	set(o, "remaining", real_or_null(q->remaining));
	set(o, "reset_s", real_or_null(q->reset_s));
	return o;
}

static json_t *limit_or_null(uint64_t n)
{
	return n ? json_integer((json_int_t)n) : json_null();
}

static void set_limits(json_t *o, const struct backend_config *c, const struct infer_status *s)
{
	static const char *const states[] = {
		[GATE_CLOSED] = "closed", [GATE_OPEN] = "open", [GATE_PROBING] = "half-open"
	};
	json_t *breaker = json_object(), *told = s->has_told ? json_object() : json_null();

	set(breaker, "state", json_string(states[s->breaker]));
	set(breaker, "failures", json_integer(s->breaker_failures));
	set(breaker, "opens_at", limit_or_null(c->limits.breaker_failures));
	set(breaker, "probe_in_s",
	    s->breaker == GATE_OPEN ? json_real(s->breaker_left_s) : json_null());
	set(o, "concurrency_limit", json_integer(c->limits.concurrency));
	set(o, "requests_per_minute", limit_or_null(c->limits.rpm));
	set(o, "tokens_per_minute", limit_or_null(c->limits.tpm));
	set(o, "held_s", json_real(s->hold_s));
	set(o, "breaker", breaker);
	if (s->has_told) {
		set(told, "requests", quota_json(&s->told.requests));
		set(told, "tokens", quota_json(&s->told.tokens));
	}
	set(o, "rate_limit", told);
}

static size_t number_of(struct broker *b, const char *name)
{
	size_t i = 0;

	while (b->o.backends[i] && strcmp(b->o.backends[i], name) != 0)
		i++;
	return i;
}

int broker_stats_backend(struct broker *b, const char *name, struct buf *out)
{
	const struct backend_config *c = infer_find(b->o.infer, name);
	struct infer_status s;
	json_t *o;

	if (!c || infer_status(b->o.infer, name, &s) < 0)
		return -ENOENT;
	o = json_object();
	set(o, "backend", json_string(name));
	set(o, "type", json_string(c->type->name));
	set(o, "url", c->at.url ? json_string(c->at.url) : json_null());
	set(o, "key", json_string(s.has_key ? "set" : c->type->key_env ? "missing" : "not needed"));
	set(o, "in_flight", json_integer(s.in_flight));
	set(o, "queued", json_integer(s.queued));
	set(o, "concurrency", json_integer(s.concurrency));
	set_limits(o, c, &s);
	set(o, "calls", json_integer((json_int_t)s.calls));
	set(o, "succeeded", json_integer((json_int_t)s.ok));
	set(o, "failed", json_integer((json_int_t)s.failed));
	set(o, "retried", json_integer((json_int_t)s.retried));
	set(o, "models", broker_models_status(b, number_of(b, name)));
	broker_models_orders(b, number_of(b, name), o);
	set(o, "last_success", time_or_null(s.last_ok_real_ns));
	set(o, "last_failure", time_or_null(s.last_error_real_ns));
	set(o, "last_error", s.last_error[0] ? json_string(s.last_error) : json_null());
	return dump(o, out);
}
