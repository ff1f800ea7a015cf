/*
 * tests/bench/lib/world.c - the daemon, the provider server, the file systems beside it
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/lib/bench.h"

enum { WAIT_MS = 30000 };

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* out: descriptor for the child's output, or -1 */
static pid_t start(const char *const argv[], int out)
{
	pid_t pid = fork();

	if (pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (out >= 0)
			dup2(out, 1);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

static void await_mount(const char *mnt, dev_t below, pid_t pid)
{
	struct stat st;

	for (int ms = 0; ms < WAIT_MS; ms += 2) {
		if (stat(mnt, &st) == 0 && st.st_dev != below)
			return;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			bench_die("the file system for %s ended at once", mnt);
		nap();
	}
	bench_die("%s is not mounted after %d s", mnt, WAIT_MS / 1000);
}

static void end(const char *mnt, pid_t pid)
{
	const char *argv[] = { "fusermount3", "-u", mnt, NULL };

	for (int i = 0; i < 100 && bench_run(true, argv) != 0; i++)
		nap();
	for (int ms = 0; ms < WAIT_MS; ms += 2) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nap();
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	bench_die("the daemon of %s did not end", mnt);
}

static char *config(struct bench *b, const char *base)
{
	char *path = bench_fmt("%s/config.ini", base);
	FILE *f = fopen(path, "w");

	if (!f)
		bench_die("%s: %s", path, strerror(errno));
	fprintf(f, "[inferfs]\nmodel = echo/echo\n");
	if (b->port)
		fprintf(f,
			"[backend prov]\ntype = openai\nurl = http://127.0.0.1:%d/v1\n"
			"key_env = BENCH_KEY\nconcurrency = 64\n",
			b->port);
	if (b->config)
		fputs(b->config, f);
	fclose(f);
	return path;
}

void world_mount(struct bench *b, const char *name, const char *cache)
{
	char *base = bench_fmt("%s/%s", b->dir, name);
	char *options, *cfg;
	struct stat below;

	bench_mkdir(base);
	snprintf(b->mnt, sizeof(b->mnt), "%s/mnt", base);
	snprintf(b->plain, sizeof(b->plain), "%s/dir", base);
	bench_mkdir(b->mnt);
	bench_mkdir(b->plain);
	cfg = config(b, base);
	options = cache ? bench_fmt("config=%s,state=%s/state,cache=disk:%s,log_file=%s/log", cfg,
				    base, cache, base)
			: bench_fmt("config=%s,state=%s/state,cache=disk:%s/cache,log_file=%s/log",
				    cfg, base, base, base);
	setenv("BENCH_KEY", "bench", 1);
	if (stat(b->mnt, &below) < 0)
		bench_die("%s: %s", b->mnt, strerror(errno));
	b->daemon = start((const char *[]){ bench_fmt("%s/inferfs", b->build), "-f", b->mnt, "-o",
					    options, NULL },
			  -1);
	await_mount(b->mnt, below.st_dev, b->daemon);
	world_rss(b);
	free(options);
	free(cfg);
	free(base);
}

void world_unmount(struct bench *b)
{
	end(b->mnt, b->daemon);
	b->daemon = 0;
}

uint64_t world_rss_bytes(struct bench *b)
{
	char *path = bench_fmt("/proc/%d/statm", (int)b->daemon);
	char *text = bench_slurp(path, NULL);
	unsigned long size, rss;

	if (sscanf(text, "%lu %lu", &size, &rss) != 2)
		bench_die("%s: %s", path, text);
	free(text);
	free(path);
	return (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

double world_rss(struct bench *b)
{
	return b->rss_mib = (double)world_rss_bytes(b) / (1 << 20);
}

static unsigned long cpu_ticks(struct bench *b)
{
	char *path = bench_fmt("/proc/%d/stat", (int)b->daemon);
	char *text = bench_slurp(path, NULL), *p = strrchr(text, ')');
	unsigned long user, system;

	if (!p ||
	    sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		bench_die("%s: %s", path, text);
	free(text);
	free(path);
	return user + system;
}

void world_settle(struct bench *b)
{
	unsigned long before = cpu_ticks(b), now;

	for (int looks = 0; looks < WAIT_MS / 100; looks++) {
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
		now = cpu_ticks(b);
		if (now == before)
			return;
		before = now;
	}
	bench_die("the daemon of %s is still busy after %d s", b->mnt, WAIT_MS / 1000);
}

pid_t world_helper(struct bench *b, const char *const argv[])
{
	const char *full[8] = { NULL };
	struct stat below;
	pid_t pid;

	for (size_t i = 0; argv[i] && i + 1 < sizeof(full) / sizeof(*full); i++)
		full[i] = argv[i];
	full[0] = bench_fmt("%s/bench/%s", b->build, argv[0]);
	bench_mkdir(argv[1]);
	if (stat(argv[1], &below) < 0)
		bench_die("%s: %s", argv[1], strerror(errno));
	pid = start(full, -1);
	await_mount(argv[1], below.st_dev, pid);
	free((char *)(uintptr_t)full[0]);
	return pid;
}

void world_helper_end(const char *mnt, pid_t pid)
{
	end(mnt, pid);
}

void world_provider(struct bench *b)
{
	char line[64] = "";
	size_t n = 0;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		bench_die("pipe: %s", strerror(errno));
	/* its CPU is its own when the others share one: it stands for a machine far away */
	bench_pin(b->pinned && sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : -1);
	b->provider = start((const char *[]){ bench_fmt("%s/provider", b->build), NULL }, p[1]);
	bench_pin(b->pinned ? 0 : -1);
	close(p[1]);
	while (n + 1 < sizeof(line) && read(p[0], line + n, 1) == 1 && line[n] != '\n')
		n++;
	close(p[0]);
	if (sscanf(line, "listening %d", &b->port) != 1)
		bench_die("the provider server says: %s", line);
}

void world_provider_end(struct bench *b)
{
	kill(b->provider, SIGTERM);
	waitpid(b->provider, NULL, 0);
	b->provider = 0;
	b->port = 0;
}
