/* mount.c - the session: mount, serve on one thread, unmount */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fuse_lowlevel.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/auto.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "fuse/mount.h"
#include "fuse/notify.h"
#include "fuse/ops.h"

#include "base/banned.h"

#define START_NS  (10 * MONO_S)
#define KICK_NS	  (20 * MONO_MS)
#define SETTLE_NS (500 * MONO_MS)

struct fuse_mount {
	struct fuse_session *se;
	struct notify *notify;
	struct ops_context context;
	struct thread thread;
	struct lock lock;
	struct cond changed;
	bool ready, ended, closing;
	void (*on_end)(void *arg);
	void *on_end_arg;
};

/* ---- a dead mount ---- */

static bool is_ours(const char *mountpoint)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	char space[4096];
	struct mntent m;
	bool ours = false;

	if (!f)
		return false;
	while (getmntent_r(f, &m, space, sizeof(space)))
		if (strcmp(m.mnt_dir, mountpoint) == 0)
			ours = strcmp(m.mnt_type, "fuse.inferfs") == 0;
	(void)endmntent(f);
	return ours;
}

/* as fusermount3 -uz, which an unprivileged user needs for his own mount */
static int detach(const char *mountpoint)
{
	pid_t pid;
	int status = 0;

	if (umount2(mountpoint, MNT_DETACH) == 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", mountpoint,
		       (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		return -EBUSY;
	return 0;
}

/* the kernel may still know the root's attributes and answer stat(2) by itself; statfs(2) it always asks */
static bool is_dead(const char *mountpoint)
{
	struct statfs st;

	return statfs(mountpoint, &st) < 0 && errno == ENOTCONN;
}

int mount_clean(const char *mountpoint, struct err *e)
{
	if (!is_dead(mountpoint))
		return 0;
	if (!is_ours(mountpoint))
		return err_set(
			e, ERR_INTERNAL,
			"%s holds a dead mount of another file system; unmount it first with "
			"fusermount3 -uz",
			mountpoint);
	if (detach(mountpoint) < 0)
		return err_set(e, ERR_INTERNAL,
			       "%s holds the mount of an inferfs that died and it could not be "
			       "unmounted; try fusermount3 -uz %s",
			       mountpoint, mountpoint);
	log_msg(LOG_INFO, "a dead mount at %s was cleaned up", mountpoint);
	return 0;
}

/* ---- serving ---- */

static void on_ready(void *arg)
{
	struct fuse_mount *m = arg;

	LOCK_SCOPE(&m->lock);
	m->ready = true;
	cond_broadcast(&m->changed);
}

static void no_op(int sig)
{
	(void)sig;
}

/* read(2) on the kernel's device is interrupted by SIGUSR2, which only this thread lets in */
static void let_kick_in(void)
{
	struct sigaction sa = { .sa_handler = no_op };
	sigset_t set;

	(void)sigaction(SIGUSR2, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static bool closing(struct fuse_mount *m)
{
	LOCK_SCOPE(&m->lock);
	return m->closing;
}

static void serve(struct fuse_mount *m)
{
	struct fuse_buf buf = { .mem = NULL };

	while (!fuse_session_exited(m->se)) {
		int n = fuse_session_receive_buf(m->se, &buf);

		if (n == -EINTR || n == -EAGAIN) {
			if (closing(m))
				break;
			continue;
		}
		if (n <= 0)
			break;
		fuse_session_process_buf(m->se, &buf);
	}
	free(buf.mem);
}

static void *serve_main(void *arg)
{
	struct fuse_mount *m = arg;
	bool told;

	let_kick_in();
	serve(m);
	lock_take(&m->lock);
	m->ended = true;
	told = m->closing;
	cond_broadcast(&m->changed);
	lock_drop(&m->lock);
	if (!told && m->on_end)
		m->on_end(m->on_end_arg);
	return NULL;
}

/* ---- the life ---- */

static int add_words(struct fuse_args *args, const struct fuse_mount_options *o)
{
	AUTO_FREE char *source = str_printf("-ofsname=%s", o->source);
	int r = fuse_opt_add_arg(args, "inferfs");

	r |= source ? fuse_opt_add_arg(args, source) : -1;
	r |= fuse_opt_add_arg(args, "-osubtype=inferfs,default_permissions");
	for (const char *const *w = o->fuse_opts; w && *w; w++) {
		r |= fuse_opt_add_arg(args, "-o");
		r |= fuse_opt_add_arg(args, *w);
	}
	if (o->debug)
		r |= fuse_opt_add_arg(args, "-d");
	return r ? -ENOMEM : 0;
}

static struct fuse_mount *mount_free(struct fuse_mount *m)
{
	if (m->se)
		fuse_session_destroy(m->se);
	cond_done(&m->changed);
	lock_done(&m->lock);
	free(m);
	return NULL;
}

int mount_open(const struct fuse_mount_options *o, struct fuse_mount **out, struct err *e)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_mount *m = calloc(1, sizeof(*m));

	if (!m)
		return err_sys(e, ENOMEM, "the mount could not be prepared");
	lock_init(&m->lock, LOCK_LEAF);
	cond_init(&m->changed);
	m->context = (struct ops_context){ .vfs = o->vfs, .ready = on_ready, .arg = m };
	if (add_words(&args, o) == 0)
		m->se = fuse_session_new(&args, &ops_table, sizeof(ops_table), &m->context);
	fuse_opt_free_args(&args);
	if (!m->se) {
		mount_free(m);
		return err_set(e, ERR_REQUEST,
			       "libfuse refused a mount option (its own words are above); see "
			       "inferfs --help");
	}
	if (fuse_session_mount(m->se, o->mountpoint) != 0) {
		mount_free(m);
		return err_set(
			e, ERR_INTERNAL,
			"could not mount on %s; is /dev/fuse there, is fusermount3 installed, and "
			"is the directory yours?",
			o->mountpoint);
	}
	*out = m;
	return 0;
}

int mount_start(struct fuse_mount *m, struct err *e)
{
	struct vfs_notify table;
	uint64_t until = mono_ns() + START_NS;
	bool ok;

	m->notify = notify_start(m->se);
	if (!m->notify)
		return err_sys(e, EAGAIN, "the notify thread could not be started");
	notify_table(m->notify, &table);
	vfs_set_notify(m->context.vfs, &table);
	if (thread_start(&m->thread, "fuse", serve_main, m) < 0)
		return err_sys(e, EAGAIN, "the serving thread could not be started");
	lock_take(&m->lock);
	while (!m->ready && !m->ended)
		if (!cond_wait_until(&m->changed, &m->lock, until))
			break;
	ok = m->ready;
	lock_drop(&m->lock);
	return ok ? 0 : err_set(e, ERR_INTERNAL, "the kernel did not answer the mount");
}

void mount_on_end(struct fuse_mount *m, void (*fn)(void *arg), void *arg)
{
	m->on_end = fn;
	m->on_end_arg = arg;
}

/* kicked until it has seen that it shall end: a kick between its look and its read would be lost */
static void stop_serving(struct fuse_mount *m)
{
	if (!m->thread.started)
		return;
	lock_take(&m->lock);
	m->closing = true;
	fuse_session_exit(m->se);
	while (!m->ended) {
		(void)pthread_kill(m->thread.t, SIGUSR2);
		(void)cond_wait_until(&m->changed, &m->lock, mono_ns() + KICK_NS);
	}
	lock_drop(&m->lock);
	thread_join(&m->thread);
}

/* What still reads a disk answers in a moment. true: all are answered */
static bool settle(struct fuse_mount *m)
{
	uint64_t until = mono_ns() + SETTLE_NS;

	LOCK_SCOPE(&m->lock);
	while (atomic_load(&m->context.unanswered) && mono_ns() < until)
		(void)cond_wait_until(&m->changed, &m->lock, mono_ns() + KICK_NS);
	return !atomic_load(&m->context.unanswered);
}

struct fuse_mount *mount_close(struct fuse_mount *m)
{
	bool settled;

	if (!m)
		return NULL;
	stop_serving(m);
	settled = settle(m);
	m->notify = notify_stop(m->notify);
	fuse_session_unmount(m->se); /* lazily: open files do not keep the name */
	return settled ? mount_free(m)
		       : NULL; /* a disk that hangs: its answer will still want the session */
}
