/* park.c - see park.h */
#include "vfs/park.h"

#include "base/banned.h"

void park_init(struct park *p, const struct vfs_req *q)
{
	p->q = *q;
	p->interrupted = false;
	atomic_init(&p->pending, 2);
}

/* in_interrupt: we are inside the interrupt callback, which must not wait for itself */
static void park_step(struct park *p, bool in_interrupt)
{
	if (atomic_fetch_sub(&p->pending, 1) != 1)
		return;
	if (!in_interrupt && !p->interrupted)
		p->q.ops->interruptible(p->q.impl, NULL, NULL);
	p->answer(p, p->interrupted);
}

static void on_interrupt(void *arg)
{
	struct park *p = arg;

	if (!p->unwait(p))
		return; /* it is being woken: that answer is as good */
	p->interrupted = true;
	park_step(p, true);
}

void park_armed(struct park *p)
{
	p->q.ops->interruptible(p->q.impl, on_interrupt, p);
	park_step(p, false);
}

void park_wake(struct park *p)
{
	park_step(p, false);
}
