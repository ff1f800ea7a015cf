/* vfs_reply_fake.c - struct vfs_reply_ops over memory */
#include "vfs_reply_fake.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mono.h"

#define ME ((struct vfs_reply_fake *)impl)

static void answered(struct vfs_reply_fake *f)
{
	f->answers++;
	cond_broadcast(&f->cond);
	lock_drop(&f->lock);
}

static void fake_err(void *impl, int code)
{
	lock_take(&ME->lock);
	ME->code = code;
	answered(ME);
}

static int fake_entry(void *impl, const struct vfs_entry *e)
{
	int unwanted = ME->unwanted;

	lock_take(&ME->lock);
	ME->entry = *e;
	answered(ME);
	return unwanted;
}

static int fake_open(void *impl, const struct vfs_open *o)
{
	int unwanted = ME->unwanted;

	lock_take(&ME->lock);
	ME->open = *o;
	answered(ME);
	return unwanted;
}

static int fake_create(void *impl, const struct vfs_entry *e, const struct vfs_open *o)
{
	ME->entry = *e;
	return fake_open(impl, o);
}

static void fake_attr(void *impl, const struct stat *st, double ttl_s)
{
	(void)ttl_s;
	lock_take(&ME->lock);
	ME->attr = *st;
	answered(ME);
}

static void fake_data(void *impl, const void *p, size_t n)
{
	lock_take(&ME->lock);
	(void)buf_add(&ME->data, p, n);
	answered(ME);
}

static void fake_size(void *impl, size_t n)
{
	lock_take(&ME->lock);
	ME->size = n;
	answered(ME);
}

static void fake_link(void *impl, const char *target)
{
	fake_data(impl, target, strlen(target));
}

static void fake_statfs(void *impl, const struct statvfs *st)
{
	lock_take(&ME->lock);
	ME->statfs = *st;
	answered(ME);
}

static void fake_poll(void *impl, unsigned revents)
{
	fake_size(impl, revents);
}

static void fake_interruptible(void *impl, void (*cb)(void *arg), void *arg)
{
	bool now;

	/* the lock is held as libfuse holds its own: who sets NULL waits for a callback that is running */
	lock_take(&ME->lock);
	ME->cb = cb;
	ME->cb_arg = arg;
	now = cb && ME->interrupted;
	if (now)
		ME->cb = NULL;
	lock_drop(&ME->lock);
	if (now)
		cb(arg);
}

/* "NAME OFF INO-NONZERO NODEID-NONZERO\n"; a line is what it needs */
static size_t fake_dirent(void *impl, char *buf, size_t room, const char *name,
			  const struct vfs_entry *e, uint64_t next_off)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "%s %s%s%s\n", name, e->st.st_ino ? "i" : "-",
			 e->nodeid ? "n" : "-", S_ISDIR(e->st.st_mode) ? "d" : "-");

	(void)impl;
	(void)next_off;
	assert(n > 0);
	if ((size_t)n <= room)
		memcpy(buf, line, (size_t)n);
	return (size_t)n;
}

static const struct vfs_reply_ops fake_ops = {
	.err = fake_err,
	.entry = fake_entry,
	.open = fake_open,
	.create = fake_create,
	.attr = fake_attr,
	.data = fake_data,
	.written = fake_size,
	.size = fake_size,
	.link = fake_link,
	.statfs = fake_statfs,
	.poll = fake_poll,
	.dirent = fake_dirent,
	.interruptible = fake_interruptible,
};

struct vfs_reply_fake *vfs_reply_fake_new(void)
{
	struct vfs_reply_fake *f = calloc(1, sizeof(*f));

	assert(f);
	lock_init(&f->lock, LOCK_LEAF);
	cond_init(&f->cond);
	buf_init(&f->data, 64u << 20);
	f->q.ops = &fake_ops;
	f->q.impl = f;
	f->q.uid = getuid();
	f->q.gid = getgid();
	f->q.pid = getpid();
	return f;
}

void vfs_reply_fake_free(struct vfs_reply_fake *f)
{
	assert(f->answers == 1);
	buf_done(&f->data);
	cond_done(&f->cond);
	lock_done(&f->lock);
	free(f);
}

int vfs_reply_fake_wait(struct vfs_reply_fake *f)
{
	struct timespec now; /* not mono_ns: a test may have stopped that clock */
	uint64_t deadline;
	int code;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	deadline = ((uint64_t)now.tv_sec + 10) * MONO_S;
	lock_take(&f->lock);
	while (!f->answers)
		if (!cond_wait_until(&f->cond, &f->lock, deadline))
			break;
	code = f->answers ? f->code : -1;
	lock_drop(&f->lock);
	return code;
}

bool vfs_reply_fake_answered(struct vfs_reply_fake *f)
{
	bool yes;

	lock_take(&f->lock);
	yes = f->answers > 0;
	lock_drop(&f->lock);
	return yes;
}

void vfs_reply_fake_interrupt(struct vfs_reply_fake *f)
{
	void (*cb)(void *arg);
	void *arg;

	lock_take(&f->lock);
	f->interrupted = true;
	cb = f->cb;
	arg = f->cb_arg;
	f->cb = NULL;
	lock_drop(&f->lock);
	if (cb)
		cb(arg);
}
