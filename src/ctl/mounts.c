/*
 * ctl/mounts.c - which mount is meant
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mountinfo.h"
#include "base/str.h"
#include "ctl/command.h"
#include "ctl/mounts.h"

#include "base/banned.h"

enum { LIST_MAX = 4096 };

struct search {
	const char *inside; /* NULL: count all */
	char *found;	    /* the innermost around inside, else the first */
	struct buf all;	    /* for the sentence */
	unsigned n;
};

static bool is_inside(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	return strncmp(dir, path, n) == 0 && (!path[n] || path[n] == '/');
}

static bool look(void *arg, const struct mountinfo *m)
{
	struct search *s = arg;
	bool ours = strcmp(m->fstype, MOUNTINFO_OURS) == 0;

	if (s->inside) {
		/* later mounts lie on top: a foreign one inside ours hides it */
		if (!is_inside(m->point, s->inside) && strcmp(m->point, "/") != 0)
			return true;
		free(s->found);
		s->found = ours ? strdup(m->point) : NULL;
		return true;
	}
	if (!ours || (s->found && strcmp(s->found, m->point) == 0))
		return true;
	if (!s->found)
		s->found = strdup(m->point);
	(void)buf_addf(&s->all, "%s%s", s->n++ ? ", " : "",
		       m->point); /* too many: enough to see it */
	return true;
}

/* from the table alone: asking the directory itself would hang where its daemon does */
char *mounts_around(const char *path)
{
	struct search s = { .inside = path };

	(void)mountinfo_each(look, &s); /* unreadable: as if there were none */
	return s.found;
}

/* two of them, and the wrong one would be asked, and paid */
static char *the_only_one(void)
{
	struct search s = { .all = BUF_INIT(LIST_MAX) };
	char *found;

	(void)mountinfo_each(look, &s); /* likewise */
	found = TAKE(s.found);
	if (s.n == 0)
		command_say("there is no inferfs mount here; name it with -m or INFERFS_MOUNT");
	else if (s.n > 1)
		command_say(
			"there are several inferfs mounts (%s); name one with -m or INFERFS_MOUNT",
			buf_str(&s.all));
	if (s.n != 1) {
		free(found);
		found = NULL;
	}
	buf_done(&s.all);
	return found;
}

char *mounts_find(const char *given)
{
	const char *env = getenv("INFERFS_MOUNT");
	AUTO_FREE char *cwd = NULL;
	char *around;

	if (!given && env && env[0])
		given = env;
	if (given) {
		AUTO_FREE char *ask = str_printf("%s/ask", given);
		char *real = realpath(given, NULL);

		if (real && ask && access(ask, F_OK) == 0)
			return real;
		free(real);
		command_say("%s is no inferfs mount", given);
		return NULL;
	}
	cwd = getcwd(NULL, 0);
	around = cwd ? mounts_around(cwd) : NULL;
	return around ? around : the_only_one();
}
