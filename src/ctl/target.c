/*
 * ctl/target.c - from what a user calls a request to its directory under responses/
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/str.h"
#include "ctl/command.h"
#include "ctl/target.h"

#include "base/banned.h"

void target_stem(char *path)
{
	static const char *const known[] = { ".batch.jsonl", ".jsonl", ".json", ".txt", ".md" };
	char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_ends(path, known[i])) {
			path[strlen(path) - strlen(known[i])] = '\0';
			return;
		}
	if (dot && dot != path && dot[-1] != '/')
		*dot = '\0'; /* a suffix of the mount's own configuration */
}

/* every response has a status from its first moment, and nothing else in the tree has */
static bool is_response(const char *dir)
{
	AUTO_FREE char *status = str_printf("%s/status", dir);
	struct stat st;

	return status && stat(status, &st) == 0 && S_ISREG(st.st_mode);
}

/* a file of a response: up to the directory that has a status */
static char *climb(const char *mount, const char *path)
{
	AUTO_FREE char *at = str_dup_n(path, strlen(path));

	while (at && strlen(at) > strlen(mount)) {
		char *slash;

		if (is_response(at))
			return TAKE(at);
		slash = strrchr(at, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return NULL;
}

/* base is the mount or one of its namespaces; name is below its prompts/ */
static char *mirror(const char *base, size_t base_len, const char *name)
{
	AUTO_FREE char *dir = str_printf("%.*s/responses/%s", (int)base_len, base, name);

	if (dir && is_response(dir)) /* "a.b" may be a whole stem */
		return TAKE(dir);
	if (!dir)
		return NULL;
	target_stem(dir);
	return is_response(dir) ? TAKE(dir) : NULL;
}

/* a namespace is a small mount of its own: prompts/ and responses/ side by side */
static char *inside_mount(const char *mount, const char *full)
{
	const char *rest = full + strlen(mount) + 1;

	if (str_starts(rest, "prompts/"))
		return mirror(mount, strlen(mount), rest + 8);
	if (str_starts(rest, "namespaces/")) {
		const char *name = rest + 11, *below = strchr(name, '/');

		if (below && str_starts(below, "/prompts/"))
			return mirror(full, (size_t)(below - full), below + 9);
	}
	return climb(mount, full);
}

/* a prompt need not exist any more, nor may its response: only its directory is resolved */
static char *absolute(const char *path)
{
	AUTO_FREE char *copy = str_dup_n(path, strlen(path));
	AUTO_FREE char *dir = NULL;
	char *slash;

	if (!copy)
		return NULL;
	while (strlen(copy) > 1 && str_ends(copy, "/"))
		copy[strlen(copy) - 1] = '\0';
	slash = strrchr(copy, '/');
	if (!slash) {
		dir = realpath(".", NULL);
		return dir ? str_printf("%s/%s", dir, copy) : NULL;
	}
	*slash = '\0';
	dir = realpath(copy[0] ? copy : "/", NULL);
	return dir ? str_printf("%s/%s", dir, slash + 1) : NULL;
}

char *target_find(const char *mount, const char *path)
{
	AUTO_FREE char *full = absolute(path);
	char *dir = NULL;
	size_t n = strlen(mount);

	if (full && strncmp(full, mount, n) == 0 && full[n] == '/')
		dir = inside_mount(mount, full);
	if (!dir && path[0] != '/')
		dir = mirror(mount, n, path);
	if (!dir)
		command_say("%s: there is no such request in %s", path, mount);
	return dir;
}
