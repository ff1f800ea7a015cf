/*
 * tests/bench/lib/util.c - files, time, processes; any failure ends the program with a sentence
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/lib/bench.h"

void bench_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void bench_note(const char *fmt, ...)
{
	va_list ap;

	fputs("# ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

char *bench_fmt(const char *fmt, ...)
{
	char *out;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&out, fmt, ap);
	va_end(ap);
	if (n < 0)
		bench_die("out of memory");
	return out;
}

uint64_t bench_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *v, size_t n)
{
	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), cmp_double);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

void bench_mkdir(const char *path)
{
	char part[BENCH_PATH];

	for (size_t i = 1;; i++) {
		if (path[i] && path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			bench_die("mkdir %s: %s", part, strerror(errno));
		if (!path[i])
			return;
	}
}

void bench_write(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		bench_die("create %s: %s", path, strerror(errno));
	if (write(fd, p, n) != (ssize_t)n)
		bench_die("write %s: %s", path, strerror(errno));
	if (close(fd) < 0)
		bench_die("close %s: %s", path, strerror(errno));
}

void bench_read(const char *path, const void *want, size_t n)
{
	char got[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		bench_die("open %s: %s", path, strerror(errno));
	len = read(fd, got, sizeof(got));
	if (len < 0)
		bench_die("read %s: %s", path, strerror(errno));
	if ((size_t)len != n || memcmp(got, want, n) != 0)
		bench_die("%s: wrong bytes: %.*s", path, (int)len, got);
	close(fd);
}

void bench_unlink(const char *path)
{
	if (unlink(path) < 0)
		bench_die("unlink %s: %s", path, strerror(errno));
}

char *bench_slurp(const char *path, size_t *out_len)
{
	size_t cap = 1 << 16, len = 0;
	char *p = malloc(cap + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || !p)
		bench_die("open %s: %s", path, strerror(errno));
	while ((n = read(fd, p + len, cap - len)) > 0) {
		len += (size_t)n;
		if (len == cap && !(p = realloc(p, (cap *= 2) + 1)))
			bench_die("out of memory");
	}
	if (n < 0)
		bench_die("read %s: %s", path, strerror(errno));
	close(fd);
	p[len] = '\0';
	if (out_len)
		*out_len = len;
	return p;
}

int bench_run(bool quiet, const char *const argv[])
{
	pid_t pid = fork();
	int status, null;

	if (pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (pid == 0) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, 0);
		if (quiet) {
			dup2(null, 1);
			dup2(null, 2);
		}
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		bench_die("waitpid: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		bench_note("cannot pin to CPU %d: %s", cpu, strerror(errno));
}
