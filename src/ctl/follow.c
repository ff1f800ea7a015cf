/*
 * ctl/follow.c - inferctl wait, watch, status, cancel, retry
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "ctl/command.h"
#include "ctl/follow.h"
#include "ctl/target.h"

#include "base/banned.h"

enum { CHUNK = 65536, WORD_MAX = 64 };

static void complain(const char *dir, const char *path, int code)
{
	AUTO_BUF struct buf json = BUF_INIT(COMMAND_FILE_MAX);
	int rc = command_read(dir, "error.json", &json);

	command_failure(path, rc == 0 ? buf_str(&json) : NULL, code);
}

/* "done" and so on; "" when it cannot be read */
static void read_status(const char *dir, char out[WORD_MAX])
{
	AUTO_BUF struct buf word = BUF_INIT(WORD_MAX);

	out[0] = '\0';
	if (command_read(dir, "status", &word) < 0)
		return;
	(void)str_copy(out, WORD_MAX, buf_str(&word));
	out[strcspn(out, "\n")] = '\0';
}

static int open_in(const char *dir, const char *name, int flags)
{
	AUTO_FREE char *path = str_printf("%s/%s", dir, name);
	int fd = path ? open(path, flags | O_CLOEXEC) : -1;

	return fd < 0 ? (path ? -errno : -ENOMEM) : fd;
}

/* one that is missing does not keep the others from being looked at; the worst result counts */
static int each(const char *mount, int n, char **args, int (*fn)(const char *dir, const char *path))
{
	int worst = COMMAND_DONE;

	for (int i = 0; i < n; i++) {
		AUTO_FREE char *dir = target_find(mount, args[i]);
		int rc = dir ? fn(dir, args[i]) : COMMAND_FAILED;

		if (rc > worst)
			worst = rc;
	}
	return worst;
}

/* opening response.json waits; that it then is not there means an answer of another kind */
static int wait_one(const char *dir, const char *path)
{
	AUTO_FD int fd = open_in(dir, "response.json", O_RDONLY);
	char status[WORD_MAX];

	if (fd >= 0)
		return COMMAND_DONE;
	read_status(dir, status);
	if (fd == -ENOENT && strcmp(status, "done") == 0)
		return COMMAND_DONE;
	complain(dir, path, -fd);
	return COMMAND_FAILED;
}

static int watch_one(const char *dir, const char *path)
{
	AUTO_FD int fd = open_in(dir, "stream", O_RDONLY);
	char chunk[CHUNK];

	if (fd < 0) {
		complain(dir, path, -fd);
		return COMMAND_FAILED;
	}
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		int rc = 0;

		if (n == 0)
			return COMMAND_DONE;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain(dir, path, errno);
			return COMMAND_FAILED;
		}
		rc = fdio_write_all(STDOUT_FILENO, chunk, (size_t)n);
		if (rc < 0) {
			command_say("standard output: %s", strerror(-rc));
			return COMMAND_FAILED;
		}
	}
}

/* null where the file is not there: error.json exists only after a failure */
static json_t *load(const char *dir, const char *name)
{
	AUTO_BUF struct buf text = BUF_INIT(COMMAND_FILE_MAX);
	json_t *j = NULL;

	if (command_read(dir, name, &text) == 0)
		j = json_loadb(buf_str(&text), text.len, 0, NULL);
	return j ? j : json_null();
}

static int print_json(const char *dir, const char *path)
{
	char status[WORD_MAX];
	json_t *all;

	read_status(dir, status);
	all = json_pack("{s:s, s:s, s:o, s:o}", "path", path, "status", status, "usage",
			load(dir, "usage.json"), "error", load(dir, "error.json"));
	if (!all || json_dumpf(all, stdout, JSON_COMPACT) < 0) {
		command_say("%s: its status cannot be written as JSON", path);
		json_decref(all);
		return COMMAND_FAILED;
	}
	(void)putchar('\n');
	json_decref(all);
	return COMMAND_DONE;
}

static int print_line(const char *dir, const char *path)
{
	char status[WORD_MAX];
	json_t *error = load(dir, "error.json");
	const char *message = json_string_value(json_object_get(error, "message"));

	read_status(dir, status);
	(void)printf("%s: %s%s%s\n", path, status, message ? ": " : "", message ? message : "");
	json_decref(error);
	return status[0] ? COMMAND_DONE : COMMAND_FAILED;
}

/* write(2) tells whether the word applies now; close(2) may tell too */
static int tell(const char *dir, const char *path, const char *word)
{
	int fd = open_in(dir, "ctl", O_WRONLY), rc;

	if (fd < 0) {
		command_say("%s: %s", path, strerror(-fd));
		return COMMAND_FAILED;
	}
	rc = fdio_write_all(fd, word, strlen(word));
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0)
		return COMMAND_DONE;
	if (rc == -EINVAL) {
		char status[WORD_MAX];

		read_status(dir, status);
		command_say("%s: it is %s, so there is nothing to %s", path, status, word);
	} else {
		command_say("%s: %s", path, strerror(-rc));
	}
	return COMMAND_FAILED;
}

static int cancel_one(const char *dir, const char *path)
{
	return tell(dir, path, "cancel");
}

static int retry_one(const char *dir, const char *path)
{
	return tell(dir, path, "retry");
}

int follow_wait(const char *mount, int n, char **args)
{
	return each(mount, n, args, wait_one);
}

int follow_watch(const char *mount, int n, char **args)
{
	return each(mount, n, args, watch_one);
}

int follow_status(const char *mount, int n, char **args)
{
	int json = command_flag(&n, args, "--json");

	if (n == 0) {
		command_say("status: name a request");
		return COMMAND_USAGE;
	}
	return each(mount, n, args, json ? print_json : print_line);
}

int follow_cancel(const char *mount, int n, char **args)
{
	return each(mount, n, args, cancel_one);
}

int follow_retry(const char *mount, int n, char **args)
{
	return each(mount, n, args, retry_one);
}
