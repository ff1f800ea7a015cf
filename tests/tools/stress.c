/*
 * stress MOUNT SECONDS PROCESSES SEED   random work in MOUNT/prompts and MOUNT/responses
 *
 * Every process creates, rewrites, renames, exchanges, unlinks, reads, cancels, retries, lists and dismisses among
 * a few names that all share. An errno that interface.md does not allow for the step, or a step that takes longer
 * than ten seconds, is printed and ends the process with 1. Nothing is left open.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 24, DIRS = 3, SLOW_S = 10 };

struct run {
	const char *mount;
	uint64_t seed;
	unsigned long steps, refused;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned pick(struct run *r, unsigned below)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return (unsigned)(r->seed >> 33) % below;
}

static const char *stem(struct run *r, char out[64])
{
	unsigned k = pick(r, NAMES), d = pick(r, DIRS);

	if (d)
		snprintf(out, 64, "d%u/f%u", d, k);
	else
		snprintf(out, 64, "f%u", k);
	return out;
}

static void prompt(struct run *r, char *out, size_t cap)
{
	static const char *const suffix[] = { ".json", ".json", ".json", ".txt", "~", ".part" };
	char name[64];

	snprintf(out, cap, "%s/prompts/%s%s", r->mount, stem(r, name), suffix[pick(r, 6)]);
}

static void response(struct run *r, const char *file, char *out, size_t cap)
{
	char name[64];

	snprintf(out, cap, "%s/responses/%s/%s", r->mount, stem(r, name), file);
}

static int result(long rc)
{
	return rc < 0 ? errno : 0;
}

static int step_write(struct run *r)
{
	char path[512], text[256];
	int fd, code, n;

	prompt(r, path, sizeof(path));
	n = snprintf(text, sizeof(text), "{\"prompt\":\"q%u\",\"extra_body\":{\"delay_ms\":%u}%s",
		     pick(r, 40), pick(r, 60), pick(r, 16) ? "}" : "");
	fd = open(path, O_WRONLY | O_CREAT | (pick(r, 2) ? O_TRUNC : 0) | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	for (int at = 0; at < n;) {
		int piece = 1 + (int)pick(r, (unsigned)(n - at));

		if (pwrite(fd, text + at, (size_t)piece, at) < 0) {
			code = errno;
			(void)close(fd);
			return code;
		}
		at += piece;
	}
	if (pick(r, 2) && ftruncate(fd, n) < 0) {
		code = errno;
		(void)close(fd);
		return code;
	}
	return result(close(fd));
}

static int step_rename(struct run *r)
{
	char a[512], b[512];
	unsigned how = pick(r, 4);

	prompt(r, a, sizeof(a));
	prompt(r, b, sizeof(b));
	return result(renameat2(AT_FDCWD, a, AT_FDCWD, b,
				how == 0   ? RENAME_EXCHANGE
				: how == 1 ? RENAME_NOREPLACE
					   : 0));
}

static int step_rename_dir(struct run *r)
{
	char a[512], b[512];

	snprintf(a, sizeof(a), "%s/prompts/d%u", r->mount, 1 + pick(r, DIRS - 1));
	snprintf(b, sizeof(b), "%s/prompts/e%u", r->mount, pick(r, 2));
	if (rename(a, b) < 0)
		return errno;
	return result(rename(b, a));
}

static int step_unlink(struct run *r)
{
	char path[512];

	prompt(r, path, sizeof(path));
	return result(unlink(path));
}

static int step_ctl(struct run *r)
{
	char path[512];
	const char *word = pick(r, 2) ? "cancel" : "retry";
	int fd, code;

	response(r, "ctl", path, sizeof(path));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	code = result(write(fd, word, strlen(word)));
	(void)close(fd);
	return code;
}

static int step_read(struct run *r)
{
	static const char *const files[] = { "text",	      "stream",	    "status",
					     "response.json", "error.json", "usage.json" };
	char path[512], buf[4096];
	int fd, code;
	ssize_t n;

	response(r, files[pick(r, 6)], path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | (pick(r, 2) ? O_NONBLOCK : 0));
	if (fd < 0)
		return errno;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		;
	code = result(n);
	(void)close(fd);
	return code;
}

static int step_list(struct run *r)
{
	char path[512];
	struct dirent *e;
	DIR *d;

	if (pick(r, 2))
		response(r, "", path, sizeof(path));
	else
		snprintf(path, sizeof(path), "%s/%s", r->mount,
			 pick(r, 2) ? "responses" : "prompts");
	d = opendir(path);
	if (!d)
		return errno;
	while ((e = readdir(d))) {
		struct stat st;

		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			break;
	}
	(void)closedir(d);
	return 0;
}

static int step_dismiss(struct run *r)
{
	char path[512];

	response(r, "", path, sizeof(path));
	path[strlen(path) - 1] = '\0';
	return result(rmdir(path));
}

static int step_cache(struct run *r)
{
	char path[512], sub[1024];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/cache", r->mount);
	d = opendir(path);
	if (!d)
		return errno;
	while ((e = readdir(d)) && e->d_name[0] == '.')
		;
	if (e) {
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		(void)result(rmdir(sub));
	}
	(void)closedir(d);
	return 0;
}

struct step {
	const char *name;
	int (*run)(struct run *r);
	unsigned weight;
	int allowed[14];
};
static const struct step steps[] = {
	{ "write", step_write, 30, { EINVAL, ENOENT, EEXIST, ESTALE, EISDIR, ENOBUFS, ECANCELED } },
	{ "rename", step_rename, 12, { ENOENT, EEXIST, ESTALE, EINVAL } },
	{ "rename of a directory", step_rename_dir, 1, { ENOENT, EEXIST, ENOTEMPTY, ESTALE } },
	{ "unlink", step_unlink, 12, { ENOENT, ESTALE } },
	{ "ctl", step_ctl, 8, { ENOENT, EINVAL, ESTALE, ENODATA } },
	{ "read",
	  step_read,
	  25,
	  { ENOENT, EAGAIN, ECANCELED, ENODATA, EINVAL, ESTALE, EREMOTEIO } },
	{ "list", step_list, 8, { ENOENT, ESTALE, ENOTDIR } },
	{ "dismiss", step_dismiss, 2, { ENOENT, ENOTEMPTY, ESTALE, ENOTDIR, EROFS, EPERM, EBUSY } },
	{ "evict", step_cache, 1, { ENOENT, ENOTEMPTY, ESTALE } },
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static const struct step *pick_step(struct run *r)
{
	unsigned sum = 0, at;

	for (int i = 0; i < STEPS; i++)
		sum += steps[i].weight;
	at = pick(r, sum);
	for (int i = 0; i < STEPS; i++) {
		if (at < steps[i].weight)
			return &steps[i];
		at -= steps[i].weight;
	}
	return &steps[0];
}

static int allowed(const struct step *s, int code)
{
	for (int i = 0; i < 14; i++)
		if (s->allowed[i] == code) /* the rest of the list is 0: no error */
			return 1;
	return 0;
}

static int work(struct run *r, double until)
{
	double begin = now(), end;

	for (; begin < until; begin = end) {
		const struct step *s = pick_step(r);
		int code = s->run(r);

		end = now();
		r->steps++;
		r->refused += code != 0;
		if (!allowed(s, code)) {
			printf("stress: %s: %s\n", s->name, strerrorname_np(code));
			return 1;
		}
		if (end - begin > SLOW_S) {
			printf("stress: %s took %.1f s\n", s->name, end - begin);
			return 1;
		}
	}
	printf("stress: %lu steps, %lu refused\n", r->steps, r->refused);
	return 0;
}

int main(int argc, char **argv)
{
	int processes = argc > 4 ? atoi(argv[3]) : 0, bad = 0, status;
	double until;
	char path[512];

	if (processes < 1) {
		fputs("usage: stress MOUNT SECONDS PROCESSES SEED\n", stderr);
		return 2;
	}
	until = now() + atof(argv[2]);
	for (int i = 1; i < DIRS; i++) {
		snprintf(path, sizeof(path), "%s/prompts/d%d", argv[1], i);
		(void)mkdir(path, 0755);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < processes; i++)
		if (fork() == 0) {
			struct run r = { .mount = argv[1],
					 .seed = (strtoull(argv[4], NULL, 10) + 1) *
							 0x9e3779b97f4a7c15ULL +
						 (unsigned)i * 0x2545f4914f6cdd1dULL };

			exit(work(&r, until));
		}
	while (wait(&status) > 0)
		bad |= !WIFEXITED(status) || WEXITSTATUS(status);
	return bad;
}
