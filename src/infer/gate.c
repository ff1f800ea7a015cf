/*
 * infer/gate.c - when a backend may be asked next
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mono.h"
#include "infer/gate.h"

#include "base/banned.h"

#define MINUTE_NS (60 * MONO_S)

enum { PROBE_WAIT_MS = 100 };

/* A server's wish is obeyed up to here; what it wants beyond, its next answer may say again. */
static const double HOLD_MAX_S = 120;

int gate_init(struct gate *g, const struct backend_limits *l, uint64_t now_ns)
{
	*g = (struct gate){ .limits = l,
			    .tokens = (double)l->tpm,
			    .filled_ns = now_ns,
			    .allowed = l->concurrency ? l->concurrency : 1 };
	quota_init(&g->told);
	if (!l->rpm)
		return 0;
	g->begun = calloc(l->rpm, sizeof(*g->begun));
	return g->begun ? 0 : -ENOMEM;
}

void gate_done(struct gate *g)
{
	free(g->begun);
	g->begun = NULL;
}

static uint64_t seconds_ns(double s)
{
	if (s > HOLD_MAX_S)
		s = HOLD_MAX_S;
	return s > 0 ? (uint64_t)(s * 1e9) : 0;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- the breaker ---- */

static uint64_t breaker_wait(struct gate *g, uint64_t now_ns, bool *out_probe)
{
	if (g->breaker == GATE_CLOSED)
		return 0;
	if (g->breaker == GATE_PROBING)
		return PROBE_WAIT_MS * MONO_MS;
	if (now_ns < g->open_until_ns)
		return g->open_until_ns - now_ns;
	*out_probe = true;
	return 0;
}

/* Does this say that the backend is ill? A refusal is the word of one that is well. */
static bool is_ill(enum err_kind kind)
{
	switch (kind) {
	case ERR_PROVIDER:
	case ERR_PROTOCOL:
	case ERR_TIMEOUT:
	case ERR_REFUSED:
	case ERR_UNREACHABLE:
	case ERR_TLS:
		return true;
	default:
		return false;
	}
}

static void open_breaker(struct gate *g, uint64_t now_ns)
{
	g->breaker = GATE_OPEN;
	g->open_until_ns = now_ns + (uint64_t)(g->limits->breaker_seconds * 1e9);
}

bool gate_outcome(struct gate *g, uint64_t now_ns, enum err_kind kind, bool probe)
{
	if (kind == ERR_CANCELLED || kind == ERR_ENDING) {
		if (probe && g->breaker == GATE_PROBING)
			g->breaker = GATE_OPEN; /* its time is over: the next one probes */
		return probe;
	}
	if (!is_ill(kind)) {
		bool was_shut = g->breaker != GATE_CLOSED;

		g->failures = 0;
		g->breaker = GATE_CLOSED;
		return was_shut;
	}
	g->failures += g->failures < UINT32_MAX;
	if (probe) {
		open_breaker(g, now_ns);
		return true;
	}
	if (g->breaker == GATE_CLOSED && g->limits->breaker_failures &&
	    g->failures >= g->limits->breaker_failures)
		open_breaker(g, now_ns);
	return false;
}

bool gate_is_open(const struct gate *g, uint64_t now_ns, uint64_t *out_left_ns)
{
	if (g->breaker != GATE_OPEN || now_ns >= g->open_until_ns)
		return false;
	*out_left_ns = g->open_until_ns - now_ns;
	return true;
}

/* ---- the minute ---- */

static uint64_t rpm_wait(const struct gate *g, uint64_t now_ns)
{
	uint64_t first = g->begun ? g->begun[g->begun_at] : 0;

	return first && first + MINUTE_NS > now_ns ? first + MINUTE_NS - now_ns : 0;
}

static void fill(struct gate *g, uint64_t now_ns)
{
	double per_ns = (double)g->limits->tpm / (double)MINUTE_NS;

	if (now_ns > g->filled_ns)
		g->tokens += (double)(now_ns - g->filled_ns) * per_ns;
	if (g->tokens > (double)g->limits->tpm)
		g->tokens = (double)g->limits->tpm;
	g->filled_ns = now_ns;
}

/* One that is larger than the bucket goes when the bucket is full: it would wait for ever. */
static uint64_t tpm_wait(struct gate *g, uint64_t now_ns, double tokens)
{
	double need = tokens < (double)g->limits->tpm ? tokens : (double)g->limits->tpm;

	if (!g->limits->tpm)
		return 0;
	fill(g, now_ns);
	if (g->tokens >= need)
		return 0;
	return (uint64_t)ceil((need - g->tokens) / (double)g->limits->tpm * (double)MINUTE_NS);
}

uint64_t gate_admit(struct gate *g, uint64_t now_ns, double tokens, bool *out_probe)
{
	bool probe = *out_probe; /* its own next attempt must not wait for itself */
	uint64_t wait = probe ? 0 : breaker_wait(g, now_ns, &probe);

	if (!wait && g->hold_ns > now_ns)
		wait = g->hold_ns - now_ns;
	if (!wait)
		wait = later(rpm_wait(g, now_ns), tpm_wait(g, now_ns, tokens));
	if (wait)
		return wait;
	if (g->begun) {
		g->begun[g->begun_at] = now_ns ? now_ns : 1;
		g->begun_at = (g->begun_at + 1) % g->limits->rpm;
	}
	if (g->limits->tpm)
		g->tokens -= tokens;
	if (probe)
		g->breaker = GATE_PROBING;
	*out_probe |= probe;
	return 0;
}

void gate_settle(struct gate *g, double estimate, double took)
{
	if (g->limits->tpm && took >= 0)
		g->tokens += estimate - took;
}

/* ---- the server's own word ---- */

static uint64_t hold_of(const struct quota *q)
{
	return q->remaining >= 0 && q->remaining < 1 && q->reset_s > 0 ? seconds_ns(q->reset_s) : 0;
}

void gate_told(struct gate *g, uint64_t now_ns, const struct quota_set *q)
{
	if (q->requests.remaining < 0 && q->tokens.remaining < 0 && q->requests.limit < 0 &&
	    q->tokens.limit < 0)
		return;
	g->told = *q;
	g->told_ns = now_ns;
	g->hold_ns = later(g->hold_ns, now_ns + later(hold_of(&q->requests), hold_of(&q->tokens)));
}

/* Half of what was in flight; the first of a volley counts, the rest of it was under way already. */
void gate_refused(struct gate *g, uint64_t now_ns, double retry_after_s, unsigned in_flight)
{
	unsigned half = in_flight / 2 ? in_flight / 2 : 1;

	if (half < g->allowed)
		g->allowed = half;
	g->good = 0;
	g->hold_ns = later(g->hold_ns, now_ns + seconds_ns(retry_after_s));
}

void gate_good(struct gate *g)
{
	unsigned most = g->limits->concurrency ? g->limits->concurrency : 1;

	if (g->allowed >= most || ++g->good < g->allowed)
		return;
	g->allowed++;
	g->good = 0;
}
