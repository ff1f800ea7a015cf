/*
 * jobs/broker_ns.h - namespaces as the tree sees them
 *
 * A namespace is a directory that vfs keeps, and what the ledger knows of it: hand-outs and counters.
 * Threads: any. Blocks: on the ledger's database file (page cache).
 */
#ifndef JOBS_BROKER_NS_H
#define JOBS_BROKER_NS_H

#include "jobs/broker.h"

/* broker_ns_usage - append namespaces/NS/usage.json; zeros when nothing is known of it; 0, -errno */
int broker_ns_usage(struct broker *b, const char *ns, struct buf *out);
/* broker_ns_forget - the requests below its prompts/, its hand-outs and counters go; requests elsewhere that
 * name it keep their responses. done after the commit */
void broker_ns_forget(struct broker *b, const char *ns, broker_done_fn *done, void *arg);

#endif
