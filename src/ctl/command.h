/*
 * ctl/command.h - what the commands of inferctl share: their context, exit codes, and how they complain
 *
 * A command works only through the files of a mount (verify: of a disk store); whatever it does, a
 * shell could do as well.
 * Threads: one. Blocks: where the file it opens waits.
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include "base/buf.h"

enum command_exit { COMMAND_DONE = 0, COMMAND_FAILED = 1, COMMAND_USAGE = 2 };

#define COMMAND_FILE_MAX (64u << 20) /* bytes read of one file */

struct command {
	const char *name;
	const char *args; /* "PATH..." */
	const char *help; /* for the list, one line */
	const char *more; /* for help COMMAND; NULL: nothing */
	/* run - args are what stands behind the command; mount is NULL unless needs_mount */
	int (*run)(const char *mount, int n, char **args);
	int min, max; /* number of args; max -1: any */
	int needs_mount;
};

/* command_say - "inferctl: ..." on standard error */
void command_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* command_read - append DIR/NAME (name NULL: dir is the file): 0 or -errno */
int command_read(const char *dir, const char *name, struct buf *out);
/* command_flag - take "--name" out of args; nonzero: it was there */
int command_flag(int *n, char **args, const char *flag);
/* command_failure - "WHAT: sentence of error.json", or the errno's text where there is none */
void command_failure(const char *what, const char *error_json, int code);

#endif
