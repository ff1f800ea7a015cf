/* prompts_wait.c - answers that are owed: given once, by the news, an interrupt or the end of the mount */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "base/str.h"

#include "base/banned.h"

#define PF_EXITING 0x4u /* linux/sched.h, shown in /proc/PID/stat */

void prompts_wait_owe(struct prompts *p, struct prompts_wait *w, const struct vfs_req *q)
{
	w->p = p;
	w->q = *q;
	w->owes = true;
	LOCK_SCOPE(&p->lock);
	list_append(&p->owing, &w->link);
}

/* the caller gives the answer when this is true */
static bool claim_locked(struct prompts_wait *w)
{
	if (!w->owes)
		return false;
	w->owes = false;
	list_del(&w->link);
	return true;
}

void prompts_wait_answer(struct prompts_wait *w, int code)
{
	bool mine;

	if (!w->p)
		return;
	lock_take(&w->p->lock);
	mine = claim_locked(w);
	lock_drop(&w->p->lock);
	if (mine)
		vfs_reply_err(&w->q, code);
}

static void unref(struct prompts_wait *w)
{
	bool last;

	lock_take(&w->p->lock);
	last = !--w->refs;
	lock_drop(&w->p->lock);
	if (last)
		w->done(w);
}

/* what close(2) is told when the request is final */
static int outcome(struct prompts_wait *w)
{
	struct broker_view view;

	if (broker_get(w->p->v->broker, w->id, &view) < 0)
		return ECANCELED; /* its name was removed or taken over meanwhile */
	if (!broker_is_final(view.state))
		return ESHUTDOWN;
	return view.code;
}

/* w was claimed: answer and let go. in_callback: the interrupt's callback is running on this thread */
static void finish(struct prompts_wait *w, bool in_callback)
{
	struct broker *b = w->p->v->broker;
	bool woken;
	int code;

	lock_take(&w->p->lock);
	woken = w->woken;
	code = w->interrupted ? EINTR : ESHUTDOWN;
	lock_drop(&w->p->lock);
	if (woken)
		code = outcome(w);
	else if (broker_unwait(b, &w->w))
		unref(w); /* the reference of the wake that will not come */
	if (!in_callback)
		w->q.ops->interruptible(w->q.impl, NULL, NULL);
	vfs_reply_err(&w->q, code);
	unref(w);
}

static void on_wake(struct broker_waiter *bw)
{
	struct prompts_wait *w = LIST_ENTRY(bw, struct prompts_wait, w);
	bool mine;

	lock_take(&w->p->lock);
	w->woken = true;
	mine = !w->setting && claim_locked(w);
	lock_drop(&w->p->lock);
	if (mine)
		finish(w, false);
	unref(w);
}

static void on_interrupt(void *arg)
{
	struct prompts_wait *w = arg;
	bool mine;

	lock_take(&w->p->lock);
	w->interrupted = true;
	/* while it is being set up, the thread that does so looks at the flags when it has done */
	mine = !w->setting && claim_locked(w);
	lock_drop(&w->p->lock);
	if (mine)
		finish(w, true);
}

void prompts_wait_final(struct prompts_wait *w, int64_t id)
{
	struct prompts *p = w->p;
	bool owes, mine;
	int r;

	lock_take(&p->lock);
	owes = w->owes;
	w->setting = owes;
	w->waiting = owes;
	w->refs = 2; /* the answer's, and the wake's */
	w->id = id;
	w->w.wake = on_wake;
	lock_drop(&p->lock);
	if (!owes) {
		w->done(w);
		return;
	}
	w->q.ops->interruptible(w->q.impl, on_interrupt, w);
	r = broker_wait(p->v->broker, id, &w->w);
	lock_take(&p->lock);
	w->setting = false;
	if (r < 0) {
		w->woken = true;
		w->refs--;
	}
	mine = (w->woken || w->interrupted || w->stopped) && claim_locked(w);
	lock_drop(&p->lock);
	if (mine)
		finish(w, false);
}

void prompts_wait_stop(struct prompts *p)
{
	for (;;) {
		struct prompts_wait *w = NULL;
		struct vfs_req q = { 0 };
		bool waiting = false;

		lock_take(&p->lock);
		for (struct list *l = p->owing.next; l != &p->owing && !w; l = l->next) {
			struct prompts_wait *one = LIST_ENTRY(l, struct prompts_wait, link);

			one->stopped = true;
			if (!one->setting && claim_locked(one))
				w = one;
		}
		if (w) {
			waiting = w->waiting;
			q = w->q; /* the operation may end while it is answered here */
		}
		lock_drop(&p->lock);
		if (!w)
			return;
		if (waiting)
			finish(w, false);
		else
			vfs_reply_err(&q, ESHUTDOWN);
	}
}

bool prompts_wait_exiting(pid_t pid)
{
	AUTO_BUF struct buf b = BUF_INIT(4096);
	char path[64];
	const char *s;

	if (pid <= 0)
		return false; /* of another pid namespace: unknown */
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid); /* cannot be too long */
	if (fdio_read_file(AT_FDCWD, path, &b) < 0)
		return true;
	s = strrchr(buf_str(&b), ')'); /* the name in parentheses may hold anything */
	/* after it, each behind a space: state ppid pgrp session tty_nr tpgid flags */
	for (int i = 0; s && i < 7; i++)
		s = strchr(s + 1, ' ');
	return s && strtoul(s + 1, NULL, 10) & PF_EXITING;
}
