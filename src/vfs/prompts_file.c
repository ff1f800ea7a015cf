/* prompts_file.c - open files under prompts/, and the closes that check and send */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/mono.h"
#include "vfs/prompts_ops.h"

#include "base/banned.h"

/* what the kernel has done already, or does with calls of its own: creating, appending, syncing */
#define BACKING	 (O_ACCMODE | O_TRUNC | O_NOATIME)
#define SAFE	 (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define READ_MAX (4u << 20)
/* two changes within one tick of the kernel's clock have one time */
#define TICK_NS (20 * MONO_MS)

static struct prompts_handle *handle(const struct vfs_file *f)
{
	return (struct prompts_handle *)(uintptr_t)f->fh;
}

static bool writable(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

struct prompts_handle *prompts_file_attach(struct prompts *p, struct prompts_node *n, int take_fd,
					   int flags)
{
	struct prompts_handle *h = calloc(1, sizeof(*h));

	if (!h) {
		(void)close(take_fd); /* nothing was written */
		return NULL;
	}
	h->node = n;
	h->fd = take_fd;
	h->flags = flags;
	n->writers += writable(flags);
	LOCK_SCOPE(&p->lock);
	list_append(&n->handles, &h->link);
	return h;
}

int prompts_file_detach(struct prompts *p, struct prompts_handle *h)
{
	struct prompts_node *n = h->node;
	int fd = h->fd;

	lock_take(&p->lock);
	list_del(&h->link);
	lock_drop(&p->lock);
	n->writers -= writable(h->flags);
	free(h);
	return fd;
}

void prompts_file_changed(struct prompts *p, struct prompts_node *n)
{
	LOCK_SCOPE(&p->lock);
	n->state.version++;
}

bool prompts_file_too_big(struct prompts *p, struct prompts_node *n, uint64_t size)
{
	const char *suffix;

	if (size <= p->v->o.max_request_bytes)
		return false;
	suffix = prompts_name_node(p, n);
	return suffix && !prompts_name_job(suffix);
}

/* a check reads what was written, so a file that is only written is opened for both where that may be; that
 * reading is not the user's and leaves the access time alone */
static int open_at(int dirfd, const char *name, int flags)
{
	int fd = -1;

	if ((flags & O_ACCMODE) == O_WRONLY)
		fd = openat(dirfd, name, (flags & ~O_ACCMODE) | O_RDWR | O_NOATIME);
	if (fd < 0)
		fd = openat(dirfd, name, flags);
	if (fd < 0 && errno == EPERM)
		fd = openat(dirfd, name, flags & ~O_NOATIME); /* only the owner's to ask for */
	return fd < 0 ? -errno : fd;
}

static int open_node(struct prompts *p, struct prompts_node *n, int flags)
{
	char path[64];
	const char *name;
	int fd = prompts_node_at(p, n, &name);

	if (fd < 0)
		return fd;
	if (name[0])
		return open_at(fd, name, (flags & BACKING) | SAFE);
	/* removed, but somebody has it: the descriptor's own link leads to it */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_at(AT_FDCWD, path, (flags & BACKING) | (SAFE & ~O_NOFOLLOW));
}

/* as a local file system does when somebody who is not root empties a file */
static void clear_suid(int fd, const struct vfs_req *q)
{
	struct stat st;

	if (q->uid == 0 || fstat(fd, &st) < 0)
		return;
	if (st.st_mode & S_ISUID || (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		(void)fchmod(fd,
			     st.st_mode & 07777 & ~(mode_t)(S_ISUID | S_ISGID)); /* best effort */
}

/* may the kernel go on using the pages it has? Not when the file was changed behind the mount */
static bool unchanged(struct prompts_node *n, int fd)
{
	uint64_t ctime_ns;
	struct stat st;
	bool same;

	if (fstat(fd, &st) < 0)
		return false;
	ctime_ns = (uint64_t)st.st_ctim.tv_sec * MONO_S + (uint64_t)st.st_ctim.tv_nsec;
	same = n->seen_ctime_ns == ctime_ns; /* every change of bytes or size moves it */
	n->seen_ctime_ns = ctime_ns + TICK_NS < mono_real_ns() ? ctime_ns : 0;
	return same;
}

void prompts_file_open(struct vfs *v, const struct vfs_req *q, uint64_t nodeid, int flags)
{
	struct prompts *p = v->prompts;
	struct prompts_node *n = prompts_node_get(p, VFS_REST(nodeid));
	struct prompts_handle *h;
	struct vfs_open o = { 0 };
	int fd = n ? open_node(p, n, flags) : -ESTALE;

	if (fd < 0) {
		vfs_reply_err(q, -fd);
		return;
	}
	if (flags & O_TRUNC) {
		clear_suid(fd, q);
		prompts_file_changed(p, n);
	} else {
		o.keep_cache = unchanged(n, fd);
	}
	h = prompts_file_attach(p, n, fd, flags);
	if (!h) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	o.fh = (uint64_t)(uintptr_t)h;
	if (q->ops->open(q->impl, &o) != 0)
		(void)close(prompts_file_detach(
			p, h)); /* the opener was interrupted, no release comes */
}

void prompts_file_read(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
		       const struct vfs_file *f, const struct vfs_io *io)
{
	struct prompts *p = v->prompts;
	size_t want = io->size;
	ssize_t n;

	(void)nodeid;
	if (want > READ_MAX)
		want = READ_MAX;
	if (want > p->scratch_cap) {
		char *grown = realloc(p->scratch, want);

		if (!grown) {
			vfs_reply_err(q, ENOMEM);
			return;
		}
		p->scratch = grown;
		p->scratch_cap = want;
	}
	do
		n = pread(handle(f)->fd, p->scratch, want, (off_t)io->off);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		vfs_reply_err(q, errno);
	else
		q->ops->data(q->impl, p->scratch, (size_t)n);
}

void prompts_file_write(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_file *f, const struct vfs_io *io)
{
	struct prompts *p = v->prompts;
	struct prompts_handle *h = handle(f);
	size_t done = 0;
	int code = 0;

	(void)nodeid;
	if (prompts_file_too_big(p, h->node, io->off + io->size)) {
		vfs_reply_err(q, EFBIG);
		return;
	}
	while (done < io->size && !code) {
		ssize_t n =
			pwrite(h->fd, io->data + done, io->size - done, (off_t)(io->off + done));

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			code = errno;
	}
	if (done) {
		h->wrote = true;
		prompts_file_changed(p, h->node);
	}
	if (done || !code)
		q->ops->written(q->impl, done);
	else
		vfs_reply_err(q, code);
}

/* ---- closing --------------------------------------------------------------------------------------- */

static bool is_defaults(const struct prompts_node *n)
{
	return n->name && !n->gone && S_ISREG(n->fmt) && !strcmp(n->name, ".defaults.json");
}

static int flush_defaults(struct prompts *p, struct prompts_handle *h)
{
	h->wrote = false;
	if (!prompts_name_sends(p, prompts_node_get(p, h->node->parent)))
		return 0;
	return prompts_check_defaults(h->fd);
}

static void flush_request(struct prompts *p, const struct vfs_req *q, struct prompts_handle *h,
			  const char *suffix)
{
	struct prompts_node *n = h->node;
	struct prompts_op *op = prompts_op_new(p, false);
	struct prompts_doc *d = prompts_check_doc(p, n, suffix, h->fd, false);
	bool sync = (h->flags & O_SYNC) == O_SYNC || (p->v->o.wait && !strcmp(suffix, ".json"));

	if (!op) {
		(void)prompts_check_free(d); /* always NULL */
		vfs_reply_err(q, ENOMEM);
		return;
	}
	h->wrote = false;
	prompts_op_touch(op, n);
	prompts_op_forget(op, prompts_node_get(p, n->parent), n->name,
			  strlen(n->name) - strlen(suffix));
	if (d) {
		d->report = true;
		d->send = sync;
		d->wait = sync && !prompts_wait_exiting(q->pid);
	}
	prompts_op_check(op, d);
	prompts_op_run(op, q);
}

void prompts_file_flush(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_file *f)
{
	struct prompts *p = v->prompts;
	struct prompts_handle *h = handle(f);
	const char *suffix;

	(void)nodeid;
	prompts_op_reap(p);
	if (!h->wrote) {
		vfs_reply_err(q, 0);
		return;
	}
	if (is_defaults(h->node)) {
		vfs_reply_err(q, flush_defaults(p, h));
		return;
	}
	/* bytes under a name that is no request stay unchecked: it may get another name while it is open */
	suffix = prompts_name_node(p, h->node);
	if (suffix)
		flush_request(p, q, h, suffix);
	else
		vfs_reply_err(q, 0);
}

/* the last writer has closed it: check what was not checked, send what was not sent */
static void finished(struct prompts *p, struct prompts_node *n, int take_fd)
{
	bool quiet = prompts_op_quiet(p, n), clean;
	struct prompts_op *op;
	struct prompts_doc *d;
	const char *suffix;
	int64_t id = 0;

	lock_take(&p->lock);
	clean = quiet && n->state.version == n->state.settled;
	if (clean && !n->state.sent) {
		id = n->state.id;
		n->state.sent = true;
	}
	lock_drop(&p->lock);
	if (id)
		broker_send(p->v->broker, id);
	suffix = clean ? NULL : prompts_name_node(p, n);
	op = suffix ? prompts_op_new(p, false) : NULL;
	if (!op) {
		(void)close(take_fd); /* an error of the disk was for fsync to tell */
		return;
	}
	prompts_op_touch(op, n);
	prompts_op_forget(op, prompts_node_get(p, n->parent), n->name,
			  strlen(n->name) - strlen(suffix));
	d = prompts_check_doc(p, n, suffix, take_fd, true);
	if (d)
		d->final = d->send = d->dirty_only = true;
	prompts_op_check(op, d);
	prompts_op_run(op, NULL);
}

void prompts_file_release(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			  const struct vfs_file *f)
{
	struct prompts *p = v->prompts;
	struct prompts_handle *h = handle(f);
	struct prompts_node *n = h->node;
	bool wrote = writable(h->flags);
	int fd = prompts_file_detach(p, h);

	(void)nodeid;
	prompts_op_reap(p);
	if (wrote && !n->writers && !n->gone)
		finished(p, n, fd);
	else
		(void)close(fd); /* an error of the disk was for fsync to tell */
	prompts_node_unref(p, n, 0);
	vfs_reply_err(q, 0);
}

/* ---- the rest ---------------------------------------------------------------------------------------- */

struct sync {
	struct pool_task task;
	struct vfs_req q;
	int fd;
	bool data_only;
};

static void sync_now(struct pool_task *t)
{
	struct sync *s = LIST_ENTRY(t, struct sync, task);
	int r = s->data_only ? fdatasync(s->fd) : fsync(s->fd);

	vfs_reply_err(&s->q, r < 0 ? errno : 0);
	free(s);
}

void prompts_file_fsync(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			const struct vfs_file *f, bool data_only)
{
	struct sync *s = calloc(1, sizeof(*s));

	(void)nodeid;
	if (!s) {
		vfs_reply_err(q, ENOMEM);
		return;
	}
	/* no release comes before the answer, so the descriptor stays */
	*s = (struct sync){
		.task.run = sync_now, .q = *q, .fd = handle(f)->fd, .data_only = data_only
	};
	if (broker_post(v->broker, &s->task) < 0)
		sync_now(&s->task);
}

void prompts_file_fallocate(struct vfs *v, const struct vfs_req *q, uint64_t nodeid,
			    const struct vfs_file *f, int mode, const struct vfs_io *io)
{
	struct prompts *p = v->prompts;
	struct prompts_handle *h = handle(f);

	(void)nodeid;
	if (prompts_file_too_big(p, h->node, io->off + io->size)) {
		vfs_reply_err(q, EFBIG);
		return;
	}
	if (fallocate(h->fd, mode, (off_t)io->off, (off_t)io->size) < 0) {
		vfs_reply_err(q, errno);
		return;
	}
	h->wrote = true;
	prompts_file_changed(p, h->node);
	vfs_reply_err(q, 0);
}
