/*
 * Sending an answer's bytes under the script's orders: the reader callback of the library.
 */
#ifndef PROVIDER_FLOW_H
#define PROVIDER_FLOW_H

#include "call.h"

/* Before the first byte of a body. `streamed`: the events are pieces, not halves. */
void flow_start(struct call *c, bool streamed);
/* True when the body needs flow_read because a script meddles with its sending. */
bool flow_needed(const struct call *c);
/* MHD_ContentReaderCallback; cls is the call. */
ssize_t flow_read(void *cls, uint64_t pos, char *buf, size_t max);
/* True when the call may pass; otherwise it was suspended. Also used before the headers. */
bool flow_pass_gate(struct call *c, const char *name);
/* Leaves the barrier it waited at, if any. */
void flow_leave_gate(struct call *c);
/* RST now; the library then finds a dead socket. */
void flow_reset(struct call *c);
/* {"id":N,"pieces":[ns,...]} of the last stream that was begun. */
void flow_times(struct buf *out);

#endif
