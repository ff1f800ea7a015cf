/* notify.c - see notify.h */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/str.h"
#include "fuse/notify.h"

#include "base/banned.h"

enum notice_kind { NOTICE_ENTRY, NOTICE_INODE, NOTICE_POLL, NOTICE_POLL_DROP };

struct notice {
	struct list link;
	enum notice_kind kind;
	uint64_t nodeid;
	char *name;
	void *poll_handle;
	void (*done)(void *arg);
	void *arg;
};

struct notify {
	struct fuse_session *se;
	struct lock lock;
	struct cond more;
	struct list queue;
	bool stop;
	struct thread thread;
};

static void notice_send(struct notify *n, struct notice *x)
{
	switch (x->kind) {
	case NOTICE_ENTRY:
		/* ENOENT: the kernel did not know it; ENOTDIR, EBUSY: it will look again */
		(void)fuse_lowlevel_notify_inval_entry(n->se, x->nodeid, x->name, strlen(x->name));
		break;
	case NOTICE_INODE:
		(void)fuse_lowlevel_notify_inval_inode(n->se, x->nodeid, 0, 0);
		break;
	case NOTICE_POLL:
		(void)fuse_lowlevel_notify_poll(x->poll_handle);
		break;
	case NOTICE_POLL_DROP:
		break;
	}
}

static void notice_end(struct notice *x)
{
	if (x->poll_handle)
		fuse_pollhandle_destroy(x->poll_handle);
	if (x->done)
		x->done(x->arg);
	free(x->name);
	free(x);
}

static void *notify_main(void *arg)
{
	struct notify *n = arg;

	for (;;) {
		struct list *l;
		struct notice *x;
		bool stop;

		lock_take(&n->lock);
		while (list_empty(&n->queue) && !n->stop)
			cond_wait(&n->more, &n->lock);
		l = list_pop(&n->queue);
		stop = n->stop;
		lock_drop(&n->lock);
		if (!l)
			return NULL;
		x = LIST_ENTRY(l, struct notice, link);
		if (!stop)
			notice_send(n, x);
		notice_end(x);
	}
}

static void post(struct notify *n, const struct notice *what)
{
	struct notice *x = malloc(sizeof(*x));

	if (!x) { /* said from here rather than not at all; only poll and inode, which take no lock */
		struct notice copy = *what;

		if (copy.kind != NOTICE_ENTRY)
			notice_send(n, &copy);
		if (copy.done)
			copy.done(copy.arg);
		free(copy.name);
		return;
	}
	*x = *what;
	lock_take(&n->lock);
	list_append(&n->queue, &x->link);
	cond_signal(&n->more);
	lock_drop(&n->lock);
}

static void inval_entry(void *impl, uint64_t parent, const char *name, void (*done)(void *arg),
			void *arg)
{
	struct notice x = { .kind = NOTICE_ENTRY,
			    .nodeid = parent,
			    .name = strdup(name),
			    .done = done,
			    .arg = arg };

	if (x.name)
		post(impl, &x);
	else
		done(arg);
}

static void inval_inode(void *impl, uint64_t nodeid)
{
	post(impl, &(struct notice){ .kind = NOTICE_INODE, .nodeid = nodeid });
}

static void poll_tell(void *impl, void *poll_handle)
{
	post(impl, &(struct notice){ .kind = NOTICE_POLL, .poll_handle = poll_handle });
}

static void poll_drop(void *impl, void *poll_handle)
{
	post(impl, &(struct notice){ .kind = NOTICE_POLL_DROP, .poll_handle = poll_handle });
}

void notify_table(struct notify *n, struct vfs_notify *out)
{
	*out = (struct vfs_notify){ inval_entry, inval_inode, poll_tell, poll_drop, n };
}

struct notify *notify_start(struct fuse_session *se)
{
	struct notify *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->se = se;
	lock_init(&n->lock, LOCK_LEAF);
	cond_init(&n->more);
	list_init(&n->queue);
	if (thread_start(&n->thread, "notify", notify_main, n) == 0)
		return n;
	lock_done(&n->lock);
	cond_done(&n->more);
	free(n);
	return NULL;
}

struct notify *notify_stop(struct notify *n)
{
	if (!n)
		return NULL;
	lock_take(&n->lock);
	n->stop = true;
	cond_broadcast(&n->more);
	lock_drop(&n->lock);
	thread_join(&n->thread);
	lock_done(&n->lock);
	cond_done(&n->more);
	free(n);
	return NULL;
}
