/*
 * main/paths.c - where things lie, and that none of them lies inside the mount
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/str.h"
#include "main/paths.h"

#include "base/banned.h"

static int no_memory(struct err *e)
{
	(void)err_sys(e, ENOMEM, "paths"); /* the same */
	return -ENOMEM;
}

/* An XDG variable counts only when it is absolute: a relative one would move with the shell. */
static const char *absolute_env(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] == '/' ? v : NULL;
}

/* Without HOME the password file knows; but not for root, whom mount(8) may start with nothing:
 * what root mounts at boot belongs into /var, not into /root. */
static const char *home_dir(void)
{
	const char *home = absolute_env("HOME");
	const struct passwd *pw;

	if (home || geteuid() == 0)
		return home;
	pw = getpwuid(geteuid());
	return pw && pw->pw_dir && pw->pw_dir[0] == '/' ? pw->pw_dir : NULL;
}

int paths_home(enum paths_kind kind, char **out, struct err *e)
{
	static const struct {
		const char *env, *below, *system;
	} places[] = {
		[PATHS_STATE] = { "XDG_STATE_HOME", ".local/state", "/var/lib" },
		[PATHS_CACHE] = { "XDG_CACHE_HOME", ".cache", "/var/cache" },
		[PATHS_CONFIG] = { "XDG_CONFIG_HOME", ".config", "/etc" },
	};
	const char *dir = absolute_env(places[kind].env), *home = home_dir();
	char *path;

	if (dir)
		path = str_printf("%s/inferfs", dir);
	else if (home)
		path = str_printf("%s/%s/inferfs", home, places[kind].below);
	else if (geteuid() == 0)
		path = str_printf("%s/inferfs", places[kind].system);
	else
		return err_set(e, ERR_REQUEST,
			       "HOME is not set, so there is no place for %s; set HOME or %s",
			       kind == PATHS_CACHE ? "the cache" : "the state", places[kind].env);
	if (!path)
		return no_memory(e);
	*out = path;
	return 0;
}

int paths_config(char **out, struct err *e)
{
	static const char system_wide[] = "/etc/inferfs/config.ini";
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *path = NULL;

	*out = NULL;
	/* no home is no error here: there is still the one in /etc */
	if (paths_home(PATHS_CONFIG, &dir, NULL) == 0) {
		path = str_printf("%s/config.ini", dir);
		if (!path)
			return no_memory(e);
		if (access(path, F_OK) == 0) {
			*out = TAKE(path);
			return 0;
		}
	}
	if (access(system_wide, F_OK) != 0)
		return 0;
	*out = strdup(system_wide);
	return *out ? 0 : no_memory(e);
}

int paths_expand(const char *in, char **out, struct err *e)
{
	char *path;

	if (in[0] == '~' && (in[1] == '/' || !in[1])) {
		const char *home = home_dir();

		if (!home)
			return err_set(e, ERR_REQUEST, "HOME is not set, so \"%s\" has no meaning",
				       in);
		path = str_printf("%s%s", home, in + 1);
	} else if (in[0] == '~') {
		return err_set(e, ERR_REQUEST,
			       "\"%s\": only ~/ is understood, write the other's home out", in);
	} else if (in[0] == '/') {
		path = str_dup_n(in, strlen(in));
	} else {
		AUTO_FREE char *cwd = getcwd(NULL, 0);

		if (!cwd)
			return err_sys(e, errno,
				       "the working directory, which \"%s\" is relative to", in);
		path = str_printf("%s/%s", cwd, in);
	}
	if (!path)
		return no_memory(e);
	*out = path;
	return 0;
}

static int later_engine(const char *url, struct err *e)
{
	static const char *const later[] = { "redis:", "rediss:", "s3:", "plugin:", NULL };

	for (const char *const *l = later; *l; l++)
		if (str_starts(url, *l))
			return err_set(
				e, ERR_UNSUPPORTED,
				"a cache with %s comes in a later version; this one has disk: and tmp:",
				*l);
	return 0;
}

/* the size limit of a store would be a promise that nobody keeps yet */
static int check_query(const char *query, struct err *e)
{
	if (str_starts(query, "?max_bytes=") || strstr(query, "&max_bytes="))
		return err_set(
			e, ERR_UNSUPPORTED,
			"max_bytes of a cache is not in force in this version; leave it out");
	return 0;
}

int paths_cache(const char *url, char **out, struct err *e)
{
	static const char *const schemes[] = { "disk", "tmp", "memory", NULL };
	const char *colon = strchr(url, ':'), *slash = strchr(url, '/'), *query;
	AUTO_FREE char *scheme = NULL;
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *full = NULL;
	int rc = later_engine(url, e);

	if (rc < 0)
		return rc;
	if (strpbrk(url, " \t"))
		return err_set(
			e, ERR_UNSUPPORTED,
			"several caches one behind the other come in a later version; name one");
	if (!colon || (slash && slash < colon))
		return err_set(e, ERR_REQUEST,
			       "\"%s\" is no cache URL; write disk:DIRECTORY or tmp:", url);
	scheme = str_dup_n(url, (size_t)(colon - url));
	query = colon + 1 + strcspn(colon + 1, "?");
	dir = str_dup_n(colon + 1, (size_t)(query - colon - 1));
	if (!scheme || !dir)
		return no_memory(e);
	rc = check_query(query, e);
	if (rc < 0)
		return rc;
	if (strcmp(scheme, "disk") != 0) {
		const char *near = str_nearest(scheme, schemes);

		if (strcmp(scheme, "tmp") != 0 && strcmp(scheme, "memory") != 0)
			return err_set(
				e, ERR_REQUEST,
				"there is no cache \"%s:\"%s%s%s; write disk:DIRECTORY or tmp:",
				scheme, near ? " (do you mean " : "", near ? near : "",
				near ? ":?)" : "");
		*out = strdup(url);
		return *out ? 0 : no_memory(e);
	}
	if (!dir[0])
		return err_set(e, ERR_REQUEST, "\"%s\" names no directory; write disk:DIRECTORY",
			       url);
	rc = paths_expand(dir, &full, e);
	if (rc < 0)
		return rc;
	*out = str_printf("disk:%s%s", full, query);
	return *out ? 0 : no_memory(e);
}

/* "a/./b//c/" -> "a/b/c": what does not exist cannot be resolved, only cleaned */
static int append_clean(char **real, const char *rest)
{
	while (*rest) {
		size_t n = strcspn(rest, "/");
		char *slash, *longer;

		if (n == 2 && rest[0] == '.' && rest[1] == '.') {
			slash = strrchr(*real, '/');
			if (slash)
				*slash = '\0';
		} else if (n && !(n == 1 && rest[0] == '.')) {
			longer = str_printf("%s/%.*s", strcmp(*real, "/") == 0 ? "" : *real, (int)n,
					    rest);
			if (!longer)
				return -ENOMEM;
			free(*real);
			*real = longer;
		}
		rest += n;
		rest += strspn(rest, "/");
	}
	return 0;
}

int paths_real(const char *in, char **out, struct err *e)
{
	AUTO_FREE char *full = NULL;
	AUTO_FREE char *real = NULL;
	size_t cut;
	int rc = paths_expand(in, &full, e);

	if (!full)
		return rc;
	if (strlen(full) >= PATH_MAX)
		return err_set(e, ERR_REQUEST, "\"%.60s...\" is too long for a path", full);
	cut = strlen(full);
	/* the longest beginning that exists; ENOTCONN: below a mount whose daemon died */
	while (!real) {
		AUTO_FREE char *head = str_dup_n(full, cut ? cut : 1);

		if (!head)
			return no_memory(e);
		real = realpath(head, NULL);
		if (real || !cut)
			break;
		if (errno != ENOENT && errno != ENOTCONN)
			return err_sys(e, errno, "%s", full);
		do
			cut--;
		while (cut && full[cut] != '/');
	}
	if (!real)
		return err_sys(e, errno, "%s", full);
	if (append_clean(&real, full + cut + strspn(full + cut, "/")) < 0)
		return no_memory(e);
	if (!real[0]) {
		free(real);
		real = strdup("/");
		if (!real)
			return no_memory(e);
	}
	*out = TAKE(real);
	return 0;
}

bool paths_inside(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return path[0] == '/';
	return strncmp(dir, path, n) == 0 && (!path[n] || path[n] == '/');
}

/* A dead mount of ours cannot be looked at; fuse/ cleans it before mounting. */
static int check_mountpoint(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno == ENOTCONN)
			return 0;
		if (errno == ENOENT)
			return err_set(e, ERR_REQUEST,
				       "the mount point %s does not exist; make it with mkdir",
				       path);
		return err_sys(e, errno, "the mount point %s", path);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_REQUEST, "the mount point %s is not a directory", path);
	return 0;
}

static int keep(struct paths *p, const char *what, const char *path, struct err *e)
{
	AUTO_FREE char *real = NULL;
	int rc;

	if (!path)
		return 0;
	rc = paths_real(path, &real, e);
	if (!real) {
		err_prefix(e, "%s: ", what);
		return rc;
	}
	if (paths_inside(p->mountpoint, real))
		return err_set(
			e, ERR_REQUEST,
			"%s %s lies inside the mount point %s; the daemon would wait for itself",
			what, real, p->mountpoint);
	if (p->n_kept < PATHS_KEPT)
		p->kept[p->n_kept++] = TAKE(real);
	return 0;
}

/* mounted over its own files, the daemon would meet itself in its directories */
static int keep_dir(struct paths *p, const char *what, const char *path, struct err *e)
{
	const char *real;
	int rc = keep(p, what, path, e);

	if (rc < 0 || !path)
		return rc;
	real = p->kept[p->n_kept - 1];
	if (paths_inside(real, p->mountpoint))
		return err_set(e, ERR_REQUEST, "the mount point %s lies inside %s %s",
			       p->mountpoint, what, real);
	return 0;
}

/* a disk store, because it outlives the daemon and is usable without it */
static int default_cache(struct paths *p, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	int rc = paths_home(PATHS_CACHE, &dir, e);

	if (rc < 0)
		return rc;
	p->cache_url = str_printf("disk:%s", dir);
	return p->cache_url ? 0 : no_memory(e);
}

/* tmp: makes its own directory, below $TMPDIR, which cannot be inside a mount that is not there yet */
static int keep_cache(struct paths *p, const char *url, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	int rc = url ? paths_cache(url, &p->cache_url, e) : default_cache(p, e);

	if (rc < 0 || !str_starts(p->cache_url, "disk:"))
		return rc;
	dir = str_dup_n(p->cache_url + 5, strcspn(p->cache_url + 5, "?"));
	return dir ? keep_dir(p, "the cache directory", dir, e) : no_memory(e);
}

static int keep_state(struct paths *p, const char *state, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	int rc;

	if (!state) {
		rc = paths_home(PATHS_STATE, &dir, e);
		if (rc < 0)
			return rc;
	}
	rc = keep_dir(p, "the state directory", state ? state : dir, e);
	if (rc < 0)
		return rc;
	p->state = strdup(p->kept[p->n_kept - 1]);
	return p->state ? 0 : no_memory(e);
}

/* kept by their canonical names; opened by the names they were given */
static int keep_files(struct paths *p, const struct paths_input *in, struct err *e)
{
	int rc = keep(p, "the configuration file", in->config, e);

	if (rc == 0 && in->config)
		rc = paths_expand(in->config, &p->config, e);
	if (rc == 0)
		rc = keep(p, "the log file", in->log_file, e);
	if (rc == 0 && in->log_file)
		rc = paths_expand(in->log_file, &p->log_file, e);
	for (const char *const *o = in->others; rc == 0 && o && *o; o++)
		rc = keep(p, "the file", *o, e);
	return rc;
}

int paths_resolve(const struct paths_input *in, struct paths *out, struct err *e)
{
	struct paths p = { 0 };
	int rc = paths_real(in->mountpoint, &p.mountpoint, e);

	if (!p.mountpoint)
		return rc;
	rc = check_mountpoint(p.mountpoint, e);
	if (rc == 0 && strcmp(p.mountpoint, "/") == 0)
		rc = err_set(e, ERR_REQUEST, "/ cannot be the mount point");
	if (rc == 0)
		rc = keep_state(&p, in->state, e);
	if (rc == 0)
		rc = keep_cache(&p, in->cache, e);
	if (rc == 0)
		rc = keep_files(&p, in, e);
	if (rc < 0) {
		paths_done(&p);
		return rc;
	}
	*out = p;
	return 0;
}

/* 0700 for what holds prompts of one user; the tree shows the mode of prompts/ itself */
int paths_open_dir(const char *dir, const char *below, unsigned mode, struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/%s", dir, below);
	int rc, fd;

	if (!path)
		return no_memory(e);
	rc = fdio_mkdirs(AT_FDCWD, dir, 0700);
	if (rc == 0)
		rc = fdio_mkdirs(AT_FDCWD, path, (mode_t)mode);
	if (rc < 0)
		return err_sys(e, -rc, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "%s", path) : fd;
}

/* A bind mount can show the mount under a second name, which no comparison of names finds. */
int paths_mounted(const struct paths *p, struct err *e)
{
	struct stat mount, st;

	if (stat(p->mountpoint, &mount) < 0)
		return err_sys(e, errno, "the mount point %s after mounting", p->mountpoint);
	for (size_t i = 0; i < p->n_kept; i++)
		if (stat(p->kept[i], &st) == 0 && st.st_dev == mount.st_dev)
			return err_set(
				e, ERR_REQUEST,
				"%s lies on the mount itself (a bind mount?); the daemon would wait for itself",
				p->kept[i]);
	return 0;
}

void paths_done(struct paths *p)
{
	free(p->mountpoint);
	free(p->state);
	free(p->cache_url);
	free(p->config);
	free(p->log_file);
	for (size_t i = 0; i < p->n_kept; i++)
		free(p->kept[i]);
	*p = (struct paths){ 0 };
}
