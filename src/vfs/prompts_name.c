/* prompts_name.c - which names under prompts/ are requests, and which cannot live side by side */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vfs/prompts_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#include "base/banned.h"

const char *prompts_name_suffix(const char *const *suffixes, const char *name)
{
	const char *best = NULL;
	size_t len = strlen(name), best_len = 0;

	if (name[0] == '.' || !strncasecmp(name, "README", 6))
		return NULL;
	/* the longest: cheap.batch.jsonl is cheap, not cheap.batch */
	for (; *suffixes; suffixes++) {
		size_t n = strlen(*suffixes);

		if (n > best_len && n < len && str_ends(name, *suffixes)) {
			best = *suffixes;
			best_len = n;
		}
	}
	return best;
}

/* length of the name that it has under responses/; 0: none */
static size_t mirrored(const char *const *suffixes, const char *name, bool is_dir)
{
	const char *suffix;

	if (is_dir)
		return name[0] == '.' ? 0 : strlen(name);
	suffix = prompts_name_suffix(suffixes, name);
	return suffix ? strlen(name) - strlen(suffix) : 0;
}

bool prompts_name_clash(const char *const *suffixes, const char *a, bool a_dir, const char *b,
			bool b_dir)
{
	size_t n = mirrored(suffixes, a, a_dir);

	return n && !(a_dir && b_dir) && n == mirrored(suffixes, b, b_dir) && !memcmp(a, b, n);
}

bool prompts_name_job(const char *suffix)
{
	return str_ends(suffix, ".jsonl");
}

bool prompts_name_space(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len && len <= PROMPTS_SPACE_MAX && name[0] != '.' && !name[strspn(name, allowed)];
}

bool prompts_name_sends(struct prompts *p, struct prompts_node *dir)
{
	struct stat st;

	for (;; dir = prompts_node_get(p, dir->parent)) {
		int fd;

		if (!dir || dir->gone || (dir->name && dir->name[0] == '.'))
			return false;
		fd = prompts_node_dirfd(p, dir);
		if (fd < 0)
			return false;
		if (!fstatat(fd, ".noinfer", &st, AT_SYMLINK_NOFOLLOW) && !S_ISDIR(st.st_mode))
			return false;
		if (dir->top)
			return true;
	}
}

const char *prompts_name_request(struct prompts *p, struct prompts_node *dir, const char *name)
{
	const char *suffix = prompts_name_suffix(p->v->o.suffixes, name);

	return suffix && prompts_name_sends(p, dir) ? suffix : NULL;
}

const char *prompts_name_node(struct prompts *p, struct prompts_node *n)
{
	if (n->gone || !S_ISREG(n->fmt) || !n->parent)
		return NULL;
	return prompts_name_request(p, prompts_node_get(p, n->parent), n->name);
}

/* is there a file (or a directory) of this name? */
static bool there(int dirfd, const char *name, bool is_dir)
{
	struct stat st;

	return !fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       (is_dir ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
}

/* dirfd has a request with this stem other than the name itself and `except` */
static bool has_request(const char *const *suffixes, int dirfd, const char *stem, const char *name,
			const char *except)
{
	char other[NAME_MAX + 64];

	for (const char *const *s = suffixes; *s; s++) {
		if (strlen(stem) + strlen(*s) > NAME_MAX)
			continue;
		(void)str_copy(other, sizeof(other), stem); /* both fit, as just seen */
		(void)str_copy(other + strlen(stem), sizeof(other) - strlen(stem), *s);
		/* a.batch + .jsonl is a name of the stem a */
		if (prompts_name_suffix(suffixes, other) != *s || !strcmp(other, name) ||
		    (except && !strcmp(other, except)))
			continue;
		if (there(dirfd, other, false))
			return true;
	}
	return false;
}

int prompts_name_conflict(struct prompts *p, struct prompts_node *dir, const char *name,
			  bool is_dir, const char *except)
{
	const char *const *suffixes = p->v->o.suffixes;
	size_t len = mirrored(suffixes, name, is_dir);
	char stem[NAME_MAX + 1];
	bool clash;
	int fd;

	if (!len || len > NAME_MAX)
		return 0;
	fd = prompts_node_dirfd(p, dir);
	if (fd < 0)
		return 0; /* the call itself will say what is wrong */
	memcpy(stem, name, len);
	stem[len] = '\0';
	clash = has_request(suffixes, fd, stem, name, except);
	if (!clash && !is_dir)
		clash = !(except && !strcmp(stem, except)) && there(fd, stem, true);
	return clash && prompts_name_sends(p, dir) ? -EEXIST : 0;
}
