/* Framing of streamed answers; see events.h. */
#include "events.h"

static const char *line_end(const struct events *ev)
{
	return ev->crlf ? "\r\n" : "\n";
}

void events_clear(struct events *ev, enum framing framing, bool crlf)
{
	buf_clear(&ev->b);
	ev->count = 0;
	ev->framing = framing;
	ev->crlf = crlf;
}

void events_begin(struct events *ev, const char *name)
{
	if (ev->framing != FRAMING_SSE)
		return;
	if (name) {
		buf_str(&ev->b, "event: ");
		buf_str(&ev->b, name);
		buf_str(&ev->b, line_end(ev));
	}
	buf_str(&ev->b, "data: ");
}

void events_mark(struct events *ev, long piece)
{
	ev->marks = buf_grow(ev->marks, &ev->cap, ev->count, sizeof(*ev->marks));
	ev->marks[ev->count++] = (struct mark){ .end = ev->b.len, .piece = piece };
}

void events_end(struct events *ev, long piece)
{
	buf_str(&ev->b, line_end(ev));
	if (ev->framing == FRAMING_SSE)
		buf_str(&ev->b, line_end(ev));
	events_mark(ev, piece);
}

void events_whole(struct events *ev, const char *data, const char *name, long piece)
{
	events_begin(ev, name);
	buf_str(&ev->b, data);
	events_end(ev, piece);
}

void events_comment(struct events *ev, const char *text)
{
	if (ev->framing != FRAMING_SSE)
		return;
	buf_str(&ev->b, ": ");
	buf_str(&ev->b, text);
	events_end(ev, EVENTS_FOLLOWS);
}
