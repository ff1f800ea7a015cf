/* bulk_spool.c - files below state/jobs */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "jobs/bulk_spool.h"

#include "base/banned.h"

#define NAME_CAP 64
#define BLOCK	 ((size_t)256 << 10)

static const char *const names[BULK_SPOOL_FILES] = {
	[BULK_SPOOL_INPUT] = "input",		[BULK_SPOOL_STREAM] = "stream",
	[BULK_SPOOL_OUTPUT] = "output",		[BULK_SPOOL_ERRORS] = "errors",
	[BULK_SPOOL_OUTPUT_NEW] = "output-new", [BULK_SPOOL_ERRORS_NEW] = "errors-new",
};

static void dir_of(int64_t lines, char *out)
{
	(void)snprintf(out, NAME_CAP, "%lld", (long long)lines); /* 20 digits at most */
}

static void path_of(struct bulk_place p, enum bulk_file f, char *out)
{
	(void)snprintf(out, NAME_CAP, "%lld/%s.%lld", (long long)p.lines, names[f],
		       (long long)p.job); /* two numbers and a word fit */
}

bool bulk_spool_there(const struct broker *b)
{
	return b->o.jobs_dirfd > 0;
}

int bulk_spool_make(struct broker *b, int64_t lines)
{
	char dir[NAME_CAP];

	dir_of(lines, dir);
	return mkdirat(b->o.jobs_dirfd, dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int bulk_spool_open(struct broker *b, struct bulk_place p, enum bulk_file f, int flags)
{
	char path[NAME_CAP];
	int fd;

	path_of(p, f, path);
	fd = openat(b->o.jobs_dirfd, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

int bulk_spool_size(struct broker *b, struct bulk_place p, enum bulk_file f, uint64_t *out)
{
	char path[NAME_CAP];
	struct stat st;

	path_of(p, f, path);
	if (fstatat(b->o.jobs_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*out = (uint64_t)st.st_size;
	return 0;
}

int bulk_spool_rename(struct broker *b, struct bulk_place p, enum bulk_file from, enum bulk_file to)
{
	char old[NAME_CAP], new[NAME_CAP];

	path_of(p, from, old);
	path_of(p, to, new);
	return renameat(b->o.jobs_dirfd, old, b->o.jobs_dirfd, new) < 0 ? -errno : 0;
}

int bulk_spool_inherit(struct broker *b, struct bulk_place p, int64_t from_job)
{
	char old[NAME_CAP], new[NAME_CAP];

	path_of((struct bulk_place){ p.lines, from_job }, BULK_SPOOL_INPUT, old);
	path_of(p, BULK_SPOOL_INPUT, new);
	return linkat(b->o.jobs_dirfd, old, b->o.jobs_dirfd, new, 0) < 0 ? -errno : 0;
}

void bulk_spool_forget(struct broker *b, struct bulk_place p)
{
	char path[NAME_CAP];

	for (enum bulk_file f = 0; f < BULK_SPOOL_FILES; f++) {
		path_of(p, f, path);
		(void)unlinkat(b->o.jobs_dirfd, path, 0); /* most are not there */
	}
}

void bulk_spool_remove(struct broker *b, int64_t lines)
{
	char dir[NAME_CAP];

	dir_of(lines, dir);
	(void)fdio_remove_tree(b->o.jobs_dirfd, dir); /* what stays is found by the next mount */
}

/* ---- walks ---- */

static DIR *open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		(void)close(fd); /* read only */
	return d;
}

static int64_t number(const char *digits)
{
	char *end = NULL;
	long long n = strtoll(digits, &end, 10);

	return n > 0 && end && !*end ? (int64_t)n : 0;
}

void bulk_spool_each(struct broker *b, void (*fn)(void *arg, int64_t lines), void *arg)
{
	DIR *d = open_dir(b->o.jobs_dirfd, ".");
	const struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		if (number(e->d_name))
			fn(arg, number(e->d_name));
	if (d)
		(void)closedir(d); /* read only */
}

void bulk_spool_jobs(struct broker *b, int64_t lines, void (*fn)(void *arg, int64_t job), void *arg)
{
	char dir[NAME_CAP];
	const struct dirent *e;
	DIR *d;

	dir_of(lines, dir);
	d = open_dir(b->o.jobs_dirfd, dir);
	while (d && (e = readdir(d)) != NULL) {
		const char *dot = strchr(e->d_name, '.');

		if (dot && number(dot + 1))
			fn(arg, number(dot + 1));
	}
	if (d)
		(void)closedir(d); /* read only */
}

/* ---- bytes ---- */

int bulk_spool_copy(int from, int to, struct key *out_sum, uint64_t *out_size)
{
	AUTO_FREE char *block = malloc(BLOCK);
	struct key_sum *sum = key_sum_new();
	uint64_t off = 0;
	int r = block && sum ? 0 : -ENOMEM;

	while (r == 0) {
		ssize_t n = pread(from, block, BLOCK, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		r = key_sum_add(sum, block, (size_t)n);
		if (r == 0 && to >= 0)
			r = fdio_write_all(to, block, (size_t)n);
		off += (uint64_t)n;
	}
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed by the cleanup attribute */
	if (r < 0)
		(void)key_sum_end(sum, NULL); /* no sum is wanted */
	else
		r = key_sum_end(sum, out_sum);
	*out_size = off;
	return r;
}

void bulk_spool_out(struct bulk_out *o, int take_fd)
{
	*o = (struct bulk_out){ .fd = take_fd, .buf = BUF_INIT((size_t)2 << 30) };
}

int bulk_spool_flush(struct bulk_out *o)
{
	int r = o->buf.len ? fdio_write_all(o->fd, o->buf.data, o->buf.len) : 0;

	if (r == 0)
		buf_clear(&o->buf);
	return r;
}

int bulk_spool_add(struct bulk_out *o, const struct buf *bytes)
{
	int r = buf_add(&o->buf, bytes->data, bytes->len);

	o->bytes += bytes->len;
	return r < 0 || o->buf.len < BLOCK ? r : bulk_spool_flush(o);
}

int bulk_spool_end(struct bulk_out *o)
{
	int r = o->fd < 0 ? 0 : bulk_spool_flush(o);

	if (o->fd >= 0 && close(o->fd) < 0 && r == 0)
		r = -errno;
	buf_done(&o->buf);
	o->fd = -1;
	return r;
}

int bulk_spool_append(int fd, uint64_t at, const struct buf *bytes)
{
	size_t done = 0;

	while (done < bytes->len) {
		ssize_t n = pwrite(fd, bytes->data + done, bytes->len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}
