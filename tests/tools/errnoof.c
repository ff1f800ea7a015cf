/*
 * errnoof - one use of a file, and the errno it ended with
 *
 *   errnoof [OPTION]... read PATH          open, read to the end, close
 *   errnoof [OPTION]... write PATH TEXT    create or truncate, write, close
 *   errnoof [OPTION]... ask PATH TEXT...   open read-write; write and read, once for each text
 *   errnoof [OPTION]... open PATH          open only
 *
 *   -o FILE  what was read goes there, as it comes     -n  O_NONBLOCK     -s  O_SYNC
 *   -e       after a failed read one more: FILE is then what that gave (error.json of ask)
 *   -t S     a signal after S seconds
 *
 * Prints "ok", or the call and the name: "open EINVAL", "read EREMOTEIO", "close ENOKEY". SIGUSR1
 * and SIGALRM interrupt and do nothing else. Exit status 0 for ok, 1 for an errno, 2 for usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

struct use {
	int flags;
	bool again; /* -e */
	int out;    /* -1: nowhere */
};

static void on_signal(int sig)
{
	(void)sig;
}

static int failed(const char *call)
{
	printf("%s %s\n", call, err_name(errno));
	return 1;
}

static void put(const struct use *u, const char *p, ssize_t n)
{
	if (u->out >= 0 && n > 0 && write(u->out, p, (size_t)n) != n)
		perror("errnoof: output");
}

/* 0 at the end, 1 after a failure that was printed */
static int read_all(const struct use *u, int fd)
{
	static char chunk[65536];
	ssize_t n;
	int rc;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		put(u, chunk, n);
	if (n == 0)
		return 0;
	rc = failed("read");
	/* only error.json is wanted then; a failed truncation shows in the test */
	if (u->again && (u->out < 0 || ftruncate(u->out, 0) == 0))
		put(u, chunk, read(fd, chunk, sizeof(chunk)));
	return rc;
}

static int close_it(int fd)
{
	return close(fd) < 0 ? failed("close") : 0;
}

static int use_read(const struct use *u, char **arg)
{
	int fd = open(arg[0], O_RDONLY | u->flags);
	int rc;

	if (fd < 0)
		return failed("open");
	rc = read_all(u, fd);
	return rc ? rc : close_it(fd);
}

static int use_open(const struct use *u, char **arg)
{
	int fd = open(arg[0], O_RDONLY | u->flags);

	return fd < 0 ? failed("open") : close_it(fd);
}

static int use_write(const struct use *u, char **arg)
{
	int fd = open(arg[0], O_WRONLY | O_CREAT | O_TRUNC | u->flags, 0644);
	size_t n = strlen(arg[1]);

	if (fd < 0)
		return failed("open");
	if (n && write(fd, arg[1], n) != (ssize_t)n)
		return failed("write");
	return close_it(fd);
}

static int use_ask(const struct use *u, char **arg)
{
	int fd = open(arg[0], O_RDWR | u->flags);
	int rc = 0;

	if (fd < 0)
		return failed("open");
	for (arg++; *arg && !rc; arg++) {
		if (write(fd, *arg, strlen(*arg)) < 0)
			return failed("write");
		rc = read_all(u, fd);
	}
	return rc ? rc : close_it(fd);
}

static const struct {
	const char *name;
	int least; /* arguments */
	int (*run)(const struct use *u, char **arg);
} uses[] = {
	{ "read", 1, use_read },
	{ "open", 1, use_open },
	{ "write", 2, use_write },
	{ "ask", 2, use_ask },
};

static int parse(int argc, char **argv, struct use *u)
{
	int c;

	while ((c = getopt(argc, argv, "+o:t:nse")) != -1) {
		if (c == 'n')
			u->flags |= O_NONBLOCK;
		else if (c == 's')
			u->flags |= O_SYNC;
		else if (c == 'e')
			u->again = true;
		else if (c == 't')
			(void)alarm((unsigned)atoi(optarg));
		else if (c != 'o')
			return -1;
		else
			u->out = open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct sigaction wake = { .sa_handler = on_signal }; /* no SA_RESTART */
	struct use u = { .out = -1 };

	(void)sigaction(SIGUSR1, &wake, NULL);
	(void)sigaction(SIGALRM, &wake, NULL);
	if (parse(argc, argv, &u) || optind >= argc)
		return 2;
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		if (strcmp(argv[optind], uses[i].name) != 0 || argc - optind - 1 < uses[i].least)
			continue;
		if (uses[i].run(&u, argv + optind + 1))
			return 1;
		puts("ok");
		return 0;
	}
	return 2;
}
