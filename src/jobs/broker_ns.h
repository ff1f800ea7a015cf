/*
 * jobs/broker_ns.h - sampling namespaces, as the tree shows and removes them
 *
 * A namespace is its name, which is the root of the requests below its prompts/ and of what they were
 * handed out. There is nothing to create: one that nobody has used has counted nothing.
 * Threads: any. Blocks: never.
 */
#ifndef JOBS_BROKER_NS_H
#define JOBS_BROKER_NS_H

#include "jobs/broker.h"

/* broker_ns_usage - append namespaces/NS/usage.json; of an unknown one: all zeros */
int broker_ns_usage(struct broker *b, const char *ns, struct buf *out);
/* broker_ns_forget - its requests, its hand-outs and its counters go; done when that is recorded */
void broker_ns_forget(struct broker *b, const char *ns, broker_done_fn *done, void *arg);

#endif
