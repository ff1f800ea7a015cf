/*
 * ctl/ask.c - inferctl ask
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "ctl/ask.h"
#include "ctl/command.h"

#include "base/banned.h"

enum { CHUNK = 65536 };

static int question(int n, char **args, struct buf *out)
{
	if (n == 0 || (n == 1 && strcmp(args[0], "-") == 0))
		return fdio_read_all(STDIN_FILENO, out);
	for (int i = 0; i < n; i++)
		(void)buf_addf(out, "%s%s", i ? " " : "", args[i]); /* out remembers a failure */
	return out->failed;
}

/* a failed read has the errno, the read after it the sentence */
static int say_failure(int fd, int code)
{
	AUTO_BUF struct buf json = BUF_INIT(COMMAND_FILE_MAX);

	(void)fdio_read_all(fd, &json); /* without it the errno has to do */
	command_failure("ask", buf_str(&json), code);
	return COMMAND_FAILED;
}

static int copy_answer(int fd)
{
	char chunk[CHUNK];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		int rc;

		if (n == 0)
			return COMMAND_DONE;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return say_failure(fd, errno);
		rc = fdio_write_all(STDOUT_FILENO, chunk, (size_t)n);
		if (rc < 0) {
			command_say("standard output: %s", strerror(-rc));
			return COMMAND_FAILED;
		}
	}
}

int ask_run(const char *mount, int n, char **args)
{
	AUTO_BUF struct buf text = BUF_INIT(COMMAND_FILE_MAX);
	AUTO_FREE char *path = str_printf("%s/ask", mount);
	AUTO_FD int fd = -1;
	int rc = question(n, args, &text);

	if (rc < 0 || !path) {
		command_say("the question: %s", strerror(rc < 0 ? -rc : ENOMEM));
		return COMMAND_FAILED;
	}
	if (!text.len) {
		command_say("ask: the question is empty");
		return COMMAND_USAGE;
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		command_say("%s: %s", path, strerror(errno));
		return COMMAND_FAILED;
	}
	rc = fdio_write_all(fd, text.data, text.len);
	if (rc < 0)
		return say_failure(fd, -rc);
	return copy_answer(fd);
}
