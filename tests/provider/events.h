/*
 * A streamed answer: all its bytes, built before the first is sent, and where its events end.
 *
 * Building everything first keeps the sending side free of any dialect: it only copies bytes
 * and obeys the script (delays, barriers, cuts) at the marks.
 */
#ifndef PROVIDER_EVENTS_H
#define PROVIDER_EVENTS_H

#include <stdbool.h>

#include "buf.h"

enum framing {
	FRAMING_SSE,	/* "data: JSON", empty line */
	FRAMING_NDJSON, /* one JSON object a line */
};

/* Marks an event that belongs to the step before it (other choices, usage, end mark). */
#define EVENTS_FOLLOWS (-1L)

/* `piece` is the step this event begins; the step after the last piece is the finish chunk. */
struct mark {
	size_t end;
	long piece;
};

struct events {
	struct buf b;
	struct mark *marks;
	size_t count;
	size_t cap;
	enum framing framing;
	bool crlf;
};

void events_clear(struct events *ev, enum framing framing, bool crlf);
/* Opens an event (with an "event:" line when `name` is given); write its JSON into ev->b. */
void events_begin(struct events *ev, const char *name);
void events_end(struct events *ev, long piece);
/* A whole event: "[DONE]", an error object. */
void events_whole(struct events *ev, const char *data, const char *name, long piece);
/* An SSE comment; nothing in other framings. */
void events_comment(struct events *ev, const char *text);
/* Ends a mark at the current end of the bytes; for bodies that are not framed at all. */
void events_mark(struct events *ev, long piece);

#endif
