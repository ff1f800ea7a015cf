/*
 * infer/retry.c - another attempt? and after what pause
 */
#include "infer/retry.h"

#include "base/banned.h"

static const double PAUSE_MAX_S = 1e8; /* three years; keeps the sums within 64 bits */

/* Less by chance, never more: the configured maximum is one. */
static double backoff_s(const struct backend_limits *l, unsigned attempts, double chance)
{
	double ms = l->backoff_ms > 0 ? l->backoff_ms : 0;

	for (unsigned k = 1; k < attempts && ms < l->backoff_max_ms; k++)
		ms *= 2;
	if (ms > l->backoff_max_ms)
		ms = l->backoff_max_ms;
	return ms * (1 - chance / 4) / 1e3;
}

/* A late failure uses up what is left, whatever the next attempt ends with. */
static bool another(struct retry *r, const struct backend_limits *l, const struct retry_why *w)
{
	if (!w->retryable || r->attempts > l->retries)
		return false;
	if (r->late)
		return false;
	r->late = w->late;
	return true;
}

int64_t retry_next(struct retry *r, const struct backend_limits *l, const struct retry_why *w,
		   const struct retry_when *t)
{
	double pause;

	if (!another(r, l, w))
		return -1;
	pause = backoff_s(l, r->attempts, t->random);
	if (w->retry_after_s > pause) /* a little later than asked, so that not all come at once */
		pause = w->retry_after_s + pause * t->random / 4;
	if (pause > PAUSE_MAX_S)
		pause = PAUSE_MAX_S;
	if (t->limit_ns && (double)t->now_ns + pause * 1e9 >= (double)t->limit_ns)
		return -1;
	return (int64_t)(pause * 1e9);
}

/* xorshift: chance only spreads retries, nothing is kept secret by it */
double retry_chance(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (double)(*state >> 11) / (double)(1ull << 53);
}
