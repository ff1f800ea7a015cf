/*
 * readtimes - read a stream and say when its bytes came
 *
 *   readtimes [-m block|poll|select|epoll|edge] [-o FILE] PATH
 *
 * One line for each read(2) that brought bytes: CLOCK_MONOTONIC in nanoseconds, and how many. All
 * modes but block open with O_NONBLOCK, read until EAGAIN and wait then; the last line is
 * "end waits=N", or "error NAME waits=N". The bytes go to FILE.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum { WAIT_MAX_MS = 60000 };

static long long now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* each returns 1 when something is to be read, as poll(2) does */
static int wait_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, WAIT_MAX_MS);
}

static int wait_select(int fd)
{
	struct timeval limit = { .tv_sec = WAIT_MAX_MS / 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, &limit);
}

static int wait_epoll(int fd, uint32_t how)
{
	static int ep = -1;
	struct epoll_event event = { .events = EPOLLIN | how };

	if (ep < 0) {
		ep = epoll_create1(0);
		if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) < 0)
			return -1;
	}
	return epoll_wait(ep, &event, 1, WAIT_MAX_MS);
}

static int wait_level(int fd)
{
	return wait_epoll(fd, 0);
}

static int wait_edge(int fd)
{
	return wait_epoll(fd, EPOLLET);
}

static const struct {
	const char *name;
	int (*wait)(int fd); /* NULL: read(2) itself waits */
} modes[] = {
	{ "block", NULL },	 { "poll", wait_poll }, { "select", wait_select },
	{ "epoll", wait_level }, { "edge", wait_edge },
};

static int read_all(int fd, int out, int (*wait)(int fd))
{
	static char chunk[65536];
	unsigned waits = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0) {
			printf("%lld %zd\n", now_ns(), n);
			if (out >= 0 && write(out, chunk, (size_t)n) != n)
				perror("readtimes: output");
		} else if (n < 0 && errno == EAGAIN && wait) {
			waits++;
			/* the reader of a test looks at the lines while this goes on */
			(void)fflush(stdout);
			if (wait(fd) <= 0) {
				puts("error waiting");
				return 1;
			}
		} else if (n < 0) {
			printf("error %s waits=%u\n", err_name(errno), waits);
			return 1;
		} else {
			printf("end waits=%u\n", waits);
			return 0;
		}
	}
}

int main(int argc, char **argv)
{
	const char *mode = "block";
	int c, fd, out = -1;

	while ((c = getopt(argc, argv, "m:o:")) != -1) {
		if (c == 'm')
			mode = optarg;
		else if (c == 'o')
			out = open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
		else
			return 2;
	}
	if (optind + 1 != argc)
		return 2;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(mode, modes[i].name) != 0)
			continue;
		fd = open(argv[optind], O_RDONLY | (modes[i].wait ? O_NONBLOCK : 0));
		if (fd < 0) {
			printf("error %s at open\n", err_name(errno));
			return 1;
		}
		return read_all(fd, out, modes[i].wait);
	}
	return 2;
}
