/*
 * main/daemon.c - the process: limits, going to the background, signals
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/mountinfo.h"
#include "base/str.h"
#include "main/daemon.h"

#include "base/banned.h"

enum { PATIENCE_MS = 1900, SAID_MAX = 4096 };

/* LeakSanitizer looks at its own process the way a debugger does */
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

void daemon_limits(bool keep_core)
{
	struct rlimit files, none = { 0, 0 };

	/* none of these is worth refusing to start for */
	if (!keep_core) {
		(void)setrlimit(RLIMIT_CORE, &none);
		if (!UNDER_SANITIZER)
			(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	/* one arena a thread costs megabytes and saves nothing here */
	(void)mallopt(M_ARENA_MAX, 2);
	/* the kernel has applied the caller's umask to what it asks for */
	(void)umask(0);
	(void)signal(SIGPIPE, SIG_IGN);
}

void daemon_close_inherited(const char *mountpoint)
{
	uint64_t kept = 2;

	if (str_starts(mountpoint, "/dev/fd/") && str_parse_u64(mountpoint + 8, &kept) < 0)
		kept = 2;
	if (kept > 2 && kept < UINT32_MAX) {
		if (kept > 3)
			(void)close_range(3, (unsigned)kept - 1,
					  0); /* old kernels: they stay open */
		(void)close_range((unsigned)kept + 1, ~0U, 0);
	} else {
		(void)close_range(3, ~0U, 0);
	}
}

/* Before any thread is started, so that all of them inherit it: only the signalfd sees these. */
static void block_signals(sigset_t *out)
{
	static const int handled[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

	(void)sigemptyset(out);
	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		(void)sigaddset(out, handled[i]);
	(void)sigprocmask(SIG_BLOCK, out, NULL);
}

static int open_events(struct daemon *d, struct err *e)
{
	sigset_t set;

	block_signals(&set);
	d->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d->signals < 0 || d->wake < 0 ? err_sys(e, errno, "signals") : 0;
}

/* The parent: its exit status is the mount's. Never returns. */
static void wait_for_child(pid_t child, int from)
{
	char said[SAID_MAX];
	size_t n = 0;
	ssize_t got;
	int status = 0;

	do {
		got = read(from, said + n, sizeof(said) - 1 - n);
		if (got > 0)
			n += (size_t)got;
	} while ((got > 0 && n < sizeof(said) - 1) || (got < 0 && errno == EINTR));
	said[n] = '\0';
	if (n == 1 && said[0] == '+')
		_exit(0);
	if (n) {
		(void)fdio_write_all(STDERR_FILENO, said, n);
		_exit(1);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		(void)fprintf(
			stderr,
			"inferfs: the daemon was ended by signal %d before the mount answered\n",
			WTERMSIG(status));
	else
		(void)fprintf(stderr, "inferfs: the daemon ended before the mount answered\n");
	_exit(1);
}

/* before threads, sockets and the mount: a fork after them would lose or double them */
int daemon_fork(struct daemon *d, bool foreground, struct err *e)
{
	int ends[2];
	pid_t child;

	*d = DAEMON_INIT;
	if (foreground)
		return open_events(d, e);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	(void)fflush(NULL);
	child = fork();
	if (child < 0) {
		int code = errno;

		(void)close(ends[0]);
		(void)close(ends[1]);
		return err_sys(e, code, "fork");
	}
	if (child > 0) {
		(void)close(ends[1]);
		wait_for_child(child, ends[0]);
	}
	(void)close(ends[0]);
	d->pipe = ends[1];
	(void)setsid(); /* a fresh child is no group leader: it cannot fail */
	return open_events(d, e);
}

/* the terminal, or the pipe of $(...), must not be held by a daemon */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		(void)close(null);
}

/* the last thing the parent hears; after it nothing may be printed any more */
int daemon_ready(struct daemon *d)
{
	int rc;

	if (d->pipe < 0)
		return 0;
	leave_terminal();
	rc = fdio_write_all(d->pipe, "+", 1);
	(void)close(d->pipe);
	d->pipe = -1;
	return rc;
}

void daemon_fail(struct daemon *d, const struct err *e)
{
	AUTO_FREE char *line = str_printf("inferfs: %s\n", e->message);

	if (!line)
		return;
	/* nobody there to read it: nothing to be done */
	(void)fdio_write_all(d->pipe >= 0 ? d->pipe : STDERR_FILENO, line, strlen(line));
	if (d->pipe >= 0)
		(void)close(d->pipe);
	d->pipe = -1;
}

static int next_signal(struct daemon *d)
{
	struct signalfd_siginfo info;

	return read(d->signals, &info, sizeof(info)) == (ssize_t)sizeof(info) ? (int)info.ssi_signo
									      : 0;
}

/* a signal counts more than the end of the mount: both lead to the same end */
enum daemon_event daemon_wait(struct daemon *d)
{
	struct pollfd fds[2] = { { d->signals, POLLIN, 0 }, { d->wake, POLLIN, 0 } };

	for (;;) {
		int sig;

		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return DAEMON_END;
		sig = next_signal(d);
		if (sig)
			return sig == SIGHUP ? DAEMON_RELOAD : DAEMON_END;
		if (fds[1].revents & POLLIN)
			return DAEMON_UNMOUNTED;
	}
}

void daemon_wake(void *daemon)
{
	struct daemon *d = daemon;
	uint64_t one = 1;

	(void)!write(d->wake, &one, sizeof(one)); /* full: it was woken before */
}

/* What is recorded is safe, so ending hard loses nothing; but a mount without a daemon behind it
 * would answer ENOTCONN to everybody. */
static void detach(const char *mountpoint)
{
	char *args[] = { (char[]){ "fusermount3" },
			 (char[]){ "-u" },
			 (char[]){ "-z" },
			 (char[]){ "--" },
			 NULL,
			 NULL };
	char *none[] = { NULL };
	AUTO_FREE char *copy = NULL;
	pid_t child;

	/* unmounted already, perhaps with something else in its place */
	if (!mountinfo_ours(mountpoint))
		return;
	if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL)
		return;
	copy = strdup(mountpoint);
	args[4] = copy;
	if (!copy || posix_spawn(&child, "/usr/bin/fusermount3", NULL, NULL, args, none) != 0)
		return;
	(void)waitpid(child, NULL, 0);
}

static void *hurry(void *arg)
{
	struct daemon *d = arg;
	struct pollfd fds[2] = { { d->signals, POLLIN, 0 }, { d->stop, POLLIN, 0 } };
	int left = PATIENCE_MS;

	while (poll(fds, ARRAY_LEN(fds), left) > 0) {
		if (fds[1].revents)
			return NULL;
		/* a reload in the last two seconds is no wish to end sooner */
		if (next_signal(d) != SIGHUP)
			break;
		left = PATIENCE_MS / 2;
	}
	detach(d->mountpoint);
	_exit(0);
}

void daemon_hurry(struct daemon *d)
{
	d->stop = eventfd(0, EFD_CLOEXEC);
	/* without it the end may take longer, no more than that */
	if (d->stop >= 0)
		(void)thread_start(&d->watchdog, "hurry", hurry, d);
}

void daemon_done(struct daemon *d)
{
	uint64_t one = 1;

	if (d->stop >= 0)
		(void)!write(d->stop, &one, sizeof(one)); /* a fresh counter takes it */
	thread_join(&d->watchdog);
	for (size_t i = 0; i < 4; i++) {
		int fd = (const int[]){ d->pipe, d->signals, d->wake, d->stop }[i];

		if (fd >= 0)
			(void)close(fd);
	}
	*d = DAEMON_INIT;
}
