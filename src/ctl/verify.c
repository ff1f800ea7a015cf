/*
 * ctl/verify.c - inferctl verify
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "core/key.h"
#include "ctl/command.h"
#include "ctl/verify.h"
#include "store/disk_name.h"
#include "store/object.h"

#include "base/banned.h"

enum { LEVELS = 2 }; /* of fan-out below objects/ */

struct tally {
	unsigned long objects, damaged, aside;
	bool incomplete; /* something could not be read */
};

static void damage(struct tally *t, const char *path, const char *why)
{
	t->damaged++;
	(void)printf("%s: %s\n", path, why);
}

/* the name says what the content must be, so a whole object under a wrong name is damage too */
static void check_file(struct tally *t, int dirfd, const char *path, const char *name)
{
	AUTO_BUF struct buf bytes = BUF_INIT(OBJECT_MAX);
	struct cache_name id;
	struct err e = { 0 };
	struct key key;
	char expected[DISK_NAME_MAX];
	int rc;

	t->objects++;
	if (disk_name_parse(name, &id) < 0) {
		damage(t, path, "this is not the name of an object");
		return;
	}
	disk_name_object(&id.key, id.index, expected);
	if (!str_ends(path, expected)) {
		damage(t, path, "it lies in the wrong directory");
		return;
	}
	rc = fdio_read_file(dirfd, name, &bytes);
	if (rc == -ENOENT) {
		t->objects--; /* evicted meanwhile */
		return;
	}
	if (rc < 0) {
		damage(t, path, strerror(-rc));
		return;
	}
	memcpy(key.b, &id.key, sizeof(key.b));
	if (object_check(buf_str(&bytes), bytes.len, &key, id.index, &e) < 0)
		damage(t, path, e.message);
}

/* by descriptors, so that a store of any depth of path works; hidden files are somebody else's */
static void walk(struct tally *t, int dirfd, const char *path, int level)
{
	int fd = openat(dirfd, level ? strrchr(path, '/') + 1 : path,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		command_say("%s: %s", path, strerror(errno));
		t->incomplete = true;
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((d = readdir(dir))) {
		AUTO_FREE char *below = NULL;

		if (d->d_name[0] == '.')
			continue;
		below = str_printf("%s/%s", path, d->d_name);
		if (!below)
			t->incomplete = true;
		else if (level < LEVELS)
			walk(t, fd, below, level + 1);
		else
			check_file(t, fd, below, d->d_name);
	}
	(void)closedir(dir);
}

/* what the daemon found damaged earlier, and put where a person can look at it */
static void count_aside(struct tally *t, const char *store)
{
	AUTO_FREE char *path = str_printf("%s/" DISK_NAME_DAMAGED, store);
	DIR *dir = path ? opendir(path) : NULL;
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			t->aside++;
	if (dir)
		(void)closedir(dir);
}

static char *default_store(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (xdg && xdg[0] == '/')
		return str_printf("%s/inferfs", xdg);
	if (home && home[0] == '/')
		return str_printf("%s/.cache/inferfs", home);
	return strdup("/var/cache/inferfs");
}

int verify_run(const char *mount, int n, char **args)
{
	AUTO_FREE char *store = n ? strdup(args[0]) : default_store();
	AUTO_FREE char *objects = store ? str_printf("%s/" DISK_NAME_OBJECTS, store) : NULL;
	struct tally t = { 0 };

	(void)mount; /* a store needs none */
	if (!objects) {
		command_say("out of memory");
		return COMMAND_FAILED;
	}
	if (access(objects, F_OK) != 0) {
		command_say("%s is no disk store: it has no %s/", store, DISK_NAME_OBJECTS);
		return COMMAND_FAILED;
	}
	walk(&t, AT_FDCWD, objects, 0);
	count_aside(&t, store);
	(void)printf("%lu objects, %lu damaged", t.objects, t.damaged);
	if (t.aside)
		(void)printf(" (%lu found and set aside earlier, in %s/%s)", t.aside, store,
			     DISK_NAME_DAMAGED);
	(void)putchar('\n');
	return t.damaged || t.incomplete ? COMMAND_FAILED : COMMAND_DONE;
}
