/* Suspended connections; see hold.h. */
#define _GNU_SOURCE 1
#include "hold.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"

#define NO_SLOT SIZE_MAX
#define BATCH	64

static struct hold **heap; /* by due, earliest first */
static size_t heap_count, heap_cap;
static struct hold **by_fd; /* who is held on a descriptor, or NULL */
static size_t fd_cap;
static int epoll_fd, timer_fd, signal_fd;
static bool woken; /* resumed connections the library has not seen yet */

uint64_t hold_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void heap_set(size_t at, struct hold *h)
{
	heap[at] = h;
	h->slot = at;
}

static void heap_up(size_t at, struct hold *h)
{
	for (; at && heap[(at - 1) / 2]->due > h->due; at = (at - 1) / 2)
		heap_set(at, heap[(at - 1) / 2]);
	heap_set(at, h);
}

static void heap_down(size_t at, struct hold *h)
{
	for (;;) {
		size_t kid = 2 * at + 1;

		if (kid >= heap_count)
			break;
		if (kid + 1 < heap_count && heap[kid + 1]->due < heap[kid]->due)
			kid++;
		if (heap[kid]->due >= h->due)
			break;
		heap_set(at, heap[kid]);
		at = kid;
	}
	heap_set(at, h);
}

static void heap_remove(struct hold *h)
{
	size_t at = h->slot;
	struct hold *last;

	if (at == NO_SLOT)
		return;
	h->slot = NO_SLOT;
	last = heap[--heap_count];
	if (last == h)
		return;
	if (at && heap[(at - 1) / 2]->due > last->due)
		heap_up(at, last);
	else
		heap_down(at, last);
}

/* To be called whenever the earliest time may have changed. */
static void arm_timer(void)
{
	struct itimerspec when = { 0 };

	if (heap_count) {
		when.it_value.tv_sec = (time_t)(heap[0]->due / 1000000000u);
		when.it_value.tv_nsec = (long)(heap[0]->due % 1000000000u);
	}
	timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void wake_one(struct hold *h)
{
	heap_remove(h);
	by_fd[h->fd] = NULL;
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, h->fd, NULL);
	h->held = false;
	woken = true;
	MHD_resume_connection(h->conn);
}

static void wake_due(void)
{
	uint64_t now = hold_now();
	uint64_t expirations;
	ssize_t got = read(timer_fd, &expirations, sizeof(expirations));

	(void)got;
	while (heap_count && heap[0]->due <= now)
		wake_one(heap[0]);
	arm_timer();
}

/*
 * An earlier event of the same batch may have woken this connection or let its descriptor
 * go to another one, so the socket is asked once more.
 */
static void wake_if_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	if ((size_t)fd >= fd_cap || !by_fd[fd])
		return;
	if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
		return;
	by_fd[fd]->gone = true;
	wake_one(by_fd[fd]);
}

static int watch_fd(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

int hold_init(void)
{
	sigset_t set;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (epoll_fd < 0 || timer_fd < 0 || signal_fd < 0)
		return -errno;
	rc = watch_fd(timer_fd, EPOLLIN);
	return rc ? rc : watch_fd(signal_fd, EPOLLIN);
}

/*
 * The library's own loop is not used: in 0.9.75 it waits for ever when exactly 128
 * connections become ready at once. MHD_run never blocks, so the wait happens here. The
 * library's time-out does not tell of resumed connections, hence `woken`.
 */
int hold_loop(struct MHD_Daemon *d)
{
	int mhd_fd = MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	struct epoll_event ev[BATCH];
	int rc = watch_fd(mhd_fd, EPOLLIN);

	while (!rc) {
		MHD_UNSIGNED_LONG_LONG pending = 1;
		bool busy = MHD_get_timeout(d, &pending) == MHD_YES && !pending;
		int n = epoll_wait(epoll_fd, ev, BATCH, busy || woken ? 0 : -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.fd == signal_fd)
				return 0;
			if (ev[i].data.fd == timer_fd)
				wake_due();
			else if (ev[i].data.fd != mhd_fd)
				wake_if_gone(ev[i].data.fd);
		}
		woken = false;
		MHD_run(d);
	}
	return rc;
}

static void add_fd(struct hold *h)
{
	size_t old = fd_cap;

	by_fd = buf_grow(by_fd, &fd_cap, (size_t)h->fd, sizeof(*by_fd));
	for (size_t i = old; i < fd_cap; i++)
		by_fd[i] = NULL;
	by_fd[h->fd] = h;
	watch_fd(h->fd, EPOLLRDHUP | EPOLLONESHOT);
}

void hold_put(struct hold *h, struct MHD_Connection *conn, const void *tag, uint64_t due)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);

	MHD_suspend_connection(conn);
	h->conn = conn;
	h->tag = tag;
	h->due = due;
	h->slot = NO_SLOT;
	h->fd = info->connect_fd;
	h->held = true;
	if (due) {
		heap = buf_grow(heap, &heap_cap, heap_count, sizeof(*heap));
		heap_up(heap_count++, h);
		if (heap[0] == h)
			arm_timer();
	}
	add_fd(h);
}

void hold_wake(const void *tag)
{
	for (size_t i = 0; i < fd_cap; i++)
		if (by_fd[i] && (!tag || by_fd[i]->tag == tag))
			wake_one(by_fd[i]);
	arm_timer();
}

void hold_drop(struct hold *h)
{
	if (h->held) {
		heap_remove(h);
		by_fd[h->fd] = NULL;
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, h->fd, NULL);
		h->held = false;
	}
	h->gone = false;
}
