/*
 * infer/secret.c - API keys from the environment, a file, or systemd
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/str.h"
#include "infer/secret.h"

#include "base/banned.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A control character in a key would end the header line it is put into. */
static int accept(const char *text, size_t n, const char *where, char **out, struct err *e)
{
	char *key;

	while (n && is_blank(*text)) {
		text++;
		n--;
	}
	while (n && is_blank(text[n - 1]))
		n--;
	if (n == 0)
		return err_set(e, ERR_NO_KEY, "%s holds no key", where);
	if (n > SECRET_MAX)
		return err_set(e, ERR_REQUEST, "the key in %s is longer than %d bytes", where,
			       SECRET_MAX);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
			return err_set(
				e, ERR_REQUEST,
				"the key in %s has a character that no key has at position %zu",
				where, i + 1);
	key = str_dup_n(text, n);
	if (!key)
		return -ENOMEM;
	log_secret(key);
	*out = key;
	return 0;
}

/* what was taken out of the environment, for a second backend with the same key and a second look */
struct taken {
	struct taken *next;
	char *value;
	char name[];
};
static struct taken *taken;

static struct taken *find_taken(const char *name)
{
	for (struct taken *t = taken; t; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/* /proc/PID/environ shows the bytes that the program was started with, to its user and to whoever reads crash
 * reports: a key is moved out of there. NULL: not set, or empty. */
static const char *take_env(const char *name)
{
	char *value = getenv(name);
	struct taken *t = find_taken(name);
	size_t n = strlen(name) + 1;

	if (!value)
		return NULL;
	if (!*value)
		return t ? t->value : NULL;
	if (!t) {
		t = calloc(1, sizeof(*t) + n);
		if (!t)
			return value;
		memcpy(t->name, name, n);
		t->next = taken;
		taken = t;
	}
	(void)secret_free(t->value);
	t->value = strdup(value);
	if (!t->value)
		return value;
	explicit_bzero(value, strlen(value));
	return t->value;
}

int secret_env(const char *name, char **out, struct err *e)
{
	const char *value = take_env(name);

	if (!value)
		return err_set(e, ERR_NO_KEY, "the environment variable %s is not set", name);
	return accept(value, strlen(value), name, out, e);
}

int secret_env_any(const char *const *names, char **out, const char **out_name, struct err *e)
{
	for (; names && *names; names++) {
		if (!take_env(*names))
			continue;
		*out_name = *names;
		return secret_env(*names, out, e);
	}
	return err_set(e, ERR_NO_KEY, "no environment variable holds a key");
}

static int read_key(int fd, const char *path, char **out, struct err *e)
{
	AUTO_BUF struct buf b = BUF_INIT(SECRET_MAX + 64);
	int rc = fdio_read_all(fd, &b);

	if (rc == 0)
		rc = accept(buf_str(&b), b.len, path, out, e);
	else if (rc == -EFBIG)
		rc = err_set(e, ERR_REQUEST, "the key in %s is longer than %d bytes", path,
			     SECRET_MAX);
	else
		rc = err_set(e, ERR_NO_KEY, "cannot read %s: %s", path, strerror(-rc));
	if (b.data)
		explicit_bzero(b.data, b.cap);
	return rc;
}

/* O_NONBLOCK: a FIFO in its place must not hang the start. */
static int open_key(const char *path, struct stat *st, int *out_fd, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc = 0;

	memset(st, 0, sizeof(*st));
	if (fd < 0 || fstat(fd, st) < 0)
		rc = err_set(e, ERR_NO_KEY, "cannot read %s: %s", path, strerror(errno));
	else if (!S_ISREG(st->st_mode))
		rc = err_set(e, ERR_NO_KEY, "%s is not a regular file", path);
	if (rc == 0)
		*out_fd = fd;
	else if (fd >= 0)
		(void)close(fd); /* only looked at */
	return rc;
}

int secret_file(const char *path, char **out, struct err *e)
{
	AUTO_FD int fd = -1;
	struct stat st;
	int rc = open_key(path, &st, &fd, e);

	if (rc)
		return rc;
	if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		(void)err_set(e, ERR_NO_KEY, "others may read or change %s: chmod 600 it", path);
		return -EACCES;
	}
	return read_key(fd, path, out, e);
}

/* Its directory is private to the service, and the manager sets the modes: they are not judged here. */
int secret_credential(const char *name, char **out, struct err *e)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	AUTO_FREE char *path = NULL;
	AUTO_FD int fd = -1;
	struct stat st;
	int rc;

	if (!*name || *name == '.' || strchr(name, '/'))
		return err_set(e, ERR_REQUEST, "\"%s\" is no name of a credential", name);
	if (!dir || !*dir)
		return err_set(
			e, ERR_NO_KEY,
			"there is no credential %s: not started by systemd with LoadCredential=",
			name);
	path = str_printf("%s/%s", dir, name);
	if (!path)
		return -ENOMEM;
	rc = open_key(path, &st, &fd, e);
	return rc ? rc : read_key(fd, path, out, e);
}

char *secret_free(char *key)
{
	if (key)
		explicit_bzero(key, strlen(key));
	free(key);
	return NULL;
}
