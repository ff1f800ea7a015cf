/*
 * net/sse.h - server-sent events from bytes that are cut anywhere
 *
 *   1. sse_init     max: bytes of one event
 *   2. sse_feed     any number of times; whole events are handed over as they end
 *   3. sse_finish   the body ended; an event without its empty line is handed over too
 *   4. sse_done
 *
 * Line ends are LF, CRLF and CR, also mixed; comments, `id`, `retry` and unknown fields are skipped; a BOM
 * at the beginning is dropped. A line `error: ...` (old llama.cpp) is data of an event named "error", and an
 * object without any field name (Gemini's errors), over several lines perhaps, is data as well.
 * Threads: one owner. Blocks: never. Source: WHATWG HTML, server-sent events.
 */
#ifndef NET_SSE_H
#define NET_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define SSE_EVENT_MAX (16u << 20)
#define SSE_NAME_MAX  64

struct sse {
	struct buf line; /* the beginning of a line that is not whole yet */
	struct buf data; /* data lines of the event, each with its newline */
	char name[SSE_NAME_MAX];
	bool after_cr; /* a LF that comes now belongs to the line before */
	unsigned bom;  /* bytes of a BOM seen so far; 3: the beginning is over */
	bool has_data;
	bool bare; /* these lines are data as they are */
};

/* sse_fn - one event; name "" when it has none; data is followed by a NUL; nonzero ends sse_feed */
typedef int sse_fn(void *arg, const char *name, const char *data, size_t len);

/* sse_init - nothing seen; max bytes of one event or line */
void sse_init(struct sse *s, size_t max);
/* sse_done - free what it holds; harmless on zeroed memory */
void sse_done(struct sse *s);
/* sse_feed - 0, fn's nonzero answer (the rest of the bytes is ignored), -EFBIG over max, -ENOMEM */
int sse_feed(struct sse *s, const char *p, size_t n, sse_fn *fn, void *arg);
/* sse_finish - as sse_feed; whether a last event without its empty line counts is for fn to judge */
int sse_finish(struct sse *s, sse_fn *fn, void *arg);

#endif
