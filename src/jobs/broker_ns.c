/* broker_ns.c - a place holder until requests are counted by namespace */
#include "jobs/broker_ns.h"

#include "base/banned.h"

int broker_ns_usage(struct broker *b, const char *ns, struct buf *out)
{
	(void)b;
	(void)ns;
	return buf_adds(out, "{}\n");
}

void broker_ns_forget(struct broker *b, const char *ns, broker_done_fn *done, void *arg)
{
	(void)b;
	(void)ns;
	done(arg, 0);
}
