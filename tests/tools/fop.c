/*
 * fop COMMAND ARGUMENT... [, COMMAND ARGUMENT...]...   file system calls one by one, each with its errno
 *
 * Shells and coreutils hide what close(2) says and choose their own calls; here a test writes down exactly which.
 * Prints one line a command: its name and "ok" or the errno's name. The exit status is that of the last one.
 *
 *   open PATH FLAGS      FLAGS: letters and words with commas: r w rw creat trunc append excl sync dsync nonblock
 *                        the descriptors are numbered from 0
 *   write FD TEXT        pwrite FD OFFSET TEXT    fill FD BYTES    size FD BYTES (ftruncate)
 *   dup FD               close FD                 fsync FD         read FD (prints what there is)
 *   put PATH TEXT        open for writing (created, emptied), write, close: the line is that of the close
 *   rename A B           noreplace A B            exchange A B
 *   unlink PATH          mkdir PATH               rmdir PATH
 *   link A B             symlink TARGET PATH      mkfifo PATH      truncate PATH BYTES
 *   sh COMMAND           in between, with everything still open
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS = 64, ARGS = 3 };

static int fds[FDS], n_fds;

static int fd_of(const char *text)
{
	int n = atoi(text);

	return n >= 0 && n < n_fds ? fds[n] : -1;
}

static int flags_of(const char *text)
{
	static const struct {
		const char *word;
		int flag;
	} words[] = {
		{ "r", O_RDONLY },	    { "w", O_WRONLY },	  { "rw", O_RDWR },
		{ "creat", O_CREAT },	    { "trunc", O_TRUNC }, { "append", O_APPEND },
		{ "excl", O_EXCL },	    { "sync", O_SYNC },	  { "dsync", O_DSYNC },
		{ "nonblock", O_NONBLOCK },
	};
	char copy[128];
	int flags = O_CLOEXEC;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *save, *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (!strcmp(words[i].word, w))
				flags |= words[i].flag;
	return flags;
}

static long keep(int fd)
{
	if (fd >= 0 && n_fds < FDS)
		fds[n_fds++] = fd;
	return fd;
}

static long do_open(char **a)
{
	return keep(open(a[0], flags_of(a[1]), 0644));
}

static long do_dup(char **a)
{
	return keep(dup(fd_of(a[0])));
}

static long do_close(char **a)
{
	return close(fd_of(a[0]));
}

static long do_fsync(char **a)
{
	return fsync(fd_of(a[0]));
}

static long do_write(char **a)
{
	return write(fd_of(a[0]), a[1], strlen(a[1]));
}

static long do_pwrite(char **a)
{
	return pwrite(fd_of(a[0]), a[2], strlen(a[2]), atol(a[1]));
}

static long do_fill(char **a)
{
	size_t n = (size_t)atol(a[1]);
	char *text = malloc(n + 1);
	long rc;

	if (!text)
		return -1;
	memset(text, 'x', n);
	rc = write(fd_of(a[0]), text, n);
	free(text);
	return rc;
}

static long do_size(char **a)
{
	return ftruncate(fd_of(a[0]), atol(a[1]));
}

static long do_read(char **a)
{
	char buf[65536];
	ssize_t n = read(fd_of(a[0]), buf, sizeof(buf));

	if (n > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	return n;
}

static long do_put(char **a)
{
	int fd = open(a[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), code;

	if (fd < 0)
		return -1;
	if (write(fd, a[1], strlen(a[1])) < 0) {
		code = errno;
		(void)close(fd);
		errno = code;
		return -1;
	}
	return close(fd);
}

static long do_rename(char **a)
{
	return rename(a[0], a[1]);
}

static long do_noreplace(char **a)
{
	return renameat2(AT_FDCWD, a[0], AT_FDCWD, a[1], RENAME_NOREPLACE);
}

static long do_exchange(char **a)
{
	return renameat2(AT_FDCWD, a[0], AT_FDCWD, a[1], RENAME_EXCHANGE);
}

static long do_unlink(char **a)
{
	return unlink(a[0]);
}

static long do_mkdir(char **a)
{
	return mkdir(a[0], 0755);
}

static long do_rmdir(char **a)
{
	return rmdir(a[0]);
}

static long do_link(char **a)
{
	return link(a[0], a[1]);
}

static long do_symlink(char **a)
{
	return symlink(a[0], a[1]);
}

static long do_mkfifo(char **a)
{
	return mkfifo(a[0], 0644);
}

static long do_truncate(char **a)
{
	return truncate(a[0], atol(a[1]));
}

static long do_sh(char **a)
{
	errno = ECHILD; /* the command's own failure has no errno */
	return system(a[0]) == 0 ? 0 : -1;
}

static const struct command {
	const char *name;
	int args;
	long (*run)(char **a);
} commands[] = {
	{ "open", 2, do_open },
	{ "write", 2, do_write },
	{ "pwrite", 3, do_pwrite },
	{ "fill", 2, do_fill },
	{ "size", 2, do_size },
	{ "dup", 1, do_dup },
	{ "close", 1, do_close },
	{ "fsync", 1, do_fsync },
	{ "read", 1, do_read },
	{ "put", 2, do_put },
	{ "rename", 2, do_rename },
	{ "unlink", 1, do_unlink },
	{ "noreplace", 2, do_noreplace },
	{ "exchange", 2, do_exchange },
	{ "mkdir", 1, do_mkdir },
	{ "rmdir", 1, do_rmdir },
	{ "link", 2, do_link },
	{ "symlink", 2, do_symlink },
	{ "mkfifo", 1, do_mkfifo },
	{ "truncate", 2, do_truncate },
	{ "sh", 1, do_sh },
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	int failed = 2;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc;) {
		const struct command *c = find(argv[i]);

		if (!c || i + c->args >= argc) {
			fprintf(stderr, "fop: %s: no such command, or too few arguments\n",
				argv[i]);
			return 2;
		}
		errno = 0;
		failed = c->run(argv + i + 1) < 0;
		printf("%s %s\n", c->name, failed ? strerrorname_np(errno) : "ok");
		i += 1 + c->args;
		if (i < argc && !strcmp(argv[i], ","))
			i++;
	}
	return failed;
}
