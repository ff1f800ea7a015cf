/*
 * outage.c - leave an engine alone that keeps failing, and find out when it is back
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>

#include "base/mono.h"
#include "store/outage.h"

#include "base/banned.h"

void outage_init(struct outage *o, unsigned failures, unsigned probe_ms)
{
	memset(o, 0, sizeof(*o));
	lock_init(&o->lock, LOCK_ENGINE);
	o->limit = failures ? failures : 1;
	o->probe_ns = probe_ms * MONO_MS;
}

void outage_done(struct outage *o)
{
	lock_done(&o->lock);
}

enum outage_answer outage_admit(struct outage *o, bool quick)
{
	LOCK_SCOPE(&o->lock);
	if (!o->down)
		return OUTAGE_GO;
	if (o->probing || mono_ns() < o->next_probe_ns)
		return OUTAGE_NO;
	if (quick)
		return OUTAGE_PROBE;
	o->probing = true;
	return OUTAGE_GO;
}

void outage_report(struct outage *o, int error)
{
	LOCK_SCOPE(&o->lock);
	o->probing = false;
	if (!error) {
		o->in_a_row = 0;
		o->down = false;
		return;
	}
	o->error = error;
	if (o->in_a_row < o->limit)
		o->in_a_row++;
	if (o->in_a_row < o->limit)
		return;
	o->down = true;
	o->next_probe_ns = mono_ns() + o->probe_ns;
}

bool outage_down(struct outage *o, int *out_error)
{
	LOCK_SCOPE(&o->lock);
	if (out_error)
		*out_error = o->error;
	return o->down;
}
