/* Sending; see flow.h. */
#include "flow.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "control.h"
#include "gate.h"

#define STAMPS 65536

/* What the next event has to wait for. */
enum verdict { GO, WAIT_TIME, WAIT_GATE, WAIT_EVER, STOP, BREAK };

static uint64_t stamps[STAMPS];
static size_t stamp_count;
static uint64_t stamp_seq;

void flow_start(struct call *c, bool streamed)
{
	const struct rule_flow *f = c->rule ? &c->rule->flow : NULL;

	c->flow = (struct flow){ .random = 12345, .ending_at = -1 };
	if (f && f->ending != ENDING_NORMAL)
		c->flow.ending_at = streamed ? f->ending_at : 1;
	if (!streamed)
		return;
	c->flow.stamps = true;
	stamp_seq = c->seq;
	stamp_count = 0;
}

bool flow_needed(const struct call *c)
{
	const struct rule_flow *f = c->rule ? &c->rule->flow : NULL;

	return f && (f->ending != ENDING_NORMAL || f->split != SPLIT_EVENT || f->piece_barriers);
}

void flow_leave_gate(struct call *c)
{
	/* After a reset the gate's place may belong to another name. */
	if (c->gate && c->epoch == gate_epoch())
		c->gate->waiting--;
	c->gate = NULL;
}

bool flow_pass_gate(struct call *c, const char *name)
{
	struct gate *g = name && c->epoch == gate_epoch() ? gate_get(name) : NULL;

	if (!g || g->open) {
		flow_leave_gate(c);
		return true;
	}
	if (c->gate != g) {
		flow_leave_gate(c);
		c->gate = g;
		g->waiting++;
		control_changed();
	}
	hold_put(&c->hold, c->conn, g, 0);
	return false;
}

/* Disconnecting the socket sends RST at once and leaves the descriptor to its owner. */
void flow_reset(struct call *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	c->ended_by_us = true;
	if (connect(info->connect_fd, &none, sizeof(none)))
		perror("provider: reset");
}

static const char *gate_name(const struct call *c, long piece)
{
	char key[24];

	if (!c->rule || !c->rule->flow.piece_barriers)
		return NULL;
	snprintf(key, sizeof(key), "%ld", piece);
	return json_string_value(json_object_get(c->rule->flow.piece_barriers, key));
}

static enum verdict at_ending(const struct call *c)
{
	switch (c->rule->flow.ending) {
	case ENDING_STALL:
		return c->epoch == gate_epoch() ? WAIT_EVER : BREAK;
	case ENDING_CLEAN:
		return STOP;
	default:
		return BREAK;
	}
}

/* Pure, so that it can be asked again after each wake-up. */
static enum verdict judge(const struct call *c, uint64_t *out_due)
{
	const struct mark *m = &c->ev.marks[c->flow.next];
	const struct rule_flow *f = &c->rule->flow;
	const char *name;

	if (m->piece == EVENTS_FOLLOWS)
		return GO;
	if (c->flow.ending_at >= 0 && m->piece >= c->flow.ending_at)
		return at_ending(c);
	*out_due = c->flow.piece_ns + (uint64_t)f->piece_delay_ms * 1000000u;
	if (f->piece_delay_ms > 0 && m->piece > 0 && hold_now() < *out_due)
		return WAIT_TIME;
	name = gate_name(c, m->piece);
	if (name && c->epoch == gate_epoch() && !gate_get(name)->open)
		return WAIT_GATE;
	return GO;
}

static bool at_start_of_event(const struct call *c)
{
	return c->flow.off == (c->flow.next ? c->ev.marks[c->flow.next - 1].end : 0);
}

static size_t share(struct call *c, size_t left)
{
	size_t n;

	switch (c->rule ? c->rule->flow.split : SPLIT_EVENT) {
	case SPLIT_BYTE:
		return 1;
	case SPLIT_RANDOM:
		/* Always the same sequence: a failing test must fail again. */
		c->flow.random = c->flow.random * 1103515245u + 12345u;
		n = 1 + (c->flow.random >> 16) % 23;
		return n < left ? n : left;
	default:
		return left;
	}
}

static void finish_event(struct call *c)
{
	long piece = c->ev.marks[c->flow.next].piece;

	c->flow.next++;
	if (piece == EVENTS_FOLLOWS)
		return;
	c->flow.piece_ns = hold_now();
	if (c->flow.stamps && stamp_seq == c->seq && stamp_count < STAMPS)
		stamps[stamp_count++] = c->flow.piece_ns;
}

static size_t copy_some(struct call *c, char *buf, size_t max)
{
	size_t left = c->ev.marks[c->flow.next].end - c->flow.off;
	size_t n = share(c, left < max ? left : max);

	memcpy(buf, c->ev.b.p + c->flow.off, n);
	c->flow.off += n;
	if (c->flow.off == c->ev.marks[c->flow.next].end)
		finish_event(c);
	return n;
}

static ssize_t obey(struct call *c, enum verdict v, uint64_t due)
{
	switch (v) {
	case WAIT_TIME:
		hold_put(&c->hold, c->conn, &c->due, due);
		return 0;
	case WAIT_EVER:
		hold_put(&c->hold, c->conn, &c->due, 0);
		return 0;
	case WAIT_GATE:
		return flow_pass_gate(c, gate_name(c, c->ev.marks[c->flow.next].piece)), 0;
	case STOP:
		return MHD_CONTENT_READER_END_OF_STREAM;
	default:
		if (c->rule->flow.ending == ENDING_RESET)
			flow_reset(c);
		c->ended_by_us = true;
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
}

ssize_t flow_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct call *c = cls;
	size_t n = 0;

	(void)pos;
	if (c->hold.gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	do {
		uint64_t due = 0;
		enum verdict v = GO;

		if (c->flow.next == c->ev.count)
			break;
		if (c->rule && at_start_of_event(c))
			v = judge(c, &due);
		if (v != GO && n)
			break;
		if (v != GO)
			return obey(c, v, due);
		flow_leave_gate(c);
		n += copy_some(c, buf + n, max - n);
	} while (c->rule && c->rule->flow.split == SPLIT_COALESCE && n < max);
	return n ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

void flow_times(struct buf *out)
{
	buf_fmt(out, "{\"id\":%llu,\"pieces\":[", (unsigned long long)stamp_seq);
	for (size_t i = 0; i < stamp_count; i++)
		buf_fmt(out, "%s%llu", i ? "," : "", (unsigned long long)stamps[i]);
	buf_str(out, "]}");
}
