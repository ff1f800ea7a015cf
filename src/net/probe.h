/*
 * net/probe.h - does a server of this machine answer, and with what? One GET, blocking
 *
 * For the time before the mount: nothing of the loop is needed. No key is sent, no redirect followed, no
 * proxy used.
 * Threads: main's only, before there are others. Blocks: up to both limits together.
 */
#ifndef NET_PROBE_H
#define NET_PROBE_H

#include "base/buf.h"

struct probe_limits {
	long connect_ms, total_ms;
};

/* probe_get - append the body of a 200: 0; -EREMOTEIO another status; -ECONNREFUSED no answer; -EFBIG */
int probe_get(const char *url, const struct probe_limits *limits, struct buf *out);

#endif
