/*
 * ctl/command.c - what the commands of inferctl share
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "ctl/command.h"

#include "base/banned.h"

void command_say(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("inferctl: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

int command_read(const char *dir, const char *name, struct buf *out)
{
	AUTO_FREE char *path = name ? str_printf("%s/%s", dir, name) : str_dup_n(dir, strlen(dir));

	return path ? fdio_read_file(AT_FDCWD, path, out) : -ENOMEM;
}

int command_flag(int *n, char **args, const char *flag)
{
	int kept = 0, found = 0;

	for (int i = 0; i < *n; i++) {
		if (strcmp(args[i], flag) == 0)
			found = 1;
		else
			args[kept++] = args[i];
	}
	*n = kept;
	return found;
}

void command_failure(const char *what, const char *error_json, int code)
{
	json_t *root = error_json ? json_loads(error_json, 0, NULL) : NULL;
	const char *message = json_string_value(json_object_get(root, "message"));
	const char *name = json_string_value(json_object_get(root, "errno"));

	if (message)
		command_say("%s: %s%s%s%s", what, message, name ? " (" : "", name ? name : "",
			    name ? ")" : "");
	else
		command_say("%s: %s", what, strerror(code));
	json_decref(root);
}
