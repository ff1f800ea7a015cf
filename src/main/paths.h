/*
 * main/paths.h - where things lie, and that none of them lies inside the mount
 *
 * A daemon that opens a path on its own mount waits for itself, and only kill -9 helps: so every
 * path is made canonical before mounting, and devices are compared after it (bind mounts).
 * Threads: main's only. Blocks: on the file system.
 * Errors: negative errno with a sentence.
 */
#ifndef MAIN_PATHS_H
#define MAIN_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define PATHS_KEPT 8

/* what the options and the configuration say; NULL: nothing */
struct paths_input {
	const char *mountpoint, *state, *cache, *config, *log_file;
	const char *const *others; /* files that are read while running, NULL-terminated; or NULL */
};

struct paths {
	char *mountpoint; /* canonical */
	char *state;	  /* canonical; may not exist yet */
	char *cache_url;
	char *config, *log_file; /* NULL: none */
	char *kept[PATHS_KEPT];	 /* every path that must stay outside, canonical; NULL: unused */
	size_t n_kept;
};

/* paths_expand - absolute: "~" and "~/x" by $HOME, relative by the working directory; malloc'd */
int paths_expand(const char *in, char **out, struct err *e);
/* paths_cache - check the scheme of a cache URL and make its directory absolute; malloc'd */
int paths_cache(const char *url, char **out, struct err *e);
/* paths_real - canonical, also of what does not exist yet or lies below a dead mount; malloc'd */
int paths_real(const char *in, char **out, struct err *e);
/* paths_inside - both canonical: path is dir, or below it */
bool paths_inside(const char *dir, const char *path);
/* paths_home - "state", "cache" or "config" directory of inferfs for this user; malloc'd.
 * Without HOME: for root /var/lib, /var/cache, /etc; for others the password file's home */
enum paths_kind { PATHS_STATE, PATHS_CACHE, PATHS_CONFIG };
int paths_home(enum paths_kind kind, char **out, struct err *e);
/* paths_config - the configuration file where nobody named one: the user's, else /etc's, else NULL */
int paths_config(char **out, struct err *e);

/* paths_resolve - everything canonical, refused when it cannot work */
int paths_resolve(const struct paths_input *in, struct paths *out, struct err *e);
/* paths_open_dir - make dir/below and what is missing of dir (0700), and open it: a descriptor or -errno */
int paths_open_dir(const char *dir, const char *below, unsigned mode, struct err *e);
/* paths_mounted - after mounting: does one of them now lie on the mount after all? 0, -EINVAL */
int paths_mounted(const struct paths *p, struct err *e);
void paths_done(struct paths *p);

#endif
