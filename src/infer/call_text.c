/*
 * infer/call_text.c - text that comes in a burst goes to the readers in few pieces
 *
 * A server that is ahead of us sends tokens as fast as we take them. A reader that is woken for each of them makes
 * a read through the kernel of six bytes, which costs more than all the rest of a token's way. So a token that
 * follows the last one within a millisecond waits until that is over; one that comes alone is passed on at
 * the end of the loop's round, which is when the packet it came in is through.
 */
#include "base/auto.h"
#include "base/mono.h"
#include "infer/call_inside.h"

#include "base/banned.h"

enum { PIECE_MAX = 64 << 10 };

static void on_due(struct loop_timer *t)
{
	call_text_flush(CONTAINER_OF(t, struct infer_call, text.due));
}

void call_text_init(struct infer_call *c)
{
	c->text.due.fire = on_due;
	buf_init(&c->text.piece, PIECE_MAX);
}

void call_text_drop(struct infer_call *c)
{
	loop_timer_cancel(c->env->loop, &c->text.due);
	buf_done(&c->text.piece);
}

static void pass_on(struct infer_call *c, const char *p, size_t n)
{
	c->text.last_ns = mono_ns();
	c->sink.text(c->arg, c->text.choice, p, n);
}

void call_text_flush(struct infer_call *c)
{
	struct buf *piece = &c->text.piece;

	loop_timer_cancel(c->env->loop, &c->text.due);
	if (piece->len)
		pass_on(c, piece->data, piece->len);
	buf_clear(piece);
}

void call_text_add(struct infer_call *c, unsigned choice, const char *p, size_t n)
{
	uint64_t due = c->text.last_ns + MONO_MS;

	if (choice != c->text.choice)
		call_text_flush(c);
	c->text.choice = choice;
	if (buf_add(&c->text.piece, p, n)) { /* full, or no memory: as it comes */
		call_text_flush(c);
		pass_on(c, p, n);
	} else if (!c->text.due.heap_pos && loop_timer_arm(c->env->loop, &c->text.due, due)) {
		call_text_flush(c);
	}
}
