/* gather.c - the window of merging */
#include "jobs/gather.h"
#include "base/auto.h"
#include "base/mono.h"

#include "base/banned.h"

void gather_init(struct broker *b)
{
	list_init(&b->gathering.flights);
	b->gathering.in_use = b->o.merge.always;
	if (!b->o.merge.size)
		b->o.merge.size = 1;
}

void gather_close_locked(struct flight *f)
{
	f->gather.until_mono = 0;
	f->gather.wanted = 0;
	list_del(&f->gather.link);
}

void gather_add_locked(struct flight *f, const struct job *j)
{
	struct broker *b = f->b;

	b->gathering.in_use |= j->terms.n > 1 || j->terms.ns;
	if (!f->tabled || !b->gathering.in_use || !b->o.merge.window_ms)
		return;
	if (!f->gather.until_mono) {
		f->gather.until_mono = mono_ns() + b->o.merge.window_ms * MONO_MS;
		list_append(&b->gathering.flights, &f->gather.link);
		cond_signal(&b->tick);
	}
	f->gather.wanted += (unsigned)j->terms.n;
	if (f->gather.wanted >= b->o.merge.size)
		gather_close_locked(f);
}

struct flight *gather_over_locked(struct broker *b, uint64_t now_mono, uint64_t *next)
{
	struct flight *f;

	if (list_empty(&b->gathering.flights))
		return NULL;
	f = LIST_ENTRY(b->gathering.flights.next, struct flight, gather.link);
	if (f->gather.until_mono <= now_mono) {
		gather_close_locked(f);
		f->refs++;
		return f;
	}
	if (!*next || f->gather.until_mono < *next)
		*next = f->gather.until_mono;
	return NULL;
}
